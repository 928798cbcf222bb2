/* rank: its laws against published values, sampling and direct formulas; planted ranks, noise alone,
 * missing values, tensors; what is wrong with a request. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/masked.h"
#include "lode/lode.h"
#include "ops/matrix/rank.h"
#include "sample.h"

static lode_array noise(int64_t m, int64_t n, uint64_t seed)
{
    lode_array a = { 0 };
    lode_ctx key = { .seed = seed };
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&key, "noise", 1), LODE_F64, m, n, &a));
    return a;
}

/* k components of singular values `top` .. `least` times the edge of noise of deviation 1. */
static lode_array planted(int64_t m, int64_t n, int64_t k, double top, double least, double sigma,
                          uint64_t seed)
{
    lode_array U = noise(m, k, seed + 1000), V = noise(n, k, seed + 2000), X = noise(m, n, seed);
    lode_array d = { 0 };
    const double edge = sqrt((double)m) + sqrt((double)n);
    assert_ok(&ctx, lode_i_orth(&ctx, &U, NULL));
    assert_ok(&ctx, lode_i_orth(&ctx, &V, NULL));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, k, &d));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&d, i,
                    edge * (k > 1 ? top * pow(least / top, (double)i / (double)(k - 1)) : top));
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &U, &d));
    assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_T, 1, &U, &V, sigma, &X));
    lode_array_free(&U), lode_array_free(&V), lode_array_free(&d);
    return X;
}

static rank_report report_of(const lode_rank_opts *o, const lode_array *X)
{
    lode_bundle b = { 0 };
    rank_report r = { 0 };
    assert_ok(&ctx, lode_ranks(&ctx, o, lode_from_array(X), &b));
    assert_ok(&ctx, lode_i_rank_read(&ctx, &b, &r));
    lode_bundle_free(&b);
    return r;
}

static int64_t recommended(const rank_report *r, int64_t mode)
{
    return (int64_t)lode_i_get1(&r->rank, mode);
}

static void every_criterion_says(const rank_report *r, int64_t mode, int64_t rank)
{
    for (int c = 0; c < RANK_CRITERIA; c++) {
        const rank_choice v = lode_i_rank_choice(r, mode, (rank_criterion)c);
        if (v.rank != rank && c != RANK_AIC)
            fail_msg("%s says %" PRId64 ", not %" PRId64, lode_i_rank_names[c], v.rank, rank);
        assert_true(v.low <= v.rank && v.rank <= v.high);
    }
    assert_int_equal(recommended(r, mode), rank);
}

/* ---- laws ---- */

static void thresholds_are_those_published(void **state)
{
    (void)state;
    /* Gavish & Donoho 2014: lambda(1) = 4 / sqrt(3); omega from their Table IV */
    static const double omega[][2] = { { 0.05, 1.5194 }, { 0.1, 1.6089 }, { 0.2, 1.7650 },
                                       { 0.3, 1.9061 },  { 0.5, 2.1711 }, { 0.8, 2.5697 },
                                       { 1, 2.8582 } };
    assert_near(lode_i_threshold_lambda(1), 4 / sqrt(3), 1e-15);
    assert_near(lode_i_threshold_lambda(0), sqrt(2), 1e-15);
    for (size_t i = 0; i < sizeof omega / sizeof *omega; i++)
        assert_near(lode_i_threshold_omega(omega[i][0]), omega[i][1], 1e-3);
}

static void the_median_is_that_of_sampled_noise(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 200, 200 }, { 400, 160 }, { 1500, 60 } };
    for (int k = 0; k < 3; k++) {
        const int64_t N = shapes[k][0], p = shapes[k][1];
        lode_array A = noise(N, p, 7), s = { 0 };
        assert_ok(&ctx, lode_i_svd(&ctx, &A, p, NULL, &s, NULL));
        const double median = (lode_i_get1(&s, p / 2 - 1) + lode_i_get1(&s, p / 2)) / 2;
        /* values repel each other: the median of p is off by about 1 / p of the bulk's width */
        assert_near(median * median / (double)N, lode_i_threshold_median((double)p / (double)N),
                    2 * 4 * sqrt((double)p / (double)N) / (double)p);
        lode_array_free(&A), lode_array_free(&s);
    }
}

