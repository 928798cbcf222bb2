/* The inner product of snapshots: weights of their values, or a matrix, which is checked and multiplied with all
 * of them once. */
#include <math.h>

#include "ops/dynamics/pod.h"

/* ---- the inner product ---- */

static lode_status times(lode_ctx *ctx, const lode_i_snapshots *s, const lode_array *X,
                         lode_array *Y)
{
    return s->M.data ? lode_i_gemm(ctx, LODE_N, LODE_N, &s->M, X, Y)
                     : lode_i_spmm(ctx, LODE_N, &s->Ms, X, Y);
}

bool lode_i_snapshots_by_matrix(const lode_i_snapshots *s)
{
    return s->M.data || s->Ms.indptr.data;
}

/* M Phi, new. */
lode_status lode_i_snapshots_weighted(lode_ctx *ctx, const lode_i_snapshots *s,
                                      const lode_array *Phi, lode_array *out)
{
    if (lode_i_snapshots_by_matrix(s))
        return times(ctx, s, Phi, out);
    LODE_FORWARD(lode_array_cast(ctx, Phi, s->wide, out));
    return s->weights.data ? lode_i_scale_rows(ctx, out, &s->weights) : LODE_OK;
}

lode_status lode_i_snapshots_metric(lode_ctx *ctx, const lode_i_snapshots *s, const lode_array *Phi,
                                    lode_array *S)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    if (lode_i_snapshots_by_matrix(s)) {
        LODE_TRY(times(ctx, s, Phi, &y));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, Phi, &y, S));
    } else if (s->root.data) {
        LODE_TRY(lode_array_cast(ctx, Phi, s->wide, &y));
        LODE_TRY(lode_i_scale_rows(ctx, &y, &s->root));
        LODE_TRY(lode_i_gram(ctx, LODE_H, &y, S));
    } else {
        LODE_TRY(lode_i_gram(ctx, LODE_H, Phi, S));
    }
done:
    lode_array_free(&y);
    return st;
}

/* ---- weights, or a matrix ---- */

static lode_status check_symmetric(lode_ctx *ctx, const lode_sparse *M)
{
    lode_status st = LODE_OK;
    lode_sparse T = { 0 };
    LODE_TRY(lode_i_csr_transpose(ctx, LODE_T, M, &T));
    const int64_t nnz = lode_sparse_nnz(M);
    int64_t row = 0;
    for (int64_t k = 0; k < nnz; k++) {
        while ((int64_t)lode_i_get1(&M->indptr, row + 1) <= k)
            row++;
        const int64_t j = (int64_t)lode_i_get1(&M->indices, k);
        const int64_t i = (int64_t)lode_i_get1(&T.indices, k);
        const double a = lode_i_get1(&M->values, k), b = lode_i_get1(&T.values, k);
        LODE_REQUIRE((int64_t)lode_i_get1(&T.indptr, row) <= k &&
                         k < (int64_t)lode_i_get1(&T.indptr, row + 1) && i == j &&
                         fabs(a - b) <= 1e-10 * (fabs(a) + fabs(b)),
                     LODE_EDOMAIN,
                     "pod: M is not symmetric: M[%" PRId64 ",%" PRId64
                     "] is %g, and not that of its transpose",
                     row, j, a);
        if (k % 65536 == 0)
            LODE_TRY(lode_i_cancelled(ctx));
    }
done:
    lode_sparse_free(&T);
    return st;
}

static lode_status check_dense(lode_ctx *ctx, const lode_array *M)
{
    for (int64_t i = 0; i < M->shape[0]; i++)
        for (int64_t j = 0; j < i; j++) {
            const double a = lode_i_get2(M, i, j), b = lode_i_get2(M, j, i);
            if (!(fabs(a - b) <= 1e-10 * (fabs(a) + fabs(b))))
                return lode_i_fail(ctx, LODE_EDOMAIN,
                                   "pod: M is not symmetric: M[%" PRId64 ",%" PRId64
                                   "] is %g, M[%" PRId64 ",%" PRId64 "] %g",
                                   i, j, a, j, i, b);
        }
    return LODE_OK;
}

