/* Reading and writing of text formats: lines with their numbers. */
#ifndef LODE_IO_TEXT_H
#define LODE_IO_TEXT_H

#include "io/io.h"

enum { LODE_I_LINE = 1 << 20 }; /* bytes of the longest line that is read */

typedef struct lode_i_lines {
    lode_infile *in; /* borrowed */
    char *buffer;
    size_t from, to;
    uint64_t read, size;
    int64_t number;
} lode_i_lines;
lode_status lode_i_lines_open(lode_ctx *ctx, lode_infile *in, lode_i_lines *l);
/** The next line, ended by a zero and without its newline, valid until the next call; NULL at the
 * end. */
lode_status lode_i_lines_next(lode_ctx *ctx, lode_i_lines *l, char **line);
void lode_i_lines_close(lode_i_lines *l);
/** Cuts the next word off, at blanks and tabs; NULL when there is none. */
char *lode_i_word(char **at);

/** Value `at` of i64, u64 or f64 values, in the fewest digits that read back as the same, and `end`. */
lode_status lode_i_print_value(lode_ctx *ctx, lode_text *t, lode_dtype dtype, const void *values,
                               int64_t at, char end);
/** Writes a text out and empties it once it has so many bytes. */
lode_status lode_i_print_out(lode_ctx *ctx, lode_i_gzout *file, lode_text *t, size_t at_least);

#endif
