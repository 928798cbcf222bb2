/* Calls: entering a typed function, and the same call by name. */
#include <stdlib.h>
#include <string.h>

#include "lode/io.h"
#include "op/call.h"

/* ---- what LODE_ENTER does ---- */

lode_status lode_i_check_budget(lode_ctx *ctx, const lode_op *op, const lode_plan *plan)
{
    const uint64_t need = plan->workspace + plan->output + plan->resident;
    const uint64_t left = lode_i_memory_left(ctx);
    if (need <= left)
        return LODE_OK;
    const uint64_t would_do = lode_ctx_memory_used(ctx) + need;
    return lode_i_fail(ctx, LODE_EBUDGET,
                       "%s needs %" PRIu64 " bytes (%s: inputs %" PRIu64 ", workspace %" PRIu64
                       ", outputs %" PRIu64 "), more than the %" PRIu64
                       " left of the budget; --memory %" PRIu64 "M would do",
                       op->name, need, plan->algorithm, plan->resident, plan->workspace,
                       plan->output, left, would_do / 1048576 + 1);
}

static lode_status make_plan(lode_ctx *ctx, const lode_call *call, lode_plan *plan)
{
    *plan = (lode_plan){ 0 };
    lode_i_stage(ctx, "", 0, 0); /* what it measures is no progress */
    const lode_status st = call->op->plan ? call->op->plan(ctx, call, plan) : LODE_OK;
    lode_i_stage(ctx, "", 0, 1);
    return st;
}

static lode_status enter(lode_ctx *ctx, const lode_op *op, const void *opts, const lode_value *in,
                         int nin, lode_plan *plan)
{
    lode_plan *handed = lode_i_handed_plan(ctx, op);
    if (handed) { /* the generic call has checked and planned this very call */
        *plan = *handed;
        return LODE_OK;
    }
    if (!opts || *(const size_t *)opts != op->opts_size)
        return lode_i_fail(ctx, LODE_EPARAM, "%s: the options do not start from lode_%s_defaults()",
                           op->name, op->name);
    lode_call call = { .op = op };
    call.opts = (void *)(uintptr_t)opts; /* only read */
    for (int i = 0; i < nin && i < LODE_MAX_PORTS; i++)
        call.in[i] = in[i];
    LODE_FORWARD(lode_i_check_call(ctx, &call));
    LODE_FORWARD(make_plan(ctx, &call, plan));
    return lode_i_check_budget(ctx, op, plan);
}

/* Lines that say which call a checkpoint is of: all that decides the bits of its result. */
static lode_status identify(lode_ctx *ctx, const lode_op *op, const void *opts,
                            const lode_value *in, int nin, lode_text *t)
{
    lode_status st = LODE_OK;
    char hex[72];
    LODE_TRY(lode_i_text_add(ctx, t, "%s, lode %s\nseed %" PRIu64 "\n", op->name, lode_version(),
                             ctx->seed));
    for (const lode_param *p = op->params; p->name; p++) {
        const lode_array *a = NULL;
        LODE_TRY(lode_i_text_add(ctx, t, "%s ", p->name));
        if (p->kind == LODE_P_ARRAY)
            memcpy(&a, (const char *)opts + p->offset, sizeof(const lode_array *));
        if (a)
            LODE_TRY(lode_hash(ctx, lode_from_array(a), hex));
        LODE_TRY(p->kind == LODE_P_ARRAY ? lode_i_text_add(ctx, t, "%s", a ? hex : "none")
                                         : lode_i_param_print(ctx, p, opts, t));
        LODE_TRY(lode_i_text_add(ctx, t, "\n"));
    }
    for (int i = 0; i < nin; i++)
        if (in[i].kind != LODE_NONE)
            LODE_TRY(lode_i_identify_input(ctx, op->name, op->in[i].name, in[i], t));
done:
    return st;
}

