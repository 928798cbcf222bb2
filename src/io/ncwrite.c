/* Writing NetCDF: version 4 for .nc and .nc4, classic for .cdf. Dimension names, attributes and
 * coordinates come from the JSON attributes that a NetCDF input left; else dimensions are dim_0,
 * dim_1...
 *
 * libnetcdf crashes where a file of version 4 cannot be written. So it lays that file out in memory:
 * all but the values of arrays, which then go to the disk as those of any HDF5 file do (h5append.c). */
#include "io/h5.h"
#include "io/nc.h"

#include <math.h>
#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { COORDINATES_MAX = 64 };

/* The name of a file that never is: libnetcdf has it in memory, one at a time. */
#define IN_MEMORY ".lode-in-memory.nc4"

typedef struct writer {
    lode_i_nc_writer f;
    const lode_i_output *out;
    lode_i_form *form; /* of each array */
    struct place {
        int group, var;
        int64_t set; /* in version 4 */
    } * at;          /* of each array, then of each coordinate; var -1: none */
    lode_i_h5_writer *h5;
    int64_t current;
    int ndim;
} writer;

static lode_status define(lode_ctx *ctx, writer *w, const lode_i_tensor *t, int64_t i)
{
    int dims[LODE_MAX_NDIM];
    char buffer[NC_MAX_NAME + 1];
    const char *base = NULL;
    const lode_json *v = lode_i_described_variable(w->f.variables, t->name, t->ndim);
    const lode_json *names = lode_i_json_get(v, "dims"), *given = lode_i_json_get(v, "attributes");
    const lode_i_form *form = &w->form[i];
    const nc_type type = lode_i_nc_type_for(form->dtype);
    int *group = &w->at[i].group, *var = &w->at[i].var;
    for (int k = 0; k < t->ndim; k++)
        LODE_FORWARD(lode_i_nc_dimension_for(ctx, &w->f, t->name,
                                             lode_i_json_as_text(lode_i_json_at(names, k)),
                                             t->shape[k], &dims[k]));
    LODE_FORWARD(lode_i_nc_place(ctx, &w->f, t->name, group, &base, buffer));
    LODE_FORWARD(lode_i_nc_refused(
        ctx, &w->f, w->f.nc->nc_def_var(*group, base, type, t->ndim, dims, var), "a variable"));
    if (!form->described && lode_dtype_class(t->dtype) == 'f' &&
        (lode_i_json_get(given, "_FillValue") || lode_i_json_get(given, "missing_value"))) {
        const float single = NAN; /* missing was read as NaN */
        const double wide = (double)NAN;
        const void *nan = type == NC_FLOAT ? (const void *)&single : &wide;
        LODE_FORWARD(lode_i_nc_refused(
            ctx, &w->f, w->f.nc->nc_put_att(*group, *var, "_FillValue", type, 1, nan),
            "an attribute"));
    }
    return lode_i_nc_put_attributes(ctx, &w->f, *group, *var, v, form->described, type);
}

/* Coordinates that came along, for dimensions that are in use and have no variable yet. */
static lode_status define_coordinate(lode_ctx *ctx, writer *w, int64_t i, struct place *at)
{
    lode_json *c = NULL;
    char buffer[NC_MAX_NAME + 1];
    const char *name = lode_i_json_key(w->f.coordinates, i, &c), *base = NULL;
    lode_dtype dtype = LODE_F64;
    const char *word = lode_i_json_as_text(lode_i_json_get(c, "dtype"));
    at->var = -1;
    for (int64_t k = 0; k < w->out->count; k++)
        if (strcmp(w->out->items[k].name, name) == 0)
            return LODE_OK;
    if (word && (!lode_dtype_parse(word, &dtype) || lode_i_nc_type_for(dtype) == NC_NAT))
        dtype = LODE_F64;
    for (int64_t k = 0; k < w->f.dims; k++)
        if (strcmp(w->f.dim[k].name, name) == 0 &&
            w->f.dim[k].size == lode_i_json_count(lode_i_json_get(c, "values"))) {
            const nc_type type = lode_i_nc_type_for(dtype);
            LODE_FORWARD(lode_i_nc_place(ctx, &w->f, name, &at->group, &base, buffer));
            LODE_FORWARD(lode_i_nc_refused(
                ctx, &w->f,
                w->f.nc->nc_def_var(at->group, base, type, 1, &w->f.dim[k].id, &at->var),
                "a coordinate"));
            return lode_i_nc_put_attributes(ctx, &w->f, at->group, at->var, c, false, type);
        }
    return LODE_OK;
}

