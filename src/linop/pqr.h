/* QR with column pivoting of a matrix given by its products: A[:, order] ~ Q R. */
#ifndef LODE_LINOP_PQR_H
#define LODE_LINOP_PQR_H

#include "linop/linop.h"

typedef enum lode_i_pivoting {
    LODE_I_PIVOT_NONE,   /* columns as they come */
    LODE_I_PIVOT_GREEDY, /* the longest of what is left, one by one */
    LODE_I_PIVOT_STRONG, /* then exchanged until no exchange gains more than a factor */
    LODE_I_PIVOT_SKETCH  /* blocks of pivots from a sketch of what is left */
} lode_i_pivoting;
typedef struct lode_pqr_opts {
    lode_i_pivoting pivoting;
    int64_t most;          /* columns at most */
    int64_t block;         /* of sketched pivots, at most 64: the bits depend on it */
    bool exactly;          /* that many, whatever A's rank */
    double tail_rel, tail; /* error wanted, relative to ||A||_F or absolute; 0: off */
    double factor;         /* of the strong exchanges, above 1 */
    int64_t oversampling;
    const char *op; /* for the random stream */
} lode_pqr_opts;
typedef struct lode_pqr_info {
    double norm, error; /* ||A||_F, ||A[:, order] - Q R||_F measured */
    int64_t swaps;      /* strong exchanges made */
    double factor;      /* that the best exchange left would gain */
    bool exhausted;     /* what is left is rounding */
} lode_pqr_info;

/** Q m x k orthonormal, R k x n upper trapezoidal with real diagonal >= 0, order i64 of all n columns:
 *  pivots, then the others as they come. A->norm must be there. One pass more than the products:
 *  two a block of pivots (sketch), or one for the triangle of A and two (greedy, strong). */
lode_status lode_i_pqr(lode_ctx *ctx, const lode_linop *A, const lode_pqr_opts *o, lode_array *Q,
                       lode_array *R, lode_array *order, lode_pqr_info *info);
/** Bytes that it takes beside A and the results. */
uint64_t lode_i_pqr_memory(const lode_ctx *ctx, const lode_pqr_opts *o, lode_value A);
/** Columns of A by their numbers (i64): copied from an array, else products with unit vectors. */
lode_status lode_i_linop_columns(lode_ctx *ctx, const lode_linop *A, const lode_array *index,
                                 lode_array *C);

/** Strong exchanges (Gu & Eisenstat, SIAM J. Sci. Comput. 17 (1996)) of the first k of order: W has
 *  the columns of A, or of its triangle, as rows. */
lode_status lode_i_strong(lode_ctx *ctx, const lode_array *W, int64_t k, double factor,
                          lode_array *order, lode_pqr_info *info);

#endif
