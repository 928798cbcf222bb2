/* Tensor decompositions. */
#ifndef LODE_TENSOR_H
#define LODE_TENSOR_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tucker ---- */

typedef enum lode_tucker_method {
    LODE_TUCKER_AUTO,
    LODE_TUCKER_GRAM,
    LODE_TUCKER_QR,
    LODE_TUCKER_RANDOM
} lode_tucker_method;
typedef struct lode_tucker_opts {
    size_t size;
    lode_rank_spec rank;     /* one, or one a mode; auto: from the error or the budget */
    lode_error_spec error;   /* total; none: 1e-3 relative where neither rank nor budget is given */
    lode_budget_spec budget; /* of core and factors together */
    lode_auto_i64 max_rank;
    lode_tucker_method method;
    int64_t max_iter; /* HOOI sweeps */
    double tol;
    lode_auto_i64 oversampling;
} lode_tucker_opts;
LODE_API lode_tucker_opts lode_tucker_defaults(void);
extern LODE_API const lode_op lode_op_tucker;

/** Tucker decomposition X ~ core x_0 U_0 x_1 U_1 .. by sequentially truncated HOSVD, the smallest
 *  core that meets the error asked.
 *  ctx     in   one per thread                     o     in  start from lode_tucker_defaults()
 *  X       in   1 or more modes: array or source of any numeric type; finite
 *  core    out  r_0 x r_1 x .., in the arithmetic type of X; slices of each mode by falling norm
 *  factors out  factor.0, factor.1, ..: n_k x r_k, orthonormal columns, largest entry of each
 *               positive
 *  cert    out or NULL: relative Frobenius error, measured
 *  Returns LODE_OK; LODE_MISSED the error asked was not reached; LODE_EPARAM a rank below 1, a
 *  budget too small for rank 1; LODE_ESHAPE a rank above its dimension; LODE_EUSAGE a pointwise
 *  error; LODE_EDOMAIN NaN or infinity; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. Passes over X: 2
 *  to 4 where truncation is real and one mode fits in memory; about 3 N sum(n_k) flops where it is
 *  not. A source is read by slabs and gives the same bits.
 *  Source: Vannieuwenhoven, Vandebril, Meerbergen 2012, doi:10.1137/110836067, Algorithm 1. See
 *  also lode_svd. */
LODE_API lode_status lode_tucker(lode_ctx *ctx, const lode_tucker_opts *o, lode_value X,
                                 lode_array *core, lode_bundle *factors, lode_certificate *cert);

/* ---- tt ---- */

typedef enum lode_tt_method {
    LODE_TT_AUTO,
    LODE_TT_GRAM,
    LODE_TT_QR,
    LODE_TT_RANDOM
} lode_tt_method;
typedef struct lode_tt_opts {
    size_t size;
    lode_rank_spec rank;     /* one everywhere at most, or one a bond; auto: error or budget */
    lode_error_spec error;   /* total; none: 1e-3 relative where neither rank nor budget is given */
    lode_budget_spec budget; /* of all cores together */
    lode_auto_i64 max_rank;
    lode_tt_method method;
} lode_tt_opts;
LODE_API lode_tt_opts lode_tt_defaults(void);
extern LODE_API const lode_op lode_op_tt;

/** Tensor train X[i_0, .., i_d-1] ~ G_0[:, i_0, :] G_1[:, i_1, :] .. by TT-SVD, about the fewest
 *  values that meet the error asked.
 *  ctx   in   one per thread                     o     in  start from lode_tt_defaults()
 *  X     in   1 or more modes: array or source of any numeric type; finite
 *  cores out  core.0, core.1, ..: r_k x n_k x r_k+1, r_0 = r_d = 1, in the arithmetic type of X; but
 *             for core.0, which holds the norm, orthonormal as r_k x n_k r_k+1
 *  cert  out or NULL: relative Frobenius error, measured
 *  Returns LODE_OK; LODE_MISSED the error asked was not reached; LODE_EPARAM a rank below 1, a
 *  budget too small for ranks 1; LODE_ESHAPE a rank above its bond's dimension; LODE_EUSAGE a
 *  pointwise error; LODE_EDOMAIN NaN or infinity; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. Passes
 *  over X: 2 or 3. A source is read by slabs and gives the same bits.
 *  Source: Oseledets 2011, doi:10.1137/090752286, Algorithm 1. See also lode_tucker. */
