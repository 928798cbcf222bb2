/* Growing tensor networks: edges one rank larger, environments of every pair of nodes, nodes split in two. */
#include <math.h>

#include "linop/net_run.h"

/* ---- one slice more ---- */

/* Core k with one slice more along its edge to j: normal values of the core's own size, or zeros. */
static lode_status lengthen(lode_ctx *ctx, const lode_i_net *net, int k, int j, bool random,
                            lode_stream s, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, old = { 0 }, slice = { 0 }, flat = { 0 }, drawn = { 0 };
    int64_t shape[LODE_I_NET_NODES];
    const int axis = lode_i_net_axis(k, j);
    const lode_array *G = &net->core[k];
    double norm;
    lode_i_net_shape(net, k, shape);
    const int64_t r = shape[axis]++, size = lode_array_size(G);
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, net->nodes, shape, &y));
    LODE_TRY(lode_array_slice(ctx, &y, axis, 0, r, 1, &old));
    LODE_TRY(lode_array_copy_into(ctx, G, &old));
    if (random) {
        LODE_TRY(lode_i_norm_fro(ctx, G, &norm));
        LODE_TRY(lode_i_randn(ctx, s, LODE_F64, 1, size / r, &flat));
        LODE_TRY(lode_i_scale(ctx, norm / sqrt((double)size), &flat));
        LODE_TRY(lode_array_slice(ctx, &y, axis, r, r + 1, 1, &slice));
        LODE_TRY(lode_array_reshape(ctx, &flat, net->nodes, slice.shape, &drawn));
        LODE_TRY(lode_array_copy_into(ctx, &drawn, &slice));
    }
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &old, &slice, &flat, &drawn);
    return st;
}

lode_status lode_i_net_widen(lode_ctx *ctx, lode_i_net *net, int i, int j, const char *op,
                             uint64_t site)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    const lode_stream s = lode_i_stream(ctx, op, site);
    LODE_TRY(lengthen(ctx, net, i, j, false, s, &a));
    LODE_TRY(lengthen(ctx, net, j, i, true, s, &b));
    lode_array_swap(&net->core[i], &a);
    lode_array_swap(&net->core[j], &b);
    lode_i_net_connect(net, i, j, net->rank[i][j] + 1);
done:
    LODE_FREE(&a, &b);
    return st;
}

/* ---- pairs ---- */

/* Of the pairs that lie across the two halves, each node of the lower one with all of the other: the environment of
 * these first. */
static lode_status across(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e,
                          uint32_t low, lode_i_net_need *need, lode_i_net_pair visit, void *state)
{
    lode_status st = LODE_OK;
    lode_i_net_env some = { 0 }, two = { 0 };
    const uint32_t high = e->open & ~low;
    const double held = need ? need->held : 0;
    for (int i = 0; i < net->nodes; i++) {
        const uint32_t one = UINT32_C(1) << i;
        if (!(low & one))
            continue;
        const bool rest = (low & ~one) != 0;
        if (rest)
            LODE_TRY(lode_i_net_descend(ctx, net, e, low & ~one, need, &some));
        const double inner = need ? need->held : 0;
        for (int j = 0; j < net->nodes; j++) {
            const uint32_t drop = high & ~(UINT32_C(1) << j);
            if (!(high >> j & 1))
                continue;
            LODE_TRY(lode_i_cancelled(ctx));
            if (drop)
                LODE_TRY(lode_i_net_descend(ctx, net, rest ? &some : e, drop, need, &two));
            LODE_TRY(visit(ctx, state, drop ? &two : rest ? &some : e, i, j));
            lode_i_net_env_free(&two);
            if (need)
                need->held = inner;
        }
        lode_i_net_env_free(&some);
        if (need)
            need->held = held;
    }
done:
    lode_i_net_env_free(&some);
    lode_i_net_env_free(&two);
    return st;
}

lode_status lode_i_net_pairs(lode_ctx *ctx, const lode_i_net *net, const lode_i_net_env *e,
                             lode_i_net_need *need, lode_i_net_pair visit, void *state)
{
    lode_status st = LODE_OK;
    lode_i_net_env inner = { 0 };
    const uint32_t low = lode_i_net_half(e->open), half[2] = { low, e->open & ~low };
    const double held = need ? need->held : 0;
    if (!low)
        return LODE_OK; /* one node has no pair */
    for (int h = 0; h < 2; h++) {
        if (!(half[h] & (half[h] - 1)))
            continue;
        LODE_TRY(lode_i_net_descend(ctx, net, e, half[1 - h], need, &inner));
        LODE_TRY(lode_i_net_pairs(ctx, net, &inner, need, visit, state));
        lode_i_net_env_free(&inner);
        if (need)
            need->held = held;
    }
    LODE_TRY(across(ctx, net, e, low, need, visit, state));
done:
    lode_i_net_env_free(&inner);
    return st;
}

