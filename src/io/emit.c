/* Values on their way out: a dense value's bytes in C order, slab by slab, and the flattening of
 * named values into the plain tensors that a container holds. */
#include "io/io.h"

#include <math.h>
#include <string.h>

/* Pieces of about 8 MiB keep the disk and the checksums busy; a source's own chunk may be larger.
 */
enum { PIECE = 8 << 20, CHUNK_MAX = 256 << 20 };

/* Where pieces go: bytes in a row, or rectangles. */
typedef struct outlet {
    lode_i_sink sink;
    lode_i_box_sink box;
    void *data;
    const int64_t *start, *count;
} outlet;

/* Bytes in a row leave in the order of files. */
static lode_status give(lode_ctx *ctx, const outlet *o, lode_dtype dtype, const void *bytes,
                        size_t size)
{
    if (o->box)
        return o->box(ctx, o->data, o->start, o->count, bytes);
    if (!LODE_I_BIG_ENDIAN)
        return o->sink(ctx, o->data, bytes, size);
    unsigned char turned[1 << 14];
    const size_t whole = sizeof turned - sizeof turned % lode_dtype_size(dtype);
    for (size_t at = 0; at < size; at += whole) {
        const size_t n = size - at < whole ? size - at : whole;
        memcpy(turned, (const char *)bytes + at, n);
        lode_i_turn_bytes(dtype, turned, n);
        LODE_FORWARD(o->sink(ctx, o->data, turned, n));
    }
    return LODE_OK;
}

static lode_status send(lode_ctx *ctx, const void *bytes, lode_dtype have, lode_dtype want,
                        int64_t count, const outlet *o)
{
    if (have == want)
        return give(ctx, o, have, bytes,
                    (size_t)(count / lode_dtype_block(have)) * lode_dtype_size(have));
    lode_status st = LODE_OK;
    lode_array cast = { 0 };
    const lode_array a = lode_array_wrap((void *)(uintptr_t)bytes, have, 1, &count);
    LODE_TRY(lode_array_cast(ctx, &a, want, &cast));
    LODE_TRY(give(ctx, o, want, cast.data, lode_array_bytes(&cast)));
done:
    lode_array_free(&cast);
    return st;
}

static lode_status emit_source(lode_ctx *ctx, const lode_source *s, lode_dtype dtype, outlet o)
{
    lode_status st = LODE_OK;
    const int n = s->ndim;
    const int64_t block = lode_dtype_block(s->dtype);
    const size_t unit = lode_dtype_size(s->dtype);
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM] = { 0 }, total = 1, inner = 1,
            step = 1, chunk = 1;
    void *buffer = NULL;
    int axis = 0;

    o.start = start, o.count = count;
    for (int k = 0; k < n; k++)
        if (s->shape[k] == 0)
            return LODE_OK;
    for (int k = 0; k < n; k++)
        LODE_REQUIRE(lode_i_mul(total, s->shape[k], &total), LODE_ESHAPE,
                     "a source of more than 2^63-1 values");
    /* The outermost axis along which one index fits a piece, or a chunk fits memory; axes before it are
     * walked one by one. */
    const double most = fmin(CHUNK_MAX, (double)lode_i_memory_left(ctx) / 2);
    double each = 0; /* bytes of one index */
    inner = total;
    for (axis = 0; axis < n; axis++) {
        inner /= s->shape[axis];
        each = (double)inner * (double)unit / (double)block;
        chunk = lode_i_max(1, lode_i_min(s->chunk[axis], s->shape[axis]));
        if (each <= PIECE || (chunk > 1 && (double)chunk * each <= most))
            break;
    }
    if (n > 0) {
        const int64_t grain = axis == n - 1 ? block : 1;
        step = lode_i_max(1, (int64_t)(PIECE / each));
        if (chunk > step && (double)chunk * each <= most)
            step = chunk;
        if (step > chunk)
            step -= step % chunk;
        step = lode_i_min(lode_i_max(step - step % grain, grain), s->shape[axis]);
    }
    LODE_TRY(lode_i_new(ctx, n ? lode_i_ceil_div(step * inner, block) : 1, unit, &buffer));
    for (int k = 0; k < n; k++)
        count[k] = k < axis ? 1 : s->shape[k];
    for (int64_t done = 0; done < total;) {
        int64_t many = 1;
        if (n > 0) {
            count[axis] = lode_i_min(step, s->shape[axis] - start[axis]);
            many = count[axis] * inner;
        }
        LODE_TRY(lode_i_tick(ctx, done, total));
        LODE_TRY(s->read(ctx, s, start, count, buffer));
        LODE_TRY(send(ctx, buffer, s->dtype, dtype, many, &o));
        done += many;
        for (int k = axis; n > 0 && k >= 0; k--) {
            start[k] += count[k];
            if (start[k] < s->shape[k])
                break;
            start[k] = 0;
        }
    }
    LODE_TRY(lode_i_tick(ctx, total, total));
