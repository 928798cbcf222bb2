/* Addresses: "file", "file:member", either with "[0:10,:,5]". Read from the right; what exists as a
 * file or a member by its whole text wins over the meaning of ':' and '['. */
#include "io/io.h"

#include <string.h>

/* ---- the address ---- */

typedef struct address {
    char *text; /* cut into pieces by zeros */
    const char *path;
    const char *member; /* NULL: none given */
    const char *slice;  /* inside the brackets, or NULL */
} address;

static bool is_file(const char *path)
{
    return strcmp(path, "-") == 0 || (*path && lode_i_path_exists(path));
}

/* The longest beginning of `text` before a ':' that is a file. */
static bool cut_member(char *text, const char **member)
{
    *member = NULL;
    if (is_file(text))
        return true;
    for (char *colon = text + strlen(text); colon-- > text;) {
        if (*colon != ':')
            continue;
        *colon = '\0';
        if (is_file(text)) {
            *member = colon + 1;
            return true;
        }
        *colon = ':';
    }
    return false;
}

static lode_status find_file(lode_ctx *ctx, const char *spec, address *a)
{
    LODE_FORWARD(lode_i_strdup(ctx, spec, &a->text));
    a->path = a->text;
    const size_t n = strlen(a->text);
    char *open = n && a->text[n - 1] == ']' ? strrchr(a->text, '[') : NULL;
    if (is_file(a->text))
        return LODE_OK;
    if (open) {
        *open = '\0';
        if (cut_member(a->text, &a->member)) {
            a->slice = open + 1;
            return LODE_OK;
        }
        *open = '[';
    }
    if (cut_member(a->text, &a->member))
        return LODE_OK;
    /* Not there: name what was most likely meant. */
    if (open)
        *open = '\0';
    char *colon = strrchr(a->text, ':');
    if (colon && colon > a->text && strchr(colon, '/') == NULL)
        *colon = '\0';
    return lode_i_fail(ctx, LODE_ENOENT, "no file %s%s%s%s", a->text,
                       strcmp(a->text, spec) ? " (from " : "", strcmp(a->text, spec) ? spec : "",
                       strcmp(a->text, spec) ? ")" : "");
}

static void list_members(const lode_file *f, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < f->shown && at + 40 < size; i++) {
        const int n = snprintf(text + at, size - at, "%s%.60s", i ? ", " : "",
                               f->members[f->show[i]].name);
        at += n > 0 ? (size_t)n : 0;
        if (at + 40 >= size && i + 1 < f->shown)
            snprintf(text + (at < size - 5 ? at : size - 5), 5, ", ..");
    }
}

static lode_status choose(lode_ctx *ctx, const lode_file *f, const char *name,
                          lode_i_member **found)
{
    char list[400];
    list_members(f, list, sizeof list);
    if (!name) {
        lode_i_member *only = NULL;
        int64_t count = 0;
        for (int64_t i = 0; i < f->shown; i++) {
            lode_i_member *m = &f->members[f->show[i]];
            if (!m->secondary && m->kind != LODE_NONE)
                count++, only = m;
        }
        if (f->shown == 1)
            only = &f->members[f->show[0]], count = 1;
        if (count == 1) {
            *found = only;
            return LODE_OK;
        }
        return lode_i_fail(ctx, f->shown ? LODE_EUSAGE : LODE_ENOENT,
                           "%s holds %" PRId64 " values%s%s; name one as %s:NAME", f->path,
                           f->shown, f->shown ? ": " : "", list, f->path);
    }
    const char *near = NULL;
    int best = 0;
    lode_i_member *m = lode_i_member_find(f, name);
    if (!m)
        m = lode_i_member_find(f, name + strspn(name, "/")); /* groups begin at the root */
    if (m && !m->hidden) {
        *found = m;
        return LODE_OK;
    }
    if (m && m->owned) { /* a part can be read by its own name */
        *found = m;
        return LODE_OK;
    }
    if (m && f->aside > 0)
        return lode_i_fail(ctx, LODE_ETYPE,
                           "%s: %s holds text, which stays in the file's attributes; lode info "
                           "shows them",
                           f->path, m->name);
    for (int64_t i = 0; i < f->shown && i < 1000; i++) {
        const char *other = f->members[f->show[i]].name;
        const int d = lode_i_distance(name, other);
        if (!near || d < best)
            near = other, best = d;
    }
    if (near && best <= 2 && (size_t)best < strlen(name))
        return lode_i_fail(ctx, LODE_ENOENT, "%s has no member %s; did you mean %s?", f->path, name,
                           near);
    return lode_i_fail(ctx, LODE_ENOENT, "%s has no member %s; it holds %s", f->path, name,
                       f->shown ? list : "none");
}

