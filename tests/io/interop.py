#!/usr/bin/python3
"""Files exchanged with NumPy and SciPy, both ways, through the command: what one writes the other reads.

usage: interop.py LODE        (the built command)
"""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import scipy.io
import scipy.sparse

LODE = sys.argv[1]
rng = np.random.default_rng(7)
checks = 0
warnings.simplefilter("ignore")


def lode(*words, fails=False):
    p = subprocess.run([LODE, *words, "--force"], capture_output=True, text=True)
    assert (p.returncode != 0) == fails, (words, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def same(a, b, what):
    global checks
    checks += 1
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    assert a.dtype.newbyteorder("=") == b.dtype.newbyteorder("="), (what, a.dtype, b.dtype)
    # assert_array_equal takes NaN as equal; signs of zero must agree too
    np.testing.assert_array_equal(a, b, err_msg=str(what))
    if a.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b), err_msg=str(what))


DTYPES = "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()
SHAPES = [(), (0,), (1,), (7,), (3, 4), (0, 5), (5, 0), (1, 1, 1), (2, 3, 4), (3, 1, 2, 2), (2,) * 10]


def sample(dtype, shape):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind in "iu":
        info = np.iinfo(dtype)
        a = np.asarray(rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True))
        if a.size:
            a.reshape(-1)[0] = info.max
        return a
    a = np.asarray(rng.standard_normal(shape) * 100)
    if kind == "c":
        a = a + 1j * rng.standard_normal(shape)
    a = np.asarray(a).astype(dtype)
    for k, v in enumerate([np.nan, -0.0, np.inf, np.finfo(dtype).tiny]):
        if a.size > k + 2:
            a.reshape(-1)[k] = v
    return a


def npy():
    for i, dtype in enumerate(DTYPES):
        shape = SHAPES[i % len(SHAPES)]
        a = sample(dtype, shape)
        for order in "<>":
            for version in ((1, 0), (2, 0), (3, 0)):
                with open("a.npy", "wb") as f:
                    np.lib.format.write_array(f, a.astype(a.dtype.newbyteorder(order)), version=version)
                lode("convert", "a.npy", "b.lode")
                lode("convert", "b.lode", "c.npy")
                same(a, np.load("c.npy"), (dtype, shape, order, version))
    for shape in [(3, 4), (2, 3, 4), (1, 5), (5, 1), (300, 200)]:
        for dtype in ("f4", ">f8", "c16", "?", "u2"):
            a = np.asfortranarray(sample(dtype, shape))
            np.save("a.npy", a)
            lode("convert", "a.npy", "c.npy")
            same(a, np.load("c.npy"), ("fortran", shape, dtype))


def npz():
    arrays = {f"{d.replace('?', 'b')}_{i}": sample(d, s) for d in DTYPES for i, s in enumerate(SHAPES)}
    arrays["fortran"] = np.asfortranarray(sample("f8", (4, 6)))
    arrays["big"] = sample("f4", (300, 1000))
    for save in (np.savez, np.savez_compressed):
        save("a.npz", **arrays)
        for through in ("b.npz", "b.lode", "bdir/"):
            lode("convert", "a.npz", through)
            lode("convert", through, "c.npz")
            with np.load("c.npz") as z:
                assert set(z.files) - {"lode.json"} == set(arrays), z.files
                for k, v in arrays.items():
                    same(v, z[k], (save.__name__, through, k))
        lode("convert", "a.npz:big", "c.npy")
        same(arrays["big"], np.load("c.npy"), "member")
    np.savez("t.npz", text=np.array("häuser"), x=np.arange(3))
    lode("convert", "t.npz", "u.npz")
    with np.load("u.npz") as z:
        assert z["text"].item().decode() == "häuser"


def slices():
    a = sample("f8", (9, 8, 7))
    f = np.asfortranarray(a)
    np.save("a.npy", a)
    np.save("f.npy", f)
    lode("convert", "a.npy", "a.lode")
    cases = ["0", "-1", "2:5", "::2", "::-1", "7:2:-2", ":,3", "...,2", "1,...,-2", "1,2,3", ":,:,1:6:3", "-3:,:-2",
             "5:2", "::-3,::2,4", "...", "0:0", "100:", "-100:3", ":,::-1,::-1", "8:-100:-1"]
    for c in cases:
        want = eval(f"a[{c}]")
        for name in ("a.npy", "f.npy", "a.lode"):
            lode("convert", f"{name}[{c}]", "c.npy")
            same(want, np.load("c.npy"), (name, c))
    for bad in ("9", "-10", "0,0,0,0", "1:2:0", "x", "1.5", "...,..."):
        lode("convert", f"a.npy[{bad}]", "c.npy", fails=True)


