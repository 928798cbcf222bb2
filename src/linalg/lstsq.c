/* Least squares: QR makes the system square, LAPACK's complete orthogonal factorization (QR with
 * column pivoting, then the null space removed) gives the solution of smallest norm. */
#include "linalg/blas.h"

/* min ||T Y - C||, T square (op(R) of the QR factor), smallest norm. */
static lode_status square(lode_ctx *ctx, lode_trans t, const lode_array *R, const lode_array *C,
                          double rcond, lode_array *Y, int64_t *rank)
{
    lode_status st = LODE_OK;
    const int64_t n = R->shape[0], k = C->shape[1];
    lode_array a = { 0 }, b = { 0 };
    int info = 0;
    LODE_TRY(lode_i_matrix_new(ctx, R->dtype, n, n, &a));
    const lode_i_operand op = lode_i_operand_of(t, R);
    lode_i_operand by_columns = lode_i_operand_transposed(&op);
    lode_i_operand_pack(&by_columns, R->dtype, a.data);
    LODE_TRY(lode_i_copy_op(ctx, LODE_T, C, &b)); /* by columns, C */
    const lode_i_ls_work w = {
        .dtype = R->dtype, .m = n, .n = n, .nrhs = k, .a = a.data, .b = b.data, .rcond = rcond
    };
    LODE_TRY(lode_i_lapack_gelsy(ctx, &w, rank, &info));
    LODE_REQUIRE(info == 0, LODE_EINTERNAL, "least squares: LAPACK refused argument %d", -info);
    LODE_TRY(lode_i_copy_op(ctx, LODE_T, &b, Y));
done:
    LODE_FREE(&a, &b);
    return st;
}

lode_status lode_i_lstsq(lode_ctx *ctx, const lode_array *A, const lode_array *B, lode_array *X,
                         int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_array q = { 0 }, r = { 0 }, c = { 0 }, y = { 0 }, x = { 0 }, turned = { 0 };
    int64_t found = 0;
    LODE_TRY(lode_i_check_matrix(ctx, "least squares", "A", A));
    LODE_TRY(lode_i_check_matrix(ctx, "least squares", "B", B));
    const int64_t m = A->shape[0], n = A->shape[1], k = B->shape[1];
    LODE_REQUIRE(B->shape[0] == m && B->dtype == A->dtype, LODE_ESHAPE,
                 "least squares: A is %" PRId64 " x %" PRId64 " %s, B %" PRId64 " x %" PRId64
                 " %s; they do not fit",
                 m, n, lode_dtype_name(A->dtype), B->shape[0], k, lode_dtype_name(B->dtype));
    LODE_TRY(lode_i_require_finite(ctx, B, "B"));
    const double rcond = lode_i_epsilon(A->dtype) * (double)lode_i_max(m, n);
    if (m == 0 || n == 0 || k == 0) {
        LODE_TRY(lode_array_zeros(ctx, A->dtype, 2, (const int64_t[]){ n, k }, &x));
    } else if (m >= n) {
        LODE_TRY(lode_i_qr(ctx, A, &q, &r));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &q, B, &c));
        LODE_TRY(square(ctx, LODE_N, &r, &c, rcond, &x, &found));
    } else { /* A^H = Q R: x = Q y with R^H y = b, y of smallest norm */
        LODE_TRY(lode_i_copy_op(ctx, LODE_H, A, &turned));
        LODE_TRY(lode_i_qr(ctx, &turned, &q, &r));
        LODE_TRY(square(ctx, LODE_H, &r, B, rcond, &y, &found));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &q, &y, &x));
    }
    lode_array_swap(X, &x);
    if (rank)
        *rank = found;
done:
    LODE_FREE(&q, &r, &c, &y, &x, &turned);
    return st;
}
