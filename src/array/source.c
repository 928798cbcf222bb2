/* Sources: dense arrays read by hyper-rectangles. */
#include <assert.h>
#include <string.h>

#include "array/walk.h"

void lode_source_close(lode_source *s)
{
    if (!s)
        return;
    if (s->close)
        s->close(s->data);
    *s = (lode_source){ 0 };
}

static int64_t product(int ndim, const int64_t *shape)
{
    int64_t n = 1;
    for (int i = 0; i < ndim; i++)
        n *= shape[i];
    return n;
}

/* ---- over an array ---- */

static lode_status read_array(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                              const int64_t *count, void *dst)
{
    const lode_array *a = s->data;
    lode_array view = *a, to = lode_array_wrap(dst, a->dtype, a->ndim, count);
    view.owner = NULL;
    int64_t offset = 0;
    for (int i = 0; i < a->ndim; i++) {
        offset += start[i] * a->strides[i];
        view.shape[i] = count[i];
    }
    if (product(a->ndim, count) == 0)
        return LODE_OK;
    view.data = lode_i_at(a, offset);
    return lode_array_copy_into(ctx, &view, &to);
}

static void close_array(void *data)
{
    lode_array_free(data);
    lode_i_free(data);
}

lode_status lode_i_source_from_array(lode_ctx *ctx, const lode_array *a, lode_source *s)
{
    void *held = NULL;
    LODE_FORWARD(lode_i_alloc(ctx, sizeof *a, &held));
    *(lode_array *)held = lode_array_ref(a);
    lode_source made = { .dtype = a->dtype,
                         .ndim = a->ndim,
                         .rewindable = true,
                         .concurrent = true,
                         .read = read_array,
                         .close = close_array,
                         .data = held };
    memcpy(made.shape, a->shape, sizeof made.shape);
    lode_source_close(s);
    *s = made;
    return LODE_OK;
}

/* ---- reading ---- */

static lode_status check_rectangle(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                                   const int64_t *count)
{
    for (int i = 0; i < s->ndim; i++)
        if (start[i] < 0 || count[i] < 0 || start[i] > s->shape[i] ||
            count[i] > s->shape[i] - start[i])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "cannot read %" PRId64 " values from %" PRId64
                               " on axis %d, which has %" PRId64,
                               count[i], start[i], i, s->shape[i]);
    const int64_t block = lode_dtype_block(s->dtype);
    const int last = s->ndim - 1;
    if (block > 1 && last >= 0 && (start[last] % block || count[last] % block))
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "type %s is read along the last axis at multiples of %d values only",
                           lode_dtype_name(s->dtype), (int)block);
    return LODE_OK;
}

/* Converts while it reads, a few rows at a time, so that the stored form needs little room beside
 * the result. */
static lode_status read_converting(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                                   const int64_t *count, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array stored = { 0 };
    int64_t at[LODE_MAX_NDIM] = { 0 }, now[LODE_MAX_NDIM] = { 0 };
    int64_t rows = 1, step = 1;
    if (s->ndim > 0) {
        rows = count[0];
        const int64_t row = lode_i_max(product(s->ndim - 1, count + 1), 1);
        step = lode_i_min(lode_i_max((1 << 20) / row, 1), rows);
        if (s->chunk[0] > 0 && s->chunk[0] <= 4 * step) /* whole chunks are read once */
            step = lode_i_min(lode_i_ceil_div(step, s->chunk[0]) * s->chunk[0], rows);
        if (s->ndim == 1) /* packed blocks stay whole */
            step = lode_i_ceil_div(step, lode_dtype_block(s->dtype)) * lode_dtype_block(s->dtype);
        memcpy(at, start, (size_t)s->ndim * sizeof *at);
        memcpy(now, count, (size_t)s->ndim * sizeof *now);
        now[0] = step;
    }
    LODE_TRY(lode_array_new(ctx, s->dtype, s->ndim, now, &stored));
    for (int64_t i = 0; i < rows; i += step) {
        LODE_TRY(lode_i_cancelled(ctx));
        lode_array from = stored, into = *to;
        from.owner = into.owner = NULL;
        if (s->ndim > 0) {
            now[0] = lode_i_min(step, rows - i);
            at[0] = start[0] + i;
            from.shape[0] = into.shape[0] = now[0];
            into.data = lode_i_at(to, i * to->strides[0]);
        }
        LODE_TRY(s->read(ctx, s, at, now, from.data));
        LODE_TRY(lode_array_copy_into(ctx, &from, &into));
    }
done:
    lode_array_free(&stored);
    return st;
}

lode_status lode_i_source_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, lode_dtype dtype, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(check_rectangle(ctx, s, start, count));
    LODE_TRY(lode_array_new(ctx, dtype, s->ndim, count, &y));
    if (lode_array_size(&y) > 0) {
        if (dtype == s->dtype)
            LODE_TRY(s->read(ctx, s, start, count, y.data));
        else
            LODE_TRY(read_converting(ctx, s, start, count, &y));
    }
    lode_array_swap(out, &y);
