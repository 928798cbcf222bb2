/* Verbs of sense: new measurements predicted, the matrix, its check, a picture. */
#include <math.h>
#include <string.h>

#include "ops/matrix/sense.h"

lode_status lode_i_sense_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                                const lode_part *part, lode_array *out)
{
    return lode_i_kruskal_invert(ctx, &lode_op_sense, model, codes, part, out);
}

lode_status lode_i_sense_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                               lode_answer *a)
{
    return lode_i_kruskal_query(ctx, &lode_op_sense, model, q, a);
}

/* Measurements of the kind that the model was fitted to. */
static lode_status open_as(lode_ctx *ctx, const lode_bundle *model, lode_value A,
                           const lode_sense_opts *o, lode_i_sense_map *map)
{
    lode_i_sense_sizes s;
    lode_sense_opts as = *o;
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    const lode_value form = lode_bundle_get(model, "form");
    const bool matrices = form.kind == LODE_TEXT && strcmp(form.as.text, "matrices") == 0;
    if (form.kind != LODE_TEXT || strcmp(form.as.text, "pairs") == 0)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "sense: measurements x' M z take two arrays, this verb one");
    as.vectors2 = NULL;
    as.form = matrices ? LODE_SENSE_MATRICES : LODE_SENSE_VECTORS;
    lode_i_value_shape(A, &dtype, &ndim, shape);
    if (matrices && ndim == 2) {
        as.shape.count = 2;
        for (int i = 0; i < 2; i++)
            as.shape.value[i] = (double)model->meta.shape[i];
    }
    LODE_FORWARD(lode_i_sense_sizes_of(ctx, &as, A, &s));
    if (s.n1 != model->meta.shape[0] || s.n2 != model->meta.shape[1])
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "sense: A measures a matrix of %" PRId64 " x %" PRId64
                           ", the model is %" PRId64 " x %" PRId64,
                           s.n1, s.n2, model->meta.shape[0], model->meta.shape[1]);
    s.dtype = lode_i_arith(dtype);
    const bool fits = 4 * lode_i_bytes(s.dtype, s.m, s.n1 * s.n2) <= lode_i_memory_left(ctx);
    return lode_i_sense_open(ctx, A, &s, NULL, fits, map);
}

/* The model's factors in the type and unit of a map: U diag(s) / unit and V. */
static lode_status point_of(lode_ctx *ctx, const lode_i_kruskal *m, lode_dtype dtype, double unit,
                            lode_i_sense_point *p)
{
    lode_status st = LODE_OK;
    lode_array s = { 0 };
    LODE_TRY(lode_array_cast(ctx, &m->scale, LODE_F64, &s));
    LODE_TRY(lode_i_scale(ctx, 1 / unit, &s));
    LODE_TRY(lode_array_cast(ctx, &m->factor[0], LODE_F64, &p->F));
    LODE_TRY(lode_i_scale_cols(ctx, &p->F, &s));
    LODE_FREE(&s);
    LODE_TRY(lode_array_cast(ctx, &p->F, dtype, &s));
    lode_array_swap(&p->F, &s);
    LODE_TRY(lode_array_cast(ctx, &m->factor[1], dtype, &p->G));
done:
    LODE_FREE(&s);
    return st;
}

/* <A_i, M> of other measurements. */
lode_status lode_i_sense_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                               lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_sense_opts o;
    lode_i_sense_map map = { 0 };
    lode_i_sense_data d = { 0 };
    lode_i_sense_point p = { 0 };
    lode_array zero = { 0 }, y = { 0 };
    LODE_TRY(lode_i_kruskal_read(ctx, "sense", model, &m));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_sense, model, &o));
    LODE_TRY(open_as(ctx, model, x, &o, &map));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &map.size.m, &zero));
    LODE_TRY(lode_i_sense_data_of(ctx, &zero, map.size.dtype, NULL, LODE_SENSE_L2, &d));
    const double unit = fmax(lode_i_get1(&m.scale, 0), 1e-300);
    LODE_TRY(point_of(ctx, &m, map.size.dtype, unit, &p));
    LODE_TRY(lode_i_sense_look(ctx, &map, &d, &p));
    LODE_TRY(lode_i_scale(ctx, unit, &p.r));
    LODE_TRY(lode_i_scale(ctx, map.scale, &p.r));
    LODE_TRY(lode_array_reshape(ctx, &p.r, 1, &map.size.m, &y));
    LODE_TRY(lode_bundle_add_array(ctx, result, "y", &y));
done:
    lode_i_sense_close(&map);
    lode_i_sense_data_free(&d);
    lode_i_sense_point_free(&p);
    LODE_FREE(&zero, &y);
    return st;
}

static lode_status same(lode_ctx *ctx, const char *what, double found, double said, double slack)
{
    if (fabs(found - said) <= 1e-3 * said + slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY, "sense: the %s is %.9g, the model says %.9g", what, found,
                       said);
}

/* Traces begin with 1, the error of nothing, and the last of each is that of the result. */
static lode_status check_trace(lode_ctx *ctx, const lode_bundle *model, const char *name,
                               double *last)
{
    const lode_array *t;
    LODE_FORWARD(lode_bundle_array(ctx, model, name, &t));
    if (t->ndim != 1 || t->shape[0] < 1)
        return lode_i_fail(ctx, LODE_EFORMAT, "sense: %s of this model is empty", name);
    const double first = lode_i_get1(t, 0);
    *last = lode_i_get1(t, t->shape[0] - 1);
    if (fabs(first - 1) > 1e-12 && fabs(first) > 0)
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "sense: %s begins with %.9g, not with 1, the error of nothing", name,
                           first);
    return LODE_OK;
}

