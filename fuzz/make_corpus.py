#!/usr/bin/python3
"""Writes the first seeds of fuzz/corpus; what fuzzing adds is kept beside them.

usage: make_corpus.py LODE        (the built command, for .lode files)
"""
import json
import os
import struct
import subprocess
import sys

import numpy as np
import scipy.io
import scipy.sparse

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def path(kind, name):
    os.makedirs(os.path.join(root, kind), exist_ok=True)
    return os.path.join(root, kind, name)


def put(kind, name, data):
    with open(path(kind, name), "wb") as f:
        f.write(data)


a = np.arange(6).reshape(2, 3)
for name, x in {"f8": a / 3, "fortran": np.asfortranarray(a * 1.5), "big": a.astype(">i2"), "bool": a > 2, "complex": a * 1j,
                "scalar": np.float32(1), "empty": np.zeros((0, 4)), "text": np.array("abc"), "bytes": np.array(b"abc"),
                "record": np.zeros(2, [("a", "f4"), ("b", "i4", (2,))])}.items():
    np.save(path("npy", name), x)
    os.rename(path("npy", name + ".npy"), path("npy", name))
for version in ((2, 0), (3, 0)):
    with open(path("npy", f"version{version[0]}"), "wb") as f:
        np.lib.format.write_array(f, a, version=version)

for save in (np.savez, np.savez_compressed):
    with open(path("npz", save.__name__), "wb") as f:
        save(f, x=a, y=a > 1)
for kind in ("csr", "csc", "coo"):
    m = scipy.sparse.random(4, 5, 0.3, kind, random_state=1)
    with open(path("npz", kind), "wb") as f:
        scipy.sparse.save_npz(f, m, compressed=kind == "csr")
    scipy.io.mmwrite(path("mtx", kind + ".mtx"), m)
    os.rename(path("mtx", kind + ".mtx"), path("mtx", kind))
for name, x in {"array": a, "symmetric": a.T @ a, "complex": a * 1j, "skew": np.array([[0, -1.5], [1.5, 0]])}.items():
    scipy.io.mmwrite(path("mtx", name + ".mtx"), x)
    os.rename(path("mtx", name + ".mtx"), path("mtx", name))

put("csv", "plain", b"1,2,3\n4,5,6\n")
put("csv", "named", b'# comment\nx,"y, z",w\n1,-2e-3,\nNA,nan,"6"\r\n')

head = {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [24, 30]}, "q": {"dtype": "F8_E4M3", "shape": [2],
        "data_offsets": [30, 32]}, "e": {"dtype": "I64", "shape": [0, 7], "data_offsets": [32, 32]}}
text = json.dumps(head).encode()
put("safetensors", "plain", struct.pack("<Q", len(text)) + text + bytes(range(32)))

for version in (1, 2):
    with scipy.io.netcdf_file(path("netcdf", f"version{version}"), "w", version=version) as f:
        f.title = "seed"
        f.createDimension("t", None)
        f.createDimension("x", 3)
        v = f.createVariable("v", "f4", ("t", "x"))
        v[:] = np.ones((2, 3))
        v.units = "m"
        f.createVariable("x", "i2", ("x",))[:] = [1, 2, 3]

for i, text in enumerate(["0:3", "-1,::2", "...,5", "1,2,3", "3:0:-1,:", "0:9223372036854775807"]):
    put("address", f"slice{i}", bytes([3, 4, 5, 6, 7]) + text.encode())

if len(sys.argv) > 1:
    for kind in ("npz/savez", "npz/csr"):
        name = kind.split("/")[1]
        target = path("lode", name + ".lode")
        subprocess.run([sys.argv[1], "convert", os.path.join(root, kind), target, "--force"], check=True)
        os.rename(target, path("lode", name))
    # records: type, axes, lengths, then what stands before the checksum
    y, z = np.mgrid[0:20, 0:30]
    field = (np.sin(y / 5) * np.cos(z / 7) + (y * z > 200)).astype("f4")
    holes = np.where(y > 15, np.nan, field).astype("f8")
    for method in ("dct", "tucker", "predict", "lossless"):
        for code, x in ((0, field), (1, holes)):
            source, target = path("record", "x.npy"), path("record", "x.lode")
            np.save(source, x)
            error = [] if method == "lossless" else ["--error", "1e-2:max"]
            subprocess.run([sys.argv[1], "compress", source, "--method", method, *error, "-o", target, "--force"],
                           check=True, stderr=subprocess.DEVNULL)
            with open(target, "rb") as f:
                data = f.read()
            n = struct.unpack("<Q", data[:8])[0]
            start, end = json.loads(data[8:8 + n])["coded.0"]["data_offsets"]
            put("record", f"{method}{code}", bytes([code, 2, *x.shape]) + data[8 + n + start:8 + n + end - 8])
            os.remove(source)
            os.remove(target)
