/* Products of a large matrix with few columns, and sums of a tensor against columns. A product of few
 * columns is bound by the read of the matrix, which BLAS packs first; here each strip of it meets the
 * columns as it lies. Every sum is taken in the order of its index, so cuts do not change bits; those over
 * rows are cut by shape alone. */
#include <string.h>

#include "linalg/blas.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(LODE_CORE)
#include <immintrin.h>
#define WIDE 1
#else
#define WIDE 0
#endif

enum { COLUMNS = 16, GROUP = 12, STRIP = 24, TASK_ROWS = 240, PIECE = 2400, PARTS = 16 };

/* z[r] += sum_t a[t skip + r step] x[t], r < GROUP, each of COLUMNS values out of k. */
typedef struct way {
    int64_t k, skip, step;
} way;

#if WIDE
LODE_AVX512 static void group_f32(const way *w, int64_t count, int64_t rows, const float *a,
                                  const float *x, float *z)
{
    __m512 s[GROUP];
    if (rows < GROUP) {
        for (int64_t r = 0; r < rows; r++) {
            s[0] = _mm512_loadu_ps(z + r * w->k);
            for (int64_t t = 0; t < count; t++)
                s[0] = _mm512_fmadd_ps(_mm512_set1_ps(a[t * w->skip + r * w->step]),
                                       _mm512_loadu_ps(x + t * w->k), s[0]);
            _mm512_storeu_ps(z + r * w->k, s[0]);
        }
        return;
    }
    for (int r = 0; r < GROUP; r++)
        s[r] = _mm512_loadu_ps(z + r * w->k);
    for (int64_t t = 0; t < count; t++) {
        const __m512 b = _mm512_loadu_ps(x + t * w->k);
        for (int r = 0; r < GROUP; r++)
            s[r] = _mm512_fmadd_ps(_mm512_set1_ps(a[t * w->skip + r * w->step]), b, s[r]);
    }
    for (int r = 0; r < GROUP; r++)
        _mm512_storeu_ps(z + r * w->k, s[r]);
}

LODE_AVX512 static void half_f64(const way *w, int64_t count, int64_t rows, const double *a,
                                 const double *x, double *z)
{
    __m512d s[GROUP];
    if (rows < GROUP) {
        for (int64_t r = 0; r < rows; r++) {
            s[0] = _mm512_loadu_pd(z + r * w->k);
            for (int64_t t = 0; t < count; t++)
                s[0] = _mm512_fmadd_pd(_mm512_set1_pd(a[t * w->skip + r * w->step]),
                                       _mm512_loadu_pd(x + t * w->k), s[0]);
            _mm512_storeu_pd(z + r * w->k, s[0]);
        }
        return;
    }
    for (int r = 0; r < GROUP; r++)
        s[r] = _mm512_loadu_pd(z + r * w->k);
    for (int64_t t = 0; t < count; t++) {
        const __m512d b = _mm512_loadu_pd(x + t * w->k);
        for (int r = 0; r < GROUP; r++)
            s[r] = _mm512_fmadd_pd(_mm512_set1_pd(a[t * w->skip + r * w->step]), b, s[r]);
    }
    for (int r = 0; r < GROUP; r++)
        _mm512_storeu_pd(z + r * w->k, s[r]);
}
#endif

typedef struct job {
    const char *x, *w; /* m x n; n x k or m x k */
    char *y;           /* m x k; parts of n x k */
    int64_t m, n, k, rows, pieces;
    size_t size;
    bool single;
} job;

/* Sums of up to GROUP rows for all columns. */
static void group(const job *j, const way *w, int64_t count, int64_t rows, const char *a,
                  const char *x, char *z)
{
#if WIDE
    for (int64_t c = 0; c < j->k; c += COLUMNS) {
        if (j->single) {
            group_f32(w, count, rows, (const float *)(const void *)a,
                      (const float *)(const void *)x + c, (float *)(void *)z + c);
            continue;
        }
        half_f64(w, count, rows, (const double *)(const void *)a,
                 (const double *)(const void *)x + c, (double *)(void *)z + c);
        half_f64(w, count, rows, (const double *)(const void *)a,
                 (const double *)(const void *)x + c + 8, (double *)(void *)z + c + 8);
    }
#else
    (void)j, (void)w, (void)count, (void)rows, (void)a, (void)x, (void)z;
#endif
}

static lode_status forward(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const job *j = data;
    const way w = { j->k, 1, j->n };
    const int64_t end = lode_i_min((task + 1) * TASK_ROWS, j->m);
    for (int64_t i = task * TASK_ROWS; i < end; i += GROUP) {
        const int64_t rows = lode_i_min(GROUP, end - i);
        char *y = j->y + (size_t)(i * j->k) * j->size;
        memset(y, 0, (size_t)(rows * j->k) * j->size);
        group(j, &w, j->n, rows, j->x + (size_t)(i * j->n) * j->size, j->w, y);
    }
    return LODE_OK;
}

#if defined(__GNUC__)
#define FETCH(p) __builtin_prefetch(p)
#else
#define FETCH(p) (void)(p)
#endif

