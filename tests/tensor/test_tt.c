/* tt as callers meet it: the typed function, the call by name, and the verbs on what it made. */
#define OP lode_op_tt
#include "fitted.h"

#include "linop/trains.h"

static lode_tt_opts asked;

static int setup(void **state)
{
    (void)state;
    asked = lode_tt_defaults();
    return start();
}

/* Borrowed cores of a model. */
static int cores_of(const lode_bundle *b, lode_array *core)
{
    int d = 0;
    for (; d < (int)b->count; d++) {
        char name[24];
        const lode_array *a = NULL;
        snprintf(name, sizeof name, "core.%d", d);
        assert_ok(&f.ctx, lode_bundle_array(&f.ctx, b, name, &a));
        core[d] = *a;
        core[d].owner = NULL;
    }
    return d;
}

/* Naive relative error of a model against a tensor. */
static double error_of(const lode_bundle *model, const lode_array *X)
{
    lode_array core[LODE_MAX_NDIM];
    const int d = cores_of(model, core);
    return train_error(X, d, core) / tensor_norm(X);
}

static int64_t values_of(const lode_bundle *model)
{
    int64_t values = 0;
    for (int64_t k = 0; k < model->count; k++)
        values += lode_array_size(lode_bundle_value(model, k).as.array);
    return values;
}

static const int64_t shape4[] = { 9, 8, 7, 6 };

static void typed_call_and_call_by_name_agree(void **state)
{
    (void)state;
    take(tensor_smooth(&f.ctx, LODE_F64, 4, shape4, 1));
    asked.error = lode_error_rel(1e-2);
    assert_ok(&f.ctx, lode_tt(&f.ctx, &asked, lode_from_array(&f.X), &f.members, &f.cert));
    assert_ok(&f.ctx, RUN("error", "1e-2"));
    assert_int_equal(f.model.count, 4);
    for (int64_t k = 0; k < 4; k++) {
        const lode_array *a = lode_bundle_value(&f.model, k).as.array,
                         *b = lode_bundle_value(&f.members, k).as.array;
        assert_memory_equal(a->data, b->data, lode_array_bytes(a));
    }
    assert_int_equal(f.cert.kind, LODE_CERT_MEASURED);
    assert_near(f.cert.value, error_of(&f.model, &f.X), 1e-9);
    assert_le(f.cert.value, 1e-2);
    assert_near(f.cert.asked, 1e-2, 1e-15);
    assert_true(f.model.meta.has_shape && f.model.meta.ndim == 4 && f.model.meta.dtype == LODE_F64);
}

static void options_mean_what_they_say(void **state)
{
    (void)state;
    take(tensor_smooth(&f.ctx, LODE_F32, 4, shape4, 2));
    const double norm = tensor_norm(&f.X), count = 9 * 8 * 7 * 6;
    assert_ok(&f.ctx, RUN("method", "auto")); /* 1e-3 where nothing is asked */
    assert_le(error_of(&f.model, &f.X), 1e-3);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("rank", "2,3,4"));
    for (int64_t k = 0; k < 3; k++)
        assert_int_equal(lode_bundle_value(&f.model, k).as.array->shape[2], 2 + k);
    assert_true(isnan(f.model.certificate.asked));
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("rank", "3"));
    for (int64_t k = 0; k < 3; k++)
        assert_int_equal(lode_bundle_value(&f.model, k).as.array->shape[2], 3);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("error", "0.5:fro"));
    assert_le(error_of(&f.model, &f.X) * norm, 0.5);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("error", "50:psnr=2")); /* peak 2: mean square at most 4e-5 */
    assert_le(error_of(&f.model, &f.X) * norm, sqrt(4e-5 * count));
    assert_le(1e-2 * sqrt(4e-5 * count), error_of(&f.model, &f.X) * norm);
    lode_bundle_free(&f.model);
    /* 500, 500 and 491 values */
    static const char *const budgets[] = { "params=500", "2000", "bits=5.2" };
    for (int i = 0; i < 3; i++) {
        assert_ok(&f.ctx, RUN("budget", budgets[i]));
        assert_true(values_of(&f.model) <= 500 && values_of(&f.model) > 400);
        lode_bundle_free(&f.model);
    }
    static const char *const methods[] = { "gram", "qr", "random" };
    for (int i = 0; i < 3; i++) {
        assert_ok(&f.ctx, RUN("method", methods[i], "error", "1e-2"));
        assert_le(error_of(&f.model, &f.X), 1e-2);
        lode_bundle_free(&f.model);
    }
    assert_status(&f.ctx, RUN("error", "1e-6", "max-rank", "3"), LODE_MISSED);
    assert_true(strstr(f.model.certificate.note, "max_rank") != NULL);
    assert_true(f.model.certificate.value > 1e-6);
    lode_bundle_free(&f.model);
    /* both asked: the ranks decide */
    assert_status(&f.ctx, RUN("error", "1e-2", "rank", "1"), LODE_MISSED);
    lode_bundle_free(&f.model);
    assert_status(&f.ctx, RUN("error", "1e-2:max"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("rank", "10,2,2"), LODE_ESHAPE);
    assert_says(&f.ctx, "bond 1");
    assert_status(&f.ctx, RUN("rank", "2,2"), LODE_ESHAPE);
    assert_status(&f.ctx, RUN("budget", "params=10"), LODE_EPARAM);
}

