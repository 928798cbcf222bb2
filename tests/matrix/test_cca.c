/* cca: against cosines of angles from QR of each table by itself, least squares, deflation of the tables themselves, and
 * what its definitions say. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "linalg/special.h"
#include "lode/lode.h"

enum { N = 240, P = 9, Q = 5 };

typedef struct tables {
    lode_array X, Y;
} tables;

/* Three common directions, noise, and offsets. */
static tables make(int64_t n, int64_t p, int64_t q, uint64_t seed)
{
    tables t = { .X = { 0 } };
    lode_array Z = { 0 }, A = { 0 }, B = { 0 }, E = { 0 }, F = { 0 };
    ctx.seed = seed;
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 11), LODE_F64, n, 3, &Z));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 12), LODE_F64, 3, p, &A));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 13), LODE_F64, 3, q, &B));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 14), LODE_F64, n, p, &E));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 15), LODE_F64, n, q, &F));
    ctx.seed = 0;
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &Z, &A, &t.X));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &Z, &B, &t.Y));
    assert_ok(&ctx, lode_i_axpy(&ctx, 1, &E, &t.X));
    assert_ok(&ctx, lode_i_axpy(&ctx, 1.5, &F, &t.Y));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p; j++)
            lode_i_set2(&t.X, i, j, lode_i_get2(&t.X, i, j) + 10 * (double)j);
    LODE_FREE(&Z, &A, &B, &E, &F);
    return t;
}

static void drop(tables *t)
{
    LODE_FREE(&t->X, &t->Y);
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static lode_bundle fit(const lode_cca_opts *o, const tables *t)
{
    lode_bundle b = { 0 };
    assert_ok(&ctx, lode_cca(&ctx, o, lode_from_array(&t->X), lode_from_array(&t->Y), &b));
    snprintf(b.meta.op, sizeof b.meta.op, "cca");
    return b;
}

static lode_cca_opts of_rank(int64_t k, lode_cca_method method)
{
    lode_cca_opts o = lode_cca_defaults();
    o.rank = lode_rank(k), o.method = method;
    return o;
}

static lode_array centred(const lode_array *X)
{
    lode_array C = { 0 }, mean = { 0 };
    assert_ok(&ctx, lode_i_col_means(&ctx, X, &mean));
    assert_ok(&ctx, lode_array_cast(&ctx, X, LODE_F64, &C));
    assert_ok(&ctx, lode_i_sub_row(&ctx, &C, &mean));
    lode_array_free(&mean);
    return C;
}

/* Cosines of the angles between the centred columns, by QR of each. */
static lode_array cosines(const tables *t)
{
    lode_array M[2] = { centred(&t->X), centred(&t->Y) }, Q_[2] = { { 0 } }, R = { 0 }, C = { 0 },
               s = { 0 };
    for (int k = 0; k < 2; k++)
        assert_ok(&ctx, lode_i_qr(&ctx, &M[k], &Q_[k], &R));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &Q_[0], &Q_[1], &C));
    assert_ok(&ctx, lode_i_svd(&ctx, &C, lode_i_min(C.shape[0], C.shape[1]), NULL, &s, NULL));
    LODE_FREE(&M[0], &M[1], &Q_[0], &Q_[1], &R, &C);
    return s;
}

static void correlations_are_cosines_of_angles(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = { { N, P, Q }, { N, Q, P }, { 20, 9, 8 }, { 16, 9, 3 } };
    for (int k = 0; k < 4; k++) {
        tables t = make(shapes[k][0], shapes[k][1], shapes[k][2], 3 + (uint64_t)k);
        lode_array want = cosines(&t);
        lode_cca_opts o = of_rank(3, LODE_CCA_CANONICAL);
        lode_bundle b = fit(&o, &t);
        const lode_array *got = member(&b, "values"), *T = member(&b, "x_scores");
        for (int64_t i = 0; i < want.shape[0]; i++)
            assert_near(lode_i_get1(got, i), lode_i_get1(&want, i), 1e-12);
        lode_array G = { 0 };
        assert_ok(&ctx, lode_i_gram(&ctx, LODE_H, T, &G));
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 3; j++)
                assert_near(lode_i_get2(&G, i, j), i == j ? (double)(shapes[k][0] - 1) : 0, 1e-9);
        assert_le(b.certificate.value, 1e-12);
        LODE_FREE(&want, &G, &b);
        drop(&t);
    }
}

