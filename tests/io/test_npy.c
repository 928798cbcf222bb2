/* .npy: headers of every version and type, order and byte order, damage and lies. */
#include "files.h"

static const lode_dtype types[] = { LODE_BOOL, LODE_I8,  LODE_I16, LODE_I32, LODE_I64,
                                    LODE_U8,   LODE_U16, LODE_U32, LODE_U64, LODE_F16,
                                    LODE_F32,  LODE_F64, LODE_C64, LODE_C128 };

static lode_status read_one(files *f, const char *name, lode_bundle *b)
{
    lode_bundle_free(b);
    return lode_read(&f->ctx, files_path(f, name), NULL, b);
}

static void every_type_and_shape_comes_back(void **state)
{
    files *f = *state;
    static const int64_t shapes[][4] = { { 1 }, { 0, 3 }, { 7 }, { 2, 0, 5 }, { 3, 1, 4, 2 } };
    static const int ndims[] = { 0, 2, 1, 3, 4 };
    const lode_write_opts o = { .force = true };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const size_t k = t % 5;
        lode_bundle b = { 0 }, c = { 0 };
        files_add(f, &b, "x", types[t], ndims[k], shapes[k]);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o));
        assert_ok(&f->ctx, read_one(f, "x.npy", &c));
        files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0));
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

/* A header by hand around given values. */
static size_t compose(unsigned char *file, int version, const char *dict, const void *values,
                      size_t bytes)
{
    const size_t n = strlen(dict), fixed = version > 1 ? 12 : 10;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version, file[7] = 0;
    for (size_t i = 8; i < fixed; i++)
        file[i] = (unsigned char)(n >> (8 * (i - 8)) & 255);
    memcpy(file + fixed, dict, n);
    if (bytes)
        memcpy(file + fixed + n, values, bytes);
    return fixed + n + bytes;
}

static void orders_and_byte_orders_are_undone(void **state)
{
    files *f = *state;
    unsigned char file[512];
    static const unsigned char big[] = { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6 };
    static const int16_t plain[] = { 1, 2, 3, 4, 5, 6 };
    static const int16_t want_c[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } },
                         want_f[2][3] = { { 1, 3, 5 }, { 2, 4, 6 } };
    for (int version = 1; version <= 3; version++)
        for (int order = 0; order < 2; order++)
            for (int swapped = 0; swapped < 2; swapped++) {
                lode_bundle b = { 0 };
                char dict[128];
                snprintf(dict, sizeof dict,
                         "{\"shape\": (2, 3L,), 'fortran_order' : %s , 'descr': '%ci2'}  \n",
                         order ? "True" : "False", swapped ? '>' : '<');
                const size_t n = compose(file, version, dict, swapped ? (const void *)big : plain,
                                         12);
                if (!swapped)
                    files_little(LODE_I16, file + n - 12, 12);
                files_put(f, "x.npy", file, n);
                assert_ok(&f->ctx, read_one(f, "x.npy", &b));
                const lode_array *a = lode_bundle_value(&b, 0).as.array;
                assert_int_equal(a->dtype, LODE_I16);
                assert_memory_equal(a->data, order ? (const void *)want_f : want_c, 12);
                lode_bundle_free(&b);
            }
    /* Each part of a complex number is swapped by itself; any byte but 0 is true. */
    static const unsigned char z[] = { 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0 },
                               truth[] = { 0, 1, 2, 255 };
    static const float one_minus_two[] = { 1, -2 };
    lode_bundle b = { 0 };
    files_put(f, "x.npy", file,
              compose(file, 1, "{'descr': '>c8', 'fortran_order': False, 'shape': ()}", z, 8));
    assert_ok(&f->ctx, read_one(f, "x.npy", &b));
    assert_memory_equal(lode_bundle_value(&b, 0).as.array->data, one_minus_two, 8);
    files_put(f, "x.npy", file,
              compose(file, 1, "{'descr': '|b1', 'fortran_order': True, 'shape': (4,)}", truth, 4));
    assert_ok(&f->ctx, read_one(f, "x.npy", &b));
    assert_memory_equal(lode_bundle_value(&b, 0).as.array->data, "\0\1\1\1", 4);
    lode_bundle_free(&b);
}

