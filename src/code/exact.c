/* Exact values: evenly spaced ones as whole numbers; else words in the order of the numbers they
 * stand for; differences along axes, then the coder of integers; plain bytes where that would not be
 * shorter. */
#include <math.h>
#include <string.h>

#include "code/model.h"

enum { PLAIN = 0, CODED = 1, SPACED = 2, CHECK = 4, HEAD = 40 };
/* Words by which axes are chosen, of so many rows at least. */
enum { FEW = 1 << 20, SLAB_ROWS = 16 };

#define W uint32_t
#define S int32_t
#define SIZE 32
#define NAME(x) x##_32
#include "code/exact_kernel.inc"
#undef W
#undef S
#undef SIZE
#undef NAME
#define W uint64_t
#define S int64_t
#define SIZE 64
#define NAME(x) x##_64
#include "code/exact_kernel.inc"

/* An array as words: complex values are pairs, packed blocks bytes. */
typedef struct words {
    int width, ndim;
    bool real; /* floating point */
    int64_t n;
    int64_t shape[LODE_MAX_NDIM + 1];
} words;

static words words_of(const lode_array *x)
{
    words w = { .width = (int)lode_dtype_size(x->dtype), .ndim = x->ndim, .n = 1 };
    const char class = lode_dtype_class(x->dtype);
    w.real = class == 'f' || class == 'c';
    for (int k = 0; k < x->ndim; k++)
        w.shape[k] = x->shape[k];
    if (class == 'c') {
        w.width /= 2;
        w.shape[w.ndim++] = 2;
    }
    if (class == 'q') {
        if (w.ndim > 0)
            w.shape[w.ndim - 1] = w.shape[w.ndim - 1] / lode_dtype_block(x->dtype) * w.width;
        w.width = 1;
    }
    for (int k = 0; k < w.ndim; k++)
        w.n *= w.shape[k];
    return w;
}

static void split(const words *w, int axis, int64_t *left, int64_t *n, int64_t *right)
{
    *left = *right = 1;
    for (int k = 0; k < axis; k++)
        *left *= w->shape[k];
    for (int k = axis + 1; k < w->ndim; k++)
        *right *= w->shape[k];
    *n = w->shape[axis];
}

static lode_status to_words(lode_ctx *ctx, const words *w, const uint8_t *from, unsigned zeros,
                            void **x)
{
    const int64_t n = w->n;
    LODE_FORWARD(lode_i_alloc(ctx, (size_t)lode_i_max(n, 1) * (w->width == 8 ? 8 : 4), x));
    if (w->width == 8)
        for (int64_t i = 0; i < n; i++)
            ((uint64_t *)*x)[i] = lode_i_load(from + 8 * i, 8) >> zeros;
    else
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)*x)[i] = (uint32_t)(lode_i_load(from + w->width * i, w->width) >> zeros);
    return LODE_OK;
}

/* Differences along each axis where they need fewer bits; returns the set of axes. */
static uint32_t predict(const words *w, void *x, unsigned bits)
{
    uint32_t axes = 0;
    int64_t left, n, right;
    double need = w->width == 8 ? need_64(x, w->n, 1, 0, bits) : need_32(x, w->n, 1, 0, bits);
    for (int k = w->ndim - 1; k >= 0; k--) {
        split(w, k, &left, &n, &right);
        if (n < 2)
            continue;
        const double with = w->width == 8 ? need_64(x, w->n, n, right, bits)
                                          : need_32(x, w->n, n, right, bits);
        if (!(with < need))
            continue;
        need = with;
        axes |= UINT32_C(1) << k % 32;
        if (w->width == 8)
            difference_64(x, left, n, right);
        else
            difference_32(x, left, n, right);
    }
    return axes;
}

