/* pod: singular values and projections against a full decomposition, by rows and columns, complex, weighted, with a
 * mass matrix; errors below the root of rounding; invariance of the partition; verbs; requests refused. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

static double draw(uint64_t seed, uint64_t i)
{
    lode_ctx key = { .seed = seed };
    return lode_i_random_uniform(lode_i_stream(&key, "test-pod", 0), i);
}

/* Pulses at N places, of random size and sign. */
static lode_array pulses(int64_t N, int64_t n, bool scaled)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, N, n, &X));
    for (int64_t i = 0; i < N; i++) {
        const double at = 0.1 + 0.8 * draw(1, (uint64_t)i),
                     size = scaled ? (i % 3 ? -1 : 1) * exp(8 * draw(2, (uint64_t)i)) : 1;
        for (int64_t j = 0; j < n; j++)
            lode_i_set2(&X, i, j, size * exp(-pow(((double)j / (double)n - at) / 0.08, 2)));
    }
    return X;
}

static lode_status fit(const lode_pod_opts *o, lode_value X, lode_value M, lode_bundle *b)
{
    const lode_status st = lode_pod(&ctx, o, X, M, b);
    snprintf(b->meta.op, sizeof b->meta.op, "pod");
    lode_i_free(b->meta.options);
    b->meta.options = NULL;
    if (st >= 0)
        assert_ok(&ctx, lode_i_options_json(&ctx, &lode_op_pod, o, &b->meta.options));
    return st;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static lode_array part(const lode_array *X, const lode_array *labels, int64_t c)
{
    lode_array index = { 0 }, rows = { 0 };
    int64_t size = 0;
    for (int64_t i = 0; i < labels->shape[0]; i++)
        size += (int64_t)lode_i_get1(labels, i) == c;
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, size, &index));
    for (int64_t i = 0, at = 0; i < labels->shape[0]; i++)
        if ((int64_t)lode_i_get1(labels, i) == c)
            lode_i_set1(&index, at++, (double)i);
    assert_ok(&ctx, lode_i_take(&ctx, X, 0, &index, &rows));
    lode_array_free(&index);
    return rows;
}

/* Largest difference of singular values of parts from those of full decompositions, over the largest. */
static double values_off(const lode_array *X, const lode_bundle *b)
{
    const lode_array *offsets = member(b, "offsets"), *s = member(b, "s");
    double off = 0;
    for (int64_t c = 0; c + 1 < offsets->shape[0]; c++) {
        lode_array rows = part(X, member(b, "labels"), c), all = { 0 };
        const int64_t from = (int64_t)lode_i_get1(offsets, c),
                      to = (int64_t)lode_i_get1(offsets, c + 1);
        assert_ok(&ctx, lode_i_svd(&ctx, &rows, to - from, NULL, &all, NULL));
        for (int64_t j = from; j < to; j++)
            off = fmax(off, fabs(lode_i_get1(&all, j - from) - lode_i_get1(s, j)) /
                                lode_i_get1(&all, 0));
        lode_array_free(&rows), lode_array_free(&all);
    }
    return off;
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

static void bases_are_those_of_the_parts(void **state)
{
    (void)state;
    lode_array X = pulses(60, 200, false), turned = lode_i_transposed(&X), T = { 0 };
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle b = { 0 }, by_columns = { 0 };
    o.clusters = 4, o.rank = lode_rank(5);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b));
    assert_le(values_off(&X, &b), 1e-12);
    assert_near(residual(&X, &b), b.certificate.value, 1e-12);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
    assert_ok(&ctx, lode_array_cast(&ctx, &turned, LODE_F64, &T));
    o.axis = 1;
    assert_ok(&ctx, fit(&o, lode_from_array(&T), lode_none(), &by_columns));
    assert_near(residual(&T, &by_columns), b.certificate.value, 1e-12);
    static const char *const same[] = { "labels", "medoids", "s", "basis", "codes", "errors" };
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        double off = 0, size = 0;
        assert_ok(&ctx,
                  lode_i_diff_fro(&ctx, member(&b, same[k]), member(&by_columns, same[k]), &off));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, member(&b, same[k]), &size));
        assert_le(off, 1e-10 * size);
    }
    lode_bundle_free(&b), lode_bundle_free(&by_columns);
    lode_array_free(&X), lode_array_free(&T);
}

