/* complete: planted matrices and tensors from some of their entries, truncated SVDs of whole ones, optimality
 * of the nuclear norm, rank from entries kept back, descent, bad input. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"

static double noise(uint64_t site, int64_t i)
{
    const lode_ctx key = { .seed = 5 };
    return lode_i_random_normal(lode_i_stream(&key, "complete", site), (uint64_t)i);
}

/* Sum of k outer products of normal vectors, and noise. */
static lode_array planted(int ndim, const int64_t *shape, int64_t k, double deviation)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, ndim, shape, &X));
    double *x = X.data;
    for (int64_t e = 0, n = lode_array_size(&X); e < n; e++) {
        for (int64_t c = 0; c < k; c++) {
            double v = 1;
            for (int64_t m = ndim - 1, rest = e; m >= 0; rest /= shape[m], m--)
                v *= noise(10 + (uint64_t)m, rest % shape[m] * k + c);
            x[e] += v;
        }
        x[e] += deviation * noise(2, e);
    }
    return X;
}

/* A copy of which this share stays. */
static lode_array punched(const lode_array *X, double share)
{
    lode_array Y = { 0 };
    const lode_ctx key = { .seed = 6 };
    const lode_stream s = lode_i_stream(&key, "punch", 0);
    assert_ok(&ctx, lode_array_cast(&ctx, X, LODE_F64, &Y));
    for (int64_t e = 0, n = lode_array_size(&Y); e < n; e++)
        if (lode_i_random_uniform(s, (uint64_t)e) >= share)
            ((double *)Y.data)[e] = NAN;
    return Y;
}

static double error_of(lode_bundle *b, const lode_array *X)
{
    lode_array Y = { 0 };
    double off = 0, norm = 0;
    snprintf(b->meta.op, sizeof b->meta.op, "complete");
    assert_ok(&ctx, lode_invert(&ctx, b, lode_none(), NULL, &Y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, X, &Y, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, X, &norm));
    lode_array_free(&Y);
    return off / norm;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static void planted_matrices_come_back(void **state)
{
    (void)state;
    const int64_t shape[] = { 120, 90 };
    lode_array X = planted(2, shape, 4, 0), Y = punched(&X, 0.35);
    for (int method = LODE_COMPLETE_ALS; method <= LODE_COMPLETE_RIEMANNIAN; method++)
        for (int solver = 0; solver < 2; solver++) {
            lode_complete_opts o = lode_complete_defaults();
            lode_bundle b = { 0 };
            o.rank = lode_rank(4), o.method = (lode_complete_method)method, o.tol = 1e-9;
            o.solver = (lode_complete_solver)solver;
            assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&Y), &b));
            assert_le(error_of(&b, &X), 1e-9);
            assert_le(b.certificate.value, 1e-9);
            lode_bundle_free(&b);
        }
    lode_array_free(&X);
    lode_array_free(&Y);
}

static void planted_tensors_come_back(void **state)
{
    (void)state;
    const int64_t shape[] = { 25, 20, 18 };
    lode_array X = planted(3, shape, 2, 0), Y = punched(&X, 0.3);
    lode_complete_opts o = lode_complete_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(2), o.tol = 1e-9, o.max_iter = 1000;
    assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&Y), &b));
    assert_le(error_of(&b, &X), 1e-8);
    lode_bundle_free(&b);
    lode_array_free(&X);
    lode_array_free(&Y);
}

