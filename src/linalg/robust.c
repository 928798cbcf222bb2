/* What takes a matrix apart into one of low rank and one of few entries meets of it: a block of rows of
 * left right^T at a time, in cache. */
#include "linalg/robust.h"

#include <float.h>
#include <math.h>

#include "linalg/blas.h"

enum { BLOCK_VALUES = 1 << 15, SUMS = 3 };

typedef enum pass {
    STEP,
    BEGIN,
    REPLACE,
    REST,
    OUTLIERS,
    MEASURE,
    INNER,
    HIDE,
    ADD,
    COUNT,
    FILL
} pass;
typedef struct job {
    pass pass;
    const lode_array *X, *left, *right, *Yread;
    lode_array *Y, *W;
    const lode_sparse *S;
    lode_i_robust_rule rule;
    double zeta; /* of BEGIN: the share */
    int64_t m, n, k, rows;
    int64_t from[2]; /* of ADD: where the box begins */
    char *rooms;
    size_t room_bytes;
    double *sums; /* SUMS a task */
    int64_t *start, *column;
    lode_array *values;
    bool single;
} job;

#define REAL float
#define REAL_MOST FLT_MAX
#define NAME(x) x##_f32
#include "linalg/robust_kernel.inc"
#define REAL double
#define REAL_MOST DBL_MAX
#define NAME(x) x##_f64
#include "linalg/robust_kernel.inc"

/* Rows i0 .. of L into the worker's room. */
static void form(const job *w, int64_t i0, int64_t rows, void *room)
{
    const lode_dtype t = w->X->dtype;
    if (w->k == 0) {
        memset(room, 0, (size_t)(rows * w->n) * lode_dtype_size(t));
        return;
    }
    const lode_i_operand a = lode_i_operand_within(lode_i_at(w->left, i0 * w->k), t, rows, w->k,
                                                   w->k),
                         v = lode_i_operand_within(lode_i_at(w->right, 0), t, w->n, w->k, w->k),
                         b = lode_i_operand_transposed(&v);
    lode_i_blas_gemm(1, &a, &b, 0, room, w->n);
}

static void measure_rows(const job *w, int64_t i0, int64_t rows, char *room, double *sum)
{
    const size_t size = w->single ? sizeof(float) : sizeof(double);
    const int64_t *start = lode_i_at(&w->S->indptr, 0), *column = lode_i_at(&w->S->indices, 0);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t from = start[i0 + r], count = start[i0 + r + 1] - from;
        const void *x = lode_i_at(w->X, (i0 + r) * w->n), *s = lode_i_at(&w->S->values, from);
        char *l = room + (size_t)(r * w->n) * size;
        if (w->single)
            measure_f32(w, w->n, x, l, count, column + from, s, sum);
        else
            measure_f64(w, w->n, x, l, count, column + from, s, sum);
    }
}

static void compress_rows(const job *w, int64_t i0, int64_t rows)
{
    for (int64_t i = i0; i < i0 + rows; i++) {
        const void *z = lode_i_at(w->W, i * w->n);
        int64_t *column = w->pass == FILL ? w->column + w->start[i] : NULL;
        void *v = w->pass == FILL ? lode_i_at(w->values, w->start[i]) : NULL;
        const int64_t count = w->single ? compress_f32(w->n, z, column, v)
                                        : compress_f64(w->n, z, column, v);
        if (w->pass == COUNT)
            w->start[i + 1] = count;
    }
}

static void add_rows(const job *w, int64_t i0, int64_t rows)
{
    const int64_t *start = lode_i_at(&w->S->indptr, 0), *column = lode_i_at(&w->S->indices, 0);
    for (int64_t i = i0; i < i0 + rows; i++) {
        const int64_t at = start[w->from[0] + i], count = start[w->from[0] + i + 1] - at;
        const void *s = lode_i_at(&w->S->values, at);
        void *y = lode_i_at(w->W, i * w->n);
        if (w->single)
            add_f32(count, w->from[1], w->n, column + at, s, y);
        else
            add_f64(count, w->from[1], w->n, column + at, s, y);
    }
}

