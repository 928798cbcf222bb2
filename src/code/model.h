/* What encoder and decoder must agree on, integer for integer: tokens, contexts, adaptive models
 * and the walk over a block of a tensor. */
#ifndef LODE_CODE_MODEL_H
#define LODE_CODE_MODEL_H

#include <string.h>

#include "code/code.h"

enum {
    CODE_TOKENS = 16,     /* letters of the alphabet that the models know */
    CODE_BITS = 15,       /* probabilities are multiples of 2^-15 */
    CODE_CHUNK = 1 << 16, /* symbols of a chunk at most */
    CODE_UNIT = 6,        /* magnitudes inside the model count 2^-6 */
    CODE_LEVELS = 152,    /* classes of the expected magnitude */
    CODE_REFINED = 20,    /* refinements of each pair of classes */
    CODE_FEATURES = 8,    /* what the expected magnitude is made of */
    CODE_WEIGHT_BITS = 8, /* weights count 2^-8 */
    CODE_JOINED = 6,      /* axes at most: of more, neighbours are joined */
    CODE_AXES = LODE_MAX_NDIM
};

/** Expected magnitude = (sum of weight * feature) >> CODE_WEIGHT_BITS. Features, all already coded:
 *  0 hint from the axes' marginals; 1, 2 one and two back on the last axis; 3 one back on the axis
 *  before; 4 its two diagonals; 5 one back on the axis before that; 6 its four diagonals; 7 one
 *  back on every other axis. Sums, not means: the weights divide. */
typedef struct code_weights {
    uint32_t weight[CODE_FEATURES];
} code_weights;

/** A tensor cut into blocks of at most CODE_CHUNK symbols: axes of length 1 are left out; while there
 *  are more than CODE_JOINED, the two in a row of the least product, the first of equals, are one. */
typedef struct code_grid {
    int ndim;
    int64_t shape[CODE_AXES], stride[CODE_AXES];
    int64_t side[CODE_AXES], parts[CODE_AXES];
    int64_t blocks;
} code_grid;
void code_grid_make(int ndim, const int64_t *shape, code_grid *g);
/** Where block `b` starts and how far it goes; returns the flat position of its first symbol. */
int64_t code_grid_block(const code_grid *g, int64_t b, int64_t *start, int64_t *count);

/** Logarithm of the expected magnitude along each axis: 2^(hint/4 octaves); row k is
 *  level[first[k]]... */
typedef struct code_hints {
    bool present, signs; /* signs: some symbol is negative */
    bool fast;           /* for the fast coder, which sees a smaller range */
    int64_t first[CODE_AXES];
    int32_t *level; /* sum of the axes' lengths, owned by the stream */
    int32_t base;
    uint32_t drop; /* magnitudes reach the model without their low `drop` bits */
} code_hints;

/** One adaptive distribution: lower cumulative counts of the 16 tokens, out of 2^24; a cache
 *  line. */
typedef struct code_model {
    int32_t low[CODE_TOKENS];
} code_model;

/** All that one worker needs for one chunk. */
typedef struct code_bench {
    code_model level[CODE_LEVELS];
    code_model refined[CODE_LEVELS / 2 * CODE_REFINED];
    uint16_t level_seen[CODE_LEVELS]; /* symbols that a model has learned from */
    uint16_t refined_seen[CODE_LEVELS / 2 * CODE_REFINED];
    uint32_t *padded;  /* magnitudes of the block with a border */
    uint64_t *partial; /* of a row: the part of the expectation that earlier rows give */
    uint32_t *hint;    /* of a row */
    uint32_t *events;  /* of a chunk: start and width of every coded interval, for the encoder */
    uint8_t *bytes;    /* of a chunk, coded */
    int64_t room;      /* for them */
} code_bench;
/** Most bytes a chunk can take: 2 a symbol from the models, 9 of plain bits, and its frame. */
static inline int64_t code_chunk_bytes(int64_t symbols)
{
    return symbols * 14 + 4096;
}
lode_status code_bench_new(lode_ctx *ctx, const code_grid *g, code_bench **bench);
void code_bench_free(code_bench *bench);
void code_bench_reset(code_bench *bench);

/** A walk over the rows of a block, within the box that holds all its nonzero symbols. */
enum {
    CODE_WALK = CODE_AXES + 2, /* axes of a walk: at least 3 */
    CODE_EXPECTED = 128        /* levels that are told apart: from -5 on */
};
typedef struct code_walk {
    int ndim;
    int64_t count[CODE_WALK];        /* of the box */
    int64_t stride[CODE_WALK];       /* in the padded block */
    int64_t index[CODE_WALK];        /* of the present row, in the box */
    const int32_t *level[CODE_WALK]; /* hints from the block's start on; NULL: none */
    int64_t rows;
    int64_t at; /* first symbol of the present row, in the padded block */
    uint32_t expected[CODE_EXPECTED];
} code_walk;
/** Values that the padded block and its rows can need. */
void code_walk_size(const code_grid *g, int64_t *padded, int64_t *row);
/** Fills the border with what the hints expect and stands before the first row. */
void code_walk_begin(const code_grid *g, const int64_t *start, const int64_t *count,
                     const int64_t *box, const code_hints *hints, uint32_t *padded, code_walk *w);
