/* Many threads with many contexts each, and forks in the middle: every context gives the bits of a
 * lone one, and has its own sentences. Without words a few of each; test_contexts THREADS CONTEXTS
 * FORKS as many as that. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "lode/io.h"
#include "sample.h"

enum { OPS_MAX = 256, PATIENCE = 120 };
static int thread_count = 8, context_count = 6, fork_count = 30;
static lode_ctx lone;
static lode_bundle expected[OPS_MAX];
static int64_t op_count, cheapest; /* and the one of the shortest call */
static char folder[256], h5[300];

/* One random call of the n-th operation. */
static lode_status call(lode_ctx *ctx, int64_t n, lode_bundle *result)
{
    sample s = { 0 };
    const sample_spec spec = { .seed = 31, .dtype = LODE_F64 };
    lode_status st = sample_make(ctx, lode_op_at(ctx, n), &spec, &s);
    if (st >= 0)
        st = lode_call_run(ctx, &s.call, result);
    sample_free(&s);
    return st;
}

/* Whether a context gives what the lone one gave. */
static bool as_expected(lode_ctx *ctx, int64_t n)
{
    lode_bundle got = { 0 };
    const bool same = call(ctx, n, &got) >= 0 && sample_same(&got, &expected[n]);
    lode_bundle_free(&got);
    return same;
}

/* A file read through a library that has one lock for the process. */
static bool reads_hdf5(lode_ctx *ctx)
{
    lode_bundle b = { 0 };
    const bool fine = !*h5 || (lode_read(ctx, h5, NULL, &b) >= 0 && b.count == 1);
    lode_bundle_free(&b);
    return fine;
}

static int group_setup(void **state)
{
    (void)state;
    if (lode_ctx_init(&lone, NULL) < 0)
        return -1;
    lone.threads = 1;
    op_count = lode_op_count(&lone);
    double least = 1e9;
    for (int64_t n = 0; n < op_count && n < OPS_MAX; n++) {
        const double start = lode_i_seconds();
        if (call(&lone, n, &expected[n]) < 0) {
            print_error("%s: %s\n", lode_op_at(&lone, n)->name, lode_message(&lone));
            return -1;
        }
        const double seconds = lode_i_seconds() - start;
        cheapest = seconds < least ? n : cheapest;
        least = seconds < least ? seconds : least;
    }
    folder_make(folder);
    lode_bundle b = { 0 };
    lode_array x = { 0 };
    const int64_t shape[] = { 40, 50 };
    snprintf(h5, sizeof h5, "%s/x.h5", folder);
    if (lode_array_zeros(&lone, LODE_F32, 2, shape, &x) < 0 ||
        lode_bundle_add_array(&lone, &b, "x", &x) < 0)
        return -1;
    if (lode_write(&lone, h5, &b, NULL) < 0)
        *h5 = '\0'; /* not in this build */
    lode_bundle_free(&b);
    lode_array_free(&x);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (int64_t n = 0; n < op_count; n++)
        lode_bundle_free(&expected[n]);
    lode_ctx_free(&lone);
    folder_remove(folder);
    return 0;
}

/* ---- threads ---- */

static _Atomic int64_t good, opened;

/* All contexts of a thread are alive at once; an error in one is told by that one alone. Every fifth
 * makes a call of any operation, the others a short one. */
static void *use_contexts(void *data)
{
    const int64_t thread = (int64_t)(intptr_t)data;
    lode_ctx *ctx = calloc((size_t)context_count, sizeof *ctx);
    for (int i = 0; ctx && i < context_count; i++)
        if (lode_ctx_init(&ctx[i], NULL) >= 0) {
            ctx[i].threads = i == 0 ? 2 : 1;
            opened++;
        }
    for (int i = 0; ctx && i < context_count; i++) {
        char name[64];
        lode_bundle none = { 0 };
        snprintf(name, sizeof name, "/nowhere/%d-%d.npy", (int)thread, i);
        const bool fine = as_expected(&ctx[i], i % 5 ? cheapest : (thread + i / 5) % op_count) &&
                          (i % 10 != 3 || reads_hdf5(&ctx[i])) &&
                          lode_read(&ctx[i], name, NULL, &none) == LODE_ENOENT &&
                          strstr(lode_message(&ctx[i]), name);
        good += fine;
    }
    for (int i = 0; ctx && i < context_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "/nowhere/%d-%d.npy", (int)thread, i);
        good += strstr(lode_message(&ctx[i]), name) != NULL; /* still its own */
        lode_ctx_free(&ctx[i]);
    }
    free(ctx);
    return NULL;
}

