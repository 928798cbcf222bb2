/* The frame of a file: a file there and back byte for byte, also with other values, in little memory,
 * and from frames that lie. What h5dump and ncdump show of richer files is in tests/cli/frame.sh. */
#include "files.h"

#ifdef LODE_SANITIZED
/* What libhdf5 itself loses when memory ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\nleak:libnetcdf";
}
#endif

static const char *const formats[][3] = { { "a.h5", "b.h5", "c.h5" },
                                          { "a.nc", "b.nc", "c.nc" },
                                          { "a.cdf", "b.cdf", "c.cdf" },
                                          { "a.mat", "b.mat", "c.mat" } };
enum { FORMATS = 4 };

static void add_ramp(files *f, lode_bundle *b, const char *name, int64_t rows, float from)
{
    const int64_t shape[] = { rows, 7 };
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 2, shape, &a));
    for (int64_t i = 0; i < rows * 7; i++)
        ((float *)a.data)[i] = from + 0.5F * (float)i;
    assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, b, name, &a));
}

/* A file of two arrays; false: this build lacks the format. */
static bool make(files *f, const char *name, float from)
{
    lode_bundle b = { 0 };
    add_ramp(f, &b, "x", 60, from), add_ramp(f, &b, "y", 9, -from);
    const lode_write_opts o = { .force = true, .format = strstr(name, ".mat") ? "mat73" : NULL };
    const lode_status st = lode_write(&f->ctx, files_path(f, name), &b, &o);
    lode_bundle_free(&b);
    if (st != LODE_EUNSUPPORTED && st != LODE_EUSAGE)
        assert_ok(&f->ctx, st);
    return st == LODE_OK;
}

static lode_status copy(files *f, const char *from, const char *to)
{
    lode_bundle b = { 0 };
    lode_status st = lode_open_whole(&f->ctx, files_path(f, from), NULL, &b);
    if (st >= 0)
        st = lode_write(&f->ctx, files_path(f, to), &b, &(lode_write_opts){ .force = true });
    lode_bundle_free(&b);
    return st;
}

static void same_bytes(files *f, const char *one, const char *two)
{
    size_t n = 0, m = 0;
    unsigned char *a = files_get(f, one, &n), *b = files_get(f, two, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a), free(b);
}

/* Nothing was said that was not so: values that lie plain come back to the byte. */
static void files_come_back_byte_for_byte(void **state)
{
    files *f = *state;
    for (int k = 0; k < FORMATS; k++) {
        const char *const one = formats[k][0], *const two = formats[k][1];
        if (!make(f, one, 1))
            continue;
        assert_ok(&f->ctx, copy(f, one, two));
        same_bytes(f, one, two);
        assert_ok(&f->ctx, copy(f, one, "c.lode"));
        assert_ok(&f->ctx, copy(f, "c.lode", two));
        same_bytes(f, one, two);
    }
}

/* The frame of one file with the values of another. */
static void other_values_are_filled_in(void **state)
{
    files *f = *state;
    for (int k = 0; k < FORMATS; k++) {
        const char *const one = formats[k][0], *const two = formats[k][1],
                          *const three = formats[k][2];
        lode_bundle a = { 0 }, b = { 0 }, c = { 0 };
        lode_array frame = { 0 };
        if (!make(f, one, 1) || !make(f, two, 300))
            continue;
        assert_ok(&f->ctx, lode_open_whole(&f->ctx, files_path(f, one), NULL, &a));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, two), NULL, &b));
        const lode_value v = lode_bundle_get(&a, LODE_I_FRAME);
        assert_int_equal(v.kind, LODE_SOURCE);
        assert_ok(&f->ctx, lode_i_source_load(&f->ctx, v.as.source, &frame));
        assert_true(lode_array_bytes(&frame) < 20000);
        assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, &b, LODE_I_FRAME, &frame));
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, three), &b, NULL));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, three), NULL, &c));
        assert_int_equal(c.count, 2); /* not to the byte: NetCDF keeps the second */
        files_same_array(lode_bundle_get(&b, "x").as.array, lode_bundle_get(&c, "x").as.array);
        files_same_array(lode_bundle_get(&b, "y").as.array, lode_bundle_get(&c, "y").as.array);
        lode_bundle_free(&a), lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