/* Begins the call's checkpoint, or opens the one that it left. */
static lode_status start_checkpoint(lode_ctx *ctx, const lode_op *op, const void *opts,
                                    const lode_value *in, int nin)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    if (!ctx->checkpoint || lode_i_checkpoint(ctx)) /* none, or a call within one that has it */
        return LODE_OK;
    lode_i_stage(ctx, "checking the input", 0, 0);
    LODE_TRY(identify(ctx, op, opts, in, nin, &t));
    LODE_TRY(lode_i_checkpoint_start(ctx, t.text));
    lode_i_stage(ctx, "", 0, 1);
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_whole_checkpoint(lode_ctx *ctx, const lode_call *call, const lode_bundle *file)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    if (!ctx->checkpoint)
        return LODE_OK;
    LODE_TRY(lode_i_refuse_checkpoint(ctx, call->op));
    lode_i_stage(ctx, "checking the input", 0, 0);
    LODE_TRY(identify(ctx, call->op, call->opts, NULL, 0, &t));
    LODE_TRY(lode_i_text_add(ctx, &t, "rules %s\n",
                             call->store && call->store->rules ? call->store->rules : "none"));
    for (int64_t i = 0; i < file->count; i++) {
        const lode_value v = lode_bundle_value(file, i);
        if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE)
            LODE_TRY(lode_i_identify_input(ctx, call->op->name, lode_bundle_name(file, i), v, &t));
    }
    LODE_TRY(lode_i_checkpoint_start(ctx, t.text));
    lode_i_stage(ctx, "", 0, 1);
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_refuse_checkpoint(lode_ctx *ctx, const lode_op *op)
{
    if (!ctx->checkpoint || op->checkpoint || lode_i_checkpoint(ctx))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EUSAGE,
                       "%s keeps no checkpoint: it cannot go on where it was stopped; leave out "
                       "--checkpoint",
                       op->name);
}

lode_status lode_i_enter(lode_ctx *ctx, const lode_op *op, const void *opts, const lode_value *in,
                         int nin, lode_plan *plan)
{
    LODE_FORWARD(enter(ctx, op, opts, in, nin, plan));
    LODE_FORWARD(lode_i_refuse_checkpoint(ctx, op));
    return start_checkpoint(ctx, op, opts, in, nin);
}

lode_status lode_i_refine(lode_ctx *ctx, const lode_op *op, lode_plan *plan)
{
    plan->refined = true;
    lode_plan *handed = lode_i_handed_plan(ctx, op);
    if (handed)
        *handed = *plan;
    return LODE_OK;
}

lode_matrix_info lode_call_matrix(const lode_call *c, int port)
{
    const lode_value v = c->in[port];
    lode_matrix_info m = { .kind = v.kind, .dtype = LODE_F64 };
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    if (!lode_i_value_shape(v, &m.dtype, &ndim, shape) || ndim != 2)
        return m;
    m.rows = shape[0], m.cols = shape[1];
    m.dtype = lode_i_arith(m.dtype);
    m.nonzeros = v.kind == LODE_SPARSE ? lode_sparse_nnz(v.as.sparse) : m.rows * m.cols;
    return m;
}

lode_dense_info lode_call_dense(const lode_call *c, int port)
{
    const lode_value v = c->in[port];
    lode_dense_info d = { .kind = v.kind, .dtype = LODE_F64, .stored = LODE_F64 };
    if (!lode_i_value_shape(v, &d.stored, &d.ndim, d.shape))
        return d;
    d.dtype = lode_i_arith(d.stored);
    d.size = 1;
    for (int i = 0; i < d.ndim; i++)
        d.size *= d.shape[i]; /* checked on entry */
    return d;
}

/* ---- the call by name ---- */

static lode_status store_text(lode_ctx *ctx, struct lode_call_store *s, const char *text,
                              char **copy)
{
    if (s->texts == s->text_capacity) {
        const int64_t capacity = 2 * s->text_capacity + 8;
        void *grown = s->text;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)capacity * sizeof *s->text, &grown));
        s->text = grown, s->text_capacity = capacity;
    }
    LODE_FORWARD(lode_i_strdup(ctx, text, copy));
    s->text[s->texts++] = *copy;
    return LODE_OK;
}

