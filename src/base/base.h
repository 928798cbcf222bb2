/* Internals of the base layer: errors, memory, threads, random numbers, hashing, JSON, files. */
#ifndef LODE_BASE_INTERNAL_H
#define LODE_BASE_INTERNAL_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lode/base.h"

/* ---- errors: who detects one writes its sentence, everyone else forwards ---- */

/** Records the sentence and returns st. */
LODE_PRINTF(3, 4) lode_status lode_i_fail(lode_ctx *ctx, lode_status st, const char *format, ...);
/** Puts "op: " and the like before the recorded sentence, once. */
LODE_PRINTF(2, 3) void lode_i_prefix(lode_ctx *ctx, const char *format, ...);
/** One sentence to the log callback. */
LODE_PRINTF(2, 3) void lode_i_log(lode_ctx *ctx, const char *format, ...);
/** The worse of two: the first failure, else the larger caveat. */
lode_status lode_i_worse(lode_status a, lode_status b);

/** A part is damaged and missing from what is given back, where ctx->recover allows it: its share of
 *  the whole, what stands in its place, where it is. Named once however often it is met; gives
 *  LODE_LOST, and a sentence over all parts lost since the outermost call began. */
LODE_PRINTF(4, 5)
lode_status lode_i_lost(lode_ctx *ctx, double share, const char *instead, const char *format, ...);
/** Parts lost from now on are named as parts of this one of several things, borrowed; NULL: of the
 *  whole. Returns what it was before. */
const char *lode_i_about(lode_ctx *ctx, const char *name);
/** st, or LODE_LOST where it is better and parts were lost: for the end of an outermost call. */
lode_status lode_i_with_losses(lode_ctx *ctx, lode_status st);

/* A function that uses these has `lode_status st = LODE_OK`, `ctx`, and one label `done:`. Failures
 * jump; caveats (positive) are kept in st and the work goes on. */
#define LODE_TRY(call)                                                                             \
    do {                                                                                           \
        const lode_status lode_try_ = (call);                                                      \
        if (lode_try_ < 0) {                                                                       \
            st = lode_try_;                                                                        \
            goto done;                                                                             \
        }                                                                                          \
        st = lode_i_worse(st, lode_try_);                                                          \
    } while (0)
#define LODE_REQUIRE(condition, code, ...)                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            st = lode_i_fail(ctx, (code), __VA_ARGS__);                                            \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)
/* Returns the failure; only where nothing is held. */
#define LODE_FORWARD(call)                                                                         \
    do {                                                                                           \
        const lode_status lode_forward_ = (call);                                                  \
        if (lode_forward_ < 0)                                                                     \
            return lode_forward_;                                                                  \
    } while (0)

/* ---- memory: 64-byte aligned, counted against the budget, freed by any thread ---- */

lode_status lode_i_alloc(lode_ctx *ctx, size_t bytes, void **p);
lode_status lode_i_calloc(lode_ctx *ctx, size_t bytes, void **p);
/** Keeps the contents; on failure *p is untouched. */
lode_status lode_i_realloc(lode_ctx *ctx, size_t bytes, void **p);
void lode_i_free(void *p); /* NULL is legal */
/** count * size bytes, LODE_ESHAPE on overflow. LODE_NEW(ctx, n, &p) for typed pointers. */
lode_status lode_i_new(lode_ctx *ctx, int64_t count, size_t size, void **p);
#define LODE_NEW(ctx, count, p) lode_i_new((ctx), (count), sizeof **(p), (void **)(p))
lode_status lode_i_strdup(lode_ctx *ctx, const char *text, char **copy);
/** Bytes of budget left now. */
uint64_t lode_i_memory_left(const lode_ctx *ctx);

/* 64-bit arithmetic that reports overflow (false). */
bool lode_i_mul(int64_t a, int64_t b, int64_t *c);
bool lode_i_add(int64_t a, int64_t b, int64_t *c);
/* Leading zero bits of a 64-bit number other than 0. */
static inline int lode_i_clz64(uint64_t v)
{
#if defined(__GNUC__)
    return __builtin_clzll(v);
#else
    int n = 0;
    for (; !(v >> 63); v <<= 1)
        n++;
    return n;
#endif
}
/* Files, codes and hashes hold numbers with their lowest byte first; whether memory here does not. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { LODE_I_BIG_ENDIAN = 1 };
#else
enum { LODE_I_BIG_ENDIAN = 0 };
#endif
/* A number of `bytes` bytes, 8 at most, as it lies there. */
static inline uint64_t lode_i_load(const void *from, int bytes)
{
    const unsigned char *const p = (const unsigned char *)from;
    uint64_t v = 0;
    if (!LODE_I_BIG_ENDIAN)
        memcpy(&v, p, (size_t)bytes);
    else
        for (int i = bytes; i-- > 0;)
            v = v << 8 | p[i];
    return v;
}
static inline void lode_i_store(void *to, uint64_t v, int bytes)
{
    unsigned char *const p = (unsigned char *)to;
    if (!LODE_I_BIG_ENDIAN)
        memcpy(p, &v, (size_t)bytes);
    else
        for (int i = 0; i < bytes; i++)
            p[i] = (unsigned char)(v >> 8 * i);
}
static inline int64_t lode_i_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t lode_i_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t lode_i_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b > 0);
}

