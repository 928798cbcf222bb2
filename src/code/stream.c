/* A coded tensor: what encoder and decoder share, a table of chunks, the chunks. Layout in
 * docs/format.md. */
#include <math.h>
#include <string.h>

#include "code/fast.h"

enum { VERSION = 1, HAS_HINTS = 1, HAS_SIGNS = 2, HEAD = 128, CHECK = CODE_CHECK };

typedef struct stream {
    code_grid grid;
    code_hints hints;
    code_weights weights;
    int32_t *symbols;      /* of the whole tensor; the encoder only reads them */
    code_bench **bench;    /* one a worker, made when first needed */
    const uint8_t **chunk; /* decoder: where each lies; encoder: its own copy */
    int64_t *size;
} stream;

static lode_status stream_new(lode_ctx *ctx, int ndim, const int64_t *shape, stream *s)
{
    code_grid_make(ndim, shape, &s->grid);
    LODE_FORWARD(code_hint_new(ctx, &s->grid, &s->hints));
    LODE_FORWARD(
        lode_i_calloc(ctx, (size_t)lode_ctx_threads(ctx) * sizeof *s->bench, (void **)&s->bench));
    LODE_FORWARD(
        lode_i_calloc(ctx, (size_t)(s->grid.blocks + 1) * sizeof *s->chunk, (void **)&s->chunk));
    return lode_i_calloc(ctx, (size_t)(s->grid.blocks + 1) * sizeof *s->size, (void **)&s->size);
}

static void stream_free(lode_ctx *ctx, stream *s)
{
    for (int w = 0; s->bench && w < lode_ctx_threads(ctx); w++)
        code_bench_free(s->bench[w]);
    lode_i_free(s->bench);
    lode_i_free(s->hints.level);
    lode_i_free((void *)s->chunk);
    lode_i_free(s->size);
}

static lode_status bench_of(lode_ctx *ctx, stream *s, code_bench **bench)
{
    code_bench **mine = &s->bench[lode_i_worker(ctx)];
    if (!*mine)
        LODE_FORWARD(code_bench_new(ctx, &s->grid, mine));
    *bench = *mine;
    return LODE_OK;
}

/* Ties a header to the shape it was made for. */
uint64_t code_shape_seed(const code_grid *g, int version)
{
    return lode_i_checksum(g->shape, (size_t)g->ndim * sizeof *g->shape, (uint64_t)version);
}

uint32_t code_check_of(const uint8_t *bytes, int64_t size, uint64_t seed)
{
    return (uint32_t)lode_i_checksum(bytes, (size_t)size, seed);
}

void code_hint_deltas(const code_grid *g, const code_hints *hints, int32_t *delta)
{
    for (int k = 0; k < g->ndim; k++)
        for (int64_t i = 0, f = hints->first[k]; i < g->shape[k]; i++)
            delta[f + i] = (hints->level[f + i] - (i ? hints->level[f + i - 1] : 0)) / 2;
}

void code_hint_levels(const code_grid *g, code_hints *hints, const int32_t *delta)
{
    for (int k = 0; k < g->ndim; k++)
        for (int64_t i = 0, f = hints->first[k]; i < g->shape[k]; i++) {
            const int64_t level = 2 * (int64_t)delta[f + i] + (i ? hints->level[f + i - 1] : 0);
            hints->level[f + i] = (int32_t)(level < -512 ? -512 : level > 512 ? 512 : level);
        }
}

int64_t code_hint_length(const code_grid *g)
{
    int64_t length = 0;
    for (int k = 0; k < g->ndim; k++)
        length += g->shape[k];
    return length;
}

lode_status code_hint_new(lode_ctx *ctx, const code_grid *g, code_hints *hints)
{
    for (int k = 1; k < g->ndim; k++)
        hints->first[k] = hints->first[k - 1] + g->shape[k - 1];
    return LODE_NEW(ctx, code_hint_length(g), &hints->level);
}

/* ---- encoding ---- */

static lode_status encode_block(lode_ctx *ctx, int64_t b, void *data)
{
    stream *s = data;
    code_bench *bench = NULL;
    uint8_t *copy = NULL;
    LODE_FORWARD(bench_of(ctx, s, &bench));
    const int64_t size = code_chunk_encode(&s->grid, b, s->symbols, &s->hints, &s->weights, bench);
    if (size == 0)
        return LODE_OK;
    LODE_FORWARD(LODE_NEW(ctx, size, &copy));
    memcpy(copy, bench->bytes, (size_t)size);
    s->chunk[b] = copy;
    s->size[b] = size;
    return LODE_OK;
}

