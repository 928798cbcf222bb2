/* Internals of the io layer: the one interface behind which every file format lives. A format fills
 * a lode_file with members; dense members that are plain bytes share one positional reader
 * (dense.c), whatever their order, byte order and container. Writers take a lode_i_output, which is
 * a bundle or a single source seen as named values, and pull bytes through lode_i_emit. */
#ifndef LODE_IO_INTERNAL_H
#define LODE_IO_INTERNAL_H

#include <stdatomic.h>

#include "array/array.h"
#include "lode/io.h"

#if !defined(LODE_CORE) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error                                                                                             \
    "most formats copy values as they lie in memory, lowest byte first; build with -DLODE_CORE=ON"
#endif

/** Checksums cover pieces of this many bytes of a member, the last one shorter. */
#define LODE_I_SUM_CHUNK ((uint64_t)1 << 20)

/** A number of a file of either byte order; swapped: it has the highest first. */
static inline uint64_t lode_i_number(const unsigned char *p, int bytes, bool swapped)
{
    uint64_t v = 0;
    if (!swapped)
        return lode_i_load(p, bytes);
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

struct lode_i_frame;

/** A member that is a bundle itself: its own meta and certificate, and its members, which the file
 *  holds, owned and hidden, as NAME.MEMBER. */
typedef struct lode_i_nested {
    lode_bundle head;
    int64_t count;
    char **name;
} lode_i_nested;

/** One named value of an open file. */
typedef struct lode_i_member {
    char *name;
    /* ARRAY, SPARSE, TEXT, SCALAR, BUNDLE; NONE: it is there but cannot be read, see note */
    lode_kind kind;
    lode_dtype dtype;
    lode_layout layout; /* sparse only */
    bool csc;           /* sparse only: indptr runs over columns */
    bool paired;        /* sparse only: parts 0 and 1 are rows and columns of the coordinates */
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
    bool hidden;    /* a part of another member, or padding */
    bool owned;     /* a part of another member */
    bool secondary; /* a coordinate: not meant when a file is named without a member */
    bool again;     /* another name of a member before it, by a link */
    bool fortran;   /* first axis varies fastest in the file */
    bool swapped;   /* highest byte first in the file */
    bool wide;      /* text in UTF-32 */
    bool checked;   /* crc holds what the whole zip entry must give */
    uint32_t crc, crc_head;
    lode_infile *in;      /* held; where the bytes lie */
    uint64_t offset;      /* of the first byte in `in` (deflated: of the entry) */
    uint64_t bytes;       /* of the values */
    uint64_t deflated;    /* bytes of the deflated entry; 0: stored */
    uint64_t skip;        /* bytes of the inflated entry before the values */
    int64_t part[3];      /* sparse: members that hold indptr, indices, values; -1: none */
    uint64_t *sums;       /* checksum of each LODE_I_SUM_CHUNK bytes, or NULL */
    atomic_uchar *passed; /* chunks found right already, with sums */
    int64_t id;           /* the format's own number of it */
    int64_t *chunk;       /* how the format keeps it together, ndim sizes, or NULL */
    char *note;           /* why it cannot be read */
    lode_i_nested *inner; /* of a bundle; dtype and shape above are then of what it gives */
} lode_i_member;

struct lode_i_format;
struct lode_file {
    atomic_int refs;
    const struct lode_i_format *format;
    char *path;
    lode_infile *in; /* NULL: the format opens the path by itself */
    int64_t count, capacity;
    lode_i_member *members;
    int64_t slots; /* of the hash table of names, a power of 2 */
    int64_t *slot; /* member number, or -1 */
    int64_t shown; /* members that are not hidden, in order */
    int64_t *show;
    int64_t aside;    /* hidden members that are values of their own, kept in the description */
    lode_bundle head; /* meta and certificate only */
    void *state;      /* the format's own */
};

/** A value on its way out. */
typedef struct lode_i_item {
    const char *name;
    lode_value value;
} lode_i_item;
typedef struct lode_i_output {
    int64_t count;
    lode_i_item *items;
    const lode_meta *meta;               /* NULL: none */
    const lode_certificate *certificate; /* NULL: none */
    const char *only;                    /* what a single-array format takes; NULL: the first */
} lode_i_output;

/** A file format. NULL functions: it does not read or write, has no content to sniff, and so on. */
struct lode_i_range;
typedef struct lode_i_format {
    const char *name;
    const char *suffixes; /* ".nc .nc4 .cdf" */
    bool by_path;         /* open() wants the path only: directories, libraries */
    bool gzip;            /* a name that ends in .gz is written deflated */
    bool concurrent;      /* read() may be called by several threads at once */
    bool many;            /* holds several values */
    bool results;         /* and what makes a result of them: its operation and certificate */
    bool bundles;         /* and results beside other values */
    bool mixed;           /* holds much that is no array, which reading the whole leaves out */
    const char *absent;   /* where this build lacks it: its name, and without what it was made */
    bool (*sniff)(const unsigned char *head, size_t size);
    /** Fills members from f->in; nothing else of f is cleaned by it on failure. */
    lode_status (*open)(lode_ctx *ctx, lode_file *f, const lode_read_opts *o);
    /** Reads a rectangle of a dense member that is not plain bytes, which lies in it, one call at a
     * time unless `concurrent`. */
    lode_status (*read)(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                        const int64_t *start, const int64_t *count, void *dst);
    /** Makes the bytes of a packed member one file for as long as a source of it lives; read() is
     * then given a member that lies in it. *in stays NULL where nothing is packed. */
    lode_status (*unpack)(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                          lode_infile **in);
    /** Reads a whole member into memory: formats of text, and what is sparse in formats that have
     * read(). The one that fits the member is given. */
    lode_status (*load)(lode_ctx *ctx, const lode_file *f, const lode_i_member *m, lode_array *a,
                        lode_sparse *s);
    /** JSON attributes of one member cut by ranges, which it takes along when it is read alone (NULL
     * text: none); NULL: as lode_i_attributes_of tells them from those of the file. */
    lode_status (*attributes)(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                              const struct lode_i_range *ranges, char **text);
    void (*close)(lode_file *f); /* frees state */
    /** Cuts the values of members out of the file's frame (frame.h); *has false: it has none. */
    lode_status (*frame)(lode_ctx *ctx, lode_file *f, struct lode_i_frame *frame, bool *has);
    /** Puts the values of an output into a file made of its frame; *fits false: they are
     * not those of that file. */
    lode_status (*fill)(lode_ctx *ctx, const char *path, lode_outfile *file,
                        const struct lode_i_frame *frame, const lode_i_output *out, bool *fits);
    lode_status (*write)(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force);
} lode_i_format;

extern const lode_i_format lode_i_format_lode, lode_i_format_npy, lode_i_format_npz,
    lode_i_format_safetensors, lode_i_format_netcdf, lode_i_format_hdf5, lode_i_format_mat73,
    lode_i_format_mtx, lode_i_format_csv, lode_i_format_tsv, lode_i_format_raw, lode_i_format_dir,
    lode_i_format_tns, lode_i_format_png, lode_i_format_pnm, lode_i_format_mat5, lode_i_format_mat6,
    lode_i_format_cfl, lode_i_format_fits, lode_i_format_nifti, lode_i_format_gguf;

/** The format of a path: `name` when given, else by suffix, else (reading) NULL. Unknown names are
 *  LODE_EUSAGE with the nearest one. */
lode_status lode_i_format_find(lode_ctx *ctx, const char *name, const char *path,
                               const lode_i_format **format);
/** Whether a file may hold a result, or several values, as far as its name (or that of its format) tells:
 *  what need not be opened to see. */
bool lode_i_format_may_hold(const char *name, const char *path, bool results);
/** LODE_EUNSUPPORTED for a format that this build lacks. */
lode_status lode_i_format_present(lode_ctx *ctx, const lode_i_format *f);
/** Whether a path has one of the format's suffixes, with or without .gz behind it. */
bool lode_i_format_claims(const lode_i_format *f, const char *path);
/** The format that a file begins as, of several the one that claims the path; or NULL. */
const lode_i_format *lode_i_format_sniff(const unsigned char *head, size_t size, const char *path);
bool lode_i_has_suffix(const char *path, const char *suffix); /* ignoring case */

/* ---- members ---- */

/** Adds an empty member (kind ARRAY, parts -1) with a copy of the name; a name in use is
 * LODE_EFORMAT. */
lode_status lode_i_member_add(lode_ctx *ctx, lode_file *f, const char *name, size_t length,
                              lode_i_member **m);
/** Rebuilds the table of names after members moved. */
lode_status lode_i_file_index(lode_ctx *ctx, lode_file *f);
void lode_i_member_clear(lode_i_member *m);
lode_i_member *lode_i_member_find(const lode_file *f, const char *name);
/** Marks a member as there but unreadable, with the sentence that says why. */
LODE_PRINTF(4, 5)
lode_status lode_i_member_refuse(lode_ctx *ctx, lode_i_member *m, lode_dtype stands_for,
                                 const char *format, ...);
/** Bytes of shape x dtype; LODE_EFORMAT, with `what` in the sentence, when it overflows, is
 * negative or a packed last axis is not whole blocks. */
lode_status lode_i_shape_bytes(lode_ctx *ctx, const char *what, lode_dtype dtype, int ndim,
                               const int64_t *shape, uint64_t *bytes);
/** LODE_ESHAPE for a rectangle that does not lie in the member. */
lode_status lode_i_member_check(lode_ctx *ctx, const lode_i_member *m, const int64_t *start,
                                const int64_t *count);
/** Whether the file holds more than one value, what cannot be read included. */
bool lode_i_file_is_several(const lode_file *f);
/** Makes f->show from the hidden flags; the opener calls it once after format->open. */
lode_status lode_i_file_show(lode_ctx *ctx, lode_file *f);
/** All bytes of a stored or deflated member as they are in the file, into a new block. */
lode_status lode_i_member_bytes(lode_ctx *ctx, const lode_i_member *m, void **bytes);
/** A rectangle of a dense member of plain bytes: any order, byte order, checksums. memory: the
 * inflated values, or NULL to read from the file. */
lode_status lode_i_dense_read(lode_ctx *ctx, const lode_i_member *m, const void *memory,
                              const int64_t *start, const int64_t *count, void *dst);
/** How a member's values follow from the plain ones that its file stores, of type `dtype`: stored *
 * slope + inter, NaN for stored == blank, in floating types; flip: integers whose sign bit stands
 * the other way. */
typedef struct lode_i_stored {
    lode_dtype dtype;
    double slope, inter;
    int64_t blank;
    bool has_blank, flip;
} lode_i_stored;
/** Whether values of `dtype` can be made from stored ones: no narrower, and no integers from reals. */
bool lode_i_stored_fits(lode_dtype stored, lode_dtype dtype);
/** lode_i_dense_read of such a member, whose `bytes` are the stored ones. */
lode_status lode_i_stored_read(lode_ctx *ctx, const lode_i_member *m, const lode_i_stored *s,
                               const int64_t *start, const int64_t *count, void *dst);
/** A whole dense member, hidden or not, as an array. */
lode_status lode_i_member_array(lode_ctx *ctx, lode_file *f, lode_i_member *m, lode_array *out);
/** A sparse member from its parts; csc: indptr runs over columns. */
lode_status lode_i_sparse_from_parts(lode_ctx *ctx, lode_layout layout, bool csc,
                                     const int64_t *shape, int ndim, lode_array *indptr,
                                     lode_array *indices, lode_array *values, const char *what,
                                     lode_sparse *out);
/** n x 2 coordinates from rows and columns. */
lode_status lode_i_sparse_pair(lode_ctx *ctx, const char *what, const lode_array *row,
                               const lode_array *col, lode_array *indices);
lode_status lode_i_file_source_of(lode_ctx *ctx, lode_file *f, lode_i_member *m, lode_source *out);
/** Adds member m to a bundle under `name`: sources stay lazy unless load. */
lode_status lode_i_file_add(lode_ctx *ctx, lode_file *f, lode_i_member *m, bool load,
                            const char *name, lode_bundle *into);
/** A member that is a bundle, as one. */
lode_status lode_i_nested_read(lode_ctx *ctx, lode_file *f, const lode_i_member *m, bool load,
                               lode_bundle *out);
lode_file *lode_i_file_ref(lode_file *f);

/** The member of a bundle that is the frame of the file it was read from (frame.h). */
#define LODE_I_FRAME "__frame"
/** Adds the frame of an open file, or the one that a .lode file keeps; nothing where there is none. */
lode_status lode_i_frame_add(lode_ctx *ctx, lode_file *f, lode_bundle *into);

/* ---- JSON description of members, meta and certificate, shared by .lode, .npz and directories
 * ---- */

enum { LODE_I_FORMAT_VERSION = 1 };
/** "array", "sparse", "text", "scalar"; NULL for kinds that no file holds. */
const char *lode_i_described_kind(lode_kind kind);
/** How a value lies in a container of plain tensors: what `flatten` makes and the description
 * names. */
typedef struct lode_i_tensor {
    char *name;
    int64_t item;     /* of the output; -1: padding */
    int64_t inner;    /* of an item that is a bundle: number of its member */
    lode_dtype dtype; /* as stored: complex pairs and packed blocks are already plain */
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
    uint64_t bytes;
    lode_value value;  /* dense; or NONE: */
    const void *plain; /* bytes of a text; NULL with kind NONE: `small` */
    unsigned char small[16];
    uint64_t offset; /* in the container, set by the writer */
    uint64_t *sums;  /* set by the writer, or NULL */
} lode_i_tensor;
typedef struct lode_i_tensors {
    int64_t count;
    lode_i_tensor *at;
} lode_i_tensors;
/** Splits every item into tensors. pairs: complex as a last axis of 2, bundles as theirs. Items of
 * kinds that the file does not hold are LODE_ETYPE. */
lode_status lode_i_flatten(lode_ctx *ctx, const lode_i_output *out, bool pairs, lode_i_tensors *t);
void lode_i_tensors_free(lode_i_tensors *t);
/** Stored type and shape of a dense value. */
lode_status lode_i_stored_form(lode_ctx *ctx, const char *name, bool pairs, lode_dtype dtype,
                               int ndim, const int64_t *shape, lode_dtype *stored,
                               int32_t *stored_ndim, int64_t *stored_shape);
/** The description as JSON text, freed with lode_i_free. */
lode_status lode_i_describe(lode_ctx *ctx, const lode_i_output *out, const lode_i_tensors *t,
                            char **text);
/** Reads a description into f: kinds, true types and shapes of the members that the container
 * listed, meta and certificate. Strict: every member that is not hidden must be described. */
lode_status lode_i_undescribe(lode_ctx *ctx, lode_file *f, const char *text, size_t size,
                              bool pairs, bool strict);
lode_status lode_i_meta_copy(lode_ctx *ctx, const lode_meta *from, lode_meta *to);
/** The members of a bundle as an output, whose items are freed with lode_i_free. */
lode_status lode_i_output_of(lode_ctx *ctx, const lode_bundle *b, lode_i_output *out);

/* ---- writing ---- */

typedef lode_status (*lode_i_sink)(lode_ctx *ctx, void *data, const void *bytes, size_t size);
/** Gives a dense value's bytes in C order, converted to dtype, to a sink, in pieces that follow the
 *  source's chunks. Ticks. */
lode_status lode_i_emit(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_sink sink,
                        void *data);
/** The same by rectangles, for libraries that take those. */
typedef lode_status (*lode_i_box_sink)(lode_ctx *ctx, void *data, const int64_t *start,
                                       const int64_t *count, const void *values);
lode_status lode_i_emit_boxes(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_box_sink sink,
                              void *data);
/** The bytes of a tensor. */
lode_status lode_i_tensor_emit(lode_ctx *ctx, const lode_i_tensor *t, lode_i_sink sink, void *data);
/** Type, rank and shape of a dense value; LODE_ETYPE for any other kind. */
lode_status lode_i_dense_form(lode_ctx *ctx, const char *name, lode_value v, lode_dtype *dtype,
                              int32_t *ndim, int64_t *shape);
/** A dense value with its axes in reverse: its C order is the value's Fortran order. It borrows the
 * value. */
lode_status lode_i_reversed(lode_ctx *ctx, lode_value v, lode_source *out);
/** The other way: a rectangle of a dense member that lies with its axes in reverse. `read` gives
 *  pieces of it in the file's order of axes, whole in all but its first, along which at least `grain`
 *  are read at once. */
typedef lode_status (*lode_i_box_read)(lode_ctx *ctx, void *data, const int64_t *start,
                                       const int64_t *count, void *dst);
lode_status lode_i_reversed_read(lode_ctx *ctx, const lode_i_member *m, const int64_t *start,
                                 const int64_t *count, int64_t grain, lode_i_box_read read,
                                 void *data, void *dst);
/** What a single-array format takes, in its own type: a dense value or a scalar. Its name is
 * borrowed. */
lode_status lode_i_choose(lode_ctx *ctx, const lode_i_output *out, const char *format,
                          lode_i_tensor *t);
/** The item named `only`, else the first whose kind is in `kinds` (LODE_KIND_BIT), else the first.
 */
lode_status lode_i_choose_item(lode_ctx *ctx, const lode_i_output *out, uint32_t kinds,
                               const lode_i_item **item);
lode_status lode_i_sink_outfile(lode_ctx *ctx, void *outfile, const void *bytes, size_t size);
/** A dense value written to a scratch file, as a source of it. LODE_EBUDGET without ctx->scratch. */
lode_status lode_i_spill(lode_ctx *ctx, lode_value v, lode_source *out);

/* ---- formats of two files ---- */

/** The path of the file beside `path`, with another suffix (".hdr"); freed with lode_i_free. */
lode_status lode_i_beside(lode_ctx *ctx, const char *path, const char *suffix, char **name);
/** Opens it, or the one with .gz behind. */
lode_status lode_i_open_beside(lode_ctx *ctx, const char *path, const char *suffix,
                               lode_infile **in);

/* ---- pictures ---- */

/** height x width, or height x width x channels, u8 or (wide) u16. */
typedef struct lode_i_picture {
    int64_t height, width;
    int channels;
    bool wide;
} lode_i_picture;
/** What a dense value is as a picture; LODE_ESHAPE or LODE_ETYPE when it is none. channels: at
 * most, 3 or 4. */
lode_status lode_i_picture_form(lode_ctx *ctx, const lode_i_tensor *t, const char *format,
                                int channels, lode_i_picture *p);
/** 8-bit RGBA (or RGB) rows to a PNG file in memory, freed with lode_i_free. */
lode_status lode_i_png(lode_ctx *ctx, int64_t w, int64_t h, bool alpha, const uint8_t *pixels,
                       void **bytes, size_t *size);

/* ---- .npy headers and zip entries, shared by npy, npz and directories ---- */

typedef struct lode_i_npy_head {
    lode_dtype dtype;
    bool fortran, swapped;
    bool text; /* a 0-d string of `bytes` bytes; wide: UTF-32 */
    bool wide;
    char refused[96]; /* why it cannot be read; "" */
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
    uint64_t bytes; /* of the values */
    uint64_t size;  /* of the header */
} lode_i_npy_head;
/** Bytes of the whole header, from its first 12; LODE_EFORMAT when it is none or longer than
 * `available`. */
lode_status lode_i_npy_size(lode_ctx *ctx, const char *what, const unsigned char *head, size_t size,
                            uint64_t available, uint64_t *whole);
lode_status lode_i_npy_parse(lode_ctx *ctx, const char *what, const unsigned char *head,
                             size_t size, lode_i_npy_head *h);
/** descr NULL: from dtype. */
lode_status lode_i_npy_print(lode_ctx *ctx, const char *descr, lode_dtype dtype, int ndim,
                             const int64_t *shape, lode_text *t);
/** Fills a member from a parsed header; size: of header and values. */
lode_status lode_i_npy_apply(lode_ctx *ctx, lode_infile *in, const char *what,
                             const lode_i_npy_head *h, uint64_t size, lode_i_member *m);
/** The same from stored bytes; offset: of the .npy bytes in `in`, size: how many there are. */
lode_status lode_i_npy_member(lode_ctx *ctx, lode_infile *in, const char *what, uint64_t offset,
                              uint64_t size, lode_i_member *m);

typedef struct lode_i_zip_entry {
    char *name;
    int method;
    uint32_t crc;
    uint64_t offset; /* of the data */
    uint64_t packed, size;
} lode_i_zip_entry;
typedef struct lode_i_zip {
    int64_t count;
    lode_i_zip_entry *at;
} lode_i_zip;
lode_status lode_i_zip_list(lode_ctx *ctx, lode_infile *in, lode_i_zip *zip);
void lode_i_zip_free(lode_i_zip *zip);
/** Inflates `want` bytes of an entry after skipping `skip`; whole: the entry must end there. The
 * running CRC over everything inflated is returned. */
lode_status lode_i_zip_inflate(lode_ctx *ctx, lode_infile *in, const char *what, uint64_t offset,
                               uint64_t packed, uint64_t skip, uint64_t want, bool whole,
                               void **bytes, uint32_t *crc);
uint32_t lode_i_crc32(uint32_t crc, const void *bytes, size_t size);
/** zlib's memory, from the budget: zalloc, zfree and, for opaque, the context. */
void *lode_i_zlib_alloc(void *ctx, unsigned items, unsigned size);
void lode_i_zlib_free(void *ctx, void *p);

/** Inflates a zlib stream, or a gzip file with all its members, that lies at `offset`: in memory,
 * and in a scratch file where it is long and there is a place for one. most: bytes after which it
 * stops. */
typedef enum lode_i_zwrap { LODE_I_ZLIB, LODE_I_GZIP } lode_i_zwrap;
lode_status lode_i_unwrap(lode_ctx *ctx, lode_infile *in, lode_i_zwrap wrap, uint64_t offset,
                          uint64_t packed, uint64_t most, lode_infile **out);
/** An output that is deflated on its way when its name ends in .gz; no times are written. */
typedef struct lode_i_gzout {
    lode_outfile *file;
    void *deflate; /* NULL: plain */
    unsigned char *buffer;
} lode_i_gzout;
lode_status lode_i_gzout_open(lode_ctx *ctx, const char *path, bool force, lode_i_gzout *s);
/** The same over a file that stays the caller's: s->file is borrowed until finish. */
lode_status lode_i_gzout_over(lode_ctx *ctx, lode_outfile *file, lode_i_zwrap wrap,
                              lode_i_gzout *s);
lode_status lode_i_gzout_finish(lode_ctx *ctx, lode_i_gzout *s);
lode_status lode_i_gzout_write(lode_ctx *ctx, lode_i_gzout *s, const void *bytes, size_t size);
lode_status lode_i_gzout_commit(lode_ctx *ctx, lode_i_gzout *s);
void lode_i_gzout_abandon(lode_i_gzout *s); /* { 0 } is legal */

typedef struct lode_i_zip_writer {
    lode_outfile *out; /* owned by the caller */
    uint64_t limit;    /* sizes and offsets from here on take zip64 fields: 2^32 - 1 */
    int64_t count;
    uint64_t start; /* of the entry being written */
    uint64_t size;
    uint64_t written;
    uint32_t crc;
    lode_text central;
    char *name;
} lode_i_zip_writer;
lode_status lode_i_zip_begin(lode_ctx *ctx, lode_i_zip_writer *w, const char *name, uint64_t size);
lode_status lode_i_zip_sink(lode_ctx *ctx, void *writer, const void *bytes, size_t size);
lode_status lode_i_zip_end(lode_ctx *ctx, lode_i_zip_writer *w);
lode_status lode_i_zip_finish(lode_ctx *ctx, lode_i_zip_writer *w);
void lode_i_zip_writer_free(lode_i_zip_writer *w);

/** The writer of .npz; limit as in lode_i_zip_writer. */
lode_status lode_i_npz_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force,
                             uint64_t limit);

