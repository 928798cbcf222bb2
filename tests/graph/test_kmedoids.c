/* k-medoids against every choice of medoids, planted groups, ties; silhouettes against their definition. */
#include <math.h>

#include "counted.h"
#include "graph/kmedoids.h"
#include "linalg/linalg.h"

static double draw(uint64_t seed, uint64_t i)
{
    lode_ctx key = { .seed = seed };
    return lode_i_random_normal(lode_i_stream(&key, "test-kmedoids", 0), i);
}

/* Distances between points of the plane, in groups around (10 g, 0). */
static lode_array points(int64_t n, int64_t groups, double spread, uint64_t seed)
{
    lode_array x = { 0 }, G = { 0 }, D = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, n, 2, &x));
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < 2; k++)
            lode_i_set2(&x, i, k,
                        spread * draw(seed, (uint64_t)(2 * i + k)) +
                            (k == 0 ? 10 * (double)(i % groups) : 0));
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_N, &x, &G));
    assert_ok(&ctx, lode_i_gram_distances(&ctx, &G, LODE_I_EUCLID, &D));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            assert_near(lode_i_get2(&D, i, j),
                        hypot(lode_i_get2(&x, i, 0) - lode_i_get2(&x, j, 0),
                              lode_i_get2(&x, i, 1) - lode_i_get2(&x, j, 1)),
                        1e-5);
    lode_array_free(&x);
    lode_array_free(&G);
    return D;
}

static double cost_of(const lode_array *D, const int64_t *medoid, int64_t k)
{
    double cost = 0;
    for (int64_t o = 0; o < D->shape[0]; o++) {
        double least = INFINITY;
        for (int64_t j = 0; j < k; j++)
            least = fmin(least, lode_i_get2(D, medoid[j], o));
        cost += least;
    }
    return cost;
}

static double best_of_all(const lode_array *D, int64_t k)
{
    const int64_t n = D->shape[0];
    double best = INFINITY;
    int64_t m[3] = { 0 };
    for (m[0] = 0; m[0] < n; m[0]++)
        for (m[1] = k > 1 ? m[0] + 1 : n - 1; m[1] < n; m[1]++)
            for (m[2] = k > 2 ? m[1] + 1 : n - 1; m[2] < n; m[2]++)
                best = fmin(best, cost_of(D, m, k));
    return best;
}

static lode_i_kmedoids_opts options(int64_t k, int64_t restarts)
{
    return (lode_i_kmedoids_opts){ .k = k,
                                   .restarts = restarts,
                                   .max_iter = 100,
                                   .stream = lode_i_stream(&ctx, "test", 0),
                                   .op = "test" };
}

static void the_best_of_all_medoids_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int64_t k = 1; k <= 3; k++) {
            lode_array D = points(16, 1, 1, seed);
            lode_i_kmedoids m = { 0 };
            const lode_i_kmedoids_opts o = options(k, 20);
            assert_ok(&ctx, lode_i_kmedoids_fit(&ctx, &D, &o, &m));
            int64_t medoid[3] = { 0 };
            for (int64_t j = 0; j < k; j++)
                medoid[j] = (int64_t)lode_i_get1(&m.medoids, j);
            assert_near(m.cost, cost_of(&D, medoid, k), 1e-12 * m.cost);
            assert_near(m.cost, best_of_all(&D, k), 1e-9 * m.cost);
            lode_i_kmedoids_free(&m);
            lode_array_free(&D);
        }
}

/* A single start ends where no exchange of one medoid lowers the cost. */
static void no_exchange_is_left(void **state)
{
    (void)state;
    enum { N = 40, K = 5 };
    for (uint64_t seed = 30; seed < 36; seed++) {
        lode_array D = points(N, 1, 1, seed);
        lode_i_kmedoids m = { 0 };
        const lode_i_kmedoids_opts o = options(K, 1);
        assert_ok(&ctx, lode_i_kmedoids_fit(&ctx, &D, &o, &m));
        int64_t medoid[K];
        for (int64_t j = 0; j < K; j++)
            medoid[j] = (int64_t)lode_i_get1(&m.medoids, j);
        for (int64_t j = 0; j < K; j++)
            for (int64_t x = 0; x < N; x++) {
                const int64_t keep = medoid[j];
                medoid[j] = x;
                assert_le(m.cost * (1 - 1e-9), cost_of(&D, medoid, K));
                medoid[j] = keep;
            }
        lode_i_kmedoids_free(&m);
        lode_array_free(&D);
    }
}