/** Goes to the next row: false past the last. */
bool code_walk_next(code_walk *w);
/** Sum of the base level and those of the present row's place on all axes but the last. */
int32_t code_walk_level(const code_walk *w, const code_hints *hints);
/** 2^(level / 4) in the model's units, level 0 being one unit; capped. */
static inline uint32_t code_expected(const code_walk *w, int32_t level)
{
    const int32_t at = level + 5 < 0 ? 0 : level + 5;
    return w->expected[at < CODE_EXPECTED ? at : CODE_EXPECTED - 1];
}
/** The same, and prepares bench->hint and, given weights, bench->partial. */
bool code_walk_row(code_walk *w, const code_hints *hints, const code_weights *weights,
                   code_bench *bench);
/** The features of symbol i of the present row, for the fit of the weights. */
void code_walk_features(const code_walk *w, const code_bench *bench, int64_t i,
                        uint32_t feature[CODE_FEATURES]);
/** Flat position in the tensor of the present row's first symbol, given that of the block's. */
int64_t code_walk_flat(const code_walk *w, const code_grid *g, int64_t first);

/** Numbers of 7 bits a byte: bytes written (at most 10); false past the end. */
int64_t code_put_number(uint8_t *to, uint64_t v);
bool code_take_number(const uint8_t **from, const uint8_t *end, uint64_t *v);

/** Evenly spaced values, bit for bit, as a record; empty where they are not. */
lode_status code_spaced_encode(lode_ctx *ctx, const lode_array *values, lode_array *out);
lode_status code_spaced_decode(lode_ctx *ctx, const lode_array *coded, lode_array *values);
/** Whole numbers (i32), which are used up, as exact values. */
lode_status code_words_encode(lode_ctx *ctx, lode_array *k, lode_array *out);

/** Not 0 where a symbol is not. */
int32_t code_any_of(const int32_t *symbols, int64_t n);
/** Extent from the block's start along each axis that holds its nonzero symbols; box[0] = 0: there
 *  are none. */
void code_find_box(const code_grid *g, const int64_t *count, const int32_t *symbols, int64_t first,
                   int64_t *box);
/** Writes zeros over a block. */
void code_clear_block(const code_grid *g, const int64_t *count, int64_t first, int32_t *symbols);
/** What a level expects of its tokens: lower cumulative counts out of 2^24. */
void code_level_default(uint32_t level, int32_t low[CODE_TOKENS]);

/* ---- streams: what both coders share; a checksum of 4 bytes ties a header to its shape ---- */

enum { CODE_CHECK = 4 };
uint64_t code_shape_seed(const code_grid *g, int version);
uint32_t code_check_of(const uint8_t *bytes, int64_t size, uint64_t seed);
/** Room for the levels and where those of each axis lie. */
lode_status code_hint_new(lode_ctx *ctx, const code_grid *g, code_hints *hints);
/** Levels of the hints as differences along their axis, in units of half an octave, and back. */
int64_t code_hint_length(const code_grid *g);
void code_hint_deltas(const code_grid *g, const code_hints *hints, int32_t *delta);
void code_hint_levels(const code_grid *g, code_hints *hints, const int32_t *delta);

/** Symbols are a contiguous array of i32. */
lode_status code_of_symbols(lode_ctx *ctx, const lode_array *a);
/** A whole stream, out new. */
lode_status code_encode(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                        lode_array *out);
lode_status code_decode(lode_ctx *ctx, const lode_array *coded, int ndim, const int64_t *shape,
                        int32_t *symbol);

/** Fits hints and weights (hints->fast: for the fast coder) to the symbols: floating point, so only the encoder does it and stores
 *  what it found. */
lode_status code_fit(lode_ctx *ctx, const code_grid *g, const int32_t *symbols, code_hints *hints,
                     code_weights *weights);

/** Codes a block (symbols: the whole tensor) into bench->bytes; returns their number, 0 when all is
 *  zero. */
int64_t code_chunk_encode(const code_grid *g, int64_t block, const int32_t *symbols,
                          const code_hints *hints, const code_weights *weights, code_bench *bench);
