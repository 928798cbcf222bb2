/* Private to cur: its factors (cur_parts.c), its verbs, and what they share. */
#ifndef LODE_OPS_CUR_H
#define LODE_OPS_CUR_H

#include "linop/pqr.h"
#include "lode/matrix.h"
#include "op/op.h"

/** What is being made of A, as used: scaled. H is kept as its adjoint. */
typedef struct lode_i_cur {
    const lode_cur_opts *o;
    const lode_linop *A, *adjoint;
    int64_t k, l; /* columns of F, rows of H */
    lode_cur_core core;
    double cutoff;
    lode_array F, G, Hh, cols, rows; /* m x k, k x l, n x l */
    lode_array X, Y;                 /* sketches: n x k, m x l */
    lode_array U, s, V;              /* singular vectors, where asked for */
    int64_t kept;                    /* singular values in the pseudoinverse; -1: there is none */
    int degree[3];                   /* how F, G and H scale with A */
} lode_i_cur;
lode_status lode_i_cur_factors(lode_ctx *ctx, lode_i_cur *w);
void lode_i_cur_free(lode_i_cur *w);
uint64_t lode_i_cur_memory(const lode_ctx *ctx, const lode_cur_opts *o, int64_t k, lode_value A);
/** Rows of H beyond those of F's columns. */
int64_t lode_i_cur_more(const lode_cur_opts *o, int64_t k, int64_t most);
lode_cur_core lode_i_cur_core(const lode_cur_opts *o);

lode_status lode_i_cur_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result);
lode_status lode_i_cur_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out);
lode_status lode_i_cur_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found);
lode_status lode_i_cur_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure);

#endif
