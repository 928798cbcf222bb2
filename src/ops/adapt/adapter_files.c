/* What the files of adapter hold: weights of a checkpoint, alike in another, and pairs of factors. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

void lode_i_layers_free(lode_i_layers *l)
{
    for (int64_t i = 0; i < l->count; i++)
        lode_i_free(l->at[i].module);
    lode_i_free(l->at);
    *l = (lode_i_layers){ 0 };
}

void lode_i_adapter_close(lode_i_adapter *a)
{
    lode_i_layers_free(&a->layers);
    for (int f = 0; f < a->adapters; f++)
        lode_i_layers_free(&a->terms[f]);
    LODE_FREE(&a->own);
}

const lode_i_layer *lode_i_layers_find(const lode_i_layers *l, const char *module)
{
    for (int64_t i = 0; i < l->count; i++)
        if (strcmp(l->at[i].module, module) == 0)
            return &l->at[i];
    return NULL;
}

/* Whether one of the patterns, by comma, fits. */
static bool listed(const char *patterns, const char *name)
{
    char one[256];
    for (const char *p = patterns; *p;) {
        const size_t n = strcspn(p, ",");
        snprintf(one, sizeof one, "%.*s", (int)n, p);
        if (lode_i_fits(one, name))
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static bool wanted(const lode_adapter_opts *o, const char *name)
{
    return listed(o->include, name) && !(o->exclude && listed(o->exclude, name));
}

static bool ends_with(const char *name, const char *end, size_t *head)
{
    const size_t n = strlen(name), m = strlen(end);
    if (n < m || strcmp(name + n - m, end) != 0)
        return false;
    *head = n - m;
    return true;
}

static lode_status copy_head(lode_ctx *ctx, const char *name, size_t n, char **out)
{
    LODE_FORWARD(lode_i_strdup(ctx, name, out));
    (*out)[n] = '\0';
    return LODE_OK;
}

/* ---- tensors of a checkpoint ---- */

static lode_status new_layers(lode_ctx *ctx, int64_t most, lode_i_layers *l)
{
    void *at = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, (size_t)(most + 1) * sizeof *l->at, &at));
    *l = (lode_i_layers){ .at = at };
    return LODE_OK;
}

static lode_status add_tensor(lode_ctx *ctx, const lode_adapter_opts *o, const char *name,
                              lode_value v, lode_i_layers *l)
{
    lode_i_layer *a = &l->at[l->count];
    size_t n = strlen(name);
    *a = (lode_i_layer){ .name = name, .value = v, .fate = LODE_I_KEPT, .scale = 1 };
    ends_with(name, ".weight", &n);
    LODE_FORWARD(copy_head(ctx, name, n, &a->module));
    l->count++;
    if ((v.kind != LODE_ARRAY && v.kind != LODE_SOURCE) ||
        !lode_i_value_shape(v, &a->stored, &a->ndim, a->shape))
        return LODE_OK;
    a->rows = a->ndim > 0 ? a->shape[0] : 1, a->cols = 1;
    for (int i = 1; i < a->ndim; i++)
        if (!lode_i_mul(a->cols, a->shape[i], &a->cols))
            return lode_i_fail(ctx, LODE_ESHAPE, "adapter: %s has more than 2^63 values", name);
    if (lode_dtype_class(a->stored) == 'f')
        a->fate = a->ndim >= 2 && a->rows > 0 && a->cols > 0 && wanted(o, name) ? LODE_I_WEIGHT
                                                                                : LODE_I_OTHER;
    return LODE_OK;
}

static lode_status tensors_of(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *file,
                              lode_i_layers *l)
{
    LODE_FORWARD(new_layers(ctx, file->count, l));
    for (int64_t i = 0; i < file->count; i++)
        LODE_FORWARD(add_tensor(ctx, o, lode_bundle_name(file, i), lode_bundle_value(file, i), l));
    return LODE_OK;
}

