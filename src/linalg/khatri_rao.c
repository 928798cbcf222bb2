/* Column-wise Kronecker products. */
#include "linalg/linalg.h"

enum { ROWS = 256 };

#define REAL float
#define NAME(x) x##_f32
#include "linalg/khatri_rao_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/khatri_rao_kernel.inc"

typedef struct job {
    const void *a, *b;
    void *y;
    int64_t rows_a, rows_b, k;
    bool single;
} job;

static lode_status task(lode_ctx *ctx, int64_t t, void *data)
{
    (void)ctx;
    const job *w = data;
    const int64_t end = lode_i_min((t + 1) * ROWS, w->rows_a * w->rows_b);
    for (int64_t i = t * ROWS; i < end; i++) {
        const int64_t a = i / w->rows_b * w->k, b = i % w->rows_b * w->k;
        if (w->single)
            multiply_f32((const float *)w->a + a, (const float *)w->b + b, (float *)w->y + i * w->k,
                         w->k);
        else
            multiply_f64((const double *)w->a + a, (const double *)w->b + b,
                         (double *)w->y + i * w->k, w->k);
    }
    return LODE_OK;
}

static lode_status pair(lode_ctx *ctx, const lode_array *A, const lode_array *B, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array b = { 0 }, y = { 0 };
    job w = { .rows_a = A->shape[0], .rows_b = B->shape[0], .k = A->shape[1] };
    int64_t rows = 0;
    LODE_REQUIRE(lode_i_mul(w.rows_a, w.rows_b, &rows), LODE_ESHAPE,
                 "a Khatri-Rao product of %" PRId64 " and %" PRId64 " rows is too large", w.rows_a,
                 w.rows_b);
    LODE_TRY(lode_i_as(ctx, B, A->dtype, &b));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, rows, w.k, &y));
    w.single = A->dtype == LODE_F32;
    w.a = lode_i_at(A, 0), w.b = lode_i_at(&b, 0), w.y = lode_i_at(&y, 0);
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(rows, ROWS), task, &w));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&b, &y);
    return st;
}

lode_status lode_i_khatri_rao(lode_ctx *ctx, const lode_array *factor, int count, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, next = { 0 };
    LODE_TRY(lode_array_cast(ctx, &factor[0], factor[0].dtype, &y));
    for (int i = 1; i < count; i++) {
        LODE_TRY(pair(ctx, &y, &factor[i], &next));
        lode_array_swap(&y, &next);
        LODE_FREE(&next);
    }
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &next);
    return st;
}
