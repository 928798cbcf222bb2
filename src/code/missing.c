/* Missing values and corrections: what makes transform codes usable on fields with holes and under
 * pointwise bounds. */
#include <math.h>
#include <string.h>

#include "code/code.h"

enum { PIECE = 1 << 16, BUFFER = 1 << 11, SWEEPS = 8 };

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

/* A task on every piece; the sum of what they count. */
static lode_status in_pieces(lode_ctx *ctx, lode_task task, work *w, int64_t *count)
{
    lode_status st = LODE_OK;
    const int64_t pieces = lode_i_ceil_div(w->n, PIECE);
    LODE_TRY(LODE_NEW(ctx, pieces + 1, &w->count));
    LODE_TRY(lode_i_parallel(ctx, pieces, task, w));
    *count = 0;
    for (int64_t i = 0; i < pieces; i++)
        *count += w->count[i];
done:
    lode_i_free(w->count);
    return st;
}

lode_status lode_i_missing_find(lode_ctx *ctx, const lode_array *x, bool nan, double value,
                                lode_array *set, int64_t *count)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .x = x, .n = lode_array_size(x), .nan = nan, .value = value };

    LODE_TRY(accepted(ctx, x, NULL, LODE_F32));
    LODE_TRY(lode_array_new(ctx, LODE_BOOL, x->ndim, x->shape, &made));
    w.set = made.data;
    LODE_TRY(in_pieces(ctx, find_task, &w, count));
    lode_array_swap(set, &made);
done:
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
    const int64_t end = lode_i_min((i + 1) * PIECE, w->n);
    const bool single = w->x->dtype == LODE_F32;
    float buffer[BUFFER];
    bool fits = true;
    w->count[i] = 0;
    for (int64_t at = i * PIECE; at < end; at += BUFFER) {
        const int64_t n = lode_i_min(BUFFER, end - at);
        const void *want = lode_i_at(w->want, at), *got = lode_i_at(w->x, at);
        if (single) /* its place may be that of c */
            memcpy(buffer, got, (size_t)n * sizeof *buffer);
        w->count[i] += single ? correct_f32(want, buffer, n, w->value, w->c + at, &fits)
                              : correct_f64(want, got, n, w->value, w->c + at, &fits);
    }
    return fits ? LODE_OK
                : lode_i_fail(ctx, LODE_EDOMAIN, "a correction over 2^30 steps of %g", w->value);
}

lode_status lode_i_correct_find(lode_ctx *ctx, const lode_array *want, lode_array *got,
                                double bound, lode_array *c, int64_t *count)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 }, given = { 0 };
    lode_array_swap(&given, got);
    work w = { .x = &given, .want = want, .n = lode_array_size(&given), .value = bound };

    LODE_TRY(accepted(ctx, want, &given, want->dtype));
    LODE_REQUIRE(bound > 0, LODE_EPARAM, "a pointwise bound must be over 0, not %g", bound);
    if (given.dtype != LODE_F32)
        LODE_TRY(lode_array_new(ctx, LODE_I32, given.ndim, given.shape, &made));
    w.c = made.data ? made.data : given.data;
    LODE_TRY(in_pieces(ctx, correct_task, &w, count));
    if (!made.data) {
        lode_array_swap(&made, &given);
        made.dtype = LODE_I32;
    }
    lode_array_swap(c, &made);
done:
    LODE_FREE(&made, &given);
    return st;
}

static lode_status narrow_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    const int32_t *c = w->c + i * PIECE;
    int8_t *to = (int8_t *)w->set + i * PIECE;
    int64_t large = 0;
    (void)ctx;
    for (int64_t k = 0; k < n; k++) {
        large += c[k] < INT8_MIN || c[k] > INT8_MAX;
        to[k] = (int8_t)(c[k] & 0xFF);
    }
    w->count[i] = large;
    return LODE_OK;
}

lode_status lode_i_correct_narrow(lode_ctx *ctx, lode_array *c)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    work w = { .n = lode_array_size(c), .c = c->data };
    int64_t large = 0;
    LODE_TRY(lode_array_new(ctx, LODE_I8, c->ndim, c->shape, &made));
    w.set = made.data;
    LODE_TRY(in_pieces(ctx, narrow_task, &w, &large));
    if (!large)
        lode_array_swap(c, &made);
done:
    LODE_FREE(&made);
    return st;
}

static lode_status apply_task(lode_ctx *ctx, int64_t i, void *data)
{
    const work *w = data;
    const int64_t n = lode_i_min(PIECE, w->n - i * PIECE);
    void *x = lode_i_at(w->x, i * PIECE);
    const bool single = w->x->dtype == LODE_F32;
    (void)ctx;
    if (w->c)
        single ? apply_f32(x, n, w->c + i * PIECE, w->value)
               : apply_f64(x, n, w->c + i * PIECE, w->value);
    else
        single ? apply_small_f32(x, n, (const int8_t *)w->set + i * PIECE, w->value)
               : apply_small_f64(x, n, (const int8_t *)w->set + i * PIECE, w->value);
    return LODE_OK;
}

lode_status lode_i_correct_apply(lode_ctx *ctx, lode_array *x, const lode_array *c, double bound)
{
    const bool small = c->dtype == LODE_I8;
    work w = { .x = x, .n = lode_array_size(x), .value = bound };
    LODE_FORWARD(accepted(ctx, x, c, small ? LODE_I8 : LODE_I32));
    if (small)
        w.set = c->data;
    else
        w.c = c->data;
    return lode_i_parallel(ctx, lode_i_ceil_div(w.n, PIECE), apply_task, &w);
}
