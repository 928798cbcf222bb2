"""NumPy arrays, sparse matrices, operators and paths as the library's values, and back."""
import ctypes as C
import os

import numpy as np

from . import _c

_NAMES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", None, "float32",
          "float64", "complex64", "complex128"]
_TO_LODE = {np.dtype(name): i for i, name in enumerate(_NAMES) if name}
_F32 = _NAMES.index("float32")


def dtype_of(code):
    """(what NumPy calls a type, whether it knows it); the values of others come as float32."""
    name = _NAMES[code] if code < len(_NAMES) else None
    return np.dtype(name or "float32"), name is not None


def array_struct(x):
    """A view of a NumPy array; a copy only for other byte orders and strides that cut elements."""
    x = np.asarray(x)
    code = _TO_LODE.get(x.dtype)
    if code is None:
        if x.dtype.kind not in "biufc":
            raise TypeError(f"arrays of {x.dtype} cannot be used; give numbers")
        x = x.astype(x.dtype.newbyteorder("="))
        code = _TO_LODE.get(x.dtype)
    if code is None:
        raise TypeError(f"arrays of {x.dtype} cannot be used; convert to float64 first")
    if x.ndim > _c.MAX_NDIM:
        raise ValueError(f"at most {_c.MAX_NDIM} axes, not {x.ndim}")
    if any(s % x.itemsize for s in x.strides):
        x = x.copy()
    a = _c.Array(None, None, code, x.ndim, 0, 0, x.shape)
    if x.size:
        size = x.itemsize
        a.strides[:x.ndim] = [s // size for s in x.strides]
    else:  # the library tells an array without values from no array by its address
        x = np.zeros(1, x.dtype)
    a.data = x.__array_interface__["data"][0]
    return a, x


def _array_value(x):
    a, keep = array_struct(x)
    return _c.Value(_c.ARRAY, C.addressof(a)), (a, keep)


def _sparse_value(x):
    m = x.tocsr()
    m.sort_indices()
    parts = [array_struct(np.asarray(p, t)) for p, t in
             ((m.indptr, np.int64), (m.indices, np.int64), (m.data, m.data.dtype))]
    s = _c.Sparse(layout=1, ndim=2, indptr=parts[0][0], indices=parts[1][0], values=parts[2][0])
    s.shape[:2] = m.shape
    return _c.Value(_c.SPARSE, C.addressof(s)), (s, parts)


def _operator_value(op):
    """Anything with shape, dtype, matmat and rmatmat, such as scipy's LinearOperator."""
    dtype = np.dtype(op.dtype if op.dtype is not None else np.float64)
    if dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    rows, cols = op.shape

    def multiply(_, adjoint, k, x, ldx, y, ldy):
        try:
            m, n = (cols, rows) if adjoint else (rows, cols)

            def view(address, count, ld):
                raw = (C.c_char * (dtype.itemsize * ((count - 1) * ld + k))).from_address(address)
                return np.ndarray((count, k), dtype, raw, strides=(ld * dtype.itemsize, dtype.itemsize))
            result = (op.rmatmat if adjoint else op.matmat)(view(x, n, ldx))
            view(y, m, ldy)[...] = result
            return 0
        except KeyboardInterrupt:
            return 1
        except Exception as error:  # carried to the caller of the library
            multiply.error = error
            return 1
    multiply.error = None
    fn = _c.MULTIPLY_FN(multiply)
    cb = _c.Callback(dtype=_TO_LODE[dtype], rows=rows, cols=cols, fn=fn)
    return _c.Value(_c.CALLBACK, C.addressof(cb)), (cb, fn, multiply)


def _file_value(arrays, ctx):
    """Named arrays as a file's members."""
    held, keep = BundleHandle(), []
    for name, x in arrays.items():
        a, kept = array_struct(x)
        keep.append(kept)
        ctx.check(_c.lib.lode_bundle_add_array(C.byref(ctx.c), C.byref(held.c), str(name).encode(), C.byref(a)))
    return _c.Value(_c.BUNDLE, C.addressof(held.c)), (held, keep)


def value(x, kinds, ctx, whole=False):
    """(value, what must stay alive) for one input of a port that takes `kinds`; whole: also a file of several values,
    or a dict of arrays."""
    files = "bundle" in kinds  # read member by member, as they are needed
    if (whole or files) and isinstance(x, dict):
        return _file_value(x, ctx)
    if files and isinstance(x, (str, os.PathLike)) and os.path.exists(x):
        held = BundleHandle()
        ctx.check(_c.lib.lode_read_model(C.byref(ctx.c), os.fspath(x).encode(), None, False, C.byref(held.c)))
        return _c.Value(_c.BUNDLE, C.addressof(held.c)), held
    if hasattr(x, "_bundle"):
        return _c.Value(_c.BUNDLE, C.addressof(x._bundle.c)), x
    if isinstance(x, (str, os.PathLike)):
        text = os.fspath(x).encode()
        if kinds == ["text"]:
            buffer = C.create_string_buffer(text)
            return _c.Value(_c.TEXT, C.addressof(buffer)), buffer
        held = BundleHandle()
        ctx.check(_c.lib.lode_open_value(C.byref(ctx.c), text, None, whole, b"value", C.byref(held.c)))
        return _c.lib.lode_bundle_value(C.byref(held.c), 0), held
    if hasattr(x, "tocsr"):
        return _sparse_value(x)
    if hasattr(x, "matmat") and hasattr(x, "rmatmat"):
        return _operator_value(x)
    return _array_value(x)


class BundleHandle:
    """Owns a bundle; arrays that view its memory keep it alive."""

    def __init__(self):
        self.c = _c.Bundle()

    def __del__(self):
        _c.lib.lode_bundle_free(C.byref(self.c))


class ArrayHandle:
    def __init__(self):
        self.c = _c.Array()

    def __del__(self):
        _c.lib.lode_array_free(C.byref(self.c))


class _Buffer:
    """Memory of the library as NumPy sees it."""

    def __init__(self, a, owner):
        self.owner = owner
        dtype = np.dtype(_NAMES[a.dtype])
        self.__array_interface__ = {
            "version": 3, "data": (a.data, False), "typestr": dtype.str, "shape": tuple(a.shape[:a.ndim]),
            "strides": tuple(s * dtype.itemsize for s in a.strides[:a.ndim])}


def to_numpy(a, owner):
    """A NumPy array over a lode_array; types NumPy lacks come as float32."""
    if a.dtype >= len(_NAMES) or _NAMES[a.dtype] is None:
        ctx, cast = _c.context(), ArrayHandle()
        ctx.check(_c.lib.lode_array_cast(C.byref(ctx.c), C.byref(a), _F32, C.byref(cast.c)))
        a, owner = cast.c, cast
    return np.asarray(_Buffer(a, owner))


def from_value(v, owner):
    if v.kind == _c.ARRAY:
        return to_numpy(C.cast(v.at, C.POINTER(_c.Array)).contents, owner)
    if v.kind == _c.TEXT:
        return C.cast(v.at, C.c_char_p).value.decode()
    if v.kind == _c.SCALAR:
        s = C.cast(v.at, C.POINTER(_c.Scalar)).contents
        name = _c.lib.lode_dtype_name(s.dtype)
        return s.i if name == b"i64" else s.re if name == b"f64" else complex(s.re, s.im)
    if v.kind == _c.SPARSE:
        import scipy.sparse
        s = C.cast(v.at, C.POINTER(_c.Sparse)).contents
        parts = [to_numpy(p, owner) for p in (s.values, s.indices, s.indptr)]
        shape = tuple(s.shape[:s.ndim])
        if s.layout == 1:
            return scipy.sparse.csr_matrix(tuple(parts), shape=shape)
        return scipy.sparse.coo_matrix((parts[0], parts[1].T), shape=shape)
    return None
