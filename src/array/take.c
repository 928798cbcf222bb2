/* Rows and columns of a matrix by their numbers, dense or sparse. */
#include <string.h>

#include "array/walk.h"

static lode_status check_index(lode_ctx *ctx, const lode_array *index, int64_t n, int axis)
{
    lode_status st = LODE_OK;
    LODE_REQUIRE(index->dtype == LODE_I64 && index->ndim == 1 && lode_array_is_contiguous(index),
                 LODE_ETYPE, "row and column numbers are one contiguous vector of i64, not %s",
                 lode_dtype_name(index->dtype));
    const int64_t *at = index->data;
    for (int64_t i = 0; i < index->shape[0]; i++)
        LODE_REQUIRE(at[i] >= 0 && at[i] < n, LODE_EDOMAIN,
                     "%s %" PRId64 " of a matrix that has %" PRId64 " of them",
                     axis == 0 ? "row" : "column", at[i], n);
done:
    return st;
}

typedef struct taking {
    const lode_array *a;
    const int64_t *index;
    lode_array *out;
    int axis;
} taking;

/* One row of the result. */
static lode_status take_row(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const taking *t = data;
    const size_t size = lode_dtype_size(t->a->dtype);
    const int64_t n = t->out->shape[1], row = t->axis == 0 ? t->index[i] : i;
    char *to = lode_i_at(t->out, i * n);
    const char *from = lode_i_at(t->a, row * t->a->strides[0]);
    if (t->axis == 0) {
        lode_i_convert(t->a->dtype, from, t->a->strides[1], t->a->dtype, to, 1, n);
        return LODE_OK;
    }
    for (int64_t j = 0; j < n; j++)
        memcpy(to + (size_t)j * size, from + t->index[j] * t->a->strides[1] * (int64_t)size, size);
    return LODE_OK;
}

lode_status lode_i_take(lode_ctx *ctx, const lode_array *a, int axis, const lode_array *index,
                        lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_REQUIRE(a->ndim == 2 && lode_dtype_block(a->dtype) == 1, LODE_ESHAPE,
                 "rows and columns are taken from a matrix of plain numbers");
    LODE_TRY(check_index(ctx, index, a->shape[axis], axis));
    const int64_t count = index->shape[0];
    LODE_TRY(lode_i_matrix_new(ctx, a->dtype, axis == 0 ? count : a->shape[0],
                               axis == 0 ? a->shape[1] : count, &y));
    taking t = { .a = a, .index = index->data, .out = &y, .axis = axis };
    if (lode_array_size(&y) > 0)
        LODE_TRY(lode_i_parallel(ctx, y.shape[0], take_row, &t));
    lode_array_swap(out, &y);
done:
    lode_array_free(&y);
    return st;
}

/* ---- compressed rows ---- */

typedef struct entries {
    const int64_t *pointers, *columns;
    const int64_t *place; /* of a column in the result, -1: not taken */
} entries;

/* Entries of row i that the result has; to: where they go, in the order of their new columns. */
static int64_t pick(const entries *e, int64_t i, int64_t *columns, int64_t *from)
{
    int64_t count = 0;
    for (int64_t k = e->pointers[i]; k < e->pointers[i + 1]; k++) {
        const int64_t c = e->place ? e->place[e->columns[k]] : e->columns[k];
        if (c < 0)
            continue;
        if (columns) {
            int64_t at = count;
            for (; at > 0 && columns[at - 1] > c; at--)
                columns[at] = columns[at - 1], from[at] = from[at - 1];
            columns[at] = c, from[at] = k;
        }
        count++;
    }
    return count;
}

lode_status lode_i_take_csr(lode_ctx *ctx, const lode_sparse *s, int axis, const lode_array *index,
                            lode_sparse *out)
{
    lode_status st = LODE_OK;
    lode_sparse a = { 0 }, y = { .layout = LODE_CSR, .ndim = 2 };
    int64_t *place = NULL, *from = NULL, most = 0, nnz = 0;
    LODE_TRY(lode_sparse_to_csr(ctx, s, &a));
    LODE_TRY(check_index(ctx, index, a.shape[axis], axis));
    const int64_t *at = index->data, count = index->shape[0];
    const int64_t rows = axis == 0 ? count : a.shape[0], ends = rows + 1;
    y.shape[0] = rows, y.shape[1] = axis == 0 ? a.shape[1] : count;
    if (axis == 1) {
        LODE_TRY(LODE_NEW(ctx, lode_i_max(1, a.shape[1]), &place));
        for (int64_t j = 0; j < a.shape[1]; j++)
            place[j] = -1;
        for (int64_t j = 0; j < count; j++) {
            LODE_REQUIRE(place[at[j]] < 0, LODE_EDOMAIN,
                         "column %" PRId64 " of a sparse matrix is asked for twice", at[j]);
            place[at[j]] = j;
        }
    }
    const entries e = { a.indptr.data, a.indices.data, place };
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &ends, &y.indptr));
    int64_t *pointers = y.indptr.data;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t here = pick(&e, axis == 0 ? at[i] : i, NULL, NULL);
        most = lode_i_max(most, here);
        pointers[i + 1] = nnz += here;
        if (i % 65536 == 0)
            LODE_TRY(lode_i_cancelled(ctx));
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, nnz, &y.indices));
    LODE_TRY(lode_i_vector_new(ctx, a.values.dtype, nnz, &y.values));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, most), &from));
    int64_t *columns = y.indices.data;
    const size_t size = lode_dtype_size(a.values.dtype);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t here = pick(&e, axis == 0 ? at[i] : i, columns + pointers[i], from);
        for (int64_t k = 0; k < here; k++)
            memcpy(lode_i_at(&y.values, pointers[i] + k),
                   lode_i_at(&a.values, from[k] * a.values.strides[0]), size);
    }
    lode_sparse_free(out);
    *out = y;
    y = (lode_sparse){ 0 };
done:
    lode_i_free(place), lode_i_free(from);
    LODE_FREE(&a, &y);
    return st;
}
