#!/usr/bin/python3
"""Files exchanged with NumPy and SciPy, both ways, through the command: what one writes the other reads.

usage: interop.py LODE        (the built command)
"""
import io
import json
import os
import shutil
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
    for kind in ("csr", "csc", "coo"):
        s = m.asformat(kind)
        s.data = np.where(np.arange(s.nnz) == 7, np.nan, s.data)
        scipy.sparse.save_npz("s.npz", s)
        assert "is nan" in lode("convert", "s.npz", "t.npz", fails=True), kind
        scipy.io.savemat("s.mat", {"s": s})
        assert "is nan" in lode("convert", "s.mat", "t.npz", fails=True)
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
    stored = np.nan_to_num(want, nan=-999.0)
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
        np.testing.assert_array_equal(stored[1:3], f.variables["t"][:])
        assert f.variables["t"].dimensions == ("time", "lat", "lon") and f.variables["t"].units == b"K"
    lode("convert", "a.npz", "b.cdf")
    with scipy.io.netcdf_file("b.cdf", "r", mmap=False) as f:
        np.testing.assert_array_equal(stored, f.variables["t"][:])  # missing as it was
        assert f.variables["t"].dimensions == ("time", "lat", "lon") and f.variables["packed"].data.dtype == ">i2"
        assert f.variables["t"].units == b"K" and f.title == b"made by scipy"
        assert f.variables["lat"].units == b"degrees_north"
    lode("convert", "a.npz", "b.nc")
    lode("convert", "b.nc", "c.npz")
    with np.load("c.npz") as z:
        np.testing.assert_array_equal(want, z["t"])
    global checks
    checks += 5


def has(suffix, library):
    """Whether this build and machine write such files; if not, the one sentence that says so is checked."""
    np.save("probe.npy", np.zeros(2))
    p = subprocess.run([LODE, "convert", "probe.npy", "probe" + suffix, "--force"], capture_output=True, text=True)
    assert p.returncode == 0 or library in p.stderr, p
    if p.returncode:
        print(f"interop: {suffix} left out, as this build or machine has no {library}")
    return p.returncode == 0


def peer(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"interop: {name} is not here and left out")
        return None


def netcdf4():
    """Everything that ncdump prints comes back, straight and through other formats."""
    global checks
    netCDF4 = peer("netCDF4")
    if not netCDF4 or not shutil.which("ncdump") or not has(".nc", "libnetcdf"):
        return
    with netCDF4.Dataset("n.nc", "w") as f:
        f.title, f.number, f.levels, f.words = "test", np.int16(5), np.array([1, 2], "f4"), ["a", "bb"]
        f.setncattr_string("string", "of variable length")
        for name, size in {"time": None, "lat": 4, "lon": 5, "nchar": 6, "unused": 9}.items():
            f.createDimension(name, size)
        v = f.createVariable("time", "f8", ("time",))
        v.units = "days since 2000-01-01"
        v[:] = np.arange(3)
        v = f.createVariable("lat", "f4", ("lat",))
        v.valid_range = np.array([-90, 90], "f4")
        v[:] = np.linspace(0, 1, 4)
        v = f.createVariable("packed", "i2", ("time", "lat", "lon"), fill_value=np.int16(-32768), zlib=True, chunksizes=(1, 4, 5))
        v.set_auto_maskandscale(False)
        v.scale_factor, v.add_offset, v.valid_min, v.units = np.float32(0.01), np.float32(273.15), np.int16(-100), "K"
        stored = rng.integers(-30000, 30000, (3, 4, 5)).astype("i2")
        stored[0, 0, 0] = -32768
        v[:] = stored
        v = f.createVariable("missing", "f4", ("time", "lat", "lon"), fill_value=np.float32(-999))
        v.missing_value = np.float32(-999)
        holes = rng.standard_normal((3, 4, 5)).astype("f4")
        holes[1, 1, 1] = -999
        v[:] = holes
        f.createVariable("whole", "i4", ("lat",), fill_value=np.int32(-1))[:] = [1, 2, -1, 4]
        for name, dtype in (("byte", "i1"), ("short", "i2")):
            v = f.createVariable(name, dtype, ("lat",), fill_value=np.array(-1, dtype))
            v.set_auto_maskandscale(False)
            v.setncattr("_Unsigned", "true")
            v[:] = np.array([1, -2, -1, 127], dtype)
        f.variables["short"].scale_factor = 0.5
        f.createVariable("names", "S1", ("lat", "nchar"))[:] = netCDF4.stringtochar(np.array(["one", "two", "three", "four"], "S6"))
        f.createVariable("strings", str, ("lon",))[:] = np.array(list("abcde"), dtype=object)
        f.createVariable("crs", "S1", ()).grid_mapping_name = "latitude_longitude"
        f.createVariable("u64", "u8", ("lat",))[:] = np.array([1, 2**64 - 1, 3, 4], "u8")
        g = f.createGroup("group")
        g.what = "inner"
        g.createDimension("x", 2)
        g.createVariable("x", "f8", ("x",))[:] = [1, 2]
        g.createVariable("w", "f8", ("time", "x"))[:] = rng.standard_normal((3, 2))
        g.createGroup("deep").createVariable("z", "i4", ("x",))[:] = [7, 8]
        f.createVariable("scalar", "f8", ())[:] = 4.5

    def dump(path):
        return subprocess.run(["ncdump", path], capture_output=True, text=True, check=True).stdout.split("\n", 1)[1]
    want = dump("n.nc")
    through = ["n2.nc", "n.lode", "n.npz"] + (["n.h5"] if has(".h5", "libhdf5") else [])
    for path in through:
        lode("convert", "n.nc", path)
        lode("convert", path, "n3.nc")
        assert dump("n3.nc") == want, path
        checks += 1
    lode("convert", "n.nc:packed", "n.npy")
    p = np.where(stored == -32768, np.nan, stored.astype("f8") * np.float32(0.01) + np.float32(273.15)).astype("f4")
    same(p, np.load("n.npy"), "packed")
    lode("convert", "n.nc:packed[1:,:,::-1]", "n3.nc")  # again packed, as every value allows it
    with netCDF4.Dataset("n3.nc") as f:
        assert f.dimensions["time"].isunlimited() and f.variables["packed"].dtype == "i2"
        f.set_auto_maskandscale(False)
        same(stored[1:, :, ::-1], f.variables["packed"][:], "packed again")