/* ---- verbs ---- */

static void parts_apply_and_codes(void **state)
{
    (void)state;
    static const int64_t more[] = { 4, 8, 7, 6 };
    take(tensor_smooth(&f.ctx, LODE_F64, 4, shape4, 3));
    assert_ok(&f.ctx, RUN("error", "1e-2"));
    lode_array whole = { 0 }, part = { 0 }, again = { 0 }, core[4];
    lode_bundle codes = { 0 };
    const lode_array *c;
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &whole));
    const lode_part p = { .ndim = 4, .start = { 3, 0, 5, 2 }, .count = { 2, -1, 1, 3 } };
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), &p, &part));
    assert_int_equal(lode_array_size(&part), 48);
    for (int64_t i = 0; i < 48; i++)
        assert_near(
            creal(tensor_get(&part, i)),
            creal(tensor_get(&whole, (((3 + i / 24) * 8 + i / 3 % 8) * 7 + 5) * 6 + 2 + i % 3)),
            1e-14);
    /* of its own expansion: itself */
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&whole), &codes));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "core.0", &c));
    cores_of(&f.model, core);
    for (int64_t i = 0; i < lode_array_size(c); i++)
        assert_near(creal(tensor_get(c, i)), creal(tensor_get(&core[0], i)), 1e-12);
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_from_array(c), NULL, &again));
    for (int64_t i = 0; i < lode_array_size(&whole); i++)
        assert_near(creal(tensor_get(&again, i)), creal(tensor_get(&whole, i)), 1e-12);
    lode_bundle_free(&codes);
    lode_array_free(&whole);
    /* another length along mode 0: the nearest in the span, so what is left is orthogonal to it */
    whole = tensor_smooth(&f.ctx, LODE_F64, 4, more, 5);
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&whole), &codes));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "core.0", &c));
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_from_array(c), NULL, &again));
    assert_int_equal(again.shape[0], 4);
    double dot = 0;
    for (int64_t i = 0; i < lode_array_size(&whole); i++)
        dot += creal(tensor_get(&again, i)) *
               (creal(tensor_get(&whole, i)) - creal(tensor_get(&again, i)));
    assert_near(dot, 0, 1e-10 * pow(tensor_norm(&whole), 2));
    assert_le(tensor_norm(&again), tensor_norm(&whole));
    assert_status(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&part), &codes),
                  LODE_ESHAPE);
    assert_status(&f.ctx, lode_invert(&f.ctx, &f.model, lode_from_array(&part), NULL, &again),
                  LODE_ESHAPE);
    LODE_FREE(&whole, &part, &again, &codes);
}

/* The first 20 slices, then 12 more: the errors add in squares and hold against the whole; a model
 * made from scratch is no worse, and not much smaller. */
