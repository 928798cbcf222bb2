/* Ranks of a train from the tails of its bonds. The error squared is at most the sum of the tails
 * (Oseledets 2011, Theorem 2.2), the number of values sum n_k r_k r_k+1: for a price of energy in
 * values the best ranks follow bond by bond, a shortest path. The price is found by halving, and what
 * the budget still allows is used by lowering single ranks. */
#include "linop/tt_run.h"

#include <math.h>
#include <string.h>

enum { CANDIDATES = 96, HALVINGS = 60 };

double lode_i_tt_values(int d, const int64_t *n, const int64_t *rank)
{
    double values = 0;
    for (int k = 0; k < d; k++)
        values += (double)n[k] * (double)(k ? rank[k - 1] : 1) * (double)(k < d - 1 ? rank[k] : 1);
    return values;
}

static double tails(const lode_i_bonds *b, const int64_t *rank)
{
    double sum = 0;
    for (int k = 0; k < b->d - 1; k++)
        sum += b->tail[k][lode_i_min(rank[k], b->most[k])];
    return sum;
}

/* Ranks that a bond may take: all, or closer ones below and wider ones above. */
typedef struct paths {
    const lode_i_bonds *b;
    int count[LODE_MAX_NDIM];
    int64_t (*rank)[CANDIDATES];
    int (*from)[CANDIDATES];
} paths;

static lode_status open_paths(lode_ctx *ctx, const lode_i_bonds *b, const int64_t *cap, paths *p)
{
    lode_status st = LODE_OK;
    *p = (paths){ .b = b };
    LODE_TRY(LODE_NEW(ctx, b->d, &p->rank));
    LODE_TRY(LODE_NEW(ctx, b->d, &p->from));
    for (int k = 0; k < b->d - 1; k++) {
        const int64_t most = lode_i_max(1, lode_i_min(cap[k], b->most[k]));
        const int half = CANDIDATES / 2;
        double r = 1;
        for (int i = 0; i < CANDIDATES && (int64_t)r <= most; i++) {
            p->rank[k][p->count[k]++] = (int64_t)r;
            if (i == CANDIDATES - 2 || (int64_t)r == most) {
                r = (double)most + (double)((int64_t)r == most);
                continue;
            }
            const double left = CANDIDATES - 2 - i, wide = pow((double)most / r, 1 / fmax(left, 1));
            r = most <= CANDIDATES || i < half ? r + 1 : fmax(r + 1, floor(r * wide));
        }
    }
done:
    return st;
}

static void close_paths(paths *p)
{
    lode_i_free(p->rank);
    lode_i_free(p->from);
}

/* Least sum of n_k r_k r_k+1 + price tail_k(r_k). */
static void shortest(const paths *p, double price, int64_t *rank)
{
    const lode_i_bonds *b = p->b;
    const int last = b->d - 2;
    double cost[CANDIDATES], next[CANDIDATES];
    for (int j = 0; j < p->count[0]; j++)
        cost[j] = (double)b->n[0] * (double)p->rank[0][j] + price * b->tail[0][p->rank[0][j]];
    for (int k = 1; k <= last; k++) {
        for (int j = 0; j < p->count[k]; j++) {
            const double r = (double)p->rank[k][j] * (double)b->n[k];
            double least = INFINITY;
            int at = 0;
            for (int i = 0; i < p->count[k - 1]; i++) {
                const double c = cost[i] + r * (double)p->rank[k - 1][i];
                if (c < least)
                    least = c, at = i;
            }
            next[j] = least + price * b->tail[k][p->rank[k][j]];
            p->from[k][j] = at;
        }
        memcpy(cost, next, sizeof cost);
    }
    int best = 0;
    double least = INFINITY;
    for (int j = 0; j < p->count[last]; j++) {
        const double c = cost[j] + (double)b->n[b->d - 1] * (double)p->rank[last][j];
        if (c < least)
            least = c, best = j;
    }
    for (int k = last; k >= 0; k--) {
        rank[k] = p->rank[k][best];
        best = k ? p->from[k][best] : 0;
    }
}

