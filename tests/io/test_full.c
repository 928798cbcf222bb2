/* A disk that is full at any byte, for every format that is written: one sentence, the old file
 * untouched, nothing left, and the process ends well (libhdf5 and libnetcdf used to crash at
 * its exit). */
#include "files.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static void let_files_grow_to(rlim_t bytes)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = bytes < r.rlim_max ? bytes : r.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static const char *const names[] = {
    "x.npy", "x.npz", "x.safetensors", "x.lode", "x.csv", "x.mtx",
    "x.mat", "x.h5",  "x.cdf",         "x.nc",   "x.raw", "x.cfl"
};

static void full_at_any_byte_leaves_the_old_file(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 30, 21 };
    const lode_write_opts o = { .force = true };
    lode_bundle b = { 0 };
    signal(SIGXFSZ, SIG_IGN);
    files_add(f, &b, "x", LODE_F32, 2, shape);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        size_t size = 0, now = 0;
        lode_status st = lode_write(&f->ctx, files_path(f, names[k]), &b, &o);
        if (st == LODE_EUNSUPPORTED || st == LODE_EUSAGE)
            continue; /* not in this build or on this machine */
        assert_ok(&f->ctx, st);
        unsigned char *whole = files_get(f, names[k], &size);
        const int64_t there = folder_count(f->folder);
        int failed = 0;
        for (size_t limit = 0; limit <= size + size / 3; limit += 1 + size / 9) {
            let_files_grow_to(limit);
            st = lode_write(&f->ctx, files_path(f, names[k]), &b, &o);
            let_files_grow_to(RLIM_INFINITY);
            if (st < 0)
                assert_status(&f->ctx, st, LODE_EIO);
            failed += st < 0;
            unsigned char *left = files_get(f, names[k], &now);
            assert_int_equal(now, size);
            assert_memory_equal(left, whole, size);
            assert_int_equal(folder_count(f->folder), there);
            free(left);
        }
        if (failed < 8)
            fail_msg("%s: only %d writes failed", names[k], failed);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, names[k]), &b, &o));
        free(whole);
    }
    lode_bundle_free(&b);
}

/* Nothing that is written depends on the time of day. */
static void the_clock_leaves_no_mark(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 2 };
    const lode_write_opts o = { .force = true };
    unsigned char *first[sizeof names / sizeof *names] = { NULL };
    size_t size[sizeof names / sizeof *names] = { 0 };
    lode_bundle b = { 0 }, deep = { 0 };
    files_add(f, &b, "x", LODE_F32, 2, shape);
    files_add(f, &deep, "a/b/x", LODE_F32, 2, shape);
    const time_t second = time(NULL);
    for (int again = 0; again < 2; again++) {
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const bool groups = strcmp(names[k], "x.h5") == 0 || strcmp(names[k], "x.npz") == 0;
            const lode_status st = lode_write(&f->ctx, files_path(f, names[k]), groups ? &deep : &b,
                                              &o);
            if (st == LODE_EUNSUPPORTED || st == LODE_EUSAGE)
                continue;
            assert_ok(&f->ctx, st);
            size_t now = 0;
            unsigned char *bytes = files_get(f, names[k], &now);
            if (again && (now != size[k] || memcmp(bytes, first[k], now) != 0))
                fail_msg("%s has other bytes a second later", names[k]);
            if (again)
                free(bytes), free(first[k]);
            else
                first[k] = bytes, size[k] = now;
        }
        while (time(NULL) == second)
            usleep(1000);
    }
    lode_bundle_free(&b), lode_bundle_free(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_at_any_byte_leaves_the_old_file, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(the_clock_leaves_no_mark, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
