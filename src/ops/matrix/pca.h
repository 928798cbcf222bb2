/* Private to pca: its parts and verbs. */
#ifndef LODE_OPS_PCA_H
#define LODE_OPS_PCA_H

#include "linalg/masked.h"
#include "op/op.h"

/** What a fit comes to before it is packed: f64 or the arithmetic type of the data. */
typedef struct lode_pca_parts {
    lode_array V, mean, s, scores;
    double residual; /* Frobenius, over observed values */
    double norm;     /* of X there */
    double entries;  /* observed */
    bool bound;      /* residual is a bound, not a measurement */
} lode_pca_parts;
void lode_i_pca_free(lode_pca_parts *p);
lode_status lode_i_pca_pack(lode_ctx *ctx, lode_pca_parts *p, lode_dtype dtype, lode_bundle *model);

lode_status lode_i_pca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_pca_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *result);
lode_status lode_i_pca_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result);
lode_status lode_i_pca_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                             lode_bundle *result);
lode_status lode_i_pca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_pca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
