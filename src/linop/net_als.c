/* Alternating least squares on tensor networks. With all cores but G_k fixed, the tensor is linear in it, Y = E G_k,
 * and (E'E) d = E'X - E'E G_k is solved for the step d = new - old by the Cholesky factor of E'E with unit
 * diagonal and a shift of a few roundings: the misfit cannot rise, however close to singular E'E is. E'X and
 * E'E come from environments that nodes share: halving the set of open nodes again and again, each node's are
 * made of its half's. */
#include <math.h>

#include "linop/net_run.h"

void lode_i_net_env_free(lode_i_net_env *e)
{
    lode_i_labelled_free(&e->T);
    lode_i_labelled_free(&e->D);
    *e = (lode_i_net_env){ 0 };
}

lode_status lode_i_net_whole(lode_ctx *ctx, const lode_array *X, lode_i_net_env *e)
{
    int keys[LODE_I_NET_MODES];
    for (int m = 0; m < X->ndim; m++)
        keys[m] = lode_i_net_key(m, m, false);
    e->data = true;
    return lode_i_label(ctx, X, keys, &e->T);
}

static void note(lode_i_net_need *need, const lode_i_order *o, const lode_i_labelled *out)
{
    const double size = lode_i_labelled_size(out);
    need->most = fmax(need->most, need->held + o->peak);
    need->held += size;
    need->most = fmax(need->most, need->held);
    need->flops += o->flops;
}

/* The cores of `drop`, once for T, twice for D. */
static lode_status multiply(lode_ctx *ctx, const lode_i_net *net, const lode_i_labelled *start,
                            uint32_t drop, bool twice, lode_dtype dtype, lode_i_net_need *need,
                            lode_i_labelled *out)
{
    lode_status st = LODE_OK;
    lode_i_labelled t[2 * LODE_I_NET_NODES + 1] = { { .n = 0 } };
    lode_i_order o;
    int terms = 0;
    if (start) {
        t[terms] = *start;
        t[terms++].a = start->a.data ? lode_array_ref(&start->a) : (lode_array){ 0 };
    }
    for (int k = 0; k < net->nodes; k++)
        for (int copy = 0; copy < (twice ? 2 : 1) && (drop >> k & 1); copy++) {
            LODE_REQUIRE(terms < LODE_I_TERMS, LODE_EUSAGE, "network: too many nodes");
            LODE_TRY(lode_i_net_term(ctx, net, k, copy == 1, dtype, &t[terms++]));
        }
    LODE_TRY(lode_i_network_contract(ctx, terms, t, &o, out));
    if (need)
        note(need, &o, out);
done:
    for (int i = 0; i < terms; i++)
        lode_i_labelled_free(&t[i]);
    return st;
}

lode_status lode_i_net_descend(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e,
                               uint32_t drop, lode_i_net_need *need, lode_i_net_env *out)
{
    lode_status st = LODE_OK;
    lode_i_net_env y = { .open = e->open & ~drop, .data = e->data, .outside = true };
    if (e->data)
        LODE_TRY(multiply(ctx, net, &e->T, drop, false, e->T.a.data ? e->T.a.dtype : LODE_F64, need,
                          &y.T));
    LODE_TRY(multiply(ctx, net, e->outside ? &e->D : NULL, drop, true, LODE_F64, need, &y.D));
    lode_i_net_env_free(out);
    *out = y, y = (lode_i_net_env){ 0 };
done:
    lode_i_net_env_free(&y);
    return st;
}

/* ---- one core ---- */

/* d = (H + shift)^-1 r, H with unit diagonal. */
static lode_status solve(lode_ctx *ctx, const lode_array *H, const lode_array *r, lode_array *d)
{
    lode_status st = LODE_OK;
    lode_array S = { 0 }, L = { 0 }, scale = { 0 }, b = { 0 }, y = { 0 };
    const int64_t n = H->shape[0];
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &scale));
    for (int64_t i = 0; i < n; i++) {
        const double h = lode_i_get2(H, i, i);
        lode_i_set1(&scale, i, h > 0 ? 1 / sqrt(h) : 0);
    }
    LODE_TRY(lode_array_cast(ctx, H, LODE_F64, &S));
    LODE_TRY(lode_i_scale_rows(ctx, &S, &scale));
    LODE_TRY(lode_i_scale_cols(ctx, &S, &scale));
    for (int64_t i = 0; i < n; i++)
        lode_i_set2(&S, i, i, 1 + 8 * lode_i_epsilon(LODE_F64) * (double)n);
    LODE_TRY(lode_array_cast(ctx, r, LODE_F64, &b));
    LODE_TRY(lode_i_scale_rows(ctx, &b, &scale));
    LODE_TRY(lode_i_cholesky(ctx, &S, &L, NULL));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, &b, &y));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &y, d));
    LODE_TRY(lode_i_scale_rows(ctx, d, &scale));
done:
    LODE_FREE(&S, &L, &scale, &b, &y);
    return st;
}

/* G (new) = G + d; left: sumsq - 2 <G, T> + <G, H G> with it. */
static lode_status update(lode_ctx *ctx, const lode_array *H, const lode_array *T, double sumsq,
                          lode_array *G, double *left)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 }, d = { 0 }, HG = { 0 };
    lode_inner a, b;
    LODE_TRY(lode_array_cast(ctx, T, LODE_F64, &r));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, H, G, 1, &r));
    LODE_TRY(solve(ctx, H, &r, &d));
    LODE_TRY(lode_i_axpy(ctx, 1, G, &d));
    lode_array_swap(G, &d);
    if (left) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, H, G, &HG));
        LODE_TRY(lode_array_cast(ctx, T, LODE_F64, &r));
        LODE_TRY(lode_i_inner(ctx, G, &r, &a));
        LODE_TRY(lode_i_inner(ctx, G, &HG, &b));
        *left = sumsq - 2 * a.re + b.re;
    }
