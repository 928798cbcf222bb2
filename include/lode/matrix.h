/* Matrix operations. */
#ifndef LODE_MATRIX_H
#define LODE_MATRIX_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- svd ---- */

typedef enum lode_svd_method {
    LODE_SVD_AUTO,
    LODE_SVD_KRYLOV, /* randomized block Krylov on A^H A: one pass a step */
    /* block Golub-Kahan, both sides orthogonalized: small values keep their digits */
    LODE_SVD_GOLUB_KAHAN,
    LODE_SVD_FULL, /* all triplets by LAPACK, then cut */
    /* Gram matrix of the shorter side, or where its squares lose too much its triangular factor */
    LODE_SVD_GRAM
} lode_svd_method;

typedef struct lode_svd_opts {
    size_t size;
    lode_rank_spec rank;   /* triplets; auto: from error, else all where min(m, n) <= 2000 */
    lode_error_spec error; /* none, :rel or :fro: the smallest rank within it */
    lode_auto_i64 max_rank;
    lode_svd_method method;
    /* columns of a block beyond the rank; auto: smaller blocks, more steps */
    lode_auto_i64 oversampling;
    /* relative error of each singular value; auto: 1e-6, single precision 5e-5 */
    lode_auto_f64 tol;
    int64_t max_iter; /* block steps at most */
} lode_svd_opts;
LODE_API lode_svd_opts lode_svd_defaults(void);
extern LODE_API const lode_op lode_op_svd;

/** Singular value decomposition A ~ U diag(s) V^H, truncated to a rank or an error.
 *  ctx  in   one per thread                      o  in  start from lode_svd_defaults(), set rank or
 *            error
 *  A    in   m x n: array, source, sparse, linop or callback; any number type; finite
 *  U    out  m x k, orthonormal columns, largest entry of each positive
 *  s    out  k, real, descending, >= 0, unit of A
 *  V    out  n x k, orthonormal columns
 *  cert out  or NULL: relative Frobenius error of U diag(s) V^H, measured; where A is known by
 *            products alone, the largest ||A^H u - s v|| over s_1
 *  Returns LODE_OK; LODE_NOCONV max_iter steps were not enough, LODE_MISSED max_rank binds before
 *  the error is reached (outputs valid); LODE_EPARAM several ranks, an error that is neither :rel
 *  nor :fro; LODE_EUSAGE rank and error both, or neither with min(m, n) > 2000, or an error for a
 *  callback; LODE_ESHAPE rank > min(m, n); LODE_EDOMAIN NaN or infinity in A, s beyond its type;
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over A: full 1; gram 2, or 3 where its squares lose too much; krylov one a step, 4 to 10
 *  for a decaying spectrum. Cost 4 mn a column of the basis, which has 3 to 4 times the rank; gram
 *  min(m, n) mn.
 *  Source: Musco & Musco 2015, doi:10.48550/arXiv.1504.05477; Halko, Martinsson & Tropp 2011,
 *  doi:10.1137/090771806. */
LODE_API lode_status lode_svd(lode_ctx *ctx, const lode_svd_opts *o, lode_value A, lode_array *U,
                              lode_array *s, lode_array *V, lode_certificate *cert);

/** How a stream keeps the bases. */
typedef enum lode_svd_basis {
    LODE_SVD_EXTENDED, /* tall times small, of which an update of sparse data changes few rows */
    LODE_SVD_PLAIN /* as they are, formed anew with every update (Zha & Simon): for comparison */
} lode_svd_basis;
/** A decomposition held in memory that takes in data, batch after batch. */
typedef struct lode_svd_stream lode_svd_stream;
typedef struct lode_svd_stream_info {
    int64_t m, n, k;
    int64_t updates, renewals; /* renewals: how often a basis was formed anew */
    double drift;              /* larger ||X^H X - I||_F of both bases */
    double lost;               /* bound of ||A - U diag(s) V^H||_F; negative: not known */
    double norm;               /* ||A||_F, or what it is at least once a change came in */
    double flops;              /* of all updates */
} lode_svd_stream_info;
/** From a result of svd, whose rank, error and max_rank rule what is kept. Copies it, in f64 or c128:
 *  (m + n) k values. stream: NULL, or one that is closed then. LODE_EUSAGE: a result of another
 *  operation. Not for two threads at once. */
LODE_API lode_status lode_svd_stream_open(lode_ctx *ctx, const lode_bundle *model,
                                          lode_svd_basis basis, lode_svd_stream **stream);
/** Takes in a batch: rows (s x n; the name may be NULL), cols (m x s), or a change D E^H of the matrix
 *  given as D (m x t) and E (n x t). Each an array, a source or sparse; afterwards the stream holds the
 *  best rank-k approximation within the space of the vectors that it had and the new ones (Rayleigh-Ritz).
 *  Cost for s sparse rows with entries in p columns: nnz k + p (s + k)^2 + (s + k)^3, and now and then
 *  (m + n) k^2; dense data (m + n) (s + k)^2. LODE_ESHAPE what does not fit (both shapes); LODE_EDOMAIN
 *  NaN or infinity; LODE_ETYPE complex data for a real matrix; LODE_EUSAGE other names. A call that
 *  fails leaves the stream as it was.
 *  Source: Deng, Li, Zhang & Xu 2024, doi:10.48550/arXiv.2401.09703. */
