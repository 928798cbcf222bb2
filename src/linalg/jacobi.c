/* One-sided Jacobi: rotations make the columns of A orthogonal, A V = U diag(s). Slow, and right
 * for any finite matrix, to high relative accuracy; it serves where LAPACK fails. Source: Hestenes,
 * J. SIAM 6 (1958); Demmel & Veselic, SIAM J. Matrix Anal. 13 (1992). */
#include "linalg/blas.h"

#include <math.h>

enum { SWEEPS = 60 };

#define REAL float
#define NAME(x) x##_f32
#define WIDTH 1
#include "linalg/jacobi_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#define WIDTH 1
#include "linalg/jacobi_kernel.inc"
#define REAL float
#define NAME(x) x##_c64
#define WIDTH 2
#include "linalg/jacobi_kernel.inc"
#define REAL double
#define NAME(x) x##_c128
#define WIDTH 2
#include "linalg/jacobi_kernel.inc"

static double sweep(lode_array *w, lode_array *v, double zero)
{
    const int64_t n = w->shape[0], m = w->shape[1];
    switch (w->dtype) {
    case LODE_F32: return sweep_f32(n, m, w->data, v->data, zero);
    case LODE_F64: return sweep_f64(n, m, w->data, v->data, zero);
    case LODE_C64: return sweep_c64(n, m, w->data, v->data, zero);
    default: return sweep_c128(n, m, w->data, v->data, zero);
    }
}

/* Positions of norms in descending order, ties in order of position. */
static void sort(const double *norm, int64_t n, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        for (; at > 0 && norm[order[at - 1]] < norm[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

lode_status lode_i_svd_jacobi(lode_ctx *ctx, const lode_array *A, lode_array *U, lode_array *s,
                              lode_array *V)
{
    lode_status st = LODE_OK;
    const int64_t m = A->shape[0], n = A->shape[1];
    lode_array w = { 0 }, v = { 0 }, u = { 0 }, vs = { 0 }, sv = { 0 }, from = { 0 }, to = { 0 },
               turned = { 0 };
    double *norm = NULL;
    int64_t *order = NULL, zeros = 0;
    double worst = 1, largest = 0;
    LODE_TRY(lode_i_copy_op(ctx, LODE_T, A, &w));
    LODE_TRY(lode_i_eye(ctx, A->dtype, n, &v));
    LODE_TRY(LODE_NEW(ctx, n, &norm));
    LODE_TRY(LODE_NEW(ctx, n, &order));
    const double tol = lode_i_epsilon(A->dtype) * sqrt((double)m);
    /* what is this small beside the rest is rounding, and its direction too: turning on it never
     * ends where it is close to the smallest numbers there are */
    const double small = lode_i_epsilon(A->dtype) * lode_i_epsilon(A->dtype);
    for (int64_t j = 0; j < n; j++) {
        from = lode_i_rows(&w, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &from, &norm[j]));
        lode_array_free(&from);
        largest = fmax(largest, norm[j]);
    }
    const double zero = small * largest * small * largest;
    for (int i = 0; i < SWEEPS && worst > tol; i++) {
        LODE_TRY(lode_i_cancelled(ctx));
        worst = sweep(&w, &v, zero);
    }
    LODE_TRY(lode_i_vector_new(ctx, lode_i_real_of(A->dtype), n, &sv));
    for (int64_t j = 0; j < n; j++) {
        from = lode_i_rows(&w, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &from, &norm[j]));
        lode_array_free(&from);
    }
    sort(norm, n, order);
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, m, n, &u));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, n, &vs));
    for (int64_t j = 0; j < n; j++) {
        const double length = norm[order[j]];
        const bool none = !(length > norm[order[0]] * small);
        lode_i_set1(&sv, j, length);
        from = lode_i_rows(&w, order[j], order[j] + 1);
        LODE_TRY(lode_i_scale(ctx, none ? 0 : 1 / length, &from));
        turned = lode_i_transposed(&from);
        to = lode_i_cols(&u, j, j + 1);
        LODE_TRY(lode_array_copy_into(ctx, &turned, &to));
        LODE_FREE(&from, &to);
        from = lode_i_rows(&v, order[j], order[j] + 1);
        turned = lode_i_transposed(&from);
        to = lode_i_cols(&vs, j, j + 1);
        LODE_TRY(lode_array_copy_into(ctx, &turned, &to));
        LODE_FREE(&from, &to);
        zeros += none;
    }
    /* the zero columns become orthogonal to the others */
    if (zeros > 0)
        LODE_TRY(lode_i_orth(ctx, &u, NULL));
    if (worst > tol)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "svd: Jacobi left columns at a cosine of %.1e after %d sweeps", worst,
                         (int)SWEEPS);
    lode_array_swap(s, &sv);
    if (U)
        lode_array_swap(U, &u), lode_array_swap(V, &vs);
done:
    lode_i_free(norm), lode_i_free(order);
    LODE_FREE(&w, &v, &u, &vs, &sv, &from, &to);
    return st;
}
