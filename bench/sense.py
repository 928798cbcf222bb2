"""Matrix sensing: seconds an iteration against NumPy's products there and back with the same measurements, in one run on one thread and on
all. Descent reads A once, NumPy twice; the ratio is NumPy over Lode, 2 at best where memory is the bound."""
import os
import statistics
import time
import warnings

import numpy as np

import lode

CASES = ((2000, 32, 3, np.float64), (2000, 100, 5, np.float64), (8000, 64, 5, np.float64), (8000, 64, 5, np.float32))


def iteration(A, y, k, steps=20, **options):
    """Seconds of an iteration: of so many less those of one, the median of three."""
    def run(count):
        start = time.perf_counter()
        lode.sense(A, y, rank=k, tol=0, max_iter=count, holdout=0, step=0.1, **options)
        return time.perf_counter() - start
    run(1)
    return statistics.median((run(steps + 1) - run(1)) / steps for _ in range(3))


def products(A, y):
    """Seconds of A x and A' w, the median of nine."""
    flat, x, seconds = A.reshape(len(A), -1), np.ones(A[0].size, A.dtype), []
    for _ in range(9):
        start = time.perf_counter()
        r = flat @ x - y
        flat.T @ r
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main():
    warnings.simplefilter("ignore")  # of steps that were not enough: they are fixed here
    print(f"lode on {len(os.sched_getaffinity(0))} threads, NumPy on its own; seconds an iteration")
    for m, n, k, dtype in CASES:
        g = np.random.default_rng(0)
        A, U = g.standard_normal((m, n, n), dtype), np.linalg.qr(g.standard_normal((n, k)))[0]
        y = (A.reshape(m, -1) @ (U @ U.T).ravel()).astype(dtype)
        ours, theirs = iteration(A, y, k), products(A, y)
        print(f"{m:6} of {n:3} x {n:<3} {np.dtype(dtype).name:8} rank {k}: lode {ours:8.5f}, NumPy {theirs:8.5f}, ratio {theirs / ours:5.2f}", flush=True)
    m, n, k = 20000, 500, 5  # A would take 40 GB
    X, U = g.standard_normal((m, n)), np.linalg.qr(g.standard_normal((n, k)))[0]
    y = ((X @ U) ** 2).sum(1)
    ours = iteration(X, y, k, form="vectors")
    start = time.perf_counter()
    P = X @ U
    X.T @ (P * y[:, None])
    theirs = time.perf_counter() - start
    print(f"{m:6} x' M x with {n} x {n}, rank {k}: lode {ours:8.5f}, NumPy's two products {theirs:8.5f}, ratio {theirs / ours:5.2f}")


if __name__ == "__main__":
    main()
