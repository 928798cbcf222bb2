/* Going on with an HDF5 file that is laid out already, as libnetcdf does it in memory: its bytes become
 * the output's, and values are written on there, through the driver that bears a failing disk. */
#include "io/h5.h"

#include <string.h>

#ifdef LODE_HAVE_HDF5

lode_status lode_i_h5_image(lode_ctx *ctx, const char *held, const char *path, lode_outfile *file)
{
    lode_status st = LODE_OK;
    lode_i_h5_library *l = NULL;
    lode_i_h5_handles *handles = NULL;
    void **memory = NULL; /* the library's own: where its file in memory begins */
    LODE_FORWARD(lode_i_h5_library_get(ctx, &l));
    LODE_FORWARD(lode_i_h5_handles_new(ctx, &handles));
    lode_i_h5_enter(l);
    const hid_t id = lode_i_h5_handles_find(handles, held);
    const ssize_t size = id < 0 ? -1 : l->H5Fget_file_image(id, NULL, 0);
    if (id < 0)
        st = lode_i_fail(
            ctx, LODE_EUNSUPPORTED,
            "%s: libnetcdf here uses another libhdf5 than the one that is found; write "
            ".cdf or .h5",
            path);
    else if (size < 0 || l->H5Fget_vfd_handle(id, H5P_DEFAULT, (void **)&memory) < 0 || !memory)
        st = lode_i_h5_failed(ctx, l, path, "laying it out", true);
    else
        st = lode_i_outfile_pwrite(ctx, file, 0, *memory, (size_t)size);
    lode_i_h5_leave(l);
    lode_i_free(handles);
    return st;
}

lode_status lode_i_h5_append(lode_ctx *ctx, const char *path, lode_outfile *file,
                             lode_i_h5_writer **out)
{
    LODE_FORWARD(lode_i_h5_writer_new(ctx, path, file, LODE_I_H5_PYTHON, out));
    lode_i_h5_writer *w = *out;
    lode_i_h5_library *l = w->library;
    lode_i_h5_enter(l);
    const hid_t access = lode_i_h5_output_access(l, &w->output);
    if (access >= 0)
        w->file = l->H5Fopen(path, 1 /* to be written */, access);
    const lode_status st = w->output.st < 0 ? w->output.st
                           : w->file < 0 ? lode_i_h5_failed(ctx, l, path, "opening it again", true)
                                         : LODE_OK;
    if (access >= 0)
        l->H5Pclose(access);
    lode_i_h5_leave(l);
    return st;
}

/* Whether a data set has that many axes and, in the end, that shape. */
static bool takes_shape(const lode_i_h5_library *l, hid_t set, int ndim, const int64_t *shape,
                        bool *misfit)
{
    hsize_t now[LODE_MAX_NDIM], most[LODE_MAX_NDIM], want[LODE_MAX_NDIM];
    const hid_t space = l->H5Dget_space(set);
    *misfit = space >= 0 && l->H5Sget_simple_extent_ndims(space) != ndim;
    bool fits = space >= 0 && !*misfit && l->H5Sget_simple_extent_dims(space, now, most) >= 0;
    bool same = true;
    for (int k = 0; fits && k < ndim; k++) {
        want[k] = (hsize_t)shape[k];
        same = same && now[k] == want[k];
    }
    if (fits && !same)
        fits = l->H5Dset_extent(set, want) >= 0;
    if (space >= 0)
        l->H5Sclose(space);
    return fits;
}

lode_status lode_i_h5_again(lode_ctx *ctx, lode_i_h5_writer *w, const char *name, lode_dtype dtype,
                            int ndim, const int64_t *shape, int64_t *set)
{
    const lode_i_h5_library *l = w->library;
    lode_status st = LODE_OK;
    lode_i_h5_made *s = NULL;
    H5G_stat_t info;
    bool misfit = false;
    *set = -1;
    lode_i_h5_enter(w->library);
    const bool there = l->H5Gget_objinfo(w->file, name, true, &info) >= 0 &&
                       info.type == H5G_DATASET;
    lode_i_h5_leave(w->library);
    if (!there)
        return w->output.st;
    LODE_FORWARD(lode_i_h5_add_set(ctx, w, name, &s));
    s->dtype = dtype, s->ndim = ndim;
    lode_i_h5_enter(w->library);
    s->id = l->H5Dopen2(w->file, name, H5P_DEFAULT);
    if (s->id < 0 || (!takes_shape(l, s->id, ndim, shape, &misfit) && !misfit))
        st = lode_i_h5_failed(ctx, l, w->path, "opening a data set to be written", true);
    lode_i_h5_leave(w->library);
    if (!misfit)
        *set = w->count - 1;
    return w->output.st < 0 ? w->output.st : st;
}
#endif
