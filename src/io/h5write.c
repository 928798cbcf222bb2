/* Writing HDF5: data sets in groups made as they are needed, attributes, dimension scales. Nothing
 * that is written depends on the clock. */
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

typedef lode_i_h5_made made;

static lode_status failed(lode_ctx *ctx, const lode_i_h5_writer *w, const char *doing)
{
    return w->output.st < 0 ? w->output.st
                            : lode_i_h5_failed(ctx, w->library, w->path, doing, true);
}

static void close_id(herr_t (*close)(hid_t), hid_t id)
{
    if (id >= 0)
        close(id);
}

lode_status lode_i_h5_writer_new(lode_ctx *ctx, const char *path, lode_outfile *file,
                                 lode_i_h5_style style, lode_i_h5_writer **out)
{
    lode_i_h5_library *l = NULL;
    lode_i_h5_writer *w = NULL;
    LODE_FORWARD(lode_i_h5_library_get(ctx, &l));
    LODE_FORWARD(lode_i_calloc(ctx, sizeof *w, (void **)&w));
    *out = w;
    w->library = l, w->style = style, w->file = w->links = -1;
    w->output = (lode_i_h5_output){ .file = file, .ctx = ctx };
    return lode_i_strdup(ctx, path, &w->path);
}

lode_status lode_i_h5_create(lode_ctx *ctx, const char *path, lode_outfile *file,
                             lode_i_h5_style style, size_t block, lode_i_h5_writer **out)
{
    LODE_FORWARD(lode_i_h5_writer_new(ctx, path, file, style, out));
    lode_i_h5_writer *w = *out;
    lode_i_h5_library *l = w->library;
    lode_i_h5_enter(l);
    const hid_t access = lode_i_h5_output_access(l, &w->output);
    const hid_t creation = l->H5Pcreate(*l->H5P_CLS_FILE_CREATE_ID_g);
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    w->links = l->H5Pcreate(*l->H5P_CLS_LINK_CREATE_ID_g);
    /* Format 1.8, which every reader in use knows, takes attributes beyond 64 KiB. */
    const bool ready = access >= 0 && creation >= 0 && w->links >= 0 &&
                       l->H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0 &&
                       l->H5Pset_userblock(creation, block) >= 0 &&
                       l->H5Pset_link_creation_order(creation, order) >= 0 &&
                       l->H5Pset_attr_creation_order(creation, order) >= 0 &&
                       l->H5Pset_obj_track_times(creation, false) >= 0 &&
                       l->H5Pset_create_intermediate_group(w->links, 1) >= 0;
    if (ready)
        w->file = l->H5Fcreate(path, 2 /* truncate */, creation, access);
    const lode_status st = w->file < 0 ? failed(ctx, w, "making it") : LODE_OK;
    close_id(l->H5Pclose, access);
    close_id(l->H5Pclose, creation);
    lode_i_h5_leave(l);
    return st;
}

