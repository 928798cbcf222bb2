/* What tests of file formats share: files of given bytes, arrays with known values, comparison of
 * bundles. */
#ifndef LODE_TESTS_IO_FILES_H
#define LODE_TESTS_IO_FILES_H

#include "../fixture.h"

#include "io/io.h"

#include <math.h>

typedef struct files {
    heap heap;
    lode_ctx ctx;
    char folder[256], path[512];
} files;

static inline int files_setup(void **state)
{
    static files f;
    memset(&f, 0, sizeof f);
    const lode_allocator a = heap_of(&f.heap);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.threads = 2;
    folder_make(f.folder);
    *state = &f;
    return 0;
}

static inline int files_teardown(void **state)
{
    files *f = *state;
    folder_remove(f->folder);
    const uint64_t used = lode_ctx_memory_used(&f->ctx);
    lode_ctx_free(&f->ctx);
    if (used || f->heap.live)
        print_error("left behind: %" PRIu64 " bytes, %" PRId64 " blocks\n", used,
                    (int64_t)f->heap.live);
    return used || f->heap.live ? -1 : 0;
}

/* A path in the test's folder; valid until the next call. */
static inline const char *files_path(files *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, name);
    return f->path;
}

/* Whether this build has the format that the name says: the core build lacks most. */
static inline bool files_known(files *f, const char *name)
{
    const lode_i_format *format = NULL;
    return lode_i_format_find(&f->ctx, NULL, name, &format) == LODE_OK && format;
}

static inline void files_put(files *f, const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(files_path(f, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Values of this machine as files hold them, or back: lowest byte first. */
static inline void files_little(lode_dtype dtype, void *values, size_t bytes)
{
    if (LODE_I_BIG_ENDIAN)
        lode_i_turn_bytes(dtype, values, bytes);
}

/* Changes one byte in place: rewriting whole files thousands of times would wait for the disk. */
static inline void files_poke(files *f, const char *name, size_t at, unsigned char byte)
{
    FILE *file = fopen(files_path(f, name), "r+b");
    assert_non_null(file);
    assert_int_equal(fseeko(file, (off_t)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), byte);
    assert_int_equal(fclose(file), 0);
}

/* Cuts the file to its first `size` bytes. */
static inline void files_cut(files *f, const char *name, size_t size)
{
    assert_int_equal(truncate(files_path(f, name), (off_t)size), 0);
}

/* Whole file, malloc'ed. */
static inline unsigned char *files_get(files *f, const char *name, size_t *size)
{
    FILE *file = fopen(files_path(f, name), "rb");
    assert_non_null(file);
    unsigned char *bytes = malloc(1 << 22);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 22, file);
    assert_true(*size < 1 << 22);
    fclose(file);
    return bytes;
}

/* Cut to `most` sizes at the most, from all but its end down to nothing, the file is damaged, and the
 * sentence names it. */
static inline void files_cut_fails(files *f, const char *name, size_t most)
{
    lode_bundle none = { 0 };
    size_t n = 0;
    free(files_get(f, name, &n));
    const size_t sizes = n < most ? n : most;
    for (size_t k = sizes; k-- > 0;) {
        files_cut(f, name, n * k / sizes);
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, name), NULL, &none), LODE_EFORMAT);
        assert_says(&f->ctx, name);
    }
}

/* Bytes that no format takes for granted: every value of a byte occurs, f32 and f64 are mostly
 * finite. */
static inline void files_fill(lode_array *a, unsigned seed)
{
    unsigned char *p = a->data;
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < lode_array_bytes(a); i++) {
        x = x * 1664525U + 1013904223U;
        p[i] = a->dtype == LODE_BOOL ? (unsigned char)(x >> 31) : (unsigned char)(x >> 24);
    }
}

static inline lode_array files_array(files *f, lode_dtype dtype, int ndim, const int64_t *shape,
                                     unsigned seed)
{
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, dtype, ndim, shape, &a));
    files_fill(&a, seed);
    return a;
}

