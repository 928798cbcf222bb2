/* How libhdf5 reads: through a driver of ours over the same open file that every format reads, so
 * that a cancel, a cut file and a failing disk are seen as everywhere, no lock is taken that network
 * file systems refuse, and the one structure that the library trusts blindly is checked before it
 * gets to see it. Called under the library lock. */
#include "io/h5driver.h"

#ifdef LODE_HAVE_HDF5

static H5FD_t *open_input(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    lode_i_h5_input *const *given = lode_i_h5_library_held()->H5Pget_driver_info(access);
    (void)name, (void)most;
    return given && !(flags & 1 /* to be written */)
               ? open_side((*given)->ctx, *given, &(*given)->st)
               : NULL;
}

static herr_t query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA_READ | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t get_size(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    const lode_i_h5_input *in = side_of(file);
    return lode_i_infile_size(in->file);
}

static herr_t read_input(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size,
                         void *bytes)
{
    lode_i_h5_input *in = side_of(file);
    (void)type, (void)list;
    if (!in->ctx || (in->st < 0 && in->st != LODE_EFORMAT)) /* damage is of one place */
        return -1;
    in->st = lode_i_cancelled(in->ctx);
    if (in->st >= 0)
        in->st = lode_i_infile_read(in->ctx, in->file, at, bytes, size);
    if (in->st >= 0)
        in->st = lode_i_h5_check_block(in, at, bytes, size);
    return in->st < 0 ? -1 : 0;
}

static herr_t write_nothing(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size,
                            const void *bytes)
{
    (void)file, (void)type, (void)list, (void)at, (void)size, (void)bytes;
    return -1;
}

hid_t lode_i_h5_driver(const lode_i_h5_library *l)
{
    static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 14, 0)
        .version = H5FD_CLASS_VERSION,
        .value = (H5FD_class_value_t)511,
#endif
        .name = "lode",
        .maxaddr = INT64_MAX,
        .fc_degree = H5F_CLOSE_STRONG,
        .fapl_size = sizeof(lode_i_h5_input *),
        .open = open_input,
        .close = close_side,
        .query = query,
        .get_eoa = get_end,
        .set_eoa = set_end,
        .get_eof = get_size,
        .read = read_input,
        .write = write_nothing,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    return l->H5FDregister(&driver);
}
#endif
