/* PNG and portable maps. The PNGs here are put together by hand, chunk by chunk, with zlib. */
#include "files.h"

#include <zlib.h>

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static size_t chunk(unsigned char *p, const char *type, const void *bytes, size_t size)
{
    put32(p, (uint32_t)size);
    memcpy(p + 4, type, 4);
    if (size)
        memcpy(p + 8, bytes, size);
    put32(p + 8 + size, (uint32_t)crc32(0, p + 4, (uInt)size + 4));
    return size + 12;
}

/* rows: filter byte and packed values of each, as the file has them before deflating. */
static size_t png(unsigned char *out, uint32_t w, uint32_t h, int bits, int colour,
                  const void *palette, size_t palette_size, const void *rows, size_t rows_size)
{
    unsigned char head[13] = { 0 }, packed[4096];
    uLongf n = sizeof packed;
    size_t at = 8;
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    put32(head, w), put32(head + 4, h);
    head[8] = (unsigned char)bits, head[9] = (unsigned char)colour;
    at += chunk(out + at, "IHDR", head, 13);
    if (palette_size)
        at += chunk(out + at, "PLTE", palette, palette_size);
    assert_int_equal(compress(packed, &n, rows, rows_size), Z_OK);
    at += chunk(out + at, "IDAT", packed, n);
    return at + chunk(out + at, "IEND", NULL, 0);
}

static void check(files *f, const char *name, lode_dtype dtype, int ndim, const int64_t *shape,
                  const void *want)
{
    lode_bundle b = { 0 };
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, name), NULL, &b));
    const lode_array *a = lode_bundle_value(&b, 0).as.array;
    const lode_array w = lode_array_wrap((void *)(uintptr_t)want, dtype, ndim, shape);
    files_same_array(a, &w);
    lode_bundle_free(&b);
}

static void pngs_by_hand(void **state)
{
    files *f = *state;
    unsigned char file[8192];
    static const int64_t flat[] = { 2, 3 }, deep[] = { 2, 3, 3 }, two[] = { 2, 3, 2 };
    /* 8 bits of grey; the second row differs from the first by the filter Up */
    const unsigned char grey[] = "\0\1\2\3\2\11\11\11", grey_want[] = { 1, 2, 3, 10, 11, 12 };
    files_put(f, "x.png", file, png(file, 3, 2, 8, 0, NULL, 0, grey, 8));
    check(f, "x.png", LODE_U8, 2, flat, grey_want);
    /* 16 bits, big-endian */
    const unsigned char wide[] = "\0\1\2\3\4\5\6\0\xff\xfe\0\0\0\7";
    const uint16_t wide_want[] = { 0x102, 0x304, 0x506, 0xfffe, 0, 7 };
    files_put(f, "x.png", file, png(file, 3, 2, 16, 0, NULL, 0, wide, 14));
    check(f, "x.png", LODE_U16, 2, flat, wide_want);
    /* 1 bit: white is 255 */
    const unsigned char bits[] = "\0\xa0\0\x40", bits_want[] = { 255, 0, 255, 0, 255, 0 };
    files_put(f, "x.png", file, png(file, 3, 2, 1, 0, NULL, 0, bits, 4));
    check(f, "x.png", LODE_U8, 2, flat, bits_want);
    /* 4 bits of palette, as colours */
    const unsigned char palette[] = { 1, 2, 3, 40, 50, 60 }, index[] = "\0\x01\x00\0\x11\x00";
    const unsigned char colours[] = {
        1, 2, 3, 40, 50, 60, 1, 2, 3, 40, 50, 60, 40, 50, 60, 1, 2, 3
    };
    files_put(f, "x.png", file, png(file, 3, 2, 4, 3, palette, 6, index, 6));
    check(f, "x.png", LODE_U8, 3, deep, colours);
    /* grey with alpha */
    const unsigned char alpha[] = "\0\1\2\3\4\5\6\0\7\10\11\12\13\14";
    const unsigned char alpha_want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    files_put(f, "x.png", file, png(file, 3, 2, 8, 4, NULL, 0, alpha, 14));
    check(f, "x.png", LODE_U8, 3, two, alpha_want);
}

static void damaged_pngs_are_refused(void **state)
{
    files *f = *state;
    unsigned char file[8192];
    const unsigned char grey[] = "\0\1\2\3\0\11\11\11";
    const size_t size = png(file, 3, 2, 8, 0, NULL, 0, grey, 8);
    lode_bundle b = { 0 };
    for (size_t n = 0; n < size; n++) {
        files_put(f, "x.png", file, n);
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.png"), NULL, &b), LODE_EFORMAT);
    }
    file[44] ^= 1; /* in the values */
    files_put(f, "x.png", file, size);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.png"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "damaged PNG");
    files_put(f, "x.png", file, png(file, 2000000, 2000000, 8, 0, NULL, 0, grey, 8));
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.png"), NULL, &b), LODE_EFORMAT);
    assert_says(&f->ctx, "2000000 x 2000000");
    lode_bundle_free(&b);
}

