/* Raw values without a header, in C order; type and shape are told. The type may carry a byte order
 * and the bytes to skip: f32, f32be, i16le@512. */
#include "io/io.h"

#include <string.h>

/* "f32", "f32be", "i16le@512". */
static lode_status read_type(lode_ctx *ctx, const lode_file *f, const char *text, lode_i_member *m)
{
    char word[40];
    const char *at = strchr(text, '@');
    size_t n = at ? (size_t)(at - text) : strlen(text);
    if (n < sizeof word) {
        memcpy(word, text, n);
        word[n] = '\0';
        if (n > 2 && (strcmp(word + n - 2, "be") == 0 || strcmp(word + n - 2, "le") == 0)) {
            m->swapped = word[n - 2] == 'b';
            word[n - 2] = '\0';
        }
    }
    if (n >= sizeof word || !lode_dtype_parse(word, &m->dtype))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "unknown type %.40s; f32, f64, i16, u8 and so on are known, with be "
                           "behind for the other byte order and @BYTES to skip a header: f32be@512",
                           text);
    if (m->swapped && lode_dtype_class(m->dtype) == 'q')
        return lode_i_fail(ctx, LODE_EUSAGE, "packed %s has no other byte order", word);
    if (at && !lode_i_parse_u64(at + 1, &m->offset))
        return lode_i_fail(ctx, LODE_EUSAGE, "'%.40s' in --dtype is no number of bytes", at + 1);
    if (m->offset > lode_i_infile_size(f->in))
        return lode_i_fail(ctx, LODE_EUSAGE, "%s has %" PRIu64 " bytes, and --dtype skips %" PRIu64,
                           f->path, lode_i_infile_size(f->in), m->offset);
    return LODE_OK;
}

static lode_status open_raw(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_i_member *m = NULL;
    int unknown = -1;
    uint64_t bytes = 0;
    if (!o->dtype)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "%s: raw files say nothing of themselves; give --dtype and --shape",
                           f->path);
    LODE_FORWARD(lode_i_member_add(ctx, f, "array", 5, &m));
    LODE_FORWARD(read_type(ctx, f, o->dtype, m));
    const uint64_t size = lode_i_infile_size(f->in) - m->offset;
    if (o->ndim < 0 || o->ndim > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_EUSAGE, "a shape of %d axes; at most %d", (int)o->ndim,
                           LODE_MAX_NDIM);
    m->ndim = o->ndim ? o->ndim : 1; /* without a shape: one vector */
    m->shape[0] = -1;
    if (o->ndim)
        memcpy(m->shape, o->shape, (size_t)o->ndim * sizeof *o->shape);
    const int64_t block = lode_dtype_block(m->dtype);
    for (int k = 0; k < m->ndim; k++)
        if (m->shape[k] == -1) {
            if (unknown >= 0)
                return lode_i_fail(ctx, LODE_EUSAGE, "the shape has more than one -1");
            unknown = k;
            m->shape[k] = k == m->ndim - 1 ? block : 1;
        }
    LODE_FORWARD(lode_i_shape_bytes(ctx, f->path, m->dtype, m->ndim, m->shape, &bytes));
    if (unknown >= 0 && bytes > 0) {
        m->shape[unknown] *= (int64_t)(size / bytes);
        bytes *= size / bytes;
    }
    if (bytes != size)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s has %" PRIu64 " bytes%s; that type and shape take %" PRIu64, f->path,
                           size, m->offset ? " behind its header" : "", bytes);
    m->bytes = bytes;
    m->in = lode_i_infile_ref(f->in);
    return LODE_OK;
}

static lode_status write_raw(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    lode_outfile *file = NULL;
    LODE_TRY(lode_i_choose(ctx, out, "raw", &t));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    return st;
}

const lode_i_format lode_i_format_raw = {
    .name = "raw",
    .suffixes = ".raw .bin .dat",
    .open = open_raw,
    .write = write_raw,
};
