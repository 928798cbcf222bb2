/* Private to svd: its verbs, and what they share with it. */
#ifndef LODE_OPS_SVD_H
#define LODE_OPS_SVD_H

#include "linop/linop.h"
#include "lode/matrix.h"
#include "op/op.h"

/** The Frobenius error wanted, absolute, given ||A||_F; negative: none. */
double lode_i_svd_target(const lode_svd_opts *o, double norm);
/** The smallest rank (at least 1) whose tail is at most target; s has all values but `rest`, the
 *  norm of what it lacks. */
int64_t lode_i_svd_tail_rank(const lode_array *s, double rest, double target);
/** dtype, shape and kind of what invert gives. */
void lode_i_svd_meta(lode_bundle *b, lode_dtype dtype, int64_t rows, int64_t cols);

/** A result, borrowed from its bundle. */
typedef struct lode_i_svd_factors {
    const lode_array *U, *s, *V;
    int64_t m, n, k;
} lode_i_svd_factors;
lode_status lode_i_svd_read(lode_ctx *ctx, const lode_bundle *b, lode_i_svd_factors *f);
/** The options that made the model say how many triplets to keep now. */
lode_status lode_i_svd_options(lode_ctx *ctx, const lode_bundle *model, lode_svd_opts *o);
/** The Frobenius error that the certificate knows (negative: none), and the norm of A from it. */
lode_status lode_i_svd_known(lode_ctx *ctx, const lode_bundle *model, const lode_array *s,
                             double *lost, double *norm);
/** How many of s to keep, where so much was lost before; tail: what that leaves out. */
int64_t lode_i_svd_keep(const lode_svd_opts *o, const lode_array *s, double lost, double norm,
                        double *tail);
/** All triplets of a small matrix, a step of the checkpoint. */
lode_status lode_i_svd_small(lode_ctx *ctx, const char *site, const lode_array *A, lode_array *U,
                             lode_array *s, lode_array *V);
/** Of what has lost so much in all (negative: unknown); floor: what ||A|| is at least. */
lode_certificate lode_i_svd_bound(const lode_svd_opts *o, double lost, double floor);

lode_status lode_i_svd_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_svd_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_svd_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result);
/** Names of what an update may be given. */
extern const lode_port lode_i_svd_update_in[];
lode_status lode_i_svd_update_with(lode_ctx *ctx, const lode_bundle *model, const lode_input *in,
                                   int64_t count, lode_bundle *result);
lode_status lode_i_svd_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                             lode_bundle *result);
lode_status lode_i_svd_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_svd_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
