/* What dmd computes in complex numbers from real snapshots: products, and modes at given times. */
#include "ops/dynamics/dmd.h"

lode_status lode_i_dmd_vector(lode_ctx *ctx, const lode_i_cplx *z, int64_t n, lode_array *v)
{
    lode_status st = LODE_OK;
    lode_array column = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, n, 1, &column));
    for (int64_t i = 0; i < n; i++)
        lode_i_zset(&column, i, 0, z[i]);
    lode_array_free(v);
    LODE_TRY(lode_array_reshape(ctx, &column, 1, &n, v));
done:
    lode_array_free(&column);
    return st;
}

/* Re or Im of W. */
static lode_status half(lode_ctx *ctx, const lode_array *W, bool imaginary, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array turned = { 0 }, d = { 0 };
    LODE_TRY(lode_array_cast(ctx, W, LODE_C128, &turned));
    if (imaginary) {
        const lode_i_cplx by = lode_i_z(0, -1);
        const int64_t cols = W->shape[1];
        lode_i_cplx *all = NULL;
        LODE_TRY(LODE_NEW(ctx, lode_i_max(cols, 1), &all));
        for (int64_t j = 0; j < cols; j++)
            all[j] = by;
        st = lode_i_dmd_vector(ctx, all, cols, &d);
        lode_i_free(all);
        LODE_TRY(st);
        LODE_TRY(lode_i_scale_cols(ctx, &turned, &d));
    }
    LODE_TRY(lode_array_cast(ctx, &turned, LODE_F64, out));
done:
    LODE_FREE(&turned, &d);
    return st;
}

lode_status lode_i_dmd_times(lode_ctx *ctx, lode_trans t, const lode_array *A, const lode_array *W,
                             lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, y[2] = { { 0 }, { 0 } }, im = { 0 }, d = { 0 }, out = { 0 };
    lode_i_cplx *all = NULL;
    const int64_t cols = W->shape[1];
    if (lode_i_is_complex(A->dtype))
        return lode_i_gemm(ctx, t, LODE_N, A, W, Y);
    for (int k = 0; k < 2; k++) {
        lode_array_free(&part);
        LODE_TRY(half(ctx, W, k == 1, &part));
        LODE_TRY(lode_i_gemm(ctx, t, LODE_N, A, &part, &y[k]));
    }
    LODE_TRY(lode_array_cast(ctx, &y[0], LODE_C128, &out));
    LODE_TRY(lode_array_cast(ctx, &y[1], LODE_C128, &im));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(cols, 1), &all));
    for (int64_t j = 0; j < cols; j++)
        all[j] = lode_i_z(0, 1);
    LODE_TRY(lode_i_dmd_vector(ctx, all, cols, &d));
    LODE_TRY(lode_i_scale_cols(ctx, &im, &d));
    LODE_TRY(lode_i_axpy(ctx, 1, &im, &out));
    lode_array_swap(Y, &out);
done:
    lode_i_free(all);
    LODE_FREE(&part, &y[0], &y[1], &im, &d, &out);
    return st;
}

lode_status lode_i_dmd_expand(lode_ctx *ctx, const lode_array *t, double t0, const lode_array *rate,
                              const lode_array *amplitude, const lode_array *modes, bool real,
                              lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array E = { 0 }, origin = { 0 }, e = { 0 }, phi = { 0 }, wide = { 0 }, y = { 0 };
    const int64_t r = rate->shape[0];
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &origin));
    LODE_TRY(lode_i_fill(ctx, &origin, t0));
    LODE_TRY(lode_i_exponentials(ctx, t, rate, &origin, 0, &E));
    LODE_TRY(lode_i_scale_cols(ctx, &E, amplitude));
    LODE_TRY(lode_array_cast(ctx, modes, LODE_C128, &wide));
    if (!real) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &E, &wide, &y));
    } else { /* Re E Re Phi^T - Im E Im Phi^T */
        LODE_TRY(half(ctx, &E, false, &e));
        LODE_TRY(half(ctx, &wide, false, &phi));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &e, &phi, &y));
        LODE_FREE(&e, &phi);
        LODE_TRY(half(ctx, &E, true, &e));
        LODE_TRY(half(ctx, &wide, true, &phi));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &e, &phi, 1, &y));
    }
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&E, &origin, &e, &phi, &wide, &y);
    return st;
}
