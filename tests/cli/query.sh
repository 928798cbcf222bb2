# lode query: answers with error bars from a file, what they took, and one clear sentence for what is wrong.
. tests/cli/lib.sh.inc
x=data/winds_u.npy
"$lode" compress $x --error 1e-1 --access chunk --effort 1 -o "$dir/x.lode" 2>"$dir/.log" || fail 'compress'
grep -q 'access chunk takes .* bytes ([0-9]* of [0-9]* blocks against one)' "$dir/.log" || fail 'the cost of access is not said'
gives 0 '+- .* (no entry is off by more; measured' "$lode" query "$dir/x.lode" '[3,4,5]'
gives 0 'decoded .* of .* KiB (.* %), 1 of 24 blocks; computed 1 of 1387584 entries' "$lode" query "$dir/x.lode" '[3,4,5]'
gives 0 '2 of 24 blocks; computed 6 of' "$lode" query "$dir/x.lode" '[40:46,0,0]'
gives 0 '+- .* (the mean is off by no more' "$lode" query "$dir/x.lode" 'mean[0:33,0:37]'
gives 0 '^1387584 entries' "$lode" query "$dir/x.lode" norm
gives 0 'inner product' "$lode" query "$dir/x.lode" dot=$x
gives 0 'inner product' "$lode" query "$dir/x.lode" "dot[5]=$x[5]"
gives 0 '"of_blocks": 24' "$lode" query "$dir/x.lode" sum --json --quiet
gives 0 'no entries' "$lode" query "$dir/x.lode" '[4:4,0,0]'
gives 0 written "$lode" query "$dir/x.lode" '[::4,::4,5]' -o "$dir/y.npy"
gives 0 '33 x 19' "$lode" info "$dir/y.npy"
gives 2 'exists' "$lode" query "$dir/x.lode" '[::4,::4,5]' -o "$dir/y.npy"
gives 2 'index 132 is outside axis 0, whose indices are 0 to 131' "$lode" query "$dir/x.lode" '[132,0,0]'
gives 2 'end 74 leaves axis 1, which has 73 entries' "$lode" query "$dir/x.lode" '[:,0:74]'
gives 2 'step -1 on axis 0' "$lode" query "$dir/x.lode" '[::-1]'
gives 2 'names 4 axes; the array has 3' "$lode" query "$dir/x.lode" '[0,0,0,0]'
gives 2 'is no question; ask' "$lode" query "$dir/x.lode" median
gives 2 'the mean of 0 entries' "$lode" query "$dir/x.lode" 'mean[2:2]'
gives 2 'give -o FILE' "$lode" query "$dir/x.lode" '[:]'
gives 2 'what is asked is 132 x 73 x 144' "$lode" query "$dir/x.lode" "dot=$dir/y.npy"
gives 2 'dot=OTHER.npy' "$lode" query "$dir/x.lode" dot
gives 2 'records no operation' "$lode" query $x mean
gives 2 'usage: lode query' "$lode" query "$dir/x.lode"
gives 2 'no option --partt' "$lode" query "$dir/x.lode" mean --partt 3
# any result that stands for an array answers
"$lode" tucker $x --error 0.1 -o "$dir/t.lode" --quiet || fail 'tucker'
gives 0 '+- .* (no entry is off by more' "$lode" query "$dir/t.lode" '[3,4,5]'
gives 0 '+- .* (the mean is off by no more' "$lode" query "$dir/t.lode" mean
# little memory: only what is asked is read and decoded
gives 0 'of 24 blocks' "$lode" query "$dir/x.lode" '[3,4,5]' --memory 4M
gives 5 '' "$lode" query "$dir/x.lode" '[:]' -o "$dir/z.npy" --memory 4M
test ! -e "$dir/z.npy" || fail 'a failed query left a file'
