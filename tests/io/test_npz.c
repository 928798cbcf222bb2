/* .npz: deflated and stored entries, zip64 both ways, archives that lie. */
#include "files.h"

#include <zlib.h>

/* A zip archive made by hand, with every field open to lies. */
typedef struct entry {
    const char *name;
    const void *bytes;
    size_t size;
    bool deflate;
    uint64_t claim; /* 0: the true size */
    int method;     /* 0: what it is */
    int flags;
    uint32_t crc_xor;
    int64_t shift; /* of the offset in the directory */
    bool wide;     /* zip64 fields in the directory */
} entry;

static unsigned char *put(unsigned char *p, int bytes, uint64_t v)
{
    for (int i = 0; i < bytes; i++)
        *p++ = (unsigned char)(v >> (8 * i) & 255);
    return p;
}

static size_t archive(unsigned char *file, const entry *e, int count)
{
    static unsigned char packed[1 << 16];
    unsigned char directory[4096], *d = directory, *p = file;
    for (int i = 0; i < count; i++, e++) {
        size_t n = e->size;
        const void *body = e->bytes;
        if (e->deflate) {
            z_stream z = { 0 };
            deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
            z.next_in = (unsigned char *)(uintptr_t)e->bytes, z.avail_in = (uInt)e->size;
            z.next_out = packed, z.avail_out = sizeof packed;
            assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
            n = z.total_out, body = packed;
            deflateEnd(&z);
        }
        const int method = e->method ? e->method : e->deflate ? 8 : 0;
        const uint32_t crc = (uint32_t)crc32_z(0, e->bytes, e->size) ^ e->crc_xor;
        const uint64_t size = e->claim ? e->claim : e->size,
                       at = (uint64_t)(p - file) + (uint64_t)e->shift;
        const size_t name = strlen(e->name);
        p = put(p, 4, 0x04034b50), p = put(p, 2, 20), p = put(p, 2, (uint64_t)e->flags),
        p = put(p, 2, (uint64_t)method);
        p = put(p, 4, 0), p = put(p, 4, crc), p = put(p, 4, n), p = put(p, 4, size),
        p = put(p, 2, name), p = put(p, 2, 0);
        memcpy(p, e->name, name), p += name;
        memcpy(p, body, n), p += n;
        d = put(d, 4, 0x02014b50), d = put(d, 4, 45 << 16 | 45), d = put(d, 2, (uint64_t)e->flags);
        d = put(d, 2, (uint64_t)method), d = put(d, 4, 0), d = put(d, 4, crc);
        d = put(d, 4, e->wide ? UINT32_MAX : n), d = put(d, 4, e->wide ? UINT32_MAX : size),
        d = put(d, 2, name);
        d = put(d, 2, e->wide ? 28 : 0), d = put(d, 8, 0), d = put(d, 2, 0),
        d = put(d, 4, e->wide ? UINT32_MAX : at);
        /* put writes 8 and 2 bytes of comment length, disk and attributes: 2 + 2 + 2 + 4 */
        memcpy(d, e->name, name), d += name;
        if (e->wide)
            d = put(d, 2, 1), d = put(d, 2, 24), d = put(d, 8, size), d = put(d, 8, n),
            d = put(d, 8, at);
    }
    const size_t at = (size_t)(p - file), size = (size_t)(d - directory);
    memcpy(p, directory, size), p += size;
    p = put(p, 4, 0x06054b50), p = put(p, 4, 0), p = put(p, 2, (uint64_t)count),
    p = put(p, 2, (uint64_t)count);
    p = put(p, 4, size), p = put(p, 4, at), p = put(p, 2, 0);
    return (size_t)(p - file);
}

/* A .npy of n zeros of f8, in a static buffer. */
static size_t zeros(unsigned char *npy, int n)
{
    const int head = snprintf((char *)npy + 10, 118,
                              "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}", n);
    memcpy(npy, "\x93NUMPY\1\0", 8);
    npy[8] = (unsigned char)head, npy[9] = 0;
    memset(npy + 10 + head, 0, (size_t)n * 8);
    return (size_t)(10 + head + 8 * n);
}

static void hand_made_archives_are_read(void **state)
{
    files *f = *state;
    unsigned char npy[2048], file[8192];
    const size_t n = zeros(npy, 100);
    for (int k = 0; k < 4; k++) {
        lode_bundle b = { 0 };
        const entry e[] = {
            { .name = "x.npy", .bytes = npy, .size = n, .deflate = k & 1, .wide = k & 2 },
            { .name = "readme", .bytes = "hello", .size = 5 }
        };
        files_put(f, "x.npz", file, archive(file, e, 2));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b));
        assert_int_equal(b.count, 1);
        assert_string_equal(lode_bundle_name(&b, 0), "x");
        const lode_array *a = lode_bundle_value(&b, 0).as.array;
        assert_int_equal(a->shape[0], 100);
        for (int i = 0; i < 100; i++)
            assert_true(((const double *)a->data)[i] == 0);
        lode_bundle_free(&b);
    }
}

