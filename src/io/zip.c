/* Reading zip archives: the central directory with its zip64 fields, and inflating entries. Sizes
 * and places are checked against the file before they are believed. */
#include "io/io.h"

#include <string.h>
#include <zlib.h>

enum { TAIL = 22, TAIL64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, COMMENT_MAX = 65535 };

static uint16_t get16(const unsigned char *p)
{
    return (uint16_t)lode_i_load(p, 2);
}
static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)lode_i_load(p, 4);
}
static uint64_t get64(const unsigned char *p)
{
    return lode_i_load(p, 8);
}

uint32_t lode_i_crc32(uint32_t crc, const void *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc, bytes, size);
}

void lode_i_zip_free(lode_i_zip *zip)
{
    for (int64_t i = 0; i < zip->count; i++)
        lode_i_free(zip->at[i].name);
    lode_i_free(zip->at);
    *zip = (lode_i_zip){ 0 };
}

static lode_status damaged(lode_ctx *ctx, lode_infile *in, const char *why)
{
    return lode_i_fail(ctx, LODE_EFORMAT, "%s is a damaged zip archive: %s", lode_i_infile_path(in),
                       why);
}

/* Where the central directory lies and how many entries it has. */
static lode_status find_directory(lode_ctx *ctx, lode_infile *in, uint64_t *at, uint64_t *size,
                                  uint64_t *count)
{
    lode_status st = LODE_OK;
    const uint64_t total = lode_i_infile_size(in);
    const size_t n = total < TAIL + COMMENT_MAX ? (size_t)total : TAIL + COMMENT_MAX;
    unsigned char *tail = NULL, far[TAIL64];
    if (total < TAIL)
        return damaged(ctx, in, "it is shorter than any");
    LODE_TRY(lode_i_alloc(ctx, n, (void **)&tail));
    LODE_TRY(lode_i_infile_read(ctx, in, total - n, tail, n));
    size_t i = n - TAIL + 1;
    while (i-- > 0)
        if (get32(tail + i) == 0x06054b50 && i + TAIL + get16(tail + i + 20) == n)
            break;
    if (i == SIZE_MAX) {
        st = damaged(ctx, in,
                     "its end record is missing, so the file is cut off or has something after it");
        goto done;
    }
    const unsigned char *e = tail + i;
    const uint64_t end = total - n + i;
    *count = get16(e + 10), *size = get32(e + 12), *at = get32(e + 16);
    uint64_t limit = end;
    if (end >= LOCATOR) {
        LODE_TRY(lode_i_infile_read(ctx, in, end - LOCATOR, far, LOCATOR));
        if (get32(far) == 0x07064b50) {
            const uint64_t where = get64(far + 8);
            if (where > end - LOCATOR || end - LOCATOR - where < TAIL64) {
                st = damaged(ctx, in, "its zip64 end record lies outside it");
                goto done;
            }
            LODE_TRY(lode_i_infile_read(ctx, in, where, far, TAIL64));
            if (get32(far) != 0x06064b50) {
                st = damaged(ctx, in, "its zip64 end record is not where it says");
                goto done;
            }
            *count = get64(far + 32), *size = get64(far + 40), *at = get64(far + 48);
            limit = where;
        }
    }
    if (*at > limit || *size > limit - *at || *count > *size / CENTRAL)
        st = damaged(ctx, in, "its directory does not fit in it");
done:
    lode_i_free(tail);
    return st;
}

/* The zip64 extra field holds, in this order, those of size, packed size, offset that were all
 * ones. */
static bool wide_fields(const unsigned char *extra, size_t size, uint64_t *full, uint64_t *packed,
                        uint64_t *offset)
{
    uint64_t *const wide[3] = { full, packed, offset };
    bool need = false;
    for (int k = 0; k < 3; k++)
        need = need || (wide[k] && *wide[k] == UINT32_MAX);
    for (size_t i = 0; need && i + 4 <= size; i += 4 + (size_t)get16(extra + i + 2)) {
        if (get16(extra + i) != 1)
            continue;
        size_t at = i + 4, end = at + get16(extra + i + 2);
        if (end > size)
            return false;
        for (int k = 0; k < 3; k++)
            if (wide[k] && *wide[k] == UINT32_MAX) {
                if (at + 8 > end)
                    return false;
                *wide[k] = get64(extra + at);
                at += 8;
            }
        return true;
    }
    return true; /* sizes of exactly 2^32 - 1 need no field */
}