/* ---- threads ---- */

/** Runs task(ctx_of_worker, i, data) for i in 0..count-1 on the context's workers (the caller is
 *  one). Which worker runs which i is not fixed: results must not depend on it. Fails with the
 *  failure of the smallest i that ran into one; checks for cancelling between tasks. Calls from
 *  inside a task run serially. */
typedef lode_status (*lode_task)(lode_ctx *ctx, int64_t i, void *data);
lode_status lode_i_parallel(lode_ctx *ctx, int64_t count, lode_task task, void *data);
/** Worker that runs the current task: 0 .. lode_ctx_threads(ctx)-1 as seen by the caller of
 *  lode_i_parallel; for per-worker scratch. Inside a task lode_ctx_threads is 1. Tasks on other
 *  threads do not log. */
int lode_i_worker(const lode_ctx *ctx);

/* ---- progress ---- */

/** Names a stage that covers [from, to] of the call's work. */
void lode_i_stage(lode_ctx *ctx, const char *stage, double from, double to);
/** Names the stage that follows the last one of this call, when `work` is to be done in it and about `rest`
 * behind it, in any unit that stays the same until the call ends: each stage weighs anew what is left,
 * as it gets known. Only what is shown depends on it. */
void lode_i_work(lode_ctx *ctx, const char *stage, double work, double rest);
/** Around work with stages and ticks of its own that fills the step which the last tick began. Nothing
 * where no call is under way. */
void lode_i_nest(lode_ctx *ctx);
void lode_i_unnest(lode_ctx *ctx);
/** done of total within the stage: tells the progress callback (caller's thread only, at most every
 *  50 ms except the first) and checks for cancelling: LODE_ECANCEL. Cheap enough for every slab or
 *  iteration. */
lode_status lode_i_tick(lode_ctx *ctx, int64_t done, int64_t total);
/** For tests: the callback at every tick made outside of lode_i_parallel, and only there, so that
 *  the k-th tick is the same one in every run. */
void lode_i_set_tick_always(lode_ctx *ctx, bool always);
/** Only the check, from any thread. */
lode_status lode_i_cancelled(lode_ctx *ctx);
/** Bracket the outermost call: clears the cancel request, starts the clock. Nested calls count
 *  depth. */
void lode_i_begin(lode_ctx *ctx, const char *op);
void lode_i_end(lode_ctx *ctx);
double lode_i_seconds(void); /* monotonic clock, for progress, plans and benches only */

/* ---- random numbers: counter-based (Philox 4x32-10), a pure function of (stream, index) ---- */

typedef struct lode_stream {
    uint32_t key[2];
    uint32_t salt[2];
} lode_stream;
/** Stream of (ctx->seed, op, call site). */
lode_stream lode_i_stream(const lode_ctx *ctx, const char *op, uint64_t site);
uint64_t lode_i_random_u64(lode_stream s, uint64_t index);
double lode_i_random_uniform(lode_stream s, uint64_t index); /* [0, 1), 53 bits */
double lode_i_random_normal(lode_stream s, uint64_t index);
uint64_t lode_i_random_below(lode_stream s, uint64_t index, uint64_t n); /* 0..n-1 */
/** Four 32-bit words of block `index`. */
void lode_i_random_block(lode_stream s, uint64_t index, uint32_t word[4]);

/* ---- communicator: one process here, MPI behind the same interface ---- */

typedef struct lode_comm {
    int rank, size;
    /** Sums count f64 (or f32) values over all processes in place, in the fixed tree of ranks. */
    lode_status (*sum)(lode_ctx *ctx, const struct lode_comm *comm, void *values, int64_t count,
                       bool single);
    lode_status (*broadcast)(lode_ctx *ctx, const struct lode_comm *comm, void *bytes, size_t size,
                             int root);
    void *data;
} lode_comm;
const lode_comm *lode_i_comm(const lode_ctx *ctx); /* never NULL: one process by default */

