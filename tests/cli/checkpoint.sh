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
cp "$dir/ck" "$dir/kept"
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

# verbs, compare and decoding: killed now and then, the same bytes and words in the end; another call is refused
"$lode" make normal --shape 12,64,64 --dtype f32 --seed 2 -o "$dir/z.npy" --quiet
"$lode" convert "$dir/whole.lode" "$dir/back.npy" --quiet
"$lode" svd "$dir/m.npy" --rank 5 -o "$dir/s.lode" --quiet
"$lode" tucker "$dir/t.npy" --error 1e-2 -o "$dir/t.lode" --quiet
cd "$dir"
for words in 'convert whole.lode OUT.npy' 'invert whole.lode -o OUT.npy' 'compare x.npy whole.lode --json' \
    'verify whole.lode x.npy --json' 'verify s.lode m.npy --json' 'verify t.lode t.npy --json' \
    'update whole.lode z.npy -o OUT.lode' 'update s.lode m.npy[:40] -o OUT.lode' 'merge s.lode s.lode -o OUT.lode' \
    'apply t.lode t.npy -o OUT.npy'; do
    # shellcheck disable=SC2086 # words of a command
    set -- $words
    "$lode" "$@" --force --quiet >said
    for kind in npy lode; do [ ! -e OUT.$kind ] || mv OUT.$kind want.$kind; done
    i=0
    while [ $i -lt 3 ]; do
        i=$((i + 1))
        "$lode" "$@" --force --quiet --checkpoint ck4 --threads $((1 + i % 2)) >again &
        pid=$!
        sleep "0.0$((i * 3))"
        kill -9 $pid 2>/dev/null || true
        wait $pid 2>/dev/null && break
    done
    [ $i -lt 3 ] || "$lode" "$@" --force --quiet --checkpoint ck4 >again
    [ ! -e ck4 ] || "$lode" "$@" --force --quiet --checkpoint ck4 >again
    for text in said again; do
        sed 's/"seconds": [^,}]*//' $text >$text.text
    done
    cmp said.text again.text || fail "$1 says something else after $i kills"
    for kind in npy lode; do
        [ ! -e OUT.$kind ] || cmp OUT.$kind want.$kind || fail "$1 gives other bytes after $i kills"
        rm -f OUT.$kind
    done
    [ ! -e ck4 ] || fail "the checkpoint of $1 is still there"
done
gives 2 "it has 'compress, lode .*', this one 'compare, lode" "$lode" compare x.npy y.npy --checkpoint kept
gives 2 "this one 'update of a result of compress" "$lode" update whole.lode z.npy -o no.lode --checkpoint kept
gives 2 "this one 'decoding, lode" "$lode" convert whole.lode no.npy --checkpoint kept
gives 2 'nothing is decoded here' "$lode" convert x.npy no.npy --checkpoint ck5
gives 2 'a checkpoint of the whole array only' "$lode" invert whole.lode --part 0:2,:,: -o no.npy --checkpoint ck5
gives 2 'keeps no checkpoint' "$lode" query whole.lode mean --checkpoint ck5
sed 's/lode [0-9][0-9.]*/lode 0.0.1/' kept >old # another version, and a head whose sum is wrong: begun anew
gives 0 '' "$lode" compress x.npy --error 1e-2 --block 8192 --effort 2 --checkpoint old -o anew.lode --quiet
cmp whole.lode anew.lode
# a full disk takes the checkpoint away, not the result
(ulimit -f 64 && trap '' XFSZ && "$lode" compress x.npy --error 1e-2 --block 8192 --effort 2 --checkpoint small >said 2>&1) ||
    fail 'a checkpoint that cannot grow ends the call'
grep -q 'the call goes on' said || fail 'that nothing more is kept is not said'
gives 0 '' "$lode" compress x.npy --error 1e-2 --block 8192 --effort 2 --checkpoint small -o rest.lode
cmp whole.lode rest.lode
# a whole file: every member is part of what the checkpoint is of
cat >pack.py <<'END'
import sys
import zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for name in ("a", "b"):
        z.write(sys.argv[2 + (name == "b")], name + ".npy")
END
if command -v python3 >/dev/null; then
    python3 pack.py both.npz x.npy y.npy
    python3 pack.py other.npz x.npy z.npy
    set -- --error 1e-1 --effort 1
    "$lode" compress both.npz "$@" -o both.lode --quiet
    "$lode" compress both.npz "$@" --quiet --checkpoint ck6
    gives 2 'values of b with hash\|input b f32' "$lode" compress other.npz "$@" --checkpoint ck6 -o no.lode
    gives 2 "'error 0.1:rel', this one 'error none'" "$lode" compress both.npz --error a=1e-1,b=1e-1 --effort 1 --checkpoint ck6 -o no.lode
    "$lode" compress both.npz "$@" -o both2.lode --quiet --checkpoint ck6
    cmp both.lode both2.lode
    "$lode" convert both.lode back.npz --quiet --checkpoint ck6
    [ ! -e ck6 ] || fail 'the checkpoint of a whole file is still there'
fi
