/* FITS, NIfTI and BART's files, put together by hand from their descriptions. */
#include "files.h"

/* ---- FITS ---- */

typedef struct record {
    char bytes[40000];
    size_t size;
} record;

static void card(record *r, const char *text)
{
    memset(r->bytes + r->size, ' ', 80);
    memcpy(r->bytes + r->size, text, strlen(text));
    r->size += 80;
}

static void pad(record *r, char with)
{
    while (r->size % 2880)
        r->bytes[r->size++] = with;
}

static void data(record *r, const void *bytes, size_t size)
{
    memcpy(r->bytes + r->size, bytes, size);
    r->size += size;
    pad(r, '\0');
}

/* Cards of a unit, separated by |. */
static void head(record *r, const char *cards)
{
    char one[81];
    for (const char *p = cards; *p;) {
        const size_t n = strcspn(p, "|");
        memcpy(one, p, n);
        one[n] = '\0';
        card(r, one);
        p += n + (p[n] == '|');
    }
    card(r, "END");
    pad(r, ' ');
}

static lode_status read_member(files *f, const char *name, const char *member, lode_array *a)
{
    char spec[600];
    lode_bundle b = { 0 };
    snprintf(spec, sizeof spec, "%s%s", files_path(f, name), member);
    const lode_status st = lode_read_value(&f->ctx, spec, NULL, true, "x", &b);
    if (st >= 0)
        *a = lode_array_ref(lode_bundle_value(&b, 0).as.array);
    lode_bundle_free(&b);
    return st;
}

static void check(files *f, const char *name, const char *member, lode_dtype dtype,
                  const char *shape, const double *want)
{
    lode_array a = { 0 };
    char text[100];
    assert_ok(&f->ctx, read_member(f, name, member, &a));
    assert_int_equal(a.dtype, dtype);
    lode_i_print_shape(a.ndim, a.shape, text, sizeof text);
    assert_string_equal(text, shape);
    for (int64_t i = 0, n = lode_array_size(&a); i < n; i++) {
        lode_array flat = a;
        flat.ndim = 1, flat.shape[0] = n, flat.strides[0] = 1;
        const double got = lode_array_get(&flat, &i);
        assert_true(got == want[i] || (isnan(got) && isnan(want[i])));
    }
    lode_array_free(&a);
}

