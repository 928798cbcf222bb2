/* Building figures: what ops' plot verbs call. Colours, fonts, ticks and layout are decided here,
 * once. */
#ifndef LODE_PLOT_INTERNAL_H
#define LODE_PLOT_INTERNAL_H

#include "array/array.h"
#include "lode/plot.h"

/** A panel; panels fill a grid of at most 3 columns in the order made. Labels carry units: "error
 *  (m/s)". */
typedef struct lode_panel lode_panel;
lode_status lode_i_panel(lode_ctx *ctx, lode_figure *f, const char *title, const char *xlabel,
                         const char *ylabel, lode_panel **p);
void lode_i_panel_log(lode_panel *p, bool x, bool y);
/** Series are copied: a real vector of any type, which the figure outlives. x NULL counts from 1.
 *  label NULL: no legend entry. NaN and infinities are gaps; a log axis also drops values that are
 *  not positive; the panel says how many. group: up to 12 whole numbers >= 0 get a colour and
 *  marker each (legend "label 3"), NaN and negative ones are grey; any other numbers colour by
 *  value, with a colour bar named by label. LODE_ESHAPE: not a vector, or sizes differ; LODE_ETYPE:
 *  complex. */
lode_status lode_i_panel_line(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *x,
                              const lode_array *y);
lode_status lode_i_panel_points(lode_ctx *ctx, lode_panel *p, const char *label,
                                const lode_array *x, const lode_array *y, const lode_array *group);
lode_status lode_i_panel_bars(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *y);
/** Words under the bars in place of their numbers, in order; of at most LODE_BAR_NAMES. Copied, cut at
 *  23 bytes. LODE_EPARAM: more. */
#define LODE_BAR_NAMES 12
lode_status lode_i_panel_names(lode_ctx *ctx, lode_panel *p, int count, const char *const *names);
/** A matrix as an image, row 0 on top, with a colour bar; NaN drawn as hatched gaps. lo == hi: from
 *  the data. A unit at the end of the panel's title, "wind (m/s)", also stands at the colour bar.
 *  diverging: centred on 0, blue to red; else a perceptual sequential map. Keeps at most 2048 x
 *  2048 cells. LODE_ESHAPE: not a matrix; LODE_ETYPE: complex; LODE_EPARAM: lo > hi or not
 *  finite. */
lode_status lode_i_panel_image(lode_ctx *ctx, lode_panel *p, const lode_array *image, double lo,
                               double hi, bool diverging);

/** The figure as SVG, without ids: several may stand in one page. *text for lode_i_free. */
lode_status lode_i_figure_svg(lode_ctx *ctx, const lode_figure *figure, int width, bool dark,
                              char **text);

/* Pictures that several ops share. */
/** Two panels: singular values on a log axis, and the share of their sum of squares that the first
 *  k hold. title: of the first panel; NULL: "singular values". */
lode_status lode_i_plot_scree(lode_ctx *ctx, lode_figure *f, const char *title,
                              const lode_array *s);
/** The first three columns of a matrix as lines of a panel, "component 1" and so on. */
lode_status lode_i_plot_components(lode_ctx *ctx, lode_panel *p, const lode_array *A);

#endif
