/* Core shapes: which multilinear ranks a Tucker decomposition of a given size should have.
 * Source: Ghadiri, Fahrbach, Fu, Mirrokni, "Approximately Optimal Core Shapes for Tensor
 * Decompositions" (ICML 2023): the Tucker packing problem over higher-order singular values. */
#ifndef LODE_LINOP_CORESHAPE_H
#define LODE_LINOP_CORESHAPE_H

#include "linalg/linalg.h"

/** Ranks that minimize sum_i tail_i(r_i), tail_i(r) = sum_{j >= r} spectra[i][j]^2, subject to
 *  prod(r_i) + sum(shape[i] r_i) <= params.
 *  spectra   in   for each mode its higher-order singular values, descending, count[i] <= shape[i]
 *                 of them (what lies beyond counts as zero)
 *  params    in   numbers that core and factors may hold together
 *  ranks     out  1 <= r_i <= min(shape[i], count[i])
 *  predicted out  or NULL: sqrt of the sum of tails: HOSVD's error is at most this, and at least
 *                 this over sqrt(ndim)
 *  proved    out  or NULL: whether the search ended with the optimum of the surrogate (it gives up
 *                 after a fixed number of nodes and then keeps the best found)
 *  LODE_EPARAM when not even ranks of 1 fit: the sentence gives the number that would. */
lode_status lode_i_core_shape(lode_ctx *ctx, int ndim, const int64_t *shape,
                              const double *const *spectra, const int64_t *count, double params,
                              int64_t *ranks, double *predicted, bool *proved);

#endif
