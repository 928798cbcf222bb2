/* One chunk of the fast coder. A row's classes come first, from the rows before it; groups of 16
 * symbols that expect zeros begin with a flag that skips them; tokens go to rANS (after Duda; eight
 * states in turn, 32 bits, 16-bit words), low bits and signs into two streams of plain bits. */
#include "code/fast.h"

lode_status fast_bench_new(lode_ctx *ctx, const code_grid *g, fast_bench **bench)
{
    lode_status st = LODE_OK;
    fast_bench *b = NULL;
    int64_t padded = 0, row = 0, symbols = 1;

    for (int k = 0; k < g->ndim; k++)
        symbols *= lode_i_max(g->side[k], 1);
    code_walk_size(g, &padded, &row);
    row += FAST_GROUP;
    /* A symbol takes at most an event and a flag, a token of 12 bits or a word, 42 plain bits and
     * those of an escape; a row may be read too far by a word a symbol before that is found. */
    b = NULL;
    LODE_TRY(lode_i_calloc(ctx, sizeof *b, (void **)&b));
    b->room = 16 * symbols + 4 * row + 4096;
    LODE_TRY(LODE_NEW(ctx, padded, &b->padded));
    LODE_TRY(LODE_NEW(ctx, row, &b->column));
    LODE_TRY(LODE_NEW(ctx, row, &b->level));
    LODE_TRY(LODE_NEW(ctx, row, &b->token));
    LODE_TRY(LODE_NEW(ctx, 2 * symbols + FAST_GROUP, &b->events));
    LODE_TRY(LODE_NEW(ctx, 10 * symbols + FAST_SLACK, &b->bits));
    LODE_TRY(LODE_NEW(ctx, symbols / 8 + FAST_SLACK, &b->signs));
    LODE_TRY(LODE_NEW(ctx, b->room, &b->bytes));
    *bench = b;
    b = NULL;
done:
    fast_bench_free(b);
    return st;
}

void fast_bench_free(fast_bench *bench)
{
    if (!bench)
        return;
    lode_i_free(bench->padded);
    lode_i_free(bench->column);
    lode_i_free(bench->level);
    lode_i_free(bench->token);
    lode_i_free(bench->events);
    lode_i_free(bench->bits);
    lode_i_free(bench->signs);
    lode_i_free(bench->bytes);
    lode_i_free(bench);
}

lode_status fast_bench_mine(lode_ctx *ctx, const code_grid *g, fast_bench **table,
                            fast_bench **mine)
{
    fast_bench **own = &table[lode_i_worker(ctx)];
    if (!*own)
        LODE_FORWARD(fast_bench_new(ctx, g, own));
    *mine = *own;
    return LODE_OK;
}

void fast_bench_counts(lode_ctx *ctx, fast_bench *const *table, uint64_t *counts)
{
    for (int b = 0; b < lode_ctx_threads(ctx); b++)
        for (int e = 0; table[b] && e < FAST_EVENTS; e++)
            counts[e] += table[b]->counts[e];
}

void fast_bench_free_all(lode_ctx *ctx, fast_bench **table)
{
    for (int b = 0; table && b < lode_ctx_threads(ctx); b++)
        fast_bench_free(table[b]);
    lode_i_free(table);
}

/* ---- contexts ---- */

/* 2^(level / 4) in units of 2^-15, level <= 0. */
static uint32_t fraction(int32_t level)
{
    static const uint32_t quarter[4] = { 32768, 38968, 46341, 55109 };
    const int32_t octaves = (-level + 3) / 4;
    return octaves > 16 ? 0 : quarter[(level + 4 * octaves) & 3] >> octaves;
}

/* 2^(level / 4) in the model's units, up to 2^31. */
static uint32_t row_factor(int32_t level)
{
    static const uint32_t quarter[4] = { 256, 304, 362, 431 };
    if (level <= 0)
        return level < -4 ? 0 : 1;
    level = level < 4 * 31 ? level : 4 * 31 - 1;
    return (uint32_t)((uint64_t)quarter[level & 3] << (level >> 2) >> 8);
}

