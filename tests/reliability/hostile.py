#!/usr/bin/env python3
"""Files of a hundred hostile kinds: each gives status 2 (or 3, or success) and one sentence, never a crash or a hang.

  hostile.py LODE

Valid files of the command's own making are cut at every eighth, have bytes replaced, grown or repeated, lie about their
sizes; others are written by hand: members twice, shapes that overflow, a glob with one odd file, files that grow or vanish
while they are read. Best run with a command built with sanitizers."""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
import zipfile

lode = os.path.abspath(sys.argv[1])
warnings.simplefilter("ignore")  # of the member that is there twice
faults, seen = [], {"0": 0, "2": 0, "3": 0}


def call(folder, *words):
    known = os.path.join(folder, ".leaks")  # what these libraries themselves lose of a damaged file
    with open(known, "w") as f:
        f.write("leak:libhdf5\nleak:libnetcdf\n")
    return subprocess.run([lode, *words], capture_output=True, text=True, errors="replace", cwd=folder, timeout=120,
                          env={**os.environ, "LSAN_OPTIONS": f"suppressions={known}:print_suppressions=0"})


def judge(kind, done, sentence=None, status=None):
    said = [line for line in done.stderr.splitlines() if line.startswith("lode: ")]
    well = done.returncode in (0, 2, 3) and (done.returncode != 2 or len(said) == 1)
    if status is not None and done.returncode not in status:
        well = False
    if sentence and sentence not in done.stderr:
        well = False
    if not well:
        faults.append(f"{kind}: status {done.returncode}: {done.stderr[:400]}")
    else:
        seen[str(done.returncode)] += 1


def npy(shape, data=b"\0" * 64, descr="<f8"):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + data


def tensors(head, data=b"\0" * 32):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def by_hand():
    """(kind, file name, bytes)"""
    for name, shape in {"overflow": "(4294967296, 4294967296)", "negative": "(-3, 4)", "huge": "(9223372036854775807,)",
                        "zero huge": "(0, 9223372036854775807, 9)", "many axes": "(" + "1," * 40 + ")", "words": "('a',)",
                        "short data": "(100,)", "deep": "(" * 5000}.items():
        yield f"npy {name}", "x.npy", npy(shape)
    yield "npy objects", "x.npy", npy("(2,)", descr="|O")
    yield "npy long header", "x.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 0xFFFFFFFF) + b"{}"
    t = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    for name, change in {"overlap": {"b": t}, "outside": {"b": {**t, "data_offsets": [16, 1 << 60]}}, "backwards": {"b": {**t, "data_offsets": [16, 0]}},
                         "overflow": {"b": {**t, "shape": [1 << 40, 1 << 40]}}, "negative": {"b": {**t, "shape": [-2, 2]}},
                         "type": {"b": {**t, "dtype": "F33"}}, "hole": {"b": {**t, "data_offsets": [20, 36]}}}.items():
        yield f"safetensors {name}", "x.safetensors", tensors({"a": t, **change})
    twice = json.dumps({"a": t})[:-1] + ', "a": ' + json.dumps(t) + "}"
    yield "safetensors member twice", "x.safetensors", tensors(twice.encode())
    yield "safetensors header beyond the file", "x.safetensors", struct.pack("<Q", 1 << 62) + b"{}"
    yield "safetensors deep", "x.safetensors", tensors(b'{"a":' * 3000)
    yield "lode deep", "x.lode", tensors(b"[" * 100000)
    for name, members in {"twice": [("x.npy", npy("(8,)")), ("x.npy", npy("(8,)"))], "upwards": [("../x.npy", npy("(8,)"))],
                          "empty": [], "no array": [("x.npy", b"hello")]}.items():
        b = io.BytesIO()
        with zipfile.ZipFile(b, "w") as z:
            for n, data in members:
                z.writestr(n, data)
        yield f"npz {name}", "x.npz", b.getvalue()
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x.npy", npy("(8000000,)", b"\0" * 64000000))
    yield "npz bomb cut", "x.npz", b.getvalue()[:-30]
    yield "csv ragged", "x.csv", b"1,2,3\n4,5\n"
    yield "csv words", "x.csv", b"a,b\n1,2\nx,3\n"
    yield "csv one line without end", "x.csv", b"1," * 200000
    yield "csv quote without end", "x.csv", b'1,"2\n' * 500
    yield "csv zero bytes", "x.csv", b"1,2\n\0\0\0\n"
    yield "mtx beyond", "x.mtx", b"%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 5\n"
    yield "mtx overflow", "x.mtx", b"%%MatrixMarket matrix array real general\n4000000000 4000000000\n1\n"
    yield "mtx twice", "x.mtx", b"%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 5\n1 1 6\n"
    yield "mtx few", "x.mtx", b"%%MatrixMarket matrix coordinate real general\n2 2 9\n1 1 5\n"
    yield "tns negative", "x.tns", b"-1 2 5\n"
    yield "pgm huge", "x.pgm", b"P5 99999999 99999999 255\n123"
    yield "pgm no maximum", "x.pgm", b"P5 2 2 0\n1234"
    yield "png header alone", "x.png", b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1 << 30, 1 << 30, 8, 0, 0, 0, 0)
    yield "gguf many", "x.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60)
    yield "fits endless header", "x.fits", b"SIMPLE  =                    T".ljust(80) * 360
    yield "netcdf classic lies", "x.nc", b"CDF\1" + b"\xff" * 200
    for suffix in ("npy", "npz", "lode", "safetensors", "csv", "mtx", "mat", "h5", "nc", "png", "tns", "gguf", "fits", "nii", "cfl"):
        yield f"empty {suffix}", f"x.{suffix}", b""


