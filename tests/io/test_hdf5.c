/* HDF5: what is written comes back, by parts too, with kinds, names and units; files that lie are
 * refused. Files that other programs wrote are read in interop.py. */
#include "files.h"

#include <time.h>

#ifdef LODE_SANITIZED
/* What libhdf5 itself loses of a file that is damaged. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}
#endif

/* Whether this build and machine have libhdf5; if not, the one sentence that says so is checked. */
static bool present(files *f)
{
    lode_bundle b = { 0 };
    const int64_t one[] = { 1 };
    files_add(f, &b, "x", LODE_F32, 1, one);
    const lode_status st = lode_write(&f->ctx, files_path(f, "probe.h5"), &b,
                                      &(lode_write_opts){ .force = true });
    lode_bundle_free(&b);
    if (st == LODE_EUNSUPPORTED)
        assert_says(&f->ctx, "libhdf5");
    else
        assert_ok(&f->ctx, st);
    return st == LODE_OK;
}

static void types_and_shapes_come_back(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 1, 4 }, empty[] = { 2, 0, 3 };
    static const lode_dtype types[] = { LODE_BOOL, LODE_I8,  LODE_I16, LODE_I32, LODE_I64,
                                        LODE_U8,   LODE_U16, LODE_U32, LODE_U64, LODE_F16,
                                        LODE_F32,  LODE_F64, LODE_C64, LODE_C128 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    for (int t = 0; t < 14; t++)
        files_add(f, &b, lode_dtype_name(types[t]), types[t], t % 4, shape);
    files_add(f, &b, "deep/er/empty", LODE_F32, 3, empty);
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "note", "h\xc3\xa4user"));
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c));
    files_same_bundle(&b, &c); /* in the order in which they were written */
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void whole_results_come_back(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    lode_file *file = NULL;
    if (!present(f))
        return;
    files_everything(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c));
    files_same_bundle(&b, &c);
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.h5"), NULL, &file));
    assert_string_equal(lode_file_format(file), "hdf5");
    lode_file_close(&file);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

/* A description longer than the 64 KiB that a plain attribute may have. */
static void long_descriptions_fit(void **state)
{
    files *f = *state;
    const int64_t one[] = { 1 };
    lode_bundle b = { 0 }, c = { 0 };
    lode_text t = { 0 };
    if (!present(f))
        return;
    files_add(f, &b, "x", LODE_F32, 1, one);
    assert_ok(&f->ctx, lode_i_text_add(&f->ctx, &t, "{\"list\":[0"));
    for (int i = 1; i < 30000; i++)
        assert_ok(&f->ctx, lode_i_text_add(&f->ctx, &t, ",%d", i));
    assert_ok(&f->ctx, lode_i_text_add(&f->ctx, &t, "]}"));
    snprintf(b.meta.op, sizeof b.meta.op, "svd");
    b.meta.options = files_text(f, t.text);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c));
    assert_string_equal(b.meta.options, c.meta.options);
    lode_i_text_free(&t);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void names_and_units_are_kept(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3 }, two[] = { 2 };
    static const char given[] =
        "{\"variables\":{\"t\":{\"dims\":[\"lat\",\"lon\"],\"attributes\":{\"units\":\"K\","
        "\"levels\":[1.0,2.5],\"count\":3,\"words\":[\"a\",\"b\"],\"_FillValue\":-9.0},"
        "\"types\":{\"count\":\"i16\",\"_FillValue\":\"f32\"}},\"lat\":{\"dims\":[\"lat\"],"
        "\"attributes\":{\"units\":\"degrees_north\"}},\"g/u\":{\"dims\":[\"lat\",\"level\"],"
        "\"attributes\":{}}},\"attributes\":{\"title\":\"test\"},"
        "\"groups\":{\"g\":{\"attributes\":{\"made\":\"by hand\"}}}}";
    lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
    char spec[600];
    if (!present(f))
        return;
    files_add(f, &b, "t", LODE_F32, 2, shape);
    for (int i = 0; i < 6; i++)
        ((float *)lode_bundle_value(&b, 0).as.array->data)[i] = i == 4 ? -9 : (float)i;
    files_add(f, &b, "lat", LODE_F64, 1, two);
    files_add(f, &b, "g/u", LODE_I32, 2, shape);
    b.meta.attributes = files_text(f, given);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c));
    assert_int_equal(c.count, 3);
    assert_string_equal(c.meta.attributes, given);
    const float *x = lode_bundle_get(&c, "t").as.array->data;
    assert_true(x[3] == 3 && isnan(x[4]) && x[5] == 5); /* by the fill value */
    files_same_value(lode_bundle_get(&b, "lat"), lode_bundle_get(&c, "lat"));
    /* A part of one variable, and its coordinates cut alike; the path may begin at the root. */
    snprintf(spec, sizeof spec, "%s/x.h5:/t[::-1,1:]", f->folder);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &d));
    assert_non_null(strstr(d.meta.attributes, "\"coordinates\":{\"lat\":{\"values\":["));
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "y.h5"), &d, NULL));
    lode_bundle_free(&c);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "y.h5"), NULL, &c));
    assert_int_equal(c.count, 2);
    const double *was = lode_bundle_get(&b, "lat").as.array->data,
                 *now = lode_bundle_get(&c, "lat").as.array->data;
    assert_true((now[0] == was[1] || isnan(was[1])) && (now[1] == was[0] || isnan(was[0])));
    snprintf(spec, sizeof spec, "%s/y.h5", f->folder); /* the scale is not meant */
    lode_bundle_free(&d);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &d));
    assert_string_equal(lode_bundle_name(&d, 0), "t");
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&d);
}

