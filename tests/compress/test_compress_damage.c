/* Damaged files: every wrong bit and every cut is noticed, and what it does not touch reads as
 * before where that is asked for. */
#include "fixture.h"

#include <math.h>

#include "array/array.h"
#include "lode/io.h"
#include "lode/lode.h"

typedef struct fix {
    lode_ctx ctx;
    lode_array x, whole; /* what was put in; what comes back of it undamaged */
    lode_bundle m;
    char folder[256], path[300], bad[300];
    unsigned char *bytes;
    size_t size;
} fix;

static int start(void **state)
{
    static fix f;
    f = (fix){ 0 };
    *state = &f;
    folder_make(f.folder);
    snprintf(f.path, sizeof f.path, "%s/m.lode", f.folder);
    snprintf(f.bad, sizeof f.bad, "%s/bad.lode", f.folder);
    return lode_ctx_init(&f.ctx, NULL);
}

static int end(void **state)
{
    fix *f = *state;
    LODE_FREE(&f->x, &f->whole, &f->m);
    free(f->bytes);
    lode_ctx_free(&f->ctx);
    folder_remove(f->folder);
    return 0;
}

/* 20 blocks of 1 row each, the last 4 of them added later. */
static void make_file(fix *f, lode_dtype dtype, const lode_missing *missing)
{
    const int64_t shape[] = { 20, 32, 33 };
    lode_compress_opts o = lode_compress_defaults();
    lode_array a = { 0 }, part = { 0 };
    o.block = (lode_auto_i64){ true, 1056 };
    o.error = lode_error_max(0.5);
    o.effort = 1;
    if (missing)
        o.missing = *missing;
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, shape, &a));
    const lode_stream s = lode_i_stream(&f->ctx, "values", 0);
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        ((double *)a.data)[i] = 60 + 20 * sin(0.01 * (double)i) +
                                3 * lode_i_random_normal(s, (uint64_t)i);
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    assert_ok(&f->ctx, lode_array_slice(&f->ctx, &f->x, 0, 0, 16, 1, &part));
    assert_ok(&f->ctx, lode_compress(&f->ctx, &o, lode_from_array(&part), &f->m, NULL));
    assert_ok(&f->ctx, lode_array_slice(&f->ctx, &f->x, 0, 16, 20, 1, &part));
    assert_ok(&f->ctx, lode_update(&f->ctx, &f->m, lode_from_array(&part), &f->m));
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->whole));
    assert_ok(&f->ctx, lode_write(&f->ctx, f->path, &f->m, &(lode_write_opts){ .force = true }));
    FILE *in = fopen(f->path, "rb");
    assert_non_null(in);
    free(f->bytes);
    f->bytes = malloc(1 << 20);
    f->size = fread(f->bytes, 1, 1 << 20, in);
    assert_true(f->size > 1000 && f->size < 1 << 20);
    fclose(in);
    LODE_FREE(&a, &part);
}

static void write_bytes(const fix *f, size_t size)
{
    FILE *out = fopen(f->bad, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(f->bytes, 1, size, out), size);
    fclose(out);
}

static uint64_t header_end(const fix *f)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | f->bytes[i];
    return n + 8;
}

/* Reads the damaged file as far as it goes: rows that come back are those of the whole, the others
 * are `instead` (NaN: NaN). Returns how many rows are lost. */
static int64_t recovered(fix *f, double instead)
{
    lode_ctx *ctx = &f->ctx;
    lode_bundle m = { 0 };
    lode_array y = { 0 };
    int64_t lost = 0;
    ctx->recover = true;
    lode_status st = lode_read(ctx, f->bad, NULL, &m);
    if (st < 0)
        fail_msg("%s", lode_message(ctx));
    st = lode_invert(ctx, &m, lode_none(), NULL, &y);
    if (st < 0)
        fail_msg("%s", lode_message(ctx));
    const size_t row = lode_array_bytes(&y) / 20;
    char share[32];
    for (int64_t r = 0; r < 20; r++) {
        char name[32];
        snprintf(name, sizeof name, "[%" PRId64 ":%" PRId64 ",0:32,0:33]", r, r + 1);
        if (memcmp((char *)y.data + (size_t)r * row, (char *)f->whole.data + (size_t)r * row,
                   row) == 0) {
            assert_null(strstr(lode_message(ctx), name));
            continue;
        }
        lost++;
        assert_non_null(strstr(lode_message(ctx), name));
        for (int64_t i = 0; i < 1056; i++) {
            const int64_t there[] = { r, i / 33, i % 33 };
            const double v = lode_array_get(&y, there);
            assert_true(isnan(instead) ? isnan(v) : v == instead);
        }
    }
    assert_int_equal(st, lost ? LODE_LOST : LODE_OK);
    if (lost) {
        snprintf(share, sizeof share, "%.3g%%", 5 * (double)lost);
        assert_non_null(strstr(lode_message(ctx), share));
    }
    ctx->recover = false;
    LODE_FREE(&m, &y);
    return lost;
}

