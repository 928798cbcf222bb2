/* What tests of tensor decompositions share: tensors with known structure, and measures of a Tucker
 * decomposition by naive loops in double complex, from the definition. */
#ifndef LODE_TESTS_LINOP_TENSORS_H
#define LODE_TESTS_LINOP_TENSORS_H

#include "fixture.h"

#include <complex.h>
#include <math.h>

#include "linop/sthosvd.h"

typedef double complex entry;

static inline entry tensor_get(const lode_array *a, int64_t at)
{
    switch (a->dtype) {
    case LODE_F32: return (entry)((const float *)a->data)[at];
    case LODE_C64: return (entry)((const float complex *)a->data)[at];
    case LODE_C128: return ((const entry *)a->data)[at];
    default: return ((const double *)a->data)[at];
    }
}

static inline void tensor_set(lode_array *a, int64_t at, entry v)
{
    switch (a->dtype) {
    case LODE_F32: ((float *)a->data)[at] = (float)creal(v); break;
    case LODE_C64: ((float complex *)a->data)[at] = (float complex)v; break;
    case LODE_C128: ((entry *)a->data)[at] = v; break;
    default: ((double *)a->data)[at] = creal(v);
    }
}

/* Normal values (complex: both parts). */
static inline lode_array tensor_normal(lode_ctx *ctx, lode_dtype t, int d, const int64_t *shape,
                                       uint64_t seed)
{
    lode_array a = { 0 };
    const lode_stream s = lode_i_stream(ctx, "tensors", seed);
    assert_ok(ctx, lode_array_new(ctx, t, d, shape, &a));
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        tensor_set(&a, i,
                   lode_i_random_normal(s, 2 * (uint64_t)i) +
                       I * lode_i_random_normal(s, 2 * (uint64_t)i + 1));
    return a;
}

/* Multilinear rank `rank`, unit variance, plus normal noise of standard deviation `noise`. */
static inline lode_array tensor_planted(lode_ctx *ctx, lode_dtype t, int d, const int64_t *shape,
                                        const int64_t *rank, double noise, uint64_t seed)
{
    const lode_dtype wide = lode_i_is_complex(t) ? LODE_C128 : LODE_F64;
    lode_array x = tensor_normal(ctx, wide, d, rank, seed), y = { 0 }, U = { 0 };
    double norm;
    for (int k = 0; k < d; k++) {
        assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "planted", seed * 64 + (uint64_t)k),
                                    wide, shape[k], rank[k], &U));
        assert_ok(ctx, lode_i_ttm(ctx, &x, k, LODE_N, &U, &y));
        lode_array_swap(&x, &y);
    }
    assert_ok(ctx, lode_i_norm_fro(ctx, &x, &norm));
    assert_ok(ctx, lode_i_scale(ctx, sqrt((double)lode_array_size(&x)) / norm, &x));
    lode_array_free(&y);
    y = tensor_normal(ctx, wide, d, shape, seed + 1);
    assert_ok(ctx, lode_i_axpy(ctx, noise, &y, &x));
    lode_array_free(&y);
    assert_ok(ctx, lode_array_cast(ctx, &x, t, &y));
    LODE_FREE(&x, &U);
    return y;
}

/* sum of separable Gaussians: spectra that fall exponentially. */
static inline lode_array tensor_smooth(lode_ctx *ctx, lode_dtype t, int d, const int64_t *shape,
                                       uint64_t seed)
{
    enum { BUMPS = 12 };
    lode_array a = { 0 };
    const lode_stream s = lode_i_stream(ctx, "smooth", seed);
    assert_ok(ctx, lode_array_zeros(ctx, t, d, shape, &a));
    double *line = calloc((size_t)(d * BUMPS * 512), sizeof *line);
    for (int b = 0; b < BUMPS; b++)
        for (int k = 0; k < d; k++) {
            const double centre = lode_i_random_uniform(s, (uint64_t)(b * 64 + k));
            const double width = 0.08 + 0.2 * lode_i_random_uniform(s, (uint64_t)(b * 64 + 32));
            for (int64_t i = 0; i < shape[k]; i++)
                line[(b * d + k) * 512 + i] = exp(
                    -pow((((double)i + 0.5) / (double)shape[k] - centre) / width, 2) / 2);
        }
    for (int64_t i = 0; i < lode_array_size(&a); i++) {
        double v = 0;
        for (int b = 0; b < BUMPS; b++) {
            double term = lode_i_random_normal(s, (uint64_t)(b * 64 + 33));
            for (int64_t k = d - 1, rest = i; k >= 0; rest /= shape[k], k--)
                term *= line[(b * d + k) * 512 + rest % shape[k]];
            v += term;
        }
        tensor_set(&a, i, v);
    }
    free(line);
    return a;
}

