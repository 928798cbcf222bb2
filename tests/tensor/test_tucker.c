/* tucker as callers meet it: the typed function, the call by name, and the verbs on what it
 * made. */
#define OP lode_op_tucker
#include "fitted.h"

static lode_tucker_opts asked;

static int setup(void **state)
{
    (void)state;
    asked = lode_tucker_defaults();
    return start();
}

static const lode_array *factor(const lode_bundle *b, int k)
{
    char name[24];
    const lode_array *U = NULL;
    snprintf(name, sizeof name, "factor.%d", k);
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, b, name, &U));
    return U;
}

/* Naive relative error of a model against a tensor. */
static double error_of(const lode_bundle *model, const lode_array *X)
{
    const lode_array *core;
    lode_array U[LODE_MAX_NDIM];
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, model, "core", &core));
    for (int k = 0; k < core->ndim; k++)
        U[k] = *factor(model, k);
    return naive_residual(X, core, U) / tensor_norm(X);
}

static void typed_call_and_call_by_name_agree(void **state)
{
    (void)state;
    static const int64_t shape[] = { 15, 16, 17 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 1));
    asked.error = lode_error_rel(1e-2);
    assert_ok(&f.ctx,
              lode_tucker(&f.ctx, &asked, lode_from_array(&f.X), &f.core, &f.members, &f.cert));
    assert_ok(&f.ctx, RUN("error", "1e-2"));
    const lode_array *core;
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, "core", &core));
    assert_memory_equal(core->data, f.core.data, lode_array_bytes(core));
    for (int k = 0; k < 3; k++)
        assert_memory_equal(factor(&f.model, k)->data, factor(&f.members, k)->data,
                            lode_array_bytes(factor(&f.model, k)));
    assert_int_equal(f.cert.kind, LODE_CERT_MEASURED);
    assert_near(f.cert.value, error_of(&f.model, &f.X), 1e-9);
    assert_le(f.cert.value, 1e-2);
    assert_near(f.cert.asked, 1e-2, 1e-15);
    assert_true(f.model.meta.has_shape && f.model.meta.ndim == 3 && f.model.meta.dtype == LODE_F64);
}

static void options_mean_what_they_say(void **state)
{
    (void)state;
    static const int64_t shape[] = { 15, 16, 17 };
    take(tensor_smooth(&f.ctx, LODE_F32, 3, shape, 2));
    const double norm = tensor_norm(&f.X);
    assert_ok(&f.ctx, RUN("method", "auto")); /* 1e-3 where nothing is asked */
    assert_le(error_of(&f.model, &f.X), 1e-3);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("rank", "2,3,4"));
    for (int k = 0; k < 3; k++)
        assert_int_equal(factor(&f.model, k)->shape[1], 2 + k);
    assert_true(isnan(f.model.certificate.asked));
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("error", "0.5:fro"));
    assert_le(error_of(&f.model, &f.X) * norm, 0.5);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("error", "50:psnr=2")); /* peak 2: mean square at most 4e-5 */
    assert_le(error_of(&f.model, &f.X) * norm, sqrt(4e-5 * 15 * 16 * 17));
    assert_le(1e-2 * sqrt(4e-5 * 15 * 16 * 17), error_of(&f.model, &f.X) * norm);
    lode_bundle_free(&f.model);
    /* 500, 500 and 497 values */
    static const char *const budgets[] = { "params=500", "2000", "bits=3.9" };
    for (int i = 0; i < 3; i++) {
        const lode_array *core;
        assert_ok(&f.ctx, RUN("budget", budgets[i]));
        assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, "core", &core));
        int64_t values = lode_array_size(core);
        for (int k = 0; k < 3; k++)
            values += lode_array_size(factor(&f.model, k));
        assert_true(values <= 500 && values > 350);
        lode_bundle_free(&f.model);
    }
    assert_status(&f.ctx, RUN("error", "1e-6", "max-rank", "3"), LODE_MISSED);
    assert_true(strstr(f.model.certificate.note, "max_rank") != NULL);
    assert_true(f.model.certificate.value > 1e-6);
    lode_bundle_free(&f.model);
    /* both asked: the ranks decide */
    assert_status(&f.ctx, RUN("error", "1e-2", "rank", "1"), LODE_MISSED);
    lode_bundle_free(&f.model);
    assert_ok(&f.ctx, RUN("rank", "4", "max-iter", "3"));
    assert_status(&f.ctx, RUN("error", "1e-2:max"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("rank", "16"), LODE_ESHAPE);
    assert_says(&f.ctx, "mode 0");
    assert_status(&f.ctx, RUN("budget", "params=10"), LODE_EPARAM);
}

