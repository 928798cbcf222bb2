/* An HDF5 file walked once: every dataset a member, with its type, shape, chunks and attributes; and
 * rectangles read from it. What a file says is checked before memory is taken for it. Links into
 * other files are not followed: what a path reads should lie in that file. */
#include "io/h5.h"

#include <stdlib.h>
#include <string.h>

#ifdef LODE_HAVE_HDF5

typedef lode_i_h5_set set;

enum { GROUPS_MAX = 1 << 16, DEPTH_MAX = 64, DATASETS_MAX = 1 << 20, TEXT_MAX = 1 << 28 };

static herr_t refuse_external(const char *parent_file, const char *parent, const char *file,
                              const char *object, unsigned *flags, hid_t access, void *data)
{
    (void)parent_file, (void)parent, (void)file, (void)object, (void)flags, (void)access,
        (void)data;
    return -1;
}

void lode_i_h5_begin(lode_ctx *ctx, lode_i_h5 *h)
{
    lode_i_h5_enter(h->library);
    h->input.ctx = ctx, h->input.st = LODE_OK;
    h->library->reading = &h->input;
}

void lode_i_h5_end(lode_i_h5 *h)
{
    h->input.ctx = NULL;
    h->library->reading = NULL;
    lode_i_h5_leave(h->library);
}

/* ---- one dataset ---- */

static const char *class_words(H5T_class_t type)
{
    switch (type) {
    case H5T_STRING: return "text";
    case H5T_COMPOUND: return "records of several fields";
    case H5T_REFERENCE: return "references to other objects";
    case H5T_VLEN: return "lists of varying length";
    case H5T_ARRAY: return "small arrays in each value";
    case H5T_OPAQUE: return "opaque bytes";
    case H5T_TIME: return "times of an outdated type";
    default: return "a type of number that Lode does not know";
    }
}

/* A scalar string: its length is part of what the member is. */
static lode_status measure_text(lode_ctx *ctx, lode_i_h5 *h, lode_file *f, lode_i_member *m, set *s,
                                hid_t dataset, hid_t type)
{
    const lode_i_h5_library *l = h->library;
    m->kind = LODE_TEXT, m->dtype = LODE_U8, s->text = true;
    s->variable = l->H5Tis_variable_str(type) > 0;
    m->bytes = l->H5Tget_size(type);
    if (s->variable) {
        char *string = NULL;
        const haddr_t at = l->H5Dget_offset(dataset);
        unsigned char pointer[16];
        if (at == HADDR_UNDEF)
            return lode_i_member_refuse(ctx, m, LODE_U8, "%s: its text lies in no place of its own",
                                        m->name);
        LODE_FORWARD(lode_i_infile_read(ctx, f->in, at, pointer, 8 + (size_t)h->input.address));
        LODE_FORWARD(lode_i_h5_check_pointer(&h->input, pointer, 1));
        if (l->H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &string) < 0)
            return lode_i_member_refuse(ctx, m, LODE_U8, "%s: its text cannot be read", m->name);
        m->bytes = string ? strlen(string) : 0;
        l->H5free_memory(string);
    }
    if (m->bytes > TEXT_MAX || (!s->variable && m->bytes > lode_i_infile_size(f->in)))
        return lode_i_member_refuse(ctx, m, LODE_U8, "%s: text of %" PRIu64 " bytes is too long",
                                    m->name, m->bytes);
    return LODE_OK;
}

