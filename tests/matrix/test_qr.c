/* qr: against pivots found by brute force, the best approximations of LAPACK's SVD, Gu & Eisenstat's
 * bounds, decompositions from scratch. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
static const lode_qr_pivoting ways[] = { LODE_QR_SKETCH, LODE_QR_GREEDY, LODE_QR_STRONG,
                                         LODE_QR_NONE };

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

typedef struct result {
    lode_array Q, R, perm;
    lode_certificate c;
} result;

static void free_result(result *r)
{
    LODE_FREE(&r->Q, &r->R, &r->perm);
}

static lode_status qr(lode_qr_opts o, lode_value A, result *r)
{
    return lode_qr(&ctx, &o, A, &r->Q, &r->R, &r->perm, &r->c);
}

static lode_qr_opts by(lode_qr_pivoting pivoting, int64_t k)
{
    lode_qr_opts o = lode_qr_defaults();
    o.pivoting = pivoting;
    if (k > 0)
        o.rank = lode_rank(k);
    return o;
}

static double norm_of(const lode_array *a)
{
    double norm = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, a, &norm));
    return norm;
}

/* ||A[:, perm] - Q R||_F from its definition; perm must be a permutation. */
static double error_of(const lode_array *A, const result *r)
{
    lode_array E = { 0 };
    double sum = 0;
    for (int64_t j = 0; j < r->perm.shape[0]; j++)
        sum += lode_i_get1(&r->perm, j);
    assert_true(sum == (double)(A->shape[1] * (A->shape[1] - 1) / 2));
    assert_ok(&ctx, lode_i_take(&ctx, A, 1, &r->perm, &E));
    assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &r->Q, &r->R, 1, &E));
    const double error = norm_of(&E);
    lode_array_free(&E);
    return error;
}

static void check_form(const lode_array *A, const result *r, int64_t k)
{
    lode_array G = { 0 }, eye = { 0 };
    double off = 0;
    const double eps = lode_i_epsilon(A->dtype);
    assert_int_equal(r->Q.shape[1], k);
    assert_int_equal(r->R.shape[0], k);
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, &r->Q, &G));
    assert_ok(&ctx, lode_i_eye(&ctx, A->dtype, k, &eye));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &G, &eye, &off));
    assert_le(off, 64 * eps * sqrt((double)k));
    for (int64_t i = 0; i < k; i++) {
        assert_le(0, lode_i_get2(&r->R, i, i));
        for (int64_t j = 0; j < i; j++)
            assert_true(!(fabs(lode_i_get2(&r->R, i, j)) > 0));
    }
    LODE_FREE(&G, &eye);
}

static void every_way_gives_an_orthonormal_basis_and_its_error(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 120, 80 }, { 80, 120 } };
    for (int t = 0; t < 4; t++)
        for (int s = 0; s < 2; s++)
            for (int w = 0; w < 4; w++) {
                lode_array A = decaying(types[t], shapes[s][0], shapes[s][1], 80, 0.8);
                result r = { 0 };
                const double eps = lode_i_epsilon(types[t]), norm = norm_of(&A);
                assert_ok(&ctx, qr(by(ways[w], 12), lode_from_array(&A), &r));
                check_form(&A, &r, 12);
                const double error = error_of(&A, &r);
                assert_near(r.c.absolute, error, 1e-4 * error + 64 * eps * norm);
                assert_near(r.c.value, error / norm, 1e-4 * error / norm + 64 * eps);
                for (int64_t j = 0; ways[w] == LODE_QR_NONE && j < shapes[s][1]; j++)
                    assert_true(lode_i_get1(&r.perm, j) == (double)j);
                free_result(&r);
                lode_array_free(&A);
            }
}

/* Squared length of column c of what is left. */
static double left(const lode_array *E, int64_t c)
{
    lode_array view = lode_i_cols(E, c, c + 1);
    const double norm = norm_of(&view);
    lode_array_free(&view);
    return norm;
}

