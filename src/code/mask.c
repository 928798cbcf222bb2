/* Sets of positions: the lengths of alternating runs, or plain symbols, whichever is shorter. */
#include <string.h>

#include "code/model.h"

enum { AS_SYMBOLS = 0, AS_RUNS = 1, FRAME = 11 };

static int64_t product(int ndim, const int64_t *shape)
{
    int64_t n = 1;
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    return n;
}

/* Puts a kind and a number before a stream. */
static lode_status framed(lode_ctx *ctx, uint8_t kind, int64_t number, const lode_array *stream,
                          lode_array *out)
{
    lode_array result = { 0 };
    uint8_t head[FRAME] = { kind };
    const int64_t n = 1 + code_put_number(head + 1, (uint64_t)number);
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_U8, n + stream->shape[0], &result));
    memcpy(result.data, head, (size_t)n);
    memcpy(lode_i_at(&result, n), stream->data, (size_t)stream->shape[0]);
    lode_array_swap(out, &result);
    lode_array_free(&result);
    return LODE_OK;
}

/* Lengths of runs of 0, 1, 0, ..; the first may be empty. Returns their number. */
static int64_t runs_of(const uint8_t *mask, int64_t n, int32_t *run)
{
    int64_t runs = 0;
    for (int64_t i = 0; i < n; runs++) {
        const uint8_t value = runs & 1;
        int64_t length = 0;
        while (i < n && (mask[i] != 0) == value && length < INT32_MAX)
            i++, length++;
        if (run)
            run[runs] = (int32_t)length;
    }
    return runs;
}

/* Two columns, so that each kind of run meets its own kind. */
static int runs_shape(int64_t runs, int64_t shape[2])
{
    shape[0] = runs % 2 ? runs : runs / 2;
    shape[1] = 2;
    return runs % 2 ? 1 : 2;
}

lode_status lode_i_encode_mask(lode_ctx *ctx, const lode_array *set, lode_array *out)
{
    lode_status st = LODE_OK;
    const uint8_t *const mask = set->data;
    const int ndim = set->ndim;
    const int64_t *const shape = set->shape;
    const int64_t n = product(ndim, shape), runs = runs_of(mask, n, NULL);
    int64_t pairs[2];
    int32_t *symbols = NULL;
    lode_array as_runs = { 0 }, as_symbols = { 0 };

    LODE_TRY(LODE_NEW(ctx, lode_i_max(n, 1), &symbols));
    for (int64_t i = 0; i < n; i++)
        symbols[i] = mask[i] != 0;
    LODE_TRY(code_encode(ctx, symbols, ndim, shape, &as_symbols));
    if (runs <= n / 2) {
        runs_of(mask, n, symbols);
        LODE_TRY(code_encode(ctx, symbols, runs_shape(runs, pairs), pairs, &as_runs));
    }
    if (as_runs.data && as_runs.shape[0] < as_symbols.shape[0])
        LODE_TRY(framed(ctx, AS_RUNS, runs, &as_runs, out));
    else
        LODE_TRY(framed(ctx, AS_SYMBOLS, 0, &as_symbols, out));
done:
    lode_i_free(symbols);
    LODE_FREE(&as_runs, &as_symbols);
    return st;
}

lode_status lode_i_decode_mask(lode_ctx *ctx, const lode_array *coded, lode_array *set)
{
    lode_status st = LODE_OK;
    uint8_t *const mask = set->data;
    const int ndim = set->ndim;
    const int64_t *const shape = set->shape;
    int64_t pairs[2];
    const int64_t n = product(ndim, shape), size = coded->shape[0];
    int32_t *symbols = NULL;
    uint64_t runs = 0;

    LODE_REQUIRE(coded->dtype == LODE_U8 && coded->ndim == 1 && size >= 2, LODE_EFORMAT,
                 "a coded mask is damaged");
    const uint8_t *const begin = coded->data, *at = begin + 1;
    LODE_REQUIRE(begin[0] <= AS_RUNS && code_take_number(&at, begin + size, &runs) &&
                     runs <= (uint64_t)n,
                 LODE_EFORMAT, "a coded mask is damaged");
    const int64_t rest = begin + size - at, count = (int64_t)runs;
    const lode_array stream = lode_array_wrap((uint8_t *)(uintptr_t)at, LODE_U8, 1, &rest);
    LODE_TRY(LODE_NEW(ctx, lode_i_max(n, 1), &symbols));
    if (begin[0] == AS_SYMBOLS) {
        LODE_TRY(code_decode(ctx, &stream, ndim, shape, symbols));
        for (int64_t i = 0; i < n; i++)
            mask[i] = symbols[i] != 0;
        goto done;
    }
    LODE_TRY(code_decode(ctx, &stream, runs_shape(count, pairs), pairs, symbols));
    int64_t filled = 0;
    for (int64_t r = 0; r < count; r++) {
        LODE_REQUIRE(symbols[r] >= 0 && symbols[r] <= n - filled, LODE_EFORMAT,
                     "a coded mask is damaged");
        memset(mask + filled, (int)(r & 1), (size_t)symbols[r]);
        filled += symbols[r];
    }
    LODE_REQUIRE(filled == n, LODE_EFORMAT, "a coded mask is damaged");
done:
    lode_i_free(symbols);
    return st;
}
