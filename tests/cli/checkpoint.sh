# Killed at random moments under --checkpoint and called again, an operation gives the bytes of a run that was not
# killed, and the file is gone then; another call, a torn tail, a file of somebody else.
. tests/cli/lib.sh.inc
"$lode" make normal --shape 24,64,64 --dtype f32 -o "$dir/x.npy" --quiet
"$lode" make normal --shape 24,64,64 --dtype f32 --seed 1 -o "$dir/y.npy" --quiet
set -- --error 1e-2 --block 8192 --effort 2
"$lode" compress "$dir/x.npy" "$@" -o "$dir/whole.lode" --quiet
kills=0 i=0
while [ $i -lt 200 ]; do
    i=$((i + 1))
    "$lode" compress "$dir/x.npy" "$@" -o "$dir/out.lode" --force --checkpoint "$dir/ck" --quiet --threads $((1 + i % 2)) &
    pid=$!
    sleep "$((i / 20)).$((i % 4))$((i * 7 % 10))" # longer and longer, for machines that are busy
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null && break
    kills=$((kills + 1))
    # a tail that the kill left half written
    [ $((i % 5)) != 4 ] || [ ! -e "$dir/ck" ] || head -c $(($(wc -c <"$dir/ck") * 9 / 10)) "$dir/ck" >"$dir/torn"
    [ ! -e "$dir/torn" ] || mv "$dir/torn" "$dir/ck"
done
[ $i -lt 200 ] || fail 'it never came to an end'
cmp "$dir/whole.lode" "$dir/out.lode" || fail "other bytes after $kills kills"
[ ! -e "$dir/ck" ] || fail 'the checkpoint is still there'
# refused, with what differs
"$lode" compress "$dir/x.npy" "$@" --checkpoint "$dir/ck" --quiet
[ -e "$dir/ck" ] || fail 'a checkpoint without an output is kept'
gives 2 "values of X with hash" "$lode" compress "$dir/y.npy" "$@" --checkpoint "$dir/ck"
gives 2 "'effort 2', this one 'effort 3'" "$lode" compress "$dir/x.npy" --error 1e-2 --block 8192 --effort 3 --checkpoint "$dir/ck"
gives 2 "input X f32 24 x 64 x 64" "$lode" compress "$dir/x.npy[1:]" "$@" --checkpoint "$dir/ck"
gives 2 'is no checkpoint' "$lode" compress "$dir/x.npy" "$@" --checkpoint "$dir/y.npy"
gives 2 'keeps no checkpoint' "$lode" make normal --shape 3,3 --checkpoint "$dir/ck2"
gives 2 'keeps no checkpoint' "$lode" info "$dir/x.npy" --checkpoint "$dir/ck2"
gives 1 'cannot be opened' "$lode" compress "$dir/x.npy" "$@" --checkpoint "$dir/none/ck"
gives 0 '' "$lode" compress "$dir/x.npy" "$@" --checkpoint "$dir/ck" -o "$dir/again.lode"
cmp "$dir/whole.lode" "$dir/again.lode"
# passes over the data, out of core and in memory
"$lode" make lowrank --shape 1500,900 --rank 20 --noise 1e-2 --dtype f32 -o "$dir/m.npy" --quiet
"$lode" make lowrank --shape 60,100,110 --rank 6 --noise 1e-3 --dtype f32 -o "$dir/t.npy" --quiet
for words in 'svd m.npy --rank 5 --method krylov' 'pca m.npy --rank 5' 'tucker t.npy --error 1e-2' 'tt t.npy --error 1e-2'; do
    # shellcheck disable=SC2086 # words of a command
    set -- $words
    op=$1 file=$2
    shift 2
    "$lode" "$op" "$dir/$file" "$@" -o "$dir/p.lode" --quiet --force
    i=0
    rm -f "$dir/q.lode"
    while [ $i -lt 5 ]; do
        i=$((i + 1))
        "$lode" "$op" "$dir/$file" "$@" -o "$dir/q.lode" --force --checkpoint "$dir/ck3" --quiet --memory $((40 + 200 * (i % 2)))M --threads $((1 + i % 2)) &
        pid=$!
        sleep "0.$((i % 3))$((i * 7 % 10))"
        kill -9 $pid 2>/dev/null || true
        wait $pid 2>/dev/null && break
    done
    { [ -e "$dir/q.lode" ] && [ ! -e "$dir/ck3" ]; } || "$lode" "$op" "$dir/$file" "$@" -o "$dir/q.lode" --force --checkpoint "$dir/ck3" --quiet
    cmp "$dir/p.lode" "$dir/q.lode" || fail "$op gives other bytes after $i kills"
    [ ! -e "$dir/ck3" ] || fail "the checkpoint of $op is still there"
done
