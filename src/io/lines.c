/* Text files line by line, through a bounded buffer, with the number of each line. */
#include "io/text.h"

#include <string.h>

lode_status lode_i_lines_open(lode_ctx *ctx, lode_infile *in, lode_i_lines *l)
{
    *l = (lode_i_lines){ .in = in, .size = lode_i_infile_size(in) };
    return lode_i_alloc(ctx, LODE_I_LINE + 1, (void **)&l->buffer);
}

void lode_i_lines_close(lode_i_lines *l)
{
    lode_i_free(l->buffer);
    l->buffer = NULL;
}

lode_status lode_i_lines_next(lode_ctx *ctx, lode_i_lines *l, char **line)
{
    for (;;) {
        char *end = memchr(l->buffer + l->from, '\n', l->to - l->from);
        if (!end && l->read == l->size && l->from < l->to)
            end = l->buffer + l->to; /* a last line without a newline */
        if (end) {
            char *p = l->buffer + l->from;
            l->from = (size_t)(end - l->buffer) + 1;
            l->from = l->from > l->to ? l->to : l->from;
            if (end > p && end[-1] == '\r')
                end--;
            *end = '\0';
            l->number++;
            *line = p;
            if (memchr(p, '\0', (size_t)(end - p)))
                return lode_i_fail(ctx, LODE_EFORMAT,
                                   "%s: line %" PRId64 " holds a zero byte; it is no text file",
                                   lode_i_infile_path(l->in), l->number);
            return LODE_OK;
        }
        if (l->read == l->size) {
            *line = NULL;
            return LODE_OK;
        }
        memmove(l->buffer, l->buffer + l->from, l->to - l->from);
        l->to -= l->from, l->from = 0;
        if (l->to == LODE_I_LINE)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: line %" PRId64 " is longer than %d bytes",
                               lode_i_infile_path(l->in), l->number + 1, LODE_I_LINE);
        size_t n = LODE_I_LINE - l->to;
        n = l->size - l->read < n ? (size_t)(l->size - l->read) : n;
        LODE_FORWARD(lode_i_infile_read(ctx, l->in, l->read, l->buffer + l->to, n));
        LODE_FORWARD(lode_i_cancelled(ctx));
        l->read += n, l->to += n;
    }
}

char *lode_i_word(char **at)
{
    char *p = *at + strspn(*at, " \t"), *end = p + strcspn(p, " \t");
    if (*p == '\0')
        return NULL;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return p;
}
