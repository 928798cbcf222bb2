/* A tensor coded fast: a first pass counts, the tables follow, a second pass codes. Layout in
 * docs/format.md. */
#include "code/fast.h"

enum { HAS_HINTS = 1, HAS_SIGNS = 2, HEAD = 128, LONG = 32 * FAST_ROW };

typedef struct stream {
    code_grid grid;
    code_hints hints;
    code_weights weights;
    fast_tables *tables;
    int32_t *symbols;   /* of the whole tensor; the encoder only reads them */
    fast_bench **bench; /* one a worker, made when first needed */
    fast_scan *scan;    /* encoder: its parts own their event */
    const uint8_t **chunk;
    int64_t *size;
    bool keep;  /* events, for the second pass */
    bool coded; /* chunks are the encoder's own */
} stream;

static lode_status stream_new(lode_ctx *ctx, int ndim, const int64_t *shape, stream *s)
{
    const size_t workers = (size_t)lode_ctx_threads(ctx);
    code_grid_make(ndim, shape, &s->grid);
    s->hints.fast = true;
    LODE_FORWARD(code_hint_new(ctx, &s->grid, &s->hints));
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *s->tables, (void **)&s->tables));
    LODE_FORWARD(lode_i_calloc(ctx, workers * sizeof *s->bench, (void **)&s->bench));
    const size_t blocks = (size_t)s->grid.blocks + 1;
    LODE_FORWARD(lode_i_calloc(ctx, blocks * sizeof *s->chunk, (void **)&s->chunk));
    return lode_i_calloc(ctx, blocks * sizeof *s->size, (void **)&s->size);
}

static void stream_free(lode_ctx *ctx, stream *s)
{
    fast_bench_free_all(ctx, s->bench);
    for (int64_t b = 0; s->scan && b < s->grid.blocks; b++)
        lode_i_free(s->scan[b].event);
    for (int64_t b = 0; s->coded && b < s->grid.blocks; b++)
        lode_i_free((void *)(uintptr_t)s->chunk[b]);
    lode_i_free(s->scan);
    lode_i_free(s->hints.level);
    lode_i_free(s->tables);
    lode_i_free((void *)s->chunk);
    lode_i_free(s->size);
}

/* A long vector as rows: what lay one row back is a neighbour then, and each row has its hint.
 * False where the shape stays. */
static bool rows_of(int ndim, const int64_t *shape, int64_t *size, int64_t rows[2])
{
    int64_t longest = 0;
    *size = 1;
    for (int k = 0; k < ndim; k++) {
        *size *= shape[k];
        longest = lode_i_max(longest, shape[k]);
    }
    if (*size != longest || *size < LONG)
        return false;
    rows[0] = lode_i_ceil_div(*size, FAST_ROW);
    rows[1] = FAST_ROW;
    return true;
}

/* ---- encoding ---- */

static lode_status scan_block(lode_ctx *ctx, int64_t b, void *data)
{
    stream *s = data;
    fast_bench *bench = NULL;
    fast_scan found;
    uint16_t *copy = NULL;
    LODE_FORWARD(fast_bench_mine(ctx, &s->grid, s->bench, &bench));
    fast_chunk_scan(&s->grid, b, s->symbols, &s->hints, &s->weights, s->tables, bench, &found);
    s->size[b] = found.bits + found.signs;
    if (!found.event || !s->keep)
        return LODE_OK;
    const size_t events = (size_t)found.events * sizeof *copy;
    LODE_FORWARD(lode_i_alloc(ctx, events + (size_t)s->size[b], (void **)&copy));
    uint8_t *const plain = (uint8_t *)(copy + found.events);
    memcpy(copy, found.event, events);
    memcpy(plain, bench->bits, (size_t)found.bits);
    memcpy(plain + found.bits, bench->signs, (size_t)found.signs);
    found.event = copy;
    found.plain = plain;
    s->scan[b] = found;
    return LODE_OK;
}

static lode_status encode_block(lode_ctx *ctx, int64_t b, void *data)
{
    stream *s = data;
    fast_bench *bench = NULL;
    uint8_t *copy = NULL;
    LODE_FORWARD(fast_bench_mine(ctx, &s->grid, s->bench, &bench));
    s->size[b] = 0;
    if (!s->scan[b].event)
        return LODE_OK;
    const int64_t size = fast_chunk_encode(&s->grid, &s->scan[b], s->tables, bench);
    LODE_FORWARD(LODE_NEW(ctx, size, &copy));
    memcpy(copy, bench->bytes, (size_t)size);
    s->chunk[b] = copy;
    s->size[b] = size;
    lode_i_free(s->scan[b].event);
    s->scan[b].event = NULL;
    return LODE_OK;
}

