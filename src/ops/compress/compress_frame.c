/* Blocks of an array and the shape each is transformed in. */
#include <string.h>

#include "ops/compress/compress.h"

/* Arrays up to 128 MiB are one block: structure is global. Larger ones are cut so that a block and
 * what coding it takes stays a small part of the array, whatever the memory at hand. */
enum { WHOLE = 1 << 27, SMALLEST = 1 << 22, LARGEST = 1 << 26, SHARE = 48 };
/* Where rows of the first axis are so large that blocks would be slabs of a few, blocks are thicker and
 * cut along the next axis too: slabs of the array of so many rows, if they take no more than SLAB bytes,
 * which is what reading in order holds at once. */
enum { THICK = 16, SLAB = 1 << 28, THICK_LARGEST = 1 << 25 };

/* Axis k in so many parts. */
static void set_parts(grid *g, int k, int64_t parts)
{
    g->side[k] = lode_i_max(1, lode_i_ceil_div(g->shape[k], parts));
    g->parts[k] = lode_i_max(1, lode_i_ceil_div(g->shape[k], g->side[k]));
}

/* Sides as even as the shape allows: the largest length that keeps blocks within `most` values, axes
 * that are shorter whole; then fewer parts where there is room, along the shortest side first. */
static void even_sides(double most, grid *g)
{
    int64_t low = 1, high = 1;
    for (int k = 0; k < g->ndim; k++)
        high = lode_i_max(high, g->shape[k]);
    while (low < high) {
        const int64_t side = low + (high - low + 1) / 2;
        double values = 1;
        for (int k = 0; k < g->ndim; k++)
            values *= (double)lode_i_min(side, g->shape[k]);
        if (values <= most)
            low = side;
        else
            high = side - 1;
    }
    double values = 1;
    for (int k = 0; k < g->ndim; k++) {
        set_parts(g, k, lode_i_ceil_div(g->shape[k], low));
        values *= (double)g->side[k];
    }
    for (int next = 0; next >= 0;) {
        next = -1;
        for (int k = 0; k < g->ndim; k++) {
            const double more = (double)lode_i_ceil_div(g->shape[k],
                                                        lode_i_max(g->parts[k] - 1, 1));
            if (g->parts[k] > 1 && values / (double)g->side[k] * more <= most &&
                (next < 0 || g->side[k] < g->side[next]))
                next = k;
        }
        if (next < 0)
            break;
        values /= (double)g->side[next];
        set_parts(g, next, g->parts[next] - 1);
        values *= (double)g->side[next];
    }
    for (int k = 0; k < g->ndim; k++)
        g->blocks *= g->parts[k];
}

/* Rows of the first axis that a block has at least; where that is more than there would be, blocks are
 * kept smaller, so that a small part of the array touches little. */
static int64_t thickness(double row, double *most)
{
    int64_t thick = THICK;
    while (thick > 1 && (double)thick * row > SLAB)
        thick /= 2;
    if ((double)thick * row > *most)
        *most = *most < THICK_LARGEST ? *most : THICK_LARGEST;
    return thick;
}

void compress_grid(lode_dtype dtype, int ndim, const int64_t *shape, int64_t limit, grid *g)
{
    const double size = (double)lode_dtype_size(dtype);
    double bytes = size;
    *g = (grid){ .ndim = ndim, .blocks = 1, .dtype = dtype, .limit = limit };
    for (int k = 0; k < ndim; k++) {
        g->shape[k] = g->side[k] = shape[k];
        g->parts[k] = 1;
        bytes *= (double)shape[k];
    }
    if (bytes == 0)
        return;
    if (limit < 0) {
        even_sides(-(double)limit, g);
        return;
    }
    int64_t thick = 1;
    double most = limit > COMPRESS_THICK ? (double)limit * size : bytes;
    if (limit <= COMPRESS_THICK && bytes > WHOLE)
        most = bytes / SHARE < SMALLEST  ? SMALLEST
               : bytes / SHARE > LARGEST ? LARGEST
                                         : bytes / SHARE;
    if (limit == COMPRESS_THICK && bytes > WHOLE)
        thick = thickness(bytes / (double)shape[0], &most);
    for (int k = 0; k < ndim && bytes > most;
         k++) { /* leading axes first: a block is then one run of the file, or `thick` runs */
        const double row = bytes / (double)g->side[k];
        const int64_t rows = lode_i_max(k ? 1 : thick, (int64_t)(most / row));
        g->parts[k] = lode_i_ceil_div(shape[k], lode_i_min(rows, shape[k]));
        g->side[k] = lode_i_ceil_div(shape[k], g->parts[k]);
        g->parts[k] = lode_i_ceil_div(shape[k], g->side[k]);
        bytes = row * (double)g->side[k];
    }
    for (int k = 0; k < ndim; k++)
        g->blocks *= g->parts[k];
}

