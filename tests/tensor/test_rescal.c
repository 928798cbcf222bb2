/* rescal against planted relations, sums written out, permutations tried one by one, and what it must refuse. */
#define OP lode_op_rescal
#include "fitted.h"

#include "linalg/ensemble.h"
#include "linalg/relations.h"

static int setup(void **state)
{
    (void)state;
    return start();
}

static double flat_get(const lode_array *a, int64_t e)
{
    return creal(tensor_get(a, e));
}

/* A R_k A' + noise, m x n x n; entries of A and R as uniform, a half of those of A 0, or normal. */
static lode_array planted(lode_dtype t, int64_t n, int64_t m, int64_t k, bool nonneg, double noise,
                          uint64_t seed, lode_array *A)
{
    const lode_stream s = lode_i_stream(&f.ctx, "planted", seed);
    lode_array x = { 0 }, R = { 0 };
    uint64_t at = 0;
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, n, k, A));
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_F64, m * k, k, &R));
    for (int64_t i = 0; i < n * k; i++) {
        const double u = 2 * lode_i_random_uniform(s, at) - 1, v = lode_i_random_normal(s, at + 1);
        lode_i_set2(A, i / k, i % k, !nonneg ? v : u > 0 || i / k % k == i % k ? fabs(u) : 0);
        at += 2;
    }
    for (int64_t i = 0; i < m * k * k; i++, at++)
        lode_i_set2(&R, i / k, i % k,
                    nonneg ? lode_i_random_uniform(s, at) : lode_i_random_normal(s, at));
    assert_ok(&f.ctx, lode_array_new(&f.ctx, t, 3, (const int64_t[]){ m, n, n }, &x));
    for (int64_t e = 0; e < m * n * n; e++) {
        double sum = noise * lode_i_random_normal(s, at++);
        for (int64_t p = 0; p < k; p++)
            for (int64_t q = 0; q < k; q++)
                sum += lode_i_get2(A, e / n % n, p) * lode_i_get2(&R, e / (n * n) * k + p, q) *
                       lode_i_get2(A, e % n, q);
        tensor_set(&x, e, nonneg && sum < 0 ? 0 : sum);
    }
    lode_array_free(&R);
    return x;
}

static const lode_array *member(const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, name, &a));
    return a;
}

/* The least over planted columns of the best cosine. */
static double match(const lode_array *A)
{
    const lode_array *a = member("a");
    double worst = 1;
    for (int64_t c = 0; c < A->shape[1]; c++) {
        double best = 0;
        for (int64_t d = 0; d < a->shape[1]; d++) {
            double sum = 0;
            for (int64_t i = 0; i < A->shape[0]; i++)
                sum += lode_i_get2(A, i, c) * lode_i_get2(a, i, d);
            best = fmax(best, sum / lode_i_column_length(A, c));
        }
        worst = fmin(worst, best);
    }
    return worst;
}

static void never_rises(double slack)
{
    const lode_array *t = member("trace");
    for (int64_t i = 1; i < t->shape[0]; i++)
        assert_le(lode_i_get1(t, i), lode_i_get1(t, i - 1) + slack);
}

/* |X - A R_k A'| written out. */
static double naive_error(const lode_array *X)
{
    const lode_array *a = member("a"), *r = member("r");
    const int64_t n = a->shape[0], k = a->shape[1];
    long double all = 0;
    for (int64_t e = 0; e < lode_array_size(X); e++) {
        double left = flat_get(X, e);
        for (int64_t p = 0; p < k; p++)
            for (int64_t q = 0; q < k; q++)
                left -= lode_i_get2(a, e / n % n, p) * flat_get(r, (e / (n * n) * k + p) * k + q) *
                        lode_i_get2(a, e % n, q);
        all += (long double)(left * left);
    }
    return (double)sqrtl(all);
}

