/* GGUF: models with their metadata, versions 2 and 3, little-endian. Tensors whose values are plain
 * are read where they lie; quantized ones are decoded to f32 as they are read, block by block. */
#include "io/ggufblock.h"

#include <string.h>

enum { WINDOW = 1 << 16, LIST = 64, DEPTH = 4, NAME = 4096, AXES = 4, TILE = 1 << 20 };

typedef struct model {
    int64_t count, room;
    const lode_i_gguf_type **type; /* of each member, by its id */
} model;

/* A place in the header, read through a window. */
typedef struct cursor {
    lode_ctx *ctx;
    lode_infile *in;
    uint64_t at, size, from, to;
    unsigned char *window;
} cursor;

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 4 && memcmp(head, "GGUF", 4) == 0;
}

static lode_status take(cursor *c, void *to, size_t size)
{
    if (size > c->size - c->at)
        return lode_i_fail(c->ctx, LODE_EFORMAT, "%s breaks off in its header, at byte %" PRIu64,
                           lode_i_infile_path(c->in), c->at);
    if (size > WINDOW) {
        LODE_FORWARD(lode_i_infile_read(c->ctx, c->in, c->at, to, size));
    } else {
        if (c->at < c->from || c->at + size > c->to) {
            const size_t n = c->size - c->at < WINDOW ? (size_t)(c->size - c->at) : WINDOW;
            LODE_FORWARD(lode_i_infile_read(c->ctx, c->in, c->at, c->window, n));
            LODE_FORWARD(lode_i_cancelled(c->ctx));
            c->from = c->at, c->to = c->at + n;
        }
        memcpy(to, c->window + (c->at - c->from), size);
    }
    c->at += size;
    return LODE_OK;
}

static lode_status skip(cursor *c, uint64_t size)
{
    if (size > c->size - c->at)
        return lode_i_fail(c->ctx, LODE_EFORMAT,
                           "%s: %" PRIu64 " bytes at byte %" PRIu64 " do not lie in its %" PRIu64,
                           lode_i_infile_path(c->in), size, c->at, c->size);
    c->at += size;
    return LODE_OK;
}

static lode_status take32(cursor *c, uint32_t *v)
{
    return take(c, v, sizeof *v);
}

static lode_status take64(cursor *c, uint64_t *v)
{
    return take(c, v, sizeof *v);
}

/* A text of at most `most` bytes, ended by a zero; freed by the caller. */
static lode_status take_text(cursor *c, uint64_t most, char **text)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = c->ctx;
    uint64_t n = 0;
    char *p = NULL;
    LODE_TRY(take64(c, &n));
    LODE_REQUIRE(n <= c->size - c->at && n <= most, LODE_EFORMAT,
                 "%s: a text of %" PRIu64 " bytes at byte %" PRIu64 "; at most %" PRIu64 " fit",
                 lode_i_infile_path(c->in), n, c->at,
                 most < c->size - c->at ? most : c->size - c->at);
    LODE_TRY(lode_i_alloc(ctx, (size_t)n + 1, (void **)&p));
    LODE_TRY(take(c, p, (size_t)n));
    p[n] = '\0';
    *text = p;
    p = NULL;
done:
    lode_i_free(p);
    return st;
}

/* ---- metadata ---- */

enum { TEXT = 8, ARRAY = 9, TYPES = 13 };
static const struct {
    const char *name;
    int bytes;
    char class;
} kinds[TYPES] = { { "u8", 1, 'u' },   { "i8", 1, 'i' },    { "u16", 2, 'u' }, { "i16", 2, 'i' },
                   { "u32", 4, 'u' },  { "i32", 4, 'i' },   { "f32", 4, 'f' }, { "bool", 1, 'b' },
                   { "text", 0, 't' }, { "array", 0, 'a' }, { "u64", 8, 'u' }, { "i64", 8, 'i' },
                   { "f64", 8, 'f' } };

