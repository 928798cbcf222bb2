/* Open files: members by name, lazily read, reference counted so that sources outlive the handle.
 */
#include "io/io.h"

#include <string.h>

/* ---- opening and closing ---- */

lode_file *lode_i_file_ref(lode_file *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void lode_file_close(lode_file **file)
{
    lode_file *f = file ? *file : NULL;
    if (!f)
        return;
    *file = NULL;
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    if (f->format && f->format->close)
        f->format->close(f);
    for (int64_t i = 0; i < f->count; i++)
        lode_i_member_clear(&f->members[i]);
    lode_i_free(f->members);
    lode_i_free(f->show);
    lode_i_free(f->slot);
    lode_i_free(f->path);
    lode_i_infile_close(f->in);
    lode_bundle_free(&f->head);
    lode_i_free(f);
}

static bool is_directory(lode_ctx *ctx, const char *path, lode_status *st)
{
    const size_t n = strlen(path);
    lode_text t = { 0 };
    bool found = n > 0 && path[n - 1] == '/';
    if (!found && n > 0) {
        *st = lode_i_text_add(ctx, &t, "%s/lode.json", path);
        found = *st >= 0 && lode_i_path_exists(t.text);
        lode_i_text_free(&t);
    }
    return found;
}

/* The first bytes; a gzip file is inflated first. Raw values that happen to begin as one are raw. */
static lode_status read_head(lode_ctx *ctx, lode_file *f, bool raw, unsigned char head[16],
                             size_t *size)
{
    for (bool inner = false;; inner = true) {
        const uint64_t all = lode_i_infile_size(f->in);
        *size = all < 16 ? (size_t)all : 16;
        LODE_FORWARD(lode_i_infile_read(ctx, f->in, 0, head, *size));
        if (inner || *size < 3 || memcmp(head, "\x1f\x8b\x08", 3) != 0 ||
            (raw && !lode_i_has_suffix(f->path, ".gz")))
            return LODE_OK;
        lode_infile *inflated = NULL;
        LODE_FORWARD(lode_i_unwrap(ctx, f->in, LODE_I_GZIP, 0, all, UINT64_MAX, &inflated));
        lode_i_infile_close(f->in);
        f->in = inflated;
    }
}

lode_status lode_file_open(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                           lode_file **file)
{
    lode_status st = LODE_OK;
    const lode_read_opts none = { 0 };
    lode_file *f = NULL;
    unsigned char head[16];
    size_t n = 0;

    *file = NULL;
    if (!o)
        o = &none;
    LODE_TRY(lode_i_calloc(ctx, sizeof *f, (void **)&f));
    atomic_init(&f->refs, 1);
    LODE_TRY(lode_i_strdup(ctx, path, &f->path));
    const lode_i_format *format = NULL;
    if (!o->format && is_directory(ctx, path, &st))
        format = &lode_i_format_dir;
    LODE_TRY(st);
    if (!format)
        LODE_TRY(lode_i_format_find(ctx, o->format, path, &format));
    LODE_REQUIRE(!format || !format->by_path || !lode_i_has_suffix(path, ".gz"), LODE_EUNSUPPORTED,
                 "%s: %s files are read by position only; unpack it with gunzip first", path,
                 format->name);
    if (!format || !format->by_path) {
        LODE_TRY(lode_i_infile_open(ctx, path, &f->in));
        LODE_TRY(read_head(ctx, f, format == &lode_i_format_raw, head, &n));
    }
    if (!format && o->dtype)
        format = &lode_i_format_raw;
    if (f->in && !o->format && format != &lode_i_format_raw &&
        !(format && format->sniff && format->sniff(head, n))) {
        /* The content decides where the suffix says nothing, or several formats share it. */
        const lode_i_format *told = lode_i_format_sniff(head, n, path);
        if (!format || (told && lode_i_format_claims(told, path)))
            format = told;
        LODE_REQUIRE(format, LODE_EFORMAT,
                     "%s has no known suffix and does not begin as any format that is read; name "
                     "one with --from",
                     path);
        if (format->by_path) {
            lode_i_infile_close(f->in);
            f->in = NULL;
        }
    }
    LODE_TRY(lode_i_format_present(ctx, format));
    LODE_REQUIRE(format->open, LODE_EUNSUPPORTED, "%s files are written only", format->name);
    f->format = format;
    LODE_TRY(format->open(ctx, f, o));
    LODE_TRY(lode_i_file_show(ctx, f));
    *file = f;
    f = NULL;
done:
    lode_file_close(&f);
    return st;
}

/* ---- what is in it ---- */

const char *lode_file_format(const lode_file *file)
{
    return file->format->name;
}
int64_t lode_file_count(const lode_file *file)
{
    return file->shown;
}

static lode_i_member *shown(const lode_file *f, int64_t i)
{
    return i >= 0 && i < f->shown ? &f->members[f->show[i]] : NULL;
}

const char *lode_file_name(const lode_file *file, int64_t i)
{
    const lode_i_member *m = shown(file, i);
    return m ? m->name : NULL;
}

static lode_status no_member(lode_ctx *ctx, const lode_file *f, int64_t i)
{
    return lode_i_fail(ctx, LODE_ENOENT, "%s has %" PRId64 " members, and no number %" PRId64,
                       f->path, f->shown, i);
}

lode_status lode_file_info(lode_ctx *ctx, const lode_file *file, int64_t i, lode_kind *kind,
                           lode_dtype *dtype, int *ndim, int64_t *shape)
{
    const lode_i_member *m = shown(file, i);
    if (!m)
        return no_member(ctx, file, i);
    if (kind)
        *kind = m->kind;
    if (dtype)
        *dtype = m->dtype;
    if (ndim)
        *ndim = m->ndim;
    if (shape)
        memcpy(shape, m->shape, (size_t)m->ndim * sizeof *shape);
    return LODE_OK;
}

/* ---- reading ---- */

typedef struct held {
    lode_file *file;
    lode_i_member m; /* borrows all that the file's has, but for what was unpacked */
    lode_infile *unpacked;
    void *memory;
} held;

static lode_status held_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    const held *h = s->data;
    if (!h->file->format->read)
        return lode_i_dense_read(ctx, &h->m, h->memory, start, count, dst);
    LODE_FORWARD(lode_i_member_check(ctx, &h->m, start, count));
    return h->file->format->read(ctx, h->file, &h->m, start, count, dst);
}

