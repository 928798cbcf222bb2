/* The cosine transform (type II, orthonormal) along one mode, in place, by halves: even orders of n
 * entries are the transform of n/2 sums of opposite entries, odd orders one of type IV of their
 * differences; type IV of m entries is a rotation of opposite entries, two transforms of type II of
 * m/2, and sums and differences. Every step is orthogonal up to a factor, so that rounding grows as
 * log n (Plonka and Tasche, Linear Algebra Appl. 394, 2005, doi:10.1016/j.laa.2004.07.015). An odd
 * factor of n is left at the end for products with cosines, of sums and of differences. The way back
 * is the transpose, step by step. */
#include <math.h>
#include <string.h>

#include "linalg/blas.h"
#include "linalg/tiles.h"

/* TILE: values of a tile; where products are of BLAS, it has WIDE columns or more. SHORT: odd factors
 * up to which they are not. */
enum { TILE = 1 << 14, WIDE = 256, SHORT = 15 };

typedef struct cosines {
    bool forward;
    lode_dtype dtype;
    int64_t n, leaf; /* leaf: what is not halved further: 1, 2, 4 or odd */
    /* of length n, of type T: for type IV of m entries, from n - 2 m on: cosine and sine of each
     * rotation, the sines and cosines of every other one negative */
    void *turn;
    /* even x even, odd x odd, leaf x leaf: a row gives one entry of what comes out */
    lode_array E, O, F;
} cosines;

/* The matrix of a leaf, or transposed for the way back. period: cosines of a period of 8 leaf. */
enum { EVEN, ODD, FOURTH };
static lode_status make_leaf(lode_ctx *ctx, const cosines *w, const double *period, int matrix,
                             lode_array *M)
{
    lode_status st = LODE_OK;
    const int64_t n = matrix == EVEN  ? w->leaf - w->leaf / 2
                      : matrix == ODD ? w->leaf / 2
                                      : w->leaf;
    LODE_TRY(lode_i_matrix_new(ctx, w->dtype, n, n, M));
    for (int64_t k = 0; k < n; k++) {
        const int64_t order = matrix == EVEN ? 4 * k : matrix == ODD ? 4 * k + 2 : 2 * k + 1;
        for (int64_t i = 0; i < n; i++)
            lode_i_set2(M, w->forward ? k : i, w->forward ? i : k,
                        period[(2 * i + 1) * order % (8 * w->leaf)]);
    }
done:
    return st;
}

/* Four entries have kernels of their own; only what was halved has parts of type IV. */
static lode_status make_leaves(lode_ctx *ctx, cosines *w)
{
    lode_status st = LODE_OK;
    const double pi = 3.14159265358979323846;
    double *period = NULL;
    if (w->leaf == 4)
        return LODE_OK;
    LODE_TRY(LODE_NEW(ctx, 8 * w->leaf, &period));
    for (int64_t i = 0; i < 8 * w->leaf; i++)
        period[i] = cos(pi * (double)i / (double)(4 * w->leaf));
    LODE_TRY(make_leaf(ctx, w, period, EVEN, &w->E));
    LODE_TRY(make_leaf(ctx, w, period, ODD, &w->O));
    if (w->leaf < w->n)
        LODE_TRY(make_leaf(ctx, w, period, FOURTH, &w->F));
done:
    lode_i_free(period);
    return st;
}

#define T float
#define NAME(x) x##_f32
#include "linalg/cosines_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "linalg/cosines_kernel.inc"
#undef T
#undef NAME

static lode_status turn(lode_ctx *ctx, const void *data, int64_t width, void *const *room)
{
    const cosines *w = data;
    return (w->dtype == LODE_F32 ? tile_f32 : tile_f64)(ctx, w, width, room);
}

static lode_status open_cosines(lode_ctx *ctx, lode_dtype dtype, int64_t n, bool forward,
                                cosines *w, lode_i_tiles *t)
{
    *w = (cosines){ .forward = forward, .dtype = dtype, .n = n, .leaf = n };
    if (dtype != LODE_F32 && dtype != LODE_F64)
        return lode_i_fail(ctx, LODE_EINTERNAL, "cosines: of type %s", lode_dtype_name(dtype));
    while (w->leaf % 2 == 0 && w->leaf > 4)
        w->leaf /= 2;
    LODE_FORWARD(make_leaves(ctx, w));
    LODE_FORWARD(lode_i_new(ctx, n, lode_dtype_size(dtype), &w->turn));
    (dtype == LODE_F32 ? make_turns_f32 : make_turns_f64)(w);
    const bool blas = w->leaf > SHORT;
    *t = (lode_i_tiles){ .n = n,
                         .width = blas ? lode_i_max(WIDE, 4 * TILE / n) : TILE / lode_i_max(n, 1),
                         .rooms = blas ? 4 : 2,
                         .turn = turn,
                         .data = w };
    return LODE_OK;
}

static void close_cosines(cosines *w)
{
    lode_i_free(w->turn);
    LODE_FREE(&w->E, &w->O, &w->F);
}

lode_status lode_i_cosines_into(lode_ctx *ctx, const lode_array *X, int mode, int64_t n,
                                bool forward, lode_array *Y)
{
    lode_status st = LODE_OK;
    cosines w = { .n = 0 };
    lode_i_tiles t;
    LODE_TRY(open_cosines(ctx, X->dtype, n, forward, &w, &t));
    LODE_TRY(lode_i_tiles_into(ctx, "cosines", X, mode, &t, Y));
done:
    close_cosines(&w);
    return st;
}

lode_status lode_i_cosines_slabs(lode_ctx *ctx, const lode_array *X, int first, const int64_t *n,
                                 bool forward, lode_array *Y)
{
    lode_status st = LODE_OK;
    cosines w[LODE_MAX_NDIM] = { { .n = 0 } };
    lode_i_tiles t[LODE_MAX_NDIM];
    for (int k = first; k < X->ndim; k++)
        LODE_TRY(open_cosines(ctx, X->dtype, n[k], forward, &w[k - first], &t[k - first]));
    LODE_TRY(lode_i_slabs_into(ctx, "cosines", X, first, t, Y));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        close_cosines(&w[k]);
    return st;
}
