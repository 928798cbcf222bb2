/* Input files: positional reads, which several threads may make at once. What cannot be read by
 * position (standard input, a pipe, a device) is first read whole into budgeted memory. */
#include "base/state.h"

#include <errno.h>
#include <string.h>

#include "base/system.h"

enum { SPOOL = 1 << 20, ONCE = 1 << 30 };

struct lode_infile {
    _Atomic int64_t references;
    int descriptor; /* -1: spooled */
    bool growing;
    uint64_t size;
    char *path;
    char *memory;
};

static lode_status create(lode_ctx *ctx, const char *path, lode_infile **f)
{
    lode_infile *g = NULL;
    char *name = NULL;
    LODE_FORWARD(lode_i_strdup(ctx, path, &name));
    const lode_status st = LODE_NEW(ctx, 1, &g);
    if (st < 0) {
        lode_i_free(name);
        return st;
    }
    *g = (lode_infile){ .descriptor = -1, .path = name };
    atomic_init(&g->references, 1);
    *f = g;
    return LODE_OK;
}

static lode_status failed(lode_ctx *ctx, const char *path, const char *what, int error)
{
    char text[LODE_I_ERRNO];
    return lode_i_fail(ctx, LODE_EIO, "%s: %s: %s", path, what, lode_i_errno_text(error, text));
}

static lode_status spool(lode_ctx *ctx, int descriptor, lode_infile *f)
{
    size_t room = 0, size = 0;
    for (;;) {
        if (size == room) {
            room = room ? 2 * room : SPOOL;
            void *p = f->memory;
            const lode_status st = lode_i_realloc(ctx, room, &p);
            if (st < 0) {
                lode_i_prefix(ctx, "%s is read into memory, as it has no positions: ", f->path);
                return st;
            }
            f->memory = p;
        }
        const ssize_t n = read(descriptor, f->memory + size,
                               room - size < ONCE ? room - size : ONCE);
        if (n < 0 && errno != EINTR)
            return failed(ctx, f->path, "reading failed", errno);
        if (n == 0)
            break;
        size += n > 0 ? (size_t)n : 0;
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    f->size = size;
    return LODE_OK;
}

lode_status lode_i_infile_over(lode_ctx *ctx, int descriptor, const char *path, bool growing,
                               lode_infile **f)
{
    lode_status st = LODE_OK;
    lode_infile *g = NULL;
    struct stat about;
    LODE_TRY(create(ctx, path, &g));
    if (fstat(descriptor, &about) != 0) {
        st = failed(ctx, path, "cannot be examined", errno);
        goto done;
    }
    LODE_REQUIRE(!S_ISDIR(about.st_mode), LODE_EUSAGE, "%s is a folder; name a file in it", path);
    if (S_ISREG(about.st_mode)) {
        g->size = (uint64_t)about.st_size;
        g->growing = growing;
        g->descriptor = descriptor;
        descriptor = -1;
    } else {
        LODE_TRY(spool(ctx, descriptor, g));
    }
    *f = g;
    g = NULL;
done:
    lode_i_infile_close(g);
    if (descriptor >= 0)
        close(descriptor);
    return st;
}

lode_status lode_i_infile_open(lode_ctx *ctx, const char *path, lode_infile **f)
{
    if (strcmp(path, "-") == 0) {
        lode_infile *g = NULL;
        LODE_FORWARD(create(ctx, "standard input", &g));
        const lode_status st = spool(ctx, STDIN_FILENO, g);
        if (st < 0)
            lode_i_infile_close(g);
        else
            *f = g;
        return st;
    }
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR))
        return lode_i_fail(ctx, LODE_ENOENT, "%s: no such file", path);
    if (descriptor < 0)
        return failed(ctx, path, "cannot be opened", errno);
    return lode_i_infile_over(ctx, descriptor, path, false, f);
}

lode_status lode_i_infile_memory(lode_ctx *ctx, const char *path, void **bytes, uint64_t size,
                                 lode_infile **f)
{
    lode_infile *g = NULL;
    LODE_FORWARD(create(ctx, path, &g));
    g->memory = *bytes, g->size = size;
    *bytes = NULL;
    *f = g;
    return LODE_OK;
}

lode_infile *lode_i_infile_ref(lode_infile *f)
{
    if (f)
        atomic_fetch_add_explicit(&f->references, 1, memory_order_relaxed);
    return f;
}

void lode_i_infile_close(lode_infile *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->references, 1, memory_order_acq_rel) > 1)
        return;
    if (f->descriptor >= 0)
        close(f->descriptor);
    lode_i_free(f->memory);
    lode_i_free(f->path);
    lode_i_free(f);
}

uint64_t lode_i_infile_size(const lode_infile *f)
{
    struct stat about;
    if (f->growing && fstat(f->descriptor, &about) == 0)
        return (uint64_t)about.st_size;
    return f->size;
}

const char *lode_i_infile_path(const lode_infile *f)
{
    return f->path;
}

static lode_status became_shorter(lode_ctx *ctx, const lode_infile *f, uint64_t had, uint64_t has)
{
    return lode_i_fail(ctx, LODE_EIO,
                       "%s had %" PRIu64 " bytes when it was opened and ends at byte %" PRIu64
                       " now: something else is changing it",
                       f->path, had, has);
}

lode_status lode_i_infile_holds(lode_ctx *ctx, const lode_infile *f, uint64_t end)
{
    struct stat about;
    if (f->descriptor < 0)
        return LODE_OK;
    if (fstat(f->descriptor, &about) != 0)
        return failed(ctx, f->path, "cannot be examined", errno);
    return (uint64_t)about.st_size < end
               ? became_shorter(ctx, f, end > f->size ? end : f->size, (uint64_t)about.st_size)
               : LODE_OK;
}

lode_status lode_i_infile_read(lode_ctx *ctx, lode_infile *f, uint64_t offset, void *bytes,
                               size_t size)
{
    const uint64_t end = lode_i_infile_size(f);
    if (offset > end || size > end - offset)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "%s ends at byte %" PRIu64
                           ", but %zu bytes are expected at byte %" PRIu64
                           ": it is damaged or cut short",
                           f->path, end, size, offset);
    if (f->descriptor < 0) {
        if (size > 0)
            memcpy(bytes, f->memory + offset, size);
        return LODE_OK;
    }
    char *to = bytes;
    while (size > 0) {
        const ssize_t n = pread(f->descriptor, to, size < ONCE ? size : ONCE, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(ctx, f->path, "reading failed", errno);
        if (n == 0)
            return became_shorter(ctx, f, end, offset);
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    /* A cut zeroes the rest of its page before the bytes that were being read are out of it. */
    return lode_i_infile_holds(ctx, f, offset);
}
