"""How many components: seconds of each criterion by itself (reading, Gram matrix and values are in all of them) and of all six,
beside the singular values alone by NumPy, which is where a threshold by hand would begin, in turns and with as many threads."""
import json
import os

import numpy as np

from peers import FOLDER, LODE, command, turns

METHODS = ["gavish-donoho", "stability", "cross-validation", "parallel", "all"]


def planted(m, n, k):
    path = os.path.join(FOLDER, f"planted_{m}_{n}.npy")
    if not os.path.exists(path):
        r = np.random.default_rng(0)
        s = np.linspace(5, 2, k) * (np.sqrt(m) + np.sqrt(n))
        U, V = (np.linalg.qr(r.standard_normal((d, k)))[0] for d in (m, n))
        np.save(path, U * s @ V.T + r.standard_normal((m, n)))
    return path


def rank_of(path, method):
    out = json.loads(command(LODE, "rank", path, "--methods", method, "--json", "--quiet"))
    return out["contents"]["modes"][0]["rank"]


for m, n, k in ((20000, 2000, 10), (200000, 300, 10), (2000, 2000, 10)):
    path = planted(m, n, k)
    ways = {name: (lambda name=name: rank_of(path, name)) for name in METHODS}
    ways["numpy"] = lambda: np.linalg.svd(np.load(path), compute_uv=False)
    seconds, results = turns(ways, 3)
    for name in METHODS:
        ratio = np.median([y / x for x, y in zip(seconds[name], seconds["numpy"])])
        print(f"{m} x {n} {name:18} {np.median(seconds[name]):8.2f} s  rank {results[name]} of {k}  NumPy's values "
              f"{np.median(seconds['numpy']):.2f} s, ratio {ratio:.2f}", flush=True)
