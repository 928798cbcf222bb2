/* Private to funtucker: what its files share. */
#ifndef LODE_OPS_FUNTUCKER_H
#define LODE_OPS_FUNTUCKER_H

#include "iter/iter.h"
#include "linalg/scattered.h"
#include "linalg/statespace.h"
#include "lode/tensor.h"
#include "op/op.h"

enum { FUNTUCKER_MODES = LODE_I_SCATTERED_MODES, FUNTUCKER_CORE = 1024 };

/** The observations, and which of them are fitted. */
typedef struct funtucker_data {
    int d;
    int64_t rows;
    lode_array table;        /* rows x (d + 1), f64 */
    lode_array fitted, held; /* their numbers, i64, ascending */
    double offset, scale;
    lode_i_scattered s; /* those fitted, (value - offset) / scale */
} funtucker_data;
void lode_i_funtucker_close(funtucker_data *d);
/** Reads and checks; held: rows kept back (i64, ascending), else drawn by holdout. */
lode_status lode_i_funtucker_open(lode_ctx *ctx, const lode_funtucker_opts *o, lode_value X,
                                  const lode_array *held, funtucker_data *d);
/** A table of finite numbers: f64, rows x columns; what: "X". */
lode_status lode_i_funtucker_table(lode_ctx *ctx, lode_value X, const char *what,
                                   lode_array *table);
/** How many rows holdout keeps back. */
int64_t lode_i_funtucker_back(double holdout, int64_t rows);

typedef struct funtucker_mode {
    lode_i_gp gp;
    double span;     /* of its indexes */
    double reach[2]; /* how far the next try of lengthscale and amplitude goes, in logarithms */
    double divergence;
    lode_array cov, precision, shift;
} funtucker_mode;

/** The posterior: functions and core in m, noise precision Gamma(a, rate b). */
typedef struct funtucker_fit {
    lode_i_multilinear m;
    funtucker_mode mode[FUNTUCKER_MODES];
    lode_array core_cov;
    lode_array seconds, firsts; /* what the observations say of the core, at noise precision 1 */
    double a, b, logdet;        /* logdet: of the core's covariance */
    double evidence;
    lode_array trace;
    int64_t sweeps, visits; /* visits: observations met and Kalman steps taken */
    lode_status status;
} funtucker_fit;
void lode_i_funtucker_free(funtucker_fit *f);
/** From start number `start` until the evidence settles. */
lode_status lode_i_funtucker_fit_to(lode_ctx *ctx, const lode_funtucker_opts *o,
                                    const funtucker_data *d, const int64_t *rank, uint64_t start,
                                    funtucker_fit *f);
/** Functions and core scaled and turned against each other, to where both are least far from their priors. The
 *  sites are then those of the functions before. */
lode_status lode_i_funtucker_expand(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f);
/** E W_(k) W_(k)', r x r, new. */
lode_status lode_i_funtucker_core_energy(lode_ctx *ctx, const funtucker_fit *f, int k,
                                         lode_array *C);
/** State of the sweeps into two arrays, made where they are not, and back. */
lode_status lode_i_funtucker_keep(lode_ctx *ctx, funtucker_fit *f, lode_array *large,
                                  lode_array *small);
lode_status lode_i_funtucker_unkeep(lode_ctx *ctx, lode_array *large, lode_array *small,
                                    funtucker_fit *f);
/** Posterior of mode k's functions from the sites. */
lode_status lode_i_funtucker_smooth(lode_ctx *ctx, const lode_array *grid, int k, funtucker_fit *f);
/** seconds and firsts of the functions as they are. */
lode_status lode_i_funtucker_sums(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f);
/** Core and noise, each given the other, until neither moves. */
lode_status lode_i_funtucker_settle(lode_ctx *ctx, const lode_i_scattered *s, funtucker_fit *f);
/** Core given the noise; noise given the core. */
lode_status lode_i_funtucker_core(lode_ctx *ctx, funtucker_fit *f);
void lode_i_funtucker_noise(const lode_i_scattered *s, funtucker_fit *f);
/** Lower bound of the log evidence, where the noise was found last; and that of noise alone. */
double lode_i_funtucker_evidence(const lode_i_scattered *s, const funtucker_fit *f);
double lode_i_funtucker_nothing(const lode_i_scattered *s);
/** f at other places, in units of the model: mean and variance. Of the fit: m, sites and grids of s. */
lode_status lode_i_funtucker_at(lode_ctx *ctx, const lode_array *grid, const funtucker_fit *f,
                                const lode_i_scattered *places, lode_array *mean,
                                lode_array *variance);

/** Rows of a table, all or those of `take`: mean of a value, and variances of f and of a value. */
lode_status lode_i_funtucker_predict(lode_ctx *ctx, const lode_array *grid, const funtucker_fit *f,
                                     double offset, double scale, const lode_array *table,
                                     const lode_array *take, lode_array *mean, lode_array *spread,
                                     lode_array *variance);
/** Rows kept back against what is predicted for them: h x 3, value, mean, variance of a value. */
lode_status lode_i_funtucker_heldout(lode_ctx *ctx, const funtucker_data *d, const funtucker_fit *f,
                                     lode_array *table);
typedef struct funtucker_score {
    double value, absolute, low, high, coverage; /* errors relative to |value - offset| */
} funtucker_score;
void lode_i_funtucker_judge(const lode_array *heldout, double offset, funtucker_score *s);

lode_status lode_i_funtucker_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                   lode_bundle *result);
lode_status lode_i_funtucker_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                    lode_certificate *found);
lode_status lode_i_funtucker_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                  lode_figure *figure);

#endif