lode_status lode_call_init(lode_ctx *ctx, const lode_op *op, lode_call *call)
{
    lode_status st = LODE_OK;
    void *opts = NULL, *store = NULL;
    LODE_TRY(lode_i_calloc(ctx, op->opts_size, &opts));
    LODE_TRY(lode_i_calloc(ctx, sizeof(struct lode_call_store), &store));
    lode_op_defaults(op, opts);
    *call = (lode_call){ .op = op, .opts = opts, .store = store };
    opts = store = NULL;
done:
    lode_i_free(opts);
    lode_i_free(store);
    return st;
}

void lode_call_free(lode_call *call)
{
    struct lode_call_store *s = call->store;
    if (s) {
        for (int64_t i = 0; i < s->texts; i++)
            lode_i_free(s->text[i]);
        lode_i_free(s->text);
        for (int i = 0; i < LODE_MAX_PORTS; i++)
            lode_bundle_free(&s->items[i]);
        lode_bundle_free(&s->loaded);
        lode_i_free(s->rules);
        lode_i_free(s->attributes);
    }
    lode_i_free(s);
    lode_i_free(call->opts);
    *call = (lode_call){ 0 };
}

static lode_status find_param(lode_ctx *ctx, const lode_op *op, const char *name,
                              const lode_param **found)
{
    *found = lode_i_param_find(op, name);
    if (*found)
        return LODE_OK;
    const char *best = NULL;
    int least = 4;
    for (const lode_param *p = op->params; p->name; p++) {
        const int d = lode_i_distance(name, p->name);
        if (d < least)
            least = d, best = p->name;
    }
    char hint[96] = "";
    if (best) {
        snprintf(hint, sizeof hint, "; did you mean --%s?", best);
        for (char *c = hint; *c; c++)
            *c = *c == '_' ? '-' : *c;
    }
    return lode_i_fail(ctx, LODE_EUSAGE, "%s has no option %s%s", op->name, name, hint);
}

lode_status lode_call_set(lode_ctx *ctx, lode_call *call, const char *name, const char *text)
{
    const lode_param *p = NULL;
    char *copy = NULL;
    LODE_FORWARD(find_param(ctx, call->op, name, &p));
    if (p->kind == LODE_P_TEXT) {
        LODE_FORWARD(store_text(ctx, call->store, text, &copy));
        text = copy;
    }
    call->planned = false;
    if (p->kind == LODE_P_ERROR) { /* the last one given holds */
        lode_i_free(call->store->rules);
        call->store->rules = NULL;
    }
    if (p->kind != LODE_P_ERROR || !lode_i_rules_are(text))
        return lode_i_param_parse(ctx, call->op, p, text, call->opts);
    lode_i_rules rules = { 0 };
    LODE_FORWARD(
        lode_i_rules_parse(ctx, call->op, p, text, &rules)); /* what is wrong is said now */
    lode_i_rules_free(&rules);
    LODE_FORWARD(lode_i_strdup(ctx, text, &copy));
    call->store->rules = copy;
    return LODE_OK;
}

lode_status lode_call_attributes(lode_ctx *ctx, lode_call *call, const char *attributes)
{
    char *copy = NULL;
    if (attributes)
        LODE_FORWARD(lode_i_strdup(ctx, attributes, &copy));
    lode_i_free(call->store->attributes);
    call->store->attributes = copy;
    return LODE_OK;
}

lode_status lode_call_set_array(lode_ctx *ctx, lode_call *call, const char *name,
                                const lode_array *a)
{
    const lode_param *p = NULL;
    LODE_FORWARD(find_param(ctx, call->op, name, &p));
    if (p->kind != LODE_P_ARRAY)
        return lode_i_fail(ctx, LODE_ETYPE, "%s: option %s does not take an array", call->op->name,
                           p->name);
    memcpy((char *)call->opts + p->offset, &a, sizeof a);
    call->planned = false;
    return LODE_OK;
}