/* Each tensor beside the one of its name; what one checkpoint lacks, or has otherwise, is named. */
static lode_status match(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *tuned,
                         lode_i_layers *l)
{
    char one[256], two[256];
    for (int64_t i = 0; i < l->count; i++) {
        lode_i_layer *a = &l->at[i];
        lode_dtype dtype = LODE_F32;
        int ndim = 0;
        int64_t shape[LODE_MAX_NDIM];
        a->other = lode_bundle_get(tuned, a->name);
        if (a->fate == LODE_I_KEPT || !wanted(o, a->name))
            continue;
        if (!lode_i_value_shape(a->other, &dtype, &ndim, shape))
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "adapter: the second checkpoint lacks %s, which the first has; leave "
                "it out with --exclude",
                a->name);
        lode_i_print_shape(a->ndim, a->shape, one, sizeof one);
        lode_i_print_shape(ndim, shape, two, sizeof two);
        if (ndim != a->ndim || strcmp(one, two) != 0)
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "adapter: %s is %s in the first checkpoint and %s in the second",
                               a->name, one, two);
        if (lode_dtype_class(dtype) != 'f')
            return lode_i_fail(ctx, LODE_ETYPE,
                               "adapter: %s is %s in the first checkpoint and %s in the second",
                               a->name, lode_dtype_name(a->stored), lode_dtype_name(dtype));
        if (dtype != a->stored)
            lode_i_log(ctx, "%s is %s in the first checkpoint and %s in the second", a->name,
                       lode_dtype_name(a->stored), lode_dtype_name(dtype));
    }
    for (int64_t i = 0; i < tuned->count; i++) {
        const char *name = lode_bundle_name(tuned, i);
        const lode_kind kind = lode_bundle_value(tuned, i).kind;
        int64_t k = 0;
        while (k < l->count && strcmp(l->at[k].name, name) != 0)
            k++;
        if (k == l->count && (kind == LODE_ARRAY || kind == LODE_SOURCE) && wanted(o, name))
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "adapter: the first checkpoint lacks %s, which the second has; leave "
                "it out with --exclude",
                name);
    }
    return LODE_OK;
}

/* ---- adapters ---- */

/* Names of the two factors as the common libraries write them. */
static const struct {
    const char *a, *b;
    bool swapped;
} forms[] = {
    { ".lora_A.weight", ".lora_B.weight", false },
    { ".lora_A.default.weight", ".lora_B.default.weight", false },
    { ".lora_down.weight", ".lora_up.weight", false },
    { ".lora_embedding_A", ".lora_embedding_B", true },
};
enum { FORMS = (int)(sizeof forms / sizeof *forms) };

static lode_status one_number(lode_ctx *ctx, lode_value v, double *number, bool *is)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, flat = { 0 };
    *is = false;
    if (v.kind == LODE_SCALAR) {
        *number = v.as.scalar->dtype == LODE_I64 ? (double)v.as.scalar->i : v.as.scalar->re;
        *is = true;
    } else if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE) {
        LODE_TRY(lode_i_as_array(ctx, v, LODE_F64, &a));
        *is = lode_array_size(&a) == 1;
        if (*is)
            LODE_TRY(lode_array_reshape(ctx, &a, 1, (const int64_t[]){ 1 }, &flat));
        *number = *is ? lode_i_get1(&flat, 0) : 0;
    }
done:
    LODE_FREE(&flat, &a);
    return st;
}

/* alpha_pattern names modules by their ends. */
static bool of_pattern(const lode_json *pattern, const char *module, double *alpha)
{
    lode_json *value = NULL;
    size_t head = 0;
    const char *key = lode_i_json_next(pattern, NULL, &value);
    for (; key; key = lode_i_json_next(pattern, key, &value))
        if (ends_with(module, key, &head) && (head == 0 || module[head - 1] == '.'))
            return lode_i_json_as_f64(value, alpha);
    return false;
}

static lode_status scale_of(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *file,
                            const lode_json *config, lode_i_layer *a)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 };
    const char *module = a->module;
    const size_t prefix = strlen(LODE_I_ADAPTER_PREFIX);
    double alpha = (double)a->rank;
    bool own = false, root = false;
    if (strncmp(module, LODE_I_ADAPTER_PREFIX, prefix) == 0)
        module += prefix;
    LODE_TRY(lode_i_text_add(ctx, &name, "%s.alpha", a->module));
    LODE_TRY(one_number(ctx, lode_bundle_get(file, name.text), &alpha, &own));
    if (!own && !of_pattern(lode_i_json_get(config, "alpha_pattern"), module, &alpha))
        lode_i_json_as_f64(lode_i_json_get(config, "lora_alpha"), &alpha);
    if (o->alpha.given)
        alpha = o->alpha.value;
    lode_i_json_as_bool(lode_i_json_get(config, "use_rslora"), &root);
    const double r = (double)lode_i_max(a->rank, 1);
    a->scale = alpha / (root ? sqrt(r) : r);
done:
    lode_i_text_free(&name);
    return st;
}

