/* Ticks: round numbers inside the range, labels that read back as the values, no overlap once laid
 * out. */
#include "picture.h"

static uint64_t draw_state = 7;
static double draw(void)
{
    draw_state = draw_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(draw_state >> 11) / 9007199254740992.0;
}

/* Reads a label as a person does: a minus sign, digits, perhaps "10" with a superscript, perhaps 5
 * times that. */
static double plain(const char *text)
{
    double sign = 1;
    if (strncmp(text, "\xE2\x88\x92", 3) == 0)
        sign = -1, text += 3;
    char *end;
    const double v = strtod(text, &end);
    assert_true(*end == 0 || strncmp(end, "\xC2\xB7", 2) == 0);
    return sign * v;
}

static double read_label(const lode_axis *a, const lode_tick *t)
{
    double v = plain(t->text);
    if (t->sup[0]) {
        const char *times = strstr(t->text, "\xC2\xB7");
        v = pow(10, plain(t->sup)) * (times ? v : 1);
        assert_true(times || strcmp(t->text, "10") == 0);
    }
    return v * pow(10, a->exponent);
}

static void round_steps_within_the_range(void **state)
{
    (void)state;
    for (int k = 0; k < 4000; k++) {
        const double span = pow(10, -8 + 16 * draw()),
                     middle = (draw() - 0.5) * pow(10, -8 + 16 * draw());
        if (span < 1e-5 * fabs(middle))
            continue;
        lode_axis a = { .lo = middle - span, .hi = middle + span };
        const int target = 2 + k % 9;
        lode_i_axis_ticks(&a, target);
        assert_true(a.count >= 2);
        assert_le(a.count, target + 5);
        const double step = a.tick[1].at - a.tick[0].at,
                     digits = step / pow(10, floor(log10(step) + 1e-9));
        assert_true(fabs(digits - 1) < 1e-6 || fabs(digits - 2) < 1e-6 || fabs(digits - 5) < 1e-6);
        for (int i = 0; i < a.count; i++) {
            assert_true(a.tick[i].at >= a.lo - 1e-8 * span && a.tick[i].at <= a.hi + 1e-8 * span);
            assert_near(read_label(&a, &a.tick[i]), a.tick[i].at,
                        1e-9 * step + 1e-12 * fabs(a.tick[i].at));
            assert_near(i ? a.tick[i].at - a.tick[i - 1].at : step, step, 1e-6 * step);
        }
        /* no round number of this step is left out at either end */
        assert_true(a.tick[0].at - step < a.lo && a.tick[a.count - 1].at + step > a.hi);
    }
}

static void counted_axes_have_whole_ticks(void **state)
{
    (void)state;
    for (int n = 1; n < 3000; n = n * 3 / 2 + 1) {
        lode_axis a = { .lo = -0.5, .hi = n - 0.5, .integer = true };
        lode_i_axis_ticks(&a, 6);
        assert_true(a.count >= 1);
        for (int i = 0; i < a.count; i++) {
            assert_true(a.tick[i].at == floor(a.tick[i].at));
            assert_null(strchr(a.tick[i].text, '.'));
        }
    }
}

static void logarithmic_labels_read_back(void **state)
{
    (void)state;
    for (int k = 0; k < 2000; k++) {
        const double lo = -30 + 60 * draw(), span = pow(10, -2 + 3.5 * draw());
        lode_axis a = { .lo = lo, .hi = lo + span, .log = true };
        lode_i_axis_ticks(&a, 2 + k % 7);
        assert_true(a.count >= 1);
        for (int i = 0; i < a.count; i++) {
            assert_true(a.tick[i].at >= a.lo - 1e-6 && a.tick[i].at <= a.hi + 1e-6);
            assert_near(log10(read_label(&a, &a.tick[i])), a.tick[i].at, 1e-9);
            assert_true(i == 0 || a.tick[i].at > a.tick[i - 1].at);
        }
        for (int i = 0; i < a.minors; i++)
            assert_true(a.minor[i] >= a.lo - 1e-6 && a.minor[i] <= a.hi + 1e-6);
    }
}