/* A repeated port's items: borrowed, so the bundle gets references that own nothing. */
static lode_status add_item(lode_ctx *ctx, lode_bundle *items, lode_value v)
{
    char name[32];
    snprintf(name, sizeof name, "%" PRId64, items->count);
    if (v.kind == LODE_ARRAY) {
        lode_array a = lode_array_ref(v.as.array);
        const lode_status st = lode_bundle_add_array(ctx, items, name, &a);
        lode_array_free(&a);
        return st;
    }
    if (v.kind == LODE_SOURCE) {
        lode_source s = *v.as.source;
        s.close = NULL; /* the caller closes it */
        return lode_bundle_add_source(ctx, items, name, &s);
    }
    if (v.kind == LODE_TEXT)
        return lode_bundle_add_text(ctx, items, name, v.as.text);
    if (v.kind == LODE_BUNDLE) {
        lode_bundle lent = { 0 };
        lode_status st = lode_i_bundle_lend(ctx, v.as.bundle, &lent);
        if (st >= 0)
            st = lode_bundle_add_bundle(ctx, items, name, &lent);
        lode_bundle_free(&lent);
        return st;
    }
    return lode_i_fail(ctx, LODE_ETYPE,
                       "a repeated input cannot be a %s; give an array, a file or text",
                       lode_kind_name(v.kind));
}

static lode_status find_port(lode_ctx *ctx, const lode_call *call, const char *name, int *found)
{
    const lode_op *op = call->op;
    int n = 0;
    for (const lode_port *port = op->in; port->name; port++, n++) {
        const bool plain = !port->optional && !port->repeated && call->in[n].kind == LODE_NONE;
        if (name ? strcmp(port->name, name) == 0 : plain) {
            *found = n;
            return LODE_OK;
        }
    }
    for (n = 0; !name && op->in[n].name; n++)
        if (op->in[n].follows && (op->in[n].repeated || call->in[n].kind == LODE_NONE)) {
            *found = n;
            return LODE_OK;
        }
    if (name)
        return lode_i_fail(ctx, LODE_EUSAGE, "%s has no input %s; see 'lode help %s'", op->name,
                           name, op->name);
    for (n = 0; op->in[n].name; n++)
        if (op->in[n].optional || op->in[n].repeated)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "%s: too many inputs; give a further one by name, as in %s=FILE",
                               op->name, op->in[n].name);
    return lode_i_fail(ctx, LODE_EUSAGE, "%s: too many inputs; it takes %d", op->name, n);
}

lode_status lode_call_input(lode_ctx *ctx, lode_call *call, const char *port, lode_value value)
{
    int n = 0;
    LODE_FORWARD(find_port(ctx, call, port, &n));
    call->planned = false;
    if (call->op->in[n].repeated) {
        LODE_FORWARD(add_item(ctx, &call->store->items[n], value));
        call->in[n] = lode_from_bundle(&call->store->items[n]);
        return LODE_OK;
    }
    if (call->in[n].kind != LODE_NONE)
        return lode_i_fail(ctx, LODE_EUSAGE, "%s: input %s is given twice", call->op->name,
                           call->op->in[n].name);
    call->in[n] = value;
    return LODE_OK;
}

/* Whether the port wants an array where a source was given. */
static bool must_load(const lode_call *call, int n)
{
    return call->in[n].kind == LODE_SOURCE &&
           !(lode_i_port_kinds(&call->op->in[n], true) & LODE_KIND_BIT(LODE_SOURCE));
}

lode_status lode_call_plan(lode_ctx *ctx, lode_call *call)
{
    if (call->planned)
        return LODE_OK;
    if (lode_i_is_whole(call))
        return lode_i_whole_plan(ctx, call, false, &call->plan);
    lode_status st = LODE_OK;
    lode_i_begin(ctx, call->op->name);
    LODE_REQUIRE(!call->store || !call->store->rules, LODE_EUSAGE,
                 "%s: option error gives rules by name (%s), and the input is one array; give one "
                 "error, or the whole file",
                 call->op->name, call->store->rules);
    LODE_TRY(lode_i_check_call(ctx, call));
    LODE_TRY(make_plan(ctx, call, &call->plan));
    for (int n = 0; call->op->in[n].name; n++)
        if (must_load(call, n)) {
            const lode_dense_info d = lode_call_dense(call, n);
            call->plan.resident += lode_i_bytes(d.stored, d.size, 1);
        }
    LODE_TRY(lode_i_check_budget(ctx, call->op, &call->plan));
    call->planned = true;
done:
    lode_i_end(ctx);
    return st;
}

