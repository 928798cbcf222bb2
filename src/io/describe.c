/* Writing the JSON description that .lode keeps in its metadata, and .npz and directories as
 * lode.json: what every member really is, where the result came from, its certificate.
 * docs/format.md lists the keys. */
#include "io/io.h"

#include <string.h>

const char *lode_i_described_kind(lode_kind kind)
{
    switch (kind) {
    case LODE_ARRAY:
    case LODE_SOURCE: return "array";
    case LODE_SPARSE: return "sparse";
    case LODE_TEXT: return "text";
    case LODE_SCALAR: return "scalar";
    case LODE_BUNDLE: return "bundle";
    default: return NULL;
    }
}

static lode_status set_text(lode_ctx *ctx, lode_json *o, const char *key, const char *text)
{
    return lode_i_json_set(ctx, o, key, lode_i_json_text(text));
}
static lode_status set_i64(lode_ctx *ctx, lode_json *o, const char *key, int64_t v)
{
    return lode_i_json_set(ctx, o, key, lode_i_json_i64(v));
}
static lode_status set_f64(lode_ctx *ctx, lode_json *o, const char *key, double v)
{
    return lode_i_json_set(ctx, o, key, lode_i_json_f64(v));
}

static lode_status set_shape(lode_ctx *ctx, lode_json *o, int ndim, const int64_t *shape)
{
    lode_json *a = lode_i_json_array();
    for (int k = 0; k < ndim; k++) {
        const lode_status st = lode_i_json_push(ctx, a, lode_i_json_i64(shape[k]));
        if (st < 0) {
            lode_i_json_free(a);
            return st;
        }
    }
    return lode_i_json_set(ctx, o, "shape", a);
}

static lode_status set_sums(lode_ctx *ctx, lode_json *o, const lode_i_tensor *t)
{
    lode_status st = LODE_OK;
    lode_text hex = { 0 };
    if (!t->sums)
        return LODE_OK;
    const uint64_t chunks = (t->bytes + LODE_I_SUM_CHUNK - 1) / LODE_I_SUM_CHUNK;
    for (uint64_t c = 0; c < chunks; c++)
        LODE_TRY(lode_i_text_add(ctx, &hex, "%016" PRIx64, t->sums[c]));
    LODE_TRY(set_text(ctx, o, "sums", hex.text ? hex.text : ""));
done:
    lode_i_text_free(&hex);
    return st;
}

/* One tensor's true type and shape; `v` is NONE for the parts of a sparse value. */
static lode_status set_form(lode_ctx *ctx, lode_json *o, const lode_i_tensor *t, lode_value v)
{
    lode_dtype dtype = t->dtype;
    int32_t ndim = t->ndim;
    int64_t shape[LODE_MAX_NDIM];
    memcpy(shape, t->shape, sizeof shape);
    if (v.kind == LODE_SCALAR)
        dtype = v.as.scalar->dtype, ndim = 0;
    else if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE)
        LODE_FORWARD(lode_i_dense_form(ctx, t->name, v, &dtype, &ndim, shape));
    LODE_FORWARD(set_text(ctx, o, "dtype", lode_dtype_name(dtype)));
    LODE_FORWARD(set_shape(ctx, o, ndim, shape));
    return set_sums(ctx, o, t);
}

static lode_status describe_sparse(lode_ctx *ctx, lode_json *o, const lode_sparse *s,
                                   const lode_i_tensor *t)
{
    lode_status st = LODE_OK;
    lode_json *parts = lode_i_json_array(), *part = NULL;
    LODE_TRY(set_text(ctx, o, "layout", s->layout == LODE_CSR ? "csr" : "coo"));
    LODE_TRY(set_shape(ctx, o, s->ndim, s->shape));
    for (int k = 0; k < (s->layout == LODE_CSR ? 3 : 2); k++) {
        part = lode_i_json_object();
        LODE_TRY(set_text(ctx, part, "name", t[k].name));
        LODE_TRY(set_form(ctx, part, &t[k], t[k].value));
        lode_json *const given = part;
        part = NULL;
        LODE_TRY(lode_i_json_push(ctx, parts, given));
    }
    lode_json *const all = parts;
    parts = NULL;
    LODE_TRY(lode_i_json_set(ctx, o, "parts", all));
done:
    lode_i_json_free(part);
    lode_i_json_free(parts);
    return st;
}

static lode_status describe_all(lode_ctx *ctx, lode_json *root, const lode_i_output *out,
                                const lode_i_tensors *t);

/* A bundle is described as a file is, in its place; its tensors are those of the item. */
static lode_status describe_bundle(lode_ctx *ctx, lode_json *o, const lode_bundle *b,
                                   const lode_i_tensors *t, int64_t item)
{
    lode_status st = LODE_OK;
    lode_i_output out = { .count = 0 };
    lode_i_tensors own = { .count = 0 };
    LODE_TRY(lode_i_output_of(ctx, b, &out));
    LODE_TRY(lode_i_new(ctx, t->count + 1, sizeof *own.at, (void **)&own.at));
    for (int64_t k = 0; k < t->count; k++)
        if (t->at[k].item == item) {
            own.at[own.count] = t->at[k]; /* borrows all it points to */
            own.at[own.count].item = t->at[k].inner;
            own.count++;
        }
    LODE_TRY(describe_all(ctx, o, &out, &own));
done:
    lode_i_free(own.at);
    lode_i_free(out.items);
    return st;
}