/* ---- nodes split in two ---- */

typedef struct cut {
    int node;
    uint32_t part; /* axes of the core that go to the new node */
    int64_t rank;
    double saved;
} cut;

/* Core of the node with the axes of `part` last: rows x cols. */
static lode_status unfolded(lode_ctx *ctx, const lode_array *G, uint32_t part, int *axes,
                            lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 };
    int64_t side[2] = { 1, 1 };
    int n = 0;
    for (int h = 0; h < 2; h++)
        for (int a = 0; a < G->ndim; a++)
            if ((int)(part >> a & 1) == h)
                axes[n++] = a, side[h] *= G->shape[a];
    LODE_TRY(lode_array_permute(ctx, G, axes, &moved));
    LODE_TRY(lode_array_reshape(ctx, &moved, 2, side, M));
done:
    LODE_FREE(&moved);
    return st;
}

static lode_status consider(lode_ctx *ctx, const lode_i_net *net, int k, uint32_t part,
                            double cutoff, int64_t most, cut *best)
{
    lode_status st = LODE_OK;
    int axes[LODE_I_NET_NODES];
    lode_array M = { 0 }, s = { 0 };
    LODE_TRY(unfolded(ctx, &net->core[k], part, axes, &M));
    const double m = (double)M.shape[0], n = (double)M.shape[1];
    if (m * n - (m + n) <= best->saved)
        goto done; /* not even rank 1 would do */
    LODE_TRY(lode_i_svd(ctx, &M, lode_i_min(M.shape[0], M.shape[1]), NULL, &s, NULL));
    int64_t r = 1;
    while (r < s.shape[0] && lode_i_get1(&s, r) > cutoff * lode_i_get1(&s, 0))
        r++;
    const double saved = m * n - (double)r * (m + n);
    if (saved > best->saved && r <= most)
        *best = (cut){ k, part, r, saved };
done:
    LODE_FREE(&M, &s);
    return st;
}

/* Factor F, rows over the axes kept first, the new edge last: as core k of the longer list of nodes. */
static lode_status take_core(lode_ctx *ctx, const lode_i_net *net, int k, const lode_array *F,
                             const int *keys, int n, lode_array *core)
{
    lode_status st = LODE_OK;
    lode_i_labelled t = { 0 };
    lode_array whole = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    int wanted[LODE_I_NET_NODES];
    for (int i = 0; i < n; i++) {
        const int low = keys[i] / LODE_I_NET_NODES, high = keys[i] % LODE_I_NET_NODES;
        shape[i] = net->rank[low][high];
    }
    lode_i_net_keys(net, k, false, wanted);
    LODE_TRY(lode_array_reshape(ctx, F, n, shape, &whole));
    LODE_TRY(lode_i_label(ctx, &whole, keys, &t));
    LODE_TRY(lode_i_arrange(ctx, &t, net->nodes, wanted, core));
done:
    lode_i_labelled_free(&t);
    LODE_FREE(&whole);
    return st;
}

/* Cores of the other nodes get an axis more; ends of edges in `part` move to the new node. */
static lode_status rewire(lode_ctx *ctx, const lode_i_net *net, lode_i_net *y, int k, uint32_t part)
{
    lode_status st = LODE_OK;
    lode_i_labelled t = { 0 };
    const int fresh = net->nodes;
    for (int j = 0; j < net->nodes; j++) {
        int keys[LODE_I_NET_NODES], wanted[LODE_I_NET_NODES];
        if (j == k)
            continue;
        lode_i_net_keys(net, j, false, keys);
        if (part >> lode_i_net_axis(k, j) & 1)
            keys[lode_i_net_axis(j, k)] = lode_i_net_key(j, fresh, false);
        lode_i_net_keys(y, j, false, wanted);
        LODE_TRY(lode_i_label(ctx, &net->core[j], keys, &t));
        LODE_TRY(lode_i_arrange(ctx, &t, y->nodes, wanted, &y->core[j]));
        lode_i_labelled_free(&t);
    }
done:
    lode_i_labelled_free(&t);
    return st;
}

