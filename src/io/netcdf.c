/* NetCDF, classic and 4, through libnetcdf: every numeric variable is a member, read by rectangles.
 * Missing values of floating-point variables become NaN; scale_factor and add_offset are applied.
 * Names, dimensions, units and all other attributes are kept as JSON in the file's meta. */
#include "io/h5.h"
#include "io/nc.h"

#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { GROUPS_MAX = 1000, DEPTH_MAX = 16, VARIABLES_MAX = 1 << 20 };

typedef lode_i_nc_variable variable;
typedef lode_i_nc_dim dimension;
typedef lode_i_nc_state state;

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 4 &&
           ((memcmp(head, "CDF", 3) == 0 && (head[3] == 1 || head[3] == 2 || head[3] == 5)) ||
            (size >= 8 && memcmp(head, "\211HDF\r\n\032\n", 8) == 0));
}

/* ---- dimensions ---- */

static const dimension *dimension_of(const state *s, int id)
{
    for (int64_t i = 0; i < s->dims; i++)
        if (s->dim[i].id == id)
            return &s->dim[i];
    return NULL;
}

static lode_status add_dimension(lode_ctx *ctx, lode_file *f, const char *prefix, int group, int id,
                                 bool unlimited)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    char name[NC_MAX_NAME + 1];
    size_t length = 0;
    lode_text path = { 0 };
    lode_json *o = NULL;
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_dim(group, id, name, &length), f->path,
                             "at a dimension"));
    LODE_REQUIRE(length <= INT64_MAX, LODE_EFORMAT, "%s: dimension %s has %zu values", f->path,
                 name, length);
    if (s->dims == s->dims_capacity) {
        void *p = s->dim;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * s->dims_capacity + 16) * sizeof *s->dim, &p));
        s->dim = p, s->dims_capacity = 2 * s->dims_capacity + 16;
    }
    LODE_TRY(lode_i_text_add(ctx, &path, "%s%s", prefix, name));
    o = lode_i_json_object();
    LODE_TRY(lode_i_json_set(ctx, o, "size", lode_i_json_i64((int64_t)length)));
    if (unlimited)
        LODE_TRY(lode_i_json_set(ctx, o, "unlimited", lode_i_json_bool(true)));
    lode_json *const given = o;
    o = NULL;
    LODE_TRY(lode_i_json_set(ctx, s->dimensions, path.text, given));
    s->dim[s->dims++] = (dimension){ id, path.text, (int64_t)length };
    path = (lode_text){ 0 };
done:
    lode_i_json_free(o);
    lode_i_text_free(&path);
    return st;
}

static lode_status add_dimensions(lode_ctx *ctx, lode_file *f, const char *prefix, int group)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    int count = 0, open = 0, *ids = NULL, *grows = NULL;
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_dimids(group, &count, NULL, 0), f->path,
                             "counting dimensions"));
    if (s->nc->nc_inq_unlimdims(group, &open, NULL) != NC_NOERR)
        open = -1; /* a classic file has one at most */
    LODE_TRY(LODE_NEW(ctx, count + 1, &ids));
    LODE_TRY(LODE_NEW(ctx, open + 2, &grows));
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_dimids(group, &count, ids, 0), f->path,
                             "listing dimensions"));
    if (open < 0)
        open = s->nc->nc_inq_unlimdim(group, grows) == NC_NOERR && grows[0] >= 0;
    else if (s->nc->nc_inq_unlimdims(group, &open, grows) != NC_NOERR)
        open = 0;
    for (int i = 0; i < count; i++) {
        bool unlimited = false;
        for (int k = 0; k < open; k++)
            unlimited = unlimited || grows[k] == ids[i];
        LODE_TRY(add_dimension(ctx, f, prefix, group, ids[i], unlimited));
    }
done:
    lode_i_free(ids);
    lode_i_free(grows);
    return st;
}

/* Shape of a variable and names of its axes; a coordinate has its own name. */
static lode_status dimensions(lode_ctx *ctx, lode_file *f, int ndim, const int *dims,
                              lode_i_member *m, lode_json **names)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    lode_json *list = lode_i_json_array();
    for (int k = 0; k < ndim; k++) {
        const dimension *d = dimension_of(s, dims[k]);
        LODE_REQUIRE(d, LODE_EFORMAT, "%s: variable %s has a dimension that does not exist",
                     f->path, m->name);
        m->shape[k] = d->size;
        m->secondary = m->secondary || (ndim == 1 && strcmp(d->path, m->name) == 0);
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(d->path)));
    }
    *names = list;
    list = NULL;
