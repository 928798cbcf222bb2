/* Draws a laid-out figure once, for whichever canvas is behind. */
#include "plot/figure.h"

#include <math.h>
#include <string.h>

enum { CHECK = 1 << 16 };

static bool live(lode_canvas *c)
{
    return c->st >= 0;
}

static void keep(lode_canvas *c, lode_status st)
{
    if (c->st >= 0 && st < 0)
        c->st = st;
}

static lode_rgba faded(lode_rgba c, double share)
{
    c.a = (uint8_t)(255 * share + 0.5);
    return c;
}

int lode_i_mark_corners(int shape, double x, double y, double r, double xy[8])
{
    /* Areas near that of the disc, so that no group looks heavier. */
    static const double square[8] = { -0.89, -0.89, 0.89, -0.89, 0.89, 0.89, -0.89, 0.89 };
    static const double triangle[6] = { 0, -1.55, 1.35, 0.78, -1.35, 0.78 };
    static const double diamond[8] = { 0, -1.25, 1.25, 0, 0, 1.25, -1.25, 0 };
    const double *corner = shape == LODE_SQUARE     ? square
                           : shape == LODE_TRIANGLE ? triangle
                                                    : diamond;
    const int n = shape == LODE_TRIANGLE ? 3 : 4;
    for (int i = 0; i < n; i++)
        xy[2 * i] = x + r * corner[2 * i], xy[2 * i + 1] = y + r * corner[2 * i + 1];
    return n;
}

int lode_i_dash(int dash, const double **lengths)
{
    static const double pattern[3][4] = { { 4, 2.5, 4, 2.5 }, { 1, 2, 1, 2 }, { 6, 2, 1, 2 } };
    *lengths = pattern[dash > 0 ? (dash - 1) % 3 : 0];
    return dash > 0 ? 4 : 0;
}

static void say(lode_canvas *c, const char *text, double x, double y, double size, int anchor,
                lode_rgba colour)
{
    c->text(c,
            &(lode_label){
                .text = text, .x = x, .y = y, .size = size, .anchor = anchor, .colour = colour });
}

static void frame(lode_canvas *c, lode_box b, double w, lode_rgba colour)
{
    c->rect(c, (lode_box){ b.x - w, b.y - w, b.w + 2 * w, w }, colour);
    c->rect(c, (lode_box){ b.x - w, b.y + b.h, b.w + 2 * w, w }, colour);
    c->rect(c, (lode_box){ b.x - w, b.y, w, b.h }, colour);
    c->rect(c, (lode_box){ b.x + b.w, b.y, w, b.h }, colour);
}

/* Slanted lines over a box, cut at its edges: what is missing looks like nothing that a colour map
 * holds. */
static void hatch(lode_canvas *c, lode_box b, double s, lode_rgba colour)
{
    const double step = 7 * s;
    for (double d = step; d < b.w + b.h; d += step) {
        const double x0 = fmax(0, d - b.h), x1 = fmin(d, b.w);
        const double xy[4] = { b.x + x0, b.y + d - x0, b.x + x1, b.y + d - x1 };
        c->line(c, 2, xy, (lode_pen){ colour, 1.2 * s, 0 });
    }
}

/* ---- axes ---- */

static void power_label(lode_canvas *c, int exponent, double x, double y, double size, int anchor,
                        lode_rgba colour)
{
    char sup[16];
    snprintf(sup, sizeof sup, "%s%d", exponent < 0 ? "\xE2\x88\x92" : "",
             exponent < 0 ? -exponent : exponent);
    c->text(c, &(lode_label){ .text = "\xC3\x97"
                                      "10",
                              .sup = sup,
                              .x = x,
                              .y = y,
                              .size = size,
                              .anchor = anchor,
                              .colour = colour });
}

static void grid(lode_canvas *c, const lode_sheet *s, const lode_panel_layout *l, bool across)
{
    const lode_box p = l->plot;
    const double w = floor(s->scale);
    for (int i = 0; across && i < l->x.count; i++)
        c->rect(c, (lode_box){ floor(lode_i_px(l, l->x.tick[i].at)), p.y, w, p.h }, s->theme.grid);
    for (int i = 0; i < l->y.count; i++)
        c->rect(c, (lode_box){ p.x, floor(lode_i_py(l, l->y.tick[i].at)), p.w, w }, s->theme.grid);
}