static lode_status apply_cut(lode_ctx *ctx, lode_i_net *net, const cut *c)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, U = { 0 }, V = { 0 }, s = { 0 }, root = { 0 }, F[2] = { { 0 } };
    lode_i_net y = { 0 };
    const int k = c->node, fresh = net->nodes;
    int axes[LODE_I_NET_NODES], keys[LODE_I_NET_NODES + 1], old[LODE_I_NET_NODES], n = 0;
    y = lode_i_net_new(net->modes, net->nodes + 1, net->core[0].shape); /* lengths follow */
    for (int i = 0; i < net->nodes; i++)
        for (int j = 0; j < net->nodes; j++)
            y.rank[i][j] = net->rank[i][j];
    for (int j = 0; j < net->nodes; j++)
        if (j != k && (c->part >> lode_i_net_axis(k, j) & 1)) {
            lode_i_net_connect(&y, fresh, j, net->rank[k][j]);
            lode_i_net_connect(&y, k, j, 1);
        }
    lode_i_net_connect(&y, k, fresh, c->rank);
    LODE_TRY(unfolded(ctx, &net->core[k], c->part, axes, &M));
    LODE_TRY(lode_i_svd(ctx, &M, c->rank, &U, &s, &V));
    LODE_TRY(lode_array_cast(ctx, &s, LODE_F64, &root));
    for (int64_t i = 0; i < c->rank; i++)
        lode_i_set1(&root, i, sqrt(lode_i_get1(&s, i)));
    LODE_TRY(lode_i_scale_cols(ctx, &U, &root));
    LODE_TRY(lode_i_scale_cols(ctx, &V, &root));
    lode_array_swap(&F[0], &U);
    lode_array_swap(&F[1], &V);
    lode_i_net_keys(net, k, false, old);
    for (int h = 0, at = 0; h < 2; h++) {
        n = 0;
        for (; at < net->nodes && (int)(c->part >> axes[at] & 1) == h; at++) {
            const int key = old[axes[at]], low = key / LODE_I_NET_NODES,
                      high = key % LODE_I_NET_NODES, j = low == k ? high : low;
            keys[n++] = h && j != k ? lode_i_net_key(j, fresh, false) : key;
        }
        keys[n++] = lode_i_net_key(k, fresh, false);
        const int node = h ? fresh : k;
        LODE_TRY(take_core(ctx, &y, node, &F[h], keys, n, &y.core[node]));
    }
    LODE_TRY(rewire(ctx, net, &y, k, c->part));
    lode_i_net_swap(net, &y);
done:
    LODE_FREE(&M, &U, &V, &s, &root, &F[0], &F[1]);
    lode_i_net_free(&y);
    return st;
}

lode_status lode_i_net_split(lode_ctx *ctx, lode_i_net *net, double cutoff, int64_t most,
                             bool *split)
{
    lode_status st = LODE_OK;
    cut best = { .saved = 0 };
    *split = false;
    if (net->nodes == LODE_I_NET_NODES)
        return LODE_OK;
    for (int k = 0; k < net->nodes; k++) {
        uint32_t axes = 0;
        const uint32_t mode = UINT32_C(1) << (net->nodes - 1);
        for (int a = 0; a < net->nodes; a++)
            axes |= net->core[k].shape[a] > 1 ? UINT32_C(1) << a : 0;
        /* the mode stays; at least two edges go: one alone would only be a narrower edge */
        axes &= ~mode;
        for (uint32_t part = axes; part; part = (part - 1) & axes) {
            const bool keeps = net->rank[k][k] > 1 || part != axes;
            if ((part & (part - 1)) && keeps)
                LODE_TRY(consider(ctx, net, k, part, cutoff, most, &best));
        }
    }
    *split = best.saved > 0;
    if (*split)
        LODE_TRY(apply_cut(ctx, net, &best));
done:
    return st;
}

lode_status lode_i_net_detach(lode_ctx *ctx, lode_i_net *net, int k, double cutoff)
{
    lode_status st = LODE_OK;
    int axes[LODE_I_NET_NODES];
    lode_array M = { 0 }, s = { 0 };
    cut c = { .node = k, .rank = 1 };
    for (int a = 0; a + 1 < net->nodes; a++)
        c.part |= net->core[k].shape[a] > 1 ? UINT32_C(1) << a : 0;
    if (!c.part || net->nodes == LODE_I_NET_NODES)
        return LODE_OK;
    LODE_TRY(unfolded(ctx, &net->core[k], c.part, axes, &M));
    LODE_TRY(lode_i_svd(ctx, &M, lode_i_min(M.shape[0], M.shape[1]), NULL, &s, NULL));
    while (c.rank < s.shape[0] && lode_i_get1(&s, c.rank) > cutoff * lode_i_get1(&s, 0))
        c.rank++;
    LODE_TRY(apply_cut(ctx, net, &c));
done:
    LODE_FREE(&M, &s);
    return st;
}
