/* Observed entries and fits to their slices: against sums over all entries of the dense array, normal
 * equations solved by another route, and splits counted one by one. */
#include <math.h>

#include "array/observed.h"
#include "counted.h"
#include "linalg/slices.h"
#include "lode/lode.h"

enum { MODES = 3, K = 5 };
static const int64_t shape[MODES] = { 23, 17, 11 };
static const lode_missing nan_is = { .kind = LODE_MISSING_NAN };

static double noise(uint64_t site, int64_t i)
{
    const lode_ctx key = { .seed = 3 };
    return lode_i_random_normal(lode_i_stream(&key, "slices", site), (uint64_t)i);
}

/* A tensor of which about a third was observed, and weights. */
static lode_array gapped(lode_dtype dtype, int ndim)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, dtype, ndim, shape, &X));
    const int64_t size = lode_array_size(&X);
    lode_array flat = lode_array_wrap(X.data, dtype, 1, &size);
    for (int64_t i = 0; i < size; i++)
        lode_i_set1(&flat, i, fabs(noise(1, i)) < 0.4 ? noise(2, i) : NAN);
    return X;
}

static lode_array weights(int ndim)
{
    lode_array W = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, ndim, shape, &W));
    const int64_t size = lode_array_size(&W);
    for (int64_t i = 0; i < size; i++)
        ((double *)W.data)[i] = 0.5 + fabs(noise(4, i));
    return W;
}

static void factors(lode_dtype dtype, int ndim, int64_t k, lode_array *A)
{
    for (int m = 0; m < ndim; m++) {
        assert_ok(&ctx, lode_i_matrix_new(&ctx, dtype, shape[m], k, &A[m]));
        for (int64_t i = 0; i < shape[m] * k; i++)
            lode_i_set2(&A[m], i / k, i % k, noise(10 + (uint64_t)m, i));
    }
}

/* Product of the rows of all factors but one (skip -1: of all) for column c. */
static double regressor(const lode_array *A, int ndim, int skip, const int64_t *index, int64_t c)
{
    double h = 1;
    for (int m = 0; m < ndim; m++)
        h *= m == skip ? 1 : lode_i_get2(&A[m], index[m], c);
    return h;
}

static void unravel(int ndim, int64_t flat, int64_t *index)
{
    for (int m = ndim - 1; m >= 0; m--)
        index[m] = flat % shape[m], flat /= shape[m];
}

static void products_and_residuals_are_sums_over_entries(void **state)
{
    (void)state;
    for (int ndim = 2; ndim <= MODES; ndim++)
        for (int d = 0; d < 2; d++) {
            const lode_dtype dtype = d ? LODE_F64 : LODE_F32;
            const double slack = d ? 1e-12 : 1e-4;
            lode_array X = gapped(dtype, ndim), W = weights(ndim), A[MODES] = { { 0 } }, Y = { 0 };
            lode_i_observed x = { 0 };
            double sumsq = 0, expected = 0;
            factors(dtype, ndim, K, A);
            assert_ok(&ctx, lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, &W,
                                                 dtype, &x));
            for (int mode = 0; mode < ndim; mode++) {
                double want[23 * K] = { 0 };
                expected = 0;
                for (int64_t e = 0, n = lode_array_size(&X); e < n; e++) {
                    int64_t index[MODES];
                    double fit = 0;
                    unravel(ndim, e, index);
                    const double v = lode_array_get(&X, index), w = ((double *)W.data)[e];
                    if (v != v)
                        continue;
                    for (int64_t c = 0; c < K; c++) {
                        want[index[mode] * K + c] += w * v * regressor(A, ndim, mode, index, c);
                        fit += regressor(A, ndim, -1, index, c);
                    }
                    expected += w * (v - fit) * (v - fit);
                }
                assert_ok(&ctx, lode_i_observed_mttkrp(&ctx, &x, mode, NULL, A, &Y));
                for (int64_t i = 0; i < shape[mode] * K; i++)
                    assert_near(lode_i_get2(&Y, i / K, i % K), want[i], slack * 100);
                assert_ok(&ctx, lode_i_observed_residual(&ctx, &x, mode, A, NULL, NULL, &sumsq));
                assert_near(sumsq, expected, slack * expected);
            }
            for (int m = 0; m < ndim; m++)
                lode_array_free(&A[m]);
            lode_array_free(&X);
            lode_array_free(&W);
            lode_array_free(&Y);
            lode_i_observed_free(&x);
        }
}

/* The gradient of the penalized squares at row i of a mode, in f64. */
static double gradient(const lode_array *X, const lode_array *W, const lode_array *A, int ndim,
                       int mode, double ridge, int64_t i, int64_t c)
{
    double g = ridge * lode_i_get2(&A[mode], i, c);
    for (int64_t e = 0, n = lode_array_size(X); e < n; e++) {
        int64_t index[MODES];
        unravel(ndim, e, index);
        const double v = lode_array_get(X, index);
        if (index[mode] != i || v != v)
            continue;
        double fit = 0;
        for (int64_t q = 0; q < K; q++)
            fit += regressor(A, ndim, -1, index, q);
        g -= ((double *)W->data)[e] * (v - fit) * regressor(A, ndim, mode, index, c);
    }
    return g;
}

