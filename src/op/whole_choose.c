/* What becomes of the members of a file when an operation runs on all of it. What is lossy: members that
 * a rule names; and where a pattern (or an error for all) fits, arrays of floating-point values that take
 * SMALL bytes or more and are no coordinates. A coordinate is a vector named as its dimension, or what
 * another variable names as its coordinates, bounds and the like. */
#include <math.h>
#include <string.h>

#include "op/whole.h"

/* Bytes of an array that no pattern means, as its head would outweigh it; of coordinates more, so that
 * they stay where other readers of the file see them. */
enum { SMALL = 4096, COORDINATES = 1 << 20 };

bool lode_op_takes_files(const lode_op *op)
{
    const lode_port *port = op->in;
    const bool any = port->name && (!port->shape || strcmp(port->shape, "...") == 0);
    return op->invert && any && !port->repeated && (lode_i_port_kinds(port, true) & LODE_DENSE) &&
           !(lode_i_port_kinds(port, true) & LODE_KIND_BIT(LODE_BUNDLE));
}

bool lode_i_is_whole(const lode_call *call)
{
    return call->in[0].kind == LODE_BUNDLE && lode_op_takes_files(call->op);
}

/* ---- what the file says of its variables ---- */

void lode_i_whole_close(lode_i_whole *j)
{
    lode_i_rules_free(&j->rules);
    lode_json *const names = j->names;
    lode_i_json_free(names);
    *j = (lode_i_whole){ .call = NULL };
}

/* Whether a text names the variable, beside the one it is of or by its path: "time: mean" names time. */
static bool mentions(const char *text, const char *of, const char *name)
{
    const char *const slash = strrchr(of, '/');
    const size_t group = slash ? (size_t)(slash - of) + 1 : 0;
    while (*text) {
        text += strspn(text, " ");
        const size_t n = strcspn(text, " ");
        const bool sibling = strncmp(name, of, group) == 0 && strlen(name) == group + n &&
                             strncmp(name + group, text, n) == 0;
        if (n > 0 && (sibling || (strlen(name) == n && strncmp(name, text, n) == 0)))
            return true;
        text += n;
    }
    return false;
}

static bool is_coordinate(const lode_i_whole *j, const char *name, int ndim)
{
    static const char *const speak[] = { "coordinates", "bounds", "climatology", "cell_measures",
                                         "formula_terms" };
    const lode_json *dims = lode_i_json_get(lode_i_json_get(j->variables, name), "dims");
    const char *axis = lode_i_json_as_text(lode_i_json_at(dims, 0));
    lode_json *v = NULL;
    if (ndim == 1 && axis && strcmp(axis, name) == 0)
        return true;
    for (const char *of = NULL; (of = lode_i_json_next(j->variables, of, &v));)
        for (size_t i = 0; i < sizeof speak / sizeof *speak; i++) {
            const lode_json *a = lode_i_json_get(lode_i_json_get(v, "attributes"), speak[i]);
            const char *text = lode_i_json_as_text(a);
            if (text && strcmp(of, name) != 0 && mentions(text, of, name))
                return true;
        }
    return false;
}

/* ---- what becomes of a member ---- */

double lode_i_value_bytes(lode_value v)
{
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    if (v.kind == LODE_SCALAR)
        return (double)lode_dtype_size(v.as.scalar->dtype);
    if (v.kind != LODE_ARRAY && v.kind != LODE_SOURCE)
        return 0;
    lode_i_value_shape(v, &dtype, &ndim, shape);
    double n = (double)lode_dtype_size(dtype) / (double)lode_dtype_block(dtype);
    for (int k = 0; k < ndim; k++)
        n *= (double)shape[k];
    return n;
}

bool lode_i_keeps_every_bit(const lode_op *op)
{
    const lode_param *method = lode_i_param_find(op, "method");
    return method && method->kind == LODE_P_ENUM && strstr(method->choices, "lossless");
}