static lode_status measure_space(lode_ctx *ctx, lode_i_h5 *h, lode_i_member *m, hid_t space,
                                 bool *fits)
{
    const lode_i_h5_library *l = h->library;
    hsize_t dims[LODE_MAX_NDIM];
    const int ndim = l->H5Sget_simple_extent_ndims(space);
    *fits = false;
    if (l->H5Sget_simple_extent_type(space) == H5S_NULL) {
        m->ndim = 1, m->shape[0] = 0;
        *fits = true;
        return LODE_OK;
    }
    if (ndim < 0 || ndim > LODE_MAX_NDIM || l->H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        return lode_i_member_refuse(ctx, m, LODE_F64, "%s: its shape cannot be read", m->name);
    m->ndim = ndim;
    for (int k = 0; k < ndim; k++) {
        if (dims[k] > INT64_MAX)
            return lode_i_member_refuse(ctx, m, LODE_F64, "%s: axis %d has more than 2^63-1 values",
                                        m->name, k);
        m->shape[k] = (int64_t)dims[k];
    }
    *fits = true;
    return LODE_OK;
}

/* Chunks as the file keeps them; values that lie in other files are refused. */
static lode_status measure_layout(lode_ctx *ctx, lode_i_h5 *h, lode_i_member *m, set *s,
                                  hid_t dataset, size_t size)
{
    lode_status st = LODE_OK;
    const lode_i_h5_library *l = h->library;
    hsize_t chunk[LODE_MAX_NDIM];
    char filter[64];
    const hid_t list = l->H5Dget_create_plist(dataset);
    const H5D_layout_t layout = list < 0 ? H5D_LAYOUT_ERROR : l->H5Pget_layout(list);
    if (layout < 0)
        st = lode_i_member_refuse(ctx, m, m->dtype, "%s: its layout cannot be read", m->name);
    else if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        st = lode_i_member_refuse(
            ctx, m, m->dtype,
            "%s is put together from other data sets, perhaps in other files; name those", m->name);
    else if (l->H5Pget_external_count(list) > 0)
        st = lode_i_member_refuse(ctx, m, m->dtype,
                                  "%s keeps its values in other files, which are not followed",
                                  m->name);
    else if (lode_i_h5_lacks_filter(l, list, filter, sizeof filter))
        st = lode_i_member_refuse(ctx, m, m->dtype,
                                  "%s is stored through the filter %s, which is not installed here",
                                  m->name, filter);
    else if (layout == H5D_CHUNKED && m->ndim > 0 &&
             l->H5Pget_chunk(list, LODE_MAX_NDIM, chunk) == m->ndim) {
        st = LODE_NEW(ctx, m->ndim, &m->chunk);
        s->chunk = size;
        for (int k = 0; k < m->ndim && st >= 0; k++) {
            s->chunk *= chunk[k]; /* the library keeps it below 2^32 */
            m->chunk[k] = (int64_t)chunk[k] > m->shape[k] ? m->shape[k] : (int64_t)chunk[k];
        }
    }
    if (list >= 0)
        l->H5Pclose(list);
    return st;
}

static lode_status measure(lode_ctx *ctx, lode_i_h5 *h, lode_file *f, lode_i_member *m, set *s,
                           hid_t dataset)
{
    lode_status st = LODE_OK;
    const lode_i_h5_library *l = h->library;
    const hid_t type = l->H5Dget_type(dataset), space = l->H5Dget_space(dataset);
    bool fits = false;
    if (type < 0 || space < 0) {
        st = lode_i_member_refuse(ctx, m, LODE_F64, "%s: its type or shape cannot be read",
                                  m->name);
        goto done;
    }
    LODE_TRY(measure_space(ctx, h, m, space, &fits));
    if (!fits)
        goto done;
    if (l->H5Tget_class(type) == H5T_STRING && m->ndim == 0) {
        LODE_TRY(measure_text(ctx, h, f, m, s, dataset, type));
        goto done;
    }
    if (!lode_i_h5_number_of(l, type, &s->number)) {
        LODE_TRY(lode_i_member_refuse(ctx, m, LODE_F64, "%s holds %s, and only numbers are read",
                                      m->name, class_words(l->H5Tget_class(type))));
        goto done;
    }
    m->dtype = s->number.dtype;
    LODE_TRY(lode_i_shape_bytes(ctx, m->name, m->dtype, m->ndim, m->shape, &m->bytes));
    LODE_TRY(measure_layout(ctx, h, m, s, dataset, l->H5Tget_size(type)));
done:
    if (type >= 0)
        l->H5Tclose(type);
    if (space >= 0)
        l->H5Sclose(space);
    return st;
}

static lode_status describe(lode_ctx *ctx, lode_i_h5 *h, lode_file *f, const char *path, hid_t id,
                            set *s, int ndim)
{
    lode_status st = LODE_OK;
    lode_i_attributes a = { 0 };
    lode_json *o = NULL, *labels = NULL;
    char text[96];
    if (s && lode_i_h5_attribute_text(h->library, id, "CLASS", text, sizeof text) &&
        strcmp(text, "DIMENSION_SCALE") == 0) {
        s->scale = true;
        s->bare = lode_i_h5_attribute_text(h->library, id, "NAME", text, sizeof text) &&
                  strncmp(text, "This is a netCDF dimension but not", 34) == 0;
    }
    LODE_TRY(lode_i_h5_attributes(ctx, h->library, id, f->path, s && s->scale,
                                  lode_i_infile_size(f->in), &a));
    if (s && ndim > 0) {
        LODE_TRY(LODE_NEW(ctx, ndim, &s->axes));
        memset(s->axes, 0, (size_t)ndim * sizeof *s->axes);
        if (!lode_i_h5_scales(h->library, id, ndim, s->axes) && !(s->scale && ndim == 1)) {
            lode_i_free(s->axes);
            s->axes = NULL;
        }
        LODE_TRY(lode_i_h5_labels(ctx, h->library, id, ndim, &labels));
    }
    if (!s && !*path) { /* the root's attributes are the file's */
        LODE_TRY(lode_i_attributes_into(ctx, &a, h->found));
        goto done;
    }
    if (!a.values && !labels && !(s && s->axes))
        goto done;
    o = lode_i_json_object();
    if (labels || (s && s->axes)) {
        lode_json *const given = labels ? labels : lode_i_json_array();
        labels = NULL;
        LODE_TRY(lode_i_json_set(ctx, o, "dims", given));
    }
    LODE_TRY(lode_i_attributes_into(ctx, &a, o));
    if (!s && !h->group) {
        LODE_TRY(lode_i_json_set(ctx, h->found, "groups", lode_i_json_object()));
        h->group = lode_i_json_get(h->found, "groups");
    }
    lode_json *const given = o;
    o = NULL;
    LODE_TRY(lode_i_json_set(ctx, s ? h->variables : h->group, path, given));
done:
    lode_i_attributes_free(&a);
    lode_i_json_free(o);
    lode_i_json_free(labels);
    return st;
}

static lode_status add_member(lode_ctx *ctx, lode_i_h5 *h, lode_file *f, const char *path,
                              lode_i_member **m, set **s)
{
    if (h->count >= DATASETS_MAX)
        return lode_i_fail(ctx, LODE_EFORMAT, "%s has more than %d data sets", f->path,
                           DATASETS_MAX);
    if (h->count == h->capacity) {
        void *p = h->sets;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)(2 * h->capacity + 16) * sizeof *h->sets, &p));
        h->sets = p, h->capacity = 2 * h->capacity + 16;
    }
    LODE_FORWARD(lode_i_member_add(ctx, f, path, strlen(path), m));
    *s = &h->sets[h->count];
    **s = (set){ .id = -1 };
    (*m)->id = h->count++;
    return LODE_OK;
}

