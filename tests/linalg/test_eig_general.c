/* Eigenvalues of general matrices by both ways: residuals, known values, pairs, order, defective ones;
 * exponentials. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/blas.h"
#include "linalg/linalg.h"

static void residual_and_order(const lode_array *A, const lode_array *w, const lode_array *V,
                               double slack)
{
    lode_array a = { 0 }, AV = { 0 }, VW = { 0 };
    double off = 0, norm = 0;
    assert_ok(&ctx, lode_array_cast(&ctx, A, LODE_C128, &a));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &a, V, &AV));
    assert_ok(&ctx, lode_array_cast(&ctx, V, LODE_C128, &VW));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &VW, w));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &AV, &VW, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, A, &norm));
    assert_le(off, slack * norm);
    const double(*z)[2] = w->data;
    for (int64_t k = 1; k < w->shape[0]; k++)
        assert_le(hypot(z[k][0], z[k][1]), hypot(z[k - 1][0], z[k - 1][1]) * (1 + 1e-10));
    lode_array_free(&a), lode_array_free(&AV), lode_array_free(&VW);
}

static void random_matrices(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, 2, 3, 7, 20, 61 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int complex = 0; complex < 2; complex++) {
            lode_array A = { 0 }, w[2] = { 0 }, V[2] = { 0 };
            const int64_t n = sizes[k];
            assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "eig", k),
                                         complex ? LODE_C128 : LODE_F64, n, n, &A));
            for (int plain = 0; plain < 2; plain++) {
                assert_ok(&ctx, lode_i_eig_routed(&ctx, plain, &A, &w[plain], &V[plain]));
                residual_and_order(&A, &w[plain], &V[plain], 1e-13 * (double)(n + 10));
            }
            double off = 0;
            assert_ok(&ctx, lode_i_diff_fro(&ctx, &w[0], &w[1], &off));
            assert_le(off, 1e-11 * (double)n);
            const double(*z)[2] = w[0].data;
            double trace[2] = { 0 }, sum[2] = { 0 };
            for (int64_t i = 0; i < n; i++) {
                double a[2];
                lode_i_get_complex(&A, i, i, a);
                trace[0] += a[0], trace[1] += a[1], sum[0] += z[i][0], sum[1] += z[i][1];
                if (!complex && z[i][1] > 0) { /* the pair beside it, exactly */
                    assert_true(z[i + 1][0] == z[i][0] && z[i + 1][1] == -z[i][1]);
                }
            }
            assert_near(trace[0], sum[0], 1e-12 * (double)(n + 1) * sqrt((double)n));
            assert_near(trace[1], sum[1], 1e-12 * (double)(n + 1) * sqrt((double)n));
            lode_array_free(&A);
            for (int i = 0; i < 2; i++)
                lode_array_free(&w[i]), lode_array_free(&V[i]);
        }
}

/* Rotation by an angle, a projector, a nilpotent block, a permutation. */
static void known_values(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        lode_array A = { 0 }, w = { 0 }, V = { 0 };
        assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 4, 4 }, &A));
        for (int64_t i = 0; i < 4; i++)
            lode_i_set2(&A, i, (i + 1) % 4, 1); /* fourth roots of 1 */
        assert_ok(&ctx, lode_i_eig_routed(&ctx, plain, &A, &w, &V));
        static const double roots[4][2] = { { 1, 0 }, { 0, 1 }, { 0, -1 }, { -1, 0 } };
        const double(*z)[2] = w.data;
        for (int k = 0; k < 4; k++) {
            assert_near(z[k][0], roots[k][0], 1e-14);
            assert_near(z[k][1], roots[k][1], 1e-14);
        }
        lode_i_set2(&A, 3, 0, 0); /* nilpotent */
        assert_ok(&ctx, lode_i_eig_routed(&ctx, plain, &A, &w, &V));
        const double(*zero)[2] = w.data;
        for (int k = 0; k < 4; k++)
            assert_le(hypot(zero[k][0], zero[k][1]), 1e-3); /* 4th root of rounding */
        assert_ok(&ctx, lode_i_fill(&ctx, &A, 0));
        assert_ok(&ctx, lode_i_eig_routed(&ctx, plain, &A, &w, &V));
        assert_ok(&ctx, lode_i_fill(&ctx, &A, 1e300)); /* rank 1, the value 4e300 */
        if (plain == 0) {
            assert_ok(&ctx, lode_i_eig(&ctx, &A, &w, &V));
            assert_near(lode_i_get1(&w, 0) / 4e300, 1, 1e-14);
        }
        lode_array_free(&A), lode_array_free(&w), lode_array_free(&V);
    }
}

static void exponentials_in_time(void **state)
{
    (void)state;
    lode_array t = { 0 }, rate = { 0 }, E = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 3, &t));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_C128, 1, (const int64_t[]){ 1 }, &rate));
    ((double *)rate.data)[0] = -0.5, ((double *)rate.data)[1] = 2;
    for (int64_t i = 0; i < 3; i++)
        lode_i_set1(&t, i, 0.7 * (double)i);
    for (int power = 0; power < 2; power++) {
        assert_ok(&ctx, lode_i_exponentials(&ctx, &t, &rate, NULL, power, &E));
        for (int64_t i = 0; i < 3; i++) {
            double z[2];
            const double s = 0.7 * (double)i, size = exp(-0.5 * s) * (power ? s : 1);
            lode_i_get_complex(&E, i, 0, z);
            assert_near(z[0], size * cos(2 * s), 1e-15);
            assert_near(z[1], size * sin(2 * s), 1e-15);
        }
    }
    lode_array_free(&t), lode_array_free(&rate), lode_array_free(&E);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_matrices, setup, teardown),
        cmocka_unit_test_setup_teardown(known_values, setup, teardown),
        cmocka_unit_test_setup_teardown(exponentials_in_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
