/* nmf: planted parts, monotone descent, optimality conditions, brute force over supports, masks, losses. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "linalg/nonneg.h"
#include "lode/lode.h"

static double draw(uint64_t seed, uint64_t i)
{
    lode_ctx key = { .seed = seed };
    return lode_i_random_uniform(lode_i_stream(&key, "test-nmf", 0), i);
}

static lode_array matrix(int64_t rows, int64_t cols, double share, uint64_t seed)
{
    lode_array A = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, rows, cols, &A));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            const uint64_t at = (uint64_t)(2 * (i * cols + j));
            lode_i_set2(&A, i, j, draw(seed, at) < share ? 0.1 + draw(seed, at + 1) : 0);
        }
    return A;
}

/* W H^T + noise * uniform, from sparse parts. */
static lode_array planted(int64_t m, int64_t n, int64_t k, double noise, uint64_t seed,
                          lode_array *W, lode_array *H)
{
    lode_array X = { 0 }, E = matrix(m, n, 1, seed + 2);
    *W = matrix(m, k, 0.5, seed), *H = matrix(n, k, 0.5, seed + 1);
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, W, H, &X));
    assert_ok(&ctx, lode_i_axpy(&ctx, noise, &E, &X));
    lode_array_free(&E);
    return X;
}

/* The bundle as the generic call gives it. */
static lode_status fit(const lode_nmf_opts *o, lode_value X, lode_bundle *b)
{
    const lode_status st = lode_nmf(&ctx, o, X, b);
    snprintf(b->meta.op, sizeof b->meta.op, "nmf");
    return st;
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static double column(const lode_array *A, int64_t a, const lode_array *B, int64_t b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < A->shape[0]; i++) {
        const double x = lode_i_get2(A, i, a), y = lode_i_get2(B, i, b);
        ab += x * y, aa += x * x, bb += y * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* Least over the planted columns of the best cosine with a found one. */
static double matched(const lode_array *found, const lode_array *truth)
{
    double least = 1;
    for (int64_t c = 0; c < truth->shape[1]; c++) {
        double best = 0;
        for (int64_t d = 0; d < found->shape[1]; d++)
            best = fmax(best, column(found, d, truth, c));
        least = fmin(least, best);
    }
    return least;
}

static double scalar(const lode_bundle *b, const char *name)
{
    double v = NAN;
    assert_ok(&ctx, lode_bundle_f64(&ctx, b, name, &v));
    return v;
}

/* ||X - W diag(s) H'|| over the entries where M is not 0 (NULL: all), by loops. */
static double residual(const lode_array *X, const lode_bundle *b, const lode_array *M)
{
    const lode_array *s = member(b, "s"), *W = member(b, "factor.0"), *H = member(b, "factor.1");
    double sum = 0;
    for (int64_t i = 0; i < X->shape[0]; i++)
        for (int64_t j = 0; j < X->shape[1]; j++) {
            double v = lode_i_get2(X, i, j);
            const double w = M ? lode_i_get2(M, i, j) : isfinite(v);
            for (int64_t c = 0; c < s->shape[0]; c++)
                v -= lode_i_get1(s, c) * lode_i_get2(W, i, c) * lode_i_get2(H, j, c);
            sum += w > 0 ? w * v * v : 0;
        }
    return sqrt(sum);
}

static void free_all(lode_array *a, lode_array *b, lode_array *c)
{
    lode_array_free(a);
    lode_array_free(b);
    lode_array_free(c);
}

static void planted_parts_are_found(void **state)
{
    (void)state;
    lode_array W, H, X = planted(120, 50, 4, 0.02, 3, &W, &H);
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(4);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_le(0.97, matched(member(&b, "factor.0"), &W));
    assert_le(0.97, matched(member(&b, "factor.1"), &H));
    assert_near(residual(&X, &b, NULL), b.certificate.absolute, 1e-9 * b.certificate.absolute);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &b.certificate));
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
}

