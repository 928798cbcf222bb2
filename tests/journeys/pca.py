"""Principal components of data with gaps, in a scikit-learn pipeline

Wanted: my sensors drop out, so a tenth of the table is NaN. scikit-learn's PCA refuses it; filling the gaps with
means bends the components. I want a PCA that takes NaN as missing and fits in the pipeline I have.

Learned: `lode.sklearn.PCA` stands where scikit-learn's stood. It fits what was observed, `transform` gives the codes of
rows with gaps, `inverse_transform` fills them; against the values that were taken out it is several times closer than
filling in means. `certificate_` says how well the fit meets the data.
"""
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lode.sklearn

rng = np.random.default_rng(0)
causes = rng.standard_normal((500, 3))
whole = causes @ rng.standard_normal((3, 20)) + 0.1 * rng.standard_normal((500, 20))
y = causes @ [1.0, -2.0, 0.5]
gaps = rng.random(whole.shape) < 0.1
X = np.where(gaps, np.nan, whole)

model = make_pipeline(StandardScaler(), lode.sklearn.PCA(rank=3), LinearRegression())
model.fit(X[:400], y[:400])
print("R2 on rows not seen, gaps and all:", model.score(X[400:], y[400:]))
assert model.score(X[400:], y[400:]) > 0.95

pca = lode.sklearn.PCA(rank=3).fit(X)
filled = pca.inverse_transform(pca.transform(X))
error = np.abs(filled - whole)[gaps].mean()
of_means = np.abs(np.nanmean(X, axis=0) - whole)[gaps].mean()
print(f"error where values were missing: {error:.3f}; of column means: {of_means:.3f}")
print(pca.certificate_)
assert error < of_means / 5
