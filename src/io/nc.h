/* libnetcdf, loaded at run time when the first NetCDF file is opened, so that starting Lode does
 * not load it. Every call is made under the process's library lock: neither it nor HDF5 bears two
 * threads. */
#ifndef LODE_IO_NC_H
#define LODE_IO_NC_H

#include "io/io.h"

#ifdef LODE_HAVE_NETCDF
#include <netcdf.h>

/* One list: the table's fields, the symbols that are looked up and the check against netcdf.h. */
#define LODE_NC_FUNCTIONS(X)                                                                       \
    X(nc_open, (const char *, int, int *))                                                         \
    X(nc_create, (const char *, int, int *))                                                       \
    X(nc_close, (int))                                                                             \
    X(nc_enddef, (int))                                                                            \
    X(nc_inq_nvars, (int, int *))                                                                  \
    X(nc_inq_natts, (int, int *))                                                                  \
    X(nc_inq_grps, (int, int *, int *))                                                            \
    X(nc_inq_grpname, (int, char *))                                                               \
    X(nc_inq_dim, (int, int, char *, size_t *))                                                    \
    X(nc_inq_var, (int, int, char *, nc_type *, int *, int *, int *))                              \
    X(nc_inq_attname, (int, int, int, char *))                                                     \
    X(nc_inq_att, (int, int, const char *, nc_type *, size_t *))                                   \
    X(nc_get_att_text, (int, int, const char *, char *))                                           \
    X(nc_get_att_double, (int, int, const char *, double *))                                       \
    X(nc_get_att_longlong, (int, int, const char *, long long *))                                  \
    X(nc_get_att_string, (int, int, const char *, char **))                                        \
    X(nc_free_string, (size_t, char **))                                                           \
    X(nc_inq_var_chunking, (int, int, int *, size_t *))                                            \
    X(nc_get_vara, (int, int, const size_t *, const size_t *, void *))                             \
    X(nc_get_vara_float, (int, int, const size_t *, const size_t *, float *))                      \
    X(nc_get_vara_double, (int, int, const size_t *, const size_t *, double *))                    \
    X(nc_def_dim, (int, const char *, size_t, int *))                                              \
    X(nc_def_var, (int, const char *, nc_type, int, const int *, int *))                           \
    X(nc_put_att_text, (int, int, const char *, size_t, const char *))                             \
    X(nc_put_att_double, (int, int, const char *, nc_type, size_t, const double *))                \
    X(nc_put_vara, (int, int, const size_t *, const size_t *, const void *))

typedef struct lode_i_nc {
    const char *(*nc_strerror)(int);
#define LODE_NC_FIELD(name, args) int(*name) args;
    LODE_NC_FUNCTIONS(LODE_NC_FIELD)
#undef LODE_NC_FIELD
} lode_i_nc;

/** The loaded library, or LODE_EUNSUPPORTED with the package that brings it. */
lode_status lode_i_nc_library(lode_ctx *ctx, const lode_i_nc **nc);

/** LODE_EFORMAT or LODE_EIO with the library's own words when code is not 0. */
lode_status lode_i_nc_check(lode_ctx *ctx, const lode_i_nc *nc, int code, const char *path,
                            const char *doing);
lode_status lode_i_nc_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force);
#endif

#endif
