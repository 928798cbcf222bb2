/* Matrix operations. */
#ifndef LODE_MATRIX_H
#define LODE_MATRIX_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- svd ---- */

typedef enum lode_svd_method {
    LODE_SVD_AUTO,
    LODE_SVD_KRYLOV, /* randomized block Krylov on A^H A: one pass a step */
    /* block Golub-Kahan, both sides orthogonalized: small values keep their digits */
    LODE_SVD_GOLUB_KAHAN,
    LODE_SVD_FULL, /* all triplets by LAPACK, then cut */
    /* Gram matrix of the shorter side, or where its squares lose too much its triangular factor */
    LODE_SVD_GRAM
} lode_svd_method;

typedef struct lode_svd_opts {
    size_t size;
    lode_rank_spec rank;   /* triplets; auto: from error, else all where min(m, n) <= 2000 */
    lode_error_spec error; /* none, :rel or :fro: the smallest rank within it */
    lode_auto_i64 max_rank;
    lode_svd_method method;
    /* columns of a block beyond the rank; auto: smaller blocks, more steps */
    lode_auto_i64 oversampling;
    /* relative error of each singular value; auto: 1e-6, single precision 5e-5 */
    lode_auto_f64 tol;
    int64_t max_iter; /* block steps at most */
} lode_svd_opts;
LODE_API lode_svd_opts lode_svd_defaults(void);
extern LODE_API const lode_op lode_op_svd;

/** Singular value decomposition A ~ U diag(s) V^H, truncated to a rank or an error.
 *  ctx  in   one per thread                      o  in  start from lode_svd_defaults(), set rank or
 *            error
 *  A    in   m x n: array, source, sparse, linop or callback; any number type; finite
 *  U    out  m x k, orthonormal columns, largest entry of each positive
 *  s    out  k, real, descending, >= 0, unit of A
 *  V    out  n x k, orthonormal columns
 *  cert out  or NULL: relative Frobenius error of U diag(s) V^H, measured; where A is known by
 *            products alone, the largest ||A^H u - s v|| over s_1
 *  Returns LODE_OK; LODE_NOCONV max_iter steps were not enough, LODE_MISSED max_rank binds before
 *  the error is reached (outputs valid); LODE_EPARAM several ranks, an error that is neither :rel
 *  nor :fro; LODE_EUSAGE rank and error both, or neither with min(m, n) > 2000, or an error for a
 *  callback; LODE_ESHAPE rank > min(m, n); LODE_EDOMAIN NaN or infinity in A, s beyond its type;
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over A: full 1; gram 2, or 3 where its squares lose too much; krylov one a step, 4 to 10
 *  for a decaying spectrum. Cost 4 mn a column of the basis, which has 3 to 4 times the rank; gram
 *  min(m, n) mn.
 *  Source: Musco & Musco 2015, doi:10.48550/arXiv.1504.05477; Halko, Martinsson & Tropp 2011,
 *  doi:10.1137/090771806. */
LODE_API lode_status lode_svd(lode_ctx *ctx, const lode_svd_opts *o, lode_value A, lode_array *U,
                              lode_array *s, lode_array *V, lode_certificate *cert);

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
 *  model  out  V n x k, orthonormal; mean n, unit of X; s k, singular values of the centred matrix,
 *              descending; scores m x k, columns orthogonal with norms s; ratio k, shares of the
 *              variance; total, sum of squares about the mean; noise, variance left in a value;
 *              rows m. Certificate: relative Frobenius error over the observed values, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter sweeps were not enough (model valid); LODE_EPARAM rank
 *  above min(m, n);
 *  LODE_EDOMAIN infinity, or a column without observed value; LODE_ENOMEM; LODE_EBUDGET;
 *  LODE_ECANCEL.
 *  Cost: complete data as lode_svd; missing values 4 (observed) k^2 a sweep, and an f64 copy of X.
 *  Source: Tipping & Bishop 1999, doi:10.1111/1467-9868.00196; Ilin & Raiko, JMLR 11 (2010)
 *  1957. */
LODE_API lode_status lode_pca(lode_ctx *ctx, const lode_pca_opts *o, lode_value X,
                              lode_bundle *model);

/* ---- rank ---- */

typedef struct lode_rank_opts {
    size_t size;
    lode_auto_i64 max_rank; /* candidates; auto: 64, or all but one of the shorter side */
    const char *methods;    /* "all", or names by comma, see rank.c */
    lode_auto_f64 noise;    /* standard deviation of the noise in an entry; auto: from the values */
    bool center;            /* subtract column means first */
    lode_missing missing;   /* what counts as missing; default NaN */
    double holdout;         /* share of the entries kept back at a time */
    lode_auto_i64 resamples; /* shuffles and random halves; auto: 20, fewer shuffles where large */
    lode_axes axes;          /* of a tensor: the modes asked about */
} lode_rank_opts;
LODE_API lode_rank_opts lode_rank_defaults(void);
extern LODE_API const lode_op lode_op_rank;

/** How many components a matrix has beyond noise, by several criteria, with intervals; of a tensor,
 *  each unfolding. (lode_rank(R) is the rank_spec of a number, hence the plural.)
 *  X      in   m x n, m, n >= 4, or a tensor: array or source; real; a row an observation
 *  model  out  rank d, the recommendation of each of d modes; criteria d x 6 x 3, rank, low and high
 *              end of each criterion in the order of the option's names, -1: not asked or not to be
 *              told; s d x p, singular values, unit of X; s_error, their standard errors; threshold,
 *              noise, floor d; null and null_mean d x K, what shuffled data reach; cv, cv_error, mdl,
 *              aic d x (K + 1), of ranks 0..K; stability, stability_low, stability_high d x K;
 *              sides d x 2; axes d; advice, a sentence a mode. NaN: not computed.
 *              Certificate: relative error of held-out entries at the recommended rank.
 *  Returns LODE_OK; LODE_EPARAM rank cap above the shorter side, axes; LODE_EUSAGE no such method;
 *  LODE_ESHAPE fewer than 4 rows or columns, the shorter side above 8192; LODE_EDOMAIN NaN or
 *  infinity (named), a row or column without observed value, data that do not vary; LODE_ENOMEM;
 *  LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over X: 3 and no copy for gavish-donoho, mdl, aic, stability; parallel and
 *  cross-validation hold X, and so does filling gaps. Cost min(m, n) mn + min(m, n)^3 and about as
 *  much again for either of them.
 *  Source: Gavish & Donoho 2014, doi:10.1109/TIT.2014.2323359; Horn 1965, doi:10.1007/BF02289447;
 *  Owen & Perry 2009, doi:10.1214/08-AOAS227; Wax & Kailath 1985, doi:10.1109/TASSP.1985.1164557. */
LODE_API lode_status lode_ranks(lode_ctx *ctx, const lode_rank_opts *o, lode_value X,
                                lode_bundle *model);

#ifdef __cplusplus
}
#endif
#endif
