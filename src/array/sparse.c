/* Sparse arrays: what makes one valid, and the ways between COO, CSR and dense. */
#include <string.h>

#include "array/walk.h"

void lode_sparse_free(lode_sparse *s)
{
    if (!s)
        return;
    LODE_FREE(&s->indptr, &s->indices, &s->values);
    *s = (lode_sparse){ 0 };
}

int64_t lode_sparse_nnz(const lode_sparse *s)
{
    return s->values.data ? s->values.shape[0] : 0;
}

static int64_t index_at(const lode_sparse *s, int64_t k, int axis)
{
    const lode_array *a = &s->indices;
    return ((const int64_t *)a->data)[k * a->strides[0] + (a->ndim > 1 ? axis * a->strides[1] : 0)];
}

static int64_t pointer_at(const lode_sparse *s, int64_t i)
{
    return ((const int64_t *)s->indptr.data)[i * s->indptr.strides[0]];
}

static bool is_i64(const lode_array *a, int ndim, int64_t length)
{
    return a->data && a->dtype == LODE_I64 && a->ndim == ndim && a->shape[0] == length;
}

/* Sizes and types only, so that the entries may be looked at. */
static lode_status check_form(lode_ctx *ctx, const lode_sparse *s)
{
    lode_status st = LODE_OK;
    const int64_t nnz = lode_sparse_nnz(s);
    LODE_REQUIRE(s->layout == LODE_COO || s->layout == LODE_CSR, LODE_EUSAGE,
                 "a sparse array has layout COO or CSR");
    LODE_REQUIRE(s->ndim >= 1 && s->ndim <= LODE_MAX_NDIM, LODE_ESHAPE,
                 "a sparse array has 1 to %d dimensions, not %d", LODE_MAX_NDIM, (int)s->ndim);
    for (int i = 0; i < s->ndim; i++)
        LODE_REQUIRE(s->shape[i] >= 0, LODE_ESHAPE,
                     "a sparse array has length %" PRId64 " on axis %d", s->shape[i], i);
    LODE_REQUIRE(s->values.data && s->values.ndim == 1 && lode_dtype_block(s->values.dtype) == 1,
                 LODE_ESHAPE, "the values of a sparse array are one vector of plain numbers");
    if (s->layout == LODE_COO) {
        LODE_REQUIRE(is_i64(&s->indices, 2, nnz) && s->indices.shape[1] == s->ndim, LODE_ESHAPE,
                     "the indices of a COO array are i64, %" PRId64 " x %d", nnz, (int)s->ndim);
        goto done;
    }
    LODE_REQUIRE(s->ndim == 2, LODE_ESHAPE, "a CSR array has 2 dimensions, not %d", (int)s->ndim);
    LODE_REQUIRE(s->shape[0] < INT64_MAX && is_i64(&s->indptr, 1, s->shape[0] + 1), LODE_ESHAPE,
                 "the row pointers of a CSR array are one more than its %" PRId64 " rows, i64",
                 s->shape[0]);
    LODE_REQUIRE(is_i64(&s->indices, 1, nnz), LODE_ESHAPE,
                 "the column indices of a CSR array are as many as its %" PRId64 " values, i64",
                 nnz);
done:
    return st;
}

static lode_status check_range(lode_ctx *ctx, const lode_sparse *s, int64_t k, int axis,
                               int64_t length)
{
    const int64_t i = index_at(s, k, axis);
    if (i >= 0 && i < length)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EDOMAIN,
                       "entry %" PRId64 " of the sparse array has index %" PRId64
                       " on axis %d, which has %" PRId64 " places",
                       k, i, axis, length);
}

static lode_status check_csr(lode_ctx *ctx, const lode_sparse *s)
{
    lode_status st = LODE_OK;
    const int64_t nnz = lode_sparse_nnz(s);
    LODE_REQUIRE(pointer_at(s, 0) == 0, LODE_EDOMAIN,
                 "the row pointers of the CSR array begin with %" PRId64 ", not 0",
                 pointer_at(s, 0));
    for (int64_t i = 0; i < s->shape[0]; i++)
        LODE_REQUIRE(pointer_at(s, i) <= pointer_at(s, i + 1) && pointer_at(s, i + 1) <= nnz,
                     LODE_EDOMAIN,
                     "row pointer %" PRId64 " of the CSR array is %" PRId64 ", outside %" PRId64
                     " to %" PRId64,
                     i + 1, pointer_at(s, i + 1), pointer_at(s, i), nnz);
    LODE_REQUIRE(pointer_at(s, s->shape[0]) == nnz, LODE_EDOMAIN,
                 "the row pointers of the CSR array end with %" PRId64 ", not with its %" PRId64
                 " values",
                 pointer_at(s, s->shape[0]), nnz);
    for (int64_t i = 0; i < s->shape[0]; i++) {
        if (i % 65536 == 0)
            LODE_TRY(lode_i_cancelled(ctx));
        for (int64_t k = pointer_at(s, i); k < pointer_at(s, i + 1); k++) {
            LODE_TRY(check_range(ctx, s, k, 0, s->shape[1]));
            LODE_REQUIRE(k == pointer_at(s, i) || index_at(s, k, 0) != index_at(s, k - 1, 0),
                         LODE_EDOMAIN,
                         "entry [%" PRId64 ",%" PRId64 "] of the sparse array is given twice", i,
                         index_at(s, k, 0));
            LODE_REQUIRE(
                k == pointer_at(s, i) || index_at(s, k, 0) > index_at(s, k - 1, 0), LODE_EDOMAIN,
                "row %" PRId64 " of the CSR array has column %" PRId64 " after column %" PRId64, i,
                index_at(s, k, 0), index_at(s, k - 1, 0));
        }
    }
done:
    return st;
}

