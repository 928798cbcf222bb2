/* The parts of cca: two tables reduced, fits of what is left of them, ranks on rows kept back, verbs. */
#ifndef LODE_OPS_CCA_H
#define LODE_OPS_CCA_H

#include "array/beside.h"
#include "linop/linop.h"
#include "lode/matrix.h"
#include "op/op.h"

/** X (0) and Y (1), and how their columns are used: (value - mean) factor. */
typedef struct lode_i_cca_data {
    lode_value v[2];
    lode_sparse csr[2]; /* what v is where COO was given */
    int64_t n, cols[2];
    lode_dtype dtype;        /* of results: the finer of the two arithmetic types */
    double epsilon;          /* of the coarser of the two types */
    lode_array weight, root; /* of rows, of mean 1, and their roots, f64; empty: 1 */
    double mass;             /* sum of weights */
    int64_t counted;         /* rows whose weight is not 0 */
    lode_array mean, factor; /* X's columns, then Y's; f64 */
    double size[2];          /* powers of 2 in factor, which bring values near 1; scaled: 1 */
    int folds;               /* 1: none kept back */
    lode_array fold;         /* i64, of each row; empty: all 0 */
    lode_array fold_mean;    /* folds x (p + q) */
    double fold_mass[64];
} lode_i_cca_data;
enum { LODE_I_CCA_FOLDS = 64 };

lode_status lode_i_cca_open(lode_ctx *ctx, const lode_cca_opts *o, lode_value X, lode_value Y,
                            int folds, lode_i_cca_data *d);
/** Fills mean and factor, in one pass or two. LODE_EDOMAIN names what is not finite. */
lode_status lode_i_cca_survey(lode_ctx *ctx, const lode_cca_opts *o, lode_i_cca_data *d);
void lode_i_cca_close(lode_i_cca_data *d);
/** Rows of X (which 0), Y (1) or both (2) as they are used, as an operator; weighted: by the roots of
 *  weights. b and s must outlive it. */
lode_status lode_i_cca_operator(lode_ctx *ctx, const lode_i_cca_data *d, int which, bool weighted,
                                lode_i_beside *b, lode_source *s, lode_linop **op);

/** A pair of tables after an orthogonal transformation of their rows, and, for one that has more columns
 *  than rows, of its columns (wide): inner products within and between columns are the same. About
 *  their means, which are kept beside them. */
typedef struct lode_i_cca_pair {
    lode_array M[2];    /* f64 */
    lode_array mean[2]; /* 1 x columns */
    double mass;
} lode_i_cca_pair;
typedef struct lode_i_cca_reduced {
    int folds;
    bool by_gram, wide[2];
    lode_i_cca_pair *fold; /* each about its own mean */
    lode_i_cca_pair whole;
} lode_i_cca_reduced;
/** gram: by Gram matrices in one pass; *exact says whether they have their roots. Else by QR. */
lode_status lode_i_cca_reduce(lode_ctx *ctx, const lode_i_cca_data *d, bool gram,
                              lode_i_cca_reduced *r, bool *exact);
void lode_i_cca_reduced_free(lode_i_cca_reduced *r);
/** All folds but one (-1: all) as one pair. */
lode_status lode_i_cca_merge(lode_ctx *ctx, const lode_i_cca_reduced *r, int without,
                             lode_i_cca_pair *out);
void lode_i_cca_pair_free(lode_i_cca_pair *p);
uint64_t lode_i_cca_reduce_memory(const lode_ctx *ctx, int64_t n, int64_t p, int64_t q, int folds);
/** Whether there are more rows than columns of both. */
bool lode_i_cca_tall(int64_t n, int64_t p, int64_t q);

/** What a fit is told beside the data. */
typedef struct lode_i_cca_task {
    lode_cca_method method;
    double ridge[2];  /* over the mean variance of a column */
    double cutoff[2]; /* singular values below it, relatively, are 0 */
    int64_t most;     /* components */
    int64_t cols[2];  /* of the tables as they are given */
    /* lengths of columns up to which they are rounding; empty: columns of a pair are not those of the table */
    lode_array noise[2];
} lode_i_cca_task;
typedef struct lode_i_cca_fit {
    lode_array W[2];   /* weights of the columns of a pair: columns x k, f64 */
    lode_array Q;      /* pls, nipals: regression of Y on X's scores, q x k */
    lode_array values; /* cca: all correlations; pls-svd: all covariances; else covariances, k */
    int64_t rank[2];   /* of the tables, as told by the cutoff; cca only */
    double ridge[2];   /* added to squares */
    double
        condition; /* cca: larger of the two, columns of length 1; pls: of the scores' directions */
} lode_i_cca_fit;
void lode_i_cca_fit_free(lode_i_cca_fit *f);
lode_status lode_i_cca_fit_pair(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                                lode_i_cca_fit *f);
/** cca, and the others (cca_pls.c). */
lode_status lode_i_cca_angles(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                              lode_i_cca_fit *f);
lode_status lode_i_cca_pls(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_pair *p,
                           lode_i_cca_fit *f);
/** P[i] = probability of Bartlett's chi-square that correlations from i on are 0; f64, new. */
lode_status lode_i_cca_p_values(lode_ctx *ctx, const lode_array *values, int64_t n, int64_t p,
                                int64_t q, lode_array *P);

