/* cp against tensors of known factors, naive sums, and what it must refuse. */
#define OP lode_op_cp
#include "fitted.h"

#include "linalg/slices.h"

static int setup(void **state)
{
    (void)state;
    return start();
}

/* sum_r o_m F_m[:, r] + noise; factors of normal values (nonneg: their sizes, half of them 0). */
static lode_array planted(lode_array *F, lode_dtype t, int d, const int64_t *shape, int64_t k,
                          bool nonneg, double noise, uint64_t seed)
{
    lode_array x = { 0 };
    const lode_stream s = lode_i_stream(&f.ctx, "planted", seed);
    uint64_t at = 0;
    for (int m = 0; m < d; m++) {
        assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, shape[m], k, &F[m]));
        for (int64_t i = 0; i < shape[m]; i++)
            for (int64_t c = 0; c < k; c++) {
                const double v = lode_i_random_normal(s, at++);
                lode_i_set2(&F[m], i, c, !nonneg ? v : v > 0 ? v : 0);
            }
    }
    assert_ok(&f.ctx, lode_array_new(&f.ctx, t, d, shape, &x));
    for (int64_t e = 0; e < lode_array_size(&x); e++) {
        double sum = noise * lode_i_random_normal(s, at++);
        for (int64_t c = 0; c < k; c++) {
            double p = 1;
            int64_t rest = e;
            for (int m = d - 1; m >= 0; rest /= shape[m], m--)
                p *= lode_i_get2(&F[m], rest % shape[m], c);
            sum += p;
        }
        tensor_set(&x, e, nonneg && sum < 0 ? 0 : sum);
    }
    return x;
}

static void forget(lode_array *F, int d)
{
    for (int m = 0; m < d; m++)
        lode_array_free(&F[m]);
}

static const lode_array *member(const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, name, &a));
    return a;
}

static double cosine(const lode_array *A, int64_t a, const lode_array *B, int64_t b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < A->shape[0]; i++) {
        const double x = lode_i_get2(A, i, a), y = lode_i_get2(B, i, b);
        ab += x * y, aa += x * x, bb += y * y;
    }
    return fabs(ab) / sqrt(aa * bb);
}

/* The least over planted components of the best product of cosines. */
static double match(const lode_array *F, int d)
{
    double worst = 1;
    for (int64_t a = 0; a < F[0].shape[1]; a++) {
        double best = 0;
        for (int64_t b = 0; b < member("s")->shape[0]; b++) {
            double p = 1;
            for (int m = 0; m < d; m++) {
                char name[16];
                snprintf(name, sizeof name, "factor.%d", m);
                p *= cosine(&F[m], a, member(name), b);
            }
            best = fmax(best, p);
        }
        worst = fmin(worst, best);
    }
    return worst;
}

static void never_rises(void)
{
    const lode_array *t = member("trace");
    assert_true(lode_i_get1(t, 0) == 1);
    for (int64_t i = 1; i < t->shape[0]; i++)
        assert_le(lode_i_get1(t, i), lode_i_get1(t, i - 1) * (1 + 1e-9));
}

/* The model written out, entry by entry. */
static double naive_error(const lode_array *X)
{
    long double sum = 0;
    const lode_array *s = member("s"), *A[8];
    for (int m = 0; m < X->ndim; m++) {
        char name[16];
        snprintf(name, sizeof name, "factor.%d", m);
        A[m] = member(name);
    }
    for (int64_t e = 0; e < lode_array_size(X); e++) {
        double left = creal(tensor_get(X, e));
        for (int64_t c = 0; c < s->shape[0]; c++) {
            double p = lode_i_get1(s, c);
            int64_t rest = e;
            for (int m = X->ndim - 1; m >= 0; rest /= X->shape[m], m--)
                p *= lode_i_get2(A[m], rest % X->shape[m], c);
            left -= p;
        }
        sum += (long double)(left * left);
    }
    return (double)sqrtl(sum);
}

static void exact_ranks_come_back(void **state)
{
    (void)state;
    static const int64_t shapes[][6] = {
        { 9, 8, 7 }, { 6, 5, 4, 7 }, { 4, 5, 3, 4, 3 }, { 3, 4, 2, 3, 2, 3 }
    };
    for (int i = 0; i < 4; i++)
        for (int t = 0; t < 2; t++) {
            lode_array F[8] = { { 0 } };
            const int d = i + 3;
            take(planted(F, t ? LODE_F32 : LODE_F64, d, shapes[i], 2, false, 0, 3));
            assert_ok(&f.ctx, RUN("rank", "2", "tol", "1e-9"));
            /* sums of 2 products of d factors, and ALS solves normal equations: some roundings */
            assert_le(f.model.certificate.value, t ? 1e-5 : 1e-13);
            assert_near(naive_error(&f.X), f.model.certificate.absolute,
                        (t ? 1e-6 : 1e-14) * tensor_norm(&f.X));
            assert_le(1 - (t ? 1e-5 : 1e-9), match(F, d));
            never_rises();
            double percent;
            assert_ok(&f.ctx, lode_bundle_f64(&f.ctx, &f.model, "consistency", &percent));
            assert_near(percent, 100, t ? 0.1 : 1e-6);
            lode_bundle_free(&f.model);
            forget(F, d);
        }
}

