/* Finding libnetcdf. */
#include "io/nc.h"

#ifdef LODE_HAVE_NETCDF
#include <string.h>

#define MATCHES(name, args)                                                                        \
    _Static_assert(_Generic(&name, int(*) args : 1, default : 0),                                  \
                   #name " is declared otherwise in netcdf.h");
LODE_NC_FUNCTIONS(MATCHES)

/* ISO C has no cast from object to function pointers; their representation is copied, as POSIX
 * allows. */
static bool find(void *library, const char *symbol, void *function)
{
    void *const p = lode_i_library_symbol(library, symbol);
    memcpy(function, &p, sizeof p);
    return p != NULL;
}

lode_status lode_i_nc_library(lode_ctx *ctx, const lode_i_nc **nc)
{
    /* Loaded once and kept: the table is the same for every thread that asks. */
    static lode_i_nc table;
    static bool loaded;
    static const char *const names[] = { "libnetcdf.so.19", "libnetcdf.so.22", "libnetcdf.so",
                                         "libnetcdf.dylib" };
    lode_i_library_lock();
    for (size_t i = 0; i < sizeof names / sizeof *names && !loaded; i++) {
        void *library = lode_i_library_open(names[i]);
        loaded = library != NULL;
        loaded = loaded && find(library, "nc_strerror", &table.nc_strerror);
#define FIND(name, args) loaded = loaded && find(library, #name, &table.name);
        LODE_NC_FUNCTIONS(FIND)
    }
    const bool found = loaded;
    lode_i_library_unlock();
    *nc = &table;
    if (!found)
        return lode_i_fail(ctx, LODE_EUNSUPPORTED,
                           "NetCDF files need libnetcdf, which is not here: install the Debian "
                           "package libnetcdf19");
    return LODE_OK;
}

lode_status lode_i_nc_check(lode_ctx *ctx, const lode_i_nc *nc, int code, const char *path,
                            const char *doing)
{
    if (code == NC_NOERR)
        return LODE_OK;
    return lode_i_fail(ctx,
                       code == NC_ENOMEM ? LODE_ENOMEM
                       : code > 0        ? LODE_EIO
                                         : LODE_EFORMAT, /* a damaged file is "HDF error" */
                       "%s: libnetcdf failed %s: %s", path, doing, nc->nc_strerror(code));
}
#endif
