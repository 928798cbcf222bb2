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
/** Writes by suffix, .svg or .png, through a temporary file; width in pixels (0: 960). An existing
 *  file is
 *  LODE_EEXIST unless force. */
LODE_API lode_status lode_figure_write(lode_ctx *ctx, const lode_figure *figure, const char *path,
                                       int width, bool dark, bool force);

#ifdef __cplusplus
}
#endif
#endif
