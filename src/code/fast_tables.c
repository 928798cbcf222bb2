/* The fast coder's tables: classes of expectations, frequencies of their tokens, and what coding
 * with them needs. */
#include <math.h>

#include "code/fast.h"

/* Class of a level, and how many low bits of a magnitude go uncoded there. */
static uint32_t class_of(uint32_t level, uint32_t shift)
{
    return (level < FAST_LEVELS ? level : FAST_LEVELS - 4 + (level & 3)) | shift << 8;
}

void fast_levels(uint32_t drop, fast_tables *t)
{
    for (uint64_t i = 0; i < FAST_INDEX; i++) {
        const uint64_t m = (i < FAST_NEAR ? i : (i - FAST_NEAR) << FAST_FAR) << drop;
        t->level[i] = (uint16_t)class_of(code_level(m), code_shift(m));
    }
}

void fast_defaults(uint16_t *frequency)
{
    memset(frequency, 0, FAST_EVENTS * sizeof *frequency);
    for (uint32_t c = 0; c < FAST_LEVELS; c++) {
        /* where low bits go uncoded, what is left is as if so many octaves lower */
        const uint32_t octave = c / 4 + 1,
                       shift = octave > CODE_UNIT + 1 ? octave - CODE_UNIT - 1 : 0;
        int32_t low[CODE_TOKENS];
        uint32_t before = 0;
        code_level_default(c - 4 * shift, low);
        for (uint32_t k = 1; k <= CODE_TOKENS; k++) {
            const uint32_t x = k < CODE_TOKENS ? (uint32_t)low[k] >> (24 - FAST_BITS) : 0;
            const uint32_t next = k < CODE_TOKENS ? x - (x >> 8) + k : FAST_SLOTS;
            frequency[c * CODE_TOKENS + k - 1] = (uint16_t)(next - before);
            before = next;
        }
    }
    for (uint32_t c = 0; c < FAST_QUIET; c++) {
        uint16_t *f = frequency + (FAST_LEVELS + c) * CODE_TOKENS;
        f[1] = (uint16_t)(FAST_SLOTS * (2 * c + 1) / 16);
        f[0] = (uint16_t)(FAST_SLOTS - f[1]);
    }
}

static double length(const uint64_t *count, const uint16_t *frequency)
{
    double bits = 0;
    for (int k = 0; k < CODE_TOKENS; k++)
        if (count[k])
            bits += (double)count[k] * (FAST_BITS - log2((double)frequency[k]));
    return bits;
}

/* In proportion to the counts, none that occurs below 1; what rounding leaves over goes to the
 * largest. */
static void normalize(const uint64_t *count, uint64_t total, uint16_t *frequency)
{
    int32_t left = FAST_SLOTS;
    int largest = 0;
    for (int k = 0; k < CODE_TOKENS; k++) {
        const double share = (double)count[k] / (double)total * FAST_SLOTS;
        frequency[k] = (uint16_t)(count[k] ? lrint(fmax(share, 1)) : 0);
        left -= frequency[k];
        largest = count[k] > count[largest] ? k : largest;
    }
    frequency[largest] = (uint16_t)(frequency[largest] + left);
}

uint64_t fast_frequencies(const uint64_t *counts, uint16_t *frequency, double *bits)
{
    enum { PRICE = 100 }; /* bits of a stored class, about */
    uint64_t changed = 0;
    fast_defaults(frequency);
    *bits = 0;
    for (int c = 0; c < FAST_CLASSES; c++) {
        const uint64_t *count = counts + c * CODE_TOKENS;
        uint16_t own[CODE_TOKENS], *f = frequency + c * CODE_TOKENS;
        uint64_t total = 0;
        for (int k = 0; k < CODE_TOKENS; k++)
            total += count[k];
        if (!total)
            continue;
        normalize(count, total, own);
        const double before = length(count, f), after = length(count, own) + PRICE;
        if (after < before) {
            memcpy(f, own, sizeof own);
            changed |= UINT64_C(1) << c;
        }
        *bits += fmin(before, after);
    }
    return changed;
}

bool fast_prepare(fast_tables *t, bool decoder)
{
    for (uint32_t c = 0; c < FAST_CLASSES; c++) {
        uint32_t low = 0;
        for (uint32_t k = 0; k < CODE_TOKENS; k++) {
            const uint32_t e = c * CODE_TOKENS + k, f = t->frequency[e];
            if (f > FAST_SLOTS - low)
                return false;
            if (decoder) {
                memset(t->token + (size_t)c * FAST_SLOTS + low, (int)k, f);
                t->range[e] = f | low << 16;
            } else if (f) {
                /* floor(x / f) = x r >> (31 + s) for x < 2^31, r = ceil(2^(31 + s) / f),
                 * 2^(s - 1) < f <= 2^s: r f exceeds the power by less than 2^s. */
                const uint32_t s = f > 1 ? (uint32_t)code_log2(f - 1) + 1 : 0;
                t->step[e] = (fast_step){
                    .reciprocal = (uint32_t)(((UINT64_C(1) << (31 + s)) + f - 1) / f),
                    .limit = f << (FAST_LOW + 16 - FAST_BITS),
                    .low = (uint16_t)low,
                    .rest = (uint16_t)(FAST_SLOTS - f),
                    .shift = 31 + s,
                };
            }
            low += f;
        }
        if (low != FAST_SLOTS)
            return false;
    }
    return true;
}
