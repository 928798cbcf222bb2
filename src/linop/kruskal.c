/* Sums of outer products: normal form, boxes, norms, and their members in a bundle. */
#include "linop/kruskal.h"

#include <math.h>
#include <string.h>

void lode_i_kruskal_free(lode_i_kruskal *m)
{
    LODE_FREE(&m->scale);
    for (int i = 0; i < m->ndim; i++)
        LODE_FREE(&m->factor[i]);
    *m = (lode_i_kruskal){ 0 };
}

/* ---- normal form ---- */

static double column_norm(const lode_array *A, int64_t c)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < A->shape[0]; i++)
        most = fmax(most, fabs(lode_i_get2(A, i, c)));
    if (!(most > 0))
        return 0;
    for (int64_t i = 0; i < A->shape[0]; i++)
        sum += pow(lode_i_get2(A, i, c) / most, 2);
    return most * sqrt(sum);
}

/* Whether the first entry that is largest in size is negative. */
static bool points_down(const lode_array *A, int64_t c)
{
    double most = 0;
    bool down = false;
    for (int64_t i = 0; i < A->shape[0]; i++) {
        const double v = lode_i_get2(A, i, c);
        if (fabs(v) > most)
            most = fabs(v), down = v < 0;
    }
    return down;
}

/* Scales of one column: its length in each factor, sign moved to the last. */
static void column_scales(const lode_i_kruskal *m, int64_t c, double *by, double *scale)
{
    bool flip = *scale < 0;
    *scale = fabs(*scale);
    for (int i = 0; i < m->ndim; i++) {
        const lode_array *A = &m->factor[i];
        const double norm = column_norm(A, c);
        const bool down = i < m->ndim - 1 ? points_down(A, c) : flip;
        flip = i < m->ndim - 1 ? flip != down : false;
        *scale *= norm;
        by[i] = norm > 0 ? (down ? -1 : 1) / norm : 0;
    }
}

/* A = A diag(by) with its columns in the order given: new. */
static lode_status reorder(lode_ctx *ctx, lode_array *A, const int64_t *order, const double *by,
                           int stride)
{
    lode_array Y = { 0 };
    LODE_FORWARD(lode_i_matrix_new(ctx, A->dtype, A->shape[0], A->shape[1], &Y));
    for (int64_t i = 0; i < A->shape[0]; i++)
        for (int64_t c = 0; c < A->shape[1]; c++)
            lode_i_set2(&Y, i, c, lode_i_get2(A, i, order[c]) * by[order[c] * stride]);
    lode_array_swap(A, &Y);
    LODE_FREE(&Y);
    return LODE_OK;
}

lode_status lode_i_kruskal_normalize(lode_ctx *ctx, lode_i_kruskal *m)
{
    lode_status st = LODE_OK;
    double *by = NULL, *scale = NULL;
    int64_t *order = NULL;
    lode_array s = { 0 };
    const int64_t k = m->k;
    LODE_TRY(LODE_NEW(ctx, k * m->ndim, &by));
    LODE_TRY(LODE_NEW(ctx, k, &scale));
    LODE_TRY(LODE_NEW(ctx, k, &order));
    for (int64_t c = 0; c < k; c++) {
        scale[c] = m->scale.data ? lode_i_get1(&m->scale, c) : 1;
        column_scales(m, c, by + c * m->ndim, &scale[c]);
        int64_t at = c; /* insertion: k is small, and equal scales keep their order */
        for (; at > 0 && scale[order[at - 1]] < scale[c]; at--)
            order[at] = order[at - 1];
        order[at] = c;
    }
    for (int i = 0; i < m->ndim; i++)
        LODE_TRY(reorder(ctx, &m->factor[i], order, by + i, m->ndim));
    LODE_TRY(lode_i_vector_new(ctx, m->factor[0].dtype, k, &s));
    for (int64_t c = 0; c < k; c++)
        lode_i_set1(&s, c, scale[order[c]]);
    lode_array_swap(&m->scale, &s);
done:
    lode_i_free(by);
    lode_i_free(scale);
    lode_i_free(order);
    LODE_FREE(&s);
    return st;
}

