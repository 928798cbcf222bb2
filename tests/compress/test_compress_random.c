/* compress on random arrays: every shape, type and kind of values that numbers come in, under random
 * errors and efforts. What comes back is judged entry by entry in exact arithmetic: a difference is a
 * rounded one and what the rounding left. `test_compress_random COUNT [SEED [ONLY]]` runs as many. */
#include "compressed.h"

#include <float.h>
#include <math.h>

static struct {
    int64_t count, only;
    uint64_t seed;
} ask = { 100, -1, 0 };

/* ---- what goes in ---- */

typedef enum kind { SMOOTH, NOISE, FLAT, STEPS, SPREAD, SIGNED_ZEROS, LIMITS, SPIKES, KINDS } kind;
static const char *const kind_names[] = { "smooth", "noise",        "constant", "steps",
                                          "spread", "signed zeros", "limits",   "spikes" };

typedef struct recipe {
    uint64_t number;
    lode_stream s;
    uint64_t drawn;
    kind kind;
    lode_dtype dtype;
    int ndim;
    int64_t shape[LODE_MAX_NDIM], size; /* pairs counted twice */
    double scale, offset;
    bool complex, nan, inf;
} recipe;

static double uniform(recipe *r)
{
    return lode_i_random_uniform(r->s, r->drawn++);
}

static uint64_t below(recipe *r, uint64_t n)
{
    return lode_i_random_below(r->s, r->drawn++, n);
}

static void choose_shape(recipe *r)
{
    r->ndim = (int)below(r, 9);
    const double most = exp2(1 + 9 * pow(uniform(r), 2)); /* values, about */
    double left = most;
    r->size = r->complex ? 2 : 1;
    for (int k = 0; k < r->ndim; k++) {
        const double n = k + 1 == r->ndim ? left : pow(left, uniform(r));
        r->shape[k] = below(r, 8) ? 1 + (int64_t)fmin(n, 600) : 1;
        left = fmax(1, left / (double)r->shape[k]);
        r->size *= r->shape[k];
    }
    if (r->ndim && below(r, 200) == 0)
        r->size = r->shape[below(r, (uint64_t)r->ndim)] = 0;
}

/* Exponents anywhere in the type's range, most often near 1. */
static void choose_scale(recipe *r)
{
    static const struct {
        lode_dtype dtype;
        int low, high;
    } range[] = { { LODE_F16, -24, 14 },     { LODE_BF16, -133, 126 }, { LODE_F32, -149, 126 },
                  { LODE_F64, -1074, 1022 }, { LODE_C64, -149, 126 },  { LODE_C128, -1074, 1022 } };
    r->scale = exp2(20 * uniform(r) - 10), r->offset = 0;
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (range[i].dtype == r->dtype && below(r, 2))
            r->scale = exp2(range[i].low + (range[i].high - range[i].low) * uniform(r));
    if (r->dtype == LODE_F16)
        r->scale = fmin(r->scale, 16384);
    const char class = lode_dtype_class(r->dtype);
    if (class == 'i' || class == 'u')
        r->scale = exp2(uniform(r) * 8 * (double)lode_dtype_size(r->dtype));
    if (class == 'u')
        r->offset = r->scale;
    if (below(r, 4) == 0) /* far from zero: as pressures and times are */
        r->offset += r->scale * exp2(20 * uniform(r));
    if (class == 'f' || class == 'c')
        r->offset = fmin(r->offset, r->dtype == LODE_F16                            ? 20000
                                    : r->dtype == LODE_F64 || r->dtype == LODE_C128 ? 1e307
                                                                                    : 1e37);
}

static recipe choose(lode_ctx *ctx, uint64_t number)
{
    recipe r = { .number = number, .s = lode_i_stream(ctx, "recipe", number) };
    do
        r.dtype = (lode_dtype)below(&r, LODE_DTYPE_COUNT);
    while (LODE_PACKED & (UINT32_C(1) << r.dtype));
    r.complex = lode_dtype_class(r.dtype) == 'c';
    r.kind = (kind)below(&r, KINDS);
    choose_shape(&r);
    choose_scale(&r);
    const bool floating = lode_dtype_class(r.dtype) == 'f' || r.complex;
    r.nan = floating && below(&r, 3) == 0;
    r.inf = floating && below(&r, 5) == 0;
    return r;
}

