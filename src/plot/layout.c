/* Layout: sizes of text decide margins, margins decide plot boxes, both writers draw what stands
 * here. */
#include "plot/figure.h"

#include <math.h>
#include <string.h>

double lode_i_px(const lode_panel_layout *l, double x)
{
    return l->plot.x + l->plot.w * (x - l->x.lo) / (l->x.hi - l->x.lo);
}

double lode_i_py(const lode_panel_layout *l, double y)
{
    const double t = (y - l->y.lo) / (l->y.hi - l->y.lo);
    return l->plot.y + l->plot.h * (l->flipped ? t : 1 - t);
}

/* As many ticks on x as their labels leave room for. */
static void fit_x_ticks(lode_axis *a, double width, double size)
{
    for (int target = (int)fmin(fmax(width / (3 * size), 1), LODE_TICKS); target >= 1; target--) {
        lode_i_axis_ticks(a, target);
        double room = INFINITY;
        for (int i = 1; i < a->count; i++) {
            const double apart = (a->tick[i].at - a->tick[i - 1].at) / (a->hi - a->lo) * width;
            const double text = 0.5 * (lode_i_tick_width(&a->tick[i], size) +
                                       lode_i_tick_width(&a->tick[i - 1], size));
            room = fmin(room, apart - text);
        }
        if (room >= 0.9 * size)
            return;
    }
}

/* Names of bars, in two rows where they would touch in one. */
static void name_ticks(const lode_panel *p, lode_axis *a, double width, double size)
{
    double room = INFINITY;
    lode_i_axis_ticks(a, 2);
    a->count = a->minors = a->exponent = 0;
    for (int i = 0; i < p->names && i + 1 <= a->hi; i++) {
        lode_tick *t = &a->tick[a->count++];
        *t = (lode_tick){ .at = i + 1 };
        snprintf(t->text, sizeof t->text, "%s", p->name[i]);
        if (i > 0)
            room = fmin(room, width / (a->hi - a->lo) - 0.5 * LODE_SLACK *
                                                            (lode_i_tick_width(t, size) +
                                                             lode_i_tick_width(t - 1, size)));
    }
    a->lowered = room < 0.5 * size;
}

/* Where labels still touch (uneven ones of a logarithmic axis, very long ones) the later becomes a
 * minor tick. */
static void thin(lode_axis *a, double length, double size, bool across)
{
    int kept = 0;
    for (int i = 0; i < a->count; i++) {
        double apart = 1.5 * size;
        if (across && kept > 0)
            apart = 0.6 * size + 0.5 * (lode_i_tick_width(&a->tick[i], size) +
                                        lode_i_tick_width(&a->tick[kept - 1], size));
        const bool near = kept > 0 &&
                          (a->tick[i].at - a->tick[kept - 1].at) / (a->hi - a->lo) * length < apart;
        if (!near)
            a->tick[kept++] = a->tick[i];
        else if (a->minors < LODE_MINORS)
            a->minor[a->minors++] = a->tick[i].at;
    }
    a->count = kept;
}

static void fit_y_ticks(lode_axis *a, double height, double size)
{
    lode_i_axis_ticks(a, (int)fmin(fmax(height / (3.4 * size), 2), LODE_TICKS));
    thin(a, height, size, false);
}

static double widest(const lode_axis *a, double size)
{
    double w = 0;
    for (int i = 0; i < a->count; i++)
        w = fmax(w, lode_i_tick_width(&a->tick[i], size));
    return w;
}

/* "wind (m/s)" says what the colours of an image measure. */
static void find_unit(const char *title, char unit[64])
{
    const size_t n = strlen(title);
    unit[0] = 0;
    if (n < 3 || title[n - 1] != ')')
        return;
    const char *open = strrchr(title, '(');
    if (open && open[1] != ')' && title + n - open <= 42)
        snprintf(unit, 64, "%.*s", (int)(title + n - open - 2), open + 1);
}

