/* Options: what is written reads back, defaults come from the table, wrong text is refused with a
 * sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "op/op.h"
#include "probe.h"

typedef struct fix {
    lode_ctx ctx;
    lode_probe_opts o;
} fix;

static int setup(void **state)
{
    static fix f;
    memset(&f, 0, sizeof f);
    *state = &f;
    if (lode_ctx_init(&f.ctx, NULL) < 0)
        return -1;
    f.o = lode_probe_defaults();
    return 0;
}

static int teardown(void **state)
{
    lode_ctx_free(&((fix *)*state)->ctx);
    return 0;
}

static const lode_param *row(const char *name)
{
    const lode_param *p = lode_i_param_find(&lode_op_probe, name);
    assert_non_null(p);
    return p;
}

static void written_forms_read_back(void **state)
{
    static const struct {
        const char *name, *text, *printed; /* printed NULL: as text */
    } cases[] = {
        { "conjugate", "true", NULL },     { "conjugate", "off", "false" },
        { "repeat", "9", NULL },           { "salt", "1000000000000000000", NULL },
        { "scale", "-0.1", NULL },         { "scale", "1e-08", NULL },
        { "mode", "mean", NULL },          { "label", "two words", NULL },
        { "limit", "auto", NULL },         { "limit", "12", NULL },
        { "shift", "0.25", NULL },         { "rank", "3,4,5", NULL },
        { "rank", "auto", NULL },          { "error", "0.001", "0.001:rel" },
        { "error", "0.5:maxrel", NULL },   { "error", "60:psnr=255", NULL },
        { "error", "none", NULL },         { "budget", "64K", "65536" },
        { "budget", "params=1000", NULL }, { "budget", "bits=3.5", NULL },
        { "axes", "0,-1", NULL },          { "axes", "all", NULL },
        { "points", "1,2.5,-3", NULL },    { "missing", "nan", NULL },
        { "missing", "-999", NULL },
    };
    fix *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_text t = { 0 };
        const lode_param *p = row(cases[i].name);
        assert_int_equal(lode_i_param_parse(&f->ctx, &lode_op_probe, p, cases[i].text, &f->o),
                         LODE_OK);
        assert_int_equal(lode_i_param_print(&f->ctx, p, &f->o, &t), LODE_OK);
        assert_string_equal(t.text, cases[i].printed ? cases[i].printed : cases[i].text);
        lode_i_text_free(&t);
    }
}

static void wrong_text_is_refused_and_nothing_changes(void **state)
{
    static const char *const cases[][2] = {
        { "conjugate", "maybe" },
        { "repeat", "3.5" },
        { "repeat", "10" },
        { "repeat", "" },
        { "repeat", "-1" },
        { "salt", "-1" },
        { "scale", "nan" },
        { "scale", "1e3" },
        { "scale", "2x" },
        { "mode", "max" },
        { "limit", "0" },
        { "limit", "few" },
        { "rank", "3,,4" },
        { "rank", "3," },
        { "rank", "0" },
        { "rank", "" },
        { "rank", "99999999999999999999" },
        { "error", "0" },
        { "error", "-1" },
        { "error", "nan" },
        { "error", "1e-3:abs" },
        { "error", "60:psnr=0" },
        { "error", "1:psnr=" },
        { "budget", "0" },
        { "budget", "params=x" },
        { "budget", "12Q" },
        { "budget", "size=3" },
        { "axes", "1.5" },
        { "axes", "" },
        { "points", "1,a" },
        { "points", "1e9" },
        { "missing", "zero" },
        { "shift", "2" },
        { "weights", "w.npy" },
    };
    fix *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lode_param *p = row(cases[i][0]);
        lode_probe_opts o = lode_probe_defaults();
        const lode_status st = lode_i_param_parse(&f->ctx, &lode_op_probe, p, cases[i][1], &o);
        if (st != LODE_EPARAM)
            fail_msg("%s=%s gave %s", cases[i][0], cases[i][1], lode_status_name(st));
        assert_non_null(strstr(lode_message(&f->ctx), cases[i][0])); /* the option is named */
    }
}

static void defaults_come_from_the_table(void **state)
{
    const fix *f = *state;
    const lode_probe_opts *o = &f->o;
    assert_int_equal(o->size, sizeof *o);
    assert_false(o->conjugate);
    assert_int_equal(o->repeat, 1);
    assert_int_equal(o->salt, 7);
    assert_true(o->scale == 1);
    assert_int_equal(o->mode, LODE_PROBE_SUM);
    assert_string_equal(o->label, "none");
    assert_null(o->file);
    assert_false(o->limit.given);
    assert_int_equal(o->rank.count, 0);
    assert_int_equal(o->error.kind, LODE_ERROR_REL);
    assert_true(o->error.value == 1e-3);
    assert_int_equal(o->budget.kind, LODE_BUDGET_NONE);
    assert_int_equal(o->axes.count, -1);
    assert_int_equal(o->points.count, 2);
    assert_int_equal(o->missing.kind, LODE_MISSING_NONE);
    assert_null(o->weights);
}

static void both_spellings_name_an_option(void **state)
{
    (void)state;
    const lode_op *op = lode_op_find(NULL, "make");
    assert_non_null(op);
    assert_ptr_equal(lode_i_param_find(op, "dtype"), &op->params[6]);
    assert_null(lode_i_param_find(op, "dtyp"));
    assert_null(lode_i_param_find(op, ""));
}

/* Each kind against its definition on numbers small enough to do by hand. */
static void error_specs_mean_what_they_say(void **state)
{
    (void)state;
    const double norm = 20, range = 5;
    const int64_t n = 100;
    lode_error_spec e = lode_error_rel(0.1);
    assert_true(lode_i_error_target_fro(&e, norm, range, n) == 0.1 * 20);
    e = lode_error_fro(3);
    assert_true(lode_i_error_target_fro(&e, norm, range, n) == 3);
    e = lode_error_max(0.5);
    assert_true(lode_i_error_is_pointwise(&e));
    assert_true(lode_i_error_target_fro(&e, norm, range, n) == 0.5 * 10);
    e = lode_error_maxrel(0.01);
    assert_true(fabs(lode_i_error_target_fro(&e, norm, range, n) - 0.01 * 5 * 10) < 1e-12);
    e = (lode_error_spec){ LODE_ERROR_PSNR, 20, 0 }; /* rms error = range / 10 */
    assert_true(fabs(lode_i_error_target_fro(&e, norm, range, n) - 0.5 * 10) < 1e-12);
    e = (lode_error_spec){ 0 };
    assert_true(isinf(lode_i_error_target_fro(&e, norm, range, n)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_forms_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_text_is_refused_and_nothing_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(defaults_come_from_the_table, setup, teardown),
        cmocka_unit_test(both_spellings_name_an_option),
        cmocka_unit_test(error_specs_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