static lode_status add_pair(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *file,
                            const lode_json *config, int64_t i, lode_i_layers *l)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 };
    const char *first = lode_bundle_name(file, i);
    lode_i_layer *a = &l->at[l->count];
    size_t head = 0;
    bool fan = false;
    int f = 0, ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    lode_dtype dtype = LODE_F32;
    while (f < FORMS && !ends_with(first, forms[f].a, &head))
        f++;
    if (f == FORMS || !wanted(o, first))
        return LODE_OK;
    lode_i_json_as_bool(lode_i_json_get(config, "fan_in_fan_out"), &fan);
    *a = (lode_i_layer){ .name = first, .fate = LODE_I_WEIGHT };
    a->swapped = forms[f].swapped || fan;
    LODE_TRY(copy_head(ctx, first, head, &a->module));
    l->count++;
    LODE_TRY(lode_i_text_add(ctx, &name, "%s%s", a->module, forms[f].b));
    a->value = lode_bundle_value(file, i), a->other = lode_bundle_get(file, name.text);
    LODE_REQUIRE(lode_i_value_shape(a->value, &a->stored, &a->ndim, a->shape) && a->ndim >= 2 &&
                     lode_dtype_class(a->stored) == 'f',
                 LODE_ESHAPE, "adapter: %s is no matrix of floating-point numbers", first);
    LODE_REQUIRE(lode_i_value_shape(a->other, &dtype, &ndim, shape) && ndim >= 2 &&
                     lode_dtype_class(dtype) == 'f',
                 LODE_ESHAPE, "adapter: %s is there, but no matrix %s", first, name.text);
    int64_t others = 1;
    for (int k = 2; k < ndim; k++)
        others *= shape[k];
    LODE_REQUIRE(shape[1] == a->shape[0] && others == 1, LODE_ESHAPE,
                 "adapter: %s has %" PRId64 " rows, and %s %" PRId64 " columns", first, a->shape[0],
                 name.text, shape[1] * others);
    a->rank = a->shape[0], a->rows = shape[0], a->cols = 1;
    for (int k = 1; k < a->ndim; k++)
        a->cols *= a->shape[k];
    LODE_TRY(scale_of(ctx, o, file, config, a));
done:
    lode_i_text_free(&name);
    return st;
}

lode_status lode_i_adapter_pairs(lode_ctx *ctx, const lode_adapter_opts *o, const lode_bundle *file,
                                 lode_i_layers *pairs)
{
    lode_status st = LODE_OK;
    lode_json *config = NULL;
    lode_i_layers made = { 0 };
    const lode_value text = lode_bundle_get(file, LODE_I_ADAPTER_CONFIG);
    LODE_TRY(new_layers(ctx, file->count, &made));
    if (text.kind == LODE_TEXT)
        LODE_TRY(lode_i_json_parse(ctx, text.as.text, strlen(text.as.text), &config));
    for (int64_t i = 0; i < file->count; i++)
        LODE_TRY(add_pair(ctx, o, file, config, i, &made));
    *pairs = made;
    made = (lode_i_layers){ 0 };
done:
    lode_i_json_free(config);
    lode_i_layers_free(&made);
    return st;
}

/* ---- the inputs of a call ---- */

static lode_status take_files(lode_ctx *ctx, lode_value base, const lode_bundle *more,
                              lode_i_adapter *a)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 };
    lode_source lent = { 0 };
    a->base = base.kind == LODE_BUNDLE ? base.as.bundle : &a->own;
    if (base.kind == LODE_ARRAY) {
        whole = lode_array_ref(base.as.array);
        LODE_TRY(lode_bundle_add_array(ctx, &a->own, "weight", &whole));
    } else if (base.kind == LODE_SOURCE) {
        lent = *base.as.source;
        lent.close = NULL;
        LODE_TRY(lode_bundle_add_source(ctx, &a->own, "weight", &lent));
    }
    for (int64_t i = 0; more && i < more->count; i++) {
        const lode_value v = lode_bundle_value(more, i);
        LODE_REQUIRE(v.kind == LODE_BUNDLE && a->files < LODE_I_ADAPTER_FILES, LODE_EUSAGE,
                     "adapter: input more takes up to %d files, each as a bundle",
                     LODE_I_ADAPTER_FILES);
        a->more[a->files++] = v.as.bundle;
    }
done:
    LODE_FREE(&whole);
    return st;
}

