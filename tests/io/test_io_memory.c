/* Every allocation of reading and writing fails in turn, and every tick is cancelled: nothing is
 * lost or left. */
#include "files.h"

static const char *const names[] = { "x.lode", "x.npz", "x/",    "x.safetensors", "x.npy",
                                     "x.mtx",  "y.mtx", "x.csv", "x.raw",         "z.npz" };
enum { NAMES = 10 };

/* What each format can hold. */
static void contents(files *f, lode_bundle *b, int k)
{
    const int64_t shape[] = { 4, 3 };
    if (k < 2) {
        files_everything(f, b);
    } else if (k == 2) { /* a few: each of its files waits for the disk */
        files_add_sparse(f, b, "A", LODE_CSR);
        assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, b, "log", "text"));
    } else if (k == 6 || k == 9) {
        files_add_sparse(f, b, "A", LODE_COO);
    } else {
        lode_array a = { 0 };
        assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_F32, 2, shape, &a));
        assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, b, "array", &a));
    }
}

static lode_status read_back(files *f, int k, lode_bundle *b)
{
    const lode_read_opts o = { .dtype = k == 8 ? "f32" : NULL, .ndim = 2, .shape = { 4, 3 } };
    return lode_read(&f->ctx, files_path(f, names[k]), &o, b);
}

static void each_failing_allocation_of_writing_leaves_nothing(void **state)
{
    files *f = *state;
    for (int k = 0, made = 0; k < NAMES; k++) {
        lode_bundle b = { 0 };
        if (!files_known(f, names[k]))
            continue;
        contents(f, &b, k);
        const int64_t live = f->heap.live;
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = lode_write(&f->ctx, files_path(f, names[k]), &b, NULL);
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            assert_int_equal(f->heap.live, live);
            if (st == LODE_OK) {
                lode_bundle c = { 0 };
                assert_false(failed); /* no allocation is optional */
                assert_ok(&f->ctx, read_back(f, k, &c));
                assert_int_equal(c.count, b.count);
                lode_bundle_free(&c);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            if (k == 2) /* members that were complete stay; without lode.json they are no result */
                folder_remove(files_path(f, names[k]));
            assert_int_equal(folder_count(f->folder), made);
        }
        made++;
        lode_bundle_free(&b);
    }
}

static void each_failing_allocation_of_reading_is_survived(void **state)
{
    files *f = *state;
    for (int k = 0; k < NAMES; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        if (!files_known(f, names[k]))
            continue;
        contents(f, &b, k);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, names[k]), &b, NULL));
        const int64_t live = f->heap.live;
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = read_back(f, k, &c);
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            if (st == LODE_OK) {
                assert_false(failed);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_int_equal(f->heap.live, live);
            assert_int_equal(c.count, 0);
        }
        assert_int_equal(c.count, b.count);
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void each_failing_allocation_of_a_slice_is_survived(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    char spec[600], hex[72];
    contents(f, &b, 0);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    snprintf(spec, sizeof spec, "%s/x.lode:core[::2,1:]", f->folder);
    const int64_t live = f->heap.live;
    for (int64_t n = 1;; n++) {
        heap_fail(&f->heap, n);
        lode_status st = lode_read_value(&f->ctx, spec, NULL, n % 2, "x", &c);
        if (st == LODE_OK)
            st = lode_hash(&f->ctx, lode_bundle_value(&c, 0), hex);
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        lode_bundle_free(&c);
        assert_int_equal(f->heap.live, live);
        if (st == LODE_OK) {
            assert_false(failed);
            break;
        }
        assert_int_equal(st, LODE_ENOMEM);
    }
    lode_bundle_free(&b);
}

static int cancel_at(void *data, const lode_progress *p)
{
    (void)p;
    int *left = data;
    return --*left < 0;
}

static void a_cancelled_write_leaves_nothing(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3000, 1000 };
    static const char *const targets[] = { "x.lode", "x.npz", "x.npy" };
    lode_bundle b = { 0 };
    files_add(f, &b, "x", LODE_F64, 2, shape);
    f->ctx.progress = cancel_at;
    for (int k = 0; k < 3; k++) {
        int left = 0;
        f->ctx.progress_data = &left;
        if (!files_known(f, targets[k]))
            continue;
        assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, targets[k]), &b, NULL),
                      LODE_ECANCEL);
        assert_int_equal(folder_count(f->folder), 0);
    }
    f->ctx.progress = NULL;
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_writing_leaves_nothing,
                                        files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_reading_is_survived, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_a_slice_is_survived, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_write_leaves_nothing, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