def sparse():
    m = scipy.sparse.random(40, 30, 0.1, "csr", random_state=1)
    for kind in ("csr", "csc", "coo"):
        for dtype in ("f4", "f8", "c16", "i4"):
            s = m.asformat(kind)
            s.data = sample(dtype, s.data.shape) if dtype == "i4" else (s.data * 8).astype(dtype)
            for compressed in (False, True):
                scipy.sparse.save_npz("s.npz", s, compressed=compressed)
                lode("convert", "s.npz", "t.npz")
                same(s.toarray(), scipy.sparse.load_npz("t.npz").toarray(), ("sparse", kind, dtype))
                lode("convert", "s.npz", "t.lode")
                check_layout("t.lode")
                lode("convert", "t.lode", "u.npz")
                same(s.toarray(), scipy.sparse.load_npz("u.npz").toarray(), ("sparse lode", kind, dtype))
            lode("convert", "s.npz", "t.mtx")
            got = scipy.io.mmread("t.mtx")
            np.testing.assert_array_equal(s.toarray(), got.toarray())
    empty = scipy.sparse.csr_matrix((0, 5))
    scipy.sparse.save_npz("s.npz", empty)
    lode("convert", "s.npz", "t.npz")
    assert scipy.sparse.load_npz("t.npz").shape == (0, 5)


def matrix_market():
    a = rng.standard_normal((6, 6))
    s = scipy.sparse.random(6, 6, 0.4, "coo", random_state=3)
    h = a + 1j * rng.standard_normal((6, 6))
    i = rng.integers(-9, 9, (6, 6))
    cases = [a, a + a.T, a - a.T, h + h.conj().T, h, i, i + i.T]
    for dense in cases:
        for value in (dense, scipy.sparse.coo_matrix(dense * (s.toarray() + s.toarray().T != 0))):
            scipy.io.mmwrite("m.mtx", value, precision=17)
            lode("convert", "m.mtx", "m.npz")
            want = scipy.io.mmread("m.mtx")
            if scipy.sparse.issparse(want):
                got = scipy.sparse.load_npz("m.npz").toarray()
                want = want.toarray()
            else:
                lode("convert", "m.mtx", "m.npy")
                got = np.load("m.npy")
            same(want, got, "mtx")
    for field, data in (("pattern", None), ("integer", None)):
        scipy.io.mmwrite("m.mtx", scipy.sparse.coo_matrix((s.toarray() != 0).astype(int)), field=field)
        lode("convert", "m.mtx", "m.npz")
        np.testing.assert_array_equal(scipy.io.mmread("m.mtx").toarray(), scipy.sparse.load_npz("m.npz").toarray())
    np.save("a.npy", a)
    lode("convert", "a.npy", "b.mtx")
    same(a, scipy.io.mmread("b.mtx"), "mtx written")


M64 = (1 << 64) - 1


def constants():
    out, z = [], 0
    for _ in range(40):
        z = (z + 0x9E3779B97F4A7C15) & M64
        x = z
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
        x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
        out.append((x ^ x >> 31) | 1)
    return out


def checksum(data, seed, c=constants()):
    """From the formulas in src/base/hash.c, j = 0."""
    def mum(a, b):
        return (a * b & M64) ^ (a * b >> 64)
    lanes = [(v + seed) & M64 for v in c[:8]]
    padded = data + bytes(-len(data) % 64)
    for i, w in enumerate(struct.unpack(f"<{len(padded) // 8}Q", padded)):
        lanes[i % 8] = mum(lanes[i % 8] ^ w, c[i % 8])
    h = len(data) ^ c[0]
    for a, b in zip(lanes, c[8:16]):
        h = mum(h ^ a, b)
    h ^= h >> 32
    h = h * c[0] & M64
    return h ^ h >> 29


