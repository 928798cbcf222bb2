/* Checksums of 64 bits and tree digests of 256, fixed by the formulas here, which are part of the
 * file format. They find accidents: one wrong bit, a lost block, swapped chunks. They do not resist
 * a forger.
 *
 *   C[0..39]   the first 40 outputs of splitmix64 from state 0, each with its lowest bit set
 *   mum(a, b)  low 64 bits of the product a b, exclusive-or its high 64 bits
 *   w[s][l]    the input as 64-bit words, little-endian, zero bytes appended to a multiple of 64;
 *              word l of 0..7 of stripe s
 *
 *   hash(bytes, size, seed, j), j = 0..4, adding modulo 2^64:
 *       a[l] = C[8 j + l] + seed                                     l = 0..7
 *       for each stripe s in order:  a[l] = mum(a[l] ^ w[s][l], C[8 j + l])
 *       h = size ^ C[8 j];  for l = 0..7:  h = mum(h ^ a[l], C[8 ((j + 1) mod 5) + l])
 *       h = h ^ (h >> 32);  h = h C[8 j];  h = h ^ (h >> 29)
 *
 *   checksum(bytes, seed)    hash with j = 0
 *
 *   digest of leaf number n, of bytes that may be many: one product of 32 by 32 bits a word, which
 *   vector units have; stripes in blocks of 16, m = s mod 16; lo, hi: the halves of 32 bits
 *       a[l] = C[l] + n
 *       for each stripe s in order:  x[l] = w[s][l] ^ C[8 + m + l]
 *                                    a[l] = a[l] + lo(x[l]) hi(x[l]) + w[s][l ^ 1]
 *           if m = 15:  a[l] = (a[l] ^ (a[l] >> 47) ^ C[31 + l]) 0x9E3779B1
 *       words j = 1..4:  h from these a and size, as above
 *   digest of a whole        that of leaf 2^64 - 1 whose bytes are the leaves' words in order,
 *   little-endian in hexadecimal           the four words in order, 16 digits each, most
 *                    significant first */
#include "base/base.h"

#include <string.h>

enum { LANES = 8, STRIPE = 8 * LANES, STRIPES = 16, BLOCK = STRIPES * STRIPE };

static const uint64_t C[5 * LANES] = {
    UINT64_C(0xE220A8397B1DCDAF), UINT64_C(0x6E789E6AA1B965F5), UINT64_C(0x06C45D188009454F),
    UINT64_C(0xF88BB8A8724C81ED), UINT64_C(0x1B39896A51A8749B), UINT64_C(0x53CB9F0C747EA2EB),
    UINT64_C(0x2C829ABE1F4532E1), UINT64_C(0xC584133AC916AB3D), UINT64_C(0x3EE5789041C98AC3),
    UINT64_C(0xF3B8488C368CB0A7), UINT64_C(0x657EECDD3CB13D09), UINT64_C(0xC2D326E0055BDEF7),
    UINT64_C(0x8621A03FE0BBDB7B), UINT64_C(0x8E1F7555983AA92F), UINT64_C(0xB54E0F1600CC4D19),
    UINT64_C(0x84BB3F97971D80AB), UINT64_C(0x7D29825C75521255), UINT64_C(0xC3CF17102B7F7F87),
    UINT64_C(0x3466E9A083914F65), UINT64_C(0xD81A8D2B5A4485AD), UINT64_C(0xDB01602B100B9ED7),
    UINT64_C(0xA9038A921825F10D), UINT64_C(0xEDF5F1D90DCA2F6B), UINT64_C(0x54496AD67BD2634D),
    UINT64_C(0xDD7C01D4F5407269), UINT64_C(0x935E82F1DB4C4F7B), UINT64_C(0x69B82EBC92233301),
    UINT64_C(0x40D29EB57DE1D511), UINT64_C(0xA2F09DABB45C6317), UINT64_C(0xEE521D7A0F4D3873),
    UINT64_C(0xF16952EE72F3454F), UINT64_C(0x377D35DEA8E40225), UINT64_C(0x0C7DE8064963BAB1),
    UINT64_C(0x05582D37111AC529), UINT64_C(0xD254741F599DC6F7), UINT64_C(0x69630F7593D108C3),
    UINT64_C(0x417EF96181DAA383), UINT64_C(0x3C3C41A3B43343A1), UINT64_C(0x6E19905DCBE531DF),
    UINT64_C(0x4FA9FA7324851729),
};

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 wide;

static inline uint64_t mum(uint64_t a, uint64_t b)
{
    const wide p = (wide)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}
#else
static inline uint64_t mum(uint64_t a, uint64_t b)
{
    const uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), low = a0 * b1 + (middle & UINT32_MAX);
    return a * b ^ (a1 * b1 + (middle >> 32) + (low >> 32));
}
#endif

static inline uint64_t word(const unsigned char *p)
{
    return lode_i_load(p, 8);
}

static void start(uint64_t a[LANES], uint64_t seed)
{
    for (int l = 0; l < LANES; l++)
        a[l] = C[l] + seed;
}

