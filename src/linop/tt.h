/* Tensor trains (Oseledets 2011, doi:10.1137/090752286): a tensor of d modes as a chain of cores,
 * X[i_0, .., i_d-1] = G_0[i_0] G_1[i_1] .. G_d-1[i_d-1], G_k[i] of r_k x r_k+1, r_0 = r_d = 1.
 * A train is an array of d cores, core k of r_k x n_k x r_k+1, contiguous, in one arithmetic type.
 * Bond k, 1 to d - 1, lies between cores k - 1 and k. */
#ifndef LODE_LINOP_TT_H
#define LODE_LINOP_TT_H

#include "linalg/linalg.h"
#include "linop/wishes.h"

typedef enum lode_ttsvd_method {
    LODE_TTSVD_AUTO,  /* by size and by the error asked */
    LODE_TTSVD_GRAM,  /* eigenvectors of Gram matrices, f64 inside: errors down to about 1e-6 */
    LODE_TTSVD_QR,    /* singular vectors through a QR tree: any error */
    LODE_TTSVD_RANDOM /* block power iteration from random vectors for the first bond, then Gram */
} lode_ttsvd_method;

/* Zero is "not asked" for every field; start from { 0 }. Ranks, when given, win over the budget,
 * the budget over the error; with none of them every direction above rounding is kept. */
typedef struct lode_ttsvd_opts {
    int32_t ranks; /* 0: not given; 1: at most so much everywhere; d - 1: a bond each */
    int64_t rank[LODE_MAX_NDIM]; /* of bond k + 1 */
    double error;                /* total Frobenius error, in units of `unit` */
    lode_rank_unit unit;
    int64_t params;   /* values of all cores together, at most */
    int64_t max_rank; /* cap on every rank, applied after the error rule */
    lode_ttsvd_method method;
    bool quick;            /* no search for the last few values of a small train */
    bool kept;             /* passes over X are steps of the checkpoint */
    const char *op, *name; /* for the random stream, and of the input in messages */
} lode_ttsvd_opts;

typedef struct lode_ttsvd_info {
    double norm;   /* ||X||_F */
    double error;  /* ||X - train||_F, measured */
    bool residual; /* on the residual itself; else ||X||^2 - ||train||^2, and rounding at most */
    double target; /* absolute Frobenius error asked; NaN: none */
    lode_rank_bound bound;
    lode_ttsvd_method method; /* of the first bond */
    double passes;            /* over X */
    /* ranks of the train that the choice was made from, and whether modes went from first to last */
    int64_t kept[LODE_MAX_NDIM];
} lode_ttsvd_info;

/** X as a train that meets what was asked with as few values as were found: TT-SVD with ranks larger
 *  than needed, then ranks by the whole error budget.
 *  X     array or source, 1 or more modes of any numeric type; a source is read by slabs
 *  core  d cores, new, in the arithmetic type of X: all but core 0 have orthonormal rows (as
 *        r_k x n_k r_k+1), the largest entry of each positive; core 0 holds the norm, its columns in
 *        the order of the singular values of the first bond
 *  Returns LODE_OK; LODE_MISSED the error asked was not reached; LODE_EDOMAIN NaN or infinity, named
 *  by index; LODE_ESHAPE a number of ranks that fits no d - 1 bonds, a rank above its bond's
 *  dimension; LODE_EBUDGET. The same bits in and out of core and for any number of threads. */
lode_status lode_i_tt_svd(lode_ctx *ctx, lode_value X, const lode_ttsvd_opts *o, lode_array *core,
                          lode_ttsvd_info *info);
/** Bytes and work of that call before it is made, for ranks at most `rank` (of bond k + 1) of the
 *  train that the choice is made from. */
typedef struct lode_ttsvd_cost {
    uint64_t workspace, output;
    double passes, flops;
    int64_t slab; /* values of a slab */
} lode_ttsvd_cost;
void lode_i_tt_cost(lode_dtype dtype, int ndim, const int64_t *shape, const int64_t *rank,
                    const lode_ttsvd_opts *o, int workers, lode_ttsvd_cost *cost);
/** Largest ranks that bonds of this shape can have, those of bond k + 1. */
void lode_i_tt_full(int ndim, const int64_t *shape, int64_t *rank);

/** Another train of fewer values within an absolute error (of o: error, unit, ranks, params and
 *  max_rank hold): orthogonalized, singular values of all bonds, ranks, truncation. out may be
 *  `core`. info: norm, error (of the rounding), bound. */
lode_status lode_i_tt_round(lode_ctx *ctx, int d, const lode_array *core, const lode_ttsvd_opts *o,
                            lode_array *out, lode_ttsvd_info *info);

/* ---- arithmetic, exact but for rounding; ranks add, or multiply; out: d cores, new ---- */

lode_status lode_i_tt_add(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                          lode_array *out);
/** Entry by entry product. */
lode_status lode_i_tt_hadamard(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                               lode_array *out);
lode_status lode_i_tt_scale(lode_ctx *ctx, int d, const lode_array *a, double alpha,
                            lode_array *out);
/** Sum of a conj(b) over all entries. */
lode_status lode_i_tt_dot(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                          double *re, double *im);
/** Through orthogonal cores: no cancellation. */
lode_status lode_i_tt_norm(lode_ctx *ctx, int d, const lode_array *a, double *norm);

/* ---- forms ---- */

/** Rows of cores 1 .. d-1 orthonormal (centre 0), or columns of cores 0 .. d-2, as r_k n_k x r_k+1,
 *  (centre d - 1), in place; ranks above their bond's dimension are cut to it. */
lode_status lode_i_tt_orthogonal(lode_ctx *ctx, int d, lode_array *core, bool centre_last);
/** Centre 0, rows of core k right singular vectors of bond k, in place; sigma[k], k = 1 .. d - 1, new:
 *  its singular values, one a row. */
lode_status lode_i_tt_singular(lode_ctx *ctx, int d, lode_array *core, double **sigma);
/** Singular values of each bond, f64, new: values[k] of bond k + 1. */
lode_status lode_i_tt_spectra(lode_ctx *ctx, int d, const lode_array *core, lode_array *values);

/* ---- back from trains, and onto them ---- */

/** The tensor, or the entries start + i step, i < count, of each mode (NULL: from 0, all, 1). */
lode_status lode_i_tt_expand(lode_ctx *ctx, int d, const lode_array *core, const int64_t *start,
                             const int64_t *count, const int64_t *step, lode_array *out);
/** Coefficients of X (m x n_1 x ..) in the rows that cores 1 to d-1 span, orthonormal as they are:
 *  1 x m x r_1, a core 0 for it. X array or source, by slabs. norm: of X; or NULL. */
lode_status lode_i_tt_project(lode_ctx *ctx, lode_value X, int d, const lode_array *core,
                              const char *name, lode_array *codes, double *norm);
/** ||X - train||_F and ||X||_F by slabs; the residual itself, no cancellation. */
lode_status lode_i_tt_residual(lode_ctx *ctx, lode_value X, int d, const lode_array *core,
                               const char *name, double *error, double *norm);

/** The tensors a and b of shapes alike but for mode 0, b's entries after a's: a exactly, b but for an
 *  energy of at most `drop`, in a's rows as far as these serve. dropped: what was. Both trains with
 *  orthonormal rows in all cores but the first. */
lode_status lode_i_tt_stack(lode_ctx *ctx, int d, const lode_array *a, const lode_array *b,
                            double drop, lode_array *out, double *dropped);

#endif
