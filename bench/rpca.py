"""Robust principal components against the inexact augmented Lagrangian as it is usually written in NumPy (Lin, Chen & Ma: whole
decompositions, mu times 1.5 in every iteration), to the same residual, in one run; and alternating projections of lode."""
import os
import statistics
import sys

import numpy as np

import lode
from peers import blas_threads, turns


def ialm(X, tol=1e-7, rho=1.5, most=1000):
    lam, norm, top = 1 / np.sqrt(max(X.shape)), np.linalg.norm(X), np.linalg.norm(X, 2)
    Y, mu = X / max(top, np.abs(X).max() / lam), 1.25 / top
    S = np.zeros_like(X)
    for step in range(most):
        U, s, V = np.linalg.svd(X - S + Y / mu, full_matrices=False)
        s = np.maximum(s - 1 / mu, 0)
        k = int((s > 0).sum())
        L = (U[:, :k] * s[:k]) @ V[:k]
        R = X - L + Y / mu
        S = np.sign(R) * np.maximum(np.abs(R) - lam / mu, 0)
        R = X - L - S
        Y = Y + mu * R
        mu = min(mu * rho, 1e7 * 1.25 / top)
        if np.linalg.norm(R) < tol * norm:
            break
    return L, S, step + 1


def data(m, n, rank, share, dtype):
    r = np.random.default_rng(0)
    L = r.standard_normal((m, rank)) @ r.standard_normal((rank, n)) / np.sqrt(rank)
    S = (r.random((m, n)) < share) * r.choice([-1.0, 1.0], (m, n)) * r.uniform(1, 10, (m, n))
    return (L + S).astype(dtype), L


def row(m, n, rank, share, dtype, runs):
    X, L = data(m, n, rank, share, dtype)
    tol = 1e-7 if dtype == np.float64 else 1e-5

    def off(found):
        return np.linalg.norm(found - L) / np.linalg.norm(L)

    seconds, results = turns({"lode": lambda: lode.rpca(X, tol=tol), "numpy": lambda: ialm(X, tol),
                              "altproj": lambda: lode.rpca(X, method="altproj", rank=rank, tol=tol)}, runs)
    a, b, c = (statistics.median(seconds[name]) for name in ("lode", "numpy", "altproj"))
    ours, theirs, project = results["lode"], results["numpy"], results["altproj"]
    print(f"{m:6} x {n:5} {np.dtype(dtype).name:8} {rank:4} {share:4.0%}  {a:8.3f} {len(ours['trace']) - 1:4} {off((ours['U'] * ours['s']) @ ours['V'].T):8.1e}"
          f"   {b:8.3f} {theirs[2]:4} {off(theirs[0]):8.1e}   {b / a:6.2f}   {c:8.3f} {off((project['U'] * project['s']) @ project['V'].T):8.1e}", flush=True)


def main():
    print(f"lode on {len(os.sched_getaffinity(0))} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print("seconds, iterations, error of L: lode pcp, NumPy; ratio; lode altproj of the known rank: seconds, error")
    sizes = ((400, 400, 20, 0.1, np.float64), (2000, 500, 20, 0.1, np.float64), (20000, 300, 5, 0.1, np.float64), (20000, 300, 5, 0.1, np.float32),
             (1500, 1500, 50, 0.1, np.float64))
    for m, n, rank, share, dtype in sizes[:3] if "--quick" in sys.argv else sizes:
        row(m, n, rank, share, dtype, 1)


if __name__ == "__main__":
    main()
