/* Private to rank: the laws its criteria rest on, the matrix it looks at, the report it fills. */
#ifndef LODE_OPS_RANK_H
#define LODE_OPS_RANK_H

#include "array/survey.h"
#include "linalg/threshold.h"
#include "linop/linop.h"
#include "lode/matrix.h"
#include "op/op.h"

typedef enum rank_criterion {
    RANK_THRESHOLD,
    RANK_PARALLEL,
    RANK_VALIDATION,
    RANK_MDL,
    RANK_AIC,
    RANK_STABILITY,
    RANK_CRITERIA
} rank_criterion;
extern const char *const lode_i_rank_names[RANK_CRITERIA];
enum {
    RANK_LEAST_SIDE = 4,
    RANK_MOST_SIDE = 8192,
    RANK_CANDIDATES = 64,
    RANK_GROUPS = 64,
    RANK_BATCH = 4
};

/* ---- laws (rank_law.c) ---- */

/** Description length, or AIC / 2, of rank k in nats: eigenvalues of N samples, p of them, not
 *  below floor (Wax & Kailath 1985, for real data). */
double lode_i_rank_length(const double *eigenvalue, int64_t p, int64_t N, int64_t k, bool aic);
/** Quantile 0.95 of Student's law. */
double lode_i_rank_student(int64_t freedom);

/* ---- the report: arrays of the result, a row a mode ---- */

typedef enum rank_array {
    RANK_S,
    RANK_S_ERROR,
    RANK_TAU,
    RANK_NOISE,
    RANK_FLOOR,
    RANK_NULL,
    RANK_NULL_MEAN,
    RANK_CV,
    RANK_CV_ERROR,
    RANK_MDLS,
    RANK_AICS,
    RANK_STABLE,
    RANK_STABLE_LOW,
    RANK_STABLE_HIGH,
    RANK_ARRAYS
} rank_array;
extern const char *const lode_i_rank_arrays[RANK_ARRAYS];
typedef struct rank_choice {
    int64_t rank, low, high; /* -1: none */
} rank_choice;
typedef struct rank_report {
    int64_t modes, values, candidates;      /* d, p, K */
    lode_array number[RANK_ARRAYS];         /* f64 */
    lode_array rank, criteria, sides, axes; /* i64 */
} rank_report;
void lode_i_rank_free(rank_report *r);
lode_status lode_i_rank_read(lode_ctx *ctx, const lode_bundle *model, rank_report *r);
/** Value i of one of a mode's arrays; NaN where it has none. */
double lode_i_rank_get(const rank_report *r, rank_array which, int64_t mode, int64_t i);
void lode_i_rank_set(rank_report *r, rank_array which, int64_t mode, int64_t i, double v);
rank_choice lode_i_rank_choice(const rank_report *r, int64_t mode, rank_criterion c);

/* ---- decisions, from the report alone (rank_decide.c) ---- */

/** What a criterion says of a mode. */
rank_choice lode_i_rank_decide(const rank_report *r, int64_t mode, rank_criterion c);
/** The recommendation from the criteria of a mode; -1: none applies. */
int64_t lode_i_rank_recommend(const rank_report *r, int64_t mode);
/** It and why, one sentence. */
void lode_i_rank_advise(const rank_report *r, int64_t mode, char *text, size_t size);
/** The certificate that the report carries. */
lode_certificate lode_i_rank_certify(const rank_report *r);

/* ---- one matrix (rank_data.c) ---- */

typedef struct rank_matrix {
    lode_source X;
    bool owned;
    int64_t m, n, p, N; /* p = min(m, n), N = max(m, n) */
    lode_dtype dtype;
    lode_gaps gaps;
    double *mean;          /* of the columns; NULL: not centred */
    double scale;          /* power of 2 that brings the largest value near 1 */
    double share;          /* of the entries that is observed */
    lode_array held, seen; /* the matrix as the criteria see it; where missing values are: 1 or 0 */
    int64_t block;         /* rows (or columns, where it is wide) of a block: by shape alone */
    lode_array G, axes;    /* p x p Gram matrix; its leading eigenvectors */
    lode_array groups;     /* RANK_GROUPS or fewer matrices, L x L, on those axes */
    double *s;             /* p values, of the scaled matrix */
    double floor;          /* below it a value is rounding */
    bool exact;            /* the values are not from the Gram matrix, whose squares drowned them */
    int64_t reach;         /* candidates looked at */
} rank_matrix;
typedef struct rank_wishes {
    bool asked[RANK_CRITERIA];
    int64_t candidates, resamples, shuffles, parts;
    bool capped; /* candidates were given */
} rank_wishes;
int64_t lode_i_rank_block(int64_t m, int64_t n);
/** Whether shuffles and held-out blocks of such a matrix run in parallel, RANK_BATCH at once. */
bool lode_i_rank_small(int64_t m, int64_t n);
void lode_i_rank_matrix_free(rank_matrix *A);
/** Means, scale, what is missing; held where asked. X is rows x columns. */
lode_status lode_i_rank_survey(lode_ctx *ctx, const lode_rank_opts *o, const char *name, bool hold,
                               rank_matrix *A);
/** All singular values, and those of their criteria that take no more. */
lode_status lode_i_rank_spectrum(lode_ctx *ctx, const lode_rank_opts *o, const rank_wishes *w,
                                 rank_matrix *A, rank_report *r, int64_t mode);
/** Gaps of what is held become what so many components say, found from the rest. */
lode_status lode_i_rank_fill(lode_ctx *ctx, int64_t rank, rank_matrix *A);
/** The leading axes, groups of observations on them, standard errors of values. */
lode_status lode_i_rank_axes(lode_ctx *ctx, rank_matrix *A, rank_report *r, int64_t mode);
lode_status lode_i_rank_stability(lode_ctx *ctx, const rank_wishes *w, const rank_matrix *A,
                                  rank_report *r, int64_t mode);
/** Uses up A->held. */
lode_status lode_i_rank_parallel(lode_ctx *ctx, const rank_wishes *w, rank_matrix *A,
                                 rank_report *r, int64_t mode);
lode_status lode_i_rank_validate(lode_ctx *ctx, const rank_wishes *w, const rank_matrix *A,
                                 rank_report *r, int64_t mode);

lode_status lode_i_rank_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_certificate *found);
lode_status lode_i_rank_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_figure *figure);
lode_status lode_i_rank_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text);

#endif
