/* Verbs of cca: scores and predictions of new rows, a picture. Its check is in cca_verify.c. */
#include <math.h>

#include "linalg/masked.h"
#include "ops/matrix/cca.h"

static lode_status find(lode_ctx *ctx, const lode_bundle *b, const char *name, bool optional,
                        const lode_array **a)
{
    *a = NULL;
    if (optional && lode_bundle_get(b, name).kind == LODE_NONE)
        return LODE_OK;
    return lode_bundle_array(ctx, b, name, a);
}

static bool matrix(const lode_array *a, int64_t rows, int64_t cols)
{
    return a->ndim == 2 && a->shape[0] == rows && a->shape[1] == cols;
}

static bool vector(const lode_array *a, int64_t n)
{
    return a->ndim == 1 && a->shape[0] == n;
}

static const char *const names[] = { "cca", "pls", "nipals", "pls-svd" };

const char *lode_i_cca_method_name(lode_cca_method m)
{
    return names[m];
}

static lode_status read_request(lode_ctx *ctx, const lode_bundle *b, lode_i_cca_result *r)
{
    lode_status st = LODE_OK;
    lode_cca_opts o;
    int64_t scaled = 0;
    const lode_value method = lode_bundle_get(b, "method");
    int m = 0;
    while (m < 4 && !(method.kind == LODE_TEXT && strcmp(method.as.text, names[m]) == 0))
        m++;
    LODE_REQUIRE(m < 4, LODE_EFORMAT, "cca: this model does not say by which method it was made");
    r->method = (lode_cca_method)m;
    LODE_TRY(lode_bundle_i64(ctx, b, "scaled", &scaled));
    r->scaled = scaled != 0;
    if (r->method == LODE_CCA_CANONICAL) {
        LODE_TRY(lode_bundle_f64(ctx, b, "ridge_x", &r->ridge[0]));
        LODE_TRY(lode_bundle_f64(ctx, b, "ridge_y", &r->ridge[1]));
    }
    LODE_TRY(lode_i_options_of(ctx, &lode_op_cca, b, &o));
    r->gap = o.missing;
done:
    return st;
}

lode_status lode_i_cca_read(lode_ctx *ctx, const lode_bundle *b, lode_i_cca_result *r)
{
    lode_status st = LODE_OK;
    *r = (lode_i_cca_result){ .n = 0 };
    const struct {
        const char *name;
        bool optional;
        const lode_array **to;
    } members[] = { { "x_weights", false, &r->W[0] },
                    { "y_weights", false, &r->W[1] },
                    { "x_scores", false, &r->score[0] },
                    { "y_scores", false, &r->score[1] },
                    { "x_loadings", false, &r->load[0] },
                    { "y_loadings", false, &r->load[1] },
                    { "mean_x", false, &r->mean[0] },
                    { "mean_y", false, &r->mean[1] },
                    { "correlations", false, &r->correlations },
                    { "values", false, &r->values },
                    { "coef", false, &r->coef },
                    { "intercept", false, &r->intercept },
                    { "p_values", true, &r->p_values },
                    { "held", true, &r->held },
                    { "held_each", true, &r->held_each },
                    { "press", true, &r->press },
                    { "press_each", true, &r->press_each },
                    { "row_weights", true, &r->weights } };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        LODE_TRY(find(ctx, b, members[i].name, members[i].optional, members[i].to));
    LODE_TRY(lode_bundle_f64(ctx, b, "condition", &r->condition));
    r->condition = fmin(fmax(r->condition, 1), 1e15);
    r->missing = lode_bundle_get(b, "missing").kind != LODE_NONE;
    r->n = r->score[0]->shape[0], r->p = r->W[0]->shape[0];
    r->q = r->W[1]->shape[0], r->k = r->W[0]->ndim == 2 ? r->W[0]->shape[1] : -1;
    bool fits = vector(r->correlations, r->k) && r->values->ndim == 1 &&
                r->values->shape[0] >= r->k && matrix(r->coef, r->p, r->q) &&
                vector(r->intercept, r->q) && (!r->weights || vector(r->weights, r->n)) &&
                (!r->p_values || vector(r->p_values, r->values->shape[0])) &&
                (!r->held == !r->held_each) && (!r->press == !r->press_each);
    for (int k = 0; k < 2; k++) {
        const int64_t cols = k ? r->q : r->p;
        fits = fits && matrix(r->W[k], cols, r->k) && matrix(r->score[k], r->n, r->k) &&
               matrix(r->load[k], cols, r->k) && vector(r->mean[k], cols);
    }
    if (fits && r->held)
        fits = r->held->ndim == 1 && r->held_each->ndim == 2 &&
               r->held->shape[0] == r->held_each->shape[1];
    if (fits && r->press)
        fits = r->press->ndim == 1 && r->press_each->ndim == 2 &&
               r->press->shape[0] == r->press_each->shape[1];
    LODE_REQUIRE(fits, LODE_EFORMAT,
                 "cca: the members of this model do not fit together; fit it again");
    if (r->p_values) {
        LODE_TRY(lode_bundle_i64(ctx, b, "rank_x", &r->rank[0]));
        LODE_TRY(lode_bundle_i64(ctx, b, "rank_y", &r->rank[1]));
    }
    LODE_TRY(read_request(ctx, b, r));
done:
    return st;
}

