/* Task extract: the difference of two checkpoints, layer by layer, as an adapter. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* D = W1 - W0 in the type of computing, its norm and that of W0. */
static lode_status difference(lode_ctx *ctx, const lode_i_layer *l, lode_array *D, double *norm,
                              double *before)
{
    LODE_FORWARD(lode_i_adapter_load(ctx, l->name, l->other, l->rows, l->cols,
                                     lode_i_adapter_type(l), D, NULL));
    LODE_FORWARD(lode_i_adapter_add(ctx, l->name, -1, l->value, D, before));
    LODE_FORWARD(lode_i_norm_fro(ctx, D, norm));
    if (!isfinite(*norm))
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "adapter: the difference of %s leaves the range of %s", l->name,
                           lode_dtype_name(D->dtype));
    return LODE_OK;
}

static lode_status spectrum(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                            const lode_i_want *want, double *norm, lode_array *s)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, U = { 0 }, V = { 0 };
    double before = 0;
    (void)a;
    LODE_TRY(difference(ctx, l, &D, norm, &before));
    if (*norm > 0)
        LODE_TRY(lode_i_adapter_svd(ctx, &D, *norm, want, &U, s, &V));
done:
    LODE_FREE(&D, &U, &V);
    return st;
}

/* A tensor that no adapter changes: a vector that was trained, or a matrix for which factors take more than
 * it does. Written whole, if it is wanted. */
static lode_status other(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l, bool write,
                         lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, t = { 0 };
    lode_i_row row = lode_i_row_of(l, "unchanged");
    size_t n = strlen(l->module);
    if (l->rows * l->cols == 0)
        goto done;
    if (l->ndim > 0) {
        LODE_TRY(difference(ctx, l, &D, &row.norm, &row.base));
        if (row.norm > 0)
            row.what = write ? "whole" : "left_out";
    }
    if (row.norm > 0 && write) {
        row.kept = row.norm;
        LODE_TRY(lode_i_as_array(ctx, l->other, lode_i_adapter_store(a->o, l->stored, true), &t));
        lode_array own = { 0 };
        LODE_TRY(lode_array_cast(ctx, &t, t.dtype, &own));
        lode_array_swap(&t, &own);
        lode_array_free(&own);
        LODE_TRY(lode_i_product_add(ctx, a, p, &t, LODE_I_ADAPTER_PREFIX, l->name, ""));
        char module[512];
        if (n > 5 && strcmp(l->module + n - 5, ".bias") == 0)
            n -= 5;
        snprintf(module, sizeof module, "%.*s", (int)(n < sizeof module ? n : sizeof module - 1),
                 l->module);
        LODE_TRY(lode_i_json_push(ctx, p->saved, lode_i_json_text(module)));
    }
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&D, &t);
    return st;
}

static lode_status finish(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                          const lode_i_want *want, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, At = { 0 }, left = { 0 }, right = { 0 };
    lode_linop *op = NULL;
    lode_i_row row = lode_i_row_of(l, "adapter");
    if (l->fate == LODE_I_KEPT || l->other.kind == LODE_NONE)
        return LODE_OK;
    if (l->fate == LODE_I_OTHER)
        return other(ctx, a, l, a->o->keep_other, p);
    LODE_TRY(difference(ctx, l, &D, &row.norm, &row.base));
    if (!(row.norm > 0) || want->most == 0) {
        row.what = row.norm > 0 ? "left_out" : "unchanged";
        row.rank = 0, row.kept = 0, row.error = row.norm;
        LODE_TRY(lode_i_product_row(ctx, p, &row));
        goto done;
    }
    LODE_TRY(lode_i_adapter_svd(ctx, &D, row.norm, want, &U, &s, &V));
    row.rank = s.shape[0];
    for (int64_t i = 0; i < s.shape[0]; i++)
        row.kept = i > 0 ? hypot(row.kept, lode_i_get1(&s, i)) : lode_i_get1(&s, i);
    if (want->tail >= 0) {
        row.limit = want->relative ? want->tail * row.norm : want->tail;
        const double rest = sqrt(fmax(1 - pow(row.kept / row.norm, 2), 0)) * row.norm;
        if (a->o->keep_other && rest > row.limit + 1e-3 * row.norm) { /* break-even came first */
            LODE_FREE(&D, &U, &s, &V);
            LODE_TRY(other(ctx, a, l, true, p));
            goto done;
        }
    }
    for (int64_t i = 0; i < s.shape[0]; i++)
        lode_i_set1(&s, i, sqrt(lode_i_get1(&s, i)));
    LODE_TRY(lode_i_scale_cols(ctx, &U, &s));
    LODE_TRY(lode_i_scale_cols(ctx, &V, &s));
    At = lode_i_transposed(&V);
    LODE_TRY(lode_i_product_pair(ctx, a, p, l, &U, &At, true, &left, &right));
    LODE_TRY(lode_linop_from(ctx, lode_from_array(&D), &op));
    LODE_TRY(op->norm(ctx, op, &left, &right, &row.error));
    LODE_TRY(lode_i_product_norm(ctx, &left, &right, &row.kept));
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&op, &D, &U, &s, &V, &left, &right);
    return st;
}

lode_status lode_i_adapter_extract(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    static const lode_i_deed deed = { .spectrum = spectrum, .finish = finish, .least = 0 };
    double values = 0, width = 4;
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        if (l->fate == LODE_I_WEIGHT) {
            values += (double)l->rows * (double)l->cols;
            width = (double)lode_dtype_size(lode_i_adapter_store(a->o, l->stored, false));
        }
    }
    const double params = lode_i_adapter_budget(a->o, values, 0, 0, width);
    lode_i_deed mine = deed;
    mine.weighed = a->o->weighting == LODE_ADAPTER_FROBENIUS;
    LODE_FORWARD(lode_i_adapter_each(ctx, a, &mine, params, p));
    return lode_i_product_finish(ctx, a, p, true, "||W1 - W0 - B A||, all layers");
}
