/* Verbs of tn on what it fitted, and its members. */
#include <math.h>

#include "ops/tensor/tn.h"

/* ---- members: axis j of core k is its edge to node j, axis k its mode ---- */

/* Axes of a kept core in the order of a network's own (edges, then the mode), or back. */
static void order_axes(int nodes, int k, bool own, int *axes)
{
    for (int a = 0; a < nodes; a++)
        if (own)
            axes[a] = a == nodes - 1 ? k : a < k ? a : a + 1;
        else
            axes[a] = a == k ? nodes - 1 : a < k ? a : a - 1;
}

lode_status lode_i_tn_give(lode_ctx *ctx, const lode_i_net *net, lode_dtype dtype, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array core[LODE_I_NET_NODES] = { { 0 } }, moved = { 0 }, ranks = { 0 };
    int axes[LODE_I_NET_NODES];
    for (int k = 0; k < net->nodes; k++) {
        order_axes(net->nodes, k, false, axes);
        LODE_TRY(lode_array_permute(ctx, &net->core[k], axes, &moved));
        LODE_TRY(lode_array_cast(ctx, &moved, dtype, &core[k]));
        LODE_FREE(&moved);
    }
    LODE_TRY(lode_i_matrix_new(ctx, LODE_I64, net->nodes, net->nodes, &ranks));
    for (int i = 0; i < net->nodes; i++)
        for (int j = 0; j < net->nodes; j++)
            lode_i_set2(&ranks, i, j, (double)net->rank[i][j]);
    LODE_TRY(lode_i_add_numbered(ctx, "core", core, net->nodes, b));
    LODE_TRY(lode_bundle_add_array(ctx, b, "ranks", &ranks));
done:
    for (int k = 0; k < LODE_I_NET_NODES; k++)
        LODE_FREE(&core[k]);
    LODE_FREE(&moved, &ranks);
    return st;
}

lode_status lode_i_tn_read(lode_ctx *ctx, const lode_bundle *b, lode_i_net *net)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 };
    lode_i_net y = { 0 };
    const lode_array *ranks;
    const lode_meta *m = &b->meta;
    LODE_TRY(lode_bundle_array(ctx, b, "ranks", &ranks));
    LODE_REQUIRE(m->has_shape && m->ndim >= 2 && m->ndim <= LODE_I_NET_MODES && ranks->ndim == 2 &&
                     ranks->dtype == LODE_I64 && ranks->shape[0] == ranks->shape[1] &&
                     ranks->shape[0] >= m->ndim && ranks->shape[0] <= LODE_I_NET_NODES,
                 LODE_EFORMAT, "tn: ranks of this model do not fit its shape");
    y = lode_i_net_new(m->ndim, (int)ranks->shape[0], m->shape);
    for (int i = 0; i < y.nodes; i++)
        for (int j = 0; j < y.nodes; j++) {
            const double r = lode_i_get2(ranks, i, j);
            LODE_REQUIRE(r >= 1 && r <= 0x1p53 && !(r < lode_i_get2(ranks, j, i)) &&
                             (i != j || (int64_t)r == (i < m->ndim ? m->shape[i] : 1)),
                         LODE_EFORMAT, "tn: ranks[%d,%d] of this model is %g", i, j, r);
            y.rank[i][j] = (int64_t)r;
        }
    for (int k = 0; k < y.nodes; k++) {
        char name[24];
        int axes[LODE_I_NET_NODES];
        const lode_array *core;
        snprintf(name, sizeof name, "core.%d", k);
        LODE_TRY(lode_bundle_array(ctx, b, name, &core));
        bool fits = core->ndim == y.nodes && core->dtype == m->dtype &&
                    (core->dtype == LODE_F32 || core->dtype == LODE_F64);
        for (int a = 0; fits && a < y.nodes; a++)
            fits = core->shape[a] == y.rank[k][a];
        LODE_REQUIRE(fits, LODE_EFORMAT, "tn: %s of this model does not fit its ranks", name);
        order_axes(y.nodes, k, true, axes);
        LODE_TRY(lode_array_permute(ctx, core, axes, &moved));
        LODE_TRY(lode_array_cast(ctx, &moved, LODE_F64, &y.core[k]));
        LODE_FREE(&moved);
    }
    lode_i_net_swap(net, &y);
