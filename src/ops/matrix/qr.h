/* Private to qr: its verbs, and what they share with it. */
#ifndef LODE_OPS_QR_H
#define LODE_OPS_QR_H

#include "linop/pqr.h"
#include "lode/matrix.h"
#include "op/op.h"

/** Options of the decomposition of a matrix of that size in memory. */
lode_pqr_opts lode_i_qr_request(const lode_qr_opts *o, int64_t rows, int64_t cols, bool dense);
/** What stands in a certificate's note, and whether the target was met. */
void lode_i_qr_say(const lode_qr_opts *o, const lode_pqr_info *info, int64_t k, int64_t n,
                   bool reached, lode_certificate *c);

lode_status lode_i_qr_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                            lode_bundle *result);
lode_status lode_i_qr_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                             const lode_part *part, lode_array *out);
lode_status lode_i_qr_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_qr_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                            lode_bundle *result);
lode_status lode_i_qr_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_certificate *found);
lode_status lode_i_qr_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                           lode_figure *figure);

#endif
