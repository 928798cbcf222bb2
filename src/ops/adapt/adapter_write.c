/* What adapter writes: tensors by the names that other programs expect, their configuration, and a
 * report of one line a tensor. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* Bytes of a tensor that may wait on disk. */
enum { WAITS = 65536 };

lode_status lode_i_product_start(lode_ctx *ctx, lode_i_product *p)
{
    *p = (lode_i_product){ .ranks = lode_i_json_object(), .saved = lode_i_json_array() };
    LODE_FORWARD(lode_i_text_add(ctx, &p->report,
                                 "tensor,what,rows,cols,rank,base,norm,kept,error,relative,"
                                 "outputs,outputs_error,numerical_rank,effective_rank,"
                                 "stable_rank"));
    for (int i = 0; i < LODE_I_ENERGIES; i++)
        LODE_FORWARD(lode_i_text_add(ctx, &p->report, ",energy_%d", 1 << i));
    return lode_i_text_add(ctx, &p->report, "\n");
}

void lode_i_product_free(lode_i_product *p)
{
    lode_i_json_free(p->ranks);
    lode_i_json_free(p->saved);
    lode_i_text_free(&p->report);
    lode_bundle_free(&p->result);
    *p = (lode_i_product){ .ranks = NULL };
}

/* ---- the report ---- */

lode_i_row lode_i_row_of(const lode_i_layer *l, const char *what)
{
    lode_i_row r = { .tensor = l->name, .what = what, .rows = l->rows, .cols = l->cols };
    r.rank = -1, r.limit = INFINITY;
    r.base = r.norm = r.kept = r.error = r.seen = r.seen_error = r.numerical = r.effective =
        r.stable = NAN;
    for (int i = 0; i < LODE_I_ENERGIES; i++)
        r.energy[i] = NAN;
    return r;
}

/* Nothing where a number is not known. */
static lode_status add_number(lode_ctx *ctx, lode_text *t, double v)
{
    char text[32] = "";
    if (!isnan(v))
        lode_i_print_f64(v, text);
    return lode_i_text_add(ctx, t, ",%s", text);
}

lode_status lode_i_product_row(lode_ctx *ctx, lode_i_product *p, const lode_i_row *r)
{
    lode_text *t = &p->report;
    const double relative = r->error <= 0 ? 0 : r->error / r->norm;
    LODE_FORWARD(lode_i_text_add(ctx, t, "\""));
    for (const char *c = r->tensor; *c; c++)
        LODE_FORWARD(lode_i_text_add(ctx, t, *c == '"' ? "\"\"" : *c == '\n' ? " " : "%c", *c));
    LODE_FORWARD(
        lode_i_text_add(ctx, t, "\",%s,%" PRId64 ",%" PRId64 ",", r->what, r->rows, r->cols));
    if (r->rank >= 0)
        LODE_FORWARD(lode_i_text_add(ctx, t, "%" PRId64, r->rank));
    const double numbers[] = { r->base, r->norm,       r->kept,      r->error,     relative,
                               r->seen, r->seen_error, r->numerical, r->effective, r->stable };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        LODE_FORWARD(add_number(ctx, t, numbers[i]));
    for (int i = 0; i < LODE_I_ENERGIES; i++)
        LODE_FORWARD(add_number(ctx, t, r->energy[i]));
    if (!isnan(r->error) && !isnan(r->norm)) {
        p->missed += r->rank >= 0 && !(r->error <= r->limit * (1 + 1e-3));
        p->norm = hypot(p->norm, r->norm);
        p->error = hypot(p->error, r->error);
        p->layers++;
    }
    return lode_i_text_add(ctx, t, "\n");
}

/* One field of a line; quotes are taken off. */
static bool field(const char **at, char *text, size_t size)
{
    size_t n = 0;
    const char *c = *at;
    if (*c == '"') {
        for (c++; *c && (*c != '"' || c[1] == '"'); c++) {
            c += *c == '"';
            if (n + 1 < size)
                text[n++] = *c;
        }
        if (*c++ != '"')
            return false;
    }
    for (; *c && *c != ',' && *c != '\n'; c++)
        if (n + 1 < size)
            text[n++] = *c;
    text[n] = '\0';
    *at = *c ? c + 1 : c;
    return *c != '\0';
}