static lode_sparse sparse_of(const lode_array *X)
{
    lode_sparse s = { .layout = LODE_COO, .ndim = 3 };
    int64_t count = 0;
    for (int i = 0; i < 3; i++)
        s.shape[i] = X->shape[i];
    for (int64_t e = 0; e < lode_array_size(X); e++)
        count += flat_get(X, e) != 0;
    assert_ok(&f.ctx, lode_i_matrix_new(&f.ctx, LODE_I64, count, 3, &s.indices));
    assert_ok(&f.ctx, lode_i_vector_new(&f.ctx, X->dtype, count, &s.values));
    count = 0;
    for (int64_t e = 0; e < lode_array_size(X); e++)
        if (flat_get(X, e) != 0) {
            int64_t *to = (int64_t *)s.indices.data + 3 * count;
            to[0] = e / (X->shape[1] * X->shape[2]), to[1] = e / X->shape[2] % X->shape[1];
            to[2] = e % X->shape[2];
            lode_i_set1(&s.values, count++, flat_get(X, e));
        }
    return s;
}

/* ---- what a pass gives, against sums from the definition ---- */

static double at3(const double *x, int64_t n, int64_t i, int64_t j, int64_t k)
{
    return x[(i * n + j) * n + k];
}

static void check_pass(lode_dtype t, int64_t n, int64_t m, int64_t k, int form)
{
    const double slack = (t == LODE_F32 && form != 1 ? 2e-5 : 1e-12) * (double)(n * n * k);
    lode_array planted_A = { 0 }, A = { 0 }, R = { 0 }, flat = { 0 };
    lode_i_relations x = { .n = n, .m = m, .dtype = form == 1 ? LODE_F64 : t };
    lode_i_relations_pass p = { .rule = LODE_I_CORES_KEEP, .direct = form == 2, .sums = true };
    const lode_stream s = lode_i_stream(&f.ctx, "pass", 1);
    x.X = planted(t, n, m, 2, true, 0.1, 3, &planted_A);
    double *V = calloc((size_t)(m * n * n), sizeof *V), *K = calloc((size_t)(m * n * n), sizeof *K);
    for (int64_t e = 0; e < m * n * n; e++)
        V[e] = flat_get(&x.X, e), K[e] = 1;
    if (form == 1) {
        lode_sparse coo = sparse_of(&x.X);
        lode_i_relations_free(&x);
        assert_ok(&f.ctx, lode_i_relations_sparse(&f.ctx, &coo, 0, &x));
        lode_sparse_free(&coo);
    } else if (form == 3) {
        int64_t known;
        lode_array mask = { 0 };
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &x.X, t, &mask));
        for (int64_t e = 0; e < m * n * n; e++) {
            K[e] = lode_i_random_uniform(s, (uint64_t)(1000 + e)) < 0.7, V[e] *= K[e];
            tensor_set(&mask, e, K[e]);
        }
        const lode_missing none = { .kind = LODE_MISSING_NONE };
        assert_ok(&f.ctx, lode_i_relations_known(&f.ctx, &x, &none, &mask, &known));
        lode_array_free(&mask);
    }
    assert_ok(&f.ctx, lode_i_relations_norm(&f.ctx, &x));
    assert_ok(&f.ctx, lode_i_randn(&f.ctx, s, x.dtype, n, k, &A));
    assert_ok(&f.ctx, lode_i_randn(&f.ctx, s, LODE_F64, m * k, k, &flat));
    assert_ok(&f.ctx, lode_array_reshape(&f.ctx, &flat, 3, (const int64_t[]){ m, k, k }, &R));
    assert_ok(&f.ctx, lode_i_relations_sweep(&f.ctx, &x, &A, &R, &p));
    double *up = calloc((size_t)(n * k), sizeof *up), *down = calloc((size_t)(n * k), sizeof *down);
    double *B = calloc((size_t)(n * k), sizeof *B), *C = calloc((size_t)(n * k), sizeof *C);
    double misfit = 0, size = 0;
    for (int64_t r = 0; r < m; r++) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < k; c++) {
                B[i * k + c] = C[i * k + c] = 0;
                for (int64_t q = 0; q < k; q++) {
                    B[i * k + c] += lode_i_get2(&A, i, q) * lode_i_get2(&flat, r * k + q, c);
                    C[i * k + c] += lode_i_get2(&A, i, q) * lode_i_get2(&flat, r * k + c, q);
                }
            }
        for (int64_t c = 0; c < k * k; c++)
            size += pow(lode_i_get2(&flat, r * k + c / k, c % k), 2);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                double y = 0;
                for (int64_t c = 0; c < k; c++)
                    y += B[i * k + c] * lode_i_get2(&A, j, c);
                const double v = at3(V, n, r, i, j);
                y *= at3(K, n, r, i, j);
                misfit += (v - y) * (v - y);
                for (int64_t c = 0; c < k; c++) { /* X A R' into row i, X' A R into row j */
                    up[i * k + c] += v * C[j * k + c], up[j * k + c] += v * B[i * k + c];
                    down[i * k + c] += y * C[j * k + c], down[j * k + c] += y * B[i * k + c];
                }
            }
    }
    const double scale = 1 + sqrt(misfit) * (double)k;
    assert_near(p.before, misfit, slack * (1 + misfit));
    assert_near(p.after, misfit, slack * (1 + misfit));
    assert_near(p.size_after, size, 1e-10 * size);
    for (int64_t e = 0; e < n * k; e++) {
        assert_near(lode_i_get2(&p.above, e / k, e % k), up[e], slack * scale);
        assert_near(lode_i_get2(&p.below, e / k, e % k), down[e], slack * scale);
    }
    free(V), free(K), free(up), free(down), free(B), free(C);
    lode_i_relations_pass_free(&p);
    lode_i_relations_free(&x);
    LODE_FREE(&planted_A, &A, &R, &flat);
}