static void description_lengths_are_those_of_the_formula(void **state)
{
    (void)state;
    static const double l[5] = { 9, 4, 1.5, 1, 0.5 };
    const int64_t p = 5, N = 30;
    for (int64_t k = 0; k < p; k++) {
        /* Wax & Kailath, eq. 16: the geometric over the arithmetic mean to the power (p - k) N / 2 */
        double product = 1, sum = 0;
        for (int64_t i = k; i < p; i++)
            product *= l[i], sum += l[i];
        const double left = (double)(p - k);
        const double ratio = pow(product, 1 / left) / (sum / left);
        double axes = 0; /* free numbers: k orthonormal axes of p values, k values, the noise */
        for (int64_t i = 0; i < k; i++)
            axes += (double)(p - 1 - i);
        const double numbers = axes + (double)k + 1;
        const double fit = -log(pow(ratio, left * (double)N / 2));
        assert_near(lode_i_rank_length(l, p, N, k, false), fit + numbers / 2 * log((double)N),
                    1e-10);
        assert_near(lode_i_rank_length(l, p, N, k, true), fit + numbers, 1e-10);
    }
}

static void quantiles_are_those_of_the_tables(void **state)
{
    (void)state;
    static const double table[][2] = { { 1, 6.3138 }, { 3, 2.3534 },  { 6, 1.9432 },
                                       { 9, 1.8331 }, { 19, 1.7291 }, { 99, 1.6604 } };
    for (int i = 0; i < 6; i++)
        assert_near(lode_i_rank_student((int64_t)table[i][0]), table[i][1], 1e-3);
}

static void nested_errors_are_those_of_each_truncation(void **state)
{
    (void)state;
    enum { M = 41, N = 530, K = 5 };
    lode_array A = noise(M, N, 1), L = noise(M, K, 2), R = noise(K, N, 3), W = noise(M, N, 4);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            lode_i_set2(&W, i, j, lode_i_get2(&W, i, j) > 0);
    for (int with = 0; with < 2; with++) {
        double errors[K + 1];
        assert_ok(&ctx, lode_i_nested_errors(&ctx, &A, with ? &W : NULL, &L, &R, errors));
        for (int64_t k = 0; k <= K; k++) {
            double sum = 0;
            for (int64_t i = 0; i < M; i++)
                for (int64_t j = 0; j < N; j++) {
                    double d = lode_i_get2(&A, i, j);
                    for (int64_t q = 0; q < k; q++)
                        d -= lode_i_get2(&L, i, q) * lode_i_get2(&R, q, j);
                    sum += with ? lode_i_get2(&W, i, j) * d * d : d * d;
                }
            assert_near(errors[k], sum, 1e-12 * sum);
        }
    }
    lode_array_free(&A), lode_array_free(&L), lode_array_free(&R), lode_array_free(&W);
}

/* ---- data ---- */

static void planted_ranks_are_found(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {
        { 60, 60, 2 }, { 150, 40, 3 }, { 40, 150, 3 }, { 400, 20, 4 }
    };
    const lode_rank_opts o = lode_rank_defaults();
    for (int k = 0; k < 4; k++) {
        /* twice the edge: well above the 1.15 times that a component needs to be worth keeping */
        lode_array X = planted(shapes[k][0], shapes[k][1], shapes[k][2], 5, 2.2, 1, 30);
        rank_report r = report_of(&o, &X);
        every_criterion_says(&r, 0, shapes[k][2]);
        assert_near(lode_i_rank_get(&r, RANK_NOISE, 0, 0), 1, 0.15);
        lode_i_rank_free(&r);
        lode_array_free(&X);
    }
}

