/* The SVG writer. Text stays text; series of many values and images are embedded as PNG; numbers
 * are written by hand to two decimals, whatever the locale; no ids, so that several figures may
 * stand in one page. */
#include "plot/figure.h"

#include "io/io.h"

#include <math.h>
#include <string.h>

enum { EMBED = 5000, BASE64_BLOCK = 3 * 4096 };

struct lode_svg {
    lode_canvas canvas; /* first, so that a canvas is its writer */
    lode_text text;
    lode_box all, clip;
    bool clipped;
};

static lode_svg *of(lode_canvas *c)
{
    return (lode_svg *)(void *)c;
}

static void put(lode_svg *s, const char *text)
{
    if (s->canvas.st >= 0)
        s->canvas.st = lode_i_text_bytes(s->canvas.ctx, &s->text, text, strlen(text));
}

static void number(lode_svg *s, const char *before, double v)
{
    char text[64];
    const double bounded = fmin(fmax(v, -1e9), 1e9);
    const int64_t n = (int64_t)llround(bounded * 100), whole = (n < 0 ? -n : n) / 100,
                  part = (n < 0 ? -n : n) % 100;
    const int used = snprintf(text, sizeof text, "%s%" PRId64, n < 0 ? "-" : "", whole);
    if (part % 10)
        snprintf(text + used, sizeof text - (size_t)used, ".%02d", (int)part);
    else if (part)
        snprintf(text + used, sizeof text - (size_t)used, ".%d", (int)(part / 10));
    put(s, before);
    put(s, text);
}

static void colour(lode_svg *s, const char *name, lode_rgba c)
{
    char text[64];
    snprintf(text, sizeof text, " %s=\"#%02x%02x%02x\"", name, c.r, c.g, c.b);
    put(s, text);
    if (c.a < 255) {
        snprintf(text, sizeof text, " %s-opacity", name);
        put(s, text);
        number(s, "=\"", c.a / 255.0);
        put(s, "\"");
    }
}

/* Text as XML: markup escaped, control characters dropped, invalid bytes as U+FFFD. */
static void escaped(lode_svg *s, const char *text)
{
    while (*text) {
        const char *from = text;
        const uint32_t code = lode_i_utf8_next(&text);
        if (code == '&')
            put(s, "&amp;");
        else if (code == '<')
            put(s, "&lt;");
        else if (code == '>')
            put(s, "&gt;");
        else if (code == '"')
            put(s, "&quot;");
        else if (code == 0xFFFD || code == 0xFFFE || code == 0xFFFF)
            put(s, "\xEF\xBF\xBD");
        else if (code == '\n' || code == '\t')
            put(s, " ");
        else if (code >= ' ' && code != 0x7F && s->canvas.st >= 0)
            s->canvas.st = lode_i_text_bytes(s->canvas.ctx, &s->text, from, (size_t)(text - from));
    }
}

static void box(lode_svg *s, lode_box b)
{
    number(s, " x=\"", b.x);
    number(s, "\" y=\"", b.y);
    number(s, "\" width=\"", b.w);
    number(s, "\" height=\"", b.h);
    put(s, "\"");
}

static void draw_rect(lode_canvas *c, lode_box b, lode_rgba fill)
{
    lode_svg *s = of(c);
    put(s, "<rect");
    box(s, b);
    colour(s, "fill", fill);
    put(s, "/>\n");
}

/* ---- embedded pictures ---- */