/* ---- verbs ---- */

static void parts_apply_and_codes(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 10, 11 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 3));
    assert_ok(&f.ctx, RUN("error", "1e-2"));
    lode_array whole = { 0 }, part = { 0 }, again = { 0 };
    lode_bundle codes = { 0 };
    const lode_array *core;
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &whole));
    const lode_part p = { .ndim = 3, .start = { 3, 0, 10 }, .count = { 2, -1, 1 } };
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), &p, &part));
    assert_int_equal(lode_array_size(&part), 20);
    for (int64_t i = 0; i < 20; i++)
        assert_near(creal(tensor_get(&part, i)),
                    creal(tensor_get(&whole, (3 + i / 10) * 110 + i % 10 * 11 + 10)), 1e-14);
    /* of its own expansion: itself */
    assert_ok(&f.ctx, lode_apply(&f.ctx, &f.model, lode_from_array(&whole), &codes));
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &codes, "core", &core));
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_from_array(core), NULL, &again));
    for (int64_t i = 0; i < 990; i++)
        assert_near(creal(tensor_get(&again, i)), creal(tensor_get(&whole, i)), 1e-13);
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
    static const int64_t shape[] = { 32, 14, 15 };
    for (int t = 0; t < 2; t++) {
        lode_array a = { 0 }, b = { 0 };
        lode_bundle first = { 0 }, second = { 0 }, both = { 0 };
        lode_certificate found;
        take(tensor_smooth(&f.ctx, t ? LODE_C64 : LODE_F64, 3, shape, 4));
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 0, 0, 20, 1, &a));
        assert_ok(&f.ctx, lode_array_slice(&f.ctx, &f.X, 0, 20, 32, 1, &b));
        assert_ok(&f.ctx, by_name(&a, (const char *const[]){ "error", "1e-2", NULL }, &first));
        assert_ok(&f.ctx, lode_update(&f.ctx, &first, lode_from_array(&b), &second));
        assert_int_equal(second.meta.shape[0], 32);
        double error = error_of(&second, &f.X);
        const double rounding = t ? 10 * lode_i_epsilon(LODE_C64) : 0; /* of the results */
        assert_le(error, 1e-2);
        assert_near(second.certificate.value, error, 1e-5 * error + rounding);
        assert_le(error, second.certificate.value * (1 + 1e-6));
        assert_ok(&f.ctx, lode_verify(&f.ctx, &second, lode_from_array(&f.X), &found));
        assert_ok(&f.ctx, RUN("error", "1e-2"));
        for (int k = 1; k < 3; k++) /* directions that both parts share are not kept twice */
            assert_true(factor(&second, k)->shape[1] <= factor(&f.model, k)->shape[1] + 3);
        lode_bundle_free(&second);
        assert_ok(&f.ctx, by_name(&b, (const char *const[]){ "error", "1e-2", NULL }, &second));
        const lode_bundle *const parts[] = { &first, &second };
        assert_ok(&f.ctx, lode_merge(&f.ctx, parts, 2, &both));
        error = error_of(&both, &f.X);
        assert_near(both.certificate.value, error, 1e-5 * error + rounding);
        assert_le(error, both.certificate.value * (1 + 1e-6));
        assert_le(both.certificate.value, 1e-2);
        assert_status(&f.ctx, lode_update(&f.ctx, &first, lode_from_array(&f.core), &both),
                      LODE_ESHAPE);
        LODE_FREE(&a, &b, &first, &second, &both, &f.model);
    }
}

static void verify_catches_what_was_changed(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 10, 11 };
    take(tensor_smooth(&f.ctx, LODE_F64, 3, shape, 5));
    assert_ok(&f.ctx, RUN("error", "1e-3"));
    check_tampering(true);
}

static lode_status decompose(lode_value X)
{
    return lode_tucker(&f.ctx, &asked, X, &f.core, &f.members, &f.cert);
}

static void check_ranks(const int64_t *rank)
{
    for (int k = 0; k < 3; k++)
        assert_int_equal(f.core.shape[k], rank[k]);
}

static void out_of_core_within_the_budget(void **state)
{
    (void)state;
    asked.error = lode_error_rel(0.02);
    check_out_of_core(decompose, check_ranks);
}

static void damaged_models_are_refused(void **state)
{
    (void)state;
    lode_array y = { 0 };
    check_damaged();
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
        cmocka_unit_test_setup_teardown(figures_are_drawn, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_models_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
