/* Private to rpca: the data, a fit, and the parts of the op. All in the unit of the data times a power of 2. */
#ifndef LODE_OPS_RPCA_H
#define LODE_OPS_RPCA_H

#include "iter/iter.h"
#include "linalg/robust.h"
#include "linalg/shrink.h"
#include "lode/matrix.h"
#include "op/op.h"

/** X in memory, NaN where it was not observed. */
typedef struct lode_i_rpca_data {
    lode_array X;
    int64_t m, n, observed;
    lode_dtype dtype;
    int exponent;    /* X is what was given times 2^-exponent */
    double norm;     /* Frobenius, of the observed entries */
    double most;     /* largest absolute value */
    double share;    /* observed / mn */
    bool overlooked; /* for the claim: no outliers are looked for */
} lode_i_rpca_data;
lode_status lode_i_rpca_read(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                             const lode_array *mask, lode_i_rpca_data *d);
void lode_i_rpca_data_free(lode_i_rpca_data *d);

typedef struct lode_i_rpca_fit {
    const lode_rpca_opts *o;
    const lode_i_rpca_data *d;
    double lambda, sigma, nu; /* weight of |S|_1, noise of an entry, its weight */
    double tol;
    int64_t most;             /* triplets at most */
    lode_array U, s, V, left; /* L = left V^T, left = U diag(s) */
    lode_array Y, W;          /* m x n: the dual matrix, and what thresholding works on */
    lode_i_shrink basis;
    double mu;
    double zeta; /* altproj: entries off by more are outliers */
    lode_array trace;
    int64_t steps;
} lode_i_rpca_fit;
void lode_i_rpca_fit_free(lode_i_rpca_fit *f);
/** Of the noise: nu, and what follows from it. */
void lode_i_rpca_noise(lode_i_rpca_fit *f, double sigma);
lode_status lode_i_rpca_left(lode_ctx *ctx, lode_i_rpca_fit *f);
/** 1.4826 times the median of |X - L| over observed entries that are no outliers beside it, of a sample where these
 *  are many. W is used. */
lode_status lode_i_rpca_deviation(lode_ctx *ctx, lode_i_rpca_fit *f, double *sigma);

/** Principal component pursuit; noise auto is estimated on the way. LODE_NOCONV with the best it has. */
lode_status lode_i_rpca_pursue(lode_ctx *ctx, lode_i_rpca_fit *f);
/** Alternating projections to rank k; auto where k is 0. */
lode_status lode_i_rpca_project(lode_ctx *ctx, lode_i_rpca_fit *f, int64_t k);

/** A result, borrowed from its bundle. */
typedef struct lode_i_rpca_model {
    const lode_array *U, *s, *V, *trace, *dual; /* dual: NULL where it was not kept */
    const lode_sparse *S;
    double lambda, sigma, objective, gap, threshold; /* NaN: not of this method */
    int64_t m, n, k, observed;
} lode_i_rpca_model;
lode_status lode_i_rpca_model_of(lode_ctx *ctx, const lode_bundle *b, lode_i_rpca_model *r);
/** |L|_* + g(X - L) and the relative gap to the least of it, by the dual matrix (NULL: gap is not touched). */
typedef struct lode_i_rpca_optimum {
    double objective, gap, bound; /* bound: of the dual matrix's spectral norm */
} lode_i_rpca_optimum;
lode_status lode_i_rpca_certify(lode_ctx *ctx, const lode_i_rpca_data *d,
                                const lode_i_robust_rule *rule, const lode_array *s,
                                const lode_array *Y, double pursued, lode_i_rpca_optimum *found);
double lode_i_rpca_nu(const lode_i_rpca_data *d, double sigma);

/* Verbs. */
lode_status lode_i_rpca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result);
lode_status lode_i_rpca_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                               const lode_part *part, lode_array *out);
lode_status lode_i_rpca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_certificate *found);
lode_status lode_i_rpca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_figure *figure);

#endif
