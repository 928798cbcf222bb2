"""Canonical polyadic decomposition: seconds a sweep, dense in f32 against the same sweeps in NumPy (products unfolded, as
TensorLy has them) and against its recorded 0.088 s an iteration on two cores; sparse in f64 against SPLATT's recorded seconds of 50
iterations (the better of 1 and 2 threads), which are not packaged for Debian. Then how time grows with the size: the slope of log
time over log size, next to theory's. CPU seconds tell what a busy machine hides."""
import os
import subprocess
import time
import warnings

import numpy as np

import lode
from peers import FOLDER, LODE, blas_threads, turns

THREADS = min(2, len(os.sched_getaffinity(0)))
TENSORLY = 0.088  # seconds an iteration, 300^3, rank 10, f32
SPLATT = {10: 0.43, 25: 1.02}  # seconds of 50 iterations, 100000 nonzeros
FEW, MANY = 2, 22


def planted(n, rank, rng):
    F = [rng.standard_normal((n, rank)).astype(np.float32) for _ in range(3)]
    x = (F[0][:, None] * F[1][None]).reshape(-1, rank) @ F[2].T
    return x.reshape(n, n, n) + rng.standard_normal((n, n, n), dtype=np.float32)


def numpy_sweep(x, F):
    for m in range(3):
        others = [F[i] for i in range(3) if i != m]
        product = np.einsum("ir,jr->ijr", *others).reshape(-1, F[0].shape[1])
        gram = np.prod([f.T @ f for f in others], axis=0)
        F[m] = np.linalg.solve(gram, (np.moveaxis(x, m, 0).reshape(x.shape[m], -1) @ product).T).T
    return F


def least(f, runs=3):
    """Least wall and CPU seconds of f() of some runs."""
    found = []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        f()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [min(v) for v in zip(*found)]


def sweep_seconds(run):
    """Of one sweep: what 20 more of them add."""
    few, many = least(lambda: run(FEW)), least(lambda: run(MANY))
    return [max(b - a, 1e-9) / (MANY - FEW) for a, b in zip(few, many)]


def dense():
    rng, seconds = np.random.default_rng(0), {}
    print(f"dense f32, rank 10, {THREADS} threads, NumPy's BLAS on {blas_threads() or 'an unknown number of'}")
    print(f"{'size':>8} {'s/sweep':>9} {'CPU/thread':>10} {'NumPy':>9} {'ratio':>6} {'recorded':>9} {'ratio':>6} {'GB/s':>6}")
    for n in (150, 200, 300):
        x = planted(n, 10, rng)
        wall, cpu = sweep_seconds(lambda k: lode.cp(x, rank=10, max_iter=k, tol=0, accelerate=False))
        F = [rng.standard_normal((n, 10)).astype(np.float32) for _ in range(3)]
        theirs = least(lambda: numpy_sweep(x, F))[0]
        seconds[n] = cpu / THREADS
        said = f"{TENSORLY:9.3f} {TENSORLY / wall:6.2f}" if n == 300 else f"{'':9} {'':6}"
        print(f"{n:6}^3 {wall:9.4f} {cpu / THREADS:10.4f} {theirs:9.4f} {theirs / wall:6.2f} {said} "
              f"{2 * x.nbytes / wall / 1e9:6.1f}", flush=True)
    slope = np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0]
    print(f"time grows as n^{slope:.2f} (theory: n^3)")


def sparse():
    rng, grown = np.random.default_rng(1), {}
    print("sparse f64, 1000^3, 50 sweeps\n" f"{'nonzeros':>9} {'rank':>5} {'threads':>7} {'s':>8} {'CPU/thread':>10} "
          f"{'recorded':>9} {'ratio':>6}")
    path, out = os.path.join(FOLDER, "cp.tns"), os.path.join(FOLDER, "cp.npz")
    for count in (100000, 400000):
        index = np.unique(rng.integers(1, 1001, (count, 3)), axis=0)
        with open(path, "w") as f:
            f.writelines(f"{i} {j} {k} {v!r}\n" for (i, j, k), v in zip(index.tolist(), rng.random(len(index)).tolist()))
        for rank in SPLATT if count == 100000 else (10,):
            for threads in {1, THREADS}:
                def run(sweeps):
                    subprocess.run([LODE, "cp", path, "--rank", str(rank), "--max-iter", str(sweeps), "--tol", "0", "--accelerate",
                                    "false", "--threads", str(threads), "-o", out, "--force", "--quiet"], capture_output=True)

                def timed(sweeps):
                    wall, cpu = time.perf_counter(), sum(os.times()[2:4])
                    run(sweeps)
                    return np.array([time.perf_counter() - wall, sum(os.times()[2:4]) - cpu])

                wall, cpu = min((timed(52) - timed(2) for _ in range(3)), key=lambda v: v[0])
                if rank == 10:
                    grown[count] = min(grown.get(count, np.inf), cpu)
                said = f"{SPLATT[rank]:9.2f} {SPLATT[rank] / wall:6.2f}" if count == 100000 else ""
                print(f"{count:9} {rank:5} {threads:7} {wall:8.3f} {cpu / threads:10.3f} {said}", flush=True)
    slope = np.log(grown[400000] / grown[100000]) / np.log(4)
    print(f"time grows as nnz^{slope:.2f} (theory: nnz^1, and rows that do not grow)")


def main():
    warnings.simplefilter("ignore")  # sweeps are counted, not settled
    lode.settings(threads=THREADS)
    dense()
    sparse()
    x = planted(100, 10, np.random.default_rng(2))
    seconds, _ = turns({"plain": lambda: lode.cp(x, rank=10, tol=1e-7, accelerate=False),
                        "extrapolated": lambda: lode.cp(x, rank=10, tol=1e-7)})
    print("100^3 until 1e-7: " + ", ".join(f"{k} {min(v):.2f} s" for k, v in seconds.items()))


main()