static lode_status describe_members(lode_ctx *ctx, lode_json *root, const lode_i_output *out,
                                    const lode_i_tensors *t)
{
    lode_status st = LODE_OK;
    lode_json *list = lode_i_json_array(), *o = NULL;
    for (int64_t i = 0, k = 0; i < out->count; i++) {
        const lode_value v = out->items[i].value;
        while (k < t->count && t->at[k].item != i)
            k++;
        o = lode_i_json_object();
        LODE_TRY(set_text(ctx, o, "name", out->items[i].name));
        LODE_TRY(set_text(ctx, o, "kind", lode_i_described_kind(v.kind)));
        if (v.kind == LODE_BUNDLE)
            LODE_TRY(describe_bundle(ctx, o, v.as.bundle, t, i));
        else if (v.kind == LODE_SPARSE)
            LODE_TRY(describe_sparse(ctx, o, v.as.sparse, &t->at[k]));
        else
            LODE_TRY(set_form(ctx, o, &t->at[k], v));
        lode_json *const given = o;
        o = NULL;
        LODE_TRY(lode_i_json_push(ctx, list, given));
    }
    lode_json *const all = list;
    list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "members", all));
done:
    lode_i_json_free(o);
    lode_i_json_free(list);
    return st;
}

static lode_status set_document(lode_ctx *ctx, lode_json *root, const char *key, const char *text)
{
    lode_json *j = NULL;
    if (!text)
        return LODE_OK;
    LODE_FORWARD(lode_i_json_parse(ctx, text, strlen(text), &j));
    return lode_i_json_set(ctx, root, key, j);
}

static lode_status describe_meta(lode_ctx *ctx, lode_json *root, const lode_meta *m)
{
    char seed[24];
    LODE_FORWARD(set_text(ctx, root, "op", m->op));
    LODE_FORWARD(set_text(ctx, root, "version", m->version));
    LODE_FORWARD(set_document(ctx, root, "options", m->options));
    LODE_FORWARD(set_document(ctx, root, "attributes", m->attributes));
    LODE_FORWARD(set_document(ctx, root, "made", m->made));
    snprintf(seed, sizeof seed, "%" PRIu64,
             m->seed); /* as text: JSON numbers of most readers end at 2^53 */
    LODE_FORWARD(set_text(ctx, root, "seed", seed));
    LODE_FORWARD(set_text(ctx, root, "input_hash", m->input_hash));
    LODE_FORWARD(set_i64(ctx, root, "input_bytes",
                         m->input_bytes > INT64_MAX ? INT64_MAX : (int64_t)m->input_bytes));
    if (!m->has_shape)
        return LODE_OK;
    lode_json *o = lode_i_json_object();
    lode_status st = set_text(ctx, o, "dtype", lode_dtype_name(m->dtype));
    if (st >= 0)
        st = set_shape(ctx, o, m->ndim, m->shape);
    if (st < 0) {
        lode_i_json_free(o);
        return st;
    }
    return lode_i_json_set(ctx, root, "gives", o);
}

static lode_status describe_certificate(lode_ctx *ctx, lode_json *root, const lode_certificate *c)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object();
    LODE_TRY(set_text(ctx, o, "kind", lode_cert_kind_name(c->kind)));
    LODE_TRY(set_text(ctx, o, "norm", lode_norm_name(c->norm)));
    LODE_TRY(lode_i_json_set(ctx, o, "relative", lode_i_json_bool(c->relative)));
    LODE_TRY(lode_i_json_set(ctx, o, "needs_original", lode_i_json_bool(c->needs_original)));
    LODE_TRY(set_f64(ctx, o, "value", c->value));
    LODE_TRY(set_f64(ctx, o, "absolute", c->absolute));
    LODE_TRY(set_f64(ctx, o, "asked", c->asked));
    LODE_TRY(set_f64(ctx, o, "failure", c->failure));
    LODE_TRY(set_f64(ctx, o, "low", c->low));
    LODE_TRY(set_f64(ctx, o, "high", c->high));
    if (c->other > 0)
        LODE_TRY(set_f64(ctx, o, "other", c->other));
    LODE_TRY(set_text(ctx, o, "quantity", c->quantity));
    LODE_TRY(set_text(ctx, o, "note", c->note));
    lode_json *const given = o;
    o = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "certificate", given));
done:
    lode_i_json_free(o);
    return st;
}

static lode_status describe_all(lode_ctx *ctx, lode_json *root, const lode_i_output *out,
                                const lode_i_tensors *t)
{
    LODE_FORWARD(describe_members(ctx, root, out, t));
    if (out->meta)
        LODE_FORWARD(describe_meta(ctx, root, out->meta));
    return out->certificate ? describe_certificate(ctx, root, out->certificate) : LODE_OK;
}

lode_status lode_i_describe(lode_ctx *ctx, const lode_i_output *out, const lode_i_tensors *t,
                            char **text)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object();
    LODE_TRY(set_i64(ctx, root, "lode", LODE_I_FORMAT_VERSION));
    LODE_TRY(describe_all(ctx, root, out, t));
    LODE_TRY(lode_i_json_print(ctx, root, 0, text));
done:
    lode_i_json_free(root);
    return st;
}
