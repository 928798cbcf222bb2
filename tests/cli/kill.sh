# kill -9 at random moments of a write: the old file or the new one, never half, and no matter how often.
. tests/cli/lib.sh.inc
"$lode" make normal --shape 1000,800 -o "$dir/new.npy" --quiet
"$lode" make normal --shape 300,200 --seed 1 -o "$dir/old.npy" --quiet
"$lode" convert "$dir/new.npy" "$dir/new.lode" --quiet
"$lode" convert "$dir/old.npy" "$dir/old.lode" --quiet
i=0
while [ $i -lt 25 ]; do
    cp "$dir/old.lode" "$dir/target.lode"
    "$lode" convert "$dir/new.npy" "$dir/target.lode" --force --quiet &
    pid=$!
    sleep "0.0$((i % 10))$((i * 7 % 10))"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    cmp -s "$dir/target.lode" "$dir/old.lode" || cmp -s "$dir/target.lode" "$dir/new.lode" ||
        fail "half a file after kill number $i"
    i=$((i + 1))
done
# Ctrl-C: status 130, nothing written
"$lode" make bumps --shape 300,300,300 -o "$dir/slow.npy" --quiet 2>/dev/null &
pid=$!
sleep 0.3
kill -TERM $pid 2>/dev/null || true
set +e
wait $pid
got=$?
set -e
[ $got = 130 ] || [ $got = 0 ] || fail "status $got after an interrupt"
[ $got = 0 ] || [ ! -e "$dir/slow.npy" ] || fail 'an interrupted command left a file'
test "$(find "$dir" -name '*lode-tmp*' | wc -l)" -le 25 || fail 'more temporary files than kills'
