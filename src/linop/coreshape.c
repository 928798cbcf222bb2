/* Core shapes under a budget: branch and bound on the Tucker packing problem
 *     min sum_i tail_i(r_i)   subject to   prod_i r_i + sum_i n_i r_i <= c.
 * The paper proves it NP-hard and gives a scheme by 2-dimensional knapsack with one item a mode;
 * its practical form is an integer program. Here the same program is solved by depth first search:
 * modes are fixed one by one, the last by division, and a branch is cut by the Lagrangian dual of
 * the knapsack in the logarithms of the ranks,
 *     sum_j tail_j(r_j) >= max_l  sum_j min_r (tail_j(r) + l log r) - l log S,   prod_j r_j <=
 *     S. */
#include "linop/coreshape.h"

#include <math.h>
#include <string.h>

enum { PRICES = 48, NODES = 20000000 };

typedef struct packing {
    int ndim;
    int mode[LODE_MAX_NDIM]; /* order of branching; the longest mode last */
    /* n and the largest useful rank, in that order */
    int64_t size[LODE_MAX_NDIM], most[LODE_MAX_NDIM];
    double *tail[LODE_MAX_NDIM]; /* tail[k][r], r = 0..most[k] */
    double budget;
    double price[PRICES];
    double dual[LODE_MAX_NDIM + 1][PRICES]; /* modes k and later, at each price */
    double rest[LODE_MAX_NDIM + 1];         /* sum of sizes of modes k and later */
    int64_t rank[LODE_MAX_NDIM], best[LODE_MAX_NDIM];
    double loss;
    int64_t nodes;
} packing;

static void keep_if_better(packing *p, double loss)
{
    if (loss < p->loss) {
        p->loss = loss;
        memcpy(p->best, p->rank, sizeof p->best);
    }
}

/* Least possible loss of modes k and later when their ranks' product is at most S. */
static double bound(const packing *p, int k, double S)
{
    const double logS = log(S);
    double most = 0;
    for (int l = 0; l < PRICES; l++)
        most = fmax(most, p->dual[k][l] - p->price[l] * logS);
    /* the logarithms are rounded: the bound must stay below what it bounds */
    return most - 1e-9 * fabs(p->dual[k][PRICES - 1]);
}

static void search(packing *p, int k, double product, double linear, double loss)
{
    const double n = (double)p->size[k];
    /* prod r <= budget - factors, the open modes having at least rank 1 */
    const double cap = floor((p->budget - linear - p->rest[k + 1]) / (product + n));
    int64_t r = cap < (double)p->most[k] ? (int64_t)cap : p->most[k];
    if (r < 1 || p->nodes++ > NODES)
        return;
    if (k == p->ndim - 1) {
        p->rank[k] = r;
        keep_if_better(p, loss + p->tail[k][r]);
        return;
    }
    const double loosest = bound(p, k + 1, (p->budget - linear - n - p->rest[k + 1]) / product);
    for (; r >= 1 && p->nodes <= NODES; r--) {
        const double here = loss + p->tail[k][r];
        if (here + loosest >= p->loss)
            break; /* smaller ranks lose more here and gain at most `loosest` there */
        const double used = linear + n * (double)r,
                     S = (p->budget - used - p->rest[k + 1]) / (product * (double)r);
        p->rank[k] = r;
        if (S >= 1 && here + bound(p, k + 1, S) < p->loss)
            search(p, k + 1, product * (double)r, used, here);
    }
}

/* A first solution: the rank whose increase saves most for its size, until nothing fits. */
static void greedy(packing *p)
{
    double product = 1, linear = p->rest[0], loss = 0;
    for (int k = 0; k < p->ndim; k++) {
        p->rank[k] = 1;
        loss += p->tail[k][1];
    }
    for (;;) {
        int chosen = -1;
        double gain = 0;
        for (int k = 0; k < p->ndim; k++) {
            const double cost = product / (double)p->rank[k] + (double)p->size[k];
            if (p->rank[k] >= p->most[k] || product + linear + cost > p->budget)
                continue;
            const double saved = (p->tail[k][p->rank[k]] - p->tail[k][p->rank[k] + 1]) / cost;
            if (chosen < 0 || saved > gain)
                chosen = k, gain = saved;
        }
        if (chosen < 0)
            break;
        product += product / (double)p->rank[chosen];
        linear += (double)p->size[chosen];
        loss -= p->tail[chosen][p->rank[chosen]] - p->tail[chosen][p->rank[chosen] + 1];
        p->rank[chosen]++;
    }
    loss = 0; /* summed anew: the search compares it with sums of this order */
    for (int k = 0; k < p->ndim; k++)
        loss += p->tail[k][p->rank[k]];
    keep_if_better(p, loss);
}

