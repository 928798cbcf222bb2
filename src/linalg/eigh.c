/* Hermitian eigenvalues: LAPACK's divide and conquer for all, bisection and inverse iteration
 * (syevr of an index range) for a few, the result checked; Jacobi on a shifted matrix where both
 * fail. */
#include "linalg/blas.h"

#include <math.h>

/* A V = V diag(w) and V^H V = I on random combinations of the columns. */
static lode_status check(lode_ctx *ctx, const lode_array *A, const lode_array *w,
                         const lode_array *V, bool *good)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 }, Z = { 0 }, P = { 0 };
    const int64_t n = A->shape[0];
    const double tol = lode_i_epsilon(A->dtype) * (100 + 10 * (double)n);
    double norm, scale, diff;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "eigh", 0), A->dtype, V->shape[1], 4, &X));
    LODE_TRY(lode_i_norm_fro(ctx, &X, &norm));
    LODE_TRY(lode_i_norm_fro(ctx, A, &scale));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, V, &X, &Y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, V, &Y, &Z));
    LODE_TRY(lode_i_diff_fro(ctx, &Z, &X, &diff));
    *good = diff <= tol * norm;
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, A, &Y, &P));
    LODE_TRY(lode_i_scale_rows(ctx, &X, w));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, V, &X, &Y));
    LODE_TRY(lode_i_diff_fro(ctx, &P, &Y, &diff));
    *good = *good && diff <= tol * scale * norm;
done:
    LODE_FREE(&X, &Y, &Z, &P);
    return st;
}

/* Sum of eigenvalues against the trace, when only values are there and all of them. */
static lode_status check_values(const lode_array *A, const lode_array *w, double scale, bool *good)
{
    const int64_t n = A->shape[0];
    double trace = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        trace += lode_i_get2(A, i, i);
    for (int64_t i = 0; i < w->shape[0]; i++)
        sum += lode_i_get1(w, i);
    *good = w->shape[0] < n ? isfinite(sum)
                            : fabs(sum - trace) <= lode_i_epsilon(A->dtype) *
                                                       (100 + 10 * (double)n) * (double)n * scale;
    return LODE_OK;
}

/* From this order on, in tasks of as many columns: every one of them makes the blocks of reflectors anew. */
enum { SHARED_FROM = 512, SHARE = 256 };

static lode_status back(lode_ctx *ctx, int64_t i, void *data)
{
    const lode_i_tridiagonal *t = data;
    return lode_i_lapack_back(ctx, t, i * SHARE, lode_i_min(SHARE, t->n - i * SHARE));
}

/* All pairs of a (by columns, destroyed); vectors into z. What syevd does, the last step on all workers. */
static lode_status all_pairs(lode_ctx *ctx, lode_array *a, lode_array *w, lode_array *z, int *info)
{
    lode_status st = LODE_OK;
    const int64_t n = a->shape[0];
    lode_array e = { 0 }, tau = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, w->dtype, n, &e));
    LODE_TRY(lode_i_vector_new(ctx, a->dtype, n, &tau));
    lode_i_tridiagonal t = { .dtype = a->dtype,
                             .n = n,
                             .a = a->data,
                             .d = w->data,
                             .e = e.data,
                             .tau = tau.data,
                             .z = z->data };
    LODE_TRY(lode_i_lapack_tridiagonal(ctx, &t));
    LODE_TRY(lode_i_lapack_stedc(ctx, &t, info));
    if (*info == 0)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(n, SHARE), back, &t));
done:
    LODE_FREE(&e, &tau);
    return st;
}