static lode_status take_number(cursor *c, uint32_t kind, lode_json **j)
{
    unsigned char b[8] = { 0 };
    uint64_t u = 0;
    double d = 0;
    float f = 0;
    LODE_FORWARD(take(c, b, (size_t)kinds[kind].bytes));
    memcpy(&u, b, sizeof u);
    memcpy(&d, b, sizeof d);
    memcpy(&f, b, sizeof f);
    const int unused = 64 - 8 * kinds[kind].bytes;
    switch (kinds[kind].class) {
    case 'b': *j = lode_i_json_bool(u != 0); break;
    case 'f': *j = lode_i_json_f64(kinds[kind].bytes == 8 ? d : (double)f); break;
    case 'i': *j = lode_i_json_i64((int64_t)(u << unused) / ((int64_t)1 << unused)); break;
    default: *j = u > INT64_MAX ? lode_i_json_f64((double)u) : lode_i_json_i64((int64_t)u);
    }
    return LODE_OK;
}

static lode_status take_value(cursor *c, uint32_t kind, int depth, lode_json **j);

/* Long ones are passed over and named: {"type": "text", "count": 32000}. */
static lode_status take_array(cursor *c, int depth, lode_json **j)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = c->ctx;
    uint32_t kind = 0;
    uint64_t count = 0, n = 0;
    lode_json *list = NULL, *one = NULL;
    LODE_TRY(take32(c, &kind));
    LODE_TRY(take64(c, &count));
    LODE_REQUIRE(kind < TYPES && depth < DEPTH, LODE_EFORMAT,
                 "%s: an array of type %u, %d deep, at byte %" PRIu64, lode_i_infile_path(c->in),
                 (unsigned)kind, depth, c->at);
    const uint64_t least = kind == TEXT ? 8 : kind == ARRAY ? 12 : (uint64_t)kinds[kind].bytes;
    LODE_REQUIRE(count <= (c->size - c->at) / least, LODE_EFORMAT,
                 "%s: an array of %" PRIu64 " values at byte %" PRIu64 " is longer than the file",
                 lode_i_infile_path(c->in), count, c->at);
    if (count <= LIST) {
        list = lode_i_json_array();
        for (uint64_t i = 0; i < count; i++) {
            LODE_TRY(take_value(c, kind, depth + 1, &one));
            lode_json *const given = one;
            one = NULL;
            LODE_TRY(lode_i_json_push(ctx, list, given));
        }
    } else {
        for (uint64_t i = 0; i < count && kind == TEXT; i++) {
            LODE_TRY(take64(c, &n));
            LODE_TRY(skip(c, n));
        }
        for (uint64_t i = 0; i < count && kind == ARRAY; i++) {
            LODE_TRY(take_value(c, kind, depth + 1, &one));
            lode_i_json_free(one);
            one = NULL;
        }
        if (kind != TEXT && kind != ARRAY)
            LODE_TRY(skip(c, count * least));
        list = lode_i_json_object();
        LODE_TRY(lode_i_json_set(ctx, list, "type", lode_i_json_text(kinds[kind].name)));
        LODE_TRY(lode_i_json_set(ctx, list, "count", lode_i_json_i64((int64_t)count)));
    }
    *j = list;
    list = NULL;
done:
    lode_i_json_free(one);
    lode_i_json_free(list);
    return st;
}

static lode_status take_value(cursor *c, uint32_t kind, int depth, lode_json **j)
{
    char *text = NULL;
    if (kind >= TYPES)
        return lode_i_fail(c->ctx, LODE_EFORMAT, "%s: metadata of type %u at byte %" PRIu64,
                           lode_i_infile_path(c->in), (unsigned)kind, c->at);
    if (kind == ARRAY)
        return take_array(c, depth, j);
    if (kind != TEXT)
        return take_number(c, kind, j);
    LODE_FORWARD(take_text(c, c->size, &text));
    *j = lode_i_json_text(text);
    lode_i_free(text);
    return LODE_OK;
}

static lode_status take_metadata(cursor *c, uint64_t count, lode_file *f, uint64_t *alignment)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = c->ctx;
    lode_json *root = lode_i_json_object(), *value = NULL;
    char *key = NULL;
    int64_t v = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t kind = 0;
        lode_i_free(key);
        key = NULL;
        LODE_TRY(take_text(c, NAME, &key));
        for (const char *p = key; *p; p++)
            LODE_REQUIRE(*p > ' ' && *p <= '~', LODE_EFORMAT,
                         "%s: the key of metadata before byte %" PRIu64 " is no word", f->path,
                         c->at);
        LODE_TRY(take32(c, &kind));
        LODE_TRY(take_value(c, kind, 0, &value));
        if (strcmp(key, "general.alignment") == 0 && lode_i_json_as_i64(value, &v)) {
            LODE_REQUIRE(v > 0 && v <= 1 << 20 && (v & (v - 1)) == 0, LODE_EFORMAT,
                         "%s: general.alignment is %" PRId64 ", no power of 2 up to 2^20", f->path,
                         v);
            *alignment = (uint64_t)v;
        }
        lode_json *const given = value;
        value = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, key, given));
    }
    if (count > 0)
        LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_free(key);
    lode_i_json_free(value);
    lode_i_json_free(root);
    return st;
}