static void held_close(void *data)
{
    held *h = data;
    lode_file_close(&h->file);
    lode_i_infile_close(h->unpacked);
    lode_i_free(h->memory);
    lode_i_free(h);
}

/* The inflated values of a deflated member: the whole entry is read, and its CRC checked. */
static lode_status inflated(lode_ctx *ctx, const lode_i_member *m, void **bytes)
{
    uint32_t crc = 0;
    LODE_FORWARD(lode_i_zip_inflate(ctx, m->in, m->name, m->offset, m->deflated, m->skip, m->bytes,
                                    true, bytes, &crc));
    if (m->checked && crc != m->crc) {
        lode_i_free(*bytes);
        *bytes = NULL;
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: member %s is damaged: its CRC is %08x, not %08x",
                           lode_i_infile_path(m->in), m->name, (unsigned)crc, (unsigned)m->crc);
    }
    return LODE_OK;
}

lode_status lode_i_file_source_of(lode_ctx *ctx, lode_file *f, lode_i_member *m, lode_source *out)
{
    lode_status st = LODE_OK;
    held *h = NULL;
    lode_array a = { 0 };
    LODE_REQUIRE(m->kind != LODE_NONE, LODE_EUNSUPPORTED, "%s: %s", f->path,
                 m->note ? m->note : m->name);
    LODE_REQUIRE(m->kind == LODE_ARRAY || m->kind == LODE_SCALAR, LODE_ETYPE,
                 "%s: member %s is %s, not a dense array", f->path, m->name,
                 lode_kind_name(m->kind));
    if (f->format->load && !f->format->read) {
        LODE_TRY(f->format->load(ctx, f, m, &a, NULL));
        LODE_TRY(lode_i_source_from_array(ctx, &a, out));
        goto done;
    }
    LODE_TRY(lode_i_calloc(ctx, sizeof *h, (void **)&h));
    if (m->deflated)
        LODE_TRY(inflated(ctx, m, &h->memory));
    if (f->format->unpack)
        LODE_TRY(f->format->unpack(ctx, f, m, &h->unpacked));
    h->file = lode_i_file_ref(f);
    h->m = *m;
    if (h->unpacked)
        h->m.in = h->unpacked;
    lode_source s = { .dtype = m->dtype,
                      .ndim = m->ndim,
                      .rewindable = true,
                      .concurrent = !f->format->read || f->format->concurrent };
    memcpy(s.shape, m->shape, sizeof s.shape);
    if (m->chunk)
        memcpy(s.chunk, m->chunk, (size_t)m->ndim * sizeof *s.chunk);
    if (m->fortran && !h->memory)
        s.chunk[0] = m->shape[0]; /* runs go along the first axis */
    s.read = held_read, s.close = held_close, s.data = h;
    h = NULL;
    lode_source_close(out);
    *out = s;
done:
    if (h)
        held_close(h);
    lode_array_free(&a);
    return st;
}