/* A member whose name is the whole rest of the address, brackets included, wins over a slice. */
static lode_status choose_whole(lode_ctx *ctx, const lode_file *f, address *a,
                                lode_i_member **found)
{
    lode_status st = LODE_OK;
    lode_text whole = { 0 };
    if (a->member && a->slice) {
        LODE_TRY(lode_i_text_add(ctx, &whole, "%s[%s", a->member, a->slice));
        lode_i_member *m = lode_i_member_find(f, whole.text);
        if (m && !m->hidden) {
            *found = m;
            a->slice = NULL;
            goto done;
        }
    }
    LODE_TRY(choose(ctx, f, a->member, found));
done:
    lode_i_text_free(&whole);
    return st;
}

/* What an address names in one file. */
typedef struct place {
    address a;
    lode_file *file;
    lode_i_member *m;
    lode_i_range ranges[LODE_MAX_NDIM];
} place;

static void place_free(place *p)
{
    lode_file_close(&p->file);
    lode_i_free(p->a.text);
}

static lode_status place_open(lode_ctx *ctx, const char *spec, const lode_read_opts *o, place *p)
{
    lode_status st = LODE_OK;
    lode_i_slice slice;
    LODE_TRY(find_file(ctx, spec, &p->a));
    LODE_TRY(lode_file_open(ctx, p->a.path, o, &p->file));
    LODE_TRY(choose_whole(ctx, p->file, &p->a, &p->m));
    const lode_i_member *m = p->m;
    LODE_REQUIRE(!p->a.slice || m->kind == LODE_ARRAY || m->kind == LODE_NONE, LODE_ETYPE,
                 "%s: member %s is %s; only dense arrays are sliced", p->file->path, m->name,
                 lode_kind_name(m->kind));
    if (p->a.slice)
        LODE_TRY(lode_i_slice_parse(ctx, p->a.slice, strlen(p->a.slice) - 1, &slice));
    LODE_TRY(lode_i_slice_resolve(ctx, p->a.slice ? &slice : NULL, m->ndim, m->shape, p->ranges));
done:
    return st;
}

static lode_status place_source(lode_ctx *ctx, place *p, lode_source *s)
{
    LODE_FORWARD(lode_i_file_source_of(ctx, p->file, p->m, s));
    return p->a.slice ? lode_i_cut_source(ctx, p->ranges, s) : LODE_OK;
}

lode_status lode_i_address_source(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                  lode_source *out)
{
    place p = { .file = NULL };
    lode_status st = place_open(ctx, spec, o, &p);
    if (st >= 0)
        st = place_source(ctx, &p, out);
    if (st < 0)
        lode_source_close(out);
    place_free(&p);
    return st;
}

/* ---- results ---- */

void lode_i_model_free(lode_i_model *m)
{
    lode_bundle_free(&m->model);
    lode_i_free(m->name);
    lode_i_free(m->slice);
    lode_i_free(m->attributes);
    *m = (lode_i_model){ .found = false };
}