/* A_0 diag(scale) A_1^T = Q_0 (R_0 diag(scale) R_1^T) Q_1^T */
lode_status lode_i_kruskal_orthogonalize(lode_ctx *ctx, lode_i_kruskal *m)
{
    lode_status st = LODE_OK;
    lode_array Q[2] = { { 0 } }, R[2] = { { 0 } }, M = { 0 }, U = { 0 }, s = { 0 }, V = { 0 },
               Y[2] = { { 0 } };
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_i_qr(ctx, &m->factor[i], &Q[i], &R[i]));
    if (m->scale.data)
        LODE_TRY(lode_i_scale_cols(ctx, &R[0], &m->scale));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &R[0], &R[1], &M));
    LODE_TRY(lode_i_svd(ctx, &M, m->k, &U, &s, &V));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q[0], &U, &Y[0]));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q[1], &V, &Y[1]));
    LODE_TRY(lode_i_canonical_signs(ctx, &Y[0], &Y[1]));
    lode_array_swap(&m->factor[0], &Y[0]);
    lode_array_swap(&m->factor[1], &Y[1]);
    lode_array_swap(&m->scale, &s);
done:
    for (int i = 0; i < 2; i++)
        LODE_FREE(&Q[i], &R[i], &Y[i]);
    LODE_FREE(&M, &U, &s, &V);
    return st;
}

/* ---- boxes ---- */

/* Rows of the factors, Khatri-Rao multiplied: modes from .. to - 1, the first slowest. */
static lode_status side(lode_ctx *ctx, const lode_i_kruskal *m, const int64_t *start,
                        const int64_t *count, int from, int to, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array rows[LODE_MAX_NDIM] = { { 0 } };
    for (int i = from; i < to; i++)
        rows[i - from] = lode_i_rows(&m->factor[i], start ? start[i] : 0,
                                     start ? start[i] + count[i] : m->factor[i].shape[0]);
    LODE_TRY(lode_i_khatri_rao(ctx, rows, to - from, out));
done:
    for (int i = from; i < to; i++)
        LODE_FREE(&rows[i - from]);
    return st;
}

lode_status lode_i_kruskal_expand(lode_ctx *ctx, const lode_i_kruskal *m, const int64_t *start,
                                  const int64_t *count, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 }, flat = { 0 };
    int64_t shape[LODE_MAX_NDIM], rows = 1, cols = 1;
    int split = 1; /* the two sides about as long as each other: one product of matrices */
    for (int i = 0; i < m->ndim; i++)
        shape[i] = start ? count[i] : m->factor[i].shape[0];
    for (int i = 0; i < m->ndim; i++)
        cols *= shape[i];
    for (int i = 0; i < m->ndim - 1 && shape[i] > 0 && (i == 0 || rows * rows < cols); i++)
        split = i + 1, rows *= shape[i];
    LODE_TRY(side(ctx, m, start, count, 0, split, &L));
    LODE_TRY(side(ctx, m, start, count, split, m->ndim, &R));
    if (m->scale.data)
        LODE_TRY(lode_i_scale_cols(ctx, &L, &m->scale));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &L, &R, &flat));
    LODE_TRY(lode_array_reshape(ctx, &flat, m->ndim, shape, out));
done:
    LODE_FREE(&L, &R, &flat);
    return st;
}

