/* Surveys, gaps and shuffles against plain loops. */
#include <math.h>

#include "array/survey.h"
#include "counted.h"

static lode_array noise(lode_dtype dtype, int64_t m, int64_t n)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "t", 1), dtype, m, n, &a));
    return a;
}

static void blocks_of_any_size_tell_the_same(void **state)
{
    (void)state;
    const lode_gaps gaps = { true, -9 };
    lode_array a = noise(LODE_F64, 50, 37);
    lode_i_set2(&a, 3, 4, NAN), lode_i_set2(&a, 49, 36, -9);
    for (int64_t step = 7; step <= 50; step += 43) {
        lode_survey s;
        assert_ok(&ctx, lode_i_survey_start(&ctx, 37, &s));
        for (int64_t r = 0; r < 50; r += step) {
            lode_array b = lode_i_rows(&a, r, lode_i_min(r + step, 50));
            assert_ok(&ctx, lode_i_survey_push(&ctx, &b, &gaps, "A", &s));
            lode_array_free(&b);
        }
        double max = -INFINITY;
        for (int64_t j = 0; j < 37; j++) {
            double sum = 0;
            int64_t count = 0;
            for (int64_t i = 0; i < 50; i++) {
                const double v = lode_i_get2(&a, i, j);
                if (isnan(v) || v < -8)
                    continue;
                sum += v, count++, max = fmax(max, v);
            }
            assert_near(s.sum[j], sum, 1e-13 * 50);
            assert_int_equal(s.count[j], count);
        }
        assert_int_equal(s.observed, 50 * 37 - 2);
        assert_int_equal(s.rows, 50);
        assert_int_equal(s.empty_row, -1);
        assert_true(s.max == max);
        lode_i_survey_free(&s);
    }
    lode_array_free(&a);
}

static void what_may_not_be_there_is_named(void **state)
{
    (void)state;
    lode_array a = noise(LODE_F32, 6, 5);
    const lode_gaps none = { false, NAN }, nan = { true, NAN };
    lode_survey s;
    assert_ok(&ctx, lode_i_survey_start(&ctx, 5, &s));
    assert_ok(&ctx, lode_i_survey_push(&ctx, &a, &none, "A", &s));
    lode_i_set2(&a, 2, 3, NAN);
    assert_status(&ctx, lode_i_survey_push(&ctx, &a, &none, "A", &s), LODE_EDOMAIN);
    assert_says(&ctx, "A[8,3] is nan");
    lode_i_set2(&a, 1, 1, INFINITY);
    assert_status(&ctx, lode_i_survey_push(&ctx, &a, &nan, "A", &s), LODE_EDOMAIN);
    assert_says(&ctx, "A[7,1] is infinite");
    for (int64_t j = 0; j < 5; j++)
        lode_i_set2(&a, 1, j, NAN);
    assert_ok(&ctx, lode_i_survey_push(&ctx, &a, &nan, "A", &s));
    assert_int_equal(s.empty_row, 7);
    lode_i_survey_free(&s);
    lode_array_free(&a);
}

static void gaps_become_zeros_of_the_centred_matrix(void **state)
{
    (void)state;
    for (int d = LODE_F32; d <= LODE_F64; d++) {
        lode_array a = noise((lode_dtype)d, 70, 3), b = { 0 }, seen = { 0 };
        const double mean[3] = { 1, -2, 0.5 };
        const lode_gaps gaps = { true, NAN };
        lode_i_set2(&a, 65, 2, NAN);
        assert_ok(&ctx, lode_array_cast(&ctx, &a, a.dtype, &b));
        assert_ok(&ctx, lode_i_fill_gaps(&ctx, &b, &gaps, mean, 4, &seen));
        for (int64_t i = 0; i < 70; i++)
            for (int64_t j = 0; j < 3; j++) {
                const bool gap = i == 65 && j == 2;
                assert_near(lode_i_get2(&b, i, j), gap ? 0 : 4 * (lode_i_get2(&a, i, j) - mean[j]),
                            16 * lode_i_epsilon(a.dtype) * 4);
                assert_true(lode_i_get2(&seen, i, j) == (gap ? 0 : 1));
            }
        lode_array_free(&a), lode_array_free(&b), lode_array_free(&seen);
    }
}