LODE_API lode_status lode_svd_stream_update(lode_ctx *ctx, lode_svd_stream *stream,
                                            const lode_input *in, int64_t count);
/** The singular values, f64, new. */
LODE_API lode_status lode_svd_stream_values(lode_ctx *ctx, const lode_svd_stream *stream,
                                            lode_array *s);
LODE_API lode_svd_stream_info lode_svd_stream_state(const lode_svd_stream *stream);
/** A result as svd gives it, U and V formed. */
LODE_API lode_status lode_svd_stream_result(lode_ctx *ctx, const lode_svd_stream *stream,
                                            lode_bundle *result);
LODE_API void lode_svd_stream_close(lode_svd_stream **stream);

/* ---- pca ---- */

typedef struct lode_pca_opts {
    size_t size;
    lode_rank_spec rank;  /* components; auto: the smaller of 10 and the sides */
    bool center;          /* subtract column means; off: components of the raw matrix */
    lode_missing missing; /* what counts as missing; default NaN */
    double tol;           /* stopping rule of the iteration over missing values */
    int64_t max_iter;
} lode_pca_opts;
LODE_API lode_pca_opts lode_pca_defaults(void);
extern LODE_API const lode_op lode_op_pca;

/** Principal components X ~ 1 mean^T + scores V^T, missing values allowed.
 *  X      in   m x n, m >= 1: array, source, sparse (kept sparse, centred implicitly); real
 *  model  out  V n x k, orthonormal; mean n, unit of X; s k, singular values of the centred matrix,
 *              descending; scores m x k, columns orthogonal with norms s; ratio k, shares of the
 *              variance; total, sum of squares about the mean; noise, variance left in a value;
 *              rows m. Certificate: relative Frobenius error over the observed values, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter sweeps were not enough (model valid); LODE_EPARAM rank
 *  above min(m, n);
 *  LODE_EDOMAIN infinity, or a column without observed value; LODE_ENOMEM; LODE_EBUDGET;
 *  LODE_ECANCEL.
 *  Cost: complete data as lode_svd; missing values 4 (observed) k^2 a sweep, and an f64 copy of X.
 *  Source: Tipping & Bishop 1999, doi:10.1111/1467-9868.00196; Ilin & Raiko, JMLR 11 (2010)
 *  1957. */
LODE_API lode_status lode_pca(lode_ctx *ctx, const lode_pca_opts *o, lode_value X,
                              lode_bundle *model);

/* ---- rank ---- */

typedef struct lode_rank_opts {
    size_t size;
    lode_auto_i64 max_rank; /* candidates; auto: 64, or all but one of the shorter side */
    const char *methods;    /* "all", or names by comma, see rank.c */
    lode_auto_f64 noise;    /* standard deviation of the noise in an entry; auto: from the values */
    bool center;            /* subtract column means first */
    lode_missing missing;   /* what counts as missing; default NaN */
    double holdout;         /* share of the entries kept back at a time */
    lode_auto_i64 resamples; /* shuffles and random halves; auto: 20, fewer shuffles where large */
    lode_axes axes;          /* of a tensor: the modes asked about */
} lode_rank_opts;
LODE_API lode_rank_opts lode_rank_defaults(void);
extern LODE_API const lode_op lode_op_rank;

/** How many components a matrix has beyond noise, by several criteria, with intervals; of a tensor,
 *  each unfolding. (lode_rank(R) is the rank_spec of a number, hence the plural.)
 *  X      in   m x n, m, n >= 4, or a tensor: array or source; real; a row an observation
 *  model  out  rank d, the recommendation of each of d modes; criteria d x 6 x 3, rank, low and high
 *              end of each criterion in the order of the option's names, -1: not asked or not to be
 *              told; s d x p, singular values, unit of X; s_error, their standard errors; threshold,
 *              noise, floor d; null and null_mean d x K, what shuffled data reach; cv, cv_error, mdl,
 *              aic d x (K + 1), of ranks 0..K; stability, stability_low, stability_high d x K;
 *              sides d x 2; axes d; advice, a sentence a mode. NaN: not computed.
 *              Certificate: relative error of held-out entries at the recommended rank.
 *  Returns LODE_OK; LODE_EPARAM rank cap above the shorter side, axes; LODE_EUSAGE no such method;
 *  LODE_ESHAPE fewer than 4 rows or columns, the shorter side above 8192; LODE_EDOMAIN NaN or
 *  infinity (named), a row or column without observed value, data that do not vary; LODE_ENOMEM;
 *  LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over X: 3 and no copy for gavish-donoho, mdl, aic, stability; parallel and
 *  cross-validation hold X, and so does filling gaps. Cost min(m, n) mn + min(m, n)^3 and about as
 *  much again for either of them.
 *  Source: Gavish & Donoho 2014, doi:10.1109/TIT.2014.2323359; Horn 1965, doi:10.1007/BF02289447;
 *  Owen & Perry 2009, doi:10.1214/08-AOAS227; Wax & Kailath 1985, doi:10.1109/TASSP.1985.1164557. */
