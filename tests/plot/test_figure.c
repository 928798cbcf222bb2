/* Figures whole: pixels where the data say, gaps, groups, legends off the data, the same bytes
 * every time, and every failure survived. */
#include "picture.h"

#include <sys/stat.h>

static const lode_panel_layout *laid(bench *b, lode_sheet *s, int width)
{
    assert_ok(&b->context, lode_i_sheet(&b->context, b->figure, width, false, s));
    return &s->panel[0];
}

static void a_line_passes_through_its_pixels(void **state)
{
    bench *b = *state;
    double y[200];
    for (int i = 0; i < 200; i++)
        y[i] = 3 + cos(i * 0.05);
    const lode_array ay = vector(y, 200);
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "cosine"), NULL, NULL, &ay));
    for (int dark = 0; dark < 2; dark++) {
        lode_sheet s = { 0 };
        const lode_panel_layout *l = laid(b, &s, 640);
        const picture p = picture_of(b, 640, dark);
        assert_int_equal(p.w, 640);
        assert_int_equal(p.h, (int)s.height);
        const lode_rgba ink = lode_i_palette(dark, 0), paper = lode_i_theme(dark).paper;
        for (int i = 2; i < 198; i++) {
            const double px = lode_i_px(l, i + 1), py = lode_i_py(l, y[i]);
            /* at most 0.71 pixels from the line: 0.69 ink */
            assert_le(apart(picture_at(&p, px, py), ink), 150);
            /* 9 pixels above or below there is paper or grid */
            assert_true(apart(picture_at(&p, px, py - 9), paper) < 120 || py - 9 < l->plot.y);
        }
        assert_int_equal(apart(picture_at(&p, 1, 1), paper), 0);
        free(p.rgba);
        lode_i_sheet_free(&s);
    }
}

static void missing_values_are_gaps(void **state)
{
    bench *b = *state;
    double y[100];
    for (int i = 0; i < 100; i++)
        y[i] = i >= 40 && i < 60 ? NAN : i == 80 ? INFINITY : 0.01 * i;
    y[50] = 0.5; /* a value alone between gaps is a dot */
    const lode_array ay = vector(y, 100);
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "gap"), NULL, NULL, &ay));
    lode_sheet s = { 0 };
    const lode_panel_layout *l = laid(b, &s, 700);
    assert_int_equal(l->dropped, 20);
    assert_int_equal(l->drawn, 80);
    const picture p = picture_of(b, 700, false);
    const lode_rgba ink = lode_i_palette(false, 0);
    for (int i = 42; i < 58; i++)
        if (abs(i - 50) > 1)
            assert_true(apart(picture_at(&p, lode_i_px(l, i + 1), lode_i_py(l, 0.01 * i)), ink) >
                        150);
    assert_le(apart(picture_at(&p, lode_i_px(l, 51), lode_i_py(l, 0.5)), ink), 60);
    assert_true(apart(picture_at(&p, lode_i_px(l, 81), lode_i_py(l, 0.80)), ink) > 150);
    free(p.rgba);
    lode_i_sheet_free(&s);
    char *svg = svg_of(b, 0, false);
    assert_non_null(strstr(svg, ">20 of 100 values not drawn: not finite</text>"));
    free(svg);
}

static void image_cells_have_their_colours(void **state)
{
    bench *b = *state;
    double v[30];
    for (int i = 0; i < 30; i++)
        v[i] = i == 13 ? (double)NAN : i - 10;
    const lode_array a = matrix(v, 5, 6);
    assert_ok(&b->context, lode_i_panel_image(&b->context, panel(b, "cells"), &a, 0, 0, true));
    lode_sheet s = { 0 };
    const lode_panel_layout *l = laid(b, &s, 500);
    const picture p = picture_of(b, 500, false);
    lode_rgba map[256];
    lode_i_colormap(true, map);
    for (int r = 0; r < 5; r++)
        for (int c = 0; c < 6; c++) {
            const double value = v[6 * r + c];
            for (int k = 0; k < 9; k++) { /* all over the cell, row 0 on top */
                const double px = lode_i_px(l, c + 0.4 * (k % 3 - 1)),
                             py = lode_i_py(l, r + 0.4 * (k / 3 - 1));
                assert_true(py > l->plot.y + l->plot.h * r / 5 - 1e-9);
                if (isnan(value))
                    assert_true(apart(picture_at(&p, px, py), map[127]) > 0);
                else /* symmetric about 0: -19 to 19 */
                    assert_int_equal(apart(picture_at(&p, px, py),
                                           map[(int)floor(255 * (value + 19) / 38 + 0.5)]),
                                     0);
            }
        }
    /* the gap shows both paper and hatching */
    int paper = 0, hatch = 0;
    for (double y = lode_i_py(l, 1.6); y < lode_i_py(l, 2.4); y++)
        for (double x = lode_i_px(l, 0.6); x < lode_i_px(l, 1.4); x++) {
            paper += apart(picture_at(&p, x, y), s.theme.paper) == 0;
            hatch += apart(picture_at(&p, x, y), s.theme.hatch) < 30;
        }
    assert_true(paper > 100 && hatch > 20);
    assert_near(l->plot.h / l->plot.w, 5.0 / 6, 0.02); /* cells are square */
    free(p.rgba);
    lode_i_sheet_free(&s);
}

