/* Decoding of quantized blocks, as ggml describes them: a block of 32 values has one scale (and one
 * offset), one of 256 has scales of its parts as well, in few bits. Low nibbles hold the first half of
 * a run of values, high nibbles the second. */
#include "io/ggufblock.h"

#include <math.h>
#include <string.h>

#include "array/scalar.h"

static float half(const uint8_t *p)
{
    return f32_load_f16((uint16_t)lode_i_load(p, 2));
}

static uint32_t word(const uint8_t *p)
{
    return (uint32_t)lode_i_load(p, 4);
}

/* ---- 32 values ---- */

static void q4_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)((b[2 + j] & 15) - 8) * d;
        y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
    }
}

static void q4_1(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)(b[4 + j] & 15) * d + m;
        y[j + 16] = (float)(b[4 + j] >> 4) * d + m;
    }
}

/* The fifth bits stand apart: bit i is of value i. */
static void q5_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    const uint32_t high = word(b + 2);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)((int)((b[6 + j] & 15) | (high >> j & 1) << 4) - 16) * d;
        y[j + 16] = (float)((int)((b[6 + j] >> 4) | (high >> (j + 16) & 1) << 4) - 16) * d;
    }
}

static void q5_1(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    const uint32_t high = word(b + 4);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)((b[8 + j] & 15) | (high >> j & 1) << 4) * d + m;
        y[j + 16] = (float)((b[8 + j] >> 4) | (high >> (j + 16) & 1) << 4) * d + m;
    }
}

static void q8_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int j = 0; j < 32; j++)
        y[j] = (float)(int8_t)b[2 + j] * d;
}

static const int8_t uneven[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113 };

static void iq4_nl(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)uneven[b[2 + j] & 15];
        y[j + 16] = d * (float)uneven[b[2 + j] >> 4];
    }
}

/* E2M1 values, twice as large, with half the scale 2^(e - 127). */
static void mxfp4(const uint8_t *b, float *y)
{
    static const int8_t twice[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };
    const float d = (float)ldexp(1, b[0] - 128);
    for (int j = 0; j < 16; j++) {
        y[j] = (float)twice[b[1 + j] & 15] * d;
        y[j + 16] = (float)twice[b[1 + j] >> 4] * d;
    }
}

/* ---- 256 values ---- */

