/* safetensors: an 8-byte length, a JSON header, the tensors' bytes without holes. */
#include "io/io.h"

#include <math.h>
#include <string.h>

#include "array/scalar.h"

/* The reference implementation's own limit. */
#define HEADER_MAX UINT64_C(100000000)

static const struct {
    const char *name;
    lode_dtype dtype;
} types[] = {
    { "BOOL", LODE_BOOL }, { "U8", LODE_U8 },   { "I8", LODE_I8 },     { "I16", LODE_I16 },
    { "U16", LODE_U16 },   { "F16", LODE_F16 }, { "BF16", LODE_BF16 }, { "I32", LODE_I32 },
    { "U32", LODE_U32 },   { "F32", LODE_F32 }, { "F64", LODE_F64 },   { "I64", LODE_I64 },
    { "U64", LODE_U64 },   { "C64", LODE_C64 },
};

/* Numbers of 8 bits, told in wider types that hold each of them exactly: sign, exponent, fraction.
 * The fnuz kinds have one zero and, in place of the other, one NaN; fn has NaN only where all bits
 * are set; E8M0 is an exponent alone. */
static const struct {
    const char *name;
    lode_dtype dtype;
    int fraction, bias;
    enum { IEEE, FN, FNUZ, POWER } kind;
} bytes8[] = { { "F8_E4M3", LODE_F16, 3, 7, FN },
               { "F8_E5M2", LODE_F16, 2, 15, IEEE },
               { "F8_E4M3FNUZ", LODE_F16, 3, 8, FNUZ },
               { "F8_E5M2FNUZ", LODE_F16, 2, 16, FNUZ },
               { "F8_E8M0", LODE_F32, 0, 127, POWER } };
enum { BYTES8 = (int)(sizeof bytes8 / sizeof *bytes8) };

static float from_byte(int k, int b)
{
    const int f = bytes8[k].fraction, low = b & ((1 << f) - 1), high = (b & 127) >> f;
    const bool all = (b & 127) == 127;
    if (bytes8[k].kind == POWER)
        return b == 255 ? NAN : (float)ldexp(1, b - 127);
    if ((bytes8[k].kind == FNUZ && b == 128) || (bytes8[k].kind == FN && all))
        return NAN;
    float v = high ? (float)ldexp(low + (1 << f), high - bytes8[k].bias - f)
                   : (float)ldexp(low, 1 - bytes8[k].bias - f);
    if (bytes8[k].kind == IEEE && high == 127 >> f)
        v = low ? NAN : INFINITY;
    return b & 128 ? -v : v;
}

const char *lode_i_safetensors_type(lode_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype)
            return types[i].name;
    return NULL;
}

static bool sniff(const unsigned char *head, size_t size)
{
    return size > 8 && head[8] == '{' && lode_i_load(head, 8) <= HEADER_MAX;
}