/* ---- tests ---- */

static void any_wrong_bit_costs_one_block(void **state)
{
    fix *f = *state;
    lode_bundle m = { 0 };
    make_file(f, LODE_F32, NULL);
    const uint64_t data = header_end(f);
    int64_t costs = 0;
    for (size_t i = 0; i < f->size; i += i < 64 ? 9 : i < data ? 1499 : 229) {
        f->bytes[i] ^= (unsigned char)(1 << i % 8);
        write_bytes(f, f->size);
        const bool noticed = lode_read(&f->ctx, f->bad, NULL, &m) < 0;
        assert_true(noticed || i >= data); /* between members nothing matters */
        /* the table of segments comes first: without it no block has its place */
        const size_t table = lode_array_bytes(lode_bundle_get(&f->m, "segments").as.array);
        if (i < data || i >= data + table) {
            const int64_t lost = recovered(f, NAN);
            assert_true(lost == 0 || (lost == 1 && i >= data));
            costs += lost;
        }
        f->bytes[i] ^= (unsigned char)(1 << i % 8);
        LODE_FREE(&m);
    }
    assert_true(costs > 8);
}

static void a_file_that_is_cut_off_reads_as_far_as_it_goes(void **state)
{
    fix *f = *state;
    lode_bundle m = { 0 };
    lode_array y = { 0 };
    make_file(f, LODE_F32, NULL);
    const size_t data = (size_t)header_end(f);
    int64_t last = 20;
    const size_t table = lode_array_bytes(lode_bundle_get(&f->m, "segments").as.array);
    for (size_t size = data + table; size < f->size; size += (f->size - data) / 20) {
        write_bytes(f, size);
        assert_status(&f->ctx, lode_read(&f->ctx, f->bad, NULL, &m), LODE_EFORMAT);
        assert_says(&f->ctx, "--recover");
        const int64_t lost = recovered(f, NAN);
        assert_true(lost <= last);
        last = lost;
    }
    assert_le(last, 1);
    for (size_t size = 0; size < data; size += data / 20) {
        write_bytes(f, size);
        f->ctx.recover = true;
        assert_status(&f->ctx, lode_read(&f->ctx, f->bad, NULL, &m), LODE_EFORMAT);
        f->ctx.recover = false;
        assert_status(&f->ctx, lode_read(&f->ctx, f->bad, NULL, &m), LODE_EFORMAT);
    }
    LODE_FREE(&m, &y);
}

static void whole_numbers_come_back_as_the_missing_value_or_0(void **state)
{
    fix *f = *state;
    const lode_missing missing = { LODE_MISSING_VALUE, -9999 };
    for (int k = 0; k < 2; k++) {
        make_file(f, LODE_I16, k ? &missing : NULL);
        f->bytes[header_end(f) + 900] ^= 1;
        write_bytes(f, f->size);
        assert_int_equal(recovered(f, k ? -9999 : 0), 1);
        assert_says(&f->ctx, k ? "back as -9999:" : "back as 0:");
    }
}

static lode_array *record(fix *f, const char *name)
{
    return (lode_array *)(uintptr_t)lode_bundle_get(&f->m, name).as.array;
}

