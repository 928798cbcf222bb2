"""The Python package: what importing it and calling it take, and scikit-learn's PCA beside ours."""
import subprocess
import sys
import time

import numpy as np

import lode
from peers import median


def start(code):
    return median(lambda: subprocess.run([sys.executable, "-c", code], check=True), 11)[0]


def each(f, n=5000):
    f()
    begin = time.perf_counter()
    for _ in range(n):
        f()
    return 1e6 * (time.perf_counter() - begin) / n


print(f"import: {1000 * (start('import numpy; import lode') - start('import numpy')):.1f} ms beyond NumPy's (target 30)")

A = np.random.default_rng(0).standard_normal((8, 6))
B = A + 1e-3
inside = []
make = lode._c.lib.lode_call_make
lode._c.lib.lode_call_make = lambda *a: inside.append(-time.perf_counter()) or (make(*a), inside.append(time.perf_counter()))[0]
lode.compare(A, B)
inside.clear()
for _ in range(5000):
    lode.compare(A, B)
lode._c.lib.lode_call_make = make
own = 1e6 * sum(inside) / 5000
print(f"compare of 8 x 6: {each(lambda: lode.compare(A, B)):.1f} us, of which the library {own:.1f} (target: 20 besides it)")

try:
    import sklearn.decomposition

    import lode.sklearn
except ImportError:
    sys.exit("scikit-learn is not installed")
rng = np.random.default_rng(1)
X = rng.standard_normal((100000, 20)) @ rng.standard_normal((20, 500)) + 0.5 * rng.standard_normal((100000, 500))
for k in (20,):
    ours, theirs = [], []
    for _ in range(5):  # in turns
        for held, make in (theirs, lambda: sklearn.decomposition.PCA(k)), (ours, lambda: lode.sklearn.PCA(rank=k)):
            begin = time.perf_counter()
            fit = make().fit(X)
            held.append(time.perf_counter() - begin)
            codes = fit.transform(X[:5000])
            error = np.linalg.norm(fit.inverse_transform(codes) - X[:5000])
            held.append(held.pop())
            print(f"  {type(fit).__module__.split('.')[0]:8} {held[-1]:.2f} s, error {error:.9g}")
    print(f"PCA of 100000 x 500, rank {k}: {np.median(theirs) / np.median(ours):.2f} times scikit-learn's speed (target 1.5)")
