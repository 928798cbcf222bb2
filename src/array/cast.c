/* Conversion between storage types: the only place that knows how each one is stored. */
#include <assert.h>

#include "array/scalar.h"
#include "array/walk.h"

typedef void (*convert_fn)(const void *restrict from, int64_t from_step, void *restrict to,
                           int64_t to_step, int64_t n);

#define FROM b8
#define STORED uint8_t
#define CARRIER i32
#define LOAD(x) ((int32_t)((x) != 0)) /* a file's byte may be anything */
#include "array/cast_kernel.inc"
#define FROM i8
#define STORED int8_t
#define CARRIER i32
#define LOAD(x) ((int32_t)(x))
#include "array/cast_kernel.inc"
#define FROM i16
#define STORED int16_t
#define CARRIER i32
#define LOAD(x) ((int32_t)(x))
#include "array/cast_kernel.inc"
#define FROM i32
#define STORED int32_t
#define CARRIER i32
#define LOAD(x) (x)
#include "array/cast_kernel.inc"
#define FROM i64
#define STORED int64_t
#define CARRIER i64
#define LOAD(x) (x)
#include "array/cast_kernel.inc"
#define FROM u8
#define STORED uint8_t
#define CARRIER i32
#define LOAD(x) ((int32_t)(x))
#include "array/cast_kernel.inc"
#define FROM u16
#define STORED uint16_t
#define CARRIER i32
#define LOAD(x) ((int32_t)(x))
#include "array/cast_kernel.inc"
#define FROM u32
#define STORED uint32_t
#define CARRIER i64
#define LOAD(x) ((int64_t)(x))
#include "array/cast_kernel.inc"
#define FROM u64
#define STORED uint64_t
#define CARRIER u64
#define LOAD(x) (x)
#include "array/cast_kernel.inc"
#define FROM f16
#define STORED uint16_t
#define CARRIER f32
#define LOAD(x) f32_load_f16(x)
#include "array/cast_kernel.inc"
#define FROM bf16
#define STORED uint16_t
#define CARRIER f32
#define LOAD(x) f32_load_bf16(x)
#include "array/cast_kernel.inc"
#define FROM f32
#define STORED float
#define CARRIER f32
#define LOAD(x) (x)
#include "array/cast_kernel.inc"
#define FROM f64
#define STORED double
#define CARRIER f64
#define LOAD(x) (x)
#include "array/cast_kernel.inc"

static const convert_fn *const converters[LODE_F64 + 1] = {
    [LODE_BOOL] = from_b8, [LODE_I8] = from_i8,   [LODE_I16] = from_i16,   [LODE_I32] = from_i32,
    [LODE_I64] = from_i64, [LODE_U8] = from_u8,   [LODE_U16] = from_u16,   [LODE_U32] = from_u32,
    [LODE_U64] = from_u64, [LODE_F16] = from_f16, [LODE_BF16] = from_bf16, [LODE_F32] = from_f32,
    [LODE_F64] = from_f64,
};

/* ---- packed blocks: f16 scale d, then quotients; value = d * q ---- */

enum { BLOCK = 32 };

static float scale_of(float wanted, uint16_t *stored)
{
    /* The largest f16 keeps the scale finite; NaN stays, and makes its whole block NaN. */
    wanted = wanted > 65504 ? 65504 : wanted < -65504 ? -65504 : wanted;
    *stored = f16_from_f32(wanted);
    return f32_load_f16(*stored);
}

static float extreme(const float *x)
{
    float most = 0;
    for (int i = 0; i < BLOCK; i++) {
        if (x[i] != x[i])
            return x[i];
        if (fabsf(x[i]) > fabsf(most))
            most = x[i];
    }
    return most;
}

static int32_t quotient(float x, float inverse, int32_t low, int32_t high)
{
    return (int32_t)nearest(clamped((double)(x * inverse), low, high));
}

