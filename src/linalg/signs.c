/* A mode of a tensor hashed to a few random buckets with random signs (Clarkson & Woodruff, J. ACM
 * 63 (2017), CountSketch): one addition a value, however many buckets there are, and the sum of
 * squares on the way. The last mode goes to its buckets in turn, so that what lies together is
 * added together: values alike, as neighbours are, fall apart all the same. */
#include "linalg/linalg.h"

typedef struct lode_i_signs {
    int64_t n;
    const int32_t *bucket;
    const double *sign;
} lode_i_signs;

#define REAL float
#define NAME signs_f32
#define INNER inner_f32
#include "linalg/signs_kernel.inc"
#define REAL double
#define NAME signs_f64
#define INNER inner_f64
#include "linalg/signs_kernel.inc"

enum {
    PIECE = 4096,
    TASK = 1 << 15
}; /* reals of a row that one task takes, and reals it takes at least */

typedef struct sketch {
    lode_i_signs signs;
    bool single;
    const char *x;
    double *z, *sums;
    int64_t left, right, pieces, group, buckets; /* right: reals after the mode */
} sketch;

static lode_status task(lode_ctx *ctx, int64_t at, void *data)
{
    (void)ctx;
    const sketch *w = data;
    const int64_t c = at % w->pieces * PIECE, m = lode_i_min(PIECE, w->right - c),
                  first = at / w->pieces * w->group;
    double sum = 0;
    for (int64_t l = first; l < lode_i_min(first + w->group, w->left); l++) {
        const int64_t from = l * w->signs.n * w->right + c;
        double *z = w->z + l * w->buckets * w->right + c;
        for (int64_t b = 0; b < w->buckets; b++)
            for (int64_t i = 0; i < m; i++)
                z[b * w->right + i] = 0;
        sum += w->single ? signs_f32((const float *)(const void *)w->x + from, w->right, &w->signs,
                                     m, z, w->right)
                         : signs_f64((const double *)(const void *)w->x + from, w->right, &w->signs,
                                     m, z, w->right);
    }
    w->sums[at] = sum;
    return LODE_OK;
}

/* The last mode: some rows. */
static lode_status inner(lode_ctx *ctx, int64_t at, void *data)
{
    (void)ctx;
    const sketch *w = data;
    const int64_t first = at * w->group, m = lode_i_min(w->group, w->left - first);
    double *z = w->z + first * w->buckets;
    for (int64_t i = 0; i < m * w->buckets; i++)
        z[i] = 0;
    w->sums[at] = w->single ? inner_f32((const float *)(const void *)w->x + first * w->signs.n,
                                        &w->signs, m, z, w->buckets)
                            : inner_f64((const double *)(const void *)w->x + first * w->signs.n,
                                        &w->signs, m, z, w->buckets);
    return LODE_OK;
}

lode_status lode_i_sign_sums(lode_ctx *ctx, const lode_array *X, int mode, lode_stream s,
                             lode_array *Z, double *sumsq)
{
    lode_status st = LODE_OK;
    int32_t *bucket = NULL;
    double *sign = NULL, *sums = NULL;
    sketch w = { .single = lode_i_is_single(X->dtype), .x = X->data, .z = Z->data };
    LODE_REQUIRE(mode >= 0 && mode < X->ndim && Z->ndim == X->ndim && lode_array_is_contiguous(X) &&
                     lode_array_is_contiguous(Z) && lode_i_arith(X->dtype) == X->dtype &&
                     lode_array_size(X) * Z->shape[mode] == lode_array_size(Z) * X->shape[mode] &&
                     Z->dtype == (lode_i_is_complex(X->dtype) ? LODE_C128 : LODE_F64),
                 LODE_EINTERNAL, "sign_sums: mode %d of a tensor of %d modes in %s", mode,
                 (int)X->ndim, lode_dtype_name(X->dtype));
    lode_i_split_mode(X, mode, &w.left, &w.signs.n, &w.right);
    w.buckets = Z->shape[mode];
    w.right *= lode_i_is_complex(X->dtype) ? 2 : 1;
    w.pieces = lode_i_ceil_div(w.right, PIECE);
    w.group = lode_i_max(TASK / lode_i_max(w.signs.n * lode_i_min(w.right, PIECE), 1), 1);
    const int64_t tasks = lode_i_ceil_div(w.left, w.group) * w.pieces;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(w.signs.n, 1), &bucket));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(w.signs.n, 1), &sign));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(tasks, 1), &sums));
    for (int64_t i = 0; i < w.signs.n; i++) {
        const uint64_t u = lode_i_random_u64(s, (uint64_t)i);
        sign[i] = u & 1 ? 1 : -1;
        bucket[i] = (int32_t)((u >> 32) * (uint64_t)w.buckets >> 32);
    }
    w.signs.bucket = bucket, w.signs.sign = sign, w.sums = sums;
    LODE_TRY(lode_i_parallel(ctx, tasks, w.right == 1 ? inner : task, &w));
    *sumsq = 0;
    for (int64_t i = 0; i < tasks; i++)
        *sumsq += sums[i];
done:
    lode_i_free(bucket), lode_i_free(sign), lode_i_free(sums);
    return st;
}
