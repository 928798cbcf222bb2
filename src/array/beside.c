/* Blocks of columns side by side as one source: what a pass over two tables with common rows reads. */
#include <math.h>

#include "array/beside.h"

static int64_t columns_of(lode_value v)
{
    return v.kind == LODE_ARRAY    ? v.as.array->shape[1]
           : v.kind == LODE_SOURCE ? v.as.source->shape[1]
                                   : v.as.sparse->shape[1];
}

static int64_t rows_of(lode_value v)
{
    return v.kind == LODE_ARRAY    ? v.as.array->shape[0]
           : v.kind == LODE_SOURCE ? v.as.source->shape[0]
                                   : v.as.sparse->shape[0];
}

/* Rows [r0, r1), columns [c0, c1) of a CSR matrix into `to`, f64, contiguous along rows. */
static lode_status spread(lode_ctx *ctx, const lode_sparse *s, int64_t r0, int64_t r1, int64_t c0,
                          int64_t c1, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 }, part = { 0 };
    const int64_t *ptr = s->indptr.data, *index = s->indices.data;
    LODE_TRY(lode_i_fill(ctx, to, 0));
    const int64_t first = ptr[r0], last = ptr[r1];
    LODE_TRY(lode_array_slice(ctx, &s->values, 0, first, last, 1, &part));
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &values));
    const double *v = values.data;
    double *y = to->data;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t k = ptr[r]; k < ptr[r + 1]; k++)
            if (index[k] >= c0 && index[k] < c1)
                y[(r - r0) * to->strides[0] + index[k] - c0] = v[k - first];
done:
    LODE_FREE(&values, &part);
    return st;
}

/* The same of a source; packed values are read by whole rows. */
static lode_status fetch(lode_ctx *ctx, const lode_source *s, int64_t r0, int64_t r1, int64_t c0,
                         int64_t c1, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, view = { 0 };
    const bool whole = lode_dtype_block(s->dtype) > 1;
    const int64_t start[2] = { r0, whole ? 0 : c0 };
    const int64_t count[2] = { r1 - r0, whole ? s->shape[1] : c1 - c0 };
    LODE_TRY(lode_i_source_read(ctx, s, start, count, lode_i_arith(s->dtype), &part));
    view = lode_i_cols(&part, whole ? c0 : 0, whole ? c1 : c1 - c0);
    LODE_TRY(lode_array_copy_into(ctx, &view, to));
done:
    LODE_FREE(&part, &view);
    return st;
}

/* The same of an array; packed values are converted by whole rows. */
static lode_status copy(lode_ctx *ctx, const lode_array *a, int64_t r0, int64_t r1, int64_t c0,
                        int64_t c1, lode_array *to)
{
    lode_status st = LODE_OK;
    lode_array rows = lode_i_rows(a, r0, r1), plain = { 0 }, view = { 0 };
    if (lode_dtype_block(a->dtype) > 1) {
        LODE_TRY(lode_array_cast(ctx, &rows, lode_i_arith(a->dtype), &plain));
        lode_array_swap(&rows, &plain);
    }
    view = lode_i_cols(&rows, c0, c1);
    LODE_TRY(lode_array_copy_into(ctx, &view, to));
done:
    LODE_FREE(&rows, &plain, &view);
    return st;
}

static int64_t row_at(const lode_i_beside *b, int64_t i)
{
    return b->rows ? ((const int64_t *)b->rows->data)[i] : i;
}