/* Columns whose lengths fall by 1e-10, and a basis in which columns are nearly parallel. */
static void condition_numbers_are_not_squared(void **state)
{
    (void)state;
    tables t = make(N, P, Q, 7), u = make(N, P, Q, 7);
    lode_array C = centred(&t.X), Qx = { 0 }, V = { 0 }, R = { 0 };
    lode_array E = { 0 };
    assert_ok(&ctx, lode_i_qr(&ctx, &C, &Qx, &R));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 16), LODE_F64, P, P, &E));
    assert_ok(&ctx, lode_i_qr(&ctx, &E, &V, &R));
    for (int64_t j = 0; j < P; j++)
        for (int64_t i = 0; i < N; i++)
            lode_i_set2(&Qx, i, j, lode_i_get2(&Qx, i, j) * pow(10, -10. * (double)j / (P - 1)));
    LODE_FREE(&u.X);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &Qx, &V, &u.X));
    lode_array want = cosines(&t);
    lode_cca_opts o = of_rank(3, LODE_CCA_CANONICAL);
    lode_bundle b = fit(&o, &u);
    double condition = 0;
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "condition", &condition));
    assert_true(condition > 1e9);
    for (int64_t i = 0; i < Q; i++) /* rounding of u.X itself moves angles by as much */
        assert_near(lode_i_get1(member(&b, "values"), i), lode_i_get1(&want, i),
                    16 * 2.2e-16 * condition);
    LODE_FREE(&C, &Qx, &V, &R, &E, &want, &b);
    drop(&t);
    drop(&u);
}

static void all_components_predict_as_least_squares(void **state)
{
    (void)state;
    static const lode_cca_method methods[] = { LODE_CCA_CANONICAL, LODE_CCA_PLS, LODE_CCA_NIPALS };
    tables t = make(N, P, Q, 9);
    lode_array X = centred(&t.X), Y = centred(&t.Y), want = { 0 };
    assert_ok(&ctx, lode_i_lstsq(&ctx, &X, &Y, &want, NULL));
    for (int k = 0; k < 3; k++) {
        lode_cca_opts o = of_rank(k == 0 ? Q : P, methods[k]);
        lode_bundle b = fit(&o, &t), applied = { 0 };
        lode_array fitted = { 0 };
        double off = 0;
        assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&b, "coef"), &want, &off));
        assert_le(off, 1e-10);
        assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&t.X), &applied));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &t.X, member(&b, "coef"), &fitted));
        for (int64_t i = 0; i < N; i++)
            for (int64_t j = 0; j < Q; j++)
                assert_near(lode_i_get2(member(&applied, "predicted"), i, j),
                            lode_i_get2(&fitted, i, j) + lode_i_get1(member(&b, "intercept"), j),
                            1e-9);
        assert_ok(&ctx,
                  lode_i_diff_fro(&ctx, member(&applied, "codes"), member(&b, "x_scores"), &off));
        assert_le(off, 1e-9);
        LODE_FREE(&b, &applied, &fitted);
    }
    LODE_FREE(&X, &Y, &want);
    drop(&t);
}

/* PLS2 on the tables themselves: w, the leading left vector of X^T Y, then both less their parts along X w. SIMPLS has the
 * same first component, and for one y all of them. */
static void regressions_agree_with_deflation(void **state)
{
    (void)state;
    for (int64_t q = 1; q <= Q; q += Q - 1) {
        tables t = make(N, P, q, 10);
        lode_array X = centred(&t.X), Y = centred(&t.Y), T = { 0 }, S = { 0 }, w = { 0 }, c = { 0 },
                   x = { 0 }, s = { 0 };
        lode_cca_opts o = of_rank(3, LODE_CCA_NIPALS), p = of_rank(3, LODE_CCA_PLS);
        lode_bundle a = fit(&o, &t), b = fit(&p, &t);
        for (int64_t k = 0; k < 3; k++) {
            double length = 0;
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &X, &Y, &S));
            assert_ok(&ctx, lode_i_svd(&ctx, &S, 1, &w, &s, NULL));
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &X, &w, &T));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &T, &length));
            assert_ok(&ctx, lode_i_scale(&ctx, 1 / length, &T));
            double with[2] = { 0, 0 };
            for (int64_t i = 0; i < N; i++) {
                with[0] += lode_i_get2(&T, i, 0) * lode_i_get2(member(&a, "x_scores"), i, k);
                with[1] += lode_i_get2(&T, i, 0) * lode_i_get2(member(&b, "x_scores"), i, k);
            }
            assert_near(fabs(with[0]), sqrt(N - 1.), 1e-9);
            if (k == 0 || q == 1)
                assert_near(fabs(with[1]), sqrt(N - 1.), 1e-9);
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &T, &X, &x));
            assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &T, &Y, &c));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &T, &x, 1, &X));
            assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_N, -1, &T, &c, 1, &Y));
        }
        LODE_FREE(&X, &Y, &T, &S, &s, &w, &c, &x, &a, &b);
        drop(&t);
    }
}

