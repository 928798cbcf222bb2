"""Files of several variables for whole.sh, and their comparison with what came back.

usage: whole.py make DIR; whole.py netcdf|hdf5|npz ORIGINAL RETURNED RULES; whole.py tamper FILE TENSOR
RULES: NAME=E:max or NAME=E:rel by commas; every other variable must have the same bits.
"""
import json
import re
import struct
import subprocess
import sys

import h5py
import netCDF4
import numpy as np


def field(shape, phase=0.0):
    """Smooth, with a little noise."""
    at = np.indices(shape)
    y = 10 * np.sin(at[-1] / 11 + phase) * np.cos(at[-2] / 9) + 20
    if len(shape) > 2:
        y = y * np.cos(at[0] / 7 + phase)
    return y + 0.02 * np.random.default_rng(3).standard_normal(shape)


def netcdf(path, kind):
    d = netCDF4.Dataset(path, "w", format=kind)
    d.title, d.history = "a model", "made by a test"
    d.setncattr("version", np.int16(3))
    d.createDimension("time", None)
    for name, size in (("lat", 24), ("lon", 36), ("nv", 2), ("letters", 8)):
        d.createDimension(name, size)
    t = d.createVariable("time", "f8", ("time",))
    t.units, t[:] = "days since 1900-01-01", np.arange(12) * 0.5
    lat = d.createVariable("lat", "f4", ("lat",))
    lat.units, lat.bounds, lat[:] = "degrees_north", "lat_bnds", np.linspace(-80, 80, 24)
    d.createVariable("lat_bnds", "f8", ("lat", "nv"))[:] = np.linspace(-83, 83, 48).reshape(24, 2)
    d.createVariable("lon", "f4", ("lon",))[:] = np.linspace(0, 350, 36)
    three = ("time", "lat", "lon")
    v = d.createVariable("T", "f4", three, fill_value=np.float32(-999))
    values = field((12, 24, 36)).astype("f4")
    values[3, 4, 5:9] = np.nan
    v.units, v.coordinates, v[:] = "K", "area", np.ma.masked_invalid(values)
    v = d.createVariable("P", "i2", three, fill_value=np.int16(-32767))
    v.scale_factor, v.add_offset, v.units = 0.01, 100.0, "hPa"
    v[:] = np.ma.masked_greater(field((12, 24, 36), 1) + 90, 119.8)
    d.createVariable("U", "f8", three)[:] = field((12, 24, 36), 2)
    d.createVariable("index", "i4", three)[:] = np.arange(12 * 24 * 36).reshape(12, 24, 36) // 7
    v = d.createVariable("quality", "i2", three, fill_value=np.int16(-99))
    v[:] = np.ma.masked_equal(np.round(field((12, 24, 36), 3)).astype("i2"), 20)
    # the value for missing lies among the others
    v = d.createVariable("near", "i2", three, fill_value=np.int16(-9))
    v[:] = np.ma.masked_equal(np.round(field((12, 24, 36), 3)).astype("i2"), 20)
    d.createVariable("area", "f8", ("lat", "lon"))[:] = field((24, 36), 4)
    d.createVariable("crs", "i4", ())[...] = 7
    d.variables["crs"].grid_mapping_name = "latitude_longitude"
    names = np.array([f"st{i}" for i in range(24)], "S8")
    d.createVariable("name", "S1", ("lat", "letters"))[:] = netCDF4.stringtochar(names)
    if kind == "NETCDF4":
        g = d.createGroup("ocean")
        g.note = "deep"
        g.createDimension("z", 8)
        g.createVariable("z", "f8", ("z",))[:] = np.arange(8.0)
        g.createVariable("S", "f8", ("z", "lat", "lon"))[:] = field((8, 24, 36), 5)
        d.createVariable("label", str, ("lat",))[:] = np.array([f"l{i}" for i in range(24)], dtype=object)
    d.close()


def hdf5(path):
    f = h5py.File(path, "w", track_order=True)
    f.attrs["title"], f.attrs["list"] = "x", np.arange(3)
    g = f.create_group("g")
    g.attrs["note"] = "n"
    g["T"] = field((64, 96)).astype("f4")
    g["T"].attrs["units"] = "K"
    g["lat"] = np.linspace(0, 1, 64)
    g["lat"].make_scale("lat")
    g["T"].dims[0].attach_scale(g["lat"])
    g["z"] = (field((64, 96)) + 1j * field((64, 96), 1)).astype("c8")
    g["flag"] = field((64, 96)) > 20
    f["index"] = np.arange(6144).reshape(64, 96)
    f["name"], f["scalar"], f["empty"] = "hello", 3.5, np.zeros((0, 4))
    f.close()


