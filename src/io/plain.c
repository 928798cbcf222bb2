/* What the core build has in place of zlib and libpng (gzip.c, zip.c, png.c). */
#include "io/io.h"

uint32_t lode_i_crc32(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
    }
    return ~crc;
}

static lode_status refuse(lode_ctx *ctx, const lode_infile *in)
{
    return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                       "%s: the core build reads nothing deflated; inflate it first (gzip -d)",
                       lode_i_infile_path(in));
}

lode_status lode_i_unwrap(lode_ctx *ctx, lode_infile *in, lode_i_zwrap wrap, uint64_t offset,
                          uint64_t packed, uint64_t most, lode_infile **out)
{
    (void)wrap, (void)offset, (void)packed, (void)most, (void)out;
    return refuse(ctx, in);
}

lode_status lode_i_zip_inflate(lode_ctx *ctx, lode_infile *in, const char *what, uint64_t offset,
                               uint64_t packed, uint64_t skip, uint64_t want, bool whole,
                               void **bytes, uint32_t *crc)
{
    (void)what, (void)offset, (void)packed, (void)skip, (void)want, (void)whole;
    (void)bytes, (void)crc;
    return refuse(ctx, in);
}

lode_status lode_i_png(lode_ctx *ctx, int64_t w, int64_t h, bool alpha, const uint8_t *pixels,
                       void **bytes, size_t *size)
{
    (void)w, (void)h, (void)alpha, (void)pixels, (void)bytes, (void)size;
    return lode_i_fail(ctx, LODE_EUNSUPPORTED, "the core build draws no pictures");
}
