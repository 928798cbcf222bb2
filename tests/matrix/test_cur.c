/* cur: against least squares and pseudoinverses from LAPACK's SVD, entries of A, brute force. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };

static lode_array decaying(lode_dtype dtype, int64_t m, int64_t n, int64_t r, double ratio)
{
    lode_array L = { 0 }, R = { 0 }, s = { 0 }, A = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 1), dtype, m, r, &L));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 2), dtype, r, n, &R));
    assert_ok(&ctx, lode_i_vector_new(&ctx, lode_i_real_of(dtype), r, &s));
    for (int64_t i = 0; i < r; i++)
        lode_i_set1(&s, i, pow(ratio, (double)i));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &L, &s));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &L, &R, &A));
    LODE_FREE(&L, &R, &s);
    return A;
}

static lode_cur_opts rank(int64_t k)
{
    lode_cur_opts o = lode_cur_defaults();
    o.rank = lode_rank(k);
    return o;
}

static lode_cur_opts of(lode_cur_side range, lode_cur_side corange, int64_t k)
{
    lode_cur_opts o = rank(k);
    o.range = range, o.corange = corange;
    return o;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static double norm_of(const lode_array *a)
{
    double norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, a, &norm));
    return norm;
}

static double diff(const lode_array *a, const lode_array *b)
{
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &off));
    return off;
}

static lode_array product(const lode_bundle *b)
{
    lode_array fg = { 0 }, y = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, member(b, "F"), member(b, "G"), &fg));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &fg, member(b, "H"), &y));
    lode_array_free(&fg);
    return y;
}

static void every_pair_is_exact_at_the_rank_and_knows_its_error(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int f = 0; f < 5; f++)
            for (int h = 0; h < 5; h++)
                for (int low = 0; low < 2 && !(f == 4 && h == 4); low++) {
                    const double eps = lode_i_epsilon(types[t]);
                    lode_array A = decaying(types[t], 50, 40, low ? 6 : 40, low ? 1 : 0.7);
                    lode_bundle b = { 0 };
                    const lode_cur_opts o = of((lode_cur_side)f, (lode_cur_side)h, 6);
                    assert_ok(&ctx, lode_cur(&ctx, &o, lode_from_array(&A), &b));
                    lode_array B = product(&b);
                    const double error = diff(&A, &B), norm = norm_of(&A);
                    assert_near(b.certificate.absolute, error, 1e-3 * error + 4096 * eps * norm);
                    if (low)
                        assert_le(error, 4096 * eps * norm);
                    LODE_FREE(&A, &B, &b);
                }
}

/* Every choice gives distinct numbers, and F and H are those columns and rows, entry for entry. */
static void columns_and_rows_are_those_of_the_matrix(void **state)
{
    (void)state;
    for (int c = 0; c < 3; c++)
        for (int t = 1; t < 4; t += 2) {
            lode_array A = decaying(types[t], 60, 45, 45, 0.8), want = { 0 };
            lode_bundle b = { 0 };
            lode_cur_opts o = rank(8);
            o.choice = (lode_cur_choice)c;
            assert_ok(&ctx, lode_cur(&ctx, &o, lode_from_array(&A), &b));
            for (int axis = 0; axis < 2; axis++) {
                const lode_array *at = member(&b, axis ? "cols" : "rows");
                assert_int_equal(at->dtype, LODE_I64);
                for (int64_t i = 0; i < 8; i++)
                    for (int64_t j = 0; j < i; j++)
                        assert_true(fabs(lode_i_get1(at, i) - lode_i_get1(at, j)) > 0.5);
                assert_ok(&ctx, lode_i_take(&ctx, &A, axis, at, &want));
                assert_true(!(diff(&want, member(&b, axis ? "F" : "H")) > 0));
            }
            LODE_FREE(&A, &want, &b);
        }
}