/* A matrix far larger than the picture: each pixel is the mean of its block, computed here from the
 * formula. */
static void large_images_are_averaged(void **state)
{
    bench *b = *state;
    const int64_t rows = 2500, cols = 300;
    float *v = malloc(sizeof(float) * (size_t)(rows * cols));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols;
             j++) /* a checkerboard of one cell on a ramp: the mean is the ramp */
            v[i * cols + j] = (float)(100.0 * (double)j / (double)cols + ((i + j) % 2 ? 40 : -40));
    const lode_array a = lode_array_wrap(v, LODE_F32, 2, (const int64_t[2]){ rows, cols });
    assert_ok(&b->context, lode_i_panel_image(&b->context, panel(b, "ramp"), &a, 0, 100, false));
    free(v); /* the figure keeps its own copy */
    lode_sheet s = { 0 };
    const lode_panel_layout *l = laid(b, &s, 400);
    assert_true(l->bar_above && l->bar_below); /* values beyond the colours are announced */
    const picture p = picture_of(b, 400, false);
    lode_rgba map[256];
    lode_i_colormap(false, map);
    for (double y = l->plot.y + 2; y < l->plot.y + l->plot.h - 2; y += 7)
        for (double x = l->plot.x + 2; x < l->plot.x + l->plot.w - 2; x += 5) {
            const double t = (floor(x) + 0.5 - l->plot.x) / l->plot.w;
            assert_le(apart(picture_at(&p, x, y), map[(int)(255 * t)]), 40);
        }
    assert_le(b->context.state ? (double)lode_ctx_memory_peak(&b->context) : 0, 60e6);
    free(p.rgba);
    lode_i_sheet_free(&s);
}

static void every_type_and_stride_is_read(void **state)
{
    bench *b = *state;
    int16_t v[24];
    for (int i = 0; i < 24; i++)
        v[i] = (int16_t)(i * i - 50);
    const lode_array whole = lode_array_wrap(v, LODE_I16, 2, (const int64_t[2]){ 4, 6 });
    lode_array turned = { 0 }, column = { 0 }, row = { 0 };
    assert_ok(&b->context,
              lode_array_permute(&b->context, &whole, (const int[2]){ 1, 0 }, &turned));
    assert_ok(&b->context, lode_array_slice(&b->context, &turned, 1, 2, 3, 1, &column)); /* 6 x 1 */
    assert_ok(&b->context, lode_array_slice(&b->context, &whole, 0, 2, 3, 1, &row));     /* 1 x 6 */
    lode_panel *p = panel(b, "types");
    assert_ok(&b->context, lode_i_panel_line(&b->context, p, NULL, NULL, &column));
    assert_ok(&b->context, lode_i_panel_line(&b->context, p, NULL, NULL, &row));
    assert_ok(&b->context,
              lode_i_panel_image(&b->context, panel(b, "turned"), &turned, 0, 0, false));
    for (int i = 0; i < 6; i++) {
        assert_near(p->series[0].y[i], v[12 + i], 0);
        assert_near(p->series[1].y[i], v[12 + i], 0);
    }
    const lode_image *m = b->figure->panels[1]->image;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 4; j++)
            assert_near(m->v[4 * i + j], v[6 * j + i], 0);
    lode_array_free(&turned);
    lode_array_free(&column);
    lode_array_free(&row);
}

