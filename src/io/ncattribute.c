/* Types, attributes and texts of NetCDF files on their way in. Called under the library lock. */
#include "io/nc.h"

#include <string.h>

#ifdef LODE_HAVE_NETCDF

enum { TEXT_MAX = 1 << 20, ROWS_MAX = 1 << 16 };

static const struct {
    nc_type type;
    lode_dtype dtype;
} types[] = { { NC_BYTE, LODE_I8 },   { NC_SHORT, LODE_I16 },  { NC_INT, LODE_I32 },
              { NC_INT64, LODE_I64 }, { NC_UBYTE, LODE_U8 },   { NC_USHORT, LODE_U16 },
              { NC_UINT, LODE_U32 },  { NC_UINT64, LODE_U64 }, { NC_FLOAT, LODE_F32 },
              { NC_DOUBLE, LODE_F64 } };
enum { TYPES = sizeof types / sizeof *types };

bool lode_i_nc_type_of(nc_type type, lode_dtype *dtype)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].type == type) {
            *dtype = types[i].dtype;
            return true;
        }
    *dtype = LODE_U8;
    return false;
}

const char *lode_i_nc_own_type(const lode_i_nc *nc, int group, nc_type type, nc_type *numbers)
{
    nc_type base = NC_NAT;
    int kind = 0;
    if (nc->nc_inq_user_type(group, type, NULL, NULL, &base, NULL, &kind) != NC_NOERR)
        return "values of an unknown type";
    switch (kind) {
    case NC_ENUM: *numbers = base; return "names of numbers";
    case NC_COMPOUND: return "records of several fields";
    case NC_VLEN: return "lists of varying length";
    case NC_OPAQUE: return "opaque bytes";
    default: return "values of an unknown type";
    }
}

nc_type lode_i_nc_type_for(lode_dtype dtype)
{
    const lode_dtype as = dtype == LODE_BOOL                        ? LODE_U8
                          : dtype == LODE_F16 || dtype == LODE_BF16 ? LODE_F32
                                                                    : dtype;
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == as)
            return types[i].type;
    return NC_NAT;
}

static lode_status text(lode_ctx *ctx, const lode_i_nc *nc, const char *path, int group, int var,
                        const char *name, size_t length, lode_i_attributes *out)
{
    lode_status st = LODE_OK;
    char *bytes = NULL;
    LODE_TRY(lode_i_calloc(ctx, length + 1, (void **)&bytes));
    LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_att_text(group, var, name, bytes), path,
                             "at an attribute"));
    LODE_TRY(lode_i_attributes_texts(ctx, out, name, 1, &bytes, false));
done:
    lode_i_free(bytes);
    return st;
}

static lode_status strings(lode_ctx *ctx, const lode_i_nc *nc, const char *path, int group, int var,
                           const char *name, size_t length, lode_i_attributes *out)
{
    lode_status st = LODE_OK;
    char **list = NULL;
    LODE_TRY(lode_i_calloc(ctx, (length + 1) * sizeof *list, (void **)&list));
    LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_att_string(group, var, name, list), path,
                             "at an attribute"));
    LODE_TRY(lode_i_attributes_texts(ctx, out, name, (int64_t)length, list, true));
done:
    if (list && length > 0)
        nc->nc_free_string(length, list);
    lode_i_free(list);
    return st;
}

static lode_status numbers(lode_ctx *ctx, const lode_i_nc *nc, const char *path, int group, int var,
                           const char *name, lode_dtype dtype, size_t length,
                           lode_i_attributes *out)
{
    lode_status st = LODE_OK;
    void *values = NULL;
    LODE_TRY(lode_i_new(ctx, (int64_t)length + 1, lode_dtype_size(dtype), &values));
    LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_att(group, var, name, values), path,
                             "at an attribute"));
    LODE_TRY(lode_i_attributes_numbers(ctx, out, name, dtype, (int64_t)length, values));
done:
    lode_i_free(values);
    return st;
}

lode_status lode_i_nc_attributes(lode_ctx *ctx, const lode_i_nc *nc, const char *path,
                                 uint64_t limit, int group, int var, int count,
                                 lode_i_attributes *out)
{
    char name[NC_MAX_NAME + 1];
    for (int i = 0; i < count; i++) {
        nc_type type = NC_NAT;
        lode_dtype dtype = LODE_F64;
        size_t length = 0;
        LODE_FORWARD(lode_i_nc_check(ctx, nc, nc->nc_inq_attname(group, var, i, name), path,
                                     "at an attribute"));
        LODE_FORWARD(lode_i_nc_check(ctx, nc, nc->nc_inq_att(group, var, name, &type, &length),
                                     path, "at an attribute"));
        if (length > limit)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: attribute %s is longer than the file", path,
                               name);
        if (type == NC_CHAR)
            LODE_FORWARD(text(ctx, nc, path, group, var, name, length, out));
        else if (type == NC_STRING)
            LODE_FORWARD(strings(ctx, nc, path, group, var, name, length, out));
        else if (lode_i_nc_type_of(type, &dtype))
            LODE_FORWARD(numbers(ctx, nc, path, group, var, name, dtype, length, out));
    } /* other types have no place in JSON */
    return LODE_OK;
}

/* Rows along the last axis, without the zeros that fill them. */
static lode_status char_rows(lode_ctx *ctx, const char *bytes, int64_t rows, int64_t each,
                             lode_json *list)
{
    lode_status st = LODE_OK;
    char *row = NULL;
    LODE_TRY(lode_i_calloc(ctx, (size_t)each + 1, (void **)&row));
    for (int64_t i = 0; i < rows; i++) {
        memcpy(row, bytes + i * each, (size_t)each);
        LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(row)));
    }
done:
    lode_i_free(row);
    return st;
}

lode_status lode_i_nc_texts(lode_ctx *ctx, const lode_i_nc *nc, const char *path, int group,
                            int var, nc_type type, int ndim, const int64_t *shape, lode_json **out)
{
    lode_status st = LODE_OK;
    int64_t count = 1, each = 1;
    size_t from[LODE_MAX_NDIM] = { 0 }, many[LODE_MAX_NDIM] = { 1 };
    void *values = NULL;
    lode_json *list = NULL;
    *out = NULL;
    for (int k = 0; k < ndim; k++) {
        if (!lode_i_mul(count, shape[k], &count))
            return LODE_OK;
        many[k] = (size_t)shape[k];
    }
    if (type == NC_CHAR && ndim > 0)
        each = shape[ndim - 1];
    if (count > (type == NC_CHAR ? TEXT_MAX : ROWS_MAX) || (each > 0 && count / each > ROWS_MAX))
        return LODE_OK;
    list = lode_i_json_array();
    if (count > 0) {
        const size_t size = type == NC_CHAR ? 1 : sizeof(char *);
        LODE_TRY(lode_i_calloc(ctx, (size_t)count * size, &values));
        LODE_TRY(lode_i_nc_check(ctx, nc, nc->nc_get_vara(group, var, from, many, values), path,
                                 "reading a text"));
        if (type == NC_CHAR)
            LODE_TRY(char_rows(ctx, values, count / each, each, list));
        for (int64_t i = 0; i < count && type == NC_STRING; i++) {
            const char *one = ((char **)values)[i];
            LODE_TRY(lode_i_json_push(ctx, list, lode_i_json_text(one ? one : "")));
        }
    }
    *out = list;
    list = NULL;
done:
    if (values && type == NC_STRING)
        nc->nc_free_string((size_t)count, values);
    lode_i_free(values);
    lode_i_json_free(list);
    return st;
}
#endif
