/* Two Tucker decompositions one after the other along mode 0: bases that span both, the factor of
 * mode 0 in blocks. The parts keep their own approximations, so the squares of their errors add. */
#include "linop/sthosvd.h"

#include <math.h>

lode_status lode_i_tucker_extend(lode_ctx *ctx, const lode_array *U, const lode_array *core,
                                 int mode, const lode_array *V, double drop, lode_array *Q)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, C = { 0 }, G = { 0 }, w = { 0 }, W = { 0 }, P = { 0 }, s = { 0 },
               R = { 0 }, new = { 0 }, part = { 0 };
    int64_t keep = 0;
    /* M = (I - U U^H) V, twice so that what is left is orthogonal to U even where V nearly lies in
     * its span */
    LODE_TRY(lode_array_cast(ctx, V, V->dtype, &M));
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, U, &M, &C));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, U, &C, 1, &M));
    }
    /* columns weighted by the core: M G^(1/2), whose squared singular values are energies of the
     * second tensor */
    LODE_TRY(lode_i_mode_gram(ctx, core, mode, false, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, G.shape[0], &w, &W));
    for (int64_t i = 0; i < w.shape[0]; i++) {
        const double e = lode_i_get1(&w, i);
        lode_i_set1(&w, i, e > 0 ? e : 0);
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &M, &W, &R));
    for (int64_t i = 0; i < w.shape[0]; i++) {
        const double e = lode_i_get1(&w, i);
        part = lode_i_cols(&R, i, i + 1);
        LODE_TRY(lode_i_scale(ctx, e > 0 ? sqrt(e) : 0, &part));
        lode_array_free(&part);
    }
    LODE_TRY(lode_i_svd(ctx, &R, lode_i_min(R.shape[0], R.shape[1]), &P, &s, NULL));
    double tail = 0;
    for (keep = s.shape[0]; keep > 0; keep--) {
        const double e = lode_i_get1(&s, keep - 1);
        if (tail + e * e > drop)
            break;
        tail += e * e;
    }
    keep = lode_i_min(keep, U->shape[0] - U->shape[1]);
    LODE_TRY(lode_i_matrix_new(ctx, U->dtype, U->shape[0], U->shape[1] + keep, &new));
    part = lode_i_cols(&new, 0, U->shape[1]);
    LODE_TRY(lode_array_copy_into(ctx, U, &part));
    lode_array_free(&part);
    if (keep > 0) { /* once more against U: rounding is large beside small singular values */
        part = lode_i_cols(&P, 0, keep);
        LODE_TRY(lode_array_cast(ctx, &part, U->dtype, &R));
        lode_array_free(&part);
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, U, &R, &C));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, U, &C, 1, &R));
        LODE_TRY(lode_i_orth(ctx, &R, NULL));
        part = lode_i_cols(&new, U->shape[1], U->shape[1] + keep);
        LODE_TRY(lode_array_copy_into(ctx, &R, &part));
        lode_array_free(&part);
    }
    lode_array_swap(Q, &new);
done:
    LODE_FREE(&M, &C, &G, &w, &W, &P, &s, &R, &new, &part);
    return st;
}

/* Copies a to the block of `out` that starts at `from`. */
static lode_status place(lode_ctx *ctx, const lode_array *a, const int64_t *from, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array block = { 0 };
    LODE_TRY(lode_i_strided(ctx, out, from, a->shape, NULL, &block));
    LODE_TRY(lode_array_copy_into(ctx, a, &block));
done:
    LODE_FREE(&block);
    return st;
}

lode_status lode_i_tucker_stack(lode_ctx *ctx, const lode_array *core_a, const lode_array *U_a,
                                const lode_array *core_b, const lode_array *U_b, lode_array *core,
                                lode_array *U)
{
    lode_status st = LODE_OK;
    const int d = core_a->ndim;
    const int64_t zero[LODE_MAX_NDIM] = { 0 };
    int64_t shape[LODE_MAX_NDIM], from[LODE_MAX_NDIM] = { 0 };
    lode_array Q[LODE_MAX_NDIM] = { { 0 } }, G = { 0 }, b = { 0 }, C = { 0 }, y = { 0 };
    double norm;
    LODE_TRY(lode_i_norm_fro(ctx, core_b, &norm));
    const double eps = lode_i_epsilon(core_b->dtype), drop = 16 * eps * eps * norm * norm;
    b = lode_array_ref(core_b);
    shape[0] = core_a->shape[0] + core_b->shape[0];
    for (int k = 1; k < d; k++) {
        LODE_TRY(lode_i_tucker_extend(ctx, &U_a[k], core_b, k, &U_b[k], drop, &Q[k]));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &Q[k], &U_b[k], &C));
        LODE_TRY(lode_i_ttm(ctx, &b, k, LODE_N, &C, &y));
        lode_array_swap(&b, &y);
        lode_array_free(&y);
        shape[k] = Q[k].shape[1];
    }
    LODE_TRY(lode_array_zeros(ctx, core_a->dtype, d, shape, &G));
    LODE_TRY(place(ctx, core_a, zero, &G));
    from[0] = core_a->shape[0];
    LODE_TRY(place(ctx, &b, from, &G));
    LODE_TRY(lode_array_zeros(ctx, core_a->dtype, 2,
                              (const int64_t[]){ U_a[0].shape[0] + U_b[0].shape[0], shape[0] },
                              &Q[0]));
    LODE_TRY(place(ctx, &U_a[0], zero, &Q[0]));
    LODE_TRY(place(ctx, &U_b[0], (const int64_t[]){ U_a[0].shape[0], core_a->shape[0] }, &Q[0]));
    LODE_TRY(lode_i_tucker_canonical(ctx, &G, Q));
    lode_array_swap(core, &G);
    for (int k = 0; k < d; k++)
        lode_array_swap(&U[k], &Q[k]);
done:
    for (int k = 0; k < d; k++)
        lode_array_free(&Q[k]);
    LODE_FREE(&G, &b, &C, &y);
    return st;
}
