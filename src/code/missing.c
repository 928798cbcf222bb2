/* Missing values and corrections: what makes transform codes usable on fields with holes and under
 * pointwise bounds. */
#include <math.h>

#include "code/code.h"

enum { PIECE = 1 << 16, SWEEPS = 8 };

/* A level of the pyramid: its cells, and those of the next. */
typedef struct cells {
    int ndim;
    int64_t size, coarse_size;
    int64_t shape[LODE_MAX_NDIM], stride[LODE_MAX_NDIM];
    int64_t coarse[LODE_MAX_NDIM], coarse_stride[LODE_MAX_NDIM];
} cells;

static void cells_of(int ndim, const int64_t *shape, cells *c)
{
    *c = (cells){ .ndim = ndim, .size = 1, .coarse_size = 1 };
    for (int k = ndim - 1; k >= 0; k--) {
        c->shape[k] = shape[k];
        c->coarse[k] = (shape[k] + 1) / 2;
        c->stride[k] = c->size;
        c->coarse_stride[k] = c->coarse_size;
        c->size *= c->shape[k];
        c->coarse_size *= c->coarse[k];
    }
}

static int64_t coarse_row(const cells *c, const int64_t *index)
{
    int64_t at = 0;
    for (int k = 0; k < c->ndim - 1; k++)
        at += index[k] / 2 * c->coarse_stride[k];
    return at;
}

static void next_row(const cells *c, int64_t *index)
{
    for (int k = c->ndim - 2; k >= 0 && ++index[k] == c->shape[k]; k--)
        index[k] = 0;
}

/* Multilinear, cell centres: an entry lies a quarter of a coarse cell off its parent's centre. */
static double interpolate(const cells *c, const int64_t *index, const double *coarse)
{
    int used = 0;
    int64_t at = 0, step[LODE_MAX_NDIM];
    for (int k = 0; k < c->ndim; k++) {
        const int64_t parent = index[k] / 2, beside = parent + (index[k] % 2 ? 1 : -1);
        at += parent * c->coarse_stride[k];
        /* more axes than 4 add little and cost 2 each */
        if (beside >= 0 && beside < c->coarse[k] && used < 4) {
            step[used++] = (beside - parent) * c->coarse_stride[k];
        }
    }
    double value = 0;
    for (int corner = 0; corner < 1 << used; corner++) {
        double weight = 1;
        int64_t there = at;
        for (int u = 0; u < used; u++) {
            weight *= corner >> u & 1 ? 0.25 : 0.75;
            there += corner >> u & 1 ? step[u] : 0;
        }
        value += weight * coarse[there];
    }
    return value;
}

#define T float
#define NAME(x) x##_f32
#include "code/missing_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "code/missing_kernel.inc"

static lode_status accepted(lode_ctx *ctx, const lode_array *x, const lode_array *other,
                            lode_dtype dtype)
{
    bool good = (x->dtype == LODE_F32 || x->dtype == LODE_F64) && lode_array_is_contiguous(x);
    if (other)
        good = good && other->dtype == dtype && lode_array_is_contiguous(other) &&
               lode_array_size(other) == lode_array_size(x);
    return good ? LODE_OK
                : lode_i_fail(ctx, LODE_EINTERNAL,
                              "arrays here are contiguous, f32 or f64, and alike");
}

/* ---- find and put ---- */

typedef struct work {
    const lode_array *x, *want;
    int64_t n;
    double value;
    bool nan;
    uint8_t *set;
    int32_t *c;
    int64_t *count; /* one a piece */
} work;

static lode_status find_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    const void *x = lode_i_at(w->x, i * PIECE);
    uint8_t *set = w->set + i * PIECE;
    (void)ctx;
    w->count[i] = w->x->dtype == LODE_F32 ? find_f32(x, n, w->nan, (float)w->value, set)
                                          : find_f64(x, n, w->nan, w->value, set);
    return LODE_OK;
}

lode_status lode_i_missing_find(lode_ctx *ctx, const lode_array *x, bool nan, double value,
                                lode_array *set, int64_t *count)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = x, .n = lode_array_size(x), .nan = nan, .value = value };
    const int64_t pieces = lode_i_ceil_div(w.n, PIECE);

    LODE_TRY(accepted(ctx, x, NULL, LODE_F32));
    LODE_TRY(lode_array_new(ctx, LODE_BOOL, x->ndim, x->shape, &made));
    w.set = made.data;
    LODE_TRY(LODE_NEW(ctx, pieces + 1, &w.count));
    LODE_TRY(lode_i_parallel(ctx, pieces, find_task, &w));
    *count = 0;
    for (int64_t i = 0; i < pieces; i++)
        *count += w.count[i];
    lode_array_swap(set, &made);
done:
    lode_i_free(w.count);
    LODE_FREE(&made);
    return st;
}

lode_status lode_i_missing_put(lode_ctx *ctx, lode_array *x, const lode_array *set, double value)
{
    LODE_FORWARD(accepted(ctx, x, set, LODE_BOOL));
    if (x->dtype == LODE_F32)
        put_f32(x->data, lode_array_size(x), set->data, (float)value);
    else
        put_f64(x->data, lode_array_size(x), set->data, value);
    return LODE_OK;
}

/* ---- fill ---- */

