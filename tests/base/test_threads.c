/* Parallel tasks: each once, the first failure, nesting, cancelling, forking, and a hundred
 * contexts at once. */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "base/base.h"

static int setup(void **state)
{
    static lode_ctx ctx;
    *state = &ctx;
    return lode_ctx_init(&ctx, NULL);
}

static int teardown(void **state)
{
    lode_ctx_free(*state);
    return 0;
}

typedef struct work {
    _Atomic int64_t times[1000];
    _Atomic int64_t in_range;
    int threads;
} work;

static lode_status count_it(lode_ctx *ctx, int64_t i, void *data)
{
    work *w = data;
    w->times[i]++;
    w->in_range += lode_i_worker(ctx) >= 0 && lode_i_worker(ctx) < w->threads &&
                   lode_ctx_threads(ctx) == 1;
    return LODE_OK;
}

static void each_task_runs_once(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t counts[] = { -3, 0, 2, 3, 7, 1000 };
    for (int threads = 1; threads <= 9; threads += 2)
        for (int c = 0; c < 6; c++)
            for (int repeat = 0; repeat < 20; repeat++) {
                static work w;
                memset(&w, 0, sizeof w);
                ctx->threads = w.threads = threads;
                assert_ok(ctx, lode_i_parallel(ctx, counts[c], count_it, &w));
                for (int64_t i = 0; i < 1000; i++)
                    assert_int_equal(w.times[i], i < counts[c]);
                assert_int_equal(w.in_range, counts[c] > 0 ? counts[c] : 0);
                assert_int_equal(lode_i_worker(ctx), 0);
                assert_int_equal(lode_ctx_threads(ctx), threads);
            }
}

/* Each waits until all have begun, which takes as many threads as tasks. */
static lode_status meet(lode_ctx *ctx, int64_t i, void *data)
{
    (void)i;
    _Atomic int64_t *begun = data;
    const double start = lode_i_seconds();
    for (++*begun; *begun < 3; sched_yield())
        if (lode_i_seconds() - start > 10)
            return lode_i_fail(ctx, LODE_EINTERNAL, "the other threads do not come");
    return LODE_OK;
}

static void tasks_run_at_the_same_time(void **state)
{
    lode_ctx *ctx = *state;
    ctx->threads = 3;
    for (int i = 0; i < 200; i++) {
        _Atomic int64_t begun = 0;
        if (i % 50 == 0)
            usleep(1000); /* from awake and from sleeping workers */
        assert_ok(ctx, lode_i_parallel(ctx, 3, meet, &begun));
    }
}

static void nap(int64_t microseconds)
{
    const struct timespec t = { 0, (int)(microseconds * 1000) };
    nanosleep(&t, NULL);
}

static lode_status fail_some(lode_ctx *ctx, int64_t i, void *data)
{
    const int64_t *first = data;
    if (i == *first)
        nap(300); /* later ones fail earlier in time */
    return i >= *first ? lode_i_fail(ctx,
                                     i == *first ? LODE_EDOMAIN
                                     : i % 2     ? LODE_EPARAM
                                                 : LODE_EIO,
                                     "task %" PRId64 " failed", i)
                       : LODE_OK;
}

static void the_failure_of_the_smallest_task_is_reported(void **state)
{
    lode_ctx *ctx = *state;
    for (int threads = 1; threads <= 4; threads++)
        for (int64_t first = 0; first < 30; first++) {
            char want[64];
            ctx->threads = threads;
            snprintf(want, sizeof want, "task %" PRId64 " failed", first);
            assert_int_equal(lode_i_parallel(ctx, 40, fail_some, &first), LODE_EDOMAIN);
            assert_string_equal(lode_message(ctx), want);
            assert_int_equal(lode_last_status(ctx), LODE_EDOMAIN);
        }
}

static lode_status caveat_some(lode_ctx *ctx, int64_t i, void *data)
{
    (void)data;
    if (i == 5 || i == 50)
        return lode_i_fail(ctx, LODE_MISSED, "task %" PRId64 " missed", i);
    return i % 10 == 3 ? lode_i_fail(ctx, LODE_NOCONV, "task %" PRId64 " wanders", i) : LODE_OK;
}

static void the_largest_caveat_is_kept_and_all_tasks_run(void **state)
{
    lode_ctx *ctx = *state;
    for (int threads = 1; threads <= 4; threads++) {
        ctx->threads = threads;
        assert_int_equal(lode_i_parallel(ctx, 60, caveat_some, NULL), LODE_MISSED);
        assert_string_equal(lode_message(ctx), "task 5 missed");
        assert_int_equal(lode_last_status(ctx), LODE_MISSED);
    }
}