done:
    lode_i_json_free(list);
    return st;
}

/* ---- variables ---- */

static lode_status chunking(lode_ctx *ctx, const state *s, const variable *v, lode_i_member *m)
{
    size_t sizes[LODE_MAX_NDIM];
    int storage = NC_CONTIGUOUS;
    if (m->ndim == 0 || s->nc->nc_inq_var_chunking(v->group, v->var, &storage, sizes) != NC_NOERR ||
        storage != NC_CHUNKED)
        return LODE_OK;
    LODE_FORWARD(LODE_NEW(ctx, m->ndim, &m->chunk));
    for (int k = 0; k < m->ndim; k++)
        m->chunk[k] = sizes[k] > (size_t)m->shape[k] ? m->shape[k] : (int64_t)sizes[k];
    return LODE_OK;
}

static lode_status next_variable(lode_ctx *ctx, state *s, int group, int var, variable **v)
{
    if (s->count == s->capacity) {
        void *p = s->variables;
        LODE_FORWARD(
            lode_i_realloc(ctx, (size_t)(2 * s->capacity + 16) * sizeof *s->variables, &p));
        s->variables = p, s->capacity = 2 * s->capacity + 16;
    }
    *v = &s->variables[s->count++];
    **v = (variable){ .group = group, .var = var };
    return LODE_OK;
}

/* What the values are once they are unpacked, and how they were stored where that differs. */
static lode_status settle(lode_ctx *ctx, const lode_i_attributes *a, nc_type type, variable *v,
                          lode_i_member *m, lode_json *one)
{
    const lode_dtype stored = m->dtype;
    lode_i_packing *p = &v->packing;
    lode_i_packing_of(a, stored, p, &m->dtype);
    /* What was never written reads as the library's own fill value. */
    if ((m->dtype == LODE_F32 || m->dtype == LODE_F64) && (type == NC_FLOAT || type == NC_DOUBLE) &&
        !lode_i_json_get(a->values, "_FillValue"))
        p->fill[p->fills++] = type == NC_FLOAT ? (double)NC_FILL_FLOAT : NC_FILL_DOUBLE;
    return m->dtype == stored && !p->packed
               ? LODE_OK
               : lode_i_json_set(ctx, one, "stored", lode_i_json_text(lode_dtype_name(stored)));
}

/* Text is no array: it stays in the description. */
static lode_status keep_text(lode_ctx *ctx, lode_file *f, int group, int var, nc_type type,
                             lode_i_member *m, lode_json *one)
{
    const state *s = f->state;
    lode_json *list = NULL;
    const bool text = type == NC_CHAR || type == NC_STRING;
    if (text)
        LODE_FORWARD(
            lode_i_nc_texts(ctx, s->nc, f->path, group, var, type, m->ndim, m->shape, &list));
    if (!list)
        return lode_i_member_refuse(
            ctx, m, LODE_U8, "%s holds %s, and only numbers are read", m->name,
            text ? "much text" : lode_i_nc_own_type(s->nc, group, type, &(nc_type){ 0 }));
    m->hidden = true;
    f->aside++;
    LODE_FORWARD(lode_i_json_set(ctx, one, "text", list));
    return lode_i_json_set(ctx, one, "stored",
                           lode_i_json_text(type == NC_CHAR ? "char" : "string"));
}

