/* The fast coder: contexts from hints and earlier rows alone, so that a row's are known before its
 * symbols; distributions fixed for the whole stream, counted in a first pass; rANS with eight
 * states. */
#ifndef LODE_CODE_FAST_H
#define LODE_CODE_FAST_H

#include "code/model.h"

enum {
    FAST_LEVELS = 36,  /* classes of the expected magnitude; the last four stand for all above */
    FAST_QUIET = 4,    /* classes that expect zeros */
    FAST_CLASSES = 40, /* and one a quiet class for the flags of groups */
    FAST_GROUP = 16,   /* symbols that one flag can skip */
    FAST_BITS = 12,    /* probabilities are multiples of 2^-12 */
    FAST_SLOTS = 1 << FAST_BITS,
    FAST_STATES = 8,
    FAST_LOW = 15,     /* a state stays in [2^15, 2^31) */
    FAST_SEEN = 2047,  /* largest magnitude that contexts tell apart, after the drop */
    FAST_WEIGHT = 511, /* largest weight: 32 bits hold the sum of all features */
    FAST_NEAR = 1024,  /* expectations below this are looked up as they are, */
    FAST_FAR = 7,      /* those above without their low bits */
    FAST_INDEX = 2 * FAST_NEAR,
    FAST_SLACK = 32, /* bytes that may be read behind bits */
    FAST_ROW = 128   /* a long vector is coded as rows of this length */
};
/* First byte of a stream; that of the other coder's is 1. */
enum { FAST_VERSION = 2 };
enum { FAST_EVENTS = FAST_CLASSES * CODE_TOKENS };

/** How one token of one class is coded: x / frequency by multiplication. */
typedef struct fast_step {
    uint32_t reciprocal, limit;
    uint16_t low, rest; /* of 2^12; rest = 2^12 - frequency */
    uint32_t shift;
} fast_step;

/** Fixed for a stream. */
typedef struct fast_tables {
    uint16_t level[FAST_INDEX]; /* of an expectation: class, and its shift in the upper byte */
    uint16_t frequency[FAST_EVENTS];
    fast_step step[FAST_EVENTS];                      /* encoder */
    uint32_t range[FAST_EVENTS];                      /* decoder: frequency and, above, low */
    uint8_t token[(size_t)FAST_CLASSES * FAST_SLOTS]; /* decoder */
} fast_tables;

/** What one worker needs. */
typedef struct fast_bench {
    uint32_t *padded;      /* magnitudes of the block with a border */
    uint32_t *column;      /* factors of the hint along the last axis, in 2^-15 */
    uint16_t *level;       /* of a row: entries of fast_tables.level */
    uint8_t *token;        /* of a row */
    uint16_t *events;      /* class, state and token, as coded */
    uint8_t *bits, *signs; /* plain: low bits of magnitudes; signs of nonzeros */
    uint8_t *bytes;        /* a chunk coded, or about to be decoded */
    int64_t room;          /* of bytes */
    uint32_t magnitude[FAST_GROUP], v[FAST_GROUP], minus[FAST_GROUP];
    uint64_t counts[FAST_EVENTS];
} fast_bench;
lode_status fast_bench_new(lode_ctx *ctx, const code_grid *g, fast_bench **bench);
void fast_bench_free(fast_bench *bench);
/** A table of one a worker, each made when first needed. */
lode_status fast_bench_mine(lode_ctx *ctx, const code_grid *g, fast_bench **table,
                            fast_bench **mine);
/** What all of them counted, added to counts. */
void fast_bench_counts(lode_ctx *ctx, fast_bench *const *table, uint64_t *counts);
void fast_bench_free_all(lode_ctx *ctx, fast_bench **table);

/** A chunk after the first pass: its events, then its plain bits and its signs. */
typedef struct fast_scan {
    int64_t box[CODE_AXES], count[CODE_AXES];
    int64_t events, bits, signs; /* bytes of the last two */
    uint16_t *event;             /* all zero: NULL */
    const uint8_t *plain;
} fast_scan;
/** Fills bench->events, bits, signs and adds to bench->counts; points s there. */
void fast_chunk_scan(const code_grid *g, int64_t block, const int32_t *symbols,
                     const code_hints *hints, const code_weights *weights, const fast_tables *t,
                     fast_bench *bench, fast_scan *s);
/** The chunk in bench->bytes; returns its size. */
int64_t fast_chunk_encode(const code_grid *g, const fast_scan *s, const fast_tables *t,
                          fast_bench *bench);
/** False when the bytes cannot be what the encoder wrote. size 0: all zero. */
bool fast_chunk_decode(const code_grid *g, int64_t block, const uint8_t *bytes, int64_t size,
                       const code_hints *hints, const code_weights *weights, const fast_tables *t,
                       fast_bench *bench, int32_t *symbols);

/** Which entry of `level` each expectation finds; depends on hints->drop alone. */
void fast_levels(uint32_t drop, fast_tables *t);
/** Frequencies before anything is known, and those that counts ask for where they pay; changed
 *  classes are told in a set of bits. Bits of all events under them. */
void fast_defaults(uint16_t *frequency);
uint64_t fast_frequencies(const uint64_t *counts, uint16_t *frequency, double *bits);
/** Steps, ranges and tokens from the frequencies; false unless each class sums to 2^12. */
bool fast_prepare(fast_tables *t, bool decoder);

/* ---- contexts and rates for what chooses symbols ---- */

/** Factors of the hint along the last axis, in bench->column; returns the level they are relative
 *  to. Then the classes of the walk's present row: bench->level, entries of fast_tables.level. */
int32_t fast_columns(const code_walk *w, uint32_t *column);
void fast_row(const code_walk *w, int32_t most, const code_hints *hints,
              const code_weights *weights, const uint16_t *table, const fast_bench *bench);

/* Magnitudes that thresholds tell apart: the last stands for all above. */
enum { FAST_TOLD = 16 };
/** Bits of the tokens of each class and of a sign, and the thresholds that follow: a value that
 *  lies `left` steps beyond the magnitude m nearest to it comes to m - 1 where left < least[][m]. */
typedef struct fast_rates {
    float token[FAST_CLASSES][CODE_TOKENS], sign;
    float least[FAST_LEVELS][FAST_TOLD];
    float price, shift[2];
} fast_rates;
/** Fills in all below the first line: values come back shifted so, a bit is worth `price`
 *  squared steps. */
void fast_thresholds(const double shift[2], float price, fast_rates *r);

lode_status fast_encode(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                        lode_array *out, double *bytes);
lode_status fast_decode(lode_ctx *ctx, const lode_array *coded, int ndim, const int64_t *shape,
                        int32_t *symbol);

static inline uint32_t fast_seen(uint32_t magnitude, uint32_t drop)
{
    const uint32_t m = magnitude >> drop;
    return (m < FAST_SEEN ? m : FAST_SEEN) << CODE_UNIT;
}

#endif
