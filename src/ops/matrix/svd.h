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

lode_status lode_i_svd_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_svd_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_svd_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result);
lode_status lode_i_svd_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                             lode_bundle *result);
lode_status lode_i_svd_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_svd_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
