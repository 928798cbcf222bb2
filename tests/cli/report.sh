# A result as a page: written beside the output or from it, whole in itself, refused where it would say nothing.
. tests/cli/lib.sh.inc
case $lode in /*) ;; *) lode=$(pwd)/$lode ;; esac
cd "$dir"
"$lode" make lowrank --shape 40,30 --rank 3 -o x.npy --quiet
gives 0 'written' "$lode" svd x.npy --rank 3 -o x.lode --html x.html
grep -q '<h1>svd</h1>' x.html || fail 'no heading'
grep -q 'class="proof">.*error' x.html || fail 'no certificate'
[ "$(grep -c 'role="img"' x.html)" = 2 ] || fail 'not one picture for light and one for dark'
grep -q 'lode svd A --rank 3 -o RESULT' x.html || fail 'not the command that made it'
gives 2 'x.html exists' "$lode" svd x.npy --rank 3 -o y.lode --html x.html
[ ! -e y.lode ] || fail 'written although the page was not'
gives 2 'which -o writes' "$lode" svd x.npy --rank 3 --html z.html
gives 2 'goes with an operation' "$lode" info x.lode --html z.html
gives 2 'follows its reader' "$lode" plot x.lode -o z.html --dark
gives 0 'written' "$lode" plot x.lode x.npy -o z.html
gives 2 'exists' "$lode" plot x.lode -o z.html