/* ---- tensors ---- */

/* Offsets count from where the data begin, which is known once all tensors are. */
static lode_status take_tensor(cursor *c, lode_file *f)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = c->ctx;
    model *t = f->state;
    lode_i_member *m = NULL;
    char *name = NULL;
    uint32_t ndim = 0, code = 0;
    uint64_t sizes[AXES] = { 0 };
    int64_t values = 1, bytes = 0;
    LODE_TRY(take_text(c, NAME, &name));
    LODE_TRY(lode_i_member_add(ctx, f, name, strlen(name), &m));
    m->in = lode_i_infile_ref(f->in);
    LODE_TRY(take32(c, &ndim));
    LODE_REQUIRE(ndim <= AXES, LODE_EFORMAT, "%s: tensor %s has %u axes; at most %d are known",
                 f->path, name, (unsigned)ndim, AXES);
    m->ndim = (int32_t)ndim;
    for (uint32_t k = 0; k < ndim; k++) {
        LODE_TRY(take64(c, &sizes[k]));
        LODE_REQUIRE(sizes[k] <= INT64_MAX && lode_i_mul(values, (int64_t)sizes[k], &values),
                     LODE_EFORMAT, "%s: tensor %s has more than 2^63-1 values", f->path, name);
    }
    for (uint32_t k = 0; k < ndim; k++) /* the first axis is the fastest, our last */
        m->shape[k] = (int64_t)sizes[ndim - 1 - k];
    LODE_TRY(take32(c, &code));
    LODE_TRY(take64(c, &m->offset));
    m->id = t->count;
    const lode_i_gguf_type *type = lode_i_gguf_find(code);
    t->type[t->count++] = type;
    if (!type) {
        LODE_TRY(lode_i_member_refuse(
            ctx, m, LODE_F32,
            "tensor %s has quantization %s (type %u), which is not read; those "
            "from Q2_K to Q8_0 are",
            name, lode_i_gguf_name(code), (unsigned)code));
        goto done;
    }
    m->dtype = type->dtype;
    LODE_REQUIRE(type->values == 1 || (ndim > 0 && sizes[0] % (uint64_t)type->values == 0),
                 LODE_EFORMAT,
                 "%s: tensor %s has rows of %" PRIu64 " values, and %s holds blocks of %d", f->path,
                 name, ndim ? sizes[0] : 1, type->name, type->values);
    LODE_REQUIRE(lode_i_mul(values / type->values, type->bytes, &bytes), LODE_EFORMAT,
                 "%s: tensor %s has more than 2^63-1 bytes", f->path, name);
    m->bytes = (uint64_t)bytes;
done:
    lode_i_free(name);
    return st;
}

static lode_status open_gguf(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    cursor c = { .ctx = ctx, .in = f->in, .size = lode_i_infile_size(f->in) };
    unsigned char magic[4] = { 0 };
    uint32_t version = 0;
    uint64_t tensors = 0, pairs = 0, alignment = 32;
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof(model), &f->state));
    model *t = f->state;
    LODE_TRY(lode_i_alloc(ctx, WINDOW, (void **)&c.window));
    LODE_TRY(take(&c, magic, 4));
    LODE_REQUIRE(sniff(magic, 4), LODE_EFORMAT, "%s does not begin with GGUF", f->path);
    LODE_TRY(take32(&c, &version));
    LODE_REQUIRE(version == 2 || version == 3, LODE_EUNSUPPORTED,
                 "%s is GGUF of version %u%s; 2 and 3 are read", f->path, (unsigned)version,
                 version > 0xffff ? " (or of the other byte order)" : "");
    LODE_TRY(take64(&c, &tensors));
    LODE_TRY(take64(&c, &pairs));
    LODE_REQUIRE(tensors <= c.size / 24 && pairs <= c.size / 13, LODE_EFORMAT,
                 "%s claims %" PRIu64 " tensors and %" PRIu64
                 " metadata, more than it has room for",
                 f->path, tensors, pairs);
    LODE_TRY(lode_i_new(ctx, (int64_t)tensors + 1, sizeof *t->type, (void **)&t->type));
    LODE_TRY(take_metadata(&c, pairs, f, &alignment));
    for (uint64_t i = 0; i < tensors; i++)
        LODE_TRY(take_tensor(&c, f));
    const uint64_t data = (c.at + alignment - 1) / alignment * alignment;
    for (int64_t i = 0; i < f->count; i++) {
        lode_i_member *m = &f->members[i];
        LODE_REQUIRE(m->kind == LODE_NONE || m->bytes == 0 ||
                         (data <= c.size && m->offset <= c.size - data &&
                          m->bytes <= c.size - data - m->offset),
                     LODE_EFORMAT,
                     "%s: tensor %s of %" PRIu64 " bytes at %" PRIu64
                     " does not lie in the file: it is damaged or cut off",
                     f->path, m->name, m->bytes, m->offset);
        m->offset = m->bytes ? m->offset + data : 0;
    }
