/* Extremal eigenpairs of A x = l B x by locally optimal block preconditioned conjugate gradients. */
#ifndef LODE_ITER_LOBPCG_H
#define LODE_ITER_LOBPCG_H

#include "linop/eigs.h"

typedef struct lode_i_lobpcg_opts {
    int64_t rank;  /* pairs wanted, 1 to n */
    int64_t block; /* columns, rank or more; 0: chosen */
    int64_t max_iter;
    double tol;                /* of residuals ||A x - l B x||, against norm ||x|| */
    double norm;               /* of A */
    lode_i_eigs_end end;       /* LODE_I_LARGEST or LODE_I_SMALLEST */
    const lode_array *precond; /* n real values that residuals are multiplied by; NULL: none */
    bool naive; /* the basis [X R P] as it comes, which breaks down when it gets dependent */
    const char *op;
} lode_i_lobpcg_opts;
typedef struct lode_i_lobpcg_info {
    int64_t iterations, converged;
    bool broke; /* the basis became dependent */
} lode_i_lobpcg_info;

void lode_i_lobpcg_sizes(lode_i_lobpcg_opts *o, int64_t n);
/** Bytes beside A, B, their products' workspace and the result. */
uint64_t lode_i_lobpcg_memory(const lode_i_lobpcg_opts *o, int64_t n, lode_dtype dtype,
                              bool general);
/** B Hermitian positive definite; NULL: the identity. Vectors are B-orthonormal; trace (or NULL): the
 *  largest residual of those wanted after each iteration, over norm. LODE_NOCONV keeps the best; LODE_EDOMAIN
 *  B is seen not to be positive definite. One product with A and B of at most `block` columns an
 *  iteration. */
lode_status lode_i_lobpcg(lode_ctx *ctx, const lode_linop *A, const lode_linop *B,
                          const lode_i_lobpcg_opts *o, lode_array *values, lode_array *vectors,
                          lode_array *trace, lode_i_lobpcg_info *info);

#endif
