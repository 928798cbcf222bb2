/* Least squares over the observed entries of a matrix: what decompositions with missing values are
 * made of. X: m x n, f64, contiguous, NaN = missing. All sums in fixed order: same bits for any
 * number of threads. */
#ifndef LODE_MASKED_H
#define LODE_MASKED_H

#include "linalg/linalg.h"

/** f64 copy of X with every entry that equals `value` made NaN (value NaN: a plain copy). */
lode_status lode_i_masked_from(lode_ctx *ctx, const lode_array *X, double value, lode_array *out);
/** Mean of the observed entries of each column (n values, f64) and, with count not NULL, how many
 *  there are. A column without any is LODE_EDOMAIN, which names it; infinities too. */
lode_status lode_i_masked_means(lode_ctx *ctx, const lode_array *X, lode_array *mean,
                                lode_array *count);
/** Y = X - 1 mean^T where observed, 0 where not: new, f64. */
lode_status lode_i_masked_centre(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                 lode_array *Y);

/** Probabilistic PCA x_i = W z_i + mean + noise, z ~ N(0, I_k), noise variance `noise`. */
typedef struct lode_ppca {
    lode_array W;    /* n x k */
    lode_array mean; /* n */
    lode_array Z;    /* m x k: posterior means of the rows */
    double noise;
} lode_ppca;
/** One sweep of expectation maximization over the observed entries (Tipping & Bishop 1999; Ilin &
 *  Raiko 2010, JMLR 11, section 4.1), W and mean updated jointly column by column, then the
 *  expansion of the parameters that makes the posterior second moment the identity (Liu, Rubin & Wu
 *  1998). */
lode_status lode_i_ppca_sweep(lode_ctx *ctx, const lode_array *X, lode_ppca *p);
/** Bytes that a sweep allocates. */
uint64_t lode_i_ppca_workspace(int64_t m, int64_t n, int64_t k);
/** X with its missing entries filled by 1 mean^T + Z V^T: new, f64. */
lode_status lode_i_masked_fill(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                               const lode_array *V, const lode_array *Z, lode_array *out);
/** Norms over the observed entries: of X - 1 mean^T - Z V^T and of X. */
lode_status lode_i_masked_residual(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                   const lode_array *V, const lode_array *Z, double *residual,
                                   double *norm);
/** Scores of rows given a basis: z_i = argmin sum_observed (x_ij - mean_j - v_j z)^2 + sum_c
 *  ridge_c z_c^2. */
lode_status lode_i_masked_scores(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                 const lode_array *V, const lode_array *ridge, lode_array *Z);

/** errors[k] = sum over the entries with weight (W NULL: all) of (A - L_k R_k)^2, L_k the first k of
 *  the K columns of L, R_k those rows of R: k = 0..K. All f64 and contiguous. */
lode_status lode_i_nested_errors(lode_ctx *ctx, const lode_array *A, const lode_array *W,
                                 const lode_array *L, const lode_array *R, double *errors);

#endif