static void threads_with_contexts_do_not_meet(void **state)
{
    (void)state;
    pthread_t *t = calloc((size_t)thread_count, sizeof *t);
    assert_non_null(t);
    for (int i = 0; i < thread_count; i++)
        assert_int_equal(pthread_create(&t[i], NULL, use_contexts, (void *)(intptr_t)i), 0);
    for (int i = 0; i < thread_count; i++)
        pthread_join(t[i], NULL);
    free(t);
    assert_int_equal(opened, (int64_t)thread_count * context_count);
    assert_int_equal(good, 2 * (int64_t)thread_count * context_count);
    print_message("%d threads with %d contexts each: all calls as of a lone context\n",
                  thread_count, context_count);
}

/* ---- forks ---- */

/* In the child: a context of its own, threads of its own, files; hanging is death. */
static void live_as_child(int64_t n)
{
    lode_ctx ctx;
    alarm(PATIENCE);
    bool fine = lode_ctx_init(&ctx, NULL) == LODE_OK;
    if (fine) {
        ctx.threads = 2;
        fine = as_expected(&ctx, n % op_count) && reads_hdf5(&ctx);
        lode_ctx_free(&ctx);
    }
    _exit(fine ? 0 : 1);
}

static bool lived_well(pid_t child)
{
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

typedef struct forker {
    int64_t seen, at;
    pid_t child;
} forker;

static int fork_at_tick(void *data, const lode_progress *p)
{
    forker *f = data;
    (void)p;
    if (f->seen++ == f->at) {
        f->child = fork();
        if (f->child == 0)
            live_as_child(f->at);
    }
    return 0;
}

/* From the callback of a job under way. */
static void a_fork_in_the_middle_of_each_op(void **state)
{
    (void)state;
    int64_t forks = 0;
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    ctx.threads = 3;
    lode_i_set_tick_always(&ctx, true);
    for (int64_t n = 0; n < op_count; n++) {
        forker f = { .at = 0 };
        ctx.progress = fork_at_tick, ctx.progress_data = &f;
        for (;; f.at = 2 * f.at + 1) {
            f.seen = 0, f.child = 0;
            if (!as_expected(&ctx, n))
                fail_msg("%s: other bits after a fork at tick %" PRId64, lode_op_at(&ctx, n)->name,
                         f.at);
            if (f.seen <= f.at)
                break;
            forks++;
            if (!lived_well(f.child))
                fail_msg("%s: the child of tick %" PRId64 " failed", lode_op_at(&ctx, n)->name,
                         f.at);
        }
    }
    ctx.progress = NULL;
    lode_ctx_free(&ctx);
    print_message("%" PRId64 " forks from callbacks\n", forks);
}

#ifndef LODE_SANITIZED /* whose own allocator may be locked by another thread when a child begins */
static _Atomic bool done;

static void *work_on(void *data)
{
    lode_ctx ctx;
    int64_t *bad = data;
    if (lode_ctx_init(&ctx, NULL) < 0)
        return NULL;
    ctx.threads = 3;
    for (int64_t n = 0; !done; n++)
        *bad += !as_expected(&ctx, n % op_count) || !reads_hdf5(&ctx);
    lode_ctx_free(&ctx);
    return NULL;
}

/* From another thread, wherever the jobs are: in a product, an allocation, a library's lock. */
static void forks_while_other_threads_work(void **state)
{
    (void)state;
    pthread_t t[3];
    int64_t bad[3] = { 0 };
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, work_on, &bad[i]), 0);
    int failed = 0;
    for (int k = 0; k < fork_count; k++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000 * (k * 7919 % 997) }, NULL);
        const pid_t child = fork();
        if (child == 0)
            live_as_child(k);
        failed += !lived_well(child);
    }
    done = true;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(failed, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bad[i], 0);
    print_message("%d forks beside three jobs\n", fork_count);
}
#endif

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_with_contexts_do_not_meet),
#ifndef UNDER_TSAN
        cmocka_unit_test(a_fork_in_the_middle_of_each_op),
#endif
#ifndef LODE_SANITIZED
        cmocka_unit_test(forks_while_other_threads_work),
#endif
    };
    if (argc == 4) {
        thread_count = atoi(argv[1]), context_count = atoi(argv[2]);
        fork_count = atoi(argv[3]);
    }
    if (getenv("LODE_TEST_FILTER"))
        cmocka_set_test_filter(getenv("LODE_TEST_FILTER"));
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