/* Factors of the hint along the last axis; returns the level they are relative to. */
int32_t fast_columns(const code_walk *w, uint32_t *column)
{
    const int64_t n = w->count[w->ndim - 1];
    const int32_t *level = w->level[w->ndim - 1];
    int32_t most = level ? level[0] : 0;
    for (int64_t i = 0; level && i < n; i++)
        most = level[i] > most ? level[i] : most;
    for (int64_t i = 0; i < n; i++)
        column[i] = level ? fraction(level[i] - most) : UINT32_C(1) << 15;
    return most;
}

static inline uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* What code_walk_row does, in 32 bits and without the row's own neighbours. Weights are below 2^9,
 * magnitudes at most 2^17, and there are at most 40 of them. */
LODE_CLONES void fast_row(const code_walk *w, int32_t most, const code_hints *hints,
                          const code_weights *weights, const uint16_t *restrict table,
                          const fast_bench *bench)
{
    const uint32_t factor = row_factor(code_walk_level(w, hints) + most);
    const uint32_t *const weight = weights->weight;
    uint16_t *restrict const level = bench->level;
    enum { PART = 512 };
    const int last = w->ndim - 1;
    const int64_t n = w->count[last], s = w->stride[last - 1];
    const uint32_t *const row = bench->padded + w->at;
    uint32_t sum[PART];

    for (int64_t from = 0; from < n; from += PART) {
        const int64_t count = lode_i_min(PART, n - from);
        const uint32_t *const up = row + from - s, *const back = row + from - w->stride[last - 2];
        const uint32_t *const column = bench->column + from;
        for (int64_t i = 0; i < count; i++) {
            const uint32_t hint = least((uint32_t)((uint64_t)factor * column[i] >> 15), 1 << 17);
            sum[i] = weight[0] * hint + weight[3] * up[i] + weight[4] * (up[i - 1] + up[i + 1]) +
                     weight[5] * back[i] +
                     weight[6] * (back[i - 1] + back[i + 1] + back[i - s] + back[i + s]);
        }
        for (int k = 0; k < last - 2; k++) {
            const uint32_t *const other = row + from - w->stride[k];
            for (int64_t i = 0; i < count; i++)
                sum[i] += weight[7] * other[i];
        }
        for (int64_t i = 0; i < count; i++) {
            const uint32_t m = least(sum[i] >> CODE_WEIGHT_BITS, (FAST_NEAR << FAST_FAR) - 1);
            level[from + i] = (uint16_t)(m < FAST_NEAR ? m : FAST_NEAR + (m >> FAST_FAR));
        }
        for (int64_t i = 0; i < count; i++)
            level[from + i] = table[level[from + i]];
    }
}

/* Classes of a group together: below FAST_QUIET where all its classes are. */
static inline uint32_t group_classes(const uint16_t *level, int64_t count)
{
    uint32_t all = 0;
    for (int64_t i = 0; i < count; i++)
        all |= level[i];
    return all & 0xff;
}

/* ---- encoding ---- */

typedef struct writer {
    uint8_t *to;
    uint64_t held;
    uint32_t count; /* bits held, below 8 between calls */
} writer;

static inline void put(writer *w, uint64_t value, uint32_t count) /* count <= 56 */
{
    w->held |= value << w->count;
    w->count += count;
    lode_i_store(w->to, w->held, 8);
    w->to += w->count >> 3;
    w->held >>= w->count & 56;
    w->count &= 7;
}

static const uint8_t token_of[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12,
    12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14,
    14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14,
};

/* v - 64 in its number of bits, 6 bits, and those. */
static writer put_escape(writer w, uint32_t v)
{
    const uint64_t rest = (uint64_t)v - code_token_first[CODE_TOKENS - 1] + 1;
    const uint32_t n = (uint32_t)code_log2(rest);
    put(&w, n, 6);
    put(&w, rest & ((UINT64_C(1) << n) - 1), n);
    return w;
}

/* Events, plain bits and signs of a group; a step at a time, so that most of them are vector
 * arithmetic. Returns the end of the events. */
