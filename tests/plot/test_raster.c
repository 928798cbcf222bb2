/* The rasterizer against closed forms: areas of what is drawn, sums of coverage, colours of
 * pixels. */
#include "picture.h"

static const lode_rgba black = { 0, 0, 0, 255 }, white = { 255, 255, 255, 255 };

/* Ink of black shapes on white: the sum of darkness over all pixels, in pixels. */
typedef struct sheet {
    lode_raster *r;
    lode_canvas *c;
    picture p;
} sheet;

static sheet begin(bench *b, double w, double h, double detail)
{
    sheet s = { 0 };
    assert_ok(&b->context, lode_i_raster_new(&b->context, (lode_box){ 0, 0, w, h }, detail, &s.r));
    s.c = lode_i_raster_canvas(s.r);
    return s;
}

static void finish(bench *b, sheet *s, bool opaque)
{
    void *bytes = NULL;
    size_t size = 0;
    assert_int_equal(s->c->st, LODE_OK);
    assert_ok(&b->context, lode_i_raster_png(&b->context, s->r, opaque, &bytes, &size));
    s->p = picture_decode(bytes, size);
    lode_i_free(bytes);
}

static void end(sheet *s)
{
    lode_i_raster_free(s->r);
    free(s->p.rgba);
}

static double ink(const picture *p, double x0, double y0, double x1, double y1)
{
    double sum = 0;
    for (int y = (int)y0; y < (int)y1; y++)
        for (int x = (int)x0; x < (int)x1; x++)
            sum += (255 - picture_at(p, x, y).g) / 255.0;
    return sum;
}

static void areas_are_exact(void **state)
{
    bench *b = *state;
    sheet s = begin(b, 400, 100, 1);
    s.c->rect(s.c, (lode_box){ 0, 0, 400, 100 }, white);
    s.c->rect(s.c, (lode_box){ 10.25, 10.5, 20.5, 30.75 }, black);
    s.c->line(s.c, 2, (const double[4]){ 50, 50, 130, 20 }, (lode_pen){ black, 5, 0 });
    const uint8_t key[4] = { 0, 1, 2, 3 };
    const lode_mark style[4] = { { black, LODE_DISC },
                                 { black, LODE_SQUARE },
                                 { black, LODE_TRIANGLE },
                                 { black, LODE_DIAMOND } };
    s.c->marks(s.c, 4, (const double[8]){ 170.3, 50.7, 220, 50, 270, 50, 320, 50 }, key, style, 15);
    finish(b, &s, true);
    assert_near(ink(&s.p, 0, 0, 45, 100), 20.5 * 30.75, 0.3);
    const double length = hypot(80, 30); /* a bar and two half discs */
    assert_near(ink(&s.p, 45, 0, 140, 100), 5 * length + M_PI * 2.5 * 2.5, 0.01 * 5 * length);
    assert_near(ink(&s.p, 150, 0, 195, 100), M_PI * 225, 0.01 * M_PI * 225);
    /* the other markers weigh about as much as the disc */
    for (int k = 0; k < 3; k++)
        assert_near(ink(&s.p, 195 + 50 * k, 0, 245 + 50 * k, 100) / (M_PI * 225), 1, 0.06);
    end(&s);
}

static void a_line_covers_the_pixels_on_it(void **state)
{
    bench *b = *state;
    sheet s = begin(b, 40, 40, 1);
    s.c->rect(s.c, (lode_box){ 0, 0, 40, 40 }, white);
    s.c->line(s.c, 2, (const double[4]){ 5, 10.5, 35, 10.5 }, (lode_pen){ black, 1, 0 });
    s.c->line(s.c, 2, (const double[4]){ 5, 20, 35, 20 }, (lode_pen){ black, 1, 0 });
    s.c->line(s.c, 2, (const double[4]){ 5, 30.5, 35, 30.5 }, (lode_pen){ black, 0.5, 0 });
    finish(b, &s, true);
    for (int x = 6; x < 34; x++) {
        assert_int_equal(picture_at(&s.p, x, 10).g, 0);
        assert_int_equal(picture_at(&s.p, x, 9).g, 255);
        assert_int_equal(picture_at(&s.p, x, 11).g, 255);
        /* on the edge between two rows: half of each */
        assert_near(picture_at(&s.p, x, 19).g, 127, 2);
        assert_near(picture_at(&s.p, x, 20).g, 127, 2);
        /* finer than a pixel: fainter, not narrower */
        assert_le(abs(picture_at(&s.p, x, 30).g - 155), 32);
    }
    end(&s);
}

