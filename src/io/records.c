/* Rows and fields of tables as text (RFC 4180, and what is written in its place): a quoted field may
 * hold separators, newlines and quotes, written twice. */
#include "io/table.h"

#include <string.h>

enum { ROOM = 1 << 18 };

lode_status lode_i_records_open(lode_ctx *ctx, lode_infile *in, char by, uint64_t at, int64_t line,
                                lode_i_records *r)
{
    *r = (lode_i_records){
        .in = in, .by = by, .room = ROOM, .read = at, .size = lode_i_infile_size(in), .next = line
    };
    return lode_i_alloc(ctx, ROOM + 1, (void **)&r->buffer);
}

void lode_i_records_close(lode_i_records *r)
{
    lode_i_free(r->buffer);
    r->buffer = NULL;
}

/* More bytes behind those that are there; the buffer grows when one row fills it. */
static lode_status fill(lode_ctx *ctx, lode_i_records *r)
{
    memmove(r->buffer, r->buffer + r->from, r->to - r->from);
    r->to -= r->from, r->from = 0;
    if (r->to == r->room) {
        void *p = r->buffer;
        const lode_status st = lode_i_realloc(ctx, 2 * r->room + 1, &p);
        if (st < 0) {
            lode_i_prefix(ctx, "%s: the row at line %" PRId64 " has more than %zu bytes: ",
                          lode_i_infile_path(r->in), r->next, r->room);
            return st;
        }
        r->buffer = p, r->room *= 2;
    }
    size_t n = r->room - r->to;
    n = r->size - r->read < n ? (size_t)(r->size - r->read) : n;
    LODE_FORWARD(lode_i_infile_read(ctx, r->in, r->read, r->buffer + r->to, n));
    LODE_FORWARD(lode_i_cancelled(ctx));
    r->read += n, r->to += n;
    return LODE_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The newline that ends the row, past those in quotes; NULL: not among these bytes. */
static char *row_end(char *p, char *end, char by, int64_t *lines, bool *open)
{
    char *newline = memchr(p, '\n', (size_t)(end - p));
    *lines = 1, *open = false;
    if (!memchr(p, '"', (size_t)((newline ? newline : end) - p)) || *p == '#')
        return newline;
    for (bool begins = true; p < end; p++) {
        if (*p == '\n')
            return p;
        if (*p == '"' && begins) {
            for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
                *lines += *p == '\n';
                p += *p == '"';
            }
            if (p >= end) {
                *open = true;
                return NULL;
            }
        }
        begins = *p == by || (is_blank(*p) && (begins || by == ' '));
    }
    return NULL;
}

lode_status lode_i_records_next(lode_ctx *ctx, lode_i_records *r, char **row)
{
    for (;;) {
        int64_t lines = 0;
        bool open = false;
        char *end = row_end(r->buffer + r->from, r->buffer + r->to, r->by, &lines, &open);
        const bool last = !end && r->read == r->size;
        if (!end && !last) {
            LODE_FORWARD(fill(ctx, r));
            continue;
        }
        if (last && r->from == r->to) {
            *row = NULL;
            return LODE_OK;
        }
        if (open)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s, line %" PRId64 ": a field begins with a quote (\") that is "
                               "never closed",
                               lode_i_infile_path(r->in), r->next);
        end = end ? end : r->buffer + r->to;
        char *p = r->buffer + r->from;
        r->at = r->read - (r->to - r->from);
        r->line = r->next, r->next += lines;
        r->from = (size_t)(end - r->buffer) + 1;
        r->from = r->from > r->to ? r->to : r->from;
        if (end > p && end[-1] == '\r')
            end--;
        *end = '\0';
        if (memchr(p, '\0', (size_t)(end - p)))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: line %" PRId64 " holds a zero byte; it is no text file, or not "
                               "one in UTF-8",
                               lode_i_infile_path(r->in), r->line);
        if (r->at == 0 && end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
            p += 3; /* the mark that some programs put before UTF-8 */
        if (*p == '#' || p[strspn(p, " \t")] == '\0')
            continue;
        *row = p;
        return LODE_OK;
    }
}

char *lode_i_next_field(char **at, char by)
{
    char *p = *at;
    if (!p)
        return NULL;
    while (*p == ' ' || (*p == '\t' && by != '\t'))
        p++;
    if (by == ' ' && *p == '\0')
        return NULL;
    char *rest = p, *last = NULL;
    if (*p == '"') {
        char *to = ++p;
        for (rest = p; *rest && (*rest != '"' || rest[1] == '"'); rest++) {
            rest += *rest == '"';
            *to++ = *rest;
        }
        rest += *rest == '"';
        last = to;
    }
    char *end = by == ' ' ? rest + strcspn(rest, " \t") : strchr(rest, by);
    if (by == ' ' && *end == '\0')
        end = NULL;
    *at = end ? end + 1 : NULL;
    if (!last) {
        last = end ? end : rest + strlen(rest);
        while (last > p && is_blank(last[-1]))
            last--;
    }
    *last = '\0';
    return p;
}
