/* Dense values whose axes stand in reverse in a file, first axis fastest, as Fortran and MATLAB keep
 * them: turned on their way out and on their way in. */
#include "io/io.h"

#include <string.h>

enum { PIECE = 64 << 20, READ = 4 << 20 };

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
    lode_array whole = { 0 };
    uint64_t row = 1;
    LODE_TRY(lode_i_calloc(ctx, sizeof *t, (void **)&t));
    if (v.kind == LODE_SOURCE && !v.as.source->rewindable) { /* a stream is kept whole */
        LODE_TRY(lode_i_source_load(ctx, v.as.source, &whole));
        v = lode_from_array(&whole);
    }
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
    lode_array_free(&whole);
    return st;
}

lode_status lode_i_reversed_read(lode_ctx *ctx, const lode_i_member *m, const int64_t *start,
                                 const int64_t *count, int64_t grain, lode_i_box_read read,
                                 void *data, void *dst)
{
    lode_status st = LODE_OK;
    const int n = m->ndim, last = n - 1;
    const size_t size = lode_dtype_size(m->dtype);
    int64_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM], each = 1;
    void *piece = NULL;
    if (n < 2) /* in reverse is as it is */
        return read(ctx, data, start, count, dst);
    for (int k = 0; k < n; k++) {
        from[k] = start[last - k], many[k] = count[last - k];
        if (count[k] == 0)
            return LODE_OK;
    }
    for (int k = 0; k < last; k++)
        LODE_REQUIRE(lode_i_mul(each, count[k], &each), LODE_ESHAPE,
                     "%s: that much is not read at once", m->name);
    const int64_t step = lode_i_min(count[last],
                                    lode_i_max(grain, lode_i_max(1, READ / (int64_t)size / each)));
    LODE_TRY(lode_i_new(ctx, step * each, size, &piece));
    lode_array to = lode_array_wrap(dst, m->dtype, n, count);
    for (int64_t j = 0; j < count[last]; j += step) {
        from[0] = start[last] + j, many[0] = lode_i_min(step, count[last] - j);
        LODE_TRY(read(ctx, data, from, many, piece));
        lode_array view = lode_array_wrap(piece, m->dtype, n, count), into = to;
        view.shape[last] = into.shape[last] = many[0];
        view.strides[0] = 1;
        for (int k = 1; k < n; k++)
            view.strides[k] = view.strides[k - 1] * view.shape[k - 1];
        into.data = lode_i_at(&to, j);
        LODE_TRY(lode_array_copy_into(ctx, &view, &into));
    }
done:
    lode_i_free(piece);
    return st;
}
