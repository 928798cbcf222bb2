/* Private to tt: what its verbs share. */
#ifndef LODE_OPS_TT_H
#define LODE_OPS_TT_H

#include "lode/tensor.h"
#include "op/op.h"

typedef struct tt_model {
    lode_array core[LODE_MAX_NDIM]; /* views */
    int d;
} tt_model;
/** Members as borrowed views, their shapes checked: a file may hold anything. */
lode_status lode_i_tt_model(lode_ctx *ctx, const lode_bundle *b, tt_model *m);

lode_status lode_i_tt_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                            lode_answer *a);
lode_status lode_i_tt_update(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                             lode_bundle *result);
lode_status lode_i_tt_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                            lode_bundle *result);
lode_status lode_i_tt_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *figure);

#endif
