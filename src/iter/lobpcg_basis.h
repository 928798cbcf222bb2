/* Private to lobpcg: its state, and its blocks. */
#ifndef LODE_ITER_LOBPCG_BASIS_H
#define LODE_ITER_LOBPCG_BASIS_H

#include "iter/lobpcg.h"

typedef struct lobpcg {
    const lode_linop *A, *B;
    lode_i_lobpcg_opts o;
    lode_dtype dtype, wide;
    int64_t n, m, p, w;   /* columns of X, P, W, which lie in S in this order */
    lode_array S, AS, BS; /* n x 3 m; BS is S without B */
    lode_array line;      /* Ritz values, whether each is active, p, residuals: 3 m + 1 */
    int64_t active;
    bool broke;
} lobpcg;

/* A view of columns [from, from + count). */
static inline lode_array lode_i_lobpcg_columns(const lode_array *a, int64_t from, int64_t count)
{
    return lode_i_cols(a, from, from + count);
}
/** (X^H Y + Y^H X) / 2 in wide arithmetic. */
lode_status lode_i_lobpcg_gram(lode_ctx *ctx, const lobpcg *s, const lode_array *X,
                               const lode_array *Y, lode_array *G);
/** Columns to B-length 1; those no longer than `least` dropped. */
lode_status lode_i_lobpcg_normalize(lode_ctx *ctx, const lobpcg *s, double least, lode_array *W,
                                    lode_array *BW);
/** W orthonormal, and orthogonal to the first `held` columns of S; what depends on them is dropped. */
lode_status lode_i_lobpcg_orthonormal(lode_ctx *ctx, const lobpcg *s, int64_t held, lode_array *W,
                                      lode_array *BW);

#endif
