/* Inner products of the rows of two matrices, one number a row. */
#include "array/array.h"

typedef struct row_job {
    const double *x, *y;
    double *sum;
    int64_t rows, width; /* doubles in a row */
} row_job;

enum { ROWS = 16 };

/* In eight lanes that are joined in a fixed tree. */
LODE_CLONES static double along(const double *restrict x, const double *restrict y, int64_t n)
{
    double l[8] = { 0 };
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            l[k] += x[i + k] * y[i + k];
    for (int k = 0; i < n; i++, k++)
        l[k] += x[i] * y[i];
    return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
}

static lode_status some_rows(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const row_job *w = data;
    for (int64_t i = task * ROWS; i < lode_i_min((task + 1) * ROWS, w->rows); i++)
        w->sum[i] += along(w->x + i * w->width, w->y + i * w->width, w->width);
    return LODE_OK;
}

lode_status lode_i_row_inner(lode_ctx *ctx, const lode_array *X, const lode_array *Y,
                             lode_array *sums)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    const lode_dtype wide = lode_i_is_complex(X->dtype) ? LODE_C128 : LODE_F64;
    LODE_REQUIRE(X->ndim == 2 && Y->ndim == 2 && X->shape[0] == Y->shape[0] &&
                     X->shape[1] == Y->shape[1] && sums->ndim == 1 &&
                     sums->shape[0] == X->shape[0] && sums->dtype == LODE_F64 &&
                     lode_array_is_contiguous(sums),
                 LODE_EINTERNAL, "inner products of rows take matrices of one shape");
    LODE_TRY(lode_i_as(ctx, X, wide, &x));
    LODE_TRY(lode_i_as(ctx, Y, wide, &y));
    row_job w = { .x = x.data,
                  .y = y.data,
                  .sum = sums->data,
                  .rows = X->shape[0],
                  .width = X->shape[1] * (wide == LODE_C128 ? 2 : 1) };
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.rows, ROWS), some_rows, &w));
done:
    LODE_FREE(&x, &y);
    return st;
}
