/* Private to tn: what its files share. */
#ifndef LODE_OPS_TN_H
#define LODE_OPS_TN_H

#include "array/observed.h"
#include "iter/iter.h"
#include "linop/net.h"
#include "lode/tensor.h"
#include "op/op.h"

/** The data. */
typedef struct tn_data {
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    lode_dtype dtype; /* of results */
    bool some;        /* values are missing or kept back: X is f64, NaN where they are */
    lode_array X;     /* contiguous */
    lode_array held;  /* f64, NaN but where a value is kept back; no data: none is */
    double unit;      /* what X was divided by, so that squares stay within the type */
    double sumsq, held_sumsq;
    int64_t count; /* values fitted */
} tn_data;
void lode_i_tn_close(tn_data *d);
lode_status lode_i_tn_open(lode_ctx *ctx, const lode_tn_opts *o, lode_value X, tn_data *d);
bool lode_i_tn_partial(const lode_tn_opts *o);
/** Sum of squares of X - network over what is fitted; of what is kept back (NULL: not wanted). */
lode_status lode_i_tn_residual(lode_ctx *ctx, const tn_data *d, const lode_i_net *net, double *left,
                               double *held);

/** The structure that the options name for these modes, without cores; greedy: what it begins with. */
lode_status lode_i_tn_structure(lode_ctx *ctx, const lode_tn_opts *o, int ndim,
                                const int64_t *shape, lode_i_net *net);
/** Values at most that a network may hold on its way to or from the data, beside them. */
double lode_i_tn_room(double size);
/** Parameters at most, of a network for so many values. */
double lode_i_tn_most(double size);
/** Values that sweeps over such a network hold; some: with missing values; pairs: trials of edges too. */
lode_status lode_i_tn_need(lode_ctx *ctx, const lode_i_net *net, bool some, bool pairs,
                           lode_i_net_need *need);

/** What was reached. */
typedef struct tn_fit {
    lode_i_net net;
    double left;          /* sum of squares that is left */
    double target;        /* absolute error asked; 0: none */
    double params;        /* at most; infinite: no limit */
    lode_array trace;     /* f64: relative error after every sweep kept, begins with 1 */
    lode_array curve;     /* f64: params, error, error on what is kept back, after each structure */
    lode_array edges;     /* i64: the edge that grew before it, -1 -1 for the first */
    int64_t sweeps, rows; /* of trace, of curve */
    bool settled;         /* the last optimization came to an end */
    const char *why;      /* greedy: why it ended */
} tn_fit;
void lode_i_tn_fit_free(tn_fit *f);
double lode_i_tn_relative(const tn_data *d, double sumsq);
/** Sweeps from the cores as they are until the error settles to tol, or meets the target. */
lode_status lode_i_tn_optimize(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, double tol,
                               tn_fit *f);
/** A row of the curve for the network as it is. */
lode_status lode_i_tn_note(lode_ctx *ctx, const tn_data *d, int i, int j, double *held, tn_fit *f);
/** Grows the network until the target, the limit or no gain. */
lode_status lode_i_tn_grow(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f);

lode_status lode_i_tn_invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                             const lode_part *part, lode_array *out);
lode_status lode_i_tn_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                             lode_certificate *found);
lode_status lode_i_tn_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *f);
/** Members of a network in a bundle; core.k with the axis of its mode at place k. */
lode_status lode_i_tn_give(lode_ctx *ctx, const lode_i_net *net, lode_dtype dtype, lode_bundle *b);
lode_status lode_i_tn_read(lode_ctx *ctx, const lode_bundle *b, lode_i_net *net);

#endif