static void passes_are_sums(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = { { 1, 1, 1 },   { 7, 3, 2 },   { 13, 1, 5 },
                                        { 20, 40, 3 }, { 80, 3, 17 }, { 70, 2, 66 } };
    for (int i = 0; i < 6; i++)
        for (int form = 0; form < 4; form++)
            for (int t = 0; t < 2; t++)
                check_pass(t ? LODE_F32 : LODE_F64, sizes[i][0], sizes[i][1], sizes[i][2], form);
}

/* ---- columns of several fits ---- */

static void permute(int64_t k, int64_t at, int64_t *p, const double *C, double *best)
{
    if (at == k) {
        double sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += C[i * k + p[i]];
        *best = fmax(*best, sum);
        return;
    }
    for (int64_t i = at; i < k; i++) {
        const int64_t a = p[at], b = p[i];
        p[at] = b, p[i] = a;
        permute(k, at + 1, p, C, best);
        p[at] = a, p[i] = b;
    }
}

static void assignments_are_the_best_of_all(void **state)
{
    (void)state;
    for (int64_t k = 1; k <= 7; k++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            double C[49], best = -INFINITY, sum = 0;
            int64_t p[7], to[7];
            const lode_stream s = lode_i_stream(&f.ctx, "assign", seed);
            bool used[7] = { false };
            for (int64_t e = 0; e < k * k; e++) /* ties too */
                C[e] = seed % 2 ? (double)lode_i_random_below(s, (uint64_t)e, 4)
                                : lode_i_random_normal(s, (uint64_t)e);
            for (int64_t i = 0; i < k; i++)
                p[i] = i;
            permute(k, 0, p, C, &best);
            assert_ok(&f.ctx, lode_i_assign(&f.ctx, k, C, to));
            for (int64_t i = 0; i < k; i++) {
                assert_false(used[to[i]]);
                used[to[i]] = true;
                sum += C[i * k + to[i]];
            }
            assert_near(sum, best, 1e-12);
        }
}

