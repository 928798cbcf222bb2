/* Inside of the plot layer: the model of a figure, its layout, and the canvas that SVG and PNG
 * stand behind. */
#ifndef LODE_PLOT_FIGURE_H
#define LODE_PLOT_FIGURE_H

#include "plot/plot.h"

typedef struct lode_rgba {
    uint8_t r, g, b, a;
} lode_rgba;
typedef struct lode_box {
    double x, y, w, h;
} lode_box; /* x, y: top left; pixels */

/* ---- the model: plain f64 copies, so that a figure outlives what it was made from ---- */

typedef enum lode_series_kind {
    LODE_SERIES_LINE,
    LODE_SERIES_POINTS,
    LODE_SERIES_BARS
} lode_series_kind;
typedef struct lode_series {
    lode_series_kind kind;
    char *label; /* NULL: not in the legend */
    int64_t n;
    double *x; /* NULL: 1, 2, 3, .. */
    double *y;
    double *group; /* points only; NULL: one colour */
} lode_series;

/** An image as kept: box-filtered to at most LODE_IMAGE_CELLS a side, which is more than is ever
 *  drawn. */
typedef struct lode_image {
    int64_t rows, cols;           /* of v */
    int64_t full_rows, full_cols; /* of the matrix */
    double *v;                    /* NaN: nothing finite there */
    double lo, hi;                /* ends of the colour bar */
    bool below, above;            /* values beyond the ends */
    int64_t finite;               /* finite values of the matrix */
    int64_t gaps;                 /* values of the matrix that are not finite */
    bool diverging;
} lode_image;
#define LODE_IMAGE_CELLS 2048

struct lode_panel {
    char *title, *xlabel, *ylabel; /* never NULL */
    bool logx, logy;
    int64_t count, capacity;
    lode_series *series;
    lode_image *image; /* NULL: none */
    int names;         /* of bars; 0: they are numbered */
    char name[LODE_BAR_NAMES][24];
};
struct lode_figure {
    char *title, *caption; /* NULL: none */
    int64_t count, capacity;
    lode_panel **panels;
};

/** Takes back panels added last, down to count. */
void lode_i_figure_trim(lode_figure *f, int64_t count);
/** Area-weighted mean of the finite cells; NaN where less than half of the area is finite. dst:
 *  rows x cols. */
lode_status lode_i_box_filter(lode_ctx *ctx, const double *src, int64_t src_rows, int64_t src_cols,
                              double *dst, int64_t rows, int64_t cols);

/* ---- text: our own stroke font; its advance widths follow the sans-serif fonts that SVG viewers
 * use ---- */

/** Next character; invalid bytes give U+FFFD. 0 at the end. */
uint32_t lode_i_utf8_next(const char **text);
double lode_i_text_width(const char *text, double size, bool bold);
#define LODE_SLACK                                                                                 \
    1.13 /* room beside text where it may not grow: a viewer's font can be that much wider than ours */
/** Traces a glyph in units of 1/100 em, y up from the baseline, as line segments; returns its
 *  advance. */
typedef void (*lode_stroke_fn)(void *data, double x0, double y0, double x1, double y1);
double lode_i_glyph(uint32_t code, lode_stroke_fn stroke, void *data);
/** Breaks text into at most max lines no wider than width; what does not fit ends in an
 *  ellipsis. */
#define LODE_TEXT_LINES 4
typedef struct lode_lines {
    int count;
    char line[LODE_TEXT_LINES][256];
} lode_lines;
void lode_i_wrap(const char *text, double size, bool bold, double width, int max,
                 lode_lines *lines);

/* ---- colours ---- */

typedef struct lode_theme {
    lode_rgba paper, ink, muted, grid, frame, hatch, quiet;
    bool dark;
} lode_theme;
lode_theme lode_i_theme(bool dark);
#define LODE_PALETTE 7
lode_rgba lode_i_palette(bool dark, int i); /* categorical, colour-blind safe; repeats */
/** 256 colours, dark to light (sequential) or blue through white to red (diverging); even steps in
 *  Oklab. */
