/* Nonnegative least squares by coordinate descent over blocks of rows, multiplicative updates, ratios. */
#include "linalg/nonneg.h"

#include <math.h>

enum { ROWS = 256, STRETCH = 1 << 14, MOST_LANES = 64 };
#define TINY                                                                                       \
    1e-30 /* what divides is at least this, so that a fit of 0 is far off and not infinite */

typedef struct job {
    void *w;
    const void *p, *gram;
    int64_t rows, k;
    double l1, enough;
    int sweeps;
    bool single;
    char *rooms;
    size_t room_bytes;
} job;

typedef struct product {
    const void *above, *below;
    void *w;
    int64_t rows, k;
    double l1, ridge;
    bool row, entropic, single;
} product;

typedef struct ratio {
    const void *x, *w;
    void *r;
    int64_t count;
    bool all, single;
    double *sums;
} ratio;

#define REAL float
#define LANES 64
#define NAME(x) x##_f32
#include "linalg/nonneg_kernel.inc"
#define REAL double
#define LANES 32
#define NAME(x) x##_f64
#include "linalg/nonneg_kernel.inc"

/* ---- coordinate descent ---- */

static lode_status rows_task(lode_ctx *ctx, int64_t t, void *data)
{
    const job *w = data;
    void *room = w->rooms + (size_t)lode_i_worker(ctx) * w->room_bytes;
    const int64_t lanes = w->single ? 64 : 32, stop = lode_i_min((t + 1) * ROWS, w->rows);
    for (int64_t i = t * ROWS; i < stop; i += lanes) {
        const int64_t count = lode_i_min(lanes, stop - i);
        if (w->single)
            block_f32(w, i, count, room);
        else
            block_f64(w, i, count, room);
    }
    return LODE_OK;
}

lode_status lode_i_nonneg_rows(lode_ctx *ctx, const lode_array *P, const lode_array *G,
                               const lode_i_nonneg_rule *rule, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array p = { 0 }, g = { 0 };
    const int64_t k = W->shape[1];
    job w = { .rows = W->shape[0],
              .k = k,
              .l1 = rule->l1,
              .enough = rule->enough,
              .sweeps = rule->sweeps,
              .single = W->dtype == LODE_F32 };
    LODE_TRY(lode_i_as(ctx, P, W->dtype, &p));
    LODE_TRY(lode_array_cast(ctx, G, W->dtype, &g));
    for (int64_t c = 0; c < k; c++)
        lode_i_set2(&g, c, c, lode_i_get2(&g, c, c) + rule->ridge);
    w.w = lode_i_at(W, 0), w.p = lode_i_at(&p, 0), w.gram = lode_i_at(&g, 0);
    w.room_bytes = ((size_t)(2 * k * MOST_LANES) * sizeof(double) + 63) / 64 * 64;
    LODE_TRY(lode_i_alloc(ctx, (size_t)lode_ctx_threads(ctx) * w.room_bytes, (void **)&w.rooms));
    LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.rows, ROWS), rows_task, &w));
done:
    lode_i_free(w.rooms);
    LODE_FREE(&p, &g);
    return st;
}

lode_status lode_i_nonneg_beyond(lode_ctx *ctx, double beta, const lode_array *before,
                                 const lode_array *now, lode_array *out)
{
    const int64_t n = lode_array_size(now);
    (void)ctx;
    if (now->dtype == LODE_F32)
        beyond_f32(beta, n, lode_i_at(before, 0), lode_i_at(now, 0), lode_i_at(out, 0));
    else
        beyond_f64(beta, n, lode_i_at(before, 0), lode_i_at(now, 0), lode_i_at(out, 0));
    return LODE_OK;
}

/* ---- multiplicative updates ---- */

static lode_status multiply_task(lode_ctx *ctx, int64_t t, void *data)
{
    (void)ctx;
    const product *u = data;
    const int64_t first = t * ROWS, count = lode_i_min(ROWS, u->rows - first);
    if (u->single)
        multiply_f32(u, first, count);
    else
        multiply_f64(u, first, count);
    return LODE_OK;
}

lode_status lode_i_nonneg_multiply(lode_ctx *ctx, const lode_i_nonneg_update *rule, lode_array *W)
{
    product u = { .above = lode_i_at(rule->above, 0),
                  .below = lode_i_at(rule->below, 0),
                  .w = lode_i_at(W, 0),
                  .rows = W->shape[0],
                  .k = W->shape[1],
                  .l1 = rule->l1,
                  .ridge = rule->ridge,
                  .row = rule->below->ndim == 1,
                  .entropic = rule->entropic,
                  .single = W->dtype == LODE_F32 };
    return lode_i_parallel(ctx, lode_i_ceil_div(u.rows, ROWS), multiply_task, &u);
}

static lode_status ratios_task(lode_ctx *ctx, int64_t t, void *data)
{
    (void)ctx;
    const ratio *u = data;
    const int64_t first = t * STRETCH, stop = lode_i_min(first + STRETCH, u->count);
    const double sum = u->single ? ratios_f32(u, first, stop) : ratios_f64(u, first, stop);
    if (u->sums)
        u->sums[t] = sum;
    return LODE_OK;
}

