/* NetCDF, classic and 4, through libnetcdf: every numeric variable is a member, read by rectangles.
 * Missing values of floating-point variables become NaN; scale_factor and add_offset are applied.
 * Names, dimensions, units and all other attributes are kept as JSON in the file's meta. */
#include "io/nc.h"

#include <math.h>
#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { GROUPS_MAX = 1000, DEPTH_MAX = 16, VARIABLES_MAX = 1 << 20 };

/* How one variable is read. */
typedef struct variable {
    int group, var;
    bool packed; /* value = factor * stored + offset */
    double factor, offset;
    int fills; /* values that mean missing; floating-point members only */
    double fill[3];
} variable;

typedef struct state {
    const lode_i_nc *nc;
    int root;
    bool open;
    int64_t count, capacity;
    variable *variables;
    int groups;
} state;

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 4 &&
           ((memcmp(head, "CDF", 3) == 0 && (head[3] == 1 || head[3] == 2 || head[3] == 5)) ||
            (size >= 8 && memcmp(head, "\211HDF\r\n\032\n", 8) == 0));
}

static bool type_of(nc_type type, bool is_unsigned, lode_dtype *dtype)
{
    switch (type) {
    case NC_BYTE: *dtype = is_unsigned ? LODE_U8 : LODE_I8; return true;
    case NC_SHORT: *dtype = is_unsigned ? LODE_U16 : LODE_I16; return true;
    case NC_INT: *dtype = is_unsigned ? LODE_U32 : LODE_I32; return true;
    case NC_INT64: *dtype = LODE_I64; return true;
    case NC_UBYTE: *dtype = LODE_U8; return true;
    case NC_USHORT: *dtype = LODE_U16; return true;
    case NC_UINT: *dtype = LODE_U32; return true;
    case NC_UINT64: *dtype = LODE_U64; return true;
    case NC_FLOAT: *dtype = LODE_F32; return true;
    case NC_DOUBLE: *dtype = LODE_F64; return true;
    default: return false;
    }
}

/* ---- attributes ---- */

/* One number of an attribute; false when it has none. */
static bool number(const state *s, int group, int var, const char *name, double *v, nc_type *type)
{
    size_t length = 0;
    return s->nc->nc_inq_att(group, var, name, type, &length) == NC_NOERR && length == 1 &&
           *type != NC_CHAR && *type <= NC_UINT64 &&
           s->nc->nc_get_att_double(group, var, name, v) == NC_NOERR;
}

static lode_status attribute(lode_ctx *ctx, const lode_file *f, int group, int var,
                             const char *name, lode_json **out)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    const lode_i_nc *nc = s->nc;
    nc_type type = NC_NAT;
    size_t length = 0;
    char *text = NULL;
    void *values = NULL;
    lode_json *list = NULL;
    *out = NULL;
    LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_inq_att(group, var, name, &type, &length), f->path,
                             "at an attribute"));
    LODE_REQUIRE(length <= lode_i_infile_size(f->in), LODE_EFORMAT,
                 "%s: attribute %s is longer than the file", f->path, name);
    if (type == NC_CHAR) {
        LODE_TRY(lode_i_calloc(ctx, length + 1, (void **)&text));
        LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_att_text(group, var, name, text), f->path,
                                 "at an attribute"));
        *out = lode_i_json_text(text);
    } else if (type == NC_STRING && length == 1) {
        char *string = NULL;
        LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_att_string(group, var, name, &string), f->path,
                                 "at an attribute"));
        *out = lode_i_json_text(string ? string : "");
        nc->nc_free_string(1, &string);
    } else if (type >= NC_BYTE && type <= NC_UINT64) {
        const bool whole = type != NC_FLOAT && type != NC_DOUBLE && type != NC_UINT64;
        LODE_TRY(lode_i_new(ctx, (int64_t)length, 8, &values));
        LODE_TRY(lode_i_nc_check(ctx, nc,
                                 whole ? nc->nc_get_att_longlong(group, var, name, values)
                                       : nc->nc_get_att_double(group, var, name, values),
                                 f->path, "at an attribute"));
        list = lode_i_json_array();
        for (size_t i = 0; i < length; i++) {
            lode_json *v = whole ? lode_i_json_i64(((const long long *)values)[i])
                                 : lode_i_json_f64(((const double *)values)[i]);
            if (length == 1)
                *out = v;
            else
                LODE_TRY(lode_i_json_push(ctx, list, v));
        }
        if (length != 1)
            *out = list, list = NULL;
    } /* other types have no place in JSON */
