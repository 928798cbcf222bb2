/* adapter: truncated decompositions by an independent route, planted differences, budgets by brute force,
 * adapters resized without forming the product, merged back, reduced-rank regression by its closed
 * form, inputs that do not match. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "linalg/linalg.h"
#include "lode/lode.h"
#include "op/op.h"

static lode_array matrix(lode_dtype dtype, int64_t rows, int64_t cols, uint64_t seed)
{
    lode_array A = { 0 };
    lode_ctx key = { .seed = seed };
    assert_ok(&ctx,
              lode_i_randn(&ctx, lode_i_stream(&key, "test-adapter", 0), dtype, rows, cols, &A));
    return A;
}

static lode_array product(const lode_array *B, const lode_array *A, double scale,
                          const lode_array *plus)
{
    lode_array C = { 0 };
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, B, A, &C));
    assert_ok(&ctx, lode_i_scale(&ctx, scale, &C));
    if (plus)
        assert_ok(&ctx, lode_i_axpy(&ctx, 1, plus, &C));
    return C;
}

static void put(lode_bundle *b, const char *name, lode_array a)
{
    assert_ok(&ctx, lode_bundle_add_array(&ctx, b, name, &a));
}

static const lode_array *member(const lode_bundle *b, const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&ctx, lode_bundle_array(&ctx, b, name, &a));
    return a;
}

static double norm(const lode_array *a)
{
    double n = 0;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, a, &n));
    return n;
}

static double distance(const lode_array *a, const lode_array *b)
{
    double n = 0;
    assert_ok(&ctx, lode_i_diff_fro(&ctx, a, b, &n));
    return n;
}

/* Norm of what the best approximation of rank r leaves out. */
static double beyond(const lode_array *A, int64_t r)
{
    lode_array s = { 0 };
    double rest = 0;
    const int64_t side = lode_i_min(A->shape[0], A->shape[1]);
    assert_ok(&ctx, lode_i_svd(&ctx, A, side, NULL, &s, NULL));
    for (int64_t i = r; i < side; i++)
        rest = hypot(rest, lode_i_get1(&s, i));
    lode_array_free(&s);
    return rest;
}

/* Files as the call by name hands them on. */
static lode_status adapt(const lode_adapter_opts *o, const lode_bundle *base,
                         lode_bundle *const *more, int count, const lode_bundle *calibration,
                         lode_bundle *result)
{
    lode_bundle files = { 0 };
    for (int i = 0; i < count; i++) {
        char name[8];
        lode_bundle one = { 0 };
        snprintf(name, sizeof name, "%d", i);
        assert_ok(&ctx, lode_i_bundle_lend(&ctx, more[i], &one));
        assert_ok(&ctx, lode_bundle_add_bundle(&ctx, &files, name, &one));
    }
    const lode_status st = lode_adapter(&ctx, o, lode_from_bundle(base), count > 0 ? &files : NULL,
                                        calibration, result);
    if (st >= 0)
        snprintf(result->meta.op, sizeof result->meta.op, "adapter");
    lode_bundle_free(&files);
    return st;
}

typedef struct pair_of_files {
    lode_bundle base, tuned;
} pair_of_files;

/* Two weights, one of them of another type, a kernel, a vector; differences of rank 3 and noise. */
static void checkpoints(pair_of_files *f, double noise)
{
    static const int64_t sides[2][2] = { { 40, 30 }, { 20, 50 } };
    static const char *const names[2] = { "a.q.weight", "a.k.weight" };
    memset(f, 0, sizeof *f);
    for (int i = 0; i < 2; i++) {
        const lode_dtype dtype = i ? LODE_F32 : LODE_F64;
        const uint64_t seed = 10 * (uint64_t)i;
        lode_array W = matrix(dtype, sides[i][0], sides[i][1], seed + 1);
        lode_array B = matrix(dtype, sides[i][0], 3, seed + 2),
                   A = matrix(dtype, 3, sides[i][1], seed + 3);
        lode_array E = matrix(dtype, sides[i][0], sides[i][1], seed + 4);
        lode_array T = product(&B, &A, 1, &W);
        assert_ok(&ctx, lode_i_axpy(&ctx, noise, &E, &T));
        put(&f->base, names[i], W), put(&f->tuned, names[i], T);
        LODE_FREE(&B, &A, &E);
    }
    for (int k = 0; k < 2; k++) {
        lode_array flat = matrix(LODE_F64, 6, 4 * 9, 31 + (uint64_t)k), kernel = { 0 };
        assert_ok(&ctx,
                  lode_array_reshape(&ctx, &flat, 4, (const int64_t[]){ 6, 4, 3, 3 }, &kernel));
        lode_array_free(&flat);
        put(k ? &f->tuned : &f->base, "c.weight", kernel);
        lode_array v = { 0 };
        assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 40, &v));
        assert_ok(&ctx, lode_i_fill(&ctx, &v, 1 + k));
        put(k ? &f->tuned : &f->base, "a.q.bias", v);
    }
}

