/* NumPy's .npy, versions 1 to 3: magic, header length, a Python dictionary, raw values. */
#include "io/io.h"

#include <string.h>

static const unsigned char magic[6] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };
/* A header of 32 axes is under 1 KiB; the rest is room for padding by other writers. */
enum { HEAD_MAX = 1 << 16 };

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= sizeof magic && memcmp(head, magic, sizeof magic) == 0;
}

lode_status lode_i_npy_size(lode_ctx *ctx, const char *what, const unsigned char *head, size_t size,
                            uint64_t available, uint64_t *whole)
{
    if (size < 10 || !sniff(head, size))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s does not begin as a .npy file", what);
    const unsigned version = head[6];
    if (version < 1 || version > 3)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has .npy version %u; versions 1 to 3 are known",
                           what, version);
    uint64_t n = lode_i_load(head + 8, 2), fixed = 10;
    if (version > 1) {
        if (size < 12)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s ends inside its .npy header", what);
        n = lode_i_load(head + 8, 4), fixed = 12;
    }
    if (n > HEAD_MAX || n + fixed > available)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s gives a header of %" PRIu64 " bytes, more than the %s", what, n,
                           n > HEAD_MAX ? "65536 that are accepted" : "file holds");
    *whole = n + fixed;
    return LODE_OK;
}

/* ---- the dictionary: a small reader of Python literals ---- */

typedef struct reader {
    const char *at, *end;
} reader;

static void space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}
static bool take(reader *r, char c)
{
    space(r);
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}
static bool word(reader *r, const char *w)
{
    const size_t n = strlen(w);
    space(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, w, n) != 0)
        return false;
    r->at += n;
    return true;
}
static bool quoted(reader *r, char *text, size_t size)
{
    space(r);
    if (r->at >= r->end || (*r->at != '\'' && *r->at != '"'))
        return false;
    const char quote = *r->at++;
    size_t n = 0;
    while (r->at < r->end && *r->at != quote) {
        if (n + 1 >= size || *r->at == '\\')
            return false;
        text[n++] = *r->at++;
    }
    if (r->at >= r->end)
        return false;
    r->at++;
    text[n] = '\0';
    return true;
}
static bool number(reader *r, int64_t *v)
{
    space(r);
    const char *first = r->at;
    *v = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        if (!lode_i_mul(*v, 10, v) || !lode_i_add(*v, *r->at - '0', v))
            return false;
        r->at++;
    }
    if (r->at == first)
        return false;
    if (r->at < r->end && *r->at == 'L') /* written by Python 2 */
        r->at++;
    return true;
}

/* (3, 4), (3,), (). */
static lode_status shape_of(lode_ctx *ctx, const char *what, reader *r, lode_i_npy_head *h)
{
    if (!take(r, '('))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: the shape in the header is not a tuple", what);
    h->ndim = 0;
    while (!take(r, ')')) {
        int64_t n = 0;
        if (!number(r, &n))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: axis %d of the shape is not a size of at most 2^63-1", what,
                               (int)h->ndim);
        if (h->ndim == LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s has more than %d axes", what, LODE_MAX_NDIM);
        h->shape[h->ndim++] = n;
        if (take(r, ','))
            continue;
        if (!take(r, ')'))
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: the shape in the header does not end", what);
        break;
    }
    return LODE_OK;
}

/* '<f8', '|b1', '>c16', '|S3': fills dtype, swapped, text or refused. */
static lode_status descr_of(lode_ctx *ctx, const char *what, const char *d, lode_i_npy_head *h)
{
    static const struct {
        char kind;
        int64_t size;
        lode_dtype dtype;
    } known[] = {
        { 'b', 1, LODE_BOOL }, { '?', 0, LODE_BOOL }, { '?', 1, LODE_BOOL }, { 'i', 1, LODE_I8 },
        { 'i', 2, LODE_I16 },  { 'i', 4, LODE_I32 },  { 'i', 8, LODE_I64 },  { 'u', 1, LODE_U8 },
        { 'u', 2, LODE_U16 },  { 'u', 4, LODE_U32 },  { 'u', 8, LODE_U64 },  { 'f', 2, LODE_F16 },
        { 'f', 4, LODE_F32 },  { 'f', 8, LODE_F64 },  { 'c', 8, LODE_C64 },  { 'c', 16, LODE_C128 },
    };
    const char *s = d;
    char order = '|';
    int64_t size = 0;
    if (*s && strchr("<>|=", *s))
        order = *s++;
    const char kind = *s ? *s++ : '\0';
    if (*s && (!lode_i_parse_i64(s, &size) || size < 0))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has type '%s', which is not a NumPy type", what,
                           d);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].kind == kind && known[i].size == size) {
            h->dtype = known[i].dtype;
            h->swapped = order == '>' && lode_dtype_size(h->dtype) > 1;
            return LODE_OK;
        }
    if ((kind == 'S' || kind == 'U') && h->ndim == 0 && size <= INT32_MAX) {
        h->text = true;
        h->wide = kind == 'U';
        h->swapped = h->wide && order == '>';
        h->dtype = LODE_U8;
        h->bytes = (uint64_t)size * (h->wide ? 4U : 1U);
        return LODE_OK;
    }
    if (!kind || !strchr("SUOVMmfciubat", kind))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has type '%s', which is not a NumPy type", what,
                           d);
    snprintf(h->refused, sizeof h->refused, "values of NumPy type '%.40s'%s", d,
             kind == 'O' ? " (Python objects)" : "");
    return LODE_OK;
}

