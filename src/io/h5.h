/* HDF5 files, as the formats that are made of them see them: objects listed as members, their
 * attributes as JSON, rectangles of values in and out. libhdf5 is loaded at run time when the first
 * such file is opened, and every call is made under the process's library lock. Only the
 * files src/io/h5*.c call it. */
#ifndef LODE_IO_H5_H
#define LODE_IO_H5_H

#include "io/io.h"

/* ---- reading ---- */

typedef struct lode_i_h5 lode_i_h5;
/** Opens f->path and adds a member for every dataset, named by its path without the leading slash:
 *  arrays, short text, or refused with the reason. Fills f->state; on failure too. */
lode_status lode_i_h5_open(lode_ctx *ctx, lode_file *f);
void lode_i_h5_close(lode_i_h5 *h);
/** What the walk found: {"variables": {path: {"dims", "attributes", "types"}}, "groups": {path:
 *  {"attributes", "types"}}, "attributes", "types"}; borrowed. */
lode_json *lode_i_h5_found(const lode_i_h5 *h);
/** Whether a member is a dimension scale, by the path that names its dimension; and whether it is
 *  nothing but the name of one. */
bool lode_i_h5_is_scale(const lode_i_h5 *h, const lode_i_member *m, bool *bare);
/** How a member's values are unpacked by lode_i_h5_read; m->dtype then is that of the values. */
lode_i_packing *lode_i_h5_packing(const lode_i_h5 *h, const lode_i_member *m);
/** Text of an attribute of the root; NULL: there is none. */
lode_status lode_i_h5_root_text(lode_ctx *ctx, lode_i_h5 *h, const char *name, char **text);
/** A rectangle of values as m->dtype, in the order of the file's axes; text: its m->bytes bytes. */
lode_status lode_i_h5_read(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                           const int64_t *start, const int64_t *count, void *dst);
/** The same as it is stored: not unpacked, in the type of number that the file has. */
lode_status lode_i_h5_read_stored(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                                  const int64_t *start, const int64_t *count, void *dst);
/** The type of the numbers that stand for a member. */
lode_dtype lode_i_h5_stored(const lode_i_h5 *h, const lode_i_member *m);

/* ---- frames (frame.h) ---- */

struct lode_i_frame;
struct lode_i_framed;
/** Cuts the values of a member out of the frame, where what they are read as, of that form, can be put
 *  back; framed->cut says so. */
lode_status lode_i_h5_cut(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                          const lode_i_form *form, struct lode_i_frame *frame,
                          struct lode_i_framed *framed);
/** The format's fill, for every file that is HDF5. */
lode_status lode_i_h5_fill(lode_ctx *ctx, const char *path, lode_outfile *file,
                           const struct lode_i_frame *frame, const lode_i_output *out, bool *fits);

/* ---- writing ---- */

typedef struct lode_i_h5_writer lode_i_h5_writer;
/** How complex values and truth are written. */
typedef enum lode_i_h5_style { LODE_I_H5_PYTHON, LODE_I_H5_MATLAB } lode_i_h5_style;
/** A new file that begins after `block` bytes of the user's (512 or 0). */
lode_status lode_i_h5_create(lode_ctx *ctx, const char *path, lode_outfile *file,
                             lode_i_h5_style style, size_t block, lode_i_h5_writer **w);
/** Goes on with the file that the output holds already: values of data sets that are there. */
lode_status lode_i_h5_append(lode_ctx *ctx, const char *path, lode_outfile *file,
                             lode_i_h5_writer **w);
/** Such a data set, which takes that shape where it can grow. *set -1: there is none of that name and
 *  so many axes. */
lode_status lode_i_h5_again(lode_ctx *ctx, lode_i_h5_writer *w, const char *name, lode_dtype dtype,
                            int ndim, const int64_t *shape, int64_t *set);
/** The bytes of a file that another part of the process has open in memory under that name. */
lode_status lode_i_h5_image(lode_ctx *ctx, const char *held, const char *path, lode_outfile *file);
/** Closes the file; a failure to write may show only here. */
lode_status lode_i_h5_finish(lode_ctx *ctx, lode_i_h5_writer *w);
void lode_i_h5_writer_free(lode_i_h5_writer *w); /* closes what is open; NULL is legal */
/** A dataset, made with the groups above it; later calls speak of it by its number. */
lode_status lode_i_h5_dataset(lode_ctx *ctx, lode_i_h5_writer *w, const char *name,
                              lode_dtype dtype, int ndim, const int64_t *shape, int64_t *set);
