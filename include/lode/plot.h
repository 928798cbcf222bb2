/* Figures: panels of lines, points, bars and images, written as SVG or PNG. */
#ifndef LODE_PLOT_H
#define LODE_PLOT_H

#include "lode/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque; ops' plot verbs fill it. Created and freed by the caller. */
typedef struct lode_figure lode_figure;
LODE_API lode_status lode_figure_new(lode_ctx *ctx, lode_figure **figure);
LODE_API void lode_figure_free(lode_figure **figure);
/** Title of the whole figure and the line under it; NULL or empty: none. */
LODE_API lode_status lode_figure_caption(lode_ctx *ctx, lode_figure *figure, const char *title,
                                         const char *caption);
/** Curves on one pair of axes, a panel of the figure, a mark at each of their points. Labels carry
 *  units: "error (m/s)". Values are copied; NaN and infinities are gaps, a logarithmic axis also drops
 *  what is not positive. */
typedef struct lode_curve {
    const char *label; /* in the legend */
    int64_t n;
    const double *x, *y;
} lode_curve;
typedef struct lode_curves {
    const char *title, *xlabel, *ylabel;
    bool logx, logy;
    int64_t count;
    const lode_curve *curve;
} lode_curves;
LODE_API lode_status lode_figure_curves(lode_ctx *ctx, lode_figure *figure, const lode_curves *c);
/** Writes by suffix, .svg or .png, through a temporary file; width in pixels (0: 960). An existing
 *  file is
 *  LODE_EEXIST unless force. */
LODE_API lode_status lode_figure_write(lode_ctx *ctx, const lode_figure *figure, const char *path,
                                       int width, bool dark, bool force);

#ifdef __cplusplus
}
#endif
#endif
