/* Values that wait on disk: written to a scratch file, unlinked already, and read back as a source. */
#include "io/io.h"

#include <string.h>

typedef struct waiting {
    lode_i_member m; /* plain bytes of the scratch file */
} waiting;

static lode_status read_back(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    const waiting *w = s->data;
    return lode_i_dense_read(ctx, &w->m, NULL, start, count, dst);
}

static void close_waiting(void *data)
{
    waiting *w = data;
    lode_i_infile_close(w->m.in);
    lode_i_free(w);
}

lode_status lode_i_spill(lode_ctx *ctx, lode_value v, lode_source *out)
{
    lode_status st = LODE_OK;
    waiting *w = NULL;
    lode_outfile *file = NULL;
    static char name[] = "scratch file";
    LODE_TRY(lode_i_calloc(ctx, sizeof *w, (void **)&w));
    w->m.name = name;
    LODE_TRY(lode_i_dense_form(ctx, name, v, &w->m.dtype, &w->m.ndim, w->m.shape));
    LODE_TRY(lode_i_shape_bytes(ctx, name, w->m.dtype, w->m.ndim, w->m.shape, &w->m.bytes));
    LODE_TRY(lode_i_scratch_open(ctx, &file, &w->m.in));
    LODE_TRY(lode_i_emit(ctx, v, w->m.dtype, lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_pwrite(ctx, file, 0, NULL, 0)); /* nothing is held back */
    lode_source s = { .dtype = w->m.dtype,
                      .ndim = w->m.ndim,
                      .rewindable = true,
                      .concurrent = true,
                      .read = read_back,
                      .close = close_waiting,
                      .data = w };
    memcpy(s.shape, w->m.shape, sizeof s.shape);
    lode_source_close(out);
    *out = s;
    w = NULL;
done:
    lode_i_outfile_abandon(&file);
    if (w)
        close_waiting(w);
    return st;
}
