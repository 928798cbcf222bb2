/* Energies of slices and boxes of a tensor: rows of the last axis are cut into at most 32 chunks by
 * shape alone, each chunk sums for itself, and chunks are joined in order. */
#include "array/box.h"
#include "array/walk.h"

#include <string.h>

typedef struct kernels {
    double (*run_energy)(const void *from, int64_t n);
    double (*row_energies)(const void *from, int64_t n, double *into);
    double (*picked_energies)(const void *from, const int64_t *at, int64_t n, double *into);
    void (*binned_energies)(const void *from, const int32_t *bin, int64_t n, double *into);
    void (*pick_row)(const void *from, const int64_t *at, int64_t n, const void *scale,
                     const void *phase, void *to);
    void (*times)(void *scale, const void *factor);
    void (*one)(void *scale);
} kernels;

#define REAL float
#define PARTS 1
#define NAME(x) x##_f32
#include "array/box_kernel.inc"
#define REAL double
#define PARTS 1
#define NAME(x) x##_f64
#include "array/box_kernel.inc"
#define REAL float
#define PARTS 2
#define NAME(x) x##_c64
#include "array/box_kernel.inc"
#define REAL double
#define PARTS 2
#define NAME(x) x##_c128
#include "array/box_kernel.inc"

enum {
    CHUNKS = 32,
    CHUNK_VALUES = 1 << 14,
    SUMS = 1 << 20 /* doubles that all chunks may sum into */
};

typedef struct box {
    const kernels *k;
    const lode_array *a;
    const int64_t *const *index; /* NULL: everything */
    const int32_t *const *bin;
    const lode_array *const *phase;
    int64_t count[LODE_MAX_NDIM];  /* of the selection */
    int64_t stride[LODE_MAX_NDIM]; /* of a, or of the table */
    int64_t *end;                /* of the piece that begins at i; negative: short runs together */
    int64_t rows, chunks, width; /* width: doubles a chunk sums into */
    double *sums;
    lode_array *out;
    bool run; /* the selection of the last mode is one run of its indices */
    int ndim;
} box;

static lode_status open_box(lode_ctx *ctx, const lode_array *a, const int64_t *count, box *b)
{
    switch (a->dtype) {
    case LODE_F32: b->k = &kernels_f32; break;
    case LODE_F64: b->k = &kernels_f64; break;
    case LODE_C64: b->k = &kernels_c64; break;
    case LODE_C128: b->k = &kernels_c128; break;
    default:
        return lode_i_fail(ctx, LODE_EINTERNAL, "box energies take arithmetic types, not %s",
                           lode_dtype_name(a->dtype));
    }
    if (!lode_array_is_contiguous(a) || a->ndim < 1)
        return lode_i_fail(ctx, LODE_EINTERNAL, "box energies take contiguous tensors");
    b->a = a, b->ndim = a->ndim, b->rows = 1;
    for (int k = 0; k < a->ndim; k++)
        b->count[k] = count ? count[k] : a->shape[k];
    int64_t values = b->count[a->ndim - 1], stride = 1;
    for (int k = 0; k + 1 < a->ndim; k++)
        b->rows *= b->count[k], values *= b->count[k];
    for (int k = a->ndim - 1; k >= 0; k--)
        b->stride[k] = stride, stride *= a->shape[k];
    b->chunks = lode_i_max(lode_i_min(lode_i_min(CHUNKS, b->rows), values / CHUNK_VALUES), 1);
    return LODE_OK;
}

/* Whether the last mode's places follow one another, as they mostly do. */
static bool is_run(const box *b)
{
    const int64_t *at = b->index[b->ndim - 1];
    for (int64_t i = 1; i < b->count[b->ndim - 1]; i++)
        if (at[i] != at[0] + i)
            return false;
    return true;
}

/* Position of row r, counted over the selection's leading axes. */
static void locate(const box *b, int64_t r, int64_t *at)
{
    for (int k = b->ndim - 2; k >= 0; k--)
        at[k] = r % b->count[k], r /= b->count[k];
}

