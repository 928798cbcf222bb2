/* Matrix operations. */
#ifndef LODE_MATRIX_H
#define LODE_MATRIX_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pca ---- */

typedef struct lode_pca_opts {
    size_t size;
    lode_rank_spec rank;  /* components; auto: the smaller of 10 and the sides */
    bool center;          /* subtract column means; off: components of the raw matrix */
    lode_missing missing; /* what counts as missing; default NaN */
    double tol;           /* stopping rule of the iteration over missing values */
    int64_t max_iter;
} lode_pca_opts;
LODE_API lode_pca_opts lode_pca_defaults(void);
extern LODE_API const lode_op lode_op_pca;

/** Principal components X ~ 1 mean^T + scores V^T, missing values allowed.
 *  X      in   m x n, m >= 1: array, source, sparse (kept sparse, centred implicitly); real
 *  model  out  V n x k, orthonormal; mean n, unit of X; s k, singular values of the centred matrix, descending;
 *              scores m x k, columns orthogonal with norms s; ratio k, shares of the variance; total, sum of squares about
 *              the mean; noise, variance left in a value; rows m. Certificate: relative Frobenius error over the
 *              observed values, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter sweeps were not enough (model valid); LODE_EPARAM rank above min(m, n);
 *  LODE_EDOMAIN infinity, or a column without observed value; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost: complete data as lode_svd; missing values 4 (observed) k^2 a sweep, and an f64 copy of X.
 *  Source: Tipping & Bishop 1999, doi:10.1111/1467-9868.00196; Ilin & Raiko, JMLR 11 (2010) 1957. */
LODE_API lode_status lode_pca(lode_ctx *ctx, const lode_pca_opts *o, lode_value X, lode_bundle *model);

#ifdef __cplusplus
}
#endif
#endif
