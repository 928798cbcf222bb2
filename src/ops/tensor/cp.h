/* Private to cp: what its files share. */
#ifndef LODE_OPS_CP_H
#define LODE_OPS_CP_H

#include "iter/iter.h"
#include "linalg/slices.h"
#include "linop/kruskal.h"
#include "lode/tensor.h"
#include "op/op.h"

enum { CP_MODES = 8, CP_LANES = 16 };

typedef enum cp_kind { CP_DENSE, CP_SPARSE, CP_OBSERVED } cp_kind;

/** The data in the form that products take. */
typedef struct cp_data {
    cp_kind kind;
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    lode_dtype dtype;
    lode_array X;               /* dense: contiguous */
    lode_i_observed seen, held; /* otherwise; what is kept back */
    int split;                  /* dense: modes before it are rows of X seen as a matrix */
    int64_t left, right;
    double sumsq, unit; /* what was divided by unit, so that squares stay within the type */
    int64_t count;      /* values observed */
} cp_data;
void lode_i_cp_close(cp_data *d);
/** Missing values, mask, weights and signs are checked here. */
lode_status lode_i_cp_open(lode_ctx *ctx, const lode_cp_opts *o, lode_value X, cp_data *d);
/** The tensor of affinities, new; its shape, or false where X has none. */
lode_status lode_i_cp_affinity(lode_ctx *ctx, const lode_cp_opts *o, lode_value value,
                               lode_array *out);
bool lode_i_cp_affinity_shape(const lode_cp_opts *o, int ndim, const int64_t *from, int64_t *to);
/** Whether values are looked at one by one whatever X holds. */
bool lode_i_cp_partial(const lode_cp_opts *o, lode_kind kind);
/** Y, n_mode x k: X against all factors but one. */
lode_status lode_i_cp_products(lode_ctx *ctx, const cp_data *d, int mode, const lode_array *factor,
                               lode_array *Y);
/** What a product gives, in the order in which the modes are to be updated: each from the factors as they are
 *  then. */
typedef lode_status (*cp_update)(lode_ctx *ctx, void *state, int mode, const lode_array *Y);
lode_status lode_i_cp_visit(lode_ctx *ctx, const cp_data *d, const lode_array *factor,
                            cp_update update, void *state);
/** Sum of weighted squares of X - model over what was observed; *exact: from the residual itself. */
lode_status lode_i_cp_residual(lode_ctx *ctx, const cp_data *d, const lode_i_kruskal *m,
                               double *sumsq, bool *exact);
/** 100 (1 - |G - I|^2 / k) of the core G that fits best between these factors; NaN where it is not known. */
lode_status lode_i_cp_consistency(lode_ctx *ctx, const cp_data *d, const lode_array *factor,
                                  double *percent);

typedef struct cp_fit {
    lode_i_kruskal model; /* not normalized, of data in its unit */
    lode_array trace;
    double objective, error; /* with penalties; relative */
    bool settled;
    lode_status status;
} cp_fit;
void lode_i_cp_fit_free(cp_fit *f);
/** k components; site: of the random start. */
lode_status lode_i_cp_fit(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, int64_t k,
                          uint64_t site, cp_fit *f);
lode_i_row_rule lode_i_cp_rule(const lode_cp_opts *o);
/** The Gram matrix of A in f64, row by row. */
lode_status lode_i_cp_gram(lode_ctx *ctx, const lode_array *A, double *G);

lode_status lode_i_cp_apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                            lode_bundle *result);
lode_status lode_i_cp_invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                             const lode_part *part, lode_array *out);
lode_status lode_i_cp_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                            lode_answer *a);
lode_status lode_i_cp_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                             lode_certificate *found);
lode_status lode_i_cp_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *f);

#endif
