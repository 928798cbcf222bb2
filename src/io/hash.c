/* Tree hash of a dense value: leaves of 2^20 bytes of the values in C order, joined with a leaf
 * that says type and shape. The same for an array, a source, any slabs and any threads. */
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

lode_status lode_hash(lode_ctx *ctx, lode_value v, char hex[72])
{
    lode_status st = LODE_OK;
    hasher h = { 0 };
    lode_digest d, part[4];
    lode_i_begin(ctx, "hash");
    LODE_TRY(lode_i_alloc(ctx, LEAF, (void **)&h.carry));
    if (v.kind == LODE_SPARSE) {
        const lode_sparse *s = v.as.sparse;
        const lode_array *const a[3] = { &s->indptr, &s->indices, &s->values };
        const int32_t first = s->layout == LODE_CSR ? 0 : 1;
        for (int k = first; k < 3; k++)
            LODE_TRY(dense(ctx, &h, "sparse part", lode_from_array(a[k]), &part[k]));
        int64_t shape[LODE_MAX_NDIM];
        memcpy(shape, s->shape, sizeof shape);
        if (LODE_I_BIG_ENDIAN)
            lode_i_turn_bytes(LODE_I64, shape, sizeof shape);
        lode_i_digest(shape, (size_t)s->ndim * sizeof *shape, UINT64_MAX - 1, &part[3]);
        lode_i_digest_join(part + first, 4 - first, &d);
    } else {
        LODE_TRY(dense(ctx, &h, "the value to hash", v, &d));
    }
    lode_i_digest_hex(&d, hex);
done:
    lode_i_free(h.leaves);
    lode_i_free(h.carry);
    lode_i_end(ctx);
    return st;
}
