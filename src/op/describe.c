/* The registry as JSON: what the bindings, the fuzzer and other tools read. */
#include <string.h>

#include "op/call.h"
#include "op/describe.h"

void lode_text_free(char *text)
{
    lode_i_free(text);
}

const char *lode_i_param_kind_name(lode_param_kind kind)
{
    static const char *const name[] = {
        [LODE_P_BOOL] = "bool",         [LODE_P_I64] = "i64",           [LODE_P_U64] = "u64",
        [LODE_P_F64] = "f64",           [LODE_P_ENUM] = "enum",         [LODE_P_TEXT] = "text",
        [LODE_P_AUTO_I64] = "auto_i64", [LODE_P_AUTO_F64] = "auto_f64", [LODE_P_RANK] = "rank",
        [LODE_P_ERROR] = "error",       [LODE_P_BUDGET] = "budget",     [LODE_P_AXES] = "axes",
        [LODE_P_LIST] = "list",         [LODE_P_MISSING] = "missing",   [LODE_P_ARRAY] = "array"
    };
    return name[kind];
}

int lode_i_verbs(const lode_op *op, const char **verbs)
{
    int n = 0;
    if (op->apply)
        verbs[n++] = "apply";
    if (op->invert)
        verbs[n++] = "invert";
    if (op->invert)
        verbs[n++] = "query";
    if (op->update)
        verbs[n++] = "update";
    if (op->merge)
        verbs[n++] = "merge";
    if (op->verify)
        verbs[n++] = "verify";
    if (op->plot)
        verbs[n++] = "plot";
    return n;
}

lode_status lode_i_param_default(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                                 lode_text *text)
{
    lode_status st = LODE_OK;
    void *opts = NULL;
    LODE_TRY(lode_i_calloc(ctx, op->opts_size, &opts));
    lode_op_defaults(op, opts);
    text->size = 0;
    LODE_TRY(lode_i_text_add(ctx, text, "%s", ""));
    LODE_TRY(lode_i_param_print(ctx, p, opts, text));
done:
    lode_i_free(opts);
    return st;
}

#define SET(object, key, value) LODE_TRY(lode_i_json_set(ctx, (object), (key), (value)))

static lode_status param_json(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                              lode_json *list)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    lode_json *o = lode_i_json_object(), *choices = NULL;
    SET(o, "name", lode_i_json_text(p->name));
    SET(o, "kind", lode_i_json_text(p->path ? "path" : lode_i_param_kind_name(p->kind)));
    switch (p->kind) {
    case LODE_P_BOOL: SET(o, "default", lode_i_json_bool(p->def != 0)); break;
    case LODE_P_I64:
    case LODE_P_U64: SET(o, "default", lode_i_json_i64((int64_t)p->def)); break;
    case LODE_P_F64: SET(o, "default", lode_i_json_f64(p->def)); break;
    default:
        LODE_TRY(lode_i_param_default(ctx, op, p, &text));
        SET(o, "default", lode_i_json_text(text.text));
    }
    SET(o, "required", lode_i_json_bool(p->required));
    if (p->min != 0 || p->max != 0) {
        SET(o, "min", lode_i_json_f64(p->min));
        SET(o, "max", lode_i_json_f64(p->max));
    }
    if (p->choices) {
        choices = lode_i_json_array();
        for (const char *c = p->choices; *c;) {
            const size_t n = strcspn(c, "|");
            char word[64];
            snprintf(word, sizeof word, "%.*s", (int)n, c);
            LODE_TRY(lode_i_json_push(ctx, choices, lode_i_json_text(word)));
            c += n + (c[n] == '|');
        }
        lode_json *given = choices;
        choices = NULL;
        SET(o, "choices", given);
    }
    SET(o, "help", lode_i_json_text(p->help));
    LODE_TRY(lode_i_json_push(ctx, list, o));
    o = NULL;
done:
    lode_i_text_free(&text);
    lode_i_json_free(choices);
    lode_i_json_free(o);
    return st;
}

static lode_status port_json(lode_ctx *ctx, const lode_port *port, bool input, lode_json *list)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object(), *kinds = lode_i_json_array(), *types = lode_i_json_array();
    SET(o, "name", lode_i_json_text(port->name));
    if (port->shape)
        SET(o, "shape", lode_i_json_text(port->shape));
    for (int k = LODE_ARRAY; k <= LODE_SCALAR; k++)
        if (lode_i_port_kinds(port, input) & LODE_KIND_BIT(k))
            LODE_TRY(lode_i_json_push(ctx, kinds, lode_i_json_text(lode_kind_name((lode_kind)k))));
    for (int t = 0; t < LODE_DTYPE_COUNT; t++)
        if (lode_i_port_types(port) & (UINT32_C(1) << t))
            LODE_TRY(
                lode_i_json_push(ctx, types, lode_i_json_text(lode_dtype_name((lode_dtype)t))));
    lode_json *given = kinds;
    kinds = NULL;
    SET(o, "kinds", given);
    given = types, types = NULL;
    SET(o, "types", given);
    SET(o, "optional", lode_i_json_bool(port->optional));
    SET(o, "repeated", lode_i_json_bool(port->repeated));
    SET(o, "help", lode_i_json_text(port->help));
    LODE_TRY(lode_i_json_push(ctx, list, o));
    o = NULL;
done:
    lode_i_json_free(o);
    lode_i_json_free(kinds);
    lode_i_json_free(types);
    return st;
}