/* Each test of a first component is at 5 %. */
static void noise_alone_has_rank_0(void **state)
{
    (void)state;
    enum { RUNS = 40 };
    lode_rank_opts o = lode_rank_defaults();
    int64_t wrong[RANK_CRITERIA] = { 0 };
    o.max_rank.given = true, o.max_rank.value = 4;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        lode_array X = noise(60, 24, 100 + seed);
        rank_report r = report_of(&o, &X);
        for (int c = 0; c < RANK_CRITERIA; c++)
            wrong[c] += lode_i_rank_choice(&r, 0, (rank_criterion)c).rank != 0;
        assert_int_equal(recommended(&r, 0), 0);
        lode_i_rank_free(&r);
        lode_array_free(&X);
    }
    assert_le(wrong[RANK_PARALLEL], 6); /* binomial of 40 at 0.05: more in 3 of 1000 */
    assert_le(wrong[RANK_MDL], 0);
    assert_le(wrong[RANK_THRESHOLD], 2); /* the threshold lies 15 % above the edge */
    assert_le(wrong[RANK_STABILITY], 4);
}

/* Shuffled with the first, the last of these are below what shuffles reach. */
static void strong_components_do_not_hide_weak_ones(void **state)
{
    (void)state;
    lode_rank_opts o = lode_rank_defaults();
    lode_array X = planted(120, 80, 6, 60, 1.8, 1, 3);
    o.methods = "parallel";
    rank_report r = report_of(&o, &X);
    assert_int_equal(recommended(&r, 0), 6);
    lode_i_rank_free(&r);
    lode_array_free(&X);
}

static void a_mean_is_a_component_unless_subtracted(void **state)
{
    (void)state;
    lode_array X = planted(120, 40, 2, 4, 3, 1, 5);
    lode_rank_opts o = lode_rank_defaults();
    for (int64_t i = 0; i < 120; i++)
        for (int64_t j = 0; j < 40; j++)
            lode_i_set2(&X, i, j, lode_i_get2(&X, i, j) + 7 + (double)(j % 5));
    for (int center = 0; center < 2; center++) {
        o.center = center != 0;
        rank_report r = report_of(&o, &X);
        every_criterion_says(&r, 0, center ? 2 : 3);
        lode_i_rank_free(&r);
    }
    lode_array_free(&X);
}

static void missing_values_are_left_out(void **state)
{
    (void)state;
    lode_array X = planted(160, 90, 3, 6, 4, 1, 6), Y = { 0 },
               H = planted(300, 200, 4, 8, 4, 1, 24);
    lode_rank_opts o = lode_rank_defaults();
    lode_ctx key = { .seed = 4 };
    for (int64_t i = 0; i < 300 * 200;
         i++) /* more than half: components of noise must not fill gaps */
        if (lode_i_random_uniform(lode_i_stream(&key, "gaps", 1), (uint64_t)i) < 0.55)
            lode_i_set2(&H, i / 200, i % 200, NAN);
    rank_report h = report_of(&o, &H);
    every_criterion_says(&h, 0, 4);
    assert_near(lode_i_rank_get(&h, RANK_NOISE, 0, 0), 1, 0.1);
    lode_i_rank_free(&h);
    assert_ok(&ctx, lode_array_cast(&ctx, &X, LODE_F64, &Y));
    for (int64_t i = 0; i < 160 * 90; i++)
        if (lode_i_random_uniform(lode_i_stream(&key, "gaps", 0), (uint64_t)i) < 0.2) {
            lode_i_set2(&X, i / 90, i % 90, NAN);
            lode_i_set2(&Y, i / 90, i % 90, -999);
        }
    rank_report r = report_of(&o, &X);
    every_criterion_says(&r, 0, 3);
    /* zeros in place of fillings would make it 1.3, as the components' own size counts as noise */
    assert_near(lode_i_rank_get(&r, RANK_NOISE, 0, 0), 1, 0.05);
    o.missing = (lode_missing){ LODE_MISSING_VALUE, -999 };
    rank_report q = report_of(&o, &Y);
    for (int i = 0; i < RANK_ARRAYS; i++) /* the same data, told otherwise */
        assert_memory_equal(r.number[i].data, q.number[i].data, lode_array_bytes(&r.number[i]));
    lode_i_rank_free(&r), lode_i_rank_free(&q);
    lode_array_free(&X), lode_array_free(&Y), lode_array_free(&H);
}