/* At a minimum: gradient G >= 0 where a factor is 0, and G = 0 where it is not (Karush-Kuhn-Tucker). */
static void the_end_is_a_stationary_point(void **state)
{
    (void)state;
    lode_array W, H, X = planted(40, 30, 3, 0.5, 8, &W, &H), P = { 0 }, G = { 0 }, D = { 0 },
                     S = { 0 };
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(3), o.tol = 1e-13, o.max_iter = 20000;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_ok(&ctx, lode_array_cast(&ctx, member(&b, "factor.0"), LODE_F64, &S));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &S, member(&b, "s")));
    const lode_array *B = member(&b, "factor.1");
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &X, B, &P));
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_T, B, &G));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &S, &G, &D));
    assert_ok(&ctx, lode_i_axpy(&ctx, -1, &P, &D));
    double size = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &P, &size));
    for (int64_t i = 0; i < 40; i++)
        for (int64_t c = 0; c < 3; c++) {
            const double g = lode_i_get2(&D, i, c) / size;
            assert_le(lode_i_get2(&S, i, c) > 0 ? fabs(g) : -g, 1e-5);
        }
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
    free_all(&P, &G, &D);
    lode_array_free(&S);
}

/* The objective after 1, 2, .. iterations, of every way there is. */
static void no_iteration_raises_the_objective(void **state)
{
    (void)state;
    for (int way = 0; way < 6; way++) {
        lode_array W, H, X = planted(30, 24, 3, 0.3, 20 + (uint64_t)way, &W, &H);
        lode_nmf_opts o = lode_nmf_defaults();
        double before = INFINITY;
        o.rank = lode_rank(4), o.init = LODE_NMF_RANDOM, o.tol = 0;
        o.method = way == 1 ? LODE_NMF_MU : LODE_NMF_AUTO;
        o.loss = way == 2 || way == 3 ? LODE_NMF_KL : LODE_NMF_FROBENIUS;
        if (way == 3 || way == 4)
            lode_i_set2(&X, 3, 5, NAN), lode_i_set2(&X, 7, 5, NAN);
        if (way == 5)
            o.l1 = (lode_list){ 1, { 0.2 } }, o.ridge = (lode_list){ 2, { 0.1, 0.3 } };
        if (way == 5)
            o.restarts = 2; /* whose objectives are told */
        for (int64_t steps = 1; steps <= 40; steps += way == 5 ? 3 : 40) {
            lode_bundle b = { 0 };
            o.max_iter = steps;
            const lode_status st = fit(&o, lode_from_array(&X), &b);
            assert_true(st == LODE_NOCONV);
            const lode_array *trace = member(&b, "trace");
            if (way == 5) {
                const double now = lode_i_get1(member(&b, "objectives"), 0);
                assert_le(now, before * (1 + 1e-12));
                before = now;
            } else if (o.loss == LODE_NMF_FROBENIUS) {
                for (int64_t i = 1; i < trace->shape[0]; i++)
                    assert_le(lode_i_get1(trace, i), lode_i_get1(trace, i - 1) * (1 + 1e-12));
            }
            lode_bundle_free(&b);
        }
        for (int64_t steps = 1; o.loss == LODE_NMF_KL && steps <= 12; steps++) {
            lode_bundle b = { 0 };
            o.max_iter = steps;
            assert_true(fit(&o, lode_from_array(&X), &b) == LODE_NOCONV);
            const double now = scalar(&b, "divergence");
            assert_le(now, before * (1 + 1e-12));
            before = now;
            lode_bundle_free(&b);
        }
        free_all(&W, &H, &X);
    }
}

