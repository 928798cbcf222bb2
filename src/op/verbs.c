/* Verbs on a fitted bundle: the op that made it does the work, found by the name it records. */
#include <math.h>
#include <string.h>

#include "lode/io.h"
#include "op/call.h"

static const char *first_result(const lode_bundle *file)
{
    int64_t i = 0;
    while (lode_bundle_value(file, i).kind != LODE_BUNDLE)
        i++;
    return lode_bundle_name(file, i);
}

lode_status lode_i_op_of(lode_ctx *ctx, const lode_bundle *model, const lode_op **op)
{
    if (lode_holds_results(model))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "this file holds several results; name one, as in FILE:%s",
                           first_result(model));
    if (!model->meta.op[0])
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "this file records no operation, so it has no such verb; give a result "
                           "that lode wrote (.lode, .npz or a folder)");
    *op = lode_op_find(ctx, model->meta.op);
    if (!*op)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                           "made by '%s' (lode %s), which this build does not have", model->meta.op,
                           model->meta.version);
    return LODE_OK;
}

static lode_status no_verb(lode_ctx *ctx, const lode_op *op, const char *verb)
{
    return lode_i_fail(ctx, LODE_EUSAGE,
                       "a result of %s cannot be used with '%s'; see 'lode help %s'", op->name,
                       verb, op->name);
}

lode_status lode_i_model_op(lode_ctx *ctx, const lode_bundle *model, const char *verb,
                            const lode_op **op)
{
    LODE_FORWARD(lode_i_op_of(ctx, model, op));
    return (*op)->invert && model->meta.has_shape ? LODE_OK : no_verb(ctx, *op, verb);
}

lode_status lode_i_inherit(lode_ctx *ctx, const lode_bundle *model, const char *verb,
                           lode_bundle *result)
{
    LODE_FORWARD(lode_i_made_verb(ctx, verb, model->meta.op, result));
    if (result->meta.op[0])
        return LODE_OK;
    const lode_meta *from = &model->meta;
    memcpy(result->meta.op, from->op, sizeof from->op);
    snprintf(result->meta.version, sizeof result->meta.version, "%s", lode_version());
    result->meta.seed = from->seed;
    if (from->options && !result->meta.options)
        LODE_FORWARD(lode_i_strdup(ctx, from->options, &result->meta.options));
    if (from->attributes && !result->meta.attributes && result->meta.has_shape)
        LODE_FORWARD(lode_i_strdup(ctx, from->attributes, &result->meta.attributes));
    return LODE_OK;
}

static lode_status start_verb(lode_ctx *ctx, const lode_op *op, const char *verb,
                              const lode_input *in, int64_t count);

lode_status lode_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x, lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    lode_bundle local = { 0 };
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->apply)
        return no_verb(ctx, op, "apply");
    lode_i_begin(ctx, op->name);
    const lode_input in[] = { { NULL, lode_from_bundle(model) }, { NULL, x } };
    LODE_TRY(start_verb(ctx, op, "apply", in, 2));
    LODE_TRY(op->apply(ctx, model, x, &local));
    LODE_TRY(lode_i_made_verb(ctx, "apply", op->name, &local));
    if (!local.meta.op[0]) {
        local.meta.seed = ctx->seed;
        snprintf(local.meta.version, sizeof local.meta.version, "%s", lode_version());
    }
    lode_bundle_swap(result, &local);
done:
    lode_i_end(ctx);
    LODE_FREE(&local);
    return st;
}

/* A component that the op has. */
static lode_status check_component(lode_ctx *ctx, const lode_op *op, const char *name)
{
    const size_t n = strlen(name);
    for (const char *c = n > 0 ? op->components : NULL; c && *c;
         c += strcspn(c, "|"), c += *c == '|')
        if (strcspn(c, "|") == n && strncmp(c, name, n) == 0)
            return LODE_OK;
    if (n == 0)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EUSAGE, "a result of %s has no part '%s'%s%s", op->name, name,
                       op->components ? "; there are: " : "; parts are ranges, as in 0:10,:",
                       op->components ? op->components : "");
}