static void greedy_pivots_are_the_longest_of_what_is_left(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array A = decaying(types[t], 40, 30, 30, 0.9), E = { 0 }, q = { 0 }, c = { 0 };
        result r = { 0 };
        assert_ok(&ctx, qr(by(LODE_QR_GREEDY, 10), lode_from_array(&A), &r));
        assert_ok(&ctx, lode_array_cast(&ctx, &A, A.dtype, &E));
        for (int64_t k = 0; k < 10; k++) {
            double longest = 0;
            for (int64_t j = 0; j < 30; j++)
                longest = fmax(longest, left(&E, j));
            const double pivot = left(&E, (int64_t)lode_i_get1(&r.perm, k));
            assert_le(longest, pivot * (1 + 1e3 * lode_i_epsilon(types[t])));
            assert_near(lode_i_get2(&r.R, k, k), pivot, 1e3 * lode_i_epsilon(types[t]) * pivot);
            q = lode_i_cols(&r.Q, k, k + 1);
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_H, LODE_N, &q, &E, &c));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &q, &c, 1, &E));
            lode_array_free(&q);
        }
        free_result(&r);
        LODE_FREE(&A, &E, &q, &c);
    }
}

static void the_rank_is_found_and_errors_are_met(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int w = 0; w < 2; w++) {
            const double eps = lode_i_epsilon(types[t]);
            lode_array low = decaying(types[t], 150, 130, 70, 1),
                       A = decaying(types[t], 150, 130, 130, 0.9);
            result r = { 0 };
            assert_ok(&ctx, qr(by(ways[w], 0), lode_from_array(&low), &r));
            check_form(&low, &r, 70);
            assert_le(r.c.value, 64 * eps);
            lode_qr_opts o = by(ways[w], 0);
            o.error = lode_error_rel(1e-2);
            assert_ok(&ctx, qr(o, lode_from_array(&A), &r));
            const int64_t k = r.Q.shape[1];
            assert_le(error_of(&A, &r), 1e-2 * norm_of(&A) * (1 + 1e-6));
            /* one pivot less would not do */
            lode_array last = lode_i_rows(&r.R, k - 1, k);
            assert_le(1e-2 * norm_of(&A), hypot(r.c.absolute, norm_of(&last)) * (1 + 1e-6));
            lode_array_free(&last);
            /* and of any rank-k matrix none is better than the SVD's, within a factor well known */
            lode_array U = { 0 }, s = { 0 }, V = { 0 };
            double best = 0;
            assert_ok(&ctx, lode_i_svd(&ctx, &A, 130, &U, &s, &V));
            for (int64_t i = 129; i >= k; i--)
                best = hypot(best, lode_i_get1(&s, i));
            assert_le(best, r.c.absolute * (1 + 64 * eps) + 64 * eps);
            assert_le(r.c.absolute, 4 * best);
            o.max_rank = (lode_auto_i64){ true, 5 };
            assert_status(&ctx, qr(o, lode_from_array(&A), &r), LODE_MISSED);
            assert_int_equal(r.Q.shape[1], 5);
            LODE_FREE(&low, &A, &U, &s, &V);
            free_result(&r);
        }
}

static double entry(int64_t i, int64_t j)
{
    const double c = 0.2, s = sqrt(1 - c * c);
    return (i == j ? 1 : i < j ? -c : 0) * pow(s, (double)i) * (1 - 1e-12 * (double)j);
}