static bool number(const char **at, double *v)
{
    char text[64];
    if (!field(at, text, sizeof text))
        return false;
    *v = NAN;
    return !*text || lode_i_parse_f64(text, v);
}

lode_status lode_i_line_next(lode_ctx *ctx, const char **at, lode_i_line *l, bool *found)
{
    double rows = 0, cols = 0, rank = 0, relative = 0;
    *found = **at != '\0';
    if (!*found)
        return LODE_OK;
    bool good = field(at, l->tensor, sizeof l->tensor) && field(at, l->what, sizeof l->what);
    double *const numbers[] = { &rows,         &cols,         &rank,     &l->base, &l->norm,
                                &l->kept,      &l->error,     &relative, &l->seen, &l->seen_error,
                                &l->numerical, &l->effective, &l->stable };
    for (size_t i = 0; good && i < sizeof numbers / sizeof *numbers; i++)
        good = number(at, numbers[i]);
    for (int i = 0; good && i < LODE_I_ENERGIES; i++)
        good = number(at, &l->energy[i]);
    if (!good || !(fabs(rows) < 0x1p62) || !(fabs(cols) < 0x1p62) || fabs(rank) >= 0x1p62)
        return lode_i_fail(ctx, LODE_EFORMAT, "adapter: %s has a damaged line",
                           LODE_I_ADAPTER_REPORT);
    l->rows = (int64_t)rows, l->cols = (int64_t)cols, l->rank = isnan(rank) ? -1 : (int64_t)rank;
    return LODE_OK;
}

lode_status lode_i_lines_of(lode_ctx *ctx, const lode_bundle *model, const char **at)
{
    const lode_value v = lode_bundle_get(model, LODE_I_ADAPTER_REPORT);
    const char *first = v.kind == LODE_TEXT ? strchr(v.as.text, '\n') : NULL;
    if (!first)
        return lode_i_fail(ctx, LODE_EFORMAT, "adapter: the result lacks %s",
                           LODE_I_ADAPTER_REPORT);
    *at = first + 1;
    return LODE_OK;
}

/* ---- tensors ---- */

lode_status lode_i_product_add(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                               lode_array *t, const char *prefix, const char *module,
                               const char *suffix)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 };
    lode_source s = { 0 };
    const size_t own = strlen(LODE_I_ADAPTER_PREFIX);
    if (*prefix && strncmp(module, LODE_I_ADAPTER_PREFIX, own) == 0)
        prefix = "";
    LODE_TRY(lode_i_text_add(ctx, &name, "%s%s%s", prefix, module, suffix));
    if (a->spill && lode_array_bytes(t) > WAITS) {
        LODE_TRY(lode_i_set_aside(ctx, lode_from_array(t), &s));
        LODE_TRY(lode_bundle_add_source(ctx, &p->result, name.text, &s));
        lode_array_free(t);
    } else {
        LODE_TRY(lode_bundle_add_array(ctx, &p->result, name.text, t));
    }
done:
    LODE_FREE(&s);
    lode_i_text_free(&name);
    return st;
}

lode_status lode_i_product_keep(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                const char *name, lode_value v)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 }, lent = { 0 };
    lode_array t = { 0 };
    lode_bundle inner = { 0 };
    bool owned = false;
    if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE) {
        LODE_TRY(lode_i_as_source(ctx, v, &lent, &owned));
        double bytes = (double)lode_dtype_size(lent.dtype);
        for (int i = 0; i < lent.ndim; i++)
            bytes *= (double)lent.shape[i];
        if (a->spill && bytes > WAITS) { /* from file to file, without being held */
            LODE_TRY(lode_i_set_aside(ctx, v, &s));
            LODE_TRY(lode_bundle_add_source(ctx, &p->result, name, &s));
        } else {
            LODE_TRY(lode_i_source_load(ctx, &lent, &t));
            LODE_TRY(lode_bundle_add_array(ctx, &p->result, name, &t));
        }
    } else if (v.kind == LODE_TEXT) {
        LODE_TRY(lode_bundle_add_text(ctx, &p->result, name, v.as.text));
    } else if (v.kind == LODE_SCALAR && v.as.scalar->dtype == LODE_I64) {
        LODE_TRY(lode_bundle_add_i64(ctx, &p->result, name, v.as.scalar->i));
    } else if (v.kind == LODE_SCALAR) {
        LODE_TRY(lode_bundle_add_f64(ctx, &p->result, name, v.as.scalar->re));
    } else {
        lode_i_log(ctx, "%s is a %s, and left out", name, lode_kind_name(v.kind));
    }
