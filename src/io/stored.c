/* Values that follow one by one from plain ones in a file: widened, scaled, with a code for missing,
 * or with the sign bit the other way round. The stored rectangle is read into the end of the
 * destination, which has room for it, and converted from its beginning on. */
#include "io/io.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512 };

/* A block as both a number and, where it was stored as one, an integer (u64: its bits). */
typedef struct block {
    double real[BLOCK];
    int64_t whole[BLOCK];
} block;

static void widen(lode_dtype dtype, const unsigned char *p, int64_t n, block *b)
{
#define WIDEN(type, wide)                                                                          \
    for (int64_t i = 0; i < n; i++) {                                                              \
        type v;                                                                                    \
        memcpy(&v, p + (size_t)i * sizeof v, sizeof v);                                            \
        b->real[i] = (double)v;                                                                    \
        b->whole[i] = (int64_t)(wide)v;                                                            \
    }                                                                                              \
    break
#define REAL(type)                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                              \
        type v;                                                                                    \
        memcpy(&v, p + (size_t)i * sizeof v, sizeof v);                                            \
        b->real[i] = (double)v;                                                                    \
    }                                                                                              \
    break
    switch (dtype) {
    case LODE_I8: WIDEN(int8_t, int8_t);
    case LODE_I16: WIDEN(int16_t, int16_t);
    case LODE_I32: WIDEN(int32_t, int32_t);
    case LODE_I64: WIDEN(int64_t, int64_t);
    case LODE_BOOL:
    case LODE_U8: WIDEN(uint8_t, uint8_t);
    case LODE_U16: WIDEN(uint16_t, uint16_t);
    case LODE_U32: WIDEN(uint32_t, uint32_t);
    case LODE_U64: WIDEN(uint64_t, uint64_t);
    case LODE_F32: REAL(float);
    default: REAL(double);
    }
#undef WIDEN
#undef REAL
}

static void narrow(lode_dtype dtype, const block *b, int64_t n, unsigned char *p)
{
#define NARROW(type, from)                                                                         \
    for (int64_t i = 0; i < n; i++) {                                                              \
        const type v = (type)b->from[i];                                                           \
        memcpy(p + (size_t)i * sizeof v, &v, sizeof v);                                            \
    }                                                                                              \
    break
    switch (dtype) {
    case LODE_I8: NARROW(int8_t, whole);
    case LODE_I16: NARROW(int16_t, whole);
    case LODE_I32: NARROW(int32_t, whole);
    case LODE_I64: NARROW(int64_t, whole);
    case LODE_U8: NARROW(uint8_t, whole);
    case LODE_U16: NARROW(uint16_t, whole);
    case LODE_U32: NARROW(uint32_t, whole);
    case LODE_U64: NARROW(uint64_t, whole);
    case LODE_F32: NARROW(float, real);
    default: NARROW(double, real);
    }
#undef NARROW
}

static void follow(const lode_i_stored *s, bool whole, int64_t n, block *b)
{
    const int bits = 8 * (int)lode_dtype_size(s->dtype);
    if (s->flip) /* two's complement with the highest bit turned: unsigned from signed, or back */
        for (int64_t i = 0; i < n; i++)
            b->whole[i] = (int64_t)((uint64_t)b->whole[i] ^ UINT64_C(1) << (bits - 1));
    for (int64_t i = 0; i < n; i++) {
        const bool blank = whole && s->has_blank && b->whole[i] == s->blank;
        b->real[i] = blank ? (double)NAN : b->real[i] * s->slope + s->inter;
    }
}

bool lode_i_stored_fits(lode_dtype stored, lode_dtype dtype)
{
    const char from = lode_dtype_class(stored), to = lode_dtype_class(dtype);
    return lode_dtype_size(stored) <= lode_dtype_size(dtype) && strchr("biuf", from) &&
           (to == 'f' || (strchr("iu", to) && from != 'f')) &&
           (to != 'f' || lode_dtype_size(dtype) >= 4);
}

lode_status lode_i_stored_read(lode_ctx *ctx, const lode_i_member *m, const lode_i_stored *s,
                               const int64_t *start, const int64_t *count, void *dst)
{
    const size_t out = lode_dtype_size(m->dtype), in = lode_dtype_size(s->dtype);
    const bool whole = lode_dtype_class(s->dtype) != 'f';
    const bool plain = s->slope == 1 && s->inter == 0 && !s->has_blank && !s->flip;
    lode_i_member stored = *m;
    block b;
    int64_t n = 1;
    stored.dtype = s->dtype;
    for (int k = 0; k < m->ndim; k++)
        n *= count[k]; /* no overflow: the destination holds them */
    if (plain && s->dtype == m->dtype)
        return lode_i_dense_read(ctx, &stored, NULL, start, count, dst);
    const unsigned char *from = (unsigned char *)dst + (size_t)n * (out - in);
    unsigned char *to = dst;
    LODE_FORWARD(lode_i_dense_read(ctx, &stored, NULL, start, count, (void *)(uintptr_t)from));
    /* Value i is read at n (out - in) + i in, never before (i + 1) out, where it is written up to. */
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t many = lode_i_min(BLOCK, n - i);
        widen(s->dtype, from + (size_t)i * in, many, &b);
        if (!plain)
            follow(s, whole, many, &b);
        narrow(m->dtype, &b, many, to + (size_t)i * out);
    }
    return LODE_OK;
}