static void strong_pivots_keep_to_their_bounds_on_kahans_matrix(void **state)
{
    (void)state;
    enum { N = 90, K = N - 1 };
    lode_array A = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, R11 = { 0 }, inner = { 0 };
    double miss[2];
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, N, N, &A));
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++)
            lode_i_set2(&A, i, j, entry(i, j));
    assert_ok(&ctx, lode_i_svd(&ctx, &A, N, &U, &s, &V));
    for (int strong = 0; strong < 2; strong++) {
        result r = { 0 };
        assert_ok(&ctx,
                  qr(by(strong ? LODE_QR_STRONG : LODE_QR_GREEDY, K), lode_from_array(&A), &r));
        R11 = lode_i_cols(&r.R, 0, K);
        assert_ok(&ctx, lode_i_svd(&ctx, &R11, K, &U, &inner, &V));
        miss[strong] = lode_i_get1(&s, K - 1) / lode_i_get1(&inner, K - 1);
        lode_array_free(&R11);
        free_result(&r);
    }
    const double bound = sqrt(1 + 2 * 2 * K * (N - K));
    assert_le(miss[1], bound * (1 + 1e-9));
    assert_le(bound, miss[0]); /* else this shows nothing */
    LODE_FREE(&A, &U, &s, &V, &inner);
}

static void sparse_and_dense_agree(void **state)
{
    (void)state;
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { 90, 70 } };
    lode_array dense = { 0 };
    result r = { 0 }, d = { 0 };
    enum { COUNT = 400 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ COUNT, 2 }, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, COUNT, &s.values));
    for (int64_t k = 0; k < COUNT; k++) {
        const int64_t at = k * 13 % 6300;
        lode_i_set2(&s.indices, k, 0, (double)(at / 70));
        lode_i_set2(&s.indices, k, 1, (double)(at % 70));
        lode_i_set1(&s.values, k, sin((double)(k * k)));
    }
    assert_ok(&ctx, lode_sparse_to_dense(&ctx, &s, &dense));
    assert_ok(&ctx, qr(by(LODE_QR_AUTO, 20), lode_from_sparse(&s), &r));
    assert_ok(&ctx, qr(by(LODE_QR_SKETCH, 20), lode_from_array(&dense), &d));
    check_form(&dense, &r, 20);
    for (int64_t j = 0; j < 70; j++)
        assert_true(lode_i_get1(&r.perm, j) == lode_i_get1(&d.perm, j));
    assert_near(r.c.absolute, error_of(&dense, &r), 1e-6 * r.c.absolute);
    free_result(&r), free_result(&d);
    LODE_FREE(&s, &dense);
}

/* ---- verbs ---- */

static void make(lode_bundle *b, const lode_array *A, const char *rank)
{
    lode_call call;
    assert_ok(&ctx, lode_call_init(&ctx, &lode_op_qr, &call));
    assert_ok(&ctx, lode_call_set(&ctx, &call, "rank", rank));
    assert_ok(&ctx, lode_call_input(&ctx, &call, NULL, lode_from_array(A)));
    assert_ok(&ctx, lode_call_run(&ctx, &call, b));
    lode_call_free(&call);
}

static double diff(const lode_array *a, const lode_array *b)
{
    double off = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &off));
    return off;
}

static void new_rows_of_the_same_space_come_back(void **state)
{
    (void)state;
    for (int t = 1; t < 4; t += 2) {
        lode_array A = decaying(types[t], 60, 40, 12, 1), top = { 0 }, rest = { 0 }, back = { 0 };
        lode_bundle b = { 0 }, codes = { 0 };
        top = lode_i_rows(&A, 0, 45), rest = lode_i_rows(&A, 45, 60);
        make(&b, &top, "auto");
        assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&rest), &codes));
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_bundle_get(&codes, "codes"), NULL, &back));
        assert_le(diff(&back, &rest), 1e-11 * norm_of(&rest));
        lode_bundle_free(&b), lode_bundle_free(&codes);
        LODE_FREE(&A, &top, &rest, &back);
    }
}

