/* Raw values without a header, in C order and this machine's byte order; type and shape are told.
 */
#include "io/io.h"

#include <string.h>

static lode_status open_raw(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_i_member *m = NULL;
    const uint64_t size = lode_i_infile_size(f->in);
    int unknown = -1;
    uint64_t bytes = 0;
    if (!o->dtype)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "%s: raw files say nothing of themselves; give --dtype and --shape",
                           f->path);
    LODE_FORWARD(lode_i_member_add(ctx, f, "array", 5, &m));
    if (!lode_dtype_parse(o->dtype, &m->dtype))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "unknown type %s; f32, f64, i16, u8 and so on are known", o->dtype);
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
                           "%s has %" PRIu64 " bytes; that type and shape take %" PRIu64, f->path,
                           size, bytes);
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
