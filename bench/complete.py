"""Completion: seconds a sweep of alternating least squares by size, with the exponent of its growth next to theory's; exact regressions
against sketched ones at growing ranks. No peer is packaged: the bar is 0.5 s a sweep at 10^5 x 10^5, 10^7 entries, rank 10."""
import os
import statistics
import time
import warnings

import numpy as np

import lode
from peers import have

THREADS = len(os.sched_getaffinity(0))


def entries(n, count, k, dtype, sparse):
    """About `count` entries of an n x n matrix of rank k, at random places."""
    r = np.random.default_rng(0)
    U, V = (r.standard_normal((n, k)).astype(dtype) for _ in range(2))
    place = np.unique(r.integers(0, n * n, count))
    i, j = place // n, place % n
    x = np.empty(len(place), dtype)
    for part in np.array_split(np.arange(len(place)), max(1, len(place) // 200000)):
        x[part] = np.einsum("ek,ek->e", U[i[part]], V[j[part]])
    return sparse.csr_matrix((x, (i, j)), shape=(n, n))


def sweep(A, k, **options):
    """Seconds of a sweep: of six less those of one, the median of three."""
    def run(steps):
        start = time.perf_counter()
        lode.complete(A, rank=k, tol=0, max_iter=steps, **options)
        return time.perf_counter() - start
    run(1)
    return statistics.median((run(6) - run(1)) / 5 for _ in range(3))


def main():
    if not have("scipy"):
        return
    from scipy import sparse
    warnings.simplefilter("ignore")  # of steps that were not enough: they are fixed here
    print(f"lode on {THREADS} threads; seconds a sweep")
    for dtype in (np.float32, np.float64):
        counts, seconds = (10**5, 10**6, 10**7), []
        for count in counts:
            seconds.append(sweep(entries(count // 100, count, 10, dtype, sparse), 10))
            print(f"{count // 100:7} x {count // 100:<7} {np.dtype(dtype).name:8} rank 10, {count:9} entries {seconds[-1]:8.4f}", flush=True)
        slope = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
        print(f"grows as entries^{slope:.2f}; theory: 1, and more where factors leave the cache")
    for k in (16, 32, 64, 128):
        A = entries(1000, 900000, k, np.float64, sparse)
        exact, sketched = (sweep(A, k, solver=s) for s in ("exact", "sketch"))
        print(f"1000 x 1000, 593 entries a row, rank {k:4}: exact {exact:8.4f}, sketch {sketched:8.4f}, ratio {exact / sketched:5.2f}", flush=True)


if __name__ == "__main__":
    main()
