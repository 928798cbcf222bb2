/* Status lists, contexts, messages, cancelling, progress, and what is handed down. */
#include "fixture.h"

#include <pthread.h>

#include "base/base.h"

static void every_status_has_a_name_a_text_and_an_exit(void **state)
{
    (void)state;
    assert_string_equal(lode_status_name(LODE_ESHAPE), "LODE_ESHAPE");
    assert_string_equal(lode_status_text(LODE_OK), "done");
    assert_int_equal(lode_status_exit(LODE_EBUDGET), 5);
    assert_int_equal(lode_status_exit(LODE_ECANCEL), 130);
    assert_int_equal(lode_status_exit((lode_status)12345), 1);
    assert_string_equal(lode_status_name((lode_status)12345), "LODE_UNKNOWN");
    assert_string_equal(lode_status_text((lode_status)12345), "unknown status");
    assert_true(strlen(lode_version()) >= 5);
#define LODE_STATUS(name, value, exit, text)                                                       \
    assert_int_equal(name, value);                                                                 \
    assert_string_equal(lode_status_name(name), #name);                                            \
    assert_true(*lode_status_text(name) && lode_status_exit(name) == (exit));
#include "lode/status.def"
#undef LODE_STATUS
}

static void the_worse_of_two(void **state)
{
    (void)state;
    assert_int_equal(lode_i_worse(LODE_OK, LODE_NOCONV), LODE_NOCONV);
    assert_int_equal(lode_i_worse(LODE_MISSED, LODE_NOCONV), LODE_MISSED);
    assert_int_equal(lode_i_worse(LODE_MISSED, LODE_EIO), LODE_EIO);
    assert_int_equal(lode_i_worse(LODE_ESHAPE, LODE_EIO), LODE_ESHAPE);
}

static void messages_are_kept_prefixed_and_cut(void **state)
{
    (void)state;
    lode_ctx ctx, empty = { 0 };
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    assert_string_equal(lode_message(&ctx), "");
    assert_int_equal(lode_i_fail(&ctx, LODE_EPARAM, "rank %d is not positive", -1), LODE_EPARAM);
    assert_int_equal(lode_last_status(&ctx), LODE_EPARAM);
    assert_string_equal(lode_message(&ctx), "rank -1 is not positive");
    lode_i_prefix(&ctx, "%s: ", "svd");
    lode_i_prefix(&ctx, "%s: ", "svd");
    assert_string_equal(lode_message(&ctx), "svd: rank -1 is not positive");
    /* an argument inside the buffer */
    lode_i_fail(&ctx, LODE_EIO, "again: %s", lode_message(&ctx));
    assert_string_equal(lode_message(&ctx), "again: svd: rank -1 is not positive");

    char wide[8001] = "";
    for (int i = 0; i < 4000; i++)
        memcpy(wide + 2 * i, "\xC3\xA4", 3);
    for (int odd = 0; odd < 2; odd++) { /* the cut is never inside a character */
        lode_i_fail(&ctx, LODE_EIO, "%s%s", odd ? "a" : "", wide);
        const char *m = lode_message(&ctx);
        const size_t n = strlen(m);
        assert_in_range(n, 1000, 2047);
        assert_string_equal(m + n - 3, "...");
        assert_int_equal((unsigned char)m[n - 4], 0xA4);
    }
    lode_i_prefix(&ctx, "%s", wide);
    assert_true(strlen(lode_message(&ctx)) < 2048);

    assert_string_equal(lode_message(NULL), "");
    assert_string_equal(lode_message(&empty), "");
    assert_int_equal(lode_last_status(&empty), LODE_OK);
    assert_int_equal(lode_i_fail(&empty, LODE_EIO, "nowhere to keep it"), LODE_EIO);
    lode_i_prefix(&empty, "x");
    lode_ctx_free(&empty);
    lode_ctx_free(NULL);
    lode_ctx_free(&ctx);
    lode_ctx_free(&ctx); /* twice is legal */
}

static void a_shared_handle_has_the_settings_and_its_own_message(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx one, two, none = { 0 };
    assert_int_equal(lode_ctx_init(&one, &a), LODE_OK);
    assert_int_equal(one.size, sizeof(lode_ctx));
    one.seed = 7, one.threads = 3, one.scratch = "/somewhere";
    lode_i_set_registry(&one, (const struct lode_op *const *)(const void *)&h);
    assert_int_equal(lode_ctx_share(&one, &two), LODE_OK);
    assert_int_equal(two.seed, 7);
    assert_int_equal(lode_ctx_threads(&two), 3);
    assert_string_equal(two.scratch, "/somewhere");
    assert_ptr_equal(lode_i_registry(&two), &h);
    lode_i_fail(&two, LODE_EIO, "two's");
    assert_string_equal(lode_message(&one), "");
    lode_ctx_set_memory(&two, 12345);
    assert_int_equal(lode_ctx_memory(&one), 12345);
    lode_ctx_free(&one);
    assert_string_equal(lode_message(&two), "two's");
    lode_ctx_free(&two);
    assert_int_equal(h.live, 0);
    assert_int_equal(lode_ctx_share(&none, &two), LODE_EUSAGE);
    lode_ctx_free(&two);
}

static void making_a_context_survives_each_failed_allocation(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_ctx one, two;
    int failures = 0;
    for (int n = 1;; n++, failures++) {
        heap_fail(&h, n);
        const lode_status st = lode_ctx_init(&one, &a);
        const lode_status shared = st == LODE_OK ? lode_ctx_share(&one, &two) : LODE_OK;
        const bool failed = heap_failed(&h);
        assert_int_equal(failed, st == LODE_ENOMEM || shared == LODE_ENOMEM);
        if (st == LODE_OK)
            lode_ctx_free(&two);
        lode_ctx_free(&one);
        assert_int_equal(h.live, 0);
        if (!failed)
            break;
    }
    assert_int_equal(failures, 3);
}

static void threads_come_from_the_container(void **state)
{
    (void)state;
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    assert_int_equal(lode_ctx_threads(&ctx), lode_i_container_cores());
    ctx.threads = 5;
    assert_int_equal(lode_ctx_threads(&ctx), 5);
    assert_int_equal(lode_ctx_memory(&ctx),
                     lode_i_container_memory() - lode_i_container_memory() / 4);
    assert_int_equal(lode_ctx_threads(NULL), 1);
    lode_ctx_free(&ctx);
}

/* ---- progress and cancelling ---- */

typedef struct seen {
    int calls, cancel_at;
    double fraction[64], left;
    char op[32], stage[64][16];
} seen;

static int watch(void *data, const lode_progress *p)
{
    seen *s = data;
    const int i = s->calls < 64 ? s->calls : 63;
    s->fraction[i] = p->fraction;
    s->left = p->seconds_left;
    snprintf(s->op, sizeof s->op, "%s", p->op);
    snprintf(s->stage[i], sizeof s->stage[i], "%s", p->stage);
    s->calls++;
    return s->calls == s->cancel_at;
}

static lode_status inner(lode_ctx *ctx)
{
    lode_status st = LODE_OK;
    lode_i_begin(ctx, "inner");
    lode_i_stage(ctx, "deep", 0.5, 1);
    for (int i = 0; i < 2 && st == LODE_OK; i++)
        st = lode_i_tick(ctx, i, 2);
    lode_i_end(ctx);
    return st;
}

static lode_status outer(lode_ctx *ctx)
{
    lode_status st = LODE_OK;
    lode_i_begin(ctx, "outer");
    lode_i_stage(ctx, "first", 0, 0.25);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    lode_i_stage(ctx, "second", 0.5, 1);
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_tick(ctx, i, 2));
        LODE_TRY(inner(ctx));
    }
    LODE_TRY(lode_i_tick(ctx, 2, 2));
