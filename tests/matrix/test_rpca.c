/* rpca: planted parts, the conditions of optimality, missing entries, new rows, thresholding against whole
 * decompositions, weighted medians. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "linalg/robust.h"
#include "linalg/shrink.h"
#include "lode/lode.h"

static double draw(uint64_t seed, uint64_t i)
{
    lode_ctx key = { .seed = seed };
    return lode_i_random_uniform(lode_i_stream(&key, "test-rpca", 0), i);
}

static lode_array gaussian(int64_t rows, int64_t cols, uint64_t seed)
{
    lode_array A = { 0 };
    lode_ctx key = { .seed = seed };
    assert_ok(&ctx,
              lode_i_randn(&ctx, lode_i_stream(&key, "test-rpca", 1), LODE_F64, rows, cols, &A));
    return A;
}

/* X = L + S + noise: L of rank r and unit variance, S of either sign and size 1 to 10 at a share of the places. */
typedef struct planted {
    lode_array X, L, S;
} planted;

static planted plant(int64_t m, int64_t n, int64_t r, double share, double noise, uint64_t seed)
{
    planted p = { 0 };
    lode_array A = gaussian(m, r, seed), B = gaussian(n, r, seed + 100);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &A, &B, &p.L));
    assert_ok(&ctx, lode_i_scale(&ctx, 1 / sqrt((double)r), &p.L));
    p.S = gaussian(m, n, seed + 200), p.X = gaussian(m, n, seed + 300);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const uint64_t at = (uint64_t)(2 * (i * n + j));
            const double u = 18 * draw(seed, at + 1);
            lode_i_set2(&p.S, i, j, draw(seed, at) < share ? u < 9 ? 1 + u : 8 - u : 0);
            lode_i_set2(&p.X, i, j,
                        lode_i_get2(&p.L, i, j) + lode_i_get2(&p.S, i, j) +
                            noise * lode_i_get2(&p.X, i, j));
        }
    LODE_FREE(&A, &B);
    return p;
}

static void free_planted(planted *p)
{
    LODE_FREE(&p->X, &p->L, &p->S);
}

static lode_status fit(const lode_rpca_opts *o, const lode_array *X, lode_bundle *b)
{
    const lode_status st = lode_rpca(&ctx, o, lode_from_array(X), b);
    snprintf(b->meta.op, sizeof b->meta.op, "rpca");
    return st;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static double scalar(const lode_bundle *b, const char *name)
{
    double v = NAN;
    assert_ok(&ctx, lode_bundle_f64(&ctx, b, name, &v));
    return v;
}

static lode_array term(const lode_bundle *b, const char *name)
{
    lode_part part = { 0 };
    lode_array y = { 0 };
    snprintf(part.component, sizeof part.component, "%s", name);
    assert_ok(&ctx, lode_invert(&ctx, b, lode_none(), &part, &y));
    return y;
}

/* |a - b| / |b| */
static double off(const lode_array *a, const lode_array *b)
{
    double d = 0, n = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &d));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, b, &n));
    return d / n;
}

static double both_off(const lode_bundle *b, const planted *p)
{
    lode_array L = term(b, "low"), S = term(b, "sparse");
    const double worst = fmax(off(&L, &p->L), off(&S, &p->S));
    LODE_FREE(&L, &S);
    return worst;
}

/* ---- recovery ---- */

