/* Bundles: ordered sets of named values, owned; one of them may be a result, a bundle again. */
#include <string.h>

#include "array/array.h"

struct lode_member {
    char *name;
    lode_kind kind;
    union {
        lode_array array;
        lode_sparse sparse;
        lode_source source;
        char *text;
        lode_scalar scalar;
        lode_bundle *bundle;
    } as;
};

static void free_member(struct lode_member *m)
{
    switch (m->kind) {
    case LODE_ARRAY: lode_array_free(&m->as.array); break;
    case LODE_SPARSE: lode_sparse_free(&m->as.sparse); break;
    case LODE_SOURCE: lode_source_close(&m->as.source); break;
    case LODE_TEXT: lode_i_free(m->as.text); break;
    case LODE_BUNDLE:
        lode_bundle_free(m->as.bundle);
        lode_i_free(m->as.bundle);
        break;
    default: break;
    }
    lode_i_free(m->name);
}

void lode_bundle_free(lode_bundle *b)
{
    if (!b)
        return;
    for (int64_t i = 0; i < b->count; i++)
        free_member(&b->members[i]);
    lode_i_free(b->members);
    lode_i_free(b->meta.options);
    lode_i_free(b->meta.attributes);
    lode_i_free(b->meta.made);
    *b = (lode_bundle){ 0 };
}

void lode_bundle_swap(lode_bundle *a, lode_bundle *b)
{
    const lode_bundle t = *a;
    *a = *b;
    *b = t;
}

const char *lode_bundle_name(const lode_bundle *b, int64_t i)
{
    return i >= 0 && i < b->count ? b->members[i].name : NULL;
}

lode_value lode_bundle_value(const lode_bundle *b, int64_t i)
{
    if (i < 0 || i >= b->count)
        return lode_none();
    const struct lode_member *m = &b->members[i];
    switch (m->kind) {
    case LODE_ARRAY: return lode_from_array(&m->as.array);
    case LODE_SPARSE: return lode_from_sparse(&m->as.sparse);
    case LODE_SOURCE: return lode_from_source(&m->as.source);
    case LODE_TEXT: return lode_from_text(m->as.text);
    case LODE_SCALAR: return lode_from_scalar(&m->as.scalar);
    case LODE_BUNDLE: return lode_from_bundle(m->as.bundle);
    default: return lode_none();
    }
}

static int64_t find(const lode_bundle *b, const char *name)
{
    for (int64_t i = 0; i < b->count; i++)
        if (strcmp(b->members[i].name, name) == 0)
            return i;
    return -1;
}

lode_value lode_bundle_get(const lode_bundle *b, const char *name)
{
    return lode_bundle_value(b, find(b, name));
}

/* The value, or a sentence about what is there instead. */
static lode_status want(lode_ctx *ctx, const lode_bundle *b, const char *name, lode_kind kind,
                        lode_value *v)
{
    *v = lode_bundle_get(b, name);
    if (v->kind == kind)
        return LODE_OK;
    if (v->kind != LODE_NONE)
        return lode_i_fail(ctx, LODE_ETYPE, "member '%s' is of kind %s, not %s", name,
                           lode_kind_name(v->kind), lode_kind_name(kind));
    char there[256] = "nothing";
    size_t at = 0;
    for (int64_t i = 0; i < b->count && at < sizeof there - 1; i++) {
        const int n = snprintf(there + at, sizeof there - at, "%s%s", i ? ", " : "",
                               b->members[i].name);
        at += n > 0 ? (size_t)n : 0;
    }
    return lode_i_fail(ctx, LODE_ENOENT, "there is no member '%s'; the bundle holds %s", name,
                       there);
}

lode_status lode_bundle_array(lode_ctx *ctx, const lode_bundle *b, const char *name,
                              const lode_array **a)
{
    lode_value v;
    LODE_FORWARD(want(ctx, b, name, LODE_ARRAY, &v));
    *a = v.as.array;
    return LODE_OK;
}

lode_status lode_i_bundle_optional(lode_ctx *ctx, const lode_bundle *b, const char *name,
                                   const lode_array **a)
{
    *a = NULL;
    return lode_bundle_get(b, name).kind == LODE_NONE ? LODE_OK
                                                      : lode_bundle_array(ctx, b, name, a);
}

