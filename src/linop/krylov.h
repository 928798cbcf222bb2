/* State of the block Krylov iteration, shared by krylov.c (the basis), ritz.c (the projected problem), and
 * those who look for something in it: svds.c, eigs.c. */
#ifndef LODE_LINOP_KRYLOV_H
#define LODE_LINOP_KRYLOV_H

#include "linop/linop.h"

typedef struct krylov {
    const lode_linop *A; /* as given, or scaled */
    lode_linop *scaled;
    lode_svds_opts o;
    bool two, keep; /* both sides orthogonalized; W kept: then, and with tail */
    bool hermitian; /* A is square and Hermitian, T = Q^H A Q, sigma its eigenvalues, W unused */
    bool coupled;   /* R couples the whole last block to the next */
    int64_t limit, cap, room;  /* min(m,n); columns before a restart; columns allocated */
    int64_t done, fresh, last; /* columns with products; width of the next block, of the last */
    int64_t starts;            /* random columns that began it, or joined since */
    lode_array Q, W;           /* n x room, orthonormal; m x room: A Q, or U with A Q = U T */
    lode_array T;              /* room x room, wide: Q^H A^H A Q, or U^H A Q */
    lode_array R;              /* the residual's coefficients on the next block */
    lode_array pending;        /* the next block, when a restart must make room first */
    /* Ritz values, residual norms ||A^H u - s v||, vectors (X: two-sided) */
    lode_array sigma, rho, X, Y;
    lode_stream stream;
    double norm;  /* ||A||_F as used; NaN: not asked yet; negative: unknown */
    double scale; /* A = given * scale; 0: not tried yet */
    double rest;  /* norm of A outside the basis, with tail */
    int64_t next_check, products, steps, converged;
} krylov;

/* the columns with products */
lode_array lode_i_krylov_basis(const krylov *k, const lode_array *a);
/** The first block: random directions, or those of x, which is used up. */
lode_status lode_i_krylov_start(lode_ctx *ctx, krylov *k);
lode_status lode_i_krylov_start_with(lode_ctx *ctx, krylov *k, lode_array *x);
/** Multiplies the newest block and makes the next one, as wide as still fits the space (fresh 0: it is
 *  full), or leaves it pending where a restart must make room. */
lode_status lode_i_krylov_step(lode_ctx *ctx, krylov *k);
/** Cuts the basis back to its leading Ritz vectors, and the next block follows them. */
lode_status lode_i_krylov_restart(lode_ctx *ctx, krylov *k, int64_t wanted);
/** Random columns join the next block where as many wanted values as blocks are tied. */
lode_status lode_i_krylov_widen(lode_ctx *ctx, krylov *k, int64_t wanted, bool *widened);
/** Ritz values, their vectors' coordinates, residual norms. */
lode_status lode_i_krylov_solve(lode_ctx *ctx, krylov *k);
/** How many triplets are wanted, and whether they are right. */
lode_status lode_i_krylov_enough(lode_ctx *ctx, krylov *k, int64_t *wanted, bool *enough,
                                 bool *floor);
lode_status lode_i_krylov_finish(lode_ctx *ctx, krylov *k, int64_t wanted, lode_array *U,
                                 lode_array *s, lode_array *V, lode_svds_info *info);
/** Bytes of the block iteration itself: basis, projected problem, one step. */
uint64_t lode_i_krylov_workspace(const lode_svds_opts *o, int64_t rows, int64_t cols,
                                 lode_dtype dtype);
/** s / scale, within the range of dtype. */
lode_status lode_i_svds_unscale(lode_ctx *ctx, lode_dtype dtype, double scale, lode_array *s);
/** Triplets by the Gram matrix of the shorter side (gramsvd.c). */
lode_status lode_i_svds_by_gram(lode_ctx *ctx, const lode_linop *A, const lode_svds_opts *o,
                                lode_array *U, lode_array *s, lode_array *V, lode_svds_info *info);
lode_status lode_i_krylov_none(lode_ctx *ctx, const lode_linop *A, lode_array *U, lode_array *s,
                               lode_array *V, lode_svds_info *info);
void lode_i_krylov_free(krylov *k);

#endif
