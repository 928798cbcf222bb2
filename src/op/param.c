/* Options: one parser, one printer and one check for each kind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op/op.h"

lode_error_spec lode_error_rel(double e)
{
    return (lode_error_spec){ LODE_ERROR_REL, e, 0 };
}
lode_error_spec lode_error_fro(double e)
{
    return (lode_error_spec){ LODE_ERROR_FRO, e, 0 };
}
lode_error_spec lode_error_max(double e)
{
    return (lode_error_spec){ LODE_ERROR_MAX, e, 0 };
}
lode_error_spec lode_error_maxrel(double e)
{
    return (lode_error_spec){ LODE_ERROR_MAXREL, e, 0 };
}
lode_rank_spec lode_rank(int64_t r)
{
    return (lode_rank_spec){ 1, { r } };
}

const lode_param *lode_i_param_find(const lode_op *op, const char *name)
{
    for (const lode_param *p = op->params; p->name; p++) {
        size_t i = 0;
        while (name[i] && (name[i] == p->name[i] || (name[i] == '-' && p->name[i] == '_')))
            i++;
        if (!name[i] && !p->name[i])
            return p;
    }
    return NULL;
}

/* ---- parsing: NULL when fine, else what is wanted ---- */

/* Copies the next item up to a comma. */
static bool next_item(const char **text, char *item, size_t size)
{
    const size_t n = strcspn(*text, ",");
    if (n == 0 || n >= size)
        return false;
    memcpy(item, *text, n);
    item[n] = 0;
    *text += n + ((*text)[n] == ',');
    return true;
}

static const char *parse_rank(const char *text, lode_rank_spec *r)
{
    static const char *const want = "a whole number, several by commas, or auto";
    *r = (lode_rank_spec){ 0 };
    if (strcmp(text, "auto") == 0)
        return NULL;
    char item[32];
    const size_t end = strlen(text);
    if (end == 0 || text[end - 1] == ',')
        return want;
    while (*text) {
        if (r->count == LODE_MAX_NDIM || !next_item(&text, item, sizeof item) ||
            !lode_i_parse_i64(item, &r->value[r->count++]))
            return want;
    }
    return NULL;
}

static const char *parse_list(const char *text, lode_list *l)
{
    static const char *const want = "numbers separated by commas";
    *l = (lode_list){ 0 };
    char item[64];
    const size_t end = strlen(text);
    if (end > 0 && text[end - 1] == ',')
        return want;
    while (*text) {
        if (l->count == LODE_MAX_NDIM || !next_item(&text, item, sizeof item) ||
            !lode_i_parse_f64(item, &l->value[l->count++]))
            return want;
    }
    return NULL;
}

static const char *parse_axes(const char *text, lode_axes *a)
{
    lode_list l = { 0 };
    *a = (lode_axes){ .count = -1 };
    if (strcmp(text, "all") == 0)
        return NULL;
    if (*text == 0 || parse_list(text, &l))
        return "axis numbers separated by commas, or all";
    a->count = l.count;
    for (int32_t i = 0; i < l.count; i++) {
        if (l.value[i] != floor(l.value[i]) || fabs(l.value[i]) > LODE_MAX_NDIM)
            return "axis numbers separated by commas, or all";
        a->axis[i] = (int32_t)l.value[i];
    }
    return NULL;
}

