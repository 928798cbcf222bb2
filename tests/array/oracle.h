/* A second opinion for tests of arrays: values read and written one at a time by the definition of
 * each type, and random arrays with awkward shapes and strides. */
#ifndef LODE_TESTS_ORACLE_H
#define LODE_TESTS_ORACLE_H

#include <float.h>
#include <math.h>

#include "array/array.h"
#include "fixture.h"

/* long double: 64 bits and more hold every i64 and u64. */
typedef struct number {
    long double re, im;
} number;

typedef struct dice {
    uint64_t state;
} dice;

static inline uint64_t roll(dice *d)
{
    d->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = d->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline int64_t roll_below(dice *d, int64_t n)
{
    return (int64_t)(roll(d) % (uint64_t)n);
}

static inline double roll_unit(dice *d) /* [-1, 1) */
{
    return (double)(int64_t)roll(d) * 0x1p-63;
}

/* ---- types by definition ---- */

/* sign, `exponent` bits, `fraction` bits, as IEEE 754 says. */
static inline double small_float(uint32_t bits, int exponent, int fraction)
{
    const int bias = (1 << (exponent - 1)) - 1, most = (1 << exponent) - 1;
    const int e = (int)(bits >> fraction) & most;
    const uint32_t f = bits & ((1u << fraction) - 1);
    const double sign = bits >> (exponent + fraction) & 1 ? -1 : 1;
    if (e == most)
        return f ? (double)NAN : sign * (double)INFINITY;
    return e ? sign * ldexp(1 + ldexp(f, -fraction), e - bias)
             : sign * ldexp(ldexp(f, -fraction), 1 - bias);
}

static inline double f16_value(uint16_t bits)
{
    return small_float(bits, 5, 10);
}

static inline double bf16_value(uint16_t bits)
{
    return small_float(bits, 8, 7);
}

/* Nearest of all values of a 16-bit type, ties to the even one, by bisection over the ordered
 * positive bits. */
static inline uint16_t nearest16(long double x, double (*value)(uint16_t), uint16_t infinity)
{
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const long double a = fabsl(x);
    uint16_t low = 0, high = infinity;
    if (isinf(x))
        return (uint16_t)(sign | infinity);
    while (high - low > 1) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        if ((long double)value(middle) <= a)
            low = middle;
        else
            high = middle;
    }
    /* The place of infinity counts as the next value after the largest. */
    const long double below = value(low);
    const long double above = high == infinity ? 2 * below - (long double)value((uint16_t)(low - 1))
                                               : value(high);
    const long double down = a - below, up = above - a;
    const uint16_t pick = down < up || (!(up < down) && low % 2 == 0) ? low : high;
    return (uint16_t)(sign | pick);
}

static inline long double oracle_real(lode_dtype t, const void *p)
{
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
    } v;
    memcpy(&v, p, t == LODE_C64 ? 4 : t == LODE_C128 ? 8 : lode_dtype_size(t));
    switch (t) {
    case LODE_BOOL: return v.u8 ? 1 : 0;
    case LODE_I8: return v.i8;
    case LODE_I16: return v.i16;
    case LODE_I32: return v.i32;
    case LODE_I64: return (long double)v.i64;
    case LODE_U8: return v.u8;
    case LODE_U16: return v.u16;
    case LODE_U32: return v.u32;
    case LODE_U64: return (long double)v.u64;
    case LODE_F16: return f16_value(v.u16);
    case LODE_BF16: return bf16_value(v.u16);
    case LODE_F32:
    case LODE_C64: return v.f32;
    default: return v.f64;
    }
}

static inline number oracle_load(lode_dtype t, const void *p)
{
    const size_t part = lode_dtype_size(t) / 2;
    return (number){ oracle_real(t, p),
                     lode_dtype_class(t) == 'c' ? oracle_real(t, (const char *)p + part) : 0 };
}

static inline long double saturated(long double x, long double low, long double high)
{
    return isnan(x) ? 0 : fminl(fmaxl(rintl(x), low), high);
}

static inline void oracle_store(lode_dtype t, number n, void *p)
{
    const long double x = n.re;
    switch (t) {
    case LODE_BOOL: *(uint8_t *)p = x != 0; break;
    case LODE_I8: *(int8_t *)p = (int8_t)saturated(x, INT8_MIN, INT8_MAX); break;
    case LODE_I16: *(int16_t *)p = (int16_t)saturated(x, INT16_MIN, INT16_MAX); break;
    case LODE_I32: *(int32_t *)p = (int32_t)saturated(x, INT32_MIN, INT32_MAX); break;
    case LODE_I64:
        *(int64_t *)p = (int64_t)saturated(x, (long double)INT64_MIN, (long double)INT64_MAX);
        break;
    case LODE_U8: *(uint8_t *)p = (uint8_t)saturated(x, 0, UINT8_MAX); break;
    case LODE_U16: *(uint16_t *)p = (uint16_t)saturated(x, 0, UINT16_MAX); break;
    case LODE_U32: *(uint32_t *)p = (uint32_t)saturated(x, 0, UINT32_MAX); break;
    case LODE_U64: *(uint64_t *)p = (uint64_t)saturated(x, 0, (long double)UINT64_MAX); break;
    case LODE_F16: *(uint16_t *)p = isnan(x) ? 0x7e00 : nearest16(x, f16_value, 0x7c00); break;
    case LODE_BF16: *(uint16_t *)p = isnan(x) ? 0x7fc0 : nearest16(x, bf16_value, 0x7f80); break;
    case LODE_F32: *(float *)p = (float)x; break;
    case LODE_F64: *(double *)p = (double)x; break;
    case LODE_C64: ((float *)p)[0] = (float)x, ((float *)p)[1] = (float)n.im; break;
    case LODE_C128: ((double *)p)[0] = (double)x, ((double *)p)[1] = (double)n.im; break;
    default: fail_msg("no oracle for type %d", (int)t);
    }
}

