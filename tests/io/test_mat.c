/* MATLAB files of level 5: both ways, damaged ones, elements by hand. */
#include "files.h"

static void add_all(files *f, lode_bundle *b)
{
    static const lode_dtype types[] = { LODE_BOOL, LODE_I8,  LODE_I16, LODE_I32, LODE_I64,
                                        LODE_U8,   LODE_U16, LODE_U32, LODE_U64, LODE_F32,
                                        LODE_F64,  LODE_C64, LODE_C128 };
    static const int64_t shape[] = { 3, 4, 5 }, empty[] = { 0, 4 };
    char name[32];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(name, sizeof name, "v%zu", i);
        files_add(f, b, name, types[i], i % 2 ? 3 : 2, shape);
    }
    files_add(f, b, "empty", LODE_F64, 2, empty);
}

static void variables_come_back(void **state)
{
    files *f = *state;
    const lode_write_opts o[] = { { .format = "mat6", .force = true }, { .force = true } };
    lode_bundle b = { 0 }, c = { 0 };
    add_all(f, &b);
    for (int k = 0; k < 2; k++) {
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &o[k]));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c));
        files_same_bundle(&b, &c);
        lode_bundle_free(&c);
    }
    lode_bundle_free(&b);
}

static void names_given_twice_are_refused(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 2 };
    lode_bundle b = { 0 };
    size_t n = 0;
    files_add(f, &b, "x", LODE_F64, 2, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b,
                                  &(lode_write_opts){ .format = "mat6" }));
    unsigned char *bytes = files_get(f, "x.mat", &n);
    memcpy(bytes + n, bytes + 128, n - 128); /* the variables again, behind */
    files_put(f, "x.mat", bytes, 2 * n - 128);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "two members are named x");
    free(bytes);
    lode_bundle_free(&b);
}

/* Sparse ones as rows, vectors as columns, scalars 1 x 1, halves as singles; text is refused. */
static void other_values_are_turned(void **state)
{
    files *f = *state;
    const int64_t five[] = { 5 };
    lode_bundle b = { 0 }, c = { 0 };
    lode_array d[2] = { { 0 }, { 0 } };
    char spec[600];
    files_add_sparse(f, &b, "s", LODE_CSR);
    files_add(f, &b, "a.b", LODE_BF16, 1, five);
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "2", -7));
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, &b, "text", "h\xc3\xa4user \xf0\x9f\x98\x80"));
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, NULL));
    snprintf(spec, sizeof spec, "%s:s", f->path);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "s", &c));
    assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, lode_bundle_value(&b, 0).as.sparse, &d[0]));
    assert_ok(&f->ctx, lode_sparse_to_dense(&f->ctx, lode_bundle_value(&c, 0).as.sparse, &d[1]));
    for (int64_t i = 0; i < 12; i++) {
        const int64_t at[] = { i / 4, i % 4 };
        assert_true(lode_array_get(&d[0], at) == lode_array_get(&d[1], at));
    }
    LODE_FREE(&d[0], &d[1]);
    snprintf(spec, sizeof spec, "%s:a_b", files_path(f, "x.mat"));
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "h", &c));
    const lode_array *h = lode_bundle_value(&c, 1).as.array;
    assert_true(h->dtype == LODE_F32 && h->ndim == 2 && h->shape[0] == 5 && h->shape[1] == 1);
    snprintf(spec, sizeof spec, "%s:x2", files_path(f, "x.mat"));
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "i", &c));
    assert_true(*(int64_t *)lode_bundle_value(&c, 2).as.array->data == -7);
    snprintf(spec, sizeof spec, "%s:text", files_path(f, "x.mat"));
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "t", &c), LODE_EUNSUPPORTED);
    assert_says(&f->ctx, "text is text");
    LODE_FREE(&b, &c);
}