static void both_methods_recover_planted_parts(void **state)
{
    (void)state;
    for (int method = 0; method < 4;
         method++) { /* pcp, altproj, its rank auto, pcp of a wide one */
        planted p = method < 3 ? plant(90, 70, 3, 0.08, 0, 5) : plant(60, 150, 3, 0.08, 0, 6);
        lode_rpca_opts o = lode_rpca_defaults();
        lode_bundle b = { 0 };
        o.method = method == 1 || method == 2 ? LODE_RPCA_ALTPROJ : LODE_RPCA_PCP;
        if (method == 1)
            o.rank = lode_rank(3);
        assert_ok(&ctx, fit(&o, &p.X, &b));
        assert_int_equal(member(&b, "s")->shape[0], 3);
        assert_le(both_off(&b, &p), 1e-5);
        assert_le(b.certificate.value, 1e-7);
        /* the support is that of the errors */
        const lode_sparse *S = lode_bundle_get(&b, "sparse").as.sparse;
        int64_t planted_errors = 0;
        for (int64_t i = 0; i < p.S.shape[0]; i++)
            for (int64_t j = 0; j < p.S.shape[1]; j++)
                planted_errors += fabs(lode_i_get2(&p.S, i, j)) > 0;
        if (o.method == LODE_RPCA_PCP)
            assert_int_equal(lode_sparse_nnz(S), planted_errors);
        assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &b.certificate));
        LODE_FREE(&b);
        free_planted(&p);
    }
}

/* At the least of |L|_* + lambda |S|_1 there is Y with U'Y V = I, |Y|_2 <= 1, |Y|_max <= lambda, and lambda times
 * the sign of S where S is not 0; with noise Y = (X - L - S) / nu. The data have no structure, so that nothing but
 * the optimum fits. */
static void the_end_is_optimal(void **state)
{
    (void)state;
    for (int noisy = 0; noisy < 2; noisy++) {
        lode_array X = gaussian(40, 30, 9), Y = { 0 }, YV = { 0 }, G = { 0 }, eye = { 0 },
                   s = { 0 };
        lode_rpca_opts o = lode_rpca_defaults();
        lode_bundle b = { 0 };
        double apart = 0;
        o.dual = true, o.tol = (lode_auto_f64){ true, 1e-9 }, o.max_iter = 20000;
        o.noise = (lode_auto_f64){ true, noisy ? 0.1 : 0 };
        assert_ok(&ctx, fit(&o, &X, &b));
        const lode_array *U = member(&b, "U"), *V = member(&b, "V");
        assert_ok(&ctx, lode_array_cast(&ctx, member(&b, "dual"), LODE_F64, &Y));
        const double lambda = scalar(&b, "sparsity"), nu = noisy ? 0.1 * sqrt(2 * 40) : 0;
        assert_near(lambda, 1 / sqrt(40), 1e-15);
        assert_true(U->shape[1] > 0);
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &Y, V, &YV));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, U, &YV, &G));
        assert_ok(&ctx, lode_i_eye(&ctx, LODE_F64, U->shape[1], &eye));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &G, &eye, &apart));
        assert_le(apart, 1e-5);
        assert_ok(&ctx, lode_i_svd(&ctx, &Y, 30, NULL, &s, NULL));
        assert_le(lode_i_get1(&s, 0), 1 + 1e-6);
        lode_array L = term(&b, "low"), S = term(&b, "sparse");
        for (int64_t i = 0; i < 40; i++)
            for (int64_t j = 0; j < 30; j++) {
                const double y = lode_i_get2(&Y, i, j), e = lode_i_get2(&S, i, j),
                             n = lode_i_get2(&X, i, j) - lode_i_get2(&L, i, j) - e;
                assert_le(fabs(y), lambda * (1 + 1e-12));
                if (fabs(e) > 0)
                    assert_near(y, e > 0 ? lambda : -lambda, 1e-12);
                assert_near(n, nu * y, 1e-6);
            }
        assert_le(fabs(scalar(&b, "gap")), 1e-6);
        LODE_FREE(&X, &Y, &YV, &G, &eye, &s, &L, &S, &b);
    }
}

static void the_gap_bounds_other_points(void **state)
{
    (void)state;
    planted p = plant(60, 55, 8, 0.2, 0.1, 3); /* beyond recovery */
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle rough = { 0 }, good = { 0 };
    o.tol = (lode_auto_f64){ true, 1e-2 };
    assert_ok(&ctx, fit(&o, &p.X, &rough));
    o.tol = (lode_auto_f64){ true, 1e-9 }, o.max_iter = 20000;
    assert_ok(&ctx, fit(&o, &p.X, &good));
    const double least = scalar(&good, "objective"), some = scalar(&rough, "objective");
    assert_true(some > least);
    assert_le((some - least) / some, scalar(&rough, "gap"));
    LODE_FREE(&rough, &good);
    free_planted(&p);
}