/* Columns of I, shuffled: they agree. One fit with a column of another direction: silhouettes by hand. */
static void clusters_are_found(void **state)
{
    (void)state;
    lode_array x = { 0 };
    lode_i_clusters c = { 0 };
    assert_ok(&f.ctx, lode_array_zeros(&f.ctx, LODE_F64, 2, (const int64_t[]){ 3, 6 }, &x));
    for (int64_t q = 0; q < 3; q++)
        for (int64_t i = 0; i < 2; i++)
            lode_i_set2(&x, (i + q) % 2, 2 * q + i, 1 + (double)q);
    assert_ok(&f.ctx, lode_i_cluster_columns(&f.ctx, &x, 3, &c));
    assert_near(c.least, 1, 1e-12);
    assert_near(c.mean, 1, 1e-12);
    assert_int_equal(c.place[2], 1);
    assert_near(lode_i_get2(&c.centre, 1, 1), 1, 1e-12);
    lode_i_set2(&x, 1, 1, 0), lode_i_set2(&x, 2, 1, 1); /* fit 0: e1, e3; the others e1, e2 */
    assert_ok(&f.ctx, lode_i_cluster_columns(&f.ctx, &x, 3, &c));
    /* e3: own (1 + 1) / 2, other 1: 0; e2 twice: own 1/2, other 1: 1/2; e1: own 0: 1 */
    assert_near(c.least, 1.0 / 3, 1e-12);
    assert_near(c.mean, (3 + 1.0) / 6, 1e-12);
    lode_i_clusters_free(&c);
    lode_array_free(&x);
}

/* ---- fits ---- */

static void planted_relations_come_back(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        lode_array A = { 0 };
        take(planted(t ? LODE_F32 : LODE_F64, 15, 6, 3, true, 0, 5, &A));
        const lode_status st = RUN("rank", "3", "restarts", "3", "tol", "1e-7", "max-iter", "4000");
        assert_true(st >= 0);
        assert_le(0.99, match(&A));
        never_rises(t ? 1e-7 : 1e-12);
        /* near 0 norms would say 2e-3 (f32) or 1e-7: the residual itself goes on */
        assert_near(naive_error(&f.X), f.model.certificate.absolute,
                    (t ? 1e-6 : 1e-13) * tensor_norm(&f.X));
        assert_le(f.model.certificate.value, 0.01);
        lode_stats s;
        assert_ok(&f.ctx, lode_i_stats(&f.ctx, member("r"), &s));
        assert_true(s.min >= 0);
        lode_bundle_free(&f.model);
        lode_array_free(&A);
    }
}

static void the_objective_never_rises(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        { "true", "true" }, { "true", "false" }, { "false", "true" }, { "false", "false" }
    };
    for (int way = 0; way < 4; way++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            lode_array A = { 0 };
            f.ctx.seed = seed;
            take(planted(seed % 2 ? LODE_F32 : LODE_F64, 12, 4, 5, true, seed < 2 ? 0.5 : 0, seed,
                         &A));
            const lode_status st = RUN("rank", "4", "nonneg", ways[way][0], "accelerate",
                                       ways[way][1], "init", seed % 2 ? "svd" : "random", "tol",
                                       "0", "max-iter", "150");
            assert_true(st >= 0);
            never_rises(seed % 2 ? 1e-7 : 1e-12); /* where norms give way to the residual */
            lode_bundle_free(&f.model);
            lode_array_free(&A);
        }
    f.ctx.seed = 0;
}

