/* Gradients of a loss over measurements: how far A x is from y, and its way back through A. */
#ifndef LODE_LINOP_MISFIT_H
#define LODE_LINOP_MISFIT_H

#include "linalg/misfit.h"
#include "linop/linop.h"

/** r = A x - y (m x 1) and z = A^H w (n x 1), new, w the weights of r; x n x 1. A dense A is read once. */
lode_status lode_i_linop_misfit(lode_ctx *ctx, const lode_linop *op, const lode_array *x,
                                const lode_i_misfit *f, lode_array *r, lode_array *z);
/** The same for rows i0 .. of A, which are in memory: r is written, z added to. */
lode_status lode_i_misfit_block(lode_ctx *ctx, const lode_i_misfit *f, const lode_array *A,
                                const lode_array *x, int64_t i0, lode_array *r, lode_array *z);

#endif
