"""A decomposition in memory that takes in data, batch after batch."""
import ctypes as C
import weakref

from . import _c
from ._values import ArrayHandle, BundleHandle, to_numpy, value

_BASES = ("extended", "plain")


class Stream:
    """Holds a result of svd and takes in rows, columns or changes of the matrix: `s = lode.Stream(lode.svd(A, rank=50))`,
    `s.rows(E)`, `s.cols(E)`, `s.change(D, E)`, then `s.values` or `s.result()`. Sparse data (anything with tocsr) change
    few numbers of what is held. basis "plain" forms the singular vectors with every batch, for comparison."""

    def __init__(self, model, basis="extended"):
        ctx, at = _c.context(), C.c_void_p()
        if basis not in _BASES:
            raise ValueError(f"basis is one of {', '.join(_BASES)}, not {basis!r}")
        ctx.check(_c.lib.lode_svd_stream_open(C.byref(ctx.c), C.byref(model._bundle.c), _BASES.index(basis), C.byref(at)))
        self._at, self._result = at, type(model)
        self._free = weakref.finalize(self, _c.lib.lode_svd_stream_close, C.byref(at))

    def _take(self, **given):
        ctx, keep = _c.context(), []
        inputs = (_c.Input * len(given))()
        for i, (name, x) in enumerate(given.items()):
            v, held = value(x, ["array"], ctx)
            keep.append(held)
            inputs[i] = _c.Input(name.encode(), v)
        ctx.check(_c.lib.lode_svd_stream_update(C.byref(ctx.c), self._at, inputs, len(given)))
        del keep
        return self

    def rows(self, E):
        """Rows below the matrix: s x n."""
        return self._take(rows=E)

    def cols(self, E):
        """Columns beside the matrix: m x s."""
        return self._take(cols=E)

    def change(self, D, E):
        """Adds D E^H to the matrix: D m x t, E n x t."""
        return self._take(D=D, E=E)

    @property
    def values(self):
        """The singular values."""
        ctx, out = _c.context(), ArrayHandle()
        ctx.check(_c.lib.lode_svd_stream_values(C.byref(ctx.c), self._at, C.byref(out.c)))
        return to_numpy(out.c, out)

    @property
    def state(self):
        """m, n, k; updates and renewals so far; drift from orthonormality; bound of the error lost, norm, flops."""
        now = _c.lib.lode_svd_stream_state(self._at)
        return {name: getattr(now, name) for name, _ in now._fields_}

    def result(self):
        """A Result as of svd, with U and V formed."""
        ctx, out = _c.context(), BundleHandle()
        ctx.check(_c.lib.lode_svd_stream_result(C.byref(ctx.c), self._at, C.byref(out.c)))
        return self._result(out)