static void unconstrained_models_are_exact_and_canonical(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        lode_array A = { 0 }, G = { 0 };
        take(planted(t ? LODE_F32 : LODE_F64, 14, 5, 3, false, 0, 7, &A));
        assert_ok(&f.ctx, RUN("rank", "3", "tol", "1e-10"));
        assert_le(f.model.certificate.value, t ? 2e-6 : 1e-13);
        assert_near(naive_error(&f.X), f.model.certificate.absolute,
                    (t ? 1e-6 : 1e-13) * tensor_norm(&f.X));
        double off;
        assert_ok(&f.ctx, lode_i_off_orthonormal(&f.ctx, member("a"), &off));
        assert_le(off, t ? 1e-5 : 1e-13);
        const lode_array *r = member("r");
        for (int64_t p = 0; p < 3; p++)
            for (int64_t q = 0; q < 3; q++) {
                double sum = 0;
                for (int64_t e = 0; e < 5 * 3; e++) {
                    const int64_t k = e / 3, c = e % 3;
                    sum += flat_get(r, 9 * k + 3 * p + c) * flat_get(r, 9 * k + 3 * q + c) +
                           flat_get(r, 9 * k + 3 * c + p) * flat_get(r, 9 * k + 3 * c + q);
                }
                const double e = lode_i_get1(member("energy"), p);
                assert_near(sum, p == q ? 2 * e * e : 0,
                            (t ? 1e-4 : 1e-11) * pow(lode_i_get1(member("energy"), 0), 2));
            }
        lode_bundle_free(&f.model);
        LODE_FREE(&A, &G);
    }
}

/* A penalty shrinks what it is on, and the penalized sum is the least: no small change of R lowers it. */
static void penalties_shrink(void **state)
{
    (void)state;
    lode_array A = { 0 };
    take(planted(LODE_F64, 10, 3, 2, false, 0.3, 9, &A));
    assert_ok(&f.ctx, RUN("rank", "2", "tol", "1e-10"));
    const double plain = f.model.certificate.value, e = lode_i_get1(member("energy"), 0);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("rank", "2", "tol", "1e-10", "l2", "3"));
    assert_true(f.model.certificate.value > plain && lode_i_get1(member("energy"), 0) < e);
    lode_array_free(&A);
}

/* The same relations along each axis, and as a sparse array: the same model. */
static void axes_and_forms_do_not_matter(void **state)
{
    (void)state;
    static const int order[3][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 } };
    lode_array A = { 0 }, x = { 0 }, kept = { 0 }, view = { 0 }, made = { 0 };
    x = planted(LODE_F64, 9, 4, 2, true, 0, 11, &A);
    for (int axis = 0; axis < 3; axis++) {
        assert_ok(&f.ctx, lode_array_permute(&f.ctx, &x, order[axis], &view));
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &view, LODE_F64, &f.X));
        lode_array_free(&view);
        assert_ok(&f.ctx, RUN("rank", "2"));
        if (axis == 0)
            assert_ok(&f.ctx, lode_array_cast(&f.ctx, member("a"), LODE_F64, &kept));
        for (int64_t e = 0; e < 18; e++)
            assert_true(flat_get(member("a"), e) == flat_get(&kept, e));
        assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &made));
        for (int64_t e = 0; e < lode_array_size(&f.X); e++)
            assert_near(flat_get(&made, e), flat_get(&f.X, e), 1e-2);
        lode_certificate found;
        assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
        lode_bundle_free(&f.model);
        lode_array_free(&made);
    }
    lode_sparse s = sparse_of(&x);
    lode_rescal_opts o = lode_rescal_defaults();
    o.rank = lode_rank(2);
    assert_ok(&f.ctx, lode_rescal(&f.ctx, &o, lode_from_sparse(&s), &f.model));
    for (int64_t e = 0; e < 18; e++)
        assert_near(flat_get(member("a"), e), flat_get(&kept, e), 1e-2);
    assert_near(naive_error(&x), f.model.certificate.absolute, 1e-7 * tensor_norm(&x));
    snprintf(f.model.meta.op, sizeof f.model.meta.op, "rescal");
    lode_certificate found;
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_sparse(&s), &found));
    lode_sparse_free(&s);
    LODE_FREE(&A, &x, &kept);
}