done:
    lode_array_free(&y);
    return st;
}

lode_status lode_i_source_rows(lode_ctx *ctx, const lode_source *s, int64_t start, int64_t stop,
                               lode_dtype dtype, lode_array *out)
{
    int64_t from[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM];
    if (s->ndim == 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "a 0-dimensional source has no rows");
    if (start < 0 || stop < start || stop > s->shape[0])
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "rows %" PRId64 " to %" PRId64 " are outside a source of %" PRId64
                           " rows",
                           start, stop, s->shape[0]);
    memcpy(count, s->shape, sizeof count);
    from[0] = start;
    count[0] = stop - start;
    return lode_i_source_read(ctx, s, from, count, dtype, out);
}

/* Bytes of the whole as `dtype`; false when they do not fit in 63 bits. */
static bool whole_bytes(const lode_source *s, lode_dtype dtype, int64_t *bytes)
{
    int64_t n = 1;
    for (int i = 0; i < s->ndim; i++)
        if (!lode_i_mul(n, s->shape[i], &n))
            return false;
    return lode_i_mul(lode_i_ceil_div(n, lode_dtype_block(dtype)), (int64_t)lode_dtype_size(dtype),
                      bytes);
}

static lode_status load_as(lode_ctx *ctx, const lode_source *s, lode_dtype dtype, lode_array *out)
{
    const int64_t zero[LODE_MAX_NDIM] = { 0 };
    int64_t bytes = 0;
    const uint64_t left = lode_i_memory_left(ctx);
    if (whole_bytes(s, dtype, &bytes) && (uint64_t)bytes > left)
        return lode_i_fail(ctx, LODE_EBUDGET,
                           "loading the whole source takes %" PRId64 " bytes and %" PRIu64
                           " of the memory budget are left: --memory %" PRIu64 " would do",
                           bytes, left,
                           lode_ctx_memory_used(ctx) + (uint64_t)bytes + (UINT64_C(1) << 20));
    return lode_i_source_read(ctx, s, zero, s->shape, dtype, out);
}

lode_status lode_i_source_load(lode_ctx *ctx, const lode_source *s, lode_array *out)
{
    return load_as(ctx, s, s->dtype, out);
}

int64_t lode_i_source_slab(const lode_source *s, uint64_t bytes)
{
    if (s->ndim == 0 || s->shape[0] <= 1)
        return 1;
    uint64_t row = lode_dtype_size(s->dtype);
    const uint64_t block = (uint64_t)lode_dtype_block(s->dtype);
    for (int i = 1; i < s->ndim; i++)
        row = s->shape[i] > 0 && row > UINT64_MAX / (uint64_t)s->shape[i]
                  ? UINT64_MAX
                  : row * (uint64_t)s->shape[i];
    row /= block;
    const uint64_t fit = row ? bytes / row : (uint64_t)s->shape[0];
    int64_t rows = fit >= (uint64_t)s->shape[0] ? s->shape[0] : lode_i_max((int64_t)fit, 1);
    int64_t unit = s->ndim == 1 ? lode_i_max(s->chunk[0], (int64_t)block) : s->chunk[0];
    if (rows < s->shape[0] && unit > 1 && rows >= unit)
        rows -= rows % unit;
    return rows;
}

/* ---- a sub-rectangle with steps ---- */

