#!/usr/bin/python3
"""Writes the first seeds of fuzz/corpus; what fuzzing adds is kept beside them.

usage: make_corpus.py LODE        (the built command, for .lode files)
"""
import gzip
import json
import os
import struct
import subprocess
import sys
import zlib

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
put("mtx", "columns", b"%%MatrixMarket matrix array real general\n0 3000000000000000\n")

put("csv", "plain", b"1,2,3\n4,5,6\n")
put("csv", "semicolons", b'\xef\xbb\xbf"a ""b""";"two\nlines";c\r\n1;NA;\r\n"3";-inf;1e-300')
put("csv", "blanks", b"# x y\n 1  2.5\n\n3\t4\n")
put("csv", "gzip", gzip.compress(b"1,2\n3,4\n", mtime=0) + gzip.compress(b"5,6\n", mtime=0))
put("csv", "named", b'# comment\nx,"y, z",w\n1,-2e-3,\nNA,nan,"6"\r\n')

put("tns", "plain", b"# FROSTT\n1 1 1 2.5\n3 2 4 -1e3\n\n2 1 1 nan\n")
put("tns", "zero", b"0 1 7\r\n2 0 8")
put("tns", "shape", b"# shape: 4 4\n2 3 1\n")

def png(bits, colour, rows, *more, interlace=0):
    """3 x 2 pixels; rows with their filter bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, bits, colour, 0, 0, interlace)) + b"".join(chunk(*m) for m in more)
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


put("png", "grey", png(8, 0, b"\0\1\2\3\2\11\11\11"))
put("png", "wide", png(16, 0, b"\0\1\2\3\4\5\6\4\xff\xfe\0\0\0\7"))
put("png", "palette", png(4, 3, b"\0\x01\x00\0\x11\x00", (b"PLTE", bytes(6)), (b"tRNS", b"\7\xff")))
put("png", "alpha", png(8, 6, (b"\1" + bytes(range(12))) * 2))
put("png", "bits", png(1, 0, b"\0\xa0\0\x40"))
put("pnm", "p2", b"P2\n# by hand\n3 2 # size\n255\n1 2 3\n4 5 250\n")
put("pnm", "p3", b"P3\r\n2 1\r\n1000\r\n1 2 3 4 5 999")
put("pnm", "p5", b"P5\n3 2\n255\n123456")
put("pnm", "p6", b"P6 1 1 65535\n123456")

for packed in (False, True):
    name = "packed" if packed else "plain"
    scipy.io.savemat(path("mat", name), {"x": a / 3, "z": a[:1] * 1j, "b": a > 2, "t": "abc", "c": np.array([1, "a"], object), "s":
                     scipy.sparse.csc_matrix(a * 1.0)}, appendmat=False, do_compression=packed)
    with open(path("mat", name), "r+b") as f:
        f.write(b"MATLAB 5.0 MAT-file".ljust(116))  # without the time
small = (struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIII", 5, 8, 2, 3) + struct.pack(">HHc3x", 1, 1, b"y")
         + struct.pack(">II6b2x", 1, 6, 1, -2, 3, -4, 5, -6))
put("mat", "small", b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(small)) + small)

def fits(data, *cards):
    text = "".join(c.ljust(80) for c in (*cards, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


put("fits", "plain", fits(a.astype(">i2").tobytes(), "SIMPLE  =                    T / it", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 3",
    "NAXIS2  = 2", "BZERO   = 32768", "OBJECT  = 'a''b'"))
put("fits", "units", fits(b"", "SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0") + fits(b"abcd", "XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 1",
    "NAXIS1  = 4", "BSCALE  = 5.D-1", "BLANK   = 97", "EXTNAME = 'M'") + fits(b"xyz", "XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2",
    "NAXIS1  = 1", "NAXIS2  = 3", "PCOUNT  = 0", "GCOUNT  = 1"))
one = bytearray(352)
struct.pack_into("<i", one, 0, 348), struct.pack_into("<8h", one, 40, 2, 3, 2, 1, 1, 1, 1, 1), struct.pack_into("<2h", one, 70, 4, 16)
struct.pack_into("<3f", one, 108, 352, 0.5, -1), struct.pack_into("4s", one, 344, b"n+1")
put("nifti", "one", bytes(one) + a.astype("<i2").tobytes())
two = bytearray(544)
struct.pack_into(">i8s2h8q", two, 0, 540, b"n+2\0\r\n\032\n", 16, 32, 2, 3, 2, 1, 1, 1, 1, 1), struct.pack_into(">q2d", two, 168, 544, 0, 0)
put("nifti", "two", bytes(two) + a.astype(">f4").tobytes())
put("nifti", "gzip", gzip.compress(bytes(one) + a.astype("<i2").tobytes(), mtime=0))
put("cfl", "plain", b"# Dimensions\n3 2 1 1\n# Command\nphantom\n")
put("cfl", "more", b"# Creator\nBART\n# Dimensions\n1 3 2 1 1 1 1 1 1 1 1 1 1 1 1 1\n")

def gguf(tensors, pairs):
    def text(s):
        return struct.pack("<Q", len(s)) + s
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    body = b""
    for key, kind, value in pairs:
        start += text(key) + struct.pack("<I", kind) + value
    for name, kind, sizes, size in tensors:
        start += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        body += (bytes(range(256)) * 2)[:size].ljust(-(-size // 32) * 32, b"\0")
    return start + bytes(-len(start) % 32) + body


put("gguf", "blocks", gguf([(b"f", 0, (2, 3), 24), (b"h", 1, (3,), 6), (b"q4", 2, (32, 2), 36), (b"q5", 7, (32,), 24), (b"q8", 8, (64,), 68)], []))
put("gguf", "large", gguf([(f"k{k}".encode(), k, (256,), n) for k, n in ((10, 84), (11, 110), (12, 144), (13, 176), (14, 210), (16, 66))],
    [(b"general.name", 8, struct.pack("<Q", 2) + b"ab"), (b"a.list", 9, struct.pack("<IQ2i", 5, 2, 1, -2)), (b"a.f", 12, struct.pack("<d", 0.5)),
     (b"a.deep", 9, struct.pack("<IQIQ", 9, 1, 7, 2) + b"\1\0"), (b"general.alignment", 4, struct.pack("<I", 32))]))

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


def frame(data, kept, members, name="netcdf"):
    """What src/io/frame.h tells of: a head, places, and the bytes that lay there."""
    head = json.dumps({"format": name, "size": len(data), "members": members}).encode()
    places = b"".join(struct.pack("<QQ", at, n) for at, n in kept)
    return b"lodefram" + struct.pack("<QQ", len(head), len(kept)) + head + places + b"".join(data[at:at + n] for at, n in kept)


data = open(path("netcdf", "version1"), "rb").read()
whole = {"v": {"cut": False}, "x": {"cut": False}}
put("frame", "whole", frame(data, [(0, len(data))], whole))
put("frame", "cut", frame(data, [(0, len(data) - 24)], {**whole, "v": {"cut": True}}))
put("frame", "coded", frame(data, [(0, 8), (8, len(data) - 32)], {**whole, "v": {"cut": True, "missing": "nan", "path": "w"}}))
put("frame", "other", frame(data, [(0, 4)], {}, "hdf5"))

try:
    import h5py
except ImportError:
    h5py = None
if h5py:
    def h5(name, **options):
        return h5py.File(path("h5", name), "w", **options)
    for name, version in (("earliest", "earliest"), ("v108", ("v108", "v108"))):
        with h5(name, libver=version) as f:
            f["g/x"], f["c"], f["b"], f["text"] = a * 1.5, a * 1j, a > 2, np.bytes_(b"abc")
    with h5("scales") as f:
        f["x"], f["lat"] = a.astype("f4"), np.arange(2.0)
        f["x"].attrs["units"] = "K"
        f["lat"].make_scale("lat")
        f["x"].dims[0].attach_scale(f["lat"])
    with h5("chunked", libver=("v108", "v108")) as f:
        f.create_dataset("x", data=np.arange(60.0).reshape(6, 10), chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("y", (6, 10), "i2", chunks=(4, 4), fillvalue=-1).attrs["_FillValue"] = np.int16(-1)
    with h5("latest", libver="latest") as f:
        f.create_dataset("x", data=np.arange(60.0).reshape(6, 10), chunks=(4, 4), maxshape=(None, 10))
        f.create_dataset("z", data=np.arange(60).reshape(6, 10), chunks=(4, 4), scaleoffset=0)
    with h5("links") as f:
        f["x"], f["soft"], f["ext"], f["loop"] = a, h5py.SoftLink("/x"), h5py.ExternalLink("o.h5", "/x"), f["/"]
    with h5("refused") as f:
        f["rec"], f["texts"] = np.zeros(2, [("a", "f4"), ("b", "i4")]), np.array(["a", "bb"], "S2")
        f["none"], f["v"] = h5py.Empty("f4"), "text"

for i, text in enumerate(["UWND=1e-3,*=0.05:max", "T=exact,t_*=1e-4:rel", "*=60:psnr=40", "T=", "=1,T=2,T=3", "*t*_m*=1e-2:maxrel"]):
    put("rules", f"rules{i}", text.encode())
for name, data in {"foreign": b"\0lode journal 1\n\0", "head": b"\1", "record": b"\3\5" + bytes(7) + bytes(8) + b"hello" + bytes(8),
                   "torn": b"\1\5" + bytes(20), "two": b"\3" + bytes(24) + b"\5" + bytes(30)}.items():
    put("journal", name, data)

for i, text in enumerate(["0:3", "-1,::2", "...,5", "1,2,3", "3:0:-1,:", "0:9223372036854775807"]):
    put("address", f"slice{i}", bytes([3, 4, 5, 6, 7]) + text.encode())

if len(sys.argv) > 1:
    for kind in ("npz/savez", "npz/csr"):
        name = kind.split("/")[1]
        target = path("lode", name + ".lode")
        subprocess.run([sys.argv[1], "convert", os.path.join(root, kind), target, "--force"], check=True)
        os.rename(target, path("lode", name))
    source, target = path("lode", "m.npz"), path("lode", "m.lode")
    np.savez(source, T=np.sin(np.arange(700.0) / 30), u=np.arange(3))
    subprocess.run([sys.argv[1], "compress", source, "--error", "T=1e-2", "--effort", "1", "-o", target, "--force", "--quiet"], check=True)
    os.rename(target, path("lode", "members"))
    os.remove(source)
    steps = np.add.outer(np.sin(np.arange(12) / 3), np.arange(9) / 5)
    source = path("result", "x.npy")
    np.save(source, steps)
    for name, words in {"svd": "svd --rank 2", "pca": "pca --rank 2", "tucker": "tucker --error 1e-2", "tt": "tt --error 1e-2", "rank": "rank",
                        "compress": "compress --error 1e-2"}.items():
        target = path("result", "t.lode")
        subprocess.run([sys.argv[1], words.split()[0], source, *words.split()[1:], "-o", target, "--force", "--quiet"], check=True)
        os.rename(target, path("result", name))
    os.remove(source)
    with open(path("lode", "members"), "rb") as f:
        put("result", "members", f.read())
    for name in ("npz/savez", "npz/csr"):
        target = path("mat73", name.split("/")[1] + ".mat")
        subprocess.run([sys.argv[1], "convert", os.path.join(root, name), target, "--to", "mat73", "--force"], check=False)
        if os.path.exists(target):
            os.rename(target, target[:-4])
    # records: type, axes, lengths, then what stands before the checksum
    y, z = np.mgrid[0:20, 0:30]
    field = (np.sin(y / 5) * np.cos(z / 7) + (y * z > 200)).astype("f4")
    holes = np.where(y > 15, np.nan, field).astype("f8")
    for method in ("dct", "tucker", "predict", "lossless", "wavelet"):
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
    # whole files for examples/unlode.c: every kind of record, both coders; tests/portable unpacks them on other machines
    rng = np.random.default_rng(5)
    cube = (np.sin(np.add.outer(np.add.outer(np.arange(13) / 4, np.arange(11) / 3), np.arange(12) / 5))
            + 1e-3 * rng.standard_normal((13, 11, 12))).astype("f4")
    flat = (np.outer(np.sin(np.arange(60) / 5), np.cos(np.arange(40) / 9)) + 0.05 * np.outer(np.arange(60) % 7 / 7, np.arange(40) % 5)
            + 3e-3 * rng.standard_normal((60, 40)))
    gaps = flat.copy()
    gaps[5:20, 10:18] = np.nan
    line = np.cumsum(rng.standard_normal(5003))
    cut = np.where((np.arange(2800) // 37 % 3 == 1).reshape(40, 70), np.nan, np.add.outer(np.arange(40), np.arange(70)))
    spike = cube.copy()
    spike[3, 4, 5] = 1e9
    grid = np.mgrid[0:50, 0:44] / 50
    ridge = (np.sin(5 * grid[0] + 9 * grid[1]) * np.cos(3 * grid[0]) + 0.3 * np.tanh(20 * (grid[1] - 0.6))
             + 1e-3 * np.random.default_rng(4).standard_normal((50, 44))).astype("f4")  # loses a column
    wide = np.add.outer(np.arange(290) / 90, np.arange(280) / 70).astype("f4") ** 2
    wide[rng.random(wide.shape) < 0.001] += 3
    many = np.add.outer(np.arange(256).reshape((2,) * 8) % 3, np.sin(np.arange(11))).astype("f4")
    own = np.random.default_rng(6)
    steps = (own.standard_normal((40, 4)) @ np.cumsum(own.standard_normal((4, 150)) * (own.random((4, 150)) < 0.05), 1)).astype("f4")
    spots = np.where(flat > 0.5, 0, np.rint(20 * flat))
    ends = gaps.copy()
    ends[40:50, 20:33], ends[55:, :7] = np.inf, -np.inf
    for name, x, options, *cuts in (  # cuts: where parts end that are added
            ("dct", cube, "--method dct"), ("wavelet", np.where(cube > 0.4, 2, cube), "--method wavelet --error 1e-2"),
            ("steps", steps, "--method tucker --error 1e-2"), ("dct-fast", cube, "--method dct --effort 1"), ("tucker", flat, "--method tucker"),
            ("tucker-fast", flat.astype("f4"), "--method tucker --effort 2 --error 1e-2"),
            ("bound", flat.astype("f4"), "--method dct --error 0.01:max"),
            ("bound-fast", flat.astype("f4"), "--method dct --error 0.01:max --effort 1"),
            ("train", cube, "--method tt --error 1e-2"), ("predict", cube, "--method predict --error 0.01"), ("lorenzo", line.astype("f4"), "--method predict --error 0.4:max"),
            ("gaps", gaps, "--method dct --error 1e-2"), ("gaps-predict", gaps.astype("f4"), "--method predict --error 1e-2"),
            ("complex", (cube[:, :, 0] + 1j * cube[:, :, 1]).astype("c8"), "--error 1e-2"),
            ("half", flat.astype("f2"), "--error 2e-2"), ("whole", np.rint(90 * flat).astype("i2"), "--error 0.02"),
            ("exact", flat[:9], "--method lossless"),
            ("spaced", np.rint(1e3 * gaps[:9]) / 1e3, "--method lossless"), ("exact-bytes", (flat[:20] * 9).astype("i1"), "--method lossless"),
            ("fold", np.sin(np.arange(5003) / 40).astype("f4"), "--method dct"),
            ("rows", line, "--method dct --effort 1 --error 0.5:max"), ("runs", cut, "--method dct --error 0.02"),
            ("escapes", spike, "--method predict --error 0.01:max"), ("lost", ridge, "--method tucker --error 1e-3"),
            ("chunks", wide, "--method dct --effort 1 --error 0.3:max"), ("axes", many, "--method predict --error 0.01:max"),
            ("blocks", flat.astype("f4"), "--block 1024 --effort 2 --error 1e-2"),
            ("even", cube, "--access chunk --block 1024 --error 1e-2"), ("even-gaps", gaps.astype("f4"), "--access chunk --block 1024"),
            ("value", spots.astype("i2"), "--missing 0 --method lossless"), ("infinite", ends.astype("f4"), "--missing inf --method dct"),
            ("infinite-predict", ends, "--missing inf --method predict --error 1e-2"),
            ("parts", gaps.astype("f4"), "--error 1e-2 --axis 0", 15, 33), ("parts-even", ends.astype("f4"),
             "--missing inf --access chunk --block 1024 --effort 1 --error 0.03:max --axis 1", 20, 21),
            ("parts-exact", spots, "--missing 0 --method lossless --axis 1", 10),
            ("empty", np.zeros((3, 0, 2), "f4"), ""), ("scalar", np.float64(1.5), "")):
        source, target = path("unlode", "x.npy"), path("unlode", "x.lode")
        first, *parts = np.split(x, cuts, int(options.split()[-1])) if cuts else [x]
        np.save(source, first)
        subprocess.run([sys.argv[1], "compress", source, *options.split(), "-o", target, "--force", "--quiet"], check=True)
        for part in parts:
            np.save(source, part)
            subprocess.run([sys.argv[1], "update", target, source, "-o", target, "--force", "--quiet"], check=True)
        os.rename(target, path("unlode", name))
        os.remove(source)