lode_status lode_file_source(lode_ctx *ctx, lode_file *file, int64_t i, lode_source *out)
{
    lode_i_member *m = shown(file, i);
    return m ? lode_i_file_source_of(ctx, file, m, out) : no_member(ctx, file, i);
}

lode_status lode_i_member_array(lode_ctx *ctx, lode_file *f, lode_i_member *m, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    LODE_TRY(lode_i_file_source_of(ctx, f, m, &s));
    LODE_TRY(lode_i_source_load(ctx, &s, out));
done:
    lode_source_close(&s);
    return st;
}

lode_status lode_i_member_bytes(lode_ctx *ctx, const lode_i_member *m, void **bytes)
{
    lode_status st = LODE_OK;
    void *p = NULL;
    if (m->deflated)
        return inflated(ctx, m, bytes);
    /* As a vector of bytes, so that checksums and CRC are checked by the one reader. */
    lode_i_member raw = *m;
    const int64_t start = 0, count = (int64_t)m->bytes;
    raw.dtype = LODE_U8, raw.ndim = 1, raw.shape[0] = count, raw.swapped = raw.fortran = false;
    LODE_TRY(lode_i_alloc(ctx, (size_t)m->bytes, &p));
    LODE_TRY(lode_i_dense_read(ctx, &raw, NULL, &start, &count, p));
    *bytes = p;
    p = NULL;
done:
    lode_i_free(p);
    return st;
}

/* A text member as UTF-8 with a final zero. */
static lode_status member_text(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                               lode_text *t)
{
    lode_status st = LODE_OK;
    void *bytes = NULL;
    if (f->format->read) {
        const int64_t start = 0, count = (int64_t)m->bytes;
        LODE_TRY(lode_i_alloc(ctx, (size_t)m->bytes, &bytes));
        LODE_TRY(f->format->read(ctx, f, m, &start, &count, bytes));
    } else {
        LODE_TRY(lode_i_member_bytes(ctx, m, &bytes));
    }
    if (!m->wide) {
        const char *end = memchr(bytes, '\0', (size_t)m->bytes);
        LODE_TRY(lode_i_text_bytes(ctx, t, bytes,
                                   end ? (size_t)(end - (char *)bytes) : (size_t)m->bytes));
        goto done;
    }
    for (size_t i = 0; i + 4 <= m->bytes; i += 4) {
        const unsigned char *b = (const unsigned char *)bytes + i;
        uint32_t c = (uint32_t)lode_i_number(b, 4, m->swapped);
        char utf[4];
        size_t n = 1;
        if (c == 0)
            break;
        if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
            c = 0xFFFD;
        if (c < 0x80) {
            utf[0] = (char)c;
        } else if (c < 0x800) {
            utf[0] = (char)(0xC0 | c >> 6), utf[1] = (char)(0x80 | (c & 63)), n = 2;
        } else if (c < 0x10000) {
            utf[0] = (char)(0xE0 | c >> 12), utf[1] = (char)(0x80 | (c >> 6 & 63)),
            utf[2] = (char)(0x80 | (c & 63)), n = 3;
        } else {
            utf[0] = (char)(0xF0 | c >> 18), utf[1] = (char)(0x80 | (c >> 12 & 63));
            utf[2] = (char)(0x80 | (c >> 6 & 63)), utf[3] = (char)(0x80 | (c & 63)), n = 4;
        }
        LODE_TRY(lode_i_text_bytes(ctx, t, utf, n));
    }
    LODE_TRY(lode_i_text_bytes(ctx, t, "", 0));
done:
    lode_i_free(bytes);
    return st;
}

