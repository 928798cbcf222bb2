/* Bases in extended form: how they are turned, lengthened, formed and renewed. */
#include <math.h>

#include "linop/extended.h"

void lode_i_extended_free(lode_i_extended *x)
{
    LODE_FREE(&x->rows, &x->core, &x->gram);
    *x = (lode_i_extended){ 0 };
}

void lode_i_turned_free(lode_i_turned *t)
{
    LODE_FREE(&t->rows, &t->core, &t->gram, &t->index, &t->delta);
    *t = (lode_i_turned){ 0 };
}

void lode_i_block_free(lode_i_block *b)
{
    LODE_FREE(&b->csr, &b->index, &b->values);
    *b = (lode_i_block){ 0 };
}

void lode_i_augment_free(lode_i_augment *a)
{
    LODE_FREE(&a->C, &a->R, &a->pairs, &a->Q);
    *a = (lode_i_augment){ 0 };
}

int64_t lode_i_extended_rank(const lode_i_extended *x)
{
    return x->core.shape[1];
}

double lode_i_extended_limit(int64_t n, int64_t k)
{
    return 16 * lode_i_epsilon(LODE_F64) * sqrt((double)n + 64) * sqrt((double)lode_i_max(k, 1));
}

static void count(lode_i_turned *t, double products)
{
    t->flops += (lode_i_is_complex(t->core.dtype) ? 8 : 2) * products;
}

void lode_i_extended_commit(lode_ctx *ctx, lode_i_extended *x, lode_i_turned *t)
{
    x->n = t->n, x->drift = t->drift, x->renewals += t->renewals, x->flops += t->flops;
    if (t->rows.data)
        lode_array_swap(&x->rows, &t->rows);
    else /* shapes are those it was made ready for */
        (void)lode_i_add_rows(ctx, &t->delta, &t->index, &x->rows);
    lode_array_swap(&x->core, &t->core);
    lode_array_swap(&x->gram, &t->gram);
    lode_i_turned_free(t);
}

/* ||C^H (P^H P) C - I|| */
static lode_status measure(lode_ctx *ctx, lode_i_turned *t)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, h = { 0 }, eye = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &t->gram, &t->core, &a));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &t->core, &a, &h));
    LODE_TRY(lode_i_eye(ctx, h.dtype, h.shape[0], &eye));
    LODE_TRY(lode_i_diff_fro(ctx, &h, &eye, &t->drift));
    count(t, 2 * (double)a.shape[0] * (double)a.shape[0] * (double)h.shape[0]);
done:
    LODE_FREE(&a, &h, &eye);
    return st;
}

lode_status lode_i_extended_replace(lode_ctx *ctx, const lode_i_extended *x, lode_array *X,
                                    lode_i_turned *t)
{
    LODE_FORWARD(lode_i_eye(ctx, X->dtype, X->shape[1], &t->core));
    t->n = X->shape[0];
    if (!x->plain) { /* which has no need of it */
        LODE_FORWARD(lode_i_gram(ctx, LODE_H, X, &t->gram));
        count(t, (double)t->n * (double)X->shape[1] * (double)X->shape[1]);
        LODE_FORWARD(measure(ctx, t));
    }
    lode_array_swap(&t->rows, X);
    return LODE_OK;
}

lode_status lode_i_extended_start(lode_ctx *ctx, const lode_array *X, lode_dtype dtype,
                                  lode_i_extended *x)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 };
    lode_i_turned t = { 0 };
    LODE_TRY(lode_array_cast(ctx, X, dtype, &rows));
    LODE_TRY(lode_i_extended_replace(ctx, x, &rows, &t));
    lode_i_extended_commit(ctx, x, &t);
    x->flops = 0;
done:
    lode_i_turned_free(&t);
    LODE_FREE(&rows);
    return st;
}

lode_status lode_i_extended_form(lode_ctx *ctx, const lode_i_extended *x, lode_dtype dtype,
                                 lode_array *X)
{
    lode_status st = LODE_OK;
    lode_array used = lode_i_rows(&x->rows, 0, x->n), y = { 0 }, cast = { 0 };
    LODE_TRY(x->plain ? lode_array_cast(ctx, &used, used.dtype, &y)
                      : lode_i_gemm(ctx, LODE_N, LODE_N, &used, &x->core, &y));
    if (dtype != y.dtype) {
        LODE_TRY(lode_array_cast(ctx, &y, dtype, &cast));
        lode_array_swap(&y, &cast);
    }
    lode_array_swap(X, &y);
done:
    LODE_FREE(&used, &y, &cast);
    return st;
}

lode_status lode_i_extended_renew(lode_ctx *ctx, const lode_i_extended *x, lode_array *R,
                                  lode_i_turned *t)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Q = { 0 }, r = { 0 };
    LODE_TRY(lode_i_extended_form(ctx, x, x->core.dtype, &X));
    LODE_TRY(lode_i_qr(ctx, &X, &Q, &r));
    LODE_TRY(lode_i_extended_replace(ctx, x, &Q, t));
    count(t, (double)x->n * (double)r.shape[1] * (double)(2 * r.shape[1] + x->core.shape[0]));
    lode_array_swap(R, &r);
    t->renewals = 1;
