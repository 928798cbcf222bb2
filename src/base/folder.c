/* Directories, and the one lock for libraries that bear a single caller. */
#include "base/state.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/system.h"

static bool is_folder(const char *path)
{
    struct stat s;
    char plain[PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && strchr(LODE_I_SLASHES, path[n - 1])) /* which Windows does not see through */
        n--;
    const int kept = snprintf(plain, sizeof plain, "%.*s", (int)n, path);
    return kept > 0 && (size_t)kept < sizeof plain && stat(plain, &s) == 0 && S_ISDIR(s.st_mode);
}

lode_status lode_i_directory_make(lode_ctx *ctx, const char *path)
{
    char text[LODE_I_ERRNO];
    if (mkdir(path, 0777) == 0)
        return LODE_OK;
    const int error = errno;
    if (error == EEXIST && is_folder(path))
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

static void take_library(void)
{
    pthread_mutex_lock(&library);
}

/* A fork waits for the call under way: a child that inherited its lock would wait for good. */
static void mind_forks(void)
{
    lode_i_at_fork(take_library, lode_i_library_unlock);
}

void lode_i_library_lock(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, mind_forks);
    take_library();
}

void lode_i_library_unlock(void)
{
    pthread_mutex_unlock(&library);
}