done:
    LODE_FREE(&moved);
    lode_i_net_free(&y);
    return st;
}

lode_status lode_i_tn_invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                             const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_net net = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    LODE_REQUIRE(codes.kind == LODE_NONE, LODE_EUSAGE, "tn: a network takes no codes");
    LODE_TRY(lode_i_tn_read(ctx, fitted, &net));
    LODE_TRY(lode_i_part_resolve(ctx, part, fitted->meta.ndim, fitted->meta.shape, start, count));
    LODE_TRY(lode_i_net_expand(ctx, &net, start, count, fitted->meta.dtype, out));
done:
    lode_i_net_free(&net);
    return st;
}

/* ---- verify ---- */

/* Lengths of cores, the norm of all, the curve's ends, the trace's ends. */
static lode_status check_form(lode_ctx *ctx, const lode_bundle *b, const lode_i_net *net)
{
    lode_status st = LODE_OK;
    const lode_array *trace, *curve;
    double said, norm;
    const double eps = lode_i_epsilon(b->meta.dtype), value = b->certificate.value,
                 slack = 1e-3 * value + 100 * eps;
    LODE_TRY(lode_bundle_array(ctx, b, "trace", &trace));
    LODE_TRY(lode_bundle_array(ctx, b, "curve", &curve));
    LODE_TRY(lode_bundle_f64(ctx, b, "norm", &said));
    LODE_REQUIRE(trace->ndim == 1 && trace->shape[0] > 1 && curve->ndim == 2 &&
                     curve->shape[0] > 0 && curve->shape[1] == 3,
                 LODE_EFORMAT, "tn: trace and curve of this model are not what a fit gives");
    for (int k = 1; k < net->nodes; k++) {
        LODE_TRY(lode_i_norm_fro(ctx, &net->core[k], &norm));
        LODE_REQUIRE(fabs(norm - 1) <= 1e3 * eps || !(norm > 0), LODE_EVERIFY,
                     "tn: core.%d has length %.9g, not 1", k, norm);
    }
    LODE_TRY(lode_i_net_norm(ctx, net, &norm));
    LODE_REQUIRE(fabs(norm - said) <= 1e-7 * (norm + said), LODE_EVERIFY,
                 "tn: the network has norm %.9g, the model says %.9g", norm, said);
    const int64_t last = curve->shape[0] - 1, end = trace->shape[0] - 1;
    const double held = lode_i_get2(curve, last, 0), params = lode_i_net_params(net);
    LODE_REQUIRE(fabs(held - params) < 0.5, LODE_EVERIFY,
                 "tn: the curve ends at %.9g parameters, the network has %.9g", held, params);
    LODE_REQUIRE(fabs(lode_i_get2(curve, last, 1) - value) <= slack &&
                     fabs(lode_i_get1(trace, end) - value) <= slack,
                 LODE_EVERIFY,
                 "tn: the curve ends at %.9g, the trace at %.9g, the certificate says %.9g",
                 lode_i_get2(curve, last, 1), lode_i_get1(trace, end), value);
    LODE_REQUIRE(fabs(lode_i_get1(trace, 0) - 1) <= 1e-12, LODE_EVERIFY,
                 "tn: the trace begins with %.9g, not with 1, the error of nothing",
                 lode_i_get1(trace, 0));
done:
    return st;
}

