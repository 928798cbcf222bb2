/* What reading and writing of MATLAB 5 files share. */
#ifndef LODE_IO_MAT5_H
#define LODE_IO_MAT5_H

#include "io/io.h"

/* Types of elements. */
enum {
    MI_INT8 = 1,
    MI_UINT16 = 4,
    MI_INT32 = 5,
    MI_UINT32 = 6,
    MI_SINGLE = 7,
    MI_DOUBLE = 9,
    MI_INT64 = 12,
    MI_UINT64 = 13,
    MI_MATRIX = 14,
    MI_COMPRESSED = 15,
    MI_UTF8 = 16
};
/* Classes of arrays, and flags beside them. */
enum { MX_CHAR = 4, MX_SPARSE = 5, MX_COMPLEX = 0x800, MX_LOGICAL = 0x200 };

/** Type of the values of an element; false: they are none that are read. */
bool lode_i_mat5_type(uint32_t mi, lode_dtype *dtype);
/** Type of the elements of an array of that class; false: it has no numbers. */
bool lode_i_mat5_class(uint32_t mx, lode_dtype *dtype);
/** The other way: element type and class of a type of numbers (complex: of its parts). */
void lode_i_mat5_of(lode_dtype dtype, uint32_t *mi, uint32_t *mx);
lode_status lode_i_mat5_write(lode_ctx *ctx, const char *path, const lode_i_output *out,
                              bool force);
lode_status lode_i_mat6_write(lode_ctx *ctx, const char *path, const lode_i_output *out,
                              bool force);

#endif
