/* .npz: a zip archive of .npy files; lode.json beside them says what they mean. The arrays that
 * scipy.sparse.save_npz writes are recognised as one sparse value, and written when that is all. */
#include "io/io.h"

#include <string.h>

enum { DESCRIPTION_MAX = 1 << 28 };

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 4 && head[0] == 'P' && head[1] == 'K' && (head[2] == 3 || head[2] == 5);
}

/* ---- reading ---- */

static lode_status inflated_member(lode_ctx *ctx, lode_infile *in, const lode_i_zip_entry *e,
                                   lode_i_member *m)
{
    lode_status st = LODE_OK;
    void *head = NULL;
    uint64_t whole = 0;
    uint32_t crc = 0;
    lode_i_npy_head h;
    const size_t n = e->size < 12 ? (size_t)e->size : 12;
    LODE_TRY(lode_i_zip_inflate(ctx, in, e->name, e->offset, e->packed, 0, n, false, &head, &crc));
    LODE_TRY(lode_i_npy_size(ctx, e->name, head, n, e->size, &whole));
    lode_i_free(head);
    head = NULL;
    LODE_TRY(
        lode_i_zip_inflate(ctx, in, e->name, e->offset, e->packed, 0, whole, false, &head, &crc));
    LODE_TRY(lode_i_npy_parse(ctx, e->name, head, (size_t)whole, &h));
    LODE_TRY(lode_i_npy_apply(ctx, in, e->name, &h, e->size, m));
    m->offset = e->offset, m->deflated = e->packed, m->skip = whole;
done:
    lode_i_free(head);
    return st;
}

static lode_status read_entry(lode_ctx *ctx, const lode_file *f, const lode_i_zip_entry *e,
                              void **bytes)
{
    lode_status st = LODE_OK;
    void *p = NULL;
    uint32_t crc = 0;
    LODE_REQUIRE(e->size <= DESCRIPTION_MAX, LODE_EFORMAT,
                 "%s: %s of %" PRIu64 " bytes is no description", f->path, e->name, e->size);
    if (e->method) {
        LODE_TRY(lode_i_zip_inflate(ctx, f->in, e->name, e->offset, e->packed, 0, e->size, true, &p,
                                    &crc));
    } else {
        LODE_TRY(lode_i_alloc(ctx, (size_t)e->size, &p));
        LODE_TRY(lode_i_infile_read(ctx, f->in, e->offset, p, (size_t)e->size));
        crc = lode_i_crc32(0, p, (size_t)e->size);
    }
    LODE_REQUIRE(crc == e->crc, LODE_EFORMAT, "%s: %s is damaged: its CRC is %08x, not %08x",
                 f->path, e->name, (unsigned)crc, (unsigned)e->crc);
    *bytes = p;
    p = NULL;
done:
    lode_i_free(p);
    return st;
}

static int64_t index_of(const lode_file *f, const char *name)
{
    const lode_i_member *m = lode_i_member_find(f, name);
    return m && !m->owned ? m - f->members : -1;
}

/* format, shape, data and indices, indptr (csr, csc) or row, col (coo). Anything else stays as it
 * is. */
