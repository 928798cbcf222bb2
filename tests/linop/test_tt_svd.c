/* TT-SVD against naive expansion, singular values of unfoldings, and ranks by trying all. */
#include "linop/trains.h"

#include "counted.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

static lode_ttsvd_opts opts(double error)
{
    return (lode_ttsvd_opts){ .error = error, .op = "tt", .name = "X" };
}

/* A train of these ranks with orthonormal cores and bond values from 1 down to 1/2, unit variance,
 * and noise. */
static lode_array planted(lode_dtype t, int d, const int64_t *n, const int64_t *rank, double noise,
                          uint64_t seed)
{
    lode_array core[LODE_MAX_NDIM] = { { 0 } }, y = { 0 };
    const lode_dtype wide = lode_i_is_complex(t) ? LODE_C128 : LODE_F64;
    double norm;
    train_normal(&ctx, wide, d, n, rank, seed, core);
    for (int k = 0; k < d; k++)
        assert_ok(&ctx, lode_i_scale(&ctx, 1 / sqrt((double)core[k].shape[0]), &core[k]));
    lode_array x = { 0 };
    assert_ok(&ctx, lode_i_tt_expand(&ctx, d, core, NULL, NULL, NULL, &x));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &x, &norm));
    assert_ok(&ctx, lode_i_scale(&ctx, sqrt((double)lode_array_size(&x)) / norm, &x));
    lode_array e = tensor_normal(&ctx, wide, d, n, seed + 50);
    assert_ok(&ctx, lode_i_axpy(&ctx, noise, &e, &x));
    assert_ok(&ctx, lode_array_cast(&ctx, &x, t, &y));
    LODE_FREE(&x, &e);
    train_free(d, core);
    return y;
}

static void assert_form(const lode_array *core, int d)
{
    for (int k = 0; k < d; k++) {
        const double eps = lode_i_epsilon(core[0].dtype);
        assert_int_equal(core[k].ndim, 3);
        assert_int_equal(core[k].shape[0], k ? core[k - 1].shape[2] : 1);
        if (k)
            assert_le(core_off(&core[k], false), 100 * eps);
    }
    assert_int_equal(core[d - 1].shape[2], 1);
}

/* The error asked is met, told, and no more than the tails allow. */
static void errors_are_met_and_told(void **state)
{
    (void)state;
    static const int64_t shapes[][6] = { { 12, 11, 10, 0 },   { 6, 7, 5, 8, 0 }, { 30, 40, 0 },
                                         { 50, 3, 2, 0 },     { 3, 2, 60, 0 },   { 17, 0 },
                                         { 3, 4, 3, 2, 4, 0 } };
    for (int i = 0; i < 7; i++) {
        int d = 0;
        while (shapes[i][d])
            d++;
        for (int t = 0; t < 4; t++)
            for (int m = 0; m < 4; m++) {
                lode_array core[6] = { { 0 } };
                lode_ttsvd_info info;
                lode_array x = tensor_smooth(&ctx, types[t], d, shapes[i], 1 + (uint64_t)i);
                const double norm = tensor_norm(&x), asked = m == 2 ? 1e-5 : 0.02;
                lode_ttsvd_opts o = opts(asked);
                o.method = (lode_ttsvd_method)m;
                assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
                assert_form(core, d);
                const double error = train_error(&x, d, core);
                assert_le(error, asked * norm);
                assert_near(info.norm, norm, 1e-6 * norm);
                assert_le(error, info.error * (1 + 1e-6) + 1e-13 * norm);
                assert_le(info.error, error + 10 * lode_i_epsilon(types[t]) * norm + 1e-9 * norm);
                double sum = 0;
                for (int k = 1; k < d; k++) {
                    lode_array s = bond_values(&ctx, &x, k);
                    for (int64_t j = core[k].shape[0]; j < s.shape[0]; j++)
                        sum += pow(lode_i_get1(&s, j), 2);
                    lode_array_free(&s);
                }
                assert_le(error, sqrt(sum) * (1 + 1e-6) + 20 * lode_i_epsilon(types[t]) * norm);
                lode_array_free(&x);
                train_free(d, core);
            }
    }
}