LODE_API lode_status lode_ranks(lode_ctx *ctx, const lode_rank_opts *o, lode_value X,
                                lode_bundle *model);

/* ---- complete ---- */

typedef enum lode_complete_method {
    LODE_COMPLETE_ALS,        /* alternating least squares, any number of modes */
    LODE_COMPLETE_RIEMANNIAN, /* conjugate gradients on the matrices of the rank */
    LODE_COMPLETE_SOFT        /* nuclear norm: filled and thresholded in turn */
} lode_complete_method;
typedef enum lode_complete_solver {
    LODE_COMPLETE_EXACT,
    LODE_COMPLETE_SKETCH
} lode_complete_solver;
typedef struct lode_complete_opts {
    size_t size;
    lode_rank_spec rank;    /* auto: by held-out entries, from 1 up to max_rank */
    lode_auto_i64 max_rank; /* auto: the smaller of 20 and the sides */
    lode_complete_method method;
    lode_complete_solver solver; /* of the regressions of als */
    double ridge; /* weight of half the sum of squares of the factors, unit of X; soft: threshold */
    bool nonneg;  /* factors >= 0 (als) */
    lode_missing missing;      /* of dense X; default NaN */
    const lode_array *mask;    /* shape of X: nonzero means observed; NULL: all */
    const lode_array *weights; /* shape of X, >= 0; NULL: ones */
    double
        holdout; /* share of the observed entries kept back; 0: none, with rank auto 0.1 to choose */
    double tol;
    int64_t max_iter;
} lode_complete_opts;
LODE_API lode_complete_opts lode_complete_defaults(void);
extern LODE_API const lode_op lode_op_complete;

/** Low-rank completion x ~ sum_r s_r a_r o b_r (o ..), fitted to the observed entries: minimizes
 *  1/2 sum w (x - fit)^2 + ridge/2 sum of squares of the factors (with s spread over them).
 *  X      in   m x n, or a tensor: array or source with missing values, or sparse, whose entries are
 *              the observed ones; real
 *  model  out  s k, >= 0, descending, unit of X; factor.0 m x k, factor.1 n x k, ..: unit columns,
 *              of a matrix orthonormal (so that it is a singular value decomposition) unless nonneg;
 *              trace, relative error over observed entries after each sweep, from 1; observed, entries; norm of the array filled;
 *              heldout, relative error over the entries kept back, with heldout_low, heldout_high
 *              (two standard errors; NaN: none were); flops of the regressions.
 *              Certificate: relative Frobenius error over the observed entries fitted, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter sweeps were not enough (model valid); LODE_EPARAM rank above
 *  the shorter side of a matrix, several ranks; LODE_EUSAGE a method for matrices given a tensor;
 *  LODE_ESHAPE fewer than 2 axes, mask or weights of another shape; LODE_EDOMAIN NaN or infinity that is
 *  not missing, a row or column without observed value, an entry given twice, a negative weight: each
 *  named; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost of a sweep: observed (k^2 + 6 k) d + sides k^3 / 3; by sketches about observed k d; memory 2 to
 *  4 times the coordinates.
 *  Source: Gu, Song, Yin & Zhang 2023, doi:10.48550/arXiv.2302.11068 (als by sketches); Vandereycken
 *  2013, doi:10.1137/110845768 (riemannian); Mazumder, Hastie & Tibshirani, JMLR 11 (2010) 2287. */
LODE_API lode_status lode_complete(lode_ctx *ctx, const lode_complete_opts *o, lode_value X,
                                   lode_bundle *model);

/* ---- sense ---- */

typedef enum lode_sense_param {
    LODE_SENSE_AUTO,     /* sym for vectors without vectors2, else asym */
    LODE_SENSE_SYM,      /* M = X X^T */
    LODE_SENSE_ASYM,     /* M = F G^T */
    LODE_SENSE_ASYM_FAST /* the same, factors balanced once near the solution */
} lode_sense_param;
typedef enum lode_sense_loss { LODE_SENSE_L2, LODE_SENSE_L1 } lode_sense_loss;
typedef enum lode_sense_form {
    LODE_SENSE_AUTO_FORM, /* matrices, or vectors where vectors2 is given */
    LODE_SENSE_MATRICES,
    LODE_SENSE_VECTORS
} lode_sense_form;
typedef enum lode_sense_init {
    LODE_SENSE_AUTO_INIT, /* random for l2, spectral for l1 */
    LODE_SENSE_RANDOM,
    LODE_SENSE_SPECTRAL
} lode_sense_init;
typedef struct lode_sense_opts {
    size_t size;
    lode_rank_spec rank; /* columns of the factors; auto: the shorter side of M */
    lode_sense_param param;
    lode_sense_loss loss;
    lode_sense_form form;
    lode_list shape; /* rows,columns of M, where A is m x (rows columns); empty: from A */
    const lode_array *vectors2; /* m x n2, of measurements x' M z; NULL: z = x */
    lode_auto_f64
        alpha; /* size of the initial factors over the root of M's norm; auto: 1e-4, l1 1e-6 */
    lode_auto_f64 step; /* over the norm of A*(y), l1: of M; auto: 0.25, l2: halved where needed */
    lode_auto_f64
        decay; /* l1: factor of the step an iteration; auto: proportional to the residuals */
    lode_sense_init init;
    double holdout; /* share of the measurements kept back */
    double tol;
    int64_t max_iter;
} lode_sense_opts;
LODE_API lode_sense_opts lode_sense_defaults(void);
extern LODE_API const lode_op lode_op_sense;

