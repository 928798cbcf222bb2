/* Tables of numbers as text: rows that may run over several lines where a field is quoted, and the
 * fields in them. */
#ifndef LODE_IO_TABLE_H
#define LODE_IO_TABLE_H

#include "io/io.h"

/** Rows of a text file from some byte on. */
typedef struct lode_i_records {
    lode_infile *in; /* borrowed */
    char by;         /* what stands between fields; ' ': any blanks and tabs */
    char *buffer;
    size_t from, to, room;
    uint64_t read, size;
    uint64_t at;  /* where the last row begins in the file */
    int64_t line; /* number of its first line */
    int64_t next; /* of the line after it */
} lode_i_records;
/** at: a byte where line number `line` begins. */
lode_status lode_i_records_open(lode_ctx *ctx, lode_infile *in, char by, uint64_t at, int64_t line,
                                lode_i_records *r);
/** The next row that is neither blank nor a comment (#), ended by a zero, valid until the next call;
 *  NULL at the end. */
lode_status lode_i_records_next(lode_ctx *ctx, lode_i_records *r, char **row);
void lode_i_records_close(lode_i_records *r);
/** Cuts the next field off the row, without the blanks and quotes around it; NULL: no more. */
char *lode_i_next_field(char **at, char by);

lode_status lode_i_csv_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force);
lode_status lode_i_tsv_write(lode_ctx *ctx, const char *path, const lode_i_output *out, bool force);

#endif
