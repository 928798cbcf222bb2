/* Budgeted blocks: alignment, counting, refusal, and freeing by whoever is last. */
#include "fixture.h"

#include <pthread.h>

#include "base/base.h"

static int setup(void **state)
{
    static lode_ctx ctx;
    *state = &ctx;
    return lode_ctx_init(&ctx, NULL);
}

static int teardown(void **state)
{
    lode_ctx *ctx = *state;
    const bool clean = lode_ctx_memory_used(ctx) == 0;
    lode_ctx_free(ctx);
    return clean ? 0 : -1;
}

static void blocks_are_aligned_counted_and_kept(void **state)
{
    lode_ctx *ctx = *state;
    void *p[50] = { 0 };
    for (size_t i = 0; i < 50; i++) {
        const size_t bytes = i * i * 13;
        const uint64_t before = lode_ctx_memory_used(ctx);
        assert_ok(ctx, lode_i_alloc(ctx, bytes, &p[i]));
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        assert_in_range(lode_ctx_memory_used(ctx) - before, bytes, bytes + 256);
        memset(p[i], (int)i, bytes);
    }
    for (size_t i = 0; i < 50; i++) {
        const size_t bytes = i * i * 13;
        assert_ok(ctx, lode_i_realloc(ctx, bytes / 2 + 100, &p[i]));
        for (size_t k = 0; k < bytes && k < bytes / 2 + 100; k++)
            assert_int_equal(((unsigned char *)p[i])[k], i);
    }
    assert_true(lode_ctx_memory_peak(ctx) >= lode_ctx_memory_used(ctx));
    for (size_t i = 0; i < 50; i++)
        lode_i_free(p[i]);
    lode_i_free(NULL);
    assert_int_equal(lode_ctx_memory_used(ctx), 0);
    assert_true(lode_ctx_memory_peak(ctx) > 0);
    lode_ctx_memory_reset_peak(ctx);
    assert_int_equal(lode_ctx_memory_peak(ctx), 0);
}

static void zeroed_with_either_allocator(void **state)
{
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx own;
    assert_int_equal(lode_ctx_init(&own, &a), LODE_OK);
    lode_ctx *ctx[] = { *state, &own };
    for (int k = 0; k < 2; k++) {
        unsigned char *p = NULL;
        assert_ok(ctx[k], lode_i_calloc(ctx[k], 100000, (void **)&p));
        for (int i = 0; i < 100000; i++)
            assert_int_equal(p[i], 0);
        lode_i_free(p);
    }
    lode_ctx_free(&own);
    assert_int_equal(h.live, 0);
}

static void the_budget_refuses_and_names_what_would_do(void **state)
{
    lode_ctx *ctx = *state;
    const uint64_t before = lode_ctx_memory(ctx);
    void *p = NULL, *q = NULL;
    lode_ctx_set_memory(ctx, 10000);
    assert_ok(ctx, lode_i_alloc(ctx, 6000, &p));
    assert_in_range(lode_i_memory_left(ctx), 3000, 4000);
    assert_status(ctx, lode_i_alloc(ctx, 5000, &q), LODE_EBUDGET);
    assert_null(q);
    assert_says(ctx, "5000");
    assert_says(ctx, "10000");
    const char *number = strstr(lode_message(ctx), "--memory ");
    assert_non_null(number);
    uint64_t would_do = strtoull(number + 9, NULL, 10);
    lode_ctx_set_memory(ctx, would_do - 1);
    assert_status(ctx, lode_i_alloc(ctx, 5000, &q), LODE_EBUDGET);
    lode_ctx_set_memory(ctx, would_do);
    assert_ok(ctx, lode_i_alloc(ctx, 5000, &q));
    assert_true(lode_ctx_memory_peak(ctx) <= would_do);

    lode_ctx_set_memory(ctx, 100); /* less than is in use already */
    assert_int_equal(lode_i_memory_left(ctx), 0);
    void *r = p;
    assert_status(ctx, lode_i_realloc(ctx, 7000, &r), LODE_EBUDGET);
    assert_ptr_equal(r, p);
    lode_i_free(p);
    lode_i_free(q);
    lode_ctx_set_memory(ctx, before);
}

static void impossible_sizes_are_refused(void **state)
{
    lode_ctx *ctx = *state;
    double *p = NULL;
    void *q = NULL;
    lode_ctx_set_memory(ctx, UINT64_MAX);
    assert_status(ctx, LODE_NEW(ctx, -1, &p), LODE_ESHAPE);
    assert_status(ctx, LODE_NEW(ctx, INT64_MAX / 4, &p), LODE_ESHAPE);
    assert_status(ctx, lode_i_alloc(ctx, SIZE_MAX, &q), LODE_ENOMEM);
    assert_status(ctx, lode_i_alloc(ctx, SIZE_MAX - 127, &q), LODE_ENOMEM);
    assert_null(q);
    assert_ok(ctx, LODE_NEW(ctx, 0, &p));
    assert_non_null(p);
    lode_i_free(p);
    lode_ctx_set_memory(ctx, UINT64_C(1) << 32);
    lode_ctx empty = { 0 };
    assert_int_equal(lode_i_alloc(&empty, 8, &q), LODE_EUSAGE);
}