/** Text of `size` bytes as a scalar string. */
lode_status lode_i_h5_text(lode_ctx *ctx, lode_i_h5_writer *w, const char *name, const char *text,
                           size_t size);
lode_status lode_i_h5_group(lode_ctx *ctx, lode_i_h5_writer *w, const char *name);
lode_status lode_i_h5_put(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set, const int64_t *start,
                          const int64_t *count, const void *values);
/** An attribute of a dataset or group by its path, "" for the root. */
lode_status lode_i_h5_attribute(lode_ctx *ctx, lode_i_h5_writer *w, const char *path,
                                const char *name, const lode_i_attribute *a);
/** Makes a dataset the scale of a dimension of that name. */
lode_status lode_i_h5_scale(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set, const char *name);
/** The scale (-1: none) and name (NULL: none) of each axis of a dataset. */
lode_status lode_i_h5_dimensions(lode_ctx *ctx, lode_i_h5_writer *w, int64_t set,
                                 const int64_t *scales, const char *const *names);

/* ---- what the library has open ---- */

typedef struct lode_i_h5_handles lode_i_h5_handles;
/** Room for them, to be freed; not under the library lock, as those below are. */
lode_status lode_i_h5_handles_new(lode_ctx *ctx, lode_i_h5_handles **h);
void lode_i_h5_handles_note(lode_i_h5_handles *h);
/** Closes those of a file that were not there when they were noted. */
void lode_i_h5_handles_close(lode_i_h5_handles *h, const char *path);

/* ---- the file below the library ---- */

/** A file as libhdf5 reads it. */
typedef struct lode_i_h5_input {
    lode_infile *file;   /* borrowed */
    lode_ctx *ctx;       /* of the call that reads now */
    lode_status st;      /* of the first failure, whose sentence ctx has */
    uint64_t base;       /* where addresses count from */
    int address, length; /* bytes of each in the file: 8, as good as always */
} lode_i_h5_input;
/** A file as libhdf5 writes it. */
typedef struct lode_i_h5_output {
    lode_outfile *file; /* borrowed */
    lode_ctx *ctx;
    lode_status st; /* of the first failure, whose sentence ctx has; nothing is written after it */
} lode_i_h5_output;
/** Any block that the library asks for, at an absolute offset. */
lode_status lode_i_h5_check_block(lode_i_h5_input *in, uint64_t at, const void *bytes, size_t size);
/** A pointer to a list of varying length, of units of so many bytes. */
lode_status lode_i_h5_check_pointer(lode_i_h5_input *in, const unsigned char *p, uint64_t unit);
/** The attributes in the header of an object at an address. */
lode_status lode_i_h5_check_header(lode_i_h5_input *in, uint64_t address);

#ifdef LODE_HAVE_HDF5
#include <hdf5.h>

#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

#if H5_VERSION_GE(1, 12, 0)
#define LODE_H5_ITERATE H5Literate1
#define LODE_H5_LINK H5L_info1_t
#else
#define LODE_H5_ITERATE H5Literate
#define LODE_H5_LINK H5L_info_t
#endif

/* One list: the table's fields, the symbols that are looked up and the check against hdf5.h. The
 * macros of hdf5.h that look like constants are none: they call the library. */