static const char *parse_error(const char *text, lode_error_spec *e)
{
    static const char
        *const want = "a positive number, with :rel, :fro, :max, :maxrel or :psnr, or none";
    static const struct {
        const char *suffix;
        lode_error_kind kind;
    } kinds[] = {
        { "rel", LODE_ERROR_REL },       { "fro", LODE_ERROR_FRO },   { "max", LODE_ERROR_MAX },
        { "maxrel", LODE_ERROR_MAXREL }, { "psnr", LODE_ERROR_PSNR },
    };
    *e = (lode_error_spec){ 0 };
    if (strcmp(text, "none") == 0)
        return NULL;
    char item[64];
    const char *colon = strchr(text, ':');
    const size_t n = colon ? (size_t)(colon - text) : strlen(text);
    if (n == 0 || n >= sizeof item)
        return want;
    memcpy(item, text, n);
    item[n] = 0;
    if (!lode_i_parse_f64(item, &e->value))
        return want;
    e->kind = LODE_ERROR_REL;
    if (!colon)
        return NULL;
    const char *suffix = colon + 1;
    if (strncmp(suffix, "psnr=", 5) == 0) {
        e->kind = LODE_ERROR_PSNR;
        return lode_i_parse_f64(suffix + 5, &e->peak) && e->peak > 0
                   ? NULL
                   : "a positive peak after psnr=";
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(suffix, kinds[i].suffix) == 0) {
            e->kind = kinds[i].kind;
            return NULL;
        }
    return want;
}

static const char *parse_budget(const char *text, lode_budget_spec *b)
{
    static const char *const want = "bytes (4096, 64K, 2M, 1G), params=N, bits=B or none";
    *b = (lode_budget_spec){ 0 };
    if (strcmp(text, "none") == 0)
        return NULL;
    const char *equals = strchr(text, '=');
    if (!equals) {
        b->kind = LODE_BUDGET_BYTES;
        return lode_i_parse_bytes(text, &b->value) ? NULL : want;
    }
    b->kind = strncmp(text, "params=", 7) == 0 ? LODE_BUDGET_PARAMS
              : strncmp(text, "bits=", 5) == 0 ? LODE_BUDGET_BITS
                                               : LODE_BUDGET_NONE;
    return b->kind != LODE_BUDGET_NONE && lode_i_parse_f64(equals + 1, &b->value) ? NULL : want;
}

static const char *parse_missing(const char *text, lode_missing *m)
{
    *m = (lode_missing){ 0 };
    if (strcmp(text, "none") == 0)
        return NULL;
    m->kind = strcmp(text, "nan") == 0   ? LODE_MISSING_NAN
              : strcmp(text, "inf") == 0 ? LODE_MISSING_INF
                                         : LODE_MISSING_VALUE;
    return m->kind != LODE_MISSING_VALUE ||
                   (lode_i_parse_f64(text, &m->value) && isfinite(m->value))
               ? NULL
               : "nan, inf, none or a number";
}

static const char *parse_enum(const char *choices, const char *text, int *value)
{
    int k = 0;
    for (const char *p = choices; *p; k++) {
        const size_t n = strcspn(p, "|");
        if (strlen(text) == n && strncmp(p, text, n) == 0) {
            *value = k;
            return NULL;
        }
        p += n + (p[n] == '|');
    }
    return choices;
}

static const char *parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no",
                                                                                   "off", "0" };
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0)
            return *value = true, NULL;
        if (strcmp(text, no[i]) == 0)
            return *value = false, NULL;
    }
    return "true or false";
}

/* Text options point at `text` itself. */
static const char *parse_value(const lode_param *p, const char *text, void *at)
{
    switch (p->kind) {
    case LODE_P_BOOL: return parse_bool(text, at);
    case LODE_P_I64: return lode_i_parse_i64(text, at) ? NULL : "a whole number";
    case LODE_P_U64: return lode_i_parse_u64(text, at) ? NULL : "a whole number, 0 or more";
    case LODE_P_F64: return lode_i_parse_f64(text, at) ? NULL : "a number";
    case LODE_P_ENUM: return parse_enum(p->choices, text, at);
    case LODE_P_TEXT: memcpy(at, &text, sizeof text); return NULL;
    case LODE_P_AUTO_I64: {
        lode_auto_i64 *v = at;
        *v = (lode_auto_i64){ .given = strcmp(text, "auto") != 0 };
        return !v->given || lode_i_parse_i64(text, &v->value) ? NULL : "a whole number or auto";
    }
    case LODE_P_AUTO_F64: {
        lode_auto_f64 *v = at;
        *v = (lode_auto_f64){ .given = strcmp(text, "auto") != 0 };
        return !v->given || lode_i_parse_f64(text, &v->value) ? NULL : "a number or auto";
    }
    case LODE_P_RANK: return parse_rank(text, at);
    case LODE_P_ERROR: return parse_error(text, at);
    case LODE_P_BUDGET: return parse_budget(text, at);
    case LODE_P_AXES: return parse_axes(text, at);
    case LODE_P_LIST: return parse_list(text, at);
    case LODE_P_MISSING: return parse_missing(text, at);
    case LODE_P_ARRAY: break;
    }
    return "an array";
}

