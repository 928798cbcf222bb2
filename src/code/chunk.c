/* One chunk: a block of symbols through the models and a range coder (rANS after Duda, 64-bit
 * state,
 * 32-bit words). Signs and bits below a token go past the models into a second stream of plain
 * bits. */
#include "code/model.h"

enum { LOW = 31 }; /* the state stays in [2^31, 2^63) */

const int32_t code_targets[2 * CODE_TOKENS] = {
    0,       0,       0,       0,       0,       0,       0,       0,
    0,       0,       0,       0,       0,       0,       0,       0,
    1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24,
    1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24, 1 << 24,
};

lode_status code_bench_new(lode_ctx *ctx, const code_grid *g, code_bench **bench)
{
    lode_status st = LODE_OK;
    code_bench *b = NULL;
    int64_t padded = 0, row = 0, symbols = 1;

    for (int k = 0; k < g->ndim; k++)
        symbols *= lode_i_max(g->side[k], 1);
    code_walk_size(g, &padded, &row);
    LODE_TRY(lode_i_calloc(ctx, sizeof *b, (void **)&b));
    LODE_TRY(LODE_NEW(ctx, padded, &b->padded));
    LODE_TRY(LODE_NEW(ctx, row, &b->partial));
    LODE_TRY(LODE_NEW(ctx, row, &b->hint));
    LODE_TRY(LODE_NEW(ctx, symbols, &b->events));
    b->room = code_chunk_bytes(symbols);
    LODE_TRY(LODE_NEW(ctx, b->room, &b->bytes));
    *bench = b;
    b = NULL;
done:
    code_bench_free(b);
    return st;
}

void code_bench_free(code_bench *bench)
{
    if (!bench)
        return;
    lode_i_free(bench->padded);
    lode_i_free(bench->partial);
    lode_i_free(bench->hint);
    lode_i_free(bench->events);
    lode_i_free(bench->bytes);
    lode_i_free(bench);
}

/* A mixture of geometric distributions around the level's expectation, so that short chunks need not
 * learn what all data have in common. */
void code_level_default(uint32_t l, int32_t low[CODE_TOKENS])
{
    /* middle of the level in 2^-16, then theta = m / (1 + m) for means m/2 and 3m/2 */
    const uint64_t n = l < 4 ? 0 : l / 4 + 1;
    uint64_t m = l < 4 ? (2 * l + 1) << (15 - CODE_UNIT)
                       : (uint64_t)(2 * (l & 3) + 9) << (16 - CODE_UNIT + n - 3);
    m >>= n > CODE_UNIT + 1 ? n - CODE_UNIT - 1 : 0;
    for (uint32_t t = 0; t < CODE_TOKENS; t++) {
        uint64_t sum = 0;
        for (uint64_t c = 1; c <= 3; c += 2) {
            const uint64_t mean = m * c / 2 + 1;
            const uint64_t theta = (mean << 30) / ((UINT64_C(1) << 16) + mean);
            uint64_t tail = UINT64_C(1) << 30;
            for (uint32_t i = 0; i < code_token_first[t]; i++)
                tail = tail * theta >> 30;
            sum += (UINT64_C(1) << 30) - tail;
        }
        low[t] = (int32_t)(sum >> 7);
    }
}

void code_bench_reset(code_bench *bench)
{
    for (uint32_t l = 0; l < CODE_LEVELS; l++) {
        code_level_default(l, bench->level[l].low);
        bench->level_seen[l] = 6;
    }
    memset(bench->refined_seen, 0, sizeof bench->refined_seen);
}

/* ---- numbers and bits ---- */

typedef struct bits {
    uint8_t *to;
    const uint8_t *from, *end;
    uint64_t held;
    uint32_t count; /* bits held */
    uint32_t over;  /* bytes taken past the end */
} bits;