done:
    if (owned)
        LODE_FREE(&lent);
    LODE_FREE(&s, &t, &inner);
    return st;
}

/* As written, and what that is in the type of computing. */
static lode_status round_to(lode_ctx *ctx, const lode_array *x, lode_dtype store, int ndim,
                            const int64_t *shape, lode_array *written, lode_array *back)
{
    lode_status st = LODE_OK;
    lode_array stored = { 0 };
    LODE_TRY(lode_array_cast(ctx, x, store, &stored));
    LODE_TRY(lode_array_cast(ctx, &stored, x->dtype, back));
    LODE_TRY(lode_array_reshape(ctx, &stored, ndim, shape, written));
done:
    LODE_FREE(&stored);
    return st;
}

lode_status lode_i_product_pair(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                const lode_i_layer *l, const lode_array *B, const lode_array *A,
                                bool adapter, lode_array *left, lode_array *right)
{
    lode_status st = LODE_OK;
    lode_array written = { 0 }, back = { 0 }, turned = { 0 };
    const lode_dtype store = lode_i_adapter_store(a->o, l->stored, !adapter);
    const int64_t r = A->shape[0];
    int64_t shape[LODE_MAX_NDIM];
    const char *const prefix = adapter ? LODE_I_ADAPTER_PREFIX : "";
    const bool embedding = l->swapped && strstr(l->name, ".lora_embedding");
    double bad = 0, other = 0;
    for (int i = 0; i < l->ndim; i++) /* kernels of convolutions: r x in x h x w, out x r x 1 x 1 */
        shape[i] = i == 0 ? r : l->shape[i];
    LODE_TRY(round_to(ctx, A, store, l->ndim, shape, &written, &back));
    LODE_TRY(lode_i_norm_fro(ctx, &back, &bad));
    turned = lode_i_transposed(&back);
    LODE_TRY(lode_array_cast(ctx, &turned, A->dtype, right));
    LODE_TRY(lode_i_product_add(ctx, a, p, &written, prefix, l->module,
                                !adapter    ? ".0.weight"
                                : embedding ? ".lora_embedding_A"
                                            : ".lora_A.weight"));
    LODE_FREE(&written, &back);
    for (int i = 0; i < l->ndim; i++)
        shape[i] = i == 0 ? l->rows : i == 1 ? r : 1;
    LODE_TRY(round_to(ctx, B, store, l->ndim, shape, &written, &back));
    LODE_TRY(lode_i_norm_fro(ctx, &back, &other));
    LODE_TRY(lode_i_product_add(ctx, a, p, &written, prefix, l->module,
                                !adapter    ? ".1.weight"
                                : embedding ? ".lora_embedding_B"
                                            : ".lora_B.weight"));
    LODE_REQUIRE(isfinite(bad) && isfinite(other), LODE_EDOMAIN,
                 "adapter: factors of %s leave the range of %s; give --dtype f32 or bf16", l->name,
                 lode_dtype_name(store));
    lode_array_swap(left, &back);
    LODE_TRY(lode_i_json_set(ctx, p->ranks, l->module, lode_i_json_i64(r)));
    p->largest = lode_i_max(p->largest, r);
done:
    LODE_FREE(&written, &back);
    return st;
}

/* ---- configuration ---- */

/* Bare modules' ranks: names as in the checkpoint. */
static lode_status bare_names(lode_ctx *ctx, const lode_json *ranks, lode_json **bare,
                              lode_json **names)
{
    const size_t own = strlen(LODE_I_ADAPTER_PREFIX);
    lode_json *value = NULL;
    *bare = lode_i_json_object(), *names = lode_i_json_array();
    const char *key = lode_i_json_next(ranks, NULL, &value);
    for (; key; key = lode_i_json_next(ranks, key, &value)) {
        int64_t r = 0;
        const char *name = strncmp(key, LODE_I_ADAPTER_PREFIX, own) == 0 ? key + own : key;
        lode_i_json_as_i64(value, &r);
        LODE_FORWARD(lode_i_json_set(ctx, *bare, name, lode_i_json_i64(r)));
        LODE_FORWARD(lode_i_json_push(ctx, *names, lode_i_json_text(name)));
    }
    return LODE_OK;
}