done:
    lode_i_free(buffer);
    return st;
}

lode_status lode_i_emit(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_sink sink, void *data)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    const outlet o = { .sink = sink, .data = data };
    if (v.kind == LODE_SOURCE)
        return emit_source(ctx, v.as.source, dtype, o);
    const lode_array *a = v.as.array;
    if (a->dtype == dtype && lode_array_is_contiguous(a)) {
        const size_t bytes = lode_array_bytes(a);
        for (size_t at = 0; at < bytes; at += PIECE) {
            const size_t n = bytes - at < PIECE ? bytes - at : PIECE;
            LODE_TRY(lode_i_tick(ctx, (int64_t)at, (int64_t)bytes));
            LODE_TRY(give(ctx, &o, dtype, (const char *)a->data + at, n));
        }
        goto done;
    }
    LODE_TRY(lode_i_source_from_array(ctx, a, &s));
    LODE_TRY(emit_source(ctx, &s, dtype, o));
done:
    lode_source_close(&s);
    return st;
}

lode_status lode_i_emit_boxes(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_box_sink sink,
                              void *data)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    bool owned = false;
    LODE_TRY(lode_i_as_source(ctx, v, &s, &owned));
    LODE_TRY(emit_source(ctx, &s, dtype, (outlet){ .box = sink, .data = data }));
done:
    if (owned)
        lode_source_close(&s);
    return st;
}

lode_status lode_i_dense_form(lode_ctx *ctx, const char *name, lode_value v, lode_dtype *dtype,
                              int32_t *ndim, int64_t *shape)
{
    if (v.kind == LODE_ARRAY && v.as.array->data) {
        *dtype = v.as.array->dtype, *ndim = v.as.array->ndim;
        memcpy(shape, v.as.array->shape, sizeof v.as.array->shape);
    } else if (v.kind == LODE_SOURCE) {
        *dtype = v.as.source->dtype, *ndim = v.as.source->ndim;
        memcpy(shape, v.as.source->shape, sizeof v.as.source->shape);
    } else {
        return lode_i_fail(ctx, LODE_ETYPE, "%s is %s%s, where a dense array is needed", name,
                           v.kind == LODE_ARRAY ? "an empty " : "", lode_kind_name(v.kind));
    }
    return LODE_OK;
}

lode_status lode_i_tensor_emit(lode_ctx *ctx, const lode_i_tensor *t, lode_i_sink sink, void *data)
{
    if (t->value.kind == LODE_NONE)
        return t->bytes ? give(ctx, &(outlet){ .sink = sink, .data = data },
                               t->plain ? LODE_U8 : t->dtype, t->plain ? t->plain : t->small,
                               (size_t)t->bytes)
                        : LODE_OK;
    /* Complex as pairs and packed blocks as bytes are the same bytes as the value's own. */
    const lode_dtype own = t->value.kind == LODE_ARRAY ? t->value.as.array->dtype
                                                       : t->value.as.source->dtype;
    const bool same = lode_i_is_complex(own) || lode_dtype_class(own) == 'q' ||
                      (own == LODE_BF16 && t->dtype == LODE_U16);
    return lode_i_emit(ctx, t->value, same ? own : t->dtype, sink, data);
}

lode_status lode_i_sink_outfile(lode_ctx *ctx, void *outfile, const void *bytes, size_t size)
{
    return lode_i_outfile_write(ctx, outfile, bytes, size);
}

/* ---- flattening ---- */

