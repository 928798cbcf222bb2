"""An array ten times the memory given: bytes per second of compress against those in memory on a tenth of the data, and
what a 10 x 10 x 10 slice decodes. Run only by name; LODE_BENCH_DATA names a folder with 30 GB free, LODE_BENCH_GB another
size than 20. Targets: half the rate in memory, or half the disk's where that is lower; 1 % decoded; the memory kept to.
The machine should do nothing else: rates in memory are taken before and after, and those a core are printed too."""
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np

from peers import FOLDER, LODE

GB = float(os.environ.get("LODE_BENCH_GB", "20"))
SIDE = 2000  # of the last two axes: a plane is 16 MB
MEMORY = f"{max(GB / 10, 0.4):g}G"  # coding a block takes 0.3 GB
COARSEST, FINEST = 256, 4  # eddies, in cells


def doubled(plane, rows, columns):
    """Twice as fine along both axes, by means of neighbours."""
    for axis, n in ((0, rows), (1, columns)):
        shape = list(plane.shape)
        shape[axis] = 2 * (shape[axis] - 1)
        fine = np.empty(shape, np.float32)
        even, odd = [slice(None)] * 2, [slice(None)] * 2
        even[axis], odd[axis] = slice(0, None, 2), slice(1, None, 2)
        low, high = np.delete(plane, -1, axis), np.delete(plane, 0, axis)
        fine[tuple(even)] = 0.75 * low + 0.25 * high
        fine[tuple(odd)] = 0.25 * low + 0.75 * high
        plane = fine[:n] if axis == 0 else fine[:, :n]
    return plane


class Turbulence:
    """Planes of a field with eddies of FINEST to COARSEST cells, the strength of each size as its length to 1/3
    (Kolmogorov), and white noise of some 1e-3 of the whole. Lattices of random values are read at random places of one pool."""

    def __init__(self, seed):
        self.pool = np.random.default_rng(seed).standard_normal(1 << 23, dtype=np.float32)
        self.seed = seed

    def lattice(self, spacing, k, rows, columns):
        at = np.random.default_rng((self.seed, spacing, k)).integers(0, self.pool.size - rows * columns)
        return self.pool[at:at + rows * columns].reshape(rows, columns)

    def eddies(self, z):
        spacing, plane = COARSEST, None
        while spacing >= 1:
            side = -(-SIDE // spacing) + 2
            if plane is not None:
                plane = doubled(plane, side, side)
            if spacing >= FINEST:
                k, t = divmod(z, spacing)
                t = np.float32((t / spacing) ** 2 * (3 - 2 * t / spacing))
                more = (1 - t) * self.lattice(spacing, k, side, side)
                more += t * self.lattice(spacing, k + 1, side, side)
                more *= np.float32((spacing / COARSEST) ** (1 / 3))
                plane = more if plane is None else plane + more
            spacing //= 2
        return np.ascontiguousarray(plane[:SIDE, :SIDE])

    def planes(self, count):
        """One after the other: eddies at every FINEST-th, between them what lies between."""
        low, high = None, self.eddies(0)
        for z in range(count):
            k, t = divmod(z, FINEST)
            if t == 0:
                low, high = high, self.eddies((k + 1) * FINEST)
                step = (high - low) / np.float32(FINEST)
                low = low.copy()
            else:
                low += step
            yield low + np.float32(1.5e-3) * self.lattice(1, z, SIDE, SIDE)


def make(path, count, seed):
    with open(path, "wb") as f:
        np.lib.format.write_array_header_1_0(f, {"descr": "<f4", "fortran_order": False, "shape": (count, SIDE, SIDE)})
        for plane in Turbulence(seed).planes(count):
            f.write(plane.data)
        f.flush()
        os.fsync(f.fileno())


def forget(path):
    """Drops what the page cache has of a file, so that it is read from the disk."""
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(path):
    """Bytes per second of reading the file in order past the page cache, 2 GB at most; where that cannot be, through it."""
    forget(path)
    size = min(os.path.getsize(path), 2 << 30)
    for flags in (["iflag=direct"], []):
        start = time.perf_counter()
        words = ["dd", f"if={path}", "of=/dev/null", "bs=16M", f"count={size >> 24}", *flags]
        if subprocess.run(words, capture_output=True).returncode == 0:
            return (size >> 24 << 24) / (time.perf_counter() - start)
    return float("nan")


def timed(*words):
    """Standard output, seconds, those of all cores, and the largest resident size of a command."""
    start = time.perf_counter()
    p = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE)
    out = p.stdout.read().decode()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"big: {' '.join(map(str, words))} ended with status {p.returncode}")
    return out, time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def compress(path, out, effort, *more):
    forget(path)
    text, seconds, cpu, peak = timed(LODE, "compress", path, "--error", "1e-2", "--effort", effort, "-o", out, "--force", "--json",
                                "--quiet", *more)
    size = os.path.getsize(path)
    print(f"  effort {effort}  {size / 1e9:5.1f} GB {' '.join(more) or 'in memory':14} {seconds:7.1f} s {size / seconds / 1e6:7.1f} MB/s ({size / cpu / 1e6:.1f} a core)  "
          f"{size / os.path.getsize(out):6.1f} to 1  error {json.loads(text)['certificate']['value']:.3e}  "
          f"peak {peak / 2**30:.2f} GiB", flush=True)
    return size / seconds, peak