static void nonnegative_factors_come_back(void **state)
{
    (void)state;
    static const int64_t shape[] = { 14, 12, 10 };
    lode_array F[8] = { { 0 } };
    take(planted(F, LODE_F64, 3, shape, 3, true, 0.01, 5));
    assert_ok(&f.ctx, RUN("rank", "3", "nonneg", "true", "restarts", "3"));
    assert_le(0.99, match(F, 3));
    never_rises();
    for (int m = 0; m < 3; m++) {
        char name[16];
        snprintf(name, sizeof name, "factor.%d", m);
        assert_true(lode_i_first_negative(member(name)) < 0);
    }
    forget(F, 3);
}

/* A third of the values unknown, by NaN and by a mask: the same fit, and what is unknown comes back. */
static void what_is_missing_is_filled(void **state)
{
    (void)state;
    static const int64_t shape[] = { 12, 11, 10 };
    lode_array F[8] = { { 0 } }, whole = { 0 }, made = { 0 };
    whole = planted(F, LODE_F64, 3, shape, 2, false, 0, 7);
    assert_ok(&f.ctx, lode_array_cast(&f.ctx, &whole, LODE_F64, &f.X));
    for (int64_t e = 0; e < lode_array_size(&whole); e += 3)
        tensor_set(&f.X, e, NAN);
    assert_ok(&f.ctx, RUN("rank", "2", "tol", "1e-9"));
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &made));
    for (int64_t e = 0; e < lode_array_size(&whole); e++)
        assert_near(creal(tensor_get(&made, e)), creal(tensor_get(&whole, e)), 1e-6);
    never_rises();
    lode_certificate found;
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    lode_bundle_free(&f.model);
    assert_status(&f.ctx, RUN("rank", "2", "missing", "none"), LODE_EDOMAIN);
    assert_says(&f.ctx, "nan");
    for (int64_t e = 0; e < 110; e++) /* a slice of nothing */
        tensor_set(&f.X, 5 * 110 + e, NAN);
    assert_status(&f.ctx, RUN("rank", "2"), LODE_EDOMAIN);
    assert_says(&f.ctx, "slice 5 of axis 0");
    LODE_FREE(&whole, &made);
    forget(F, 3);
}

/* A sparse array and the same one with its zeros written out: the same model up to rounding. */
static void sparse_is_dense_with_zeros(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 10, 8 };
    lode_array F[8] = { { 0 } }, dense = { 0 };
    lode_sparse x = { .layout = LODE_COO, .ndim = 3, .shape = { 9, 10, 8 } };
    lode_cp_opts o = lode_cp_defaults();
    take(planted(F, LODE_F64, 3, shape, 2, true, 0, 11));
    int64_t n = 0;
    for (int64_t e = 0; e < 720; e++)
        n += creal(tensor_get(&f.X, e)) > 0;
    assert_true(n > 50 && n < 700);
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_I64, n, 3, &x.indices));
    assert_ok(&f.ctx, lode_i_vector_new(&f.ctx, LODE_F64, n, &x.values));
    n = 0;
    for (int64_t e = 0; e < 720; e++)
        if (creal(tensor_get(&f.X, e)) > 0) {
            int64_t *to = (int64_t *)x.indices.data + 3 * n;
            to[0] = e / 80, to[1] = e / 8 % 10, to[2] = e % 8;
            lode_i_set1(&x.values, n++, creal(tensor_get(&f.X, e)));
        }
    o.rank = lode_rank(2), o.tol = 1e-9;
    assert_ok(&f.ctx, lode_cp(&f.ctx, &o, lode_from_sparse(&x), &f.model));
    assert_le(1 - 1e-6, match(F, 3));
    assert_le(naive_error(&f.X), 1e-6 * tensor_norm(&f.X)); /* norms cancel at 1e-8 */
    never_rises();
    lode_certificate found;
    snprintf(f.model.meta.op, sizeof f.model.meta.op, "cp");
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_sparse(&x), &found));
    ((int64_t *)x.indices.data)[3] = ((int64_t *)x.indices.data)[0];
    ((int64_t *)x.indices.data)[4] = ((int64_t *)x.indices.data)[1];
    ((int64_t *)x.indices.data)[5] = ((int64_t *)x.indices.data)[2];
    lode_bundle_free(&f.model);
    assert_status(&f.ctx, lode_cp(&f.ctx, &o, lode_from_sparse(&x), &f.model), LODE_EDOMAIN);
    assert_says(&f.ctx, "given twice");
    lode_sparse_free(&x);
    lode_array_free(&dense);
    forget(F, 3);
}