static lode_status close_all(lode_ctx *ctx, lode_i_h5_writer *w)
{
    const lode_i_h5_library *l = w->library;
    lode_status st = LODE_OK;
    for (int64_t i = 0; i < w->count; i++) {
        close_id(l->H5Dclose, w->sets[i].id);
        w->sets[i].id = -1;
    }
    close_id(l->H5Pclose, w->links);
    if (w->file >= 0 && ctx && l->H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        st = failed(ctx, w, "writing it");
    if (w->file >= 0 && l->H5Fclose(w->file) < 0 && ctx && st >= 0)
        st = failed(ctx, w, "closing it");
    w->links = w->file = -1;
    return ctx && st >= 0 ? w->output.st : st;
}

void lode_i_h5_writer_free(lode_i_h5_writer *w)
{
    if (!w)
        return;
    lode_i_h5_enter(w->library);
    close_all(NULL, w);
    lode_i_h5_leave(w->library);
    for (int64_t i = 0; i < w->count; i++) {
        lode_i_free(w->sets[i].name);
        lode_i_free(w->sets[i].scales);
    }
    lode_i_free(w->sets);
    lode_i_free(w->path);
    lode_i_free(w);
}

/* ---- types ---- */

/* h5py's truth: an enumeration of FALSE and TRUE. */
static hid_t truth(const lode_i_h5_library *l)
{
    const hid_t t = l->H5Tenum_create(*l->H5T_NATIVE_INT8_g);
    const signed char no = 0, yes = 1;
    if (t >= 0 &&
        (l->H5Tenum_insert(t, "FALSE", &no) < 0 || l->H5Tenum_insert(t, "TRUE", &yes) < 0)) {
        l->H5Tclose(t);
        return -1;
    }
    return t;
}

static hid_t type_for(const lode_i_h5_writer *w, lode_dtype dtype)
{
    if (dtype == LODE_BOOL && w->style == LODE_I_H5_PYTHON)
        return truth(w->library);
    return w->style == LODE_I_H5_MATLAB ? lode_i_h5_type(w->library, dtype, "real", "imag")
                                        : lode_i_h5_type(w->library, dtype, NULL, NULL);
}

static hid_t string_type(const lode_i_h5_library *l, size_t size, bool utf8)
{
    const hid_t t = l->H5Tcopy(*l->H5T_C_S1_g);
    if (t >= 0 && (l->H5Tset_size(t, size) < 0 ||
                   (utf8 && size != H5T_VARIABLE && l->H5Tset_strpad(t, H5T_STR_NULLPAD) < 0) ||
                   (utf8 && l->H5Tset_cset(t, H5T_CSET_UTF8) < 0))) {
        l->H5Tclose(t);
        return -1;
    }
    return t;
}

/* ---- data sets ---- */

lode_status lode_i_h5_add_set(lode_ctx *ctx, lode_i_h5_writer *w, const char *name, made **s)
{
    if (w->count == w->capacity) {
        void *p = w->sets;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)(2 * w->capacity + 16) * sizeof *w->sets, &p));
        w->sets = p, w->capacity = 2 * w->capacity + 16;
    }
    *s = &w->sets[w->count];
    **s = (made){ .id = -1 };
    w->count++;
    return lode_i_strdup(ctx, name, &(*s)->name);
}

static hid_t make(const lode_i_h5_writer *w, const char *name, hid_t type, hid_t space)
{
    const lode_i_h5_library *l = w->library;
    const hid_t list = l->H5Pcreate(*l->H5P_CLS_DATASET_CREATE_ID_g);
    hid_t id = -1;
    if (list >= 0 && type >= 0 && space >= 0 &&
        l->H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) >= 0 &&
        l->H5Pset_obj_track_times(list, false) >= 0 &&
        l->H5Pset_attr_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0)
        id = l->H5Dcreate2(w->file, name, type, space, w->links, list, H5P_DEFAULT);
    close_id(l->H5Pclose, list);
    return id;
}

static lode_status make_group(lode_ctx *ctx, const lode_i_h5_writer *w, const char *name)
{
    const lode_i_h5_library *l = w->library;
    H5G_stat_t info;
    lode_status st = LODE_OK;
    lode_i_h5_enter(w->library);
    if (l->H5Gget_objinfo(w->file, name, true, &info) < 0) {
        const hid_t list = l->H5Pcreate(*l->H5P_CLS_GROUP_CREATE_ID_g);
        hid_t id = -1;
        if (list >= 0 && l->H5Pset_obj_track_times(list, false) >= 0 &&
            l->H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0)
            id = l->H5Gcreate2(w->file, name, w->links, list, H5P_DEFAULT);
        if (id < 0)
            st = failed(ctx, w, "making a group");
        close_id(l->H5Oclose, id);
        close_id(l->H5Pclose, list);
    }
    lode_i_h5_leave(w->library);
    return st;
}