static inline void put(bits *b, uint32_t value, uint32_t count) /* count <= 32 */
{
    b->held |= (uint64_t)value << b->count;
    b->count += count;
    if (b->count >= 32) {
        lode_i_store(b->to, b->held, 4);
        b->to += 4;
        b->held >>= 32;
        b->count -= 32;
    }
}

static void put_rest(bits *b)
{
    for (uint32_t k = 0; k < b->count; k += 8)
        *b->to++ = (uint8_t)(b->held >> k);
}

static inline uint32_t take(bits *b, uint32_t count) /* count <= 32 */
{
    if (b->count < count) {
        if (b->end - b->from >= 4) {
            b->held |= lode_i_load(b->from, 4) << b->count;
            b->from += 4;
            b->count += 32;
        } else
            for (; b->count <= 32; b->count += 8) { /* zeros past the end, which `over` counts */
                const bool more = b->from < b->end;
                b->held |= (uint64_t)(more ? *b->from : 0) << b->count;
                b->from += more;
                b->over += !more;
            }
    }
    const uint32_t v = (uint32_t)(b->held & ((UINT64_C(1) << count) - 1));
    b->held >>= count;
    b->count -= count;
    return v;
}

/* Whether no more was taken than there was: bytes read ahead do not count. */
static bool take_held(const bits *b)
{
    return 8 * b->over <= b->count;
}

int64_t code_put_number(uint8_t *to, uint64_t v)
{
    int64_t n = 0;
    for (; v >= 128; v >>= 7)
        to[n++] = (uint8_t)(v | 128);
    to[n++] = (uint8_t)v;
    return n;
}

bool code_take_number(const uint8_t **from, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned s = 0; s < 64 && *from < end; s += 7) {
        const uint8_t byte = *(*from)++;
        *v |= (uint64_t)(byte & 127) << s;
        if (byte < 128)
            return true;
    }
    return false;
}

static void put_escape(bits *b, uint32_t v) /* v >= 0: Elias gamma of v + 1 */
{
    const uint64_t w = (uint64_t)v + 1;
    const uint32_t n = (uint32_t)code_log2(w);
    for (uint32_t i = 0; i < n; i++)
        put(b, 1, 1);
    put(b, 0, 1);
    put(b, (uint32_t)(w & ((UINT64_C(1) << n) - 1)), n);
}

static bool take_escape(bits *b, uint32_t *v)
{
    uint32_t n = 0;
    while (take(b, 1))
        if (++n > 32)
            return false;
    const uint64_t w = (UINT64_C(1) << n) | take(b, n);
    *v = (uint32_t)(w - 1);
    return w - 1 <= UINT32_MAX;
}

/* ---- a chunk: box, words, plain bits ---- */

LODE_CLONES int32_t code_any_of(const int32_t *symbols, int64_t n)
{
    int32_t all = 0;
    for (int64_t i = 0; i < n; i++)
        all |= symbols[i];
    return all;
}

void code_find_box(const code_grid *g, const int64_t *count, const int32_t *symbols, int64_t first,
                   int64_t *box)
{
    int64_t index[CODE_AXES] = { 0 };
    const int last = g->ndim - 1;
    int64_t rows = 1;
    for (int k = 0; k < g->ndim; k++)
        box[k] = 0;
    for (int k = 0; k < last; k++)
        rows *= count[k];
    for (int64_t r = 0; r < rows; r++) {
        int64_t n = code_any_of(symbols + first, count[last]) ? count[last] : 0;
        while (n > 0 && !symbols[first + n - 1])
            n--;
        if (n > 0) {
            for (int k = 0; k < last; k++)
                box[k] = lode_i_max(box[k], index[k] + 1);
            box[last] = lode_i_max(box[last], n);
        }
        for (int k = last - 1; k >= 0; k--) {
            first += g->stride[k];
            if (++index[k] < count[k])
                break;
            first -= count[k] * g->stride[k];
            index[k] = 0;
        }
    }
}

