/* Which modes take wavelets, or nothing, instead of cosines: judged mode by mode on boxes that are
 * cut short along the others, as edges count by how many cross a whole line of values. */
#include <math.h>
#include <string.h>

#include "ops/compress/compress.h"

/* A sample: BOXES boxes of at most BOX values, and together of 1/SHARE of all, but of LEAST. */
enum { BOXES = 2, BOX = 1 << 17, SHARE = 32, LEAST = 1 << 15 };
/* Shorter modes have no use for wavelets. */
enum { SHORT = 16 };
/* Bits a value, below which a box is too small to tell: all of it is smooth. */
#define THIN 0.02
/* What looks longer than this is not coded to see. */
#define HOPE 0.99
/* What a box says is believed from this on. */
#define SAVES 0.98

typedef struct sample {
    const block_task *t;
    int boxes;
    lode_array x[BOXES];
    double step, sumsq[BOXES]; /* error of the kinds that came first */
} sample;

static void sample_free(sample *s)
{
    for (int b = 0; b < BOXES; b++)
        lode_array_free(&s->x[b]);
}

/* Boxes as long as mode `whole`. */
static lode_status take_sample(lode_ctx *ctx, const lode_array *w, int whole, sample *s)
{
    lode_status st = LODE_OK;
    int64_t count[LODE_MAX_NDIM], start[LODE_MAX_NDIM], size = lode_array_size(w);
    lode_array view = { 0 };
    const int64_t most = size <= LEAST ? size
                                       : lode_i_min(BOX, lode_i_max(LEAST, size / SHARE) / BOXES);
    memcpy(count, w->shape, sizeof count);
    s->boxes = 0;
    for (int longest = 0; size > most && longest >= 0;) { /* the longest other mode is halved */
        longest = -1;
        for (int k = 0; k < w->ndim; k++)
            if (k != whole && count[k] > 1 && (longest < 0 || count[k] > count[longest]))
                longest = k;
        if (longest < 0)
            break;
        size = size / count[longest] * ((count[longest] + 1) / 2);
        count[longest] = (count[longest] + 1) / 2;
    }
    for (int b = 0; b < (size < lode_array_size(w) ? BOXES : 1); b++) {
        for (int k = 0; k < w->ndim; k++)
            start[k] = (w->shape[k] - count[k]) * (2 * b + 1) / (2 * BOXES);
        s->boxes = b + 1;
        LODE_TRY(lode_i_strided(ctx, w, start, count, NULL, &view));
        LODE_TRY(lode_i_as(ctx, &view, w->dtype, &s->x[b]));
        lode_array_free(&view);
    }
done:
    lode_array_free(&view);
    return st;
}

/* FIRST: also the error of the boxes; LOOK: bits that coefficients look like at the step; CODE:
 * bytes of their code with that error. */
typedef enum depth { FIRST, LOOK, CODE } depth;

static lode_status judge_box(lode_ctx *ctx, sample *s, int box, depth how, const lode_array *y,
                             double *size)
{
    lode_status st = LODE_OK;
    lode_quantizer z = { .step = s->step, .zone = COEFFICIENT_ZONE };
    lode_array q = { 0 };
    if (how < CODE)
        return lode_i_quantizer_fit(ctx, y, &z, how == FIRST ? &s->sumsq[box] : NULL, size);
    LODE_TRY(compress_step(ctx, y, s->sumsq[box], s->step, &z, NULL, NULL));
    LODE_TRY(lode_i_quantize(ctx, y, &z, &q));
    LODE_TRY(compress_symbols_estimate(ctx, s->t->o, &q, size));
done:
    LODE_FREE(&q);
    return st;
}

static lode_status judge(lode_ctx *ctx, sample *s, const basis_kind *kind, depth how, double *size)
{
    lode_status st = LODE_OK;
    basis b[LODE_MAX_NDIM] = { { .kind = BASIS_NONE } };
    lode_array y = { 0 };
    const lode_array *const x = s->x; /* all of one shape */
    for (int k = 0; k < x->ndim; k++)
        LODE_TRY(basis_given(ctx, kind[k], x->dtype, x->shape[k], x->shape[k], &b[k]));
    *size = 0;
    for (int box = 0; box < s->boxes; box++) {
        double more = 0;
        LODE_TRY(basis_multiply(ctx, b, true, &x[box], &y));
        LODE_TRY(judge_box(ctx, s, box, how, &y, &more));
        *size += more;
    }
done:
    for (int k = 0; k < x->ndim; k++)
        basis_free(&b[k]);
    LODE_FREE(&y);
    return st;
}

/* kind[k] becomes `now` where its code is shorter. *least: bytes with kind[k], or as much as no code
 * has while they are not known. */
static lode_status contest(lode_ctx *ctx, sample *s, int k, basis_kind now, double looks,
                           double share, basis_kind *kind, double *least)
{
    double size = 0;
    const basis_kind before = kind[k];
    kind[k] = now;
    LODE_FORWARD(judge(ctx, s, kind, LOOK, &size));
    const bool hopes = size < HOPE * looks;
    kind[k] = before;
    if (!hopes)
        return LODE_OK;
    if (isinf(*least))
        LODE_FORWARD(judge(ctx, s, kind, CODE, least));
    kind[k] = now;
    LODE_FORWARD(judge(ctx, s, kind, CODE, &size));
    if (size < share * *least)
        *least = size;
    else
        kind[k] = before;
    return LODE_OK;
}

/* The best kind of one mode beside what the others have. */
static lode_status turn(lode_ctx *ctx, const block_task *t, const lode_array *w, double step, int k,
                        basis_kind *kind)
{
    lode_status st = LODE_OK;
    sample s = { .t = t, .step = step };
    const int64_t n = w->shape[k];
    const basis_kind before = kind[k];
    double looks = 0, least = INFINITY;

    LODE_TRY(take_sample(ctx, w, k, &s));
    LODE_TRY(judge(ctx, &s, kind, FIRST, &looks));
    if (looks < THIN * (double)(s.boxes * lode_array_size(&s.x[0])))
        goto done;
    if (kind[k] != BASIS_NONE)
        LODE_TRY(contest(ctx, &s, k, BASIS_NONE, looks, SAVES, kind, &least));
    if (!basis_moments(kind[k]) && n >= SHORT && n <= BASIS_LONGEST)
        LODE_TRY(contest(ctx, &s, k, BASIS_WAVELETS3, looks, kind[k] == before ? SAVES : 1, kind,
                         &least));
    const basis_kind middle = kind[k];
    for (basis_kind other = BASIS_WAVELETS2; other < BASIS_KINDS && basis_moments(middle); other++)
        if (other != middle)
            LODE_TRY(contest(ctx, &s, k, other, looks, 1, kind, &least));
done:
    sample_free(&s);
    return st;
}

lode_status compress_given(lode_ctx *ctx, const block_task *t, const lode_array *w, double step,
                           basis_kind *kind)
{
    basis_kind before[LODE_MAX_NDIM];
    const size_t size = (size_t)w->ndim * sizeof *kind;
    for (int pass = 0; pass < 2; pass++) {
        memcpy(before, kind, size);
        for (int k = 0; k < w->ndim; k++)
            LODE_FORWARD(turn(ctx, t, w, step, k, kind));
        if (memcmp(before, kind, size) == 0)
            break;
    }
    return LODE_OK;
}