/* ---- apply ---- */

/* (rows - mean) weights, f64; NaN: least squares of what is observed on the loadings. */
static lode_status score_rows(lode_ctx *ctx, const lode_i_cca_result *r, const lode_array *rows,
                              int side, lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_stats stats;
    lode_array W = { 0 }, mean = { 0 }, ridge = { 0 }, x = { 0 };
    LODE_TRY(lode_i_stats(ctx, rows, &stats));
    if (stats.infinite > 0)
        LODE_TRY(lode_i_require_finite(ctx, rows, side ? "cca: Y" : "cca: X"));
    LODE_TRY(lode_array_cast(ctx, stats.missing > 0 ? r->load[side] : r->W[side], LODE_F64, &W));
    LODE_TRY(lode_array_cast(ctx, r->mean[side], LODE_F64, &mean));
    if (stats.missing > 0) {
        const bool regression = r->method == LODE_CCA_PLS || r->method == LODE_CCA_NIPALS;
        LODE_REQUIRE(!(side == 1 && regression), LODE_EDOMAIN,
                     "cca: %" PRId64 " values of Y are missing; its scores need complete rows",
                     stats.missing);
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r->k, &ridge));
        LODE_TRY(lode_i_fill(ctx, &ridge, 1e-12));
        LODE_TRY(lode_i_masked_scores(ctx, rows, &mean, &W, &ridge, Z));
        goto done;
    }
    LODE_TRY(lode_array_cast(ctx, rows, LODE_F64, &x));
    LODE_TRY(lode_i_sub_row(ctx, &x, &mean));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x, &W, Z));
done:
    LODE_FREE(&W, &mean, &ridge, &x);
    return st;
}

static lode_status give_codes(lode_ctx *ctx, const char *name, lode_dtype dtype, bool one,
                              const lode_array *Z, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 }, flat = { 0 };
    LODE_TRY(lode_array_cast(ctx, Z, dtype, &own));
    if (one) {
        LODE_TRY(lode_array_reshape(ctx, &own, 1, &own.shape[1], &flat));
        lode_array_swap(&own, &flat);
    }
    LODE_TRY(lode_bundle_add_array(ctx, result, name, &own));
done:
    LODE_FREE(&own, &flat);
    return st;
}

/* Y = mean_y + Z (loadings^T coef), which is X coef + intercept for rows without gaps. */
static lode_status predict(lode_ctx *ctx, const lode_i_cca_result *r, const lode_array *Z,
                           lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array P = { 0 }, B = { 0 }, slope = { 0 }, mean = { 0 };
    LODE_TRY(lode_array_cast(ctx, r->load[0], LODE_F64, &P));
    LODE_TRY(lode_array_cast(ctx, r->coef, LODE_F64, &B));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &P, &B, &slope));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, Z, &slope, out));
    LODE_TRY(lode_array_cast(ctx, r->mean[1], LODE_F64, &mean));
    LODE_TRY(lode_i_scale(ctx, -1, &mean));
    LODE_TRY(lode_i_sub_row(ctx, out, &mean));
done:
    LODE_FREE(&P, &B, &slope, &mean);
    return st;
}