/* ---- missing entries, noise, caps ---- */

static void missing_entries_are_filled_and_never_read(void **state)
{
    (void)state;
    planted p = plant(80, 80, 2, 0.05, 0, 11);
    lode_array mask = gaussian(80, 80, 12), hidden = { 0 };
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle a = { 0 }, b = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &p.X, LODE_F64, &hidden));
    for (int64_t i = 0; i < 80; i++)
        for (int64_t j = 0; j < 80; j++) {
            const bool gone = draw(13, (uint64_t)(i * 80 + j)) < 0.15;
            lode_i_set2(&mask, i, j, gone ? 0 : 1);
            lode_i_set2(&hidden, i, j, gone ? NAN : lode_i_get2(&p.X, i, j));
            if (gone)
                lode_i_set2(&p.S, i, j, 0);
        }
    lode_i_set2(&p.X, 0, 0, lode_i_get2(&mask, 0, 0) > 0 ? lode_i_get2(&p.X, 0, 0) : INFINITY);
    assert_ok(&ctx, fit(&o, &hidden, &a));
    o.mask = &mask;
    assert_ok(&ctx, fit(&o, &p.X, &b));
    assert_le(both_off(&a, &p), 1e-5);
    assert_near(off(member(&a, "U"), member(&b, "U")), 0, 0);
    assert_near(off(member(&a, "V"), member(&b, "V")), 0, 0);
    o.method = LODE_RPCA_ALTPROJ, o.rank = lode_rank(2);
    LODE_FREE(&b);
    assert_ok(&ctx, fit(&o, &p.X, &b));
    assert_le(both_off(&b, &p), 1e-5);
    LODE_FREE(&a, &b, &mask, &hidden);
    free_planted(&p);
}

static void noise_is_estimated(void **state)
{
    (void)state;
    for (int method = 0; method < 2; method++) {
        planted p = plant(150, 100, 3, 0.05, 0.05, 21);
        lode_rpca_opts o = lode_rpca_defaults();
        lode_bundle b = { 0 };
        o.method = method ? LODE_RPCA_ALTPROJ : LODE_RPCA_PCP;
        o.noise = (lode_auto_f64){ 0 };
        assert_true(fit(&o, &p.X, &b) >= 0);
        assert_near(scalar(&b, "noise"), 0.05, 0.05 * 0.15);
        lode_array L = term(&b, "low");
        assert_le(off(&L, &p.L),
                  0.06); /* about noise sqrt(r (m + n) / (m n)), and pcp's shrinkage */
        LODE_FREE(&L, &b);
        free_planted(&p);
        p = plant(150, 100, 3, 0.05, 0, 22);
        assert_ok(&ctx, fit(&o, &p.X, &b));
        assert_le(scalar(&b, "noise"), 1e-5);
        assert_le(both_off(&b, &p), 1e-4);
        LODE_FREE(&b);
        free_planted(&p);
    }
}

static void the_cap_holds(void **state)
{
    (void)state;
    planted p = plant(120, 100, 6, 0.05, 0, 31);
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 };
    o.max_rank = (lode_auto_i64){ true, 4 }, o.max_iter = 100;
    assert_true(fit(&o, &p.X, &b) >= 0);
    assert_int_equal(member(&b, "s")->shape[0], 4);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &b.certificate));
    LODE_FREE(&b);
    free_planted(&p);
}

static void single_precision_recovers_to_its_digits(void **state)
{
    (void)state;
    planted p = plant(100, 80, 3, 0.08, 0, 41);
    lode_array X = { 0 };
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &p.X, LODE_F32, &X));
    for (int method = 0; method < 2; method++) {
        o.method = method ? LODE_RPCA_ALTPROJ : LODE_RPCA_PCP;
        assert_ok(&ctx, fit(&o, &X, &b));
        assert_int_equal(member(&b, "U")->dtype, LODE_F32);
        assert_int_equal(member(&b, "s")->shape[0], 3);
        assert_le(both_off(&b, &p), 1e-3);
        LODE_FREE(&b);
    }
    LODE_FREE(&X);
    free_planted(&p);
}

