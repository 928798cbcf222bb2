"""Nonnegative factors: seconds to the objective that scikit-learn's NMF (coordinate descent) ends at, from the same start, in one
process, in turns, with as many threads; and the objective of both after the same number of iterations."""
import os
import statistics
import warnings

import numpy as np

import lode
from peers import blas_threads, have, turns

THREADS = len(os.sched_getaffinity(0))
STEPS = 100


def data(m, n, k, dtype):
    r = np.random.default_rng(0)
    X = r.random((m, k)) ** 2 @ r.random((n, k)).T ** 2
    return (X + 0.1 * X.mean() * r.random((m, n))).astype(dtype)


def row(m, n, k, dtype, NMF):
    X = data(m, n, k, dtype)
    r = np.random.default_rng(1)
    W, H = (np.sqrt(X.mean() / k) * 2 * r.random((rows, k)).astype(dtype) for rows in (m, n))
    norm = np.linalg.norm(X)
    start = dict(rank=k, codes=W, basis=H, tol=0)

    def theirs():
        model = NMF(k, init="custom", solver="cd", tol=0, max_iter=STEPS)
        w = model.fit_transform(X, W=W.copy(), H=np.ascontiguousarray(H.T))
        return np.linalg.norm(X - w @ model.components_) / norm

    goal = theirs()
    trace = lode.nmf(X, **start, max_iter=STEPS)["trace"]
    reached = int(np.argmax(trace <= goal)) if (trace <= goal).any() else STEPS
    seconds, results = turns({
        "theirs": theirs,
        "ours": lambda: lode.nmf(X, **start, max_iter=max(reached, 1)),
        "as many": lambda: lode.nmf(X, **start, max_iter=STEPS),
    }, 2)
    a, b, c = (statistics.median(seconds[name]) for name in ("ours", "theirs", "as many"))
    print(f"{m:6} x {n:5} {np.dtype(dtype).name:8} {k:4}   {reached:4} {a:8.3f}   {STEPS:4} {b:8.3f}   {b / a:6.2f}   "
          f"{trace[-1] / goal:8.5f} {c:8.3f}", flush=True)


def main():
    if not have("sklearn"):
        return
    from sklearn.decomposition import NMF
    print(f"lode on {THREADS} threads, scikit-learn's BLAS on {blas_threads() or 'an unknown number of'}")
    print("steps and seconds of lode to the objective of scikit-learn's steps and seconds, their ratio; objective over "
          "scikit-learn's, and seconds, after as many steps")
    warnings.simplefilter("ignore")  # of steps that were not enough: they are fixed here
    for m, n, k, dtype in ((2000, 2000, 20, np.float64), (2000, 2000, 20, np.float32), (2000, 2000, 5, np.float64),
                           (2000, 2000, 50, np.float64), (20000, 300, 20, np.float64)):
        row(m, n, k, dtype, NMF)


if __name__ == "__main__":
    main()
