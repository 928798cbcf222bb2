"""Files opened without being read, against the arrays that they were made of."""
import os
import tempfile
import unittest

import numpy as np

import lode


class Lazy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        rng = np.random.default_rng(3)
        self.x = np.cumsum(rng.standard_normal((12, 9, 17)), axis=0)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_indexes_are_those_of_numpy(self):
        for name in ("x.npy", "x.lode", "x.h5", "x.nc"):
            if name == "x.lode":
                lode.compress(self.x, error=1e-3).save(self.path(name))
            elif name == "x.npy":
                np.save(self.path(name), self.x)
            else:
                lode.make("normal", shape=self.x.shape).save(self.path(name))
            v = lode.open(self.path(name))
            whole = np.asarray(v)
            self.assertEqual((v.shape, v.ndim, v.size, len(v)), (whole.shape, 3, whole.size, 12))
            self.assertEqual((v.dtype, v.nbytes), (whole.dtype, whole.nbytes))
            for index in (np.s_[...], np.s_[3], np.s_[-1], np.s_[2:5], np.s_[:, 4], np.s_[..., -3], np.s_[::-1, 2:8:3, ::5],
                          np.s_[10:2:-4], np.s_[None, 2, None, :, 1], np.s_[5:5], np.s_[1, 2, 3], np.s_[:, [4, 0, -1]],
                          np.s_[np.arange(12) % 3 == 1], np.s_[:, np.zeros(9, bool)], np.s_[np.int64(2), ..., np.uint8(3)]):
                want, got = whole[index], v[index]
                self.assertEqual(np.shape(got), np.shape(want), (name, index))
                np.testing.assert_array_equal(got, want, f"{name} {index}")
            np.testing.assert_array_equal(v[[3, 1], ::2, [0, 5]], whole[[3, 1]][:, ::2][:, :, [0, 5]])  # each its own axis

    def test_wrong_indexes(self):
        np.save(self.path("x.npy"), self.x)
        v = lode.open(self.path("x.npy"))
        for index, said in ((12, "index 12 is outside of an axis of 12"), (np.s_[0, 0, 0, 0], "4 indices for an array of 3 axes"),
                            (np.s_[[0, 99]], "index 99 is outside"), (np.s_[..., ...], "indices"), (1.5, "integers"),
                            (np.s_[np.ones(5, bool)], "integers"), ("a", "integers")):
            with self.assertRaisesRegex(IndexError, said):
                v[index]
        with self.assertRaisesRegex(lode.LodeError, "nowhere.npy"):
            lode.open(self.path("nowhere.npy"))

    def test_files_of_several(self):
        np.savez(self.path("x.npz"), a=self.x, b=np.arange(5))
        f = lode.open(self.path("x.npz"))
        self.assertEqual(sorted(f), ["a", "b"])
        np.testing.assert_array_equal(f["b"][1:3], [1, 2])
        with self.assertRaisesRegex(KeyError, "no 'c' here; there are a, b"):
            f["c"]
        with self.assertRaises(IndexError):
            f["a"][40]
        np.testing.assert_array_equal(lode.open(self.path("x.npz") + ":a")[2, 3], self.x[2, 3])

    def test_it_reads_little(self):
        big = self.path("big.npy")
        np.lib.format.open_memmap(big, "w+", np.float64, (1 << 16, 1 << 10)).flush()  # half a gigabyte, of holes
        lode.settings(memory=32 << 20)
        try:
            v = lode.open(big)
            self.assertEqual(v[40000, 3:5].tolist(), [0, 0])
        finally:
            lode.settings(memory=1 << 40)

    def test_the_file_may_go_out_of_sight(self):
        lode.compress(self.x, error=1e-6).save(self.path("x.lode"))
        v = lode.open(self.path("x.lode"))
        os.remove(self.path("x.lode"))
        self.assertLess(abs(v[3] - self.x[3]).max(), 1e-3)


if __name__ == "__main__":
    unittest.main()
