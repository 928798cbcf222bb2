/* The fixed order of every long sum, and the engine that threads it. */
#include <assert.h>
#include <string.h>

#include "array/reduce.h"

#define NAME lanes_sum
#define ARGUMENTS const double *restrict x
#define TERM(i) x[i]
#include "array/reduce_kernel.inc"
#define NAME lanes_sumsq
#define ARGUMENTS const double *restrict x
#define TERM(i) (x[i] * x[i])
#include "array/reduce_kernel.inc"
#define NAME lanes_sumsq_f32
#define ARGUMENTS const float *restrict x
#define TERM(i) ((double)x[i] * (double)x[i])
#include "array/reduce_kernel.inc"
#define NAME lanes_sum_f32
#define ARGUMENTS const float *restrict x
#define TERM(i) (double)x[i]
#include "array/reduce_kernel.inc"
#define NAME lanes_scaled
#define ARGUMENTS const double *restrict x, double factor
#define TERM(i) (factor * x[i]) * (factor * x[i])
#include "array/reduce_kernel.inc"
#define NAME lanes_diff
#define ARGUMENTS const double *restrict x, const double *restrict y, double factor
#define TERM(i) (factor * x[i] - factor * y[i]) * (factor * x[i] - factor * y[i])
#include "array/reduce_kernel.inc"

#define NAME lanes_diff_f32
#define ARGUMENTS const float *restrict x, const float *restrict y
#define TERM(i) ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i])
#include "array/reduce_kernel.inc"

void lode_i_lanes_sum(double *lane, int64_t at, int64_t n, const double *x)
{
    lanes_sum(lane, at, n, x);
}

void lode_i_lanes_sumsq(double *lane, int64_t at, int64_t n, const double *x)
{
    lanes_sumsq(lane, at, n, x);
}

void lode_i_lanes_sumsq_f32(double *lane, int64_t at, int64_t n, const float *x)
{
    lanes_sumsq_f32(lane, at, n, x);
}

void lode_i_lanes_sum_f32(double *lane, int64_t at, int64_t n, const float *x)
{
    lanes_sum_f32(lane, at, n, x);
}

void lode_i_lanes_diff_f32(double *lane, int64_t at, int64_t n, const float *x, const float *y)
{
    lanes_diff_f32(lane, at, n, x, y);
}

void lode_i_lanes_scaled(double *lane, int64_t at, int64_t n, const double *x, double factor)
{
    lanes_scaled(lane, at, n, x, factor);
}

void lode_i_lanes_diff(double *lane, int64_t at, int64_t n, const double *x, const double *y,
                       double factor)
{
    lanes_diff(lane, at, n, x, y, factor);
}

/* ---- lode_sum ---- */

static double joined(const double l[8])
{
    return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
}

void lode_i_sum_block(lode_sum *s, double block)
{
    assert(s->fill == 0);
    int k = 0;
    for (; s->blocks >> k & 1; k++)
        block = s->level[k] + block;
    s->level[k] = block;
    s->blocks++;
}

static void close_block(lode_sum *s)
{
    s->fill = 0;
    lode_i_sum_block(s, joined(s->lane));
    memset(s->lane, 0, sizeof s->lane);
}

void lode_i_sum_push(lode_sum *s, const double *values, int64_t count)
{
    while (count > 0) {
        const int64_t n = lode_i_min(count, LODE_SUM_BLOCK - s->fill);
        lanes_sum(s->lane, s->fill, n, values);
        s->fill += n;
        values += n;
        count -= n;
        if (s->fill == LODE_SUM_BLOCK)
            close_block(s);
    }
}

double lode_i_sum_total(const lode_sum *s)
{
    double total = joined(s->lane);
    for (int k = 0; s->blocks >> k; k++)
        if (s->blocks >> k & 1)
            total = s->level[k] + total;
    return total;
}

/* ---- feeding: runs of any type and stride become contiguous f64 pieces ---- */

enum { PIECE = 1024, BATCH = 1024 };

typedef struct feeder {
    const lode_walk *walk;
    const lode_reduction *r;
    lode_i_part *part;
    int64_t at, fill; /* position of the buffer's start in the whole, values in it */
    double x[2 * PIECE], y[2 * PIECE];
} feeder;

static void flush(feeder *f)
{
    if (f->fill > 0)
        f->r->piece(f->r, f->part, f->at, f->fill, f->x, f->walk->operands > 1 ? f->y : NULL);
    f->at += f->fill;
    f->fill = 0;
}