static void free_files(pair_of_files *f)
{
    LODE_FREE(&f->base, &f->tuned);
}

static lode_array as_matrix(const lode_array *a)
{
    lode_array m = { 0 };
    const int64_t shape[2] = { a->shape[0], -1 };
    assert_ok(&ctx, lode_array_reshape(&ctx, a, 2, shape, &m));
    return m;
}

/* B A of the adapter of a module. */
static lode_array difference_of(const lode_bundle *adapter, const char *module)
{
    char name[128];
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
    lode_array B = as_matrix(member(adapter, name));
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    lode_array A = as_matrix(member(adapter, name)), D = product(&B, &A, 1, NULL);
    LODE_FREE(&A, &B);
    return D;
}

static const char *const modules[] = { "a.q", "a.k", "c" };

static lode_array true_difference(const pair_of_files *f, const char *module)
{
    char name[64];
    snprintf(name, sizeof name, "%s.weight", module);
    lode_array D = { 0 };
    lode_array T = as_matrix(member(&f->tuned, name)), W = as_matrix(member(&f->base, name));
    assert_ok(&ctx, lode_array_cast(&ctx, &T, T.dtype, &D));
    assert_ok(&ctx, lode_i_axpy(&ctx, -1, &W, &D));
    LODE_FREE(&T, &W);
    return D;
}

static void extraction_is_the_best_of_its_rank(void **state)
{
    (void)state;
    pair_of_files f;
    lode_bundle r = { 0 }, *tuned = &f.tuned;
    lode_adapter_opts o = lode_adapter_defaults();
    double squares = 0, error = 0;
    o.rank = lode_rank(4);
    checkpoints(&f, 0.3);
    assert_ok(&ctx, adapt(&o, &f.base, &tuned, 1, NULL, &r));
    for (int i = 0; i < 3; i++) {
        lode_array D = true_difference(&f, modules[i]), P = difference_of(&r, modules[i]);
        const double eps = i == 1 ? 1e-5 : 1e-12;
        assert_near(distance(&D, &P), beyond(&D, 4), eps * norm(&D));
        squares = hypot(squares, norm(&D)), error = hypot(error, distance(&D, &P));
        LODE_FREE(&D, &P);
    }
    assert_near(r.certificate.value, error / squares, 1e-6);
    assert_int_equal(member(&r, "base_model.model.c.lora_A.weight")->ndim, 4);
    assert_int_equal(lode_bundle_get(&r, "base_model.model.a.q.bias").kind, LODE_NONE);
    lode_bundle_free(&r);
    free_files(&f);
}

static void what_was_planted_comes_back_and_merges(void **state)
{
    (void)state;
    pair_of_files f;
    lode_bundle r = { 0 }, whole = { 0 }, *tuned = &f.tuned, *adapter = &r;
    lode_adapter_opts o = lode_adapter_defaults();
    checkpoints(&f, 0);
    o.error = lode_error_rel(1e-4);
    o.keep_other = true;
    assert_ok(&ctx, adapt(&o, &f.base, &tuned, 1, NULL, &r));
    assert_int_equal(member(&r, "base_model.model.a.q.lora_A.weight")->shape[0], 3);
    assert_int_equal(member(&r, "base_model.model.a.k.lora_A.weight")->shape[0], 3);
    o = lode_adapter_defaults();
    o.task = LODE_ADAPTER_MERGE;
    assert_ok(&ctx, adapt(&o, &f.base, &adapter, 1, NULL, &whole));
    for (int64_t i = 0; i < f.tuned.count; i++) {
        const char *name = lode_bundle_name(&f.tuned, i);
        const lode_array *want = member(&f.tuned, name), *got = member(&whole, name);
        assert_int_equal(got->dtype, want->dtype);
        assert_int_equal(got->ndim, want->ndim);
        assert_le(distance(want, got), 1e-5 * norm(want)); /* c, of full rank, is kept whole */
    }
    LODE_FREE(&r, &whole);
    free_files(&f);
}

