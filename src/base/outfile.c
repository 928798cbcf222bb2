/* Output files that appear whole or not at all: a temporary ".NAME.lode-tmp-PID-N" beside the
 * target, synced and renamed. What cannot be renamed to (standard output, a device, a pipe) gets a
 * copy of the temporary at commit. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* renameat2: a rename that never replaces */
#endif
#include "base/state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum { BUFFER = 1 << 17, ONCE = 1 << 30, NAME_KEPT = 180, TRIES = 10000 };

typedef enum outfile_kind { RENAMED, COPIED, SCRATCH } outfile_kind;

struct lode_outfile {
    int descriptor;
    outfile_kind kind;
    bool force;
    bool synced;     /* nothing is left to do but the rename */
    mode_t mode;     /* of the file that is replaced; 0: none */
    uint64_t size;   /* written so far, what is still in the buffer included */
    size_t pending;  /* bytes of it in the buffer */
    char *label;     /* as the caller named it */
    char *target;    /* links resolved */
    char *temporary; /* "" once unlinked */
    char *buffer;
};

static lode_status failed(lode_ctx *ctx, const lode_outfile *f, const char *what, int error)
{
    char text[LODE_I_ERRNO];
    if (error == ENOSPC || error == EDQUOT)
        return lode_i_fail(ctx, LODE_EIO, "%s: no space left writing %s (%s)", f->label,
                           *f->temporary ? f->temporary : f->label, lode_i_errno_text(error, text));
    return lode_i_fail(ctx, LODE_EIO, "%s: %s: %s", f->label, what, lode_i_errno_text(error, text));
}

/* Bytes of path up to and with its last slash. */
static size_t folder_size(const char *path)
{
    size_t n = 0;
    for (size_t i = 0; path[i]; i++)
        n = strchr(LODE_I_SLASHES, path[i]) ? i + 1 : n;
    return n;
}

static void release(lode_outfile *f)
{
    if (!f)
        return;
    if (f->descriptor >= 0)
        close(f->descriptor);
    if (f->temporary && *f->temporary)
        unlink(f->temporary);
    lode_i_free(f->buffer);
    lode_i_free(f->temporary);
    lode_i_free(f->target);
    lode_i_free(f->label);
    lode_i_free(f);
}

static lode_status create(lode_ctx *ctx, const char *label, outfile_kind kind, lode_outfile **f)
{
    lode_status st = LODE_OK;
    lode_outfile *g = NULL;
    LODE_TRY(LODE_NEW(ctx, 1, &g));
    *g = (lode_outfile){ .descriptor = -1, .kind = kind };
    LODE_TRY(lode_i_strdup(ctx, label, &g->label));
    if (kind != SCRATCH)
        LODE_TRY(LODE_NEW(ctx, BUFFER, &g->buffer));
    *f = g;
    g = NULL;
done:
    release(g);
    return st;
}

/* A new file of its own in the folder, whoever else makes one there at the same time. */
static lode_status make_temporary(lode_ctx *ctx, lode_outfile *f, const char *folder,
                                  size_t folder_length, const char *name)
{
    const size_t room = folder_length + NAME_KEPT + 64;
    LODE_FORWARD(LODE_NEW(ctx, (int64_t)room, &f->temporary));
    const size_t start = folder_length + 1;
    snprintf(f->temporary, room, "%.*s", (int)folder_length, folder);
    snprintf(f->temporary + start, room - start, ".%.*s.lode-tmp-", (int)NAME_KEPT, name);
    lode_i_strays_remove(f->temporary, f->temporary + start);
    for (int n = 0; n < TRIES; n++) {
        snprintf(f->temporary, room, "%.*s.%.*s.lode-tmp-%jd-%d", (int)folder_length, folder,
                 (int)NAME_KEPT, name, (intmax_t)getpid(), n);
        f->descriptor = open(f->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->descriptor >= 0) {
            (void)!flock(f->descriptor, LOCK_EX | LOCK_NB); /* in use: stray.c leaves it alone */
            return LODE_OK;
        }
        if (errno != EEXIST)
            break;
    }
    const int error = errno;
    *f->temporary = '\0';
    if (error == ENOENT || error == ENOTDIR)
        return lode_i_fail(ctx, LODE_ENOENT, "%s: there is no folder %.*s", f->label,
                           (int)folder_length, folder);
    return failed(ctx, f, "cannot be created", error);
}

