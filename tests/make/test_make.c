/* make: each kind has the structure it promises. */
#include <math.h>

#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"

static lode_make_opts shape(int count, const double *size)
{
    lode_make_opts o = lode_make_defaults();
    o.shape.count = count;
    for (int i = 0; i < count; i++)
        o.shape.value[i] = size[i];
    return o;
}

static void spectrum_has_the_singular_values_it_names(void **state)
{
    (void)state;
    lode_make_opts o = shape(2, (double[]){ 60, 40 });
    lode_array x = { 0 }, s = { 0 };
    o.rank = (lode_rank_spec){ 0 };
    o.decay = 1.5;
    assert_ok(&ctx, lode_make(&ctx, &o, "spectrum", &x, NULL));
    assert_ok(&ctx, lode_i_svd(&ctx, &x, 40, NULL, &s, NULL));
    for (int64_t i = 0; i < 40; i++) /* the SVD of a matrix of norm 1 moves values by a few eps */
        assert_near(lode_i_get1(&s, i), pow((double)(i + 1), -1.5), 1e-13);
    lode_array_free(&x);
    lode_array_free(&s);
}

static void lowrank_has_its_multilinear_rank_and_unit_variance(void **state)
{
    (void)state;
    lode_make_opts o = shape(3, (double[]){ 12, 15, 18 });
    lode_array x = { 0 }, G = { 0 }, w = { 0 };
    double norm = 0;
    o.rank = (lode_rank_spec){ 3, { 3, 4, 5 } };
    assert_ok(&ctx, lode_make(&ctx, &o, "lowrank", &x, NULL));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &x, &norm));
    assert_near(norm * norm / (12 * 15 * 18), 1, 1e-12);
    for (int mode = 0; mode < 3; mode++) {
        assert_ok(&ctx, lode_i_mode_gram(&ctx, &x, mode, true, &G));
        assert_ok(&ctx, lode_i_eigh(&ctx, &G, x.shape[mode], &w, NULL));
        assert_true(lode_i_get1(&w, 2 + mode) > 1e-6 * lode_i_get1(&w, 0));
        assert_le(fabs(lode_i_get1(&w, 3 + mode)), 1e-12 * lode_i_get1(&w, 0));
    }
    lode_array_free(&x);
    lode_array_free(&G);
    lode_array_free(&w);
}

/* Bumps summed from the definition at a few places would repeat the code; smoothness is independent
 * of it: widths are at least 0.03, so second differences on a fine grid are small against the
 * values. */
static void bumps_are_smooth_in_any_number_of_axes(void **state)
{
    (void)state;
    for (int ndim = 2; ndim <= 4; ndim++) {
        const double size[] = { ndim == 4 ? 6 : 30, ndim == 4 ? 6 : 30, ndim == 4 ? 20 : 30, 200 };
        lode_make_opts o = shape(ndim, size + 4 - ndim);
        lode_array x = { 0 };
        assert_ok(&ctx, lode_make(&ctx, &o, "bumps", &x, NULL));
        const int64_t n = lode_array_size(&x), last = 200;
        const double *v = x.data;
        double largest = 0, bend = 0;
        for (int64_t i = 0; i < n; i++) {
            largest = fmax(largest, fabs(v[i]));
            if (i % last >= 1 && i % last < last - 1)
                bend = fmax(bend, fabs(v[i - 1] - 2 * v[i] + v[i + 1]));
        }
        /* one bump: |second difference| <= h^2 / width^2 = (1/200/0.03)^2 < 0.028 of its height;
         * 200 heights of N(0,1) */
        assert_true(largest > 0.1);
        assert_le(bend, 0.028 * 200 * 4);
        assert_le(bend, 0.2 * largest);
        lode_array_free(&x);
    }
}

static void sparse_keeps_its_density_and_order(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        const double density[] = { 0.02, 0.7, 1 };
        lode_make_opts o = shape(2, (double[]){ 300, 200 });
        lode_array x = { 0 };
        lode_sparse s = { 0 };
        o.density = density[k];
        assert_ok(&ctx, lode_make(&ctx, &o, "sparse", &x, &s));
        assert_ok(&ctx, lode_sparse_check(&ctx, &s));
        /* a row's count is its expectation rounded up or down */
        assert_le(fabs((double)lode_sparse_nnz(&s) - density[k] * 60000), 300);
        lode_sparse_free(&s);
        lode_array_free(&x);
    }
}

static void noise_and_holes_come_in_the_share_asked(void **state)
{
    (void)state;
    lode_make_opts o = shape(2, (double[]){ 400, 500 });
    lode_array x = { 0 };
    lode_stats s;
    o.missing = 0.25, o.dtype = 0;
    assert_ok(&ctx, lode_make(&ctx, &o, "normal", &x, NULL));
    assert_int_equal(x.dtype, LODE_F32);
    assert_ok(&ctx, lode_i_stats(&ctx, &x, &s));
    /* 5 standard deviations */
    assert_near((double)s.missing / 200000, 0.25, 5 * sqrt(0.25 * 0.75 / 200000));
    assert_near(s.sumsq / (double)s.count, 1, 5 * sqrt(2.0 / 150000));
    lode_array_free(&x);
}

static void seeds_give_other_data_and_the_same_again(void **state)
{
    (void)state;
    lode_make_opts o = shape(2, (double[]){ 20, 20 });
    lode_array a = { 0 }, b = { 0 }, c = { 0 };
    assert_ok(&ctx, lode_make(&ctx, &o, "normal", &a, NULL));
    assert_ok(&ctx, lode_make(&ctx, &o, "normal", &b, NULL));
    ctx.seed = 1;
    assert_ok(&ctx, lode_make(&ctx, &o, "normal", &c, NULL));
    ctx.seed = 0;
    assert_memory_equal(a.data, b.data, 3200);
    assert_memory_not_equal(a.data, c.data, 3200);
    lode_array_free(&a);
    lode_array_free(&b);
    lode_array_free(&c);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    lode_array x = { 0 };
    lode_make_opts o = shape(2, (double[]){ 4, 4 });
    assert_status(&ctx, lode_make(&ctx, &o, "noise", &x, NULL), LODE_EUSAGE);
    assert_says(&ctx, "noise");
    o.shape.value[0] = 2.5;
    assert_status(&ctx, lode_make(&ctx, &o, "normal", &x, NULL), LODE_ESHAPE);
    o = shape(3, (double[]){ 1e9, 1e9, 1e9 });
    assert_status(&ctx, lode_make(&ctx, &o, "normal", &x, NULL), LODE_ESHAPE);
    o = shape(2, (double[]){ 1e7, 1e7 });
    assert_status(&ctx, lode_make(&ctx, &o, "normal", &x, NULL), LODE_EBUDGET);
    assert_says(&ctx, "--memory");
    o = shape(3, (double[]){ 4, 4, 4 });
    assert_status(&ctx, lode_make(&ctx, &o, "spectrum", &x, NULL), LODE_ESHAPE);
    assert_null(x.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spectrum_has_the_singular_values_it_names),
        cmocka_unit_test(lowrank_has_its_multilinear_rank_and_unit_variance),
        cmocka_unit_test(bumps_are_smooth_in_any_number_of_axes),
        cmocka_unit_test(sparse_keeps_its_density_and_order),
        cmocka_unit_test(noise_and_holes_come_in_the_share_asked),
        cmocka_unit_test(seeds_give_other_data_and_the_same_again),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