static lode_status tensor(lode_ctx *ctx, lode_file *f, const char *name, const lode_json *o,
                          uint64_t data, lode_i_member **found)
{
    lode_i_member *m = NULL;
    const uint64_t size = lode_i_infile_size(f->in) - data;
    const char *type = lode_i_json_as_text(lode_i_json_get(o, "dtype"));
    const lode_json *shape = lode_i_json_get(o, "shape"),
                    *offsets = lode_i_json_get(o, "data_offsets");
    const int64_t ndim = lode_i_json_count(shape);
    int64_t from = 0, to = 0;
    size_t t = 0;
    LODE_FORWARD(lode_i_member_add(ctx, f, name, strlen(name), &m));
    *found = m;
    m->in = lode_i_infile_ref(f->in);
    if (!type || ndim < 0 || lode_i_json_count(offsets) != 2)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: tensor %s lacks dtype, shape or data_offsets",
                           f->path, name);
    if (ndim > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: tensor %s has %" PRId64 " axes; at most %d are read", f->path, name,
                           ndim, LODE_MAX_NDIM);
    m->ndim = (int32_t)ndim;
    for (int64_t k = 0; k < ndim; k++)
        if (!lode_i_json_as_i64(lode_i_json_at(shape, k), &m->shape[k]) || m->shape[k] < 0)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: axis %" PRId64 " of tensor %s is not a size",
                               f->path, k, name);
    if (!lode_i_json_as_i64(lode_i_json_at(offsets, 0), &from) ||
        !lode_i_json_as_i64(lode_i_json_at(offsets, 1), &to) || from < 0 || to < from ||
        ((uint64_t)to > size && !ctx->recover))
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: tensor %s lies at %" PRId64 " to %" PRId64 " of %" PRIu64
                           " bytes of data: the file is damaged or cut off; restore it, or give "
                           "--recover (recover in C and Python) to read the rest",
                           f->path, name, from, to, size);
    m->offset = data + (uint64_t)from;
    m->bytes = (uint64_t)(to - from);
    while (t < sizeof types / sizeof *types && strcmp(types[t].name, type) != 0)
        t++;
    lode_dtype stored = LODE_U8;
    for (int k = 0; k < BYTES8; k++)
        if (strcmp(bytes8[k].name, type) == 0)
            m->id = k + 1, m->dtype = bytes8[k].dtype;
    if (t == sizeof types / sizeof *types && !m->id)
        return lode_i_member_refuse(
            ctx, m, LODE_U8, "tensor %s has type %.40s, which Lode does not read", name, type);
    if (!m->id)
        m->dtype = stored = types[t].dtype;
    uint64_t bytes = 0;
    LODE_FORWARD(lode_i_shape_bytes(ctx, name, stored, m->ndim, m->shape, &bytes));
    if (bytes != m->bytes)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: tensor %s of %" PRIu64 " bytes lies on %" PRIu64,
                           f->path, name, bytes, m->bytes);
    return LODE_OK;
}

/* Tensors cover the data without holes or overlap. Sorted by a heap: qsort of the C library may
 * allocate. */
static lode_status check_cover(lode_ctx *ctx, lode_file *f, uint64_t data)
{
    lode_status st = LODE_OK;
    const lode_i_member **a = NULL;
    const int64_t n = f->count;
    uint64_t at = data;
    LODE_TRY(LODE_NEW(ctx, n, &a));
    for (int64_t i = 0; i < n; i++)
        a[i] = &f->members[i];
#define LATER(x, y)                                                                                \
    ((x)->offset > (y)->offset || ((x)->offset == (y)->offset && (x)->bytes > (y)->bytes))
    for (int64_t size = n, root = n / 2; size > 1;) {
        if (root > 0) {
            root--;
        } else {
            const lode_i_member *t = a[--size];
            a[size] = a[0], a[0] = t;
        }
        for (int64_t i = root, child; (child = 2 * i + 1) < size; i = child) {
            if (child + 1 < size && LATER(a[child + 1], a[child]))
                child++;
            if (!LATER(a[child], a[i]))
                break;
            const lode_i_member *t = a[i];
            a[i] = a[child], a[child] = t;
        }
    }
#undef LATER
    for (int64_t i = 0; i < n; i++) {
        LODE_REQUIRE(a[i]->offset == at, LODE_EFORMAT,
                     "%s: tensor %s %s at byte %" PRIu64 " of the data", f->path, a[i]->name,
                     a[i]->offset < at ? "overlaps another" : "leaves a hole before it",
                     a[i]->offset - data);
        at += a[i]->bytes;
    }
    /* what a file that is cut off lacks is found out when it is read */
    LODE_REQUIRE(at == lode_i_infile_size(f->in) || ctx->recover, LODE_EFORMAT,
                 "%s: %" PRIu64 " bytes at its end belong to no tensor", f->path,
                 lode_i_infile_size(f->in) - at);
done:
    lode_i_free(a);
    return st;
}

