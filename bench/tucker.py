"""Tucker decomposition of f64 arrays in memory: seconds, ranks and error against ST-HOSVD by Gram matrices in NumPy (the
method of TuckerMPI: one mode after the other, eps^2/d of the error each), in one process, in turns, with as many threads;
and the published seconds of TuckerMPI, which is not packaged for Debian. Share: of the rate of a large product, at the
operations that ST-HOSVD by Gram matrices needs for Lode's ranks."""
import os
import statistics

import numpy as np

import lode
from peers import blas_threads, field, turns

THREADS = len(os.sched_getaffinity(0))
# seconds at 1e-2, 1e-3: the faster of one process with two BLAS threads and two processes
RECORDED = {"bumps": (0.127, 0.108), "lowrank": (0.175, 0.577), "turb": (0.539, 0.658)}


def sthosvd(x, error):
    """Core and factors with an error of at most `error` of the norm."""
    budget, factors = error ** 2 * np.vdot(x, x) / x.ndim, []
    for mode in range(x.ndim):
        left, n = int(np.prod(x.shape[:mode])), x.shape[mode]
        if mode == x.ndim - 1:
            unfolded = x.reshape(left, n)
            gram = unfolded.T @ unfolded
        else:
            gram = np.zeros((n, n))
            for slice_ in x.reshape(left, n, -1):
                gram += slice_ @ slice_.T
        values, vectors = np.linalg.eigh(gram)
        rank = n - int(np.sum(np.cumsum(np.maximum(values, 0)) <= budget))
        factors.append(vectors[:, n - rank:])
        shape = x.shape[:mode] + (rank,) + x.shape[mode + 1:]
        if mode == x.ndim - 1:
            x = unfolded @ factors[-1]
        else:
            x = np.matmul(factors[-1].T, x.reshape(left, n, -1))
        x = x.reshape(shape)
    return x, factors


def operations(shape, ranks):
    """Of ST-HOSVD by Gram matrices, modes in order of position: half a product for the symmetric matrix, and a product."""
    flops, shape = 0.0, list(shape)
    for mode, rank in enumerate(ranks):
        size = float(np.prod(shape))
        flops += (shape[mode] + 1) * size + 2 * rank * size
        shape[mode] = rank
    return flops


def relative_error(x, core, factors):
    y = core
    for mode, u in enumerate(factors):
        y = np.moveaxis(np.tensordot(u, y, (1, mode)), 0, mode)
    return np.linalg.norm((x - y).ravel()) / np.linalg.norm(x.ravel())


def main():
    lode.settings(threads=THREADS)
    print(f"lode on {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print(f"{'array':8} {'error':>6} {'ranks':>16} {'reached':>9} {'lode s':>8}   {'NumPy ranks':>16} {'s':>7} {'ratio':>6}   "
          f"{'recorded s':>10} {'ratio':>6} {'share':>6}")
    a = np.random.default_rng(0).standard_normal((4096, 4096))
    for name, recorded in RECORDED.items():
        x = np.load(field(name)).astype(np.float64)
        for error, published in zip((1e-2, 1e-3), recorded):
            seconds, results = turns({
                "lode": lambda: lode.tucker(x, error=error),
                "numpy": lambda: sthosvd(x, error),
                "product": lambda: a @ a,
            })
            r = results["lode"]
            mine, theirs, product = (statistics.median(seconds[w]) for w in ("lode", "numpy", "product"))
            off = relative_error(x, r.core, [r[f"factor.{k}"] for k in range(x.ndim)])
            share = operations(x.shape, r.core.shape) / mine / (2 * 4096.0 ** 3 / product)
            print(f"{name:8} {error:6.0e} {str(r.core.shape):>16} {off:9.2e} {mine:8.3f}   {str(results['numpy'][0].shape):>16} "
                  f"{theirs:7.3f} {theirs / mine:6.2f}   {published:10.3f} {published / mine:6.2f} {share:6.2f}", flush=True)


main()
