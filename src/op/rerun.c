/* A result made again: the same op, options and seed on the same inputs, compared by hashes. */
#include <string.h>

#include "lode/io.h"
#include "lode/whole.h"
#include "op/call.h"

/* ---- the inputs must be those it was made from ---- */

/* What the result records of an input: its hash, "" where it had none, NULL: nothing. */
static const char *recorded(const lode_bundle *made, const lode_made *m, const char *name,
                            const char *first)
{
    if (first && strcmp(name, first) == 0)
        return made->meta.input_hash[0] ? made->meta.input_hash : NULL;
    return lode_i_json_as_text(lode_i_json_get(m->inputs, name));
}

static lode_status check_input(lode_ctx *ctx, const lode_bundle *made, const lode_made *m,
                               const char *name, const char *first, lode_value v)
{
    char hex[72];
    const char *wanted = recorded(made, m, name, first);
    const char *text = lode_i_json_as_text(lode_i_json_get(m->texts, name));
    if (v.kind == LODE_TEXT && text)
        return strcmp(v.as.text, text) == 0
                   ? LODE_OK
                   : lode_i_fail(ctx, LODE_EUSAGE, "rerun: input %s was '%.80s', not '%.80s'", name,
                                 text, v.as.text);
    if (!wanted && (made->meta.input_hash[0] || m->inputs) && !(first && strcmp(name, first) == 0))
        return lode_i_fail(ctx, LODE_EUSAGE, "rerun: the result was made without input %s", name);
    if (!wanted || !*wanted) {
        lode_i_log(ctx, "the result does not record which input %s it was made from", name);
        return LODE_OK;
    }
    LODE_FORWARD(lode_i_hash_input(ctx, v, hex));
    if (*hex && strcmp(hex, wanted) != 0)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "rerun: input %s is not the one that the result was made from: its hash "
                           "is %.16s.., not %.16s..",
                           name, hex, wanted);
    return LODE_OK;
}

/* Every input recorded is among those given. */
static lode_status check_present(lode_ctx *ctx, const lode_made *m, const char *const *given,
                                 int count)
{
    lode_json *hash = NULL;
    for (const char *name = NULL; (name = lode_i_json_next(m->inputs, name, &hash));) {
        bool there = false;
        for (int i = 0; i < count && !there; i++)
            there = strcmp(given[i], name) == 0;
        if (!there)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "rerun: the result was made from input %s too; give it", name);
    }
    return LODE_OK;
}

/* ---- making ---- */

/* Inputs that are words stand in the result; those given too are checked. */
static lode_status add_texts(lode_ctx *ctx, const lode_made *m, lode_call *call)
{
    for (int n = 0; call->op->in[n].name; n++) {
        const char *text = lode_i_json_as_text(lode_i_json_get(m->texts, call->op->in[n].name));
        if (text && call->in[n].kind == LODE_NONE)
            LODE_FORWARD(lode_call_input(ctx, call, call->op->in[n].name, lode_from_text(text)));
    }
    return LODE_OK;
}

static lode_status set_option(lode_ctx *ctx, void *data, const lode_param *p, const char *written)
{
    return lode_call_set(ctx, data, p->name, written);
}

static lode_status add_input(lode_ctx *ctx, lode_call *call, const lode_input *in)
{
    const lode_port *port = call->op->in;
    while (in->name && port->name && strcmp(port->name, in->name) != 0)
        port++;
    if (in->name && !port->name && in->value.kind == LODE_ARRAY &&
        lode_i_param_find(call->op, in->name))
        return lode_call_set_array(ctx, call, in->name, in->value.as.array);
    if (!in->name || !port->repeated || in->value.kind != LODE_BUNDLE)
        return lode_call_input(ctx, call, in->name, in->value);
    for (int64_t i = 0; i < in->value.as.bundle->count; i++)
        LODE_FORWARD(
            lode_call_input(ctx, call, in->name, lode_bundle_value(in->value.as.bundle, i)));
    return LODE_OK;
}

