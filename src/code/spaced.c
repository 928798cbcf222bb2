/* Evenly spaced values (whole numbers, decimals of so many places, multiples of a power of 2) as the
 * whole numbers that they come back from, bit for bit: (first + k num) / den, rounded once to the
 * type. */
#include <math.h>
#include <string.h>

#include "code/model.h"

/* The field WAY of the record is the byte by which the exact coder knows it, 2. */
enum { SAMPLE = 4096, SLACK = 4, WAY = 1, MISSING = 1, NEGATIVE = 2 };

/* What spacings are looked for: parts of 1; whole multiples of these are found by what the numbers
 * have in common. */
static const double finer[] = { 1,   10,    100,   1000,  1e4,   1e5,    1e6,    12,    60,
                                255, 65535, 0x1p2, 0x1p4, 0x1p8, 0x1p12, 0x1p16, 0x1p20 };

/* Values that are no multiples: NaN (all one word) and -0. */
typedef struct special {
    int64_t missing, negative;
    uint64_t nan;
} special;

static uint64_t divisor_of(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

#define T float
#define U uint32_t
#define BITS 24
#define NAME(x) x##_f32
#include "code/spaced_kernel.inc"
#undef T
#undef U
#undef BITS
#undef NAME
#define T double
#define U uint64_t
#define BITS 53
#define NAME(x) x##_f64
#include "code/spaced_kernel.inc"

bool lode_i_spaced(const lode_array *x, lode_spacing *s)
{
    const lode_dtype real = lode_i_real_of(x->dtype);
    const int64_t n = lode_array_size(x) * (real == x->dtype ? 1 : 2);
    return real == LODE_F32   ? guess_f32(x->data, n, s)
           : real == LODE_F64 ? guess_f64(x->data, n, s)
                              : false;
}

/* x as reals, pairs as an axis of 2. */
static lode_array reals_of(const lode_array *x)
{
    int64_t shape[LODE_MAX_NDIM + 1];
    int ndim = x->ndim;
    memcpy(shape, x->shape, (size_t)ndim * sizeof *shape);
    if (lode_i_is_complex(x->dtype))
        shape[ndim++] = 2;
    return lode_array_wrap(x->data, lode_i_real_of(x->dtype), ndim, shape);
}

static bool count_off(const lode_array *x, const lode_spacing *s, special *p, lode_array *k)
{
    *p = (special){ 0 };
    return x->dtype == LODE_F32 ? count_off_f32(x->data, lode_array_size(x), s, p, k->data)
                                : count_off_f64(x->data, lode_array_size(x), s, p, k->data);
}

static lode_status write_set(lode_ctx *ctx, const lode_array *x, bool missing, lode_record *r)
{
    lode_status st = LODE_OK;
    lode_array set = { 0 }, stream = { 0 };
    const int64_t n = lode_array_size(x);
    LODE_TRY(lode_array_new(ctx, LODE_BOOL, x->ndim, x->shape, &set));
    if (x->dtype == LODE_F32)
        find_special_f32(x->data, n, missing, set.data);
    else
        find_special_f64(x->data, n, missing, set.data);
    LODE_TRY(lode_i_encode_mask(ctx, &set, &stream));
    LODE_TRY(lode_i_record_bytes(ctx, r, &stream));
done:
    LODE_FREE(&set, &stream);
    return st;
}

lode_status code_spaced_encode(lode_ctx *ctx, const lode_array *values, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, k = { 0 }, stream = { 0 };
    lode_record r = { 0 };
    lode_spacing s;
    special p = { 0 };

    if (values->ndim == LODE_MAX_NDIM || !lode_i_spaced(values, &s))
        goto done;
    x = reals_of(values);
    LODE_TRY(lode_array_new(ctx, LODE_I32, x.ndim, x.shape, &k));
    bool even = count_off(&x, &s, &p, &k);
    if (!even && s.num > 1) { /* which only the sample had in common */
        s.num = 1;
        even = count_off(&x, &s, &p, &k);
    }
    if (!even)
        goto done;
    LODE_TRY(lode_i_record_i64(ctx, &r, WAY));
    LODE_TRY(lode_i_record_f64(ctx, &r, s.first));
    LODE_TRY(lode_i_record_f64(ctx, &r, s.num));
    LODE_TRY(lode_i_record_f64(ctx, &r, s.den));
    LODE_TRY(lode_i_record_i64(ctx, &r, (p.missing ? MISSING : 0) | (p.negative ? NEGATIVE : 0)));
    if (p.missing) {
        LODE_TRY(lode_i_record_i64(ctx, &r, (int64_t)p.nan));
        LODE_TRY(write_set(ctx, &x, true, &r));
    }
    if (p.negative)
        LODE_TRY(write_set(ctx, &x, false, &r));
    LODE_TRY(code_words_encode(ctx, &k, &stream));
    LODE_TRY(lode_i_record_bytes(ctx, &r, &stream));
    lode_array_free(&stream);
    LODE_TRY(lode_i_record_end(ctx, &r, out));
done:
    lode_i_record_free(&r);
    LODE_FREE(&k, &stream);
    return st;
}

static lode_status read_set(lode_ctx *ctx, lode_record *r, const lode_array *x, lode_array *set)
{
    lode_status st = LODE_OK;
    lode_array stream = { 0 };
    LODE_TRY(lode_i_record_read_bytes(ctx, r, &stream));
    LODE_TRY(lode_array_new(ctx, LODE_BOOL, x->ndim, x->shape, set));
    LODE_TRY(lode_i_decode_mask(ctx, &stream, set));
done:
    LODE_FREE(&stream);
    return st;
}

static void put(const lode_array *x, const lode_array *set, uint64_t word)
{
    if (x->dtype == LODE_F32)
        put_special_f32(x->data, lode_array_size(x), set->data, word);
    else
        put_special_f64(x->data, lode_array_size(x), set->data, word);
}

lode_status code_spaced_decode(lode_ctx *ctx, const lode_array *coded, lode_array *values)
{
    lode_status st = LODE_OK;
    lode_array missing = { 0 }, negative = { 0 }, stream = { 0 };
    lode_record r = { 0 };
    lode_spacing s = { 0 };
    int64_t way = 0, which = 0, nan = 0;
    const lode_dtype real = lode_i_real_of(values->dtype);

    LODE_REQUIRE((real == LODE_F32 || real == LODE_F64) && values->ndim < LODE_MAX_NDIM,
                 LODE_EFORMAT, "coded values are damaged");
    const lode_array x = reals_of(values);
    LODE_TRY(lode_i_record_open(ctx, coded, &r));
    LODE_TRY(lode_i_record_read_i64(ctx, &r, WAY, WAY, &way));
    LODE_TRY(lode_i_record_read_f64(ctx, &r, &s.first));
    LODE_TRY(lode_i_record_read_f64(ctx, &r, &s.num));
    LODE_TRY(lode_i_record_read_f64(ctx, &r, &s.den));
    LODE_TRY(lode_i_record_read_i64(ctx, &r, 0, MISSING | NEGATIVE, &which));
    if (which & MISSING) {
        LODE_TRY(lode_i_record_read_i64(ctx, &r, -INT64_MAX - 1, INT64_MAX, &nan));
        LODE_TRY(read_set(ctx, &r, &x, &missing));
    }
    if (which & NEGATIVE)
        LODE_TRY(read_set(ctx, &r, &x, &negative));
    LODE_TRY(lode_i_record_read_bytes(ctx, &r, &stream));
    lode_array k = lode_array_wrap(x.data, LODE_I32, x.ndim, x.shape);
    LODE_TRY(lode_i_decode_exact(ctx, &stream, &k));
    if (real == LODE_F32)
        back_f32(x.data, lode_array_size(&x), &s);
    else
        back_f64(x.data, lode_array_size(&x), &s);
    if (missing.data)
        put(&x, &missing, (uint64_t)nan);
    if (negative.data)
        put(&x, &negative, UINT64_C(1) << (real == LODE_F32 ? 31 : 63));
done:
    lode_i_record_free(&r);
    LODE_FREE(&missing, &negative, &stream);
    return st;
}