/* ---- safetensors, shared with .lode ---- */

/** Lists the tensors as members; header and its text (size bytes and a zero) are freed by the
 * caller. */
lode_status lode_i_safetensors_list(lode_ctx *ctx, lode_file *f, lode_json **header, char **text,
                                    uint64_t *size);
/** {"dtype", "shape", "data_offsets"} of a tensor. */
lode_status lode_i_safetensors_entry(lode_ctx *ctx, const lode_i_tensor *t, lode_json **entry);
/** Checks the header's checksum and reads the description in it. */
lode_status lode_i_lode_describe(lode_ctx *ctx, lode_file *f, const lode_json *header, char *text,
                                 uint64_t size);
/** A header of .lode that one wrong bit damaged, put right as its checksum says, with its length;
 *  text: new, NULL where nothing fits. */
lode_status lode_i_lode_mend(lode_ctx *ctx, lode_file *f, uint64_t *size, char **text);
const char *lode_i_safetensors_type(lode_dtype dtype); /* NULL: it has none */

/* ---- attributes of variables and files, as the description of a bundle holds them ---- */

/** Values by name, and the types of those that are not f64 or short text: "f32", "i16", "string" (of
 *  variable length). Starts as { 0 }. */
typedef struct lode_i_attributes {
    lode_json *values, *types;
} lode_i_attributes;
void lode_i_attributes_free(lode_i_attributes *a);
/** One number is kept as itself, several as a list. */
lode_status lode_i_attributes_numbers(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                      lode_dtype dtype, int64_t count, const void *values);
lode_status lode_i_attributes_texts(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                    int64_t count, char *const *texts, bool strings);
/** Notes that an attribute just set has several axes: its type becomes "i16[2,3]". */
lode_status lode_i_attributes_shape(lode_ctx *ctx, lode_i_attributes *a, const char *name,
                                    lode_dtype dtype, int ndim, const int64_t *shape);