lode_status lode_i_safetensors_list(lode_ctx *ctx, lode_file *f, lode_json **header, char **text,
                                    uint64_t *size)
{
    lode_status st = LODE_OK;
    const uint64_t total = lode_i_infile_size(f->in);
    unsigned char first[8];
    uint64_t n = 0;
    lode_json *value = NULL;
    lode_i_member *m = NULL;

    LODE_REQUIRE(total >= sizeof first, LODE_EFORMAT,
                 "%s has %" PRIu64 " bytes, fewer than a header: it is cut off or of another kind",
                 f->path, total);
    LODE_TRY(lode_i_infile_read(ctx, f->in, 0, first, sizeof first));
    n = lode_i_load(first, 8);
    if (ctx->recover)
        LODE_TRY(lode_i_lode_mend(ctx, f, &n, text));
    LODE_REQUIRE(n <= total - 8 && n <= HEADER_MAX, LODE_EFORMAT,
                 "%s gives a header of %" PRIu64 " bytes, more than %s: it is cut off or of "
                 "another kind",
                 f->path, n, n > HEADER_MAX ? "the 100000000 that are accepted" : "it has");
    if (!*text) {
        LODE_TRY(lode_i_alloc(ctx, (size_t)n + 1, (void **)text));
        LODE_TRY(lode_i_infile_read(ctx, f->in, 8, *text, (size_t)n));
        (*text)[n] = '\0';
    }
    st = lode_i_json_parse(ctx, *text, (size_t)n, header);
    if (st == LODE_EFORMAT)
        lode_i_prefix(ctx, "%s: its header is damaged: ", f->path);
    LODE_TRY(st);
    LODE_REQUIRE(**text == '{' && lode_i_json_count(*header) >= 0, LODE_EFORMAT,
                 "%s: its header is no JSON object", f->path);
    const char *name = lode_i_json_next(*header, NULL, &value);
    for (; name; name = lode_i_json_next(*header, name, &value))
        if (strcmp(name, "__metadata__") != 0)
            LODE_TRY(tensor(ctx, f, name, value, 8 + n, &m));
    LODE_TRY(check_cover(ctx, f, 8 + n));
    *size = n;
done:
    return st;
}

static lode_status path_beside(lode_ctx *ctx, const char *path, const char *name, lode_text *t)
{
    const char *slash = strrchr(path, '/');
    t->size = 0;
    return lode_i_text_add(ctx, t, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name);
}

/* The tensors of an adapter are of no use without the file of words beside them, which says their
 * scales: it reads as one more member. */
static lode_status add_config(lode_ctx *ctx, lode_file *f)
{
    static const char name[] = "adapter_config.json";
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    lode_infile *in = NULL;
    lode_i_member *m = NULL;
    bool adapter = false;
    for (int64_t i = 0; i < f->count && !adapter; i++)
        adapter = strstr(f->members[i].name, ".lora_") != NULL;
    if (!adapter || lode_i_member_find(f, name))
        return LODE_OK;
    LODE_TRY(path_beside(ctx, f->path, name, &path));
    if (!lode_i_path_exists(path.text))
        goto done;
    LODE_TRY(lode_i_infile_open(ctx, path.text, &in));
    LODE_TRY(lode_i_member_add(ctx, f, name, strlen(name), &m));
    m->kind = LODE_TEXT, m->dtype = LODE_U8, m->ndim = 1;
    m->in = in, m->bytes = lode_i_infile_size(in), m->shape[0] = (int64_t)m->bytes;
    in = NULL;
done:
    lode_i_infile_close(in);
    lode_i_text_free(&path);
    return st;
}

static lode_status open_safetensors(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_json *header = NULL;
    char *text = NULL;
    uint64_t size = 0;
    (void)o;
    LODE_TRY(lode_i_safetensors_list(ctx, f, &header, &text, &size));
    const lode_json *meta = lode_i_json_get(header, "__metadata__");
    if (lode_i_json_get(meta, "lode"))
        LODE_TRY(lode_i_lode_describe(ctx, f, header, text, size));
    else if (lode_i_json_count(meta) > 0)
        LODE_TRY(lode_i_json_print(ctx, meta, 0, &f->head.meta.attributes));
    if (!lode_i_json_get(meta, "lode"))
        LODE_TRY(add_config(ctx, f));
done:
    lode_i_json_free(header);
    lode_i_free(text);
    return st;
}