/* Squares drown what is below 1e-8: these errors take a second and a third look. */
static void small_errors_are_met(void **state)
{
    (void)state;
    lode_array X = pulses(50, 150, true);
    lode_pod_opts o = lode_pod_defaults();
    for (int e = 2; e <= 13; e++) {
        lode_bundle b = { 0 };
        o.clusters = e % 2 ? 3 : 1, o.center = e % 3 == 0;
        o.error = lode_error_rel(pow(10, -e));
        assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b));
        assert_le(residual(&X, &b), pow(10, -e));
        assert_near(residual(&X, &b), b.certificate.value, 1e-14);
        if (!o.center) { /* no fewer columns would do: those left out alone exceed the error */
            const lode_array *offsets = member(&b, "offsets"), *s = member(&b, "s");
            for (int64_t c = 0; c < o.clusters; c++) {
                lode_array rows = part(&X, member(&b, "labels"), c);
                double norm = 0;
                assert_ok(&ctx, lode_i_norm_fro(&ctx, &rows, &norm));
                const int64_t to = (int64_t)lode_i_get1(offsets, c + 1);
                assert_le(0, to - 1 - (int64_t)lode_i_get1(offsets, c));
                const double last = lode_i_get1(s, to - 1);
                assert_le(pow(10, -e) * norm * 1e-3, last);
                lode_array_free(&rows);
            }
            assert_le(values_off(&X, &b), 1e-13);
        }
        assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
}

static void the_partition_sees_no_scale(void **state)
{
    (void)state;
    lode_array X = pulses(70, 120, false), Y = pulses(70, 120, true);
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle a = { 0 }, b = { 0 };
    double off = 0;
    o.clusters = 5, o.rank = lode_rank(3);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &a));
    assert_ok(&ctx, fit(&o, lode_from_array(&Y), lode_none(), &b));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, "labels"), member(&b, "labels"), &off));
    assert_true(off == 0);
    lode_bundle_free(&a);
    o.partition = LODE_POD_EUCLID; /* which does */
    assert_ok(&ctx, fit(&o, lode_from_array(&Y), lode_none(), &a));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, "labels"), member(&b, "labels"), &off));
    assert_true(off > 0);
    assert_ok(&ctx, lode_verify(&ctx, &a, lode_from_array(&Y), &a.certificate));
    lode_bundle_free(&a);
    o.partition = LODE_POD_ORDER;
    assert_ok(&ctx, fit(&o, lode_from_array(&Y), lode_none(), &a));
    for (int64_t i = 0; i < 70; i++)
        assert_int_equal(lode_i_get1(member(&a, "labels"), i), i / 14);
    assert_ok(&ctx, lode_verify(&ctx, &a, lode_from_array(&Y), &a.certificate));
    lode_bundle_free(&a), lode_bundle_free(&b);
    lode_array_free(&X), lode_array_free(&Y);
}

/* A mass matrix L L^T: the decomposition of X L in the plain inner product. */
static void mass_matrix_and_weights(void **state)
{
    (void)state;
    enum { N = 30, n = 40 };
    lode_array X = pulses(N, n, false), L = { 0 }, M = { 0 }, XL = { 0 }, w = { 0 }, d = { 0 };
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle a = { 0 }, b = { 0 }, c = { 0 };
    o.clusters = 3, o.rank = lode_rank(4);
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "L", 0), LODE_F64, n, n, &L));
    for (int64_t i = 0; i < n; i++)
        lode_i_set2(&L, i, i, lode_i_get2(&L, i, i) + 12);
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_N, &L, &M));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &X, &L, &XL));
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_from_array(&M), &a));
    assert_ok(&ctx, fit(&o, lode_from_array(&XL), lode_none(), &b));
    static const char *const same[] = { "labels", "medoids", "s", "distance", "errors" };
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        double off = 0, size = 0;
        assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, same[k]), member(&b, same[k]), &off));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, member(&b, same[k]), &size));
        assert_le(off, 1e-9 * size);
    }
    assert_near(residual(&X, &a), a.certificate.value, 1e-12);
    assert_ok(&ctx, lode_verify(&ctx, &a, lode_from_array(&X), &a.certificate));
    lode_bundle_free(&a), lode_bundle_free(&b);
    /* weights: the diagonal */
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, n, &w));
    assert_ok(&ctx, lode_i_fill(&ctx, &M, 0));
    for (int64_t j = 0; j < n; j++) {
        lode_i_set1(&w, j, draw(7, (uint64_t)j));
        lode_i_set2(&M, j, j, lode_i_get1(&w, j));
    }
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_from_array(&M), &a));
    o.weights = &w;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &c));
    assert_ok(&ctx, lode_verify(&ctx, &c, lode_from_array(&X), &c.certificate));
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        double off = 0, size = 0;
        assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, same[k]), member(&c, same[k]), &off));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, member(&c, same[k]), &size));
        assert_le(off, 1e-9 * size);
    }
    lode_bundle_free(&a), lode_bundle_free(&c);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_from_array(&M), &a), LODE_EUSAGE);
    lode_i_set1(&w, 3, -1);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_none(), &a), LODE_EDOMAIN);
    assert_says(&ctx, "weights[3]");
    o.weights = NULL;
    lode_i_set2(&M, 4, 2, 0.5);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_from_array(&M), &a), LODE_EDOMAIN);
    assert_says(&ctx, "M[4,2] is 0.5, M[2,4] 0");
    lode_i_set2(&M, 4, 2, 0), lode_i_set2(&M, 20, 20, -300);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_from_array(&M), &a), LODE_EDOMAIN);
    assert_says(&ctx, "not positive definite");
    lode_array_free(&X), lode_array_free(&L), lode_array_free(&M), lode_array_free(&XL);
    lode_array_free(&w), lode_array_free(&d);
}

