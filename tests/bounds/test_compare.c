/* compare: against sums by hand; slabs, types and special values. */
#include <math.h>

#include "array/array.h"
#include "counted.h"
#include "lode/lode.h"

static lode_comparison compare(const lode_array *a, const lode_array *b)
{
    const lode_compare_opts o = lode_compare_defaults();
    lode_comparison r = { 0 };
    assert_ok(&ctx, lode_compare(&ctx, &o, lode_from_array(a), lode_from_array(b), &r));
    return r;
}

static void numbers_by_hand(void **state)
{
    (void)state;
    double a[] = { 3, 4, 0, NAN, 1, 8 }, b[] = { 3, 4, 2, NAN, NAN, 8 };
    const lode_array A = lode_array_wrap(a, LODE_F64, 2, (const int64_t[]){ 2, 3 });
    const lode_array B = lode_array_wrap(b, LODE_F64, 2, (const int64_t[]){ 2, 3 });
    const lode_comparison r = compare(&A, &B);
    assert_int_equal(r.compared, 4);
    assert_int_equal(r.mismatched, 1);
    assert_near(r.absolute, 2, 0);
    assert_near(r.relative, 2 / sqrt(9 + 16 + 64), 1e-15);
    assert_near(r.max, 2, 0);
    assert_int_equal(r.at, 2);
    assert_near(r.max_range, 2.0 / 8, 1e-15);
    assert_near(r.psnr, 20 * log10(8 / (2 / sqrt(4))), 1e-12);
}

static void equal_arrays_have_no_error(void **state)
{
    (void)state;
    float a[] = { 0, 0, 0 };
    const lode_array A = lode_array_wrap(a, LODE_F32, 1, (const int64_t[]){ 3 });
    const lode_comparison r = compare(&A, &A);
    assert_true(r.relative == 0 && r.max_range == 0 && isinf(r.psnr));
}

static void types_may_differ(void **state)
{
    (void)state;
    int16_t a[] = { 1, 2, 3 };
    double b[] = { 1, 2.5, 3 };
    const lode_array A = lode_array_wrap(a, LODE_I16, 1, (const int64_t[]){ 3 });
    const lode_array B = lode_array_wrap(b, LODE_F64, 1, (const int64_t[]){ 3 });
    assert_near(compare(&A, &B).absolute, 0.5, 0);
}

/* More values than a slab, against a plain sum in long double. */
static void slabs_join_to_the_whole(void **state)
{
    (void)state;
    const int64_t shape[] = { 1500, 1600 };
    lode_array a = { 0 }, b = { 0 };
    long double sum = 0, ref = 0;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 2, shape, &a));
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 2, shape, &b));
    double *x = a.data, *y = b.data;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++) {
        x[i] = sin((double)i), y[i] = x[i] + 1e-3 * cos(3.0 * (double)i);
        sum += (long double)(x[i] - y[i]) * (long double)(x[i] - y[i]);
        ref += (long double)x[i] * (long double)x[i];
    }
    const lode_comparison r = compare(&a, &b);
    assert_near(r.absolute, (double)sqrtl(sum), 1e-12 * (double)sqrtl(sum));
    assert_near(r.relative, (double)sqrtl(sum / ref), 1e-12 * (double)sqrtl(sum / ref));
    lode_array_free(&a);
    lode_array_free(&b);
}

static void shapes_must_agree(void **state)
{
    (void)state;
    double a[6] = { 0 };
    const lode_array A = lode_array_wrap(a, LODE_F64, 2, (const int64_t[]){ 2, 3 });
    const lode_array B = lode_array_wrap(a, LODE_F64, 2, (const int64_t[]){ 3, 2 });
    const lode_compare_opts o = lode_compare_defaults();
    lode_comparison r = { .max = 7 };
    assert_status(&ctx, lode_compare(&ctx, &o, lode_from_array(&A), lode_from_array(&B), &r),
                  LODE_ESHAPE);
    assert_says(&ctx, "2 x 3");
    assert_true(r.max == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_by_hand),   cmocka_unit_test(equal_arrays_have_no_error),
        cmocka_unit_test(types_may_differ),  cmocka_unit_test(slabs_join_to_the_whole),
        cmocka_unit_test(shapes_must_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