/* Cells without weight take what the coarser level around them has; then each its mean. */
static lode_status fill_level(lode_ctx *ctx, int ndim, const int64_t *shape, double *sum,
                              double *weight)
{
    lode_status st = LODE_OK;
    cells c;
    double *coarse = NULL, *coarse_weight = NULL;
    int64_t empty = 0, index[LODE_MAX_NDIM] = { 0 };

    cells_of(ndim, shape, &c);
    for (int64_t i = 0; i < c.size; i++)
        empty += !(weight[i] > 0);
    for (int64_t i = 0; i < c.size; i++)
        sum[i] = weight[i] > 0 ? sum[i] / weight[i] : 0;
    if (!empty || c.size == 1)
        goto done;
    LODE_TRY(lode_i_cancelled(ctx));
    LODE_TRY(lode_i_calloc(ctx, (size_t)c.coarse_size * sizeof *coarse, (void **)&coarse));
    LODE_TRY(lode_i_calloc(ctx, (size_t)c.coarse_size * sizeof *coarse, (void **)&coarse_weight));
    for (int64_t i = 0; i < c.size; i++) {
        int64_t at = 0;
        for (int k = 0; k < ndim; k++)
            at += index[k] / 2 * c.coarse_stride[k];
        /* a cell counts once, however full: the fill is local */
        const double w = fmin(weight[i], 1);
        coarse[at] += w * sum[i];
        coarse_weight[at] += w;
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
    LODE_TRY(fill_level(ctx, ndim, c.coarse, coarse, coarse_weight));
    for (int64_t i = 0; i < c.size; i++) {
        if (!(weight[i] > 0))
            sum[i] = interpolate(&c, index, coarse);
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
done:
    lode_i_free(coarse);
    lode_i_free(coarse_weight);
    return st;
}

lode_status lode_i_missing_fill(lode_ctx *ctx, lode_array *x, const lode_array *set)
{
    lode_status st = LODE_OK;
    cells c;
    double *coarse = NULL, *weight = NULL;
    const int64_t one = 1;
    const int ndim = x->ndim > 0 ? x->ndim : 1;

    LODE_TRY(accepted(ctx, x, set, LODE_BOOL));
    cells_of(ndim, x->ndim > 0 ? x->shape : &one, &c);
    if (c.size == 0)
        goto done;
    LODE_TRY(lode_i_calloc(ctx, (size_t)c.coarse_size * sizeof *coarse, (void **)&coarse));
    LODE_TRY(lode_i_calloc(ctx, (size_t)c.coarse_size * sizeof *weight, (void **)&weight));
    if (x->dtype == LODE_F32)
        gather_f32(x->data, set->data, &c, coarse, weight);
    else
        gather_f64(x->data, set->data, &c, coarse, weight);
    LODE_TRY(fill_level(ctx, ndim, c.coarse, coarse, weight));
    if (x->dtype == LODE_F32)
        spread_f32(x->data, set->data, &c, coarse);
    else
        spread_f64(x->data, set->data, &c, coarse);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        LODE_TRY(lode_i_tick(ctx, sweep, SWEEPS));
        if (x->dtype == LODE_F32)
            relax_f32(x->data, set->data, &c);
        else
            relax_f64(x->data, set->data, &c);
    }
done:
    lode_i_free(coarse);
    lode_i_free(weight);
    return st;
}

/* ---- corrections ---- */

static lode_status correct_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    const void *want = lode_i_at(w->want, i * PIECE), *got = lode_i_at(w->x, i * PIECE);
    int32_t *c = w->c + i * PIECE;
    bool fits = true;
    w->count[i] = w->x->dtype == LODE_F32 ? correct_f32(want, got, n, w->value, c, &fits)
                                          : correct_f64(want, got, n, w->value, c, &fits);
    return fits ? LODE_OK
                : lode_i_fail(ctx, LODE_EDOMAIN, "a correction over 2^30 steps of %g", w->value);
}

lode_status lode_i_correct_find(lode_ctx *ctx, const lode_array *want, const lode_array *got,
                                double bound, lode_array *c, int64_t *count)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = got, .want = want, .n = lode_array_size(got), .value = bound };
    const int64_t pieces = lode_i_ceil_div(w.n, PIECE);

    LODE_TRY(accepted(ctx, want, got, want->dtype));
    LODE_REQUIRE(bound > 0, LODE_EPARAM, "a pointwise bound must be over 0, not %g", bound);
    LODE_TRY(lode_array_new(ctx, LODE_I32, got->ndim, got->shape, &made));
    w.c = made.data;
    LODE_TRY(LODE_NEW(ctx, pieces + 1, &w.count));
    LODE_TRY(lode_i_parallel(ctx, pieces, correct_task, &w));
    *count = 0;
    for (int64_t i = 0; i < pieces; i++)
        *count += w.count[i];
    lode_array_swap(c, &made);
done:
    lode_i_free(w.count);
    LODE_FREE(&made);
    return st;
}

lode_status lode_i_correct_apply(lode_ctx *ctx, lode_array *x, const lode_array *c, double bound)
{
    LODE_FORWARD(accepted(ctx, x, c, LODE_I32));
    if (x->dtype == LODE_F32)
        apply_f32(x->data, lode_array_size(x), c->data, bound);
    else
        apply_f64(x->data, lode_array_size(x), c->data, bound);
    return LODE_OK;
}
