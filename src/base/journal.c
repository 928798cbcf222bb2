/* Journals: what a call that was killed has done, record after record, for the next one to go on from.
 *
 *   file    magic, size of the identity, the identity, checksum of both
 *   record  size of the payload, checksum of (size, number of the record); payload; checksum of it
 *
 * Sizes and checksums are 64-bit, little-endian as the machine is; a journal does not travel. A record
 * counts when it is whole, so whatever a kill left half done is cut off. */
#include "base/state.h"

#include <errno.h>
#include <string.h>

#include "base/system.h"

enum { PIECE = 1 << 18, HEAD = 16 };
static const char magic[16] = "lode journal 1\n";
#define SYNC_SECONDS 5.0
#define DUE_SECONDS 5.0 /* and as much again for so many bytes */
#define DUE_BYTES 1e8

struct lode_journal {
    int descriptor;
    char *path;
    unsigned char *piece; /* bytes on their way, so that checksums run over fixed pieces */
    size_t filled;
    uint64_t at;       /* end of the whole records that were used or written */
    uint64_t end;      /* end of the file, while records are left in it */
    uint64_t size;     /* payload of the record that is being read or written */
    uint64_t done;     /* bytes of it */
    uint64_t number;   /* of the next record */
    uint64_t sum;      /* of the pieces so far */
    bool left;         /* records may be left */
    bool decoded;      /* what is decoded is kept too */
    double when, last; /* of the last sync, of the last record */
};

static lode_status failed(lode_ctx *ctx, const char *path, const char *what)
{
    char text[LODE_I_ERRNO];
    return lode_i_fail(ctx, LODE_EIO, "checkpoint %s: %s: %s", path, what,
                       lode_i_errno_text(errno, text));
}

/* Bytes at a place, as many as there are. */
static lode_status get(lode_ctx *ctx, lode_journal *j, uint64_t at, void *bytes, size_t size,
                       size_t *got)
{
    for (*got = 0; *got < size;) {
        const ssize_t n = pread(j->descriptor, (char *)bytes + *got, size - *got,
                                (off_t)(at + *got));
        if (n == 0)
            return LODE_OK;
        if (n < 0 && errno != EINTR)
            return failed(ctx, j->path, "reading failed");
        *got += n > 0 ? (size_t)n : 0;
    }
    return LODE_OK;
}

