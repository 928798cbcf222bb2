/* Private to rescal: what its files share. */
#ifndef LODE_OPS_RESCAL_H
#define LODE_OPS_RESCAL_H

#include "iter/iter.h"
#include "linalg/ensemble.h"
#include "linalg/relations.h"
#include "lode/tensor.h"
#include "op/op.h"

enum { RESCAL_RUNS = 10, RESCAL_MOST = 8, RESCAL_SMALL = 1 << 20 };

/** The data, and how they came. */
typedef struct rescal_data {
    lode_i_relations x;
    int axis; /* of the relations */
    bool nonneg;
    lode_dtype dtype; /* of results */
    int64_t shape[3];
    int64_t known; /* values */
    double unit;   /* what they were divided by, so that squares stay within the type */
} rescal_data;
void lode_i_rescal_close(rescal_data *d);
/** Axis, missing values, mask and signs are checked here. gaps: a value is missing, so that more memory is
 *  taken than was planned; called before it is (or NULL). */
lode_status lode_i_rescal_open(lode_ctx *ctx, const lode_rescal_opts *o, lode_value X,
                               lode_status (*gaps)(lode_ctx *ctx, void *state), void *state,
                               rescal_data *d);
/** The axis of the relations: as told, or the one that the two equal ones leave. LODE_ESHAPE: no square slices. */
lode_status lode_i_rescal_axis(lode_ctx *ctx, const lode_rescal_opts *o, const int64_t *shape,
                               int *axis);

typedef struct rescal_fit {
    lode_array A;      /* n x k in the type of the data */
    lode_array R;      /* m x k x k, f64 */
    lode_array errors; /* f64: relative error: 1, at the start, after each step; none: not wanted */
    double objective, error;
    int64_t steps;
    bool settled;
} rescal_fit;
void lode_i_rescal_fit_free(rescal_fit *f);
/** k columns, from start number `start`. site: of its steps in the checkpoint, and with a trace; NULL: neither. */
lode_status lode_i_rescal_fit_to(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                                 const lode_i_relations *x, int64_t k, uint64_t start,
                                 const char *site, rescal_fit *f);
/** Cores as (m k) x k: a view. */
lode_status lode_i_rescal_flat(lode_ctx *ctx, const lode_array *R, lode_array *flat);
lode_status lode_i_rescal_random_cores(lode_ctx *ctx, const lode_i_relations *x, int64_t k,
                                       uint64_t start, lode_array *R);
/** Orthonormal columns, and cores that stand for the same. */
lode_status lode_i_rescal_orthonormalize(lode_ctx *ctx, lode_array *A, lode_array *R);
/** Cores of the columns A as they are, and the error that is left, from the residual itself where X is dense. */
lode_status lode_i_rescal_cores(lode_ctx *ctx, const rescal_data *d, double l2, const lode_array *A,
                                lode_array *R, double *sumsq);
/** |X - A R_k A'|^2 as it is; R: m x k x k, f64. */
lode_status lode_i_rescal_residual(lode_ctx *ctx, const rescal_data *d, const lode_array *A,
                                   const lode_array *R, double *sumsq);
/** Columns of length 1 and scales in the cores; unconstrained, orthonormal ones in which the sum of R_k R_k' +
 *  R_k' R_k is diagonal. By energy, descending: roots of half its diagonal. */
lode_status lode_i_rescal_canonical(lode_ctx *ctx, bool nonneg, lode_array *A, lode_array *R,
                                    lode_array *energy);
/** Roots of half the diagonal of the sum of R_k R_k' + R_k' R_k. R: m x k x k. */
lode_status lode_i_rescal_energy(lode_ctx *ctx, const lode_array *R, lode_array *energy);

/** What fits to perturbed copies say of every rank tried. */
typedef struct rescal_ranks {
    int64_t first, count, chosen;
    lode_array error, least, mean; /* f64, of ranks first, first + 1, .. */
    char reason[256];
} rescal_ranks;
void lode_i_rescal_ranks_free(rescal_ranks *r);
/** Fits of every rank; f: columns are medians of the chosen rank's clusters, with the cores that fit best. */
lode_status lode_i_rescal_ensemble(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                                   rescal_ranks *r, rescal_fit *f);
/** Which rank the table speaks for, and why. */
int64_t lode_i_rescal_decide(const rescal_ranks *r, char *reason, size_t size);
int64_t lode_i_rescal_runs(const lode_rescal_opts *o);
/** Candidates; false: the option is not two whole numbers, or beyond n. */
bool lode_i_rescal_range(const lode_rescal_opts *o, int64_t n, int64_t *first, int64_t *last);

lode_status lode_i_rescal_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                lode_bundle *result);
lode_status lode_i_rescal_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                 const lode_part *part, lode_array *out);
lode_status lode_i_rescal_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                 lode_certificate *found);
lode_status lode_i_rescal_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_figure *figure);

#endif
