/* A dense value with its axes in reverse, so that its bytes in C order are the value's own, first
 * axis fastest, as files of Fortran and MATLAB keep them. */
#include "io/io.h"

#include <string.h>

enum { PIECE = 64 << 20 };

typedef struct turned {
    lode_source from; /* closed when it was made for this */
    bool owned;
} turned;

static lode_status read_turned(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const turned *t = s->data;
    int64_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    int axes[LODE_MAX_NDIM];
    lode_array have = { 0 }, view = { 0 }, to = lode_array_wrap(dst, s->dtype, s->ndim, count);
    for (int k = 0; k < s->ndim; k++) {
        from[k] = start[s->ndim - 1 - k], many[k] = count[s->ndim - 1 - k];
        axes[k] = s->ndim - 1 - k;
    }
    LODE_TRY(lode_i_source_read(ctx, &t->from, from, many, s->dtype, &have));
    LODE_TRY(lode_array_permute(ctx, &have, axes, &view));
    LODE_TRY(lode_array_copy_into(ctx, &view, &to));
done:
    LODE_FREE(&have, &view);
    return st;
}

static void close_turned(void *data)
{
    turned *t = data;
    if (t->owned)
        lode_source_close(&t->from);
    lode_i_free(t);
}

lode_status lode_i_reversed(lode_ctx *ctx, lode_value v, lode_source *out)
{
    lode_status st = LODE_OK;
    turned *t = NULL;
    uint64_t row = 1;
    LODE_TRY(lode_i_calloc(ctx, sizeof *t, (void **)&t));
    LODE_TRY(lode_i_as_source(ctx, v, &t->from, &t->owned));
    const int n = t->from.ndim;
    lode_source s = { .dtype = t->from.dtype,
                      .ndim = n,
                      .rewindable = true,
                      .read = read_turned,
                      .close = close_turned,
                      .data = t };
    row = lode_dtype_size(s.dtype);
    for (int k = 0; k < n; k++) {
        s.shape[k] = t->from.shape[n - 1 - k], s.chunk[k] = t->from.chunk[n - 1 - k];
        row *= k ? (uint64_t)s.shape[k] : 1;
    }
    /* What is far apart in the value is read together: few passes over it. */
    if (n > 0 && v.kind == LODE_SOURCE && row > 0)
        s.chunk[0] = lode_i_max(s.chunk[0], lode_i_min(s.shape[0], (int64_t)(PIECE / row)));
    t = NULL;
    *out = s;
done:
    lode_i_free(t);
    return st;
}