done:
    LODE_FREE(&r, &d, &HG);
    return st;
}

typedef struct walk {
    lode_i_net *net;
    lode_i_net_need *need; /* NULL, or nothing but this is asked for */
    double sumsq, left;
} walk;

/* Arrays of an environment of one node as matrices. */
static lode_status matrices(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e, int k,
                            lode_array *H, lode_array *T)
{
    lode_status st = LODE_OK;
    int keys[2 * LODE_I_NET_NODES], again[LODE_I_NET_NODES];
    lode_array y = { 0 };
    const int edges = net->nodes - 1;
    const int64_t r = (int64_t)lode_i_net_edges(net, k), n = net->rank[k][k];
    lode_i_net_keys(net, k, false, keys);
    LODE_TRY(lode_i_arrange(ctx, &e->T, net->nodes, keys, &y));
    LODE_TRY(lode_array_reshape(ctx, &y, 2, (const int64_t[]){ r, n }, T));
    LODE_FREE(&y);
    lode_i_net_keys(net, k, true, again);
    for (int i = 0; i < edges; i++)
        keys[edges + i] = again[i];
    LODE_TRY(lode_i_arrange(ctx, &e->D, 2 * edges, keys, &y));
    LODE_TRY(lode_array_reshape(ctx, &y, 2, (const int64_t[]){ r, r }, H));
done:
    LODE_FREE(&y);
    return st;
}

static lode_status leaf(lode_ctx *ctx, walk *w, const lode_i_net_env *e, int k)
{
    lode_status st = LODE_OK;
    lode_array H = { 0 }, T = { 0 }, G = { 0 }, core = { 0 };
    lode_i_net *net = w->net;
    int64_t shape[LODE_I_NET_NODES];
    if (w->need) {
        const double r = lode_i_net_edges(net, k), n = (double)net->rank[k][k];
        w->need->most = fmax(w->need->most, w->need->held + 6 * r * r + 6 * r * n);
        w->need->flops += r * r * r / 3 + 6 * r * r * n;
        return LODE_OK;
    }
    LODE_TRY(matrices(ctx, net, e, k, &H, &T));
    LODE_TRY(lode_array_reshape(ctx, &net->core[k], 2, T.shape, &G));
    LODE_TRY(update(ctx, &H, &T, w->sumsq, &G, &w->left));
    lode_i_net_shape(net, k, shape);
    LODE_TRY(lode_array_reshape(ctx, &G, net->nodes, shape, &core));
    lode_array_swap(&net->core[k], &core);
done:
    LODE_FREE(&H, &T, &G, &core);
    return st;
}

static int count_of(uint32_t set)
{
    int n = 0;
    for (; set; set &= set - 1)
        n++;
    return n;
}

uint32_t lode_i_net_half(uint32_t set)
{
    uint32_t low = 0;
    for (int k = 0, n = count_of(set) / 2; n > 0; k++)
        if (set >> k & 1)
            low |= UINT32_C(1) << k, n--;
    return low;
}

static lode_status visit(lode_ctx *ctx, walk *w, const lode_i_net_env *e)
{
    lode_status st = LODE_OK;
    lode_i_net_env inner = { 0 };
    if (count_of(e->open) == 1) {
        int k = 0;
        while (!(e->open >> k & 1))
            k++;
        return leaf(ctx, w, e, k);
    }
    const uint32_t low = lode_i_net_half(e->open), half[2] = { low, e->open & ~low };
    const double held = w->need ? w->need->held : 0;
    for (int h = 0; h < 2; h++) {
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(lode_i_net_descend(ctx, w->net, e, half[1 - h], w->need, &inner));
        LODE_TRY(visit(ctx, w, &inner));
        lode_i_net_env_free(&inner);
        if (w->need)
            w->need->held = held;
    }
done:
    lode_i_net_env_free(&inner);
    return st;
}

lode_status lode_i_net_sweep(lode_ctx *ctx, lode_i_net *net, const lode_i_net_env *e, double sumsq,
                             double *left)
{
    walk w = { .net = net, .sumsq = sumsq };
    LODE_FORWARD(visit(ctx, &w, e));
    if (left)
        *left = w.left;
    return LODE_OK;
}

/* What a trial of a pair holds: an edge more, cores and environments of two. */
static lode_status try_pair(lode_ctx *ctx, void *state, const lode_i_net_env *e, int i, int j)
{
    walk *w = state;
    lode_i_net_env pair = *e;
    const int64_t rank = w->net->rank[i][j];
    const double held = w->need->held;
    lode_i_net_connect(w->net, i, j, rank + 1);
    const lode_status st = visit(ctx, w, &pair);
    lode_i_net_connect(w->net, i, j, rank);
    w->need->held = held;
    return st;
}

lode_status lode_i_net_measure(lode_ctx *ctx, const lode_i_net *net, bool pairs,
                               lode_i_net_need *need)
{
    lode_i_net bare = *net;
    lode_i_net_env e = { .open = (UINT32_C(1) << net->nodes) - 1 };
    walk w = { .net = &bare, .need = need };
    lode_array X = { .ndim = net->modes };
    for (int m = 0; m < net->modes; m++)
        X.shape[m] = net->rank[m][m];
    for (int k = 0; k < net->nodes; k++)
        bare.core[k] = (lode_array){ 0 };
    *need = (lode_i_net_need){ 0 };
    LODE_FORWARD(lode_i_net_whole(ctx, &X, &e));
    LODE_FORWARD(visit(ctx, &w, &e));
    need->held = 0;
    return pairs ? lode_i_net_pairs(ctx, &bare, &e, need, try_pair, &w) : LODE_OK;
}
