"""Files opened without being read: arrays that come piece by piece, as NumPy indexes ask for them."""
import collections.abc
import ctypes as C
import json
import os

import numpy as np

from . import _c
from ._values import BundleHandle, dtype_of, from_value


class Variable:
    """An array in a file, or what a result stands for: shape, dtype, dims (names of the axes, or None), attrs; an index
    as NumPy's, of integers, slices, Ellipsis, np.newaxis and one-dimensional integer or boolean arrays (each taken along its own axis),
    reads and decodes only what it needs."""

    def __init__(self, source, owner, name="", about=None):
        self._source, self._owner, self.name = source, owner, name
        about = about or {}
        self.shape = tuple(source.shape[:source.ndim])
        self.dtype, self._native = dtype_of(source.dtype)
        names = about.get("dims")
        self.dims = tuple(names) if names and len(names) == len(self.shape) else None
        self.attrs = about.get("attributes", {})

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape, dtype=np.int64)))
    nbytes = property(lambda self: self.size * self.dtype.itemsize)

    @property
    def chunks(self):
        """The piece that is read best; None where any is as good."""
        best = tuple(c or n for c, n in zip(self._source.chunk[:self.ndim], self.shape))
        return None if best == self.shape else best

    def __len__(self):
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __repr__(self):
        axes = ", ".join(f"{d}: {n}" for d, n in zip(self.dims or map(str, range(self.ndim)), self.shape))
        return f"<lode.Variable {self.name!r} ({axes}) {self.dtype}>"

    def __array__(self, dtype=None, copy=None):
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def _read(self, start, count):
        """A rectangle."""
        out = np.empty(count, self.dtype if self._native else np.float32)
        if out.size == 0:
            return out
        if not self._native:
            raise TypeError(f"{self.name}: values of this type are read whole: lode.load, or lode convert")
        ctx = _c.context()
        ctx.check(self._source.read(C.byref(ctx.c), C.byref(self._source), (_c.i64 * len(count))(*start),
                                    (_c.i64 * len(count))(*count), out.ctypes.data))
        return out

    def __getitem__(self, index):
        axes, shown = _axes(index, self.shape)
        start, count, rest = [], [], []
        for k, n in zip(axes, self.shape):
            low, high, inside = _span(k, n)
            start.append(low)
            count.append(high - low)
            rest.append(inside)
        values = self._read(start, count)
        for axis in range(self.ndim - 1, -1, -1):  # each along its own axis, from the last on
            if rest[axis] is not None:
                values = values[(slice(None),) * axis + (rest[axis],)]
        for at in shown:
            values = np.expand_dims(values, at)
        return values[()] if values.ndim == 0 else values


def _axes(index, shape):
    """One index an axis, and where new axes come in the result."""
    index = list(index) if isinstance(index, tuple) else [index]
    given = sum(k is not None and k is not Ellipsis for k in index)
    if sum(k is Ellipsis for k in index) > 1 or given > len(shape):
        raise IndexError(f"{given} indices for an array of {len(shape)} axes")
    if not any(k is Ellipsis for k in index):
        index.append(Ellipsis)
    at = next(i for i, k in enumerate(index) if k is Ellipsis)
    index[at:at + 1] = [slice(None)] * (len(shape) - given)
    axes, shown, place = [], [], 0
    for k in index:
        if k is None:
            shown.append(place)
            place += 1
        else:
            axes.append(k)
            place += not _is_integer(k)
    return axes, shown


def _is_integer(k):
    return not isinstance(k, (bool, np.bool_)) and (isinstance(k, int) or hasattr(k, "__index__") and np.ndim(k) == 0)


def _span(k, n):
    """(first, past the last, index inside): the shortest stretch that holds what an index asks of an axis of n."""
    if _is_integer(k):
        i = int(k.__index__())
        if not -n <= i < n:
            raise IndexError(f"index {i} is outside of an axis of {n}")
        i += n if i < 0 else 0
        return i, i + 1, 0
    if isinstance(k, slice):
        places = range(*k.indices(n))
        if not places:
            return 0, 0, None
        low, high = min(places[0], places[-1]), max(places[0], places[-1])
        return low, high + 1, None if places.step == 1 else slice(None, None, places.step)
    places = np.asarray(k)
    if places.dtype == bool and places.shape == (n,):
        places = np.flatnonzero(places)
    if places.ndim != 1 or places.dtype.kind not in "iu" and places.size:
        raise IndexError("an axis takes integers, slices and one-dimensional arrays of integers or booleans")
    places = places.astype(np.int64)
    if places.size and not (-n <= places.min() and places.max() < n):
        wrong = places[(places < -n) | (places >= n)][0]
        raise IndexError(f"index {wrong} is outside of an axis of {n}")
    places = np.where(places < 0, places + n, places)
    if places.size == 0:
        return 0, 0, None
    return int(places.min()), int(places.max()) + 1, places - places.min()


class File(collections.abc.Mapping):
    """A file of several arrays: a mapping of names to Variables; attrs are the file's own, coords the names of those that
    only say where along an axis the others lie."""

    def __init__(self, members, attributes):
        self._members, self.attrs = members, attributes
        self.coords = [n for n, v in members.items() if getattr(v, "dims", None) == (n,)]

    def __getitem__(self, name):
        if name not in self._members:
            raise KeyError(f"no '{name}' here; there are {', '.join(self._members) or 'no members'}")
        return self._members[name]

    def __iter__(self):
        return iter(self._members)

    def __len__(self):
        return len(self._members)

    def __repr__(self):
        return "\n".join(["<lode.File"] + [f"  {v!r}" for v in self._members.values()]) + ">"


def _members(bundle, owner, about):
    made = {}
    for i in range(bundle.count):
        name = _c.lib.lode_bundle_name(C.byref(bundle), i).decode()
        if name.startswith("__"):  # what a file has besides arrays
            continue
        v = _c.lib.lode_bundle_value(C.byref(bundle), i)
        made[name] = _opened(v, owner, name, about.get(name))
    return made


def _opened(v, owner, name, about):
    if v.kind == _c.SOURCE:
        return Variable(C.cast(v.at, C.POINTER(_c.Source)).contents, owner, name, about)
    return from_value(v, owner)


def open_file(path):
    """Opens a file without reading it: `lode.open("x.lode")[0:10, :, 5]`, `lode.open("model.nc")["T"][3]`. One array comes as a
    Variable; a file of several as a File, a mapping of names to Variables. Results are decoded as they are asked for."""
    ctx, held = _c.context(), BundleHandle()
    ctx.check(_c.lib.lode_open_value(C.byref(ctx.c), os.fspath(path).encode(), None, True, b"value", C.byref(held.c)))
    text = held.c.meta.attributes
    about = json.loads(text) if text else {}
    v = _c.lib.lode_bundle_value(C.byref(held.c), 0)
    if v.kind != _c.BUNDLE:
        variables = about.get("variables", {})
        name = next(iter(variables)) if len(variables) == 1 else os.fspath(path)
        return _opened(v, held, name, variables.get(name))
    inner = C.cast(v.at, C.POINTER(_c.Bundle)).contents
    ctx.check(_c.lib.lode_expand(C.byref(ctx.c), C.byref(inner)))
    text = inner.meta.attributes or text
    about = json.loads(text) if text else {}
    return File(_members(inner, held, about.get("variables", {})), about.get("attributes", {}))