lode_status lode_i_nonneg_ratios(lode_ctx *ctx, const lode_array *x, const lode_array *w, bool all,
                                 lode_array *r, double *divergence)
{
    lode_status st = LODE_OK;
    lode_sum sum = { 0 };
    ratio u = { .x = lode_i_at(x, 0),
                .w = w && w->data ? lode_i_at(w, 0) : NULL,
                .r = lode_i_at(r, 0),
                .count = lode_array_size(x),
                .all = all,
                .single = x->dtype == LODE_F32 };
    const int64_t tasks = lode_i_ceil_div(u.count, STRETCH);
    if (divergence)
        LODE_TRY(LODE_NEW(ctx, lode_i_max(tasks, 1), &u.sums));
    LODE_TRY(lode_i_parallel(ctx, tasks, ratios_task, &u));
    if (divergence) {
        lode_i_sum_push(&sum, u.sums, tasks);
        *divergence = lode_i_sum_total(&sum);
    }
done:
    lode_i_free(u.sums);
    return st;
}

/* ---- the sign of the data ---- */

static bool is_missing(const lode_missing *missing, double v)
{
    return missing &&
           ((missing->kind == LODE_MISSING_NAN && v != v) ||
            (missing->kind == LODE_MISSING_VALUE && v >= missing->value && v <= missing->value));
}

/* First value of x that cannot be factored, or -1; counts those that are missing before it. */
static int64_t first_bad(const lode_missing *missing, int64_t n, const double *x, int64_t *gaps)
{
    for (int64_t i = 0; i < n; i++) {
        const bool gap = is_missing(missing, x[i]);
        *gaps += gap;
        if (!(x[i] >= 0 && x[i] < INFINITY) && !gap)
            return i;
    }
    return -1;
}

static lode_status refuse(lode_ctx *ctx, const char *op, int ndim, const int64_t *shape,
                          int64_t flat, double v)
{
    char place[128];
    lode_i_print_index(ndim, shape, flat, place, sizeof place);
    return lode_i_fail(
        ctx, LODE_EDOMAIN,
        v < 0 && v > -INFINITY
            ? "%s: X%s is %g, but only values >= 0 have nonnegative factors; shift, clip or "
              "mask the data"
            : "%s: X%s is %g; mark what is missing with --missing, or mask it",
        op, place, v);
}

static lode_status require_sparse(lode_ctx *ctx, const lode_sparse *s, const lode_missing *missing,
                                  const char *op, int64_t *gaps)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 }, indices = { 0 };
    LODE_TRY(lode_array_cast(ctx, &s->values, LODE_F64, &values));
    const int64_t e = first_bad(missing, lode_array_size(&values), lode_i_at(&values, 0), gaps);
    if (e < 0)
        goto done;
    int64_t row = 0, flat = 0;
    LODE_TRY(lode_i_as(ctx, &s->indices, LODE_I64, &indices));
    const int64_t *index = lode_i_at(&indices, 0);
    if (s->layout == LODE_CSR) {
        while ((int64_t)lode_i_get1(&s->indptr, row + 1) <= e)
            row++;
        flat = row * s->shape[1] + index[e];
    } else {
        for (int i = 0; i < s->ndim; i++)
            flat = flat * s->shape[i] + index[e * s->ndim + i];
    }
    st = refuse(ctx, op, s->ndim, s->shape, flat, lode_i_get1(&values, e));
done:
    LODE_FREE(&values, &indices);
    return st;
}

lode_status lode_i_require_nonneg(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                                  const char *op, int64_t *gaps)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    lode_array slab = { 0 };
    bool owned = false;
    int64_t found = 0;
    if (X.kind == LODE_SPARSE) {
        st = require_sparse(ctx, X.as.sparse, missing, op, &found);
        goto done;
    }
    if (X.kind == LODE_ARRAY) { /* most often nothing is wrong, which is told faster */
        lode_stats stats;
        LODE_TRY(lode_i_stats(ctx, X.as.array, &stats));
        if (stats.min >= 0 && stats.missing == 0 && stats.infinite == 0 &&
            !(missing && missing->kind == LODE_MISSING_VALUE))
            goto done;
    }
    LODE_TRY(lode_i_as_source(ctx, X, &s, &owned));
    const int64_t rows = s.shape[0], step = lode_i_source_slab(&s, 4 << 20);
    int64_t width = 1;
    for (int i = 1; i < s.ndim; i++)
        width *= s.shape[i];
    for (int64_t r = 0; r < rows; r += step) {
        LODE_TRY(lode_i_tick(ctx, r, rows));
        LODE_TRY(lode_i_source_rows(ctx, &s, r, lode_i_min(r + step, rows), LODE_F64, &slab));
        const double *x = lode_i_at(&slab, 0);
        const int64_t e = first_bad(missing, lode_array_size(&slab), x, &found);
        if (e >= 0) {
            st = refuse(ctx, op, s.ndim, s.shape, r * width + e, x[e]);
            goto done;
        }
    }
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&slab);
    if (gaps)
        *gaps = found;
    return st;
}