/* Checks the entry's own header, which says where its data begins. */
static lode_status locate(lode_ctx *ctx, lode_infile *in, uint64_t directory, lode_i_zip_entry *e)
{
    unsigned char local[LOCAL];
    if (e->offset > directory || directory - e->offset < LOCAL)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: entry %s lies outside the archive, at byte %" PRIu64,
                           lode_i_infile_path(in), e->name, e->offset);
    LODE_FORWARD(lode_i_infile_read(ctx, in, e->offset, local, LOCAL));
    const uint64_t head = LOCAL + (uint64_t)get16(local + 26) + get16(local + 28);
    if (get32(local) != 0x04034b50 || get16(local + 8) != e->method)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: entry %s does not begin at byte %" PRIu64
                           ", where the directory says",
                           lode_i_infile_path(in), e->name, e->offset);
    if (head > directory - e->offset || e->packed > directory - e->offset - head)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: entry %s of %" PRIu64 " bytes does not fit in the archive",
                           lode_i_infile_path(in), e->name, e->packed);
    e->offset += head;
    return LODE_OK;
}

lode_status lode_i_zip_list(lode_ctx *ctx, lode_infile *in, lode_i_zip *zip)
{
    lode_status st = LODE_OK;
    uint64_t at = 0, size = 0, count = 0, total = 0;
    unsigned char *all = NULL;
    LODE_TRY(find_directory(ctx, in, &at, &size, &count));
    LODE_TRY(lode_i_alloc(ctx, (size_t)size, (void **)&all));
    LODE_TRY(lode_i_infile_read(ctx, in, at, all, (size_t)size));
    LODE_TRY(lode_i_calloc(ctx, (size_t)count * sizeof *zip->at + 1, (void **)&zip->at));
    const unsigned char *p = all;
    for (uint64_t i = 0; i < count; i++) {
        const size_t left = (size_t)size - (size_t)(p - all);
        if (left < CENTRAL || get32(p) != 0x02014b50) {
            st = damaged(ctx, in, "its directory breaks off");
            goto done;
        }
        const size_t name = get16(p + 28), extra = get16(p + 30),
                     whole = CENTRAL + name + extra + get16(p + 32);
        if (whole > left) {
            st = damaged(ctx, in, "its directory breaks off");
            goto done;
        }
        lode_i_zip_entry *e = &zip->at[zip->count];
        e->method = get16(p + 10), e->crc = get32(p + 16);
        e->packed = get32(p + 20), e->size = get32(p + 24), e->offset = get32(p + 42);
        LODE_TRY(lode_i_alloc(ctx, name + 1, (void **)&e->name));
        zip->count++;
        memcpy(e->name, p + CENTRAL, name);
        e->name[name] = '\0';
        LODE_REQUIRE(strlen(e->name) == name, LODE_EFORMAT,
                     "%s: the name of entry %" PRIu64 " holds a zero byte", lode_i_infile_path(in),
                     i);
        LODE_REQUIRE(wide_fields(p + CENTRAL + name, extra, &e->size, &e->packed, &e->offset),
                     LODE_EFORMAT, "%s: entry %s has a damaged zip64 field", lode_i_infile_path(in),
                     e->name);
        LODE_REQUIRE(!(get16(p + 8) & 1), LODE_EUNSUPPORTED, "%s: entry %s is encrypted",
                     lode_i_infile_path(in), e->name);
        LODE_REQUIRE(e->method == 0 || e->method == 8, LODE_EUNSUPPORTED,
                     "%s: entry %s is packed by method %d; stored (0) and deflate (8) are read",
                     lode_i_infile_path(in), e->name, e->method);
        LODE_TRY(locate(ctx, in, at, e));
        LODE_REQUIRE(e->method != 0 || e->size == e->packed, LODE_EFORMAT,
                     "%s: stored entry %s has %" PRIu64 " bytes and claims %" PRIu64,
                     lode_i_infile_path(in), e->name, e->packed, e->size);
        /* Deflate shrinks at most 1032 to 1. */
        LODE_REQUIRE(e->size / 1032 <= e->packed, LODE_EFORMAT,
                     "%s: entry %s claims %" PRIu64 " bytes from %" PRIu64
                     ", more than deflate can do",
                     lode_i_infile_path(in), e->name, e->size, e->packed);
        LODE_REQUIRE(total <= at - e->packed, LODE_EFORMAT, "%s: its entries overlap",
                     lode_i_infile_path(in));
        total += e->packed;
        p += whole;
    }
done:
    lode_i_free(all);
    return st;
}

