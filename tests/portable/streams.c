/* The coders of integers on a machine of any kind. What they code is made by integer arithmetic, so
 * that it is the same everywhere.
 *
 * streams make FOLDER     writes FOLDER/NAME for each case, and FOLDER/list
 * streams decode FOLDER   decodes FOLDER/NAME for each case, and compares with what was coded
 * streams encode          codes each case, decodes it again
 *
 * The last two say a line for each case: its name and a hash, of what was decoded or of the code. */
#include <stdlib.h>
#include <string.h>

#include "code/code.h"

enum { AXES = 5 };
typedef enum form { SLOW, FAST, SET, EXACT } form;

/* What the values of a case are like. */
typedef enum look { SMOOTH, PLANES, SPARSE, ZEROS, EVERY, LARGE, RUNS, SPECKS, TICKS } look;

typedef struct test {
    const char *name;
    form form;
    lode_dtype dtype;
    look look;
    int ndim;
    int64_t shape[AXES];
} test;

static const test tests[] = {
    { "core", SLOW, LODE_I32, SMOOTH, 3, { 14, 12, 11 } },
    { "core-fast", FAST, LODE_I32, SMOOTH, 3, { 14, 12, 11 } },
    { "planes", SLOW, LODE_I32, PLANES, 2, { 20, 30 } },
    { "planes-fast", FAST, LODE_I32, PLANES, 2, { 20, 30 } },
    { "five", SLOW, LODE_I32, SMOOTH, 5, { 4, 5, 3, 6, 2 } },
    { "five-fast", FAST, LODE_I32, SMOOTH, 5, { 4, 5, 3, 6, 2 } },
    { "vector", SLOW, LODE_I32, PLANES, 1, { 300 } },
    { "vector-fast", FAST, LODE_I32, PLANES, 1, { 300 } },
    { "rows-fast", FAST, LODE_I32, SPARSE, 3, { 1, 5001, 1 } },
    { "chunks", SLOW, LODE_I32, SPARSE, 2, { 300, 401 } },
    { "chunks-fast", FAST, LODE_I32, SPARSE, 2, { 300, 401 } },
    { "zeros", SLOW, LODE_I32, ZEROS, 2, { 300, 300 } },
    { "zeros-fast", FAST, LODE_I32, ZEROS, 2, { 300, 300 } },
    { "every", SLOW, LODE_I32, EVERY, 1, { 65 } },
    { "every-fast", FAST, LODE_I32, EVERY, 1, { 65 } },
    { "large", SLOW, LODE_I32, LARGE, 2, { 9, 13 } },
    { "large-fast", FAST, LODE_I32, LARGE, 2, { 9, 13 } },
    { "one", SLOW, LODE_I32, EVERY, 0, { 0 } },
    { "none", SLOW, LODE_I32, ZEROS, 2, { 3, 0 } },
    { "none-fast", FAST, LODE_I32, ZEROS, 2, { 3, 0 } },
    { "runs", SET, LODE_BOOL, RUNS, 2, { 40, 70 } },
    { "specks", SET, LODE_BOOL, SPECKS, 2, { 16, 33 } },
    { "bytes", EXACT, LODE_I8, PLANES, 2, { 12, 31 } },
    { "shorts", EXACT, LODE_U16, TICKS, 1, { 200 } },
    { "halves", EXACT, LODE_F16, TICKS, 1, { 64 } },
    { "floats", EXACT, LODE_F32, TICKS, 2, { 9, 14 } },
    { "doubles", EXACT, LODE_F64, TICKS, 2, { 9, 14 } },
    { "pairs", EXACT, LODE_C64, TICKS, 2, { 5, 7 } },
    { "longs", EXACT, LODE_I64, LARGE, 1, { 40 } },
    { "plain", EXACT, LODE_U8, EVERY, 1, { 9 } },
};

static lode_ctx context, *const ctx = &context;

static void must(lode_status st, const char *what)
{
    if (st == LODE_OK)
        return;
    fprintf(stderr, "streams: %s: %s\n", what, lode_message(ctx));
    exit(1);
}

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Value i of a case. `far`: the sum of its place on all axes. */
static int64_t value(look like, int64_t i, int64_t far, uint64_t *state)
{
    const uint64_t r = next(state);
    const int64_t sign = r & 1 ? -1 : 1, spread = (int64_t)(r >> 8 & 1023);
    switch (like) {
    case SMOOTH: return sign * (spread * 900 >> 10) * (spread >> 4) / (1 + far * far * far / 4);
    case PLANES: return ((int64_t)(r >> 20 & 15) + (int64_t)(r >> 30 & 15)) >> (far / 3 & 3);
    case SPARSE: return r % 997 == 0 ? sign * spread : 0;
    case EVERY: return sign * (INT64_C(1) << (i % 32)) - (i >= 32 && r & 1);
    case LARGE: return sign * ((INT64_C(1) << (16 + r % 8)) + (int64_t)(r >> 40));
    case RUNS: return i / 37 % 3 == 1;
    case SPECKS: return r % 3 == 0;
    case TICKS: return 16 * (300 + far * far + spread / 256);
    case ZEROS:
    default: return 0;
    }
}