/* No noise but rounding: held-out blocks are then predicted exactly from the true rank on. */
static void exact_ranks_are_exact(void **state)
{
    (void)state;
    lode_array X = planted(70, 50, 4, 5, 1, 0, 8);
    const lode_rank_opts o = lode_rank_defaults();
    rank_report r = report_of(&o, &X);
    every_criterion_says(&r, 0, 4);
    for (int64_t k = 0; k <= 6; k++) {
        const double e = lode_i_rank_get(&r, RANK_CV, 0, k);
        if (k < 4)
            assert_le(1e-3, e);
        else
            assert_le(e, 1e-20);
    }
    lode_i_rank_free(&r);
    lode_array_free(&X);
}

static void scale_does_not_matter(void **state)
{
    (void)state;
    static const double scales[] = { 0x1p-1000, 1, 0x1p990 };
    lode_rank_opts o = lode_rank_defaults();
    rank_report r[3] = { { 0 } };
    for (int k = 0; k < 3; k++) {
        lode_array X = planted(50, 30, 2, 5, 3, 1, 9);
        assert_ok(&ctx, lode_i_scale(&ctx, scales[k], &X));
        r[k] = report_of(&o, &X);
        every_criterion_says(&r[k], 0, 2);
        for (int64_t i = 0; i < 30; i++)
            assert_true(lode_i_rank_get(&r[k], RANK_S, 0, i) ==
                        lode_i_rank_get(&r[0], RANK_S, 0, i) / scales[0] * scales[k]);
        lode_array_free(&X);
    }
    for (int k = 0; k < 3; k++)
        lode_i_rank_free(&r[k]);
}

/* Larger than a block: against LAPACK on the whole, tall and wide, held and not. */
static void values_of_many_blocks_are_those_of_the_whole(void **state)
{
    (void)state;
    const int64_t N = 900001, p = 5;
    lode_array X = noise(N, p, 10), s = { 0 }, view = lode_i_transposed(&X), wide = { 0 };
    lode_rank_opts o = lode_rank_defaults();
    for (int64_t i = 0; i < N; i++)
        lode_i_set2(&X, i, 1, lode_i_get2(&X, i, 1) + 2 * lode_i_get2(&X, i, 0));
    assert_ok(&ctx, lode_i_svd(&ctx, &X, p, NULL, &s, NULL));
    assert_ok(&ctx, lode_array_cast(&ctx, &view, LODE_F64, &wide));
    o.methods = "gavish-donoho,mdl";
    for (int k = 0; k < 2; k++) {
        rank_report r = report_of(&o, k ? &wide : &X);
        for (int64_t i = 0; i < p; i++)
            assert_near(lode_i_rank_get(&r, RANK_S, 0, i), lode_i_get1(&s, i),
                        1e-12 * lode_i_get1(&s, 0));
        lode_i_rank_free(&r);
    }
    lode_array_free(&X), lode_array_free(&s), lode_array_free(&wide);
}

