/* Measuring against other compressors on one's own array. */
#ifndef LODE_CLI_BENCH_H
#define LODE_CLI_BENCH_H

#include "cli.h"

/** What one coder did at one error. even: bytes at the very error asked, between the two nearest
 *  settings where a coder moves in steps. */
typedef struct bench_point {
    double asked, error, bytes, even, compress, expand;
} bench_point;

/** The array as another program gets it: a raw file, sizes, and who measures what comes back. */
typedef struct bench_field {
    char raw[512], coded[512], back[512], log[512];
    bool twice; /* f64, else f32 */
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    int (*measure)(void *data, double *error, char *said, size_t size);
    void *data;
} bench_field;

typedef struct bench_peer {
    const char *name, *program, *package;
    int least, most;   /* axes that it takes */
    bool powers;       /* only powers of two of its tolerance differ */
    bool relative;     /* its tolerance is of the norm, else of each value */
    const char *sizes; /* word before the sizes; NULL: "-3" and so on */
    const char *single, *twice, *compress, *expand;
} bench_peer;

/** In order; NULL after the last. */
const bench_peer *bench_peer_at(int i);
/** Sizes as the program takes them; false: it does not. */
bool bench_peer_takes(const bench_peer *p, int ndim, const int64_t *shape, bench_field *f);
/** The fewest bytes whose measured error is within `asked`. guess: a tolerance to begin at. Where it
 *  fails, `said` says why. */
int bench_peer_run(const bench_peer *p, const bench_field *f, const char *program, double asked,
                   double guess, bench_point *point, char *said, size_t size);

/** `lode bench compress FILE`. */
int bench_compress(cli *c);

#endif
