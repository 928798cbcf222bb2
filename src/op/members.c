/* Results as members of files: addressed, listed, checked and expanded one by one. */
#include <math.h>
#include <string.h>

#include "op/whole.h"

/* Lossy values go back into the form that the file had them in, to the nearest where it is coarse. */
static lode_status allow_nearest(lode_ctx *ctx, lode_json *names, const char *name)
{
    lode_json *v = lode_i_json_get(lode_i_json_get(names, "variables"), name);
    return lode_i_json_get(v, "dims") || lode_i_json_get(v, "stored")
               ? lode_i_json_set(ctx, v, "nearest", lode_i_json_bool(true))
               : LODE_OK;
}

/* The same in the attributes of one variable, as text. */
static lode_status allow_nearest_in(lode_ctx *ctx, const char *name, char **attributes)
{
    lode_status st = LODE_OK;
    lode_json *names = NULL;
    char *text = NULL;
    LODE_TRY(lode_i_json_parse(ctx, *attributes, strlen(*attributes), &names));
    LODE_TRY(allow_nearest(ctx, names, name));
    LODE_TRY(lode_i_json_print(ctx, names, 0, &text));
    lode_i_free(*attributes);
    *attributes = text;
done:
    lode_i_json_free(names);
    return st;
}

/* ---- what an address stands for ---- */

static lode_status add_inverse(lode_ctx *ctx, lode_i_model *m, const char *name, lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 };
    const char *own = m->name ? m->name : "x";
    const bool lossy = m->model.certificate.absolute > 0;
    if (m->name && lossy && m->attributes)
        LODE_TRY(allow_nearest_in(ctx, m->name, &m->attributes));
    LODE_TRY(lode_i_invert_take(ctx, &m->model, m->member ? m->name : NULL, &s));
    if (m->slice)
        LODE_TRY(lode_i_slice_source(ctx, m->slice, strlen(m->slice), &s));
    LODE_TRY(lode_bundle_add_source(ctx, into, name ? name : own, &s));
    if (!into->meta.attributes) {
        into->meta.attributes = m->attributes;
        m->attributes = NULL;
    }
done:
    lode_source_close(&s);
    return st;
}

/* The whole file, where it holds several values and is no result itself. */
static lode_status add_file(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                            const char *name, lode_bundle *into, bool *is)
{
    lode_status st = LODE_OK;
    lode_file *f = NULL;
    lode_bundle all = { 0 }, head = { 0 };
    *is = false;
    if (strcmp(spec, "-") == 0 || *spec == '@' || !lode_i_path_exists(spec) || (o && o->dtype) ||
        !lode_i_format_may_hold(o ? o->format : NULL, spec, false))
        return LODE_OK;
    LODE_TRY(lode_file_open(ctx, spec, o, &f));
    LODE_TRY(lode_file_meta(ctx, f, &head));
    if (!lode_i_file_is_several(f) || head.meta.op[0])
        goto done;
    LODE_TRY(lode_open_whole(ctx, spec, o, &all));
    LODE_TRY(lode_bundle_add_bundle(ctx, into, name ? name : "file", &all));
    *is = true;
done:
    lode_file_close(&f);
    LODE_FREE(&all, &head);
    return st;
}

lode_status lode_open_value(lode_ctx *ctx, const char *spec, const lode_read_opts *o, bool whole,
                            const char *name, lode_bundle *into)
{
    lode_status st = LODE_OK;
    lode_i_model m = { .found = false };
    bool is = false;
    lode_i_begin(ctx, "read");
    if (whole)
        LODE_TRY(add_file(ctx, spec, o, name, into, &is));
    if (!is)
        LODE_TRY(lode_i_address_model(ctx, spec, o, false, &m));
    const lode_op *op = m.found ? lode_op_find(ctx, m.model.meta.op) : NULL;
    const bool stands = m.found && m.model.meta.has_shape && op && op->invert;
    if (stands)
        LODE_TRY(add_inverse(ctx, &m, name, into));
    else if (!is)
        LODE_TRY(lode_read_value(ctx, spec, o, false, name, into));
    st = lode_i_with_losses(ctx, st);
done:
    lode_i_end(ctx);
    lode_i_model_free(&m);
    return st;
}

