/* The rasterizer: anti-aliased by coverage. A pen's segments are capsules whose coverage joins by
 * maximum in a mask, so overlapping segments of one stroke never darken each other; the mask is
 *            then laid over the picture once.
 * Pixels are premultiplied, 16 bits a channel, so that thousands of faint points add up without
 * bands. */
#include "plot/figure.h"

#include "io/io.h"

#include <math.h>
#include <string.h>

enum { ONE = 65535 };

struct lode_raster {
    lode_canvas canvas; /* first, so that a canvas is its raster */
    lode_box view;
    int64_t w, h;
    int64_t x0, y0, x1, y1; /* clip, in pixels */
    uint16_t *pixels;       /* r, g, b, a */
    uint8_t *mask;
    int64_t mx0, my0, mx1, my1; /* what of the mask is in use */
};

static lode_raster *of(lode_canvas *c)
{
    return (lode_raster *)(void *)c;
}

/* v * by / ONE to the nearest; the shift form of the division is exact for these ranges. */
static inline uint32_t scaled(uint32_t v, uint32_t by)
{
    const uint64_t t = (uint64_t)v * by + 32768;
    return (uint32_t)((t + (t >> 16)) >> 16);
}

/* colour over a pixel, with coverage 0 to 1. */
static inline void blend(uint16_t *px, lode_rgba c, double coverage)
{
    const uint32_t a = (uint32_t)(coverage * c.a * 257 + 0.5), rest = ONE - a;
    const uint32_t src[4] = { c.r * 257U, c.g * 257U, c.b * 257U, ONE };
    for (int k = 0; k < 4; k++)
        px[k] = (uint16_t)(scaled(src[k], a) + scaled(px[k], rest));
}

static int64_t bound(double v, int64_t lo, int64_t hi)
{
    return v <= (double)lo ? lo : v >= (double)hi ? hi : (int64_t)v;
}

/* Share of pixel i that [from, to] covers. */
static double share(double from, double to, int64_t i)
{
    const double a = from > (double)i ? from : (double)i,
                 b = to < (double)(i + 1) ? to : (double)(i + 1);
    return b > a ? b - a : 0;
}

static void to_pixels(const lode_raster *r, double x, double y, double *px, double *py)
{
    *px = (x - r->view.x) * r->canvas.detail;
    *py = (y - r->view.y) * r->canvas.detail;
}

static void draw_rect(lode_canvas *c, lode_box b, lode_rgba colour)
{
    lode_raster *r = of(c);
    double x0, y0, x1, y1;
    if (c->st < 0)
        return;
    to_pixels(r, b.x, b.y, &x0, &y0);
    to_pixels(r, b.x + b.w, b.y + b.h, &x1, &y1);
    const int64_t i0 = bound(floor(x0), r->x0, r->x1), i1 = bound(ceil(x1), r->x0, r->x1);
    const int64_t j0 = bound(floor(y0), r->y0, r->y1), j1 = bound(ceil(y1), r->y0, r->y1);
    for (int64_t j = j0; j < j1; j++) {
        const double down = share(y0, y1, j);
        for (int64_t i = i0; i < i1; i++)
            blend(r->pixels + 4 * (j * r->w + i), colour, down * share(x0, x1, i));
    }
}

/* ---- strokes ---- */

/* Row by row, only the pixels within reach of the line: a long slanted segment costs its length,
 * not its box. */
static void stroke(lode_raster *r, double ax, double ay, double bx, double by, double half)
{
    const double reach = half + 0.5, dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
    const double thin = 255 * fmin(1, 2 * half); /* a pen finer than a pixel is fainter instead */
    const int64_t i0 = bound(floor(fmin(ax, bx) - reach), r->x0, r->x1);
    const int64_t i1 = bound(ceil(fmax(ax, bx) + reach), r->x0, r->x1);
    const int64_t j0 = bound(floor(fmin(ay, by) - reach), r->y0, r->y1);
    const int64_t j1 = bound(ceil(fmax(ay, by) + reach), r->y0, r->y1);
    if (i0 >= i1 || j0 >= j1 || !isfinite(square))
        return;
    r->mx0 = lode_i_min(r->mx0, i0), r->mx1 = lode_i_max(r->mx1, i1);
    r->my0 = lode_i_min(r->my0, j0), r->my1 = lode_i_max(r->my1, j1);
    const double inverse = square > 0 ? 1 / square : 0;
    const bool band = fabs(dy) > 1e-6 * fabs(dx) && dy != 0;
    const double slope = band ? dx / dy : 0, side = band ? reach * sqrt(square) / fabs(dy) + 1 : 0;
    for (int64_t j = j0; j < j1; j++) {
        const double py = (double)j + 0.5 - ay, middle = ax + py * slope;
        const int64_t from = band ? bound(floor(middle - side), i0, i1) : i0;
        const int64_t to = band ? bound(ceil(middle + side), i0, i1) : i1;
        uint8_t *m = r->mask + j * r->w;
        for (int64_t i = from; i < to; i++) {
            /* where a path has crossed itself often there is nothing left to add */
            if (m[i] == 255)
                continue;
            const double px = (double)i + 0.5 - ax;
            double t = (px * dx + py * dy) * inverse;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            const double ex = px - t * dx, ey = py - t * dy, d2 = ex * ex + ey * ey;
            if (d2 >= reach * reach)
                continue;
            const double near = reach - sqrt(d2), v = thin * (near < 1 ? near : 1) + 0.5;
            if (v > m[i])
                m[i] = (uint8_t)v;
        }
    }
}

