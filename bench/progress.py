"""Time left as progress tells it after a tenth of the work, against what was left: for each operation that takes long.
Run only by name; each case takes some seconds (LODE_BENCH_SCALE: sizes times that). Nothing is foretold of
what takes under 2 s. Printed: the total foretold there over the total (1 is right)."""
import os
import sys
import time

import numpy as np

import lode
from peers import FOLDER

SCALE = float(os.environ.get("LODE_BENCH_SCALE", "1"))


def foretold(call, at=0.1):
    """Total that progress says, once `at` of the time that the call takes has gone, over that time; and the time."""
    told = []
    start = time.perf_counter()

    def listen(op, stage, fraction, left):
        told.append((time.perf_counter() - start, left, stage))

    lode.settings(progress=listen)
    try:
        call()
    finally:
        lode.settings()
    total = time.perf_counter() - start
    known = [(spent + left) / total for spent, left, _ in told if left >= 0 and spent >= at * total]
    return (known[0] if known else float("nan")), total


def rough(rows, columns, rank, decay, seed=0):
    r = np.random.default_rng(seed)
    u, v = r.standard_normal((rows, rank)), r.standard_normal((rank, columns))
    return ((u * np.arange(1.0, rank + 1) ** -decay) @ v + 0.1 * r.standard_normal((rows, columns))).astype("f4")


def field(*shape, seed=0):
    """Waves of falling strength, and noise."""
    r = np.random.default_rng(seed)
    x = np.zeros(shape, "f4")
    for k in range(1, 40):
        parts = [np.sin(r.uniform(0, k) * np.linspace(0, 6, n) + r.uniform(0, 6)).astype("f4") for n in shape]
        wave = np.float32(k ** -1.5)
        for axis, p in enumerate(parts):
            wave = wave * p.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        x += wave
    return x + np.float32(1e-3) * r.standard_normal(shape, dtype="f4")


def n(size):
    return max(8, int(size * SCALE))


def cases():
    """Name, input, operation, options; inputs out of core are named as files, with a memory that does not hold them."""
    tall, square, wide = rough(n(160000), 1200, 200, 0.7), rough(n(9000), 9000, 300, 1), rough(1500, n(120000), 200, 0.7)
    cube, long = field(n(400), 400, 400), field(n(2000), 200, 150)
    for label, x in (("tall", tall), ("square", square), ("wide", wide)):
        yield f"svd --rank 40, {label}", "svd", x, {"rank": 40}
        yield f"svd --rank 40 out of core, {label}", "svd", x, {"rank": 40, "memory": True}
    yield "svd --error 0.2, square", "svd", square, {"error": 0.2}
    yield "svd --rank 40, narrow", "svd", rough(n(1500000), 120, 60, 0.7), {"rank": 40}
    yield "pca --rank 20, tall", "pca", tall, {"rank": 20}
    for label, x in (("cube", cube), ("long", long)):
        for error in (1e-2, 3e-3, 1e-4):
            yield f"tucker --error {error:g}, {label}", "tucker", x, {"error": error}
        yield f"tucker --error 1e-2 out of core, {label}", "tucker", x, {"error": 1e-2, "memory": True}
        yield f"tt --error 1e-2, {label}", "tt", x, {"error": 1e-2}
        yield f"compress --error 1e-2, {label}", "compress", x, {"error": 1e-2}


def main():
    wanted = sys.argv[1:]
    path = os.path.join(FOLDER, "progress.npy")
    print(f"{'':44} {'foretold at':>11}\n{'':44} {'1/10':>5} {'3/10':>5} {'s':>7}")
    misses = 0
    try:
        for name, op, x, options in cases():
            if wanted and not any(w in name for w in wanted):
                continue
            options = dict(options)
            if options.pop("memory", False):
                np.save(path, x)
                lode.settings(memory=x.nbytes * 3 // 4 + (64 << 20))
                value = path
            else:
                lode.settings(memory=1 << 40)
                value = x
            early, seconds = foretold(lambda: getattr(lode, op)(value, **options))
            late, _ = foretold(lambda: getattr(lode, op)(value, **options), 0.3)
            misses += not abs(early - 1) <= 0.2
            print(f"{name:44} {early:5.2f} {late:5.2f} {seconds:7.2f}{'' if abs(early - 1) <= 0.2 else '  MISSES 20 %'}", flush=True)
    finally:
        lode.settings(memory=1 << 40)
        if os.path.exists(path):
            os.remove(path)
    print(f"{misses} off by more than 20 % after a tenth")


main()