static void axes(lode_canvas *c, const lode_sheet *s, const lode_panel_layout *l, bool boxed)
{
    const lode_box p = l->plot;
    const lode_theme *t = &s->theme;
    const double w = floor(s->scale), size = s->tick, tick = floor(4 * s->scale),
                 small = floor(2.5 * s->scale);
    if (boxed) {
        frame(c, p, w, t->frame);
    } else {
        c->rect(c, (lode_box){ p.x - w, p.y, w, p.h + w }, t->frame);
        c->rect(c, (lode_box){ p.x, p.y + p.h, p.w, w }, t->frame);
    }
    for (int i = 0; i < l->x.count; i++) {
        const lode_tick *k = &l->x.tick[i];
        const double x = lode_i_px(l, k->at);
        c->rect(c, (lode_box){ floor(x), p.y + p.h + w, w, tick }, t->frame);
        c->text(c, &(lode_label){ .text = k->text,
                                  .sup = k->sup[0] ? k->sup : NULL,
                                  .x = x,
                                  .y = p.y + p.h + tick + w +
                                       (l->x.lowered && i % 2 ? 2.17 : 1.02) * size,
                                  .size = size,
                                  .colour = t->muted });
    }
    for (int i = 0; i < l->x.minors; i++)
        c->rect(c, (lode_box){ floor(lode_i_px(l, l->x.minor[i])), p.y + p.h + w, w, small },
                t->frame);
    const double beside = p.x - w - tick - 3 * s->scale;
    for (int i = 0; i < l->y.count; i++) {
        const lode_tick *k = &l->y.tick[i];
        const double y = lode_i_py(l, k->at);
        c->rect(c, (lode_box){ p.x - w - tick, floor(y), tick, w }, t->frame);
        c->text(c, &(lode_label){ .text = k->text,
                                  .sup = k->sup[0] ? k->sup : NULL,
                                  .x = beside,
                                  .y = floor(y) + 0.36 * size,
                                  .size = size,
                                  .anchor = 1,
                                  .colour = t->muted });
    }
    for (int i = 0; i < l->y.minors; i++)
        c->rect(c, (lode_box){ p.x - w - small, floor(lode_i_py(l, l->y.minor[i])), small, w },
                t->frame);
    if (l->y.exponent)
        power_label(c, l->y.exponent, p.x - w, p.y - 0.6 * size, size, -1, t->muted);
    double below = p.y + p.h + (l->x.none ? 0 : tick + w + (l->x.lowered ? 2.3 : 1.15) * size);
    if (l->xlabel[0] || l->x.exponent)
        below += 1.3 * s->label;
    const double legend = l->legend.outside ? l->legend.box.h + 0.6 * size : 0;
    if (l->x.exponent)
        power_label(c, l->x.exponent, p.x + p.w, below, size, 1, t->muted);
    say(c, l->xlabel, p.x + 0.5 * p.w, below, s->label, 0, t->ink);
    if (l->ylabel[0])
        c->text(c, &(lode_label){ .text = l->ylabel,
                                  .x = p.x - l->left + 0.95 * s->label,
                                  .y = p.y + 0.5 * p.h,
                                  .size = s->label,
                                  .vertical = true,
                                  .colour = t->ink });
    for (int i = 0; i < l->footnote.count; i++)
        say(c, l->footnote.line[i], p.x - l->left + 1,
            p.y + p.h + l->below + legend + (0.9 + 1.4 * i) * s->small, s->small, -1, t->muted);
}

/* ---- images ---- */

static void fill_pixels(const double *v, int64_t n, const lode_image *m, const lode_rgba map[256],
                        lode_rgba *px)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) {
            px[i] = (lode_rgba){ 0, 0, 0, 0 };
            continue;
        }
        const double t = fmin(fmax((v[i] - m->lo) / (m->hi - m->lo), 0), 1);
        px[i] = map[(int)floor(255 * t + 0.5)];
    }
}