/* Points of the same group share a colour, other groups differ, noise is grey. */
static void groups_have_colours(void **state)
{
    bench *b = *state;
    double x[5] = { 1, 2, 3, 4, 5 }, y[5] = { 1, 1, 2, 2, 1.5 };
    int32_t g[5] = { 3, 7, 3, 7, -1 };
    const lode_array ax = vector(x, 5), ay = vector(y, 5);
    const lode_array ag = lode_array_wrap(g, LODE_I32, 1, (const int64_t[1]){ 5 });
    lode_panel *q = panel(b, "groups");
    assert_ok(&b->context, lode_i_panel_points(&b->context, q, "cluster", &ax, &ay, &ag));
    lode_sheet s = { 0 };
    const lode_panel_layout *l = laid(b, &s, 600);
    const picture p = picture_of(b, 600, false);
    lode_rgba c[5];
    for (int i = 0; i < 5; i++)
        c[i] = picture_at(&p, lode_i_px(l, x[i]), lode_i_py(l, y[i]));
    assert_le(apart(c[0], c[2]) + apart(c[1], c[3]), 4);
    assert_true(apart(c[0], c[1]) > 100 && apart(c[4], c[0]) > 100 && apart(c[4], c[1]) > 100);
    assert_true(abs(c[4].r - c[4].g) < 30 && abs(c[4].g - c[4].b) < 30);
    free(p.rgba);
    lode_i_sheet_free(&s);
    char *svg = svg_of(b, 0, false);
    assert_non_null(strstr(svg, ">cluster 3</text>"));
    assert_non_null(strstr(svg, ">cluster 7</text>"));
    assert_non_null(strstr(svg, ">cluster: none</text>"));
    free(svg);
    /* numbers that are no labels: a colour bar */
    double w[5] = { 0.5, 1.5, 2.5, 3.5, 4.5 };
    const lode_array aw = vector(w, 5);
    assert_ok(&b->context,
              lode_i_panel_points(&b->context, panel(b, "values"), "depth", &ax, &ay, &aw));
    l = laid(b, &s, 600);
    assert_true(s.panel[1].bar.w > 5 && s.panel[0].bar.w == 0);
    assert_string_equal(s.panel[1].unit, "depth");
    lode_i_sheet_free(&s);
}

/* Whatever the data, an inner legend touches no datum; where no corner is free it stands below the
 * plot. */
static void legends_stay_off_the_data(void **state)
{
    bench *b = *state;
    uint64_t seed = 5;
    int inside = 0, outside = 0;
    for (int k = 0; k < 30; k++) {
        double x[30], y[30];
        for (int i = 0; i < 30; i++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            x[i] = i, y[i] = k % 3 == 0 ? (double)(seed >> 40) : k % 3 == 1 ? i * i : -i;
        }
        const lode_array ax = vector(x, 30), ay = vector(y, 30);
        lode_panel *p = panel(b, "legend");
        assert_ok(&b->context, lode_i_panel_line(&b->context, p, "line", &ax, &ay));
        assert_ok(&b->context, lode_i_panel_points(&b->context, p, "points", &ax, &ay, NULL));
    }
    lode_sheet s = { 0 };
    laid(b, &s, 960);
    for (int64_t k = 0; k < s.count; k++) {
        const lode_panel_layout *l = &s.panel[k];
        const lode_box g = l->legend.box;
        assert_int_equal(l->legend.count, 2);
        inside += !l->legend.outside, outside += l->legend.outside;
        assert_true(g.x >= 0 && g.x + g.w <= s.width);
        if (l->legend.outside) {
            assert_true(g.y >= l->plot.y + l->plot.h && g.y + g.h <= s.height);
            continue;
        }
        assert_true(g.x >= l->plot.x && g.x + g.w <= l->plot.x + l->plot.w);
        assert_true(g.y >= l->plot.y && g.y + g.h <= l->plot.y + l->plot.h);
        const lode_series *d = &b->figure->panels[k]->series[0];
        for (int i = 0; i + 1 < 30; i++)
            for (double t = 0; t <= 1; t += 0.02) {
                const double px = lode_i_px(l, d->x[i] + t),
                             py = lode_i_py(l, d->y[i] + t * (d->y[i + 1] - d->y[i]));
                assert_false(px > g.x && px < g.x + g.w && py > g.y && py < g.y + g.h);
            }
    }
    assert_true(inside > 10 && outside > 3);
    lode_i_sheet_free(&s);
}

