/* funtucker against dense regression, values that it was made from, and what it must refuse. */
#define OP lode_op_funtucker
#include "fitted.h"

static int setup(void **state)
{
    (void)state;
    return start();
}

/* A smooth function of d indexes of which mode k has the unit of 10^k: of rank 2 in every mode. */
static double smooth(int d, const double *t)
{
    double a = 1, b = 1;
    for (int k = 0; k < d; k++) {
        const double x = t[k] / pow(10, k);
        a *= sin(3 * x + 0.5 + k), b *= 1.2 * cos(2 * x) - 0.2 * k;
    }
    return 3 * a + b;
}

/* n observations at random places, unsorted, every tenth a duplicate of the place before. */
static lode_array observed(lode_dtype dtype, int d, int64_t n, double noise, uint64_t seed)
{
    const lode_stream s = lode_i_stream(&f.ctx, "observed", seed);
    lode_array x = { 0 }, y = { 0 };
    uint64_t at = 0;
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, n, d + 1, &x));
    for (int64_t i = 0; i < n; i++) {
        double t[8];
        for (int k = 0; k < d; k++) {
            t[k] = pow(10, k) * lode_i_random_uniform(s, at++);
            if (i % 10 == 9)
                t[k] = lode_i_get2(&x, i - 1, k);
            lode_i_set2(&x, i, k, t[k]);
        }
        lode_i_set2(&x, i, d, 7 + smooth(d, t) + noise * lode_i_random_normal(s, at++));
    }
    assert_ok(&f.ctx, lode_array_cast(&f.ctx, &x, dtype, &y));
    lode_array_free(&x);
    return y;
}

static const lode_array *member(const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, name, &a));
    return a;
}

static double scalar(const char *name)
{
    const lode_value v = lode_bundle_get(&f.model, name);
    assert_int_equal(v.kind, LODE_SCALAR);
    return v.as.scalar->dtype == LODE_I64 ? (double)v.as.scalar->i : v.as.scalar->re;
}

/* Root mean square of what is predicted less the function, and the share within the 90 % intervals of f. */
static double off(int d, uint64_t seed, double *coverage)
{
    lode_array q = observed(LODE_F64, d, 600, 0, seed), only = lode_i_cols(&q, 0, d);
    lode_bundle b = { 0 };
    const lode_array *mean, *variance, *spread;
    double sum = 0, within = 0;
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&only), &b));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &b, "mean", &mean));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &b, "variance", &variance));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &b, "function_variance", &spread));
    for (int64_t i = 0; i < 600; i++) {
        const double e = lode_i_get1(mean, i) - lode_i_get2(&q, i, d);
        assert_true(lode_i_get1(spread, i) >= 0 &&
                    lode_i_get1(variance, i) > lode_i_get1(spread, i));
        sum += e * e;
        within += fabs(e) <= 1.645 * sqrt(lode_i_get1(spread, i));
    }
    *coverage = within / 600;
    LODE_FREE(&q, &only, &b);
    return sqrt(sum / 600);
}

/* 360 fitted values, noise 0.05, some 12 numbers a function: a root mean square error of about 0.05 sqrt(36 / 360). */
static void functions_are_found_in_any_number_of_modes(void **state)
{
    (void)state;
    for (int d = 1; d <= 4; d++) {
        double coverage;
        take(observed(LODE_F64, d, d < 4 ? 400 : 800, 0.05, (uint64_t)d));
        assert_true(RUN("rank", "3", "max-iter", "150") >= 0); /* 2, and the constant taken off */
        assert_le(off(d, 100, &coverage), 0.03);
        assert_true(coverage > 0.75);
        assert_near(scalar("noise"), 0.05, 0.015);
        assert_true(f.model.certificate.kind == LODE_CERT_HELDOUT);
        assert_le(f.model.certificate.low, f.model.certificate.value);
        assert_le(f.model.certificate.value, f.model.certificate.high);
        lode_bundle_free(&f.model);
    }
}

static double kernel32(double t, double l, double a)
{
    const double s = sqrt(3) * fabs(t) / l;
    return a * a * (1 + s) * exp(-s);
}

/* With one mode and one function the predictions are those of a Gaussian process with what the sites say as its
 * observations; between, at and beyond the indexes. Dense, by lode_i_cholesky. */