lode_status lode_i_whole_choose(lode_ctx *ctx, const lode_i_whole *j, int64_t i, lode_i_choice *c)
{
    const lode_value v = lode_bundle_value(j->file, i);
    const char *name = lode_bundle_name(j->file, i);
    const lode_op *op = j->call->op;
    const lode_i_rule *rule = lode_i_rules_find(&j->rules, name);
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    *c = (lode_i_choice){ .fate = LODE_I_KEPT,
                          .named = rule && !rule->pattern,
                          .bytes = lode_i_value_bytes(v) };
    if (v.kind == LODE_BUNDLE) /* a result already */
        c->bytes = (double)v.as.bundle->meta.input_bytes;
    if (strcmp(name, LODE_I_FRAME) == 0) { /* which no rule is about */
        c->named = false, c->dtype = LODE_U8;
        if (lode_i_keeps_every_bit(op) && v.kind != LODE_BUNDLE)
            c->fate = LODE_I_EXACT;
        return LODE_OK;
    }
    const bool dense = v.kind == LODE_ARRAY || v.kind == LODE_SOURCE;
    if (c->named && !rule->exact && !dense)
        return lode_i_fail(
            ctx, LODE_ETYPE,
            "%s: rule %s=.. asks for an error, but %s is a %s; only arrays of numbers "
            "have one: leave the rule out, or give %s=exact",
            op->name, name, name, lode_kind_name(v.kind), name);
    if (!dense)
        return LODE_OK;
    lode_i_value_shape(v, &c->dtype, &ndim, shape);
    const bool takes = (lode_i_port_types(&op->in[0]) & (UINT32_C(1) << c->dtype)) != 0;
    if (c->named && !rule->exact && !takes)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s: rule %s=.. asks for an error, but %s is of type %s, which is not "
                           "accepted; give %s=exact",
                           op->name, name, name, lode_dtype_name(c->dtype), name);
    if (!takes || !(c->bytes > 0))
        return LODE_OK;
    const bool floating = strchr("fc", lode_dtype_class(c->dtype)) != NULL;
    const bool meant = c->named || (floating && c->bytes >= SMALL && !is_coordinate(j, name, ndim));
    if (meant && (rule ? !rule->exact : j->rules.count == 0)) {
        c->fate = LODE_I_LOSSY;
        c->ruled = rule != NULL;
        c->error = rule ? rule->error : (lode_error_spec){ 0 };
    } else if (lode_i_keeps_every_bit(op) &&
               c->bytes >= (is_coordinate(j, name, ndim) ? COORDINATES : SMALL)) {
        c->fate = LODE_I_EXACT;
    }
    return LODE_OK;
}

/* ---- the options of one member ---- */

void *lode_i_at_param(const lode_call *call, const lode_param *p)
{
    return (char *)call->opts + p->offset;
}

double lode_i_whole_step(const lode_i_whole *j, const char *name)
{
    const lode_json *v = lode_i_json_get(j->variables, name);
    const char *word = lode_i_json_as_text(lode_i_json_get(v, "stored"));
    const lode_i_attributes a = { lode_i_json_get(v, "attributes"), lode_i_json_get(v, "types") };
    lode_i_packing p = { .packed = false };
    lode_dtype stored = LODE_F64, dtype = LODE_F64;
    if (!word || !lode_dtype_parse(word, &stored))
        return 0;
    lode_i_packing_of(&a, stored, &p, &dtype);
    return p.packed ? fabs(p.factor) : 0;
}

/* Values that go back into few bits are rounded once more then: what that adds is taken off before, for
 * no value moves by more than half a step of the packing, nor by more than its own error. */
static void make_room(const lode_i_whole *j, const char *name, lode_error_spec *e)
{
    const double step = lode_i_whole_step(j, name);
    if (!(step > 0))
        return;
    if (e->kind == LODE_ERROR_MAX) {
        char plain[32]; /* 0.045, not 0.045000000000000005 */
        double shorter = 0;
        e->value = fmax(e->value / 2, e->value - step / 2);
        snprintf(plain, sizeof plain, "%.12g", e->value);
        if (lode_i_parse_f64(plain, &shorter) && shorter <= e->value && shorter > 0)
            e->value = shorter;
    } else if (e->kind == LODE_ERROR_PSNR) {
        e->value += 20 * log10(2);
    } else {
        e->value /= 2;
    }
}

/* Missing values, where nothing was said: NaN and infinities keep their places; of integers, the value
 * that the file declares. */
