/* Private to pod: snapshots read by slabs, bases, verbs. */
#ifndef LODE_OPS_POD_H
#define LODE_OPS_POD_H

#include "graph/kmedoids.h"
#include "linalg/linalg.h"
#include "lode/dynamics.h"
#include "op/op.h"

/* ---- snapshots (pod_data.c): B, one row each, whatever axis of X counts them ---- */

typedef struct lode_i_snapshots {
    lode_array a;  /* in memory; else */
    lode_source s; /* from where slabs are read; closed where owned */
    bool from_source, owned;
    int axis;                /* of X, that counts snapshots */
    int64_t count, length;   /* snapshots, values of each */
    lode_dtype dtype, wide;  /* arithmetic type of X; f64 or c128, in which it is worked on */
    int64_t block, together; /* values of each that are worked on at once; blocks read at once */
    double scale;            /* a power of two that values are multiplied by */
    lode_array mean;         /* subtracted, scaled, wide; empty: nothing */
    bool center, given;      /* the next pass fills mean; it was given */
    lode_array weights;      /* of the inner product, f64; empty: 1 */
    lode_array root;         /* their square roots */
    lode_array M;            /* the inner product's matrix, wide; or */
    lode_sparse Ms;          /* .. CSR; neither: the plain one */
    lode_array MB;           /* length x count: M B^H */
} lode_i_snapshots;
/** Opens X; borrowed. weights, M: NULL, kind LODE_NONE where there are none. */
lode_status lode_i_snapshots_open(lode_ctx *ctx, lode_value X, int axis, lode_i_snapshots *s);
lode_status lode_i_snapshots_weigh(lode_ctx *ctx, const lode_array *weights, lode_value M,
                                   lode_i_snapshots *s);
void lode_i_snapshots_free(lode_i_snapshots *s);
/** Bytes of blocks that a pass takes; of all snapshots held under a matrix M. */
uint64_t lode_i_snapshots_room(const lode_ctx *ctx, const lode_matrix_info *X, int axis,
                               lode_kind M, int64_t nonzeros);
/** Scale from the norm, where squares would leave the range; again: what was computed must be computed
 *  again. */
lode_status lode_i_snapshots_rescale(lode_ctx *ctx, double norm, lode_i_snapshots *s, bool *again);

/** A pass over blocks B[:, j0:j1]; norm: NULL, or takes ||X||_F of what was met, which must be finite. */
typedef struct lode_i_snapshots_job {
    lode_status (*block)(lode_ctx *ctx, lode_i_snapshots *s, int64_t j0, int64_t j1,
                         const lode_array *B, void *data);
    void *data;
    double *norm;
} lode_i_snapshots_job;
lode_status lode_i_snapshots_pass(lode_ctx *ctx, lode_i_snapshots *s,
                                  const lode_i_snapshots_job *p);
bool lode_i_snapshots_by_matrix(const lode_i_snapshots *s);
/** M Phi, new. */
lode_status lode_i_snapshots_weighted(lode_ctx *ctx, const lode_i_snapshots *s,
                                      const lode_array *Phi, lode_array *out);

/* One pass each. Inner products are <x, y> = y^H M x, B = what is left of X, scaled, less the mean. */
/** G = B M B^H, and ||X||_F of what was met, which must be finite (LODE_EDOMAIN names the entry). */
lode_status lode_i_snapshots_gram(lode_ctx *ctx, lode_i_snapshots *s, lode_array *G, double *norm);
/** Y = B^T W, length x columns of W. */
lode_status lode_i_snapshots_combine(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *W,
                                     lode_array *Y);
/** Rows of B by number, i64. */
lode_status lode_i_snapshots_pick(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *index,
                                  lode_array *rows);
/** C = B M conj(Phi): coefficients; squares: <b_i, b_i> (NULL: not wanted); norm as above. */
lode_status lode_i_snapshots_project(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *Phi,
                                     lode_array *C, lode_array *squares, double *norm);
