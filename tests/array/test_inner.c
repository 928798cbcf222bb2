/* Inner products over the entries that are there, against sums entry by entry. */
#include "fixture.h"

#include <math.h>

#include "array/array.h"

enum { N = 40000 };

static void sums_leave_out_what_is_not_finite(void **state)
{
    (void)state;
    lode_ctx ctx;
    lode_array x = { 0 }, y = { 0 };
    lode_inner got, one;
    const int64_t shape[] = { 200, 200 };
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    const lode_stream s = lode_i_stream(&ctx, "inner", 0);
    for (int complex = 0; complex < 2; complex++)
        for (int holes = 0; holes < 2; holes++) {
            const lode_dtype dtype = complex ? LODE_C128 : LODE_F64;
            const int parts = complex ? 2 : 1;
            assert_ok(&ctx, lode_array_new(&ctx, dtype, 2, shape, &x));
            assert_ok(&ctx, lode_array_new(&ctx, complex ? LODE_C64 : LODE_F32, 2, shape, &y));
            double *v = x.data;
            float *w = y.data;
            for (int i = 0; i < N * parts; i++) {
                v[i] = lode_i_random_normal(s, (uint64_t)i);
                w[i] = (float)lode_i_random_normal(s, (uint64_t)(i + N * parts));
                if (holes && i % 101 == 0)
                    v[i] = NAN;
                if (holes && i % 137 == 5)
                    w[i] = i % 2 ? NAN : INFINITY;
            }
            double re = 0, im = 0, xx = 0, yy = 0;
            int64_t count = 0, missing = 0, infinite = 0;
            for (int i = 0; i < N; i++) {
                const double a = v[parts * i], b = complex ? v[2 * i + 1] : 0;
                const double c = (double)w[parts * i], d = complex ? (double)w[2 * i + 1] : 0;
                const bool nan = isnan(a) || isnan(b) || isnan(c) || isnan(d);
                missing += nan;
                infinite += !nan && (isinf(c) || isinf(d));
                if (nan || isinf(c) || isinf(d))
                    continue;
                count++;
                re += a * c + b * d, im += b * c - a * d;
                xx += a * a + b * b, yy += c * c + d * d;
            }
            assert_ok(&ctx, lode_i_inner(&ctx, &x, &y, &got));
            assert_true(got.count == count && got.missing == missing && got.infinite == infinite);
            assert_near(got.re, re, 1e-9), assert_near(got.im, im, 1e-9);
            assert_near(got.sumsq, xx, 1e-7), assert_near(got.other, yy, 1e-7);
            /* same bits for any number of threads */
            ctx.threads = 1;
            assert_ok(&ctx, lode_i_inner(&ctx, &x, &y, &one));
            ctx.threads = 0;
            assert_memory_equal(&one.re, &got.re, sizeof one.re);
            assert_memory_equal(&one.sumsq, &got.sumsq, sizeof one.sumsq);
            /* alone: the sum */
            re = 0, count = 0;
            for (int i = 0; i < N; i++)
                if (!isnan(v[parts * i]) && !(complex && isnan(v[2 * i + 1])))
                    re += v[parts * i], count++;
            assert_ok(&ctx, lode_i_inner(&ctx, &x, NULL, &one));
            assert_near(one.re, re, 1e-9);
            assert_int_equal(one.count, count);
            LODE_FREE(&x, &y);
        }
    lode_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sums_leave_out_what_is_not_finite) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
