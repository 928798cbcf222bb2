/* What a NetCDF file is told before its values: groups, dimensions, attributes, and the variables of
 * text that only the description has. Called under the library lock. */
#include "io/nc.h"

#include <math.h>
#include <string.h>

#ifdef LODE_HAVE_NETCDF

lode_status lode_i_nc_refused(lode_ctx *ctx, const lode_i_nc_writer *w, int code, const char *doing)
{
    if (code == NC_EHDFERR) /* the disk: nothing else fails below the library */
        return lode_i_fail(ctx, LODE_EIO, "%s: libnetcdf failed %s: %s", w->path, doing,
                           w->nc->nc_strerror(code));
    const lode_status st = lode_i_nc_check(ctx, w->nc, code, w->path, doing);
    return st == LODE_EFORMAT ? lode_i_fail(ctx, LODE_EUSAGE, "%s: libnetcdf refused %s: %s",
                                            w->path, doing, w->nc->nc_strerror(code))
                              : st;
}

void lode_i_nc_writer_clear(lode_i_nc_writer *w)
{
    for (int64_t i = 0; i < w->groups; i++)
        lode_i_free(w->group[i].path);
    lode_i_free(w->group);
    lode_i_free(w->dim);
}

/* ---- groups ---- */

/* The group whose path has `size` bytes, made with those around it. */
static lode_status group_for(lode_ctx *ctx, lode_i_nc_writer *w, const char *path, size_t size,
                             int *id)
{
    lode_status st = LODE_OK;
    char *copy = NULL;
    int parent = w->file;
    *id = w->file;
    if (size == 0)
        return LODE_OK;
    for (int64_t i = 0; i < w->groups; i++)
        if (strncmp(w->group[i].path, path, size) == 0 && w->group[i].path[size] == '\0') {
            *id = w->group[i].id;
            return LODE_OK;
        }
    size_t cut = size;
    while (cut > 0 && path[cut - 1] != '/')
        cut--;
    LODE_TRY(group_for(ctx, w, path, cut > 0 ? cut - 1 : 0, &parent));
    if (w->groups == w->groups_capacity) {
        void *p = w->group;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * w->groups_capacity + 8) * sizeof *w->group, &p));
        w->group = p, w->groups_capacity = 2 * w->groups_capacity + 8;
    }
    LODE_TRY(lode_i_calloc(ctx, size + 1, (void **)&copy));
    memcpy(copy, path, size);
    LODE_TRY(lode_i_nc_refused(ctx, w, w->nc->nc_def_grp(parent, copy + cut, id), "a group"));
    w->group[w->groups++] = (lode_i_nc_group){ copy, *id };
    copy = NULL;
done:
    lode_i_free(copy);
    return st;
}

lode_status lode_i_nc_place(lode_ctx *ctx, lode_i_nc_writer *w, const char *path, int *group,
                            const char **name, char buffer[NC_MAX_NAME + 1])
{
    const char *slash = strrchr(path, '/');
    *group = w->file, *name = path;
    if (!slash)
        return LODE_OK;
    if (!w->classic) {
        *name = slash + 1;
        return group_for(ctx, w, path, (size_t)(slash - path), group);
    }
    snprintf(buffer, NC_MAX_NAME + 1, "%s", path);
    for (char *p = buffer; *p; p++)
        *p = *p == '/' ? '_' : *p;
    *name = buffer;
    return LODE_OK;
}

/* ---- dimensions ---- */

static bool is_unlimited(const lode_i_nc_writer *w, const char *name)
{
    bool grows = false;
    const lode_json *d = lode_i_json_get(w->dimensions, name);
    if (!lode_i_json_as_bool(lode_i_json_get(d, "unlimited"), &grows) || !grows)
        return false;
    for (int64_t i = 0; i < w->dims && w->classic; i++) {
        bool other = false; /* a classic file has one */
        const lode_json *o = lode_i_json_get(w->dimensions, w->dim[i].name);
        if (lode_i_json_as_bool(lode_i_json_get(o, "unlimited"), &other) && other)
            return false;
    }
    return true;
}

/* Variables see the dimensions of their own group and of those around it. */
static bool is_seen_by(const char *dimension, const char *variable)
{
    const char *slash = strrchr(dimension, '/');
    const size_t n = slash ? (size_t)(slash - dimension) + 1 : 0;
    return strncmp(dimension, variable, n) == 0;
}

