"""Tensor networks: seconds to contract a network to its tensor against numpy.einsum(optimize="optimal"), and seconds a sweep of
least squares over all cores against the same sweeps in NumPy (each environment by einsum, as a short script has them). Ratios above 1: Lode is faster."""
import os
import time
import warnings

import numpy as np

import lode
from peers import blas_threads

THREADS = min(2, len(os.sched_getaffinity(0)))
FEW, MANY = 2, 22


def least(f, runs=3):
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        f()
        found.append(time.perf_counter() - start)
    return min(found)


def graph(kind, modes, r):
    ranks = np.ones((modes + (kind == "tucker"),) * 2, int)
    pairs = {"ring": [(i, (i + 1) % modes) for i in range(modes)], "tucker": [(i, modes) for i in range(modes)],
             "complete": [(i, j) for i in range(modes) for j in range(i)]}[kind]
    for i, j in pairs:
        ranks[i, j] = ranks[j, i] = r
    return ranks


def terms(cores, ranks, modes, left_out=-1):
    """Operands and indices of einsum without axes of length 1; indices that stay: modes, then edges of a core left out."""
    number, edges, found = {}, [], []
    for k, core in enumerate(cores):
        axes = [j for j in range(len(cores)) if j == k or ranks[k, j] > 1]
        axes = [j for j in axes if j != k or k < modes]
        names = [number.setdefault((min(k, j), max(k, j)), len(number)) for j in axes]
        if k == left_out:
            edges = [n for n, j in zip(names, axes) if j != k]
        else:
            found += [core.reshape([core.shape[j] for j in axes]), names]
    return found, [number[k, k] for k in range(modes)], edges


def numpy_sweep(x, cores, ranks):
    modes = x.ndim
    for k in range(len(cores)):
        others, legs, edges = terms(cores, ranks, modes, k)
        T = np.einsum(*others, x, legs, edges + ([legs[k]] if k < modes else []), optimize="optimal")
        again = [[n if n in legs else n + 25 for n in names] for names in others[1::2]]
        twice = [v for pair in zip(others[::2], again) for v in pair]
        H = np.einsum(*others, *twice, edges + [n + 25 for n in edges], optimize="greedy")
        H = H.reshape(int(np.prod(T.shape[:len(edges)])), -1)
        G = np.linalg.lstsq(H, T.reshape(len(H), -1), rcond=None)[0]
        shape = [ranks[k, j] for j in range(len(cores)) if j != k] + [x.shape[k] if k < modes else 1]
        cores[k] = np.moveaxis(G.reshape(shape), -1, k)


def main():
    warnings.simplefilter("ignore")  # sweeps are stopped before they settle
    rng = np.random.default_rng(0)
    print(f"f64, {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print(f"{'network':>22} {'contract':>9} {'NumPy':>9} {'ratio':>6} {'s/sweep':>9} {'NumPy':>9} {'ratio':>6}")
    for kind, n, modes, r in (("ring", 16, 5, 4), ("ring", 100, 3, 8), ("tucker", 12, 5, 3), ("complete", 20, 4, 2)):
        ranks = graph(kind, modes, r)
        x = rng.standard_normal([n] * modes)
        fit = lambda sweeps: lode.tn(x, structure="graph", graph=ranks.astype(float), max_iter=sweeps, tol=0)
        model = fit(1)
        cores = [np.array(model[f"core.{k}"]) for k in range(len(ranks))]
        given, legs, _ = terms(cores, ranks, modes)
        mine = least(lambda: model.invert())
        theirs = least(lambda: np.einsum(*given, legs, optimize="optimal"))
        sweep = (least(lambda: fit(MANY), 5) - least(lambda: fit(FEW), 5)) / (MANY - FEW)
        sweep = sweep if sweep > 0 else np.nan  # a machine too busy to tell
        rival = least(lambda: numpy_sweep(x, cores, ranks), 2)
        print(f"{kind:>9} {n:4}^{modes}, r {r:3} {mine:9.4f} {theirs:9.4f} {theirs / mine:6.2f} {sweep:9.4f} {rival:9.4f} "
              f"{rival / sweep:6.2f}", flush=True)


main()
