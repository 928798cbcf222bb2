/* Directories, and the one lock for libraries that bear a single caller. */
#include "base/state.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

lode_status lode_i_directory_make(lode_ctx *ctx, const char *path)
{
    char text[LODE_I_ERRNO];
    struct stat s;
    if (mkdir(path, 0777) == 0)
        return LODE_OK;
    const int error = errno;
    if (error == EEXIST && stat(path, &s) == 0 && S_ISDIR(s.st_mode))
        return LODE_OK;
    return lode_i_fail(ctx, error == EEXIST ? LODE_EEXIST : LODE_EIO,
                       "cannot make the directory %s: %s", path, lode_i_errno_text(error, text));
}

/* libnetcdf and the HDF5 below it keep state of their own in the process. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

void lode_i_library_lock(void)
{
    pthread_mutex_lock(&library);
}

void lode_i_library_unlock(void)
{
    pthread_mutex_unlock(&library);
}
