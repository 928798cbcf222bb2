/* Verbs of complete: rows that the fit has not seen, the array filled, its check. */
#include <math.h>
#include <string.h>

#include "ops/matrix/complete.h"

/* s^power, 0 where s is. */
static lode_status powers(lode_ctx *ctx, const lode_i_kruskal *m, double power, lode_array *out)
{
    LODE_FORWARD(lode_array_cast(ctx, &m->scale, m->scale.dtype, out));
    for (int64_t c = 0; c < m->k; c++) {
        const double s = lode_i_get1(out, c);
        lode_i_set1(out, c, s > 0 ? pow(s, power) : 0);
    }
    return LODE_OK;
}

/* Rows of factor.0 for new slices along axis 0, from what is observed of them: least squares given the other
 * factors, with the model's ridge. */
lode_status lode_i_complete_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                                  lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_complete_opts o;
    lode_i_observed seen = { 0 };
    lode_array factor[LODE_MAX_NDIM] = { { 0 } }, share = { 0 };
    lode_dtype own;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_kruskal_read(ctx, "complete", model, &m));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_complete, model, &o));
    LODE_REQUIRE(lode_i_value_shape(x, &own, &ndim, shape) && ndim == m.ndim, LODE_ESHAPE,
                 "complete: the new slices have %d axes, the model %d", ndim, m.ndim);
    for (int i = 1; i < m.ndim; i++)
        LODE_REQUIRE(shape[i] == model->meta.shape[i], LODE_ESHAPE,
                     "complete: new slices have %" PRId64
                     " values along axis %d, the model %" PRId64,
                     shape[i], i, model->meta.shape[i]);
    LODE_TRY(lode_i_observed_from(ctx, x, &o.missing, NULL, NULL, m.scale.dtype, &seen));
    LODE_TRY(lode_array_zeros(ctx, m.scale.dtype, 2, (const int64_t[]){ shape[0], m.k }, factor));
    for (int i = 1; i < m.ndim; i++)
        LODE_TRY(lode_array_cast(ctx, &m.factor[i], m.scale.dtype, &factor[i]));
    /* as fitted, the factors share s evenly, and it is such rows that the penalty is on */
    LODE_TRY(powers(ctx, &m, 1 - 1.0 / m.ndim, &share));
    LODE_TRY(lode_i_scale_cols(ctx, &factor[1], &share));
    const lode_i_row_rule rule = { .ridge = o.ridge, .nonneg = o.nonneg, .steps = 200 };
    LODE_TRY(lode_i_observed_rows(ctx, &seen, 0, factor, &rule, NULL, NULL));
    LODE_TRY(powers(ctx, &m, -1.0 / m.ndim, &share));
    LODE_TRY(lode_i_scale_cols(ctx, &factor[0], &share));
    LODE_TRY(lode_bundle_add_array(ctx, result, "factor.0", &factor[0]));
done:
    lode_i_observed_free(&seen);
    for (int i = 0; i < m.ndim; i++)
        LODE_FREE(&factor[i]);
    LODE_FREE(&share);
    return st;
}

lode_status lode_i_complete_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                   const lode_part *part, lode_array *out)
{
    return lode_i_kruskal_invert(ctx, &lode_op_complete, model, codes, part, out);
}

lode_status lode_i_complete_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                  lode_answer *a)
{
    return lode_i_kruskal_query(ctx, &lode_op_complete, model, q, a);
}

lode_status lode_i_complete_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                 lode_figure *figure)
{
    (void)original;
    return lode_i_kruskal_plot(ctx, &lode_op_complete, model, "Completion", figure);
}

/* With the original, and where all that it shows was fitted, the error is measured again. */
lode_status lode_i_complete_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                   lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_complete_opts o;
    lode_i_observed seen = { 0 };
    int64_t fitted = 0;
    double sumsq = 0, norm = 0;
    LODE_TRY(lode_i_kruskal_verify(ctx, &lode_op_complete, model));
    LODE_TRY(lode_i_kruskal_read(ctx, "complete", model, &m));
    LODE_TRY(lode_bundle_i64(ctx, model, "observed", &fitted));
    *found = model->certificate;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(lode_i_options_of(ctx, &lode_op_complete, model, &o));
    LODE_TRY(lode_i_observed_from(ctx, original, &o.missing, NULL, NULL, m.scale.dtype, &seen));
    bool same = seen.ndim == m.ndim;
    for (int i = 0; same && i < m.ndim; i++)
        same = seen.shape[i] == model->meta.shape[i];
    LODE_REQUIRE(same, LODE_ESHAPE, "complete: the original has another shape than the model");
    if (seen.count != fitted || strstr(model->meta.made ? model->meta.made : "", "weights")) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; %" PRId64 " entries were fitted of the %" PRId64
                 " observed, or with weights",
                 fitted, seen.count);
        goto done;
    }
    LODE_TRY(lode_i_observed_residual(ctx, &seen, 0, m.factor, &m.scale, NULL, &sumsq));
    LODE_TRY(lode_i_observed_sumsq(ctx, &seen, &norm));
    found->absolute = sqrt(sumsq);
    found->value = norm > 0 ? sqrt(sumsq / norm) : 0;
    const double said = model->certificate.value;
    const double slack = 1e-3 * said + 16 * lode_i_epsilon(m.scale.dtype) * sqrt((double)m.k + 4);
    LODE_REQUIRE(fabs(found->value - said) <= slack, LODE_EVERIFY,
                 "complete: the relative error is %g, the certificate says %g", found->value, said);
done:
    lode_i_observed_free(&seen);
    return st;
}