static inline uint16_t *scan_group(const int32_t *restrict row, const uint16_t *restrict levels,
                                   int64_t count, uint32_t drop, uint32_t sign, fast_bench *bench,
                                   writer *restrict bits, writer *restrict signs,
                                   uint32_t (*restrict counts)[FAST_EVENTS],
                                   uint32_t *restrict seen, uint16_t *restrict event)
{
    uint32_t *restrict const magnitude = bench->magnitude, *restrict const v = bench->v;
    uint32_t *restrict const minus = bench->minus;
    uint32_t open = 0, held = 0, some = 0;

    for (int64_t i = 0; i < count; i++) {
        const uint32_t shift = levels[i] >> 8;
        minus[i] = (uint32_t)row[i] >> 31;
        magnitude[i] = ((uint32_t)row[i] ^ (0 - minus[i])) + minus[i];
        v[i] = magnitude[i] >> shift;
        seen[i] = fast_seen(magnitude[i], drop);
        open |= shift | (v[i] >= 10);
    }
    for (int64_t i = 0; i < count; i++) {
        const uint32_t k = v[i] < 64 ? token_of[v[i]] : CODE_TOKENS - 1;
        const uint32_t e = (levels[i] & 0xffU) * CODE_TOKENS + k;
        event[i] = (uint16_t)(e | (uint32_t)(i % FAST_STATES) << 10);
        counts[i & 3][e]++;
    }
    if (sign) {
        for (int64_t i = 0; i < count; i++) {
            held |= minus[i] << some;
            some += magnitude[i] != 0;
        }
        writer w = *signs;
        put(&w, held, some);
        *signs = w;
    }
    if (!open)
        return event + count;
    writer w = *bits; /* in registers */
    for (int64_t i = 0; i < count; i++) {
        /* what the token leaves open of v, then the low bits */
        const uint32_t k = event[i] & (CODE_TOKENS - 1), shift = levels[i] >> 8;
        const uint32_t own = code_token_bits[k];
        const uint64_t rest = (v[i] - code_token_first[k]) & ((UINT32_C(1) << own) - 1);
        if (k == CODE_TOKENS - 1)
            w = put_escape(w, v[i]);
        put(&w, rest << shift | (magnitude[i] & ((UINT64_C(1) << shift) - 1)), own + shift);
    }
    *bits = w;
    return event + count;
}

LODE_CLONES void fast_chunk_scan(const code_grid *g, int64_t block, const int32_t *symbols,
                                 const code_hints *hints, const code_weights *weights,
                                 const fast_tables *t, fast_bench *bench, fast_scan *s)
{
    int64_t start[CODE_AXES];
    const int64_t first = code_grid_block(g, block, start, s->count);
    const uint32_t drop = hints->drop;
    writer bits = { .to = bench->bits }, signs = { .to = bench->signs };
    uint32_t counts[4][FAST_EVENTS] = { { 0 } }; /* in turn, so that repeats need not wait */
    uint16_t *event = bench->events;
    code_walk w;

    code_find_box(g, s->count, symbols, first, s->box);
    s->event = s->box[0] ? event : NULL;
    s->events = s->bits = s->signs = 0;
    if (!s->event)
        return;
    code_walk_begin(g, start, s->count, s->box, hints, bench->padded, &w);
    const int64_t n = w.count[w.ndim - 1];
    const int32_t most = fast_columns(&w, bench->column);
    while (code_walk_next(&w)) {
        const int32_t *const row = symbols + code_walk_flat(&w, g, first);
        uint32_t *const seen = bench->padded + w.at;
        const uint16_t *const levels = bench->level;
        uint32_t turn = 0; /* flags of a row take the states in turn, as symbols of a group do */
        fast_row(&w, most, hints, weights, t->level, bench);
        /* all flags of the row, then the groups */
        for (int64_t from = 0; from < n; from += FAST_GROUP) {
            const int64_t count = lode_i_min(FAST_GROUP, n - from);
            const uint32_t all = group_classes(levels + from, count);
            if (all >= FAST_QUIET)
                continue;
            uint32_t any = 0;
            for (int64_t i = 0; i < count; i++)
                any |= (uint32_t)row[from + i];
            const uint32_t e = (FAST_LEVELS + all) * CODE_TOKENS + (any != 0);
            *event++ = (uint16_t)(e | (turn++ % FAST_STATES) << 10);
            counts[0][e]++;
            bench->token[from / FAST_GROUP] = any != 0;
        }
        for (int64_t from = 0; from < n; from += FAST_GROUP) {
            const int64_t count = lode_i_min(FAST_GROUP, n - from);
            if (group_classes(levels + from, count) < FAST_QUIET &&
                !bench->token[from / FAST_GROUP]) {
                memset(seen + from, 0, (size_t)count * sizeof *seen);
                continue;
            }
            if (count == FAST_GROUP)
                event = scan_group(row + from, levels + from, FAST_GROUP, drop, hints->signs, bench,
                                   &bits, &signs, counts, seen + from, event);
            else
                event = scan_group(row + from, levels + from, count, drop, hints->signs, bench,
                                   &bits, &signs, counts, seen + from, event);
        }
    }
    s->events = event - bench->events;
    s->bits = bits.to - bench->bits + (bits.count > 0);
    s->signs = signs.to - bench->signs + (signs.count > 0);
    for (int e = 0; e < FAST_EVENTS; e++)
        bench->counts[e] += (uint64_t)counts[0][e] + counts[1][e] + counts[2][e] + counts[3][e];
}