static void a_failing_heap_is_reported_and_uncounted(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx ctx;
    char *text = NULL;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    heap_fail(&h, 1);
    assert_status(&ctx, lode_i_strdup(&ctx, "word", &text), LODE_ENOMEM);
    assert_null(text);
    assert_int_equal(lode_ctx_memory_used(&ctx), 0);
    assert_ok(&ctx, lode_i_strdup(&ctx, "word", &text));
    assert_string_equal(text, "word");
    lode_ctx_free(&ctx); /* the block outlives its context */
    assert_true(h.live > 0);
    lode_i_free(text);
    assert_int_equal(h.live, 0);
}

static void *free_it(void *p)
{
    lode_i_free(p);
    return NULL;
}

static void another_thread_may_free_after_the_context(void **state)
{
    (void)state;
    lode_ctx ctx;
    pthread_t t[8];
    void *p[8] = { 0 };
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    for (int i = 0; i < 8; i++)
        assert_ok(&ctx, lode_i_alloc(&ctx, 1000, &p[i]));
    lode_ctx_free(&ctx);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&t[i], NULL, free_it, p[i]), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(h.live, 0);
}

static void *churn(void *data)
{
    lode_ctx *ctx = data;
    for (int i = 0; i < 2000; i++) {
        void *p = NULL;
        if (lode_i_alloc(ctx, 1000 + (size_t)i, &p) == LODE_OK)
            *(char *)p = 1;
        lode_i_free(p);
    }
    return NULL;
}

static void the_budget_holds_under_contention(void **state)
{
    lode_ctx *ctx = *state, other[4];
    pthread_t t[4];
    lode_ctx_set_memory(ctx, 6000);
    lode_ctx_memory_reset_peak(ctx);
    for (int i = 0; i < 4; i++) {
        assert_ok(ctx, lode_ctx_share(ctx, &other[i]));
        assert_int_equal(pthread_create(&t[i], NULL, churn, &other[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        lode_ctx_free(&other[i]);
    }
    assert_int_equal(lode_ctx_memory_used(ctx), 0);
    assert_in_range(lode_ctx_memory_peak(ctx), 1000, 6000);
}

/* Against 128-bit products where the compiler has them, else against division. */
/* Large blocks freed within a call may come back: counted as before, zeroed where asked for, and
 * never in the way of the budget. */
static void large_blocks_come_back_within_a_call(void **state)
{
    lode_ctx *ctx = *state;
    const size_t large = (size_t)16 << 20;
    void *p = NULL, *q = NULL;
    lode_ctx_set_memory(ctx, 3 * large);
    lode_i_begin(ctx, "test");
    const uint64_t used = lode_ctx_memory_used(ctx);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(lode_i_calloc(ctx, large, &p), LODE_OK);
        assert_int_equal(lode_i_alloc(ctx, large, &q), LODE_OK);
        for (size_t k = 0; k < large; k += 1000)
            assert_int_equal(((const char *)p)[k], 0);
        memset(p, 1, large);
        memset(q, 2, large);
        assert_in_range(lode_ctx_memory_used(ctx) - used, 2 * large, 2 * large + 4096);
        lode_i_free(p);
        lode_i_free(q);
        assert_int_equal(lode_ctx_memory_used(ctx), used);
    }
    assert_in_range(lode_ctx_memory_peak(ctx) - used, 2 * large, 2 * large + 4096);
    /* what is kept makes room for what does not fit it */
    assert_int_equal(lode_i_alloc(ctx, 5 * large / 2, &p), LODE_OK);
    lode_i_free(p);
    assert_int_equal(lode_i_alloc(ctx, large, &p), LODE_OK); /* outlives the call */
    lode_i_end(ctx);
    assert_true(lode_ctx_memory_used(ctx) - used >= large);
    lode_i_free(p);
    assert_int_equal(lode_ctx_memory_used(ctx), used);
}

static void overflow_is_seen(void **state)
{
    (void)state;
    const int64_t v[] = { 0,
                          1,
                          -1,
                          2,
                          -2,
                          3,
                          1 << 20,
                          INT64_MAX,
                          INT64_MIN,
                          INT64_MAX / 2,
                          INT64_MIN / 2,
                          INT64_MAX / 3,
                          3037000499,
                          3037000500,
                          -3037000500 };
    const int n = (int)(sizeof v / sizeof *v);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            int64_t c = 0, want = 0;
            const bool product = !__builtin_mul_overflow(v[i], v[k], &want);
            assert_int_equal(lode_i_mul(v[i], v[k], &c), product);
            assert_true(!product || c == want);
            const bool sum = !__builtin_add_overflow(v[i], v[k], &want);
            assert_int_equal(lode_i_add(v[i], v[k], &c), sum);
            assert_true(!sum || c == want);
        }
    assert_int_equal(lode_i_ceil_div(7, 3), 3);
    assert_int_equal(lode_i_ceil_div(6, 3), 2);
    assert_int_equal(lode_i_min(-1, 4), -1);
    assert_int_equal(lode_i_max(-1, 4), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_are_aligned_counted_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(zeroed_with_either_allocator, setup, teardown),
        cmocka_unit_test_setup_teardown(the_budget_refuses_and_names_what_would_do, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(impossible_sizes_are_refused, setup, teardown),
        cmocka_unit_test(a_failing_heap_is_reported_and_uncounted),
        cmocka_unit_test(another_thread_may_free_after_the_context),
        cmocka_unit_test_setup_teardown(the_budget_holds_under_contention, setup, teardown),
        cmocka_unit_test_setup_teardown(large_blocks_come_back_within_a_call, setup, teardown),
        cmocka_unit_test(overflow_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
