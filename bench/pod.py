"""Bases of snapshots: seconds of lode, which measures every error and finds the medoids as well, and of NumPy's inner products, eigh and
product for the basis alone, in one process, in turns, with as many threads."""
import os
import statistics

import numpy as np

import lode
from peers import blas_threads, turns

THREADS = len(os.sched_getaffinity(0))


def basis(X, r):
    w, V = np.linalg.eigh(X @ X.T)
    return X.T @ (V[:, -r:] / np.sqrt(w[-r:]))


def row(N, n, r, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((N, 40)) @ rng.standard_normal((40, n)) + 0.1 * rng.standard_normal((N, n))).astype(dtype)
    seconds, _ = turns({"one": lambda: lode.pod(X, rank=r), "pieces": lambda: lode.pod(X, rank=r // 4, clusters=8), "theirs": lambda: basis(X, r)}, 3)
    a, b, c = (statistics.median(seconds[name]) for name in ("one", "pieces", "theirs"))
    print(f"{N:6} x {n:7} {np.dtype(dtype).name:8} {r:4}   {a:8.3f} {b:8.3f} {c:8.3f}   {c / a:6.2f} {c / b:6.2f}", flush=True)


def main():
    print(f"lode on {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print("snapshots x values, rank: seconds of one basis, of 8 local ones of a quarter of the columns, of NumPy; NumPy's over both")
    for N, n, r, dtype in ((500, 100000, 20, np.float64), (500, 100000, 20, np.float32), (100, 400000, 20, np.float64)):
        row(N, n, r, dtype)


if __name__ == "__main__":
    main()