static void nothing_to_draw_is_said(void **state)
{
    bench *b = *state;
    double none[3] = { NAN, INFINITY, -INFINITY }, negative[2] = { -1, 0 },
           mixed[4] = { 0.1, -1, 10, 0 };
    const lode_array an = vector(none, 3), am = vector(negative, 2), ax = vector(mixed, 4);
    const lode_array ai = matrix(none, 1, 3);
    const lode_array empty = lode_array_wrap(none, LODE_F64, 1, (const int64_t[1]){ 0 });
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "a"), "nan", NULL, &an));
    assert_ok(&b->context, lode_i_panel_image(&b->context, panel(b, "b"), &ai, 0, 0, false));
    lode_panel *p = panel(b, "c");
    lode_i_panel_log(p, false, true);
    assert_ok(&b->context, lode_i_panel_bars(&b->context, p, NULL, &am));
    assert_ok(&b->context,
              lode_i_panel_points(&b->context, panel(b, "d"), "empty", NULL, &empty, &empty));
    const lode_array no_cells = { .ndim = 2, .dtype = LODE_F64 };
    assert_ok(&b->context, lode_i_panel_image(&b->context, panel(b, "e"), &no_cells, 0, 0, false));
    panel(b, "f");
    p = panel(b, "g");
    lode_i_panel_log(p, false, true);
    assert_ok(&b->context, lode_i_panel_line(&b->context, p, NULL, NULL, &ax));
    char *svg = svg_of(b, 0, true);
    int finite = 0, positive = 0, values = 0;
    for (const char *s = svg; (s = strstr(s, ">no ")) != NULL; s++) {
        finite += strncmp(s, ">no finite values<", 18) == 0;
        positive += strncmp(s, ">no finite positive values<", 27) == 0;
        values += strncmp(s, ">no values<", 11) == 0;
    }
    assert_int_equal(finite, 2);
    assert_int_equal(positive, 1);
    assert_int_equal(values, 3);
    assert_non_null(strstr(svg, "2 of 4 values not drawn: not finite, or not"));
    free(svg);
    const picture q = picture_of(b, 300, false);
    free(q.rgba);
}

static void scree_shows_values_and_energy(void **state)
{
    bench *b = *state;
    double s[4] = { 3e200, 2e200, 1e200, 0 }; /* squares overflow unless scaled */
    const lode_array as = vector(s, 4);
    assert_ok(&b->context, lode_i_plot_scree(&b->context, b->figure, "spectrum", &as));
    assert_int_equal(b->figure->count, 2);
    assert_true(b->figure->panels[0]->logy && !b->figure->panels[1]->logy);
    const double *e = b->figure->panels[1]->series[0].y;
    assert_near(e[0], 100 * 9.0 / 14, 1e-9);
    assert_near(e[1], 100 * 13.0 / 14, 1e-9);
    assert_near(e[3], 100, 0);
    const lode_array wrong = matrix(s, 2, 2);
    assert_status(&b->context, lode_i_plot_scree(&b->context, b->figure, NULL, &wrong),
                  LODE_ESHAPE);
    assert_int_equal(b->figure->count, 2);
    char *svg = svg_of(b, 0, false);
    assert_non_null(strstr(svg, ">spectrum</text>"));
    free(svg);
}

/* A figure with one of everything. */
static lode_status everything(lode_ctx *ctx, lode_figure *f)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    double y[64], g[64], v[48];
    for (int i = 0; i < 64; i++)
        y[i] = 1 + sin(i) * sin(i), g[i] = i % 9;
    for (int i = 0; i < 48; i++)
        v[i] = i == 7 ? NAN : cos(i);
    const lode_array ay = vector(y, 64), ag = vector(g, 64), av = matrix(v, 6, 8),
                     few = vector(y, 7);
    LODE_TRY(lode_figure_caption(ctx, f, "Everything at once", "a caption"));
    LODE_TRY(lode_i_panel(ctx, f, "one", "x", "y", &p));
    LODE_TRY(lode_i_panel_line(ctx, p, "line", NULL, &ay));
    LODE_TRY(lode_i_panel_points(ctx, p, "group", &ay, &ay, &ag));
    LODE_TRY(lode_i_panel(ctx, f, "two (K)", "x", "y", &p));
    LODE_TRY(lode_i_panel_image(ctx, p, &av, 0, 0, true));
    LODE_TRY(lode_i_panel(ctx, f, "three", NULL, NULL, &p));
    LODE_TRY(lode_i_panel_bars(ctx, p, "bars", &few));
    LODE_TRY(lode_i_panel_bars(ctx, p, "others", &few));
    LODE_TRY(lode_i_plot_scree(ctx, f, NULL, &few));