static void empty_and_extreme_ranges_are_survived(void **state)
{
    (void)state;
    static const double ends[][2] = { { 0, 0 },           { 5, 5 },           { -1e300, 1e300 },
                                      { 1e299, 1e300 },   { 1e-310, 2e-310 }, { 0, 5e-324 },
                                      { 1e15, 1e15 + 2 }, { -7, -7 },         { 1, 1 + 1e-15 },
                                      { -1e-299, 1e-299 } };
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        lode_axis a = { .lo = ends[k][0], .hi = ends[k][1] };
        lode_i_axis_ticks(&a, 5);
        assert_true(isfinite(a.lo) && isfinite(a.hi) && a.lo < a.hi);
        assert_true(a.lo <= ends[k][0] && a.hi >= ends[k][1]); /* widened, never narrowed */
        for (int i = 0; i < a.count; i++)
            assert_true(isfinite(a.tick[i].at) && a.tick[i].text[0]);
    }
}

/* Labels at 400 and 960 pixels, over ranges of every kind: none touches its neighbour, none leaves
 * the sheet. */
static void labels_never_overlap(void **state)
{
    bench *b = *state;
    for (int k = 0; k < 60; k++) {
        double y[20], x[20];
        const double big = pow(10, -9 + 18 * draw()),
                     shift = k % 3 ? 0 : 20000 * big * (0.5 + draw());
        const bool log = k % 4 == 1;
        for (int i = 0; i < 20; i++) {
            x[i] = log ? pow(10, draw() * (k % 5) + draw()) : shift + big * draw();
            y[i] = log ? pow(10, draw() * k) : shift - big * draw();
        }
        lode_panel *p = panel(b, "ranges");
        const lode_array ax = vector(x, 20), ay = vector(y, 20);
        assert_ok(&b->context, lode_i_panel_points(&b->context, p, "some values", &ax, &ay, NULL));
        lode_i_panel_log(p, log, log);
    }
    for (int pass = 0; pass < 2; pass++) {
        lode_sheet s = { 0 };
        assert_ok(&b->context, lode_i_sheet(&b->context, b->figure, pass ? 400 : 960, false, &s));
        for (int64_t k = 0; k < s.count; k++) {
            const lode_panel_layout *l = &s.panel[k];
            for (int i = 1; i < l->x.count; i++) {
                const double room = lode_i_px(l, l->x.tick[i].at) -
                                    lode_i_px(l, l->x.tick[i - 1].at);
                assert_true(room > 0.5 * (lode_i_tick_width(&l->x.tick[i], s.tick) +
                                          lode_i_tick_width(&l->x.tick[i - 1], s.tick)) +
                                       2);
            }
            for (int i = 1; i < l->y.count; i++)
                assert_true(lode_i_py(l, l->y.tick[i - 1].at) - lode_i_py(l, l->y.tick[i].at) >
                            1.2 * s.tick);
            for (int i = 0; i < l->y.count; i++) /* beside the axis, right of the axis label */
                assert_true(lode_i_tick_width(&l->y.tick[i], s.tick) + 7 + 1.3 * s.label < l->left);
            assert_true(l->plot.w > 0.4 * 270 && l->plot.x - l->left > 0);
            assert_true(l->plot.x + l->plot.w + l->right <= s.width);
            assert_true(l->plot.y + l->plot.h + l->bottom <= s.height);
        }
        lode_i_sheet_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_steps_within_the_range),
        cmocka_unit_test(counted_axes_have_whole_ticks),
        cmocka_unit_test(logarithmic_labels_read_back),
        cmocka_unit_test(empty_and_extreme_ranges_are_survived),
        cmocka_unit_test_setup_teardown(labels_never_overlap, bench_setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