static void image(lode_canvas *c, const lode_sheet *s, const lode_panel_layout *l,
                  const lode_image *m)
{
    lode_status st = LODE_OK;
    lode_ctx *ctx = c->ctx;
    double *small = NULL;
    lode_rgba *px = NULL;
    lode_rgba map[256];
    /* An axis with more cells than pixels is filtered; one with fewer keeps its cells, drawn as
     * blocks. */
    const int64_t w = lode_i_min(m->cols, (int64_t)(l->plot.w * c->detail));
    const int64_t h = lode_i_min(m->rows, (int64_t)(l->plot.h * c->detail));
    const double *v = m->v;
    lode_i_colormap(m->diverging, map);
    if (w < m->cols || h < m->rows) {
        LODE_TRY(LODE_NEW(ctx, w * h, &small));
        LODE_TRY(lode_i_box_filter(ctx, m->v, m->rows, m->cols, small, h, w));
        v = small;
    }
    LODE_TRY(LODE_NEW(ctx, w * h, &px));
    fill_pixels(v, w * h, m, map, px);
    if (m->gaps > 0)
        hatch(c, l->plot, s->scale, s->theme.hatch);
    c->image(c, l->plot, w, h, px);
done:
    lode_i_free(small);
    lode_i_free(px);
    keep(c, st);
}

/* Colours of points by value: the end of the map that would vanish on the paper is left out. */
static void value_map(bool dark, lode_rgba map[256])
{
    lode_rgba all[256];
    lode_i_colormap(false, all);
    for (int i = 0; i < 256; i++)
        map[i] = all[dark ? 60 + i * 195 / 255 : i * 220 / 255];
}

static void colour_bar(lode_canvas *c, const lode_sheet *s, const lode_panel_layout *l,
                       bool picture)
{
    const lode_box b = l->bar;
    const lode_theme *t = &s->theme;
    const double w = floor(s->scale), size = s->tick, tip = 7 * s->scale;
    lode_rgba map[256], down[256];
    if (picture)
        lode_i_colormap(l->bar_diverging, map);
    else
        value_map(t->dark, map);
    for (int i = 0; i < 256; i++)
        down[i] = map[255 - i];
    c->image(c, b, 1, 256, down);
    frame(c, b, w, t->frame);
    if (l->bar_above) /* a tip says that values go on beyond the end */
        c->polygon(c, 3,
                   (const double[6]){ b.x, b.y - 2 * w, b.x + b.w, b.y - 2 * w, b.x + 0.5 * b.w,
                                      b.y - 2 * w - tip },
                   map[255]);
    if (l->bar_below)
        c->polygon(c, 3,
                   (const double[6]){ b.x, b.y + b.h + 2 * w, b.x + b.w, b.y + b.h + 2 * w,
                                      b.x + 0.5 * b.w, b.y + b.h + 2 * w + tip },
                   map[0]);
    const lode_axis *a = &l->bar_axis;
    double wide = 0;
    for (int i = 0; i < a->count; i++) {
        const double y = b.y + b.h * (1 - (a->tick[i].at - a->lo) / (a->hi - a->lo));
        c->rect(c,
                (lode_box){ b.x + b.w + w, fmin(floor(y), b.y + b.h - w), floor(3 * s->scale), w },
                t->frame);
        say(c, a->tick[i].text, b.x + b.w + w + 6 * s->scale, y + 0.36 * size, size, -1, t->muted);
        wide = fmax(wide, lode_i_tick_width(&a->tick[i], size));
    }
    if (a->exponent)
        power_label(c, a->exponent, b.x, b.y - 0.6 * size - (l->bar_above ? tip + 2 * w : 0), size,
                    -1, t->muted);
    if (l->unit[0])
        c->text(c, &(lode_label){ .text = l->unit,
                                  .x = b.x + b.w + w + 6 * s->scale + LODE_SLACK * wide +
                                       1.15 * s->label,
                                  .y = b.y + 0.5 * b.h,
                                  .size = s->label,
                                  .vertical = true,
                                  .colour = t->ink });
}

/* ---- series ---- */

/* Draws one unbroken run of points. Of many points in one pixel column only the first, lowest,
 * highest and last are kept, which changes no pixel; x must not go back for that, else only
 * coinciding points are dropped. */
