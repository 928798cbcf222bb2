/* What tests of tensor trains share: trains of random cores, and expansion by naive loops. */
#ifndef LODE_TESTS_LINOP_TRAINS_H
#define LODE_TESTS_LINOP_TRAINS_H

#include "linop/tensors.h"
#include "linop/tt.h"

/* Normal cores of these ranks (of bond k + 1), each of about norm 1 a row. */
static inline void train_normal(lode_ctx *ctx, lode_dtype t, int d, const int64_t *n,
                                const int64_t *rank, uint64_t seed, lode_array *core)
{
    for (int k = 0; k < d; k++) {
        const int64_t shape[] = { k ? rank[k - 1] : 1, n[k], k < d - 1 ? rank[k] : 1 };
        core[k] = tensor_normal(ctx, t, 3, shape, seed * 100 + (uint64_t)k);
    }
}

static inline void train_free(int d, lode_array *core)
{
    for (int k = 0; k < d; k++)
        lode_array_free(&core[k]);
}

/* All entries, one core after the other. */
static inline entry *train_naive(int d, const lode_array *core)
{
    int64_t rows = 1;
    entry *x = calloc(1, sizeof *x);
    x[0] = 1;
    for (int k = 0; k < d; k++) {
        const int64_t r = core[k].shape[0], c = core[k].shape[1] * core[k].shape[2];
        entry *y = calloc((size_t)(rows * c + 1), sizeof *y);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t a = 0; a < r; a++)
                for (int64_t j = 0; j < c; j++)
                    y[i * c + j] += x[i * r + a] * tensor_get(&core[k], a * c + j);
        free(x);
        x = y;
        rows *= core[k].shape[1];
    }
    return x;
}

static inline lode_array train_tensor(lode_ctx *ctx, int d, const lode_array *core)
{
    int64_t shape[LODE_MAX_NDIM];
    lode_array a = { 0 };
    entry *x = train_naive(d, core);
    for (int k = 0; k < d; k++)
        shape[k] = core[k].shape[1];
    assert_ok(ctx, lode_array_new(ctx, core[0].dtype, d, shape, &a));
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        tensor_set(&a, i, x[i]);
    free(x);
    return a;
}

/* ||X - train||_F */
static inline double train_error(const lode_array *X, int d, const lode_array *core)
{
    entry *y = train_naive(d, core);
    long double sum = 0;
    for (int64_t i = 0; i < lode_array_size(X); i++)
        sum += (long double)pow(cabs(tensor_get(X, i) - y[i]), 2);
    free(y);
    return (double)sqrtl(sum);
}

static inline double train_values(int d, const lode_array *core)
{
    double values = 0;
    for (int k = 0; k < d; k++)
        values += (double)lode_array_size(&core[k]);
    return values;
}

/* Largest entry of Q Q^H - I, Q the core as a matrix of its rows; or of its columns. */
static inline double core_off(const lode_array *core, bool columns)
{
    const int64_t r = columns ? core->shape[2] : core->shape[0],
                  n = lode_array_size(core) / (r ? r : 1);
    double worst = 0;
    for (int64_t a = 0; a < r; a++)
        for (int64_t b = 0; b < r; b++) {
            entry sum = a == b ? -1 : 0;
            for (int64_t i = 0; i < n; i++)
                sum += tensor_get(core, columns ? i * r + a : a * n + i) *
                       conj(tensor_get(core, columns ? i * r + b : b * n + i));
            worst = fmax(worst, cabs(sum));
        }
    return worst;
}

/* Singular values of the unfolding at bond k (rows: the modes before it), by LAPACK. */
static inline lode_array bond_values(lode_ctx *ctx, const lode_array *X, int k)
{
    int64_t rows = 1;
    lode_array A = { 0 }, W = { 0 }, s = { 0 };
    for (int j = 0; j < k; j++)
        rows *= X->shape[j];
    const int64_t shape[] = { rows, lode_array_size(X) / rows };
    assert_ok(ctx, lode_array_reshape(ctx, X, 2, shape, &A));
    assert_ok(ctx,
              lode_array_cast(ctx, &A, lode_i_is_complex(X->dtype) ? LODE_C128 : LODE_F64, &W));
    assert_ok(ctx, lode_i_svd(ctx, &W, lode_i_min(shape[0], shape[1]), NULL, &s, NULL));
    LODE_FREE(&A, &W);
    return s;
}

#endif
