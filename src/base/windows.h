/* The calls of POSIX that base makes, over those of Windows (windows.c). Paths are taken in the
 * code page of the process, with either slash. */
#ifndef LODE_BASE_WINDOWS_H
#define LODE_BASE_WINDOWS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* Every file is binary, and no program started from here gets it. */
#define O_CLOEXEC (O_BINARY | O_NOINHERIT)
#define O_NOCTTY 0
#define O_DIRECTORY 0
#define O_NOFOLLOW 0
#define O_NONBLOCK 0
#ifndef EDQUOT
#define EDQUOT ENOSPC
#endif
#define LODE_I_SLASHES "/\\"
#define LODE_I_TEMPORARY "."

int lode_i_win_open(const char *path, int flags, ...);
int64_t lode_i_win_read(int fd, void *bytes, size_t size);
int64_t lode_i_win_write(int fd, const void *bytes, size_t size);
int64_t lode_i_win_pread(int fd, void *bytes, size_t size, int64_t offset);
int64_t lode_i_win_pwrite(int fd, const void *bytes, size_t size, int64_t offset);
int lode_i_win_fsync(int fd);
int lode_i_win_rename(const char *from, const char *to);
int lode_i_win_link(const char *from, const char *to);
int lode_i_win_unlink(const char *path);
int lode_i_win_kill(pid_t process, int signal); /* of signal 0: whether the process is there */
#define open lode_i_win_open
#define read lode_i_win_read
#define write lode_i_win_write
#define pread lode_i_win_pread
#define pwrite lode_i_win_pwrite
#define fsync lode_i_win_fsync
#define rename lode_i_win_rename
#define link lode_i_win_link
#define unlink lode_i_win_unlink
#define kill lode_i_win_kill
#define mkdir(path, mode) mkdir(path)

/* Links are left to the system, and so is who may read a file. */
static inline char *realpath(const char *path, char *room)
{
    (void)path;
    return room;
}
static inline int fchmod(int fd, mode_t mode)
{
    (void)fd, (void)mode;
    return 0;
}
enum { F_DUPFD_CLOEXEC };
static inline int fcntl(int fd, int command, int least)
{
    (void)command, (void)least;
    return dup(fd);
}

/* Two calls at one checkpoint are not kept apart. */
enum { LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8 };
static inline int flock(int fd, int how)
{
    (void)fd, (void)how;
    return 0;
}
#define fdatasync lode_i_win_fsync

/* No thread is sent a signal. */
typedef int sigset_t;
#ifndef SIG_SETMASK
#define SIG_SETMASK 0
#endif
static inline int sigfillset(sigset_t *set)
{
    return *set = 0;
}
#undef pthread_sigmask
static inline int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    (void)how, (void)set;
    if (before)
        *before = 0;
    return 0;
}

/* Names that match a pattern whose last part alone has * and ?. */
typedef struct glob_t {
    size_t gl_pathc;
    char **gl_pathv;
} glob_t;
enum { GLOB_NOMATCH = 1, GLOB_NOSPACE };
int glob(const char *pattern, int flags, void *none, glob_t *found);
void globfree(glob_t *found);

#endif