/* ---- adapters ---- */

static void put_pair(lode_bundle *b, const char *module, int64_t rows, int64_t cols, int64_t rank,
                     uint64_t seed)
{
    char name[128];
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    put(b, name, matrix(LODE_F64, rank, cols, seed));
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
    put(b, name, matrix(LODE_F64, rows, rank, seed + 1));
}

static void resizing_gives_the_best_of_the_sum(void **state)
{
    (void)state;
    lode_bundle a = { 0 }, b = { 0 }, r = { 0 }, *second = &b;
    lode_adapter_opts o = lode_adapter_defaults();
    put_pair(&a, "x", 30, 20, 4, 1), put_pair(&a, "y", 12, 25, 6, 3),
        put_pair(&b, "x", 30, 20, 5, 5);
    put_pair(&b, "z", 8, 7, 8, 7); /* more columns than one side has */
    assert_ok(&ctx, lode_bundle_add_text(&ctx, &a, "adapter_config.json",
                                         "{\"r\": 4, \"lora_alpha\": 8, \"alpha_pattern\": {\"y\": "
                                         "3}}"));
    o.task = LODE_ADAPTER_RESIZE;
    o.rank = lode_rank(3);
    o.scales = (lode_list){ .count = 2, .value = { 1, 0.5 } };
    assert_ok(&ctx, adapt(&o, &a, &second, 1, NULL, &r));
    lode_array ax = difference_of(&a, "x"), bx = difference_of(&b, "x"), y = difference_of(&a, "y"),
               z = difference_of(&b, "z");
    assert_ok(&ctx, lode_i_scale(&ctx, 8.0 / 4, &ax)); /* lora_alpha / r */
    assert_ok(&ctx, lode_i_axpy(&ctx, 0.5, &bx, &ax));
    assert_ok(&ctx, lode_i_scale(&ctx, 3.0 / 6, &y));
    assert_ok(&ctx, lode_i_scale(&ctx, 0.5, &z));
    const lode_array *const want[3] = { &ax, &y, &z };
    static const char *const names[3] = { "x", "y", "z" };
    double error = 0, all = 0;
    for (int i = 0; i < 3; i++) {
        lode_array got = difference_of(&r, names[i]);
        assert_near(distance(want[i], &got), beyond(want[i], 3), 1e-12 * norm(want[i]));
        error = hypot(error, distance(want[i], &got)), all = hypot(all, norm(want[i]));
        lode_array_free(&got);
    }
    assert_near(r.certificate.value, error / all, 1e-12);
    LODE_FREE(&ax, &bx, &y, &z, &a, &b, &r);
}

static void an_adapter_at_its_own_rank_stays_what_it_is(void **state)
{
    (void)state;
    lode_bundle a = { 0 }, r = { 0 };
    lode_adapter_opts o = lode_adapter_defaults();
    put_pair(&a, "x", 30, 20, 4, 1);
    put(&a, "base_model.model.x.lora_magnitude_vector", matrix(LODE_F64, 30, 1, 9));
    o.task = LODE_ADAPTER_RESIZE;
    o.error = lode_error_rel(1e-9);
    assert_ok(&ctx, adapt(&o, &a, NULL, 0, NULL, &r));
    lode_array want = difference_of(&a, "x"), got = difference_of(&r, "x");
    assert_le(distance(&want, &got), 1e-12 * norm(&want));
    assert_int_equal(member(&r, "base_model.model.x.lora_A.weight")->shape[0], 4);
    member(&r, "base_model.model.x.lora_magnitude_vector");
    assert_non_null(
        strstr(lode_bundle_get(&r, "adapter_config.json").as.text, "\"use_dora\": true"));
    LODE_FREE(&want, &got, &a, &r);
}

/* ---- ranks from a budget ---- */