static void covariances_are_singular_values(void **state)
{
    (void)state;
    tables t = make(60, 80, Q, 12); /* more columns than rows */
    lode_array X = centred(&t.X), Y = centred(&t.Y), S = { 0 }, s = { 0 }, U = { 0 };
    lode_cca_opts o = of_rank(4, LODE_CCA_PLS_SVD);
    lode_bundle b = fit(&o, &t);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &X, &Y, &S));
    assert_ok(&ctx, lode_i_svd(&ctx, &S, Q, &U, &s, NULL));
    for (int64_t i = 0; i < 4; i++) {
        assert_near(lode_i_get1(member(&b, "values"), i), lode_i_get1(&s, i) / 59,
                    1e-10 * lode_i_get1(&s, 0));
        double same = 0;
        for (int64_t j = 0; j < 80; j++)
            same += lode_i_get2(&U, j, i) * lode_i_get2(member(&b, "x_weights"), j, i);
        assert_near(fabs(same), 1, 1e-9);
    }
    LODE_FREE(&X, &Y, &S, &s, &U, &b);
    drop(&t);
}

/* A penalty is as many rows more: ridge times the identity's root below X, zeros below Y. */
static void ridge_is_a_table_with_more_rows(void **state)
{
    (void)state;
    tables t = make(N, P, Q, 13);
    lode_array X = centred(&t.X), Y = centred(&t.Y), A = { 0 }, B = { 0 }, Qa = { 0 }, Qb = { 0 },
               C = { 0 }, s = { 0 }, top = { 0 }, R = { 0 };
    double norm = 0;
    lode_cca_opts o = of_rank(2, LODE_CCA_CANONICAL);
    o.ridge = (lode_list){ .count = 2, .value = { 0.3, 0 } };
    lode_bundle b = fit(&o, &t);
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &norm));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ N + P, P }, &A));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ N + P, Q }, &B));
    top = lode_i_rows(&A, 0, N);
    assert_ok(&ctx, lode_array_copy_into(&ctx, &X, &top));
    lode_array_free(&top);
    top = lode_i_rows(&B, 0, N);
    assert_ok(&ctx, lode_array_copy_into(&ctx, &Y, &top));
    for (int64_t j = 0; j < P; j++)
        lode_i_set2(&A, N + j, j, sqrt(0.3 * norm * norm / P));
    assert_ok(&ctx, lode_i_qr(&ctx, &A, &Qa, &R));
    assert_ok(&ctx, lode_i_qr(&ctx, &B, &Qb, &R));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &Qa, &Qb, &C));
    assert_ok(&ctx, lode_i_svd(&ctx, &C, Q, NULL, &s, NULL));
    for (int64_t i = 0; i < Q; i++)
        assert_near(lode_i_get1(member(&b, "values"), i), lode_i_get1(&s, i), 1e-12);
    LODE_FREE(&X, &Y, &A, &B, &Qa, &Qb, &C, &s, &top, &R, &b);
    drop(&t);
}

static void weights_are_rows_that_come_again(void **state)
{
    (void)state;
    tables t = make(60, P, Q, 14), u = { .X = { 0 } };
    lode_array w = { 0 }, index = { 0 };
    int64_t count = 60, all = 0;
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, count, &w));
    for (int64_t i = 0; i < count; i++) {
        lode_i_set1(&w, i, (double)(i % 3));
        all += i % 3;
    }
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, all, &index));
    for (int64_t i = 0, at = 0; i < count; i++)
        for (int64_t k = 0; k < i % 3; k++)
            lode_i_set1(&index, at++, (double)i);
    assert_ok(&ctx, lode_i_take(&ctx, &t.X, 0, &index, &u.X));
    assert_ok(&ctx, lode_i_take(&ctx, &t.Y, 0, &index, &u.Y));
    for (int m = 0; m < 4; m++) {
        lode_cca_opts o = of_rank(2, (lode_cca_method)m), p = o;
        o.weights = &w;
        lode_bundle a = fit(&o, &t), b = fit(&p, &u);
        double off = 0;
        assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&a, "coef"), member(&b, "coef"), &off));
        assert_le(off, 1e-11);
        lode_certificate found;
        assert_ok(&ctx, lode_verify(&ctx, &a, lode_from_array(&t.X), &found));
        LODE_FREE(&a, &b);
    }
    LODE_FREE(&w, &index);
    drop(&t);
    drop(&u);
}