/* 16 parts of 16: 4 bits of scale, 4 of offset. 2 bits a value: a byte holds values 32 apart. */
static void q2_k(const uint8_t *b, float *y)
{
    const uint8_t *scale = b, *q = b + 16;
    const float d = half(b + 80), m = half(b + 82);
    for (int i = 0; i < 256; i++) {
        const int part = i / 16;
        const float dl = d * (float)(scale[part] & 15), ml = m * (float)(scale[part] >> 4);
        y[i] = dl * (float)(q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - ml;
    }
}

/* 16 parts with scales of 6 bits: 4 low ones, and 2 high ones apart. 2 bits a value, and where the
 * third, in the mask, is missing, 4 less. */
static void q3_k(const uint8_t *b, float *y)
{
    const uint8_t *mask = b, *q = b + 32, *s = b + 96;
    const float d = half(b + 108);
    for (int i = 0; i < 256; i++) {
        const int part = i / 16;
        const int low = part < 8 ? s[part] & 15 : s[part - 8] >> 4;
        const int scale = low | (s[8 + part % 4] >> (part / 4 * 2) & 3) << 4;
        const float dl = d * (float)(scale - 32);
        const int v = q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        y[i] = dl * (float)(v - (mask[i % 32] >> (i / 32) & 1 ? 0 : 4));
    }
}

/* 8 parts with 6 bits of scale and of offset in 12 bytes. */
static void scale_of(int part, const uint8_t *s, int *scale, int *offset)
{
    if (part < 4) {
        *scale = s[part] & 63, *offset = s[part + 4] & 63;
    } else {
        *scale = (s[part + 4] & 15) | (s[part - 4] >> 6) << 4;
        *offset = (s[part + 4] >> 4) | (s[part] >> 6) << 4;
    }
}

static void q4_k(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    const uint8_t *q = b + 16;
    for (int part = 0; part < 8; part++) {
        int scale = 0, offset = 0;
        scale_of(part, b + 4, &scale, &offset);
        const float dl = d * (float)scale, ml = m * (float)offset;
        for (int i = 0; i < 32; i++)
            y[32 * part + i] = dl * (float)(q[part / 2 * 32 + i] >> (part % 2 * 4) & 15) - ml;
    }
}

static void q5_k(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    const uint8_t *high = b + 16, *q = b + 48;
    for (int part = 0; part < 8; part++) {
        int scale = 0, offset = 0;
        scale_of(part, b + 4, &scale, &offset);
        const float dl = d * (float)scale, ml = m * (float)offset;
        for (int i = 0; i < 32; i++) {
            const int v = (q[part / 2 * 32 + i] >> (part % 2 * 4) & 15) | (high[i] >> part & 1)
                                                                              << 4;
            y[32 * part + i] = dl * (float)v - ml;
        }
    }
}

/* 16 parts with scales of 8 bits. 4 low bits a value, a byte holds values 64 apart; 2 high ones, a
 * byte holds values 32 apart. */
static void q6_k(const uint8_t *b, float *y)
{
    const uint8_t *low = b, *high = b + 128;
    const float d = half(b + 208);
    for (int i = 0; i < 256; i++) {
        const int run = i / 128, at = i % 128;
        const int v = (low[run * 64 + at % 64] >> (at / 64 * 4) & 15) |
                      (high[run * 32 + at % 32] >> (at / 32 * 2) & 3) << 4;
        y[i] = d * (float)(int8_t)b[192 + i / 16] * (float)(v - 32);
    }
}

static void q8_k(const uint8_t *b, float *y)
{
    const uint32_t bits = word(b);
    float d = 0;
    memcpy(&d, &bits, sizeof d);
    for (int i = 0; i < 256; i++)
        y[i] = d * (float)(int8_t)b[4 + i];
}

static void iq4_xs(const uint8_t *b, float *y)
{
    const float d = half(b);
    const int high = (int)lode_i_load(b + 2, 2);
    for (int part = 0; part < 8; part++) {
        const int scale = (b[4 + part / 2] >> (part % 2 * 4) & 15) | (high >> (2 * part) & 3) << 4;
        const float dl = d * (float)(scale - 32);
        const uint8_t *q = b + 8 + 16 * part;
        for (int j = 0; j < 16; j++) {
            y[32 * part + j] = dl * (float)uneven[q[j] & 15];
            y[32 * part + j + 16] = dl * (float)uneven[q[j] >> 4];
        }
    }
}

static const lode_i_gguf_type types[] = {
    { 0, "F32", LODE_F32, 1, 4, NULL },           { 1, "F16", LODE_F16, 1, 2, NULL },
    { 2, "Q4_0", LODE_F32, 32, 18, q4_0 },        { 3, "Q4_1", LODE_F32, 32, 20, q4_1 },
    { 6, "Q5_0", LODE_F32, 32, 22, q5_0 },        { 7, "Q5_1", LODE_F32, 32, 24, q5_1 },
    { 8, "Q8_0", LODE_F32, 32, 34, q8_0 },        { 10, "Q2_K", LODE_F32, 256, 84, q2_k },
    { 11, "Q3_K", LODE_F32, 256, 110, q3_k },     { 12, "Q4_K", LODE_F32, 256, 144, q4_k },
    { 13, "Q5_K", LODE_F32, 256, 176, q5_k },     { 14, "Q6_K", LODE_F32, 256, 210, q6_k },
    { 15, "Q8_K", LODE_F32, 256, 292, q8_k },     { 20, "IQ4_NL", LODE_F32, 32, 18, iq4_nl },
    { 23, "IQ4_XS", LODE_F32, 256, 136, iq4_xs }, { 24, "I8", LODE_I8, 1, 1, NULL },
    { 25, "I16", LODE_I16, 1, 2, NULL },          { 26, "I32", LODE_I32, 1, 4, NULL },
    { 27, "I64", LODE_I64, 1, 8, NULL },          { 28, "F64", LODE_F64, 1, 8, NULL },
    { 30, "BF16", LODE_BF16, 1, 2, NULL },        { 39, "MXFP4", LODE_F32, 32, 17, mxfp4 },
};

const lode_i_gguf_type *lode_i_gguf_find(uint32_t code)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == code)
            return &types[i];
    return NULL;
}

const char *lode_i_gguf_name(uint32_t code)
{
    static const struct {
        uint32_t code;
        const char *name;
    } others[] = { { 9, "Q8_1" },   { 16, "IQ2_XXS" }, { 17, "IQ2_XS" }, { 18, "IQ3_XXS" },
                   { 19, "IQ1_S" }, { 21, "IQ3_S" },   { 22, "IQ2_S" },  { 29, "IQ1_M" },
                   { 34, "TQ1_0" }, { 35, "TQ2_0" } };
    const lode_i_gguf_type *t = lode_i_gguf_find(code);
    for (size_t i = 0; !t && i < sizeof others / sizeof *others; i++)
        if (others[i].code == code)
            return others[i].name;
    return t ? t->name : "unknown";
}