static lode_status put_coordinate(lode_ctx *ctx, writer *w, int64_t i, const struct place *at)
{
    lode_status st = LODE_OK;
    lode_json *c = NULL;
    lode_array wide = { 0 }, values = { 0 };
    lode_dtype dtype = LODE_F64;
    lode_i_json_key(w->f.coordinates, i, &c);
    const lode_json *list = lode_i_json_get(c, "values");
    const char *word = lode_i_json_as_text(lode_i_json_get(c, "dtype"));
    const size_t from = 0, many = (size_t)lode_i_json_count(list);
    if (word && (!lode_dtype_parse(word, &dtype) || lode_i_nc_type_for(dtype) == NC_NAT))
        dtype = LODE_F64;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, (int64_t)many, &wide));
    for (size_t k = 0; k < many; k++)
        if (!lode_i_json_as_f64(lode_i_json_at(list, (int64_t)k), (double *)wide.data + k))
            ((double *)wide.data)[k] = (double)NAN;
    LODE_TRY(lode_array_cast(ctx, &wide, dtype, &values));
    if (many)
        LODE_TRY(lode_i_nc_refused(
            ctx, &w->f, w->f.nc->nc_put_vara(at->group, at->var, &from, &many, values.data),
            "a coordinate"));
done:
    LODE_FREE(&wide, &values);
    return st;
}

/* The lock is given back while a source is read: it may be a NetCDF file itself. */
static lode_status put_box(lode_ctx *ctx, void *data, const int64_t *start, const int64_t *count,
                           const void *values)
{
    lode_status st = LODE_OK;
    const writer *w = data;
    const lode_i_form *form = &w->form[w->current];
    const struct place *at = &w->at[w->current];
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 0 };
    lode_array stored = { 0 };
    int64_t n = 1;
    for (int k = 0; k < w->ndim; k++)
        from[k] = (size_t)start[k], many[k] = (size_t)count[k], n *= count[k];
    if (form->packs)
        LODE_TRY(lode_i_pack(ctx, form, values, n, &stored));
    const void *const bytes = form->packs ? stored.data : values;
    if (w->h5) {
        st = lode_i_h5_put(ctx, w->h5, at->set, start, count, bytes);
        goto done;
    }
    lode_i_library_lock();
    st = lode_i_nc_refused(ctx, &w->f, w->f.nc->nc_put_vara(at->group, at->var, from, many, bytes),
                           "values");
    lode_i_library_unlock();
done:
    lode_array_free(&stored);
    return st;
}

static lode_status put_values(lode_ctx *ctx, writer *w, const lode_i_tensor *t, int64_t i)
{
    const int64_t none[LODE_MAX_NDIM] = { 0 };
    w->current = i, w->ndim = t->ndim;
    if (t->value.kind == LODE_NONE)
        return put_box(ctx, w, none, none, t->small);
    return lode_i_emit_boxes(ctx, t->value, w->form[i].values, put_box, w);
}

static lode_status define_groups(lode_ctx *ctx, writer *w, const lode_json *attributes)
{
    lode_json *v = NULL;
    const lode_json *groups = lode_i_json_get(attributes, "groups");
    lode_text path = { 0 };
    lode_status st = LODE_OK;
    for (const char *name = NULL; !w->f.classic && (name = lode_i_json_next(groups, name, &v));) {
        int group = 0;
        const char *base = NULL;
        path.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &path, "%s/", name)); /* the place of what lies in it */
        LODE_TRY(lode_i_nc_place(ctx, &w->f, path.text, &group, &base, NULL));
        LODE_TRY(lode_i_nc_put_attributes(ctx, &w->f, group, NC_GLOBAL, v, true, NC_NAT));
    }
    LODE_TRY(lode_i_nc_put_attributes(ctx, &w->f, w->f.file, NC_GLOBAL, attributes, true, NC_NAT));
done:
    lode_i_text_free(&path);
    return st;
}

/* Whether every array still has the axes that the file it came from declared. */
static bool declared_fit(const writer *w, const lode_i_tensors *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        const lode_i_tensor *a = &t->at[i];
        const lode_json *v = lode_i_described_variable(w->f.variables, a->name, a->ndim);
        const lode_json *names = lode_i_json_get(v, "dims");
        for (int k = 0; k < a->ndim; k++) {
            const char *name = lode_i_json_as_text(lode_i_json_at(names, k));
            const lode_json *d = name ? lode_i_json_get(w->f.dimensions, name) : NULL;
            int64_t size = a->shape[k];
            if (lode_i_json_as_i64(lode_i_json_get(d, "size"), &size) && size != a->shape[k])
                return false;
        }
    }
    return true;
}

