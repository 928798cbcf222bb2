#!/usr/bin/python3
"""Files of programs that are run, not imported: Octave, ImageMagick, zip, gzip. What they wrote Lode reads, what Lode wrote
they read, values equal.

usage: programs.py LODE        (the built command)
"""
import gzip
import os
import shutil
import subprocess
import zipfile

import numpy as np

from interop import lode, rng, run, same, sample


def program(*names):
    """The first that is here and says that it is what is meant, or None: the check is left out."""
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/bin")
        if path and "not installed" not in call(path, "--version", fails=True):
            return path
    print(f"interop: {names[-1]} is not installed, its files are left out")
    return None


def call(*words, fails=False, **how):
    done = subprocess.run(words, capture_output=True, text=True, **how)
    assert fails or done.returncode == 0, (words, done.stderr)
    return done.stdout + done.stderr


def octave():
    path = program("octave-cli", "octave")
    if not path:
        return

    def do(code):
        call(path, "--no-gui", "--quiet", "--no-init-file", "--norc", "--eval", code)

    do("""x = reshape((1:60) / 7, 3, 4, 5); s = single([1.5 NaN -Inf]); z = [1 + 2i, 3 - 4i]; t = logical([1 0; 0 1]);
n = int16([-32768 32767; 1 2]); u = uint64(18446744073709551615); e = zeros(0, 3); w = 'text'; c = {1, 'a'}; q.a = 7;
p = sparse([1 3], [2 1], [5.5 -6], 3, 4);
save('-v7', 'o7.mat', 'x', 's', 'z', 't', 'n', 'u', 'e', 'p', 'w', 'c', 'q');
save('-v6', 'o6.mat', 'x', 's', 'z', 't', 'n', 'u', 'e', 'p', 'w', 'c', 'q');
save('-hdf5', 'o.h5', 'x');""")
    x = (np.arange(1, 61) / 7).reshape(3, 4, 5, order="F")
    want = {"x": x, "s": np.array([[1.5, np.nan, -np.inf]], "f4"), "z": np.array([[1 + 2j, 3 - 4j]]), "t": np.eye(2, dtype=bool),
            "n": np.array([[-32768, 32767], [1, 2]], "i2"), "u": np.array([[2**64 - 1]], "u8"), "e": np.zeros((0, 3))}
    for name in ("o6.mat", "o7.mat"):
        for k, v in want.items():
            lode("convert", f"{name}:{k}", "o.npy")
            same(v, np.load("o.npy"), ("octave", name, k))
        lode("convert", f"{name}:p", "o.mtx")
        assert "1 2 5.5" in open("o.mtx").read()
        for k, why in (("c", "cell array"), ("q", "structure")):
            assert why in lode("convert", f"{name}:{k}", "o.npy", fails=True)
    lode("convert", "o.h5:x/value", "o.npy")
    same(x.T, np.load("o.npy"), "octave hdf5")
    arrays = {k: v for k, v in want.items()}
    np.savez("o.npz", **arrays)
    for kind in ("mat", "mat6", "mat73"):
        lode("convert", "o.npz", "back.mat", "--to", kind)
        if kind == "mat73":  # Octave reads it as HDF5, without MATLAB's classes
            do("load('back.mat'); assert(isequal(x, reshape((1:60) / 7, 3, 4, 5)));")
            continue
        do("""a = load('o7.mat'); b = load('back.mat');
for k = {'x', 's', 'z', 't', 'n', 'u', 'e'}
  k = k{1}; assert(isequaln(a.(k), b.(k)) && strcmp(class(a.(k)), class(b.(k))), k);
end""")


