/* Random matrices: entry (i, j) is a pure function of the stream, i and j. */
#include <math.h>
#include <string.h>

#include "array/walk.h"

/* Counter blocks of a row: 2^32 columns have 2^31 pairs of normals or 2^25 blocks of 128 signs. */
static const int64_t most_cols = INT64_C(1) << 32;
enum { PAIRS = 256, TASK_PAIRS = 1 << 13, TASK_BLOCKS = 1 << 10 };

static inline double double_of(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static inline uint64_t bits_of(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

/* log(x) for normal x > 0, relative error below 2^-50: x = 2^e m, sqrt(1/2) <= m < sqrt(2),
 * log m = 2 atanh(s), s = (m - 1)/(m + 1), |s| < 0.1716, series to s^21. */
static inline double log_of(double x)
{
    const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd);
    const uint64_t b = bits_of(x) + (UINT64_C(0x3ff0000000000000) - root_half);
    /* The biased exponent as a double without an integer conversion, which SSE2 lacks. */
    const double e = double_of(b >> 52 | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023);
    const double m = double_of((b & UINT64_C(0x000fffffffffffff)) + root_half);
    const double s = (m - 1) / (m + 1), z = s * s;
    double p = 1.0 / 21;
    p = p * z + 1.0 / 19, p = p * z + 1.0 / 17, p = p * z + 1.0 / 15, p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11, p = p * z + 1.0 / 9, p = p * z + 1.0 / 7, p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3, p = p * z + 1;
    return e * 0.69314718055994530942 + 2 * s * p;
}

static inline double choose(uint64_t mask, double if_ones, double if_zeros)
{
    return double_of((bits_of(if_ones) & mask) | (bits_of(if_zeros) & ~mask));
}

/* -2 log u and the unit vector of a turn v, u in (0, 1] and v in [0, 1) from 52 bits each. Sine and
 * cosine by Taylor series on |angle| <= pi/4. */
LODE_CLONES static void polar(const uint64_t *restrict w0, const uint64_t *restrict w1,
                              double *restrict square, double *restrict z0, double *restrict z1,
                              int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double u = 2 - double_of(w0[i] >> 12 | UINT64_C(0x3ff0000000000000));
        const double v = double_of(w1[i] >> 12 | UINT64_C(0x3ff0000000000000)) - 1;
        const double shifted = 4 * v + 0x1p52; /* rounds 4v to the nearest quarter turn */
        const uint64_t quarter = bits_of(shifted);
        const double t = (4 * v - (shifted - 0x1p52)) * 1.57079632679489661923;
        const double q = t * t;
        double s = 1.0 / 355687428096000, c = 1.0 / 20922789888000;
        s = s * q - 1.0 / 1307674368000, s = s * q + 1.0 / 6227020800, s = s * q - 1.0 / 39916800;
        s = s * q + 1.0 / 362880, s = s * q - 1.0 / 5040, s = s * q + 1.0 / 120,
        s = s * q - 1.0 / 6;
        s = (s * q + 1) * t;
        c = c * q - 1.0 / 87178291200, c = c * q + 1.0 / 479001600, c = c * q - 1.0 / 3628800;
        c = c * q + 1.0 / 40320, c = c * q - 1.0 / 720, c = c * q + 1.0 / 24, c = c * q - 0.5;
        c = c * q + 1;
        const uint64_t odd = 0 - (quarter & 1);
        const uint64_t flip_cos = ((quarter + 1) & 2) << 62, flip_sin = (quarter & 2) << 62;
        square[i] = -2 * log_of(u);
        z0[i] = double_of(bits_of(choose(odd, s, c)) ^ flip_cos);
        z1[i] = double_of(bits_of(choose(odd, c, s)) ^ flip_sin);
    }
}

/* Box and Muller (1958): sqrt(-2 log u) (cos 2 pi v, sin 2 pi v). */
static void box_muller(const uint64_t *w0, const uint64_t *w1, double *z0, double *z1, int64_t n)
{
    double square[PAIRS];
    polar(w0, w1, square, z0, z1, n);
    for (int64_t i = 0; i < n; i++) {
        const double radius = sqrt(square[i]);
        z0[i] *= radius;
        z1[i] *= radius;
    }
}

typedef struct random_job {
    lode_stream stream;
    lode_array *out;
    int64_t rows, cols;
    int64_t per_row; /* counter blocks of a row */
} random_job;

