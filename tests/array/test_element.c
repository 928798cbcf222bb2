#include "array/oracle.h"
#include "counted.h"

enum { SCALE, AXPY, CONJ, COLS, ROWS, SUB, FILL, ACTIONS };

/* What one value should become; u is the second operand there. */
static number expected(int action, number y, number u, double alpha)
{
    switch (action) {
    case SCALE: return (number){ alpha * y.re, alpha * y.im };
    case AXPY: return (number){ y.re + alpha * u.re, y.im + alpha * u.im };
    case CONJ: return (number){ y.re, -y.im };
    case COLS:
    case ROWS: return (number){ y.re * u.re - y.im * u.im, y.re * u.im + y.im * u.re };
    case SUB: return (number){ y.re - u.re, y.im - u.im };
    default: return (number){ alpha, 0 };
    }
}

static lode_status apply(int action, double alpha, const lode_array *x, lode_array *y)
{
    switch (action) {
    case SCALE: return lode_i_scale(&ctx, alpha, y);
    case AXPY: return lode_i_axpy(&ctx, alpha, x, y);
    case CONJ: return lode_i_conj(&ctx, y);
    case COLS: return lode_i_scale_cols(&ctx, y, x);
    case ROWS: return lode_i_scale_rows(&ctx, y, x);
    case SUB: return lode_i_sub_row(&ctx, y, x);
    default: return lode_i_fill(&ctx, y, alpha);
    }
}

/* Each action on random views of each arithmetic type, with second operands of every type that
 * fits. The values are at most 3 and a result is one product and one sum, rounded once to its type:
 * 40 eps is an ample bound. */
static void actions_agree_with_one_value_at_a_time(void **state)
{
    (void)state;
    dice d = { 11 };
    for (int repeat = 0; repeat < 1500; repeat++) {
        const int action = (int)roll_below(&d, ACTIONS);
        const lode_dtype t = arith_types[roll_below(&d, 4)];
        lode_dtype tx = plain_types[roll_below(&d, PLAIN_TYPES)];
        int64_t shape[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        const bool vector = action == COLS || action == ROWS || action == SUB;
        if (vector && ndim == 0)
            continue;
        if (lode_i_is_complex(tx) && !lode_i_is_complex(t))
            tx = roll(&d) % 2 ? t : LODE_F64;
        const int axis = action == ROWS ? 0 : ndim - 1;
        lode_array y = { 0 }, x = { 0 }, before = { 0 };
        random_view(&ctx, &d, t, ndim, shape, 2, &y);
        random_view(&ctx, &d, tx, vector ? 1 : ndim, vector ? &shape[axis] : shape, 3, &x);
        assert_ok(&ctx, lode_array_cast(&ctx, &y, t, &before));
        const double alpha = roll_unit(&d);
        assert_ok(&ctx, apply(action, alpha, &x, &y));
        int64_t after = 1;
        for (int i = axis + 1; vector && i < ndim; i++)
            after *= shape[i];
        for (int64_t i = 0; i < lode_array_size(&y); i++) {
            const number u = oracle_value(&x, vector ? i / after % shape[axis] : i);
            const number want = expected(action, oracle_value(&before, i), u, alpha),
                         got = oracle_value(&y, i);
            const double tolerance = 40 * lode_i_epsilon(t);
            assert_near(got.re, want.re, tolerance);
            assert_near(got.im, lode_i_is_complex(t) ? want.im : 0, tolerance);
        }
        LODE_FREE(&y, &x, &before);
    }
}

static void broadcast_inputs_are_read(void **state)
{
    (void)state;
    lode_array x = { 0 }, y = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 3, 70, &y));
    assert_ok(&ctx, lode_i_fill(&ctx, &y, 1));
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 3, 1, &x));
    for (int64_t i = 0; i < 3; i++)
        lode_i_set2(&x, i, 0, (double)i);
    x.shape[1] = 70, x.strides[1] = 0;
    assert_ok(&ctx, lode_i_axpy(&ctx, 2, &x, &y));
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 70; j++)
            assert_true(lode_i_get2(&y, i, j) == 1 + 2 * (double)i);
    assert_status(&ctx, lode_i_scale(&ctx, 2, &x), LODE_EUSAGE);
    LODE_FREE(&x, &y);
}

