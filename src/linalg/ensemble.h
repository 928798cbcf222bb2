/* Columns that several fits of one model found: which of them are the same, and how far they agree. */
#ifndef LODE_ENSEMBLE_H
#define LODE_ENSEMBLE_H

#include "linalg/linalg.h"

/** Euclidean length of a column. */
double lode_i_column_length(const lode_array *A, int64_t c);
/** Mean cosine of the columns of A and B, both n x k, matched greedily: the closest pair first. */
lode_status lode_i_columns_agree(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                                 double *mean);
/** The one-to-one assignment of k rows to k columns of C (k x k, row by row) whose sum is largest: to[row].
 *  Shortest augmenting paths with potentials (Jonker & Volgenant 1987, doi:10.1007/BF02278710): O(k^3). */
lode_status lode_i_assign(lode_ctx *ctx, int64_t k, const double *C, int64_t *to);

/** Clusters of the columns of `runs` fits, one column of each fit in every cluster. */
typedef struct lode_i_clusters {
    int64_t *place;     /* runs x k: column place[q k + c] of fit q is in cluster c */
    lode_array centre;  /* n x k, f64: medians over the fits, of length 1 (or 0) */
    double least, mean; /* silhouette: of the worst cluster, of all columns */
} lode_i_clusters;
void lode_i_clusters_free(lode_i_clusters *c);
/** columns: n x (runs k), f64, fit after fit. Each is scaled to length 1; then fits are assigned to the
 *  centres, and centres taken anew, until nothing moves. The distance of silhouettes (Rousseeuw 1987,
 *  doi:10.1016/0377-0427(87)90125-7) is 1 - cosine; of one cluster, or of one fit, they are 1. */
lode_status lode_i_cluster_columns(lode_ctx *ctx, const lode_array *columns, int64_t runs,
                                   lode_i_clusters *out);

#endif