static void lying_archives_are_refused(void **state)
{
    files *f = *state;
    unsigned char npy[2048], file[8192];
    const size_t n = zeros(npy, 100);
    const struct {
        entry e;
        lode_status status;
        const char *says;
    } cases[] = {
        { { .name = "x.npy", .bytes = npy, .size = n, .deflate = true, .crc_xor = 1 },
          LODE_EFORMAT,
          "CRC" },
        { { .name = "x.npy", .bytes = npy, .size = n, .crc_xor = 1 }, LODE_EFORMAT, "CRC" },
        { { .name = "x.npy", .bytes = npy, .size = n, .deflate = true, .claim = n + 8 },
          LODE_EFORMAT,
          "follow it" },
        { { .name = "x.npy", .bytes = npy, .size = n - 8, .deflate = true, .claim = n },
          LODE_EFORMAT,
          "claims" },
        { { .name = "x.npy", .bytes = npy, .size = n - 8 }, LODE_EFORMAT, "follow it" },
        { { .name = "x.npy", .bytes = npy, .size = n, .deflate = true, .claim = UINT64_C(1) << 31 },
          LODE_EFORMAT,
          "more than" },
        { { .name = "x.npy", .bytes = npy, .size = n, .claim = n + 1 }, LODE_EFORMAT, "claims" },
        { { .name = "x.npy", .bytes = npy, .size = n, .method = 12 },
          LODE_EUNSUPPORTED,
          "method 12" },
        { { .name = "x.npy", .bytes = npy, .size = n, .flags = 1 },
          LODE_EUNSUPPORTED,
          "encrypted" },
        { { .name = "x.npy", .bytes = npy, .size = n, .shift = 4 },
          LODE_EFORMAT,
          "does not begin" },
        { { .name = "x.npy", .bytes = npy, .size = n, .shift = 100000 }, LODE_EFORMAT, "outside" },
        { { .name = "x.npy", .bytes = npy, .size = n, .wide = true, .shift = -1000000 },
          LODE_EFORMAT,
          "outside" },
        { { .name = "x.npy", .bytes = npy, .size = n, .method = 8 }, LODE_EFORMAT, "inflates to" },
        { { .name = "x.npy", .bytes = "not npy at all", .size = 14 },
          LODE_EFORMAT,
          "does not begin" },
        { { .name = "x.npy", .bytes = "", .size = 0 }, LODE_EFORMAT, "does not begin" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        files_put(f, "x.npz", file, archive(file, &cases[i].e, 1));
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b),
                      cases[i].status);
        assert_says(&f->ctx, cases[i].says);
    }
    /* The same name twice; the same bytes twice. */
    const entry twice[] = { { .name = "x.npy", .bytes = npy, .size = n },
                            { .name = "x.npy", .bytes = npy, .size = n } };
    lode_bundle b = { 0 };
    files_put(f, "x.npz", file, archive(file, twice, 2));
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "two members are named x");
    const entry shared[] = {
        { .name = "x.npy", .bytes = npy, .size = n },
        { .name = "y.npy", .bytes = npy, .size = n, .shift = -(int64_t)(n + 35) }
    };
    files_put(f, "x.npz", file, archive(file, shared, 2));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL,
                                 &b)); /* half of the file is named twice */
    lode_bundle_free(&b);
    const entry more[] = {
        shared[0],
        shared[1],
        { .name = "z.npy", .bytes = npy, .size = n, .shift = -2 * (int64_t)(n + 35) },
        { .name = "w.npy", .bytes = npy, .size = n, .shift = -3 * (int64_t)(n + 35) }
    };
    size_t size = archive(file, more, 4);
    files_put(f, "x.npz", file, size);
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b));
    lode_bundle_free(&b);
}

/* 1 GB of zeros in 1 MB: refused for its budget without having been inflated; and claims that
 * cannot be. */
static void a_bomb_takes_no_memory(void **state)
{
    files *f = *state;
    unsigned char npy[256], *file = malloc(1 << 20), *packed = malloc(1 << 20);
    lode_bundle b = { 0 };
    const uint64_t values = UINT64_C(96) << 20;
    assert_non_null(file);
    assert_non_null(packed);
    size_t n = (size_t)(10 + snprintf((char *)npy + 10, 118,
                                      "{'descr': '|u1', 'fortran_order': False, 'shape': (%d,)}",
                                      (int)values));
    memcpy(npy, "\x93NUMPY\1\0", 8);
    npy[8] = (unsigned char)(n - 10), npy[9] = 0;
    z_stream z = { 0 };
    deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    static unsigned char nothing[1 << 20];
    z.next_in = npy, z.avail_in = (uInt)n;
    z.next_out = packed, z.avail_out = 1 << 20;
    deflate(&z, Z_NO_FLUSH);
    for (uint64_t done = 0; done < values; done += sizeof nothing) {
        z.next_in = nothing, z.avail_in = sizeof nothing;
        deflate(&z, done + sizeof nothing == values ? Z_FINISH : Z_NO_FLUSH);
    }
    const entry e = {
        .name = "x.npy", .bytes = packed, .size = z.total_out, .method = 8, .claim = n + values
    };
    deflateEnd(&z);
    files_put(f, "x.npz", file, archive(file, &e, 1));
    lode_ctx_set_memory(&f->ctx, 8 << 20);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b), LODE_EBUDGET);
    free(file), free(packed);
}

