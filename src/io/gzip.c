/* gzip files and zlib streams: read into memory or scratch, so that every format reads them by
 * position; written as text formats make them. */
#include "io/io.h"

#include <string.h>
#include <zlib.h>

enum { PIECE = 1 << 18 };

/* ---- reading ---- */

/* What has been inflated: in memory until that is much, then in a scratch file if there may be one. */
typedef struct spool {
    char *memory;
    size_t room;
    uint64_t size, keep; /* bytes that stay in memory */
    lode_outfile *file;
    lode_infile *reader;
} spool;

static lode_status spill(lode_ctx *ctx, spool *s)
{
    LODE_FORWARD(lode_i_scratch_open(ctx, &s->file, &s->reader));
    LODE_FORWARD(lode_i_outfile_write(ctx, s->file, s->memory, (size_t)s->size));
    lode_i_free(s->memory);
    s->memory = NULL;
    return LODE_OK;
}

static lode_status keep(lode_ctx *ctx, spool *s, const char *name, const void *bytes, size_t size)
{
    if (!s->file && ctx->scratch && s->size + size > s->keep)
        LODE_FORWARD(spill(ctx, s));
    if (s->file) {
        s->size += size;
        return lode_i_outfile_write(ctx, s->file, bytes, size);
    }
    if (size > s->room - s->size) {
        const size_t room = 2 * s->room + size;
        void *p = s->memory;
        const lode_status st = lode_i_realloc(ctx, room, &p);
        if (st < 0) {
            lode_i_prefix(ctx,
                          "%s is inflated into memory (into a file with --scratch DIR): ", name);
            return st;
        }
        s->memory = p, s->room = room;
    }
    if (size > 0)
        memcpy(s->memory + s->size, bytes, size);
    s->size += size;
    return LODE_OK;
}

static bool zeros(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i])
            return false;
    return true;
}

lode_status lode_i_unwrap(lode_ctx *ctx, lode_infile *in, lode_i_zwrap wrap, uint64_t offset,
                          uint64_t packed, uint64_t most, lode_infile **out)
{
    lode_status st = LODE_OK;
    z_stream z = { .zalloc = lode_i_zlib_alloc, .zfree = lode_i_zlib_free, .opaque = ctx };
    unsigned char *input = NULL, *output = NULL;
    const char *name = lode_i_infile_path(in);
    spool s = { .keep = lode_i_memory_left(ctx) / 4 };
    uint64_t read = 0;
    bool started = false, ended = false;
    void *memory = NULL;

    LODE_TRY(lode_i_alloc(ctx, PIECE, (void **)&input));
    LODE_TRY(lode_i_alloc(ctx, PIECE, (void **)&output));
    started = inflateInit2(&z, wrap == LODE_I_GZIP ? MAX_WBITS + 16 : MAX_WBITS) == Z_OK;
    LODE_REQUIRE(started, LODE_ENOMEM, "no memory to inflate %s", name);
    while (s.size < most) {
        if (z.avail_in == 0 && read < packed) {
            const size_t n = packed - read < PIECE ? (size_t)(packed - read) : PIECE;
            LODE_TRY(lode_i_infile_read(ctx, in, offset + read, input, n));
            LODE_TRY(lode_i_cancelled(ctx));
            z.next_in = input, z.avail_in = (uInt)n;
            read += n;
        }
        if (ended) { /* another member, padding, or nothing */
            if (z.avail_in == 0 || wrap == LODE_I_ZLIB)
                break;
            if (zeros(z.next_in, z.avail_in)) {
                z.avail_in = 0;
                continue;
            }
            LODE_REQUIRE(*z.next_in == 0x1f && inflateReset(&z) == Z_OK, LODE_EFORMAT,
                         "%s has %" PRIu64 " bytes after its end that are not gzip", name,
                         packed - read + z.avail_in);
        }
        const uint64_t room = most - s.size < PIECE ? most - s.size : PIECE;
        z.next_out = output, z.avail_out = (uInt)room;
        const int rc = inflate(&z, Z_NO_FLUSH);
        LODE_REQUIRE(rc != Z_MEM_ERROR, LODE_ENOMEM, "no memory to inflate %s", name);
        LODE_REQUIRE(rc == Z_OK || rc == Z_STREAM_END || (rc == Z_BUF_ERROR && z.avail_out < room),
                     LODE_EFORMAT,
                     "%s is damaged: its deflated bytes break off or are none, near byte %" PRIu64,
                     name, offset + read - z.avail_in);
        ended = rc == Z_STREAM_END;
        LODE_TRY(keep(ctx, &s, name, output, (size_t)room - z.avail_out));
    }
    if (s.file) {
        *out = s.reader;
        s.reader = NULL;
    } else {
        LODE_TRY(keep(ctx, &s, name, NULL, 0));
        memory = s.memory, s.memory = NULL;
        LODE_TRY(lode_i_infile_memory(ctx, name, &memory, s.size, out));
    }
done:
    if (started)
        inflateEnd(&z);
    lode_i_outfile_abandon(&s.file);
    lode_i_infile_close(s.reader);
    lode_i_free(s.memory);
    lode_i_free(memory);
    lode_i_free(input);
    lode_i_free(output);
    return st;
}