/** Moves them into a description, as "attributes" and, where there are any, "types". */
lode_status lode_i_attributes_into(lode_ctx *ctx, lode_i_attributes *a, lode_json *o);

enum { LODE_I_ATTRIBUTE_AXES = 4 };
/** One attribute on its way into a file: texts, or numbers, or neither where no file holds it. */
typedef struct lode_i_attribute {
    int64_t count;
    const char **text; /* each borrowed from the JSON */
    bool strings;      /* of variable length where the format knows that */
    bool list;         /* even when there is one */
    lode_array values; /* one axis */
    int ndim;          /* axes in the file, where they are two or more; else 0 */
    int64_t shape[LODE_I_ATTRIBUTE_AXES];
} lode_i_attribute;

/** The attribute `name` of a description: o holds "attributes" and perhaps "types". */
lode_status lode_i_attribute_get(lode_ctx *ctx, const lode_json *o, const char *name,
                                 lode_i_attribute *a);
void lode_i_attribute_free(lode_i_attribute *a);

/** What a description says of a variable: under its own name, or the only one there is; NULL when it
 *  names another number of axes. */
const lode_json *lode_i_described_variable(const lode_json *variables, const char *name, int ndim);
/** Whether an attribute speaks of how values were packed, not of what they are. */
bool lode_i_is_of_packing(const char *name);

