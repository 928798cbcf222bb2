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

/* ---- verbs ---- */

typedef enum verb { APPLY, UPDATE, MERGE, VERIFY, WRITE, VERBS } verb;

static const char *const verb_name[VERBS] = { "apply", "update", "merge", "verify", "write" };

/* What it decodes, written to f.folder/out.npy; in the end its hash stands for it. */
static lode_status write_decoded(const lode_bundle *model, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = &f.ctx;
    lode_bundle parts = { 0 }, back = { 0 };
    lode_source s = { 0 };
    char path[300], hex[72];
    const lode_write_opts o = { .force = true };
    snprintf(path, sizeof path, "%s/out.npy", f.folder);
    LODE_TRY(lode_invert_source(ctx, model, &s));
    LODE_TRY(lode_bundle_add_source(ctx, &parts, "x", &s));
    LODE_TRY(lode_write_decoded(ctx, path, &parts, &o));
    LODE_TRY(lode_open_value(ctx, path, NULL, false, NULL, &back));
    LODE_TRY(lode_hash(ctx, lode_bundle_value(&back, 0), hex));
    LODE_TRY(lode_bundle_add_text(ctx, result, "hash", hex));
done:
    lode_source_close(&s);
    LODE_FREE(&parts, &back);
    return st;
}

static lode_status use(verb v, const lode_bundle *const model[2], lode_value x, lode_bundle *result)
{
    lode_certificate found;
    lode_status st = LODE_OK;
    lode_i_begin(&f.ctx, "");
    lode_i_end(&f.ctx);
    switch (v) {
    case APPLY: return lode_apply(&f.ctx, model[0], x, result);
    case UPDATE: return lode_update(&f.ctx, model[0], x, result);
    case MERGE: return lode_merge(&f.ctx, model, 2, result);
    case WRITE: return write_decoded(model[0], result);
    default:
        st = lode_verify(&f.ctx, model[0], x, &found);
        return st < 0 ? st : lode_bundle_add_f64(&f.ctx, result, "error", found.value);
    }
}

/* Stopped at ticks further and further on, and called again. Whether the op has it at all. */
static bool goes_on(const lode_op *op, verb v, const lode_bundle *const model[2], lode_value x)
{
    lode_bundle whole = { 0 }, again = { 0 };
    int stops = 0;
    f.ctx.checkpoint = NULL, f.stop_at = 0;
    lode_i_set_tick_always(&f.ctx, true);
    const bool has = use(v, model, x, &whole) >= 0;
    f.ctx.checkpoint = f.path;
    for (f.stop_at = 1; has; f.stop_at = f.stop_at * 2 + 1) {
        f.ticks = 0;
        const lode_status st = use(v, model, x, &again);
        const int64_t at = f.stop_at;
        lode_bundle_free(&again);
        if (st != LODE_ECANCEL) {
            must(op, st);
            break;
        }
        stops++;
        f.ticks = 0;
        use(v, model, x, &again);
        lode_bundle_free(&again);
        f.stop_at = 0, f.ctx.threads = 1;
        must(op, use(v, model, x, &again));
        f.stop_at = at, f.ctx.threads = 2;
        if (!sample_same(&whole, &again))
            fail_msg("%s of %s: stopped at tick %" PRId64 " it gives other bits", verb_name[v],
                     op->name, at);
        lode_bundle_free(&again);
        assert_ok(&f.ctx, lode_checkpoint_remove(&f.ctx));
    }
    f.stop_at = 0;
    if (has && v != WRITE) { /* all of it is there; another model is refused */
        must(op, use(v, model, x, &again));
        assert_true(sample_same(&whole, &again));
        lode_bundle_free(&again);
        const lode_bundle *const turned[2] = { model[1], model[0] };
        assert_int_equal(use(v, turned, x, &again), LODE_EUSAGE);
        assert_says(&f.ctx, "another call: it has 'values of model");
    }
    assert_ok(&f.ctx, lode_checkpoint_remove(&f.ctx));
    lode_bundle_free(&whole);
    return has && stops > 0;
}

static void verbs_stopped_anywhere_go_on_to_the_same_bits(void **state)
{
    (void)state;
    int seen[VERBS] = { 0 };
    for (int64_t i = 0; i < lode_op_count(&f.ctx); i++) {
        const lode_op *op = lode_op_at(&f.ctx, i);
        lode_bundle model[2] = { { 0 }, { 0 } };
        const lode_bundle *const models[2] = { &model[0], &model[1] };
        sample s = { 0 };
        const sample_spec spec = { .seed = 3, .dtype = LODE_F64, .shape = SAMPLE_TALL };
        if (!op->checkpoint || !op->invert)
            continue;
        f.ctx.checkpoint = NULL, f.ctx.progress = NULL;
        must(op, call(op, false, 3, &model[0]));
        must(op, call(op, false, 4, &model[1]));
        must(op, sample_make(&f.ctx, op, &spec, &s));
        f.ctx.progress = stop;
        for (verb v = APPLY; v < VERBS; v++)
            seen[v] += goes_on(op, v, models, s.call.in[0]);
        sample_free(&s);
        LODE_FREE(&model[0], &model[1]);
    }
    for (verb v = APPLY; v < VERBS; v++)
        assert_true(seen[v] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stopped_anywhere_it_goes_on_to_the_same_bits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(verbs_stopped_anywhere_go_on_to_the_same_bits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(others_refuse, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
