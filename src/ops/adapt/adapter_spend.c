/* Ranks of all layers from one budget of numbers.
 *
 * Rank k of a layer m x n costs k (m + n) numbers and leaves out the squares of its later singular values,
 * so what a number buys falls with k: the best ranks take, step after step, the largest square per
 * number over all layers. A layer may also be kept as it is, for mn numbers and no error; from rank k
 * that step buys the whole rest for mn - k (m + n), and stands beside the next rank's. What is taken
 * so lies on the concave hull of each layer's curve, so that no other choice of the same cost has less
 * error; only where a step no longer fits do cheaper ones fill up what is left. */
#include <math.h>

#include "ops/adapt/adapter.h"

typedef struct step {
    bool some, dense;
    double gain, cost;
} step;

static double cost_of(const lode_i_spend *s, int64_t i)
{
    return (double)(s->rows[i] + s->cols[i]);
}

/* Squares that rank k leaves out. */
static double rest_of(const lode_i_spend *s, int64_t i, int64_t k)
{
    double rest = s->square[i];
    for (int64_t j = 0; j < k; j++) {
        const double v = lode_i_get1(&s->s[i], j);
        rest -= v * v;
    }
    return fmax(rest, 0);
}

/* What a layer that has rank k buys next for the most per number, among what fits. */
static step next_step(const lode_i_spend *s, int64_t i, int64_t k, double rest, double left)
{
    const double one = cost_of(s, i), all = (double)s->rows[i] * (double)s->cols[i];
    step best = { 0 };
    if (k < s->s[i].shape[0] && one <= left) {
        const double v = lode_i_get1(&s->s[i], k);
        best = (step){ .some = true, .gain = s->weight[i] * v * v, .cost = one };
    }
    const double more = fmax(all - (double)k * one, 0.5);
    const step dense = { .some = true, .dense = true, .gain = s->weight[i] * rest, .cost = more };
    if (s->dense && more <= left && (!best.some || dense.gain * best.cost >= best.gain * more))
        best = dense;
    return best;
}

lode_status lode_i_adapter_spend(lode_ctx *ctx, const lode_i_spend *s, int64_t *rank)
{
    lode_status st = LODE_OK;
    double *rest = NULL, spent = 0;
    LODE_TRY(LODE_NEW(ctx, s->layers, &rest));
    for (int64_t i = 0; i < s->layers; i++) {
        const double all = (double)s->rows[i] * (double)s->cols[i];
        rank[i] = s->dense && (double)s->least * cost_of(s, i) >= all ? -1 : s->least;
        rest[i] = rest_of(s, i, rank[i] > 0 ? lode_i_min(rank[i], s->s[i].shape[0]) : 0);
        spent += rank[i] < 0 ? all : (double)rank[i] * cost_of(s, i);
    }
    LODE_REQUIRE(spent <= s->params, LODE_EPARAM,
                 "adapter: the budget leaves %.0f numbers for the layers; rank %" PRId64
                 " of each takes %.0f",
                 fmax(s->params, 0), s->least, spent);
    for (;;) {
        step best = { 0 };
        int64_t at = -1;
        for (int64_t i = 0; i < s->layers; i++) {
            if (rank[i] < 0)
                continue;
            const step t = next_step(s, i, rank[i], rest[i], s->params - spent);
            if (t.some && t.gain > 0 && (at < 0 || t.gain * best.cost > best.gain * t.cost))
                best = t, at = i;
        }
        if (at < 0)
            break;
        spent += best.cost;
        if (best.dense) {
            rank[at] = -1;
        } else {
            const double v = lode_i_get1(&s->s[at], rank[at]++);
            rest[at] = fmax(rest[at] - v * v, 0);
        }
    }
done:
    lode_i_free(rest);
    return st;
}
