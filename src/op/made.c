/* What made a result: the verb, and its inputs by name, hashes or texts, in the metadata; and all of it
 * as a command. One dense or sparse input of an op needs no more than the hash that results have anyway. */
#include <math.h>
#include <string.h>

#include "lode/io.h"
#include "op/call.h"

/* ---- the inputs of a call, ports first, then options that take arrays ---- */

bool lode_i_call_given(const lode_call *call, int i, const char **name, lode_value *value)
{
    int n = 0;
    for (const lode_port *port = call->op->in; port->name; port++, n++)
        if (call->in[n].kind != LODE_NONE && i-- == 0) {
            *name = port->name, *value = call->in[n];
            return true;
        }
    for (const lode_param *p = call->op->params; p->name; p++) {
        const lode_array *a = NULL;
        if (p->kind != LODE_P_ARRAY)
            continue;
        memcpy(&a, (const char *)call->opts + p->offset, sizeof(const lode_array *));
        if (a && i-- == 0) {
            *name = p->name, *value = lode_from_array(a);
            return true;
        }
    }
    return false;
}

/* "" for what has no hash: callbacks, operators, streams that are gone. */
lode_status lode_i_hash_input(lode_ctx *ctx, lode_value v, char hex[72])
{
    hex[0] = 0;
    if (v.kind == LODE_CALLBACK || v.kind == LODE_LINOP ||
        (v.kind == LODE_SOURCE && !v.as.source->rewindable))
        return LODE_OK;
    return lode_hash(ctx, v, hex);
}

/* ---- the record ---- */

/* verb NULL: none is written; nor are empty objects. Takes over inputs and texts. */
static lode_status write_made(lode_ctx *ctx, const char *verb, const char *op, lode_json *inputs,
                              lode_json *texts, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_json *made = lode_i_json_object(), *part[2] = { inputs, texts };
    static const char *const key[2] = { "inputs", "texts" };
    char *text = NULL;
    if (verb) {
        LODE_TRY(lode_i_json_set(ctx, made, "verb", lode_i_json_text(verb)));
        LODE_TRY(lode_i_json_set(ctx, made, "op", lode_i_json_text(op)));
    }
    for (int i = 0; i < 2; i++)
        if (lode_i_json_count(part[i]) > 0) {
            lode_json *const given = part[i];
            part[i] = NULL;
            LODE_TRY(lode_i_json_set(ctx, made, key[i], given));
        }
    if (lode_i_json_count(made) > 0)
        LODE_TRY(lode_i_json_print(ctx, made, 0, &text));
    lode_i_free(result->meta.made);
    result->meta.made = text;
done:
    lode_i_json_free(part[0]);
    lode_i_json_free(part[1]);
    lode_i_json_free(made);
    return st;
}

lode_status lode_i_made_verb(lode_ctx *ctx, const char *verb, const char *op, lode_bundle *result)
{
    return write_made(ctx, verb, op, NULL, NULL, result);
}

lode_status lode_call_record(lode_ctx *ctx, const lode_call *call, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_json *inputs = lode_i_json_object(), *texts = lode_i_json_object();
    const char *name = NULL, *first = call->op->in[0].name;
    lode_value v;
    char hex[72];
    lode_i_begin(ctx, call->op->name);
    for (int i = 0; lode_i_call_given(call, i, &name, &v); i++) {
        if (v.kind == LODE_TEXT) {
            LODE_TRY(lode_i_json_set(ctx, texts, name, lode_i_json_text(v.as.text)));
            continue;
        }
        const bool leads = strcmp(name, first) == 0;
        if (leads && result->meta.input_hash[0]) /* made while it was in memory */
            continue;
        LODE_TRY(lode_i_hash_input(ctx, v, hex));
        if (leads)
            memcpy(result->meta.input_hash, hex, sizeof hex);
        else
            LODE_TRY(lode_i_json_set(ctx, inputs, name, lode_i_json_text(hex)));
    }
    lode_json *const given = inputs, *const words = texts;
    inputs = texts = NULL;
    LODE_TRY(write_made(ctx, NULL, NULL, given, words, result));
done:
    lode_i_end(ctx);
    lode_i_json_free(inputs);
    lode_i_json_free(texts);
    return st;
}

/* Share of the time that hashing the first input takes, beside what is planned. */
static double hashing(const lode_call *call)
{
    lode_dense_info d = { 0 };
    if (call->op->in[0].name)
        d = lode_call_dense(call, 0);
    /* as fast as memory; a file is read once more, which a pass does not much more slowly */
    const double bytes = (double)lode_i_bytes(d.stored, d.size, 1),
                 hash = bytes / (d.kind == LODE_SOURCE ? 4e9 : 1e10),
                 all = hash + fmax(call->plan.seconds, bytes / 2e9 * fmax(call->plan.passes, 1));
    return all > 0 ? hash / all : 0;
}