/** How stored numbers become values, by the CF conventions: value = factor * stored + offset, some
 *  of them missing. */
typedef struct lode_i_packing {
    bool packed;
    double factor, offset;
    double wrap; /* added to negative numbers, which were meant without a sign; 0: none */
    int fills;   /* stored numbers that mean missing; floating-point values only */
    double fill[3];
} lode_i_packing;
/** From a variable's attributes: scale_factor, add_offset, _FillValue, missing_value. dtype: that of
 *  the values. */
void lode_i_packing_of(const lode_i_attributes *a, lode_dtype stored, lode_i_packing *p,
                       lode_dtype *dtype);
/** Stored numbers, converted to dtype (f32 or f64), into values, in place. */
void lode_i_unpack(const lode_i_packing *p, lode_dtype dtype, void *values, int64_t count);

/** How one array is stored. */
typedef struct lode_i_form {
    lode_dtype dtype;  /* in the file */
    lode_dtype values; /* of the array, as it is handed over */
    bool packs;        /* values pass through packing, and all come back as they were */
    bool described;    /* attributes of packing hold for what is stored */
    bool nearest; /* the values are within an error anyhow: each goes to the nearest stored one */
    lode_i_packing packing;
} lode_i_form;
/** Values of a form into a new block as they are stored. */
lode_status lode_i_pack(lode_ctx *ctx, const lode_i_form *form, const void *values, int64_t count,
                        lode_array *stored);

