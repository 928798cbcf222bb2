/* Task factor: each weight as a product of two thin matrices.
 *
 * Without calibration B A is the truncated decomposition of W. With inputs X of the layer, of covariance
 * C = X'X = L L', the least ||(W - B A) L|| of a rank is at B = U, A = U' W, where U are the leading left
 * singular vectors of W L: the principal directions of the layer's outputs. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* ---- calibration ---- */

static lode_value of_module(const lode_bundle *file, const char *module, const char *suffix)
{
    char name[600];
    snprintf(name, sizeof name, "%s%s", module, suffix);
    return lode_bundle_get(file, name);
}

/* L of the layer's inputs; empty: none are given. */
static lode_status inputs_of(lode_ctx *ctx, const lode_i_adapter *a, const lode_i_layer *l,
                             lode_array *L)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, R = { 0 }, w = { 0 }, V = { 0 }, turned = { 0 };
    const lode_dtype dtype = lode_i_adapter_type(l);
    LODE_FREE(L);
    if (!a->calibration || lode_i_broken(ctx, "lord"))
        return LODE_OK;
    const lode_value cov = of_module(a->calibration, l->module, ".cov");
    lode_value x = of_module(a->calibration, l->module, "");
    if (x.kind == LODE_NONE)
        x = lode_bundle_get(a->calibration, l->name);
    const lode_value given = cov.kind != LODE_NONE ? cov : x;
    lode_dtype stored = LODE_F32;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    if (given.kind == LODE_NONE)
        goto done;
    LODE_REQUIRE(lode_i_value_shape(given, &stored, &ndim, shape) && ndim >= 1 &&
                     shape[ndim - 1] == l->cols && lode_dtype_class(stored) == 'f',
                 LODE_ESHAPE,
                 "adapter: calibration of %s must be real with %" PRId64 " values in its last axis",
                 l->module, l->cols);
    int64_t rows = 1;
    for (int i = 0; i + 1 < ndim; i++)
        rows *= shape[i];
    LODE_REQUIRE(cov.kind == LODE_NONE || (ndim == 2 && rows == l->cols), LODE_ESHAPE,
                 "adapter: %s.cov must be %" PRId64 " x %" PRId64, l->module, l->cols, l->cols);
    LODE_TRY(lode_i_as_array(ctx, given, dtype, &R));
    LODE_TRY(lode_array_reshape(ctx, &R, 2, (const int64_t[]){ rows, l->cols }, &X));
    LODE_TRY(lode_i_require_finite(ctx, &X, l->module));
    LODE_FREE(&R);
    if (cov.kind != LODE_NONE) {
        LODE_TRY(lode_i_eigh(ctx, &X, l->cols, &w, &V));
        const double top = fmax(lode_i_get1(&w, 0), 0);
        const double least = lode_i_get1(&w, l->cols - 1);
        LODE_REQUIRE(least >= -1e-3 * top, LODE_EDOMAIN,
                     "adapter: %s.cov is no covariance: its least eigenvalue is %g, its largest %g",
                     l->module, least, top);
        for (int64_t i = 0; i < l->cols; i++)
            lode_i_set1(&w, i, sqrt(fmax(lode_i_get1(&w, i), 0)));
        LODE_TRY(lode_i_scale_cols(ctx, &V, &w));
        lode_array_swap(L, &V);
    } else if (rows > l->cols) {
        LODE_TRY(lode_i_qr_r(ctx, &X, &R));
        turned = lode_i_transposed(&R);
        LODE_TRY(lode_array_cast(ctx, &turned, dtype, L));
    } else {
        turned = lode_i_transposed(&X);
        LODE_TRY(lode_array_cast(ctx, &turned, dtype, L));
    }
done:
    LODE_FREE(&X, &R, &w, &V);
    return st;
}

/* ---- one layer ---- */

static lode_status spectrum(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                            const lode_i_want *want, double *norm, lode_array *s)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, L = { 0 }, WL = { 0 }, U = { 0 }, V = { 0 };
    LODE_TRY(inputs_of(ctx, a, l, &L));
    LODE_TRY(lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols, lode_i_adapter_type(l),
                                 &W, NULL));
    if (L.data)
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &W, &L, &WL));
    const lode_array *D = L.data ? &WL : &W;
    LODE_TRY(lode_i_norm_fro(ctx, D, norm));
    LODE_TRY(lode_i_adapter_svd(ctx, D, *norm, want, &U, s, &V));
