/* procrustes: against planted rotations, exhaustive search over angles, shape distances by hand, and steps that must not
 * help. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"

static lode_array normal(int64_t n, int64_t p, uint64_t site)
{
    lode_array X = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "proc", site), LODE_F64, n, p, &X));
    return X;
}

static lode_array orthogonal(int64_t p, uint64_t site)
{
    lode_array A = normal(p, p, site), Q = { 0 }, R = { 0 };
    assert_ok(&ctx, lode_i_qr(&ctx, &A, &Q, &R));
    LODE_FREE(&A, &R);
    return Q;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static lode_bundle align(const lode_procrustes_opts *o, const lode_array *X, const lode_array *Y)
{
    lode_bundle b = { 0 };
    assert_ok(&ctx, lode_procrustes(&ctx, o, lode_from_array(X),
                                    Y ? lode_from_array(Y) : lode_none(), &b));
    snprintf(b.meta.op, sizeof b.meta.op, "procrustes");
    return b;
}

static double squares(const lode_array *residuals)
{
    double norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, residuals, &norm));
    return norm * norm;
}

static void what_was_turned_comes_back(void **state)
{
    (void)state;
    lode_array X = normal(40, 5, 1), Q = orthogonal(5, 2), Y = { 0 }, back = { 0 };
    double off = 0;
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &X, &Q, &Y));
    assert_ok(&ctx, lode_i_scale(&ctx, 3, &Y));
    for (int64_t i = 0; i < 40; i++)
        for (int64_t j = 0; j < 5; j++)
            lode_i_set2(&Y, i, j, lode_i_get2(&Y, i, j) + 10 * (double)j);
    lode_procrustes_opts o = lode_procrustes_defaults();
    o.scaling = true;
    lode_bundle b = align(&o, &X, &Y);
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&b, "rotation"), &Q, &off));
    assert_le(off, 1e-12);
    assert_near(lode_i_get1(member(&b, "scale"), 0), 3, 1e-12);
    for (int64_t j = 0; j < 5; j++)
        assert_near(lode_i_get1(member(&b, "shift"), j), 10 * (double)j, 1e-11);
    assert_le(squares(member(&b, "residuals")), 1e-20);
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &back));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &back, &X, &off));
    assert_le(off, 1e-11);
    LODE_FREE(&X, &Q, &Y, &back, &b);
}

/* In the plane all rotations, and all reflections, are one angle. */
static void no_angle_is_better(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        lode_array X = normal(12, 2, 10 + seed), Y = normal(12, 2, 30 + seed);
        for (int only = 0; only < 2; only++) {
            lode_procrustes_opts o = lode_procrustes_defaults();
            o.translation = false, o.reflection = !only;
            lode_bundle b = align(&o, &X, &Y);
            double least = INFINITY;
            for (int mirror = 0; mirror < 2 - only; mirror++)
                for (int a = 0; a < 3600; a++) {
                    const double c = cos(a * 3.14159265358979 / 1800),
                                 s = sin(a * 3.14159265358979 / 1800), f = mirror ? -1 : 1;
                    double sum = 0;
                    for (int64_t i = 0; i < 12; i++) {
                        const double x = lode_i_get2(&X, i, 0), y = f * lode_i_get2(&X, i, 1);
                        sum += pow(c * x - s * y - lode_i_get2(&Y, i, 0), 2) +
                               pow(s * x + c * y - lode_i_get2(&Y, i, 1), 2);
                    }
                    least = fmin(least, sum);
                }
            const double got = squares(member(&b, "residuals"));
            assert_le(got, least * (1 + 1e-12));
            assert_near(got, least, 1e-4 * least);
            lode_bundle_free(&b);
        }
        LODE_FREE(&X, &Y);
    }
}

