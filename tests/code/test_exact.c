/* Exact values and masks: every bit comes back, never more than the raw bytes and a few. */
#include "fixture.h"

#include <math.h>

#include "code/code.h"

static void round_trip(lode_ctx *ctx, const lode_array *x, int64_t *size)
{
    lode_array coded = { 0 }, back = { 0 };
    assert_ok(ctx, lode_array_zeros(ctx, x->dtype, x->ndim, x->shape, &back));
    assert_ok(ctx, lode_i_encode_exact(ctx, x, &coded));
    assert_ok(ctx, lode_i_decode_exact(ctx, &coded, &back));
    assert_le((double)coded.shape[0], (double)lode_array_bytes(x) + 16);
    if (lode_array_bytes(x))
        assert_memory_equal(x->data, back.data, lode_array_bytes(x));
    if (size)
        *size = coded.shape[0];
    LODE_FREE(&coded, &back);
}

static void random_bytes_of_every_type(void **state)
{
    lode_ctx *ctx = *state;
    static const struct {
        int ndim;
        int64_t shape[4];
    } cases[] = {
        { 1, { 0 } }, { 1, { 32 } }, { 2, { 5, 64 } }, { 3, { 3, 4, 32 } }, { 4, { 2, 0, 3, 32 } },
    };
    for (int t = 0; t < LODE_DTYPE_COUNT; t++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            lode_array x = { 0 };
            const lode_stream s = lode_i_stream(ctx, "test", (uint64_t)t);
            assert_ok(ctx, lode_array_zeros(ctx, (lode_dtype)t, cases[c].ndim, cases[c].shape, &x));
            uint8_t *byte = x.data;
            for (size_t i = 0; i < lode_array_bytes(&x); i++)
                byte[i] = (uint8_t)lode_i_random_u64(s, i);
            round_trip(ctx, &x, NULL);
            lode_array_free(&x);
        }
}

static void special_floats(void **state)
{
    lode_ctx *ctx = *state;
    double v[] = { 0.0, -0.0, NAN, -NAN, INFINITY, -INFINITY, 1e-320, -1e300, 1, 2, 3, 4 };
    float f[12];
    const int64_t shape[] = { 3, 4 };
    for (int i = 0; i < 12; i++)
        f[i] = (float)v[i];
    lode_array x = lode_array_wrap(v, LODE_F64, 2, shape),
               y = lode_array_wrap(f, LODE_F32, 2, shape);
    round_trip(ctx, &x, NULL);
    round_trip(ctx, &y, NULL);
}

/* A smooth field needs the bits of its second differences only; values that are multiples of a
 * power of two, or f32 held in f64, lose their common zeros first. */
static void smooth_fields_shrink(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 100, 100 };
    lode_array i16 = { 0 }, f32 = { 0 }, f64 = { 0 };
    int64_t a = 0, b = 0, c = 0;
    assert_ok(ctx, lode_array_new(ctx, LODE_I16, 2, shape, &i16));
    assert_ok(ctx, lode_array_new(ctx, LODE_F32, 2, shape, &f32));
    for (int64_t i = 0; i < 10000; i++) {
        const double v = 3000 * sin((double)(i / 100) / 30) * cos((double)(i % 100) / 40);
        ((int16_t *)i16.data)[i] = (int16_t)lrint(v);
        ((float *)f32.data)[i] = (float)v;
    }
    assert_ok(ctx, lode_array_cast(ctx, &f32, LODE_F64, &f64));
    round_trip(ctx, &i16, &a);
    round_trip(ctx, &f32, &b);
    round_trip(ctx, &f64, &c);
    assert_le(a, 10000 * 2 / 5);
    assert_le(b, 10000 * 4 * 0.75);
    assert_le(c, 1.1 * (double)b); /* not twice */
    LODE_FREE(&i16, &f32, &f64);
}

/* Evenly spaced reals take what their whole numbers would, whatever their scale; missing entries and
 * negative zeros among them. */
