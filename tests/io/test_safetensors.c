/* safetensors: headers by hand, types that are read and not, headers that lie. */
#include "files.h"

static void compose(files *f, const char *header, uint64_t length, const void *data, size_t bytes)
{
    unsigned char file[4096];
    const size_t n = strlen(header);
    length = length ? length : n;
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(length >> (8 * i) & 255);
    memcpy(file + 8, header, n);
    memcpy(file + 8 + n, data, bytes);
    files_put(f, "x.safetensors", file, 8 + n + bytes);
}

static void tensors_by_hand_are_read(void **state)
{
    files *f = *state;
    static const float data[] = { 1, 2, 3, 4, 5, 6 };
    float stored[] = { 1, 2, 3, 4, 5, 6 };
    lode_bundle b = { 0 };
    files_little(LODE_F32, stored, sizeof stored);
    compose(f,
            "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_"
            "offsets\":[16,24]},"
            "\"none\":{\"dtype\":\"F64\",\"shape\":[0,3],\"data_offsets\":[16,16]},"
            "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}   ",
            0, stored, 24);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.safetensors"), NULL, &b));
    assert_int_equal(b.count, 3);
    assert_string_equal(lode_bundle_name(&b, 0), "b");
    assert_memory_equal(lode_bundle_get(&b, "b").as.array->data, data + 4, 8);
    assert_memory_equal(lode_bundle_get(&b, "a").as.array->data, data, 16);
    assert_int_equal(lode_bundle_get(&b, "none").as.array->shape[1], 3);
    assert_string_equal(b.meta.attributes, "{\"format\":\"pt\"}");
    lode_bundle_free(&b);
}

static void unknown_types_are_named_when_asked_for(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    compose(f,
            "{\"w\":{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"a\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[4,8]}}",
            0, "abcdefgh", 8);
    lode_file *file = NULL;
    lode_kind kind = LODE_ARRAY;
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.safetensors"), NULL, &file));
    assert_int_equal(lode_file_count(file), 2);
    assert_ok(&f->ctx, lode_file_info(&f->ctx, file, 0, &kind, NULL, NULL, NULL));
    assert_int_equal(kind, LODE_NONE);
    lode_file_close(&file);
    char spec[600];
    snprintf(spec, sizeof spec, "%s/x.safetensors:a", f->folder);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "a",
                                       &b)); /* the rest of the file is of use */
    spec[strlen(spec) - 1] = 'w';
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "w", &b), LODE_EUNSUPPORTED);
    assert_says(&f->ctx, "F6_E3M2");
    assert_int_equal(b.count, 1);
    lode_bundle_free(&b);
}

static void lying_headers_are_refused(void **state)
{
    files *f = *state;
#define T(shape, from, to)                                                                         \
    "{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"
    static const struct {
        const char *header;
        uint64_t length;
        const char *says;
    } cases[] = {
        { "{\"a\":" T("2", "0", "8") "}", UINT64_MAX, "18446744073709551615" },
        { "{\"a\":" T("2", "0", "8") "}", 100000001, "more than" },
        { "{\"a\":" T("2", "0", "8") "}", 4096, "more than" },
        { "{\"a\":" T("2", "0", "8") "}", 20, "" },
        { "[]", 0, "object" },
        { "", 0, "" },
        { "{\"a\":" T("2", "8", "0") "}", 0, "8 to 0" },
        { "{\"a\":" T("2", "-8", "0") "}", 0, "-8" },
        { "{\"a\":" T("2", "8", "16") "}", 0, "8 to 16" },
        { "{\"a\":" T("2", "0", "9223372036854775807") "}", 0, "9223372036854775807" },
        { "{\"a\":" T("2", "0", "99999999999999999999") "}", 0, "" },
        { "{\"a\":" T("3", "0", "8") "}", 0, "12 bytes" },
        { "{\"a\":" T("-2", "0", "8") "}", 0, "axis 0" },
        { "{\"a\":" T("4294967296,4294967296,4", "0", "8") "}", 0, "larger than any file" },
        { "{\"a\":" T("2.0", "0", "8") "}", 0, "axis 0" },
        { "{\"a\":" T("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2", "0",
                      "8") "}",
          0, "33 axes" },
        { "{\"a\":" T("1", "0", "4") "}", 0, "belong to no tensor" },
        { "{\"a\":" T("1", "4", "8") "}", 0, "hole" },
        { "{\"a\":" T("1", "0", "4") ",\"b\":" T("2", "0", "8") "}", 0, "overlaps" },
        { "{\"a\":" T("1", "0", "4") ",\"a\":" T("1", "4", "8") "}", 0, "duplicate object key" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0, "lacks" },
        { "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 0, "lacks" },
        { "{\"a\":7}", 0, "lacks" },
        { "{}", 0, "belong to no tensor" },
        { "{\"__metadata__\":{\"lode\":\"{}\"},\"a\":" T("2", "0", "8") "}", 0, "checksum" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        compose(f, cases[i].header, cases[i].length, "12345678", 8);
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.safetensors"), NULL, &b),
                      LODE_EFORMAT);
        assert_says(&f->ctx, cases[i].says);
    }
}

/* 30000 names in one header: in time that grows as they do. */
static void many_tensors(void **state)
{
    files *f = *state;
    const int count = 30000;
    char *file = malloc(8 + (size_t)count * 80), *p = file + 8;
    lode_file *open = NULL;
    assert_non_null(file);
    *p++ = '{';
    for (int i = 0; i < count; i++)
        p += sprintf(p, "%s\"layer.%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                     i ? "," : "", i, i, i + 1);
    *p++ = '}';
    const size_t n = (size_t)(p - file) - 8;
    for (int i = 0; i < 8; i++)
        file[i] = (char)((uint64_t)n >> (8 * i) & 255);
    memset(p, 7, (size_t)count);
    files_put(f, "x.safetensors", file, 8 + n + (size_t)count);
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.safetensors"), NULL, &open));
    assert_int_equal(lode_file_count(open), count);
    assert_string_equal(lode_file_name(open, 12345), "layer.12345");
    lode_file_close(&open);
    free(file);
}

static void what_has_no_type_is_not_written(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 32 };
    static const lode_dtype types[] = { LODE_C128, LODE_Q8, LODE_Q4 };
    for (int k = 0; k < 4; k++) {
        lode_bundle b = { 0 };
        if (k < 3)
            files_add(f, &b, "x", types[k], 1, shape);
        else
            files_add_sparse(f, &b, "x", LODE_CSR);
        assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.safetensors"), &b, NULL),
                      LODE_ETYPE);
        lode_bundle_free(&b);
    }
    assert_int_equal(folder_count(f->folder), 0);
}

