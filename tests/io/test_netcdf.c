/* NetCDF: what is written comes back, by parts too, with names, units and missing values. */
#include "files.h"

/* Whether this build and machine have libnetcdf; if not, the one sentence that says so is checked.
 */
static bool present(files *f)
{
    lode_bundle b = { 0 };
    const int64_t one[] = { 1 };
    files_add(f, &b, "x", LODE_F32, 1, one);
    const lode_status st = lode_write(&f->ctx, files_path(f, "probe.nc"), &b,
                                      &(lode_write_opts){ .force = true });
    lode_bundle_free(&b);
    if (st == LODE_EUNSUPPORTED)
        assert_says(&f->ctx, "libnetcdf");
    else
        assert_int_equal(st, LODE_OK);
    return st == LODE_OK;
}

static lode_array ramp(files *f, lode_dtype dtype, int ndim, const int64_t *shape)
{
    lode_array a = { 0 }, t = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        ((double *)a.data)[i] = (double)(i % 100);
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &t));
    lode_array_free(&a);
    return t;
}

static void add_ramp(files *f, lode_bundle *b, const char *name, lode_dtype dtype, int ndim,
                     const int64_t *shape)
{
    lode_array a = ramp(f, dtype, ndim, shape);
    assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, b, name, &a));
}

static void types_and_shapes_come_back(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 1, 4 };
    static const lode_dtype types[] = { LODE_I8,  LODE_I16, LODE_I32, LODE_I64, LODE_U8,
                                        LODE_U16, LODE_U32, LODE_U64, LODE_F32, LODE_F64 };
    if (!present(f))
        return;
    for (int k = 0; k < 2; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        for (int t = 0; t < 10; t++)
            add_ramp(f, &b, lode_dtype_name(types[t]), types[t], t % 4, shape);
        assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "n", -5));
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, k ? "x.cdf" : "x.nc"), &b, NULL));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, k ? "x.cdf" : "x.nc"), NULL, &c));
        assert_int_equal(c.count, 11);
        for (int t = 0; t < 10; t++)
            files_same_value(lode_bundle_value(&b, t), lode_bundle_value(&c, t));
        assert_int_equal(*(int64_t *)lode_bundle_value(&c, 10).as.array->data, -5);
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
    /* Types that NetCDF lacks: what they are written as, or why not. */
    static const lode_dtype others[] = { LODE_BOOL, LODE_F16, LODE_BF16, LODE_C64, LODE_Q8 };
    static const lode_dtype as[] = { LODE_U8, LODE_F32, LODE_F32 };
    const int64_t blocks[] = { 32 };
    for (int t = 0; t < 5; t++) {
        lode_bundle b = { 0 }, c = { 0 };
        add_ramp(f, &b, "x", others[t], 1, blocks);
        const lode_status st = lode_write(&f->ctx, files_path(f, "y.nc"), &b,
                                          &(lode_write_opts){ .force = true });
        assert_int_equal(st, t < 3 ? LODE_OK : LODE_ETYPE);
        if (t < 3) {
            assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "y.nc"), NULL, &c));
            assert_int_equal(lode_bundle_value(&c, 0).as.array->dtype, as[t]);
        }
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void names_units_and_missing_values_are_kept(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3 }, two[] = { 2 };
    lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
    char spec[600];
    if (!present(f))
        return;
    add_ramp(f, &b, "t", LODE_F32, 2, shape);
    ((float *)lode_bundle_value(&b, 0).as.array->data)[4] = NAN;
    add_ramp(f, &b, "lat", LODE_F64, 1, two);
    b.meta.attributes = files_text(
        f, "{\"variables\":{\"t\":{\"dims\":[\"lat\",\"lon\"],\"attributes\":{\"units\":\"K\","
           "\"_FillValue\":-9.0,\"levels\":[1.0,2.5]}},\"lat\":{\"dims\":[\"lat\"],\"attributes\":"
           "{\"units\":\"degrees_north\"}}},\"coordinates\":{\"lon\":{\"values\":[5.0,6.0,7.5],"
           "\"attributes\":{\"units\":\"degrees_east\"}}},\"attributes\":{\"title\":\"test\"}}");
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.nc"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.nc"), NULL, &c));
    assert_int_equal(c.count, 3);
    files_same_value(lode_bundle_get(&b, "t"), lode_bundle_get(&c, "t"));
    assert_true(((double *)lode_bundle_get(&c, "lon").as.array->data)[2] == 7.5);
    assert_non_null(strstr(
        c.meta.attributes,
        "\"t\":{\"dims\":[\"lat\",\"lon\"],\"attributes\":{\"units\":\"K\",\"_FillValue\":-9.0,"
        "\"levels\":[1.0,2.5]},\"types\":{\"_FillValue\":\"f32\"}}"));
    assert_non_null(strstr(c.meta.attributes, "\"title\":\"test\""));
    /* One variable is the file's value, its coordinates are not; a slice cuts them alike. */
    snprintf(spec, sizeof spec, "%s/x.nc[1,::-1]", f->folder);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, false, "x", &d));
    assert_string_equal(
        d.meta.attributes,
        "{\"variables\":{\"t\":{\"dims\":[\"lon\"],\"attributes\":{\"units\":\"K\","
        "\"_FillValue\":-9.0,\"levels\":[1.0,2.5]},\"types\":{\"_FillValue\":\"f32\"}}},"
        "\"coordinates\":{\"lon\":{\"values\":[7.5,6.0,5.0],\"attributes\":"
        "{\"units\":\"degrees_east\"}}},\"attributes\":{\"title\":\"test\"}}");
    lode_bundle_free(&c);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "y.nc"), &d,
                                  NULL)); /* reads one file while it writes another */
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "y.nc"), NULL, &c));
    const float *x = lode_bundle_get(&c, "x").as.array->data;
    assert_true(x[0] == 5 && isnan(x[1]) && x[2] == 3);
    assert_true(((double *)lode_bundle_get(&c, "lon").as.array->data)[0] == 7.5);
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&d);
}

