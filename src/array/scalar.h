/* One value from each storage type to each other, exactly rounded once, in code that compilers
 * vectorize. A stored value is loaded into a carrier (i32, i64, u64, f32, f64) that holds it
 * exactly; x_from_y turns a carrier into a stored value. Half types round to nearest even, integers
 * saturate, NaN becomes 0. */
#ifndef LODE_SCALAR_H
#define LODE_SCALAR_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* |z| by the plain formula where it neither overflows nor underflows; NaN when a part is. */
static inline double modulus(double re, double im)
{
    const double s = re * re + im * im;
    if (s > 0x1p-960 && s <= DBL_MAX)
        return sqrt(s);
    return re != re || im != im ? (double)NAN : hypot(re, im);
}

static inline uint32_t bits_of_f32(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float f32_of_bits(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static inline float f32_load_bf16(uint16_t h)
{
    return f32_of_bits((uint32_t)h << 16);
}

static inline float f32_load_f16(uint16_t h)
{
    const uint32_t em = h & 0x7fffu;
    /* subnormal: multiples of 2^-24 */
    const uint32_t tiny = bits_of_f32((float)(int32_t)em * 0x1p-24f);
    const uint32_t normal = (em << 13) + (112u << 23);
    const uint32_t special = (em << 13) | 0x7f800000u;
    const uint32_t b = em >= 0x7c00u ? special : em >= 0x400u ? normal : tiny;
    return f32_of_bits(b | (uint32_t)(h & 0x8000u) << 16);
}

static inline uint16_t f16_from_f32(float x)
{
    const uint32_t b = bits_of_f32(x), a = b & 0x7fffffffu;
    const uint32_t normal = (a + 0xfffu + (a >> 13 & 1u) - (112u << 23)) >> 13;
    /* Adding 1/2, whose last place is 2^-24, rounds a subnormal to nearest even. */
    const uint32_t tiny = bits_of_f32(f32_of_bits(a) + 0.5f) - bits_of_f32(0.5f);
    const uint32_t nan = 0x7e00u | (a >> 13 & 0x3ffu);
    uint32_t h = a >= 0x38800000u ? normal : tiny;
    h = a >= 0x477ff000u ? 0x7c00u : h; /* from 65520 on */
    h = a > 0x7f800000u ? nan : h;
    return (uint16_t)(h | (b >> 16 & 0x8000u));
}

static inline uint16_t bf16_from_f32(float x)
{
    const uint32_t b = bits_of_f32(x);
    const uint32_t rounded = (b + 0x7fffu + (b >> 16 & 1u)) >> 16;
    return (uint16_t)((b & 0x7fffffffu) > 0x7f800000u ? (b >> 16 | 0x40u) : rounded);
}

/* Rounded to odd: what is lost leaves a trace in the last bit, so that rounding again to a type at
 * least two bits narrower is as if it had been done once. */
static inline float f32_odd_from_f64(double x)
{
    const float f = (float)x;
    const uint32_t b = bits_of_f32(f);
    const uint32_t down = fabs((double)f) > fabs(x) ? 1u : 0u;
    const uint32_t odd = (b - down) | 1u;
    return f32_of_bits((double)f == x || x != x ? b : odd);
}

/* Exact below 2^53, to odd at bit 11 above: enough for types of at most 24 bits but not for f64
 * itself. */
static inline double f64_odd_from_u64(uint64_t v)
{
    const uint64_t odd = (v & ~UINT64_C(0x7ff)) | (v & 0x7ffu ? 0x800u : 0u);
    return (double)(v >> 53 ? odd : v);
}

static inline double f64_odd_from_i64(int64_t v)
{
    const double x = f64_odd_from_u64(v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    return v < 0 ? -x : x;
}

/* Nearest integer, ties to even, without a call: adding 2^52 leaves no place for a fraction. */
static inline double nearest(double x)
{
    const double a = fabs(x), r = (a + 0x1p52) - 0x1p52;
    return copysign(a < 0x1p52 ? r : a, x);
}

static inline double clamped(double x, double low, double high)
{
    const double y = x > low ? x : low; /* NaN goes low; the callers have made it 0 before */
    return y < high ? y : high;
}

static inline uint8_t b8_from_i32(int32_t x)
{
    return x != 0;
}
static inline uint8_t b8_from_i64(int64_t x)
{
    return x != 0;
}
static inline uint8_t b8_from_u64(uint64_t x)
{
    return x != 0;
}
static inline uint8_t b8_from_f64(double x)
{
    return x != 0;
}
static inline uint8_t b8_from_f32(float x)
{
    return x != 0;
}

/* Types up to 32 bits: via in i32 or i64, which hold them all. */
#define NARROW(name, type, low, high, via)                                                         \
    static inline type name##_from_i32(int32_t x)                                                  \
    {                                                                                              \
        const via v = x;                                                                           \
        return (type)(v < (low) ? (low) : v > (high) ? (high) : v);                                \
    }                                                                                              \
    static inline type name##_from_i64(int64_t x)                                                  \
    {                                                                                              \
        return (type)(x < (low) ? (low) : x > (high) ? (high) : x);                                \
    }                                                                                              \
    static inline type name##_from_u64(uint64_t x)                                                 \
    {                                                                                              \
        return (type)(x > (uint64_t)(high) ? (uint64_t)(high) : x);                                \
    }                                                                                              \
    static inline type name##_from_f64(double x)                                                   \
    {                                                                                              \
        return (type)(via)nearest(clamped(x == x ? x : 0, (double)(low), (double)(high)));         \
    }                                                                                              \
    static inline type name##_from_f32(float x)                                                    \
    {                                                                                              \
        return name##_from_f64((double)x);                                                         \
    }
NARROW(i8, int8_t, INT8_MIN, INT8_MAX, int32_t)
NARROW(u8, uint8_t, 0, UINT8_MAX, int32_t)
NARROW(i16, int16_t, INT16_MIN, INT16_MAX, int32_t)
NARROW(u16, uint16_t, 0, UINT16_MAX, int32_t)
NARROW(i32, int32_t, INT32_MIN, INT32_MAX, int32_t)
NARROW(u32, uint32_t, 0, (int64_t)UINT32_MAX, int64_t)
#undef NARROW

static inline int64_t i64_from_i32(int32_t x)
{
    return x;
}
static inline int64_t i64_from_i64(int64_t x)
{
    return x;
}
static inline int64_t i64_from_u64(uint64_t x)
{
    return x > INT64_MAX ? INT64_MAX : (int64_t)x;
}
static inline int64_t i64_from_f64(double x)
{
    return x != x ? 0 : x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)nearest(x);
}
static inline int64_t i64_from_f32(float x)
{
    return i64_from_f64((double)x);
}
static inline uint64_t u64_from_i32(int32_t x)
{
    return x < 0 ? 0 : (uint64_t)x;
}
static inline uint64_t u64_from_i64(int64_t x)
{
    return x < 0 ? 0 : (uint64_t)x;
}
static inline uint64_t u64_from_u64(uint64_t x)
{
    return x;
}
static inline uint64_t u64_from_f64(double x)
{
    return !(x > 0) ? 0 : x >= 0x1p64 ? UINT64_MAX : (uint64_t)nearest(x);
}
static inline uint64_t u64_from_f32(float x)
{
    return u64_from_f64((double)x);
}

static inline uint16_t f16_from_f64(double x)
{
    return f16_from_f32(f32_odd_from_f64(x));
}
static inline uint16_t f16_from_i32(int32_t x)
{
    return f16_from_f64((double)x);
}
static inline uint16_t f16_from_i64(int64_t x)
{
    return f16_from_f64(f64_odd_from_i64(x));
}
static inline uint16_t f16_from_u64(uint64_t x)
{
    return f16_from_f64(f64_odd_from_u64(x));
}
static inline uint16_t bf16_from_f64(double x)
{
    return bf16_from_f32(f32_odd_from_f64(x));
}
static inline uint16_t bf16_from_i32(int32_t x)
{
    return bf16_from_f64((double)x);
}
static inline uint16_t bf16_from_i64(int64_t x)
{
    return bf16_from_f64(f64_odd_from_i64(x));
}
static inline uint16_t bf16_from_u64(uint64_t x)
{
    return bf16_from_f64(f64_odd_from_u64(x));
}

static inline float f32_from_i32(int32_t x)
{
    return (float)x;
}
static inline float f32_from_i64(int64_t x)
{
    return (float)x;
}
static inline float f32_from_u64(uint64_t x)
{
    return (float)x;
}
static inline float f32_from_f32(float x)
{
    return x;
}
static inline float f32_from_f64(double x)
{
    return (float)x;
}
static inline double f64_from_i32(int32_t x)
{
    return (double)x;
}
static inline double f64_from_i64(int64_t x)
{
    return (double)x;
}
static inline double f64_from_u64(uint64_t x)
{
    return (double)x;
}
static inline double f64_from_f32(float x)
{
    return (double)x;
}
static inline double f64_from_f64(double x)
{
    return x;
}

#endif
