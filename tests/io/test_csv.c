/* Tables as text: separators, names, quotes, words for nothing, slabs of long files, gzip. */
#include "files.h"

#include <zlib.h>

static lode_status read_text(files *f, const char *name, const char *text, lode_bundle *b)
{
    lode_bundle_free(b);
    files_put(f, name, text, strlen(text));
    return lode_read(&f->ctx, files_path(f, name), NULL, b);
}

/* 7 stands for NaN. */
static void check(const lode_bundle *b, int64_t rows, int64_t cols, const double *want)
{
    const lode_array *a = lode_bundle_value(b, 0).as.array;
    assert_int_equal(a->shape[0], rows);
    assert_int_equal(a->shape[1], cols);
    for (int64_t i = 0; i < rows * cols; i++) {
        const double got = ((const double *)a->data)[i];
        assert_true(want[i] == 7 ? isnan(got) : got == want[i]);
    }
}

static void separators_and_names_are_found(void **state)
{
    files *f = *state;
    static const struct {
        const char *name, *text, *names;
        int rows, cols;
        double want[6];
    } cases[] = {
        { "x.csv", "1;2;3\n4;5;6\n", NULL, 2, 3, { 1, 2, 3, 4, 5, 6 } },
        { "x.csv", "1|2|3\r\n4|5|6\r\n", NULL, 2, 3, { 1, 2, 3, 4, 5, 6 } },
        { "x.csv", "1\t2\n4\t5\n", NULL, 2, 2, { 1, 2, 4, 5 } },
        { "x.tsv", "1,2\n4,5\n", NULL, 2, 2, { 1, 2, 4, 5 } },
        { "x.txt", "  1   2\t3\n4 5 6  \n", NULL, 2, 3, { 1, 2, 3, 4, 5, 6 } },
        { "x.txt", "# 1 2\n1.5e+00\n-2E-01\n", NULL, 2, 1, { 1.5, -0.2 } },
        { "x.csv",
          "\xef\xbb\xbf"
          "a,b\n1,2\n",
          "[\"a\",\"b\"]",
          1,
          2,
          { 1, 2 } },
        { "x.csv",
          "\"say \"\"x\"\"\",\"two\nlines\"\n1,2\n\"3\",4\n",
          "[\"say \\\"x\\\"\",\"two\\nlines\"]",
          2,
          2,
          { 1, 2, 3, 4 } },
        { "x.csv", "a,b\n,NA\nnull,NaN\n", "[\"a\",\"b\"]", 2, 2, { 7, 7, 7, 7 } },
        { "x.csv", ",a\n0,1\n", "[\"\",\"a\"]", 1, 2, { 0, 1 } },
        { "x.csv", "NA,2\n-999,n/a\n", NULL, 2, 2, { 7, 2, -999, 7 } },
        { "x.csv", "a b,c\n1,2\n", "[\"a b\",\"c\"]", 1, 2, { 1, 2 } },
        { "x.csv", "inf,-inf,1e300\n", NULL, 1, 3, { INFINITY, -INFINITY, 1e300 } },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(&f->ctx, read_text(f, cases[i].name, cases[i].text, &b));
        check(&b, cases[i].rows, cases[i].cols, cases[i].want);
        assert_int_equal(b.meta.attributes != NULL, cases[i].names != NULL);
        if (cases[i].names)
            assert_non_null(strstr(b.meta.attributes, cases[i].names));
    }
    assert_status(&f->ctx, read_text(f, "x.csv", "1,2\n\"3,4\n5,6\n", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "line 2");
    assert_says(&f->ctx, "never closed");
    assert_status(&f->ctx, read_text(f, "x.csv", "1,5;2\n3;4\n", &b), LODE_EFORMAT);
    assert_says(&f->ctx, "'1,5' in column 0");
    lode_bundle_free(&b);
}

/* Text columns only hinder who reads them. */
static void text_columns_can_be_left_out(void **state)
{
    files *f = *state;
    const char *text = "5.1,3.5,setosa\n4.9,3,virginica\n";
    const double want[] = { 5.1, 3.5, 4.9, 3 };
    char spec[600];
    lode_bundle b = { 0 };
    assert_status(&f->ctx, read_text(f, "x.csv", text, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "line 1");
    assert_says(&f->ctx, "[:,0:2]");
    snprintf(spec, sizeof spec, "%s[:,0:2]", files_path(f, "x.csv"));
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b));
    check(&b, 2, 2, want);
    lode_bundle_free(&b);
    files_put(f, "y.csv", "a,b,c\n1,2,3\n", 12);
    snprintf(spec, sizeof spec, "%s[:,2:0:-1]", files_path(f, "y.csv"));
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b));
    assert_string_equal(b.meta.attributes, "{\"columns\":[\"c\",\"b\"]}");
    lode_bundle_free(&b);
}

/* Any slab of a file with more rows than places are kept for; row i holds i, 2i and i mod 7. */
static void slabs_of_long_files(void **state)
{
    files *f = *state;
    enum { ROWS = 530000 };
    char *text = malloc(32 * ROWS), *p = text;
    assert_non_null(text);
    p += sprintf(p, "i,\"twice\",rest\n");
    for (int i = 0; i < ROWS; i++) {
        if (i % 1000 == 3)
            p += sprintf(p, "# comment, with \"\n\n");
        p += sprintf(p, "%d,\"%d\",%d\n", i, 2 * i, i % 7);
    }
    files_put(f, "x.csv", text, (size_t)(p - text));
    free(text);
    lode_file *file = NULL;
    lode_source s = { 0 };
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.csv"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    assert_true(s.rewindable && s.concurrent && s.shape[0] == ROWS && s.shape[1] == 3);
    static const int64_t starts[] = { ROWS - 2, 0, 63, 64, 65, 524287, 524288, 529000 };
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        double got[4];
        const int64_t start[] = { starts[k], 1 }, count[] = { 2, 2 };
        assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
        for (int i = 0; i < 2; i++) {
            assert_true(got[2 * i] == (double)(2 * (starts[k] + i)));
            assert_true(got[2 * i + 1] == (double)((starts[k] + i) % 7));
        }
    }
    lode_source_close(&s);
    lode_file_close(&file);
}

