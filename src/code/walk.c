/* Blocks of a tensor and the walk over their rows: where each symbol's coded neighbours lie. */
#include "code/model.h"

void code_grid_make(int ndim, const int64_t *shape, code_grid *g)
{
    int64_t stride = 1;
    *g = (code_grid){ 0 };
    for (int k = 0; k < ndim; k++)
        if (shape[k] != 1)
            g->shape[g->ndim++] = shape[k];
    if (g->ndim == 0)
        g->shape[g->ndim++] = 1;
    while (g->ndim > CODE_JOINED) { /* borders would outgrow the chunks */
        int at = 0;
        for (int k = 1; k < g->ndim - 1; k++)
            if (g->shape[k] * g->shape[k + 1] < g->shape[at] * g->shape[at + 1])
                at = k;
        g->shape[at] *= g->shape[at + 1];
        g->ndim--;
        memmove(g->shape + at + 1, g->shape + at + 2,
                (size_t)(g->ndim - at - 1) * sizeof *g->shape);
    }
    for (int k = g->ndim - 1; k >= 0; k--) {
        g->stride[k] = stride;
        stride *= g->shape[k];
        g->side[k] = g->shape[k];
        g->parts[k] = 1;
    }
    g->blocks = stride > 0;
    if (!g->blocks)
        return;
    for (;;) { /* cut the longest side in two, the first of equals, until a block fits a chunk */
        int64_t size = 1;
        int longest = 0;
        for (int k = 0; k < g->ndim; k++) {
            size = size > CODE_CHUNK ? size : size * g->side[k];
            longest = g->side[k] > g->side[longest] ? k : longest;
        }
        if (size <= CODE_CHUNK)
            break;
        g->parts[longest] = lode_i_ceil_div(g->shape[longest],
                                            lode_i_ceil_div(g->side[longest], 2));
        g->side[longest] = lode_i_ceil_div(g->shape[longest], g->parts[longest]);
    }
    for (int k = 0; k < g->ndim; k++) {
        g->parts[k] = lode_i_ceil_div(g->shape[k], g->side[k]);
        g->blocks *= g->parts[k];
    }
}

int64_t code_grid_block(const code_grid *g, int64_t b, int64_t *start, int64_t *count)
{
    int64_t first = 0;
    for (int k = g->ndim - 1; k >= 0; k--) {
        start[k] = b % g->parts[k] * g->side[k];
        count[k] = lode_i_min(g->side[k], g->shape[k] - start[k]);
        first += start[k] * g->stride[k];
        b /= g->parts[k];
    }
    return first;
}

/* Border before and after each axis: only the last three look sideways. */
static int64_t before(int axis, int ndim)
{
    return axis == ndim - 1 ? 2 : 1;
}

static int64_t after(int axis, int ndim)
{
    return axis >= ndim - 2;
}

void code_walk_size(const code_grid *g, int64_t *padded, int64_t *row)
{
    const int ndim = g->ndim < 3 ? 3 : g->ndim, made = ndim - g->ndim;
    *padded = 1;
    for (int k = 0; k < ndim; k++)
        *padded *= (k < made ? 1 : g->side[k - made]) + before(k, ndim) + after(k, ndim);
    *row = g->side[g->ndim - 1] + 3;
}

static uint32_t expected(const code_hints *hints, int32_t level)
{
    static const uint32_t quarter[4] = { 256, 304, 362, 431 };
    const int32_t most = 4 * (hints->fast ? 17 : 30);
    if (level <= 0)
        return level < -4 ? 0 : 1;
    if (level > most)
        level = most;
    return (uint32_t)(((uint64_t)quarter[level & 3] << (level >> 2)) >> 8);
}

static int32_t level_at(const code_walk *w, int axis, int64_t i)
{
    if (!w->level[axis])
        return 0;
    i = i < 0 ? 0 : i < w->count[axis] ? i : w->count[axis] - 1;
    return w->level[axis][i];
}

/* Of a row's place on its first axes. */
typedef struct border {
    bool inside, beyond;
    int32_t level;
} border;

