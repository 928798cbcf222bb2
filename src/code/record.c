/* Records: numbers and streams, one after another in a vector of bytes. Streams have checksums of
 * their own; that of the record covers all numbers. */
#include <math.h>
#include <string.h>

#include "code/model.h"

enum { CHECK = 8 };

void lode_i_record_free(lode_record *r)
{
    lode_array_free(&r->bytes);
    *r = (lode_record){ 0 };
}

static lode_status append(lode_ctx *ctx, lode_record *r, const void *from, int64_t n)
{
    lode_array grown = { 0 };
    const int64_t room = r->bytes.data ? r->bytes.shape[0] : 0;
    if (r->size + n > room) {
        LODE_FORWARD(lode_i_vector_new(ctx, LODE_U8, r->size + n + room / 2 + 256, &grown));
        if (r->size)
            memcpy(grown.data, r->bytes.data, (size_t)r->size);
        lode_array_swap(&r->bytes, &grown);
        lode_array_free(&grown);
    }
    memcpy(lode_i_at(&r->bytes, r->size), from, (size_t)n);
    r->size += n;
    return LODE_OK;
}

lode_status lode_i_record_i64(lode_ctx *ctx, lode_record *r, int64_t v)
{
    uint8_t bytes[10] = { 0 };
    const uint64_t zigzag = (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
    return append(ctx, r, bytes, code_put_number(bytes, zigzag));
}

lode_status lode_i_record_f64(lode_ctx *ctx, lode_record *r, double v)
{
    uint64_t word;
    uint8_t bytes[8];
    memcpy(&word, &v, sizeof word);
    lode_i_store(bytes, word, 8);
    return append(ctx, r, bytes, 8);
}

lode_status lode_i_record_bytes(lode_ctx *ctx, lode_record *r, const lode_array *stream)
{
    LODE_FORWARD(lode_i_record_i64(ctx, r, stream->shape[0]));
    return append(ctx, r, stream->data, stream->shape[0]);
}

lode_status lode_i_record_end(lode_ctx *ctx, lode_record *r, lode_array *out)
{
    lode_array whole = { 0 };
    uint8_t check[CHECK];
    lode_i_store(check, lode_i_checksum(r->bytes.data, (size_t)r->size, 0), CHECK);
    LODE_FORWARD(append(ctx, r, check, CHECK));
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_U8, r->size, &whole));
    memcpy(whole.data, r->bytes.data, (size_t)r->size);
    lode_array_swap(out, &whole);
    lode_array_free(&whole);
    lode_i_record_free(r);
    return LODE_OK;
}

static lode_status damaged(lode_ctx *ctx, const lode_record *r)
{
    return lode_i_fail(ctx, LODE_EFORMAT,
                       "a coded record is damaged at byte %" PRId64 " of %" PRId64, r->size,
                       r->bytes.shape[0]);
}

lode_status lode_i_record_open(lode_ctx *ctx, const lode_array *bytes, lode_record *r)
{
    lode_record open = { 0 };
    if (bytes->dtype != LODE_U8 || bytes->ndim != 1 || !lode_array_is_contiguous(bytes) ||
        bytes->shape[0] < CHECK)
        return lode_i_fail(ctx, LODE_EFORMAT, "a coded record must be a vector of bytes");
    open.bytes = lode_array_ref(bytes);
    open.bytes.shape[0] -= CHECK;
    if (lode_i_load(lode_i_at(bytes, open.bytes.shape[0]), CHECK) !=
        lode_i_checksum(bytes->data, (size_t)open.bytes.shape[0], 0)) {
        lode_i_record_free(&open);
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "the checksum of a coded record (%" PRId64 " bytes) does not fit",
                           bytes->shape[0]);
    }
    lode_i_record_free(r);
    *r = open;
    return LODE_OK;
}

lode_status lode_i_record_read_i64(lode_ctx *ctx, lode_record *r, int64_t least, int64_t most,
                                   int64_t *v)
{
    const uint8_t *const begin = r->bytes.data, *at = begin + r->size;
    uint64_t zigzag = 0;
    if (!code_take_number(&at, begin + r->bytes.shape[0], &zigzag))
        return damaged(ctx, r);
    const int64_t value = (int64_t)(zigzag >> 1 ^ (zigzag & 1 ? UINT64_MAX : 0));
    if (value < least || value > most)
        return damaged(ctx, r);
    r->size = at - begin;
    *v = value;
    return LODE_OK;
}

lode_status lode_i_record_read_f64(lode_ctx *ctx, lode_record *r, double *v)
{
    double value;
    if (r->bytes.shape[0] - r->size < 8)
        return damaged(ctx, r);
    const uint64_t word = lode_i_load(lode_i_at(&r->bytes, r->size), 8);
    memcpy(&value, &word, sizeof value);
    if (!isfinite(value))
        return damaged(ctx, r);
    r->size += 8;
    *v = value;
    return LODE_OK;
}

lode_status lode_i_record_read_bytes(lode_ctx *ctx, lode_record *r, lode_array *stream)
{
    int64_t n = 0;
    LODE_FORWARD(lode_i_record_read_i64(ctx, r, 0, r->bytes.shape[0], &n));
    if (n > r->bytes.shape[0] - r->size)
        return damaged(ctx, r);
    lode_array view = { 0 };
    LODE_FORWARD(lode_array_slice(ctx, &r->bytes, 0, r->size, r->size + n, 1, &view));
    lode_array_swap(stream, &view);
    lode_array_free(&view);
    r->size += n;
    return LODE_OK;
}

lode_status lode_i_record_change(lode_ctx *ctx, const lode_array *bytes, int field, int64_t v,
                                 lode_array *out)
{
    lode_status st = LODE_OK;
    lode_record from = { 0 }, to = { 0 };
    int64_t number = 0, at = 0;
    LODE_TRY(lode_i_record_open(ctx, bytes, &from));
    for (int i = 0; i <= field; i++) {
        at = from.size;
        LODE_TRY(lode_i_record_read_i64(ctx, &from, -INT64_MAX, INT64_MAX, &number));
    }
    LODE_TRY(append(ctx, &to, bytes->data, at));
    LODE_TRY(lode_i_record_i64(ctx, &to, v));
    LODE_TRY(append(ctx, &to, lode_i_at(bytes, from.size), bytes->shape[0] - CHECK - from.size));
    LODE_TRY(lode_i_record_end(ctx, &to, out));
done:
    lode_i_record_free(&from);
    lode_i_record_free(&to);
    return st;
}
