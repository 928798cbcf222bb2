/* Reading the JSON description of describe.c back: it must fit what the container stores. */
#include "io/io.h"

#include <string.h>

static lode_status get_shape(lode_ctx *ctx, const lode_json *o, const char *what, lode_dtype *dtype,
                             int32_t *ndim, int64_t *shape)
{
    const char *type = lode_i_json_as_text(lode_i_json_get(o, "dtype"));
    const lode_json *list = lode_i_json_get(o, "shape");
    const int64_t n = lode_i_json_count(list);
    if (dtype && (!type || !lode_dtype_parse(type, dtype)))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: its description has no type that is known",
                           what);
    if (n < 0 || n > LODE_MAX_NDIM)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: its description has no shape of at most %d axes",
                           what, LODE_MAX_NDIM);
    *ndim = (int32_t)n;
    for (int64_t k = 0; k < n; k++)
        if (!lode_i_json_as_i64(lode_i_json_at(list, k), &shape[k]) || shape[k] < 0)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: axis %" PRId64 " of its described shape is not a size", what,
                               k);
    return LODE_OK;
}

static bool hex_u64(const char *s, uint64_t *v)
{
    *v = 0;
    for (int i = 0; i < 16; i++) {
        const char c = s[i];
        const int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return false;
        *v = *v << 4 | (uint64_t)d;
    }
    return true;
}

static lode_status get_sums(lode_ctx *ctx, const lode_json *o, lode_i_member *m)
{
    const char *hex = lode_i_json_as_text(lode_i_json_get(o, "sums"));
    const uint64_t chunks = (m->bytes + LODE_I_SUM_CHUNK - 1) / LODE_I_SUM_CHUNK;
    if (!hex)
        return LODE_OK;
    if (strlen(hex) != 16 * chunks)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: it has %" PRIu64 " chunks, and checksums for %zu", m->name, chunks,
                           strlen(hex) / 16);
    if (m->sums)
        return LODE_OK;
    LODE_FORWARD(lode_i_calloc(ctx, (size_t)chunks + 1, (void **)&m->passed));
    LODE_FORWARD(lode_i_new(ctx, (int64_t)chunks, sizeof *m->sums, (void **)&m->sums));
    for (uint64_t c = 0; c < chunks; c++)
        if (!hex_u64(hex + 16 * c, &m->sums[c]))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: its checksum %" PRIu64 " is not 16 hex digits", m->name, c);
    return LODE_OK;
}

/* The stored tensor `name` takes the described type and shape, which must be stored as it is. */
static lode_status claim(lode_ctx *ctx, lode_file *f, const lode_json *o, const char *name,
                         bool pairs, lode_i_member **found)
{
    lode_dtype dtype = LODE_F32, stored = LODE_F32;
    int32_t ndim = 0, stored_ndim = 0;
    int64_t shape[LODE_MAX_NDIM], stored_shape[LODE_MAX_NDIM];
    uint64_t bytes = 0;
    lode_i_member *m = lode_i_member_find(f, name);
    if (!m || !m->hidden || m->owned)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: its description names %s, which %s", f->path,
                           name, m ? "is described twice" : "is not in it");
    LODE_FORWARD(get_shape(ctx, o, name, &dtype, &ndim, shape));
    LODE_FORWARD(lode_i_shape_bytes(ctx, name, dtype, ndim, shape, &bytes));
    LODE_FORWARD(lode_i_stored_form(ctx, name, pairs, dtype, ndim, shape, &stored, &stored_ndim,
                                    stored_shape));
    const bool same = stored == m->dtype && stored_ndim == m->ndim &&
                      memcmp(stored_shape, m->shape, (size_t)stored_ndim * sizeof *shape) == 0;
    if (m->kind != LODE_TEXT && (!same || bytes != m->bytes || m->kind == LODE_NONE))
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: member %s is described as another type or shape than it is stored",
                           f->path, name);
    m->hidden = false;
    if (m->kind != LODE_TEXT) {
        m->dtype = dtype, m->ndim = ndim;
        memcpy(m->shape, shape, (size_t)ndim * sizeof *shape);
    }
    *found = m;
    return get_sums(ctx, o, m);
}

