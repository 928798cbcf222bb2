/* A source of any number of axes read as a matrix: its first axes in C order as rows, the others as
 * columns. A range of rows, or of columns, is a few boxes of the axes it stands for. */
#include "array/array.h"

typedef struct flat {
    const lode_source *parent;
    int lead;
} flat;

/* One side of a request: the axes from..to, and the range of their C order that is wanted. */
typedef struct range {
    int from, to;
    int64_t first, end;
} range;

typedef struct walk {
    const flat *m;
    range rows, cols;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    int64_t row, rows_here, col; /* of the matrix that is filled; values of the box so far */
    lode_array to;
} walk;

/* A box is complete: read into its place. */
static lode_status read_box(lode_ctx *ctx, walk *w, int64_t cols)
{
    lode_status st = LODE_OK;
    lode_array box = { 0 }, flat_box = { 0 }, rows = { 0 }, part = { 0 };
    const lode_source *p = w->m->parent;
    LODE_TRY(lode_i_source_read(ctx, p, w->start, w->count, p->dtype, &box));
    LODE_TRY(lode_array_reshape(ctx, &box, 2, (const int64_t[]){ w->rows_here, cols }, &flat_box));
    LODE_TRY(lode_array_slice(ctx, &w->to, 0, w->row, w->row + w->rows_here, 1, &rows));
    LODE_TRY(lode_array_slice(ctx, &rows, 1, w->col, w->col + cols, 1, &part));
    LODE_TRY(lode_array_copy_into(ctx, &flat_box, &part));
    w->col += cols;
done:
    LODE_FREE(&box, &flat_box, &rows, &part);
    return st;
}

static lode_status each(lode_ctx *ctx, walk *w, bool of_rows, int axis, int64_t first, int64_t end);

/* The axes from `axis` on are the box's, or all are fixed. */
static lode_status complete(lode_ctx *ctx, walk *w, bool of_rows)
{
    const range *r = of_rows ? &w->rows : &w->cols;
    int64_t values = 1;
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        values *= k >= r->from && k < r->to ? w->count[k] : 1;
    if (!of_rows)
        return read_box(ctx, w, values);
    w->rows_here = values, w->col = 0;
    LODE_FORWARD(each(ctx, w, false, w->cols.from, w->cols.first, w->cols.end));
    w->row += values;
    return LODE_OK;
}

/* The range first..end of the C order of the axes from `axis` on: a part of one index, whole ones, a
 * part of one. */
static lode_status each(lode_ctx *ctx, walk *w, bool of_rows, int axis, int64_t first, int64_t end)
{
    const range *r = of_rows ? &w->rows : &w->cols;
    const int64_t *shape = w->m->parent->shape;
    int64_t inner = 1;
    if (axis == r->to)
        return complete(ctx, w, of_rows);
    for (int k = axis + 1; k < r->to; k++)
        inner *= shape[k];
    while (first < end) {
        const int64_t index = first / inner, at = first % inner;
        w->start[axis] = index, w->count[axis] = 1;
        if (at == 0 && end - first >= inner) {
            w->count[axis] = (end - first) / inner;
            for (int k = axis + 1; k < r->to; k++)
                w->start[k] = 0, w->count[k] = shape[k];
            const int64_t whole = w->count[axis];
            LODE_FORWARD(complete(ctx, w, of_rows));
            first += whole * inner;
            continue;
        }
        const int64_t stop = lode_i_min(inner, at + end - first);
        LODE_FORWARD(each(ctx, w, of_rows, axis + 1, at, stop));
        first += stop - at;
    }
    return LODE_OK;
}

static lode_status read_flat(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    const flat *m = s->data;
    walk w = { .m = m,
               .rows = { 0, m->lead, start[0], start[0] + count[0] },
               .cols = { m->lead, m->parent->ndim, start[1], start[1] + count[1] },
               .to = lode_array_wrap(dst, s->dtype, 2, count) };
    if (count[0] == 0 || count[1] == 0)
        return LODE_OK;
    return each(ctx, &w, true, 0, w.rows.first, w.rows.end);
}

lode_status lode_i_source_matrix(lode_ctx *ctx, const lode_source *s, int lead, lode_source *out)
{
    flat *m = NULL;
    lode_source made = { .dtype = s->dtype,
                         .ndim = 2,
                         .shape = { 1, 1 },
                         .rewindable = s->rewindable,
                         .concurrent = s->concurrent,
                         .read = read_flat,
                         .close = lode_i_free };
    LODE_FORWARD(LODE_NEW(ctx, 1, &m));
    *m = (flat){ .parent = s, .lead = lead };
    for (int k = 0; k < s->ndim; k++)
        made.shape[k >= lead] *= s->shape[k];
    made.data = m;
    lode_source_close(out);
    *out = made;
    return LODE_OK;
}