/* Where a rename must go so that a link to a file goes on being one. */
static lode_status resolve(lode_ctx *ctx, lode_outfile *f, const char *path)
{
    char *real = realpath(path, NULL);
    const lode_status st = lode_i_strdup(ctx, real ? real : path, &f->target);
    free(real);
    return st;
}

lode_status lode_i_outfile_open(lode_ctx *ctx, const char *path, bool force, lode_outfile **f)
{
    lode_status st = LODE_OK;
    lode_outfile *g = NULL;
    struct stat about = { 0 };
    const bool standard = strcmp(path, "-") == 0;
    const bool exists = !standard && stat(path, &about) == 0;
    LODE_REQUIRE(*path, LODE_EUSAGE, "the name of an output is empty");
    LODE_REQUIRE(!exists || !S_ISDIR(about.st_mode), LODE_EUSAGE,
                 "%s is a folder; name a file in it", path);
    const bool copied = standard || (exists && !S_ISREG(about.st_mode));
    LODE_REQUIRE(copied || !exists || force, LODE_EEXIST, "%s exists; --force replaces it", path);

    LODE_TRY(create(ctx, standard ? "standard output" : path, copied ? COPIED : RENAMED, &g));
    g->force = force;
    if (copied) {
        const char *folder = ctx->scratch ? ctx->scratch : LODE_I_TEMPORARY;
        char place[PATH_MAX];
        const int n = snprintf(place, sizeof place, "%s/", folder);
        LODE_REQUIRE(n > 0 && (size_t)n < sizeof place, LODE_EUSAGE,
                     "the scratch folder's name is too long");
        LODE_TRY(lode_i_strdup(ctx, path, &g->target));
        LODE_TRY(make_temporary(ctx, g, place, (size_t)n, "output"));
    } else {
        g->mode = exists ? about.st_mode & 07777 : 0;
        LODE_TRY(resolve(ctx, g, path));
        const size_t folder = folder_size(g->target);
        LODE_REQUIRE(folder < PATH_MAX && g->target[folder], LODE_EUSAGE, "%s does not name a file",
                     path);
        LODE_TRY(make_temporary(ctx, g, g->target, folder, g->target + folder));
    }
    *f = g;
    g = NULL;
done:
    release(g);
    return st;
}

