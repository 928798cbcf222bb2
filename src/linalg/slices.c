/* Slices of observed entries on all workers: rows of a factor by least squares, products, residuals. A task
 * takes the slices that begin within so many entries, so that the work is even and its cut follows from
 * the data alone. */
#include "linalg/slices.h"

#include <math.h>
#include <string.h>

#include "linalg/small.h"

enum { CHUNK = 256, QUOTA = 1 << 14, SIGNS = 2, LANES = 8, AHEAD = 16, LINE = 64 };

/* What a slice's work needs; the same for all. */
typedef struct job {
    const int64_t *start;
    const uint32_t *index;
    const void *value, *weight, *other[LODE_MAX_NDIM];
    void *own, *out; /* factor of the mode; result */
    const double *scale;
    int64_t slices, count, k, ld, buckets;
    int others;
    bool single;
    double least; /* pivots below it are rounding */
    const lode_i_row_rule *rule;
    char *rooms; /* one a worker */
    size_t room_bytes;
    double *sums;           /* of each task; NULL: not wanted */
    lode_i_row_cost *costs; /* of each task */
} job;

/* A worker's scratch. */
typedef struct room {
    void *H, *V, *a, *r;         /* CHUNK x ld, CHUNK x ld, ld, CHUNK of the type */
    double *G, *S;               /* ld x ld; buckets x ld */
    double *b, *row, *p, *q, *z; /* ld each */
    double sum;
    lode_i_row_cost cost;
} room;

static int64_t padded(int64_t k)
{
    return lode_i_ceil_div(k, LANES) * LANES;
}

static int64_t buckets_of(int64_t k)
{
    return 4 * k;
}

static size_t room_bytes(lode_dtype dtype, int64_t k, bool sketch)
{
    const int64_t ld = padded(k);
    return (size_t)((2 * CHUNK + 1) * ld + CHUNK) * lode_dtype_size(dtype) +
           (size_t)(ld * ld + 5 * ld + (sketch ? buckets_of(k) * ld : 0)) * sizeof(double) + 128;
}

uint64_t lode_i_observed_room(const lode_ctx *ctx, lode_dtype dtype, int64_t k)
{
    return (uint64_t)lode_ctx_threads(ctx) * room_bytes(dtype, k, true) + 65536;
}

static room room_of(const job *w, int worker)
{
    char *at = w->rooms + (size_t)worker * w->room_bytes;
    const size_t size = w->single ? sizeof(float) : sizeof(double);
    const size_t ld = (size_t)w->ld;
    room m = { .G = (double *)(void *)at };
    m.b = m.G + ld * ld, m.row = m.b + ld, m.p = m.row + ld, m.q = m.p + ld, m.z = m.q + ld;
    m.S = m.z + ld;
    at = (char *)(m.S + (size_t)w->buckets * ld);
    m.H = at, m.V = at + CHUNK * ld * size;
    m.a = at + 2 * CHUNK * ld * size, m.r = at + (2 * CHUNK + 1) * ld * size;
    return m;
}

/* ---- regressions, beyond their sums ---- */

static double exact_flops(double n, double k)
{
    return n * k * (k + 3) + k * k * k / 3 + 2 * k * k;
}

static double sketch_flops(const job *w, double n, double k)
{
    const double buckets = (double)w->buckets;
    return 2 * SIGNS * n * k + buckets * k * k + k * k * k / 3 +
           (w->rule->refinements + 1) * (4 * n * k + 2 * k * k);
}

static bool sketch_pays(const job *w, int64_t n)
{
    return w->buckets > 0 && n > w->buckets &&
           sketch_flops(w, (double)n, (double)w->k) < exact_flops((double)n, (double)w->k);
}

static void tally(const job *w, room *m, int64_t n, bool sketched)
{
    const double k = (double)w->k;
    m->cost.flops += sketched ? sketch_flops(w, (double)n, k) : exact_flops((double)n, k);
    m->cost.sketched += sketched;
}

static void gram_of_sketch(const job *w, room *m)
{
    const int64_t ld = w->ld, k = w->k;
    memset(m->G, 0, (size_t)(ld * ld) * sizeof *m->G);
    for (int64_t s = 0; s < w->buckets; s++) {
        const double *row = m->S + s * ld;
        for (int64_t r = 0; r < k; r++)
            for (int64_t c = 0; c <= r; c++)
                m->G[r * ld + c] += row[r] * row[c];
    }
    for (int64_t c = 0; c < k; c++)
        m->G[c * ld + c] += w->rule->ridge;
}

static void solve_row(const job *w, room *m)
{
    const int64_t ld = w->ld, k = w->k;
    for (int64_t c = 0; c < k; c++)
        m->G[c * ld + c] += w->rule->ridge;
    if (w->rule->nonneg || w->rule->l1 > 0) {
        lode_i_small_descend(m->G, k, ld, m->b, 0, w->rule->l1, w->rule->nonneg, w->rule->steps,
                             m->row);
        return;
    }
    lode_i_small_factor(m->G, k, ld, w->least);
    lode_i_small_solve(m->G, k, ld, m->b);
    memcpy(m->row, m->b, (size_t)k * sizeof *m->row);
}

#define REAL float
#define NAME(x) x##_f32
#include "linalg/slices_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/slices_kernel.inc"

/* ---- tasks ---- */