static void each_failing_allocation_of_inflating_is_survived(void **state)
{
    files *f = *state;
    unsigned char npy[2048], file[8192];
    const entry e = { .name = "x.npy", .bytes = npy, .size = zeros(npy, 100), .deflate = true };
    lode_bundle b = { 0 };
    files_put(f, "x.npz", file, archive(file, &e, 1));
    const int64_t live = f->heap.live;
    for (int64_t n = 1;; n++) {
        heap_fail(&f->heap, n);
        const lode_status st = lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &b);
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        if (st == LODE_OK) {
            assert_false(failed);
            break;
        }
        assert_int_equal(st, LODE_ENOMEM);
        assert_int_equal(f->heap.live, live);
    }
    lode_bundle_free(&b);
}

static void cut_archives_fail(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    files_everything(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npz"), &b, NULL));
    files_cut_fails(f, "x.npz", SIZE_MAX);
    lode_bundle_free(&b);
}

/* With the limit of zip64 set low, small archives take its fields. */
static void zip64_is_written_and_read(void **state)
{
    files *f = *state;
    for (uint64_t limit = 1; limit < 4000; limit *= 3) {
        lode_bundle b = { 0 }, c = { 0 };
        lode_i_item items[2];
        files_everything(f, &b);
        for (int i = 0; i < 2; i++)
            items[i] = (lode_i_item){ lode_bundle_name(&b, i), lode_bundle_value(&b, i) };
        const lode_i_output out = { .count = 2, .items = items };
        assert_ok(&f->ctx, lode_i_npz_write(&f->ctx, files_path(f, "x.npz"), &out, true, limit));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &c));
        for (int i = 0; i < 2; i++)
            files_same_value(lode_bundle_value(&b, i), lode_bundle_value(&c, i));
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void a_lone_sparse_value_is_scipys(void **state)
{
    files *f = *state;
    for (int k = 0; k < 2; k++) {
        lode_bundle b = { 0 }, c = { 0 };
        lode_i_zip zip = { 0 };
        lode_infile *in = NULL;
        files_add_sparse(f, &b, "A", k ? LODE_COO : LODE_CSR);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, k ? "y.npz" : "x.npz"), &b, NULL));
        assert_ok(&f->ctx, lode_i_infile_open(&f->ctx, f->path, &in));
        assert_ok(&f->ctx, lode_i_zip_list(&f->ctx, in, &zip));
        assert_string_equal(zip.at[0].name, k ? "row.npy" : "indices.npy");
        lode_i_zip_free(&zip);
        lode_i_infile_close(in);
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, k ? "y.npz" : "x.npz"), NULL, &c));
        assert_int_equal(c.count, 1);
        files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0));
        lode_bundle_free(&b), lode_bundle_free(&c);
    }
}

static void hostile_sparse_parts_are_refused(void **state)
{
    files *f = *state;
    static const struct {
        int64_t indptr[4], indices[4];
        const char *says;
    } cases[] = {
        { { 0, 2, 2, 5 }, { 0, 3, 1, 2 }, "indptr" },
        { { 0, 5, 2, 4 }, { 0, 3, 1, 2 }, "falls" },
        { { 0, INT64_MAX, 2, 4 }, { 0, 3, 1, 2 }, "falls" },
        { { 1, 2, 2, 4 }, { 0, 3, 1, 2 }, "indptr" },
        { { 0, 2, 2, 4 }, { 0, 4, 1, 2 }, "4" },
        { { 0, 2, 2, 4 }, { 0, -1, 1, 2 }, "-1" },
        { { 0, 2, 2, 4 }, { 3, 3, 1, 2 }, "3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 }, c = { 0 };
        files_add_sparse(f, &b, "A", LODE_CSR);
        const lode_sparse *s = lode_bundle_value(&b, 0).as.sparse;
        memcpy(s->indptr.data, cases[i].indptr, sizeof cases[i].indptr);
        memcpy(s->indices.data, cases[i].indices, sizeof cases[i].indices);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npz"), &b,
                                      &(lode_write_opts){ .force = true }));
        const lode_status st = lode_read(&f->ctx, files_path(f, "x.npz"), NULL, &c);
        assert_true(st == LODE_EFORMAT || st == LODE_EDOMAIN || st == LODE_ESHAPE);
        assert_says(&f->ctx, cases[i].says);
        lode_bundle_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hand_made_archives_are_read, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(lying_archives_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(a_bomb_takes_no_memory, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_inflating_is_survived,
                                        files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(cut_archives_fail, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(zip64_is_written_and_read, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(a_lone_sparse_value_is_scipys, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(hostile_sparse_parts_are_refused, files_setup,
                                        files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
