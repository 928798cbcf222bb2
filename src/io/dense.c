/* The one reader of dense members that are plain bytes: rectangles by positional reads, C or
 * Fortran order, either byte order, checksums of the chunks that a read touches, CRC of whole zip
 * entries. */
#include "io/io.h"

#include <string.h>

enum {
    WINDOW = 1 << 16, /* small runs near each other are read through a window of this size */
    NEAR = 1 << 14,   /* runs that begin within this distance share one */
    DIRECT = 1 << 15, /* longer runs go straight to their place */
    SHARED = 1 << 23, /* and those from here on in pieces, by all workers */
    PIECE = 1 << 20
};

typedef struct reader {
    lode_ctx *ctx;
    const lode_i_member *m;
    const unsigned char *memory; /* of the member, when inflated */
    unsigned char *buffer;       /* window, or a chunk whose checksum is due */
    uint64_t from, to;           /* bytes of the member in the buffer */
    bool near;
    bool whole; /* everything is read once and in file order: the CRC can be checked */
    uint32_t crc;
    bool lost; /* some chunk was damaged, and left out */
} reader;

static lode_status buffer_of(reader *r)
{
    if (r->buffer)
        return LODE_OK;
    return lode_i_alloc(r->ctx, r->m->sums ? (size_t)LODE_I_SUM_CHUNK : WINDOW,
                        (void **)&r->buffer);
}

static lode_status check_chunk(reader *r, uint64_t chunk, const void *bytes, size_t size)
{
    if (lode_i_checksum(bytes, size, chunk) != r->m->sums[chunk])
        return lode_i_fail(r->ctx, LODE_EFORMAT,
                           "%s: member %s, chunk %" PRIu64 " is damaged (bytes %" PRIu64
                           " to %" PRIu64 " of the file); restore the file, or give --recover "
                           "(recover in C and Python) to read the rest",
                           lode_i_infile_path(r->m->in), r->m->name, chunk,
                           r->m->offset + chunk * LODE_I_SUM_CHUNK,
                           r->m->offset + chunk * LODE_I_SUM_CHUNK + size - 1);
    atomic_store_explicit(&r->m->passed[chunk], 1, memory_order_relaxed);
    return LODE_OK;
}

/* A damaged chunk as missing values: NaN, zeros where the type has none. The chunk holds whole values
 * of every type that has NaN. */
static lode_status lose_chunk(reader *r, uint64_t chunk, unsigned char *bytes, size_t size)
{
    static const struct {
        lode_dtype dtype;
        size_t width;
        unsigned char nan[8];
    } nans[] = { { LODE_F16, 2, { 0, 0x7e } },
                 { LODE_BF16, 2, { 0xc0, 0x7f } },
                 { LODE_F32, 4, { 0, 0, 0xc0, 0x7f } },
                 { LODE_C64, 4, { 0, 0, 0xc0, 0x7f } },
                 { LODE_F64, 8, { 0, 0, 0, 0, 0, 0, 0xf8, 0x7f } },
                 { LODE_C128, 8, { 0, 0, 0, 0, 0, 0, 0xf8, 0x7f } } };
    const lode_i_member *m = r->m;
    const uint64_t first = chunk * LODE_I_SUM_CHUNK;
    const uint64_t rows = m->ndim && m->shape[0] > 0 ? (uint64_t)m->shape[0] : 1,
                   row = m->bytes / rows ? m->bytes / rows : 1;
    const char *instead = "0";
    memset(bytes, 0, size);
    for (size_t k = 0; k < sizeof nans / sizeof *nans; k++)
        if (nans[k].dtype == m->dtype) {
            instead = "NaN";
            for (size_t i = 0; i + nans[k].width <= size; i += nans[k].width)
                memcpy(bytes + i, nans[k].nan, nans[k].width);
        }
    r->lost = true;
    return lode_i_lost(r->ctx, (double)size / (double)m->bytes, instead,
                       "%s[%" PRIu64 ":%" PRIu64 "] (bytes %" PRIu64 " to %" PRIu64 " of the file)",
                       m->name, first / row, (first + size - 1) / row + 1, m->offset + first,
                       m->offset + first + size - 1);
}