/** False when the bytes cannot be what the encoder wrote. size 0: all zero. */
bool code_chunk_decode(const code_grid *g, int64_t block, const uint8_t *bytes, int64_t size,
                       const code_hints *hints, const code_weights *weights, code_bench *bench,
                       int32_t *symbols);

/* Magnitude as the model sees it. */
static inline uint32_t code_seen(uint32_t magnitude, uint32_t drop)
{
    const uint32_t m = magnitude >> drop;
    return (m < UINT32_C(1) << 22 ? m : UINT32_C(1) << 22) << CODE_UNIT;
}

/* ---- the inner loop, inlined in encoder and decoder ---- */

typedef struct code_context {
    code_model *a, *b;
    uint16_t *a_seen, *b_seen;
    uint32_t shift; /* low bits of the magnitude that go uncoded */
} code_context;

static inline int code_log2(uint64_t v) /* floor, v > 0 */
{
    return 63 - lode_i_clz64(v);
}

/* Quarter octaves of an expected magnitude in units of 2^-CODE_UNIT: 0, then 4 an octave. */
static inline uint32_t code_level(uint64_t m)
{
    if (m < 4)
        return (uint32_t)m;
    const int n = code_log2(m);
    const uint32_t l = (uint32_t)(4 * (n - 1)) + (uint32_t)((m >> (n - 2)) & 3);
    return l < CODE_LEVELS ? l : CODE_LEVELS - 1;
}

/* Low bits that carry no structure: the magnitude is seen in steps of a half to a quarter of its
 * expectation, which costs less than 0.01 bit. */
static inline uint32_t code_shift(uint64_t m)
{
    const int n = m ? code_log2(m) : 0;
    const int shift = n - CODE_UNIT - 1;
    return shift < 0 ? 0 : shift < 31 ? (uint32_t)shift : 31;
}

/* Tokens: 0..9 themselves, then 10-11, 12-15, 16-23, 24-31, 32-63, 64 and more. */
static inline uint32_t code_token(uint32_t v)
{
    if (v < 10)
        return v;
    if (v < 12)
        return 10;
    if (v < 16)
        return 11;
    if (v < 32)
        return v < 24 ? 12 : 13;
    return v < 64 ? 14 : 15;
}
static const uint32_t code_token_first[CODE_TOKENS] = { 0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 12, 16, 24, 32, 64 };
static const uint32_t code_token_bits[CODE_TOKENS] = { 0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 1, 2, 3, 3, 5, 0 };

static inline void code_context_of(code_bench *bench, uint64_t m, uint64_t near, uint64_t hint,
                                   code_context *c)
{
    const uint32_t level = code_level(m);
    const uint32_t n = near * 4 < m ? 0 : near * 2 < m ? 1 : near < m ? 2 : near < 2 * m ? 3 : 4;
    const uint32_t h = hint * 2 < m ? 0 : hint < m ? 1 : hint < 2 * m ? 2 : 3;
    const uint32_t r = (level / 2) * CODE_REFINED + n * 4 + h;
    c->a = &bench->level[level], c->a_seen = &bench->level_seen[level];
    c->b = &bench->refined[r], c->b_seen = &bench->refined_seen[r];
    c->shift = code_shift(m);
    if (!*c->b_seen) { /* a refinement starts as what its level knows by then */
        *c->b = *c->a;
        *c->b_seen = *c->a_seen < 24 ? *c->a_seen : 24;
    }
}

/* Mean of the two distributions, every token at least 2^-15; low[16] is 2^15. */
static inline void code_mix(const int32_t *restrict a, const int32_t *restrict b,
                            uint32_t *restrict low)
{
    for (int i = 0; i < CODE_TOKENS; i++) {
        const uint32_t x = (uint32_t)(a[i] + b[i]) >> 10;
        low[i] = x - (x >> 11) + (uint32_t)i;
    }
    low[CODE_TOKENS] = UINT32_C(1) << CODE_BITS;
}

/* Where each lower count moves when a token comes, read at [16 - token]: a window into one row of
 * steps instead of comparisons, so that the update is plain vector arithmetic. */
extern const int32_t code_targets[2 * CODE_TOKENS];

static inline void code_update(int32_t *restrict low, const int32_t *restrict target,
                               uint16_t *seen, int limit)
{
    int rate = code_log2((uint64_t)*seen + 2);
    rate = rate < limit ? rate : limit;
    *seen = (uint16_t)(*seen + (*seen < UINT16_MAX));
    for (int i = 0; i < CODE_TOKENS; i++)
        low[i] += (target[i] - low[i]) >> rate;
}

static inline void code_context_update(const code_context *c, uint32_t token)
{
    const int32_t *target = code_targets + (CODE_TOKENS - 1 - token);
    code_update(c->a->low, target, c->a_seen, 10);
    code_update(c->b->low, target, c->b_seen, 9);
}

#endif
