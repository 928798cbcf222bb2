/* Every allocation fails in turn while each file of the fuzzers' corpus is read, and while each format
 * that other tests of this do not write is written: nothing is lost or left. */
#include "files.h"

static const char *const formats[] = { "csv", "mtx",  "tns",   "png", "pnm",
                                       "mat", "fits", "nifti", "gguf" };
static const char *const packed[] = { "x.csv.gz", "x.tns", "x.tns.gz", "x.mtx.gz", "x.png",
                                      "x.pgm",    "x.mat", "y.mat",    "x.cfl" };

static void each_failing_allocation_of_reading_is_survived(void **state)
{
    files *f = *state;
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        char folder[300], path[600];
        snprintf(folder, sizeof folder, "fuzz/corpus/%s", formats[k]);
        DIR *d = opendir(folder);
        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
            const lode_read_opts o = { .format = formats[k] };
            lode_bundle b = { 0 };
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            const lode_status want = lode_read(&f->ctx, path, &o, &b);
            lode_bundle_free(&b);
            const int64_t live = f->heap.live;
            for (int64_t n = 1;; n++) {
                heap_fail(&f->heap, n);
                const lode_status st = lode_read(&f->ctx, path, &o, &b);
                const bool failed = heap_failed(&f->heap);
                heap_fail(&f->heap, 0);
                lode_bundle_free(&b);
                assert_int_equal(f->heap.live, live);
                if (!failed) {
                    assert_int_equal(st, want);
                    break;
                }
                if (st != LODE_ENOMEM)
                    fail_msg("%s, allocation %d: %s: %s", path, (int)n, lode_status_name(st),
                             lode_message(&f->ctx));
            }
        }
        closedir(d);
    }
}

static void each_failing_allocation_of_writing_leaves_nothing(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 5, 4 };
    for (size_t k = 0; k < sizeof packed / sizeof *packed; k++) {
        lode_bundle b = { 0 };
        const lode_write_opts o = { .format = packed[k][0] == 'y' ? "mat6" : NULL };
        if (k >= 1 && k <= 3)
            files_add_sparse(f, &b, "A", k == 2 ? LODE_CSR : LODE_COO);
        else
            files_add(f, &b, "a", LODE_U8, 2, shape);
        if (k == 6 || k == 7) {
            files_add_sparse(f, &b, "s", LODE_CSR);
            files_add(f, &b, "z", LODE_C64, 1, shape);
            assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "t", "text"));
        }
        const int64_t live = f->heap.live;
        const int64_t before = folder_count(f->folder);
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = lode_write(&f->ctx, files_path(f, packed[k]), &b, &o);
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            assert_int_equal(f->heap.live, live);
            if (st == LODE_OK) {
                assert_false(failed);
                break;
            }
            if (st != LODE_ENOMEM)
                fail_msg("%s, allocation %d: %s: %s", packed[k], (int)n, lode_status_name(st),
                         lode_message(&f->ctx));
            assert_int_equal(folder_count(f->folder), before);
        }
        lode_bundle_free(&b);
    }
}

/* A stack: its list, its files and what is read of them. */
static void each_failing_allocation_of_a_stack_is_survived(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3 };
    char spec[600], hex[72];
    for (int i = 0; i < 2; i++) {
        lode_bundle b = { 0 };
        files_add(f, &b, "x", LODE_U8, 2, shape);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, i ? "a.png" : "b.png"), &b, NULL));
        lode_bundle_free(&b);
    }
    snprintf(spec, sizeof spec, "%s/?.png[:,1:]", f->folder);
    const int64_t live = f->heap.live;
    for (int64_t n = 1;; n++) {
        lode_bundle b = { 0 };
        heap_fail(&f->heap, n);
        lode_status st = lode_read_value(&f->ctx, spec, NULL, n % 2, "x", &b);
        if (st == LODE_OK)
            st = lode_hash(&f->ctx, lode_bundle_value(&b, 0), hex);
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        lode_bundle_free(&b);
        assert_int_equal(f->heap.live, live);
        if (st == LODE_OK) {
            assert_false(failed);
            break;
        }
        assert_int_equal(st, LODE_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_reading_is_survived, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_writing_leaves_nothing,
                                        files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_a_stack_is_survived, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
