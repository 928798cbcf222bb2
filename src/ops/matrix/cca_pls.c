/* Partial least squares of a reduced pair: SIMPLS (de Jong 1993), PLS2 by deflation, and the symmetric one by a
 * singular value decomposition. All take weights from leading singular vectors, which NIPALS iterates for. */
#include <math.h>

#include "ops/matrix/cca.h"

/* Columns so far, k of them at most. */
typedef struct columns {
    lode_array W, P, V, Q, R; /* p x most, V an orthonormal basis of P's; Q: q x most */
    double *value;
    double least; /* shortest score of a weight of length 1 */
} columns;

static void free_columns(columns *c)
{
    LODE_FREE(&c->W, &c->P, &c->V, &c->Q, &c->R);
    lode_i_free(c->value);
}

lode_status lode_i_cca_put(lode_ctx *ctx, const lode_array *x, int64_t a, lode_array *to)
{
    lode_array column = lode_i_cols(to, a, a + 1);
    const lode_status st = lode_array_copy_into(ctx, x, &column);
    lode_array_free(&column);
    return st;
}

/* x -= B (B^T x) over the first a columns, twice: once leaves rounding. */
static lode_status clear(lode_ctx *ctx, const lode_array *basis, int64_t a, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array B = lode_i_cols(basis, 0, a), c = { 0 };
    for (int i = 0; i < 2 && a > 0; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &B, x, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &B, &c, 1, x));
    }
done:
    LODE_FREE(&B, &c);
    return st;
}

static lode_status keep(lode_ctx *ctx, lode_array *x, int64_t k)
{
    lode_status st = LODE_OK;
    lode_array part = lode_i_cols(x, 0, k), own = { 0 };
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &own));
    lode_array_swap(x, &own);
done:
    LODE_FREE(&part, &own);
    return st;
}

/* t = M w, p = M^T t, q = Y^T t, with t and w scaled so that t has length 1. false: t is nothing. */
static lode_status score(lode_ctx *ctx, const lode_i_cca_pair *pair, lode_array *w, lode_array *t,
                         lode_array *p, lode_array *q, double least, double *shortest, bool *any)
{
    double length = 0, weight = 0;
    LODE_FORWARD(lode_i_norm_fro(ctx, w, &weight));
    LODE_FORWARD(lode_i_gemm(ctx, LODE_N, LODE_N, &pair->M[0], w, t));
    LODE_FORWARD(lode_i_norm_fro(ctx, t, &length));
    *any = length > least * weight;
    if (!*any)
        return LODE_OK;
    *shortest = fmin(*shortest, length / weight);
    LODE_FORWARD(lode_i_scale(ctx, 1 / length, t));
    LODE_FORWARD(lode_i_scale(ctx, 1 / length, w));
    LODE_FORWARD(lode_i_gemm(ctx, LODE_T, LODE_N, &pair->M[0], t, p));
    return lode_i_gemm(ctx, LODE_T, LODE_N, &pair->M[1], t, q);
}

/* Cross-products S = X^T Y, deflated by the span of loadings; weights are for X itself. pls2: weights are of the
 * deflated X, so that those for X itself are R with P^T R upper triangular: w less its parts in them. */
static lode_status regress(lode_ctx *ctx, const lode_i_cca_task *task, const lode_i_cca_pair *pair,
                           columns *c, int64_t *found)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, w = { 0 }, s = { 0 }, t = { 0 }, p = { 0 }, q = { 0 }, row = { 0 },
               x = { 0 }, y = { 0 }, part = { 0 };
    double size = 0, length = 0;
    bool any = true;
    const bool pls2 = task->method == LODE_CCA_NIPALS;
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &pair->M[0], &pair->M[1], &S));
    LODE_TRY(lode_i_norm_fro(ctx, &pair->M[0], &size));
    double first = -1;
    for (*found = 0; *found < task->most; (*found)++) {
        const int64_t a = *found;
        LODE_TRY(lode_i_tick(ctx, a, task->most));
        LODE_TRY(lode_i_svd(ctx, &S, 1, &w, &s, NULL));
        const double top = s.shape[0] > 0 ? lode_i_get1(&s, 0) : 0;
        first = first < 0 ? top : first;
        if (!(top > task->cutoff[0] * first) || !(top > 0))
            break;
        if (pls2) { /* r = w - R (P^T w) */
            lode_array_free(&part);
            part = lode_i_cols(&c->P, 0, a);
            if (a > 0) {
                LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &part, &w, &x));
                lode_array_free(&part);
                part = lode_i_cols(&c->W, 0, a);
                LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &part, &x, 1, &w));
            }
        }
        LODE_TRY(score(ctx, pair, &w, &t, &p, &q, task->cutoff[0] * size, &c->least, &any));
        if (!any)
            break;
        LODE_TRY(lode_i_cca_put(ctx, &w, a, &c->W));
        LODE_TRY(lode_i_cca_put(ctx, &p, a, &c->P));
        LODE_TRY(lode_i_cca_put(ctx, &q, a, &c->Q));
        LODE_TRY(lode_i_norm_fro(ctx, &q, &length));
        c->value[a] = length;
        if (pls2) { /* (X - t p^T)^T (Y - t q^T) = S - p q^T, as t has length 1 */
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &p, &q, 1, &S));
            continue;
        }
        LODE_TRY(clear(ctx, &c->V, a, &p));
        LODE_TRY(lode_i_norm_fro(ctx, &p, &length));
        LODE_TRY(lode_i_scale(ctx, length > 0 ? 1 / length : 0, &p));
        LODE_TRY(lode_i_cca_put(ctx, &p, a, &c->V));
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &p, &S, &row));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &p, &row, 1, &S));
    }
