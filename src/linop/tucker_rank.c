/* Ranks from the whole error budget. The energy outside a leading sub-core of the generous core G
 * is
 *   D(r) = lost + sum over entries with i_k >= r_k for some k of |G_i|^2,
 * exactly, because the bases are orthonormal; it splits without cancellation into
 *   D(r) = lost + sum_k T_k(r_0..r_k),  T_k = energy with i_j < r_j for j < k, i_k >= r_k, any i_j
 *   for j > k.
 * Each T_k is a prefix sum over all axes but the last and a suffix sum over that one. So every
 * candidate of a grid costs d additions, and the smallest feasible core is found by looking at all
 * of them: no share of the budget is fixed for a mode beforehand. Ranges that no feasible choice
 * can leave are cut off first; a grid still too large is looked at coarsely, then again finely
 * around the best. */
#include "linop/tucker.h"

#include "array/box.h"

#include <math.h>
#include <string.h>

enum { GRID = 1 << 18, ROUNDS = 32 }; /* candidates looked at in one round; rounds at most */

typedef struct grid {
    int d;
    int64_t lo[LODE_MAX_NDIM], hi[LODE_MAX_NDIM]; /* ranks, both included */
    int64_t n[LODE_MAX_NDIM];                     /* candidates a mode */
    int64_t bins[LODE_MAX_NDIM];  /* one more where the cap leaves a part that no candidate takes */
    double *table[LODE_MAX_NDIM]; /* T_k */
    double *all;
} grid;

/* Candidate j of mode k: evenly spread from lo to hi. */
static int64_t rank_at(const grid *g, int k, int64_t j)
{
    if (g->n[k] == 1)
        return g->hi[k];
    return g->lo[k] + (g->hi[k] - g->lo[k]) * j / (g->n[k] - 1);
}

static void size_grid(grid *g, const int64_t *size)
{
    for (int k = 0; k < g->d; k++)
        g->n[k] = g->hi[k] - g->lo[k] + 1;
    for (;;) {
        double total = 1;
        int longest = 0;
        for (int k = 0; k < g->d; k++) {
            g->bins[k] = g->n[k] + (g->hi[k] < size[k]);
            total *= (double)g->bins[k];
            if (g->n[k] > g->n[longest])
                longest = k;
        }
        if (total <= GRID || g->n[longest] == 1)
            break;
        g->n[longest] = g->n[longest] > 3 ? g->n[longest] / 2 + 1 : g->n[longest] - 1;
    }
}

/* From the energies of bins over modes 0..k, in table[k], those over modes 0..k-1 and T_k in
 * place. */
static void make_tables(grid *g)
{
    int64_t size = 1;
    for (int k = 0; k < g->d; k++)
        size *= g->bins[k];
    for (int k = g->d - 1; k >= 0; k--) {
        const int64_t b = g->bins[k], rows = size / b;
        double *T = g->table[k];
        for (int64_t i = 0; i < rows; i++) {
            double *t = T + i * b, sum = 0;
            for (int64_t j = b - 1; j >= 0; j--) { /* suffix, without the bin itself */
                const double e = t[j];
                t[j] = sum;
                sum += e;
            }
            if (k > 0)
                g->table[k - 1][i] = sum;
        }
        int64_t inner = b; /* prefix, with the bin itself, over the axes before */
        for (int a = k - 1; a >= 0; inner *= g->bins[a--])
            for (int64_t o = 0; o < rows * b; o += inner * g->bins[a])
                for (int64_t i = inner; i < inner * g->bins[a]; i++)
                    T[o + i] += T[o + i - inner];
        size = rows;
    }
}