static void find_bar(const lode_panel *p, lode_panel_layout *l)
{
    l->bar = (lode_box){ 0 };
    if (p->image) {
        if (p->image->finite == 0)
            return;
        l->bar_axis = (lode_axis){ .lo = p->image->lo, .hi = p->image->hi };
        l->bar_diverging = p->image->diverging;
        l->bar_below = p->image->below, l->bar_above = p->image->above;
        l->bar.w = 1;
        find_unit(p->title, l->unit);
        return;
    }
    for (int64_t k = 0; k < p->count; k++) {
        const lode_groups *g = &l->look[k].groups;
        if (!p->series[k].group || g->count >= 0)
            continue;
        l->bar_axis = (lode_axis){ .lo = g->lo, .hi = g->hi };
        l->bar.w = 1;
        lode_lines cut;
        lode_i_wrap(p->series[k].label, 1, false, 18, 1, &cut);
        snprintf(l->unit, sizeof l->unit, "%.60s", cut.count ? cut.line[0] : "");
        return; /* one bar a panel: its scale is the first such series' */
    }
}

static void footnote(const lode_sheet *s, const lode_panel *p, double width, lode_panel_layout *l)
{
    char text[160] = "";
    if (p->image && p->image->finite > 0 && p->image->gaps > 0)
        snprintf(text, sizeof text, "hatched: not finite (%" PRId64 " of %" PRId64 " cells)",
                 p->image->gaps, p->image->gaps + p->image->finite);
    else if (l->dropped > 0 && l->drawn > 0)
        snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 " values not drawn: not finite%s",
                 l->dropped, l->dropped + l->drawn,
                 l->x.log || l->y.log ? ", or not positive on a log axis" : "");
    lode_i_wrap(text, s->small, false, width, 2, &l->footnote);
}

static double bar_width(const lode_sheet *s, lode_panel_layout *l, double height)
{
    if (l->bar.w == 0)
        return 0;
    fit_y_ticks(&l->bar_axis, height, s->tick);
    double w = 8 * s->scale + 13 * s->scale + 7 * s->scale +
               LODE_SLACK * widest(&l->bar_axis, s->tick);
    if (l->unit[0])
        w += 1.5 * s->label;
    return w;
}

/* Rows over columns that an image is drawn with: its own, unless that makes a thread of it. */
static double aspect(const lode_image *m)
{
    return fmin(fmax((double)m->full_rows / (double)m->full_cols, 0.3), 1.6);
}

/* Margins of a panel whose cell is `width` wide. */
static void measure(const lode_sheet *s, const lode_panel *p, double width, lode_panel_layout *l)
{
    const bool image = p->image && p->image->finite > 0;
    const double steep = width > 620 * s->scale ? 0.52 : width > 340 * s->scale ? 0.66 : 0.8;
    double height = steep * width;
    find_bar(p, l);
    for (int pass = 0; pass < 2; pass++) { /* heights follow widths, and labels follow heights */
        fit_y_ticks(&l->y, height, s->tick);
        l->left = LODE_SLACK * widest(&l->y, s->tick) + (l->y.none ? 0 : 11 * s->scale);
        if (p->ylabel[0])
            l->left += 1.55 * s->label;
        l->right = fmax(bar_width(s, l, height), 0.5 * s->tick);
        const double inside = fmax(width - l->left - l->right, 40 * s->scale);
        height = steep * inside;
        if (image)
            height = fmin(inside * aspect(p->image),
                          fmax(height, fmin(0.9 * inside, 560 * s->scale)));
    }
    l->wanted = height;
    /* the last label of x may stand out to the right */
    if (p->names)
        name_ticks(p, &l->x, width - l->left - l->right, s->tick);
    else
        fit_x_ticks(&l->x, width - l->left - l->right, s->tick);
    if (l->x.count > 0 && !p->names)
        l->right = fmax(l->right, 0.5 * lode_i_tick_width(&l->x.tick[l->x.count - 1], s->tick));
    lode_i_wrap(p->title, s->heading, true, 0.97 * width, 2, &l->title);
    l->top = l->title.count * 1.3 * s->heading + (l->title.count ? 0.5 * s->heading : 0);
    if (l->y.exponent || (l->bar.w > 0 && l->bar_axis.exponent))
        l->top += 1.4 * s->tick;
    footnote(s, p, 0.97 * width, l);
    l->below = (l->x.none ? 4 * s->scale : 6 * s->scale + (l->x.lowered ? 2.3 : 1.15) * s->tick) +
               (p->xlabel[0] || l->x.exponent ? 1.45 * s->label : 0) + 0.3 * s->tick;
    l->bottom = l->below + l->footnote.count * 1.4 * s->small;
}