/* Frequencies that differ from the defaults: which classes, and how. */
static lode_status tables_encode(lode_ctx *ctx, uint64_t changed, const uint16_t *frequency,
                                 lode_array *out)
{
    uint16_t usual[FAST_EVENTS];
    int32_t delta[FAST_EVENTS];
    int64_t n = 0;
    fast_defaults(usual);
    for (int e = 0; e < FAST_EVENTS; e++)
        if (changed >> (e / CODE_TOKENS) & 1)
            delta[n++] = (int32_t)frequency[e] - usual[e];
    return code_encode(ctx, delta, 1, &n, out);
}

static int64_t put_head(const stream *s, uint64_t changed, const lode_array *tables,
                        const lode_array *levels, uint8_t *head)
{
    const lode_array *part[2] = { levels, tables };
    int64_t at = 0;
    head[at++] = FAST_VERSION;
    head[at++] = (uint8_t)((s->hints.present ? HAS_HINTS : 0) | (s->hints.signs ? HAS_SIGNS : 0));
    at += code_put_number(head + at, (uint64_t)(s->hints.base + 64));
    at += code_put_number(head + at, s->hints.drop);
    for (int k = 0; k < CODE_FEATURES; k++)
        if (k != 1 && k != 2)
            at += code_put_number(head + at, s->weights.weight[k]);
    at += code_put_number(head + at, changed);
    for (int p = 0; p < 2; p++)
        if (p ? changed != 0 : s->hints.present) {
            const int64_t bytes = part[p]->shape[0];
            at += code_put_number(head + at, (uint64_t)bytes);
            memcpy(head + at, part[p]->data, (size_t)bytes);
            at += bytes;
        }
    for (int64_t b = 0; b < s->grid.blocks; b++)
        at += code_put_number(head + at, (uint64_t)s->size[b]);
    return at;
}

/* Header and chunks in one vector. */
static lode_status join(lode_ctx *ctx, const stream *s, const uint8_t *head, int64_t at,
                        lode_array *out)
{
    int64_t total = at + CODE_CHECK;
    for (int64_t b = 0; b < s->grid.blocks; b++)
        total += s->size[b] ? s->size[b] + CODE_CHECK : 0;
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_U8, total, out));
    uint8_t *to = out->data;
    memcpy(to, head, (size_t)at);
    lode_i_store(to + at, code_check_of(head, at, code_shape_seed(&s->grid, FAST_VERSION)),
                 CODE_CHECK);
    to += at + CODE_CHECK;
    for (int64_t b = 0; b < s->grid.blocks; b++) {
        if (!s->size[b])
            continue;
        lode_i_store(to, code_check_of(s->chunk[b], s->size[b], (uint64_t)b), CODE_CHECK);
        memcpy(to + CODE_CHECK, s->chunk[b], (size_t)s->size[b]);
        to += CODE_CHECK + s->size[b];
    }
    return LODE_OK;
}

static lode_status encode_grid(lode_ctx *ctx, stream *s, lode_array *out, double *bytes)
{
    lode_status st = LODE_OK;
    lode_array levels = { 0 }, tables = { 0 };
    const int64_t length = code_hint_length(&s->grid), blocks = s->grid.blocks;
    uint64_t counts[FAST_EVENTS] = { 0 };
    int32_t *delta = NULL;
    uint8_t *head = NULL;
    double bits = 0;

    if (blocks)
        LODE_TRY(code_fit(ctx, &s->grid, s->symbols, &s->hints, &s->weights));
    if (s->hints.present) {
        LODE_TRY(LODE_NEW(ctx, length, &delta));
        code_hint_deltas(&s->grid, &s->hints, delta);
        LODE_TRY(code_encode(ctx, delta, 1, &length, &levels));
    }
    fast_levels(s->hints.drop, s->tables);
    s->keep = out != NULL;
    if (s->keep)
        LODE_TRY(lode_i_calloc(ctx, (size_t)(blocks + 1) * sizeof *s->scan, (void **)&s->scan));
    LODE_TRY(lode_i_parallel(ctx, blocks, scan_block, s));
    fast_bench_counts(ctx, s->bench, counts);
    const uint64_t changed = fast_frequencies(counts, s->tables->frequency, &bits);
    if (!out) {
        *bytes = HEAD / 4 + (double)lode_array_bytes(&levels) + bits / 8;
        for (int64_t b = 0; b < blocks; b++)
            *bytes += (double)s->size[b] + 2 + (s->size[b] ? 44 : 0);
        goto done;
    }
    LODE_REQUIRE(fast_prepare(s->tables, false), LODE_EINTERNAL, "frequencies do not sum up");
    s->coded = true;
    LODE_TRY(lode_i_parallel(ctx, blocks, encode_block, s));
    if (changed)
        LODE_TRY(tables_encode(ctx, changed, s->tables->frequency, &tables));
    LODE_TRY(LODE_NEW(
        ctx, HEAD + (int64_t)(lode_array_bytes(&levels) + lode_array_bytes(&tables)) + 10 * blocks,
        &head));
    LODE_TRY(join(ctx, s, head, put_head(s, changed, &tables, &levels, head), out));
done:
    lode_i_free(delta);
    lode_i_free(head);
    LODE_FREE(&levels, &tables);
    return st;
}

