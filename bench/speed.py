"""Seconds of compress and of expanding, file to file on all cores, against TTHRESH and SZ3 in turns, at a relative L2 error of
1e-2, where the environment names their programs (TTHRESH=.. SZ3=.., not packaged for Debian). Lode syncs what it writes: in a
folder in memory (LODE_BENCH_DATA) the disk does not count."""
import os
import statistics
import time

import numpy as np

from peers import FOLDER, LODE, command, field

ERROR, RUNS = 1e-2, 5


def run(words):
    start = time.perf_counter()
    command(*words)
    return time.perf_counter() - start


def sz3_words(program, x, raw):
    """Its commands to compress and expand with the largest absolute bound whose measured error is within ERROR."""
    packed, back, options = (os.path.join(FOLDER, n) for n in ("x.sz3", "sz3.back", "sz3.config"))
    with open(options, "w") as f:
        f.write("[GlobalSettings]\nCmprAlgo = ALGO_INTERP_LORENZO\nErrorBoundMode = ABS\nOpenMP = YES\n")
    shape = [f"-{x.ndim}", *map(str, x.shape[::-1]), "-c", options, "-M", "ABS"]
    norm = np.linalg.norm(x.ravel().astype(np.float64))
    low, high = 0.0, 16 * ERROR * norm / x.size ** 0.5
    words = None
    for _ in range(12):
        bound = high if low == 0 else (low * high) ** 0.5
        pack = [program, "-f", "-i", raw, "-z", packed, *shape, repr(bound)]
        expand = [program, "-f", "-z", packed, "-o", back, *shape, repr(bound)]
        run(pack), run(expand)
        y = np.fromfile(back, x.dtype).reshape(x.shape)
        if np.linalg.norm((x - y).ravel().astype(np.float64)) <= ERROR * norm:
            low, words = bound, (pack, expand, packed)
        else:
            high = bound
        if low == 0:
            high /= 2
        elif high / low < 1.02:
            break
    return words


def main():
    print(f"{'array':6} {'tool':14} {'bytes':>9} {'compress s':>11} {'expand s':>9}   Lode at default effort, at effort 1: share of its seconds")
    for name in ("turb", "bumps"):
        path, raw, out = field(name), os.path.join(FOLDER, "speed.f32"), os.path.join(FOLDER, "back.npy")
        x = np.load(path)
        x.tofile(raw)
        ways = {}
        for effort, which in (("5", "Lode"), ("1", "Lode effort 1")):
            packed = os.path.join(FOLDER, f"effort{effort}.lode")
            ways[which] = ([LODE, "compress", path, "--error", str(ERROR), "--effort", effort, "-o", packed, "--force", "--quiet"],
                           [LODE, "convert", packed, out, "--force", "--quiet"], packed)
        for which in ("TTHRESH", "SZ3"):
            program = os.environ.get(which)
            if not program:
                print(f"  ({which} is not named by the environment: left out)")
            elif which == "SZ3":
                ways[which] = sz3_words(program, x, raw)
            else:
                packed, back = os.path.join(FOLDER, "x.tth"), os.path.join(FOLDER, "tth.back")
                ways[which] = ([program, "-i", raw, "-t", "float", "-s", *map(str, x.shape[::-1]), "-e", str(ERROR), "-c", packed],
                               [program, "-c", packed, "-o", back], packed)
        seconds = {w: ([], []) for w in ways}
        for _ in range(RUNS):
            for which, words in ways.items():
                for k in range(2):
                    seconds[which][k].append(run(words[k]))
        median = {w: [statistics.median(t) for t in seconds[w]] for w in ways}
        for which in ways:
            shares = "" if which.startswith("Lode") else "   " + ", ".join(
                f"{median[w][0] / median[which][0]:.2f} to compress and {median[w][1] / median[which][1]:.2f} to expand"
                for w in ("Lode", "Lode effort 1"))
            print(f"{name:6} {which:14} {os.path.getsize(ways[which][2]):9d} {median[which][0]:11.3f} {median[which][1]:9.3f}{shares}", flush=True)


main()