lode_status lode_i_kruskal_norm(lode_ctx *ctx, const lode_i_kruskal *m, double *norm)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, wide = { 0 };
    double *all = NULL, sum = 0;
    const int64_t k = m->k;
    LODE_TRY(LODE_NEW(ctx, k * k, &all));
    for (int64_t e = 0; e < k * k; e++)
        all[e] = m->scale.data ? lode_i_get1(&m->scale, e / k) * lode_i_get1(&m->scale, e % k) : 1;
    for (int i = 0; i < m->ndim; i++) {
        LODE_TRY(lode_i_as(ctx, &m->factor[i], LODE_F64, &wide));
        LODE_TRY(lode_i_gram(ctx, LODE_T, &wide, &G));
        for (int64_t e = 0; e < k * k; e++)
            all[e] *= lode_i_get2(&G, e / k, e % k);
        LODE_FREE(&wide, &G);
    }
    for (int64_t e = 0; e < k * k; e++)
        sum += all[e];
    *norm = sqrt(fmax(sum, 0));
done:
    lode_i_free(all);
    LODE_FREE(&G, &wide);
    return st;
}

/* ---- members ---- */

lode_status lode_i_kruskal_read(lode_ctx *ctx, const char *op, const lode_bundle *b,
                                lode_i_kruskal *m)
{
    char name[24];
    const lode_array *s;
    *m = (lode_i_kruskal){ 0 };
    LODE_FORWARD(lode_bundle_array(ctx, b, "s", &s));
    bool fits = b->meta.has_shape && b->meta.ndim >= 2 && s->ndim == 1 &&
                s->dtype == b->meta.dtype && lode_i_arith(s->dtype) == s->dtype;
    for (int i = 0; fits && i < b->meta.ndim; i++) {
        const lode_array *A;
        snprintf(name, sizeof name, "factor.%d", i);
        LODE_FORWARD(lode_bundle_array(ctx, b, name, &A));
        fits = A->ndim == 2 && A->shape[0] == b->meta.shape[i] && A->shape[1] == s->shape[0] &&
               A->dtype == s->dtype;
        m->factor[i] = *A;
        m->factor[i].owner = NULL; /* borrowed: the bundle outlives the verb */
    }
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: the members of this model do not fit together; fit it again", op);
    m->scale = *s;
    m->scale.owner = NULL;
    m->ndim = b->meta.ndim;
    m->k = s->shape[0];
    return LODE_OK;
}

lode_status lode_i_kruskal_give(lode_ctx *ctx, lode_i_kruskal *m, lode_bundle *b)
{
    char name[24];
    b->meta.has_shape = true, b->meta.dtype = m->factor[0].dtype, b->meta.ndim = m->ndim;
    for (int i = 0; i < m->ndim; i++)
        b->meta.shape[i] = m->factor[i].shape[0];
    LODE_FORWARD(lode_bundle_add_array(ctx, b, "s", &m->scale));
    for (int i = 0; i < m->ndim; i++) {
        snprintf(name, sizeof name, "factor.%d", i);
        LODE_FORWARD(lode_bundle_add_array(ctx, b, name, &m->factor[i]));
    }
    return LODE_OK;
}

lode_status lode_i_kruskal_check(lode_ctx *ctx, const char *op, const lode_i_kruskal *m)
{
    const double slack = 100 * lode_i_epsilon(m->scale.dtype);
    for (int64_t c = 0; c < m->k; c++) {
        const double s = lode_i_get1(&m->scale, c);
        if (!(s >= 0) || (c > 0 && !(s <= lode_i_get1(&m->scale, c - 1) * (1 + slack))))
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "%s: s[%" PRId64 "] is %g; scales descend and are not negative", op,
                               c, s);
        for (int i = 0; i < m->ndim; i++) {
            const double norm = column_norm(&m->factor[i], c);
            if (!(fabs(norm - 1) <= slack * sqrt((double)m->factor[i].shape[0])) &&
                !(s <= 0 && norm <= 0))
                return lode_i_fail(ctx, LODE_EVERIFY,
                                   "%s: column %" PRId64 " of factor.%d has length %.9g, not 1", op,
                                   c, i, norm);
        }
    }
    return LODE_OK;
}