int64_t fast_chunk_encode(const code_grid *g, const fast_scan *s, const fast_tables *t,
                          fast_bench *bench)
{
    uint32_t x[FAST_STATES];
    uint8_t *to = bench->bytes;
    /* words grow downwards from here: rANS codes backwards, so that decoding goes forwards */
    uint8_t *const top = bench->bytes + bench->room;
    uint8_t *word = top;

    for (int k = 0; k < FAST_STATES; k++)
        x[k] = UINT32_C(1) << FAST_LOW;
    for (int64_t i = s->events - 1; i >= 0; i--) {
        const fast_step *const step = &t->step[s->event[i] & 1023];
        uint32_t *const state = &x[s->event[i] >> 10];
        uint32_t v = *state;
        lode_i_store(word - 2, v, 2);
        const uint32_t full = 0 - (uint32_t)(v >= step->limit); /* no branch, as in take_one */
        word -= full & 2;
        v >>= full & 16;
        *state = v + step->low +
                 (uint32_t)((uint64_t)v * step->reciprocal >> step->shift) * step->rest;
    }
    for (int k = 0; k < g->ndim; k++)
        to += code_put_number(to, (uint64_t)(s->count[k] - s->box[k]));
    to += code_put_number(to, (uint64_t)(top - word) / 2);
    to += code_put_number(to, (uint64_t)s->bits);
    for (int k = 0; k < FAST_STATES; k++, to += 4)
        lode_i_store(to, x[k], 4);
    memmove(to, word, (size_t)(top - word));
    to += top - word;
    memcpy(to, s->plain, (size_t)(s->bits + s->signs));
    return to - bench->bytes + s->bits + s->signs;
}

/* ---- decoding ---- */

/* Bits from place `at` on, 57 of them; past the end, some of no meaning, from inside the buffer. */
static inline uint64_t peek(const uint8_t *bits, uint64_t bytes, uint64_t at)
{
    const uint64_t byte = at >> 3;
    return lode_i_load(bits + (byte < bytes ? byte : bytes), 8) >> (at & 7);
}

typedef struct reader {
    uint32_t x[FAST_STATES];
    const uint8_t *word;
} reader;