/* The jackknife's error of the first value against how it varies from sample to sample. */
static void standard_errors_are_those_of_repeated_samples(void **state)
{
    (void)state;
    enum { RUNS = 120, M = 256, N = 8 };
    lode_rank_opts o = lode_rank_defaults();
    double sum = 0, squares = 0, said = 0;
    o.methods = "gavish-donoho";
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        lode_array X = noise(M, N, 500 + seed), z = noise(M, 1, 900 + seed);
        for (int64_t i = 0; i < M; i++) /* a factor that is drawn anew too */
            for (int64_t j = 0; j < N; j++)
                lode_i_set2(&X, i, j, lode_i_get2(&X, i, j) + 2 * lode_i_get2(&z, i, 0));
        rank_report r = report_of(&o, &X);
        const double s = lode_i_rank_get(&r, RANK_S, 0, 0);
        sum += s, squares += s * s;
        said += lode_i_rank_get(&r, RANK_S_ERROR, 0, 0) / RUNS;
        lode_i_rank_free(&r);
        lode_array_free(&X), lode_array_free(&z);
    }
    const double sd = sqrt((squares - sum * sum / RUNS) / (RUNS - 1));
    assert_near(said / sd, 1, 0.2); /* a deviation of 120 is known to 6.5 %: three of these */
}

static void each_mode_of_a_tensor_has_its_rank(void **state)
{
    (void)state;
    const int64_t shape[3] = { 20, 24, 3 };
    lode_array A = noise(20, 2, 11), B = noise(24, 2, 12), X = noise(20, 72, 13), t = { 0 };
    lode_rank_opts o = lode_rank_defaults();
    for (int64_t i = 0; i < 20; i++)
        for (int64_t j = 0; j < 24; j++)
            for (int64_t k = 0; k < 3; k++) {
                /* a_0 b_0 + a_1 b_0: rank 2 along the first axis... of which b sees one */
                const double v = lode_i_get2(&A, i, 0) * lode_i_get2(&B, j, 0) * (k != 1) +
                                 lode_i_get2(&A, i, 1) * lode_i_get2(&B, j, 0) * (k != 2);
                lode_i_set2(&X, i, 3 * j + k, 5 * v + 0.5 * lode_i_get2(&X, i, 3 * j + k));
            }
    assert_ok(&ctx, lode_array_reshape(&ctx, &X, 3, shape, &t));
    rank_report r = report_of(&o, &t);
    assert_int_equal(r.modes, 3);
    assert_int_equal(recommended(&r, 0), 2);
    assert_int_equal(recommended(&r, 1), 1);
    assert_int_equal(recommended(&r, 2), 3); /* too short to tell: all of it */
    assert_int_equal(lode_i_rank_choice(&r, 2, RANK_MDL).rank, -1);
    lode_i_rank_free(&r);
    o.axes = (lode_axes){ .count = 1, .axis = { -2 } };
    r = report_of(&o, &t);
    assert_int_equal(r.modes, 1);
    assert_int_equal(recommended(&r, 0), 1);
    lode_i_rank_free(&r);
    lode_array_free(&A), lode_array_free(&B), lode_array_free(&X), lode_array_free(&t);
}

/* The same bits from a file's parts, from any strides, on one thread and three; with gaps too. */
static void reading_and_threads_do_not_matter(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 300, 40 }, { 40, 300 } };
    const lode_rank_opts o = lode_rank_defaults();
    for (int k = 0; k < 4; k++) {
        lode_array X = planted(shapes[k % 2][0], shapes[k % 2][1], 2, 4, 3, 1, 21), T = { 0 };
        lode_array view = lode_i_transposed(&X), turned = { 0 };
        for (int64_t i = 0; k >= 2 && i < 12000; i += 11)
            lode_i_set2(&X, i / X.shape[1], i % X.shape[1], NAN);
        assert_ok(&ctx, lode_array_cast(&ctx, &view, LODE_F64, &T));
        turned = lode_i_transposed(&T); /* X by columns */
        lode_source source = { 0 };
        assert_ok(&ctx, lode_i_source_from_array(&ctx, &X, &source));
        lode_bundle want = { 0 }, got = { 0 };
        ctx.threads = 2;
        assert_ok(&ctx, lode_ranks(&ctx, &o, lode_from_array(&X), &want));
        for (int way = 0; way < 4; way++) {
            const lode_value v = way == 0   ? lode_from_source(&source)
                                 : way == 1 ? lode_from_array(&turned)
                                            : lode_from_array(&X);
            ctx.threads = way == 2 ? 1 : 3;
            assert_ok(&ctx, lode_ranks(&ctx, &o, v, &got));
            assert_true(sample_same(&want, &got));
            lode_bundle_free(&got);
        }
        ctx.threads = 0;
        lode_bundle_free(&want);
        lode_source_close(&source);
        lode_array_free(&X), lode_array_free(&T);
    }
}

