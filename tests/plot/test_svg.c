/* SVG files: well-formed, with what a reader needs, text as text, and large data as embedded
 * PNG. */
#include "picture.h"

#include <locale.h>

/* A small XML checker: tags nest and close, attributes are quoted and not repeated, text holds no
 * bare markup, references are the five known ones, bytes are UTF-8 without control characters.
 * Returns how many elements. */
static int check_xml(const char *s)
{
    char stack[64][32];
    int depth = 0, elements = 0, roots = 0;
    for (const char *t = s; *t;) {
        const uint32_t code = lode_i_utf8_next(&t);
        assert_true(code != 0xFFFD || strncmp(t - 3, "\xEF\xBF\xBD", 3) == 0);
        assert_true(code >= ' ' || code == '\n');
    }
    while (*s) {
        if (*s == '&') {
            const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };
            int match = 0;
            for (int i = 0; i < 5; i++)
                match |= strncmp(s, known[i], strlen(known[i])) == 0;
            assert_true(match && depth > 0);
            s++;
        } else if (*s != '<') {
            assert_true(*s != '>');
            assert_true(depth > 0 || *s == '\n');
            s++;
        } else if (s[1] == '/') {
            assert_true(depth > 0);
            const size_t n = strlen(stack[--depth]);
            assert_memory_equal(s + 2, stack[depth], n);
            assert_true(s[2 + n] == '>');
            s += 3 + n;
        } else {
            char seen[32][32];
            int attributes = 0;
            size_t n = strcspn(++s, " />\n");
            assert_true(n > 0 && n < 32 && depth < 64);
            memcpy(stack[depth], s, n), stack[depth][n] = 0;
            s += n, elements++, roots += depth == 0;
            while (*s == ' ') {
                s++;
                n = strcspn(s, "=");
                assert_true(n > 0 && n < 32 && s[n + 1] == '"' && attributes < 32);
                memcpy(seen[attributes], s, n), seen[attributes][n] = 0;
                for (int i = 0; i < attributes; i++)
                    assert_string_not_equal(seen[i], seen[attributes]);
                attributes++;
                s += n + 2;
                n = strcspn(s, "\"<");
                assert_true(s[n] == '"');
                s += n + 1;
            }
            if (s[0] == '/' && s[1] == '>') {
                s += 2;
            } else {
                assert_true(*s == '>');
                depth++, s++;
            }
        }
    }
    assert_int_equal(depth, 0);
    assert_int_equal(roots, 1);
    return elements;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)) != NULL; s += strlen(part))
        n++;
    return n;
}

#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("the SVG does not hold %s", (part));                                          \
    } while (0)

static double attribute(const char *from, const char *name)
{
    const char *s = strstr(from, name);
    assert_non_null(s);
    return strtod(s + strlen(name), NULL);
}

static void what_a_reader_needs_is_there(void **state)
{
    bench *b = *state;
    double y[6] = { 1, 4, 9, 16, 25, 36 }, x[6] = { 0, 1, 2, 3, 4, 5 };
    const lode_array ax = vector(x, 6), ay = vector(y, 6);
    lode_panel *p = panel(b, "Fall & <rise> of \"x\" 'y'");
    assert_ok(&b->context, lode_i_panel_line(&b->context, p, "model \xCE\xBB", &ax, &ay));
    assert_ok(&b->context, lode_i_panel_points(&b->context, p, "data", &ax, &ay, NULL));
    p = panel(b, "bad \xFF bytes \x01");
    assert_ok(&b->context, lode_i_panel_bars(&b->context, p, "a > b", &ay));
    assert_ok(&b->context,
              lode_figure_caption(&b->context, b->figure, "Title & all", "error 1e-3 < asked"));
    for (int width = 400; width <= 960; width += 560)
        for (int dark = 0; dark < 2; dark++) {
            char *svg = svg_of(b, width, dark);
            assert_true(check_xml(svg) > 30);
            assert_has(svg, "xmlns=\"http://www.w3.org/2000/svg\"");
            assert_has(svg, " role=\"img\"");
            assert_has(svg, "<title>Title &amp; all</title>");
            assert_has(svg, "<desc>error 1e-3 &lt; asked Panel 1 of 2, Fall &amp; &lt;rise&gt; of "
                            "&quot;x&quot; 'y': "
                            "line \"model \xCE\xBB\" of 6 values, points \"data\" of 6 values; "
                            "time (s) from 0 to 5, height (m) from 1 to 36.");
            assert_has(svg, ">model \xCE\xBB</text>"); /* text stays text, whatever the script */
            assert_has(svg, ">data</text>");
            assert_has(svg, ">time (s)</text>");
            assert_has(svg, ">height (m)</text>");
            assert_has(svg, ">Fall &amp; &lt;rise&gt; of");
            assert_has(svg, ">bad \xEF\xBF\xBD bytes </text>");
            assert_int_equal(count(svg, "<polyline"), 1 + 1); /* the line and its key */
            /* points, the line's few values, the key */
            assert_int_equal(count(svg, "<circle"), 6 + 6 + 1);
            assert_null(strstr(svg, "<image"));
            assert_null(strstr(svg, " id=")); /* several figures in one page do not clash */
            free(svg);
        }
}

