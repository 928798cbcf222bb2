/* Tiles: cosines of pieces of each axis instead of the whole one, where the texture changes from
 * place to place. An axis folds in two, the place of a tile and the place in it; only the second is
 * transformed, and the energies of the first are what the coder knows of each place. Their length is
 * chosen by what boxes of the data would code to. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

enum { BOXES = 8, BOX = 1 << 16, LEAST = 1 << 12, UNIT = 32 };
enum { SHORTEST = 8, LENGTHS = 4, MIDDLE = 2, FIRST = SHORTEST << MIDDLE };
/* Tiles must save so much in the boxes; where they save more than this, nothing else will do. */
#define SAVES 0.97
#define SURE 0.8
/* Where tiles of one length take so much more, those of another save nothing. */
#define HOPE 1.1
/* What boxes say may be so far off. */
#define NEAR 1.1

/* Boxes side by side along a new first axis; *share: values of all over values of these. */
static lode_status gather(lode_ctx *ctx, const lode_array *x, lode_array *boxes, double *share)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 }, from = { 0 }, to = { 0 }, flat = { 0 };
    int64_t shape[LODE_MAX_NDIM], start[LODE_MAX_NDIM], size = lode_array_size(x), count = 1;
    int wide = 0; /* axes that tiles may cut */
    memcpy(shape + 1, x->shape, (size_t)x->ndim * sizeof *shape);
    for (int k = 0; k < x->ndim; k++)
        wide += x->shape[k] > FIRST;
    const int64_t box = wide > 2 ? BOX << 2 : BOX, many = wide > 2 ? BOXES / 2 : BOXES;
    *share = (double)size;
    if (size > many * box)
        for (count = many; size > box;) { /* the longest axis is halved, to whole units */
            int longest = 1;
            for (int k = 2; k <= x->ndim; k++)
                longest = shape[k] > shape[longest] ? k : longest;
            int64_t half = (shape[longest] + 1) / 2;
            half = half > UNIT ? half / UNIT * UNIT : half;
            size = size / shape[longest] * half;
            shape[longest] = half;
        }
    shape[0] = count;
    *share /= (double)(count * size);
    LODE_TRY(lode_array_new(ctx, x->dtype, x->ndim + 1, shape, &made));
    for (int64_t b = 0; b < count; b++) {
        compress_spread(x->ndim, x->shape, shape + 1, (int)b, (int)count, start);
        LODE_TRY(lode_i_strided(ctx, x, start, shape + 1, NULL, &from));
        LODE_TRY(lode_array_slice(ctx, &made, 0, b, b + 1, 1, &flat));
        LODE_TRY(lode_array_reshape(ctx, &flat, x->ndim, shape + 1, &to));
        LODE_TRY(lode_array_copy_into(ctx, &from, &to));
        LODE_FREE(&from, &flat, &to);
    }
    lode_array_swap(boxes, &made);
done:
    LODE_FREE(&made, &from, &to, &flat);
    return st;
}

/* Bytes that the boxes would take in tiles of this length (1: none), about. */
static lode_status price(lode_ctx *ctx, const block_task *t, const lode_array *boxes, int64_t tile,
                         double sumsq, double *bytes)
{
    lode_status st = LODE_OK;
    frame f;
    lode_array w = { 0 };
    basis_kind kind[LODE_MAX_NDIM] = { BASIS_NONE };
    LODE_TRY(
        compress_frame(ctx, t->f.work, t->f.work, boxes->ndim - 1, boxes->shape + 1, tile, &f));
    compress_cosines(&f, kind + 1);
    /* the axis of the boxes, which nothing transforms, before them */
    memmove(f.shape + 1, f.shape, (size_t)f.plain++ * sizeof *f.shape);
    memmove(f.whole + 1, f.whole, (size_t)(f.plain - 1) * sizeof *f.whole);
    memmove(f.mode + 1, f.mode, (size_t)f.modes++ * sizeof *f.mode);
    f.shape[0] = f.whole[0] = f.mode[0] = boxes->shape[0];
    LODE_TRY(compress_fold(ctx, &f, boxes, &w));
    LODE_TRY(compress_price(ctx, t, &w, kind, sumsq, bytes));
done:
    LODE_FREE(&w);
    return st;
}

