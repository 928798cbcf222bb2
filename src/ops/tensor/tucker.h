/* Private to tucker: what its verbs share. */
#ifndef LODE_OPS_TUCKER_H
#define LODE_OPS_TUCKER_H

#include "lode/tensor.h"
#include "op/op.h"

typedef struct tucker_model {
    const lode_array *core;
    lode_array U[LODE_MAX_NDIM]; /* views */
    int d;
} tucker_model;
/** Members as borrowed views, their shapes checked: a file may hold anything. */
lode_status lode_i_tucker_model(lode_ctx *ctx, const lode_bundle *b, tucker_model *m);

lode_status lode_i_tucker_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                lode_answer *a);

#endif
