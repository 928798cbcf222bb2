"""Bytes and seconds of compress against zfp (same relative L2 error, zfp's best tolerance) and the published bytes of
TTHRESH and SZ3, which are not packaged for Debian."""
import json
import os
import shutil
import time

import numpy as np

from peers import FOLDER, LODE, command, field

# bytes at 1e-1, 1e-2, 1e-3, 1e-4: the best of TTHRESH and both SZ3 predictors on the same arrays
RECORDED = {
    "winds_u": (86674, 614079, 1172382, 1786170),
    "bumps": (5042, 16146, 32658, 56290),
    "turb": (1346130, 5927978, 12491962, 19326858),
    "lowrank": (8050, 12546, 29514, 13557234),
}


def zfp(path, x, error):
    """Bytes of zfp's loosest tolerance, in factors of two, whose measured error is within `error`."""
    raw, out, back = (os.path.join(FOLDER, "zfp." + s) for s in ("raw", "zfp", "back"))
    x.tofile(raw)
    dims = [f"-{x.ndim}", *map(str, x.shape[::-1])]
    norm = np.linalg.norm(x.ravel().astype(np.float64))
    tolerance = float(np.abs(x).max())
    for _ in range(60):
        start = time.perf_counter()
        command("zfp", "-q", "-f", *dims, "-a", repr(tolerance), "-i", raw, "-z", out)
        seconds = time.perf_counter() - start
        command("zfp", "-q", "-f", *dims, "-a", repr(tolerance), "-z", out, "-o", back)
        y = np.fromfile(back, np.float32).reshape(x.shape)
        if np.linalg.norm((x - y).ravel().astype(np.float64)) <= error * norm:
            return os.path.getsize(out), seconds
        tolerance /= 2
    return None, None


def main():
    with_zfp = shutil.which("zfp") is not None
    if not with_zfp:
        print("  (zfp is not installed: left out)")
    print(f"{'array':8} {'error':>6} {'bytes':>10} {'reached':>9} {'of best recorded':>17} {'of zfp':>7} {'compress s':>11} {'expand s':>9}")
    ratios = []
    for name in RECORDED:
        path = "data/winds_u.npy" if name == "winds_u" else field(name)
        x = np.load(path)
        for k, error in enumerate((1e-1, 1e-2, 1e-3, 1e-4)):
            out = os.path.join(FOLDER, "x.lode")
            r = json.loads(command(LODE, "compress", path, "--error", error, "-o", out, "--force", "--json", "--quiet"))
            start = time.perf_counter()
            command(LODE, "convert", out, os.path.join(FOLDER, "x.npy"), "--force", "--quiet")
            expand = time.perf_counter() - start
            size = os.path.getsize(out)
            best = size / RECORDED[name][k]
            ratios.append(best)
            rival = zfp(path, x, error)[0] if with_zfp else None
            print(f"{name:8} {error:6.0e} {size:10d} {r['certificate']['value']:9.2e} {best:17.3f} "
                  f"{size / rival if rival else float('nan'):7.3f} {r['seconds']:11.2f} {expand:9.2f}", flush=True)
    print(f"geometric mean against the best recorded: {np.exp(np.mean(np.log(ratios))):.3f}")


main()