/* Of a fitted model's own slices apply gives the rows back; rows of others expand to them. */
static void apply_finds_the_rows_of_new_slices(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 8, 7 };
    for (int nonneg = 0; nonneg < 2; nonneg++) {
        lode_array F[8] = { { 0 } }, made = { 0 };
        lode_bundle codes = { 0 };
        const lode_array *rows;
        take(planted(F, LODE_F64, 3, shape, 2, nonneg, 0, 13));
        assert_ok(&f.ctx, RUN("rank", "2", "tol", "1e-10", "nonneg", nonneg ? "true" : "false"));
        assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&f.X), &codes));
        assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "factor.0", &rows));
        for (int64_t i = 0; i < 9; i++)
            for (int64_t c = 0; c < 2; c++)
                assert_near(lode_i_get2(rows, i, c), lode_i_get2(member("factor.0"), i, c), 1e-6);
        assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_from_array(rows), NULL, &made));
        for (int64_t e = 0; e < 504; e++)
            assert_near(creal(tensor_get(&made, e)), creal(tensor_get(&f.X, e)), 1e-5);
        lode_bundle_free(&f.model);
        LODE_FREE(&codes, &made);
        forget(F, 3);
    }
}

static void ranks_are_chosen(void **state)
{
    (void)state;
    static const int64_t shape[] = { 14, 13, 12 };
    for (int64_t k = 1; k <= 3; k++) {
        lode_array F[8] = { { 0 } };
        take(planted(F, LODE_F64, 3, shape, k, false, 0.05, 20 + (uint64_t)k));
        assert_ok(&f.ctx, RUN("rank", "auto", "max-rank", "5"));
        assert_int_equal(member("s")->shape[0], k);
        lode_bundle_free(&f.model);
        assert_ok(&f.ctx, RUN("rank", "auto", "max-rank", "5", "holdout", "0.2", "tol", "1e-5"));
        assert_int_equal(member("s")->shape[0], k);
        lode_bundle_free(&f.model);
        forget(F, 3);
    }
}

/* Products that skip nothing: what the vector kernels give against sums from the definition. */
static void narrow_products_are_products(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 1, 1, 16 },    { 11, 13, 16 }, { 530, 37, 16 },
                                        { 25, 300, 32 }, { 12, 24, 48 }, { 40, 9, 7 } };
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 6; i++) {
            const int64_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
            const lode_dtype type = t ? LODE_F32 : LODE_F64;
            lode_array X = tensor_normal(&f.ctx, type, 2, (const int64_t[]){ m, n }, 1);
            lode_array B = tensor_normal(&f.ctx, type, 2, (const int64_t[]){ n, k }, 2);
            lode_array W = tensor_normal(&f.ctx, type, 2, (const int64_t[]){ m, k }, 3);
            lode_array Y = { 0 }, Z = { 0 };
            const double slack = (t ? 1e-5 : 1e-13) * (double)(m + n);
            assert_ok(&f.ctx, lode_i_narrow(&f.ctx, &X, &B, &Y));
            assert_ok(&f.ctx, lode_i_narrow_adjoint(&f.ctx, &X, &W, &Z));
            for (int64_t c = 0; c < k; c++) {
                for (int64_t r = 0; r < m; r++) {
                    double sum = 0;
                    for (int64_t j = 0; j < n; j++)
                        sum += lode_i_get2(&X, r, j) * lode_i_get2(&B, j, c);
                    assert_near(sum, lode_i_get2(&Y, r, c), slack);
                }
                for (int64_t r = 0; r < n; r++) {
                    double sum = 0;
                    for (int64_t j = 0; j < m; j++)
                        sum += lode_i_get2(&X, j, r) * lode_i_get2(&W, j, c);
                    assert_near(sum, lode_i_get2(&Z, r, c), slack);
                }
            }
            LODE_FREE(&X, &B, &W, &Y, &Z);
        }
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const int64_t shape[] = { 5, 6, 7 };
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 1));
    assert_status(&f.ctx, RUN("rank", "0"), LODE_EPARAM);
    assert_status(&f.ctx, RUN("rank", "2,3"), LODE_EPARAM);
    assert_status(&f.ctx, RUN("rank", "2", "observed", "entries"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("rank", "2", "missing", "inf"), LODE_EPARAM);
    for (int64_t e = 0; e < 210; e++)
        tensor_set(&f.X, e, fabs(creal(tensor_get(&f.X, e))));
    tensor_set(&f.X, 2 * 42 + 3 * 7 + 4, -1);
    assert_status(&f.ctx, RUN("rank", "2", "nonneg", "true"), LODE_EDOMAIN);
    assert_says(&f.ctx, "X[2,3,4]");
    assert_status(&f.ctx, RUN("rank", "2", "max-iter", "1", "tol", "0"), LODE_NOCONV);
    assert_says(&f.ctx, "1 iterations");
    lode_bundle_free(&f.model);
    /* more components than can be told apart: said, not refused */
    const lode_status st = RUN("rank", "40", "max-iter", "5");
    assert_true(st >= 0);
    assert_non_null(strstr(f.model.certificate.note, "Kruskal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exact_ranks_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(nonnegative_factors_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(sparse_is_dense_with_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(apply_finds_the_rows_of_new_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_are_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(narrow_products_are_products, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_make_no_sense_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