/* Gaps and exact ranks, which take more than could be planned for: what is known then must do. */
static void the_peak_is_within_the_refined_plan(void **state)
{
    (void)state;
    static const int64_t shapes[][2] = { { 200, 60 }, { 50, 300 } };
    for (int k = 0; k < 12; k++) {
        const int64_t m = shapes[k % 2][0], n = shapes[k % 2][1];
        lode_array X = planted(m, n, 3, 6, 4, k % 4 < 2, 20);
        lode_call call;
        lode_bundle b = { 0 };
        for (int64_t i = 0; i < m * n && k >= 4; i += 11)
            lode_i_set2(&X, i / n, i % n, NAN);
        assert_ok(&ctx, lode_call_init(&ctx, &lode_op_rank, &call));
        assert_ok(&ctx, lode_call_input(&ctx, &call, NULL, lode_from_array(&X)));
        if (k >= 8)
            assert_ok(&ctx, lode_call_set(&ctx, &call, "methods", "gavish-donoho,stability"));
        const uint64_t before = lode_ctx_memory_used(&ctx);
        lode_ctx_memory_reset_peak(&ctx);
        assert_ok(&ctx, lode_call_run(&ctx, &call, &b));
        const lode_plan *p = lode_call_planned(&call);
        assert_le(lode_ctx_memory_peak(&ctx) - before,
                  p->workspace + p->output + p->resident + 65536);
        lode_call_free(&call);
        lode_bundle_free(&b);
        lode_array_free(&X);
    }
}

/* ---- decisions ---- */

static void set_choice(rank_report *r, rank_criterion c, int64_t rank)
{
    lode_array flat = lode_array_wrap(r->criteria.data, LODE_I64, 1,
                                      &(int64_t){ 3 * RANK_CRITERIA });
    for (int i = 0; i < 3; i++)
        lode_i_set1(&flat, 3 * (int)c + i, (double)rank);
}

static void the_middle_of_the_criteria_is_recommended(void **state)
{
    (void)state;
    static const int64_t said[][7] = {
        /* in the order of the criteria, then what is recommended; aic does not count */
        { 5, 5, 5, 5, 5, 5, 5 },     { 3, 9, 4, 2, 40, 4, 4 },     { 1, 2, -1, 3, 40, 4, 2 },
        { -1, -1, 7, -1, 9, -1, 7 }, { -1, -1, -1, -1, 9, -1, 9 }, { 0, 1, 0, 0, 3, 1, 0 },
    };
    lode_array X = noise(20, 20, 14);
    const lode_rank_opts o = lode_rank_defaults();
    rank_report r = report_of(&o, &X);
    char text[512];
    for (size_t k = 0; k < sizeof said / sizeof *said; k++) {
        for (int c = 0; c < RANK_CRITERIA; c++)
            set_choice(&r, (rank_criterion)c, said[k][c]);
        assert_int_equal(lode_i_rank_recommend(&r, 0), said[k][6]);
    }
    lode_i_rank_advise(&r, 0, text, sizeof text);
    assert_non_null(strstr(text, "indistinguishable from noise"));
    assert_non_null(strstr(text, "parallel says 1, stability says 1"));
    set_choice(&r, RANK_MDL, 9);
    lode_i_rank_advise(&r, 0, text, sizeof text);
    assert_non_null(strstr(text, "mdl says 9"));
    lode_i_rank_free(&r);
    lode_array_free(&X);
}