/* ---- verbs ---- */

static void new_rows_and_columns_are_seen_through_errors(void **state)
{
    (void)state;
    planted p = plant(80, 60, 3, 0.05, 0, 51);
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 }, rows = { 0 }, columns = { 0 };
    lode_array x = { 0 }, y = { 0 }, low = { 0 };
    assert_ok(&ctx, fit(&o, &p.X, &b));
    /* combinations of rows of L, spoilt in a fifth of the places, one missing */
    lode_array C = gaussian(4, 80, 52), D = gaussian(5, 60, 53), T = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &C, &p.L, &x));
    assert_ok(&ctx, lode_array_cast(&ctx, &x, LODE_F64, &y));
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = i; j < 60; j += 5)
            lode_i_set2(&y, i, j, lode_i_get2(&y, i, j) + 100 * (draw(54, (uint64_t)j) + 0.1));
    lode_i_set2(&y, 2, 4, NAN);
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&y), &rows));
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_from_array(member(&rows, "codes")), NULL, &low));
    assert_le(off(&low, &x), 1e-5);
    const lode_sparse *S = lode_bundle_get(&rows, "sparse").as.sparse;
    assert_int_equal(lode_sparse_nnz(S), 12 * 4);
    /* columns: m x 5 */
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &p.L, &D, &T));
    lode_i_set2(&T, 7, 2, 1e4);
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&T), &columns));
    lode_array back = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, member(&b, "U"), member(&columns, "columns"),
                                &back));
    lode_i_set2(&T, 7, 2, lode_i_get2(&back, 7, 2));
    assert_le(off(&back, &T), 1e-5);
    assert_int_equal(lode_sparse_nnz(lode_bundle_get(&columns, "sparse").as.sparse), 1);
    assert_status(&ctx, lode_apply(&ctx, &b, lode_from_array(&C), &rows), LODE_ESHAPE);
    assert_says(&ctx, "4 x 80");
    LODE_FREE(&x, &y, &low, &C, &D, &T, &back, &b, &rows, &columns);
    free_planted(&p);
}

static void parts_are_what_the_whole_is_made_of(void **state)
{
    (void)state;
    planted p = plant(30, 25, 2, 0.1, 0, 61);
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 };
    lode_array whole = { 0 }, some = { 0 };
    assert_ok(&ctx, fit(&o, &p.X, &b));
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &whole));
    assert_le(off(&whole, &p.X), 1e-6);
    lode_part part = { .ndim = 2, .start = { 3, 5 }, .count = { 7, -1 } };
    for (int t = 0; t < 3; t++) {
        snprintf(part.component, sizeof part.component, "%s",
                 t == 0   ? ""
                 : t == 1 ? "low"
                          : "sparse");
        lode_array all = t == 0 ? lode_array_ref(&whole) : term(&b, part.component);
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), &part, &some));
        for (int64_t i = 0; i < 7; i++)
            for (int64_t j = 0; j < 20; j++)
                assert_near(lode_i_get2(&some, i, j), lode_i_get2(&all, i + 3, j + 5), 1e-12);
        LODE_FREE(&all);
    }
    snprintf(part.component, sizeof part.component, "high");
    assert_status(&ctx, lode_invert(&ctx, &b, lode_none(), &part, &some), LODE_EUSAGE);
    assert_says(&ctx, "low|sparse");
    LODE_FREE(&whole, &some, &b);
    free_planted(&p);
}

