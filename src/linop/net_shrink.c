/* Shrinking tensor networks: edges one rank smaller, nodes without a mode taken into a neighbour. */
#include <math.h>

#include "linop/net_run.h"

static lode_status shorten(lode_ctx *ctx, const lode_i_net *net, int k, int j, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 };
    LODE_TRY(lode_array_slice(ctx, &net->core[k], lode_i_net_axis(k, j), 0, net->rank[k][j] - 1, 1,
                              &part));
    LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, out));
done:
    LODE_FREE(&part);
    return st;
}

lode_status lode_i_net_narrow(lode_ctx *ctx, lode_i_net *net, int i, int j)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    LODE_TRY(shorten(ctx, net, i, j, &a));
    LODE_TRY(shorten(ctx, net, j, i, &b));
    lode_array_swap(&net->core[i], &a);
    lode_array_swap(&net->core[j], &b);
    lode_i_net_connect(net, i, j, net->rank[i][j] - 1);
done:
    LODE_FREE(&a, &b);
    return st;
}

/* The structure without node k, whose edges become those of j: where both have a neighbour, one edge of the
 * product of their ranks. */
static lode_i_net joined(const lode_i_net *net, int k, int j)
{
    lode_i_net y = *net;
    y.nodes = net->nodes - 1;
    for (int i = 0; i < LODE_I_NET_NODES; i++)
        y.core[i] = (lode_array){ 0 };
    for (int i = 0; i < y.nodes; i++)
        for (int l = 0; l < y.nodes; l++) {
            const int a = i + (i >= k), b = l + (l >= k);
            y.rank[i][l] = net->rank[a][b];
            if (a != b && (a == j || b == j))
                y.rank[i][l] *= net->rank[k][a == j ? b : a];
        }
    for (int i = 0; i < LODE_I_NET_NODES; i++)
        y.rank[y.nodes][i] = y.rank[i][y.nodes] = 1;
    return y;
}

lode_status lode_i_net_absorb(lode_ctx *ctx, lode_i_net *net, int k, int j)
{
    lode_status st = LODE_OK;
    lode_i_labelled t[2] = { { .n = 0 } }, both = { 0 };
    lode_array whole = { 0 };
    lode_i_net y = joined(net, k, j);
    for (int i = 0; i < y.nodes; i++) {
        const int from = i + (i >= k);
        int keys[2 * LODE_I_NET_NODES], n = 0;
        int64_t shape[LODE_I_NET_NODES];
        for (int b = 0; b < net->nodes; b++) { /* of two edges that become one, that of j first */
            if (b == from || b == k)
                continue;
            keys[n++] = lode_i_net_key(from, b, false);
            if (b == j || from == j)
                keys[n++] = lode_i_net_key(b == j ? from : b, k, false);
        }
        keys[n++] = lode_i_net_key(from, from, false);
        LODE_TRY(lode_i_net_term(ctx, net, from, false, LODE_F64, &t[0]));
        if (from == j)
            LODE_TRY(lode_i_net_term(ctx, net, k, false, LODE_F64, &t[1]));
        LODE_TRY(lode_i_network_contract(ctx, from == j ? 2 : 1, t, NULL, &both));
        LODE_TRY(lode_i_arrange(ctx, &both, n, keys, &whole));
        lode_i_net_shape(&y, i, shape);
        LODE_TRY(lode_array_reshape(ctx, &whole, y.nodes, shape, &y.core[i]));
        LODE_FREE(&whole);
        for (int e = 0; e < 2; e++)
            lode_i_labelled_free(&t[e]);
    }
    lode_i_net_swap(net, &y);
done:
    for (int e = 0; e < 2; e++)
        lode_i_labelled_free(&t[e]);
    lode_i_labelled_free(&both);
    LODE_FREE(&whole);
    lode_i_net_free(&y);
    return st;
}

int64_t lode_i_net_widest(const lode_i_net *net)
{
    int64_t most = 1;
    for (int i = 0; i < net->nodes; i++)
        for (int j = 0; j < i; j++)
            most = lode_i_max(most, net->rank[i][j]);
    return most;
}

lode_status lode_i_net_merge(lode_ctx *ctx, lode_i_net *net, int64_t most, bool *merged)
{
    int best_k = -1, best_j = -1;
    double best = -0.5;
    for (int k = net->modes; k < net->nodes; k++)
        for (int j = 0; j < net->nodes; j++) {
            const lode_i_net y = joined(net, k, j);
            const double saved = j == k ? -1 : lode_i_net_params(net) - lode_i_net_params(&y);
            if (saved > best && lode_i_net_widest(&y) <= most)
                best = saved, best_k = k, best_j = j;
        }
    *merged = best_k >= 0;
    return *merged ? lode_i_net_absorb(ctx, net, best_k, best_j) : LODE_OK;
}
