/* What both of our drivers of libhdf5 do alike (h5input.c, h5output.c). */
#ifndef LODE_IO_H5DRIVER_H
#define LODE_IO_H5DRIVER_H

#include "io/h5.h"

#ifdef LODE_HAVE_HDF5

/* What the library knows as an open file. */
typedef struct opened {
    H5FD_t base; /* first: the library's own part */
    void *side;  /* the lode_i_h5_input or lode_i_h5_output */
    haddr_t end; /* of what is addressed */
} opened;

static inline H5FD_t *open_side(lode_ctx *ctx, void *side, lode_status *st)
{
    opened *o = NULL;
    *st = lode_i_calloc(ctx, sizeof *o, (void **)&o);
    if (*st < 0)
        return NULL;
    o->side = side;
    return &o->base;
}

static inline herr_t close_side(H5FD_t *file)
{
    lode_i_free(file);
    return 0;
}

static inline void *side_of(const H5FD_t *file)
{
    return ((const opened *)file)->side;
}

static inline haddr_t get_end(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const opened *)file)->end;
}

static inline herr_t set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((opened *)file)->end = end;
    return 0;
}
#endif

#endif