/** The form in which a file had an array, by its description, where every value survives that, or is
 *  within an error anyhow; else its own. Reads the values once where that must be seen. */
lode_status lode_i_form_again(lode_ctx *ctx, const lode_json *variable, const lode_i_tensor *t,
                              lode_dtype own, lode_i_form *form);

/* ---- NetCDF ---- */

/** Walks the header of a classic file of that version (1, 2, 5); needs no library. */
lode_status lode_i_nc_check_classic(lode_ctx *ctx, lode_infile *in, int version);
/** The same, cutting the values of the variables that are marked, in the order of the header, out of a
 *  frame. */
lode_status lode_i_nc_cut_classic(lode_ctx *ctx, lode_infile *in, int version, int64_t count,
                                  const bool *cut, struct lode_i_frame *frame);

/* ---- words of the address "file:member[slice]" ---- */

typedef struct lode_i_slice {
    int32_t ndim;
    int32_t ellipsis; /* where "..." stands; -1 */
    bool dropped[LODE_MAX_NDIM], has_start[LODE_MAX_NDIM], has_stop[LODE_MAX_NDIM];
    int64_t start[LODE_MAX_NDIM], stop[LODE_MAX_NDIM], step[LODE_MAX_NDIM];
} lode_i_slice;
lode_status lode_i_slice_parse(lode_ctx *ctx, const char *text, size_t size, lode_i_slice *s);
/** An address that names several files, "run*.npy:x[0:10]" or "@list.txt[3]", as one source with a
 *  new first axis; *is false: it names one. */