/* Of another shape they are written without it. */
static void other_members_are_written_anew(void **state)
{
    files *f = *state;
    for (int k = 0; k < FORMATS; k++)
        for (int missing = 0; missing < 2; missing++) {
            const char *const one = formats[k][0], *const two = formats[k][1 + missing];
            lode_bundle a = { 0 }, b = { 0 }, c = { 0 };
            lode_array frame = { 0 };
            if (!make(f, one, 1))
                continue;
            assert_ok(&f->ctx, lode_open_whole(&f->ctx, files_path(f, one), NULL, &a));
            assert_ok(&f->ctx, lode_i_source_load(
                                   &f->ctx, lode_bundle_get(&a, LODE_I_FRAME).as.source, &frame));
            assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, &b, LODE_I_FRAME, &frame));
            add_ramp(f, &b, "x", 5, 2);
            if (!missing)
                add_ramp(f, &b, "y", 9, 2);
            assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, two), &b, NULL));
            assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, two), NULL, &c));
            assert_int_equal(c.count, 2 - missing);
            files_same_array(lode_bundle_get(&b, "x").as.array, lode_bundle_get(&c, "x").as.array);
            lode_bundle_free(&a), lode_bundle_free(&b), lode_bundle_free(&c);
        }
}

static void failing_allocations_are_survived(void **state)
{
    files *f = *state;
    for (int k = 0; k < FORMATS; k++) {
        const char *const one = formats[k][0], *const two = formats[k][1];
        if (!make(f, one, 1))
            continue;
        assert_ok(&f->ctx, copy(f, one, two)); /* libraries are loaded */
        unlink(files_path(f, two));
        const int64_t live = f->heap.live;
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = copy(f, one, two);
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            assert_int_equal(f->heap.live, live);
            if (st == LODE_OK)
                assert_false(failed);
            else
                assert_status(&f->ctx, st, LODE_ENOMEM);
            if (!failed)
                break;
            assert_int_not_equal(access(files_path(f, two), F_OK), 0);
        }
        same_bytes(f, one, two);
    }
}

/* Any byte of a head may be wrong. */
static void frames_that_lie_are_survived(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    lode_array frame = { 0 };
    if (!make(f, "a.cdf", 1))
        return;
    assert_ok(&f->ctx, lode_open_whole(&f->ctx, files_path(f, "a.cdf"), NULL, &b));
    assert_ok(&f->ctx,
              lode_i_source_load(&f->ctx, lode_bundle_get(&b, LODE_I_FRAME).as.source, &frame));
    lode_bundle_free(&b);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "a.cdf"), NULL, &b));
    const int64_t n = frame.shape[0];
    assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, &b, LODE_I_FRAME, &frame));
    unsigned char *bytes = lode_bundle_get(&b, LODE_I_FRAME).as.array->data;
    int refused = 0;
    for (int64_t i = 0; i < n; i += 1 + i / 64) { /* a write waits for the disk */
        const unsigned char was = bytes[i];
        bytes[i] = (unsigned char)(was ^ (i % 2 ? 0x81 : 0x04));
        const lode_status st = lode_write(&f->ctx, files_path(f, "b.cdf"), &b,
                                          &(lode_write_opts){ .force = true });
        refused += st < 0;
        if (st < 0)
            assert_true(*lode_message(&f->ctx));
        bytes[i] = was;
    }
    assert_true(refused > 24);
    assert_ok(&f->ctx,
              lode_write(&f->ctx, files_path(f, "b.cdf"), &b, &(lode_write_opts){ .force = true }));
    same_bytes(f, "a.cdf", "b.cdf");
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_come_back_byte_for_byte, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(other_values_are_filled_in, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(other_members_are_written_anew, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(frames_that_lie_are_survived, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
