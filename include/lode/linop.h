/* Linear operators: matrices known by their products with blocks of vectors. */
#ifndef LODE_LINOP_H
#define LODE_LINOP_H

#include "lode/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. Operators hold references to what they are made of, so parts may be freed first;
 *  arrays wrapped from the caller's memory must outlive them. */
typedef struct lode_linop lode_linop;
LODE_API void lode_linop_free(lode_linop **op);
LODE_API void lode_linop_size(const lode_linop *op, int64_t *rows, int64_t *cols,
                              lode_dtype *dtype);

/** From a 2-d array, sparse, source (read by slabs of rows) or callback; a linop gives itself
 *  again. */
LODE_API lode_status lode_linop_from(lode_ctx *ctx, lode_value A, lode_linop **op);
/** A - 1 m^T: rows centred by the column means m (cols values), without forming it. */
LODE_API lode_status lode_linop_centred(lode_ctx *ctx, const lode_linop *A, const lode_array *m,
                                        lode_linop **op);
/** diag(l) A diag(r); NULL: identity. */
LODE_API lode_status lode_linop_scaled(lode_ctx *ctx, const lode_linop *A, const lode_array *l,
                                       const lode_array *r, lode_linop **op);
/** [A; B] (axis 0) or [A B] (axis 1). */
LODE_API lode_status lode_linop_stacked(lode_ctx *ctx, const lode_linop *const *parts, int count,
                                        int axis, lode_linop **op);
/** Y = A X, or A^H X when adjoint; X has k columns, Y is new. NaN met on the way is
 *  LODE_EDOMAIN. */
LODE_API lode_status lode_linop_apply(lode_ctx *ctx, const lode_linop *A, bool adjoint,
                                      const lode_array *X, lode_array *Y);

#ifdef __cplusplus
}
#endif
#endif