done:
    return st;
}

static void the_same_bytes_every_time(void **state)
{
    bench *b = *state;
    assert_ok(&b->context, everything(&b->context, b->figure));
    static const char *const names[2] = { "a.svg", "a.PNG" };
    for (int k = 0; k < 2; k++) {
        char path[512];
        char *bytes[3];
        size_t size[3];
        place(b, names[k], path);
        for (int i = 0; i < 3; i++) {
            b->context.threads = i + 1;
            assert_ok(&b->context, lode_figure_write(&b->context, b->figure, path, 0, false, true));
            bytes[i] = slurp(path, &size[i]);
        }
        assert_int_equal(size[0], size[1]);
        assert_int_equal(size[0], size[2]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        assert_memory_equal(bytes[0], bytes[2], size[0]);
        for (int i = 0; i < 3; i++)
            free(bytes[i]);
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    bench *b = *state;
    static const char *const names[2] = { "fail.svg", "fail.png" };
    for (int k = 0; k < 2; k++) {
        char path[512];
        place(b, names[k], path);
        for (int64_t n = 1;; n++) {
            const int64_t before = b->memory.live;
            lode_figure *f = NULL;
            heap_fail(&b->memory, n);
            lode_status st = lode_figure_new(&b->context, &f);
            if (st >= 0)
                st = everything(&b->context, f);
            if (st >= 0)
                st = lode_figure_write(&b->context, f, path, 240, false, false);
            const bool failed = heap_failed(&b->memory);
            heap_fail(&b->memory, 0);
            lode_figure_free(&f);
            lode_figure_free(&f); /* freeing an empty one is legal */
            assert_int_equal(b->memory.live, before);
            if (!failed) {
                assert_int_equal(st, LODE_OK);
                assert_true(n > 40);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_int_equal(folder_count(b->folder), k); /* no file, no temporary */
        }
    }
}

static void wrong_requests_are_named(void **state)
{
    bench *b = *state;
    lode_ctx *ctx = &b->context;
    char path[512];
    double y[6] = { 1, 2, 3, 4, 5, 6 };
    const lode_array ay = vector(y, 6), ax = vector(y, 5), am = matrix(y, 2, 3);
    const lode_array ac = lode_array_wrap(y, LODE_C128, 1, (const int64_t[1]){ 3 });
    const lode_array acm = lode_array_wrap(y, LODE_C128, 2, (const int64_t[2]){ 1, 3 });
    place(b, "x.svg", path);
    assert_status(ctx, lode_figure_write(ctx, b->figure, path, 0, false, false), LODE_EUSAGE);
    assert_says(ctx, "no panels");
    lode_panel *p = panel(b, "speed");
    assert_status(ctx, lode_i_panel_line(ctx, p, NULL, &ax, &ay), LODE_ESHAPE);
    assert_says(ctx, "x has 5 values and y has 6");
    assert_says(ctx, "speed");
    assert_status(ctx, lode_i_panel_points(ctx, p, NULL, &ay, &ay, &ax), LODE_ESHAPE);
    assert_status(ctx, lode_i_panel_line(ctx, p, NULL, NULL, &am), LODE_ESHAPE);
    assert_says(ctx, "2 x 3");
    assert_status(ctx, lode_i_panel_bars(ctx, p, NULL, &ac), LODE_ETYPE);
    assert_says(ctx, "c128");
    assert_status(ctx, lode_i_panel_image(ctx, p, &ay, 0, 0, false), LODE_ESHAPE);
    assert_status(ctx, lode_i_panel_image(ctx, p, &acm, 0, 0, false), LODE_ETYPE);
    assert_status(ctx, lode_i_panel_image(ctx, p, &am, 2, 1, false), LODE_EPARAM);
    assert_status(ctx, lode_i_panel_image(ctx, p, &am, NAN, 1, false), LODE_EPARAM);
    assert_int_equal(p->count, 0);
    assert_null(p->image);
    assert_ok(ctx, lode_i_panel_line(ctx, p, NULL, NULL, &ay));
    static const char *const bad[] = { "x.pdf", "x", "svg", "x.svg.gz", "-" };
    for (int i = 0; i < 5; i++) {
        assert_status(ctx, lode_figure_write(ctx, b->figure, bad[i], 0, false, false), LODE_EUSAGE);
        assert_says(ctx, ".svg or .png");
        assert_says(ctx, bad[i]);
    }
    assert_status(ctx, lode_figure_write(ctx, b->figure, path, 199, false, false), LODE_EPARAM);
    assert_says(ctx, "200 to 8000");
    assert_status(ctx, lode_figure_write(ctx, b->figure, path, 8001, false, false), LODE_EPARAM);
    assert_status(ctx, lode_figure_write(ctx, b->figure, path, -1, false, false), LODE_EPARAM);
    assert_int_equal(folder_count(b->folder), 0);
    assert_ok(ctx, lode_figure_write(ctx, b->figure, path, 200, false, false));
    assert_status(ctx, lode_figure_write(ctx, b->figure, path, 0, false, false), LODE_EEXIST);
    assert_ok(ctx, lode_figure_write(ctx, b->figure, path, 0, false, true));
    place(b, "no/such/folder/x.png", path);
    assert_true(lode_figure_write(ctx, b->figure, path, 0, false, false) < 0);
    assert_says(ctx, "x.png");
    assert_int_equal(folder_count(b->folder), 1);
}

static void a_full_disk_leaves_nothing(void **state)
{
    bench *b = *state;
    struct stat info;
    if (stat("/dev/full", &info) != 0)
        skip();
    double y[3] = { 1, 2, 3 };
    const lode_array ay = vector(y, 3);
    assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "p"), NULL, NULL, &ay));
    char path[512];
    place(b, "gone", path); /* a folder that cannot be written to */
    assert_int_equal(mkdir(path, 0500), 0);
    place(b, "gone/x.svg", path);
    if (geteuid() != 0) /* root may write anywhere */
        assert_true(lode_figure_write(&b->context, b->figure, path, 0, false, false) < 0);
    b->context.threads = 1;
    lode_ctx_set_memory(&b->context, lode_ctx_memory_used(&b->context) + 4096);
    place(b, "x.png", path);
    assert_status(&b->context, lode_figure_write(&b->context, b->figure, path, 0, false, false),
                  LODE_EBUDGET);
    assert_int_equal(folder_count(b->folder), 1);
}

