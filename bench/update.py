"""Sparse rows into a truncated SVD of a graph, 50 batches in one process: milliseconds of a batch, median and mean, of one that keeps
bases in extended form, of the same projection with bases formed each time (Zha & Simon; the library's and in NumPy), and of
decomposing all anew; largest difference of a singular value from the last, over s_1."""
import statistics
import time

import numpy as np
from scipy import sparse

import lode


def graph(n, degree, groups):
    """Skewed degrees, most links within groups, rows in random order."""
    r = np.random.default_rng(0)
    weight = 1 / np.sqrt(np.arange(1, n + 1))
    weight /= weight.sum()
    source, group = r.choice(n, n * degree, p=weight), r.integers(0, groups, n)
    order = np.argsort(group)
    ends = np.searchsorted(group[order], np.arange(groups + 1))
    low, high = ends[group[source]], ends[group[source] + 1]
    near = order[np.minimum(low + (r.random(n * degree) ** 2 * (high - low)).astype(int), high - 1)]
    target = np.where(r.random(n * degree) < 0.7, near, r.choice(n, n * degree, p=weight))
    return sparse.csr_matrix((np.ones(n * degree), (source, target)), shape=(n, n))[r.permutation(n)].tocsr()


class Dense:
    """[U 0; 0 I] [S 0; C R] [V Q]' in NumPy."""

    def __init__(self, r):
        self.U, self.values, self.V = (np.array(x) for x in (r.U, r.s, r.V))

    def rows(self, E):
        U, s, V = self.U, self.values, self.V
        k, t = len(s), E.shape[0]
        C = np.asarray(E @ V)
        Q, R = np.linalg.qr(E.T.toarray() - V @ C.T)
        M = np.block([[np.diag(s), np.zeros((k, t))], [C, R.T]])
        F, s, G = np.linalg.svd(M)
        self.U = np.vstack([U @ F[:k, :k], F[k:, :k]])
        self.values, self.V = s[:k], V @ G[:k, :k].T + Q @ G[:k, k:].T


def case(n, k, s, batches=50):
    A = graph(n, 10, 2 * k)
    m0 = n - s * batches
    fitted = lode.svd(A[:m0], rank=k, tol=1e-10)
    ways = {"extended": lode.Stream(fitted), "formed": lode.Stream(fitted, basis="plain"), "NumPy": Dense(fitted)}
    seconds = {name: [] for name in ways}
    for b in range(batches):
        E = A[m0 + b * s:m0 + (b + 1) * s]
        for name, way in ways.items():
            start = time.perf_counter()
            way.rows(E)
            seconds[name].append(time.perf_counter() - start)
    start = time.perf_counter()
    scratch = lode.svd(A, rank=k, tol=1e-10).s
    anew = time.perf_counter() - start
    ms = {name: (1e3 * statistics.median(t), 1e3 * statistics.mean(t)) for name, t in seconds.items()}
    first = ms["extended"]
    off = max(np.abs(way.values - ways["extended"].values).max() for way in ways.values()) / scratch[0]
    print(f"{n} x {n}, rank {k}, {s} rows: " +
          "; ".join(f"{name} {a:.2f} ({b:.2f}), {b / first[1]:.1f} times" for name, (a, b) in ms.items()) +
          f"; anew {1e3 * anew:.0f}; apart {off:.0e}, from anew {np.abs(ways['extended'].values - scratch).max() / scratch[0]:.1e}; "
          f"{ways['extended'].state['renewals']} renewals", flush=True)


for size in ((20000, 64, 10), (20000, 64, 25), (20000, 64, 50), (20000, 32, 20), (100000, 64, 25)):
    case(*size)