/* A whole chunk of a member with checksums, or what stands for it. */
static lode_status read_chunk(reader *r, uint64_t chunk, unsigned char *bytes, size_t size)
{
    const lode_i_member *m = r->m;
    lode_status st = lode_i_infile_read(r->ctx, m->in, m->offset + chunk * LODE_I_SUM_CHUNK, bytes,
                                        size);
    if (st >= 0)
        st = check_chunk(r, chunk, bytes, size);
    return st == LODE_EFORMAT && r->ctx->recover ? lose_chunk(r, chunk, bytes, size) : st;
}

/* size bytes at `at` of the member, without checksums. */
static lode_status plain(reader *r, uint64_t at, unsigned char *dst, size_t size)
{
    const lode_i_member *m = r->m;
    if (r->near && size < DIRECT && !m->sums) {
        if (at < r->from || at + size > r->to) {
            const uint64_t left = m->bytes - at;
            const size_t n = left < WINDOW ? (size_t)left : WINDOW;
            LODE_FORWARD(buffer_of(r));
            r->from = r->to = 0;
            LODE_FORWARD(lode_i_infile_read(r->ctx, m->in, m->offset + at, r->buffer, n));
            r->from = at, r->to = at + n;
        }
        memcpy(dst, r->buffer + (at - r->from), size);
        return LODE_OK;
    }
    return lode_i_infile_read(r->ctx, m->in, m->offset + at, dst, size);
}

static lode_status fetch(reader *r, uint64_t at, unsigned char *dst, size_t size)
{
    const lode_i_member *m = r->m;
    if (r->memory) {
        memcpy(dst, r->memory + at, size);
        return LODE_OK;
    }
    if (!m->sums)
        return plain(r, at, dst, size);
    while (size > 0) {
        const uint64_t chunk = at / LODE_I_SUM_CHUNK, first = chunk * LODE_I_SUM_CHUNK;
        const uint64_t left = m->bytes - first;
        const size_t whole = left < LODE_I_SUM_CHUNK ? (size_t)left : (size_t)LODE_I_SUM_CHUNK;
        const size_t skip = (size_t)(at - first), n = whole - skip < size ? whole - skip : size;
        if (r->from <= at && at + n <= r->to) {
            memcpy(dst, r->buffer + (at - r->from), n);
        } else if (n == whole) {
            LODE_FORWARD(read_chunk(r, chunk, dst, n));
        } else if (!r->near && atomic_load_explicit(&m->passed[chunk], memory_order_relaxed)) {
            LODE_FORWARD(plain(r, at, dst, n));
        } else {
            LODE_FORWARD(buffer_of(r));
            r->from = r->to = 0;
            LODE_FORWARD(read_chunk(r, chunk, r->buffer, whole));
            r->from = first, r->to = first + whole;
            memcpy(dst, r->buffer + skip, n);
        }
        at += n, dst += n, size -= n;
    }
    return LODE_OK;
}

/* A long run without checksums: copying from the system's cache into fresh pages takes as long as some
 * passes over what is read. */
typedef struct shared {
    const lode_i_member *m;
    uint64_t at, size;
    unsigned char *dst;
} shared;

static lode_status read_piece(lode_ctx *ctx, int64_t i, void *data)
{
    const shared *s = data;
    const uint64_t from = (uint64_t)i * PIECE, left = s->size - from;
    return lode_i_infile_read(ctx, s->m->in, s->m->offset + s->at + from, s->dst + from,
                              left < PIECE ? (size_t)left : PIECE);
}

static lode_status fetch_shared(const reader *r, uint64_t at, unsigned char *dst, uint64_t size)
{
    shared s = { .m = r->m, .at = at, .size = size, .dst = dst };
    return lode_i_parallel(r->ctx, (int64_t)((size + PIECE - 1) / PIECE), read_piece, &s);
}