/* Eckart and Young: of a whole matrix nothing of the rank is nearer than its truncated SVD. */
static void whole_matrices_give_their_truncated_svd(void **state)
{
    (void)state;
    const int64_t shape[] = { 40, 30 };
    lode_array X = planted(2, shape, 5, 1), s = { 0 };
    double tail = 0, all = 0;
    assert_ok(&ctx, lode_i_svd(&ctx, &X, 30, NULL, &s, NULL));
    for (int64_t c = 0; c < 30; c++) {
        const double square = pow(lode_i_get1(&s, c), 2);
        all += square, tail += c >= 5 ? square : 0;
    }
    for (int method = LODE_COMPLETE_ALS; method <= LODE_COMPLETE_SOFT; method++) {
        lode_complete_opts o = lode_complete_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(5), o.tol = 1e-12, o.max_iter = 3000;
        o.method = (lode_complete_method)method;
        assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b));
        assert_near(b.certificate.value, sqrt(tail / all), 1e-7);
        for (int64_t c = 0; c < 5; c++)
            assert_near(lode_i_get1(member(&b, "s"), c), lode_i_get1(&s, c), 1e-3);
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
    lode_array_free(&s);
}

/* Of a whole matrix the penalized fit is known: singular values less the threshold. als with the same ridge
 * has the same minimum. */
static void penalties_shrink_singular_values(void **state)
{
    (void)state;
    const int64_t shape[] = { 30, 24 };
    lode_array X = planted(2, shape, 3, 0.2), s = { 0 };
    assert_ok(&ctx, lode_i_svd(&ctx, &X, 24, NULL, &s, NULL));
    for (int method = LODE_COMPLETE_ALS; method <= LODE_COMPLETE_SOFT; method += 2) {
        lode_complete_opts o = lode_complete_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(6), o.ridge = 2.5, o.tol = 1e-13, o.max_iter = 5000;
        o.method = (lode_complete_method)method;
        assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b));
        for (int64_t c = 0; c < 6; c++)
            assert_near(lode_i_get1(member(&b, "s"), c), fmax(lode_i_get1(&s, c) - 2.5, 0), 2e-3);
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
    lode_array_free(&s);
}

static void the_error_never_rises(void **state)
{
    (void)state;
    const int64_t shape[] = { 60, 50 };
    lode_array X = planted(2, shape, 6, 0.5), Y = punched(&X, 0.4);
    for (int k = 0; k < 4; k++) {
        lode_complete_opts o = lode_complete_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(3 + k), o.tol = 1e-5, o.nonneg = k == 3, o.max_iter = 2000;
        o.method = k == 2 ? LODE_COMPLETE_RIEMANNIAN : LODE_COMPLETE_ALS;
        assert_true(lode_complete(&ctx, &o, lode_from_array(&Y), &b) >= 0);
        const lode_array *trace = member(&b, "trace");
        for (int64_t i = 1; i < trace->shape[0] && k != 2; i++)
            assert_le(lode_i_get1(trace, i), lode_i_get1(trace, i - 1) * (1 + 1e-9));
        for (int64_t i = 0; k == 3 && i < 60; i++)
            assert_true(lode_i_get2(member(&b, "factor.0"), i, 0) >= 0);
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
    lode_array_free(&Y);
}

static void the_rank_is_found_by_entries_kept_back(void **state)
{
    (void)state;
    const int64_t shape[] = { 80, 70 };
    lode_array X = planted(2, shape, 3, 0.3), Y = punched(&X, 0.5);
    lode_complete_opts o = lode_complete_defaults();
    lode_bundle b = { 0 };
    double error = 0, low = 0, high = 0;
    o.holdout = 0.1, o.max_rank = (lode_auto_i64){ true, 8 };
    assert_true(lode_complete(&ctx, &o, lode_from_array(&Y), &b) >= 0);
    assert_int_equal(member(&b, "s")->shape[0], 3);
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "heldout", &error));
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "heldout_low", &low));
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "heldout_high", &high));
    /* noise 0.3 against a deviation of sqrt(3.09) */
    assert_near(error, 0.3 / sqrt(3.09), 0.06);
    assert_true(low < error && error < high);
    lode_bundle_free(&b);
    lode_array_free(&X);
    lode_array_free(&Y);
}

