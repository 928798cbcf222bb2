/* Rows of a factor from products with all other factors: min 1/2 a'Ga - y'a + ridge/2 |a|^2 + l1 |a|_1, one
 * problem a row, the same matrix for all. */
#include <math.h>
#include <string.h>

#include "linalg/slices.h"
#include "linalg/small.h"

enum { ROWS = 64 };

typedef struct job {
    const double *G;
    const void *y, *from;
    void *a;
    int64_t n, k;
    double beta;
    const lode_i_row_rule *rule;
    double *room; /* 2 k a worker */
} job;

#define REAL float
#define NAME(x) x##_f32
#include "linalg/descend_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/descend_kernel.inc"

static lode_status rows_f32(lode_ctx *ctx, int64_t task, void *data)
{
    const job *w = data;
    descend_f32(w, task, w->room + 2 * w->k * lode_i_worker(ctx));
    return LODE_OK;
}

static lode_status rows_f64(lode_ctx *ctx, int64_t task, void *data)
{
    const job *w = data;
    descend_f64(w, task, w->room + 2 * w->k * lode_i_worker(ctx));
    return LODE_OK;
}

/* A = Y (G + ridge)^-1; a direction that no product tells gets 0. */
static lode_status solve(lode_ctx *ctx, const double *G, const lode_array *Y,
                         const lode_i_row_rule *rule, lode_array *A)
{
    lode_status st = LODE_OK;
    const int64_t k = Y->shape[1];
    double *L = NULL, *b = NULL;
    lode_array inverse = { 0 }, in = { 0 }, made = { 0 };
    LODE_TRY(LODE_NEW(ctx, k * k, &L));
    LODE_TRY(LODE_NEW(ctx, k, &b));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, k, k, &inverse));
    for (int64_t e = 0; e < k * k; e++)
        L[e] = G[e] + (e / k == e % k ? rule->ridge : 0);
    lode_i_small_factor(L, k, k, 1e-14);
    for (int64_t c = 0; c < k; c++) {
        for (int64_t r = 0; r < k; r++)
            b[r] = r == c;
        lode_i_small_solve(L, k, k, b);
        for (int64_t r = 0; r < k; r++)
            lode_i_set2(&inverse, r, c, b[r]);
    }
    LODE_TRY(lode_i_as(ctx, &inverse, Y->dtype, &in));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, Y, &in, &made));
    lode_array_swap(A, &made);
done:
    lode_i_free(L);
    lode_i_free(b);
    LODE_FREE(&inverse, &in, &made);
    return st;
}

lode_status lode_i_product_rows(lode_ctx *ctx, const double *G, const lode_array *Y,
                                const lode_i_row_rule *rule, lode_array *A)
{
    lode_status st = LODE_OK;
    job w = { .G = G, .n = Y->shape[0], .k = Y->shape[1], .rule = rule };
    if (!rule->nonneg && !(rule->l1 > 0))
        return solve(ctx, G, Y, rule, A);
    LODE_TRY(LODE_NEW(ctx, 2 * w.k * lode_ctx_threads(ctx), &w.room));
    w.y = lode_i_at(Y, 0), w.a = lode_i_at(A, 0);
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.n, ROWS),
                             Y->dtype == LODE_F32 ? rows_f32 : rows_f64, &w));
done:
    lode_i_free(w.room);
    return st;
}

lode_status lode_i_extrapolate(lode_ctx *ctx, double beta, bool nonneg, const lode_array *from,
                               const lode_array *to, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    LODE_TRY(lode_array_cast(ctx, to, to->dtype, &a));
    const int64_t n = lode_array_size(&a);
    if (a.dtype == LODE_F32)
        go_on_f32(n, beta, nonneg, lode_i_at(from, 0), lode_i_at(&a, 0));
    else
        go_on_f64(n, beta, nonneg, lode_i_at(from, 0), lode_i_at(&a, 0));
    lode_array_swap(out, &a);
done:
    LODE_FREE(&a);
    return st;
}

int64_t lode_i_first_negative(const lode_array *a)
{
    return a->dtype == LODE_F32 ? below_f32(lode_array_size(a), lode_i_at(a, 0))
                                : below_f64(lode_array_size(a), lode_i_at(a, 0));
}