lode_status lode_i_param_parse(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const char *text, void *opts)
{
    union { /* as large and as aligned as any kind */
        lode_list list;
        lode_rank_spec rank;
        lode_axes axes;
        const char *text;
        int choice;
    } value;
    memset(&value, 0, sizeof value);
    const char *want = parse_value(p, text, &value);
    if (want)
        return lode_i_fail(ctx, LODE_EPARAM, "%s: option %s is '%s'; give %s%s", op->name, p->name,
                           text, p->kind == LODE_P_ENUM ? "one of " : "", want);
    memcpy((char *)opts + p->offset, &value, p->size);
    return lode_i_param_check(ctx, op, p, opts);
}

void lode_op_defaults(const lode_op *op, void *opts)
{
    memset(opts, 0, op->opts_size);
    memcpy(opts, &op->opts_size, sizeof op->opts_size);
    for (const lode_param *p = op->params; p->name; p++) {
        void *at = (char *)opts + p->offset;
        switch (p->kind) {
        case LODE_P_BOOL: *(bool *)at = p->def != 0; break;
        case LODE_P_I64: *(int64_t *)at = (int64_t)p->def; break;
        case LODE_P_U64: *(uint64_t *)at = (uint64_t)p->def; break;
        case LODE_P_F64: *(double *)at = p->def; break;
        case LODE_P_ENUM: *(int *)at = (int)p->def; break;
        case LODE_P_AXES: parse_axes(p->def_text ? p->def_text : "all", at); break;
        default:
            if (p->def_text)
                parse_value(p, p->def_text, at);
        }
    }
}

/* ---- checking ---- */

static lode_status check_number(lode_ctx *ctx, const lode_op *op, const lode_param *p, double v)
{
    if (p->min == 0 && p->max == 0)
        return LODE_OK;
    if (v >= p->min && v <= p->max)
        return LODE_OK;
    char value[32], lo[32], hi[32];
    lode_i_print_f64(v, value), lode_i_print_f64(p->min, lo), lode_i_print_f64(p->max, hi);
    return lode_i_fail(ctx, LODE_EPARAM, "%s: option %s is %s; it must be from %s to %s", op->name,
                       p->name, value, lo, hi);
}

/* Whether the operation can do without any error. */
static bool may_be_lossless(const lode_op *op)
{
    const lode_param *method = lode_i_param_find(op, "method");
    return method && method->kind == LODE_P_ENUM && strstr(method->choices, "lossless");
}

static lode_status check_positive(lode_ctx *ctx, const lode_op *op, const lode_param *p, double v)
{
    char value[32];
    if (v > 0 && isfinite(v))
        return check_number(ctx, op, p, v);
    lode_i_print_f64(v, value);
    return lode_i_fail(ctx, LODE_EPARAM, "%s: option %s is %s; it must be positive and finite%s",
                       op->name, p->name, value,
                       p->kind == LODE_P_ERROR && may_be_lossless(op)
                           ? "; --method lossless keeps every bit"
                           : "");
}

