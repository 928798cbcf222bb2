/* PNG files: the one place that calls libpng. It reports errors by longjmp, so every stretch of its
 * calls stands in a function of its own that catches them and returns a status. No times and no
 * program names are written, so equal pictures are equal bytes. */
#include "io/io.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct codec {
    lode_ctx *ctx;
    png_structp png;
    png_infop info;
    bool writes;
    const char *path;
    lode_status st; /* of what failed below libpng */
    char text[160];
    lode_infile *in;
    uint64_t at, size;
    lode_outfile *out; /* or: */
    void *memory;
    size_t used, room;
    uint32_t width, height;
    int channels, bits;
    size_t row; /* bytes of one */
    uint8_t *pending;
    size_t filled;
} codec;

static void on_error(png_structp png, png_const_charp text)
{
    codec *c = png_get_error_ptr(png);
    snprintf(c->text, sizeof c->text, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    codec *c = png_get_mem_ptr(png);
    void *p = NULL;
    const lode_status st = lode_i_alloc(c->ctx, size, &p);
    if (st < 0)
        c->st = st;
    return st < 0 ? NULL : p;
}

static void on_free(png_structp png, png_voidp p)
{
    (void)png;
    lode_i_free(p);
}

/* What went wrong: below libpng, with its own sentence, or in the picture. */
static lode_status failure(codec *c)
{
    if (c->st < 0)
        return c->st;
    return lode_i_fail(c->ctx, c->writes ? LODE_EINTERNAL : LODE_EFORMAT,
                       c->writes ? "%s: encoding a PNG failed: %s" : "%s is a damaged PNG: %s",
                       c->path, c->text);
}

static void release(codec *c)
{
    if (c->writes)
        png_destroy_write_struct(&c->png, &c->info);
    else
        png_destroy_read_struct(&c->png, &c->info, NULL);
    lode_i_free(c->memory);
    lode_i_free(c->pending);
    c->memory = c->pending = NULL;
}

static lode_status create(codec *c)
{
    c->png = c->writes ? png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning,
                                                   c, on_alloc, on_free)
                       : png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c,
                                                  on_alloc, on_free);
    c->info = c->png ? png_create_info_struct(c->png) : NULL;
    if (!c->info)
        return c->st < 0 ? c->st : lode_i_fail(c->ctx, LODE_ENOMEM, "no memory for libpng");
    png_set_user_limits(c->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    return LODE_OK;
}

/* ---- writing ---- */

static void on_write(png_structp png, png_bytep bytes, size_t size)
{
    codec *c = png_get_io_ptr(png);
    if (c->out) {
        c->st = lode_i_outfile_write(c->ctx, c->out, bytes, size);
    } else {
        if (size > c->room - c->used) {
            const size_t room = 2 * c->room + size;
            c->st = lode_i_realloc(c->ctx, room, &c->memory);
            c->room = c->st < 0 ? c->room : room;
        }
        if (c->st >= 0)
            memcpy((uint8_t *)c->memory + c->used, bytes, size), c->used += size;
    }
    if (c->st < 0)
        png_error(png, "writing failed");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static lode_status begin_writing(codec *c)
{
    static const int types[] = { PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                 PNG_COLOR_TYPE_RGB_ALPHA };
    LODE_FORWARD(create(c));
    if (setjmp(png_jmpbuf(c->png)))
        return failure(c);
    png_set_write_fn(c->png, c, on_write, on_flush);
    png_set_IHDR(c->png, c->info, c->width, c->height, c->bits, types[c->channels - 1],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (!c->out) /* a drawing, not data: its colours mean what screens show */
        png_set_sRGB(c->png, c->info, PNG_sRGB_INTENT_PERCEPTUAL);
    png_write_info(c->png, c->info);
    if (c->bits == 16)
        png_set_swap(c->png);
    return LODE_OK;
}

static lode_status write_row(codec *c, const uint8_t *row)
{
    if (setjmp(png_jmpbuf(c->png)))
        return failure(c);
    png_write_row(c->png, row);
    return LODE_OK;
}

static lode_status end_writing(codec *c)
{
    if (setjmp(png_jmpbuf(c->png)))
        return failure(c);
    png_write_end(c->png, NULL);
    return LODE_OK;
}

lode_status lode_i_png(lode_ctx *ctx, int64_t w, int64_t h, bool alpha, const uint8_t *pixels,
                       void **bytes, size_t *size)
{
    lode_status st = LODE_OK;
    codec c = { .ctx = ctx, .writes = true, .path = "picture", .bits = 8 };
    LODE_REQUIRE(w > 0 && h > 0 && w <= 65535 && h <= 1000000, LODE_ESHAPE,
                 "a PNG of %" PRId64 " x %" PRId64
                 " pixels is larger than readers accept; draw fewer panels or "
                 "write .svg",
                 w, h);
    c.width = (uint32_t)w, c.height = (uint32_t)h, c.channels = alpha ? 4 : 3;
    LODE_TRY(begin_writing(&c));
    for (int64_t i = 0; i < h; i++)
        LODE_TRY(write_row(&c, pixels + i * w * c.channels));
    LODE_TRY(end_writing(&c));
    *bytes = c.memory, c.memory = NULL;
    *size = c.used;
done:
    release(&c);
    return st;
}

/* Gathers rows from pieces of any size. */
static lode_status take(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    codec *c = data;
    const uint8_t *p = bytes;
    (void)ctx;
    while (size > 0) {
        const size_t n = c->row - c->filled < size ? c->row - c->filled : size;
        memcpy(c->pending + c->filled, p, n);
        c->filled += n, p += n, size -= n;
        if (c->filled == c->row) {
            LODE_FORWARD(write_row(c, c->pending));
            c->filled = 0;
        }
    }
    return LODE_OK;
}

static lode_status write_png(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    lode_i_picture p = { 0 };
    codec c = { .ctx = ctx, .writes = true, .path = path };
    LODE_TRY(lode_i_choose(ctx, out, "png", &t));
    LODE_TRY(lode_i_picture_form(ctx, &t, "png", 4, &p));
    LODE_REQUIRE(p.width > 0 && p.height > 0 && p.width < INT32_MAX && p.height < INT32_MAX,
                 LODE_ESHAPE,
                 "%s has %" PRId64 " x %" PRId64 " pixels; a PNG has 1 to 2^31-2 a side", t.name,
                 p.height, p.width);
    c.width = (uint32_t)p.width, c.height = (uint32_t)p.height;
    c.channels = p.channels, c.bits = p.wide ? 16 : 8;
    c.row = (size_t)p.width * (size_t)(p.channels << p.wide);
    LODE_TRY(lode_i_alloc(ctx, c.row, (void **)&c.pending));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &c.out));
    LODE_TRY(begin_writing(&c));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, take, &c));
    LODE_TRY(end_writing(&c));
    LODE_TRY(lode_i_outfile_commit(ctx, &c.out));
