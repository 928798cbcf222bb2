# Outputs are never replaced silently, never half written; members and slices; conversions.
. tests/cli/lib.sh.inc
gives 0 'written' "$lode" make lowrank --shape 20,30 --rank 3 -o "$dir/a.npy"
gives 2 'exists; give --force' "$lode" make lowrank --shape 20,30 -o "$dir/a.npy"
cp "$dir/a.npy" "$dir/keep.npy"
gives 0 '' "$lode" make lowrank --shape 20,30 --rank 3 -o "$dir/a.npy" --force
cmp "$dir/a.npy" "$dir/keep.npy" || fail 'the same command gave another file'
gives 0 '20 x 30 f64' "$lode" info "$dir/a.npy"
gives 0 '"shape": \[20, 30\]' "$lode" info "$dir/a.npy" --json
for f in npz safetensors lode mtx; do
    gives 0 'written' "$lode" convert "$dir/a.npy" "$dir/a.$f"
    gives 0 '' "$lode" convert "$dir/a.$f" "$dir/back-$f.npy"
    gives 0 '"max": 0,' "$lode" compare "$dir/a.npy" "$dir/back-$f.npy" --json
done
gives 0 '' "$lode" convert "$dir/a.npy" "$dir/f32.npy" --dtype f32
gives 0 '20 x 30 f32' "$lode" info "$dir/f32.npy"
gives 0 '' "$lode" convert "$dir/a.npy[2:8:2,-1]" "$dir/slice.npy"
gives 0 ' 3 f64' "$lode" info "$dir/slice.npy"
gives 2 'the array 2 axes' "$lode" convert "$dir/a.npy[0:3,0:3,0:3]" "$dir/no.npy"
gives 2 '' "$lode" convert "$dir/a.npz:nosuch" "$dir/no.npy"
gives 2 'no folder' "$lode" convert "$dir/a.npy" "$dir/nosuch/folder/a.npy"
if [ -e /dev/full ]; then
    set +e
    "$lode" convert "$dir/a.npy" - --to npy --quiet >/dev/full 2>"$dir/.out"
    [ $? = 1 ] || fail 'a full disk was not noticed'
    set -e
fi
gives 5 '--memory' "$lode" make normal --shape 4000,4000 --memory 10M -o "$dir/big.npy"
test ! -e "$dir/big.npy" || fail 'a refused command left a file'
# what is inside a compressed file, in words
"$lode" make bumps --shape 20,40,50 -o "$dir/bumps.npy" --quiet
gives 0 '' "$lode" compress "$dir/bumps.npy" --method tucker --block 20000 -o "$dir/bumps.lode"
gives 0 'asked for   --method tucker --block 20000' "$lode" info "$dir/bumps.lode"
gives 0 '2 blocks by coefficients of a basis for each axis' "$lode" info "$dir/bumps.lode"
gives 0 'axis 1    learned in 2,.* columns' "$lode" info "$dir/bumps.lode"
gives 0 'in records .*learned bases [0-9]* bytes' "$lode" info "$dir/bumps.lode"
gives 0 '"contents": {"blocks": *2,' "$lode" info "$dir/bumps.lode" --json
gives 0 '"certificate": {' "$lode" info "$dir/bumps.lode" --json
# pipes
"$lode" make normal --shape 5,6 --to npy -o - --quiet >"$dir/piped.npy"
"$lode" convert - "$dir/from-pipe.npy" --from npy --quiet <"$dir/piped.npy"
cmp "$dir/piped.npy" "$dir/from-pipe.npy" || fail 'a pipe changed the array'
test "$(ls -A "$dir" | grep -c lode-tmp)" = 0 || fail 'temporary files were left'
