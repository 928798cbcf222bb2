/* .lode, .npz and directories: a whole result and all it carries comes back; damage to a .lode is
 * caught. */
#include "files.h"

static void everything_comes_back(void **state)
{
    files *f = *state;
    static const char *const names[] = { "x.lode", "x.npz", "x/" };
    for (int k = 0; k < 3; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        if (!files_known(f, names[k]))
            continue;
        files_everything(f, &b);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, names[k]), &b, NULL));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, names[k]), NULL, &c));
        files_same_bundle(&b, &c);
        /* Writing what was read gives the same bytes. */
        if (k < 2) {
            size_t n = 0, m = 0;
            unsigned char *first = files_get(f, names[k], &n);
            assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, names[k]), &c, NULL),
                          LODE_EEXIST);
            f->ctx.threads = 1;
            assert_ok(&f->ctx,
                      lode_write(&f->ctx, files_path(f, k ? "y.npz" : "y.lode"), &c, NULL));
            unsigned char *second = files_get(f, k ? "y.npz" : "y.lode", &m);
            assert_int_equal(n, m);
            assert_memory_equal(first, second, n);
            free(first), free(second);
        }
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void a_directory_without_its_list_is_incomplete(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    files_everything(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x/"), &b, NULL));
    assert_ok(&f->ctx,
              lode_read(&f->ctx, files_path(f, "x"), NULL, &c)); /* also without the slash */
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x/"), &b, NULL), LODE_EEXIST);
    assert_int_equal(remove(files_path(f, "x/core.npy")), 0);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x/"), NULL, &c), LODE_ENOENT);
    assert_int_equal(remove(files_path(f, "x/lode.json")), 0);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x/"), NULL, &c), LODE_ENOENT);
    assert_says(&f->ctx, "lode.json");
    files_same_bundle(&b, &c); /* failures left it as it was */
    lode_bundle_free(&b), lode_bundle_free(&c);
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "../x", 1));
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "z/"), &b, NULL), LODE_EUSAGE);
    lode_bundle_free(&b);
}

static void small(files *f, lode_bundle *b)
{
    const int64_t shape[] = { 3 };
    files_add(f, b, "u", LODE_F32, 1, shape);
    files_add(f, b, "v", LODE_U8, 1, shape);
    snprintf(b->meta.op, sizeof b->meta.op, "svd");
}

static void a_cut_lode_fails(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    size_t n = 0;
    files_everything(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    unsigned char *file = files_get(f, "x.lode", &n);
    files_cut_fails(f, "x.lode", SIZE_MAX);
    file[n] = 0; /* and one byte more is no .lode either */
    files_put(f, "y.lode", file, n + 1);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "y.lode"), NULL, &c), LODE_EFORMAT);
    free(file);
    lode_bundle_free(&b);
}

/* Every bit of a small file in turn: the read fails, or gives the same values (padding). */
static void no_flipped_bit_passes(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    size_t n = 0, harmless = 0;
    small(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    unsigned char *file = files_get(f, "x.lode", &n);
#ifdef LODE_SANITIZED
    const size_t step = 7;
#else
    const size_t step = 1;
#endif
    for (size_t bit = 0; bit < 8 * n; bit += step) {
        lode_bundle c = { 0 };
        files_poke(f, "x.lode", bit / 8, (unsigned char)(file[bit / 8] ^ 1U << bit % 8));
        const lode_status st = lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &c);
        files_poke(f, "x.lode", bit / 8, file[bit / 8]);
        if (st == LODE_OK) {
            files_same_bundle(&b, &c);
            harmless++;
        } else {
            assert_true(st == LODE_EFORMAT || st == LODE_EUNSUPPORTED);
        }
        lode_bundle_free(&c);
    }
    /* Only the padding between the two members may change unnoticed: 64 - 12 bytes. */
    assert_true(harmless <= 8 * 52);
    free(file);
    lode_bundle_free(&b);
}

/* A .lode with one tensor "u" of six U8 and this description, its header's checksum right. */
static void compose(files *f, const char *description)
{
    static const char opening[] =
        "{\"__metadata__\":{\"lode_checksum\":\"0000000000000000\",\"lode\":\"";
    char file[4096], digits[17];
    size_t n = sizeof opening - 1;
    memcpy(file + 8, opening, n);
    for (const char *c = description; *c; c++) {
        if (*c == '"')
            file[8 + n++] = '\\';
        file[8 + n++] = *c;
    }
    n += (size_t)snprintf(file + 8 + n, 200,
                          "\"},\"u\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[0,6]}}");
    for (int i = 0; i < 8; i++)
        file[i] = (char)(n >> (8 * i) & 255);
    snprintf(digits, sizeof digits, "%016" PRIx64, lode_i_checksum(file + 8, n, n));
    memcpy(file + 8 + 34, digits, 16);
    memcpy(file + 8 + n, "abcdef", 6);
    files_put(f, "x.lode", file, 8 + n + 6);
}