done:
    release(&c);
    lode_i_outfile_abandon(&c.out);
    return st;
}

/* ---- reading ---- */

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static void on_read(png_structp png, png_bytep bytes, size_t size)
{
    codec *c = png_get_io_ptr(png);
    c->st = lode_i_infile_read(c->ctx, c->in, c->at, bytes, size);
    if (c->st < 0)
        png_error(png, "it breaks off");
    c->at += size;
}

/* Palettes as colours, few bits as 8, what is transparent as a channel. */
static lode_status begin_reading(codec *c)
{
    LODE_FORWARD(create(c));
    if (setjmp(png_jmpbuf(c->png)))
        return failure(c);
    png_set_read_fn(c->png, c, on_read);
    png_read_info(c->png, c->info);
    png_set_expand(c->png);
    png_set_interlace_handling(c->png);
    if (png_get_bit_depth(c->png, c->info) == 16)
        png_set_swap(c->png);
    png_read_update_info(c->png, c->info);
    c->width = png_get_image_width(c->png, c->info);
    c->height = png_get_image_height(c->png, c->info);
    c->channels = png_get_channels(c->png, c->info);
    c->bits = png_get_bit_depth(c->png, c->info);
    c->row = png_get_rowbytes(c->png, c->info);
    return LODE_OK;
}

static lode_status read_rows(codec *c, png_bytepp rows)
{
    if (setjmp(png_jmpbuf(c->png)))
        return failure(c);
    png_read_image(c->png, rows);
    png_read_end(c->png, NULL);
    return LODE_OK;
}

static lode_status open_png(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_member *m = NULL;
    codec c = { .ctx = ctx, .path = f->path, .in = f->in };
    (void)o;
    LODE_TRY(begin_reading(&c));
    /* Deflate shrinks at most 1032 to 1, and a row has fewer bits in the file than here. */
    LODE_REQUIRE((double)c.row * c.height / 24 <= 1032.0 * (double)lode_i_infile_size(f->in),
                 LODE_EFORMAT, "%s claims %u x %u pixels, more than its %" PRIu64 " bytes can hold",
                 f->path, (unsigned)c.width, (unsigned)c.height, lode_i_infile_size(f->in));
    LODE_TRY(lode_i_member_add(ctx, f, "image", 5, &m));
    m->dtype = c.bits == 16 ? LODE_U16 : LODE_U8;
    m->ndim = c.channels == 1 ? 2 : 3;
    m->shape[0] = c.height, m->shape[1] = c.width, m->shape[2] = c.channels;
    m->in = lode_i_infile_ref(f->in);
done:
    release(&c);
    return st;
}

static lode_status load_png(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            lode_array *out, lode_sparse *s)
{
    lode_status st = LODE_OK;
    codec c = { .ctx = ctx, .path = f->path, .in = f->in };
    lode_array a = { 0 };
    png_bytepp rows = NULL;
    (void)s;
    LODE_TRY(begin_reading(&c));
    LODE_TRY(lode_array_new(ctx, m->dtype, m->ndim, m->shape, &a));
    LODE_TRY(LODE_NEW(ctx, m->shape[0], &rows));
    for (int64_t i = 0; i < m->shape[0]; i++)
        rows[i] = (png_bytep)a.data + (size_t)i * c.row;
    LODE_REQUIRE(c.row * c.height == lode_array_bytes(&a), LODE_EIO, "%s changed while it was read",
                 f->path);
    LODE_TRY(read_rows(&c, rows));
    lode_array_swap(out, &a);
done:
    release(&c);
    lode_i_free(rows);
    lode_array_free(&a);
    return st;
}

const lode_i_format lode_i_format_png = {
    .name = "png",
    .suffixes = ".png",
    .sniff = sniff,
    .open = open_png,
    .load = load_png,
    .write = write_png,
};
