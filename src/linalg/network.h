/* Products of several tensors, summed over every index that two of them have: contraction of tensor
 * networks, in a good order. All tensors of one call have one arithmetic type. */
#ifndef LODE_NETWORK_H
#define LODE_NETWORK_H

#include "linalg/linalg.h"

enum {
    LODE_I_TERMS = 32,       /* tensors of a product at most */
    LODE_I_INDICES = 64,     /* different indices at most, those of length 1 not counted */
    LODE_I_EXACT_TERMS = 12, /* up to so many the order is the best there is */
};

/** A tensor whose axes have names: numbers, any. Axes of length 1 have none and are not kept; without data only
 *  its shape counts. */
typedef struct lode_i_labelled {
    lode_array a;
    int n;
    int key[LODE_MAX_NDIM];
    int64_t size[LODE_MAX_NDIM];
} lode_i_labelled;
void lode_i_labelled_free(lode_i_labelled *t);
/** The axes of a (without data: of a tensor of this shape) named by keys; a view of it. */
lode_status lode_i_label(lode_ctx *ctx, const lode_array *a, const int *keys, lode_i_labelled *t);
void lode_i_label_shape(int ndim, const int64_t *shape, const int *keys, lode_i_labelled *t);
/** The array with its axes in the order of keys, those that it lacks of length 1: contiguous, of that shape. */
lode_status lode_i_arrange(lode_ctx *ctx, const lode_i_labelled *t, int n, const int *keys,
                           lode_array *out);
double lode_i_labelled_size(const lode_i_labelled *t);

/** In which order: step s joins two of the terms and results so far (numbered from `terms`) into number
 *  terms + s. flops: multiplications and additions; peak: values held at once beside the terms, which
 *  counts a copy of what a step joins. */
typedef struct lode_i_order {
    int terms;
    int left[LODE_I_TERMS], right[LODE_I_TERMS];
    double flops, peak;
} lode_i_order;
/** The order of least flops, of equal ones that of the least peak, by dynamic programming over subsets (3^terms
 *  steps); beyond LODE_I_EXACT_TERMS pairs are joined greedily. An index that only one term has stays; one
 *  that two have is summed over. LODE_EUSAGE: three have it, or there are too many. */
lode_status lode_i_network_order(lode_ctx *ctx, int terms, const lode_i_labelled *t,
                                 lode_i_order *o);
/** The product, axes in whatever order it comes; new. Terms without data: only its shape. o: what it took
 *  (or NULL). */
lode_status lode_i_network_contract(lode_ctx *ctx, int terms, const lode_i_labelled *t,
                                    lode_i_order *o, lode_i_labelled *out);

#endif