/* ---- segments ---- */

enum { AXIS, END, BLOCKS, COLUMNS };

static int64_t entry(const grid *g, int64_t s, int column)
{
    const double v = s < 0 ? 0 : lode_i_get2(&g->segments, s, column);
    return v >= 0 && v < 0x1p53 ? (int64_t)v : -1; /* -1: no such table is taken */
}

/* Segment s by itself. */
static void segment(const grid *g, int64_t s, grid *part)
{
    int64_t shape[LODE_MAX_NDIM];
    memcpy(shape, g->shape, sizeof shape);
    shape[g->axis] = entry(g, s, END) - entry(g, s - 1, END);
    compress_grid(g->dtype, g->ndim, shape, g->limit, part);
}

void compress_block(const grid *g, int64_t b, int64_t *start, int64_t *count)
{
    grid part;
    int64_t s = 0, from = 0;
    if (g->segments.data) {
        for (int64_t above = g->segments.shape[0] - 1;
             s < above;) { /* the first that ends past b */
            const int64_t middle = s + (above - s) / 2;
            if (entry(g, middle, BLOCKS) > b)
                above = middle;
            else
                s = middle + 1;
        }
        segment(g, s, &part);
        from = entry(g, s - 1, END);
        b -= entry(g, s - 1, BLOCKS);
    }
    const grid *at = g->segments.data ? &part : g;
    for (int k = g->ndim - 1; k >= 0; k--) {
        start[k] = b % at->parts[k] * at->side[k];
        count[k] = lode_i_min(at->side[k], at->shape[k] - start[k]);
        b /= at->parts[k];
    }
    if (g->segments.data)
        start[g->axis] += from;
}

void compress_sides(const grid *g, int64_t *side)
{
    grid part;
    memcpy(side, g->side, sizeof g->side);
    for (int64_t s = 0; g->segments.data && s < g->segments.shape[0]; s++) {
        segment(g, s, &part);
        for (int k = 0; k < g->ndim; k++)
            side[k] = s ? lode_i_max(side[k], part.side[k]) : part.side[k];
    }
}