lode_status lode_read_model(lode_ctx *ctx, const char *spec, const lode_read_opts *o, bool load,
                            lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_i_model m = { .found = false };
    lode_bundle other = { 0 };
    lode_i_begin(ctx, "read");
    LODE_TRY(lode_i_address_model(ctx, spec, o, load, &m));
    LODE_REQUIRE(!m.slice, LODE_EUSAGE,
                 "%s names a part; a result is taken whole here: leave [%s] out", spec, m.slice);
    if (m.found) {
        if (m.attributes) {
            lode_i_free(m.model.meta.attributes);
            m.model.meta.attributes = m.attributes;
            m.attributes = NULL;
        }
        lode_bundle_swap(model, &m.model);
    } else if (strcmp(spec, "-") != 0 && !lode_i_path_exists(spec)) {
        LODE_TRY(lode_read_value(ctx, spec, o, false, NULL, &other)); /* or says what is wrong */
        LODE_REQUIRE(false, LODE_EUSAGE, "%s is no result of an operation, so it has no such verb",
                     spec);
    } else {
        LODE_TRY(load ? lode_read(ctx, spec, o, model) : lode_open(ctx, spec, o, model));
    }
    st = lode_i_with_losses(ctx, st);
done:
    lode_i_end(ctx);
    lode_i_model_free(&m);
    LODE_FREE(&other);
    return st;
}

/* ---- a table of members ---- */

bool lode_holds_results(const lode_bundle *file)
{
    for (int64_t i = 0; i < file->count && !file->meta.op[0]; i++)
        if (lode_bundle_value(file, i).kind == LODE_BUNDLE)
            return true;
    return false;
}

/* An error with six digits at most: what was made room for has more. */
static void shorten(const char *error, char rule[64])
{
    char number[40];
    double value = 0;
    const size_t n = strcspn(error, ":");
    snprintf(number, sizeof number, "%.*s", (int)n, error);
    if (lode_i_parse_f64(number, &value))
        snprintf(rule, 64, "%.6g%s", value, error + n);
    else
        snprintf(rule, 64, "%s", error);
}

/* The rule as the options of a result have it. */
static lode_status read_rule(lode_ctx *ctx, const lode_bundle *b, char rule[64])
{
    lode_status st = LODE_OK;
    lode_json *options = NULL;
    if (!b->meta.options)
        return LODE_OK;
    LODE_TRY(lode_i_json_parse(ctx, b->meta.options, strlen(b->meta.options), &options));
    const char *method = lode_i_json_as_text(lode_i_json_get(options, "method"));
    const char *error = lode_i_json_as_text(lode_i_json_get(options, "error"));
    const char *budget = lode_i_json_as_text(lode_i_json_get(options, "budget"));
    if (method && strcmp(method, "lossless") == 0)
        snprintf(rule, 64, "exact");
    else if (error && strcmp(error, "none") != 0)
        shorten(error, rule);
    else if (budget && strcmp(budget, "none") != 0)
        snprintf(rule, 64, "%s", budget);
    else
        snprintf(rule, 64, "default");
done:
    lode_i_json_free(options);
    return st;
}

lode_status lode_entry_of(lode_ctx *ctx, const lode_bundle *file, int64_t i, lode_entry *e)
{
    const lode_value v = lode_bundle_value(file, i);
    lode_entry made = { .name = lode_bundle_name(file, i), .kind = v.kind };
    int ndim = 0;
    if (v.kind == LODE_NONE)
        return lode_i_fail(ctx, LODE_ENOENT,
                           "the file has %" PRId64 " members, and no number %" PRId64, file->count,
                           i);
    snprintf(made.rule, sizeof made.rule, "as it is");
    if (v.kind == LODE_BUNDLE) {
        const lode_bundle *b = v.as.bundle;
        const lode_meta *m = &b->meta;
        made.result = true;
        made.dtype = m->dtype, made.ndim = m->has_shape ? m->ndim : 0;
        memcpy(made.shape, m->shape, sizeof made.shape);
        made.certificate = b->certificate;
        made.bytes_in = (double)m->input_bytes;
        for (int64_t k = 0; k < b->count; k++)
            made.bytes_out += lode_i_value_bytes(lode_bundle_value(b, k));
        LODE_FORWARD(read_rule(ctx, b, made.rule));
    } else if (v.kind == LODE_TEXT) {
        made.bytes_in = made.bytes_out = (double)strlen(v.as.text);
    } else if (lode_i_value_shape(v, &made.dtype, &ndim, made.shape)) {
        made.ndim = ndim;
        made.bytes_in = made.bytes_out = lode_i_value_bytes(v);
    }
    *e = made;
    return LODE_OK;
}

/* ---- verify ---- */

static lode_value none_or(const lode_bundle *b, const char *name)
{
    return b ? lode_bundle_get(b, name) : lode_none();
}