/* ---- the walk ---- */

typedef struct walk {
    lode_ctx *ctx;
    lode_i_h5 *h;
    lode_file *f;
    const char *prefix;
    int depth;
    const struct walk *above;
    uint64_t address;
    lode_status st;
} walk;

static lode_status walk_group(const walk *above, hid_t group, const char *path, uint64_t address);

static lode_status found_object(walk *w, const char *path, hid_t id)
{
    const lode_i_h5_library *l = w->h->library;
    H5G_stat_t info;
    lode_i_member *m = NULL;
    set *s = NULL;
    if (l->H5Gget_objinfo(id, ".", false, &info) < 0)
        return LODE_OK; /* nothing that can be read */
    const uint64_t address = info.objno[0];
    LODE_FORWARD(lode_i_h5_check_header(&w->h->input, address));
    if (info.type == H5G_GROUP) {
        for (const walk *a = w; a; a = a->above)
            if (a->address == address)
                return LODE_OK; /* a link back to a group around it */
        return walk_group(w, id, path, address);
    }
    if (info.type != H5G_DATASET)
        return LODE_OK;
    LODE_FORWARD(add_member(w->ctx, w->h, w->f, path, &m, &s));
    s->address = address;
    LODE_FORWARD(measure(w->ctx, w->h, w->f, m, s, id));
    const int ndim = m->kind == LODE_NONE ? 0 : m->ndim;
    return describe(w->ctx, w->h, w->f, path, id, s, ndim);
}