lode_status code_encode(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                        lode_array *out)
{
    lode_status st = LODE_OK;
    stream s = { 0 };
    lode_array levels = { 0 }, result = { 0 };
    int32_t *delta = NULL;
    uint8_t *head = NULL;
    int64_t at = 0;

    LODE_TRY(stream_new(ctx, ndim, shape, &s));
    const int64_t length = code_hint_length(&s.grid);
    s.symbols = (int32_t *)(uintptr_t)symbol;
    if (s.grid.blocks)
        LODE_TRY(code_fit(ctx, &s.grid, symbol, &s.hints, &s.weights));
    if (s.hints.present) {
        LODE_TRY(LODE_NEW(ctx, length, &delta));
        code_hint_deltas(&s.grid, &s.hints, delta);
        LODE_TRY(code_encode(ctx, delta, 1, &length, &levels));
    }
    LODE_TRY(lode_i_parallel(ctx, s.grid.blocks, encode_block, &s));

    const int64_t extra = (int64_t)lode_array_bytes(&levels);
    LODE_TRY(LODE_NEW(ctx, HEAD + extra + 10 * s.grid.blocks, &head));
    head[at++] = VERSION;
    head[at++] = (uint8_t)((s.hints.present ? HAS_HINTS : 0) | (s.hints.signs ? HAS_SIGNS : 0));
    at += code_put_number(head + at, (uint64_t)(s.hints.base + 64));
    at += code_put_number(head + at, s.hints.drop);
    for (int k = 0; k < CODE_FEATURES; k++)
        at += code_put_number(head + at, s.weights.weight[k]);
    if (s.hints.present) {
        at += code_put_number(head + at, (uint64_t)extra);
        memcpy(head + at, levels.data, (size_t)extra);
        at += extra;
    }
    int64_t total = 0;
    for (int64_t b = 0; b < s.grid.blocks; b++) {
        at += code_put_number(head + at, (uint64_t)s.size[b]);
        total += s.size[b] ? s.size[b] + CHECK : 0;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_U8, at + CHECK + total, &result));
    uint8_t *to = lode_i_at(&result, 0);
    memcpy(to, head, (size_t)at);
    lode_i_store(to + at, code_check_of(head, at, code_shape_seed(&s.grid, VERSION)), CHECK);
    to += at + CHECK;
    for (int64_t b = 0; b < s.grid.blocks; b++) {
        if (!s.size[b])
            continue;
        lode_i_store(to, code_check_of(s.chunk[b], s.size[b], (uint64_t)b), CHECK);
        memcpy(to + CHECK, s.chunk[b], (size_t)s.size[b]);
        to += CHECK + s.size[b];
    }
    lode_array_swap(out, &result);
done:
    for (int64_t b = 0; s.chunk && b < s.grid.blocks; b++)
        lode_i_free((void *)(uintptr_t)s.chunk[b]);
    stream_free(ctx, &s);
    lode_i_free(delta);
    lode_i_free(head);
    LODE_FREE(&levels, &result);
    return st;
}

/* ---- decoding ---- */

static lode_status decode_block(lode_ctx *ctx, int64_t b, void *data)
{
    stream *s = data;
    code_bench *bench = NULL;
    LODE_FORWARD(bench_of(ctx, s, &bench));
    const bool good = !s->size[b] || lode_i_load(s->chunk[b] - CHECK, CHECK) ==
                                         code_check_of(s->chunk[b], s->size[b], (uint64_t)b);
    if (!good || !code_chunk_decode(&s->grid, b, s->chunk[b], s->size[b], &s->hints, &s->weights,
                                    bench, s->symbols))
        return lode_i_fail(ctx, LODE_EFORMAT, "coded chunk %" PRId64 " of %" PRId64 " is damaged",
                           b, s->grid.blocks);
    return LODE_OK;
}