/* ---- writing ---- */

lode_status lode_i_gzout_over(lode_ctx *ctx, lode_outfile *file, lode_i_zwrap wrap, lode_i_gzout *s)
{
    lode_status st = LODE_OK;
    z_stream *z = NULL;
    s->file = file;
    LODE_TRY(lode_i_calloc(ctx, sizeof *z, (void **)&z));
    LODE_TRY(lode_i_alloc(ctx, PIECE, (void **)&s->buffer));
    z->zalloc = lode_i_zlib_alloc, z->zfree = lode_i_zlib_free, z->opaque = ctx;
    LODE_REQUIRE(deflateInit2(z, 6, Z_DEFLATED, MAX_WBITS + (wrap == LODE_I_GZIP ? 16 : 0), 8,
                              Z_DEFAULT_STRATEGY) == Z_OK,
                 LODE_ENOMEM, "no memory to deflate");
    s->deflate = z;
    z = NULL;
done:
    lode_i_free(z);
    return st;
}

lode_status lode_i_gzout_open(lode_ctx *ctx, const char *path, bool force, lode_i_gzout *s)
{
    LODE_FORWARD(lode_i_outfile_open(ctx, path, force, &s->file));
    return lode_i_has_suffix(path, ".gz") ? lode_i_gzout_over(ctx, s->file, LODE_I_GZIP, s)
                                          : LODE_OK;
}

static lode_status push(lode_ctx *ctx, lode_i_gzout *s, const void *bytes, size_t size, int flush)
{
    z_stream *z = s->deflate;
    z->next_in = (unsigned char *)(uintptr_t)bytes;
    do {
        const size_t n = size < PIECE ? size : PIECE;
        z->avail_in = (uInt)n;
        size -= n;
        do {
            z->next_out = s->buffer, z->avail_out = PIECE;
            deflate(z, size ? Z_NO_FLUSH : flush); /* it fails on wrong use only */
            LODE_FORWARD(lode_i_outfile_write(ctx, s->file, s->buffer, PIECE - z->avail_out));
        } while (z->avail_out == 0);
        LODE_FORWARD(lode_i_cancelled(ctx));
    } while (size > 0);
    return LODE_OK;
}

lode_status lode_i_gzout_write(lode_ctx *ctx, lode_i_gzout *s, const void *bytes, size_t size)
{
    if (!s->deflate)
        return lode_i_outfile_write(ctx, s->file, bytes, size);
    return size ? push(ctx, s, bytes, size, Z_NO_FLUSH) : LODE_OK;
}

lode_status lode_i_gzout_finish(lode_ctx *ctx, lode_i_gzout *s)
{
    return s->deflate ? push(ctx, s, NULL, 0, Z_FINISH) : LODE_OK;
}

lode_status lode_i_gzout_commit(lode_ctx *ctx, lode_i_gzout *s)
{
    LODE_FORWARD(lode_i_gzout_finish(ctx, s));
    return lode_i_outfile_commit(ctx, &s->file);
}

void lode_i_gzout_abandon(lode_i_gzout *s)
{
    lode_i_outfile_abandon(&s->file);
    if (s->deflate)
        deflateEnd(s->deflate);
    lode_i_free(s->deflate);
    lode_i_free(s->buffer);
    *s = (lode_i_gzout){ 0 };
}