static herr_t found_link(hid_t group, const char *name, const LODE_H5_LINK *info, void *data)
{
    walk *w = data;
    lode_ctx *const ctx = w->ctx;
    const lode_i_h5_library *l = w->h->library;
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    lode_i_member *m = NULL;
    set *s = NULL;
    LODE_TRY(lode_i_cancelled(ctx));
    LODE_TRY(lode_i_text_add(ctx, &path, "%s%s", w->prefix, name));
    if (info->type != H5L_TYPE_HARD && info->type != H5L_TYPE_SOFT) {
        LODE_TRY(add_member(ctx, w->h, w->f, path.text, &m, &s));
        LODE_TRY(lode_i_member_refuse(
            ctx, m, LODE_F64, "%s is a link into another file, which is not followed", path.text));
        goto done;
    }
    const hid_t id = l->H5Oopen(group, name, w->h->follow);
    if (id >= 0) {
        st = found_object(w, path.text, id);
        l->H5Oclose(id);
    } else if (info->type == H5L_TYPE_HARD) {
        LODE_TRY(add_member(ctx, w->h, w->f, path.text, &m, &s));
        LODE_TRY(lode_i_member_refuse(ctx, m, LODE_F64, "%s is damaged: it cannot be opened",
                                      path.text));
    } /* a soft link to nothing is nothing */
done:
    lode_i_text_free(&path);
    w->st = st;
    return st < 0 ? -1 : 0;
}

static lode_status walk_group(const walk *above, hid_t group, const char *path, uint64_t address)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = above->ctx;
    lode_i_h5 *h = above->h;
    lode_file *f = above->f;
    const lode_i_h5_library *l = h->library;
    lode_text prefix = { 0 };
    hsize_t n = 0;
    unsigned order = 0;
    walk w = *above;
    LODE_REQUIRE(above->depth < DEPTH_MAX && ++h->groups <= GROUPS_MAX, LODE_EFORMAT,
                 "%s: its groups nest too deeply or are too many", f->path);
    LODE_TRY(lode_i_text_add(ctx, &prefix, "%s%s", path, *path ? "/" : ""));
    w.prefix = prefix.text, w.depth = above->depth + 1, w.above = above, w.address = address;
    LODE_TRY(describe(ctx, h, f, path, group, NULL, 0));
    const hid_t list = l->H5Gget_create_plist(group);
    if (list < 0 || l->H5Pget_link_creation_order(list, &order) < 0)
        order = 0;
    if (list >= 0)
        l->H5Pclose(list);
    w.st = LODE_OK;
    const bool made = (order & H5P_CRT_ORDER_TRACKED) != 0;
    if (l->LODE_H5_ITERATE(group, made ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME, H5_ITER_INC, &n,
                           found_link, &w) < 0) {
        LODE_TRY(w.st);
        st = lode_i_h5_failed(ctx, l, f->path, "listing a group", false);
    }
done:
    lode_i_text_free(&prefix);
    return st;
}

/* Names of axes: of the data set that is their scale, the first of its names. */
static lode_status name_axes(lode_ctx *ctx, lode_i_h5 *h, const lode_file *f)
{
    lode_status st = LODE_OK;
    lode_json *dims = NULL;
    for (int64_t i = 0; i < f->count; i++) {
        const lode_i_member *m = &f->members[i];
        const set *s = &h->sets[m->id];
        lode_json *o = lode_i_json_get(h->variables, m->name);
        if (!s->axes || !o)
            continue;
        dims = lode_i_json_array();
        for (int k = 0; k < m->ndim; k++) {
            const char *label = lode_i_json_as_text(lode_i_json_at(lode_i_json_get(o, "dims"), k));
            const char *name = s->scale && m->ndim == 1 ? m->name : label ? label : "";
            for (int64_t j = 0; j < f->count && s->axes[k]; j++)
                if (h->sets[f->members[j].id].scale &&
                    h->sets[f->members[j].id].address == s->axes[k]) {
                    name = f->members[j].name;
                    break;
                }
            LODE_TRY(lode_i_json_push(ctx, dims, lode_i_json_text(name)));
        }
        lode_json *const given = dims;
        dims = NULL;
        LODE_TRY(lode_i_json_set(ctx, o, "dims", given));
    }
done:
    lode_i_json_free(dims);
    return st;
}