static lode_status undescribe_sparse(lode_ctx *ctx, lode_file *f, const lode_json *o,
                                     const char *name, bool pairs)
{
    lode_i_member *m = NULL, *part = NULL;
    const char *layout = lode_i_json_as_text(lode_i_json_get(o, "layout"));
    const lode_json *parts = lode_i_json_get(o, "parts");
    const int64_t count = lode_i_json_count(parts);
    int64_t at[3] = { -1, -1, -1 };
    const bool csr = layout && strcmp(layout, "csr") == 0;
    if (!csr && (!layout || strcmp(layout, "coo") != 0))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: sparse member %s has no layout csr or coo",
                           f->path, name);
    if (count != (csr ? 3 : 2))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: sparse member %s has %" PRId64 " parts", f->path,
                           name, count);
    for (int64_t k = 0; k < count; k++) {
        const lode_json *p = lode_i_json_at(parts, k);
        const char *part_name = lode_i_json_as_text(lode_i_json_get(p, "name"));
        LODE_FORWARD(claim(ctx, f, p, part_name ? part_name : "", pairs, &part));
        if (part->kind != LODE_ARRAY)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: part %s of %s is no array", f->path,
                               part->name, name);
        part->hidden = true;
        part->owned = true;
        at[csr ? k : k + 1] = part - f->members;
    }
    LODE_FORWARD(lode_i_member_add(ctx, f, name, strlen(name), &m));
    m->kind = LODE_SPARSE;
    m->layout = csr ? LODE_CSR : LODE_COO;
    memcpy(m->part, at, sizeof at);
    m->dtype = f->members[at[2]].dtype;
    return get_shape(ctx, o, name, NULL, &m->ndim, m->shape);
}

/* Short text into a fixed field; what does not fit is no description of ours. */
static lode_status get_field(lode_ctx *ctx, const lode_file *f, const lode_json *o, const char *key,
                             char *field, size_t size)
{
    const char *text = lode_i_json_as_text(lode_i_json_get(o, key));
    if (!text)
        return LODE_OK;
    if (strlen(text) >= size)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: %s in its description is longer than %zu bytes",
                           f->path, key, size - 1);
    memcpy(field, text, strlen(text) + 1);
    return LODE_OK;
}

static lode_status get_document(lode_ctx *ctx, const lode_json *root, const char *key, char **text)
{
    const lode_json *j = lode_i_json_get(root, key);
    return j ? lode_i_json_print(ctx, j, 0, text) : LODE_OK;
}

static lode_status undescribe_meta(lode_ctx *ctx, const lode_file *f, const lode_json *root,
                                   lode_meta *m)
{
    int64_t bytes = 0;
    const char *seed = lode_i_json_as_text(lode_i_json_get(root, "seed"));
    LODE_FORWARD(get_field(ctx, f, root, "op", m->op, sizeof m->op));
    LODE_FORWARD(get_field(ctx, f, root, "version", m->version, sizeof m->version));
    LODE_FORWARD(get_field(ctx, f, root, "input_hash", m->input_hash, sizeof m->input_hash));
    LODE_FORWARD(get_document(ctx, root, "options", &m->options));
    LODE_FORWARD(get_document(ctx, root, "attributes", &m->attributes));
    LODE_FORWARD(get_document(ctx, root, "made", &m->made));
    if (seed && !lode_i_parse_u64(seed, &m->seed))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: its seed '%.40s' is no number", f->path, seed);
    if (lode_i_json_as_i64(lode_i_json_get(root, "input_bytes"), &bytes) && bytes >= 0)
        m->input_bytes = (uint64_t)bytes;
    const lode_json *gives = lode_i_json_get(root, "gives");
    m->has_shape = gives != NULL;
    return gives ? get_shape(ctx, gives, f->path, &m->dtype, &m->ndim, m->shape) : LODE_OK;
}

static lode_status undescribe_certificate(lode_ctx *ctx, const lode_file *f, const lode_json *root,
                                          lode_certificate *c)
{
    const lode_json *o = lode_i_json_get(root, "certificate");
    if (!o)
        return LODE_OK;
    const char *kind = lode_i_json_as_text(lode_i_json_get(o, "kind"));
    const char *norm = lode_i_json_as_text(lode_i_json_get(o, "norm"));
    int k = LODE_CERT_INVARIANCE, n = LODE_NORM_MAX;
    while (kind && k >= 0 && strcmp(lode_cert_kind_name((lode_cert_kind)k), kind) != 0)
        k--;
    while (norm && n >= 0 && strcmp(lode_norm_name((lode_norm)n), norm) != 0)
        n--;
    const bool numbers = lode_i_json_as_f64(lode_i_json_get(o, "value"), &c->value) &&
                         lode_i_json_as_f64(lode_i_json_get(o, "absolute"), &c->absolute) &&
                         lode_i_json_as_f64(lode_i_json_get(o, "asked"), &c->asked) &&
                         lode_i_json_as_f64(lode_i_json_get(o, "failure"), &c->failure) &&
                         lode_i_json_as_f64(lode_i_json_get(o, "low"), &c->low) &&
                         lode_i_json_as_f64(lode_i_json_get(o, "high"), &c->high);
    const lode_json *other = lode_i_json_get(o, "other");
    if (!kind || !norm || k < 0 || n < 0 || !numbers ||
        (other && !lode_i_json_as_f64(other, &c->other)) ||
        !lode_i_json_as_bool(lode_i_json_get(o, "relative"), &c->relative) ||
        !lode_i_json_as_bool(lode_i_json_get(o, "needs_original"), &c->needs_original))
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: its certificate is incomplete", f->path);
    c->kind = (lode_cert_kind)k, c->norm = (lode_norm)n;
    LODE_FORWARD(get_field(ctx, f, o, "quantity", c->quantity, sizeof c->quantity));
    return get_field(ctx, f, o, "note", c->note, sizeof c->note);
}