/* ---- hashing: 64-bit mix for checksums, 256-bit tree for provenance; against accidents, neither
 * against a forger ---- */

/* at 4 GB/s or more a core */
uint64_t lode_i_checksum(const void *bytes, size_t size, uint64_t seed);
typedef struct lode_digest {
    uint64_t word[4];
} lode_digest;
/* one leaf of the tree */
void lode_i_digest(const void *bytes, size_t size, uint64_t leaf, lode_digest *d);
void lode_i_digest_join(const lode_digest *parts, int64_t count, lode_digest *d);
void lode_i_digest_hex(const lode_digest *d, char hex[72]);

/* ---- text ---- */

/** Growing text. */
typedef struct lode_text {
    char *text;
    size_t size, capacity;
} lode_text;
LODE_PRINTF(3, 4) lode_status lode_i_text_add(lode_ctx *ctx, lode_text *t, const char *format, ...);
lode_status lode_i_text_bytes(lode_ctx *ctx, lode_text *t, const char *bytes, size_t count);
void lode_i_text_free(lode_text *t);
/** Whole text as a number: false when anything else is there, or it does not fit. */
bool lode_i_parse_i64(const char *text, int64_t *value);
bool lode_i_parse_u64(const char *text, uint64_t *value);
bool lode_i_parse_f64(const char *text, double *value);
/* 4096, 10K, 1.5G (powers of 1024), also KiB.. */
bool lode_i_parse_bytes(const char *text, double *value);
/** Shortest text that reads back as the same double ("0.001", "1e-08", "nan", "inf"). */
void lode_i_print_f64(double value, char text[32]);
/** Whether a name fits a pattern, in which * stands for any characters. */
bool lode_i_fits(const char *pattern, const char *name);
/** Edit distance with transpositions, for suggestions; words compare without case. */
int lode_i_distance(const char *a, const char *b);

/* ---- JSON, behind one file (jansson) ---- */

typedef struct json_t lode_json; /* reference counted; NULL is "absent" for every reader below */
/** Strict parse of one value, no duplicate keys, depth bounded: LODE_EFORMAT says where it
 *  broke. */
lode_status lode_i_json_parse(lode_ctx *ctx, const char *text, size_t size, lode_json **out);
void lode_i_json_free(lode_json *j);
/* NULL when out of memory; setters below then fail with LODE_ENOMEM */
lode_json *lode_i_json_object(void);
lode_json *lode_i_json_array(void);
lode_json *lode_i_json_text(const char *text); /* invalid UTF-8 bytes become U+FFFD */
lode_json *lode_i_json_i64(int64_t v);
lode_json *lode_i_json_f64(double v); /* NaN, infinities: the strings "nan", "inf", "-inf" */
lode_json *lode_i_json_bool(bool v);
/** Take over `value`, also on failure; keys keep their order. */
lode_status lode_i_json_set(lode_ctx *ctx, lode_json *object, const char *key, lode_json *value);
lode_status lode_i_json_push(lode_ctx *ctx, lode_json *array, lode_json *value);
/** Borrowed members; NULL when absent or of another kind. */
lode_json *lode_i_json_get(const lode_json *object, const char *key);
lode_json *lode_i_json_at(const lode_json *array, int64_t i);
int64_t lode_i_json_count(const lode_json *j); /* members of an object or array; -1 otherwise */
/* i-th in order */
const char *lode_i_json_key(const lode_json *object, int64_t i, lode_json **value);
/** The key after `key`, a pointer this object gave (NULL: the first); NULL after the last. Constant
 *  time, where lode_i_json_key takes time i. */
const char *lode_i_json_next(const lode_json *object, const char *key, lode_json **value);
const char *lode_i_json_as_text(const lode_json *j); /* NULL when not text */
bool lode_i_json_as_i64(const lode_json *j, int64_t *v);
bool lode_i_json_as_f64(const lode_json *j, double *v); /* numbers, and the three strings above */
bool lode_i_json_as_bool(const lode_json *j, bool *v);
/** Compact (indent 0) or indented text, freed with lode_i_free. */
lode_status lode_i_json_print(lode_ctx *ctx, const lode_json *j, int indent, char **text);

/* ---- operating system: the only place that calls it ---- */

/** Calls `before` in the thread that forks, and `after` in parent and child: for locks that a child
 *  could inherit from a thread that it has not. */
void lode_i_at_fork(void (*before)(void), void (*after)(void));

