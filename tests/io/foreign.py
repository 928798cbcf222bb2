#!/usr/bin/python3
"""Files of other programs, through the command: what their own tools wrote is read, and what Lode wrote they read.

usage: foreign.py LODE        (the built command)
"""
import csv
import importlib
import shutil
import subprocess

import numpy as np
import scipy.io
import scipy.sparse

from interop import lode, rng, run, same, sample


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
    np.savez("t.npz", text=np.array("häuser"), x=sample("f8", 5))
    lode("convert", "t.npz", "t.mat")
    got = scipy.io.loadmat("t.mat", uint16_codec="utf-16-le")
    assert got["text"][0] == "häuser", got["text"]
    assert got["x"].shape == (5, 1)
    # doubles that scipy's own files of other programs keep in fewer bytes, byte-swapped: by hand
    import struct
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


if __name__ == "__main__":
    run((tables, tensors, raw, pictures, matlab, bart, fits, nifti))