def hdf5():
    global checks
    h5py = peer("h5py")
    if not h5py or not has(".h5", "libhdf5"):
        return
    arrays = {f"g{i % 3}/{d.replace('?', 'b')}_{i}": sample(d, s) for d in DTYPES for i, s in enumerate(SHAPES)}
    big = sample("f4", (40, 300, 50))
    for libver in ("earliest", "latest"):
        with h5py.File("a.h5", "w", libver=libver) as f:
            for k, v in arrays.items():
                f[k] = v.astype(v.dtype.newbyteorder(">")) if len(k) % 2 else v
            f.create_dataset("big", data=big, chunks=(16, 64, 50), compression="gzip", shuffle=True, fletcher32=True)
        lode("convert", "a.h5", "b.npz")
        lode("convert", "b.npz", "c.h5")
        for path, open_file in (("b.npz", np.load), ("c.h5", lambda p: h5py.File(p, "r"))):
            with open_file(path) as z:
                for k, v in arrays.items():
                    same(v, z[k][()], ("hdf5", libver, path, k))
                same(big, z["big"][()], ("hdf5", libver, path))
        lode("convert", "a.h5:/big[3:30:4,::-7,5]", "c.npy")
        same(big[3:30:4, ::-7, 5], np.load("c.npy"), "hdf5 part")
    with h5py.File("a.h5", "w", track_order=True) as f:
        f.attrs["title"] = "made by h5py"
        f["t"] = sample("f4", (3, 4))
        f["t"].attrs.update({"units": "K", "count": np.int16(3), "flag": True, "words": ["a", "b"], "_FillValue": np.float32(5)})
        f["t"][1, 1] = 5
        f["lat"], f["half"] = np.arange(3.0), sample("f2", (4,))
        f["lat"].make_scale("lat")
        f["t"].dims[0].attach_scale(f["lat"])
        f["t"].dims[1].label = "lon"
        f["records"], f["texts"] = np.zeros(2, [("a", "f4")]), np.array(["a", "bb"], dtype=object)
        f["elsewhere"], f["soft"] = h5py.ExternalLink("b.h5", "/x"), h5py.SoftLink("/t")
        f["note"], f["none"] = "häuser", h5py.Empty("f4")
        t = f["t"][()]
    lode("convert", "a.h5", "c.h5")
    with h5py.File("c.h5") as f:
        same(t, f["t"][()], "hdf5 missing, as it is stored")
        same(t, f["soft"][()], "hdf5 soft link")
        assert isinstance(f.get("elsewhere", getlink=True), h5py.ExternalLink) and f["records"].dtype.names == ("a",)
        a = f["t"].attrs
        assert a["units"] == "K" and a["count"].dtype == "i2" and a["flag"] and list(a["words"]) == ["a", "b"]
        assert f["t"].dims[0][0].name == "/lat" and f["t"].dims[1].label == "lon" and f.attrs["title"] == "made by h5py"
        assert f["lat"].attrs["CLASS"] == b"DIMENSION_SCALE" and f["note"][()].decode() == "häuser" and f["none"].shape is None
    t[1, 1] = np.nan
    for name, word in (("records", "fields"), ("texts", "text"), ("elsewhere", "another file"), ("nots", "did you mean note")):
        assert word in lode("convert", f"a.h5:{name}", "c.npy", fails=True), name
    assert "half" in lode("convert", "a.h5", "c.npy", fails=True)
    lode("convert", "a.h5:t", "c.h5")  # alone, with its coordinate
    with h5py.File("c.h5") as f:
        assert set(f) == {"t", "lat"}
        assert f["t"].dims[0][0].name == "/lat" and f["t"].attrs["units"] == "K"
    if shutil.which("h5dump"):
        subprocess.run(["h5dump", "c.h5"], check=True, capture_output=True)
    checks += 12


