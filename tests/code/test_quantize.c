/* The quantizer: within its step, its error as predicted, its shifts the best. */
#include "fixture.h"

#include <math.h>

#include "code/code.h"

static void error_is_as_predicted(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t n = 100003;
    static const lode_dtype types[] = { LODE_F32, LODE_F64 };
    for (int t = 0; t < 2; t++) {
        lode_array x = { 0 }, y = { 0 }, symbols = { 0 };
        assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "test", 0), types[t], n, 1, &x));
        for (double step = 1e-3; step < 20; step *= 7) {
            lode_quantizer z = { .step = step, .zone = 0.6 };
            double sumsq = 0, bits = 0, found = 0, worst = 0, ideal = 0;
            assert_ok(ctx, lode_i_quantizer_fit(ctx, &x, &z, &sumsq, &bits));
            assert_ok(ctx, lode_i_quantize(ctx, &x, &z, &symbols));
            assert_ok(ctx, lode_i_dequantize(ctx, &symbols, &z, types[t], &y));
            lode_array copy = { 0 }, over = { 0 };
            assert_ok(ctx, lode_array_cast(ctx, &x, types[t], &copy));
            assert_ok(ctx, lode_i_quantize_over(ctx, &copy, &z, &over));
            assert_null(copy.data);
            assert_memory_equal(over.data, symbols.data, (size_t)n * sizeof(int32_t));
            assert_ok(ctx, lode_i_dequantize_over(ctx, &over, &z, types[t], &copy));
            assert_memory_equal(copy.data, y.data, (size_t)n * lode_dtype_size(types[t]));
            LODE_FREE(&copy, &over);
            const int32_t *q = symbols.data;
            for (int64_t i = 0; i < n; i++) {
                const int64_t at[] = { i, 0 };
                const double v = lode_array_get(&x, at), d = fabs(v - lode_array_get(&y, at));
                found += d * d;
                worst = fmax(worst, d);
                ideal += log2(1 + fabs(v) / step);
                assert_int_equal(q[i] < 0, q[i] != 0 && v < 0);
            }
            const double eps = lode_i_epsilon(types[t]);
            assert_near(sumsq, found, 1e-4 * found + 4 * eps * (double)n);
            /* shifts are at most the zone's overlap, values at most one dead zone away */
            assert_le(worst, step * (1 + 8 * eps / step));
            /* straight lines lie at most 0.0861 under log2 between powers of two */
            assert_le(bits, ideal * (1 + 1e-5));
            assert_le(ideal - 0.0861 * (double)n, bits);
        }
        LODE_FREE(&x, &y, &symbols);
    }
}

static void rounding_without_dead_zone_is_to_the_nearest(void **state)
{
    lode_ctx *ctx = *state;
    double v[] = { 0, 0.49, 0.51, -0.49, -0.51, 1.49, 1.51, -7.6, 1e6 + 0.2 };
    const int32_t want[] = { 0, 0, 1, 0, -1, 1, 2, -8, 1000000 };
    const int64_t shape[] = { 9 };
    lode_array q = { 0 };
    const lode_array x = lode_array_wrap(v, LODE_F64, 1, shape);
    const lode_quantizer z = { .step = 1, .zone = 0.5 };
    assert_ok(ctx, lode_i_quantize(ctx, &x, &z, &q));
    assert_memory_equal(q.data, want, sizeof want);
    lode_array_free(&q);
}

static void too_large_or_nan_is_refused(void **state)
{
    lode_ctx *ctx = *state;
    double v[] = { 1, 0, 2 };
    const int64_t shape[] = { 3 };
    lode_array q = { 0 };
    const lode_array x = lode_array_wrap(v, LODE_F64, 1, shape);
    lode_quantizer z = { .step = 1e-9, .zone = 0.5 };
    assert_status(ctx, lode_i_quantize(ctx, &x, &z, &q), LODE_EDOMAIN);
    z.step = 1e-8;
    assert_ok(ctx, lode_i_quantize(ctx, &x, &z, &q));
    v[1] = NAN;
    assert_status(ctx, lode_i_quantize(ctx, &x, &z, &q), LODE_EDOMAIN);
    z.step = 0;
    assert_status(ctx, lode_i_quantize(ctx, &x, &z, &q), LODE_EPARAM);
    z.step = NAN;
    assert_status(ctx, lode_i_quantize(ctx, &x, &z, &q), LODE_EPARAM);
    lode_array_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_is_as_predicted),
        cmocka_unit_test(rounding_without_dead_zone_is_to_the_nearest),
        cmocka_unit_test(too_large_or_nan_is_refused),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