void code_clear_block(const code_grid *g, const int64_t *count, int64_t first, int32_t *symbols)
{
    int64_t index[CODE_AXES] = { 0 }, rows = 1;
    const int last = g->ndim - 1;
    for (int k = 0; k < last; k++)
        rows *= count[k];
    for (int64_t r = 0; r < rows; r++) {
        memset(symbols + first, 0, (size_t)count[last] * sizeof *symbols);
        for (int k = last - 1; k >= 0; k--) {
            first += g->stride[k];
            if (++index[k] < count[k])
                break;
            first -= count[k] * g->stride[k];
            index[k] = 0;
        }
    }
}

static uint32_t magnitude_of(int32_t s)
{
    return s < 0 ? 0 - (uint32_t)s : (uint32_t)s;
}

LODE_CLONES int64_t code_chunk_encode(const code_grid *g, int64_t block, const int32_t *symbols,
                                      const code_hints *hints, const code_weights *weights,
                                      code_bench *bench)
{
    int64_t start[CODE_AXES], count[CODE_AXES], box[CODE_AXES];
    const int64_t first = code_grid_block(g, block, start, count);
    const uint64_t w1 = weights->weight[1], w2 = weights->weight[2];
    const uint32_t sign = hints->signs, drop = hints->drop;
    int64_t events = 0, head = 0;
    code_walk w;

    code_find_box(g, count, symbols, first, box);
    if (box[0] == 0)
        return 0;
    for (int k = 0; k < g->ndim; k++)
        head += code_put_number(bench->bytes + head, (uint64_t)(count[k] - box[k]));
    /* Plain bits go straight behind the place where the words will be moved to: first into the
     * upper part of the buffer. Words take at most 15 bits a symbol, so half the buffer is ample
     * for each. */
    uint8_t *const plain = bench->bytes + bench->room / 4;
    bits b = { .to = plain };

    code_bench_reset(bench);
    code_walk_begin(g, start, count, box, hints, bench->padded, &w);
    while (code_walk_row(&w, hints, weights, bench)) {
        const int32_t *from = symbols + code_walk_flat(&w, g, first);
        uint32_t *seen = bench->padded + w.at;
        for (int64_t i = 0; i < w.count[w.ndim - 1]; i++) {
            const uint32_t magnitude = magnitude_of(from[i]);
            const uint64_t m = (bench->partial[i] + w1 * seen[i - 1] + w2 * seen[i - 2]) >>
                               CODE_WEIGHT_BITS;
            uint32_t low[CODE_TOKENS + 1];
            code_context c;

            code_context_of(bench, m << drop, (uint64_t)seen[i - 1] << drop,
                            (uint64_t)bench->hint[i] << drop, &c);
            code_mix(c.a->low, c.b->low, low);
            const uint32_t v = magnitude >> c.shift, t = code_token(v);
            bench->events[events++] = low[t] << 16 | (low[t + 1] - low[t]);
            code_context_update(&c, t);
            if (t == CODE_TOKENS - 1)
                put_escape(&b, v - code_token_first[t]);
            else if (code_token_bits[t])
                put(&b, v - code_token_first[t], code_token_bits[t]);
            if (magnitude) /* low bits and sign together: at most 32 */
                put(&b,
                    (magnitude & ((UINT32_C(1) << c.shift) - 1)) | (uint32_t)(from[i] < 0)
                                                                       << c.shift,
                    c.shift + sign);
            else if (c.shift)
                put(&b, 0, c.shift);
            seen[i] = code_seen(magnitude, drop);
        }
    }
    put_rest(&b);

    /* rANS codes backwards, so that decoding goes forwards. */
    uint64_t x = UINT64_C(1) << LOW;
    uint32_t *const event = bench->events;
    int64_t written = 0;
    for (int64_t i = events - 1; i >= 0; i--) {
        const uint64_t low = event[i] >> 16, freq = event[i] & 0xffff;
        if (x >= freq << (63 - CODE_BITS)) {
            /* overwrites events already used: one word each at most */
            event[events - ++written] = (uint32_t)x;
            x >>= 32;
        }
        x = ((x / freq) << CODE_BITS) + x % freq + low;
    }
    uint8_t *to = bench->bytes + head;
    to += code_put_number(to, (uint64_t)written);
    lode_i_store(to, x, 8);
    to += 8;
    for (int64_t i = 0; i < written; i++, to += 4)
        lode_i_store(to, event[events - written + i], 4);
    const int64_t tail = b.to - plain;
    memmove(to, plain, (size_t)tail);
    return to - bench->bytes + tail;
}

