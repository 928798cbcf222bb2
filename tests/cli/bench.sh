# lode bench: the curve of compress on one's own array, beside other programs where they are, and in their place a sentence.
. tests/cli/lib.sh.inc
python=${LODE_PYTHON:-/usr/bin/python3}
x=data/sst_coads.npy
gives 0 'bench compress FILE' "$lode" bench
gives 0 '^  compress *Bytes and seconds of compress against zfp' "$lode" bench
gives 0 'lode bench compress' "$lode" help bench
gives 2 "no bench 'nosuch'" "$lode" bench nosuch
gives 2 'usage: lode bench' "$lode" bench compress a b
gives 2 "error is '1e-1,-2'" "$lode" bench compress $x --error 1e-1,-2
gives 2 "error is '1e-1:max,1e-2:rel'" "$lode" bench compress $x --error 1e-1:max,1e-2:rel
gives 2 'nosuch.npy' "$lode" bench compress nosuch.npy
# without other programs: only its own curves, and it says so
"$lode" make lowrank --shape 20,21,22 --rank 3 --noise 1e-2 -o "$dir/a.npy" --quiet
old=$PATH
mkdir "$dir/none" "$dir/bin"
PATH=$dir/none
set +e
"$lode" bench compress "$dir/a.npy" --error 1e-1,1e-2 -o "$dir/c.svg" >"$dir/alone" 2>&1
got=$?
PATH=$old
set -e
[ $got = 0 ] || fail "status $got without other programs"
grep -q 'zfp is left out: no zfp on PATH' "$dir/alone" || fail 'it does not say that zfp is missing'
grep -q '^lode  *0.01 .*' "$dir/alone" || fail 'no line of its own'
grep -q 'lode --effort 1 ' "$dir/alone" || fail 'no line of effort 1'
grep -q '<svg' "$dir/c.svg" || fail 'no curve'
gives 2 'exists' "$lode" bench compress "$dir/a.npy" -o "$dir/c.svg"
# other programs: one that keeps its bound, one that fails
cat >"$dir/bin/sz3" <<END
#!$python
import array, sys
a = sys.argv
word = lambda w: a[a.index(w) + 1]
n = [int(w) for w in a[a.index("-3") + 1 : a.index("-3") + 4]]
assert n == [22, 21, 20], n
t = "f" if "-f" in a else "d"
if "-i" in a:
    x = array.array(t, open(word("-i"), "rb").read())
    assert len(x) == 20 * 21 * 22
    e = float(a[a.index("ABS") + 1])
    y = array.array(t, [round(v / (2 * e)) * 2 * e for v in x])
    open(word("-z"), "wb").write(y.tobytes())
else:
    open(word("-o"), "wb").write(open(word("-z"), "rb").read())
END
printf '#!/bin/sh\necho broken in two >&2\nexit 3\n' >"$dir/bin/tthresh"
chmod +x "$dir/bin/sz3" "$dir/bin/tthresh"
LODE_PEERS=$dir/bin
export LODE_PEERS
"$lode" bench compress "$dir/a.npy" --error 1e-2 --json --quiet >"$dir/json" || fail 'bench --json'
"$python" - "$dir/json" <<'END' || fail 'the numbers of bench'
import json, sys
b = json.load(open(sys.argv[1]))
who = {c["name"]: c for c in b["coders"]}
assert b["shape"] == [20, 21, 22] and b["error"] == "rel"
for c in who.values():
    for p in c["points"]:
        assert p["reached"] <= p["asked"] and p["bytes"] > 0 and p["compress_seconds"] >= 0
        assert abs(p["ratio"] * p["bytes"] / b["bytes"] - 1) < 1e-4
# bisected to within 5% of the error
assert 0.95e-2 <= who["SZ3"]["points"][0]["reached"] <= 1e-2 and who["SZ3"]["left_out"] is None
assert who["TTHRESH"]["left_out"] == "broken in two" and not who["TTHRESH"]["points"]
if who["zfp"]["left_out"] is None:
    assert 0.2e-2 <= who["zfp"]["points"][0]["reached"] <= 1e-2
END
LODE_PEERS=
# what zfp does not take; and nothing is left lying about
command -v zfp >/dev/null || exit 0
mkdir "$dir/tmp"
TMPDIR=$dir/tmp
export TMPDIR
gives 0 'zfp is left out: it keeps no missing' "$lode" bench compress $x --error 1e-1
gives 0 'times the bytes of zfp' "$lode" bench compress "$dir/a.npy[3]" --error 1e-2:maxrel --effort 1
test -z "$(ls -A "$dir/tmp")" || fail 'temporary files were left'
