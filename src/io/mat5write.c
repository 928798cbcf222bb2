/* Writing of MATLAB files of level 5: each variable one element, deflated (version 7) or not
 * (version 6). The values go out column by column; complex ones as real parts, then imaginary. */
#include "io/mat5.h"

#include <string.h>

typedef struct writer {
    lode_outfile *file;
    bool deflates;
    lode_i_gzout packed; /* of the variable being written */
    /* of complex values: which half goes out; width of a half */
    size_t half, width;
} writer;

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static lode_status put(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    writer *w = data;
    return w->deflates ? lode_i_gzout_write(ctx, &w->packed, bytes, size)
                       : lode_i_outfile_write(ctx, w->file, bytes, size);
}

static lode_status put_tag(lode_ctx *ctx, writer *w, uint32_t type, uint64_t size)
{
    unsigned char tag[8];
    lode_i_store(tag, type, 4), lode_i_store(tag + 4, size, 4);
    return put(ctx, w, tag, sizeof tag);
}

static lode_status put_padding(lode_ctx *ctx, writer *w, uint64_t size)
{
    static const unsigned char zeros[8];
    return put(ctx, w, zeros, (size_t)(padded(size) - size));
}

static lode_status put_element(lode_ctx *ctx, writer *w, uint32_t type, const void *bytes,
                               uint64_t size)
{
    LODE_FORWARD(put_tag(ctx, w, type, size));
    LODE_FORWARD(put(ctx, w, bytes, (size_t)size));
    return put_padding(ctx, w, size);
}

/* Letters, digits and _, a letter first, at most 63. */
static void make_name(const char *from, char name[64])
{
    size_t n = 0;
    for (; *from && n < 63; from++) {
        const bool letter = (*from >= 'a' && *from <= 'z') || (*from >= 'A' && *from <= 'Z');
        const bool digit = *from >= '0' && *from <= '9';
        if (n == 0 && !letter)
            name[n++] = 'x';
        if (n < 63)
            name[n++] = letter || digit ? *from : '_';
    }
    if (n == 0)
        name[n++] = 'x';
    name[n] = '\0';
}

/* The tag of the matrix, its flags, sizes and name; parts: bytes of the elements that follow. */
static lode_status put_head(lode_ctx *ctx, writer *w, const char *name, uint32_t flags,
                            uint32_t room, int ndim, const int64_t *shape, uint64_t parts)
{
    unsigned char word[8], sizes[4 * (LODE_MAX_NDIM + 2)];
    const uint64_t whole = 16 + 8 + padded(4 * (uint64_t)ndim) + 8 + padded(strlen(name)) + parts;
    for (int k = 0; k < ndim; k++) {
        if (shape[k] > INT32_MAX)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s has %" PRId64 " values along axis %d, and MATLAB 5 files hold "
                               "2^31-1; write .npy or .h5",
                               name, shape[k], k);
        lode_i_store(sizes + 4 * k, (uint64_t)shape[k], 4);
    }
    if (whole > UINT32_MAX - 8)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%s takes %" PRIu64
                           " bytes, and a variable of a MATLAB 5 file less than "
                           "2^32; write .npy or .h5",
                           name, whole);
    lode_i_store(word, flags, 4), lode_i_store(word + 4, room, 4);
    LODE_FORWARD(put_tag(ctx, w, MI_MATRIX, whole));
    LODE_FORWARD(put_element(ctx, w, MI_UINT32, word, 8));
    LODE_FORWARD(put_element(ctx, w, MI_INT32, sizes, 4 * (uint64_t)ndim));
    return put_element(ctx, w, MI_INT8, name, strlen(name));
}