/* Two equal values: any rotation of their axes fits as well. */
static void equal_components_are_said_to_mix(void **state)
{
    (void)state;
    lode_array X = noise(300, 20, 22), z = noise(300, 3, 23);
    const lode_rank_opts o = lode_rank_defaults();
    static const double size[] = { 12, 5, 5 };
    char text[512];
    assert_ok(&ctx, lode_i_orth(&ctx, &z, NULL));
    for (int64_t i = 0; i < 300; i++)
        for (int64_t j = 0; j < 3; j++)
            lode_i_set2(&X, i, j,
                        0.3 * lode_i_get2(&X, i, j) + size[j] * sqrt(300) * lode_i_get2(&z, i, j));
    rank_report r = report_of(&o, &X);
    assert_int_equal(recommended(&r, 0), 3);
    lode_i_rank_advise(&r, 0, text, sizeof text);
    assert_non_null(strstr(text, "components 2 to 3 are too near to be told apart"));
    lode_i_rank_free(&r);
    lode_array_free(&X), lode_array_free(&z);
}

static void scores_within_one_error_make_the_interval(void **state)
{
    (void)state;
    static const double cv[] = { 1, 0.5, 0.42, 0.4, 0.39, 0.41, 0.45, 0.6 };
    lode_array X = noise(20, 20, 15);
    const lode_rank_opts o = lode_rank_defaults();
    rank_report r = report_of(&o, &X);
    for (int64_t k = 0; k < r.candidates + 1; k++) {
        lode_i_rank_set(&r, RANK_CV, 0, k, k < 8 ? cv[k] : 1);
        lode_i_rank_set(&r, RANK_CV_ERROR, 0, k, 0.02);
    }
    const rank_choice c = lode_i_rank_decide(&r, 0, RANK_VALIDATION);
    assert_int_equal(c.rank, 4);
    assert_int_equal(c.low, 3); /* 0.40 <= 0.39 + 0.02, 0.42 is not */
    assert_int_equal(c.high, 5);
    lode_i_rank_free(&r);
    lode_array_free(&X);
}

static void a_report_that_contradicts_itself_is_caught(void **state)
{
    (void)state;
    lode_array X = planted(60, 40, 2, 5, 3, 1, 16);
    const lode_rank_opts o = lode_rank_defaults();
    static const char *const names[] = { "rank", "criteria", "threshold", "s",
                                         "mdl",  "cv",       "stability" };
    for (int k = 0; k < 7; k++) {
        lode_bundle b = { 0 };
        lode_certificate found;
        const lode_array *a = NULL;
        assert_ok(&ctx, lode_ranks(&ctx, &o, lode_from_array(&X), &b));
        snprintf(b.meta.op, sizeof b.meta.op, "rank");
        assert_ok(&ctx, lode_verify(&ctx, &b, lode_none(), &found));
        assert_ok(&ctx, lode_bundle_array(&ctx, &b, names[k], &a));
        lode_array flat = lode_array_wrap(a->data, a->dtype, 1, &(int64_t){ lode_array_size(a) });
        const int64_t at = k == 5 ? 2 : k == 6 ? 1 : 0; /* of the rank that they speak for */
        lode_i_set1(&flat, at, k == 6 ? 0 : k == 3 ? 1e-3 : lode_i_get1(&flat, at) * 10 + 1);
        assert_status(&ctx, lode_verify(&ctx, &b, lode_none(), &found), LODE_EVERIFY);
        lode_bundle_free(&b);
    }
    lode_array_free(&X);
}

/* ---- wrong requests ---- */