lode_status lode_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                        const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    const lode_part whole = { 0 };
    lode_array local = { 0 };
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->invert)
        return no_verb(ctx, op, "invert");
    lode_i_begin(ctx, op->name);
    LODE_TRY(check_component(ctx, op, part ? part->component : ""));
    LODE_TRY(op->invert(ctx, model, codes, part ? part : &whole, &local));
    lode_array_swap(out, &local);
done:
    lode_i_end(ctx);
    LODE_FREE(&local);
    return st;
}

static lode_status check_names(lode_ctx *ctx, const lode_op *op, const lode_input *in,
                               int64_t count)
{
    char names[128] = "";
    for (const lode_port *p = op->update_in; p && p->name; p++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                 p == op->update_in ? "" : ", ", p->name);
    for (int64_t i = 0; i < count; i++) {
        const lode_port *p = op->update_in;
        while (in[i].name && p && p->name && strcmp(p->name, in[i].name) != 0)
            p++;
        if (in[i].name && !(p && p->name))
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "update of a result of %s has no input '%.40s'%s%s", op->name,
                               in[i].name, *names ? "; there are: " : "", names);
    }
    if (count < 1 || (count > 1 && !op->update_in) || count > LODE_MAX_PORTS)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "update of a result of %s does not take %" PRId64 " inputs", op->name,
                           count);
    return LODE_OK;
}

lode_status lode_update_with(lode_ctx *ctx, const lode_bundle *model, const lode_input *given,
                             int64_t count, lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    lode_bundle local = { 0 };
    lode_input in[LODE_MAX_PORTS + 1] = { { NULL, lode_from_bundle(model) } };
    const uint64_t seed = ctx->seed;
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->update)
        return no_verb(ctx, op, "update");
    LODE_FORWARD(check_names(ctx, op, given, count));
    lode_i_begin(ctx, op->name);
    ctx->seed = model->meta.seed; /* which the result records */
    for (int64_t i = 0; i < count; i++)
        in[i + 1] = given[i];
    LODE_TRY(start_verb(ctx, op, "update", in, count + 1));
    LODE_TRY(count == 1 && !given[0].name ? op->update(ctx, model, given[0].value, &local)
                                          : op->update_with(ctx, model, given, count, &local));
    LODE_TRY(lode_i_inherit(ctx, model, "update", &local));
    lode_bundle_swap(result, &local);
done:
    ctx->seed = seed;
    lode_i_end(ctx);
    LODE_FREE(&local);
    return st;
}

lode_status lode_update(lode_ctx *ctx, const lode_bundle *model, lode_value x, lode_bundle *result)
{
    return lode_update_with(ctx, model, &(lode_input){ NULL, x }, 1, result);
}

lode_status lode_merge(lode_ctx *ctx, const lode_bundle *const *models, int64_t count,
                       lode_bundle *result)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    lode_bundle joined = { 0 }, next = { 0 };
    lode_input *in = NULL;
    const uint64_t seed = ctx->seed;
    if (count < 2)
        return lode_i_fail(ctx, LODE_EUSAGE, "merge takes two results or more, not %" PRId64,
                           count);
    LODE_FORWARD(lode_i_op_of(ctx, models[0], &op));
    if (!op->merge)
        return no_verb(ctx, op, "merge");
    lode_i_begin(ctx, op->name);
    ctx->seed = models[0]->meta.seed;
    LODE_TRY(LODE_NEW(ctx, count, &in));
    for (int64_t i = 0; i < count; i++)
        in[i] = (lode_input){ NULL, lode_from_bundle(models[i]) };
    LODE_TRY(start_verb(ctx, op, "merge", in, count));
    for (int64_t i = 1; i < count; i++) {
        LODE_REQUIRE(strcmp(models[i]->meta.op, op->name) == 0, LODE_EUSAGE,
                     "merge: result %" PRId64 " was made by '%s', the first by '%s'", i + 1,
                     models[i]->meta.op, op->name);
        LODE_TRY(op->merge(ctx, i == 1 ? models[0] : &joined, models[i], &next));
        LODE_TRY(lode_i_inherit(ctx, models[0], "merge", &next));
        lode_bundle_swap(&joined, &next);
        lode_bundle_free(&next);
        LODE_TRY(lode_i_tick(ctx, i, count - 1));
    }
    lode_bundle_swap(result, &joined);
