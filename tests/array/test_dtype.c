#include "array/oracle.h"

static void names_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < LODE_DTYPE_COUNT; i++) {
        lode_dtype t = LODE_DTYPE_COUNT;
        assert_true(lode_dtype_parse(lode_dtype_name((lode_dtype)i), &t));
        assert_int_equal(t, i);
    }
}

static void foreign_names_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        lode_dtype dtype;
    } known[] = { { "float32", LODE_F32 },   { "int8", LODE_I8 },         { "bool", LODE_BOOL },
                  { "complex64", LODE_C64 }, { "F32", LODE_F32 },         { "BF16", LODE_BF16 },
                  { "I64", LODE_I64 },       { "BOOL", LODE_BOOL },       { "uint64", LODE_U64 },
                  { "Float16", LODE_F16 },   { "complex128", LODE_C128 }, { "U8", LODE_U8 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        lode_dtype t = LODE_DTYPE_COUNT;
        assert_true(lode_dtype_parse(known[i].name, &t));
        assert_int_equal(t, known[i].dtype);
    }
    lode_dtype t = LODE_I16;
    assert_false(lode_dtype_parse("f31", &t));
    assert_false(lode_dtype_parse("", &t));
    assert_false(lode_dtype_parse("f3", &t));
    assert_false(lode_dtype_parse("f322", &t));
    assert_false(lode_dtype_parse(NULL, &t));
    assert_int_equal(t, LODE_I16);
}

static void sizes_are_those_of_c(void **state)
{
    (void)state;
    assert_int_equal(lode_dtype_size(LODE_F64), sizeof(double));
    assert_int_equal(lode_dtype_size(LODE_C64), 2 * sizeof(float));
    assert_int_equal(lode_dtype_size(LODE_Q8), 2 + 32);
    assert_int_equal(lode_dtype_size(LODE_Q4), 2 + 16);
    assert_int_equal(lode_dtype_block(LODE_Q4), 32);
    assert_int_equal(lode_dtype_block(LODE_I64), 1);
    assert_int_equal(lode_dtype_size((lode_dtype)99), 0);
    assert_string_equal(lode_dtype_name((lode_dtype)99), "unknown");
}

static void arithmetic_types_follow_their_rule(void **state)
{
    (void)state;
    for (int i = 0; i < LODE_DTYPE_COUNT; i++) {
        const lode_dtype t = (lode_dtype)i, y = lode_i_arith(t);
        const bool wide = t == LODE_F64 || t == LODE_I32 || t == LODE_I64 || t == LODE_U32 ||
                          t == LODE_U64;
        assert_int_equal(y, lode_i_is_complex(t) ? t : wide ? LODE_F64 : LODE_F32);
        assert_int_equal(lode_i_is_complex(t), lode_dtype_class(t) == 'c');
        assert_true(lode_i_epsilon(t) == (y == LODE_F32 || y == LODE_C64 ? 0x1p-23 : 0x1p-52));
    }
    assert_int_equal(lode_i_real_of(LODE_C64), LODE_F32);
    assert_int_equal(lode_i_real_of(LODE_C128), LODE_F64);
    assert_int_equal(lode_i_real_of(LODE_I8), LODE_I8);
}

static void bytes_saturate(void **state)
{
    (void)state;
    assert_int_equal(lode_i_bytes(LODE_F64, 3, 5), 120);
    assert_int_equal(lode_i_bytes(LODE_Q8, 2, 33), 2 * 2 * 34);
    assert_int_equal(lode_i_bytes(LODE_F64, 0, 5), 0);
    assert_int_equal(lode_i_bytes(LODE_F64, 3, 0), 0);
    assert_int_equal(lode_i_bytes(LODE_F64, -1, -5), 0);
    assert_true(lode_i_bytes(LODE_F64, INT64_MAX, INT64_MAX) == UINT64_MAX / 4);
    assert_true(lode_i_bytes(LODE_I8, INT64_MAX, 1) == UINT64_MAX / 4);
    assert_true(lode_i_bytes(LODE_I8, INT64_C(1) << 31, INT64_C(1) << 30) == UINT64_C(1) << 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back),
        cmocka_unit_test(foreign_names_are_known),
        cmocka_unit_test(sizes_are_those_of_c),
        cmocka_unit_test(arithmetic_types_follow_their_rule),
        cmocka_unit_test(bytes_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