lode_status lode_call_make(lode_ctx *ctx, lode_call *call, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle local = { 0 };
    if (lode_i_is_whole(call))
        return lode_call_run(ctx, call, result);
    lode_i_begin(ctx, call->op->name);
    LODE_TRY(lode_call_plan(ctx, call));
    lode_i_stage(ctx, "", 0, 1 - hashing(call));
    LODE_TRY(lode_call_run(ctx, call, &local));
    lode_i_stage(ctx, "hash of the input", 1 - hashing(call), 1);
    LODE_TRY(lode_call_record(ctx, call, &local));
    lode_bundle_swap(result, &local);
done:
    lode_i_end(ctx);
    lode_bundle_free(&local);
    return st;
}

lode_status lode_verb_record(lode_ctx *ctx, const char *verb, const lode_value *inputs,
                             int64_t count, lode_bundle *result)
{
    lode_input *named = NULL;
    LODE_FORWARD(LODE_NEW(ctx, lode_i_max(count, 1), &named));
    for (int64_t i = 0; i < count; i++)
        named[i] = (lode_input){ NULL, inputs[i] };
    const lode_status st = lode_verb_record_named(ctx, verb, named, count, result);
    lode_i_free(named);
    return st;
}

lode_status lode_verb_record_named(lode_ctx *ctx, const char *verb, const lode_input *inputs,
                                   int64_t count, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_made m = { 0 };
    lode_json *hashes = lode_i_json_object();
    char hex[72], name[LODE_I_INPUT_NAME];
    lode_i_begin(ctx, verb);
    LODE_TRY(lode_i_made_read(ctx, result, &m));
    LODE_REQUIRE(strcmp(m.verb, verb) == 0, LODE_EUSAGE, "the result was made by %s, not by %s",
                 m.verb, verb);
    for (int64_t i = 0; i < count; i++) {
        LODE_TRY(lode_i_hash_input(ctx, inputs[i].value, hex));
        lode_i_verb_input(verb, i, inputs[i].name, name);
        LODE_TRY(lode_i_json_set(ctx, hashes, name, lode_i_json_text(hex)));
    }
    lode_json *const given = hashes;
    hashes = NULL;
    LODE_TRY(write_made(ctx, verb, m.op, given, NULL, result));
done:
    lode_i_end(ctx);
    lode_i_json_free(hashes);
    lode_i_made_free(&m);
    return st;
}

void lode_i_verb_input(const char *verb, int64_t i, const char *given, char name[LODE_I_INPUT_NAME])
{
    if (given)
        snprintf(name, LODE_I_INPUT_NAME, "%s", given);
    else if (strcmp(verb, "merge") == 0)
        snprintf(name, LODE_I_INPUT_NAME, "model.%" PRId64, i);
    else
        snprintf(name, LODE_I_INPUT_NAME, "%s", i == 0 ? "model" : "x");
}

/* ---- reading it ---- */

lode_status lode_i_made_read(lode_ctx *ctx, const lode_bundle *result, lode_made *m)
{
    *m = (lode_made){ .verb = "run", .op = result->meta.op };
    if (!result->meta.made)
        return LODE_OK;
    LODE_FORWARD(
        lode_i_json_parse(ctx, result->meta.made, strlen(result->meta.made), &m->document));
    const char *verb = lode_i_json_as_text(lode_i_json_get(m->document, "verb"));
    const char *op = lode_i_json_as_text(lode_i_json_get(m->document, "op"));
    m->inputs = lode_i_json_get(m->document, "inputs");
    m->texts = lode_i_json_get(m->document, "texts");
    m->verb = verb ? verb : m->verb;
    m->op = op ? op : m->op;
    return LODE_OK;
}

void lode_i_made_free(lode_made *m)
{
    lode_i_json_free(m->document);
    *m = (lode_made){ 0 };
}

const char *lode_made_by(const lode_bundle *made)
{
    static const char *const verbs[] = { "apply", "update", "merge" };
    char start[32];
    for (size_t i = 0; made->meta.made && i < sizeof verbs / sizeof *verbs; i++) {
        snprintf(start, sizeof start, "{\"verb\":\"%s\"", verbs[i]);
        if (strncmp(made->meta.made, start, strlen(start)) == 0)
            return verbs[i];
    }
    return "run";
}

/* ---- options that are not the defaults ---- */

lode_status lode_i_options_given(lode_ctx *ctx, const lode_op *op, const char *text,
                                 lode_status (*each)(lode_ctx *ctx, void *data, const lode_param *p,
                                                     const char *written),
                                 void *data)
{
    lode_status st = LODE_OK;
    lode_json *options = NULL, *usual = NULL, *value = NULL;
    char *defaults = NULL;
    void *opts = NULL;
    LODE_TRY(lode_i_calloc(ctx, op->opts_size, &opts));
    lode_op_defaults(op, opts);
    LODE_TRY(lode_i_options_json(ctx, op, opts, &defaults));
    LODE_TRY(lode_i_json_parse(ctx, defaults, strlen(defaults), &usual));
    LODE_TRY(lode_i_json_parse(ctx, text, strlen(text), &options));
    for (const char *name = NULL; (name = lode_i_json_next(options, name, &value));) {
        const lode_param *p = lode_i_param_find(op, name);
        const char *written = lode_i_json_as_text(value);
        LODE_REQUIRE(p && p->kind != LODE_P_ARRAY && written, LODE_EFORMAT,
                     "%s: the result records an option '%.40s', which this build does not know",
                     op->name, name);
        const char *common = lode_i_json_as_text(lode_i_json_get(usual, name));
        if (!common || strcmp(common, written) != 0)
            LODE_TRY(each(ctx, data, p, written));
    }
done:
    lode_i_json_free(options);
    lode_i_json_free(usual);
    lode_i_free(defaults);
    lode_i_free(opts);
    return st;
}

