/* Task resize: an adapter, or the sum of several, to another rank.
 *
 * B A of several terms is [s1 B1, s2 B2, ..] [A1; A2; ..]. With QR of the tall factors, B = Q1 R1 and
 * A' = Q2 R2, the singular value decomposition of the small R1 R2' is that of B A, which is not formed. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

static lode_status put_columns(lode_ctx *ctx, const lode_array *from, lode_array *to, int64_t at)
{
    lode_array part = lode_i_cols(to, at, at + from->shape[1]);
    const lode_status st = lode_array_copy_into(ctx, from, &part);
    lode_array_free(&part);
    return st;
}

lode_status lode_i_adapter_pair_load(lode_ctx *ctx, const lode_i_layer *pair, lode_dtype dtype,
                                     lode_array *B, lode_array *A)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 };
    double norm = 0;
    LODE_TRY(
        lode_i_adapter_load(ctx, pair->name, pair->value, pair->rank, pair->cols, dtype, A, &norm));
    LODE_TRY(lode_i_adapter_load(ctx, pair->module, pair->other, pair->rows, pair->rank, dtype, B,
                                 &norm));
done:
    LODE_FREE(&whole);
    return st;
}

/* B and A' of the layer's terms side by side. */
static lode_status gather(lode_ctx *ctx, const lode_i_layers *files, int count,
                          const lode_list *scales, const lode_i_layer *l, lode_dtype dtype,
                          lode_array *B, lode_array *At)
{
    lode_status st = LODE_OK;
    lode_array b = { 0 }, a = { 0 }, turned = { 0 };
    int64_t rank = 0, at = 0;
    for (int f = 0; f < count; f++) {
        const lode_i_layer *t = lode_i_layers_find(&files[f], l->module);
        LODE_REQUIRE(!t || (t->rows == l->rows && t->cols == l->cols && t->swapped == l->swapped),
                     LODE_ESHAPE,
                     "adapter: %s is %" PRId64 " x %" PRId64 " in one adapter and %" PRId64
                     " x %" PRId64 " in another",
                     l->module, l->rows, l->cols, t->rows, t->cols);
        rank += t ? t->rank : 0;
    }
    LODE_TRY(lode_i_matrix_new(ctx, dtype, l->rows, rank, B));
    LODE_TRY(lode_i_matrix_new(ctx, dtype, l->cols, rank, At));
    for (int f = 0; f < count; f++) {
        const lode_i_layer *t = lode_i_layers_find(&files[f], l->module);
        if (!t)
            continue;
        const double own = scales->count > 0 ? scales->value[f] : 1;
        LODE_TRY(lode_i_adapter_pair_load(ctx, t, dtype, &b, &a));
        LODE_TRY(lode_i_scale(ctx, own * t->scale, &b));
        LODE_TRY(put_columns(ctx, &b, B, at));
        turned = lode_i_transposed(&a);
        LODE_TRY(put_columns(ctx, &turned, At, at));
        at += t->rank;
        LODE_FREE(&b, &a);
    }
done:
    LODE_FREE(&b, &a);
    return st;
}

/* X = Q R of a tall X; of one that is not tall Q stays empty and R is X. */
static lode_status tall_qr(lode_ctx *ctx, const lode_array *X, lode_array *Q, lode_array *R)
{
    if (X->shape[0] >= X->shape[1])
        return lode_i_qr(ctx, X, Q, R);
    return lode_array_cast(ctx, X, X->dtype, R);
}

static lode_status lift(lode_ctx *ctx, const lode_array *Q, lode_array *u, lode_array *U)
{
    if (!Q->data) {
        lode_array_swap(U, u);
        return LODE_OK;
    }
    return lode_i_gemm(ctx, LODE_N, LODE_N, Q, u, U);
}