static void a_damaged_block_is_named(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    lode_array y = { 0 };
    lode_certificate c;
    lode_source s = { 0 };
    lode_bundle back = { 0 };
    char path[300];
    make_file(f, LODE_F32, NULL);
    ((uint8_t *)record(f, "coded.17")->data)[40] ^= 8; /* in the second segment */
    ((uint8_t *)record(f, "coded.0")->data)[40] ^= 8;  /* which tells the grid */
    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &y), LODE_EFORMAT);
    assert_says(ctx, "block 0 of 20, [0:1,0:32,0:33], is damaged");
    assert_says(ctx, "--recover");
    assert_status(ctx, lode_verify(ctx, &f->m, lode_none(), &c), LODE_EVERIFY);
    assert_says(ctx, "block 0 of 20");
    assert_status(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &c), LODE_EFORMAT);
    /* parts that it does not touch need nothing */
    const lode_part good = { .ndim = 3, .start = { 1, 0, 0 }, .count = { 16, -1, -1 } },
                    bad = { .ndim = 3, .start = { 16, 0, 0 }, .count = { 3, 2, -1 } };
    assert_ok(ctx, lode_invert(ctx, &f->m, lode_none(), &good, &y));
    assert_memory_equal(y.data, (float *)f->whole.data + 1056, 16 * 1056 * 4);
    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), &bad, &y), LODE_EFORMAT);
    assert_says(ctx, "block 17 of 20, [17:18,0:32,0:33]");
    ctx->recover = true;
    assert_ok(ctx, lode_invert(ctx, &f->m, lode_none(), &good, &y));
    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), &bad, &y), LODE_LOST);
    for (int64_t i = 0; i < 3 * 66; i++)
        assert_true(isnan(((float *)y.data)[i]) == (i / 66 == 1));
    /* streamed to a file */
    snprintf(path, sizeof path, "%s/y.npy", f->folder);
    assert_ok(ctx, lode_invert_source(ctx, &f->m, &s));
    assert_status(ctx, lode_write_source(ctx, path, "x", &s, NULL), LODE_LOST);
    assert_says(ctx, "2 damaged parts, 10% of the whole, come back as NaN");
    assert_ok(ctx, lode_read(ctx, path, NULL, &back));
    const lode_array *written = lode_bundle_value(&back, 0).as.array;
    for (int64_t i = 0; i < 20 * 1056; i++) {
        const float v = ((float *)written->data)[i];
        if (i / 1056 == 0 || i / 1056 == 17)
            assert_true(isnan(v));
        else
            assert_true(v == ((float *)f->whole.data)[i]);
    }
    /* nothing left, not even what tells the grid */
    for (int64_t i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "coded.%" PRId64, i);
        ((uint8_t *)record(f, name)->data)[4] ^= 1;
    }
    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &y), LODE_LOST);
    assert_says(ctx, "100%");
    for (int64_t i = 0; i < 20 * 1056; i++)
        assert_true(isnan(((float *)y.data)[i]));
    LODE_FREE(&y, &s, &back);
}

/* An array as it is: a chunk of 2^20 bytes is lost, and named by its rows. */
static void plain_arrays_lose_a_chunk(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 700, 1000 };
    lode_bundle b = { 0 }, back = { 0 };
    lode_array x = { 0 };
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F32, 2, shape, &x));
    assert_ok(ctx, lode_bundle_add_array(ctx, &b, "u", &x));
    assert_ok(ctx, lode_write(ctx, f->path, &b, NULL));
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    fseek(file, 1500000, SEEK_SET);
    fputc(1, file);
    fclose(file);
    assert_status(ctx, lode_read(ctx, f->path, NULL, &back), LODE_EFORMAT);
    ctx->recover = true;
    assert_status(ctx, lode_read(ctx, f->path, NULL, &back), LODE_LOST);
    assert_says(ctx, "u[262:525]");
    const lode_array *u = lode_bundle_get(&back, "u").as.array;
    for (int64_t i = 0; i < 700000; i++)
        assert_true(isnan(((float *)u->data)[i]) == (i >= 1 << 18 && i < 1 << 19));
    LODE_FREE(&b, &back, &x);
}

static void every_failing_allocation_is_survived(void **state)
{
    fix *f = *state;
    heap h = { 0 };
    const lode_allocator a = heap_of(&h);
    lode_bundle m = { 0 };
    lode_array y = { 0 };
    make_file(f, LODE_F32, NULL);
    f->bytes[header_end(f) + 900] ^= 1;
    f->bytes[30] ^= 1; /* the header is mended */
    write_bytes(f, f->size);
    lode_ctx ctx;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    ctx.threads = 1, ctx.recover = true;
    int64_t failures = 0;
    for (int64_t n = 1;; n += 1 + n / 50) {
        heap_fail(&h, n);
        lode_status st = lode_read(&ctx, f->bad, NULL, &m);
        if (st >= 0)
            st = lode_invert(&ctx, &m, lode_none(), NULL, &y);
        const bool failed = heap_failed(&h);
        heap_fail(&h, 0);
        LODE_FREE(&m, &y);
        if (!failed) {
            assert_int_equal(st, LODE_LOST);
            break;
        }
        assert_true(st == LODE_ENOMEM);
        failures++;
    }
    assert_true(failures > 50);
    lode_ctx_free(&ctx);
    assert_int_equal(atomic_load(&h.live), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(any_wrong_bit_costs_one_block),
        TEST(a_file_that_is_cut_off_reads_as_far_as_it_goes),
        TEST(whole_numbers_come_back_as_the_missing_value_or_0),
        TEST(a_damaged_block_is_named),
        TEST(plain_arrays_lose_a_chunk),
        TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
