/* Verbs of adapter: its certificate checked again, a picture, a table in words. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

/* ---- verify ---- */

/* The two checkpoints, or the one, that a result is checked against. */
typedef struct originals {
    lode_value one, two; /* two: none; one: of a single array too */
} originals;

static lode_value tensor_of(lode_value file, const char *name)
{
    if (file.kind != LODE_BUNDLE)
        return file;
    const lode_bundle *b = file.as.bundle;
    const lode_value v = lode_bundle_get(b, name);
    return v.kind == LODE_NONE && b->count == 1 ? lode_bundle_value(b, 0) : v;
}

static lode_value member(const lode_bundle *model, const char *tensor, const char *suffix)
{
    char name[700];
    size_t n = strlen(tensor);
    if (n > 7 && strcmp(tensor + n - 7, ".weight") == 0)
        n -= 7;
    const size_t lora = n > 7 && strncmp(tensor + n - 7, ".lora_A", 7) == 0 ? n - 7 : n;
    snprintf(name, sizeof name, "%s%.*s%s", LODE_I_ADAPTER_PREFIX, (int)lora, tensor, suffix);
    const lode_value v = lode_bundle_get(model, name);
    return v.kind != LODE_NONE ? v : lode_bundle_get(model, name + strlen(LODE_I_ADAPTER_PREFIX));
}

static bool near(double found, double said, double slack)
{
    return fabs(found - said) <= slack || (!isfinite(found) && !isfinite(said));
}

/* Factors of a line, as matrices in f32 or f64. */
static lode_status read_factors(lode_ctx *ctx, const lode_bundle *model, const lode_i_line *l,
                                bool adapter, lode_array *left, lode_array *right)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 };
    const char *const down = adapter ? ".lora_A.weight" : ".0.weight",
                      *const up = adapter ? ".lora_B.weight" : ".1.weight";
    lode_value a = member(model, l->tensor, down), b = member(model, l->tensor, up);
    if (a.kind == LODE_NONE && adapter)
        a = lode_bundle_get(model, l->tensor), b = member(model, l->tensor, ".lora_embedding_B");
    lode_dtype da = LODE_F32, db = LODE_F32;
    int na = 0, nb = 0;
    int64_t sa[LODE_MAX_NDIM], sb[LODE_MAX_NDIM], cols = 1;
    LODE_REQUIRE(lode_i_value_shape(a, &da, &na, sa) && lode_i_value_shape(b, &db, &nb, sb) &&
                     na >= 2 && nb >= 2,
                 LODE_EVERIFY, "adapter: the result lacks the factors of %s", l->tensor);
    for (int i = 1; i < na; i++)
        cols *= sa[i];
    LODE_REQUIRE(sa[0] == l->rank && sb[1] == l->rank && sb[0] == l->rows && cols == l->cols,
                 LODE_EVERIFY,
                 "adapter: the factors of %s are not those of a %" PRId64 " x %" PRId64
                 " matrix of rank %" PRId64,
                 l->tensor, l->rows, l->cols, l->rank);
    const lode_dtype dtype = da == LODE_F64 ? LODE_F64 : LODE_F32;
    LODE_TRY(lode_i_adapter_load(ctx, l->tensor, a, l->rank, l->cols, dtype, &A, NULL));
    LODE_TRY(lode_i_adapter_load(ctx, l->tensor, b, l->rows, l->rank, dtype, left, NULL));
    const lode_array turned = lode_i_transposed(&A);
    LODE_TRY(lode_array_cast(ctx, &turned, dtype, right));
done:
    LODE_FREE(&A);
    return st;
}