typedef struct sliced {
    const lode_source *parent;
    int ndim; /* of the parent */
    int64_t start[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    bool dropped[LODE_MAX_NDIM];
} sliced;

/* Reads the stretch that covers the request, then picks. A long stretch of a stepped first axis
 * would take step times the room, so it goes in pieces of one wanted row. */
static lode_status read_covering(lode_ctx *ctx, const sliced *c, const int64_t *start,
                                 const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const lode_source *p = c->parent;
    lode_array cover = { 0 };
    lode_array to = lode_array_wrap(dst, p->dtype, c->ndim, count);
    int64_t from[LODE_MAX_NDIM], length[LODE_MAX_NDIM];
    bool plain = true;
    for (int i = 0; i < c->ndim; i++) {
        const int64_t first = c->start[i] + start[i] * c->step[i];
        const int64_t last = c->start[i] + (start[i] + count[i] - 1) * c->step[i];
        from[i] = lode_i_min(first, last);
        length[i] = lode_i_max(first, last) - from[i] + 1;
        plain = plain && (c->step[i] == 1 || count[i] == 1);
    }
    if (plain)
        return p->read(ctx, p, from, length, dst);
    const bool piecewise = c->step[0] != 1 && c->step[0] != -1 && count[0] > 1;
    const int64_t pieces = piecewise ? count[0] : 1;
    if (piecewise)
        length[0] = 1;
    LODE_TRY(lode_array_new(ctx, p->dtype, c->ndim, length, &cover));
    for (int64_t k = 0; k < pieces; k++) {
        lode_array view = cover, into = to;
        view.owner = NULL;
        if (piecewise) {
            from[0] = c->start[0] + (start[0] + k) * c->step[0];
            into.shape[0] = 1;
            into.data = lode_i_at(&to, k * to.strides[0]);
        }
        LODE_TRY(p->read(ctx, p, from, length, cover.data));
        int64_t offset = 0;
        for (int i = 0; i < c->ndim; i++) {
            view.shape[i] = into.shape[i];
            if (c->step[i] < 0)
                offset += (length[i] - 1) * cover.strides[i];
            view.strides[i] = cover.strides[i] * c->step[i];
        }
        view.data = lode_i_at(&cover, offset);
        LODE_TRY(lode_array_copy_into(ctx, &view, &into));
    }
done:
    lode_array_free(&cover);
    return st;
}

static lode_status read_sliced(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, void *dst)
{
    const sliced *c = s->data;
    int64_t from[LODE_MAX_NDIM], length[LODE_MAX_NDIM];
    for (int i = 0, k = 0; i < c->ndim; i++) {
        from[i] = c->dropped[i] ? 0 : start[k];
        length[i] = c->dropped[i] ? 1 : count[k];
        k += !c->dropped[i];
    }
    for (int k = 0; k < s->ndim; k++)
        if (count[k] == 0)
            return LODE_OK;
    return read_covering(ctx, c, from, length, dst);
}

lode_status lode_i_source_slice(lode_ctx *ctx, const lode_source *s, int ndim, const int64_t *start,
                                const int64_t *stop, const int64_t *step, const bool *dropped,
                                lode_source *out)
{
    lode_status st = LODE_OK;
    sliced *c = NULL;
    lode_source made = { .dtype = s->dtype,
                         .rewindable = s->rewindable,
                         .concurrent = s->concurrent,
                         .read = read_sliced,
                         .close = lode_i_free };
    const int64_t block = lode_dtype_block(s->dtype);
    LODE_REQUIRE(ndim == s->ndim, LODE_ESHAPE,
                 "a slice of %d axes does not fit a source of %d dimensions", ndim, (int)s->ndim);
    LODE_TRY(LODE_NEW(ctx, 1, &c));
    *c = (sliced){ .parent = s, .ndim = ndim };
    for (int i = 0; i < ndim; i++) {
        const bool drop = dropped && dropped[i];
        int64_t count = 0;
        LODE_TRY(lode_i_slice_count(ctx, i, s->shape[i], start[i], stop[i], step[i], &count));
        LODE_REQUIRE(!drop || count == 1, LODE_ESHAPE,
                     "axis %d cannot be dropped: the slice has %" PRId64 " values there, not 1", i,
                     count);
        LODE_REQUIRE(block == 1 || i < ndim - 1 ||
                         (step[i] == 1 && start[i] % block == 0 && count % block == 0 && !drop),
                     LODE_ESHAPE,
                     "type %s is cut along the last axis at multiples of %d values only",
                     lode_dtype_name(s->dtype), (int)block);
        c->start[i] = start[i];
        c->step[i] = count > 1 ? step[i] : 1;
        c->dropped[i] = drop;
        if (drop)
            continue;
        made.shape[made.ndim] = count;
        made.chunk[made.ndim] = c->step[i] == 1 ? s->chunk[i] : 0;
        made.ndim++;
    }
    made.data = c;
    c = NULL;
    lode_source_close(out);
    *out = made;
done:
    lode_i_free(c);
    return st;
}

/* ---- values ---- */

lode_status lode_i_as_source(lode_ctx *ctx, lode_value v, lode_source *s, bool *owned)
{
    if (v.kind == LODE_SOURCE) {
        *s = *v.as.source;
        *owned = false;
        return LODE_OK;
    }
    if (v.kind != LODE_ARRAY)
        return lode_i_fail(ctx, LODE_ETYPE, "a dense value is needed here, not %s",
                           lode_kind_name(v.kind));
    lode_source made = { 0 };
    LODE_FORWARD(lode_i_source_from_array(ctx, v.as.array, &made));
    *s = made;
    *owned = true;
    return LODE_OK;
}

lode_status lode_i_as_array(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_array *out)
{
    if (v.kind == LODE_ARRAY)
        return lode_i_as(ctx, v.as.array, dtype, out);
    if (v.kind == LODE_SOURCE)
        return load_as(ctx, v.as.source, dtype, out);
    return lode_i_fail(ctx, LODE_ETYPE, "a dense value is needed here, not %s",
                       lode_kind_name(v.kind));
}
