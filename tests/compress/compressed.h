/* What tests of compress share: options, what goes in and comes back, the result. */
#ifndef LODE_TESTS_COMPRESSED_H
#define LODE_TESTS_COMPRESSED_H

#include "fixture.h"

#include "array/array.h"
#include "lode/lode.h"

typedef struct fix {
    lode_ctx ctx;
    lode_compress_opts o;
    lode_array x, y;
    lode_bundle m;
    lode_certificate c;
    int axis; /* that parts are added along */
} fix;

static inline int start(void **state)
{
    static fix f;
    f = (fix){ 0 };
    *state = &f;
    f.o = lode_compress_defaults();
    return lode_ctx_init(&f.ctx, NULL);
}

static inline int end(void **state)
{
    fix *f = *state;
    LODE_FREE(&f->x, &f->y, &f->m);
    lode_ctx_free(&f->ctx);
    return 0;
}

/* Bytes of all members. */
static inline int64_t stored(const lode_bundle *m)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < m->count; i++)
        bytes += (int64_t)lode_array_bytes(lode_bundle_value(m, i).as.array);
    return bytes;
}

#endif
