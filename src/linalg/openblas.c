/* What OpenBLAS needs to be called from several threads at once. Built for one thread (Debian's
 * openblas-serial), it takes the work buffer of each call from a table without a lock: two calls
 * that begin within some nanoseconds of one another get the same buffer and return wrong numbers.
 * The build's own copy of it has a guard linked in (cmake/openblas_guard.c). A shared one reaches
 * its allocator through the dynamic symbol table, where the definition below mostly comes first:
 * the same allocator, one caller at a time. Where that does not take effect (the library was loaded
 * before Lode), whole calls take turns. */
#include "linalg/blas.h"

#include <stdatomic.h>
#include <string.h>

/* Threads that OpenBLAS was built for: 0 none, 1 its own, 2 OpenMP's; -1: not OpenBLAS. */
static int built_for(void)
{
    int (*parallel)(void) = NULL;
    void *symbol = lode_i_library_symbol(NULL, "openblas_get_parallel");
    memcpy(&parallel, &symbol, sizeof parallel);
    return parallel ? parallel() : -1;
}

const char *lode_i_blas_name(bool *same_bits)
{
    char *(*config)(void) = NULL;
    void *symbol = lode_i_library_symbol(NULL, "openblas_get_config");
    memcpy(&config, &symbol, sizeof config);
    if (same_bits)
        *same_bits = built_for() == 0;
    return config ? config() : "a BLAS that does not tell its name";
}

#ifndef LODE_BLAS_GUARDED

typedef struct flag {
    atomic_flag taken;
} flag;

/* Held for some 30 ns, so that spinning costs less than sleeping. */
static void take(flag *f)
{
    while (atomic_flag_test_and_set_explicit(&f->taken, memory_order_acquire))
        ;
}

static void drop(flag *f)
{
    atomic_flag_clear_explicit(&f->taken, memory_order_release);
}

static _Atomic int64_t allocations;

/* OpenBLAS's own, one caller at a time: exported for OpenBLAS alone, no part of Lode's interface.
 */
LODE_API void *blas_memory_alloc(int position);
LODE_API void blas_memory_free(void *buffer);

static flag table = { ATOMIC_FLAG_INIT };

void *blas_memory_alloc(int position)
{
    static void *(*next)(int);
    take(&table);
    if (!next) {
        void *symbol = lode_i_library_symbol(NULL, "blas_memory_alloc");
        memcpy(&next, &symbol, sizeof next); /* ISO C has no cast from an object to a function */
    }
    void *buffer = next(position);
    drop(&table);
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return buffer;
}

void blas_memory_free(void *buffer)
{
    static void (*next)(void *);
    take(&table);
    if (!next) {
        void *symbol = lode_i_library_symbol(NULL, "blas_memory_free");
        memcpy(&next, &symbol, sizeof next);
    }
    next(buffer);
    drop(&table);
}

/* ---- calls that take turns, where the lock above is passed by ---- */

enum { UNKNOWN, FREE, TURNS };
static _Atomic int way;
static flag turn = { ATOMIC_FLAG_INIT };

static void take_both(void)
{
    take(&turn);
    take(&table);
}

static void drop_both(void)
{
    drop(&table);
    drop(&turn);
}

static int find_way(void)
{
    static atomic_flag minded = ATOMIC_FLAG_INIT;
    if (built_for() != 0)
        return FREE; /* every other BLAS in use is made for several callers */
    if (!atomic_flag_test_and_set(&minded))
        lode_i_at_fork(take_both, drop_both); /* a child has not the threads that held them */
    take(&turn);
    const int64_t before = atomic_load(&allocations);
    lode_i_blas_probe();
    const int found = atomic_load(&allocations) > before ? FREE : TURNS;
    drop(&turn);
    return found;
}

bool lode_i_blas_enter(void)
{
    int now = atomic_load_explicit(&way, memory_order_relaxed);
    if (now == UNKNOWN) {
        now = find_way();
        atomic_store_explicit(&way, now, memory_order_relaxed);
    }
    if (now == TURNS)
        take(&turn);
    return now == TURNS;
}

void lode_i_blas_leave(bool entered)
{
    if (entered)
        drop(&turn);
}

#else

bool lode_i_blas_enter(void)
{
    return false;
}

void lode_i_blas_leave(bool entered)
{
    (void)entered;
}

#endif