/* The groups above a name: the library would note in those that it makes by itself when it did. */
static lode_status make_parents(lode_ctx *ctx, const lode_i_h5_writer *w, const char *name)
{
    lode_status st = LODE_OK;
    char *path = NULL;
    LODE_TRY(lode_i_strdup(ctx, name, &path));
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        if (slash == path || slash[-1] == '/')
            continue;
        *slash = '\0';
        LODE_TRY(make_group(ctx, w, path));
        *slash = '/';
    }
done:
    lode_i_free(path);
    return st;
}

lode_status lode_i_h5_group(lode_ctx *ctx, lode_i_h5_writer *w, const char *name)
{
    LODE_FORWARD(make_parents(ctx, w, name));
    return make_group(ctx, w, name);
}

lode_status lode_i_h5_dataset(lode_ctx *ctx, lode_i_h5_writer *w, const char *name,
                              lode_dtype dtype, int ndim, const int64_t *shape, int64_t *set)
{
    const lode_i_h5_library *l = w->library;
    hsize_t dims[LODE_MAX_NDIM];
    made *s = NULL;
    for (int k = 0; k < ndim; k++)
        dims[k] = (hsize_t)shape[k];
    LODE_FORWARD(make_parents(ctx, w, name));
    LODE_FORWARD(lode_i_h5_add_set(ctx, w, name, &s));
    *set = w->count - 1;
    s->dtype = dtype, s->ndim = ndim;
    lode_i_h5_enter(w->library);
    const hid_t type = type_for(w, dtype);
    const hid_t space = ndim ? l->H5Screate_simple(ndim, dims, NULL) : l->H5Screate(H5S_SCALAR);
    s->id = make(w, name, type, space);
    lode_status st = LODE_OK;
    if (s->id < 0) {
        char doing[160];
        snprintf(doing, sizeof doing, "making the data set %.120s", name);
        st = failed(ctx, w, doing);
    }
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    lode_i_h5_leave(w->library);
    return st;
}

lode_status lode_i_h5_text(lode_ctx *ctx, lode_i_h5_writer *w, const char *name, const char *text,
                           size_t size)
{
    const lode_i_h5_library *l = w->library;
    LODE_FORWARD(make_parents(ctx, w, name));
    lode_i_h5_enter(w->library);
    const hid_t type = string_type(l, size ? size : 1, true); /* there is none of length 0 */
    const hid_t space = l->H5Screate(H5S_SCALAR), id = make(w, name, type, space);
    const bool done = id >= 0 && l->H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0;
    const lode_status st = done ? LODE_OK : failed(ctx, w, "writing a text");
    close_id(l->H5Dclose, id);
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    lode_i_h5_leave(w->library);
    return st;
}

/* The lock is given back while a source is read: it may be such a file itself. */
lode_status lode_i_h5_put(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set, const int64_t *start,
                          const int64_t *count, const void *values)
{
    const lode_i_h5_library *l = w->library;
    const made *s = &w->sets[set];
    hsize_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    for (int k = 0; k < s->ndim; k++)
        from[k] = (hsize_t)start[k], many[k] = (hsize_t)count[k];
    lode_i_h5_enter(w->library);
    const hid_t type = type_for(w, s->dtype), space = l->H5Dget_space(s->id);
    const hid_t memory = s->ndim ? l->H5Screate_simple(s->ndim, many, NULL)
                                 : l->H5Screate(H5S_SCALAR);
    const bool done = type >= 0 && space >= 0 && memory >= 0 &&
                      (s->ndim == 0 || l->H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL,
                                                              many, NULL) >= 0) &&
                      l->H5Dwrite(s->id, type, memory, space, H5P_DEFAULT, values) >= 0;
    const lode_status st = done ? w->output.st : failed(ctx, w, "writing values");
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    close_id(l->H5Sclose, memory);
    lode_i_h5_leave(w->library);
    return st;
}

/* ---- attributes ---- */

