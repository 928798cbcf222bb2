/* What the operating system does for base, on Windows: os.c for it, and the calls of windows.h. */
#include "base/state.h"

#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <windows.h>

#include "base/windows.h"

/* ---- what os.c tells elsewhere ---- */

double lode_i_seconds(void)
{
    LARGE_INTEGER now, each;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&each);
    return (double)now.QuadPart / (double)each.QuadPart;
}

const char *lode_i_errno_text(int error, char text[LODE_I_ERRNO])
{
    return strerror_s(text, LODE_I_ERRNO, error) == 0 ? text : "unknown error";
}

int lode_i_container_cores(void)
{
    SYSTEM_INFO about;
    GetSystemInfo(&about);
    return about.dwNumberOfProcessors > 0 ? (int)about.dwNumberOfProcessors : 1;
}

uint64_t lode_i_container_memory(void)
{
    MEMORYSTATUSEX about = { .dwLength = sizeof about };
    return GlobalMemoryStatusEx(&about) ? about.ullTotalPhys : UINT64_C(4000000000);
}

bool lode_i_has_avx512(void)
{
    return false; /* this compiler does not align its stack for such registers */
}

void *lode_i_library_open(const char *name)
{
    (void)name;
    return NULL; /* the core build has no library to look for */
}

void *lode_i_library_symbol(void *library, const char *symbol)
{
    (void)library, (void)symbol;
    return NULL;
}

/* ---- files ---- */

#undef open
#undef read
#undef write
#undef rename
#undef link
#undef unlink

static int failed(void)
{
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND: errno = ENOENT; break;
    case ERROR_PATH_NOT_FOUND: errno = ENOTDIR; break;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: errno = EEXIST; break;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION: errno = EACCES; break;
    case ERROR_HANDLE_DISK_FULL:
    case ERROR_DISK_FULL: errno = ENOSPC; break;
    case ERROR_NOT_SUPPORTED:
    case ERROR_INVALID_FUNCTION: errno = ENOSYS; break;
    default: errno = EIO;
    }
    return -1;
}

/* As POSIX has it, an open file may be renamed, replaced and removed. */
int lode_i_win_open(const char *path, int flags, ...)
{
    const int way = flags & (O_RDONLY | O_WRONLY | O_RDWR);
    const DWORD access = way == O_RDONLY   ? GENERIC_READ
                         : way == O_WRONLY ? GENERIC_WRITE
                                           : GENERIC_READ | GENERIC_WRITE;
    const DWORD make = !(flags & O_CREAT) ? OPEN_EXISTING
                       : flags & O_EXCL   ? CREATE_NEW
                                          : OPEN_ALWAYS;
    const HANDLE h = CreateFileA(path, access,
                                 FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, make,
                                 FILE_ATTRIBUTE_NORMAL, NULL);
    if (h == INVALID_HANDLE_VALUE)
        return failed();
    const int fd = _open_osfhandle((intptr_t)h, O_BINARY | O_NOINHERIT);
    if (fd < 0)
        CloseHandle(h);
    return fd;
}

int64_t lode_i_win_read(int fd, void *bytes, size_t size)
{
    return read(fd, bytes, (unsigned)size); /* at most 2^30 */
}

int64_t lode_i_win_write(int fd, const void *bytes, size_t size)
{
    return write(fd, bytes, (unsigned)size);
}

static OVERLAPPED at(int64_t offset)
{
    return (OVERLAPPED){ .Offset = (DWORD)offset, .OffsetHigh = (DWORD)((uint64_t)offset >> 32) };
}

int64_t lode_i_win_pread(int fd, void *bytes, size_t size, int64_t offset)
{
    OVERLAPPED place = at(offset);
    DWORD done = 0;
    if (ReadFile((HANDLE)_get_osfhandle(fd), bytes, (DWORD)size, &done, &place))
        return done;
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : failed();
}

int64_t lode_i_win_pwrite(int fd, const void *bytes, size_t size, int64_t offset)
{
    OVERLAPPED place = at(offset);
    DWORD done = 0;
    return WriteFile((HANDLE)_get_osfhandle(fd), bytes, (DWORD)size, &done, &place) ? (int64_t)done
                                                                                    : failed();
}

int lode_i_win_fsync(int fd)
{
    return FlushFileBuffers((HANDLE)_get_osfhandle(fd)) ? 0 : failed();
}

int lode_i_win_rename(const char *from, const char *to)
{
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) ? 0 : failed();
}

/* Only to put a file where none may be yet: its old name is gone then, which nobody minds. */
int lode_i_win_link(const char *from, const char *to)
{
    return MoveFileExA(from, to, 0) ? 0 : failed();
}

int lode_i_win_unlink(const char *path)
{
    return DeleteFileA(path) ? 0 : failed();
}

int lode_i_win_kill(pid_t process, int signal)
{
    (void)signal;
    const HANDLE h = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)process);
    if (!h)
        errno = GetLastError() == ERROR_INVALID_PARAMETER ? ESRCH : EPERM;
    else
        CloseHandle(h);
    return h ? 0 : -1;
}

int glob(const char *pattern, int flags, void *none, glob_t *found)
{
    WIN32_FIND_DATAA one;
    size_t folder = 0;
    (void)flags, (void)none;
    *found = (glob_t){ 0 };
    for (size_t i = 0; pattern[i]; i++)
        if (strchr(LODE_I_SLASHES, pattern[i]))
            folder = i + 1;
    const HANDLE h = FindFirstFileA(pattern, &one);
    if (h == INVALID_HANDLE_VALUE)
        return GLOB_NOMATCH;
    bool room = true;
    do {
        const size_t n = strlen(one.cFileName) + 1;
        char **more = realloc(found->gl_pathv, (found->gl_pathc + 1) * sizeof *more);
        char *path = malloc(folder + n);
        room = more && path;
        found->gl_pathv = more ? more : found->gl_pathv;
        if (room) {
            memcpy(path, pattern, folder);
            memcpy(path + folder, one.cFileName, n);
            found->gl_pathv[found->gl_pathc++] = path;
        } else {
            free(path);
        }
    } while (room && FindNextFileA(h, &one));
    FindClose(h);
    return room ? 0 : GLOB_NOSPACE;
}

void globfree(glob_t *found)
{
    for (size_t i = 0; i < found->gl_pathc; i++)
        free(found->gl_pathv[i]);
    free(found->gl_pathv);
    *found = (glob_t){ 0 };
}

/* There are no forks. */
void lode_i_at_fork(void (*before)(void), void (*after)(void))
{
    (void)before, (void)after;
}
