/* The reader of dense members: rectangles of any shape against indexing in memory, several threads,
 * hashing. */
#include "files.h"

static uint32_t seed;
static int64_t below(int64_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (int64_t)(seed >> 8) % n;
}

/* Rectangle of a source against the same of an array in memory. */
static void check_rectangle(files *f, const lode_source *s, const lode_array *a,
                            const int64_t *start, const int64_t *count)
{
    static unsigned char got[1 << 16];
    const size_t size = lode_dtype_size(a->dtype);
    int64_t index[LODE_MAX_NDIM] = { 0 }, total = 1;
    for (int k = 0; k < a->ndim; k++)
        total *= count[k];
    assert_true((size_t)total * size <= sizeof got);
    memset(got, 0xAA, sizeof got);
    assert_ok(&f->ctx, s->read(&f->ctx, s, start, count, got));
    for (int64_t i = 0; i < total; i++) {
        int64_t at = 0;
        for (int k = 0; k < a->ndim; k++)
            at += (start[k] + index[k]) * a->strides[k];
        assert_memory_equal(got + (size_t)i * size,
                            (const unsigned char *)a->data + (size_t)at * size, size);
        for (int k = a->ndim; k-- > 0 && ++index[k] == count[k];)
            index[k] = 0;
    }
}

static void check_member(files *f, const char *path, const lode_array *a, int rounds)
{
    lode_file *file = NULL;
    lode_source s = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    assert_ok(&f->ctx, lode_file_open(&f->ctx, path, NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    assert_true(s.rewindable && s.concurrent);
    lode_file_close(&file); /* the source keeps what it needs */
    for (int r = 0; r < rounds; r++) {
        for (int k = 0; k < a->ndim; k++) {
            const int whole = below(4) == 0;
            start[k] = whole ? 0 : below(a->shape[k]);
            count[k] = whole ? a->shape[k] : below(a->shape[k] - start[k] + 1);
        }
        check_rectangle(f, &s, a, start, count);
    }
    start[0] = 1, count[0] = a->shape[0];
    assert_status(&f->ctx, s.read(&f->ctx, &s, start, count, NULL), LODE_ESHAPE);
    lode_source_close(&s);
}

static void random_rectangles(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 5, 9, 4, 7 };
    static const char *const names[] = {
        "x.npy", "x.lode", "x.npz", "x.safetensors", "x.raw", "x/"
    };
    static const lode_dtype types[] = {
        LODE_F32, LODE_C128, LODE_U8, LODE_F16, LODE_F64, LODE_I16
    };
    const lode_write_opts o = { .force = true };
    seed = 1;
    for (int k = 0; k < 6; k++) {
        lode_bundle b = { 0 };
        if (!files_known(f, names[k]))
            continue;
        files_add(f, &b, "x", types[k], 4, shape);
        const lode_array *a = lode_bundle_value(&b, 0).as.array;
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, names[k]), &b, &o));
        if (k != 4)
            check_member(f, files_path(f, names[k]), a, 60);
        lode_bundle_free(&b);
    }
}

/* The same values laid out in Fortran order, by hand. */
static void fortran_rectangles(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 6, 11, 5 };
    lode_array a = files_array(f, LODE_F32, 3, shape, 3);
    char file[128 + 6 * 11 * 5 * 4];
    const int n = snprintf(file + 10, 118,
                           "{'descr': '<f4', 'fortran_order': True, 'shape': (6, 11, 5)}");
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)n, file[9] = 0;
    char *to = file + 10 + n;
    for (int64_t j = 0; j < 5; j++)
        for (int64_t i = 0; i < 11; i++)
            for (int64_t h = 0; h < 6; h++, to += 4)
                memcpy(to, (const float *)a.data + (h * 11 + i) * 5 + j, 4);
    files_little(LODE_F32, file + 10 + n, (size_t)(to - file) - 10 - (size_t)n);
    files_put(f, "x.npy", file, (size_t)(to - file));
    seed = 2;
    check_member(f, files_path(f, "x.npy"), &a, 200);
    lode_array_free(&a);
}

/* More than a chunk of checksums and more than a window: columns, rows, blocks of a 600 x 1100
 * matrix. */