lode_status fast_encode(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                        lode_array *out, double *bytes)
{
    lode_status st = LODE_OK;
    lode_array result = { 0 };
    int32_t *copy = NULL;
    int64_t n = 0, rows[2];
    stream s = { .symbols = (int32_t *)(uintptr_t)symbol };

    if (rows_of(ndim, shape, &n, rows)) {
        LODE_TRY(LODE_NEW(ctx, rows[0] * rows[1], &copy));
        memcpy(copy, symbol, (size_t)n * sizeof *copy);
        memset(copy + n, 0, (size_t)(rows[0] * rows[1] - n) * sizeof *copy);
        s.symbols = copy;
        ndim = 2, shape = rows;
    }
    LODE_TRY(stream_new(ctx, ndim, shape, &s));
    LODE_TRY(encode_grid(ctx, &s, out ? &result : NULL, bytes));
    if (out)
        lode_array_swap(out, &result);
done:
    stream_free(ctx, &s);
    lode_i_free(copy);
    LODE_FREE(&result);
    return st;
}

/* ---- decoding ---- */

static lode_status decode_block(lode_ctx *ctx, int64_t b, void *data)
{
    stream *s = data;
    fast_bench *bench = NULL;
    LODE_FORWARD(fast_bench_mine(ctx, &s->grid, s->bench, &bench));
    const bool good = !s->size[b] || lode_i_load(s->chunk[b] - CODE_CHECK, CODE_CHECK) ==
                                         code_check_of(s->chunk[b], s->size[b], (uint64_t)b);
    if (!good || !fast_chunk_decode(&s->grid, b, s->chunk[b], s->size[b], &s->hints, &s->weights,
                                    s->tables, bench, s->symbols))
        return lode_i_fail(ctx, LODE_EFORMAT, "coded chunk %" PRId64 " of %" PRId64 " is damaged",
                           b, s->grid.blocks);
    return LODE_OK;
}

/* Numbers coded the other way, of a known count. */
static lode_status take_part(lode_ctx *ctx, const uint8_t **at, const uint8_t *end, int64_t count,
                             int32_t *numbers)
{
    uint64_t bytes = 0;
    if (!code_take_number(at, end, &bytes) || bytes > (uint64_t)(end - *at) || bytes < 1 ||
        **at == FAST_VERSION)
        return lode_i_fail(ctx, LODE_EFORMAT, "the header of a coded stream is damaged");
    const int64_t size = (int64_t)bytes;
    const lode_array part = lode_array_wrap((uint8_t *)(uintptr_t)*at, LODE_U8, 1, &size);
    *at += size;
    return code_decode(ctx, &part, 1, &count, numbers);
}

static lode_status take_tables(lode_ctx *ctx, const uint8_t **at, const uint8_t *end,
                               uint64_t changed, fast_tables *t)
{
    int32_t delta[FAST_EVENTS];
    int64_t n = 0;
    bool good = true;
    fast_defaults(t->frequency);
    for (int c = 0; c < FAST_CLASSES; c++)
        n += changed >> c & 1 ? CODE_TOKENS : 0;
    if (n)
        LODE_FORWARD(take_part(ctx, at, end, n, delta));
    n = 0;
    for (int e = 0; e < FAST_EVENTS; e++)
        if (changed >> (e / CODE_TOKENS) & 1) {
            const int64_t f = (int64_t)t->frequency[e] + delta[n++];
            good = good && f >= 0 && f <= FAST_SLOTS;
            t->frequency[e] = (uint16_t)(good ? f : 0);
        }
    if (!good || !fast_prepare(t, true))
        return lode_i_fail(ctx, LODE_EFORMAT, "the tables of a coded stream are damaged");
    return LODE_OK;
}

