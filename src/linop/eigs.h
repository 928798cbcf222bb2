/* Extremal eigenpairs of Hermitian operators. */
#ifndef LODE_LINOP_EIGS_H
#define LODE_LINOP_EIGS_H

#include "linop/linop.h"

typedef enum lode_i_eigs_end {
    LODE_I_LARGEST,   /* algebraically, descending */
    LODE_I_SMALLEST,  /* ascending */
    LODE_I_MAGNITUDE, /* largest absolute values, descending; of equal ones the positive first */
    LODE_I_AROUND     /* nearest to sigma, of a whole spectrum alone */
} lode_i_eigs_end;

typedef struct lode_i_eigs_opts {
    int64_t rank;      /* pairs wanted, 1 to n */
    int64_t block;     /* 0: chosen */
    int64_t max_basis; /* 0: chosen */
    int64_t max_iter;  /* block steps at most */
    double tol;        /* of residuals ||A x - l x||, against ||A|| */
    lode_i_eigs_end end;
    bool cheap;     /* products cost little beside orthogonalization: worth a filter */
    const char *op; /* for the random stream */
} lode_i_eigs_opts;
typedef struct lode_i_eigs_info {
    int64_t products;  /* columns multiplied by A */
    int64_t steps;     /* block steps */
    int64_t converged; /* pairs that meet tol */
    int64_t degree;    /* of the last filter; 0: none was worth it */
    double norm;       /* ||A||, from below */
} lode_i_eigs_info;

/** The block and the basis that lode_i_eigs will use, and whether products are cheap. */
void lode_i_eigs_sizes(lode_i_eigs_opts *o, int64_t n, int64_t nonzeros);
/** Bytes that lode_i_eigs takes beside A, its products' workspace and the result. */
uint64_t lode_i_eigs_memory(const lode_i_eigs_opts *o, int64_t n, lode_dtype dtype);
/** k pairs at one end of the spectrum of a Hermitian A, in order, signs canonical; residual (or NULL):
 *  ||A x - l x|| of each, f64. LODE_NOCONV keeps the best. Entries should be of moderate size. */
lode_status lode_i_eigs(lode_ctx *ctx, const lode_linop *A, const lode_i_eigs_opts *o,
                        lode_array *values, lode_array *vectors, lode_array *residual,
                        lode_i_eigs_info *info);

/** Order of eigenvalues that descend: the first k of that end; index i64. */
lode_status lode_i_end_order(lode_ctx *ctx, const lode_array *descending, lode_i_eigs_end end,
                             double sigma, int64_t k, lode_array *index);
/** Rayleigh-Ritz in the span of X, orthonormal, given AX = A X: both turned to Ritz vectors in the order of
 *  `end`; residual: ||A x - l x|| of each. */
lode_status lode_i_ritz_pairs(lode_ctx *ctx, lode_i_eigs_end end, lode_array *X, lode_array *AX,
                              lode_array *values, lode_array *residual);
/** Euclidean length of every column, f64. */
lode_status lode_i_column_norms(lode_ctx *ctx, const lode_array *A, lode_array *norm);
/** H = (H + H^H) / 2, small. */
lode_status lode_i_hermitize(lode_ctx *ctx, lode_array *H);

#endif
