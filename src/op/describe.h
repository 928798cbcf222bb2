/* Private to the op layer: pieces shared by the descriptions. */
#ifndef LODE_OP_DESCRIBE_H
#define LODE_OP_DESCRIBE_H

#include "op/op.h"

/** power-iter from power_iter, in out. */
const char *lode_i_dashed(const char *name, char *out, size_t size);
const char *lode_i_param_kind_name(lode_param_kind kind);
/** Verbs that the op has beyond run and plan; at most 8. Returns how many. */
int lode_i_verbs(const lode_op *op, const char **verbs);
/** The default in its written form. */
lode_status lode_i_param_default(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                                 lode_text *text);
lode_status lode_i_op_json(lode_ctx *ctx, const lode_op *op, char **text);

#endif