/* ||A - C U R|| is least for U = C^+ A R^+: a step either way makes it larger. */
static void the_best_core_is_the_best(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 50, 40, 40, 0.7), P = { 0 }, Q = { 0 }, y = { 0 }, G = { 0 };
    lode_bundle b = { 0 };
    const lode_cur_opts o = rank(7);
    assert_ok(&ctx, lode_cur(&ctx, &o, lode_from_array(&A), &b));
    assert_ok(&ctx, lode_i_pinv(&ctx, member(&b, "F"), 1e-13, &P, NULL));
    assert_ok(&ctx, lode_i_pinv(&ctx, member(&b, "H"), 1e-13, &Q, NULL));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &P, &A, &y));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &y, &Q, &G));
    assert_le(diff(&G, member(&b, "G")), 1e-9 * norm_of(&G));
    LODE_FREE(&A, &P, &Q, &y, &G, &b);
}

/* Columns of V with one entry each that is not small: DEIM finds these. */
static void deim_points_are_where_the_vectors_are(void **state)
{
    (void)state;
    static const int64_t at[] = { 11, 3, 17, 8 };
    for (int t = 1; t < 4; t += 2) {
        lode_array V = { 0 }, index = { 0 };
        assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "test", 3), types[t], 20, 4, &V));
        assert_ok(&ctx, lode_i_scale(&ctx, 1e-3, &V));
        for (int64_t j = 0; j < 4; j++)
            for (int64_t i = 0; i <= j;
                 i++) /* the earlier points too, which elimination takes out */
                lode_i_set2(&V, at[i], j, i == j ? 1 : 3);
        assert_ok(&ctx, lode_i_deim(&ctx, &V, &index));
        for (int64_t j = 0; j < 4; j++)
            assert_true(lode_i_get1(&index, j) == (double)at[j]);
        LODE_FREE(&V, &index);
    }
}

static void sparse_factors_stay_sparse(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { 80, 60 } };
    lode_array dense = { 0 }, whole = { 0 }, part = { 0 }, view = { 0 };
    lode_bundle b = { 0 }, codes = { 0 };
    lode_certificate found;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ COUNT, 2 }, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, COUNT, &s.values));
    for (int64_t k = 0; k < COUNT; k++) {
        const int64_t at = k * 7 % 4800;
        lode_i_set2(&s.indices, k, 0, (double)(at / 60));
        lode_i_set2(&s.indices, k, 1, (double)(at % 60));
        lode_i_set1(&s.values, k, cos((double)(k * k)));
    }
    assert_ok(&ctx, lode_sparse_to_dense(&ctx, &s, &dense));
    lode_call call;
    assert_ok(&ctx, lode_call_init(&ctx, &lode_op_cur, &call));
    assert_ok(&ctx, lode_call_set(&ctx, &call, "rank", "12"));
    assert_ok(&ctx, lode_call_input(&ctx, &call, NULL, lode_from_sparse(&s)));
    assert_ok(&ctx, lode_call_run(&ctx, &call, &b));
    lode_call_free(&call);
    assert_int_equal(lode_bundle_get(&b, "F").kind, LODE_SPARSE);
    assert_int_equal(lode_bundle_get(&b, "H").kind, LODE_SPARSE);
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &whole));
    assert_near(b.certificate.absolute, diff(&whole, &dense), 1e-6 * norm_of(&dense));
    lode_part p = { .ndim = 2, .start = { 10, 5 }, .count = { 20, 30 } };
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), &p, &part));
    lode_array rows = lode_i_rows(&whole, 10, 30);
    view = lode_i_cols(&rows, 5, 35);
    assert_le(diff(&part, &view), 1e-12 * norm_of(&whole));
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_sparse(&s), &found));
    lode_array_free(&whole);
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_sparse(&s), &codes));
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_bundle_get(&codes, "codes"), NULL, &whole));
    assert_near(b.certificate.absolute, diff(&whole, &dense), 1e-6 * norm_of(&dense));
    LODE_FREE(&s, &dense, &whole, &part, &view, &rows, &b, &codes);
}