static double value(recipe *r, int64_t i, double phase, double level)
{
    const double t = (double)i / (double)lode_i_max(r->size, 1);
    switch (r->kind) {
    case SMOOTH: return r->offset + r->scale * 0.5 * (sin(9 * t + phase) + cos(3.1 * t * phase));
    case NOISE: return r->offset + r->scale * (2 * uniform(r) - 1);
    case FLAT: return r->offset + r->scale;
    case STEPS: return r->offset + r->scale * level;
    case SPREAD: return (below(r, 2) ? 1 : -1) * r->scale * exp2(-60 * uniform(r));
    case SIGNED_ZEROS: return below(r, 2) ? 0.0 : below(r, 3) ? -0.0 : r->scale;
    case LIMITS: return (below(r, 2) ? 1 : -1) * (below(r, 3) ? 1e300 : 1) * 1e19;
    default: return below(r, 30) ? 1e-3 * r->scale * uniform(r) : r->scale;
    }
}

/* The largest and smallest that the type holds, with neighbours. */
static double limit_of(recipe *r)
{
    const double sign = below(r, 2) ? 1 : -1;
    switch (r->dtype) {
    case LODE_F16: return sign * (below(r, 2) ? 65504 : ldexp(1, -24));
    case LODE_BF16: return sign * (below(r, 2) ? ldexp(255, 120) : ldexp(1, -133));
    case LODE_F32:
    case LODE_C64: return sign * (below(r, 2) ? (double)FLT_MAX : ldexp(1, -149));
    case LODE_F64:
    case LODE_C128: return sign * (below(r, 2) ? DBL_MAX : DBL_TRUE_MIN);
    default: return sign * 1e20 * (below(r, 3) ? 1 : 0); /* saturates */
    }
}

static void make(fix *f, recipe *r)
{
    lode_ctx *ctx = &f->ctx;
    lode_array wide = { 0 }, real = { 0 };
    assert_ok(ctx, lode_array_new(ctx, LODE_F64, 1, &r->size, &wide));
    double *v = wide.data, level = 0;
    const double phase = 6 * uniform(r);
    for (int64_t i = 0; i < r->size; i++) {
        if (below(r, 7) == 0)
            level = 2 * uniform(r) - 1;
        v[i] = r->kind == LIMITS ? limit_of(r) : value(r, i, phase, level);
        if (r->nan && below(r, 6) == 0)
            v[i] = NAN;
        if (r->inf && below(r, 9) == 0)
            v[i] = below(r, 2) ? INFINITY : -INFINITY;
    }
    lode_array_free(&f->x);
    if (r->complex) {
        assert_ok(ctx,
                  lode_array_cast(ctx, &wide, r->dtype == LODE_C64 ? LODE_F32 : LODE_F64, &real));
        assert_ok(ctx, lode_array_new(ctx, r->dtype, r->ndim, r->shape, &f->x));
        if (r->size)
            memcpy(f->x.data, real.data, lode_array_bytes(&real));
    } else {
        assert_ok(ctx, lode_array_cast(ctx, &wide, r->dtype, &real));
        assert_ok(ctx, lode_array_reshape(ctx, &real, r->ndim, r->shape, &f->x));
    }
    LODE_FREE(&wide, &real);
    if ((r->dtype == LODE_I64 || r->dtype == LODE_U64) && r->kind == NOISE && below(r, 2))
        for (int64_t i = 0; i < r->size; i++) /* every bit counts */
            ((uint64_t *)f->x.data)[i] = lode_i_random_u64(r->s, r->drawn++);
}

/* ---- what comes back ---- */

/* Parts of complex values one after the other. */
static double part(const lode_array *a, int64_t i)
{
    if (a->dtype == LODE_C64)
        return (double)((const float *)a->data)[i];
    if (a->dtype == LODE_C128)
        return ((const double *)a->data)[i];
    int64_t index[LODE_MAX_NDIM];
    for (int k = a->ndim - 1; k >= 0; i /= a->shape[k--])
        index[k] = i % a->shape[k];
    return lode_array_get(a, index);
}

/* |a - b| as a sum of two doubles, exactly; whole numbers of 64 bits as they are. */
typedef struct exact {
    double high, low;
} exact;