static void base64(lode_svg *s, const uint8_t *bytes, size_t size)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char out[BASE64_BLOCK / 3 * 4];
    for (size_t from = 0; from < size && s->canvas.st >= 0; from += BASE64_BLOCK) {
        const size_t end = size - from < BASE64_BLOCK ? size : from + BASE64_BLOCK;
        size_t n = 0;
        for (size_t i = from; i < end; i += 3) {
            const uint32_t a = bytes[i], b = i + 1 < end ? bytes[i + 1] : 0,
                           d = i + 2 < end ? bytes[i + 2] : 0;
            const uint32_t v = a << 16 | b << 8 | d;
            out[n++] = digit[v >> 18], out[n++] = digit[v >> 12 & 63];
            out[n++] = i + 1 < end ? digit[v >> 6 & 63] : '=';
            out[n++] = i + 2 < end ? digit[v & 63] : '=';
        }
        s->canvas.st = lode_i_text_bytes(s->canvas.ctx, &s->text, out, n);
    }
}

static void embed(lode_svg *s, lode_box b, const void *png, size_t size, bool blocks)
{
    put(s, "<image");
    box(s, b);
    put(s, " preserveAspectRatio=\"none\"");
    put(s, blocks ? " style=\"image-rendering:pixelated\"" : "");
    put(s, " href=\"data:image/png;base64,");
    base64(s, png, size);
    put(s, "\"/>\n");
}

static lode_box current(const lode_svg *s)
{
    return s->clipped ? s->clip : s->all;
}

static void embed_raster(lode_svg *s, lode_raster *r)
{
    void *png = NULL;
    size_t size = 0;
    if (s->canvas.st >= 0)
        s->canvas.st = lode_i_raster_canvas(r)->st;
    if (s->canvas.st >= 0)
        s->canvas.st = lode_i_raster_png(s->canvas.ctx, r, false, &png, &size);
    if (s->canvas.st >= 0)
        embed(s, current(s), png, size, false);
    lode_i_free(png);
}

/* Cells are enlarged by whole factors, because not every viewer keeps the edges of a small picture
 * sharp. */
static void draw_image(lode_canvas *c, lode_box b, int64_t w, int64_t h, const lode_rgba *px)
{
    lode_svg *s = of(c);
    lode_status st = LODE_OK;
    lode_ctx *ctx = c->ctx;
    uint8_t *big = NULL;
    void *png = NULL;
    size_t size = 0;
    if (c->st < 0 || w < 1 || h < 1)
        return;
    const int64_t kx = lode_i_max(1, (int64_t)ceil(b.w * c->detail / (double)w));
    const int64_t ky = lode_i_max(1, (int64_t)ceil(b.h * c->detail / (double)h));
    bool alpha = false;
    for (int64_t i = 0; i < w * h; i++)
        alpha = alpha || px[i].a < 255;
    const int channels = alpha ? 4 : 3;
    LODE_TRY(lode_i_new(ctx, w * kx * h * ky, (size_t)channels, (void **)&big));
    for (int64_t j = 0; j < h * ky; j++)
        for (int64_t i = 0; i < w * kx; i++)
            memcpy(big + channels * (j * w * kx + i), &px[j / ky * w + i / kx], (size_t)channels);
    LODE_TRY(lode_i_png(ctx, w * kx, h * ky, alpha, big, &png, &size));
    embed(s, b, png, size, true);
done:
    lode_i_free(big);
    lode_i_free(png);
    if (c->st >= 0 && st < 0)
        c->st = st;
}

/* ---- shapes ---- */

static void draw_line(lode_canvas *c, int64_t n, const double *xy, lode_pen pen)
{
    lode_svg *s = of(c);
    if (n > EMBED && c->st >= 0) {
        lode_raster *r = NULL;
        c->st = lode_i_raster_new(c->ctx, current(s), c->detail, &r);
        if (c->st >= 0)
            lode_i_raster_canvas(r)->line(lode_i_raster_canvas(r), n, xy, pen), embed_raster(s, r);
        lode_i_raster_free(r);
        return;
    }
    put(s, "<polyline fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\"");
    colour(s, "stroke", pen.colour);
    number(s, " stroke-width=\"", pen.width);
    put(s, "\"");
    const double *dash;
    const int parts = lode_i_dash(pen.dash, &dash);
    for (int i = 0; i < parts; i++)
        number(s, i ? " " : " stroke-dasharray=\"", dash[i] * pen.width);
    put(s, parts ? "\" points=\"" : " points=\"");
    for (int64_t i = 0; i < n; i++) {
        number(s, i ? " " : "", xy[2 * i]);
        number(s, ",", xy[2 * i + 1]);
    }
    put(s, "\"/>\n");
}