/* The same by what the coder would make of them, of words of 4 bytes, which are extended. */
static lode_status predict_coded(lode_ctx *ctx, const words *w, uint32_t *x, unsigned bits,
                                 uint32_t *axes)
{
    const lode_array symbols = lode_array_wrap((int32_t *)(void *)x, LODE_I32, w->ndim, w->shape);
    int64_t left, n, right;
    double least = 0, bytes = 0;
    *axes = 0;
    extend_32(x, w->n, bits);
    LODE_FORWARD(lode_i_encode_fast_estimate(ctx, &symbols, &least));
    for (int k = w->ndim - 1; k >= 0; k--) {
        split(w, k, &left, &n, &right);
        if (n < 2)
            continue;
        difference_32(x, left, n, right);
        extend_32(x, w->n, bits);
        LODE_FORWARD(lode_i_encode_fast_estimate(ctx, &symbols, &bytes));
        if (bytes < least) {
            least = bytes;
            *axes |= UINT32_C(1) << k;
            continue;
        }
        accumulate_32(x, left, n, right);
        extend_32(x, w->n, bits);
    }
    return LODE_OK;
}

/* By the coder, of few words, or of some in the middle of many; where those are many too, by the
 * bits they need. */
static lode_status predict_32(lode_ctx *ctx, const words *w, uint32_t *x, unsigned bits,
                              uint32_t *axes)
{
    words some = *w;
    lode_array copy = { 0 };
    const int64_t row = w->ndim && w->shape[0] ? w->n / w->shape[0] : 0;
    if (w->n <= FEW && w->n > 1 && w->ndim <= LODE_MAX_NDIM)
        return predict_coded(ctx, w, x, bits, axes);
    if (row < 1 || row > FEW / SLAB_ROWS || w->ndim > LODE_MAX_NDIM) {
        *axes = predict(w, x, bits);
        return LODE_OK;
    }
    some.shape[0] = lode_i_min(w->shape[0], FEW / row);
    some.n = some.shape[0] * row;
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_I32, some.n, &copy));
    memcpy(copy.data, x + (w->shape[0] - some.shape[0]) / 2 * row, (size_t)some.n * sizeof *x);
    const lode_status st = predict_coded(ctx, &some, copy.data, bits, axes);
    lode_array_free(&copy);
    for (int k = w->ndim - 1; k >= 0 && st >= 0; k--)
        if (*axes >> k & 1) {
            int64_t left, n, right;
            split(w, k, &left, &n, &right);
            difference_32(x, left, n, right);
        }
    return st;
}

/* Words, which are used up, as streams behind their header. */
static lode_status encode_words(lode_ctx *ctx, const words *w, unsigned zeros, void *word,
                                lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array part[2] = { { 0 }, { 0 } }, result = { 0 };
    int32_t *half = NULL;
    uint8_t head[HEAD] = { CODED };
    int64_t at = 1;
    const unsigned bits = (unsigned)(8 * w->width) - zeros;

    if (w->real && w->width == 8)
        order_64(word, w->n, bits);
    else if (w->real)
        order_32(word, w->n, bits);
    uint32_t axes = 0;
    if (w->width == 8)
        axes = predict(w, word, bits);
    else
        LODE_TRY(predict_32(ctx, w, word, bits, &axes));
    if (w->width == 8) {
        const uint64_t *wide = word;
        extend_64(word, w->n, bits);
        LODE_TRY(LODE_NEW(ctx, lode_i_max(w->n, 1), &half));
        for (int64_t i = 0; i < w->n; i++)
            half[i] = (int32_t)(uint32_t)wide[i];
        LODE_TRY(code_encode(ctx, half, w->ndim, w->shape, &part[0]));
        /* what the low half, taken as signed, leaves */
        for (int64_t i = 0; i < w->n; i++)
            half[i] = (int32_t)(uint32_t)((wide[i] - (uint64_t)(int64_t)half[i]) >> 32);
        LODE_TRY(code_encode(ctx, half, w->ndim, w->shape, &part[1]));
    } else {
        extend_32(word, w->n, bits);
        LODE_TRY(code_encode(ctx, word, w->ndim, w->shape, &part[0]));
    }
    at += code_put_number(head + at, zeros);
    at += code_put_number(head + at, axes);
    at += code_put_number(head + at, (uint64_t)part[0].shape[0]);
    lode_i_store(head + at, lode_i_checksum(head, (size_t)at, CODED), CHECK);
    at += CHECK;
    const int64_t first = part[0].shape[0], second = part[1].data ? part[1].shape[0] : 0;
    LODE_TRY(lode_i_vector_new(ctx, LODE_U8, at + first + second, &result));
    memcpy(result.data, head, (size_t)at);
    memcpy(lode_i_at(&result, at), part[0].data, (size_t)first);
    if (second)
        memcpy(lode_i_at(&result, at + first), part[1].data, (size_t)second);
    lode_array_swap(out, &result);
done:
    lode_i_free(half);
    LODE_FREE(&part[0], &part[1], &result);
    return st;
}

