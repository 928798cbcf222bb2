/* Transforms along a mode: tiles of the columns along it are brought together as rows of `width`
 * values, transformed in cache, and put where they go. */
#ifndef LODE_LINALG_TILES_H
#define LODE_LINALG_TILES_H

#include "linalg/linalg.h"

/* Widths are multiples of it; columns that fill up a last tile are 0. */
enum { LODE_I_LANES = 32 };

typedef struct lode_i_tiles {
    int64_t n;     /* entries that are transformed */
    int64_t width; /* at most, of a tile */
    int rooms;     /* of n x width values each, at most 4 */
    /** room[0] holds the n rows, and may be used up; the result goes to room[1]. */
    lode_status (*turn)(lode_ctx *ctx, const void *data, int64_t width, void *const *room);
    const void *data;
} lode_i_tiles;
/** From X to Y, which may be X: contiguous, f32 or f64, of one shape but along the mode, where entries
 *  of X that are less than n stand for those and zeros, and Y takes as many as it has. `what` names
 *  the transform (LODE_EINTERNAL). */
lode_status lode_i_tiles_into(lode_ctx *ctx, const char *what, const lode_array *X, int mode,
                              const lode_i_tiles *t, lode_array *Y);
/** The same along all modes from `first` on, the first of them first, slab after slab (all that has one
 *  index in the modes before) while it is in cache: t, one a mode. Only where lode_i_slabs_fit. */
lode_status lode_i_slabs_into(lode_ctx *ctx, const char *what, const lode_array *X, int first,
                              const lode_i_tiles *t, lode_array *Y);

#endif
