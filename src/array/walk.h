/* Loops over up to three arrays of one shape: axes that lie evenly are merged, the work is cut into
 * chunks of a fixed number of values in flat order, and a kernel gets runs along the innermost
 * axis. */
#ifndef LODE_WALK_H
#define LODE_WALK_H

#include "array/array.h"

#define LODE_WALK_OPERANDS 3
typedef struct lode_walk {
    int ndim, operands;
    int64_t size;
    int64_t shape[LODE_MAX_NDIM];
    const lode_array *array[LODE_WALK_OPERANDS];
    int64_t strides[LODE_WALK_OPERANDS][LODE_MAX_NDIM];
} lode_walk;

/** Values flat .. flat+count-1, operand k at p[k], step[k] elements apart. */
typedef struct lode_run {
    int64_t flat, count;
    void *p[LODE_WALK_OPERANDS];
    int64_t step[LODE_WALK_OPERANDS];
} lode_run;
typedef void (*lode_run_fn)(const lode_run *run, void *data);

/** Operands of equal shape. any_order: flat order does not matter, so the first operand's memory
 *  order is followed; run.flat then counts in that order. */
void lode_i_walk_init(lode_walk *w, bool any_order, int operands, const lode_array *const *arrays);
void lode_i_walk_range(const lode_walk *w, int64_t from, int64_t to, lode_run_fn fn, void *data);
/** Threaded over chunks of 2^15 values. */
lode_status lode_i_walk(lode_ctx *ctx, const lode_walk *w, lode_run_fn fn, void *data);

/** Values of one type, `from_step` elements apart, to another: the one place that converts. Packed
 *  types are contiguous, from a block's start, whole blocks. */
void lode_i_convert(lode_dtype from_type, const void *from, int64_t from_step, lode_dtype to_type,
                    void *to, int64_t to_step, int64_t count);
/** How many values start:stop:step takes of n on an axis; LODE_ESHAPE outside, LODE_EPARAM for a
 *  step of 0. */
lode_status lode_i_slice_count(lode_ctx *ctx, int axis, int64_t n, int64_t start, int64_t stop,
                               int64_t step, int64_t *count);
/** LODE_ESHAPE naming both shapes when they differ. */
lode_status lode_i_same_shape(lode_ctx *ctx, const lode_array *a, const lode_array *b,
                              const char *what);
/** The vector as a borrowed view of the shape of `like`: along `axis`, repeated on all others. */
lode_array lode_i_spread(const lode_array *vector, int axis, const lode_array *like);
/** Fails where writing would meet one element twice (stride 0). */
lode_status lode_i_require_writable(lode_ctx *ctx, const lode_array *a, const char *what);

#endif