static void deflate_file(const char *from, const char *to, const char *mode)
{
    char piece[4096];
    FILE *in = fopen(from, "rb");
    gzFile out = gzopen(to, mode);
    assert_true(in && out);
    for (size_t n; (n = fread(piece, 1, sizeof piece, in)) > 0;)
        assert_int_equal(gzwrite(out, piece, (unsigned)n), n);
    fclose(in);
    assert_int_equal(gzclose(out), Z_OK);
}

static void gzip_goes_both_ways(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 300, 40 };
    char plain[600], packed[600];
    lode_bundle b = { 0 }, c = { 0 };
    const lode_write_opts force = { .force = true };
    files_add(f, &b, "a", LODE_F64, 2, shape);
    double *v = lode_bundle_value(&b, 0).as.array->data;
    for (int i = 0; i < 12000; i++)
        v[i] = isnan(v[i]) ? (double)NAN : v[i];
    snprintf(plain, sizeof plain, "%s", files_path(f, "x.csv"));
    snprintf(packed, sizeof packed, "%s", files_path(f, "x.csv.gz"));
    assert_ok(&f->ctx, lode_write(&f->ctx, plain, &b, NULL));
    assert_ok(&f->ctx, lode_write(&f->ctx, packed, &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, packed, NULL, &c));
    files_same_value(lode_bundle_value(&c, 0), lode_bundle_value(&b, 0)); /* the same bits */
    lode_bundle_free(&c);
    /* by zlib itself, as two members one after the other: the rows of both */
    deflate_file(plain, packed, "wb9");
    deflate_file(plain, packed, "ab1");
    assert_ok(&f->ctx, lode_read(&f->ctx, packed, NULL, &c));
    assert_int_equal(lode_bundle_value(&c, 0).as.array->shape[0], 600);
    lode_bundle_free(&c);
    /* through scratch, where memory is short */
    f->ctx.scratch = f->folder;
    lode_ctx_set_memory(&f->ctx, 1800000);
    lode_file *file = NULL;
    assert_ok(&f->ctx, lode_file_open(&f->ctx, packed, NULL, &file));
    int64_t got[2];
    assert_ok(&f->ctx, lode_file_info(&f->ctx, file, 0, NULL, NULL, NULL, got));
    assert_true(got[0] == 600 && got[1] == 40);
    lode_file_close(&file);
    lode_ctx_set_memory(&f->ctx, 1 << 30);
    /* any binary format inside is read too, and none is written */
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, NULL));
    deflate_file(f->path, packed, "wb");
    snprintf(plain, sizeof plain, "%s", files_path(f, "x.npy.gz"));
    assert_int_equal(rename(packed, plain), 0);
    assert_ok(&f->ctx, lode_read(&f->ctx, plain, NULL, &c));
    files_same_value(lode_bundle_value(&c, 0), lode_bundle_value(&b, 0));
    assert_status(&f->ctx, lode_write(&f->ctx, plain, &b, &force), LODE_EUNSUPPORTED);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void damaged_gzip_is_refused(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    char path[600];
    size_t size = 0;
    files_put(f, "x.csv", "1,2\n3,4\n", 8);
    snprintf(path, sizeof path, "%s", files_path(f, "x.csv.gz"));
    deflate_file(files_path(f, "x.csv"), path, "wb");
    unsigned char *bytes = files_get(f, "x.csv.gz", &size);
    for (size_t n = 3; n < size; n++) {
        files_put(f, "x.csv.gz", bytes, n);
        assert_status(&f->ctx, lode_read(&f->ctx, path, NULL, &b), LODE_EFORMAT);
    }
    memcpy(bytes + size, "\0\0", 3); /* padding is none of its business */
    files_put(f, "x.csv.gz", bytes, size + 2);
    assert_ok(&f->ctx, lode_read(&f->ctx, path, NULL, &b));
    bytes[size] = 'x';
    files_put(f, "x.csv.gz", bytes, size + 2);
    assert_status(&f->ctx, lode_read(&f->ctx, path, NULL, &b), LODE_EFORMAT);
    bytes[size - 6] ^= 1; /* its checksum */
    files_put(f, "x.csv.gz", bytes, size);
    assert_status(&f->ctx, lode_read(&f->ctx, path, NULL, &b), LODE_EFORMAT);
    free(bytes);
    lode_bundle_free(&b);
}

static void names_are_written(void **state)
{
    files *f = *state;
    const char *text = "a,\"b, \"\"c\"\"\",\"3\"\n1,0.1,-3\n";
    lode_bundle b = { 0 };
    size_t size = 0;
    assert_ok(&f->ctx, read_text(f, "x.csv", text, &b));
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "y.csv"), &b, NULL));
    unsigned char *bytes = files_get(f, "y.csv", &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(separators_and_names_are_found, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(text_columns_can_be_left_out, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(slabs_of_long_files, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(gzip_goes_both_ways, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(damaged_gzip_is_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(names_are_written, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
