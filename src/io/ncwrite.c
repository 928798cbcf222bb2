/* Writing NetCDF: version 4 for .nc and .nc4, classic for .cdf. Dimension names, attributes and
 * coordinates come from the JSON attributes that a NetCDF input left; else dimensions are dim_0,
 * dim_1... */
#include "io/nc.h"

#include <math.h>
#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { COORDINATES_MAX = 64 };

typedef struct dimension {
    const char *name;
    int64_t size;
    int id;
} dimension;

typedef struct writer {
    const lode_i_nc *nc;
    const char *path;
    int file, var; /* var: the variable being written */
    bool open, classic;
    int anonymous;
    int64_t dims, capacity;
    dimension *dim;
    const lode_json *variables, *coordinates;
} writer;

static lode_status check(lode_ctx *ctx, const writer *w, int code, const char *doing)
{
    const lode_status st = lode_i_nc_check(ctx, w->nc, code, w->path, doing);
    return st == LODE_EFORMAT ? lode_i_fail(ctx, LODE_EUSAGE, "%s: libnetcdf refused %s: %s",
                                            w->path, doing, w->nc->nc_strerror(code))
                              : st;
}

static nc_type type_for(lode_dtype dtype)
{
    switch (dtype) {
    case LODE_BOOL:
    case LODE_U8: return NC_UBYTE;
    case LODE_I8: return NC_BYTE;
    case LODE_I16: return NC_SHORT;
    case LODE_U16: return NC_USHORT;
    case LODE_I32: return NC_INT;
    case LODE_U32: return NC_UINT;
    case LODE_I64: return NC_INT64;
    case LODE_U64: return NC_UINT64;
    case LODE_F16:
    case LODE_BF16:
    case LODE_F32: return NC_FLOAT;
    case LODE_F64: return NC_DOUBLE;
    default: return NC_NAT;
    }
}

/* What the values are handed over as. */
static lode_dtype written_as(lode_dtype dtype)
{
    return dtype == LODE_F16 || dtype == LODE_BF16 ? LODE_F32
           : dtype == LODE_BOOL                    ? LODE_U8
                                                   : dtype;
}

/* The dimension of that name and size, made when new; a name that is taken by another size is not
 * used. */
static lode_status get_dimension(lode_ctx *ctx, writer *w, const char *name, int64_t size, int *id)
{
    char made[32];
    for (int64_t i = 0; name && i < w->dims; i++)
        if (strcmp(w->dim[i].name, name) == 0) {
            if (w->dim[i].size == size) {
                *id = w->dim[i].id;
                return LODE_OK;
            }
            name = NULL;
            break;
        }
    if (w->dims == w->capacity) {
        void *p = w->dim;
        LODE_FORWARD(lode_i_realloc(ctx, (size_t)(2 * w->capacity + 8) * sizeof *w->dim, &p));
        w->dim = p, w->capacity = 2 * w->capacity + 8;
    }
    snprintf(made, sizeof made, "dim_%d", name ? 0 : w->anonymous++);
    LODE_FORWARD(check(ctx, w, w->nc->nc_def_dim(w->file, name ? name : made, (size_t)size, id),
                       "a dimension"));
    w->dim[w->dims++] = (dimension){ name ? name : "", size, *id };
    return LODE_OK;
}

/* The description of a variable: under its own name, or the only one there is. */
static const lode_json *described(const writer *w, const char *name, int ndim)
{
    lode_json *only = NULL;
    const lode_json *v = lode_i_json_get(w->variables, name);
    if (!v && lode_i_json_count(w->variables) == 1) {
        lode_i_json_key(w->variables, 0, &only);
        v = only;
    }
    return lode_i_json_count(lode_i_json_get(v, "dims")) == ndim ? v : NULL;
}