/* ---- as commands ---- */

/* A word as a shell takes it: in quotes unless it is plain. */
static lode_status add_word(lode_ctx *ctx, lode_text *t, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-+,:/=%@";
    if (*word && strspn(word, plain) == strlen(word))
        return lode_i_text_add(ctx, t, "%s", word);
    LODE_FORWARD(lode_i_text_add(ctx, t, "'"));
    for (const char *c = word; *c; c++)
        LODE_FORWARD(*c == '\'' ? lode_i_text_add(ctx, t, "'\\''")
                                : lode_i_text_add(ctx, t, "%c", *c));
    return lode_i_text_add(ctx, t, "'");
}

static lode_status add_option(lode_ctx *ctx, void *data, const lode_param *p, const char *written)
{
    lode_text *t = data;
    LODE_FORWARD(lode_i_text_add(ctx, t, " --"));
    for (const char *c = p->name; *c; c++)
        LODE_FORWARD(lode_i_text_add(ctx, t, "%c", *c == '_' ? '-' : *c));
    LODE_FORWARD(lode_i_text_add(ctx, t, " "));
    return add_word(ctx, t, written);
}

/* The inputs of an op: those it must have, and those that are recorded. */
static lode_status add_inputs(lode_ctx *ctx, const lode_op *op, const lode_made *m, bool again,
                              lode_text *t)
{
    for (const lode_port *port = op->in; port->name; port++) {
        const bool plain = !port->optional && !port->repeated;
        const char *text = lode_i_json_as_text(lode_i_json_get(m->texts, port->name));
        if (text && again)
            continue; /* it stands in the file */
        if (text) {
            LODE_FORWARD(plain ? lode_i_text_add(ctx, t, " ")
                               : lode_i_text_add(ctx, t, " %s=", port->name));
            LODE_FORWARD(add_word(ctx, t, text));
        } else if (plain)
            LODE_FORWARD(lode_i_text_add(ctx, t, " %s", port->name));
        else if (lode_i_json_get(m->inputs, port->name))
            LODE_FORWARD(lode_i_text_add(ctx, t, " %s=%s", port->name, port->name));
    }
    for (const lode_param *p = op->params; p->name; p++)
        if (p->kind == LODE_P_ARRAY && lode_i_json_get(m->inputs, p->name))
            LODE_FORWARD(add_option(ctx, t, p, p->name));
    return LODE_OK;
}

static lode_status add_models(lode_ctx *ctx, const lode_made *m, lode_text *t)
{
    lode_json *hash = NULL;
    const char *name = NULL;
    const bool update = strcmp(m->verb, "update") == 0;
    for (int64_t i = 0; (name = lode_i_json_next(m->inputs, name, &hash)); i++) {
        const bool named = update && i > 0 && strcmp(name, "x") != 0;
        LODE_FORWARD(named ? lode_i_text_add(ctx, t, " %s=%s", name, name)
                           : lode_i_text_add(ctx, t, " %s", name));
    }
    return LODE_OK;
}

lode_status lode_made_text(lode_ctx *ctx, const lode_bundle *made, const char *file, char **text)
{
    lode_status st = LODE_OK;
    lode_made m = { 0 };
    lode_text t = { 0 };
    *text = NULL;
    LODE_TRY(lode_i_made_read(ctx, made, &m));
    const lode_op *op = m.op[0] ? lode_op_find(ctx, m.op) : NULL;
    const bool run = strcmp(m.verb, "run") == 0;
    if (!op || strcmp(m.verb, lode_made_by(made)) != 0 || (run && !made->meta.options) ||
        (!run && !m.inputs))
        goto done;
    for (int again = 0; again < 2; again++) {
        LODE_TRY(lode_i_text_add(ctx, &t, "lode %s", again ? "rerun " : run ? op->name : m.verb));
        if (again)
            LODE_TRY(add_word(ctx, &t, file));
        LODE_TRY(run ? add_inputs(ctx, op, &m, again != 0, &t) : add_models(ctx, &m, &t));
        if (!again && run) {
            LODE_TRY(lode_i_options_given(ctx, op, made->meta.options, add_option, &t));
            if (made->meta.seed)
                LODE_TRY(lode_i_text_add(ctx, &t, " --seed %" PRIu64, made->meta.seed));
        }
        if (!again) {
            LODE_TRY(lode_i_text_add(ctx, &t, " -o "));
            LODE_TRY(add_word(ctx, &t, file));
        }
        LODE_TRY(lode_i_text_add(ctx, &t, "\n"));
    }
    LODE_TRY(lode_i_strdup(ctx, t.text, text));
done:
    lode_i_text_free(&t);
    lode_i_made_free(&m);
    return st;
}
