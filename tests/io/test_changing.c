/* Files that something else cuts, lengthens, removes or replaces while they are open, for every format,
 * read whole and piece by piece: what comes is what was there, or one sentence. */
#include "files.h"

#include <pthread.h>
#include <time.h>

#ifdef LODE_SANITIZED
/* libnetcdf never frees what it holds of a file that it fails to open; what is ours the fixture counts. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libnetcdf\nleak:libhdf5\n";
}
#endif

static const char *const names[] = { "x.npy",   "x.npz",    "x.safetensors", "x.lode",
                                     "x.csv",   "x.tsv.gz", "x.mtx",         "x.mat",
                                     "x73.mat", "x.h5",     "x.nc",          "x.cdf",
                                     "x.cfl",   "x.pgm",    "x.png",         "x.tns" };
enum { NAMES = sizeof names / sizeof *names, ROWS = 96, COLUMNS = 64, LAZY = 5 /* surely */ };

/* The file as it should be: its bytes, and what is read of them. */
typedef struct original {
    unsigned char *bytes;
    size_t size;
    lode_bundle values;
} original;

static bool make(files *f, const char *name, original *o)
{
    const int64_t shape[] = { ROWS, COLUMNS };
    const bool picture = strstr(name, ".p") && !strstr(name, ".npy"),
               complex = strstr(name, ".cfl");
    const lode_dtype dtype = picture ? LODE_U8 : complex ? LODE_C64 : LODE_F64;
    lode_bundle b = { 0 };
    *o = (original){ 0 };
    files_add(f, &b, "x", dtype, 2, shape);
    const lode_array *a = lode_bundle_value(&b, 0).as.array;
    for (int64_t i = 0; i < ROWS * COLUMNS && !picture; i++) { /* no NaN, never 0 */
        if (complex)
            ((float *)a->data)[2 * i] = (float)(i + 1), ((float *)a->data)[2 * i + 1] = 1;
        else
            ((double *)a->data)[i] = (double)(i + 1) + 0.25;
    }
    const lode_write_opts how = { .force = true,
                                  .format = strcmp(name, "x73.mat") == 0 ? "mat73" : NULL };
    const lode_status st = lode_write(&f->ctx, files_path(f, name), &b, &how);
    lode_bundle_free(&b);
    if (st == LODE_EUNSUPPORTED || st == LODE_EUSAGE || st == LODE_ETYPE)
        return false; /* not in this build, or not of dense arrays */
    assert_ok(&f->ctx, st);
    o->bytes = files_get(f, name, &o->size);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, name), NULL, &o->values));
    return true;
}

static void unmake(original *o)
{
    free(o->bytes);
    lode_bundle_free(&o->values);
}

/* A failure that says something, or what the file had. Whether it failed. */
static bool check(files *f, const char *name, lode_status st, const lode_array *a,
                  const lode_array *want)
{
    if (st == LODE_OK) {
        if (!a || a->ndim != want->ndim || lode_array_bytes(a) != lode_array_bytes(want) ||
            memcmp(a->data, want->data, lode_array_bytes(want)) != 0)
            fail_msg("%s: values that were never there", name);
        return false;
    }
    if ((st != LODE_EIO && st != LODE_EFORMAT && st != LODE_ENOENT) ||
        strlen(lode_message(&f->ctx)) < 20)
        fail_msg("%s: status %d, %s", name, (int)st, lode_message(&f->ctx));
    return true;
}

/* Reads the rows of an open file from some row on. */
static bool read_rows(files *f, const char *name, const lode_bundle *open, const original *o,
                      int64_t row)
{
    lode_array a = { 0 }, part = { 0 };
    const lode_value v = lode_bundle_value(open, 0);
    const lode_array *all = lode_bundle_value(&o->values, 0).as.array;
    const int64_t start[] = { row, 0, 0 },
                  count[] = { all->shape[0] - row, all->shape[1], all->shape[2] };
    if (v.kind != LODE_SOURCE) /* in memory since it was opened */
        return false;
    const lode_array rest = lode_array_wrap(
        (char *)all->data + (size_t)row * lode_array_bytes(all) / (size_t)all->shape[0], all->dtype,
        all->ndim, count);
    const lode_status st = lode_i_source_read(&f->ctx, v.as.source, start, count, all->dtype, &a);
    const bool failed = check(f, name, st, &a, &rest);
    LODE_FREE(&a, &part);
    return failed;
}