lode_status lode_i_param_check(lode_ctx *ctx, const lode_op *op, const lode_param *p,
                               const void *opts)
{
    const void *at = (const char *)opts + p->offset;
    switch (p->kind) {
    case LODE_P_I64: return check_number(ctx, op, p, (double)*(const int64_t *)at);
    case LODE_P_U64: return check_number(ctx, op, p, (double)*(const uint64_t *)at);
    case LODE_P_F64: return check_number(ctx, op, p, *(const double *)at);
    case LODE_P_ENUM: {
        int k = 0;
        for (const char *c = p->choices; *c; c++)
            k += *c == '|';
        const int v = *(const int *)at;
        return v >= 0 && v <= k
                   ? LODE_OK
                   : lode_i_fail(ctx, LODE_EPARAM, "%s: option %s is number %d; give one of %s",
                                 op->name, p->name, v, p->choices);
    }
    case LODE_P_AUTO_I64: {
        const lode_auto_i64 *v = at;
        return v->given ? check_number(ctx, op, p, (double)v->value) : LODE_OK;
    }
    case LODE_P_AUTO_F64: {
        const lode_auto_f64 *v = at;
        return v->given ? check_number(ctx, op, p, v->value) : LODE_OK;
    }
    case LODE_P_RANK: {
        const lode_rank_spec *r = at;
        if (r->count < 0 || r->count > LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_EPARAM, "%s: option %s holds %d numbers; at most %d",
                               op->name, p->name, r->count, LODE_MAX_NDIM);
        for (int32_t i = 0; i < r->count; i++)
            LODE_FORWARD(check_number(ctx, op, p, (double)r->value[i]));
        return LODE_OK;
    }
    case LODE_P_LIST: {
        const lode_list *l = at;
        for (int32_t i = 0; i < l->count; i++)
            LODE_FORWARD(check_number(ctx, op, p, l->value[i]));
        return LODE_OK;
    }
    case LODE_P_ERROR: {
        const lode_error_spec *e = at;
        return e->kind == LODE_ERROR_NONE ? LODE_OK : check_positive(ctx, op, p, e->value);
    }
    case LODE_P_BUDGET: {
        const lode_budget_spec *b = at;
        return b->kind == LODE_BUDGET_NONE ? LODE_OK : check_positive(ctx, op, p, b->value);
    }
    case LODE_P_TEXT:
        if (p->required && !*(const char *const *)at)
            return lode_i_fail(ctx, LODE_EPARAM, "%s: option %s is required: %s", op->name, p->name,
                               p->help);
        return LODE_OK;
    case LODE_P_BOOL:
    case LODE_P_AXES:
    case LODE_P_MISSING:
    case LODE_P_ARRAY: break;
    }
    return LODE_OK;
}

/* ---- printing: what parses back to the same value ---- */

static lode_status print_f64(lode_ctx *ctx, double v, lode_text *t)
{
    char text[32];
    lode_i_print_f64(v, text);
    return lode_i_text_add(ctx, t, "%s", text);
}

static lode_status print_error(lode_ctx *ctx, const lode_error_spec *e, lode_text *t)
{
    static const char *const suffix[] = { "none", ":rel", ":fro", ":max", ":maxrel", ":psnr" };
    if (e->kind != LODE_ERROR_NONE)
        LODE_FORWARD(print_f64(ctx, e->value, t));
    LODE_FORWARD(lode_i_text_add(ctx, t, "%s", suffix[e->kind]));
    if (e->kind != LODE_ERROR_PSNR || e->peak <= 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_text_add(ctx, t, "="));
    return print_f64(ctx, e->peak, t);
}

