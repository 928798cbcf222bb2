/* Orthonormal bases. Columns that depend on those before them give way to random ones. */
#include "linalg/linalg.h"

#include <complex.h>
#include <math.h>

/* A column depends on others when what is left of it beside them is rounding of its length. The
 * bound grows with their number; unlike one relative to the largest column, it ignores the columns'
 * units. */
static double tolerance(const lode_array *R)
{
    return 8 * lode_i_epsilon(R->dtype) * ((double)R->shape[1] + 16);
}

static lode_status all_independent(lode_ctx *ctx, const lode_array *R, bool *all)
{
    *all = true;
    for (int64_t j = 0; j < R->shape[1] && *all; j++) {
        lode_array col = lode_i_cols(R, j, j + 1);
        double norm;
        const lode_status st = lode_i_norm_fro(ctx, &col, &norm);
        lode_array_free(&col);
        LODE_FORWARD(st);
        *all = lode_i_get2(R, j, j) > tolerance(R) * norm;
    }
    return LODE_OK;
}

/* v -= (b^H v) b */
static void project(int64_t n, const double complex *b, double complex *v)
{
    double complex inner = 0;
    for (int64_t i = 0; i < n; i++)
        inner += conj(b[i]) * v[i];
    for (int64_t i = 0; i < n; i++)
        v[i] -= inner * b[i];
}

static double length(int64_t n, const double complex *v)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += creal(v[i]) * creal(v[i]) + cimag(v[i]) * cimag(v[i]);
    return sqrt(sum);
}

/* Columns of A that are independent of those before them, first in `order`, then the others: by
 * Gram-Schmidt on the columns of R, whose inner products are those of A's. R's own diagonal does
 * not tell: after a dependent column, Householder's q_j is arbitrary, and takes a part of every
 * column that follows. */
static lode_status independent(lode_ctx *ctx, const lode_array *R, int64_t *order, int64_t *rank)
{
    lode_status st = LODE_OK;
    const int64_t n = R->shape[1];
    const lode_array turned = lode_i_transposed(R);
    lode_array rows = { 0 };
    int64_t last = n;
    *rank = 0;
    LODE_TRY(lode_array_cast(ctx, &turned, LODE_C128, &rows));
    double complex *base = rows.data; /* the basis found so far overwrites the rows that gave it */
    for (int64_t j = 0; j < n; j++) {
        double complex *v = base + j * n;
        double largest = 0;
        for (int64_t i = 0; i <= j; i++)
            largest = fmax(largest, fmax(fabs(creal(v[i])), fabs(cimag(v[i]))));
        for (int64_t i = 0; i < n && largest > 0; i++) /* 1 / largest may be infinite */
            v[i] = creal(v[i]) / largest + cimag(v[i]) / largest * I;
        const double before = length(n, v);
        for (int pass = 0; pass < 2; pass++) /* twice is enough */
            for (int64_t i = 0; i < *rank; i++)
                project(n, base + i * n, v);
        const double left = length(n, v);
        if (left > tolerance(R) * before) {
            for (int64_t i = 0; i < n; i++)
                base[*rank * n + i] = v[i] / left;
            order[(*rank)++] = j;
        } else {
            order[--last] = j;
        }
        LODE_TRY(lode_i_cancelled(ctx));
    }
done:
    lode_array_free(&rows);
    return st;
}

/* Copies column order[j] of `from` to column j of `to`, or back. */
static lode_status reorder(lode_ctx *ctx, const int64_t *order, int64_t count, bool back,
                           const lode_array *from, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    for (int64_t j = 0; j < count; j++) {
        const int64_t o = order[j];
        a = lode_i_cols(from, back ? j : o, (back ? j : o) + 1);
        b = lode_i_cols(to, back ? o : j, (back ? o : j) + 1);
        LODE_TRY(lode_array_copy_into(ctx, &a, &b));
        LODE_FREE(&a, &b);
    }
done:
    LODE_FREE(&a, &b);
    return st;
}

lode_status lode_i_orth(lode_ctx *ctx, lode_array *Q, int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, r = { 0 }, mixed = { 0 }, fresh = { 0 }, tail = { 0 };
    int64_t *order = NULL, found;
    bool all;
    LODE_TRY(lode_i_qr(ctx, Q, &q, &r));
    const int64_t m = Q->shape[0], n = found = Q->shape[1];
    LODE_TRY(all_independent(ctx, &r, &all));
    if (!all) {
        LODE_TRY(LODE_NEW(ctx, n, &order));
        LODE_TRY(independent(ctx, &r, order, &found));
    }
    if (found < n) {
        LODE_TRY(lode_i_matrix_new(ctx, Q->dtype, m, n, &mixed));
        LODE_TRY(reorder(ctx, order, found, false, Q, &mixed));
        LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "orth", 0), Q->dtype, m, n - found, &fresh));
        tail = lode_i_cols(&mixed, found, n);
        LODE_TRY(lode_array_copy_into(ctx, &fresh, &tail));
        LODE_TRY(lode_i_qr(ctx, &mixed, &mixed, &r));
        LODE_TRY(reorder(ctx, order, n, true, &mixed, &q));
    }
    lode_array_swap(Q, &q);
    if (rank)
        *rank = found;
done:
    lode_i_free(order);
    LODE_FREE(&q, &r, &mixed, &fresh, &tail);
    return st;
}

lode_status lode_i_off_orthonormal(lode_ctx *ctx, const lode_array *Q, double *off)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, eye = { 0 };
    LODE_TRY(lode_i_gram(ctx, LODE_H, Q, &G));
    LODE_TRY(lode_i_eye(ctx, Q->dtype, Q->shape[1], &eye));
    LODE_TRY(lode_i_diff_fro(ctx, &G, &eye, off));
done:
    LODE_FREE(&G, &eye);
    return st;
}