/* Data sets that were met before, by another link. */
typedef struct meeting {
    uint64_t address;
    int64_t member;
} meeting;

static int by_address(const void *a, const void *b)
{
    const meeting *x = a, *y = b;
    const int order = (x->address > y->address) - (x->address < y->address);
    return order ? order : (x->member > y->member) - (x->member < y->member);
}

static lode_status mark_links(lode_ctx *ctx, const lode_i_h5 *h, lode_file *f)
{
    meeting *met = NULL;
    LODE_FORWARD(LODE_NEW(ctx, f->count + 1, &met));
    for (int64_t i = 0; i < f->count; i++)
        met[i] = (meeting){ h->sets[f->members[i].id].address, i };
    qsort(met, (size_t)f->count, sizeof *met, by_address);
    for (int64_t i = 1; i < f->count; i++)
        if (met[i].address && met[i].address == met[i - 1].address)
            f->members[met[i].member].again = true;
    lode_i_free(met);
    return LODE_OK;
}

/* ---- the interface ---- */

static lode_status open_library_file(lode_ctx *ctx, lode_i_h5 *h, const lode_file *f)
{
    const lode_i_h5_library *l = h->library;
    const lode_i_h5_input *const input = &h->input;
    const hid_t access = l->H5Pcreate(*l->H5P_CLS_FILE_ACCESS_ID_g);
    h->follow = l->H5Pcreate(*l->H5P_CLS_LINK_ACCESS_ID_g);
    if (access < 0 || h->follow < 0 || l->H5Pset_elink_cb(h->follow, refuse_external, NULL) < 0 ||
        l->H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 ||
        l->H5Pset_driver(access, l->driver, &input) < 0 ||
        (h->file = l->H5Fopen(f->path, 0, access)) < 0) {
        const lode_status st = lode_i_h5_failed(ctx, l, f->path, "opening it", false);
        if (access >= 0)
            l->H5Pclose(access);
        return st;
    }
    l->H5Pclose(access);
    size_t address_size = 8, length = 8;
    hsize_t base = 0;
    const hid_t creation = l->H5Fget_create_plist(h->file);
    const bool told = creation >= 0 && l->H5Pget_sizes(creation, &address_size, &length) >= 0 &&
                      l->H5Pget_userblock(creation, &base) >= 0;
    if (creation >= 0)
        l->H5Pclose(creation);
    if (address_size > 8 || length > 8)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED, "%s has addresses of more than 64 bits",
                           f->path);
    if (told)
        h->input.address = (int)address_size, h->input.length = (int)length, h->input.base = base;
    const hid_t root = l->H5Gopen2(h->file, "/", H5P_DEFAULT);
    if (root < 0)
        return lode_i_h5_failed(ctx, l, f->path, "opening its root", false);
    H5G_stat_t info;
    const walk above = { .ctx = ctx, .h = h, .f = (lode_file *)(uintptr_t)f };
    const uint64_t address = l->H5Gget_objinfo(root, ".", false, &info) < 0 ? 0 : info.objno[0];
    lode_status st = lode_i_h5_check_header(&h->input, address);
    if (st >= 0)
        st = walk_group(&above, root, "", address);
    l->H5Oclose(root);
    /* What is damaged was refused by name; other failures are of the whole file. */
    const bool whole = h->input.st < 0 && h->input.st != LODE_EFORMAT;
    return st >= 0 && whole ? h->input.st : st;
}

