/* The best rotation, and several tables turned to their common mean. */
#include <math.h>

#include "ops/matrix/procrustes.h"

/* ---- one rotation ---- */

lode_status lode_i_trace_product(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                                 double *sum)
{
    lode_status st = LODE_OK;
    lode_array sums = { 0 };
    *sum = 0;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &A->shape[0], &sums));
    LODE_TRY(lode_i_row_inner(ctx, A, B, &sums));
    for (int64_t i = 0; i < sums.shape[0]; i++)
        *sum += lode_i_get1(&sums, i);
done:
    lode_array_free(&sums);
    return st;
}

/* Sign of the determinant of an orthogonal matrix, by elimination with pivots. */
static lode_status orientation(lode_ctx *ctx, const lode_array *R, double *sign)
{
    const int64_t n = R->shape[0];
    double *a = NULL;
    LODE_FORWARD(LODE_NEW(ctx, n * n, &a));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            a[i * n + j] = lode_i_get2(R, i, j);
    *sign = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t top = c;
        for (int64_t i = c + 1; i < n; i++)
            top = fabs(a[i * n + c]) > fabs(a[top * n + c]) ? i : top;
        for (int64_t j = 0; j < n && top != c; j++) {
            const double keep = a[c * n + j];
            a[c * n + j] = a[top * n + j], a[top * n + j] = keep;
        }
        *sign *= (top != c ? -1 : 1) * (a[c * n + c] < 0 ? -1 : 1);
        for (int64_t i = c + 1; i < n; i++) {
            const double f = a[i * n + c] / a[c * n + c];
            for (int64_t j = c; j < n; j++)
                a[i * n + j] -= f * a[c * n + j];
        }
    }
    lode_i_free(a);
    return LODE_OK;
}

/* Directions that no product tells of (M of lower rank) must still be a rotation's: U and V have all columns. */
lode_status lode_i_rotation(lode_ctx *ctx, const lode_i_rotate *o, const lode_array *M,
                            lode_array *R, lode_array *s, double *best)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, V = { 0 }, values = { 0 }, u = { 0 }, v = { 0 }, T = { 0 };
    const int64_t side = lode_i_min(M->shape[0], M->shape[1]);
    const int64_t k = o->rank > 0 ? o->rank : side;
    LODE_TRY(lode_i_svd(ctx, M, side, &U, &values, &V));
    if (o->broken) { /* Gram-Schmidt on the products in place of their polar factor */
        LODE_TRY(lode_array_cast(ctx, M, LODE_F64, &U));
        LODE_TRY(lode_i_orth(ctx, &U, NULL));
        LODE_TRY(lode_i_eye(ctx, LODE_F64, V.shape[1], &V));
    }
    u = lode_i_cols(&U, 0, k), v = lode_i_cols(&V, 0, k);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &u, &v, R));
    *best = 0;
    for (int64_t i = 0; i < k; i++)
        *best += lode_i_get1(&values, i);
    if (o->only) {
        double sign = 1;
        LODE_TRY(orientation(ctx, R, &sign));
        if (sign < 0) { /* the direction that costs least is turned round */
            LODE_FREE(&u, &v);
            u = lode_i_cols(&U, side - 1, side), v = lode_i_cols(&V, side - 1, side);
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -2, &u, &v, 1, R));
            *best -= 2 * lode_i_get1(&values, side - 1);
        }
    }
    if (s)
        lode_array_swap(s, &values);
done:
    LODE_FREE(&U, &V, &values, &u, &v, &T);
    return st;
}

/* ---- tables ---- */

void lode_i_shape_free(lode_i_shape *s)
{
    LODE_FREE(&s->rows, &s->mean);
}

lode_status lode_i_procrustes_weights(lode_ctx *ctx, const lode_array *w, int64_t n,
                                      lode_array *out)
{
    lode_status st = LODE_OK;
    double most = 0, sum = 0;
    LODE_REQUIRE(w->ndim == 1 && w->shape[0] == n && lode_dtype_class(w->dtype) != 'c', LODE_ESHAPE,
                 "procrustes: weights must be %" PRId64 " real numbers, one for each row", n);
    LODE_TRY(lode_array_cast(ctx, w, LODE_F64, out));
    for (int64_t i = 0; i < n; i++) {
        const double v = lode_i_get1(out, i);
        LODE_REQUIRE(v >= 0 && isfinite(v), LODE_EDOMAIN,
                     "procrustes: weights[%" PRId64 "] is %g; weights are finite and >= 0", i, v);
        most = fmax(most, v);
    }
    LODE_REQUIRE(most > 0, LODE_EDOMAIN, "procrustes: all weights are 0; no row counts");
    LODE_TRY(lode_i_scale(ctx, 1 / most, out));
    for (int64_t i = 0; i < n; i++)
        sum += lode_i_get1(out, i);
    LODE_TRY(lode_i_scale(ctx, (double)n / sum, out));
done:
    return st;
}