static void rows_solve_their_normal_equations(void **state)
{
    (void)state;
    for (int ndim = 2; ndim <= MODES; ndim++)
        for (int mode = 0; mode < ndim; mode++) {
            lode_array X = gapped(LODE_F64, ndim), W = weights(ndim), A[MODES] = { { 0 } };
            lode_i_observed x = { 0 };
            const lode_i_row_rule rule = { .ridge = 0.3 };
            double sumsq = 0, again = 0;
            factors(LODE_F64, ndim, K, A);
            assert_ok(&ctx, lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, &W,
                                                 LODE_F64, &x));
            assert_ok(&ctx, lode_i_observed_rows(&ctx, &x, mode, A, &rule, &sumsq, NULL));
            for (int64_t i = 0; i < shape[mode]; i += 3)
                for (int64_t c = 0; c < K; c++)
                    assert_near(gradient(&X, &W, A, ndim, mode, 0.3, i, c), 0, 1e-9);
            assert_ok(&ctx, lode_i_observed_residual(&ctx, &x, 0, A, NULL, NULL, &again));
            assert_near(sumsq, again, 1e-12 * again);
            for (int m = 0; m < ndim; m++)
                lode_array_free(&A[m]);
            lode_array_free(&X);
            lode_array_free(&W);
            lode_i_observed_free(&x);
        }
}

/* Karush, Kuhn and Tucker: at a >= 0 the gradient plus l1 is >= 0, and 0 where a > 0. */
static void nonnegative_rows_meet_their_conditions(void **state)
{
    (void)state;
    lode_array X = gapped(LODE_F64, 2), W = weights(2), A[MODES] = { { 0 } };
    lode_i_observed x = { 0 };
    const lode_i_row_rule rule = { .nonneg = true, .l1 = 0.2, .steps = 500 };
    int at_zero = 0;
    factors(LODE_F64, 2, K, A);
    assert_ok(&ctx,
              lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, &W, LODE_F64, &x));
    assert_ok(&ctx, lode_i_observed_rows(&ctx, &x, 0, A, &rule, NULL, NULL));
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t c = 0; c < K; c++) {
            const double g = gradient(&X, &W, A, 2, 0, 0, i, c) + 0.2, a = lode_i_get2(&A[0], i, c);
            assert_true(a >= 0);
            assert_le(-1e-7, g);
            if (a > 0)
                assert_near(g, 0, 1e-7);
            else
                at_zero++;
        }
    assert_true(at_zero > 0);
    for (int m = 0; m < 2; m++)
        lode_array_free(&A[m]);
    lode_array_free(&X);
    lode_array_free(&W);
    lode_i_observed_free(&x);
}

/* Long slices of many columns, by the sketch and exactly; fewer operations are counted. */
static void sketched_rows_come_to_the_exact_ones(void **state)
{
    (void)state;
    enum { M = 3, N = 900, R = 40 };
    lode_array X = { 0 }, A[2] = { { 0 } }, exact = { 0 };
    lode_i_observed x = { 0 };
    lode_i_row_cost cheap = { 0 }, full = { 0 };
    lode_i_row_rule rule = { .stream = lode_i_stream(&ctx, "sketch", 0) };
    double distance = 0, size = 0;
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, M, N, &X));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ M, R }, &A[0]));
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, N, R, &A[1]));
    for (int64_t i = 0; i < M * N; i++)
        lode_i_set2(&X, i / N, i % N, noise(20, i));
    for (int64_t i = 0; i < N * R; i++) /* columns of sizes from 1 to 1e-3: ill conditioned */
        lode_i_set2(&A[1], i / R, i % R, noise(21, i) * pow(10, -3.0 * (double)(i % R) / R));
    assert_ok(&ctx,
              lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, NULL, LODE_F64, &x));
    assert_ok(&ctx, lode_i_observed_rows(&ctx, &x, 0, A, &rule, NULL, &full));
    lode_array_swap(&exact, &A[0]);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ M, R }, &A[0]));
    rule.refinements = 12; /* each at least halves the distance */
    assert_ok(&ctx, lode_i_observed_rows(&ctx, &x, 0, A, &rule, NULL, &cheap));
    assert_int_equal(cheap.sketched, 0); /* twelve passes are as many as forty columns */
    rule.refinements = 6;
    for (int i = 0; i < 3; i++) /* from where the last ones ended */
        assert_ok(&ctx, lode_i_observed_rows(&ctx, &x, 0, A, &rule, NULL, i ? NULL : &cheap));
    assert_int_equal(cheap.sketched, M);
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &exact, &A[0], &distance));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &exact, &size));
    assert_le(distance, 1e-4 * size);
    lode_array_free(&X);
    lode_array_free(&exact);
    lode_array_free(&A[0]);
    lode_array_free(&A[1]);
    lode_i_observed_free(&x);
}

