/* Writing: a bundle or one source, handed to the format that the path or --to names. */
#include "io/frame.h"

#include <string.h>

/* The first suffix of every format that is written. */
static lode_status no_format(lode_ctx *ctx, const char *path)
{
    lode_status st = LODE_OK;
    lode_text list = { 0 };
    const char *suffixes = NULL, *before = "";
    bool writes = false;
    for (int i = 0; lode_format_name(i, &suffixes, NULL, &writes); before = suffixes, i++)
        if (writes && strcmp(suffixes, before) != 0) /* versions of one format stand together */
            LODE_TRY(lode_i_text_add(ctx, &list, "%s%.*s, ", *suffixes == '/' ? "name" : "",
                                     (int)strcspn(suffixes, " "), suffixes));
    st = lode_i_fail(ctx, LODE_EUSAGE, "%s: its suffix names no format; use %sor --to", path,
                     list.text);
done:
    lode_i_text_free(&list);
    return st;
}

/* Without the frame of another file. */
static lode_status write_anew(lode_ctx *ctx, const lode_i_format *format, const char *path,
                              const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_output rest = *out;
    rest.items = NULL, rest.count = 0;
    LODE_TRY(lode_i_new(ctx, out->count + 1, sizeof *rest.items, (void **)&rest.items));
    for (int64_t i = 0; i < out->count; i++)
        if (strcmp(out->items[i].name, LODE_I_FRAME) != 0)
            rest.items[rest.count++] = out->items[i];
    st = format->write(ctx, path, &rest, force);
done:
    lode_i_free(rest.items);
    return st;
}

static lode_status write_output(lode_ctx *ctx, const char *path, const lode_i_output *out,
                                const lode_write_opts *o)
{
    const lode_i_format *format = NULL;
    if (!o || !o->format) {
        const size_t n = strlen(path);
        if (n && path[n - 1] == '/')
            format = &lode_i_format_dir;
    }
    if (!format)
        LODE_FORWARD(lode_i_format_find(ctx, o ? o->format : NULL, path, &format));
    if (!format)
        return no_format(ctx, path);
    LODE_FORWARD(lode_i_format_present(ctx, format));
    if (!format->write)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED, "%s files are read only", format->name);
    if (lode_i_has_suffix(path, ".gz") && !format->gzip)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                           "%s: %s files are not written as .gz; leave .gz out, or write .lode to "
                           "save room",
                           path, format->name);
    if (format->bundles || lode_i_output_find(out, LODE_I_FRAME).kind == LODE_NONE)
        return format->write(ctx, path, out, o && o->force);
    bool done = false;
    LODE_FORWARD(lode_i_frame_write(ctx, format, o && o->format, path, out, o && o->force, &done));
    return done ? LODE_OK : write_anew(ctx, format, path, out, o && o->force);
}

lode_status lode_i_output_of(lode_ctx *ctx, const lode_bundle *b, lode_i_output *out)
{
    void *items = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, (size_t)b->count * sizeof *out->items + 1, &items));
    *out = (lode_i_output){ .meta = &b->meta, .items = items, .count = b->count };
    if (b->certificate.kind != LODE_CERT_NONE || b->certificate.note[0] ||
        b->certificate.quantity[0])
        out->certificate = &b->certificate;
    for (int64_t i = 0; i < b->count; i++) {
        out->items[i].name = lode_bundle_name(b, i);
        out->items[i].value = lode_bundle_value(b, i);
    }
    return LODE_OK;
}

lode_status lode_write(lode_ctx *ctx, const char *path, const lode_bundle *b,
                       const lode_write_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_output out = { .count = 0 };
    lode_i_begin(ctx, "write");
    LODE_TRY(lode_i_output_of(ctx, b, &out));
    out.only = o ? o->only : NULL;
    LODE_TRY(write_output(ctx, path, &out, o));
    st = lode_i_with_losses(ctx, st);
done:
    lode_i_free(out.items);
    lode_i_end(ctx);
    return st;
}

lode_status lode_write_source(lode_ctx *ctx, const char *path, const char *name,
                              const lode_source *s, const lode_write_opts *o)
{
    lode_i_item item = { .name = name ? name : "array", .value = lode_from_source(s) };
    const lode_i_output out = { .count = 1, .items = &item, .only = NULL };
    lode_i_begin(ctx, "write");
    const lode_status st = write_output(ctx, path, &out, o);
    lode_i_end(ctx);
    return lode_i_with_losses(ctx, st);
}