static void cut_files_fail_or_give_what_they_had(void **state)
{
    files *f = *state;
    for (int k = 0; k < NAMES; k++) {
        original o;
        if (!make(f, names[k], &o))
            continue;
        int failed = 0;
        for (size_t part = 0; part < 8; part++)
            for (int late = 0; late < 2; late++) {
                lode_bundle b = { 0 };
                files_put(f, names[k], o.bytes, o.size);
                assert_ok(&f->ctx, lode_open(&f->ctx, files_path(f, names[k]), NULL, &b));
                if (late)
                    read_rows(f, names[k], &b, &o, ROWS - 1);
                files_cut(f, names[k], o.size * part / 8);
                failed += read_rows(f, names[k], &b, &o, 0);
                lode_bundle_free(&b);
            }
        if (failed < 16 && k < LAZY)
            fail_msg("%s is read whole when it is half gone", names[k]);
        unmake(&o);
    }
}

static void lengthened_files_give_what_they_had(void **state)
{
    files *f = *state;
    for (int k = 0; k < NAMES; k++) {
        original o;
        lode_bundle b = { 0 };
        if (!make(f, names[k], &o))
            continue;
        assert_ok(&f->ctx, lode_open(&f->ctx, files_path(f, names[k]), NULL, &b));
        FILE *file = fopen(files_path(f, names[k]), "ab");
        assert_non_null(file);
        for (int i = 0; i < 5000; i++)
            fputs("9 9\n", file);
        assert_int_equal(fclose(file), 0);
        assert_false(read_rows(f, names[k], &b, &o, 0));
        lode_bundle_free(&b);
        unmake(&o);
    }
}

static void lost_and_replaced_files(void **state)
{
    files *f = *state;
    for (int k = 0; k < NAMES; k++)
        for (int replaced = 0; replaced < 2; replaced++) {
            original o;
            lode_bundle b = { 0 }, c = { 0 };
            char path[512];
            if (!make(f, names[k], &o))
                continue;
            snprintf(path, sizeof path, "%s", files_path(f, names[k]));
            assert_ok(&f->ctx, lode_open(&f->ctx, path, NULL, &b));
            if (replaced) {
                files_put(f, "other", "no such format", 14);
                assert_int_equal(rename(files_path(f, "other"), path), 0);
            } else {
                assert_int_equal(remove(path), 0);
                assert_status(&f->ctx, lode_open(&f->ctx, path, NULL, &c), LODE_ENOENT);
            }
            read_rows(f, names[k], &b, &o, 0);
            read_rows(f, names[k], &b, &o, ROWS / 2);
            lode_bundle_free(&b);
            unmake(&o);
        }
}

typedef struct cutter {
    const char *path;
    long nanoseconds;
    size_t size;
    bool done;
} cutter;

static void *cut_later(void *data)
{
    cutter *c = data;
    nanosleep(&(struct timespec){ .tv_nsec = c->nanoseconds }, NULL);
    c->done = truncate(c->path, (off_t)c->size) == 0;
    return NULL;
}

static void files_cut_in_the_middle_of_reading(void **state)
{
    files *f = *state;
    uint32_t x = 1;
    for (int k = 0; k < NAMES; k++) {
        original o;
        if (!make(f, names[k], &o))
            continue;
        for (int round = 0; round < 24; round++) {
            lode_bundle b = { 0 };
            pthread_t thread;
            char path[512];
            files_put(f, names[k], o.bytes, o.size);
            snprintf(path, sizeof path, "%s", files_path(f, names[k]));
            x = x * 1664525U + 1013904223U;
            cutter c = { path, (long)(x >> 16) * 8, (size_t)(x >> 8) % o.size, false };
            assert_int_equal(pthread_create(&thread, NULL, cut_later, &c), 0);
            const lode_status st = lode_read(&f->ctx, path, NULL, &b);
            check(f, names[k], st, b.count == 0 ? NULL : lode_bundle_value(&b, 0).as.array,
                  lode_bundle_value(&o.values, 0).as.array);
            assert_int_equal(pthread_join(thread, NULL), 0);
            assert_true(c.done);
            lode_bundle_free(&b);
        }
        unmake(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_files_fail_or_give_what_they_had, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(lengthened_files_give_what_they_had, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(lost_and_replaced_files, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(files_cut_in_the_middle_of_reading, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
