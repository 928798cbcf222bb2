/* What tests of every layer share: assertions that say why, a heap that counts and fails, a folder
 * of one's own. */
#ifndef LODE_TESTS_FIXTURE_H
#define LODE_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lode/base.h"

#ifdef _WIN32
#include <direct.h>
#define truncate truncate64
static inline char *mkdtemp(char *path)
{
    return mktemp(path) && _mkdir(path) == 0 ? path : NULL;
}
#endif

/* Under the thread sanitizer, which cannot start threads after a fork. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#endif

/* ---- assertions ---- */

static inline void fixture_status(const lode_ctx *ctx, lode_status got, lode_status want,
                                  const char *call, const char *file, int line)
{
    if (got == want)
        return;
    print_error("%s\n    gave %s instead of %s: %s\n", call, lode_status_name(got),
                lode_status_name(want), lode_message(ctx));
    _fail(file, line);
}

/** The call gives LODE_OK, else the context's sentence is shown. */
#define assert_ok(ctx, call) fixture_status((ctx), (call), LODE_OK, #call, __FILE__, __LINE__)
/** The call gives this status, and with a failure or caveat a sentence. */
#define assert_status(ctx, call, status)                                                           \
    do {                                                                                           \
        fixture_status((ctx), (call), (status), #call, __FILE__, __LINE__);                        \
        assert_true((status) == LODE_OK || *lode_message(ctx));                                    \
    } while (0)
/** The last sentence contains this. */
#define assert_says(ctx, part)                                                                     \
    do {                                                                                           \
        if (!strstr(lode_message(ctx), (part)))                                                    \
            fail_msg("\"%s\" does not say \"%s\"", lode_message(ctx), (part));                     \
    } while (0)

static inline void fixture_le(double a, double b, const char *text, const char *file, int line)
{
    if (a <= b)
        return; /* NaN fails */
    print_error("%s: %.17g is not <= %.17g\n", text, a, b);
    _fail(file, line);
}

#define assert_le(a, b) fixture_le((double)(a), (double)(b), #a " <= " #b, __FILE__, __LINE__)
/** |a - b| <= tolerance; NaN fails. */
#define assert_near(a, b, tolerance)                                                               \
    fixture_le((double)(a) > (double)(b) ? (double)(a) - (double)(b) : (double)(b) - (double)(a),  \
               (double)(tolerance), "|" #a " - " #b "|", __FILE__, __LINE__)

/* ---- a context for a group of tests, their state ---- */

static inline int context_start(void **state)
{
    static lode_ctx ctx;
    *state = &ctx;
    return lode_ctx_init(&ctx, NULL);
}

static inline int context_end(void **state)
{
    lode_ctx_free(*state);
    return 0;
}

/* ---- a heap that counts blocks and fails when told ---- */

typedef struct heap {
    _Atomic int64_t calls;   /* allocations asked for since the start or heap_fail */
    _Atomic int64_t live;    /* blocks not freed yet */
    _Atomic int64_t fail_at; /* this call (1 is the next) gets NULL; 0: none */
} heap;

static inline void *heap_alloc(void *data, size_t bytes)
{
    heap *h = data;
    const int64_t call = atomic_fetch_add(&h->calls, 1) + 1;
    void *block = call == atomic_load(&h->fail_at) ? NULL : malloc(bytes);
    if (block)
        atomic_fetch_add(&h->live, 1);
    return block;
}

static inline void heap_free(void *data, void *block)
{
    heap *h = data;
    if (block)
        atomic_fetch_sub(&h->live, 1);
    free(block);
}

static inline lode_allocator heap_of(heap *h)
{
    return (lode_allocator){ heap_alloc, heap_free, h };
}

/** Lets the n-th allocation from now fail (0: none). */
static inline void heap_fail(heap *h, int64_t n)
{
    atomic_store(&h->calls, 0);
    atomic_store(&h->fail_at, n);
}

/** True when the failure that was planned has happened; so a loop over n ends when it has not. */
static inline bool heap_failed(heap *h)
{
    return atomic_load(&h->calls) >= atomic_load(&h->fail_at);
}

/* ---- a folder of one's own ---- */

static inline void folder_make(char path[256])
{
    const char *place = getenv("TMPDIR");
    snprintf(path, 256, "%s/lode-test-XXXXXX", place && *place ? place : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline int64_t folder_count(const char *path)
{
    int64_t count = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

/** Removes a folder and the files in it. */
static inline void folder_remove(const char *path)
{
    char file[1024];
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const int size = snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (size < (int)sizeof file && strcmp(e->d_name, ".") != 0 &&
            strcmp(e->d_name, "..") != 0 && remove(file) != 0)
            folder_remove(file);
    }
    closedir(d);
    rmdir(path);
}

#endif
