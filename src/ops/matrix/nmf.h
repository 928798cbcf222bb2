/* Private to nmf: the data as its iterations see them, a fit, and the parts of the op. */
#ifndef LODE_OPS_NMF_H
#define LODE_OPS_NMF_H

#include "array/observed.h"
#include "linalg/nonneg.h"
#include "linalg/slices.h"
#include "linop/kruskal.h"
#include "linop/linop.h"
#include "lode/matrix.h"
#include "op/op.h"

/** X through products, or through its entries where only some count or where the loss is the divergence. */
typedef struct lode_i_nmf_data {
    lode_value X;
    lode_array held; /* of a source, or a sparse array that a mask makes dense */
    lode_dtype dtype;
    int64_t m, n;
    lode_linop *A; /* all entries; NULL: some */
    bool entries;  /* x is there: the observed, or where A is too the nonzero entries */
    lode_i_observed x;
    lode_i_observed back; /* held out */
    double sumsq;         /* of the observed values, weighted */
    int64_t count;        /* observed entries */
} lode_i_nmf_data;

/** One factorization: W m x k, H n x k. */
typedef struct lode_i_nmf_fit {
    lode_array W, H;
    lode_array errors; /* f64: relative Frobenius errors, from 1 on */
    int64_t steps;
    double objective, divergence;
    lode_status status; /* LODE_OK or LODE_NOCONV */
} lode_i_nmf_fit;
void lode_i_nmf_free(lode_i_nmf_fit *f);

/** What the options come to for each factor: 0 the codes, 1 the basis. */
double lode_i_nmf_penalty(const lode_list *l, int factor);
bool lode_i_nmf_multiplies(const lode_nmf_opts *o);

/** W and H to start from; trial: which of the restarts. */
lode_status lode_i_nmf_start(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                             int64_t k, int64_t trial, lode_i_nmf_fit *f);
/** From W and H on. site: of its steps in the checkpoint; NULL: none. */
lode_status lode_i_nmf_fit_from(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                                const char *site, uint64_t key, lode_i_nmf_fit *f);

/* ---- several fits, and what they say together (nmf_trials.c) ---- */

enum { LODE_I_NMF_SAMPLE = 500, LODE_I_NMF_SPLITS = 4 };

/** How often two rows belong to the same component, over fits; of a sample of the rows. */
typedef struct lode_i_nmf_votes {
    int64_t m, p, trials;
    int64_t *label;
    lode_array together; /* p x p */
} lode_i_nmf_votes;
lode_status lode_i_nmf_votes_new(lode_ctx *ctx, int64_t m, lode_i_nmf_votes *v);
void lode_i_nmf_votes_free(lode_i_nmf_votes *v);
int64_t lode_i_nmf_sampled(const lode_i_nmf_votes *v, int64_t i);
lode_status lode_i_nmf_vote(lode_ctx *ctx, const lode_i_nmf_fit *f, lode_i_nmf_votes *v);
/** Makes votes shares, and correlates 1 - shares with the heights at which average linkage joins the rows:
 *  1 where all fits agree. */
lode_status lode_i_nmf_cophenetic(lode_ctx *ctx, lode_i_nmf_votes *v, double *value);

/** What ranks 1, 2, .. reach. */
typedef struct lode_i_nmf_ranks {
    lode_array cv, cv_error, stability; /* f64 */
} lode_i_nmf_ranks;
lode_status lode_i_nmf_choose(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                              int64_t most, lode_i_nmf_ranks *r, int64_t *rank);

lode_status lode_i_nmf_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_nmf_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_nmf_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                             lode_answer *a);
lode_status lode_i_nmf_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_nmf_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