/* Attributes that speak of how values were stored, not of what they are. */
static bool of_storage(const char *name)
{
    static const char *const names[] = { "_FillValue",  "missing_value", "scale_factor",
                                         "add_offset",  "valid_range",   "valid_min",
                                         "valid_max",   "_Unsigned",     "_NCProperties",
                                         "actual_range" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static lode_status put_attribute(lode_ctx *ctx, const writer *w, int var, const char *name,
                                 const lode_json *v)
{
    const char *text = lode_i_json_as_text(v);
    double values[64];
    const int64_t count = lode_i_json_count(v);
    int64_t n = 0;
    if (text)
        return check(ctx, w, w->nc->nc_put_att_text(w->file, var, name, strlen(text), text),
                     "an attribute");
    for (; n < (count < 0 ? 1 : count) && n < 64; n++)
        if (!lode_i_json_as_f64(count < 0 ? v : lode_i_json_at(v, n), &values[n]))
            return LODE_OK; /* lists of text have no classic form */
    return check(ctx, w, w->nc->nc_put_att_double(w->file, var, name, NC_DOUBLE, (size_t)n, values),
                 "an attribute");
}

static lode_status put_attributes(lode_ctx *ctx, const writer *w, int var, const lode_json *o)
{
    lode_json *v = NULL;
    for (const char *name = lode_i_json_next(o, NULL, &v); name;
         name = lode_i_json_next(o, name, &v)) {
        if (!of_storage(name))
            LODE_FORWARD(put_attribute(ctx, w, var, name, v));
    }
    return LODE_OK;
}

static lode_status define(lode_ctx *ctx, writer *w, const lode_i_tensor *t, int *var)
{
    int dims[LODE_MAX_NDIM];
    const lode_json *v = described(w, t->name, t->ndim), *names = lode_i_json_get(v, "dims");
    const lode_json *attributes = lode_i_json_get(v, "attributes");
    for (int k = 0; k < t->ndim; k++)
        LODE_FORWARD(get_dimension(ctx, w, lode_i_json_as_text(lode_i_json_at(names, k)),
                                   t->shape[k], &dims[k]));
    LODE_FORWARD(check(ctx, w,
                       w->nc->nc_def_var(w->file, t->name, type_for(t->dtype), t->ndim, dims, var),
                       "a variable"));
    if (lode_dtype_class(t->dtype) == 'f' && (lode_i_json_get(attributes, "_FillValue") ||
                                              lode_i_json_get(attributes, "missing_value"))) {
        const double nan = (double)NAN; /* missing was read as NaN */
        LODE_FORWARD(check(
            ctx, w,
            w->nc->nc_put_att_double(w->file, *var, "_FillValue", type_for(t->dtype), 1, &nan),
            "an attribute"));
    }
    return put_attributes(ctx, w, *var, attributes);
}

/* Coordinates that came along, for dimensions that are in use and have no variable yet. */
static lode_status define_coordinate(lode_ctx *ctx, writer *w, const lode_i_output *out, int64_t i,
                                     int *var)
{
    lode_json *c = NULL;
    const char *name = lode_i_json_key(w->coordinates, i, &c);
    *var = -1;
    for (int64_t k = 0; k < out->count; k++)
        if (strcmp(out->items[k].name, name) == 0)
            return LODE_OK;
    for (int64_t k = 0; k < w->dims; k++)
        if (strcmp(w->dim[k].name, name) == 0 &&
            w->dim[k].size == lode_i_json_count(lode_i_json_get(c, "values"))) {
            LODE_FORWARD(check(ctx, w,
                               w->nc->nc_def_var(w->file, name, NC_DOUBLE, 1, &w->dim[k].id, var),
                               "a coordinate"));
            return put_attributes(ctx, w, *var, lode_i_json_get(c, "attributes"));
        }
    return LODE_OK;
}

static lode_status put_coordinate(lode_ctx *ctx, writer *w, int64_t i, int var)
{
    lode_status st = LODE_OK;
    lode_json *c = NULL;
    double *values = NULL;
    lode_i_json_key(w->coordinates, i, &c);
    const lode_json *list = lode_i_json_get(c, "values");
    const size_t from = 0, many = (size_t)lode_i_json_count(list);
    LODE_TRY(LODE_NEW(ctx, (int64_t)many, &values));
    for (size_t k = 0; k < many; k++)
        if (!lode_i_json_as_f64(lode_i_json_at(list, (int64_t)k), &values[k]))
            values[k] = (double)NAN;
    if (many)
        LODE_TRY(
            check(ctx, w, w->nc->nc_put_vara(w->file, var, &from, &many, values), "a coordinate"));
done:
    lode_i_free(values);
    return st;
}

/* The lock is given back while a source is read: it may be a NetCDF file itself. */
static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    const writer *w = data;
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 0 };
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        from[k] = (size_t)start[k], many[k] = (size_t)count[k];
    lode_i_library_lock();
    const lode_status st = check(ctx, w, w->nc->nc_put_vara(w->file, w->var, from, many, values),
                                 "values");
    lode_i_library_unlock();
    return st;
}