lode_status lode_i_npy_parse(lode_ctx *ctx, const char *what, const unsigned char *head,
                             size_t size, lode_i_npy_head *h)
{
    uint64_t whole = 0;
    char descr[64] = "", key[32];
    bool has_descr = false, has_order = false, has_shape = false, compound = false;
    *h = (lode_i_npy_head){ 0 };
    LODE_FORWARD(lode_i_npy_size(ctx, what, head, size, size, &whole));
    const size_t fixed = head[6] > 1 ? 12 : 10;
    reader r = { (const char *)head + fixed, (const char *)head + whole };
    h->size = whole;
    if (!take(&r, '{'))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: the .npy header is not a dictionary", what);
    while (!take(&r, '}')) {
        bool *seen = NULL;
        if (!quoted(&r, key, sizeof key) || !take(&r, ':'))
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: the .npy header breaks off at byte %zu",
                               what, (size_t)(r.at - (const char *)head));
        if (strcmp(key, "descr") == 0) {
            seen = &has_descr;
            space(&r);
            if (r.at < r.end && *r.at == '[') {
                /* Record types are lists that may nest: pass over them, brackets counted. */
                int depth = 0;
                compound = true;
                do {
                    depth += *r.at == '[' || *r.at == '('   ? 1
                             : *r.at == ']' || *r.at == ')' ? -1
                                                            : 0;
                    r.at++;
                } while (r.at < r.end && depth > 0);
            } else if (!quoted(&r, descr, sizeof descr)) {
                return lode_i_fail(ctx, LODE_EFORMAT, "%s: the type in the .npy header is not text",
                                   what);
            }
        } else if (strcmp(key, "fortran_order") == 0) {
            seen = &has_order;
            h->fortran = word(&r, "True");
            if (!h->fortran && !word(&r, "False"))
                return lode_i_fail(ctx, LODE_EFORMAT, "%s: fortran_order is neither True nor False",
                                   what);
        } else if (strcmp(key, "shape") == 0) {
            seen = &has_shape;
            LODE_FORWARD(shape_of(ctx, what, &r, h));
        }
        if (!seen || *seen)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: the .npy header has '%s' %s", what, key,
                               seen ? "twice" : "in it, which no version defines");
        *seen = true;
        if (!take(&r, ',')) {
            if (take(&r, '}'))
                break;
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: the .npy header breaks off at byte %zu",
                               what, (size_t)(r.at - (const char *)head));
        }
    }
    if (!has_descr || !has_order || !has_shape)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: the .npy header lacks %s", what,
                           !has_descr   ? "descr"
                           : !has_order ? "fortran_order"
                                        : "shape");
    if (compound) {
        snprintf(h->refused, sizeof h->refused, "records of several NumPy types");
        return LODE_OK;
    }
    LODE_FORWARD(descr_of(ctx, what, descr, h));
    if (h->text || h->refused[0])
        return LODE_OK;
    return lode_i_shape_bytes(ctx, what, h->dtype, h->ndim, h->shape, &h->bytes);
}

static const char *descr_for(lode_dtype dtype)
{
    switch (dtype) {
    case LODE_BOOL: return "|b1";
    case LODE_I8: return "|i1";
    case LODE_I16: return "<i2";
    case LODE_I32: return "<i4";
    case LODE_I64: return "<i8";
    case LODE_U8: return "|u1";
    case LODE_U16: return "<u2";
    case LODE_U32: return "<u4";
    case LODE_U64: return "<u8";
    case LODE_F16: return "<f2";
    case LODE_F32: return "<f4";
    case LODE_F64: return "<f8";
    case LODE_C64: return "<c8";
    case LODE_C128: return "<c16";
    default: return NULL;
    }
}