/* What the line is about in the originals, D = W1 - W0 or W; empty where they do not have it. */
static lode_status original_of(lode_ctx *ctx, const originals *o, const lode_i_line *l,
                               bool adapter, lode_array *D)
{
    const lode_value one = tensor_of(o->one, l->tensor), two = tensor_of(o->two, l->tensor);
    lode_dtype dtype = LODE_F32;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM], cols = 1;
    if (one.kind == LODE_NONE || (adapter && two.kind == LODE_NONE))
        return LODE_OK;
    const bool has = lode_i_value_shape(one, &dtype, &ndim, shape);
    for (int i = 1; has && i < ndim; i++)
        cols *= shape[i];
    if (!has || ndim < 1 || shape[0] != l->rows || cols != l->cols)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "adapter: %s of the original is not %" PRId64 " x %" PRId64, l->tensor,
                           l->rows, l->cols);
    dtype = dtype == LODE_F64 ? LODE_F64 : LODE_F32;
    LODE_FORWARD(
        lode_i_adapter_load(ctx, l->tensor, adapter ? two : one, l->rows, l->cols, dtype, D, NULL));
    return adapter ? lode_i_adapter_add(ctx, l->tensor, -1, one, D, NULL) : LODE_OK;
}

static lode_status check_factors(lode_ctx *ctx, const lode_bundle *model, const originals *o,
                                 const lode_i_line *l, bool adapter, double *error, bool *measured)
{
    lode_status st = LODE_OK;
    lode_array left = { 0 }, right = { 0 }, D = { 0 }, lt = { 0 }, rt = { 0 };
    lode_linop *op = NULL;
    double kept = 0;
    LODE_TRY(read_factors(ctx, model, l, adapter, &left, &right));
    LODE_TRY(lode_i_product_norm(ctx, &left, &right, &kept));
    const double eps = lode_i_epsilon(left.dtype), slack = 8 * eps * (l->norm + l->kept);
    LODE_REQUIRE(near(kept, l->kept, slack), LODE_EVERIFY,
                 "adapter: the product of the factors of %s has norm %.9g, the report says %.9g",
                 l->tensor, kept, l->kept);
    *error = l->error;
    LODE_TRY(original_of(ctx, o, l, adapter, &D));
    if (!D.data)
        goto done;
    LODE_TRY(lode_i_as(ctx, &left, D.dtype, &lt));
    LODE_TRY(lode_i_as(ctx, &right, D.dtype, &rt));
    LODE_TRY(lode_linop_from(ctx, lode_from_array(&D), &op));
    LODE_TRY(op->norm(ctx, op, &lt, &rt, error));
    *measured = true;
    LODE_REQUIRE(near(*error, l->error, 1e-5 * l->error + slack), LODE_EVERIFY,
                 "adapter: the error of %s is %.6g, the report says %.6g", l->tensor, *error,
                 l->error);
done:
    LODE_FREE(&op, &left, &right, &D, &lt, &rt);
    return st;
}

/* A tensor that is in the result as it was. */
static lode_status check_kept(lode_ctx *ctx, const lode_bundle *model, const originals *o,
                              const lode_i_line *l, bool *measured)
{
    lode_status st = LODE_OK;
    lode_array D = { 0 };
    lode_value v = lode_bundle_get(model, l->tensor);
    const lode_value was = tensor_of(o->one, l->tensor);
    const size_t n = strlen(l->tensor);
    double norm = 0;
    char hex[2][72] = { "", "" };
    if (v.kind == LODE_NONE && n > 5 && strcmp(l->tensor + n - 5, ".bias") == 0) {
        char name[600];
        snprintf(name, sizeof name, "%.*s.1.bias", (int)(n - 5), l->tensor);
        v = lode_bundle_get(model, name);
    }
    LODE_REQUIRE(v.kind == LODE_ARRAY || v.kind == LODE_SOURCE, LODE_EVERIFY,
                 "adapter: the result lacks %s", l->tensor);
    if (!isnan(l->kept)) {
        LODE_TRY(lode_i_adapter_load(ctx, l->tensor, v, l->rows, l->cols, LODE_F64, &D, &norm));
        LODE_REQUIRE(near(norm, l->kept, 1e-6 * l->kept), LODE_EVERIFY,
                     "adapter: %s has norm %.9g, the report says %.9g", l->tensor, norm, l->kept);
    }
    if (was.kind != LODE_ARRAY && was.kind != LODE_SOURCE)
        goto done;
    LODE_TRY(lode_hash(ctx, v, hex[0]));
    LODE_TRY(lode_hash(ctx, was, hex[1]));
    *measured = true;
    LODE_REQUIRE(strcmp(hex[0], hex[1]) == 0, LODE_EVERIFY,
                 "adapter: %s was kept as it is, but the original has other values", l->tensor);
done:
    LODE_FREE(&D);
    return st;
}

