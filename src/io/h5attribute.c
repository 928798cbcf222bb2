/* Attributes of HDF5 objects as JSON, and the attributes by which HDF5 names axes. Called under the
 * library lock. */
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

enum { NUMBERS_MAX = 1 << 20 };

typedef struct visit {
    lode_ctx *ctx;
    const lode_i_h5_library *h;
    const char *path;
    bool scale;
    uint64_t limit;
    lode_i_attributes *out;
    lode_status st;
} visit;

/* Attributes that say how the object is kept, not what it is. */
static bool of_storage(const char *name, bool scale)
{
    static const char *const names[] = {
        "REFERENCE_LIST",      "DIMENSION_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid", "lode",
        "_Netcdf4Coordinates", "_NCProperties",  "_nc3_strict",      "CLASS",         "NAME"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names - (scale ? 0 : 2); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void close_three(const lode_i_h5_library *h, hid_t type, hid_t space, hid_t attribute)
{
    if (type >= 0)
        h->H5Tclose(type);
    if (space >= 0)
        h->H5Sclose(space);
    if (attribute >= 0)
        h->H5Aclose(attribute);
}

/* Strings of a fixed length, or pointers to strings, as the library gave them. */
static lode_status texts(visit *v, const char *name, hid_t attribute, hid_t type, hid_t space,
                         int64_t count)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = v->ctx;
    const bool variable = v->h->H5Tis_variable_str(type) > 0;
    const size_t size = variable ? sizeof(char *) : v->h->H5Tget_size(type);
    char *bytes = NULL, **list = NULL, *copy = NULL;
    bool held = false;
    if (size == 0 || (uint64_t)count > v->limit / size)
        return LODE_OK;
    LODE_TRY(lode_i_calloc(ctx, (size_t)count * size + 1, (void **)&bytes));
    LODE_TRY(LODE_NEW(ctx, count + 1, &list));
    LODE_TRY(lode_i_calloc(ctx, variable ? 1 : (size_t)count * (size + 1) + 1, (void **)&copy));
    if (v->h->H5Aread(attribute, type, bytes) < 0) {
        st = lode_i_h5_failed(ctx, v->h, v->path, "at an attribute", false);
        goto done;
    }
    held = variable;
    for (int64_t i = 0; i < count; i++) {
        if (variable) {
            memcpy(&list[i], bytes + (size_t)i * size, size);
        } else {
            list[i] = copy + (size_t)i * (size + 1);
            memcpy(list[i], bytes + (size_t)i * size, size);
        }
    }
    LODE_TRY(lode_i_attributes_texts(ctx, v->out, name, count, list, false));
done:
    if (held)
        v->h->H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes);
    lode_i_free(bytes);
    lode_i_free(list);
    lode_i_free(copy);
    return st;
}

static lode_status numbers(visit *v, const char *name, hid_t attribute, hid_t type, int64_t count)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = v->ctx;
    lode_i_h5_number n;
    lode_array a = { 0 };
    if (count > NUMBERS_MAX || !lode_i_h5_number_of(v->h, type, &n) || n.bits ||
        lode_i_is_complex(n.dtype))
        return LODE_OK; /* no place in JSON */
    const hid_t memory = lode_i_h5_type(v->h, n.dtype, NULL, NULL);
    LODE_TRY(lode_array_zeros(ctx, n.dtype, 1, &count, &a));
    if (memory < 0 || v->h->H5Aread(attribute, memory, a.data) < 0) {
        st = lode_i_h5_failed(ctx, v->h, v->path, "at an attribute", false);
        goto done;
    }
    if (n.dtype == LODE_BOOL)
        for (int64_t i = 0; i < count; i++)
            ((unsigned char *)a.data)[i] = ((unsigned char *)a.data)[i] != 0;
    LODE_TRY(lode_i_attributes_numbers(ctx, v->out, name, n.dtype, count, a.data));
done:
    if (memory >= 0)
        v->h->H5Tclose(memory);
    lode_array_free(&a);
    return st;
}

