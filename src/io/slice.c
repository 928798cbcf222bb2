/* Slices as NumPy writes them, "0:10,:,5": their words, their ranges on an array, a source cut by them. */
#include "io/io.h"

#include <string.h>

static bool part_i64(const char *text, size_t size, bool *given, int64_t *v)
{
    char word[24];
    while (size > 0 && *text == ' ')
        text++, size--;
    while (size > 0 && text[size - 1] == ' ')
        size--;
    *given = size > 0;
    if (size >= sizeof word)
        return false;
    memcpy(word, text, size);
    word[size] = '\0';
    return size == 0 || lode_i_parse_i64(word, v);
}

lode_status lode_i_slice_parse(lode_ctx *ctx, const char *text, size_t size, lode_i_slice *s)
{
    const char *at = text, *const end = text + size;
    *s = (lode_i_slice){ .ellipsis = -1 };
    while (size > 0) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        const char *one = memchr(at, ':', (size_t)(stop - at));
        const char *two = one ? memchr(one + 1, ':', (size_t)(stop - one - 1)) : NULL;
        const int k = s->ndim;
        bool ok = true, given = false;
        if (k == LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_EUSAGE, "slice [%.*s] has more than %d parts", (int)size,
                               text, LODE_MAX_NDIM);
        s->step[k] = 1;
        const char *dots = at;
        while (dots < stop && *dots == ' ')
            dots++;
        if (stop - dots >= 3 && memcmp(dots, "...", 3) == 0 && s->ellipsis < 0) {
            ok = part_i64(dots + 3, (size_t)(stop - dots - 3), &given, &s->start[k]) && !given;
            s->ellipsis = k;
        } else if (!one) {
            ok = part_i64(at, (size_t)(stop - at), &given, &s->start[k]) && given;
            s->dropped[k] = true;
            s->ndim++;
        } else {
            ok = part_i64(at, (size_t)(one - at), &s->has_start[k], &s->start[k]) &&
                 part_i64(one + 1, (size_t)((two ? two : stop) - one - 1), &s->has_stop[k],
                          &s->stop[k]);
            if (two)
                ok = ok && part_i64(two + 1, (size_t)(stop - two - 1), &given, &s->step[k]);
            ok = ok && s->step[k] != 0;
            s->ndim++;
        }
        if (!ok)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "'%.*s' in slice [%.*s] is none of 5, 0:10, 0:10:2, : or ...",
                               (int)(stop - at), at, (int)size, text);
        if (!comma)
            break;
        at = comma + 1;
    }
    return LODE_OK;
}

/* An end of a range in 0..n (low..high when the step is negative), as Python's slice.indices. */
static int64_t clip(int64_t v, int64_t n, int64_t low, int64_t high)
{
    if (v < 0)
        v = v < -n ? low : v + n;
    return v < low ? low : v > high ? high : v;
}

lode_status lode_i_slice_resolve(lode_ctx *ctx, const lode_i_slice *s, int ndim,
                                 const int64_t *shape, lode_i_range *ranges)
{
    static const lode_i_slice everything = { .ellipsis = 0 };
    if (!s)
        s = &everything;
    const int gap = s->ellipsis < 0 ? s->ndim : s->ellipsis, hole = ndim - s->ndim;
    if (hole < 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "the slice has %d parts, the array %d axes",
                           (int)s->ndim, ndim);
    for (int i = 0; i < ndim; i++) {
        const int64_t n = shape[i];
        ranges[i] = (lode_i_range){ .start = 0, .stop = n, .step = 1 };
        if (i >= gap && i < gap + hole)
            continue;
        const int k = i < gap ? i : i - hole;
        if (s->dropped[k]) {
            const int64_t v = s->start[k];
            if (v < -n || v >= n)
                return lode_i_fail(
                    ctx, LODE_ESHAPE,
                    "index %" PRId64 " is outside axis %d, which has %" PRId64 " values", v, i, n);
            ranges[i].start = v < 0 ? v + n : v;
            ranges[i].stop = ranges[i].start + 1;
            ranges[i].dropped = true;
            continue;
        }
        const bool down = s->step[k] < 0;
        const int64_t low = down ? -1 : 0, high = down ? n - 1 : n;
        ranges[i].step = s->step[k];
        ranges[i].start = s->has_start[k] ? clip(s->start[k], n, low, high) : down ? high : 0;
        ranges[i].stop = s->has_stop[k] ? clip(s->stop[k], n, low, high) : down ? -1 : n;
    }
    return LODE_OK;
}

/* A slice of a source that it keeps open. */
typedef struct cut {
    lode_source whole, part;
} cut;

static lode_status cut_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                            const int64_t *count, void *dst)
{
    const cut *c = s->data;
    return c->part.read(ctx, &c->part, start, count, dst);
}

static void cut_close(void *data)
{
    cut *c = data;
    lode_source_close(&c->part);
    lode_source_close(&c->whole);
    lode_i_free(c);
}

lode_status lode_i_cut_source(lode_ctx *ctx, const lode_i_range *ranges, lode_source *s)
{
    lode_status st = LODE_OK;
    int64_t start[LODE_MAX_NDIM], stop[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    bool dropped[LODE_MAX_NDIM];
    cut *c = NULL;
    for (int k = 0; k < s->ndim; k++)
        start[k] = ranges[k].start, stop[k] = ranges[k].stop, step[k] = ranges[k].step,
        dropped[k] = ranges[k].dropped;
    LODE_TRY(lode_i_calloc(ctx, sizeof *c, (void **)&c));
    c->whole = *s;
    LODE_TRY(lode_i_source_slice(ctx, &c->whole, s->ndim, start, stop, step, dropped, &c->part));
    *s = c->part;
    s->read = cut_read, s->close = cut_close, s->data = c;
    c = NULL;
done:
    lode_i_free(c);
    return st;
}

lode_status lode_i_slice_source(lode_ctx *ctx, const char *text, size_t size, lode_source *s)
{
    lode_i_slice slice;
    lode_i_range ranges[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_slice_parse(ctx, text, size, &slice));
    LODE_FORWARD(lode_i_slice_resolve(ctx, &slice, s->ndim, s->shape, ranges));
    return lode_i_cut_source(ctx, ranges, s);
}