static inline void files_same_array(const lode_array *a, const lode_array *b)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->ndim, b->ndim);
    for (int k = 0; k < a->ndim; k++)
        assert_int_equal(a->shape[k], b->shape[k]);
    assert_true(lode_array_is_contiguous(a) && lode_array_is_contiguous(b));
    assert_memory_equal(a->data, b->data, lode_array_bytes(a));
}

static inline void files_same_bundle(const lode_bundle *a, const lode_bundle *b);

static inline void files_same_value(lode_value a, lode_value b)
{
    assert_int_equal(a.kind, b.kind);
    switch (a.kind) {
    case LODE_ARRAY: files_same_array(a.as.array, b.as.array); break;
    case LODE_SPARSE:
        assert_int_equal(a.as.sparse->layout, b.as.sparse->layout);
        assert_int_equal(a.as.sparse->ndim, b.as.sparse->ndim);
        for (int k = 0; k < a.as.sparse->ndim; k++)
            assert_int_equal(a.as.sparse->shape[k], b.as.sparse->shape[k]);
        if (a.as.sparse->layout == LODE_CSR)
            files_same_array(&a.as.sparse->indptr, &b.as.sparse->indptr);
        files_same_array(&a.as.sparse->indices, &b.as.sparse->indices);
        files_same_array(&a.as.sparse->values, &b.as.sparse->values);
        break;
    case LODE_BUNDLE: files_same_bundle(a.as.bundle, b.as.bundle); break;
    case LODE_TEXT: assert_string_equal(a.as.text, b.as.text); break;
    case LODE_SCALAR:
        assert_int_equal(a.as.scalar->dtype, b.as.scalar->dtype);
        assert_int_equal(a.as.scalar->i, b.as.scalar->i);
        assert_memory_equal(&a.as.scalar->re, &b.as.scalar->re, sizeof a.as.scalar->re);
        break;
    default: fail_msg("values of kind %s are not compared", lode_kind_name(a.kind));
    }
}

static inline void files_same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static inline void files_same_bundle(const lode_bundle *a, const lode_bundle *b)
{
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        assert_string_equal(lode_bundle_name(a, i), lode_bundle_name(b, i));
        files_same_value(lode_bundle_value(a, i), lode_bundle_value(b, i));
    }
    assert_string_equal(a->meta.op, b->meta.op);
    assert_string_equal(a->meta.version, b->meta.version);
    assert_string_equal(a->meta.input_hash, b->meta.input_hash);
    files_same_text(a->meta.options, b->meta.options);
    files_same_text(a->meta.attributes, b->meta.attributes);
    assert_true(a->meta.seed == b->meta.seed && a->meta.input_bytes == b->meta.input_bytes);
    assert_int_equal(a->meta.has_shape, b->meta.has_shape);
    if (a->meta.has_shape) {
        assert_int_equal(a->meta.dtype, b->meta.dtype);
        assert_int_equal(a->meta.ndim, b->meta.ndim);
        assert_memory_equal(a->meta.shape, b->meta.shape, (size_t)a->meta.ndim * sizeof(int64_t));
    }
    const lode_certificate *c = &a->certificate, *d = &b->certificate;
    assert_true(c->kind == d->kind && c->norm == d->norm && c->relative == d->relative &&
                c->needs_original == d->needs_original);
    const double x[6] = { c->value, c->absolute, c->asked, c->failure, c->low, c->high };
    const double y[6] = { d->value, d->absolute, d->asked, d->failure, d->low, d->high };
    for (int k = 0; k < 6; k++)
        assert_true(x[k] == y[k] || (isnan(x[k]) && isnan(y[k])));
    assert_string_equal(c->quantity, d->quantity);
    assert_string_equal(c->note, d->note);
}

static inline void files_add(files *f, lode_bundle *b, const char *name, lode_dtype dtype, int ndim,
                             const int64_t *shape)
{
    lode_array a = files_array(f, dtype, ndim, shape, (unsigned)b->count + 1);
    assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, b, name, &a));
}