/* Whole stripes; the lanes live in registers. */
static void absorb(uint64_t a[LANES], const unsigned char *p, size_t stripes)
{
    uint64_t a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
    for (size_t s = 0; s < stripes; s++, p += STRIPE) {
        a0 = mum(a0 ^ word(p), C[0]);
        a1 = mum(a1 ^ word(p + 8), C[1]);
        a2 = mum(a2 ^ word(p + 16), C[2]);
        a3 = mum(a3 ^ word(p + 24), C[3]);
        a4 = mum(a4 ^ word(p + 32), C[4]);
        a5 = mum(a5 ^ word(p + 40), C[5]);
        a6 = mum(a6 ^ word(p + 48), C[6]);
        a7 = mum(a7 ^ word(p + 56), C[7]);
    }
    a[0] = a0, a[1] = a1, a[2] = a2, a[3] = a3, a[4] = a4, a[5] = a5, a[6] = a6, a[7] = a7;
}

static uint64_t finish(const uint64_t a[LANES], int j, size_t size)
{
    const uint64_t *next = C + LANES * ((j + 1) % 5);
    uint64_t h = (uint64_t)size ^ C[LANES * j];
    for (int l = 0; l < LANES; l++)
        h = mum(h ^ a[l], next[l]);
    h ^= h >> 32;
    h *= C[LANES * j];
    return h ^ h >> 29;
}

uint64_t lode_i_checksum(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *p = bytes;
    const size_t rest = size % STRIPE;
    unsigned char end[STRIPE] = { 0 };
    uint64_t a[LANES];
    start(a, seed);
    absorb(a, p, size / STRIPE);
    if (rest > 0) {
        memcpy(end, p + (size - rest), rest);
        absorb(a, end, 1);
    }
    return finish(a, 0, size);
}

/* Four lanes; gcc and clang split it for narrower machines. */
typedef uint64_t quad __attribute__((vector_size(32)));
enum { QUAD = 4, AHEAD = 4096 };

static inline void four_words(const unsigned char *p, quad *w)
{
    if (!LODE_I_BIG_ENDIAN)
        memcpy(w, p, sizeof *w);
    else
        *w = (quad){ word(p), word(p + 8), word(p + 16), word(p + 24) };
}

/* Of a block's stripes, without what follows the last of 16. */
LODE_CLONES static void mix(uint64_t a[LANES], const unsigned char *p, size_t stripes)
{
    quad product[2] = { { 0 } }, sum[2] = { { 0 } };
    for (size_t m = 0; m < stripes; m++) {
        __builtin_prefetch((const void *)((uintptr_t)p + m * STRIPE + AHEAD));
        for (size_t i = 0; i < 2; i++) {
            quad w, x;
            four_words(p + m * STRIPE + i * sizeof w, &w);
            memcpy(&x, C + LANES + m + i * QUAD, sizeof x);
            x ^= w;
            product[i] += (x & UINT32_MAX) * (x >> 32);
            sum[i] += w;
        }
    }
    for (int l = 0; l < LANES; l++)
        a[l] += product[l / QUAD][l % QUAD] + sum[l / QUAD][(l ^ 1) % QUAD];
}

static void mix_block(uint64_t a[LANES], const unsigned char *p)
{
    mix(a, p, STRIPES);
    for (int l = 0; l < LANES; l++)
        a[l] = (a[l] ^ a[l] >> 47 ^ C[31 + l]) * UINT64_C(0x9E3779B1);
}

/* What is less than a block. */
static void mix_rest(uint64_t a[LANES], const unsigned char *p, size_t size, size_t all,
                     lode_digest *d)
{
    unsigned char end[BLOCK] = { 0 };
    if (size > 0)
        memcpy(end, p, size);
    if (size > BLOCK - STRIPE)
        mix_block(a, end);
    else
        mix(a, end, (size + STRIPE - 1) / STRIPE);
    for (int j = 0; j < 4; j++)
        d->word[j] = finish(a, j + 1, all);
}

void lode_i_digest(const void *bytes, size_t size, uint64_t leaf, lode_digest *d)
{
    const unsigned char *p = bytes;
    size_t left = size;
    uint64_t a[LANES];
    start(a, leaf);
    for (; left >= BLOCK; p += BLOCK, left -= BLOCK)
        mix_block(a, p);
    mix_rest(a, p, left, size, d);
}

/* As lode_i_digest of the parts' little-endian bytes. */
void lode_i_digest_join(const lode_digest *parts, int64_t count, lode_digest *d)
{
    enum { WORDS = BLOCK / 8 };
    unsigned char bytes[BLOCK];
    uint64_t a[LANES];
    const size_t words = count > 0 ? (size_t)count * 4 : 0;
    start(a, UINT64_MAX);
    for (size_t at = 0; at < words; at++) {
        lode_i_store(bytes + at % WORDS * 8, parts[at / 4].word[at % 4], 8);
        if (at % WORDS == WORDS - 1)
            mix_block(a, bytes);
    }
    mix_rest(a, bytes, words % WORDS * 8, words * 8, d);
}

void lode_i_digest_hex(const lode_digest *d, char hex[72])
{
    snprintf(hex, 72, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, d->word[0],
             d->word[1], d->word[2], d->word[3]);
}