static void what_is_missing_is_filled(void **state)
{
    (void)state;
    lode_array A = { 0 }, whole = { 0 }, made = { 0 }, mask = { 0 };
    whole = planted(LODE_F64, 16, 8, 2, true, 0, 13, &A);
    for (int way = 0; way < 2; way++) {
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &whole, LODE_F64, &f.X));
        assert_ok(&f.ctx, lode_array_cast(&f.ctx, &whole, LODE_F64, &mask));
        for (int64_t e = 0; e < lode_array_size(&whole); e++) {
            const bool gap = e % 4 == 1;
            tensor_set(&mask, e, !gap);
            if (gap)
                tensor_set(&f.X, e, way ? -5 : NAN);
        }
        lode_rescal_opts o = lode_rescal_defaults();
        o.rank = lode_rank(2), o.mask = way ? &mask : NULL, o.tol = 1e-8, o.max_iter = 5000;
        assert_true(lode_rescal(&f.ctx, &o, lode_from_array(&f.X), &f.model) >= 0);
        snprintf(f.model.meta.op, sizeof f.model.meta.op, "rescal");
        never_rises(1e-12);
        int64_t values;
        assert_ok(&f.ctx, lode_bundle_i64(&f.ctx, &f.model, "values", &values));
        assert_int_equal(values, 8 * 256 * 3 / 4);
        assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &made));
        for (int64_t e = 1; e < lode_array_size(&whole); e += 4)
            assert_near(flat_get(&made, e), flat_get(&whole, e), 0.02);
        lode_bundle_free(&f.model);
        LODE_FREE(&made, &mask);
    }
    LODE_FREE(&A, &whole);
}

/* Of the model's own relations apply gives its cores back, of one of them that core. */
static void apply_finds_the_cores_of_relations(void **state)
{
    (void)state;
    for (int nonneg = 0; nonneg < 2; nonneg++) {
        lode_array A = { 0 }, one = { 0 }, flat = { 0 };
        lode_bundle codes = { 0 };
        const lode_array *r;
        take(planted(LODE_F64, 9, 4, 2, nonneg, 0.05, 17, &A));
        assert_true(RUN("rank", "2", "tol", "1e-9", "max-iter", "5000") >= 0);
        assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&f.X), &codes));
        assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "r", &r));
        const double scale = lode_i_get1(member("energy"), 0);
        for (int64_t e = 0; e < 16; e++)
            assert_near(flat_get(r, e), flat_get(member("r"), e), (nonneg ? 1e-2 : 1e-9) * scale);
        lode_bundle_free(&codes);
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 0, 2, 3, 1, &one));
        assert_ok(&f.ctx, lode_array_reshape(&f.ctx, &one, 2, (const int64_t[]){ 9, 9 }, &flat));
        assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&flat), &codes));
        assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "r", &r));
        assert_int_equal(r->shape[0], 1);
        for (int64_t e = 0; e < 4; e++)
            assert_near(flat_get(r, e), flat_get(member("r"), 8 + e),
                        (nonneg ? 1e-2 : 1e-9) * scale);
        lode_array wrong = lode_i_rows(&flat, 0, 8);
        lode_bundle_free(&codes);
        assert_status(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&wrong), &codes),
                      LODE_ESHAPE);
        assert_says(&f.ctx, "8 x 9");
        lode_bundle_free(&f.model);
        LODE_FREE(&A, &one, &flat, &wrong, &codes);
    }
}

/* ---- the rank ---- */