lode_status lode_i_nc_dimension_for(lode_ctx *ctx, lode_i_nc_writer *w, const char *variable,
                                    const char *name, int64_t size, int *id)
{
    char made[32], buffer[NC_MAX_NAME + 1];
    const char *base = made;
    int group = w->file;
    if (name && *name && !is_seen_by(name, variable))
        name = strrchr(name, '/') + 1;
    for (int64_t i = 0; name && *name && i < w->dims; i++)
        if (strcmp(w->dim[i].name, name) == 0) {
            if (w->dim[i].size == size) {
                *id = w->dim[i].id;
                return LODE_OK;
            }
            name = NULL;
        }
    const bool named = name && *name;
    if (w->dims == w->dims_capacity) {
        void *p = w->dim;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)(2 * w->dims_capacity + 8) * sizeof *w->dim, &p));
        w->dim = p, w->dims_capacity = 2 * w->dims_capacity + 8;
    }
    snprintf(made, sizeof made, "dim_%d", named ? 0 : w->anonymous++);
    if (named)
        LODE_FORWARD(lode_i_nc_place(ctx, w, name, &group, &base, buffer));
    const size_t length = named && is_unlimited(w, name) ? NC_UNLIMITED : (size_t)size;
    LODE_FORWARD(
        lode_i_nc_refused(ctx, w, w->nc->nc_def_dim(group, base, length, id), "a dimension"));
    w->dim[w->dims++] = (lode_i_nc_dimension){ named ? name : "", size, *id };
    return LODE_OK;
}

/* ---- attributes ---- */

static lode_status put_one(lode_ctx *ctx, const lode_i_nc_writer *w, int group, int var,
                           const char *name, const lode_i_attribute *a)
{
    int code = NC_NOERR;
    const size_t n = (size_t)a->count;
    if (a->text && (a->strings || n != 1)) {
        if (w->classic)
            return LODE_OK; /* lists of text have no classic form */
        code = w->nc->nc_put_att_string(group, var, name, n, a->text);
    } else if (a->text) {
        code = w->nc->nc_put_att_text(group, var, name, strlen(a->text[0]), a->text[0]);
    } else if (a->values.data) {
        const nc_type type = lode_i_nc_type_for(a->values.dtype);
        if (type != NC_NAT)
            code = w->nc->nc_put_att(group, var, name, type, n, a->values.data);
    }
    return lode_i_nc_refused(ctx, w, code, "an attribute");
}

/* Classic files of 64-bit offsets know no unsigned and no 64-bit numbers. */
static bool needs_cast(const lode_i_nc_writer *w, lode_dtype dtype)
{
    return w->classic && (dtype == LODE_U16 || dtype == LODE_U32 || dtype == LODE_I64 ||
                          dtype == LODE_U64 || dtype == LODE_U8 || dtype == LODE_BOOL);
}

lode_status lode_i_nc_put_attributes(lode_ctx *ctx, const lode_i_nc_writer *w, int group, int var,
                                     const lode_json *o, bool packing, nc_type type)
{
    lode_status st = LODE_OK;
    lode_i_attribute a = { 0 };
    lode_array cast = { 0 };
    lode_json *v = NULL;
    const lode_json *list = lode_i_json_get(o, "attributes");
    for (const char *name = NULL; (name = lode_i_json_next(list, name, &v));) {
        lode_dtype dtype = LODE_F64;
        if (strcmp(name, "_NCProperties") == 0 || (!packing && lode_i_is_of_packing(name)))
            continue;
        LODE_TRY(lode_i_attribute_get(ctx, o, name, &a));
        const bool fill = var != NC_GLOBAL && strcmp(name, "_FillValue") == 0;
        const bool letter = fill && type == NC_CHAR && a.text && a.count == 1;
        if (fill && !letter && (!a.values.data || a.count != 1 || !lode_i_nc_type_of(type, &dtype)))
            continue;
        if (!fill && a.values.data && needs_cast(w, a.values.dtype))
            dtype = a.values.dtype == LODE_U8 || a.values.dtype == LODE_BOOL ? LODE_I16 : LODE_F64;
        else if (!fill)
            dtype = a.values.dtype;
        if (a.values.data && dtype != a.values.dtype) {
            LODE_TRY(lode_array_cast(ctx, &a.values, dtype, &cast));
            lode_array_swap(&a.values, &cast);
        }
        LODE_TRY(put_one(ctx, w, group, var, name, &a));
    }
done:
    lode_i_attribute_free(&a);
    lode_array_free(&cast);
    return st;
}

/* ---- what no array stands for ---- */

static bool is_item(const lode_i_output *out, const char *name)
{
    for (int64_t k = 0; k < out->count; k++)
        if (strcmp(out->items[k].name, name) == 0)
            return true;
    return false;
}

/* Size of an axis of a text variable: of the dimension as it is written, else as described. */
static bool size_of(const lode_i_nc_writer *w, const char *name, int64_t *size)
{
    for (int64_t i = 0; i < w->dims; i++)
        if (strcmp(w->dim[i].name, name) == 0) {
            *size = w->dim[i].size;
            return true;
        }
    return lode_i_json_as_i64(lode_i_json_get(lode_i_json_get(w->dimensions, name), "size"), size);
}

typedef struct texts {
    const char *name;
    const lode_json *variable, *rows;
    bool strings;
    int ndim;
    int64_t shape[LODE_MAX_NDIM], count, each;
} texts;