static exact apart(const lode_array *x, const lode_array *y, int64_t i)
{
    if (x->dtype == LODE_I64 || x->dtype == LODE_U64) {
        const uint64_t a = ((const uint64_t *)x->data)[i], b = ((const uint64_t *)y->data)[i];
        const bool less = x->dtype == LODE_U64 ? a < b : (int64_t)a < (int64_t)b;
        const uint64_t d = less ? b - a : a - b;
        return (exact){ ldexp((double)(d >> 32), 32), (double)(d & 0xffffffff) };
    }
    const double a = part(x, i), b = part(y, i), s = a - b, t = s - a;
    const exact d = { s, (a - (s - t)) + (-b - t) };
    return d.high < 0 ? (exact){ -d.high, -d.low } : d;
}

static bool beyond(exact d, double bound)
{
    const double over = d.high - bound; /* exact where it matters: they are close or it is clear */
    return over > -d.low || (d.high > 0 && !(d.high <= DBL_MAX));
}

typedef struct judged {
    double largest, low, high;
    long double sumsq, norm2; /* of values over scale, so that nothing overflows */
    double scale;
    int64_t count, misplaced, over; /* over: past the bound */
} judged;

static judged judge(const fix *f, const recipe *r, double bound)
{
    judged j = { .low = INFINITY, .high = -INFINITY };
    for (int64_t i = 0; i < r->size; i++) {
        const double a = part(&f->x, i);
        if (isfinite(a))
            j.scale = fmax(j.scale, fabs(a));
    }
    j.scale = j.scale > 0 ? j.scale : 1;
    for (int64_t i = 0; i < r->size; i++) {
        const double a = part(&f->x, i), b = part(&f->y, i);
        if (!isfinite(a) || !isfinite(b)) {
            j.misplaced += isnan(a) ? !isnan(b) : !(a == b);
            continue;
        }
        const exact d = apart(&f->x, &f->y, i);
        j.over += beyond(d, bound);
        j.largest = fmax(j.largest, d.high);
        j.sumsq += ((long double)d.high / j.scale) * ((long double)d.high / j.scale);
        j.norm2 += ((long double)a / j.scale) * ((long double)a / j.scale);
        j.low = fmin(j.low, a), j.high = fmax(j.high, a);
        j.count++;
    }
    return j;
}

/* ---- one case ---- */

static int failures;

static void complain(const fix *f, const recipe *r, const char *what, double got, double allowed)
{
    char shape[256] = "";
    size_t n = 0;
    for (int k = 0; k < r->ndim; k++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%" PRId64, k ? "," : "", r->shape[k]);
    if (failures++ < 20)
        print_error("case %" PRIu64 ": %s %s [%s] scale %.3g offset %.3g%s%s, error kind %d %.17g, "
                    "effort %" PRId64 ": %s: %.17g, allowed %.17g\n",
                    r->number, kind_names[r->kind], lode_dtype_name(r->dtype), shape, r->scale,
                    r->offset, r->nan ? " nan" : "", r->inf ? " inf" : "", (int)f->o.error.kind,
                    f->o.error.value, f->o.effort, what, got, allowed);
}

static bool has_infinities(const fix *f, const recipe *r)
{
    for (int64_t i = 0; i < r->size; i++)
        if (isinf(part(&f->x, i)))
            return true;
    return false;
}

/* There and back; false: it failed, and that was said. */
static bool round_trip(fix *f, const recipe *r)
{
    lode_ctx *ctx = &f->ctx;
    lode_certificate again;
    f->o.missing = (lode_missing){ .kind = LODE_MISSING_NAN };
    if (has_infinities(f, r)) {
        if (lode_compress(ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c) != LODE_EDOMAIN)
            complain(f, r, "infinities were not refused", 0, 0);
        f->o.missing.kind = LODE_MISSING_INF;
    }
    LODE_FREE(&f->m, &f->y);
    lode_status st = lode_compress(ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c);
    if (st == LODE_OK)
        st = lode_invert(ctx, &f->m, lode_none(), NULL, &f->y);
    if (st == LODE_OK)
        st = lode_verify(ctx, &f->m, lode_from_array(&f->x), &again);
    if (st != LODE_OK) {
        complain(f, r, lode_message(ctx), st, 0);
        return false;
    }
    const double bytes = (double)stored(&f->m);
    const double most = (double)lode_array_bytes(&f->x) + 64.0 * (double)f->m.count;
    if (!(bytes <= most))
        complain(f, r, "bytes", bytes, most);
    if (f->y.dtype != f->x.dtype || f->y.ndim != f->x.ndim ||
        memcmp(f->y.shape, f->x.shape, (size_t)f->x.ndim * sizeof *f->x.shape) != 0) {
        complain(f, r, "type or shape", 0, 0);
        return false;
    }
    return true;
}

static double range_of(const fix *f, const recipe *r)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < r->size; i++) {
        const double a = part(&f->x, i);
        if (isfinite(a))
            low = fmin(low, a), high = fmax(high, a);
    }
    return high > low ? high - low : 0;
}