/* With weights: as rows that come again. */
static void weights_are_rows_that_come_again(void **state)
{
    (void)state;
    lode_array X = normal(20, 3, 50), Y = normal(20, 3, 51), w = { 0 }, index = { 0 }, X2 = { 0 },
               Y2 = { 0 };
    double off = 0;
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 20, &w));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 29, &index));
    int64_t at = 0;
    for (int64_t i = 0; i < 20; i++) {
        lode_i_set1(&w, i, i % 2 ? 2 : i == 0 ? 0 : 1);
        for (int64_t k = 0; k < (i % 2 ? 2 : i == 0 ? 0 : 1); k++)
            lode_i_set1(&index, at++, (double)i);
    }
    assert_int_equal(at, 29);
    assert_ok(&ctx, lode_i_take(&ctx, &X, 0, &index, &X2));
    assert_ok(&ctx, lode_i_take(&ctx, &Y, 0, &index, &Y2));
    lode_procrustes_opts o = lode_procrustes_defaults(), p = o;
    o.weights = &w, o.scaling = p.scaling = true;
    lode_bundle a = align(&o, &X, &Y), b = align(&p, &X2, &Y2);
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, "rotation"), member(&b, "rotation"), &off));
    assert_le(off, 1e-12);
    assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, "shift"), member(&b, "shift"), &off));
    assert_le(off, 1e-12);
    assert_near(lode_i_get1(member(&a, "scale"), 0), lode_i_get1(member(&b, "scale"), 0), 1e-12);
    LODE_FREE(&X, &Y, &w, &index, &X2, &Y2, &a, &b);
}

static void widths_and_ranks_may_differ(void **state)
{
    (void)state;
    static const int64_t widths[][3] = { { 3, 5, 3 }, { 5, 3, 3 }, { 4, 4, 2 }, { 1, 1, 1 } };
    for (int k = 0; k < 4; k++) {
        lode_array X = normal(30, widths[k][0], 60), Y = normal(30, widths[k][1], 61), G = { 0 };
        lode_procrustes_opts o = lode_procrustes_defaults();
        o.rank = lode_rank(widths[k][2]);
        lode_bundle b = align(&o, &X, &Y);
        double norm = 0;
        assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, member(&b, "rotation"), &G));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &G, &norm)); /* a projector of that rank */
        assert_near(norm * norm, (double)widths[k][2], 1e-10);
        LODE_FREE(&X, &Y, &G, &b);
    }
}

static lode_array stack(int64_t n, int64_t p, int64_t k, double noise)
{
    lode_array S = { 0 }, C = normal(n, p, 70), Y = { 0 }, to = { 0 }, view = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 3, (const int64_t[]){ n, p, k }, &S));
    for (int64_t i = 0; i < k; i++) {
        lode_array Q = orthogonal(p, 80 + (uint64_t)i), E = normal(n, p, 90 + (uint64_t)i);
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &C, &Q, &Y));
        assert_ok(&ctx, lode_i_scale(&ctx, 1 + 0.5 * (double)i, &Y));
        assert_ok(&ctx, lode_i_axpy(&ctx, noise, &E, &Y));
        assert_ok(&ctx, lode_array_slice(&ctx, &S, 2, i, i + 1, 1, &to));
        assert_ok(&ctx, lode_array_reshape(&ctx, &Y, 3, (const int64_t[]){ n, p, 1 }, &view));
        assert_ok(&ctx, lode_array_copy_into(&ctx, &view, &to));
        LODE_FREE(&Q, &E, &to, &view);
    }
    LODE_FREE(&C, &Y);
    return S;
}

static void several_meet_where_they_were_the_same(void **state)
{
    (void)state;
    lode_array S = stack(25, 3, 4, 0);
    lode_procrustes_opts o = lode_procrustes_defaults();
    o.scaling = true;
    lode_bundle b = align(&o, &S, NULL);
    assert_le(lode_i_get1(member(&b, "residuals"), 0), 1e-10);
    for (int64_t i = 1; i < 4; i++)
        assert_near(lode_i_get1(member(&b, "scale"), i) * (1 + 0.5 * (double)i) /
                        lode_i_get1(member(&b, "scale"), 0),
                    1, 1e-12);
    LODE_FREE(&S, &b);
}