/* Members of the whole file. */
static lode_status add_all(lode_ctx *ctx, lode_file *f, bool load, lode_bundle *b)
{
    for (int64_t i = 0; i < f->shown; i++) {
        lode_i_member *m = &f->members[f->show[i]];
        LODE_FORWARD(lode_i_tick(ctx, i, f->shown));
        LODE_FORWARD(lode_i_file_add(ctx, f, m, load, m->name, b));
    }
    return lode_file_meta(ctx, f, b);
}

/* A file that stands for one array, with the name and attributes that its variable had. */
static lode_status take_file(lode_ctx *ctx, place *p, bool load, lode_i_model *m)
{
    lode_status st = LODE_OK;
    const lode_meta *meta = &p->file->head.meta;
    lode_json *all = NULL, *v = NULL;
    lode_i_slice slice;
    lode_i_member one = { .kind = LODE_ARRAY, .dtype = meta->dtype, .ndim = meta->ndim };
    memcpy(one.shape, meta->shape, sizeof one.shape);
    LODE_TRY(add_all(ctx, p->file, load, &m->model));
    if (!meta->attributes)
        goto done;
    LODE_TRY(lode_i_json_parse(ctx, meta->attributes, strlen(meta->attributes), &all));
    const lode_json *variables = lode_i_json_get(all, "variables");
    const char *name = lode_i_json_next(variables, NULL, &v);
    if (!name || lode_i_json_count(variables) != 1)
        goto done;
    LODE_TRY(lode_i_strdup(ctx, name, &m->name));
    if (p->a.slice)
        LODE_TRY(lode_i_slice_parse(ctx, p->a.slice, strlen(p->a.slice) - 1, &slice));
    LODE_TRY(lode_i_slice_resolve(ctx, p->a.slice ? &slice : NULL, one.ndim, one.shape, p->ranges));
    one.name = m->name;
    LODE_TRY(lode_i_attributes_of(ctx, p->file, &one, p->ranges, &m->attributes));
done:
    lode_i_json_free(all);
    return st;
}

/* The only member that is a result, which is meant where none is named. */
static lode_i_member *only_result(const lode_file *f)
{
    lode_i_member *only = NULL;
    for (int64_t i = 0; i < f->shown; i++) {
        lode_i_member *m = &f->members[f->show[i]];
        if (m->kind == LODE_BUNDLE && only)
            return NULL;
        if (m->kind == LODE_BUNDLE)
            only = m;
    }
    return only;
}

static lode_status take_member(lode_ctx *ctx, place *p, bool load, lode_i_model *m)
{
    lode_status st = LODE_OK;
    const lode_meta *meta = &p->file->head.meta;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_i_slice slice;
    if (p->a.slice)
        LODE_TRY(lode_i_slice_parse(ctx, p->a.slice, strlen(p->a.slice) - 1, &slice));
    memcpy(shape, p->m->shape, sizeof shape);
    LODE_TRY(lode_i_slice_resolve(ctx, p->a.slice ? &slice : NULL, p->m->ndim, shape, p->ranges));
    LODE_TRY(lode_i_nested_read(ctx, p->file, p->m, load, &m->model));
    LODE_TRY(lode_i_strdup(ctx, p->m->name, &m->name));
    if (meta->attributes)
        LODE_TRY(lode_i_attributes_of(ctx, p->file, p->m, p->ranges, &m->attributes));
done:
    return st;
}