static void folds_are_fits_of_the_other_rows(void **state)
{
    (void)state;
    tables t = make(N, P, Q, 15);
    lode_cca_opts o = lode_cca_defaults();
    o.holdout.given = true, o.holdout.value = 0.25;
    lode_bundle b = fit(&o, &t); /* three common directions */
    assert_int_equal(member(&b, "x_weights")->shape[1], 3);
    assert_int_equal(member(&b, "held_each")->shape[0], 4);
    /* of 3 strong correlations what is kept back shows nearly all, of the others nothing but chance */
    for (int64_t i = 0; i < Q; i++)
        if (i < 3)
            assert_true(lode_i_get1(member(&b, "held"), i) >
                        lode_i_get1(member(&b, "values"), i) - 0.2);
        else
            assert_true(fabs(lode_i_get1(member(&b, "held"), i)) < 0.25);
    lode_bundle_free(&b);
    o.method = LODE_CCA_PLS;
    b = fit(&o, &t);
    const lode_array *press = member(&b, "press");
    const int64_t k = member(&b, "x_weights")->shape[1];
    assert_near(lode_i_get1(press, 0), 1, 1e-12);
    for (int64_t i = 1; i < press->shape[0]; i++)
        assert_true(lode_i_get1(press, i) >= lode_i_get1(press, k));
    lode_bundle_free(&b);
    drop(&t);
}

/* One fold's errors by hand: a fit of the other rows, applied to those kept back. */
static void press_is_the_error_of_predictions(void **state)
{
    (void)state;
    enum { HALF = 20 };
    tables t = make(2 * HALF, 4, 2, 16);
    lode_cca_opts o = of_rank(2, LODE_CCA_PLS), p = o;
    o.holdout.given = true, o.holdout.value = 0.5;
    lode_bundle b = fit(&o, &t);
    const lode_array *each = member(&b, "press_each");
    /* runs are rows: of all splits in two halves with these sums one is found by its deal */
    lode_array index[2] = { { 0 } };
    const lode_stream s = lode_i_stream(&ctx, "cca", 1);
    for (int f = 0; f < 2; f++)
        assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, HALF, &index[f]));
    int64_t at[2] = { 0, 0 };
    for (uint64_t i = 0; i < 2 * HALF; i++) {
        int before = 0;
        for (uint64_t j = 0; j < 2 * HALF; j++)
            before += lode_i_random_u64(s, j) < lode_i_random_u64(s, i);
        lode_i_set1(&index[before % 2], at[before % 2]++, (double)i);
    }
    for (int f = 0; f < 2; f++) {
        tables rest = { .X = { 0 } }, held = { .X = { 0 } };
        lode_bundle applied = { 0 };
        double off = 0;
        assert_ok(&ctx, lode_i_take(&ctx, &t.X, 0, &index[1 - f], &rest.X));
        assert_ok(&ctx, lode_i_take(&ctx, &t.Y, 0, &index[1 - f], &rest.Y));
        assert_ok(&ctx, lode_i_take(&ctx, &t.X, 0, &index[f], &held.X));
        assert_ok(&ctx, lode_i_take(&ctx, &t.Y, 0, &index[f], &held.Y));
        lode_bundle c = fit(&p, &rest);
        assert_ok(&ctx, lode_apply(&ctx, &c, lode_from_array(&held.X), &applied));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, member(&applied, "predicted"), &held.Y, &off));
        assert_near(lode_i_get2(each, f, 2), off * off, 1e-9 * off * off);
        LODE_FREE(&applied, &c);
        drop(&rest);
        drop(&held);
    }
    LODE_FREE(&index[0], &index[1], &b);
    drop(&t);
}

