/* The greedy search of tn: the rank of one edge grows by 1, of the edge for which a few least squares steps of its
 * two cores lower the error most; then all cores are optimized from there, and nodes split that are products. */
#include <math.h>
#include <string.h>

#include "ops/tensor/tn.h"

enum { ROUNDS = 3, PATIENCE = 3, PASSES = 3, TRIAL_SWEEPS = 100 };
#define STEP_TOL 1e-3 /* of an optimization that another edge follows */
#define GAIN 1e-3     /* relative fall of the error that counts as one */
#define DEAD 1e-13    /* of an edge's largest singular value: below it a direction is rounding */

typedef struct search {
    const lode_tn_opts *o;
    const tn_data *d;
    const lode_i_net *net;
    uint64_t step;
    double most; /* parameters */
    /* the best so far */
    int i, j;
    double left;
    lode_i_net grown;
    int cramped; /* edges whose products would need too much memory */
} search;

static int64_t cap(const lode_tn_opts *o)
{
    return o->max_rank.given ? o->max_rank.value : INT64_MAX;
}

static bool may_grow(const search *s, int i, int j)
{
    const lode_i_net *net = s->net;
    const double r = (double)net->rank[i][j], ei = lode_i_net_edges(net, i) / r,
                 ej = lode_i_net_edges(net, j) / r, ni = (double)net->rank[i][i],
                 nj = (double)net->rank[j][j];
    return r + 1 <= fmin(ei * ni, ej * nj) &&
           (!s->o->max_rank.given || r + 1 <= (double)s->o->max_rank.value) &&
           lode_i_net_params(net) + ei * ni + ej * nj <= s->most;
}

/* Whether the network fits in memory, and what it takes. */
static lode_status affordable(lode_ctx *ctx, const tn_data *d, const lode_i_net *net, bool *fit)
{
    lode_i_net_need need;
    double size = 1;
    for (int m = 0; m < d->ndim; m++)
        size *= (double)d->shape[m];
    LODE_FORWARD(lode_i_tn_need(ctx, net, d->some, true, &need));
    *fit = need.most <= lode_i_tn_room(size) && lode_i_net_params(net) <= lode_i_tn_most(size);
    return LODE_OK;
}

/* Without weight transfer: the structure alone stays. */
static lode_status forget(lode_ctx *ctx, const search *s, lode_i_net *net)
{
    return lode_i_net_random(ctx, "tn", 5000 + s->step, net);
}

static lode_status try_edge(lode_ctx *ctx, void *state, const lode_i_net_env *e, int i, int j)
{
    lode_status st = LODE_OK;
    search *s = state;
    lode_i_net net = { 0 };
    double left = INFINITY;
    bool fit;
    const bool blind = lode_i_broken(ctx, "greedy-tn");
    if (!may_grow(s, i, j) || (blind && s->i >= 0))
        return LODE_OK;
    lode_i_net shape = *s->net;
    lode_i_net_connect(&shape, i, j, shape.rank[i][j] + 1);
    LODE_FORWARD(affordable(ctx, s->d, &shape, &fit));
    if (!fit) {
        s->cramped++;
        return LODE_OK;
    }
    net = lode_i_net_ref(s->net);
    LODE_TRY(
        lode_i_net_widen(ctx, &net, i, j, "tn", 1000 + s->step * 256 + (uint64_t)(i * 16 + j)));
    if (blind) {
        LODE_TRY(forget(ctx, s, &net));
        left = 0;
    }
    for (int r = 0; r < ROUNDS && !blind; r++)
        if (s->d->some)
            LODE_TRY(lode_i_net_sweep_some(ctx, &net, &s->d->X, UINT32_C(1) << i | UINT32_C(1) << j,
                                           &left));
        else
            LODE_TRY(lode_i_net_sweep(ctx, &net, e, s->d->sumsq, &left));
    if (left < s->left) {
        s->left = left, s->i = i, s->j = j;
        lode_i_net_swap(&s->grown, &net);
    }
done:
    lode_i_net_free(&net);
    return st;
}

/* The pairs that no environment is needed for. */
static lode_status all_pairs(lode_ctx *ctx, search *s)
{
    for (int i = 0; i < s->net->nodes; i++)
        for (int j = i + 1; j < s->net->nodes; j++)
            LODE_FORWARD(try_edge(ctx, s, NULL, i, j));
    return LODE_OK;
}