/* The idea turned off: one rank for all modes, the largest that fits. */
static void equal_ranks(packing *p)
{
    for (int64_t r = 1, longest = 1; r <= longest; r++) {
        double product = 1, linear = 0, loss = 0;
        for (int k = 0; k < p->ndim; k++) {
            p->rank[k] = lode_i_min(r, p->most[k]);
            longest = lode_i_max(longest, p->most[k]);
            product *= (double)p->rank[k], linear += (double)(p->size[k] * p->rank[k]);
            loss += p->tail[k][p->rank[k]];
        }
        if (product + linear > p->budget)
            break;
        keep_if_better(p, loss);
    }
}

static void prepare(packing *p, const int64_t *shape, const double *const *spectra,
                    const int64_t *count)
{
    double total = 0;
    for (int k = 0; k < p->ndim; k++) {
        const int m = p->mode[k];
        int64_t n = lode_i_max(1, lode_i_min(shape[m], count[m]));
        p->size[k] = shape[m];
        p->tail[k][n] = 0;
        for (int64_t r = n - 1; r >= 0; r--) {
            const double s = r < count[m] ? spectra[m][r] : 0;
            p->tail[k][r] = p->tail[k][r + 1] + s * s;
        }
        while (n > 1 && !(p->tail[k][n - 1] > p->tail[k][n]))
            n--; /* nothing to gain beyond */
        p->most[k] = n;
        total = fmax(total, p->tail[k][0]);
    }
    for (int l = 0; l < PRICES;
         l++) /* from the whole energy an octave down to 1e-14 of it; and no price */
        p->price[l] = l == 0 ? 0 : total * pow(10, -14.0 * (PRICES - 1 - l) / (PRICES - 2));
    for (int k = p->ndim - 1; k >= 0; k--) {
        p->rest[k] = p->rest[k + 1] + (double)p->size[k];
        for (int l = 0; l < PRICES; l++) {
            double least = INFINITY;
            for (int64_t r = 1; r <= p->most[k]; r++)
                least = fmin(least, p->tail[k][r] + p->price[l] * log((double)r));
            p->dual[k][l] = p->dual[k + 1][l] + least;
        }
    }
}

lode_status lode_i_core_shape(lode_ctx *ctx, int ndim, const int64_t *shape,
                              const double *const *spectra, const int64_t *count, double params,
                              int64_t *ranks, double *predicted, bool *proved)
{
    lode_status st = LODE_OK;
    packing *p = NULL;
    double smallest = 1;

    for (int k = 0; k < ndim; k++)
        smallest += (double)shape[k];
    LODE_REQUIRE(
        ndim > 0 && smallest <= params, LODE_EPARAM,
        "a budget of %g numbers holds no Tucker decomposition of this shape; ranks of 1 take %.0f",
        params, smallest);
    LODE_TRY(lode_i_calloc(ctx, sizeof *p, (void **)&p));
    p->ndim = ndim;
    p->budget = floor(params);
    p->loss = INFINITY;
    for (int k = 0; k < ndim; k++) { /* insertion by length; equals keep their order */
        int at = k;
        for (; at > 0 && lode_i_min(shape[p->mode[at - 1]], count[p->mode[at - 1]]) >
                             lode_i_min(shape[k], count[k]);
             at--)
            p->mode[at] = p->mode[at - 1];
        p->mode[at] = k;
    }
    for (int k = 0; k < ndim; k++) {
        const int m = p->mode[k];
        LODE_TRY(LODE_NEW(ctx, lode_i_max(1, lode_i_min(shape[m], count[m])) + 1, &p->tail[k]));
    }
    prepare(p, shape, spectra, count);
    if (lode_i_broken(ctx, "tucker-packing")) {
        equal_ranks(p);
    } else {
        greedy(p);
        search(p, 0, 1, 0, 0);
    }
    for (int k = 0; k < ndim; k++)
        ranks[p->mode[k]] = p->best[k];
    if (predicted)
        *predicted = sqrt(p->loss);
    if (proved)
        *proved = p->nodes <= NODES;
    if (p->nodes > NODES)
        lode_i_log(ctx, "core shape: the search stopped after %d nodes; ranks may not be the best",
                   (int)NODES);
done:
    for (int k = 0; p && k < ndim; k++)
        lode_i_free(p->tail[k]);
    lode_i_free(p);
    return st;
}