/* Held as they are used, and M B^H. */
static lode_status hold_block(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                              const lode_array *B, void *data)
{
    (void)s;
    lode_array to = lode_i_cols(data, j0, j1);
    const lode_status st = lode_array_copy_into(ctx, B, &to);
    lode_array_free(&to);
    return st;
}

static lode_status hold(lode_ctx *ctx, lode_i_snapshots *s)
{
    lode_status st = LODE_OK;
    lode_array held = { 0 }, turned = { 0 }, own = { 0 };
    double norm = 0;
    bool again = false;
    LODE_TRY(lode_i_matrix_new(ctx, s->wide, s->count, s->length, &held));
    LODE_TRY(lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ hold_block, &held, &norm }));
    LODE_TRY(lode_i_snapshots_rescale(ctx, norm, s, &again));
    if (again)
        LODE_TRY(lode_i_snapshots_pass(ctx, s, &(lode_i_snapshots_job){ hold_block, &held, NULL }));
    turned = lode_i_transposed(&held);
    LODE_TRY(lode_array_cast(ctx, &turned, s->wide, &own));
    LODE_TRY(lode_i_conj(ctx, &own));
    LODE_TRY(times(ctx, s, &own, &s->MB));
done:
    LODE_FREE(&held, &own);
    return st;
}

lode_status lode_i_snapshots_weigh(lode_ctx *ctx, const lode_array *weights, lode_value M,
                                   lode_i_snapshots *s)
{
    lode_status st = LODE_OK;
    lode_sparse csr = { 0 };
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    const int64_t n = s->length;
    if (weights) {
        LODE_REQUIRE(
            weights->ndim == 1 && weights->shape[0] == n && lode_dtype_class(weights->dtype) != 'c',
            LODE_ESHAPE,
            "pod: weights must be %" PRId64 " real numbers, one for each value of a snapshot", n);
        LODE_TRY(lode_array_cast(ctx, weights, LODE_F64, &s->weights));
        LODE_TRY(lode_array_cast(ctx, &s->weights, LODE_F64, &s->root));
        for (int64_t j = 0; j < n; j++) {
            const double w = lode_i_get1(&s->weights, j);
            LODE_REQUIRE(w >= 0 && isfinite(w), LODE_EDOMAIN,
                         "pod: weights[%" PRId64 "] is %g; weights are finite and >= 0", j, w);
            lode_i_set1(&s->root, j, sqrt(w));
        }
    }
    if (M.kind == LODE_NONE)
        goto done;
    LODE_REQUIRE(lode_i_value_shape(M, &dtype, &ndim, shape) && ndim == 2 && shape[0] == n &&
                     shape[1] == n && lode_dtype_class(dtype) != 'c',
                 LODE_ESHAPE,
                 "pod: M must be a real %" PRId64 " x %" PRId64
                 " matrix, as snapshots have %" PRId64 " values",
                 n, n, n);
    if (M.kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_to_csr(ctx, M.as.sparse, &csr));
        LODE_TRY(check_symmetric(ctx, &csr));
        s->Ms = csr, csr = (lode_sparse){ 0 };
        lode_array values = { 0 };
        LODE_TRY(lode_array_cast(ctx, &s->Ms.values, s->wide, &values));
        lode_array_swap(&s->Ms.values, &values);
        lode_array_free(&values);
    } else {
        LODE_TRY(lode_i_as_array(ctx, M, s->wide, &s->M));
        LODE_TRY(lode_i_require_finite(ctx, &s->M, "M"));
        LODE_TRY(check_dense(ctx, &s->M));
    }
    LODE_TRY(hold(ctx, s));
done:
    lode_sparse_free(&csr);
    return st;
}