done:
    lode_i_end(ctx);
    return st;
}

static void progress_nests_and_never_falls(void **state)
{
    (void)state;
    lode_ctx ctx;
    seen s = { 0 };
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    ctx.progress = watch, ctx.progress_data = &s;
    lode_i_set_tick_always(&ctx, true);
    assert_ok(&ctx, outer(&ctx));
    const double want[] = { 0, 0.5, 0.625, 0.6875, 0.75, 0.875, 0.9375, 1 };
    const char *stages[] = {
        "first", "second", "deep", "deep", "second", "deep", "deep", "second"
    };
    assert_int_equal(s.calls, 8);
    for (int i = 0; i < 8; i++) {
        assert_near(s.fraction[i], want[i], 1e-15);
        assert_string_equal(s.stage[i], stages[i]);
    }
    assert_string_equal(s.op, "outer");
    assert_true(s.left < 0); /* too early to know */

    lode_i_set_tick_always(&ctx, false); /* only the first within 50 ms */
    s.calls = 0;
    assert_ok(&ctx, outer(&ctx));
    assert_in_range(s.calls, 1, 7);
    lode_ctx_free(&ctx);
}

static void cancelling_works_at_each_tick_and_is_cleared(void **state)
{
    (void)state;
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    lode_i_set_tick_always(&ctx, true);
    for (int k = 1; k <= 9; k++) {
        seen s = { .cancel_at = k };
        ctx.progress = watch, ctx.progress_data = &s;
        const lode_status st = outer(&ctx);
        assert_int_equal(st, k <= 8 ? LODE_ECANCEL : LODE_OK);
        assert_int_equal(s.calls, k <= 8 ? k : 8);
        assert_int_equal(lode_last_status(&ctx), st);
    }
    ctx.progress = NULL;
    lode_ctx_cancel(&ctx);
    assert_status(&ctx, lode_i_cancelled(&ctx), LODE_ECANCEL);
    assert_status(&ctx, lode_i_tick(&ctx, 0, 1), LODE_ECANCEL);
    assert_ok(&ctx, outer(&ctx)); /* the next call begins afresh */
    lode_ctx_free(&ctx);
}

