/* The parts of sense: measurements, the descent, verbs. */
#ifndef LODE_OPS_SENSE_H
#define LODE_OPS_SENSE_H

#include "iter/iter.h"
#include "linop/kruskal.h"
#include "linop/misfit.h"
#include "lode/matrix.h"
#include "op/op.h"

/** What A and the options say the measurements are. */
typedef struct lode_i_sense_sizes {
    int64_t m, n1, n2;
    lode_dtype dtype; /* arithmetic type */
    bool vectors;     /* <A_i, M> = x_i' M z_i */
} lode_i_sense_sizes;
lode_status lode_i_sense_sizes_of(lode_ctx *ctx, const lode_sense_opts *o, lode_value A,
                                  lode_i_sense_sizes *s);

/** M -> <A_i, M> / scale, i < m. */
typedef struct lode_i_sense_map {
    lode_i_sense_sizes size;
    double
        scale; /* ||A||_F / sqrt(n1 n2): of isotropic measurements, their map is near an isometry */
    /* matrices: rows of A as vectors */
    lode_linop *A;
    lode_array held; /* what A refers to */
    lode_source rows;
    /* vectors; twins: Z is X */
    lode_array X, Z;
    bool twins;
} lode_i_sense_map;
/** right: z_i, or NULL. resident: a source is read in. LODE_EDOMAIN names what is not finite. */
lode_status lode_i_sense_open(lode_ctx *ctx, lode_value A, const lode_i_sense_sizes *s,
                              const lode_array *right, bool resident, lode_i_sense_map *map);
void lode_i_sense_close(lode_i_sense_map *map);
/** A dense value as the m x p matrix that it is in memory or in a file; false: it has gaps. */
bool lode_i_sense_flat(lode_value A, int64_t m, int64_t p, lode_array *array, lode_source *source,
                       lode_value *flat);
/** What of the measurements counts, in the unit of the descent: y over its scale, kept or not. */
typedef struct lode_i_sense_data {
    lode_array y, keep; /* m x 1, arithmetic type */
    lode_array at[2];   /* i64: rows fitted, rows kept back */
    double scale;       /* of y: sqrt(m) times its robust deviation (l1), or its norm */
    double size[2];     /* of y fitted and kept back: root of squares, or absolute sum */
    lode_i_misfit misfit;
} lode_i_sense_data;
/** held: i64 indices kept back; NULL: none. */
lode_status lode_i_sense_data_of(lode_ctx *ctx, const lode_array *y, lode_dtype dtype,
                                 const lode_array *held, lode_sense_loss loss,
                                 lode_i_sense_data *d);
void lode_i_sense_data_free(lode_i_sense_data *d);
/** Norm of v over the rows fitted, grown to all of them, from the lower quartile of |v|, as if they were normal:
 *  up to three quarters of them may be anything larger. */
lode_status lode_i_sense_deviation(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *v,
                                   double *size);
/** Indices of the measurements kept back, ascending. */
lode_status lode_i_sense_hold(lode_ctx *ctx, int64_t m, double share, lode_stream s,
                              lode_array *held);

/** A product F G^T, what it is off, and what that gives back. */
typedef struct lode_i_sense_point {
    lode_array F, G;     /* n1 x k, n2 x k; symmetric: F alone */
    lode_array r;        /* m x 1 */
    lode_array D;        /* matrices: sum w_i A_i / scale, n1 x n2 */
    lode_array w, P, Q;  /* vectors: weights, X F, Z G */
    double fitted, held; /* relative to size */
} lode_i_sense_point;
void lode_i_sense_point_free(lode_i_sense_point *p);
/** Fills all but F and G, which are given. */
lode_status lode_i_sense_look(lode_ctx *ctx, const lode_i_sense_map *map,
                              const lode_i_sense_data *d, lode_i_sense_point *p);
/** Halves of the gradient, D G and D^T F, or sym(D) F; new. dG NULL where symmetric. */
lode_status lode_i_sense_gradient(lode_ctx *ctx, const lode_i_sense_map *map,
                                  const lode_i_sense_point *p, lode_array *dF, lode_array *dG);
/** D V, or D^T V, new, for the D of a point. */
lode_status lode_i_sense_times(lode_ctx *ctx, const lode_i_sense_map *map,
                               const lode_i_sense_point *p, bool adjoint, const lode_array *V,
                               lode_array *out);
/** sum w_i A_i / scale as a matrix, new. */
lode_status lode_i_sense_back(lode_ctx *ctx, const lode_i_sense_map *map,
                              const lode_i_sense_point *p, lode_array *D);
/** How a result does on what was fitted ([0]) and kept back ([1]): relative residual norm with its interval,
 *  or median with that of order statistics (l1). None there: NaN. */
typedef struct lode_i_sense_score {
    double value, low, high, absolute;
} lode_i_sense_score;
lode_status lode_i_sense_judge(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *r,
                               int part, lode_i_sense_score *s);

/** The descent. */
typedef struct lode_i_sense_fit {
    const lode_sense_opts *o;
    const lode_i_sense_map *map;
    const lode_i_sense_data *d;
    lode_sense_param param;
    bool spectral;
    int64_t k;
    double alpha;
    lode_stream start;
    bool broken_balance; /* the paper's idea turned off, for its claim */
    /* made */
    lode_i_sense_point p;
    lode_array trace, held_trace;
    double step;     /* of the last iteration, in the unit of the descent */
    double switched; /* iteration after which factors were balanced; 0: never */
} lode_i_sense_fit;
/** LODE_NOCONV where it has not settled. */
lode_status lode_i_sense_descend(lode_ctx *ctx, lode_i_sense_fit *f);
/** F and G to begin with, and the norm of what the measurements give back for M = 0. */
lode_status lode_i_sense_start(lode_ctx *ctx, lode_i_sense_fit *f, double *size);
/** What weights are to be multiplied by, so that what they give back has the size of its expectation for
 *  isotropic measurements: the error itself (l2), or the error over its norm (l1). */
double lode_i_sense_unit(const lode_i_sense_data *d);
void lode_i_sense_fit_free(lode_i_sense_fit *f);

/* Verbs. */
lode_status lode_i_sense_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                const lode_part *part, lode_array *out);
lode_status lode_i_sense_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                               lode_answer *a);
lode_status lode_i_sense_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                lode_certificate *found);
lode_status lode_i_sense_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_figure *figure);
lode_status lode_i_sense_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                               lode_bundle *result);

#endif
