/* Rows and columns by number: against entries one by one. */
#include "array/array.h"
#include "counted.h"

static lode_array numbers(const int64_t *at, int64_t count)
{
    lode_array index = { 0 };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, count, &index));
    for (int64_t i = 0; i < count; i++)
        lode_i_set1(&index, i, (double)at[i]);
    return index;
}

static const int64_t some[] = { 4, 0, 3 };

static void dense_rows_and_columns_are_those_asked_for(void **state)
{
    (void)state;
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128, LODE_I16 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int turned = 0; turned < 2; turned++) {
            lode_array wide = { 0 }, a = { 0 }, index = numbers(some, 3), y = { 0 };
            assert_ok(&ctx,
                      lode_i_randn(&ctx, lode_i_stream(&ctx, "take", 0), LODE_C128, 6, 5, &wide));
            assert_ok(&ctx, lode_i_scale(&ctx, 100, &wide));
            assert_ok(&ctx, lode_array_cast(&ctx, &wide, types[t], &a));
            const lode_array view = turned ? lode_i_transposed(&a) : a;
            for (int axis = 0; axis < 2; axis++) {
                assert_ok(&ctx, lode_i_take(&ctx, &view, axis, &index, &y));
                assert_int_equal(y.dtype, types[t]);
                assert_int_equal(y.shape[axis], 3);
                assert_int_equal(y.shape[1 - axis], view.shape[1 - axis]);
                for (int64_t i = 0; i < y.shape[0]; i++)
                    for (int64_t j = 0; j < y.shape[1]; j++) {
                        const int64_t from[2] = { axis ? i : some[i], axis ? some[j] : j },
                                      to[2] = { i, j };
                        assert_true(lode_array_get(&y, to) == lode_array_get(&view, from));
                    }
            }
            LODE_FREE(&wide, &a, &index, &y);
        }
}

static void sparse_ones_stay_sparse(void **state)
{
    (void)state;
    static const int64_t at[][2] = { { 0, 4 }, { 0, 0 }, { 2, 3 }, { 3, 0 },
                                     { 3, 3 }, { 3, 1 }, { 4, 4 } };
    enum { COUNT = sizeof at / sizeof *at };
    lode_sparse s = { .layout = LODE_COO, .ndim = 2, .shape = { 5, 5 } }, y = { 0 };
    lode_array index = numbers(some, 3), dense = { 0 }, part = { 0 }, want = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, 2, (const int64_t[]){ COUNT, 2 }, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, COUNT, &s.values));
    for (int64_t k = 0; k < COUNT; k++) {
        lode_i_set1(&s.values, k, (double)(k + 1));
        for (int axis = 0; axis < 2; axis++)
            lode_i_set2(&s.indices, k, axis, (double)at[k][axis]);
    }
    assert_ok(&ctx, lode_sparse_to_dense(&ctx, &s, &dense));
    for (int axis = 0; axis < 2; axis++) {
        double off = 1;
        assert_ok(&ctx, lode_i_take_csr(&ctx, &s, axis, &index, &y));
        assert_ok(&ctx, lode_sparse_check(&ctx, &y));
        assert_int_equal(y.layout, LODE_CSR);
        assert_ok(&ctx, lode_sparse_to_dense(&ctx, &y, &part));
        assert_ok(&ctx, lode_i_take(&ctx, &dense, axis, &index, &want));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &part, &want, &off));
        assert_true(!(off > 0));
    }
    LODE_FREE(&s, &y, &index, &dense, &part, &want);
}

static void what_is_not_there_is_refused(void **state)
{
    (void)state;
    static const int64_t far[] = { 1, 7 }, twice[] = { 2, 2 };
    lode_array a = { 0 }, index = numbers(far, 2), again = numbers(twice, 2), y = { 0 };
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2, .shape = { 1, 5 } }, out = { 0 };
    static const int64_t ends = 2;
    assert_ok(&ctx, lode_i_eye(&ctx, LODE_F64, 5, &a));
    assert_status(&ctx, lode_i_take(&ctx, &a, 0, &index, &y), LODE_EDOMAIN);
    assert_says(&ctx, "row 7");
    assert_true(y.data == NULL);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_I64, 1, &ends, &s.indptr));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 0, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 0, &s.values));
    assert_status(&ctx, lode_i_take_csr(&ctx, &s, 1, &again, &out), LODE_EDOMAIN);
    assert_says(&ctx, "column 2");
    LODE_FREE(&a, &index, &again, &y, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dense_rows_and_columns_are_those_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sparse_ones_stay_sparse, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