lode_status lode_call_forecast(lode_ctx *ctx, lode_call *call)
{
    lode_status st = LODE_OK;
    lode_plan made;
    if (lode_i_is_whole(call))
        return lode_i_whole_plan(ctx, call, true, &call->plan);
    LODE_FORWARD(lode_call_plan(ctx, call));
    made = call->plan;
    made.seconds_low = made.seconds_high = made.seconds;
    lode_i_begin(ctx, call->op->name);
    if (call->op->forecast)
        LODE_TRY(call->op->forecast(ctx, call, &made));
    call->plan = made;
done:
    lode_i_end(ctx);
    return st;
}

const lode_plan *lode_call_planned(const lode_call *call)
{
    return &call->plan;
}

static lode_status load_inputs(lode_ctx *ctx, lode_call *call)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    for (int n = 0; call->op->in[n].name; n++) {
        if (!must_load(call, n))
            continue;
        const lode_array *kept = NULL;
        LODE_TRY(lode_i_source_load(ctx, call->in[n].as.source, &a));
        LODE_TRY(lode_bundle_add_array(ctx, &call->store->loaded, call->op->in[n].name, &a));
        LODE_TRY(lode_bundle_array(ctx, &call->store->loaded, call->op->in[n].name, &kept));
        call->in[n] = lode_from_array(kept);
    }
done:
    LODE_FREE(&a);
    return st;
}

lode_status lode_i_options_json(lode_ctx *ctx, const lode_op *op, const void *opts, char **text)
{
    lode_status st = LODE_OK;
    lode_text value = { 0 };
    lode_json *object = lode_i_json_object();
    for (const lode_param *p = op->params; p->name; p++) {
        if (p->kind == LODE_P_ARRAY)
            continue; /* an input, not a setting */
        value.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &value, "%s", ""));
        LODE_TRY(lode_i_param_print(ctx, p, opts, &value));
        LODE_TRY(lode_i_json_set(ctx, object, p->name, lode_i_json_text(value.text)));
    }
    LODE_TRY(lode_i_json_print(ctx, object, 0, text));
done:
    lode_i_text_free(&value);
    lode_i_json_free(object);
    return st;
}

lode_status lode_i_options_read(lode_ctx *ctx, const lode_op *op, const char *text, void *opts)
{
    lode_status st = LODE_OK;
    lode_json *object = NULL, *value = NULL;
    LODE_REQUIRE(text, LODE_EUSAGE, "%s: the result does not record the options it was made with",
                 op->name);
    LODE_TRY(lode_i_json_parse(ctx, text, strlen(text), &object));
    const char *name = lode_i_json_next(object, NULL, &value);
    for (; name; name = lode_i_json_next(object, name, &value)) {
        const lode_param *p = lode_i_param_find(op, name);
        const char *written = lode_i_json_as_text(value);
        LODE_REQUIRE(p && written, LODE_EFORMAT,
                     "%s: the result records an option '%.40s', which this build does not know",
                     op->name, name);
        if (p->kind != LODE_P_TEXT && p->kind != LODE_P_ARRAY)
            LODE_TRY(lode_i_param_parse(ctx, op, p, written, opts));
    }
done:
    lode_i_json_free(object);
    return st;
}

lode_status lode_i_options_of(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                              void *opts)
{
    lode_op_defaults(op, opts);
    return model->meta.options ? lode_i_options_read(ctx, op, model->meta.options, opts) : LODE_OK;
}