static void errors_asked_for_are_met(void **state)
{
    (void)state;
    static const lode_cur_side sides[][2] = { { LODE_CUR_SELECT, LODE_CUR_SELECT },
                                              { LODE_CUR_SELECT, LODE_CUR_FIT },
                                              { LODE_CUR_SKETCH, LODE_CUR_SKETCH },
                                              { LODE_CUR_QR, LODE_CUR_FIT } };
    lode_array A = decaying(LODE_F64, 90, 70, 70, 0.8);
    for (int i = 0; i < 4; i++) {
        lode_bundle b = { 0 };
        lode_cur_opts o = of(sides[i][0], sides[i][1], 1);
        o.rank = (lode_rank_spec){ 0 };
        o.error = lode_error_rel(1e-2);
        assert_ok(&ctx, lode_cur(&ctx, &o, lode_from_array(&A), &b));
        lode_array B = product(&b);
        assert_le(diff(&A, &B), 1e-2 * norm_of(&A) * (1 + 1e-6));
        o.max_rank = (lode_auto_i64){ true, 3 };
        assert_status(&ctx, lode_cur(&ctx, &o, lode_from_array(&A), &b), LODE_MISSED);
        LODE_FREE(&B, &b);
    }
    lode_array_free(&A);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 20, 10, 10, 0.5);
    lode_bundle b = { 0 };
    lode_cur_opts o = rank(11);
    const lode_value v = lode_from_array(&A);
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_ESHAPE);
    assert_says(&ctx, "rank 11 > min(m, n) = 10");
    o = lode_cur_defaults();
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_EUSAGE);
    o = of(LODE_CUR_FIT, LODE_CUR_FIT, 3);
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_EUSAGE);
    o = of(LODE_CUR_QR, LODE_CUR_QR, 3);
    o.core = LODE_CUR_CROSS;
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_EUSAGE);
    o = of(LODE_CUR_SKETCH, LODE_CUR_SELECT, 3);
    o.core = LODE_CUR_INTERPOLATE;
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_EUSAGE);
    lode_i_set2(&A, 4, 2, INFINITY);
    o = rank(3);
    assert_status(&ctx, lode_cur(&ctx, &o, v, &b), LODE_EDOMAIN);
    assert_says(&ctx, "[4,2]");
    assert_int_equal(b.count, 0);
    lode_array_free(&A);
}

static void pseudoinverses_satisfy_penroses_conditions(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        const double eps = lode_i_epsilon(types[t]);
        lode_array A = decaying(types[t], 12, 9, 5, 0.7), P = { 0 }, ap = { 0 }, pa = { 0 },
                   y = { 0 };
        int64_t kept = 0;
        assert_ok(&ctx, lode_i_pinv(&ctx, &A, 64 * eps, &P, &kept));
        assert_int_equal(kept, 5);
        const double slack = 1e4 * eps;
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &A, &P, &ap));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &P, &A, &pa));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &ap, &A, &y));
        assert_le(diff(&y, &A), slack * norm_of(&A));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &pa, &P, &y));
        assert_le(diff(&y, &P), slack * norm_of(&P));
        for (int i = 0; i < 2; i++) {
            const lode_array *s = i ? &ap : &pa, turned = lode_i_transposed(s);
            assert_ok(&ctx, lode_array_cast(&ctx, &turned, s->dtype, &y));
            assert_ok(&ctx, lode_i_conj(&ctx, &y));
            assert_le(diff(&y, s), slack * norm_of(s));
        }
        LODE_FREE(&A, &P, &ap, &pa, &y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_pair_is_exact_at_the_rank_and_knows_its_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(columns_and_rows_are_those_of_the_matrix, setup, teardown),
        cmocka_unit_test_setup_teardown(the_best_core_is_the_best, setup, teardown),
        cmocka_unit_test_setup_teardown(deim_points_are_where_the_vectors_are, setup, teardown),
        cmocka_unit_test_setup_teardown(sparse_factors_stay_sparse, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_asked_for_are_met, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_make_no_sense_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(pseudoinverses_satisfy_penroses_conditions, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