static lode_status run_again(lode_ctx *ctx, const lode_bundle *made, const lode_made *m,
                             const lode_op *op, const lode_input *inputs, int64_t count,
                             lode_bundle *again)
{
    enum { MOST = 256 };
    lode_status st = LODE_OK;
    lode_call call = { 0 };
    const char *given[MOST];
    const uint64_t seed = ctx->seed;
    lode_value v;
    int n = 0;

    LODE_FORWARD(lode_call_init(ctx, op, &call));
    LODE_REQUIRE(made->meta.options, LODE_EUSAGE,
                 "rerun: the result does not record the options it was made with");
    LODE_TRY(lode_i_options_given(ctx, op, made->meta.options, set_option, &call));
    for (int64_t i = 0; i < count; i++)
        LODE_TRY(add_input(ctx, &call, &inputs[i]));
    LODE_TRY(add_texts(ctx, m, &call));
    LODE_TRY(lode_call_attributes(ctx, &call, made->meta.attributes));
    ctx->seed = made->meta.seed;
    LODE_TRY(lode_call_plan(ctx, &call));
    lode_i_stage(ctx, "inputs", 0, 0.1);
    for (; n < MOST && lode_i_call_given(&call, n, &given[n], &v); n++)
        LODE_TRY(check_input(ctx, made, m, given[n], op->in[0].name, v));
    LODE_TRY(check_present(ctx, m, given, n));
    lode_i_stage(ctx, "", 0.1, 0.95);
    LODE_TRY(lode_call_run(ctx, &call, again));
done:
    ctx->seed = seed;
    lode_call_free(&call);
    return st;
}

static lode_status verb_again(lode_ctx *ctx, const lode_bundle *made, const lode_made *m,
                              const lode_op *op, const lode_input *inputs, int64_t count,
                              lode_bundle *again)
{
    enum { MOST = 256 };
    lode_status st = LODE_OK;
    const bool merge = strcmp(m->verb, "merge") == 0;
    const int64_t wanted = lode_i_json_count(m->inputs);
    const lode_bundle *models[MOST];
    lode_input more[MOST];
    const uint64_t seed = ctx->seed;
    char name[LODE_I_INPUT_NAME];
    const char *known = NULL;
    lode_json *hash = NULL;
    LODE_REQUIRE(wanted >= 2 && wanted <= MOST, LODE_EUSAGE,
                 "rerun: the result was made by %s, and does not record from what; make it again "
                 "with 'lode %s' and compare",
                 m->verb, m->verb);
    LODE_REQUIRE(count == wanted, LODE_EUSAGE,
                 "rerun: the result was made by %s from %" PRId64 " inputs (%s), not %" PRId64,
                 m->verb, wanted, merge ? "the results merged" : "the result it began with, and x",
                 count);
    lode_i_stage(ctx, "inputs", 0, 0.1);
    for (int64_t i = 0; i < count; i++) {
        const bool model = merge || i == 0;
        known = lode_i_json_next(m->inputs, known, &hash); /* in the order that they were given */
        const char *own = model || inputs[i].name || strcmp(known, "x") == 0 ? inputs[i].name
                                                                             : known;
        lode_i_verb_input(m->verb, i, own, name);
        more[i] = (lode_input){ own, inputs[i].value };
        LODE_REQUIRE(!model || inputs[i].value.kind == LODE_BUNDLE, LODE_EUSAGE,
                     "rerun: input %s is no result, but a %s", name,
                     lode_kind_name(inputs[i].value.kind));
        LODE_TRY(check_input(ctx, made, m, name, NULL, inputs[i].value));
        models[i] = model ? inputs[i].value.as.bundle : NULL;
    }
    LODE_REQUIRE(strcmp(models[0]->meta.op, op->name) == 0, LODE_EUSAGE,
                 "rerun: the result was made from one of '%s', not of '%s'", op->name,
                 models[0]->meta.op);
    lode_i_stage(ctx, "", 0.1, 0.95);
    ctx->seed = made->meta.seed;
    LODE_TRY(merge ? lode_merge(ctx, models, count, again)
             : strcmp(m->verb, "apply") == 0
                 ? lode_apply(ctx, models[0], inputs[1].value, again)
                 : lode_update_with(ctx, models[0], more + 1, count - 1, again));
done:
    ctx->seed = seed;
    return st;
}

/* ---- comparing ---- */

typedef struct difference {
    char first[200];
    int64_t count;
} difference;

LODE_PRINTF(2, 3) static void differ(difference *d, const char *format, ...)
{
    va_list arguments;
    if (d->count++ > 0)
        return;
    va_start(arguments, format);
    vsnprintf(d->first, sizeof d->first, format, arguments);
    va_end(arguments);
}