static void packed_values_are_unpacked(void **state)
{
    files *f = *state;
    const int64_t two[] = { 2 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    files_add(f, &b, "v", LODE_I16, 1, two);
    ((int16_t *)lode_bundle_value(&b, 0).as.array->data)[0] = 5;
    ((int16_t *)lode_bundle_value(&b, 0).as.array->data)[1] = -1;
    b.meta.attributes = files_text(
        f, "{\"variables\":{\"v\":{\"attributes\":{\"missing_value\":-1}}}}");
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c));
    files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0)); /* whole numbers stay */
    lode_bundle_free(&b), lode_bundle_free(&c);
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
    files_add(f, &b, "x", LODE_F64, 3, shape);
    double *values = lode_bundle_value(&b, 0).as.array->data;
    for (int i = 0; i < 7 * 8 * 9; i++)
        values[i] = i;
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.h5"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    lode_file_close(&file);
    assert_true(s.rewindable && !s.concurrent);
    assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 5; j++)
            assert_true(got[5 * i + j] == (double)(((i + 2) * 8 + 3) * 9 + j + 4));
    assert_status(&f->ctx, s.read(&f->ctx, &s, count, shape, got), LODE_ESHAPE);
    lode_source_close(&s);
    lode_bundle_free(&b);
}

static void members_are_named(void **state)
{
    files *f = *state;
    const int64_t one[] = { 1 };
    lode_bundle b = { 0 }, c = { 0 };
    char spec[600];
    if (!present(f))
        return;
    files_add(f, &b, "g/first", LODE_F32, 1, one);
    files_add(f, &b, "g/second", LODE_F32, 1, one);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    snprintf(spec, sizeof spec, "%s/x.h5", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &c), LODE_EUSAGE);
    assert_says(&f->ctx, "g/first, g/second");
    snprintf(spec, sizeof spec, "%s/x.h5:g/secnd", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &c), LODE_ENOENT);
    assert_says(&f->ctx, "did you mean g/second");
    /* Names that no file can hold. */
    lode_bundle_free(&b);
    files_add(f, &b, "a", LODE_F32, 1, one);
    files_add(f, &b, "a/b", LODE_F32, 1, one);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "y.h5"), &b, NULL), LODE_EIO);
    assert_says(&f->ctx, "making the data set a/b");
    assert_int_equal(folder_count(f->folder), 2); /* the probe, and no temporary file */
    lode_bundle_free(&b);
}

static void cut_and_foreign_files_fail(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 30, 40 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    files_put(f, "none.h5", "hello there", 11);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "none.h5"), NULL, &c), LODE_EFORMAT);
    assert_says(&f->ctx, "none.h5");
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "no.h5"), NULL, &c), LODE_ENOENT);
    files_add(f, &b, "x", LODE_F64, 2, shape);
    files_add(f, &b, "y", LODE_I16, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    files_cut_fails(f, "x.h5", 200);
    lode_bundle_free(&b);
}

/* One wrong byte anywhere: an answer or a sentence, never a crash, and nothing left behind. */
static void damaged_files_do_not_crash(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 4 };
    lode_bundle b = { 0 }, c = { 0 };
    size_t n = 0;
    if (!present(f))
        return;
    files_add(f, &b, "x", LODE_F64, 2, shape);
    b.meta.attributes = files_text(
        f, "{\"variables\":{\"x\":{\"dims\":[\"a\",\"b\"],\"attributes\":{\"units\":\"K\"}}}}");
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.h5"), &b, NULL));
    unsigned char *bytes = files_get(f, "x.h5", &n);
    for (size_t i = 0; i < n; i += 1 + n / 700) {
        files_poke(f, "x.h5", i, bytes[i] ^ 0x55);
        if (lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c) < 0)
            assert_true(*lode_message(&f->ctx));
        lode_bundle_free(&c);
        files_poke(f, "x.h5", i, bytes[i]);
    }
    free(bytes);
    lode_bundle_free(&b);
}

/* Object headers of libhdf5 keep the second in which they were made, unless they are told not to. */
static void nothing_depends_on_the_clock(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    size_t n = 0, m = 0;
    const int64_t shape[] = { 3 };
    if (!present(f))
        return;
    files_add(f, &b, "x", LODE_F32, 1, shape);
    files_add(f, &b, "g/h/y", LODE_F32, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "a.h5"), &b, NULL));
    const time_t then = time(NULL);
    while (time(NULL) == then)
        usleep(50000);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "b.h5"), &b, NULL));
    unsigned char *one = files_get(f, "a.h5", &n), *two = files_get(f, "b.h5", &m);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    free(one), free(two);
    lode_bundle_free(&b);
}

static void failing_allocations_are_survived(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    files_everything(f, &b);
    for (int64_t n = 1;; n++) {
        heap_fail(&f->heap, n);
        const lode_status st = lode_write(&f->ctx, files_path(f, "x.h5"), &b,
                                          &(lode_write_opts){ .force = true });
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        if (st != LODE_OK)
            assert_status(&f->ctx, st, LODE_ENOMEM);
        if (!failed)
            break;
    }
    for (int64_t n = 1;; n++) {
        heap_fail(&f->heap, n);
        const lode_status st = lode_read(&f->ctx, files_path(f, "x.h5"), NULL, &c);
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        if (st != LODE_OK)
            assert_status(&f->ctx, st, LODE_ENOMEM);
        if (!failed)
            break;
        lode_bundle_free(&c);
    }
    files_same_bundle(&b, &c);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(types_and_shapes_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(whole_results_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(long_descriptions_fit, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(names_and_units_are_kept, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(packed_values_are_unpacked, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(rectangles, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(members_are_named, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(cut_and_foreign_files_fail, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(damaged_files_do_not_crash, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(nothing_depends_on_the_clock, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