#define PRIMARY "SIMPLE  =                    T|BITPIX  = "
static void fits_by_hand(void **state)
{
    files *f = *state;
    static record r;
    const double nan = (double)NAN;
    /* 3 columns, 2 rows of big-endian i16, then an extension of floats in D notation of scale */
    r.size = 0;
    head(&r, PRIMARY "16 / bits|NAXIS   = 2|NAXIS1  = 3|NAXIS2  = 2|OBJECT  = 'it''s / it'|COMMENT "
                     "x=y|EXTEND  = T");
    data(&r, "\0\1\0\2\0\3\xff\xff\0\0\1\0", 12);
    head(&r, "XTENSION= 'IMAGE   '|BITPIX  = 8|NAXIS   = 1|NAXIS1  = 4|PCOUNT  = 0|GCOUNT  = "
             "1|BSCALE  = 5.D-1|BZERO   = 1|BLANK   = 9|EXTNAME = 'MASK    '");
    data(&r, "\0\1\11\376", 4);
    files_put(f, "x.fits", r.bytes, r.size);
    check(f, "x.fits", ":hdu0", LODE_I16, "2 x 3", (double[]){ 1, 2, 3, -1, 0, 256 });
    check(f, "x.fits", ":hdu0[1,1:]", LODE_I16, "2", (double[]){ 0, 256 });
    check(f, "x.fits", ":MASK", LODE_F32, "4", (double[]){ 1, 1.5, nan, 128 });
    lode_file *file = NULL;
    lode_bundle meta = { 0 };
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.fits"), NULL, &file));
    assert_ok(&f->ctx, lode_file_meta(&f->ctx, file, &meta));
    assert_non_null(strstr(meta.meta.attributes, "\"OBJECT\":\"it's / it\""));
    lode_file_close(&file);
    lode_bundle_free(&meta);
    /* unsigned ones, as they are kept */
    static const struct {
        const char *cards, *bytes;
        size_t size;
        lode_dtype dtype;
        double want[2];
    } unsigned_[] = {
        { PRIMARY "16|NAXIS   = 1|NAXIS1  = 2|BZERO   = 32768",
          "\x80\0\x7f\xff",
          4,
          LODE_U16,
          { 0, 65535 } },
        { PRIMARY "8|NAXIS   = 1|NAXIS1  = 2|BZERO   = -128", "\0\xff", 2, LODE_I8, { -128, 127 } },
        { PRIMARY "32|NAXIS   = 1|NAXIS1  = 2|BZERO   = 2147483648",
          "\x80\0\0\1\0\0\0\0",
          8,
          LODE_U32,
          { 1, 2147483648.0 } },
        { PRIMARY "64|NAXIS   = 1|NAXIS1  = 1|BZERO   = 9223372036854775808",
          "\x7f\xff\xff\xff\xff\xff\xff\xff",
          8,
          LODE_U64,
          { 18446744073709551615.0 } },
        { PRIMARY "64|NAXIS   = 1|NAXIS1  = 1|BLANK   = -1",
          "\xff\xff\xff\xff\xff\xff\xff\xff",
          8,
          LODE_F64,
          { NAN } },
        { PRIMARY "-32|NAXIS   = 1|NAXIS1  = 2|BSCALE  = 2",
          "\x3f\x80\0\0\xbf\xc0\0\0",
          8,
          LODE_F32,
          { 2, -3 } },
        { PRIMARY "-64|NAXIS   = 1|NAXIS1  = 1", "\x3f\xf0\0\0\0\0\0\0", 8, LODE_F64, { 1 } },
    };
    for (size_t i = 0; i < sizeof unsigned_ / sizeof *unsigned_; i++) {
        r.size = 0;
        head(&r, unsigned_[i].cards);
        data(&r, unsigned_[i].bytes, unsigned_[i].size);
        files_put(f, "y.fits", r.bytes, r.size);
        check(f, "y.fits", "", unsigned_[i].dtype,
              strstr(unsigned_[i].cards, "NAXIS1  = 2") ? "2" : "1", unsigned_[i].want);
    }
}

static void bad_fits_is_refused(void **state)
{
    files *f = *state;
    static const struct {
        const char *cards, *says;
        lode_status st;
    } cases[] = {
        { PRIMARY "12|NAXIS   = 1|NAXIS1  = 2", "BITPIX 12", LODE_EFORMAT },
        { PRIMARY "x|NAXIS   = 0", "BITPIX is 'x'", LODE_EFORMAT },
        { PRIMARY "8|NAXIS   = 1|NAXIS1  = -2", "NAXIS1", LODE_EFORMAT },
        { PRIMARY "8|NAXIS   = 1|NAXIS1  = 5000", "cut off", LODE_EFORMAT },
        { PRIMARY "64|NAXIS   = 2|NAXIS1  = 4294967296|NAXIS2  = 4294967296", "cut off",
          LODE_EFORMAT },
        { PRIMARY "8|NAXIS   = 40", "40 axes", LODE_EUNSUPPORTED },
        { PRIMARY "8|NAXIS   = 1|NAXIS1  = 2|BSCALE  = x", "BSCALE", LODE_EFORMAT },
        { "BITPIX  = 8", "no header of FITS", LODE_EFORMAT },
    };
    static record r;
    lode_array a = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.size = 0;
        head(&r, cases[i].cards);
        data(&r, "ab", 2);
        files_put(f, "x.fits", r.bytes, r.size);
        assert_status(&f->ctx, read_member(f, "x.fits", "", &a), cases[i].st);
        assert_says(&f->ctx, cases[i].says);
    }
    r.size = 0;
    head(&r, PRIMARY "8|NAXIS   = 0");
    head(&r, "XTENSION= 'BINTABLE'|BITPIX  = 8|NAXIS   = 2|NAXIS1  = 1|NAXIS2  = 3|PCOUNT  = "
             "0|GCOUNT  = 1");
    data(&r, "abc", 3);
    files_put(f, "x.fits", r.bytes, r.size);
    assert_status(&f->ctx, read_member(f, "x.fits", ":hdu1", &a), LODE_EUNSUPPORTED);
    assert_says(&f->ctx, "a table");
    for (size_t n = 2880; n-- > 0;) {
        files_cut(f, "x.fits", n);
        assert_status(&f->ctx, read_member(f, "x.fits", "", &a), n ? LODE_EFORMAT : LODE_ENOENT);
    }
}