lode_status code_decode(lode_ctx *ctx, const lode_array *coded, int ndim, const int64_t *shape,
                        int32_t *symbol)
{
    lode_status st = LODE_OK;
    stream s = { .symbols = symbol };
    int32_t *delta = NULL;
    uint64_t number = 0;

    LODE_REQUIRE(coded->dtype == LODE_U8 && coded->ndim == 1 && lode_array_is_contiguous(coded),
                 LODE_EFORMAT, "a coded stream must be a contiguous vector of bytes");
    if (coded->shape[0] > 0 && *(const uint8_t *)coded->data == FAST_VERSION)
        return fast_decode(ctx, coded, ndim, shape, symbol);
    LODE_TRY(stream_new(ctx, ndim, shape, &s));
    const uint8_t *const begin = coded->data, *const end = begin + coded->shape[0], *at = begin + 2;
    const int64_t length = code_hint_length(&s.grid);
    static const char damaged[] = "the header of a coded stream is damaged (%" PRId64 " bytes)";

    LODE_REQUIRE(coded->shape[0] >= 2 + CHECK, LODE_EFORMAT, damaged, coded->shape[0]);
    LODE_REQUIRE(begin[0] == VERSION, LODE_EFORMAT,
                 "coded stream of version %d; this build reads %d", (int)begin[0], (int)VERSION);
    s.hints.present = begin[1] & HAS_HINTS;
    s.hints.signs = begin[1] & HAS_SIGNS;
    bool good = begin[1] <= (HAS_HINTS | HAS_SIGNS) && code_take_number(&at, end, &number) &&
                number <= 1024;
    s.hints.base = (int32_t)number - 64;
    good = good && code_take_number(&at, end, &number) && number <= 10;
    s.hints.drop = (uint32_t)number;
    for (int k = 0; k < CODE_FEATURES && good; k++) {
        good = code_take_number(&at, end, &number) && number < 1024;
        s.weights.weight[k] = (uint32_t)number;
    }
    LODE_REQUIRE(good, LODE_EFORMAT, damaged, coded->shape[0]);
    if (s.hints.present) {
        LODE_REQUIRE(code_take_number(&at, end, &number) && number <= (uint64_t)(end - at) &&
                         ndim > 1,
                     LODE_EFORMAT, damaged, coded->shape[0]);
        const int64_t extra = (int64_t)number;
        const lode_array levels = lode_array_wrap((uint8_t *)(uintptr_t)at, LODE_U8, 1, &extra);
        LODE_TRY(LODE_NEW(ctx, length, &delta));
        LODE_TRY(code_decode(ctx, &levels, 1, &length, delta));
        code_hint_levels(&s.grid, &s.hints, delta);
        at += extra;
    }
    int64_t total = 0;
    for (int64_t b = 0; b < s.grid.blocks; b++) {
        LODE_REQUIRE(code_take_number(&at, end, &number) && number <= (uint64_t)coded->shape[0],
                     LODE_EFORMAT, damaged, coded->shape[0]);
        s.size[b] = (int64_t)number;
        total += number ? s.size[b] + CHECK : 0;
        LODE_REQUIRE(total <= coded->shape[0], LODE_EFORMAT, damaged, coded->shape[0]);
    }
    LODE_REQUIRE(end - at == total + CHECK &&
                     lode_i_load(at, CHECK) ==
                         code_check_of(begin, at - begin, code_shape_seed(&s.grid, VERSION)),
                 LODE_EFORMAT, damaged, coded->shape[0]);
    at += CHECK;
    for (int64_t b = 0; b < s.grid.blocks; b++) {
        s.chunk[b] = at + CHECK;
        at += s.size[b] ? s.size[b] + CHECK : 0;
    }
    LODE_TRY(lode_i_parallel(ctx, s.grid.blocks, decode_block, &s));
done:
    stream_free(ctx, &s);
    lode_i_free(delta);
    return st;
}

/* ---- arrays ---- */

lode_status code_of_symbols(lode_ctx *ctx, const lode_array *a)
{
    if (a->dtype == LODE_I32 && lode_array_is_contiguous(a))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EINTERNAL, "symbols are contiguous i32, not %s",
                       lode_dtype_name(a->dtype));
}

lode_status lode_i_encode(lode_ctx *ctx, const lode_array *symbols, lode_array *out)
{
    LODE_FORWARD(code_of_symbols(ctx, symbols));
    return code_encode(ctx, symbols->data, symbols->ndim, symbols->shape, out);
}

lode_status lode_i_decode(lode_ctx *ctx, const lode_array *coded, lode_array *symbols)
{
    LODE_FORWARD(code_of_symbols(ctx, symbols));
    return code_decode(ctx, coded, symbols->ndim, symbols->shape, symbols->data);
}

/* Blocks are drawn by weight, so that the few that hold most of the bits are met. A weight is about
 * what the block takes, so that what it takes of that is much the same for all of them. */
enum { DRAWN = 16, OCTAVES = 34 };

typedef struct sample {
    stream *s;
    double *weight;
    const int64_t *block;
    int64_t bytes[DRAWN];
} sample;

/* Bits of symbols whose octaves are coded by how often they come, signs and places in them as they are. */
static double bits_of(const int64_t *count)
{
    double all = 0, bits = 0;
    for (int k = 0; k < OCTAVES; k++)
        all += (double)count[k];
    for (int k = 0; k < OCTAVES; k++)
        if (count[k] > 0)
            bits += (double)count[k] * (log2(all / (double)count[k]) + k);
    return bits;
}

