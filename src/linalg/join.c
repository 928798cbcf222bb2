/* Joining the parts of long sums, pairwise, so that the order is the same for any number of
 * threads. */
#include "linalg/blas.h"

#define REAL float
#define NAME(x) x##_f32
#include "linalg/join_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#include "linalg/join_kernel.inc"

void lode_i_join(lode_dtype dtype, void *parts, int64_t count, int64_t gap, int64_t n)
{
    const int64_t width = lode_i_is_complex(dtype) ? 2 : 1;
    if (lode_i_is_single(dtype))
        join_f32(parts, count, gap * width, n * width);
    else
        join_f64(parts, count, gap * width, n * width);
}

void lode_i_blend(lode_dtype dtype, double alpha, const void *x, double beta, void *c, int64_t n)
{
    const int64_t width = lode_i_is_complex(dtype) ? 2 : 1;
    if (lode_i_is_single(dtype))
        blend_f32((float)alpha, x, (float)beta, c, n * width);
    else
        blend_f64(alpha, x, beta, c, n * width);
}

typedef struct joining {
    char *parts;
    int64_t count, size, block;
    lode_dtype dtype;
} joining;

static lode_status join_block(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const joining *j = data;
    const int64_t at = i * j->block, n = lode_i_min(j->block, j->size - at);
    lode_i_join(j->dtype, j->parts + (size_t)at * lode_dtype_size(j->dtype), j->count, j->size, n);
    return LODE_OK;
}

lode_status lode_i_sum_parts(lode_ctx *ctx, lode_dtype dtype, void *parts, int64_t count,
                             int64_t size)
{
    joining j = { .parts = parts, .count = count, .size = size, .block = 1 << 13, .dtype = dtype };
    if (count <= 1 || size == 0)
        return LODE_OK;
    return lode_i_parallel(ctx, lode_i_ceil_div(size, j.block), join_block, &j);
}
