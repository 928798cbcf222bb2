/* Frobenius norms, and the check for NaN and infinity. */
#include <float.h>
#include <math.h>

#include "array/reduce.h"

/* Complex values enter as pairs of reals: |z|^2 is the sum of both squares, in two lanes. */
static void sumsq_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                        const double *x, const double *y)
{
    const int64_t parts = r->complex ? 2 : 1;
    at = at % LODE_SUM_BLOCK * parts;
    if (y)
        lode_i_lanes_diff(p->a, at, n * parts, x, y, r->factor);
    else if (r->factor < 1 || r->factor > 1)
        lode_i_lanes_scaled(p->a, at, n * parts, x, r->factor);
    else
        lode_i_lanes_sumsq(p->a, at, n * parts, x);
}

/* Squares of f32 values neither overflow nor underflow in f64: their factor is always 1. */
static bool sumsq_single(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                         const float *x, const float *y)
{
    const int64_t parts = r->complex ? 2 : 1;
    if (y)
        return false;
    lode_i_lanes_sumsq_f32(p->a, at % LODE_SUM_BLOCK * parts, n * parts, x);
    return true;
}

static void most_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                       const double *x, const double *y)
{
    (void)at;
    for (int64_t i = 0; i < (r->complex ? 2 * n : n); i++)
        p->most = lode_i_larger(p->most, fabs(y ? x[i] - y[i] : x[i]));
}

static lode_status sumsq_of(lode_ctx *ctx, bool complex, double factor, int operands,
                            const lode_array *const *arrays, double *result)
{
    lode_sum sum = { 0 };
    lode_reduction r = { .piece = sumsq_piece,
                         .single = sumsq_single,
                         .complex = complex,
                         .factor = factor,
                         .a = &sum };
    LODE_FORWARD(lode_i_reduce(ctx, &r, operands, arrays));
    *result = lode_i_sum_total(&sum);
    return LODE_OK;
}

/* One pass where squares neither overflow nor underflow; else the largest value first, then scaled
 * by a power of two. Above 2^-960 what a square loses to underflow is under 2^-114 of the sum. */
static lode_status norm_of(lode_ctx *ctx, int operands, const lode_array *const *arrays,
                           double *norm)
{
    const bool complex = lode_i_is_complex(arrays[0]->dtype) ||
                         (operands > 1 && lode_i_is_complex(arrays[1]->dtype));
    double sumsq = 0, most = 0;
    LODE_FORWARD(sumsq_of(ctx, complex, 1, operands, arrays, &sumsq));
    if ((sumsq > 0x1p-960 && sumsq <= DBL_MAX) || sumsq != sumsq) {
        *norm = sqrt(sumsq);
        return LODE_OK;
    }
    lode_reduction r = { .piece = most_piece, .complex = complex, .most = &most };
    LODE_FORWARD(lode_i_reduce(ctx, &r, operands, arrays));
    *norm = most;
    if (most == 0 || !(most <= DBL_MAX))
        return LODE_OK;
    int exponent = 0;
    (void)frexp(most, &exponent);
    const double factor = ldexp(1, exponent > 1000 ? -1000 : exponent < -1000 ? 1000 : -exponent);
    LODE_FORWARD(sumsq_of(ctx, complex, factor, operands, arrays, &sumsq));
    *norm = sqrt(sumsq) / factor;
    return LODE_OK;
}

lode_status lode_i_norm_fro(lode_ctx *ctx, const lode_array *a, double *norm)
{
    return norm_of(ctx, 1, (const lode_array *const[]){ a }, norm);
}

lode_status lode_i_diff_fro(lode_ctx *ctx, const lode_array *a, const lode_array *b, double *norm)
{
    LODE_FORWARD(lode_i_same_shape(ctx, a, b, "a difference"));
    return norm_of(ctx, 2, (const lode_array *const[]){ a, b }, norm);
}

/* ---- NaN and infinity ---- */

LODE_CLONES static bool all_finite(const double *x, int64_t n)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad += fabs(x[i]) <= DBL_MAX ? 0 : 1;
    return bad == 0;
}

/* stats.first_nan takes the flat index of the first value that is not finite. */
static void finite_piece(const lode_reduction *r, lode_i_part *p, int64_t at, int64_t n,
                         const double *x, const double *y)
{
    (void)y;
    const int64_t parts = r->complex ? 2 : 1;
    if (p->stats.first_nan >= 0 || all_finite(x, n * parts))
        return;
    int64_t i = 0;
    while (fabs(x[i]) <= DBL_MAX)
        i++;
    p->stats.missing = 1;
    p->stats.first_nan = at + i / parts;
}

lode_status lode_i_require_finite(lode_ctx *ctx, const lode_array *a, const char *name)
{
    const char class = lode_dtype_class(a->dtype);
    if (class == 'b' || class == 'i' || class == 'u')
        return LODE_OK;
    lode_stats found = { .first_nan = -1, .first_infinite = -1 };
    lode_reduction r = { .piece = finite_piece, .complex = class == 'c', .stats = &found };
    LODE_FORWARD(lode_i_reduce(ctx, &r, 1, (const lode_array *const[]){ a }));
    if (found.first_nan < 0)
        return LODE_OK;
    int64_t index[LODE_MAX_NDIM], flat = found.first_nan;
    char place[256];
    lode_i_print_index(a->ndim, a->shape, flat, place, sizeof place);
    for (int i = a->ndim - 1; i >= 0; i--) {
        index[i] = flat % a->shape[i];
        flat /= a->shape[i];
    }
    const double v = lode_array_get(a, index);
    const char *what = v != v         ? "nan"
                       : v > DBL_MAX  ? "inf"
                       : v < -DBL_MAX ? "-inf"
                                      : "not finite in its imaginary part";
    return lode_i_fail(ctx, LODE_EDOMAIN, "%s%s is %s; only finite values are accepted here", name,
                       place, what);
}