/* Of a search that began with nothing, the first structure has no edge. */
static lode_status check_first(lode_ctx *ctx, const lode_bundle *b, const lode_tn_opts *o)
{
    const lode_array *curve, *edges;
    double rows = 0;
    LODE_FORWARD(lode_bundle_array(ctx, b, "curve", &curve));
    LODE_FORWARD(lode_bundle_array(ctx, b, "edges", &edges));
    for (int m = 0; m < b->meta.ndim; m++)
        rows += (double)b->meta.shape[m];
    const double first = lode_i_get2(curve, 0, 0);
    if (first < rows || floor(first) < first ||
        (o->structure == LODE_TN_GREEDY && !b->meta.made && first > rows))
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "tn: the curve begins with %.9g parameters, rank 1 has %.0f", first,
                           rows);
    return LODE_OK;
}

lode_status lode_i_tn_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                             lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_net net = { 0 };
    tn_data d = { 0 };
    lode_tn_opts o;
    int64_t count;
    double left;
    const lode_certificate *c = &fitted->certificate;
    LODE_TRY(lode_i_tn_read(ctx, fitted, &net));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_tn, fitted, &o));
    LODE_TRY(check_form(ctx, fitted, &net));
    LODE_TRY(check_first(ctx, fitted, &o));
    *found = *c;
    if (original.kind == LODE_NONE)
        goto done;
    o.mask = o.graph = NULL;
    o.holdout = 0;
    LODE_TRY(lode_bundle_i64(ctx, fitted, "observed", &count));
    LODE_TRY(lode_i_tn_open(ctx, &o, original, &d));
    LODE_REQUIRE(d.ndim == net.modes, LODE_ESHAPE, "tn: the original has %d modes, the model %d",
                 d.ndim, net.modes);
    for (int m = 0; m < d.ndim; m++)
        LODE_REQUIRE(d.shape[m] == fitted->meta.shape[m], LODE_ESHAPE,
                     "tn: mode %d of the original has %" PRId64 " places, of the model %" PRId64, m,
                     d.shape[m], fitted->meta.shape[m]);
    if (d.count != count) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; the error is over what a mask or holdout left, not kept");
        goto done;
    }
    LODE_TRY(lode_i_scale(ctx, 1 / d.unit, &net.core[0]));
    LODE_TRY(lode_i_tn_residual(ctx, &d, &net, &left, NULL));
    LODE_TRY(lode_i_squares_verify(ctx, &lode_op_tn, c, sqrt(left) * d.unit, sqrt(d.sumsq) * d.unit,
                                   100 * lode_i_epsilon(d.dtype), found));
done:
    lode_i_net_free(&net);
    lode_i_tn_close(&d);
    return st;
}

/* ---- plot ---- */

/* Nodes on a circle, those without a mode on a smaller one. */
static void place(const lode_i_net *net, int k, double *x, double *y)
{
    const bool inner = k >= net->modes;
    const int of = inner ? net->nodes - net->modes : net->modes, at = inner ? k - net->modes : k;
    const double radius = !inner   ? 1
                          : of > 1 ? 0.4
                                   : 0,
                 turn = 2 * acos(-1) * ((double)at + (inner ? 0.5 : 0)) / (double)of;
    *x = radius * sin(turn), *y = radius * cos(turn);
}

/* One edge: as many strokes beside each other as its rank, at most so many. */
enum { STROKES = 8 };

static lode_status draw_edge(lode_ctx *ctx, const lode_i_net *net, int i, int j, lode_panel *p)
{
    lode_status st = LODE_OK;
    lode_array at[2] = { { 0 } };
    double x[2], y[2];
    char label[48];
    place(net, i, &x[0], &y[0]);
    place(net, j, &x[1], &y[1]);
    const int64_t strokes = lode_i_min(net->rank[i][j], STROKES);
    const double length = hypot(x[1] - x[0], y[1] - y[0]);
    snprintf(label, sizeof label, "%d - %d: rank %" PRId64, i, j, net->rank[i][j]);
    /* there and back, each time a little further to the side: one line of that width */
    for (int a = 0; a < 2; a++) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2 * strokes, &at[a]));
        for (int64_t s = 0; s < 2 * strokes; s++) {
            const double off = 0.012 * ((double)(s / 2) - (double)(strokes - 1) / 2);
            const int end = (int)((s + 1) / 2 % 2);
            lode_i_set1(&at[a], s,
                        a == 0 ? x[end] + off * (y[1] - y[0]) / length
                               : y[end] - off * (x[1] - x[0]) / length);
        }
    }
    LODE_TRY(lode_i_panel_line(ctx, p, label, &at[0], &at[1]));