/* The next row. */
static void step(const box *b, int64_t *at)
{
    for (int k = b->ndim - 2; k >= 0; k--) {
        if (++at[k] < b->count[k])
            return;
        at[k] = 0;
    }
}

static int64_t offset(const box *b, const int64_t *at)
{
    int64_t o = 0;
    for (int k = 0; k + 1 < b->ndim; k++)
        o += (b->index ? b->index[k][at[k]] : at[k]) * b->stride[k];
    return o;
}

static lode_status slices(lode_ctx *ctx, int64_t chunk, void *data)
{
    (void)ctx;
    const box *b = data;
    const int last = b->ndim - 1;
    const int64_t from = b->rows * chunk / b->chunks, to = b->rows * (chunk + 1) / b->chunks;
    double *sum = b->sums + chunk * b->width, *into[LODE_MAX_NDIM];
    int64_t at[LODE_MAX_NDIM] = { 0 };
    for (int k = 0; k <= last; k++)
        into[k] = k == 0 ? sum : into[k - 1] + b->count[k - 1];
    locate(b, from, at);
    for (int64_t r = from; r < to; r++, step(b, at)) {
        const void *row = lode_i_at(b->a, offset(b, at));
        const int64_t first = b->run && b->index && b->count[last] ? b->index[last][0] : 0;
        const double e = b->run ? b->k->row_energies(lode_i_at(b->a, offset(b, at) + first),
                                                     b->count[last], into[last])
                                : b->k->picked_energies(row, b->index[last], b->count[last],
                                                        into[last]);
        for (int k = 0; k < last; k++)
            into[k][at[k]] += e;
    }
    return LODE_OK;
}

lode_status lode_i_slice_energies(lode_ctx *ctx, const lode_array *a, const int64_t *const *index,
                                  const int64_t *count, double *const *energy)
{
    lode_status st = LODE_OK;
    box b = { .index = index };
    LODE_TRY(open_box(ctx, a, index ? count : NULL, &b));
    b.run = !index || is_run(&b);
    for (int k = 0; k < b.ndim; k++)
        b.width += b.count[k];
    LODE_TRY(lode_i_calloc(ctx, (size_t)lode_i_max(b.chunks * b.width, 1) * sizeof(double),
                           (void **)&b.sums));
    LODE_TRY(lode_i_parallel(ctx, b.rows > 0 ? b.chunks : 0, slices, &b));
    int64_t o = 0;
    for (int k = 0; k < b.ndim; o += b.count[k++])
        for (int64_t i = 0; i < b.count[k]; i++) {
            double e = 0;
            for (int64_t c = 0; c < b.chunks; c++)
                e += b.sums[c * b.width + o + i];
            energy[k][i] = e;
        }
done:
    lode_i_free(b.sums);
    return st;
}

static lode_status boxes(lode_ctx *ctx, int64_t chunk, void *data)
{
    (void)ctx;
    const box *b = data;
    const int last = b->ndim - 1;
    const int64_t from = b->rows * chunk / b->chunks, to = b->rows * (chunk + 1) / b->chunks;
    const int64_t n = b->count[last];
    const int32_t *bin = b->bin[last];
    double *sum = b->sums + chunk * b->width;
    int64_t at[LODE_MAX_NDIM] = { 0 };
    locate(b, from, at);
    for (int64_t r = from; r < to; r++, step(b, at)) {
        double *into = sum;
        for (int k = 0; k < last; k++)
            into += b->bin[k][at[k]] * b->stride[k];
        for (int64_t i = 0, e; i < n; i = e) { /* long runs in one bin are the common case */
            e = b->end[i] < 0 ? -b->end[i] : b->end[i];
            if (b->end[i] > 0)
                into[bin[i]] += b->k->run_energy(lode_i_at(b->a, r * n + i), e - i);
            else
                b->k->binned_energies(lode_i_at(b->a, r * n + i), bin + i, e - i, into);
        }
    }
    return LODE_OK;
}