/* Provenance that every result carries. */
static lode_status fill_meta(lode_ctx *ctx, const lode_call *call, lode_bundle *b)
{
    lode_meta *m = &b->meta;
    char *options = NULL;
    LODE_FORWARD(lode_i_options_json(ctx, call->op, call->opts, &options));
    lode_i_free(m->options);
    m->options = options;
    snprintf(m->op, sizeof m->op, "%s", call->op->name);
    snprintf(m->version, sizeof m->version, "%s", lode_version());
    m->seed = ctx->seed;
    if (call->op->in[0].name && m->input_bytes == 0) {
        const lode_dense_info d = lode_call_dense(call, 0);
        if (d.kind == LODE_ARRAY || d.kind == LODE_SOURCE)
            m->input_bytes = lode_i_bytes(d.stored, d.size, 1);
        const bool same = m->has_shape && m->ndim == d.ndim &&
                          memcmp(m->shape, d.shape, (size_t)d.ndim * sizeof *d.shape) == 0;
        if (same && call->store->attributes && !m->attributes)
            return lode_i_strdup(ctx, call->store->attributes, &m->attributes);
    }
    return LODE_OK;
}

/* What names and units take of a budget that is the size of a file: their text, quoted in the header.
 * Where they would take much of it they are left out. NULL: no such budget. */
static lode_budget_spec *spend_on_attributes(lode_ctx *ctx, lode_call *call, double *asked)
{
    char **const text = call->store ? &call->store->attributes : NULL;
    double bytes = 0;
    for (const lode_param *p = call->op->params; text && *text && p->name; p++) {
        lode_budget_spec *const b = (lode_budget_spec *)(void *)((char *)call->opts + p->offset);
        if (p->kind != LODE_P_BUDGET || b->kind != LODE_BUDGET_BYTES)
            continue;
        for (const char *c = *text; *c; c++)
            bytes += *c == '"' || *c == '\\' ? 2 : 1;
        *asked = b->value;
        if (bytes > b->value / 4) {
            lode_i_log(ctx,
                       "names and units of the input take %.0f bytes, and are left out for a "
                       "budget of %.0f",
                       bytes, b->value);
            lode_i_free(*text);
            *text = NULL;
        } else {
            b->value -= bytes;
        }
        return b;
    }
    return NULL;
}

lode_status lode_call_run(lode_ctx *ctx, lode_call *call, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle local = { 0 };
    double asked = 0;
    lode_budget_spec *budget = NULL;
    if (lode_i_is_whole(call))
        return lode_i_whole_run(ctx, call, result);
    lode_i_begin(ctx, call->op->name);
    LODE_TRY(lode_i_refuse_checkpoint(ctx, call->op));
    budget = spend_on_attributes(ctx, call, &asked);
    LODE_TRY(lode_call_plan(ctx, call));
    LODE_TRY(load_inputs(ctx, call));
    lode_i_hand_plan(ctx, call->op, &call->plan);
    const lode_status ran = call->op->run(ctx, call, &local);
    lode_i_hand_plan(ctx, NULL, NULL);
    LODE_TRY(ran);
    if (budget)
        budget->value = asked;
    LODE_TRY(lode_i_check_result(ctx, call, &local));
    LODE_TRY(fill_meta(ctx, call, &local));
    lode_bundle_swap(result, &local);
done:
    if (budget)
        budget->value = asked;
    lode_i_end(ctx);
    LODE_FREE(&local);
    return st;
}

lode_status lode_bundle_reserve(lode_ctx *ctx, lode_bundle *b, const lode_port *out, lode_array **y)
{
    /* Members first, pointers after: adding may move them. */
    static const int64_t none[1] = { 0 };
    const int64_t first = b->count;
    int64_t n = 0;
    for (const lode_port *port = out; port->name; port++) {
        if (strchr(port->name, '*'))
            continue;
        lode_array empty = { 0 };
        LODE_FORWARD(lode_array_new(ctx, LODE_F64, 1, none, &empty));
        const lode_status st = lode_bundle_add_array(ctx, b, port->name, &empty);
        lode_array_free(&empty);
        LODE_FORWARD(st);
        n++;
    }
    /* ours: the bundle owns it */
    for (int64_t i = 0; i < n; i++)
        y[i] = (lode_array *)(uintptr_t)lode_bundle_value(b, first + i).as.array;
    return LODE_OK;
}
