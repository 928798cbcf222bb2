/* What is inside a compressed file, in words and as JSON: how many blocks are coded in which way, the
 * bases of each axis, the steps, and where the bytes go. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

static void count_mode(contents *c, const record_info *info, int k, int nth)
{
    content_mode *m = NULL;
    for (int i = 0, seen = 0; i < c->modes && !m; i++)
        if (c->mode[i].axis == info->axis[k] && seen++ == nth)
            m = &c->mode[i];
    if (!m && c->modes == LODE_MAX_NDIM)
        return;
    if (!m) {
        m = &c->mode[c->modes++];
        *m = (content_mode){ .axis = info->axis[k] };
    }
    const basis_kind kind = info->kind[k];
    m->length = lode_i_max(m->length, info->length[k]);
    m->least[kind] = m->blocks[kind] ? lode_i_min(m->least[kind], info->columns[k])
                                     : info->columns[k];
    m->most[kind] = lode_i_max(m->most[kind], info->columns[k]);
    m->blocks[kind]++;
}

static void count_record(contents *c, const record_info *info, double bytes)
{
    const content_kind kind = info->exact       ? CONTENT_EXACT
                              : info->lorenzo   ? CONTENT_LORENZO
                              : info->predicted ? CONTENT_INTERPOLATION
                              : info->train     ? CONTENT_TRAIN
                                                : CONTENT_TRANSFORM;
    const bool first = c->blocks[kind]++ == 0;
    c->bytes[kind] += bytes;
    c->finest[kind] = first ? info->step : fmin(c->finest[kind], info->step);
    c->coarsest[kind] = fmax(c->coarsest[kind], info->step);
    for (int k = 0; k < info->modes; k++)
        count_mode(c, info, k,
                   k > 0 && info->axis[k] == info->axis[k - 1]
                       ? 1 + (k > 1 && info->axis[k] == info->axis[k - 2])
                       : 0);
    if (info->exact)
        return;
    c->values += (double)info->core_bytes;
    c->bases += (double)info->basis_bytes;
    c->mask += (double)info->mask_bytes;
    c->corrections += (double)info->correction_bytes;
    c->heads += bytes - (double)(info->core_bytes + info->basis_bytes + info->mask_bytes +
                                 info->correction_bytes);
}

lode_status compress_contents(lode_ctx *ctx, const lode_bundle *model, const grid *g, contents *c)
{
    lode_array coded = { 0 };
    lode_status st = LODE_OK;
    *c = (contents){ .modes = 0 };
    for (int64_t b = 0; b < g->blocks; b++) {
        int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
        record_info info;
        LODE_TRY(lode_i_tick(ctx, b, g->blocks));
        compress_block(g, b, start, count);
        lode_status known = compress_load(ctx, model, b, &coded);
        if (known >= 0)
            known = compress_info(ctx, &coded, g->dtype, g->ndim, count, &info);
        if (known == LODE_EFORMAT) {
            c->damaged++;
        } else {
            LODE_TRY(known);
            count_record(c, &info, (double)coded.shape[0]);
        }
        lode_array_free(&coded);
    }
done:
    lode_array_free(&coded);
    return st;
}

static double sum_bytes(const contents *c)
{
    double sum = 0;
    for (int k = 0; k < CONTENT_KINDS; k++)
        sum += c->bytes[k];
    return sum;
}

enum { PARTS = 6 };
typedef struct part {
    const char *words, *key;
    double bytes;
} part;

/* Where the bytes of the records go. */
static void list_parts(const contents *c, part list[PARTS])
{
    const part all[PARTS] = { { "coefficients and residuals", "values", c->values },
                              { "learned bases", "bases", c->bases },
                              { "places of missing values", "missing", c->mask },
                              { "corrections", "corrections", c->corrections },
                              { "exact values", "exact", c->bytes[CONTENT_EXACT] },
                              { "heads", "heads", c->heads } };
    memcpy(list, all, sizeof all);
}

/* ---- in words ---- */

static const char *const kind_names[CONTENT_KINDS] = {
    "by coefficients of a basis for each axis", "by prediction from neighbours (interpolation)",
    "by prediction from neighbours (Lorenzo)", "as a tensor train",
    "as exact values, every bit kept"
};
static const char *const basis_names[BASIS_KINDS] = { "none",
                                                      "cosines",
                                                      "learned",
                                                      "wavelets of 2 moments",
                                                      "wavelets of 3 moments",
                                                      "wavelets of 4 moments" };