lode_status code_words_encode(lode_ctx *ctx, lode_array *k, lode_array *out)
{
    const words w = words_of(k);
    return encode_words(ctx, &w, 0, k->data, out);
}

static lode_status encode_plain(lode_ctx *ctx, const uint8_t *from, int64_t bytes, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array result = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_U8, 1 + CHECK + bytes, &result));
    uint8_t *to = result.data;
    to[0] = PLAIN;
    lode_i_store(to + 1, lode_i_checksum(from, (size_t)bytes, PLAIN), CHECK);
    if (bytes)
        memcpy(to + 1 + CHECK, from, (size_t)bytes);
    lode_array_swap(out, &result);
done:
    LODE_FREE(&result);
    return st;
}

lode_status lode_i_encode_exact(lode_ctx *ctx, const lode_array *x, lode_array *out)
{
    lode_status st = LODE_OK;
    const words w = words_of(x);
    const int64_t bytes = (int64_t)lode_array_bytes(x);
    const uint8_t *from = x->data;
    void *turned = NULL, *word = NULL;
    lode_array result = { 0 };
    uint64_t any = 0;
    unsigned zeros = 0;

    LODE_REQUIRE(lode_array_is_contiguous(x) && w.ndim <= 32, LODE_EINTERNAL,
                 "the exact coder takes contiguous arrays");
    if (w.real && w.width >= 4 && w.n > 1)
        LODE_TRY(code_spaced_encode(ctx, x, &result));
    if (result.data && result.shape[0] < 1 + CHECK + bytes) {
        lode_array_swap(out, &result);
        goto done;
    }
    if (LODE_I_BIG_ENDIAN && bytes > 0) { /* as it lies elsewhere, lowest byte first */
        LODE_TRY(lode_i_alloc(ctx, (size_t)bytes, &turned));
        memcpy(turned, x->data, (size_t)bytes);
        lode_i_turn_bytes(x->dtype, turned, (size_t)bytes);
        from = turned;
    }
    for (int64_t i = 0; i < w.n; i++)
        any |= lode_i_load(from + w.width * i, w.width);
    while (any && !(any >> zeros & 1))
        zeros++;
    LODE_TRY(to_words(ctx, &w, from, zeros, &word));
    LODE_TRY(encode_words(ctx, &w, zeros, word, &result));
    if (result.shape[0] >= 1 + CHECK + bytes)
        LODE_TRY(encode_plain(ctx, from, bytes, &result));
    lode_array_swap(out, &result);
done:
    lode_i_free(turned);
    lode_i_free(word);
    LODE_FREE(&result);
    return st;
}

