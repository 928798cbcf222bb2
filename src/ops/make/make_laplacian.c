/* The Laplacian of a grid with fixed ends: symmetric, positive definite, of known spectrum. */
#include "ops/make/make.h"

/* Columns of row i and whether each is the diagonal, ascending; how many. */
static int row(int ndim, const int64_t *shape, int64_t i, int64_t *column)
{
    int64_t stride[LODE_MAX_NDIM] = { 0 }, at[LODE_MAX_NDIM] = { 0 }, step = 1;
    int count = 0;
    for (int k = ndim - 1; k >= 0; k--) {
        stride[k] = step, at[k] = i / step % shape[k];
        step *= shape[k];
    }
    for (int k = 0; k < ndim; k++)
        if (at[k] > 0)
            column[count++] = i - stride[k];
    column[count++] = i;
    for (int k = ndim - 1; k >= 0; k--)
        if (at[k] < shape[k] - 1)
            column[count++] = i + stride[k];
    return count;
}

lode_status lode_i_make_laplacian(lode_ctx *ctx, int ndim, const int64_t *shape, lode_dtype dtype,
                                  lode_sparse *result)
{
    lode_status st = LODE_OK;
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2 };
    int64_t n = 1, nnz = 0, most = 0, column[2 * LODE_MAX_NDIM + 1];
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    for (int k = 0; k < ndim; k++)
        nnz += shape[k] > 0 ? 2 * (n - n / shape[k]) : 0;
    LODE_REQUIRE(lode_i_mul(n, 2 * ndim + 1, &most), LODE_ESHAPE,
                 "make: the Laplacian of %" PRId64 " points is too large", n);
    nnz += n;
    s.shape[0] = s.shape[1] = n;
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, n + 1, &s.indptr));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, nnz, &s.indices));
    LODE_TRY(lode_i_vector_new(ctx, dtype, nnz, &s.values));
    LODE_TRY(lode_i_fill(ctx, &s.values, -1));
    nnz = 0;
    for (int64_t i = 0; i < n; i++) {
        lode_i_set1(&s.indptr, i, (double)nnz);
        const int count = row(ndim, shape, i, column);
        for (int k = 0; k < count; k++, nnz++) {
            lode_i_set1(&s.indices, nnz, (double)column[k]);
            if (column[k] == i)
                lode_i_set1(&s.values, nnz, 2 * ndim);
        }
        if (i % 4096 == 0)
            LODE_TRY(lode_i_tick(ctx, i, n));
    }
    lode_i_set1(&s.indptr, n, (double)nnz);
    const lode_sparse old = *result;
    *result = s, s = old;
done:
    LODE_FREE(&s);
    return st;
}
