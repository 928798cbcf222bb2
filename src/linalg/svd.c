/* Singular values: QR first when tall, then LAPACK on the square factor, each result checked before
 * it is believed, with one-sided Jacobi as the method that cannot fail. */
#include "linalg/blas.h"

#include <math.h>

enum { PROBES = 4 };

/* ||Y - Z||_F <= tol ||X||_F, false for NaN. */
static lode_status near(lode_ctx *ctx, const lode_array *Y, const lode_array *Z, double bound,
                        bool *good)
{
    double diff;
    LODE_FORWARD(lode_i_diff_fro(ctx, Y, Z, &diff));
    *good = *good && diff <= bound;
    return LODE_OK;
}

/* U^H (U X) = X for random X. */
static lode_status check_orthonormal(lode_ctx *ctx, const lode_array *U, double tol, bool *good)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 }, Z = { 0 };
    double norm;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "svd", 1), U->dtype, U->shape[1], PROBES, &X));
    LODE_TRY(lode_i_norm_fro(ctx, &X, &norm));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, U, &X, &Y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, U, &Y, &Z));
    LODE_TRY(near(ctx, &Z, &X, tol * norm, good));
done:
    LODE_FREE(&X, &Y, &Z);
    return st;
}

lode_status lode_i_check_factors(lode_ctx *ctx, const lode_array *A, const lode_array *U,
                                 const lode_array *s, const lode_array *V, bool *good)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 }, W = { 0 }, Z = { 0 };
    double norm, scale;
    /* rounding of LAPACK grows like sqrt(n) eps in practice and n eps at worst; its failures are
     * gross */
    const double tol = lode_i_epsilon(A->dtype) *
                       (100 + 10 * (double)lode_i_max(A->shape[0], A->shape[1]));
    *good = true;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "svd", 0), A->dtype, A->shape[1], PROBES, &X));
    LODE_TRY(lode_i_norm_fro(ctx, &X, &norm));
    LODE_TRY(lode_i_norm_fro(ctx, A, &scale));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, A, &X, &Y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, V, &X, &W));
    LODE_TRY(lode_i_scale_rows(ctx, &W, s));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, U, &W, &Z));
    LODE_TRY(near(ctx, &Y, &Z, tol * scale * norm, good));
    LODE_TRY(check_orthonormal(ctx, U, tol, good));
    if (U != V)
        LODE_TRY(check_orthonormal(ctx, V, tol, good));
done:
    LODE_FREE(&X, &Y, &W, &Z);
    return st;
}

/* Values alone: ||s|| = ||A||_F. */
static lode_status check_values(lode_ctx *ctx, const lode_array *A, const lode_array *s, bool *good)
{
    double all, kept;
    LODE_FORWARD(lode_i_norm_fro(ctx, A, &all));
    LODE_FORWARD(lode_i_norm_fro(ctx, s, &kept));
    *good = fabs(all - kept) <= lode_i_epsilon(A->dtype) * (100 + 10 * (double)A->shape[0]) * all;
    return LODE_OK;
}

/* LAPACK on the m x n row-major A, m >= n: by columns that is A^T = u s vt, so that U is the memory
 * of vt, and V is conj(u). */
static lode_status by_lapack(lode_ctx *ctx, bool simple, const lode_array *A, lode_array *U,
                             lode_array *s, lode_array *V, bool *good)
{
    lode_status st = LODE_OK;
    const int64_t m = A->shape[0], n = A->shape[1];
    lode_array a = { 0 }, u = { 0 }, sv = { 0 }, vt = { 0 }, v = { 0 };
    int info;
    LODE_TRY(lode_i_lapack_matrix(ctx, A->dtype, m, n, &a));
    LODE_TRY(lode_array_copy_into(ctx, A, &a));
    LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), n, &sv));
    if (V) {
        LODE_TRY(lode_i_lapack_matrix(ctx, A->dtype, n, n, &u));
        LODE_TRY(lode_i_lapack_matrix(ctx, A->dtype, m, n, &vt));
    }
    const lode_i_svd_work w = { .dtype = A->dtype,
                                .m = n,
                                .n = m,
                                .a = a.data,
                                .s = sv.data,
                                .u = u.data,
                                .vt = vt.data,
                                .vectors = V != NULL };
    LODE_TRY(lode_i_lapack_svd(ctx, &w, simple, &info));
    *good = info == 0;
    if (*good && V) {
        LODE_TRY(
            lode_i_copy_op(ctx, LODE_H, &u, &v)); /* the memory of u, by rows, is its transpose */
        LODE_TRY(lode_i_check_factors(ctx, A, &vt, &sv, &v, good));
    } else if (*good) {
        LODE_TRY(check_values(ctx, A, &sv, good));
    }
    if (*good) {
        lode_array_swap(s, &sv);
        if (V)
            lode_array_swap(U, &vt), lode_array_swap(V, &v);
    }
done:
    LODE_FREE(&a, &u, &sv, &vt, &v);
    return st;
}