lode_status lode_i_decode_exact(lode_ctx *ctx, const lode_array *coded, lode_array *x)
{
    lode_status st = LODE_OK;
    const words w = words_of(x);
    const int64_t bytes = (int64_t)lode_array_bytes(x), size = coded->shape[0];
    uint8_t *const to = x->data;
    uint64_t zeros = 0, axes = 0, first = 0;
    void *word = NULL;
    int32_t *half = NULL;

    LODE_REQUIRE(lode_array_is_contiguous(x) && w.ndim <= 32, LODE_EINTERNAL,
                 "the exact coder takes contiguous arrays");
    LODE_REQUIRE(coded->dtype == LODE_U8 && coded->ndim == 1 && size > 0, LODE_EFORMAT,
                 "coded values are damaged");
    const uint8_t *const begin = coded->data, *at = begin + 1, *const end = begin + size;
    if (begin[0] == PLAIN) {
        LODE_REQUIRE(size == 1 + CHECK + bytes &&
                         lode_i_load(at, CHECK) ==
                             (uint32_t)lode_i_checksum(at + CHECK, (size_t)bytes, PLAIN),
                     LODE_EFORMAT, "coded values are damaged: their checksum does not fit");
        if (bytes)
            memcpy(to, at + CHECK, (size_t)bytes);
        goto done;
    }
    if (begin[0] == SPACED) {
        LODE_TRY(code_spaced_decode(ctx, coded, x));
        return LODE_OK; /* in this machine's order of bytes */
    }
    LODE_REQUIRE(begin[0] == CODED && code_take_number(&at, end, &zeros) &&
                     zeros < (uint64_t)(8 * w.width) && code_take_number(&at, end, &axes) &&
                     code_take_number(&at, end, &first) && end - at >= CHECK &&
                     first <= (uint64_t)(end - at - CHECK) &&
                     lode_i_load(at, CHECK) ==
                         (uint32_t)lode_i_checksum(begin, (size_t)(at - begin), CODED),
                 LODE_EFORMAT, "the header of coded values is damaged");
    at += CHECK;
    const unsigned bits = (unsigned)(8 * w.width) - (unsigned)zeros;
    const int64_t n[2] = { (int64_t)first, end - at - (int64_t)first };
    const lode_array part[2] = { lode_array_wrap((uint8_t *)(uintptr_t)at, LODE_U8, 1, &n[0]),
                                 lode_array_wrap((uint8_t *)(uintptr_t)(at + n[0]), LODE_U8, 1,
                                                 &n[1]) };
    LODE_TRY(lode_i_alloc(ctx, (size_t)lode_i_max(w.n, 1) * (w.width == 8 ? 8 : 4), &word));
    if (w.width == 8) {
        uint64_t *wide = word;
        LODE_TRY(LODE_NEW(ctx, lode_i_max(w.n, 1), &half));
        LODE_TRY(code_decode(ctx, &part[1], w.ndim, w.shape, half));
        for (int64_t i = 0; i < w.n; i++)
            wide[i] = (uint64_t)(uint32_t)half[i] << 32;
        LODE_TRY(code_decode(ctx, &part[0], w.ndim, w.shape, half));
        for (int64_t i = 0; i < w.n; i++)
            wide[i] += (uint64_t)(int64_t)half[i];
    } else {
        LODE_REQUIRE(n[1] == 0, LODE_EFORMAT, "the header of coded values is damaged");
        LODE_TRY(code_decode(ctx, &part[0], w.ndim, w.shape, word));
    }
    const uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    for (int k = 0; k < w.ndim; k++)
        if (axes >> k & 1) {
            int64_t left, length, right;
            split(&w, k, &left, &length, &right);
            if (w.width == 8)
                accumulate_64(word, left, length, right);
            else
                accumulate_32(word, left, length, right);
        }
    if (w.width == 8)
        for (int64_t i = 0; i < w.n; i++)
            ((uint64_t *)word)[i] &= mask;
    else
        for (int64_t i = 0; i < w.n; i++)
            ((uint32_t *)word)[i] &= (uint32_t)mask;
    if (w.real && w.width == 8)
        disorder_64(word, w.n, bits);
    else if (w.real)
        disorder_32(word, w.n, bits);
    for (int64_t i = 0; i < w.n; i++) {
        const uint64_t v = (w.width == 8 ? ((uint64_t *)word)[i] : ((uint32_t *)word)[i]) << zeros;
        lode_i_store(to + w.width * i, v, w.width);
    }
done:
    if (LODE_I_BIG_ENDIAN && st >= 0)
        lode_i_turn_bytes(x->dtype, to, (size_t)bytes);
    lode_i_free(word);
    lode_i_free(half);
    return st;
}
