/* Blocks of lobpcg made orthonormal in the inner product of B: by Cholesky, or by the eigenvectors of a Gram matrix
 * that is nearly singular. */
#include "iter/lobpcg_basis.h"

#include <math.h>

/* X = X M, M in wide arithmetic, new columns as many as M has. */
static lode_status turn(lode_ctx *ctx, const lode_array *M, lode_array *X)
{
    lode_status st = LODE_OK;
    lode_array narrow = { 0 }, y = { 0 };
    LODE_TRY(lode_array_cast(ctx, M, X->dtype, &narrow));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, X, &narrow, &y));
    lode_array_swap(X, &y);
done:
    LODE_FREE(&narrow, &y);
    return st;
}

lode_status lode_i_lobpcg_gram(lode_ctx *ctx, const lobpcg *s, const lode_array *X,
                               const lode_array *Y, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array g = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, X, Y, &g));
    LODE_TRY(lode_array_cast(ctx, &g, s->wide, G));
    LODE_TRY(lode_i_hermitize(ctx, G));
done:
    LODE_FREE(&g);
    return st;
}

/* ---- orthonormal blocks ---- */

/* M with M^H G M = I: the inverse of G's factor, or, where G is nearly singular, its larger eigenvectors. */
static lode_status whiten(lode_ctx *ctx, const lobpcg *s, const lode_array *G, lode_array *M)
{
    lode_status st = LODE_OK;
    const int64_t q = G->shape[0];
    const double eps = lode_i_epsilon(s->dtype);
    lode_array L = { 0 }, eye = { 0 }, w = { 0 }, U = { 0 }, some = { 0 };
    double shift = 0, least = INFINITY;
    LODE_TRY(lode_i_cholesky(ctx, G, &L, &shift));
    for (int64_t i = 0; i < q; i++)
        least = fmin(least, lode_i_get2(&L, i, i));
    if (!(shift > 0) && least * least > 1e3 * eps) {
        LODE_TRY(lode_i_eye(ctx, s->wide, q, &eye));
        LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &eye, M));
        goto done;
    }
    LODE_TRY(lode_i_eigh(ctx, G, q, &w, &U));
    int64_t keep = 0;
    while (keep < q && lode_i_get1(&w, keep) > 1e2 * eps * lode_i_get1(&w, 0))
        keep++;
    for (int64_t i = 0; i < keep; i++)
        lode_i_set1(&w, i, 1 / sqrt(lode_i_get1(&w, i)));
    for (int64_t i = keep; i < q; i++)
        lode_i_set1(&w, i, 0);
    LODE_TRY(lode_i_scale_cols(ctx, &U, &w));
    some = lode_i_cols(&U, 0, keep);
    LODE_TRY(lode_array_cast(ctx, &some, s->wide, M));
done:
    LODE_FREE(&L, &eye, &w, &U, &some);
    return st;
}

static lode_status drop(lode_ctx *ctx, const lode_array *index, lode_array *W, lode_array *BW)
{
    lode_status st = LODE_OK;
    lode_array kept = { 0 };
    LODE_TRY(lode_i_take(ctx, W, 1, index, &kept));
    lode_array_swap(W, &kept);
    if (BW) {
        LODE_TRY(lode_i_take(ctx, BW, 1, index, &kept));
        lode_array_swap(BW, &kept);
    }
done:
    LODE_FREE(&kept);
    return st;
}

lode_status lode_i_lobpcg_normalize(lode_ctx *ctx, const lobpcg *s, double least, lode_array *W,
                                    lode_array *BW)
{
    lode_status st = LODE_OK;
    const int64_t q = W->shape[1];
    lode_array G = { 0 }, index = { 0 }, cut = { 0 }, scale = { 0 };
    int64_t kept = 0;
    LODE_TRY(lode_i_lobpcg_gram(ctx, s, W, s->B ? BW : W, &G));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, q, &index));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, q, &scale));
    for (int64_t j = 0; j < q; j++) {
        const double d = lode_i_get2(&G, j, j);
        LODE_REQUIRE(!(d < 0) || !s->B || least > 0, LODE_EDOMAIN,
                     "B is not positive definite: x^H B x is %.6g for an x of the iteration", d);
        if (d > least * least) {
            lode_i_set1(&scale, kept, 1 / sqrt(d));
            lode_i_set1(&index, kept++, (double)j);
        }
    }
    if (kept < q) {
        LODE_TRY(lode_array_slice(ctx, &index, 0, 0, kept, 1, &cut));
        LODE_TRY(drop(ctx, &cut, W, s->B ? BW : NULL));
        LODE_FREE(&cut);
    }
    LODE_TRY(lode_array_slice(ctx, &scale, 0, 0, kept, 1, &cut));
    LODE_TRY(lode_i_scale_cols(ctx, W, &cut));
    if (s->B)
        LODE_TRY(lode_i_scale_cols(ctx, BW, &cut));
done:
    LODE_FREE(&G, &index, &cut, &scale);
    return st;
}

lode_status lode_i_lobpcg_orthonormal(lode_ctx *ctx, const lobpcg *s, int64_t held, lode_array *W,
                                      lode_array *BW)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, BQ = { 0 }, c = { 0 }, G = { 0 }, M = { 0 };
    const double eps = lode_i_epsilon(s->dtype);
    Q = lode_i_lobpcg_columns(&s->S, 0, held), BQ = lode_i_lobpcg_columns(&s->BS, 0, held);
    LODE_TRY(lode_i_lobpcg_normalize(ctx, s, 0, W, BW));
    for (int pass = 0; pass < 2 && W->shape[1] > 0; pass++) {
        if (held > 0) {
            LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &BQ, W, &c));
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &Q, &c, 1, W));
            if (s->B)
                LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &BQ, &c, 1, BW));
            /* what is left of a unit vector is rounding, or a direction */
            LODE_TRY(lode_i_lobpcg_normalize(ctx, s, pass ? 0.1 : 1e2 * eps, W, BW));
            if (W->shape[1] == 0)
                break;
        }
        LODE_TRY(lode_i_lobpcg_gram(ctx, s, W, s->B ? BW : W, &G));
        LODE_TRY(whiten(ctx, s, &G, &M));
        LODE_TRY(turn(ctx, &M, W));
        if (s->B)
            LODE_TRY(turn(ctx, &M, BW));
    }
done:
    LODE_FREE(&Q, &BQ, &c, &G, &M);
    return st;
}