done:
    LODE_FREE(&W, &L, &WL, &U, &V);
    return st;
}

static lode_status keep(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l, const char *what,
                        const char *name, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 };
    lode_i_row row = lode_i_row_of(l, what);
    if (lode_dtype_class(l->stored) == 'f' && l->ndim > 0 && l->rows * l->cols > 0) {
        LODE_TRY(lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols,
                                     lode_i_adapter_type(l), &W, &row.norm));
        row.base = row.kept = row.norm, row.error = l->fate == LODE_I_WEIGHT ? 0 : NAN;
        LODE_FREE(&W);
    }
    LODE_TRY(lode_i_product_keep(ctx, a, p, name, l->value));
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&W);
    return st;
}

/* B and A of the layer; rest: what the rank leaves out, in the norm that is made small. */
static lode_status factors(lode_ctx *ctx, const lode_array *W, const lode_array *L, double norm,
                           const lode_i_want *want, lode_array *B, lode_array *A, double *rest)
{
    lode_status st = LODE_OK;
    lode_array WL = { 0 }, s = { 0 }, V = { 0 }, turned = { 0 };
    double sum = 0;
    if (L->data)
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, W, L, &WL));
    LODE_TRY(lode_i_adapter_svd(ctx, L->data ? &WL : W, norm, want, B, &s, &V));
    for (int64_t i = 0; i < s.shape[0]; i++)
        sum = hypot(sum, lode_i_get1(&s, i));
    *rest = sqrt(fmax(1 - pow(sum / norm, 2), 0)) * norm;
    if (L->data) {
        LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, B, W, A));
        goto done;
    }
    for (int64_t i = 0; i < s.shape[0]; i++)
        lode_i_set1(&s, i, sqrt(lode_i_get1(&s, i)));
    LODE_TRY(lode_i_scale_cols(ctx, B, &s));
    LODE_TRY(lode_i_scale_cols(ctx, &V, &s));
    turned = lode_i_transposed(&V);
    LODE_TRY(lode_array_cast(ctx, &turned, V.dtype, A));
done:
    LODE_FREE(&WL, &s, &V);
    return st;
}

/* Errors of what was written, of the weight and of its outputs on the calibration. */
static lode_status measure(lode_ctx *ctx, lode_array *W, const lode_array *L,
                           const lode_array *left, const lode_array *right, lode_i_row *row)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array WL = { 0 };
    LODE_TRY(lode_linop_from(ctx, lode_from_array(W), &op));
    LODE_TRY(op->norm(ctx, op, left, right, &row->error));
    LODE_TRY(lode_i_product_norm(ctx, left, right, &row->kept));
    if (L->data) {
        LODE_FREE(&op);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_T, -1, left, right, 1, W));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, W, L, &WL));
        LODE_TRY(lode_i_norm_fro(ctx, &WL, &row->seen_error));
    }
done:
    LODE_FREE(&op, &WL);
    return st;
}

static lode_status finish(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                          const lode_i_want *want, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, L = { 0 }, WL = { 0 }, A = { 0 }, B = { 0 }, left = { 0 }, right = { 0 };
    lode_i_row row = lode_i_row_of(l, "factors");
    const size_t n = strlen(l->name);
    double norm = 0, rest = 0;
    if (l->fate != LODE_I_WEIGHT) /* biases come last, when it is known what they belong to */
        return n > 5 && strcmp(l->name + n - 5, ".bias") == 0 ? LODE_OK
                                                              : keep(ctx, a, l, "kept", l->name, p);
    if (want->most <= 0)
        return keep(ctx, a, l, "dense", l->name, p);
    LODE_TRY(inputs_of(ctx, a, l, &L));
    LODE_TRY(lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols, lode_i_adapter_type(l),
                                 &W, &row.norm));
    norm = row.base = row.norm;
    if (L.data) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &W, &L, &WL));
        LODE_TRY(lode_i_norm_fro(ctx, &WL, &norm));
        LODE_FREE(&WL);
        row.seen = norm;
    }
    if (!(norm > 0)) {
        LODE_FREE(&W, &L);
        LODE_TRY(keep(ctx, a, l, "dense", l->name, p));
        goto done;
    }
    LODE_TRY(factors(ctx, &W, &L, norm, want, &B, &A, &rest));
    const double tail = want->relative ? want->tail * norm : want->tail;
    const double slack = sqrt(8 * lode_i_epsilon(W.dtype)) * norm; /* of squares that cancel */
    if (want->tail >= 0 && rest > tail * (1 + 1e-6) + slack) {
        LODE_FREE(&W, &L, &A, &B);
        LODE_TRY(keep(ctx, a, l, "dense", l->name, p));
        goto done;
    }
    row.rank = A.shape[0];
    LODE_TRY(lode_i_product_pair(ctx, a, p, l, &B, &A, false, &left, &right));
    LODE_TRY(measure(ctx, &W, &L, &left, &right, &row));
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&W, &L, &WL, &A, &B, &left, &right);
    return st;
}