int lode_i_container_cores(void);
uint64_t lode_i_container_memory(void);

/** An input file: positional reads, safe from several threads. */
typedef struct lode_infile lode_infile;
/* "-": standard input, spooled to memory */
lode_status lode_i_infile_open(lode_ctx *ctx, const char *path, lode_infile **f);
lode_infile *lode_i_infile_ref(lode_infile *f);
void lode_i_infile_close(lode_infile *f); /* drops one reference; NULL is legal */
/** Bytes in memory as a file of that name; on success it takes them over and *bytes is NULL. */
lode_status lode_i_infile_memory(lode_ctx *ctx, const char *path, void **bytes, uint64_t size,
                                 lode_infile **f);
uint64_t lode_i_infile_size(const lode_infile *f);
const char *lode_i_infile_path(const lode_infile *f);
/** LODE_EIO where it has become shorter than `end` bytes: what a library read of it may be zeros. */
lode_status lode_i_infile_holds(lode_ctx *ctx, const lode_infile *f, uint64_t end);
/** All of size bytes at offset, or LODE_EFORMAT (past the end) or LODE_EIO (shrunk meanwhile,
 *  device). */
lode_status lode_i_infile_read(lode_ctx *ctx, lode_infile *f, uint64_t offset, void *bytes,
                               size_t size);

/** An output that appears whole or not at all: a temporary beside the target, synced, renamed. */
typedef struct lode_outfile lode_outfile;
/** LODE_EEXIST when the target exists and force is false. "-": standard output, written at
 *  commit. */
lode_status lode_i_outfile_open(lode_ctx *ctx, const char *path, bool force, lode_outfile **f);
lode_status lode_i_outfile_write(lode_ctx *ctx, lode_outfile *f, const void *bytes, size_t size);
lode_status lode_i_outfile_pwrite(lode_ctx *ctx, lode_outfile *f, uint64_t offset,
                                  const void *bytes, size_t size);
/** Bytes written before; where nothing was, zeros. */
lode_status lode_i_outfile_pread(lode_ctx *ctx, lode_outfile *f, uint64_t offset, void *bytes,
                                 size_t size);
lode_status lode_i_outfile_resize(lode_ctx *ctx, lode_outfile *f, uint64_t size);
uint64_t lode_i_outfile_tell(const lode_outfile *f);
/** Name of the temporary, for libraries that write by path. */
const char *lode_i_outfile_temporary(const lode_outfile *f);
/** All but the rename, so that of two files that belong together neither is replaced where one cannot
 *  be written. */
lode_status lode_i_outfile_sync(lode_ctx *ctx, lode_outfile *f);
/** Syncs and renames; frees the handle in every case. */
lode_status lode_i_outfile_commit(lode_ctx *ctx, lode_outfile **f);
/** A file of these bytes: it appears whole or not at all. */
lode_status lode_i_outfile_whole(lode_ctx *ctx, const char *path, bool force, const void *bytes,
                                 size_t size);
void lode_i_outfile_abandon(lode_outfile **f); /* removes the temporary; NULL is legal */
/** A scratch file in ctx->scratch, already unlinked. LODE_EBUDGET when no scratch directory was
 *  given. */
lode_status lode_i_scratch_open(lode_ctx *ctx, lode_outfile **f, lode_infile **reader);
/** Journals: records that a call leaves in a file, for a call of the same identity (lines of text that
 * say what call it is) to go on from when it was killed. Another identity is LODE_EUSAGE and says which
 * line differs. */
typedef struct lode_journal lode_journal;
lode_status lode_i_journal_open(lode_ctx *ctx, const char *path, const char *identity,
                                lode_journal **journal);
void lode_i_journal_close(lode_journal **journal); /* the file stays */
lode_status lode_i_journal_remove(lode_ctx *ctx, const char *path);
/** Size of the next record left, -1: none is, and what was half written is cut off. Its bytes are read in
 * order; take goes on behind it. */
lode_status lode_i_journal_next(lode_ctx *ctx, lode_journal *j, int64_t *size);
lode_status lode_i_journal_read(lode_ctx *ctx, lode_journal *j, void *bytes, size_t size);
void lode_i_journal_take(lode_journal *j);
/** Where the next record left begins; and back there, before the records taken since. */
typedef struct lode_i_place {
    uint64_t at, number;
} lode_i_place;
lode_i_place lode_i_journal_place(const lode_journal *j);
void lode_i_journal_return(lode_journal *j, lode_i_place place);
/** A new record of `size` bytes, in place of those left, if any; it counts from end on. */
lode_status lode_i_journal_begin(lode_ctx *ctx, lode_journal *j, uint64_t size);
lode_status lode_i_journal_write(lode_ctx *ctx, lode_journal *j, const void *bytes, size_t size);
lode_status lode_i_journal_end(lode_ctx *ctx, lode_journal *j);
/** The journal of the call under way, in ctx->checkpoint; closed when the outermost call ends. NULL: none,
 * or inside of a parallel task. taken: what was left has been used, so that time left is told from
 * what is done from here on. */