static void a_budget_buys_what_search_over_all_ranks_finds(void **state)
{
    (void)state;
    static const int64_t sides[3][2] = { { 6, 5 }, { 4, 9 }, { 7, 3 } };
    static const char *const names[3] = { "a", "b", "c" };
    for (int budget = 20; budget < 120; budget += 7) {
        lode_bundle a = { 0 }, r = { 0 };
        lode_adapter_opts o = lode_adapter_defaults();
        double best = INFINITY, rest[3][6];
        for (int i = 0; i < 3; i++) {
            put_pair(&a, names[i], sides[i][0], sides[i][1], 3, 11 * (uint64_t)i + 1);
            lode_array D = difference_of(&a, names[i]);
            for (int k = 0; k < 4; k++)
                rest[i][k] = pow(beyond(&D, k), 2);
            lode_array_free(&D);
        }
        o.task = LODE_ADAPTER_RESIZE;
        o.budget = (lode_budget_spec){ LODE_BUDGET_PARAMS, budget };
        assert_ok(&ctx, adapt(&o, &a, NULL, 0, NULL, &r));
        int64_t most[3];
        for (int i = 0; i < 3; i++)
            most[i] = sides[i][0] * sides[i][1] / (sides[i][0] + sides[i][1]);
        double steepest = 0;
        for (int x = 0; x <= most[0] && x < 4; x++)
            for (int y = 0; y <= most[1] && y < 4; y++)
                for (int z = 0; z <= most[2] && z < 4; z++)
                    if (11 * x + 13 * y + 10 * z <= budget)
                        best = fmin(best, rest[0][x] + rest[1][y] + rest[2][z]);
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++)
                steepest = fmax(steepest, rest[i][k] - rest[i][k + 1]);
        /* greedy steps are optimal but for what the last one that does not fit would have bought */
        const double got = pow(r.certificate.absolute, 2);
        assert_le(best * (1 - 1e-9), got);
        assert_le(got, best + steepest);
        double spent = 0;
        for (int64_t i = 0; i < r.count; i++)
            if (lode_bundle_value(&r, i).kind == LODE_ARRAY)
                spent += (double)lode_array_size(lode_bundle_value(&r, i).as.array);
        assert_le(spent, budget);
        LODE_FREE(&a, &r);
    }
}

/* ---- factors ---- */

static void calibrated_factors_lose_least_of_the_outputs(void **state)
{
    (void)state;
    lode_array W = matrix(LODE_F64, 24, 16, 1), X = matrix(LODE_F64, 100, 16, 2), C = { 0 },
               Y = { 0 }, Yh = { 0 };
    for (int64_t i = 0; i < 100; i++)
        for (int64_t j = 0; j < 16; j++)
            lode_i_set2(&X, i, j, lode_i_get2(&X, i, j) * pow(0.7, (double)j));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, &X, &W, &Y));
    assert_ok(&ctx, lode_i_gram(&ctx, LODE_T, &X, &C));
    const double least = beyond(&Y, 3);
    lode_bundle base = { 0 }, cal[2] = { { 0 }, { 0 } };
    lode_array bias = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 24, &bias));
    assert_ok(&ctx, lode_i_fill(&ctx, &bias, 2));
    put(&base, "l.bias", bias), put(&base, "l.weight", W);
    put(&cal[0], "l", X), put(&cal[1], "l.cov", C);
    for (int k = 0; k < 2; k++) {
        lode_bundle r = { 0 };
        lode_adapter_opts o = lode_adapter_defaults();
        o.task = LODE_ADAPTER_FACTOR;
        o.rank = lode_rank(3);
        assert_ok(&ctx, adapt(&o, &base, NULL, 0, &cal[k], &r));
        lode_array Wh = product(member(&r, "l.1.weight"), member(&r, "l.0.weight"), 1, NULL);
        assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, member(&cal[0], "l"), &Wh, &Yh));
        assert_near(distance(&Y, &Yh), least, (k ? 1e-7 : 1e-12) * norm(&Y));
        assert_near(lode_i_get1(member(&r, "l.1.bias"), 5), 2, 0);
        LODE_FREE(&Wh, &r, &Yh);
    }
    LODE_FREE(&Y, &base, &cal[0], &cal[1]);
}

static void factors_stop_at_break_even(void **state)
{
    (void)state;
    lode_bundle base = { 0 }, r = { 0 };
    lode_adapter_opts o = lode_adapter_defaults();
    put(&base, "w.weight", matrix(LODE_F64, 20, 30, 1)); /* break-even 12 */
    o.task = LODE_ADAPTER_FACTOR;
    for (int rank = 11; rank < 15; rank++) {
        o.rank = lode_rank(rank);
        assert_ok(&ctx, adapt(&o, &base, NULL, 0, NULL, &r));
        const bool dense = lode_bundle_get(&r, "w.weight").kind == LODE_ARRAY;
        assert_int_equal(dense, rank > 12);
        if (dense)
            assert_near(r.certificate.value, 0, 0);
        lode_bundle_free(&r);
    }
    LODE_FREE(&base);
}