static void tampering_is_found(void **state)
{
    (void)state;
    planted p = plant(40, 30, 2, 0.1, 0, 71);
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 };
    lode_certificate found;
    o.dual = true;
    assert_ok(&ctx, fit(&o, &p.X, &b));
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &found));
    lode_sparse *S = (lode_sparse *)(uintptr_t)lode_bundle_get(&b, "sparse").as.sparse;
    const double value = lode_i_get1(&S->values, 4);
    lode_i_set1(&S->values, 4, value + 0.01);
    assert_status(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &found), LODE_EVERIFY);
    lode_i_set1(&S->values, 4, value);
    lode_array *Y = (lode_array *)(uintptr_t)member(&b, "dual");
    const double y = lode_i_get2(Y, 3, 3);
    lode_i_set2(Y, 3, 3, 2);
    assert_status(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &found), LODE_EVERIFY);
    assert_says(&ctx, "dual");
    lode_i_set2(Y, 3, 3, y);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&p.X), &found));
    assert_near(found.value, b.certificate.value, 1e-12);
    LODE_FREE(&b);
    free_planted(&p);
}

/* ---- edges ---- */

static void degenerate_matrices_have_results(void **state)
{
    (void)state;
    static const int64_t shape[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 5, 4 }, { 2, 200 } };
    static const double scale[] = { 0, 1, 1e300, 1e-300 };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (int k = 0; k < 4; k++)
            for (int method = 0; method < 2; method++) {
                lode_array X = gaussian(shape[i][0], shape[i][1], 81 + i), back = { 0 };
                lode_rpca_opts o = lode_rpca_defaults();
                lode_bundle b = { 0 };
                lode_certificate found;
                double d = 0, n = 0;
                assert_ok(&ctx, lode_i_scale(&ctx, scale[k], &X));
                o.method = method ? LODE_RPCA_ALTPROJ : LODE_RPCA_PCP;
                assert_true(fit(&o, &X, &b) >= 0);
                assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &found));
                assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &back));
                assert_ok(&ctx, lode_i_diff_fro(&ctx, &back, &X, &d));
                assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &n));
                assert_near(d, b.certificate.absolute, 1e-3 * d + 1e-12 * n);
                assert_le(d, method ? n : 1e-5 * n);
                LODE_FREE(&X, &back, &b);
            }
}

static void bad_requests_get_a_sentence(void **state)
{
    (void)state;
    lode_array X = gaussian(6, 5, 91), mask = gaussian(5, 5, 92);
    lode_rpca_opts o = lode_rpca_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(2);
    assert_status(&ctx, fit(&o, &X, &b), LODE_EUSAGE);
    assert_says(&ctx, "altproj");
    o.method = LODE_RPCA_ALTPROJ, o.rank = lode_rank(6);
    assert_status(&ctx, fit(&o, &X, &b), LODE_EPARAM);
    assert_says(&ctx, "min(m, n) = 5");
    o.rank = lode_rank(2), o.sparsity = (lode_auto_f64){ true, 0.1 };
    assert_status(&ctx, fit(&o, &X, &b), LODE_EUSAGE);
    o = lode_rpca_defaults();
    o.mask = &mask;
    assert_status(&ctx, fit(&o, &X, &b), LODE_ESHAPE);
    assert_says(&ctx, "5 x 5");
    o = lode_rpca_defaults();
    lode_i_set2(&X, 3, 2, -INFINITY);
    assert_status(&ctx, fit(&o, &X, &b), LODE_EDOMAIN);
    assert_says(&ctx, "[3,2]");
    lode_i_set2(&X, 3, 2, NAN);
    o.missing.kind = LODE_MISSING_NONE;
    assert_status(&ctx, fit(&o, &X, &b), LODE_EDOMAIN);
    assert_says(&ctx, "[3,2]");
    o = lode_rpca_defaults();
    assert_ok(&ctx, lode_i_fill(&ctx, &X, NAN));
    assert_status(&ctx, fit(&o, &X, &b), LODE_EDOMAIN);
    assert_int_equal(b.count, 0);
    o.max_iter = 1;
    LODE_FREE(&X);
    X = gaussian(30, 20, 93);
    assert_status(&ctx, fit(&o, &X, &b), LODE_NOCONV);
    assert_int_equal(member(&b, "trace")->shape[0], 2);
    LODE_FREE(&X, &mask, &b);
}

/* ---- the layers below ---- */