done:
    lode_i_json_free(list);
    lode_i_free(text);
    lode_i_free(values);
    return st;
}

static lode_status attributes(lode_ctx *ctx, const lode_file *f, int group, int var, int count,
                              lode_json **out)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    lode_json *o = lode_i_json_object();
    char name[NC_MAX_NAME + 1];
    for (int i = 0; i < count; i++) {
        lode_json *v = NULL;
        LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_attname(group, var, i, name), f->path,
                                 "at an attribute"));
        LODE_TRY(attribute(ctx, f, group, var, name, &v));
        if (v)
            LODE_TRY(lode_i_json_set(ctx, o, name, v));
    }
    *out = o;
    o = NULL;
done:
    lode_i_json_free(o);
    return st;
}

/* ---- variables ---- */

static bool is_text(const state *s, int group, int var, const char *name, const char *value)
{
    nc_type type = NC_NAT;
    size_t length = 0;
    char text[16] = "";
    return s->nc->nc_inq_att(group, var, name, &type, &length) == NC_NOERR && type == NC_CHAR &&
           length < sizeof text && s->nc->nc_get_att_text(group, var, name, text) == NC_NOERR &&
           strcmp(text, value) == 0;
}

/* Type after unpacking, and what means missing. */
static void settle(const state *s, variable *v, nc_type type, lode_dtype *dtype)
{
    nc_type scale_type = NC_NAT, offset_type = NC_NAT, fill_type = NC_NAT;
    const bool scaled = number(s, v->group, v->var, "scale_factor", &v->factor, &scale_type);
    const bool shifted = number(s, v->group, v->var, "add_offset", &v->offset, &offset_type);
    if (!scaled)
        v->factor = 1;
    if (!shifted)
        v->offset = 0;
    v->packed = scaled || shifted;
    if (v->packed) {
        /* CF conventions: the unpacked type is that of the attributes; 32 bits and more need f64.
         */
        const bool single = (!scaled || scale_type == NC_FLOAT) &&
                            (!shifted || offset_type == NC_FLOAT) &&
                            (type == NC_BYTE || type == NC_UBYTE || type == NC_SHORT ||
                             type == NC_USHORT || type == NC_FLOAT);
        *dtype = single ? LODE_F32 : LODE_F64;
    }
    if (lode_dtype_class(*dtype) != 'f')
        return;
    double fill = 0;
    if (number(s, v->group, v->var, "_FillValue", &fill, &fill_type))
        v->fill[v->fills++] = fill;
    else if (type == NC_FLOAT || type == NC_DOUBLE)
        v->fill[v->fills++] = type == NC_FLOAT ? (double)NC_FILL_FLOAT : NC_FILL_DOUBLE;
    if (number(s, v->group, v->var, "missing_value", &fill, &fill_type))
        v->fill[v->fills++] = fill;
}

static lode_status dimensions(lode_ctx *ctx, lode_file *f, int group, int ndim, const int *dims,
                              lode_i_member *m, lode_json **names)
{
    lode_status st = LODE_OK;
    const state *s = f->state;
    lode_json *list = lode_i_json_array();
    char name[NC_MAX_NAME + 1];
    for (int k = 0; k < ndim; k++) {
        size_t length = 0;
        LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_dim(group, dims[k], name, &length),
                                 f->path, "at a dimension"));
        LODE_REQUIRE(length <= INT64_MAX, LODE_EFORMAT, "%s: dimension %s has %zu values", f->path,
                     name, length);
        m->shape[k] = (int64_t)length;
        m->secondary = m->secondary || (ndim == 1 && strcmp(name, m->name) == 0);
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(name)));
    }
    *names = list;
    list = NULL;
