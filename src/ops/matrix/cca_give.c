/* Members of a result of cca, in the units of the tables as they are given. */
#include <math.h>

#include "ops/matrix/cca.h"

static lode_status add(lode_ctx *ctx, lode_bundle *b, const char *name, lode_dtype dtype,
                       const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 };
    double norm = 0, before = 0;
    LODE_TRY(lode_array_cast(ctx, a, dtype, &own));
    LODE_TRY(lode_i_norm_fro(ctx, a, &before));
    LODE_TRY(lode_i_norm_fro(ctx, &own, &norm));
    const double least = lode_i_is_single(dtype) ? 1e-36 : 0;
    LODE_REQUIRE(isfinite(norm) && (norm > least || !(before > 0)), LODE_EDOMAIN,
                 "cca: %s does not fit the range of %s; scale X and Y", name,
                 lode_dtype_name(dtype));
    LODE_TRY(lode_bundle_add_array(ctx, b, name, &own));
done:
    lode_array_free(&own);
    return st;
}

/* rows of a times factor (up), or over it; of one side. */
static lode_status add_scaled(lode_ctx *ctx, lode_bundle *b, const char *name,
                              const lode_i_cca_data *d, int side, bool up, const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 }, f = { 0 };
    double before = 0, norm = 0;
    const int64_t skip = side ? d->cols[0] : 0;
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &own));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, d->cols[side], &f));
    for (int64_t j = 0; j < d->cols[side]; j++) {
        const double v = lode_i_get1(&d->factor, skip + j);
        lode_i_set1(&f, j, up ? v : 1 / v);
    }
    LODE_TRY(lode_i_norm_fro(ctx, &own, &before));
    LODE_TRY(lode_i_scale_rows(ctx, &own, &f));
    LODE_TRY(lode_i_norm_fro(ctx, &own, &norm));
    LODE_REQUIRE(isfinite(norm) && (norm > 1e-304 || !(before > 0)), LODE_EDOMAIN,
                 "cca: %s does not fit the range of f64; scale X and Y", name);
    LODE_TRY(add(ctx, b, name, d->dtype, &own));
done:
    LODE_FREE(&own, &f);
    return st;
}

lode_status lode_i_cca_give_model(lode_ctx *ctx, const lode_i_cca_data *d,
                                  const lode_i_cca_model *m, const lode_array *values,
                                  const lode_array *p_values, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 };
    LODE_TRY(add_scaled(ctx, b, "x_weights", d, 0, true, &m->W[0]));
    LODE_TRY(add_scaled(ctx, b, "y_weights", d, 1, true, &m->W[1]));
    LODE_TRY(add(ctx, b, "x_scores", d->dtype, &m->score[0]));
    LODE_TRY(add(ctx, b, "y_scores", d->dtype, &m->score[1]));
    LODE_TRY(add_scaled(ctx, b, "x_loadings", d, 0, false, &m->load[0]));
    LODE_TRY(add_scaled(ctx, b, "y_loadings", d, 1, false, &m->load[1]));
    LODE_TRY(add(ctx, b, "correlations", LODE_F64, &m->correlation));
    LODE_TRY(add(ctx, b, "values", LODE_F64, values));
    if (p_values->data)
        LODE_TRY(add(ctx, b, "p_values", LODE_F64, p_values));
    LODE_TRY(add(ctx, b, "coef", d->dtype, &m->coef));
    LODE_TRY(add(ctx, b, "intercept", d->dtype, &m->intercept));
    LODE_TRY(lode_array_slice(ctx, &d->mean, 0, 0, d->cols[0], 1, &mean));
    LODE_TRY(add(ctx, b, "mean_x", d->dtype, &mean));
    LODE_TRY(lode_array_slice(ctx, &d->mean, 0, d->cols[0], d->cols[0] + d->cols[1], 1, &mean));
    LODE_TRY(add(ctx, b, "mean_y", d->dtype, &mean));
    if (d->weight.data)
        LODE_TRY(add(ctx, b, "row_weights", LODE_F64, &d->weight));
done:
    lode_array_free(&mean);
    return st;
}

/* What a verb has to know of the request. */
lode_status lode_i_cca_give_request(lode_ctx *ctx, const lode_cca_opts *o, lode_bundle *b)
{
    lode_status st = LODE_OK;
    const int of_y = o->ridge.count == 2;
    LODE_TRY(lode_bundle_add_text(ctx, b, "method", lode_i_cca_method_name(o->method)));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "scaled", o->scale));
    if (o->method == LODE_CCA_CANONICAL) {
        LODE_TRY(
            lode_bundle_add_f64(ctx, b, "ridge_x", o->ridge.count > 0 ? o->ridge.value[0] : 0));
        LODE_TRY(
            lode_bundle_add_f64(ctx, b, "ridge_y", o->ridge.count > 0 ? o->ridge.value[of_y] : 0));
    }
done:
    return st;
}

lode_status lode_i_cca_give_held(lode_ctx *ctx, const lode_i_cca_held *h, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 };
    if (h->correlation.data) {
        LODE_TRY(lode_i_cca_held_means(ctx, &h->correlation, false, &mean));
        LODE_TRY(add(ctx, b, "held", LODE_F64, &mean));
        LODE_TRY(add(ctx, b, "held_each", LODE_F64, &h->correlation));
    }
    if (h->error.data) {
        LODE_TRY(lode_i_cca_held_means(ctx, &h->error, true, &mean));
        LODE_TRY(add(ctx, b, "press", LODE_F64, &mean));
        LODE_TRY(add(ctx, b, "press_each", LODE_F64, &h->error));
    }
done:
    lode_array_free(&mean);
    return st;
}