static void cut_files_fail_and_say_so(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 2 };
    lode_bundle b = { 0 }, c = { 0 };
    size_t size = 0;
    files_add(f, &b, "x", LODE_F64, 2, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, NULL));
    unsigned char *file = files_get(f, "x.npy", &size);
    files_cut_fails(f, "x.npy", SIZE_MAX);
    files_put(f, "y.npy", file, size);
    assert_ok(&f->ctx, read_one(f, "y.npy", &c));
    free(file);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void lying_headers_are_refused(void **state)
{
    files *f = *state;
    static const struct {
        const char *dict;
        lode_status status;
        const char *says;
    } cases[] = {
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, "
          "9223372036854775807)}",
          LODE_EFORMAT, "larger than any file" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
          LODE_EFORMAT, "axis 0" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", LODE_EFORMAT, "axis 0" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}", LODE_EFORMAT,
          "larger" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", LODE_EFORMAT, "16 bytes" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", LODE_OK, NULL },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", LODE_EFORMAT, "4 bytes" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': "
          "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
          "1,1,1,1)}",
          LODE_EFORMAT, "32 axes" },
        { "{'descr': '<f8', 'fortran_order': False}", LODE_EFORMAT, "lacks shape" },
        { "{'descr': '<f8', 'shape': (1,)}", LODE_EFORMAT, "lacks fortran_order" },
        { "{'fortran_order': False, 'shape': (1,)}", LODE_EFORMAT, "lacks descr" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}", LODE_EFORMAT,
          "twice" },
        { "{'descr': '<f8', 'fortran_order': 1, 'shape': (1,)}", LODE_EFORMAT,
          "neither True nor False" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': 1}", LODE_EFORMAT, "tuple" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1", LODE_EFORMAT, "does not end" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1", LODE_EFORMAT, "does not end" },
        { "{'descr': '<f8', 'other': 3, 'shape': (1,)}", LODE_EFORMAT, "other" },
        { "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", LODE_EUNSUPPORTED,
          "Python objects" },
        { "{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", LODE_EUNSUPPORTED, "f16" },
        { "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}", LODE_EFORMAT, "M8[s]" },
        { "{'descr': [('a', '<f4'), ('b', '<i4', (2, 3))], 'fortran_order': False, 'shape': (1,)}",
          LODE_EUNSUPPORTED, "records" },
        { "{'descr': '\\x41', 'fortran_order': False, 'shape': (1,)}", LODE_EFORMAT, "type" },
        { "{'descr': '', 'fortran_order': False, 'shape': (1,)}", LODE_EFORMAT, "no" },
        { "[]", LODE_EFORMAT, "dictionary" },
        { "{", LODE_EFORMAT, "breaks off" },
        { "", LODE_EFORMAT, "dictionary" },
    };
    unsigned char file[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        files_put(f, "x.npy", file, compose(file, 1, cases[i].dict, "12345678", 8));
        assert_status(&f->ctx, read_one(f, "x.npy", &b), cases[i].status);
        if (cases[i].says)
            assert_says(&f->ctx, cases[i].says);
        lode_bundle_free(&b);
    }
    lode_bundle b = { 0 };
    const size_t n = compose(file, 4, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}",
                             "12345678", 8);
    files_put(f, "x.npy", file, n);
    assert_status(&f->ctx, read_one(f, "x.npy", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "version 4");
    file[6] = 2, file[8] = file[9] = file[10] = file[11] = 255;
    files_put(f, "x.npy", file, n);
    assert_status(&f->ctx, read_one(f, "x.npy", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "4294967295");
}

static void bf16_is_written_as_f32_and_packed_values_are_not(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 32 };
    lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
    lode_array wide = { 0 };
    files_add(f, &b, "x", LODE_BF16, 2, shape);
    uint16_t *p = lode_bundle_value(&b, 0).as.array->data;
    for (int i = 0; i < 64; i++)
        p[i] = (uint16_t)(0x3f80 + i); /* 1 and more: no NaN, whose bits a cast may change */
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, NULL));
    assert_ok(&f->ctx, read_one(f, "x.npy", &c));
    assert_ok(&f->ctx,
              lode_array_cast(&f->ctx, lode_bundle_value(&b, 0).as.array, LODE_F32, &wide));
    files_same_array(&wide, lode_bundle_value(&c, 0).as.array);
    files_add(f, &d, "q", LODE_Q8, 2, shape);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "y.npy"), &d, NULL), LODE_ETYPE);
    assert_says(&f->ctx, "q8");
    assert_int_equal(folder_count(f->folder), 1);
    lode_array_free(&wide);
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&d);
}

static void scalars_and_named_members_are_taken(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2 };
    lode_bundle b = { 0 }, c = { 0 };
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "log", "text comes first"));
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "rank", 12));
    files_add(f, &b, "x", LODE_F32, 1, shape);
    lode_write_opts o = { .force = true };
    assert_ok(&f->ctx,
              lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o)); /* the first that fits */
    assert_ok(&f->ctx, read_one(f, "x.npy", &c));
    assert_int_equal(*(int64_t *)lode_bundle_value(&c, 0).as.array->data, 12);
    o.only = "x";
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o));
    assert_ok(&f->ctx, read_one(f, "x.npy", &c));
    assert_int_equal(lode_bundle_value(&c, 0).as.array->shape[0], 2);
    o.only = "y";
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o), LODE_ENOENT);
    o.only = "log";
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o), LODE_ETYPE);
    o.only = NULL, o.force = false;
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, &o), LODE_EEXIST);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type_and_shape_comes_back, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(orders_and_byte_orders_are_undone, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(cut_files_fail_and_say_so, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(lying_headers_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(bf16_is_written_as_f32_and_packed_values_are_not,
                                        files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(scalars_and_named_members_are_taken, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
