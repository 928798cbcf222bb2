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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(extraction_is_the_best_of_its_rank),
        TEST(what_was_planted_comes_back_and_merges),
    };
    return cmocka_run_group_tests_name("adapter", tests, NULL, NULL);
}
