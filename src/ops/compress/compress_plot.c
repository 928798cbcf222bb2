/* The figure: a slice of the original (where it is given), of what comes back and of the error;
 * where the bytes went; the certificate below. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

enum { PIXELS = 2048, POINTS = 512 };

/* What is shown: the middle slice over the last two axes longer than 1, or the middle of the only
 * one. */
typedef struct view {
    int found, axis[2]; /* of the rows and the columns, or of the line in the second */
    int64_t step[2];    /* thinned to PIXELS a side */
    lode_part part;
    char where[128]; /* [66,:,:] */
} view;

static view choose_view(const lode_meta *m)
{
    view v = { .part.ndim = m->ndim };
    size_t at = 0;
    for (int k = 0; k < m->ndim; k++)
        if (m->shape[k] == 0)
            return v; /* nothing to show */
    for (int k = m->ndim - 1; k >= 0; k--) {
        v.part.start[k] = m->shape[k] / 2, v.part.count[k] = 1;
        if (m->shape[k] > 1 && v.found < 2) {
            v.axis[1 - v.found++] = k;
            v.part.start[k] = 0, v.part.count[k] = m->shape[k];
        }
    }
    if (v.found == 1 && m->shape[v.axis[1]] > POINTS) {
        v.part.start[v.axis[1]] = (m->shape[v.axis[1]] - POINTS) / 2;
        v.part.count[v.axis[1]] = POINTS;
    }
    for (int i = 0; i < 2; i++)
        v.step[i] = lode_i_max(1, lode_i_ceil_div(v.part.count[v.axis[i]], PIXELS));
    for (int k = 0; k < m->ndim && at < sizeof v.where; k++) {
        const int64_t from = v.part.start[k], n = v.part.count[k];
        const char *const comma = k ? "," : "[";
        if (n == m->shape[k] && n > 1)
            at += (size_t)snprintf(v.where + at, sizeof v.where - at, "%s:", comma);
        else if (n > 1)
            at += (size_t)snprintf(v.where + at, sizeof v.where - at, "%s%" PRId64 ":%" PRId64,
                                   comma, from, from + n);
        else
            at += (size_t)snprintf(v.where + at, sizeof v.where - at, "%s%" PRId64, comma, from);
    }
    if (at < sizeof v.where)
        snprintf(v.where + at, sizeof v.where - at, "]");
    return v;
}

/* The slice as a matrix, or a vector, of real parts. */
static lode_status as_shown(lode_ctx *ctx, const view *v, const lode_array *a, lode_array *shown)
{
    lode_status st = LODE_OK;
    const int64_t line = v->part.count[v->axis[1]];
    const int64_t shape[2] = { v->found < 2 ? line : v->part.count[v->axis[0]], line };
    lode_array x = { 0 }, y = { 0 }, real = { 0 };
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &real));
    LODE_TRY(lode_array_reshape(ctx, &real, v->found, shape, &x));
    for (int k = 0; k < 2 && v->found == 2; k++) {
        LODE_TRY(lode_array_slice(ctx, &x, k, 0, shape[k], v->step[k], &y));
        lode_array_swap(&x, &y);
        lode_array_free(&y);
    }
    LODE_TRY(lode_array_cast(ctx, &x, LODE_F64, &y));
    lode_array_swap(shown, &y);
done:
    LODE_FREE(&x, &y, &real);
    return st;
}

static lode_status new_panel(lode_ctx *ctx, const view *v, const char *title, const char *ylabel,
                             lode_figure *figure, lode_panel **p)
{
    char label[2][48];
    for (int i = 0; i < 2; i++)
        if (v->found == 2 && v->step[i] > 1)
            snprintf(label[i], sizeof label[i], "axis %d (1 of %" PRId64 ")", v->axis[i],
                     v->step[i]);
        else
            snprintf(label[i], sizeof label[i], "axis %d", v->axis[i]);
    return lode_i_panel(ctx, figure, title, label[1], v->found == 2 ? label[0] : ylabel, p);
}

/* want: empty where the original is not given. */
static lode_status image_panels(lode_ctx *ctx, const view *v, const lode_array *got,
                                const lode_array *want, const char *title, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_array error = { 0 };
    lode_panel *p = NULL;
    lode_stats s = { 0 };
    LODE_TRY(lode_i_stats(ctx, got, &s));
    double low = s.min, high = s.max;
    if (want->data) { /* one scale for both */
        LODE_TRY(lode_i_stats(ctx, want, &s));
        low = fmin(low, s.min), high = fmax(high, s.max);
        char original[160];
        snprintf(original, sizeof original, "Original%s", title + strlen("Decoded"));
        LODE_TRY(new_panel(ctx, v, original, "", figure, &p));
        LODE_TRY(lode_i_panel_image(ctx, p, want, low, high, false));
    }
    LODE_TRY(new_panel(ctx, v, title, "", figure, &p));
    LODE_TRY(lode_i_panel_image(ctx, p, got, low, high, false));
    if (want->data) {
        LODE_TRY(lode_array_cast(ctx, got, LODE_F64, &error));
        LODE_TRY(lode_i_axpy(ctx, -1, want, &error));
        LODE_TRY(new_panel(ctx, v, "Error: decoded minus original", "", figure, &p));
        LODE_TRY(lode_i_panel_image(ctx, p, &error, 0, 0, true));
    }
done:
    LODE_FREE(&error);
    return st;
}