/* Variables in the order of the description, arrays and texts, then arrays that it does not name. */
static lode_status define_variables(lode_ctx *ctx, writer *w, const lode_i_tensors *t)
{
    lode_json *v = NULL;
    const bool fit = declared_fit(w, t);
    for (int64_t i = 0; i < t->count; i++)
        w->at[i].var = -1;
    if (fit)
        LODE_FORWARD(lode_i_nc_define_dimensions(ctx, &w->f));
    for (const char *name = NULL; fit && (name = lode_i_json_next(w->f.variables, name, &v));) {
        LODE_FORWARD(lode_i_nc_define_text(ctx, &w->f, w->out, name, v));
        for (int64_t i = 0; i < t->count; i++)
            if (strcmp(t->at[i].name, name) == 0)
                LODE_FORWARD(define(ctx, w, &t->at[i], i));
    }
    for (int64_t i = 0; i < t->count; i++)
        if (w->at[i].var < 0)
            LODE_FORWARD(define(ctx, w, &t->at[i], i));
    return LODE_OK;
}

static lode_status define_all(lode_ctx *ctx, writer *w, const lode_i_tensors *t,
                              const lode_json *attributes, lode_outfile *file, int64_t coordinates)
{
    bool wide = false;
    for (int64_t i = 0; i < t->count; i++) {
        const lode_dtype d = w->form[i].dtype;
        wide = wide || d == LODE_I64 || d == LODE_U64 || d == LODE_U32 || d == LODE_U16 ||
               d == LODE_U8;
    }
    /* Classic files of 64-bit offsets are read everywhere; whole numbers beyond i32 need the newer
     * kind. */
    const int kind = !w->f.classic ? NC_NETCDF4 | NC_DISKLESS
                     : wide        ? NC_64BIT_DATA
                                   : NC_64BIT_OFFSET;
    const char *path = w->f.classic ? lode_i_outfile_temporary(file) : IN_MEMORY;
    LODE_FORWARD(lode_i_nc_refused(
        ctx, &w->f, w->f.nc->nc_create(path, NC_CLOBBER | kind, &w->f.file), "the file"));
    w->f.open = true;
    LODE_FORWARD(define_groups(ctx, w, attributes));
    LODE_FORWARD(define_variables(ctx, w, t));
    for (int64_t i = 0; i < coordinates; i++)
        LODE_FORWARD(define_coordinate(ctx, w, i, &w->at[t->count + i]));
    LODE_FORWARD(lode_i_nc_refused(ctx, &w->f, w->f.nc->nc_enddef(w->f.file), "the header"));
    for (int64_t i = 0; i < coordinates; i++)
        if (w->at[t->count + i].var >= 0)
            LODE_FORWARD(put_coordinate(ctx, w, i, &w->at[t->count + i]));
    return lode_i_nc_put_texts(ctx, &w->f, w->out);
}

static lode_status list_arrays(lode_ctx *ctx, writer *w, lode_i_tensors *t)
{
    for (int64_t i = 0; i < w->out->count; i++) {
        lode_i_output one = *w->out;
        lode_i_tensor *a = &t->at[t->count];
        one.count = 1, one.items = &w->out->items[i], one.only = NULL;
        LODE_FORWARD(lode_i_choose(ctx, &one, "NetCDF", a));
        if (lode_i_nc_type_for(a->dtype) == NC_NAT)
            return lode_i_fail(ctx, LODE_ETYPE,
                               "%s: NetCDF has no %s; write .npy, .h5 or .lode, or real and "
                               "imaginary parts apart",
                               a->name, lode_dtype_name(a->dtype));
        const lode_dtype own = a->dtype == LODE_F16 || a->dtype == LODE_BF16 ? LODE_F32
                               : a->dtype == LODE_BOOL                       ? LODE_U8
                                                                             : a->dtype;
        const lode_json *v = lode_i_described_variable(w->f.variables, a->name, a->ndim);
        LODE_FORWARD(lode_i_form_again(ctx, v, a, own, &w->form[t->count]));
        t->count++;
    }
    return LODE_OK;
}

static lode_status close_file(lode_ctx *ctx, writer *w, lode_status st)
{
    w->f.open = false;
    lode_i_library_lock();
    const int code = w->f.nc->nc_close(w->f.file);
    lode_i_library_unlock();
    return st < 0 ? st : lode_i_nc_refused(ctx, &w->f, code, "closing");
}

