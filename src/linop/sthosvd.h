/* Tucker decomposition of a dense tensor: sequentially truncated HOSVD (Vannieuwenhoven, Vandebril,
 * Meerbergen 2012, doi:10.1137/110836067), ranks from the whole error budget, HOOI sweeps. */
#ifndef LODE_LINOP_STHOSVD_H
#define LODE_LINOP_STHOSVD_H

#include "linalg/linalg.h"
#include "linop/wishes.h"

typedef enum lode_sthosvd_method {
    LODE_STHOSVD_AUTO,  /* by size and by the error asked */
    LODE_STHOSVD_GRAM,  /* eigenvectors of Gram matrices, f64 inside: errors down to about 1e-6 */
    LODE_STHOSVD_QR,    /* singular vectors through a QR tree: any error */
    LODE_STHOSVD_RANDOM /* random sketch of the first mode, Gram matrices of what it leaves */
} lode_sthosvd_method;

/* Zero is "not asked" for every field; start from { 0 }. Ranks, when given, win over the budget,
 * the budget over the error; with none of them every direction above rounding is kept. */
typedef struct lode_sthosvd_opts {
    int32_t ranks; /* 0: not given; 1: the same in every mode; else one a mode */
    int64_t rank[LODE_MAX_NDIM];
    double error; /* total Frobenius error, in units of `unit` */
    lode_rank_unit unit;
    int64_t params;   /* values of core and factors together, at most */
    int64_t max_rank; /* cap on every rank, applied after the error rule */
    lode_sthosvd_method method;
    int64_t sweeps;       /* HOOI sweeps at most after the sequential truncation */
    double tol;           /* a sweep that lowers the error by less than tol of it is the last */
    int64_t oversampling; /* extra columns of random and generous bases; 0: chosen */
    /* An f32 X stays so between the modes, sums of squares in f64: half the memory, and info.error is
     * the tails', not measured. For callers that measure what comes of it. */
    bool single;
    bool hosvd; /* keep the whole generous core: no choice of a smaller one (for coders) */
    bool kept;  /* passes over X are steps of the checkpoint */
    const char *op, *name; /* for the random stream, and of the input in messages */
} lode_sthosvd_opts;

typedef struct lode_sthosvd_info {
    double norm;      /* ||X||_F */
    double error;     /* ||X - core x_k U_k||_F, measured */
    bool residual;    /* on the residual itself; else ||X||^2 - ||core||^2, and rounding at most */
    double rounding;  /* part of `error` that rounding may be, at most; 0 with a residual */
    double target;    /* absolute Frobenius error asked; NaN: none */
    double predicted; /* where a budget chose: bound by the tails of the modes */
    double min, max;  /* of X (complex: of |X|) where `unit` is the range, else 0 */
    lode_rank_bound bound;
    lode_sthosvd_method method;  /* of the first mode: gram, qr or random */
    int64_t sweeps;              /* done */
    double passes;               /* over X */
    int64_t kept[LODE_MAX_NDIM]; /* ranks of the core that the choice was made from */
} lode_sthosvd_info;

/** X ~ core x_0 U_0 x_1 U_1 .., U_k = factors[k] n_k x r_k with orthonormal columns, in the
 *  arithmetic type of X.
 *  X     array or source, 1 or more modes of any numeric type; a source is read by slabs
 *  core, factors (one a mode, new)   columns ordered by falling norm of the core's slices, the
 *  entry of
 *        largest size of each column positive; every output is new, swapped in as the last step
 *  Returns LODE_OK; LODE_MISSED the error asked was not reached (cap, given ranks, or rounding);
 *  LODE_EDOMAIN NaN or infinity, named by index; LODE_ESHAPE a rank above its dimension;
 *  LODE_EBUDGET. The same bits in and out of core and for any number of threads. */
lode_status lode_i_sthosvd(lode_ctx *ctx, lode_value X, const lode_sthosvd_opts *o,
                           lode_array *core, lode_array *factors, lode_sthosvd_info *info);

/** Bytes and work of a call before it is made: peak beside input and outputs for ranks at most
 *  `rank`. workers: slabs in hand at once: the threads for an array in memory, 1 for a source. */
typedef struct lode_sthosvd_cost {
    uint64_t workspace, output;
    uint64_t least;          /* workspace where memory for no more makes it read X more often */
    int64_t slab_axis, slab; /* rows of a slab along slab_axis */
    double passes, flops;
} lode_sthosvd_cost;
void lode_i_sthosvd_cost(lode_dtype dtype, int ndim, const int64_t *shape, const int64_t *rank,
                         const lode_sthosvd_opts *o, int workers, lode_sthosvd_cost *cost);

/** core x_k U_k for all modes, or the rows start..start+count of each (NULL: all): only those rows
 *  of the factors are multiplied. In the type of the core. */
lode_status lode_i_tucker_expand(lode_ctx *ctx, const lode_array *core, const lode_array *factors,
                                 const int64_t *start, const int64_t *count, lode_array *out);
/** X x_k U_k^H for all modes: the core of another tensor in the same bases. X array or source, by
 *  slabs. */
lode_status lode_i_tucker_project(lode_ctx *ctx, lode_value X, const lode_array *factors,
                                  const char *name, lode_array *core, double *norm);
/** ||X - core x_k U_k||_F and ||X||_F by slabs; the residual itself, no cancellation. */
lode_status lode_i_tucker_residual(lode_ctx *ctx, lode_value X, const lode_array *core,
                                   const lode_array *factors, const char *name, double *error,
                                   double *norm);
/** Orders columns by falling core slice norms and makes each column's largest entry positive, core
 *  and factors alike. */
lode_status lode_i_tucker_canonical(lode_ctx *ctx, lode_array *core, lode_array *factors);

/** Q = [U P]: a basis of U and of those directions of V, n x r, that matter to core x_mode V: all
 *  but a total energy of `drop`. */
lode_status lode_i_tucker_extend(lode_ctx *ctx, const lode_array *U, const lode_array *core,
                                 int mode, const lode_array *V, double drop, lode_array *Q);
/** Decomposition of the two tensors stacked along mode 0, exact to rounding; canonical. */
lode_status lode_i_tucker_stack(lode_ctx *ctx, const lode_array *core_a, const lode_array *U_a,
                                const lode_array *core_b, const lode_array *U_b, lode_array *core,
                                lode_array *U);

#endif
