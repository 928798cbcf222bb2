/* MATLAB 7.3: arrays come back with at least two axes, by parts too, and sparse matrices. */
#include "files.h"

static bool present(files *f)
{
    lode_bundle b = { 0 };
    const int64_t one[] = { 1 };
    files_add(f, &b, "x", LODE_F32, 1, one);
    const lode_status st = lode_write(&f->ctx, files_path(f, "probe.mat"), &b,
                                      &(lode_write_opts){ .format = "mat73", .force = true });
    lode_bundle_free(&b);
    if (st == LODE_EUNSUPPORTED)
        assert_says(&f->ctx, "libhdf5");
    else
        assert_ok(&f->ctx, st);
    return st == LODE_OK;
}

static const lode_write_opts as_mat = { .format = "mat73" };

static void types_and_shapes_come_back(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 2, 4, 2 }, empty[] = { 0, 3 };
    static const lode_dtype types[] = { LODE_BOOL, LODE_I8,  LODE_I16, LODE_I32, LODE_I64,
                                        LODE_U8,   LODE_U16, LODE_U32, LODE_U64, LODE_F32,
                                        LODE_F64,  LODE_C64, LODE_C128 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    for (int t = 0; t < 13; t++)
        files_add(f, &b, lode_dtype_name(types[t]), types[t], 2 + t % 3, shape);
    files_add(f, &b, "empty", LODE_I16, 2, empty);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &as_mat));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c)); /* by its content */
    files_same_bundle(&b, &c);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

/* Vectors are rows and numbers 1 x 1; f16 becomes single; names are made valid, text is kept. */
static void other_shapes_become_matrices(void **state)
{
    files *f = *state;
    const int64_t three[] = { 3 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    files_add(f, &b, "factor.0", LODE_F64, 1, three);
    files_add(f, &b, "2half", LODE_F16, 1, three);
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "n", -5));
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "note", "h\xc3\xa4user"));
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &as_mat));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c));
    assert_int_equal(c.count, 3); /* text is written only */
    const lode_array *a = lode_bundle_get(&c, "factor_0").as.array;
    assert_true(a->ndim == 2 && a->shape[0] == 1 && a->shape[1] == 3);
    assert_memory_equal(a->data, lode_bundle_value(&b, 0).as.array->data, 24);
    assert_int_equal(lode_bundle_get(&c, "x2half").as.array->dtype, LODE_F32);
    a = lode_bundle_get(&c, "n").as.array;
    assert_true(a->ndim == 2 && *(const int64_t *)a->data == -5);
    lode_bundle_free(&c);
    files_add(f, &b, "factor_0", LODE_F64, 1, three);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "y.mat"), &b, &as_mat), LODE_EUSAGE);
    assert_says(&f->ctx, "both be factor_0");
    lode_bundle_free(&b);
}

static void sparse_matrices_come_back(void **state)
{
    files *f = *state;
    for (int k = 0; k < 2; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        lode_array x = { 0 }, y = { 0 };
        if (!present(f))
            return;
        files_add_sparse(f, &b, "A", k ? LODE_CSR : LODE_COO);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, k ? "x.mat" : "y.mat"), &b, &as_mat));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, k ? "x.mat" : "y.mat"), NULL, &c));
        assert_int_equal(c.count, 1);
        const lode_sparse *s = lode_bundle_get(&c, "A").as.sparse;
        assert_true(s->layout == LODE_CSR && s->values.dtype == LODE_F64);
        assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, lode_bundle_get(&b, "A").as.sparse, &x));
        assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, s, &y));
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 4; j++)
                assert_true(lode_array_get(&x, (int64_t[]){ i, j }) ==
                            lode_array_get(&y, (int64_t[]){ i, j }));
        LODE_FREE(&x, &y);
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void rectangles(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 7, 8, 9 }, start[] = { 2, 3, 4 }, count[] = { 3, 2, 5 };
    lode_bundle b = { 0 };
    lode_file *file = NULL;
    lode_source s = { 0 };
    double got[30];
    if (!present(f))
        return;
    files_add(f, &b, "x", LODE_F64, 3, shape);
    double *values = lode_bundle_value(&b, 0).as.array->data;
    for (int i = 0; i < 7 * 8 * 9; i++)
        values[i] = i;
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &as_mat));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.mat"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    lode_file_close(&file);
    assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 5; k++)
                assert_true(got[(2 * i + j) * 5 + k] ==
                            (double)(((i + 2) * 8 + j + 3) * 9 + k + 4));
    assert_status(&f->ctx, s.read(&f->ctx, &s, count, shape, got), LODE_ESHAPE);
    lode_source_close(&s);
    lode_bundle_free(&b);
}

static void failing_allocations_are_survived(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 2, 4 };
    lode_bundle b = { 0 }, c = { 0 };
    if (!present(f))
        return;
    files_add(f, &b, "x", LODE_F64, 3, shape);
    files_add_sparse(f, &b, "A", LODE_CSR);
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "note", "text"));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = pass ? lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c)
                                        : lode_write(&f->ctx, files_path(f, "x.mat"), &b,
                                                     &(lode_write_opts){ .format = "mat73",
                                                                         .force = true });
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            if (st != LODE_OK)
                assert_status(&f->ctx, st, LODE_ENOMEM);
            lode_bundle_free(&c);
            if (!failed)
                break;
        }
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(types_and_shapes_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(other_shapes_become_matrices, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(sparse_matrices_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(rectangles, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
