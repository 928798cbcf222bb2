/* Results made again: what cannot be, and failures on the way. Over all operations: tests/generic. */
#include "fixture.h"

#include "op/call.h"

typedef struct fix {
    lode_ctx ctx;
    heap h;
    lode_bundle made, again;
} fix;

/* make normal --shape 3,4 --seed 5 */
static int setup(void **state)
{
    static fix f;
    lode_call call = { 0 };
    memset(&f, 0, sizeof f);
    *state = &f;
    const lode_allocator a = heap_of(&f.h);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.seed = 5, f.ctx.threads = 1;
    assert_ok(&f.ctx, lode_call_init(&f.ctx, lode_op_find(&f.ctx, "make"), &call));
    assert_ok(&f.ctx, lode_call_set(&f.ctx, &call, "shape", "3,4"));
    assert_ok(&f.ctx, lode_call_input(&f.ctx, &call, NULL, lode_from_text("normal")));
    assert_ok(&f.ctx, lode_call_make(&f.ctx, &call, &f.made));
    lode_call_free(&call);
    f.ctx.seed = 0;
    return 0;
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_bundle_free(&f->made);
    lode_bundle_free(&f->again);
    lode_ctx_free(&f->ctx);
    return f->h.live == 0 ? 0 : -1;
}

static void the_commands_are_told(void **state)
{
    fix *f = *state;
    char *text = NULL;
    assert_ok(&f->ctx, lode_made_text(&f->ctx, &f->made, "it's here.lode", &text));
    assert_string_equal(text, "lode make normal --shape 3,4 --seed 5 -o 'it'\\''s here.lode'\n"
                              "lode rerun 'it'\\''s here.lode'\n");
    lode_text_free(text);
}

static void words_are_inputs_too(void **state)
{
    fix *f = *state;
    lode_input in = { NULL, lode_from_text("normal") };
    assert_ok(&f->ctx, lode_rerun(&f->ctx, &f->made, NULL, 0, &f->again));
    assert_ok(&f->ctx, lode_rerun(&f->ctx, &f->made, &in, 1, &f->again));
    in.value = lode_from_text("bumps");
    assert_status(&f->ctx, lode_rerun(&f->ctx, &f->made, &in, 1, &f->again), LODE_EUSAGE);
    assert_says(&f->ctx, "input kind was 'normal', not 'bumps'");
}

static void other_records_are_refused(void **state)
{
    fix *f = *state;
    static const struct {
        const char *made, *options, *says;
        lode_status st;
    } cases[] = {
        { "{\"verb\":\"update\",\"op\":\"make\"}", NULL, "does not record from what", LODE_EUSAGE },
        { "{\"verb\":\"rm\",\"op\":\"make\"}", NULL, "records that 'rm' made it", LODE_EFORMAT },
        { "{\"verb\":\"update\",\"op\":\"none\"}", NULL, "which this build does not have",
          LODE_EUNSUPPORTED },
        { "{\"inputs\":3,\"texts\":[]}", NULL, "input kind is missing", LODE_EUSAGE },
        { "{\"inputs\":{\"X\":\"00\"},\"texts\":{\"kind\":\"normal\"}}", NULL,
          "made from input X too", LODE_EUSAGE },
        { "no", NULL, "", LODE_EFORMAT },
        { "{}", "{\"nothing\":\"1\"}", "option 'nothing'", LODE_EFORMAT },
        { "{}", "{\"shape\":7}", "option 'shape'", LODE_EFORMAT },
        { "{}", "{\"shape\":\"x\"}", "option shape is 'x'", LODE_EPARAM },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        char *text = NULL;
        assert_ok(&f->ctx, lode_bundle_ref(&f->ctx, &f->made, &b));
        lode_i_free(b.meta.made);
        assert_ok(&f->ctx, lode_i_strdup(&f->ctx, cases[i].made, &b.meta.made));
        if (cases[i].options) {
            lode_i_free(b.meta.options);
            assert_ok(&f->ctx, lode_i_strdup(&f->ctx, cases[i].options, &b.meta.options));
        }
        assert_status(&f->ctx, lode_rerun(&f->ctx, &b, NULL, 0, &f->again), cases[i].st);
        assert_says(&f->ctx, cases[i].says);
        lode_made_text(&f->ctx, &b, "f", &text); /* whatever it says, it returns */
        lode_text_free(text);
        lode_bundle_free(&b);
    }
    lode_bundle plain = { 0 };
    assert_status(&f->ctx, lode_rerun(&f->ctx, &plain, NULL, 0, &f->again), LODE_EUSAGE);
    assert_says(&f->ctx, "records no operation");
}

static void failed_allocations_are_survived(void **state)
{
    fix *f = *state;
    for (int64_t n = 1;; n++) {
        const int64_t live = f->h.live;
        char *text = NULL;
        heap_fail(&f->h, n);
        lode_status st = lode_rerun(&f->ctx, &f->made, NULL, 0, &f->again);
        if (st >= 0)
            st = lode_made_text(&f->ctx, &f->made, "f.lode", &text);
        const bool failed = heap_failed(&f->h);
        heap_fail(&f->h, 0);
        lode_text_free(text);
        lode_bundle_free(&f->again);
        assert_int_equal(f->h.live, live);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_commands_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(words_are_inputs_too, setup, teardown),
        cmocka_unit_test_setup_teardown(other_records_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_are_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