done:
    ctx->seed = seed;
    lode_i_end(ctx);
    lode_i_free(in);
    LODE_FREE(&joined, &next);
    return st;
}

lode_status lode_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                        lode_certificate *found)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    lode_certificate local = { .asked = NAN };
    if (lode_holds_results(model))
        return lode_i_verify_all(ctx, model, original, found);
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->verify)
        return no_verb(ctx, op, "verify");
    lode_i_begin(ctx, op->name);
    const lode_input in[] = { { NULL, lode_from_bundle(model) }, { NULL, original } };
    LODE_TRY(start_verb(ctx, op, "verify", in, 2));
    LODE_TRY(op->verify(ctx, model, original, &local));
    *found = local;
done:
    lode_i_end(ctx);
    return st;
}

lode_status lode_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                      lode_figure *figure)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->plot)
        return no_verb(ctx, op, "plot");
    lode_i_begin(ctx, op->name);
    LODE_TRY(op->plot(ctx, model, original, figure));
done:
    lode_i_end(ctx);
    return st;
}

lode_status lode_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    char *told = NULL;
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    lode_i_begin(ctx, op->name);
    if (op->tell)
        LODE_TRY(op->tell(ctx, model, form, &told));
    *text = told;
done:
    lode_i_end(ctx);
    return st;
}

/* ---- a reconstruction read lazily ---- */

typedef struct held {
    lode_bundle model;
    char *name; /* of the member of a file that it is; NULL: it is no such member */
} held;

static uint64_t key_of_part(const lode_source *s, const held *h, const int64_t *start,
                            const int64_t *count)
{
    uint64_t key = lode_i_step_key((uint64_t)s->dtype, h->name ? h->name : "", start, s->ndim);
    return lode_i_step_key(key, "", count, s->ndim) | 1;
}

static lode_status read_part(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const held *h = s->data;
    lode_array got = { 0 };
    lode_array to = lode_array_wrap(dst, s->dtype, s->ndim, count);
    lode_part part = { .ndim = s->ndim };
    memcpy(part.start, start, (size_t)s->ndim * sizeof *start);
    memcpy(part.count, count, (size_t)s->ndim * sizeof *count);
    lode_i_step kept = { .site = "decoded", .n = 1, .array = { &got } };
    bool found = false;
    if (lode_i_checkpoint_keeps_decoded(ctx)) {
        kept.key = key_of_part(s, h, start, count);
        LODE_TRY(lode_i_restore(ctx, &kept, &found));
    }
    const char *const before = lode_i_about(ctx, h->name);
    const lode_status inverted = found ? LODE_OK
                                       : lode_invert(ctx, &h->model, lode_none(), &part, &got);
    lode_i_about(ctx, before);
    if (inverted < 0 && h->name)
        lode_i_prefix(ctx, "%s: ", h->name);
    LODE_TRY(inverted);
    if (!found && kept.key)
        LODE_TRY(lode_i_keep(ctx, &kept));
    LODE_TRY(lode_array_copy_into(ctx, &got, &to));
done:
    LODE_FREE(&got);
    return st;
}

static void close_model(void *data)
{
    held *h = data;
    lode_bundle_free(&h->model);
    lode_i_free(h->name);
    lode_i_free(h);
}

