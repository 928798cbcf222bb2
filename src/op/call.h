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
    char *rules;                       /* errors by name, for a file's members; NULL: none */
    char *attributes;                  /* of the first input; NULL: none */
};

/** The op that made a result, or a sentence why there is none. */
lode_status lode_i_op_of(lode_ctx *ctx, const lode_bundle *model, const lode_op **op);

/* ---- rules: "UWND=1e-3,t_*=1e-4:max,*=exact" ---- */

typedef struct lode_i_rule {
    const char *name;
    bool pattern; /* holds a * */
    bool exact;   /* every bit is kept */
    bool used;
    lode_error_spec error;
} lode_i_rule;
typedef struct lode_i_rules {
    int64_t count;
    lode_i_rule *at;
    char *text; /* names point into it */
} lode_i_rules;
/** Whether the written form of an error is one for members by name. */
bool lode_i_rules_are(const char *text);
/** LODE_EUSAGE for a name that is given twice, LODE_EPARAM for a spec that is none. */
lode_status lode_i_rules_parse(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const char *text, lode_i_rules *rules);
void lode_i_rules_free(lode_i_rules *rules);
/** The rule of that very name, else the first pattern that fits it; NULL: none. */
lode_i_rule *lode_i_rules_find(const lode_i_rules *rules, const char *name);
/** LODE_EUSAGE for a rule that fits no member, with the nearest name. */
lode_status lode_i_rules_check(lode_ctx *ctx, const lode_op *op, const lode_i_rules *rules,
                               const lode_bundle *file);
/** The option that rules are for; NULL: the op has none. */
const lode_param *lode_i_error_param(const lode_op *op);

/* ---- whole files ---- */

/** Whether the call's first input is a file's members, each to be run by itself. */
bool lode_i_is_whole(const lode_call *call);
lode_status lode_i_whole_run(lode_ctx *ctx, const lode_call *call, lode_bundle *result);
/** The largest of the members' plans and the sums of their times and sizes. */
lode_status lode_i_whole_plan(lode_ctx *ctx, const lode_call *call, bool forecast, lode_plan *plan);
/** Every certificate of a file whose members are results. */
lode_status lode_i_verify_all(lode_ctx *ctx, const lode_bundle *file, lode_value original,
                              lode_certificate *found);
/** A source of what a model stands for, which takes the model over; name: of the member that it is in a
 *  file, which failures and losses then say, or NULL. */
lode_status lode_i_invert_take(lode_ctx *ctx, lode_bundle *model, const char *name,
                               lode_source *out);

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

/* What made a result; texts live in its document, or in the result. */
typedef struct lode_made {
    const char *verb, *op;
    /* inputs: hashes by name; texts: inputs that are words; borrowed of the document, NULL: none */
    lode_json *document, *inputs, *texts;
} lode_made;
lode_status lode_i_made_read(lode_ctx *ctx, const lode_bundle *result, lode_made *m);
void lode_i_made_free(lode_made *m);
enum { LODE_I_INPUT_NAME = 32 };
/** Name of the i-th input of a verb; given: its own, or NULL. */
void lode_i_verb_input(const char *verb, int64_t i, const char *given,
                       char name[LODE_I_INPUT_NAME]);
/** The i-th input that a call has, with its name: ports, then options that take arrays. */
bool lode_i_call_given(const lode_call *call, int i, const char **name, lode_value *value);
lode_status lode_i_hash_input(lode_ctx *ctx, lode_value v, char hex[72]);
/** Every option of a recorded text that is not at its default, to a function. */
lode_status lode_i_options_given(lode_ctx *ctx, const lode_op *op, const char *text,
                                 lode_status (*each)(lode_ctx *ctx, void *data, const lode_param *p,
                                                     const char *written),
                                 void *data);
/** Hash of an input, or of the result that it is decoded from as it is read. */
lode_status lode_i_identity_of(lode_ctx *ctx, lode_value v, char hex[72]);
/** Lines of a checkpoint's identity that say what an input is. */
lode_status lode_i_identify_input(lode_ctx *ctx, const char *what, const char *name, lode_value v,
                                  lode_text *t);
/** LODE_EUSAGE where a checkpoint is asked for and the op keeps none, but within a call that does. */
lode_status lode_i_refuse_checkpoint(lode_ctx *ctx, const lode_op *op);
/** Begins the checkpoint of a call on a whole file, or opens the one that was left. */
lode_status lode_i_whole_checkpoint(lode_ctx *ctx, const lode_call *call, const lode_bundle *file);
/** Records the verb that made a result, and no inputs yet. */
lode_status lode_i_made_verb(lode_ctx *ctx, const char *verb, const char *op, lode_bundle *result);

/** The op that made a result; fails where the result stands for no array, which the verb needs. */
lode_status lode_i_model_op(lode_ctx *ctx, const lode_bundle *model, const char *verb,
                            const lode_op **op);

#endif