static void run(lode_canvas *c, double *xy, int64_t n, double column, lode_pen pen)
{
    if (n == 1) {
        const uint8_t key = 0;
        const lode_mark dot = { pen.colour, LODE_DISC };
        c->marks(c, 1, xy, &key, &dot, 1.3 * pen.width);
        return;
    }
    bool forward = true;
    for (int64_t i = 1; i < n && forward; i++)
        forward = xy[2 * i] >= xy[2 * i - 2];
    int64_t kept = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = i + 1;
        if (!forward) {
            while (end < n &&
                   hypot(xy[2 * end] - xy[2 * i], xy[2 * end + 1] - xy[2 * i + 1]) < 0.5 * column)
                end++;
            xy[2 * kept] = xy[2 * i], xy[2 * kept + 1] = xy[2 * i + 1], kept++;
            i = end;
            continue;
        }
        const double cell = floor(xy[2 * i] / column);
        int64_t low = i, high = i;
        for (; end < n && floor(xy[2 * end] / column) == cell; end++) {
            if (xy[2 * end + 1] < xy[2 * low + 1])
                low = end;
            if (xy[2 * end + 1] > xy[2 * high + 1])
                high = end;
        }
        const int64_t pick[4] = { i, low < high ? low : high, low < high ? high : low, end - 1 };
        /* picks ascend, so reading stays ahead of writing */
        for (int k = 0; k < 4; k++)
            if (k == 0 || pick[k] != pick[k - 1])
                xy[2 * kept] = xy[2 * pick[k]], xy[2 * kept + 1] = xy[2 * pick[k] + 1], kept++;
        i = end;
    }
    if (kept == 1)
        xy[2] = xy[0], xy[3] = xy[1], kept = 2;
    c->line(c, kept, xy, pen);
}

static void line_series(lode_canvas *c, const lode_sheet *s, const lode_panel *p,
                        const lode_panel_layout *l, const lode_series *d, int colour)
{
    lode_status st = LODE_OK;
    lode_ctx *ctx = c->ctx;
    double *xy = NULL;
    const lode_pen pen = { lode_i_palette(s->theme.dark, colour), 1.8 * s->scale,
                           colour / LODE_PALETTE };
    LODE_TRY(LODE_NEW(ctx, 2 * lode_i_max(d->n, 2), &xy));
    int64_t n = 0;
    for (int64_t i = 0; i <= d->n; i++) {
        if (i % CHECK == 0)
            LODE_TRY(lode_i_cancelled(ctx));
        double x = 0, y = 0;
        if (i < d->n && lode_i_series_xy(p, d, i, &x, &y)) {
            xy[2 * n] = lode_i_px(l, x), xy[2 * n + 1] = lode_i_py(l, y);
            n++;
            continue;
        }
        if (n > 0)
            run(c, xy, n, 0.5 * s->scale, pen);
        n = 0;
    }
    /* few points: show where the values are */
    if (d->n > 1 && d->n <= 40) {
        const lode_mark dot = { pen.colour, LODE_DISC };
        for (int64_t i = 0; i < d->n; i++) {
            double x, y;
            const uint8_t key = 0;
            if (!lode_i_series_xy(p, d, i, &x, &y))
                continue;
            const double at[2] = { lode_i_px(l, x), lode_i_py(l, y) };
            c->marks(c, 1, at, &key, &dot, 2.6 * s->scale);
        }
    }
done:
    lode_i_free(xy);
    keep(c, st);
}