/* ---- NIfTI ---- */

static void put(unsigned char *p, uint64_t v, int bytes, bool swapped)
{
    for (int i = 0; i < bytes; i++)
        p[swapped ? bytes - 1 - i : i] = (unsigned char)(v >> 8 * i);
}

static uint64_t bits(double v, int bytes)
{
    uint64_t b = 0;
    const float w = (float)v;
    if (bytes == 8)
        memcpy(&b, &v, 8);
    else
        memcpy(&b, &w, 4);
    return b;
}

/* 3 x 2 of i16 values i + 10 j, stored with i fastest; returns the size of the header. */
static size_t nifti(unsigned char *b, bool second, bool swapped, bool pair, double slope,
                    double inter)
{
    const size_t size = second ? 540 : 348, at = pair ? 0 : second ? 544 : 352;
    const int wide = second ? 8 : 2, deep = second ? 8 : 4;
    memset(b, 0, 600);
    put(b, size, 4, swapped);
    put(b + (second ? 16 : 40), 2, wide, swapped);
    put(b + (second ? 16 : 40) + wide, 3, wide, swapped);
    put(b + (second ? 16 : 40) + 2 * wide, 2, wide, swapped);
    put(b + (second ? 12 : 70), 4, 2, swapped);
    put(b + (second ? 168 : 108), second ? at : bits((double)at, 4), deep, swapped);
    put(b + (second ? 176 : 112), bits(slope, deep), deep, swapped);
    put(b + (second ? 184 : 116), bits(inter, deep), deep, swapped);
    memcpy(b + (second ? 4 : 344),
           pair     ? second ? "ni2\0\r\n\032\n" : "ni1"
           : second ? "n+2\0\r\n\032\n"
                    : "n+1",
           second ? 8 : 4);
    return pair ? size : at;
}