typedef struct lode_i_leftover {
    lode_array squares; /* <e_i, e_i>, E = B - C Phi^T */
    double plain;       /* ||E||_F^2 without weights */
    lode_array G;       /* E M E^H, where wanted */
} lode_i_leftover;
lode_status lode_i_snapshots_leftover(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *C,
                                      const lode_array *Phi, bool gram, lode_i_leftover *e);
/** Phi^H M Phi */
lode_status lode_i_snapshots_metric(lode_ctx *ctx, const lode_i_snapshots *s, const lode_array *Phi,
                                    lode_array *S);

/* ---- the partition (pod_partition.c) ---- */

lode_i_kmedoids_opts lode_i_pod_search(const lode_ctx *ctx, const lode_pod_opts *o);
/** G: inner products of the snapshots. Snapshots of length 0 are at distance 0 in the first part. */
lode_status lode_i_pod_partition(lode_ctx *ctx, const lode_pod_opts *o, const lode_array *G,
                                 lode_i_kmedoids *m);

/* ---- local bases (pod_fit.c) ---- */

typedef struct lode_i_pod_fit {
    lode_array labels; /* of each snapshot */
    int64_t clusters;
    int64_t *offset;     /* clusters + 1: columns of each basis */
    lode_array Phi, C;   /* wide, rounded to the type of X: length x R, count x R */
    lode_array s;        /* R, f64: singular values */
    lode_array errors;   /* count: relative, in the norm of the inner product */
    double norm2, rest2; /* squares of all snapshots and of what is left, of the inner product */
    double plain2;       /* what is left, without weights */
    bool met, short_of;  /* the error asked is met in each cluster; a rank asked is not there */
} lode_i_pod_fit;
typedef struct lode_i_pod_wish {
    int64_t rank;    /* of each basis at most */
    double relative; /* error of each cluster; 0: rank decides */
} lode_i_pod_wish;
/** G: of the snapshots. Columns wanted so far are told to `sized`, before they are allocated. */
lode_status lode_i_pod_bases(lode_ctx *ctx, lode_i_snapshots *s, const lode_array *G,
                             const lode_i_pod_wish *w,
                             lode_status (*sized)(lode_ctx *ctx, int64_t columns, void *data),
                             void *data, lode_i_pod_fit *f);
void lode_i_pod_fit_free(lode_i_pod_fit *f);

/* ---- a result (pod_verbs.c) ---- */

/** Borrowed from its bundle. */
typedef struct lode_i_pod_model {
    const lode_array *basis, *offsets, *codes, *s, *medoids, *labels, *distance, *picked, *errors,
        *mean;
    const lode_array *weights;
    lode_value M;
    int64_t n, N, R, K;
    lode_pod_opts o;
} lode_i_pod_model;
lode_status lode_i_pod_read(lode_ctx *ctx, const lode_bundle *b, lode_i_pod_model *m);
int64_t lode_i_pod_offset(const lode_i_pod_model *m, int64_t c);
/** Snapshots x seen as the model sees them. */
lode_status lode_i_pod_open(lode_ctx *ctx, const lode_i_pod_model *m, lode_value x,
                            bool measure_mean, lode_i_snapshots *s);
/* Inner products with the medoids, squares of the snapshots and of the medoids, all scaled. */
typedef struct lode_i_pod_crossing {
    lode_array P, squares, own, reps; /* N x K, N, K x K, n x K */
} lode_i_pod_crossing;
lode_status lode_i_pod_cross(lode_ctx *ctx, const lode_i_pod_model *m, lode_i_snapshots *s,
                             lode_i_pod_crossing *c);
void lode_i_pod_crossing_free(lode_i_pod_crossing *c);
/** How far snapshot i is from medoid k. */
double lode_i_pod_away(lode_ctx *ctx, const lode_i_pod_model *m, const lode_i_pod_crossing *c,
                       int64_t i, int64_t k);
/** Roots of left over squares, 0 where the latter is 0. */
void lode_i_pod_relative(const lode_array *left, const lode_array *squares, lode_array *errors);

/* ---- verbs ---- */

lode_status lode_i_pod_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_pod_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_pod_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_pod_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