def slices(model, planes):
    """Largest share of the file that 10 x 10 x 10 slices at some places decode."""
    worst, place, slowest = 0, "", 0
    random = np.random.default_rng(5)
    for _ in range(8):
        z, y, x = (int(random.integers(0, n - 10)) for n in (planes, SIDE, SIDE))
        what = f"[{z}:{z + 10},{y}:{y + 10},{x}:{x + 10}]"
        text, seconds, _, _ = timed(LODE, "query", model, what, "--json", "--quiet")
        decoded = json.loads(text)["decoded"]
        share = decoded["bytes"] / decoded["of_bytes"]
        slowest = max(slowest, seconds)
        if share > worst:
            worst, place = share, f"{what}: {decoded['bytes']} of {decoded['of_bytes']} bytes"
    return worst, place, slowest


def main():
    need = 1.5 * GB * 1e9
    free = shutil.disk_usage(FOLDER).free
    if free < need:
        sys.exit(f"big: {FOLDER} has {free / 1e9:.0f} GB free; it takes {need / 1e9:.0f} GB. "
                 "Name a folder on another disk in LODE_BENCH_DATA, or a smaller size in LODE_BENCH_GB")
    planes = max(20, round(GB * 1e9 / (4 * SIDE * SIDE)))
    big, small, out = (os.path.join(FOLDER, f"big.{s}") for s in ("npy", "small.npy", "lode"))
    try:
        start = time.perf_counter()
        make(big, planes, 1)
        make(small, max(planes // 10, 2), 2)
        print(f"{planes} x {SIDE} x {SIDE} f32 made in {time.perf_counter() - start:.0f} s; {os.getloadavg()[0]:.1f} others run")
        disk = disk_rate(big)
        print(f"  disk, read in order: {disk / 1e6:.0f} MB/s")
        for effort in (5, 1):
            before, _ = compress(small, out, effort)
            rate, peak = compress(big, out, effort, "--memory", MEMORY)
            share, place, seconds = slices(out, planes)
            after, _ = compress(small, out, effort)
            inside = (before + after) / 2
            print(f"  effort {effort}: {rate / inside:.2f} of the rate in memory, {rate / disk:.2f} of the disk's "
                  f"({'reaches' if rate >= 0.5 * min(inside, disk) else 'MISSES'} half of the lower); memory "
                  f"{'kept' if peak <= float(MEMORY[:-1]) * 2**30 else 'PASSED'}\n"
                  f"  slices: {100 * share:.2f} % decoded at most ({'under' if share < 0.01 else 'NOT under'} 1 %), "
                  f"{place}, {seconds:.2f} s at most", flush=True)
    finally:
        for path in (big, small, out):
            if os.path.exists(path):
                os.remove(path)


main()
