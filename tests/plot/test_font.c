/* Text: decoding, measuring, breaking into lines, and that every glyph is drawn within its
 * place. */
#include "picture.h"

static void utf8_is_decoded_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t code[4];
    } cases[] = {
        { "a\xC2\xB5z", { 'a', 0xB5, 'z', 0 } },
        { "\xE2\x88\x92"
          "1",
          { 0x2212, '1', 0 } },
        { "\xF0\x9F\x98\x80", { 0x1F600, 0 } },
        { "\xC0\x80", { 0xFFFD, 0xFFFD, 0 } },             /* overlong */
        { "\xED\xA0\x80", { 0xFFFD, 0xFFFD, 0xFFFD, 0 } }, /* surrogate */
        { "\xE2\x88", { 0xFFFD, 0xFFFD, 0 } },             /* ends early */
        { "\xFF"
          "b",
          { 0xFFFD, 'b', 0 } },
        { "\xF4\x90\x80\x80", { 0xFFFD, 0xFFFD, 0xFFFD, 0xFFFD } }, /* beyond Unicode */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *s = cases[k].bytes;
        for (int i = 0; i < 4 && (i == 0 || cases[k].code[i - 1] != 0); i++)
            assert_int_equal(lode_i_utf8_next(&s), cases[k].code[i]);
    }
}

typedef struct extent {
    double x0, y0, x1, y1;
    int strokes;
} extent;

static void stretch(void *data, double x0, double y0, double x1, double y1)
{
    extent *e = data;
    e->x0 = fmin(e->x0, fmin(x0, x1)), e->x1 = fmax(e->x1, fmax(x0, x1));
    e->y0 = fmin(e->y0, fmin(y0, y1)), e->y1 = fmax(e->y1, fmax(y0, y1));
    e->strokes++;
}

static void glyphs_stay_in_their_place(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x3000; code++) {
        extent e = { 1e9, 1e9, -1e9, -1e9, 0 };
        const double advance = lode_i_glyph(code, stretch, &e);
        assert_true(advance > 0);
        if (code == ' ') {
            assert_int_equal(e.strokes, 0);
            continue;
        }
        assert_true(e.strokes > 0);
        assert_true(e.x0 >= -1 && e.x1 <= advance + 1 && e.y0 >= -21 && e.y1 <= 76);
    }
    /* what has no glyph is a question mark */
    assert_near(lode_i_glyph(0x4E2D, NULL, NULL), lode_i_glyph('?', NULL, NULL), 0);
}

static void add_up(void *data, double x0, double y0, double x1, double y1)
{
    double *sum = data;
    *sum = fmod(*sum * 1.37 + x0 * 3 + y0 * 5 + x1 * 7 + y1 * 11, 1e6);
}

static void glyphs_differ(void **state)
{
    (void)state;
    double sum[128] = { 0 };
    for (uint32_t code = '!'; code <= '~'; code++) {
        lode_i_glyph(code, add_up, &sum[code]);
        for (uint32_t other = '!'; other < code; other++)
            assert_true(fabs(sum[code] - sum[other]) > 1e-6);
    }
}

static void lines_break_at_spaces_and_fit(void **state)
{
    (void)state;
    const char *text =
        "a caption that says what was measured, in which units, on which data and with which seed";
    for (int width = 30; width < 700; width += 7) {
        lode_lines l;
        lode_i_wrap(text, 12, false, width, 4, &l);
        assert_true(l.count >= 1 && l.count <= 4);
        char joined[1200] = "";
        for (int i = 0; i < l.count; i++) {
            assert_le(lode_i_text_width(l.line[i], 12, false), width + 1e-9);
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i ? " " : "",
                     l.line[i]);
        }
        const char *dots = strstr(joined, "\xE2\x80\xA6");
        if (!dots && width > 80) /* all of it, word by word */
            assert_string_equal(joined, text);
        if (dots)
            assert_int_equal(l.count, 4);
    }
    lode_lines l;
    lode_i_wrap(NULL, 12, false, 100, 2, &l);
    assert_int_equal(l.count, 0);
    lode_i_wrap("two\nlines", 12, false, 500, 2, &l);
    assert_int_equal(l.count, 2);
    assert_string_equal(l.line[1], "lines");
    /* a very long word, and characters of several bytes, are cut between characters */
    char long_word[2000];
    for (size_t i = 0; i + 2 < sizeof long_word; i += 2)
        memcpy(long_word + i, "\xC3\xA9", 3);
    lode_i_wrap(long_word, 12, false, 1e6, 1, &l);
    const char *s = l.line[0];
    for (uint32_t code; (code = lode_i_utf8_next(&s)) != 0;)
        assert_true(code == 0xE9 || code == 0x2026);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_decoded_strictly),
        cmocka_unit_test(glyphs_stay_in_their_place),
        cmocka_unit_test(glyphs_differ),
        cmocka_unit_test(lines_break_at_spaces_and_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