static void set_missing(const lode_i_whole *j, const char *name, lode_dtype dtype,
                        const lode_call *call)
{
    const lode_json *v = lode_i_json_get(j->variables, name);
    const lode_json *list = lode_i_json_get(v, "attributes"), *types = lode_i_json_get(v, "types");
    static const char *const fills[] = { "_FillValue", "missing_value" };
    for (const lode_param *p = call->op->params; p->name; p++) {
        lode_missing usual = { 0 };
        if (p->kind != LODE_P_MISSING || !p->def_text || strcmp(p->def_text, "nan") != 0)
            continue;
        lode_missing *const m = lode_i_at_param(call, p);
        usual.kind = LODE_MISSING_NAN;
        if (m->kind != usual.kind)
            continue; /* the caller's own */
        if (strchr("fc", lode_dtype_class(dtype))) {
            if (strstr(p->help, "inf"))
                m->kind = LODE_MISSING_INF;
            continue;
        }
        for (size_t k = 0; k < sizeof fills / sizeof *fills && m->kind == usual.kind; k++) {
            const char *type = lode_i_json_as_text(lode_i_json_get(types, fills[k]));
            if ((!type || strcmp(type, "string") != 0) &&
                lode_i_json_as_f64(lode_i_json_get(list, fills[k]), &m->value) &&
                isfinite(m->value))
                m->kind = LODE_MISSING_VALUE;
        }
    }
}

lode_status lode_i_whole_options(lode_ctx *ctx, const lode_i_whole *j, const char *name,
                                 const lode_i_choice *c, lode_call *call)
{
    const lode_op *op = call->op;
    memcpy(call->opts, j->call->opts, op->opts_size);
    if (c->fate == LODE_I_EXACT) {
        for (const lode_param *p = op->params; p->name; p++)
            if (p->kind == LODE_P_ERROR || p->kind == LODE_P_BUDGET || p->kind == LODE_P_RANK)
                memset(lode_i_at_param(call, p), 0, p->size);
        set_missing(j, name, c->dtype, call);
        return lode_i_param_parse(ctx, op, lode_i_param_find(op, "method"), "lossless", call->opts);
    }
    set_missing(j, name, c->dtype, call);
    if (!j->error)
        return LODE_OK;
    lode_error_spec *const e = lode_i_at_param(call, j->error);
    if (c->ruled)
        *e = c->error;
    if (e->kind != LODE_ERROR_NONE)
        make_room(j, name, e);
    return LODE_OK;
}

/* Budgets of a size are of one array. */
static lode_status check_options(lode_ctx *ctx, const lode_i_whole *j)
{
    const lode_op *op = j->call->op;
    for (const lode_param *p = op->params; p->name; p++) {
        const lode_budget_spec *b = p->kind == LODE_P_BUDGET ? lode_i_at_param(j->call, p) : NULL;
        if (b && (b->kind == LODE_BUDGET_BYTES || b->kind == LODE_BUDGET_PARAMS))
            return lode_i_fail(
                ctx, LODE_EUSAGE,
                "%s: option %s is a size for one array, and the input is a whole file; "
                "give bits=B a value, an error, or name one member as FILE:NAME",
                op->name, p->name);
    }
    return LODE_OK;
}

lode_status lode_i_whole_open(lode_ctx *ctx, const lode_call *call, lode_i_whole *j)
{
    const char *text = call->in[0].as.bundle->meta.attributes;
    *j = (lode_i_whole){ .call = call,
                         .file = call->in[0].as.bundle,
                         .error = lode_i_error_param(call->op) };
    for (int n = 1; call->op->in[n].name; n++)
        if (call->in[n].kind != LODE_NONE)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "%s: input %s goes with one array, and %s is a whole file",
                               call->op->name, call->op->in[n].name, call->op->in[0].name);
    LODE_FORWARD(check_options(ctx, j));
    if (call->store && call->store->rules)
        LODE_FORWARD(lode_i_rules_parse(ctx, call->op, j->error, call->store->rules, &j->rules));
    LODE_FORWARD(lode_i_rules_check(ctx, call->op, &j->rules, j->file));
    if (text)
        LODE_FORWARD(lode_i_json_parse(ctx, text, strlen(text), &j->names));
    j->variables = lode_i_json_get(j->names, "variables");
    return LODE_OK;
}