static lode_status weigh_block(lode_ctx *ctx, int64_t b, void *data)
{
    const sample *e = data;
    const code_grid *g = &e->s->grid;
    int64_t start[CODE_AXES], count[CODE_AXES], index[CODE_AXES] = { 0 }, rows = 1;
    int64_t flat = code_grid_block(g, b, start, count), met[OCTAVES] = { 0 };
    (void)ctx;
    for (int k = 0; k < g->ndim - 1; k++)
        rows *= count[k];
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < count[g->ndim - 1]; i++) {
            const int64_t v = e->s->symbols[flat + i];
            met[v ? 1 + code_log2((uint64_t)(v < 0 ? -v : v)) : 0]++; /* 0, 1, 2 to 3, 4 to 7, .. */
        }
        for (int k = g->ndim - 2; k >= 0; k--) {
            flat += g->stride[k];
            if (++index[k] < count[k])
                break;
            flat -= count[k] * g->stride[k];
            index[k] = 0;
        }
    }
    e->weight[b] = bits_of(met);
    return LODE_OK;
}

static lode_status draw_block(lode_ctx *ctx, int64_t i, void *data)
{
    sample *e = data;
    stream *s = e->s;
    code_bench *bench = NULL;
    LODE_FORWARD(bench_of(ctx, s, &bench));
    e->bytes[i] = code_chunk_encode(&s->grid, e->block[i], s->symbols, &s->hints, &s->weights,
                                    bench);
    return LODE_OK;
}

lode_status lode_i_encode_estimate(lode_ctx *ctx, const lode_array *symbols, double *bytes)
{
    lode_status st = LODE_OK;
    stream s = { .symbols = symbols->data };
    sample e = { .s = &s };
    lode_array coded = { 0 };
    int64_t block[DRAWN];
    double total = 0, passed = 0, sum = 0;

    LODE_TRY(code_of_symbols(ctx, symbols));
    LODE_TRY(stream_new(ctx, symbols->ndim, symbols->shape, &s));
    if (s.grid.blocks <= 2 * DRAWN) {
        LODE_TRY(lode_i_encode(ctx, symbols, &coded));
        *bytes = (double)coded.shape[0];
        goto done;
    }
    LODE_TRY(LODE_NEW(ctx, s.grid.blocks, &e.weight));
    LODE_TRY(code_fit(ctx, &s.grid, s.symbols, &s.hints, &s.weights));
    LODE_TRY(lode_i_parallel(ctx, s.grid.blocks, weigh_block, &e));
    for (int64_t b = 0; b < s.grid.blocks; b++)
        total += e.weight[b];
    int64_t drawn = 0;
    for (int64_t b = 0; b < s.grid.blocks && total > 0; b++) {
        passed += e.weight[b];
        while (drawn < DRAWN && passed >= total * ((double)drawn + 0.5) / DRAWN)
            block[drawn++] = b;
    }
    e.block = block;
    LODE_TRY(lode_i_parallel(ctx, drawn, draw_block, &e));
    for (int64_t i = 0; i < drawn; i++)
        sum += (double)e.bytes[i] / e.weight[block[i]];
    *bytes = (double)(HEAD + s.grid.blocks + code_hint_length(&s.grid) / 4) +
             (drawn ? sum / (double)drawn * total : 0);
done:
    stream_free(ctx, &s);
    lode_i_free(e.weight);
    LODE_FREE(&coded);
    return st;
}

void lode_i_symbols_box(const lode_array *symbols, int64_t *box)
{
    const int32_t *at = symbols->data;
    const int last = symbols->ndim - 1;
    int64_t index[LODE_MAX_NDIM] = { 0 }, rows = 1;
    if (last < 0)
        return;
    for (int k = 0; k <= last; k++) {
        box[k] = 0;
        rows *= k < last ? symbols->shape[k] : 1;
    }
    for (int64_t r = 0; r < rows; r++, at += symbols->shape[last]) {
        int64_t n = code_any_of(at, symbols->shape[last]) ? symbols->shape[last] : 0;
        while (n > 0 && !at[n - 1])
            n--;
        for (int k = 0; k < last && n > 0; k++)
            box[k] = lode_i_max(box[k], index[k] + 1);
        box[last] = lode_i_max(box[last], n);
        for (int k = last - 1; k >= 0 && ++index[k] == symbols->shape[k]; k--)
            index[k] = 0;
    }
}