static lode_status check_files(lode_ctx *ctx, const lode_i_adapter *a)
{
    static const struct {
        int least, most;
        const char *takes;
    } files[] = {
        [LODE_ADAPTER_EXTRACT] = { 1, 1, "the checkpoint before and the one after" },
        [LODE_ADAPTER_FACTOR] = { 0, 0, "one checkpoint" },
        [LODE_ADAPTER_RESIZE] = { 0, LODE_I_ADAPTER_FILES, "an adapter, or several" },
        [LODE_ADAPTER_MERGE] = { 1, LODE_I_ADAPTER_FILES, "a checkpoint and one adapter or more" },
        [LODE_ADAPTER_FIT] = { 2, 2, "the weights, the inputs and the outputs of their layers" },
        [LODE_ADAPTER_REPORT] = { 0, 1, "one file, or the checkpoint before and the one after" },
    };
    const lode_adapter_task t = a->o->task;
    lode_status st = LODE_OK;
    LODE_REQUIRE(a->files >= files[t].least && a->files <= files[t].most, LODE_EUSAGE,
                 "adapter: this task takes %s; %d files were given", files[t].takes, a->files + 1);
    LODE_REQUIRE(!a->calibration || t == LODE_ADAPTER_FACTOR, LODE_EUSAGE,
                 "adapter: calibration is for --do factor alone");
    LODE_REQUIRE(a->o->weighting != LODE_ADAPTER_ACTIVATIONS || a->calibration, LODE_EUSAGE,
                 "adapter: weighting activations needs calibration=FILE with inputs of the layers");
    LODE_REQUIRE(a->o->scales.count == 0 || t == LODE_ADAPTER_MERGE || t == LODE_ADAPTER_RESIZE,
                 LODE_EUSAGE, "adapter: scales are of the adapters that merge and resize take");
    const int adapters = t == LODE_ADAPTER_MERGE ? a->files : a->files + 1;
    LODE_REQUIRE(a->o->scales.count == 0 || a->o->scales.count == adapters, LODE_EUSAGE,
                 "adapter: %d scales for %d adapters", (int)a->o->scales.count, adapters);
done:
    return st;
}

lode_status lode_i_adapter_open(lode_ctx *ctx, const lode_adapter_opts *o, lode_value base,
                                const lode_bundle *more, const lode_bundle *calibration,
                                lode_i_adapter *a)
{
    lode_status st = LODE_OK;
    int64_t weights = 0;
    *a = (lode_i_adapter){ .o = o, .calibration = calibration };
    LODE_TRY(take_files(ctx, base, more, a));
    LODE_TRY(check_files(ctx, a));
    const bool report = o->task == LODE_ADAPTER_REPORT && a->files == 0;
    if (o->task == LODE_ADAPTER_RESIZE || report)
        LODE_TRY(lode_i_adapter_pairs(ctx, o, a->base, &a->layers));
    LODE_REQUIRE(
        o->task != LODE_ADAPTER_RESIZE || a->layers.count > 0, LODE_EUSAGE,
        "adapter: the first file holds no factors lora_A and lora_B; resize takes an adapter");
    if (a->layers.count == 0) {
        lode_i_layers_free(&a->layers);
        LODE_TRY(tensors_of(ctx, o, a->base, &a->layers));
        if (o->task == LODE_ADAPTER_EXTRACT || (o->task == LODE_ADAPTER_REPORT && a->files == 1))
            LODE_TRY(match(ctx, o, a->more[0], &a->layers));
    }
    for (int64_t i = 0; i < a->layers.count; i++)
        weights += a->layers.at[i].fate == LODE_I_WEIGHT;
    LODE_REQUIRE(weights > 0, LODE_EUSAGE,
                 "adapter: no floating-point tensor of 2 axes or more is in the file and in the "
                 "patterns of --include and --exclude");
done:
    return st;
}

/* ---- types ---- */

lode_dtype lode_i_adapter_type(const lode_i_layer *l)
{
    return l->stored == LODE_F64 ? LODE_F64 : LODE_F32;
}

lode_dtype lode_i_adapter_store(const lode_adapter_opts *o, lode_dtype stored, bool whole)
{
    lode_dtype dtype = stored;
    if (o->dtype && strcmp(o->dtype, "auto") != 0)
        lode_dtype_parse(o->dtype, &dtype); /* checked by the plan */
    else if (!whole && (stored == LODE_F16 || stored == LODE_BF16))
        dtype = LODE_F32;
    return dtype;
}
