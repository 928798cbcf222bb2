/* GGUF: blocks encoded here from known whole numbers, plain tensors, damaged files. All block types are
 * held against NumPy in foreign.py. */
#include "files.h"

typedef struct writer {
    unsigned char bytes[16384];
    size_t size;
} writer;

static void put(writer *w, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        w->bytes[w->size++] = (unsigned char)(v >> 8 * i);
}

static void put_text(writer *w, const char *text)
{
    put(w, strlen(text), 8);
    memcpy(w->bytes + w->size, text, strlen(text));
    w->size += strlen(text);
}

static void put_tensor(writer *w, const char *name, uint32_t type, int64_t rows, int64_t cols,
                       uint64_t offset)
{
    put_text(w, name);
    put(w, 2, 4);
    put(w, (uint64_t)cols, 8), put(w, (uint64_t)rows, 8);
    put(w, type, 4), put(w, offset, 8);
}

enum { HALF = 0x3800, TWO = 0x4000 }; /* 0.5 and 2 as f16 */

static int value(int i) /* any whole numbers of 6 bits */
{
    return (i * 37 + 11) & 63;
}

/* One tensor of two rows of each type that is encoded here; want: the values of the first row, f32. */
static void make(writer *w, float *q8, float *q4, float *q4k, float *q6k)
{
    w->size = 0;
    memcpy(w->bytes, "GGUF", 4);
    w->size = 4;
    put(w, 3, 4), put(w, 5, 8), put(w, 1, 8);
    put_text(w, "general.alignment"), put(w, 4, 4), put(w, 64, 4);
    put_tensor(w, "plain", 24, 2, 3, 0);
    put_tensor(w, "q8", 8, 2, 64, 64);
    put_tensor(w, "q4", 2, 2, 32, 256);
    put_tensor(w, "q4k", 12, 2, 256, 320);
    put_tensor(w, "q6k", 14, 2, 256, 640);
    while (w->size % 64)
        put(w, 0, 1);
    const size_t data = w->size;
    for (int i = 0; i < 6; i++)
        put(w, (uint64_t)(i - 3), 1);
    w->size = data + 64;
    for (int b = 0; b < 4; b++) {
        put(w, HALF, 2);
        for (int i = 0; i < 32; i++) {
            const int v = value(i + b) - 32;
            put(w, (uint64_t)v, 1);
            if (b < 2)
                q8[32 * b + i] = 0.5F * (float)v;
        }
    }
    w->size = data + 256;
    for (int b = 0; b < 2; b++) {
        put(w, TWO, 2);
        for (int i = 0; i < 16; i++)
            put(w, (uint64_t)((value(i) & 15) | (value(i + 16) & 15) << 4), 1);
    }
    for (int i = 0; i < 32; i++)
        q4[i] = 2 * (float)((value(i) & 15) - 8);
    w->size = data + 320;
    for (int b = 0; b < 2; b++) {
        uint8_t s[12] = { 0 };
        put(w, HALF, 2), put(w, TWO, 2);
        for (int k = 0; k < 4; k++) { /* scale 5 k + 40, offset 63 - 7 k, in 6 bits */
            s[k] = (uint8_t)((5 * k + 20) | ((5 * (k + 4) + 20) >> 4) << 6);
            s[k + 4] = (uint8_t)((63 - 7 * k) | ((63 - 7 * (k + 4)) >> 4) << 6);
            s[k + 8] = (uint8_t)(((5 * (k + 4) + 20) & 15) | ((63 - 7 * (k + 4)) & 15) << 4);
        }
        for (int k = 0; k < 12; k++)
            put(w, s[k], 1);
        for (int p = 0; p < 4; p++)
            for (int i = 0; i < 32; i++)
                put(w, (uint64_t)((value(64 * p + i) & 15) | (value(64 * p + 32 + i) & 15) << 4),
                    1);
    }
    for (int i = 0; i < 256; i++)
        q4k[i] = 0.5F * (float)((5 * (i / 32) + 20)) * (float)(value(i) & 15) -
                 2 * (float)(63 - 7 * (i / 32));
    w->size = data + 640;
    for (int b = 0; b < 2; b++) {
        for (int run = 0; run < 256; run += 128)
            for (int i = 0; i < 64; i++)
                put(w, (uint64_t)((value(run + i) & 15) | (value(run + 64 + i) & 15) << 4), 1);
        for (int run = 0; run < 256; run += 128)
            for (int i = 0; i < 32; i++)
                put(w,
                    (uint64_t)(value(run + i) >> 4 | value(run + 32 + i) >> 4 << 2 |
                               value(run + 64 + i) >> 4 << 4 | value(run + 96 + i) >> 4 << 6),
                    1);
        for (int k = 0; k < 16; k++)
            put(w, (uint64_t)(9 * k - 70), 1);
        put(w, HALF, 2);
    }
    for (int i = 0; i < 256; i++)
        q6k[i] = 0.5F * (float)(9 * (i / 16) - 70) * (float)(value(i) - 32);
}

