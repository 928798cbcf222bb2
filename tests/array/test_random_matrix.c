#include "array/oracle.h"
#include "counted.h"

typedef lode_status (*make_fn)(lode_ctx *, lode_stream, lode_dtype, int64_t, int64_t, lode_array *);
static const make_fn makers[] = { lode_i_randn, lode_i_randsign };

/* Entry (i, j) is the same in every shape that has it, on any number of threads. */
static void entries_do_not_depend_on_shape_or_threads(void **state)
{
    (void)state;
    const lode_stream s = lode_i_stream(&ctx, "test", 1);
    for (int k = 0; k < 2; k++)
        for (int t = 0; t < 4; t++) {
            lode_array big = { 0 }, small = { 0 };
            ctx.threads = 1;
            assert_ok(&ctx, makers[k](&ctx, s, arith_types[t], 70, 401, &big));
            static const int64_t shapes[][2] = { { 70, 401 }, { 70, 400 }, { 69, 129 }, { 5, 128 },
                                                 { 70, 1 },   { 1, 255 },  { 33, 2 },   { 70, 3 },
                                                 { 0, 5 },    { 5, 0 } };
            for (int c = 0; c < 10; c++) {
                ctx.threads = 1 + c % 3;
                const int64_t rows = shapes[c][0], cols = shapes[c][1];
                assert_ok(&ctx, makers[k](&ctx, s, arith_types[t], rows, cols, &small));
                assert_true(small.shape[0] == rows && small.shape[1] == cols &&
                            small.dtype == arith_types[t]);
                for (int64_t i = 0; i < rows; i++)
                    for (int64_t j = 0; j < cols; j++)
                        assert_true(same_number(oracle_value(&small, i * cols + j),
                                                oracle_value(&big, i * 401 + j)));
            }
            LODE_FREE(&big, &small);
        }
    ctx.threads = 0;
}

/* The definition, from the base layer's generator and the C library's functions: agreement to
 * rounding. */
static void normals_are_box_muller_of_the_stream(void **state)
{
    (void)state;
    const lode_stream s = lode_i_stream(&ctx, "test", 2);
    lode_array a = { 0 }, z = { 0 };
    enum { ROWS = 300, COLS = 41 };
    assert_ok(&ctx, lode_i_randn(&ctx, s, LODE_F64, ROWS, COLS, &a));
    assert_ok(&ctx, lode_i_randn(&ctx, s, LODE_C64, ROWS, COLS, &z));
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < COLS; j++)
            for (int complex = 0; complex < 2; complex++) {
                uint32_t w[4];
                lode_i_random_block(s, ((uint64_t)i << 32) + (uint64_t)(complex ? j : j / 2), w);
                const uint64_t w0 = (uint64_t)w[0] << 32 | w[1], w1 = (uint64_t)w[2] << 32 | w[3];
                const double u = 1 - (double)(w0 >> 12) * 0x1p-52, v = (double)(w1 >> 12) * 0x1p-52;
                const double turn = 2 * acos(-1) * v, radius = sqrt(-2 * log(u));
                const double c = radius * cos(turn), b = radius * sin(turn);
                /* turn itself is rounded: 2 pi v has an error of up to 4 eps. */
                if (complex) {
                    const number got = oracle_value(&z, i * COLS + j);
                    assert_near(got.re, c * sqrt(0.5), 1e-6);
                    assert_near(got.im, b * sqrt(0.5), 1e-6);
                } else {
                    assert_near(oracle_value(&a, i * COLS + j).re, j % 2 ? b : c, 2e-14);
                }
            }
    LODE_FREE(&a, &z);
}

static void f32_is_f64_rounded(void **state)
{
    (void)state;
    const lode_stream s = lode_i_stream(&ctx, "test", 3);
    lode_array a = { 0 }, b = { 0 };
    for (int complex = 0; complex < 2; complex++) {
        assert_ok(&ctx, lode_i_randn(&ctx, s, complex ? LODE_C128 : LODE_F64, 30, 77, &a));
        assert_ok(&ctx, lode_i_randn(&ctx, s, complex ? LODE_C64 : LODE_F32, 30, 77, &b));
        for (int64_t i = 0; i < 30 * 77; i++) {
            const number x = oracle_value(&a, i), y = oracle_value(&b, i);
            assert_true((float)x.re == (float)y.re && (float)x.im == (float)y.im);
        }
    }
    LODE_FREE(&a, &b);
}