/** A low-rank matrix M from linear measurements y_i = <A_i, M>, by gradient descent on factors whose rank may
 *  be over-estimated; with loss l1 some of the y_i may be grossly wrong.
 *  A      in   m x n1 x n2: array or source (further axes count as columns); or m x (n1 n2) with shape:
 *              dense, sparse, linop or callback; or with form vectors m x n1, of measurements x' M x, or
 *              x' M z with vectors2 m x n2; real, finite
 *  y      in   m values, finite
 *  model  out  s k, >= 0, descending, unit of y over A; factor.0 n1 x k, factor.1 n2 x k, orthonormal: the
 *              singular value decomposition of M; trace, relative loss before the first and after each
 *              iteration (l2: residual norm, l1: sum of absolute residuals; last: of the result); held_trace
 *              the same of the measurements kept back, held, their indices; y, as given; form; norm of M;
 *              fitted, measurements; iterations; step, the last one; balanced, the iteration
 *              after which asym-fast balanced (0: never); residual, of those fitted.
 *              Certificate: relative residual norm of the measurements kept back (l1: median against median),
 *              with its interval; of those fitted, measured, where none were.
 *  Returns LODE_OK; LODE_NOCONV max_iter iterations were not enough (model valid); LODE_EPARAM rank above the
 *  sides of M, several ranks; LODE_EUSAGE sym with another form than square, asym-fast or decay with the wrong
 *  loss, a 2-d A without shape or form; LODE_ESHAPE y of another length, shape that does not fit; LODE_EDOMAIN
 *  NaN or infinity (named), A of zeros alone; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost of an iteration: one read of A, 4 m n1 n2 (vectors: 8 m (n1 + n2) k), and 6 n1 n2 k.
 *  Source: Xiong, Ding & Du 2024, doi:10.48550/arXiv.2310.01769 (l2); Ma & Fattahi 2023,
 *  doi:10.48550/arXiv.2202.08788 (l1). */
LODE_API lode_status lode_sense(lode_ctx *ctx, const lode_sense_opts *o, lode_value A, lode_value y,
                                lode_bundle *model);

/* ---- rpca ---- */

typedef enum lode_rpca_method {
    LODE_RPCA_PCP,    /* principal component pursuit: convex, the rank follows */
    LODE_RPCA_ALTPROJ /* alternating projections to a rank */
} lode_rpca_method;
typedef struct lode_rpca_opts {
    size_t size;
    lode_rpca_method method;
    lode_rank_spec rank;    /* of altproj; auto: from a rough pursuit */
    lode_auto_i64 max_rank; /* cap on the rank, which bounds the memory; auto: none */
    lode_auto_f64
        sparsity; /* weight of |S|_1 in pcp; auto: 1 / sqrt(observed share, longer side) */
    lode_auto_f64
        noise; /* standard deviation of the noise of an entry, unit of X; auto: estimated */
    lode_auto_f64 decay;    /* factor of altproj's threshold in an iteration; auto: 0.6 */
    bool dual;              /* keep pcp's dual matrix, m x n */
    lode_missing missing;   /* default NaN */
    const lode_array *mask; /* shape of X: nonzero means observed; NULL: all */
    lode_auto_f64 tol;      /* residual over the norm of X; auto: 1e-7, single precision 1e-5 */
    int64_t max_iter;
} lode_rpca_opts;
LODE_API lode_rpca_opts lode_rpca_defaults(void);
extern LODE_API const lode_op lode_op_rpca;

