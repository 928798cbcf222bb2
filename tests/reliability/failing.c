/* Preloaded into the command: the FAIL_AT-th call that changes a file's bytes or name fails, with
 * "no space left" or "input/output error" as FAIL_WITH says, and so do all after it when FAIL_ON is
 * set. The number of such calls is kept in the file FAIL_COUNT. Standard streams are left
 * alone, for the sentence. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic long calls;

/* The C library's own writes do not come by here. */
__attribute__((constructor)) static void tell(void)
{
    const char *path = getenv("FAIL_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f) {
        fprintf(f, "%ld\n", (long)calls);
        fclose(f);
    }
}

static int fails(int fd)
{
    const char *at = getenv("FAIL_AT"), *with = getenv("FAIL_WITH");
    if (fd >= 0 && fd <= 2)
        return 0;
    const long n = ++calls, want = at ? atol(at) : 0;
    tell();
    if (want == 0 || (getenv("FAIL_ON") ? n < want : n != want))
        return 0;
    errno = with && strcmp(with, "EIO") == 0 ? EIO : ENOSPC;
    return 1;
}

#define NEXT(type, name, types) ((type(*) types)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *b, size_t n)
{
    return fails(fd) ? -1 : NEXT(ssize_t, "write", (int, const void *, size_t))(fd, b, n);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t at)
{
    return fails(fd) ? -1
                     : NEXT(ssize_t, "pwrite", (int, const void *, size_t, off_t))(fd, b, n, at);
}
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at)
{
    return fails(fd)
               ? -1
               : NEXT(ssize_t, "pwrite64", (int, const void *, size_t, off64_t))(fd, b, n, at);
}
ssize_t writev(int fd, const struct iovec *v, int n)
{
    return fails(fd) ? -1 : NEXT(ssize_t, "writev", (int, const struct iovec *, int))(fd, v, n);
}
int ftruncate(int fd, off_t size)
{
    return fails(fd) ? -1 : NEXT(int, "ftruncate", (int, off_t))(fd, size);
}
int ftruncate64(int fd, off64_t size)
{
    return fails(fd) ? -1 : NEXT(int, "ftruncate64", (int, off64_t))(fd, size);
}
int fsync(int fd)
{
    return fails(fd) ? -1 : NEXT(int, "fsync", (int))(fd);
}
int fdatasync(int fd)
{
    return fails(fd) ? -1 : NEXT(int, "fdatasync", (int))(fd);
}
int rename(const char *from, const char *to)
{
    return fails(-1) ? -1 : NEXT(int, "rename", (const char *, const char *))(from, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return fails(-1) ? -1
                     : NEXT(int, "renameat2", (int, const char *, int, const char *, unsigned))(
                           a, from, b, to, flags);
}
int link(const char *from, const char *to)
{
    return fails(-1) ? -1 : NEXT(int, "link", (const char *, const char *))(from, to);
}