lode_status lode_i_h5_open(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    lode_i_h5_library *l = NULL;
    lode_i_h5 *h = NULL;
    LODE_FORWARD(lode_i_infile_open(ctx, f->path, &f->in));
    LODE_FORWARD(lode_i_h5_library_get(ctx, &l));
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *h, &f->state));
    h = f->state;
    h->library = l, h->file = h->follow = -1;
    h->input = (lode_i_h5_input){ .file = f->in, .address = 8, .length = 8 };
    h->found = lode_i_json_object();
    LODE_FORWARD(lode_i_json_set(ctx, h->found, "variables", lode_i_json_object()));
    h->variables = lode_i_json_get(h->found, "variables");
    lode_i_h5_begin(ctx, h);
    st = open_library_file(ctx, h, f);
    lode_i_h5_end(h);
    LODE_FORWARD(st);
    LODE_FORWARD(mark_links(ctx, h, f));
    return name_axes(ctx, h, f);
}

void lode_i_h5_close(lode_i_h5 *h)
{
    if (!h)
        return;
    lode_i_h5_enter(h->library);
    for (int64_t i = 0; i < h->count; i++) {
        if (h->sets[i].id >= 0)
            h->library->H5Dclose(h->sets[i].id);
        lode_i_free(h->sets[i].axes);
    }
    if (h->follow >= 0)
        h->library->H5Pclose(h->follow);
    if (h->file >= 0)
        h->library->H5Fclose(h->file);
    lode_i_h5_leave(h->library);
    lode_i_free(h->sets);
    lode_i_json_free(h->found);
    lode_i_free(h);
}

lode_json *lode_i_h5_found(const lode_i_h5 *h)
{
    return h->found;
}

bool lode_i_h5_is_scale(const lode_i_h5 *h, const lode_i_member *m, bool *bare)
{
    *bare = h->sets[m->id].bare;
    return h->sets[m->id].scale;
}

lode_dtype lode_i_h5_stored(const lode_i_h5 *h, const lode_i_member *m)
{
    return h->sets[m->id].number.dtype;
}

lode_i_packing *lode_i_h5_packing(const lode_i_h5 *h, const lode_i_member *m)
{
    return &h->sets[m->id].packing;
}

lode_status lode_i_h5_root_text(lode_ctx *ctx, lode_i_h5 *h, const char *name, char **text)
{
    lode_i_h5_begin(ctx, h);
    const lode_status st = lode_i_h5_attribute_copy(ctx, h->library, h->file, name, text);
    lode_i_h5_end(h);
    return st;
}

/* ---- rectangles ---- */

lode_status lode_i_h5_open_set(lode_ctx *ctx, lode_i_h5 *h, const lode_file *f,
                               const lode_i_member *m)
{
    set *s = &h->sets[m->id];
    if (s->id < 0)
        s->id = h->library->H5Oopen(h->file, m->name, h->follow);
    return s->id < 0 ? lode_i_h5_failed(ctx, h->library, f->path, "opening a data set", false)
                     : LODE_OK;
}

/* As stored; only what is unpacked becomes floating-point on the way. */
static hid_t memory_type(const lode_i_h5 *h, const lode_i_member *m, bool stored)
{
    const lode_i_h5_library *l = h->library;
    const lode_i_h5_number *n = &h->sets[m->id].number;
    const bool unpacked = !stored && (m->dtype == LODE_F32 || m->dtype == LODE_F64);
    if (n->bits)
        return l->H5Tcopy(n->dtype == LODE_U8    ? *l->H5T_NATIVE_B8_g
                          : n->dtype == LODE_U16 ? *l->H5T_NATIVE_B16_g
                          : n->dtype == LODE_U32 ? *l->H5T_NATIVE_B32_g
                                                 : *l->H5T_NATIVE_B64_g);
    return lode_i_h5_type(l, unpacked ? m->dtype : n->dtype, n->re, n->im);
}