/** Robust principal components: X = L + S (+ noise), L of low rank, S of few entries however large.
 *  pcp minimizes |L|_* + sparsity |S|_1, with noise + |X - L - S|^2 / (2 nu), nu = noise sqrt(2 max(m, n)
 *  share observed); altproj has a rank and a threshold that falls.
 *  X      in   m x n: array or source; real; NaN is missing
 *  model  out  U m x k, s k, V n x k: L = U diag(s) V^T, orthonormal columns, s descending, > 0, unit of X;
 *              sparse, S as CSR; trace, residual over the norm of X after each iteration, from 1 (pcp: the
 *              larger of it and a share of the dual one); observed, entries; noise,
 *              deviation used; pcp: sparsity, objective, gap, how far it is at most above the least, relative, and
 *              with opts.dual the matrix that proves this; altproj: threshold, off by more than which is an outlier.
 *              Certificate: ||X - L - S|| / ||X|| over the observed entries, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter iterations were not enough (model valid); LODE_EPARAM rank above
 *  min(m, n), several ranks; LODE_EUSAGE an option of the other method; LODE_ESHAPE X empty, a mask of another
 *  shape; LODE_EDOMAIN an infinity (named), nothing observed; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost of an iteration: three passes over arrays of the size of X and 6 mn (k + 8), and a whole
 *  decomposition where k is above half of the shorter side; altproj 8 mn k. Memory: 3 mn, 8 mn where k is not
 *  bounded, by max_rank or by the sides.
 *  Source: Candes, Li, Ma & Wright 2011, doi:10.1145/1970392.1970395; Lin, Chen & Ma 2010,
 *  doi:10.48550/arXiv.1009.5055; Zhou, Li, Wright, Candes & Ma 2010, doi:10.48550/arXiv.1001.2363; Cai, Cai &
 *  Wei, JMLR 20 (2019) 20, doi:10.48550/arXiv.1711.05519. */
LODE_API lode_status lode_rpca(lode_ctx *ctx, const lode_rpca_opts *o, lode_value X,
                               lode_bundle *model);

/* ---- qr ---- */

typedef enum lode_qr_pivoting {
    LODE_QR_AUTO,
    LODE_QR_SKETCH, /* blocks of pivots from a random sketch of what is left */
    LODE_QR_GREEDY, /* Businger & Golub's, one by one, from the triangle of A */
    LODE_QR_STRONG, /* Gu & Eisenstat's exchanges after them */
    LODE_QR_NONE    /* columns as they come */
} lode_qr_pivoting;

typedef struct lode_qr_opts {
    size_t size;
    lode_rank_spec rank;   /* columns of Q; auto: from error, else the numerical rank */
    lode_error_spec error; /* none, :rel or :fro: the fewest pivots within it */
    lode_auto_i64 max_rank;
    lode_qr_pivoting pivoting;
    double factor;        /* strong: no exchange gains more than this */
    int64_t oversampling; /* sketch: rows beyond the pivots of a block */
} lode_qr_opts;
LODE_API lode_qr_opts lode_qr_defaults(void);
extern LODE_API const lode_op lode_op_qr;

/** QR with column pivoting A[:, perm] ~ Q R, to a rank or an error, or of the rank that A has.
 *  ctx  in   one per thread                      o  in  start from lode_qr_defaults()
 *  A    in   m x n: array, source or sparse; any number type; finite
 *  Q    out  m x k, orthonormal columns
 *  R    out  k x n, upper trapezoidal, real diagonal >= 0, unit of A
 *  perm out  n, i64: pivots, then the other columns as they come
 *  cert out  or NULL: relative Frobenius error of Q R, measured; with strong its note has the factor
 *            reached and what follows for the singular values
 *  Returns LODE_OK; LODE_MISSED max_rank binds before the error is reached (outputs valid); LODE_EPARAM
 *  several ranks, an error neither :rel nor :fro; LODE_EUSAGE rank and error both, an error without
 *  pivots; LODE_ESHAPE rank > min(m, n); LODE_EDOMAIN NaN or infinity in A (named), R beyond its type;
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over A: greedy and strong 5; sketch 3 and two for every 64 columns of Q. Cost: sketch
 *  2 mn (2 k + 72) + 12 m k^2; greedy 2 mn^2 + 2 mn k for a tall A.
 *  Source: Martinsson, Quintana-Orti, Heavner & van de Geijn 2017, doi:10.1137/16M1081270; Gu &
 *  Eisenstat 1996, doi:10.1137/0917055; Businger & Golub 1965, doi:10.1007/BF01436084. */
LODE_API lode_status lode_qr(lode_ctx *ctx, const lode_qr_opts *o, lode_value A, lode_array *Q,
                             lode_array *R, lode_array *perm, lode_certificate *cert);

/* ---- cur ---- */

typedef enum lode_cur_side {
    LODE_CUR_SELECT, /* columns of A (rows) as they are */
    LODE_CUR_SKETCH, /* random combinations of them */
    LODE_CUR_QR,     /* an orthonormal basis of those */
    LODE_CUR_SVD,    /* the leading singular vectors */
    LODE_CUR_FIT     /* what fits A best with the other factor */
} lode_cur_side;
typedef enum lode_cur_core {
    LODE_CUR_AUTO,
    LODE_CUR_CROSS,      /* (Y^H A X)^+, where F = A X and H = Y^H A */
    LODE_CUR_BEST,       /* F^+ A H^+ */
    LODE_CUR_INTERPOLATE /* A[rows, cols]; F and H hold identities there */
} lode_cur_core;
typedef enum lode_cur_choice {
    LODE_CUR_PIVOTS,   /* QR with column pivoting of a sketch */
    LODE_CUR_LEVERAGE, /* at random by leverage scores */
    LODE_CUR_DEIM      /* interpolation points of singular vectors */
} lode_cur_choice;

