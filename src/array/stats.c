/* Statistics of one array and of the difference of two, in core and in slabs alike. */
#include <float.h>
#include <math.h>

#include "array/reduce.h"
#include "array/scalar.h"

enum { MOST = 1024 }; /* values of a piece */

static bool is_finite(double x)
{
    return fabs(x) <= DBL_MAX;
}

LODE_CLONES static int64_t count_finite(const double *restrict x, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += fabs(x[i]) <= DBL_MAX ? 1 : 0;
    return count;
}

#define NAME(x) x##_f32
#define T float
#include "array/extremes_kernel.inc"
#define NAME(x) x##_f64
#define T double
#include "array/extremes_kernel.inc"

LODE_CLONES static const double *moduli(const double *z, int64_t n, double *size)
{
    for (int64_t i = 0; i < n; i++)
        size[i] = modulus(z[2 * i], z[2 * i + 1]);
    return size;
}

/* ---- statistics ---- */

void lode_i_stats_merge(lode_stats *into, const lode_stats *next)
{
    if (next->count > 0) {
        const bool first = into->count == 0;
        into->min = first || next->min < into->min ? next->min : into->min;
        into->max = first || next->max > into->max ? next->max : into->max;
        into->maxabs = first || next->maxabs > into->maxabs ? next->maxabs : into->maxabs;
    }
    if (into->missing == 0 && next->missing > 0)
        into->first_nan = next->first_nan;
    if (into->infinite == 0 && next->infinite > 0)
        into->first_infinite = next->first_infinite;
    into->count += next->count;
    into->missing += next->missing;
    into->infinite += next->infinite;
}

/* Counts what is not finite; zeroed gets 0 in its places, so that lanes do not shift. */
static void sift(const double *v, int64_t at, int64_t n, double *zeroed, lode_stats *now)
{
    int64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = v[i];
        zeroed[i] = is_finite(x) ? x : 0;
        if (is_finite(x)) {
            now->min = seen && now->min <= x ? now->min : x + 0.0;
            now->max = seen && now->max >= x ? now->max : x + 0.0;
            seen++;
        } else if (x != x) {
            now->first_nan = now->missing++ ? now->first_nan : at + i;
        } else {
            now->first_infinite = now->infinite++ ? now->first_infinite : at + i;
        }
    }
}

static void stats_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                        const double *x, const double *y)
{
    (void)y;
    double size[MOST], zeroed[MOST];
    if (r->complex)
        x = moduli(x, n, size);
    lode_stats now = { .first_nan = -1, .first_infinite = -1, .count = count_finite(x, n) };
    if (now.count == n) {
        extremes_f64(x, n, &now.min, &now.max);
    } else {
        sift(x, at, n, zeroed, &now);
        x = zeroed;
    }
    now.maxabs = fmax(fabs(now.min), fabs(now.max));
    lode_i_lanes_sum(p->a, at % LODE_SUM_BLOCK, n, x);
    lode_i_lanes_sumsq(p->b, at % LODE_SUM_BLOCK, n, x);
    lode_i_stats_merge(&p->stats, &now);
}

/* Where all are finite, so are their sums of squares. */
static bool stats_single(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                         const float *x, const float *y)
{
    lode_i_part to = *p;
    (void)y;
    if (r->complex)
        return false;
    for (int64_t i = 0, count = 0; i < n; i += count) {
        count = lode_i_min(n - i, MOST);
        lode_stats now = { .first_nan = -1, .first_infinite = -1, .count = count };
        lode_i_lanes_sum_f32(to.a, (at + i) % LODE_SUM_BLOCK, count, x + i);
        lode_i_lanes_sumsq_f32(to.b, (at + i) % LODE_SUM_BLOCK, count, x + i);
        extremes_f32(x + i, count, &now.min, &now.max);
        now.maxabs = fmax(fabs(now.min), fabs(now.max));
        lode_i_stats_merge(&to.stats, &now);
    }
    if (count_finite(to.b, 8) < 8)
        return false;
    *p = to;
    return true;
}