done:
    lode_i_json_free(list);
    return st;
}

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

static lode_status add_variable(lode_ctx *ctx, lode_file *f, const char *prefix, int group, int var,
                                lode_json *list)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    char name[NC_MAX_NAME + 1];
    int ndim = 0, dims[NC_MAX_VAR_DIMS], natts = 0;
    nc_type type = NC_NAT;
    lode_i_member *m = NULL;
    lode_text full = { 0 };
    lode_json *one = lode_i_json_object(), *value = NULL, *given = NULL;

    LODE_TRY(lode_i_nc_check(ctx, s->nc,
                             s->nc->nc_inq_var(group, var, name, &type, &ndim, dims, &natts),
                             f->path, "at a variable"));
    LODE_TRY(lode_i_text_add(ctx, &full, "%s%s", prefix, name));
    LODE_TRY(lode_i_member_add(ctx, f, full.text, full.size, &m));
    m->id = s->count;
    if (s->count == s->capacity) {
        void *p = s->variables;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * s->capacity + 16) * sizeof *s->variables, &p));
        s->variables = p, s->capacity = 2 * s->capacity + 16;
    }
    variable *v = &s->variables[s->count++];
    *v = (variable){ .group = group, .var = var };
    if (!type_of(type, is_text(s, group, var, "_Unsigned", "true"), &m->dtype)) {
        m->hidden = true; /* text and records are no numbers */
        goto done;
    }
    if (ndim > LODE_MAX_NDIM) {
        LODE_TRY(lode_i_member_refuse(ctx, m, m->dtype,
                                      "variable %s has %d dimensions; at most %d are read",
                                      full.text, ndim, LODE_MAX_NDIM));
        goto done;
    }
    m->ndim = ndim;
    LODE_TRY(dimensions(ctx, f, group, ndim, dims, m, &value));
    given = value, value = NULL;
    LODE_TRY(lode_i_json_set(ctx, one, "dims", given));
    settle(s, v, type, &m->dtype);
    LODE_TRY(lode_i_shape_bytes(ctx, m->name, m->dtype, m->ndim, m->shape, &m->bytes));
    LODE_TRY(chunking(ctx, s, v, m));
    LODE_TRY(attributes(ctx, f, group, var, natts, &value));
    given = value, value = NULL;
    LODE_TRY(lode_i_json_set(ctx, one, "attributes", given));
    given = one, one = NULL;
    LODE_TRY(lode_i_json_set(ctx, list, full.text, given));
done:
    lode_i_json_free(one);
    lode_i_json_free(value);
    lode_i_text_free(&full);
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
    LODE_REQUIRE(depth < DEPTH_MAX && ++s->groups <= GROUPS_MAX, LODE_EFORMAT,
                 "%s: its groups nest too deeply or are too many", f->path);
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
        LODE_TRY(lode_i_text_add(ctx, &inner, "%s%s/", prefix, name));
        LODE_TRY(add_group(ctx, f, inner.text, ids[i], depth + 1, list));
    }
done:
    lode_i_text_free(&inner);
    lode_i_free(ids);
    return st;
}

static lode_status list_all(lode_ctx *ctx, lode_file *f)
{
    lode_status st = LODE_OK;
    state *s = f->state;
    int natts = 0;
    lode_json *root = lode_i_json_object(), *list = lode_i_json_object(), *given = NULL,
              *global = NULL;
    LODE_TRY(add_group(ctx, f, "", s->root, 0, list));
    given = list, list = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "variables", given));
    LODE_TRY(lode_i_nc_check(ctx, s->nc, s->nc->nc_inq_natts(s->root, &natts), f->path,
                             "counting attributes"));
    LODE_TRY(attributes(ctx, f, s->root, NC_GLOBAL, natts, &global));
    given = global, global = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "attributes", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_json_free(root);
    lode_i_json_free(list);
    lode_i_json_free(global);
    return st;
}