static lode_status best_edge(lode_ctx *ctx, search *s)
{
    lode_status st = LODE_OK;
    lode_i_net_env e = { .open = (UINT32_C(1) << s->net->nodes) - 1 };
    bool any = false;
    s->i = s->j = -1, s->left = INFINITY, s->cramped = 0;
    for (int i = 0; i < s->net->nodes; i++)
        for (int j = i + 1; j < s->net->nodes; j++)
            any = any || may_grow(s, i, j);
    if (!any)
        goto done;
    if (s->d->some)
        LODE_TRY(all_pairs(ctx, s));
    else {
        LODE_TRY(lode_i_net_whole(ctx, &s->d->X, &e));
        LODE_TRY(lode_i_net_pairs(ctx, s->net, &e, NULL, try_edge, s));
    }
done:
    lode_i_net_env_free(&e);
    return st;
}

/* Edges in their normal form, in which singular values of cores mean something, and without directions that are
 * rounding; nodes without a mode that save nothing go. */
static lode_status tidy(lode_ctx *ctx, const lode_tn_opts *o, tn_fit *f)
{
    bool merged = true;
    while (merged)
        LODE_FORWARD(lode_i_net_merge(ctx, &f->net, cap(o), &merged));
    for (int pass = 0; pass < PASSES; pass++)
        LODE_FORWARD(lode_i_net_balance(ctx, &f->net, DEAD));
    return LODE_OK;
}

/* What a change of the network may have to be taken back to. */
typedef struct mark {
    lode_i_net net;
    double left;
    int64_t sweeps;
} mark;

static mark remember(const tn_fit *f)
{
    return (mark){ lode_i_net_ref(&f->net), f->left, f->sweeps };
}

static void go_back(tn_fit *f, mark *m)
{
    lode_i_net_swap(&f->net, &m->net);
    f->left = m->left, f->sweeps = m->sweeps;
}

/* A node whose core is a product of two becomes two, where that saves parameters and costs no more than the error
 * can bear; taken back where the sweeps that follow do not make up for it. */
static lode_status split(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f)
{
    lode_status st = LODE_OK;
    mark m = { .left = 0 };
    bool again = o->internal;
    while (again) {
        LODE_TRY(tidy(ctx, o, f));
        m = remember(f);
        LODE_TRY(lode_i_net_split(ctx, &f->net, fmax(1e-9, 0.1 * lode_i_tn_relative(d, f->left)),
                                  cap(o), &again));
        if (again) {
            LODE_TRY(affordable(ctx, d, &f->net, &again));
            if (again) {
                LODE_TRY(lode_i_tn_optimize(ctx, o, d, STEP_TOL, f));
                again = f->left <= fmax(1.05 * m.left, f->target * f->target);
            }
            if (!again)
                go_back(f, &m);
        }
        lode_i_net_free(&m.net);
    }
done:
    lode_i_net_free(&m.net);
    return st;
}

/* Optimized anew and split, the network meets the error asked with fewer than so many parameters. */
static lode_status settle(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, double params,
                          tn_fit *f, bool *better)
{
    LODE_FORWARD(lode_i_tn_optimize(ctx, o, d, STEP_TOL, f));
    LODE_FORWARD(split(ctx, o, d, f));
    *better = f->left <= f->target * f->target && lode_i_net_params(&f->net) < params &&
              lode_i_net_widest(&f->net) <= cap(o);
    return LODE_OK;
}

/* A node without a mode becomes part of a neighbour, which loops between the two no longer hide in; what is then of
 * low rank comes apart again. Stays where fewer parameters meet the error asked. */
static lode_status rebuild(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, int k, int j,
                           tn_fit *f, bool *better)
{
    lode_status st = LODE_OK;
    mark m = remember(f);
    const double params = lode_i_net_params(&f->net), error = lode_i_tn_relative(d, f->left);
    *better = false;
    LODE_TRY(lode_i_net_absorb(ctx, &f->net, k, j));
    LODE_TRY(affordable(ctx, d, &f->net, better));
    if (*better) {
        for (int pass = 0; pass < PASSES; pass++)
            LODE_TRY(lode_i_net_balance(ctx, &f->net, error));
        LODE_TRY(settle(ctx, o, d, params, f, better));
    }
    if (!*better)
        go_back(f, &m);
done:
    lode_i_net_free(&m.net);
    return st;
}