static void updating_and_merging_hold_their_certificates(void **state)
{
    (void)state;
    static const int64_t shape[] = { 32, 8, 9, 5 };
    for (int t = 0; t < 2; t++) {
        lode_array a = { 0 }, b = { 0 };
        lode_bundle first = { 0 }, second = { 0 }, both = { 0 };
        lode_certificate found;
        take(tensor_smooth(&f.ctx, t ? LODE_C64 : LODE_F64, 4, shape, 4));
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 0, 0, 20, 1, &a));
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 0, 20, 32, 1, &b));
        assert_ok(&f.ctx, by_name(&a, (const char *const[]){ "error", "1e-2", NULL }, &first));
        assert_ok(&f.ctx, lode_update(&f.ctx, &first, lode_from_array(&b), &second));
        assert_int_equal(second.meta.shape[0], 32);
        double error = error_of(&second, &f.X);
        const double rounding = t ? 20 * lode_i_epsilon(LODE_C64) : 0; /* of the results */
        assert_le(error, 1e-2);
        assert_near(second.certificate.value, error, 1e-5 * error + rounding);
        assert_le(error, second.certificate.value * (1 + 1e-6) + rounding);
        assert_ok(&f.ctx, lode_verify(&f.ctx, &second, lode_none(), &found));
        assert_ok(&f.ctx, lode_verify(&f.ctx, &second, lode_from_array(&f.X), &found));
        assert_ok(&f.ctx, RUN("error", "1e-2"));
        assert_true(values_of(&second) <= 2 * values_of(&f.model));
        lode_bundle_free(&second);
        assert_ok(&f.ctx, by_name(&b, (const char *const[]){ "error", "1e-2", NULL }, &second));
        const lode_bundle *const parts[] = { &first, &second };
        assert_ok(&f.ctx, lode_merge(&f.ctx, parts, 2, &both));
        error = error_of(&both, &f.X);
        assert_near(both.certificate.value, error, 1e-5 * error + rounding);
        assert_le(both.certificate.value, 1e-2);
        assert_ok(&f.ctx, lode_verify(&f.ctx, &both, lode_from_array(&f.X), &found));
        lode_array_free(&a);
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 1, 0, 7, 1, &a));
        assert_status(&f.ctx, lode_update(&f.ctx, &first, lode_from_array(&a), &both), LODE_ESHAPE);
        LODE_FREE(&a, &b, &first, &second, &both, &f.model);
    }
}

static void verify_catches_what_was_changed(void **state)
{
    (void)state;
    take(tensor_smooth(&f.ctx, LODE_F64, 4, shape4, 5));
    assert_ok(&f.ctx, RUN("error", "1e-3"));
    check_tampering(false);
}

static lode_status decompose(lode_value X)
{
    return lode_tt(&f.ctx, &asked, X, &f.members, &f.cert);
}

static void check_ranks(const int64_t *rank)
{
    assert_int_equal(lode_bundle_value(&f.members, 0).as.array->shape[2], rank[0]);
    assert_int_equal(lode_bundle_value(&f.members, 2).as.array->shape[0], rank[2]);
}

static void out_of_core_within_the_budget(void **state)
{
    (void)state;
    asked.error = lode_error_rel(0.02);
    check_out_of_core(decompose, check_ranks);
}

static double answer(const char *text, lode_array *values)
{
    lode_question q;
    lode_answer a = { 0 };
    assert_ok(&f.ctx, lode_question_parse(&f.ctx, &f.model, text, &q));
    assert_ok(&f.ctx, lode_query(&f.ctx, &f.model, &q, &a));
    if (values)
        lode_array_swap(values, &a.values);
    const double re = a.re;
    lode_answer_free(&a);
    return re;
}

static void questions_are_answered(void **state)
{
    (void)state;
    take(tensor_smooth(&f.ctx, LODE_F64, 4, shape4, 6));
    assert_ok(&f.ctx, RUN("error", "1e-3"));
    lode_array y = { 0 }, v = { 0 };
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y));
    double sum = 0, some = 0;
    for (int64_t i = 0; i < lode_array_size(&y); i++) {
        sum += creal(tensor_get(&y, i));
        some += i / 336 >= 2 && i / 336 < 5 && i % 6 == 3 ? creal(tensor_get(&y, i)) : 0;
    }
    assert_near(answer("sum", NULL), sum, 1e-10 * fabs(sum) + 1e-9);
    assert_near(answer("mean[2:5,:,:,3]", NULL), some / (3 * 56), 1e-10);
    assert_near(answer("norm", NULL), tensor_norm(&y), 1e-10 * tensor_norm(&y));
    answer("[2,3,4,5]", &v);
    assert_near(creal(tensor_get(&v, 0)), creal(tensor_get(&y, ((2 * 8 + 3) * 7 + 4) * 6 + 5)),
                1e-12);
    LODE_FREE(&y, &v);
}

static void damaged_models_are_refused(void **state)
{
    (void)state;
    lode_array y = { 0 };
    check_damaged();
    assert_status(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y), LODE_EFORMAT);
    f.model.meta.has_shape = true, f.model.meta.ndim = 1, f.model.meta.shape[0] = 3;
    assert_status(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y), LODE_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(typed_call_and_call_by_name_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(options_mean_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_apply_and_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(updating_and_merging_hold_their_certificates, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(verify_catches_what_was_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_core_within_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(questions_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_are_drawn, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_models_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
