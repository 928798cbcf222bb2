/* Every operation under a checkpoint: stopped at any tick and called again it gives the bits of a run
 * that was not stopped; those that keep none refuse. */
#include "fixture.h"
#include "lode/io.h"
#include "probe.h"
#include "sample.h"

typedef struct fix {
    lode_ctx ctx;
    char folder[256], path[300];
    int64_t ticks, stop_at;
} fix;

static fix f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    if (lode_ctx_init(&f.ctx, NULL) < 0)
        return -1;
    lode_i_set_registry(&f.ctx, probe_registry());
    f.ctx.threads = 2;
    folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/checkpoint", f.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lode_ctx_free(&f.ctx);
    folder_remove(f.folder);
    return 0;
}

static int stop(void *data, const lode_progress *p)
{
    (void)data, (void)p;
    return f.stop_at > 0 && ++f.ticks >= f.stop_at;
}

/* Compress has blocks of 1024 values, so that there is something to go on from. */
static lode_status call(const lode_op *op, bool source, uint64_t seed, lode_bundle *result)
{
    sample s = { 0 };
    const sample_spec spec = {
        .seed = seed, .dtype = LODE_F64, .shape = SAMPLE_TALL, .source = source
    };
    lode_i_begin(&f.ctx, ""); /* forgets that the last one was stopped */
    lode_i_end(&f.ctx);
    lode_status st = sample_make(&f.ctx, op, &spec, &s);
    if (st >= 0 && strcmp(op->name, "compress") == 0)
        st = lode_call_set(&f.ctx, &s.call, "block", "1024");
    if (st >= 0 && strcmp(op->name, "compress") == 0)
        st = lode_call_set(&f.ctx, &s.call, "effort", "1");
    if (st >= 0)
        st = lode_call_run(&f.ctx, &s.call, result);
    sample_free(&s);
    return st;
}

static void must(const lode_op *op, lode_status st)
{
    if (st < 0)
        fail_msg("%s: %s: %s", op->name, lode_status_name(st), lode_message(&f.ctx));
}

static void stopped_anywhere_it_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    lode_i_set_tick_always(&f.ctx, true);
    for (int64_t i = 0; i < lode_op_count(&f.ctx); i++) {
        const lode_op *op = lode_op_at(&f.ctx, i);
        lode_bundle whole = { 0 }, again = { 0 };
        if (!op->checkpoint)
            continue;
        f.ctx.checkpoint = NULL;
        must(op, call(op, true, 3, &whole));
        f.ctx.checkpoint = f.path;
        f.ctx.progress = stop;
        for (f.stop_at = 1;; f.stop_at = f.stop_at * 2 + 1) {
            f.ticks = 0;
            const lode_status st = call(op, f.stop_at % 2 != 0, 3, &again);
            lode_bundle_free(&again);
            if (st == LODE_ECANCEL) { /* once more, stopped again, then to the end on one thread */
                f.ticks = 0;
                call(op, true, 3, &again);
                lode_bundle_free(&again);
                const int64_t at = f.stop_at;
                f.stop_at = 0, f.ctx.threads = 1;
                must(op, call(op, true, 3, &again));
                f.stop_at = at, f.ctx.threads = 2;
                if (!sample_same(&whole, &again))
                    fail_msg("%s: stopped at tick %" PRId64 " it gives other bits", op->name, at);
                lode_bundle_free(&again);
                assert_ok(&f.ctx, lode_checkpoint_remove(&f.ctx));
                assert_int_not_equal(access(f.path, F_OK), 0);
                continue;
            }
            must(op, st);
            break;
        }
        /* all of it is there: called again it only reads, and another input is refused */
        f.stop_at = 0;
        must(op, call(op, true, 3, &again));
        assert_true(sample_same(&whole, &again));
        lode_bundle_free(&again);
        assert_int_equal(call(op, true, 4, &again), LODE_EUSAGE);
        assert_says(&f.ctx, "another call");
        f.ctx.seed = 9;
        assert_int_equal(call(op, true, 3, &again), LODE_EUSAGE);
        assert_says(&f.ctx, "'seed 0', this one 'seed 9'");
        f.ctx.seed = 0;
        assert_ok(&f.ctx, lode_checkpoint_remove(&f.ctx));
        lode_bundle_free(&whole);
    }
}

static void others_refuse(void **state)
{
    (void)state;
    f.ctx.checkpoint = f.path;
    for (int64_t i = 0; i < lode_op_count(&f.ctx); i++) {
        const lode_op *op = lode_op_at(&f.ctx, i);
        lode_bundle result = { 0 };
        if (op->checkpoint)
            continue;
        assert_int_equal(call(op, false, 3, &result), LODE_EUSAGE);
        assert_says(&f.ctx, "keeps no checkpoint");
        assert_int_not_equal(access(f.path, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stopped_anywhere_it_goes_on_to_the_same_bits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(others_refuse, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
