/* Private to the op layer: the pieces of a call. */
#ifndef LODE_OP_CALL_H
#define LODE_OP_CALL_H

#include "op/op.h"

/** What a call by name owns. */
struct lode_call_store {
    int64_t texts, text_capacity;
    char **text;                       /* written forms that text options point into */
    lode_bundle items[LODE_MAX_PORTS]; /* of repeated ports */
    lode_bundle loaded;                /* inputs read in for ports that take arrays only */
};

/** Checks options and inputs against the table and binds the symbols. */
lode_status lode_i_check_call(lode_ctx *ctx, lode_call *call);
lode_status lode_i_check_result(lode_ctx *ctx, lode_call *call, const lode_bundle *result);
lode_status lode_i_match_shape(lode_ctx *ctx, lode_call *call, const lode_port *port,
                               const char *name, int ndim, const int64_t *shape);
/** Sets of kinds and types with the defaults filled in. */
uint32_t lode_i_port_kinds(const lode_port *port, bool input);
uint32_t lode_i_port_types(const lode_port *port);
/** Fails with LODE_EBUDGET, naming the number that would do, when the plan does not fit. */
lode_status lode_i_check_budget(lode_ctx *ctx, const lode_op *op, const lode_plan *plan);

/** The op that made a result; fails where the result stands for no array, which the verb needs. */
lode_status lode_i_model_op(lode_ctx *ctx, const lode_bundle *model, const char *verb,
                            const lode_op **op);

#endif