LODE_API lode_status lode_tt(lode_ctx *ctx, const lode_tt_opts *o, lode_value X, lode_bundle *cores,
                             lode_certificate *cert);

/* ---- cp ---- */

typedef enum lode_cp_init { LODE_CP_RANDOM, LODE_CP_SVD } lode_cp_init;
typedef enum lode_cp_observed { LODE_CP_ALL, LODE_CP_ENTRIES } lode_cp_observed;
typedef struct lode_cp_opts {
    size_t size;
    lode_rank_spec rank;    /* one number; auto: by core consistency, or on values kept back */
    lode_auto_i64 max_rank; /* of auto; 8 */
    bool nonneg;
    double ridge, l1;
    lode_cp_init init;
    int64_t restarts;
    bool accelerate;
    lode_missing missing;
    lode_cp_observed observed; /* of a sparse X: all values, or the entries that it holds */
    const lode_array *mask, *weights;
    double holdout;
    lode_auto_i64 affinity; /* time steps of a window; not given: X is the tensor */
    double tol;
    int64_t max_iter;
} lode_cp_opts;
LODE_API lode_cp_opts lode_cp_defaults(void);
extern LODE_API const lode_op lode_op_cp;

/** Canonical polyadic decomposition X ~ sum_r s[r] factor.0[:, r] o factor.1[:, r] o .., by alternating least
 *  squares.
 *  ctx    in   one per thread                     o     in  start from lode_cp_defaults()
 *  X      in   2 to 8 modes: array, sparse (values that it does not hold are 0, or unknown with observed
 *              ENTRIES) or source of real numbers; missing values, mask and weights say what was observed;
 *              with affinity: neuron x time (x animal), of which neuron x neuron x window (x animal) is
 *              made, the squared positive correlation of each pair in each window
 *  model  out  s (k, descending, >= 0), factor.0, .. (n_m x k, columns of length 1), trace (relative error
 *              after each sweep, which begins with 1), consistency (percent; NaN: not known), heldout
 *              (relative error on what was kept back; NaN: nothing was), observed (values fitted);
 *              certificate: relative Frobenius error over what was observed, measured
 *  Returns LODE_OK; LODE_NOCONV the best so far is kept; LODE_EPARAM; LODE_ESHAPE fewer than 2 modes, more
 *  than 8, or an empty one; LODE_EDOMAIN a value that cannot be fitted, one below 0 with nonneg, a slice
 *  without a value; LODE_EUSAGE options that contradict each other; LODE_ENOMEM; LODE_EBUDGET;
 *  LODE_ECANCEL. Two reads of X a sweep, 4 N k flops (dense) or about 4 N_modes nnz k (sparse).
 *  Source: Phan, Tichavsky, Cichocki 2013, doi:10.1109/TSP.2013.2269903. See also lode_tucker. */
LODE_API lode_status lode_cp(lode_ctx *ctx, const lode_cp_opts *o, lode_value X,
                             lode_bundle *model);

/* ---- rescal ---- */

typedef enum lode_rescal_sign {
    LODE_RESCAL_AUTO,
    LODE_RESCAL_NONNEG,
    LODE_RESCAL_ANY
} lode_rescal_sign;
typedef enum lode_rescal_init {
    LODE_RESCAL_START_AUTO,
    LODE_RESCAL_RANDOM,
    LODE_RESCAL_SVD
} lode_rescal_init;
typedef struct lode_rescal_opts {
    size_t size;
    lode_rank_spec rank;  /* one number; auto: by the agreement of fits to perturbed copies */
    lode_list rank_range; /* candidates of auto: first and last; none: 1 to 8 */
    lode_auto_i64
        axis; /* of the relations; the one that two equal axes leave, of equals the last */
    lode_rescal_sign nonneg;
    double l2; /* penalty l2 (|A|^2 + sum |R_k|^2) */
    lode_rescal_init init;
    int64_t restarts;
    lode_auto_i64 ensemble; /* fits a rank; 10 for rank auto, else 1 */
    double perturb;
    bool accelerate;
    lode_missing missing;
    const lode_array *mask;
    double tol;
    int64_t max_iter;
} lode_rescal_opts;
LODE_API lode_rescal_opts lode_rescal_defaults(void);
extern LODE_API const lode_op lode_op_rescal;