/* Places values of one row; complex entries are given as their pairs, scaled so that E|z|^2 = 1. */
static void place(const random_job *job, int64_t row, int64_t pair, double z0, double z1)
{
    lode_array *a = job->out;
    switch (a->dtype) {
    case LODE_C64: {
        float *to = (float *)a->data + 2 * (row * job->cols + pair);
        to[0] = (float)(z0 * 0.70710678118654752440), to[1] = (float)(z1 * 0.70710678118654752440);
        break;
    }
    case LODE_C128: {
        double *to = (double *)a->data + 2 * (row * job->cols + pair);
        to[0] = z0 * 0.70710678118654752440, to[1] = z1 * 0.70710678118654752440;
        break;
    }
    case LODE_F32: {
        float *to = (float *)a->data + row * job->cols + 2 * pair;
        to[0] = (float)z0;
        if (2 * pair + 1 < job->cols)
            to[1] = (float)z1;
        break;
    }
    default: {
        double *to = (double *)a->data + row * job->cols + 2 * pair;
        to[0] = z0;
        if (2 * pair + 1 < job->cols)
            to[1] = z1;
    }
    }
}

static lode_status randn_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const random_job *job = data;
    const int64_t end = lode_i_min((task + 1) * TASK_PAIRS, job->rows * job->per_row);
    for (int64_t at = task * TASK_PAIRS; at < end; at += PAIRS) {
        uint64_t w0[PAIRS], w1[PAIRS];
        double z0[PAIRS], z1[PAIRS];
        const int64_t n = lode_i_min(PAIRS, end - at);
        int64_t row = at / job->per_row, pair = at % job->per_row;
        for (int64_t i = 0, r = row, p = pair; i < n; i++) {
            uint32_t w[4];
            lode_i_random_block(job->stream, ((uint64_t)r << 32) + (uint64_t)p, w);
            w0[i] = (uint64_t)w[0] << 32 | w[1];
            w1[i] = (uint64_t)w[2] << 32 | w[3];
            if (++p == job->per_row)
                p = 0, r++;
        }
        box_muller(w0, w1, z0, z1, n);
        for (int64_t i = 0; i < n; i++) {
            place(job, row, pair, z0[i], z1[i]);
            if (++pair == job->per_row)
                pair = 0, row++;
        }
    }
    return LODE_OK;
}

/* 32 signs from the bits of a word. */
LODE_CLONES static void signs(float *restrict to, const uint32_t *restrict w, int64_t words)
{
    for (int64_t i = 0; i < words; i++)
        for (uint32_t k = 0; k < 32; k++)
            to[32 * i + k] = w[i] & UINT32_C(1) << k ? -1.0f : 1.0f;
}

static lode_status randsign_task(lode_ctx *ctx, int64_t task, void *data)
{
    (void)ctx;
    const random_job *job = data;
    const lode_dtype dtype = job->out->dtype;
    const int64_t end = lode_i_min((task + 1) * TASK_BLOCKS, job->rows * job->per_row);
    for (int64_t at = task * TASK_BLOCKS; at < end; at++) {
        const int64_t row = at / job->per_row, block = at % job->per_row;
        const int64_t n = lode_i_min(128, job->cols - 128 * block);
        uint32_t w[4];
        float values[128];
        lode_i_random_block(job->stream, ((uint64_t)row << 25) + (uint64_t)block, w);
        void *to = lode_i_at(job->out, row * job->cols + 128 * block);
        if (n == 128 && dtype == LODE_F32) {
            signs(to, w, 4);
        } else {
            signs(values, w, 4);
            lode_i_convert(LODE_F32, values, 1, dtype, to, 1, n);
        }
    }
    return LODE_OK;
}

static lode_status make(lode_ctx *ctx, lode_stream s, lode_dtype dtype, int64_t rows, int64_t cols,
                        bool normal, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    random_job job = { .stream = s, .out = &y, .rows = rows, .cols = cols };
    LODE_REQUIRE(dtype == LODE_F32 || dtype == LODE_F64 || lode_i_is_complex(dtype), LODE_ETYPE,
                 "random matrices are f32, f64, c64 or c128, not %s", lode_dtype_name(dtype));
    LODE_REQUIRE(cols <= most_cols && rows <= most_cols, LODE_ESHAPE,
                 "random matrices have at most 2^32 rows and columns, not %" PRId64 " x %" PRId64,
                 rows, cols);
    LODE_TRY(lode_i_matrix_new(ctx, dtype, rows, cols, &y));
    if (normal)
        job.per_row = lode_i_is_complex(dtype) ? cols : lode_i_ceil_div(cols, 2);
    else
        job.per_row = lode_i_ceil_div(cols, 128);
    LODE_TRY(lode_i_parallel(ctx,
                             lode_i_ceil_div(rows * job.per_row, normal ? TASK_PAIRS : TASK_BLOCKS),
                             normal ? randn_task : randsign_task, &job));
    lode_array_swap(out, &y);
done:
    lode_array_free(&y);
    return st;
}

lode_status lode_i_randn(lode_ctx *ctx, lode_stream s, lode_dtype dtype, int64_t rows, int64_t cols,
                         lode_array *out)
{
    return make(ctx, s, dtype, rows, cols, true, out);
}

lode_status lode_i_randsign(lode_ctx *ctx, lode_stream s, lode_dtype dtype, int64_t rows,
                            int64_t cols, lode_array *out)
{
    return make(ctx, s, dtype, rows, cols, false, out);
}
