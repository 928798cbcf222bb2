/* More data for a tensor train, and its figure. */
#include <math.h>
#include <string.h>

#include "linop/tt.h"
#include "ops/tensor/tt.h"

/* ---- more data: along mode 0 ---- */

static lode_status add_result(lode_ctx *ctx, const lode_bundle *a, int64_t rows, lode_array *core,
                              int d, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle b = { 0 };
    LODE_TRY(lode_i_add_numbered(ctx, "core", core, d, &b));
    lode_i_lengthen(&a->meta, rows, &b);
    lode_bundle_swap(result, &b);
done:
    LODE_FREE(&b);
    return st;
}

lode_status lode_i_tt_merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                            lode_bundle *result)
{
    lode_status st = LODE_OK;
    tt_model m, n;
    lode_array core[LODE_MAX_NDIM] = { { 0 } };
    double norm_a, norm_b, dropped;
    LODE_TRY(lode_i_tt_model(ctx, a, &m));
    LODE_TRY(lode_i_tt_model(ctx, b, &n));
    LODE_REQUIRE(m.d == n.d && m.core[0].dtype == n.core[0].dtype, LODE_ESHAPE,
                 "tt: models of %d modes in %s and %d modes in %s do not stack", m.d,
                 lode_dtype_name(m.core[0].dtype), n.d, lode_dtype_name(n.core[0].dtype));
    LODE_TRY(lode_i_fitted_norm(ctx, a, &m.core[0], &norm_a));
    LODE_TRY(lode_i_fitted_norm(ctx, b, &n.core[0], &norm_b));
    LODE_TRY(lode_i_tt_stack(ctx, m.d, m.core, n.core, 0, core, &dropped));
    LODE_TRY(add_result(ctx, a, b->meta.shape[0], core, m.d, result));
    LODE_TRY(lode_i_stack_certificates(ctx, &lode_op_tt, &a->certificate, norm_a,
                                       sqrt(pow(b->certificate.absolute, 2) + dropped), norm_b,
                                       &result->certificate));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&core[k]);
    return st;
}

/* The model's rows with those directions of the new slices' own train that they lack, all but an
 * energy `drop`; core.0 then holds the slices themselves, projected on all of these. */
static lode_status widen(lode_ctx *ctx, const tt_model *m, lode_value x, const lode_array *own,
                         double drop, lode_array *core, double *error, double *norm)
{
    lode_status st = LODE_OK;
    lode_array slices[LODE_MAX_NDIM] = { { 0 } }, part = { 0 };
    double dropped;
    const int64_t rows = m->core[0].shape[1];
    LODE_TRY(lode_i_tt_stack(ctx, m->d, m->core, own, drop, core, &dropped));
    for (int k = 0; k < m->d; k++)
        slices[k] = lode_array_ref(&core[k]);
    LODE_TRY(lode_i_tt_project(ctx, x, m->d, core, "X", &slices[0], NULL));
    LODE_TRY(lode_i_tt_residual(ctx, x, m->d, slices, "X", error, norm));
    LODE_TRY(lode_array_slice(ctx, &core[0], 1, rows, core[0].shape[1], 1, &part));
    LODE_TRY(lode_array_copy_into(ctx, &slices[0], &part));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&slices[k]);
    LODE_FREE(&part);
    return st;
}

/* New slices along mode 0, to the relative error that was asked of the model. The old part stays as it
 * is, so that the errors add in squares. */
lode_status lode_i_tt_update(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_ttsvd_info info;
    lode_array own[LODE_MAX_NDIM] = { { 0 } }, core[LODE_MAX_NDIM] = { { 0 } }, y = { 0 };
    int64_t rows;
    double norm_a, error = 0, norm = 0;
    const lode_certificate *c = &fitted->certificate;
    LODE_TRY(lode_i_tt_model(ctx, fitted, &m));
    LODE_TRY(lode_i_check_slices(ctx, &lode_op_tt, x, &fitted->meta, m.core[0].dtype, &rows));
    LODE_TRY(lode_i_fitted_norm(ctx, fitted, &m.core[0], &norm_a));
    const double wanted = c->asked > 0 ? c->asked : c->value; /* NaN: none was asked */
    const lode_ttsvd_opts o = { .error = 0.9 * wanted, .op = "tt", .name = "X" };
    LODE_TRY(lode_i_tt_svd(ctx, x, &o, own, &info));
    for (int k = 0; k < m.d; k++) {
        LODE_TRY(lode_i_as(ctx, &own[k], m.core[0].dtype, &y));
        lode_array_swap(&own[k], &y);
        lode_array_free(&y);
    }
    const double spare = pow(wanted * info.norm, 2) - info.error * info.error;
    LODE_TRY(widen(ctx, &m, x, own, fmax(0.8 * spare, 0), core, &error, &norm));
    if (error > wanted * norm) /* what was dropped was too much after all */
        LODE_TRY(widen(ctx, &m, x, own, 0, core, &error, &norm));
    LODE_TRY(add_result(ctx, fitted, rows, core, m.d, result));
    LODE_TRY(
        lode_i_stack_certificates(ctx, &lode_op_tt, c, norm_a, error, norm, &result->certificate));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        LODE_FREE(&own[k], &core[k]);
    LODE_FREE(&y);
    return st;
}