#define LODE_H5_FUNCTIONS(X)                                                                       \
    X(herr_t, H5open, (void))                                                                      \
    X(herr_t, H5get_libversion, (unsigned *, unsigned *, unsigned *))                              \
    X(herr_t, H5Eget_auto2, (hid_t, H5E_auto2_t *, void **))                                       \
    X(herr_t, H5Eset_auto2, (hid_t, H5E_auto2_t, void *))                                          \
    X(herr_t, H5Eclear2, (hid_t))                                                                  \
    X(herr_t, H5Ewalk2, (hid_t, H5E_direction_t, H5E_walk2_t, void *))                             \
    X(hid_t, H5Fopen, (const char *, unsigned, hid_t))                                             \
    X(hid_t, H5Fcreate, (const char *, unsigned, hid_t, hid_t))                                    \
    X(herr_t, H5Fclose, (hid_t))                                                                   \
    X(herr_t, H5Fflush, (hid_t, H5F_scope_t))                                                      \
    X(ssize_t, H5Fget_obj_ids, (hid_t, unsigned, size_t, hid_t *))                                 \
    X(ssize_t, H5Fget_name, (hid_t, char *, size_t))                                               \
    X(ssize_t, H5Fget_file_image, (hid_t, void *, size_t))                                         \
    X(herr_t, H5Fget_vfd_handle, (hid_t, hid_t, void **))                                          \
    X(hid_t, H5Pcreate, (hid_t))                                                                   \
    X(herr_t, H5Pclose, (hid_t))                                                                   \
    X(herr_t, H5Pset_fclose_degree, (hid_t, H5F_close_degree_t))                                   \
    X(hid_t, H5FDregister, (const H5FD_class_t *))                                                 \
    X(herr_t, H5Pset_driver, (hid_t, hid_t, const void *))                                         \
    X(const void *, H5Pget_driver_info, (hid_t))                                                   \
    X(hid_t, H5Fget_create_plist, (hid_t))                                                         \
    X(herr_t, H5Pget_sizes, (hid_t, size_t *, size_t *))                                           \
    X(herr_t, H5Pget_userblock, (hid_t, hsize_t *))                                                \
    X(haddr_t, H5Dget_offset, (hid_t))                                                             \
    X(herr_t, H5Pset_libver_bounds, (hid_t, H5F_libver_t, H5F_libver_t))                           \
    X(herr_t, H5Pset_userblock, (hid_t, hsize_t))                                                  \
    X(herr_t, H5Pset_create_intermediate_group, (hid_t, unsigned))                                 \
    X(herr_t, H5Pset_link_creation_order, (hid_t, unsigned))                                       \
    X(herr_t, H5Pget_link_creation_order, (hid_t, unsigned *))                                     \
    X(herr_t, H5Pset_attr_creation_order, (hid_t, unsigned))                                       \
    X(herr_t, H5Pset_fill_time, (hid_t, H5D_fill_time_t))                                          \
    X(herr_t, H5Pset_obj_track_times, (hid_t, hbool_t))                                            \
    X(H5D_layout_t, H5Pget_layout, (hid_t))                                                        \
    X(int, H5Pget_chunk, (hid_t, int, hsize_t *))                                                  \
    X(int, H5Pget_external_count, (hid_t))                                                         \
    X(int, H5Pget_nfilters, (hid_t))                                                               \
    X(H5Z_filter_t, H5Pget_filter2,                                                                \
      (hid_t, unsigned, unsigned *, size_t *, unsigned *, size_t, char *, unsigned *))             \
    X(htri_t, H5Zfilter_avail, (H5Z_filter_t))                                                     \
    X(herr_t, H5Zget_filter_info, (H5Z_filter_t, unsigned *))                                      \
    X(herr_t, H5Pset_cache, (hid_t, int, size_t, size_t, double))                                  \
    X(hid_t, H5Gopen2, (hid_t, const char *, hid_t))                                               \
    X(hid_t, H5Gcreate2, (hid_t, const char *, hid_t, hid_t, hid_t))                               \
    X(hid_t, H5Gget_create_plist, (hid_t))                                                         \
    X(herr_t, H5Gget_objinfo, (hid_t, const char *, hbool_t, H5G_stat_t *))                        \
    X(herr_t, LODE_H5_ITERATE,                                                                     \
      (hid_t, H5_index_t, H5_iter_order_t, hsize_t *,                                              \
       herr_t(*)(hid_t, const char *, const LODE_H5_LINK *, void *), void *))                      \
    X(hid_t, H5Oopen, (hid_t, const char *, hid_t))                                                \
    X(int, H5Idec_ref, (hid_t))                                                                    \
    X(herr_t, H5Oclose, (hid_t))                                                                   \
    X(hid_t, H5Dopen2, (hid_t, const char *, hid_t))                                               \
    X(hid_t, H5Dcreate2, (hid_t, const char *, hid_t, hid_t, hid_t, hid_t, hid_t))                 \
    X(hid_t, H5Dget_space, (hid_t))                                                                \
    X(hid_t, H5Dget_type, (hid_t))                                                                 \
    X(hid_t, H5Dget_create_plist, (hid_t))                                                         \
    X(herr_t, H5Dread, (hid_t, hid_t, hid_t, hid_t, hid_t, void *))                                \
    X(herr_t, H5Dwrite, (hid_t, hid_t, hid_t, hid_t, hid_t, const void *))                         \
    X(hsize_t, H5Dget_storage_size, (hid_t))                                                       \
    X(herr_t, H5Dget_chunk_info_by_coord,                                                          \
      (hid_t, const hsize_t *, unsigned *, haddr_t *, hsize_t *))                                  \
    X(herr_t, H5Dset_extent, (hid_t, const hsize_t *))                                             \
    X(herr_t, H5Pset_elink_cb, (hid_t, H5L_elink_traverse_t, void *))                              \
    X(herr_t, H5Dvlen_reclaim, (hid_t, hid_t, hid_t, void *))                                      \
    X(herr_t, H5Dclose, (hid_t))                                                                   \
    X(hid_t, H5Screate, (H5S_class_t))                                                             \
    X(hid_t, H5Screate_simple, (int, const hsize_t *, const hsize_t *))                            \
    X(H5S_class_t, H5Sget_simple_extent_type, (hid_t))                                             \
    X(int, H5Sget_simple_extent_ndims, (hid_t))                                                    \
    X(int, H5Sget_simple_extent_dims, (hid_t, hsize_t *, hsize_t *))                               \
    X(hssize_t, H5Sget_simple_extent_npoints, (hid_t))                                             \
    X(herr_t, H5Sselect_hyperslab,                                                                 \
      (hid_t, H5S_seloper_t, const hsize_t *, const hsize_t *, const hsize_t *, const hsize_t *))  \
    X(herr_t, H5Sclose, (hid_t))                                                                   \
    X(hid_t, H5Tcopy, (hid_t))                                                                     \
    X(hid_t, H5Tcreate, (H5T_class_t, size_t))                                                     \
    X(hid_t, H5Tenum_create, (hid_t))                                                              \
    X(herr_t, H5Tenum_insert, (hid_t, const char *, const void *))                                 \
    X(hid_t, H5Tvlen_create, (hid_t))                                                              \
    X(herr_t, H5Tinsert, (hid_t, const char *, size_t, hid_t))                                     \
    X(herr_t, H5Tset_size, (hid_t, size_t))                                                        \
    X(herr_t, H5Tset_fields, (hid_t, size_t, size_t, size_t, size_t, size_t))                      \
    X(herr_t, H5Tset_ebias, (hid_t, size_t))                                                       \
    X(herr_t, H5Tset_cset, (hid_t, H5T_cset_t))                                                    \
    X(herr_t, H5Tset_strpad, (hid_t, H5T_str_t))                                                   \
    X(size_t, H5Tget_size, (hid_t))                                                                \
    X(H5T_class_t, H5Tget_class, (hid_t))                                                          \
    X(hid_t, H5Tget_native_type, (hid_t, H5T_direction_t))                                         \
    X(htri_t, H5Tequal, (hid_t, hid_t))                                                            \
    X(hid_t, H5Tget_super, (hid_t))                                                                \
    X(H5T_sign_t, H5Tget_sign, (hid_t))                                                            \
    X(herr_t, H5Tget_fields, (hid_t, size_t *, size_t *, size_t *, size_t *, size_t *))            \
    X(htri_t, H5Tis_variable_str, (hid_t))                                                         \
    X(int, H5Tget_nmembers, (hid_t))                                                               \
    X(char *, H5Tget_member_name, (hid_t, unsigned))                                               \
    X(hid_t, H5Tget_member_type, (hid_t, unsigned))                                                \
    X(herr_t, H5Tget_member_value, (hid_t, unsigned, void *))                                      \
    X(herr_t, H5Tclose, (hid_t))                                                                   \
    X(hid_t, H5Aopen, (hid_t, const char *, hid_t))                                                \
    X(hid_t, H5Acreate2, (hid_t, const char *, hid_t, hid_t, hid_t, hid_t))                        \
    X(hid_t, H5Aget_space, (hid_t))                                                                \
    X(hid_t, H5Aget_type, (hid_t))                                                                 \
    X(herr_t, H5Aread, (hid_t, hid_t, void *))                                                     \
    X(herr_t, H5Awrite, (hid_t, hid_t, const void *))                                              \
    X(herr_t, H5Aclose, (hid_t))                                                                   \
    X(herr_t, H5Aiterate2,                                                                         \
      (hid_t, H5_index_t, H5_iter_order_t, hsize_t *, H5A_operator2_t, void *))                    \
    X(herr_t, H5Rcreate, (void *, hid_t, const char *, H5R_type_t, hid_t))                         \
    X(herr_t, H5free_memory, (void *))