static inline uint32_t take_one(uint32_t *state, const uint8_t **word, const fast_tables *t,
                                uint32_t class)
{
    const uint32_t x = *state, slot = x & (FAST_SLOTS - 1);
    const uint32_t k = t->token[class * FAST_SLOTS + slot];
    const uint32_t range = t->range[class * CODE_TOKENS + k];
    const uint32_t next = (range & 0xffff) * (x >> FAST_BITS) + slot - (range >> 16);
    /* all ones where a word is due: no branch, as it cannot be foreseen */
    const uint32_t due = 0 - (uint32_t)(next < UINT32_C(1) << FAST_LOW);
    *state = next << (due & 16) | ((uint32_t)lode_i_load(*word, 2) & due);
    *word += due & 2;
    return k;
}

/* Tokens of a whole group. */
static inline void take_group(reader *restrict r, const fast_tables *restrict t,
                              const uint16_t *restrict level, uint8_t *restrict token)
{
    const uint8_t *word = r->word;
    uint32_t x[FAST_STATES];
    for (int k = 0; k < FAST_STATES; k++)
        x[k] = r->x[k];
    for (int i = 0; i < FAST_GROUP; i += FAST_STATES)
        for (int k = 0; k < FAST_STATES; k++)
            token[i + k] = (uint8_t)take_one(&x[k], &word, t, level[i + k] & 0xff);
    for (int k = 0; k < FAST_STATES; k++)
        r->x[k] = x[k];
    r->word = word;
}

/* Tokens of fewer symbols, or flags of a row. */
static inline void take(reader *r, const fast_tables *t, const uint16_t *level, int64_t count,
                        uint8_t *token)
{
    for (int64_t i = 0; i < count; i++)
        token[i] = (uint8_t)take_one(&r->x[i % FAST_STATES], &r->word, t, level[i] & 0xff);
}

typedef struct plain {
    const uint8_t *bits, *signs;
    uint64_t bytes, at, sign_bytes, sign_at; /* sizes, and how far each was read, in bits */
    uint64_t wrong;
    uint32_t sign;
} plain;

/* Symbols from tokens; held: the signs that come next. */
static inline void finish_group(plain *p, const uint8_t *restrict token,
                                const uint16_t *restrict levels, int64_t count, uint64_t held,
                                uint32_t drop, uint32_t *restrict magnitude, int32_t *restrict row,
                                uint32_t *restrict seen)
{
    uint32_t open = 0;

    for (int64_t i = 0; i < count; i++) {
        open |= (uint32_t)(levels[i] >> 8) | (token[i] >= 10);
        magnitude[i] = token[i];
    }
    for (int64_t i = 0; open && i < count; i++) {
        const uint32_t k = token[i], shift = levels[i] >> 8;
        const uint32_t own = code_token_bits[k] + shift;
        uint64_t v = code_token_first[k];
        if (k == CODE_TOKENS - 1) {
            const uint32_t digits = (uint32_t)peek(p->bits, p->bytes, p->at) & 63;
            const uint64_t rest = peek(p->bits, p->bytes, p->at + 6) &
                                  ((UINT64_C(1) << (digits & 31)) - 1);
            p->wrong |= digits > 31;
            v += (rest | UINT64_C(1) << (digits & 31)) - 1;
            p->at += 6 + digits;
        }
        v = (v << shift) + (peek(p->bits, p->bytes, p->at) & ((UINT64_C(1) << own) - 1));
        p->at += own;
        p->wrong |= v >> 32;
        magnitude[i] = (uint32_t)v;
    }
    uint32_t large = 0, nonzeros = 0;
    held = p->sign ? held : 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t m = magnitude[i], nonzero = m != 0, minus = (uint32_t)held & nonzero;
        held >>= nonzero;
        nonzeros += nonzero;
        large |= (m - minus) >> 31;
        row[i] = (int32_t)((m ^ (0 - minus)) + minus);
        seen[i] = fast_seen(m, drop);
    }
    p->sign_at += p->sign ? nonzeros : 0;
    p->wrong |= large;
}