/* What was kept must be there, and the same in the original. */
static lode_status verify_kept(lode_ctx *ctx, lode_value v, lode_value original, const char *name)
{
    char mine[72] = "", theirs[72] = "";
    bool same = true;
    if (v.kind == LODE_ARRAY || v.kind == LODE_SOURCE || v.kind == LODE_SPARSE) {
        LODE_FORWARD(lode_hash(ctx, v, mine)); /* reads all of it, checksums too */
        if (original.kind == LODE_ARRAY || original.kind == LODE_SOURCE ||
            original.kind == LODE_SPARSE)
            LODE_FORWARD(lode_hash(ctx, original, theirs));
        same = original.kind == LODE_NONE || strcmp(mine, theirs) == 0;
    } else if (v.kind == LODE_TEXT && original.kind != LODE_NONE) {
        same = original.kind == LODE_TEXT && strcmp(v.as.text, original.as.text) == 0;
    } else if (v.kind == LODE_SCALAR && original.kind == LODE_SCALAR) {
        const lode_scalar *a = v.as.scalar, *b = original.as.scalar;
        same = a->dtype == b->dtype && a->i == b->i && memcmp(&a->re, &b->re, sizeof a->re) == 0 &&
               memcmp(&a->im, &b->im, sizeof a->im) == 0;
    }
    return same ? LODE_OK
                : lode_i_fail(ctx, LODE_EVERIFY,
                              "%s was kept as it is, but the original has other values", name);
}

lode_status lode_verify_entry(lode_ctx *ctx, const lode_bundle *file, int64_t i,
                              lode_value original, lode_certificate *found)
{
    lode_status st = LODE_OK;
    const lode_value v = lode_bundle_value(file, i);
    const char *name = lode_bundle_name(file, i);
    lode_bundle loaded = { 0 };
    lode_certificate c = { .kind = LODE_CERT_INVARIANCE,
                           .asked = NAN,
                           .quantity = "every bit kept" };
    lode_i_begin(ctx, "verify");
    LODE_REQUIRE(v.kind != LODE_NONE, LODE_ENOENT,
                 "the file has %" PRId64 " members, and no number %" PRId64, file->count, i);
    LODE_REQUIRE(original.kind == LODE_NONE || original.kind == LODE_BUNDLE, LODE_EUSAGE,
                 "the original of a whole file is a file too; to check one member against an array "
                 "name it, as in FILE:%s",
                 name);
    const lode_bundle *whole = original.kind == LODE_BUNDLE ? original.as.bundle : NULL;
    const lode_value one = none_or(whole, name);
    LODE_REQUIRE(!whole || one.kind != LODE_NONE, LODE_EVERIFY, "the original has no member %s",
                 name);
    if (v.kind == LODE_BUNDLE) {
        const lode_bundle *b = v.as.bundle;
        const lode_op *op = lode_op_find(ctx, b->meta.op);
        lode_status held = LODE_OK;
        if (!op || !op->chunk) { /* such members are read when they are needed */
            held = lode_i_load_members(ctx, b, &loaded);
            b = &loaded;
        }
        if (held >= 0)
            held = lode_verify(ctx, b, one, &c);
        if (held < 0)
            lode_i_prefix(ctx, "%s: ", name);
        LODE_TRY(held);
    } else {
        LODE_TRY(verify_kept(ctx, v, one, name));
    }
    *found = c;
done:
    lode_i_end(ctx);
    LODE_FREE(&loaded);
    return st;
}

lode_status lode_i_verify_all(lode_ctx *ctx, const lode_bundle *file, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_certificate one, all = { .kind = LODE_CERT_INVARIANCE,
                                  .asked = NAN,
                                  .quantity = "every member's certificate" };
    lode_i_begin(ctx, "verify");
    for (int64_t i = 0; i < file->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, file->count));
        LODE_TRY(lode_verify_entry(ctx, file, i, original, &one));
    }
    *found = all;
done:
    lode_i_end(ctx);
    return st;
}

/* ---- the file back ---- */

lode_status lode_expand(lode_ctx *ctx, lode_bundle *file)
{
    lode_status st = LODE_OK;
    lode_json *names = NULL;
    lode_source s = { 0 };
    char *text = NULL;
    lode_i_begin(ctx, "expand");
    if (file->meta.attributes)
        LODE_TRY(
            lode_i_json_parse(ctx, file->meta.attributes, strlen(file->meta.attributes), &names));
    for (int64_t i = 0; i < file->count; i++) {
        const lode_value v = lode_bundle_value(file, i);
        if (v.kind != LODE_BUNDLE)
            continue;
        const bool lossy = v.as.bundle->certificate.absolute > 0;
        lode_bundle *const model = (lode_bundle *)(uintptr_t)v.as.bundle; /* ours */
        const lode_status taken = lode_i_invert_take(ctx, model, lode_bundle_name(file, i), &s);
        if (taken < 0)
            lode_i_prefix(ctx, "%s: ", lode_bundle_name(file, i));
        LODE_TRY(taken);
        lode_i_bundle_put_source(file, i, &s);
        if (lossy)
            LODE_TRY(allow_nearest(ctx, names, lode_bundle_name(file, i)));
    }
    if (names) {
        LODE_TRY(lode_i_json_print(ctx, names, 0, &text));
        lode_i_free(file->meta.attributes);
        file->meta.attributes = text;
        text = NULL;
    }
    file->meta.input_bytes = 0, file->meta.seed = 0;
done:
    lode_i_end(ctx);
    lode_source_close(&s);
    lode_i_free(text);
    lode_i_json_free(names);
    return st;
}
