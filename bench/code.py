"""Both entropy coders on one core: MB/s of f32 (4 bytes a symbol) there and back, and bytes. Symbols: coefficients of
fields, quantized to an error; Laplacian noise of falling scale; a long vector; hardly anything."""
import os

import numpy as np

from peers import FOLDER, LODE, command, field

PROGRAM = os.path.join(os.path.dirname(LODE), "bench", "bench_code")


def cosines(x):
    """Orthonormal cosine transform along every axis."""
    for k in range(x.ndim):
        n = x.shape[k]
        i = np.arange(n)
        c = np.cos(np.pi * (i[None, :] + 0.5) * i[:, None] / n) * np.sqrt(2 / n)
        c[0] /= np.sqrt(2)
        x = np.moveaxis(np.tensordot(c.astype(np.float32), x, (1, k)), 0, k)
    return x


def quantized(path, error):
    x = np.load(path).astype(np.float32)
    step = error * np.linalg.norm(x) * np.sqrt(12 / x.size)
    y = cosines(x)
    return np.sign(y) * np.floor(np.abs(y) / step + 0.4)


def main():
    if not os.path.exists(PROGRAM):
        print(f"  ({PROGRAM} is not built: cmake --build BUILD --target bench_code)")
        return
    r = np.random.default_rng(0)
    k = np.indices((128, 128, 128)).sum(0)
    size = 1 << 21
    sets = {
        "winds_u 1e-1": lambda: quantized("data/winds_u.npy", 1e-1),
        "winds_u 1e-2": lambda: quantized("data/winds_u.npy", 1e-2),
        "winds_u 1e-3": lambda: quantized("data/winds_u.npy", 1e-3),
        "turb 1e-2": lambda: quantized(field("turb"), 1e-2),
        "turb 1e-3": lambda: quantized(field("turb"), 1e-3),
        "laplacian": lambda: np.rint(r.laplace(size=k.shape) * 200 * np.exp(-k / 30)),
        "vector": lambda: np.rint(r.laplace(size=size) * (2 + np.sin(np.arange(size) / 1000))),
        "one in 1000": lambda: (r.random(k.shape) < 1e-3) * r.choice((-1, 1), k.shape),
    }
    print(f"{'symbols':14} {'millions':>8} | {'adaptive in':>11} {'out MB/s':>8} {'bytes':>9} | "
          f"{'fast in':>8} {'out MB/s':>8} {'bytes':>9} {'ratio':>6}")
    path = os.path.join(FOLDER, "symbols.npy")
    for name, make in sets.items():
        np.save(path, np.ascontiguousarray(make(), dtype=np.int32))
        n, *rest = command(PROGRAM, path).split()[1:]
        a, b, slow, c, d, fast = map(float, rest)
        rate = 4e-6 * int(n)
        print(f"{name:14} {int(n) / 1e6:8.2f} | {rate / a:11.0f} {rate / b:8.0f} {slow:9.0f} | "
              f"{rate / c:8.0f} {rate / d:8.0f} {fast:9.0f} {fast / slow:6.3f}", flush=True)


main()
