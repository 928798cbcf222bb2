/* Status, context, memory budget: what every call of the library shares. */
#ifndef LODE_BASE_H
#define LODE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LODE_API __attribute__((visibility("default")))
#if defined(_WIN32) && !defined(__clang__)
#define LODE_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#else
#define LODE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#endif
#else
#define LODE_API
#define LODE_PRINTF(fmt, args)
#endif

/** 0 done; negative: failed, outputs untouched; positive: outputs valid, with a caveat. */
typedef enum lode_status {
#define LODE_STATUS(name, value, exit, text) name = value,
#include "lode/status.def"
#undef LODE_STATUS
} lode_status;

LODE_API const char *lode_status_name(lode_status st); /* "LODE_ESHAPE" */
LODE_API const char *lode_status_text(lode_status st); /* "shapes do not fit" */
LODE_API int lode_status_exit(lode_status st);         /* exit status of the command */
LODE_API const char *lode_version(void);               /* "0.1.0" */

/** Memory hooks. Both may be called from any thread. alloc returns NULL on failure; blocks need
 *  the alignment of max_align_t, Lode aligns further itself. */
typedef struct lode_allocator {
    void *(*alloc)(void *data, size_t bytes);
    void (*free)(void *data, void *block);
    void *data;
} lode_allocator;

/** What a progress callback is told, on the caller's thread. */
typedef struct lode_progress {
    const char *op;      /* "svd" */
    const char *stage;   /* "products", or "" */
    double fraction;     /* of the whole call, 0 to 1, never decreasing */
    double seconds;      /* since the call began */
    double seconds_left; /* estimate; negative: not known yet */
} lode_progress;

/** Return nonzero to cancel: the call fails with LODE_ECANCEL and outputs stay as they were. */
typedef int (*lode_progress_fn)(void *data, const lode_progress *progress);
typedef void (*lode_log_fn)(void *data, const char *sentence);

struct lode_state;

/** One context a thread: a light handle over shared settings. Set the public fields freely between
 *  calls. No other state outlives a call. */
typedef struct lode_ctx {
    size_t size;         /* sizeof(lode_ctx) of the caller, set by lode_ctx_init */
    uint64_t seed;       /* key of all random numbers; default 0 */
    int threads;         /* workers; 0: what the container allows */
    const char *scratch; /* directory for out-of-core work, borrowed; NULL: none */
    lode_progress_fn progress;
    void *progress_data;
    lode_log_fn log; /* notes on what was chosen, one sentence each */
    void *log_data;
    const char *broken; /* claims only: slug of the paper's idea to turn off; NULL */
    /* damaged parts of a file are read as missing (NaN, or 0) and named, LODE_LOST, instead of
     * failing the call */
    bool recover;
    /* file, borrowed, in which long operations keep what they have done, to go on from it when called
     * again; NULL: none. It stays when the call ends: lode_checkpoint_remove */
    const char *checkpoint;
    struct lode_state *state; /* private */
} lode_ctx;

/** Prepares a context: allocator NULL means malloc. Fails only with LODE_ENOMEM. */
LODE_API lode_status lode_ctx_init(lode_ctx *ctx, const lode_allocator *allocator);
/** A second handle, for another thread, over the same allocator, budget and settings. */
LODE_API lode_status lode_ctx_share(const lode_ctx *ctx, lode_ctx *other);
/** Frees the handle; arrays made with it stay valid. Freeing an empty one is legal. */
LODE_API void lode_ctx_free(lode_ctx *ctx);

/** Removes the file of ctx->checkpoint, when the result is where it should be. One that is not there is
 *  fine. */
LODE_API lode_status lode_checkpoint_remove(lode_ctx *ctx);

/** The sentence of the last failure or caveat: what, where, the value, what to do. Never NULL. */
LODE_API const char *lode_message(const lode_ctx *ctx);
LODE_API lode_status lode_last_status(const lode_ctx *ctx);

/** Memory budget in bytes, shared by handles and counted over everything Lode allocates; the
 *  default is three quarters of what the container allows. */
LODE_API void lode_ctx_set_memory(lode_ctx *ctx, uint64_t bytes);
LODE_API uint64_t lode_ctx_memory(const lode_ctx *ctx);
LODE_API uint64_t lode_ctx_memory_used(const lode_ctx *ctx);
LODE_API uint64_t lode_ctx_memory_peak(const lode_ctx *ctx); /* since the last reset */
LODE_API void lode_ctx_memory_reset_peak(lode_ctx *ctx);

/** Asks the running call to stop within an iteration. May be called from a signal handler or any
 *  thread; the request is cleared when the next call begins. */
LODE_API void lode_ctx_cancel(lode_ctx *ctx);
/** Workers that ctx->threads means here: the container's cores when it is 0. */
LODE_API int lode_ctx_threads(const lode_ctx *ctx);

#ifdef __cplusplus
}
#endif
#endif