/* Without noise rank 2 is exact: what is missing changes nothing. */
static void missing_values_are_left_out(void **state)
{
    (void)state;
    tables t = make(120, P, Q, 17);
    lode_array Z = { 0 }, A = { 0 }, B = { 0 };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 21), LODE_F64, 120, 1, &Z));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 22), LODE_F64, 1, P, &A));
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "cca", 23), LODE_F64, 1, Q, &B));
    drop(&t);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &Z, &A, &t.X));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &Z, &B, &t.Y));
    lode_cca_opts o = of_rank(1, LODE_CCA_PLS);
    lode_bundle whole = fit(&o, &t);
    for (int64_t i = 0; i < 120; i += 7)
        lode_i_set2(&t.X, i, i % P, NAN);
    lode_bundle b = fit(&o, &t);
    lode_certificate found;
    /* means of what is observed are others, by the share that is missing */
    for (int64_t j = 0; j < P; j++)
        assert_near(lode_i_get2(member(&b, "x_loadings"), j, 0) /
                        lode_i_get2(member(&whole, "x_loadings"), j, 0),
                    lode_i_get2(member(&b, "x_loadings"), 0, 0) /
                        lode_i_get2(member(&whole, "x_loadings"), 0, 0),
                    0.05);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&t.X), &found));
    LODE_FREE(&Z, &A, &B, &whole, &b);
    drop(&t);
}

static void columns_that_say_nothing_new_change_nothing(void **state)
{
    (void)state;
    tables t = make(N, P, Q, 18), u = { .X = { 0 } };
    lode_array to = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, N, P + 2, &u.X));
    assert_ok(&ctx, lode_array_cast(&ctx, &t.Y, LODE_F64, &u.Y));
    to = lode_i_cols(&u.X, 0, P);
    assert_ok(&ctx, lode_array_copy_into(&ctx, &t.X, &to));
    for (int64_t i = 0; i < N; i++) {
        lode_i_set2(&u.X, i, P, 1e5 / 3);
        lode_i_set2(&u.X, i, P + 1, lode_i_get2(&t.X, i, 0) - lode_i_get2(&t.X, i, 1));
    }
    lode_cca_opts o = of_rank(3, LODE_CCA_CANONICAL);
    lode_bundle a = fit(&o, &t), b = fit(&o, &u);
    int64_t rank = 0;
    assert_ok(&ctx, lode_bundle_i64(&ctx, &b, "rank_x", &rank));
    assert_int_equal(rank, P);
    for (int64_t i = 0; i < Q; i++)
        assert_near(lode_i_get1(member(&a, "values"), i), lode_i_get1(member(&b, "values"), i),
                    1e-11);
    LODE_FREE(&a, &b, &to);
    drop(&t);
    drop(&u);
}

static void sparse_tables_and_single_precision(void **state)
{
    (void)state;
    tables t = make(N, P, Q, 19), u = { .X = { 0 } };
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { N, P } };
    const int64_t nnz = (N + 2) / 3 * P;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ nnz, 2 }, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, nnz, &s.values));
    int64_t at = 0;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < P; j++) {
            if (i % 3)
                lode_i_set2(&t.X, i, j, 0);
            else {
                lode_i_set2(&s.indices, at, 0, (double)i),
                    lode_i_set2(&s.indices, at, 1, (double)j);
                lode_i_set1(&s.values, at++, lode_i_get2(&t.X, i, j));
            }
        }
    lode_cca_opts o = of_rank(3, LODE_CCA_CANONICAL);
    lode_bundle a = fit(&o, &t), b = { 0 };
    assert_ok(&ctx, lode_cca(&ctx, &o, lode_from_sparse(&s), lode_from_array(&t.Y), &b));
    assert_memory_equal(member(&a, "x_weights")->data, member(&b, "x_weights")->data,
                        (size_t)P * 3 * 8);
    lode_bundle_free(&b);
    assert_ok(&ctx, lode_array_cast(&ctx, &t.X, LODE_F32, &u.X));
    assert_ok(&ctx, lode_array_cast(&ctx, &t.Y, LODE_F32, &u.Y));
    b = fit(&o, &u);
    assert_int_equal(member(&b, "x_weights")->dtype, LODE_F32);
    for (int64_t i = 0; i < Q; i++)
        assert_near(lode_i_get1(member(&a, "values"), i), lode_i_get1(member(&b, "values"), i),
                    1e-5);
    lode_sparse_free(&s);
    LODE_FREE(&a, &b);
    drop(&t);
    drop(&u);
}