def check_layout(path):
    """docs/format.md: checksums of header and pieces, zeros in the padding."""
    global checks
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    text = raw[8:8 + n]
    opening = b'{"__metadata__":{"lode_checksum":"'
    assert text.startswith(opening) and (8 + n) % 64 == 0
    digits = text[len(opening):len(opening) + 16]
    assert int(digits, 16) == checksum(text.replace(digits, b"0" * 16, 1), n)
    head = json.loads(text)
    described = json.loads(head["__metadata__"]["lode"])
    assert described["lode"] == 1
    for m in described["members"]:
        for t in m.get("parts", [m]):
            a, b = head[t["name"]]["data_offsets"]
            data = raw[8 + n + a:8 + n + b]
            sums = [f"{checksum(data[i << 20:(i + 1) << 20], i):016x}" for i in range((len(data) + (1 << 20) - 1) >> 20)]
            assert "".join(sums) == t["sums"], t["name"]
            checks += 1
    for k, v in head.items():
        if k.startswith("__pad."):
            assert not any(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]])


def safetensors_read(path):
    """A reader by the specification alone: contiguous tensors, sizes that fit, strings in the metadata."""
    names = {"BOOL": "?", "I8": "i1", "I16": "i2", "I32": "i4", "I64": "i8", "U8": "u1", "U16": "u2", "U32": "u4",
             "U64": "u8", "F16": "f2", "F32": "f4", "F64": "f8", "C64": "c8", "BF16": "u2"}
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    assert raw[8:9] == b"{" and (8 + n) % 8 == 0
    meta = head.pop("__metadata__", {})
    assert all(isinstance(v, str) for v in meta.values())
    at, out = 0, {}
    for k, v in sorted(head.items(), key=lambda kv: kv[1]["data_offsets"]):
        a, b = v["data_offsets"]
        assert a == at, (k, a, at)
        at = b
        out[k] = np.frombuffer(raw[8 + n + a:8 + n + b], names[v["dtype"]]).reshape(v["shape"])
        if not k.startswith("__pad.") and out[k].size:
            out[k + "@"] = 8 + n + a
    assert 8 + n + at == len(raw)
    return meta, out


def safetensors():
    arrays = {f"{d.replace('?', 'b')}_{i}": sample(d, s) for d in DTYPES for i, s in enumerate(SHAPES) if d != "c16"}
    np.savez("a.npz", **arrays)
    lode("convert", "a.npz", "a.safetensors")
    _, got = safetensors_read("a.safetensors")
    for k, v in arrays.items():
        same(v, got[k], ("safetensors", k))
    lode("convert", "a.safetensors", "b.npz")
    with np.load("b.npz") as z:
        for k, v in arrays.items():
            same(v, z[k], ("safetensors back", k))
    arrays["wide"] = sample("c16", (3, 2))
    np.savez("a.npz", **arrays)
    lode("convert", "a.npz", "a.lode")
    check_layout("a.lode")
    np.save("long.npy", sample("f4", (2, 150000)))
    lode("convert", "long.npy", "long.lode")
    check_layout("long.lode")
    meta, got = safetensors_read("a.lode")
    description = json.loads(meta["lode"])
    assert [m["name"] for m in description["members"]] == list(arrays)
    for k, v in arrays.items():
        if v.dtype.kind == "c":
            v = np.stack([v.real, v.imag], -1)
        same(v, got[k], ("lode as safetensors", k))
        assert v.size == 0 or got[k + "@"] % 64 == 0, k
    lode("convert", "a.npz:wide", "a.safetensors", fails=True)
    # bf16: the upper half of an f32
    f = sample("f4", (5, 3))
    half = (f.view("u4") >> 16).astype("u2")
    body = half.tobytes()
    head = json.dumps({"w": {"dtype": "BF16", "shape": [5, 3], "data_offsets": [0, len(body)]}}).encode()
    open("w.safetensors", "wb").write(struct.pack("<Q", len(head)) + head + body)
    lode("convert", "w.safetensors", "w.npy")
    same((half.astype("u4") << 16).view("f4"), np.load("w.npy"), "bf16")
    head = json.dumps({"w": {"dtype": "F6_E2M3", "shape": [20], "data_offsets": [0, 15]}}).encode()
    open("w.safetensors", "wb").write(struct.pack("<Q", len(head)) + head + body[:15])
    assert "F6_E2M3" in lode("convert", "w.safetensors", "w.npy", fails=True)