/* ---- version 4: from memory to the disk ---- */

static lode_status find_set(lode_ctx *ctx, writer *w, const lode_i_tensor *t, int64_t i)
{
    lode_status st = LODE_OK;
    lode_text name = { 0 };
    const lode_dtype dtype = w->form[i].dtype;
    int64_t *set = &w->at[i].set;
    LODE_TRY(lode_i_nc_hidden_name(ctx, t->name, &name));
    LODE_TRY(lode_i_h5_again(ctx, w->h5, name.text, dtype, t->ndim, t->shape, set));
    if (*set < 0)
        LODE_TRY(lode_i_h5_again(ctx, w->h5, t->name, dtype, t->ndim, t->shape, set));
    LODE_REQUIRE(*set >= 0, LODE_EINTERNAL, "%s: libnetcdf made no variable %s", w->f.path,
                 t->name);
done:
    lode_i_text_free(&name);
    return st;
}

static lode_status go_to_disk(lode_ctx *ctx, writer *w, const lode_i_tensors *t, lode_outfile *file)
{
    lode_status st = LODE_OK;
    lode_i_library_lock();
    st = lode_i_nc_refused(ctx, &w->f, w->f.nc->nc_sync(w->f.file), "the header");
    lode_i_library_unlock();
    if (st >= 0)
        st = lode_i_h5_image(ctx, IN_MEMORY, w->f.path, file);
    LODE_FORWARD(close_file(ctx, w, st));
    LODE_FORWARD(lode_i_h5_append(ctx, w->f.path, file, &w->h5));
    for (int64_t i = 0; i < t->count; i++)
        LODE_FORWARD(find_set(ctx, w, &t->at[i], i));
    for (int64_t i = 0; i < w->f.dims; i++) { /* scales of dimensions that can grow */
        int64_t set = -1;
        LODE_FORWARD(
            lode_i_h5_again(ctx, w->h5, w->f.dim[i].name, LODE_F64, 1, &w->f.dim[i].size, &set));
    }
    return LODE_OK;
}

lode_status lode_i_nc_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force)
{
    lode_status st = LODE_OK;
    writer w = { .f = { .path = path, .classic = lode_i_has_suffix(path, ".cdf") }, .out = out };
    lode_i_tensors t = { 0 };
    lode_outfile *file = NULL;
    lode_json *attributes = NULL;

    LODE_TRY(lode_i_nc_library(ctx, &w.f.nc));
    LODE_TRY(lode_i_calloc(ctx, (size_t)(out->count + 1) * sizeof *t.at, (void **)&t.at));
    LODE_TRY(LODE_NEW(ctx, out->count + 1, &w.form));
    if (out->meta && out->meta->attributes && !out->meta->op[0]) /* else of what it stands for */
        LODE_TRY(lode_i_json_parse(ctx, out->meta->attributes, strlen(out->meta->attributes),
                                   &attributes));
    w.f.variables = lode_i_json_get(attributes, "variables");
    w.f.coordinates = lode_i_json_get(attributes, "coordinates");
    w.f.dimensions = lode_i_json_get(attributes, "dimensions");
    LODE_TRY(list_arrays(ctx, &w, &t));
    const int64_t coordinates = lode_i_min(lode_i_max(lode_i_json_count(w.f.coordinates), 0),
                                           COORDINATES_MAX);
    LODE_TRY(LODE_NEW(ctx, t.count + coordinates + 1, &w.at));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    lode_i_library_lock();
    st = define_all(ctx, &w, &t, attributes, file, coordinates);
    lode_i_library_unlock();
    LODE_TRY(st);
    if (!w.f.classic)
        LODE_TRY(go_to_disk(ctx, &w, &t, file));
    for (int64_t i = 0; i < t.count; i++)
        LODE_TRY(put_values(ctx, &w, &t.at[i], i));
    LODE_TRY(w.h5 ? lode_i_h5_finish(ctx, w.h5) : close_file(ctx, &w, LODE_OK));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    if (w.f.open)
        st = close_file(ctx, &w, st);
    lode_i_h5_writer_free(w.h5);
    lode_i_outfile_abandon(&file);
    lode_i_json_free(attributes);
    lode_i_nc_writer_clear(&w.f);
    lode_i_free(w.at);
    lode_i_free(w.form);
    lode_i_free(t.at); /* names are borrowed */
    return st;
}
#endif