static void mask_begin(lode_raster *r)
{
    r->mx0 = r->w, r->my0 = r->h, r->mx1 = r->my1 = 0;
}

static void mask_lay(lode_raster *r, lode_rgba colour)
{
    for (int64_t j = r->my0; j < r->my1; j++) {
        uint8_t *m = r->mask + j * r->w;
        for (int64_t i = r->mx0; i < r->mx1; i++)
            if (m[i])
                blend(r->pixels + 4 * (j * r->w + i), colour, m[i] / 255.0), m[i] = 0;
    }
}

static void draw_line(lode_canvas *c, int64_t n, const double *xy, lode_pen pen)
{
    lode_raster *r = of(c);
    const double *dash;
    const int parts = lode_i_dash(pen.dash, &dash);
    const double half = 0.5 * pen.width * c->detail;
    int part = 0;
    double left = parts ? dash[0] * 2 * half : 0; /* of the dash or gap under way */
    if (c->st < 0 || n < 1)
        return;
    mask_begin(r);
    for (int64_t i = 1; i < n; i++) {
        double ax, ay, bx, by;
        if (i % 65536 == 0 && (c->st = lode_i_cancelled(c->ctx)) < 0)
            break;
        to_pixels(r, xy[2 * i - 2], xy[2 * i - 1], &ax, &ay);
        to_pixels(r, xy[2 * i], xy[2 * i + 1], &bx, &by);
        if (parts == 0) {
            stroke(r, ax, ay, bx, by, half);
            continue;
        }
        const double length = hypot(bx - ax, by - ay);
        for (double at = 0; at < length;) {
            const double step = fmin(left, length - at), s = at / length, e = (at + step) / length;
            if (part % 2 == 0)
                stroke(r, ax + s * (bx - ax), ay + s * (by - ay), ax + e * (bx - ax),
                       ay + e * (by - ay), half);
            at += step, left -= step;
            if (left <= 1e-9)
                part = (part + 1) % parts, left = dash[part] * 2 * half;
        }
    }
    mask_lay(r, pen.colour);
}

/* ---- fills ---- */

/* Coverage of a convex shape near an edge is its distance from the edge plus one half. */
static void draw_polygon(lode_canvas *c, int n, const double *xy, lode_rgba colour)
{
    lode_raster *r = of(c);
    double x[8], y[8], lox = INFINITY, hix = -INFINITY, loy = INFINITY, hiy = -INFINITY, area = 0;
    if (c->st < 0 || n < 3 || n > 8)
        return;
    for (int k = 0; k < n; k++) {
        to_pixels(r, xy[2 * k], xy[2 * k + 1], &x[k], &y[k]);
        lox = fmin(lox, x[k]), hix = fmax(hix, x[k]), loy = fmin(loy, y[k]), hiy = fmax(hiy, y[k]);
    }
    for (int k = 0; k < n; k++)
        area += x[k] * y[(k + 1) % n] - x[(k + 1) % n] * y[k];
    const double turn = area < 0 ? -1 : 1;
    const int64_t i0 = bound(floor(lox - 1), r->x0, r->x1), i1 = bound(ceil(hix + 1), r->x0, r->x1);
    const int64_t j0 = bound(floor(loy - 1), r->y0, r->y1), j1 = bound(ceil(hiy + 1), r->y0, r->y1);
    for (int64_t j = j0; j < j1; j++)
        for (int64_t i = i0; i < i1; i++) {
            double inside = 1;
            for (int k = 0; k < n; k++) {
                const double ex = x[(k + 1) % n] - x[k], ey = y[(k + 1) % n] - y[k],
                             length = hypot(ex, ey);
                const double side = ex * ((double)j + 0.5 - y[k]) - ey * ((double)i + 0.5 - x[k]);
                if (length > 0)
                    inside = fmin(inside, 0.5 + turn * side / length);
            }
            if (inside > 0)
                blend(r->pixels + 4 * (j * r->w + i), colour, inside);
        }
}