static lode_status write_at(lode_ctx *ctx, lode_outfile *f, uint64_t offset, const char *bytes,
                            size_t size)
{
    if (offset > (uint64_t)INT64_MAX || size > (uint64_t)INT64_MAX - offset)
        return failed(ctx, f, "writing failed", EFBIG);
    while (size > 0) {
        const ssize_t n = pwrite(f->descriptor, bytes, size < ONCE ? size : ONCE, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return failed(ctx, f, "writing failed", errno);
        if (n > 0) {
            bytes += n;
            offset += (uint64_t)n;
            size -= (size_t)n;
        }
    }
    return LODE_OK;
}

static lode_status flush(lode_ctx *ctx, lode_outfile *f)
{
    LODE_FORWARD(write_at(ctx, f, f->size - f->pending, f->buffer, f->pending));
    f->pending = 0;
    return LODE_OK;
}

lode_status lode_i_outfile_write(lode_ctx *ctx, lode_outfile *f, const void *bytes, size_t size)
{
    if (f->buffer && size < BUFFER) {
        if (size > BUFFER - f->pending)
            LODE_FORWARD(flush(ctx, f));
        if (size > 0)
            memcpy(f->buffer + f->pending, bytes, size);
        f->pending += size;
    } else {
        LODE_FORWARD(flush(ctx, f));
        LODE_FORWARD(write_at(ctx, f, f->size, bytes, size));
    }
    f->size += size;
    return LODE_OK;
}

lode_status lode_i_outfile_pwrite(lode_ctx *ctx, lode_outfile *f, uint64_t offset,
                                  const void *bytes, size_t size)
{
    LODE_FORWARD(flush(ctx, f));
    LODE_FORWARD(write_at(ctx, f, offset, bytes, size));
    f->size = f->size > offset + size ? f->size : offset + size;
    return LODE_OK;
}

lode_status lode_i_outfile_pread(lode_ctx *ctx, lode_outfile *f, uint64_t offset, void *bytes,
                                 size_t size)
{
    char *to = bytes;
    LODE_FORWARD(flush(ctx, f));
    while (size > 0) {
        const ssize_t n = pread(f->descriptor, to, size < ONCE ? size : ONCE, (off_t)offset);
        if (n < 0 && errno != EINTR)
            return failed(ctx, f, "reading back failed", errno);
        if (n == 0)
            break;
        if (n > 0)
            to += n, offset += (uint64_t)n, size -= (size_t)n;
    }
    if (size > 0)
        memset(to, 0, size);
    return LODE_OK;
}

lode_status lode_i_outfile_resize(lode_ctx *ctx, lode_outfile *f, uint64_t size)
{
    LODE_FORWARD(flush(ctx, f));
    if (ftruncate(f->descriptor, (off_t)size) != 0)
        return failed(ctx, f, "writing failed", errno);
    f->size = size;
    return LODE_OK;
}

uint64_t lode_i_outfile_tell(const lode_outfile *f)
{
    return f->size;
}

const char *lode_i_outfile_temporary(const lode_outfile *f)
{
    (void)!flock(f->descriptor, LOCK_UN); /* a library that writes by path may want its own */
    return f->temporary;
}

/* A library that writes by path may have put another file in the temporary's place. */
static lode_status follow_path(lode_ctx *ctx, lode_outfile *f)
{
    struct stat held, named;
    if (fstat(f->descriptor, &held) != 0 || stat(f->temporary, &named) != 0)
        return failed(ctx, f, "the temporary is lost", errno);
    if (held.st_ino == named.st_ino && held.st_dev == named.st_dev)
        return LODE_OK;
    const int fresh = open(f->temporary, O_RDWR | O_CLOEXEC);
    if (fresh < 0)
        return failed(ctx, f, "the temporary is lost", errno);
    close(f->descriptor);
    f->descriptor = fresh;
    return LODE_OK;
}

static lode_status copy_out(lode_ctx *ctx, lode_outfile *f)
{
    const bool standard = strcmp(f->target, "-") == 0;
    const int to = standard ? STDOUT_FILENO : open(f->target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (to < 0)
        return failed(ctx, f, "cannot be opened", errno);
    lode_status st = LODE_OK;
    uint64_t at = 0;
    for (ssize_t have; st == LODE_OK; at += (uint64_t)have) {
        have = pread(f->descriptor, f->buffer, BUFFER, (off_t)at);
        if (have == 0)
            break;
        if (have < 0 && errno == EINTR)
            have = 0;
        else if (have < 0)
            st = failed(ctx, f, "reading the temporary failed", errno);
        for (ssize_t done = 0; st == LODE_OK && done < have;) {
            const ssize_t n = write(to, f->buffer + done, (size_t)(have - done));
            if (n < 0 && errno != EINTR)
                st = failed(ctx, f, "writing failed", errno);
            done += n > 0 ? n : 0;
        }
    }
    if (!standard && close(to) != 0 && st == LODE_OK)
        st = failed(ctx, f, "writing failed", errno);
    return st;
}

/* Without force a file that has appeared meanwhile must survive, so the test and the rename are one
 * step. */
static int move(const lode_outfile *f)
{
    if (f->force)
        return rename(f->temporary, f->target);
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->target, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != ENOSYS && errno != EINVAL && errno != ENOTSUP)
        return -1;
#endif
    if (link(f->temporary, f->target) != 0)
        return -1;
    unlink(f->temporary);
    return 0;
}

static lode_status sync_folder(lode_ctx *ctx, const lode_outfile *f)
{
    char folder[PATH_MAX];
    const size_t n = folder_size(f->target);
    memcpy(folder, n ? f->target : "./", n ? n : 2);
    folder[n ? n : 2] = '\0';
    const int d = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d < 0)
        return LODE_OK; /* a folder one may write to and not read cannot be synced */
    const int error = fsync(d) != 0 ? errno : 0;
    close(d);
    return error == EIO ? failed(ctx, f, "written, but its folder could not be synced", error)
                        : LODE_OK;
}

