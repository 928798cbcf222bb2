/* What the data of a panel say: ranges, groups, what cannot be drawn; and where a legend covers
 * none of it. */
#include "plot/figure.h"

#include <math.h>
#include <string.h>

enum { CHECK = 1 << 16 }; /* values between two looks at the cancel flag */

/* 1e300 and beyond leave no room for the arithmetic of a range. */
static bool coordinate(double v, bool log, double *out)
{
    if (!isfinite(v) || (log ? v <= 0 : fabs(v) > 1e300))
        return false;
    *out = log ? log10(v) : v;
    return true;
}

bool lode_i_series_xy(const lode_panel *p, const lode_series *s, int64_t i, double *x, double *y)
{
    const bool plain = p->image != NULL; /* an image's axes count cells */
    return coordinate(s->x ? s->x[i] : (double)(i + 1),
                      p->logx && !plain && s->kind != LODE_SERIES_BARS, x) &&
           coordinate(s->y[i], p->logy && !plain, y);
}

int lode_i_group_of(const lode_groups *g, double v)
{
    for (int k = 0; k < g->count; k++)
        if (g->value[k] == v)
            return k;
    return -1;
}

static lode_status survey_groups(lode_ctx *ctx, const lode_series *s, lode_groups *g)
{
    *g = (lode_groups){ .lo = INFINITY, .hi = -INFINITY };
    const int most = (int)(sizeof g->value / sizeof *g->value);
    for (int64_t i = 0; s->group && i < s->n; i++) {
        if (i % CHECK == 0)
            LODE_FORWARD(lode_i_cancelled(ctx));
        const double v = s->group[i];
        if (isfinite(v) && fabs(v) <= 1e300)
            g->lo = fmin(g->lo, v), g->hi = fmax(g->hi, v);
        if (g->count < 0)
            continue;
        if (isnan(v) || (v < 0 && v == floor(v))) {
            g->others = true;
            continue;
        }
        if (lode_i_group_of(g, v) >= 0)
            continue;
        if (g->count == most || v != floor(v) || v > 1e15) {
            g->count = -1;
            continue;
        }
        int k = g->count++;
        for (; k > 0 && g->value[k - 1] > v; k--)
            g->value[k] = g->value[k - 1];
        g->value[k] = v;
    }
    if (!(g->lo <= g->hi))
        g->lo = g->hi = 0;
    return LODE_OK;
}

void lode_i_bar_slot(const lode_panel *p, int64_t series, double *from, double *to)
{
    int64_t all = 0, before = 0;
    for (int64_t k = 0; k < p->count; k++)
        if (p->series[k].kind == LODE_SERIES_BARS)
            all++, before += k < series;
    const double width = 0.8 / (double)lode_i_max(all, 1);
    *from = -0.4 + width * (double)before;
    *to = *from + width;
}

double lode_i_bar_base(const lode_panel_layout *l)
{
    return l->y.log ? l->y.lo : fmin(fmax(0, l->y.lo), l->y.hi);
}

static void widen(lode_axis *a, double share)
{
    const double pad = share * (a->hi - a->lo);
    a->lo -= pad, a->hi += pad;
}