lode_status lode_i_invert_take(lode_ctx *ctx, lode_bundle *model, const char *name,
                               lode_source *out)
{
    lode_status st = LODE_OK;
    const lode_op *op = NULL;
    held *h = NULL;
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    if (!op->invert || !model->meta.has_shape)
        return no_verb(ctx, op, "invert");
    lode_source s = { .dtype = model->meta.dtype,
                      .ndim = model->meta.ndim,
                      .rewindable = true,
                      .read = read_part,
                      .close = close_model };
    memcpy(s.shape, model->meta.shape, sizeof s.shape);
    LODE_TRY(lode_i_calloc(ctx, sizeof *h, (void **)&h));
    if (name)
        LODE_TRY(lode_i_strdup(ctx, name, &h->name));
    if (op->chunk)
        LODE_TRY(op->chunk(ctx, model, s.chunk));
    else
        LODE_TRY(lode_i_load_members(ctx, model, &h->model)); /* once, not with every part */
    if (op->chunk)
        lode_bundle_swap(&h->model, model);
    s.data = h;
    *out = s;
    h = NULL;
done:
    if (h)
        close_model(h);
    return st;
}

lode_status lode_invert_source(lode_ctx *ctx, const lode_bundle *model, lode_source *out)
{
    lode_status st = LODE_OK;
    lode_bundle copy = { 0 };
    LODE_TRY(lode_bundle_ref(ctx, model, &copy));
    LODE_TRY(lode_i_invert_take(ctx, &copy, NULL, out));
done:
    LODE_FREE(&copy);
    return st;
}

lode_status lode_i_part_resolve(lode_ctx *ctx, const lode_part *part, int ndim,
                                const int64_t *shape, int64_t *start, int64_t *count)
{
    char text[256];
    for (int i = 0; i < ndim; i++)
        start[i] = 0, count[i] = shape[i];
    if (!part || part->ndim == 0)
        return LODE_OK;
    lode_i_print_shape(ndim, shape, text, sizeof text);
    if (part->ndim != ndim)
        return lode_i_fail(ctx, LODE_ESHAPE, "the part has %d ranges, the array is %s (%d axes)",
                           part->ndim, text, ndim);
    for (int i = 0; i < ndim; i++) {
        const int64_t n = part->count[i] < 0 ? shape[i] - part->start[i] : part->count[i];
        if (part->start[i] < 0 || n < 0 || part->start[i] > shape[i] ||
            n > shape[i] - part->start[i])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "the part asks for %" PRId64 " from %" PRId64
                               " on axis %d; the array is %s",
                               n, part->start[i], i, text);
        start[i] = part->start[i], count[i] = n;
    }
    return LODE_OK;
}

/* ---- checkpoints ---- */

/* What is decoded as it is read is known by what it is decoded from. */
lode_status lode_i_identity_of(lode_ctx *ctx, lode_value v, char hex[72])
{
    if (v.kind == LODE_SOURCE && v.as.source->read == read_part)
        return lode_hash(ctx, lode_from_bundle(&((const held *)v.as.source->data)->model), hex);
    return lode_i_hash_input(ctx, v, hex);
}

lode_status lode_i_identify_input(lode_ctx *ctx, const char *what, const char *name, lode_value v,
                                  lode_text *t)
{
    char hex[72], size[256] = "";
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_identity_of(ctx, v, hex));
    if (!*hex)
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "%s: input %s is a %s that cannot be read again, so a checkpoint could not tell "
            "it from another; leave out --checkpoint",
            what, name, lode_kind_name(v.kind));
    if (lode_i_value_shape(v, &dtype, &ndim, shape)) {
        lode_i_print_shape(ndim, shape, size, sizeof size);
        LODE_FORWARD(
            lode_i_text_add(ctx, t, "input %s %s %s\n", name, lode_dtype_name(dtype), size));
    }
    return lode_i_text_add(ctx, t, "values of %s with hash %s\n", name, hex);
}