static void point_series(lode_canvas *c, const lode_sheet *s, const lode_panel *p,
                         const lode_panel_layout *l, const lode_series *d, const lode_look *look)
{
    lode_status st = LODE_OK;
    lode_ctx *ctx = c->ctx;
    double *xy = NULL;
    uint8_t *key = NULL;
    lode_mark style[256];
    lode_rgba map[256];
    const lode_groups *g = &look->groups;
    /* Many points overlap: smaller and fainter ones let density show. */
    const double n_here = (double)d->n;
    const double radius = s->scale * (n_here <= 300     ? 3.2
                                      : n_here <= 3000  ? 2.4
                                      : n_here <= 30000 ? 1.7
                                                        : 1.2);
    const double share = n_here <= 300 ? 0.9 : n_here <= 3000 ? 0.75 : n_here <= 30000 ? 0.55 : 0.4;
    value_map(s->theme.dark, map);
    for (int k = 0; k < 256; k++) {
        const bool by_value = d->group && g->count < 0;
        const int index = look->colour + (k < 255 ? k : 0);
        style[k] = (lode_mark){ faded(by_value ? map[k] : lode_i_palette(s->theme.dark, index),
                                      share),
                                by_value ? LODE_DISC : index / LODE_PALETTE % LODE_SHAPES };
    }
    LODE_TRY(LODE_NEW(ctx, 2 * lode_i_max(d->n, 1), &xy));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(d->n, 1), &key));
    if (d->group && g->count >= 0) /* noise */
        style[255] = (lode_mark){ faded(s->theme.quiet, share), LODE_DISC };
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (i % CHECK == 0)
            LODE_TRY(lode_i_cancelled(ctx));
        double x, y;
        if (!lode_i_series_xy(p, d, i, &x, &y))
            continue;
        xy[2 * n] = lode_i_px(l, x), xy[2 * n + 1] = lode_i_py(l, y);
        int look_up = 0;
        if (d->group && g->count >= 0) {
            look_up = lode_i_group_of(g, d->group[i]);
        } else if (d->group) {
            const double t = (d->group[i] - l->bar_axis.lo) / (l->bar_axis.hi - l->bar_axis.lo);
            if (!isfinite(d->group[i])) /* a point of no value cannot be coloured by it */
                continue;
            look_up = (int)floor(255 * fmin(fmax(t, 0), 1) + 0.5);
        }
        key[n++] = (uint8_t)(look_up < 0 ? 255 : look_up);
    }
    if (n > 0)
        c->marks(c, n, xy, key, style, radius);
done:
    lode_i_free(xy);
    lode_i_free(key);
    keep(c, st);
}

static void bar_series(lode_canvas *c, const lode_sheet *s, const lode_panel *p,
                       const lode_panel_layout *l, int64_t index, int colour)
{
    const lode_series *d = &p->series[index];
    const lode_rgba fill = lode_i_palette(s->theme.dark, colour);
    const double base = lode_i_py(l, lode_i_bar_base(l));
    double from, to, column = -1, low = base, high = base;
    lode_i_bar_slot(p, index, &from, &to);
    const double width = l->plot.w * (to - from) / (l->x.hi - l->x.lo);
    for (int64_t i = 0; i < d->n && live(c); i++) {
        double x, y;
        if (i % CHECK == 0)
            keep(c, lode_i_cancelled(c->ctx));
        if (!lode_i_series_xy(p, d, i, &x, &y))
            continue;
        const double left = lode_i_px(l, x + from), top = lode_i_py(l, y);
        if (width >= 1) { /* edges on pixels while bars are wide enough for it not to show */
            const double x0 = width > 4 ? floor(left + 0.5) : left;
            const double x1 = width > 4 ? floor(left + width + 0.5) : left + width;
            c->rect(c, (lode_box){ x0, fmin(top, base), x1 - x0, fabs(base - top) }, fill);
            continue;
        }
        /* bars finer than a pixel: each column shows how far they reach */
        if (floor(left) != column) {
            if (high > low)
                c->rect(c, (lode_box){ column, low, 1, high - low }, fill);
            column = floor(left), low = high = base;
        }
        low = fmin(low, top), high = fmax(high, top);
    }
    if (high > low)
        c->rect(c, (lode_box){ column, low, 1, high - low }, fill);
    if (!l->y.log && l->y.lo < 0 && l->y.hi > 0)
        c->rect(c, (lode_box){ l->plot.x, floor(base), l->plot.w, floor(s->scale) },
                s->theme.frame);
}