lode_status lode_i_adapter_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                  lode_certificate *found)
{
    lode_status st = LODE_OK;
    originals o = { .one = original };
    lode_i_line *l = NULL;
    const char *at = NULL;
    double norm = 0, error = 0;
    bool is = false, measured = false;
    if (original.kind == LODE_BUNDLE && original.as.bundle->count > 0 &&
        lode_bundle_value(original.as.bundle, 0).kind == LODE_BUNDLE) {
        o.one = lode_bundle_value(original.as.bundle, 0);
        o.two = lode_bundle_value(original.as.bundle, 1);
    }
    LODE_TRY(LODE_NEW(ctx, 1, &l));
    LODE_TRY(lode_i_lines_of(ctx, model, &at));
    LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    while (is) {
        double one = isnan(l->error) ? 0 : l->error;
        const bool adapter = strcmp(l->what, "adapter") == 0;
        if ((adapter && l->rank > 0 && !isnan(l->error)) || strcmp(l->what, "factors") == 0)
            LODE_TRY(check_factors(ctx, model, &o, l, adapter, &one, &measured));
        else if (strcmp(l->what, "kept") == 0 || strcmp(l->what, "dense") == 0)
            LODE_TRY(check_kept(ctx, model, &o, l, &measured));
        if (!isnan(l->error) && !isnan(l->norm))
            norm = hypot(norm, l->norm), error = hypot(error, one);
        LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    }
    *found = model->certificate;
    if (found->kind == LODE_CERT_NONE)
        goto done;
    found->absolute = error, found->value = norm > 0 ? error / norm : 0;
    LODE_REQUIRE(
        near(found->value, model->certificate.value, 1e-4 * model->certificate.value + 1e-6),
        LODE_EVERIFY, "adapter: the error of all layers is %.6g, the certificate says %.6g",
        found->value, model->certificate.value);
    if (!measured)
        snprintf(found->note, sizeof found->note,
                 "factors agree with the report; give the original to measure their error again");
done:
    lode_i_free(l);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_adapter_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                                lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_array rank = { 0 }, error = { 0 }, energy = { 0 }, ranks = { 0 };
    lode_panel *curves = NULL, *p = NULL;
    lode_i_line *l = NULL;
    const char *at = NULL;
    int64_t n = 0, shown = 0;
    char text[512];
    bool is = false;
    (void)original;
    LODE_TRY(LODE_NEW(ctx, 1, &l));
    LODE_TRY(lode_i_lines_of(ctx, model, &at));
    const char *const first = at;
    LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    while (is) {
        n += l->rank >= 0;
        LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &rank));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &error));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, LODE_I_ENERGIES, &ranks));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, LODE_I_ENERGIES, &energy));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Layers by rank", text));
    LODE_TRY(lode_i_panel(ctx, figure, "rank of each tensor", "tensor, in the file's order", "rank",
                          &p));
    lode_i_panel_log(p, false, true);
    at = first, n = 0;
    LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    while (is) {
        if (l->rank >= 0) {
            lode_i_set1(&rank, n, (double)l->rank);
            lode_i_set1(&error, n++, isnan(l->error) ? l->norm : l->error / l->norm);
        }
        if (!isnan(l->energy[0]) && shown < 12) { /* more curves than colours tell nothing */
            if (!curves) {
                LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, &rank, NULL));
                LODE_TRY(lode_i_panel(ctx, figure, "share of squares that a rank holds", "rank",
                                      "share", &curves));
                lode_i_panel_log(curves, true, false);
            }
            for (int i = 0; i < LODE_I_ENERGIES; i++) {
                lode_i_set1(&ranks, i, (double)(1 << i));
                lode_i_set1(&energy, i, l->energy[i]);
            }
            LODE_TRY(lode_i_panel_line(ctx, curves, l->tensor, &ranks, &energy));
            shown++;
        }
        LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    }
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, &rank, NULL));
    const bool report = model->certificate.kind == LODE_CERT_NONE;
    LODE_TRY(lode_i_panel(ctx, figure, report ? "norm of each tensor" : "what the rank leaves out",
                          "tensor, in the file's order",
                          report ? "Frobenius norm" : "relative Frobenius error", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, &error, NULL));