void code_walk_begin(const code_grid *g, const int64_t *start, const int64_t *count,
                     const int64_t *box, const code_hints *hints, uint32_t *padded, code_walk *w)
{
    const int ndim = g->ndim < 3 ? 3 : g->ndim, made = ndim - g->ndim, last = ndim - 1;
    int64_t stride = 1, index[CODE_WALK];

    *w = (code_walk){ .ndim = ndim, .rows = -1 };
    for (int32_t l = 0; l < CODE_EXPECTED; l++)
        w->expected[l] = expected(hints, l - 5);
    for (int k = last; k >= 0; k--) {
        const int64_t n = k < made ? 1 : box[k - made];
        w->count[k] = n;
        w->level[k] = k < made || !hints->present
                          ? NULL
                          : hints->level + hints->first[k - made] + start[k - made];
        w->stride[k] = stride;
        stride *= n + before(k, ndim) + after(k, ndim);
        index[k] = -before(k, ndim);
    }
    /* Border rows take what the hints expect at the nearest place inside; where the box ends before
     * the block does, what follows is known to be zero. */
    border of[CODE_WALK + 1] = { { .inside = true, .level = hints->base } };
    int changed = 0; /* first axis whose index did */
    for (int64_t at = 0; at < stride;) {
        for (int k = changed; k < last; k++) {
            const bool past = index[k] >= w->count[k];
            of[k + 1].inside = of[k].inside && index[k] >= 0 && !past;
            of[k + 1].beyond = of[k].beyond ||
                               (past && k >= made && box[k - made] < count[k - made]);
            of[k + 1].level = of[k].level + level_at(w, k, index[k]);
        }
        const bool inside = of[last].inside, beyond = of[last].beyond;
        const int32_t level = of[last].level;
        const bool zero = box[g->ndim - 1] < count[g->ndim - 1];
        uint32_t *row = padded + at;
        const int64_t n = w->count[last];
        row[0] = row[1] = beyond ? 0 : code_expected(w, level + level_at(w, last, 0));
        row[n + 2] = beyond || zero ? 0 : code_expected(w, level + level_at(w, last, n - 1));
        if (!inside && (beyond || !w->level[last]))
            for (int64_t i = 0, e = beyond ? 0 : code_expected(w, level); i < n; i++)
                row[i + 2] = (uint32_t)e;
        else if (!inside)
            for (int64_t i = 0; i < n; i++)
                row[i + 2] = code_expected(w, level + w->level[last][i]);
        at += n + 3;
        for (changed = last - 1; changed >= 0; changed--) {
            if (++index[changed] < w->count[changed] + after(changed, ndim))
                break;
            index[changed] = -before(changed, ndim);
        }
        changed = changed < 0 ? 0 : changed;
    }
}

bool code_walk_next(code_walk *w)
{
    const int last = w->ndim - 1;
    if (w->rows < 0) {
        w->rows = 1;
        for (int k = 0; k < last; k++)
            w->rows *= w->count[k];
        w->rows *= w->count[last] > 0;
        w->at = 0;
        for (int k = 0; k <= last; k++)
            w->at += before(k, w->ndim) * w->stride[k];
    } else {
        w->rows--;
        for (int k = last - 1; k >= 0; k--) {
            w->at += w->stride[k];
            if (++w->index[k] < w->count[k])
                break;
            w->at -= w->count[k] * w->stride[k];
            w->index[k] = 0;
        }
    }
    return w->rows > 0;
}

int32_t code_walk_level(const code_walk *w, const code_hints *hints)
{
    int32_t level = hints->base;
    for (int k = 0; k < w->ndim - 1; k++)
        level += level_at(w, k, w->index[k]);
    return level;
}

LODE_CLONES bool code_walk_row(code_walk *w, const code_hints *hints, const code_weights *weights,
                               code_bench *bench)
{
    const int last = w->ndim - 1;
    const int64_t n = w->count[last];

    if (!code_walk_next(w))
        return false;
    const int32_t level = code_walk_level(w, hints);
    if (w->level[last])
        for (int64_t i = 0; i < n; i++)
            bench->hint[i] = code_expected(w, level + w->level[last][i]);
    else
        for (int64_t i = 0, h = code_expected(w, level); i < n; i++)
            bench->hint[i] = (uint32_t)h;
    if (!weights)
        return true;

    const uint32_t *f = weights->weight;
    const uint32_t *row = bench->padded + w->at;
    const uint32_t *up = row - w->stride[last - 1], *back = row - w->stride[last - 2];
    const int64_t s = w->stride[last - 1];
    for (int64_t i = 0; i < n; i++)
        bench->partial[i] = (uint64_t)f[0] * bench->hint[i] + (uint64_t)f[3] * up[i] +
                            (uint64_t)f[4] * ((uint64_t)up[i - 1] + up[i + 1]) +
                            (uint64_t)f[5] * back[i] +
                            (uint64_t)f[6] *
                                ((uint64_t)back[i - 1] + back[i + 1] + back[i - s] + back[i + s]);
    for (int k = 0; k < last - 2; k++) {
        const uint32_t *other = row - w->stride[k];
        for (int64_t i = 0; i < n; i++)
            bench->partial[i] += (uint64_t)f[7] * other[i];
    }
    return true;
}

void code_walk_features(const code_walk *w, const code_bench *bench, int64_t i,
                        uint32_t feature[CODE_FEATURES])
{
    const int last = w->ndim - 1;
    const uint32_t *here = bench->padded + w->at + i;
    const int64_t s = w->stride[last - 1];
    const uint32_t *up = here - s, *back = here - w->stride[last - 2];

    feature[0] = bench->hint[i];
    feature[1] = here[-1];
    feature[2] = here[-2];
    feature[3] = up[0];
    feature[4] = up[-1] + up[1];
    feature[5] = back[0];
    feature[6] = back[-1] + back[1] + back[-s] + back[s];
    feature[7] = 0;
    for (int k = 0; k < last - 2; k++)
        feature[7] += here[-w->stride[k]];
}

int64_t code_walk_flat(const code_walk *w, const code_grid *g, int64_t first)
{
    const int made = w->ndim - g->ndim;
    for (int k = made; k < w->ndim - 1; k++)
        first += w->index[k] * g->stride[k - made];
    return first;
}