static void refused(const lode_rank_opts *o, const lode_array *X, lode_status st, const char *says)
{
    lode_bundle b = { 0 };
    assert_status(&ctx, lode_ranks(&ctx, o, lode_from_array(X), &b), st);
    assert_says(&ctx, says);
    assert_int_equal(b.count, 0);
}

static void wrong_requests_are_named(void **state)
{
    (void)state;
    lode_array X = noise(30, 9, 17), few = lode_i_rows(&X, 0, 3), one = { 0 }, empty = { 0 };
    lode_rank_opts o = lode_rank_defaults();
    refused(&o, &few, LODE_ESHAPE, "X is 3 x 9; fewer than 4 rows or columns");
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, (const int64_t[]){ 0, 9 }, &empty));
    refused(&o, &empty, LODE_ESHAPE, "empty");
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 1, (const int64_t[]){ 9 }, &one));
    refused(&o, &one, LODE_ESHAPE, "1 axes");
    o.max_rank.given = true, o.max_rank.value = 10;
    refused(&o, &X, LODE_EPARAM, "max_rank 10 is above the shorter side, 9");
    o = lode_rank_defaults();
    o.methods = "mdl,horn";
    refused(&o, &X, LODE_EUSAGE, "no method 'horn'");
    o = lode_rank_defaults();
    o.axes = (lode_axes){ .count = 1, .axis = { 0 } };
    refused(&o, &X, LODE_EPARAM, "axes is for tensors");
    o = lode_rank_defaults();
    lode_i_set2(&X, 4, 7, NAN);
    o.missing.kind = LODE_MISSING_NONE;
    refused(&o, &X, LODE_EDOMAIN, "X[4,7] is nan");
    o = lode_rank_defaults();
    for (int64_t i = 0; i < 30; i++)
        lode_i_set2(&X, i, 7, NAN);
    refused(&o, &X, LODE_EDOMAIN, "column 7");
    for (int64_t j = 0; j < 9; j++)
        lode_i_set2(&X, 21, j, NAN);
    refused(&o, &X, LODE_EDOMAIN, "row 21");
    assert_ok(&ctx, lode_i_fill(&ctx, &X, 3));
    refused(&o, &X, LODE_EDOMAIN, "every observed value of X is 3");
    for (int64_t i = 0; i < 30; i++)
        lode_i_set2(&X, i, 2, 5);
    o.center = true;
    refused(&o, &X, LODE_EDOMAIN, "every row of X is the same");
    lode_array_free(&X), lode_array_free(&few), lode_array_free(&one), lode_array_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_are_those_published),
        cmocka_unit_test(the_median_is_that_of_sampled_noise),
        cmocka_unit_test(description_lengths_are_those_of_the_formula),
        cmocka_unit_test(quantiles_are_those_of_the_tables),
        cmocka_unit_test(nested_errors_are_those_of_each_truncation),
        cmocka_unit_test(planted_ranks_are_found),
        cmocka_unit_test(noise_alone_has_rank_0),
        cmocka_unit_test(strong_components_do_not_hide_weak_ones),
        cmocka_unit_test(a_mean_is_a_component_unless_subtracted),
        cmocka_unit_test(missing_values_are_left_out),
        cmocka_unit_test(exact_ranks_are_exact),
        cmocka_unit_test(scale_does_not_matter),
        cmocka_unit_test(values_of_many_blocks_are_those_of_the_whole),
        cmocka_unit_test(standard_errors_are_those_of_repeated_samples),
        cmocka_unit_test(each_mode_of_a_tensor_has_its_rank),
        cmocka_unit_test(reading_and_threads_do_not_matter),
        cmocka_unit_test(the_peak_is_within_the_refined_plan),
        cmocka_unit_test(the_middle_of_the_criteria_is_recommended),
        cmocka_unit_test(equal_components_are_said_to_mix),
        cmocka_unit_test(scores_within_one_error_make_the_interval),
        cmocka_unit_test(a_report_that_contradicts_itself_is_caught),
        cmocka_unit_test(wrong_requests_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
