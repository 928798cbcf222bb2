/* Calls by name and typed calls: binding of inputs, shapes, kinds, plans, verbs on bundles, all
 * through the probe. */
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
    lode_call call;
    double a[6], b[6];
    lode_array A, B;
    lode_bundle result;
} fix;

static int setup(void **state)
{
    static fix f;
    memset(&f, 0, sizeof f);
    *state = &f;
    if (lode_ctx_init(&f.ctx, NULL) < 0)
        return -1;
    lode_i_set_registry(&f.ctx, probe_registry());
    for (int i = 0; i < 6; i++)
        f.a[i] = i + 1, f.b[i] = 10 * i;
    f.A = lode_array_wrap(f.a, LODE_F64, 2, (const int64_t[]){ 2, 3 });
    f.B = lode_array_wrap(f.b, LODE_F64, 2, (const int64_t[]){ 2, 3 });
    return lode_call_init(&f.ctx, &lode_op_probe, &f.call);
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_call_free(&f->call);
    lode_bundle_free(&f->result);
    lode_ctx_free(&f->ctx);
    return 0;
}

static void ok(fix *f, lode_status st)
{
    if (st < 0)
        fail_msg("%s: %s", lode_status_name(st), lode_message(&f->ctx));
}

static void fails(fix *f, lode_status st, lode_status want, const char *mentions)
{
    if (st != want)
        fail_msg("got %s, not %s: %s", lode_status_name(st), lode_status_name(want),
                 lode_message(&f->ctx));
    if (!strstr(lode_message(&f->ctx), mentions))
        fail_msg("'%s' does not mention '%s'", lode_message(&f->ctx), mentions);
}

static void run_basic(fix *f)
{
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_array(&f->A)));
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_text("hello")));
    ok(f, lode_call_input(&f->ctx, &f->call, "items", lode_from_array(&f->B)));
    ok(f, lode_call_input(&f->ctx, &f->call, "items", lode_from_array(&f->A)));
    ok(f, lode_call_set(&f->ctx, &f->call, "scale", "0.5"));
    ok(f, lode_call_run(&f->ctx, &f->call, &f->result));
}

static void inputs_bind_in_order_and_by_name(void **state)
{
    fix *f = *state;
    const lode_array *total = NULL;
    int64_t terms = 0;
    run_basic(f);
    ok(f, lode_bundle_array(&f->ctx, &f->result, "total", &total));
    for (int i = 0; i < 6; i++)
        assert_true(lode_array_get(total, (const int64_t[]){ i / 3, i % 3 }) ==
                    0.5 * (2 * f->a[i] + f->b[i]));
    ok(f, lode_bundle_i64(&f->ctx, &f->result, "terms", &terms));
    assert_int_equal(terms, 3);
    assert_string_equal(lode_bundle_get(&f->result, "note").as.text, "hello");
    assert_string_equal(f->result.meta.op, "probe");
    assert_non_null(strstr(f->result.meta.options, "\"scale\":\"0.5\""));
    assert_int_equal(f->result.meta.input_bytes, 48);
}

static int matrix(void *data, bool adjoint, int64_t k, const void *x, int64_t ldx, void *y,
                  int64_t ldy)
{
    const double *m = data, *from = x;
    double *to = y;
    for (int64_t i = 0; i < 3; i++)
        for (int64_t c = 0; c < k; c++) {
            double sum = 0;
            for (int64_t j = 0; j < 3; j++)
                sum += (adjoint ? m[3 * j + i] : m[3 * i + j]) * from[j * ldx + c];
            to[i * ldy + c] = sum;
        }
    return 0;
}

static void callbacks_are_applied(void **state)
{
    fix *f = *state;
    double m[9] = { 0, 1, 0, 0, 0, 1, 1, 0, 0 };
    const lode_callback B = { .dtype = LODE_F64, .rows = 3, .cols = 3, .fn = matrix, .data = m };
    const lode_array *total = NULL;
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_array(&f->A)));
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_text("x")));
    ok(f, lode_call_input(&f->ctx, &f->call, "B", lode_from_callback(&B)));
    ok(f, lode_call_run(&f->ctx, &f->call, &f->result));
    ok(f, lode_bundle_array(&f->ctx, &f->result, "total", &total));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) /* A + A B^T */
            assert_true(lode_array_get(total, (const int64_t[]){ i, j }) ==
                        f->a[3 * i + j] + f->a[3 * i + (j + 1) % 3]);
}

