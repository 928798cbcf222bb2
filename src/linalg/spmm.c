/* Sparse matrix times a block of vectors. A^T X comes from the rows of A as they lie: partial sums
 * over fixed groups of rows, or, where those would outweigh the matrix, groups of columns found in
 * every row. */
#include "linalg/blas.h"

#include <string.h>

typedef struct job {
    const int64_t *start, *column;
    const void *value, *x;
    char *y;
    lode_dtype dtype;
    int64_t rows, cols, nnz, k;
    int64_t count, step; /* tasks and their rows (or columns) */
    bool conj, partial;
    size_t size;
    double alpha, beta, gamma; /* of a product added to what is there */
} job;

typedef struct span {
    int64_t r0, r1, low, high;
} span;

/* First entry of row r with a column >= low; columns ascend. */
static inline int64_t first_at_least(const job *w, int64_t r, int64_t low)
{
    int64_t a = w->start[r], b = w->start[r + 1];
    if (low == 0)
        return a;
    while (a < b) {
        const int64_t mid = a + (b - a) / 2;
        if (w->column[mid] < low)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

#define REAL float
#define WIDTH 1
#define NAME(x) x##_f32
#include "linalg/spmm_kernel.inc"
#define REAL double
#define WIDTH 1
#define NAME(x) x##_f64
#include "linalg/spmm_kernel.inc"
#define REAL float
#define WIDTH 2
#define NAME(x) x##_c64
#include "linalg/spmm_kernel.inc"
#define REAL double
#define WIDTH 2
#define NAME(x) x##_c128
#include "linalg/spmm_kernel.inc"

static lode_status rows(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const job *w = data;
    const int64_t r0 = i * w->step, r1 = lode_i_min(r0 + w->step, w->rows);
    switch (w->dtype) {
    case LODE_F32: rows_f32(w, r0, r1); break;
    case LODE_F64: rows_f64(w, r0, r1); break;
    case LODE_C64: rows_c64(w, r0, r1); break;
    default: rows_c128(w, r0, r1);
    }
    return LODE_OK;
}

static lode_status mixed(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const job *w = data;
    const int64_t r0 = i * w->step, r1 = lode_i_min(r0 + w->step, w->rows);
    switch (w->dtype) {
    case LODE_F32: mixed_f32(w, r0, r1); break;
    case LODE_F64: mixed_f64(w, r0, r1); break;
    case LODE_C64: mixed_c64(w, r0, r1); break;
    default: mixed_c128(w, r0, r1);
    }
    return LODE_OK;
}

static lode_status turned(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const job *w = data;
    const int64_t from = i * w->step;
    const span s = w->partial ? (span){ .r0 = from,
                                        .r1 = lode_i_min(from + w->step, w->rows),
                                        .high = w->cols }
                              : (span){ .r1 = w->rows,
                                        .low = from,
                                        .high = lode_i_min(from + w->step, w->cols) };
    char *y = w->y + (size_t)((w->partial ? i * w->cols : from) * w->k) * w->size;
    memset(y, 0, (size_t)((s.high - s.low) * w->k) * w->size);
    switch (w->dtype) {
    case LODE_F32: turned_f32(w, &s, (float *)(void *)y); break;
    case LODE_F64: turned_f64(w, &s, (double *)(void *)y); break;
    case LODE_C64: turned_c64(w, &s, (float *)(void *)y); break;
    default: turned_c128(w, &s, (double *)(void *)y);
    }
    return LODE_OK;
}

static lode_status check_csr(lode_ctx *ctx, const lode_sparse *A)
{
    if (A->layout != LODE_CSR || A->ndim != 2)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sparse product: the matrix must be in CSR form; convert it first");
    const lode_dtype t = A->values.dtype;
    if (t != LODE_F32 && t != LODE_F64 && t != LODE_C64 && t != LODE_C128)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "sparse product: values are %s; convert to f32, f64, c64 or c128",
                           lode_dtype_name(t));
    if (A->indptr.dtype != LODE_I64 || A->indices.dtype != LODE_I64 ||
        !lode_array_is_contiguous(&A->indptr) || !lode_array_is_contiguous(&A->indices) ||
        !lode_array_is_contiguous(&A->values))
        return lode_i_fail(ctx, LODE_ETYPE,
                           "sparse product: indices must be contiguous i64, values contiguous");
    return LODE_OK;
}

lode_status lode_i_spmm(lode_ctx *ctx, lode_trans t, const lode_sparse *A, const lode_array *X,
                        lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    void *parts = NULL;
    LODE_TRY(check_csr(ctx, A));
    LODE_TRY(lode_i_check_matrix(ctx, "sparse product", "X", X));
    const int64_t m = t == LODE_N ? A->shape[0] : A->shape[1],
                  n = t == LODE_N ? A->shape[1] : A->shape[0];
    LODE_REQUIRE(X->dtype == A->values.dtype, LODE_ETYPE,
                 "sparse product: the matrix is %s and the block %s",
                 lode_dtype_name(A->values.dtype), lode_dtype_name(X->dtype));
    LODE_REQUIRE(X->shape[0] == n, LODE_ESHAPE,
                 "sparse product: %" PRId64 " x %" PRId64 " times %" PRId64 " x %" PRId64
                 " do not fit",
                 m, n, X->shape[0], X->shape[1]);
    LODE_TRY(lode_i_as(ctx, X, X->dtype, &x));
    LODE_TRY(lode_i_matrix_new(ctx, X->dtype, m, X->shape[1], &y));
    job w = { .start = A->indptr.data,
              .column = A->indices.data,
              .value = A->values.data,
              .x = x.data,
              .y = y.data,
              .dtype = X->dtype,
              .rows = A->shape[0],
              .cols = A->shape[1],
              .nnz = lode_sparse_nnz(A),
              .k = X->shape[1],
              .conj = t == LODE_H,
              .size = lode_dtype_size(X->dtype) };
    if (m > 0 && w.k > 0 && t == LODE_N) {
        w.step = lode_i_max(lode_i_ceil_div(m, 256), 16);
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(m, w.step), rows, &w));
    } else if (m > 0 && w.k > 0) {
        /* partial sums are worth their zeros and their joining while entries outnumber them
         * fourfold */
        w.count = lode_i_min(w.nnz / (4 * m), 8);
        w.partial = w.count >= 2;
        if (!w.partial)
            w.count = lode_i_min(8, lode_i_max(w.nnz >> 14, 1));
        const int64_t split = w.partial ? w.rows : w.cols;
        w.step = lode_i_ceil_div(split, w.count);
        w.count = lode_i_ceil_div(split, w.step);
        if (w.partial && w.count > 1) {
            LODE_TRY(lode_i_new(ctx, w.count * m * w.k, w.size, &parts));
            w.y = parts;
        }
        LODE_TRY(lode_i_parallel(ctx, w.count, turned, &w));
        if (parts) {
            LODE_TRY(lode_i_sum_parts(ctx, X->dtype, parts, w.count, m * w.k));
            memcpy(y.data, parts, (size_t)(m * w.k) * w.size);
        }
    }
    lode_array_swap(Y, &y);
