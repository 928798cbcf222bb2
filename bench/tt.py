"""Tensor trains of f64 arrays in memory: seconds, values and error against TT-SVD in NumPy (Oseledets 2011, Algorithm 1:
eps^2/(d-1) of the error for each bond, each by an SVD, or by the Gram matrix of its shorter side), in one process, in turns,
with as many threads."""
import os
import statistics

import numpy as np

import lode
from peers import blas_threads, field, turns

THREADS = len(os.sched_getaffinity(0))


def truncated(a, budget, gram):
    """U, diag(s) V' of the fewest columns that leave at most the budget."""
    if not gram or a.shape[0] > 4 * a.shape[1]:
        u, s, v = np.linalg.svd(a, full_matrices=False)
        left = np.append(np.cumsum((s * s)[::-1])[::-1], 0)
        r = max(1, int(np.argmax(left <= budget)))
        return u[:, :r], s[:r, None] * v[:r]
    values, vectors = np.linalg.eigh(a @ a.T)
    r = max(1, len(values) - int(np.sum(np.cumsum(np.maximum(values, 0)) <= budget)))
    u = vectors[:, len(values) - r:]
    return u, u.T @ a


def tt_svd(x, error, gram):
    budget, cores, r = error ** 2 * np.vdot(x, x) / (x.ndim - 1), [], 1
    shape = x.shape
    for n in shape[:-1]:
        u, x = truncated(x.reshape(r * n, -1), budget, gram)
        cores.append(u.reshape(r, n, -1))
        r = u.shape[1]
    return cores + [x.reshape(r, shape[-1], 1)]


def relative_error(x, cores):
    y = np.ones((1, 1))
    for core in cores:
        y = np.tensordot(y, core, 1)
    return np.linalg.norm(x.ravel() - y.ravel()) / np.linalg.norm(x.ravel())


def arrays():
    for name in ("bumps", "lowrank", "turb"):
        yield name, np.load(field(name))[::4, ::4, ::4].astype(np.float64)
    rng = np.random.default_rng(0)
    y = np.ones((1, 1))
    ranks = (1, 8, 12, 10, 6, 1)
    for a, b in zip(ranks, ranks[1:]):
        y = np.tensordot(y, rng.standard_normal((a, 16, b)), 1)
    y = y.reshape((16,) * 5)
    yield "train", y + 1e-3 * np.std(y) * rng.standard_normal(y.shape)
    i = np.ogrid[tuple(slice(1, 17) for _ in range(5))]
    yield "green", 1 / np.sqrt(sum(k * k for k in i))


def main():
    lode.settings(threads=THREADS)
    print(f"lode on {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print(f"{'array':8} {'error':>6} {'values':>9} {'reached':>9} {'lode s':>8}   {'NumPy values':>12} {'svd s':>7} {'ratio':>6} "
          f"{'gram s':>7} {'ratio':>6}")
    for name, x in arrays():
        for error in (1e-2, 1e-3):
            seconds, results = turns({
                "lode": lambda: lode.tt(x, error=error),
                "svd": lambda: tt_svd(x, error, False),
                "gram": lambda: tt_svd(x, error, True),
            }, 3)
            mine = [results["lode"][f"core.{k}"] for k in range(x.ndim)]
            t = {w: statistics.median(s) for w, s in seconds.items()}
            print(f"{name:8} {error:6.0e} {sum(c.size for c in mine):9} {relative_error(x, mine):9.2e} {t['lode']:8.3f}   "
                  f"{sum(c.size for c in results['svd']):12} {t['svd']:7.3f} {t['svd'] / t['lode']:6.2f} {t['gram']:7.3f} "
                  f"{t['gram'] / t['lode']:6.2f}", flush=True)


main()