/* A stroke that runs back over itself is one stroke: no joint or crossing is darker, whatever the
 * alpha. */
static void strokes_do_not_darken_themselves(void **state)
{
    bench *b = *state;
    const lode_rgba half = { 0, 0, 0, 128 };
    sheet once = begin(b, 60, 60, 1), twice = begin(b, 60, 60, 1);
    const double path[6] = { 8, 9, 50, 31, 20, 52 },
                 back[10] = { 8, 9, 50, 31, 20, 52, 50, 31, 8, 9 };
    once.c->rect(once.c, (lode_box){ 0, 0, 60, 60 }, white);
    twice.c->rect(twice.c, (lode_box){ 0, 0, 60, 60 }, white);
    once.c->line(once.c, 3, path, (lode_pen){ half, 3, 0 });
    twice.c->line(twice.c, 5, back, (lode_pen){ half, 3, 0 });
    finish(b, &once, true);
    finish(b, &twice, true);
    /* rounding of reversed segments */
    for (size_t i = 0; i < 4 * 60 * 60; i++)
        assert_true(abs(once.p.rgba[i] - twice.p.rgba[i]) <= 1);
    assert_near(picture_at(&once.p, 29, 20).g, 127, 1);
    end(&once);
    end(&twice);
}

/* Long, clipped and degenerate segments: the same pixels as the part that is seen. */
static void far_ends_change_nothing(void **state)
{
    bench *b = *state;
    sheet near = begin(b, 50, 50, 1), far = begin(b, 50, 50, 1);
    near.c->line(near.c, 2, (const double[4]){ -50, -25, 150, 75 }, (lode_pen){ black, 2, 0 });
    far.c->line(far.c, 2, (const double[4]){ -1e6 + 0, -5e5 + 0, 1e6, 5e5 },
                (lode_pen){ black, 2, 0 });
    far.c->line(far.c, 2, (const double[4]){ 1e9, 0, 1e9, 50 }, (lode_pen){ black, 2, 0 });
    finish(b, &near, false);
    finish(b, &far, false);
    for (size_t i = 0; i < 4 * 50 * 50; i++)
        assert_true(abs(near.p.rgba[i] - far.p.rgba[i]) <= 1);
    assert_true(picture_at(&near.p, 20, 10).a > 200);
    end(&near);
    end(&far);
    sheet dot = begin(b, 20, 20, 1);
    dot.c->line(dot.c, 2, (const double[4]){ 10, 10, 10, 10 }, (lode_pen){ black, 6, 0 });
    finish(b, &dot, false);
    double sum = 0;
    for (int i = 0; i < 400; i++)
        sum += dot.p.rgba[4 * i + 3] / 255.0;
    assert_near(sum, M_PI * 9, 0.5);
    end(&dot);
}

static void clip_and_transparency(void **state)
{
    bench *b = *state;
    sheet s = begin(b, 30, 30, 2); /* 60 x 60 pixels */
    s.c->clip(s.c, &(lode_box){ 10, 10, 10, 10 });
    s.c->rect(s.c, (lode_box){ 0, 0, 30, 30 }, (lode_rgba){ 200, 100, 50, 128 });
    s.c->clip(s.c, NULL);
    finish(b, &s, false);
    assert_int_equal(s.p.w, 60);
    for (int y = 0; y < 60; y++)
        for (int x = 0; x < 60; x++) {
            const bool in = x >= 20 && x < 40 && y >= 20 && y < 40;
            const lode_rgba c = picture_at(&s.p, x, y);
            assert_int_equal(c.a, in ? 128 : 0);
            if (in) /* the file's colours are not multiplied by alpha */
                assert_le(apart(c, (lode_rgba){ 200, 100, 50, 255 }), 3);
        }
    end(&s);
}

