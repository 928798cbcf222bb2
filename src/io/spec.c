/* Addresses: "file", "file:member", either with "[0:10,:,5]". Read from the right; what exists as a
 * file or a member by its whole text wins over the meaning of ':' and '['. */
#include "io/io.h"

#include <string.h>

/* ---- the slice ---- */

static bool part_i64(const char *text, size_t size, bool *given, int64_t *v)
{
    char word[24];
    while (size > 0 && *text == ' ')
        text++, size--;
    while (size > 0 && text[size - 1] == ' ')
        size--;
    *given = size > 0;
    if (size >= sizeof word)
        return false;
    memcpy(word, text, size);
    word[size] = '\0';
    return size == 0 || lode_i_parse_i64(word, v);
}

lode_status lode_i_slice_parse(lode_ctx *ctx, const char *text, size_t size, lode_i_slice *s)
{
    const char *at = text, *const end = text + size;
    *s = (lode_i_slice){ .ellipsis = -1 };
    while (size > 0) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        const char *one = memchr(at, ':', (size_t)(stop - at));
        const char *two = one ? memchr(one + 1, ':', (size_t)(stop - one - 1)) : NULL;
        const int k = s->ndim;
        bool ok = true, given = false;
        if (k == LODE_MAX_NDIM)
            return lode_i_fail(ctx, LODE_EUSAGE, "slice [%.*s] has more than %d parts", (int)size,
                               text, LODE_MAX_NDIM);
        s->step[k] = 1;
        const char *dots = at;
        while (dots < stop && *dots == ' ')
            dots++;
        if (stop - dots >= 3 && memcmp(dots, "...", 3) == 0 && s->ellipsis < 0) {
            ok = part_i64(dots + 3, (size_t)(stop - dots - 3), &given, &s->start[k]) && !given;
            s->ellipsis = k;
        } else if (!one) {
            ok = part_i64(at, (size_t)(stop - at), &given, &s->start[k]) && given;
            s->dropped[k] = true;
            s->ndim++;
        } else {
            ok = part_i64(at, (size_t)(one - at), &s->has_start[k], &s->start[k]) &&
                 part_i64(one + 1, (size_t)((two ? two : stop) - one - 1), &s->has_stop[k],
                          &s->stop[k]);
            if (two)
                ok = ok && part_i64(two + 1, (size_t)(stop - two - 1), &given, &s->step[k]);
            ok = ok && s->step[k] != 0;
            s->ndim++;
        }
        if (!ok)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "'%.*s' in slice [%.*s] is none of 5, 0:10, 0:10:2, : or ...",
                               (int)(stop - at), at, (int)size, text);
        if (!comma)
            break;
        at = comma + 1;
    }
    return LODE_OK;
}

/* An end of a range in 0..n (low..high when the step is negative), as Python's slice.indices. */
static int64_t clip(int64_t v, int64_t n, int64_t low, int64_t high)
{
    if (v < 0)
        v = v < -n ? low : v + n;
    return v < low ? low : v > high ? high : v;
}

lode_status lode_i_slice_resolve(lode_ctx *ctx, const lode_i_slice *s, int ndim,
                                 const int64_t *shape, lode_i_range *ranges)
{
    static const lode_i_slice everything = { .ellipsis = 0 };
    if (!s)
        s = &everything;
    const int gap = s->ellipsis < 0 ? s->ndim : s->ellipsis, hole = ndim - s->ndim;
    if (hole < 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "the slice has %d parts, the array %d axes",
                           (int)s->ndim, ndim);
    for (int i = 0; i < ndim; i++) {
        const int64_t n = shape[i];
        ranges[i] = (lode_i_range){ .start = 0, .stop = n, .step = 1 };
        if (i >= gap && i < gap + hole)
            continue;
        const int k = i < gap ? i : i - hole;
        if (s->dropped[k]) {
            const int64_t v = s->start[k];
            if (v < -n || v >= n)
                return lode_i_fail(
                    ctx, LODE_ESHAPE,
                    "index %" PRId64 " is outside axis %d, which has %" PRId64 " values", v, i, n);
            ranges[i].start = v < 0 ? v + n : v;
            ranges[i].stop = ranges[i].start + 1;
            ranges[i].dropped = true;
            continue;
        }
        const bool down = s->step[k] < 0;
        const int64_t low = down ? -1 : 0, high = down ? n - 1 : n;
        ranges[i].step = s->step[k];
        ranges[i].start = s->has_start[k] ? clip(s->start[k], n, low, high) : down ? high : 0;
        ranges[i].stop = s->has_stop[k] ? clip(s->stop[k], n, low, high) : down ? -1 : n;
    }
    return LODE_OK;
}

/* A slice of a source that it keeps open. */
typedef struct cut {
    lode_source whole, part;
} cut;

static lode_status cut_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                            const int64_t *count, void *dst)
{
    const cut *c = s->data;
    return c->part.read(ctx, &c->part, start, count, dst);
}

static void cut_close(void *data)
{
    cut *c = data;
    lode_source_close(&c->part);
    lode_source_close(&c->whole);
    lode_i_free(c);
}

/* Takes the source over into its slice; on failure it stays as it was. */
static lode_status cut_source(lode_ctx *ctx, const lode_i_range *ranges, lode_source *s)
{
    lode_status st = LODE_OK;
    int64_t start[LODE_MAX_NDIM], stop[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
    bool dropped[LODE_MAX_NDIM];
    cut *c = NULL;
    for (int k = 0; k < s->ndim; k++)
        start[k] = ranges[k].start, stop[k] = ranges[k].stop, step[k] = ranges[k].step,
        dropped[k] = ranges[k].dropped;
    LODE_TRY(lode_i_calloc(ctx, sizeof *c, (void **)&c));
    c->whole = *s;
    LODE_TRY(lode_i_source_slice(ctx, &c->whole, s->ndim, start, stop, step, dropped, &c->part));
    *s = c->part;
    s->read = cut_read, s->close = cut_close, s->data = c;
    c = NULL;
done:
    lode_i_free(c);
    return st;
}

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
            if (!m->secondary)
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

lode_status lode_i_slice_source(lode_ctx *ctx, const char *text, size_t size, lode_source *s)
{
    lode_i_slice slice;
    lode_i_range ranges[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_slice_parse(ctx, text, size, &slice));
    LODE_FORWARD(lode_i_slice_resolve(ctx, &slice, s->ndim, s->shape, ranges));
    return cut_source(ctx, ranges, s);
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
    return p->a.slice ? cut_source(ctx, p->ranges, s) : LODE_OK;
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