/* ---- order: a stable merge sort of entry numbers, by index, last axis fastest ---- */

static int compare(const lode_sparse *s, int64_t a, int64_t b)
{
    for (int axis = 0; axis < s->ndim; axis++) {
        const int64_t x = index_at(s, a, axis), y = index_at(s, b, axis);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static bool ascending(const lode_sparse *s)
{
    for (int64_t k = 1; k < lode_sparse_nnz(s); k++)
        if (compare(s, k - 1, k) > 0)
            return false;
    return true;
}

static void merge(const lode_sparse *s, const int64_t *from, int64_t start, int64_t middle,
                  int64_t stop, int64_t *to)
{
    int64_t a = start, b = middle;
    for (int64_t k = start; k < stop; k++)
        to[k] = b == stop || (a < middle && compare(s, from[a], from[b]) <= 0) ? from[a++]
                                                                               : from[b++];
}

/* order: entry numbers in ascending order of index. */
static lode_status sort_entries(lode_ctx *ctx, const lode_sparse *s, int64_t **order)
{
    lode_status st = LODE_OK;
    int64_t *now = NULL, *next = NULL;
    const int64_t nnz = lode_sparse_nnz(s);
    LODE_TRY(LODE_NEW(ctx, nnz, &now));
    for (int64_t k = 0; k < nnz; k++)
        now[k] = k;
    if (!ascending(s)) {
        LODE_TRY(LODE_NEW(ctx, nnz, &next));
        for (int64_t width = 1; width < nnz; width *= 2) {
            LODE_TRY(lode_i_cancelled(ctx));
            for (int64_t i = 0; i < nnz; i += 2 * width)
                merge(s, now, i, lode_i_min(i + width, nnz), lode_i_min(i + 2 * width, nnz), next);
            int64_t *const t = now;
            now = next, next = t;
        }
    }
    *order = now;
    now = NULL;
done:
    lode_i_free(now);
    lode_i_free(next);
    return st;
}

static lode_status refuse_duplicates(lode_ctx *ctx, const lode_sparse *s, const int64_t *order)
{
    char place[256] = "";
    for (int64_t k = 1; k < lode_sparse_nnz(s); k++) {
        if (compare(s, order[k - 1], order[k]) != 0)
            continue;
        size_t at = 0;
        for (int axis = 0; axis < s->ndim && at < sizeof place; axis++) {
            const int n = snprintf(place + at, sizeof place - at, "%s%" PRId64, axis ? "," : "",
                                   index_at(s, order[k], axis));
            at += n > 0 ? (size_t)n : 0;
        }
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "entry [%s] of the sparse array is given twice, as entries %" PRId64
                           " and %" PRId64 "; add or drop duplicates first",
                           place, order[k - 1], order[k]);
    }
    return LODE_OK;
}

static lode_status check_indices(lode_ctx *ctx, const lode_sparse *s)
{
    if (s->layout == LODE_CSR)
        return check_csr(ctx, s);
    for (int64_t k = 0; k < lode_sparse_nnz(s); k++) {
        if (k % 65536 == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        for (int axis = 0; axis < s->ndim; axis++)
            LODE_FORWARD(check_range(ctx, s, k, axis, s->shape[axis]));
    }
    return LODE_OK;
}

lode_status lode_sparse_check(lode_ctx *ctx, const lode_sparse *s)
{
    lode_status st = LODE_OK;
    int64_t *order = NULL;
    LODE_TRY(check_form(ctx, s));
    LODE_TRY(check_indices(ctx, s));
    if (s->layout == LODE_COO) {
        LODE_TRY(sort_entries(ctx, s, &order));
        LODE_TRY(refuse_duplicates(ctx, s, order));
    }
    LODE_TRY(lode_i_require_finite(ctx, &s->values, "value "));
done:
    lode_i_free(order);
    return st;
}

/* A copy of the values in the given order. */
static lode_status reorder(lode_ctx *ctx, const lode_array *values, const int64_t *order,
                           lode_array *out)
{
    LODE_FORWARD(lode_i_vector_new(ctx, values->dtype, values->shape[0], out));
    const size_t size = lode_dtype_size(values->dtype);
    for (int64_t k = 0; k < values->shape[0]; k++)
        memcpy(lode_i_at(out, k), lode_i_at(values, order[k] * values->strides[0]), size);
    return LODE_OK;
}

lode_status lode_sparse_to_csr(lode_ctx *ctx, const lode_sparse *s, lode_sparse *out)
{
    lode_status st = LODE_OK;
    int64_t *order = NULL;
    lode_sparse r = { .layout = LODE_CSR, .ndim = 2 };
    LODE_TRY(check_form(ctx, s));
    LODE_REQUIRE(s->ndim == 2, LODE_ESHAPE,
                 "only a sparse matrix becomes CSR, not an array of %d dimensions", (int)s->ndim);
    LODE_TRY(check_indices(ctx, s));
    r.shape[0] = s->shape[0], r.shape[1] = s->shape[1];
    if (s->layout == LODE_CSR) {
        LODE_TRY(lode_i_as(ctx, &s->indptr, LODE_I64, &r.indptr));
        LODE_TRY(lode_i_as(ctx, &s->indices, LODE_I64, &r.indices));
        LODE_TRY(lode_i_as(ctx, &s->values, s->values.dtype, &r.values));
    } else {
        const int64_t nnz = lode_sparse_nnz(s);
        int64_t rows = 0;
        LODE_REQUIRE(lode_i_add(s->shape[0], 1, &rows), LODE_ESHAPE,
                     "%" PRId64 " rows are too many for CSR", s->shape[0]);
        LODE_TRY(sort_entries(ctx, s, &order));
        LODE_TRY(refuse_duplicates(ctx, s, order));
        LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &rows, &r.indptr));
        LODE_TRY(lode_i_vector_new(ctx, LODE_I64, nnz, &r.indices));
        LODE_TRY(reorder(ctx, &s->values, order, &r.values));
        int64_t *pointers = r.indptr.data, *columns = r.indices.data;
        for (int64_t k = 0; k < nnz; k++) {
            pointers[index_at(s, order[k], 0) + 1]++;
            columns[k] = index_at(s, order[k], 1);
        }
        for (int64_t i = 0; i < s->shape[0]; i++)
            pointers[i + 1] += pointers[i];
    }
    lode_sparse_free(out);
    *out = r;
    r = (lode_sparse){ 0 };
done:
    lode_i_free(order);
    lode_sparse_free(&r);
    return st;
}

