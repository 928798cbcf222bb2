/* Entries of an array that were observed, arranged by each of its modes: what every fit to some of the
 * entries works on, and how a sparse array of any number of modes meets products. */
#ifndef LODE_OBSERVED_H
#define LODE_OBSERVED_H

#include "array/array.h"
#include "lode/op.h"

/** The slices of one mode, one after another. The entries of a slice lie in C order of their other
 *  indices, so that those with the first other index in common (a fibre) are neighbours. */
typedef struct lode_i_slices {
    lode_array start;  /* i64, one more than there are slices */
    lode_array index;  /* u32, entries x (modes - 1): the other indices, modes ascending */
    lode_array value;  /* f32 or f64 */
    lode_array weight; /* like value; no data: all 1 */
} lode_i_slices;

typedef struct lode_i_observed {
    lode_dtype dtype; /* of values and weights */
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t count; /* entries */
    lode_i_slices mode[LODE_MAX_NDIM];
} lode_i_observed;
void lode_i_observed_free(lode_i_observed *x);

/** What of X was observed: of a sparse array the entries that it holds, of a dense one those that are not
 *  missing; where a mask or weights are given (dense, of the shape of X; NULL: none), those that are not
 *  0 there. dtype: f32 or f64. LODE_ESHAPE a mask or weights of another shape, 2^32 slices or more;
 *  LODE_EDOMAIN an entry given twice, a NaN that is not missing, an infinity, a negative weight: each with
 *  its index. Memory: what lode_i_observed_bytes says. */
lode_status lode_i_observed_from(lode_ctx *ctx, lode_value X, const lode_missing *missing,
                                 const lode_array *mask, const lode_array *weights,
                                 lode_dtype dtype, lode_i_observed *out);
/** Of `count` entries: what is kept, and the most that making it takes besides. */
uint64_t lode_i_observed_bytes(lode_dtype dtype, int ndim, const int64_t *shape, int64_t count,
                               bool weighted);
uint64_t lode_i_observed_workspace(lode_dtype dtype, int ndim, const int64_t *shape, int64_t count,
                                   bool weighted);
/** Entries that a value may have: nonzeros of a sparse array, all of a dense one. */
int64_t lode_i_observed_most(lode_value X);
/** Fails with LODE_EDOMAIN naming the first slice of any mode that has no entry: "row 3 of X". */
lode_status lode_i_observed_require(lode_ctx *ctx, const lode_i_observed *x, const char *name);
/** Keeps back a share of the entries, chosen by the stream, but none that is the last of a slice. */
lode_status lode_i_observed_split(lode_ctx *ctx, const lode_i_observed *x, double share,
                                  lode_stream s, lode_i_observed *kept, lode_i_observed *held);
/** Sum of weight times square of the values, in a fixed order. */
lode_status lode_i_observed_sumsq(lode_ctx *ctx, const lode_i_observed *x, double *sumsq);
/** Index of entry e of mode 0's order. */
void lode_i_observed_index(const lode_i_observed *x, int64_t e, int64_t *index);

#endif
