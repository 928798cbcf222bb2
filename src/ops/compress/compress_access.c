/* Small blocks for local access: how many values they hold, and the blocks on which their cost in
 * bytes is measured. */
#include "ops/compress/compress.h"

int64_t compress_asked(const lode_compress_opts *o)
{
    const int64_t most = o->block.given ? o->block.value : 0;
    return o->access == LODE_COMPRESS_CHUNK ? -most : most;
}

/* Values of a block: more where there would be very many blocks. */
enum { CHUNK = 1 << 16, CHUNK_MOST = 1 << 18, CHUNKS = 4096 };

lode_compress_opts compress_settle(const lode_compress_opts *o, lode_dtype dtype, int ndim,
                                   const int64_t *shape)
{
    lode_compress_opts own = *o;
    double size = 1;
    grid plain;
    for (int k = 0; k < ndim; k++)
        size *= (double)shape[k];
    if (o->block.given)
        return own;
    if (o->access != LODE_COMPRESS_CHUNK) {
        compress_grid(dtype, ndim, shape, 0, &plain);
        if (plain.blocks > 1)
            own.block = (lode_auto_i64){ true, COMPRESS_THICK };
        return own;
    }
    own.block = (lode_auto_i64){ true, CHUNK };
    while (own.block.value < CHUNK_MOST && size > (double)own.block.value * CHUNKS)
        own.block.value *= 2;
    return own;
}

/* The region is coded as one block to the error that its blocks reached: all of a small array, else
 * so many values at most. */
enum { SMALL = 1 << 22, REGION = 1 << 21 };

region compress_region(const grid *g)
{
    region r = { .blocks = 1, .values = 1 };
    int64_t parts[LODE_MAX_NDIM];
    double size = 1;
    for (int k = 0; k < g->ndim; k++) {
        parts[k] = 1;
        r.values *= g->side[k];
        size *= (double)(g->side[k] * g->parts[k]);
    }
    const int64_t most = size <= SMALL ? SMALL : REGION;
    for (;;) { /* the shortest axis grows by a block */
        int next = -1;
        for (int k = 0; k < g->ndim; k++)
            if (parts[k] < g->parts[k] && r.values / parts[k] * (parts[k] + 1) <= most &&
                (next < 0 || parts[k] * g->side[k] < parts[next] * g->side[next]))
                next = k;
        if (next < 0)
            break;
        r.values = r.values / parts[next] * (parts[next] + 1);
        parts[next]++;
    }
    for (int k = 0; k < g->ndim; k++) {
        r.start[k] = (g->parts[k] - parts[k]) / 2 * g->side[k];
        r.stop[k] = lode_i_min(r.start[k] + parts[k] * g->side[k], g->shape[k]);
        r.blocks *= parts[k];
    }
    return r;
}

bool compress_within(const grid *g, const region *r, const int64_t *start)
{
    bool within = true;
    for (int k = 0; k < g->ndim; k++)
        within = within && start[k] >= r->start[k] && start[k] < r->stop[k];
    return within;
}