/* Prices between which ranks go from all 1 to the largest. */
static void price_range(const paths *p, double *low, double *high)
{
    const lode_i_bonds *b = p->b;
    double total = 0, values = 1;
    for (int k = 0; k < b->d - 1; k++)
        total = fmax(total, b->tail[k][0]);
    for (int k = 0; k < b->d; k++)
        values += (double)b->n[k] * (double)(k ? b->most[k - 1] : 1) *
                  (double)(k < b->d - 1 ? b->most[k] : 1);
    *low = log(1e-3 / fmax(total, 1e-300));
    *high = log(1e34 * values / fmax(total, 1e-300));
}

static void saving(const lode_i_bonds *b, const int64_t *rank, int k, double *values)
{
    *values = (double)b->n[k] * (double)(k ? rank[k - 1] : 1) +
              (double)b->n[k + 1] * (double)(k < b->d - 2 ? rank[k + 1] : 1);
}

void lode_i_tt_lower(const lode_i_bonds *b, double allowed, int64_t *rank)
{
    double left = allowed - tails(b, rank);
    for (;;) {
        double best = 0, took = 0;
        int at = -1;
        for (int k = 0; k < b->d - 1; k++) {
            double values;
            if (rank[k] <= 1 || rank[k] > b->most[k])
                continue;
            const double more = b->tail[k][rank[k] - 1] - b->tail[k][rank[k]];
            saving(b, rank, k, &values);
            if (more <= left && values > best * fmax(more, 1e-300))
                best = values / fmax(more, 1e-300), took = more, at = k;
        }
        if (at < 0)
            return;
        rank[at]--;
        left -= took;
    }
}

lode_status lode_i_tt_plan(lode_ctx *ctx, const lode_i_bonds *b, const int64_t *cap, double allowed,
                           int64_t *rank, bool *met)
{
    lode_status st = LODE_OK;
    paths p = { 0 };
    int64_t r[LODE_MAX_NDIM];
    double low, high;
    LODE_TRY(open_paths(ctx, b, cap, &p));
    for (int k = 0; k < b->d - 1; k++)
        rank[k] = lode_i_max(1, lode_i_min(cap[k], b->most[k]));
    *met = tails(b, rank) <= allowed;
    if (!*met)
        goto done;
    price_range(&p, &low, &high);
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = 0.5 * (low + high);
        shortest(&p, exp(middle), r);
        if (tails(b, r) <= allowed) {
            if (lode_i_tt_values(b->d, b->n, r) <= lode_i_tt_values(b->d, b->n, rank))
                memcpy(rank, r, sizeof r);
            high = middle;
        } else {
            low = middle;
        }
    }
    lode_i_tt_lower(b, allowed, rank);
done:
    close_paths(&p);
    return st;
}

lode_status lode_i_tt_within(lode_ctx *ctx, const lode_i_bonds *b, const int64_t *cap,
                             double values, int64_t *rank)
{
    lode_status st = LODE_OK;
    paths p = { 0 };
    int64_t r[LODE_MAX_NDIM];
    double low, high;
    LODE_TRY(open_paths(ctx, b, cap, &p));
    for (int k = 0; k < b->d - 1; k++)
        rank[k] = 1;
    price_range(&p, &low, &high);
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = 0.5 * (low + high);
        shortest(&p, exp(middle), r);
        if (lode_i_tt_values(b->d, b->n, r) <= values) {
            memcpy(rank, r, sizeof r);
            low = middle;
        } else {
            high = middle;
        }
    }
    for (double left = values - lode_i_tt_values(b->d, b->n, rank);;) { /* what fits still */
        double best = 0, took = 0;
        int at = -1;
        for (int k = 0; k < b->d - 1; k++) {
            double more;
            if (rank[k] >= lode_i_min(cap[k], b->most[k]))
                continue;
            saving(b, rank, k, &more);
            const double gain = b->tail[k][rank[k]] - b->tail[k][rank[k] + 1];
            if (more <= left && gain > best * more)
                best = gain / more, took = more, at = k;
        }
        if (at < 0)
            break;
        rank[at]++;
        left -= took;
    }
done:
    close_paths(&p);
    return st;
}