/* What was never written reads as missing, by the library's own fill value, also where none is
 * named. */
static void default_fill_values_are_missing(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    add_ramp(f, &b, "x", LODE_F32, 1, shape);
    add_ramp(f, &b, "y", LODE_F64, 1, shape);
    add_ramp(f, &b, "n", LODE_I32, 1, shape);
    ((float *)lode_bundle_value(&b, 0).as.array->data)[1] = 9.9692099683868690e+36F;
    ((double *)lode_bundle_value(&b, 1).as.array->data)[2] = 9.9692099683868690e+36;
    ((int32_t *)lode_bundle_value(&b, 2).as.array->data)[0] = -2147483647;
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.nc"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.nc"), NULL, &c));
    const float *x = lode_bundle_value(&c, 0).as.array->data;
    const double *y = lode_bundle_value(&c, 1).as.array->data;
    assert_true(x[0] == 0 && isnan(x[1]) && x[2] == 2);
    assert_true(y[0] == 0 && y[1] == 1 && isnan(y[2]));
    files_same_value(lode_bundle_value(&b, 2), lode_bundle_value(&c, 2)); /* whole numbers stay */
    lode_bundle_free(&b), lode_bundle_free(&c);
}

/* Classic headers by hand: words of 4 bytes, big-endian, text where it is. */
static void lying_classic_headers_are_refused(void **state)
{
    files *f = *state;
#define W(x) "\0\0\0" x
#define NONE W("\0") W("\0")
#define DIM W("\012") W("\1") W("\1") "t\0\0\0"
#define VARIABLE(rank, type, begin) W("\013") W("\1") W("\1") "v\0\0\0" rank NONE type W("\4") begin
    static const struct {
        const char *text;
        size_t size;
        lode_status status;
    } cases[] = {
#define CASE(text, status) { text, sizeof(text) - 1, status }
        CASE("CDF\1" W("\0") NONE NONE NONE, LODE_OK),
        CASE("CDF\1" W("\1") DIM W("\0") NONE VARIABLE(W("\1") W("\0"), W("\4"), W("\120")) "1234",
             LODE_OK),
        CASE("CDF\1" W("\2") DIM W("\0") NONE VARIABLE(W("\1") W("\0"), W("\4"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1\177\377\377\377" DIM W("\0")
                 NONE VARIABLE(W("\1") W("\0"), W("\4"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\1") DIM W("\0")
                 NONE VARIABLE(W("\1") W("\0"), W("\4"), "\177\377\377\377") "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\1") DIM W("\0") NONE VARIABLE(W("\1") W("\1"), W("\4"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\1") DIM W("\0") NONE VARIABLE(W("\1") W("\0"), W("\0"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\1") DIM W("\0")
                 NONE VARIABLE(W("\1") W("\0"), W("\014"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\1") DIM
             "\177\377\377\377" NONE VARIABLE(W("\1") W("\0"), W("\4"), W("\120")) "1234",
             LODE_EFORMAT),
        CASE("CDF\1" W("\0") W("\012") "\177\377\377\377" NONE NONE, LODE_EFORMAT),
        CASE("CDF\1" W("\0") W("\011") W("\0") NONE NONE, LODE_EFORMAT),
        CASE("CDF\1" W("\0") NONE W("\014") W("\1")
                 W("\1") "a\0\0\0" W("\4") "\77\377\377\377" NONE,
             LODE_EFORMAT),
        CASE("CDF\1" W("\0") NONE W("\014") W("\1") W("\1") "a\0\0\0" W("\0") W("\0") NONE,
             LODE_EFORMAT),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_infile *in = NULL;
        files_put(f, "x.cdf", cases[i].text, cases[i].size);
        assert_ok(&f->ctx, lode_i_infile_open(&f->ctx, files_path(f, "x.cdf"), &in));
        const lode_status st = lode_i_nc_check_classic(&f->ctx, in, 1);
        lode_i_infile_close(in);
        if (st != cases[i].status)
            fail_msg("case %zu: %s: %s", i, lode_status_name(st), lode_message(&f->ctx));
    }
}

/* An i2 variable of two values with scale_factor 0.5 (f4), add_offset 100 (f4 or f8) and _FillValue
 * -1. */
static void packed_values_are_unpacked(void **state)
{
    files *f = *state;
#define NAMED(length, name) W(length) name
    static const char single[] = "CDF\1" W("\0") W("\012") W("\1") W("\1") "t\0\0\0" W("\2")
        NONE W("\013") W("\1") W("\1") "v\0\0\0" W("\1") W("\0") W("\014") W("\3")
            NAMED("\014", "scale_factor") W("\5")
                W("\1") "\77\0\0\0" NAMED("\012", "add_offset\0\0") W("\5")
                    W("\1") "\102\310\0\0" NAMED("\012", "_FillValue\0\0") W("\3")
                        W("\1") "\377\377\0\0" W("\3") W("\4") W("\244") "\0\5\377\377";
    static const char both[] = "CDF\1" W("\0") W("\012") W("\1") W("\1") "t\0\0\0" W("\2")
        NONE W("\013") W("\1") W("\1") "v\0\0\0" W("\1") W("\0") W("\014") W("\2")
            NAMED("\012", "add_offset\0\0") W("\6")
                W("\1") "\100\131\0\0\0\0\0\0" NAMED("\015", "missing_value\0\0\0") W("\3")
                    W("\1") "\0\5\0\0" W("\3") W("\4") W("\220") "\0\5\377\377";
    lode_bundle b = { 0 };
    if (!present(f))
        return;
    files_put(f, "x.cdf", single, sizeof single - 1);
    assert_int_equal(sizeof single - 1, 0244 + 4);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.cdf"), NULL, &b));
    const lode_array *a = lode_bundle_value(&b, 0).as.array;
    assert_int_equal(a->dtype, LODE_F32);
    assert_true(((const float *)a->data)[0] == 102.5F && isnan(((const float *)a->data)[1]));
    files_put(f, "x.cdf", both, sizeof both - 1);
    assert_int_equal(sizeof both - 1, 0220 + 4);
    lode_bundle_free(&b);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.cdf"), NULL, &b));
    a = lode_bundle_value(&b, 0).as.array;
    assert_int_equal(a->dtype, LODE_F64);
    assert_true(isnan(((const double *)a->data)[0]) && ((const double *)a->data)[1] == 99);
    lode_bundle_free(&b);
}

static void rectangles(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 7, 8, 9 }, start[] = { 2, 3, 4 }, count[] = { 3, 1, 5 };
    lode_bundle b = { 0 };
    lode_file *file = NULL;
    lode_source s = { 0 };
    double got[15];
    if (!present(f))
        return;
    add_ramp(f, &b, "x", LODE_F64, 3, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.nc"), &b, NULL));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.nc"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    lode_file_close(&file);
    assert_true(s.rewindable && !s.concurrent);
    assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5; j++)
            assert_true(got[5 * i + j] == (double)((((i + 2) * 8 + 3) * 9 + j + 4) % 100));
    assert_status(&f->ctx, s.read(&f->ctx, &s, count, shape, got), LODE_ESHAPE);
    lode_source_close(&s);
    lode_bundle_free(&b);
}

static void files_that_are_none(void **state)
{
    files *f = *state;
    static const char *const texts[] = { "",
                                         "CDF",
                                         "CDF\001",
                                         "CDF\001\0\0\0\0\0\0\0\012\177\377\377\377",
                                         "\211HDF\r\n\032\n",
                                         "hello there, this is no NetCDF" };
    static const size_t sizes[] = { 0, 3, 4, 16, 8, 30 };
    lode_bundle b = { 0 };
    if (!present(f))
        return;
    for (int i = 0; i < 6; i++) {
        files_put(f, "x.nc", texts[i], sizes[i]);
        const lode_status st = lode_read(&f->ctx, files_path(f, "x.nc"), NULL, &b);
        assert_true(st == LODE_EFORMAT || st == LODE_EIO);
        assert_says(&f->ctx, "x.nc");
    }
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "none.nc"), NULL, &b), LODE_ENOENT);
}

/* libnetcdf itself reads zeros where a classic file was cut off. */
static void cut_classic_files_fail(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 4 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    add_ramp(f, &b, "x", LODE_F64, 2, shape);
    add_ramp(f, &b, "y", LODE_I32, 1, shape);
    b.meta.attributes = files_text(
        f, "{\"attributes\":{\"title\":\"to be cut\",\"numbers\":[1.5,2.5]}}");
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.cdf"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.cdf"), NULL, &c));
    lode_bundle_free(&c);
    files_cut_fails(f, "x.cdf", SIZE_MAX);
    lode_bundle_free(&b);
}