lode_status lode_i_adapter_core(lode_ctx *ctx, const lode_array *B, const lode_array *At,
                                const lode_i_want *want, double *norm, lode_array *U, lode_array *s,
                                lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array Q1 = { 0 }, R1 = { 0 }, Q2 = { 0 }, R2 = { 0 }, core = { 0 }, u = { 0 }, v = { 0 };
    lode_i_want all = *want;
    LODE_TRY(tall_qr(ctx, B, &Q1, &R1));
    LODE_TRY(tall_qr(ctx, At, &Q2, &R2));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &R1, &R2, &core));
    LODE_TRY(lode_i_norm_fro(ctx, &core, norm));
    all.most = lode_i_min(want->most, lode_i_min(core.shape[0], core.shape[1]));
    if (all.most > 0 && *norm > 0) {
        LODE_TRY(lode_i_adapter_svd(ctx, &core, *norm, &all, &u, s, &v));
        if (U) {
            LODE_TRY(lift(ctx, &Q1, &u, U));
            LODE_TRY(lift(ctx, &Q2, &v, V));
            LODE_TRY(lode_i_canonical_signs(ctx, U, V));
        }
    }
done:
    LODE_FREE(&Q1, &R1, &Q2, &R2, &core, &u, &v);
    return st;
}

lode_status lode_i_product_norm(lode_ctx *ctx, const lode_array *L, const lode_array *R,
                                double *norm)
{
    lode_status st = LODE_OK;
    lode_array l = { 0 }, r = { 0 }, q = { 0 }, r1 = { 0 }, r2 = { 0 }, core = { 0 };
    LODE_TRY(lode_i_as(ctx, L, LODE_F64, &l));
    LODE_TRY(lode_i_as(ctx, R, LODE_F64, &r));
    LODE_TRY(tall_qr(ctx, &l, &q, &r1));
    LODE_FREE(&q);
    LODE_TRY(tall_qr(ctx, &r, &q, &r2));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &r1, &r2, &core));
    LODE_TRY(lode_i_norm_fro(ctx, &core, norm));
done:
    LODE_FREE(&l, &r, &q, &r1, &r2, &core);
    return st;
}

lode_status lode_i_product_distance(lode_ctx *ctx, const lode_array *B, const lode_array *At,
                                    const lode_array *left, const lode_array *right, double *norm)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 }, minus = { 0 };
    const int64_t k = B->shape[1], r = left->shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, B->shape[0], k + r, &L));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, At->shape[0], k + r, &R));
    LODE_TRY(put_columns(ctx, B, &L, 0));
    LODE_TRY(put_columns(ctx, left, &L, k));
    minus = lode_i_cols(&L, k, k + r);
    LODE_TRY(lode_i_scale(ctx, -1, &minus));
    LODE_TRY(put_columns(ctx, At, &R, 0));
    LODE_TRY(put_columns(ctx, right, &R, k));
    LODE_TRY(lode_i_product_norm(ctx, &L, &R, norm));
done:
    LODE_FREE(&L, &R, &minus);
    return st;
}

/* ---- the task ---- */

/* Pairs of all adapters; modules that only a later one has join the first's. */
static lode_status join(lode_ctx *ctx, lode_i_adapter *a)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_adapter_pairs(ctx, a->o, a->base, &a->terms[a->adapters++]));
    for (int f = 0; f < a->files; f++) {
        lode_i_layers *more = &a->terms[a->adapters++];
        void *grown = a->layers.at;
        LODE_TRY(lode_i_adapter_pairs(ctx, a->o, a->more[f], more));
        LODE_TRY(lode_i_realloc(
            ctx, (size_t)(a->layers.count + more->count + 1) * sizeof *a->layers.at, &grown));
        a->layers.at = grown;
        for (int64_t i = 0; i < more->count; i++) {
            if (lode_i_layers_find(&a->layers, more->at[i].module))
                continue;
            lode_i_layer *l = &a->layers.at[a->layers.count];
            *l = more->at[i];
            LODE_TRY(lode_i_strdup(ctx, more->at[i].module, &l->module));
            a->layers.count++;
        }
    }
done:
    return st;
}

