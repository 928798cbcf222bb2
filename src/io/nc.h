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
    X(nc_sync, (int))                                                                              \
    X(nc_close, (int))                                                                             \
    X(nc_enddef, (int))                                                                            \
    X(nc_inq_nvars, (int, int *))                                                                  \
    X(nc_inq_natts, (int, int *))                                                                  \
    X(nc_inq_grps, (int, int *, int *))                                                            \
    X(nc_inq_grpname, (int, char *))                                                               \
    X(nc_inq_dim, (int, int, char *, size_t *))                                                    \
    X(nc_inq_dimids, (int, int *, int *, int))                                                     \
    X(nc_inq_unlimdims, (int, int *, int *))                                                       \
    X(nc_inq_unlimdim, (int, int *))                                                               \
    X(nc_inq_varid, (int, const char *, int *))                                                    \
    X(nc_inq_var, (int, int, char *, nc_type *, int *, int *, int *))                              \
    X(nc_inq_attname, (int, int, int, char *))                                                     \
    X(nc_inq_user_type, (int, nc_type, char *, size_t *, nc_type *, size_t *, int *))              \
    X(nc_inq_att, (int, int, const char *, nc_type *, size_t *))                                   \
    X(nc_get_att_text, (int, int, const char *, char *))                                           \
    X(nc_get_att, (int, int, const char *, void *))                                                \
    X(nc_get_att_string, (int, int, const char *, char **))                                        \
    X(nc_free_string, (size_t, char **))                                                           \
    X(nc_inq_var_fill, (int, int, int *, void *))                                                  \
    X(nc_inq_var_chunking, (int, int, int *, size_t *))                                            \
    X(nc_get_vara, (int, int, const size_t *, const size_t *, void *))                             \
    X(nc_get_vara_float, (int, int, const size_t *, const size_t *, float *))                      \
    X(nc_get_vara_double, (int, int, const size_t *, const size_t *, double *))                    \
    X(nc_def_grp, (int, const char *, int *))                                                      \
    X(nc_def_dim, (int, const char *, size_t, int *))                                              \
    X(nc_def_var, (int, const char *, nc_type, int, const int *, int *))                           \
    X(nc_put_att_text, (int, int, const char *, size_t, const char *))                             \
    X(nc_put_att, (int, int, const char *, nc_type, size_t, const void *))                         \
    X(nc_put_att_string, (int, int, const char *, size_t, const char **))                          \
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
/** NC_NAT for what NetCDF lacks; and back, false for text and records. */
nc_type lode_i_nc_type_for(lode_dtype dtype);
bool lode_i_nc_type_of(nc_type type, lode_dtype *dtype);
/** What a type of the file's own is in words; an enumeration gives the type of its numbers. */
const char *lode_i_nc_own_type(const lode_i_nc *nc, int group, nc_type type, nc_type *numbers);

/* ---- reading ---- */

/** How one variable is read. */
typedef struct lode_i_nc_variable {
    int group, var;
    lode_dtype stored;
    lode_i_packing packing;
    int64_t *written; /* sizes that the file has, where a dimension grew beyond them; else NULL */
} lode_i_nc_variable;

/** A dimension, by its number in the file. */
typedef struct lode_i_nc_dim {
    int id;
    char *path;
    int64_t size;
} lode_i_nc_dim;

/** State of an open file. */
typedef struct lode_i_nc_state {
    const lode_i_nc *nc;
    int root;
    bool open;
    int64_t count, capacity;
    lode_i_nc_variable *variables;
    int groups;
    int64_t dims, dims_capacity;
    lode_i_nc_dim *dim;
    lode_json *attributes; /* of groups */
    lode_json *dimensions;
} lode_i_nc_state;

/** Notes the variables of a version 4 file that are shorter than their dimensions: libnetcdf gives what it
 *  finds in memory where a read goes beyond their end. */
