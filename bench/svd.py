"""Truncated SVD: seconds and largest relative error of a singular value, against scikit-learn's randomized_svd and SciPy's
svds (ARPACK), all in one process, in turns, with as many threads. The limit is what the products of one randomized_svd with
n_iter=4 would take at the rate of a large product: 20 m n (rank + 10) flops, orthogonalization left out."""
import os
import statistics

import numpy as np

import lode
from peers import FOLDER, LODE, blas_threads, command, have, turns

RANK = 50
THREADS = len(os.sched_getaffinity(0))


def harmonic(dtype):
    """Path of 20000 x 2000 with random orthogonal factors and s_i = 1 / i; made once."""
    path = os.path.join(FOLDER, f"harmonic_{dtype}.npy")
    if not os.path.exists(path):
        r = np.random.default_rng(0)
        U, V = (np.linalg.qr(r.standard_normal((n, 2000)))[0] for n in (20000, 2000))
        A = U / np.arange(1, 2001) @ V.T
        for t in ("float32", "float64"):
            np.save(os.path.join(FOLDER, f"harmonic_{t}.npy"), A.astype(t))
    return path


def row(case, name, seconds, peer, peer_name, error, peer_error, limit):
    a, b = statistics.median(seconds[name]), statistics.median(seconds[peer])
    ratio = statistics.median(y / x for x, y in zip(seconds[name], seconds[peer]))
    print(f"{case:34} {a:8.3f} {error:9.1e}   {peer_name:26} {b:8.3f} {peer_error:9.1e} {ratio:6.2f} "
          f"{'' if limit is None else f'{limit:8.3f}'}", flush=True)


def dense(dtype, randomized_svd):
    path = harmonic(dtype)
    A = np.load(path)
    X = np.random.default_rng(1).standard_normal((A.shape[1], 2000)).astype(A.dtype)
    off = lambda s: float(np.max(np.abs(np.asarray(s, np.float64) * np.arange(1, RANK + 1) - 1)))
    seconds, results = turns({
        "lode": lambda: lode.svd(A, rank=RANK).s,
        "n_iter=4": lambda: randomized_svd(A, RANK, n_iter=4, random_state=0)[1],
        "default": lambda: randomized_svd(A, RANK, random_state=0)[1],
        "product": lambda: A @ X,
    })
    rate = 2 * A.size * X.shape[1] / statistics.median(seconds["product"])
    limit = 20 * A.size * (RANK + 10) / rate
    for peer in ("n_iter=4", "default"):
        row(f"dense 20000 x 2000 {dtype}", "lode", seconds, peer, f"randomized_svd {peer}", off(results["lode"]),
            off(results[peer]), limit)

    def through_files():
        command(LODE, "svd", path, "--rank", RANK, "--threads", THREADS, "--quiet", "--force", "-o",
                os.path.join(FOLDER, "svd.npz"))
        return np.load(os.path.join(FOLDER, "svd.npz"))["s"]

    def peer_through_files():
        U, s, Vt = randomized_svd(np.load(path), RANK, n_iter=4, random_state=0)
        np.savez(os.path.join(FOLDER, "peer.npz"), U=U, s=s, Vt=Vt)
        return s

    seconds, results = turns({"lode": through_files, "peer": peer_through_files}, 3)
    row(f"  from file to file {dtype}", "lode", seconds, "peer", "randomized_svd n_iter=4", off(results["lode"]),
        off(results["peer"]), None)


def sparse(svds):
    import scipy.sparse
    r, m, n, count = np.random.default_rng(0), 200000, 50000, 5000000
    places = r.integers(0, m, count), r.integers(0, n, count)
    A = scipy.sparse.csr_matrix((r.standard_normal(count), places), shape=(m, n))
    true = svds(A, RANK)[1][::-1]  # to rounding: its residuals are those of ARPACK's default tolerance 0
    off = lambda s: float(np.max(np.abs(np.sort(s)[::-1] / true - 1)))
    seconds, results = turns({
        "lode": lambda: lode.svd(A, rank=RANK, tol=1e-8).s,
        "svds": lambda: svds(A, RANK, tol=1e-4)[1],  # squared in the tolerance of the eigenvalues of A'A
    }, 2)
    row("sparse 200000 x 50000, 5e6 values", "lode", seconds, "svds", "svds tol=1e-4", off(results["lode"]),
        off(results["svds"]), None)


def main():
    lode.settings(threads=THREADS)
    print(f"rank {RANK}; lode on {THREADS} threads, the peers' BLAS on {blas_threads() or 'an unknown number of'}: with Debian's "
          "one-thread OpenBLAS put a threaded one on LD_LIBRARY_PATH")
    print(f"{'case':34} {'lode s':>8} {'error':>9}   {'peer':26} {'peer s':>8} {'error':>9} {'ratio':>6} {'limit s':>8}")
    if have("sklearn"):
        from sklearn.utils.extmath import randomized_svd
        for dtype in ("float64", "float32"):
            dense(dtype, randomized_svd)
    if have("scipy"):
        from scipy.sparse.linalg import svds
        sparse(svds)


main()