done:
    lode_i_free(c.window);
    return st;
}

static void close_gguf(lode_file *f)
{
    model *t = f->state;
    if (t)
        lode_i_free(t->type);
    lode_i_free(t);
}

/* ---- values ---- */

/* Values start .. start+count-1 of a row whose blocks from start's on are here. */
static void decode_row(const lode_i_gguf_type *type, const uint8_t *blocks, int64_t start,
                       int64_t count, float *to)
{
    float values[LODE_I_GGUF_BLOCK];
    const int64_t size = type->values;
    for (int64_t at = start - start % size, end = start + count; at < end;
         at += size, blocks += type->bytes) {
        const int64_t from = lode_i_max(start, at), past = lode_i_min(end, at + size);
        if (past - from == size) {
            type->decode(blocks, to);
        } else {
            type->decode(blocks, values);
            memcpy(to, values + (from - at), (size_t)(past - from) * sizeof *to);
        }
        to += past - from;
    }
}

static lode_status read_gguf(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                             const int64_t *start, const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const lode_i_gguf_type *type = ((const model *)f->state)->type[m->id];
    if (!type->decode)
        return lode_i_dense_read(ctx, m, NULL, start, count, dst);
    /* The blocks as bytes, whose last axis is that much shorter; tiles go along the one before. */
    const int last = m->ndim - 1;
    lode_i_member raw = *m;
    int64_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 0 }, rows = 1;
    uint8_t *tile = NULL;
    float *to = dst;
    const int64_t first = start[last] / type->values;
    const int64_t blocks = lode_i_ceil_div(start[last] + count[last], type->values) - first;
    raw.dtype = LODE_U8;
    raw.shape[last] = m->shape[last] / type->values * type->bytes;
    for (int k = 0; k < last; k++) {
        from[k] = start[k], many[k] = k == last - 1 ? count[k] : 1;
        rows *= count[k];
    }
    from[last] = first * type->bytes, many[last] = blocks * type->bytes;
    if (rows == 0 || count[last] == 0)
        return LODE_OK;
    const int64_t step = lode_i_min(last > 0 ? count[last - 1] : 1,
                                    lode_i_max(1, TILE / many[last]));
    LODE_TRY(lode_i_new(ctx, step, (size_t)many[last], (void **)&tile));
    for (int64_t done = 0; done < rows;) {
        int64_t n = 1;
        if (last > 0) {
            n = lode_i_min(step, start[last - 1] + count[last - 1] - from[last - 1]);
            many[last - 1] = n;
        }
        LODE_TRY(lode_i_dense_read(ctx, &raw, NULL, from, many, tile));
        for (int64_t i = 0; i < n; i++, to += count[last])
            decode_row(type, tile + i * many[last], start[last], count[last], to);
        done += n;
        for (int k = last - 1, by = (int)n; k >= 0; k--, by = 1) {
            from[k] += by;
            if (from[k] < start[k] + count[k])
                break;
            from[k] = start[k];
        }
    }
done:
    lode_i_free(tile);
    return st;
}

const lode_i_format lode_i_format_gguf = {
    .name = "gguf",
    .many = true,
    .suffixes = ".gguf",
    .concurrent = true,
    .sniff = sniff,
    .open = open_gguf,
    .read = read_gguf,
    .close = close_gguf,
};
