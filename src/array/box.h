/* Energies of the slices and boxes of a tensor, and picking a box out of it: what choosing
 * multilinear ranks takes. Arithmetic types, contiguous. A selection names, for each mode k,
 * count[k] indices in their new order. */
#ifndef LODE_ARRAY_BOX_H
#define LODE_ARRAY_BOX_H

#include "array/array.h"

/** energy[k][i] = sum of |a|^2 over the slice i of mode k. index NULL: of all of a; else of the
 *  selection only, energies in its order. Same bits for any number of threads. */
lode_status lode_i_slice_energies(lode_ctx *ctx, const lode_array *a, const int64_t *const *index,
                                  const int64_t *count, double *const *energy);
/** Sum of |a|^2 by bins: index i of mode k falls into bin[k][i] of 0 .. bins[k]-1. table:
 *  row-major, new values. */
lode_status lode_i_bin_energies(lode_ctx *ctx, const lode_array *a, const int32_t *const *bin,
                                const int64_t *bins, double *table);
/** out[j_0, j_1, ..] = a[index[0][j_0], ..] times the factors phase[k][j_k] (phase[k]: count[k]
 *  values in a's type, all NULL: none), converted to `dtype`. New. */
lode_status lode_i_pick(lode_ctx *ctx, const lode_array *a, const int64_t *const *index,
                        const int64_t *count, const lode_array *const *phase, lode_dtype dtype,
                        lode_array *out);

#endif