/* Begins the checkpoint of a verb, or opens the one that was left. */
static lode_status start_verb(lode_ctx *ctx, const lode_op *op, const char *verb,
                              const lode_input *in, int64_t count)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    char name[LODE_I_INPUT_NAME];
    if (!ctx->checkpoint || lode_i_checkpoint(ctx))
        return LODE_OK;
    LODE_TRY(lode_i_refuse_checkpoint(ctx, op));
    lode_i_stage(ctx, "checking the input", 0, 0);
    LODE_TRY(lode_i_text_add(ctx, &t, "%s of a result of %s, lode %s\nseed %" PRIu64 "\n", verb,
                             op->name, lode_version(), ctx->seed));
    for (int64_t i = 0; i < count; i++) {
        lode_i_verb_input(verb, i, in[i].name, name);
        if (in[i].value.kind != LODE_NONE)
            LODE_TRY(lode_i_identify_input(ctx, op->name, name, in[i].value, &t));
    }
    LODE_TRY(lode_i_checkpoint_start(ctx, t.text));
    lode_i_stage(ctx, "", 0, 1);
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_write_decoded(lode_ctx *ctx, const char *path, const lode_bundle *b,
                               const lode_write_opts *o)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    int64_t decoded = 0;
    lode_i_begin(ctx, "write");
    if (ctx->checkpoint) {
        LODE_REQUIRE(!ctx->recover, LODE_EUSAGE,
                     "parts that are lost are not kept: leave out --checkpoint, or --recover");
        lode_i_stage(ctx, "checking the input", 0, 0);
        LODE_TRY(lode_i_text_add(ctx, &t, "decoding, lode %s\n", lode_version()));
        for (int64_t i = 0; i < b->count; i++) {
            const lode_value v = lode_bundle_value(b, i);
            if (v.kind != LODE_SOURCE || v.as.source->read != read_part)
                continue;
            LODE_TRY(lode_i_identify_input(ctx, "write", lode_bundle_name(b, i), v, &t));
            decoded++;
        }
        LODE_REQUIRE(decoded > 0, LODE_EUSAGE,
                     "nothing is decoded here, and copying keeps no checkpoint: leave out "
                     "--checkpoint");
        LODE_TRY(lode_i_checkpoint_start(ctx, t.text));
        lode_i_checkpoint_decoded(ctx, true);
        lode_i_stage(ctx, "", 0, 1);
    }
    st = lode_write(ctx, path, b, o);
done:
    lode_i_text_free(&t);
    lode_i_end(ctx);
    return st;
}

/* Values a slab of the comparison holds. */
enum { MEASURE_SLAB = 1 << 22 };

lode_status lode_i_measure(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                           lode_value original, lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_array want = { 0 }, got = { 0 };
    struct {
        lode_diff_run run;
        int64_t row; /* the next */
    } at = { .row = 0 };
    bool owned = false, done = false;
    LODE_TRY(lode_i_as_source(ctx, original, &s, &owned));
    LODE_REQUIRE(s.ndim == model->meta.ndim, LODE_ESHAPE,
                 "the original has %d axes, the result stands for %d", s.ndim, model->meta.ndim);
    int64_t row = 1;
    for (int i = 0; i < s.ndim; i++) {
        LODE_REQUIRE(s.shape[i] == model->meta.shape[i], LODE_ESHAPE,
                     "axis %d of the original has %" PRId64 " values, of the result %" PRId64, i,
                     s.shape[i], model->meta.shape[i]);
        row *= i ? s.shape[i] : 1;
    }
    const int64_t rows = s.ndim ? s.shape[0] : 1;
    const int64_t step = lode_i_max(1, MEASURE_SLAB / lode_i_max(row, 1));
    lode_part part = { .ndim = s.ndim };
    for (int i = 0; i < s.ndim; i++)
        part.count[i] = s.shape[i];
    LODE_TRY(lode_i_restore_pass(ctx, "slabs measured", &at, sizeof at, &done));
    for (int64_t r = at.row; r < rows; r += step) {
        const int64_t n = lode_i_min(step, rows - r);
        LODE_TRY(lode_i_tick(ctx, r, rows));
        if (s.ndim)
            part.start[0] = r, part.count[0] = n;
        LODE_TRY(lode_i_source_read(ctx, &s, part.start, part.count, s.dtype, &want));
        LODE_TRY(op->invert(ctx, model, lode_none(), &part, &got));
        LODE_TRY(lode_i_diff_push(ctx, &at.run, &want, &got));
        at.row = r + n;
        LODE_TRY(lode_i_keep_pass(ctx, "slabs measured", &at, sizeof at, at.row == rows));
    }
    *diff = lode_i_diff_result(&at.run);
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&want, &got);
    return st;
}
