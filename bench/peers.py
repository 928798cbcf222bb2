"""What the benchmarks share: medians, fields, and a note for peers that are not there."""
import os
import statistics
import subprocess
import time

import numpy as np

LODE = os.environ.get("LODE", "build/lode")
FOLDER = os.environ.get("LODE_BENCH_DATA", "build/bench-data")
os.makedirs(FOLDER, exist_ok=True)


def median(f, runs=3):
    """Median seconds of f() over `runs` runs after one that is not counted, and its last result."""
    f()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = f()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def turns(ways, runs=5):
    """{name: (median seconds, last result)} of functions called in turns; the first turn is not counted. Ratios of
    neighbours in a turn cancel most of what else the machine does."""
    seconds, results = {name: [] for name in ways}, {}
    for run in range(runs + 1):
        for name, f in ways.items():
            start = time.perf_counter()
            results[name] = f()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return seconds, results


def blas_threads():
    try:
        import threadpoolctl
        return max(p["num_threads"] for p in threadpoolctl.threadpool_info())
    except (ImportError, ValueError):
        return None


def have(module):
    try:
        __import__(module)
        return True
    except ImportError:
        print(f"  ({module} is not installed: left out)")
        return False


def command(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout


def field(name, n=256):
    """Path of a generated f32 array: bumps, turb or lowrank, as in the published comparisons; made once."""
    path = os.path.join(FOLDER, f"{name}.npy")
    if os.path.exists(path):
        return path
    if name == "bumps":
        r = np.random.default_rng(1)
        g = (np.arange(n) + 0.5) / n
        centre, width, height = r.random((200, 3)), r.uniform(0.03, 0.15, 200), r.standard_normal(200)
        e = [np.exp(-((g[None] - centre[:, k, None]) ** 2) / (2 * width[:, None] ** 2)) for k in range(3)]
        x = np.einsum("bij,bk->ijk", np.einsum("b,bi,bj->bij", height, e[0], e[1]), e[2], optimize=True)
    elif name == "turb":  # random phases, energy spectrum k^(-5/3)
        r = np.random.default_rng(2)
        w = np.fft.rfftn(r.standard_normal((n, n, n)))
        f = np.fft.fftfreq(n, 1 / n)
        k = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + np.fft.rfftfreq(n, 1 / n)[None, None, :] ** 2)
        amplitude = np.where((k >= 1) & (k <= n / 2), np.maximum(k, 1) ** (-11 / 6), 0)
        x = np.fft.irfftn(w / np.maximum(np.abs(w), 1e-300) * amplitude, s=(n, n, n))
        x /= x.std()
    else:  # Tucker rank (10, 10, 10) in 300^3 plus noise of standard deviation 1e-3
        r = np.random.default_rng(3)
        u = [np.linalg.qr(r.standard_normal((300, 10)))[0] for _ in range(3)]
        x = np.einsum("abc,ia,jb,kc->ijk", r.standard_normal((10, 10, 10)), *u, optimize=True)
        x = x / x.std()
        x = x + 1e-3 * r.standard_normal(x.shape)
    np.save(path, np.ascontiguousarray(x, dtype=np.float32))
    return path