static lode_status read_text(lode_ctx *ctx, const lode_i_h5 *h, const lode_file *f,
                             const lode_i_member *m, char *dst)
{
    const lode_i_h5_library *l = h->library;
    const set *s = &h->sets[m->id];
    const hid_t type = l->H5Dget_type(s->id);
    char *string = NULL;
    bool done = type >= 0;
    if (s->variable) {
        done = done && l->H5Dread(s->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &string) >= 0 &&
               (string ? strlen(string) : 0) == m->bytes;
        if (done && m->bytes)
            memcpy(dst, string, (size_t)m->bytes);
        l->H5free_memory(string);
    } else {
        done = done && l->H5Dread(s->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, dst) >= 0;
    }
    const lode_status st = done ? LODE_OK
                                : lode_i_h5_failed(ctx, l, f->path, "reading a text", false);
    if (type >= 0)
        l->H5Tclose(type);
    return st;
}

static lode_status read_box(lode_ctx *ctx, const lode_i_h5 *h, const lode_file *f,
                            const lode_i_member *m, const hsize_t *from, const hsize_t *many,
                            bool stored, void *dst)
{
    const lode_i_h5_library *l = h->library;
    const set *s = &h->sets[m->id];
    const hid_t type = memory_type(h, m, stored), space = l->H5Dget_space(s->id);
    const hid_t memory = m->ndim ? l->H5Screate_simple(m->ndim, many, NULL)
                                 : l->H5Screate(H5S_SCALAR);
    const bool done = type >= 0 && space >= 0 && memory >= 0 &&
                      (m->ndim == 0 || l->H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL,
                                                              many, NULL) >= 0) &&
                      l->H5Dread(s->id, type, memory, space, H5P_DEFAULT, dst) >= 0;
    const lode_status st = done ? LODE_OK
                                : lode_i_h5_failed(ctx, l, f->path, "reading a data set", false);
    if (type >= 0)
        l->H5Tclose(type);
    if (space >= 0)
        l->H5Sclose(space);
    if (memory >= 0)
        l->H5Sclose(memory);
    return st;
}

static lode_status read_as(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                           const int64_t *start, const int64_t *count, bool stored, void *dst)
{
    lode_i_h5 *h = f->state;
    const set *s = &h->sets[m->id];
    hsize_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    const hsize_t block = (hsize_t)lode_dtype_block(m->dtype), unit = lode_dtype_size(m->dtype);
    int64_t values = 1;
    for (int k = 0; k < m->ndim; k++) {
        from[k] = (hsize_t)start[k], many[k] = (hsize_t)count[k];
        values *= count[k];
        if (k == m->ndim - 1 && block > 1) { /* packed blocks are stored as bytes */
            from[k] = from[k] / block * unit;
            many[k] = many[k] / block * unit;
        }
    }
    if (values == 0)
        return LODE_OK;
    /* The library unpacks a chunk in memory of its own, which the budget should cover as well. */
    if (s->chunk > ((uint64_t)1 << 20) && s->chunk > lode_i_memory_left(ctx))
        return lode_i_fail(ctx, LODE_EBUDGET,
                           "%s: %s lies in chunks of %" PRIu64 " bytes, and %" PRIu64
                           " bytes of the memory budget are left",
                           f->path, m->name, s->chunk, lode_i_memory_left(ctx));
    lode_i_h5_begin(ctx, h);
    lode_status st = lode_i_h5_open_set(ctx, h, f, m);
    if (st >= 0)
        st = s->text ? read_text(ctx, h, f, m, dst)
                     : read_box(ctx, h, f, m, from, many, stored, dst);
    lode_i_h5_end(h);
    if (st >= 0 && m->dtype == LODE_BOOL && !stored)
        for (int64_t i = 0; i < values; i++)
            ((unsigned char *)dst)[i] = ((unsigned char *)dst)[i] != 0;
    if (st >= 0 && !stored && (m->dtype == LODE_F32 || m->dtype == LODE_F64))
        lode_i_unpack(&s->packing, m->dtype, dst, values);
    return st;
}

lode_status lode_i_h5_read(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                           const int64_t *start, const int64_t *count, void *dst)
{
    return read_as(ctx, f, m, start, count, false, dst);
}

lode_status lode_i_h5_read_stored(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                                  const int64_t *start, const int64_t *count, void *dst)
{
    return read_as(ctx, f, m, start, count, true, dst);
}
#endif