/* A text variable whose axes are still those it had. */
static bool texts_of(const lode_i_nc_writer *w, const lode_i_output *out, const char *name,
                     const lode_json *v, texts *t)
{
    const char *stored = lode_i_json_as_text(lode_i_json_get(v, "stored"));
    const lode_json *dims = lode_i_json_get(v, "dims");
    *t = (texts){ .name = name, .variable = v, .rows = lode_i_json_get(v, "text"), .count = 1 };
    if (!t->rows || !stored || lode_i_json_count(dims) > LODE_MAX_NDIM || is_item(out, name))
        return false;
    t->strings = strcmp(stored, "string") == 0;
    t->ndim = (int)lode_i_json_count(dims);
    t->each = 1;
    for (int k = 0; k < t->ndim; k++) {
        const char *axis = lode_i_json_as_text(lode_i_json_at(dims, k));
        if (!axis || !size_of(w, axis, &t->shape[k]) || !is_seen_by(axis, name))
            return false;
        if (!t->strings && k == t->ndim - 1)
            t->each = t->shape[k];
        else if (!lode_i_mul(t->count, t->shape[k], &t->count))
            return false;
    }
    const int64_t rows = t->each == 0 ? 0 : t->count;
    return t->ndim >= 0 && lode_i_json_count(t->rows) == rows && !(w->classic && t->strings);
}

lode_status lode_i_nc_define_text(lode_ctx *ctx, lode_i_nc_writer *w, const lode_i_output *out,
                                  const char *name, const lode_json *variable)
{
    texts t;
    int dims[LODE_MAX_NDIM], group = 0, var = 0;
    char buffer[NC_MAX_NAME + 1];
    const char *base = NULL;
    if (!texts_of(w, out, name, variable, &t))
        return LODE_OK;
    const lode_json *names = lode_i_json_get(variable, "dims");
    const nc_type type = t.strings ? NC_STRING : NC_CHAR;
    for (int k = 0; k < t.ndim; k++)
        LODE_FORWARD(lode_i_nc_dimension_for(
            ctx, w, name, lode_i_json_as_text(lode_i_json_at(names, k)), t.shape[k], &dims[k]));
    LODE_FORWARD(lode_i_nc_place(ctx, w, name, &group, &base, buffer));
    LODE_FORWARD(lode_i_nc_refused(ctx, w, w->nc->nc_def_var(group, base, type, t.ndim, dims, &var),
                                   "a text variable"));
    return lode_i_nc_put_attributes(ctx, w, group, var, variable, true, type);
}

lode_status lode_i_nc_define_dimensions(lode_ctx *ctx, lode_i_nc_writer *w)
{
    lode_json *v = NULL;
    int64_t size = 0;
    int id = 0;
    for (const char *name = NULL; (name = lode_i_json_next(w->dimensions, name, &v));)
        if (lode_i_json_as_i64(lode_i_json_get(v, "size"), &size) && size >= 0)
            LODE_FORWARD(lode_i_nc_dimension_for(ctx, w, name, name, size, &id));
    return LODE_OK;
}

static lode_status put_text(lode_ctx *ctx, lode_i_nc_writer *w, const texts *t)
{
    lode_status st = LODE_OK;
    int group = 0, var = 0;
    char buffer[NC_MAX_NAME + 1];
    const char *base = NULL, **list = NULL;
    char *bytes = NULL;
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 1 };
    if (t->count == 0 || t->each == 0)
        return LODE_OK;
    for (int k = 0; k < t->ndim; k++)
        many[k] = (size_t)t->shape[k];
    LODE_TRY(lode_i_nc_place(ctx, w, t->name, &group, &base, buffer));
    if (w->nc->nc_inq_varid(group, base, &var) != NC_NOERR)
        return LODE_OK; /* it has lost its axes */
    LODE_TRY(LODE_NEW(ctx, t->count, &list));
    LODE_TRY(lode_i_calloc(ctx, t->strings ? 1 : (size_t)(t->count * t->each), (void **)&bytes));
    for (int64_t i = 0; i < t->count; i++) {
        const char *row = lode_i_json_as_text(lode_i_json_at(t->rows, i));
        list[i] = row ? row : "";
        const size_t n = strlen(list[i]);
        if (!t->strings)
            memcpy(bytes + i * t->each, list[i], n < (size_t)t->each ? n : (size_t)t->each);
    }
    LODE_TRY(lode_i_nc_refused(
        ctx, w, w->nc->nc_put_vara(group, var, from, many, t->strings ? (const void *)list : bytes),
        "a text"));
done:
    lode_i_free(list);
    lode_i_free(bytes);
    return st;
}

lode_status lode_i_nc_put_texts(lode_ctx *ctx, lode_i_nc_writer *w, const lode_i_output *out)
{
    lode_json *v = NULL;
    texts t;
    for (const char *name = NULL; (name = lode_i_json_next(w->variables, name, &v));)
        if (texts_of(w, out, name, v, &t))
            LODE_FORWARD(put_text(ctx, w, &t));
    return LODE_OK;
}
#endif
