"""Tucker decompositions in NumPy, for the claims to compare with; and tensors to decompose."""
import numpy as np


def unfolded(x, k):
    return np.moveaxis(x, k, 0).reshape(x.shape[k], -1)


def multiply(x, U, k):
    return np.moveaxis(np.tensordot(U, x, (1, k)), 0, k)


def size(shape, r):
    """Numbers in core and factors."""
    return int(np.prod(r) + np.dot(shape, r))


def spectrum(x, k):
    """Squared singular values of an unfolding summed from the end, tail[r] what r of them leave; their vectors."""
    M = unfolded(x, k)
    w, U = np.linalg.eigh(M @ M.T)
    return np.append(np.cumsum(w.clip(0))[::-1], 0), U[:, ::-1]


def spectra(x):
    return tuple(zip(*(spectrum(x, k) for k in range(x.ndim))))


def possible(r):
    """No rank of a tensor exceeds the product of the others."""
    return all(n * n <= np.prod(r) for n in r)


def hooi(x, bases, r, sweeps=20, tol=1e-5):
    """Squared error of orthogonal iteration at ranks r, started from the singular vectors of the unfoldings."""
    U, whole, last = [u[:, :n] for u, n in zip(bases, r)], np.sum(x * x), np.inf
    for _ in range(sweeps):
        for k in range(x.ndim):
            y = x
            for j in sorted((j for j in range(x.ndim) if j != k), key=lambda j: r[j] / x.shape[j]):
                y = multiply(y, U[j].T, j)
            w, V = np.linalg.eigh(unfolded(y, k) @ unfolded(y, k).T)
            U[k] = V[:, ::-1][:, : r[k]]
        error = max(whole - w[::-1][: r[k]].sum(), 0)
        if last - error <= tol * error:
            break
        last = error
    return error


def with_noise(x, noise, rng):
    """Norm 1 and a noise of this norm."""
    e = rng.standard_normal(x.shape)
    return x / np.linalg.norm(x) + noise * e / np.linalg.norm(e)


def planted(rng, shape, ranks, noise):
    """All directions of the signal are far above the noise."""
    x = rng.standard_normal(ranks)
    for k, (n, r) in enumerate(zip(shape, ranks)):
        x = multiply(x, np.linalg.qr(rng.standard_normal((n, r)))[0], k)
    return with_noise(x, noise, rng)


def decaying(rng, shape, powers, noise=0.0):
    """Singular values of mode k about as i^-powers[k]."""
    x = rng.standard_normal(shape)
    for k, (n, p) in enumerate(zip(shape, powers)):
        x = multiply(x, np.linalg.qr(rng.standard_normal((n, n)))[0] * np.arange(1.0, n + 1) ** -p, k)
    return with_noise(x, noise, rng)
