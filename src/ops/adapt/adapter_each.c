/* The layers of adapter one after another: ranks from the options, or from one budget for all. */
#include <math.h>

#include "ops/adapt/adapter.h"

enum { AUTO_PERCENT = 10 }; /* error where neither rank, error nor budget is given */

int64_t lode_i_adapter_most(const lode_adapter_opts *o, const lode_i_layer *l, bool whole)
{
    const int64_t side = lode_i_min(l->rows, l->cols), even = lode_i_break_even(l->rows, l->cols);
    const int64_t cap = o->max_rank.given ? lode_i_min(o->max_rank.value, side) : side;
    if (o->rank.count > 0) {
        const int64_t r = lode_i_min(o->rank.value[0], cap);
        return r > even ? (whole ? -1 : lode_i_max(even, 1)) : r;
    }
    return lode_i_min(cap, lode_i_max(even, whole ? 0 : 1));
}

double lode_i_adapter_budget(const lode_adapter_opts *o, double values, double kept_bytes,
                             double kept, double width)
{
    switch (o->budget.kind) {
    case LODE_BUDGET_PARAMS: return o->budget.value - kept;
    case LODE_BUDGET_BYTES: return (o->budget.value - kept_bytes) / width;
    case LODE_BUDGET_BITS: return (o->budget.value * values / 8 - kept_bytes) / width;
    default: return INFINITY;
    }
}

/* Spectra of all layers, and the ranks that the budget buys. */
static lode_status share_out(lode_ctx *ctx, lode_i_adapter *a, const lode_i_deed *d, double params,
                             int64_t *rank)
{
    lode_status st = LODE_OK;
    const int64_t n = a->layers.count;
    lode_i_spend s = { .dense = d->dense, .least = d->least, .params = params };
    lode_array *values = NULL;
    double *square = NULL, *weight = NULL;
    int64_t *rows = NULL, *cols = NULL, *at = NULL, *found = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)(n + 1) * sizeof *values, (void **)&values));
    LODE_TRY(LODE_NEW(ctx, n + 1, &square));
    LODE_TRY(LODE_NEW(ctx, n + 1, &weight));
    LODE_TRY(LODE_NEW(ctx, n + 1, &rows));
    LODE_TRY(LODE_NEW(ctx, n + 1, &cols));
    LODE_TRY(LODE_NEW(ctx, n + 1, &at));
    LODE_TRY(LODE_NEW(ctx, n + 1, &found));
    for (int64_t i = 0; i < n; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        double norm = 0;
        rank[i] = 0;
        if (l->fate != LODE_I_WEIGHT)
            continue;
        LODE_TRY(lode_i_tick(ctx, i, n));
        const lode_i_want want = { .most = lode_i_max(lode_i_adapter_most(a->o, l, d->dense), 0),
                                   .tail = -1 };
        lode_array *v = &values[s.layers];
        if (want.most > 0)
            LODE_TRY(d->spectrum(ctx, a, l, &want, &norm, v));
        else
            LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 0, v));
        if (norm > 0 || d->dense) {
            square[s.layers] = norm * norm, rows[s.layers] = l->rows, cols[s.layers] = l->cols;
            weight[s.layers] = d->weighed && norm > 0 ? 1 / (norm * norm) : 1;
            at[s.layers++] = i;
        } else {
            lode_array_free(v);
        }
    }
    s.s = values, s.square = square, s.weight = weight, s.rows = rows, s.cols = cols;
    LODE_TRY(lode_i_adapter_spend(ctx, &s, found));
    for (int64_t k = 0; k < s.layers; k++)
        rank[at[k]] = found[k];
done:
    for (int64_t i = 0; values && i < n; i++)
        LODE_FREE(&values[i]);
    lode_i_free(values);
    lode_i_free(square);
    lode_i_free(weight);
    lode_i_free(rows);
    lode_i_free(cols);
    lode_i_free(at);
    lode_i_free(found);
    return st;
}

lode_status lode_i_adapter_each(lode_ctx *ctx, lode_i_adapter *a, const lode_i_deed *d,
                                double params, lode_i_product *p)
{
    lode_status st = LODE_OK;
    const lode_adapter_opts *o = a->o;
    const bool shared = o->budget.kind != LODE_BUDGET_NONE;
    const int64_t n = a->layers.count;
    int64_t *rank = NULL;
    LODE_TRY(LODE_NEW(ctx, n + 1, &rank));
    if (shared) {
        lode_i_stage(ctx, "spectra", 0, 0.5);
        LODE_TRY(share_out(ctx, a, d, params, rank));
        lode_i_stage(ctx, "layers", 0.5, 1);
    }
    for (int64_t i = 0; i < n; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        LODE_TRY(lode_i_tick(ctx, i, n));
        lode_i_want want = { .tail = -1 };
        if (l->fate == LODE_I_WEIGHT) {
            want.most = shared ? rank[i] : lode_i_adapter_most(o, l, d->dense);
            want.relative = o->error.kind != LODE_ERROR_FRO;
            if (!shared && o->rank.count == 0)
                want.tail = o->error.kind == LODE_ERROR_NONE ? AUTO_PERCENT / 100.0
                                                             : o->error.value;
        }
        LODE_TRY(d->finish(ctx, a, l, &want, p));
    }
done:
    lode_i_free(rank);
    return st;
}