/* Moments of N values: each bound is 5 standard errors, so a right generator fails once in 10^6
 * seeds. The tail beyond
 * 4 has probability 6.33e-5. */
static void normals_have_the_moments(void **state)
{
    (void)state;
    const double n = 400000;
    lode_array a = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 4), LODE_F64, 1000, 400, &a));
    const double *x = a.data;
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, across = 0, along = 0, tail = 0;
    for (int i = 0; i < (int)n; i++) {
        m1 += x[i], m2 += x[i] * x[i], m3 += x[i] * x[i] * x[i], m4 += x[i] * x[i] * x[i] * x[i];
        across += i >= 400 ? x[i] * x[i - 400] : 0;
        along += i % 400 ? x[i] * x[i - 1] : 0;
        tail += fabs(x[i]) > 4;
    }
    assert_near(m1 / n, 0, 5 / sqrt(n));
    assert_near(m2 / n, 1, 5 * sqrt(2 / n));
    assert_near(m3 / n, 0, 5 * sqrt(15 / n));
    assert_near(m4 / n, 3, 5 * sqrt(96 / n));
    assert_near(across / n, 0, 5 / sqrt(n));
    assert_near(along / n, 0, 5 / sqrt(n));
    assert_near(tail, 6.334e-5 * n, 5 * sqrt(6.334e-5 * n));
    lode_array_free(&a);
}

static void signs_are_the_bits_of_the_stream(void **state)
{
    (void)state;
    const lode_stream s = lode_i_stream(&ctx, "test", 5);
    for (int t = 0; t < 4; t++) {
        lode_array a = { 0 };
        assert_ok(&ctx, lode_i_randsign(&ctx, s, arith_types[t], 40, 300, &a));
        int64_t plus = 0;
        for (int64_t i = 0; i < 40; i++)
            for (int64_t j = 0; j < 300; j++) {
                uint32_t w[4];
                lode_i_random_block(s, ((uint64_t)i << 25) + (uint64_t)j / 128, w);
                const bool minus = w[j % 128 / 32] >> j % 32 & 1;
                assert_true(
                    same_number(oracle_value(&a, i * 300 + j), (number){ minus ? -1 : 1, 0 }));
                plus += !minus;
            }
        assert_near((double)plus, 6000, 5 * sqrt(12000) / 2);
        lode_array_free(&a);
    }
}

static void streams_and_seeds_differ(void **state)
{
    (void)state;
    lode_array a = { 0 }, b = { 0 };
    for (int k = 0; k < 2; k++) {
        assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 6), LODE_F64, 4, 4, &a));
        ctx.seed = k ? 0 : 1;
        assert_ok(&ctx,
                  lode_i_randn(&ctx, lode_i_stream(&ctx, "test", k ? 7 : 6), LODE_F64, 4, 4, &b));
        ctx.seed = 0;
        assert_memory_not_equal(a.data, b.data, 16 * sizeof(double));
    }
    assert_status(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 6), LODE_I32, 4, 4, &b),
                  LODE_ETYPE);
    assert_status(
        &ctx,
        lode_i_randsign(&ctx, lode_i_stream(&ctx, "test", 6), LODE_F32, 1, INT64_C(1) << 33, &b),
        LODE_ESHAPE);
    assert_status(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 6), LODE_F32, -1, 4, &b),
                  LODE_ESHAPE);
    LODE_FREE(&a, &b);
}

/* ---- canonical signs ---- */