/* A file of 5 x 4 x 3 doubles whose value at (i, j, k) is i + 10 j + 100 k: any rectangle. */
static void rectangles_are_read_where_they_lie(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 5, 4, 3 };
    const lode_write_opts o[] = { { .format = "mat6", .force = true }, { .force = true } };
    for (int k = 0; k < 4; k++) {
        lode_bundle b = { 0 };
        lode_file *file = NULL;
        lode_source s = { 0 };
        files_add(f, &b, "x", k / 2 ? LODE_C128 : LODE_F64, 3, shape);
        lode_array *a = (lode_array *)(uintptr_t)lode_bundle_value(&b, 0).as.array;
        for (int64_t i = 0; i < 60; i++) {
            const double v = (double)(i / 12 + 10 * (i / 3 % 4) + 100 * (i % 3));
            if (k / 2)
                ((double *)a->data)[2 * i] = v, ((double *)a->data)[2 * i + 1] = -v;
            else
                ((double *)a->data)[i] = v;
        }
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &o[k % 2]));
        assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.mat"), NULL, &file));
        assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
        for (int64_t n = 0; n < 60; n++) {
            const int64_t start[] = { n / 12, n / 3 % 4, n % 3 };
            const int64_t count[] = { 5 - start[0], 4 - start[1], 3 - start[2] };
            double got[120];
            assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
            for (int64_t i = 0; i < count[0] * count[1] * count[2]; i++) {
                const double want = (double)(start[0] + i / (count[1] * count[2]) +
                                             10 * (start[1] + i / count[2] % count[1]) +
                                             100 * (start[2] + i % count[2]));
                assert_true(got[k / 2 ? 2 * i : i] == want);
                if (k / 2)
                    assert_true(got[2 * i + 1] == -want);
            }
        }
        lode_source_close(&s);
        lode_file_close(&file);
        lode_bundle_free(&b);
    }
}

/* What can be read only once, in its own order, is turned all the same. */
typedef struct stream {
    lode_source from;
    int64_t at;
} stream;

static lode_status read_stream(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, void *dst)
{
    stream *t = s->data;
    assert_true(start[0] >= t->at);
    t->at = start[0] + count[0];
    return t->from.read(ctx, &t->from, start, count, dst);
}

static void streams_are_turned(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 5, 4, 3 };
    static const char *const formats[] = { "mat6", "mat73" };
    for (int k = 0; k < 2; k++) {
        lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
        const lode_write_opts o = { .format = formats[k], .force = true };
        stream t = { .at = 0 };
        files_add(f, &b, "x", LODE_C128, 3, shape);
        assert_ok(&f->ctx,
                  lode_i_source_from_array(&f->ctx, lode_bundle_value(&b, 0).as.array, &t.from));
        lode_source s = t.from;
        s.rewindable = false, s.read = read_stream, s.close = NULL, s.data = &t;
        assert_ok(&f->ctx, lode_bundle_add_source(&f->ctx, &c, "x", &s));
        const lode_status st = lode_write(&f->ctx, files_path(f, "x.mat"), &c, &o);
        if (st != LODE_EUNSUPPORTED) { /* a build without HDF5 */
            assert_ok(&f->ctx, st);
            assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &d));
            files_same_bundle(&b, &d);
        }
        lode_source_close(&t.from);
        LODE_FREE(&b, &c, &d);
    }
}

/* Whatever byte is wrong, nothing but the values may be. */
static void damaged_files_are_survived(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    const int64_t shape[] = { 2, 3 };
    size_t size = 0;
    files_add(f, &b, "x", LODE_F64, 2, shape);
    files_add(f, &b, "z", LODE_C64, 2, shape);
    files_add_sparse(f, &b, "s", LODE_CSR);
    for (int k = 0; k < 2; k++) {
        const lode_write_opts o = { .format = k ? "mat" : "mat6", .force = true };
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, &o));
        unsigned char *bytes = files_get(f, "x.mat", &size);
        for (size_t i = 124; i < size; i++) {
            static const unsigned char flips[] = { 1, 0x80, 0xff };
            files_poke(f, "x.mat", i, bytes[i] ^ flips[i % 3]);
            lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c);
            lode_bundle_free(&c);
            files_poke(f, "x.mat", i, bytes[i]);
        }
        for (size_t n = size; n-- > 0;) {
            files_cut(f, "x.mat", n);
            lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c);
            lode_bundle_free(&c);
        }
        free(bytes);
    }
    lode_bundle_free(&b);
    files_put(f, "x.mat", "MATLAB 7.3 MAT-file", 19);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c), LODE_EFORMAT);
    char head[128] = "MATLAB 7.3 MAT-file";
    memcpy(head + 124, "\0\2IM", 4);
    files_put(f, "x.mat", head, sizeof head);
    /* as of a damaged HDF5 file; a build without HDF5 says what it is */
    const lode_status st = lode_read(&f->ctx, files_path(f, "x.mat"), NULL, &c);
    assert_true(st == LODE_EFORMAT || st == LODE_EUNSUPPORTED);
}

static void names_may_not_collide(void **state)
{
    files *f = *state;
    const int64_t one[] = { 1 };
    lode_bundle b = { 0 };
    files_add(f, &b, "a.b", LODE_F64, 1, one);
    files_add(f, &b, "a_b", LODE_F64, 1, one);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.mat"), &b, NULL), LODE_EUSAGE);
    assert_says(&f->ctx, "a_b");
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_given_twice_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(variables_come_back, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(other_values_are_turned, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(rectangles_are_read_where_they_lie, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(streams_are_turned, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(damaged_files_are_survived, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(names_may_not_collide, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
