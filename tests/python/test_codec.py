"""The numcodecs codec, alone and in zarr. Left out where they are not installed."""
import unittest

import numpy as np

try:
    import numcodecs

    import lode.codec
except ImportError:
    raise SystemExit(0) from None


class Codec(unittest.TestCase):
    def setUp(self):
        self.x = np.cumsum(np.random.default_rng(0).standard_normal((40, 30, 20)), axis=0)

    def test_chunks_keep_their_bound(self):
        for error, measure in (("1e-3", lambda d: np.linalg.norm(d) / np.linalg.norm(self.x)), ("1e-2:max", lambda d: abs(d).max())):
            codec = lode.codec.Lode(error)
            data = codec.encode(self.x)
            back = codec.decode(data)
            self.assertEqual((back.shape, back.dtype), (self.x.shape, self.x.dtype))
            self.assertLessEqual(measure(back - self.x), float(error.split(":")[0]))
            self.assertLess(len(data), self.x.nbytes / 4)
            out = np.empty_like(self.x)
            codec.decode(data, out)
            np.testing.assert_array_equal(out, back)

    def test_what_has_no_error_is_exact(self):
        for x in (np.arange(1000, dtype="i8").reshape(10, 100), np.arange(7) % 2 == 0, np.arange(5, dtype="u1")):
            np.testing.assert_array_equal(lode.codec.Lode().decode(lode.codec.Lode().encode(x)), x)
        codec = lode.codec.Lode("exact")
        np.testing.assert_array_equal(codec.decode(codec.encode(self.x)), self.x)
        with self.assertRaisesRegex(TypeError, "keeps numbers, not"):
            codec.encode(np.array(["a", "b"]))

    def test_it_is_found_by_name(self):
        codec = numcodecs.get_codec({"id": "lode", "error": "1e-2", "effort": 1})
        self.assertEqual(codec, lode.codec.Lode("1e-2", 1))
        self.assertEqual(numcodecs.get_codec(codec.get_config()), codec)

    def test_zarr(self):
        try:
            import zarr
        except ImportError:
            self.skipTest("zarr is not installed")
        z = zarr.array(self.x, chunks=(20, 30, 20), compressor=lode.codec.Lode("1e-3"))
        self.assertLess(np.linalg.norm(z[:] - self.x) / np.linalg.norm(self.x), 1e-3)
        self.assertLess(z.nbytes_stored, z.nbytes / 3)


if __name__ == "__main__":
    unittest.main()