/* The metadata of a checkpoint, which are words by name, where it is given back whole; else what readers of
 * safetensors ask for. */
static lode_status keep_words(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p)
{
    const char *given = a->o->task == LODE_ADAPTER_FACTOR || a->o->task == LODE_ADAPTER_MERGE
                            ? a->base->meta.attributes
                            : NULL;
    lode_json *all = NULL, *value = NULL;
    if (given)
        LODE_FORWARD(lode_i_json_parse(ctx, given, strlen(given), &all));
    for (const char *name = NULL; given && (name = lode_i_json_next(all, name, &value));)
        given = lode_i_json_as_text(value) ? given : NULL;
    lode_i_json_free(all);
    return lode_i_strdup(ctx, given ? given : "{\"format\":\"pt\"}", &p->result.meta.attributes);
}

/* Alphas are the ranks, so that what is added is B A itself. */
static lode_status add_config(lode_ctx *ctx, lode_i_product *p)
{
    lode_status st = LODE_OK;
    lode_json *o = lode_i_json_object(), *ranks = NULL, *alphas = NULL, *names = NULL, *none = NULL;
    char *text = NULL;
    LODE_TRY(bare_names(ctx, p->ranks, &alphas, &none));
    LODE_TRY(bare_names(ctx, p->ranks, &ranks, &names));
#define SET(key, value) LODE_TRY(lode_i_json_set(ctx, o, key, value))
#define GIVE(key, part)                                                                            \
    do {                                                                                           \
        lode_json *const given = part;                                                             \
        (part) = NULL;                                                                             \
        SET(key, given);                                                                           \
    } while (0)
    SET("peft_type", lode_i_json_text("LORA"));
    SET("base_model_name_or_path", lode_i_json_text(""));
    SET("bias", lode_i_json_text("none"));
    SET("fan_in_fan_out", lode_i_json_bool(p->fan));
    SET("inference_mode", lode_i_json_bool(true));
    SET("r", lode_i_json_i64(lode_i_max(p->largest, 1)));
    SET("lora_alpha", lode_i_json_i64(lode_i_max(p->largest, 1)));
    SET("lora_dropout", lode_i_json_f64(0));
    SET("use_rslora", lode_i_json_bool(false));
    SET("use_dora", lode_i_json_bool(p->dora));
    GIVE("target_modules", names);
    GIVE("rank_pattern", ranks);
    GIVE("alpha_pattern", alphas);
    if (lode_i_json_count(p->saved) > 0)
        GIVE("modules_to_save", p->saved);
#undef GIVE
#undef SET
    LODE_TRY(lode_i_json_print(ctx, o, 2, &text));
    LODE_TRY(lode_bundle_add_text(ctx, &p->result, LODE_I_ADAPTER_CONFIG, text));
done:
    lode_i_json_free(o);
    lode_i_json_free(ranks);
    lode_i_json_free(alphas);
    lode_i_json_free(names);
    lode_i_json_free(none);
    lode_i_free(text);
    return st;
}

lode_status lode_i_product_finish(lode_ctx *ctx, const lode_i_adapter *a, lode_i_product *p,
                                  bool adapter, const char *quantity)
{
    lode_certificate c = { .kind = quantity ? LODE_CERT_MEASURED : LODE_CERT_NONE,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .absolute = p->error,
                           .asked = NAN };
    c.value = p->norm > 0 ? p->error / p->norm : 0;
    if (a->o->error.kind == LODE_ERROR_REL)
        c.asked = a->o->error.value;
    snprintf(c.quantity, sizeof c.quantity, "%s", quantity ? quantity : "");
    snprintf(c.note, sizeof c.note, "%s", p->note);
    if (p->missed > 0)
        snprintf(c.note, sizeof c.note,
                 "%" PRId64 " tensors stop where more rank would take more than they do",
                 p->missed);
    if (adapter)
        LODE_FORWARD(add_config(ctx, p));
    LODE_FORWARD(lode_bundle_add_text(ctx, &p->result, LODE_I_ADAPTER_REPORT, p->report.text));
    LODE_FORWARD(keep_words(ctx, a, p));
    p->result.certificate = c;
    if (p->missed == 0)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_MISSED, "adapter: %s; their errors are in %s", c.note,
                       LODE_I_ADAPTER_REPORT);
}
