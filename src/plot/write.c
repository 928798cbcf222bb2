/* A figure to a file: layout, one of two canvases, and an output that appears whole or not at
 * all. */
#include "io/io.h"
#include "plot/figure.h"

enum { NARROWEST = 200, WIDEST = 8000 };

static lode_status draw_svg(lode_ctx *ctx, const lode_figure *figure, const lode_sheet *sheet,
                            lode_svg **svg, const char **text, size_t *size)
{
    LODE_FORWARD(lode_i_svg_new(ctx, figure, sheet, svg));
    lode_i_draw(lode_i_svg_canvas(*svg), figure, sheet);
    return lode_i_svg_end(*svg, text, size);
}

lode_status lode_i_figure_svg(lode_ctx *ctx, const lode_figure *figure, int width, bool dark,
                              char **text)
{
    lode_status st = LODE_OK;
    lode_sheet sheet = { 0 };
    lode_svg *svg = NULL;
    const char *drawn = NULL;
    size_t size = 0;
    LODE_REQUIRE(figure->count > 0, LODE_EUSAGE, "the figure has no panels to draw");
    LODE_TRY(lode_i_sheet(ctx, figure, width, dark, &sheet));
    LODE_TRY(draw_svg(ctx, figure, &sheet, &svg, &drawn, &size));
    LODE_TRY(lode_i_strdup(ctx, drawn, text));
done:
    lode_i_svg_free(svg);
    lode_i_sheet_free(&sheet);
    return st;
}

lode_status lode_figure_write(lode_ctx *ctx, const lode_figure *figure, const char *path, int width,
                              bool dark, bool force)
{
    lode_status st = LODE_OK;
    lode_sheet sheet = { 0 };
    lode_svg *svg = NULL;
    lode_raster *raster = NULL;
    void *png = NULL;
    const char *text = NULL;
    size_t size = 0;
    lode_i_begin(ctx, "plot");
    const bool as_svg = lode_i_has_suffix(path, ".svg");
    LODE_REQUIRE(as_svg || lode_i_has_suffix(path, ".png"), LODE_EUSAGE,
                 "a figure cannot be written to \"%s\": its name must end in .svg or .png", path);
    LODE_REQUIRE(width == 0 || (width >= NARROWEST && width <= WIDEST), LODE_EPARAM,
                 "a figure cannot be %d pixels wide: give %d to %d, or 0 for 960", width,
                 (int)NARROWEST, (int)WIDEST);
    LODE_REQUIRE(figure->count > 0, LODE_EUSAGE, "the figure for \"%s\" has no panels to draw",
                 path);
    LODE_REQUIRE(force || !lode_i_path_exists(path), LODE_EEXIST,
                 "\"%s\" exists; --force replaces it", path);
    LODE_TRY(lode_i_sheet(ctx, figure, width ? width : 960, dark, &sheet));
    if (as_svg) {
        LODE_TRY(draw_svg(ctx, figure, &sheet, &svg, &text, &size));
        LODE_TRY(lode_i_outfile_whole(ctx, path, force, text, size));
    } else {
        LODE_TRY(lode_i_raster_new(ctx, (lode_box){ 0, 0, sheet.width, sheet.height }, 1, &raster));
        lode_i_draw(lode_i_raster_canvas(raster), figure, &sheet);
        LODE_TRY(lode_i_raster_canvas(raster)->st);
        LODE_TRY(lode_i_raster_png(ctx, raster, true, &png, &size));
        LODE_TRY(lode_i_outfile_whole(ctx, path, force, png, size));
    }
done:
    lode_i_free(png);
    lode_i_raster_free(raster);
    lode_i_svg_free(svg);
    lode_i_sheet_free(&sheet);
    lode_i_end(ctx);
    return st;
}
