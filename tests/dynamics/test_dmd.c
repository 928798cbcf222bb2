/* dmd: sums of exponentials, whose rates are known, by every method, real and complex, with delays, at uneven
 * times; noise; forecasts; growth and decay; requests refused. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

enum { M = 60, N = 25, PAIRS = 2 };
static const double rate[PAIRS][2] = { { -0.1, 3 }, { 0.05, 7 } };

static double draw(uint64_t seed, uint64_t i)
{
    lode_ctx key = { .seed = seed };
    return lode_i_random_normal(lode_i_stream(&key, "test-dmd", 0), i);
}

static double value(double t, int64_t j)
{
    double v = 0;
    for (int p = 0; p < PAIRS; p++)
        v += exp(rate[p][0] * t) * (draw(1, (uint64_t)(4 * j + 2 * p)) * cos(rate[p][1] * t) +
                                    draw(1, (uint64_t)(4 * j + 2 * p + 1)) * sin(rate[p][1] * t));
    return v;
}

/* Two damped or growing oscillations at each of N places, at times of step dt; noise. */
static lode_array waves(const lode_array *times, double dt, int64_t n, double sigma)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, M, n, &X));
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < n; j++) {
            const double t = times ? lode_i_get1(times, i) : dt * (double)i;
            lode_i_set2(&X, i, j, value(t, j) + sigma * draw(2, (uint64_t)(i * n + j)));
        }
    return X;
}

static lode_status fit(const lode_dmd_opts *o, lode_value X, lode_bundle *b)
{
    const lode_status st = lode_dmd(&ctx, o, X, b);
    snprintf(b->meta.op, sizeof b->meta.op, "dmd");
    lode_i_free(b->meta.options);
    b->meta.options = NULL;
    if (st >= 0)
        assert_ok(&ctx, lode_i_options_json(&ctx, &lode_op_dmd, o, &b->meta.options));
    return st;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

/* Largest distance of a planted rate from the nearest found. */
static double rates_off(const lode_bundle *b)
{
    const lode_array *growth = member(b, "growth"), *frequency = member(b, "frequency");
    const double turn = 2 * acos(-1.0);
    double worst = 0;
    for (int p = 0; p < PAIRS; p++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double least = INFINITY;
            for (int64_t j = 0; j < growth->shape[0]; j++)
                least = fmin(least, hypot(lode_i_get1(growth, j) - rate[p][0],
                                          turn * lode_i_get1(frequency, j) - sign * rate[p][1]));
            worst = fmax(worst, least);
        }
    return worst;
}

static double residual(const lode_array *X, const lode_bundle *b)
{
    lode_array Y = { 0 };
    double off = 0, norm = 0;
    assert_ok(&ctx, lode_invert(&ctx, b, lode_none(), NULL, &Y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, X, &Y, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, X, &norm));
    lode_array_free(&Y);
    return off / norm;
}

static void rates_are_found(void **state)
{
    (void)state;
    lode_array X = waves(NULL, 0.1, N, 0), turned = lode_i_transposed(&X), T = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &turned, LODE_F64, &T));
    for (int method = LODE_DMD_EXACT; method <= LODE_DMD_OPTIMIZED; method++)
        for (int64_t axis = 0; axis < 2; axis++) {
            lode_dmd_opts o = lode_dmd_defaults();
            lode_bundle b = { 0 };
            o.method = (lode_dmd_method)method, o.dt = 0.1, o.axis = axis;
            const lode_array *x = axis ? &T : &X;
            assert_ok(&ctx, fit(&o, lode_from_array(x), &b)); /* rank auto: rounding is no mode */
            assert_int_equal(member(&b, "modes")->shape[1], 2 * PAIRS);
            assert_le(rates_off(&b), 1e-11);
            assert_le(residual(x, &b), 1e-11);
            assert_near(residual(x, &b), b.certificate.value, 1e-15);
            assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(x), &b.certificate));
            /* pairs, the positive frequency first */
            for (int64_t j = 0; j < 2 * PAIRS; j += 2) {
                assert_true(lode_i_get1(member(&b, "frequency"), j) > 0);
                assert_near(lode_i_get1(member(&b, "frequency"), j),
                            -lode_i_get1(member(&b, "frequency"), j + 1), 1e-10);
            }
            lode_bundle_free(&b);
        }
    lode_array_free(&X), lode_array_free(&T);
}