lode_status lode_sparse_to_dense(lode_ctx *ctx, const lode_sparse *s, lode_array *out)
{
    lode_status st = LODE_OK;
    int64_t *order = NULL;
    lode_array y = { 0 };
    LODE_TRY(check_form(ctx, s));
    LODE_TRY(check_indices(ctx, s));
    if (s->layout == LODE_COO) {
        LODE_TRY(sort_entries(ctx, s, &order));
        LODE_TRY(refuse_duplicates(ctx, s, order));
    }
    LODE_TRY(lode_array_zeros(ctx, s->values.dtype, s->ndim, s->shape, &y));
    const size_t size = lode_dtype_size(y.dtype);
    for (int64_t k = 0, row = 0; k < lode_sparse_nnz(s); k++) {
        int64_t at = 0;
        if (s->layout == LODE_CSR) {
            while (pointer_at(s, row + 1) <= k)
                row++;
            at = row * y.strides[0] + index_at(s, k, 0);
        } else {
            for (int axis = 0; axis < s->ndim; axis++)
                at += index_at(s, k, axis) * y.strides[axis];
        }
        memcpy(lode_i_at(&y, at), lode_i_at(&s->values, k * s->values.strides[0]), size);
    }
    lode_array_swap(out, &y);
done:
    lode_i_free(order);
    lode_array_free(&y);
    return st;
}

lode_status lode_i_csr_diagonal(lode_ctx *ctx, const lode_sparse *s, lode_array *out)
{
    lode_array d = { 0 };
    const int64_t n = s->shape[0] < s->shape[1] ? s->shape[0] : s->shape[1];
    LODE_FORWARD(lode_array_zeros(ctx, LODE_F64, 1, &n, &d));
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = pointer_at(s, i); k < pointer_at(s, i + 1); k++)
            if (index_at(s, k, 0) == i)
                lode_i_convert(lode_i_is_complex(s->values.dtype) ? lode_i_real_of(s->values.dtype)
                                                                  : s->values.dtype,
                               lode_i_at(&s->values, k * s->values.strides[0]), 1, LODE_F64,
                               lode_i_at(&d, i), 1, 1);
    lode_array_swap(out, &d);
    lode_array_free(&d);
    return LODE_OK;
}
