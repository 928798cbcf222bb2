/* Files: one open, read and write interface over every format. */
#ifndef LODE_IO_H
#define LODE_IO_H

#include "lode/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open file: its members by name, read lazily. */
typedef struct lode_file lode_file;

/** Reading by suffix, or as `format` names it. Raw files need dtype and shape; their dtype may name
 *  the other byte order and bytes to skip: "f32be@512". */
typedef struct lode_read_opts {
    const char *format; /* NULL: by suffix, then by content */
    const char *dtype;  /* raw only */
    int32_t ndim;       /* raw only */
    int64_t shape[LODE_MAX_NDIM];
} lode_read_opts;
LODE_API lode_status lode_file_open(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                                    lode_file **file);
LODE_API void lode_file_close(lode_file **file);
LODE_API const char *lode_file_format(const lode_file *file);
LODE_API int64_t lode_file_count(const lode_file *file);
LODE_API const char *lode_file_name(const lode_file *file, int64_t i);
/** Kind, type and shape without reading; any pointer may be NULL. */
LODE_API lode_status lode_file_info(lode_ctx *ctx, const lode_file *file, int64_t i,
                                    lode_kind *kind, lode_dtype *dtype, int *ndim, int64_t *shape);
/** A lazily read source of a dense member; keeps the file open by itself. */
LODE_API lode_status lode_file_source(lode_ctx *ctx, lode_file *file, int64_t i, lode_source *out);
/** Meta and certificate of a .lode (or npz/dir with lode.json); LODE_OK with an empty op for plain
 *  files. */
LODE_API lode_status lode_file_meta(lode_ctx *ctx, const lode_file *file, lode_bundle *into);
/** The whole file as a bundle in memory. */
LODE_API lode_status lode_read(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                               lode_bundle *out);
/** The same with dense members as sources, read when asked; they keep the file open. */
LODE_API lode_status lode_open(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                               lode_bundle *out);
/** The same, and all else that an HDF5 or NetCDF file holds as one more member, "__frame", a vector of
 *  bytes: lode_write to that format makes of both the file again, with its links, attributes, types and
 *  ways of storage. Of a .lode file, the frame that it keeps. */
LODE_API lode_status lode_open_whole(lode_ctx *ctx, const char *path, const lode_read_opts *o,
                                     lode_bundle *out);
/** Reads "file", "file:member" or either with "[0:10,:,5]" as one value; of several files, named by
 *  a pattern ("run*.npy") or a list ("@list.txt", one address a line), the stack of all; added to `into` under
 *  `name` (NULL: its own): a dense member as a source (load false) or array, a sparse one as
 *  sparse, text as text. A file of several members without a name is LODE_EUSAGE and lists them. */
LODE_API lode_status lode_read_value(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                     bool load, const char *name, lode_bundle *into);

typedef struct lode_write_opts {
    const char *format; /* NULL: by suffix */
    bool force;         /* replace an existing file */
    const char *only;   /* the member that a single-array format takes; NULL: the first */
} lode_write_opts;
/** Writes a bundle through a temporary file beside the target, synced and renamed. */
LODE_API lode_status lode_write(lode_ctx *ctx, const char *path, const lode_bundle *b,
                                const lode_write_opts *o);
/** Streams a source to a single-array file, slab by slab. */
LODE_API lode_status lode_write_source(lode_ctx *ctx, const char *path, const char *name,
                                       const lode_source *s, const lode_write_opts *o);

/** What this build reads and writes: "npy", suffixes ".npy", whether it can write; NULL past the
 *  end. */
LODE_API const char *lode_format_name(int i, const char **suffixes, bool *reads, bool *writes);

/** Whether the format of that name, or of a path where it is NULL, holds several values. */
LODE_API bool lode_format_holds_many(const char *name, const char *path);
/** Whether it keeps a whole result, so that every verb works on what was written. */
LODE_API bool lode_format_keeps_results(const char *name, const char *path);
/** Whether it keeps several results beside other values, as those of a whole file are. */
LODE_API bool lode_format_keeps_members(const char *name, const char *path);

/** Whether what lode_open_whole adds to the arrays of a file of format `from` is of use when they are written
 *  in that format, or that of a path: it is kept, or lode_write says what stays behind. */
LODE_API bool lode_format_keeps_rest(const char *from, const char *name, const char *path);

/** Tree hash of a value, 64 hex digits: shape, type and values of a dense one, in 2^20-byte leaves, so
 *  that it streams and runs on all threads; of a bundle its members, op, options and certificate.
 *  LODE_ETYPE for callbacks and operators. */
LODE_API lode_status lode_hash(lode_ctx *ctx, lode_value v, char hex[72]);

#ifdef __cplusplus
}
#endif
#endif