static lode_status put_values(lode_ctx *ctx, writer *w, const lode_i_tensor *t, int var)
{
    const int64_t none[LODE_MAX_NDIM] = { 0 };
    w->var = var;
    if (t->value.kind == LODE_NONE)
        return put_box(ctx, w, none, none, t->small);
    return lode_i_emit_boxes(ctx, t->value, written_as(t->dtype), put_box, w);
}

static lode_status define_all(lode_ctx *ctx, writer *w, const lode_i_output *out,
                              const lode_i_tensors *t, const lode_json *attributes,
                              const char *path, int *vars, int64_t coordinates)
{
    bool wide = false;
    for (int64_t i = 0; i < t->count; i++) {
        const lode_dtype d = t->at[i].dtype;
        wide = wide || d == LODE_I64 || d == LODE_U64 || d == LODE_U32 || d == LODE_U16 ||
               d == LODE_U8 || d == LODE_BOOL;
    }
    /* Classic files of 64-bit offsets are read everywhere; whole numbers beyond i32 need the newer
     * kind. */
    const int kind = !w->classic ? NC_NETCDF4 : wide ? NC_64BIT_DATA : NC_64BIT_OFFSET;
    LODE_FORWARD(check(ctx, w, w->nc->nc_create(path, NC_CLOBBER | kind, &w->file), "the file"));
    w->open = true;
    LODE_FORWARD(put_attributes(ctx, w, NC_GLOBAL, lode_i_json_get(attributes, "attributes")));
    for (int64_t i = 0; i < t->count; i++)
        LODE_FORWARD(define(ctx, w, &t->at[i], &vars[i]));
    for (int64_t i = 0; i < coordinates; i++)
        LODE_FORWARD(define_coordinate(ctx, w, out, i, &vars[t->count + i]));
    LODE_FORWARD(check(ctx, w, w->nc->nc_enddef(w->file), "the header"));
    for (int64_t i = 0; i < coordinates; i++)
        if (vars[t->count + i] >= 0)
            LODE_FORWARD(put_coordinate(ctx, w, i, vars[t->count + i]));
    return LODE_OK;
}

lode_status lode_i_nc_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    writer w = { .path = path, .classic = lode_i_has_suffix(path, ".cdf") };
    lode_i_tensors t = { 0 };
    lode_outfile *file = NULL;
    lode_json *attributes = NULL;
    int *vars = NULL;

    LODE_TRY(lode_i_nc_library(ctx, &w.nc));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(out->count + 1) * sizeof *t.at, (void **)&t.at));
    for (int64_t i = 0; i < out->count; i++) {
        lode_i_output one = *out;
        one.count = 1, one.items = &out->items[i], one.only = NULL;
        LODE_TRY(lode_i_choose(ctx, &one, "NetCDF", &t.at[i]));
        LODE_REQUIRE(type_for(t.at[i].dtype) != NC_NAT, LODE_ETYPE,
                     "%s: NetCDF has no %s; write .npy or .lode, or real and imaginary parts apart",
                     t.at[i].name, lode_dtype_name(t.at[i].dtype));
        t.count++;
    }
    if (out->meta && out->meta->attributes)
        LODE_TRY(lode_i_json_parse(ctx, out->meta->attributes, strlen(out->meta->attributes),
                                   &attributes));
    w.variables = lode_i_json_get(attributes, "variables");
    w.coordinates = lode_i_json_get(attributes, "coordinates");
    const int64_t coordinates = lode_i_min(lode_i_max(lode_i_json_count(w.coordinates), 0),
                                           COORDINATES_MAX);
    LODE_TRY(LODE_NEW(ctx, t.count + coordinates + 1, &vars));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    lode_i_library_lock();
    st = define_all(ctx, &w, out, &t, attributes, lode_i_outfile_temporary(file), vars,
                    coordinates);
    lode_i_library_unlock();
    LODE_TRY(st);
    for (int64_t i = 0; i < t.count; i++)
        LODE_TRY(put_values(ctx, &w, &t.at[i], vars[i]));
    lode_i_library_lock();
    w.open = false;
    st = check(ctx, &w, w.nc->nc_close(w.file), "closing");
    lode_i_library_unlock();
    LODE_TRY(st);
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    if (w.open) {
        lode_i_library_lock();
        w.nc->nc_close(w.file);
        lode_i_library_unlock();
    }
    lode_i_outfile_abandon(&file);
    lode_i_json_free(attributes);
    lode_i_free(vars);
    lode_i_free(w.dim);
    lode_i_free(t.at); /* names are borrowed */
    return st;
}
#endif