lode_status lode_i_shape_of(lode_ctx *ctx, const lode_array *X, const lode_array *weights,
                            bool translation, lode_i_shape *s)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, line = { 0 };
    const int64_t n = X->shape[0], p = X->shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, n, 1, &w));
    for (int64_t i = 0; i < n; i++)
        lode_i_set2(&w, i, 0, (weights ? lode_i_get1(weights, i) : 1) / (double)n);
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &w, X, &s->mean));
    if (!translation)
        LODE_TRY(lode_i_fill(ctx, &s->mean, 0));
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &s->rows));
    LODE_TRY(lode_array_reshape(ctx, &s->mean, 1, &p, &line));
    LODE_TRY(lode_i_sub_row(ctx, &s->rows, &line));
    if (weights) {
        LODE_FREE(&w);
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &w));
        for (int64_t i = 0; i < n; i++)
            lode_i_set1(&w, i, sqrt(lode_i_get1(weights, i)));
        LODE_TRY(lode_i_scale_rows(ctx, &s->rows, &w));
    }
    LODE_TRY(lode_i_norm_fro(ctx, &s->rows, &s->norm));
done:
    LODE_FREE(&w, &line);
    return st;
}

lode_status lode_i_shape_move(lode_ctx *ctx, const lode_array *X, double scale, const lode_array *R,
                              const lode_array *shift, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, back = { 0 };
    LODE_TRY(lode_array_cast(ctx, X, LODE_F64, &x));
    LODE_TRY(lode_i_scale(ctx, scale, &x));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x, R, out));
    LODE_TRY(lode_array_cast(ctx, shift, LODE_F64, &back));
    LODE_TRY(lode_i_scale(ctx, -1, &back));
    LODE_TRY(lode_i_sub_row(ctx, out, &back));
done:
    LODE_FREE(&x, &back);
    return st;
}

lode_status lode_i_shape_take(lode_ctx *ctx, const lode_array *X, int64_t i, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, plain = { 0 };
    if (X->ndim == 2)
        return lode_array_cast(ctx, X, LODE_F64, out);
    LODE_TRY(lode_array_slice(ctx, X, 2, i, i + 1, 1, &part));
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &plain));
    LODE_TRY(lode_array_reshape(ctx, &plain, 2, X->shape, out));
done:
    LODE_FREE(&part, &plain);
    return st;
}

/* ---- several ---- */

void lode_i_consensus_free(lode_i_consensus *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        if (c->shape)
            lode_i_shape_free(&c->shape[i]);
        if (c->R)
            lode_array_free(&c->R[i]);
    }
    lode_i_free(c->shape);
    lode_i_free(c->R);
    lode_i_free(c->scale);
    LODE_FREE(&c->sum, &c->trace);
}

/* sum += times rows_i R_i */
static lode_status add(lode_ctx *ctx, lode_i_consensus *c, int64_t i, double times)
{
    return lode_i_gemm_into(ctx, LODE_N, LODE_N, times * c->scale[i], &c->shape[i].rows, &c->R[i],
                            1, &c->sum);
}

lode_status lode_i_consensus_cross(lode_ctx *ctx, const lode_i_consensus *c, int64_t i,
                                   lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &c->shape[i].rows, &c->sum, M));
    LODE_TRY(lode_i_gram(ctx, LODE_H, &c->shape[i].rows, &G));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -c->scale[i], &G, &c->R[i], 1, M));
done:
    lode_array_free(&G);
    return st;
}

lode_status lode_i_consensus_gap(lode_ctx *ctx, lode_i_consensus *c)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, R = { 0 };
    double all = 0, off = 0;
    for (int64_t i = 0; i < c->count; i++) {
        double best = 0, trace = 0;
        lode_i_rotate o = c->rotate;
        o.broken = false;
        LODE_TRY(lode_i_consensus_cross(ctx, c, i, &M));
        LODE_TRY(lode_i_rotation(ctx, &o, &M, &R, NULL, &best));
        LODE_TRY(lode_i_trace_product(ctx, &M, &c->R[i], &trace));
        all += fabs(c->scale[i]) * best, off += fabs(c->scale[i]) * fabs(best - trace);
    }
    c->gap = all > 0 ? off / all : 0;
done:
    LODE_FREE(&M, &R);
    return st;
}

lode_status lode_i_consensus_objective(lode_ctx *ctx, const lode_i_consensus *c, double *value)
{
    double sum = 0, squares = 0;
    LODE_FORWARD(lode_i_norm_fro(ctx, &c->sum, &sum));
    for (int64_t i = 0; i < c->count; i++)
        squares += c->scale[i] * c->scale[i] * c->shape[i].norm * c->shape[i].norm;
    *value = squares > 0 ? fmax(0, 1 - sum / (double)c->count * sum / squares) : 0;
    return LODE_OK;
}

