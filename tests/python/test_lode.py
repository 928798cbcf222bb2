"""The Python module: same bits as the command, inputs of every kind, errors as exceptions, threads."""
import inspect
import os
import subprocess
import tempfile
import threading
import types
import unittest
import warnings

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import lode

LODE = os.environ.get("LODE", "build/lode")
# NumPy may bring another BLAS of the same file name into this process, so only Lode's own gives the bits of the command.
SAME_BITS = "not promised" not in subprocess.run([LODE, "--version"], check=True, capture_output=True, text=True).stdout


def same_triplets(A, r, other):
    """The same bits, else singular vectors apart by no more than the rounding of A over the gap (Wedin)."""
    s = np.linalg.svd(A, compute_uv=False)
    k = len(r.s)
    error = max(A.shape) * np.finfo(A.dtype).eps * s[0]
    for name, apart in ("U", error / np.min(s[:k] - s[1:k + 1])), ("s", error), ("V", error / np.min(s[:k] - s[1:k + 1])):
        np.testing.assert_allclose(getattr(r, name), getattr(other, name), rtol=0, atol=0 if SAME_BITS else apart)


class Module(unittest.TestCase):
    def setUp(self):
        self.rng = np.random.default_rng(0)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        lode.settings(seed=0)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_every_operation_has_signature_and_help(self):
        for name in ("make", "compare", "svd", "tucker", "compress", "pca"):
            f = getattr(lode, name)
            self.assertTrue(f.__doc__.strip())
            self.assertIn("seed", inspect.signature(f).parameters)

    def test_a_seed_holds_for_one_call(self):
        first, other, again = (lode.make("normal", shape=(20, 20), seed=s).x for s in (0, 7, None))
        self.assertTrue((first == again).all())
        self.assertFalse((first == other).any())
        self.assertEqual(lode.plan("svd", first, rank=2, seed=3)["passes"], lode.plan("svd", first, rank=2)["passes"])

    def test_plan_predicts_size_and_time(self):
        x = self.rng.standard_normal((40, 50, 60)).astype(np.float32)
        p = lode.plan("compress", x, error="1e-2", effort=1)
        size = len(lode.compress(x, error="1e-2", effort=1)["coded.0"])
        self.assertEqual(p["bytes_low"], p["bytes_high"])
        self.assertLess(abs(p["bytes_high"] - size), 0.2 * size)
        self.assertLessEqual(p["seconds_low"], p["seconds_high"])
        self.assertGreater(lode.plan("svd", x[0], rank=3)["workspace"], 0)
        self.assertRaises(ValueError, lode.plan, "nosuch", x)
        self.assertRaises(TypeError, lode.plan, "compress")

    def test_same_bits_as_the_command(self):
        A = self.rng.standard_normal((80, 50))
        np.save(self.path("a.npy"), A)
        subprocess.run([LODE, "svd", self.path("a.npy"), "--rank", "5", "-o", self.path("a.npz"), "--quiet"], check=True)
        r = lode.svd(A, rank=5)
        with np.load(self.path("a.npz")) as z:
            same_triplets(A, r, types.SimpleNamespace(**z))

    def test_views_and_paths_are_inputs(self):
        A = self.rng.standard_normal((60, 40))
        np.save(self.path("a.npy"), A)
        want = np.linalg.svd(A, compute_uv=False)[:4]
        wide = np.zeros((120, 80))
        wide[::2, ::2] = A
        for x in (A, np.asfortranarray(A), wide[::2, ::2], A.astype(">f8"), self.path("a.npy"),
                  scipy.sparse.csr_matrix(A), scipy.sparse.linalg.aslinearoperator(A)):
            np.testing.assert_allclose(lode.svd(x, rank=4).s, want, rtol=1e-9)

    def test_verbs(self):
        A = self.rng.standard_normal((60, 12)) @ self.rng.standard_normal((12, 30))
        r = lode.svd(A, rank=12)
        np.testing.assert_allclose(r.invert(), A, atol=1e-10)
        np.testing.assert_allclose(r.invert(part=(slice(3, 9), 4)), A[3:9, 4:5], atol=1e-10)
        r.save(self.path("r.lode"))
        back = lode.load(self.path("r.lode"))
        np.testing.assert_array_equal(back.s, r.s)
        self.assertEqual(back.op, "svd")
        self.assertEqual(back.certificate.kind, r.certificate.kind)
        back.verify(A)
        back.plot(self.path("scree.svg"))
        self.assertGreater(os.path.getsize(self.path("scree.svg")), 500)

    def test_streams_and_updates_by_name(self):
        A, k = self.rng.standard_normal((40, 4)) @ self.rng.standard_normal((4, 30)), 4
        rows, cols = self.rng.standard_normal((2, 30)), self.rng.standard_normal((42, 3))
        D, E = self.rng.standard_normal((42, 1)), self.rng.standard_normal((33, 1))
        best = lambda M: np.linalg.svd(M, compute_uv=False)[:k]
        cut = lambda M: (lambda u, s, v: (u[:, :k] * s[:k]) @ v[:k])(*np.linalg.svd(M, full_matrices=False))
        fitted = lode.svd(A, rank=k)
        for basis in ("extended", "plain"):
            stream, M = lode.Stream(fitted, basis=basis), A
            M = np.vstack([M, rows])
            np.testing.assert_allclose(stream.rows(rows).values, best(M), rtol=1e-10)
            M = np.hstack([cut(M), cols])
            np.testing.assert_allclose(stream.cols(cols).values, best(M), rtol=1e-10)
            M = cut(M) + D @ E.T
            np.testing.assert_allclose(stream.change(D, E).values, best(M), rtol=1e-10)
            result = stream.result()
            np.testing.assert_allclose((result.U * result.s) @ result.V.T, cut(M), atol=1e-10)
            self.assertEqual((stream.state["m"], stream.state["n"], stream.state["updates"], result.op), (42, 33, 3, "svd"))
        one = fitted.update(cols=cols[:40])
        np.testing.assert_allclose(one.s, best(np.hstack([A, cols[:40]])), rtol=1e-10)
        self.assertTrue(lode.rerun(one, fitted, cols=cols[:40]).same)
        self.assertTrue(lode.rerun(one, fitted, cols[:40]).same)
        np.testing.assert_allclose(fitted.update(rows).s, best(np.vstack([A, rows])), rtol=1e-10)
        self.assertRaisesRegex(lode.LodeError, "must have its 40 rows", fitted.update, cols=cols)
        self.assertRaises(ValueError, lode.Stream, fitted, basis="other")

    def test_queries(self):
        x = np.add.outer(np.sin(np.arange(60) / 9), np.cos(np.arange(50) / 7)).astype(np.float32)
        r = lode.compress(x, error="1e-2")
        r.save(self.path("x.lode"))
        for source in (r, self.path("x.lode")):
            a = lode.query(source, np.s_[3:9, ::10])
            self.assertEqual(a.value.shape, (6, 5))
            self.assertLessEqual(np.abs(a.value - x[3:9, ::10]).max(), a.error)
            a = lode.query(source, (4, -1))
            self.assertEqual(a.value.shape, ())
            a = lode.query(source, "mean[0:10]")
            self.assertLessEqual(abs(a.value - x[:10].mean(dtype=float)), a.error)
            self.assertEqual(a.count, 500)
            a = lode.query(source, "dot", x)
            self.assertLessEqual(abs(a.value - np.vdot(x, x)), a.error)
            self.assertLessEqual(a.decoded["bytes"], a.decoded["of_bytes"])
        with self.assertRaisesRegex(lode.LodeError, "index 60 is outside axis 0"):
            r.query((60, 0))
        z = (x + 1j * x[::-1]).astype(np.complex64)
        r = lode.compress(z, error="1e-2")
        self.assertLessEqual(abs(r.query("mean").value - z.mean()), r.query("mean").error + 1e-5)
        self.assertLessEqual(abs(r.query((1, 2)).value - z[1, 2]), r.query((1, 2)).error)

    def test_parts_are_added_to_what_is_compressed(self):
        X = np.cumsum(self.rng.standard_normal((12, 20, 30)), 0).astype("f4")
        r = lode.compress(X[:, :15], error="1e-3:maxrel", axis=1)
        kept = r.coded[0].copy()
        for i in range(15, 20):
            r = r.update(X[:, i])
        np.testing.assert_array_equal(r.coded[0], kept)
        self.assertLessEqual(np.abs(r.invert() - X).max(), 1e-3 * np.ptp(X))
        self.assertEqual(r.segments[:, 1].tolist(), [15, 16, 17, 18, 19, 20])
        r.verify(X)
        r.save(self.path("r.lode"))
        np.testing.assert_array_equal(lode.load(self.path("r.lode")).invert(part=(3, slice(14, 17))), r.invert()[3:4, 14:17])

    def test_results_are_made_again(self):
        x, y = self.rng.standard_normal((60, 40)), self.rng.standard_normal((9, 40))
        np.save(self.path("x.npy"), x)
        lode.settings(seed=3)
        r = lode.svd(x, rank=4)
        r.save(self.path("r.lode"))
        subprocess.run([LODE, "svd", self.path("x.npy"), "--rank", "4", "--seed", "3", "-o", self.path("c.lode"), "--quiet"],
                       check=True)
        same_triplets(x, r, lode.load(self.path("c.lode")))
        if SAME_BITS:
            with open(self.path("r.lode"), "rb") as a, open(self.path("c.lode"), "rb") as b:
                self.assertEqual(a.read(), b.read())
        lode.settings(seed=0)
        for made in (r, self.path("r.lode")):
            for given in (x, self.path("x.npy")):
                self.assertTrue(lode.rerun(made, given).same)
        self.assertTrue(lode.rerun(r, A=x).same)
        self.assertTrue(lode.rerun(r.update(y), self.path("r.lode"), y).same)
        self.assertTrue(lode.rerun(r.apply(y), r, y).same)
        with self.assertRaisesRegex(lode.LodeError, "input A is not the one"):
            lode.rerun(r, x + 1)
        r.U[0, 0] += 1
        again = lode.rerun(r, x)
        self.assertFalse(again.same)
        self.assertIn("member U", again.said)
        self.assertTrue(lode.rerun(lode.make("normal", shape="3,4")).same)

    def test_damaged_files_give_what_is_left(self):
        X = np.cumsum(self.rng.standard_normal((12, 20, 30)), 0).astype("f4")
        lode.compress(X, error="1e-3:maxrel", block=1200).save(self.path("r.lode"))
        want = lode.load(self.path("r.lode")).invert()
        raw = bytearray(open(self.path("r.lode"), "rb").read())
        raw[len(raw) * 3 // 4] ^= 4
        open(self.path("r.lode"), "wb").write(raw)
        with self.assertRaisesRegex(lode.LodeError, "damaged"):
            lode.load(self.path("r.lode"))
        lode.settings(seed=0, recover=True)
        self.addCleanup(lode.settings, recover=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = lode.load(self.path("r.lode")).invert()
        self.assertRegex(str(caught[-1].message), r"1 damaged part, 16.7% of the whole, comes back as NaN: \[")
        lost = np.isnan(got).any(axis=(1, 2))
        self.assertEqual(lost.sum(), 2)
        np.testing.assert_array_equal(got[~lost], want[~lost])

    def test_whole_files(self):
        x = np.sin(np.arange(6000).reshape(60, 100) / 37)
        r = lode.compress({"T": x, "u/z": x * 3, "n": np.arange(4)}, error="T=1e-3:max,*=1e-2")
        self.assertLess(np.abs(r["T"].invert() - x).max(), 1e-3)
        self.assertEqual(r["u/z"].options["error"], "0.01:rel")
        self.assertTrue((r["n"] == np.arange(4)).all())
        r.save(self.path("m.lode"))
        np.savez(self.path("m.npz"), **{"T": x, "u/z": x * 3, "n": np.arange(4)})
        lode.load(self.path("m.lode")).verify(self.path("m.npz"))
        one = lode.load(self.path("m.lode") + ":T")
        self.assertEqual(one.op, "compress")
        self.assertLess(abs(lode.query(self.path("m.lode") + ":T", "mean").value - x.mean()), 1e-3)
        self.assertLess(lode.compare(self.path("m.lode") + ":T[3:9]", x[3:9]).max, 1e-3)
        part = one.invert(part=np.s_[3:9, :])
        del r, one
        self.assertLess(np.abs(part - x[3:9]).max(), 1e-3)
        again = lode.compress(self.path("m.npz"), error="T=exact")
        self.assertTrue((again["T"].invert() == x).all())
        with self.assertRaisesRegex(lode.LodeError, "names no member of the file; did you mean T"):
            lode.compress({"T": x}, error="TT=1")

    def test_repeated_outputs_are_lists(self):
        X = self.rng.standard_normal((8, 9, 10))
        r = lode.tucker(X, rank=[3, 4, 5])
        self.assertEqual([f.shape for f in r.factor], [(8, 3), (9, 4), (10, 5)])

    def test_errors_are_exceptions_with_the_sentence(self):
        with self.assertRaises(lode.LodeError) as caught:
            lode.svd(np.full((4, 3), np.nan), rank=2)
        self.assertEqual(caught.exception.status, "LODE_EDOMAIN")
        self.assertIn("[0,0]", str(caught.exception))
        with self.assertRaises(TypeError):
            lode.svd(np.zeros((3, 3)), ranks=2)
        with self.assertRaises(TypeError):
            lode.svd(np.array([["a"]]), rank=1)

    def test_exceptions_of_operators_come_through(self):
        class Broken(scipy.sparse.linalg.LinearOperator):
            def __init__(self):
                super().__init__(np.float64, (30, 20))

            def _matmat(self, x):
                raise RuntimeError("no data today")

            _rmatmat = _matmat
        with self.assertRaisesRegex(RuntimeError, "no data today"):
            lode.svd(Broken(), rank=2)

    def test_results_outlive_what_made_them(self):
        s = lode.svd(self.rng.standard_normal((50, 20)), rank=3).s
        junk = [np.ones(1000) for _ in range(100)]
        self.assertTrue(np.all(s[:-1] >= s[1:]))
        del junk

    def test_many_threads(self):
        A = self.rng.standard_normal((40, 30))
        want, got = lode.svd(A, rank=3).s.copy(), [None] * 100

        def work(i):
            got[i] = lode.svd(A, rank=3).s.copy()
        threads = [threading.Thread(target=work, args=(i,)) for i in range(100)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        for s in got:
            np.testing.assert_array_equal(s, want)

    def test_nothing_leaks(self):
        A = self.rng.standard_normal((20, 10))

        def size():  # pages in memory
            with open("/proc/self/statm") as f:
                return int(f.read().split()[1])

        def work(n):
            for _ in range(n):
                r = lode.svd(A, rank=2)
                r.apply(A), r.invert(), r.query("mean"), r.U
                try:
                    lode.svd(A, rank=0)
                except lode.LodeError:
                    pass
        work(500)
        before = size()
        work(2500)  # 10^4 calls and as many failures as matter
        self.assertLess(size() - before, 500)

    def test_results_by_name(self):
        r = lode.tucker(self.rng.standard_normal((6, 5, 4)), rank=2)
        self.assertEqual([f.shape for f in r.factor], [(6, 2), (5, 2), (4, 2)])
        self.assertEqual(r["factor.1"].shape, (5, 2))
        self.assertTrue({"core", "factor", "apply"} <= set(dir(r)))
        with self.assertRaisesRegex(AttributeError, "no 'factors'"):
            r.factors
        self.assertEqual((r.shape, r.dtype, r.op), ((6, 5, 4), np.float64, "tucker"))

    def test_files_of_many_members_as_inputs(self):
        W, B, A = (self.rng.standard_normal(s) for s in ((12, 9), (12, 2), (2, 9)))
        base = {"q.weight": W, "q.bias": np.ones(12)}
        r = lode.adapter(base, [{"q.weight": W + B @ A, "q.bias": np.ones(12)}], rank=2)
        P = "base_model.model.q.lora_"
        np.testing.assert_allclose(r[P + "B.weight"] @ r[P + "A.weight"], B @ A, atol=1e-12)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "adapter_model.safetensors")
            r.save(path)
            self.assertTrue(os.path.exists(os.path.join(folder, "adapter_config.json")))
            np.testing.assert_allclose(lode.adapter(base, path, do="merge")["q.weight"], W + B @ A, atol=1e-12)

    def test_caveats_are_warnings(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            lode.svd(self.rng.standard_normal((300, 200)), rank=20, max_iter=1, tol=1e-12, method="golub-kahan")
        self.assertTrue(any(issubclass(w.category, lode.LodeWarning) for w in caught))


if __name__ == "__main__":
    unittest.main()