static void large_members_by_parts(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 600, 1100 };
    static const int64_t parts[][4] = { { 0, 5, 600, 1 },       { 299, 0, 2, 1100 },
                                        { 100, 100, 120, 100 }, { 599, 1099, 1, 1 },
                                        { 0, 1000, 150, 100 },  { 5, 0, 9, 1100 } };
    lode_bundle b = { 0 };
    files_add(f, &b, "x", LODE_F32, 2, shape);
    for (int k = 0; k < 2; k++) {
        lode_file *file = NULL;
        lode_source s = { 0 };
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, k ? "x.lode" : "x.npy"), &b, NULL));
        assert_ok(&f->ctx,
                  lode_file_open(&f->ctx, files_path(f, k ? "x.lode" : "x.npy"), NULL, &file));
        assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            check_rectangle(f, &s, lode_bundle_value(&b, 0).as.array, parts[p], parts[p] + 2);
        lode_source_close(&s);
        lode_file_close(&file);
    }
    lode_bundle_free(&b);
}

typedef struct job {
    const lode_source *s;
    const lode_array *a;
} job;

static lode_status read_row(lode_ctx *ctx, int64_t i, void *data)
{
    const job *j = data;
    float row[1000];
    const int64_t start[2] = { i, 0 }, count[2] = { 1, 1000 };
    LODE_FORWARD(j->s->read(ctx, j->s, start, count, row));
    return memcmp(row, (const float *)j->a->data + i * 1000, sizeof row) == 0
               ? LODE_OK
               : lode_i_fail(ctx, LODE_EINTERNAL, "row");
}

static void several_threads_read_one_source(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 700, 1000 };
    lode_bundle b = { 0 };
    lode_file *file = NULL;
    lode_source s = { 0 };
    files_add(f, &b, "x", LODE_F32, 2, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.lode"), NULL, &file));
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    job j = { &s, lode_bundle_value(&b, 0).as.array };
    f->ctx.threads = 4;
    assert_ok(&f->ctx, lode_i_parallel(&f->ctx, 700, read_row, &j));
    lode_source_close(&s);
    lode_file_close(&file);
    lode_bundle_free(&b);
}

/* ---- hashing ---- */

static void hash_of(files *f, lode_value v, char hex[72])
{
    memset(hex, 0, 72);
    assert_ok(&f->ctx, lode_hash(&f->ctx, v, hex));
    assert_int_equal(strspn(hex, "0123456789abcdef"), 64);
    assert_int_equal(strlen(hex), 64);
}

static void hashes_depend_on_values_type_and_shape_only(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 500, 3, 301 }, flat[] = { 500 * 903 }, other[] = { 3, 500, 301 };
    char a[72], b[72];
    lode_array x = files_array(f, LODE_F64, 3, shape, 9), y = { 0 }, t = { 0 };
    lode_source s = { 0 };
    hash_of(f, lode_from_array(&x), a);
    for (int threads = 1; threads <= 3; threads++) {
        f->ctx.threads = threads;
        hash_of(f, lode_from_array(&x), b);
        assert_string_equal(a, b);
    }
    /* A source with any chunk, and a view with other strides. */
    assert_ok(&f->ctx, lode_i_source_from_array(&f->ctx, &x, &s));
    for (int64_t chunk = 0; chunk < 500; chunk = 2 * chunk + 1) {
        s.chunk[0] = chunk;
        hash_of(f, lode_from_source(&s), b);
        assert_string_equal(a, b);
    }
    const int axes[] = { 1, 0, 2 };
    assert_ok(&f->ctx, lode_array_permute(&f->ctx, &x, axes, &t));
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, other, &y));
    assert_ok(&f->ctx, lode_array_copy_into(&f->ctx, &t, &y));
    lode_array back = lode_array_ref(&y);
    back.shape[0] = 500, back.shape[1] = 3;
    back.strides[0] = 301, back.strides[1] = 500 * 301;
    hash_of(f, lode_from_array(&back), b);
    assert_string_equal(a, b);
    lode_array_free(&back);
    /* Another shape, another type, another bit. */
    lode_array v = lode_array_wrap(x.data, LODE_F64, 1, flat);
    hash_of(f, lode_from_array(&v), b);
    assert_string_not_equal(a, b);
    v = lode_array_wrap(x.data, LODE_I64, 3, shape);
    hash_of(f, lode_from_array(&v), b);
    assert_string_not_equal(a, b);
    ((unsigned char *)x.data)[3000000] ^= 1;
    hash_of(f, lode_from_array(&x), b);
    assert_string_not_equal(a, b);
    lode_source_close(&s);
    LODE_FREE(&x, &y, &t);
}