/* The box of the plot within its place in the grid. */
static void settle(const lode_sheet *s, const lode_panel *p, lode_box room, lode_panel_layout *l)
{
    l->plot = room;
    if (p->image && p->image->finite > 0) {
        const double a = aspect(p->image);
        l->plot.w = fmin(room.w, room.h / a);
        l->plot.h = l->plot.w * a;
    }
    /* frames on whole pixels are crisp */
    l->plot.x = floor(l->plot.x), l->plot.y = floor(l->plot.y);
    l->plot.w = fmax(floor(l->plot.w), 8), l->plot.h = fmax(floor(l->plot.h), 8);
    fit_y_ticks(&l->y, l->plot.h, s->tick);
    if (!p->names) {
        fit_x_ticks(&l->x, l->plot.w, s->tick);
        thin(&l->x, l->plot.w, s->tick, true);
    }
    if (l->bar.w > 0) {
        const double spare = (l->bar_above || l->bar_below) ? 9 * s->scale : 0;
        l->bar = (lode_box){ l->plot.x + l->plot.w + floor(8 * s->scale),
                             l->plot.y + (l->bar_above ? spare : 0), floor(13 * s->scale),
                             l->plot.h - (l->bar_above ? spare : 0) - (l->bar_below ? spare : 0) };
        fit_y_ticks(&l->bar_axis, l->bar.h, s->tick);
    }
    lode_lines cut;
    const double beside = l->x.exponent ? 5 * s->tick : 0;
    lode_i_wrap(p->xlabel, s->label, false,
                fmax(l->plot.w + 0.8 * (l->left + l->right) - 2 * beside, 20), 1, &cut);
    snprintf(l->xlabel, sizeof l->xlabel, "%s", cut.count ? cut.line[0] : "");
    lode_i_wrap(p->ylabel, s->label, false, l->plot.h + 0.6 * l->top, 1, &cut);
    snprintf(l->ylabel, sizeof l->ylabel, "%s", cut.count ? cut.line[0] : "");
}

static int columns_of(const lode_sheet *s, int64_t panels)
{
    const int fit = (int)fmax(1, floor(s->width / (270 * s->scale)));
    const int even = panels == 4 || panels == 2 ? 2 : 3; /* 2 x 2 rather than 3 + 1 */
    return (int)lode_i_max(1, lode_i_min(lode_i_min(fit, even), panels));
}

static void header(const lode_figure *f, lode_sheet *s)
{
    const double inside = 0.97 * (s->width - 2 * s->pad);
    double y = s->pad;
    lode_i_wrap(f->title, s->title, true, inside, 2, &s->title_lines);
    s->title_y = y + 0.85 * s->title;
    y += s->title_lines.count * 1.3 * s->title;
    lode_i_wrap(f->caption, s->label, false, inside, 4, &s->caption_lines);
    s->caption_y = y + 1.0 * s->label;
    y += s->caption_lines.count * 1.4 * s->label;
    s->height = y + (y > s->pad ? 0.9 * s->title : 0);
}