lode_status lode_i_param_print(lode_ctx *ctx, const lode_param *p, const void *opts, lode_text *t)
{
    const void *at = (const char *)opts + p->offset;
    switch (p->kind) {
    case LODE_P_BOOL: return lode_i_text_add(ctx, t, "%s", *(const bool *)at ? "true" : "false");
    case LODE_P_I64: return lode_i_text_add(ctx, t, "%" PRId64, *(const int64_t *)at);
    case LODE_P_U64: return lode_i_text_add(ctx, t, "%" PRIu64, *(const uint64_t *)at);
    case LODE_P_F64: return print_f64(ctx, *(const double *)at, t);
    case LODE_P_ENUM: {
        const char *c = p->choices;
        for (int k = *(const int *)at; k > 0 && *c; c++)
            k -= *c == '|';
        return lode_i_text_add(ctx, t, "%.*s", (int)strcspn(c, "|"), c);
    }
    case LODE_P_TEXT: {
        const char *text = *(const char *const *)at;
        return lode_i_text_add(ctx, t, "%s", text ? text : "");
    }
    case LODE_P_AUTO_I64: {
        const lode_auto_i64 *v = at;
        return v->given ? lode_i_text_add(ctx, t, "%" PRId64, v->value)
                        : lode_i_text_add(ctx, t, "auto");
    }
    case LODE_P_AUTO_F64: {
        const lode_auto_f64 *v = at;
        return v->given ? print_f64(ctx, v->value, t) : lode_i_text_add(ctx, t, "auto");
    }
    case LODE_P_RANK: {
        const lode_rank_spec *r = at;
        for (int32_t i = 0; i < r->count; i++)
            LODE_FORWARD(lode_i_text_add(ctx, t, "%s%" PRId64, i ? "," : "", r->value[i]));
        return r->count == 0 ? lode_i_text_add(ctx, t, "auto") : LODE_OK;
    }
    case LODE_P_AXES: {
        const lode_axes *a = at;
        for (int32_t i = 0; i < a->count; i++)
            LODE_FORWARD(lode_i_text_add(ctx, t, "%s%d", i ? "," : "", a->axis[i]));
        return a->count < 0 ? lode_i_text_add(ctx, t, "all") : LODE_OK;
    }
    case LODE_P_LIST: {
        const lode_list *l = at;
        for (int32_t i = 0; i < l->count; i++) {
            if (i)
                LODE_FORWARD(lode_i_text_add(ctx, t, ","));
            LODE_FORWARD(print_f64(ctx, l->value[i], t));
        }
        return LODE_OK;
    }
    case LODE_P_ERROR: return print_error(ctx, at, t);
    case LODE_P_BUDGET: {
        const lode_budget_spec *b = at;
        static const char *const prefix[] = { "none", "", "params=", "bits=" };
        LODE_FORWARD(lode_i_text_add(ctx, t, "%s", prefix[b->kind]));
        return b->kind == LODE_BUDGET_NONE ? LODE_OK : print_f64(ctx, b->value, t);
    }
    case LODE_P_MISSING: {
        const lode_missing *m = at;
        if (m->kind == LODE_MISSING_VALUE)
            return print_f64(ctx, m->value, t);
        return lode_i_text_add(ctx, t, "%s",
                               m->kind == LODE_MISSING_NAN   ? "nan"
                               : m->kind == LODE_MISSING_INF ? "inf"
                                                             : "none");
    }
    case LODE_P_ARRAY:
        return lode_i_text_add(ctx, t, "%s", *(const lode_array *const *)at ? "array" : "");
    }
    return LODE_OK;
}

/* ---- what error specs mean ---- */

bool lode_i_error_is_pointwise(const lode_error_spec *e)
{
    return e->kind == LODE_ERROR_MAX || e->kind == LODE_ERROR_MAXREL;
}

double lode_i_error_target_fro(const lode_error_spec *e, double norm_fro, double range,
                               int64_t count)
{
    const double root = sqrt((double)count);
    switch (e->kind) {
    case LODE_ERROR_REL: return e->value * norm_fro;
    case LODE_ERROR_FRO: return e->value;
    case LODE_ERROR_MAX: /* errors of one size everywhere are the worst case that still fits */
        return e->value * root;
    case LODE_ERROR_MAXREL: return e->value * range * root;
    case LODE_ERROR_PSNR: /* PSNR = 20 log10(peak / rms error) */
        return (e->peak > 0 ? e->peak : range) * pow(10, -e->value / 20) * root;
    case LODE_ERROR_NONE: break;
    }
    return INFINITY;
}
