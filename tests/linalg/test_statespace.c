/* Smoothing of Gaussian processes against dense regression, steps of their equations against each other. */
#include <math.h>

#include "fixture.h"
#include "linalg/statespace.h"

static double covariance(lode_i_matern kernel, double s)
{
    static const double unit[] = { 1, 1.7320508075688772935, 2.2360679774997896964 };
    s = unit[kernel] * fabs(s);
    return exp(-s) * (kernel == LODE_I_MATERN12   ? 1
                      : kernel == LODE_I_MATERN32 ? 1 + s
                                                  : 1 + s + s * s / 3);
}

/* C = A B, n x n, one of them transposed. */
static void multiply(int64_t n, const double *A, const double *B, bool turned, double *C)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            C[i * n + j] = 0;
            for (int64_t k = 0; k < n; k++)
                C[i * n + j] += A[i * n + k] * (turned ? B[j * n + k] : B[k * n + j]);
        }
}

/* A step is two steps one after the other: A = A2 A1, Q = A2 Q1 A2' + Q2; and the first value's covariance with
 * itself a step before is the kernel. */
static void steps_compose_and_give_the_kernel(void **state)
{
    (void)state;
    for (int kernel = 0; kernel < 3; kernel++)
        for (int e = -6; e <= 2; e++) {
            const int64_t p = lode_i_gp_order((lode_i_matern)kernel);
            const double s = pow(10, e), t = 0.7 * s;
            double A1[9], L1[9], A2[9], L2[9], A[9], L[9], Q1[9], Q2[9], Q[9], B[9], C[9];
            lode_i_matern_step((lode_i_matern)kernel, s, A1, L1);
            lode_i_matern_step((lode_i_matern)kernel, t, A2, L2);
            lode_i_matern_step((lode_i_matern)kernel, s + t, A, L);
            multiply(p, A2, A1, false, B);
            for (int64_t i = 0; i < p * p; i++)
                assert_near(A[i], B[i], 1e-14);
            multiply(p, L1, L1, true, Q1);
            multiply(p, L2, L2, true, Q2);
            multiply(p, L, L, true, Q);
            multiply(p, A2, Q1, false, B);
            multiply(p, B, A2, true, C);
            for (int64_t i = 0; i < p; i++)
                for (int64_t j = 0; j < p; j++) /* relative, however short the step */
                    assert_near(Q[i * p + j], C[i * p + j] + Q2[i * p + j],
                                1e-13 * sqrt(Q[i * p + i] * Q[j * p + j]));
            static const double unit[] = { 1, 1.7320508075688772935, 2.2360679774997896964 };
            const double first = A1[0] + (p == 3 ? -A1[2] / 3 : 0);
            assert_near(first, covariance((lode_i_matern)kernel, s / unit[kernel]), 1e-15);
        }
    double A[9], L[9]; /* shortest of steps: integrals of u^2 and u^4 / 4, times 4 and 16/3 */
    lode_i_matern_step(LODE_I_MATERN32, 1e-90, A, L);
    assert_near(L[0] * 1e135, sqrt(4.0 / 3), 1e-12);
    lode_i_matern_step(LODE_I_MATERN52, 1e-50, A, L);
    assert_near(L[0] * 1e125, sqrt(16.0 / 3 / 20), 1e-12);
}

typedef struct problem {
    lode_i_gp g;
    int64_t n, m; /* sites, other points */
    lode_array t, precision, shift, at;
} problem;

static lode_i_gp_sites sites_of(const problem *q)
{
    return (lode_i_gp_sites){ &q->t, &q->precision, &q->shift };
}

static void problem_free(problem *q)
{
    LODE_FREE(&q->t, &q->precision, &q->shift, &q->at);
}

