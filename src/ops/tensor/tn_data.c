/* Data of tn: whole, or f64 with NaN where a value is missing or kept back; structures by name. */
#include <math.h>

#include "ops/tensor/tn.h"

void lode_i_tn_close(tn_data *d)
{
    LODE_FREE(&d->X, &d->held);
    *d = (tn_data){ 0 };
}

bool lode_i_tn_partial(const lode_tn_opts *o)
{
    return o->mask || o->holdout > 0 || o->missing.kind == LODE_MISSING_VALUE;
}

/* ---- opening ---- */

/* Values far from 1 are divided by the largest. */
static lode_status rescale(lode_ctx *ctx, double maxabs, tn_data *d, lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array scaled = { 0 };
    const double far = d->dtype == LODE_F32 ? 1e12 : 1e100;
    if (maxabs > far || (maxabs > 0 && maxabs < 1 / far)) {
        d->unit = maxabs;
        LODE_TRY(lode_array_cast(ctx, x, x->dtype, &scaled));
        LODE_TRY(lode_i_scale(ctx, 1 / d->unit, &scaled));
        lode_array_swap(x, &scaled);
    }
done:
    LODE_FREE(&scaled);
    return st;
}

/* Missing values are left to the caller: LODE_EDOMAIN, nothing held. */
static lode_status open_whole(lode_ctx *ctx, lode_value X, tn_data *d, bool *gaps)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 };
    lode_stats s;
    LODE_TRY(lode_i_as_array(ctx, X, d->dtype, &x));
    LODE_TRY(lode_i_stats(ctx, &x, &s));
    *gaps = s.missing > 0;
    if (s.missing > 0 || s.infinite > 0)
        LODE_TRY(lode_i_require_finite(ctx, &x, "X"));
    LODE_TRY(rescale(ctx, s.maxabs, d, &x));
    double norm = sqrt(s.sumsq);
    if (d->unit < 1 || d->unit > 1)
        LODE_TRY(lode_i_norm_fro(ctx, &x, &norm));
    d->sumsq = norm * norm, d->count = lode_array_size(&x);
    lode_array_swap(&d->X, &x);
done:
    LODE_FREE(&x);
    return st;
}

/* The entries at their places, NaN elsewhere. */
static lode_status spread(lode_ctx *ctx, const tn_data *d, const lode_i_observed *x,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 }, flat = { 0 };
    int64_t size = 1;
    for (int m = 0; m < d->ndim; m++)
        size *= d->shape[m];
    LODE_TRY(lode_array_new(ctx, LODE_F64, d->ndim, d->shape, &whole));
    LODE_TRY(lode_i_fill(ctx, &whole, (double)NAN));
    LODE_TRY(lode_array_reshape(ctx, &whole, 1, &size, &flat)); /* contiguous: a view */
    for (int64_t e = 0; e < x->count; e++) {
        int64_t index[LODE_MAX_NDIM], at = 0;
        lode_i_observed_index(x, e, index);
        for (int m = 0; m < d->ndim; m++)
            at = at * d->shape[m] + index[m];
        lode_i_set1(&flat, at, lode_i_get1(&x->mode[0].value, e));
    }
    lode_array_swap(out, &whole);
done:
    LODE_FREE(&whole, &flat);
    return st;
}

static lode_status open_some(lode_ctx *ctx, const lode_tn_opts *o, lode_value X, tn_data *d)
{
    lode_status st = LODE_OK;
    lode_i_observed all = { 0 }, kept = { 0 }, held = { 0 };
    lode_stats s;
    LODE_TRY(lode_i_observed_from(ctx, X, &o->missing, o->mask, NULL, LODE_F64, &all));
    LODE_TRY(lode_i_observed_require(ctx, &all, "X"));
    if (o->holdout > 0) {
        LODE_TRY(lode_i_observed_split(ctx, &all, o->holdout, lode_i_stream(ctx, "tn", 900), &kept,
                                       &held));
        lode_i_observed_free(&all);
        all = kept, kept = (lode_i_observed){ 0 };
        LODE_TRY(spread(ctx, d, &held, &d->held));
    }
    d->count = all.count;
    LODE_TRY(spread(ctx, d, &all, &d->X));
    LODE_TRY(lode_i_stats(ctx, &d->X, &s));
    LODE_TRY(rescale(ctx, s.maxabs, d, &d->X));
    if (d->held.data && (d->unit < 1 || d->unit > 1))
        LODE_TRY(lode_i_scale(ctx, 1 / d->unit, &d->held));
    LODE_TRY(lode_i_stats(ctx, &d->X, &s));
    d->sumsq = s.sumsq;
    if (d->held.data) {
        LODE_TRY(lode_i_stats(ctx, &d->held, &s));
        d->held_sumsq = s.sumsq;
    }
done:
    lode_i_observed_free(&all);
    lode_i_observed_free(&kept);
    lode_i_observed_free(&held);
    return st;
}