LODE_CLONES bool code_chunk_decode(const code_grid *g, int64_t block, const uint8_t *bytes,
                                   int64_t size, const code_hints *hints,
                                   const code_weights *weights, code_bench *bench, int32_t *symbols)
{
    int64_t start[CODE_AXES], count[CODE_AXES], box[CODE_AXES];
    const int64_t first = code_grid_block(g, block, start, count);
    const uint64_t w1 = weights->weight[1], w2 = weights->weight[2];
    const uint32_t sign = hints->signs, drop = hints->drop;
    const uint8_t *from = bytes, *const end = bytes + size;
    uint64_t number = 0, x = 0;
    code_walk w;

    code_clear_block(g, count, first, symbols);
    if (size == 0)
        return true;
    for (int k = 0; k < g->ndim; k++) {
        if (!code_take_number(&from, end, &number) || number >= (uint64_t)count[k])
            return false;
        box[k] = count[k] - (int64_t)number;
    }
    if (!code_take_number(&from, end, &number) || end - from < 8 ||
        number > (uint64_t)(end - from - 8) / 4)
        return false;
    for (int s = 0; s < 64; s += 8)
        x |= (uint64_t)*from++ << s;
    const uint8_t *const words = from + 4 * number;
    bits b = { .from = words, .end = end };

    code_bench_reset(bench);
    code_walk_begin(g, start, count, box, hints, bench->padded, &w);
    while (code_walk_row(&w, hints, weights, bench)) {
        int32_t *to = symbols + code_walk_flat(&w, g, first);
        uint32_t *seen = bench->padded + w.at;
        for (int64_t i = 0; i < w.count[w.ndim - 1]; i++) {
            const uint64_t m = (bench->partial[i] + w1 * seen[i - 1] + w2 * seen[i - 2]) >>
                               CODE_WEIGHT_BITS;
            uint32_t low[CODE_TOKENS + 1], t = 0, v = 0;
            code_context c;

            code_context_of(bench, m << drop, (uint64_t)seen[i - 1] << drop,
                            (uint64_t)bench->hint[i] << drop, &c);
            code_mix(c.a->low, c.b->low, low);
            const uint32_t at = (uint32_t)x & ((UINT32_C(1) << CODE_BITS) - 1);
            for (int j = 0; j < CODE_TOKENS; j++)
                t += low[j] <= at;
            t--;
            x = (low[t + 1] - low[t]) * (x >> CODE_BITS) + at - low[t];
            if (x < UINT64_C(1) << LOW) {
                if (words - from < 4)
                    return false;
                x = x << 32 | lode_i_load(from, 4);
                from += 4;
            }
            code_context_update(&c, t);
            if (t == CODE_TOKENS - 1) {
                if (!take_escape(&b, &v) || v > UINT32_MAX - 64)
                    return false;
            } else
                v = take(&b, code_token_bits[t]);
            v += code_token_first[t];
            uint64_t magnitude = (uint64_t)v << c.shift;
            int64_t value = 0;
            if (magnitude || c.shift) {
                magnitude |= take(&b, c.shift);
                const bool negative = magnitude && take(&b, sign);
                value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
                if (value < INT32_MIN || value > INT32_MAX)
                    return false;
            }
            to[i] = (int32_t)value;
            seen[i] = code_seen((uint32_t)magnitude, drop);
        }
        if (!take_held(&b))
            return false;
    }
    return from == words && x == UINT64_C(1) << LOW && take_held(&b) && b.from == end;
}