static lode_status add_scalar(lode_ctx *ctx, lode_file *f, lode_i_member *m, const char *name,
                              lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    LODE_TRY(lode_i_member_array(ctx, f, m, &a));
    if (m->ndim == 0 && m->dtype == LODE_I64)
        LODE_TRY(lode_bundle_add_i64(ctx, into, name, *(const int64_t *)a.data));
    else if (m->ndim == 0 && m->dtype == LODE_F64)
        LODE_TRY(lode_bundle_add_f64(ctx, into, name, *(const double *)a.data));
    else
        LODE_TRY(lode_bundle_add_array(ctx, into, name, &a));
done:
    lode_array_free(&a);
    return st;
}

static lode_status add_sparse(lode_ctx *ctx, lode_file *f, lode_i_member *m, const char *name,
                              lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_sparse s = { 0 };
    lode_array part[3] = { { 0 }, { 0 }, { 0 } };
    if (f->format->load) {
        const lode_status loaded = f->format->load(ctx, f, m, NULL, &s);
        if (loaded == LODE_EDOMAIN) /* of the entries, which know no file */
            lode_i_prefix(ctx, "%s: ", f->path);
        LODE_TRY(loaded);
    } else {
        for (int k = 0; k < 3; k++)
            if (m->part[k] >= 0)
                LODE_TRY(lode_i_member_array(ctx, f, &f->members[m->part[k]], &part[k]));
        if (m->paired)
            LODE_TRY(lode_i_sparse_pair(ctx, m->name, &part[0], &part[1], &part[1]));
        LODE_TRY(lode_i_sparse_from_parts(ctx, m->layout, m->csc, m->shape, m->ndim, &part[0],
                                          &part[1], &part[2], m->name, &s));
    }
    LODE_TRY(lode_bundle_add_sparse(ctx, into, name, &s));
done:
    lode_sparse_free(&s);
    for (int k = 0; k < 3; k++)
        lode_array_free(&part[k]);
    return st;
}

lode_status lode_i_nested_read(lode_ctx *ctx, lode_file *f, const lode_i_member *m, bool load,
                               lode_bundle *out)
{
    lode_status st = LODE_OK;
    lode_bundle b = { .certificate = m->inner->head.certificate };
    lode_text full = { 0 };
    LODE_TRY(lode_i_meta_copy(ctx, &m->inner->head.meta, &b.meta));
    for (int64_t i = 0; i < m->inner->count; i++) {
        full.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &full, "%s.%s", m->name, m->inner->name[i]));
        lode_i_member *one = lode_i_member_find(f, full.text);
        LODE_TRY(lode_i_file_add(ctx, f, one, load, m->inner->name[i], &b));
    }
    lode_bundle_swap(out, &b);
done:
    lode_bundle_free(&b);
    lode_i_text_free(&full);
    return st;
}

