/* Errors by name: which rule holds for a member, and one sentence for what is wrong. */
#include "fixture.h"

#include <math.h>

#include "lode/lode.h"
#include "op/call.h"

static const lode_param *error_param(void)
{
    return lode_i_error_param(&lode_op_compress);
}

typedef struct fix {
    heap heap;
    lode_ctx ctx;
    lode_i_rules r;
} fix;

static int setup(void **state)
{
    static fix f;
    f = (fix){ .ctx = { 0 } };
    *state = &f;
    const lode_allocator a = heap_of(&f.heap);
    return lode_ctx_init(&f.ctx, &a);
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_i_rules_free(&f->r);
    lode_ctx_free(&f->ctx);
    return f->heap.live ? -1 : 0;
}

static lode_status parse(fix *f, const char *text)
{
    return lode_i_rules_parse(&f->ctx, &lode_op_compress, error_param(), text, &f->r);
}

static void texts_are_told_from_rules(void **state)
{
    static const char *const plain[] = {
        "1e-3", "1e-3:max", "60:psnr=40", "none", "", "60:psnr=1e3"
    };
    static const char *const rules[] = { "T=1e-3",         "*=1", "a=60:psnr=40",
                                         "60:psnr=40,b=1", "=1",  "a=" };
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_false(lode_i_rules_are(plain[i]));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        assert_true(lode_i_rules_are(rules[i]));
}

static void check(fix *f, const char *name, const char *rule, lode_error_kind kind, double value)
{
    const lode_i_rule *r = lode_i_rules_find(&f->r, name);
    assert_int_equal(rule == NULL, r == NULL);
    if (!r)
        return;
    assert_string_equal(r->name, rule);
    assert_int_equal(r->exact, kind == LODE_ERROR_NONE);
    if (!r->exact) {
        assert_int_equal(r->error.kind, kind);
        assert_true(r->error.value == value);
    }
}

static void names_come_before_patterns(void **state)
{
    fix *f = *state;
    assert_ok(&f->ctx, parse(f, "t_*=1e-3,t_2m=0.5:max,*_flag=exact,g/*/x=40:psnr=100,a=exact"));
    check(f, "t_10", "t_*", LODE_ERROR_REL, 1e-3);
    check(f, "t_2m", "t_2m", LODE_ERROR_MAX, 0.5);
    check(f, "t_flag", "t_*", LODE_ERROR_REL, 1e-3); /* the first that fits */
    check(f, "q_flag", "*_flag", LODE_ERROR_NONE, 0);
    check(f, "g/ocean/deep/x", "g/*/x", LODE_ERROR_PSNR, 40);
    check(f, "g/x", NULL, LODE_ERROR_NONE, 0);
    check(f, "a", "a", LODE_ERROR_NONE, 0);
    check(f, "ab", NULL, LODE_ERROR_NONE, 0);
    check(f, "", NULL, LODE_ERROR_NONE, 0);
    assert_ok(&f->ctx, parse(f, "T=2:fro,1e-4"));
    check(f, "T", "T", LODE_ERROR_FRO, 2);
    check(f, "anything", "*", LODE_ERROR_REL, 1e-4); /* an error alone is for all others */
    assert_ok(&f->ctx, parse(f, "*a*b*=1"));
    check(f, "xaxxbx", "*a*b*", LODE_ERROR_REL, 1);
    check(f, "ab", "*a*b*", LODE_ERROR_REL, 1);
    check(f, "ba", NULL, LODE_ERROR_NONE, 0);
}

static void what_is_wrong_is_said(void **state)
{
    fix *f = *state;
    static const struct {
        const char *text, *says;
        lode_status status;
    } cases[] = {
        { "T=1,T=2", "names T twice", LODE_EUSAGE },
        { "*=1,2", "names * twice", LODE_EUSAGE },
        { "=1", "no name before '=1'", LODE_EUSAGE },
        { "T=", "rule for T: ", LODE_EPARAM },
        { "T=1,", "rule for *: ", LODE_EPARAM },
        { "T=-1", "must be positive", LODE_EPARAM },
        { "T=1e-3:foo", "'1e-3:foo'", LODE_EPARAM },
        { "T=nan", "must be positive and finite", LODE_EPARAM },
    };
    assert_ok(&f->ctx, parse(f, "T=3"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_status(&f->ctx, parse(f, cases[i].text), cases[i].status);
        assert_says(&f->ctx, cases[i].says);
    }
    check(f, "T", "T", LODE_ERROR_REL, 3); /* failures left it as it was */
}

static void rules_must_name_members(void **state)
{
    fix *f = *state;
    lode_bundle file = { 0 };
    const lode_op *op = &lode_op_compress;
    assert_ok(&f->ctx, lode_bundle_add_f64(&f->ctx, &file, "UWND", 1));
    assert_ok(&f->ctx, lode_bundle_add_f64(&f->ctx, &file, "ocean/T", 1));
    assert_ok(&f->ctx, parse(f, "UWND=1,ocean/*=1,*=2"));
    assert_ok(&f->ctx, lode_i_rules_check(&f->ctx, op, &f->r, &file));
    assert_ok(&f->ctx, parse(f, "UWNB=1"));
    assert_status(&f->ctx, lode_i_rules_check(&f->ctx, op, &f->r, &file), LODE_EUSAGE);
    assert_says(&f->ctx, "rule UWNB=.. names no member of the file; did you mean UWND?");
    assert_ok(&f->ctx, parse(f, "atmosphere/*=1"));
    assert_status(&f->ctx, lode_i_rules_check(&f->ctx, op, &f->r, &file), LODE_EUSAGE);
    lode_bundle_free(&file);
}

static void failing_allocations_are_survived(void **state)
{
    fix *f = *state;
    for (int64_t n = 1;; n++) {
        heap_fail(&f->heap, n);
        const lode_status st = parse(f, "a=1,b=2:max,*=exact");
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        if (!failed)
            break;
        assert_status(&f->ctx, st, LODE_ENOMEM);
    }
    assert_int_equal(f->r.count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_are_told_from_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(names_come_before_patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_must_name_members, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