static void ranks_are_chosen(void **state)
{
    (void)state;
    lode_bundle again = { 0 };
    for (int64_t k = 2; k <= 3; k++) {
        lode_array A = { 0 };
        take(planted(LODE_F64, 18, 6, k, true, 0.02, 20 + (uint64_t)k, &A));
        assert_ok(&f.ctx, RUN("rank-range", "2,4", "ensemble", "5"));
        assert_int_equal(member("a")->shape[1], k);
        assert_le(0.95, match(&A));
        const lode_array *least = member("silhouette_min");
        assert_le(0.9, lode_i_get1(least, k - 2));
        assert_le(lode_i_get1(least, k - 1), 0.5);
        f.ctx.threads = 3;
        assert_ok(&f.ctx,
                  by_name(&f.X, (const char *const[]){ "rank-range", "2,4", "ensemble", "5", NULL },
                          &again));
        for (int64_t e = 0; e < 18 * k; e++) {
            const lode_array *b;
            assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &again, "a", &b));
            assert_true(flat_get(b, e) == flat_get(member("a"), e));
        }
        f.ctx.threads = 2;
        lode_bundle_free(&again);
        static const char *const tables[] = {
            "errors", "silhouette_min", "silhouette_mean", "a", "r", "energy", "trace"
        };
        lode_certificate found;
        assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
        for (int i = 0; i < 7;
             i++) { /* at the chosen rank; another one's error is not made again */
            lode_array *a = (lode_array *)(uintptr_t)member(tables[i]);
            const int64_t at = i < 3 ? k - 2 : 0;
            const entry v = tensor_get(a, at);
            tensor_set(a, at, v - 0.5);
            assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found),
                          LODE_EVERIFY);
            tensor_set(a, at, v);
        }
        lode_bundle_free(&f.model);
        lode_array_free(&A);
    }
}

static void peaks_are_within_plans(void **state)
{
    (void)state;
    static const char *const ways[][9] = {
        { "rank-range", "2,3", "ensemble", "3", "max-iter", "20", NULL },
        { "rank", "3", "max-iter", "20", "restarts", "2", "nonneg", "true", NULL },
        { "rank", "20", "max-iter", "20", "nonneg", "false", NULL },
    };
    for (int way = 0; way < 5; way++) {
        lode_array A = { 0 };
        lode_call call;
        lode_sparse s = { 0 };
        take(planted(LODE_F32, 60, 30, 2, true, 0.1, 30, &A));
        if (way == 3)
            tensor_set(&f.X, 7, NAN);
        if (way == 4)
            s = sparse_of(&f.X);
        const char *const *o = ways[way < 3 ? way : way == 3 ? 1 : 0];
        assert_ok(&f.ctx, lode_call_init(&f.ctx, &OP, &call));
        for (int i = 0; o[i]; i += 2)
            assert_ok(&f.ctx, lode_call_set(&f.ctx, &call, o[i], o[i + 1]));
        assert_ok(&f.ctx, lode_call_input(&f.ctx, &call, NULL,
                                          way == 4 ? lode_from_sparse(&s) : lode_from_array(&f.X)));
        const uint64_t before = lode_ctx_memory_used(&f.ctx);
        lode_ctx_memory_reset_peak(&f.ctx);
        assert_true(lode_call_run(&f.ctx, &call, &f.model) >= 0);
        const uint64_t peak = lode_ctx_memory_peak(&f.ctx) - before;
        assert_true(peak <= call.plan.workspace + call.plan.output + call.plan.resident + 65536);
        lode_call_free(&call);
        lode_bundle_free(&f.model);
        lode_sparse_free(&s);
        lode_array_free(&A);
    }
}

/* The nonnegative ways, which the samples of every operation do not reach. */
static void failed_allocations_are_survived(void **state)
{
    (void)state;
    lode_array A = { 0 };
    take(planted(LODE_F64, 6, 3, 2, true, 0.1, 40, &A));
    for (int way = 0; way < 2; way++) {
        if (way)
            tensor_set(&f.X, 3, NAN);
        for (int64_t n = 1;; n += 1 + n / 100) {
            heap_fail(&f.memory, n);
            const lode_status st = way ? RUN("rank", "2", "max-iter", "3")
                                       : RUN("rank-range", "2,3", "ensemble", "2", "max-iter", "3");
            const bool failed = heap_failed(&f.memory);
            heap_fail(&f.memory, 0);
            assert_true(st >= 0 || st == LODE_ENOMEM);
            lode_bundle_free(&f.model);
            if (!failed)
                break;
        }
    }
    lode_array_free(&A);
}