static void gaps_are_filled_by_products(void **state)
{
    (void)state;
    for (int d = LODE_F32; d <= LODE_F64; d++)
        for (int64_t rank = 0; rank < 3; rank++) {
            lode_array a = noise((lode_dtype)d, 130, 9), b = { 0 }, seen = { 0 },
                       Y = noise((lode_dtype)d, 130, rank), V = noise((lode_dtype)d, 9, rank);
            const lode_gaps gaps = { true, NAN };
            for (int64_t i = 0; i < 130; i++)
                lode_i_set2(&a, i, i % 9, NAN);
            assert_ok(&ctx, lode_array_cast(&ctx, &a, a.dtype, &b));
            assert_ok(&ctx, lode_i_fill_gaps(&ctx, &b, &gaps, NULL, 1, &seen));
            assert_ok(&ctx, lode_i_fill_low_rank(&ctx, &b, &seen, &Y, &V));
            for (int64_t i = 0; i < 130; i++)
                for (int64_t j = 0; j < 9; j++) {
                    double want = 0;
                    for (int64_t k = 0; k < rank; k++)
                        want += lode_i_get2(&Y, i, k) * lode_i_get2(&V, j, k);
                    assert_near(lode_i_get2(&b, i, j), i % 9 == j ? want : lode_i_get2(&a, i, j),
                                8 * lode_i_epsilon(a.dtype) * (1 + fabs(want)));
                }
            lode_array_free(&a), lode_array_free(&b), lode_array_free(&seen);
            lode_array_free(&Y), lode_array_free(&V);
        }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Each column has its values again, in another order than its neighbour's; signs come up evenly. */
static void columns_are_reordered_each_for_itself(void **state)
{
    (void)state;
    enum { M = 501, N = 70 };
    for (int signs = 0; signs < 2; signs++) {
        lode_array a = noise(LODE_F64, M, N), y = { 0 };
        int64_t moved = 0, together = 0, flipped = 0;
        assert_ok(&ctx, lode_i_shuffle_columns(&ctx, lode_i_stream(&ctx, "s", 2), &a, signs, &y));
        static double was[N][M], is[N][M];
        for (int64_t j = 0; j < N; j++) {
            for (int64_t i = 0; i < M; i++) {
                const double v = (double)(float)lode_i_get2(&a, i, j), w = lode_i_get2(&y, i, j);
                was[j][i] = signs ? fabs(v) : v, is[j][i] = signs ? fabs(w) : w;
                moved += was[j][i] != is[j][i];
            }
            qsort(was[j], M, sizeof(double), by_value);
            qsort(is[j], M, sizeof(double), by_value);
            for (int64_t i = 0; i < M; i++)
                assert_true(was[j][i] == is[j][i]);
        }
        /* rows of the first column that found those of the second beside them again */
        for (int64_t i = 0; i < M; i++)
            for (int64_t k = 0; k < M; k++)
                if (fabs(lode_i_get2(&y, i, 0)) == fabs((double)(float)lode_i_get2(&a, k, 0))) {
                    together += fabs(lode_i_get2(&y, i, 1)) ==
                                fabs((double)(float)lode_i_get2(&a, k, 1));
                    flipped += lode_i_get2(&y, i, 0) != (double)(float)lode_i_get2(&a, k, 0);
                }
        assert_le(M * N - moved, 3 * N); /* one a column is expected to stay */
        assert_le(together, 8);          /* Poisson, mean 1 */
        if (signs)
            assert_near((double)flipped, M / 2.0, 4 * sqrt(M) / 2);
        else
            assert_int_equal(flipped, 0);
        lode_array_free(&a), lode_array_free(&y);
    }
}

/* Where the first of 8 values goes: evenly to all 8 places, over 4000 columns. */
static void every_place_is_as_likely(void **state)
{
    (void)state;
    enum { N = 4000 };
    lode_array a = { 0 }, y = { 0 };
    int64_t count[8] = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F32, 2, (const int64_t[]){ 8, N }, &a));
    for (int64_t j = 0; j < N; j++)
        lode_i_set2(&a, 0, j, 1);
    assert_ok(&ctx, lode_i_shuffle_columns(&ctx, lode_i_stream(&ctx, "s", 3), &a, false, &y));
    for (int64_t i = 0; i < 8; i++)
        for (int64_t j = 0; j < N; j++)
            count[i] += lode_i_get2(&y, i, j) > 0;
    double chi = 0;
    for (int i = 0; i < 8; i++)
        chi += pow((double)count[i] - N / 8.0, 2) / (N / 8.0);
    assert_le(chi, 24.3); /* 7 degrees of freedom: beyond it one in a thousand */
    lode_array_free(&a), lode_array_free(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_any_size_tell_the_same),
        cmocka_unit_test(what_may_not_be_there_is_named),
        cmocka_unit_test(gaps_become_zeros_of_the_centred_matrix),
        cmocka_unit_test(gaps_are_filled_by_products),
        cmocka_unit_test(columns_are_reordered_each_for_itself),
        cmocka_unit_test(every_place_is_as_likely),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
