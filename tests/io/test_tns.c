/* FROSTT tensors. */
#include "files.h"

static lode_status read_text(files *f, const char *text, lode_bundle *b)
{
    lode_bundle_free(b);
    files_put(f, "x.tns", text, strlen(text));
    return lode_read(&f->ctx, files_path(f, "x.tns"), NULL, b);
}

static void tensors_by_hand(void **state)
{
    files *f = *state;
    static const struct {
        const char *text;
        int ndim, entries;
        int64_t shape[3], index[6];
        double values[2];
    } cases[] = {
        { "1 1 1 2.5\n3 2 4 -1e3\n", 3, 2, { 3, 2, 4 }, { 0, 0, 0, 2, 1, 3 }, { 2.5, -1000 } },
        { "# from 0\r\n0 1\t7\r\n\r\n  2 0 8", 2, 2, { 3, 2 }, { 0, 1, 2, 0 }, { 7, 8 } },
        { "5 1\n", 1, 1, { 5 }, { 4 }, { 1 } },
        { "# shape: 4 4\n2 3 1\n", 2, 1, { 4, 4 }, { 1, 2 }, { 1 } },
        { "# shape: 2 0 3\n", 3, 0, { 2, 0, 3 }, { 0 }, { 0 } },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(&f->ctx, read_text(f, cases[i].text, &b));
        const lode_value v = lode_bundle_value(&b, 0);
        assert_int_equal(v.kind, LODE_SPARSE);
        const lode_sparse *s = v.as.sparse;
        assert_true(s->layout == LODE_COO && s->ndim == cases[i].ndim);
        assert_int_equal(lode_sparse_nnz(s), cases[i].entries);
        assert_memory_equal(s->shape, cases[i].shape, (size_t)s->ndim * sizeof(int64_t));
        for (int k = 0; k < cases[i].entries; k++) {
            assert_true(((const double *)s->values.data)[k] == cases[i].values[k]);
            for (int j = 0; j < s->ndim; j++)
                assert_int_equal(((const int64_t *)s->indices.data)[k * s->ndim + j],
                                 cases[i].index[k * s->ndim + j]);
        }
    }
    lode_bundle_free(&b);
}

static void bad_tensors_are_refused(void **state)
{
    files *f = *state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "no entries" },
        { "# nothing\n", "no entries" },
        { "3\n", "line 1: 1 words" },
        { "1 1 2\n1 2\n", "line 2: 2 words" },
        { "1 1 2\n1 1 1 2\n", "line 2: 4 words" },
        { "1 -1 2\n", "'-1' is no index" },
        { "1 1.5 2\n", "'1.5' is no index" },
        { "9223372036854775807 1 2\n", "no index" },
        { "1 1 x\n", "'x' is no number" },
        { "1 1 2\n1 1 3\n", "twice" },
        { "# shape: 2 2\n3 1 1\n", "axis 0" },
        { "# shape: 2\n1 1 1\n", "1 sizes" },
        { "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n", "33 words" },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lode_status st = read_text(f, cases[i].text, &b);
        if (st != LODE_EFORMAT && st != LODE_EDOMAIN)
            fail_msg("case %zu: %s", i, lode_status_name(st));
        assert_says(&f->ctx, cases[i].says);
    }
    lode_bundle_free(&b);
}

/* Sparse of both layouts and dense, plain and in gzip. */
static void tensors_come_back(void **state)
{
    files *f = *state;
    static const char *const names[] = { "x.tns", "x.tns.gz" };
    const lode_write_opts o = { .force = true };
    const int64_t shape[] = { 3, 2, 5 };
    for (int k = 0; k < 6; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        lode_array want = { 0 }, got = { 0 }, cast = { 0 };
        if (k / 2 < 2) {
            files_add_sparse(f, &b, "A", k / 2 ? LODE_CSR : LODE_COO);
            assert_ok(&f->ctx,
                      lode_sparse_to_dense(&f->ctx, lode_bundle_value(&b, 0).as.sparse, &want));
        } else {
            files_add(f, &b, "a", LODE_F32, 3, shape);
            lode_array *a = (lode_array *)(uintptr_t)lode_bundle_value(&b, 0).as.array;
            for (int i = 0; i < 30; i++)
                ((float *)a->data)[i] = i % 3 ? 0 : (float)i / 7;
            want = lode_array_ref(a);
        }
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, names[k % 2]), &b, &o));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, names[k % 2]), NULL, &c));
        assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, lode_bundle_value(&c, 0).as.sparse, &got));
        assert_ok(&f->ctx, lode_array_cast(&f->ctx, &want, LODE_F64, &cast));
        files_same_array(&cast, &got);
        LODE_FREE(&b, &c, &want, &got, &cast);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensors_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(bad_tensors_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(tensors_come_back, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
