/* What the operating system knows about this process: clock, cores, memory, shared libraries, its
 * error texts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* affinity of threads */
#endif
#include "base/state.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double lode_i_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *lode_i_errno_text(int error, char text[LODE_I_ERRNO])
{
#ifdef __GLIBC__
    return strerror_r(error, text, LODE_I_ERRNO); /* GNU's: the text may be a constant elsewhere */
#else
    return strerror_r(error, text, LODE_I_ERRNO) == 0 ? text : "unknown error";
#endif
}

/* ---- limits of control groups, both versions: those of the process's group and all above it.
 * `root` is "", or for a test a folder with /proc and /sys of its own ---- */

/* First line's beginning of a small file of the system; false when it cannot be read. */
static bool read_line(const char *path, char *text, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t n = read(fd, text, room - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

/* Path of this process's group in the hierarchy of a controller: "" names the unified one of
 * version 2. */
static bool group_path(const char *root, const char *controller, char *path, size_t room)
{
    char line[4096];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    if (!f)
        return false;
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        char *rest = names + 1;
        do {
            const size_t n = strcspn(rest, ",");
            found = found || (n == strlen(controller) && strncmp(rest, controller, n) == 0);
            rest += n + (rest[n] == ',');
        } while (*rest);
        if (found)
            snprintf(path, room, "%s", group);
    }
    fclose(f);
    return found;
}

typedef double (*limit_reader)(const char *folder);

/* Smallest limit from the process's group up to the root; a container often sees only the root's
 * folder. */
static double smallest(const char *root, const char *controller, limit_reader read, double limit)
{
    char group[2048], folder[4096];
    if (!group_path(root, controller, group, sizeof group))
        return limit;
    for (;;) {
        snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s%s", root, *controller ? "/" : "",
                 controller, strcmp(group, "/") == 0 ? "" : group);
        const double v = read(folder);
        limit = v > 0 && v < limit ? v : limit;
        char *slash = strrchr(group, '/');
        if (!slash || !*group)
            return limit;
        *slash = '\0';
    }
}

static double value_in(const char *folder, const char *name)
{
    char path[4200], text[64];
    double v = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_line(path, text, sizeof text) && lode_i_parse_f64(text, &v) && v > 0 ? v : 0;
}

static double cores_v2(const char *folder)
{
    char path[4200], text[64];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, text, sizeof text))
        return 0;
    char *space = strchr(text, ' ');
    if (!space)
        return 0;
    *space = '\0'; /* "max" is no number and no limit */
    return lode_i_parse_f64(text, &quota) && lode_i_parse_f64(space + 1, &period) && period > 0
               ? quota / period
               : 0;
}

static double cores_v1(const char *folder)
{
    const double quota = value_in(folder, "cpu.cfs_quota_us"),
                 period = value_in(folder, "cpu.cfs_period_us");
    return period > 0 ? quota / period : 0;
}

static double memory_v2(const char *folder)
{
    return value_in(folder, "memory.max");
}

static double memory_v1(const char *folder)
{
    return value_in(folder, "memory.limit_in_bytes");
}

/* Processors the scheduler may put this thread on. */
static int allowed_processors(void)
{
    for (int room = 1024; room <= 1 << 20; room *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)room);
        if (!set)
            break;
        const size_t size = CPU_ALLOC_SIZE((size_t)room);
        const bool fits = sched_getaffinity(0, size, set) == 0;
        const int count = fits ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    const int64_t online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < 1 << 20 ? (int)online : 1;
}

int lode_i_quota_cores(const char *root, int processors)
{
    double limit = processors;
    limit = smallest(root, "", cores_v2, limit);
    limit = smallest(root, "cpu", cores_v1, limit);
    const int whole = (int)limit; /* part of a core is used by one more thread */
    return (double)whole < limit ? whole + 1 : whole;
}

uint64_t lode_i_quota_memory(const char *root, double bytes)
{
    bytes = smallest(root, "", memory_v2, bytes);
    return (uint64_t)smallest(root, "memory", memory_v1, bytes);
}

bool lode_i_has_avx512(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

int lode_i_container_cores(void)
{
    return lode_i_quota_cores("", allowed_processors());
}

uint64_t lode_i_container_memory(void)
{
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    double limit = pages > 0 && page > 0 ? (double)pages * (double)page : 4e9;
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY &&
        (double)space.rlim_cur < limit)
        limit = (double)space.rlim_cur;
    return lode_i_quota_memory("", limit);
}

/* ---- shared libraries ---- */

void *lode_i_library_open(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void *lode_i_library_symbol(void *library, const char *symbol)
{
    return dlsym(library ? library : RTLD_NEXT, symbol);
}

/* ---- forks ---- */

void lode_i_at_fork(void (*before)(void), void (*after)(void))
{
    pthread_atfork(before, after,
                   after); /* fails for want of memory: then forks are as they were */
}