lode_status lode_i_nc_measure(lode_ctx *ctx, lode_file *f);
/** The member of the same file opened as HDF5 that a variable is; NULL: none. */
lode_status lode_i_nc_member_of(lode_ctx *ctx, const lode_file *h5, const char *name,
                                const lode_i_member **m);
/** The name in HDF5 of a variable that shares its own with a dimension which it does not describe. */
lode_status lode_i_nc_hidden_name(lode_ctx *ctx, const char *name, lode_text *text);
/** Values as m->dtype, not unpacked. */
lode_status lode_i_nc_read(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                           const int64_t *start, const int64_t *count, void *dst);
/** All attributes of a variable or group (NC_GLOBAL); what JSON cannot hold is left out. limit: bytes
 *  of the file. */
lode_status lode_i_nc_attributes(lode_ctx *ctx, const lode_i_nc *nc, const char *path,
                                 uint64_t limit, int group, int var, int count,
                                 lode_i_attributes *out);
/** Values of a text variable as a list of rows; *list stays NULL when they are too many. */
lode_status lode_i_nc_texts(lode_ctx *ctx, const lode_i_nc *nc, const char *path, int group,
                            int var, nc_type type, int ndim, const int64_t *shape,
                            lode_json **list);

/* ---- writing ---- */

typedef struct lode_i_nc_dimension {
    const char *name; /* path of it; "" for one without a name */
    int64_t size;
    int id;
} lode_i_nc_dimension;
typedef struct lode_i_nc_group {
    char *path;
    int id;
} lode_i_nc_group;
/** A file that is being written. */
typedef struct lode_i_nc_writer {
    const lode_i_nc *nc;
    const char *path;
    int file;
    bool open, classic;
    int anonymous;
    int64_t dims, dims_capacity, groups, groups_capacity;
    lode_i_nc_dimension *dim;
    lode_i_nc_group *group;
    const lode_json *variables, *coordinates, *dimensions;
} lode_i_nc_writer;

/** LODE_EUSAGE or LODE_EIO with the library's words. */
lode_status lode_i_nc_refused(lode_ctx *ctx, const lode_i_nc_writer *w, int code,
                              const char *doing);
/** The group of a path and the name in it; classic files have one group, and names without
 *  slashes, for which buffer is used. */
lode_status lode_i_nc_place(lode_ctx *ctx, lode_i_nc_writer *w, const char *path, int *group,
                            const char **name, char buffer[NC_MAX_NAME + 1]);
/** The dimension of that name and size for a variable, made when new; a name that is taken by
 *  another size is not used. */
lode_status lode_i_nc_dimension_for(lode_ctx *ctx, lode_i_nc_writer *w, const char *variable,
                                    const char *name, int64_t size, int *id);
/** Attributes of a description; without those of packing where packing is false. type: of the
 *  variable, which its _FillValue must have. */
lode_status lode_i_nc_put_attributes(lode_ctx *ctx, const lode_i_nc_writer *w, int group, int var,
                                     const lode_json *o, bool packing, nc_type type);
/** Every dimension of the description, in its order. */
lode_status lode_i_nc_define_dimensions(lode_ctx *ctx, lode_i_nc_writer *w);
/** A text variable of the description, which no array stands for; nothing when it is none. */
lode_status lode_i_nc_define_text(lode_ctx *ctx, lode_i_nc_writer *w, const lode_i_output *out,
                                  const char *name, const lode_json *variable);
lode_status lode_i_nc_put_texts(lode_ctx *ctx, lode_i_nc_writer *w, const lode_i_output *out);
void lode_i_nc_writer_clear(lode_i_nc_writer *w);

/** The format's frame and fill (frame.h). */
lode_status lode_i_nc_frame(lode_ctx *ctx, lode_file *f, struct lode_i_frame *frame, bool *has);
lode_status lode_i_nc_fill(lode_ctx *ctx, const char *path, lode_outfile *file,
                           const struct lode_i_frame *frame, const lode_i_output *out, bool *fits);
lode_status lode_i_nc_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force);
#endif

#endif
