/* The parts of procrustes: the best rotation for products of columns, tables, verbs. */
#ifndef LODE_OPS_PROCRUSTES_H
#define LODE_OPS_PROCRUSTES_H

#include "iter/iter.h"
#include "linop/linop.h"
#include "lode/matrix.h"
#include "op/op.h"

/** R, p x q with orthonormal columns or rows (so many of them: rank), of the largest trace of R^T M; only: of
 *  determinant 1. best: that trace; s, or NULL: singular values of M. */
typedef struct lode_i_rotate {
    int64_t rank;
    bool only, broken; /* broken: the claim's switch */
} lode_i_rotate;
lode_status lode_i_rotation(lode_ctx *ctx, const lode_i_rotate *o, const lode_array *M,
                            lode_array *R, lode_array *s, double *best);
/** sum A_ij B_ij */
lode_status lode_i_trace_product(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                                 double *sum);

/** A table about its mean, each row times the root of its weight. */
typedef struct lode_i_shape {
    lode_array rows; /* n x p, f64 */
    lode_array mean; /* 1 x p */
    double norm;
} lode_i_shape;
void lode_i_shape_free(lode_i_shape *s);
/** weights: f64, of mean 1, or NULL; name: for what is not finite. */
lode_status lode_i_shape_of(lode_ctx *ctx, const lode_array *X, const lode_array *weights,
                            bool translation, lode_i_shape *s);
/** scale X R + shift: new, f64, without weights. */
lode_status lode_i_shape_move(lode_ctx *ctx, const lode_array *X, double scale, const lode_array *R,
                              const lode_array *shift, lode_array *out);
/** Table i of a stack n x p x k, or a matrix, f64, new. */
lode_status lode_i_shape_take(lode_ctx *ctx, const lode_array *X, int64_t i, lode_array *out);

/** Several tables to their common mean. */
typedef struct lode_i_consensus {
    const lode_procrustes_opts *o;
    lode_i_rotate rotate;
    int64_t count;
    lode_i_shape *shape;
    lode_array *R;
    double *scale;
    lode_array sum;   /* of scale rows R */
    lode_array trace; /* relative objective after each iteration */
    double gap;       /* of the rotations to the best, relative */
} lode_i_consensus;
/** LODE_NOCONV where it has not settled. */
lode_status lode_i_consensus_fit(lode_ctx *ctx, lode_i_consensus *c);
/** Products of table i with the sum of the others: rows_i^T (sum - scale_i rows_i R_i). */
lode_status lode_i_consensus_cross(lode_ctx *ctx, const lode_i_consensus *c, int64_t i,
                                   lode_array *M);
lode_status lode_i_consensus_gap(lode_ctx *ctx, lode_i_consensus *c);
/** sum |scale_i rows_i R_i - mean|^2 over the sum of squares. */
lode_status lode_i_consensus_objective(lode_ctx *ctx, const lode_i_consensus *c, double *value);
void lode_i_consensus_free(lode_i_consensus *c);

lode_status lode_i_procrustes_weights(lode_ctx *ctx, const lode_array *w, int64_t n,
                                      lode_array *out);

/* Verbs. */
lode_status lode_i_procrustes_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                    lode_bundle *result);
lode_status lode_i_procrustes_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                     const lode_part *part, lode_array *out);
lode_status lode_i_procrustes_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                     lode_certificate *found);
lode_status lode_i_procrustes_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                   lode_figure *figure);

#endif