static lode_status add_variable(lode_ctx *ctx, lode_file *f, const char *prefix, int group, int var,
                                lode_json *list)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    char name[NC_MAX_NAME + 1];
    int ndim = 0, dims[NC_MAX_VAR_DIMS], natts = 0;
    nc_type type = NC_NAT, plain = NC_NAT;
    lode_i_member *m = NULL;
    variable *v = NULL;
    lode_text full = { 0 };
    lode_i_attributes a = { 0 };
    lode_json *one = lode_i_json_object(), *value = NULL, *given = NULL;

    LODE_TRY(lode_i_nc_check(ctx, s->nc,
                             s->nc->nc_inq_var(group, var, name, &type, &ndim, dims, &natts),
                             f->path, "at a variable"));
    LODE_TRY(lode_i_text_add(ctx, &full, "%s%s", prefix, name));
    LODE_TRY(lode_i_member_add(ctx, f, full.text, full.size, &m));
    m->id = s->count;
    LODE_TRY(next_variable(ctx, s, group, var, &v));
    plain = type;
    if (type > NC_STRING)
        lode_i_nc_own_type(s->nc, group, type, &plain);
    const bool numbers = lode_i_nc_type_of(plain, &m->dtype);
    if (ndim > LODE_MAX_NDIM) {
        LODE_TRY(lode_i_member_refuse(ctx, m, m->dtype,
                                      "variable %s has %d dimensions; at most %d are read",
                                      full.text, ndim, LODE_MAX_NDIM));
        goto done;
    }
    m->ndim = ndim;
    LODE_TRY(dimensions(ctx, f, ndim, dims, m, &value));
    given = value, value = NULL;
    LODE_TRY(lode_i_json_set(ctx, one, "dims", given));
    LODE_TRY(lode_i_nc_attributes(ctx, s->nc, f->path, lode_i_infile_size(f->in), group, var, natts,
                                  &a));
    v->stored = m->dtype;
    if (numbers && plain == type)
        LODE_TRY(settle(ctx, &a, type, v, m, one));
    else if (!numbers)
        LODE_TRY(keep_text(ctx, f, group, var, type, m, one));
    LODE_TRY(lode_i_attributes_into(ctx, &a, one));
    if (numbers) {
        LODE_TRY(lode_i_shape_bytes(ctx, m->name, m->dtype, m->ndim, m->shape, &m->bytes));
        LODE_TRY(chunking(ctx, s, v, m));
    }
    if (numbers || lode_i_json_get(one, "text")) {
        given = one, one = NULL;
        LODE_TRY(lode_i_json_set(ctx, list, full.text, given));
    }
done:
    lode_i_attributes_free(&a);
    lode_i_json_free(one);
    lode_i_json_free(value);
    lode_i_text_free(&full);
    return st;
}

/* Attributes of a group into o, when there are any or it is the file itself. */
static lode_status group_attributes(lode_ctx *ctx, lode_file *f, int group, lode_json *o)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    lode_i_attributes a = { 0 };
    int natts = 0;
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_natts(group, &natts), f->path,
                             "counting attributes"));
    LODE_TRY(lode_i_nc_attributes(ctx, s->nc, f->path, lode_i_infile_size(f->in), group, NC_GLOBAL,
                                  natts, &a));
    LODE_TRY(lode_i_attributes_into(ctx, &a, o));
done:
    lode_i_attributes_free(&a);
    return st;
}

static lode_status add_group(lode_ctx *ctx, lode_file *f, const char *prefix, int group, int depth,
                             lode_json *list)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    int vars = 0, groups = 0, *ids = NULL;
    char name[NC_MAX_NAME + 1];
    lode_text inner = { 0 };
    lode_json *own = NULL;
    LODE_REQUIRE(depth < DEPTH_MAX && ++s->groups <= GROUPS_MAX, LODE_EFORMAT,
                 "%s: its groups nest too deeply or are too many", f->path);
    LODE_TRY(add_dimensions(ctx, f, prefix, group));
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_nvars(group, &vars), f->path,
                             "counting variables"));
    LODE_REQUIRE(s->count + vars <= VARIABLES_MAX, LODE_EFORMAT, "%s has more than %d variables",
                 f->path, VARIABLES_MAX);
    for (int i = 0; i < vars; i++)
        LODE_TRY(add_variable(ctx, f, prefix, group, i, list));
    if (s->nc->nc_inq_grps(group, &groups, NULL) != NC_NOERR || groups <= 0 || groups > GROUPS_MAX)
        goto done;
    LODE_TRY(LODE_NEW(ctx, groups, &ids));
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_grps(group, &groups, ids), f->path,
                             "listing groups"));
    for (int i = 0; i < groups; i++) {
        LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_grpname(ids[i], name), f->path,
                                 "at a group"));
        inner.size = 0;
        LODE_TRY(lode_i_text_add(ctx, &inner, "%s%s", prefix, name));
        own = lode_i_json_object();
        LODE_TRY(group_attributes(ctx, f, ids[i], own));
        lode_json *const given = own;
        own = NULL;
        LODE_TRY(lode_i_json_set(ctx, s->attributes, inner.text, given));
        LODE_TRY(lode_i_text_add(ctx, &inner, "/"));
        LODE_TRY(add_group(ctx, f, inner.text, ids[i], depth + 1, list));
    }
done:
    lode_i_json_free(own);
    lode_i_text_free(&inner);
    lode_i_free(ids);
    return st;
}

