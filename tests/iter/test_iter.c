/* Iterations: when they stop, what they say, what they record. */
#include <math.h>

#include "counted.h"
#include "iter/iter.h"

static void a_settled_objective_ends_it(void **state)
{
    (void)state;
    lode_i_iter it = { .op = "op", .what = "objective", .tol = 1e-3, .max_iter = 1000 };
    lode_array trace = { 0 };
    assert_ok(&ctx, lode_i_iter_begin(&ctx, &it));
    double v = 1;
    while (!it.done) {
        assert_ok(&ctx, lode_i_iter_step(&ctx, &it, 1 + v));
        v /= 2;
    }
    /* 1 + 2^-i falls by less than a thousandth of itself between 2^-9 and 2^-10 */
    assert_int_equal(it.i, 11);
    assert_ok(&ctx, lode_i_iter_end(&ctx, &it, &trace));
    assert_int_equal(trace.shape[0], 11);
    for (int64_t i = 0; i < 11; i++)
        assert_true(lode_i_get1(&trace, i) == 1 + ldexp(1, (int)-i));
    assert_false(it.rose);
    lode_array_free(&trace);
    lode_i_iter_free(&it);
}

static void the_floor_ends_it(void **state)
{
    (void)state;
    lode_i_iter it = { .op = "op", .what = "error", .tol = 0, .floor = 1.5e-6, .max_iter = 500 };
    assert_ok(&ctx, lode_i_iter_begin(&ctx, &it));
    for (double v = 1; !it.done; v /= 10)
        assert_ok(&ctx, lode_i_iter_step(&ctx, &it, v));
    assert_int_equal(it.i, 7);
    assert_ok(&ctx, lode_i_iter_end(&ctx, &it, NULL));
    lode_i_iter_free(&it);
}

static void too_few_steps_are_said(void **state)
{
    (void)state;
    lode_i_iter it = { .op = "op", .what = "error", .tol = 1e-9, .max_iter = 130 };
    lode_array trace = { 0 };
    assert_ok(&ctx, lode_i_iter_begin(&ctx, &it));
    for (int64_t i = 0; !it.done; i++)
        assert_ok(&ctx, lode_i_iter_step(&ctx, &it, i == 20 ? 3 : 2 - 1e-3 * (double)i));
    assert_status(&ctx, lode_i_iter_end(&ctx, &it, &trace), LODE_NOCONV);
    assert_says(&ctx, "op: 130 iterations did not settle the error to 1e-09");
    assert_true(it.rose);
    assert_int_equal(trace.shape[0], 130);
    lode_array_free(&trace);
    lode_i_iter_free(&it);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    lode_i_iter it = { .op = "op", .what = "error", .max_iter = 5 };
    assert_ok(&ctx, lode_i_iter_begin(&ctx, &it));
    assert_status(&ctx, lode_i_iter_step(&ctx, &it, NAN), LODE_EDOMAIN);
    assert_says(&ctx, "the error is nan after 1 iterations");
    lode_i_iter_free(&it);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_settled_objective_ends_it),
        T(the_floor_ends_it),
        T(too_few_steps_are_said),
        T(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
