/* Trajectories and parameter sweeps: bases of snapshots, modes in time. */
#ifndef LODE_DYNAMICS_H
#define LODE_DYNAMICS_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lode_pod_partition {
    LODE_POD_SINE,   /* k-medoids by the sine of the angle between snapshots */
    LODE_POD_EUCLID, /* k-medoids by the length of their difference */
    LODE_POD_ORDER   /* consecutive snapshots in parts of equal number */
} lode_pod_partition;

typedef struct lode_pod_opts {
    size_t size;
    int64_t clusters; /* local bases; 1: one for all snapshots */
    lode_pod_partition partition;
    lode_rank_spec rank;   /* columns of each basis */
    lode_error_spec error; /* relative, of each cluster, and so in total; none: 1e-3 without rank */
    lode_auto_i64 max_rank;    /* cap on those that an error leads to */
    int64_t axis;              /* of X, that counts snapshots: 0, a row each, or 1, a column each */
    bool center;               /* the mean snapshot is subtracted first */
    const lode_array *weights; /* of the values of a snapshot in the inner product, >= 0 */
    int64_t restarts, max_iter; /* of the search for medoids */
} lode_pod_opts;
LODE_API lode_pod_opts lode_pod_defaults(void);
extern LODE_API const lode_op lode_op_pod;

/** Proper orthogonal decomposition of N snapshots of n values, piecewise: snapshot i is about
 *  mean + basis[:, offsets[c] .. offsets[c + 1]) codes[i, the same], c = labels[i].
 *  X      in   N x n (axis 0) or n x N (axis 1): array or source; any numeric type; finite
 *  M      in   kind LODE_NONE, or n x n, real, symmetric, positive definite: dense or sparse; the inner
 *              product is then y^H M x (mass matrix of a discretization)
 *  model  out  basis n x R, columns orthonormal within each cluster; offsets K + 1; codes N x R, 0 but in the
 *              columns of a snapshot's own basis; s R, singular values of each cluster, descending, unit of X; medoids
 *              K, numbers of snapshots, ascending; labels N; distance N, to the medoid; cost, their sum;
 *              representatives K x n, the medoids less the mean; errors N, relative, in the norm of the
 *              inner product (0 of a snapshot of zeros); worst, the largest of them; mean n (center); weights,
 *              M as given.
 *              Certificate: relative Frobenius error, measured on the stored result.
 *  Returns LODE_OK; LODE_NOCONV medoids still moved after max_iter passes (model valid); LODE_MISSED max_rank,
 *  or rounding, kept the error from being met (model valid); LODE_EPARAM more clusters than snapshots (sine: that
 *  are not zero), a negative weight; LODE_ESHAPE an empty X, rank above min(N, n), weights or M of another size;
 *  LODE_EUSAGE rank and error, weights and M; LODE_EDOMAIN NaN or infinity, M not symmetric or not positive
 *  definite; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over X: 4; 3 more where an error or a rank reaches below 1e-5 of the largest singular value. Cost
 *  N^2 n for inner products, 6 N n R; memory 9 N^2 and 5 n R beside X, in f64. With M, four times X in f64.
 *  Source: Daniel, Casenave, Akkari & Ryckelynck 2021, doi:10.48550/arXiv.2108.12291. See also lode_pca, lode_svd. */
LODE_API lode_status lode_pod(lode_ctx *ctx, const lode_pod_opts *o, lode_value X, lode_value M,
                              lode_bundle *model);

/* ---- dmd ---- */

typedef enum lode_dmd_method {
    LODE_DMD_EXACT,    /* the linear map between successive snapshots, least squares */
    LODE_DMD_FB,       /* forward and backward maps, whose noise biases cancel */
    LODE_DMD_OPTIMIZED /* exponentials in time fitted to all snapshots */
} lode_dmd_method;
typedef enum lode_dmd_amplitudes {
    LODE_DMD_ALL,  /* least squares over all snapshots */
    LODE_DMD_FIRST /* over the first one */
} lode_dmd_amplitudes;

typedef struct lode_dmd_opts {
    size_t size;
    lode_dmd_method method;
    lode_rank_spec rank;     /* modes; auto: singular values above noise */
    lode_auto_i64 max_rank;  /* of auto; 100 */
    int64_t delays;          /* snapshots that follow each other and are taken as one */
    double dt;               /* time between snapshots */
    const lode_array *times; /* optimized: of each snapshot, ascending, in place of dt */
    int64_t axis;            /* of X, that counts snapshots: 0, a row each, or 1, a column each */
    lode_dmd_amplitudes amplitudes;
    double tol;
    int64_t max_iter; /* optimized */
} lode_dmd_opts;
LODE_API lode_dmd_opts lode_dmd_defaults(void);
extern LODE_API const lode_op lode_op_dmd;

/** Dynamic mode decomposition of m snapshots of n values: snapshot i is about
 *  sum_j modes[:, j] amplitudes[j] exp(rates[j] (times[i] - times[0])), of real data its real part.
 *  X      in   m x n (axis 0) or n x m (axis 1): array or source; any numeric type; finite
 *  model  out  modes n x r, complex, of length 1, their largest entry real and positive; eigenvalues r = exp(rates
 *              dt); rates r, one over the unit of dt; frequency r, f64, cycles, = imag(rates) / 2 pi; growth
 *              r, f64 = real(rates); amplitudes r, complex, descending in size, pairs with the positive frequency first;
 *              times m, f64; trace (optimized): relative error at the start of nothing (1) and after each step.
 *              Certificate: relative Frobenius error over all snapshots, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter steps were not enough (model valid); LODE_ESHAPE fewer than 2 snapshots
 *  (with delays d, d + 1), rank above what there is; LODE_EPARAM times not ascending; LODE_EUSAGE times with
 *  another method than optimized; LODE_EDOMAIN NaN or infinity; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost: one SVD of m x n d; a step of optimized O(m r^2). X is held in memory.
 *  Source: Tu et al. 2014, doi:10.3934/jcd.2014.1.391; Dawson et al. 2016, doi:10.1007/s00348-016-2127-7; Askham & Kutz
 *  2018, doi:10.1137/M1124176. See also lode_pod. */
LODE_API lode_status lode_dmd(lode_ctx *ctx, const lode_dmd_opts *o, lode_value X,
                              lode_bundle *model);

#ifdef __cplusplus
}
#endif
#endif