static int stop(void *data, const lode_progress *progress)
{
    (void)progress;
    return ++*(int *)data >= 1;
}

static void cancelling_is_heard(void **state)
{
    bench *b = *state;
    assert_ok(&b->context, everything(&b->context, b->figure));
    int calls = 0;
    char path[512];
    place(b, "x.png", path);
    b->context.progress = stop, b->context.progress_data = &calls;
    assert_int_equal(lode_figure_write(&b->context, b->figure, path, 0, false, false),
                     LODE_ECANCEL);
    b->context.progress = NULL;
    assert_int_equal(folder_count(b->folder), 0);
    assert_ok(&b->context, lode_figure_write(&b->context, b->figure, path, 0, false, false));
}

/* Values at the ends of what doubles hold: drawn or counted as not drawn, never a crash or a
 * hang. */
static void extreme_values_are_survived(void **state)
{
    bench *b = *state;
    double v[8] = { 1e308, -1e308, 5e-324, 0, 1e-300, -5e-324, 1e299, 1 };
    const lode_array a = vector(v, 8), m = matrix(v, 2, 4), tiny = vector(v + 2, 2);
    for (int log = 0; log < 2; log++) {
        lode_panel *p = panel(b, "extremes");
        lode_i_panel_log(p, log, log);
        assert_ok(&b->context, lode_i_panel_line(&b->context, p, "l", &a, &a));
        assert_ok(&b->context, lode_i_panel_points(&b->context, p, "p", NULL, &a, &a));
        p = panel(b, "bars");
        lode_i_panel_log(p, log, log);
        assert_ok(&b->context, lode_i_panel_bars(&b->context, p, "b", &a));
        assert_ok(&b->context, lode_i_panel_line(&b->context, panel(b, "tiny"), "t", NULL, &tiny));
        assert_ok(&b->context, lode_i_panel_image(&b->context, panel(b, "image"), &m, 0, 0, log));
    }
    for (int i = 0; i < 2; i++) {
        const picture p = picture_of(b, i ? 400 : 1920, i);
        free(p.rgba);
        char *svg = svg_of(b, 0, i);
        assert_null(strstr(svg, "nan"));
        assert_null(strstr(svg, "inf"));
        free(svg);
    }
}

