/* Writing zip archives of stored entries: sizes are known before, CRCs are filled in after. */
#include "io/io.h"

#include <string.h>

enum { LOCAL = 30, EXTRA64 = 20 };
/* 1 January 1980, the first day that a zip can name: files depend on their contents only. */
enum { DOS_DATE = 0x21 };

static lode_status put(lode_ctx *ctx, lode_text *t, int bytes, uint64_t v)
{
    char b[8];
    lode_i_store(b, v, bytes);
    return lode_i_text_bytes(ctx, t, b, (size_t)bytes);
}

/* Size and packed size always lie in zip64 fields when they do not fit 32 bits. */
static lode_status local_header(lode_ctx *ctx, const lode_i_zip_writer *w, lode_text *t)
{
    const bool wide = w->size >= w->limit;
    LODE_FORWARD(put(ctx, t, 4, 0x04034b50));
    LODE_FORWARD(put(ctx, t, 2, wide ? 45 : 20));
    LODE_FORWARD(put(ctx, t, 2, 0x800)); /* names are UTF-8 */
    LODE_FORWARD(put(ctx, t, 4, 0));     /* stored; time */
    LODE_FORWARD(put(ctx, t, 2, DOS_DATE));
    LODE_FORWARD(put(ctx, t, 4, w->crc));
    LODE_FORWARD(put(ctx, t, 4, wide ? UINT32_MAX : w->size));
    LODE_FORWARD(put(ctx, t, 4, wide ? UINT32_MAX : w->size));
    LODE_FORWARD(put(ctx, t, 2, strlen(w->name)));
    LODE_FORWARD(put(ctx, t, 2, wide ? EXTRA64 : 0));
    LODE_FORWARD(lode_i_text_bytes(ctx, t, w->name, strlen(w->name)));
    if (!wide)
        return LODE_OK;
    LODE_FORWARD(put(ctx, t, 2, 1));
    LODE_FORWARD(put(ctx, t, 2, 16));
    LODE_FORWARD(put(ctx, t, 8, w->size));
    return put(ctx, t, 8, w->size);
}

lode_status lode_i_zip_begin(lode_ctx *ctx, lode_i_zip_writer *w, const char *name, uint64_t size)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    LODE_REQUIRE(strlen(name) < UINT16_MAX, LODE_EUSAGE,
                 "a member name of %zu bytes is too long for a zip archive", strlen(name));
    lode_i_free(w->name);
    w->name = NULL;
    LODE_TRY(lode_i_strdup(ctx, name, &w->name));
    w->start = lode_i_outfile_tell(w->out);
    w->size = size, w->written = 0, w->crc = 0;
    LODE_TRY(local_header(ctx, w, &t));
    LODE_TRY(lode_i_outfile_write(ctx, w->out, t.text, t.size));
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_zip_sink(lode_ctx *ctx, void *writer, const void *bytes, size_t size)
{
    lode_i_zip_writer *w = writer;
    w->crc = lode_i_crc32(w->crc, bytes, size);
    w->written += size;
    return lode_i_outfile_write(ctx, w->out, bytes, size);
}

lode_status lode_i_zip_end(lode_ctx *ctx, lode_i_zip_writer *w)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 }, *const c = &w->central;
    const bool wide = w->size >= w->limit, far = w->start >= w->limit;
    LODE_REQUIRE(w->written == w->size, LODE_EINTERNAL,
                 "%s: %" PRIu64 " bytes written, %" PRIu64 " announced", w->name, w->written,
                 w->size);
    LODE_TRY(local_header(ctx, w, &t));
    LODE_TRY(lode_i_outfile_pwrite(ctx, w->out, w->start, t.text, t.size));
    LODE_TRY(put(ctx, c, 4, 0x02014b50));
    LODE_TRY(put(ctx, c, 2, 45));
    LODE_TRY(put(ctx, c, 2, wide || far ? 45 : 20));
    LODE_TRY(put(ctx, c, 2, 0x800));
    LODE_TRY(put(ctx, c, 4, 0));
    LODE_TRY(put(ctx, c, 2, DOS_DATE));
    LODE_TRY(put(ctx, c, 4, w->crc));
    LODE_TRY(put(ctx, c, 4, wide ? UINT32_MAX : w->size));
    LODE_TRY(put(ctx, c, 4, wide ? UINT32_MAX : w->size));
    LODE_TRY(put(ctx, c, 2, strlen(w->name)));
    const uint64_t extra = (wide ? 16U : 0U) + (far ? 8U : 0U);
    LODE_TRY(put(ctx, c, 2, extra ? extra + 4 : 0));
    LODE_TRY(put(ctx, c, 4, 0)); /* comment, disk */
    LODE_TRY(put(ctx, c, 2, 0)); /* internal attributes */
    LODE_TRY(put(ctx, c, 4, 0)); /* external attributes */
    LODE_TRY(put(ctx, c, 4, far ? UINT32_MAX : w->start));
    LODE_TRY(lode_i_text_bytes(ctx, c, w->name, strlen(w->name)));
    if (extra) {
        LODE_TRY(put(ctx, c, 2, 1));
        LODE_TRY(put(ctx, c, 2, extra));
        if (wide) {
            LODE_TRY(put(ctx, c, 8, w->size));
            LODE_TRY(put(ctx, c, 8, w->size));
        }
        if (far)
            LODE_TRY(put(ctx, c, 8, w->start));
    }
    w->count++;
done:
    lode_i_text_free(&t);
    return st;
}

lode_status lode_i_zip_finish(lode_ctx *ctx, lode_i_zip_writer *w)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    const uint64_t at = lode_i_outfile_tell(w->out), size = w->central.size,
                   count = (uint64_t)w->count;
    const bool wide = at >= w->limit || size >= w->limit || count >= UINT16_MAX;
    if (size)
        LODE_TRY(lode_i_outfile_write(ctx, w->out, w->central.text, size));
    if (wide) {
        LODE_TRY(put(ctx, &t, 4, 0x06064b50));
        LODE_TRY(put(ctx, &t, 8, 44));
        LODE_TRY(put(ctx, &t, 2, 45));
        LODE_TRY(put(ctx, &t, 2, 45));
        LODE_TRY(put(ctx, &t, 8, 0)); /* disks */
        LODE_TRY(put(ctx, &t, 8, count));
        LODE_TRY(put(ctx, &t, 8, count));
        LODE_TRY(put(ctx, &t, 8, size));
        LODE_TRY(put(ctx, &t, 8, at));
        LODE_TRY(put(ctx, &t, 4, 0x07064b50));
        LODE_TRY(put(ctx, &t, 4, 0));
        LODE_TRY(put(ctx, &t, 8, at + size));
        LODE_TRY(put(ctx, &t, 4, 1));
    }
    LODE_TRY(put(ctx, &t, 4, 0x06054b50));
    LODE_TRY(put(ctx, &t, 4, 0));
    LODE_TRY(put(ctx, &t, 2, wide ? UINT16_MAX : count));
    LODE_TRY(put(ctx, &t, 2, wide ? UINT16_MAX : count));
    LODE_TRY(put(ctx, &t, 4, wide ? UINT32_MAX : size));
    LODE_TRY(put(ctx, &t, 4, wide ? UINT32_MAX : at));
    LODE_TRY(put(ctx, &t, 2, 0));
    LODE_TRY(lode_i_outfile_write(ctx, w->out, t.text, t.size));
done:
    lode_i_text_free(&t);
    return st;
}

void lode_i_zip_writer_free(lode_i_zip_writer *w)
{
    lode_i_free(w->name);
    lode_i_text_free(&w->central);
    w->name = NULL;
}
