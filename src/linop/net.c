/* Tensor networks: shapes, starts, the tensor they stand for, its norm, normal forms. */
#include "linop/net.h"

#include <math.h>
#include <string.h>

#include "linop/net_run.h"

void lode_i_net_free(lode_i_net *net)
{
    for (int k = 0; k < net->nodes; k++)
        lode_array_free(&net->core[k]);
    *net = (lode_i_net){ 0 };
}

void lode_i_net_swap(lode_i_net *a, lode_i_net *b)
{
    const lode_i_net t = *a;
    *a = *b, *b = t;
}

lode_i_net lode_i_net_new(int modes, int nodes, const int64_t *shape)
{
    lode_i_net net = { .modes = modes, .nodes = nodes };
    for (int i = 0; i < LODE_I_NET_NODES; i++)
        for (int j = 0; j < LODE_I_NET_NODES; j++)
            net.rank[i][j] = i == j && i < modes ? shape[i] : 1;
    return net;
}

lode_i_net lode_i_net_ref(const lode_i_net *net)
{
    lode_i_net y = *net;
    for (int k = 0; k < net->nodes; k++)
        y.core[k] = net->core[k].data ? lode_array_ref(&net->core[k]) : (lode_array){ 0 };
    return y;
}

void lode_i_net_connect(lode_i_net *net, int i, int j, int64_t rank)
{
    net->rank[i][j] = net->rank[j][i] = rank;
}

double lode_i_net_edges(const lode_i_net *net, int k)
{
    double size = 1;
    for (int j = 0; j < net->nodes; j++)
        size *= j == k ? 1 : (double)net->rank[k][j];
    return size;
}

double lode_i_net_params(const lode_i_net *net)
{
    double all = 0;
    for (int k = 0; k < net->nodes; k++)
        all += lode_i_net_edges(net, k) * (double)net->rank[k][k];
    return all;
}

void lode_i_net_shape(const lode_i_net *net, int k, int64_t *shape)
{
    int n = 0;
    for (int j = 0; j < net->nodes; j++)
        if (j != k)
            shape[n++] = net->rank[k][j];
    shape[n] = net->rank[k][k];
}

/* ---- names of axes ---- */

int lode_i_net_key(int i, int j, bool again)
{
    const int low = i < j ? i : j, high = i < j ? j : i;
    return low * LODE_I_NET_NODES + high +
           (again && i != j ? LODE_I_NET_NODES * LODE_I_NET_NODES : 0);
}

void lode_i_net_keys(const lode_i_net *net, int k, bool again, int *keys)
{
    int n = 0;
    for (int j = 0; j < net->nodes; j++)
        if (j != k)
            keys[n++] = lode_i_net_key(k, j, again);
    keys[n] = lode_i_net_key(k, k, again);
}

lode_status lode_i_net_term(lode_ctx *ctx, const lode_i_net *net, int k, bool again,
                            lode_dtype dtype, lode_i_labelled *t)
{
    lode_status st = LODE_OK;
    int keys[LODE_I_NET_NODES];
    int64_t shape[LODE_I_NET_NODES];
    lode_array core = { 0 };
    lode_i_net_keys(net, k, again, keys);
    lode_i_net_shape(net, k, shape);
    if (!net->core[k].data) {
        lode_i_label_shape(net->nodes, shape, keys, t);
        return LODE_OK;
    }
    LODE_TRY(lode_i_as(ctx, &net->core[k], dtype, &core));
    LODE_TRY(lode_i_label(ctx, &core, keys, t));
done:
    LODE_FREE(&core);
    return st;
}

/* ---- starts ---- */

lode_status lode_i_net_random(lode_ctx *ctx, const char *op, uint64_t site, lode_i_net *net)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    for (int k = 0; k < net->nodes; k++) {
        int64_t shape[LODE_I_NET_NODES];
        const double edges = lode_i_net_edges(net, k);
        lode_i_net_shape(net, k, shape);
        LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, op, site * 64 + (uint64_t)k), LODE_F64,
                              (int64_t)edges, net->rank[k][k], &flat));
        /* each sum over an edge of R terms makes it larger by root R: half of that at either end */
        LODE_TRY(lode_i_scale(ctx, 1 / sqrt(sqrt(edges) * (double)net->rank[k][k]), &flat));
        LODE_FREE(&net->core[k]);
        LODE_TRY(lode_array_reshape(ctx, &flat, net->nodes, shape, &net->core[k]));
        LODE_FREE(&flat);
    }
done:
    LODE_FREE(&flat);
    return st;
}

/* ---- the tensor ---- */