static lode_status measure(lode_ctx *ctx, const lode_i_choice *c, grid *g)
{
    lode_status st = LODE_OK;
    int32_t *bins = NULL, *bin[LODE_MAX_NDIM];
    int64_t total = 0, length = 0, size = 1;
    g->all = NULL;
    for (int k = 0; k < g->d; k++) {
        size *= g->bins[k], total += size;
        length += c->core->shape[k];
    }
    LODE_TRY(LODE_NEW(ctx, total, &g->all));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &bins));
    size = 1, total = 0, length = 0;
    for (int k = 0; k < g->d; k++) {
        size *= g->bins[k];
        g->table[k] = g->all + total, total += size;
        bin[k] = bins + length, length += c->core->shape[k];
        int64_t j = 0;
        for (int64_t i = 0; i < c->core->shape[k]; i++) {
            while (j < g->n[k] && i >= rank_at(g, k, j))
                j++;
            bin[k][c->order[k][i]] = (int32_t)j;
        }
    }
    LODE_TRY(lode_i_bin_energies(ctx, c->core, (const int32_t *const *)bin, g->bins,
                                 g->table[g->d - 1]));
    make_tables(g);
done:
    lode_i_free(bins);
    return st;
}

/* Looks at every feasible candidate with a core of at most `within` entries: the one with the
 * fewest entries, or the fewest parameters. */
static bool look(const grid *g, const lode_i_choice *c, double within, bool parameters,
                 double *least, int64_t *best)
{
    int64_t at[LODE_MAX_NDIM] = { 0 }, place[LODE_MAX_NDIM + 1] = { 0 };
    double outside[LODE_MAX_NDIM + 1], core[LODE_MAX_NDIM + 1], factors[LODE_MAX_NDIM + 1];
    bool found = false;
    outside[0] = c->lost, core[0] = 1, factors[0] = 0;
    for (int k = 0;;) {
        if (at[k] == g->n[k]) {
            at[k] = 0;
            if (k-- == 0)
                break;
            at[k]++;
            continue;
        }
        const double r = (double)rank_at(g, k, at[k]);
        place[k + 1] = place[k] * g->bins[k] + at[k];
        outside[k + 1] = outside[k] + g->table[k][place[k + 1]];
        core[k + 1] = core[k] * r, factors[k + 1] = factors[k] + r * (double)c->shape[k];
        if (outside[k + 1] > c->allowed || core[k + 1] > within) {
            at[k]++;
            continue;
        }
        if (k + 1 < g->d) {
            k++;
            continue;
        }
        const double score = parameters ? core[g->d] + factors[g->d] : core[g->d];
        if (!found || score < *least) {
            found = true, *least = score;
            memcpy(best, at, sizeof at);
        }
        at[k]++;
    }
    return found;
}

lode_status lode_i_choose_ranks(lode_ctx *ctx, const lode_i_choice *c, int64_t *rank, bool *met)
{
    lode_status st = LODE_OK;
    grid g = { .d = c->core->ndim };
    bool exact = false, feasible = true;
    for (int k = 0; k < g.d; k++) {
        double tail = 0;
        int64_t r = c->core->shape[k];
        g.hi[k] = lode_i_min(r, c->cap[k]);
        while (r > 1 && c->lost + tail + c->energy[k][r - 1] <= c->allowed)
            tail += c->energy[k][--r];
        g.lo[k] = r;
        feasible = feasible && g.lo[k] <= g.hi[k];
        rank[k] = g.hi[k];
    }
    *met = false;
    if (!feasible)
        goto done;
    for (int round = 0; !exact && round < ROUNDS; round++) {
        int64_t best[LODE_MAX_NDIM] = { 0 };
        double least = 0, fewest = 0;
        size_grid(&g, c->core->shape);
        LODE_TRY(measure(ctx, c, &g));
        if (!look(&g, c, INFINITY, false, &least, best))
            goto done; /* in the first round only: later ones contain the best so far */
        look(&g, c, least * 1.05, true, &fewest, best);
        exact = true;
        for (int k = 0; k < g.d; k++) {
            const int64_t at = best[k], low = at > 0 ? rank_at(&g, k, at - 1) + 1 : g.lo[k];
            const int64_t high = at + 1 < g.n[k] ? rank_at(&g, k, at + 1) : g.hi[k];
            rank[k] = rank_at(&g, k, at);
            if (g.n[k] < g.hi[k] - g.lo[k] + 1) {
                /* no finer grid fits: stop here */
                exact = exact && high - low + 1 >= g.hi[k] - g.lo[k] + 1;
                g.lo[k] = low, g.hi[k] = high;
            }
        }
        lode_i_free(g.all);
        g.all = NULL;
    }
    *met = true;
done:
    lode_i_free(g.all);
    return st;
}