static void points_stand_where_the_data_say(void **state)
{
    bench *b = *state;
    double x[3] = { 10, 20, 50 }, y[3] = { 1, 100, 10 };
    const lode_array ax = vector(x, 3), ay = vector(y, 3);
    lode_panel *p = panel(b, "places");
    lode_i_panel_log(p, false, true);
    assert_ok(&b->context, lode_i_panel_points(&b->context, p, NULL, &ax, &ay, NULL));
    char *svg = svg_of(b, 0, false);
    double cx[3], cy[3];
    const char *s = svg;
    for (int i = 0; i < 3; i++) {
        s = strstr(s, "<circle") + 1;
        cx[i] = attribute(s, "cx=\""), cy[i] = attribute(s, "cy=\"");
    }
    lode_sheet sheet = { 0 };
    assert_ok(&b->context, lode_i_sheet(&b->context, b->figure, 960, false, &sheet));
    for (int i = 0; i < 3; i++) { /* written to two decimals */
        assert_near(cx[i], lode_i_px(&sheet.panel[0], x[i]), 0.0051);
        assert_near(cy[i], lode_i_py(&sheet.panel[0], log10(y[i])), 0.0051);
    }
    lode_i_sheet_free(&sheet);
    assert_near((cx[1] - cx[0]) / (cx[2] - cx[0]), 10.0 / 40, 1e-3);
    assert_near((cy[2] - cy[0]) / (cy[1] - cy[0]), 0.5, 1e-3); /* 10 is half way from 1 to 100 */
    assert_true(cy[1] < cy[0]);
    assert_near(attribute(svg, "width=\""), 960, 0);
    /* the tick of 20 stands under the point at 20 */
    const char *tick = strstr(svg, ">20</text>");
    assert_non_null(tick);
    while (strncmp(tick, "<text", 5) != 0)
        tick--;
    assert_near(attribute(tick, "x=\""), cx[1], 0.02);
    free(svg);
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *s = strchr(digits, c);
    return c && s ? (int)(s - digits) : -1;
}

static picture embedded(const char *svg)
{
    const char *s = strstr(svg, "data:image/png;base64,");
    assert_non_null(s);
    s += strlen("data:image/png;base64,");
    const size_t n = strcspn(s, "\"");
    assert_int_equal(n % 4, 0);
    uint8_t *bytes = malloc(n);
    size_t used = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i += 4) {
        const int a = digit_of(s[i]), c = digit_of(s[i + 1]), d = digit_of(s[i + 2]),
                  e = digit_of(s[i + 3]);
        assert_true(a >= 0 && c >= 0 && (d >= 0 || s[i + 2] == '=') && (e >= 0 || s[i + 3] == '='));
        bytes[used++] = (uint8_t)(a << 2 | c >> 4);
        if (d >= 0)
            bytes[used++] = (uint8_t)(c << 4 | d >> 2);
        if (e >= 0)
            bytes[used++] = (uint8_t)(d << 6 | e);
    }
    const picture p = picture_decode(bytes, used);
    free(bytes);
    return p;
}

