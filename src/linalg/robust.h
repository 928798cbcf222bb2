/* Passes over a matrix that is taken apart, X ~ L + S: L = left right^T is formed a few rows at a time, never
 * whole, and every pass reads and writes each array once. X (m x n), Y and W: contiguous, f32 or f64, all of
 * one type; NaN in X: not observed. left m x k, right n x k, of that type, contiguous; k may be 0.
 * Sums in f64 and a fixed order: same bits for any number of threads. */
#ifndef LODE_ROBUST_H
#define LODE_ROBUST_H

#include "linalg/linalg.h"

typedef struct lode_i_robust {
    const lode_array *X, *left, *right;
} lode_i_robust;

/** What a pass adds up, over observed entries unless said otherwise. */
typedef struct lode_i_robust_sums {
    double a, b, c;
} lode_i_robust_sums;

/** An iteration of alternating directions on |L|_* + g(T), L + T = X, where g is lambda |t|, or with nu > 0 the
 *  least of lambda |s| + (t - s)^2 / (2 nu) over s. With R = X - L + Y / mu: Y becomes R mu / (1 + mu nu)
 *  cut to +-lambda, T = R - Y / mu, and W = X - T + Y / next. T before is X + Y / mu - W. Where X was not
 *  observed, T = -L is free and Y = 0. */
typedef struct lode_i_robust_rule {
    double lambda, nu, mu, next;
} lode_i_robust_rule;
/** a: |Y - Y before|^2, b: |T - T before|^2 over all entries, c: |Y|^2. */
lode_status lode_i_robust_step(lode_ctx *ctx, const lode_i_robust *x,
                               const lode_i_robust_rule *rule, lode_array *Y, lode_array *W,
                               lode_i_robust_sums *sums);
/** Y = share X cut to +-lambda, W = X + Y / mu; 0 where X was not observed. */
lode_status lode_i_robust_begin(lode_ctx *ctx, const lode_array *X, double share,
                                const lode_i_robust_rule *rule, lode_array *Y, lode_array *W);
/** W = X where |X - L| <= zeta, else (and where not observed) L. a: |X - L|^2 over the former, b: over all
 *  observed, c: how many observed are off by more. */
lode_status lode_i_robust_replace(lode_ctx *ctx, const lode_i_robust *x, double zeta, lode_array *W,
                                  lode_i_robust_sums *sums);
/** W = X - L. */
lode_status lode_i_robust_rest(lode_ctx *ctx, const lode_i_robust *x, lode_array *W);
/** W = S, dense. By the signs of a dual matrix that has reached +-lambda (Y given): D - lambda nu sign(Y) where
 *  that has Y's sign, D = X - L; else D where |D| > zeta. */
lode_status lode_i_robust_outliers(lode_ctx *ctx, const lode_i_robust *x,
                                   const lode_i_robust_rule *rule, const lode_array *Y, double zeta,
                                   lode_array *W);
/** Entries of a contiguous W that are not 0, as CSR. */
lode_status lode_i_robust_compress(lode_ctx *ctx, const lode_array *W, lode_sparse *S);
/** With S (CSR with sorted columns, of X's type): a: |X - L - S|^2, b: g(X - L), c: |X|^2. */
lode_status lode_i_robust_measure(lode_ctx *ctx, const lode_i_robust *x, const lode_sparse *S,
                                  const lode_i_robust_rule *rule, lode_i_robust_sums *sums);
/** a: <X, Y> over observed entries. */
lode_status lode_i_robust_inner(lode_ctx *ctx, const lode_array *X, const lode_array *Y,
                                lode_i_robust_sums *sums);

/** X becomes NaN where mask (contiguous, of X's type; NULL: none) is 0 and where it equals value (NaN: nowhere). */
lode_status lode_i_robust_hide(lode_ctx *ctx, const lode_array *mask, double value, lode_array *X);
/** out (a contiguous box that begins at start) += the entries of S in it. */
lode_status lode_i_robust_add(lode_ctx *ctx, const lode_sparse *S, const int64_t *start,
                              lode_array *out);

/** Rows Z (p x k, new) with sum_j h(X_ij - v_j z_i) least over the observed j, h(t) = |t| down to `least`,
 *  below which it is a parabola (Huber): weighted least squares, again and again, while the bend of the
 *  parabola shrinks to it. X (p x n) and V (n x k) f64 and contiguous. R (p x n, new): X - Z V^T where that is
 *  more than `beyond` and more than a millionth of the row's largest value, else 0. */
lode_status lode_i_robust_rows(lode_ctx *ctx, const lode_array *X, const lode_array *V,
                               double least, double beyond, lode_array *Z, lode_array *R);

#endif