lode_status lode_i_svd_reduced(lode_ctx *ctx, lode_i_svd_route first, const lode_array *A,
                               lode_array *U, lode_array *s, lode_array *V)
{
    bool good = false;
    for (int route = (int)first; route < LODE_I_JACOBI && !good; route++)
        LODE_FORWARD(by_lapack(ctx, route == LODE_I_GESVD, A, U, s, V, &good));
    if (good)
        return LODE_OK;
    lode_i_log(
        ctx, "svd: LAPACK did not factor a %" PRId64 " x %" PRId64 " matrix; one-sided Jacobi did",
        A->shape[0], A->shape[1]);
    return lode_i_svd_jacobi(ctx, A, U, s, V);
}

/* m >= n, entries of moderate size. */
static lode_status svd_tall(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *U,
                            lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, r = { 0 }, u = { 0 }, sv = { 0 }, v = { 0 }, cut = { 0 };
    const bool vectors = U || V,
               tall = 5 * A->shape[0] >= 6 * A->shape[1] && A->shape[0] > A->shape[1];
    if (tall && U)
        LODE_TRY(lode_i_qr(ctx, A, &q, &r));
    else if (tall)
        LODE_TRY(lode_i_qr_r(ctx, A, &r));
    LODE_TRY(lode_i_svd_reduced(ctx, LODE_I_SVD_FIRST, tall ? &r : A, vectors ? &u : NULL, &sv,
                                vectors ? &v : NULL));
    if (U) {
        cut = lode_i_cols(&u, 0, k);
        if (tall)
            LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q, &cut, U));
        else
            LODE_TRY(lode_i_copy_op(ctx, LODE_N, &cut, U));
        lode_array_free(&cut);
    }
    if (V) {
        cut = lode_i_cols(&v, 0, k);
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, &cut, V));
        lode_array_free(&cut);
    }
    LODE_TRY(lode_i_vector_new(ctx, sv.dtype, k, s));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(s, i, lode_i_get1(&sv, i));
done:
    LODE_FREE(&q, &r, &u, &sv, &v, &cut);
    return st;
}

lode_status lode_i_moderate(lode_ctx *ctx, const char *who, const lode_array *A, lode_array *copy,
                            double *factor)
{
    lode_stats stats;
    *factor = 1;
    LODE_FORWARD(lode_i_stats(ctx, A, &stats));
    if (stats.missing || stats.infinite) {
        LODE_FORWARD(lode_i_require_finite(ctx, A, who));
        return lode_i_fail(ctx, LODE_EDOMAIN, "%s is not finite", who);
    }
    /* products of two entries, and sums of them, stay far from the ends of the type */
    const double far = lode_i_is_single(A->dtype) ? 1e15 : 1e100;
    if (stats.maxabs == 0 || (stats.maxabs <= far && stats.maxabs >= 1 / far))
        return LODE_OK;
    int e;
    frexp(stats.maxabs, &e);
    const int half = e / 2; /* 2^-e itself may not be a number of the type */
    LODE_FORWARD(lode_i_copy_op(ctx, LODE_N, A, copy));
    LODE_FORWARD(lode_i_scale(ctx, ldexp(1, -half), copy));
    LODE_FORWARD(lode_i_scale(ctx, ldexp(1, half - e), copy));
    *factor = ldexp(1, e > 1023 ? 1023 : e) * (e > 1023 ? 2 : 1);
    return LODE_OK;
}

lode_status lode_i_svd(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *U, lode_array *s,
                       lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array scaled = { 0 }, turned = { 0 }, u = { 0 }, sv = { 0 }, v = { 0 };
    double factor;
    LODE_TRY(lode_i_check_matrix(ctx, "svd", "A", A));
    const int64_t m = A->shape[0], n = A->shape[1];
    LODE_REQUIRE(k >= 0 && k <= lode_i_min(m, n), LODE_ESHAPE,
                 "svd: %" PRId64 " triplets of a %" PRId64 " x %" PRId64 " matrix; at most %" PRId64
                 " exist",
                 k, m, n, lode_i_min(m, n));
    if (m == 0 || n == 0) {
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, m, 0, &u));
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, 0, &v));
        LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), 0, &sv));
    } else {
        LODE_TRY(lode_i_moderate(ctx, "A", A, &scaled, &factor));
        const lode_array *from = factor == 1 ? A : &scaled;
        if (m >= n) {
            LODE_TRY(svd_tall(ctx, from, k, U ? &u : NULL, &sv, V ? &v : NULL));
        } else { /* A^T = conj(V) diag(s) conj(U)^H */
            turned = lode_i_transposed(from);
            LODE_TRY(svd_tall(ctx, &turned, k, V ? &v : NULL, &sv, U ? &u : NULL));
            turned = (lode_array){ 0 };
            if (U)
                LODE_TRY(lode_i_conj(ctx, &u));
            if (V)
                LODE_TRY(lode_i_conj(ctx, &v));
        }
        if (factor != 1)
            LODE_TRY(lode_i_scale(ctx, factor, &sv));
    }
    if (U)
        lode_array_swap(U, &u);
    if (V)
        lode_array_swap(V, &v);
    lode_array_swap(s, &sv);
done:
    LODE_FREE(&scaled, &u, &sv, &v);
    return st;
}