/* Types and property classes, which are variables of the library. */
#define LODE_H5_VALUES(X)                                                                          \
    X(H5P_CLS_FILE_ACCESS_ID_g)                                                                    \
    X(H5P_CLS_FILE_CREATE_ID_g)                                                                    \
    X(H5P_CLS_LINK_CREATE_ID_g)                                                                    \
    X(H5P_CLS_LINK_ACCESS_ID_g)                                                                    \
    X(H5P_CLS_GROUP_CREATE_ID_g)                                                                   \
    X(H5P_CLS_DATASET_CREATE_ID_g)                                                                 \
    X(H5T_NATIVE_INT8_g)                                                                           \
    X(H5T_NATIVE_UINT8_g)                                                                          \
    X(H5T_NATIVE_INT16_g)                                                                          \
    X(H5T_NATIVE_UINT16_g)                                                                         \
    X(H5T_NATIVE_INT32_g)                                                                          \
    X(H5T_NATIVE_UINT32_g)                                                                         \
    X(H5T_NATIVE_INT64_g)                                                                          \
    X(H5T_NATIVE_UINT64_g)                                                                         \
    X(H5T_NATIVE_B8_g)                                                                             \
    X(H5T_NATIVE_B16_g)                                                                            \
    X(H5T_NATIVE_B32_g)                                                                            \
    X(H5T_NATIVE_B64_g)                                                                            \
    X(H5T_NATIVE_FLOAT_g)                                                                          \
    X(H5T_NATIVE_DOUBLE_g)                                                                         \
    X(H5T_C_S1_g)                                                                                  \
    X(H5T_STD_REF_OBJ_g)