/* Core k for a box of the tensor. */
static lode_status boxed(lode_ctx *ctx, const lode_i_net *net, int k, const int64_t *start,
                         const int64_t *count, lode_dtype dtype, lode_i_labelled *t)
{
    lode_status st = LODE_OK;
    int keys[LODE_I_NET_NODES];
    lode_array part = { 0 }, core = { 0 };
    if (k >= net->modes || !start)
        return lode_i_net_term(ctx, net, k, false, dtype, t);
    lode_i_net_keys(net, k, false, keys);
    LODE_TRY(lode_array_slice(ctx, &net->core[k], net->nodes - 1, start[k], start[k] + count[k], 1,
                              &part));
    LODE_TRY(lode_i_as(ctx, &part, dtype, &core));
    LODE_TRY(lode_i_label(ctx, &core, keys, t));
done:
    LODE_FREE(&part, &core);
    return st;
}

lode_status lode_i_net_expand(lode_ctx *ctx, const lode_i_net *net, const int64_t *start,
                              const int64_t *count, lode_dtype dtype, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_labelled t[LODE_I_NET_NODES] = { { .n = 0 } }, y = { 0 };
    int keys[LODE_I_NET_NODES];
    int64_t shape[LODE_I_NET_MODES], size = 1;
    for (int m = 0; m < net->modes; m++) {
        keys[m] = lode_i_net_key(m, m, false);
        shape[m] = start ? count[m] : net->rank[m][m];
        size *= shape[m];
    }
    if (size == 0) {
        LODE_TRY(lode_array_zeros(ctx, dtype, net->modes, shape, out));
        goto done;
    }
    for (int k = 0; k < net->nodes; k++)
        LODE_TRY(boxed(ctx, net, k, start, count, dtype, &t[k]));
    LODE_TRY(lode_i_network_contract(ctx, net->nodes, t, NULL, &y));
    LODE_TRY(lode_i_arrange(ctx, &y, net->modes, keys, out));
done:
    for (int k = 0; k < LODE_I_NET_NODES; k++)
        lode_i_labelled_free(&t[k]);
    lode_i_labelled_free(&y);
    return st;
}

lode_status lode_i_net_norm(lode_ctx *ctx, const lode_i_net *net, double *norm)
{
    lode_status st = LODE_OK;
    lode_i_net_env all = { .open = (UINT32_C(1) << net->nodes) - 1 }, e = { 0 };
    LODE_TRY(lode_i_net_descend(ctx, net, &all, all.open, NULL, &e));
    *norm = sqrt(fmax(lode_i_get1(&e.D.a, 0), 0));
done:
    lode_i_net_env_free(&e);
    return st;
}

lode_status lode_i_net_derivative(lode_ctx *ctx, const lode_i_net *net, int k, lode_array *E)
{
    lode_status st = LODE_OK;
    lode_i_labelled t[LODE_I_NET_NODES] = { { .n = 0 } }, y = { 0 };
    lode_array whole = { 0 };
    int keys[LODE_MAX_NDIM], n = 0, terms = 0;
    int64_t rows = 1;
    for (int m = 0; m < net->modes; m++)
        if (m != k)
            keys[n++] = lode_i_net_key(m, m, false), rows *= net->rank[m][m];
    for (int j = 0; j < net->nodes; j++)
        if (j != k) {
            keys[n++] = lode_i_net_key(k, j, false);
            LODE_TRY(lode_i_net_term(ctx, net, j, false, LODE_F64, &t[terms++]));
        }
    LODE_TRY(lode_i_network_contract(ctx, terms, t, NULL, &y));
    LODE_TRY(lode_i_arrange(ctx, &y, n, keys, &whole));
    LODE_TRY(lode_array_reshape(ctx, &whole, 2,
                                (const int64_t[]){ rows, (int64_t)lode_i_net_edges(net, k) }, E));
done:
    for (int j = 0; j < LODE_I_NET_NODES; j++)
        lode_i_labelled_free(&t[j]);
    lode_i_labelled_free(&y);
    LODE_FREE(&whole);
    return st;
}

/* ---- normal forms ---- */

int lode_i_net_axis(int k, int j)
{
    return j < k ? j : j - 1;
}

/* Core k with the axis of its edge to j first: R x rest; and back. */
static lode_status turned(lode_ctx *ctx, const lode_i_net *net, int k, int j, lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 };
    const int at = lode_i_net_axis(k, j);
    int axes[LODE_I_NET_NODES] = { at }, n = 1;
    for (int a = 0; a < net->nodes; a++)
        if (a != at)
            axes[n++] = a;
    LODE_TRY(lode_array_permute(ctx, &net->core[k], axes, &moved));
    LODE_TRY(lode_array_reshape(
        ctx, &moved, 2,
        (const int64_t[]){ net->rank[k][j], lode_array_size(&net->core[k]) / net->rank[k][j] }, M));
done:
    LODE_FREE(&moved);
    return st;
}

