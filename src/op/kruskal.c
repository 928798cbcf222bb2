/* Verbs of models that are sums of outer products. */
#include "linop/kruskal.h"

#include <math.h>

#include "op/op.h"

lode_status lode_i_kruskal_invert(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                  lode_value codes, const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_array rows = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_kruskal_read(ctx, op->name, model, &m));
    if (codes.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, codes, m.scale.dtype, &rows));
        LODE_REQUIRE(rows.ndim == 2 && rows.shape[1] == m.k, LODE_ESHAPE,
                     "%s: codes must have %" PRId64 " columns", op->name, m.k);
        m.factor[0] = rows;
    }
    for (int i = 0; i < m.ndim; i++)
        shape[i] = m.factor[i].shape[0];
    LODE_TRY(lode_i_part_resolve(ctx, part, m.ndim, shape, start, count));
    LODE_TRY(lode_i_kruskal_expand(ctx, &m, start, count, out));
done:
    LODE_FREE(&rows);
    return st;
}

static lode_status expand(lode_ctx *ctx, const void *model, const lode_question *q, bool sums,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    const lode_i_kruskal *m = model;
    lode_i_kruskal some = { .ndim = m->ndim, .k = m->k, .scale = m->scale };
    for (int i = 0; i < m->ndim; i++)
        LODE_TRY(lode_i_question_rows(ctx, &m->factor[i], q, i, sums, &some.factor[i]));
    LODE_TRY(lode_i_kruskal_expand(ctx, &some, NULL, NULL, out));
done:
    for (int i = 0; i < m->ndim; i++)
        LODE_FREE(&some.factor[i]);
    return st;
}

lode_status lode_i_kruskal_query(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                 const lode_question *q, lode_answer *a)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_bundle loaded = { 0 };
    lode_array held = { 0 };
    double norm = 0;
    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_kruskal_read(ctx, op->name, &loaded, &m));
    LODE_TRY(lode_i_kruskal_norm(ctx, &m, &norm));
    LODE_TRY(lode_i_vector_new(ctx, m.scale.dtype, 1, &held));
    lode_i_set1(&held, 0, norm);
    lode_i_expansion e = { .model = &m, .expand = expand, .held = &held };
    e.bytes = e.all_bytes = lode_array_bytes(&m.scale);
    for (int i = 0; i < m.ndim; i++) {
        const uint64_t row = lode_i_bytes(m.scale.dtype, m.k, 1);
        e.bytes += row * (uint64_t)q->count[i];
        e.all_bytes += row * (uint64_t)m.factor[i].shape[0];
    }
    LODE_TRY(lode_i_answer_by_expanding(ctx, op, &loaded, &e, q, a));
done:
    LODE_FREE(&loaded, &held);
    return st;
}

lode_status lode_i_kruskal_plot(lode_ctx *ctx, const lode_op *op, const lode_bundle *model,
                                const char *title, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { 0 };
    lode_panel *p = NULL;
    char caption[256], name[160], shape[64];
    const lode_value trace = lode_bundle_get(model, "trace");
    LODE_TRY(lode_i_kruskal_read(ctx, op->name, model, &m));
    lode_i_print_shape(m.ndim, model->meta.shape, shape, sizeof shape);
    snprintf(name, sizeof name, "%s of %s, rank %" PRId64, title, shape, m.k);
    lode_certificate_print(&model->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, figure, name, caption));
    LODE_TRY(lode_i_panel(ctx, figure, "weights", "component", "weight", &p));
    LODE_TRY(lode_i_panel_bars(ctx, p, NULL, &m.scale));
    if (trace.kind == LODE_ARRAY) {
        LODE_TRY(lode_i_panel(ctx, figure, "convergence", "iteration", "relative error", &p));
        lode_i_panel_log(p, false, true);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, trace.as.array));
    }
    for (int i = 0; i < m.ndim; i++) {
        snprintf(name, sizeof name, "axis %d", i);
        LODE_TRY(lode_i_panel(ctx, figure, name, "index", "entry of unit column", &p));
        LODE_TRY(lode_i_plot_components(ctx, p, &m.factor[i]));
    }
done:
    return st;
}

lode_status lode_i_kruskal_verify(lode_ctx *ctx, const lode_op *op, const lode_bundle *model)
{
    lode_i_kruskal m = { 0 };
    const lode_value trace = lode_bundle_get(model, "trace");
    LODE_FORWARD(lode_i_kruskal_read(ctx, op->name, model, &m));
    LODE_FORWARD(lode_i_kruskal_check(ctx, op->name, &m));
    if (lode_bundle_get(model, "norm").kind == LODE_SCALAR) {
        double norm = 0, held = 0;
        LODE_FORWARD(lode_bundle_f64(ctx, model, "norm", &held));
        LODE_FORWARD(lode_i_kruskal_norm(ctx, &m, &norm));
        if (!(fabs(norm - held) <= 1e3 * lode_i_epsilon(m.scale.dtype) * (norm + held)))
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "%s: what the factors stand for has norm %.9g, the model says %.9g",
                               op->name, norm, held);
    }
    if (trace.kind != LODE_ARRAY)
        return LODE_OK;
    const lode_array *t = trace.as.array;
    const double said = model->certificate.value;
    if (t->ndim != 1 || t->shape[0] < 1)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: the trace of this model is empty", op->name);
    const double first = lode_i_get1(t, 0), last = lode_i_get1(t, t->shape[0] - 1);
    if (fabs(first - 1) > 1e-12)
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "%s: the trace begins with %.9g, not with 1, the error of nothing",
                           op->name, first);
    const double slack = 1e-3 * said + 100 * lode_i_epsilon(m.scale.dtype);
    if (!(fabs(last - said) <= slack))
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "%s: the trace ends at %.9g, the certificate says %.9g", op->name, last,
                           said);
    return LODE_OK;
}