typedef struct lode_i_h5_library {
#define LODE_H5_FIELD(type, name, args) type(*name) args;
    LODE_H5_FUNCTIONS(LODE_H5_FIELD)
#undef LODE_H5_FIELD
#define LODE_H5_FIELD(name) hid_t *name;
    LODE_H5_VALUES(LODE_H5_FIELD)
#undef LODE_H5_FIELD
    hid_t driver, output_driver; /* of h5input.c and h5output.c */
    bool chunks_from_base;       /* it tells places of chunks without the bytes before the file */
    bool shared;                 /* the program around us is linked with it */
    struct lode_i_h5_input *reading; /* by the holder of the lock; NULL: nothing */
    H5E_auto2_t print;               /* of the process, while we hold the lock */
    void *print_data;
} lode_i_h5_library;

/** The loaded library, or LODE_EUNSUPPORTED with the package that brings it. */
lode_status lode_i_h5_library_get(lode_ctx *ctx, lode_i_h5_library **h);
lode_i_h5_library *lode_i_h5_library_held(void); /* once it is loaded */
hid_t lode_i_h5_driver(const lode_i_h5_library *l);
hid_t lode_i_h5_handles_find(lode_i_h5_handles *h, const char *name); /* the file; -1: none */
hid_t lode_i_h5_output_driver(const lode_i_h5_library *l);
/** How a file is opened whose bytes go to an output. Negative on failure. */
hid_t lode_i_h5_output_access(const lode_i_h5_library *l, lode_i_h5_output *output);
/** Around every use: one caller at a time, and nothing printed. */
void lode_i_h5_enter(lode_i_h5_library *h);
void lode_i_h5_leave(lode_i_h5_library *h);
/** The status and sentence of what the library just failed to do: those of our own reading below it,
 *  else its own innermost words. */