/* One place, of which one snapshot says nothing, and sixteen that follow each other say all. */
static void delays_find_what_one_value_hides(void **state)
{
    (void)state;
    lode_array X = waves(NULL, 0.1, 1, 0);
    lode_dmd_opts o = lode_dmd_defaults();
    lode_bundle b = { 0 };
    o.dt = 0.1, o.delays = 16;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_le(rates_off(&b), 1e-9);
    assert_le(residual(&X, &b), 1e-9);
    assert_int_equal(member(&b, "modes")->shape[0], 1);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
    lode_bundle_free(&b);
    lode_array_free(&X);
}

static void noise_biases_exact_more_than_the_others(void **state)
{
    (void)state;
    lode_array X = waves(NULL, 0.1, N, 0.3);
    double off[3] = { 0 }, left[3] = { 0 };
    for (int method = LODE_DMD_EXACT; method <= LODE_DMD_OPTIMIZED; method++) {
        lode_dmd_opts o = lode_dmd_defaults();
        lode_bundle b = { 0 };
        o.method = (lode_dmd_method)method, o.dt = 0.1, o.rank = lode_rank(4);
        assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
        off[method] = rates_off(&b), left[method] = b.certificate.value;
        if (method == LODE_DMD_OPTIMIZED) { /* the error never rises */
            const lode_array *trace = member(&b, "trace");
            for (int64_t i = 2; i < trace->shape[0]; i++)
                assert_le(lode_i_get1(trace, i), lode_i_get1(trace, i - 1) * (1 + 1e-12));
            assert_near(lode_i_get1(trace, trace->shape[0] - 1), left[method], 1e-6);
        }
        lode_bundle_free(&b);
    }
    assert_le(off[LODE_DMD_OPTIMIZED], 0.3 * off[LODE_DMD_EXACT]);
    assert_le(off[LODE_DMD_FB], 0.5 * off[LODE_DMD_EXACT]);
    assert_le(left[LODE_DMD_OPTIMIZED], left[LODE_DMD_FB] * (1 + 1e-9));
    assert_le(left[LODE_DMD_OPTIMIZED], left[LODE_DMD_EXACT] * (1 + 1e-9));
    lode_array_free(&X);
}

static void uneven_times(void **state)
{
    (void)state;
    lode_array times = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, M, &times));
    double t = 0;
    for (int64_t i = 0; i < M; i++) {
        lode_i_set1(&times, i, t);
        t += 0.02 + 0.16 * fabs(sin(7.0 * (double)(i + 1)));
    }
    lode_array X = waves(&times, 0, N, 0);
    lode_dmd_opts o = lode_dmd_defaults();
    lode_bundle b = { 0 };
    o.method = LODE_DMD_OPTIMIZED, o.times = &times, o.rank = lode_rank(4);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_le(rates_off(&b), 1e-11);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
    lode_bundle_free(&b);
    o.method = LODE_DMD_EXACT;
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EUSAGE);
    o.method = LODE_DMD_OPTIMIZED;
    lode_i_set1(&times, 9, 0);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EPARAM);
    assert_says(&ctx, "times[9]");
    lode_array_free(&X), lode_array_free(&times);
}

static void forecasts(void **state)
{
    (void)state;
    lode_array X = waves(NULL, 0.1, N, 0), t = { 0 };
    lode_dmd_opts o = lode_dmd_defaults();
    lode_bundle b = { 0 }, f = { 0 };
    o.dt = 0.1;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 3, &t));
    lode_i_set1(&t, 0, 0.25), lode_i_set1(&t, 1, 4), lode_i_set1(&t, 2, 20);
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&t), &f));
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < N; j++)
            assert_near(lode_i_get2(member(&f, "forecast"), i, j), value(lode_i_get1(&t, i), j),
                        1e-9);
    lode_bundle_free(&b), lode_bundle_free(&f);
    lode_array_free(&X), lode_array_free(&t);
}