/* Sites at clustered points; at every seventh nothing is known; some only of one process. */
static problem make(lode_ctx *ctx, lode_i_matern kernel, int64_t r, int64_t n, int64_t m,
                    double sure)
{
    problem q = { .g = { kernel, r, 0.4, 1.3, false }, .n = n, .m = m };
    const lode_stream s = lode_i_stream(ctx, "gp", (uint64_t)kernel);
    double at = 0;
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 1, &n, &q.t));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ n, r, r }, &q.precision));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ n, r }, &q.shift));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 1, &m, &q.at));
    double *L = q.precision.data, *h = q.shift.data;
    uint64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        at += i % 3 ? 0.001 : 0.2 * lode_i_random_uniform(s, k++);
        lode_i_set1(&q.t, i, at);
        for (int64_t c = 0; i % 7 != 6 && c < (i % 5 ? r : 1); c++) {
            double a[8]; /* an observation of a'u */
            const double y = lode_i_random_normal(s, k++);
            for (int64_t j = 0; j < r; j++)
                a[j] = i % 5 ? lode_i_random_normal(s, k++) : j == 0;
            for (int64_t j = 0; j < r; j++) {
                h[i * r + j] += sure * y * a[j];
                for (int64_t l = 0; l < r; l++)
                    L[(i * r + j) * r + l] += sure * a[j] * a[l];
            }
        }
    }
    for (int64_t i = 0; i < m; i++) /* before, between, at a site, and beyond */
        lode_i_set1(&q.at, i,
                    i == m / 2 ? lode_i_get1(&q.t, n / 2)
                               : -0.1 + (at + 0.3) * (double)i / (double)m);
    if (m > 2 && lode_i_get1(&q.at, m / 2) < lode_i_get1(&q.at, m / 2 - 1))
        lode_i_set1(&q.at, m / 2, lode_i_get1(&q.at, m / 2 - 1));
    for (int64_t i = m / 2 + 1; i < m; i++)
        lode_i_set1(&q.at, i, fmax(lode_i_get1(&q.at, i), lode_i_get1(&q.at, m / 2)));
    return q;
}

/* Gaussian elimination with pivots of A X = B, N x N and N x M in place; gives log |A|. */
static double solve(int64_t N, double *A, int64_t M, double *B)
{
    double logdet = 0;
    for (int64_t c = 0; c < N; c++) {
        int64_t best = c;
        for (int64_t i = c + 1; i < N; i++)
            best = fabs(A[i * N + c]) > fabs(A[best * N + c]) ? i : best;
        for (int64_t j = 0; j < N; j++) {
            const double a = A[c * N + j];
            A[c * N + j] = A[best * N + j], A[best * N + j] = a;
        }
        for (int64_t j = 0; j < M; j++) {
            const double b = B[c * M + j];
            B[c * M + j] = B[best * M + j], B[best * M + j] = b;
        }
        logdet += log(fabs(A[c * N + c]));
        for (int64_t i = 0; i < N; i++) {
            if (i == c)
                continue;
            const double x = A[i * N + c] / A[c * N + c];
            for (int64_t j = c; x != 0 && j < N; j++)
                A[i * N + j] -= x * A[c * N + j];
            for (int64_t j = 0; x != 0 && j < M; j++)
                B[i * M + j] -= x * B[c * M + j];
        }
    }
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < M; j++)
            B[i * M + j] /= A[i * N + i];
    return logdet;
}

static double point(const problem *q, int64_t i)
{
    return i < q->n ? lode_i_get1(&q->t, i) : lode_i_get1(&q->at, i - q->n);
}

/* Over sites and other points together, K the prior covariance and L the precision of the sites: covariance
 * (I + K L)^-1 K, mean that times h, evidence (h' mean - log |I + K L|) / 2. */
