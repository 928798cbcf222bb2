/* Surveys, gaps and shuffles of a matrix that is met by blocks of rows. */
#include "array/survey.h"

#include <math.h>
#include <string.h>

enum { PANEL = 16, ROWS = 64, SHUFFLED = 64 };

typedef struct survey_part {
    double min, max;
    int64_t observed;
    bool bad;
} survey_part;

static inline bool gap(const lode_gaps *gaps, double v)
{
    return gaps->allowed && (isnan(v) || v == gaps->value);
}

#define NAME(x) f32_##x
#define REAL float
#include "array/survey_kernel.inc"
#define NAME(x) f64_##x
#define REAL double
#include "array/survey_kernel.inc"

/* ---- survey ---- */

lode_status lode_i_survey_start(lode_ctx *ctx, int64_t cols, lode_survey *s)
{
    const size_t n = (size_t)lode_i_max(cols, 1);
    *s = (lode_survey){ .cols = cols, .min = INFINITY, .max = -INFINITY, .empty_row = -1 };
    LODE_FORWARD(lode_i_calloc(ctx, n * sizeof *s->sum, (void **)&s->sum));
    return lode_i_calloc(ctx, n * sizeof *s->count, (void **)&s->count);
}

void lode_i_survey_free(lode_survey *s)
{
    lode_i_free(s->sum);
    lode_i_free(s->count);
    s->sum = NULL, s->count = NULL;
}

typedef struct survey_job {
    const lode_array *block;
    const lode_gaps *gaps;
    lode_survey *s;
    survey_part *part; /* one a panel */
} survey_job;

static lode_status survey_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const survey_job *job = data;
    const lode_array *b = job->block;
    const int64_t from = task * PANEL, to = lode_i_min(from + PANEL, b->shape[1]);
    survey_part *part = &job->part[task];
    *part = (survey_part){ .min = INFINITY, .max = -INFINITY };
    part->bad = b->dtype == LODE_F32 ? !f32_panel(b->data, b->shape[0], b->shape[1], from, to,
                                                  job->gaps, part, job->s->sum, job->s->count)
                                     : !f64_panel(b->data, b->shape[0], b->shape[1], from, to,
                                                  job->gaps, part, job->s->sum, job->s->count);
    return LODE_OK;
}

static double value_at(const lode_array *a, int64_t i)
{
    return a->dtype == LODE_F32 ? (double)((const float *)a->data)[i]
                                : ((const double *)a->data)[i];
}

/* The first value that may not be there, in the order of the rows. */
static lode_status name_bad(lode_ctx *ctx, const lode_array *b, const lode_gaps *gaps,
                            const char *name, int64_t above)
{
    const int64_t n = b->shape[0] * b->shape[1], cols = b->shape[1];
    for (int64_t i = 0; i < n; i++) {
        const double v = value_at(b, i);
        if (!gap(gaps, v) && !isfinite(v))
            return lode_i_fail(ctx, LODE_EDOMAIN, "%s[%" PRId64 ",%" PRId64 "] is %s%s", name,
                               above + i / cols, i % cols, isnan(v) ? "nan" : "infinite",
                               isnan(v) ? "; --missing nan takes it as missing" : "");
    }
    return LODE_OK;
}

static void find_empty_row(const lode_array *b, const lode_gaps *gaps, lode_survey *s)
{
    const int64_t cols = b->shape[1];
    for (int64_t i = 0; i < b->shape[0] && s->empty_row < 0; i++) {
        int64_t j = 0;
        while (j < cols && gap(gaps, value_at(b, i * cols + j)))
            j++;
        if (j == cols)
            s->empty_row = s->rows + i;
    }
}

lode_status lode_i_survey_push(lode_ctx *ctx, const lode_array *block, const lode_gaps *gaps,
                               const char *name, lode_survey *s)
{
    lode_status st = LODE_OK;
    survey_job job = { .block = block, .gaps = gaps, .s = s };
    const int64_t tasks = lode_i_ceil_div(block->shape[1], PANEL);
    int64_t observed = 0;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(tasks, 1), &job.part));
    LODE_TRY(lode_i_parallel(ctx, block->shape[0] > 0 ? tasks : 0, survey_task, &job));
    for (int64_t t = 0; t < tasks && block->shape[0] > 0; t++) {
        if (job.part[t].bad)
            LODE_TRY(name_bad(ctx, block, gaps, name, s->rows));
        s->min = fmin(s->min, job.part[t].min);
        s->max = fmax(s->max, job.part[t].max);
        observed += job.part[t].observed;
    }
    s->maxabs = fmax(fabs(s->min), fabs(s->max));
    s->observed += observed;
    if (observed < lode_array_size(block))
        find_empty_row(block, gaps, s);
    s->rows += block->shape[0];
done:
    lode_i_free(job.part);
    return st;
}

/* ---- gaps ---- */

typedef struct fill_job {
    lode_array *block, *seen;
    const lode_gaps *gaps;
    const double *mean;
    double scale;
} fill_job;

