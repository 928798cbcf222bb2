/* The ways of complete, one file each. */
#ifndef LODE_OPS_COMPLETE_H
#define LODE_OPS_COMPLETE_H

#include "iter/iter.h"
#include "linalg/slices.h"
#include "linop/kruskal.h"
#include "lode/matrix.h"
#include "op/op.h"

/** A fit to some of the entries, in the unit of x. */
typedef struct lode_i_completion {
    const lode_complete_opts *o;
    const lode_i_observed *x;
    int64_t k;
    double ridge;         /* for x as it is scaled */
    double norm;          /* of the entries fitted, weighted */
    lode_stream start;    /* of the random start */
    lode_stream sketch;   /* of the sketches */
    lode_i_kruskal model; /* made here; matrices orthonormal */
    lode_array trace;
    double flops;
} lode_i_completion;
/** Each fills model, trace, flops. LODE_NOCONV where it has not settled. */
lode_status lode_i_complete_als(lode_ctx *ctx, lode_i_completion *c);
lode_status lode_i_complete_riemannian(lode_ctx *ctx, lode_i_completion *c);
lode_status lode_i_complete_soft(lode_ctx *ctx, lode_i_completion *c);
/** Orthonormal bases of the leading directions of the entries, zeros elsewhere, by a few steps of subspace
 *  iteration; of a matrix. */
lode_status lode_i_complete_spectral(lode_ctx *ctx, const lode_i_completion *c, lode_array *U,
                                     lode_array *V);
/** sumsq of the residual, as a share of the norm; floor of what rounding leaves of it. */
double lode_i_complete_relative(const lode_i_completion *c, double sumsq);
double lode_i_complete_floor(const lode_i_completion *c);

/* Verbs. */
lode_status lode_i_complete_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                  lode_bundle *result);
lode_status lode_i_complete_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                   const lode_part *part, lode_array *out);
lode_status lode_i_complete_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                  lode_answer *a);
lode_status lode_i_complete_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                   lode_certificate *found);
lode_status lode_i_complete_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                 lode_figure *figure);

#endif