lode_status lode_i_tn_open(lode_ctx *ctx, const lode_tn_opts *o, lode_value X, tn_data *d)
{
    lode_status st = LODE_OK;
    tn_data x = { .some = lode_i_tn_partial(o), .unit = 1 };
    bool gaps = false;
    lode_dtype stored;
    lode_i_value_shape(X, &stored, &x.ndim, x.shape);
    LODE_TRY(lode_i_check_tensor(ctx, "tn", x.ndim, x.shape, LODE_I_NET_MODES));
    LODE_TRY(lode_i_refuse_infinities(ctx, "tn", &o->missing, "core"));
    x.dtype = lode_i_arith(stored);
    if (!x.some) {
        const lode_status opened = open_whole(ctx, X, &x, &gaps);
        if (opened == LODE_EDOMAIN && gaps && o->missing.kind == LODE_MISSING_NAN)
            x.some = true;
        else
            LODE_TRY(opened);
    }
    if (x.some)
        LODE_TRY(open_some(ctx, o, X, &x));
    lode_i_tn_close(d);
    *d = x, x = (tn_data){ 0 };
done:
    lode_i_tn_close(&x);
    return st;
}

/* ---- what is left ---- */

enum { SLAB = 1 << 19 };

lode_status lode_i_tn_residual(lode_ctx *ctx, const tn_data *d, const lode_i_net *net, double *left,
                               double *held)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, made = { 0 };
    lode_diff_run run[2] = { { .seen = 0 }, { .seen = 0 } };
    const lode_array *with[2] = { &d->X, &d->held };
    const int parts = held && d->held.data ? 2 : 1;
    int64_t start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM];
    const int64_t row = lode_array_size(&d->X) / d->shape[0], step = lode_i_max(1, SLAB / row);
    for (int m = 0; m < d->ndim; m++)
        count[m] = d->shape[m];
    for (int64_t r = 0; r < d->shape[0]; r += step) {
        start[0] = r, count[0] = lode_i_min(step, d->shape[0] - r);
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(lode_i_net_expand(ctx, net, start, count, d->X.dtype, &made));
        for (int p = 0; p < parts; p++) {
            LODE_TRY(lode_array_slice(ctx, with[p], 0, r, r + count[0], 1, &part));
            LODE_TRY(lode_i_diff_push(ctx, &run[p], &part, &made));
            LODE_FREE(&part);
        }
        LODE_FREE(&made);
    }
    *left = lode_i_diff_result(&run[0]).sumsq;
    if (held)
        *held = parts == 2 ? lode_i_diff_result(&run[1]).sumsq : (double)NAN;
done:
    LODE_FREE(&part, &made);
    return st;
}

/* ---- structures ---- */

/* No edge needs a rank above the number of the other values of either core. */
static double useful(const lode_i_net *net, int i, int j)
{
    const double r = (double)net->rank[i][j];
    return fmin(lode_i_net_edges(net, i) / r * (double)net->rank[i][i],
                lode_i_net_edges(net, j) / r * (double)net->rank[j][j]);
}

static lode_status check_edges(lode_ctx *ctx, lode_i_net *net, bool clamp)
{
    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < net->nodes; i++)
            for (int j = i + 1; j < net->nodes; j++) {
                const double most = useful(net, i, j);
                if ((double)net->rank[i][j] <= most)
                    continue;
                if (!clamp)
                    return lode_i_fail(ctx, LODE_ESHAPE,
                                       "tn: the edge between nodes %d and %d has rank %" PRId64
                                       "; the other axes of one of them have %.0f values together, "
                                       "no more serves",
                                       i, j, net->rank[i][j], most);
                lode_i_net_connect(net, i, j, (int64_t)most);
                again = true;
            }
    }
    return LODE_OK;
}