/* Exact trains are found at their ranks, to errors far below what Gram matrices can tell. */
static void exact_ranks_are_found(void **state)
{
    (void)state;
    static const int64_t n[] = { 6, 5, 7, 4, 3 }, rank[] = { 3, 5, 4, 2 },
                         small[] = { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 },
                         threes[] = { 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2 };
    for (int t = 0; t < 4; t++)
        for (int many = 0; many < 2; many++) {
            const int d = many ? 12 : 5;
            const int64_t *r = many ? threes : rank;
            lode_array core[12] = { { 0 } };
            lode_ttsvd_info info;
            lode_array x = planted(types[t], d, many ? small : n, r, 0, 3);
            const bool fine = !lode_i_is_single(types[t]);
            lode_ttsvd_opts o = opts(fine ? 1e-12 : 1e-5);
            assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
            for (int k = 0; k < d - 1; k++)
                assert_int_equal(core[k].shape[2], r[k]);
            assert_le(train_error(&x, d, core), o.error * tensor_norm(&x));
            train_free(d, core);
            if (fine) { /* nothing asked: all above rounding */
                o.error = 0;
                assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
                for (int k = 0; k < d - 1; k++)
                    assert_true(core[k].shape[2] >= r[k]);
                assert_le(train_error(&x, d, core), 1e-14 * tensor_norm(&x));
                train_free(d, core);
            }
            lode_array_free(&x);
        }
}

/* Noise as large as the error asked: planted ranks leave within the budget what of it they do not
 * take, but the tails of the bonds together are nearly d - 1 times as much. */
static void ranks_stop_at_a_noise_floor(void **state)
{
    (void)state;
    static const int64_t n[] = { 14, 15, 16, 17 }, rank[] = { 3, 4, 3 };
    for (int t = 0; t < 2; t++) {
        lode_array core[4] = { { 0 } };
        lode_array x = planted(types[t], 4, n, rank, 0.02, 5);
        lode_ttsvd_opts o = opts(0.02);
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, NULL));
        for (int k = 0; k < 3; k++)
            assert_int_equal(core[k].shape[2], rank[k]);
        lode_array_free(&x);
        train_free(4, core);
    }
}

/* Of all ranks whose truncation from the last bond on meets the error, found by trying each. */
static void ranks_are_about_the_least(void **state)
{
    (void)state;
    static const int64_t n[] = { 5, 4, 6, 5 };
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (double e = 0.5; e > 0.03; e /= 2.5) {
            lode_array core[4] = { { 0 } }, x = tensor_normal(&ctx, LODE_F64, 4, n, seed);
            for (int64_t i = 0; i < lode_array_size(&x); i++) { /* energies that fall */
                double by = 1;
                for (int64_t k = 3, rest = i; k >= 0; rest /= n[k], k--)
                    by /= pow(1 + (double)(rest % n[k]), 0.5 * (double)seed);
                tensor_set(&x, i, by * tensor_get(&x, i));
            }
            const double norm = tensor_norm(&x);
            lode_ttsvd_opts o = opts(e);
            assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, NULL));
            const double mine = train_values(4, core);
            assert_le(train_error(&x, 4, core), e * norm);
            double least = INFINITY;
            for (int64_t a = 1; a <= 5; a++)
                for (int64_t b = 1; b <= 20; b++)
                    for (int64_t c = 1; c <= 5; c++) {
                        const double values = (double)(5 * a + 4 * a * b + 6 * b * c + 5 * c);
                        if (values >= least || b > 4 * a || b > 6 * c || a > 4 * b)
                            continue;
                        lode_ttsvd_opts given = { .ranks = 3, .rank = { a, b, c }, .name = "X" };
                        assert_ok(&ctx,
                                  lode_i_tt_svd(&ctx, lode_from_array(&x), &given, core, NULL));
                        if (train_error(&x, 4, core) <= e * norm)
                            least = values;
                        train_free(4, core);
                    }
            assert_le(mine, 1.05 * least);
            lode_array_free(&x);
            train_free(4, core);
        }
}