static lode_status add_bundle(lode_ctx *ctx, lode_file *f, const lode_i_member *m, bool load,
                              const char *name, lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_bundle b = { 0 };
    LODE_TRY(lode_i_nested_read(ctx, f, m, load, &b));
    LODE_TRY(lode_bundle_add_bundle(ctx, into, name, &b));
done:
    lode_bundle_free(&b);
    return st;
}

lode_status lode_i_file_add(lode_ctx *ctx, lode_file *f, lode_i_member *m, bool load,
                            const char *name, lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    lode_source s = { 0 };
    lode_text t = { 0 };
    switch (m->kind) {
    case LODE_BUNDLE: LODE_TRY(add_bundle(ctx, f, m, load, name, into)); break;
    case LODE_SPARSE: LODE_TRY(add_sparse(ctx, f, m, name, into)); break;
    case LODE_SCALAR: LODE_TRY(add_scalar(ctx, f, m, name, into)); break;
    case LODE_TEXT:
        LODE_TRY(member_text(ctx, f, m, &t));
        LODE_TRY(lode_bundle_add_text(ctx, into, name, t.text ? t.text : ""));
        break;
    default: /* an array, or what cannot be read: the next call says so */
        /* tables of an op are needed whole */
        if (load || (m->dtype == LODE_I64 && (m->owned || f->head.meta.op[0]))) {
            LODE_TRY(lode_i_member_array(ctx, f, m, &a));
            LODE_TRY(lode_bundle_add_array(ctx, into, name, &a));
        } else {
            LODE_TRY(lode_i_file_source_of(ctx, f, m, &s));
            LODE_TRY(lode_bundle_add_source(ctx, into, name, &s));
        }
    }
done:
    lode_array_free(&a);
    lode_source_close(&s);
    lode_i_text_free(&t);
    return st;
}

lode_status lode_file_meta(lode_ctx *ctx, const lode_file *file, lode_bundle *into)
{
    LODE_FORWARD(lode_i_meta_copy(ctx, &file->head.meta, &into->meta));
    into->certificate = file->head.certificate;
    return LODE_OK;
}

static lode_status read_all(lode_ctx *ctx, const char *path, const lode_read_opts *o, bool load,
                            bool framed, lode_bundle *out)
{
    lode_status st = LODE_OK;
    lode_file *f = NULL;
    lode_bundle b = { 0 };
    lode_i_begin(ctx, "read");
    LODE_TRY(lode_file_open(ctx, path, o, &f));
    for (int64_t i = 0; i < f->shown; i++) {
        LODE_TRY(lode_i_tick(ctx, i, f->shown));
        if (shown(f, i)->kind == LODE_NONE && f->format->mixed && f->shown > 1) {
            lode_i_log(ctx, "%s: %s: %s", f->path,
                       framed && f->format->frame ? "kept as it is" : "left out",
                       shown(f, i)->note);
            continue; /* such files hold much that is no array */
        }
        if (shown(f, i)->again && framed && f->format->frame) {
            lode_i_log(ctx, "%s: %s is another name of a member and stays one", f->path,
                       shown(f, i)->name);
            continue;
        }
        LODE_TRY(lode_i_file_add(ctx, f, shown(f, i), load, shown(f, i)->name, &b));
    }
    LODE_TRY(lode_file_meta(ctx, f, &b));
    if (framed)
        LODE_TRY(lode_i_frame_add(ctx, f, &b));
    lode_bundle_swap(out, &b);
    st = lode_i_with_losses(ctx, st);
done:
    lode_bundle_free(&b);
    lode_file_close(&f);
    lode_i_end(ctx);
    return st;
}

lode_status lode_read(lode_ctx *ctx, const char *path, const lode_read_opts *o, lode_bundle *out)
{
    return read_all(ctx, path, o, true, false, out);
}

lode_status lode_open(lode_ctx *ctx, const char *path, const lode_read_opts *o, lode_bundle *out)
{
    return read_all(ctx, path, o, false, false, out);
}

lode_status lode_open_whole(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                            lode_bundle *out)
{
    return read_all(ctx, path, o, false, true, out);
}
