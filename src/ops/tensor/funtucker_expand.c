/* Functions and core of funtucker against each other: u -> A u in mode k and W -> W x_k A^-T leave every f as it
 * is, but not how far both are from their priors, which the best A makes least at once; messages alone would
 * take thousands of sweeps to get there. (Parameter expansion: Qi & Jaakkola, NIPS 2006.)
 *
 * With S = E u K^-1 u' over the g indexes of the mode and C = E W_(k) W_(k)', the divergences are, but for
 * constants, (tr S G + tr C G^-1 - (g - K / r) log |G|) / 2 of G = A'A. It is least where G S G = C + (g - K / r) G:
 * with S = L L' and L' G L = H, H^2 - (g - K / r) H = L' C L, in whose eigenvectors H is diagonal. A is the
 * symmetric root of G, I where nothing is to be gained. */
#include <math.h>

#include "ops/tensor/funtucker.h"

lode_status lode_i_funtucker_core_energy(lode_ctx *ctx, const funtucker_fit *f, int k,
                                         lode_array *C)
{
    lode_status st = LODE_OK;
    const int64_t r = f->m.r[k], K = f->m.core.shape[0];
    int64_t inside = 1;
    for (int i = k + 1; i < f->m.d; i++)
        inside *= f->m.r[i];
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ r, r }, C));
    for (int64_t e = 0; e < K; e++)
        for (int64_t b = 0; b < r; b++) {
            const int64_t a = e / inside % r, g = e + (b - a) * inside;
            lode_i_set2(C, a, b,
                        lode_i_get2(C, a, b) + lode_i_get2(&f->core_cov, e, g) +
                            lode_i_get1(&f->m.core, e) * lode_i_get1(&f->m.core, g));
        }
done:
    return st;
}

/* U diag(w^power) U' */
static lode_status power_of(lode_ctx *ctx, const lode_array *U, const lode_array *w, double power,
                            lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array d = { 0 }, X = { 0 };
    LODE_TRY(lode_array_cast(ctx, w, LODE_F64, &d));
    for (int64_t i = 0; i < d.shape[0]; i++)
        lode_i_set1(&d, i, pow(fmax(lode_i_get1(&d, i), 1e-300), power));
    LODE_TRY(lode_array_cast(ctx, U, LODE_F64, &X));
    LODE_TRY(lode_i_scale_cols(ctx, &X, &d));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &X, U, out));
done:
    LODE_FREE(&d, &X);
    return st;
}

/* A and its inverse. */
static lode_status best(lode_ctx *ctx, const lode_array *S, const lode_array *C, double free,
                        lode_array *A, lode_array *inverse)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, X = { 0 }, M = { 0 }, w = { 0 }, U = { 0 }, G = { 0 };
    LODE_TRY(lode_i_cholesky(ctx, S, &L, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, C, &L, &X));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &L, &X, &M));
    LODE_TRY(lode_i_eigh(ctx, &M, M.shape[0], &w, &U));
    for (int64_t i = 0; i < w.shape[0]; i++) {
        const double h = 0.5 * (free + sqrt(free * free + 4 * fmax(lode_i_get1(&w, i), 0)));
        lode_i_set1(&w, i, sqrt(fmax(h, 1e-300)));
    }
    LODE_TRY(lode_i_scale_cols(ctx, &U, &w)); /* G = X X', X = L^-T U diag(h^1/2) */
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &U, &X));
    LODE_TRY(lode_i_gram(ctx, LODE_N, &X, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, G.shape[0], &w, &U));
    LODE_TRY(power_of(ctx, &U, &w, 0.5, A));
    LODE_TRY(power_of(ctx, &U, &w, -0.5, inverse));
done:
    LODE_FREE(&L, &X, &M, &w, &U, &G);
    return st;
}

/* Along axis `mode` of a flat or square array seen as ndim axes. */
static lode_status turn(lode_ctx *ctx, lode_array *a, int ndim, const int64_t *shape, int first,
                        int second, const lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 }, y = { 0 };
    const int own = a->ndim;
    int64_t kept[LODE_MAX_NDIM];
    for (int i = 0; i < own; i++)
        kept[i] = a->shape[i];
    LODE_TRY(lode_array_reshape(ctx, a, ndim, shape, &view));
    LODE_TRY(lode_i_ttm(ctx, &view, first, LODE_N, M, &y));
    if (second >= 0) {
        lode_array_swap(&view, &y);
        LODE_FREE(&y);
        LODE_TRY(lode_i_ttm(ctx, &view, second, LODE_N, M, &y));
    }
    LODE_FREE(&view);
    LODE_TRY(lode_array_reshape(ctx, &y, own, kept, &view));
    lode_array_swap(a, &view);
done:
    LODE_FREE(&view, &y);
    return st;
}

lode_status lode_i_funtucker_expand(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, C = { 0 }, A = { 0 }, inverse = { 0 };
    const int d = f->m.d;
    int64_t both[2 * FUNTUCKER_MODES];
    for (int i = 0; i < 2 * d; i++)
        both[i] = f->m.r[i % d];
    for (int k = 0; k < d; k++) {
        funtucker_mode *y = &f->mode[k];
        const lode_i_gp_sites sites = { &s->grid[k], &y->precision, &y->shift };
        const int64_t g = s->grid[k].shape[0], r = f->m.r[k], square[] = { g, r, r };
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, r, r, &S));
        lode_i_gp_energy(&sites, &f->m.mean[k], &y->cov, &S);
        LODE_TRY(lode_i_funtucker_core_energy(ctx, f, k, &C));
        const double free = (double)g - (double)(f->m.core.shape[0] / r);
        LODE_TRY(best(ctx, &S, &C, free, &A, &inverse));
        LODE_TRY(turn(ctx, &f->m.mean[k], 2, square, 1, -1, &A));
        LODE_TRY(turn(ctx, &y->cov, 3, square, 1, 2, &A));
        lode_i_pack_moments(&f->m.mean[k], &y->cov, &f->m.second[k]);
        LODE_TRY(turn(ctx, &f->m.core, d, both, k, -1, &inverse));
        LODE_TRY(turn(ctx, &f->core_cov, 2 * d, both, k, d + k, &inverse));
        LODE_FREE(&S, &C, &A, &inverse);
    }
    LODE_TRY(lode_i_pack_core(ctx, &f->core_cov, &f->m));
done:
    LODE_FREE(&S, &C, &A, &inverse);
    return st;
}