/* The divergence by its formula, of a dense and the same sparse matrix, which has zeros. */
static void the_divergence_is_that_of_the_factors(void **state)
{
    (void)state;
    lode_array W, H, X = planted(25, 20, 2, 0, 31, &W, &H);
    lode_sparse coo = { .layout = LODE_COO, .ndim = 2, .shape = { 25, 20 } };
    int64_t nnz = 0;
    for (int64_t i = 0; i < 500; i++)
        nnz += lode_i_get2(&X, i / 20, i % 20) > 0;
    assert_true(nnz < 500);
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ nnz, 2 }, &coo.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, nnz, &coo.values));
    for (int64_t i = 0, e = 0; i < 500; i++)
        if (lode_i_get2(&X, i / 20, i % 20) > 0) {
            lode_i_set2(&coo.indices, e, 0, (double)(i / 20));
            lode_i_set2(&coo.indices, e, 1, (double)(i % 20));
            lode_i_set1(&coo.values, e++, lode_i_get2(&X, i / 20, i % 20));
        }
    lode_nmf_opts o = lode_nmf_defaults();
    o.rank = lode_rank(2), o.loss = LODE_NMF_KL, o.init = LODE_NMF_RANDOM, o.max_iter = 30,
    o.tol = 0;
    double value[2];
    for (int k = 0; k < 2; k++) {
        lode_bundle b = { 0 };
        assert_true(fit(&o, k ? lode_from_sparse(&coo) : lode_from_array(&X), &b) == LODE_NOCONV);
        lode_array Y = { 0 };
        assert_ok(&ctx, lode_invert(&ctx, &b, lode_none(), NULL, &Y));
        double sum = 0;
        for (int64_t i = 0; i < 500; i++) {
            const double x = lode_i_get2(&X, i / 20, i % 20), y = lode_i_get2(&Y, i / 20, i % 20);
            sum += (x > 0 ? x * log(x / y) : 0) - x + y;
        }
        value[k] = scalar(&b, "divergence");
        assert_near(sum, value[k], 1e-9 * (1 + fabs(sum)));
        assert_near(residual(&X, &b, NULL), b.certificate.absolute, 1e-9);
        lode_certificate again;
        assert_ok(&ctx,
                  lode_verify(&ctx, &b, k ? lode_from_sparse(&coo) : lode_from_array(&X), &again));
        assert_near(again.value, b.certificate.value, 1e-9);
        lode_array_free(&Y);
        lode_bundle_free(&b);
    }
    assert_near(value[0], value[1], 1e-9);
    lode_sparse_free(&coo);
    free_all(&W, &H, &X);
}

/* Least squares over w >= 0 by trying every support, against the codes that apply gives. */
static double brute_force(const lode_array *B, const double *x, int64_t n)
{
    double best = 0;
    for (int64_t j = 0; j < n; j++)
        best += x[j] * x[j];
    for (int mask = 1; mask < 8; mask++) {
        double A[3][4] = { { 0 } };
        int at[3], k = 0;
        for (int c = 0; c < 3; c++)
            if (mask >> c & 1)
                at[k++] = c;
        for (int64_t j = 0; j < n; j++)
            for (int r = 0; r < k; r++) {
                for (int c = 0; c < k; c++)
                    A[r][c] += lode_i_get2(B, j, at[r]) * lode_i_get2(B, j, at[c]);
                A[r][3] += lode_i_get2(B, j, at[r]) * x[j];
            }
        for (int p = 0; p < k; p++)
            for (int r = 0; r < k; r++) {
                const double by = r == p ? 0 : A[r][p] / A[p][p];
                for (int c = 0; c < 4; c++)
                    A[r][c] -= by * A[p][c];
            }
        double sum = 0;
        bool feasible = true;
        for (int r = 0; r < k; r++)
            feasible = feasible && A[r][3] / A[r][r] >= 0;
        for (int64_t j = 0; j < n && feasible; j++) {
            double v = x[j];
            for (int r = 0; r < k; r++)
                v -= A[r][3] / A[r][r] * lode_i_get2(B, j, at[r]);
            sum += v * v;
        }
        best = feasible ? fmin(best, sum) : best;
    }
    return best;
}