static bool write_attribute(const lode_i_h5_library *l, hid_t object, const char *name, hid_t type,
                            hid_t space, const void *values)
{
    const hid_t id = type < 0 || space < 0
                         ? -1
                         : l->H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool done = id >= 0 && (!values || l->H5Awrite(id, type, values) >= 0);
    close_id(l->H5Aclose, id);
    return done;
}

static bool put_attribute(const lode_i_h5_writer *w, hid_t object, const char *name,
                          const lode_i_attribute *a)
{
    const lode_i_h5_library *l = w->library;
    const hsize_t count = (hsize_t)a->count;
    const bool fixed = a->text && w->style == LODE_I_H5_MATLAB;
    const size_t size = fixed && a->count == 1 && *a->text[0] ? strlen(a->text[0]) : 1;
    const hid_t type = !a->text ? type_for(w, a->values.dtype)
                                : string_type(l, fixed ? size : H5T_VARIABLE, !fixed);
    hsize_t sizes[LODE_I_ATTRIBUTE_AXES];
    for (int k = 0; k < a->ndim; k++)
        sizes[k] = (hsize_t)a->shape[k];
    const hid_t space = a->ndim   ? l->H5Screate_simple(a->ndim, sizes, NULL)
                        : a->list ? l->H5Screate_simple(1, &count, NULL)
                                  : l->H5Screate(H5S_SCALAR);
    const void *values = !a->text ? a->values.data : fixed ? (const void *)a->text[0] : a->text;
    const bool done = write_attribute(l, object, name, type, space, count ? values : NULL);
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    return done;
}

lode_status lode_i_h5_attribute(lode_ctx *ctx, lode_i_h5_writer *w, const char *path,
                                const char *name, const lode_i_attribute *a)
{
    const lode_i_h5_library *l = w->library;
    if (!a->text && !a->values.data)
        return LODE_OK;
    lode_i_h5_enter(w->library);
    const hid_t object = l->H5Oopen(w->file, *path ? path : "/", H5P_DEFAULT);
    const bool done = object >= 0 && put_attribute(w, object, name, a);
    const lode_status st = done ? LODE_OK : failed(ctx, w, "writing an attribute");
    close_id(l->H5Oclose, object);
    lode_i_h5_leave(w->library);
    return st;
}

/* ---- dimension scales: the attributes that h5py, MATLAB and libnetcdf look for ---- */

static bool put_fixed(const lode_i_h5_library *l, hid_t object, const char *name, const char *text)
{
    const hid_t type = string_type(l, strlen(text) + 1, false);
    const hid_t space = l->H5Screate(H5S_SCALAR);
    const bool done = write_attribute(l, object, name, type, space, text);
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    return done;
}

lode_status lode_i_h5_scale(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set, const char *name)
{
    made *s = &w->sets[set];
    if (s->scale)
        return LODE_OK;
    lode_i_h5_enter(w->library);
    const bool done = put_fixed(w->library, s->id, "CLASS", "DIMENSION_SCALE") &&
                      put_fixed(w->library, s->id, "NAME", name);
    const lode_status st = done ? LODE_OK : failed(ctx, w, "writing a dimension");
    lode_i_h5_leave(w->library);
    s->scale = true;
    return st;
}

static bool put_labels(const lode_i_h5_library *l, const made *s, const char *const *names)
{
    const char *words[LODE_MAX_NDIM];
    const hsize_t count = (hsize_t)s->ndim;
    for (int k = 0; k < s->ndim; k++)
        words[k] = names[k] ? names[k] : "";
    const hid_t type = string_type(l, H5T_VARIABLE, true);
    const hid_t space = l->H5Screate_simple(1, &count, NULL);
    const bool done = write_attribute(l, s->id, "DIMENSION_LABELS", type, space, words);
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    return done;
}