done:
    LODE_FREE(&at[0], &at[1]);
    return st;
}

static lode_status draw_nodes(lode_ctx *ctx, const lode_i_net *net, bool inner, lode_panel *p)
{
    lode_status st = LODE_OK;
    lode_array at[2] = { { 0 } };
    const int from = inner ? net->modes : 0, to = inner ? net->nodes : net->modes;
    if (from == to)
        return LODE_OK;
    for (int a = 0; a < 2; a++) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, to - from, &at[a]));
        for (int k = from; k < to; k++) {
            double xy[2];
            place(net, k, &xy[0], &xy[1]);
            lode_i_set1(&at[a], k - from, xy[a]);
        }
    }
    LODE_TRY(lode_i_panel_points(ctx, p, inner ? "no mode" : "mode 0 on top, then to the right",
                                 &at[0], &at[1], NULL));
done:
    LODE_FREE(&at[0], &at[1]);
    return st;
}

static lode_status draw_curve(lode_ctx *ctx, const lode_array *curve, lode_figure *f)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    const lode_array params = lode_i_column(curve, 0), fitted = lode_i_column(curve, 1),
                     kept = lode_i_column(curve, 2);
    lode_stats s;
    LODE_TRY(lode_i_panel(ctx, f, "what parameters buy", "parameters", "relative error", &p));
    lode_i_panel_log(p, true, true);
    LODE_TRY(lode_i_panel_line(ctx, p, "fitted", &params, &fitted));
    LODE_TRY(lode_i_stats(ctx, &kept, &s));
    if (s.count > 0)
        LODE_TRY(lode_i_panel_line(ctx, p, "kept back", &params, &kept));
done:
    return st;
}

lode_status lode_i_tn_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                           lode_figure *f)
{
    lode_status st = LODE_OK;
    lode_i_net net = { 0 };
    lode_panel *p = NULL;
    char title[160], caption[256], shape[64];
    const lode_array *curve, *trace;
    (void)original;
    LODE_TRY(lode_i_tn_read(ctx, fitted, &net));
    LODE_TRY(lode_bundle_array(ctx, fitted, "curve", &curve));
    LODE_TRY(lode_bundle_array(ctx, fitted, "trace", &trace));
    LODE_REQUIRE(curve->ndim == 2 && curve->shape[1] == 3 && trace->ndim == 1, LODE_EFORMAT,
                 "tn: trace and curve of this model are not what a fit gives");
    lode_i_print_shape(net.modes, fitted->meta.shape, shape, sizeof shape);
    snprintf(title, sizeof title, "Tensor network of %s, %d nodes, %.0f values", shape, net.nodes,
             lode_i_net_params(&net));
    lode_certificate_print(&fitted->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, f, title, caption));
    LODE_TRY(lode_i_panel(ctx, f, "network", "", "", &p));
    for (int i = 0; i < net.nodes; i++)
        for (int j = i + 1; j < net.nodes; j++)
            if (net.rank[i][j] > 1)
                LODE_TRY(draw_edge(ctx, &net, i, j, p));
    LODE_TRY(draw_nodes(ctx, &net, false, p));
    LODE_TRY(draw_nodes(ctx, &net, true, p));
    LODE_TRY(draw_curve(ctx, curve, f));
    LODE_TRY(lode_i_panel(ctx, f, "convergence", "sweep", "relative error", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, trace));
done:
    lode_i_net_free(&net);
    return st;
}