static lode_status list_all(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    lode_json *root = lode_i_json_object(), *list = lode_i_json_object(), *given = NULL;
    s->attributes = lode_i_json_object(), s->dimensions = lode_i_json_object();
    LODE_TRY(add_group(ctx, f, "", s->root, 0, list));
    given = list, list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "variables", given));
    LODE_TRY(group_attributes(ctx, f, s->root, root));
    if (lode_i_json_count(s->attributes) > 0) {
        given = s->attributes, s->attributes = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, "groups", given));
    }
    if (lode_i_json_count(s->dimensions) > 0) {
        given = s->dimensions, s->dimensions = NULL;
        LODE_TRY(lode_i_json_set(ctx, root, "dimensions", given));
    }
    LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_json_free(root);
    lode_i_json_free(list);
    return st;
}

static lode_status open_netcdf(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    const lode_i_nc *nc = NULL;
    lode_i_h5_handles *handles = NULL;
    unsigned char head[8] = { 0 };
    (void)o;
    LODE_REQUIRE(strcmp(f->path, "-") != 0, LODE_EUNSUPPORTED,
                 "NetCDF is not read from standard input; name a file");
    LODE_TRY(
        lode_i_infile_open(ctx, f->path, &f->in)); /* for its size, and the words of a failure */
    const size_t n = lode_i_infile_size(f->in) < sizeof head ? (size_t)lode_i_infile_size(f->in)
                                                             : sizeof head;
    LODE_TRY(lode_i_infile_read(ctx, f->in, 0, head, n));
    LODE_REQUIRE(sniff(head, n), LODE_EFORMAT, "%s does not begin as a NetCDF file", f->path);
    if (head[0] == 'C')
        LODE_TRY(lode_i_nc_check_classic(ctx, f->in, head[3]));
    LODE_TRY(lode_i_nc_library(ctx, &nc));
    if (head[0] != 'C')
        LODE_TRY(lode_i_h5_handles_new(ctx, &handles));
    LODE_TRY(lode_i_calloc(ctx, sizeof(state), &f->state));
    state *s = f->state;
    s->nc = nc;
    lode_i_library_lock();
    if (handles)
        lode_i_h5_handles_note(handles);
    const int code = nc->nc_open(f->path, NC_NOWRITE, &s->root);
    s->open = code == NC_NOERR;
    if (handles && !s->open)
        lode_i_h5_handles_close(handles, f->path);
    st = lode_i_nc_check(ctx, nc, code, f->path, "opening it");
    if (st >= 0)
        st = list_all(ctx, f);
    lode_i_library_unlock();
    if (st >= 0) /* the library takes what it finds cut off for absent, or for zeros */
        st = lode_i_infile_holds(ctx, f->in, lode_i_infile_size(f->in));
    if (st >= 0 && head[0] != 'C')
        st = lode_i_nc_measure(ctx, f);
done:
    lode_i_free(handles);
    return st;
}

static void close_netcdf(lode_file *f)
{
    state *s = f->state;
    if (!s)
        return;
    if (s->open) {
        lode_i_library_lock();
        s->nc->nc_close(s->root);
        lode_i_library_unlock();
    }
    for (int64_t i = 0; i < s->dims; i++)
        lode_i_free(s->dim[i].path);
    lode_i_free(s->dim);
    lode_i_json_free(s->attributes);
    lode_i_json_free(s->dimensions);
    for (int64_t i = 0; i < s->count; i++)
        lode_i_free(s->variables[i].written);
    lode_i_free(s->variables);
    lode_i_free(s);
}

static lode_status read_netcdf(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                               const int64_t *start, const int64_t *count, void *dst)
{
    const state *s = f->state;
    int64_t values = 1;
    for (int k = 0; k < m->ndim; k++)
        values *= count[k];
    if (values == 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_nc_read(ctx, f, m, start, count, dst));
    if (m->dtype == LODE_F32 || m->dtype == LODE_F64)
        lode_i_unpack(&s->variables[m->id].packing, m->dtype, dst, values);
    return LODE_OK;
}

#endif

const lode_i_format lode_i_format_netcdf = {
    .name = "netcdf",
    .suffixes = ".nc .nc4 .cdf",
    .many = true,
    .by_path = true,
#ifdef LODE_HAVE_NETCDF
    .mixed = true,
    .sniff = sniff,
    .open = open_netcdf,
    .read = read_netcdf,
    .close = close_netcdf,
    .frame = lode_i_nc_frame,
    .fill = lode_i_nc_fill,
    .write = lode_i_nc_write,
#else
    .absent = "NetCDF: it was made without libnetcdf-dev or libhdf5-dev",
#endif
};