static void pointwise_case(fix *f, uint64_t number)
{
    static const int efforts[] = { 1, 5, 9 };
    recipe r = choose(&f->ctx, number);
    make(f, &r);
    const double e = pow(10, -1 - 6 * uniform(&r)), range = range_of(f, &r);
    const bool relative = below(&r, 2);
    f->o.effort = efforts[number % 3];
    f->o.error = relative ? lode_error_maxrel(e)
                          : lode_error_max(fmax(1e-300, e * fmin(range, 1e300)));
    if (!relative && below(&r, 5) == 0) /* nothing to do with the values */
        f->o.error = lode_error_max(exp2(60 * uniform(&r) - 30));
    if (!round_trip(f, &r))
        return;
    const double bound = relative ? e * range : f->o.error.value; /* as f64 has it */
    const judged j = judge(f, &r, bound);
    if (j.misplaced)
        complain(f, &r, "missing values", (double)j.misplaced, 0);
    if (j.over)
        complain(f, &r, "bound", j.largest, bound);
    if (!(f->c.absolute >= j.largest))
        complain(f, &r, "certificate", f->c.absolute, j.largest);
    if (f->c.norm != LODE_NORM_MAX || f->c.relative != relative || !(f->c.value <= f->c.asked))
        complain(f, &r, "certificate's value", f->c.value, f->c.asked);
}

static void every_entry_is_within_a_pointwise_bound(void **state)
{
    fix *f = *state;
    failures = 0;
    f->ctx.seed = ask.seed;
    f->ctx.threads = 1;
    for (int64_t i = ask.only < 0 ? 0 : ask.only; i < ask.count; i++) {
        pointwise_case(f, (uint64_t)i);
        if (ask.only >= 0)
            break;
    }
    assert_int_equal(failures, 0);
}

static void frobenius_case(fix *f, uint64_t number)
{
    static const int efforts[] = { 5, 9, 1 };
    recipe r = choose(&f->ctx, UINT64_C(1) << 40 | number);
    make(f, &r);
    f->o.effort = efforts[number % 3];
    f->o.error = lode_error_rel(pow(10, -1 - 6 * uniform(&r)));
    if (!round_trip(f, &r))
        return;
    const judged j = judge(f, &r, INFINITY);
    const double error = j.norm2 > 0   ? (double)sqrtl(j.sumsq / j.norm2)
                         : j.sumsq > 0 ? INFINITY
                                       : 0;
    /* sums of squares are rounded: n eps at most */
    const double slack = 1 + 4 * DBL_EPSILON * (double)(8 + r.size);
    if (j.misplaced)
        complain(f, &r, "missing values", (double)j.misplaced, 0);
    if (!(error <= f->o.error.value * slack))
        complain(f, &r, "relative error", error, f->o.error.value);
    if (!(f->c.value * slack >= error))
        complain(f, &r, "certificate", f->c.value, error);
    if (!(f->c.value <= f->c.asked * slack))
        complain(f, &r, "certificate's value", f->c.value, f->c.asked);
}

static void frobenius_errors_are_kept_and_certified(void **state)
{
    fix *f = *state;
    failures = 0;
    f->ctx.seed = ask.seed;
    f->ctx.threads = 1;
    for (int64_t i = ask.only < 0 ? 0 : ask.only; i < ask.count; i++) {
        frobenius_case(f, (uint64_t)i);
        if (ask.only >= 0)
            break;
    }
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_entry_is_within_a_pointwise_bound, start, end),
        cmocka_unit_test_setup_teardown(frobenius_errors_are_kept_and_certified, start, end),
    };
    if (argc > 1)
        ask.count = strtoll(argv[1], NULL, 10);
    if (argc > 2)
        ask.seed = strtoull(argv[2], NULL, 10);
    if (argc > 3)
        ask.only = strtoll(argv[3], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