lode_status lode_bundle_i64(lode_ctx *ctx, const lode_bundle *b, const char *name, int64_t *v)
{
    lode_value value;
    LODE_FORWARD(want(ctx, b, name, LODE_SCALAR, &value));
    if (value.as.scalar->dtype != LODE_I64)
        return lode_i_fail(ctx, LODE_ETYPE, "member '%s' is a scalar of type %s, not i64", name,
                           lode_dtype_name(value.as.scalar->dtype));
    *v = value.as.scalar->i;
    return LODE_OK;
}

lode_status lode_bundle_f64(lode_ctx *ctx, const lode_bundle *b, const char *name, double *v)
{
    lode_value value;
    LODE_FORWARD(want(ctx, b, name, LODE_SCALAR, &value));
    const lode_scalar *s = value.as.scalar;
    if (s->dtype == LODE_C128)
        return lode_i_fail(ctx, LODE_ETYPE, "member '%s' is a scalar of type c128, not f64", name);
    *v = s->dtype == LODE_I64 ? (double)s->i : s->re;
    return LODE_OK;
}

/* A new member with its name, kind NONE; the caller fills it and counts it. */
static lode_status open_member(lode_ctx *ctx, lode_bundle *b, const char *name,
                               struct lode_member **m)
{
    if (!name || !*name)
        return lode_i_fail(ctx, LODE_EUSAGE, "a member needs a name");
    if (find(b, name) >= 0)
        return lode_i_fail(ctx, LODE_EUSAGE, "there is already a member '%s'", name);
    if (b->count == b->capacity) {
        const int64_t capacity = b->capacity ? 2 * b->capacity : 4;
        void *grown = b->members;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)capacity * sizeof *b->members, &grown));
        b->members = grown;
        b->capacity = capacity;
    }
    *m = &b->members[b->count];
    memset(*m, 0, sizeof **m);
    return lode_i_strdup(ctx, name, &(*m)->name);
}

lode_status lode_bundle_add_array(lode_ctx *ctx, lode_bundle *b, const char *name, lode_array *a)
{
    struct lode_member *m = NULL;
    if (!a->data)
        return lode_i_fail(ctx, LODE_EUSAGE, "member '%s' would be an array that was never made",
                           name ? name : "");
    LODE_FORWARD(open_member(ctx, b, name, &m));
    m->kind = LODE_ARRAY;
    lode_array_swap(&m->as.array, a);
    b->count++;
    return LODE_OK;
}

lode_status lode_bundle_add_sparse(lode_ctx *ctx, lode_bundle *b, const char *name, lode_sparse *s)
{
    struct lode_member *m = NULL;
    LODE_FORWARD(open_member(ctx, b, name, &m));
    m->kind = LODE_SPARSE;
    m->as.sparse = *s;
    *s = (lode_sparse){ 0 };
    b->count++;
    return LODE_OK;
}

lode_status lode_bundle_add_source(lode_ctx *ctx, lode_bundle *b, const char *name, lode_source *s)
{
    struct lode_member *m = NULL;
    LODE_FORWARD(open_member(ctx, b, name, &m));
    m->kind = LODE_SOURCE;
    m->as.source = *s;
    *s = (lode_source){ 0 };
    b->count++;
    return LODE_OK;
}

lode_status lode_bundle_add_text(lode_ctx *ctx, lode_bundle *b, const char *name, const char *text)
{
    struct lode_member *m = NULL;
    char *copy = NULL;
    LODE_FORWARD(lode_i_strdup(ctx, text, &copy));
    const lode_status st = open_member(ctx, b, name, &m);
    if (st < 0) {
        lode_i_free(copy);
        return st;
    }
    m->kind = LODE_TEXT;
    m->as.text = copy;
    b->count++;
    return LODE_OK;
}

lode_status lode_bundle_add_bundle(lode_ctx *ctx, lode_bundle *b, const char *name,
                                   lode_bundle *inner)
{
    struct lode_member *m = NULL;
    void *kept = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *inner, &kept));
    const lode_status st = open_member(ctx, b, name, &m);
    if (st < 0) {
        lode_i_free(kept);
        return st;
    }
    m->kind = LODE_BUNDLE;
    m->as.bundle = kept;
    lode_bundle_swap(m->as.bundle, inner);
    b->count++;
    return LODE_OK;
}

