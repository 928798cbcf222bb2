/* Task merge: a checkpoint with adapters put into its weights, tensor by tensor. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* The pair of an adapter that is of a tensor, by the module's name or the tensor's. */
static const lode_i_layer *pair_of(const lode_i_layers *pairs, const lode_i_layer *l)
{
    const size_t own = strlen(LODE_I_ADAPTER_PREFIX);
    for (int64_t i = 0; i < pairs->count; i++) {
        const char *m = pairs->at[i].module;
        if (strncmp(m, LODE_I_ADAPTER_PREFIX, own) == 0)
            m += own;
        if (strcmp(m, l->module) == 0 || strcmp(m, l->name) == 0)
            return &pairs->at[i];
    }
    return NULL;
}

/* A tensor of the adapter beside its factors: prefix, name of the layer, suffix. */
static lode_value beside(const lode_bundle *file, const char *module, const char *suffix)
{
    char name[640];
    snprintf(name, sizeof name, "%s%s%s", LODE_I_ADAPTER_PREFIX, module, suffix);
    const lode_value v = lode_bundle_get(file, name);
    return v.kind != LODE_NONE ? v : lode_bundle_get(file, name + strlen(LODE_I_ADAPTER_PREFIX));
}

static double scale_of(const lode_i_adapter *a, int f)
{
    return a->o->scales.count > 0 ? a->o->scales.value[f] : 1;
}

/* W += factor scale B A */
static lode_status add_product(lode_ctx *ctx, const lode_i_layer *l, const lode_i_layer *pair,
                               double factor, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, A = { 0 };
    const int64_t rows = pair->swapped ? pair->cols : pair->rows,
                  cols = pair->swapped ? pair->rows : pair->cols;
    LODE_REQUIRE(rows == l->rows && cols == l->cols, LODE_ESHAPE,
                 "adapter: %s is %" PRId64 " x %" PRId64 ", and the adapter's %s is for %" PRId64
                 " x %" PRId64,
                 l->name, l->rows, l->cols, pair->module, rows, cols);
    LODE_TRY(lode_i_adapter_pair_load(ctx, pair, W->dtype, &B, &A));
    LODE_TRY(pair->swapped
                 ? lode_i_gemm_into(ctx, LODE_T, LODE_T, factor * pair->scale, &A, &B, 1, W)
                 : lode_i_gemm_into(ctx, LODE_N, LODE_N, factor * pair->scale, &B, &A, 1, W));
done:
    LODE_FREE(&B, &A);
    return st;
}

/* DoRA: rows of the changed weight get the lengths that were trained. */
static lode_status lengthen(lode_ctx *ctx, const lode_i_layer *l, lode_value magnitude,
                            lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array m = { 0 }, flat = { 0 }, factor = { 0 }, row = { 0 };
    LODE_TRY(lode_i_as_array(ctx, magnitude, W->dtype, &m));
    LODE_REQUIRE(lode_array_size(&m) == l->rows, LODE_ESHAPE,
                 "adapter: %s has %" PRId64 " rows and %" PRId64 " magnitudes", l->name, l->rows,
                 lode_array_size(&m));
    LODE_TRY(lode_array_reshape(ctx, &m, 1, (const int64_t[]){ l->rows }, &flat));
    LODE_TRY(lode_i_vector_new(ctx, W->dtype, l->rows, &factor));
    for (int64_t i = 0; i < l->rows; i++) {
        double norm = 0;
        lode_array_free(&row);
        row = lode_i_rows(W, i, i + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &row, &norm));
        lode_i_set1(&factor, i, norm > 0 ? lode_i_get1(&flat, i) / norm : 1);
    }
    LODE_TRY(lode_i_scale_rows(ctx, W, &factor));
done:
    LODE_FREE(&m, &flat, &factor, &row);
    return st;
}

/* Trim each difference, elect signs, average those of the elected sign. */
static lode_status ties(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l, lode_array *W)
{
    lode_status st = LODE_OK;
    lode_array delta[LODE_I_ADAPTER_FILES] = { { 0 } }, joined = { 0 };
    int count = 0;
    for (int f = 0; f < a->files; f++) {
        const lode_i_layer *pair = pair_of(&a->terms[f], l);
        if (!pair)
            continue;
        LODE_TRY(lode_array_zeros(ctx, W->dtype, 2, (const int64_t[]){ l->rows, l->cols },
                                  &delta[count++]));
        LODE_TRY(add_product(ctx, l, pair, scale_of(a, f), &delta[count - 1]));
    }
    LODE_TRY(lode_i_elect(ctx, delta, count, a->o->density, &joined));
    LODE_TRY(lode_i_axpy(ctx, 1, &joined, W));
done:
    for (int f = 0; f < count; f++)
        LODE_FREE(&delta[f]);
    LODE_FREE(&joined);
    return st;
}