static lode_status fill_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const fill_job *job = data;
    const int64_t cols = job->block->shape[1];
    const int64_t end = lode_i_min((task + 1) * ROWS, job->block->shape[0]);
    for (int64_t i = task * ROWS; i < end; i++) {
        void *seen = job->seen ? lode_i_at(job->seen, i * cols) : NULL;
        void *row = lode_i_at(job->block, i * cols);
        if (job->block->dtype == LODE_F32)
            f32_fill(row, seen, cols, job->gaps, job->mean, job->scale);
        else
            f64_fill(row, seen, cols, job->gaps, job->mean, job->scale);
    }
    return LODE_OK;
}

lode_status lode_i_fill_gaps(lode_ctx *ctx, lode_array *block, const lode_gaps *gaps,
                             const double *mean, double scale, lode_array *seen)
{
    lode_status st = LODE_OK;
    lode_array mask = { 0 };
    if (seen)
        LODE_TRY(lode_i_matrix_new(ctx, block->dtype, block->shape[0], block->shape[1], &mask));
    fill_job job = { block, seen ? &mask : NULL, gaps, mean, scale };
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(block->shape[0], ROWS), fill_task, &job));
    if (seen)
        lode_array_swap(seen, &mask);
done:
    lode_array_free(&mask);
    return st;
}

typedef struct low_job {
    lode_array *block;
    const lode_array *seen, *Y, *V;
} low_job;

static lode_status low_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const low_job *job = data;
    const int64_t cols = job->block->shape[1], rank = job->Y->shape[1];
    const int64_t end = lode_i_min((task + 1) * ROWS, job->block->shape[0]);
    for (int64_t i = task * ROWS; i < end; i++) {
        void *row = lode_i_at(job->block, i * cols);
        const void *seen = lode_i_at(job->seen, i * cols), *y = lode_i_at(job->Y, i * rank);
        if (job->block->dtype == LODE_F32)
            f32_low(row, seen, cols, y, job->V->data, rank);
        else
            f64_low(row, seen, cols, y, job->V->data, rank);
    }
    return LODE_OK;
}

lode_status lode_i_fill_low_rank(lode_ctx *ctx, lode_array *block, const lode_array *seen,
                                 const lode_array *Y, const lode_array *V)
{
    low_job job = { block, seen, Y, V };
    return lode_i_parallel(ctx, lode_i_ceil_div(block->shape[0], ROWS), low_task, &job);
}

/* ---- shuffles ---- */

typedef struct shuffle_job {
    lode_stream stream;
    const lode_array *A;
    bool signs;
    lode_array *Y;
} shuffle_job;

/* Fisher and Yates, from the last value down; a word gives the place (by multiplication, whose bias
 * is n / 2^31) and a sign. A column's words follow each other in the stream. */
static void shuffle(lode_stream s, int64_t column, int64_t n, bool signs, float *x)
{
    const uint64_t blocks = (uint64_t)lode_i_ceil_div(n, 4), first = (uint64_t)column * blocks;
    const uint32_t sign = signs;
    uint32_t w[4] = { 0 };
    for (int64_t i = n - 1, at = 0; i >= 0; i--, at++) {
        if (at % 4 == 0)
            lode_i_random_block(s, first + (uint64_t)(at / 4), w);
        const uint32_t word = w[at % 4];
        const int64_t k = (int64_t)(((uint64_t)(word >> 1) * (uint64_t)(i + 1)) >> 31);
        const float moved = x[k];
        x[k] = x[i];
        x[i] = moved * (float)(1 - 2 * (int)(word & sign)); /* without a branch on a random bit */
    }
}

static lode_status shuffle_task(lode_ctx *ctx, int64_t task, void *data)
{
    lode_status st = LODE_OK;
    const shuffle_job *job = data;
    const lode_array *A = job->A;
    const int64_t m = A->shape[0], n = A->shape[1], from = task * SHUFFLED;
    const int64_t width = lode_i_min(SHUFFLED, n - from);
    float *panel = NULL, *y = job->Y->data;
    LODE_TRY(LODE_NEW(ctx, m * width, &panel));
    if (A->dtype == LODE_F32)
        f32_take((const float *)A->data + from, m, n, width, panel);
    else
        f64_take((const double *)A->data + from, m, n, width, panel);
    for (int64_t j = 0; j < width; j++)
        shuffle(job->stream, from + j, m, job->signs, panel + j * m);
    for (int64_t r = 0; r < m; r += PANEL) /* a square of a panel stays in the first cache */
        for (int64_t j = 0; j < width; j++)
            for (int64_t i = r; i < lode_i_min(r + PANEL, m); i++)
                y[i * n + from + j] = panel[j * m + i];
done:
    lode_i_free(panel);
    return st;
}

lode_status lode_i_shuffle_columns(lode_ctx *ctx, lode_stream s, const lode_array *A, bool signs,
                                   lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    shuffle_job job = { s, A, signs, &y };
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F32, A->shape[0], A->shape[1], &y));
    LODE_TRY(lode_i_parallel(ctx, A->shape[0] > 0 ? lode_i_ceil_div(A->shape[1], SHUFFLED) : 0,
                             shuffle_task, &job));
    lode_array_swap(Y, &y);
done:
    lode_array_free(&y);
    return st;
}