lode_status lode_i_stats_push(lode_ctx *ctx, lode_stats_run *run, const lode_array *slab)
{
    lode_reduction r = { .piece = stats_piece,
                         .single = stats_single,
                         .complex = lode_i_is_complex(slab->dtype),
                         .seen = run->seen,
                         .a = &run->sum,
                         .b = &run->sumsq,
                         .stats = &run->so_far };
    LODE_FORWARD(lode_i_reduce(ctx, &r, 1, &slab));
    run->seen = r.seen;
    return LODE_OK;
}

lode_stats lode_i_stats_result(const lode_stats_run *run)
{
    lode_stats s = run->so_far;
    s.sum = lode_i_sum_total(&run->sum);
    s.sumsq = lode_i_sum_total(&run->sumsq);
    if (s.missing == 0)
        s.first_nan = -1;
    if (s.infinite == 0)
        s.first_infinite = -1;
    return s;
}

lode_status lode_i_stats(lode_ctx *ctx, const lode_array *a, lode_stats *s)
{
    lode_stats_run run = { 0 };
    LODE_FORWARD(lode_i_stats_push(ctx, &run, a));
    *s = lode_i_stats_result(&run);
    return LODE_OK;
}

/* ---- differences ---- */

void lode_i_diff_merge(lode_diff *into, const lode_diff *next)
{
    if (next->count > 0) {
        const bool first = into->count == 0;
        into->ref_min = first || next->ref_min < into->ref_min ? next->ref_min : into->ref_min;
        into->ref_max = first || next->ref_max > into->ref_max ? next->ref_max : into->ref_max;
        if (first || next->maxabs > into->maxabs) {
            into->maxabs = next->maxabs;
            into->at = next->at;
        }
    }
    into->count += next->count;
    into->mismatched += next->mismatched;
}

/* Neither is finite: alike when both are NaN or the same infinity. */
static bool alike(const double *x, const double *y, int parts)
{
    bool x_nan = false, y_nan = false, same = true;
    for (int k = 0; k < parts; k++) {
        x_nan = x_nan || x[k] != x[k];
        y_nan = y_nan || y[k] != y[k];
        same = same && !(x[k] < y[k]) && !(x[k] > y[k]);
    }
    return x_nan || y_nan ? x_nan && y_nan : same;
}

/* Copies the pairs to compare; the others become 0 in both, so that lanes do not shift. */
static void keep_comparable(const double *x, const double *y, int parts, int64_t n, double *a,
                            double *b, bool *used, lode_diff *now)
{
    for (int64_t i = 0; i < n; i++) {
        const double *p = x + i * parts, *q = y + i * parts;
        const bool x_fine = is_finite(p[0]) && is_finite(p[parts - 1]);
        const bool y_fine = is_finite(q[0]) && is_finite(q[parts - 1]);
        used[i] = x_fine && y_fine;
        now->count += used[i];
        if (!used[i] && (x_fine || y_fine || !alike(p, q, parts)))
            now->mismatched++;
        for (int k = 0; k < parts; k++) {
            a[i * parts + k] = used[i] ? p[k] : 0;
            b[i * parts + k] = used[i] ? q[k] : 0;
        }
    }
}

static void diff_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                       const double *x, const double *y)
{
    const int parts = r->complex ? 2 : 1;
    double a[2 * MOST], b[2 * MOST], d[MOST], size[MOST], low = 0, high = 0;
    bool used[MOST];
    lode_diff now = { .at = -1 };
    const bool whole = count_finite(x, n * parts) + count_finite(y, n * parts) == 2 * n * parts;
    if (whole) {
        now.count = n;
    } else {
        a[0] = b[0] = 0; /* gcc on Arm does not see that n > 0 */
        keep_comparable(x, y, parts, n, a, b, used, &now);
        x = a, y = b;
    }
    const int64_t lane = at % LODE_SUM_BLOCK * parts;
    lode_i_lanes_diff(p->a, lane, n * parts, x, y, 1);
    lode_i_lanes_sumsq(p->b, lane, n * parts, x);
    const double *ref = x;
    if (r->complex) {
        for (int64_t i = 0; i < n; i++)
            d[i] = modulus(x[2 * i] - y[2 * i], x[2 * i + 1] - y[2 * i + 1]);
        ref = moduli(x, n, size);
    } else {
        distances_f64(x, y, n, d);
    }
    if (whole) {
        extremes_f64(ref, n, &now.ref_min, &now.ref_max);
        extremes_f64(d, n, &low, &now.maxabs);
        for (now.at = 0; d[now.at] < now.maxabs;)
            now.at++;
        now.at += at;
    } else {
        for (int64_t i = 0, seen = 0; i < n; i++) {
            if (!used[i])
                continue;
            low = seen && low < ref[i] ? low : ref[i] + 0.0;
            high = seen && high > ref[i] ? high : ref[i] + 0.0;
            if (!seen++ || d[i] > now.maxabs)
                now.maxabs = d[i], now.at = at + i;
        }
        now.ref_min = low, now.ref_max = high;
    }
    lode_i_diff_merge(&p->diff, &now);
}

