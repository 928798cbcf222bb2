/* Products begun at the same instant by several threads. OpenBLAS built for one thread gives some
 * of them the same work buffer unless its allocator is guarded: without the guard about one in a
 * thousand is wrong here. */
#include "linalg/blas.h"
#include "reference.h"

enum { SIDE = 16, DEPTH = 8, CALLS = 20000 };

/* Sixteen equal numbers that no other task has: a product made from another's buffer shows. */
static lode_status many_small_products(lode_ctx *ctx, int64_t id, void *data)
{
    double a[SIDE * DEPTH], c[SIDE * SIDE];
    const double mine = (double)id + 2;
    (void)data;
    for (int i = 0; i < SIDE * DEPTH; i++)
        a[i] = mine;
    const lode_i_operand p = lode_i_operand_packed(a, LODE_F64, SIDE, DEPTH);
    int wrong = 0;
    for (int call = 0; call < CALLS; call++) {
        lode_i_blas_rank_k(&p, false, 0, c, SIDE);
        for (int i = 0; i < SIDE; i++)
            for (int j = i; j < SIDE; j++)
                wrong += c[i * SIDE + j] != DEPTH * mine * mine;
    }
    return wrong ? lode_i_fail(ctx, LODE_EINTERNAL, "%d entries are wrong", wrong) : LODE_OK;
}

static void concurrent_products_are_right(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    ctx->threads = 3;
    assert_ok(ctx, lode_i_parallel(ctx, 6, many_small_products, NULL));
}

/* Small factorizations side by side: each allocates many times. */
static lode_status many_factorizations(lode_ctx *ctx, int64_t id, void *data)
{
    const lode_array *A = data;
    lode_status st = LODE_OK;
    lode_array a = { 0 }, u = { 0 }, s = { 0 }, v = { 0 };
    for (int call = 0; call < 40; call++) {
        bool good;
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, A, &a));
        LODE_TRY(lode_i_scale(ctx, (double)id + 1, &a));
        LODE_TRY(lode_i_svd(ctx, &a, a.shape[1], &u, &s, &v));
        LODE_TRY(lode_i_check_factors(ctx, &a, &u, &s, &v, &good));
        LODE_REQUIRE(good, LODE_EINTERNAL, "factors are wrong");
    }
done:
    LODE_FREE(&a, &u, &s, &v);
    return st;
}

static void concurrent_factorizations_are_right(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    ctx->threads = 3;
    for (int t = 0; t < KINDS; t++) {
        lode_array A = matrix(ctx, kinds[t], 60, 25, BY_ROWS, 1);
        assert_ok(ctx, lode_i_parallel(ctx, 6, many_factorizations, &A));
        lode_array_free(&A);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(concurrent_products_are_right),
        LINALG_TEST(concurrent_factorizations_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
