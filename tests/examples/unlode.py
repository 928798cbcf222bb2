#!/usr/bin/python3
"""examples/unlode.c against files of lode compress: exact records bit for bit, predictions too, transforms within
rounding, the certificate's error; and damage is named.

usage: unlode.py LODE [CC FLAGS...]        (the built command; the compiler, cc -std=c11 -O2 if not given)
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

LODE = sys.argv[1]
CC = sys.argv[2:] or ["cc", "-std=c11", "-O2"]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "unlode.c")
rng = np.random.default_rng(11)
seen, met = set(), set()  # what the files had in them
checks = 0


def call(*words, status=0):
    p = subprocess.run(words, capture_output=True, text=True, errors="replace")
    assert p.returncode == status, (words, p.returncode, p.stdout, p.stderr)
    return p.stderr


def header(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(size))
        return json.loads(head["__metadata__"]["lode"]), head, 8 + size


def number(data, at):
    """An integer of a record, and where the next one is."""
    v = shift = 0
    while True:
        v |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return (v >> 1) ^ -(v & 1), at


def kinds(path):
    """0 exact, 1 transform, 2 prediction, 3 train, of each block; whether the arithmetic is f64. What else is in it goes to `met`."""
    head, data = header(path)[1:]
    with open(path, "rb") as f:
        raw = f.read()[data:]
    found = []
    for name, t in head.items():
        if name.startswith("coded."):
            record = raw[t["data_offsets"][0]:t["data_offsets"][1]]
            version, at = number(record, 0)
            limit, at = number(record, at)
            kind, at = number(record, at)
            wide, more = number(record, at)
            found.append((kind, kind and wide))
            if kind:
                folds, more = number(record, more)
                met.add(("missing", number(record, more)[0]))
                met.add(("tiles", kind == 1 and folds > 1))
            else:  # the first number of an exact block is the length of its values
                met.add(("value of exact", more + wide + 8 < len(record)))
            met.add(("even sides", limit < 0))
            met.add(("no thin slabs", limit == 1))
    met.add(("segments", head["segments"]["shape"][0] if "segments" in head else 0))
    return found


def store(path, x, bf16):
    if not bf16:
        return np.save(path, x)
    half = (x.view(np.uint32) >> 16).astype("<u2")  # values are bf16 already
    head = json.dumps({"x": {"dtype": "BF16", "shape": list(x.shape), "data_offsets": [0, half.nbytes]}}).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + half.tobytes())


def try_one(x, *options, bf16=False, axis=0, ends=()):
    """ends: where parts end that are added one by one, along the axis."""
    global checks
    checks += 1
    what = (x.dtype, x.shape, options, axis, ends)
    source = os.path.join(folder, "x.safetensors" if bf16 else "x.npy")
    packed, ours, theirs = (os.path.join(folder, n) for n in ("x.lode", "ours.npy", "theirs.npy"))
    first, *parts = np.split(x, ends, axis) if ends else [x]
    store(source, first, bf16)
    status = subprocess.run([LODE, "compress", source, *options, *(["--axis", str(axis)] if ends else []), "-o", packed, "--force",
                             "--quiet"], capture_output=True)
    assert status.returncode in (0, 3), (what, status.stderr)
    for part in parts:
        store(source, part, bf16)
        status = subprocess.run([LODE, "update", packed, source, "-o", packed, "--force", "--quiet"], capture_output=True)
        assert status.returncode in (0, 3), (what, status.stderr)
    call(UNLODE, packed, ours)
    call(LODE, "convert", packed, theirs, "--force", "--quiet")
    a, b = np.load(ours), np.load(theirs)
    assert a.dtype == b.dtype and a.shape == b.shape == x.shape, (what, a.dtype, b.dtype, a.shape)
    records, certificate = kinds(packed), header(packed)[0].get("certificate", {})
    seen.update((*r, bf16 or x.dtype.str) for r in records)
    if all(kind == 0 for kind, wide in records):
        assert a.tobytes() == x.tobytes(), (what, "exact values differ")
        return
    missing = np.isnan(x)
    for o, v in zip(options, options[1:]):
        if o == "--missing" and v == "inf":
            missing = ~np.isfinite(x)
        elif o == "--missing" and v not in ("nan", "none"):
            missing = x == x.dtype.type(float(v))
    parts = [v[missing].view(v.real.dtype) for v in (a, b, x)]  # of a complex value, one may be known
    known = np.isfinite(parts[2]) & (x.dtype.kind == "c")
    assert np.array_equal(parts[0][~known], parts[1][~known], equal_nan=True), (what, "missing values differ")
    a, b, x = a[~missing], b[~missing], x[~missing]
    if all(kind in (0, 2) for kind, wide in records):
        assert a.tobytes() == b.tobytes(), (what, "predictions differ", abs(a - b).max())
    wide = max(records)[1]
    kind, short = x.dtype.kind, x.dtype == np.float16
    real = np.complex128 if kind == "c" else float
    x, a, b = x.astype(real), a.astype(real), b.astype(real)
    reals = lambda v: v.view(float)
    norm_of = (lambda v: abs(reals(v)).max(initial=0)) if certificate["norm"] == "maximum" else np.linalg.norm
    # Lode sums in f32 where that does; a few units in the last place of the largest value, which whole numbers and
    # short types may turn into a step of their own
    ulp = (2.0**-52 if wide else 2.0**-23) * abs(reals(x)).max(initial=0)
    difference = abs(reals(a) - reals(b))
    size = np.maximum(abs(reals(a)), abs(reals(b)))
    steps = {"i": 1, "u": 1, "b": 1}.get(kind, 2.0**-7 * size if bf16 else 2.0**-10 * size if short else 0)
    error = abs(reals(x) - reals(a)).max(initial=0)
    far = difference > max(1e-5 * error, 32 * ulp)
    worst.append((difference.max(initial=0) / max(ulp, 1e-300), what, wide))
    assert not np.any(difference[far] > 1.001 * np.broadcast_to(steps, far.shape)[far]), \
        (what, "values differ", difference.max() / ulp)
    assert far.mean() < 0.01 if far.size else True, (what, far.mean())
    unit = 1 if not certificate["relative"] else np.ptp(reals(x)) if certificate["norm"] == "maximum" else norm_of(x)
    reached = norm_of(x - a)
    slack = 64 * ulp if certificate["norm"] == "maximum" else 8 * ulp
    if kind in "iub" or bf16 or short:  # roundings that fall to the other side are part of what differs
        slack += norm_of(a - b)
    assert reached <= certificate["absolute"] * (1 + 1e-6) + slack, (what, reached, certificate)
    looseness.append((reached / max(certificate["absolute"], 1e-300) - 1, what))


def waves(*shape):
    """Smooth, with a ridge and a little noise."""
    grid = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    r = sum((k + 1) * g for k, g in enumerate(grid))
    return np.sin(5 * r) * np.cos(3 * grid[0]) + 0.3 * np.tanh(20 * (grid[-1] - 0.6)) + 1e-3 * rng.standard_normal(shape)


def products(*shape, rank=4):
    """A sum of a few products, with noise: what learned bases are for."""
    x = 1e-3 * rng.standard_normal(shape)
    for r in range(rank):
        part = np.ones(())
        for n in shape:
            part = np.multiply.outer(part, np.cumsum(rng.standard_normal(n)) / np.sqrt(n))
        x = x + part / 2**r
    return x


def walk(n):
    return np.cumsum(rng.standard_normal(n))


def with_holes(x, hole):
    y = x.copy()
    y.reshape(-1)[rng.random(y.size) < 0.02] = hole
    y[: y.shape[0] // 4, : y.shape[1] // 3] = hole
    return y


worst, looseness = [], []
folder_object = tempfile.TemporaryDirectory()
folder = folder_object.name
UNLODE = os.path.join(folder, "unlode")
call(*CC, SOURCE, "-o", UNLODE, "-lm")


def run():
    f4, f8 = "f4", "f8"
    # every method at every effort
    for method in ("auto", "tucker", "svd", "dct", "wavelet", "predict", "lossless", "tt"):
        for effort in ("1", "5", "9"):
            for x in (waves(40, 31, 22).astype(f4), products(60, 50, rank=6).astype(f4)):
                try_one(x, "--method", method, "--effort", effort)
        if method != "lossless":
            try_one(products(30, 20, 25), "--method", method, "--error", "1e-6")
    # every kind of error, and sizes
    for error in ("1e-2", "1e-5:rel", "0.05:fro", "0.01:max", "1e-3:maxrel", "60:psnr", "1e-9", "1e-14"):
        for x in (waves(50, 60).astype(f4), waves(50, 60)):
            try_one(x, "--error", error)
    for effort in ("1", "5"):
        for method in ("dct", "tucker", "predict"):
            try_one(waves(64, 70).astype(f4), "--error", "0.002:max", "--method", method, "--effort", effort)
    for budget in ("4K", "bits=8", "params=900"):
        try_one(waves(70, 80).astype(f4), "--budget", budget)
    try_one(products(70, 80).astype(f4), "--rank", "5")
    try_one(products(30, 20, 25).astype(f4), "--rank", "3,4,5")
    try_one(products(200, 12, rank=10).astype(f4), "--rank", "12", "--error", "none")
    # from no axis to many, some of length 1, some of none
    for shape in ((), (1,), (2,), (0,), (3, 0, 2), (7,), (1, 1, 1), (100, 1, 90), (40, 50), (20, 18, 22), (12, 9, 11, 10),
                  (8, 7, 6, 5, 9), (5,) * 6, (2,) * 10, (3, 2, 2, 2, 2, 2, 2, 2, 5, 2)):
        for method in ("auto", "dct", "wavelet", "tucker", "predict", "tt"):
            x = waves(*shape) if len(shape) and 0 not in shape else np.ones(shape)
            try_one(x.astype(f4), "--method", method)
    # long axes fold, some of them lengthened; long vectors are coded as rows by the fast coder
    for n in (3000, 5003, 300000):
        for effort in ("1", "5"):
            try_one(np.sin(np.arange(n) / 40.).astype(f4) + 0.1 * walk(n).astype(f4), "--effort", effort, "--error", "1e-3")
        try_one(walk(n), "--method", "dct", "--effort", "2")
    try_one(walk(200000), "--method", "predict", "--error", "0.01:max")
    try_one(products(2500, 12).astype(f4), "--method", "tucker")
    # tiles
    for shape in ((200, 190), (190, 200, 3), (70, 61, 66)):
        grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
        x = sum(np.sin((0.9 + k) * g) for k, g in enumerate(grid)) * np.all([g // 40 % 3 == 1 for g in grid[:2]], axis=0)
        for t, error in ((f4, "0.1"), (f8, "0.05"), (f4, "0.2:max")):
            try_one((x + 1e-3 * waves(*shape)).astype(t), "--error", error)
    # evenly spaced reals: whole numbers, decimals, with NaN and -0
    for t in (f4, f8):
        for steps in (1, 100, 1 / 25, 2**12):
            x = np.rint(steps * 60 * waves(50, 44)) / steps
            try_one(x.astype(t), "--method", "lossless")
            try_one(x.astype(t), "--error", "1e-6")
            try_one(with_holes(np.where(x == 0, -0.0, x), np.nan).astype(t), "--method", "lossless")
    try_one((np.rint(9 * waves(50, 44)) + 1j * np.rint(10 * waves(50, 44)) / 10).astype("c8"), "--method", "lossless")
    # types
    for t in "i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16 ?".split():
        x = waves(50, 44)
        if t == "?":
            x = x > 0
        elif t[0] in "iu":
            x = np.rint(x * 60 + (60 if t[0] == "u" else 0)).clip(0 if t[0] == "u" else -128)
        elif t[0] == "c":
            x = x + 1j * waves(50, 44)[::-1]
        for options in (("--method", "lossless"), ("--error", "1e-2"), ("--error", "0.7:max"), ("--method", "predict", "--error",
                        "0.02:rel"), ("--method", "tucker", "--error", "0.01"), ("--effort", "1", "--error", "0.03")):
            try_one(x.astype(t), *options)
    for t in ("i8", "u8", "f8", "c16", "i4"):
        x = rng.integers(0, 256, (31, 8 * 5 * (2 if t == "c16" else 1)), dtype=np.uint8).view(t)
        try_one(x if x.dtype.kind in "iu" else np.nan_to_num(x), "--method", "lossless")
    bf16 = (waves(40, 50).astype(f4).view(np.uint32) & 0xffff0000).view(f4)
    for options in (("--method", "lossless"), ("--error", "0.01"), ("--error", "0.02:max"), ("--method", "predict")):
        try_one(bf16, *options, bf16=True)
    odd = np.float32([[np.nan, np.inf, -np.inf, -0.0], [0.0, 1e-45, -1e38, 1.5]])
    odd.view(np.uint32)[0, 0] |= 0x1234
    try_one(odd, "--method", "lossless")
    # missing values
    for effort in ("1", "5"):
        for method in ("auto", "dct", "tucker", "predict"):
            for t in (f4, f8):
                for hole in (np.nan, -999.0):
                    missing = "nan" if np.isnan(hole) else str(hole)
                    try_one(with_holes(waves(40, 60).astype(t), hole), "--missing", missing, "--method", method, "--effort",
                            effort)
        try_one(with_holes(waves(40, 60).astype(f4), np.nan), "--error", "0.01:max", "--effort", effort)
    try_one(with_holes(waves(40, 60).astype(f4), np.nan), "--method", "lossless")
    try_one(with_holes(np.rint(100 * waves(40, 60)).astype("i2"), -32768), "--missing", "-32768", "--error", "0.02")
    # blocks
    for block in ("1024", "3000", "100000"):
        try_one(waves(40, 30, 25).astype(f4), "--block", block)
        try_one(waves(40, 30).astype(f4) + 1j * waves(40, 30).astype(f4), "--block", block, "--error", "1e-2")
    try_one(with_holes(waves(90, 60).astype(f4), np.nan), "--block", "1024", "--effort", "2")
    # blocks with even sides
    for shape, block in (((40, 30, 25), "1024"), ((200, 3, 17), "1500"), ((61, 153), "1100"), ((5000,), "1777"), ((9, 8, 7, 6, 5), "1024"),
                         ((70, 1, 90), "2048"), ((2, 3000), "1024"), ((50, 40), "100000"), ((13,) * 4, "1300"), ((0, 5), "2000"), ((), "1024")):
        for t in (f4, "c8"):
            x = waves(*shape) if shape and 0 not in shape else np.ones(shape)
            try_one(x.astype(t), "--access", "chunk", "--block", block, "--error", "1e-2")
    try_one(waves(300, 40, 50).astype(f4), "--access", "chunk")
    try_one(np.rint(90 * waves(45, 38)).astype("i2"), "--access", "chunk", "--block", "1024", "--method", "lossless")
    try_one(with_holes(waves(90, 60).astype(f4), np.nan), "--access", "chunk", "--block", "1700", "--effort", "2")
    # exact blocks with a missing value
    for t in (f4, f8, "i2", "c8"):
        for options in (("--method", "lossless"), ("--method", "lossless", "--block", "1024"), ("--block", "1024", "--error", "0.01")):
            x = with_holes(np.rint(8 * waves(40, 60)).astype(t), 0)
            x[20:30] = 0
            try_one(x, "--missing", "0", *options)
    # infinities and NaN, both or one of them, all signs
    for t in (f4, f8, "f2"):
        for method in ("auto", "dct", "tucker", "predict"):
            x = with_holes(with_holes(waves(40, 60), np.inf)[:, ::-1], -np.inf)[::-1].astype(t)
            try_one(x, "--missing", "inf", "--method", method, "--error", "1e-2")
            try_one(with_holes(x, np.nan), "--missing", "inf", "--method", method, "--error", "0.05:max")
            try_one(with_holes(x, np.nan), "--missing", "inf", "--method", method, "--block", "1024", "--effort", "1")
    pairs = np.stack([with_holes(waves(40, 60), np.nan), with_holes(waves(40, 60), np.inf)], -1).astype(f4)
    try_one(pairs.view("c8")[:, :, 0], "--missing", "inf")
    # parts added, along the first axis and others; also with blocks, holes, of other types
    for axis, ends in ((0, (24,)), (0, (10, 20, 33)), (1, (30, 31)), (2, (5, 15))):
        for options in ((), ("--block", "3000"), ("--access", "chunk", "--block", "1500"), ("--method", "predict"),
                        ("--method", "lossless"), ("--error", "0.01:max", "--effort", "1")):
            try_one(waves(40, 36, 22).astype(f4), *options, axis=axis, ends=ends)
        try_one((waves(40, 36, 22) + 1j * waves(40, 36, 22)).astype("c8"), "--block", "2000", axis=axis, ends=ends)
        holes = with_holes(waves(40, 36, 22), np.nan)
        try_one(holes, "--error", "1e-3", axis=axis, ends=ends)
        try_one(holes.astype(f4), "--access", "chunk", "--block", "1900", "--method", "dct", axis=axis, ends=ends)
        try_one(with_holes(holes, -np.inf), "--missing", "inf", axis=axis, ends=ends)
        try_one(with_holes(np.rint(100 * holes[:, :, :9]), -1), "--missing", "-1", "--method", "lossless", axis=min(axis, 1), ends=(7, 20))
    try_one(np.rint(90 * waves(30, 40)).astype("i2"), "--error", "0.02", axis=-1, ends=(10, 11, 12, 30))
    try_one(walk(3000), "--error", "1e-3", ends=(1000, 2500))
    try_one(bf16, "--error", "0.01", bf16=True, ends=(13,))
    # symbols of every size: noise at fine steps, spikes
    for effort in ("1", "5"):
        for error in ("1e-2", "1e-5", "1e-8"):
            try_one(rng.standard_normal((60, 70)), "--method", "dct", "--error", error, "--effort", effort)
            spikes = rng.standard_cauchy((60, 70))**3
            try_one(spikes.astype(f4), "--method", "dct", "--error", error, "--effort", effort)
            try_one(spikes, "--method", "predict", "--error", error, "--effort", effort)
    # larger than one block, rows so large that blocks would be thin
    large = np.zeros((17, 1000, 1000))
    large[rng.integers(17, size=50), rng.integers(1000, size=50), rng.integers(1000, size=50)] = rng.standard_normal(50)
    try_one(large, "--method", "lossless", "--effort", "1")
    # what was met on the way
    for kind in (0, 1, 2):
        for wide in (0, 1) if kind else (0,):
            assert any(s[:2] == (kind, wide) for s in seen), ("no record of kind", kind, wide)
    for feature in (("tiles", True), ("even sides", True), ("no thin slabs", True), ("value of exact", True), *(("missing", k) for k in range(4)), ("segments", 2), ("segments", 5)):
        assert feature in met, ("no file with", feature)


def damage(parts):
    """Every byte counts, but for padding: what is damaged is said in one sentence, and nothing is written."""
    x = waves(30, 100).astype("f4")
    source, packed, bad, out = (os.path.join(folder, n) for n in ("x.npy", "x.lode", "bad.lode", "out.npy"))
    np.save(source, x)
    call(LODE, "compress", source, "-o", packed, "--access", "chunk", "--block", "1024", "--force", "--quiet")
    for part in range(parts):
        call(LODE, "update", packed, source, "-o", packed, "--force", "--quiet")
    with open(packed, "rb") as f:
        whole = f.read()
    data = header(packed)[2]
    places = list(range(0, 8)) + [data + k for k in (0, 1, 5, 40)] + [len(whole) - 1]
    places += [int(k) for k in rng.integers(8, len(whole), 40)]
    tensors = header(packed)[1]
    padding = [data + at for name, t in tensors.items() if name.startswith("__pad.") for at in range(*t["data_offsets"])]
    for place in sorted(set(places) - set(padding)):
        with open(bad, "wb") as f:
            f.write(whole[:place] + bytes([whole[place] ^ 1 << rng.integers(8)]) + whole[place + 1:])
        text = call(UNLODE, bad, out, status=2)
        assert text.count("\n") == 1 and text.startswith("unlode: "), text
        assert place < data or "member" in text, text
        assert not os.path.exists(out), "a file was left"
    for size in [0, 1, 7, 8, 60, data - 1, data, len(whole) - 1]:
        with open(bad, "wb") as f:
            f.write(whole[:size])
        assert call(UNLODE, bad, out, status=2).count("\n") == 1
    call(UNLODE, os.path.join(folder, "none"), out, status=2)
    call(UNLODE, packed, os.path.join(folder, "none", "x"), status=1)
    call(LODE, "svd", source, "--rank", "3", "-o", bad, "--force", "--quiet")
    assert "not of compress" in call(UNLODE, bad, out, status=2)


def several():
    """One variable of a file that holds several, coded or kept as it is."""
    x = np.sin(np.arange(6000).reshape(60, 100) / 37)
    values = {"T": x.astype("f4"), "T2": x, "g.z": (x + 1j).astype("c8"), "small": np.arange(5), "flag": x[:3, :4] > 0}
    np.savez(os.path.join(folder, "m.npz"), t=np.array("text"), **values)
    model, out = os.path.join(folder, "m.lode"), os.path.join(folder, "member.npy")
    call(LODE, "compress", os.path.join(folder, "m.npz"), "--error", "T2=1e-3:max,*=1e-2", "-o", model, "--force", "--quiet")
    for name, a in values.items():
        call(UNLODE, model, out, name)
        b = np.load(out)
        assert b.dtype == a.dtype and b.shape == a.shape, (name, b.dtype, b.shape)
        e = np.abs(b - a).max() if a.dtype.kind != "b" else np.sum(a != b)
        assert e <= {"T2": 1e-3, "small": 0, "flag": 0}.get(name, 0.1), (name, e)
        os.remove(out)
    assert "    T2\n" in call(UNLODE, model, out, status=1)
    assert "no variable U" in call(UNLODE, model, out, "U", status=2)
    assert "is no array" in call(UNLODE, model, out, "t", status=2)
    tensors, data = header(model)[1:]
    with open(model, "r+b") as f:
        at = data + tensors["T2.coded.0"]["data_offsets"][0] + 20
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 8]))
    assert "damaged" in call(UNLODE, model, out, "T2", status=2)
    call(UNLODE, model, out, "T")


run()
several()
damage(0)
damage(2)
if "-v" in os.environ.get("UNLODE_TEST", ""):
    for line in sorted(worst, key=lambda w: -w[0])[:12]:
        print("ulps", line)
    for line in sorted(looseness, key=lambda w: -w[0])[:8]:
        print("over", line)
print(f"{checks} files unpacked")
