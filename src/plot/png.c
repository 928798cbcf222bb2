/* PNG files: the one place that calls libpng, through its simplified interface, which reports
 * errors by return value. No times and no program names are written, so equal pictures are equal
 * bytes. */
#include "plot/figure.h"

#include <png.h>
#include <string.h>

lode_status lode_i_png(lode_ctx *ctx, int64_t w, int64_t h, bool alpha, const uint8_t *pixels,
                       void **bytes, size_t *size)
{
    lode_status st = LODE_OK;
    void *memory = NULL;
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.format = alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
    LODE_REQUIRE(w > 0 && h > 0 && w <= 65535 && h <= 1000000, LODE_ESHAPE,
                 "a PNG of %" PRId64 " x %" PRId64
                 " pixels is larger than readers accept; draw fewer panels or "
                 "write .svg",
                 w, h);
    image.width = (png_uint_32)w, image.height = (png_uint_32)h;
    png_alloc_size_t room = PNG_IMAGE_PNG_SIZE_MAX(image);
    LODE_TRY(lode_i_alloc(ctx, room, &memory));
    LODE_REQUIRE(png_image_write_to_memory(&image, memory, &room, 0, pixels, 0, NULL), LODE_ENOMEM,
                 "encoding a PNG of %" PRId64 " x %" PRId64 " pixels failed: %s", w, h,
                 image.message);
    *bytes = memory, memory = NULL;
    *size = room;
done:
    png_image_free(&image);
    lode_i_free(memory);
    return st;
}