lode_status compress_segments(lode_ctx *ctx, const lode_array *table, grid *g)
{
    lode_status st = LODE_OK;
    grid made = *g, part;
    LODE_REQUIRE(table->dtype == LODE_I64 && table->ndim == 2 && table->shape[0] > 0 &&
                     table->shape[1] == COLUMNS,
                 LODE_EFORMAT, "compress: the table of segments is no i64 matrix of %d columns",
                 (int)COLUMNS);
    made.segments = *table;
    made.segments.owner = NULL; /* borrowed */
    const int64_t axis = entry(&made, 0, AXIS), rows = table->shape[0];
    LODE_REQUIRE(axis >= 0 && axis < g->ndim && g->shape[axis] < INT64_C(1) << 53, LODE_EFORMAT,
                 "compress: segments lie along axis %" PRId64 " of %d", axis, g->ndim);
    made.axis = (int)axis;
    for (int64_t s = 0; s < rows; s++) {
        const int64_t end = entry(&made, s, END), before = entry(&made, s - 1, END);
        LODE_REQUIRE(entry(&made, s, AXIS) == axis && end >= before && end <= g->shape[axis] &&
                         (end > before || s == 0),
                     LODE_EFORMAT,
                     "compress: segment %" PRId64 " ends at %" PRId64 " of %" PRId64
                     " along axis %" PRId64 ", the one before it at %" PRId64,
                     s, end, g->shape[axis], entry(&made, s, AXIS), before);
        segment(&made, s, &part);
        made.blocks = entry(&made, s - 1, BLOCKS) + part.blocks;
        LODE_REQUIRE(entry(&made, s, BLOCKS) == made.blocks, LODE_EFORMAT,
                     "compress: segment %" PRId64 " ends at block %" PRId64
                     ", where it has %" PRId64,
                     s, entry(&made, s, BLOCKS), made.blocks);
    }
    LODE_REQUIRE(entry(&made, rows - 1, END) == g->shape[axis], LODE_EFORMAT,
                 "compress: segments end at %" PRId64 " of %" PRId64 " along axis %" PRId64,
                 entry(&made, rows - 1, END), g->shape[axis], axis);
    *g = made;
done:
    return st;
}

/* ---- frames ---- */

enum { LONG = 2048, FOLD = 256 };

/* Axes into which n values fold: a divisor near FOLD and what is left, again folded. Returns the
 * length. */
static int64_t fold(int64_t n, int64_t *axis, int *axes)
{
    int64_t side[8], whole;
    int count = 0;
    while (n > LONG && count < 7) {
        int64_t d = 0;
        for (int64_t c = FOLD / 2; c <= 2 * FOLD; c++)
            if (n % c == 0 &&
                (d == 0 || (c > FOLD ? c - FOLD : FOLD - c) < (d > FOLD ? d - FOLD : FOLD - d)))
                d = c;
        side[count] = d ? d : FOLD;
        n = lode_i_ceil_div(n, side[count++]);
    }
    whole = n;
    axis[(*axes)++] = n;
    while (count > 0) {
        axis[(*axes)++] = side[--count];
        whole *= side[count];
    }
    return whole;
}

/* A longer axis becomes the place of a tile and the place in it. */
static int64_t tiles(int64_t n, int64_t length, int64_t *axis, int *axes)
{
    if (length < 1 || n <= length) {
        axis[(*axes)++] = n;
        return n;
    }
    axis[(*axes)++] = lode_i_ceil_div(n, length);
    axis[(*axes)++] = length;
    return lode_i_ceil_div(n, length) * length;
}

lode_status compress_frame(lode_ctx *ctx, lode_dtype stored, lode_dtype work, int ndim,
                           const int64_t *shape, int64_t folds, frame *f)
{
    *f = (frame){
        .stored = stored, .work = work, .ndim = ndim, .plain = ndim, .folds = folds, .size = 1
    };
    memcpy(f->shape, shape, (size_t)ndim * sizeof *shape);
    if (lode_i_is_complex(stored)) {
        if (ndim == LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                               "compress: complex arrays may have %d axes at most",
                               LODE_MAX_NDIM - 1);
        f->shape[f->plain++] = 2;
    }
    for (int k = 0; k < f->plain; k++) {
        const int64_t n = f->shape[k];
        int64_t axis[8];
        int axes = 0;
        f->size *= n;
        f->whole[k] = n;
        if (n == 1)
            continue;
        f->whole[k] = folds == FOLDS_LONG ? fold(n, axis, &axes) : tiles(n, folds, axis, &axes);
        if (!folds || f->modes + axes + (f->plain - k - 1) > LODE_MAX_NDIM)
            axes = 1, axis[0] = f->whole[k] = n;
        for (int a = 0; a < axes; a++) {
            f->axis[f->modes] = k;
            f->place[f->modes] = folds > FOLDS_LONG && a + 1 < axes;
            f->mode[f->modes++] = axis[a];
        }
    }
    if (f->modes == 0)
        f->mode[f->modes++] = 1;
    return LODE_OK;
}