static void draw_marks(lode_canvas *c, int64_t n, const double *xy, const uint8_t *key,
                       const lode_mark *style, double radius)
{
    lode_raster *r = of(c);
    const double size = radius * c->detail;
    for (int64_t p = 0; p < n && c->st >= 0; p++) {
        double x, y, corner[8];
        if (p % 65536 == 65535 && (c->st = lode_i_cancelled(c->ctx)) < 0)
            break;
        const lode_mark *m = &style[key[p]];
        if (m->shape != LODE_DISC) {
            const int corners = lode_i_mark_corners(m->shape, xy[2 * p], xy[2 * p + 1], radius,
                                                    corner);
            if (m->shape == LODE_SQUARE)
                draw_rect(c,
                          (lode_box){ corner[0], corner[1], corner[4] - corner[0],
                                      corner[5] - corner[1] },
                          m->colour);
            else
                draw_polygon(c, corners, corner, m->colour);
            continue;
        }
        to_pixels(r, xy[2 * p], xy[2 * p + 1], &x, &y);
        const int64_t i0 = bound(floor(x - size), r->x0, r->x1),
                      i1 = bound(ceil(x + size), r->x0, r->x1);
        const int64_t j0 = bound(floor(y - size), r->y0, r->y1),
                      j1 = bound(ceil(y + size), r->y0, r->y1);
        for (int64_t j = j0; j < j1; j++)
            for (int64_t i = i0; i < i1; i++) {
                const double ex = (double)i + 0.5 - x, ey = (double)j + 0.5 - y;
                const double d2 = ex * ex + ey * ey;
                if (d2 < (size + 0.5) * (size + 0.5)) {
                    const double v = size + 0.5 - sqrt(d2);
                    blend(r->pixels + 4 * (j * r->w + i), m->colour, v < 1 ? v : 1);
                }
            }
    }
}

static void draw_image(lode_canvas *c, lode_box b, int64_t w, int64_t h, const lode_rgba *px)
{
    lode_raster *r = of(c);
    double x0, y0, x1, y1;
    if (c->st < 0 || w < 1 || h < 1)
        return;
    to_pixels(r, b.x, b.y, &x0, &y0);
    to_pixels(r, b.x + b.w, b.y + b.h, &x1, &y1);
    const int64_t i0 = bound(floor(x0 + 0.5), r->x0, r->x1),
                  i1 = bound(floor(x1 + 0.5), r->x0, r->x1);
    const int64_t j0 = bound(floor(y0 + 0.5), r->y0, r->y1),
                  j1 = bound(floor(y1 + 0.5), r->y0, r->y1);
    for (int64_t j = j0; j < j1; j++) {
        const int64_t row = bound(((double)j + 0.5 - y0) / (y1 - y0) * (double)h, 0, h - 1);
        for (int64_t i = i0; i < i1; i++) {
            const int64_t col = bound(((double)i + 0.5 - x0) / (x1 - x0) * (double)w, 0, w - 1);
            blend(r->pixels + 4 * (j * r->w + i), px[row * w + col], 1);
        }
    }
}

static void set_clip(lode_canvas *c, const lode_box *b)
{
    lode_raster *r = of(c);
    r->x0 = r->y0 = 0, r->x1 = r->w, r->y1 = r->h;
    if (!b)
        return;
    double x0, y0, x1, y1;
    to_pixels(r, b->x, b->y, &x0, &y0);
    to_pixels(r, b->x + b->w, b->y + b->h, &x1, &y1);
    r->x0 = bound(floor(x0), 0, r->w), r->x1 = bound(ceil(x1), 0, r->w);
    r->y0 = bound(floor(y0), 0, r->h), r->y1 = bound(ceil(y1), 0, r->h);
}

/* ---- text ---- */

typedef struct typesetter {
    lode_raster *r;
    double x, y, size, half; /* origin and size in pixels */
    bool vertical;
} typesetter;

/* Heights of the font land on whole pixels, which keeps small text sharp. */
static double snap(double size, double y)
{
    static const double level[4] = { -20, 0, 50, 70 };
    int k = y < 0 ? 0 : y < 50 ? 1 : 2;
    const double lo = floor(0.01 * size * level[k] + 0.5),
                 hi = floor(0.01 * size * level[k + 1] + 0.5);
    return lo + (hi - lo) * (y - level[k]) / (level[k + 1] - level[k]);
}

static void type_stroke(void *data, double x0, double y0, double x1, double y1)
{
    const typesetter *t = data;
    const double ax = 0.01 * t->size * x0, ay = snap(t->size, y0), bx = 0.01 * t->size * x1,
                 by = snap(t->size, y1);
    if (t->vertical)
        stroke(t->r, t->x - ay, t->y - ax, t->x - by, t->y - bx, t->half);
    else
        stroke(t->r, t->x + ax, t->y - ay, t->x + bx, t->y - by, t->half);
}