static lode_status nested(lode_ctx *ctx, int64_t i, void *data)
{
    work *w = data;
    static work inner[20];
    const int outer = lode_i_worker(ctx);
    memset(&inner[i], 0, sizeof inner[i]);
    inner[i].threads = 1;
    LODE_FORWARD(lode_i_parallel(ctx, 30, count_it, &inner[i]));
    for (int k = 0; k < 30; k++)
        w->times[i] += inner[i].times[k];
    w->in_range += inner[i].in_range == 30 && lode_i_worker(ctx) == outer;
    if (i == 13) { /* a failure inside keeps its own sentence */
        int64_t first = 2;
        return lode_i_parallel(ctx, 10, fail_some, &first);
    }
    return LODE_OK;
}

static void calls_inside_a_task_are_serial(void **state)
{
    lode_ctx *ctx = *state;
    static work w;
    ctx->threads = 4;
    memset(&w, 0, sizeof w);
    assert_status(ctx, lode_i_parallel(ctx, 20, nested, &w), LODE_EDOMAIN);
    assert_string_equal(lode_message(ctx), "task 2 failed");
    for (int i = 0; i <= 13; i++)
        assert_int_equal(w.times[i], 30);
}

static lode_status all_in_one(lode_ctx *ctx, int64_t i, void *data)
{
    (void)i;
    return lode_i_parallel(ctx, 1000, count_it, data);
}

static void a_single_task_may_be_parallel_itself(void **state)
{
    lode_ctx *ctx = *state;
    static work w;
    memset(&w, 0, sizeof w);
    ctx->threads = w.threads = 3;
    assert_ok(ctx, lode_i_parallel(ctx, 1, all_in_one, &w));
    assert_int_equal(w.in_range, 1000);
}

/* ---- cancelling and progress ---- */

typedef struct watcher {
    pthread_t thread;
    int calls, strangers, cancel;
} watcher;

static int watch(void *data, const lode_progress *p)
{
    watcher *w = data;
    w->calls++;
    w->strangers += !pthread_equal(w->thread, pthread_self()) ||
                    !(p->fraction >= 0 && p->fraction <= 1);
    return w->cancel;
}

static lode_status slow(lode_ctx *ctx, int64_t i, void *data)
{
    (void)data;
    nap(500);
    return lode_i_tick(ctx, i, 400);
}

static void progress_is_told_on_the_callers_thread_only(void **state)
{
    lode_ctx *ctx = *state;
    watcher w = { .thread = pthread_self() };
    ctx->threads = 3;
    ctx->progress = watch, ctx->progress_data = &w;
    lode_i_begin(ctx, "test");
    assert_ok(ctx, lode_i_parallel(ctx, 400, slow, NULL));
    assert_true(w.calls >= 1); /* 66 ms of tasks each 0.5 ms, told every 50 ms */
    assert_int_equal(w.strangers, 0);
    w.cancel = 1; /* refused at the first chance, long before the 400th task */
    const double start = lode_i_seconds();
    assert_status(ctx, lode_i_parallel(ctx, 100000, slow, NULL), LODE_ECANCEL);
    assert_le(lode_i_seconds() - start, 5);
    lode_i_end(ctx);
}

static lode_status cancel_from_a_task(lode_ctx *ctx, int64_t i, void *data)
{
    _Atomic int64_t *runs = data;
    ++*runs;
    if (i == 10)
        lode_ctx_cancel(ctx);
    return LODE_OK;
}

static void a_cancel_stops_all_workers(void **state)
{
    lode_ctx *ctx = *state;
    for (int threads = 1; threads <= 4; threads++) {
        _Atomic int64_t runs = 0;
        ctx->threads = threads;
        lode_i_begin(ctx, "test");
        assert_status(ctx, lode_i_parallel(ctx, INT64_C(1) << 40, cancel_from_a_task, &runs),
                      LODE_ECANCEL);
        assert_true(runs >= 11);
        assert_status(ctx, lode_i_parallel(ctx, 1, cancel_from_a_task, &runs), LODE_ECANCEL);
        lode_i_end(ctx);
        lode_i_begin(ctx, "next");
        assert_ok(ctx, lode_i_parallel(ctx, 5, cancel_from_a_task, &runs));
        lode_i_end(ctx);
    }
}

/* ---- settings, memory, forks, many contexts ---- */

