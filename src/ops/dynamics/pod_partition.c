/* The partition of the snapshots: medoids by angles or distances, or parts in order. */
#include <math.h>

#include "ops/dynamics/pod.h"

lode_i_kmedoids_opts lode_i_pod_search(const lode_ctx *ctx, const lode_pod_opts *o)
{
    return (lode_i_kmedoids_opts){ .k = o->clusters,
                                   .restarts = o->restarts,
                                   .max_iter = o->max_iter,
                                   .stream = lode_i_stream(ctx, "pod", 0),
                                   .op = "pod" };
}

/* Medoid of each of k parts of consecutive snapshots, and distances from it. */
static lode_status in_order(lode_ctx *ctx, const lode_array *D, int64_t k, lode_i_kmedoids *m)
{
    lode_status st = LODE_OK;
    const int64_t n = D->shape[0];
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &k, &m->medoids));
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &n, &m->labels));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &n, &m->distance));
    for (int64_t c = 0; c < k; c++) {
        const int64_t from = c * n / k, to = (c + 1) * n / k;
        double least = INFINITY;
        int64_t best = from;
        for (int64_t x = from; x < to; x++) {
            double sum = 0;
            for (int64_t i = from; i < to; i++)
                sum += lode_i_get2(D, x, i);
            if (sum < least)
                least = sum, best = x;
        }
        lode_i_set1(&m->medoids, c, (double)best);
        for (int64_t i = from; i < to; i++) {
            lode_i_set1(&m->labels, i, (double)c);
            lode_i_set1(&m->distance, i, lode_i_get2(D, best, i));
        }
        m->cost += least;
    }
done:
    return st;
}

/* Of the snapshots that have a direction, in the numbers of all; the others are at distance 0 in the first
 * part. */
static lode_status renumber(lode_ctx *ctx, const lode_array *used, int64_t all, lode_i_kmedoids *m)
{
    lode_status st = LODE_OK;
    lode_array labels = { 0 }, distance = { 0 };
    LODE_TRY(lode_array_zeros(ctx, LODE_I64, 1, &all, &labels));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &all, &distance));
    for (int64_t i = 0; i < used->shape[0]; i++) {
        const int64_t at = (int64_t)lode_i_get1(used, i);
        lode_i_set1(&labels, at, lode_i_get1(&m->labels, i));
        lode_i_set1(&distance, at, lode_i_get1(&m->distance, i));
    }
    for (int64_t c = 0; c < m->medoids.shape[0]; c++)
        lode_i_set1(&m->medoids, c, lode_i_get1(used, (int64_t)lode_i_get1(&m->medoids, c)));
    lode_array_swap(&m->labels, &labels), lode_array_swap(&m->distance, &distance);
done:
    LODE_FREE(&labels, &distance);
    return st;
}

lode_status lode_i_pod_partition(lode_ctx *ctx, const lode_pod_opts *o, const lode_array *G,
                                 lode_i_kmedoids *m)
{
    lode_status st = LODE_OK;
    lode_array used = { 0 }, rows = { 0 }, some = { 0 }, D = { 0 };
    const int64_t N = G->shape[0];
    const bool broken = lode_i_broken(ctx, "piecewise-pod");
    const bool sine = o->partition != LODE_POD_EUCLID && !broken;
    int64_t count = 0;
    for (int64_t i = 0; i < N; i++)
        count += !sine || lode_i_get2(G, i, i) > 0;
    LODE_REQUIRE(count >= o->clusters || (count == 0 && o->clusters == 1), LODE_EPARAM,
                 "pod: %" PRId64 " clusters, but only %" PRId64
                 " snapshots are not zero, and others have no direction",
                 o->clusters, count);
    const bool all = count == N || count == 0 || o->partition == LODE_POD_ORDER;
    if (!all) {
        LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count, &used));
        for (int64_t i = 0, at = 0; i < N; i++)
            if (lode_i_get2(G, i, i) > 0)
                lode_i_set1(&used, at++, (double)i);
        LODE_TRY(lode_i_take(ctx, G, 0, &used, &rows));
        LODE_TRY(lode_i_take(ctx, &rows, 1, &used, &some));
        LODE_FREE(&rows);
    }
    LODE_TRY(lode_i_gram_distances(ctx, all ? G : &some, sine ? LODE_I_SINE : LODE_I_EUCLID, &D));
    LODE_FREE(&some);
    if (o->partition == LODE_POD_ORDER) {
        LODE_TRY(in_order(ctx, &D, o->clusters, m));
    } else {
        const lode_i_kmedoids_opts search = lode_i_pod_search(ctx, o);
        LODE_TRY(lode_i_kmedoids_fit(ctx, &D, &search, m));
    }
    if (!all)
        LODE_TRY(renumber(ctx, &used, N, m));
    for (int64_t i = 0; i < N && sine && all; i++)
        if (!(lode_i_get2(G, i, i) > 0)) { /* nothing is left of it wherever it is */
            m->cost -= lode_i_get1(&m->distance, i);
            lode_i_set1(&m->distance, i, 0);
        }
done:
    LODE_FREE(&used, &rows, &some, &D);
    return st;
}