static lode_status recognise_sparse(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    void *kind = NULL;
    lode_array shape = { 0 }, sizes = { 0 };
    lode_i_member *m = NULL;
    const int64_t format = index_of(f, "format"), size = index_of(f, "shape"),
                  data = index_of(f, "data");
    const int64_t row = index_of(f, "row"), col = index_of(f, "col");
    const int64_t indices = index_of(f, "indices"), indptr = index_of(f, "indptr");

    if (format < 0 || size < 0 || data < 0 || f->members[format].kind != LODE_TEXT ||
        f->members[size].ndim != 1 || f->members[size].shape[0] != 2 ||
        f->members[size].kind != LODE_ARRAY || f->members[format].bytes > 16)
        goto done;
    const lode_i_member *const text = &f->members[format];
    LODE_TRY(lode_i_member_bytes(ctx, text, &kind));
    char word[4] = { 0 };
    const size_t step = text->wide ? 4 : 1, first = text->wide && text->swapped ? 3 : 0;
    for (size_t k = 0; k < 3 && first + k * step < text->bytes; k++)
        word[k] = ((const char *)kind)[first + k * step];
    const bool coo = strcmp(word, "coo") == 0, csr = strcmp(word, "csr") == 0,
               csc = strcmp(word, "csc") == 0;
    if (!((csr || csc) && indices >= 0 && indptr >= 0) && !(coo && row >= 0 && col >= 0))
        goto done;
    LODE_TRY(lode_i_member_array(ctx, f, &f->members[size], &shape));
    LODE_TRY(lode_i_as(ctx, &shape, LODE_I64, &sizes));
    LODE_TRY(lode_i_member_add(ctx, f, "matrix", 6, &m));
    m->kind = LODE_SPARSE;
    m->layout = coo ? LODE_COO : LODE_CSR;
    m->csc = csc;
    m->paired = coo;
    m->ndim = 2;
    for (int k = 0; k < 2; k++) {
        m->shape[k] = ((const int64_t *)sizes.data)[k];
        LODE_REQUIRE(m->shape[k] >= 0, LODE_EFORMAT,
                     "%s: the sparse shape has %" PRId64 " in axis %d", f->path, m->shape[k], k);
    }
    m->part[0] = coo ? row : indptr, m->part[1] = coo ? col : indices, m->part[2] = data;
    m->dtype = f->members[data].dtype;
    const int64_t gone[5] = { format, size, data, m->part[0], m->part[1] };
    for (int k = 0; k < 5; k++)
        f->members[gone[k]].hidden = f->members[gone[k]].owned = true;
done:
    lode_i_free(kind);
    LODE_FREE(&shape, &sizes);
    return st;
}

static lode_status open_npz(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_zip zip = { 0 };
    const lode_i_zip_entry *description = NULL;
    void *text = NULL;
    lode_i_member *m = NULL;
    (void)o;
    LODE_TRY(lode_i_zip_list(ctx, f->in, &zip));
    for (int64_t i = 0; i < zip.count; i++) {
        const lode_i_zip_entry *e = &zip.at[i];
        const size_t n = strlen(e->name);
        if (strcmp(e->name, "lode.json") == 0)
            description = e;
        if (n < 5 || strcmp(e->name + n - 4, ".npy") != 0)
            continue; /* NumPy keeps other entries as bytes; they are no values */
        LODE_TRY(lode_i_member_add(ctx, f, e->name, n - 4, &m));
        if (e->method)
            LODE_TRY(inflated_member(ctx, f->in, e, m));
        else
            LODE_TRY(lode_i_npy_member(ctx, f->in, e->name, e->offset, e->size, m));
        m->checked = true, m->crc = e->crc;
    }
    LODE_TRY(recognise_sparse(ctx, f));
    if (description) {
        LODE_TRY(read_entry(ctx, f, description, &text));
        LODE_TRY(lode_i_undescribe(ctx, f, text, (size_t)description->size, false, false));
    }
done:
    lode_i_free(text);
    lode_i_zip_free(&zip);
    return st;
}

/* ---- writing ---- */

static lode_status add_npy(lode_ctx *ctx, lode_i_zip_writer *w, const char *name, const char *descr,
                           const lode_i_tensor *t)
{
    lode_status st = LODE_OK;
    lode_text head = { 0 }, file = { 0 };
    LODE_TRY(lode_i_text_add(ctx, &file, "%s.npy", name));
    LODE_TRY(lode_i_npy_print(ctx, descr, t->dtype, t->ndim, t->shape, &head));
    LODE_TRY(lode_i_zip_begin(ctx, w, file.text, head.size + t->bytes));
    LODE_TRY(lode_i_zip_sink(ctx, w, head.text, head.size));
    LODE_TRY(lode_i_tensor_emit(ctx, t, lode_i_zip_sink, w));
    LODE_TRY(lode_i_zip_end(ctx, w));
done:
    lode_i_text_free(&head);
    lode_i_text_free(&file);
    return st;
}