/* ---- reduced-rank regression ---- */

static void a_fit_is_reduced_rank_regression(void **state)
{
    (void)state;
    const int64_t N = 80, n = 10, m = 14, r = 3;
    lode_array W = matrix(LODE_F64, m, n, 1), X = matrix(LODE_F64, N, n, 2), E = { 0 }, Q = { 0 },
               R = { 0 }, T = { 0 }, XD = { 0 };
    lode_array Y = matrix(LODE_F64, N, m, 3);
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < n; j++)
            lode_i_set2(&X, i, j, lode_i_get2(&X, i, j) * pow(0.5, (double)j));
    assert_ok(&ctx, lode_array_cast(&ctx, &Y, LODE_F64, &E));
    assert_ok(&ctx, lode_i_gemm_into(&ctx, LODE_N, LODE_T, -1, &X, &W, 1, &E));
    /* least: what is outside the range of X, and what rank r leaves of Q'E */
    assert_ok(&ctx, lode_i_qr(&ctx, &X, &Q, &R));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_T, LODE_N, &Q, &E, &T));
    const double outside = sqrt(pow(norm(&E), 2) - pow(norm(&T), 2)),
                 least = hypot(outside, beyond(&T, r));
    lode_bundle base = { 0 }, x = { 0 }, y = { 0 }, result = { 0 }, *more[2] = { &x, &y };
    put(&base, "l.weight", W), put(&x, "x", X), put(&y, "y", Y);
    lode_adapter_opts o = lode_adapter_defaults();
    o.task = LODE_ADAPTER_FIT;
    o.rank = lode_rank(r);
    assert_ok(&ctx, adapt(&o, &base, more, 2, NULL, &result));
    lode_array D = difference_of(&result, "l");
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_T, member(&x, "x"), &D, &XD));
    assert_near(distance(&E, &XD), least, 1e-12 * norm(&E));
    assert_near(result.certificate.value, least / norm(&E), 1e-12);
    LODE_FREE(&E, &Q, &R, &T, &XD, &D, &base, &x, &y, &result);
}

/* ---- merging ---- */

static void signs_are_elected(void **state)
{
    (void)state;
    const double one[6] = { 3, -1, 0.5, 2, 0, -4 }, two[6] = { 1, 2, -3, 2, 0, 1 },
                 want[6] = { 3, 2, -3, 2, 0, -4 }; /* a half of each is kept: 3, 2, 4 and 2, 3, 2 */
    lode_array a[2] = { { 0 }, { 0 } }, out = { 0 };
    for (int f = 0; f < 2; f++) {
        assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 2, 3, &a[f]));
        for (int i = 0; i < 6; i++)
            lode_i_set2(&a[f], i / 3, i % 3, f ? two[i] : one[i]);
    }
    assert_ok(&ctx, lode_i_elect(&ctx, a, 2, 0.5, &out));
    for (int i = 0; i < 6; i++)
        assert_near(lode_i_get2(&out, i / 3, i % 3), want[i], 0);
    LODE_FREE(&a[0], &a[1], &out);
}

static void magnitudes_of_dora_set_the_lengths_of_rows(void **state)
{
    (void)state;
    lode_bundle base = { 0 }, a = { 0 }, r = { 0 }, *adapter = &a;
    lode_array m = { 0 };
    lode_adapter_opts o = lode_adapter_defaults();
    put(&base, "x.weight", matrix(LODE_F64, 12, 9, 5));
    put_pair(&a, "x", 12, 9, 2, 1);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 12, &m));
    for (int i = 0; i < 12; i++)
        lode_i_set1(&m, i, 1 + i);
    put(&a, "base_model.model.x.lora_magnitude_vector", m);
    o.task = LODE_ADAPTER_MERGE;
    assert_ok(&ctx, adapt(&o, &base, &adapter, 1, NULL, &r));
    for (int64_t i = 0; i < 12; i++) {
        lode_array row = lode_i_rows(member(&r, "x.weight"), i, i + 1);
        assert_near(norm(&row), (double)(1 + i), 1e-12);
        lode_array_free(&row);
    }
    LODE_FREE(&base, &a, &r);
}

/* ---- checks ---- */

