/* Temporaries that calls left behind which were killed: the next call that writes the same output
 * removes them, so that they never become many. */
#include "base/state.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/system.h"

/* The process is gone, and nobody holds the file: processes of another container, whose numbers
 * mean nothing here, have it locked. */
static bool abandoned(const char *path, int64_t process)
{
    if (process <= 0 || process > INT32_MAX || kill((pid_t)process, 0) == 0 || errno != ESRCH)
        return false;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return false;
    const bool free = flock(file, LOCK_EX | LOCK_NB) == 0;
    close(file);
    return free;
}

/* The process in a name ".NAME.lode-tmp-PROCESS-N", or 0. */
static int64_t maker(const char *entry, const char *start, size_t size)
{
    const char *const number = entry + size;
    const size_t digits = strlen(entry) > size ? strspn(number, "0123456789") : 0;
    char text[24] = { 0 };
    int64_t process = 0;
    if (strncmp(entry, start, size) != 0 || digits == 0 || digits >= sizeof text ||
        number[digits] != '-')
        return 0;
    memcpy(text, number, digits);
    return lode_i_parse_i64(text, &process) ? process : 0;
}

void lode_i_strays_remove(const char *folder, const char *start)
{
    const size_t size = strlen(start);
    DIR *d = opendir(*folder ? folder : ".");
    if (!d)
        return;
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[PATH_MAX];
        const int64_t process = maker(e->d_name, start, size);
        const int n = process ? snprintf(path, sizeof path, "%s%s", folder, e->d_name) : 0;
        if (n > 0 && (size_t)n < sizeof path && abandoned(path, process))
            unlink(path);
    }
    closedir(d);
}
