# An array four times --memory is decomposed, compressed, expanded and compared with peak resident memory within the
# budget plus 64 MB.
. tests/cli/lib.sh.inc
python=${LODE_PYTHON:-/usr/bin/python3}
budget=192
"$python" - "$dir" <<'END'
import sys
import numpy as np
n, r = 768, np.random.default_rng(0)
x = np.lib.format.open_memmap(sys.argv[1] + "/x.npy", mode="w+", dtype=np.float32, shape=(n, 512, 512))
y = np.lib.format.open_memmap(sys.argv[1] + "/y.npy", mode="w+", dtype=np.float32, shape=(16384, 12288))
a, b = (r.standard_normal((512, 6)).astype(np.float32) for _ in range(2))
for i in range(n):
    x[i] = (a * np.cos(np.arange(6) * 0.05 * i).astype(np.float32)) @ b.T + 1e-4 * r.standard_normal((512, 512)).astype(np.float32)
y[...] = x.reshape(y.shape)
END
within() {
    "$python" - "$budget" "$lode" "$@" --memory ${budget}M --quiet --force <<'END'
import resource, subprocess, sys
budget = int(sys.argv[1])
r = subprocess.run(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{sys.argv[3]}: peak {peak:.0f} MB, budget {budget} MB")
sys.exit(r.returncode if r.returncode not in (0, 3) else 0 if peak <= budget + 64 else 99)
END
}
within tucker "$dir/x.npy" --error 1e-2 -o "$dir/t.lode" || fail "tucker"
within svd "$dir/y.npy" --rank 5 -o "$dir/s.lode" || fail "svd"
within pca "$dir/y.npy" --rank 5 -o "$dir/p.lode" || fail "pca"
within compress "$dir/x.npy" --error 1e-2 -o "$dir/c.lode" || fail "compress"
within convert "$dir/c.lode" "$dir/back.npy" || fail "convert"
within compare "$dir/x.npy" "$dir/back.npy" || fail "compare"
within verify "$dir/c.lode" "$dir/x.npy" || fail "verify"
# the same bits as with memory for everything
"$lode" compress "$dir/x.npy" --error 1e-2 -o "$dir/c2.lode" --quiet
cmp "$dir/c.lode" "$dir/c2.lode" || fail 'memory changed the bits of compress'
"$lode" tucker "$dir/x.npy" --error 1e-2 -o "$dir/t2.lode" --quiet
cmp "$dir/t.lode" "$dir/t2.lode" || fail 'memory changed the bits of tucker'