/* Places rows downwards; called again once it is known which legends stand below their plots. */
static void place(const lode_figure *f, int columns, double cell, double gap, double from,
                  lode_sheet *s)
{
    double y = from;
    for (int64_t first = 0; first < f->count; first += columns) {
        const int64_t end = lode_i_min(first + columns, f->count);
        double top = 0, inside = 0, bottom = 0;
        for (int64_t k = first; k < end; k++) {
            const lode_panel_layout *l = &s->panel[k];
            const double legend = l->legend.outside ? l->legend.box.h + 0.6 * s->tick : 0;
            top = fmax(top, l->top), inside = fmax(inside, l->wanted),
            bottom = fmax(bottom, l->bottom + legend);
        }
        for (int64_t k = first; k < end; k++) {
            lode_panel_layout *l = &s->panel[k];
            const double x = s->pad + (double)(k - first) * (cell + gap);
            settle(s, f->panels[k],
                   (lode_box){ x + l->left, y + top, cell - l->left - l->right, inside }, l);
            l->title_y = y + 0.9 * s->heading;
        }
        y += top + inside + bottom + gap;
    }
    s->height = ceil(f->count ? y - gap + s->pad : from + s->pad);
}

lode_status lode_i_sheet(lode_ctx *ctx, const lode_figure *f, int width, bool dark, lode_sheet *out)
{
    lode_status st = LODE_OK;
    lode_sheet s = { .width = width, .theme = lode_i_theme(dark) };
    /* a wider figure is a larger print of the same; a narrower one keeps its text */
    s.scale = fmax(1, width / 960.0);
    s.tick = 11.5 * s.scale, s.label = 12.5 * s.scale, s.heading = 13.5 * s.scale,
    s.title = 18 * s.scale;
    s.small = 10.5 * s.scale;
    s.pad = floor(fmin(18 * s.scale, 0.03 * width + 4));
    const double gap = 26 * s.scale;
    const int columns = columns_of(&s, f->count);
    const double cell = (width - 2 * s.pad - (columns - 1) * gap) / columns;
    LODE_TRY(
        lode_i_calloc(ctx, (size_t)lode_i_max(f->count, 1) * sizeof *s.panel, (void **)&s.panel));
    s.count = f->count;
    header(f, &s);
    const double from = s.height;
    for (int64_t k = 0; k < f->count; k++) {
        const lode_panel *p = f->panels[k];
        LODE_TRY(lode_i_calloc(ctx, (size_t)lode_i_max(p->count, 1) * sizeof(lode_look),
                               (void **)&s.panel[k].look));
        LODE_TRY(lode_i_survey(ctx, p, &s.panel[k]));
        measure(&s, p, cell, &s.panel[k]);
        lode_i_legend_keys(p, &s, &s.panel[k]);
    }
    for (int c = 0; c < columns; c++) { /* plots of a column share their edges */
        double left = 0, right = 0;
        for (int64_t k = c; k < f->count; k += columns)
            left = fmax(left, s.panel[k].left), right = fmax(right, s.panel[k].right);
        for (int64_t k = c; k < f->count; k += columns)
            s.panel[k].left = left, s.panel[k].right = right;
    }
    place(f, columns, cell, gap, from, &s);
    for (int64_t k = 0; k < f->count; k++)
        LODE_TRY(lode_i_legend_place(ctx, f->panels[k], &s, &s.panel[k]));
    for (int64_t k = 0; k < f->count; k++) /* a legend inside moves with its plot */
        s.panel[k].legend.box.x -= s.panel[k].plot.x, s.panel[k].legend.box.y -= s.panel[k].plot.y;
    place(f, columns, cell, gap, from, &s);
    for (int64_t k = 0; k < f->count; k++) {
        lode_panel_layout *l = &s.panel[k];
        if (l->legend.outside)
            l->legend.box.x = l->plot.x - l->left,
            l->legend.box.y = l->plot.y + l->plot.h + l->below;
        else
            l->legend.box.x += l->plot.x, l->legend.box.y += l->plot.y;
    }
    *out = s, s = (lode_sheet){ 0 };
done:
    lode_i_sheet_free(&s);
    return st;
}

void lode_i_sheet_free(lode_sheet *s)
{
    for (int64_t k = 0; s->panel && k < s->count; k++)
        lode_i_free(s->panel[k].look);
    lode_i_free(s->panel);
    *s = (lode_sheet){ 0 };
}