static void the_largest_of_each_column_is_positive(void **state)
{
    (void)state;
    dice d = { 3 };
    for (int repeat = 0; repeat < 400; repeat++) {
        const lode_dtype t = arith_types[repeat % 4];
        const int64_t cols = roll_below(&d, 5),
                      m[2] = { roll_below(&d, repeat % 50 ? 9 : 20000), cols },
                      n[2] = { roll_below(&d, 9), cols };
        lode_array U = { 0 }, V = { 0 }, u = { 0 }, v = { 0 };
        random_view(&ctx, &d, t, 2, m, 1, &U);
        random_view(&ctx, &d, t, 2, n, 1, &V);
        assert_ok(&ctx, lode_array_cast(&ctx, &U, t, &u));
        assert_ok(&ctx, lode_array_cast(&ctx, &V, t, &v));
        ctx.threads = 1 + repeat % 3;
        assert_ok(&ctx, lode_i_canonical_signs(&ctx, &U, repeat % 5 ? &V : NULL));
        const double tolerance = 8 * lode_i_epsilon(t);
        for (int64_t j = 0; j < cols; j++) {
            number phase = { 1, 0 };
            double most = 0;
            int64_t row = -1;
            for (int64_t i = 0; i < m[0]; i++) {
                const number z = oracle_value(&u, i * cols + j);
                const double size = modulus_of_number(z);
                if (size > most * (1 + DBL_EPSILON))
                    most = size, row = i, phase = (number){ z.re / size, -z.im / size };
            }
            for (int64_t i = 0; i < m[0]; i++) {
                const number z = oracle_value(&u, i * cols + j),
                             got = oracle_value(&U, i * cols + j);
                assert_near(got.re, z.re * phase.re - z.im * phase.im, tolerance);
                assert_near(got.im, z.re * phase.im + z.im * phase.re, tolerance);
                if (i == row)
                    assert_true(got.re > 0 && got.im == 0);
            }
            for (int64_t i = 0; i < n[0]; i++) {
                const number z = oracle_value(&v, i * cols + j),
                             got = oracle_value(&V, i * cols + j);
                const number p = repeat % 5 ? phase : (number){ 1, 0 };
                assert_near(got.re, z.re * p.re - z.im * p.im, tolerance);
                assert_near(got.im, z.re * p.im + z.im * p.re, tolerance);
            }
        }
        LODE_FREE(&U, &V, &u, &v);
    }
    ctx.threads = 0;
}

static void ties_go_to_the_first_and_extremes_survive(void **state)
{
    (void)state;
    double x[] = { -1, 1e-320, 0, -1e308, 1, -1e-320, 0, 1e308, -1, 0, 0, 2 };
    lode_array a = lode_array_wrap(x, LODE_F64, 2, (const int64_t[]){ 3, 4 });
    assert_ok(&ctx, lode_i_canonical_signs(&ctx, &a, NULL));
    const double want[] = { 1, 1e-320, 0, 1e308, -1, -1e-320, 0, -1e308, 1, 0, 0, -2 };
    for (int i = 0; i < 12; i++)
        assert_true(x[i] == want[i]);
    double z[] = { 0, -1e308, 0, 1e308 };
    lode_array c = lode_array_wrap(z, LODE_C128, 2, (const int64_t[]){ 2, 1 });
    assert_ok(&ctx, lode_i_canonical_signs(&ctx, &c, NULL));
    assert_true(z[0] == 1e308 && z[1] == 0 && z[2] == -1e308);
    lode_array wide = lode_array_wrap(x, LODE_F64, 2, (const int64_t[]){ 4, 3 });
    assert_status(&ctx, lode_i_canonical_signs(&ctx, &a, &wide), LODE_ESHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_do_not_depend_on_shape_or_threads),
        cmocka_unit_test(normals_are_box_muller_of_the_stream),
        cmocka_unit_test(f32_is_f64_rounded),
        cmocka_unit_test(normals_have_the_moments),
        cmocka_unit_test(signs_are_the_bits_of_the_stream),
        cmocka_unit_test(streams_and_seeds_differ),
        cmocka_unit_test(the_largest_of_each_column_is_positive),
        cmocka_unit_test(ties_go_to_the_first_and_extremes_survive),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