/* name: its own, or that with the name of the bundle around it; **added: the member. */
static lode_status undescribe_named(lode_ctx *ctx, lode_file *f, const lode_json *o,
                                    const char *name, bool pairs, lode_i_member **added)
{
    lode_i_member *m = NULL;
    const char *kind = lode_i_json_as_text(lode_i_json_get(o, "kind"));
    int k = LODE_NONE;
    if (!kind)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: member %s has no kind", f->path, name);
    for (k = LODE_SCALAR; k > LODE_NONE; k--) {
        const bool whole = k == LODE_SOURCE || k == LODE_BUNDLE;
        const char *known = whole ? NULL : lode_i_described_kind((lode_kind)k);
        if (known && strcmp(known, kind) == 0)
            break;
    }
    if (k == LODE_NONE)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s: member %s is of kind %s, which this version does not know", f->path,
                           name, kind);
    if (k == LODE_SPARSE) {
        LODE_FORWARD(undescribe_sparse(ctx, f, o, name, pairs));
        *added = &f->members[f->count - 1];
        return LODE_OK;
    }
    LODE_FORWARD(claim(ctx, f, o, name, pairs, &m));
    if (k == LODE_TEXT ? m->kind != LODE_TEXT && (m->dtype != LODE_U8 || m->ndim != 1)
                       : m->kind != LODE_ARRAY)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: member %s is not stored as %s", f->path, name,
                           kind);
    if (k == LODE_SCALAR && m->ndim != 0)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: scalar %s has %d axes", f->path, name,
                           (int)m->ndim);
    m->kind = (lode_kind)k;
    *added = m;
    return LODE_OK;
}

/* A bundle in the file: its members lie beside the others and are shown as one. */
static lode_status undescribe_bundle(lode_ctx *ctx, lode_file *f, const lode_json *o,
                                     const char *name, bool pairs)
{
    lode_status st = LODE_OK;
    lode_i_member *m = NULL;
    lode_text full = { 0 };
    const lode_json *list = lode_i_json_get(o, "members");
    const int64_t count = lode_i_json_count(list);
    LODE_REQUIRE(count >= 0, LODE_EFORMAT, "%s: bundle %s has no members", f->path, name);
    LODE_TRY(lode_i_member_add(ctx, f, name, strlen(name), &m));
    const int64_t at = f->count - 1;
    m->kind = LODE_BUNDLE;
    LODE_TRY(lode_i_calloc(ctx, sizeof *m->inner, (void **)&m->inner));
    lode_i_nested *const inner = m->inner; /* stays where it is when members move */
    LODE_TRY(LODE_NEW(ctx, count + 1, &inner->name));
    for (int64_t i = 0; i < count; i++) {
        const char *own = lode_i_json_as_text(lode_i_json_get(lode_i_json_at(list, i), "name"));
        LODE_REQUIRE(own, LODE_EFORMAT, "%s: a described member of %s has no name", f->path, name);
        LODE_TRY(lode_i_strdup(ctx, own, &inner->name[i]));
        inner->count++;
        full.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &full, "%s.%s", name, own));
        LODE_TRY(undescribe_named(ctx, f, lode_i_json_at(list, i), full.text, pairs, &m));
        m->hidden = m->owned = true;
    }
    LODE_TRY(undescribe_meta(ctx, f, o, &inner->head.meta));
    LODE_TRY(undescribe_certificate(ctx, f, o, &inner->head.certificate));
    const lode_meta *meta = &inner->head.meta;
    m = &f->members[at];
    m->ndim = meta->has_shape ? meta->ndim : 0, m->dtype = meta->has_shape ? meta->dtype : LODE_U8;
    memcpy(m->shape, meta->shape, sizeof m->shape);
done:
    lode_i_text_free(&full);
    return st;
}