lode_status lode_i_outfile_sync(lode_ctx *ctx, lode_outfile *f)
{
    LODE_FORWARD(flush(ctx, f));
    LODE_FORWARD(follow_path(ctx, f));
    if (f->mode)
        (void)!fchmod(f->descriptor, f->mode); /* another's file: ours keeps the ordinary mode */
    if (f->kind == RENAMED && fsync(f->descriptor) != 0 && errno != EINVAL)
        return failed(ctx, f, "writing failed", errno);
    f->synced = true;
    return LODE_OK;
}

static lode_status put_in_place(lode_ctx *ctx, lode_outfile *f)
{
    const int closed = close(f->descriptor);
    f->descriptor = -1;
    if (closed != 0 && errno != EINTR)
        return failed(ctx, f, "writing failed", errno);
    if (move(f) != 0) {
        const int error = errno;
        if (error == EEXIST)
            return lode_i_fail(ctx, LODE_EEXIST,
                               "%s was created by something else meanwhile; --force replaces it",
                               f->label);
        return failed(ctx, f, "cannot be put in place", error);
    }
    *f->temporary = '\0';
    return sync_folder(ctx, f);
}

lode_status lode_i_outfile_commit(lode_ctx *ctx, lode_outfile **f)
{
    lode_status st = LODE_OK;
    lode_outfile *g = *f;
    *f = NULL;
    if (g->kind != SCRATCH) {
        if (!g->synced)
            LODE_TRY(lode_i_outfile_sync(ctx, g));
        LODE_TRY(g->kind == COPIED ? copy_out(ctx, g) : put_in_place(ctx, g));
    }
done:
    release(g);
    return st;
}

void lode_i_outfile_abandon(lode_outfile **f)
{
    release(*f);
    *f = NULL;
}

lode_status lode_i_scratch_open(lode_ctx *ctx, lode_outfile **f, lode_infile **reader)
{
    lode_status st = LODE_OK;
    lode_outfile *g = NULL;
    char place[PATH_MAX];
    LODE_REQUIRE(ctx->scratch, LODE_EBUDGET,
                 "this does not fit into the memory budget and needs disk: name a folder with "
                 "--scratch DIR");
    const int n = snprintf(place, sizeof place, "%s/", ctx->scratch);
    LODE_REQUIRE(n > 0 && (size_t)n < sizeof place, LODE_EUSAGE,
                 "the scratch folder's name is too long");
    LODE_TRY(create(ctx, "scratch file", SCRATCH, &g));
    LODE_TRY(make_temporary(ctx, g, place, (size_t)n, "scratch"));
    unlink(g->temporary);
    *g->temporary = '\0';
    const int second = fcntl(g->descriptor, F_DUPFD_CLOEXEC, 3);
    if (second < 0) {
        st = failed(ctx, g, "cannot be opened", errno);
        goto done;
    }
    LODE_TRY(lode_i_infile_over(ctx, second, "scratch file", true, reader));
    *f = g;
    g = NULL;
done:
    release(g);
    return st;
}

bool lode_i_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

lode_status lode_i_outfile_whole(lode_ctx *ctx, const char *path, bool force, const void *bytes,
                                 size_t size)
{
    lode_status st = LODE_OK;
    lode_outfile *file = NULL;
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, bytes, size));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    return st;
}
