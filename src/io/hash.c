/* Tree hash of a value. Of a dense one: leaves of 2^20 bytes of the values in C order, joined with a leaf
 * that says type and shape. The same for an array, a source, any slabs and any threads. A
 * result's is over its members and what says how they are read. */
#include "io/io.h"

#include <string.h>

enum { LEAF = 1 << 20 };

typedef struct hasher {
    lode_digest *leaves;
    int64_t count, capacity;
    unsigned char *carry; /* the beginning of a leaf that came in parts */
    size_t filled;
    const unsigned char *from; /* whole leaves for the tasks */
    int64_t first;
} hasher;

static lode_status room(lode_ctx *ctx, hasher *h, int64_t more)
{
    if (h->count + more > h->capacity) {
        const int64_t capacity = lode_i_max(2 * h->capacity, h->count + more + 16);
        void *p = h->leaves;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)capacity * sizeof *h->leaves, &p));
        h->leaves = p;
        h->capacity = capacity;
    }
    return LODE_OK;
}

static lode_status one_leaf(lode_ctx *ctx, int64_t i, void *data)
{
    hasher *h = data;
    (void)ctx;
    lode_i_digest(h->from + i * LEAF, LEAF, (uint64_t)(h->first + i), &h->leaves[h->first + i]);
    return LODE_OK;
}

static lode_status flush(lode_ctx *ctx, hasher *h)
{
    LODE_FORWARD(room(ctx, h, 1));
    lode_i_digest(h->carry, h->filled, (uint64_t)h->count, &h->leaves[h->count]);
    h->count++;
    h->filled = 0;
    return LODE_OK;
}

static lode_status hash_sink(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    hasher *h = data;
    const unsigned char *p = bytes;
    if (h->filled > 0) {
        const size_t n = size < LEAF - h->filled ? size : LEAF - h->filled;
        memcpy(h->carry + h->filled, p, n);
        h->filled += n, p += n, size -= n;
        if (h->filled == LEAF)
            LODE_FORWARD(flush(ctx, h));
    }
    const int64_t whole = (int64_t)(size / LEAF);
    if (whole > 0) {
        LODE_FORWARD(room(ctx, h, whole));
        h->from = p, h->first = h->count;
        LODE_FORWARD(lode_i_parallel(ctx, whole, one_leaf, h));
        h->count += whole;
        p += whole * LEAF, size -= (size_t)whole * LEAF;
    }
    memcpy(h->carry + h->filled, p, size);
    h->filled += size;
    return LODE_OK;
}

static lode_status dense(lode_ctx *ctx, hasher *h, const char *what, lode_value v, lode_digest *d)
{
    lode_status st = LODE_OK;
    lode_dtype dtype = LODE_F32;
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    lode_text form = { 0 };
    LODE_TRY(lode_i_dense_form(ctx, what, v, &dtype, &ndim, shape));
    LODE_TRY(lode_i_text_add(ctx, &form, "lode %s", lode_dtype_name(dtype)));
    for (int k = 0; k < ndim; k++)
        LODE_TRY(lode_i_text_add(ctx, &form, " %" PRId64, shape[k]));
    h->count = 0, h->filled = 0;
    LODE_TRY(lode_i_emit(ctx, v, dtype, hash_sink, h));
    if (h->filled > 0)
        LODE_TRY(flush(ctx, h));
    LODE_TRY(room(ctx, h, 1));
    lode_i_digest(form.text, form.size, UINT64_MAX, &h->leaves[h->count]);
    lode_i_digest_join(h->leaves, h->count + 1, d);
done:
    lode_i_text_free(&form);
    return st;
}