/* A split at singular values that the error alone would not allow: loops may hide that a core is a product. */
static lode_status split_boldly(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f,
                                bool *better)
{
    static const double cutoffs[] = { 3e-2, 3e-3, 1e-4, 1e-6 };
    lode_status st = LODE_OK;
    mark m = { .left = 0 };
    *better = false;
    for (size_t c = 0; c < sizeof cutoffs / sizeof *cutoffs && o->internal && !*better; c++) {
        m = remember(f);
        LODE_TRY(lode_i_net_split(ctx, &f->net, cutoffs[c], cap(o), better));
        if (*better)
            LODE_TRY(affordable(ctx, d, &f->net, better));
        if (*better) {
            LODE_TRY(lode_i_tn_optimize(ctx, o, d, STEP_TOL, f));
            *better = f->left <= f->target * f->target;
        }
        if (!*better)
            go_back(f, &m);
        lode_i_net_free(&m.net);
    }
    if (*better)
        LODE_TRY(split(ctx, o, d, f));
done:
    lode_i_net_free(&m.net);
    return st;
}

/* One node without a mode that all modes are joined to, and nothing else: Tucker's form, or none where that is too
 * large. */
static lode_status collapse(lode_ctx *ctx, const tn_data *d, double error, lode_i_net *net,
                            bool *fit)
{
    *fit = true;
    for (int k = -1; k < d->ndim; k++) {
        if (k >= 0) {
            if (net->nodes == LODE_I_NET_NODES)
                *fit = false;
            else
                LODE_FORWARD(lode_i_net_detach(ctx, net, k, error));
        }
        while (net->nodes > d->ndim + 1 && *fit) {
            LODE_FORWARD(lode_i_net_absorb(ctx, net, net->nodes - 1, d->ndim));
            LODE_FORWARD(affordable(ctx, d, net, fit));
            if (*fit)
                LODE_FORWARD(lode_i_net_balance(ctx, net, error));
        }
        if (!*fit)
            break;
    }
    return LODE_OK;
}

/* From Tucker's form, nodes split anew: where the search has led into loops that no single node shows. */
static lode_status start_over(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f,
                              bool *better)
{
    lode_status st = LODE_OK;
    mark m = remember(f);
    const double params = lode_i_net_params(&f->net), error = lode_i_tn_relative(d, f->left);
    *better = false;
    if (!o->internal)
        goto done;
    LODE_TRY(collapse(ctx, d, fmax(error, 1e-9), &f->net, better));
    if (*better) {
        LODE_TRY(settle(ctx, o, d, params, f, better));
    }
    if (!*better)
        go_back(f, &m);
done:
    lode_i_net_free(&m.net);
    return st;
}

static lode_status rebuild_any(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f)
{
    bool better = true;
    while (better) {
        LODE_FORWARD(start_over(ctx, o, d, f, &better));
        if (!better)
            LODE_FORWARD(split_boldly(ctx, o, d, f, &better));
        if (better)
            LODE_FORWARD(lode_i_tn_note(ctx, d, -1, -1, NULL, f));
        for (int k = d->ndim; k < f->net.nodes && !better; k++)
            for (int j = 0; j < f->net.nodes && !better; j++)
                if (j != k && f->net.rank[k][j] > 1) {
                    LODE_FORWARD(rebuild(ctx, o, d, k, j, f, &better));
                    if (better)
                        LODE_FORWARD(lode_i_tn_note(ctx, d, k, j, NULL, f));
                }
    }
    return LODE_OK;
}

/* The edge among those not tried whose last slices hold most parameters. */
static bool next_edge(const lode_i_net *net, bool (*tried)[LODE_I_NET_NODES], int *at)
{
    double most = 0;
    for (int i = 0; i < net->nodes; i++)
        for (int j = i + 1; j < net->nodes; j++) {
            const double r = (double)net->rank[i][j],
                         saved = lode_i_net_edges(net, i) / r * (double)net->rank[i][i] +
                                 lode_i_net_edges(net, j) / r * (double)net->rank[j][j];
            if (r > 1 && !tried[i][j] && saved > most)
                most = saved, at[0] = i, at[1] = j;
        }
    return most > 0;
}

/* Once the error asked is met: edges lose what they no longer need, as the search may have begun with others than
 * it ended with. */