/** Relations X_k ~ A R_k A' among the same n things, nonnegative by multiplicative updates or unconstrained
 *  by alternating least squares; the rank from an ensemble of fits to perturbed copies.
 *  ctx    in   one per thread                     o     in  start from lode_rescal_defaults()
 *  X      in   n x n x m, m x n x n or n x m x n: array, source or sparse (values that it does not hold are
 *              0) of real numbers; missing values and mask (dense, nonnegative) say what was observed
 *  model  out  a (n x k), r (m x k x k), energy (k, descending, unit of X), trace (relative error: 1, at the
 *              start, after each step), values (fitted), rank; of an ensemble also ranks, errors,
 *              silhouette_min, silhouette_mean and reason; certificate: relative Frobenius error, measured
 *  Columns of a have length 1; unconstrained they are orthonormal, the sum of R_k R_k' + R_k' R_k is diagonal,
 *  and the largest entry of each is positive.
 *  Returns LODE_OK; LODE_NOCONV the best so far is kept; LODE_EPARAM a rank above n; LODE_ESHAPE relations that
 *  are not square; LODE_EDOMAIN an entry below 0 with nonneg NONNEG, NaN or infinity; LODE_EUSAGE rank auto,
 *  an ensemble or missing values where nothing is nonnegative; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. A step
 *  takes 4 n^2 m k flops, or 4 nnz k, and reads X once where a slice lies in cache.
 *  Source: Truong et al. 2020, doi:10.1088/2632-2153/aba9ee; Nickel, Tresp & Kriegel 2011. See also lode_cp. */
LODE_API lode_status lode_rescal(lode_ctx *ctx, const lode_rescal_opts *o, lode_value X,
                                 lode_bundle *model);

/* ---- tn ---- */

typedef enum lode_tn_structure {
    LODE_TN_GREEDY,
    LODE_TN_GRAPH,
    LODE_TN_TT,
    LODE_TN_RING,
    LODE_TN_TUCKER
} lode_tn_structure;
typedef struct lode_tn_opts {
    size_t size;
    lode_tn_structure structure;
    lode_rank_spec rank; /* of tt, ring, tucker: one, or one an edge */
    const lode_array
        *graph; /* nodes x nodes: ranks of edges, 1 for none; node k < modes has mode k */
    lode_error_spec error;   /* greedy ends there; none: 1e-3 relative where no budget is given */
    lode_budget_spec budget; /* of all cores together */
    lode_auto_i64 max_rank;
    bool internal; /* greedy: nodes without a mode may come about */
    lode_missing missing;
    const lode_array *mask;
    double holdout;
    int64_t restarts; /* of a given structure */
    double tol;
    int64_t max_iter; /* sweeps over the cores, after each change of the structure */
} lode_tn_opts;
LODE_API lode_tn_opts lode_tn_defaults(void);
extern LODE_API const lode_op lode_op_tn;