LODE_CLONES bool fast_chunk_decode(const code_grid *g, int64_t block, const uint8_t *bytes,
                                   int64_t size, const code_hints *hints,
                                   const code_weights *weights, const fast_tables *t,
                                   fast_bench *bench, int32_t *symbols)
{
    int64_t start[CODE_AXES], count[CODE_AXES], box[CODE_AXES];
    const int64_t first = code_grid_block(g, block, start, count);
    const uint8_t *from = bytes, *const end = bytes + size;
    const uint32_t drop = hints->drop;
    uint64_t words = 0, bits = 0;
    reader r;
    code_walk w;

    code_clear_block(g, count, first, symbols);
    if (size == 0)
        return true;
    for (int k = 0; k < g->ndim; k++) {
        uint64_t number = 0;
        if (!code_take_number(&from, end, &number) || number >= (uint64_t)count[k])
            return false;
        box[k] = count[k] - (int64_t)number;
    }
    if (!code_take_number(&from, end, &words) || !code_take_number(&from, end, &bits) ||
        end - from < 4 * FAST_STATES)
        return false;
    for (int k = 0; k < FAST_STATES; k++, from += 4)
        r.x[k] = (uint32_t)lode_i_load(from, 4);
    const uint64_t left = (uint64_t)(end - from);
    if (words > left / 2 || bits > left - 2 * words)
        return false;
    for (int k = 0; k < FAST_STATES; k++)
        if (r.x[k] < UINT32_C(1) << FAST_LOW || r.x[k] >> 31)
            return false;

    code_walk_begin(g, start, count, box, hints, bench->padded, &w);
    const int64_t n = w.count[w.ndim - 1];
    const uint64_t signs = left - 2 * words - bits;
    /* A copy with slack behind it: what is read too far is found after each row. */
    const int64_t slack = 2 * (n + n / FAST_GROUP + 1) + FAST_SLACK;
    if ((int64_t)left + slack > bench->room)
        return false;
    memcpy(bench->bytes, from, left);
    memset(bench->bytes + left, 0, (size_t)slack);
    r.word = bench->bytes;
    plain p = { .bits = bench->bytes + 2 * words, .bytes = bits, .sign = hints->signs };
    p.signs = p.bits + bits, p.sign_bytes = signs;
    const int32_t most = fast_columns(&w, bench->column);

    while (code_walk_next(&w)) {
        int32_t *const row = symbols + code_walk_flat(&w, g, first);
        uint32_t *const seen = bench->padded + w.at;
        const uint16_t *const levels = bench->level;
        uint8_t *const token = bench->token;
        int64_t flags = 0, flag = 0;
        fast_row(&w, most, hints, weights, t->level, bench);
        for (int64_t group = 0; group < n; group += FAST_GROUP) {
            const uint32_t all = group_classes(levels + group, lode_i_min(FAST_GROUP, n - group));
            bench->events[flags] = (uint16_t)(FAST_LEVELS + all);
            flags += all < FAST_QUIET;
        }
        uint8_t *const skip = (uint8_t *)(bench->events + flags);
        take(&r, t, bench->events, flags, skip);
        for (int64_t group = 0; group < n; group += FAST_GROUP) {
            const int64_t size_now = lode_i_min(FAST_GROUP, n - group);
            if (group_classes(levels + group, size_now) < FAST_QUIET && !skip[flag++]) {
                memset(seen + group, 0, (size_t)size_now * sizeof *seen);
                continue;
            }
            if (size_now == FAST_GROUP)
                take_group(&r, t, levels + group, token);
            else
                take(&r, t, levels + group, size_now, token);
            const uint64_t held = peek(p.signs, p.sign_bytes, p.sign_at);
            if (size_now == FAST_GROUP)
                finish_group(&p, token, levels + group, FAST_GROUP, held, drop, bench->magnitude,
                             row + group, seen + group);
            else
                finish_group(&p, token, levels + group, size_now, held, drop, bench->magnitude,
                             row + group, seen + group);
        }
        if (p.wrong || p.at > 8 * bits || p.sign_at > 8 * signs || r.word > p.bits)
            return false;
    }
    for (int k = 0; k < FAST_STATES; k++)
        p.wrong |= r.x[k] != UINT32_C(1) << FAST_LOW;
    return !p.wrong && r.word == p.bits && (p.at + 7) / 8 == bits && (p.sign_at + 7) / 8 == signs;
}