/* The sum of squares never rises, ends where no configuration is nearer to the others' mean turned anew, and for two
 * is half of that of one on the other. */
static void several_never_get_worse(void **state)
{
    (void)state;
    for (int scaled = 0; scaled < 2; scaled++) {
        lode_array S = stack(20, 3, 5, 1), back = { 0 };
        lode_procrustes_opts o = lode_procrustes_defaults();
        o.scaling = scaled, o.tol = 1e-14;
        lode_bundle b = align(&o, &S, NULL);
        const lode_array *trace = member(&b, "trace");
        for (int64_t i = 1; i < trace->shape[0]; i++)
            assert_le(lode_i_get1(trace, i), lode_i_get1(trace, i - 1) + 1e-15);
        assert_le(b.certificate.value, 1e-6);
        double off = 0;
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &back));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &back, &S, &off));
        assert_le(off, 1e-10);
        LODE_FREE(&S, &back, &b);
    }
    lode_array S = stack(20, 3, 2, 1), first = { 0 }, second = { 0 }, flat = { 0 };
    lode_procrustes_opts o = lode_procrustes_defaults();
    lode_bundle b = align(&o, &S, NULL);
    assert_ok(&ctx, lode_array_slice(&ctx, &S, 2, 0, 1, 1, &flat));
    assert_ok(&ctx, lode_array_reshape(&ctx, &flat, 2, S.shape, &first));
    assert_ok(&ctx, lode_array_slice(&ctx, &S, 2, 1, 2, 1, &flat));
    assert_ok(&ctx, lode_array_reshape(&ctx, &flat, 2, S.shape, &second));
    lode_bundle one = align(&o, &second, &first);
    assert_near(2 * squares(member(&b, "residuals")), squares(member(&one, "residuals")) / 2,
                1e-10);
    LODE_FREE(&S, &first, &second, &flat, &b, &one);
}

static void wrong_requests_are_named(void **state)
{
    (void)state;
    lode_array X = normal(10, 3, 100), Y = normal(10, 2, 101), S = stack(6, 2, 3, 1);
    lode_procrustes_opts o = lode_procrustes_defaults();
    lode_bundle b = { 0 };
    const lode_value x = lode_from_array(&X), y = lode_from_array(&Y), s = lode_from_array(&S);
    assert_status(&ctx, lode_procrustes(&ctx, &o, x, lode_none(), &b), LODE_EPARAM);
    assert_says(&ctx, "give Y");
    assert_status(&ctx, lode_procrustes(&ctx, &o, s, y, &b), LODE_ESHAPE);
    o.rank = lode_rank(3);
    assert_status(&ctx, lode_procrustes(&ctx, &o, x, y, &b), LODE_EPARAM);
    assert_says(&ctx, "smaller width 2");
    o = lode_procrustes_defaults();
    o.reflection = false;
    assert_status(&ctx, lode_procrustes(&ctx, &o, x, y, &b), LODE_EUSAGE);
    o.reflection = true, o.scaling = true;
    lode_i_set2(&Y, 3, 1, NAN);
    assert_status(&ctx, lode_procrustes(&ctx, &o, x, y, &b), LODE_EDOMAIN);
    assert_says(&ctx, "Y[3,1] is nan");
    lode_i_set2(&Y, 3, 1, 0);
    assert_ok(&ctx, lode_i_fill(&ctx, &X, 2));
    assert_status(&ctx, lode_procrustes(&ctx, &o, x, y, &b), LODE_EDOMAIN);
    assert_says(&ctx, "one point");
    assert_int_equal(b.count, 0);
    LODE_FREE(&X, &Y, &S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_turned_comes_back),
        cmocka_unit_test(no_angle_is_better),
        cmocka_unit_test(weights_are_rows_that_come_again),
        cmocka_unit_test(widths_and_ranks_may_differ),
        cmocka_unit_test(several_meet_where_they_were_the_same),
        cmocka_unit_test(several_never_get_worse),
        cmocka_unit_test(wrong_requests_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
