/* The figure: a slice of the original (where it is given), of what comes back and of the error;
 * where the bytes went; the certificate below. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

enum { PIXELS = 512 };

/* The middle slice over the last two axes longer than 1, thinned to at most PIXELS a side. */
static lode_status slice_of(lode_ctx *ctx, const lode_meta *m, lode_part *part, int axes[2],
                            char *title, size_t size)
{
    int found = 0;
    axes[0] = axes[1] = -1;
    *part = (lode_part){ .ndim = m->ndim };
    for (int k = m->ndim - 1; k >= 0; k--) {
        part->start[k] = m->shape[k] / 2, part->count[k] = 1;
        if (m->shape[k] > 1 && found < 2) {
            axes[1 - found++] = k;
            part->start[k] = 0, part->count[k] = m->shape[k];
        }
    }
    (void)ctx;
    snprintf(title, size, "Decoded: middle slice, axes %d and %d", axes[0], axes[1]);
    return LODE_OK;
}

static lode_status as_image(lode_ctx *ctx, const lode_array *a, lode_array *image)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 }, real = { 0 };
    int64_t shape[2] = { 1, 1 };
    int n = 0;
    for (int k = a->ndim - 1; k >= 0; k--)
        if (a->shape[k] > 1)
            shape[1 - n++] = a->shape[k];
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &real));
    LODE_TRY(lode_array_reshape(ctx, &real, 2, shape, &x));
    for (int k = 0; k < 2; k++) {
        LODE_TRY(lode_array_slice(ctx, &x, k, 0, shape[k], lode_i_ceil_div(shape[k], PIXELS), &y));
        lode_array_swap(&x, &y);
        lode_array_free(&y);
    }
    LODE_TRY(lode_array_cast(ctx, &x, LODE_F64, &y));
    lode_array_swap(image, &y);
done:
    LODE_FREE(&x, &y, &real);
    return st;
}

static lode_status bytes_panel(lode_ctx *ctx, const lode_bundle *model, const grid *g,
                               lode_figure *figure)
{
    lode_status st = LODE_OK;
    double part[4] = { 0 };
    lode_panel *p = NULL;
    lode_array bars = { 0 };
    for (int64_t b = 0; b < g->blocks; b++) {
        const lode_array *coded = NULL;
        int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
        record_info info;
        compress_block(g, b, start, count);
        LODE_TRY(compress_record(ctx, model, b, &coded));
        LODE_TRY(compress_info(ctx, coded, model->meta.dtype, model->meta.ndim, count, &info));
        part[0] += (double)(info.exact ? coded->shape[0] : info.core_bytes);
        part[1] += (double)info.basis_bytes;
        part[2] += (double)info.mask_bytes;
        part[3] += (double)info.correction_bytes;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 4, &bars));
    for (int i = 0; i < 4; i++)
        lode_i_set1(&bars, i, part[i]);
    LODE_TRY(lode_i_panel(ctx, figure, "Where the bytes go",
                          "1 values, 2 bases, 3 mask, 4 corrections", "bytes", &p));
    LODE_TRY(lode_i_panel_bars(ctx, p, NULL, &bars));
done:
    LODE_FREE(&bars);
    return st;
}

lode_status compress_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                          lode_figure *figure)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    char title[160], caption[320], shape[64], where[64], line[200];
    uint64_t bytes = 0;
    grid g;
    lode_part part;
    int axes[2];
    lode_source s = { 0 };
    bool owned = false;
    lode_array got = { 0 }, want = { 0 }, image = { 0 }, wanted = { 0 }, error = { 0 };
    lode_panel *p = NULL;
    lode_stats range = { 0 };

    LODE_TRY(compress_open(ctx, model, &g));
    for (int64_t i = 0; i < model->count; i++)
        bytes += lode_array_bytes(lode_bundle_value(model, i).as.array);
    const uint64_t raw = m->input_bytes ? m->input_bytes : lode_i_bytes(m->dtype, 1, 1);
    lode_i_print_shape(m->ndim, m->shape, shape, sizeof shape);
    lode_certificate_print(&model->certificate, line, sizeof line);
    snprintf(title, sizeof title, "Compressed %s %s", shape, lode_dtype_name(m->dtype));
    snprintf(caption, sizeof caption, "%" PRIu64 " bytes from %" PRIu64 " (%.1f to 1); %s", bytes,
             raw, bytes ? (double)raw / (double)bytes : 0, line);
    LODE_TRY(lode_i_figure_caption(ctx, figure, title, caption));
    LODE_TRY(slice_of(ctx, m, &part, axes, where, sizeof where));
    if (axes[0] >= 0) {
        LODE_TRY(compress_invert(ctx, model, lode_none(), &part, &got));
        LODE_TRY(as_image(ctx, &got, &image));
        LODE_TRY(lode_i_stats(ctx, &image, &range));
        if (original.kind != LODE_NONE) {
            LODE_TRY(lode_i_as_source(ctx, original, &s, &owned));
            LODE_REQUIRE(s.ndim == m->ndim &&
                             memcmp(s.shape, m->shape, (size_t)s.ndim * sizeof *s.shape) == 0,
                         LODE_ESHAPE,
                         "compress: the original is not of the shape that was compressed");
            LODE_TRY(lode_i_source_read(ctx, &s, part.start, part.count, s.dtype, &want));
            LODE_TRY(as_image(ctx, &want, &wanted));
            LODE_TRY(lode_i_stats(ctx, &wanted, &range));
            LODE_TRY(lode_i_panel(ctx, figure, "Original", "column", "row", &p));
            LODE_TRY(lode_i_panel_image(ctx, p, &wanted, range.min, range.max, false));
        }
        LODE_TRY(lode_i_panel(ctx, figure, where, "column", "row", &p));
        LODE_TRY(lode_i_panel_image(ctx, p, &image, range.min, range.max, false));
        if (original.kind != LODE_NONE) {
            LODE_TRY(lode_array_cast(ctx, &image, LODE_F64, &error));
            LODE_TRY(lode_i_axpy(ctx, -1, &wanted, &error));
            LODE_TRY(lode_i_panel(ctx, figure, "Error", "column", "row", &p));
            LODE_TRY(lode_i_panel_image(ctx, p, &error, 0, 0, true));
        }
    }
    LODE_TRY(bytes_panel(ctx, model, &g, figure));
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&got, &want, &image, &wanted, &error);
    return st;
}
