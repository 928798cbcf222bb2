/* Rows added into a matrix at their numbers, and the columns that a sparse matrix has entries in. */
#include <stdlib.h>
#include <string.h>

#include "array/walk.h"

/* On the calling thread, and nothing in it fails once the shapes fit: it can be the last step of a
 * change. */
lode_status lode_i_add_rows(lode_ctx *ctx, const lode_array *x, const lode_array *index,
                            lode_array *to)
{
    lode_status st = LODE_OK;
    const lode_dtype t = x->dtype;
    LODE_REQUIRE(t == to->dtype && lode_i_arith(t) == t, LODE_ETYPE,
                 "rows of %s are added to a matrix of %s", lode_dtype_name(t),
                 lode_dtype_name(to->dtype));
    LODE_REQUIRE(x->ndim == 2 && to->ndim == 2 && x->shape[1] == to->shape[1] &&
                     index->dtype == LODE_I64 && index->ndim == 1 &&
                     index->shape[0] == x->shape[0] && lode_array_is_contiguous(index) &&
                     (x->shape[1] <= 1 || (x->strides[1] == 1 && to->strides[1] == 1)),
                 LODE_ESHAPE, "rows added to a matrix are as long as its own, and numbered");
    const int64_t *at = index->data, rows = x->shape[0];
    const int64_t reals = x->shape[1] * (lode_i_is_complex(t) ? 2 : 1);
    for (int64_t i = 0; i < rows; i++)
        LODE_REQUIRE(at[i] >= 0 && at[i] < to->shape[0], LODE_EDOMAIN,
                     "row %" PRId64 " of a matrix that has %" PRId64 " of them", at[i],
                     to->shape[0]);
    for (int64_t i = 0; i < rows; i++) {
        const void *from = lode_i_at(x, i * x->strides[0]);
        void *sum = lode_i_at(to, at[i] * to->strides[0]);
        if (lode_i_is_single(t))
            for (int64_t j = 0; j < reals; j++)
                ((float *)sum)[j] += ((const float *)from)[j];
        else
            for (int64_t j = 0; j < reals; j++)
                ((double *)sum)[j] += ((const double *)from)[j];
    }
done:
    return st;
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

lode_status lode_i_csr_compact(lode_ctx *ctx, const lode_sparse *s, lode_array *index,
                               lode_array *dense)
{
    lode_status st = LODE_OK;
    lode_array all = { 0 }, used = { 0 }, y = { 0 };
    const int64_t nnz = lode_sparse_nnz(s);
    LODE_REQUIRE(s->layout == LODE_CSR && lode_array_is_contiguous(&s->indices) &&
                     lode_array_is_contiguous(&s->indptr) && lode_array_is_contiguous(&s->values),
                 LODE_EUSAGE, "columns are told from compressed rows");
    LODE_TRY(lode_array_cast(ctx, &s->indices, LODE_I64, &all));
    int64_t *column = all.data, p = 0;
    if (nnz > 0)
        qsort(column, (size_t)nnz, sizeof *column, ascending);
    for (int64_t i = 0; i < nnz; i++)
        if (i == 0 || column[i] != column[p - 1])
            column[p++] = column[i];
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, p, &used));
    if (p > 0)
        memcpy(used.data, column, (size_t)p * sizeof *column);
    LODE_TRY(lode_array_zeros(ctx, s->values.dtype, 2, (const int64_t[]){ s->shape[0], p }, &y));
    const int64_t *start = s->indptr.data, *entry = s->indices.data;
    const size_t size = lode_dtype_size(y.dtype);
    for (int64_t i = 0; i < s->shape[0]; i++) {
        int64_t at = 0; /* columns ascend in a row */
        for (int64_t k = start[i]; k < start[i + 1]; k++) {
            int64_t low = at, high = p - 1;
            while (low < high) {
                const int64_t mid = low + (high - low) / 2;
                if (column[mid] < entry[k])
                    low = mid + 1;
                else
                    high = mid;
            }
            at = low;
            memcpy(lode_i_at(&y, i * p + at), lode_i_at(&s->values, k), size);
        }
        if (i % 4096 == 0)
            LODE_TRY(lode_i_cancelled(ctx));
    }
    lode_array_swap(index, &used);
    lode_array_swap(dense, &y);
done:
    LODE_FREE(&all, &used, &y);
    return st;
}