/* Names and contents as scipy.sparse.save_npz gives them. */
static lode_status add_scipy(lode_ctx *ctx, lode_i_zip_writer *w, const lode_sparse *s,
                             const lode_i_tensor *t)
{
    const bool csr = s->layout == LODE_CSR;
    const lode_i_tensor format = { .dtype = LODE_U8, .bytes = 3, .plain = csr ? "csr" : "coo" };
    lode_i_tensor shape = {
        .dtype = LODE_I64, .ndim = 1, .shape = { 2 }, .bytes = 2 * sizeof(int64_t)
    };
    memcpy(shape.small, s->shape, sizeof shape.small);
    if (csr) {
        LODE_FORWARD(add_npy(ctx, w, "indices", NULL, &t[1]));
        LODE_FORWARD(add_npy(ctx, w, "indptr", NULL, &t[0]));
    } else {
        for (int k = 0; k < 2; k++) {
            lode_array column = s->indices;
            column.ndim = 1;
            column.data = lode_i_at(&s->indices, k * s->indices.strides[1]);
            lode_i_tensor c = t[0];
            c.value = lode_from_array(&column), c.ndim = 1, c.bytes /= 2;
            LODE_FORWARD(add_npy(ctx, w, k ? "col" : "row", NULL, &c));
        }
    }
    LODE_FORWARD(add_npy(ctx, w, "format", "|S3", &format));
    LODE_FORWARD(add_npy(ctx, w, "shape", NULL, &shape));
    return add_npy(ctx, w, "data", NULL, &t[csr ? 2 : 1]);
}

static lode_status add_member(lode_ctx *ctx, lode_i_zip_writer *w, const lode_i_output *out,
                              lode_i_tensor *t)
{
    char descr[24];
    if (out->items[t->item].value.kind != LODE_TEXT)
        return add_npy(ctx, w, t->name, NULL, t);
    /* Text is a 0-d byte string; NumPy knows none of length 0. */
    lode_i_tensor text = *t;
    text.ndim = 0;
    if (text.bytes == 0)
        text.plain = "", text.bytes = 1;
    snprintf(descr, sizeof descr, "|S%" PRIu64, text.bytes);
    return add_npy(ctx, w, t->name, descr, &text);
}

lode_status lode_i_npz_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force,
                             uint64_t limit)
{
    lode_status st = LODE_OK;
    lode_i_tensors t = { 0 };
    lode_i_zip_writer w = { .limit = limit };
    char *text = NULL;
    const lode_value first = out->count ? out->items[0].value : lode_none();
    /* SciPy's form has no place for what a result carries with it. */
    const bool plain = !out->meta ||
                       (!out->meta->op[0] && !out->meta->attributes && !out->meta->made);
    const bool lone = out->count == 1 && plain && first.kind == LODE_SPARSE &&
                      first.as.sparse->ndim == 2;

    LODE_TRY(lode_i_flatten(ctx, out, false, &t));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &w.out));
    if (lone)
        LODE_TRY(add_scipy(ctx, &w, first.as.sparse, t.at));
    for (int64_t i = 0; i < t.count && !lone; i++)
        LODE_TRY(add_member(ctx, &w, out, &t.at[i]));
    if (!lone)
        LODE_TRY(lode_i_describe(ctx, out, &t, &text));
    if (text) {
        LODE_TRY(lode_i_zip_begin(ctx, &w, "lode.json", strlen(text)));
        LODE_TRY(lode_i_zip_sink(ctx, &w, text, strlen(text)));
        LODE_TRY(lode_i_zip_end(ctx, &w));
    }
    LODE_TRY(lode_i_zip_finish(ctx, &w));
    LODE_TRY(lode_i_outfile_commit(ctx, &w.out));
done:
    lode_i_outfile_abandon(&w.out);
    lode_i_zip_writer_free(&w);
    lode_i_tensors_free(&t);
    lode_i_free(text);
    return st;
}

static lode_status write_npz(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return lode_i_npz_write(ctx, path, out, force, UINT32_MAX);
}

const lode_i_format lode_i_format_npz = {
    .name = "npz",
    .suffixes = ".npz",
    .many = true,
    .results = true,
    .sniff = sniff,
    .open = open_npz,
    .write = write_npz,
};