typedef struct lode_cur_opts {
    size_t size;
    lode_rank_spec rank;
    lode_error_spec error; /* none, :rel or :fro */
    lode_auto_i64 max_rank;
    lode_cur_side range, corange;
    lode_cur_core core;
    lode_cur_choice choice;
    lode_auto_i64 oversampling; /* of H beyond the rank; auto: half of it for a sketch, else none */
    int64_t power_iter;         /* of sketches that are bases or choose */
    lode_auto_f64 cutoff;       /* of the pseudoinverse, relative; auto: 16 eps sqrt(k) */
} lode_cur_opts;
LODE_API lode_cur_opts lode_cur_defaults(void);
extern LODE_API const lode_op lode_op_cur;

/** A ~ F G H from one entry: which range F has and which corange H makes it QR (qr, fit), UTV (qr, qr),
 *  SVD (svd, svd), generalized Nystrom A X (Y^H A X)^+ Y^H A (sketch, sketch), CUR (columns, rows) or an
 *  interpolative decomposition (columns, fit; of rows: fit, rows; two-sided: core interpolate).
 *  A      in   m x n: array, source or sparse; any number type; finite
 *  model  out  F m x k, H l x n, sparse where they are columns and rows of a sparse A; G k x l; cols,
 *              rows, i64: the numbers of those chosen. Certificate: relative Frobenius error of F G H,
 *              measured; its note says where the pseudoinverse was cut.
 *  Returns LODE_OK; LODE_MISSED max_rank binds before the error is reached (model valid); LODE_EPARAM
 *  several ranks, an error neither :rel nor :fro; LODE_EUSAGE neither rank nor error or both, factors and
 *  core that do not go together; LODE_ESHAPE rank > min(m, n); LODE_EDOMAIN NaN or infinity in A (named);
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Passes over A: sketches with cross 2, chosen ones 2 each, svd some 6; one for a fit or the best core,
 *  2 for the norm and the error. Cost 2 mn k a pass, (m + n) k^2.
 *  Source: Karpowicz, A theory of meta-factorization, doi:10.48550/arXiv.2111.14385; Nakatsukasa,
 *  doi:10.48550/arXiv.2009.11392. */
LODE_API lode_status lode_cur(lode_ctx *ctx, const lode_cur_opts *o, lode_value A,
                              lode_bundle *model);

/* ---- nmf ---- */

typedef enum lode_nmf_loss { LODE_NMF_FROBENIUS, LODE_NMF_KL } lode_nmf_loss;
typedef enum lode_nmf_method {
    LODE_NMF_AUTO, /* hals, or mu for the divergence */
    LODE_NMF_HALS, /* coordinate descent on Gram products, extrapolated */
    LODE_NMF_MU    /* multiplicative updates */
} lode_nmf_method;
typedef enum lode_nmf_init {
    LODE_NMF_START_AUTO, /* nndsvd, or random for several restarts and where entries are missing */
    LODE_NMF_NNDSVD,
    LODE_NMF_RANDOM
} lode_nmf_init;

typedef struct lode_nmf_opts {
    size_t size;
    lode_rank_spec rank;    /* components; auto: from held-out entries and stability */
    lode_auto_i64 max_rank; /* of the candidates; auto: 10, or the smaller side */
    lode_nmf_loss loss;
    lode_nmf_method method;
    lode_nmf_init init;
    int64_t restarts;    /* from several random starts: the best, and their consensus */
    lode_list l1, ridge; /* penalties: of both factors, or of codes, basis */
    double tol;          /* relative change of the objective */
    int64_t max_iter;
    lode_missing missing;             /* what counts as missing; default NaN */
    const lode_array *mask, *weights; /* of the shape of X; nonzero is observed; >= 0 */
    double holdout;                   /* share of the entries kept back, whose error is reported */
    const lode_array *codes, *basis;  /* to start from: m x k, n x k, >= 0 */
} lode_nmf_opts;
LODE_API lode_nmf_opts lode_nmf_defaults(void);
extern LODE_API const lode_op lode_op_nmf;

/** Nonnegative matrix factorization X ~ factor.0 diag(s) factor.1^T.
 *  X      in   m x n: array, source or sparse (kept sparse: what it does not hold is 0); real, >= 0
 *  model  out  s k, descending; factor.0 m x k, factor.1 n x k, >= 0, columns of length 1 (or 0); trace,
 *              relative Frobenius error at the start of nothing (1) and after each iteration;
 *              divergence (loss kl), the generalized Kullback-Leibler divergence reached; restarts > 1:
 *              consensus, cophenetic, objectives, sampled rows; holdout: heldout, the relative error of
 *              the entries kept back; rank auto: ranks, cv, cv_error, stability.
 *              Certificate: relative Frobenius error over the observed entries, measured.
 *  Returns LODE_OK; LODE_NOCONV max_iter iterations were not enough (model valid); LODE_EPARAM rank above
 *  min(m, n), start of a sparse or masked fit by nndsvd; LODE_ESHAPE mask, weights or start of another
 *  shape; LODE_EDOMAIN a negative entry, NaN or infinity (named), a row or column without observed
 *  value; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost an iteration: two products with X of k columns, 4 mnk, and (m + n) k^2 a sweep; some observed:
 *  2 (observed) k^2. The objective never rises.
 *  Source: Gillis & Glineur 2012, doi:10.1162/NECO_a_00256; Ang & Gillis 2019, doi:10.1162/neco_a_01157;
 *  Lee & Seung 1999, doi:10.1038/44565. */