/* Numbers of 8 bits are read into the end of the destination and told from its beginning on. */
static lode_status read_safetensors(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                                    const int64_t *start, const int64_t *count, void *dst)
{
    const int k = (int)m->id - 1;
    float values[256];
    lode_i_member raw = *m;
    int64_t n = 1;
    (void)f;
    if (k < 0)
        return lode_i_dense_read(ctx, m, NULL, start, count, dst);
    raw.dtype = LODE_U8;
    for (int i = 0; i < m->ndim; i++)
        n *= count[i];
    const size_t width = lode_dtype_size(m->dtype);
    const uint8_t *from = (uint8_t *)dst + (size_t)n * (width - 1);
    LODE_FORWARD(lode_i_dense_read(ctx, &raw, NULL, start, count, (void *)(uintptr_t)from));
    for (int b = 0; b < 256; b++)
        values[b] = from_byte(k, b);
    for (int64_t i = 0; i < n; i++) {
        const float v = values[from[i]];
        const uint16_t half = f16_from_f32(v);
        memcpy((uint8_t *)dst + (size_t)i * width, width == 2 ? (const void *)&half : &v, width);
    }
    return LODE_OK;
}

/* ---- words beside the tensors ---- */

/* What stands in the metadata: the attributes that are texts, such as "format": "pt". */
static lode_status add_metadata(lode_ctx *ctx, const lode_meta *meta, lode_json *header)
{
    lode_status st = LODE_OK;
    lode_json *given = NULL, *value = NULL, *kept = lode_i_json_object();
    if (!meta || !meta->attributes)
        goto done;
    LODE_TRY(lode_i_json_parse(ctx, meta->attributes, strlen(meta->attributes), &given));
    const char *name = lode_i_json_next(given, NULL, &value);
    for (; name; name = lode_i_json_next(given, name, &value))
        if (lode_i_json_as_text(value) && strcmp(name, "lode") != 0)
            LODE_TRY(
                lode_i_json_set(ctx, kept, name, lode_i_json_text(lode_i_json_as_text(value))));
    if (lode_i_json_count(kept) > 0) {
        lode_json *const all = kept;
        kept = NULL;
        LODE_TRY(lode_i_json_set(ctx, header, "__metadata__", all));
    }
done:
    lode_i_json_free(given);
    lode_i_json_free(kept);
    return st;
}

/* Whether a text is a file of its own beside the tensors: its name is that of one. */
static bool is_beside(const lode_i_item *item)
{
    return item->value.kind == LODE_TEXT && !strchr(item->name, '/') && *item->name != '.' &&
           (lode_i_has_suffix(item->name, ".json") || lode_i_has_suffix(item->name, ".csv"));
}

/* In two rounds, so that none is written where one is in the way. */
static lode_status write_beside(lode_ctx *ctx, const char *path, const lode_i_output *out,
                                bool force)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    lode_outfile *file = NULL;
    for (int round = force ? 1 : 0; round < 2; round++)
        for (int64_t i = 0; i < out->count; i++) {
            if (!is_beside(&out->items[i]))
                continue;
            const char *words = out->items[i].value.as.text;
            LODE_TRY(path_beside(ctx, path, out->items[i].name, &t));
            LODE_REQUIRE(round == 1 || !lode_i_path_exists(t.text), LODE_EEXIST,
                         "%s exists, which is written beside %s; --force replaces both", t.text,
                         path);
            if (round == 0)
                continue;
            LODE_TRY(lode_i_outfile_open(ctx, t.text, force, &file));
            LODE_TRY(lode_i_outfile_write(ctx, file, words, strlen(words)));
            LODE_TRY(lode_i_outfile_commit(ctx, &file));
        }
done:
    lode_i_outfile_abandon(&file);
    lode_i_text_free(&t);
    return st;
}