static void nifti_by_hand(void **state)
{
    files *f = *state;
    unsigned char b[700], v[12];
    lode_array a = { 0 };
    for (int k = 0; k < 16; k++) {
        const bool second = k & 1, swapped = k & 2, pair = k & 4, scaled = k & 8;
        for (int i = 0; i < 6; i++)
            put(v + 2 * i, (uint64_t)(i % 3 + 10 * (i / 3)), 2, swapped);
        const size_t n = nifti(b, second, swapped, pair, scaled ? 0.5 : 0, scaled ? -1 : 0);
        double want[6];
        for (int i = 0; i < 6; i++)
            want[i] = scaled ? 0.5 * (i / 2 + 10 * (i % 2)) - 1 : i / 2 + 10 * (i % 2);
        const char *name = pair ? "p.img" : "x.nii";
        if (pair) {
            files_put(f, "p.hdr", b, n);
            files_put(f, "p.img", v, 12);
            check(f, "p.hdr", "", scaled ? LODE_F32 : LODE_I16, "3 x 2", want);
        } else {
            memcpy(b + n, v, 12);
            files_put(f, "x.nii", b, n + 12);
        }
        check(f, name, "", scaled ? LODE_F32 : LODE_I16, "3 x 2", want);
        check(f, name, "[2,:]", scaled ? LODE_F32 : LODE_I16, "2", want + 4);
    }
    size_t n = nifti(b, false, false, false, 0, 0);
    for (size_t i = 0; i < n + 12; i += 5) { /* cut off anywhere */
        files_put(f, "x.nii", b, i);
        assert_status(&f->ctx, read_member(f, "x.nii", "", &a), LODE_EFORMAT);
    }
    put(b + 70, 128, 2, false);
    files_put(f, "x.nii", b, n + 18);
    assert_status(&f->ctx, read_member(f, "x.nii", "", &a), LODE_EUNSUPPORTED);
    assert_says(&f->ctx, "type 128");
    put(b + 70, 4, 2, false), put(b + 40, 8, 2, false);
    files_put(f, "x.nii", b, n + 12);
    assert_status(&f->ctx, read_member(f, "x.nii", "", &a), LODE_EFORMAT);
    put(b + 40, 2, 2, false), put(b + 42, 0x8000, 2, false);
    files_put(f, "x.nii", b, n + 12);
    assert_status(&f->ctx, read_member(f, "x.nii", "", &a), LODE_EFORMAT);
    memset(b + 344, 0, 4);
    files_put(f, "x.nii", b, n + 12);
    assert_status(&f->ctx, read_member(f, "x.nii", "", &a), LODE_EFORMAT);
    assert_says(&f->ctx, "ANALYZE");
    nifti(b, false, false, true, 0, 0);
    files_put(f, "alone.hdr", b, 348);
    assert_status(&f->ctx, read_member(f, "alone.hdr", "", &a), LODE_ENOENT);
    assert_says(&f->ctx, "alone.img");
}

/* ---- BART ---- */

static void cfl_both_ways(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 3, 4, 2 };
    lode_bundle b = { 0 };
    lode_array a = { 0 };
    size_t size = 0;
    files_add(f, &b, "x", LODE_C64, 3, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.cfl"), &b, NULL));
    const lode_array *x = lode_bundle_value(&b, 0).as.array;
    unsigned char *bytes = files_get(f, "x.cfl", &size);
    assert_int_equal(size, 24 * 8);
    for (size_t i = 0; i < 24; i++) /* the first axis fastest */
        assert_memory_equal(bytes + 8 * i,
                            (char *)x->data + 8 * (i % 3 * 8 + i / 3 % 4 * 2 + i / 12), 8);
    free(bytes);
    assert_ok(&f->ctx, read_member(f, "x.cfl", "", &a));
    files_same_array(x, &a);
    lode_array_free(&a);
    assert_ok(&f->ctx, read_member(f, "x.hdr", "", &a));
    files_same_array(x, &a);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.cfl"), &b, NULL), LODE_EEXIST);
    LODE_FREE(&a, &b);
    static const struct {
        const char *text, *says;
        lode_status st;
    } cases[] = {
        { "# Dimensions\n3 4 3 1\n", "take 288", LODE_EFORMAT },
        { "# Dimensions\n3 -4 3\n", "'-4'", LODE_EFORMAT },
        { "# Dimensions\n\n", "no sizes", LODE_EFORMAT },
        { "# Creator\nx\n", "Dimensions", LODE_EFORMAT },
        { "# Dimensions\n4294967296 4294967296\n", "", LODE_EFORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        files_put(f, "x.hdr", cases[i].text, strlen(cases[i].text));
        assert_status(&f->ctx, read_member(f, "x.cfl", "", &a), cases[i].st);
        assert_says(&f->ctx, cases[i].says);
    }
    assert_int_equal(remove(files_path(f, "x.hdr")), 0);
    assert_status(&f->ctx, read_member(f, "x.cfl", "", &a), LODE_ENOENT);
    assert_says(&f->ctx, "x.hdr");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fits_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(bad_fits_is_refused, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(nifti_by_hand, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(cfl_both_ways, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