/* A thousand faint layers reach the colour itself, without bands from rounding. */
static void faint_layers_add_up(void **state)
{
    bench *b = *state;
    sheet s = begin(b, 4, 4, 1);
    s.c->rect(s.c, (lode_box){ 0, 0, 4, 4 }, white);
    double want = 255;
    for (int i = 0; i < 400; i++) {
        s.c->rect(s.c, (lode_box){ 0, 0, 4, 4 }, (lode_rgba){ 40, 40, 40, 2 });
        want = 40 * (2 / 255.0) + want * (1 - 2 / 255.0);
    }
    finish(b, &s, true);
    assert_near(picture_at(&s.p, 2, 2).g, want, 1);
    end(&s);
}

static void images_are_blocks(void **state)
{
    bench *b = *state;
    const lode_rgba px[6] = { { 255, 0, 0, 255 }, { 0, 255, 0, 255 }, { 0, 0, 255, 255 },
                              { 9, 9, 9, 255 },   { 0, 0, 0, 0 },     { 250, 250, 250, 255 } };
    sheet s = begin(b, 70, 50, 1);
    s.c->rect(s.c, (lode_box){ 0, 0, 70, 50 }, white);
    s.c->image(s.c, (lode_box){ 5, 5, 60, 40 }, 3, 2, px);
    finish(b, &s, true);
    for (int y = 0; y < 50; y++)
        for (int x = 0; x < 70; x++) {
            const bool in = x >= 5 && x < 65 && y >= 5 && y < 45;
            lode_rgba want = in ? px[(y - 5) / 20 * 3 + (x - 5) / 20] : white;
            if (want.a == 0)
                want = white;
            assert_int_equal(apart(picture_at(&s.p, x, y), want), 0);
        }
    end(&s);
}

/* Text inks within the width that layout reckons with, anchors hold, and reading upwards is a
 * quarter turn. */
static void text_fits_its_measure(void **state)
{
    bench *b = *state;
    static const char *const words[] = { "relative error (m/s)", "0123456789", "WMQ%@",
                                         ("\xE2\x88\x92"
                                          "0.25") };
    for (int k = 0; k < 4; k++)
        for (int anchor = -1; anchor <= 1; anchor++) {
            for (int bold = 0; bold < 2; bold++) {
                sheet s = begin(b, 600, 60, 1);
                s.c->rect(s.c, (lode_box){ 0, 0, 600, 60 }, white);
                s.c->text(s.c, &(lode_label){ .text = words[k],
                                              .x = 300,
                                              .y = 40,
                                              .size = 16,
                                              .anchor = anchor,
                                              .bold = bold,
                                              .colour = black });
                finish(b, &s, true);
                const double w = lode_i_text_width(words[k], 16, bold),
                             left = 300 - (anchor + 1) * 0.5 * w;
                assert_true(ink(&s.p, 0, 0, 600, 60) > 20);
                assert_near(ink(&s.p, 0, 0, left - 2, 60) + ink(&s.p, left + w + 2, 0, 600, 60), 0,
                            1e-9);
                assert_near(ink(&s.p, 0, 0, 600, 25) + ink(&s.p, 0, 46, 600, 60), 0, 1e-9);
                end(&s);
            }
        }
    sheet flat = begin(b, 200, 200, 1), up = begin(b, 200, 200, 1);
    flat.c->rect(flat.c, (lode_box){ 0, 0, 200, 200 }, white);
    up.c->rect(up.c, (lode_box){ 0, 0, 200, 200 }, white);
    flat.c->text(
        flat.c,
        &(lode_label){
            .text = "Rank 7", .x = 40, .y = 100, .size = 20, .anchor = -1, .colour = black });
    up.c->text(up.c, &(lode_label){ .text = "Rank 7",
                                    .x = 100,
                                    .y = 160,
                                    .size = 20,
                                    .anchor = -1,
                                    .vertical = true,
                                    .colour = black });
    finish(b, &flat, true);
    finish(b, &up, true);
    for (int y = 0; y < 200; y++)
        for (int x = 0; x < 200; x++) /* (x, y) of the flat text lies at (y, 199 - x) */
            assert_true(abs(picture_at(&flat.p, x, y).g - picture_at(&up.p, y, 199 - x).g) <= 1);
    end(&flat);
    end(&up);
}

