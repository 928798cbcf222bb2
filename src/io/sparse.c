/* Sparse members from the three arrays that hold them, whatever their index type and order. */
#include "io/io.h"

#include <string.h>

/* As a contiguous vector or matrix of i64; the file's own may be i32 or anything whole. */
static lode_status as_index(lode_ctx *ctx, const char *what, const char *part, lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array t = { 0 };
    LODE_REQUIRE(strchr("iu", lode_dtype_class(a->dtype)), LODE_EFORMAT,
                 "%s: %s is %s, where whole numbers belong", what, part, lode_dtype_name(a->dtype));
    LODE_TRY(lode_i_as(ctx, a, LODE_I64, &t));
    lode_array_swap(a, &t);
done:
    lode_array_free(&t);
    return st;
}

/* indptr rises from 0 to nnz in steps that never fall. */
static lode_status check_pointer(lode_ctx *ctx, const char *what, const lode_array *indptr,
                                 int64_t lines, int64_t nnz)
{
    const int64_t *p = indptr->data;
    if (indptr->ndim != 1 || indptr->shape[0] != lines + 1)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: indptr has %" PRId64 " values, not %" PRId64,
                           what, indptr->ndim ? indptr->shape[0] : 1, lines + 1);
    if (p[0] != 0 || p[lines] != nnz)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: indptr runs from %" PRId64 " to %" PRId64
                           ", not from 0 to %" PRId64,
                           what, p[0], p[lines], nnz);
    for (int64_t i = 0; i < lines; i++)
        if (p[i] > p[i + 1])
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: indptr falls from %" PRId64 " to %" PRId64 " at %" PRId64, what,
                               p[i], p[i + 1], i);
    return LODE_OK;
}

lode_status lode_i_sparse_pair(lode_ctx *ctx, const char *what, const lode_array *row,
                               const lode_array *col, lode_array *indices)
{
    lode_status st = LODE_OK;
    lode_array r = lode_array_ref(row), c = lode_array_ref(col), both = { 0 };
    LODE_REQUIRE(r.ndim == 1 && c.ndim == 1 && r.shape[0] == c.shape[0], LODE_EFORMAT,
                 "%s: its rows and columns are not two vectors of one length", what);
    LODE_TRY(as_index(ctx, what, "row", &r));
    LODE_TRY(as_index(ctx, what, "col", &c));
    const int64_t shape[2] = { r.shape[0], 2 };
    LODE_TRY(lode_array_new(ctx, LODE_I64, 2, shape, &both));
    for (int64_t i = 0; i < shape[0]; i++) {
        ((int64_t *)both.data)[2 * i] = ((const int64_t *)r.data)[i];
        ((int64_t *)both.data)[2 * i + 1] = ((const int64_t *)c.data)[i];
    }
    lode_array_swap(indices, &both);
done:
    LODE_FREE(&r, &c, &both);
    return st;
}

/* Lines written out as coordinates, which the array layer sorts and checks. */
static lode_status expand(lode_ctx *ctx, bool csc, int64_t lines, const int64_t *ends,
                          const int64_t *within, lode_sparse *s)
{
    const int64_t both[2] = { ends[lines], 2 };
    LODE_FORWARD(lode_array_new(ctx, LODE_I64, 2, both, &s->indices));
    int64_t *to = s->indices.data;
    for (int64_t i = 0; i < lines; i++)
        for (int64_t j = ends[i]; j < ends[i + 1]; j++)
            to[2 * j] = csc ? within[j] : i, to[2 * j + 1] = csc ? i : within[j];
    s->layout = LODE_COO;
    return LODE_OK;
}

static bool rises_by_line(int64_t lines, const int64_t *ends, const int64_t *within)
{
    for (int64_t i = 0; i < lines; i++)
        for (int64_t j = ends[i] + 1; j < ends[i + 1]; j++)
            if (within[j - 1] >= within[j])
                return false;
    return true;
}

lode_status lode_i_sparse_from_parts(lode_ctx *ctx, lode_layout layout, bool csc,
                                     const int64_t *shape, int ndim, lode_array *indptr,
                                     lode_array *indices, lode_array *values, const char *what,
                                     lode_sparse *out)
{
    lode_status st = LODE_OK;
    lode_sparse s = { .layout = layout, .ndim = ndim };

    memcpy(s.shape, shape, (size_t)ndim * sizeof *shape);
    LODE_REQUIRE(values->ndim == 1, LODE_EFORMAT, "%s: its values have %d axes, not one", what,
                 (int)values->ndim);
    const int64_t nnz = values->shape[0];
    LODE_TRY(as_index(ctx, what, "indices", indices));
    lode_array_swap(&s.values, values);
    if (layout == LODE_COO) {
        LODE_REQUIRE(indices->ndim == 2 && indices->shape[0] == nnz && indices->shape[1] == ndim,
                     LODE_EFORMAT, "%s: its indices are not %" PRId64 " x %d", what, nnz, ndim);
        lode_array_swap(&s.indices, indices);
    } else {
        LODE_REQUIRE(ndim == 2, LODE_EFORMAT, "%s: compressed rows with %d axes, not two", what,
                     ndim);
        LODE_REQUIRE(indices->ndim == 1 && indices->shape[0] == nnz, LODE_EFORMAT,
                     "%s: its indices are not as many as its %" PRId64 " values", what, nnz);
        LODE_TRY(as_index(ctx, what, "indptr", indptr));
        const int64_t lines = csc ? shape[1] : shape[0];
        LODE_TRY(check_pointer(ctx, what, indptr, lines, nnz));
        if (csc || !rises_by_line(lines, indptr->data, indices->data)) {
            LODE_TRY(expand(ctx, csc, lines, indptr->data, indices->data, &s));
            LODE_TRY(lode_sparse_to_csr(ctx, &s, &s));
        } else {
            lode_array_swap(&s.indptr, indptr);
            lode_array_swap(&s.indices, indices);
        }
    }
    LODE_TRY(lode_sparse_check(ctx, &s));
    *out = s;
    s = (lode_sparse){ 0 };
done:
    lode_sparse_free(&s);
    return st;
}
