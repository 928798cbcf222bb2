/* Private to the op layer: a job on a whole file, and what becomes of each member. */
#ifndef LODE_OP_WHOLE_H
#define LODE_OP_WHOLE_H

#include "io/io.h"
#include "op/call.h"

typedef struct lode_i_whole {
    const lode_call *call;
    const lode_bundle *file;
    const lode_param *error; /* the option that rules are for; NULL: none */
    lode_i_rules rules;
    lode_json *names;           /* the attributes of the file */
    const lode_json *variables; /* in them */
} lode_i_whole;
/** Checks what is asked against the file. Freed with lode_i_whole_close also on failure. */
lode_status lode_i_whole_open(lode_ctx *ctx, const lode_call *call, lode_i_whole *j);
void lode_i_whole_close(lode_i_whole *j);

typedef enum lode_i_fate { LODE_I_KEPT, LODE_I_EXACT, LODE_I_LOSSY } lode_i_fate;
typedef struct lode_i_choice {
    lode_i_fate fate;
    bool named; /* by a rule of its own */
    bool ruled; /* the error is a rule's */
    lode_error_spec error;
    double bytes;
    lode_dtype dtype;
} lode_i_choice;
lode_status lode_i_whole_choose(lode_ctx *ctx, const lode_i_whole *j, int64_t i, lode_i_choice *c);
/** The step of values that their file keeps in few bits (scale_factor); 0: they are kept as they are. */
double lode_i_whole_step(const lode_i_whole *j, const char *name);
/** Options of the call on that member alone. */
lode_status lode_i_whole_options(lode_ctx *ctx, const lode_i_whole *j, const char *name,
                                 const lode_i_choice *c, lode_call *call);
/** Whether the operation has a method that loses nothing. */
bool lode_i_keeps_every_bit(const lode_op *op);

/** Bytes of a dense value or a scalar; 0 of any other. */
double lode_i_value_bytes(lode_value v);
void *lode_i_at_param(const lode_call *call, const lode_param *p);

#endif