/* What was asked beyond the defaults, as the command takes it. */
static lode_status tell_asked(lode_ctx *ctx, const lode_bundle *model, lode_text *t)
{
    lode_status st = LODE_OK;
    lode_compress_opts o, usual = lode_compress_defaults();
    lode_text mine = { 0 }, theirs = { 0 };
    LODE_TRY(lode_i_text_add(ctx, t, "asked for   "));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_compress, model, &o));
    bool any = false;
    for (const lode_param *p = lode_op_compress.params; p->name; p++) {
        mine.size = theirs.size = 0;
        LODE_TRY(lode_i_param_print(ctx, p, &o, &mine));
        LODE_TRY(lode_i_param_print(ctx, p, &usual, &theirs));
        if (strcmp(mine.text, theirs.text) == 0)
            continue;
        LODE_TRY(lode_i_text_add(ctx, t, "%s--%s %s", any ? " " : "", p->name, mine.text));
        any = true;
    }
    LODE_TRY(lode_i_text_add(
        ctx, t, "%s\n", any ? "" : "nothing: a relative Frobenius error of 0.001 is the default"));
done:
    lode_i_text_free(&mine);
    lode_i_text_free(&theirs);
    return st;
}

static lode_status tell_modes(lode_ctx *ctx, const contents *c, int ndim, const char *indent,
                              lode_text *t)
{
    for (int i = 0; i < c->modes; i++) {
        const content_mode *m = &c->mode[i];
        bool any = false;
        if (m->axis < ndim)
            LODE_FORWARD(lode_i_text_add(ctx, t, "%saxis %-5d", indent, m->axis));
        else
            LODE_FORWARD(lode_i_text_add(ctx, t, "%sre, im    ", indent));
        for (int k = 0; k < BASIS_KINDS; k++) {
            if (!m->blocks[k])
                continue;
            LODE_FORWARD(lode_i_text_add(ctx, t, "%s%s", any ? "; " : "",
                                         k == BASIS_NONE ? "no basis" : basis_names[k]));
            if (c->blocks[CONTENT_TRANSFORM] > 1)
                LODE_FORWARD(lode_i_text_add(ctx, t, " in %" PRId64, m->blocks[k]));
            if (k != BASIS_NONE && m->least[k] < m->most[k])
                LODE_FORWARD(lode_i_text_add(ctx, t,
                                             ", %" PRId64 " to %" PRId64 " of %" PRId64 " columns",
                                             m->least[k], m->most[k], m->length));
            else if (k != BASIS_NONE)
                LODE_FORWARD(lode_i_text_add(ctx, t, ", %" PRId64 " of %" PRId64 " columns",
                                             m->most[k], m->length));
            any = true;
        }
        LODE_FORWARD(lode_i_text_add(ctx, t, "\n"));
    }
    return LODE_OK;
}

static lode_status tell_bytes(lode_ctx *ctx, const contents *c, lode_text *t)
{
    part list[PARTS];
    const double sum = sum_bytes(c);
    const char *before = "in records  ";
    list_parts(c, list);
    for (int i = 0; i < PARTS; i++) {
        if (!(list[i].bytes > 0))
            continue;
        LODE_FORWARD(lode_i_text_add(ctx, t, "%s%s %.0f bytes (%.3g %%)", before, list[i].words,
                                     list[i].bytes, 100 * list[i].bytes / sum));
        before = ", ";
    }
    return lode_i_text_add(ctx, t, "\n");
}

static lode_status tell_words(lode_ctx *ctx, const lode_bundle *model, const grid *g,
                              const contents *c, lode_text *t)
{
    char shape[128];
    int64_t side[LODE_MAX_NDIM];
    const double sum = sum_bytes(c);
    compress_sides(g, side);
    lode_i_print_shape(g->ndim, side, shape, sizeof shape);
    LODE_FORWARD(tell_asked(ctx, model, t));
    if (g->segments.data)
        LODE_FORWARD(lode_i_text_add(ctx, t, "parts       %" PRId64 ", added along axis %d\n",
                                     g->segments.shape[0], g->axis));
    LODE_FORWARD(g->blocks == 1
                     ? lode_i_text_add(ctx, t, "contents    one block\n")
                     : lode_i_text_add(ctx, t, "contents    %" PRId64 " blocks of at most %s\n",
                                       g->blocks, shape));
    for (int k = 0; k < CONTENT_KINDS; k++) {
        if (!c->blocks[k])
            continue;
        if (g->blocks > 1)
            LODE_FORWARD(lode_i_text_add(ctx, t, "  %" PRId64 " %s", c->blocks[k],
                                         c->blocks[k] > 1 ? "blocks" : "block"));
        LODE_FORWARD(lode_i_text_add(ctx, t, "%s%s, %.0f bytes (%.3g %%)\n",
                                     g->blocks > 1 ? " " : "  ", kind_names[k], c->bytes[k],
                                     100 * c->bytes[k] / sum));
        if (k == CONTENT_TRANSFORM)
            LODE_FORWARD(tell_modes(ctx, c, g->ndim, "    ", t));
        if (k == CONTENT_EXACT)
            continue;
        LODE_FORWARD(c->finest[k] < c->coarsest[k]
                         ? lode_i_text_add(ctx, t, "    steps     %.4g to %.4g\n", c->finest[k],
                                           c->coarsest[k])
                         : lode_i_text_add(ctx, t, "    step      %.4g\n", c->coarsest[k]));
    }
    if (c->damaged)
        LODE_FORWARD(lode_i_text_add(ctx, t,
                                     "  %" PRId64 " %s damaged; 'lode verify' names the first\n",
                                     c->damaged, c->damaged > 1 ? "blocks are" : "block is"));
    return tell_bytes(ctx, c, t);
}