/* One half of complex values. */
static lode_status put_half(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    writer *w = data;
    unsigned char piece[4096];
    const unsigned char *p = (const unsigned char *)bytes + w->half * w->width;
    size_t n = 0;
    for (size_t i = 0; i < size; i += 2 * w->width, p += 2 * w->width) {
        memcpy(piece + n, p, w->width);
        n += w->width;
        if (n == sizeof piece || i + 2 * w->width >= size) {
            LODE_FORWARD(put(ctx, w, piece, n));
            n = 0;
        }
    }
    return LODE_OK;
}

static lode_status put_dense(lode_ctx *ctx, writer *w, const char *name, lode_value v)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_dtype dtype = LODE_F64;
    int32_t ndim = 0;
    int64_t shape[LODE_MAX_NDIM + 2], count = 1;
    uint32_t mi = 0, mx = 0;
    LODE_TRY(lode_i_dense_form(ctx, name, v, &dtype, &ndim, shape));
    LODE_REQUIRE(lode_dtype_class(dtype) != 'q', LODE_ETYPE,
                 "%s: MATLAB files do not hold packed %s; cast to f32 first", name,
                 lode_dtype_name(dtype));
    if (dtype == LODE_F16 || dtype == LODE_BF16)
        dtype = LODE_F32;
    const bool complex = lode_i_is_complex(dtype);
    lode_i_mat5_of(dtype, &mi, &mx);
    for (; ndim < 2; ndim++) /* MATLAB has nothing below two axes: vectors are columns */
        shape[ndim] = 1;
    for (int k = 0; k < ndim; k++)
        LODE_REQUIRE(lode_i_mul(count, shape[k], &count), LODE_ESHAPE, "%s is too large", name);
    w->width = complex ? lode_dtype_size(dtype) / 2 : lode_dtype_size(dtype);
    int64_t signed_bytes = 0;
    LODE_REQUIRE(lode_i_mul(count, (int64_t)w->width, &signed_bytes) &&
                     signed_bytes <= INT64_MAX / 4,
                 LODE_ESHAPE, "%s is too large for a MATLAB file; write .npy", name);
    const uint64_t bytes = (uint64_t)signed_bytes;
    LODE_TRY(put_head(ctx, w, name,
                      mx | (complex ? MX_COMPLEX : 0) | (dtype == LODE_BOOL ? MX_LOGICAL : 0), 0,
                      ndim, shape, (8 + padded(bytes)) * (complex ? 2 : 1)));
    LODE_TRY(lode_i_reversed(ctx, v, &s));
    for (w->half = 0; w->half < (complex ? 2U : 1U); w->half++) {
        LODE_TRY(put_tag(ctx, w, mi, bytes));
        LODE_TRY(lode_i_emit(ctx, lode_from_source(&s), dtype, complex ? put_half : put, w));
        LODE_TRY(put_padding(ctx, w, bytes));
    }
done:
    lode_source_close(&s);
    return st;
}