/* Names stand under their bars, in two rows where one has no room, and never touch. */
static void bars_have_names(void **state)
{
    bench *b = *state;
    lode_ctx *ctx = &b->context;
    static const char *const names[] = {
        "coefficients", "bases",        "missing values",
        "corrections",  "exact values", "a name that is far too long for a bar"
    };
    double v[] = { 5, 4, 3, 2, 1, 6 };
    const lode_array six = vector(v, 6);
    lode_panel *p = panel(b, "bytes");
    assert_ok(ctx, lode_i_panel_bars(ctx, p, NULL, &six));
    assert_ok(ctx, lode_i_panel_names(ctx, p, 6, names));
    for (int width = 360; width <= 1000; width += 320) {
        lode_sheet s = { 0 };
        assert_ok(ctx, lode_i_sheet(ctx, b->figure, width, false, &s));
        const lode_panel_layout *l = &s.panel[0];
        const int rows = l->x.lowered ? 2 : 1;
        assert_int_equal(l->x.count, 6);
        assert_int_equal(l->x.lowered, width < 900);
        for (int i = 0; i < 6; i++) {
            const lode_tick *t = &l->x.tick[i];
            assert_true(t->at == i + 1);
            assert_memory_equal(t->text, names[i], i < 5 ? strlen(names[i]) + 1 : 10);
            if (i >= rows && width > 600)
                assert_le(0.5 *
                              (lode_i_tick_width(t, s.tick) + lode_i_tick_width(t - rows, s.tick)),
                          lode_i_px(l, t->at) - lode_i_px(l, (t - rows)->at));
        }
        lode_i_sheet_free(&s);
    }
    static const char *const many[LODE_BAR_NAMES + 1] = { "x" };
    assert_status(ctx, lode_i_panel_names(ctx, p, LODE_BAR_NAMES + 1, many), LODE_EPARAM);
    const picture drawn = picture_of(b, 400, false);
    free(drawn.rgba);
}

static void curves_come_through_the_public_header(void **state)
{
    bench *b = *state;
    lode_ctx *ctx = &b->context;
    const double x[] = { 1, 10, 100 }, y[] = { 1e-1, 1e-2, 1e-3 }, z[] = { 0.5, 0, 1e-4 };
    const lode_curve curve[] = { { "one", 3, x, y },
                                 { "two", 3, x, z },
                                 { "none", 0, NULL, NULL } };
    const lode_curves all = { .title = "t",
                              .xlabel = "x",
                              .ylabel = "y",
                              .logx = true,
                              .logy = true,
                              .count = 3,
                              .curve = curve };
    assert_ok(ctx, lode_figure_caption(ctx, b->figure, "Title", ""));
    assert_ok(ctx, lode_figure_curves(ctx, b->figure, &all));
    assert_int_equal(b->figure->count, 1);
    assert_int_equal(b->figure->panels[0]->count, 3);
    assert_true(b->figure->panels[0]->logx && b->figure->panels[0]->logy);
    assert_true(b->figure->panels[0]->series[1].y[2] == 1e-4 && !b->figure->caption);
    const lode_curve bad = { "bad", -1, x, y };
    const lode_curves wrong = { .title = "t", .count = 1, .curve = &bad };
    assert_status(ctx, lode_figure_curves(ctx, b->figure, &wrong), LODE_ESHAPE);
    assert_int_equal(b->figure->count, 1); /* what failed left nothing */
    const picture drawn = picture_of(b, 600, true);
    free(drawn.rgba);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_passes_through_its_pixels, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(missing_values_are_gaps, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(image_cells_have_their_colours, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(large_images_are_averaged, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(every_type_and_stride_is_read, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(groups_have_colours, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(legends_stay_off_the_data, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(nothing_to_draw_is_said, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(scree_shows_values_and_energy, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(the_same_bytes_every_time, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_survived, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(wrong_requests_are_named, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(cancelling_is_heard, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(extreme_values_are_survived, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(bars_have_names, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(curves_come_through_the_public_header, bench_setup,
                                        bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