static lode_status adjoint(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const job *j = data;
    const way w = { j->k, j->n, 1 };
    const int64_t part = task / j->pieces, c0 = task % j->pieces * PIECE;
    const int64_t c1 = lode_i_min(c0 + PIECE, j->n), end = lode_i_min((part + 1) * j->rows, j->m);
    char *z = j->y + (size_t)(part * j->n * j->k) * j->size;
    memset(z + (size_t)(c0 * j->k) * j->size, 0, (size_t)((c1 - c0) * j->k) * j->size);
    for (int64_t i = part * j->rows; i < end; i += STRIP) {
        const int64_t rows = lode_i_min(STRIP, end - i), next = lode_i_min(STRIP, end - i - rows);
        for (int64_t c = c0; c < c1; c += GROUP) {
            const size_t bytes = (size_t)GROUP * j->size;
            for (int64_t r = 0; r < next;
                 r++) /* strips of many rows are beyond what fetches ahead */
                FETCH(j->x + (size_t)((i + rows + r) * j->n + c) * j->size + bytes);
            group(j, &w, rows, lode_i_min(GROUP, c1 - c), j->x + (size_t)(i * j->n + c) * j->size,
                  j->w + (size_t)(i * j->k) * j->size, z + (size_t)(c * j->k) * j->size);
        }
    }
    return LODE_OK;
}

static bool fits(const lode_array *X, int64_t k)
{
    return WIDE && k > 0 && k % COLUMNS == 0 && k <= 4 * COLUMNS && lode_i_has_avx512() &&
           (X->dtype == LODE_F32 || X->dtype == LODE_F64) && lode_array_is_contiguous(X) &&
           lode_array_size(X) > 0;
}

static job job_of(const lode_array *X, const lode_array *W)
{
    return (job){ .x = lode_i_at(X, 0),
                  .w = lode_i_at(W, 0),
                  .m = X->shape[0],
                  .n = X->shape[1],
                  .k = W->shape[1],
                  .size = lode_dtype_size(X->dtype),
                  .single = X->dtype == LODE_F32 };
}

lode_status lode_i_narrow(lode_ctx *ctx, const lode_array *X, const lode_array *B, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    if (!fits(X, B->shape[1]) || !lode_array_is_contiguous(B))
        return lode_i_gemm(ctx, LODE_N, LODE_N, X, B, Y);
    job j = job_of(X, B);
    LODE_TRY(lode_i_matrix_new(ctx, X->dtype, j.m, j.k, &y));
    j.y = lode_i_at(&y, 0);
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(j.m, TASK_ROWS), forward, &j));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y);
    return st;
}

/* Parts of the sum over rows: their room is at most a quarter of X. */
static int64_t parts_of(int64_t m, int64_t k)
{
    return lode_i_max(1, lode_i_min(PARTS, m / (4 * k)));
}

lode_status lode_i_narrow_adjoint(lode_ctx *ctx, const lode_array *X, const lode_array *W,
                                  lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array parts = { 0 }, z = { 0 };
    if (!fits(X, W->shape[1]) || !lode_array_is_contiguous(W))
        return lode_i_gemm(ctx, LODE_T, LODE_N, X, W, Z);
    job j = job_of(X, W);
    j.rows = lode_i_ceil_div(j.m, parts_of(j.m, j.k));
    const int64_t count = lode_i_ceil_div(j.m, j.rows);
    j.pieces = lode_i_ceil_div(j.n, PIECE);
    LODE_TRY(lode_i_matrix_new(ctx, X->dtype, count * j.n, j.k, &parts));
    j.y = lode_i_at(&parts, 0);
    LODE_TRY(lode_i_parallel(ctx, count * j.pieces, adjoint, &j));
    LODE_TRY(lode_i_sum_parts(ctx, X->dtype, j.y, count, j.n * j.k));
    lode_array head = lode_i_rows(&parts, 0, j.n);
    const lode_status copied = lode_array_cast(ctx, &head, X->dtype, &z);
    LODE_FREE(&head);
    LODE_TRY(copied);
    lode_array_swap(Z, &z);
done:
    LODE_FREE(&parts, &z);
    return st;
}

uint64_t lode_i_narrow_room(lode_dtype dtype, int64_t m, int64_t n, int64_t k)
{
    return lode_i_bytes(dtype, (parts_of(m, k) + 1) * n, k) + lode_i_bytes(dtype, m, k);
}

/* ---- sums against columns ---- */

typedef struct fold {
    const void *t, *a;
    void *y;
    int64_t left, n, right, k, group, piece, pieces;
} fold;

#define REAL float
#define NAME(x) x##_f32
#include "linalg/narrow_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/narrow_kernel.inc"

static lode_status folds_f32(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    fold_task_f32(data, task);
    return LODE_OK;
}

static lode_status folds_f64(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    fold_task_f64(data, task);
    return LODE_OK;
}

lode_status lode_i_fold(lode_ctx *ctx, const lode_array *T, int mode, const lode_array *A,
                        lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    fold f = { .t = lode_i_at(T, 0), .a = lode_i_at(A, 0), .left = 1, .right = 1 };
    int ndim = 0;
    f.n = T->shape[mode], f.k = T->shape[T->ndim - 1];
    for (int i = 0; i < T->ndim; i++) {
        if (i < mode)
            f.left *= T->shape[i];
        else if (i > mode && i < T->ndim - 1)
            f.right *= T->shape[i];
        if (i != mode)
            shape[ndim++] = T->shape[i];
    }
    LODE_TRY(lode_array_zeros(ctx, T->dtype, ndim, shape, &y));
    f.y = lode_i_at(&y, 0);
    f.piece = lode_i_min(f.right, 64), f.pieces = lode_i_ceil_div(f.right, lode_i_max(f.piece, 1));
    f.group = lode_i_max(1, 32768 / lode_i_max(1, f.n * f.piece * f.k));
    if (lode_array_size(&y) > 0)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(f.left, f.group) * f.pieces,
                                 T->dtype == LODE_F32 ? folds_f32 : folds_f64, &f));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y);
    return st;
}
