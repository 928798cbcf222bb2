"""Functions of continuous indexes: milliseconds a sweep by the number of observations and the exponent of its growth; one mode's smoothing
against the same posterior by dense Gaussian process regression in NumPy (ratio, exponents), in one run."""
import os
import time
import warnings

import numpy as np

import lode
from peers import blas_threads

THREADS = min(2, len(os.sched_getaffinity(0)))
FEW, MANY = 1, 5


def observed(n, d, rng):
    T = rng.random((n, d))
    return np.column_stack([T, np.prod(np.cos(5 * T + np.arange(d)), axis=1) + T[:, 0] + 0.1 * rng.standard_normal(n)])


def least(f, runs=2):
    """Least wall and CPU seconds of f() of some runs; CPU seconds tell what a busy machine hides."""
    found = []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        f()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [min(v) for v in zip(*found)]


def sweep(X, **options):
    """Wall and CPU seconds of one sweep."""
    fit = lambda sweeps: least(lambda: lode.funtucker(X, tol=0, max_iter=sweeps, holdout=0, **options))
    return [(b - a) / (MANY - FEW) for a, b in zip(fit(FEW), fit(MANY))]


def dense(t, y, lengthscale, noise):
    """Mean and variances at the points: what a smoother's pass over one mode of one function gives."""
    s = np.sqrt(3) * abs(t[:, None] - t) / lengthscale
    K = (1 + s) * np.exp(-s)
    L = np.linalg.cholesky(K + noise**2 * np.eye(len(t)))
    B = np.linalg.solve(L, K)
    return B.T @ np.linalg.solve(L, y), 1 - np.sum(B**2, axis=0)


def exponent(n, seconds):
    return np.polyfit(np.log(n), np.log(seconds), 1)[0]


def main():
    warnings.simplefilter("ignore")  # sweeps are counted, not settled
    lode.settings(threads=THREADS)
    rng = np.random.default_rng(0)
    print(f"{THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    sizes = (10_000, 30_000, 100_000)
    for kernel, rank in (("matern32", 3), ("matern52", 3)):
        for name, options in (("fixed", dict(lengthscale="0.5", amplitude=1.0)), ("by evidence", {})):
            times = [sweep(observed(n, 3, rng), rank=rank, kernel=kernel, **options) for n in sizes]
            print(f"3 modes, rank {rank}, {kernel}, hyperparameters {name}: "
                  + ", ".join(f"{n} {1e3 * w:.0f} ms (CPU {1e3 * c:.0f})" for n, (w, c) in zip(sizes, times))
                  + f"; exponent {exponent(sizes, [c for _, c in times]):.2f}", flush=True)
    ours, theirs, few = [], [], (500, 1000, 2000)
    for n in few:
        X = observed(n, 1, rng)
        X = X[np.argsort(X[:, 0])]
        ours.append(sweep(X, rank=1, lengthscale="0.5", amplitude=1.0))
        theirs.append(least(lambda: dense(X[:, 0], X[:, 1], 0.5, 0.1)))
        print(f"1 mode, 1 function, {n} points: sweep {1e3 * ours[-1][0]:.2f} ms, dense {1e3 * theirs[-1][0]:.1f} ms, "
              f"ratio {theirs[-1][0] / ours[-1][0]:.0f}, CPU ratio {theirs[-1][1] / ours[-1][1]:.0f}", flush=True)
    print(f"exponents: sweep {exponent(few, [c for _, c in ours]):.2f}, dense {exponent(few, [c for _, c in theirs]):.2f}")


main()
