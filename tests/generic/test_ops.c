/* What every operation of the registry must do, tested on random calls made from its descriptor. An
 * operation has these tests the day it is registered. */
#include <math.h>

#include "fixture.h"
#include "probe.h"
#include "sample.h"

typedef struct fix {
    lode_ctx ctx;
    heap memory;
    sample s;
    lode_bundle result;
} fix;

static fix f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    const lode_allocator a = heap_of(&f.memory);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    lode_i_set_registry(&f.ctx, probe_registry());
    f.ctx.threads = 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_free(&f.s);
    lode_bundle_free(&f.result);
    lode_ctx_free(&f.ctx);
    if (f.memory.live != 0)
        print_error("%" PRId64 " blocks leaked\n", (int64_t)f.memory.live);
    return f.memory.live == 0 ? 0 : -1;
}

#define EACH_OP(op)                                                                                \
    for (int64_t op##_i = 0; op##_i < lode_op_count(&f.ctx); op##_i++)                             \
        for (const lode_op *op = lode_op_at(&f.ctx, op##_i); op; op = NULL)

static lode_status call(const lode_op *op, const sample_spec *spec, lode_bundle *result)
{
    lode_status st = sample_make(&f.ctx, op, spec, &f.s);
    if (st >= 0)
        st = lode_call_run(&f.ctx, &f.s.call, result);
    return st;
}

static void must(const lode_op *op, lode_status st, const char *what)
{
    if (st < 0)
        fail_msg("%s, %s: %s: %s", op->name, what, lode_status_name(st), lode_message(&f.ctx));
}

static void again(void)
{
    sample_free(&f.s);
    lode_bundle_free(&f.result);
}

/* Runs, then runs otherwise: same bits. */
static void same_bits(const lode_op *op, const sample_spec *a, const sample_spec *b, int threads,
                      const char *what)
{
    lode_bundle other = { 0 };
    must(op, call(op, a, &f.result), what);
    sample_free(&f.s);
    const int before = f.ctx.threads;
    f.ctx.threads = threads;
    must(op, call(op, b, &other), what);
    f.ctx.threads = before;
    if (!sample_same(&f.result, &other))
        fail_msg("%s: %s gives other bits", op->name, what);
    lode_bundle_free(&other);
    again();
}

static void takes_every_type_it_declares(void **state)
{
    (void)state;
    EACH_OP(op) for (int d = 0; d < LODE_DTYPE_COUNT; d++) if (sample_takes(op, (lode_dtype)d))
    {
        must(op, call(op, &(sample_spec){ .seed = 3, .dtype = (lode_dtype)d }, &f.result),
             lode_dtype_name((lode_dtype)d));
        again();
    }
}

static void strides_do_not_matter(void **state)
{
    (void)state;
    EACH_OP(op)
    same_bits(op, &(sample_spec){ .seed = 4, .dtype = LODE_F64 },
              &(sample_spec){ .seed = 4, .dtype = LODE_F64, .strided = true }, 2,
              "a strided input");
}

static void as_on_two_threads(int threads, const char *what)
{
#ifdef LODE_SANITIZED /* the wide ones take it a quarter of an hour */
    static const sample_shape shapes[] = { SAMPLE_NORMAL, SAMPLE_TALL };
#else
    static const sample_shape shapes[] = { SAMPLE_NORMAL, SAMPLE_TALL, SAMPLE_WIDE };
#endif
    EACH_OP(op)
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int d = LODE_F32; d <= LODE_F64; d++) {
            const sample_spec spec = { .seed = 5, .dtype = (lode_dtype)d, .shape = shapes[k] };
            if (!op->schedule_dependent)
                same_bits(op, &spec, &spec, threads, what);
        }
}

static void one_thread_does_not_matter(void **state)
{
    (void)state;
    as_on_two_threads(1, "one thread");
}

static void three_threads_do_not_matter(void **state)
{
    (void)state;
    as_on_two_threads(3, "three threads");
}

static void sources_do_not_matter(void **state)
{
    (void)state;
    EACH_OP(op)
    for (int k = SAMPLE_NORMAL; k <= SAMPLE_WIDE; k++)
        if (k == SAMPLE_NORMAL || k >= SAMPLE_TALL)
            same_bits(op, &(sample_spec){ .seed = 6, .dtype = LODE_F64, .shape = (sample_shape)k },
                      &(sample_spec){
                          .seed = 6, .dtype = LODE_F64, .shape = (sample_shape)k, .source = true },
                      2, "a source");
}

/* Empty and length-1 axes: a result, or a sentence about the request; never another failure. */
static void edge_shapes_give_a_result_or_a_sentence(void **state)
{
    (void)state;
    EACH_OP(op)
    for (int k = SAMPLE_EMPTY; k <= SAMPLE_ONE; k++)
        for (int d = LODE_F32; d <= LODE_C128; d++)
            if (sample_takes(op, (lode_dtype)d)) {
                const lode_status st = call(
                    op,
                    &(sample_spec){ .seed = 7, .dtype = (lode_dtype)d, .shape = (sample_shape)k },
                    &f.result);
                if (st < 0 &&
                    (lode_status_exit(st) != 2 || !*lode_message(&f.ctx) || f.result.count != 0))
                    fail_msg("%s, shape %d: %s: %s", op->name, k, lode_status_name(st),
                             lode_message(&f.ctx));
                again();
            }
}

/* What the plan says is what the budget sees: 64 KiB are for handles and names. */
static void the_peak_is_within_the_plan(void **state)
{
    (void)state;
    EACH_OP(op)
    for (int k = SAMPLE_NORMAL; k <= SAMPLE_WIDE; k++)
        for (int source = 0; source < 2; source++) {
            if (k == SAMPLE_EMPTY || k == SAMPLE_ONE)
                continue;
            must(op,
                 sample_make(&f.ctx, op,
                             &(sample_spec){ .seed = 8,
                                             .dtype = LODE_F64,
                                             .shape = (sample_shape)k,
                                             .source = source != 0 },
                             &f.s),
                 "sample");
            const uint64_t before = lode_ctx_memory_used(&f.ctx);
            lode_ctx_memory_reset_peak(&f.ctx);
            must(op, lode_call_run(&f.ctx, &f.s.call, &f.result), "run");
            const uint64_t peak = lode_ctx_memory_peak(&f.ctx) - before;
            const lode_plan *p = &f.s.call.plan;
            if (peak > p->workspace + p->output + p->resident + 65536)
                fail_msg("%s, shape %d: peak %" PRIu64 " bytes; planned %" PRIu64 " + %" PRIu64
                         " + %" PRIu64,
                         op->name, k, peak, p->workspace, p->output, p->resident);
            again();
        }
}

static void each_failed_allocation_is_survived(void **state)
{
    (void)state;
    const bool all = getenv("LODE_EVERY_ALLOCATION") !=
                     NULL; /* else beyond 300 some are passed over */
    EACH_OP(op)
    {
        const sample_spec spec = { .seed = 9, .dtype = LODE_F32 };
        must(op, sample_make(&f.ctx, op, &spec, &f.s), "sample");
        /* threads and caches are up now */
        must(op, lode_call_run(&f.ctx, &f.s.call, &f.result), "run");
        again();
        must(op, sample_make(&f.ctx, op, &spec, &f.s), "sample");
        int64_t step = 1, count = 0;
        for (int64_t n = 1;; n += step, count++) {
            const int64_t live = f.memory.live;
            heap_fail(&f.memory, n);
            const lode_status st = lode_call_run(&f.ctx, &f.s.call, &f.result);
            const bool failed = heap_failed(&f.memory);
            heap_fail(&f.memory, 0);
            if (!failed)
                break;
            if (st < 0 && (f.result.count != 0 || !*lode_message(&f.ctx)))
                fail_msg("%s: allocation %" PRId64 " failed and left a result or no sentence",
                         op->name, n);
            if (st < 0 && st != LODE_ENOMEM)
                fail_msg("%s: allocation %" PRId64 " failed with %s: %s", op->name, n,
                         lode_status_name(st), lode_message(&f.ctx));
            lode_bundle_free(&f.result);
            if (f.memory.live > live)
                fail_msg("%s: allocation %" PRId64 " failed and leaked %" PRId64 " blocks",
                         op->name, n, (int64_t)f.memory.live - live);
            step = all || n < 300 ? 1 : 1 + n / 100;
        }
        if (all)
            print_message("%s: %" PRId64 " allocations failed in turn\n", op->name, count);
        again();
    }
}

typedef struct stopper {
    int64_t at, seen;
} stopper;

static int stop(void *data, const lode_progress *p)
{
    stopper *s = data;
    (void)p;
    return s->seen++ == s->at;
}

static void cancelling_at_each_tick_leaves_nothing(void **state)
{
    (void)state;
    lode_i_set_tick_always(&f.ctx, true);
    EACH_OP(op)
    {
        stopper s = { 0 };
        must(op, sample_make(&f.ctx, op, &(sample_spec){ .seed = 10, .dtype = LODE_F64 }, &f.s),
             "sample");
        f.ctx.progress = stop, f.ctx.progress_data = &s;
        int64_t step = 1;
        for (;; s.at += step) {
            s.seen = 0;
            const lode_status st = lode_call_run(&f.ctx, &f.s.call, &f.result);
            if (s.seen <= s.at) {
                must(op, st, "without cancelling");
                break;
            }
            if (st != LODE_ECANCEL || f.result.count != 0)
                fail_msg("%s cancelled at tick %" PRId64 ": %s", op->name, s.at,
                         lode_status_name(st));
            step = 1 + s.at / 20;
        }
        f.ctx.progress = NULL;
        again();
    }
}

static int64_t setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? atoll(text) : otherwise;
}

/* Random options, shapes and types: a result or a sentence of exit status 2, 3 or 5. */
static void random_requests_never_break(void **state)
{
    (void)state;
#ifdef LODE_SANITIZED
    const int64_t usual = 30; /* scripts/reliability makes many more */
#else
    const int64_t usual = 120;
#endif
    const int64_t most = setting("LODE_FUZZ_ROUNDS", usual), first = setting("LODE_FUZZ_SEED", 0);
    const double until = lode_i_seconds() + (double)setting("LODE_FUZZ_SECONDS", 1000000);
    int64_t done = 0;
    for (int64_t i = first; i < first + most && lode_i_seconds() < until; i++, done++)
        EACH_OP(op)
        {
            const bool wide = i % 64 == SAMPLE_WIDE; /* where searches for ranks take seconds */
            const sample_spec spec = { .seed = 100 + (uint64_t)i,
                                       .dtype = (lode_dtype)(i * 7 % LODE_DTYPE_COUNT),
                                       .shape = i % 16 < SAMPLE_WIDE || wide
                                                    ? (sample_shape)(i % 16)
                                                    : SAMPLE_SMALL,
                                       .strided = i % 3 == 0,
                                       .source = i % 4 == 0,
                                       .fuzz = true };
            const lode_status st = call(op, &spec, &f.result);
            if (st < 0 && lode_status_exit(st) != 2 && st != LODE_EBUDGET)
                fail_msg("%s, round %" PRId64 ": %s: %s", op->name, i, lode_status_name(st),
                         lode_message(&f.ctx));
            if (st < 0 && !*lode_message(&f.ctx))
                fail_msg("%s, round %" PRId64 ": %s without a sentence", op->name, i,
                         lode_status_name(st));
            again();
        }
    if (getenv("LODE_FUZZ_ROUNDS"))
        print_message("%" PRId64 " random calls of each of %" PRId64
                      " operations, seeds from %" PRId64 "\n",
                      done, lode_op_count(&f.ctx), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_every_type_it_declares, setup, teardown),
        cmocka_unit_test_setup_teardown(strides_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(one_thread_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(three_threads_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(sources_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(edge_shapes_give_a_result_or_a_sentence, setup, teardown),
        cmocka_unit_test_setup_teardown(the_peak_is_within_the_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failed_allocation_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelling_at_each_tick_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(random_requests_never_break, setup, teardown),
    };
    const char *some = getenv("LODE_TEST_FILTER"); /* a pattern with * and ? */
    if (some)
        cmocka_set_test_filter(some);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
