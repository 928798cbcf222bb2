/* Nonnegative least squares from Gram products, and what goes with it: the inner work of nonnegative
 * factorizations. Matrices of one type, f32 or f64, contiguous. Same bits for any number of threads. */
#ifndef LODE_NONNEG_H
#define LODE_NONNEG_H

#include "linalg/linalg.h"
#include "lode/op.h"

/** min over w >= 0 of 1/2 w G w' - p w' + l1 sum w + ridge/2 |w|^2 for each row w of W: sweeps of coordinate
 *  descent from the present rows, blocks of rows at a time. A block is done when a sweep moves it by less
 *  than `enough` times what the first one did, or after `sweeps`. */
typedef struct lode_i_nonneg_rule {
    double l1, ridge;
    int sweeps;
    double enough;
} lode_i_nonneg_rule;
/** W (m x k) in place; P m x k, G k x k, f64 or of the type of W. Never ends higher than it began. A column
 *  with G[c, c] + ridge = 0 becomes 0. */
lode_status lode_i_nonneg_rows(lode_ctx *ctx, const lode_array *P, const lode_array *G,
                               const lode_i_nonneg_rule *rule, lode_array *W);
/** out = max(0, now + beta (now - before)); out may be `before`. */
lode_status lode_i_nonneg_beyond(lode_ctx *ctx, double beta, const lode_array *before,
                                 const lode_array *now, lode_array *out);
/** W *= above / (below + l1 + ridge W), a multiplicative update (Lee & Seung 2001) of least squares, or of the
 *  divergence where entropic. above, below: of the shape of W, or below k values for all rows. */
typedef struct lode_i_nonneg_update {
    const lode_array *above, *below;
    double l1, ridge;
    bool entropic;
} lode_i_nonneg_update;
lode_status lode_i_nonneg_multiply(lode_ctx *ctx, const lode_i_nonneg_update *u, lode_array *W);
/** Of values x, weights w (NULL: 1) and residuals r = x - f: r becomes x / f; *divergence (or NULL): the
 *  sum of w (x log(x / f) - x + f), f left out unless `all`. */
lode_status lode_i_nonneg_ratios(lode_ctx *ctx, const lode_array *x, const lode_array *w, bool all,
                                 lode_array *r, double *divergence);
/** LODE_EDOMAIN naming the first entry of X (array, source or sparse) that is negative, or not finite; one
 *  that is missing is neither (missing NULL: none is). gaps (or NULL): how many are missing. */
lode_status lode_i_require_nonneg(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                                  const char *op, int64_t *gaps);

#endif