/* Rows [first, first + to's rows) of the source, columns [c0, c1) of one part, as they are stored. */
static lode_status read_part(lode_ctx *ctx, const lode_i_beside *b, int part, int64_t first,
                             int64_t c0, int64_t c1, lode_array *to)
{
    const lode_value v = b->part[part];
    const int64_t rows = to->shape[0];
    for (int64_t i = 0, n; i < rows; i += n) {
        const int64_t r = row_at(b, first + i);
        n = b->rows ? 1 : rows;
        while (i + n < rows && row_at(b, first + i + n) == r + n) /* rows that follow each other */
            n++;
        lode_array run = lode_i_rows(to, i, i + n);
        const lode_status st = v.kind == LODE_SPARSE
                                   ? spread(ctx, v.as.sparse, r, r + n, c0, c1, &run)
                               : v.kind == LODE_SOURCE
                                   ? fetch(ctx, v.as.source, r, r + n, c0, c1, &run)
                                   : copy(ctx, v.as.array, r, r + n, c0, c1, &run);
        lode_array_free(&run);
        LODE_FORWARD(st);
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    return LODE_OK;
}

static lode_status look(lode_ctx *ctx, const lode_i_beside *b, int part, int64_t first, int64_t c0,
                        const lode_array *a)
{
    lode_stats s;
    LODE_FORWARD(lode_i_stats(ctx, a, &s));
    if (s.missing + s.infinite > 0) {
        const bool nan = s.first_nan >= 0 &&
                         (s.first_infinite < 0 || s.first_nan < s.first_infinite);
        const int64_t at = nan ? s.first_nan : s.first_infinite;
        return lode_i_fail(ctx, LODE_EDOMAIN, "%s[%" PRId64 ",%" PRId64 "] is %s", b->name[part],
                           row_at(b, first + at / a->shape[1]), c0 + at % a->shape[1],
                           nan ? "nan" : "infinite");
    }
    if (b->maxabs)
        b->maxabs[part] = fmax(b->maxabs[part], s.maxabs);
    return LODE_OK;
}

static lode_status read_beside(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const lode_i_beside *b = s->data;
    lode_array all = lode_array_wrap(dst, LODE_F64, 2, count), to = { 0 }, line = { 0 };
    if (count[0] == 0 || count[1] == 0)
        return LODE_OK;
    int64_t at = 0;
    for (int k = 0; k < b->parts; k++) {
        const int64_t n = columns_of(b->part[k]);
        const int64_t c0 = lode_i_max(start[1] - at, 0);
        const int64_t c1 = lode_i_min(start[1] + count[1] - at, n);
        if (c1 > c0) {
            lode_array_free(&to);
            to = lode_i_cols(&all, at + c0 - start[1], at + c1 - start[1]);
            LODE_TRY(read_part(ctx, b, k, start[0], c0, c1, &to));
            if (b->finite)
                LODE_TRY(look(ctx, b, k, start[0], c0, &to));
        }
        at += n;
    }
    const int64_t c0 = start[1], c1 = start[1] + count[1];
    if (b->shift) {
        LODE_TRY(lode_array_slice(ctx, b->shift, 0, b->skip + c0, b->skip + c1, 1, &line));
        LODE_TRY(lode_i_sub_row(ctx, &all, &line));
    }
    if (b->factor) {
        LODE_TRY(lode_array_slice(ctx, b->factor, 0, b->skip + c0, b->skip + c1, 1, &line));
        LODE_TRY(lode_i_scale_cols(ctx, &all, &line));
    }
    if (b->weight) {
        lode_array_free(&line);
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, count[0], &line));
        for (int64_t i = 0; i < count[0]; i++)
            lode_i_set1(&line, i, lode_i_get1(b->weight, row_at(b, start[0] + i)));
        LODE_TRY(lode_i_scale_rows(ctx, &all, &line));
    }
done:
    LODE_FREE(&to, &line);
    return st;
}

lode_status lode_i_source_beside(lode_ctx *ctx, const lode_i_beside *b, lode_source *s)
{
    lode_i_beside *own = NULL;
    LODE_FORWARD(LODE_NEW(ctx, 1, &own));
    *own = *b;
    lode_source made = { .dtype = LODE_F64,
                         .ndim = 2,
                         .rewindable = true,
                         .read = read_beside,
                         .close = lode_i_free,
                         .data = own };
    made.shape[0] = b->rows ? b->rows->shape[0] : rows_of(b->part[0]);
    for (int k = 0; k < b->parts; k++)
        made.shape[1] += columns_of(b->part[k]);
    if (!b->rows && b->part[0].kind == LODE_SOURCE)
        made.chunk[0] = b->part[0].as.source->chunk[0];
    lode_source_close(s);
    *s = made;
    return LODE_OK;
}