LODE_API lode_status lode_nmf(lode_ctx *ctx, const lode_nmf_opts *o, lode_value X,
                              lode_bundle *model);

/* ---- eig ---- */

typedef enum lode_eig_which {
    LODE_EIG_LARGEST,   /* algebraically; values descend */
    LODE_EIG_SMALLEST,  /* values ascend */
    LODE_EIG_MAGNITUDE, /* largest absolute values, descending */
    LODE_EIG_AROUND     /* nearest to sigma; method dense */
} lode_eig_which;
typedef enum lode_eig_method {
    LODE_EIG_AUTO,
    LODE_EIG_DENSE,  /* LAPACK on all entries */
    LODE_EIG_KRYLOV, /* filtered block Krylov with thick restart */
    LODE_EIG_LOBPCG  /* block preconditioned conjugate gradients */
} lode_eig_method;

typedef struct lode_eig_opts {
    size_t size;
    lode_rank_spec rank; /* pairs; auto: all, up to 2000 */
    lode_eig_which which;
    lode_auto_f64 sigma; /* which around: to this */
    lode_eig_method method;
    lode_auto_f64 tol;   /* of residuals, against ||A||; auto: 1e-10, single precision 1e-5 */
    int64_t max_iter;    /* block steps, iterations */
    lode_auto_i64 block; /* columns of a step */
    bool vectors;        /* give them too */
    const lode_array
        *precond; /* n values > 0, about the diagonal of A: what lobpcg divides residuals by;
                                * NULL: the diagonal of a sparse A where it is positive */
} lode_eig_opts;
LODE_API lode_eig_opts lode_eig_defaults(void);
extern LODE_API const lode_op lode_op_eig;

/** Eigenvalues and vectors of a symmetric or Hermitian A, or of A x = l B x with B positive definite.
 *  A      in   n x n, its own adjoint: array, source, sparse (kept sparse but by method dense), linop or
 *              callback; any number but packed ones; finite
 *  B      in   n x n, its own adjoint, positive definite, of the same kinds; or none
 *  model  out  values k, real, in the order of `which`; vectors n x k, orthonormal (with B: X^H B X = I),
 *              largest entry of each positive; residual k, ||A x - l B x|| / (||A|| ||x||); radius k, unit
 *              of the values: each has an eigenvalue of A (of the pencil) no farther off, measured, by the bound of
 *              Krylov and Weinstein; with B: dual n x k, B X, and b_smallest, an estimate from below of
 *              the smallest eigenvalue of B; lobpcg: trace, the largest residual after each iteration.
 *              Certificate: the largest residual.
 *  Returns LODE_OK; LODE_NOCONV max_iter was not enough (the best are kept); LODE_EPARAM several ranks, a
 *  preconditioner that is not positive; LODE_EUSAGE which and method that do not go together, no rank for a
 *  large A; LODE_ESHAPE A not square, B or precond of another size, rank > n; LODE_EDOMAIN NaN or infinity (named), A
 *  or B not its own adjoint (entries named), B not positive definite (its eigenvalue); LODE_ENOMEM; LODE_EBUDGET;
 *  LODE_ECANCEL.
 *  Cost: dense 4 n^3 / 3 and 4 n^3 for all vectors, with B 3 n^3 more; else a few hundred to thousands of
 *  products with A. Source: Anderson et al., LAPACK; Wu & Simon 2000, doi:10.1137/S0895479898334605; Fang &
 *  Saad 2012, doi:10.1137/110836535; Duersch, Shao, Yang & Gu 2018, doi:10.1137/17M1129830. */
LODE_API lode_status lode_eig(lode_ctx *ctx, const lode_eig_opts *o, lode_value A, lode_value B,
                              lode_bundle *model);

/* ---- cca ---- */

typedef enum lode_cca_method {
    LODE_CCA_CANONICAL, /* largest correlations */
    LODE_CCA_PLS, /* regression of Y on scores of X: SIMPLS, or NIPALS where values are missing */
    LODE_CCA_NIPALS, /* the same with both tables deflated (PLS2) */
    LODE_CCA_PLS_SVD /* largest covariances, symmetric in X and Y */
} lode_cca_method;

typedef struct lode_cca_opts {
    size_t size;
    lode_cca_method method;
    lode_rank_spec rank;       /* components; auto: from rows kept back */
    lode_auto_i64 max_rank;    /* that rank auto tries; auto: 20 */
    bool scale;                /* columns to variance 1 first */
    lode_list ridge;           /* cca: added to variances, over their mean; of both, or of X, Y */
    const lode_array *weights; /* n: of the rows, >= 0 */
    lode_auto_f64
        holdout; /* share of the rows kept back at a time; auto: 0.2 for rank auto, else 0 */
    lode_missing missing; /* what counts as missing: pls and nipals; default NaN */
    double tol;           /* of NIPALS where values are missing */
    int64_t max_iter;
} lode_cca_opts;
LODE_API lode_cca_opts lode_cca_defaults(void);
extern LODE_API const lode_op lode_op_cca;