static void calls_may_nest_deeper_than_frames_are_kept(void **state)
{
    (void)state;
    lode_ctx ctx;
    seen s = { 0 };
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    ctx.progress = watch, ctx.progress_data = &s;
    lode_i_set_tick_always(&ctx, true);
    for (int i = 0; i < 40; i++)
        lode_i_begin(&ctx, "deep");
    lode_i_stage(&ctx, "bottom", 0, 1);
    assert_ok(&ctx, lode_i_tick(&ctx, 1, 2));
    for (int i = 0; i < 40; i++)
        lode_i_end(&ctx);
    lode_i_end(&ctx); /* one too many is harmless */
    assert_ok(&ctx, outer(&ctx));
    assert_int_equal(s.calls, 9);
    for (int i = 1; i < 9; i++)
        assert_true(i == 1 || s.fraction[i] >= s.fraction[i - 1]);
    assert_ok(&ctx, lode_i_tick(&ctx, 1, 0)); /* no total: no division by it */
    lode_ctx_free(&ctx);
}

/* ---- log, communicator, plan, registry, broken ideas ---- */

static void keep(void *data, const char *sentence)
{
    snprintf(data, 64, "%s", sentence);
}

static void notes_go_to_the_log(void **state)
{
    (void)state;
    lode_ctx ctx;
    char note[64] = "";
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    lode_i_log(&ctx, "nobody listens");
    ctx.log = keep, ctx.log_data = note;
    lode_i_log(&ctx, "chose %d slabs", 4);
    assert_string_equal(note, "chose 4 slabs");
    lode_ctx_free(&ctx);
}

static void one_process_communicates_with_itself(void **state)
{
    (void)state;
    lode_ctx ctx;
    double x = 3;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    const lode_comm *c = lode_i_comm(&ctx);
    assert_int_equal(c->rank, 0);
    assert_int_equal(c->size, 1);
    assert_ok(&ctx, c->sum(&ctx, c, &x, 1, false));
    assert_ok(&ctx, c->broadcast(&ctx, c, &x, sizeof x, 0));
    assert_true(x >= 3 && x <= 3);
    lode_ctx_free(&ctx);
}

static void a_plan_is_handed_to_its_own_op_only(void **state)
{
    (void)state;
    lode_ctx ctx;
    int op = 0, other = 0, plan = 0;
    const struct lode_op *o = (const void *)&op, *p = (const void *)&other;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    assert_null(lode_i_handed_plan(&ctx, o));
    lode_i_hand_plan(&ctx, o, (void *)&plan);
    assert_ptr_equal(lode_i_handed_plan(&ctx, o), &plan);
    assert_null(lode_i_handed_plan(&ctx, p));
    lode_i_hand_plan(&ctx, NULL, NULL);
    assert_null(lode_i_handed_plan(&ctx, o));
    assert_null(lode_i_registry(&ctx));
    lode_ctx_free(&ctx);
}

static void an_idea_is_broken_by_its_name(void **state)
{
    (void)state;
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, NULL), LODE_OK);
    assert_false(lode_i_broken(&ctx, "shift"));
    ctx.broken = "shift";
#ifdef LODE_BREAKABLE
    assert_true(lode_i_broken(&ctx, "shift"));
#endif
    assert_false(lode_i_broken(&ctx, "other"));
    lode_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_a_text_and_an_exit),
        cmocka_unit_test(the_worse_of_two),
        cmocka_unit_test(messages_are_kept_prefixed_and_cut),
        cmocka_unit_test(a_shared_handle_has_the_settings_and_its_own_message),
        cmocka_unit_test(making_a_context_survives_each_failed_allocation),
        cmocka_unit_test(threads_come_from_the_container),
        cmocka_unit_test(progress_nests_and_never_falls),
        cmocka_unit_test(cancelling_works_at_each_tick_and_is_cleared),
        cmocka_unit_test(calls_may_nest_deeper_than_frames_are_kept),
        cmocka_unit_test(notes_go_to_the_log),
        cmocka_unit_test(one_process_communicates_with_itself),
        cmocka_unit_test(a_plan_is_handed_to_its_own_op_only),
        cmocka_unit_test(an_idea_is_broken_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