void *lode_i_zlib_alloc(void *ctx, unsigned items, unsigned size)
{
    void *p = NULL;
    return lode_i_alloc(ctx, (size_t)items * size, &p) < 0 ? NULL : p;
}
void lode_i_zlib_free(void *ctx, void *p)
{
    (void)ctx;
    lode_i_free(p);
}

lode_status lode_i_zip_inflate(lode_ctx *ctx, lode_infile *in, const char *what, uint64_t offset,
                               uint64_t packed, uint64_t skip, uint64_t want, bool whole,
                               void **bytes, uint32_t *crc)
{
    enum { INPUT = 1 << 16 };
    lode_status st = LODE_OK;
    z_stream z = { .zalloc = lode_i_zlib_alloc, .zfree = lode_i_zlib_free, .opaque = ctx };
    unsigned char *input = NULL, past[1024];
    void *out = NULL;
    uint64_t capacity = want < 1 << 20 ? want : 1 << 20, have = 0, skipped = 0, read = 0;
    bool started = false, ended = false;

    *crc = 0;
    LODE_TRY(lode_i_alloc(ctx, INPUT, (void **)&input));
    LODE_TRY(lode_i_alloc(ctx, (size_t)capacity + 1, &out));
    started = inflateInit2(&z, -MAX_WBITS) == Z_OK;
    LODE_REQUIRE(started, LODE_ENOMEM, "no memory to inflate %s", what);
    for (;;) {
        /* Room: the part to skip, then the values, then a little, to see that nothing follows. */
        unsigned char *to = past;
        uint64_t room = sizeof past;
        if (skipped < skip) {
            room = skip - skipped < room ? skip - skipped : room;
        } else if (have < want) {
            if (have == capacity) {
                capacity = want - capacity < capacity
                               ? want
                               : 2 * capacity; /* grows as it fills: sizes may lie */
                LODE_TRY(lode_i_realloc(ctx, (size_t)capacity + 1, &out));
            }
            to = (unsigned char *)out + have;
            room = capacity - have < 1 << 20 ? capacity - have : 1 << 20;
            LODE_TRY(lode_i_cancelled(ctx));
        } else if (!whole || ended) {
            break;
        }
        if (z.avail_in == 0 && read < packed) {
            const size_t n = packed - read < INPUT ? (size_t)(packed - read) : INPUT;
            LODE_TRY(lode_i_infile_read(ctx, in, offset + read, input, n));
            z.next_in = input, z.avail_in = (uInt)n;
            read += n;
        }
        z.next_out = to, z.avail_out = (uInt)room;
        const int rc = inflate(&z, Z_NO_FLUSH);
        const uint64_t got = room - z.avail_out;
        LODE_REQUIRE(rc == Z_OK || rc == Z_STREAM_END || (rc == Z_BUF_ERROR && got > 0) ||
                         rc == Z_MEM_ERROR,
                     LODE_EFORMAT,
                     "%s is damaged: its deflated bytes break off or are none, near byte %" PRIu64
                     " of the file",
                     what, offset + read - z.avail_in);
        LODE_REQUIRE(rc != Z_MEM_ERROR, LODE_ENOMEM, "no memory to inflate %s", what);
        *crc = lode_i_crc32(*crc, to, (size_t)got);
        LODE_REQUIRE(to != past || skipped < skip || got == 0, LODE_EFORMAT,
                     "%s inflates to more than the %" PRIu64 " bytes it claims", what, skip + want);
        if (skipped < skip)
            skipped += got;
        else if (to != past)
            have += got;
        if (rc == Z_STREAM_END) {
            ended = true;
            LODE_REQUIRE(skipped == skip && have == want, LODE_EFORMAT,
                         "%s inflates to %" PRIu64 " bytes, not the %" PRIu64 " it claims", what,
                         skipped + have, skip + want);
        }
    }
    *bytes = out;
    out = NULL;
done:
    if (started)
        inflateEnd(&z);
    lode_i_free(input);
    lode_i_free(out);
    return st;
}
