/* Column means in a fixed order: rows in blocks of 256, block sums joined pairwise like the carries
 * of a binary counter. A task takes 2^k blocks, so the tree does not depend on how rows were dealt
 * out. */
#include <string.h>

#include "array/walk.h"

enum { ROWS = 256, TASKS = 64, PIECE = 512 };

typedef struct means_job {
    const lode_array *a;
    int parts;     /* reals in a value */
    int64_t width; /* reals in a row */
    int64_t task_rows;
    double *sums; /* width for each task */
} means_job;

LODE_CLONES static void add_to(double *restrict sum, const double *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

LODE_CLONES static void add_f32(double *restrict sum, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += (double)x[i];
}

static void add_row(const means_job *job, int64_t row, double *sum)
{
    const lode_array *a = job->a;
    const int64_t cols = a->shape[1], at = row * a->strides[0], step = a->strides[1];
    const lode_dtype wide = job->parts == 2 ? LODE_C128 : LODE_F64;
    if (step == 1 && a->dtype == wide) {
        add_to(sum, lode_i_at(a, at), job->width);
        return;
    }
    if (step == 1 && lode_i_is_single(a->dtype)) {
        add_f32(sum, lode_i_at(a, at), job->width);
        return;
    }
    double piece[2 * PIECE];
    for (int64_t j = 0; j < cols; j += PIECE) {
        const int64_t n = lode_i_min(PIECE, cols - j);
        lode_i_convert(a->dtype, lode_i_at(a, at + j * step), step, wide, piece, 1, n);
        add_to(sum + j * job->parts, piece, n * job->parts);
    }
}

/* level + newer, into newer's place: level holds the earlier rows. */
static void join(const double *level, double *newer, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        newer[i] = level[i] + newer[i];
}

/* A counter of vectors: bit k of count says that level k is in use. */
static void carry(double *levels, int64_t *count, double *sum, int64_t width)
{
    int64_t k = 0;
    for (; *count >> k & 1; k++)
        join(levels + k * width, sum, width);
    memcpy(levels + k * width, sum, (size_t)width * sizeof *sum);
    ++*count;
}

static void total(const double *levels, int64_t count, double *sum, int64_t width)
{
    bool first = true;
    for (int64_t k = 0; count >> k; k++) {
        if (!(count >> k & 1))
            continue;
        if (first)
            memcpy(sum, levels + k * width, (size_t)width * sizeof *sum);
        else
            join(levels + k * width, sum, width);
        first = false;
    }
}

static int64_t bits(int64_t count)
{
    int64_t k = 0;
    while (count >> k)
        k++;
    return k + 1;
}

static lode_status sum_rows(lode_ctx *ctx, int64_t task, void *data)
{
    lode_status st = LODE_OK;
    const means_job *job = data;
    const int64_t width = job->width, from = task * job->task_rows;
    const int64_t to = lode_i_min(from + job->task_rows, job->a->shape[0]);
    double *levels = NULL;
    double *sum = job->sums + task * width;
    int64_t count = 0;
    LODE_TRY(LODE_NEW(ctx, bits(lode_i_ceil_div(to - from, ROWS)) * width, &levels));
    for (int64_t i = from; i < to; i += ROWS) {
        LODE_TRY(lode_i_cancelled(ctx));
        memset(sum, 0, (size_t)width * sizeof *sum);
        for (int64_t r = i; r < lode_i_min(i + ROWS, to); r++)
            add_row(job, r, sum);
        carry(levels, &count, sum, width);
    }
    total(levels, count, sum, width);
done:
    lode_i_free(levels);
    return st;
}

lode_status lode_i_col_means(lode_ctx *ctx, const lode_array *a, lode_array *mean)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    double *sums = NULL, *levels = NULL;
    LODE_REQUIRE(a->ndim == 2, LODE_ESHAPE,
                 "column means take a matrix, not an array of %d dimensions", (int)a->ndim);
    const int64_t rows = a->shape[0], cols = a->shape[1];
    const bool complex = lode_i_is_complex(a->dtype);
    means_job job = { .a = a, .parts = complex ? 2 : 1, .task_rows = ROWS };
    job.width = cols * job.parts;
    LODE_REQUIRE(rows > 0, LODE_ESHAPE, "column means of a matrix without rows are not defined");
    LODE_TRY(lode_i_vector_new(ctx, complex ? LODE_C128 : LODE_F64, cols, &y));
    if (cols > 0) {
        while (lode_i_ceil_div(rows, job.task_rows) > TASKS)
            job.task_rows *= 2;
        const int64_t tasks = lode_i_ceil_div(rows, job.task_rows);
        int64_t count = 0;
        LODE_TRY(LODE_NEW(ctx, tasks * job.width, &sums));
        LODE_TRY(LODE_NEW(ctx, bits(tasks) * job.width, &levels));
        job.sums = sums;
        LODE_TRY(lode_i_parallel(ctx, tasks, sum_rows, &job));
        for (int64_t t = 0; t < tasks; t++)
            carry(levels, &count, sums + t * job.width, job.width);
        double *m = y.data;
        total(levels, count, m, job.width);
        for (int64_t j = 0; j < job.width; j++)
            m[j] /= (double)rows;
    }
    lode_array_swap(mean, &y);
done:
    lode_i_free(sums);
    lode_i_free(levels);
    lode_array_free(&y);
    return st;
}