static void planted_groups_are_found(void **state)
{
    (void)state;
    lode_array D = points(90, 6, 0.5, 3), width = { 0 };
    lode_i_kmedoids m = { 0 };
    const lode_i_kmedoids_opts o = options(6, 5);
    assert_ok(&ctx, lode_i_kmedoids_fit(&ctx, &D, &o, &m));
    for (int64_t i = 6; i < 90; i++)
        assert_int_equal(lode_i_get1(&m.labels, i), lode_i_get1(&m.labels, i % 6));
    for (int64_t j = 0; j < 6; j++) {
        const int64_t at = (int64_t)lode_i_get1(&m.medoids, j);
        assert_int_equal(lode_i_get1(&m.labels, at), j);
        assert_true(lode_i_get1(&m.distance, at) == 0);
        if (j > 0)
            assert_true(lode_i_get1(&m.medoids, j - 1) < (double)at);
    }
    assert_ok(&ctx, lode_i_silhouette(&ctx, &D, &m.labels, 6, &width));
    for (int64_t i = 0; i < 90; i++) {
        double sum[6] = { 0 }, b = INFINITY;
        for (int64_t j = 0; j < 90; j++)
            sum[(int64_t)lode_i_get1(&m.labels, j)] += lode_i_get2(&D, i, j);
        const int64_t own = (int64_t)lode_i_get1(&m.labels, i);
        for (int64_t c = 0; c < 6; c++)
            if (c != own)
                b = fmin(b, sum[c] / 15);
        const double a = sum[own] / 14;
        assert_near(lode_i_get1(&width, i), (b - a) / fmax(a, b), 1e-12);
        assert_le(0.7, lode_i_get1(&width, i));
    }
    lode_i_kmedoids_free(&m);
    lode_array_free(&width);
    lode_array_free(&D);
}

static void ends_are_right(void **state)
{
    (void)state;
    lode_array D = points(7, 1, 1, 9), same = { 0 }, width = { 0 };
    lode_i_kmedoids m = { 0 };
    lode_i_kmedoids_opts o = options(7, 3); /* every point its own */
    assert_ok(&ctx, lode_i_kmedoids_fit(&ctx, &D, &o, &m));
    assert_true(m.cost == 0);
    for (int64_t i = 0; i < 7; i++)
        assert_int_equal(lode_i_get1(&m.labels, i), i);
    assert_ok(&ctx, lode_i_silhouette(&ctx, &D, &m.labels, 7, &width));
    assert_true(lode_i_get1(&width, 3) == 0);
    o = options(8, 1);
    assert_status(&ctx, lode_i_kmedoids_fit(&ctx, &D, &o, &m), LODE_EPARAM);
    /* all at one place: any medoids, cost 0, each medoid its own */
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 5, 5 }, &same));
    o = options(3, 4);
    assert_ok(&ctx, lode_i_kmedoids_fit(&ctx, &same, &o, &m));
    assert_true(m.cost == 0);
    for (int64_t j = 0; j < 3; j++)
        assert_int_equal(lode_i_get1(&m.labels, (int64_t)lode_i_get1(&m.medoids, j)), j);
    o = options(4, 3), o.max_iter = 1; /* random starts do not end in one pass */
    lode_array many = points(60, 1, 1, 5);
    const lode_status st = lode_i_kmedoids_fit(&ctx, &many, &o, &m);
    assert_true(st == LODE_OK || st == LODE_NOCONV);
    lode_i_kmedoids_free(&m);
    lode_array_free(&D), lode_array_free(&same), lode_array_free(&width), lode_array_free(&many);
}

/* Sines of angles against their definition, scales and signs. */
static void sines_do_not_see_scales(void **state)
{
    (void)state;
    lode_array x = { 0 }, y = { 0 }, G = { 0 }, D = { 0 }, E = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "x", 0), LODE_C128, 6, 9, &x));
    assert_ok(&ctx, lode_array_cast(&ctx, &x, LODE_C128, &y));
    lode_array d = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 6, &d));
    for (int64_t i = 0; i < 6; i++)
        lode_i_set1(&d, i, (i % 2 ? -1 : 1) * pow(10, (double)i - 3));
    assert_ok(&ctx, lode_i_scale_rows(&ctx, &y, &d));
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_N, &x, &G));
    assert_ok(&ctx, lode_i_gram_distances(&ctx, &G, LODE_I_SINE, &D));
    for (int64_t i = 0; i < 6; i++)
        for (int64_t j = 0; j < 6; j++) {
            lode_array a = lode_i_rows(&x, i, i + 1), b = lode_i_rows(&x, j, j + 1);
            lode_inner s;
            assert_ok(&ctx, lode_i_inner(&ctx, &a, &b, &s));
            const double c2 = (s.re * s.re + s.im * s.im) / (s.sumsq * s.other);
            assert_near(lode_i_get2(&D, i, j), i == j ? 0 : sqrt(1 - c2), 1e-14);
            lode_array_free(&a), lode_array_free(&b);
        }
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_N, &y, &G));
    assert_ok(&ctx, lode_i_gram_distances(&ctx, &G, LODE_I_SINE, &E));
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &D, &E, &off));
    assert_le(off, 1e-14);
    lode_array_free(&x), lode_array_free(&y), lode_array_free(&G), lode_array_free(&D);
    lode_array_free(&E), lode_array_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_best_of_all_medoids_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(no_exchange_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(planted_groups_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(ends_are_right, setup, teardown),
        cmocka_unit_test_setup_teardown(sines_do_not_see_scales, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