static void draw_polygon(lode_canvas *c, int n, const double *xy, lode_rgba fill)
{
    lode_svg *s = of(c);
    put(s, "<polygon points=\"");
    for (int i = 0; i < n; i++) {
        number(s, i ? " " : "", xy[2 * i]);
        number(s, ",", xy[2 * i + 1]);
    }
    put(s, "\"");
    colour(s, "fill", fill);
    put(s, "/>\n");
}

static void draw_marks(lode_canvas *c, int64_t n, const double *xy, const uint8_t *key,
                       const lode_mark *style, double radius)
{
    lode_svg *s = of(c);
    if (n > EMBED && c->st >= 0) {
        lode_raster *r = NULL;
        c->st = lode_i_raster_new(c->ctx, current(s), c->detail, &r);
        if (c->st >= 0)
            lode_i_raster_canvas(r)->marks(lode_i_raster_canvas(r), n, xy, key, style, radius),
                embed_raster(s, r);
        lode_i_raster_free(r);
        return;
    }
    for (int64_t i = 0; i < n && c->st >= 0; i++) {
        const lode_mark *m = &style[key[i]];
        double corner[8];
        if (m->shape != LODE_DISC) {
            const int corners = lode_i_mark_corners(m->shape, xy[2 * i], xy[2 * i + 1], radius,
                                                    corner);
            draw_polygon(c, corners, corner, m->colour);
            continue;
        }
        number(s, "<circle cx=\"", xy[2 * i]);
        number(s, "\" cy=\"", xy[2 * i + 1]);
        number(s, "\" r=\"", radius);
        put(s, "\"");
        colour(s, "fill", m->colour);
        put(s, "/>\n");
    }
}

static void draw_text(lode_canvas *c, const lode_label *l)
{
    lode_svg *s = of(c);
    if (!l->text[0])
        return;
    number(s, "<text x=\"", l->x);
    number(s, "\" y=\"", l->y);
    number(s, "\" font-size=\"", l->size);
    put(s, "\"");
    if (l->anchor >= 0)
        put(s, l->anchor ? " text-anchor=\"end\"" : " text-anchor=\"middle\"");
    if (l->bold)
        put(s, " font-weight=\"bold\"");
    if (l->vertical) {
        number(s, " transform=\"rotate(-90 ", l->x);
        number(s, " ", l->y);
        put(s, ")\"");
    }
    colour(s, "fill", l->colour);
    put(s, ">");
    escaped(s, l->text);
    if (l->sup) {
        number(s, "<tspan dy=\"", -0.38 * l->size);
        number(s, "\" font-size=\"", 0.72 * l->size);
        put(s, "\">");
        escaped(s, l->sup);
        put(s, "</tspan>");
    }
    put(s, "</text>\n");
}

/* A nested svg element clips what it holds, and needs no id. */
static void set_clip(lode_canvas *c, const lode_box *b)
{
    lode_svg *s = of(c);
    if (s->clipped)
        put(s, "</svg>\n");
    s->clipped = b != NULL;
    if (!b)
        return;
    s->clip = *b;
    put(s, "<svg");
    box(s, *b);
    number(s, " viewBox=\"", b->x);
    number(s, " ", b->y);
    number(s, " ", b->w);
    number(s, " ", b->h);
    put(s, "\">\n");
}

/* ---- what a reader who does not see the picture is told ---- */