static void lying_descriptions_are_refused(void **state)
{
    files *f = *state;
#define MEMBERS(list) "{\"lode\":1,\"members\":[" list "]"
#define ONE(kind, form) MEMBERS("{\"name\":\"u\",\"kind\":\"" kind "\"," form "}") "}"
#define CERTIFICATE(kind, value)                                                                   \
    MEMBERS("{\"name\":\"u\",\"kind\":\"text\",\"dtype\":\"u8\",\"shape\":[6]}")                   \
    ",\"certificate\":{\"kind\":\"" kind "\",\"norm\":\""                                          \
    "fro"                                                                                          \
    "\",\"relative\":true,\"value\":" value "}}"
    static const struct {
        const char *description;
        lode_status status;
        const char *says;
    } cases[] = {
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[6]"), LODE_OK, NULL },
        { ONE("text", "\"dtype\":\"u8\",\"shape\":[6]"), LODE_OK, NULL },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[5]"), LODE_EFORMAT, "another type or shape" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[6,1]"), LODE_EFORMAT, "another type or shape" },
        { ONE("array", "\"dtype\":\"i8\",\"shape\":[6]"), LODE_EFORMAT, "another type or shape" },
        { ONE("array", "\"dtype\":\"q4\",\"shape\":[6]"), LODE_EFORMAT, "blocks of 32" },
        { ONE("array", "\"dtype\":\"q4\",\"shape\":[]"), LODE_EFORMAT, "blocks of 32" },
        { ONE("array", "\"dtype\":\"q4\",\"shape\":[32]"), LODE_EFORMAT, "another type or shape" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[-6]"), LODE_EFORMAT, "axis 0" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[9223372036854775807,3]"), LODE_EFORMAT,
          "larger" },
        { ONE("array", "\"dtype\":\"u7\",\"shape\":[6]"), LODE_EFORMAT, "type" },
        { ONE("array", "\"dtype\":\"u8\""), LODE_EFORMAT, "shape" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[6],\"sums\":\"\""), LODE_EFORMAT,
          "checksums for 0" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[6],\"sums\":\"000000000000000g\""),
          LODE_EFORMAT, "hex" },
        { ONE("array", "\"dtype\":\"u8\",\"shape\":[6],\"sums\":\"0000000000000000\""),
          LODE_EFORMAT, "chunk 0 is damaged" },
        { ONE("scalar", "\"dtype\":\"u8\",\"shape\":[6]"), LODE_EFORMAT, "1 axes" },
        { ONE("source", "\"dtype\":\"u8\",\"shape\":[6]"), LODE_EFORMAT, "kind source" },
        { ONE("sparse", "\"layout\":\"csr\",\"shape\":[1,1],\"parts\":[]"), LODE_EFORMAT,
          "0 parts" },
        { ONE("sparse", "\"layout\":\"csx\",\"shape\":[1,1],\"parts\":[]"), LODE_EFORMAT,
          "layout" },
        { MEMBERS(
              "{\"name\":\"A\",\"kind\":\"sparse\",\"layout\":\"coo\",\"shape\":[6],\"parts\":["
              "{\"name\":\"u\",\"dtype\":\"u8\",\"shape\":[6]},{\"name\":\"u\",\"dtype\":\"u8\","
              "\"shape\":[6]}]}") "}",
          LODE_EFORMAT, "described twice" },
        { MEMBERS("{\"name\":\"v\",\"kind\":\"array\",\"dtype\":\"u8\",\"shape\":[6]}") "}",
          LODE_EFORMAT, "v, which is not in it" },
        { MEMBERS("") "}", LODE_EFORMAT, "u is not described" },
        { "{\"members\":[]}", LODE_EFORMAT, "no version" },
        { "{\"lode\":2,\"members\":[]}", LODE_EUNSUPPORTED, "version 2" },
        { "{\"lode\":1}", LODE_EFORMAT, "no members" },
        { MEMBERS("7") "}", LODE_EFORMAT, "no name" },
        { "nonsense", LODE_EFORMAT, "" },
        { CERTIFICATE("measured", "1"), LODE_EFORMAT, "certificate is incomplete" },
        { CERTIFICATE("promised", "1"), LODE_EFORMAT, "certificate is incomplete" },
        { MEMBERS("{\"name\":\"u\",\"kind\":\"text\",\"dtype\":\"u8\",\"shape\":[6]}") ",\"seed\":"
                                                                                       "\"-1\"}",
          LODE_EFORMAT, "seed" },
        { MEMBERS(
              "{\"name\":\"u\",\"kind\":\"text\",\"dtype\":\"u8\",\"shape\":[6]}") ",\"op\":\"a "
                                                                                   "name that is "
                                                                                   "much longer "
                                                                                   "than any "
                                                                                   "operation's\"}",
          LODE_EFORMAT, "longer than 31" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        compose(f, cases[i].description);
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &b),
                      cases[i].status);
        if (cases[i].says)
            assert_says(&f->ctx, cases[i].says);
        lode_bundle_free(&b);
    }
}