static void spaced_values_are_whole_numbers(void **state)
{
    lode_ctx *ctx = *state;
    static const double num[] = { 1, 1, 1, 25, 7, 1, 1, 0x1p-10, 5e4, 1 };
    static const double den[] = { 1, 10, 100, 1000, 1, 60, 255, 1, 1, 1e6 };
    const int64_t shape[] = { 70, 60 }, pairs[] = { 70, 30 };
    lode_array whole = { 0 }, f32 = { 0 }, f64 = { 0 };
    assert_ok(ctx, lode_array_new(ctx, LODE_I16, 2, shape, &whole));
    assert_ok(ctx, lode_array_new(ctx, LODE_F32, 2, shape, &f32));
    assert_ok(ctx, lode_array_new(ctx, LODE_F64, 2, shape, &f64));
    float *f = f32.data;
    double *d = f64.data;
    for (size_t c = 0; c < sizeof num / sizeof *num; c++) {
        int64_t least = 0, size = 0;
        const lode_stream s = lode_i_stream(ctx, "test", c);
        for (int i = 0; i < 4200; i++) {
            const int noise = (int)(lode_i_random_u64(s, (uint64_t)i) % 9);
            const int k = (int)(300 * sin(i / 60 / 20.0) * cos(i % 60 / 25.0)) + noise - 4;
            ((int16_t *)whole.data)[i] = (int16_t)k;
            d[i] = k * num[c] / den[c];
            f[i] = (float)d[i];
        }
        round_trip(ctx, &whole, &least);
        round_trip(ctx, &f64, &size);
        assert_le(size, least + 60);
        round_trip(ctx, &f32, &size);
        assert_le(size, least + 60);
        lode_array z = lode_array_wrap(f, LODE_C64, 2, pairs);
        round_trip(ctx, &z, &size);
        assert_le(size, 1.7 * (double)least);
        for (int i = 0; i < 4200; i += 50) {
            f[i] = i % 3 ? NAN : -0.0F;
            d[i] = i % 3 ? -NAN : 0.0;
        }
        round_trip(ctx, &f32, &size);
        assert_le(size, (double)least + 500);
        round_trip(ctx, &f64, NULL);
        d[7] = INFINITY, f[50] = -NAN; /* not one of them */
        round_trip(ctx, &f32, NULL);
        round_trip(ctx, &f64, NULL);
        d[7] = 0, d[8] = -NAN, d[9] = M_PI;
        round_trip(ctx, &f64, NULL);
    }
    for (int i = 0; i < 4200;
         i++) /* in common with all that is looked at first, or is no spacing */
        f[i] = 10 * (float)(i % 50), d[i] = 1e9 + i % 7;
    f[4199] = 3;
    round_trip(ctx, &f32, NULL);
    round_trip(ctx, &f64, NULL);
    for (int i = 0; i < 4200; i++)
        f[i] = 12.5F, d[i] = -1e300;
    round_trip(ctx, &f32, NULL);
    round_trip(ctx, &f64, NULL);
    LODE_FREE(&whole, &f32, &f64);
}

static void damage_is_found(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 16, 16 };
    for (int noisy = 0; noisy < 2; noisy++) {
        lode_array x = { 0 }, coded = { 0 }, back = { 0 };
        assert_ok(ctx, lode_array_new(ctx, LODE_F32, 2, shape, &x));
        assert_ok(ctx, lode_array_new(ctx, LODE_F32, 2, shape, &back));
        for (int i = 0; i < 256; i++) {
            const uint32_t word = (uint32_t)lode_i_random_u64(lode_i_stream(ctx, "test", 9),
                                                              (uint64_t)i);
            if (noisy)
                memcpy((float *)x.data + i, &word, 4);
            else
                ((float *)x.data)[i] = (float)(i % 16) + 0.25f;
        }
        assert_ok(ctx, lode_i_encode_exact(ctx, &x, &coded));
        const int64_t size = coded.shape[0];
        int64_t missed = 0;
        for (int64_t i = 0; i < size; i++) {
            uint8_t *byte = coded.data;
            byte[i] ^= 0x10;
            const lode_status st = lode_i_decode_exact(ctx, &coded, &back);
            missed += st == LODE_OK;
            assert_true(st == LODE_OK || st == LODE_EFORMAT);
            byte[i] ^= 0x10;
        }
        assert_le(missed, 0);
        for (coded.shape[0] = 0; coded.shape[0] < size; coded.shape[0]++)
            assert_status(ctx, lode_i_decode_exact(ctx, &coded, &back), LODE_EFORMAT);
        LODE_FREE(&x, &coded, &back);
    }
}

static void masks_round_trip(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 60, 70 };
    uint8_t mask[4200], back[4200];
    static const double limits[] = { /* sevenths of bytes: half random; a tenth; a disc; none */
                                     4500, 3500, 1800, 150
    };
    for (int kind = 0; kind < 4; kind++) {
        lode_array coded = { 0 };
        for (int i = 0; i < 4200; i++) {
            const double u = lode_i_random_uniform(lode_i_stream(ctx, "test", 11), (uint64_t)i);
            const int r = i / 70 - 30, c = i % 70 - 35;
            mask[i] = kind == 0   ? u < 0.5
                      : kind == 1 ? u < 0.1
                      : kind == 2 ? r * r + c * c < 400
                                  : 0;
        }
        const lode_array set = lode_array_wrap(mask, LODE_BOOL, 2, shape);
        lode_array got = lode_array_wrap(back, LODE_BOOL, 2, shape);
        assert_ok(ctx, lode_i_encode_mask(ctx, &set, &coded));
        assert_ok(ctx, lode_i_decode_mask(ctx, &coded, &got));
        assert_memory_equal(mask, back, sizeof mask);
        assert_le(coded.shape[0], limits[kind] / 7);
        const int64_t size = coded.shape[0];
        for (coded.shape[0] = 0; coded.shape[0] < size; coded.shape[0]++)
            assert_status(ctx, lode_i_decode_mask(ctx, &coded, &got), LODE_EFORMAT);
        lode_array_free(&coded);
    }
    lode_array coded = { 0 };
    const int64_t none[] = { 0, 5 };
    lode_array empty = lode_array_wrap(mask, LODE_BOOL, 2, none);
    assert_ok(ctx, lode_i_encode_mask(ctx, &empty, &coded));
    assert_ok(ctx, lode_i_decode_mask(ctx, &coded, &empty));
    lode_array_free(&coded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_of_every_type),
        cmocka_unit_test(special_floats),
        cmocka_unit_test(smooth_fields_shrink),
        cmocka_unit_test(spaced_values_are_whole_numbers),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(masks_round_trip),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