static lode_status prune(lode_ctx *ctx, const lode_tn_opts *given, const tn_data *d, tn_fit *f)
{
    lode_status st = LODE_OK;
    lode_tn_opts quick = *given;
    const lode_tn_opts *o = &quick;
    mark m = { .left = 0 };
    bool tried[LODE_I_NET_NODES][LODE_I_NET_NODES] = { { false } };
    int at[2];
    quick.max_iter = lode_i_min(given->max_iter, TRIAL_SWEEPS);
    LODE_TRY(rebuild_any(ctx, o, d, f));
    LODE_TRY(lode_i_net_balance(ctx, &f->net, DEAD));
    while (next_edge(&f->net, tried, at)) {
        m = remember(f);
        LODE_TRY(lode_i_net_narrow(ctx, &f->net, at[0], at[1]));
        LODE_TRY(lode_i_tn_optimize(ctx, o, d, STEP_TOL, f));
        if (f->left <= f->target * f->target) {
            LODE_TRY(split(ctx, o, d, f));
            LODE_TRY(lode_i_net_balance(ctx, &f->net, DEAD));
            LODE_TRY(lode_i_tn_note(ctx, d, at[0], at[1], NULL, f));
            memset(tried, 0, sizeof tried);
        } else {
            go_back(f, &m);
            tried[at[0]][at[1]] = true;
        }
        lode_i_net_free(&m.net);
    }
done:
    lode_i_net_free(&m.net);
    return st;
}

/* Keeps the network that does best on what is kept back. */
typedef struct keeper {
    lode_i_net net;
    double left, held;
    int64_t row, worse;
} keeper;

static void keep(tn_fit *f, double held, keeper *k)
{
    if (k->row > 0 && !(held < k->held * (1 - GAIN))) {
        k->worse++;
        return;
    }
    lode_i_net_free(&k->net);
    k->net = lode_i_net_ref(&f->net);
    k->left = f->left, k->held = held, k->row = f->rows, k->worse = 0;
}

lode_status lode_i_tn_grow(lode_ctx *ctx, const lode_tn_opts *o, const tn_data *d, tn_fit *f)
{
    lode_status st = LODE_OK;
    search s = { .o = o,
                 .d = d,
                 .most = fmin(f->params,
                              d->some ? (double)d->count : lode_i_tn_most((double)d->count)) };
    keeper best = { .row = 0 };
    double held, last;
    int64_t idle = 0;
    lode_i_stage(ctx, "growing", 0.02, 0.98);
    LODE_TRY(lode_i_tn_optimize(ctx, o, d, STEP_TOL, f));
    LODE_TRY(lode_i_tn_note(ctx, d, -1, -1, &held, f));
    keep(f, held, &best);
    const double first = lode_i_net_params(&f->net);
    for (f->why = NULL; !f->why; s.step++) {
        const double used = lode_i_net_params(&f->net) - first;
        LODE_TRY(lode_i_tick(ctx, (int64_t)(1e6 * used / fmax(s.most - first, 1)), 1000000));
        last = f->left;
        s.net = &f->net;
        if (sqrt(f->left) <= f->target ||
            lode_i_tn_relative(d, f->left) <= 8 * lode_i_epsilon(d->dtype)) {
            f->why = "the error asked";
            break;
        }
        LODE_TRY(best_edge(ctx, &s));
        if (s.i < 0) {
            f->why = s.cramped ? "no edge that may grow fits in memory" : "no edge may grow";
            break;
        }
        lode_i_net_swap(&f->net, &s.grown);
        lode_i_nest(ctx);
        st = lode_i_tn_optimize(ctx, o, d, STEP_TOL, f);
        if (st >= 0)
            st = split(ctx, o, d, f);
        lode_i_unnest(ctx);
        LODE_TRY(st);
        LODE_TRY(lode_i_tn_note(ctx, d, s.i, s.j, &held, f));
        keep(f, held, &best);
        idle = sqrt(f->left) > (1 - GAIN) * sqrt(last) ? idle + 1 : 0;
        if (d->held.data && best.worse >= PATIENCE)
            f->why = "no gain on what is kept back";
        else if (idle >= PATIENCE)
            f->why = "no edge helps";
    }
    if (sqrt(f->left) <= f->target && !d->held.data) {
        lode_i_nest(ctx);
        st = prune(ctx, o, d, f);
        lode_i_unnest(ctx);
        LODE_TRY(st);
    }
    if (d->held.data) {
        lode_i_net_swap(&f->net, &best.net);
        f->left = best.left, f->rows = best.row;
    }
done:
    lode_i_net_free(&s.grown);
    lode_i_net_free(&best.net);
    return st;
}
