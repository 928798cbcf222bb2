/* Matrix Market and tables of numbers. */
#include "files.h"

static lode_status read_text(files *f, const char *name, const char *text, lode_bundle *b)
{
    lode_bundle_free(b);
    files_put(f, name, text, strlen(text));
    return lode_read(&f->ctx, files_path(f, name), NULL, b);
}

/* The dense form of a matrix that was read, whatever it is. */
static void check_dense(files *f, const lode_bundle *b, int64_t rows, int64_t cols,
                        const double *want)
{
    lode_array d = { 0 };
    const lode_value v = lode_bundle_value(b, 0);
    if (v.kind == LODE_SPARSE)
        assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, v.as.sparse, &d));
    else
        d = lode_array_ref(v.as.array);
    assert_int_equal(d.shape[0], rows);
    assert_int_equal(d.shape[1], cols);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            const int64_t at[] = { i, j };
            const double got = lode_array_get(&d, at), w = want[i * cols + j];
            assert_true(got == w || (isnan(got) && isnan(w)));
        }
    lode_array_free(&d);
}

static void matrices_by_hand(void **state)
{
    files *f = *state;
    static const struct {
        const char *text;
        double want[6];
        int rows, cols;
        lode_dtype dtype;
    } cases[] = {
        { "%%MatrixMarket matrix coordinate real general\n% comment\n\n2 3 2\n1 3 2.5\n2 1 -1e3\n",
          { 0, 0, 2.5, -1000, 0, 0 },
          2,
          3,
          LODE_F64 },
        { "%%matrixmarket MATRIX Coordinate Integer General\r\n2 3 1\r\n2 2 -4\r\n",
          { 0, 0, 0, 0, -4, 0 },
          2,
          3,
          LODE_I64 },
        { "%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1",
          { 1, 1, 1, 0 },
          2,
          2,
          LODE_F64 },
        { "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 3\n",
          { 0, -3, 3, 0 },
          2,
          2,
          LODE_F64 },
        { "%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n4\n5\n6\n",
          { 1, 3, 5, 2, 4, 6 },
          2,
          3,
          LODE_F64 },
        { "%%MatrixMarket matrix array integer symmetric\n2 2\n1\n2\n3\n",
          { 1, 2, 2, 3 },
          2,
          2,
          LODE_I64 },
        { "%%MatrixMarket matrix array real skew-symmetric\n2 2\n7\n",
          { 0, -7, 7, 0 },
          2,
          2,
          LODE_F64 },
        { "%%MatrixMarket matrix array complex hermitian\n2 2\n1 0\n2 5\n3 0\n",
          { 1, 2, 2, 3 },
          2,
          2,
          LODE_C128 },
        { "%%MatrixMarket matrix coordinate real general\n2 3 0\n", { 0 }, 2, 3, LODE_F64 },
        { "%%MatrixMarket matrix array real general\n0 3\n", { 0 }, 0, 3, LODE_F64 },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(&f->ctx, read_text(f, "x.mtx", cases[i].text, &b));
        check_dense(f, &b, cases[i].rows, cases[i].cols, cases[i].want);
        const lode_value v = lode_bundle_value(&b, 0);
        assert_int_equal(v.kind == LODE_SPARSE ? v.as.sparse->values.dtype : v.as.array->dtype,
                         cases[i].dtype);
    }
    /* The imaginary part below the diagonal is minus the one above. */
    assert_ok(&f->ctx, read_text(f, "x.mtx", cases[7].text, &b));
    const double *z = lode_bundle_value(&b, 0).as.array->data;
    assert_true(z[5] == 5 && z[3] == -5);
    lode_bundle_free(&b);
}