def matlab73():
    """By the conventions alone: no free program writes these files whole."""
    global checks
    h5py = peer("h5py")
    if not h5py or not has(".h5", "libhdf5"):
        return
    arrays = {f"{d.replace('?', 'b')}_{i}": sample(d, s) for d in DTYPES if d != "f2" for i, s in enumerate(SHAPES)
              if len(s) > 1 and (d[0] != "c" or 0 not in s)}
    names = {"f4": "single", "f8": "double", "c8": "single", "c16": "double", "?": "logical"}
    np.savez("a.npz", **arrays)
    lode("convert", "a.npz", "a.mat", "--to", "mat73")
    assert open("a.mat", "rb").read(19) == b"MATLAB 7.3 MAT-file"
    with h5py.File("a.mat") as f:
        for k, v in arrays.items():
            d = f[k]
            word = names.get(k.split("_")[0].replace("b", "?"), str(v.dtype))
            assert d.attrs["MATLAB_class"].decode() == word, k
            if v.size == 0:
                assert d.attrs["MATLAB_empty"] == 1 and tuple(d[()]) == v.shape, k
                continue
            x = d[()].T
            if v.dtype.kind == "c":
                x = x["real"] + 1j * x["imag"]
                np.testing.assert_array_equal(v.view(v.real.dtype), np.ascontiguousarray(x.astype(v.dtype)).view(v.real.dtype))
            else:
                np.testing.assert_array_equal(v, x)
            checks += 1
    lode("convert", "a.mat", "b.npz")
    with np.load("b.npz") as z:
        for k, v in arrays.items():
            same(v, z[k], ("mat73", k))
    lode("convert", "a.mat:f8_8[:,1,::-1]", "c.npy")
    same(arrays["f8_8"][:, 1, ::-1], np.load("c.npy"), "mat73 part")
    m = scipy.sparse.random(40, 30, 0.1, "csr", random_state=1)
    scipy.sparse.save_npz("s.npz", m)
    lode("convert", "s.npz", "s.mat", "--to", "mat73")
    with h5py.File("s.mat") as f:
        g = f["matrix"]
        assert g.attrs["MATLAB_sparse"] == 40
        got = scipy.sparse.csc_matrix((g["data"][()], g["ir"][()], g["jc"][()]), (40, 30))
    same(m.toarray(), got.toarray(), "mat73 sparse")
    lode("convert", "s.mat", "t.npz")
    same(m.toarray(), scipy.sparse.load_npz("t.npz").toarray(), "mat73 sparse back")
    real = os.path.join(os.path.dirname(scipy.io.__file__), "matlab/tests/data/testhdf5_7.4_GLNX86.mat")
    if os.path.exists(real):
        lode("convert", real + ":testdouble", "c.npy")
        np.testing.assert_allclose(np.load("c.npy"), np.arange(9)[None] * np.pi / 4)


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
    run((hdf5, matlab73, npy, npz, slices, sparse, matrix_market, safetensors, tables, raw, netcdf, netcdf4))