static void legend(lode_canvas *c, const lode_sheet *s, const lode_panel_layout *l)
{
    const lode_legend *g = &l->legend;
    const double line = 1.5 * s->tick, k = s->scale, inner = g->outside ? 0 : 2.5 * k;
    if (g->count == 0)
        return;
    if (!g->outside) {
        c->rect(c, g->box, faded(s->theme.paper, 0.85));
        frame(c, g->box, floor(k), s->theme.grid);
    }
    for (int i = 0; i < g->count; i++) {
        const lode_key *e = &g->key[i];
        const double x = g->box.x + inner + (i % g->columns) * g->width;
        const double y = g->box.y + inner + (i / g->columns) * line, mid = y + 0.5 * line;
        const lode_rgba colour = e->colour < 0 ? s->theme.quiet
                                               : lode_i_palette(s->theme.dark, e->colour);
        const int shape = e->colour < 0 ? LODE_DISC : e->colour / LODE_PALETTE % LODE_SHAPES;
        if (e->colour > -2 && e->kind == LODE_SERIES_LINE) {
            const double xy[4] = { x + 3 * k, mid, x + 21 * k, mid };
            c->line(c, 2, xy, (lode_pen){ colour, 2 * k, e->colour / LODE_PALETTE });
        } else if (e->colour > -2 && e->kind == LODE_SERIES_POINTS) {
            const double at[2] = { x + 12 * k, mid };
            const uint8_t key = 0;
            const lode_mark mark = { colour, shape };
            c->marks(c, 1, at, &key, &mark, 3.6 * k);
        } else if (e->colour > -2) {
            c->rect(
                c, (lode_box){ floor(x + 6 * k), floor(mid - 5 * k), floor(11 * k), floor(10 * k) },
                colour);
        }
        say(c, e->text, x + 27 * k, mid + 0.36 * s->tick, s->tick, -1, s->theme.ink);
    }
}

static void panel(lode_canvas *c, const lode_sheet *s, const lode_panel *p,
                  const lode_panel_layout *l)
{
    const bool picture = p->image && p->image->finite > 0;
    for (int i = 0; i < l->title.count; i++)
        c->text(c, &(lode_label){ .text = l->title.line[i],
                                  .x = l->plot.x - l->left + 1,
                                  .y = l->title_y + i * 1.3 * s->heading,
                                  .size = s->heading,
                                  .anchor = -1,
                                  .bold = true,
                                  .colour = s->theme.ink });
    if (!picture && l->drawn == 0) {
        frame(c, l->plot, floor(s->scale), s->theme.grid);
        axes(c, s, l, true);
        const bool some = l->dropped > 0 || (p->image && p->image->gaps > 0);
        say(c,
            !some                  ? "no values"
            : l->x.log || l->y.log ? "no finite positive values"
                                   : "no finite values",
            l->plot.x + 0.5 * l->plot.w, l->plot.y + 0.5 * l->plot.h, s->label, 0, s->theme.muted);
        return;
    }
    bool bars = false;
    for (int64_t k = 0; k < p->count; k++)
        bars = bars || p->series[k].kind == LODE_SERIES_BARS;
    if (!picture)
        grid(c, s, l, !bars);
    c->clip(c, &l->plot);
    if (picture)
        image(c, s, l, p->image);
    for (int64_t k = 0; k < p->count && live(c); k++) {
        const lode_series *d = &p->series[k];
        if (d->kind == LODE_SERIES_LINE)
            line_series(c, s, p, l, d, l->look[k].colour);
        else if (d->kind == LODE_SERIES_POINTS)
            point_series(c, s, p, l, d, &l->look[k]);
        else
            bar_series(c, s, p, l, k, l->look[k].colour);
    }
    c->clip(c, NULL);
    axes(c, s, l, picture);
    if (l->bar.w > 0)
        colour_bar(c, s, l, picture);
    legend(c, s, l);
}

void lode_i_draw(lode_canvas *c, const lode_figure *f, const lode_sheet *s)
{
    c->rect(c, (lode_box){ 0, 0, s->width, s->height }, s->theme.paper);
    for (int i = 0; i < s->title_lines.count; i++)
        c->text(c, &(lode_label){ .text = s->title_lines.line[i],
                                  .x = s->pad,
                                  .y = s->title_y + i * 1.3 * s->title,
                                  .size = s->title,
                                  .anchor = -1,
                                  .bold = true,
                                  .colour = s->theme.ink });
    for (int i = 0; i < s->caption_lines.count; i++)
        say(c, s->caption_lines.line[i], s->pad, s->caption_y + i * 1.4 * s->label, s->label, -1,
            s->theme.muted);
    for (int64_t k = 0; k < f->count && live(c); k++) {
        keep(c, lode_i_tick(c->ctx, k, f->count));
        panel(c, s, f->panels[k], &s->panel[k]);
    }
}