static void sparse_in_any_order_is_the_same(void **state)
{
    (void)state;
    lode_array X = gapped(LODE_F64, 3);
    lode_i_observed x[2] = { 0 };
    lode_sparse s = { .layout = LODE_COO, .ndim = 3, .shape = { 23, 17, 11 } };
    assert_ok(&ctx,
              lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, NULL, LODE_F64, x));
    const int64_t n = x[0].count;
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_I64, n, 3, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, n, &s.values));
    for (int64_t e = 0; e < n; e++) {
        const int64_t at = (e * 7) % n; /* n has no factor 7: a permutation */
        assert_true(n % 7 != 0);
        lode_i_observed_index(&x[0], e, (int64_t *)s.indices.data + 3 * at);
        lode_i_set1(&s.values, at, lode_i_get1(&x[0].mode[0].value, e));
    }
    assert_ok(&ctx, lode_i_observed_from(&ctx, lode_from_sparse(&s), &nan_is, NULL, NULL, LODE_F64,
                                         &x[1]));
    for (int m = 0; m < 3; m++) {
        const lode_i_slices *a = &x[0].mode[m], *b = &x[1].mode[m];
        assert_memory_equal(a->value.data, b->value.data, (size_t)n * sizeof(double));
        assert_memory_equal(a->index.data, b->index.data, (size_t)(2 * n) * sizeof(uint32_t));
    }
    ((int64_t *)s.indices.data)[0] = ((int64_t *)s.indices.data)[3];
    ((int64_t *)s.indices.data)[1] = ((int64_t *)s.indices.data)[4];
    ((int64_t *)s.indices.data)[2] = ((int64_t *)s.indices.data)[5];
    assert_status(
        &ctx,
        lode_i_observed_from(&ctx, lode_from_sparse(&s), &nan_is, NULL, NULL, LODE_F64, &x[1]),
        LODE_EDOMAIN);
    assert_says(&ctx, "given twice, as entries 0 and 1");
    lode_sparse_free(&s);
    lode_array_free(&X);
    lode_i_observed_free(&x[0]);
    lode_i_observed_free(&x[1]);
}

static void a_split_keeps_every_slice(void **state)
{
    (void)state;
    lode_array X = gapped(LODE_F32, 3);
    lode_i_observed x = { 0 }, kept = { 0 }, held = { 0 };
    double all = 0, a = 0, b = 0;
    assert_ok(&ctx,
              lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, NULL, LODE_F32, &x));
    assert_ok(&ctx,
              lode_i_observed_split(&ctx, &x, 0.25, lode_i_stream(&ctx, "split", 0), &kept, &held));
    assert_int_equal(kept.count + held.count, x.count);
    assert_near((double)held.count / (double)x.count, 0.25, 0.05);
    assert_ok(&ctx, lode_i_observed_require(&ctx, &kept, "X"));
    assert_ok(&ctx, lode_i_observed_sumsq(&ctx, &x, &all));
    assert_ok(&ctx, lode_i_observed_sumsq(&ctx, &kept, &a));
    assert_ok(&ctx, lode_i_observed_sumsq(&ctx, &held, &b));
    assert_near(a + b, all, 1e-9 * all);
    lode_array_free(&X);
    lode_i_observed_free(&x);
    lode_i_observed_free(&kept);
    lode_i_observed_free(&held);
}

static void bad_entries_are_named(void **state)
{
    (void)state;
    lode_array X = gapped(LODE_F64, 2), M = { 0 };
    lode_i_observed x = { 0 };
    const int64_t small[] = { 3, 4 };
    lode_i_set2(&X, 4, 6, INFINITY);
    assert_status(
        &ctx, lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, NULL, LODE_F64, &x),
        LODE_EDOMAIN);
    assert_says(&ctx, "X[4,6] is inf");
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_BOOL, 2, small, &M));
    assert_status(&ctx,
                  lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, &M, NULL, LODE_F64, &x),
                  LODE_ESHAPE);
    assert_says(&ctx, "the mask is 3 x 4, X is 23 x 17");
    for (int64_t j = 0; j < 17; j++)
        lode_i_set2(&X, 4, j, NAN);
    assert_ok(&ctx,
              lode_i_observed_from(&ctx, lode_from_array(&X), &nan_is, NULL, NULL, LODE_F64, &x));
    assert_status(&ctx, lode_i_observed_require(&ctx, &x, "X"), LODE_EDOMAIN);
    assert_says(&ctx, "row 4 of X has no observed value");
    lode_array_free(&X);
    lode_array_free(&M);
    lode_i_observed_free(&x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(products_and_residuals_are_sums_over_entries),
        T(rows_solve_their_normal_equations),
        T(nonnegative_rows_meet_their_conditions),
        T(sketched_rows_come_to_the_exact_ones),
        T(sparse_in_any_order_is_the_same),
        T(a_split_keeps_every_slice),
        T(bad_entries_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