/* ---- as JSON ---- */

/* Lists and objects are handed over while they are empty and filled in where they are. */
#define SET(object, key, value) LODE_FORWARD(lode_i_json_set(ctx, (object), (key), (value)))

static lode_status kinds_json(lode_ctx *ctx, const contents *c, lode_json *list)
{
    static const char *const names[CONTENT_KINDS] = { "transform", "interpolation", "lorenzo",
                                                      "train", "exact" };
    for (int k = 0; k < CONTENT_KINDS; k++) {
        if (!c->blocks[k])
            continue;
        lode_json *o = lode_i_json_object();
        LODE_FORWARD(lode_i_json_push(ctx, list, o));
        SET(o, "kind", lode_i_json_text(names[k]));
        SET(o, "blocks", lode_i_json_i64(c->blocks[k]));
        SET(o, "bytes", lode_i_json_i64((int64_t)c->bytes[k]));
        if (k != CONTENT_EXACT) {
            SET(o, "finest_step", lode_i_json_f64(c->finest[k]));
            SET(o, "coarsest_step", lode_i_json_f64(c->coarsest[k]));
        }
    }
    return LODE_OK;
}

static lode_status modes_json(lode_ctx *ctx, const contents *c, lode_json *list)
{
    for (int i = 0; i < c->modes; i++)
        for (int k = 0; k < BASIS_KINDS; k++) {
            const content_mode *m = &c->mode[i];
            if (!m->blocks[k])
                continue;
            lode_json *o = lode_i_json_object();
            LODE_FORWARD(lode_i_json_push(ctx, list, o));
            SET(o, "axis", lode_i_json_i64(m->axis));
            SET(o, "length", lode_i_json_i64(m->length));
            SET(o, "basis", lode_i_json_text(basis_names[k]));
            SET(o, "blocks", lode_i_json_i64(m->blocks[k]));
            SET(o, "fewest_columns", lode_i_json_i64(m->least[k]));
            SET(o, "most_columns", lode_i_json_i64(m->most[k]));
        }
    return LODE_OK;
}

static lode_status fill_json(lode_ctx *ctx, const grid *g, const contents *c, lode_json *o)
{
    part list[PARTS];
    SET(o, "blocks", lode_i_json_i64(g->blocks));
    SET(o, "damaged", lode_i_json_i64(c->damaged));
    SET(o, "parts", lode_i_json_i64(g->segments.data ? g->segments.shape[0] : 1));
    lode_json *const kinds = lode_i_json_array();
    SET(o, "kinds", kinds);
    LODE_FORWARD(kinds_json(ctx, c, kinds));
    lode_json *const modes = lode_i_json_array();
    SET(o, "modes", modes);
    LODE_FORWARD(modes_json(ctx, c, modes));
    lode_json *const bytes = lode_i_json_object();
    SET(o, "bytes", bytes);
    list_parts(c, list);
    for (int i = 0; i < PARTS; i++)
        SET(bytes, list[i].key, lode_i_json_i64((int64_t)list[i].bytes));
    return LODE_OK;
}

static lode_status tell_json(lode_ctx *ctx, const grid *g, const contents *c, char **text)
{
    lode_json *o = lode_i_json_object();
    lode_status st = fill_json(ctx, g, c, o);
    if (st == LODE_OK)
        st = lode_i_json_print(ctx, o, 0, text);
    lode_i_json_free(o);
    return st;
}

lode_status compress_tell(lode_ctx *ctx, const lode_bundle *model, lode_doc form, char **text)
{
    lode_status st = LODE_OK;
    contents c;
    grid g;
    lode_text t = { 0 };
    LODE_TRY(compress_open(ctx, model, &g));
    LODE_TRY(compress_contents(ctx, model, &g, &c));
    if (form == LODE_DOC_JSON) {
        LODE_TRY(tell_json(ctx, &g, &c, text));
    } else {
        LODE_TRY(tell_words(ctx, model, &g, &c, &t));
        *text = t.text, t = (lode_text){ 0 };
    }
done:
    lode_i_text_free(&t);
    return st;
}