def imagemagick():
    path = program("magick", "convert-im6.q16", "convert")
    if not path:
        return
    grey, wide = sample("u1", (13, 17)), sample("u2", (13, 17))
    colour, clear = sample("u1", (13, 17, 3)), sample("u1", (13, 17, 4))
    clear[..., 3] |= 1  # colours that cannot be seen need not be kept
    cases = {"grey": grey, "wide": wide, "colour": colour, "wide colour": sample("u2", (13, 17, 3)), "clear": clear}
    for name, a in cases.items():
        np.save("a.npy", a)
        lode("convert", "a.npy", "a.png")
        raw = "gray" if a.ndim == 2 else "rgb" if a.shape[2] == 3 else "rgba"
        bits = str(8 * a.itemsize)
        call(path, "a.png", "-depth", bits, "-endian", "LSB", raw + ":a.raw")
        same(a, np.fromfile("a.raw", a.dtype).reshape(a.shape), ("png written", name))
        for options in ([], ["-interlace", "PNG"], ["-define", "png:compression-level=1"]):
            call(path, "-size", "17x13", "-depth", bits, "-endian", "LSB", raw + ":a.raw", *options, "b.png")
            lode("convert", "b.png", "b.npy")
            same(a, np.load("b.npy"), ("png read", name, options))
        if a.ndim == 2 or a.shape[2] == 3:
            suffix = "pgm" if a.ndim == 2 else "ppm"
            for options in ([], ["-compress", "none"]):  # binary, text
                call(path, "-size", "17x13", "-depth", bits, "-endian", "LSB", raw + ":a.raw", *options, "b." + suffix)
                lode("convert", "b." + suffix, "b.npy")
                same(a, np.load("b.npy"), (suffix, "read", name, options))
            lode("convert", "a.npy", "c." + suffix)
            call(path, "c." + suffix, "-depth", bits, "-endian", "LSB", raw + ":c.raw")
            same(a, np.fromfile("c.raw", a.dtype).reshape(a.shape), (suffix, "written", name))
    few = (colour // 100) * 100  # 27 colours at most
    few.tofile("f.raw")
    call(path, "-size", "17x13", "-depth", "8", "rgb:f.raw", "PNG8:f.png")
    lode("convert", "f.png", "f.npy")
    same(few, np.load("f.npy")[..., :3], "palette")


def archives():
    """npz as zip and unzip see it, zip64 and deflate; text in gzip."""
    a, b = sample("f4", (40, 50)), rng.integers(0, 9, 30)
    np.savez("a.npz", a=a, b=b)
    lode("convert", "a.npz", "l.npz")
    unzip, zips, gz = program("unzip"), program("zip"), program("gzip")
    if unzip:
        assert "No errors" in call(unzip, "-t", "l.npz")
        call(unzip, "-o", "-q", "l.npz", "-d", "out")
        same(a, np.load("out/a.npy"), "unzip")
    if zips:
        np.save("a.npy", a)
        np.save("b.npy", b)
        for options in (["-0"], ["-9"], ["-fz", "-1"], ["-fz", "-0"]):  # stored, deflated; the same with zip64 records
            if os.path.exists("z.npz"):
                os.remove("z.npz")
            call(zips, "-q", *options, "z.npz", "a.npy", "b.npy")
            lode("convert", "z.npz", "y.npz")
            with np.load("y.npz") as z:
                same(a, z["a"], ("zip", options))
                same(b, z["b"], ("zip", options))
        with open("a.npy", "rb") as f:  # as a stream, whose sizes come behind
            call("sh", "-c", f"{zips} -q -fz s.zip - <a.npy && printf '@ -\\n@=a.npy\\n' | zipnote -w s.zip", stdin=f, fails=True)
        if os.path.exists("s.zip") and "a.npy" in zipfile.ZipFile("s.zip").namelist():
            lode("convert", "s.zip", "s.npy", "--from", "npz")
            same(a, np.load("s.npy"), "zip of a stream")
    if gz:
        np.save("t.npy", sample("f8", (20, 3)).clip(-1, 1))
        t = np.nan_to_num(np.load("t.npy"))
        np.save("t.npy", t)
        lode("convert", "t.npy", "t.csv.gz")
        text = call(gz, "-dc", "t.csv.gz")
        same(t, np.array([line.split(",") for line in text.split()], "f8"), "gzip -d")
        with open("u.csv", "w") as f:
            f.write(text)
        call(gz, "-9", "-f", "u.csv")
        lode("convert", "u.csv.gz", "u.npy")
        same(t, np.load("u.npy"), "gzip -9")
        two = gzip.compress(text[: len(text) // 2].encode()) + gzip.compress(text[len(text) // 2:].encode())
        with open("w.csv.gz", "wb") as f:
            f.write(two)
        lode("convert", "w.csv.gz", "w.npy")
        same(t, np.load("w.npy"), "gzip of two members")


if __name__ == "__main__":
    run((octave, imagemagick, archives))