static lode_status undescribe_member(lode_ctx *ctx, lode_file *f, const lode_json *o, bool pairs)
{
    lode_i_member *m = NULL;
    const char *name = lode_i_json_as_text(lode_i_json_get(o, "name"));
    const char *kind = lode_i_json_as_text(lode_i_json_get(o, "kind"));
    if (!name || !kind)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s: a described member has no name or no kind",
                           f->path);
    return strcmp(kind, lode_i_described_kind(LODE_BUNDLE)) == 0
               ? undescribe_bundle(ctx, f, o, name, pairs)
               : undescribe_named(ctx, f, o, name, pairs, &m);
}

/* Members come in the order of the description, then those that only the container knows. */
static lode_status reorder(lode_ctx *ctx, lode_file *f, const lode_json *list)
{
    lode_i_member *sorted = NULL;
    int64_t n = 0;
    int64_t *moved = NULL;
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_new(ctx, f->count, sizeof *sorted, (void **)&sorted));
    LODE_TRY(LODE_NEW(ctx, f->count, &moved));
    for (int64_t i = 0; i < f->count; i++)
        moved[i] = -1;
    for (int64_t i = 0; i < lode_i_json_count(list); i++) {
        const char *name = lode_i_json_as_text(lode_i_json_get(lode_i_json_at(list, i), "name"));
        const lode_i_member *m = lode_i_member_find(f, name ? name : "");
        if (m && !m->hidden && moved[m - f->members] < 0)
            moved[m - f->members] = n++;
    }
    for (int64_t i = 0; i < f->count; i++)
        if (moved[i] < 0)
            moved[i] = n++;
    for (int64_t i = 0; i < f->count; i++) {
        lode_i_member m = f->members[i];
        for (int k = 0; k < 3; k++)
            m.part[k] = m.part[k] < 0 ? -1 : moved[m.part[k]];
        sorted[moved[i]] = m;
    }
    lode_i_free(f->members);
    f->members = sorted;
    f->capacity = f->count;
    sorted = NULL;
    LODE_TRY(lode_i_file_index(ctx, f));
done:
    lode_i_free(sorted);
    lode_i_free(moved);
    return st;
}

lode_status lode_i_undescribe(lode_ctx *ctx, lode_file *f, const char *text, size_t size,
                              bool pairs, bool strict)
{
    lode_status st = LODE_OK;
    lode_json *root = NULL;
    int64_t version = 0;
    LODE_TRY(lode_i_json_parse(ctx, text, size, &root));
    const lode_json *list = lode_i_json_get(root, "members");
    LODE_REQUIRE(lode_i_json_as_i64(lode_i_json_get(root, "lode"), &version), LODE_EFORMAT,
                 "%s: its description has no version", f->path);
    LODE_REQUIRE(version == LODE_I_FORMAT_VERSION, LODE_EUNSUPPORTED,
                 "%s is of format version %" PRId64 "; this Lode reads version %d: use a newer one",
                 f->path, version, LODE_I_FORMAT_VERSION);
    LODE_REQUIRE(lode_i_json_count(list) >= 0, LODE_EFORMAT, "%s: its description has no members",
                 f->path);
    for (int64_t i = 0; i < f->count; i++)
        f->members[i].hidden = true;
    const int64_t stored = f->count;
    for (int64_t i = 0; i < lode_i_json_count(list); i++)
        LODE_TRY(undescribe_member(ctx, f, lode_i_json_at(list, i), pairs));
    for (int64_t i = 0; i < stored; i++) {
        lode_i_member *m = &f->members[i];
        const bool padding = pairs && strncmp(m->name, "__pad.", 6) == 0;
        if (!m->hidden || m->owned || padding)
            continue;
        LODE_REQUIRE(!strict, LODE_EFORMAT, "%s: member %s is not described", f->path, m->name);
        m->hidden = false;
    }
    LODE_TRY(reorder(ctx, f, list));
    LODE_TRY(undescribe_meta(ctx, f, root, &f->head.meta));
    LODE_TRY(undescribe_certificate(ctx, f, root, &f->head.certificate));
done:
    lode_i_json_free(root);
    return st;
}

lode_status lode_i_meta_copy(lode_ctx *ctx, const lode_meta *from, lode_meta *to)
{
    lode_status st = LODE_OK;
    char *options = NULL, *attributes = NULL, *made = NULL;
    if (from->options)
        LODE_TRY(lode_i_strdup(ctx, from->options, &options));
    if (from->attributes)
        LODE_TRY(lode_i_strdup(ctx, from->attributes, &attributes));
    if (from->made)
        LODE_TRY(lode_i_strdup(ctx, from->made, &made));
    lode_i_free(to->options);
    lode_i_free(to->attributes);
    lode_i_free(to->made);
    *to = *from;
    to->options = options, to->attributes = attributes, to->made = made;
    options = attributes = made = NULL;
done:
    lode_i_free(options);
    lode_i_free(attributes);
    lode_i_free(made);
    return st;
}