def netcdf():
    p = subprocess.run([LODE, "convert", "a.npy", "probe.nc", "--force"], capture_output=True, text=True)
    if p.returncode and ("libnetcdf" in p.stdout + p.stderr):
        print("interop: NetCDF left out, as this build or machine has none")
        return
    assert p.returncode == 0, p
    temperature = sample("f4", (4, 3, 5))
    with scipy.io.netcdf_file("a.nc", "w") as f:
        f.title = "made by scipy"
        f.createDimension("time", None)
        f.createDimension("lat", 3)
        f.createDimension("lon", 5)
        v = f.createVariable("lat", "f8", ("lat",))
        v[:] = [10.0, 20.0, 30.0]
        v.units = "degrees_north"
        v = f.createVariable("t", "f4", ("time", "lat", "lon"))
        v[:] = np.nan_to_num(temperature, nan=-999.0, posinf=5)
        v.units = "K"
        v.missing_value = np.float32(-999.0)
        v = f.createVariable("packed", "i2", ("lat", "lon"))
        v.scale_factor, v.add_offset, v._FillValue = np.float32(0.5), np.float32(100), np.int16(-1)
        v[:] = np.arange(15).reshape(3, 5) - 1
        v = f.createVariable("count", "i4", ("time",))
        v[:] = [1, 2, 3, 4]
    lode("convert", "a.nc", "a.npz")
    want = np.where(np.isnan(temperature), np.nan, np.nan_to_num(temperature, posinf=5)).astype("f4")
    with np.load("a.npz") as z:
        np.testing.assert_array_equal(want, z["t"])
        packed = (np.arange(15).reshape(3, 5) - 1) * np.float32(0.5) + np.float32(100)
        packed[0, 0] = np.nan
        same(packed.astype("f4"), z["packed"], "packed")
        same(np.array([1, 2, 3, 4], "i4"), z["count"], "count")
        description = json.loads(z["lode.json"])
    assert description["attributes"]["variables"]["t"]["dims"] == ["time", "lat", "lon"]
    assert description["attributes"]["variables"]["t"]["attributes"]["units"] == "K"
    assert description["attributes"]["attributes"]["title"] == "made by scipy"
    lode("convert", "a.nc:t[1:3,::-1,2]", "c.npy")
    np.testing.assert_array_equal(want[1:3, ::-1, 2], np.load("c.npy"))
    lode("convert", "a.nc:t[1:3]", "c.cdf")  # one variable keeps its name and units
    with scipy.io.netcdf_file("c.cdf", "r", mmap=False) as f:
        np.testing.assert_array_equal(want[1:3], f.variables["t"][:])
        assert f.variables["t"].dimensions == ("time", "lat", "lon") and f.variables["t"].units == b"K"
    lode("convert", "a.npz", "b.cdf")
    with scipy.io.netcdf_file("b.cdf", "r", mmap=False) as f:
        np.testing.assert_array_equal(want, f.variables["t"][:])
        assert f.variables["t"].dimensions == ("time", "lat", "lon")
        assert f.variables["t"].units == b"K" and f.title == b"made by scipy"
        assert f.variables["lat"].units == b"degrees_north"
    lode("convert", "a.npz", "b.nc")
    lode("convert", "b.nc", "c.npz")
    with np.load("c.npz") as z:
        np.testing.assert_array_equal(want, z["t"])
    global checks
    checks += 5


def tables():
    a = sample("f8", (6, 3))
    a[~np.isfinite(a)] = 1
    np.savetxt("a.csv", a, delimiter=",", header="x,y,z", comments="", fmt="%.17g")
    lode("convert", "a.csv", "a.npy")
    same(a, np.load("a.npy"), "csv")
    lode("convert", "a.npy", "b.tsv")
    np.testing.assert_array_equal(a, np.loadtxt("b.tsv", delimiter="\t"))
    lode("convert", "b.tsv", "c.npy")
    same(a, np.load("c.npy"), "tsv")


def raw():
    a = sample("f4", (3, 4, 5))
    a.tofile("a.raw")
    lode("convert", "a.raw", "a.npy", "--dtype", "f32", "--shape", "3,4,5")
    same(a, np.load("a.npy"), "raw")
    lode("convert", "a.npy", "b.raw")
    assert open("b.raw", "rb").read() == a.tobytes()


def run(parts):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for part in parts:
            part()
        os.chdir("/")
    print(f"interop: {checks} comparisons hold")


if __name__ == "__main__":
    run((npy, npz, slices, sparse, matrix_market, safetensors, tables, raw, netcdf))