/* A sequence of slowly changing matrices: thresholded singular values as a whole decomposition gives them. */
static void thresholding_follows_a_matrix(void **state)
{
    (void)state;
    lode_i_shrink s = { .most = 90, .op = "test" };
    lode_array A = gaussian(200, 6, 1), B = gaussian(90, 6, 2), N = gaussian(200, 90, 3);
    for (int step = 0; step < 6; step++) {
        lode_array W = { 0 }, U = { 0 }, d = { 0 }, V = { 0 }, got = { 0 }, want = { 0 }, u = { 0 },
                   all = { 0 }, v = { 0 };
        double apart = 0, most = 0;
        assert_ok(&ctx, lode_array_cast(&ctx, &N, LODE_F64, &W));
        assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_T, 1 + 0.1 * step, &A, &B, 1, &W));
        const double threshold = step < 4 ? 40 : 12; /* then more than half of them survive */
        assert_ok(&ctx, lode_i_shrink_step(&ctx, &W, threshold, 1e-8, &s, &U, &d, &V));
        assert_ok(&ctx, lode_i_svd(&ctx, &W, 90, &u, &all, &v));
        int64_t k = 0;
        for (int64_t i = 0; i < 90; i++) {
            const double x = lode_i_get1(&all, i) - threshold;
            k += x > 0;
            lode_i_set1(&all, i, x > 0 ? x : 0);
        }
        assert_int_equal(d.shape[0], k);
        assert_ok(&ctx, lode_i_scale_cols(&ctx, &U, &d));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &U, &V, &got));
        assert_ok(&ctx, lode_i_scale_cols(&ctx, &u, &all));
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &u, &v, &want));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &got, &want, &apart));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &want, &most));
        assert_le(apart, 1e-6 * most);
        LODE_FREE(&W, &U, &d, &V, &got, &want, &u, &all, &v);
    }
    assert_int_equal(s.full, 2);
    lode_i_shrink_free(&s);
    LODE_FREE(&A, &B, &N);
}

/* With one regressor the least sum of absolute values is at a weighted median of x_j / v_j, which is found by
 * trying each of them. */
static void rows_are_weighted_medians(void **state)
{
    (void)state;
    enum { N = 25 };
    lode_array X = gaussian(6, N, 4), V = gaussian(N, 1, 5), Z = { 0 }, R = { 0 };
    lode_i_set2(&X, 1, 3, NAN);
    lode_i_set2(&X, 2, 0, 1e3);
    assert_ok(&ctx, lode_i_robust_rows(&ctx, &X, &V, 0, 0, &Z, &R));
    for (int64_t i = 0; i < 6; i++) {
        double best = INFINITY, got = 0;
        for (int64_t c = 0; c <= N; c++) {
            const double z = c < N ? lode_i_get2(&X, i, c) / lode_i_get2(&V, c, 0)
                                   : lode_i_get2(&Z, i, 0);
            double sum = 0;
            for (int64_t j = 0; j < N; j++) {
                const double d = fabs(lode_i_get2(&X, i, j) - z * lode_i_get2(&V, j, 0));
                sum += d == d ? d : 0;
            }
            if (c < N && z == z && sum < best)
                best = sum;
            got = sum;
        }
        assert_le(got, best * (1 + 1e-6));
    }
    LODE_FREE(&X, &V, &Z, &R);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_methods_recover_planted_parts),
        TEST(the_end_is_optimal),
        TEST(the_gap_bounds_other_points),
        TEST(missing_entries_are_filled_and_never_read),
        TEST(noise_is_estimated),
        TEST(the_cap_holds),
        TEST(single_precision_recovers_to_its_digits),
        TEST(new_rows_and_columns_are_seen_through_errors),
        TEST(parts_are_what_the_whole_is_made_of),
        TEST(tampering_is_found),
        TEST(degenerate_matrices_have_results),
        TEST(bad_requests_get_a_sentence),
        TEST(thresholding_follows_a_matrix),
        TEST(rows_are_weighted_medians),
    };
    return cmocka_run_group_tests_name("rpca", tests, NULL, NULL);
}
