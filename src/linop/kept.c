/* An operator whose products are steps of the checkpoint: a call that was stopped takes from it all
 * passes over A that were whole, and does the small work between them again. */
#include "linop/kinds.h"

typedef struct kept {
    lode_linop base;
    lode_linop *a;
    const char *name;
} kept;

static void kept_free(lode_linop *op)
{
    lode_linop_free(&((kept *)op)->a);
}

/* What a product is made of, beside A. */
static lode_status key_of(lode_ctx *ctx, const kept *k, const char *what, const lode_array *X,
                          const lode_array *R, uint64_t *key)
{
    *key = lode_i_step_key(0, k->name, (const int64_t[]){ k->base.rows, k->base.cols }, 2);
    *key = lode_i_step_key(*key, what, NULL, 0);
    if (X)
        LODE_FORWARD(lode_i_step_key_array(ctx, X, key));
    return R ? lode_i_step_key_array(ctx, R, key) : LODE_OK;
}

static lode_status kept_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                              const lode_array *X, lode_array *Y)
{
    const kept *k = (const kept *)op;
    lode_i_step s = { .site = "product", .n = 1, .array = { Y } };
    bool found = false;
    LODE_FORWARD(key_of(ctx, k, adjoint ? "adjoint" : "plain", X, NULL, &s.key));
    LODE_FORWARD(lode_i_restore(ctx, &s, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(k->a->apply(ctx, k->a, adjoint, X, Y));
    return lode_i_keep(ctx, &s);
}

static lode_status kept_normal(lode_ctx *ctx, const lode_linop *op, const lode_array *X,
                               lode_array *W, lode_array *Z, double *norm)
{
    const kept *k = (const kept *)op;
    lode_i_step s = {
        .site = "normal", .number = norm, .count = norm ? 1 : 0, .n = W ? 2 : 1, .array = { Z, W }
    };
    bool found = false;
    LODE_FORWARD(key_of(ctx, k, "", X, NULL, &s.key));
    LODE_FORWARD(lode_i_restore(ctx, &s, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(k->a->normal(ctx, k->a, X, W, Z, norm));
    return lode_i_keep(ctx, &s);
}

static lode_status kept_gram(lode_ctx *ctx, const lode_linop *op, lode_i_gram_form form,
                             double scale, lode_array *G)
{
    const kept *k = (const kept *)op;
    char what[64];
    lode_i_step s = { .site = "gram", .n = 1, .array = { G } };
    bool found = false;
    snprintf(what, sizeof what, "%d %a", (int)form, scale);
    LODE_FORWARD(key_of(ctx, k, what, NULL, NULL, &s.key));
    LODE_FORWARD(lode_i_restore(ctx, &s, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(k->a->gram(ctx, k->a, form, scale, G));
    return lode_i_keep(ctx, &s);
}

static lode_status kept_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                             const lode_array *R, double *norm)
{
    const kept *k = (const kept *)op;
    lode_i_step s = { .site = "norm", .number = norm, .count = 1 };
    bool found = false;
    LODE_FORWARD(key_of(ctx, k, L ? "residual" : "norm", L, R, &s.key));
    LODE_FORWARD(lode_i_restore(ctx, &s, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(k->a->norm(ctx, k->a, L, R, norm));
    return lode_i_keep(ctx, &s);
}

lode_status lode_i_linop_kept(lode_ctx *ctx, const char *name, lode_linop **op)
{
    lode_linop *l = NULL;
    const lode_linop *A = *op;
    if (!lode_i_checkpoint(ctx))
        return LODE_OK;
    LODE_FORWARD(
        lode_i_linop_new(ctx, sizeof(kept), A->kind, A->rows, A->cols, A->dtype, kept_free, &l));
    kept *k = (kept *)l;
    k->a = *op, k->name = name;
    lode_i_dense_keep(k->a);
    l->apply = kept_apply;
    l->normal = A->normal ? kept_normal : NULL;
    l->gram = A->gram ? kept_gram : NULL;
    l->norm = A->norm ? kept_norm : NULL;
    l->nonzeros = A->nonzeros;
    *op = l;
    return LODE_OK;
}