static lode_status compare_member(lode_ctx *ctx, const char *name, lode_value old, lode_value new,
                                  difference *d)
{
    char was[72], is[72];
    if (new.kind == LODE_NONE) {
        differ(d, "member %s is not made any more", name);
        return LODE_OK;
    }
    LODE_FORWARD(lode_hash(ctx, old, was));
    LODE_FORWARD(lode_hash(ctx, new, is));
    if (strcmp(was, is) != 0)
        differ(d, "member %s has hash %.16s.., not %.16s..", name, is, was);
    return LODE_OK;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static lode_status compare_meta(lode_ctx *ctx, const lode_bundle *old, const lode_bundle *new,
                                difference *d)
{
    const lode_meta *a = &old->meta, *b = &new->meta;
    lode_status st = LODE_OK;
    char *was = NULL, *is = NULL;
    if (!same_text(a->options, b->options))
        differ(d, "the options are %s, not %s", b->options, a->options);
    if (!same_text(a->attributes, b->attributes))
        differ(d, "the attributes differ");
    if (a->has_shape != b->has_shape ||
        (a->has_shape && (a->dtype != b->dtype || a->ndim != b->ndim ||
                          memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape) != 0)))
        differ(d, "it stands for an array of another type or shape");
    const lode_certificate *o = &old->certificate, *n = &new->certificate;
    if (o->kind == LODE_CERT_NONE && n->kind == LODE_CERT_NONE && same_text(o->note, n->note))
        return LODE_OK; /* of which files keep no numbers */
    LODE_TRY(lode_certificate_json(ctx, &old->certificate, &was));
    LODE_TRY(lode_certificate_json(ctx, &new->certificate, &is));
    if (strcmp(was, is) != 0)
        differ(d, "the certificate is another one");
done:
    lode_text_free(was);
    lode_text_free(is);
    return st;
}

static lode_status compare(lode_ctx *ctx, const char *op, const lode_bundle *old,
                           const lode_bundle *new)
{
    difference d = { 0 };
    char more[64] = "", version[96] = "";
    for (int64_t i = 0; i < old->count; i++) {
        const char *name = lode_bundle_name(old, i);
        LODE_FORWARD(
            compare_member(ctx, name, lode_bundle_value(old, i), lode_bundle_get(new, name), &d));
        LODE_FORWARD(lode_i_tick(ctx, i, old->count));
    }
    for (int64_t i = 0; i < new->count; i++)
        if (lode_bundle_get(old, lode_bundle_name(new, i)).kind == LODE_NONE)
            differ(&d, "member %s is new", lode_bundle_name(new, i));
    LODE_FORWARD(compare_meta(ctx, old, new, &d));
    if (strcmp(old->meta.version, lode_version()) != 0)
        snprintf(version, sizeof version, "; lode %s made it, this is %s", old->meta.version,
                 lode_version());
    if (d.count == 0) {
        if (*version)
            lode_i_log(ctx, "the same%s", version);
        return LODE_OK;
    }
    if (d.count > 1)
        snprintf(more, sizeof more, " (and %" PRId64 " more differ)", d.count - 1);
    return lode_i_fail(
        ctx, LODE_DIFFERS, "%s made again is another result: %s%s%s", op, d.first, more,
        *version ? version : "; another build or type of processor may round otherwise");
}

lode_status lode_rerun(lode_ctx *ctx, const lode_bundle *made, const lode_input *inputs,
                       int64_t count, lode_bundle *again)
{
    lode_status st = LODE_OK;
    lode_made m = { 0 };
    lode_bundle local = { 0 };
    lode_i_begin(ctx, "rerun");
    LODE_TRY(lode_i_made_read(ctx, made, &m));
    LODE_REQUIRE(m.op[0] || !lode_holds_results(made), LODE_EUSAGE,
                 "rerun: this file holds several results; make one again at a time, as in lode "
                 "rerun FILE:NAME INPUT:NAME");
    LODE_REQUIRE(m.op[0], LODE_EUSAGE,
                 "rerun: this file records no operation that made it; give a result that lode "
                 "wrote (.lode, .npz or a folder)");
    const lode_op *op = lode_op_find(ctx, m.op);
    LODE_REQUIRE(op, LODE_EUNSUPPORTED,
                 "rerun: made by '%s' (lode %s), which this build does not have", m.op,
                 made->meta.version);
    const bool run = strcmp(m.verb, "run") == 0;
    const bool known = run || strcmp(lode_made_by(made), m.verb) == 0;
    LODE_REQUIRE(known, LODE_EFORMAT, "rerun: the result records that '%.40s' made it", m.verb);
    /* Caveats of the making are in the result. */
    const lode_status made_st = (run ? run_again : verb_again)(ctx, made, &m, op, inputs, count,
                                                               &local);
    LODE_TRY(made_st < 0 ? made_st : LODE_OK);
    memcpy(local.meta.input_hash, made->meta.input_hash, sizeof local.meta.input_hash);
    lode_i_free(local.meta.made);
    local.meta.made = NULL;
    if (made->meta.made)
        LODE_TRY(lode_i_strdup(ctx, made->meta.made, &local.meta.made));
    lode_i_stage(ctx, "comparing", 0.95, 1);
    LODE_TRY(compare(ctx, op->name, made, &local));
    lode_bundle_swap(again, &local);
done:
    lode_i_end(ctx);
    lode_i_made_free(&m);
    lode_bundle_free(&local);
    return st;
}