static bool put_scales(const lode_i_h5_writer *w, const made *s, const int64_t *scales)
{
    const lode_i_h5_library *l = w->library;
    const hsize_t count = (hsize_t)s->ndim;
    hvl_t lists[LODE_MAX_NDIM];
    hobj_ref_t references[LODE_MAX_NDIM];
    bool done = true;
    for (int k = 0; k < s->ndim; k++) {
        lists[k].len = scales[k] >= 0, lists[k].p = &references[k];
        if (scales[k] >= 0)
            done = done && l->H5Rcreate(&references[k], w->file, w->sets[scales[k]].name,
                                        H5R_OBJECT, -1) >= 0;
    }
    const hid_t type = l->H5Tvlen_create(*l->H5T_STD_REF_OBJ_g);
    const hid_t space = l->H5Screate_simple(1, &count, NULL);
    done = done && write_attribute(l, s->id, "DIMENSION_LIST", type, space, lists);
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    return done;
}

lode_status lode_i_h5_dimensions(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set,
                                 const int64_t *scales, const char *const *names)
{
    made *s = &w->sets[set];
    bool scaled = false, named = false, done = true;
    for (int k = 0; k < s->ndim; k++) {
        scaled = scaled || scales[k] >= 0;
        named = named || (names[k] && scales[k] < 0);
    }
    if (s->scale || (!scaled && !named)) /* a scale has none of its own */
        return LODE_OK;
    lode_i_h5_enter(w->library);
    if (named)
        done = put_labels(w->library, s, names);
    if (scaled)
        done = done && put_scales(w, s, scales);
    const lode_status st = done ? LODE_OK : failed(ctx, w, "writing dimensions");
    lode_i_h5_leave(w->library);
    if (st >= 0 && scaled) {
        LODE_FORWARD(LODE_NEW(ctx, s->ndim, &s->scales));
        memcpy(s->scales, scales, (size_t)s->ndim * sizeof *scales);
    }
    return st;
}

/* The list of those that use a scale, which completes the specification. */
typedef struct use {
    hobj_ref_t dataset;
    int32_t dimension;
} use;

static lode_status put_uses(lode_ctx *ctx, lode_i_h5_writer *w, int64_t scale)
{
    const lode_i_h5_library *l = w->library;
    lode_status st = LODE_OK;
    use *uses = NULL;
    hsize_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass && count == 0)
            return LODE_OK;
        if (pass)
            LODE_FORWARD(LODE_NEW(ctx, (int64_t)count, &uses));
        count = 0;
        for (int64_t i = 0; i < w->count; i++)
            for (int k = 0; w->sets[i].scales && k < w->sets[i].ndim; k++)
                if (w->sets[i].scales[k] == scale) {
                    if (pass) {
                        uses[count] = (use){ .dimension = k };
                        l->H5Rcreate(&uses[count].dataset, w->file, w->sets[i].name, H5R_OBJECT,
                                     -1);
                    }
                    count++;
                }
    }
    const hid_t type = l->H5Tcreate(H5T_COMPOUND, sizeof(use));
    const hid_t space = l->H5Screate_simple(1, &count, NULL);
    const bool done = type >= 0 &&
                      l->H5Tinsert(type, "dataset", offsetof(use, dataset),
                                   *l->H5T_STD_REF_OBJ_g) >= 0 &&
                      l->H5Tinsert(type, "dimension", offsetof(use, dimension),
                                   *l->H5T_NATIVE_INT32_g) >= 0 &&
                      write_attribute(l, w->sets[scale].id, "REFERENCE_LIST", type, space, uses);
    if (!done)
        st = failed(ctx, w, "writing the users of a dimension");
    close_id(l->H5Tclose, type);
    close_id(l->H5Sclose, space);
    lode_i_free(uses);
    return st;
}

lode_status lode_i_h5_finish(lode_ctx *ctx, lode_i_h5_writer *w)
{
    lode_status st = LODE_OK;
    lode_i_h5_enter(w->library);
    for (int64_t i = 0; i < w->count && st >= 0; i++)
        if (w->sets[i].scale)
            st = put_uses(ctx, w, i);
    if (st >= 0)
        st = close_all(ctx, w);
    lode_i_h5_leave(w->library);
    return st;
}
#endif
