"""Eigenpairs: seconds and largest residual ||A x - l x|| / ||A||, the command against SciPy's eigsh (ARPACK, one thread) on the Laplacian of a
square grid, ten at either end, and against numpy.linalg.eigh on all pairs of a dense matrix, on one thread and two. The command
reads its file, checks symmetry and measures every residual in that time. ARPACK's tolerance is relative to the eigenvalue: 1e-6
leaves residuals larger than the command's 1e-10 at the small end, about as large at the other."""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from peers import LODE

SIDE = int(sys.argv[1]) if len(sys.argv) > 1 else 200


def run(*words):
    out = subprocess.run([LODE, *map(str, words), "--json", "--quiet", "--force"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)["seconds"]


def row(case, ours, residual, peer, peer_residual):
    print(f"{case:44} {ours:8.2f} s {residual:8.1e}    peer {peer:8.2f} s {peer_residual:8.1e}    peer / lode {peer / ours:6.2f}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    path, pairs = os.path.join(folder, "a.npz"), os.path.join(folder, "pairs.npz")
    run("make", "laplacian", "--shape", f"{SIDE},{SIDE}", "-o", path)
    d = scipy.sparse.diags([-1, 2, -1], [-1, 0, 1], (SIDE, SIDE))
    eye = scipy.sparse.identity(SIDE)
    A = (scipy.sparse.kron(d, eye) + scipy.sparse.kron(eye, d)).tocsr()
    residual = lambda w, X: np.max(np.linalg.norm(A @ X - X * w, axis=0)) / 8
    for which, code, tol in (("smallest", "SA", 1e-6), ("largest", "LA", 1e-10)):
        ours = run("eig", path, "--rank", 10, "--which", which, "--threads", 1, "-o", pairs)
        with np.load(pairs) as z:
            off = residual(z["values"], z["vectors"])
        start = time.perf_counter()
        w, X = scipy.sparse.linalg.eigsh(A, 10, which=code, tol=tol, maxiter=10**6)
        row(f"10 {which} of a {SIDE} x {SIDE} grid, 1 thread", ours, off, time.perf_counter() - start, residual(w, X))
    for n in (1000, 2000):
        A = np.random.default_rng(0).standard_normal((n, n))
        A = A + A.T
        dense = os.path.join(folder, "a.npy")
        np.save(dense, A)
        code = f"import numpy as np,time;A=np.load('{dense}');t=time.perf_counter();w,X=np.linalg.eigh(A);" \
               "print(time.perf_counter()-t,np.max(np.linalg.norm(A@X-X*w,axis=0))/abs(w).max())"
        for threads in (1, 2):
            ours, peer = [], []
            for _ in range(3):
                ours.append(run("eig", dense, "--method", "dense", "--rank", n, "--threads", threads, "-o", pairs))
                with np.load(pairs) as z:
                    off = z["residual"].max()
                words = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                                       env=dict(os.environ, OPENBLAS_NUM_THREADS=str(threads))).stdout.split()
                peer.append(float(words[0]))
            row(f"all pairs of order {n}, {threads} thread{'s'[:threads - 1]}", min(ours), off, min(peer), float(words[1]))
