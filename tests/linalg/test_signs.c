/* Random sign sums against their definition, and their expectation. */
#include "fixture.h"

#include <math.h>

#include "linalg/linalg.h"

static lode_ctx ctx;

static int setup(void **state)
{
    (void)state;
    return lode_ctx_init(&ctx, NULL) < 0;
}

static int teardown(void **state)
{
    (void)state;
    lode_ctx_free(&ctx);
    return 0;
}

static lode_array normal(lode_dtype t, int d, const int64_t *shape)
{
    lode_array flat = { 0 }, a = { 0 };
    int64_t size = 1;
    for (int k = 0; k < d; k++)
        size *= shape[k];
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "signs", 1), t, 1, size, &flat));
    assert_ok(&ctx, lode_array_reshape(&ctx, &flat, d, shape, &a));
    lode_array_free(&flat);
    return a;
}

/* Sums are linear in X, each slice of the mode goes to one bucket with sign +-1, and the squares
 * are those of X. */
static void every_slice_goes_to_one_bucket(void **state)
{
    (void)state;
    static const int64_t shape[] = { 3, 21, 17 };
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
    for (int t = 0; t < 4; t++)
        for (int mode = 0; mode < 3; mode++) {
            lode_array X = normal(types[t], 3, shape), W = { 0 }, z = { 0 }, one = { 0 },
                       part = { 0 }, from = { 0 };
            int64_t zs[3] = { 3, 21, 17 };
            double sumsq, norm;
            const lode_stream s = lode_i_stream(&ctx, "signs", 2);
            zs[mode] = 4;
            assert_ok(&ctx, lode_array_new(&ctx, t < 2 ? LODE_F64 : LODE_C128, 3, zs, &z));
            assert_ok(&ctx, lode_array_new(&ctx, z.dtype, 3, zs, &one));
            assert_ok(&ctx, lode_i_sign_sums(&ctx, &X, mode, s, &z, &sumsq));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &norm));
            assert_near(sumsq, norm * norm, 1e-13 * sumsq);
            for (int64_t i = 0; i < shape[mode];
                 i++) { /* X without its other slices: one bucket holds +- the slice */
                assert_ok(&ctx, lode_array_zeros(&ctx, types[t], 3, shape, &W));
                assert_ok(&ctx, lode_array_slice(&ctx, &X, mode, i, i + 1, 1, &from));
                assert_ok(&ctx, lode_array_slice(&ctx, &W, mode, i, i + 1, 1, &part));
                assert_ok(&ctx, lode_array_copy_into(&ctx, &from, &part));
                assert_ok(&ctx, lode_i_sign_sums(&ctx, &W, mode, s, &one, &sumsq));
                assert_ok(&ctx, lode_i_axpy(&ctx, -1, &one, &z));
                int full = 0;
                for (int b = 0; b < 4; b++) {
                    lode_array slice = { 0 };
                    double size, plus, minus;
                    assert_ok(&ctx, lode_array_slice(&ctx, &one, mode, b, b + 1, 1, &slice));
                    assert_ok(&ctx, lode_i_norm_fro(&ctx, &slice, &size));
                    if (size > 0) {
                        lode_array wide = { 0 };
                        assert_ok(&ctx, lode_array_cast(&ctx, &from, one.dtype, &wide));
                        assert_ok(&ctx, lode_i_diff_fro(&ctx, &slice, &wide, &plus));
                        assert_ok(&ctx, lode_i_scale(&ctx, -1, &wide));
                        assert_ok(&ctx, lode_i_diff_fro(&ctx, &slice, &wide, &minus));
                        assert_near(fmin(plus, minus), 0, 0);
                        lode_array_free(&wide);
                        full++;
                    }
                    lode_array_free(&slice);
                }
                assert_int_equal(full, 1);
            }
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &z, &norm)); /* nothing is left of the sums */
            assert_le(norm, 1e-12);
            LODE_FREE(&X, &W, &z, &one, &part, &from);
        }
}

/* The mean of the Gram matrix over streams is that of X: each entry within 5 deviations of a mean
 * of 400. */
static void the_expectation_of_gram_is_gram(void **state)
{
    (void)state;
    static const int64_t shape[] = { 4, 30, 3 }, zs[] = { 4, 6, 3 };
    enum { STREAMS = 400 };
    lode_array X = normal(LODE_F64, 3, shape), z = { 0 }, G = { 0 }, g = { 0 };
    double mean[9] = { 0 }, square[9] = { 0 }, sumsq;
    assert_ok(&ctx, lode_i_mode_gram(&ctx, &X, 2, false, &G));
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 3, zs, &z));
    for (uint64_t i = 0; i < STREAMS; i++) {
        assert_ok(&ctx,
                  lode_i_sign_sums(&ctx, &X, 1, lode_i_stream(&ctx, "signs", 10 + i), &z, &sumsq));
        assert_ok(&ctx, lode_i_mode_gram(&ctx, &z, 2, false, &g));
        for (int j = 0; j < 9; j++) {
            const double v = lode_i_get2(&g, j / 3, j % 3);
            mean[j] += v / STREAMS, square[j] += v * v / STREAMS;
        }
    }
    for (int j = 0; j < 9; j++)
        assert_near(mean[j], lode_i_get2(&G, j / 3, j % 3),
                    5 * sqrt((square[j] - mean[j] * mean[j]) / STREAMS));
    LODE_FREE(&X, &z, &G, &g);
}

static void values_that_are_not_finite_show(void **state)
{
    (void)state;
    static const int64_t shape[] = { 2, 5, 9 }, zs[] = { 2, 2, 9 };
    lode_array X = normal(LODE_F32, 3, shape), z = { 0 };
    double sumsq;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 3, zs, &z));
    ((float *)X.data)[44] = NAN;
    assert_ok(&ctx, lode_i_sign_sums(&ctx, &X, 1, lode_i_stream(&ctx, "signs", 1), &z, &sumsq));
    assert_true(isnan(sumsq));
    LODE_FREE(&X, &z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_slice_goes_to_one_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(the_expectation_of_gram_is_gram, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_are_not_finite_show, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