/* The sizes of its axes, where they are several. */
static lode_status shape(visit *v, const char *name, hid_t type, hid_t space)
{
    lode_i_h5_number n;
    hsize_t dims[LODE_I_ATTRIBUTE_AXES];
    int64_t sizes[LODE_I_ATTRIBUTE_AXES];
    const int ndim = v->h->H5Sget_simple_extent_ndims(space);
    if (ndim < 2 || ndim > LODE_I_ATTRIBUTE_AXES || !lode_i_json_get(v->out->values, name) ||
        !lode_i_h5_number_of(v->h, type, &n) ||
        v->h->H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        return LODE_OK;
    for (int k = 0; k < ndim; k++)
        sizes[k] = (int64_t)dims[k];
    return lode_i_attributes_shape(v->ctx, v->out, name, n.dtype, ndim, sizes);
}

static lode_status one(visit *v, hid_t object, const char *name)
{
    const lode_i_h5_library *h = v->h;
    lode_status st = LODE_OK;
    const hid_t attribute = h->H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : h->H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : h->H5Aget_space(attribute);
    const hssize_t count = space < 0 || h->H5Sget_simple_extent_type(space) == H5S_NULL
                               ? 0
                               : h->H5Sget_simple_extent_npoints(space);
    if (type < 0 || space < 0 || count < 0)
        st = lode_i_h5_failed(v->ctx, h, v->path, "at an attribute", false);
    else if (h->H5Tget_class(type) == H5T_STRING)
        st = texts(v, name, attribute, type, space, count);
    else
        st = numbers(v, name, attribute, type, count);
    if (st >= 0 && count > 0)
        st = shape(v, name, type, space);
    close_three(h, type, space, attribute);
    return st;
}

static herr_t visited(hid_t object, const char *name, const H5A_info_t *info, void *data)
{
    visit *v = data;
    (void)info;
    if (!of_storage(name, v->scale))
        v->st = one(v, object, name);
    return v->st < 0 ? -1 : 0;
}

lode_status lode_i_h5_attributes(lode_ctx *ctx, const lode_i_h5_library *h, hid_t object,
                                 const char *path, bool scale, uint64_t limit,
                                 lode_i_attributes *out)
{
    visit v = {
        .ctx = ctx, .h = h, .path = path, .scale = scale, .limit = limit, .out = out, .st = LODE_OK
    };
    hsize_t n = 0;
    /* As they were made, where the file says so. */
    if (h->H5Aiterate2(object, H5_INDEX_CRT_ORDER, H5_ITER_INC, &n, visited, &v) >= 0)
        return LODE_OK;
    LODE_FORWARD(v.st);
    n = 0;
    lode_i_attributes_free(out);
    if (h->H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &n, visited, &v) >= 0)
        return LODE_OK;
    return v.st < 0 ? v.st : lode_i_h5_failed(ctx, h, path, "listing attributes", false);
}

bool lode_i_h5_attribute_text(const lode_i_h5_library *h, hid_t object, const char *name,
                              char *text, size_t size)
{
    bool found = false;
    const hid_t attribute = h->H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0)
        return false;
    const hid_t type = h->H5Aget_type(attribute), space = h->H5Aget_space(attribute);
    if (type >= 0 && space >= 0 && h->H5Tget_class(type) == H5T_STRING &&
        h->H5Sget_simple_extent_npoints(space) == 1) {
        if (h->H5Tis_variable_str(type) > 0) {
            char *string = NULL;
            if (h->H5Aread(attribute, type, &string) >= 0 && string) {
                found = strlen(string) < size;
                if (found)
                    memcpy(text, string, strlen(string) + 1);
            }
            h->H5free_memory(string);
        } else if (h->H5Tget_size(type) < size) {
            memset(text, 0, size);
            found = h->H5Aread(attribute, type, text) >= 0;
        }
    }
    close_three(h, type, space, attribute);
    return found;
}