static void codes_of_new_rows_are_nonnegative_least_squares(void **state)
{
    (void)state;
    lode_array W, H, X = planted(40, 12, 3, 0.2, 41, &W, &H), new_rows = matrix(20, 12, 0.5, 99);
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 }, coded = { 0 };
    o.rank = lode_rank(3);
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_ok(&ctx, lode_apply(&ctx, &b, lode_from_array(&new_rows), &coded));
    lode_array back = { 0 };
    assert_ok(&ctx, lode_invert(&ctx, &b, lode_from_array(member(&coded, "codes")), NULL, &back));
    for (int64_t i = 0; i < 20; i++) {
        double x[12], sum = 0;
        for (int64_t j = 0; j < 12; j++) {
            x[j] = lode_i_get2(&new_rows, i, j);
            sum += pow(x[j] - lode_i_get2(&back, i, j), 2);
        }
        assert_near(sum, brute_force(member(&b, "factor.1"), x, 12), 1e-9);
    }
    lode_array_free(&back);
    lode_bundle_free(&coded);
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
    lode_array_free(&new_rows);
}

static void what_is_missing_is_filled_in(void **state)
{
    (void)state;
    lode_array W, H, X = planted(60, 40, 3, 0, 51, &W, &H), Y = { 0 }, M = { 0 }, Z = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &Y));
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &Z));
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 60, 40, &M));
    for (int64_t i = 0; i < 60; i++)
        for (int64_t j = 0; j < 40; j++) {
            const bool seen = draw(7, (uint64_t)(i * 40 + j)) > 0.3;
            lode_i_set2(&M, i, j, seen);
            lode_i_set2(&Y, i, j, seen ? lode_i_get2(&X, i, j) : NAN);
            lode_i_set2(&Z, i, j, seen ? lode_i_get2(&X, i, j) : -5); /* the mask hides it */
        }
    for (int way = 0; way < 3; way++) {
        lode_nmf_opts o = lode_nmf_defaults();
        lode_bundle b = { 0 };
        o.rank = lode_rank(3), o.tol = 1e-8, o.max_iter = 5000;
        o.mask = way == 1 ? &M : NULL, o.weights = way == 2 ? &M : NULL;
        assert_ok(&ctx, fit(&o, lode_from_array(way == 0 ? &Y : &Z), &b));
        assert_near(residual(&Z, &b, &M), b.certificate.absolute, 1e-10);
        double norm = 0;
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &norm));
        assert_le(residual(&X, &b, NULL), 1e-3 * norm); /* those not seen too */
        lode_bundle_free(&b);
    }
    free_all(&W, &H, &X);
    free_all(&Y, &M, &Z);
}

static void restarts_agree_where_the_parts_are_clear(void **state)
{
    (void)state;
    lode_array W, H, X = planted(60, 30, 3, 0, 61, &W, &H);
    for (int64_t i = 0; i < 60; i++) /* rows of one part each */
        for (int64_t j = 0; j < 30; j++)
            lode_i_set2(&X, i, j,
                        (j / 10 == i / 20 ? 1 : 0) + 0.05 * draw(5, (uint64_t)(i * 30 + j)));
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(3), o.restarts = 6;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_near(scalar(&b, "cophenetic"), 1, 1e-9);
    const lode_array *C = member(&b, "consensus");
    for (int64_t i = 0; i < 60; i++)
        for (int64_t j = 0; j < 60; j++)
            assert_near(lode_i_get2(C, i, j), i / 20 == j / 20, 1e-12);
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
}

static void the_rank_that_was_planted_is_chosen(void **state)
{
    (void)state;
    lode_array W, H, X = planted(50, 30, 3, 0, 71, &W, &H);
    for (int64_t i = 0; i < 50; i++)
        for (int64_t j = 0; j < 30; j++)
            lode_i_set2(&X, i, j,
                        lode_i_get2(&X, i, j) * (0.9 + 0.2 * draw(6, (uint64_t)(i * 30 + j))));
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    o.max_rank = (lode_auto_i64){ true, 5 };
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_int_equal(member(&b, "s")->shape[0], 3);
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
}

