"""scikit-learn estimators over the operations of Lode that map samples to codes and back: `PCA(rank=5).fit(X)` in a
Pipeline, with NaN where the operation takes missing values, `partial_fit` where it takes more data.

Their parameters are the operation's options, by the operation's names, and random_state."""
import inspect

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

import lode

# names as scikit-learn users look for them
_NAMES = {"pca": "PCA", "svd": "TruncatedSVD", "nmf": "NMF", "qr": "PivotedQR"}


class Estimator(TransformerMixin, BaseEstimator):
    """What the generated classes share."""

    _op = _defaults = None
    _nan = _nonnegative = _sparse = False

    def _more_tags(self):
        return {"allow_nan": self._nan, "requires_positive_X": self._nonnegative,
                "preserves_dtype": [np.float64, np.float32]}

    def _checked(self, X, reset):
        """X as the operation takes it, checked as scikit-learn's estimators check."""
        X = self._validate_data(
            X, reset=reset, accept_sparse="csr" if self._sparse else False, dtype=[np.float64, np.float32],
            force_all_finite="allow-nan" if self._nan and self._takes_nan() else True)
        if self._nonnegative:
            low = np.nanmin(X.data if scipy.sparse.issparse(X) else X, initial=0)
            if low < 0:
                raise ValueError(f"Negative values in data passed to {type(self).__name__}: {low:g}")
        return X

    def _takes_nan(self):
        return getattr(self, "missing", "nan") == "nan"

    def _options(self):
        """Those that were set: what is left at its default the operation knows best."""
        return {k: v for k, v in self.get_params().items()
                if k != "random_state" and not (type(v) is type(self._defaults[k]) and v == self._defaults[k])}

    def _held(self, result, n):
        self.result_ = result
        self.components_ = self._rows_of(np.eye(n, dtype=result.dtype))
        self.n_components_ = self._n_features_out = n
        return self

    @property
    def n_iter_(self):
        """Iterations of the fit; 1 where there is one pass."""
        check_is_fitted(self)
        return max(len(getattr(self.result_, "trace", ())) - 1, 1)

    def _rows_of(self, codes):
        """What codes stand for beyond what no code does: of a mean, nothing."""
        return self.result_.invert(codes) - self.result_.invert(np.zeros((1, codes.shape[1]), codes.dtype))

    def fit(self, X, y=None):
        """Fits to the samples X, (samples, features)."""
        X = self._checked(X, True)
        with lode.seeded(self.random_state):
            result = getattr(lode, self._op)(X, **self._options())
        return self._held(result, result.apply(X[:1]).codes.shape[1])

    def transform(self, X):
        """Codes of samples: (samples, components)."""
        check_is_fitted(self)
        return self.result_.apply(self._checked(X, False)).codes

    def inverse_transform(self, X):
        """The samples that codes stand for."""
        check_is_fitted(self)
        return self.result_.invert(np.asarray(X, self.result_.dtype))

    @property
    def certificate_(self):
        """What is proved about the fit."""
        check_is_fitted(self)
        return self.result_.certificate


def _partial_fit(self, X, y=None):
    """Takes more samples into the fit, or begins one."""
    first = not hasattr(self, "result_")
    X = self._checked(X, first)
    if first:
        return self.fit(X)
    result = self.result_.update(X)
    return self._held(result, result.apply(X[:1]).codes.shape[1])


def _made(op, name):
    about = lode.describe(op)
    P = inspect.Parameter
    options = [p for p in about["params"] if p["kind"] not in ("array", "path")]
    parameters = [P("self", P.POSITIONAL_OR_KEYWORD)]
    parameters += [P(p["name"], P.KEYWORD_ONLY, default=p["default"]) for p in options + [{"name": "random_state",
                                                                                           "default": None}]]
    signature = inspect.Signature(parameters)

    def __init__(self, **given):
        bound = signature.bind(self, **given)
        bound.apply_defaults()
        for k, v in list(bound.arguments.items())[1:]:
            setattr(self, k, v)

    __init__.__signature__ = signature
    kinds = {k for p in about["in"] for k in p["kinds"]}
    lines = [about["brief"] + ".", "", "Parameters", "----------"]
    for p in options:
        lines += [f"{p['name']} : {'|'.join(p.get('choices', [p['kind']]))}, default {p['default']!r}", f"    {p['help']}"]
    lines += ["random_state : int, default None", "    seed of all random numbers; None: 0", "", "Attributes", "----------",
              "result_ : lode.Result", "    all that the operation gives, with its verbs", "components_ : (components, features)",
              "    what each code stands for", "certificate_ : lode.Certificate", "    what is proved about the fit"]
    body = {"__init__": __init__, "_defaults": {p["name"]: p["default"] for p in options}, "__doc__": "\n".join(lines), "__module__": __name__, "_op": op,
            "_nan": any(p["name"] == "missing" for p in about["params"]), "_nonnegative": op == "nmf",
            "_sparse": "sparse array" in kinds}
    if "update" in about["verbs"]:
        body["partial_fit"] = _partial_fit
    return type(name, (Estimator,), body)


for _op, _name in _NAMES.items():
    globals()[_name] = _made(_op, _name)
__all__ = sorted(_NAMES.values())