done:
    lode_i_free(parts);
    LODE_FREE(&x, &y);
    return st;
}

lode_status lode_i_spmm_into(lode_ctx *ctx, double alpha, const lode_sparse *A, const lode_array *X,
                             double beta, double gamma, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 };
    const int64_t n = A->shape[0];
    LODE_TRY(check_csr(ctx, A));
    LODE_TRY(lode_i_check_matrix(ctx, "sparse product", "X", X));
    LODE_REQUIRE(A->shape[1] == n && X->shape[0] == n && Y->shape[0] == n &&
                     Y->shape[1] == X->shape[1] && X->dtype == A->values.dtype &&
                     Y->dtype == X->dtype && lode_array_is_contiguous(Y),
                 LODE_ESHAPE, "sparse product: A, X and Y do not fit");
    LODE_TRY(lode_i_as(ctx, X, X->dtype, &x));
    job w = { .start = A->indptr.data,
              .column = A->indices.data,
              .value = A->values.data,
              .x = x.data,
              .y = Y->data,
              .dtype = X->dtype,
              .rows = n,
              .k = X->shape[1],
              .step = lode_i_max(lode_i_ceil_div(n, 256), 16),
              .alpha = alpha,
              .beta = beta,
              .gamma = gamma };
    if (n > 0 && w.k > 0)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(n, w.step), mixed, &w));
done:
    lode_array_free(&x);
    return st;
}

/* ---- the transpose, for those who multiply by it often ---- */

lode_status lode_i_csr_transpose(lode_ctx *ctx, lode_trans t, const lode_sparse *A, lode_sparse *At)
{
    lode_status st = LODE_OK;
    lode_sparse b = { .layout = LODE_CSR, .ndim = 2 };
    LODE_TRY(check_csr(ctx, A));
    const int64_t rows_ = A->shape[0], cols = A->shape[1], nnz = lode_sparse_nnz(A);
    const size_t size = lode_dtype_size(A->values.dtype);
    b.shape[0] = cols, b.shape[1] = rows_;
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, (const int64_t[]){ cols + 1 }, &b.indptr));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, nnz, &b.indices));
    LODE_TRY(lode_i_vector_new(ctx, A->values.dtype, nnz, &b.values));
    const int64_t *start = A->indptr.data, *column = A->indices.data;
    int64_t *next = b.indptr.data, *row = b.indices.data;
    for (int64_t p = 0; p < nnz; p++)
        next[column[p]]++;
    int64_t sum = 0;
    for (int64_t c = 0; c <= cols; c++) {
        const int64_t count = next[c];
        next[c] = sum;
        sum += count;
    }
    const char *from = A->values.data;
    char *to = b.values.data;
    for (int64_t r = 0; r < rows_; r++) {
        if (r % 4096 == 0)
            LODE_TRY(lode_i_tick(ctx, r, rows_));
        for (int64_t p = start[r]; p < start[r + 1]; p++) {
            const int64_t q = next[column[p]]++;
            row[q] = r;
            memcpy(to + (size_t)q * size, from + (size_t)p * size, size);
        }
    }
    for (int64_t c = cols; c > 0; c--) /* each entry now says where its row ends */
        next[c] = next[c - 1];
    next[0] = 0;
    if (t == LODE_H)
        LODE_TRY(lode_i_conj(ctx, &b.values));
    lode_sparse_free(At);
    *At = b;
    b = (lode_sparse){ 0 };
done:
    lode_sparse_free(&b);
    return st;
}
