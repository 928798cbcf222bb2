/* Gaussian processes over one axis as linear stochastic differential equations, so that conditioning
 * on what is known at n points takes time linear in n. In f64, on the calling thread. */
#ifndef LODE_STATESPACE_H
#define LODE_STATESPACE_H

#include "array/array.h"

typedef enum lode_i_matern { LODE_I_MATERN12, LODE_I_MATERN32, LODE_I_MATERN52 } lode_i_matern;

/** r independent processes, each of mean 0 and covariance amplitude^2 k(c |t - t'| / lengthscale) with
 *  k(s) = e^-s, c = 1 (12), (1 + s) e^-s, c = sqrt 3 (32), (1 + s + s^2/3) e^-s, c = sqrt 5 (52). */
typedef struct lode_i_gp {
    lode_i_matern kernel;
    int64_t r;
    double lengthscale, amplitude;
    bool white; /* for claims: values at different points know nothing of each other */
} lode_i_gp;

/** What is known of the r values u_j at each of n ascending points t: a factor
 *  exp(shift_j' u_j - u_j' precision_j u_j / 2), precision_j symmetric, positive semidefinite, 0 where
 *  nothing is. Contiguous f64: t n, precision n x r x r, shift n x r. */
typedef struct lode_i_gp_sites {
    const lode_array *t, *precision, *shift;
} lode_i_gp_sites;

/** What the sites make of the prior. evidence: log of the integral of prior times factors; divergence:
 *  KL(posterior || prior). steps: Kalman steps taken, added to what is there. */
typedef struct lode_i_gp_score {
    double evidence, divergence;
    int64_t steps;
} lode_i_gp_score;

/** Values of one state in the kernel's differential equation: 1, 2 or 3. */
int64_t lode_i_gp_order(lode_i_matern kernel);
/** One step of length s = c dt / lengthscale of the equation whose state is f, f', f'' with time in units of
 *  1 / c lengthscale, amplitude 1: p x p transition A, and lower triangular L with L L' the covariance of
 *  the noise on the way. */
void lode_i_matern_step(lode_i_matern kernel, double s, double *A, double *L);
/** Posterior mean (n x r) and covariance (n x r x r) at the points, given, by a square-root Kalman filter and
 *  a square-root Rauch-Tung-Striebel smoother. */
lode_status lode_i_gp_smooth(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                             lode_array *mean, lode_array *cov, lode_i_gp_score *score);
/** The evidence alone, by the filter. */
lode_status lode_i_gp_evidence(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                               lode_i_gp_score *score);
/** The posterior at other points `at` (m, ascending): mean m x r and covariance m x r x r, new. Exact: the
 *  points take part in the smoother as ones of which nothing is known. */
lode_status lode_i_gp_predict(lode_ctx *ctx, const lode_i_gp *g, const lode_i_gp_sites *sites,
                              const lode_array *at, lode_array *mean, lode_array *cov);
/** energy (r x r, given) = E u K^-1 u' of the posterior over the points, K the prior's covariance of one process,
 *  which is not formed: K^-1 mean = shift - precision mean, and the like. */
void lode_i_gp_energy(const lode_i_gp_sites *sites, const lode_array *mean, const lode_array *cov,
                      lode_array *energy);
/** Sites of Q'u in place of those of u, Q (r x r, contiguous) orthogonal. room: r (r + 1) values. */
void lode_i_gp_turn(const lode_array *Q, lode_array *precision, lode_array *shift, double *room);
/** Bytes that smoothing over so many points takes at most, outputs not counted. */
uint64_t lode_i_gp_room(const lode_i_gp *g, int64_t points);

#endif
