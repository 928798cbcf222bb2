/* Soft-impute: min 1/2 |P(X - Z)|^2 + ridge |Z|_* over Z of rank at most k, by alternating ridge regressions
 * of the filled matrix (Hastie, Mazumder, Lee & Zadeh 2015, Algorithm 3.1): Z = A B^T, A = U D, B = V D,
 * where the filled matrix is the residual over the entries, sparse, plus A B^T. Nothing of the size of X. */
#include <math.h>

#include "ops/matrix/complete.h"

/* The side m anew: G, the filled matrix times the other side's basis; B = G D (D^2 + ridge)^-1, and then
 * B D = U' D'^2 W^T. */
static lode_status half(lode_ctx *ctx, lode_i_completion *c, lode_array *basis, lode_array *d,
                        int m)
{
    lode_status st = LODE_OK;
    lode_array sides[2] = { { 0 } }, r = { 0 }, G = { 0 }, scale = { 0 }, U = { 0 }, s = { 0 },
               W = { 0 }, F = { 0 };
    double sumsq = 0;
    const int64_t k = c->k;
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_array_cast(ctx, &basis[i], c->x->dtype, &sides[i]));
    LODE_TRY(lode_array_cast(ctx, d, c->x->dtype, &scale));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&scale, i, pow(lode_i_get1(d, i), 2));
    LODE_TRY(lode_i_observed_residual(ctx, c->x, m, sides, &scale, &r, &sumsq));
    LODE_TRY(
        lode_i_observed_mttkrp(ctx, c->x, m, &r, sides, &G)); /* residual times the other basis */
    LODE_TRY(lode_i_scale_cols(ctx, &sides[m], &scale));
    LODE_TRY(lode_i_axpy(ctx, 1, &sides[m], &G)); /* the filled matrix times it */
    for (int64_t i = 0; i < k; i++) {
        const double square = lode_i_get1(&scale, i), down = square + c->ridge;
        lode_i_set1(&scale, i, down > 0 ? square / down : 0); /* B D = G D^2 / (D^2 + ridge) */
    }
    LODE_TRY(lode_i_scale_cols(ctx, &G, &scale));
    LODE_TRY(lode_i_svd(ctx, &G, k, &U, &s, &W));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(d, i, sqrt(lode_i_get1(&s, i)));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &basis[1 - m], &W, &F));
    lode_array_swap(&basis[m], &U);
    lode_array_swap(&basis[1 - m], &F);
done:
    LODE_FREE(&sides[0], &sides[1], &r, &G, &scale, &U, &s, &W, &F);
    return st;
}

/* Z's own triplets: the filled matrix times V, its values less the threshold. */
static lode_status conclude(lode_ctx *ctx, lode_i_completion *c, lode_array *basis, lode_array *d)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 }, G = { 0 }, A = { 0 }, scale = { 0 }, U = { 0 }, s = { 0 }, W = { 0 },
               V = { 0 };
    double sumsq = 0;
    LODE_TRY(lode_array_cast(ctx, d, c->x->dtype, &scale));
    for (int64_t i = 0; i < c->k; i++)
        lode_i_set1(&scale, i, pow(lode_i_get1(d, i), 2));
    LODE_TRY(lode_i_observed_residual(ctx, c->x, 0, basis, &scale, &r, &sumsq));
    LODE_TRY(lode_i_observed_mttkrp(ctx, c->x, 0, &r, basis, &G));
    LODE_TRY(lode_array_cast(ctx, &basis[0], c->x->dtype, &A));
    LODE_TRY(lode_i_scale_cols(ctx, &A, &scale));
    LODE_TRY(lode_i_axpy(ctx, 1, &A, &G));
    LODE_TRY(lode_i_svd(ctx, &G, c->k, &U, &s, &W));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &basis[1], &W, &V));
    for (int64_t i = 0; i < c->k; i++)
        lode_i_set1(&s, i, fmax(lode_i_get1(&s, i) - c->ridge, 0));
    LODE_TRY(lode_i_canonical_signs(ctx, &U, &V));
    c->model.ndim = 2, c->model.k = c->k;
    lode_array_swap(&c->model.factor[0], &U);
    lode_array_swap(&c->model.factor[1], &V);
    lode_array_swap(&c->model.scale, &s);
done:
    LODE_FREE(&r, &G, &A, &scale, &U, &s, &W, &V);
    return st;
}

lode_status lode_i_complete_soft(lode_ctx *ctx, lode_i_completion *c)
{
    lode_status st = LODE_OK;
    lode_array basis[2] = { { 0 } }, d = { 0 }, scale = { 0 };
    lode_i_iter it = { .op = "complete",
                       .what = "penalized error",
                       .tol = c->o->tol,
                       .floor = lode_i_complete_floor(c),
                       .max_iter = c->o->max_iter + 1,
                       .n = 3,
                       .state = { &basis[0], &basis[1], &d },
                       .site = "soft",
                       .key = (uint64_t)c->k,
                       .tally = &c->flops };
    LODE_TRY(lode_i_complete_spectral(ctx, c, &basis[0], &basis[1]));
    LODE_TRY(lode_i_vector_new(ctx, c->x->dtype, c->k, &d));
    LODE_TRY(lode_i_fill(ctx, &d, 1));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    if (it.i == 0)
        LODE_TRY(lode_i_iter_step(ctx, &it, 1));
    while (!it.done) {
        double sumsq = 0, nuclear = 0;
        LODE_TRY(half(ctx, c, basis, &d, 1));
        LODE_TRY(half(ctx, c, basis, &d, 0));
        LODE_TRY(lode_array_cast(ctx, &d, c->x->dtype, &scale));
        for (int64_t i = 0; i < c->k; i++) {
            nuclear += pow(lode_i_get1(&d, i), 2);
            lode_i_set1(&scale, i, pow(lode_i_get1(&d, i), 2));
        }
        LODE_TRY(lode_i_observed_residual(ctx, c->x, 0, basis, &scale, NULL, &sumsq));
        c->flops += 2 * (double)c->x->count * (double)c->k * 10;
        LODE_TRY(lode_i_iter_step(ctx, &it,
                                  lode_i_complete_relative(c, sumsq + 2 * c->ridge * nuclear)));
    }
    LODE_TRY(lode_i_iter_end(ctx, &it, &c->trace));
    LODE_TRY(conclude(ctx, c, basis, &d));
done:
    lode_i_iter_free(&it);
    LODE_FREE(&basis[0], &basis[1], &d, &scale);
    return st;
}
