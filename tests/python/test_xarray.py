"""xarray's backend and accessor. Left out where xarray is not installed."""
import os
import tempfile
import unittest

import numpy as np

import lode

try:
    import netCDF4  # noqa: F401 (what xarray writes NetCDF-4 with)
    import xarray

    import lode.xarray
except ImportError:
    raise SystemExit(0) from None


class Backend(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        rng = np.random.default_rng(5)
        T = np.cumsum(rng.standard_normal((24, 10, 20)), axis=0).astype("f4")
        T[3, 4, 5] = np.nan
        self.ds = xarray.Dataset(
            {"T": (("time", "lat", "lon"), T, {"units": "K", "valid_range": [100.0, 400.0]}),
             "P": (("lat", "lon"), 1e5 + rng.standard_normal((10, 20)), {"units": "Pa"}),
             "count": (("time",), np.arange(24, dtype="i4"))},
            coords={"time": np.arange("2000-01-01", "2000-01-25", dtype="M8[D]").astype("M8[ns]"),
                    "lat": np.linspace(-60, 60, 10), "lon": np.arange(20.0)}, attrs={"title": "a model"})
        self.ds["P"].encoding = {"scale_factor": 0.01, "add_offset": 1e5, "dtype": "i4", "_FillValue": -9}
        self.ds["count"].encoding = {"_FillValue": 7}

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def opened(self, name):
        return xarray.open_dataset(self.path(name), engine=lode.xarray.LodeBackend)

    def test_a_dataset_comes_back(self):
        made = self.ds.lode.compress(self.path("x.lode"), error="T=1e-3,*=0.02:max")
        self.assertLessEqual(made.T.certificate.value, 1e-3)
        back, asked = self.opened("x.lode"), self.path("x.nc")
        self.ds.to_netcdf(asked)
        want = xarray.open_dataset(asked)
        self.assertEqual(set(back.coords), set(want.coords))
        self.assertEqual(back.attrs, want.attrs)
        for name in want.variables:
            self.assertEqual(back[name].dims, want[name].dims, name)
            self.assertEqual(back[name].attrs.get("units"), want[name].attrs.get("units"), name)
        np.testing.assert_array_equal(back["T"].attrs["valid_range"], [100.0, 400.0])
        for name in ("time", "lat", "lon", "count"):
            np.testing.assert_array_equal(back[name].values, want[name].values, name)
        self.assertTrue(np.isnan(back["count"].values[7]))
        self.assertEqual(int(np.isnan(back["T"].values).sum()), 1)
        self.assertLessEqual(float(abs(back["P"] - want["P"]).max()), 0.02)
        self.assertLess(float(((back["T"] - want["T"]) ** 2).sum() / (want["T"] ** 2).sum()), 1e-6)
        back.close(), want.close()

    def test_it_is_lazy(self):
        self.ds.lode.compress(self.path("x.lode"), error=1e-3)
        back = self.opened("x.lode")
        read = []
        get = lode.Variable.__getitem__
        lode.Variable.__getitem__ = lambda v, k: read.append((v.name, get(v, k).size)) or get(v, k)
        try:
            part = back["T"].sel(lat=0, method="nearest").isel(time=slice(2, 20, 3), lon=[5, 1]).values
        finally:
            lode.Variable.__getitem__ = get
        self.assertEqual(part.shape, (6, 2))
        self.assertTrue(read and all(name == "T" and size <= 12 for name, size in read), read)

    def test_verify_and_other_files(self):
        self.ds.lode.compress(self.path("x.lode"), error=1e-3)
        self.ds.lode.verify(self.path("x.lode"))
        with self.assertRaises(lode.LodeError):
            (self.ds * 1.5).lode.verify(self.path("x.lode"))
        np.save(self.path("y.npy"), np.arange(6.0).reshape(2, 3))
        y = self.opened("y.npy")["y"]
        self.assertEqual(y.dims, ("y_0", "y_1"))
        np.testing.assert_array_equal(y.values, np.arange(6.0).reshape(2, 3))
        self.assertTrue(lode.xarray.LodeBackend().guess_can_open("a/b.lode"))
        self.assertFalse(lode.xarray.LodeBackend().guess_can_open("a/b.nc"))

    def test_arrays_alone(self):
        self.ds["T"].lode.compress(self.path("t.lode"), error=1e-3)
        back = self.opened("t.lode")
        self.assertEqual(back["T"].dims, ("time", "lat", "lon"))
        np.testing.assert_array_equal(back["lat"].values, self.ds["lat"].values)


if __name__ == "__main__":
    unittest.main()