static void rounded(lode_svg *s, const char *before, double v)
{
    char text[32];
    if (v != 0 && isfinite(v)) { /* four digits */
        const int e = 3 - (int)floor(log10(fabs(v)));
        if (e >= -300 && e <= 300)
            v = e >= 0 ? round(v * pow(10, e)) / pow(10, e) : round(v / pow(10, -e)) * pow(10, -e);
    }
    lode_i_print_f64(v, text);
    put(s, before);
    put(s, text);
}

static void describe(lode_svg *s, const lode_figure *f, const lode_sheet *sheet)
{
    static const char *const kind[] = { "line", "points", "bars" };
    char text[96];
    if (f->caption)
        escaped(s, f->caption);
    for (int64_t k = 0; k < f->count; k++) {
        const lode_panel *p = f->panels[k];
        const lode_panel_layout *l = &sheet->panel[k];
        snprintf(text, sizeof text, "%sPanel %" PRId64 " of %" PRId64, k || f->caption ? " " : "",
                 k + 1, f->count);
        put(s, text);
        put(s, p->title[0] ? ", " : "");
        escaped(s, p->title);
        put(s, ":");
        if (p->image && p->image->finite > 0) {
            snprintf(text, sizeof text, " image of %" PRId64 " rows and %" PRId64 " columns",
                     p->image->full_rows, p->image->full_cols);
            put(s, text);
            rounded(s, ", colours from ", p->image->lo);
            rounded(s, " to ", p->image->hi);
        }
        for (int64_t i = 0; i < p->count; i++) {
            put(s, i || p->image ? ", " : " ");
            put(s, kind[p->series[i].kind]);
            put(s, p->series[i].label ? " \"" : "");
            escaped(s, p->series[i].label ? p->series[i].label : "");
            put(s, p->series[i].label ? "\"" : "");
            snprintf(text, sizeof text, " of %" PRId64 " values", p->series[i].n);
            put(s, text);
        }
        if (l->drawn > 0 && !l->flipped) {
            put(s, "; ");
            escaped(s, p->xlabel[0] ? p->xlabel : "x");
            rounded(s, " from ", l->range[0]);
            rounded(s, " to ", l->range[1]);
            put(s, ", ");
            escaped(s, p->ylabel[0] ? p->ylabel : "y");
            rounded(s, " from ", l->range[2]);
            rounded(s, " to ", l->range[3]);
        }
        put(s, ".");
    }
}

/* ---- object ---- */

lode_status lode_i_svg_new(lode_ctx *ctx, const lode_figure *f, const lode_sheet *l, lode_svg **out)
{
    lode_svg *s = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *s, (void **)&s));
    s->all = (lode_box){ 0, 0, l->width, l->height };
    s->canvas = (lode_canvas){ .ctx = ctx,
                               .detail = 2,
                               .rect = draw_rect,
                               .line = draw_line,
                               .polygon = draw_polygon,
                               .marks = draw_marks,
                               .text = draw_text,
                               .image = draw_image,
                               .clip = set_clip };
    number(s, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", l->width);
    number(s, "\" height=\"", l->height);
    number(s, "\" viewBox=\"0 0 ", l->width);
    number(s, " ", l->height);
    put(s, "\" role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'Nimbus Sans', "
           "sans-serif\">\n<title>");
    escaped(s, f->title ? f->title : f->count ? f->panels[0]->title : "figure");
    put(s, "</title>\n<desc>");
    describe(s, f, l);
    put(s, "</desc>\n");
    *out = s;
    return LODE_OK;
}

lode_canvas *lode_i_svg_canvas(lode_svg *s)
{
    return &s->canvas;
}

lode_status lode_i_svg_end(lode_svg *s, const char **text, size_t *size)
{
    put(s, "</svg>\n");
    *text = s->text.text;
    *size = s->text.size;
    return s->canvas.st;
}

void lode_i_svg_free(lode_svg *s)
{
    if (!s)
        return;
    lode_i_text_free(&s->text);
    lode_i_free(s);
}