static lode_status open_netcdf(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    const lode_i_nc *nc = NULL;
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
    LODE_TRY(lode_i_calloc(ctx, sizeof(state), &f->state));
    state *s = f->state;
    s->nc = nc;
    lode_i_library_lock();
    const int code = nc->nc_open(f->path, NC_NOWRITE, &s->root);
    s->open = code == NC_NOERR;
    st = lode_i_nc_check(ctx, nc, code, f->path, "opening it");
    if (st >= 0)
        st = list_all(ctx, f);
    lode_i_library_unlock();
done:
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
    lode_i_free(s->variables);
    lode_i_free(s);
}

/* Missing to NaN and unpacking, in place. */
#define SETTLE(T)                                                                                  \
    for (int64_t i = 0; i < count; i++) {                                                          \
        T *const p = (T *)values + i;                                                              \
        bool missing = false;                                                                      \
        for (int k = 0; k < v->fills; k++)                                                         \
            missing = missing || *p == (T)v->fill[k];                                              \
        *p = missing ? (T)NAN : v->packed ? (T)((double)*p * v->factor + v->offset) : *p;          \
    }
static void settle_values(const variable *v, lode_dtype dtype, void *values, int64_t count)
{
    if (dtype == LODE_F32)
        SETTLE(float)
    else
        SETTLE(double)
}

static lode_status read_netcdf(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                               const int64_t *start, const int64_t *count, void *dst)
{
    const state *s = f->state;
    const variable *v = &s->variables[m->id];
    size_t from[LODE_MAX_NDIM], many[LODE_MAX_NDIM];
    int64_t values = 1;
    for (int k = 0; k < m->ndim; k++) {
        if (start[k] < 0 || count[k] < 0 || start[k] > m->shape[k] - count[k])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s: values %" PRId64 " to %" PRId64
                               " of axis %d do not lie in its %" PRId64,
                               m->name, start[k], start[k] + count[k] - 1, k, m->shape[k]);
        if (count[k] == 0)
            return LODE_OK;
        from[k] = (size_t)start[k], many[k] = (size_t)count[k];
        values *= count[k];
    }
    const bool real = m->dtype == LODE_F32 || m->dtype == LODE_F64;
    lode_i_library_lock();
    const int code = !real ? s->nc->nc_get_vara(v->group, v->var, from, many, dst)
                     : m->dtype == LODE_F32
                         ? s->nc->nc_get_vara_float(v->group, v->var, from, many, dst)
                         : s->nc->nc_get_vara_double(v->group, v->var, from, many, dst);
    lode_i_library_unlock();
    LODE_FORWARD(lode_i_nc_check(ctx, s->nc, code, f->path, "reading a variable"));
    if (real)
        settle_values(v, m->dtype, dst, values);
    return LODE_OK;
}

const lode_i_format lode_i_format_netcdf = {
    .name = "netcdf",
    .suffixes = ".nc .nc4 .cdf",
    .by_path = true,
    .sniff = sniff,
    .open = open_netcdf,
    .read = read_netcdf,
    .attributes = lode_i_attributes_of,
    .close = close_netcdf,
    .write = lode_i_nc_write,
};

#else

static lode_status absent(lode_ctx *ctx)
{
    return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                       "this build reads and writes no NetCDF: it was made without libnetcdf-dev");
}
static lode_status open_absent(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    (void)f, (void)o;
    return absent(ctx);
}
static lode_status write_absent(lode_ctx *ctx, const char *path, const lode_i_output *out,
                                bool force)
{
    (void)path, (void)out, (void)force;
    return absent(ctx);
}
const lode_i_format lode_i_format_netcdf = {
    .name = "netcdf",
    .suffixes = ".nc .nc4 .cdf",
    .by_path = true,
    .open = open_absent,
    .write = write_absent,
};

#endif