static void predictions_are_dense_regression(void **state)
{
    (void)state;
    take(observed(LODE_F64, 1, 60, 0.1, 5));
    assert_true(RUN("rank", "1", "holdout", "0", "max-iter", "40") >= 0);
    assert_int_equal(f.model.certificate.kind, LODE_CERT_MEASURED);
    const lode_array *t = member("index.0"), *L = member("precision.0"), *h = member("shift.0"),
                     *u = member("factor.0"), *V = member("cov.0");
    const double l = lode_i_get1(member("lengthscale"), 0), a = lode_i_get1(member("amplitude"), 0);
    const int64_t n = t->shape[0];
    assert_int_equal(n, 54); /* 60 places of which 6 are twice there */
    lode_array K = { 0 }, C = { 0 }, A = { 0 }, B = { 0 }, S = { 0 };
    /* I + sqrt L K sqrt L = C C' ; covariance K - K sqrt L (..)^-1 sqrt L K */
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, n, n, &K));
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, n, n, &S));
    assert_ok(&f.ctx, lode_i_eye(&f.ctx, LODE_F64, n, &A));
    const double *precision = L->data;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double k = kernel32(lode_i_get1(t, i) - lode_i_get1(t, j), l, a);
            lode_i_set2(&K, i, j, k);
            lode_i_set2(&A, i, j, (i == j) + k * sqrt(precision[i] * precision[j]));
            lode_i_set2(&S, i, j, k * sqrt(precision[i]));
        }
    assert_ok(&f.ctx, lode_i_cholesky(&f.ctx, &A, &C, NULL));
    assert_ok(&f.ctx, lode_i_solve_lower(&f.ctx, LODE_N, &C, &S, &B));
    for (int64_t i = 0; i < n; i++) {
        double m = 0;
        for (int64_t j = 0; j < n; j++) {
            double v = lode_i_get2(&K, i, j);
            for (int64_t k = 0; k < n; k++)
                v -= lode_i_get2(&B, k, i) * lode_i_get2(&B, k, j);
            m += v * lode_i_get2(h, j, 0);
            if (i == j)
                assert_near(((double *)V->data)[i], v, 1e-10 * a * a);
        }
        assert_near(lode_i_get2(u, i, 0), m, 1e-9 * a);
    }
    LODE_FREE(&K, &C, &A, &B, &S);
}

/* Messages in turn are steps up of one bound. */
static void the_evidence_never_falls(void **state)
{
    (void)state;
    static const char *const kernels[] = { "matern12", "matern32", "matern52" };
    for (int k = 0; k < 3; k++) {
        take(observed(LODE_F64, 2, 150, 0.1, 8));
        assert_true(RUN("kernel", kernels[k], "rank", "3,2", "max-iter", "40", "tol", "0") >= 0);
        const lode_array *trace = member("trace");
        assert_int_equal(trace->shape[0], 41);
        for (int64_t i = 2; i < trace->shape[0]; i++)
            assert_le(lode_i_get1(trace, i - 1), lode_i_get1(trace, i) + 1e-7);
        assert_true(lode_i_get1(trace, 40) > lode_i_get1(trace, 0) + 100);
        lode_bundle_free(&f.model);
    }
}

/* Damped messages end where whole ones do. */
static void damping_ends_at_the_same_place(void **state)
{
    (void)state;
    double evidence[2];
    for (int i = 0; i < 2; i++) {
        take(observed(LODE_F64, 2, 120, 0.1, 3));
        assert_true(RUN("damping", i ? "0.5" : "0", "rank", "2", "lengthscale", "0.5,5",
                        "amplitude", "1", "tol", "1e-7", "max-iter", "3000") >= 0);
        evidence[i] = scalar("evidence");
        lode_bundle_free(&f.model);
    }
    assert_near(evidence[0], evidence[1], 0.05);
}

/* Units of indexes and values come back in the prediction, and nowhere else. */
static void units_do_not_matter(void **state)
{
    (void)state;
    lode_array x = observed(LODE_F64, 2, 150, 0.1, 4), y = { 0 };
    double error[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &x, LODE_F64, &y));
        for (int64_t r = 0; i && r < 150; r++)
            for (int64_t c = 0; c < 3; c++)
                lode_i_set2(&y, r, c,
                            lode_i_get2(&y, r, c) * (c == 0   ? 0x1p60
                                                     : c == 2 ? 0x1p-300
                                                              : 1));
        take(y);
        y = (lode_array){ 0 };
        assert_true(RUN("rank", "2", "max-iter", "20") >= 0);
        error[i] = f.model.certificate.value;
        lode_bundle_free(&f.model);
    }
    assert_near(error[0], error[1], 1e-6 * error[0]);
    lode_array_free(&x);
}

static lode_array table(int64_t n, int64_t columns, const double *values)
{
    lode_array x = { 0 };
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, n, columns, &x));
    for (int64_t i = 0; i < n * columns; i++)
        lode_i_set2(&x, i / columns, i % columns, values[i]);
    return x;
}

