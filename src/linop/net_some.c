/* Alternating least squares on tensor networks where entries are missing: every slice of a mode has its own normal
 * equations, over the rows of the derivative that its observed entries meet. The step is what is solved for, as
 * where all is known. */
#include <math.h>

#include "linalg/masked.h"
#include "linop/net_run.h"

/* Of the mean square of a column: what keeps slices with fewer entries than unknowns at rest. */
#define RIDGE 1e-13

/* X with mode k first, as n x rest; of a node without mode: 1 x all. */
static lode_status unfold(lode_ctx *ctx, const lode_i_net *net, const lode_array *X, int k,
                          lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 }, flat = { 0 };
    int axes[LODE_I_NET_MODES], n = 0;
    const int64_t first = net->rank[k][k];
    if (k < net->modes)
        axes[n++] = k;
    for (int m = 0; m < net->modes; m++)
        if (m != k)
            axes[n++] = m;
    LODE_TRY(lode_array_permute(ctx, X, axes, &moved));
    LODE_TRY(lode_array_cast(ctx, &moved, LODE_F64, &flat));
    LODE_TRY(lode_array_reshape(ctx, &flat, 2,
                                (const int64_t[]){ first, lode_array_size(X) / first }, R));
done:
    LODE_FREE(&moved, &flat);
    return st;
}

static lode_status step(lode_ctx *ctx, lode_i_net *net, const lode_array *X, int k, double *left)
{
    lode_status st = LODE_OK;
    lode_array E = { 0 }, R = { 0 }, G = { 0 }, ridge = { 0 }, mean = { 0 }, Z = { 0 },
               core = { 0 };
    int64_t shape[LODE_I_NET_NODES];
    double norm;
    lode_stats s;
    LODE_TRY(lode_i_net_derivative(ctx, net, k, &E));
    LODE_TRY(unfold(ctx, net, X, k, &R));
    const int64_t r = E.shape[1], n = R.shape[0], rest = R.shape[1];
    LODE_TRY(lode_array_reshape(ctx, &net->core[k], 2, (const int64_t[]){ r, n }, &G));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_T, LODE_T, -1, &G, &E, 1, &R));
    LODE_TRY(lode_i_norm_fro(ctx, &E, &norm));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &ridge));
    LODE_TRY(lode_i_fill(ctx, &ridge, RIDGE * norm * norm / (double)r));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &rest, &mean));
    LODE_TRY(lode_i_masked_scores(ctx, &R, &mean, &E, &ridge, &Z));
    const lode_array turned = lode_i_transposed(&Z);
    lode_i_net_shape(net, k, shape);
    LODE_TRY(lode_array_cast(ctx, &turned, LODE_F64, &core));
    LODE_TRY(lode_i_axpy(ctx, 1, &G, &core));
    LODE_FREE(&G);
    LODE_TRY(lode_array_reshape(ctx, &core, net->nodes, shape, &G));
    lode_array_swap(&net->core[k], &G);
    if (left) {
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, &Z, &E, 1, &R));
        LODE_TRY(lode_i_stats(ctx, &R, &s));
        *left = s.sumsq;
    }
done:
    LODE_FREE(&E, &R, &G, &ridge, &mean, &Z, &core);
    return st;
}

lode_status lode_i_net_sweep_some(lode_ctx *ctx, lode_i_net *net, const lode_array *X,
                                  uint32_t open, double *left)
{
    for (int k = 0; k < net->nodes; k++)
        if (open >> k & 1) {
            LODE_FORWARD(lode_i_cancelled(ctx));
            LODE_FORWARD(step(ctx, net, X, k, open >> k == 1 ? left : NULL));
        }
    return LODE_OK;
}

lode_status lode_i_net_measure_some(lode_ctx *ctx, const lode_i_net *net, lode_i_net_need *need)
{
    lode_status st = LODE_OK;
    lode_i_labelled t[LODE_I_NET_NODES] = { { .n = 0 } };
    lode_i_net bare = *net;
    double size = 1;
    for (int m = 0; m < net->modes; m++)
        size *= (double)net->rank[m][m];
    *need = (lode_i_net_need){ 0 };
    for (int k = 0; k < net->nodes; k++)
        bare.core[k] = (lode_array){ 0 };
    for (int k = 0; k < net->nodes; k++) {
        lode_i_order o;
        int terms = 0;
        for (int j = 0; j < net->nodes; j++)
            if (j != k)
                LODE_TRY(lode_i_net_term(ctx, &bare, j, false, LODE_F64, &t[terms++]));
        LODE_TRY(lode_i_network_order(ctx, terms, t, &o));
        const double r = lode_i_net_edges(net, k), n = (double)net->rank[k][k],
                     system = r * r * (lode_ctx_threads(ctx) + 1);
        need->most = fmax(need->most, o.peak + 3 * size / n * r + 3 * size + system + 6 * r * n);
        need->flops += o.flops + 4 * size * r + size * r * r;
    }
done:
    return st;
}