static void updates_and_merges_stand_for_all_rows(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 60, 40, 40, 0.5), top = { 0 }, rest = { 0 }, back = { 0 };
    lode_bundle b = { 0 }, c = { 0 }, updated = { 0 }, merged = { 0 };
    top = lode_i_rows(&A, 0, 45), rest = lode_i_rows(&A, 45, 60);
    make(&b, &top, "12"), make(&c, &rest, "12");
    assert_ok(&ctx, lode_update(&ctx, &b, lode_from_array(&rest), &updated));
    assert_ok(&ctx, lode_merge(&ctx, (const lode_bundle *[]){ &b, &c }, 2, &merged));
    for (int i = 0; i < 2; i++) {
        const lode_bundle *m = i ? &merged : &updated;
        lode_certificate found;
        assert_ok(&ctx, lode_invert(&ctx, m, lode_none(), NULL, &back));
        assert_near(m->certificate.absolute, diff(&back, &A), 1e-9 * norm_of(&A));
        assert_le(m->certificate.value, 1e-2);
        assert_ok(&ctx, lode_verify(&ctx, m, lode_from_array(&A), &found));
        lode_array_free(&back);
    }
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&updated),
        lode_bundle_free(&merged);
    LODE_FREE(&A, &top, &rest);
}

/* ---- requests that make no sense ---- */

static void errors_say_what_was_wrong(void **state)
{
    (void)state;
    lode_array A = decaying(LODE_F64, 20, 10, 10, 0.5);
    result r = { 0 };
    lode_qr_opts o = by(LODE_QR_AUTO, 11);
    assert_status(&ctx, qr(o, lode_from_array(&A), &r), LODE_ESHAPE);
    assert_says(&ctx, "rank 11 > min(m, n) = 10");
    o = by(LODE_QR_NONE, 0);
    o.error = lode_error_rel(1e-2);
    assert_status(&ctx, qr(o, lode_from_array(&A), &r), LODE_EUSAGE);
    o = by(LODE_QR_AUTO, 3);
    o.error = lode_error_rel(1e-2);
    assert_status(&ctx, qr(o, lode_from_array(&A), &r), LODE_EUSAGE);
    o = by(LODE_QR_AUTO, 0);
    o.error = lode_error_max(1e-2);
    assert_status(&ctx, qr(o, lode_from_array(&A), &r), LODE_EPARAM);
    lode_i_set2(&A, 3, 7, NAN);
    for (int w = 0; w < 4; w++) {
        assert_status(&ctx, qr(by(ways[w], 3), lode_from_array(&A), &r), LODE_EDOMAIN);
        assert_says(&ctx, "[3,7]");
    }
    assert_true(r.Q.data == NULL);
    lode_array_free(&A);
}

static void sizes_near_the_ends_of_the_type_are_no_matter(void **state)
{
    (void)state;
    static const double scales[] = { 1e295, 1e-290 };
    for (int i = 0; i < 2; i++)
        for (int w = 0; w < 4; w++) {
            lode_array A = decaying(LODE_F64, 30, 20, 20, 0.5), B = { 0 };
            result r = { 0 }, q = { 0 };
            assert_ok(&ctx, qr(by(ways[w], 5), lode_from_array(&A), &r));
            assert_ok(&ctx, lode_array_cast(&ctx, &A, LODE_F64, &B));
            assert_ok(&ctx, lode_i_scale(&ctx, scales[i], &B));
            assert_ok(&ctx, qr(by(ways[w], 5), lode_from_array(&B), &q));
            assert_near(r.c.value, q.c.value, 1e-9);
            for (int64_t j = 0; j < 20; j++)
                assert_true(lode_i_get1(&r.perm, j) == lode_i_get1(&q.perm, j));
            free_result(&r), free_result(&q);
            LODE_FREE(&A, &B);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_way_gives_an_orthonormal_basis_and_its_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(greedy_pivots_are_the_longest_of_what_is_left, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_rank_is_found_and_errors_are_met, setup, teardown),
        cmocka_unit_test_setup_teardown(strong_pivots_keep_to_their_bounds_on_kahans_matrix, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sparse_and_dense_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(new_rows_of_the_same_space_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(updates_and_merges_stand_for_all_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_say_what_was_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_near_the_ends_of_the_type_are_no_matter, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