static void ranks_and_budgets_are_kept(void **state)
{
    (void)state;
    static const int64_t n[] = { 8, 9, 10, 7 };
    lode_array core[4] = { { 0 } }, x = tensor_smooth(&ctx, LODE_F64, 4, n, 9);
    lode_ttsvd_info info;
    lode_ttsvd_opts o = { .ranks = 3, .rank = { 2, 5, 3 }, .name = "X" };
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    for (int k = 0; k < 3; k++)
        assert_int_equal(core[k].shape[2], o.rank[k]);
    assert_int_equal(info.bound, LODE_BY_RANK);
    assert_near(info.error, train_error(&x, 4, core), 1e-9 * info.norm);
    o = (lode_ttsvd_opts){ .ranks = 1,
                           .rank = { 100 },
                           .name = "X" }; /* everywhere: what is there */
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_int_equal(core[0].shape[2], 8);
    assert_int_equal(core[3].shape[0], 7);
    double last = INFINITY;
    for (int64_t params = 40; params < 1000; params *= 2) {
        o = (lode_ttsvd_opts){ .params = params, .name = "X" };
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
        assert_true(train_values(4, core) <= (double)params);
        assert_le(info.error, last);
        last = info.error;
    }
    o = opts(1e-8), o.max_rank = 3;
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_MISSED);
    assert_says(&ctx, "max_rank");
    assert_int_equal(info.bound, LODE_BY_MAX_RANK);
    o = (lode_ttsvd_opts){ .ranks = 2, .rank = { 2, 2 }, .name = "X" };
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_ESHAPE);
    o = (lode_ttsvd_opts){ .ranks = 3, .rank = { 9, 2, 2 }, .name = "X" };
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_ESHAPE);
    assert_says(&ctx, "bond 1");
    o = (lode_ttsvd_opts){ .params = 33, .name = "X" };
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_EPARAM);
    lode_array_free(&x);
    train_free(4, core);
}

static void same_bytes(const lode_array *a, const lode_array *b, int d)
{
    for (int k = 0; k < d; k++) {
        assert_int_equal(lode_array_size(&a[k]), lode_array_size(&b[k]));
        assert_memory_equal(a[k].data, b[k].data, lode_array_bytes(&a[k]));
    }
}

/* From sources, with other threads, from strided views, forwards and backwards: the same bits. */
static void sources_threads_and_strides_do_not_matter(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = { { 60, 40, 50, 0 },
                                         { 20, 30, 3000, 0 },
                                         { 9, 11, 13, 120 } };
    for (int i = 0; i < 3; i++) {
        const int d = i == 2 ? 4 : 3;
        lode_array x = tensor_planted(&ctx, LODE_F32, d, shapes[i], (const int64_t[]){ 3, 4, 3, 2 },
                                      0.01, 3),
                   turned = { 0 }, copy = { 0 }, core[4] = { { 0 } }, other[4] = { { 0 } };
        lode_source s = { 0 };
        lode_ttsvd_opts o = opts(0.02);
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, NULL));
        assert_le(train_error(&x, d, core), 0.02 * tensor_norm(&x));
        ctx.threads = 1;
        assert_ok(&ctx, lode_i_source_from_array(&ctx, &x, &s));
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_source(&s), &o, other, NULL));
        same_bytes(core, other, d);
        s.rewindable = false;
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_source(&s), &o, other, NULL));
        same_bytes(core, other, d);
        ctx.threads = 3;
        assert_ok(&ctx, lode_array_permute(&ctx, &x, (const int[]){ 1, 0, 2, 3 }, &turned));
        assert_ok(&ctx, lode_array_cast(&ctx, &turned, LODE_F32, &copy));
        assert_ok(&ctx, lode_array_permute(&ctx, &copy, (const int[]){ 1, 0, 2, 3 }, &turned));
        assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&turned), &o, other, NULL));
        same_bytes(core, other, d);
        ctx.threads = 2;
        lode_source_close(&s);
        LODE_FREE(&x, &turned, &copy);
        train_free(d, core), train_free(d, other);
    }
}

