/* Singular value thresholding, again and again, of matrices that change little: U diag(max(s - t, 0)) V^T of
 * what U diag(s) V^T decomposes. As few triplets are found as are wanted: the right vectors of the last matrix
 * begin the subspace iteration for the next, a few columns beyond the rank show when it grows. */
#ifndef LODE_SHRINK_H
#define LODE_SHRINK_H

#include "linalg/linalg.h"

typedef struct lode_i_shrink {
    /* given */
    int64_t most;   /* triplets at most */
    const char *op; /* of the random numbers */
    uint64_t site;
    /* kept from call to call */
    lode_array V;         /* n x l, orthonormal: the basis */
    int64_t draws;        /* random blocks so far */
    double top;           /* the largest singular value */
    int64_t rounds, full; /* steps of subspace iteration, whole decompositions */
} lode_i_shrink;
void lode_i_shrink_free(lode_i_shrink *s);

/** Triplets of W (m x n, f32 or f64, contiguous) with singular values above threshold, the values less it: U m x
 *  k, s k, V n x k, new. off: what the product may be off by, Frobenius, as the turn of the basis in the last
 *  round shows it. INFINITY as threshold: none, only top. Two passes over W a round; where more than half of
 *  the triplets survive, or W is small, a whole decomposition. */
lode_status lode_i_shrink_step(lode_ctx *ctx, const lode_array *W, double threshold, double off,
                               lode_i_shrink *state, lode_array *U, lode_array *s, lode_array *V);
/** Bytes that it takes, results and state included. */
uint64_t lode_i_shrink_memory(lode_dtype dtype, int64_t m, int64_t n, int64_t most);

#endif
