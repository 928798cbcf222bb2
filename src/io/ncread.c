/* Rectangles of NetCDF variables. A variable of version 4 may end before its dimensions do, where another
 * made them grow; what lies beyond is its fill value. */
#include "io/h5.h"
#include "io/nc.h"

#include <string.h>

#ifdef LODE_HAVE_NETCDF

lode_status lode_i_nc_hidden_name(lode_ctx *ctx, const char *name, lode_text *text)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    return lode_i_text_add(ctx, text, "%.*s_nc4_non_coord_%s", (int)(base - name), name, base);
}

static lode_status measure_one(lode_ctx *ctx, const lode_file *h5, const lode_i_member *m,
                               lode_i_nc_variable *v)
{
    const lode_i_member *to = NULL;
    LODE_FORWARD(lode_i_nc_member_of(ctx, h5, m->name, &to));
    if (!to || to->kind != LODE_ARRAY || to->ndim != m->ndim ||
        memcmp(to->shape, m->shape, (size_t)m->ndim * sizeof *m->shape) == 0)
        return LODE_OK;
    LODE_FORWARD(LODE_NEW(ctx, m->ndim, &v->written));
    for (int k = 0; k < m->ndim; k++)
        v->written[k] = lode_i_min(to->shape[k], m->shape[k]);
    return LODE_OK;
}

lode_status lode_i_nc_member_of(lode_ctx *ctx, const lode_file *h5, const char *name,
                                const lode_i_member **m)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    LODE_TRY(lode_i_nc_hidden_name(ctx, name, &text));
    *m = lode_i_member_find(h5, text.text);
    if (!*m)
        *m = lode_i_member_find(h5, name);
done:
    lode_i_text_free(&text);
    return st;
}

static bool grows(const lode_json *dimensions)
{
    lode_json *d = NULL;
    bool any = false;
    for (const char *name = NULL; !any && (name = lode_i_json_next(dimensions, name, &d));)
        lode_i_json_as_bool(lode_i_json_get(d, "unlimited"), &any);
    return any;
}

lode_status lode_i_nc_measure(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    lode_json *all = NULL;
    lode_file *h5 = NULL;
    const char *text = f->head.meta.attributes;
    LODE_TRY(lode_i_json_parse(ctx, text, strlen(text), &all));
    if (!grows(lode_i_json_get(all, "dimensions")))
        goto done;
    const lode_i_nc_state *s = f->state;
    LODE_TRY(lode_file_open(ctx, f->path, &(lode_read_opts){ .format = "hdf5" }, &h5));
    for (int64_t i = 0; i < f->count; i++)
        if (f->members[i].kind == LODE_ARRAY && !f->members[i].hidden)
            LODE_TRY(measure_one(ctx, h5, &f->members[i], &s->variables[f->members[i].id]));
done:
    lode_file_close(&h5);
    lode_i_json_free(all);
    return st;
}

static lode_status read_box(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                            const int64_t *start, const int64_t *count, void *dst)
{
    const lode_i_nc_state *s = f->state;
    const lode_i_nc_variable *v = &s->variables[m->id];
    size_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    for (int k = 0; k < m->ndim; k++)
        from[k] = (size_t)start[k], many[k] = (size_t)count[k];
    const bool real = m->dtype == LODE_F32 || m->dtype == LODE_F64;
    lode_i_library_lock();
    const int code = !real ? s->nc->nc_get_vara(v->group, v->var, from, many, dst)
                     : m->dtype == LODE_F32
                         ? s->nc->nc_get_vara_float(v->group, v->var, from, many, dst)
                         : s->nc->nc_get_vara_double(v->group, v->var, from, many, dst);
    lode_i_library_unlock();
    LODE_FORWARD(lode_i_nc_check(ctx, s->nc, code, f->path, "reading a variable"));
    return lode_i_infile_holds(ctx, f->in, lode_i_infile_size(f->in));
}

/* The fill value everywhere, as m->dtype. */
static lode_status put_fill(lode_ctx *ctx, const lode_file *f, const lode_i_member *m, int64_t n,
                            char *dst)
{
    lode_status st = LODE_OK;
    const lode_i_nc_state *s = f->state;
    const lode_i_nc_variable *v = &s->variables[m->id];
    const int64_t one = 1;
    const bool real = m->dtype == LODE_F32 || m->dtype == LODE_F64;
    double value[2] = { 0 }; /* room for any number */
    lode_array cast = { 0 };
    lode_i_library_lock();
    const int code = s->nc->nc_inq_var_fill(v->group, v->var, NULL, value);
    lode_i_library_unlock();
    LODE_TRY(lode_i_nc_check(ctx, s->nc, code, f->path, "at a fill value"));
    const lode_array given = lode_array_wrap(value, real ? v->stored : m->dtype, 1, &one);
    LODE_TRY(lode_array_cast(ctx, &given, m->dtype, &cast));
    const size_t size = lode_dtype_size(m->dtype);
    for (int64_t i = 0; i < n; i++)
        memcpy(dst + (size_t)i * size, cast.data, size);
done:
    lode_array_free(&cast);
    return st;
}

lode_status lode_i_nc_read(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                           const int64_t *start, const int64_t *count, void *dst)
{
    lode_status st = LODE_OK;
    const lode_i_nc_state *s = f->state;
    const int64_t *written = s->variables[m->id].written;
    int64_t inside[LODE_MAX_NDIM], at[LODE_MAX_NDIM] = { 0 }, n = 1, all = 1, row = 1;
    char *buffer = NULL;
    bool whole = true;
    for (int k = 0; k < m->ndim; k++) {
        inside[k] = written ? lode_i_max(0, lode_i_min(count[k], written[k] - start[k])) : count[k];
        whole = whole && inside[k] == count[k];
        n *= inside[k], all *= count[k];
    }
    if (whole)
        return read_box(ctx, f, m, start, count, dst);
    LODE_TRY(put_fill(ctx, f, m, all, dst));
    if (n == 0)
        goto done;
    const size_t size = lode_dtype_size(m->dtype);
    LODE_TRY(lode_i_new(ctx, n, size, (void **)&buffer));
    LODE_TRY(read_box(ctx, f, m, start, inside, buffer));
    row = inside[m->ndim - 1];
    for (int64_t i = 0; i < n; i += row) { /* runs along the last axis */
        int64_t to = 0;
        for (int k = 0; k < m->ndim; k++)
            to = to * count[k] + at[k];
        memcpy((char *)dst + (size_t)to * size, buffer + (size_t)i * size, (size_t)row * size);
        for (int k = m->ndim - 2; k >= 0 && ++at[k] == inside[k]; k--)
            at[k] = 0;
    }
done:
    lode_i_free(buffer);
    return st;
}
#endif