static void complex_and_single(void **state)
{
    (void)state;
    lode_array X = { 0 }, Y = { 0 }, d = { 0 };
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle a = { 0 }, b = { 0 };
    double off = 0;
    o.clusters = 3, o.rank = lode_rank(4);
    static const lode_dtype types[] = { LODE_C128, LODE_C64, LODE_F32 };
    for (int k = 0; k < 3; k++)
        for (int64_t axis = 0; axis < 2; axis++) {
            const double eps = lode_i_epsilon(types[k]);
            o.axis = axis;
            assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "X", 0), types[k], 24, 31, &X));
            assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &a));
            assert_int_equal(member(&a, "basis")->dtype, types[k]);
            if (axis == 0)
                assert_le(values_off(&X, &a), 20 * eps);
            assert_near(residual(&X, &a), a.certificate.value, 20 * eps);
            assert_ok(&ctx, lode_verify(&ctx, &a, lode_from_array(&X), &a.certificate));
            lode_array_free(&Y);
            assert_ok(&ctx, lode_array_cast(&ctx, &X, types[k], &Y));
            if (types[k] != LODE_F32 && axis == 0) { /* phases of the snapshots do not matter */
                lode_array_free(&d);
                assert_ok(&ctx,
                          lode_i_randn(&ctx, lode_i_stream(&ctx, "d", 0), LODE_C128, 24, 1, &d));
                lode_array flat = { 0 };
                const int64_t rows = 24;
                assert_ok(&ctx, lode_array_reshape(&ctx, &d, 1, &rows, &flat));
                assert_ok(&ctx, lode_i_scale_rows(&ctx, &Y, &flat));
                assert_ok(&ctx, fit(&o, lode_from_array(&Y), lode_none(), &b));
                assert_ok(&ctx,
                          lode_i_diff_fro(&ctx, member(&a, "labels"), member(&b, "labels"), &off));
                assert_true(off == 0);
                lode_array_free(&flat);
                lode_bundle_free(&b);
            }
            lode_bundle_free(&a);
            lode_array_free(&X);
        }
    lode_array_free(&Y), lode_array_free(&d);
}

/* New snapshots: the nearest medoid, and projected on its basis; codes give them back. */
static void new_snapshots(void **state)
{
    (void)state;
    lode_array X = pulses(60, 100, true), Y = pulses(61, 100, false), back = { 0 };
    lode_array one = lode_i_rows(&Y, 60, 61), flat = { 0 };
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle b = { 0 }, codes = { 0 };
    double off = 0, norm = 0;
    const int64_t n = 100;
    o.clusters = 4, o.rank = lode_rank(6);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b));
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&X), &codes));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&b, "labels"), member(&codes, "labels"), &off));
    assert_true(off == 0);
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&b, "codes"), member(&codes, "codes"), &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, member(&b, "codes"), &norm));
    assert_le(off, 1e-12 * norm);
    lode_bundle_free(&codes);
    assert_ok(&ctx, lode_array_reshape(&ctx, &one, 1, &n, &flat));
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&flat), &codes));
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_from_array(member(&codes, "codes")), NULL, &back));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &one, &back, &off));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &one, &norm));
    assert_near(off / norm, lode_i_get1(member(&codes, "errors"), 0), 1e-12);
    assert_le(off / norm, 0.1);
    lode_bundle_free(&codes);
    lode_array_free(&one);
    one = lode_i_cols(&Y, 0, 99);
    assert_status(&ctx, lode_apply(&ctx, &b, lode_from_array(&one), &codes), LODE_ESHAPE);
    assert_says(&ctx, "99 values, those of the model 100");
    lode_bundle_free(&b), lode_bundle_free(&codes);
    lode_array_free(&X), lode_array_free(&Y), lode_array_free(&back), lode_array_free(&one);
    lode_array_free(&flat);
}