static lode_status by_lapack(lode_ctx *ctx, bool range, const lode_array *A, int64_t k,
                             lode_array *w, lode_array *V, bool *good)
{
    lode_status st = LODE_OK;
    const int64_t n = A->shape[0];
    lode_array a = { 0 }, z = { 0 }, up = { 0 }, wv = { 0 }, v = { 0 }, down = { 0 };
    double scale;
    int info;
    LODE_TRY(lode_i_copy_op(ctx, LODE_T, A, &a)); /* by columns, A */
    LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), n, &up));
    if (range && V)
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, k, n, &z)); /* by columns n x k */
    const lode_i_eig_work e = { .dtype = A->dtype,
                                .n = n,
                                .il = n - k + 1,
                                .iu = n,
                                .a = a.data,
                                .w = up.data,
                                .z = z.data,
                                .vectors = V != NULL,
                                .range = range };
    if (!range && V && n >= SHARED_FROM) {
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, n, &z));
        LODE_TRY(all_pairs(ctx, &a, &up, &z, &info));
        lode_array_swap(&a, &z);
    } else {
        LODE_TRY(lode_i_lapack_eigh(ctx, &e, &info));
    }
    *good = info == 0;
    if (!*good)
        goto done;
    /* ascending to descending; range left its k values at the front */
    LODE_TRY(lode_i_vector_new(ctx, up.dtype, k, &wv));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&wv, i, lode_i_get1(&up, (range ? k : n) - 1 - i));
    if (V) {
        LODE_TRY(lode_array_slice(ctx, range ? &z : &a, 0, (range ? k : n) - 1,
                                  (range ? k : n) - 1 - k, -1, &down));
        LODE_TRY(lode_i_copy_op(ctx, LODE_T, &down, &v));
        LODE_TRY(check(ctx, A, &wv, &v, good));
    } else {
        LODE_TRY(lode_i_norm_fro(ctx, A, &scale));
        LODE_TRY(check_values(A, &wv, scale, good));
    }
    if (*good) {
        lode_array_swap(w, &wv);
        if (V)
            lode_array_swap(V, &v);
    }
done:
    LODE_FREE(&a, &z, &up, &wv, &v, &down);
    return st;
}

/* A + ||A|| I is positive semidefinite: its singular values and right vectors are those of A,
 * shifted. */
static lode_status by_jacobi(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *w,
                             lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, u = { 0 }, s = { 0 }, v = { 0 }, cut = { 0 }, wv = { 0 };
    double shift;
    LODE_TRY(lode_i_copy_op(ctx, LODE_N, A, &a));
    LODE_TRY(lode_i_norm_fro(ctx, A, &shift));
    for (int64_t i = 0; i < A->shape[0]; i++)
        lode_i_set2(&a, i, i, lode_i_get2(&a, i, i) + shift);
    LODE_TRY(lode_i_svd_jacobi(ctx, &a, &u, &s, &v));
    LODE_TRY(lode_i_vector_new(ctx, s.dtype, k, &wv));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&wv, i, lode_i_get1(&s, i) - shift);
    cut = lode_i_cols(&v, 0, k);
    if (V)
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, &cut, V));
    lode_array_swap(w, &wv);
done:
    LODE_FREE(&a, &u, &s, &v, &cut, &wv);
    return st;
}

lode_status lode_i_eigh_routed(lode_ctx *ctx, lode_i_eig_route first, const lode_array *A,
                               int64_t k, lode_array *w, lode_array *V)
{
    bool good = false;
    for (int route = (int)first; route < LODE_I_EIG_JACOBI && !good; route++)
        LODE_FORWARD(by_lapack(ctx, route == LODE_I_SYEVR, A, k, w, V, &good));
    if (good)
        return LODE_OK;
    lode_i_log(ctx,
               "eigh: LAPACK did not factor a matrix of order %" PRId64 "; one-sided Jacobi did",
               A->shape[0]);
    return by_jacobi(ctx, A, k, w, V);
}

lode_status lode_i_eigh(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *w, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array scaled = { 0 }, wv = { 0 }, v = { 0 };
    double factor;
    LODE_TRY(lode_i_check_matrix(ctx, "eigh", "A", A));
    const int64_t n = A->shape[0];
    LODE_REQUIRE(A->shape[1] == n, LODE_ESHAPE, "eigh: A is %" PRId64 " x %" PRId64 ", not square",
                 n, A->shape[1]);
    LODE_REQUIRE(k >= 0 && k <= n, LODE_ESHAPE,
                 "eigh: %" PRId64 " eigenvalues of a matrix of order %" PRId64, k, n);
    if (k == 0) {
        LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, 0, &v));
        LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), 0, &wv));
    } else {
        LODE_TRY(lode_i_moderate(ctx, "A", A, &scaled, &factor));
        /* finding few eigenvectors one by one takes half the time of all of them (n = 2000, k =
         * 50); a quarter of them takes longer than all, and in small matrices any part does */
        const lode_i_eig_route first = V && n >= 512 && 8 * k <= n ? LODE_I_EIG_FEW
                                                                   : LODE_I_EIG_ALL;
        LODE_TRY(lode_i_eigh_routed(ctx, first, factor == 1 ? A : &scaled, k, &wv, V ? &v : NULL));
        if (factor != 1)
            LODE_TRY(lode_i_scale(ctx, factor, &wv));
    }
    lode_array_swap(w, &wv);
    if (V)
        lode_array_swap(V, &v);
done:
    LODE_FREE(&scaled, &wv, &v);
    return st;
}