done:
    lode_i_free(l);
    LODE_FREE(&rank, &error, &ranks, &energy);
    return st;
}

/* ---- tell ---- */

static lode_status tell_words(lode_ctx *ctx, const char *at, lode_text *t)
{
    lode_status st = LODE_OK;
    lode_i_line *l = NULL;
    bool is = false;
    LODE_TRY(LODE_NEW(ctx, 1, &l));
    LODE_TRY(lode_i_text_add(ctx, t, "%-44s %-10s %14s %6s %10s %10s\n", "tensor", "what", "size",
                             "rank", "norm", "error"));
    LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    while (is) {
        char size[48], rank[24] = "", error[24] = "", norm[24] = "";
        snprintf(size, sizeof size, "%" PRId64 " x %" PRId64, l->rows, l->cols);
        if (l->rank >= 0)
            snprintf(rank, sizeof rank, "%" PRId64, l->rank);
        if (!isnan(l->norm))
            snprintf(norm, sizeof norm, "%.3g", l->norm);
        if (!isnan(l->error))
            snprintf(error, sizeof error, "%.3g", l->norm > 0 ? l->error / l->norm : 0);
        LODE_TRY(lode_i_text_add(ctx, t, "%-44s %-10s %14s %6s %10s %10s\n", l->tensor, l->what,
                                 size, rank, norm, error));
        LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    }
done:
    lode_i_free(l);
    return st;
}

static lode_status tell_json(lode_ctx *ctx, const char *at, lode_text *t)
{
    lode_status st = LODE_OK;
    lode_i_line *l = NULL;
    lode_json *all = lode_i_json_array(), *o = NULL;
    char *text = NULL;
    bool is = false;
    LODE_TRY(LODE_NEW(ctx, 1, &l));
    LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    while (is) {
        o = lode_i_json_object();
        LODE_TRY(lode_i_json_set(ctx, o, "tensor", lode_i_json_text(l->tensor)));
        LODE_TRY(lode_i_json_set(ctx, o, "what", lode_i_json_text(l->what)));
        LODE_TRY(lode_i_json_set(ctx, o, "rows", lode_i_json_i64(l->rows)));
        LODE_TRY(lode_i_json_set(ctx, o, "cols", lode_i_json_i64(l->cols)));
        LODE_TRY(lode_i_json_set(ctx, o, "rank", lode_i_json_i64(l->rank)));
        LODE_TRY(lode_i_json_set(ctx, o, "norm", lode_i_json_f64(l->norm)));
        LODE_TRY(lode_i_json_set(ctx, o, "error", lode_i_json_f64(l->error)));
        lode_json *const given = o;
        o = NULL;
        LODE_TRY(lode_i_json_push(ctx, all, given));
        LODE_TRY(lode_i_line_next(ctx, &at, l, &is));
    }
    LODE_TRY(lode_i_json_print(ctx, all, 0, &text));
    LODE_TRY(lode_i_text_add(ctx, t, "%s", text));
done:
    lode_i_free(l);
    lode_i_free(text);
    lode_i_json_free(o);
    lode_i_json_free(all);
    return st;
}

lode_status lode_i_adapter_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    const char *at = NULL;
    LODE_TRY(lode_i_lines_of(ctx, model, &at));
    LODE_TRY(form == LODE_DOC_JSON ? tell_json(ctx, at, &t) : tell_words(ctx, at, &t));
    *text = t.text;
    t = (lode_text){ 0 };
done:
    lode_i_text_free(&t);
    return st;
}
