/* Whether a matrix is its own adjoint: block against block of a dense one, entry against entry of a sparse one. */
#include <math.h>

#include "array/scalar.h"
#include "array/walk.h"

enum { BLOCK = 256 };

static void compare(const double *upper, const double *lower, int64_t i, int64_t j, double slack,
                    lode_i_mismatch *m)
{
    const double off = modulus(upper[0] - lower[0], upper[1] + lower[1]);
    if (off <= slack)
        return;
    *m = (lode_i_mismatch){ .found = true, .i = i, .j = j, .off = off };
    for (int k = 0; k < 2; k++)
        m->upper[k] = upper[k], m->lower[k] = lower[k];
}

/* One block against the one across the diagonal. */
static void blocks(const lode_array *a, const lode_array *b, int64_t i0, int64_t j0, double slack,
                   lode_i_mismatch *m)
{
    for (int64_t i = 0; i < a->shape[0] && !m->found; i++) {
        double row[2 * BLOCK], column[2 * BLOCK];
        const int64_t n = a->shape[1];
        lode_i_convert(a->dtype, lode_i_at(a, i * a->strides[0]), a->strides[1], LODE_C128, row, 1,
                       n);
        lode_i_convert(b->dtype, lode_i_at(b, i * b->strides[1]), b->strides[0], LODE_C128, column,
                       1, n);
        for (int64_t j = 0; j < n && !m->found; j++)
            if (i0 + i <= j0 + j)
                compare(row + 2 * j, column + 2 * j, i0 + i, j0 + j, slack, m);
    }
}

static lode_status take(lode_ctx *ctx, lode_value A, int64_t i, int64_t rows, int64_t j,
                        int64_t cols, lode_array *block)
{
    lode_array_free(block);
    if (A.kind == LODE_SOURCE)
        return lode_i_source_read(ctx, A.as.source, (const int64_t[]){ i, j },
                                  (const int64_t[]){ rows, cols }, A.as.source->dtype, block);
    lode_array strip = lode_i_rows(A.as.array, i, i + rows);
    *block = lode_i_cols(&strip, j, j + cols);
    lode_array_free(&strip);
    return LODE_OK;
}

static lode_status dense(lode_ctx *ctx, lode_value A, int64_t n, double slack, lode_i_mismatch *m)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    for (int64_t i = 0; i < n && !m->found; i += BLOCK)
        for (int64_t j = i; j < n && !m->found; j += BLOCK) {
            const int64_t rows = lode_i_min(BLOCK, n - i), cols = lode_i_min(BLOCK, n - j);
            LODE_TRY(lode_i_cancelled(ctx));
            LODE_TRY(take(ctx, A, i, rows, j, cols, &a));
            LODE_TRY(take(ctx, A, j, cols, i, rows, &b));
            blocks(&a, &b, i, j, slack, m);
        }
done:
    LODE_FREE(&a, &b);
    return st;
}

/* The place of column j in row i, whose columns ascend; -1: it has none. */
static int64_t find(const lode_sparse *s, int64_t i, int64_t j)
{
    const int64_t *start = s->indptr.data, *column = s->indices.data;
    int64_t lo = start[i], hi = start[i + 1];
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (column[mid] < j)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < start[i + 1] && column[lo] == j ? lo : -1;
}

static lode_status sparse(lode_ctx *ctx, const lode_sparse *s, double slack, lode_i_mismatch *m)
{
    const int64_t *start = s->indptr.data, *column = s->indices.data;
    for (int64_t i = 0; i < s->shape[0] && !m->found; i++) {
        if (i % 65536 == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        for (int64_t p = start[i]; p < start[i + 1] && !m->found; p++) {
            double a[2], b[2] = { 0, 0 };
            const int64_t j = column[p], q = find(s, j, i);
            if (q >= 0 && j < i)
                continue; /* looked at from its other side */
            lode_i_convert(s->values.dtype, lode_i_at(&s->values, p), 1, LODE_C128, a, 1, 1);
            if (q >= 0)
                lode_i_convert(s->values.dtype, lode_i_at(&s->values, q), 1, LODE_C128, b, 1, 1);
            if (i <= j)
                compare(a, b, i, j, slack, m);
            else
                compare(b, a, j, i, slack, m);
        }
    }
    return LODE_OK;
}

lode_status lode_i_hermitian(lode_ctx *ctx, lode_value A, double slack, lode_i_mismatch *m)
{
    lode_dtype dtype;
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    *m = (lode_i_mismatch){ 0 };
    if (!lode_i_value_shape(A, &dtype, &ndim, shape) || ndim != 2 || shape[0] != shape[1])
        return lode_i_fail(ctx, LODE_ESHAPE, "only a square matrix can be its own adjoint");
    return A.kind == LODE_SPARSE ? sparse(ctx, A.as.sparse, slack, m)
                                 : dense(ctx, A, shape[0], slack, m);
}
