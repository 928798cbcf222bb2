/* Verbs of cp on what it fitted. */
#include <math.h>

#include "ops/tensor/cp.h"

/* The options that it was fitted with; arrays are not among them. */
static lode_status options_of(lode_ctx *ctx, const lode_bundle *fitted, lode_cp_opts *o)
{
    LODE_FORWARD(lode_i_options_of(ctx, &lode_op_cp, fitted, o));
    o->mask = o->weights = NULL;
    o->holdout = 0;
    return LODE_OK;
}

/* Rows of factor.0 for new slices along mode 0, the other factors as they are. */
lode_status lode_i_cp_apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                            lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m;
    lode_cp_opts o;
    cp_data d = { 0 };
    lode_array factor[CP_MODES] = { { 0 } }, scaled = { 0 }, Y = { 0 };
    double *G = NULL, *one = NULL;
    int64_t rows;
    LODE_TRY(lode_i_kruskal_read(ctx, "cp", fitted, &m));
    LODE_TRY(options_of(ctx, fitted, &o));
    LODE_REQUIRE(!o.affinity.given, LODE_EUSAGE,
                 "cp: affinities of new neurons with the old ones are not in their own traces; fit "
                 "all of them together");
    LODE_TRY(lode_i_check_slices(ctx, &lode_op_cp, x, &fitted->meta, m.scale.dtype, &rows));
    LODE_TRY(lode_i_cp_open(ctx, &o, x, &d));
    LODE_REQUIRE(m.ndim <= CP_MODES, LODE_EFORMAT, "cp: a model of %d modes", m.ndim);
    d.dtype = m.scale.dtype;
    LODE_TRY(LODE_NEW(ctx, m.k * m.k, &G));
    LODE_TRY(LODE_NEW(ctx, m.k * m.k, &one));
    for (int64_t e = 0; e < m.k * m.k; e++)
        G[e] = 1;
    LODE_TRY(lode_array_cast(ctx, &m.factor[1], d.dtype, &scaled));
    LODE_TRY(lode_i_scale_cols(ctx, &scaled, &m.scale));
    for (int i = 1; i < m.ndim; i++) {
        LODE_TRY(lode_i_as(ctx, i == 1 ? &scaled : &m.factor[i],
                           d.kind == CP_DENSE ? d.X.dtype : d.seen.dtype, &factor[i]));
        LODE_TRY(lode_i_cp_gram(ctx, &factor[i], one));
        for (int64_t e = 0; e < m.k * m.k; e++)
            G[e] *= one[e];
    }
    LODE_TRY(lode_i_matrix_new(ctx, factor[1].dtype, d.shape[0], m.k, &factor[0]));
    LODE_TRY(lode_i_fill(ctx, &factor[0], 0));
    lode_i_row_rule rule = lode_i_cp_rule(&o);
    rule.ridge = rule.l1 = 0; /* penalties are of the scales in which it was fitted */
    rule.steps = 200;
    if (d.kind == CP_OBSERVED) {
        LODE_TRY(lode_i_observed_rows(ctx, &d.seen, 0, factor, &rule, NULL, NULL));
    } else {
        LODE_TRY(lode_i_cp_products(ctx, &d, 0, factor, &Y));
        LODE_TRY(lode_i_product_rows(ctx, G, &Y, &rule, &factor[0]));
    }
    LODE_FREE(&Y);
    LODE_TRY(lode_array_cast(ctx, &factor[0], m.scale.dtype, &Y));
    LODE_TRY(lode_i_scale(ctx, d.unit, &Y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "factor.0", &Y));
done:
    for (int i = 0; i < CP_MODES; i++)
        LODE_FREE(&factor[i]);
    LODE_FREE(&scaled, &Y);
    lode_i_free(G);
    lode_i_free(one);
    lode_i_cp_close(&d);
    return st;
}

lode_status lode_i_cp_invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                             const lode_part *part, lode_array *out)
{
    return lode_i_kruskal_invert(ctx, &lode_op_cp, fitted, codes, part, out);
}

lode_status lode_i_cp_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                            lode_answer *a)
{
    return lode_i_kruskal_query(ctx, &lode_op_cp, model, q, a);
}

lode_status lode_i_cp_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *f)
{
    (void)original;
    return lode_i_kruskal_plot(ctx, &lode_op_cp, fitted, "Canonical polyadic decomposition", f);
}

/* Alone: the normal form, and the trace against the certificate. With the original: the error over what is
 * observed of it, where that is all that was fitted (a mask or weights are not kept). */
lode_status lode_i_cp_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                             lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m;
    lode_cp_opts o;
    cp_data d = { 0 };
    int64_t count;
    double sumsq;
    bool exact;
    const lode_certificate *c = &fitted->certificate;
    LODE_TRY(lode_i_kruskal_verify(ctx, &lode_op_cp, fitted));
    *found = *c;
    if (original.kind == LODE_NONE)
        goto done;
    LODE_TRY(lode_i_kruskal_read(ctx, "cp", fitted, &m));
    LODE_TRY(lode_bundle_i64(ctx, fitted, "observed", &count));
    LODE_TRY(options_of(ctx, fitted, &o));
    LODE_TRY(lode_i_cp_open(ctx, &o, original, &d));
    LODE_REQUIRE(d.ndim == m.ndim && d.dtype == m.scale.dtype, LODE_ESHAPE,
                 "cp: the original has %d modes of %s, the model %d of %s", d.ndim,
                 lode_dtype_name(d.dtype), m.ndim, lode_dtype_name(m.scale.dtype));
    for (int i = 0; i < d.ndim; i++)
        LODE_REQUIRE(d.shape[i] == m.factor[i].shape[0], LODE_ESHAPE,
                     "cp: mode %d of the original has %" PRId64 " places, of the model %" PRId64, i,
                     d.shape[i], m.factor[i].shape[0]);
    if (d.count != count || fitted->meta.made)
        goto done; /* part of it was fitted, and what part is not kept */
    lode_i_kruskal unit = m;
    lode_array s = { 0 };
    LODE_TRY(lode_array_cast(ctx, &m.scale, m.scale.dtype, &s));
    const lode_status measured = lode_i_scale(ctx, 1 / d.unit, &s);
    unit.scale = s;
    st = measured < 0 ? measured : lode_i_cp_residual(ctx, &d, &unit, &sumsq, &exact);
    LODE_FREE(&s);
    LODE_TRY(st);
    const double eps = lode_i_epsilon(d.dtype);
    LODE_TRY(lode_i_squares_verify(ctx, &lode_op_cp, c, sqrt(sumsq) * d.unit,
                                   sqrt(d.sumsq) * d.unit, exact ? 100 * eps : sqrt(64 * eps),
                                   found));
done:
    lode_i_cp_close(&d);
    return st;
}
