/* Portable grey and colour maps: PGM and PPM, binary (P5, P6), read where they lie, and as words
 * (P2, P3). Values up to 255 are u8, up to 65535 u16 in big-endian order. Also what pictures of any
 * format are made of: h x w, or h x w x channels. */
#include "io/text.h"

#include <string.h>

lode_status lode_i_picture_form(lode_ctx *ctx, const lode_i_tensor *t, const char *format,
                                int channels, lode_i_picture *p)
{
    const bool flat = t->ndim == 2, deep = t->ndim == 3 && t->shape[2] <= channels;
    const bool fits = flat || (deep && (t->shape[2] == 3 || t->shape[2] == 1 ||
                                        (channels == 4 && t->shape[2] >= 1)));
    if (!fits) {
        char shape[200];
        lode_i_print_shape(t->ndim, t->shape, shape, sizeof shape);
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%s is %s, and %s holds height x width, or height x width x %s; write "
                           ".npy, or give a slice",
                           t->name, shape, format, channels == 4 ? "1 to 4" : "3");
    }
    if (t->dtype != LODE_U8 && t->dtype != LODE_U16)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s is %s, and %s holds u8 and u16; give --dtype u8 or u16 to convert, "
                           "which rounds and does not scale, or write .npy",
                           t->name, lode_dtype_name(t->dtype), format);
    *p = (lode_i_picture){ .height = t->shape[0],
                           .width = t->shape[1],
                           .channels = flat ? 1 : (int)t->shape[2],
                           .wide = t->dtype == LODE_U16 };
    return LODE_OK;
}

/* ---- reading ---- */

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 3 && head[0] == 'P' && strchr("2356", head[1]) && head[1] &&
           strchr(" \t\r\n#", head[2]) && head[2];
}

/* Words of the file, one after the other; comments run from # to the end of the line. */
typedef struct words {
    lode_infile *in;
    unsigned char *buffer; /* PIECE bytes */
    uint64_t at, from, to; /* of the file: next byte, bytes in the buffer */
} words;
enum { PIECE = 1 << 16 };

/* The byte at w->at; -1: the end. */
static lode_status peek(lode_ctx *ctx, words *w, int *c)
{
    const uint64_t size = lode_i_infile_size(w->in);
    if (w->at >= w->to) {
        const size_t n = size - w->at < PIECE ? (size_t)(size - w->at) : PIECE;
        LODE_FORWARD(lode_i_infile_read(ctx, w->in, w->at, w->buffer, n));
        LODE_FORWARD(lode_i_cancelled(ctx));
        w->from = w->at, w->to = w->at + n;
    }
    *c = w->at < size ? w->buffer[w->at - w->from] : -1;
    return LODE_OK;
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static lode_status next_number(lode_ctx *ctx, words *w, const char *what, int64_t most, int64_t *v)
{
    int c = 0;
    for (bool comment = false;; w->at++) {
        LODE_FORWARD(peek(ctx, w, &c));
        comment = c == '#' || (comment && c != '\n' && c != -1);
        if (!comment && !is_space(c))
            break;
    }
    const uint64_t begin = w->at;
    for (*v = 0; c >= '0' && c <= '9' && *v <= most;) {
        *v = 10 * *v + (c - '0');
        w->at++;
        LODE_FORWARD(peek(ctx, w, &c));
    }
    if (w->at == begin || *v > most || (c != -1 && !is_space(c)))
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: at byte %" PRIu64 " stands no %s from 0 to %" PRId64,
                           lode_i_infile_path(w->in), begin, what, most);
    return LODE_OK;
}

/* P2 and P3: all values, as a file in memory. */
static lode_status read_words(lode_ctx *ctx, words *w, int64_t most, lode_i_member *m)
{
    lode_status st = LODE_OK;
    void *values = NULL;
    int64_t v = 0;
    const int64_t count = (int64_t)m->bytes / (int64_t)lode_dtype_size(m->dtype);
    LODE_REQUIRE((uint64_t)count <= lode_i_infile_size(w->in) / 2 + 1, LODE_EFORMAT,
                 "%s announces %" PRId64 " values, more than it has room for",
                 lode_i_infile_path(w->in), count);
    LODE_TRY(lode_i_alloc(ctx, (size_t)m->bytes, &values));
    for (int64_t i = 0; i < count; i++) {
        LODE_TRY(next_number(ctx, w, "value", most, &v));
        if (m->dtype == LODE_U8)
            ((uint8_t *)values)[i] = (uint8_t)v;
        else
            ((uint16_t *)values)[i] = (uint16_t)v;
    }
    LODE_TRY(lode_i_infile_memory(ctx, lode_i_infile_path(w->in), &values, m->bytes, &m->in));
done:
    lode_i_free(values);
    return st;
}