static void dashes_leave_gaps(void **state)
{
    bench *b = *state;
    for (int dash = 1; dash <= 3; dash++) {
        const double *lengths;
        const int n = lode_i_dash(dash, &lengths);
        double on = 0, all = 0;
        for (int i = 0; i < n; i++)
            all += lengths[i], on += i % 2 ? 0 : lengths[i];
        sheet s = begin(b, 1100, 20, 1);
        s.c->rect(s.c, (lode_box){ 0, 0, 1100, 20 }, white);
        s.c->line(s.c, 3, (const double[6]){ 20, 10, 500, 10, 1070, 10 },
                  (lode_pen){ black, 4, dash });
        finish(b, &s, true);
        /* each dash also has two round ends: half discs of radius 2 */
        const double dashes = 1050 / (all * 4) * (n / 2);
        assert_near(ink(&s.p, 0, 0, 1100, 20) / (1050 * 4 * on / all + dashes * M_PI * 4), 1, 0.03);
        end(&s);
    }
}

/* The mean over a box, computed cell by cell with weights from overlaps of intervals. */
static double naive(const double *v, int64_t rows, int64_t cols, double y0, double y1, double x0,
                    double x1)
{
    double sum = 0, area = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            const double h = fmin(y1, (double)r + 1) - fmax(y0, (double)r);
            const double w = fmin(x1, (double)c + 1) - fmax(x0, (double)c);
            if (h > 0 && w > 0 && isfinite(v[r * cols + c]))
                sum += h * w * v[r * cols + c], area += h * w;
        }
    return area >= 0.5 * (y1 - y0) * (x1 - x0) - 1e-9 ? sum / area : NAN;
}

static void box_filter_is_the_mean(void **state)
{
    bench *b = *state;
    static const int64_t sizes[][4] = { { 7, 11, 3, 5 }, { 12, 12, 4, 3 }, { 5, 9, 5, 2 },
                                        { 9, 4, 2, 4 },  { 6, 6, 6, 6 },   { 13, 1, 4, 1 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t m = sizes[k][0], n = sizes[k][1], rows = sizes[k][2], cols = sizes[k][3];
        double src[200], dst[64];
        for (int64_t i = 0; i < m * n; i++)
            src[i] = i % 5 == 2 || (i / n < 3 && i % n < 3) ? NAN : sin((double)(i * i));
        assert_ok(&b->context, lode_i_box_filter(&b->context, src, m, n, dst, rows, cols));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++) {
                const double h = (double)m / (double)rows, w = (double)n / (double)cols;
                const double want = naive(src, m, n, (double)i * h, (double)(i + 1) * h,
                                          (double)j * w, (double)(j + 1) * w);
                if (isnan(want))
                    assert_true(isnan(dst[i * cols + j]));
                else
                    assert_near(dst[i * cols + j], want, 1e-12);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(areas_are_exact, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_line_covers_the_pixels_on_it, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(strokes_do_not_darken_themselves, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(far_ends_change_nothing, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(clip_and_transparency, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(faint_layers_add_up, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(images_are_blocks, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(text_fits_its_measure, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(dashes_leave_gaps, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(box_filter_is_the_mean, bench_setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