lode_status lode_i_stored_form(lode_ctx *ctx, const char *name, bool pairs, lode_dtype dtype,
                               int ndim, const int64_t *shape, lode_dtype *stored,
                               int32_t *stored_ndim, int64_t *stored_shape)
{
    *stored = dtype, *stored_ndim = ndim;
    if (ndim > 0)
        memmove(stored_shape, shape, (size_t)ndim * sizeof *shape);
    if (lode_dtype_class(dtype) == 'q') {
        *stored = LODE_U8;
        if (ndim < 1)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: packed values need at least one axis", name);
        stored_shape[ndim - 1] = shape[ndim - 1] / lode_dtype_block(dtype) *
                                 (int64_t)lode_dtype_size(dtype);
    } else if (pairs && lode_i_is_complex(dtype)) {
        if (ndim == LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s: a complex array of %d axes has no room for the pair", name,
                               ndim);
        *stored = lode_i_real_of(dtype);
        stored_shape[(*stored_ndim)++] = 2;
    } else if (!pairs && dtype == LODE_BF16) {
        *stored = LODE_U16;
    }
    return LODE_OK;
}

static lode_status named(lode_ctx *ctx, const char *name, const char *part, lode_i_tensor *t)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    if (!part)
        return lode_i_strdup(ctx, name, &t->name);
    LODE_TRY(lode_i_text_add(ctx, &text, "%s.%s", name, part));
    LODE_TRY(lode_i_strdup(ctx, text.text, &t->name));
done:
    lode_i_text_free(&text);
    return st;
}

static lode_status dense_tensor(lode_ctx *ctx, const char *name, lode_value v, bool pairs,
                                lode_i_tensor *t)
{
    lode_dtype dtype = LODE_F32;
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_dense_form(ctx, name, v, &dtype, &ndim, shape));
    LODE_FORWARD(
        lode_i_stored_form(ctx, name, pairs, dtype, ndim, shape, &t->dtype, &t->ndim, t->shape));
    t->value = v;
    return lode_i_shape_bytes(ctx, name, t->dtype, t->ndim, t->shape, &t->bytes);
}

static void scalar_tensor(const lode_scalar *s, bool pairs, lode_i_tensor *t)
{
    t->dtype = s->dtype;
    if (s->dtype == LODE_I64) {
        memcpy(t->small, &s->i, sizeof s->i);
    } else {
        memcpy(t->small, &s->re, sizeof s->re);
        memcpy(t->small + sizeof s->re, &s->im, sizeof s->im);
    }
    t->bytes = lode_dtype_size(s->dtype);
    if (pairs && s->dtype == LODE_C128)
        t->dtype = LODE_F64, t->ndim = 1, t->shape[0] = 2;
}

/* Tensors that a value takes at most. */
static int64_t tensors_of(lode_value v)
{
    int64_t n = v.kind == LODE_BUNDLE ? 0 : v.kind == LODE_SPARSE ? 3 : 1;
    for (int64_t i = 0; v.kind == LODE_BUNDLE && i < v.as.bundle->count; i++)
        n += tensors_of(lode_bundle_value(v.as.bundle, i));
    return n;
}

/* A new tensor, which the caller fills. */
static lode_i_tensor *next_tensor(lode_i_tensors *t, int64_t item, int64_t inner)
{
    lode_i_tensor *a = &t->at[t->count++];
    a->item = item, a->inner = inner;
    return a;
}

static lode_status flatten(lode_ctx *ctx, const char *name, lode_value v, bool pairs, int64_t item,
                           int64_t inner, lode_i_tensors *t)
{
    lode_i_tensor *a = NULL;
    if (v.kind == LODE_SPARSE) {
        const lode_sparse *s = v.as.sparse;
        const lode_array *const part[3] = { &s->indptr, &s->indices, &s->values };
        static const char *const names[3] = { "indptr", "indices", "values" };
        for (int k = s->layout == LODE_CSR ? 0 : 1; k < 3; k++) {
            a = next_tensor(t, item, inner);
            LODE_FORWARD(named(ctx, name, names[k], a));
            LODE_FORWARD(dense_tensor(ctx, a->name, lode_from_array(part[k]), pairs, a));
        }
        return LODE_OK;
    }
    a = next_tensor(t, item, inner);
    LODE_FORWARD(named(ctx, name, NULL, a));
    switch (v.kind) {
    case LODE_ARRAY:
    case LODE_SOURCE: return dense_tensor(ctx, name, v, pairs, a);
    case LODE_SCALAR: scalar_tensor(v.as.scalar, pairs, a); return LODE_OK;
    case LODE_TEXT:
        a->dtype = LODE_U8, a->ndim = 1, a->plain = v.as.text;
        a->bytes = strlen(v.as.text), a->shape[0] = (int64_t)a->bytes;
        return LODE_OK;
    default:
        return lode_i_fail(ctx, LODE_ETYPE, "%s is a %s, which no file holds", name,
                           lode_kind_name(v.kind));
    }
}