static lode_status write_tensors(lode_ctx *ctx, const char *path, const lode_i_output *out,
                                 bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensors t = { 0 };
    lode_json *header = NULL, *o = NULL;
    lode_outfile *file = NULL;
    char *text = NULL;
    uint64_t at = 0;

    for (int64_t i = 0; i < out->count; i++) {
        const lode_value v = out->items[i].value;
        lode_dtype dtype = v.kind == LODE_SCALAR ? v.as.scalar->dtype : LODE_F32;
        int32_t ndim = 0;
        int64_t shape[LODE_MAX_NDIM];
        if (v.kind != LODE_SCALAR)
            LODE_TRY(lode_i_dense_form(ctx, out->items[i].name, v, &dtype, &ndim, shape));
        LODE_REQUIRE(lode_i_safetensors_type(dtype), LODE_ETYPE,
                     "%s: safetensors has no type for %s; write .lode", out->items[i].name,
                     lode_dtype_name(dtype));
    }
    LODE_TRY(lode_i_flatten(ctx, out, false, &t));
    header = lode_i_json_object();
    LODE_TRY(add_metadata(ctx, out->meta, header));
    for (int64_t i = 0; i < t.count; i++) {
        lode_i_tensor *a = &t.at[i];
        const lode_value v = a->value;
        if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE) /* bf16 has a type here */
            LODE_TRY(lode_i_dense_form(ctx, a->name, v, &a->dtype, &a->ndim, a->shape));
        a->offset = at;
        at += a->bytes;
        LODE_TRY(lode_i_safetensors_entry(ctx, a, &o));
        lode_json *const given = o;
        o = NULL;
        LODE_TRY(lode_i_json_set(ctx, header, a->name, given));
    }
    LODE_TRY(lode_i_json_print(ctx, header, 0, &text));
    const size_t n = strlen(text), padded = (n + 8 + 63) / 64 * 64 - 8;
    unsigned char first[8];
    lode_i_store(first, padded, 8);
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, first, sizeof first));
    LODE_TRY(lode_i_outfile_write(ctx, file, text, n));
    for (size_t i = n; i < padded; i++)
        LODE_TRY(lode_i_outfile_write(ctx, file, " ", 1));
    for (int64_t i = 0; i < t.count; i++)
        LODE_TRY(lode_i_tensor_emit(ctx, &t.at[i], lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    lode_i_json_free(o);
    lode_i_json_free(header);
    lode_i_free(text);
    lode_i_tensors_free(&t);
    return st;
}

static lode_status write_safetensors(lode_ctx *ctx, const char *path, const lode_i_output *out,
                                     bool force)
{
    lode_status st = LODE_OK;
    lode_i_output tensors = *out;
    tensors.items = NULL, tensors.count = 0;
    LODE_TRY(LODE_NEW(ctx, out->count + 1, &tensors.items));
    for (int64_t i = 0; i < out->count; i++)
        if (!is_beside(&out->items[i]))
            tensors.items[tensors.count++] = out->items[i];
    LODE_TRY(write_beside(ctx, path, out, force));
    LODE_TRY(write_tensors(ctx, path, &tensors, force));
done:
    lode_i_free(tensors.items);
    return st;
}

lode_status lode_i_safetensors_entry(lode_ctx *ctx, const lode_i_tensor *t, lode_json **entry)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object(), *shape = lode_i_json_array(),
              *offsets = lode_i_json_array(), *given = NULL;
    LODE_TRY(lode_i_json_set(ctx, o, "dtype", lode_i_json_text(lode_i_safetensors_type(t->dtype))));
    for (int k = 0; k < t->ndim; k++)
        LODE_TRY(lode_i_json_push(ctx, shape, lode_i_json_i64(t->shape[k])));
    given = shape, shape = NULL;
    LODE_TRY(lode_i_json_set(ctx, o, "shape", given));
    LODE_TRY(lode_i_json_push(ctx, offsets, lode_i_json_i64((int64_t)t->offset)));
    LODE_TRY(lode_i_json_push(ctx, offsets, lode_i_json_i64((int64_t)(t->offset + t->bytes))));
    given = offsets, offsets = NULL;
    LODE_TRY(lode_i_json_set(ctx, o, "data_offsets", given));
    *entry = o;
    o = NULL;
done:
    lode_i_json_free(o);
    lode_i_json_free(shape);
    lode_i_json_free(offsets);
    return st;
}

const lode_i_format lode_i_format_safetensors = {
    .name = "safetensors",
    .suffixes = ".safetensors",
    .many = true,
    .sniff = sniff,
    .concurrent = true,
    .open = open_safetensors,
    .read = read_safetensors,
    .write = write_safetensors,
};