static void changed_factors_are_caught(void **state)
{
    (void)state;
    pair_of_files f;
    lode_bundle r = { 0 }, both = { 0 }, one = { 0 }, *tuned = &f.tuned;
    lode_adapter_opts o = lode_adapter_defaults();
    lode_certificate found = { 0 };
    checkpoints(&f, 0.3);
    o.rank = lode_rank(4);
    assert_ok(&ctx, adapt(&o, &f.base, &tuned, 1, NULL, &r));
    for (int i = 0; i < 2; i++) {
        assert_ok(&ctx, lode_i_bundle_lend(&ctx, i ? &f.tuned : &f.base, &one));
        assert_ok(&ctx, lode_bundle_add_bundle(&ctx, &both, i ? "1" : "0", &one));
    }
    assert_ok(&ctx, lode_verify(&ctx, &r, lode_none(), &found));
    assert_ok(&ctx, lode_verify(&ctx, &r, lode_from_bundle(&both), &found));
    assert_near(found.value, r.certificate.value, 1e-6 * r.certificate.value);
    for (int64_t k = 0; k < r.count; k++) {
        if (lode_bundle_value(&r, k).kind != LODE_ARRAY)
            continue;
        lode_array *a = (lode_array *)(uintptr_t)lode_bundle_value(&r, k).as.array, flat = { 0 };
        assert_ok(&ctx, lode_array_reshape(&ctx, a, 1, (const int64_t[]){ -1 }, &flat));
        const double was = lode_i_get1(&flat, 3);
        lode_i_set1(&flat, 3, was + 0.1);
        assert_status(&ctx, lode_verify(&ctx, &r, lode_from_bundle(&both), &found), LODE_EVERIFY);
        assert_status(&ctx, lode_verify(&ctx, &r, lode_none(), &found), LODE_EVERIFY);
        lode_i_set1(&flat, 3, was);
        lode_array_free(&flat);
    }
    LODE_FREE(&r, &both);
    free_files(&f);
}

static void what_does_not_match_is_named(void **state)
{
    (void)state;
    pair_of_files f;
    lode_bundle r = { 0 }, bad = { 0 }, *more = &bad;
    lode_adapter_opts o = lode_adapter_defaults();
    checkpoints(&f, 0);
    o.rank = lode_rank(2);
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_ESHAPE);
    assert_says(&ctx, "lacks a.q.weight");
    put(&bad, "a.q.weight", matrix(LODE_F64, 40, 31, 1));
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_ESHAPE);
    assert_says(&ctx, "a.q.weight is 40 x 30 in the first checkpoint and 40 x 31 in the second");
    assert_status(&ctx, adapt(&o, &f.base, NULL, 0, NULL, &r), LODE_EUSAGE);
    o.include = "nothing*";
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_EUSAGE);
    assert_says(&ctx, "--include");
    o = lode_adapter_defaults();
    o.task = LODE_ADAPTER_MERGE;
    more = &f.tuned;
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_EUSAGE);
    assert_says(&ctx, "lora_A");
    lode_bundle a = { 0 };
    more = &a;
    put_pair(&a, "unknown", 4, 4, 2, 1);
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_ESHAPE);
    assert_says(&ctx, "unknown.weight");
    o = lode_adapter_defaults();
    o.task = LODE_ADAPTER_FACTOR;
    o.budget = (lode_budget_spec){ LODE_BUDGET_PARAMS, 50 };
    assert_status(&ctx, adapt(&o, &f.base, NULL, 0, NULL, &r), LODE_EPARAM);
    o.rank = lode_rank(2);
    assert_status(&ctx, adapt(&o, &f.base, NULL, 0, NULL, &r), LODE_EUSAGE);
    o = lode_adapter_defaults();
    o.dtype = "i8";
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_EPARAM);
    lode_array *w = (lode_array *)(uintptr_t)member(&f.base, "a.k.weight");
    lode_i_set2(w, 3, 7, NAN);
    o = lode_adapter_defaults();
    o.rank = lode_rank(2);
    more = &f.tuned;
    assert_status(&ctx, adapt(&o, &f.base, &more, 1, NULL, &r), LODE_EDOMAIN);
    assert_says(&ctx, "a.k.weight[3,7]");
    assert_int_equal(r.count, 0);
    LODE_FREE(&bad, &a);
    free_files(&f);
}