static lode_status op_json(lode_ctx *ctx, const lode_op *op, lode_json **out)
{
    lode_status st = LODE_OK;
    const char *verbs[8];
    lode_json *o = lode_i_json_object(), *list = lode_i_json_array(), *given;
    SET(o, "name", lode_i_json_text(op->name));
    SET(o, "family", lode_i_json_text(op->family));
    SET(o, "job", lode_i_json_text(lode_job_name(op->job)));
    SET(o, "brief", lode_i_json_text(op->brief));
    SET(o, "doi", lode_i_json_text(op->doi ? op->doi : ""));
    SET(o, "example", lode_i_json_text(op->example));
    SET(o, "certificate", lode_i_json_text(lode_cert_kind_name(op->certificate)));
    for (const lode_param *p = op->params; p->name; p++)
        LODE_TRY(param_json(ctx, op, p, list));
    given = list, list = lode_i_json_array();
    SET(o, "params", given);
    for (const lode_port *p = op->in; p->name; p++)
        LODE_TRY(port_json(ctx, p, true, list));
    given = list, list = lode_i_json_array();
    SET(o, "in", given);
    for (const lode_port *p = op->out; p->name; p++)
        LODE_TRY(port_json(ctx, p, false, list));
    given = list, list = lode_i_json_array();
    SET(o, "out", given);
    for (int n = lode_i_verbs(op, verbs), i = 0; i < n; i++)
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(verbs[i])));
    given = list, list = NULL;
    SET(o, "verbs", given);
    SET(o, "checkpoint", lode_i_json_bool(op->checkpoint));
    *out = o, o = NULL;
done:
    lode_i_json_free(list);
    lode_i_json_free(o);
    return st;
}

lode_status lode_i_op_json(lode_ctx *ctx, const lode_op *op, char **text)
{
    lode_status st = LODE_OK;
    lode_json *o = NULL;
    LODE_TRY(op_json(ctx, op, &o));
    LODE_TRY(lode_i_json_print(ctx, o, 2, text));
done:
    lode_i_json_free(o);
    return st;
}

lode_status lode_registry_json(lode_ctx *ctx, char **text)
{
    lode_status st = LODE_OK;
    lode_json *list = lode_i_json_array(), *o = NULL;
    for (int64_t i = 0; i < lode_op_count(ctx); i++) {
        LODE_TRY(op_json(ctx, lode_op_at(ctx, i), &o));
        lode_json *given = o;
        o = NULL;
        LODE_TRY(lode_i_json_push(ctx, list, given));
    }
    LODE_TRY(lode_i_json_print(ctx, list, 0, text));
done:
    lode_i_json_free(list);
    lode_i_json_free(o);
    return st;
}

lode_status lode_plan_json(lode_ctx *ctx, const lode_plan *plan, char **text)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object();
    SET(o, "algorithm", lode_i_json_text(plan->algorithm));
    SET(o, "passes", lode_i_json_f64(plan->passes));
    SET(o, "flops", lode_i_json_f64(plan->flops));
    SET(o, "seconds", lode_i_json_f64(plan->seconds));
    SET(o, "workspace", lode_i_json_i64((int64_t)plan->workspace));
    SET(o, "output", lode_i_json_i64((int64_t)plan->output));
    SET(o, "resident", lode_i_json_i64((int64_t)plan->resident));
    SET(o, "scratch", lode_i_json_i64((int64_t)plan->scratch));
    SET(o, "slab", lode_i_json_i64(plan->slab));
    SET(o, "block", lode_i_json_i64(plan->block));
    SET(o, "refined", lode_i_json_bool(plan->refined));
    if (plan->seconds_high > 0) {
        SET(o, "seconds_low", lode_i_json_f64(plan->seconds_low));
        SET(o, "seconds_high", lode_i_json_f64(plan->seconds_high));
    }
    if (plan->bytes_high > 0) {
        SET(o, "bytes_low", lode_i_json_i64((int64_t)plan->bytes_low));
        SET(o, "bytes_high", lode_i_json_i64((int64_t)plan->bytes_high));
    }
    if (plan->basis[0])
        SET(o, "basis", lode_i_json_text(plan->basis));
    LODE_TRY(lode_i_json_print(ctx, o, 0, text));
done:
    lode_i_json_free(o);
    return st;
}

lode_status lode_certificate_json(lode_ctx *ctx, const lode_certificate *c, char **text)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object();
    SET(o, "kind", lode_i_json_text(lode_cert_kind_name(c->kind)));
    SET(o, "quantity", lode_i_json_text(c->quantity));
    SET(o, "norm", lode_i_json_text(lode_norm_name(c->norm)));
    SET(o, "relative", lode_i_json_bool(c->relative));
    SET(o, "value", lode_i_json_f64(c->value));
    SET(o, "absolute", lode_i_json_f64(c->absolute));
    SET(o, "asked", lode_i_json_f64(c->asked));
    if (c->other > 0)
        SET(o, "other", lode_i_json_f64(c->other));
    if (c->kind == LODE_CERT_PROBABILISTIC)
        SET(o, "failure", lode_i_json_f64(c->failure));
    if (c->kind == LODE_CERT_HELDOUT) {
        SET(o, "low", lode_i_json_f64(c->low));
        SET(o, "high", lode_i_json_f64(c->high));
    }
    SET(o, "needs_original", lode_i_json_bool(c->needs_original));
    SET(o, "note", lode_i_json_text(c->note));
    LODE_TRY(lode_i_json_print(ctx, o, 0, text));
done:
    lode_i_json_free(o);
    return st;
}