done:
    LODE_FREE(&X, &Q, &r);
    return st;
}

lode_status lode_i_block_from(lode_ctx *ctx, lode_sparse *csr, lode_array *dense, lode_i_block *b)
{
    lode_i_block local = { 0 };
    if (csr) {
        LODE_FORWARD(lode_i_csr_compact(ctx, csr, &local.index, &local.values));
        local.csr = *csr, *csr = (lode_sparse){ 0 };
        local.s = local.csr.shape[0], local.n = local.csr.shape[1];
    } else {
        lode_array_swap(&local.values, dense);
        local.s = local.values.shape[0], local.n = local.values.shape[1];
    }
    lode_i_block_free(b);
    *b = local;
    return LODE_OK;
}

/* ---- turning ---- */

/* Room for n rows, those that come zero. Half as many more than there are, so that copies of them all
 * stay few. */
static lode_status lengthen(lode_ctx *ctx, lode_i_extended *x, int64_t n)
{
    lode_status st = LODE_OK;
    lode_array more = { 0 }, from = { 0 }, to = { 0 };
    if (n <= x->rows.shape[0])
        return LODE_OK;
    LODE_TRY(lode_array_zeros(ctx, x->rows.dtype, 2,
                              (const int64_t[]){ n + n / 2, x->rows.shape[1] }, &more));
    from = lode_i_rows(&x->rows, 0, x->n), to = lode_i_rows(&more, 0, x->n);
    LODE_TRY(lode_array_copy_into(ctx, &from, &to));
    lode_array_swap(&x->rows, &more);
done:
    LODE_FREE(&more, &from, &to);
    return st;
}

/* Q R^-H of C = Q R, which is the adjoint of a left inverse; and ||C|| ||C^+||. */
static lode_status inverse(lode_ctx *ctx, const lode_array *C, lode_array *inv, double *condition)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, r = { 0 }, l = { 0 }, view = { 0 }, eye = { 0 }, s = { 0 };
    double a = 0, b = 0;
    *condition = INFINITY;
    LODE_TRY(lode_i_qr(ctx, C, &q, &r));
    for (int64_t i = 0; i < r.shape[0]; i++)
        if (!(lode_i_get2(&r, i, i) > 0))
            goto done;
    LODE_TRY(lode_i_conj(ctx, &r));
    view = lode_i_transposed(&r);
    LODE_TRY(lode_array_cast(ctx, &view, r.dtype, &l));
    LODE_TRY(lode_i_eye(ctx, l.dtype, l.shape[0], &eye));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &l, &eye, &s)); /* R^-H */
    LODE_TRY(lode_i_norm_fro(ctx, &l, &a));
    LODE_TRY(lode_i_norm_fro(ctx, &s, &b));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q, &s, inv));
    *condition = isfinite(a * b) ? a * b : INFINITY;
done:
    LODE_FREE(&q, &r, &l, &view, &eye, &s);
    return st;
}

/* P C formed, and Z added at its places: the core starts from the identity again. */
static lode_status formed(lode_ctx *ctx, const lode_i_extended *x, int64_t n,
                          const lode_array *core, const lode_array *index, const lode_array *Z,
                          lode_i_turned *t)
{
    lode_status st = LODE_OK;
    lode_array used = lode_i_rows(&x->rows, 0, n), y = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &used, core, &y));
    LODE_TRY(index->data ? lode_i_add_rows(ctx, Z, index, &y) : lode_i_axpy(ctx, 1, Z, &y));
    LODE_TRY(lode_i_extended_replace(ctx, x, &y, t));
    count(t, (double)n * (double)core->shape[0] * (double)core->shape[1]);
    t->renewals = x->plain ? 0 : 1;
done:
    LODE_FREE(&used, &y);
    return st;
}

/* The Gram matrix after rows at these places change, as they will be stored. */
static lode_status follow(lode_ctx *ctx, const lode_i_extended *x, int64_t n, lode_i_turned *t)
{
    lode_status st = LODE_OK;
    lode_array used = lode_i_rows(&x->rows, 0, n), before = { 0 }, now = { 0 };
    LODE_TRY(lode_i_take(ctx, &used, 0, &t->index, &before));
    LODE_TRY(lode_array_cast(ctx, &before, before.dtype, &now));
    LODE_TRY(lode_i_axpy(ctx, 1, &t->delta, &now));
    LODE_TRY(lode_array_cast(ctx, &x->gram, x->gram.dtype, &t->gram));
    if (now.shape[0] > 0) {
        LODE_TRY(lode_i_gemm_into(ctx, LODE_H, LODE_N, 1, &now, &now, 1, &t->gram));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_H, LODE_N, -1, &before, &before, 1, &t->gram));
    }