/** Correlations and errors on rows kept back: folds x most; the rank they speak for. */
typedef struct lode_i_cca_held {
    lode_array correlation,
        error; /* error: folds x (most + 1), sums of squares, pls and nipals only */
    int64_t rank;
} lode_i_cca_held;
lode_status lode_i_cca_hold(lode_ctx *ctx, const lode_i_cca_task *t, const lode_i_cca_reduced *r,
                            lode_i_cca_held *h);
/** Means over folds of the correlations; of errors, sums over folds relative to that of no component. */
lode_status lode_i_cca_held_means(lode_ctx *ctx, const lode_array *each, bool sums,
                                  lode_array *out);

const char *lode_i_cca_method_name(lode_cca_method m);
/** A fitted model, borrowed from its bundle. */
typedef struct lode_i_cca_result {
    const lode_array *W[2], *score[2], *load[2], *mean[2]; /* X's and Y's */
    const lode_array *correlations, *values, *coef, *intercept;
    const lode_array *p_values, *held, *held_each, *press, *press_each, *weights; /* or NULL */
    int64_t n, p, q, k, rank[2];
    double condition;
    bool missing, scaled; /* values were; columns had variance 1 */
    lode_cca_method method;
    double ridge[2];
    lode_missing gap; /* what counted as missing */
} lode_i_cca_result;
lode_status lode_i_cca_read(lode_ctx *ctx, const lode_bundle *model, lode_i_cca_result *r);
/** Sums of products of columns of two tables of as many rows, with weights or NULL: A^T diag(w) B, new, f64. */
lode_status lode_i_cca_inner(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                             const lode_array *weights, lode_array *out);
/** X or Y as they were given, with the model's means; columns to variance 1 where they were. */
lode_status lode_i_cca_again(lode_ctx *ctx, const lode_i_cca_result *r, int side, lode_value v,
                             lode_i_cca_data *d);

/** What is measured on the data: scores, loadings, prediction, residual; values of f get their unit. */
typedef struct lode_i_cca_model {
    lode_array W[2];      /* weights of (value - mean) factor */
    lode_array score[2];  /* n x k, f64 */
    lode_array load[2];   /* of (value - mean) factor */
    lode_array coef;      /* p x q, of values as given */
    lode_array intercept; /* q */
    lode_array correlation;
    double residual[2]; /* of the equations, relative: of X, of Y */
} lode_i_cca_model;
void lode_i_cca_model_free(lode_i_cca_model *m);
lode_status lode_i_cca_measure(lode_ctx *ctx, const lode_i_cca_data *d, const lode_i_cca_task *t,
                               const lode_i_cca_reduced *r, lode_i_cca_fit *f, lode_i_cca_model *m);
/** coef and intercept from the regression of Y's columns on scores (q x k, in the units of factor). */
lode_status lode_i_cca_predict(lode_ctx *ctx, const lode_i_cca_data *d, const lode_array *on,
                               lode_i_cca_model *m);
/** How far weights W of one side are from what method, scores and inner products say:
 *  own = M^T w T (of that side's scores), other = M^T w U (of the other's), inner = T^T w U. */
typedef struct lode_i_cca_equations {
    lode_cca_method method;
    bool predicted; /* the side is Y of a regression */
    const lode_array *W, *load, *own, *other, *inner, *values;
    double ridge, freedom; /* sum of weights less 1 */
} lode_i_cca_equations;
lode_status lode_i_cca_residual(lode_ctx *ctx, const lode_i_cca_equations *e, double *residual);

/** Missing values: NIPALS over what is observed (cca_missing.c); X, Y f64, NaN is missing. */
lode_status lode_i_cca_nipals(lode_ctx *ctx, const lode_cca_opts *o, const lode_array *X,
                              const lode_array *Y, int64_t most, lode_i_cca_data *d,
                              lode_i_cca_model *m, lode_array *values, double *change);
/** x as column a of `to`. */
lode_status lode_i_cca_put(lode_ctx *ctx, const lode_array *x, int64_t a, lode_array *to);
/** How far scores and loadings of a table are from being each other's slopes over what is observed, relatively. */
lode_status lode_i_cca_missing_off(lode_ctx *ctx, const lode_array *X, const lode_array *mean,
                                   bool scale, const lode_array *weight, const lode_array *score,
                                   const lode_array *load, double *off);
uint64_t lode_i_cca_nipals_memory(int64_t n, int64_t p, int64_t q, int64_t k);

/** Members of a result. LODE_EDOMAIN: numbers that do not fit the type. p_values empty: none. */
lode_status lode_i_cca_give_model(lode_ctx *ctx, const lode_i_cca_data *d,
                                  const lode_i_cca_model *m, const lode_array *values,
                                  const lode_array *p_values, lode_bundle *b);
lode_status lode_i_cca_give_held(lode_ctx *ctx, const lode_i_cca_held *h, lode_bundle *b);
/** What a verb has to know of the request. */
lode_status lode_i_cca_give_request(lode_ctx *ctx, const lode_cca_opts *o, lode_bundle *b);

/* Verbs. */
lode_status lode_i_cca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_cca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_cca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