/* What libnetcdf calls an HDF error is a damaged file, no failing disk. */
static void cut_files_fail(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 30, 40 };
    lode_bundle b = { 0 };
    if (!present(f))
        return;
    add_ramp(f, &b, "x", LODE_F64, 2, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.nc"), &b, NULL));
    files_cut_fails(f, "x.nc", 8);
    lode_bundle_free(&b);
}

/* Where values are missing because the file became shorter, the library gives zeros. */
static void files_that_shrink_while_read_fail(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 64, 512 }, start[] = { 32, 0 }, count[] = { 32, 512 };
    if (!present(f))
        return;
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "x.cdf" : "x.nc";
        lode_bundle b = { 0 }, c = { 0 };
        lode_array a = { 0 };
        add_ramp(f, &b, "x", LODE_F64, 2, shape);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, name), &b, NULL));
        assert_ok(&f->ctx, lode_open(&f->ctx, files_path(f, name), NULL, &c));
        const lode_source *s = lode_bundle_get(&c, "x").as.source;
        assert_ok(&f->ctx, lode_i_source_read(&f->ctx, s, start, count, LODE_F64, &a));
        files_cut(f, name, 100000);
        assert_status(&f->ctx, lode_i_source_read(&f->ctx, s, start, count, LODE_F64, &a),
                      LODE_EIO);
        assert_says(&f->ctx, "something else is changing it");
        lode_array_free(&a);
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(types_and_shapes_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(names_units_and_missing_values_are_kept, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(default_fill_values_are_missing, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(lying_classic_headers_are_refused, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(packed_values_are_unpacked, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(rectangles, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(cut_classic_files_fail, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(cut_files_fail, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(files_that_shrink_while_read_fail, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(files_that_are_none, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