static void few_and_constant_observations_are_fine(void **state)
{
    (void)state;
    lode_bundle b = { 0 };
    const lode_array *mean;
    lode_certificate found;
    take(table(1, 3, (double[]){ 0.5, 2, 9 }));
    assert_true(RUN("rank", "2") >= 0);
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    lode_bundle_free(&f.model);
    /* one index of mode 1; a constant value, which is what is predicted everywhere */
    lode_array x = observed(LODE_F64, 2, 40, 0, 1);
    for (int64_t i = 0; i < 40; i++)
        lode_i_set2(&x, i, 1, 3), lode_i_set2(&x, i, 2, 0.1);
    take(x);
    assert_true(RUN("rank", "2", "max-iter", "20") >= 0);
    assert_int_equal(member("index.1")->shape[0], 1);
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    lode_array q = table(2, 2, (double[]){ 0.3, 3, 50, -80 });
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&q), &b));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &b, "mean", &mean));
    for (int i = 0; i < 2; i++)
        assert_near(lode_i_get1(mean, i), 0.1, 1e-12);
    LODE_FREE(&b, &q);
}

/* Far beyond the indexes the mean of the values is predicted, with the variance of the prior. */
static void far_away_the_prior_is_predicted(void **state)
{
    (void)state;
    lode_bundle b = { 0 };
    const lode_array *mean;
    take(observed(LODE_F64, 2, 100, 0.1, 6));
    assert_true(RUN("rank", "2", "max-iter", "20") >= 0);
    lode_array q = table(1, 2, (double[]){ 1e5, 1e6 });
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&q), &b));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &b, "mean", &mean));
    assert_near(lode_i_get1(mean, 0), scalar("offset"), 1e-9);
    LODE_FREE(&b, &q);
}

static void values_with_queries_are_compared(void **state)
{
    (void)state;
    lode_bundle b = { 0 };
    double rmse, coverage;
    take(observed(LODE_F32, 2, 300, 0.1, 6));
    assert_true(RUN("rank", "2", "max-iter", "60") >= 0);
    lode_array q = observed(LODE_F64, 2, 500, 0.1, 9);
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&q), &b));
    assert_ok(&f.ctx, lode_bundle_f64(&f.ctx, &b, "rmse", &rmse));
    assert_ok(&f.ctx, lode_bundle_f64(&f.ctx, &b, "coverage", &coverage));
    assert_near(rmse, 0.11, 0.02);
    assert_near(coverage, 0.9, 0.06);
    LODE_FREE(&b, &q);
}

static void restarts_keep_the_best(void **state)
{
    (void)state;
    double evidence[2];
    for (int i = 0; i < 2; i++) {
        take(observed(LODE_F64, 2, 100, 0.1, 2));
        assert_true(RUN("rank", "2", "restarts", i ? "4" : "1", "max-iter", "15") >= 0);
        evidence[i] = scalar("evidence");
        lode_bundle_free(&f.model);
    }
    assert_true(evidence[1] >= evidence[0]);
}

/* Slices of the core orthogonal in the mean of their second moments, descending; largest values above 0. */
static void functions_come_in_normal_form(void **state)
{
    (void)state;
    take(observed(LODE_F64, 2, 200, 0.05, 2));
    assert_true(RUN("rank", "3", "max-iter", "300", "tol", "1e-7", "init", "random") >= 0);
    const lode_array *core = member("core"), *cov = member("core_cov");
    for (int k = 0; k < 2; k++) {
        const lode_array *u = member(k ? "factor.1" : "factor.0");
        double C[3][3] = { { 0 } };
        for (int64_t c = 0; c < 3; c++) {
            double most = 0;
            for (int64_t i = 0; i < u->shape[0]; i++)
                most = fabs(lode_i_get2(u, i, c)) > fabs(most) ? lode_i_get2(u, i, c) : most;
            assert_true(most > 0);
            for (int64_t b = 0; b < 3; b++)
                for (int64_t j = 0; j < 3; j++) {
                    const int64_t e = k ? 3 * j + c : 3 * c + j, g = k ? 3 * j + b : 3 * b + j;
                    C[c][b] += lode_i_get2(cov, e, g) +
                               lode_i_get2(core, e / 3, e % 3) * lode_i_get2(core, g / 3, g % 3);
                }
        }
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < a; b++) {
                assert_near(C[a][b], 0, 0.01 * C[0][0]); /* as far as the sweeps have settled */
                assert_le(C[a][a], C[b][b] * 1.01);
            }
    }
}