done:
    LODE_FREE(&S, &w, &s, &t, &p, &q, &row, &x, &y, &part);
    return st;
}

/* Scores of variance 1, weights of Y of length 1. */
static lode_status give(lode_ctx *ctx, columns *c, int64_t k, double freedom, lode_i_cca_fit *f)
{
    lode_status st = LODE_OK;
    LODE_TRY(keep(ctx, &c->W, k));
    LODE_TRY(keep(ctx, &c->Q, k));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &f->values));
    LODE_TRY(lode_i_scale(ctx, sqrt(freedom), &c->W));
    LODE_TRY(lode_i_scale(ctx, 1 / sqrt(freedom), &c->Q));
    LODE_TRY(lode_array_cast(ctx, &c->Q, LODE_F64, &f->W[1]));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &c->R));
    for (int64_t a = 0; a < k; a++) {
        const double length = c->value[a] / sqrt(freedom);
        lode_i_set1(&f->values, a, length);
        lode_i_set1(&c->R, a, length > 0 ? 1 / length : 0);
    }
    LODE_TRY(lode_i_scale_cols(ctx, &f->W[1], &c->R));
    lode_array_swap(&f->W[0], &c->W);
    lode_array_swap(&f->Q, &c->Q);
done:
    return st;
}

static lode_status regression(lode_ctx *ctx, const lode_i_cca_task *task,
                              const lode_i_cca_pair *pair, lode_i_cca_fit *f)
{
    lode_status st = LODE_OK;
    columns c = { .value = NULL, .least = INFINITY };
    int64_t found = 0;
    const int64_t p = pair->M[0].shape[1], q = pair->M[1].shape[1];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(task->most, 1), &c.value));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, p, task->most, &c.W));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, p, task->most, &c.P));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, p, task->most, &c.V));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, q, task->most, &c.Q));
    LODE_TRY(regress(ctx, task, pair, &c, &found));
    double size = 0;
    LODE_TRY(lode_i_norm_fro(ctx, &pair->M[0], &size));
    f->condition = found > 0 ? size / c.least : 1;
    LODE_TRY(give(ctx, &c, found, fmax(pair->mass - 1, 1), f));
done:
    free_columns(&c);
    return st;
}

static lode_status symmetric(lode_ctx *ctx, const lode_i_cca_task *task,
                             const lode_i_cca_pair *pair, lode_i_cca_fit *f)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &pair->M[0], &pair->M[1], &S));
    LODE_TRY(lode_i_scale(ctx, 1 / fmax(pair->mass - 1, 1), &S));
    LODE_TRY(
        lode_i_svd(ctx, &S, lode_i_min(S.shape[0], S.shape[1]), &f->W[0], &f->values, &f->W[1]));
    int64_t k = 0;
    const double top = f->values.shape[0] > 0 ? lode_i_get1(&f->values, 0) : 0;
    while (k < lode_i_min(task->most, f->values.shape[0]) &&
           lode_i_get1(&f->values, k) > task->cutoff[0] * top)
        k++;
    for (int i = 0; i < 2; i++)
        LODE_TRY(keep(ctx, &f->W[i], k));
done:
    lode_array_free(&S);
    return st;
}

lode_status lode_i_cca_pls(lode_ctx *ctx, const lode_i_cca_task *task, const lode_i_cca_pair *pair,
                           lode_i_cca_fit *f)
{
    return task->method == LODE_CCA_PLS_SVD ? symmetric(ctx, task, pair, f)
                                            : regression(ctx, task, pair, f);
}