static void pack_q8(const float *x, uint8_t *block)
{
    uint16_t stored;
    const float d = scale_of(fabsf(extreme(x)) / 127, &stored);
    const float inverse = d > 0 ? 1 / d : 0;
    block[0] = (uint8_t)(stored & 255), block[1] = (uint8_t)(stored >> 8);
    for (int i = 0; i < BLOCK; i++)
        block[2 + i] = (uint8_t)(int8_t)quotient(x[i], inverse, -127, 127);
}

/* -8 stands for the extreme value, so d has its sign turned. */
static void pack_q4(const float *x, uint8_t *block)
{
    uint16_t stored;
    const float d = scale_of(extreme(x) / -8, &stored);
    const float inverse = d > 0 || d < 0 ? 1 / d : 0;
    block[0] = (uint8_t)(stored & 255), block[1] = (uint8_t)(stored >> 8);
    for (int i = 0; i < BLOCK / 2; i++) {
        const int32_t low = quotient(x[i], inverse, -8, 7) + 8;
        const int32_t high = quotient(x[i + BLOCK / 2], inverse, -8, 7) + 8;
        block[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void unpack(lode_dtype dtype, const uint8_t *block, float *x)
{
    const float d = f32_load_f16((uint16_t)(block[0] | block[1] << 8));
    if (dtype == LODE_Q8) {
        for (int i = 0; i < BLOCK; i++)
            x[i] = d * (float)(int8_t)block[2 + i];
    } else {
        for (int i = 0; i < BLOCK / 2; i++) {
            x[i] = d * (float)((block[2 + i] & 15) - 8);
            x[i + BLOCK / 2] = d * (float)((block[2 + i] >> 4) - 8);
        }
    }
}

static void convert_packed(lode_dtype from_type, const void *from, int64_t from_step,
                           lode_dtype to_type, void *to, int64_t to_step, int64_t count)
{
    assert(count % BLOCK == 0);
    const char *x = from;
    char *y = to;
    const int64_t x_size = (int64_t)lode_dtype_size(from_type),
                  y_size = (int64_t)lode_dtype_size(to_type);
    const bool unpacking = lode_dtype_block(from_type) > 1, packing = lode_dtype_block(to_type) > 1;
    for (int64_t i = 0; i < count; i += BLOCK) {
        float values[BLOCK];
        if (unpacking)
            unpack(from_type, (const uint8_t *)(x + i / BLOCK * x_size), values);
        else
            lode_i_convert(from_type, x + i * from_step * x_size, from_step, LODE_F32, values, 1,
                           BLOCK);
        if (!packing)
            lode_i_convert(LODE_F32, values, 1, to_type, y + i * to_step * y_size, to_step, BLOCK);
        else if (to_type == LODE_Q8)
            pack_q8(values, (uint8_t *)(y + i / BLOCK * y_size));
        else
            pack_q4(values, (uint8_t *)(y + i / BLOCK * y_size));
    }
}

void lode_i_convert(lode_dtype from_type, const void *from, int64_t from_step, lode_dtype to_type,
                    void *to, int64_t to_step, int64_t count)
{
    if (count <= 0)
        return;
    if (from_type == to_type && from_step == 1 && to_step == 1 && from_type != LODE_BOOL) {
        memcpy(to, from, (size_t)(count / lode_dtype_block(to_type)) * lode_dtype_size(to_type));
        return;
    }
    if (lode_dtype_block(from_type) > 1 || lode_dtype_block(to_type) > 1) {
        convert_packed(from_type, from, from_step, to_type, to, to_step, count);
        return;
    }
    const bool complex_in = lode_i_is_complex(from_type), complex_out = lode_i_is_complex(to_type);
    const lode_dtype x = lode_i_real_of(from_type), y = lode_i_real_of(to_type);
    const convert_fn fn = converters[x][y];
    if (complex_in && complex_out && from_step == 1 && to_step == 1) {
        fn(from, 1, to, 1, 2 * count);
        return;
    }
    fn(from, complex_in ? 2 * from_step : from_step, to, complex_out ? 2 * to_step : to_step,
       count);
    if (complex_out) {
        char *imaginary = (char *)to + lode_dtype_size(y);
        if (complex_in) {
            fn((const char *)from + lode_dtype_size(x), 2 * from_step, imaginary, 2 * to_step,
               count);
        } else {
            const float zero = 0;
            converters[LODE_F32][y](&zero, 0, imaginary, 2 * to_step, count);
        }
    }
}

/* ---- arrays ---- */

/* Where the innermost axis jumps and another one does not (a transpose), tiles keep both sides in
 * cache. */
enum { TILE = 32, SLICE = 1 << 15 };

typedef struct copy_job {
    lode_dtype from, to;
    const lode_walk *walk;
    int across; /* axis on which the source is contiguous */
} copy_job;

static void copy_run(const lode_run *run, void *data)
{
    const copy_job *job = data;
    lode_i_convert(job->from, run->p[1], run->step[1], job->to, run->p[0], run->step[0],
                   run->count);
}

/* One tile row: TILE steps of the axis `across` times the whole innermost axis, at a fixed place
 * elsewhere. */
static void copy_tiles(const copy_job *job, int64_t to_offset, int64_t from_offset, int64_t count)
{
    const lode_walk *w = job->walk;
    const int inner = w->ndim - 1, across = job->across;
    for (int64_t j = 0; j < w->shape[inner]; j += TILE) {
        const int64_t n = lode_i_min(TILE, w->shape[inner] - j);
        for (int64_t i = 0; i < count; i++)
            lode_i_convert(job->from,
                           lode_i_at(w->array[1], from_offset + i * w->strides[1][across] +
                                                      j * w->strides[1][inner]),
                           w->strides[1][inner], job->to,
                           lode_i_at(w->array[0], to_offset + i * w->strides[0][across] +
                                                      j * w->strides[0][inner]),
                           w->strides[0][inner], n);
    }
}

static lode_status copy_tile_row(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const copy_job *job = data;
    const lode_walk *w = job->walk;
    const int64_t strips = lode_i_ceil_div(w->shape[job->across], TILE);
    const int64_t first = task % strips * TILE;
    int64_t rest = task / strips, to = first * w->strides[0][job->across],
            from = first * w->strides[1][job->across];
    for (int i = w->ndim - 2; i >= 0; i--) {
        if (i == job->across)
            continue;
        to += rest % w->shape[i] * w->strides[0][i];
        from += rest % w->shape[i] * w->strides[1][i];
        rest /= w->shape[i];
    }
    copy_tiles(job, to, from, lode_i_min(TILE, w->shape[job->across] - first));
    return LODE_OK;
}

/* The axis to tile over, or -1. */
static int find_across(const lode_walk *w)
{
    const int inner = w->ndim - 1;
    if (w->strides[1][inner] == 1 || w->strides[1][inner] == 0)
        return -1;
    for (int i = 0; i < inner; i++)
        if (w->strides[1][i] == 1 && w->shape[i] >= 8 && w->shape[inner] >= 8)
            return i;
    return -1;
}

lode_status lode_array_copy_into(lode_ctx *ctx, const lode_array *from, lode_array *to)
{
    LODE_FORWARD(lode_i_same_shape(ctx, from, to, "copying values"));
    LODE_FORWARD(lode_i_require_writable(ctx, to, "copying values"));
    lode_walk w;
    lode_i_walk_init(&w, true, 2, (const lode_array *const[]){ to, from });
    copy_job job = { from->dtype, to->dtype, &w, -1 };
    if (w.size == 0)
        return LODE_OK;
    if (lode_dtype_block(from->dtype) == 1 && lode_dtype_block(to->dtype) == 1)
        job.across = find_across(&w);
    if (job.across < 0)
        return lode_i_walk(ctx, &w, copy_run, &job);
    const int64_t strip = w.shape[job.across];
    const int64_t tasks = w.size / w.shape[w.ndim - 1] / strip * lode_i_ceil_div(strip, TILE);
    return lode_i_parallel(ctx, tasks, copy_tile_row, &job);
}

lode_status lode_array_cast(lode_ctx *ctx, const lode_array *a, lode_dtype dtype, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_REQUIRE(a->data, LODE_EUSAGE, "cannot cast an array that was never made");
    LODE_TRY(lode_array_new(ctx, dtype, a->ndim, a->shape, &y));
    LODE_TRY(lode_array_copy_into(ctx, a, &y));
    lode_array_swap(out, &y);
done:
    lode_array_free(&y);
    return st;
}

lode_status lode_i_as(lode_ctx *ctx, const lode_array *a, lode_dtype dtype, lode_array *out)
{
    if (a->dtype != dtype || !lode_array_is_contiguous(a))
        return lode_array_cast(ctx, a, dtype, out);
    lode_array held = lode_array_ref(a);
    lode_array_swap(out, &held);
    lode_array_free(&held);
    return LODE_OK;
}

/* ---- single values ---- */

static double get(const lode_array *a, int64_t offset)
{
    if (a->dtype == LODE_F64)
        return ((const double *)a->data)[offset];
    double x;
    const int64_t block = lode_dtype_block(a->dtype);
    if (block > 1) {
        double values[BLOCK];
        const int64_t in_block = offset % block;
        lode_i_convert(a->dtype, lode_i_at(a, offset - in_block), 1, LODE_F64, values, 1, block);
        return values[in_block];
    }
    lode_i_convert(a->dtype, lode_i_at(a, offset), 1, LODE_F64, &x, 1, 1);
    return x;
}

static void set(lode_array *a, int64_t offset, double v)
{
    assert(lode_dtype_block(a->dtype) == 1);
    if (a->dtype == LODE_F64)
        ((double *)a->data)[offset] = v;
    else
        lode_i_convert(LODE_F64, &v, 1, a->dtype, lode_i_at(a, offset), 1, 1);
}

double lode_array_get(const lode_array *a, const int64_t *index)
{
    int64_t offset = 0;
    for (int i = 0; i < a->ndim; i++)
        offset += index[i] * a->strides[i];
    return get(a, offset);
}

double lode_i_get1(const lode_array *a, int64_t i)
{
    assert(a->ndim == 1 && i >= 0 && i < a->shape[0]);
    return get(a, i * a->strides[0]);
}

void lode_i_set1(lode_array *a, int64_t i, double v)
{
    assert(a->ndim == 1 && i >= 0 && i < a->shape[0]);
    set(a, i * a->strides[0], v);
}

double lode_i_get2(const lode_array *a, int64_t i, int64_t j)
{
    assert(a->ndim == 2 && i >= 0 && i < a->shape[0] && j >= 0 && j < a->shape[1]);
    return get(a, i * a->strides[0] + j * a->strides[1]);
}

void lode_i_set2(lode_array *a, int64_t i, int64_t j, double v)
{
    assert(a->ndim == 2 && i >= 0 && i < a->shape[0] && j >= 0 && j < a->shape[1]);
    set(a, i * a->strides[0] + j * a->strides[1], v);
}

void lode_i_get_complex(const lode_array *a, int64_t i, int64_t j, double z[2])
{
    assert(a->ndim == 2 && i >= 0 && i < a->shape[0] && j >= 0 && j < a->shape[1]);
    const void *at = lode_i_at(a, i * a->strides[0] + j * a->strides[1]);
    lode_i_convert(a->dtype, at, 1, LODE_C128, z, 1, 1);
}

void lode_i_set_complex(lode_array *a, int64_t i, int64_t j, const double z[2])
{
    assert(a->ndim == 2 && i >= 0 && i < a->shape[0] && j >= 0 && j < a->shape[1]);
    void *at = lode_i_at(a, i * a->strides[0] + j * a->strides[1]);
    lode_i_convert(LODE_C128, z, 1, a->dtype, at, 1, 1);
}