def mutilations(data):
    for part in range(1, 8):
        yield f"cut at {part}/8", data[:len(data) * part // 8]
    yield "one byte short", data[:-1]
    yield "one byte more", data + b"\0"
    yield "twice", data + data
    yield "zeros in the head", data[:8] + b"\0" * 8 + data[16:]
    yield "ones in the head", data[:8] + b"\xff" * 8 + data[16:]
    yield "zeros in the middle", data[:len(data) // 2] + b"\0" * 64 + data[len(data) // 2 + 64:]
    yield "largest numbers", data.replace(struct.pack("<q", 12), struct.pack("<q", 2**63 - 1)).replace(b"12", b"99")


def moving(folder):
    """Files that change while they are read."""
    path = os.path.join(folder, "big.npy")

    def write(n):
        with open(path, "wb") as f:
            f.write(npy(f"({n},)", os.urandom(8) * n))

    for kind, act in {"vanishes": lambda: os.remove(path), "shrinks": lambda: os.truncate(path, 4000),
                      "grows": lambda: open(path, "ab").write(b"x" * 100000), "is replaced": lambda: (os.remove(path), write(10))}.items():
        for delay in (0.0, 0.01, 0.03, 0.1):
            write(2000000)
            t = threading.Timer(delay, act)
            t.start()
            done = call(folder, "convert", "big.npy", "out.lode", "--force")
            t.join()
            said = [line for line in done.stderr.splitlines() if line.startswith("lode: ")]
            # a file that shrank under the reader is lost, which is a failure of its own
            if done.returncode not in (0, 1, 2) or (done.returncode and len(said) != 1):
                faults.append(f"file that {kind} after {delay} s: status {done.returncode}: {done.stderr[:300]}")
            else:
                seen["0" if done.returncode == 0 else "2"] += 1
        yield kind


def globs(folder):
    for k, shape in enumerate(["(4, 2)", "(4, 2)", "(3, 2)", "(4, 2)"]):
        with open(os.path.join(folder, f"part{k}.npy"), "wb") as f:
            f.write(npy(shape, b"\0" * 64 if k != 2 else b"\0" * 48))
    judge("glob with an odd file", call(folder, "convert", "part*.npy", "out.npy", "--force"), "part2.npy is", (2,))
    judge("glob of nothing", call(folder, "convert", "none*.npy", "out.npy", "--force"), None, (2,))
    with open(os.path.join(folder, "part2.npy"), "wb") as f:
        f.write(npy("(4, 2)", b"\0" * 32, descr="<f4"))
    judge("glob with another type", call(folder, "convert", "part*.npy", "out.npy", "--force"), "part2.npy is", (2,))


def main():
    kinds = set()
    with tempfile.TemporaryDirectory() as folder:
        at = lambda n: os.path.join(folder, n)
        for kind, name, data in by_hand():
            with open(at(name), "wb") as f:
                f.write(data)
            judge(kind, call(folder, "convert", name, "out.npy", "--force"))
            kinds.add(kind)
            os.remove(at(name))
        call(folder, "make", "lowrank", "--shape", "12,30", "--rank", "3", "-o", "m.npy")
        call(folder, "compress", "m.npy", "--error", "1e-2", "-o", "c.lode")
        for name in ("m.npy", "m.npz", "m.safetensors", "c.lode", "m.lode", "m.csv", "m.mtx", "m.mat", "m.nc", "m.cdf", "m.tns"):
            if not os.path.exists(at(name)) and call(folder, "convert", "m.npy", name).returncode:
                continue
            with open(at(name), "rb") as f:
                data = f.read()
            for what, changed in mutilations(data):
                with open(at("bad" + name), "wb") as f:
                    f.write(changed)
                kind = f"{os.path.splitext(name)[1]}, {what}"
                judge(f"{name}, {what}", call(folder, "convert", "bad" + name, "out.npy", "--force"))
                kinds.add(kind)
        globs(folder)
        kinds.update(("odd file in a glob", "glob of nothing", "another type in a glob"))
        kinds.update(moving(folder))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(kinds)} kinds, {sum(seen.values()) + len(faults)} files: {seen['0']} read, {seen['2']} refused in one sentence, "
          f"{seen['3']} read in part, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
