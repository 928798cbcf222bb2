/* Task report: norms, ranks and energies of weights, of what two checkpoints differ by, or of an adapter. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* Shorter side from which values come of a Gram matrix in double precision, which holds them down to
 * 1e-8 of the largest: half of the work, and a report needs no more. */
enum { SQUARES = 1024 };

static lode_status all_values(lode_ctx *ctx, const lode_array *D, lode_array *s)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    const int64_t side = lode_i_min(D->shape[0], D->shape[1]);
    if (side <= SQUARES)
        return lode_i_svd(ctx, D, side, NULL, s, NULL);
    LODE_TRY(lode_i_mode_gram(ctx, D, D->shape[0] <= D->shape[1] ? 0 : 1, true, &G));
    LODE_TRY(lode_i_eigh(ctx, &G, side, s, NULL));
    for (int64_t i = 0; i < side; i++)
        lode_i_set1(s, i, sqrt(fmax(lode_i_get1(s, i), 0)));
done:
    LODE_FREE(&G);
    return st;
}

/* What the singular values say; squares are relative to the sum, so that none overflows. */
static void describe(const lode_array *s, lode_dtype dtype, lode_i_row *row)
{
    const int64_t n = s->shape[0];
    const double top = n > 0 ? lode_i_get1(s, 0) : 0;
    const double least = top * lode_i_epsilon(dtype) * (double)lode_i_max(row->rows, row->cols);
    double sum = 0, so_far = 0, entropy = 0;
    int64_t above = 0, next = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = lode_i_get1(s, i);
        above += v > least;
        sum += top > 0 ? v / top * (v / top) : 0;
    }
    for (int64_t i = 0; i < n && top > 0; i++) {
        const double v = lode_i_get1(s, i) / top, share = v * v / sum;
        so_far += share;
        entropy -= share > 0 ? share * log(share) : 0;
        if (next < LODE_I_ENERGIES && i + 1 == (int64_t)1 << next)
            row->energy[next++] = fmin(so_far, 1);
    }
    row->rank = above;
    row->numerical = (double)above, row->effective = top > 0 ? exp(entropy) : 0, row->stable = sum;
}

static lode_status pair(lode_ctx *ctx, const lode_i_layer *l, lode_i_row *row)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, A = { 0 }, s = { 0 };
    const lode_i_want want = { .most = l->rank, .tail = -1 };
    LODE_TRY(lode_i_adapter_pair_load(ctx, l, lode_i_adapter_type(l), &B, &A));
    LODE_TRY(lode_i_scale(ctx, l->scale, &B));
    const lode_array At = lode_i_transposed(&A);
    LODE_TRY(lode_i_adapter_core(ctx, &B, &At, &want, &row->norm, NULL, &s, NULL));
    row->what = "adapter", row->kept = row->norm, row->rank = 0;
    if (s.data)
        describe(&s, B.dtype, row);
done:
    LODE_FREE(&B, &A, &s);
    return st;
}

static lode_status weight(lode_ctx *ctx, const lode_i_adapter *a, const lode_i_layer *l,
                          lode_i_row *row)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, s = { 0 };
    const lode_dtype dtype = lode_i_adapter_type(l);
    if (a->files == 1) {
        if (l->other.kind == LODE_NONE)
            goto done;
        LODE_TRY(lode_i_adapter_load(ctx, l->name, l->other, l->rows, l->cols, dtype, &D, NULL));
        LODE_TRY(lode_i_adapter_add(ctx, l->name, -1, l->value, &D, &row->base));
        LODE_TRY(lode_i_norm_fro(ctx, &D, &row->norm));
        row->what = row->norm > 0 ? "difference" : "unchanged";
    } else {
        LODE_TRY(
            lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols, dtype, &D, &row->norm));
        row->base = row->norm;
    }
    row->kept = row->norm;
    if (l->fate != LODE_I_WEIGHT || !(row->norm > 0))
        goto done;
    LODE_TRY(all_values(ctx, &D, &s));
    describe(&s, dtype, row);
done:
    LODE_FREE(&D, &s);
    return st;
}

lode_status lode_i_adapter_report(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        lode_i_row row = lode_i_row_of(l, l->fate == LODE_I_WEIGHT ? "weight" : "other");
        LODE_FORWARD(lode_i_tick(ctx, i, a->layers.count));
        if (l->rank > 0)
            LODE_FORWARD(pair(ctx, l, &row));
        else if (l->fate != LODE_I_KEPT && l->ndim > 0 && l->rows * l->cols > 0)
            LODE_FORWARD(weight(ctx, a, l, &row));
        LODE_FORWARD(lode_i_product_row(ctx, p, &row));
    }
    snprintf(p->note, sizeof p->note, "nothing is approximated");
    return lode_i_product_finish(ctx, a, p, false, NULL);
}