/* One complex exponential at each place, in single and double precision, and amplitudes by the first. */
static void complex_and_single(void **state)
{
    (void)state;
    static const lode_dtype types[] = { LODE_C128, LODE_C64, LODE_F32 };
    lode_array wide = { 0 }, X = { 0 }, real = waves(NULL, 0.1, N, 0);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_C128, M, 8, &wide));
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < 8; j++) {
            const double t = 0.1 * (double)i, size = exp(rate[0][0] * t),
                         a = rate[0][1] * t + (double)j;
            lode_i_set_complex(&wide, i, j, (double[2]){ size * cos(a), size * sin(a) });
        }
    for (int k = 0; k < 3; k++)
        for (int first = 0; first < 2; first++) {
            lode_dmd_opts o = lode_dmd_defaults();
            lode_bundle b = { 0 };
            const double eps = lode_i_epsilon(types[k]);
            assert_ok(&ctx, lode_array_cast(&ctx, k == 2 ? &real : &wide, types[k], &X));
            o.dt = 0.1, o.rank = lode_rank(k == 2 ? 4 : 1);
            o.amplitudes = first ? LODE_DMD_FIRST : LODE_DMD_ALL;
            assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
            assert_le(residual(&X, &b), 1000 * eps);
            assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
            if (k < 2) {
                assert_near(lode_i_get1(member(&b, "growth"), 0), rate[0][0], 1000 * eps);
                assert_near(lode_i_get1(member(&b, "frequency"), 0), rate[0][1] / (2 * acos(-1.0)),
                            1000 * eps);
            }
            lode_bundle_free(&b);
            lode_array_free(&X);
        }
    lode_array_free(&wide), lode_array_free(&real);
}

static void degenerate_snapshots(void **state)
{
    (void)state;
    lode_array X = { 0 }, one = { 0 };
    lode_dmd_opts o = lode_dmd_defaults();
    lode_bundle b = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 5, 3 }, &X));
    for (int method = LODE_DMD_EXACT; method <= LODE_DMD_OPTIMIZED; method++) {
        o.method = (lode_dmd_method)method; /* all zero: no mode */
        assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
        assert_int_equal(member(&b, "modes")->shape[1], 0);
        assert_true(b.certificate.value == 0);
        assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
        lode_bundle_free(&b);
    }
    o = lode_dmd_defaults();
    for (int64_t i = 0; i < 5; i++) /* constant in time: one mode that stays, at 1e200 */
        for (int64_t j = 0; j < 3; j++)
            lode_i_set2(&X, i, j, 1e200 * (double)(j + 1));
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_int_equal(member(&b, "modes")->shape[1], 1);
    assert_near(lode_i_get1(member(&b, "eigenvalues"), 0), 1, 1e-14);
    assert_le(b.certificate.value, 1e-14);
    lode_bundle_free(&b);
    one = lode_i_rows(&X, 0, 1);
    assert_status(&ctx, fit(&o, lode_from_array(&one), &b), LODE_ESHAPE);
    assert_says(&ctx, "2 are needed");
    o.rank = lode_rank(4);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_ESHAPE);
    assert_says(&ctx, "rank 4 is above");
    o.rank = (lode_rank_spec){ 0 };
    lode_i_set2(&X, 3, 1, INFINITY);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[3,1]");
    lode_bundle_free(&b);
    lode_array_free(&X), lode_array_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rates_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(delays_find_what_one_value_hides, setup, teardown),
        cmocka_unit_test_setup_teardown(noise_biases_exact_more_than_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(uneven_times, setup, teardown),
        cmocka_unit_test_setup_teardown(forecasts, setup, teardown),
        cmocka_unit_test_setup_teardown(complex_and_single, setup, teardown),
        cmocka_unit_test_setup_teardown(degenerate_snapshots, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
