/* Fits to observed entries, slice by slice: x_e ~ sum_r prod_m A_m[i_m, r] over the entries e that were
 * observed. A slice of a mode is a least-squares problem in its row of that mode's factor, with the row of
 * products of the others' rows as an entry's regressors; slices are independent of each other. Matrices
 * are the case of two modes. All sums in fixed order: same bits for any number of threads. */
#ifndef LODE_SLICES_H
#define LODE_SLICES_H

#include "array/observed.h"
#include "linalg/linalg.h"

/** How a row a of a factor is found from its slice, with h_e the regressors, w_e the weights:
 *  min 1/2 sum_e w_e (x_e - h_e a)^2 + ridge/2 |a|^2 + l1 |a|_1, a >= 0 where nonneg. */
typedef struct lode_i_row_rule {
    double ridge, l1;
    bool nonneg;
    int steps; /* of coordinate descent from the present row, where nonneg or l1; at least 1 */
    int refinements; /* > 0: regressions preconditioned by a sketch, refined so often, where a slice has
                      * enough entries for that to pay; the rest exactly */
    lode_stream stream; /* of the sketch */
} lode_i_row_rule;
/** What it took, counted. */
typedef struct lode_i_row_cost {
    double flops;     /* of the regressions */
    int64_t sketched; /* slices solved by a sketch */
} lode_i_row_cost;

/** Rows of factor[mode], in place, from all other factors: of each mode n_m x k, contiguous, in the type
 *  of x. A direction that no entry tells gets 0. sumsq (or NULL): sum of w_e (x_e - h_e a)^2 at the new
 *  rows. cost (or NULL) is added to. */
lode_status lode_i_observed_rows(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                 lode_array *factor, const lode_i_row_rule *rule, double *sumsq,
                                 lode_i_row_cost *cost);
/** Y[i] = sum over the slice i of w_e v_e h_e, new: the matricized tensor times the Khatri-Rao product of
 *  the other factors. v: in the order of the mode (NULL: the values of x). */
lode_status lode_i_observed_mttkrp(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                   const lode_array *v, const lode_array *factor, lode_array *Y);
/** r_e = x_e - sum_r scale_r prod_m A_m[i_m, r], in the order of `mode` (r NULL: not wanted), and the sum
 *  of w_e r_e^2. scale NULL: ones. */
lode_status lode_i_observed_residual(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                     const lode_array *factor, const lode_array *scale,
                                     lode_array *r, double *sumsq);
/** Bytes that these take besides their outputs. */
uint64_t lode_i_observed_room(const lode_ctx *ctx, lode_dtype dtype, int64_t k);

/** Where every entry counts, products say it all: rows of A (n x k, in place) from Y (n x k) and G (k x k, row
 *  by row), the Gram matrix of the regressors. Coordinate descent begins at the present rows. */
lode_status lode_i_product_rows(lode_ctx *ctx, const double *G, const lode_array *Y,
                                const lode_i_row_rule *rule, lode_array *A);
/** out = to + beta (to - from), not below 0 where nonneg: new. All contiguous, f32 or f64. */
lode_status lode_i_extrapolate(lode_ctx *ctx, double beta, bool nonneg, const lode_array *from,
                               const lode_array *to, lode_array *out);
/** Flat index of the first value below 0 of a contiguous f32 or f64 array; -1: none is. */
int64_t lode_i_first_negative(const lode_array *a);

#endif