/* Chi-square tails with 1, 2 and 4 degrees of freedom are known in closed form. */
static void tails_of_chi_square(void **state)
{
    (void)state;
    for (double x = 0.01; x < 400; x *= 1.7) {
        assert_near(lode_i_chi_square_tail(2, x) / exp(-x / 2), 1, 1e-12);
        assert_near(lode_i_chi_square_tail(4, x) / (exp(-x / 2) * (1 + x / 2)), 1, 1e-12);
        assert_near(lode_i_chi_square_tail(1, x) / erfc(sqrt(x / 2)), 1, 1e-11);
    }
    assert_near(lode_i_chi_square_tail(3, 0), 1, 0);
    assert_near(lode_i_chi_square_tail(100, 1e9), 0, 0);
}

/* Correlations of tables that have nothing to do with each other: probabilities are even. */
static void probabilities_are_even_without_correlation(void **state)
{
    (void)state;
    int below = 0;
    enum { TRIALS = 200 };
    for (uint64_t i = 0; i < TRIALS; i++) {
        tables t = { .X = { 0 } };
        lode_cca_opts o = of_rank(1, LODE_CCA_CANONICAL);
        ctx.seed = 1000 + i;
        assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "a", 1), LODE_F64, 60, 3, &t.X));
        assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "b", 2), LODE_F64, 60, 2, &t.Y));
        ctx.seed = 0;
        lode_bundle b = fit(&o, &t);
        below += lode_i_get1(member(&b, "p_values"), 0) < 0.2;
        lode_bundle_free(&b);
        drop(&t);
    }
    assert_near((double)below / TRIALS, 0.2, 4 * sqrt(0.2 * 0.8 / TRIALS));
}

static void wrong_requests_are_named(void **state)
{
    (void)state;
    tables t = make(30, P, Q, 20);
    lode_bundle b = { 0 };
    const lode_value X = lode_from_array(&t.X), Y = lode_from_array(&t.Y);
    lode_cca_opts o = of_rank(Q + 1, LODE_CCA_CANONICAL);
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EPARAM);
    assert_says(&ctx, "rank 6 is above 5");
    o = of_rank(2, LODE_CCA_PLS);
    o.ridge = (lode_list){ .count = 1, .value = { 1 } };
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EUSAGE);
    assert_says(&ctx, "ridge");
    o = lode_cca_defaults();
    o.holdout.given = true;
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EUSAGE);
    o = of_rank(2, LODE_CCA_CANONICAL);
    lode_array w = lode_i_rows(&t.Y, 0, 3), half = lode_i_rows(&t.Y, 0, 15);
    o.weights = &w;
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_ESHAPE);
    assert_says(&ctx, "30 real numbers");
    o.weights = NULL;
    assert_status(&ctx, lode_cca(&ctx, &o, X, lode_from_array(&half), &b), LODE_ESHAPE);
    lode_i_set2(&t.Y, 4, 2, NAN);
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EDOMAIN);
    assert_says(&ctx, "Y[4,2] is nan");
    lode_i_set2(&t.Y, 4, 2, INFINITY);
    o = of_rank(2, LODE_CCA_PLS);
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EDOMAIN);
    assert_int_equal(b.count, 0);
    assert_ok(&ctx, lode_i_fill(&ctx, &t.Y, 3));
    assert_status(&ctx, lode_cca(&ctx, &o, X, Y, &b), LODE_EDOMAIN);
    assert_says(&ctx, "does not vary");
    LODE_FREE(&w, &half);
    drop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(correlations_are_cosines_of_angles),
        cmocka_unit_test(condition_numbers_are_not_squared),
        cmocka_unit_test(all_components_predict_as_least_squares),
        cmocka_unit_test(regressions_agree_with_deflation),
        cmocka_unit_test(covariances_are_singular_values),
        cmocka_unit_test(ridge_is_a_table_with_more_rows),
        cmocka_unit_test(weights_are_rows_that_come_again),
        cmocka_unit_test(folds_are_fits_of_the_other_rows),
        cmocka_unit_test(press_is_the_error_of_predictions),
        cmocka_unit_test(missing_values_are_left_out),
        cmocka_unit_test(columns_that_say_nothing_new_change_nothing),
        cmocka_unit_test(sparse_tables_and_single_precision),
        cmocka_unit_test(tails_of_chi_square),
        cmocka_unit_test(probabilities_are_even_without_correlation),
        cmocka_unit_test(wrong_requests_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