/* The generic tests run task factor; the same promises of extract and merge. */
static void threads_and_failed_allocations(void **state)
{
    (void)state;
    pair_of_files f;
    lode_bundle r = { 0 }, again = { 0 }, *tuned = &f.tuned, *adapter = &r;
    lode_adapter_opts o = lode_adapter_defaults(), merge = lode_adapter_defaults();
    checkpoints(&f, 0.3);
    o.rank = lode_rank(4);
    merge.task = LODE_ADAPTER_MERGE;
    assert_ok(&ctx, adapt(&o, &f.base, &tuned, 1, NULL, &r));
    for (int threads = 1; threads <= 3; threads += 2) {
        char one[72], two[72];
        ctx.threads = threads;
        assert_ok(&ctx, adapt(&o, &f.base, &tuned, 1, NULL, &again));
        assert_ok(&ctx, lode_hash(&ctx, lode_from_bundle(&r), one));
        assert_ok(&ctx, lode_hash(&ctx, lode_from_bundle(&again), two));
        assert_string_equal(one, two);
        lode_bundle_free(&again);
    }
    ctx.threads = 2;
    for (int task = 0; task < 2; task++)
        for (int64_t n = 1;; n += 1 + n / 50) {
            const int64_t live = memory.live;
            lode_bundle files = { 0 }, one = { 0 };
            assert_ok(&ctx, lode_i_bundle_lend(&ctx, task ? adapter : tuned, &one));
            assert_ok(&ctx, lode_bundle_add_bundle(&ctx, &files, "0", &one));
            heap_fail(&memory, n);
            const lode_status st = lode_adapter(&ctx, task ? &merge : &o, lode_from_bundle(&f.base),
                                                &files, NULL, &again);
            const bool failed = heap_failed(&memory);
            heap_fail(&memory, 0);
            assert_true(st == LODE_ENOMEM || st == LODE_OK);
            assert_true(st == LODE_OK || again.count == 0);
            LODE_FREE(&again, &files);
            assert_true(memory.live <= live);
            if (!failed)
                break;
        }
    LODE_FREE(&r);
    free_files(&f);
}

/* Results that do not fit beside the layers wait on disk. */
static void a_large_result_waits_on_disk(void **state)
{
    (void)state;
    lode_bundle base = { 0 }, r = { 0 }, whole = { 0 };
    lode_adapter_opts o = lode_adapter_defaults();
    char folder[256];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "l%d.weight", i);
        put(&base, name, matrix(LODE_F32, 300, 200, (uint64_t)i));
    }
    o.task = LODE_ADAPTER_FACTOR;
    o.rank = lode_rank(60);
    assert_ok(&ctx, adapt(&o, &base, NULL, 0, NULL, &whole));
    folder_make(folder);
    ctx.scratch = folder;
    lode_ctx_set_memory(&ctx, lode_ctx_memory_used(&ctx) + (48 << 20));
    assert_ok(&ctx, adapt(&o, &base, NULL, 0, NULL, &r));
    char one[72], two[72];
    int waits = 0;
    for (int64_t i = 0; i < r.count; i++) {
        const lode_value v = lode_bundle_value(&r, i), w = lode_bundle_value(&whole, i);
        waits += v.kind == LODE_SOURCE;
        if (v.kind != LODE_ARRAY && v.kind != LODE_SOURCE)
            continue;
        assert_ok(&ctx, lode_hash(&ctx, v, one));
        assert_ok(&ctx, lode_hash(&ctx, w, two));
        assert_string_equal(one, two);
    }
    assert_int_equal(waits, 3); /* factors of 300 x 60; those of 200 x 60 are small */
    LODE_FREE(&base, &r, &whole);
    ctx.scratch = NULL;
    folder_remove(folder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(extraction_is_the_best_of_its_rank),
        TEST(what_was_planted_comes_back_and_merges),
        TEST(resizing_gives_the_best_of_the_sum),
        TEST(an_adapter_at_its_own_rank_stays_what_it_is),
        TEST(a_budget_buys_what_search_over_all_ranks_finds),
        TEST(calibrated_factors_lose_least_of_the_outputs),
        TEST(factors_stop_at_break_even),
        TEST(a_fit_is_reduced_rank_regression),
        TEST(signs_are_elected),
        TEST(magnitudes_of_dora_set_the_lengths_of_rows),
        TEST(changed_factors_are_caught),
        TEST(what_does_not_match_is_named),
        TEST(threads_and_failed_allocations),
        TEST(a_large_result_waits_on_disk),
    };
    return cmocka_run_group_tests_name("adapter", tests, NULL, NULL);
}