static void edges_have_models(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = { { 1, 1, 1 }, { 3, 1, 1 }, { 1, 4, 4 }, { 2, 3, 3 } };
    for (int i = 0; i < 4; i++)
        for (int zero = 0; zero < 2; zero++)
            for (int nonneg = 0; nonneg < 2; nonneg++) {
                lode_array x = { 0 };
                assert_ok(&f.ctx, lode_array_zeros(&f.ctx, LODE_F64, 3, shapes[i], &x));
                for (int64_t e = 0; e < lode_array_size(&x) && !zero; e++)
                    tensor_set(&x, e, 2); /* rank 1 */
                take(x);
                const int64_t n = shapes[i][1];
                const lode_status st = RUN("rank", n > 2 ? "3" : "1", "nonneg",
                                           nonneg ? "true" : "false");
                assert_true(st >= 0);
                assert_near(f.model.certificate.value, 0, nonneg ? 1e-3 : 1e-12);
                assert_near(naive_error(&f.X), f.model.certificate.absolute, 1e-12);
                lode_bundle_free(&f.model);
            }
    lode_array x = { 0 }; /* far from 1: scaled inside */
    assert_ok(&f.ctx, lode_array_zeros(&f.ctx, LODE_F64, 3, shapes[3], &x));
    for (int64_t e = 0; e < 18; e++)
        tensor_set(&x, e, 1e250 * (double)(1 + e % 2));
    take(x);
    assert_true(RUN("rank", "3") >= 0);
    assert_le(f.model.certificate.value, 1e-2);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    lode_array A = { 0 };
    lode_sparse s = { 0 };
    take(planted(LODE_F64, 5, 7, 2, true, 0, 1, &A));
    assert_status(&f.ctx, RUN("rank", "6"), LODE_EPARAM);
    assert_says(&f.ctx, "rank 6 is above 5");
    assert_status(&f.ctx, RUN("rank", "2,3"), LODE_EPARAM);
    assert_status(&f.ctx, RUN("rank-range", "3,2"), LODE_EPARAM);
    assert_status(&f.ctx, RUN("rank-range", "2,6"), LODE_EPARAM);
    assert_says(&f.ctx, "LAST <= 5");
    assert_status(&f.ctx, RUN("rank", "2", "axis", "1"), LODE_ESHAPE);
    assert_says(&f.ctx, "7 x 5, not square");
    tensor_set(&f.X, 25 * 3 + 5 * 2 + 4, -1.5);
    assert_status(&f.ctx, RUN("rank", "2", "nonneg", "true"), LODE_EDOMAIN);
    assert_says(&f.ctx, "X[3,2,4] is -1.5");
    s = sparse_of(&f.X);
    lode_rescal_opts o = lode_rescal_defaults();
    o.rank = lode_rank(2), o.nonneg = LODE_RESCAL_NONNEG;
    assert_status(&f.ctx, lode_rescal(&f.ctx, &o, lode_from_sparse(&s), &f.model), LODE_EDOMAIN);
    assert_says(&f.ctx, "X[3,2,4] is -1.5");
    assert_status(&f.ctx, RUN("tol", "0.1"), LODE_EUSAGE); /* auto, not nonnegative */
    assert_says(&f.ctx, "give --rank");
    tensor_set(&f.X, 3, NAN);
    assert_status(&f.ctx, RUN("rank", "2"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("rank", "2", "missing", "none"), LODE_EDOMAIN);
    take(tensor_normal(&f.ctx, LODE_F64, 3, (const int64_t[]){ 5, 6, 7 }, 1));
    assert_status(&f.ctx, RUN("rank", "2"), LODE_ESHAPE);
    assert_says(&f.ctx, "5 x 6 x 7");
    lode_sparse_free(&s);
    lode_array_free(&A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passes_are_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(assignments_are_the_best_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(clusters_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(planted_relations_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_objective_never_rises, setup, teardown),
        cmocka_unit_test_setup_teardown(unconstrained_models_are_exact_and_canonical, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(penalties_shrink, setup, teardown),
        cmocka_unit_test_setup_teardown(axes_and_forms_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(apply_finds_the_cores_of_relations, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_are_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(peaks_are_within_plans, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(edges_have_models, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_make_no_sense_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