/* A rectangle of an array of `unit`-byte elements in C order; dst is contiguous. */
static lode_status rectangle(reader *r, int ndim, const int64_t *shape, const int64_t *start,
                             const int64_t *count, uint64_t unit, unsigned char *dst)
{
    uint64_t stride[LODE_MAX_NDIM], run = unit, at = 0;
    int64_t index[LODE_MAX_NDIM] = { 0 };
    int outer = ndim;
    for (int k = ndim; k-- > 0;) {
        if (count[k] == 0)
            return LODE_OK;
        stride[k] = k == ndim - 1 ? unit : stride[k + 1] * (uint64_t)shape[k + 1];
        at += stride[k] * (uint64_t)start[k];
    }
    /* Trailing axes that are taken whole merge with the axis before them into one run. */
    while (outer > 0) {
        outer--;
        run *= (uint64_t)count[outer];
        if (count[outer] != shape[outer])
            break;
    }
    r->near = outer > 0 && stride[outer - 1] <= NEAR;
    const bool shares = !r->memory && !r->m->sums && !r->whole;
    for (int64_t n = 0;; n++) {
        if ((n & 255) == 0)
            LODE_FORWARD(lode_i_cancelled(r->ctx));
        uint64_t done = 0;
        if (shares && run >= SHARED) {
            LODE_FORWARD(fetch_shared(r, at, dst, run));
            done = run, dst += run;
        }
        while (done < run) { /* long runs in pieces, so that a cancel is seen */
            const size_t piece = run - done > ((uint64_t)1 << 26) ? (size_t)1 << 26
                                                                  : (size_t)(run - done);
            LODE_FORWARD(fetch(r, at + done, dst, piece));
            if (r->whole)
                r->crc = lode_i_crc32(r->crc, dst, piece);
            done += piece, dst += piece;
            if (done < run)
                LODE_FORWARD(lode_i_cancelled(r->ctx));
        }
        int k = outer;
        while (k-- > 0) {
            at += stride[k];
            if (++index[k] < count[k])
                break;
            at -= stride[k] * (uint64_t)count[k];
            index[k] = 0;
        }
        if (k < 0)
            return LODE_OK;
    }
}

/* Byte order of each real number; any byte but 0 is true, as NumPy reads it. */
static void settle(const lode_i_member *m, unsigned char *dst, size_t bytes)
{
    if (m->swapped != (LODE_I_BIG_ENDIAN != 0))
        lode_i_turn_bytes(m->dtype, dst, bytes);
    if (m->dtype == LODE_BOOL)
        for (size_t i = 0; i < bytes; i++)
            dst[i] = dst[i] != 0;
}

/* Fortran order: the file's axes are the member's in reverse. */
static lode_status read_reversed(lode_ctx *ctx, void *data, const int64_t *from,
                                 const int64_t *many, void *dst)
{
    reader *r = data;
    const int n = r->m->ndim;
    int64_t shape[LODE_MAX_NDIM];
    (void)ctx; /* the reader has it */
    for (int k = 0; k < n; k++)
        shape[k] = r->m->shape[n - 1 - k];
    return rectangle(r, n, shape, from, many, lode_dtype_size(r->m->dtype), dst);
}

lode_status lode_i_dense_read(lode_ctx *ctx, const lode_i_member *m, const void *memory,
                              const int64_t *start, const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    reader r = { .ctx = ctx, .m = m, .memory = memory, .crc = m->crc_head };
    int64_t shape[LODE_MAX_NDIM], from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    const int64_t block = lode_dtype_block(m->dtype);
    size_t bytes = lode_dtype_size(m->dtype);

    LODE_TRY(lode_i_member_check(ctx, m, start, count));
    r.whole = m->checked && !memory;
    for (int k = 0; k < m->ndim; k++) {
        shape[k] = m->shape[k], from[k] = start[k], many[k] = count[k];
        r.whole = r.whole && many[k] == shape[k];
        if (k == m->ndim - 1 && block > 1) {
            /* Packed values come and go in whole blocks. */
            LODE_REQUIRE(from[k] % block == 0 && many[k] % block == 0, LODE_ESHAPE,
                         "%s: packed values are read in blocks of %" PRId64 ", not %" PRId64
                         " at %" PRId64,
                         m->name, block, many[k], from[k]);
            shape[k] /= block, from[k] /= block, many[k] /= block;
        }
        bytes *= (size_t)many[k];
    }
    if (m->fortran)
        LODE_TRY(lode_i_reversed_read(ctx, m, start, count, 1, read_reversed, &r, dst));
    else
        LODE_TRY(rectangle(&r, m->ndim, shape, from, many, lode_dtype_size(m->dtype), dst));
    LODE_REQUIRE(!r.whole || r.crc == m->crc, LODE_EFORMAT,
                 "%s: member %s is damaged: its CRC is %08x, not %08x", lode_i_infile_path(m->in),
                 m->name, (unsigned)r.crc, (unsigned)m->crc);
    settle(m, dst, bytes);
    if (r.lost)
        st = lode_i_worse(st, LODE_LOST);
done:
    lode_i_free(r.buffer);
    return st;
}
