/* Sums of outer products, x ~ sum_r scale_r a_r^(0) o a_r^(1) o ..: what cp, nmf and complete give, matrices
 * being the case of two modes. All arrays in one arithmetic type, factors n_m x k, contiguous. */
#ifndef LODE_KRUSKAL_H
#define LODE_KRUSKAL_H

#include "linalg/linalg.h"

typedef struct lode_i_kruskal {
    int ndim;
    int64_t k;
    lode_array scale; /* k; no data: all 1 */
    lode_array factor[LODE_MAX_NDIM];
} lode_i_kruskal;
void lode_i_kruskal_free(lode_i_kruskal *m);

/** Columns of every factor to length 1, their lengths into the scales, which descend; of every factor but
 *  the last, the largest entry of a column becomes positive, and of the last too where the scale then stays
 *  positive with them: scales are >= 0. A column of zeros stays. */
lode_status lode_i_kruskal_normalize(lode_ctx *ctx, lode_i_kruskal *m);
/** A matrix: the same product with orthonormal columns, its singular value decomposition. */
lode_status lode_i_kruskal_orthogonalize(lode_ctx *ctx, lode_i_kruskal *m);
/** The box of the tensor; start, count NULL: all of it. */
lode_status lode_i_kruskal_expand(lode_ctx *ctx, const lode_i_kruskal *m, const int64_t *start,
                                  const int64_t *count, lode_array *out);
/** Frobenius norm of the tensor, from the factors: its rounding is relative to the terms. */
lode_status lode_i_kruskal_norm(lode_ctx *ctx, const lode_i_kruskal *m, double *norm);
/** Members `s` and factor.0 .. of a fitted bundle, borrowed; LODE_EFORMAT where they do not fit its shape. */
lode_status lode_i_kruskal_read(lode_ctx *ctx, const char *op, const lode_bundle *b,
                                lode_i_kruskal *m);
/** Adds them to a bundle that stands for the tensor; takes them over. */
lode_status lode_i_kruskal_give(lode_ctx *ctx, lode_i_kruskal *m, lode_bundle *b);
/** Columns of length 1 (or 0), scales that descend and are not negative: LODE_EVERIFY says which is not. */
lode_status lode_i_kruskal_check(lode_ctx *ctx, const char *op, const lode_i_kruskal *m);

#endif
