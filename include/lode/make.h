/* Generated data: what tests, claims and first steps need. */
#ifndef LODE_MAKE_H
#define LODE_MAKE_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options of lode_make; see `lode help make`. */
typedef struct lode_make_opts {
    size_t size;
    lode_list shape;     /* sizes of the axes */
    lode_rank_spec rank; /* of the structure, where the kind has one */
    double decay;        /* exponent or rate of the spectrum */
    double noise;        /* standard deviation of white noise added */
    double missing;      /* share of values made NaN */
    double density;      /* share of values kept by the sparse kind */
    unsigned dtype;      /* f32 or f64 */
} lode_make_opts;
LODE_API lode_make_opts lode_make_defaults(void);
extern LODE_API const lode_op lode_op_make;

/** Data of a kind: "normal" (independent N(0,1)); "lowrank" (Tucker rank r, unit variance, plus
 *  noise); "spectrum" (matrix with random singular vectors and s_i = i^-decay); "bumps" (a sum of
 *  200 Gaussian bumps on the unit cube); "observations" (rows of indexes in [0, 1) and the value there of a sum of
 *  rank products of cosines, noise on the value alone); "waves" (random phases with power spectrum k^-decay);
 *  "sparse" (CSR matrix, N(0,1) values at random places); "symmetric"
 *  ((X + X^T) / 2 of a normal X); "outliers" (lowrank, with gross errors of sizes 1 to 10 at a share
 *  `density` of the places); "laplacian" (CSR, of a grid of that shape with fixed
 *  ends: its eigenvalues are known); "complex" (independent complex normal,
 *  c64 or c128).
 *  x   out  array of o->shape (sparse, laplacian: left empty; the result is in *sparse; outliers: the errors
 *           are there)
 *  Returns LODE_OK; LODE_EUSAGE unknown kind; LODE_EPARAM, LODE_ESHAPE; LODE_ENOMEM;
 *  LODE_EBUDGET. */
LODE_API lode_status lode_make(lode_ctx *ctx, const lode_make_opts *o, const char *kind,
                               lode_array *x, lode_sparse *sparse);

#ifdef __cplusplus
}
#endif
#endif