static void hashes_of_small_and_sparse_values(void **state)
{
    files *f = *state;
    const int64_t one[] = { 1 }, none[] = { 0 };
    char a[72], b[72];
    lode_bundle m = { 0 };
    lode_array x = files_array(f, LODE_F32, 0, one, 1), y = files_array(f, LODE_F32, 1, one, 1),
               z = files_array(f, LODE_F32, 1, none, 1);
    hash_of(f, lode_from_array(&x), a), hash_of(f, lode_from_array(&y), b);
    assert_string_not_equal(a, b);
    hash_of(f, lode_from_array(&z), b);
    assert_string_not_equal(a, b);
    files_add_sparse(f, &m, "A", LODE_CSR), files_add_sparse(f, &m, "B", LODE_COO);
    hash_of(f, lode_bundle_value(&m, 0), a), hash_of(f, lode_bundle_value(&m, 1), b);
    assert_string_not_equal(a, b);
    assert_status(&f->ctx, lode_hash(&f->ctx, lode_none(), a), LODE_ETYPE);
    lode_bundle_free(&m);
    LODE_FREE(&x, &y, &z);
}

/* ---- streaming out ---- */

/* A source that is not an array: value of index i, j is 1000 i + j. */
static lode_status read_ramp(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    (void)ctx;
    assert_true(count[1] <= s->shape[1] && count[0] <= s->shape[0]);
    for (int64_t i = 0; i < count[0]; i++)
        for (int64_t j = 0; j < count[1]; j++)
            ((double *)dst)[i * count[1] + j] = (double)(1000 * (start[0] + i) + start[1] + j);
    return LODE_OK;
}

static void sources_are_written_as_they_are(void **state)
{
    files *f = *state;
    static const char *const names[] = { "x.npy", "x.lode", "x.npz", "x.safetensors", "x/" };
    for (int64_t chunk = 0; chunk <= 40; chunk += 20) {
        const lode_source s = { .dtype = LODE_F64,
                                .ndim = 2,
                                .shape = { 1500, 900 },
                                .chunk = { chunk },
                                .read = read_ramp };
        for (int k = 0; k < 5; k++) {
            lode_bundle b = { 0 };
            const lode_write_opts o = { .force = true };
            if (!files_known(f, names[k]))
                continue;
            assert_ok(&f->ctx, lode_write_source(&f->ctx, files_path(f, names[k]), "ramp", &s, &o));
            assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, names[k]), NULL, &b));
            const lode_array *a = lode_bundle_value(&b, 0).as.array;
            assert_int_equal(a->shape[1], 900);
            for (int64_t i = 0; i < 1500; i += 7)
                for (int64_t j = 0; j < 900; j += 11)
                    assert_true(((const double *)a->data)[i * 900 + j] == (double)(1000 * i + j));
            lode_bundle_free(&b);
        }
    }
}

static void empty_sources_are_written(void **state)
{
    files *f = *state;
    static const int64_t shapes[][2] = { { 0, 5 }, { 5, 0 } };
    for (int k = 0; k < 2; k++) {
        lode_source s = { .dtype = LODE_F64, .ndim = 2, .read = read_ramp };
        lode_bundle b = { 0 };
        memcpy(s.shape, shapes[k], sizeof shapes[k]);
        assert_ok(&f->ctx,
                  lode_write_source(&f->ctx, files_path(f, k ? "x.lode" : "x.npy"), "x", &s, NULL));
        assert_ok(&f->ctx, lode_read(&f->ctx, f->path, NULL, &b));
        assert_int_equal(lode_bundle_value(&b, 0).as.array->shape[1], shapes[k][1]);
        lode_bundle_free(&b);
    }
}

static void writing_takes_little_memory(void **state)
{
    files *f = *state;
    const lode_source s = {
        .dtype = LODE_F64, .ndim = 2, .shape = { 6000, 900 }, .read = read_ramp
    }; /* 43 MB */
    const lode_write_opts o = { .force = true };
    lode_bundle b = { 0 };
    lode_ctx_memory_reset_peak(&f->ctx);
    assert_ok(&f->ctx, lode_write_source(&f->ctx, files_path(f, "x.lode"), "ramp", &s, &o));
    assert_le(lode_ctx_memory_peak(&f->ctx), 12 << 20);
    lode_ctx_set_memory(&f->ctx, 20 << 20);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &b), LODE_EBUDGET);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, files_path(f, "x.lode"), NULL, false, "x", &b));
    assert_ok(&f->ctx, lode_write_source(&f->ctx, files_path(f, "y.npy"), "x",
                                         lode_bundle_value(&b, 0).as.source, &o));
    char h1[72], h2[72];
    hash_of(f, lode_from_source(&s), h1), hash_of(f, lode_bundle_value(&b, 0), h2);
    assert_string_equal(h1, h2);
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_rectangles, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(fortran_rectangles, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(large_members_by_parts, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(several_threads_read_one_source, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(hashes_depend_on_values_type_and_shape_only, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(hashes_of_small_and_sparse_values, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(sources_are_written_as_they_are, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(empty_sources_are_written, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(writing_takes_little_memory, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