static lode_status flatten_bundle(lode_ctx *ctx, const char *name, const lode_bundle *b, bool pairs,
                                  int64_t item, lode_i_tensors *t)
{
    lode_status st = LODE_OK;
    lode_text full = { 0 };
    LODE_REQUIRE(pairs, LODE_ETYPE,
                 "%s is a result of %s; only a .lode file holds such beside other values: write "
                 "one, or expand it first",
                 name, b->meta.op[0] ? b->meta.op : "another file");
    for (int64_t i = 0; i < b->count; i++) {
        full.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &full, "%s.%s", name, lode_bundle_name(b, i)));
        LODE_TRY(flatten(ctx, full.text, lode_bundle_value(b, i), pairs, item, i, t));
    }
done:
    lode_i_text_free(&full);
    return st;
}

lode_status lode_i_flatten(lode_ctx *ctx, const lode_i_output *out, bool pairs, lode_i_tensors *t)
{
    lode_status st = LODE_OK;
    int64_t most = 1;
    for (int64_t i = 0; i < out->count; i++)
        most += tensors_of(out->items[i].value);
    LODE_TRY(lode_i_calloc(ctx, (size_t)most * sizeof *t->at, (void **)&t->at));
    for (int64_t i = 0; i < out->count; i++) {
        const lode_i_item *item = &out->items[i];
        if (item->value.kind == LODE_BUNDLE)
            LODE_TRY(flatten_bundle(ctx, item->name, item->value.as.bundle, pairs, i, t));
        else
            LODE_TRY(flatten(ctx, item->name, item->value, pairs, i, 0, t));
    }
    for (int64_t i = 1; i < t->count; i++)
        for (int64_t j = 0; j < i; j++)
            LODE_REQUIRE(strcmp(t->at[i].name, t->at[j].name) != 0, LODE_EUSAGE,
                         "two members would be stored as %s; rename one", t->at[i].name);
done:
    return st;
}

void lode_i_tensors_free(lode_i_tensors *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        lode_i_free(t->at[i].name);
        lode_i_free(t->at[i].sums);
    }
    lode_i_free(t->at);
    *t = (lode_i_tensors){ 0 };
}

lode_status lode_i_choose_item(lode_ctx *ctx, const lode_i_output *out, uint32_t kinds,
                               const lode_i_item **item)
{
    if (out->count == 0)
        return lode_i_fail(ctx, LODE_EUSAGE, "there is nothing to write");
    *item = NULL;
    for (int64_t i = 0; i < out->count && !*item; i++)
        if (out->only ? strcmp(out->items[i].name, out->only) == 0
                      : (LODE_KIND_BIT(out->items[i].value.kind) & kinds) != 0)
            *item = &out->items[i];
    if (!*item && out->only)
        return lode_i_fail(ctx, LODE_ENOENT, "the result has no member %s; its first is %s",
                           out->only, out->items[0].name);
    if (!*item)
        *item = &out->items[0];
    return LODE_OK;
}

lode_status lode_i_choose(lode_ctx *ctx, const lode_i_output *out, const char *format,
                          lode_i_tensor *t)
{
    const lode_i_item *item = NULL;
    LODE_FORWARD(lode_i_choose_item(ctx, out, LODE_DENSE | LODE_KIND_BIT(LODE_SCALAR), &item));
    const lode_value v = item->value;
    memset(t, 0, sizeof *t);
    t->name = (char *)(uintptr_t)item->name;
    if (v.kind == LODE_SCALAR) {
        scalar_tensor(v.as.scalar, false, t);
        return LODE_OK;
    }
    if (!(LODE_KIND_BIT(v.kind) & LODE_DENSE))
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s is a %s, and %s holds one dense array; write .lode or .npz",
                           item->name, lode_kind_name(v.kind), format);
    t->value = v;
    LODE_FORWARD(lode_i_dense_form(ctx, item->name, v, &t->dtype, &t->ndim, t->shape));
    if (lode_dtype_class(t->dtype) == 'q')
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s: %s does not hold packed %s; write .lode, or cast to f32 first",
                           item->name, format, lode_dtype_name(t->dtype));
    return lode_i_shape_bytes(ctx, item->name, t->dtype, t->ndim, t->shape, &t->bytes);
}