void lode_i_colormap(bool diverging, lode_rgba map[256]);
void lode_i_oklab(lode_rgba c, double lab[3]);

/* ---- axes ---- */

#define LODE_TICKS 24
#define LODE_MINORS 96
typedef struct lode_tick {
    double at;
    char text[24];
    char sup[16];
} lode_tick; /* at: in axis coordinates */
/** lo and hi are in axis coordinates: the data's, or their log10. */
typedef struct lode_axis {
    double lo, hi;
    bool log, integer;
    bool none;    /* nothing to measure: no ticks */
    bool lowered; /* every second label stands in a row of its own */
    int count, minors;
    lode_tick tick[LODE_TICKS];
    double minor[LODE_MINORS];
    /* power of ten common to all ticks, written once at the end of the axis; 0: none */
    int exponent;
} lode_axis;
/** Widens an empty range and chooses about `target` ticks. */
void lode_i_axis_ticks(lode_axis *a, int target);
double lode_i_tick_width(const lode_tick *t, double size);

/* ---- layout: everything that both writers share ---- */

/** How the groups of a points series look. */
typedef struct lode_groups {
    int count; /* distinct whole numbers >= 0; -1: too many, or not whole: coloured by value */
    double value[12]; /* ascending */
    bool others;      /* some belong to none: NaN or negative, as noise is labelled */
    double lo, hi;    /* for colour by value */
} lode_groups;
typedef struct lode_look {
    int colour;
    lode_groups groups;
} lode_look; /* colour: first index in the palette */

/* colour -1: quiet, -2: no sign */
typedef struct lode_key {
    char text[96];
    int colour;
    lode_series_kind kind;
} lode_key;
#define LODE_KEYS 16
typedef struct lode_legend {
    int count, columns;
    lode_key key[LODE_KEYS];
    double width; /* of one entry */
    bool outside; /* below the plot box, because no corner is free */
    lode_box box;
} lode_legend;

typedef struct lode_panel_layout {
    lode_box plot;
    lode_axis x, y, bar_axis;
    lode_box bar; /* colour bar; w == 0: none */
    bool bar_diverging, bar_below, bar_above;
    char unit[64]; /* beside the colour bar */
    lode_lines title, footnote;
    char xlabel[256], ylabel[256];   /* shortened to their axes */
    double title_y;                  /* first baseline */
    double left, right, top, bottom; /* taken beside the plot box */
    double below;                    /* from the plot box to what stands under its x label */
    double wanted;                   /* height of the plot box that suits the panel */
    int64_t drawn, dropped;          /* values of series */
    double range[4]; /* of what is drawn, in the data's own units: x low, high, y low, high */
    bool flipped;    /* row 0 on top */
    lode_look *look; /* one a series */
    lode_legend legend;
} lode_panel_layout;

typedef struct lode_sheet {
    double width, height, scale;
    double tick, label, heading, title, small; /* text sizes */
    lode_theme theme;
    lode_lines title_lines, caption_lines;
    double title_y, caption_y; /* first baselines */
    double pad;
    int64_t count;
    lode_panel_layout *panel;
} lode_sheet;
lode_status lode_i_sheet(lode_ctx *ctx, const lode_figure *f, int width, bool dark, lode_sheet *l);
void lode_i_sheet_free(lode_sheet *l);

/** Value i of a series in axis coordinates; false when it cannot be drawn. */
bool lode_i_series_xy(const lode_panel *p, const lode_series *s, int64_t i, double *x, double *y);
/** Ranges, colours and counts of a panel: what its data say before any size is known. */
lode_status lode_i_survey(lode_ctx *ctx, const lode_panel *p, lode_panel_layout *l);
/** Index among value[], -1 for none. */
int lode_i_group_of(const lode_groups *g, double v);
/** Keys, and the size of the box they take; box.w == 0: no legend. */
void lode_i_legend_keys(const lode_panel *p, const lode_sheet *sheet, lode_panel_layout *l);
/** Puts the legend into a corner that no datum touches, or sets outside. */
lode_status lode_i_legend_place(lode_ctx *ctx, const lode_panel *p, const lode_sheet *sheet,
                                lode_panel_layout *l);