static lode_status check_norm(lode_ctx *ctx, const lode_bundle *model, const lode_i_kruskal *m)
{
    double said = 0, norm = 0;
    LODE_FORWARD(lode_i_kruskal_check(ctx, "sense", m));
    LODE_FORWARD(lode_bundle_f64(ctx, model, "norm", &said));
    LODE_FORWARD(lode_i_kruskal_norm(ctx, m, &norm));
    if (fabs(norm - said) <= 1e3 * lode_i_epsilon(m->scale.dtype) * (norm + said))
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY,
                       "sense: what the factors stand for has norm %.9g, the model says %.9g", norm,
                       said);
}

/* Residuals again, of what was fitted and what was kept back. */
static lode_status measure_again(lode_ctx *ctx, const lode_bundle *model, const lode_i_kruskal *m,
                                 lode_value A, const lode_sense_opts *o, const double *last,
                                 lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_sense_map map = { 0 };
    lode_i_sense_data d = { 0 };
    lode_i_sense_point p = { 0 };
    lode_i_sense_score s;
    const lode_array *y;
    const lode_value held = lode_bundle_get(model, "held");
    LODE_TRY(lode_bundle_array(ctx, model, "y", &y));
    LODE_TRY(open_as(ctx, model, A, o, &map));
    LODE_REQUIRE(y->ndim == 1 && y->shape[0] == map.size.m, LODE_ESHAPE,
                 "sense: A has %" PRId64 " measurements, the model %" PRId64, map.size.m,
                 y->ndim == 1 ? y->shape[0] : 0);
    LODE_TRY(lode_i_sense_data_of(ctx, y, map.size.dtype,
                                  held.kind == LODE_ARRAY ? held.as.array : NULL, o->loss, &d));
    const double unit = d.scale > 0 ? d.scale / map.scale : 1;
    LODE_TRY(point_of(ctx, m, map.size.dtype, unit, &p));
    LODE_TRY(lode_i_sense_look(ctx, &map, &d, &p));
    const int part = d.at[1].shape[0] > 0;
    const double slack = 256 * lode_i_epsilon(map.size.dtype) * sqrt((double)m->k + 4);
    LODE_TRY(same(ctx, "relative loss", p.fitted, last[0], slack));
    if (part)
        LODE_TRY(same(ctx, "relative loss over measurements kept back", p.held, last[1], slack));
    LODE_TRY(lode_i_sense_judge(ctx, &d, &p.r, part, &s));
    LODE_TRY(same(ctx, "certified error", s.value, model->certificate.value, slack));
    found->value = s.value, found->absolute = s.absolute, found->low = s.low, found->high = s.high;
done:
    lode_i_sense_close(&map);
    lode_i_sense_data_free(&d);
    lode_i_sense_point_free(&p);
    return st;
}

lode_status lode_i_sense_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                lode_certificate *found)
{
    lode_i_kruskal m;
    lode_sense_opts o;
    double last[2] = { 0 };
    LODE_FORWARD(lode_i_kruskal_read(ctx, "sense", model, &m));
    LODE_FORWARD(check_norm(ctx, model, &m));
    LODE_FORWARD(check_trace(ctx, model, "trace", &last[0]));
    if (lode_bundle_get(model, "held_trace").kind == LODE_ARRAY)
        LODE_FORWARD(check_trace(ctx, model, "held_trace", &last[1]));
    LODE_FORWARD(lode_i_options_of(ctx, &lode_op_sense, model, &o));
    *found = model->certificate;
    const lode_value form = lode_bundle_get(model, "form");
    const bool pairs = form.kind == LODE_TEXT && strcmp(form.as.text, "pairs") == 0;
    if (original.kind == LODE_NONE || pairs) {
        snprintf(
            found->note, sizeof found->note,
            pairs ? "structure checked; measurements x' M z take two arrays, which verify has no "
                    "room for"
                  : "structure checked; give A to measure the residual again");
        return LODE_OK;
    }
    return measure_again(ctx, model, &m, original, &o, last, found);
}

lode_status lode_i_sense_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_panel *p = NULL;
    lode_array M = { 0 };
    char caption[256], name[160];
    const lode_value held = lode_bundle_get(model, "held_trace");
    const lode_array *trace;
    (void)original;
    LODE_TRY(lode_i_kruskal_read(ctx, "sense", model, &m));
    LODE_TRY(lode_bundle_array(ctx, model, "trace", &trace));
    snprintf(name, sizeof name, "Matrix of %" PRId64 " x %" PRId64 " from its measurements",
             model->meta.shape[0], model->meta.shape[1]);
    lode_certificate_print(&model->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, figure, name, caption));
    LODE_TRY(lode_i_panel(ctx, figure, "convergence", "iteration", "relative loss", &p));
    lode_i_panel_log(p, true, true); /* a power of the iterations is a straight line */
    LODE_TRY(lode_i_panel_line(ctx, p, "fitted", NULL, trace));
    if (held.kind == LODE_ARRAY)
        LODE_TRY(lode_i_panel_line(ctx, p, "kept back", NULL, held.as.array));
    LODE_TRY(lode_i_panel(ctx, figure, "singular values", "index", "singular value", &p));
    lode_i_panel_log(p, false, lode_i_get1(&m.scale, 0) > 0);
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, &m.scale));
    if (model->meta.shape[0] * model->meta.shape[1] <= 1 << 22) {
        LODE_TRY(lode_i_kruskal_expand(ctx, &m, NULL, NULL, &M));
        LODE_TRY(lode_i_panel(ctx, figure, "matrix", "column", "row", &p));
        LODE_TRY(lode_i_panel_image(ctx, p, &M, 0, 0, true));
    }
done:
    LODE_FREE(&M);
    return st;
}