static lode_status add_scalar(lode_ctx *ctx, lode_bundle *b, const char *name, lode_scalar s)
{
    struct lode_member *m = NULL;
    LODE_FORWARD(open_member(ctx, b, name, &m));
    m->kind = LODE_SCALAR;
    m->as.scalar = s;
    b->count++;
    return LODE_OK;
}

lode_status lode_bundle_add_i64(lode_ctx *ctx, lode_bundle *b, const char *name, int64_t v)
{
    return add_scalar(ctx, b, name, (lode_scalar){ .dtype = LODE_I64, .i = v, .re = (double)v });
}

lode_status lode_bundle_add_f64(lode_ctx *ctx, lode_bundle *b, const char *name, double v)
{
    return add_scalar(ctx, b, name, (lode_scalar){ .dtype = LODE_F64, .re = v });
}

static lode_status ref_all(lode_ctx *ctx, const lode_bundle *b, bool lend, lode_bundle *out);

/* lend: sources too, which stay the owner's to close. */
static lode_status ref_member(lode_ctx *ctx, const struct lode_member *m, bool lend,
                              lode_bundle *out)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    lode_sparse s = { 0 };
    lode_source lent = { 0 };
    lode_bundle inner = { 0 };
    switch (m->kind) {
    case LODE_ARRAY:
        a = lode_array_ref(&m->as.array);
        LODE_TRY(lode_bundle_add_array(ctx, out, m->name, &a));
        break;
    case LODE_SPARSE:
        s = m->as.sparse;
        s.indptr = lode_array_ref(&m->as.sparse.indptr);
        s.indices = lode_array_ref(&m->as.sparse.indices);
        s.values = lode_array_ref(&m->as.sparse.values);
        LODE_TRY(lode_bundle_add_sparse(ctx, out, m->name, &s));
        break;
    case LODE_TEXT: LODE_TRY(lode_bundle_add_text(ctx, out, m->name, m->as.text)); break;
    case LODE_SCALAR: LODE_TRY(add_scalar(ctx, out, m->name, m->as.scalar)); break;
    case LODE_BUNDLE:
        LODE_TRY(ref_all(ctx, m->as.bundle, lend, &inner));
        LODE_TRY(lode_bundle_add_bundle(ctx, out, m->name, &inner));
        break;
    case LODE_SOURCE:
        lent = m->as.source;
        lent.close = NULL;
        if (lend)
            LODE_TRY(lode_bundle_add_source(ctx, out, m->name, &lent));
        break;
    default: break;
    }
done:
    lode_bundle_free(&inner);
    lode_array_free(&a);
    lode_sparse_free(&s);
    return st;
}

static lode_status ref_all(lode_ctx *ctx, const lode_bundle *b, bool lend, lode_bundle *out)
{
    lode_status st = LODE_OK;
    lode_bundle r = { .meta = b->meta, .certificate = b->certificate };
    r.meta.options = r.meta.attributes = r.meta.made = NULL;
    if (b->meta.options)
        LODE_TRY(lode_i_strdup(ctx, b->meta.options, &r.meta.options));
    if (b->meta.attributes)
        LODE_TRY(lode_i_strdup(ctx, b->meta.attributes, &r.meta.attributes));
    if (b->meta.made)
        LODE_TRY(lode_i_strdup(ctx, b->meta.made, &r.meta.made));
    for (int64_t i = 0; i < b->count; i++)
        LODE_TRY(ref_member(ctx, &b->members[i], lend, &r));
    lode_bundle_swap(out, &r);
done:
    lode_bundle_free(&r);
    return st;
}

lode_status lode_bundle_ref(lode_ctx *ctx, const lode_bundle *b, lode_bundle *out)
{
    return ref_all(ctx, b, false, out);
}

lode_status lode_i_bundle_lend(lode_ctx *ctx, const lode_bundle *b, lode_bundle *out)
{
    return ref_all(ctx, b, true, out);
}

lode_status lode_i_bundle_ref_member(lode_ctx *ctx, const lode_bundle *from, int64_t i,
                                     lode_bundle *to)
{
    return ref_member(ctx, &from->members[i], false, to);
}

void lode_i_bundle_put_source(lode_bundle *b, int64_t i, lode_source *s)
{
    struct lode_member *m = &b->members[i];
    char *const name = m->name;
    m->name = NULL;
    free_member(m);
    *m = (struct lode_member){ .name = name, .kind = LODE_SOURCE, .as.source = *s };
    *s = (lode_source){ 0 };
}
