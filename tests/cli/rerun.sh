# Every operation's example is made again to the same bytes, on 1 and 2 threads and from another format of its input; so
# are results of verbs; another input is refused, a changed file named.
. tests/cli/lib.sh.inc
root=$(pwd)
case $lode in /*) ;; *) lode=$root/$lode ;; esac
cd "$dir"
ln -s "$root/data" data
"$lode" make normal --shape 60,40 -o A.npy --quiet
"$lode" make normal --shape 9,40 --seed 1 -o B.npy --quiet
"$lode" make parts --shape 60,40 --rank 5 -o P.npy --quiet
"$lode" make relations --shape 24,24,6 --rank 3 -o T.npy --quiet
"$lode" make observations --shape 300,4 --rank 2 --noise 0.05 -o observations.npy --quiet
"$lode" make normal --shape 400,8,6 -o measurements.npy --quiet
"$lode" make normal --shape 400 -o y.npy --quiet
"$lode" make symmetric --shape 40,40 -o S.npy --quiet
"$lode" make normal --shape 200,6 -o U.npy --quiet
"$lode" make normal --shape 200,4 --seed 1 -o W.npy --quiet
"$lode" make outliers --shape 60,40 --rank 2 --density 0.05 -o outliers.npy --quiet
format=npz
"$lode" --version | grep -q 'netcdf (absent)' || format=nc
"$lode" list | awk '{print $1}' >ops
while read -r op; do
    # shellcheck disable=SC2046,SC2086 # the words of a command
    set -- $("$lode" help "$op" | sed -n '/^Example/{n;s/^ *lode //;p;}')
    inputs='' words=''
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        -o) shift ;;
        *.npy) inputs="$inputs $1" words="$words $1" ;;
        *) words="$words $1" ;;
        esac
        shift
    done
    "$lode" "$op" $words -o made.lode --force --quiet
    other=''
    for x in $inputs; do
        "$lode" convert "$x" "$(basename "$x" .npy).$format" --force --quiet
        other="$other $(basename "$x" .npy).$format"
    done
    for threads in 1 2; do
        gives 0 '' "$lode" rerun made.lode $inputs --threads $threads -o again.lode --force
        cmp made.lode again.lode || fail "$op made again on $threads threads is another file"
    done
    gives 0 'the same' "$lode" rerun made.lode $other
    # as the file itself says, its inputs by the names of the ports
    command=$("$lode" info made.lode | sed -n 's/^command *lode \(.*\) -o made.lode/\1/p')
    # shellcheck disable=SC2086
    set -- $inputs
    for name in $("$lode" info made.lode | sed -n 's/^repeat *lode rerun made.lode *//p'); do
        command=$(echo "$command" | sed "s|^\(.*\) $name\b|\1 $1|")
        shift
    done
    [ $# = 0 ] || fail "info of $op leaves out inputs: $command"
    # shellcheck disable=SC2086
    "$lode" $command -o again.lode --force --quiet
    cmp made.lode again.lode || fail "the command that info gives for $op makes another file: $command"
done <ops

"$lode" svd A.npy --rank 5 --seed 4 -o a.lode --quiet
"$lode" svd B.npy --rank 5 --seed 4 -o b.lode --quiet
"$lode" update a.lode B.npy -o u.lode --quiet
"$lode" merge a.lode b.lode -o m.lode --quiet
"$lode" qr A.npy --rank 5 -o q.lode --quiet
"$lode" apply a.lode B.npy -o p.lode --quiet
"$lode" make normal --shape 60,3 --seed 2 -o C.npy --quiet
"$lode" make normal --shape 40,3 --seed 3 -o E.npy --quiet
"$lode" update a.lode C.npy --axis 1 -o c.lode --quiet
"$lode" update a.lode D=C.npy E=E.npy -o d.lode --quiet
for from in 'c.lode a.lode cols=C.npy' 'c.lode a.lode C.npy' 'd.lode a.lode D=C.npy E=E.npy' 'u.lode a.lode B.npy' 'm.lode a.lode b.lode' 'p.lode a.lode B.npy'; do
    # shellcheck disable=SC2086 # file names
    gives 0 'the same' "$lode" rerun $from -o again.lode --force
    cmp "${from%% *}" again.lode || fail "$from"
done
gives 2 'input A is not the one' "$lode" rerun a.lode B.npy
gives 2 'input x is not the one' "$lode" rerun u.lode a.lode A.npy
gives 2 'made by update from 2 inputs' "$lode" rerun u.lode A.npy
gives 2 'was made without input rows' "$lode" rerun c.lode a.lode rows=C.npy
[ "$("$lode" info d.lode | sed -n 's/^command *//p')" = 'lode update model D=D E=E -o d.lode' ] || fail 'info of an update by name'
gives 2 "axis is '2'" "$lode" update a.lode C.npy --axis 2 -o no.lode
gives 2 'one input, without a name' "$lode" update a.lode D=C.npy E=E.npy --axis 1 -o no.lode
gives 2 'must have its 40 columns' "$lode" update a.lode C.npy --axis 0 -o no.lode
gives 2 'must have its 60 rows' "$lode" update a.lode B.npy --axis 1 -o no.lode
gives 2 'does not take 2 inputs' "$lode" update q.lode A.npy B.npy -o no.lode
gives 2 'records no operation' "$lode" rerun A.npy
gives 2 'leave out --rank' "$lode" rerun a.lode A.npy --rank 3
gives 2 'usage: lode rerun' "$lode" rerun
# another result under the same description
"$lode" svd A.npy --rank 5 --seed 4 -o a/ --quiet
"$lode" make normal --shape 5 --seed 5 -o a/s.npy --quiet --force
gives 3 'member s has hash' "$lode" rerun a/ A.npy