lode_status lode_i_npy_print(lode_ctx *ctx, const char *descr, lode_dtype dtype, int ndim,
                             const int64_t *shape, lode_text *t)
{
    lode_status st = LODE_OK;
    lode_text d = { 0 };
    if (!descr)
        descr = descr_for(dtype);
    LODE_REQUIRE(descr, LODE_ETYPE, ".npy has no type for %s; cast to f32 first",
                 lode_dtype_name(dtype));
    LODE_TRY(lode_i_text_add(ctx, &d, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr));
    for (int k = 0; k < ndim; k++)
        LODE_TRY(lode_i_text_add(ctx, &d, k ? ", %" PRId64 : "%" PRId64, shape[k]));
    LODE_TRY(lode_i_text_add(ctx, &d, ndim == 1 ? ",), }" : "), }"));
    /* Values begin at a multiple of 64 bytes; the header ends in a newline. 32 axes stay under
     * 2^16. */
    const size_t whole = (10 + d.size + 1 + 63) / 64 * 64;
    while (d.size + 11 < whole)
        LODE_TRY(lode_i_text_bytes(ctx, &d, " ", 1));
    LODE_TRY(lode_i_text_bytes(ctx, &d, "\n", 1));
    char first[10] = { [sizeof magic] = 1 }; /* version 1.0 */
    memcpy(first, magic, sizeof magic);
    lode_i_store(first + 8, d.size, 2);
    LODE_TRY(lode_i_text_bytes(ctx, t, first, sizeof first));
    LODE_TRY(lode_i_text_bytes(ctx, t, d.text, d.size));
done:
    lode_i_text_free(&d);
    return st;
}

lode_status lode_i_npy_member(lode_ctx *ctx, lode_infile *in, const char *what, uint64_t offset,
                              uint64_t size, lode_i_member *m)
{
    lode_status st = LODE_OK;
    unsigned char first[12] = { 0 };
    void *head = NULL;
    uint64_t whole = 0;
    lode_i_npy_head h;

    const size_t n = size < sizeof first ? (size_t)size : sizeof first;
    LODE_TRY(lode_i_infile_read(ctx, in, offset, first, n));
    LODE_TRY(lode_i_npy_size(ctx, what, first, n, size, &whole));
    LODE_TRY(lode_i_alloc(ctx, (size_t)whole, &head));
    LODE_TRY(lode_i_infile_read(ctx, in, offset, head, (size_t)whole));
    LODE_TRY(lode_i_npy_parse(ctx, what, head, (size_t)whole, &h));
    LODE_TRY(lode_i_npy_apply(ctx, in, what, &h, size, m));
    m->offset = offset + whole;
    m->crc_head = lode_i_crc32(0, head, (size_t)whole);
done:
    lode_i_free(head);
    return st;
}

lode_status lode_i_npy_apply(lode_ctx *ctx, lode_infile *in, const char *what,
                             const lode_i_npy_head *h, uint64_t size, lode_i_member *m)
{
    m->dtype = h->dtype;
    m->ndim = h->ndim;
    memcpy(m->shape, h->shape, sizeof m->shape);
    m->in = lode_i_infile_ref(in);
    if (h->refused[0])
        return lode_i_member_refuse(ctx, m, LODE_U8, "%s holds %s, which Lode does not read", what,
                                    h->refused);
    if (h->bytes != size - h->size)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: its header says %" PRIu64 " bytes of values, but %" PRIu64
                           " follow it",
                           what, h->bytes, size - h->size);
    m->bytes = h->bytes;
    m->fortran = h->fortran && h->ndim > 1;
    m->swapped = h->swapped;
    if (h->text)
        m->kind = LODE_TEXT, m->wide = h->wide;
    return LODE_OK;
}

static lode_status open_npy(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_i_member *m = NULL;
    (void)o;
    LODE_FORWARD(lode_i_member_add(ctx, f, "array", 5, &m));
    return lode_i_npy_member(ctx, f->in, f->path, 0, lode_i_infile_size(f->in), m);
}

static lode_status write_npy(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    lode_outfile *file = NULL;
    lode_text head = { 0 };

    LODE_TRY(lode_i_choose(ctx, out, "npy", &t));
    if (t.dtype == LODE_BF16) {
        /* NumPy has no bf16, and every bf16 is an f32. */
        lode_i_log(ctx, "%s: written as f32, which holds every bf16 exactly", t.name);
        t.dtype = LODE_F32;
    }
    LODE_TRY(lode_i_npy_print(ctx, NULL, t.dtype, t.ndim, t.shape, &head));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, head.text, head.size));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    lode_i_text_free(&head);
    return st;
}

const lode_i_format lode_i_format_npy = {
    .name = "npy",
    .suffixes = ".npy",
    .sniff = sniff,
    .open = open_npy,
    .write = write_npy,
};