static void against_dense(lode_ctx *ctx, const problem *q, double slack)
{
    const int64_t r = q->g.r, points = q->n + q->m, N = points * r;
    double *A = calloc((size_t)(N * N), sizeof *A), *B = calloc((size_t)(N * N), sizeof *B);
    lode_array mean = { 0 }, cov = { 0 }, others = { 0 }, spread = { 0 };
    lode_i_gp_score score = { 0 }, alone = { 0 };
    const lode_i_gp_sites sites = sites_of(q);
    for (int64_t i = 0; i < points; i++)
        for (int64_t j = 0; j < points; j++) {
            const double k = q->g.amplitude * q->g.amplitude *
                             covariance(q->g.kernel,
                                        (point(q, i) - point(q, j)) / q->g.lengthscale);
            for (int64_t a = 0; a < r; a++) {
                B[(i * r + a) * N + j * r + a] = k;
                for (int64_t b = 0; j < q->n && b < r; b++)
                    A[(i * r + a) * N + j * r + b] = k *
                                                     ((double *)
                                                          q->precision.data)[(j * r + a) * r + b];
            }
        }
    for (int64_t i = 0; i < N; i++)
        A[i * N + i] += 1;
    const double logdet = solve(N, A, N, B);
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ q->n, r }, &mean));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ q->n, r, r }, &cov));
    assert_ok(ctx, lode_i_gp_smooth(ctx, &q->g, &sites, &mean, &cov, &score));
    assert_ok(ctx, lode_i_gp_evidence(ctx, &q->g, &sites, &alone));
    assert_ok(ctx, lode_i_gp_predict(ctx, &q->g, &sites, &q->at, &others, &spread));
    double evidence = -0.5 * logdet, gain = 0;
    const double *h = q->shift.data, *L = q->precision.data;
    for (int64_t i = 0; i < N; i++) {
        const int64_t at = i / r, a = i % r;
        double m = 0;
        for (int64_t j = 0; j < q->n * r; j++)
            m += B[i * N + j] * h[j];
        const double *u = at < q->n ? mean.data : others.data,
                     *V = at < q->n ? cov.data : spread.data;
        const int64_t own = at < q->n ? at : at - q->n;
        assert_near(u[own * r + a], m, slack);
        for (int64_t b = 0; b < r; b++) {
            assert_near(V[(own * r + a) * r + b], B[i * N + at * r + b], slack);
            if (at < q->n)
                gain -= 0.5 * L[(at * r + a) * r + b] *
                        (V[(at * r + a) * r + b] + u[at * r + a] * u[at * r + b]);
        }
        if (at < q->n)
            evidence += 0.5 * h[i] * m, gain += h[i] * m;
    }
    assert_near(score.evidence, evidence, slack * (1 + fabs(evidence)) * (double)q->n);
    assert_near(alone.evidence, score.evidence, 1e-10 * (1 + fabs(evidence)));
    assert_near(score.divergence, gain - evidence, slack * (1 + fabs(gain)) * (double)q->n);
    assert_int_equal(score.steps, 2 * q->n);
    LODE_FREE(&mean, &cov, &others, &spread);
    free(A);
    free(B);
}

static void smoothing_is_dense_regression(void **state)
{
    lode_ctx *ctx = *state;
    for (int kernel = 0; kernel < 3; kernel++)
        for (int64_t r = 1; r <= 3; r++) {
            problem q = make(ctx, (lode_i_matern)kernel, r, 23, 9, 10);
            against_dense(ctx, &q, 1e-11);
            problem_free(&q);
        }
}

static void one_point_and_none_are_fine(void **state)
{
    lode_ctx *ctx = *state;
    problem q = make(ctx, LODE_I_MATERN52, 2, 1, 3, 10);
    against_dense(ctx, &q, 1e-12);
    problem_free(&q);
    q = make(ctx, LODE_I_MATERN32, 2, 5, 0, 10);
    against_dense(ctx, &q, 1e-12);
    problem_free(&q);
}

/* Points 1e-12 apart and observations as sure as 1e14: no covariance turns negative. */
static void covariances_stay_positive(void **state)
{
    lode_ctx *ctx = *state;
    enum { N = 2000 };
    for (int kernel = 0; kernel < 3; kernel++) {
        problem q = make(ctx, (lode_i_matern)kernel, 2, N, 1, 1e14);
        lode_array mean = { 0 }, cov = { 0 };
        const lode_i_gp_sites sites = sites_of(&q);
        lode_i_gp_score score = { 0 };
        for (int64_t i = 0; i < N; i++)
            lode_i_set1(&q.t, i, (double)(i / 50) * 0.01 + (double)(i % 50) * 1e-12);
        assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ N, 2 }, &mean));
        assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ N, 2, 2 }, &cov));
        assert_ok(ctx, lode_i_gp_smooth(ctx, &q.g, &sites, &mean, &cov, &score));
        const double *V = cov.data;
        for (int64_t i = 0; i < N; i++, V += 4) {
            assert_true(V[0] > 0 && V[3] > 0 && V[1] == V[2]);
            assert_le(V[1] * V[1], V[0] * V[3] * (1 + 1e-9));
            assert_le(V[0], 1.69 * (1 + 1e-12));
        }
        assert_true(isfinite(score.evidence));
        LODE_FREE(&mean, &cov);
        problem_free(&q);
    }
}

