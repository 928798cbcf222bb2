/* Points known by the dissimilarities between them: their partition around k of them, and how clear it
 * is. */
#ifndef LODE_GRAPH_KMEDOIDS_H
#define LODE_GRAPH_KMEDOIDS_H

#include "array/array.h"

typedef struct lode_i_kmedoids_opts {
    int64_t k;        /* medoids, 1 .. n */
    int64_t restarts; /* starts: the greedy one (BUILD), then random ones */
    int64_t max_iter; /* passes over the candidates of one start, at most */
    lode_stream stream;
    const char *op; /* for sentences */
} lode_i_kmedoids_opts;
typedef struct lode_i_kmedoids {
    lode_array medoids;  /* k, i64, ascending */
    lode_array labels;   /* n, i64: the first of the nearest, a medoid its own */
    lode_array distance; /* n, f64: to it */
    lode_array costs;    /* restarts, f64: what each start ended at */
    double cost;         /* the least of them: sum of the distances */
} lode_i_kmedoids;
/** Whether a point goes to a medoid at distance d rather than to one before it: what only rounding tells apart is
 *  a tie, which the first has. */
static inline bool lode_i_nearer(double d, double least)
{
    return d < (1 - 1e-7) * least;
}
void lode_i_kmedoids_free(lode_i_kmedoids *m);
/** The k of n points with the least sum of distances to the nearest of them that exchanges of one
 *  medoid for one other point lead to. D: n x n, f64, contiguous, symmetric, >= 0, zero diagonal.
 *  LODE_NOCONV: a start needed more than max_iter passes; what it has come to stands. A pass takes n (n + k)
 *  steps, the greedy start k n^2; starts run on all threads.
 *  Source: Schubert & Rousseeuw 2021, doi:10.1016/j.is.2021.101804 (FasterPAM: exchanges made as they
 *  are found, each candidate priced for all k medoids in one run over the points); Kaufman & Rousseeuw 1990,
 *  chapter 2 (BUILD). */
lode_status lode_i_kmedoids_fit(lode_ctx *ctx, const lode_array *D, const lode_i_kmedoids_opts *o,
                                lode_i_kmedoids *m);
/** Bytes that takes at most, results included. */
uint64_t lode_i_kmedoids_room(int64_t n, const lode_i_kmedoids_opts *o);
/** Silhouette of each point, n f64: (b - a) / max(a, b), a the mean distance to the others of its part, b the
 *  least mean distance to another part; 0 for a point alone in its part, and where there is one part.
 *  Source: Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7. */
lode_status lode_i_silhouette(lode_ctx *ctx, const lode_array *D, const lode_array *labels,
                              int64_t k, lode_array *width);

#endif