static lode_status read_graph(lode_ctx *ctx, const lode_tn_opts *o, int ndim, const int64_t *shape,
                              lode_i_net *net)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    const lode_array *g = o->graph;
    LODE_REQUIRE(g->ndim == 2 && g->shape[0] == g->shape[1] && g->shape[0] >= ndim &&
                     g->shape[0] <= LODE_I_NET_NODES && !lode_i_is_complex(g->dtype),
                 LODE_ESHAPE,
                 "tn: option graph must be a real nodes x nodes matrix of ranks, of %d to %d nodes",
                 ndim, LODE_I_NET_NODES);
    *net = lode_i_net_new(ndim, (int)g->shape[0], shape);
    LODE_TRY(lode_array_cast(ctx, g, LODE_F64, &wide));
    for (int i = 0; i < net->nodes; i++)
        for (int j = i + 1; j < net->nodes; j++) {
            const double r = lode_i_get2(&wide, i, j), other = lode_i_get2(&wide, j, i);
            LODE_REQUIRE(r >= 0 && r <= 1e9 && r >= other && r <= other && floor(r) >= r,
                         LODE_EPARAM,
                         "tn: option graph has %g at [%d,%d] and %g at [%d,%d]; ranks are whole "
                         "numbers, both alike, 1 or 0 for no edge",
                         r, i, j, other, j, i);
            lode_i_net_connect(net, i, j, r < 1 ? 1 : (int64_t)r);
        }
    LODE_TRY(check_edges(ctx, net, false));
done:
    LODE_FREE(&wide);
    return st;
}

lode_status lode_i_tn_structure(lode_ctx *ctx, const lode_tn_opts *o, int ndim,
                                const int64_t *shape, lode_i_net *net)
{
    static const char *const names[] = { "greedy", "graph", "tt", "ring", "tucker" };
    const bool named = o->structure >= LODE_TN_TT, tucker = o->structure == LODE_TN_TUCKER;
    const int edges = o->structure == LODE_TN_TT || (o->structure == LODE_TN_RING && ndim == 2)
                          ? ndim - 1
                          : ndim;
    if (named != (o->rank.count > 0))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           named ? "tn: structure %s needs its ranks; give --rank R, or one an edge"
                                 : "tn: option rank is of structures tt, ring and tucker; for %s "
                                   "give --max-rank or --graph",
                           names[o->structure]);
    if (o->structure == LODE_TN_GRAPH && !o->graph)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "tn: structure graph needs --graph, a file with the ranks of its edges");
    if (named && o->graph)
        return lode_i_fail(ctx, LODE_EUSAGE, "tn: option graph gives a structure, and %s another",
                           names[o->structure]);
    if (o->graph)
        return read_graph(ctx, o, ndim, shape, net);
    *net = lode_i_net_new(ndim, ndim + (tucker ? 1 : 0), shape);
    if (!named)
        return LODE_OK;
    if (o->rank.count != 1 && o->rank.count != edges)
        return lode_i_fail(ctx, LODE_ESHAPE, "tn: %d ranks for a structure %s of %d edges",
                           (int)o->rank.count, names[o->structure], edges);
    for (int e = 0; e < edges; e++)
        lode_i_net_connect(net, e, tucker ? ndim : (e + 1) % ndim,
                           o->rank.value[o->rank.count > 1 ? e : 0]);
    return check_edges(ctx, net, o->rank.count == 1);
}

double lode_i_tn_room(double size)
{
    return 8 * size + 0x1p20;
}

double lode_i_tn_most(double size)
{
    return 2 * size; /* as many as a square matrix of full rank takes */
}

lode_status lode_i_tn_need(lode_ctx *ctx, const lode_i_net *net, bool some, bool pairs,
                           lode_i_net_need *need)
{
    return some ? lode_i_net_measure_some(ctx, net, need)
                : lode_i_net_measure(ctx, net, pairs, need);
}