/** Two tables of the same rows: canonical correlations, or partial least squares.
 *  X      in   n x p: array, source or sparse (made dense a slab at a time); real
 *  Y      in   n x q, likewise
 *  model  out  x_weights p x k, y_weights q x k: scores are (X - mean_x) x_weights, of variance 1 (pls-svd: weights
 *              of length 1; with ridge: variance and penalty together 1; y_weights of pls and nipals: length 1);
 *              x_scores, y_scores n x k; x_loadings p x k, y_loadings q x k, regressions of the columns on
 *              their scores (pls, nipals: of Y on x_scores); correlations k, of the scores; values: all canonical
 *              correlations, or covariances; p_values k (cca); coef p x q, intercept q: Y predicted as
 *              X coef + intercept; mean_x p, mean_y q; rows kept back: held, held_each, of each component the
 *              correlation on them, and press, press_each, the error of prediction over that of the mean;
 *              row_weights n where given, of mean 1. Largest entry of a column of x_weights positive.
 *              Certificate: the relative residual of the equations that weights solve, measured.
 *  Returns LODE_OK; LODE_NOCONV NIPALS over missing values has not settled (model valid); LODE_EPARAM rank above
 *  what the shapes allow; LODE_ESHAPE rows or weights that do not fit, fewer than 2 rows; LODE_EDOMAIN NaN (but
 *  pls and nipals) or infinity, by place, a weight below 0; LODE_EUSAGE options that do not go together;
 *  LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost: n (p + q)^2 where Gram matrices do, 2 n (p + q)^2 else, and 8 n (p + q) k; memory (p + q)^2, or n^2 for
 *  a table with more columns than rows. Four passes, five where a Gram matrix will not do.
 *  Source: Hotelling 1936, doi:10.1093/biomet/28.3-4.321; Bjorck & Golub 1973, doi:10.1090/S0025-5718-1973-0348991-3;
 *  de Jong 1993, doi:10.1016/0169-7439(93)85002-X. */
LODE_API lode_status lode_cca(lode_ctx *ctx, const lode_cca_opts *o, lode_value X, lode_value Y,
                              lode_bundle *model);

/* ---- procrustes ---- */

typedef struct lode_procrustes_opts {
    size_t size;
    lode_rank_spec rank;       /* of the rotation; auto: the smaller width */
    bool scaling;              /* one factor for all values of a table */
    bool translation;          /* centre the tables first */
    bool reflection;           /* false: determinant 1, of equally wide tables */
    const lode_array *weights; /* n: of the rows, >= 0 */
    double tol;                /* several tables: relative change of the objective */
    int64_t max_iter;
} lode_procrustes_opts;
LODE_API lode_procrustes_opts lode_procrustes_defaults(void);
extern LODE_API const lode_op lode_op_procrustes;

/** The rotation (and shift, and scale) that takes points nearest to others of the same rows: scale X R + shift ~ Y.
 *  X      in   n x p with Y, or n x p x k: k configurations that go to their common mean; real, finite
 *  Y      in   n x q, where X is a matrix; narrower points stand for such with zeros beside them
 *  model  out  rotation p x q (k x p x p), orthonormal columns or rows (with rank: so many, orthonormal, times the
 *              same); scale 1 (k); shift q (k x p), unit of Y; aligned n x q (n x p x k); residuals n, weighted root mean
 *              squares of the distances of each row; trace, of several: the objective after each iteration; several: consensus n x p;
 *              one: cross p x q, the products of columns about their means, s, its singular values, and
 *              squares, 2, sums of squares of X and Y about their means.
 *              Certificate: one: relative gap between the squared error and the least there is, from the nuclear norm; several:
 *              relative residual of the equations, how far each rotation is from the best to the others' mean.
 *  Returns LODE_OK; LODE_NOCONV max_iter was not enough (model valid); LODE_EPARAM rank above the smaller width, a
 *  single table without Y; LODE_ESHAPE rows that do not fit, tables without a row; LODE_EDOMAIN NaN or infinity, a table that is one
 *  point where it is scaled; LODE_EUSAGE rotations alone of tables of other widths; LODE_ENOMEM; LODE_EBUDGET; LODE_ECANCEL.
 *  Cost 2 n p q and an SVD of p x q; several: k times that an iteration. The objective never rises.
 *  Source: Schonemann 1966, doi:10.1007/BF02289451; Gower 1975, doi:10.1007/BF02291478. */
LODE_API lode_status lode_procrustes(lode_ctx *ctx, const lode_procrustes_opts *o, lode_value X,
                                     lode_value Y, lode_bundle *model);

#ifdef __cplusplus
}
#endif
#endif