static void damage_is_named(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3 << 18 }; /* 3 MiB: chunks 0, 1, 2 */
    lode_bundle b = { 0 }, c = { 0 };
    lode_file *file = NULL;
    lode_source s = { 0 };
    size_t n = 0;
    files_add(f, &b, "core", LODE_F32, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    unsigned char *bytes = files_get(f, "x.lode", &n);
    bytes[n - 5] ^= 16;
    files_put(f, "y.lode", bytes, n);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "y.lode"), NULL, &c), LODE_EFORMAT);
    assert_says(&f->ctx, "member core, chunk 2 is damaged");
    /* A part that lies in whole chunks can still be read, one that touches the damage cannot. */
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "y.lode"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    lode_file_close(&file);
    float part[8];
    int64_t start = (1 << 18) - 4, count = 8;
    for (int k = 0; k < 2; k++) {
        assert_ok(&f->ctx, s.read(&f->ctx, &s, &start, &count, part));
        assert_memory_equal(part, (const float *)lode_bundle_value(&b, 0).as.array->data + start,
                            sizeof part);
    }
    start = (2 << 18) - 4;
    assert_status(&f->ctx, s.read(&f->ctx, &s, &start, &count, part), LODE_EFORMAT);
    lode_source_close(&s);
    free(bytes);
    lode_bundle_free(&b);
}

static void members_are_aligned_and_padding_is_hidden(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    lode_file *file = NULL;
    files_everything(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.lode"), NULL, &file));
    assert_string_equal(lode_file_format(file), "lode");
    assert_int_equal(lode_file_count(file), b.count);
    for (int64_t i = 0; i < file->count; i++)
        if (file->members[i].bytes && strncmp(file->members[i].name, "__pad.", 6) != 0)
            assert_int_equal(
                file->members[i].kind == LODE_SPARSE ? 0 : file->members[i].offset % 64, 0);
    lode_kind kind = LODE_NONE;
    lode_dtype dtype = LODE_BOOL;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    assert_ok(&f->ctx, lode_file_info(&f->ctx, file, 6, &kind, &dtype, &ndim, shape));
    assert_true(kind == LODE_ARRAY && dtype == LODE_Q4 && ndim == 2 && shape[0] == 2 &&
                shape[1] == 64);
    assert_status(&f->ctx, lode_file_info(&f->ctx, file, b.count, &kind, &dtype, &ndim, shape),
                  LODE_ENOENT);
    assert_null(lode_file_name(file, -1));
    lode_file_close(&file);
    lode_bundle_free(&b);
}

static void names_that_would_mislead_are_refused(void **state)
{
    files *f = *state;
    static const char *const bad[] = { "__metadata__", "__pad.0", "A.indptr" };
    for (int k = 0; k < 3; k++) {
        lode_bundle b = { 0 };
        files_add_sparse(f, &b, "A", LODE_CSR);
        assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, bad[k], 1));
        assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL), LODE_EUSAGE);
        lode_bundle_free(&b);
    }
    assert_int_equal(folder_count(f->folder), 0);
}

static void plain_safetensors_is_no_lode(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    small(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.safetensors"), &b, NULL));
    const lode_read_opts o = { .format = "lode" };
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.safetensors"), &o, &c),
                  LODE_EFORMAT);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    char other[600];
    snprintf(other, sizeof other, "%s/y.safetensors", f->folder);
    assert_int_equal(rename(files_path(f, "x.lode"), other), 0);
    assert_ok(&f->ctx,
              lode_read(&f->ctx, other, NULL, &c)); /* its meaning is kept under the other name */
    files_same_bundle(&b, &c);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_comes_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(a_directory_without_its_list_is_incomplete, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(a_cut_lode_fails, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(no_flipped_bit_passes, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(lying_descriptions_are_refused, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(damage_is_named, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(members_are_aligned_and_padding_is_hidden, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(names_that_would_mislead_are_refused, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(plain_safetensors_is_no_lode, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
