/* Large blocks that an operation frees are kept for its next ones: the system takes about as long
 * to hand out fresh pages as a pass over them does, a fifth of a compression. They are given back
 * when the outermost call ends, and whenever keeping them would make the process larger than what
 * was counted against the budget at its peak. */
#include "base/state.h"

/* The address sanitizer should see every block come and go. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS false
#endif
#endif
#ifndef KEEPS
#define KEEPS true
#endif

enum { SPINS = 1000 };

/* A fork may have left the lock taken for ever: then there are no spares. */
static bool lock(lode_spares *s)
{
    for (int i = 0; i < SPINS; i++)
        if (!atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
            return true;
    return false;
}

static void unlock(lode_spares *s)
{
    atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

static void drop(lode_budget *b, int i)
{
    lode_spares *s = &b->spares;
    b->allocator.free(b->allocator.data, s->block[i]);
    s->total -= s->size[i];
    s->count--;
    s->block[i] = s->block[s->count];
    s->size[i] = s->size[s->count];
}

static uint64_t load(const _Atomic uint64_t *x)
{
    return atomic_load_explicit(x, memory_order_relaxed);
}

void *lode_i_spare_take(lode_budget *b, size_t bytes, size_t *size)
{
    lode_spares *s = &b->spares;
    void *block = NULL;
    if (!KEEPS || bytes < LODE_I_LARGE || atomic_load(&s->open) == 0 || !lock(s))
        return NULL;
    int best = -1;
    for (int i = 0; i < s->count; i++)
        if (s->size[i] >= bytes && s->size[i] - bytes <= bytes / 16 &&
            (best < 0 || s->size[i] < s->size[best]))
            best = i;
    if (best >= 0) {
        block = s->block[best], *size = s->size[best];
        s->total -= s->size[best];
        s->count--;
        s->block[best] = s->block[s->count];
        s->size[best] = s->size[s->count];
    }
    unlock(s);
    return block;
}

bool lode_i_spare_keep(lode_budget *b, void *block, size_t size)
{
    lode_spares *s = &b->spares;
    bool kept = false;
    if (!KEEPS || size < LODE_I_LARGE || atomic_load(&s->open) == 0 || !lock(s))
        return false;
    if (s->count < LODE_I_SPARES && load(&b->used) + s->total + size <= load(&b->peak)) {
        s->block[s->count] = block, s->size[s->count++] = size;
        s->total += size;
        kept = true;
    }
    unlock(s);
    return kept;
}

void lode_i_spare_trim(lode_budget *b)
{
    lode_spares *s = &b->spares;
    if (!KEEPS || atomic_load(&s->open) == 0 || !lock(s))
        return;
    while (s->count > 0 && load(&b->used) + s->total > load(&b->peak))
        drop(b, s->count - 1);
    unlock(s);
}

void lode_i_spare_open(lode_budget *b)
{
    atomic_fetch_add(&b->spares.open, 1);
}

void lode_i_spare_drop(lode_budget *b)
{
    lode_spares *s = &b->spares;
    if (!lock(s))
        return;
    while (s->count > 0)
        drop(b, s->count - 1);
    unlock(s);
}

void lode_i_spare_close(lode_budget *b)
{
    if (atomic_fetch_sub(&b->spares.open, 1) == 1)
        lode_i_spare_drop(b);
}