static lode_status task(lode_ctx *ctx, int64_t t, void *data)
{
    const job *w = data;
    const int64_t i0 = t * w->rows, rows = lode_i_min(w->rows, w->m - i0), count = rows * w->n;
    char *room = w->rooms ? w->rooms + (size_t)lode_i_worker(ctx) * w->room_bytes : NULL;
    double *sum = w->sums ? w->sums + SUMS * t : NULL;
    const void *x = w->X ? lode_i_at(w->X, i0 * w->n) : NULL;
    const void *yread = w->Yread ? lode_i_at(w->Yread, i0 * w->n) : NULL;
    void *y = w->Y ? lode_i_at(w->Y, i0 * w->n) : NULL;
    void *z = w->W ? lode_i_at(w->W, i0 * w->n) : NULL;
    if (room)
        form(w, i0, rows, room);
#define CALL(name, ...) (w->single ? name##_f32(__VA_ARGS__) : name##_f64(__VA_ARGS__))
    switch (w->pass) {
    case STEP: CALL(step, w, count, x, room, y, z, sum); break;
    case BEGIN: CALL(begin, w, count, x, y, z); break;
    case REPLACE: CALL(replace, w, count, x, room, z, sum); break;
    case REST: CALL(rest, count, x, room, z); break;
    case OUTLIERS: CALL(outliers, w, count, x, room, yread, z); break;
    case INNER: CALL(inner, count, x, yread, sum); break;
    case HIDE: CALL(hide, count, w->zeta, yread, z); break;
    case ADD: add_rows(w, i0, rows); break;
    case MEASURE: measure_rows(w, i0, rows, room, sum); break;
    default: compress_rows(w, i0, rows);
    }
#undef CALL
    return LODE_OK;
}

/* All blocks of rows; sums (or NULL) are joined in the order of the rows. */
static lode_status walk(lode_ctx *ctx, job *w, lode_i_robust_sums *sums)
{
    lode_status st = LODE_OK;
    const lode_array *shape = w->X ? w->X : w->W;
    w->m = shape->shape[0], w->n = shape->shape[1], w->single = shape->dtype == LODE_F32;
    w->k = w->left ? w->left->shape[1] : 0;
    w->rows = lode_i_max(1, BLOCK_VALUES / lode_i_max(w->n, 1));
    const int64_t tasks = lode_i_ceil_div(w->m, w->rows);
    lode_sum total[SUMS] = { 0 };
    void *rooms = NULL, *parts = NULL;
    if (w->left) {
        w->room_bytes = ((size_t)(w->rows * w->n) * lode_dtype_size(shape->dtype) + 63) / 64 * 64;
        LODE_TRY(lode_i_alloc(ctx, (size_t)lode_ctx_threads(ctx) * w->room_bytes, &rooms));
        w->rooms = rooms;
    }
    if (sums) {
        LODE_TRY(lode_i_calloc(ctx, (size_t)(SUMS * tasks + 1) * sizeof(double), &parts));
        w->sums = parts;
    }
    if (w->n > 0)
        LODE_TRY(lode_i_parallel(ctx, tasks, task, w));
    for (int64_t t = 0; sums && t < tasks; t++)
        for (int i = 0; i < SUMS; i++)
            lode_i_sum_push(&total[i], &w->sums[SUMS * t + i], 1);
    if (sums)
        *sums = (lode_i_robust_sums){ lode_i_sum_total(&total[0]), lode_i_sum_total(&total[1]),
                                      lode_i_sum_total(&total[2]) };
done:
    lode_i_free(rooms);
    lode_i_free(parts);
    return st;
}

static job job_of(pass which, const lode_i_robust *x)
{
    return (job){ .pass = which, .X = x->X, .left = x->left, .right = x->right };
}

