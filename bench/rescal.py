"""Relations: seconds a step of nonnegative RESCAL against the same updates in NumPy (products of whole stacks), n = 500, m = 20, rank 10,
in one run; and how the time of an ensemble grows with the rank."""
import os
import time
import warnings

import numpy as np

import lode
from peers import blas_threads

THREADS = min(2, len(os.sched_getaffinity(0)))
FEW, MANY = 2, 32


def planted(n, m, k, rng):
    A = np.where(rng.random((n, k)) < 0.5, rng.random((n, k)), 0)
    return A @ rng.random((m, k, k)) @ A.T + 0.1 * rng.random((m, n, n))


def numpy_step(X, A, R):
    P, G = X @ A, A.T @ A
    R = R * (A.T @ P) / (G @ R @ G + 1e-16)
    above = (P @ R.transpose(0, 2, 1)).sum(0) + (X.transpose(0, 2, 1) @ (A @ R)).sum(0)
    return A * above / (A @ (R @ G @ R.transpose(0, 2, 1) + R.transpose(0, 2, 1) @ G @ R).sum(0) + 1e-16), R


def least(f, runs=5):
    """Least wall and CPU seconds of f() of some runs; CPU seconds tell what a busy machine hides."""
    found = []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        f()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [min(v) for v in zip(*found)]


def main():
    warnings.simplefilter("ignore")  # steps are counted, not settled
    lode.settings(threads=THREADS)
    rng = np.random.default_rng(0)
    print(f"500 x 500 x 20, rank 10, {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print(f"{'type':>5} {'ms/step':>8} {'CPU ms':>7} {'NumPy':>7} {'CPU ms':>7} {'ratio':>6} {'CPU ratio':>9}")
    whole = planted(500, 20, 10, rng)
    for dtype in (np.float64, np.float32):
        X = whole.astype(dtype)
        A, R = rng.random((500, 10)).astype(dtype), rng.random((20, 10, 10)).astype(dtype)

        def ours(steps):
            return lambda: lode.rescal(X, rank=10, nonneg="true", accelerate=False, tol=0, max_iter=steps)

        few, many = least(ours(FEW)), least(ours(MANY))
        wall, cpu = (1e3 * (b - a) / (MANY - FEW) for a, b in zip(few, many))
        other, other_cpu = (1e3 * v for v in least(lambda: numpy_step(X, A, R)))
        print(f"{np.dtype(dtype).name[0] + np.dtype(dtype).name[-2:]:>5} {wall:8.2f} {cpu:7.2f} {other:7.2f} {other_cpu:7.2f} "
              f"{other / wall:6.2f} {other_cpu / cpu:9.2f}", flush=True)
    X = planted(40, 12, 5, rng)
    for rank in (3, 5, 7):
        start = time.perf_counter()
        lode.rescal(X, rank=rank, ensemble=10)
        print(f"40 x 40 x 12, ensemble of 10 at rank {rank}: {time.perf_counter() - start:.2f} s", flush=True)


main()
