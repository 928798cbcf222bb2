/* Tensor networks: a tensor as the product of small ones, the nodes of a graph. Node k < modes has mode k of
 * the tensor; nodes beyond have none. An edge of rank R between two nodes is an index of that length that is
 * summed over; rank 1 is no edge. Cores are f64. */
#ifndef LODE_NET_H
#define LODE_NET_H

#include "linalg/network.h"

enum { LODE_I_NET_NODES = 16, LODE_I_NET_MODES = 8 };

typedef struct lode_i_net {
    int modes, nodes;
    int64_t rank[LODE_I_NET_NODES]
                [LODE_I_NET_NODES]; /* symmetric; [k][k]: length of mode k, else 1 */
    /* rank[k][j] for every j but k, then rank[k][k]; contiguous. NULL data: a shape alone */
    lode_array core[LODE_I_NET_NODES];
} lode_i_net;
void lode_i_net_free(lode_i_net *net);
void lode_i_net_swap(lode_i_net *a, lode_i_net *b);
/** Modes of these lengths, so many nodes, no edges, no cores. */
lode_i_net lode_i_net_new(int modes, int nodes, const int64_t *shape);
/** Cores are shared, not copied. */
lode_i_net lode_i_net_ref(const lode_i_net *net);
void lode_i_net_connect(lode_i_net *net, int i, int j, int64_t rank);
/** Values of a core (rows: those over its edges), of all of them. */
double lode_i_net_edges(const lode_i_net *net, int k);
double lode_i_net_params(const lode_i_net *net);
/** Shape of core k. */
void lode_i_net_shape(const lode_i_net *net, int k, int64_t *shape);
/** Cores of normal values, the network's norm about 1. */
lode_status lode_i_net_random(lode_ctx *ctx, const char *op, uint64_t site, lode_i_net *net);
/** The tensor, or the entries start .. start + count - 1 of each mode (NULL: all). */
lode_status lode_i_net_expand(lode_ctx *ctx, const lode_i_net *net, const int64_t *start,
                              const int64_t *count, lode_dtype dtype, lode_array *out);
/** Its Frobenius norm, from the cores: rounding is relative to the terms. */
lode_status lode_i_net_norm(lode_ctx *ctx, const lode_i_net *net, double *norm);
/** The derivative of the tensor by core k: entries of the other modes (ascending, all entries for a node without
 *  a mode) x values over its edges. */
lode_status lode_i_net_derivative(lode_ctx *ctx, const lode_i_net *net, int k, lode_array *E);
/** Edges in their normal form: between the two cores of each, a product of orthonormal columns and singular
 *  values, whose roots go to both sides; values up to cutoff times the largest are dropped. */
lode_status lode_i_net_balance(lode_ctx *ctx, lode_i_net *net, double cutoff);
/** Cores but the first to length 1; what that takes goes to the first. */
lode_status lode_i_net_normalize(lode_ctx *ctx, lode_i_net *net);

/* ---- least squares, core after core ---- */

/** What the nodes outside of a set leave: X multiplied with their cores, and their cores multiplied with
 *  themselves, for the nodes `open`. */
typedef struct lode_i_net_env {
    uint32_t open;
    bool data, outside; /* whether there is T; whether there is D: nodes that are not open */
    lode_i_labelled T, D;
} lode_i_net_env;
void lode_i_net_env_free(lode_i_net_env *e);
/** All nodes open: X itself, borrowed; NULL data: a shape alone. */
lode_status lode_i_net_whole(lode_ctx *ctx, const lode_array *X, lode_i_net_env *e);
/** Multiplies the cores of the nodes in `drop` into it. need: values held at once, added to what is held
 *  already (`held`), if more than it says; or NULL. */
typedef struct lode_i_net_need {
    double held, most, flops;
} lode_i_net_need;
lode_status lode_i_net_descend(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e,
                               uint32_t drop, lode_i_net_need *need, lode_i_net_env *out);
/** One sweep over the open nodes, each the least squares solution given the others: their environments by halves,
 *  so that each node's takes as few products as there are levels. The nodes not open must be those that e
 *  was made with. left: |X|^2 - 2 <X, Y> + |Y|^2 for |X|^2 = sumsq after the last; or NULL. */
lode_status lode_i_net_sweep(lode_ctx *ctx, lode_i_net *net, const lode_i_net_env *e, double sumsq,
                             double *left);
/** What a sweep over these shapes would hold and take, and the environments of all pairs, one edge being one rank
 *  larger; cores need not have data. */
lode_status lode_i_net_measure(lode_ctx *ctx, const lode_i_net *net, bool pairs,
                               lode_i_net_need *need);
/** The same for missing values. */
lode_status lode_i_net_measure_some(lode_ctx *ctx, const lode_i_net *net, lode_i_net_need *need);
/** The same where values are missing (NaN) in X, f64: the derivative by each core, and least squares over what is
 *  observed. left: sum of squares that is left. */
lode_status lode_i_net_sweep_some(lode_ctx *ctx, lode_i_net *net, const lode_array *X,
                                  uint32_t open, double *left);

/* ---- growth ---- */

/** Rank of edge i, j one larger: a new slice of normal values for j, zeros for i, so that the tensor stays. */
lode_status lode_i_net_widen(lode_ctx *ctx, lode_i_net *net, int i, int j, const char *op,
                             uint64_t site);
/** Calls `visit` for each pair of nodes with its environment. need: as lode_i_net_descend. */
typedef lode_status (*lode_i_net_pair)(lode_ctx *ctx, void *state, const lode_i_net_env *e, int i,
                                       int j);
lode_status lode_i_net_pairs(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e,
                             lode_i_net_need *need, lode_i_net_pair visit, void *state);
/** Splits the node whose parameters shrink most when two groups of its axes become two nodes, singular values up to
 *  cutoff times the largest being dropped, where no more than `most` are left; *split: one was. */
lode_status lode_i_net_split(lode_ctx *ctx, lode_i_net *net, double cutoff, int64_t most,
                             bool *split);
/** Node k keeps its mode and one edge, to a new node that has all its others; singular values up to cutoff times the
 *  largest are dropped. Nothing where it has no edge, or there are LODE_I_NET_NODES. */
lode_status lode_i_net_detach(lode_ctx *ctx, lode_i_net *net, int k, double cutoff);
/** Rank of edge i, j (2 or more) one smaller: the last slices of both cores go, which in the normal form are those
 *  of the least singular value. */
lode_status lode_i_net_narrow(lode_ctx *ctx, lode_i_net *net, int i, int j);
/** Takes node k, which has no mode, into node j: one core of both; edges of both to one node become one. */
lode_status lode_i_net_absorb(lode_ctx *ctx, lode_i_net *net, int k, int j);
/** The same of some node and neighbour, no rank being above `most` then, where that costs no parameters; *merged: one was. */
lode_status lode_i_net_merge(lode_ctx *ctx, lode_i_net *net, int64_t most, bool *merged);
/** The largest rank of an edge. */
int64_t lode_i_net_widest(const lode_i_net *net);

#endif
