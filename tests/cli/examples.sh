# The example of every operation runs as written, in the order of the list, on what make and data/ give.
. tests/cli/lib.sh.inc
root=$(pwd)
case $lode in /*) ;; *) lode=$root/$lode ;; esac
cd "$dir"
ln -s "$root/data" data
"$lode" make normal --shape 60,40 -o A.npy --quiet
"$lode" make parts --shape 60,40 --rank 5 -o P.npy --quiet
"$lode" make relations --shape 24,24,6 --rank 3 -o T.npy --quiet
"$lode" make observations --shape 300,4 --rank 2 --noise 0.05 -o observations.npy --quiet
"$lode" make symmetric --shape 40,40 -o S.npy --quiet
"$lode" make outliers --shape 60,40 --rank 2 --density 0.05 -o outliers.npy --quiet
"$lode" make lowrank --shape 20,22,24 --rank 4 --noise 1e-4 -o X.npy --quiet
"$lode" make normal --shape 400,8,6 -o measurements.npy --quiet
"$lode" make normal --shape 400 -o y.npy --quiet
"$lode" make normal --shape 200,6 -o U.npy --quiet
"$lode" make normal --shape 200,4 --seed 1 -o W.npy --quiet
"$lode" list | awk '{print $1}' >ops
while read -r op; do
    example=$("$lode" help "$op" | sed -n '/^Example/{n;s/^ *lode //;p;}')
    [ -n "$example" ] || { echo "no example for $op" >&2; exit 1; }
    # shellcheck disable=SC2086 # the words of a command
    "$lode" $example --force --quiet || { echo "the example of $op does not run: lode $example" >&2; exit 1; }
done <ops