static lode_status spectrum(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                            const lode_i_want *want, double *norm, lode_array *s)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, At = { 0 };
    LODE_TRY(gather(ctx, a->terms, a->adapters, &a->o->scales, l, lode_i_adapter_type(l), &B, &At));
    LODE_TRY(lode_i_adapter_core(ctx, &B, &At, want, norm, NULL, s, NULL));
done:
    LODE_FREE(&B, &At);
    return st;
}

static lode_status finish(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l,
                          const lode_i_want *want, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, At = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, left = { 0 }, right = { 0 };
    lode_i_row row = lode_i_row_of(l, "adapter");
    LODE_TRY(gather(ctx, a->terms, a->adapters, &a->o->scales, l, lode_i_adapter_type(l), &B, &At));
    LODE_TRY(lode_i_adapter_core(ctx, &B, &At, want, &row.norm, &U, &s, &V));
    row.rank = 0, row.kept = 0, row.error = row.norm;
    if (s.data && s.shape[0] > 0) {
        for (int64_t i = 0; i < s.shape[0]; i++)
            lode_i_set1(&s, i, sqrt(lode_i_get1(&s, i)));
        LODE_TRY(lode_i_scale_cols(ctx, &U, &s));
        LODE_TRY(lode_i_scale_cols(ctx, &V, &s));
        const lode_array A = lode_i_transposed(&V);
        row.rank = s.shape[0];
        LODE_TRY(lode_i_product_pair(ctx, a, p, l, &U, &A, true, &left, &right));
        LODE_TRY(lode_i_product_norm(ctx, &left, &right, &row.kept));
        LODE_TRY(lode_i_product_distance(ctx, &B, &At, &left, &right, &row.error));
    } else {
        row.what = row.norm > 0 ? "left_out" : "unchanged";
    }
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&B, &At, &U, &s, &V, &left, &right);
    return st;
}

/* What the first adapter holds beside factors that the new rank leaves as they are: magnitudes of
 * DoRA, modules trained whole. */
static lode_status rest(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    lode_status st = LODE_OK;
    for (int64_t i = 0; i < a->base->count; i++) {
        const char *name = lode_bundle_name(a->base, i);
        const lode_value v = lode_bundle_value(a->base, i);
        const size_t n = strlen(name);
        if ((v.kind != LODE_ARRAY && v.kind != LODE_SOURCE) ||
            (strstr(name, ".lora_") && !strstr(name, ".lora_magnitude_vector")) ||
            (n > 6 && strcmp(name + n - 6, ".alpha") == 0))
            continue;
        LODE_REQUIRE(
            a->adapters == 1, LODE_EUSAGE,
            "adapter: %s is no factor, and has no sum with other adapters; resize them one "
            "by one",
            name);
        LODE_TRY(lode_i_product_keep(ctx, a, p, name, v));
        p->dora = p->dora || strstr(name, ".lora_magnitude_vector") != NULL;
    }
done:
    return st;
}

lode_status lode_i_adapter_resize(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    double values = 0, width = 4;
    LODE_FORWARD(join(ctx, a));
    for (int64_t i = 0; i < a->layers.count; i++) {
        const lode_i_layer *l = &a->layers.at[i];
        values += (double)l->rows * (double)l->cols;
        width = (double)lode_dtype_size(lode_i_adapter_store(a->o, l->stored, false));
        p->fan = p->fan || (l->swapped && !strstr(l->name, ".lora_embedding"));
    }
    const lode_i_deed deed = { .spectrum = spectrum,
                               .finish = finish,
                               .weighed = a->o->weighting == LODE_ADAPTER_FROBENIUS };
    const double params = lode_i_adapter_budget(a->o, values, 0, 0, width);
    LODE_FORWARD(lode_i_adapter_each(ctx, a, &deed, params, p));
    LODE_FORWARD(rest(ctx, a, p));
    return lode_i_product_finish(ctx, a, p, true, "||sum of B A - B' A'||, all layers");
}