/* M: r x rest; the edge becomes one of rank r. */
static lode_status put_back(lode_ctx *ctx, lode_i_net *net, int k, int j, const lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 }, moved = { 0 }, core = { 0 };
    const int at = lode_i_net_axis(k, j);
    int64_t shape[LODE_I_NET_NODES] = { M->shape[0] };
    int axes[LODE_I_NET_NODES], n = 1;
    for (int a = 0; a < net->nodes; a++) {
        if (a != at)
            shape[n++] = net->core[k].shape[a];
        axes[a] = a == at ? 0 : a < at ? a + 1 : a;
    }
    LODE_TRY(lode_array_reshape(ctx, M, net->nodes, shape, &whole));
    LODE_TRY(lode_array_permute(ctx, &whole, axes, &moved));
    LODE_TRY(lode_array_cast(ctx, &moved, LODE_F64, &core)); /* M may be borrowed: a copy */
    lode_array_swap(&net->core[k], &core);
done:
    LODE_FREE(&whole, &moved, &core);
    return st;
}

/* M^T = Q R of an edge's side, or R = M where it has fewer rows than columns. */
static lode_status side(lode_ctx *ctx, const lode_array *M, lode_array *Q, lode_array *R)
{
    const lode_array t = lode_i_transposed(M);
    if (t.shape[0] >= t.shape[1])
        return lode_i_qr(ctx, &t, Q, R);
    LODE_FORWARD(lode_i_eye(ctx, LODE_F64, t.shape[0], Q));
    return lode_array_cast(ctx, &t, LODE_F64, R);
}

static lode_status balance_edge(lode_ctx *ctx, lode_i_net *net, int i, int j, double cutoff)
{
    lode_status st = LODE_OK;
    lode_array M[2] = { { 0 } }, Q[2] = { { 0 } }, R[2] = { { 0 } }, B = { 0 }, s = { 0 },
               root = { 0 }, U[2] = { { 0 } }, Y = { 0 }, turn = { 0 };
    const int node[2] = { i, j };
    for (int e = 0; e < 2; e++) {
        LODE_TRY(turned(ctx, net, node[e], node[1 - e], &M[e]));
        LODE_TRY(side(ctx, &M[e], &Q[e], &R[e]));
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &R[0], &R[1], &B));
    const int64_t most = lode_i_min(B.shape[0], B.shape[1]);
    LODE_TRY(lode_i_svd(ctx, &B, most, &U[0], &s, &U[1]));
    LODE_TRY(lode_i_canonical_signs(ctx, &U[0], &U[1]));
    int64_t r = 1;
    while (r < most && lode_i_get1(&s, r) > cutoff * lode_i_get1(&s, 0))
        r++;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &root));
    for (int64_t c = 0; c < r; c++)
        lode_i_set1(&root, c, sqrt(lode_i_get1(&s, c)));
    for (int e = 0; e < 2; e++) {
        lode_array some = lode_i_cols(&U[e], 0, r), kept = { 0 };
        st = lode_array_cast(ctx, &some, LODE_F64, &kept);
        if (st >= 0)
            st = lode_i_scale_cols(ctx, &kept, &root);
        if (st >= 0)
            st = lode_i_gemm(ctx, LODE_N, LODE_N, &Q[e], &kept, &Y);
        LODE_FREE(&some, &kept);
        LODE_TRY(st);
        turn = lode_i_transposed(&Y);
        LODE_TRY(put_back(ctx, net, node[e], node[1 - e], &turn));
        LODE_FREE(&Y);
    }
    lode_i_net_connect(net, i, j, r);
done:
    for (int e = 0; e < 2; e++)
        LODE_FREE(&M[e], &Q[e], &R[e], &U[e]);
    LODE_FREE(&B, &s, &root, &Y);
    return st;
}

lode_status lode_i_net_balance(lode_ctx *ctx, lode_i_net *net, double cutoff)
{
    for (int i = 0; i < net->nodes; i++)
        for (int j = i + 1; j < net->nodes; j++)
            if (net->rank[i][j] > 1)
                LODE_FORWARD(balance_edge(ctx, net, i, j, cutoff));
    return LODE_OK;
}

lode_status lode_i_net_normalize(lode_ctx *ctx, lode_i_net *net)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 };
    double all = 1, norm;
    for (int k = 0; k < net->nodes; k++) {
        LODE_TRY(lode_array_cast(ctx, &net->core[k], LODE_F64, &core)); /* others may hold it */
        lode_array_swap(&core, &net->core[k]);
        LODE_TRY(lode_i_norm_fro(ctx, &net->core[k], &norm));
        if (k > 0 && norm > 0) {
            LODE_TRY(lode_i_scale(ctx, 1 / norm, &net->core[k]));
            all *= norm;
        }
    }
    LODE_TRY(lode_i_scale(ctx, all, &net->core[0]));
done:
    LODE_FREE(&core);
    return st;
}