/* Sites of turned processes give the turned posterior: the prior knows no turns. */
static void turns_move_with_the_sites(void **state)
{
    lode_ctx *ctx = *state;
    problem q = make(ctx, LODE_I_MATERN32, 2, 12, 1, 10);
    lode_array mean[2] = { { 0 } }, cov[2] = { { 0 } }, Q = { 0 };
    const lode_i_gp_sites sites = sites_of(&q);
    lode_i_gp_score score[2] = { { 0 } };
    double room[6];
    assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, 2, 2, &Q));
    for (int64_t e = 0; e < 4; e++)
        lode_i_set2(&Q, e / 2, e % 2, ((double[]){ 0.6, -0.8, 0.8, 0.6 })[e]);
    for (int i = 0; i < 2; i++) {
        assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ 12, 2 }, &mean[i]));
        assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ 12, 2, 2 }, &cov[i]));
        assert_ok(ctx, lode_i_gp_smooth(ctx, &q.g, &sites, &mean[i], &cov[i], &score[i]));
        lode_i_gp_turn(&Q, &q.precision, &q.shift, room);
    }
    for (int64_t i = 0; i < 12; i++)
        for (int64_t a = 0; a < 2; a++)
            assert_near(lode_i_get2(&mean[1], i, a),
                        lode_i_get2(&Q, 0, a) * lode_i_get2(&mean[0], i, 0) +
                            lode_i_get2(&Q, 1, a) * lode_i_get2(&mean[0], i, 1),
                        1e-12);
    assert_near(score[0].evidence, score[1].evidence, 1e-10);
    assert_near(score[0].divergence, score[1].divergence, 1e-10);
    LODE_FREE(&mean[0], &mean[1], &cov[0], &cov[1], &Q);
    problem_free(&q);
}

/* E u K^-1 u' with K and its inverse written out. */
static void energy_is_that_of_the_dense_prior(void **state)
{
    lode_ctx *ctx = *state;
    enum { N = 9, R = 2 };
    problem q = make(ctx, LODE_I_MATERN12, R, N, 1, 10);
    lode_array mean = { 0 }, cov = { 0 }, energy = { 0 };
    const lode_i_gp_sites sites = sites_of(&q);
    lode_i_gp_score score = { 0 };
    double K[N * N], inverse[N * N] = { 0 }, A[N * N * R * R], V[N * N * R * R];
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ N, R }, &mean));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ N, R, R }, &cov));
    assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, R, R, &energy));
    assert_ok(ctx, lode_i_gp_smooth(ctx, &q.g, &sites, &mean, &cov, &score));
    lode_i_gp_energy(&sites, &mean, &cov, &energy);
    for (int64_t i = 0; i < N; i++) {
        inverse[i * N + i] = 1;
        for (int64_t j = 0; j < N; j++)
            K[i * N + j] = 1.69 * covariance(LODE_I_MATERN12, (point(&q, i) - point(&q, j)) / 0.4);
    }
    const double *L = q.precision.data;
    for (int64_t e = 0; e < N * R * N * R; e++) {
        const int64_t i = e / (N * R), j = e % (N * R);
        A[e] = i == j, V[e] = i % R == j % R ? K[i / R * N + j / R] : 0;
        for (int64_t c = 0; c < R; c++)
            if (c == i % R)
                A[e] += K[i / R * N + j / R] * L[(j / R * R + c) * R + j % R];
    }
    solve(N * R, A, N * R, V);
    solve(N, K, N, inverse);
    for (int64_t a = 0; a < R; a++)
        for (int64_t b = 0; b < R; b++) {
            double sum = 0;
            for (int64_t i = 0; i < N; i++)
                for (int64_t j = 0; j < N; j++)
                    sum += inverse[i * N + j] *
                           (V[(i * R + a) * N * R + j * R + b] +
                            lode_i_get2(&mean, i, a) * lode_i_get2(&mean, j, b));
            assert_near(lode_i_get2(&energy, a, b), sum, 1e-8 * (1 + fabs(sum)));
        }
    LODE_FREE(&mean, &cov, &energy);
    problem_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_compose_and_give_the_kernel),
        cmocka_unit_test(smoothing_is_dense_regression),
        cmocka_unit_test(one_point_and_none_are_fine),
        cmocka_unit_test(covariances_stay_positive),
        cmocka_unit_test(turns_move_with_the_sites),
        cmocka_unit_test(energy_is_that_of_the_dense_prior),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