/* A bias belongs to the second of the two factors. */
static lode_status biases(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 };
    char module[600];
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        const size_t n = strlen(l->name);
        if (l->fate == LODE_I_WEIGHT || n <= 5 || strcmp(l->name + n - 5, ".bias") != 0)
            continue;
        snprintf(module, sizeof module, "%.*s", (int)(n - 5), l->name);
        const bool factored = lode_i_json_get(p->ranks, module) != NULL;
        name.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &name, "%s%s.bias", module, factored ? ".1" : ""));
        LODE_TRY(keep(ctx, a, l, "kept", name.text, p));
    }
done:
    lode_i_text_free(&name);
    return st;
}

static lode_status add_table(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_json *all = lode_i_json_object(), *one = NULL, *value = NULL;
    char *text = NULL;
    const char *module = lode_i_json_next(p->ranks, NULL, &value);
    for (; module; module = lode_i_json_next(p->ranks, module, &value)) {
        const lode_i_layer *l = lode_i_layers_find(&a->layers, module);
        int64_t r = 0;
        lode_i_json_as_i64(value, &r);
        one = lode_i_json_object();
        LODE_TRY(lode_i_json_set(ctx, one, "rank", lode_i_json_i64(r)));
        LODE_TRY(lode_i_json_set(ctx, one, "in", lode_i_json_i64(l->cols)));
        LODE_TRY(lode_i_json_set(ctx, one, "out", lode_i_json_i64(l->rows)));
        lode_json *const given = one;
        one = NULL;
        LODE_TRY(lode_i_json_set(ctx, all, module, given));
    }
    LODE_TRY(lode_i_json_print(ctx, all, 2, &text));
    LODE_TRY(lode_bundle_add_text(ctx, &p->result, LODE_I_ADAPTER_FACTORS, text));
done:
    lode_i_json_free(one);
    lode_i_json_free(all);
    lode_i_free(text);
    return st;
}

lode_status lode_i_adapter_factor(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    const lode_adapter_weighting w = a->o->weighting;
    const lode_i_deed deed = { .spectrum = spectrum,
                               .finish = finish,
                               .dense = true,
                               .least = 1,
                               .weighed = w == LODE_ADAPTER_FROBENIUS ||
                                          w == LODE_ADAPTER_ACTIVATIONS ||
                                          (w == LODE_ADAPTER_AUTO && a->calibration) };
    double values = 0, kept = 0, bytes = 0, width = 1;
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        const double n = (double)l->rows * (double)l->cols;
        const lode_dtype store = lode_i_adapter_store(a->o, l->stored, true);
        values += n;
        kept += l->fate == LODE_I_WEIGHT ? 0 : n;
        bytes += l->fate == LODE_I_WEIGHT ? 0 : n * (double)lode_dtype_size(l->stored);
        if (l->fate == LODE_I_WEIGHT)
            width = fmax(width, (double)lode_dtype_size(store));
    }
    const double params = lode_i_adapter_budget(a->o, values, bytes, kept, width);
    LODE_FORWARD(lode_i_adapter_each(ctx, a, &deed, params, p));
    LODE_FORWARD(biases(ctx, a, p));
    LODE_FORWARD(add_table(ctx, a, p));
    return lode_i_product_finish(ctx, a, p, false, "||W - B A||, all layers");
}