static lode_status sparse(lode_ctx *ctx, hasher *h, const lode_sparse *s, lode_digest *d)
{
    lode_digest part[4];
    const lode_array *const a[3] = { &s->indptr, &s->indices, &s->values };
    const int32_t first = s->layout == LODE_CSR ? 0 : 1;
    for (int k = first; k < 3; k++)
        LODE_FORWARD(dense(ctx, h, "sparse part", lode_from_array(a[k]), &part[k]));
    int64_t shape[LODE_MAX_NDIM];
    memcpy(shape, s->shape, sizeof shape);
    if (LODE_I_BIG_ENDIAN)
        lode_i_turn_bytes(LODE_I64, shape, sizeof shape);
    lode_i_digest(shape, (size_t)s->ndim * sizeof *shape, UINT64_MAX - 1, &part[3]);
    lode_i_digest_join(part + first, 4 - first, d);
    return LODE_OK;
}

static lode_status any(lode_ctx *ctx, hasher *h, lode_value v, lode_digest *d);

/* What says of a result how it is to be read: all of its description but where it came from. */
static lode_status form_of(lode_ctx *ctx, const lode_bundle *b, lode_text *t)
{
    const lode_meta *m = &b->meta;
    const lode_certificate *c = &b->certificate;
    LODE_FORWARD(lode_i_text_add(ctx, t, "lode %s %s %" PRIu64, m->op, m->options ? m->options : "",
                                 m->seed));
    LODE_FORWARD(lode_i_text_add(ctx, t, " %d %d %a %a %a %a", (int)c->kind, (int)c->norm, c->value,
                                 c->absolute, c->asked, c->other));
    for (int k = 0; m->has_shape && k < m->ndim; k++)
        LODE_FORWARD(lode_i_text_add(ctx, t, " %" PRId64, m->shape[k]));
    return LODE_OK;
}

static lode_status bundle(lode_ctx *ctx, hasher *h, const lode_bundle *b, lode_digest *d)
{
    lode_status st = LODE_OK;
    lode_digest *part = NULL;
    lode_text form = { 0 };
    LODE_TRY(LODE_NEW(ctx, 2 * b->count + 1, &part));
    for (int64_t i = 0; i < b->count; i++) {
        const char *name = lode_bundle_name(b, i);
        lode_i_digest(name, strlen(name), (uint64_t)i, &part[2 * i]);
        LODE_TRY(any(ctx, h, lode_bundle_value(b, i), &part[2 * i + 1]));
    }
    LODE_TRY(form_of(ctx, b, &form));
    lode_i_digest(form.text, form.size, UINT64_MAX - 3, &part[2 * b->count]);
    lode_i_digest_join(part, 2 * b->count + 1, d);
done:
    lode_i_text_free(&form);
    lode_i_free(part);
    return st;
}

static lode_status any(lode_ctx *ctx, hasher *h, lode_value v, lode_digest *d)
{
    char text[96];
    switch (v.kind) {
    case LODE_SPARSE: return sparse(ctx, h, v.as.sparse, d);
    case LODE_BUNDLE: return bundle(ctx, h, v.as.bundle, d);
    case LODE_TEXT: lode_i_digest(v.as.text, strlen(v.as.text), UINT64_MAX - 2, d); return LODE_OK;
    case LODE_SCALAR:
        snprintf(text, sizeof text, "%d %" PRId64 " %a %a", (int)v.as.scalar->dtype, v.as.scalar->i,
                 v.as.scalar->re, v.as.scalar->im);
        lode_i_digest(text, strlen(text), UINT64_MAX - 2, d);
        return LODE_OK;
    default: return dense(ctx, h, "the value to hash", v, d);
    }
}

lode_status lode_hash(lode_ctx *ctx, lode_value v, char hex[72])
{
    lode_status st = LODE_OK;
    hasher h = { 0 };
    lode_digest d;
    lode_i_begin(ctx, "hash");
    LODE_TRY(lode_i_alloc(ctx, LEAF, (void **)&h.carry));
    LODE_TRY(any(ctx, &h, v, &d));
    lode_i_digest_hex(&d, hex);
done:
    lode_i_free(h.leaves);
    lode_i_free(h.carry);
    lode_i_end(ctx);
    return st;
}
