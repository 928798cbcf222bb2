/* The context of most tests: two threads, and blocks that are counted, so that a leak fails the test. */
#ifndef LODE_TESTS_COUNTED_H
#define LODE_TESTS_COUNTED_H

#include "fixture.h"

static lode_ctx ctx;
static heap memory;

static int setup(void **state)
{
    (void)state;
    memset(&memory, 0, sizeof memory);
    const lode_allocator a = heap_of(&memory);
    if (lode_ctx_init(&ctx, &a) < 0)
        return -1;
    ctx.threads = 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lode_ctx_free(&ctx);
    if (memory.live != 0)
        print_error("%" PRId64 " blocks leaked\n", (int64_t)memory.live);
    return memory.live == 0 ? 0 : -1;
}

#endif