static void type(typesetter *t, const char *text, double spread)
{
    for (uint32_t code; (code = lode_i_utf8_next(&text)) != 0;) {
        const double step = 0.01 * t->size * spread * lode_i_glyph(code, type_stroke, t);
        if (t->vertical)
            t->y -= step;
        else
            t->x += step;
    }
}

static void draw_text(lode_canvas *c, const lode_label *l)
{
    lode_raster *r = of(c);
    if (c->st < 0)
        return;
    typesetter t = { .r = r, .size = l->size * c->detail, .vertical = l->vertical };
    const double weight = (l->bold ? 0.125 : 0.082) * t.size, spread = l->bold ? 1.07 : 1;
    t.half = 0.5 * fmax(weight, 1.05);
    double width = lode_i_text_width(l->text, l->size, l->bold);
    if (l->sup)
        width += lode_i_text_width(l->sup, 0.72 * l->size, l->bold);
    const double back = l->anchor < 0 ? 0 : l->anchor == 0 ? 0.5 * width : width;
    to_pixels(r, l->x - (l->vertical ? 0 : back), l->y + (l->vertical ? back : 0), &t.x, &t.y);
    /* the pen's middle runs half its width above the baseline's edge */
    if (l->vertical)
        t.x = floor(t.x + 0.5) - 0.5;
    else
        t.y = floor(t.y + 0.5) - 0.5;
    mask_begin(r);
    type(&t, l->text, spread);
    if (l->sup) {
        const double rise = floor(0.38 * t.size + 0.5);
        if (l->vertical)
            t.x -= rise;
        else
            t.y -= rise;
        t.size *= 0.72;
        t.half = fmax(0.72 * t.half, 0.5);
        type(&t, l->sup, spread);
    }
    mask_lay(r, l->colour);
}

/* ---- object ---- */

lode_status lode_i_raster_new(lode_ctx *ctx, lode_box view, double detail, lode_raster **out)
{
    lode_status st = LODE_OK;
    lode_raster *r = NULL;
    int64_t count = 0;
    LODE_TRY(lode_i_calloc(ctx, sizeof *r, (void **)&r));
    r->view = view;
    r->w = (int64_t)ceil(view.w * detail), r->h = (int64_t)ceil(view.h * detail);
    LODE_REQUIRE(r->w > 0 && r->h > 0 && lode_i_mul(r->w, r->h, &count) && count < INT64_MAX / 8,
                 LODE_ESHAPE, "a picture of %" PRId64 " x %" PRId64 " pixels cannot be drawn", r->w,
                 r->h);
    LODE_TRY(lode_i_calloc(ctx, (size_t)count * 8, (void **)&r->pixels));
    LODE_TRY(lode_i_calloc(ctx, (size_t)count, (void **)&r->mask));
    r->canvas = (lode_canvas){ .ctx = ctx,
                               .detail = detail,
                               .rect = draw_rect,
                               .line = draw_line,
                               .polygon = draw_polygon,
                               .marks = draw_marks,
                               .text = draw_text,
                               .image = draw_image,
                               .clip = set_clip };
    set_clip(&r->canvas, NULL);
    *out = r, r = NULL;
done:
    lode_i_raster_free(r);
    return st;
}

lode_canvas *lode_i_raster_canvas(lode_raster *r)
{
    return &r->canvas;
}

lode_status lode_i_raster_png(lode_ctx *ctx, const lode_raster *r, bool opaque, void **bytes,
                              size_t *size)
{
    lode_status st = LODE_OK;
    uint8_t *flat = NULL;
    const int channels = opaque ? 3 : 4;
    const int64_t count = r->w * r->h;
    LODE_TRY(lode_i_new(ctx, count, (size_t)channels, (void **)&flat));
    for (int64_t i = 0; i < count; i++) {
        const uint16_t *px = r->pixels + 4 * i;
        const uint32_t a = px[3];
        for (int k = 0; k < channels; k++) /* colours of a file are not multiplied by alpha */
            flat[channels * i + k] = (uint8_t)(k == 3 ? (a + 128) / 257
                                               : a == 0
                                                   ? 0
                                                   : lode_i_min(255, (px[k] * 255U + a / 2) / a));
    }
    LODE_TRY(lode_i_png(ctx, r->w, r->h, !opaque, flat, bytes, size));
done:
    lode_i_free(flat);
    return st;
}

void lode_i_raster_free(lode_raster *r)
{
    if (!r)
        return;
    lode_i_free(r->pixels);
    lode_i_free(r->mask);
    lode_i_free(r);
}