/* By columns, from rows: entries of a row follow one another, so those of a column stay in order. */
static lode_status put_sparse(lode_ctx *ctx, writer *w, const char *name, const lode_sparse *given)
{
    lode_status st = LODE_OK;
    lode_sparse s = { 0 };
    lode_array values = { 0 };
    int32_t *ends = NULL, *rows = NULL;
    double *parts[2] = { NULL, NULL };
    LODE_REQUIRE(given->ndim == 2, LODE_ESHAPE,
                 "%s: MATLAB has sparse matrices only, and this has %d axes; write .tns or .lode",
                 name, (int)given->ndim);
    LODE_REQUIRE(lode_sparse_nnz(given) < INT32_MAX && given->shape[1] < INT32_MAX, LODE_ESHAPE,
                 "%s has %" PRId64 " entries in %" PRId64
                 " columns, and MATLAB 5 files hold 2^31-2",
                 name, lode_sparse_nnz(given), given->shape[1]);
    LODE_TRY(lode_sparse_to_csr(ctx, given, &s));
    const bool complex = lode_i_is_complex(s.values.dtype);
    const int64_t nnz = lode_sparse_nnz(&s), cols = s.shape[1];
    LODE_TRY(lode_i_as(ctx, &s.values, complex ? LODE_C128 : LODE_F64, &values));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(cols + 1) * sizeof *ends, (void **)&ends));
    LODE_TRY(lode_i_alloc(ctx, (size_t)nnz * sizeof *rows + 8, (void **)&rows));
    for (int k = 0; k < (complex ? 2 : 1); k++)
        LODE_TRY(lode_i_alloc(ctx, (size_t)nnz * sizeof(double) + 8, (void **)&parts[k]));
    const int64_t *start = s.indptr.data, *col = s.indices.data;
    const double *v = values.data;
    for (int64_t i = 0; i < nnz; i++)
        ends[col[i] + 1]++;
    for (int64_t j = 0; j < cols; j++)
        ends[j + 1] += ends[j];
    for (int64_t i = 0; i < s.shape[0]; i++)
        for (int64_t k = start[i]; k < start[i + 1]; k++) {
            const int32_t at = ends[col[k]]++; /* now where the column begins, then where it ends */
            rows[at] = (int32_t)i;
            parts[0][at] = v[complex ? 2 * k : k];
            if (complex)
                parts[1][at] = v[2 * k + 1];
        }
    for (int64_t j = cols; j > 0; j--)
        ends[j] = ends[j - 1];
    ends[0] = 0;
    const uint64_t n = (uint64_t)nnz;
    LODE_TRY(put_head(ctx, w, name, MX_SPARSE | (complex ? MX_COMPLEX : 0),
                      (uint32_t)(nnz ? nnz : 1), 2, s.shape,
                      8 + padded(4 * n) + 8 + padded(4 * (uint64_t)(cols + 1)) +
                          (8 + 8 * n) * (complex ? 2 : 1)));
    LODE_TRY(put_element(ctx, w, MI_INT32, rows, 4 * n));
    LODE_TRY(put_element(ctx, w, MI_INT32, ends, 4 * (uint64_t)(cols + 1)));
    for (int k = 0; k < (complex ? 2 : 1); k++)
        LODE_TRY(put_element(ctx, w, MI_DOUBLE, parts[k], 8 * n));
done:
    lode_i_free(ends);
    lode_i_free(rows);
    lode_i_free(parts[0]);
    lode_i_free(parts[1]);
    LODE_FREE(&s, &values);
    return st;
}