/* First slice that begins at entry e or later. */
static int64_t slice_from(const job *w, int64_t e)
{
    int64_t low = 0, high = w->slices;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (w->start[middle] < e)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef void (*slice_fn)(const job *w, room *m, int64_t i);

static lode_status each_slice(lode_ctx *ctx, int64_t task, const job *w, slice_fn single,
                              slice_fn dbl)
{
    room m = room_of(w, lode_i_worker(ctx));
    const int64_t last = w->count / QUOTA;
    const int64_t stop = task == last ? w->slices : slice_from(w, (task + 1) * QUOTA);
    const slice_fn fn = w->single ? single : dbl;
    for (int64_t i = slice_from(w, task * QUOTA); i < stop; i++)
        fn(w, &m, i);
    if (w->sums)
        w->sums[task] = m.sum;
    if (w->costs)
        w->costs[task] = m.cost;
    return LODE_OK;
}

static lode_status rows_task(lode_ctx *ctx, int64_t task, void *data)
{
    return each_slice(ctx, task, data, row_f32, row_f64);
}

static lode_status products_task(lode_ctx *ctx, int64_t task, void *data)
{
    return each_slice(ctx, task, data, products_f32, products_f64);
}

static lode_status differences_task(lode_ctx *ctx, int64_t task, void *data)
{
    return each_slice(ctx, task, data, differences_f32, differences_f64);
}

static lode_status prepare(lode_ctx *ctx, const lode_i_observed *x, int mode,
                           const lode_array *factor, const lode_i_row_rule *rule, job *w)
{
    const lode_i_slices *s = &x->mode[mode];
    *w = (job){ .start = lode_i_at(&s->start, 0),
                .index = lode_i_at(&s->index, 0),
                .value = lode_i_at(&s->value, 0),
                .weight = s->weight.data ? lode_i_at(&s->weight, 0) : NULL,
                .own = lode_i_at(&factor[mode], 0),
                .slices = x->shape[mode],
                .count = x->count,
                .k = factor[mode].shape[1],
                .single = x->dtype == LODE_F32,
                .least = x->dtype == LODE_F32 ? 1e-6 : 1e-14,
                .rule = rule };
    for (int m = 0; m < x->ndim; m++)
        if (m != mode)
            w->other[w->others++] = lode_i_at(&factor[m], 0);
    const bool sketch = rule && rule->refinements > 0 && !rule->nonneg && !(rule->l1 > 0);
    w->ld = padded(w->k);
    w->buckets = sketch ? buckets_of(w->k) : 0;
    w->room_bytes = (room_bytes(x->dtype, w->k, sketch) + 63) / 64 * 64;
    return lode_i_calloc(ctx, (size_t)lode_ctx_threads(ctx) * w->room_bytes, (void **)&w->rooms);
}

static int64_t tasks_of(const job *w)
{
    return w->count / QUOTA + 1;
}

lode_status lode_i_observed_rows(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                 lode_array *factor, const lode_i_row_rule *rule, double *sumsq,
                                 lode_i_row_cost *cost)
{
    lode_status st = LODE_OK;
    job w = { 0 };
    LODE_TRY(prepare(ctx, x, mode, factor, rule, &w));
    const int64_t tasks = tasks_of(&w);
    if (sumsq)
        LODE_TRY(LODE_NEW(ctx, tasks, &w.sums));
    LODE_TRY(LODE_NEW(ctx, tasks, &w.costs));
    LODE_TRY(lode_i_parallel(ctx, tasks, rows_task, &w));
    if (sumsq)
        *sumsq = 0;
    for (int64_t t = 0; t < tasks; t++) {
        if (sumsq)
            *sumsq += w.sums[t];
        if (cost)
            cost->flops += w.costs[t].flops, cost->sketched += w.costs[t].sketched;
    }
done:
    lode_i_free(w.rooms);
    lode_i_free(w.sums);
    lode_i_free(w.costs);
    return st;
}

lode_status lode_i_observed_mttkrp(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                   const lode_array *v, const lode_array *factor, lode_array *Y)
{
    lode_status st = LODE_OK;
    job w = { 0 };
    lode_array y = { 0 };
    LODE_TRY(prepare(ctx, x, mode, factor, NULL, &w));
    LODE_TRY(lode_i_matrix_new(ctx, x->dtype, x->shape[mode], w.k, &y));
    if (v)
        w.value = lode_i_at(v, 0);
    w.out = lode_i_at(&y, 0);
    LODE_TRY(lode_i_parallel(ctx, tasks_of(&w), products_task, &w));
    lode_array_swap(Y, &y);
done:
    lode_i_free(w.rooms);
    LODE_FREE(&y);
    return st;
}

lode_status lode_i_observed_residual(lode_ctx *ctx, const lode_i_observed *x, int mode,
                                     const lode_array *factor, const lode_array *scale,
                                     lode_array *r, double *sumsq)
{
    lode_status st = LODE_OK;
    job w = { 0 };
    lode_array out = { 0 }, by = { 0 };
    LODE_TRY(prepare(ctx, x, mode, factor, NULL, &w));
    const int64_t tasks = tasks_of(&w);
    LODE_TRY(LODE_NEW(ctx, tasks, &w.sums));
    if (scale) {
        LODE_TRY(lode_i_as(ctx, scale, LODE_F64, &by));
        w.scale = lode_i_at(&by, 0);
    }
    if (r) {
        LODE_TRY(lode_i_vector_new(ctx, x->dtype, x->count, &out));
        w.out = lode_i_at(&out, 0);
    }
    LODE_TRY(lode_i_parallel(ctx, tasks, differences_task, &w));
    *sumsq = 0;
    for (int64_t t = 0; t < tasks; t++)
        *sumsq += w.sums[t];
    if (r)
        lode_array_swap(r, &out);
done:
    lode_i_free(w.rooms);
    lode_i_free(w.sums);
    LODE_FREE(&out, &by);
    return st;
}