/** Axis coordinates to pixels. */
double lode_i_px(const lode_panel_layout *l, double x);
double lode_i_py(const lode_panel_layout *l, double y);
/** Bars of the series stand beside each other: the share of [-0.5, 0.5] around its number that one
 *  has. */
void lode_i_bar_slot(const lode_panel *p, int64_t series, double *from, double *to);
/** Where bars start, in axis coordinates. */
double lode_i_bar_base(const lode_panel_layout *l);

/* ---- canvas: failures stay in st, later calls do nothing, the driver looks once at the end
 * ---- */

typedef struct lode_pen {
    lode_rgba colour;
    double width;
    int dash;
} lode_pen; /* dash 0: solid */
enum { LODE_DISC, LODE_SQUARE, LODE_TRIANGLE, LODE_DIAMOND, LODE_SHAPES };
typedef struct lode_mark {
    lode_rgba colour;
    int shape;
} lode_mark;
typedef struct lode_label {
    const char *text, *sup; /* sup: a superscript behind the text, or NULL */
    double x, y, size;      /* baseline */
    int anchor;             /* -1: starts at x, 0: centred, 1: ends at x */
    bool bold, vertical;    /* vertical: reads upwards */
    lode_rgba colour;
} lode_label;
typedef struct lode_canvas lode_canvas;
struct lode_canvas {
    lode_ctx *ctx;
    lode_status st;
    double detail; /* pixels of a picture worth making for each unit of length */
    void (*rect)(lode_canvas *c, lode_box b, lode_rgba colour);
    void (*line)(lode_canvas *c, int64_t n, const double *xy, lode_pen pen);
    void (*polygon)(lode_canvas *c, int n, const double *xy, lode_rgba colour); /* convex */
    void (*marks)(lode_canvas *c, int64_t n, const double *xy, const uint8_t *key,
                  const lode_mark *style, double radius);
    void (*text)(lode_canvas *c, const lode_label *label);
    void (*image)(lode_canvas *c, lode_box b, int64_t w, int64_t h, const lode_rgba *pixels);
    void (*clip)(lode_canvas *c, const lode_box *b); /* NULL: ends it */
};
void lode_i_draw(lode_canvas *c, const lode_figure *f, const lode_sheet *l);
/** Corners of a marker that is not a disc; returns how many. */
int lode_i_mark_corners(int shape, double x, double y, double radius, double xy[8]);
/** On and off lengths of a dash, in widths of the pen; returns how many (0: solid). */
int lode_i_dash(int dash, const double **lengths);

/** Pixels: w x h of a canvas whose top left is (x, y), at `detail` pixels a unit. Transparent at
 *  first. */
typedef struct lode_raster lode_raster;
lode_status lode_i_raster_new(lode_ctx *ctx, lode_box view, double detail, lode_raster **r);
lode_canvas *lode_i_raster_canvas(lode_raster *r);
/** The picture as a PNG file in memory, freed with lode_i_free. */
lode_status lode_i_raster_png(lode_ctx *ctx, const lode_raster *r, bool opaque, void **bytes,
                              size_t *size);
void lode_i_raster_free(lode_raster *r);

/** SVG text; the canvas owns it until taken. */
typedef struct lode_svg lode_svg;
lode_status lode_i_svg_new(lode_ctx *ctx, const lode_figure *f, const lode_sheet *l, lode_svg **s);
lode_canvas *lode_i_svg_canvas(lode_svg *s);
/** Ends the document and lends its text. */
lode_status lode_i_svg_end(lode_svg *s, const char **text, size_t *size);
void lode_i_svg_free(lode_svg *s);

#endif
