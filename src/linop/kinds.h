/* The kinds of operators, each in its file. */
#ifndef LODE_LINOP_KINDS_H
#define LODE_LINOP_KINDS_H

#include "linop/linop.h"

typedef struct lode_i_dense {
    lode_linop base;
    lode_array a;  /* in memory; else */
    lode_source s; /* from where slabs are read */
    bool from_source;
    bool kept;       /* long passes are kept in their middle too */
    lode_array mean; /* subtracted from every row; empty: none */
} lode_i_dense;

/* `bytes` of zeroed memory that begins with a filled lode_linop. */
lode_status lode_i_linop_new(lode_ctx *ctx, size_t bytes, const char *kind, int64_t rows,
                             int64_t cols, lode_dtype dtype, void (*release)(lode_linop *),
                             lode_linop **op);
lode_status lode_i_linop_dense(lode_ctx *ctx, const lode_array *a, lode_linop **op);
lode_status lode_i_linop_source(lode_ctx *ctx, const lode_source *s, lode_linop **op);
lode_status lode_i_linop_sparse(lode_ctx *ctx, const lode_sparse *s, lode_linop **op);
/* The same operator with rows centred in every block as it is used: no cancellation between large
 * products. NULL in *op: A is of another kind. */
lode_status lode_i_linop_dense_centred(lode_ctx *ctx, const lode_linop *A, const lode_array *mean,
                                       lode_linop **op);

/* LODE_EDOMAIN that names the first entry of A that is not finite, where part = A[i0.., j0..] has
 * one. */
lode_status lode_i_dense_locate(lode_ctx *ctx, const lode_array *part, int64_t i0, int64_t j0);
/** Passes of a dense operator are steps of the checkpoint from now on; of others nothing is changed. */
void lode_i_dense_keep(lode_linop *op);
lode_status lode_i_dense_gram(lode_ctx *ctx, const lode_linop *op, lode_i_gram_form form,
                              double scale, lode_array *G);

#endif
