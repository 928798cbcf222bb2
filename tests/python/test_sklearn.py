"""Estimators: scikit-learn's own checks, and its own decompositions as judges. Left out where it is not installed."""
import pickle
import unittest
import warnings

import numpy as np
import scipy.sparse

import lode

try:
    import sklearn
    import sklearn.decomposition
    import sklearn.model_selection
    import sklearn.pipeline
    import sklearn.preprocessing
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.estimator_checks import check_estimator

    import lode.sklearn as estimators
except ImportError:
    raise unittest.SkipTest("scikit-learn is not installed") if __name__ != "__main__" else SystemExit(0)


class Estimators(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((80, 4)) @ rng.standard_normal((4, 12)) + 0.1 * rng.standard_normal((80, 12)) + 3

    def test_scikit_learn_accepts_them(self):
        for name in estimators.__all__:
            for estimator, check in check_estimator(getattr(estimators, name)(), generate_only=True):
                with self.subTest(estimator=name, check=str(check)), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        check(estimator)
                    except unittest.SkipTest:
                        pass

    def test_pca_is_pca(self):
        ours, theirs = estimators.PCA(rank=3).fit(self.X), sklearn.decomposition.PCA(3).fit(self.X)
        for a, b in zip(ours.components_, theirs.components_):
            self.assertAlmostEqual(abs(a @ b), 1, 12)
        np.testing.assert_allclose(ours.inverse_transform(ours.transform(self.X)),
                                   theirs.inverse_transform(theirs.transform(self.X)), rtol=1e-10)
        np.testing.assert_allclose(ours.fit_transform(self.X), ours.transform(self.X), rtol=1e-9, atol=1e-12)

    def test_svd_of_sparse_rows(self):
        S = scipy.sparse.random(200, 50, 0.1, random_state=1, format="csr")
        ours = estimators.TruncatedSVD(rank=4, random_state=1).fit(S)
        s = np.linalg.svd(S.toarray(), compute_uv=False)
        np.testing.assert_allclose(ours.result_.s, s[:4], rtol=1e-6)
        self.assertEqual(ours.transform(S[:7]).shape, (7, 4))

    def test_gaps_in_a_pipeline(self):
        rng = np.random.default_rng(1)
        X = self.X.copy()
        X[rng.random(X.shape) < 0.1] = np.nan
        line = sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), estimators.PCA(rank=4))
        codes = line.fit_transform(X)
        back = line.inverse_transform(codes)
        gaps = np.isnan(X)
        self.assertTrue(np.isfinite(codes).all())
        self.assertLess(np.sqrt(np.mean((back - self.X)[gaps] ** 2)), 0.3 * self.X.std())

    def test_more_samples(self):
        for name in ("PCA", "TruncatedSVD"):
            part = getattr(estimators, name)(rank=12)
            for rows in np.array_split(self.X, 4):
                part.partial_fit(rows)
            whole = getattr(estimators, name)(rank=12).fit(self.X)
            np.testing.assert_allclose(part.result_.s, whole.result_.s, rtol=1e-9)
            with self.assertRaisesRegex(ValueError, "11 features, but .* is expecting 12"):
                part.partial_fit(self.X[:, :11])

    def test_nmf_of_counts(self):
        rng = np.random.default_rng(2)
        X = rng.random((60, 3)) @ rng.random((3, 20))
        fit = estimators.NMF(rank=3, random_state=4).fit(X)
        self.assertGreaterEqual(fit.components_.min(), -1e-12)
        self.assertLess(np.linalg.norm(fit.inverse_transform(fit.transform(X)) - X) / np.linalg.norm(X), 1e-2)
        with self.assertRaisesRegex(ValueError, "Negative values in data"):
            fit.fit(-X)

    def test_parameters_are_searched_and_kept(self):
        again = pickle.loads(pickle.dumps(estimators.PCA(rank=2).fit(self.X)))
        self.assertEqual(again.get_params()["rank"], 2)
        np.testing.assert_array_equal(again.transform(self.X[:3]), estimators.PCA(rank=2).fit(self.X).transform(self.X[:3]))
        self.assertEqual(sklearn.base.clone(again).set_params(rank=3).rank, 3)
        with self.assertRaises(NotFittedError):
            estimators.PCA().transform(self.X)
        with self.assertRaisesRegex(lode.LodeError, "rank"):
            estimators.PCA(rank=-1).fit(self.X)
        with self.assertRaises(TypeError):
            estimators.PCA(n_componentz=3)

    def test_seeds(self):
        a, b = (estimators.NMF(rank=3, random_state=s, init="random").fit(abs(self.X)).components_ for s in (1, 1))
        np.testing.assert_array_equal(a, b)


if __name__ == "__main__":
    unittest.main()
