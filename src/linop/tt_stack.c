/* Two trains stacked along mode 0. The rows that the first one's cores span stay as they are; from
 * the last bond on, each gets those directions of the second besides that matter. */
#include "linop/tt_run.h"

#include <math.h>

/* The core with zeros for rank on its right; as a matrix of its rows. */
static lode_status padded(lode_ctx *ctx, const lode_array *core, int64_t next, lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, part = { 0 };
    const int64_t shape[] = { core->shape[0], core->shape[1], next };
    LODE_TRY(lode_array_zeros(ctx, core->dtype, 3, shape, &y));
    LODE_TRY(lode_array_slice(ctx, &y, 2, 0, core->shape[2], 1, &part));
    LODE_TRY(lode_array_copy_into(ctx, core, &part));
    LODE_TRY(lode_i_tt_rows(ctx, &y, M));
done:
    LODE_FREE(&y, &part);
    return st;
}

/* Z = [A B], or [A; B]. */
static lode_status joined(lode_ctx *ctx, const lode_array *A, const lode_array *B, int axis,
                          lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, part = { 0 };
    int64_t shape[] = { A->shape[0], A->shape[1] };
    shape[axis] += B->shape[axis];
    LODE_TRY(lode_array_new(ctx, A->dtype, 2, shape, &y));
    LODE_TRY(lode_array_slice(ctx, &y, axis, 0, A->shape[axis], 1, &part));
    LODE_TRY(lode_array_copy_into(ctx, A, &part));
    LODE_TRY(lode_array_slice(ctx, &y, axis, A->shape[axis], shape[axis], 1, &part));
    LODE_TRY(lode_array_copy_into(ctx, B, &part));
    lode_array_swap(Z, &y);
done:
    LODE_FREE(&y, &part);
    return st;
}

/* T = C V + rest, V of orthonormal rows; twice, so that rest is orthogonal to them. */
static lode_status project(lode_ctx *ctx, lode_array *T, const lode_array *V, lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 };
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, T, V, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &c, V, 1, T));
        if (i)
            LODE_TRY(lode_i_axpy(ctx, 1, &c, C));
        else
            lode_array_swap(C, &c);
        lode_array_free(&c);
    }
done:
    LODE_FREE(&c);
    return st;
}

/* Of the directions in T those beyond an energy of *left, which is lowered by what is dropped:
 * V gets their rows, C their coefficients. */
static lode_status extend(lode_ctx *ctx, const lode_array *T, double *left, lode_array *V,
                          lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, s = { 0 }, W = { 0 }, u = { 0 }, w = { 0 }, t = { 0 };
    const int64_t room = V->shape[1] - V->shape[0];
    LODE_TRY(lode_i_svd(ctx, T, lode_i_min(T->shape[0], T->shape[1]), &U, &s, &W));
    int64_t keep = s.shape[0];
    while (keep > 0 && (keep > room || pow(lode_i_get1(&s, keep - 1), 2) <= *left))
        *left -= pow(lode_i_get1(&s, --keep), 2);
    if (keep == 0)
        goto done;
    u = lode_i_cols(&U, 0, keep), w = lode_i_cols(&W, 0, keep);
    LODE_TRY(lode_i_canonical_signs(ctx, &w, &u));
    LODE_TRY(lode_array_slice(ctx, &s, 0, 0, keep, 1, &t));
    LODE_TRY(lode_i_scale_cols(ctx, &u, &t));
    LODE_TRY(joined(ctx, C, &u, 1, C));
    LODE_TRY(lode_i_conj(ctx, &w));
    lode_array_free(&t);
    LODE_TRY(lode_array_permute(ctx, &w, (const int[]){ 1, 0 }, &t));
    LODE_TRY(joined(ctx, V, &t, 0, V));
done:
    LODE_FREE(&U, &s, &W, &u, &w, &t);
    return st;
}

/* Mode 0: b's entries after a's. */
static lode_status top(lode_ctx *ctx, const lode_array *a, const lode_array *b, int64_t next,
                       lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, B = { 0 }, M = { 0 }, part = { 0 };
    LODE_TRY(padded(ctx, a, next, &M));
    LODE_TRY(lode_array_reshape(ctx, &M, 2, (const int64_t[]){ a->shape[1], next }, &A));
    LODE_TRY(lode_array_reshape(ctx, b, 2, (const int64_t[]){ b->shape[1], next }, &B));
    LODE_TRY(joined(ctx, &A, &B, 0, &M));
    LODE_TRY(lode_i_tt_core(ctx, &M, 1, a->shape[1] + b->shape[1], next, core));
done:
    LODE_FREE(&A, &B, &M, &part);
    return st;
}

lode_status lode_i_tt_stack(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                            double drop, lode_array *out, double *dropped)
{
    lode_status st = LODE_OK;
    lode_array A[LODE_MAX_NDIM] = { { 0 } }, B[LODE_MAX_NDIM] = { { 0 } },
               c[LODE_MAX_NDIM] = { { 0 } }, M = { 0 }, T = { 0 }, V = { 0 }, C = { 0 };
    const lode_dtype type = a[0].dtype, wide = lode_i_is_complex(type) ? LODE_C128 : LODE_F64;
    double norm, left = 0;
    LODE_TRY(lode_i_tt_check(ctx, d, a, NULL, "the first train"));
    LODE_TRY(lode_i_tt_check(ctx, d, b, NULL, "the second train"));
    for (int k = 1; k < d; k++)
        LODE_REQUIRE(a[k].shape[1] == b[k].shape[1], LODE_ESHAPE,
                     "trains stack along mode 0; mode %d has %" PRId64 " and %" PRId64 " values", k,
                     a[k].shape[1], b[k].shape[1]);
    LODE_TRY(lode_i_tt_as(ctx, d, a, wide, A));
    LODE_TRY(lode_i_tt_as(ctx, d, b, wide, B));
    LODE_TRY(lode_i_norm_fro(ctx, &B[0], &norm));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, B, true));
    const double noise = pow(8 * 0x1p-52 * norm, 2);
    const double budget = fmax(drop, noise * d);
    for (int k = d - 1; k >= 1; k--) {
        const int64_t n = A[k].shape[1], next = B[k].shape[2];
        LODE_TRY(lode_i_tick(ctx, d - 1 - k, d));
        left += budget / (d - 1);
        LODE_TRY(padded(ctx, &A[k], next, &V));
        LODE_TRY(lode_i_tt_rows(ctx, &B[k], &M));
        LODE_TRY(lode_array_cast(ctx, &M, wide, &T));
        LODE_TRY(project(ctx, &T, &V, &C));
        LODE_TRY(extend(ctx, &T, &left, &V, &C));
        const int64_t r = V.shape[0];
        LODE_TRY(lode_i_tt_core(ctx, &V, r, n, next, &c[k]));
        LODE_TRY(lode_i_tt_times(ctx, &B[k - 1], &C));
        LODE_FREE(&M, &T, &V, &C);
    }
    LODE_TRY(top(ctx, &A[0], &B[0], d > 1 ? c[1].shape[0] : 1, &c[0]));
    LODE_TRY(lode_i_tt_as(ctx, d, c, type, c));
    lode_i_tt_swap(d, out, c);
    *dropped = d > 1 ? fmax(budget - left, 0) : 0;
done:
    lode_i_tt_free(d, A);
    lode_i_tt_free(d, B);
    lode_i_tt_free(d, c);
    LODE_FREE(&M, &T, &V, &C);
    return st;
}