static void single_precision_and_held_out_entries(void **state)
{
    (void)state;
    lode_array W, H, X = planted(60, 40, 3, 0.1, 81, &W, &H), F = { 0 };
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 }, c = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F32, &F));
    o.rank = lode_rank(3);
    assert_ok(&ctx, fit(&o, lode_from_array(&F), &b));
    assert_true(member(&b, "factor.0")->dtype == LODE_F32);
    assert_near(residual(&X, &b, NULL), b.certificate.absolute, 1e-5 * b.certificate.absolute);
    o.holdout = 0.1;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &c));
    int64_t entries = 0;
    assert_ok(&ctx, lode_bundle_i64(&ctx, &c, "entries", &entries));
    assert_true(entries < 2300 && entries > 2000);
    assert_near(scalar(&c, "heldout"), c.certificate.value, 0.3 * c.certificate.value);
    lode_bundle_free(&b);
    lode_bundle_free(&c);
    free_all(&W, &H, &X);
    lode_array_free(&F);
}

static void refusals_name_what_is_wrong(void **state)
{
    (void)state;
    lode_array W, H, X = planted(20, 10, 2, 0.1, 91, &W, &H), small = matrix(3, 3, 1, 1);
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    o.rank = lode_rank(11);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EPARAM);
    o.rank = lode_rank(2);
    lode_i_set2(&X, 4, 7, -0.25);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[4,7] is -0.25");
    o.holdout = 0.1;
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[4,7] is -0.25");
    o.holdout = 0;
    lode_i_set2(&X, 4, 7, INFINITY);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[4,7] is inf");
    lode_i_set2(&X, 4, 7, NAN);
    o.missing = (lode_missing){ .kind = LODE_MISSING_NONE };
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "X[4,7] is nan");
    o.missing = (lode_missing){ .kind = LODE_MISSING_NAN };
    for (int64_t i = 0; i < 20; i++)
        lode_i_set2(&X, i, 7, NAN);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "column 7");
    for (int64_t i = 0; i < 20; i++)
        lode_i_set2(&X, i, 7, 0);
    o.mask = &small;
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_ESHAPE);
    o.mask = &X;
    lode_i_set2(&X, 2, 3, NAN);
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_EDOMAIN);
    assert_says(&ctx, "the mask is nan at [2,3]");
    lode_i_set2(&X, 2, 3, 1);
    o.mask = NULL, o.codes = &small;
    assert_status(&ctx, fit(&o, lode_from_array(&X), &b), LODE_ESHAPE);
    o.codes = NULL;
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b)); /* a column of zeros is data */
    for (int64_t c = 0; c < 2; c++)
        assert_near(lode_i_get2(member(&b, "factor.1"), 7, c), 0, 0);
    lode_bundle_free(&b);
    free_all(&W, &H, &X);
    lode_array_free(&small);
}

static void zeros_give_factors_of_zeros(void **state)
{
    (void)state;
    lode_array X = { 0 };
    lode_nmf_opts o = lode_nmf_defaults();
    lode_bundle b = { 0 };
    lode_certificate found;
    o.rank = lode_rank(2);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 9, 7 }, &X));
    assert_ok(&ctx, fit(&o, lode_from_array(&X), &b));
    assert_near(lode_i_get1(member(&b, "s"), 0), 0, 0);
    assert_ok(&ctx, lode_verify(&ctx, &b, lode_from_array(&X), &found));
    lode_bundle_free(&b);
    lode_array_free(&X);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(planted_parts_are_found),
        TEST(the_end_is_a_stationary_point),
        TEST(no_iteration_raises_the_objective),
        TEST(the_divergence_is_that_of_the_factors),
        TEST(codes_of_new_rows_are_nonnegative_least_squares),
        TEST(what_is_missing_is_filled_in),
        TEST(restarts_agree_where_the_parts_are_clear),
        TEST(the_rank_that_was_planted_is_chosen),
        TEST(single_precision_and_held_out_entries),
        TEST(refusals_name_what_is_wrong),
        TEST(zeros_give_factors_of_zeros),
    };
    return cmocka_run_group_tests_name("nmf", tests, NULL, NULL);
}
