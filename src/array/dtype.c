/* Storage types: names, sizes, and which type arithmetic runs in. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "array/array.h"

static const struct {
    const char *name;
    size_t bytes;
    int64_t block;
    char class;
} types[LODE_DTYPE_COUNT] = {
#define LODE_DTYPE(suffix, name, bytes, block, class) { name, bytes, block, class },
#include "lode/dtype.def"
#undef LODE_DTYPE
};

/* NumPy's names; safetensors' (F32, BF16, I64, BOOL) are ours in capitals. */
static const struct {
    const char *name;
    lode_dtype dtype;
} aliases[] = {
    { "bool_", LODE_BOOL },      { "int8", LODE_I8 },       { "int16", LODE_I16 },
    { "int32", LODE_I32 },       { "int64", LODE_I64 },     { "uint8", LODE_U8 },
    { "uint16", LODE_U16 },      { "uint32", LODE_U32 },    { "uint64", LODE_U64 },
    { "float16", LODE_F16 },     { "bfloat16", LODE_BF16 }, { "float32", LODE_F32 },
    { "float64", LODE_F64 },     { "half", LODE_F16 },      { "single", LODE_F32 },
    { "double", LODE_F64 },      { "float", LODE_F64 },     { "complex64", LODE_C64 },
    { "complex128", LODE_C128 }, { "complex", LODE_C128 },
};

static bool known(lode_dtype dtype)
{
    return (unsigned)dtype < (unsigned)LODE_DTYPE_COUNT;
}

const char *lode_dtype_name(lode_dtype dtype)
{
    return known(dtype) ? types[dtype].name : "unknown";
}

size_t lode_dtype_size(lode_dtype dtype)
{
    return known(dtype) ? types[dtype].bytes : 0;
}

int64_t lode_dtype_block(lode_dtype dtype)
{
    return known(dtype) ? types[dtype].block : 1;
}

char lode_dtype_class(lode_dtype dtype)
{
    return known(dtype) ? types[dtype].class : '?';
}

/* Not strcasecmp, which depends on the locale. */
static bool same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        const char x = (char)(*a >= 'A' && *a <= 'Z' ? *a + ('a' - 'A') : *a);
        const char y = (char)(*b >= 'A' && *b <= 'Z' ? *b + ('a' - 'A') : *b);
        if (x != y)
            return false;
    }
    return *a == *b;
}

bool lode_dtype_parse(const char *name, lode_dtype *dtype)
{
    if (!name)
        return false;
    for (int i = 0; i < LODE_DTYPE_COUNT; i++)
        if (same_word(name, types[i].name)) {
            *dtype = (lode_dtype)i;
            return true;
        }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (same_word(name, aliases[i].name)) {
            *dtype = aliases[i].dtype;
            return true;
        }
    return false;
}

lode_dtype lode_i_arith(lode_dtype dtype)
{
    switch (dtype) {
    case LODE_F64:
    case LODE_C64:
    case LODE_C128: return dtype;
    case LODE_I32:
    case LODE_I64:
    case LODE_U32:
    case LODE_U64: return LODE_F64;
    default: return LODE_F32;
    }
}

bool lode_i_is_complex(lode_dtype dtype)
{
    return dtype == LODE_C64 || dtype == LODE_C128;
}

lode_dtype lode_i_real_of(lode_dtype dtype)
{
    return dtype == LODE_C64 ? LODE_F32 : dtype == LODE_C128 ? LODE_F64 : dtype;
}

bool lode_i_is_single(lode_dtype dtype)
{
    return dtype == LODE_F32 || dtype == LODE_C64;
}

double lode_i_epsilon(lode_dtype dtype)
{
    return lode_i_is_single(lode_i_arith(dtype)) ? (double)FLT_EPSILON : DBL_EPSILON;
}

double lode_i_safe_scale(lode_dtype dtype, double norm)
{
    const bool single = lode_i_is_single(dtype);
    const double far = single ? 0x1p40 : 0x1p300;
    const int most = single ? 120 : 1000;
    int e = 0;
    if (!(norm > 0) || (norm < far && norm > 1 / far))
        return 1;
    frexp(norm, &e);
    return ldexp(1, e > most ? -most : e < -most ? most : -e);
}

uint64_t lode_i_bytes(lode_dtype dtype, int64_t rows, int64_t cols)
{
    const uint64_t most = UINT64_MAX / 4;
    const uint64_t block = (uint64_t)lode_dtype_block(dtype), size = lode_dtype_size(dtype);
    if (rows <= 0 || cols <= 0)
        return 0;
    const uint64_t units = ((uint64_t)cols + block - 1) / block;
    if (size && units > most / size)
        return most;
    const uint64_t row = units * size;
    return row && (uint64_t)rows > most / row ? most : row * (uint64_t)rows;
}

void lode_i_turn_bytes(lode_dtype dtype, void *values, size_t bytes)
{
    const size_t step = lode_dtype_size(lode_i_real_of(dtype));
    const size_t width = lode_dtype_class(dtype) == 'q' ? sizeof(uint16_t) : step;
    unsigned char *p = values;
    for (size_t i = 0; i + step <= bytes; i += step, p += step)
        for (size_t a = 0, b = width - 1; a < b; a++, b--) {
            const unsigned char t = p[a];
            p[a] = p[b], p[b] = t;
        }
}