static void complex_data_and_conjugates(void **state)
{
    fix *f = *state;
    const float z[4] = { 1, 2, 3, -4 };
    const lode_array Z = lode_array_wrap((void *)(uintptr_t)z, LODE_C64, 2,
                                         (const int64_t[]){ 1, 2 });
    lode_array w = { 0 };
    const float weight[2] = { 2, 3 };
    const lode_array W = lode_array_wrap((void *)(uintptr_t)weight, LODE_F32, 1,
                                         (const int64_t[]){ 2 });
    lode_probe_opts o = lode_probe_defaults();
    o.conjugate = true, o.weights = &W;
    ok(f, lode_probe(&f->ctx, &o, lode_from_array(&Z), lode_from_text(""), lode_none(), lode_none(),
                     &w, NULL));
    assert_int_equal(w.dtype, LODE_C64);
    const float *got = w.data;
    assert_true(got[0] == 2 && got[1] == -4 && got[2] == 9 && got[3] == 12);
    lode_array_free(&w);
}

static void wrong_requests_name_what_is_wrong(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const lode_array flat = lode_array_wrap(f->a, LODE_F64, 1, (const int64_t[]){ 6 });
    const lode_array wide = lode_array_wrap(f->a, LODE_F64, 2, (const int64_t[]){ 1, 6 });
    const lode_array whole = lode_array_wrap(f->a, LODE_I64, 2, (const int64_t[]){ 2, 3 });
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_EUSAGE, "input A is missing");
    fails(f, lode_call_set(ctx, &f->call, "sclae", "1"), LODE_EUSAGE, "did you mean --scale?");
    fails(f, lode_call_input(ctx, &f->call, "C", lode_from_array(&f->A)), LODE_EUSAGE,
          "no input C");
    ok(f, lode_call_input(ctx, &f->call, "A", lode_from_array(&flat)));
    fails(f, lode_call_input(ctx, &f->call, "A", lode_from_array(&flat)), LODE_EUSAGE,
          "given twice");
    ok(f, lode_call_input(ctx, &f->call, "note", lode_from_text("")));
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_ESHAPE, "(m,n)");
    f->call.in[0] = lode_from_array(&whole);
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_ETYPE, "i64");
    f->call.in[0] = lode_from_text("text");
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_ETYPE, "must be array");
    f->call.in[0] = lode_from_array(&f->A);
    ok(f, lode_call_input(ctx, &f->call, "items", lode_from_array(&wide)));
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_ESHAPE, "items.0");
    fails(f, lode_call_input(ctx, &f->call, NULL, lode_from_array(&f->A)), LODE_EUSAGE, "by name");
    f->a[4] = NAN;
    f->call.in[2] = lode_none();
    fails(f, lode_call_run(ctx, &f->call, &f->result), LODE_EDOMAIN, "[1,1]");
    assert_int_equal(f->result.count, 0); /* failures leave outputs as they were */
}

static void options_without_defaults_are_refused(void **state)
{
    fix *f = *state;
    lode_probe_opts o = { 0 };
    lode_array t = { 0 };
    fails(f,
          lode_probe(&f->ctx, &o, lode_from_array(&f->A), lode_from_text(""), lode_none(),
                     lode_none(), &t, NULL),
          LODE_EPARAM, "lode_probe_defaults");
    assert_null(t.data);
}

static void the_plan_is_made_once_and_holds_the_budget(void **state)
{
    fix *f = *state;
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_array(&f->A)));
    ok(f, lode_call_input(&f->ctx, &f->call, NULL, lode_from_text("x")));
    ok(f, lode_call_plan(&f->ctx, &f->call));
    assert_string_equal(f->call.plan.algorithm, "plain sum");
    lode_ctx_set_memory(&f->ctx, lode_ctx_memory_used(&f->ctx) + 1000);
    f->call.planned = false;
    fails(f, lode_call_plan(&f->ctx, &f->call), LODE_EBUDGET, "--memory");
}