static bool diff_single(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                        const float *x, const float *y)
{
    lode_i_part to = *p;
    double d[MOST], low = 0;
    if (r->complex)
        return false;
    for (int64_t i = 0, count = 0; i < n; i += count) {
        count = lode_i_min(n - i, MOST);
        lode_diff now = { .at = -1, .count = count };
        lode_i_lanes_diff_f32(to.a, (at + i) % LODE_SUM_BLOCK, count, x + i, y + i);
        lode_i_lanes_sumsq_f32(to.b, (at + i) % LODE_SUM_BLOCK, count, x + i);
        extremes_f32(x + i, count, &now.ref_min, &now.ref_max);
        distances_f32(x + i, y + i, count, d);
        extremes_f64(d, count, &low, &now.maxabs);
        for (now.at = 0; d[now.at] < now.maxabs;)
            now.at++;
        now.at += at + i;
        lode_i_diff_merge(&to.diff, &now);
    }
    if (count_finite(to.a, 8) + count_finite(to.b, 8) < 16)
        return false;
    *p = to;
    return true;
}

lode_status lode_i_diff_push(lode_ctx *ctx, lode_diff_run *run, const lode_array *a,
                             const lode_array *b)
{
    LODE_FORWARD(lode_i_same_shape(ctx, a, b, "a comparison"));
    lode_reduction r = { .piece = diff_piece,
                         .single = diff_single,
                         .complex = lode_i_is_complex(a->dtype) || lode_i_is_complex(b->dtype),
                         .seen = run->seen,
                         .a = &run->sumsq,
                         .b = &run->ref_sumsq,
                         .diff = &run->so_far };
    LODE_FORWARD(lode_i_reduce(ctx, &r, 2, (const lode_array *const[]){ a, b }));
    run->seen = r.seen;
    return LODE_OK;
}

lode_diff lode_i_diff_result(const lode_diff_run *run)
{
    lode_diff d = run->so_far;
    d.sumsq = lode_i_sum_total(&run->sumsq);
    d.ref_sumsq = lode_i_sum_total(&run->ref_sumsq);
    if (d.count == 0)
        d.at = -1;
    return d;
}

lode_status lode_i_diff(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_diff *d)
{
    lode_diff_run run = { 0 };
    LODE_FORWARD(lode_i_diff_push(ctx, &run, a, b));
    *d = lode_i_diff_result(&run);
    return LODE_OK;
}

/* What a difference lost when it was rounded tells on which side of the bound it lies (Knuth). */
static void beyond_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                         const double *x, const double *y)
{
    lode_diff now = { .at = -1 };
    (void)at;
    for (int64_t i = 0; i < (r->complex ? 2 * n : n); i++) {
        const double d = x[i] - y[i];
        if (!(fabs(d) >= r->factor))
            continue;
        const double back = d - x[i], lost = (x[i] - (d - back)) - (y[i] + back);
        now.mismatched += fabs(d) > r->factor || (d > 0 ? lost > 0 : lost < 0);
    }
    lode_i_diff_merge(&p->diff, &now);
}

lode_status lode_i_diff_beyond(lode_ctx *ctx, const lode_array *a, const lode_array *b,
                               double bound, int64_t *count)
{
    lode_diff found = { 0 };
    lode_reduction r = { .piece = beyond_piece,
                         .complex = lode_i_is_complex(a->dtype) || lode_i_is_complex(b->dtype),
                         .factor = bound,
                         .diff = &found };
    LODE_FORWARD(lode_i_same_shape(ctx, a, b, "a comparison"));
    LODE_FORWARD(lode_i_reduce(ctx, &r, 2, (const lode_array *const[]){ a, b }));
    *count = found.mismatched;
    return LODE_OK;
}