/* The same of all of it. */
static lode_status price_whole(lode_ctx *ctx, const block_task *t, const lode_array *x,
                               int64_t tile, double sumsq, double *bytes)
{
    lode_status st = LODE_OK;
    frame f;
    lode_array w = { 0 };
    basis_kind kind[LODE_MAX_NDIM];
    LODE_TRY(compress_frame(ctx, t->f.stored, t->f.work, t->f.ndim, t->f.shape, tile, &f));
    compress_cosines(&f, kind);
    LODE_TRY(compress_fold(ctx, &f, x, &w));
    LODE_TRY(compress_price(ctx, t, &w, kind, sumsq, bytes));
done:
    LODE_FREE(&w);
    return st;
}

/* The length that codes the boxes shortest, from a middle one on to shorter ones, or longer, while
 * they save more; bytes[i]: what SHORTEST 2^i would take, infinite where it was not looked at. */
static lode_status search(lode_ctx *ctx, const block_task *t, const lode_array *boxes, double sumsq,
                          double plain, double bytes[LENGTHS], int *best)
{
    int64_t longest = 0;
    int first = MIDDLE;
    for (int k = 1; k < boxes->ndim; k++)
        longest = lode_i_max(longest, boxes->shape[k]);
    for (int i = 0; i < LENGTHS; i++)
        bytes[i] = INFINITY;
    while (first > 0 && 2 * SHORTEST << first > longest)
        first--;
    *best = first;
    for (int step = -1; step <= 1; step += 2)
        for (int i = step < 0 ? first : first + 1; i >= 0 && i < LENGTHS; i += step) {
            if (2 * SHORTEST << i > longest)
                break;
            LODE_FORWARD(price(ctx, t, boxes, SHORTEST << i, sumsq, &bytes[i]));
            if (bytes[i] < bytes[*best])
                *best = i;
            if (bytes[*best] > HOPE * plain) /* no other length makes up for that */
                return LODE_OK;
            if (*best != i || (step < 0 && *best < first && i == 0))
                break;
        }
    return LODE_OK;
}

lode_status compress_tile(lode_ctx *ctx, const block_task *t, const lode_array *x, double sumsq,
                          tiling *found)
{
    lode_status st = LODE_OK;
    lode_array boxes = { 0 };
    double share = 1, plain = 0, whole = 0, bytes[LENGTHS];
    int best = 0;
    *found = (tiling){ .bytes = INFINITY };
    if (lode_array_size(x) < LEAST || x->ndim >= LODE_MAX_NDIM / 2 || !(sumsq < t->stats.sumsq))
        return LODE_OK;
    LODE_TRY(gather(ctx, x, &boxes, &share));
    LODE_TRY(price(ctx, t, &boxes, FOLDS_LONG, sumsq / share, &plain));
    LODE_TRY(search(ctx, t, &boxes, sumsq / share, plain, bytes, &best));
    if (!(bytes[best] < SAVES * plain))
        goto done;
    /* boxes tell lengths apart only so far */
    for (int i = 0; i < LENGTHS; i++) {
        if (!(bytes[i] < NEAR * bytes[best]))
            continue;
        LODE_TRY(price_whole(ctx, t, x, SHORTEST << i, sumsq, &whole));
        if (whole < found->bytes)
            found->bytes = whole, found->length = SHORTEST << i;
    }
    found->sure = bytes[best] < SURE * plain;
    if (!found->sure) {
        LODE_TRY(price_whole(ctx, t, x, t->f.folds, sumsq, &whole));
        if (!(found->bytes < whole))
            found->length = 0;
        found->sure = found->bytes < SURE * whole;
    }
done:
    LODE_FREE(&boxes);
    return st;
}