lode_status lode_i_survey(lode_ctx *ctx, const lode_panel *p, lode_panel_layout *l)
{
    const lode_image *m = p->image;
    l->x = (lode_axis){ .lo = INFINITY, .hi = -INFINITY, .log = p->logx && !m, .integer = true };
    l->y = (lode_axis){ .lo = INFINITY, .hi = -INFINITY, .log = p->logy && !m };
    bool points = false, bars = false;
    int colour = 0;
    for (int64_t k = 0; k < p->count; k++) {
        const lode_series *s = &p->series[k];
        LODE_FORWARD(survey_groups(ctx, s, &l->look[k].groups));
        l->look[k].colour = colour;
        colour += s->group ? (l->look[k].groups.count > 0 ? l->look[k].groups.count : 0) : 1;
        points = points || s->kind == LODE_SERIES_POINTS;
        bars = bars || s->kind == LODE_SERIES_BARS;
        if (s->x)
            l->x.integer = false;
        for (int64_t i = 0; i < s->n; i++) {
            if (i % CHECK == 0)
                LODE_FORWARD(lode_i_cancelled(ctx));
            double x, y;
            if (!lode_i_series_xy(p, s, i, &x, &y)) {
                l->dropped++;
                continue;
            }
            l->drawn++;
            l->x.lo = fmin(l->x.lo, x), l->x.hi = fmax(l->x.hi, x);
            l->y.lo = fmin(l->y.lo, y), l->y.hi = fmax(l->y.hi, y);
        }
    }
    if (bars) {
        l->x.log = false;
        for (int64_t k = 0; k < p->count; k++) /* a missing bar keeps its place */
            if (p->series[k].kind == LODE_SERIES_BARS && l->drawn > 0)
                l->x.lo = fmin(l->x.lo, 1), l->x.hi = fmax(l->x.hi, (double)p->series[k].n);
    }
    if (m && m->finite > 0) {
        l->flipped = true;
        l->x = (lode_axis){ .lo = -0.5, .hi = (double)m->full_cols - 0.5, .integer = true };
        l->y = (lode_axis){ .lo = -0.5, .hi = (double)m->full_rows - 0.5, .integer = true };
        return LODE_OK;
    }
    l->x.none = l->y.none = l->drawn == 0;
    if (l->drawn == 0) {
        l->x.lo = l->y.lo = 0, l->x.hi = l->y.hi = 1;
        return LODE_OK;
    }
    l->range[0] = l->x.log ? pow(10, l->x.lo) : l->x.lo,
    l->range[1] = l->x.log ? pow(10, l->x.hi) : l->x.hi;
    l->range[2] = l->y.log ? pow(10, l->y.lo) : l->y.lo,
    l->range[3] = l->y.log ? pow(10, l->y.hi) : l->y.hi;
    if (bars && !l->y.log)
        l->y.lo = fmin(l->y.lo, 0), l->y.hi = fmax(l->y.hi, 0);
    else if (bars)
        l->y.lo = floor(l->y.lo - 0.05);
    lode_axis whole = l->y; /* a constant is widened by the rule of ticks, before padding */
    lode_i_axis_ticks(&whole, 2);
    l->y.lo = whole.lo, l->y.hi = whole.hi;
    whole = l->x;
    lode_i_axis_ticks(&whole, 2);
    l->x.lo = whole.lo, l->x.hi = whole.hi;
    const double floor_y = l->y.lo, ceil_y = l->y.hi;
    widen(&l->y, 0.06);
    if (bars && (l->y.log || floor_y == 0))
        l->y.lo = floor_y;
    if (bars && !l->y.log && ceil_y == 0)
        l->y.hi = 0;
    if (bars)
        l->x.lo -= 0.6, l->x.hi += 0.6;
    else
        widen(&l->x, points ? 0.04 : 0.02);
    if (l->x.integer && !bars) /* counting starts at 1: no room for a 0 */
        l->x.lo = fmax(l->x.lo, whole.lo - 0.9);
    return LODE_OK;
}

/* ---- legend ---- */

static void add_key(lode_legend *g, const char *text, double number, int colour,
                    lode_series_kind kind, int more)
{
    if (g->count == LODE_KEYS - 1 && more > 0) { /* the last place says how many are not shown */
        snprintf(g->key[g->count].text, sizeof g->key->text, "and %d more", more + 1);
        g->key[g->count].colour = -2, g->key[g->count++].kind = kind;
        return;
    }
    if (g->count == LODE_KEYS)
        return;
    lode_key *k = &g->key[g->count++];
    lode_lines cut; /* shortened at a whole character */
    lode_i_wrap(text, 1, false, 20, 1, &cut);
    snprintf(k->text, sizeof k->text, "%.80s", cut.count ? cut.line[0] : "");
    if (number >= 0) {
        const size_t used = strlen(k->text);
        snprintf(k->text + used, sizeof k->text - used, "%s%.0f", used ? " " : "", number);
    }
    k->colour = colour, k->kind = kind;
}

void lode_i_legend_keys(const lode_panel *p, const lode_sheet *sheet, lode_panel_layout *l)
{
    lode_legend *g = &l->legend;
    int total = 0, used = 0;
    for (int64_t k = 0; k < p->count; k++)
        if (p->series[k].label)
            total += p->series[k].group
                         ? (l->look[k].groups.count > 0) * l->look[k].groups.count +
                               (l->look[k].groups.count >= 0 && l->look[k].groups.others)
                         : 1;
    for (int64_t k = 0; k < p->count; k++) {
        const lode_series *s = &p->series[k];
        const lode_look *look = &l->look[k];
        if (!s->label)
            continue;
        if (!s->group)
            add_key(g, s->label, -1, look->colour, s->kind, total - ++used);
        for (int i = 0; s->group && i < look->groups.count; i++)
            add_key(g, s->label, look->groups.value[i], look->colour + i, s->kind, total - ++used);
        if (s->group && look->groups.count >= 0 && look->groups.others) {
            char none[96];
            snprintf(none, sizeof none, "%.60s: none", s->label);
            add_key(g, none, -1, -1, s->kind, total - ++used);
        }
    }
    g->width = 0;
    for (int k = 0; k < g->count; k++)
        g->width = fmax(g->width,
                        34 * sheet->scale +
                            LODE_SLACK * lode_i_text_width(g->key[k].text, sheet->tick, false));
}

