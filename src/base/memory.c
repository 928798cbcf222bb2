/* Blocks counted against a budget that all handles of a context share. A header of 64 bytes before
 * each block names its budget, which names the allocator; so a block can be freed by any thread,
 * without a context. */
#include "base/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/system.h"

enum { ALIGN = 64, OVERHEAD = 2 * ALIGN, HUGE_PAGE = 2 << 20 };

typedef struct header {
    lode_budget *budget;
    void *block;    /* what the allocator gave */
    size_t charged; /* size of it, counted against the budget */
    size_t bytes;   /* asked for */
} header;
_Static_assert(sizeof(header) <= ALIGN, "the header must fit before the block");

static void *heap_alloc(void *data, size_t bytes)
{
    (void)data;
    if (bytes < LODE_I_LARGE)
        return malloc(bytes);
#ifdef _WIN32
    return malloc(bytes);
#else
    /* A large block is asked to lie in huge pages: touching it the first time is then several times
     * as fast, and a sixth of a long product was that. */
    void *block = NULL;
    if (posix_memalign(&block, HUGE_PAGE, bytes) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(block, bytes, MADV_HUGEPAGE); /* a wish: pages of the usual size do as well */
#endif
    return block;
#endif
}

static void heap_free(void *data, void *block)
{
    (void)data;
    free(block);
}

lode_status lode_i_budget_new(const lode_allocator *allocator, lode_budget **budget)
{
    const lode_allocator heap = { heap_alloc, heap_free, NULL };
    const lode_allocator a = allocator ? *allocator : heap;
    lode_budget *b = a.alloc(a.data, sizeof *b);
    if (!b)
        return LODE_ENOMEM;
    b->allocator = a;
    const uint64_t memory = lode_i_container_memory();
    atomic_init(&b->limit, memory - memory / 4);
    atomic_init(&b->used, 0);
    atomic_init(&b->peak, 0);
    atomic_init(&b->references, 1);
    b->spares = (lode_spares){ .busy = ATOMIC_FLAG_INIT };
    *budget = b;
    return LODE_OK;
}

void lode_i_budget_ref(lode_budget *budget)
{
    atomic_fetch_add_explicit(&budget->references, 1, memory_order_relaxed);
}

void lode_i_budget_unref(lode_budget *budget)
{
    if (atomic_fetch_sub_explicit(&budget->references, 1, memory_order_acq_rel) == 1) {
        const lode_allocator a = budget->allocator;
        lode_i_spare_drop(budget);
        a.free(a.data, budget);
    }
}

/* Counts bytes if they fit; otherwise gives what is used. */
static bool charge(lode_budget *b, size_t bytes, uint64_t *used)
{
    const uint64_t limit = atomic_load_explicit(&b->limit, memory_order_relaxed);
    uint64_t now = atomic_load_explicit(&b->used, memory_order_relaxed);
    do {
        if (now > limit || bytes > limit - now) {
            *used = now;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &now, now + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    now += bytes;
    uint64_t peak = atomic_load_explicit(&b->peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &b->peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        continue;
    return true;
}

static void discharge(lode_budget *b, size_t bytes)
{
    atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
}

/* A kept block, counted; NULL where there is none that fits. */
static void *spare(lode_budget *b, size_t bytes, size_t *size)
{
    uint64_t used;
    void *block = lode_i_spare_take(b, bytes, size);
    if (!block || charge(b, *size, &used))
        return block;
    b->allocator.free(b->allocator.data, block);
    return NULL;
}

static lode_status allocate(lode_ctx *ctx, size_t bytes, bool zero, void **p)
{
    if (!ctx || !ctx->state)
        return LODE_EUSAGE;
    if (bytes > SIZE_MAX - OVERHEAD || bytes > (size_t)INT64_MAX - OVERHEAD)
        return lode_i_fail(ctx, LODE_ENOMEM, "%zu bytes are more than an address can reach", bytes);
    lode_budget *b = ctx->state->budget;
    size_t total = bytes + OVERHEAD, size = 0;
    uint64_t used = 0;
    char *block = spare(b, total, &size);
    const bool fresh = !block;
    if (block)
        total = size;
    else if (!charge(b, total, &used))
        return lode_i_fail(ctx, LODE_EBUDGET,
                           "%zu bytes are needed while %" PRIu64 " of the memory budget of %" PRIu64
                           " are in use; --memory %" PRIu64 " would do now",
                           bytes, used, (uint64_t)atomic_load(&b->limit), used + total);
    /* The C library knows which pages are zero already; a foreign allocator does not say. */
    const bool heap = b->allocator.alloc == heap_alloc;
    if (fresh)
        block = heap && zero ? calloc(1, total) : b->allocator.alloc(b->allocator.data, total);
    if (!block) {
        discharge(b, total);
        return lode_i_fail(ctx, LODE_ENOMEM, "the system has no %zu bytes left to give", bytes);
    }
    char *data = block + ALIGN + (ALIGN - (uintptr_t)block % ALIGN) % ALIGN;
    *(header *)(void *)(data - ALIGN) = (header){ b, block, total, bytes };
    lode_i_budget_ref(b);
    if (fresh && total >= LODE_I_LARGE)
        lode_i_spare_trim(b);
    if (zero && !(heap && fresh))
        memset(data, 0, bytes);
    *p = data;
    return LODE_OK;
}

lode_status lode_i_alloc(lode_ctx *ctx, size_t bytes, void **p)
{
    return allocate(ctx, bytes, false, p);
}

lode_status lode_i_calloc(lode_ctx *ctx, size_t bytes, void **p)
{
    return allocate(ctx, bytes, true, p);
}

static header *header_of(void *p)
{
    return (header *)(void *)((char *)p - ALIGN);
}

lode_status lode_i_realloc(lode_ctx *ctx, size_t bytes, void **p)
{
    void *fresh = NULL;
    LODE_FORWARD(allocate(ctx, bytes, false, &fresh));
    if (*p) {
        const size_t old = header_of(*p)->bytes;
        memcpy(fresh, *p, old < bytes ? old : bytes);
        lode_i_free(*p);
    }
    *p = fresh;
    return LODE_OK;
}

void lode_i_free(void *p)
{
    if (!p)
        return;
    const header h = *header_of(p);
    discharge(h.budget, h.charged);
    if (h.budget->allocator.alloc != heap_alloc || !lode_i_spare_keep(h.budget, h.block, h.charged))
        h.budget->allocator.free(h.budget->allocator.data, h.block);
    lode_i_budget_unref(h.budget);
}

lode_status lode_i_new(lode_ctx *ctx, int64_t count, size_t size, void **p)
{
    if (count < 0 || (size > 0 && (uint64_t)count > (uint64_t)INT64_MAX / size))
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%" PRId64 " items of %zu bytes are too many to address", count, size);
    return allocate(ctx, (size_t)count * size, false, p);
}

lode_status lode_i_strdup(lode_ctx *ctx, const char *text, char **copy)
{
    const size_t size = strlen(text) + 1;
    void *p = NULL;
    LODE_FORWARD(lode_i_alloc(ctx, size, &p));
    memcpy(p, text, size);
    *copy = p;
    return LODE_OK;
}

uint64_t lode_i_memory_left(const lode_ctx *ctx)
{
    const uint64_t limit = lode_ctx_memory(ctx), used = lode_ctx_memory_used(ctx);
    return limit > used ? limit - used : 0;
}

void lode_ctx_set_memory(lode_ctx *ctx, uint64_t bytes)
{
    if (ctx && ctx->state)
        atomic_store_explicit(&ctx->state->budget->limit, bytes, memory_order_relaxed);
}

uint64_t lode_ctx_memory(const lode_ctx *ctx)
{
    return ctx && ctx->state
               ? atomic_load_explicit(&ctx->state->budget->limit, memory_order_relaxed)
               : 0;
}

uint64_t lode_ctx_memory_used(const lode_ctx *ctx)
{
    return ctx && ctx->state ? atomic_load_explicit(&ctx->state->budget->used, memory_order_relaxed)
                             : 0;
}

uint64_t lode_ctx_memory_peak(const lode_ctx *ctx)
{
    return ctx && ctx->state ? atomic_load_explicit(&ctx->state->budget->peak, memory_order_relaxed)
                             : 0;
}

void lode_ctx_memory_reset_peak(lode_ctx *ctx)
{
    if (ctx && ctx->state)
        atomic_store_explicit(&ctx->state->budget->peak, lode_ctx_memory_used(ctx),
                              memory_order_relaxed);
}

bool lode_i_mul(int64_t a, int64_t b, int64_t *c)
{
    if (a != 0 && b != 0) {
        if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
                  : (b > 0 ? a < INT64_MIN / b : b < INT64_MAX / a))
            return false;
    }
    *c = a * b;
    return true;
}

bool lode_i_add(int64_t a, int64_t b, int64_t *c)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return false;
    *c = a + b;
    return true;
}