static inline double modulus_of_number(number v)
{
    return (double)hypotl(v.re, v.im);
}

/* ---- walking any array in flat order ---- */

static inline char *oracle_at(const lode_array *a, int64_t flat)
{
    int64_t offset = 0;
    for (int i = a->ndim - 1; i >= 0; i--) {
        offset += flat % a->shape[i] * a->strides[i];
        flat /= a->shape[i];
    }
    return (char *)a->data + offset * (int64_t)lode_dtype_size(a->dtype);
}

static inline number oracle_value(const lode_array *a, int64_t flat)
{
    return oracle_load(a->dtype, oracle_at(a, flat));
}

/* Same bits, NaN of any kind counting as one. */
static inline bool same_number(number a, number b)
{
    const bool re = (isnan(a.re) && isnan(b.re)) ||
                    (a.re <= b.re && a.re >= b.re && !signbit(a.re) == !signbit(b.re));
    const bool im = (isnan(a.im) && isnan(b.im)) ||
                    (a.im <= b.im && a.im >= b.im && !signbit(a.im) == !signbit(b.im));
    return re && im;
}

/* ---- random arrays ---- */

/* Values of modest size, exact in every type that can hold them. */
static inline void random_values(dice *d, lode_array *a, double size)
{
    const int64_t n = lode_array_size(a);
    for (int64_t i = 0; i < n; i++) {
        const number v = { (long double)(roll_unit(d) * size), (long double)(roll_unit(d) * size) };
        oracle_store(a->dtype, v, oracle_at(a, i));
    }
}

/* A view of that shape with permuted axes, steps, offsets and negative strides; its owner keeps it
 * alive. */
static inline void random_view(lode_ctx *ctx, dice *d, lode_dtype t, int ndim, const int64_t *shape,
                               double size, lode_array *out)
{
    int64_t big[LODE_MAX_NDIM] = { 0 }, step[LODE_MAX_NDIM] = { 0 }, skip[LODE_MAX_NDIM] = { 0 };
    int order[LODE_MAX_NDIM] = { 0 }, inverse[LODE_MAX_NDIM] = { 0 };
    for (int i = 0; i < ndim; i++)
        order[i] = i;
    for (int i = ndim - 1; i > 0 && roll(d) % 2; i--) {
        const int j = (int)roll_below(d, i + 1), t0 = order[i];
        order[i] = order[j], order[j] = t0;
    }
    const bool plain = roll(d) % 3 == 0;
    for (int i = 0; i < ndim; i++) {
        const int axis = order[i];
        inverse[axis] = i;
        step[i] = plain ? 1 : 1 + roll_below(d, 2);
        skip[i] = plain ? 0 : roll_below(d, 3);
        big[i] = shape[axis] * step[i] + skip[i];
    }
    lode_array a = { 0 };
    assert_ok(ctx, lode_array_new(ctx, t, ndim, big, &a));
    random_values(d, &a, size);
    for (int i = 0; i < ndim; i++) {
        const int64_t n = shape[order[i]];
        const bool back = !plain && n > 0 && roll(d) % 3 == 0;
        const int64_t first = skip[i], stop = first + n * step[i];
        if (back)
            assert_ok(ctx, lode_array_slice(ctx, &a, i, stop - step[i], first - 1, -step[i], &a));
        else
            assert_ok(ctx, lode_array_slice(ctx, &a, i, first, stop, step[i], &a));
    }
    assert_ok(ctx, lode_array_permute(ctx, &a, inverse, &a));
    for (int i = 0; i < ndim; i++)
        assert_int_equal(a.shape[i], shape[i]);
    lode_array_swap(out, &a);
    lode_array_free(&a);
}

/* 0 to 4 dimensions, now and then of length 0 or 1, now and then long. */
static inline int random_shape(dice *d, int64_t *shape)
{
    const int ndim = (int)roll_below(d, 5);
    for (int i = 0; i < ndim; i++) {
        const int64_t kind = roll_below(d, 12);
        shape[i] = kind == 0 ? 0 : kind < 3 ? 1 : 1 + roll_below(d, 9);
    }
    if (ndim > 0 && roll(d) % 4 == 0)
        shape[roll_below(d, ndim)] = 40 + roll_below(d, 60);
    return ndim;
}

static const lode_dtype plain_types[] = { LODE_BOOL, LODE_I8,  LODE_I16, LODE_I32, LODE_I64,
                                          LODE_U8,   LODE_U16, LODE_U32, LODE_U64, LODE_F16,
                                          LODE_BF16, LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
enum { PLAIN_TYPES = sizeof plain_types / sizeof *plain_types };
static const lode_dtype arith_types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

#endif