static void verify_catches_what_was_changed(void **state)
{
    (void)state;
    lode_certificate found;
    take(observed(LODE_F64, 2, 80, 0.1, 2));
    assert_true(RUN("rank", "2", "max-iter", "20") >= 0);
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found));
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    f.model.certificate.value *= 0.5;
    assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found), LODE_EVERIFY);
    f.model.certificate.value *= 2;
    lode_array *u = (lode_array *)(uintptr_t)member("factor.1");
    lode_i_set2(u, 5, 1, lode_i_get2(u, 5, 1) + 0.01);
    assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found), LODE_EVERIFY);
    assert_says(&f.ctx, "factor.1 is off by 0.01");
    lode_i_set2(u, 5, 1, lode_i_get2(u, 5, 1) - 0.01);
    lode_i_set2(&f.X, 3, 2, lode_i_get2(&f.X, 3, 2) + 0.1); /* another value than was fitted */
    assert_true(lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found) == LODE_EVERIFY);
}

static void refused(const char *says, lode_status status, lode_array x, const char *option,
                    const char *value)
{
    take(x);
    assert_status(&f.ctx, RUN(option, value), status);
    assert_says(&f.ctx, says);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    lode_bundle b = { 0 };
    lode_array x = observed(LODE_F64, 2, 30, 0.1, 2);
    lode_i_set2(&x, 17, 2, NAN);
    refused("row 17 of X has nan in column 2", LODE_EDOMAIN, x, "rank", "2");
    x = observed(LODE_F64, 2, 30, 0.1, 2);
    lode_i_set2(&x, 4, 1, INFINITY);
    refused("row 4 of X has inf in column 1", LODE_EDOMAIN, x, "rank", "2");
    refused("2 ranks for 3 modes", LODE_EPARAM, observed(LODE_F64, 3, 30, 0.1, 2), "rank", "2,3");
    refused("a core of 1331 values, 1024 at most", LODE_EPARAM, observed(LODE_F64, 3, 30, 0.1, 2),
            "rank", "11");
    refused("3 lengthscales for 2 modes", LODE_EPARAM, observed(LODE_F64, 2, 30, 0.1, 2),
            "lengthscale", "1,2,3");
    x = observed(LODE_F64, 2, 30, 0.1, 2);
    lode_i_set2(&x, 3, 2, 1e200);
    refused("values are up to 1e+200 in size", LODE_EDOMAIN, x, "holdout", "0");
    x = observed(LODE_F64, 2, 30, 0.1, 2);
    lode_i_set2(&x, 3, 0, 1.5e308), lode_i_set2(&x, 4, 0, -1.5e308);
    refused("indexes of mode 0 go from -1.5e+308", LODE_EDOMAIN, x, "rank", "2");
    x = (lode_array){ 0 }; /* what it held was taken */
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, 0, 4, &x));
    refused("no rows", LODE_ESHAPE, x, "rank", "2");
    x = (lode_array){ 0 };
    assert_ok(&f.ctx, lode_array_zeros(&f.ctx, LODE_F64, 2, (const int64_t[]){ 20, 1 }, &x));
    take(x);
    assert_status(&f.ctx, RUN("rank", "2"), LODE_ESHAPE);
    take(observed(LODE_F64, 2, 30, 0.1, 2));
    assert_true(RUN("rank", "1", "max-iter", "3") >= 0);
    x = table(1, 5, (double[]){ 1, 2, 3, 4, 5 });
    assert_status(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&x), &b), LODE_ESHAPE);
    assert_says(&f.ctx, "applies to a table of 2 columns, the indexes, or 3");
    lode_array_free(&x);
    x = table(1, 2, (double[]){ 1, NAN });
    assert_status(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&x), &b), LODE_EDOMAIN);
    assert_says(&f.ctx, "row 0 of the queries has nan in column 1");
    lode_array_free(&x);
    lode_bundle_free(&f.model);
    snprintf(f.model.meta.op, sizeof f.model.meta.op, "%s", OP.name);
    x = table(1, 2, (double[]){ 1, 1 });
    assert_true(lode_apply(&f.ctx, &f.model, lode_from_array(&x), &b) < 0);
    lode_array_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(functions_are_found_in_any_number_of_modes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(predictions_are_dense_regression, setup, teardown),
        cmocka_unit_test_setup_teardown(the_evidence_never_falls, setup, teardown),
        cmocka_unit_test_setup_teardown(damping_ends_at_the_same_place, setup, teardown),
        cmocka_unit_test_setup_teardown(units_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(few_and_constant_observations_are_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(far_away_the_prior_is_predicted, setup, teardown),
        cmocka_unit_test_setup_teardown(values_with_queries_are_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(restarts_keep_the_best, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_come_in_normal_form, setup, teardown),
        cmocka_unit_test_setup_teardown(verify_catches_what_was_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_requests_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