lode_status lode_i_checkpoint_start(lode_ctx *ctx, const char *identity);
lode_journal *lode_i_checkpoint(const lode_ctx *ctx);
void lode_i_checkpoint_taken(lode_ctx *ctx);
/** Whether so much time has gone since the last record that work in the middle of a step is worth one of
 * so many bytes. */
bool lode_i_checkpoint_due(const lode_ctx *ctx, double bytes);
/** Off for work that is kept as a whole, in which nothing is to be kept then. Returns what it was. */
bool lode_i_checkpoint_pause(lode_ctx *ctx, bool paused);
/** Cannot be written any more: says why (the sentence of the failure) to the log, gives back what the
 * half record took, and the call goes on without one. */
void lode_i_checkpoint_give_up(lode_ctx *ctx);
/** Whether arrays that are decoded as they are written are kept too; off when a call begins. */
void lode_i_checkpoint_decoded(lode_ctx *ctx, bool kept);
bool lode_i_checkpoint_keeps_decoded(const lode_ctx *ctx);
bool lode_i_path_exists(const char *path);
/** Paths that match a pattern of *, ? and [abc], in the order of their bytes: pointers and texts in
 * one block, freed with lode_i_free; none: count 0. */
lode_status lode_i_path_match(lode_ctx *ctx, const char *pattern, char ***paths, int64_t *count);
/** Makes one directory; one that is there already is fine. */
lode_status lode_i_directory_make(lode_ctx *ctx, const char *path);
/** Loads a shared library at run time: NULL when absent. For optional formats. */
void *lode_i_library_open(const char *name);
/** NULL when absent; library NULL: in those this one is linked with, not in itself. */
void *lode_i_library_symbol(void *library, const char *symbol);
/** One lock for the process, for loaded libraries that bear a single caller. Not to be nested. */
void lode_i_library_lock(void);
void lode_i_library_unlock(void);

/* ---- hot loops: compiled once more for wider vectors, the best one picked when the program
 * starts. The bits stay the same: nothing is contracted or reordered. ---- */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    __GNUC__ >= 12 && !defined(LODE_SANITIZED)
#define LODE_CLONES                                                                                \
    __attribute__((                                                                                \
        target_clones("arch=x86-64-v3", "default"))) /* AVX2, and fma() in one instruction */
#else
#define LODE_CLONES
#endif

/* Before a loop whose turns do not depend on each other, where gcc cannot see that pointers do not
 * overlap (clang checks it as the loop begins). */
#if defined(__GNUC__) && !defined(__clang__)
#define LODE_INDEPENDENT _Pragma("GCC ivdep")
#else
#define LODE_INDEPENDENT
#endif

/* Has the line at p fetched, for a read some hundred instructions on. */
static inline void lode_i_prefetch(const void *p)
{
#if defined(__GNUC__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

/* A loop written for the 32 registers of AVX-512, to be called only where lode_i_has_avx512() says
 * so. */
#if defined(__x86_64__) && defined(__GNUC__)
#define LODE_AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#else
#define LODE_AVX512
#endif
bool lode_i_has_avx512(void);

/* ---- context internals ---- */

struct lode_op;
struct lode_plan;
/** The plan that the generic call hands down to the typed function of the same op. */
void lode_i_hand_plan(lode_ctx *ctx, const struct lode_op *op, struct lode_plan *plan);
struct lode_plan *lode_i_handed_plan(lode_ctx *ctx, const struct lode_op *op);
/** The registry in use; tests may put their own. NULL-terminated. */
const struct lode_op *const *lode_i_registry(const lode_ctx *ctx);
void lode_i_set_registry(lode_ctx *ctx, const struct lode_op *const *ops);

/* The paper's idea turned off, for a claim that must then fail. Constant false in installed
 * builds. */
#ifdef LODE_BREAKABLE
bool lode_i_broken(const lode_ctx *ctx, const char *slug);
#else
#define lode_i_broken(ctx, slug) ((void)(ctx), (void)(slug), false)
#endif

#endif