lode_status lode_i_address_model(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                 bool load, lode_i_model *m)
{
    lode_status st = LODE_OK;
    place p = { .file = NULL };
    lode_i_model made = { .found = false };
    if (*spec == '@' || strcmp(spec, "-") == 0 || find_file(ctx, spec, &p.a) < 0)
        goto done; /* the reader says what is wrong, if anything is */
    if ((o && o->dtype) || !lode_i_format_may_hold(o ? o->format : NULL, p.a.path, true))
        goto done;
    LODE_TRY(lode_file_open(ctx, p.a.path, o, &p.file));
    const lode_meta *meta = &p.file->head.meta;
    if (!p.a.member && meta->op[0] && meta->has_shape) {
        LODE_TRY(take_file(ctx, &p, load, &made));
        made.found = true;
    } else if (!meta->op[0]) {
        if (!p.a.member)
            p.m = only_result(p.file);
        else if (choose_whole(ctx, p.file, &p.a, &p.m) < 0)
            goto done;
        if (!p.m || p.m->kind != LODE_BUNDLE)
            goto done;
        LODE_TRY(take_member(ctx, &p, load, &made));
        made.found = made.member = true;
    }
    if (made.found && p.a.slice) {
        LODE_TRY(lode_i_strdup(ctx, p.a.slice, &made.slice));
        made.slice[strlen(made.slice) - 1] = '\0'; /* the bracket */
    }
    lode_i_model_free(m);
    *m = made;
    made = (lode_i_model){ .found = false };
done:
    lode_i_model_free(&made);
    place_free(&p);
    return st;
}

lode_status lode_i_address_form(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                lode_dtype *dtype, int *ndim, int64_t *shape)
{
    lode_status st = LODE_OK;
    place p = { .file = NULL };
    LODE_TRY(place_open(ctx, spec, o, &p));
    LODE_REQUIRE(p.m->kind == LODE_ARRAY || p.m->kind == LODE_SCALAR, LODE_ETYPE,
                 "%s: member %s is %s; only dense arrays are stacked", p.file->path, p.m->name,
                 p.m->note ? p.m->note : lode_kind_name(p.m->kind));
    *dtype = p.m->dtype, *ndim = 0;
    for (int k = 0; k < p.m->ndim; k++) {
        const lode_i_range *r = &p.ranges[k];
        const int64_t span = r->step > 0 ? r->stop - r->start : r->start - r->stop;
        const int64_t step = r->step > 0 ? r->step : -r->step;
        if (!r->dropped)
            shape[(*ndim)++] = span > 0 ? lode_i_ceil_div(span, step) : 0;
    }
done:
    place_free(&p);
    return st;
}

lode_status lode_read_value(lode_ctx *ctx, const char *spec, const lode_read_opts *o, bool load,
                            const char *name, lode_bundle *into)
{
    lode_status st = LODE_OK;
    place p = { .file = NULL };
    lode_source s = { 0 };
    lode_array x = { 0 };
    char *attributes = NULL;
    bool several = false;

    lode_i_begin(ctx, "read");
    LODE_TRY(lode_i_stack_open(ctx, spec, o, &several, &s));
    if (!several) {
        LODE_TRY(place_open(ctx, spec, o, &p));
        name = name ? name : p.m->name;
        /* A variable read alone takes its names, units and coordinates along. */
        const lode_meta *meta = &p.file->head.meta;
        const lode_i_format *format = p.file->format;
        const bool alone = !into->meta.attributes && p.m->kind == LODE_ARRAY;
        if (alone && format->attributes)
            LODE_TRY(format->attributes(ctx, p.file, p.m, p.ranges, &attributes));
        else if (alone && meta->attributes && !meta->op[0])
            LODE_TRY(lode_i_attributes_of(ctx, p.file, p.m, p.ranges, &attributes));
        if (p.a.slice)
            LODE_TRY(place_source(ctx, &p, &s));
    }
    if (several || p.a.slice) {
        name = name ? name : "stack";
        if (load) {
            LODE_TRY(lode_i_source_load(ctx, &s, &x));
            LODE_TRY(lode_bundle_add_array(ctx, into, name, &x));
        } else {
            LODE_TRY(lode_bundle_add_source(ctx, into, name, &s));
        }
    } else {
        LODE_TRY(lode_i_file_add(ctx, p.file, p.m, load, name, into));
    }
    if (attributes) {
        into->meta.attributes = attributes;
        attributes = NULL;
    }
    st = lode_i_with_losses(ctx, st);
done:
    lode_i_free(attributes);
    lode_source_close(&s);
    lode_array_free(&x);
    place_free(&p);
    lode_i_end(ctx);
    return st;
}