static void verbs_use_the_op_that_the_bundle_records(void **state)
{
    fix *f = *state;
    lode_bundle more = { 0 }, joined = { 0 };
    lode_array back = { 0 };
    lode_source s = { 0 };
    lode_certificate cert = { 0 };
    int64_t terms = 0;
    run_basic(f);
    ok(f, lode_update(&f->ctx, &f->result, lode_from_array(&f->A), &more));
    assert_string_equal(more.meta.op, "probe");
    const lode_bundle *both[] = { &more, &f->result };
    ok(f, lode_merge(&f->ctx, both, 2, &joined));
    ok(f, lode_bundle_i64(&f->ctx, &joined, "terms", &terms));
    assert_int_equal(terms, 7);
    const lode_part part = { .ndim = 2, .start = { 1, 1 }, .count = { 1, -1 } };
    ok(f, lode_invert(&f->ctx, &joined, lode_none(), &part, &back));
    assert_int_equal(lode_array_size(&back), 2);
    const double total = 0.5 * (2 * f->a[4] + f->b[4]);
    assert_true(lode_array_get(&back, (const int64_t[]){ 0, 0 }) == 2 * total + f->a[4]);
    ok(f, lode_verify(&f->ctx, &joined, lode_none(), &cert));
    joined.certificate.value *= 2;
    fails(f, lode_verify(&f->ctx, &joined, lode_none(), &cert), LODE_EVERIFY, "norm");
    ok(f, lode_invert_source(&f->ctx, &f->result, &s));
    double got[3];
    ok(f, s.read(&f->ctx, &s, (const int64_t[]){ 1, 0 }, (const int64_t[]){ 1, 3 }, got));
    for (int j = 0; j < 3; j++)
        assert_true(got[j] == 0.5 * (2 * f->a[3 + j] + f->b[3 + j]));
    const lode_part outside = { .ndim = 2, .start = { 0, 2 }, .count = { 1, 2 } };
    fails(f, lode_invert(&f->ctx, &joined, lode_none(), &outside, &back), LODE_ESHAPE, "axis 1");
    lode_source_close(&s);
    lode_array_free(&back);
    lode_bundle_free(&more);
    lode_bundle_free(&joined);
}

static void bundles_without_an_op_have_no_verbs(void **state)
{
    fix *f = *state;
    lode_bundle plain = { 0 }, out = { 0 };
    fails(f, lode_apply(&f->ctx, &plain, lode_none(), &out), LODE_EUSAGE, "records no operation");
    snprintf(plain.meta.op, sizeof plain.meta.op, "nosuch");
    fails(f, lode_apply(&f->ctx, &plain, lode_none(), &out), LODE_EUNSUPPORTED, "nosuch");
}

static void search_ranks_by_words(void **state)
{
    fix *f = *state;
    const lode_op *found[4];
    assert_true(lode_op_search(&f->ctx, "generate random synthetic data", found, 4) >= 1);
    assert_string_equal(found[0]->name, "make");
    assert_int_equal(lode_op_search(&f->ctx, "zzzz", found, 4), 0);
    assert_string_equal(lode_op_suggest(&f->ctx, "comparre"), "compare");
    assert_null(lode_op_suggest(&f->ctx, "xyzzyxyzzy"));
}

static void every_description_is_complete(void **state)
{
    fix *f = *state;
    for (int64_t i = 0; i < lode_op_count(&f->ctx); i++) {
        const lode_op *op = lode_op_at(&f->ctx, i);
        for (int form = LODE_DOC_HELP; form <= LODE_DOC_JSON; form++) {
            char *text = NULL;
            ok(f, lode_op_describe(&f->ctx, op, (lode_doc)form, &text));
            assert_non_null(strstr(text, op->name));
            for (const lode_param *p = op->params; p->name && form == LODE_DOC_JSON; p++)
                assert_non_null(strstr(text, p->name));
            lode_text_free(text);
        }
    }
    char *json = NULL;
    lode_json *parsed = NULL;
    ok(f, lode_registry_json(&f->ctx, &json));
    ok(f, lode_i_json_parse(&f->ctx, json, strlen(json), &parsed));
    assert_int_equal(lode_i_json_count(parsed), lode_op_count(&f->ctx));
    lode_i_json_free(parsed);
    lode_text_free(json);
    static const char *const shells[] = { "bash", "zsh", "fish" };
    for (size_t i = 0; i < 3; i++) {
        char *text = NULL;
        ok(f, lode_completion(&f->ctx, shells[i], &text));
        assert_non_null(strstr(text, "probe"));
        lode_text_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(inputs_bind_in_order_and_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_are_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(complex_data_and_conjugates, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_requests_name_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(options_without_defaults_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_plan_is_made_once_and_holds_the_budget, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(verbs_use_the_op_that_the_bundle_records, setup, teardown),
        cmocka_unit_test_setup_teardown(bundles_without_an_op_have_no_verbs, setup, teardown),
        cmocka_unit_test_setup_teardown(search_ranks_by_words, setup, teardown),
        cmocka_unit_test_setup_teardown(every_description_is_complete, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