/* A row of UTF-16; what is no UTF-8 becomes U+FFFD. */
static lode_status put_text(lode_ctx *ctx, writer *w, const char *name, const char *text)
{
    lode_status st = LODE_OK;
    const size_t size = strlen(text);
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    uint16_t *units = NULL;
    int64_t shape[2] = { 1, 0 };
    LODE_TRY(lode_i_new(ctx, (int64_t)size + 1, sizeof *units, (void **)&units));
    while (p < end) {
        const int more = *p < 0x80 ? 0 : *p < 0xc0 ? -1 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        uint32_t c = more < 0 ? 0xfffd : more ? *p & (0x3fU >> more) : *p;
        p++;
        for (int i = 0; i < more; i++, p++) {
            if (p == end || (*p & 0xc0) != 0x80) {
                c = 0xfffd;
                break;
            }
            c = c << 6 | (*p & 0x3f);
        }
        if (c >= 0x10000 && c <= 0x10ffff) {
            units[shape[1]++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            units[shape[1]++] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            units[shape[1]++] = c > 0xffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : (uint16_t)c;
        }
    }
    shape[0] = shape[1] ? 1 : 0;
    const uint64_t bytes = 2 * (uint64_t)shape[1];
    LODE_TRY(put_head(ctx, w, name, MX_CHAR, 0, 2, shape, 8 + padded(bytes)));
    LODE_TRY(put_element(ctx, w, MI_UINT16, units, bytes));
done:
    lode_i_free(units);
    return st;
}

static lode_status put_value(lode_ctx *ctx, writer *w, const char *name, lode_value v)
{
    lode_array a = { 0 };
    const lode_scalar *s = v.as.scalar;
    switch (v.kind) {
    case LODE_ARRAY:
    case LODE_SOURCE: return put_dense(ctx, w, name, v);
    case LODE_SPARSE: return put_sparse(ctx, w, name, v.as.sparse);
    case LODE_TEXT: return put_text(ctx, w, name, v.as.text);
    case LODE_SCALAR:
        a = lode_array_wrap(
            (void *)(uintptr_t)(s->dtype == LODE_I64 ? (const void *)&s->i : (const void *)&s->re),
            s->dtype, 0, NULL);
        return put_dense(ctx, w, name, lode_from_array(&a));
    default:
        return lode_i_fail(ctx, LODE_ETYPE, "%s is a %s, which no file holds", name,
                           lode_kind_name(v.kind));
    }
}

/* The tag of a deflated element waits for its size. */
static lode_status put_variable(lode_ctx *ctx, writer *w, const char *name, lode_value v)
{
    lode_status st = LODE_OK;
    const uint64_t at = lode_i_outfile_tell(w->file);
    unsigned char tag[8] = { MI_COMPRESSED };
    if (!w->deflates)
        return put_value(ctx, w, name, v);
    LODE_TRY(lode_i_outfile_write(ctx, w->file, tag, sizeof tag));
    LODE_TRY(lode_i_gzout_over(ctx, w->file, LODE_I_ZLIB, &w->packed));
    LODE_TRY(put_value(ctx, w, name, v));
    LODE_TRY(lode_i_gzout_finish(ctx, &w->packed));
    const uint64_t size = lode_i_outfile_tell(w->file) - at - sizeof tag;
    LODE_REQUIRE(size <= UINT32_MAX, LODE_ESHAPE,
                 "%s deflates to %" PRIu64 " bytes, and MATLAB 5 files hold 2^32-1; write .npy",
                 name, size);
    lode_i_store(tag + 4, size, 4);
    LODE_TRY(lode_i_outfile_pwrite(ctx, w->file, at, tag, sizeof tag));
done:
    w->packed.file = NULL; /* borrowed */
    lode_i_gzout_abandon(&w->packed);
    return st;
}

static lode_status write_mat(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force,
                             bool deflates)
{
    lode_status st = LODE_OK;
    writer w = { .deflates = deflates };
    unsigned char head[128] = "MATLAB 5.0 MAT-file, written by Lode";
    char(*names)[64] = NULL;
    memset(head + strlen((char *)head), ' ', 116 - strlen((char *)head));
    memset(head + 116, 0, 8);
    memcpy(head + 124, "\x00\x01IM", 4);
    LODE_REQUIRE(out->count > 0, LODE_EUSAGE, "there is nothing to write");
    LODE_TRY(lode_i_new(ctx, out->count, sizeof *names, (void **)&names));
    for (int64_t i = 0; i < out->count; i++) {
        make_name(out->items[i].name, names[i]);
        for (int64_t j = 0; j < i; j++)
            LODE_REQUIRE(strcmp(names[i], names[j]) != 0, LODE_EUSAGE,
                         "%s and %s would both be variable %s in MATLAB; rename one",
                         out->items[j].name, out->items[i].name, names[i]);
    }
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &w.file));
    LODE_TRY(lode_i_outfile_write(ctx, w.file, head, sizeof head));
    for (int64_t i = 0; i < out->count; i++)
        LODE_TRY(put_variable(ctx, &w, names[i], out->items[i].value));
    LODE_TRY(lode_i_outfile_commit(ctx, &w.file));
done:
    lode_i_outfile_abandon(&w.file);
    lode_i_free(names);
    return st;
}

lode_status lode_i_mat5_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_mat(ctx, path, out, force, true);
}

lode_status lode_i_mat6_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    return write_mat(ctx, path, out, force, false);
}
