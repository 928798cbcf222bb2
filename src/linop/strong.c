/* Strong rank revealing exchanges: a pivot and another column change places while that makes the
 * volume of the pivots larger by more than a factor f. By then every entry of R11^-1 R12 is at most f
 * and singular values of R11 and R22 are within sqrt(1 + f^2 k (n - k)) of A's first k and others.
 * Source: Gu & Eisenstat, SIAM J. Sci. Comput. 17 (1996), doi:10.1137/0917055, Algorithm 4, with
 * R made anew after an exchange in place of being updated: few are needed after greedy pivots. */
#include <math.h>

#include "linop/pqr.h"

enum { MOST = 1000 };

/* Rows [from, to) of order's columns. */
static lode_status part_of(lode_ctx *ctx, const lode_array *W, const lode_array *order,
                           int64_t from, int64_t to, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 };
    LODE_TRY(lode_array_slice(ctx, order, 0, from, to, 1, &some));
    LODE_TRY(lode_i_take(ctx, W, 0, &some, out));
done:
    lode_array_free(&some);
    return st;
}

/* The best exchange: rho^2 = |(R11^-1 R12)_ij|^2 + (||column j of R22|| ||row i of R11^-1||)^2. */
static lode_status best(lode_ctx *ctx, const lode_array *W, int64_t k, const lode_array *order,
                        int64_t *i, int64_t *j, double *rho)
{
    lode_status st = LODE_OK;
    const int64_t n = W->shape[0];
    lode_array T1 = { 0 }, T2 = { 0 }, Q = { 0 }, R = { 0 }, L = { 0 }, B = { 0 }, X = { 0 },
               eye = { 0 }, I = { 0 }, turned = { 0 };
    LODE_TRY(part_of(ctx, W, order, 0, k, &T1));
    LODE_TRY(part_of(ctx, W, order, k, n, &T2));
    turned = lode_i_transposed(&T1);
    LODE_TRY(lode_i_qr(ctx, &turned, &Q, &R));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_T, &Q, &T2, &B));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_T, LODE_T, -1, &B, &Q, 1, &T2)); /* R22, as rows */
    *rho = 0;
    for (int64_t d = 0; d < k; d++)
        if (!(lode_i_get2(&R, d, d) > 0)) { /* A has no k columns that are independent */
            *rho = INFINITY;
            goto done;
        }
    turned = lode_i_transposed(&R);
    LODE_TRY(lode_array_cast(ctx, &turned, R.dtype, &L));
    LODE_TRY(lode_i_conj(ctx, &L));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &B, &X));
    LODE_TRY(lode_i_eye(ctx, R.dtype, k, &eye));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &eye, &I));
    LODE_TRY(lode_i_best_exchange(ctx, &X, &I, &T2, i, j, rho));
done:
    LODE_FREE(&T1, &T2, &Q, &R, &L, &B, &X, &eye, &I);
    return st;
}

lode_status lode_i_strong(lode_ctx *ctx, const lode_array *W, int64_t k, double factor,
                          lode_array *order, lode_pqr_info *info)
{
    const int64_t n = W->shape[0];
    info->swaps = 0, info->factor = 0;
    if (k == 0 || k == n)
        return LODE_OK;
    for (;;) {
        int64_t i = 0, j = 0;
        LODE_FORWARD(lode_i_tick(ctx, info->swaps, MOST));
        LODE_FORWARD(best(ctx, W, k, order, &i, &j, &info->factor));
        if (info->factor <= factor || !isfinite(info->factor) || info->swaps == MOST)
            return LODE_OK;
        const double out = lode_i_get1(order, i);
        lode_i_set1(order, i, lode_i_get1(order, k + j));
        lode_i_set1(order, k + j, out);
        info->swaps++;
    }
}