/* Pieces of the last mode: a run of 8 or more in one bin, or what lies between such runs. */
static void cut_runs(const box *b)
{
    const int64_t n = b->count[b->ndim - 1];
    const int32_t *bin = b->bin[b->ndim - 1];
    for (int64_t i = 0, open = -1; i < n;) {
        int64_t e = i + 1;
        while (e < n && bin[e] == bin[i])
            e++;
        const bool run = e - i >= 8;
        if (run)
            b->end[i] = e, open = -1;
        else if (open < 0)
            open = i;
        if (open >= 0)
            b->end[open] = -e;
        i = e;
    }
}

lode_status lode_i_bin_energies(lode_ctx *ctx, const lode_array *a, const int32_t *const *bin,
                                const int64_t *bins, double *table)
{
    lode_status st = LODE_OK;
    box b = { .bin = bin };
    LODE_TRY(open_box(ctx, a, NULL, &b));
    b.width = 1;
    for (int k = b.ndim - 1; k >= 0; k--)
        b.stride[k] = b.width, b.width *= bins[k];
    b.chunks = lode_i_max(lode_i_min(b.chunks, SUMS / b.width), 1);
    LODE_TRY(lode_i_calloc(ctx, (size_t)lode_i_max(b.chunks * b.width, 1) * sizeof(double),
                           (void **)&b.sums));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(b.count[b.ndim - 1], 1), &b.end));
    cut_runs(&b);
    LODE_TRY(lode_i_parallel(ctx, b.rows > 0 ? b.chunks : 0, boxes, &b));
    for (int64_t i = 0; i < b.width; i++) {
        double e = 0;
        for (int64_t c = 0; c < b.chunks; c++)
            e += b.sums[c * b.width + i];
        table[i] = e;
    }
done:
    lode_i_free(b.sums), lode_i_free(b.end);
    return st;
}

/* One row, by pieces where it is converted on the way. */
static void pick_row(const box *b, const char *from, const void *scale, char *to)
{
    enum { PIECE = 512 };
    const int last = b->ndim - 1;
    const int64_t n = b->count[last];
    const bool same = b->out->dtype == b->a->dtype;
    double piece[2 * PIECE];
    for (int64_t i = 0; i < n; i += PIECE) {
        const int64_t m = same ? n : lode_i_min(PIECE, n - i);
        b->k->pick_row(b->run ? from + (size_t)i * lode_dtype_size(b->a->dtype) : from,
                       b->run ? NULL : b->index[last] + i, m, scale,
                       b->phase ? lode_i_at(b->phase[last], i) : NULL, same ? to : (char *)piece);
        if (same)
            return;
        lode_i_convert(b->a->dtype, piece, 1, b->out->dtype,
                       to + (size_t)i * lode_dtype_size(b->out->dtype), 1, m);
    }
}

static lode_status pick_rows(lode_ctx *ctx, int64_t chunk, void *data)
{
    (void)ctx;
    const box *b = data;
    const int last = b->ndim - 1;
    const int64_t from = b->rows * chunk / b->chunks, to = b->rows * (chunk + 1) / b->chunks,
                  n = b->count[last];
    int64_t at[LODE_MAX_NDIM] = { 0 };
    locate(b, from, at);
    for (int64_t r = from; r < to; r++, step(b, at)) {
        double scale[2];
        b->k->one(scale);
        for (int k = 0; b->phase && k < last; k++)
            b->k->times(scale, lode_i_at(b->phase[k], at[k]));
        const int64_t first = b->run && n ? b->index[last][0] : 0;
        pick_row(b, lode_i_at(b->a, offset(b, at) + first), scale, lode_i_at(b->out, r * n));
    }
    return LODE_OK;
}

lode_status lode_i_pick(lode_ctx *ctx, const lode_array *a, const int64_t *const *index,
                        const int64_t *count, const lode_array *const *phase, lode_dtype dtype,
                        lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    box b = { .index = index, .phase = phase, .out = &y };
    LODE_TRY(open_box(ctx, a, count, &b));
    b.run = is_run(&b);
    LODE_TRY(lode_array_new(ctx, dtype, a->ndim, count, &y));
    LODE_TRY(lode_i_parallel(ctx, b.rows > 0 ? b.chunks : 0, pick_rows, &b));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y);
    return st;
}