lode_status lode_i_robust_step(lode_ctx *ctx, const lode_i_robust *x,
                               const lode_i_robust_rule *rule, lode_array *Y, lode_array *W,
                               lode_i_robust_sums *sums)
{
    job w = job_of(STEP, x);
    w.rule = *rule, w.Y = Y, w.W = W;
    return walk(ctx, &w, sums);
}

lode_status lode_i_robust_begin(lode_ctx *ctx, const lode_array *X, double share,
                                const lode_i_robust_rule *rule, lode_array *Y, lode_array *W)
{
    job w = { .pass = BEGIN, .X = X, .rule = *rule, .zeta = share, .Y = Y, .W = W };
    return walk(ctx, &w, NULL);
}

lode_status lode_i_robust_replace(lode_ctx *ctx, const lode_i_robust *x, double zeta, lode_array *W,
                                  lode_i_robust_sums *sums)
{
    job w = job_of(REPLACE, x);
    w.zeta = zeta, w.W = W;
    return walk(ctx, &w, sums);
}

lode_status lode_i_robust_rest(lode_ctx *ctx, const lode_i_robust *x, lode_array *W)
{
    job w = job_of(REST, x);
    w.W = W;
    return walk(ctx, &w, NULL);
}

lode_status lode_i_robust_outliers(lode_ctx *ctx, const lode_i_robust *x,
                                   const lode_i_robust_rule *rule, const lode_array *Y, double zeta,
                                   lode_array *W)
{
    job w = job_of(OUTLIERS, x);
    w.rule = *rule, w.Yread = Y, w.zeta = zeta, w.W = W;
    return walk(ctx, &w, NULL);
}

lode_status lode_i_robust_measure(lode_ctx *ctx, const lode_i_robust *x, const lode_sparse *S,
                                  const lode_i_robust_rule *rule, lode_i_robust_sums *sums)
{
    job w = job_of(MEASURE, x);
    w.rule = *rule, w.S = S;
    return walk(ctx, &w, sums);
}

lode_status lode_i_robust_inner(lode_ctx *ctx, const lode_array *X, const lode_array *Y,
                                lode_i_robust_sums *sums)
{
    job w = { .pass = INNER, .X = X, .Yread = Y };
    return walk(ctx, &w, sums);
}

lode_status lode_i_robust_hide(lode_ctx *ctx, const lode_array *mask, double value, lode_array *X)
{
    job w = { .pass = HIDE, .Yread = mask, .zeta = value, .W = X };
    return walk(ctx, &w, NULL);
}

lode_status lode_i_robust_add(lode_ctx *ctx, const lode_sparse *S, const int64_t *start,
                              lode_array *out)
{
    job w = { .pass = ADD, .S = S, .W = out, .from = { start[0], start[1] } };
    return walk(ctx, &w, NULL);
}

lode_status lode_i_robust_compress(lode_ctx *ctx, const lode_array *W, lode_sparse *S)
{
    lode_status st = LODE_OK;
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2 };
    lode_array view = *W; /* borrowed; read only */
    const int64_t m = W->shape[0], rows = m + 1;
    s.shape[0] = m, s.shape[1] = W->shape[1];
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &rows, &s.indptr));
    job w = { .pass = COUNT, .W = &view, .start = lode_i_at(&s.indptr, 0) };
    LODE_TRY(walk(ctx, &w, NULL));
    for (int64_t i = 0; i < m; i++)
        w.start[i + 1] += w.start[i];
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, w.start[m], &s.indices));
    LODE_TRY(lode_i_vector_new(ctx, W->dtype, w.start[m], &s.values));
    w.pass = FILL, w.column = lode_i_at(&s.indices, 0), w.values = &s.values;
    LODE_TRY(walk(ctx, &w, NULL));
    const lode_sparse old = *S;
    *S = s, s = old;
done:
    LODE_FREE(&s);
    return st;
}
