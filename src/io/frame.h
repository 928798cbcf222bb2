/* The frame of a file: every byte of it but the values of arrays that are read as members. Kept beside
 * them, it gives the file back with all that members do not tell: links, groups, attributes and types
 * of any kind, how values are stored. As a value it is a vector of bytes (docs/format.md): a head that
 * says where what follows lay, then those bytes, long runs of zeros left out. */
#ifndef LODE_IO_FRAME_H
#define LODE_IO_FRAME_H

#include "io/io.h"

typedef struct lode_i_extent {
    uint64_t at, size;
} lode_i_extent;
/** A member of the file. */
typedef struct lode_i_framed {
    char *name;
    char *path;    /* in the file, where that is another; "" */
    bool cut;      /* its values were cut out; else the frame has them */
    bool has_code; /* all that is missing is stored as this number */
    double code;
} lode_i_framed;
typedef struct lode_i_frame {
    uint64_t size, head; /* bytes of the file, and of the value before what was kept */
    /* While it is made: what was cut out. Then: what was kept, in order. */
    int64_t extents, extents_capacity;
    lode_i_extent *extent;
    int64_t count, capacity;
    lode_i_framed *member;
} lode_i_frame;
void lode_i_frame_free(lode_i_frame *f);
/** `size` bytes at an offset are cut out. */
lode_status lode_i_frame_cut(lode_ctx *ctx, lode_i_frame *f, uint64_t at, uint64_t size);
/** Adds a member, whose strings are copied; path NULL: its name. */
lode_status lode_i_frame_member(lode_ctx *ctx, lode_i_frame *f, const char *name, const char *path,
                                lode_i_framed **m);
/** The value of an output that has that name; NONE. */
lode_value lode_i_output_find(const lode_i_output *out, const char *name);

/* ---- what formats share (framed.c) ---- */

/** The form of a member's values, from its types and packing; and as a frame found it. */
lode_i_form lode_i_form_of(lode_dtype stored, lode_dtype values, const lode_i_packing *p);
void lode_i_form_framed(lode_i_form *form, const lode_i_framed *m);
/** Whether stored values, read by `read`, come back from what they are read as; and the number that all
 *  that is missing is stored as. Starts as { .form = .. }; lost ones are told. */
typedef lode_status (*lode_i_stored_reader)(lode_ctx *ctx, const lode_file *f,
                                            const lode_i_member *m, const int64_t *start,
                                            const int64_t *count, void *dst);
typedef struct lode_i_trial {
    lode_i_form form;
    int ndim;
    bool lost; /* some value does not come back */
    bool has_code;
    double code;
} lode_i_trial;
lode_status lode_i_frame_try(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                             lode_i_stored_reader read, lode_i_trial *t);
/** The file that a frame was laid out in; *f stays NULL where it is damaged, as more than values was cut
 *  out of it. */
lode_status lode_i_frame_reopen(lode_ctx *ctx, const char *temporary, const char *format,
                                lode_file **f);
/** Whether a dense value or a scalar has the type and shape of a member; longer: or is. */
bool lode_i_frame_fits(lode_ctx *ctx, lode_value v, const lode_i_member *m, bool longer);
/** Gives such a value away in boxes, a scalar as one. */
lode_status lode_i_frame_put(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_i_box_sink put,
                             void *data);

/** Writes the output as the file whose frame it holds, where it holds one and all fits; *done says so.
 *  named: the format was asked for; else another of that suffix may be the file's. */
lode_status lode_i_frame_write(lode_ctx *ctx, const lode_i_format *format, bool named,
                               const char *path, const lode_i_output *out, bool force, bool *done);
/** The format that a frame of a file `from` is written back by; NULL: none. */
const lode_i_format *lode_i_frame_format(const lode_i_format *format, bool named, const char *from,
                                         const char *path);

#endif