/* A row left out of the fit, from a few of its entries. */
static void new_rows_are_filled(void **state)
{
    (void)state;
    const int64_t shape[] = { 61, 40 };
    lode_array X = planted(2, shape, 3, 0), fitted = lode_i_rows(&X, 0, 60),
               last = lode_i_rows(&X, 60, 61), Y = { 0 }, back = { 0 };
    lode_complete_opts o = lode_complete_defaults();
    lode_bundle b = { 0 }, codes = { 0 };
    double off = 0;
    o.rank = lode_rank(3), o.tol = 1e-10;
    assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&fitted), &b));
    snprintf(b.meta.op, sizeof b.meta.op, "complete");
    assert_ok(&ctx, lode_array_cast(&ctx, &last, LODE_F64, &Y));
    for (int64_t j = 8; j < 40; j++)
        lode_i_set2(&Y, 0, j, NAN);
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&Y), &codes));
    assert_ok(&ctx,
              lode_invert(&ctx, &b, lode_from_array(member(&codes, "factor.0")), NULL, &back));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &last, &back, &off));
    assert_le(off, 1e-9);
    lode_bundle_free(&b);
    lode_bundle_free(&codes);
    lode_array_free(&X);
    lode_array_free(&fitted);
    lode_array_free(&last);
    lode_array_free(&Y);
    lode_array_free(&back);
}

/* Weights are repetitions; a mask is what NaN is. */
static void masks_and_weights_mean_what_they_say(void **state)
{
    (void)state;
    const int64_t shape[] = { 30, 20 };
    lode_array X = planted(2, shape, 2, 0.3), Y = punched(&X, 0.6), M = { 0 }, W = { 0 };
    lode_complete_opts o = lode_complete_defaults();
    lode_bundle a = { 0 }, b = { 0 };
    o.rank = lode_rank(2);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_BOOL, 2, shape, &M));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, shape, &W));
    for (int64_t e = 0; e < 600; e++) {
        const bool seen = ((double *)Y.data)[e] == ((double *)Y.data)[e];
        ((unsigned char *)M.data)[e] = seen;
        ((double *)W.data)[e] = seen ? 1 : 0;
    }
    assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&Y), &a));
    for (int i = 0; i < 2; i++) {
        o.mask = i ? NULL : &M, o.weights = i ? &W : NULL;
        assert_ok(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b));
        assert_memory_equal(member(&a, "factor.0")->data, member(&b, "factor.0")->data,
                            60 * sizeof(double));
        lode_bundle_free(&b);
    }
    lode_bundle_free(&a);
    lode_array_free(&X);
    lode_array_free(&Y);
    lode_array_free(&M);
    lode_array_free(&W);
}

static void bad_requests_are_named(void **state)
{
    (void)state;
    const int64_t shape[] = { 6, 5 }, three[] = { 3, 4, 5 };
    lode_array X = planted(2, shape, 2, 0), T = planted(3, three, 2, 0);
    lode_complete_opts o = lode_complete_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(6);
    assert_status(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b), LODE_EPARAM);
    assert_says(&ctx, "rank 6 is above the shorter side 5");
    o.rank = lode_rank(2), o.method = LODE_COMPLETE_SOFT;
    assert_status(&ctx, lode_complete(&ctx, &o, lode_from_array(&T), &b), LODE_EUSAGE);
    assert_says(&ctx, "method soft is for matrices");
    o.method = LODE_COMPLETE_ALS;
    for (int64_t i = 0; i < 6; i++)
        lode_i_set2(&X, i, 3, NAN);
    assert_status(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "column 3 of X has no observed value");
    o.missing.kind = LODE_MISSING_NONE;
    assert_status(&ctx, lode_complete(&ctx, &o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[0,3] is nan");
    lode_array_free(&X);
    lode_array_free(&T);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(planted_matrices_come_back),
        T(planted_tensors_come_back),
        T(whole_matrices_give_their_truncated_svd),
        T(penalties_shrink_singular_values),
        T(the_error_never_rises),
        T(the_rank_is_found_by_entries_kept_back),
        T(new_rows_are_filled),
        T(masks_and_weights_mean_what_they_say),
        T(bad_requests_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
