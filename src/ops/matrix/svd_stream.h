/* Private to svd: a decomposition that takes in data, and what comes in. */
#ifndef LODE_OPS_SVD_STREAM_H
#define LODE_OPS_SVD_STREAM_H

#include "linop/extended.h"
#include "ops/matrix/svd.h"

struct lode_svd_stream {
    lode_svd_opts o;
    lode_dtype stored, dtype; /* of the result, of the arithmetic */
    lode_i_extended side[2];  /* U, V */
    lode_array s;
    double lost, norm; /* Frobenius: of the error, negative: unknown; of A, at least */
    double flops;      /* beside those of the bases */
    int64_t updates;
    lode_stream stream;
    lode_bundle origin; /* what the model says of itself, without members */
};

/** Vectors that go on with U (side 0: rows of A) or V (side 1: columns), by their adjoint on the other
 *  side. */
lode_status lode_i_svd_append(lode_ctx *ctx, lode_svd_stream *w, int side, const lode_i_block *b);
/** A + D E^H, by D^H and E^H. */
lode_status lode_i_svd_change(lode_ctx *ctx, lode_svd_stream *w, const lode_i_block b[2]);

#endif
