/* Private to make: kinds with files of their own. */
#ifndef LODE_OPS_MAKE_H
#define LODE_OPS_MAKE_H

#include "array/array.h"

/** 2 d I less the adjacency matrix of a grid of ndim axes, CSR: its eigenvalues are sums over the axes of
 *  4 sin^2(pi i / (2 (length + 1))). */
lode_status lode_i_make_laplacian(lode_ctx *ctx, int ndim, const int64_t *shape, lode_dtype dtype,
                                  lode_sparse *result);
/** Rows of d indexes, uniform in [0, 1), and the value there of a sum of so many products of d cosines, each of up
 *  to one and a half periods: n x (d + 1). */
lode_status lode_i_make_observations(lode_ctx *ctx, const int64_t *shape, int64_t terms,
                                     lode_array *x);

/** Adds to x (contiguous, f64) gross errors at a share of its places, and gives them as CSR: either sign, sizes
 *  uniform in [1, 10). */
lode_status lode_i_make_outliers(lode_ctx *ctx, double share, lode_array *x, lode_sparse *errors);

#endif