/* The same memory with pairs as an axis of 2, or the reverse; contiguous arrays. */
static lode_array as_pairs(const lode_array *a)
{
    lode_array r = lode_array_ref(a);
    if (!lode_i_is_complex(a->dtype))
        return r;
    r.dtype = lode_i_real_of(a->dtype);
    for (int k = 0; k < r.ndim; k++)
        r.strides[k] *= 2;
    r.shape[r.ndim] = 2;
    r.strides[r.ndim++] = 1;
    return r;
}

static lode_array as_complex(const lode_array *a)
{
    lode_array r = lode_array_ref(a);
    r.dtype = a->dtype == LODE_F32 ? LODE_C64 : LODE_C128;
    r.ndim--;
    for (int k = 0; k < r.ndim; k++)
        r.strides[k] /= 2;
    return r;
}

lode_status compress_plain(lode_ctx *ctx, const frame *f, const lode_array *block, bool own,
                           lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 }, pairs = { 0 }, y = { 0 };
    LODE_TRY(lode_i_as(ctx, block, block->dtype, &whole)); /* contiguous */
    pairs = as_pairs(&whole);
    LODE_TRY(own ? lode_array_cast(ctx, &pairs, f->work, &y) : lode_i_as(ctx, &pairs, f->work, &y));
    lode_array_swap(x, &y);
done:
    LODE_FREE(&whole, &pairs, &y);
    return st;
}

lode_status compress_fold(lode_ctx *ctx, const frame *f, const lode_array *x, lode_array *w)
{
    lode_status st = LODE_OK;
    lode_array a = lode_array_ref(x), longer = { 0 }, part = { 0 }, last = { 0 };
    for (int k = 0; k < f->plain; k++) {
        const int64_t n = f->shape[k];
        if (f->whole[k] == n)
            continue;
        int64_t shape[LODE_MAX_NDIM];
        memcpy(shape, a.shape, sizeof shape);
        shape[k] = f->whole[k];
        LODE_TRY(lode_array_new(ctx, a.dtype, a.ndim, shape, &longer));
        LODE_TRY(lode_array_slice(ctx, &longer, k, 0, n, 1, &part));
        LODE_TRY(lode_array_copy_into(ctx, &a, &part));
        LODE_TRY(lode_array_slice(ctx, &a, k, n - 1, n, 1, &last));
        for (int64_t i = n; i < f->whole[k]; i++) {
            LODE_TRY(lode_array_slice(ctx, &longer, k, i, i + 1, 1, &part));
            LODE_TRY(lode_array_copy_into(ctx, &last, &part));
        }
        lode_array_swap(&a, &longer);
        LODE_FREE(&longer, &part, &last);
    }
    LODE_TRY(lode_array_reshape(ctx, &a, f->modes, f->mode, &part));
    lode_array_swap(w, &part);
done:
    LODE_FREE(&a, &longer, &part, &last);
    return st;
}

lode_status compress_unfold(lode_ctx *ctx, const frame *f, const lode_array *w, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    LODE_TRY(lode_array_reshape(ctx, w, f->plain, f->whole, &a));
    for (int k = 0; k < f->plain; k++)
        if (f->whole[k] != f->shape[k]) {
            LODE_TRY(lode_array_slice(ctx, &a, k, 0, f->shape[k], 1, &b));
            lode_array_swap(&a, &b);
        }
    LODE_TRY(lode_i_as(ctx, &a, a.dtype, &b)); /* contiguous */
    lode_array_swap(x, &b);
done:
    LODE_FREE(&a, &b);
    return st;
}

lode_status compress_store(lode_ctx *ctx, const frame *f, const lode_array *x, lode_array *block)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    a = lode_i_is_complex(f->stored) ? as_complex(x) : lode_array_ref(x);
    LODE_TRY(lode_i_as(ctx, &a, f->stored, &b));
    lode_array_swap(block, &b);
done:
    LODE_FREE(&a, &b);
    return st;
}