typedef struct hit_test {
    int count;
    lode_box box[6];
    int64_t hits[6];
} hit_test;

/* Whether a segment meets a box (Liang and Barsky's clipping, parameters only). */
static bool meets(lode_box b, double x0, double y0, double x1, double y1)
{
    const double p[4] = { x0 - x1, x1 - x0, y0 - y1, y1 - y0 };
    const double q[4] = { x0 - b.x, b.x + b.w - x0, y0 - b.y, b.y + b.h - y0 };
    double from = 0, to = 1;
    for (int i = 0; i < 4; i++) {
        if (p[i] == 0) {
            if (q[i] < 0)
                return false;
        } else if (p[i] < 0) {
            from = fmax(from, q[i] / p[i]);
        } else {
            to = fmin(to, q[i] / p[i]);
        }
    }
    return from <= to;
}

static void hit(hit_test *t, double x0, double y0, double x1, double y1)
{
    for (int i = 0; i < t->count; i++)
        t->hits[i] += meets(t->box[i], x0, y0, x1, y1);
}

lode_status lode_i_legend_place(lode_ctx *ctx, const lode_panel *p, const lode_sheet *sheet,
                                lode_panel_layout *l)
{
    lode_legend *g = &l->legend;
    const double line = 1.5 * sheet->tick, gap = 7 * sheet->scale, inner = 5 * sheet->scale;
    const lode_box a = l->plot;
    if (g->count == 0)
        return LODE_OK;
    const double w = g->width + inner, h = g->count * line + inner;
    hit_test t = { 0 };
    if (!p->image && w < 0.6 * a.w && h < 0.7 * a.h)
        for (int i = 0; i < 6;
             i++) { /* top right, top left, bottom right, bottom left, top, bottom */
            const double x = i >= 4  ? a.x + 0.5 * (a.w - w)
                             : i % 2 ? a.x + gap
                                     : a.x + a.w - gap - w;
            const bool top = i < 2 || i == 4;
            t.box[t.count++] = (lode_box){ x, top ? a.y + gap : a.y + a.h - gap - h, w, h };
        }
    const double r = 4 * sheet->scale; /* markers and pens have a width */
    for (int i = 0; i < t.count; i++)
        t.box[i] = (lode_box){ t.box[i].x - r, t.box[i].y - r, w + 2 * r, h + 2 * r };
    for (int64_t k = 0; k < p->count && t.count > 0; k++) {
        const lode_series *s = &p->series[k];
        double from = 0, to = 0, lastx = 0, lasty = 0;
        bool last = false;
        lode_i_bar_slot(p, k, &from, &to);
        for (int64_t i = 0; i < s->n; i++) {
            if (i % CHECK == 0)
                LODE_FORWARD(lode_i_cancelled(ctx));
            double x, y;
            if (!lode_i_series_xy(p, s, i, &x, &y)) {
                last = false;
                continue;
            }
            const double px = lode_i_px(l, x), py = lode_i_py(l, y);
            if (s->kind == LODE_SERIES_BARS) {
                const double base = lode_i_py(l, lode_i_bar_base(l));
                for (int e = 0; e < 3; e++) { /* left edge, middle, right edge */
                    const double at = lode_i_px(l, x + from + 0.5 * e * (to - from));
                    hit(&t, at, base, at, py);
                }
            } else {
                const bool joined = last && s->kind == LODE_SERIES_LINE;
                hit(&t, joined ? lastx : px, joined ? lasty : py, px, py);
            }
            lastx = px, lasty = py, last = true;
        }
    }
    for (int i = 0; i < t.count; i++)
        if (t.hits[i] == 0) {
            g->columns = 1;
            g->box = (lode_box){ t.box[i].x + r, t.box[i].y + r, w, h };
            return LODE_OK;
        }
    g->outside = true;
    const double all = l->left + a.w + l->right;
    g->width = fmin(g->width, all);
    for (int k = 0; k < g->count; k++) { /* a long label gives way to its neighbours */
        lode_lines cut;
        lode_i_wrap(g->key[k].text, sheet->tick, false, (g->width - 31 * sheet->scale) / LODE_SLACK,
                    1, &cut);
        snprintf(g->key[k].text, sizeof g->key[k].text, "%.95s", cut.count ? cut.line[0] : "");
    }
    g->columns = (int)lode_i_max(1, lode_i_min(g->count, (int64_t)floor(all / g->width)));
    g->box = (lode_box){ 0, 0, g->width * g->columns,
                         line * ((g->count + g->columns - 1) / g->columns) };
    return LODE_OK;
}
