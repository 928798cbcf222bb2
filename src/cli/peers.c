/* Other compressors as `lode bench compress` runs them: which words they want, and the search for the
 * tolerance that just meets an error. */
#include <math.h>
#include <string.h>

#include "bench.h"

/* Words by spaces: %t type, %d sizes (the last axis first), %e tolerance, %i values, %z coded, %o
 * what comes back. */
static const bench_peer peers[] = {
    /* fixed accuracy: a largest error, of which the power of two below it counts */
    { .name = "zfp",
      .program = "zfp",
      .package = "Debian package zfp",
      .least = 1,
      .most = 4,
      .powers = true,
      .single = "-f",
      .twice = "-d",
      .compress = "-q %t %d -a %e -i %i -z %z",
      .expand = "-q %t %d -a %e -z %z -o %o" },
    { .name = "SZ3",
      .program = "sz3",
      .package = "github.com/szcompressor/SZ3",
      .least = 1,
      .most = 4,
      .single = "-f",
      .twice = "-d",
      .compress = "%t -i %i -z %z %d -M ABS %e",
      .expand = "%t -z %z -o %o %d" },
    { .name = "TTHRESH",
      .program = "tthresh",
      .package = "github.com/rballester/tthresh",
      .least = 3,
      .most = 8,
      .relative = true,
      .sizes = "-s",
      .single = "float",
      .twice = "double",
      .compress = "-i %i -t %t %d -e %e -c %z",
      .expand = "-c %z -o %o" },
};

const bench_peer *bench_peer_at(int i)
{
    return i < (int)(sizeof peers / sizeof *peers) ? &peers[i] : NULL;
}

enum { WORDS = 48, LENGTH = 64 };

/* One command line from its pattern; numbers are kept in `room`. */
static void words_of(const bench_peer *p, const bench_field *f, const char *program,
                     const char *pattern, double tolerance, char *argv[WORDS],
                     char room[WORDS][LENGTH])
{
    int n = 0, used = 0;
    argv[n++] = (char *)(uintptr_t)program;
    for (const char *at = pattern; *at && n < WORDS - LODE_MAX_NDIM - 3;) {
        const size_t length = strcspn(at, " ");
        char *const word = room[used++];
        const char *put = word;
        snprintf(word, LENGTH, "%.*s", (int)length, at);
        at += length + strspn(at + length, " ");
        if (strcmp(word, "%d") == 0) {
            if (p->sizes)
                put = p->sizes;
            else
                snprintf(word, LENGTH, "-%d", f->ndim);
            argv[n++] = (char *)(uintptr_t)put;
            for (int k = f->ndim - 1; k >= 0; k--) {
                snprintf(room[used], LENGTH, "%lld", (long long)f->shape[k]);
                argv[n++] = room[used++];
            }
            continue;
        }
        if (strcmp(word, "%e") == 0) /* TTHRESH reads no 1e-3, zfp's must be exact */
            snprintf(word, LENGTH, p->relative ? "%.15f" : "%.17g", tolerance);
        else if (strcmp(word, "%t") == 0)
            put = f->twice ? p->twice : p->single;
        else if (strcmp(word, "%i") == 0)
            put = f->raw;
        else if (strcmp(word, "%z") == 0)
            put = f->coded;
        else if (strcmp(word, "%o") == 0)
            put = f->back;
        argv[n++] = (char *)(uintptr_t)put;
    }
    argv[n] = NULL;
}

/* Axes of length 1 left out, the first ones joined where there are too many. False: too few. */
bool bench_peer_takes(const bench_peer *p, int ndim, const int64_t *shape, bench_field *f)
{
    f->ndim = 0;
    for (int k = 0; k < ndim; k++)
        if (shape[k] > 1)
            f->shape[f->ndim++] = shape[k];
    while (f->ndim > p->most) {
        f->shape[1] *= f->shape[0];
        memmove(f->shape, f->shape + 1, (size_t)--f->ndim * sizeof *f->shape);
    }
    if (f->ndim == 0 && p->least <= 1)
        f->shape[f->ndim++] = 1;
    return f->ndim >= p->least;
}

typedef struct trial {
    double tolerance;
    bench_point at;
} trial;

/* There and back once, and what that did. */
static int try_once(const bench_peer *p, const bench_field *f, const char *program,
                    double tolerance, trial *t, char *said, size_t size)
{
    char *argv[WORDS], room[WORDS][LENGTH];
    *t = (trial){ .tolerance = tolerance };
    words_of(p, f, program, p->compress, tolerance, argv, room);
    double start = cli_seconds();
    int code = cli_run_program(argv, f->log, said, size);
    t->at.compress = cli_seconds() - start;
    if (code)
        return code;
    words_of(p, f, program, p->expand, tolerance, argv, room);
    start = cli_seconds();
    code = cli_run_program(argv, f->log, said, size);
    t->at.expand = cli_seconds() - start;
    if (code)
        return code;
    t->at.bytes = (double)cli_file_size(f->coded);
    if (t->at.bytes < 0) {
        snprintf(said, size, "it wrote no file");
        return CLI_FAILED;
    }
    return f->measure(f->data, &t->at.error, said, size);
}

int bench_peer_run(const bench_peer *p, const bench_field *f, const char *program, double asked,
                   double guess, bench_point *point, char *said, size_t size)
{
    trial t = { 0 }, within = { 0 }, beyond = { 0 };
    bool has_within = false, has_beyond = false;
    double at = guess > 0 && isfinite(guess) ? exp2(floor(log2(guess))) : 1;
    /* factors of two until one is within the error and the next is not; what every tolerance codes
     * alike is never beyond */
    for (int i = 0; i < 80 && !(has_within && has_beyond); i++) {
        const int code = try_once(p, f, program, at, &t, said, size);
        if (code)
            return code;
        if (t.at.error <= asked) {
            const bool settled = has_within && t.at.bytes >= within.at.bytes && i > 20;
            if (!has_within || t.tolerance > within.tolerance)
                within = t;
            has_within = true;
            if (settled)
                break;
            at = 2 * t.tolerance;
        } else {
            beyond = t;
            has_beyond = true;
            at = t.tolerance / 2;
        }
    }
    if (!has_within) {
        snprintf(said, size, "no tolerance reaches the error");
        return CLI_FAILED;
    }
    for (int i = 0; i < 12 && !p->powers && has_beyond && within.at.error < 0.95 * asked; i++) {
        const int code = try_once(p, f, program, sqrt(within.tolerance * beyond.tolerance), &t,
                                  said, size);
        if (code)
            return code;
        *(t.at.error <= asked ? &within : &beyond) = t;
    }
    *point = within.at;
    point->asked = asked;
    point->even = point->bytes;
    if (has_beyond && within.at.error > 0) { /* what it would take at the error itself */
        const double share = log(asked / within.at.error) / log(beyond.at.error / within.at.error);
        point->even = within.at.bytes * pow(beyond.at.bytes / within.at.bytes, share);
    }
    return CLI_OK;
}