/* ||X||_F and ||X - core x_k U_k||_F by one mode after the other, each entry a sum in long
 * double. */
static inline double tensor_norm(const lode_array *X)
{
    long double sum = 0;
    for (int64_t i = 0; i < lode_array_size(X); i++) {
        const entry v = tensor_get(X, i);
        sum += (long double)(creal(v) * creal(v) + cimag(v) * cimag(v));
    }
    return (double)sqrtl(sum);
}

static inline entry *naive_expand(const lode_array *core, const lode_array *U)
{
    int64_t size = lode_array_size(core), left = 1;
    entry *x = malloc((size_t)(size + 1) * sizeof *x);
    for (int64_t i = 0; i < size; i++)
        x[i] = tensor_get(core, i);
    for (int k = 0; k < core->ndim; k++) {
        const int64_t r = core->shape[k], n = U[k].shape[0], right = r ? size / left / r : 0;
        entry *y = calloc((size_t)(left * n * right + 1), sizeof *y);
        for (int64_t l = 0; l < left; l++)
            for (int64_t i = 0; i < n; i++)
                for (int64_t c = 0; c < r; c++) {
                    const entry u = tensor_get(&U[k], i * r + c);
                    for (int64_t j = 0; j < right; j++)
                        y[(l * n + i) * right + j] += u * x[(l * r + c) * right + j];
                }
        free(x);
        x = y, left *= n, size = left * right;
    }
    return x;
}

static inline double naive_residual(const lode_array *X, const lode_array *core,
                                    const lode_array *U)
{
    entry *y = naive_expand(core, U);
    long double sum = 0;
    for (int64_t i = 0; i < lode_array_size(X); i++)
        sum += (long double)pow(cabs(tensor_get(X, i) - y[i]), 2);
    free(y);
    return (double)sqrtl(sum);
}

/* Largest entry of U^H U - I. */
static inline double off_orthonormal(const lode_array *U)
{
    double worst = 0;
    const int64_t n = U->shape[0], r = U->shape[1];
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = a; b < r; b++) {
            entry dot = a == b ? -1 : 0;
            for (int64_t i = 0; i < n; i++)
                dot += conj(tensor_get(U, i * r + a)) * tensor_get(U, i * r + b);
            worst = cabs(dot) > worst ? cabs(dot) : worst;
        }
    return worst;
}

/* Columns by falling slice norm, largest entries positive real. */
static inline void assert_canonical(const lode_array *core, const lode_array *U)
{
    const double eps = lode_i_epsilon(core->dtype);
    int64_t right = lode_array_size(core);
    for (int k = 0; k < core->ndim; k++) {
        const int64_t r = core->shape[k], left = right ? lode_array_size(core) / right : 0;
        right = r ? right / r : 0;
        double last = INFINITY;
        for (int64_t c = 0; c < r; c++) {
            double e = 0, most = 0;
            for (int64_t l = 0; l < left; l++)
                for (int64_t j = 0; j < right; j++)
                    e += pow(cabs(tensor_get(core, (l * r + c) * right + j)), 2);
            assert_le(e, last * (1 + 100 * eps) + 1e-300);
            last = e;
            for (int64_t i = 0; i < U[k].shape[0]; i++)
                most = fmax(most, cabs(tensor_get(&U[k], i * r + c)));
            entry lead = 0;
            for (int64_t i = 0; i < U[k].shape[0] && lead == 0; i++)
                if (cabs(tensor_get(&U[k], i * r + c)) >= most * (1 - 4 * eps))
                    lead = tensor_get(&U[k], i * r + c);
            assert_le(most * (1 - 8 * eps), creal(lead));
            assert_le(fabs(cimag(lead)), 8 * eps * most);
        }
    }
}

#endif