static void degenerate_snapshots(void **state)
{
    (void)state;
    lode_array X = pulses(12, 20, false), row = { 0 }, zero = { 0 };
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle b = { 0 };
    row = lode_i_rows(&X, 5, 6);
    assert_ok(&ctx, lode_i_fill(&ctx, &row, 0)); /* a snapshot of zeros has no direction */
    o.clusters = 3, o.rank = lode_rank(2);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b));
    assert_true(lode_i_get1(member(&b, "errors"), 5) == 0);
    assert_true(lode_i_get1(member(&b, "labels"), 5) == 0);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
    lode_bundle_free(&b);
    o.clusters = 12, o.rank = lode_rank(1);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b), LODE_EPARAM);
    assert_says(&ctx, "only 11 snapshots are not zero");
    o.clusters = 13;
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b), LODE_EPARAM);
    o = lode_pod_defaults();
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 4, 6 }, &zero));
    assert_ok(&ctx, fit(&o, lode_from_array(&zero), lode_none(), &b));
    assert_int_equal(member(&b, "basis")->shape[1], 0);
    assert_true(b.certificate.value == 0);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&zero), &b.certificate));
    lode_bundle_free(&b);
    /* rank 1 data: asked for 3 columns, there is one */
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 6; j++)
            lode_i_set2(&zero, i, j, 1e200 * (double)(i + 1) * (double)(j - 2));
    o.rank = lode_rank(3);
    assert_ok(&ctx, fit(&o, lode_from_array(&zero), lode_none(), &b));
    assert_int_equal(member(&b, "basis")->shape[1], 1);
    assert_le(b.certificate.value, 1e-14);
    lode_bundle_free(&b);
    o.rank = lode_rank(5);
    assert_status(&ctx, fit(&o, lode_from_array(&zero), lode_none(), &b), LODE_ESHAPE);
    lode_i_set2(&zero, 2, 5, NAN);
    o.rank = lode_rank(1);
    assert_status(&ctx, fit(&o, lode_from_array(&zero), lode_none(), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[2,5] is nan");
    o.rank = (lode_rank_spec){ 0 }, o.error = lode_error_rel(1e-6), o.max_rank.given = true;
    o.max_rank.value = 2;
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b), LODE_MISSED);
    assert_int_equal(member(&b, "basis")->shape[1], 2);
    o.rank = lode_rank(1);
    assert_status(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b), LODE_EUSAGE);
    lode_bundle_free(&b);
    lode_array_free(&X), lode_array_free(&row), lode_array_free(&zero);
}

/* Labels and offsets that name clusters and columns which are not there: refused by each verb, pictures too. */
static void damaged_results_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "labels", "offsets", "medoids" };
    lode_array X = pulses(30, 80, false);
    lode_pod_opts o = lode_pod_defaults();
    lode_bundle b = { 0 };
    lode_certificate found;
    o.clusters = 3, o.rank = lode_rank(2);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), lode_none(), &b));
    for (int k = 0; k < 3; k++) {
        lode_array *a = (lode_array *)(uintptr_t)member(&b, names[k]), y = { 0 };
        lode_figure *figure = NULL;
        const double was = lode_i_get1(a, 1);
        lode_i_set1(a, 1, 1e6);
        assert_ok(&ctx, lode_figure_new(&ctx, &figure));
        assert_status(&ctx, lode_plot(&ctx, &b, lode_none(), figure), LODE_EFORMAT);
        assert_status(&ctx, lode_verify(&ctx, &b, lode_none(), &found), LODE_EFORMAT);
        assert_status(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &y), LODE_EFORMAT);
        lode_figure_free(&figure);
        lode_i_set1(a, 1, was);
    }
    lode_array_free(&X), lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bases_are_those_of_the_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(small_errors_are_met, setup, teardown),
        cmocka_unit_test_setup_teardown(the_partition_sees_no_scale, setup, teardown),
        cmocka_unit_test_setup_teardown(mass_matrix_and_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(complex_and_single, setup, teardown),
        cmocka_unit_test_setup_teardown(new_snapshots, setup, teardown),
        cmocka_unit_test_setup_teardown(degenerate_snapshots, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_results_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
