/* How libhdf5 writes: through a driver of ours over the output that every format has. The library
 * cannot bear a write that fails: it keeps the file open, tries again at the process's end and
 * crashes there. So the first failure is kept for the writer, and what follows goes nowhere. Called
 * under the library lock. */
#include "io/h5driver.h"

#ifdef LODE_HAVE_HDF5

/* Chunks in memory while they are filled piece by piece. */
enum { CACHE = 16 << 20, CACHE_SLOTS = 12421 };

static H5FD_t *open_output(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    lode_i_h5_output *const *given = lode_i_h5_library_held()->H5Pget_driver_info(access);
    (void)name, (void)flags, (void)most;
    return given ? open_side((*given)->ctx, *given, &(*given)->st) : NULL;
}

/* As of the library's own driver, so that files are laid out as by it. */
static herr_t query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t get_size(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    const lode_i_h5_output *o = side_of(file);
    return lode_i_outfile_tell(o->file);
}

static herr_t read_back(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size,
                        void *bytes)
{
    lode_i_h5_output *o = side_of(file);
    (void)type, (void)list;
    if (o->st >= 0)
        o->st = lode_i_outfile_pread(o->ctx, o->file, at, bytes, size);
    return o->st < 0 ? -1 : 0;
}

static herr_t write_output(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t at, size_t size,
                           const void *bytes)
{
    lode_i_h5_output *o = side_of(file);
    (void)type, (void)list;
    if (o->st >= 0)
        o->st = lode_i_outfile_pwrite(o->ctx, o->file, at, bytes, size);
    return 0;
}

/* The file ends where what is addressed ends. */
static herr_t truncate_output(H5FD_t *file, hid_t list, hbool_t closing)
{
    lode_i_h5_output *o = side_of(file);
    const haddr_t end = ((const opened *)file)->end;
    (void)list, (void)closing;
    if (o->st >= 0 && end != lode_i_outfile_tell(o->file))
        o->st = lode_i_outfile_resize(o->ctx, o->file, end);
    return 0;
}

hid_t lode_i_h5_output_driver(const lode_i_h5_library *l)
{
    static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 14, 0)
        .version = H5FD_CLASS_VERSION,
        .value = (H5FD_class_value_t)510,
#endif
        .name = "lode-out",
        .maxaddr = INT64_MAX,
        .fc_degree = H5F_CLOSE_STRONG,
        .fapl_size = sizeof(lode_i_h5_output *),
        .open = open_output,
        .close = close_side,
        .query = query,
        .get_eoa = get_end,
        .set_eoa = set_end,
        .get_eof = get_size,
        .read = read_back,
        .write = write_output,
        .truncate = truncate_output,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    return l->H5FDregister(&driver);
}

hid_t lode_i_h5_output_access(const lode_i_h5_library *l, lode_i_h5_output *output)
{
    lode_i_h5_output *const given = output;
    const hid_t access = l->H5Pcreate(*l->H5P_CLS_FILE_ACCESS_ID_g);
    if (access >= 0 && l->H5Pset_driver(access, l->output_driver, &given) >= 0 &&
        l->H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        l->H5Pset_cache(access, 0, CACHE_SLOTS, CACHE, 1) >= 0)
        return access;
    if (access >= 0)
        l->H5Pclose(access);
    return -1;
}
#endif
