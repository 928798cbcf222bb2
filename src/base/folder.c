/* Directories, and the one lock for libraries that bear a single caller. */
#include "base/state.h"

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <string.h>
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

/* What a locale makes of the order is put right by Shell's sort. */
static void sort(char **names, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < count; i++) {
            char *name = names[i];
            size_t j = i;
            for (; j >= gap && strcmp(names[j - gap], name) > 0; j -= gap)
                names[j] = names[j - gap];
            names[j] = name;
        }
}

lode_status lode_i_path_match(lode_ctx *ctx, const char *pattern, char ***paths, int64_t *count)
{
    lode_status st = LODE_OK;
    glob_t g = { 0 };
    size_t bytes = 0;
    void *block = NULL;
    const int failed = glob(pattern, 0, NULL, &g);
    *paths = NULL, *count = 0;
    LODE_REQUIRE(failed != GLOB_NOSPACE, LODE_ENOMEM, "no memory for the names that match %s",
                 pattern);
    if (failed || g.gl_pathc == 0)
        goto done;
    for (size_t i = 0; i < g.gl_pathc; i++)
        bytes += sizeof(char *) + strlen(g.gl_pathv[i]) + 1;
    LODE_TRY(lode_i_alloc(ctx, bytes, &block));
    char **names = block, *text = (char *)(names + g.gl_pathc);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        const size_t n = strlen(g.gl_pathv[i]) + 1;
        memcpy(text, g.gl_pathv[i], n);
        names[i] = text;
        text += n;
    }
    sort(names, g.gl_pathc);
    *paths = names, *count = (int64_t)g.gl_pathc;
done:
    globfree(&g);
    return st;
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