static lode_status open_pnm(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_i_member *m = NULL;
    words w = { .in = f->in };
    unsigned char magic[3];
    int64_t most = 0;
    int c = 0;
    (void)o;
    LODE_REQUIRE(lode_i_infile_size(f->in) >= 3, LODE_EFORMAT, "%s is too short for a picture",
                 f->path);
    LODE_TRY(lode_i_infile_read(ctx, f->in, 0, magic, 3));
    LODE_REQUIRE(
        sniff(magic, 3), LODE_EFORMAT,
        "%s begins with none of P2, P3, P5, P6; of portable maps, grey and colour ones are "
        "read",
        f->path);
    const bool text = magic[1] < '5', colour = magic[1] == '3' || magic[1] == '6';
    LODE_TRY(lode_i_alloc(ctx, PIECE, (void **)&w.buffer));
    w.at = 2;
    LODE_TRY(lode_i_member_add(ctx, f, "image", 5, &m));
    LODE_TRY(next_number(ctx, &w, "width", INT32_MAX, &m->shape[1]));
    LODE_TRY(next_number(ctx, &w, "height", INT32_MAX, &m->shape[0]));
    LODE_TRY(next_number(ctx, &w, "largest value", 65535, &most));
    LODE_REQUIRE(most > 0, LODE_EFORMAT, "%s gives 0 as its largest value", f->path);
    m->dtype = most > 255 ? LODE_U16 : LODE_U8;
    m->ndim = colour ? 3 : 2, m->shape[2] = 3;
    LODE_TRY(lode_i_shape_bytes(ctx, f->path, m->dtype, m->ndim, m->shape, &m->bytes));
    if (text) {
        LODE_TRY(read_words(ctx, &w, most, m));
        goto done;
    }
    LODE_TRY(peek(ctx, &w, &c));
    LODE_REQUIRE(is_space(c), LODE_EFORMAT, "%s breaks off behind its header", f->path);
    m->offset = w.at + 1;
    m->swapped = m->dtype == LODE_U16;
    LODE_REQUIRE(m->bytes == lode_i_infile_size(f->in) - m->offset, LODE_EFORMAT,
                 "%s has %" PRIu64 " bytes of pixels, and %" PRId64 " x %" PRId64 " take %" PRIu64,
                 f->path, lode_i_infile_size(f->in) - m->offset, m->shape[0], m->shape[1],
                 m->bytes);
    m->in = lode_i_infile_ref(f->in);
done:
    lode_i_free(w.buffer);
    return st;
}

/* ---- writing ---- */

static lode_status put(lode_ctx *ctx, void *data, const void *bytes, size_t size)
{
    lode_outfile *file = data;
    const unsigned char *p = bytes;
    unsigned char swapped[4096];
    for (size_t n; size > 0; p += n, size -= n) {
        n = size < sizeof swapped ? size : sizeof swapped;
        for (size_t i = 0; i + 1 < n; i += 2)
            swapped[i] = p[i + 1], swapped[i + 1] = p[i];
        LODE_FORWARD(lode_i_outfile_write(ctx, file, swapped, n));
    }
    return LODE_OK;
}

static lode_status write_pnm(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensor t = { 0 };
    lode_i_picture p = { 0 };
    lode_outfile *file = NULL;
    char head[80];
    LODE_TRY(lode_i_choose(ctx, out, "pnm", &t));
    LODE_TRY(lode_i_picture_form(ctx, &t, "pnm", 3, &p));
    LODE_REQUIRE(p.width <= INT32_MAX && p.height <= INT32_MAX, LODE_ESHAPE,
                 "%s has %" PRId64 " x %" PRId64 " pixels; at most 2^31-1 a side are written",
                 t.name, p.height, p.width);
    const int n = snprintf(head, sizeof head, "P%c\n%" PRId64 " %" PRId64 "\n%d\n",
                           p.channels == 3 ? '6' : '5', p.width, p.height, p.wide ? 65535 : 255);
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, head, (size_t)n));
    LODE_TRY(lode_i_tensor_emit(ctx, &t, p.wide ? put : lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    return st;
}

const lode_i_format lode_i_format_pnm = {
    .name = "pnm",
    .suffixes = ".pgm .ppm .pnm",
    .sniff = sniff,
    .open = open_pnm,
    .write = write_pnm,
};
