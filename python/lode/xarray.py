"""xarray: `xarray.open_dataset("model.lode")` is lazy and has the names, coordinates, units and attributes that the file
kept; `ds.lode.compress("model.lode", error="T=1e-3,*=1e-4:max")` writes one, `ds.lode.verify("model.lode")` checks it."""
import os

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

import lode


class _Array(BackendArray):
    """A variable that is read by what an index asks for, each axis by itself."""

    def __init__(self, variable):
        self.variable, self.shape, self.dtype = variable, variable.shape, variable.dtype

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key):
        return self.variable[key]


# The library has unpacked the values, and made NaN of what is missing in floating-point ones.
_APPLIED = ("scale_factor", "add_offset", "missing_value", "_FillValue")


def _attributes(held, dtype=None):
    """Attributes as xarray has them, without those that have been applied."""
    marks = dtype is not None and dtype.kind in "iu"
    return {name: np.asarray(x) if isinstance(x, list) else x for name, x in held.items()
            if name not in _APPLIED or marks and name in _APPLIED[2:]}


class LodeBackend(BackendEntrypoint):
    """Opens .lode files, and any other file that Lode reads when asked by engine="lode"."""
    description = "Arrays that Lode made smaller, decoded when they are read"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj, *, mask_and_scale=True, decode_times=True, concat_characters=True,
                     decode_coords=True, drop_variables=None, use_cftime=None, decode_timedelta=None):
        opened = lode.open(filename_or_obj)
        if isinstance(opened, lode.Variable):
            stem = os.path.splitext(os.path.basename(os.fspath(filename_or_obj)))[0]
            opened = lode.File({opened.name if opened.dims else stem: opened}, {})
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or [])
        variables = {}
        for name, v in opened.items():
            if name in dropped:
                continue
            if not isinstance(v, lode.Variable):
                variables[name] = xr.Variable((), np.asarray(v))
                continue
            dims = v.dims or tuple(f"{name}_{k}" for k in range(v.ndim))
            data = indexing.LazilyIndexedArray(_Array(v))
            made = xr.Variable(dims, data, _attributes(v.attrs, v.dtype))
            if v.chunks:
                made.encoding["preferred_chunks"] = dict(zip(dims, v.chunks))
            variables[name] = made
        attrs = _attributes(opened.attrs)
        variables, attrs, coords = xr.conventions.decode_cf_variables(
            variables, attrs, mask_and_scale=mask_and_scale, decode_times=decode_times,
            concat_characters=concat_characters, decode_coords=decode_coords, use_cftime=use_cftime,
            decode_timedelta=decode_timedelta)
        ds = xr.Dataset(variables, attrs=attrs)
        ds = ds.set_coords([n for n in coords if n in ds.variables])
        ds.encoding["source"] = os.fspath(filename_or_obj)
        return ds

    def guess_can_open(self, filename_or_obj):
        try:
            return os.path.splitext(os.fspath(filename_or_obj))[1] == ".lode"
        except TypeError:
            return False


def _netcdf(obj, folder):
    path = os.path.join(folder, "values.nc")
    obj.to_netcdf(path)
    return path


@xr.register_dataset_accessor("lode")
@xr.register_dataarray_accessor("lode")
class Accessor:
    """What Lode does with a Dataset or DataArray."""

    def __init__(self, obj):
        self._obj = obj

    def compress(self, path, error=None, **options):
        """Writes every variable to a .lode file at its error ("T=1e-3,*=1e-4:max", or one for all); coordinates, text and
        integers exactly. Gives the Result, with the certificates."""
        import tempfile
        if error is not None:
            options["error"] = error
        with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(path))) as folder:
            made = lode.compress(_netcdf(self._obj, folder), **options)
            made.save(path, force=True)
        return made

    def verify(self, path):
        """Checks that the file holds this object to the errors that its certificates say."""
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            return lode.load(path, whole=True).verify(_netcdf(self._obj, folder))