static lode_status see_settings(lode_ctx *ctx, int64_t i, void *data)
{
    const lode_ctx *caller = data;
    void *p = NULL;
    const bool same = ctx->seed == caller->seed && ctx->scratch == caller->scratch &&
                      lode_i_registry(ctx) == lode_i_registry(caller) &&
                      ctx->broken == caller->broken;
    lode_i_begin(ctx, "inside"); /* not the outermost call, so it clears nothing */
    lode_i_stage(ctx, "stage", 0, 1);
    lode_i_log(ctx, "only the caller's thread is heard");
    lode_i_end(ctx);
    LODE_FORWARD(lode_i_alloc(ctx, (size_t)i * 10, &p));
    lode_i_free(p);
    return same ? LODE_OK : LODE_EINTERNAL;
}

static void workers_have_the_callers_settings(void **state)
{
    lode_ctx *ctx = *state;
    ctx->threads = 4, ctx->seed = 99, ctx->scratch = "there";
    lode_i_set_registry(ctx, (const struct lode_op *const *)(const void *)&ctx->seed);
    const lode_ctx copy = *ctx;
    for (int i = 0; i < 50; i++)
        assert_ok(ctx, lode_i_parallel(ctx, 50, see_settings, (void *)&copy));
}

static void starting_the_pool_survives_each_failed_allocation(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    static work w;
    int failures = 0;
    for (int n = 1;; n++, failures++) {
        lode_ctx ctx;
        memset(&w, 0, sizeof w);
        heap_fail(&h, 0);
        assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
        ctx.threads = w.threads = 4;
        heap_fail(&h, n);
        const lode_status st = lode_i_parallel(&ctx, 10, count_it, &w);
        const bool failed = heap_failed(&h);
        assert_int_equal(st, failed ? LODE_ENOMEM : LODE_OK);
        /* and the next call is well */
        if (failed)
            assert_ok(&ctx, lode_i_parallel(&ctx, 10, count_it, &w));
        lode_ctx_free(&ctx);
        assert_int_equal(h.live, 0);
        if (!failed)
            break;
    }
    assert_int_equal(failures, 4); /* the pool and three workers */
}

/* qemu-user stops a child that starts threads when its parent had some, so there it works alone. */
#ifdef LODE_EMULATED
enum { CHILD_THREADS = 1 };
#else
enum { CHILD_THREADS = 3 };
#endif

static void a_forked_child_gets_threads_of_its_own(void **state)
{
#ifdef UNDER_TSAN
    (void)state;
    skip();
#else
    lode_ctx *ctx = *state;
    static work w;
    memset(&w, 0, sizeof w);
    ctx->threads = w.threads = 3;
    assert_ok(ctx, lode_i_parallel(ctx, 100, count_it, &w));
    const pid_t child = fork();
    if (child == 0) {
        memset(&w, 0, sizeof w);
        ctx->threads = w.threads = CHILD_THREADS;
        _Atomic int64_t begun = 0;
        const bool fine = lode_i_parallel(ctx, 100, count_it, &w) == LODE_OK && w.in_range == 100 &&
                          (CHILD_THREADS < 3 || lode_i_parallel(ctx, 3, meet, &begun) == LODE_OK);
        lode_ctx_free(ctx);
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    assert_ok(ctx, lode_i_parallel(ctx, 100, count_it, &w));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
#endif
}

static void *own_context(void *data)
{
    lode_ctx ctx;
    int64_t total = 0;
    static const int64_t first = 7;
    if (lode_ctx_init(&ctx, NULL) < 0)
        return data;
    ctx.threads = 2;
    for (int i = 0; i < 5; i++) {
        void *p = NULL;
        total += lode_i_alloc(&ctx, 100, &p) == LODE_OK;
        total += lode_i_parallel(&ctx, 20, fail_some, (void *)&first) == LODE_EDOMAIN;
        total += strcmp(lode_message(&ctx), "task 7 failed") == 0;
        lode_i_free(p);
    }
    lode_ctx_free(&ctx);
    return total == 15 ? NULL : data;
}

static void a_hundred_threads_have_a_hundred_contexts(void **state)
{
    pthread_t t[100];
    for (int i = 0; i < 100; i++)
        assert_int_equal(pthread_create(&t[i], NULL, own_context, state), 0);
    for (int i = 0; i < 100; i++) {
        void *bad = NULL;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_task_runs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_run_at_the_same_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_failure_of_the_smallest_task_is_reported, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_largest_caveat_is_kept_and_all_tasks_run, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(calls_inside_a_task_are_serial, setup, teardown),
        cmocka_unit_test_setup_teardown(a_single_task_may_be_parallel_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_is_told_on_the_callers_thread_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_cancel_stops_all_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_have_the_callers_settings, setup, teardown),
        cmocka_unit_test(starting_the_pool_survives_each_failed_allocation),
        cmocka_unit_test_setup_teardown(a_forked_child_gets_threads_of_its_own, setup, teardown),
        cmocka_unit_test(a_hundred_threads_have_a_hundred_contexts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