static lode_status merged(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l, int count,
                          lode_value magnitude, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_array W = { 0 }, before = { 0 }, stored = { 0 }, written = { 0 }, back = { 0 };
    lode_i_row row = lode_i_row_of(l, "merged");
    const lode_dtype store = lode_i_adapter_store(a->o, l->stored, true);
    LODE_TRY(lode_i_adapter_load(ctx, l->name, l->value, l->rows, l->cols, lode_i_adapter_type(l),
                                 &W, &row.base));
    if (a->o->how == LODE_ADAPTER_TIES && count > 1) {
        LODE_TRY(ties(ctx, a, l, &W));
    } else {
        for (int f = 0; f < a->files; f++) {
            const lode_i_layer *pair = pair_of(&a->terms[f], l);
            if (pair)
                LODE_TRY(add_product(ctx, l, pair, scale_of(a, f), &W));
        }
    }
    if (magnitude.kind != LODE_NONE)
        LODE_TRY(lengthen(ctx, l, magnitude, &W));
    LODE_TRY(lode_i_norm_fro(ctx, &W, &row.norm));
    LODE_TRY(lode_array_cast(ctx, &W, store, &stored));
    LODE_TRY(lode_array_cast(ctx, &stored, W.dtype, &back));
    LODE_TRY(lode_i_norm_fro(ctx, &back, &row.kept));
    LODE_TRY(lode_i_diff_fro(ctx, &W, &back, &row.error));
    LODE_REQUIRE(isfinite(row.kept) && isfinite(row.error), LODE_EDOMAIN,
                 "adapter: %s with its adapter leaves the range of %s; give --dtype f32 or bf16",
                 l->name, lode_dtype_name(store));
    LODE_FREE(&W, &back);
    LODE_TRY(lode_array_reshape(ctx, &stored, l->ndim, l->shape, &written));
    LODE_FREE(&stored);
    LODE_TRY(lode_i_product_add(ctx, a, p, &written, "", l->name, ""));
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    LODE_FREE(&W, &before, &stored, &written, &back);
    return st;
}

static lode_status one(lode_ctx *ctx, lode_i_adapter *a, const lode_i_layer *l, int64_t *used,
                       lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_value whole = lode_none(), magnitude = lode_none();
    int count = 0;
    for (int f = 0; f < a->files; f++) {
        const bool has = pair_of(&a->terms[f], l) != NULL;
        lode_value v = beside(a->more[f], l->name, "");
        whole = v.kind == LODE_ARRAY || v.kind == LODE_SOURCE ? v : whole;
        v = beside(a->more[f], l->module, ".lora_magnitude_vector");
        if (v.kind == LODE_NONE)
            v = beside(a->more[f], l->module, ".lora_magnitude_vector.weight");
        magnitude = v.kind == LODE_ARRAY || v.kind == LODE_SOURCE ? v : magnitude;
        count += has;
        used[f] += has;
    }
    LODE_REQUIRE(magnitude.kind == LODE_NONE || a->files == 1, LODE_EUSAGE,
                 "adapter: %s has magnitudes of DoRA, which have no sum with other adapters: merge "
                 "it alone",
                 l->module);
    if (l->ndim >= 2 && count > 0 && l->fate != LODE_I_KEPT) {
        LODE_TRY(merged(ctx, a, l, count, magnitude, p));
        goto done;
    }
    lode_i_row row = lode_i_row_of(l, whole.kind != LODE_NONE ? "replaced" : "kept");
    LODE_TRY(lode_i_product_keep(ctx, a, p, l->name, whole.kind != LODE_NONE ? whole : l->value));
    LODE_TRY(lode_i_product_row(ctx, p, &row));
done:
    return st;
}

/* An adapter's module that the checkpoint lacks. */
static const char *unknown(const lode_i_adapter *a, const lode_i_layers *pairs)
{
    const size_t own = strlen(LODE_I_ADAPTER_PREFIX);
    for (int64_t i = 0; i < pairs->count; i++) {
        const char *m = pairs->at[i].module;
        if (strncmp(m, LODE_I_ADAPTER_PREFIX, own) == 0)
            m += own;
        bool found = false;
        for (int64_t k = 0; k < a->layers.count && !found; k++)
            found = strcmp(m, a->layers.at[k].module) == 0 || strcmp(m, a->layers.at[k].name) == 0;
        if (!found)
            return m;
    }
    return NULL;
}

lode_status lode_i_adapter_merge(lode_ctx *ctx, lode_i_adapter *a, lode_i_product *p)
{
    lode_status st = LODE_OK;
    int64_t used[LODE_I_ADAPTER_FILES] = { 0 };
    for (int f = 0; f < a->files; f++) {
        lode_i_layers *pairs = &a->terms[a->adapters++];
        LODE_TRY(lode_i_adapter_pairs(ctx, a->o, a->more[f], pairs));
        LODE_REQUIRE(pairs->count > 0, LODE_EUSAGE,
                     "adapter: file %d holds no factors lora_A and lora_B", f + 2);
        const char *name = unknown(a, pairs);
        LODE_REQUIRE(!name, LODE_ESHAPE,
                     "adapter: the checkpoint has no tensor %s.weight, which adapter %d changes",
                     name, f + 1);
    }
    for (int64_t i = 0; i < a->layers.count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, a->layers.count));
        LODE_TRY(one(ctx, a, &a->layers.at[i], used, p));
    }
    LODE_TRY(lode_i_product_finish(ctx, a, p, false, "rounding of the merged weights"));
done:
    return st;
}