static void all_its_types_come_back(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3 };
    lode_bundle b = { 0 }, c = { 0 };
    for (lode_dtype t = LODE_BOOL; t <= LODE_C64; t++)
        files_add(f, &b, lode_dtype_name(t), t, 2, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.safetensors"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.safetensors"), NULL, &c));
    files_same_bundle(&b, &c);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

/* 8 bits as half precision: corners of each kind, from the papers that define them. */
static void floats_of_8_bits_are_exact(void **state)
{
    files *f = *state;
    static const struct {
        const char *type;
        unsigned char bytes[6];
        double want[6]; /* 7: NaN */
    } cases[] = {
        { "F8_E4M3", { 0x38, 0x7e, 0x01, 0xc1, 0x7f, 0xff }, { 1, 448, 0x1p-9, -2.25, 7, 7 } },
        { "F8_E5M2",
          { 0x3c, 0x7b, 0x01, 0xfc, 0x7c, 0x7e },
          { 1, 57344, 0x1p-16, -INFINITY, INFINITY, 7 } },
        { "F8_E4M3FNUZ", { 0x40, 0x7f, 0x01, 0xff, 0x00, 0x80 }, { 1, 240, 0x1p-10, -240, 0, 7 } },
        { "F8_E5M2FNUZ",
          { 0x40, 0x7f, 0x01, 0xff, 0x00, 0x80 },
          { 1, 57344, 0x1p-17, -57344, 0, 7 } },
        { "F8_E8M0", { 127, 254, 0, 128, 1, 255 }, { 1, 0x1p127, 0x1p-127, 2, 0x1p-126, 7 } },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        lode_bundle b = { 0 };
        char head[200];
        snprintf(head, sizeof head,
                 "{\"w\":{\"dtype\":\"%s\",\"shape\":[2,3],\"data_offsets\":[0,6]}}",
                 cases[k].type);
        compose(f, head, 0, (const char *)cases[k].bytes, 6);
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.safetensors"), NULL, &b));
        const lode_array *a = lode_bundle_value(&b, 0).as.array;
        assert_int_equal(a->dtype, k == 4 ? LODE_F32 : LODE_F16);
        for (int64_t i = 0; i < 6; i++) {
            const int64_t at[] = { i / 3, i % 3 };
            const double got = lode_array_get(a, at);
            assert_true(cases[k].want[i] == 7 ? isnan(got) : got == cases[k].want[i]);
        }
        lode_bundle_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensors_by_hand_are_read, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(unknown_types_are_named_when_asked_for, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(floats_of_8_bits_are_exact, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(lying_headers_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(many_tensors, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(what_has_no_type_is_not_written, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(all_its_types_come_back, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