/** A tensor as a network of small ones: nodes, one a mode and others without, joined by edges of some rank, which
 *  are summed over. The structure grows from rank 1 by the edge whose increment lowers the error most, or is given;
 *  cores by alternating least squares.
 *  ctx    in   one per thread                     o     in  start from lode_tn_defaults()
 *  X      in   2 to 8 modes: array or source of real numbers; missing values and mask say what was observed
 *  model  out  core.0, .. (axis j of core k: its edge to node j, of length 1 where there is none, but axis k: mode
 *              k; in the arithmetic type of X; cores but the first of length 1), ranks (nodes x nodes, i64: of the
 *              edges; on the diagonal the lengths of the modes, 1 where a node has none), trace (relative error
 *              after each sweep, which begins with 1), curve (parameters, relative error, relative error on what is
 *              kept back, after each structure), edges (the two nodes whose edge grew before it, -1 -1 for the
 *              first), norm (of the network), heldout (NaN: nothing was kept back), observed (values fitted);
 *              certificate: relative Frobenius error over what was fitted, measured
 *  Returns LODE_OK; LODE_MISSED the error asked was not reached; LODE_NOCONV the best so far is kept; LODE_EPARAM a
 *  budget too small for rank 1; LODE_ESHAPE fewer than 2 modes, more than 8, or an empty one, ranks that do not
 *  fit the structure; LODE_EDOMAIN NaN, an infinity, a slice without a value; LODE_EUSAGE options that contradict
 *  each other; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. Two products with X a sweep, where all of it is known.
 *  Source: Hashemizadeh, Liu, Miller & Rabusseau 2020, arXiv:2008.05437. See also lode_tt, lode_tucker. */
LODE_API lode_status lode_tn(lode_ctx *ctx, const lode_tn_opts *o, lode_value X,
                             lode_bundle *model);
/* ---- funtucker ---- */

typedef enum lode_funtucker_kernel {
    LODE_FUNTUCKER_MATERN12,
    LODE_FUNTUCKER_MATERN32,
    LODE_FUNTUCKER_MATERN52
} lode_funtucker_kernel;
typedef enum lode_funtucker_init {
    LODE_FUNTUCKER_COSINES,
    LODE_FUNTUCKER_RANDOM
} lode_funtucker_init;
typedef struct lode_funtucker_opts {
    size_t size;
    lode_rank_spec rank; /* functions of a mode */
    lode_funtucker_kernel kernel;
    lode_list lengthscale;   /* one, or one a mode, unit of the indexes; none: by evidence */
    lode_auto_f64 amplitude; /* standard deviation of a function, before data; auto: by evidence */
    bool center;
    lode_funtucker_init init;
    int64_t restarts;
    double damping; /* share of each message that stays as it was */
    double holdout;
    double tol; /* nats an observation */
    int64_t max_iter;
} lode_funtucker_opts;
LODE_API lode_funtucker_opts lode_funtucker_defaults(void);
extern LODE_API const lode_op lode_op_funtucker;

/** Tucker model of values at continuous indexes: y ~ f + noise, f(t_0, .., t_d-1) = core x_k u_k(t_k), each u_k
 *  some functions with Gaussian process priors; the posterior of functions, core and noise.
 *  ctx    in   one per thread                     o     in  start from lode_funtucker_defaults()
 *  X      in   n x (d + 1), d from 1 to 8: array or source of real numbers; a row is d indexes and a value; finite
 *  model  out  core (r_0 x .. x r_d-1) and core_cov; of mode k: index.k (g, its distinct indexes), factor.k (g x
 *              r_k) and cov.k (g x r_k x r_k), posterior of its functions there, precision.k and shift.k, what the
 *              observations say of them; lengthscale, amplitude (d); gamma (shape and rate of the noise precision);
 *              offset, scale: a value is offset + scale f, in which all else is; noise (standard deviation, unit
 *              of the values), evidence (its lower bound, nats), trace (the same after each sweep, begins with
 *              that of noise alone); held (rows kept back), heldout (h x 3: value, mean, variance), coverage
 *              (share of them within 90 % intervals)
 *  Returns LODE_OK; LODE_NOCONV the best so far is kept; LODE_EPARAM; LODE_ESHAPE no row, fewer than 2 or more than 9
 *  columns, a core of more than 1024 values; LODE_EDOMAIN NaN or infinity (its row), values beyond 1e150;
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL. A sweep takes time linear in n: d + 1 passes of about product
 *  r_k (r_k + 1) / 2 operations an observation, and some 9 (p r_k)^3 a distinct index, p = 1, 2, 3 by kernel.
 *  Source: Fang, Wang, Wang, Li, Kirby & Zhe 2024, arXiv:2311.04829. See also lode_tucker. */
LODE_API lode_status lode_funtucker(lode_ctx *ctx, const lode_funtucker_opts *o, lode_value X,
                                    lode_bundle *model);

#ifdef __cplusplus
}
#endif
#endif