/* ---- figure ---- */

/* Singular values of every bond, the norm being 1, and what lower ranks would leave out of it, down to
 * the error reached. */
static lode_status spectra(lode_ctx *ctx, const tt_model *m, double error, lode_panel *spectrum,
                           lode_panel *left)
{
    lode_status st = LODE_OK;
    lode_array values[LODE_MAX_NDIM] = { { 0 } }, tail = { 0 }, cut = { 0 };
    double norm;
    int64_t most = 1;
    LODE_TRY(lode_i_norm_fro(ctx, &m->core[0], &norm));
    LODE_TRY(lode_i_tt_spectra(ctx, m->d, m->core, values));
    for (int k = 0; k < m->d - 1; k++) {
        char label[24];
        const int64_t r = values[k].shape[0];
        double sum = error * error;
        most = lode_i_max(most, r);
        snprintf(label, sizeof label, "bond %d", k + 1);
        if (norm > 0)
            LODE_TRY(lode_i_scale(ctx, 1 / norm, &values[k]));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &tail));
        for (int64_t i = r - 1; i >= 0; i--) {
            sum += pow(lode_i_get1(&values[k], i), 2);
            lode_i_set1(&tail, i, sqrt(sum));
        }
        LODE_TRY(lode_i_panel_line(ctx, spectrum, label, NULL, &values[k]));
        LODE_TRY(lode_i_panel_line(ctx, left, label, NULL, &tail));
    }
    if (error > 0) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, lode_i_max(most, 2), &cut));
        LODE_TRY(lode_i_fill(ctx, &cut, error));
        LODE_TRY(lode_i_panel_line(ctx, left, "error", NULL, &cut));
    }
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&values[k]);
    LODE_FREE(&tail, &cut);
    return st;
}

/* Ranks of the bonds, and the values that each core takes. */
static lode_status sizes(lode_ctx *ctx, const tt_model *m, lode_panel *p)
{
    lode_status st = LODE_OK;
    lode_array rank = { 0 }, at = { 0 };
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m->d + 1, &rank));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m->d + 1, &at));
    for (int k = 0; k <= m->d; k++) {
        lode_i_set1(&rank, k, k < m->d ? (double)m->core[k].shape[0] : 1);
        lode_i_set1(&at, k, k);
    }
    LODE_TRY(lode_i_panel_line(ctx, p, "rank", &at, &rank));
done:
    LODE_FREE(&rank, &at);
    return st;
}

lode_status lode_i_tt_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *f)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_panel *spectrum, *left, *ranks;
    char caption[256], title[160], shape[128];
    int64_t size = 1, values = 0;
    (void)original;
    LODE_TRY(lode_i_tt_model(ctx, fitted, &m));
    for (int k = 0; k < m.d; k++) {
        size *= m.core[k].shape[1];
        values += lode_array_size(&m.core[k]);
    }
    lode_i_print_shape(m.d, fitted->meta.shape, shape, sizeof shape);
    snprintf(title, sizeof title, "Tensor train, %.80s in %" PRId64 " values", shape, values);
    lode_certificate_print(&fitted->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, f, title, caption));
    if (size == 0)
        goto done;
    if (m.d > 1) {
        LODE_TRY(lode_i_panel(ctx, f, "Singular values of the bonds", "index",
                              "value over the norm", &spectrum));
        lode_i_panel_log(spectrum, false, true);
        LODE_TRY(lode_i_panel(ctx, f, "Left out by a lower rank", "first value left out",
                              "share of the norm", &left));
        lode_i_panel_log(left, false, true);
        LODE_TRY(spectra(ctx, &m, fitted->certificate.value, spectrum, left));
    }
    LODE_TRY(lode_i_panel(ctx, f, "Ranks", "bond", "rank", &ranks));
    LODE_TRY(sizes(ctx, &m, ranks));
done:
    return st;
}