lode_status lode_i_h5_failed(lode_ctx *ctx, const lode_i_h5_library *h, const char *path,
                             const char *doing, bool writing);
/** Type of values of dtype in memory, to be closed; NULL names: {r, i}. Negative on failure. */
hid_t lode_i_h5_type(const lode_i_h5_library *h, lode_dtype dtype, const char *re, const char *im);
/** What a stored type of numbers is read as; re and im: names of the parts of a complex one; bits: it
 *  is a field of bits, which only converts to its like. False: no numbers. */
typedef struct lode_i_h5_number {
    lode_dtype dtype;
    bool bits;
    char re[8], im[8];
} lode_i_h5_number;
bool lode_i_h5_number_of(const lode_i_h5_library *h, hid_t type, lode_i_h5_number *number);
/** One dataset. */
typedef struct lode_i_h5_set {
    hid_t id; /* open once it is read; negative before */
    lode_i_h5_number number;
    bool scale, bare, text, variable;
    uint64_t address;
    uint64_t chunk; /* bytes of a chunk as stored; 0: not chunked */
    uint64_t *axes; /* addresses of the scales of its axes, or NULL */
    lode_i_packing packing;
} lode_i_h5_set;

/** A data set that is being written. */
typedef struct lode_i_h5_made {
    hid_t id;
    char *name;
    lode_dtype dtype;
    int ndim;
    bool scale;
    int64_t *scales; /* of its axes, or NULL */
} lode_i_h5_made;

struct lode_i_h5_writer {
    lode_i_h5_library *library;
    char *path;
    lode_i_h5_style style;
    hid_t file, links;
    lode_i_h5_output output;
    int64_t count, capacity;
    lode_i_h5_made *sets;
};
/** A writer without a file yet. */
lode_status lode_i_h5_writer_new(lode_ctx *ctx, const char *path, lode_outfile *file,
                                 lode_i_h5_style style, lode_i_h5_writer **w);
/** Notes a data set; its id follows. */
lode_status lode_i_h5_add_set(lode_ctx *ctx, lode_i_h5_writer *w, const char *name,
                              lode_i_h5_made **set);

struct lode_i_h5 {
    lode_i_h5_library *library;
    lode_i_h5_input input;
    hid_t file, follow; /* follow: how links are followed */
    int64_t count, capacity;
    lode_i_h5_set *sets;
    int groups;
    lode_json *found, *variables, *group; /* the last two lie in the first */
};
/** Around every use of the file: its input reads for this context, under the library lock. */
void lode_i_h5_begin(lode_ctx *ctx, lode_i_h5 *h);
void lode_i_h5_end(lode_i_h5 *h);
/** Opens the data set of a member; its id is then in its set. */
lode_status lode_i_h5_open_set(lode_ctx *ctx, lode_i_h5 *h, const lode_file *f,
                               const lode_i_member *m);
/** Whether values pass a filter, whose name or number is given, that cannot be undone here. */
bool lode_i_h5_lacks_filter(const lode_i_h5_library *l, hid_t list, char *name, size_t size);
/** Attributes of an object, without those that say how HDF5 keeps it (scale: it is a dimension
 *  scale). At most `limit` bytes each. */
lode_status lode_i_h5_attributes(lode_ctx *ctx, const lode_i_h5_library *h, hid_t object,
                                 const char *path, bool scale, uint64_t limit,
                                 lode_i_attributes *out);
/** A text attribute of at most size - 1 bytes; false when there is none. */
bool lode_i_h5_attribute_text(const lode_i_h5_library *h, hid_t object, const char *name,
                              char *text, size_t size);
/** The same of any length, a new text; NULL: there is none. */
lode_status lode_i_h5_attribute_copy(lode_ctx *ctx, const lode_i_h5_library *h, hid_t object,
                                     const char *name, char **text);
/** Labels of a dataset's axes as a list of texts; NULL: none. */
lode_status lode_i_h5_labels(lode_ctx *ctx, const lode_i_h5_library *h, hid_t dataset, int ndim,
                             lode_json **labels);
/** File addresses of the scales of a dataset's axes, 0 where there is none; false: no scales. */
bool lode_i_h5_scales(const lode_i_h5_library *h, hid_t dataset, int ndim, uint64_t *address);
#endif

#endif