static void blocks_are_decoded(void **state)
{
    files *f = *state;
    static writer w;
    float want[4][256];
    static const char *const names[] = { "q8", "q4", "q4k", "q6k" };
    static const int64_t cols[] = { 64, 32, 256, 256 };
    make(&w, want[0], want[1], want[2], want[3]);
    files_put(f, "x.gguf", w.bytes, w.size);
    lode_file *file = NULL;
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.gguf"), NULL, &file));
    assert_int_equal(lode_file_count(file), 5);
    for (int k = 0; k < 4; k++) {
        lode_source s = { 0 };
        assert_string_equal(lode_file_name(file, k + 1), names[k]);
        assert_ok(&f->ctx, lode_file_source(&f->ctx, file, k + 1, &s));
        assert_true(s.dtype == LODE_F32 && s.ndim == 2 && s.shape[0] == 2 && s.shape[1] == cols[k]);
        for (int64_t from = 0; from < cols[k]; from += 7)
            for (int64_t to = from + 1; to <= cols[k]; to += 13) {
                float got[256];
                const int64_t start[] = { 0, from }, count[] = { 1, to - from };
                assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
                assert_memory_equal(got, want[k] + from, (size_t)(to - from) * sizeof *got);
            }
        lode_source_close(&s);
    }
    lode_source s = { 0 };
    int8_t got[6];
    const int64_t start[] = { 0, 0 }, count[] = { 2, 3 };
    assert_ok(&f->ctx, lode_file_source(&f->ctx, file, 0, &s));
    assert_ok(&f->ctx, s.read(&f->ctx, &s, start, count, got));
    for (int i = 0; i < 6; i++)
        assert_int_equal(got[i], i - 3);
    lode_source_close(&s);
    lode_bundle meta = { 0 };
    assert_ok(&f->ctx, lode_file_meta(&f->ctx, file, &meta));
    assert_string_equal(meta.meta.attributes, "{\"general.alignment\":64}");
    lode_bundle_free(&meta);
    lode_file_close(&file);
}

static void damaged_models_are_refused(void **state)
{
    files *f = *state;
    static writer w;
    float values[256];
    lode_bundle b = { 0 };
    make(&w, values, values, values, values);
    files_put(f, "x.gguf", w.bytes, w.size);
    files_cut_fails(f, "x.gguf", SIZE_MAX);
    files_put(f, "x.gguf", w.bytes, w.size);
    for (size_t i = 4; i < 320; i++) { /* nothing worse than another value or a refusal */
        static const unsigned char flips[] = { 1, 0x80, 0xff };
        files_poke(f, "x.gguf", i, w.bytes[i] ^ flips[i % 3]);
        lode_read(&f->ctx, files_path(f, "x.gguf"), NULL, &b);
        lode_bundle_free(&b);
        files_poke(f, "x.gguf", i, w.bytes[i]);
    }
    files_poke(f, "x.gguf", 4, 1);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.gguf"), NULL, &b),
                  LODE_EUNSUPPORTED);
    assert_says(&f->ctx, "version 1");
    files_poke(f, "x.gguf", 4, w.bytes[4]);
    for (size_t i = 0; i + 3 < w.size; i++)
        if (memcmp(w.bytes + i, "\0q4\2", 4) == 0) /* the name, of an array of two axes */
            files_poke(f, "x.gguf", i + 2, '8');
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.gguf"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "two members are named q8");
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_are_decoded, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(damaged_models_are_refused, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