static void many_points_are_embedded(void **state)
{
    bench *b = *state;
    enum { N = 6000 };
    double *x = malloc(sizeof(double) * N), *y = malloc(sizeof(double) * N);
    for (int i = 0; i < N; i++)
        x[i] = cos(0.37 * i) * i, y[i] = sin(0.37 * i) * i;
    const lode_array ax = vector(x, N), ay = vector(y, N), fx = vector(x, 5000),
                     fy = vector(y, 5000);
    assert_ok(&b->context,
              lode_i_panel_points(&b->context, panel(b, "many"), NULL, &ax, &ay, NULL));
    char *svg = svg_of(b, 0, false);
    check_xml(svg);
    assert_int_equal(count(svg, "<circle"), 0);
    assert_int_equal(count(svg, "<image"), 1);
    assert_has(svg, ">time (s)</text>");
    const picture p = embedded(svg);
    int inked = 0, clear = 0;
    for (int i = 0; i < p.w * p.h; i++)
        inked += p.rgba[4 * i + 3] > 0, clear += p.rgba[4 * i + 3] == 0;
    assert_true(inked > 1000 && clear > 1000); /* drawn, and transparent elsewhere */
    assert_true(p.w > 1000);                   /* twice the size on the page */
    free(p.rgba);
    free(svg);
    lode_figure_free(&b->figure);
    assert_ok(&b->context, lode_figure_new(&b->context, &b->figure));
    assert_ok(&b->context,
              lode_i_panel_points(&b->context, panel(b, "fewer"), NULL, &fx, &fy, NULL));
    svg = svg_of(b, 0, false);
    assert_int_equal(count(svg, "<circle"), 5000);
    assert_int_equal(count(svg, "<image"), 0);
    free(svg);
    free(x);
    free(y);
}

/* A long time series stays a vector line: of each half pixel only what shows is kept, extremes
 * included. */
static void long_lines_keep_their_extremes(void **state)
{
    bench *b = *state;
    enum { N = 300000 };
    double *y = malloc(sizeof(double) * N);
    for (int i = 0; i < N; i++)
        y[i] = sin(i * 1e-4);
    y[123456] = 40;
    const lode_array ay = vector(y, N);
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "long"), NULL, NULL, &ay));
    char *svg = svg_of(b, 0, false);
    check_xml(svg);
    assert_int_equal(count(svg, "<polyline"), 1);
    assert_int_equal(count(svg, "<image"), 0);
    assert_true(strlen(svg) < 150000);
    lode_sheet s = { 0 };
    assert_ok(&b->context, lode_i_sheet(&b->context, b->figure, 960, false, &s));
    char top[32];
    /* the one spike: written as the coordinate it has */
    const double at = lode_i_py(&s.panel[0], 40);
    snprintf(top, sizeof top, ",%.2f ", floor(at * 100 + 0.5) / 100);
    size_t n = strlen(top);
    while (top[n - 2] == '0')
        top[n - 2] = ' ', top[--n] = 0;
    assert_has(svg, top);
    lode_i_sheet_free(&s);
    free(svg);
    free(y);
}

static void images_are_embedded_with_their_gaps(void **state)
{
    bench *b = *state;
    double v[12] = { 0, 1, 2, 3, 4, 5, NAN, 7, 8, 9, 10, 11 };
    const lode_array a = matrix(v, 3, 4);
    assert_ok(&b->context,
              lode_i_panel_image(&b->context, panel(b, "depth (km)"), &a, 0, 0, false));
    char *svg = svg_of(b, 0, false);
    check_xml(svg);
    assert_int_equal(count(svg, "<image"), 2); /* the image and its colour bar */
    assert_has(svg, ">km</text>");
    assert_has(svg, "image of 3 rows and 4 columns, colours from 0 to 11");
    assert_has(svg, ">hatched: not finite (1 of 12 cells)</text>");
    const picture p = embedded(svg);
    lode_rgba map[256];
    lode_i_colormap(false, map);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++) {
            const lode_rgba got = picture_at(&p, (c + 0.5) * p.w / 4, (r + 0.5) * p.h / 3);
            const double value = v[4 * r + c];
            if (isnan(value)) {
                assert_int_equal(got.a, 0);
                continue;
            }
            assert_int_equal(got.a, 255);
            assert_int_equal(apart(got, map[(int)floor(255 * value / 11 + 0.5)]), 0);
        }
    free(p.rgba);
    free(svg);
}

/* A host program's locale may write decimal commas. */
static void locale_changes_nothing(void **state)
{
    bench *b = *state;
    double y[4] = { 0.1, 0.25, 0.4, 0.125 };
    const lode_array ay = vector(y, 4);
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "commas"), NULL, NULL, &ay));
    char *plain = svg_of(b, 0, false), *other = NULL;
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8" };
    for (int i = 0; i < 4 && !other; i++)
        if (setlocale(LC_ALL, names[i]))
            other = svg_of(b, 0, false);
    setlocale(LC_ALL, "C");
    if (other)
        assert_string_equal(plain, other);
    free(plain);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_reader_needs_is_there, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(points_stand_where_the_data_say, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(many_points_are_embedded, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(long_lines_keep_their_extremes, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(images_are_embedded_with_their_gaps, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(locale_changes_nothing, bench_setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
