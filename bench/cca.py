"""Canonical correlations and PLS regression of two tables, 100000 x 200 and 100000 x 50: seconds, the command against
scikit-learn's CCA, PLSRegression and PLSSVD, on one thread and two. The command reads its files and measures scores, loadings, coefficients and residuals in that
time; scikit-learn's iterations stop at its own tolerances."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from peers import LODE

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
P, Q, RANK = 200, 50, 5
PEER = """
import sys, time, warnings
import numpy as np
from sklearn.cross_decomposition import CCA, PLSRegression, PLSSVD
warnings.simplefilter("ignore")
X, Y = np.load(sys.argv[1]), np.load(sys.argv[2])
kind = dict(CCA=CCA, PLSRegression=PLSRegression, PLSSVD=PLSSVD)[sys.argv[3]]
start = time.perf_counter()
m = kind(int(sys.argv[4]), scale=False).fit(X, Y)
T, U = m.transform(X, Y)
seconds = time.perf_counter() - start
print(seconds, *[np.corrcoef(T[:, i], U[:, i])[0, 1] for i in range(T.shape[1])])
"""


def run(*words):
    out = subprocess.run([LODE, *map(str, words), "--json", "--quiet", "--force"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)["seconds"]


with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((ROWS, 8))
    x, y, made = (os.path.join(folder, name) for name in ("x.npy", "y.npy", "cca.npz"))
    np.save(x, Z @ rng.standard_normal((8, P)) + 3 * rng.standard_normal((ROWS, P)))
    np.save(y, Z @ rng.standard_normal((8, Q)) + 3 * rng.standard_normal((ROWS, Q)))
    for method, name in (("cca", "CCA"), ("nipals", "PLSRegression"), ("pls", "PLSRegression"), ("pls-svd", "PLSSVD")):
        for threads in (1, 2):
            ours = min(run("cca", x, y, "--method", method, "--rank", RANK, "--threads", threads, "-o", made) for _ in range(3))
            with np.load(made) as z:
                own = z["correlations"]
            words = subprocess.run([sys.executable, "-c", PEER, x, y, name, str(RANK)], capture_output=True, text=True, check=True,
                                   env=dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))).stdout.split()
            peer, theirs = float(words[0]), np.array(words[1:], float)
            print(f"{method:8} {threads} thread{'s'[:threads - 1]:1} {ours:7.2f} s   {name:14} {peer:7.2f} s   peer / lode {peer / ours:6.1f}   "
                  f"correlations {own[0]:.4f} .. {own[-1]:.4f}, theirs {theirs[0]:.4f} .. {theirs[-1]:.4f}", flush=True)