static void packed_operands_and_fills(void **state)
{
    (void)state;
    dice d = { 5 };
    lode_array x = { 0 }, q = { 0 }, back = { 0 }, y = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, 5, 544, &x));
    random_values(&d, &x, 1);
    assert_ok(&ctx, lode_array_cast(&ctx, &x, LODE_Q8, &q));
    assert_ok(&ctx, lode_array_cast(&ctx, &q, LODE_F64, &back));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 2, x.shape, &y));
    assert_ok(&ctx, lode_i_axpy(&ctx, 1, &q, &y));
    for (int64_t i = 0; i < lode_array_size(&y); i++)
        assert_true(same_number(oracle_value(&y, i), oracle_value(&back, i)));
    assert_ok(&ctx, lode_i_fill(&ctx, &q, 0.5));
    assert_ok(&ctx, lode_array_cast(&ctx, &q, LODE_F64, &back));
    for (int64_t i = 0; i < lode_array_size(&y); i++)
        assert_near(oracle_value(&back, i).re, 0.5, 0.5 * 0x1p-10);
    LODE_FREE(&x, &q, &back, &y);
}

static void threads_give_the_same_bits(void **state)
{
    (void)state;
    dice d = { 6 };
    lode_array base = { 0 }, x = { 0 }, row = { 0 }, first = { 0 }, y = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 301, 503, &base));
    random_values(&d, &base, 1);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F16, 301, 503, &x));
    random_values(&d, &x, 1);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 503, &row));
    random_values(&d, &row, 1);
    for (int threads = 1; threads <= 3; threads++) {
        ctx.threads = threads;
        assert_ok(&ctx, lode_array_cast(&ctx, &base, LODE_F32, &y));
        assert_ok(&ctx, lode_i_axpy(&ctx, 0.3, &x, &y));
        assert_ok(&ctx, lode_i_sub_row(&ctx, &y, &row));
        assert_ok(&ctx, lode_i_scale_cols(&ctx, &y, &row));
        assert_ok(&ctx, lode_i_scale(&ctx, 1.1, &y));
        if (threads == 1)
            lode_array_swap(&first, &y);
        else
            assert_memory_equal(first.data, y.data, lode_array_bytes(&y));
    }
    ctx.threads = 0;
    LODE_FREE(&base, &x, &row, &first, &y);
}

static void misuse_is_refused(void **state)
{
    (void)state;
    lode_array m = { 0 }, i = { 0 }, z = { 0 }, v = { 0 }, s = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F32, 2, (const int64_t[]){ 2, 3 }, &m));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_I32, 2, (const int64_t[]){ 2, 3 }, &i));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_C64, 2, (const int64_t[]){ 2, 3 }, &z));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_C64, 1, (const int64_t[]){ 3 }, &v));
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F32, 0, NULL, &s));
    assert_status(&ctx, lode_i_scale(&ctx, 2, &i), LODE_ETYPE);
    assert_says(&ctx, "i32");
    assert_status(&ctx, lode_i_axpy(&ctx, 2, &z, &m), LODE_ETYPE);
    assert_status(&ctx, lode_i_axpy(&ctx, 2, &v, &z), LODE_ESHAPE);
    assert_status(&ctx, lode_i_scale_cols(&ctx, &m, &v), LODE_ETYPE);
    assert_ok(&ctx, lode_i_scale_cols(&ctx, &z, &v));
    assert_status(&ctx, lode_i_scale_rows(&ctx, &z, &v), LODE_ESHAPE);
    assert_status(&ctx, lode_i_sub_row(&ctx, &s, &v), LODE_ESHAPE);
    assert_ok(&ctx, lode_i_conj(&ctx, &m));
    LODE_FREE(&m, &i, &z, &v, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_agree_with_one_value_at_a_time),
        cmocka_unit_test(broadcast_inputs_are_read),
        cmocka_unit_test(packed_operands_and_fills),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(misuse_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
