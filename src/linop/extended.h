/* Orthonormal bases in extended form, X = P C: tall rows P (n x K), a small core C (K x k). What turns
 * the columns of X turns C alone, and what sparse vectors add to X adds rows at their entries to P. */
#ifndef LODE_LINOP_EXTENDED_H
#define LODE_LINOP_EXTENDED_H

#include "linop/linop.h"

/* In f64 or c128. */
typedef struct lode_i_extended {
    lode_array rows; /* P; of its rows n are in use, the others wait for more */
    int64_t n;
    lode_array core;  /* C */
    lode_array gram;  /* P^H P, kept up with P as it is stored */
    bool plain;       /* C is the identity always, and new directions are formed: for comparison */
    double drift;     /* ||X^H X - I||_F, through the Gram matrix */
    int64_t renewals; /* how often P was formed anew */
    double flops;     /* of all updates */
} lode_i_extended;

/** Of X, n x k, orthonormal, any type. */
lode_status lode_i_extended_start(lode_ctx *ctx, const lode_array *X, lode_dtype dtype,
                                  lode_i_extended *x);
void lode_i_extended_free(lode_i_extended *x);
/** k */
int64_t lode_i_extended_rank(const lode_i_extended *x);
/** X itself, new, in a type. */
lode_status lode_i_extended_form(lode_ctx *ctx, const lode_i_extended *x, lode_dtype dtype,
                                 lode_array *X);

/** B (n x s) by its adjoint: compressed rows and the places that have entries, or all of it. */
typedef struct lode_i_block {
    int64_t s, n;
    lode_sparse csr;   /* values NULL: dense */
    lode_array index;  /* the p places of entries, ascending; dense: empty, p = n */
    lode_array values; /* s x p */
} lode_i_block;
/** Takes over what is given, one of the two: B^H as CSR, or as a matrix; f64 or c128. */
lode_status lode_i_block_from(lode_ctx *ctx, lode_sparse *csr, lode_array *dense, lode_i_block *b);
void lode_i_block_free(lode_i_block *b);

/** B = X C^H + Q R^H (+ what was dropped), Q orthonormal and orthogonal to X. A direction of Q is
 *  b - X c with b zero but at the block's places, and the rows of `pairs` are (b^H, c^H). */
typedef struct lode_i_augment {
    lode_array C;     /* s x k */
    lode_array R;     /* s x q */
    lode_array pairs; /* q x (p + k) */
    lode_array Q;     /* n x q, of a plain basis, in place of pairs */
    double dropped;   /* Frobenius norm of what lies in X and Q but for rounding */
} lode_i_augment;
/** Cholesky QR twice in the inner product <b, b'> - <c, c'>, which is that of the directions; columns
 *  of which less than a tenth is left beside X and the others, where that cancels, are formed,
 *  orthogonalized in full twice, and written back as pairs; those of which rounding is left are
 *  dropped. Cost p s^2 + nnz k, and 4 n k for each column formed. k + s <= n. */
lode_status lode_i_extended_augment(lode_ctx *ctx, lode_i_extended *x, const lode_i_block *b,
                                    lode_stream stream, lode_i_augment *a);
void lode_i_augment_free(lode_i_augment *a);

/** A change of a basis, made ready beside it: what follows then cannot fail. */
typedef struct lode_i_turned {
    lode_array rows, core, gram; /* rows NULL: delta is added to those at index */
    lode_array index, delta;
    int64_t n, renewals;
    double drift, flops;
} lode_i_turned;
void lode_i_turned_free(lode_i_turned *t);
/** X becomes [X Q] G, G (k + q) x k'. */
lode_status lode_i_extended_turn(lode_ctx *ctx, const lode_i_extended *x, const lode_i_block *b,
                                 const lode_i_augment *a, const lode_array *G, lode_i_turned *t);
/** X becomes [X F_1; F_2], as many rows more as F has beyond k; x gets room for them. */
lode_status lode_i_extended_append(lode_ctx *ctx, lode_i_extended *x, const lode_array *F,
                                   lode_i_turned *t);
/** X becomes this one (n x k', orthonormal), taken over. */
lode_status lode_i_extended_replace(lode_ctx *ctx, const lode_i_extended *x, lode_array *X,
                                    lode_i_turned *t);
/** X = Q R by a QR of X formed; Q in its place. */
lode_status lode_i_extended_renew(lode_ctx *ctx, const lode_i_extended *x, lode_array *R,
                                  lode_i_turned *t);
/** Makes the change, and frees it. */
void lode_i_extended_commit(lode_ctx *ctx, lode_i_extended *x, lode_i_turned *t);
/** The drift at which X is to be renewed: a quarter of what verify allows for f64. */
double lode_i_extended_limit(int64_t n, int64_t k);

#endif