static void odd_values_and_shapes(void **state)
{
    (void)state;
    static const int64_t n[] = { 6, 5, 4 }, ones[] = { 1, 7, 1, 5 }, none[] = { 3, 0, 4 };
    lode_array core[4] = { { 0 } };
    lode_ttsvd_info info;
    lode_ttsvd_opts o = opts(1e-3);
    lode_array x = tensor_smooth(&ctx, LODE_F64, 3, n, 2);
    assert_ok(&ctx, lode_i_scale(&ctx, 1e300, &x));
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_ok(&ctx, lode_i_scale(&ctx, 1e-300, &x));
    assert_ok(&ctx, lode_i_scale(&ctx, 1e-300, &core[0]));
    assert_le(train_error(&x, 3, core), 1e-3 * tensor_norm(&x) * (1 + 1e-9));
    assert_ok(&ctx, lode_i_scale(&ctx, 1e-200, &x));
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_ok(&ctx, lode_i_scale(&ctx, 1e200, &x));
    assert_ok(&ctx, lode_i_scale(&ctx, 1e200, &core[0]));
    assert_le(train_error(&x, 3, core), 1e-3 * tensor_norm(&x) * (1 + 1e-9));
    tensor_set(&x, 47, NAN);
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_EDOMAIN);
    assert_says(&ctx, "X[2,1,3] is nan");
    assert_ok(&ctx, lode_i_fill(&ctx, &x, 0));
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_form(core, 3);
    assert_le(train_error(&x, 3, core), 0);
    lode_array_free(&x);
    x = tensor_normal(&ctx, LODE_C64, 4, ones, 2);
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_form(core, 4);
    assert_le(train_error(&x, 4, core), 1e-3 * tensor_norm(&x));
    lode_array_free(&x);
    train_free(4, core);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 3, none, &x));
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info));
    assert_int_equal(core[1].shape[1], 0);
    lode_array_free(&x);
    train_free(4, core);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 0, none, &x));
    assert_status(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, &info), LODE_ESHAPE);
    lode_array_free(&x);
}

/* 24 modes of 2: sin of a sum has ranks 2; two of them 4. */
static void many_modes_cost_little(void **state)
{
    (void)state;
    enum { D = 18 };
    int64_t n[D];
    lode_array x = { 0 }, core[D] = { { 0 } };
    for (int k = 0; k < D; k++)
        n[k] = 2;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, D, n, &x));
    for (int64_t i = 0; i < lode_array_size(&x); i++)
        tensor_set(&x, i, sin(1e-4 * (double)i) + cos(7e-3 * (double)i));
    lode_ttsvd_opts o = opts(1e-9);
    assert_ok(&ctx, lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, NULL));
    for (int k = 1; k < D - 2; k++)
        assert_true(core[k].shape[2] <= 4);
    assert_le(train_error(&x, D, core), 1e-9 * tensor_norm(&x));
    lode_array_free(&x);
    train_free(D, core);
}

static void residuals_are_measured(void **state)
{
    (void)state;
    static const int64_t n[] = { 7, 6, 5 }, rank[] = { 2, 3 };
    for (int t = 0; t < 4; t++) {
        lode_array core[3] = { { 0 } }, x = tensor_normal(&ctx, types[t], 3, n, 4);
        double error, norm;
        train_normal(&ctx, types[t], 3, n, rank, 8, core);
        assert_ok(&ctx, lode_i_tt_residual(&ctx, lode_from_array(&x), 3, core, "X", &error, &norm));
        assert_near(error, train_error(&x, 3, core), 20 * lode_i_epsilon(types[t]) * error);
        assert_near(norm, tensor_norm(&x), 1e-12 * norm);
        lode_array_free(&x);
        train_free(3, core);
    }
}

static void failed_allocations_and_the_plan(void **state)
{
    (void)state;
    static const int64_t n[] = { 12, 13, 14 };
    lode_array core[3] = { { 0 } }, x = tensor_smooth(&ctx, LODE_F32, 3, n, 4);
    lode_ttsvd_opts o = opts(1e-2);
    ctx.threads = 1;
    for (int64_t i = 1;; i += 1 + i / 40) {
        heap_fail(&memory, i);
        const lode_status st = lode_i_tt_svd(&ctx, lode_from_array(&x), &o, core, NULL);
        const bool failed = heap_failed(&memory);
        heap_fail(&memory, 0);
        assert_true(st == LODE_OK || (st == LODE_ENOMEM && !core[0].data));
        train_free(3, core);
        if (!failed)
            break;
    }
    lode_array_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(errors_are_met_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(exact_ranks_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_stop_at_a_noise_floor, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_are_about_the_least, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_and_budgets_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(sources_threads_and_strides_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_values_and_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(many_modes_cost_little, setup, teardown),
        cmocka_unit_test_setup_teardown(residuals_are_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_and_the_plan, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