static lode_status put(lode_ctx *ctx, lode_journal *j, uint64_t at, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(j->descriptor, (const char *)bytes + done, size - done,
                                 (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return failed(ctx, j->path, "writing failed");
        done += n > 0 ? (size_t)n : 0;
    }
    return LODE_OK;
}

/* ---- the identity ---- */

/* The first line that differs, as "now, not before". */
static lode_status refuse(lode_ctx *ctx, const char *path, const char *before, const char *now)
{
    const char *a = before, *b = now;
    for (;;) {
        const size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        if (n != m || memcmp(a, b, n) != 0)
            return lode_i_fail(ctx, LODE_EUSAGE,
                               "checkpoint %s is of another call: it has '%.*s', this one '%.*s'; "
                               "give what it was begun with, or another file",
                               path, (int)(n < 200 ? n : 200), a, (int)(m < 200 ? m : 200), b);
        a += n + (a[n] != 0), b += m + (b[m] != 0);
        if (!*a && !*b) /* differ in nothing that is a line */
            return lode_i_fail(ctx, LODE_EUSAGE, "checkpoint %s is of another call", path);
    }
}

static lode_status begin_file(lode_ctx *ctx, lode_journal *j, const char *identity)
{
    lode_status st = LODE_OK;
    lode_text t = { 0 };
    const uint64_t size = strlen(identity);
    LODE_TRY(lode_i_text_bytes(ctx, &t, magic, sizeof magic));
    LODE_TRY(lode_i_text_bytes(ctx, &t, (const char *)&size, sizeof size));
    LODE_TRY(lode_i_text_bytes(ctx, &t, identity, (size_t)size));
    const uint64_t sum = lode_i_checksum(t.text, t.size, 0);
    LODE_TRY(lode_i_text_bytes(ctx, &t, (const char *)&sum, sizeof sum));
    if (ftruncate(j->descriptor, 0) != 0)
        LODE_TRY(failed(ctx, j->path, "cannot be begun"));
    LODE_TRY(put(ctx, j, 0, t.text, t.size));
    j->at = t.size;
    j->left = false;
done:
    lode_i_text_free(&t);
    return st;
}

/* *whole false: a kill left the head half written. */
static lode_status read_file(lode_ctx *ctx, lode_journal *j, const char *identity, bool *whole)
{
    lode_status st = LODE_OK;
    char head[sizeof magic], *text = NULL;
    uint64_t size = 0, sum = 0;
    size_t got = 0;
    *whole = false;
    LODE_TRY(get(ctx, j, 0, head, sizeof head, &got));
    LODE_REQUIRE(memcmp(head, magic, got) == 0, LODE_EUSAGE,
                 "%s exists and is no checkpoint; name another file", j->path);
    LODE_TRY(get(ctx, j, sizeof magic, &size, sizeof size, &got));
    if (got < sizeof size || size > j->end || j->end - size < sizeof magic + 2 * sizeof size)
        goto done;
    const size_t all = sizeof magic + sizeof size + (size_t)size;
    LODE_TRY(lode_i_calloc(ctx, all + 1, (void **)&text));
    LODE_TRY(get(ctx, j, 0, text, all, &got));
    LODE_TRY(get(ctx, j, all, &sum, sizeof sum, &got));
    if (got < sizeof sum || sum != lode_i_checksum(text, all, 0))
        goto done;
    const char *before = text + sizeof magic + sizeof size;
    if (strcmp(before, identity) != 0)
        LODE_TRY(refuse(ctx, j->path, before, identity));
    j->at = all + sizeof sum;
    j->left = *whole = true;
done:
    lode_i_free(text);
    return st;
}

lode_status lode_i_journal_open(lode_ctx *ctx, const char *path, const char *identity,
                                lode_journal **journal)
{
    lode_status st = LODE_OK;
    lode_journal *j = NULL;
    struct stat about;
    bool whole = false;
    LODE_TRY(LODE_NEW(ctx, 1, &j));
    *j = (lode_journal){ .descriptor = -1 };
    j->when = j->last = lode_i_seconds();
    LODE_TRY(lode_i_strdup(ctx, path, &j->path));
    LODE_TRY(LODE_NEW(ctx, PIECE, &j->piece));
    j->descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (j->descriptor < 0 || fstat(j->descriptor, &about) != 0)
        LODE_TRY(failed(ctx, path, "cannot be opened"));
    LODE_REQUIRE(S_ISREG(about.st_mode), LODE_EUSAGE, "checkpoint %s is no ordinary file", path);
    LODE_REQUIRE(flock(j->descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK, LODE_EUSAGE,
                 "checkpoint %s is in use by a call that is running", path);
    j->end = (uint64_t)about.st_size;
    if (j->end > 0)
        LODE_TRY(read_file(ctx, j, identity, &whole));
    if (!whole)
        LODE_TRY(begin_file(ctx, j, identity));
    *journal = j;
    j = NULL;
done:
    lode_i_journal_close(&j);
    return st;
}

void lode_i_journal_close(lode_journal **journal)
{
    lode_journal *j = *journal;
    *journal = NULL;
    if (!j)
        return;
    if (j->descriptor >= 0)
        close(j->descriptor);
    lode_i_free(j->piece);
    lode_i_free(j->path);
    lode_i_free(j);
}

lode_status lode_i_journal_remove(lode_ctx *ctx, const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? LODE_OK : failed(ctx, path, "cannot be removed");
}

/* ---- records left ---- */

static lode_status check_payload(lode_ctx *ctx, lode_journal *j, uint64_t at, uint64_t size,
                                 bool *whole)
{
    uint64_t sum = j->number, said = 0;
    size_t got = 0;
    for (uint64_t done = 0; done < size; done += got) {
        const size_t n = size - done < PIECE ? (size_t)(size - done) : PIECE;
        LODE_FORWARD(get(ctx, j, at + done, j->piece, n, &got));
        if (got < n)
            return LODE_OK;
        sum = lode_i_checksum(j->piece, n, sum);
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    LODE_FORWARD(get(ctx, j, at + size, &said, sizeof said, &got));
    *whole = got == sizeof said && said == sum;
    return LODE_OK;
}

lode_status lode_i_journal_next(lode_ctx *ctx, lode_journal *j, int64_t *size)
{
    uint64_t head[2];
    size_t got = 0;
    bool whole = false;
    *size = -1;
    if (!j->left)
        return LODE_OK;
    LODE_FORWARD(get(ctx, j, j->at, head, sizeof head, &got));
    if (got == sizeof head && head[1] == lode_i_checksum(head, sizeof *head, j->number) &&
        head[0] <= j->end)
        LODE_FORWARD(check_payload(ctx, j, j->at + HEAD, head[0], &whole));
    if (!whole) {
        j->left = false;
        return ftruncate(j->descriptor, (off_t)j->at) == 0
                   ? LODE_OK
                   : failed(ctx, j->path, "cannot be cut off");
    }
    j->size = head[0], j->done = 0;
    *size = (int64_t)head[0];
    return LODE_OK;
}

lode_status lode_i_journal_read(lode_ctx *ctx, lode_journal *j, void *bytes, size_t size)
{
    size_t got = 0;
    if (size > j->size - j->done)
        return lode_i_fail(ctx, LODE_EINTERNAL, "a checkpoint's record is read past its end");
    LODE_FORWARD(get(ctx, j, j->at + HEAD + j->done, bytes, size, &got));
    if (got < size)
        return lode_i_fail(ctx, LODE_EIO, "checkpoint %s was cut while it was read", j->path);
    j->done += size;
    return LODE_OK;
}

void lode_i_journal_take(lode_journal *j)
{
    j->at += HEAD + j->size + sizeof(uint64_t);
    j->number++;
}

lode_i_place lode_i_journal_place(const lode_journal *j)
{
    return (lode_i_place){ j->at, j->number };
}

void lode_i_journal_return(lode_journal *j, lode_i_place place)
{
    j->left = j->left || place.at != j->at;
    j->at = place.at, j->number = place.number;
}

/* ---- new ones ---- */

lode_status lode_i_journal_begin(lode_ctx *ctx, lode_journal *j, uint64_t size)
{
    uint64_t head[2] = { size, 0 };
    if (j->left && ftruncate(j->descriptor, (off_t)j->at) != 0)
        return failed(ctx, j->path, "cannot be cut off");
    j->left = false;
    head[1] = lode_i_checksum(head, sizeof *head, j->number);
    j->size = size, j->done = 0, j->filled = 0, j->sum = j->number;
    return put(ctx, j, j->at, head, sizeof head);
}

static lode_status flush(lode_ctx *ctx, lode_journal *j)
{
    LODE_FORWARD(put(ctx, j, j->at + HEAD + j->done, j->piece, j->filled));
    j->sum = lode_i_checksum(j->piece, j->filled, j->sum);
    j->done += j->filled;
    j->filled = 0;
    return LODE_OK;
}

lode_status lode_i_journal_write(lode_ctx *ctx, lode_journal *j, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    while (size > 0) {
        const size_t n = size < PIECE - j->filled ? size : PIECE - j->filled;
        memcpy(j->piece + j->filled, p, n);
        j->filled += n, p += n, size -= n;
        if (j->filled == PIECE)
            LODE_FORWARD(flush(ctx, j));
    }
    return LODE_OK;
}

lode_status lode_i_journal_end(lode_ctx *ctx, lode_journal *j)
{
    if (j->filled > 0)
        LODE_FORWARD(flush(ctx, j));
    if (j->done != j->size)
        return lode_i_fail(ctx, LODE_EINTERNAL, "a checkpoint's record has another size than said");
    LODE_FORWARD(put(ctx, j, j->at + HEAD + j->size, &j->sum, sizeof j->sum));
    lode_i_journal_take(j);
    const double now = j->last = lode_i_seconds();
    if (now - j->when > SYNC_SECONDS) { /* a kill loses nothing; a power cut no more than this */
        j->when = now;
        if (fdatasync(j->descriptor) != 0 && errno != EINVAL)
            return failed(ctx, j->path, "writing failed");
    }
    return LODE_OK;
}

/* ---- the one of the call under way ---- */

lode_status lode_i_checkpoint_start(lode_ctx *ctx, const char *identity)
{
    struct lode_state *s = ctx->state;
    if (!s || !ctx->checkpoint || s->in_task || s->journal) /* a call within one that keeps it */
        return LODE_OK;
    return lode_i_journal_open(ctx, ctx->checkpoint, identity, &s->journal);
}

lode_journal *lode_i_checkpoint(const lode_ctx *ctx)
{
    const struct lode_state *s = ctx->state;
    return s && !s->in_task && !s->journal_paused ? s->journal : NULL;
}

bool lode_i_checkpoint_pause(lode_ctx *ctx, bool paused)
{
    const bool before = ctx->state && ctx->state->journal_paused;
    if (ctx->state)
        ctx->state->journal_paused = paused;
    return before;
}

bool lode_i_checkpoint_due(const lode_ctx *ctx, double bytes)
{
    const lode_journal *j = lode_i_checkpoint(ctx);
    const double due = DUE_SECONDS * (1 + bytes / DUE_BYTES);
    return j && (ctx->state->tick_always || lode_i_seconds() - j->last > due);
}

void lode_i_checkpoint_give_up(lode_ctx *ctx)
{
    lode_journal *j = lode_i_checkpoint(ctx);
    if (!j)
        return;
    (void)!ftruncate(j->descriptor, (off_t)j->at);
    lode_i_log(ctx, "%s; the call goes on, and what it does from here on is not kept",
               lode_message(ctx));
    lode_i_journal_close(&ctx->state->journal);
}

void lode_i_checkpoint_decoded(lode_ctx *ctx, bool kept)
{
    lode_journal *j = lode_i_checkpoint(ctx);
    if (j)
        j->decoded = kept;
}

bool lode_i_checkpoint_keeps_decoded(const lode_ctx *ctx)
{
    const lode_journal *j = lode_i_checkpoint(ctx);
    return j && j->decoded;
}

void lode_i_checkpoint_taken(lode_ctx *ctx)
{
    /* what an earlier run left was done in no time */
    ctx->state->stage_began = lode_i_seconds();
    ctx->state->stage_from = ctx->state->fraction;
}

lode_status lode_checkpoint_remove(lode_ctx *ctx)
{
    return ctx->checkpoint ? lode_i_journal_remove(ctx, ctx->checkpoint) : LODE_OK;
}