done:
    LODE_FREE(&used, &before, &now);
    return st;
}

/* X becomes X W + Z at places. P C W + Z = (P + Z (C W)^+) (C W), so that rows of P change only where Z
 * has some. Rounding of that grows with the condition of C W, and so does that of the Gram matrix: where
 * it would hide a drift of a quarter of the limit, or so many rows change that it costs as much, the
 * basis is formed. */
static lode_status turn(lode_ctx *ctx, const lode_i_extended *x, int64_t n, const lode_array *W,
                        const lode_array *index, const lode_array *Z, lode_i_turned *t)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 }, inv = { 0 };
    const int64_t K = x->core.shape[0], k = W->shape[1], p = Z->shape[0];
    double condition = 0;
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x->core, W, &core));
    bool form = x->plain || !index->data || k > K || 3 * p > n;
    if (!form) {
        LODE_TRY(inverse(ctx, &core, &inv, &condition));
        form = !(lode_i_epsilon(core.dtype) * condition * condition / (double)lode_i_max(k, 1) <=
                 lode_i_extended_limit(n, k) / 4);
    }
    if (form) {
        LODE_TRY(formed(ctx, x, n, &core, index, Z, t));
        goto done;
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, Z, &inv, &t->delta));
    t->index = lode_array_ref(index);
    t->n = n;
    lode_array_swap(&t->core, &core);
    LODE_TRY(follow(ctx, x, n, t));
    count(t, (double)p * (double)K * (double)(k + 2 * K) + 6 * (double)K * (double)k * (double)k);
    LODE_TRY(measure(ctx, t));
done:
    LODE_FREE(&core, &inv);
    return st;
}

/* [X Q] G of a plain basis */
static lode_status turn_plain(lode_ctx *ctx, const lode_i_extended *x, const lode_array *Q,
                              const lode_array *G, lode_i_turned *t)
{
    lode_status st = LODE_OK;
    const int64_t k = x->core.shape[1];
    lode_array g1 = lode_i_rows(G, 0, k), g2 = lode_i_rows(G, k, G->shape[0]), y = { 0 };
    lode_array used = lode_i_rows(&x->rows, 0, x->n);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &used, &g1, &y));
    if (Q->shape[1] > 0)
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, Q, &g2, 1, &y));
    LODE_TRY(lode_i_extended_replace(ctx, x, &y, t));
    count(t, (double)x->n * (double)G->shape[0] * (double)G->shape[1]);
done:
    LODE_FREE(&g1, &g2, &y, &used);
    return st;
}

lode_status lode_i_extended_turn(lode_ctx *ctx, const lode_i_extended *x, const lode_i_block *b,
                                 const lode_i_augment *a, const lode_array *G, lode_i_turned *t)
{
    lode_status st = LODE_OK;
    if (x->plain)
        return turn_plain(ctx, x, &a->Q, G, t);
    const int64_t k = x->core.shape[1], p = b->values.shape[1], q = a->pairs.shape[0];
    lode_array g1 = lode_i_rows(G, 0, k), g2 = lode_i_rows(G, k, G->shape[0]), W = { 0 }, Z = { 0 };
    lode_array bq = lode_i_cols(&a->pairs, 0, p), cq = lode_i_cols(&a->pairs, p, p + k);
    LODE_TRY(lode_array_cast(ctx, &g1, g1.dtype, &W));
    if (q > 0)
        LODE_TRY(lode_i_gemm_into(ctx, LODE_H, LODE_N, -1, &cq, &g2, 1, &W));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &bq, &g2, &Z));
    LODE_TRY(turn(ctx, x, x->n, &W, &b->index, &Z, t));
    count(t, (double)(p + k) * (double)q * (double)G->shape[1]);
done:
    LODE_FREE(&g1, &g2, &W, &Z, &bq, &cq);
    return st;
}

lode_status lode_i_extended_append(lode_ctx *ctx, lode_i_extended *x, const lode_array *F,
                                   lode_i_turned *t)
{
    lode_status st = LODE_OK;
    const int64_t k = x->core.shape[1], grow = F->shape[0] - k;
    lode_array f1 = lode_i_rows(F, 0, k), f2 = lode_i_rows(F, k, F->shape[0]), W = { 0 }, Z = { 0 },
               index = { 0 };
    LODE_TRY(lode_array_cast(ctx, &f1, f1.dtype, &W));
    LODE_TRY(lode_array_cast(ctx, &f2, f2.dtype, &Z));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, grow, &index));
    for (int64_t i = 0; i < grow; i++)
        lode_i_set1(&index, i, (double)(x->n + i));
    LODE_TRY(lengthen(ctx, x, x->n + grow));
    LODE_TRY(turn(ctx, x, x->n + grow, &W, &index, &Z, t));
done:
    LODE_FREE(&f1, &f2, &W, &Z, &index);
    return st;
}