/* 3 x 4 with 4 entries, by rows or by coordinates. */
static inline void files_add_sparse(files *f, lode_bundle *b, const char *name, lode_layout layout)
{
    static const int64_t indptr[] = { 0, 2, 2, 4 }, columns[] = { 0, 3, 1, 2 },
                         both[] = { 0, 0, 0, 3, 2, 1, 2, 2 };
    lode_sparse s = { .layout = layout, .ndim = 2, .shape = { 3, 4 } };
    const int64_t four[] = { 4, 2 };
    s.values = files_array(f, LODE_I32, 1, four, 5);
    if (layout == LODE_CSR) {
        s.indptr = files_array(f, LODE_I64, 1, four, 0);
        s.indices = files_array(f, LODE_I64, 1, four, 0);
        memcpy(s.indptr.data, indptr, sizeof indptr);
        memcpy(s.indices.data, columns, sizeof columns);
    } else {
        s.indices = files_array(f, LODE_I64, 2, four, 0);
        memcpy(s.indices.data, both, sizeof both);
    }
    assert_ok(&f->ctx, lode_bundle_add_sparse(&f->ctx, b, name, &s));
}

static inline char *files_text(files *f, const char *text)
{
    char *copy = NULL;
    assert_ok(&f->ctx, lode_i_strdup(&f->ctx, text, &copy));
    return copy;
}

/* One of everything that a whole-result format keeps. */
static inline void files_everything(files *f, lode_bundle *b)
{
    static const int64_t a[] = { 3, 5 }, c[] = { 2, 64 }, empty[] = { 0, 4 };
    files_add(f, b, "core", LODE_F32, 2, a);
    files_add(f, b, "mask", LODE_BOOL, 2, a);
    files_add(f, b, "z", LODE_C128, 1, a);
    files_add(f, b, "w", LODE_C64, 0, a);
    files_add(f, b, "half", LODE_F16, 2, a);
    files_add(f, b, "brain", LODE_BF16, 2, a);
    files_add(f, b, "packed", LODE_Q4, 2, c);
    files_add(f, b, "bytes", LODE_Q8, 2, c);
    files_add(f, b, "empty", LODE_U16, 2, empty);
    files_add_sparse(f, b, "A", LODE_CSR);
    files_add_sparse(f, b, "B", LODE_COO);
    assert_ok(&f->ctx,
              lode_bundle_add_text(&f->ctx, b, "log", "first \"line\"\nsecond: h\xc3\xa4user"));
    assert_ok(&f->ctx, lode_bundle_add_text(&f->ctx, b, "nothing", ""));
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, b, "rank", -7));
    assert_ok(&f->ctx, lode_bundle_add_f64(&f->ctx, b, "error", 0.1));
    snprintf(b->meta.op, sizeof b->meta.op, "svd");
    snprintf(b->meta.version, sizeof b->meta.version, "0.1.0");
    snprintf(b->meta.input_hash, sizeof b->meta.input_hash, "%064d", 7);
    b->meta.options = files_text(f, "{\"rank\":3,\"error\":\"0.001:rel\",\"list\":[1,2.5]}");
    b->meta.attributes = files_text(f, "{\"variables\":{\"t\":{\"dims\":[\"x\",\"y\"]}}}");
    b->meta.seed = UINT64_MAX - 3;
    b->meta.input_bytes = UINT64_C(123456789012);
    b->meta.has_shape = true;
    b->meta.dtype = LODE_F64;
    b->meta.ndim = 2;
    b->meta.shape[0] = 100, b->meta.shape[1] = 7;
    b->certificate = (lode_certificate){ .kind = LODE_CERT_PROBABILISTIC,
                                         .norm = LODE_NORM_SPECTRAL,
                                         .relative = true,
                                         .value = 1e-3,
                                         .absolute = 0.1,
                                         .asked = (double)NAN,
                                         .failure = 1e-10,
                                         .low = -(double)INFINITY,
                                         .high = 5,
                                         .needs_original = true };
    snprintf(b->certificate.quantity, sizeof b->certificate.quantity, "||A - U diag(s) V^H||");
    snprintf(b->certificate.note, sizeof b->certificate.note, "rank 20 reached first");
}

#endif
