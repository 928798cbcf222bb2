/* Transforms along a mode of a contiguous array, in place: tiles of its columns are brought together
 * as rows of `width` values, transformed in cache, and put back. */
#ifndef LODE_LINALG_TILES_H
#define LODE_LINALG_TILES_H

#include "linalg/linalg.h"

/* Widths are multiples of it; columns that fill up a last tile are 0. */
enum { LODE_I_LANES = 32 };

typedef struct lode_i_tiles {
    int64_t width; /* at most, of a tile */
    int rooms;     /* of n x width values each, at most 4 */
    /** room[0] holds the n rows, and may be used up; the result goes to room[1]. */
    lode_status (*turn)(lode_ctx *ctx, const void *data, int64_t width, void *const *room);
    const void *data;
} lode_i_tiles;
/** X: contiguous, f32 or f64. */
lode_status lode_i_tiles_over(lode_ctx *ctx, lode_array *X, int mode, const lode_i_tiles *t);

#endif