static void bad_matrices_are_refused(void **state)
{
    files *f = *state;
#define BANNER "%%MatrixMarket matrix coordinate real general\n"
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "begins with" },
        { "1 2 3\n", "begins with" },
        { "%%MatrixMarket vector coordinate real general\n1 1 0\n", "matrix" },
        { "%%MatrixMarket matrix sparse real general\n1 1 0\n", "coordinate" },
        { "%%MatrixMarket matrix array pattern general\n1 1\n", "pattern" },
        { "%%MatrixMarket matrix array quaternion general\n1 1\n", "values" },
        { "%%MatrixMarket matrix array real hermitian\n1 1\n1\n", "symmetry" },
        { "%%MatrixMarket matrix array real symmetric\n2 3\n1\n", "square" },
        { BANNER, "sizes" },
        { BANNER "2 3\n", "sizes" },
        { BANNER "2 3 1 1\n", "sizes" },
        { BANNER "2 -3 1\n", "sizes" },
        { BANNER "9223372036854775807 9223372036854775807 9223372036854775807\n", "more entries" },
        { "%%MatrixMarket matrix array real general\n9223372036854775807 9223372036854775807\n",
          "larger" },
        { "%%MatrixMarket matrix array real general\n4294967296 4\n", "more entries" },
        { BANNER "2 3 2\n1 1 1\n", "ends after 1 of its 2 entries" },
        { BANNER "2 3 1\n1 1 1\n1 2 1\n", "more entries" },
        { BANNER "2 3 1\n3 1 1\n", "(3, 1) lies outside 2 x 3" },
        { BANNER "2 3 1\n0 1 1\n", "(0, 1)" },
        { BANNER "2 3 1\n1 1\n", "line 3" },
        { BANNER "2 3 1\n1 1 x\n", "line 3" },
        { BANNER "2 3 1\n1 1 1 1\n", "line 3" },
        { BANNER "2 3 2\n1 1 1\n1 1 2\n", "" },
        { "%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 1\n", "lower triangle" },
        { "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n1 1 1\n",
          "lower triangle" },
        { "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n", "(2, 2)" },
        { "%%MatrixMarket matrix array real general\n1 1\n1\n2\n", "more values" },
        { "%%MatrixMarket matrix array real general\n1 1\n1 2\n", "single value" },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lode_status st = read_text(f, "x.mtx", cases[i].text, &b);
        if (st != LODE_EFORMAT && st != LODE_EDOMAIN)
            fail_msg("case %zu: %s", i, lode_status_name(st));
        assert_says(&f->ctx, cases[i].says);
        assert_int_equal(b.count, 0);
    }
    char zero[] = BANNER "1 1 1\n1 1 1\n";
    zero[sizeof zero - 4] = '\0';
    files_put(f, "x.mtx", zero, sizeof zero - 1);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mtx"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "zero byte");
}

