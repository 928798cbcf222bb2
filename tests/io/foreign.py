#!/usr/bin/python3
"""Files of other programs, through the command: what their own tools wrote is read, and what Lode wrote they read.

usage: foreign.py LODE        (the built command)
"""
import csv
import importlib
import json
import shutil
import struct
import subprocess

import numpy as np
import scipy.io
import scipy.sparse

from interop import LODE, lode, rng, run, same, sample


def tool(name):
    """A module that only reads and writes one format, or None: the check is left out."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"interop: {name} is not installed, its files are left out")
        return None


def tables():
    a = sample("f8", (300, 5))
    a[7, 3] = 1e-310
    want = np.where(np.isnan(a), np.nan, a)  # text keeps neither sign nor payload of NaN
    np.save("a.npy", want)
    for name, by in (("t.csv", ","), ("t.tsv", "\t"), ("t.csv.gz", ",")):
        lode("convert", "a.npy", name)
        same(want, np.loadtxt(name, delimiter=by), name)
        np.savetxt(name, want, fmt="%.17g", delimiter=by, header="some words")
        lode("convert", name, "b.npy")
        same(want, np.load("b.npy"), name)
    np.savetxt("t.txt", want)
    lode("convert", "t.txt", "b.npy")
    same(np.loadtxt("t.txt"), np.load("b.npy"), "blanks")
    with open("t.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["plain", 'a "b"', "c, d", "e\nf", "5"])
        w.writerows(want.tolist())
    lode("convert", "t.csv", "u.csv")
    with open("t.csv", newline="") as f, open("u.csv", newline="") as g:
        rows, back = list(csv.reader(f)), list(csv.reader(g))
    assert rows[0] == back[0], back[0]
    same(want, np.array([[float(x) for x in r] for r in back[1:]]), "names")
    lode("convert", "u.csv[10:290:3,::-1]", "b.npy")
    same(want[10:290:3, ::-1], np.load("b.npy"), "table slice")


def tensors():
    """FROSTT has no tool of its own here: the text as NumPy sees it."""
    a = np.where(rng.random((4, 5, 3)) < 0.4, rng.standard_normal((4, 5, 3)), 0)
    a[3, 4, 2] = 1 / 3
    np.save("a.npy", a)
    for name in ("t.tns", "t.tns.gz"):
        lode("convert", "a.npy", name)
        t = np.loadtxt(name)
        b = np.zeros_like(a)
        b[tuple(t[:, :3].astype(int).T - 1)] = t[:, 3]
        same(a, b, name)
    for base in (0, 1):
        i = np.argwhere(a)
        np.savetxt("u.tns", np.hstack([i + base, a[a != 0][:, None]]), fmt="%d %d %d %.17g")
        lode("convert", "u.tns", "v.tns")
        t = np.loadtxt("v.tns")
        same(a[a != 0], t[:, 3], base)
        same(i + 1, t[:, :3].astype(int), base)


def raw():
    a = sample("f4", (3, 4, 5))
    for dtype, order in (("f4", "<"), ("f4", ">"), ("i2", ">"), ("c8", ">"), ("f8", "<")):
        a = sample(dtype, (3, 4, 5))
        with open("a.raw", "wb") as f:
            f.write(b"header " + a.astype(a.dtype.newbyteorder(order)).tobytes())
        word = {"f4": "f32", "i2": "int16", "c8": "c64", "f8": "f64"}[dtype] + ("be" if order == ">" else "le")
        lode("convert", "a.raw", "a.npy", "--dtype", word + "@7", "--shape", "3,-1,5")
        same(a, np.load("a.npy"), ("raw", word))
        lode("convert", "a.raw", "a.npy", "--dtype", word + "@8", "--shape", "3,4,5", fails=True)
    lode("convert", "a.raw", "a.npy", "--dtype", "f32xe", "--shape", "3,4,5", fails=True)
    lode("convert", "a.raw", "a.npy", "--dtype", "f32@x", "--shape", "3,4,5", fails=True)


def pictures():
    image = tool("PIL.Image")
    if not image:
        return
    for dtype, shape in (("u1", (30, 41)), ("u2", (30, 41)), ("u1", (7, 300, 3)), ("u1", (5, 6, 4)), ("u1", (1, 1, 2))):
        a = sample(dtype, shape)
        np.save("a.npy", a)
        lode("convert", "a.npy", "a.png")
        got = np.asarray(image.open("a.png"))
        same(a, got.astype(dtype), ("png written", dtype, shape))  # Pillow widens 16 bits to 32
        (image.fromarray(a, "I;16") if dtype == "u2" else image.fromarray(a, "LA" if shape[-1] == 2 else None)).save("b.png", optimize=True)
        lode("convert", "b.png", "b.npy")
        same(a, np.load("b.npy"), ("png read", dtype, shape))
        if shape[-1] in (41, 3):
            name = "c.ppm" if shape[-1] == 3 else "c.pgm"
            lode("convert", "a.npy", name)
            same(a, np.asarray(image.open(name)).astype(dtype), ("pnm written", dtype))
            if dtype == "u1":
                image.open(name).save("d.ppm")
                lode("convert", "d.ppm", "d.npy")
                same(a, np.load("d.npy"), "pnm read")
    image.fromarray(sample("u1", (9, 9)) > 99).save("e.png")
    lode("convert", "e.png", "e.npy")
    same(np.asarray(image.open("e.png")).astype("u1") * 255, np.load("e.npy"), "1 bit")


def matlab():
    types = "? i1 i2 i4 i8 u1 u2 u4 u8 f4 f8 c8 c16".split()
    arrays = {f"v_{d.replace('?', 'b')}_{i}": sample(d, s) for d in types for i, s in enumerate([(3, 4), (1, 1), (0, 5), (2, 3, 4), (70, 90)])}
    sparse = {k: scipy.sparse.random(20, 30, 0.1, "csc", random_state=i) * f for i, (k, f) in enumerate((("s", 1), ("z", 1 + 2j)))}
    for deflated in (False, True):
        scipy.io.savemat("a.mat", arrays, do_compression=deflated)
        lode("convert", "a.mat", "a.npz")
        with np.load("a.npz") as z:
            for k, v in arrays.items():
                same(v, z[k], ("mat read", k, deflated))
        lode("convert", "a.mat:v_c16_3[1,::-1,1:3]", "b.npy")
        same(arrays["v_c16_3"][1, ::-1, 1:3], np.load("b.npy"), "mat slice")
        lode("convert", "a.npz", "b.mat", "--to", "mat" if deflated else "mat6")
        got = scipy.io.loadmat("b.mat")
        for k, v in arrays.items():
            same(v.astype("u1") if v.dtype == "?" and got[k].dtype == "u1" else v, got[k], ("mat written", k, deflated))
        scipy.io.savemat("s.mat", sparse, do_compression=deflated)
        for k, v in sparse.items():
            lode("convert", "s.mat:" + k, "s.npz")
            same(v.toarray(), scipy.sparse.load_npz("s.npz").toarray(), ("mat sparse read", k))
            lode("convert", "s.npz", "t.mat", "--to", "mat" if deflated else "mat6")
            same(v.toarray(), scipy.io.loadmat("t.mat")["matrix"].toarray(), ("mat sparse written", k))
    scipy.io.savemat("c.mat", {"x": np.eye(2), "cell": np.array([1, "a"], object), "st": {"a": 1}, "text": "abc"})
    said = lode("info", "c.mat")
    assert "cell" in said and "st" in said and "x" in said, said
    assert "cell array" in lode("convert", "c.mat:cell", "c.npy", fails=True)
    assert "structure" in lode("convert", "c.mat:st", "c.npy", fails=True)
    said = lode("convert", "c.mat", "d.mat")
    assert "left out: variable cell is a cell array" in said and "left out: variable st is a structure" in said, said
    assert [k for k in scipy.io.loadmat("d.mat") if k[0] != "_"] == ["x"] and "left out: variable text is" in said, said
    np.savez("t.npz", text=np.array("häuser"), x=sample("f8", 5))
    lode("convert", "t.npz", "t.mat")
    got = scipy.io.loadmat("t.mat", uint16_codec="utf-16-le")
    assert got["text"][0] == "häuser", got["text"]
    assert got["x"].shape == (5, 1)
    # doubles that scipy's own files of other programs keep in fewer bytes, byte-swapped: by hand
    body = (struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIII", 5, 8, 2, 3) + struct.pack(">HHc3x", 1, 1, b"y")
            + struct.pack(">II6b2x", 1, 6, 1, -2, 3, -4, 5, -6))
    with open("m.mat", "wb") as f:
        f.write(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body)
    lode("convert", "m.mat", "m.npy")
    same(np.array([[1, 3, 5], [-2, -4, -6]], "f8"), np.load("m.npy"), "small big-endian")


def bart():
    a = (rng.standard_normal((5, 4, 1, 3)) + 1j * rng.standard_normal((5, 4, 1, 3))).astype("c8")
    with open("a.hdr", "w") as f:
        f.write("# Dimensions\n" + " ".join(map(str, a.shape + (1,) * 12)) + "\n# Command\nphantom\n")
    a.T.tofile("a.cfl")
    for name in ("a.cfl", "a.hdr"):
        lode("convert", name, "a.npy")
        same(a, np.load("a.npy"), name)
        lode("convert", name + "[1:4,::-1,0]", "b.npy")
        same(a[1:4, ::-1, 0], np.load("b.npy"), "cfl slice")
    for b in (a, a.real.astype("f8"), rng.integers(0, 9, (300, 200)), np.float64(3)):
        np.save("b.npy", b)
        lode("convert", "b.npy", "b.cfl")
        sizes = tuple(map(int, open("b.hdr").read().split("\n")[1].split()))
        got = np.fromfile("b.cfl", "c8").reshape(sizes[::-1]).T
        same(np.asarray(b, "c8").reshape(sizes), got, "cfl written")
    if shutil.which("bart"):
        subprocess.run(["bart", "fmac", "-s", "1", "a", "a", "c"], check=True)
        lode("convert", "c.cfl", "c.npy")
        np.testing.assert_allclose(np.load("c.npy").squeeze(), (a * a).sum(0).squeeze(), rtol=1e-5)
        subprocess.run(["bart", "copy", "b", "d"], check=True)
        assert open("b.cfl", "rb").read() == open("d.cfl", "rb").read()


def fits():
    io = tool("astropy.io.fits")
    if not io:
        return
    for dtype in "u1 i1 i2 u2 i4 u4 i8 u8 f4 f8".split():
        a = sample(dtype, (3, 4, 5))
        io.HDUList([io.PrimaryHDU(a), io.ImageHDU(a[0], name="SLICE")]).writeto("a.fits", overwrite=True)
        lode("convert", "a.fits:hdu0", "a.npy")
        same(a, np.load("a.npy"), ("fits", dtype))
        lode("convert", "a.fits:SLICE[::2,1]", "a.npy")
        same(a[0, ::2, 1], np.load("a.npy"), ("fits extension", dtype))
    for dtype in ("i2", "i4", "u1"):  # scaled, with BLANK
        a = rng.integers(0, 99, (4, 5)).astype(dtype)
        h = io.PrimaryHDU(a)
        h.header["BSCALE"], h.header["BZERO"], h.header["BLANK"] = 0.25, -3.0, 7
        h.header["OBJECT"] = "M 31"
        h.writeto("b.fits", overwrite=True, output_verify="ignore")
        with open("b.fits", "r+b") as f:  # astropy writes scaled values; the stored ones are put back
            f.seek(2880)
            f.write(a.astype(a.dtype.newbyteorder(">")).tobytes())
        lode("convert", "b.fits", "b.npy")
        want = np.where(a == 7, np.nan, a * 0.25 - 3.0)
        same(want.astype("f8" if dtype == "i4" else "f4"), np.load("b.npy"), ("fits scaled", dtype))
        np.testing.assert_allclose(io.getdata("b.fits"), want)
    assert "M 31" in lode("info", "b.fits")
    table = io.BinTableHDU.from_columns([io.Column("x", "E", array=np.arange(3.0))])
    io.HDUList([io.PrimaryHDU(a), table]).writeto("c.fits", overwrite=True)
    lode("convert", "c.fits:hdu0", "c.npy")
    assert "a table" in lode("convert", "c.fits:hdu1", "c.npy", fails=True)
    io.HDUList([io.PrimaryHDU(a), table, io.ImageHDU(a)]).writeto("d.fits", overwrite=True)
    assert "left out: unit hdu1 is a table" in lode("convert", "d.fits", "d.npz")
    assert {"hdu0", "hdu2"} <= set(np.load("d.npz").files)


def nifti():
    nib = tool("nibabel")
    if not nib:
        return
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        for dtype in "u1 i1 i2 u2 i4 u4 i8 u8 f4 f8 c8 c16".split():
            a = sample(dtype, (5, 4, 3, 2)) if dtype[0] != "f" else rng.standard_normal((5, 4, 3)).astype(dtype)
            if dtype[0] == "c":
                a = np.nan_to_num(a)
            image = kind(a, np.eye(4), dtype=a.dtype)
            image.header.set_slope_inter(1, 0)
            for name in ("a.nii", "a.nii.gz"):
                image.to_filename(name)
                lode("convert", name, "a.npy")
                same(a, np.load("a.npy"), ("nifti", name, dtype))
            lode("convert", "a.nii[1:4,::-2,...,0]", "b.npy")
            same(a[1:4, ::-2, ..., 0], np.load("b.npy"), ("nifti slice", dtype))
    a = rng.standard_normal((6, 5, 4))
    for order in "<>":
        for kind in (nib.Nifti1Image, nib.Nifti1Pair, nib.Nifti2Pair):
            image = kind(a, None)
            image.header.set_data_dtype(np.int16)
            image = kind(a, None, header=image.header.as_byteswapped(order))
            name = "s.nii" if kind is nib.Nifti1Image else "s.img"
            image.to_filename(name)  # scales to fit
            lode("convert", name, "s.npy")
            want = nib.load(name).get_fdata()
            assert np.load("s.npy").dtype == "f4"
            np.testing.assert_allclose(want, np.load("s.npy"), rtol=1e-6, atol=1e-6)
            if name == "s.img":
                lode("convert", "s.hdr", "t.npy")
                same(np.load("s.npy"), np.load("t.npy"), "by header")


def gguf_pack(tensors, pairs=(), version=3):
    """A file by the specification: tensors {name: (type, sizes first axis first, bytes)}, pairs of key, type, packed value."""
    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack("<I", kind) + (text(value) if kind == 8 else value)
    body = b""
    for name, (kind, sizes, data) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        body += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + body


def nibbles(q):
    """(n, k) bytes as (n, 2, k): low halves, then high ones."""
    return np.stack([q & 15, q >> 4], 1)


def bits(q, width, count):
    """(n, k) bytes as (n, count, k): fields of `width` bits from the lowest on."""
    return np.stack([q >> (width * i) & ((1 << width) - 1) for i in range(count)], 1)


def f16(b):
    return np.ascontiguousarray(b).view("<f2").astype("f4")


def sub_scales(s):
    """12 bytes as 8 scales and 8 offsets of 6 bits: the first four of each whole, the others in pieces."""
    a, b, c = s[:, :4], s[:, 4:8], s[:, 8:]
    return np.hstack([a & 63, c & 15 | a >> 6 << 4]).astype("f4"), np.hstack([b & 63, c >> 4 | b >> 6 << 4]).astype("f4")


# Blocks as ggml's headers lay them out, whole arrays at a time: bytes (n, size) to values (n, 32 or 256).
def gguf_q4_0(b): return f16(b[:, :2]) * (nibbles(b[:, 2:]).reshape(-1, 32).astype("f4") - 8)
def gguf_q4_1(b): return f16(b[:, :2]) * nibbles(b[:, 4:]).reshape(-1, 32).astype("f4") + f16(b[:, 2:4])
def gguf_q8_0(b): return f16(b[:, :2]) * b[:, 2:].view("i1").astype("f4")


def gguf_q5_0(b):
    high = np.unpackbits(b[:, 2:6], axis=1, bitorder="little").astype("i4")
    return f16(b[:, :2]) * (nibbles(b[:, 6:]).reshape(-1, 32) + 16 * high - 16).astype("f4")


def gguf_q5_1(b):
    high = np.unpackbits(b[:, 4:8], axis=1, bitorder="little").astype("i4")
    return f16(b[:, :2]) * (nibbles(b[:, 8:]).reshape(-1, 32) + 16 * high).astype("f4") + f16(b[:, 2:4])


def gguf_q2_k(b):
    q = bits(b[:, 16:80].reshape(-1, 32), 2, 4).reshape(-1, 16, 16).astype("f4")
    s = b[:, :16, None]
    d, m = f16(b[:, 80:82])[:, None], f16(b[:, 82:84])[:, None]
    return (d * (s & 15).astype("f4") * q - m * (s >> 4).astype("f4")).reshape(-1, 256)


def gguf_q3_k(b):
    low = bits(b[:, 32:96].reshape(-1, 32), 2, 4).reshape(-1, 16, 16).astype("i4")
    high = bits(b[:, :32], 1, 8).reshape(-1, 16, 16).astype("i4")
    s = nibbles(b[:, 96:104]).reshape(-1, 16).astype("i4") + 16 * bits(b[:, 104:108], 2, 4).reshape(-1, 16) - 32
    d = f16(b[:, 108:])
    return ((d * s.astype("f4"))[:, :, None] * (low + 4 * high - 4).astype("f4")).reshape(-1, 256)


def gguf_q4_k(b):
    scale, offset = sub_scales(b[:, 4:16])
    q = nibbles(b[:, 16:].reshape(-1, 32)).reshape(-1, 8, 32).astype("f4")
    return ((f16(b[:, :2]) * scale)[:, :, None] * q - (f16(b[:, 2:4]) * offset)[:, :, None]).reshape(-1, 256)


def gguf_q5_k(b):
    scale, offset = sub_scales(b[:, 4:16])
    q = nibbles(b[:, 48:].reshape(-1, 32)).reshape(-1, 8, 32) + 16 * bits(b[:, 16:48], 1, 8)
    return ((f16(b[:, :2]) * scale)[:, :, None] * q.astype("f4") - (f16(b[:, 2:4]) * offset)[:, :, None]).reshape(-1, 256)


def gguf_q6_k(b):
    low = nibbles(b[:, :128].reshape(-1, 64)).reshape(-1, 256).astype("i4")
    high = bits(b[:, 128:192].reshape(-1, 32), 2, 4).reshape(-1, 256).astype("i4")
    s = f16(b[:, 208:]) * b[:, 192:208].view("i1").astype("f4")
    return (s[:, :, None] * (low + 16 * high - 32).reshape(-1, 16, 16).astype("f4")).reshape(-1, 256)


UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], "f4")


def gguf_iq4_nl(b): return f16(b[:, :2]) * UNEVEN[nibbles(b[:, 2:]).reshape(-1, 32)]


def gguf_iq4_xs(b):
    high = np.ascontiguousarray(b[:, 2:4]).view("<u2").astype("i4")
    s = np.stack([b[:, 4:8] & 15, b[:, 4:8] >> 4], -1).reshape(-1, 8).astype("i4") + 16 * (high >> 2 * np.arange(8) & 3) - 32
    return ((f16(b[:, :2]) * s.astype("f4"))[:, :, None] * UNEVEN[nibbles(b[:, 8:].reshape(-1, 16)).reshape(-1, 8, 32)]).reshape(-1, 256)


def gguf_q8_k(b): return np.ascontiguousarray(b[:, :4]).view("<f4") * np.ascontiguousarray(b[:, 4:260]).view("i1").astype("f4")


def gguf_mxfp4(b):
    e2m1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], "f4")
    return np.ldexp(np.concatenate([e2m1, 0 - e2m1])[nibbles(b[:, 1:]).reshape(-1, 32)], b[:, :1].astype("i4") - 127)


GGUF_BLOCKS = {2: (32, 18, gguf_q4_0), 3: (32, 20, gguf_q4_1), 6: (32, 22, gguf_q5_0), 7: (32, 24, gguf_q5_1), 8: (32, 34, gguf_q8_0),
               10: (256, 84, gguf_q2_k), 11: (256, 110, gguf_q3_k), 12: (256, 144, gguf_q4_k), 13: (256, 176, gguf_q5_k),
               14: (256, 210, gguf_q6_k), 15: (256, 292, gguf_q8_k), 20: (32, 18, gguf_iq4_nl), 23: (256, 136, gguf_iq4_xs),
               39: (32, 17, gguf_mxfp4)}
GGUF_HALVES = {2: (0,), 3: (0, 2), 6: (0,), 7: (0, 2), 8: (0,), 10: (80, 82), 11: (108,), 12: (0, 2), 13: (0, 2), 14: (208,), 15: (), 20: (0,),
               23: (0,), 39: ()}


def gguf_blocks(kind, count):
    """Random blocks with halves that are finite."""
    b = rng.integers(0, 256, (count, GGUF_BLOCKS[kind][1]), np.uint8)
    for at in GGUF_HALVES[kind]:
        b[:, at:at + 2] = rng.standard_normal(count).astype("<f2").view(np.uint8).reshape(-1, 2)
    if kind == 15:
        b[:, :4] = rng.standard_normal(count).astype("<f4").view(np.uint8).reshape(-1, 4)
    if kind == 39:
        b[:, 0] = 127 + b[:, 0] % 40 - 20
    return b


def gguf():
    tensors, want = {}, {}
    for kind, (size, _, decode) in GGUF_BLOCKS.items():
        shape = (3, 2, 4 * size)
        b = gguf_blocks(kind, 24)
        tensors[f"t{kind}"] = (kind, shape[::-1], b.tobytes())
        want[f"t{kind}"] = decode(b).reshape(shape)
    for kind, dtype in {0: "f4", 1: "f2", 24: "i1", 25: "i2", 26: "i4", 27: "i8", 28: "f8"}.items():
        a = sample(dtype, (5, 7))
        tensors["p" + dtype], want["p" + dtype] = (kind, (7, 5), a.tobytes()), a
    half = sample("f4", (5, 7)).view("u4") >> 16
    tensors["brain"], want["brain"] = (30, (7, 5), half.astype("u2").tobytes()), (half << 16).view("f4")
    tensors["odd"] = (16, (256,), bytes(66))
    with open("a.gguf", "wb") as f:
        f.write(gguf_pack(tensors, (("general.name", 8, "häuser"), ("a.count", 4, struct.pack("<I", 7)), ("a.rate", 6, struct.pack("<f", 0.5)),
                                    ("a.on", 7, b"\1"), ("a.list", 9, struct.pack("<IQ3i", 5, 3, 1, -2, 3)),
                                    ("a.words", 9, struct.pack("<IQ", 8, 100) + 100 * (struct.pack("<Q", 2) + b"ab")))))
    info = json.loads(lode("info", "a.gguf", "--json"))
    assert info["attributes"] == {"general.name": "häuser", "a.count": 7, "a.rate": 0.5, "a.on": True, "a.list": [1, -2, 3],
                                  "a.words": {"type": "text", "count": 100}}, info
    for k, v in want.items():
        lode("convert", "a.gguf:" + k, "b.npy")
        same(v, np.load("b.npy"), ("gguf", k))
        lode("convert", f"a.gguf:{k}[...,1:,3:{v.shape[-1] - 2}]", "b.npy")
        same(v[..., 1:, 3:-2], np.load("b.npy"), ("gguf slice", k))
    assert "IQ2_XXS" in lode("convert", "a.gguf:odd", "b.npy", fails=True)
    quants = tool("gguf.quants")  # the project's own decoders
    for kind in GGUF_BLOCKS if quants else ():
        b = np.frombuffer(tensors[f"t{kind}"][2], np.uint8).reshape(24, -1)
        try:
            theirs = quants.dequantize(b, quants.GGMLQuantizationType(kind))
        except NotImplementedError:
            continue
        same(theirs.reshape(want[f"t{kind}"].shape), want[f"t{kind}"], ("gguf by gguf", kind))


def bytes8(fraction, bias, kind):
    """All 256 numbers of 8 bits, by the definition of each kind."""
    out = []
    for b in range(256):
        s, e, m = b >> 7, (b & 127) >> fraction, b & ((1 << fraction) - 1)
        v = (m / 2**fraction + (e > 0)) * 2.0 ** (max(e, 1) - bias)
        if (kind == "fn" and b & 127 == 127) or (kind == "fnuz" and b == 128) or (kind == "ieee" and e == 31 and m):
            v = np.nan
        elif kind == "ieee" and e == 31:
            v = np.inf
        out.append(-v if s else v)
    return np.array(out)


def safetensors():
    kinds = {"F8_E4M3": bytes8(3, 7, "fn"), "F8_E5M2": bytes8(2, 15, "ieee"), "F8_E4M3FNUZ": bytes8(3, 8, "fnuz"),
             "F8_E5M2FNUZ": bytes8(2, 16, "fnuz"), "F8_E8M0": np.append(2.0 ** (np.arange(255) - 127), np.nan)}
    assert kinds["F8_E4M3"][126] == 448 and kinds["F8_E5M2"][123] == 57344 and kinds["F8_E4M3FNUZ"][127] == 240
    head = json.dumps({k: {"dtype": k, "shape": [16, 16], "data_offsets": [256 * i, 256 * i + 256]} for i, k in enumerate(kinds)}).encode()
    with open("a.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + bytes(range(256)) * len(kinds))
    for k, v in kinds.items():
        lode("convert", f"a.safetensors:{k}", "b.npy")
        got = np.load("b.npy")
        assert got.dtype == ("f4" if k == "F8_E8M0" else "f2")
        np.testing.assert_array_equal(v.reshape(16, 16), got.astype("f8"))
        np.testing.assert_array_equal(np.signbit(v[~np.isnan(v)]), np.signbit(got.ravel()[~np.isnan(v)]))
        lode("convert", f"a.safetensors:{k}[1::3,-4:]", "b.npy")
        np.testing.assert_array_equal(v.reshape(16, 16)[1::3, -4:], np.load("b.npy").astype("f8"))
    own = tool("safetensors.numpy")
    if own:
        arrays = {d: sample(d, (3, 4)) for d in "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()}
        own.save_file(arrays, "c.safetensors")
        lode("convert", "c.safetensors", "d.safetensors")
        for k, v in own.load_file("d.safetensors").items():
            same(arrays[k], v, ("safetensors", k))


def stacks():
    """Pictures of a folder as one array; pipes."""
    image = tool("PIL.Image")
    if not image:
        return
    a = sample("u1", (7, 20, 30))
    for i, x in enumerate(a):
        image.fromarray(x).save(f"frame{i}.png")
    lode("convert", "frame*.png", "a.npy")
    same(a, np.load("a.npy"), "pattern")
    with open("list.txt", "w") as f:
        f.write("\n".join(f"frame{i}.png[:,::2]" for i in (6, 0, 3)))
    lode("convert", "@list.txt", "a.npy")
    same(a[[6, 0, 3], :, ::2], np.load("a.npy"), "list")
    lode("convert", "@list.txt[1:,4]", "a.npy")
    same(a[[0, 3], 4, ::2], np.load("a.npy"), "list slice")
    for kind in ("png", "pnm", "mat", "tns", "csv", "npy"):
        np.save("a.npy", a[0])
        out = subprocess.run([LODE, "convert", "a.npy", "-", "--to", kind, "--quiet"], capture_output=True, check=True).stdout
        subprocess.run([LODE, "convert", "-", "b.npy", "--from", kind, "--quiet", "--force"] if kind != "tns" else
                       [LODE, "convert", "-", "b.npz", "--from", kind, "--quiet", "--force"], input=out, check=True)
        if kind != "tns":
            same(a[0], np.load("b.npy").astype("u1"), ("pipe", kind))


if __name__ == "__main__":
    run((tables, tensors, raw, pictures, matlab, bart, fits, nifti, gguf, safetensors, stacks))
