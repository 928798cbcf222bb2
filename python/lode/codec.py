"""A numcodecs codec, so that zarr stores and whatever else takes one keep their chunks as Lode makes them:
`zarr.array(x, compressor=lode.codec.Lode(error="1e-3"))`. Each chunk is a .lode file of its own, certificate included.

What is not numbers with a meaningful error (integers, truth) is kept exactly; so is all with error="exact"."""
import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ensure_ndarray, ndarray_copy
from numcodecs.registry import register_codec

import lode
from lode._bytes import from_bytes, to_bytes


class Lode(Codec):
    """error: as of `lode compress`: "1e-3" relative, "1e-4:max" pointwise, "60:psnr", "exact"; effort: 1 to 9."""

    codec_id = "lode"

    def __init__(self, error="1e-3", effort=5):
        self.error, self.effort = str(error), int(effort)

    def encode(self, buf):
        x = ensure_ndarray(buf)
        if x.dtype.kind not in "biufc":
            raise TypeError(f"the codec keeps numbers, not {x.dtype}; use another compressor for this array")
        exact = x.dtype.kind in "biu" or self.error == "exact"
        how = {"method": "lossless"} if exact else {"error": self.error}
        return to_bytes(lode.compress(x, effort=self.effort, **how))

    def decode(self, buf, out=None):
        values = from_bytes(bytes(ensure_contiguous_ndarray(buf))).invert()
        return values if out is None else ndarray_copy(np.ascontiguousarray(values), out)

    def get_config(self):
        return {"id": self.codec_id, "error": self.error, "effort": self.effort}

    def __repr__(self):
        return f"Lode(error={self.error!r}, effort={self.effort})"


register_codec(Lode)