static void matrices_come_back(void **state)
{
    files *f = *state;
    static const lode_dtype types[] = {
        LODE_F32, LODE_F64, LODE_I16, LODE_BOOL, LODE_C64, LODE_C128
    };
    const int64_t shape[] = { 3, 4 };
    const lode_write_opts o = { .force = true };
    for (int k = 0; k < 7; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        if (k == 6) {
            files_add_sparse(f, &b, "A", LODE_COO);
        } else {
            lode_array a = { 0 }, t = { 0 };
            const int64_t n[] = { 3, 4 };
            assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 2, n, &a));
            for (int i = 0; i < 12; i++)
                ((double *)a.data)[i] = i / 3.0 - 2;
            assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, types[k], &t));
            assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, &b, "a", &t));
            lode_array_free(&a);
        }
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mtx"), &b, &o));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mtx"), NULL, &c));
        double want[12];
        for (int i = 0; i < 12; i++) {
            const int64_t at[] = { i / 4, i % 4 };
            lode_array d = { 0 };
            const lode_value v = lode_bundle_value(&b, 0);
            if (v.kind == LODE_SPARSE)
                assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, v.as.sparse, &d));
            else
                d = lode_array_ref(v.as.array);
            want[i] = lode_array_get(&d, at);
            lode_array_free(&d);
        }
        check_dense(f, &c, shape[0], shape[1], want);
        if (k == 5) { /* imaginary parts too: exact, as both are c128 */
            files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0));
            double *z = lode_bundle_value(&b, 0).as.array->data;
            z[3] = 0.1, z[22] = -1e-300;
            assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mtx"), &b, &o));
            lode_bundle_free(&c);
            assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mtx"), NULL, &c));
            files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0));
        }
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void vectors_are_columns_and_blanks_are_free(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3 };
    const double want[] = { 0, 0, 0, 0, 0, 2.5 };
    lode_bundle b = { 0 }, c = { 0 };
    files_add(f, &b, "v", LODE_I8, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mtx"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mtx"), NULL, &c));
    assert_int_equal(lode_bundle_value(&c, 0).as.array->shape[0], 3);
    assert_int_equal(lode_bundle_value(&c, 0).as.array->shape[1], 1);
    assert_ok(
        &f->ctx,
        read_text(f, "y.mtx",
                  "%%MatrixMarket  matrix\tcoordinate real general\n \t \n  2 3 1 \n\t2  3\t2.5  ",
                  &c));
    check_dense(f, &c, 2, 3, want);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void tables_by_hand(void **state)
{
    files *f = *state;
    const double nan = (double)NAN;
    static const struct {
        const char *name, *text;
        int rows, cols;
        double want[6];
    } cases[] = {
        { "x.csv", "1,2,3\n4,5,6\n", 2, 3, { 1, 2, 3, 4, 5, 6 } },
        { "x.csv", "# made by hand\na,\"b, c\",c\n1,2,3\n\n4,5,6", 2, 3, { 1, 2, 3, 4, 5, 6 } },
        { "x.csv", " 1 , -2e-1 ,\r\nNA,nan,\"6\"\r\n", 2, 3, { 1, -0.2, 7, 7, 7, 6 } }, /* 7: NaN */
        { "x.tsv", "1\t2\n3\t4\n5\t6\n", 3, 2, { 1, 2, 3, 4, 5, 6 } },
        { "x.csv", "7\n", 1, 1, { 7 } },
        { "x.csv", "x,y\n", 0, 2, { 0 } },
        { "x.csv", "", 0, 0, { 0 } },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double want[6];
        for (int k = 0; k < 6; k++)
            want[k] = i == 2 && cases[i].want[k] == 7 ? nan : cases[i].want[k];
        assert_ok(&f->ctx, read_text(f, cases[i].name, cases[i].text, &b));
        check_dense(f, &b, cases[i].rows, cases[i].cols, want);
    }
    assert_ok(&f->ctx, read_text(f, "x.csv", cases[1].text, &b));
    assert_string_equal(b.meta.attributes, "{\"columns\":[\"a\",\"b, c\",\"c\"]}");
    assert_status(&f->ctx, read_text(f, "x.csv", "1,2\n3\n", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "line 2: 1 fields, not the 2");
    assert_status(&f->ctx, read_text(f, "x.csv", "1,2\n3,4,5\n", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "line 2: 3 fields");
    assert_status(&f->ctx, read_text(f, "x.csv", "1,2\n3,x\n", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "'x' in column 1 is no number");
    lode_bundle_free(&b);
}

static void tables_come_back(void **state)
{
    files *f = *state;
    static const lode_dtype types[] = { LODE_F64, LODE_F32, LODE_I64, LODE_U64, LODE_BOOL };
    const int64_t shape[] = { 5, 3 }, one[] = { 4 }, three[] = { 2, 2, 2 };
    const lode_write_opts o = { .force = true };
    for (int k = 0; k < 5; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        double want[15];
        files_add(f, &b, "a", types[k], 2, shape);
        lode_array *a = (lode_array *)(uintptr_t)lode_bundle_value(&b, 0).as.array;
        for (int i = 0; i < 15; i++) {
            const int64_t at[] = { i / 3, i % 3 };
            want[i] = lode_array_get(a, at);
        }
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.csv"), &b, &o));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.csv"), NULL, &c));
        check_dense(f, &c, 5, 3, want);
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
    lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
    files_add(f, &b, "a", LODE_U8, 1, one);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.tsv"), &b, &o));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.tsv"), NULL, &c));
    assert_int_equal(lode_bundle_value(&c, 0).as.array->shape[1], 1);
    files_add(f, &d, "a", LODE_F32, 3, three);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.tsv"), &d, &o), LODE_ESHAPE);
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(matrices_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(bad_matrices_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(matrices_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(vectors_are_columns_and_blanks_are_free, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(tables_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(tables_come_back, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