static lode_array made(const test *t)
{
    lode_array a = { 0 };
    uint64_t state = (uint64_t)t->look;
    must(lode_array_new(ctx, t->dtype, t->ndim, t->shape, &a), t->name);
    uint8_t *to = a.data;
    const int64_t values = lode_array_size(&a) * (t->dtype == LODE_C64 ? 2 : 1);
    const int64_t width = values ? (int64_t)lode_array_bytes(&a) / values : 0;
    for (int64_t i = 0; i < values; i++) {
        int64_t far = 0, rest = i;
        for (int k = t->ndim - 1; k >= 0; k--) {
            far += rest % t->shape[k];
            rest /= t->shape[k];
        }
        int64_t v = value(t->look, i, far, &state);
        if (t->dtype == LODE_I32)
            v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
        for (int64_t k = 0; k < width; k++)
            to[width * i + k] = (uint8_t)((uint64_t)v >> 8 * k);
    }
    return a;
}

static void encode(const test *t, const lode_array *a, lode_array *coded)
{
    switch (t->form) {
    case SLOW: must(lode_i_encode(ctx, a, coded), t->name); break;
    case FAST: must(lode_i_encode_fast(ctx, a, coded), t->name); break;
    case SET: must(lode_i_encode_mask(ctx, a, coded), t->name); break;
    case EXACT: must(lode_i_encode_exact(ctx, a, coded), t->name); break;
    }
}

static void decode(const test *t, const lode_array *coded, lode_array *a)
{
    switch (t->form) {
    case SLOW:
    case FAST: must(lode_i_decode(ctx, coded, a), t->name); break;
    case SET: must(lode_i_decode_mask(ctx, coded, a), t->name); break;
    case EXACT: must(lode_i_decode_exact(ctx, coded, a), t->name); break;
    }
}

static FILE *file_of(const char *folder, const char *name, const char *mode)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, mode);
    if (!f) {
        fprintf(stderr, "streams: no file %s\n", path);
        exit(1);
    }
    return f;
}

static lode_array kept(const char *folder, const char *name)
{
    static uint8_t bytes[1 << 16];
    lode_array a = { 0 };
    FILE *f = file_of(folder, name, "rb");
    const int64_t size = (int64_t)fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    must(lode_array_new(ctx, LODE_U8, 1, &size, &a), name);
    memcpy(a.data, bytes, (size_t)size);
    return a;
}

static uint64_t hash(const lode_array *a)
{
    return lode_i_checksum(a->data, lode_array_bytes(a), 0);
}

int main(int argc, char **argv)
{
    const char *const verb = argc > 1 ? argv[1] : "", *const folder = argc > 2 ? argv[2] : ".";
    const bool makes = strcmp(verb, "make") == 0, reads = strcmp(verb, "decode") == 0;
    must(lode_ctx_init(ctx, NULL), "context");
    FILE *list = makes ? file_of(folder, "list", "wb") : stdout;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        const test *t = &tests[i];
        lode_array a = made(t), back = made(t), coded = { 0 };
        if (reads)
            coded = kept(folder, t->name);
        else
            encode(t, &a, &coded);
        if (lode_array_bytes(&back))
            memset(back.data, 0x55, lode_array_bytes(&back));
        decode(t, &coded, &back);
        if (lode_array_bytes(&a) && memcmp(a.data, back.data, lode_array_bytes(&a)) != 0) {
            fprintf(stderr, "streams: %s: decoded otherwise than coded\n", t->name);
            return 1;
        }
        if (makes) {
            FILE *f = file_of(folder, t->name, "wb");
            fwrite(coded.data, 1, lode_array_bytes(&coded), f);
            fclose(f);
        }
        fprintf(list, "%s %016" PRIx64, t->name, hash(makes || reads ? &a : &coded));
        if (makes) { /* what a decoder must know */
            const char *const forms[] = { "symbols", "symbols", "set", "exact" };
            fprintf(list, " %s %s", forms[t->form], lode_dtype_name(t->dtype));
            for (int k = 0; k < t->ndim; k++)
                fprintf(list, " %" PRId64, t->shape[k]);
        }
        fputc('\n', list);
        lode_array_free(&a), lode_array_free(&back), lode_array_free(&coded);
    }
    if (makes)
        fclose(list);
    lode_ctx_free(ctx);
    return 0;
}