def make(folder):
    netcdf(f"{folder}/m4.nc", "NETCDF4")
    netcdf(f"{folder}/m3.nc", "NETCDF3_64BIT_OFFSET")
    hdf5(f"{folder}/m.h5")
    np.savez(f"{folder}/m.npz", a=field((64, 96)), b=np.arange(10), c=field((64, 96), 1).astype("f4"), t=np.array("text"))


def rules_of(text):
    parts = (rule.split("=") for rule in text.split(",") if rule)
    return {name: (float(spec.split(":")[0]), spec.split(":")[1]) for name, spec in parts}


def close(name, a, b, rules):
    """b is a within the rule of its name, missing entries in the same places."""
    assert a.shape == b.shape and a.dtype == b.dtype, (name, a.shape, b.shape, a.dtype, b.dtype)
    assert np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b)), f"{name}: other entries are missing"
    x, y = (np.asarray(np.ma.filled(v, 0)) for v in (a, b))
    if x.dtype.kind in "fc":
        assert np.array_equal(np.isnan(x), np.isnan(y)), f"{name}: NaN is elsewhere"
        x, y = np.nan_to_num(x), np.nan_to_num(y)
    if name not in rules:
        assert np.array_equal(x, y), f"{name} has not the same values"
        return
    e, kind = rules[name]
    d = np.abs(x.astype("c16") - y)
    reached = d.max() if kind == "max" else np.linalg.norm(d) / np.linalg.norm(x)
    assert 0 < reached <= e * (1 + 1e-6), f"{name}: {kind} {reached}, asked {e}"


def dump(tool, *words):
    text = subprocess.run([tool, *words], capture_output=True, text=True, check=True).stdout
    return re.sub(r"^(netcdf|HDF5) .*$", "", text, flags=re.M)


def without(text, rules):
    """What ncdump prints, but for the values of variables that a rule names."""
    for name in rules:
        text = re.sub(rf"^ +{re.escape(name.split('/')[-1])} =[^;]*;", "", text, flags=re.M)
    return text


def walk(group, prefix=""):
    for name, v in group.variables.items():
        yield prefix + name, v
    for name, g in group.groups.items():
        yield from walk(g, f"{prefix}{name}/")


def compare_netcdf(one, two, rules):
    a, b = (without(dump("ncdump", path), rules) for path in (one, two))
    lines = [x for x in zip(a.split("\n"), b.split("\n")) if x[0] != x[1]]
    assert a == b, f"ncdump prints {lines[:3]}"
    with netCDF4.Dataset(one) as f, netCDF4.Dataset(two) as g:
        theirs = dict(walk(g))
        for name, v in walk(f):
            if v.dtype is not str and v.dtype.kind in "iufc":
                close(name, v[...], theirs[name][...], rules)
            for w in (v, theirs[name]):
                w.set_auto_maskandscale(False)
            assert v.dtype == theirs[name].dtype, name


def compare_hdf5(one, two, rules):
    with h5py.File(one) as f, h5py.File(two) as g:
        names = []
        f.visititems(lambda name, o: names.append(name) if isinstance(o, h5py.Dataset) else None)
        for name in names:
            if f[name].dtype.kind == "O":
                assert f[name][()] == g[name][()], name
            else:
                close(name, f[name][()], g[name][()], rules)


def tamper(path, tensor):
    with open(path, "r+b") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        at = json.loads(f.read(size))[tensor]["data_offsets"]
        f.seek(8 + size + sum(at) // 2)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 0x55]))


if __name__ == "__main__":
    word, rest = sys.argv[1], sys.argv[2:]
    if word == "make":
        make(*rest)
    elif word == "tamper":
        tamper(*rest)
    elif word == "netcdf":
        compare_netcdf(rest[0], rest[1], rules_of(rest[2]))
    elif word == "hdf5":
        compare_hdf5(rest[0], rest[1], rules_of(rest[2]))
    elif word == "headers":
        assert dump("h5dump", "-H", rest[0]) == dump("h5dump", "-H", rest[1])
    else:
        a, b, rules = np.load(rest[0]), np.load(rest[1]), rules_of(rest[2])
        for key in a:
            if a[key].dtype.kind != "U":
                close(key, a[key], b[key], rules)