static lode_status decode_grid(lode_ctx *ctx, const lode_array *coded, stream *s)
{
    static const char damaged[] = "a coded stream's header is damaged (%" PRId64 " bytes)";
    lode_status st = LODE_OK;
    int32_t *delta = NULL;
    uint64_t number = 0, changed = 0;
    const uint8_t *const begin = coded->data, *const end = begin + coded->shape[0], *at = begin + 2;
    const int64_t size = coded->shape[0], blocks = s->grid.blocks;

    LODE_REQUIRE(size >= 2 + CODE_CHECK && begin[0] == FAST_VERSION &&
                     begin[1] <= (HAS_HINTS | HAS_SIGNS),
                 LODE_EFORMAT, damaged, size);
    s->hints.present = begin[1] & HAS_HINTS;
    s->hints.signs = begin[1] & HAS_SIGNS;
    bool good = code_take_number(&at, end, &number) && number <= 1024;
    s->hints.base = (int32_t)number - 64;
    good = good && code_take_number(&at, end, &number) && number <= 26;
    s->hints.drop = (uint32_t)number;
    for (int k = 0; k < CODE_FEATURES && good; k++) {
        if (k == 1 || k == 2)
            continue;
        good = code_take_number(&at, end, &number) && number <= FAST_WEIGHT;
        s->weights.weight[k] = (uint32_t)number;
    }
    good = good && code_take_number(&at, end, &changed) && !(changed >> FAST_CLASSES);
    LODE_REQUIRE(good && (!s->hints.present || s->grid.ndim > 1), LODE_EFORMAT, damaged, size);
    if (s->hints.present) {
        const int64_t length = code_hint_length(&s->grid);
        LODE_TRY(LODE_NEW(ctx, length, &delta));
        LODE_TRY(take_part(ctx, &at, end, length, delta));
        code_hint_levels(&s->grid, &s->hints, delta);
    }
    fast_levels(s->hints.drop, s->tables);
    LODE_TRY(take_tables(ctx, &at, end, changed, s->tables));
    int64_t total = 0;
    for (int64_t b = 0; b < blocks; b++) {
        LODE_REQUIRE(code_take_number(&at, end, &number) && number <= (uint64_t)size, LODE_EFORMAT,
                     damaged, size);
        s->size[b] = (int64_t)number;
        total += number ? s->size[b] + CODE_CHECK : 0;
        LODE_REQUIRE(total <= size, LODE_EFORMAT, damaged, size);
    }
    LODE_REQUIRE(end - at == total + CODE_CHECK &&
                     lode_i_load(at, CODE_CHECK) ==
                         code_check_of(begin, at - begin, code_shape_seed(&s->grid, FAST_VERSION)),
                 LODE_EFORMAT, damaged, size);
    at += CODE_CHECK;
    for (int64_t b = 0; b < blocks; b++) {
        s->chunk[b] = at + CODE_CHECK;
        at += s->size[b] ? s->size[b] + CODE_CHECK : 0;
    }
    LODE_TRY(lode_i_parallel(ctx, blocks, decode_block, s));
done:
    lode_i_free(delta);
    return st;
}

lode_status fast_decode(lode_ctx *ctx, const lode_array *coded, int ndim, const int64_t *shape,
                        int32_t *symbol)
{
    lode_status st = LODE_OK;
    int32_t *copy = NULL;
    int64_t n = 0, rows[2];
    stream s = { .symbols = symbol };

    const bool folded = rows_of(ndim, shape, &n, rows);
    if (folded) {
        LODE_TRY(LODE_NEW(ctx, rows[0] * rows[1], &copy));
        s.symbols = copy;
        ndim = 2, shape = rows;
    }
    LODE_TRY(stream_new(ctx, ndim, shape, &s));
    LODE_TRY(decode_grid(ctx, coded, &s));
    if (folded)
        memcpy(symbol, copy, (size_t)n * sizeof *copy);
done:
    stream_free(ctx, &s);
    lode_i_free(copy);
    return st;
}

/* ---- arrays ---- */

lode_status lode_i_encode_fast(lode_ctx *ctx, const lode_array *symbols, lode_array *out)
{
    LODE_FORWARD(code_of_symbols(ctx, symbols));
    return fast_encode(ctx, symbols->data, symbols->ndim, symbols->shape, out, NULL);
}

lode_status lode_i_encode_fast_estimate(lode_ctx *ctx, const lode_array *symbols, double *bytes)
{
    LODE_FORWARD(code_of_symbols(ctx, symbols));
    return fast_encode(ctx, symbols->data, symbols->ndim, symbols->shape, NULL, bytes);
}