static void feed_run(const lode_run *run, void *data)
{
    feeder *f = data;
    const lode_walk *w = f->walk;
    const lode_dtype wide = f->r->complex ? LODE_C128 : LODE_F64;
    bool direct = true, single = f->r->single && f->fill == 0;
    for (int k = 0; k < w->operands; k++) {
        const lode_dtype t = w->array[k]->dtype;
        direct = direct && t == wide && run->step[k] == 1;
        single = single && t == (f->r->complex ? LODE_C64 : LODE_F32) && run->step[k] == 1;
    }
    if (single && f->r->single(f->r, f->part, f->at, run->count, run->p[0],
                               w->operands > 1 ? run->p[1] : NULL)) {
        f->at += run->count;
        return;
    }
    for (int64_t i = 0; i < run->count;) {
        const void *p[2] = { NULL, NULL };
        for (int k = 0; k < w->operands; k++) {
            const lode_dtype t = w->array[k]->dtype;
            p[k] = (const char *)run->p[k] +
                   i * run->step[k] / lode_dtype_block(t) * (int64_t)lode_dtype_size(t);
        }
        const int64_t n = lode_i_min(PIECE - f->fill, run->count - i);
        if (direct && n == PIECE) {
            f->r->piece(f->r, f->part, f->at, n, p[0], p[1]);
            f->at += n;
        } else {
            const int64_t to = f->r->complex ? 2 * f->fill : f->fill;
            lode_i_convert(w->array[0]->dtype, p[0], run->step[0], wide, f->x + to, 1, n);
            if (w->operands > 1)
                lode_i_convert(w->array[1]->dtype, p[1], run->step[1], wide, f->y + to, 1, n);
            f->fill += n;
            if (f->fill == PIECE)
                flush(f);
        }
        i += n;
    }
}

static void feed(const lode_walk *w, const lode_reduction *r, int64_t from, int64_t to,
                 lode_i_part *part)
{
    feeder f;
    f.walk = w, f.r = r, f.part = part, f.at = r->seen + from, f.fill = 0;
    lode_i_walk_range(w, from, to, feed_run, &f);
    flush(&f);
}

/* ---- blocks ---- */

static void merge(const lode_reduction *r, const lode_i_part *p)
{
    if (r->most)
        *r->most = lode_i_larger(*r->most, p->most);
    if (r->stats)
        lode_i_stats_merge(r->stats, &p->stats);
    if (r->diff)
        lode_i_diff_merge(r->diff, &p->diff);
}

/* Values that do not fill a block of the whole: the lanes go on from where the last array left
 * them. */
static void stretch(const lode_walk *w, const lode_reduction *r, int64_t from, int64_t to)
{
    lode_i_part p = { .stats = { .first_nan = -1, .first_infinite = -1 }, .diff = { .at = -1 } };
    lode_sum *const sums[2] = { r->a, r->b };
    double *const lanes[2] = { p.a, p.b };
    if (from >= to)
        return;
    for (int k = 0; k < 2; k++)
        if (sums[k])
            memcpy(lanes[k], sums[k]->lane, sizeof p.a);
    feed(w, r, from, to, &p);
    for (int k = 0; k < 2; k++) {
        if (!sums[k])
            continue;
        memcpy(sums[k]->lane, lanes[k], sizeof p.a);
        sums[k]->fill += to - from;
        if (sums[k]->fill == LODE_SUM_BLOCK)
            close_block(sums[k]);
    }
    merge(r, &p);
}

typedef struct block_job {
    const lode_walk *walk;
    const lode_reduction *r;
    int64_t from;
    lode_i_part *parts;
} block_job;

static lode_status run_block(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const block_job *job = data;
    lode_i_part *p = &job->parts[i];
    *p = (lode_i_part){ .stats = { .first_nan = -1, .first_infinite = -1 }, .diff = { .at = -1 } };
    const int64_t from = job->from + i * LODE_SUM_BLOCK;
    feed(job->walk, job->r, from, from + LODE_SUM_BLOCK, p);
    return LODE_OK;
}

lode_status lode_i_reduce(lode_ctx *ctx, lode_reduction *r, int operands,
                          const lode_array *const *arrays)
{
    lode_status st = LODE_OK;
    lode_i_part *parts = NULL;
    lode_walk w;
    lode_i_walk_init(&w, false, operands, arrays);
    const int64_t open = r->seen % LODE_SUM_BLOCK;
    const int64_t head = open ? lode_i_min(w.size, LODE_SUM_BLOCK - open) : 0;
    const int64_t blocks = (w.size - head) / LODE_SUM_BLOCK;
    if (blocks > 0)
        LODE_TRY(LODE_NEW(ctx, lode_i_min(blocks, BATCH), &parts));
    stretch(&w, r, 0, head);
    for (int64_t b = 0; b < blocks; b += BATCH) {
        const int64_t n = lode_i_min(BATCH, blocks - b);
        block_job job = { &w, r, head + b * LODE_SUM_BLOCK, parts };
        LODE_TRY(lode_i_parallel(ctx, n, run_block, &job));
        for (int64_t i = 0; i < n; i++) {
            if (r->a)
                lode_i_sum_block(r->a, joined(parts[i].a));
            if (r->b)
                lode_i_sum_block(r->b, joined(parts[i].b));
            merge(r, &parts[i]);
        }
    }
    stretch(&w, r, head + blocks * LODE_SUM_BLOCK, w.size);
    r->seen += w.size;
done:
    lode_i_free(parts);
    return st;
}
