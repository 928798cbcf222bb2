"""Files with all that HDF5 and NetCDF can say, and their dumps compared: frame.py make FOLDER | same ONE TWO | near ONE TWO
ERROR | alone ONE TWO NAME."""
import os
import subprocess
import sys

import h5py
import netCDF4
import numpy as np

rng = np.random.default_rng(0)
x = np.cumsum(rng.standard_normal((8, 12, 16)), axis=0).astype("f4")


def make_types(f):
    """Attributes of every type, and data sets of types that are no numbers."""
    f.attrs["title"] = "a zoo"
    f.attrs["fixed"] = np.bytes_("fixed text")
    f.attrs["fixed_list"] = np.array([b"ab", b"cde"], "S5")
    f.attrs["list"] = ["one", "zwei", ""]
    f.attrs["empty"] = h5py.Empty("f4")
    f.attrs["empty_text"] = h5py.Empty("S4")
    f.attrs["none"] = np.zeros(0, "i4")
    f.attrs["matrix"] = np.arange(6, dtype="i2").reshape(2, 3)
    f.attrs["big_end"] = np.array([1.5, 2.5], ">f4")
    f.attrs["bool"] = True
    f.attrs["complex"] = 1 + 2j
    f.attrs["record"] = np.array([(1, 2.5, b"x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "S3")])
    f.attrs["opaque"] = np.void(b"\0\1\2")
    f.create_dataset("bool", data=x > 0)
    kind = h5py.enum_dtype({"RED": 0, "GREEN": 1, "BLUE": 7}, basetype="i2")
    f.create_dataset("enum", data=np.array([0, 1, 7, 1] * 100, "i2"), dtype=kind)
    f.create_dataset("strings", data=["alpha", "beta", "g\u00e4mma"] * 10, dtype=h5py.string_dtype())
    f.create_dataset("fixed", data=np.array([b"ab", b"cdef"] * 10, "S6"))
    f.create_dataset("text", data="a scalar text")
    f.create_dataset("vlen", (5,), dtype=h5py.vlen_dtype("i4"))[2] = [1, 2, 3]
    row = [("id", "i8"), ("v", "f4", (3,)), ("s", "S7")]
    f.create_dataset("table", data=np.zeros(50, dtype=row), maxshape=(None,), compression="gzip")
    f.create_dataset("opaque", data=np.array([np.void(b"12345678")] * 3))
    f["type"] = np.dtype([("a", "i4"), ("b", "f8")])
    f.create_dataset("typed", data=np.zeros(3, f["type"].dtype), dtype=f["type"])


def make_links(f):
    g = f.create_group("a/b/c", track_order=True)
    f["a"].attrs["units"] = "m"
    f["a"].create_group("nothing")
    plain = g.create_dataset("plain", data=x)
    plain.attrs["units"] = "K"
    f.attrs["reference"] = plain.ref
    f.attrs["region"] = plain.regionref[0:2, 1:3, :]
    plain.attrs.create("back", np.array([g.ref, f.ref], dtype=h5py.ref_dtype))
    f.create_dataset("refs", data=np.array([plain.ref, g.ref], dtype=h5py.ref_dtype))
    f["hard"] = plain
    f["soft"] = h5py.SoftLink("/a/b/c/plain")
    f["dangling"] = h5py.SoftLink("/nowhere")
    f["extern"] = h5py.ExternalLink("other.h5", "/x")
    f["a/loop"] = f["/"]


def make_storage(f):
    z = dict(compression="gzip", shuffle=True)
    d = f.create_dataset("deflated", data=x, chunks=(3, 5, 7), fletcher32=True, maxshape=(None, 12, None), **z)
    f.create_dataset("unlimited", data=np.arange(100, dtype="i8"), maxshape=(None,), chunks=(16,), fillvalue=-1)
    f.create_dataset("part", shape=(40, 40), dtype="f4", chunks=(10, 10), fillvalue=7, **z)[0:13, 0:25] = 1
    f.create_dataset("never", shape=(10, 10), dtype="f4", fillvalue=3)
    f.create_dataset("big", data=x.astype(">f4"))
    f.create_dataset("big_i", data=np.arange(2000, dtype=">i2"), chunks=(100,))
    f.create_dataset("half", data=x.astype("f2"))
    f.create_dataset("double", data=x.astype("f8"), chunks=(8, 12, 16), **z)
    f.create_dataset("long", data=x[0].astype("g"))
    f.create_dataset("complex", data=(x + 1j * x).astype("c8"))
    f.create_dataset("rounded", data=x, scaleoffset=2, chunks=(4, 12, 16))
    packed = (100 * x).round().astype("i2")
    packed[3, 4] = -32768
    for name in ("packed", "two_codes"):
        p = f.create_dataset(name, data=packed, chunks=(5, 12, 16), **z)
        p.attrs["scale_factor"], p.attrs["add_offset"] = 0.01, 273.15
        p.attrs["_FillValue"], p.attrs["missing_value"] = np.int16(-32768), np.int16(-9999)
        p.attrs["matrix"], p.attrs["list"], p.attrs["yes"] = np.arange(6, dtype="i2").reshape(2, 3), ["one", ""], True
    p[5, 4] = -9999
    f.create_dataset("scalar", data=3.5)
    f.create_dataset("scalar_i", data=np.int32(3))
    f.create_dataset("null", data=h5py.Empty("f8"))
    f.create_dataset("zero", shape=(0, 5), maxshape=(None, 5), dtype="f4")
    f.create_dataset("odd name, g\u00e4", data=x[0])
    f["lat"], f["lon"], f["t"] = np.linspace(-90, 90, 12), np.linspace(0, 360, 16).astype("f4"), np.arange(8.)
    f["other"] = np.linspace(-90, 90, 12)
    for k, name in enumerate(("t", "lat", "lon")):
        f[name].make_scale(name)
        d.dims[k].attach_scale(f[name])
        d.dims[k].label = "axis " + name
    f["other"].make_scale("other latitude")
    d.dims[1].attach_scale(f["other"])


def make_new(f):
    """Every index of chunks that libhdf5 has."""
    c = dict(chunks=(5, 4, 4), compression="gzip")
    f.create_dataset("fixed", data=x, **c)
    f.create_dataset("extensible", data=x, maxshape=(None, 12, 16), **c)
    f.create_dataset("tree", data=x, chunks=(5, 4, 4), maxshape=(None, None, 16))
    f.create_dataset("single", data=x, chunks=x.shape, compression="gzip")
    f.create_dataset("implicit", data=x, chunks=(5, 4, 4))
    for i in range(20):
        f.attrs["attribute %d" % i] = i
    layout = h5py.VirtualLayout(x.shape, "f4")
    layout[...] = h5py.VirtualSource(f["implicit"])
    f.create_virtual_dataset("virtual", layout)


def make_matlab(path):
    """As MATLAB 7.3 lays files out: 512 bytes of its own, then HDF5 with characters, cells, structures, sparse ones."""
    z = dict(compression="gzip", compression_opts=3)

    def put(g, name, a, word, **how):
        d = g.create_dataset(name, data=a.T, **how)
        d.attrs["MATLAB_class"] = np.bytes_(word)
        return d

    def put_text(g, name, text):
        d = put(g, name, np.frombuffer(text.encode("utf-16-le"), "u2").reshape(1, -1), "char")
        d.attrs["MATLAB_int_decode"] = np.int32(2)
        return d

    with h5py.File(path, "w", userblock_size=512) as f:
        put(f, "x", x.T.astype("f8"), "double", chunks=(3, 5, 7), **z)
        put(f, "y", x[:, :, 0], "single")
        put(f, "flag", (x > 0).T.astype("u1"), "logical", chunks=(8, 12, 16), **z).attrs["MATLAB_int_decode"] = np.int32(1)
        put(f, "n", np.arange(3000, dtype="i4").reshape(50, 60), "int32", chunks=(60, 50), **z)
        put_text(f, "name", "h\u00e4user")
        d = f.create_dataset("empty", data=np.array([0, 3], "u8"))
        d.attrs["MATLAB_class"], d.attrs["MATLAB_empty"] = np.bytes_("double"), np.uint8(1)
        g, r = f.create_group("st"), f.create_group("#refs#")
        g.attrs["MATLAB_class"] = np.bytes_("struct")
        put(g, "a", x[0].astype("f8"), "double", chunks=(8, 12))
        put_text(g, "b", "inner")
        cells = [put(r, "a", np.ones((2, 2)), "double").ref, put_text(r, "b", "cell").ref]
        f.create_dataset("cell", data=np.array([cells], dtype=h5py.ref_dtype)).attrs["MATLAB_class"] = np.bytes_("cell")
        g = f.create_group("sparse")
        g.attrs["MATLAB_class"], g.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(3)
        g["data"], g["ir"], g["jc"] = np.array([1.0, 2.0]), np.array([0, 2], "u8"), np.array([0, 1, 2, 2], "u8")
    with open(path, "r+b") as f:
        f.write((b"MATLAB 7.3 MAT-file, Platform: none".ljust(116) + bytes(8) + b"\0\2IM").ljust(512, b"\0"))


def make_netcdf(nc, four):
    nc.title = "a zoo"
    nc.createDimension("time", None)
    for name, size in (("lat", 12), ("lon", 16), ("chars", 8), ("unused", 5)):
        nc.createDimension(name, size)
    space, all_axes = ("lat", "lon"), ("time", "lat", "lon")
    t = nc.createVariable("time", "f8", ("time",))
    t.units, t.calendar = "days since 2000-01-01", "noleap"
    nc.createVariable("lat", "f4", ("lat",))[:] = np.linspace(-90, 90, 12)
    nc.createVariable("lon", "f4", ("lon",))[:] = np.linspace(0, 360, 16)
    z = dict(zlib=True, shuffle=True, complevel=4, fletcher32=True, chunksizes=(3, 5, 16)) if four else {}
    T = nc.createVariable("T", "f4", all_axes, fill_value=np.float32(1e20), **z)
    T.missing_value, T.units, T.coordinates = np.float32(1e20), "K", "lat lon"
    y = x.copy()
    y[2, 3] = 1e20
    T[:], t[:] = y, np.arange(8.)
    N = nc.createVariable("nan_fill", "f8", all_axes, fill_value=np.nan)
    y = x.astype("f8")
    y[1, 1] = np.nan
    N[:] = y
    packed = np.round(100 * x).astype("i2")
    packed[4, 4] = -32768
    P = nc.createVariable("packed", "i2", all_axes, fill_value=np.int16(-32768), **z)
    P.scale_factor, P.add_offset, P.valid_range = 0.01, 270., np.array([-30000, 30000], "i2")
    Q = nc.createVariable("two_codes", "i2", space, fill_value=np.int16(-32768))
    Q.scale_factor, Q.missing_value = np.float32(0.1), np.int16(-9999)
    for v in (P, Q):
        v.set_auto_maskandscale(False)
    P[:] = packed
    packed[0, 0], packed[0, 1] = -32768, -9999
    Q[:] = packed[0]
    U = nc.createVariable("unsigned", "i1", space)
    U._Unsigned = "true"
    U[:] = np.arange(192).reshape(12, 16).astype("i1")
    names = np.array(["station%d" % (i % 10) for i in range(12)], "S8")
    nc.createVariable("name", "S1", ("lat", "chars"))[:] = netCDF4.stringtochar(names)
    nc.createVariable("flag", "i1", space)[:] = 1
    nc.createVariable("scalar", "i4", ())[:] = 42
    nc.createVariable("crs", "S1", ()).grid_mapping_name = "latitude_longitude"
    nc.createVariable("unwritten", "f4", space)
    nc.createVariable("record", "i2", ("time",))[:] = np.arange(8)
    nc.numbers, nc.one = np.array([1, 2, 3], "i4"), np.float32(0.1)


def make_groups(nc):
    """What only version 4 has."""
    nc.strings = ["a", "bb"]
    nc.setncattr_string("string", "one")
    nc.createVariable("words", str, ("lat",))[:] = np.array(["w%d" % i for i in range(12)], object)
    g = nc.createGroup("ocean").createGroup("deep")
    g.createDimension("z", None)
    g.createDimension("lat", 7)
    g.createVariable("S", ">f4", ("z", "lat"), endian="big")[:] = x[0, :9, :7]
    g.createVariable("lat", "f4", ("z",))[:] = 1
    g.createVariable("late", "f4", ("time", "z"))[:5] = 2
    g.depth = 3
    pair = nc.createCompoundType(np.dtype([("a", "i4"), ("b", "f8")]), "pair_t")
    nc.createVariable("pairs", pair, ("lat",))[:] = np.zeros(12, pair.dtype)
    nc.createVariable("lists", nc.createVLType("i4", "list_t"), ("unused",))[0] = np.arange(3, dtype="i4")
    cloud = nc.createEnumType("i1", "cloud_t", {"clear": 0, "cloudy": 1})
    nc.createVariable("cloud", cloud, ("lat",), fill_value=1)[:] = 0
    for word in ("u1", "u2", "u4", "u8", "i8"):
        nc.createVariable("of_" + word, word, ("lat",))[:] = np.arange(12)


LONE = """netcdf lone {
types: opaque(5) blob; compound point {int a; float b(3);}; int(*) list; byte enum answer {no = 0, yes = 1};
dimensions: n = 2; x = 3000;
variables: blob bytes(n); point rec(n); list lists(n); answer said(n); string words(n); point one;
float T(x); T:units = "K"; point T:origin = {1, {1, 2, 3}};
data: bytes = 0x0102030405, 0x060708090a; rec = {1, {1, 2, 3}}, {4, {5, 6, 7}}; lists = {1, 2}, {3}; said = yes, no;
words = "one", "two"; one = {9, {8, 7, 6}};
}
"""


def make(folder):
    def h5(name, **how):
        return h5py.File(os.path.join(folder, name + ".h5"), "w", **how)

    with h5("types") as f:
        make_types(f)
        make_links(f)
    with h5("storage") as f:
        make_storage(f)
    with h5("new", libver="latest", track_order=True) as f:
        make_new(f)
    with h5("one") as f:
        f.create_dataset("x", data=x, chunks=(5, 4, 4), maxshape=(None, 12, 16)).attrs["a"] = h5py.Empty("f4")
    cdl = os.path.join(folder, "lone.cdl")
    with open(cdl, "w") as f:
        f.write(LONE)
    subprocess.run(["ncgen", "-4", "-o", os.path.join(folder, "lone.nc"), cdl], check=True)
    make_matlab(os.path.join(folder, "seven.mat"))
    kinds = dict(classic="NETCDF3_CLASSIC", offset64="NETCDF3_64BIT_OFFSET", cdf5="NETCDF3_64BIT_DATA", four="NETCDF4",
                 four_classic="NETCDF4_CLASSIC")
    for name, kind in kinds.items():
        with netCDF4.Dataset(os.path.join(folder, name + ".nc"), "w", format=kind) as nc:
            make_netcdf(nc, "NETCDF4" in kind)
            if kind == "NETCDF4":
                make_groups(nc)


# ---- what the format's own tools show ----


def dump(*command):
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = run.stdout.decode("utf-8", "replace").split("\n")[1:]  # the first has the name of the file
    # chunks of another compression take other room
    return [line for line in lines if not line.strip().startswith(("SIZE", "OFFSET"))]


def same(one, two, values=True):
    heads = ["h5dump", "-p", "-H"] if not one.endswith(".nc") else ["ncdump", "-hs"]
    for command in (heads, heads[:1]) if values else (heads,):
        a, b = dump(*command, one), dump(*command, two)
        lines = [pair for pair in zip(a, b) if pair[0] != pair[1]]
        assert a == b, f"{' '.join(command)} of {one} shows {lines[:3]}"


def values_of(path):
    """Unpacked, missing as NaN."""
    if path.endswith(".nc"):
        with netCDF4.Dataset(path) as f:
            found = {k: v[...] for k, v in f.variables.items()}
        return {k: np.ma.filled(v.astype("f8"), np.nan) for k, v in found.items() if v.dtype.kind in "iuf"}
    found = {}
    with h5py.File(path) as f:
        for k, d in f.items():
            if isinstance(d, h5py.Dataset) and d.dtype.kind in "iuf" and d.shape is not None:
                v = d[...].astype("f8")
                if "scale_factor" in d.attrs:
                    v[np.isin(v, (-32768, -9999))] = np.nan
                    v = v * d.attrs["scale_factor"] + d.attrs["add_offset"]
                found[k] = v
    return found


def told(v, names):
    """What a variable says of itself."""
    words = {k: np.asarray(v.getncattr(k) if hasattr(v, "getncattr") else v[k]) for k in names}
    return {k: (a.dtype.kind if a.dtype.kind in "OSU" else a.dtype.newbyteorder("="), a.shape, str(a.tolist())) for k, a in words.items()}


def alone(one, two, name):
    """A variable by itself keeps its type, names of dimensions, attributes and coordinates."""
    if one.endswith(".h5"):
        with h5py.File(one) as f, h5py.File(two) as g:
            a, b = f[name], g[name]
            of_hdf5 = {"DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST", "CLASS", "NAME"}
            assert a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and a.shape == b.shape, (a, b)
            x, y = (told(d.attrs, set(d.attrs) - of_hdf5) for d in (a, b))
            assert x == y, [k for k in x if x[k] != y.get(k)]
            for k, dim in enumerate(a.dims):
                if len(dim):
                    assert dim[0].name == b.dims[k][0].name and (dim[0][()] == b.dims[k][0][()]).all()
        return
    with netCDF4.Dataset(one) as f, netCDF4.Dataset(two) as g:
        f.set_auto_maskandscale(False), g.set_auto_maskandscale(False)
        a, b = f[name], g[name]
        assert (a.dtype.newbyteorder("="), a.dimensions, a.shape) == (b.dtype, b.dimensions, b.shape), name
        x, y = told(a, a.ncattrs()), told(b, b.ncattrs())
        assert x == y, (x, y)
        for d, e in zip(a.get_dims(), b.get_dims()):
            assert (d.name, d.isunlimited()) == (e.name, e.isunlimited()), (d, e)
            group = d.group()
            c = group.variables.get(d.name)
            if c is not None and c.dimensions == (d.name,):
                mine = g.variables[d.name]
                assert (c[:] == mine[:]).all() and told(c, c.ncattrs()) == told(mine, mine.ncattrs()), d
        outer = a.group()
        if outer.parent:
            assert told(outer, outer.ncattrs()) == told(b.group(), b.group().ncattrs())


def near(one, two, error):
    same(one, two, values=False)
    a, b = values_of(one), values_of(two)
    assert a.keys() == b.keys()
    moved = 0
    for k in a:
        assert (np.isnan(a[k]) == np.isnan(b[k])).all(), f"{k}: other values are missing"
        worst = np.max(np.nan_to_num(np.abs(a[k] - b[k])), initial=0)
        assert worst <= error * (1 + 1e-9), f"{k} is off by {worst}"
        moved += worst > 0
    assert moved, "nothing was compressed"


if __name__ == "__main__":
    word, rest = sys.argv[1], sys.argv[2:]
    if word == "make":
        make(rest[0])
    elif word == "same":
        same(rest[0], rest[1])
    elif word == "alone":
        alone(*rest)
    else:
        near(rest[0], rest[1], float(rest[2]))