lode_status lode_i_h5_attribute_copy(lode_ctx *ctx, const lode_i_h5_library *h, hid_t object,
                                     const char *name, char **text)
{
    lode_i_attributes found = { 0 };
    visit v = { .ctx = ctx, .h = h, .path = name, .limit = UINT32_MAX, .out = &found };
    const hid_t attribute = h->H5Aopen(object, name, H5P_DEFAULT);
    lode_status st = LODE_OK;
    *text = NULL;
    if (attribute < 0)
        return LODE_OK;
    const hid_t type = h->H5Aget_type(attribute), space = h->H5Aget_space(attribute);
    if (type >= 0 && space >= 0 && h->H5Tget_class(type) == H5T_STRING &&
        h->H5Sget_simple_extent_npoints(space) == 1)
        st = texts(&v, name, attribute, type, space, 1);
    const char *word = lode_i_json_as_text(lode_i_json_get(found.values, name));
    if (st >= 0 && word)
        st = lode_i_strdup(ctx, word, text);
    close_three(h, type, space, attribute);
    lode_i_attributes_free(&found);
    return st;
}

lode_status lode_i_h5_labels(lode_ctx *ctx, const lode_i_h5_library *h, hid_t dataset, int ndim,
                             lode_json **labels)
{
    lode_i_attributes found = { 0 };
    visit v = { .ctx = ctx, .h = h, .path = "labels", .limit = UINT32_MAX, .out = &found };
    const hid_t attribute = h->H5Aopen(dataset, "DIMENSION_LABELS", H5P_DEFAULT);
    *labels = NULL;
    if (attribute < 0)
        return LODE_OK;
    const hid_t type = h->H5Aget_type(attribute), space = h->H5Aget_space(attribute);
    lode_status st = LODE_OK;
    if (type >= 0 && space >= 0 && h->H5Tget_class(type) == H5T_STRING &&
        h->H5Sget_simple_extent_npoints(space) == ndim)
        st = texts(&v, "labels", attribute, type, space, ndim);
    close_three(h, type, space, attribute);
    lode_json *list = lode_i_json_get(found.values, "labels");
    if (st >= 0 && list) {
        /* A copy of its own, as a list whatever the count. */
        lode_json *copy = lode_i_json_array();
        for (int k = 0; k < ndim && st >= 0; k++) {
            const char *word = lode_i_json_as_text(ndim == 1 ? list : lode_i_json_at(list, k));
            st = lode_i_json_push(ctx, copy, lode_i_json_text(word ? word : ""));
        }
        if (st >= 0)
            *labels = copy;
        else
            lode_i_json_free(copy);
    }
    lode_i_attributes_free(&found);
    return st;
}

bool lode_i_h5_scales(const lode_i_h5_library *h, hid_t dataset, int ndim, uint64_t *address)
{
    hvl_t lists[LODE_MAX_NDIM];
    bool found = false;
    const hid_t attribute = h->H5Aopen(dataset, "DIMENSION_LIST", H5P_DEFAULT);
    if (attribute < 0)
        return false;
    const hid_t type = h->H5Aget_type(attribute), space = h->H5Aget_space(attribute);
    const hid_t base = type >= 0 && h->H5Tget_class(type) == H5T_VLEN ? h->H5Tget_super(type) : -1;
    const hid_t memory = base >= 0 && h->H5Tget_class(base) == H5T_REFERENCE &&
                                 h->H5Tget_size(base) == sizeof(hobj_ref_t)
                             ? h->H5Tvlen_create(*h->H5T_STD_REF_OBJ_g)
                             : -1;
    memset(lists, 0, sizeof lists);
    if (memory >= 0 && space >= 0 && h->H5Sget_simple_extent_npoints(space) == ndim &&
        h->H5Aread(attribute, memory, lists) >= 0) {
        for (int k = 0; k < ndim; k++) {
            hobj_ref_t reference = 0;
            if (lists[k].len > 0 && lists[k].p)
                memcpy(&reference, lists[k].p, sizeof reference);
            address[k] = reference; /* such a reference is the address of an object */
            found = found || reference;
        }
        h->H5Dvlen_reclaim(memory, space, H5P_DEFAULT, lists);
    }
    if (memory >= 0)
        h->H5Tclose(memory);
    if (base >= 0)
        h->H5Tclose(base);
    close_three(h, type, space, attribute);
    return found;
}
#endif