static lode_status line_panels(lode_ctx *ctx, const view *v, const lode_array *got,
                               const lode_array *want, const char *title, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_array error = { 0 }, at = { 0 };
    lode_panel *p = NULL;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, got->shape[0], &at));
    for (int64_t i = 0; i < got->shape[0]; i++)
        lode_i_set1(&at, i, (double)(v->part.start[v->axis[1]] + i));
    LODE_TRY(new_panel(ctx, v, title, "value", figure, &p));
    if (want->data)
        LODE_TRY(lode_i_panel_line(ctx, p, "original", &at, want));
    LODE_TRY(lode_i_panel_line(ctx, p, want->data ? "decoded" : NULL, &at, got));
    if (want->data) {
        LODE_TRY(lode_array_cast(ctx, got, LODE_F64, &error));
        LODE_TRY(lode_i_axpy(ctx, -1, want, &error));
        LODE_TRY(new_panel(ctx, v, "Error: decoded minus original", "error", figure, &p));
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, &at, &error));
    }
done:
    LODE_FREE(&error, &at);
    return st;
}

static lode_status bytes_panel(lode_ctx *ctx, const contents *all, lode_figure *figure)
{
    lode_status st = LODE_OK;
    const contents c = *all;
    const char *names[LODE_BAR_NAMES];
    double values[LODE_BAR_NAMES];
    char title[96] = "Where the bytes go";
    lode_panel *p = NULL;
    lode_array bars = { 0 };
    int count = 0;
    const struct {
        const char *name;
        double bytes;
    } part[] = { { c.blocks[CONTENT_TRANSFORM] || c.blocks[CONTENT_TRAIN] ? "coefficients"
                                                                          : "residuals",
                   c.values },
                 { "bases", c.bases },
                 { "missing", c.mask },
                 { "corrections", c.corrections },
                 { "exact values", c.bytes[CONTENT_EXACT] },
                 { "heads", c.heads } };
    enum { PARTS = (int)(sizeof part / sizeof *part) };
    for (int i = 0; i < PARTS; i++) /* only what there is */
        if (part[i].bytes > 0)
            names[count] = part[i].name, values[count++] = part[i].bytes;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, count, &bars));
    for (int i = 0; i < count; i++)
        lode_i_set1(&bars, i, values[i]);
    if (c.damaged)
        snprintf(title, sizeof title, "Where the bytes go (%" PRId64 " damaged %s left out)",
                 c.damaged, c.damaged > 1 ? "blocks" : "block");
    LODE_TRY(lode_i_panel(ctx, figure, title, "", "bytes", &p));
    LODE_TRY(lode_i_panel_names(ctx, p, count, names));
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
    char title[160], caption[320], shape[64], line[200];
    uint64_t bytes = 0;
    grid g;
    contents c;
    lode_source s = { 0 };
    bool owned = false;
    lode_array got = { 0 }, want = { 0 }, shown = { 0 }, wanted = { 0 };

    LODE_TRY(compress_open(ctx, model, &g));
    LODE_TRY(compress_contents(ctx, model, &g, &c)); /* first: what the slice loses is to be said */
    for (int64_t i = 0; i < model->count; i++)
        bytes += lode_array_bytes(lode_bundle_value(model, i).as.array);
    const uint64_t raw = m->input_bytes ? m->input_bytes : lode_i_bytes(m->dtype, 1, 1);
    lode_i_print_shape(m->ndim, m->shape, shape, sizeof shape);
    lode_certificate_print(&model->certificate, line, sizeof line);
    snprintf(title, sizeof title, "Compressed %s %s", shape, lode_dtype_name(m->dtype));
    snprintf(caption, sizeof caption, "%" PRIu64 " bytes from %" PRIu64 " (%.1f to 1); %s", bytes,
             raw, bytes ? (double)raw / (double)bytes : 0, line);
    LODE_TRY(lode_figure_caption(ctx, figure, title, caption));
    const view v = choose_view(m);
    if (v.found > 0) {
        LODE_TRY(compress_invert(ctx, model, lode_none(), &v.part, &got));
        LODE_TRY(as_shown(ctx, &v, &got, &shown));
        if (original.kind != LODE_NONE) {
            LODE_TRY(lode_i_as_source(ctx, original, &s, &owned));
            LODE_REQUIRE(s.ndim == m->ndim &&
                             memcmp(s.shape, m->shape, (size_t)s.ndim * sizeof *s.shape) == 0,
                         LODE_ESHAPE,
                         "compress: the original is not of the shape that was compressed");
            LODE_TRY(lode_i_source_read(ctx, &s, v.part.start, v.part.count, s.dtype, &want));
            LODE_TRY(as_shown(ctx, &v, &want, &wanted));
        }
        snprintf(title, sizeof title, "Decoded %s%s", v.where,
                 lode_i_is_complex(m->dtype) ? ", real part" : "");
        LODE_TRY(
            (v.found == 2 ? image_panels : line_panels)(ctx, &v, &shown, &wanted, title, figure));
    }
    LODE_TRY(bytes_panel(ctx, &c, figure));
done:
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&got, &want, &shown, &wanted);
    return st;
}
