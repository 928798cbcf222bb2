/* Building figures: what ops' plot verbs call. Colours, fonts, ticks and layout are decided here, once. */
#ifndef LODE_PLOT_INTERNAL_H
#define LODE_PLOT_INTERNAL_H

#include "array/array.h"
#include "lode/plot.h"

/** A panel; panels fill a grid of at most 3 columns in the order made. Labels carry units: "error (m/s)". */
typedef struct lode_panel lode_panel;
lode_status lode_i_panel(lode_ctx *ctx, lode_figure *f, const char *title, const char *xlabel, const char *ylabel,
                         lode_panel **p);
void lode_i_panel_log(lode_panel *p, bool x, bool y);
/** Series: x NULL counts from 1. label NULL: no legend entry. */
lode_status lode_i_panel_line(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *x, const lode_array *y);
lode_status lode_i_panel_points(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *x,
                                const lode_array *y, const lode_array *group);
lode_status lode_i_panel_bars(lode_ctx *ctx, lode_panel *p, const char *label, const lode_array *y);
/** A matrix as an image, row 0 on top, with a colour bar; NaN drawn as gaps. lo == hi: from the data.
 *  diverging: centred on 0, blue to red; else a perceptual sequential map. */
lode_status lode_i_panel_image(lode_ctx *ctx, lode_panel *p, const lode_array *image, double lo, double hi,
                               bool diverging);
/** One line under the title of the whole figure: the certificate, the sizes. */
lode_status lode_i_figure_caption(lode_ctx *ctx, lode_figure *f, const char *title, const char *caption);

/* Pictures that several ops share. */
lode_status lode_i_plot_scree(lode_ctx *ctx, lode_figure *f, const char *title, const lode_array *s);

#endif
