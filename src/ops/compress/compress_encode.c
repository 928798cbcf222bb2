/* One block by the method that codes it shortest: a transform, prediction from neighbours, a tensor train, or
 * exact values. */
#include <math.h>

#include "ops/compress/compress.h"

lode_status compress_exact(lode_ctx *ctx, const lode_compress_opts *o, const lode_array *block,
                           lode_array *coded)
{
    lode_status st = LODE_OK;
    const block_task t = { .o = o };
    lode_record r = { 0 };
    lode_array stream = { 0 };
    LODE_TRY(lode_i_encode_exact(ctx, block, &stream));
    LODE_TRY(compress_head(ctx, &t, RECORD_EXACT, &r));
    LODE_TRY(lode_i_record_bytes(ctx, &r, &stream));
    if (o->missing.kind == LODE_MISSING_VALUE && isfinite(o->missing.value))
        LODE_TRY(lode_i_record_f64(ctx, &r, o->missing.value)); /* queries leave it out */
    LODE_TRY(lode_i_record_end(ctx, &r, coded));
done:
    lode_i_record_free(&r);
    LODE_FREE(&stream);
    return st;
}

/* Of floating values, and of whole numbers. */
#define EXACT_SHARE 0.4
#define EXACT_SHARE_WHOLE 0.2

double compress_exact_share(const block_task *t)
{
    const char class = lode_dtype_class(t->f.stored);
    const goal *g = &t->goal;
    lode_spacing s;
    if (class == 'i' || class == 'u' || class == 'b')
        return EXACT_SHARE_WHOLE;
    if (!lode_i_spaced(&t->x, &s))
        return EXACT_SHARE;
    const double apart = s.num / s.den, n = (double)t->f.size;
    const bool closer = g->bytes || g->bound > 0 ? g->bound < apart : g->sumsq < apart * apart * n;
    return closer ? 0 : EXACT_SHARE;
}

lode_status compress_encode(lode_ctx *ctx, block_task *t, const lode_array *block,
                            lode_array *coded, lode_diff *diff)
{
    lode_status st = LODE_OK;
    lode_array lossy = { 0 }, plain = { 0 };
    const goal *g = &t->goal;
    const double raw = (double)lode_array_bytes(block);
    bool met = false;

    const bool hopeless = t->o->method == LODE_COMPRESS_LOSSLESS || t->stats.sumsq == 0 ||
                          t->f.size < 2 || (!(g->sumsq > 0) && !(g->bound > 0) && !g->bytes);
    const lode_compress_method method = t->o->method;
    const bool ranks = g->params > 0 || g->rank.count > 0;
    if (!hopeless && method != LODE_COMPRESS_PREDICT && method != LODE_COMPRESS_TT) {
        const lode_status coding = compress_transform(ctx, t, block, &lossy, diff, &met);
        if (coding == LODE_EDOMAIN) /* so fine a step is out of range: exact values do it */
            met = false;
        else
            LODE_TRY(coding);
    }
    const bool tries = method == LODE_COMPRESS_AUTO && t->o->effort > EFFORT_COSINES;
    if (!hopeless && !ranks && (method == LODE_COMPRESS_PREDICT || tries)) {
        const predict_rival rival = { met ? (double)lossy.shape[0] : raw, diff->sumsq };
        bool better = false;
        LODE_TRY(compress_predict(ctx, t, block, met ? &rival : NULL, &lossy, diff, &better));
        met = met || better;
    }
    const bool squares = !ranks && !(g->bound > 0) && !g->bytes && g->sumsq > 0;
    if (!hopeless && squares &&
        (method == LODE_COMPRESS_TT ||
         (tries && met && t->f.modes > 2 && t->f.folds <= FOLDS_LONG))) {
        const predict_rival rival = { (double)lossy.shape[0], diff->sumsq };
        bool better = false;
        LODE_TRY(compress_train(ctx, t, block, method == LODE_COMPRESS_TT ? NULL : &rival, &lossy,
                                diff, &better));
        met = met || better;
    }
    /* Exact values where nothing else holds the goal, or where they are as short. */
    const double close = compress_exact_share(t);
    const bool tight = !met || (double)lossy.shape[0] > close * raw || raw < EXACT_BYTES;
    if (tight && !(g->params > 0) && !(g->rank.count > 0 && met)) {
        LODE_TRY(compress_exact(ctx, t->o, block, &plain));
        const bool fits = !g->bytes || plain.shape[0] <= g->bytes;
        if (!met || (fits && (plain.shape[0] <= lossy.shape[0] || g->bytes > 0))) {
            lode_array_swap(&lossy, &plain);
            LODE_TRY(compress_measure(ctx, t, &lossy, block, diff));
        }
    }
    lode_array_swap(coded, &lossy);
done:
    LODE_FREE(&lossy, &plain);
    return st;
}