/* Scales of the least objective under sum scale^2 |rows|^2 fixed: of the leading eigenvector of the cosines between tables
 * (ten Berge 1977). */
static lode_status rescale(lode_ctx *ctx, lode_i_consensus *c)
{
    lode_status st = LODE_OK;
    const int64_t k = c->count, n = c->shape[0].rows.shape[0] * c->shape[0].rows.shape[1];
    lode_array flat = { 0 }, one = { 0 }, Y = { 0 }, to = { 0 }, G = { 0 }, w = { 0 }, V = { 0 };
    double squares = 0, sign = 0;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, k, n, &flat));
    for (int64_t i = 0; i < k; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &c->shape[i].rows, &c->R[i], &Y));
        LODE_TRY(lode_i_scale(ctx, c->shape[i].norm > 0 ? 1 / c->shape[i].norm : 0, &Y));
        LODE_TRY(lode_array_reshape(ctx, &Y, 2, (const int64_t[]){ 1, n }, &one));
        lode_array_free(&to);
        to = lode_i_rows(&flat, i, i + 1);
        LODE_TRY(lode_array_copy_into(ctx, &one, &to));
        squares += c->shape[i].norm * c->shape[i].norm;
    }
    LODE_TRY(lode_i_gram(ctx, LODE_N, &flat, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, 1, &w, &V));
    for (int64_t i = 0; i < k; i++)
        sign += lode_i_get2(&V, i, 0);
    LODE_TRY(lode_i_fill(ctx, &c->sum, 0));
    for (int64_t i = 0; i < k; i++) {
        c->scale[i] = (sign < 0 ? -1 : 1) * lode_i_get2(&V, i, 0) * sqrt(squares) /
                      c->shape[i].norm;
        LODE_TRY(add(ctx, c, i, 1));
    }
done:
    LODE_FREE(&flat, &one, &Y, &to, &G, &w, &V);
    return st;
}

/* Each table to the sum of the others in turn: none can raise the objective (Gower 1975; ten Berge 1977). */
static lode_status sweep(lode_ctx *ctx, lode_i_consensus *c, bool first)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 };
    double best = 0;
    for (int64_t i = first; i < c->count; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        if (first)
            LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &c->shape[i].rows, &c->sum, &M));
        else
            LODE_TRY(lode_i_consensus_cross(ctx, c, i, &M));
        if (!first)
            LODE_TRY(add(ctx, c, i, -1));
        LODE_TRY(lode_i_rotation(ctx, &c->rotate, &M, &c->R[i], NULL, &best));
        LODE_TRY(add(ctx, c, i, 1));
    }
done:
    lode_array_free(&M);
    return st;
}

/* A rotation of all is free: the first table stays as it is turned. */
static lode_status fix(lode_ctx *ctx, lode_i_consensus *c)
{
    lode_status st = LODE_OK;
    lode_array first = { 0 }, turned = { 0 };
    LODE_TRY(lode_array_cast(ctx, &c->R[0], LODE_F64, &first));
    for (int64_t i = 0; i < c->count; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &c->R[i], &first, &turned));
        lode_array_swap(&c->R[i], &turned);
    }
    LODE_TRY(lode_i_fill(ctx, &c->sum, 0));
    for (int64_t i = 0; i < c->count; i++)
        LODE_TRY(add(ctx, c, i, 1));
done:
    LODE_FREE(&first, &turned);
    return st;
}

lode_status lode_i_consensus_fit(lode_ctx *ctx, lode_i_consensus *c)
{
    lode_status st = LODE_OK;
    const int64_t p = c->shape[0].rows.shape[1];
    lode_i_iter it = { .op = "procrustes",
                       .what = "sum of squares",
                       .tol = c->o->tol,
                       .floor = 1e-15,
                       .max_iter = c->o->max_iter };
    double value = 0;
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, c->shape[0].rows.shape, &c->sum));
    for (int64_t i = 0; i < c->count; i++) {
        c->scale[i] = 1;
        LODE_TRY(lode_i_eye(ctx, LODE_F64, p, &c->R[i]));
    }
    LODE_TRY(add(ctx, c, 0, 1));
    LODE_TRY(sweep(ctx, c, true));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    while (!it.done) {
        LODE_TRY(sweep(ctx, c, false));
        if (c->o->scaling)
            LODE_TRY(rescale(ctx, c));
        LODE_TRY(lode_i_consensus_objective(ctx, c, &value));
        LODE_TRY(lode_i_iter_step(ctx, &it, value));
    }
    LODE_TRY(fix(ctx, c));
    LODE_TRY(lode_i_consensus_gap(ctx, c));
    LODE_TRY(lode_i_iter_end(ctx, &it, &c->trace));
done:
    lode_i_iter_free(&it);
    return st;
}