static void maps_by_hand(void **state)
{
    files *f = *state;
    static const int64_t flat[] = { 2, 3 }, deep[] = { 1, 2, 3 };
    static const uint8_t six[] = { 1, 2, 3, 4, 5, 250 };
    static const uint16_t wide[] = { 1, 2, 3, 4, 5, 1000 };
    static const struct {
        const char *text;
        size_t size;
        lode_dtype dtype;
        int ndim;
        const int64_t *shape;
        const void *want;
    } cases[] = {
        { "P2\n# by hand\n3 2 # size\n255\n1 2 3\n4 5 250\n", 0, LODE_U8, 2, flat, six },
        { "P2 3 2 1000 1 2 3 4 5 1000", 0, LODE_U16, 2, flat, wide },
        { "P3\r\n2 1\r\n255\r\n1 2 3 4 5 250\r\n", 0, LODE_U8, 3, deep, six },
        { "P5\n3 2\n255\n\1\2\3\4\5\xfa", 0, LODE_U8, 2, flat, six },
        { "P6 2 1 255\n\1\2\3\4\5\xfa", 0, LODE_U8, 3, deep, six },
        { "P5#c\n3 2\n1000\n\0\1\0\2\0\3\0\4\0\5\3\xe8", 26, LODE_U16, 2, flat, wide },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files_put(f, "x.pgm", cases[i].text, cases[i].size ? cases[i].size : strlen(cases[i].text));
        check(f, "x.pgm", cases[i].dtype, cases[i].ndim, cases[i].shape, cases[i].want);
    }
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "P", "too short" },
        { "P1 1 1 1", "none of P2" },
        { "P5 3 2 255", "breaks off" },
        { "P5 3 2 255\n12345", "5 bytes of pixels" },
        { "P5 3 2 255\n1234567", "7 bytes of pixels" },
        { "P5 3 2 65536\n123456", "largest value" },
        { "P5 3 2 0\n123456", "0 as its largest" },
        { "P5 -3 2 255\n123456", "width" },
        { "P2 3 2 255 1 2 3 4 5", "no value" },
        { "P2 3 2 255 1 2 3 4 5 256", "no value from 0 to 255" },
        { "P2 3 2 255 1 2 3 4 5 x", "no value" },
        { "P2 2147483647 2147483647 255 1", "more than it has room for" },
        { "P6 2147483647 2147483647 65535 1", "" },
    };
    lode_bundle b = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        files_put(f, "x.pgm", bad[i].text, strlen(bad[i].text));
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.pgm"), NULL, &b), LODE_EFORMAT);
        assert_says(&f->ctx, bad[i].says);
    }
    lode_bundle_free(&b);
}

/* More words than the window holds. */
static void long_maps_of_words(void **state)
{
    files *f = *state;
    enum { SIDE = 300 };
    const int64_t shape[] = { SIDE, SIDE };
    char *text = malloc(8 * SIDE * SIDE + 100), *p = text;
    uint16_t *want = malloc(2 * SIDE * SIDE);
    assert_true(text && want);
    p += sprintf(p, "P2\n%d %d\n65535\n", SIDE, SIDE);
    for (int i = 0; i < SIDE * SIDE; i++) {
        want[i] = (uint16_t)(i * 403 >> 3);
        p += sprintf(p, "%d%s", want[i], i % 17 ? " " : "\n#\n");
    }
    files_put(f, "x.pgm", text, (size_t)(p - text));
    check(f, "x.pgm", LODE_U16, 2, shape, want);
    free(text), free(want);
}

static void pictures_come_back(void **state)
{
    files *f = *state;
    static const struct {
        const char *name;
        int ndim;
        int64_t shape[3];
    } cases[] = { { "x.png", 2, { 7, 5 } },      { "x.png", 3, { 7, 5, 2 } },
                  { "x.png", 3, { 70, 50, 3 } }, { "x.png", 3, { 1, 1, 4 } },
                  { "x.pgm", 2, { 70, 51 } },    { "x.ppm", 3, { 7, 5, 3 } } };
    const lode_write_opts o = { .force = true };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        lode_bundle b = { 0 };
        files_add(f, &b, "image", i % 2 ? LODE_U16 : LODE_U8, cases[i / 2].ndim,
                  cases[i / 2].shape);
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, cases[i / 2].name), &b, &o));
        const lode_array *a = lode_bundle_value(&b, 0).as.array;
        check(f, cases[i / 2].name, a->dtype, a->ndim, a->shape, a->data);
        lode_bundle_free(&b);
    }
    static const struct {
        const char *name;
        lode_dtype dtype;
        int ndim;
        int64_t shape[4];
        lode_status st;
    } bad[] = { { "y.png", LODE_F32, 2, { 3, 3 }, LODE_ETYPE },
                { "y.png", LODE_U8, 1, { 3 }, LODE_ESHAPE },
                { "y.png", LODE_U8, 3, { 3, 3, 5 }, LODE_ESHAPE },
                { "y.png", LODE_U8, 2, { 0, 3 }, LODE_ESHAPE },
                { "y.pgm", LODE_U8, 3, { 3, 3, 4 }, LODE_ESHAPE },
                { "y.pgm", LODE_I16, 2, { 3, 3 }, LODE_ETYPE },
                { "y.pgm", LODE_U8, 4, { 1, 1, 1, 1 }, LODE_ESHAPE } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lode_bundle b = { 0 };
        files_add(f, &b, "image", bad[i].dtype, bad[i].ndim, bad[i].shape);
        assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, bad[i].name), &b, NULL),
                      bad[i].st);
        lode_bundle_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pngs_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(damaged_pngs_are_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(maps_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(long_maps_of_words, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(pictures_come_back, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