lode_status lode_i_cca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_cca_result r;
    lode_array a = { 0 }, rows = { 0 }, part = { 0 }, Z = { 0 }, y = { 0 };
    LODE_TRY(lode_i_cca_read(ctx, model, &r));
    if (x.kind == LODE_SPARSE)
        LODE_TRY(lode_sparse_to_dense(ctx, x.as.sparse, &a));
    else
        LODE_TRY(lode_i_as_array(ctx, x, LODE_F64, &a));
    const bool one = a.ndim == 1;
    if (one)
        LODE_TRY(lode_array_reshape(ctx, &a, 2, (const int64_t[]){ 1, a.shape[0] }, &rows));
    else
        LODE_TRY(lode_array_cast(ctx, &a, LODE_F64, &rows));
    LODE_REQUIRE(
        rows.ndim == 2 && (rows.shape[1] == r.p || rows.shape[1] == r.p + r.q), LODE_ESHAPE,
        "cca: new rows have %" PRId64 " columns, as X had, or %" PRId64 " where Y stands beside it",
        r.p, r.p + r.q);
    part = lode_i_cols(&rows, 0, r.p);
    LODE_TRY(score_rows(ctx, &r, &part, 0, &Z));
    LODE_TRY(give_codes(ctx, "codes", r.W[0]->dtype, one, &Z, result));
    LODE_TRY(predict(ctx, &r, &Z, &y));
    LODE_TRY(give_codes(ctx, "predicted", r.W[0]->dtype, one, &y, result));
    if (rows.shape[1] > r.p) {
        lode_array_free(&part);
        part = lode_i_cols(&rows, r.p, r.p + r.q);
        LODE_TRY(score_rows(ctx, &r, &part, 1, &Z));
        LODE_TRY(give_codes(ctx, "codes_y", r.W[0]->dtype, one, &Z, result));
    }
done:
    LODE_FREE(&a, &rows, &part, &Z, &y);
    return st;
}

/* ---- plot ---- */

static lode_status lines(lode_ctx *ctx, lode_figure *figure, const char *title,
                         const lode_array *load)
{
    lode_panel *p = NULL;
    LODE_FORWARD(lode_i_panel(ctx, figure, title, "column", "slope on score", &p));
    return lode_i_plot_components(ctx, p, load);
}

lode_status lode_i_cca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_i_cca_result r;
    lode_panel *p = NULL;
    lode_array count = { 0 };
    char text[512];
    (void)original;
    LODE_TRY(lode_i_cca_read(ctx, model, &r));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(
        ctx, figure,
        r.method == LODE_CCA_CANONICAL ? "Canonical correlations" : "Partial least squares", text));
    LODE_TRY(lode_i_panel(ctx, figure, "correlations of scores", "component", "correlation", &p));
    LODE_TRY(lode_i_panel_line(ctx, p, "fitted", NULL,
                               r.method == LODE_CCA_CANONICAL && r.p_values ? r.values
                                                                            : r.correlations));
    if (r.held)
        LODE_TRY(lode_i_panel_line(ctx, p, "rows kept back", NULL, r.held));
    if (r.press) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r.press->shape[0], &count));
        for (int64_t i = 0; i < r.press->shape[0]; i++)
            lode_i_set1(&count, i, (double)i);
        LODE_TRY(lode_i_panel(ctx, figure, "prediction of rows kept back", "components",
                              "squared error over that of the mean", &p));
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, &count, r.press));
    }
    for (int64_t c = 0; c < lode_i_min(r.k, r.press ? 1 : 2); c++) {
        const lode_array x = lode_i_column(r.score[0], c), y = lode_i_column(r.score[1], c);
        snprintf(text, sizeof text, "scores %" PRId64 ", correlation %.3f", c + 1,
                 lode_i_get1(r.correlations, c));
        LODE_TRY(lode_i_panel(ctx, figure, text, "of X", "of Y", &p));
        LODE_TRY(lode_i_panel_points(ctx, p, NULL, &x, &y, NULL));
    }
    LODE_TRY(lines(ctx, figure, "loadings of X", r.load[0]));
    LODE_TRY(lines(ctx, figure, "loadings of Y", r.load[1]));
done:
    LODE_FREE(&count);
    return st;
}