lode_status lode_i_stack_open(lode_ctx *ctx, const char *spec, const lode_read_opts *o, bool *is,
                              lode_source *out);
/** Type and shape of what an address of one file names, without reading it. */
lode_status lode_i_address_form(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                lode_dtype *dtype, int *ndim, int64_t *shape);
lode_status lode_i_address_source(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                  lode_source *out);
/** What an address names where that is a result, a member that is a bundle or (without a member) a
 *  whole file that an operation made: its members as sources, or read in with `load`; `slice` is the
 *  text in brackets and `attributes` what the value takes along, NULL where there is none. found is
 *  false, and nothing done, where it names anything else, which lode_read_value then reads. */
typedef struct lode_i_model {
    bool found, member;
    lode_bundle model;
    char *name, *slice, *attributes;
} lode_i_model;
lode_status lode_i_address_model(lode_ctx *ctx, const char *spec, const lode_read_opts *o,
                                 bool load, lode_i_model *m);
void lode_i_model_free(lode_i_model *m);
/** Takes a source over into a slice of it, "0:10,:,5"; on failure it stays as it was. */
lode_status lode_i_slice_source(lode_ctx *ctx, const char *text, size_t size, lode_source *s);
/** One axis of a slice, made whole: start and stop as lode_i_source_slice takes them. */
typedef struct lode_i_range {
    int64_t start, stop, step;
    bool dropped;
} lode_i_range;
/** Makes ranges whole for a shape, as NumPy does; s NULL: everything. */
lode_status lode_i_slice_resolve(lode_ctx *ctx, const lode_i_slice *s, int ndim,
                                 const int64_t *shape, lode_i_range *ranges);
/** Takes a source over into its ranges, one an axis; on failure it stays as it was. */
lode_status lode_i_cut_source(lode_ctx *ctx, const lode_i_range *ranges, lode_source *s);
/** JSON attributes of one variable of a NetCDF file, cut by ranges. */
lode_status lode_i_attributes_of(lode_ctx *ctx, lode_file *f, const lode_i_member *m,
                                 const lode_i_range *ranges, char **text);

#endif
