/* Size and time of a compression before it runs, from boxes of the array at three sizes
 * (src/ops/compress/compress_forecast_look.c). Larger blocks code shorter, as structure is global: bytes a
 * value are taken as a + b x^-p of the boxes' sides x, as shares of a block's, which three sizes
 * decide. Prediction from neighbours and exact codes are local: nearly the same a value in boxes as
 * in all. Where the model reaches far, or boxes differ, a range is given. */
#include <math.h>
#include <string.h>

#include "linalg/linalg.h"
#include "ops/compress/compress_forecast.h"

/* Of a file beside its records, and of it for each of them. */
enum { FILE_BYTES = 1040, RECORD_BYTES = 275 };
/* Bytes that no look tells. */
#define LITTLE 300
/* Ranges whose ends are closer are one number. */
#define CLOSE 1.35

/* A number and how far it may be off to either side. */
typedef struct guess {
    double low, at, high;
} guess;

/* Bytes a value of a whole block, by a transform: r(x) = a + b x^-p through what the three sizes
 * gave, at x = 1. No less than with a = 0, or, where boxes take the same bytes at any size, than
 * one of them takes. */
static guess extend(const sampler *s)
{
    const look *l = s->look;
    const double r1 = l[0].bytes / l[0].values, r2 = l[1].bytes / l[1].values,
                 r3 = l[2].bytes / l[2].values;
    const double octaves = log2(1 / l[0].shrink), first = log2(l[0].shrink / l[1].shrink),
                 second = log2(l[1].shrink / l[2].shrink);
    const double d1 = r2 - r1, d2 = r3 - r2;
    const look *many = &l[l[0].boxes < LOOK_PLACES];
    const double differ = many->spread / (many->bytes / many->values);
    guess g = { r1, r1, r1 };
    if (!isfinite(r1))
        return g;
    if (!(first > 0.1)) { /* boxes that cannot be cut tell nothing of larger ones */
        g.low *= octaves > 0.2 ? pow(l[0].shrink, s->axes) : 1;
        return g;
    }
    const double slope = log2(fmax(1, r2 / r1)) / first;
    double least = r1 * pow(2, -slope * octaves);
    if (d1 > 0) {
        double p = 1;
        if (d2 > 0 && second > 0.1)
            p = log2(d2 / d1 * first / second) / (0.5 * (first + second));
        p = fmax(0.6, fmin(8, p));
        g.at = fmax(least, r1 - d1 * (1 - pow(2, -p * octaves)) / (pow(2, p * first) - 1));
    }
    const double step = r1 - g.at, noise = 1.3 * r1 * differ / sqrt(LOOK_PLACES);
    if (slope > 0.55 * s->axes)
        least = fmin(least, r1 * pow(l[0].shrink, s->axes));
    const bool far = step > 0.15 * r1;
    g.low = (far ? 0.8 * least : fmax(least, g.at - 0.5 * step)) - noise;
    g.low = fmax(g.low, 0.5 * least);
    g.high = g.at + 0.7 * step + noise;
    /* what boxes do not see may be more yet, and less; a line's are few */
    const double other = 6 * fmax(0, differ - 0.12), line = s->axes < 2 ? 0.15 * octaves : 0;
    g.high *= (1 + line) * (1 + other);
    g.low /= 1 + 0.5 * line + 0.3 * other;
    if (s->learns) /* bases that serve a stretch may not serve all */
        g.high *= 1 + 0.2 * octaves;
    return g;
}

/* Codes of neighbours alone: a + b / x through the bytes that the two largest sizes took. */
static guess extend_local(const look *l, double first, double second, double spread)
{
    const double r1 = first / l[0].values, r2 = second / l[1].values;
    guess g = { r1, r1, r1 };
    if (!isfinite(r1) || !isfinite(r2))
        return g;
    const double x1 = 1 / l[0].shrink, x2 = 1 / l[1].shrink;
    const double step = fmin(0.4 * r1, fmax(0, r2 - r1) * (x1 - 1) / fmax(x2 - x1, 0.1));
    const double noise = 1.3 * fmin(spread / sqrt(LOOK_PLACES), 0.3 * r1);
    g.at -= step;
    g.low = g.at - 0.5 * step - noise;
    g.high = g.at + 0.7 * step + noise;
    return g;
}

/* Low rank: a core of as many numbers at any size, and bases that grow as the sides. */
static bool low_rank(const sampler *s, guess *g)
{
    const look *l = s->look;
    if (!(l[0].columns > 0 && l[1].columns > 0 && l[0].columns < 1.3 * l[1].columns) || s->axes < 2)
        return false;
    g->at = (l[0].core + l[0].bases / l[0].shrink) / s->block;
    g->low = 0.65 * g->at, g->high = 1.35 * g->at;
    return true;
}

/* Numbers that the ranks asked for keep, of one block. */
static double numbers_of(const sampler *s)
{
    const goal *g = &s->j.goal;
    double core = 1, bases = 0;
    if (g->params > 0)
        return (double)g->params / (double)s->j.g.blocks;
    for (int k = 0; k < s->j.g.ndim; k++) {
        const double n = (double)s->j.g.side[k];
        const double r = fmin(n, (double)g->rank.value[g->rank.count == 1 ? 0 : k]);
        core *= r, bases += n * r;
    }
    return core + bases;
}

/* Bytes a value. */
static guess all_methods(const sampler *s)
{
    const goal *g = &s->j.goal;
    const look *l = s->look;
    const guess exact = extend_local(l, l[0].exact, l[1].exact, l[0].exact_spread);
    guess a = extend(s);
    const guess b = extend_local(l, l[0].predicted, l[1].predicted, l[0].spread);
    low_rank(s, &a);
    guess r = { fmin(a.low, b.low), fmin(a.at, b.at), fmin(a.high, b.high) };
    /* exact codes are tried where others are no shorter than a share of what is there */
    const double raw = (double)lode_dtype_size(s->j.g.dtype), tight = l[0].share * raw;
    const bool little = s->size * raw < EXACT_BYTES || !isfinite(r.at);
    if (little || r.high > 0.9 * tight)
        r.low = fmin(r.low, 0.97 * exact.low);
    if (little || r.at > tight)
        r.at = fmin(r.at, exact.at);
    if (little || r.low > 1.1 * tight)
        r.high = fmin(r.high, 1.02 * exact.high);
    const bool error = isfinite(g->sumsq) || g->bound > 0;
    if (g->rank.count > 0 || g->params > 0) { /* from few bits a number to all of them */
        const double n = numbers_of(s) / s->block;
        r = (guess){ 0.1 * n, 1 * n, 4 * n };
    } else if (g->bytes > 0) {
        const double most = (double)g->bytes / s->size;
        const guess whole = { 0.96 * most, 0.99 * most, most };
        r = error ? r : exact;
        r.low = fmin(r.low, whole.low), r.at = fmin(r.at, whole.at);
        r.high = fmin(r.high, whole.high);
    }
    /* tiles serve holes of all of it better than those of boxes */
    if (s->j.count < s->j.values && !g->bytes)
        r.low = fmin(r.low, 0.75 * r.at);
    return r;
}

/* ---- time ---- */

static double long_sides(const frame *f)
{
    double sum = 0;
    for (int k = 0; k < f->modes; k++)
        sum += f->mode[k] <= BASIS_LONGEST ? (double)f->mode[k] : 0;
    return sum;
}

/* Seconds, from what the boxes took, on one worker and then on all. Products by learned bases of longer
 * sides and eigenvectors grow otherwise and are counted at the rate of products here. Weights are
 * fitted to runs on arrays of many kinds; they say how often a part is repeated. */
static lode_status expect_seconds(lode_ctx *ctx, const sampler *s, int workers, double rate,
                                  double *seconds)
{
    enum { FLOPS_PRODUCT = 2, FLOPS_EIGEN = 10, TRIED = 1 << 18, SHORT = 2400 };
    const look *l = s->look;
    const job *j = &s->j;
    frame whole, box;
    const double gemm = lode_i_gemm_rate(ctx, j->work), values = (double)j->values;
    const int64_t effort = j->o->effort;
    const bool pointwise = j->goal.bound > 0;
    const bool tries = s->method == LODE_COMPRESS_AUTO && effort > EFFORT_COSINES;
    const bool full = s->method == LODE_COMPRESS_TUCKER || s->method == LODE_COMPRESS_SVD ||
                      (tries && (s->block < LARGE || s->learns || effort >= EFFORT_ALL));

    LODE_FORWARD(
        compress_frame(ctx, j->g.dtype, j->work, j->g.ndim, j->g.side, FOLDS_LONG, &whole));
    LODE_FORWARD(compress_frame(ctx, j->g.dtype, j->work, j->g.ndim, l->count, FOLDS_LONG, &box));
    /* what a box takes anyway, and for each of its values */
    double fixed = (l[1].seconds * l[0].values - l[0].seconds * l[1].values) /
                   (l[1].boxes * l[0].values - l[0].boxes * l[1].values);
    fixed = fmax(0, fmin(fixed, 0.8 * l[0].seconds / l[0].boxes));
    const double cosines = (l[0].seconds - fixed * l[0].boxes) / l[0].values * s->size +
                           fixed * (double)j->g.blocks;
    const double growth = FLOPS_PRODUCT * values * (long_sides(&whole) - long_sides(&box)) / gemm;
    double eigen = 0;
    for (int k = 0; k < whole.modes && whole.modes > 1; k++) {
        const double n = (double)whole.mode[k];
        eigen += FLOPS_EIGEN * n * n * fmin(n, s->block / n) * (double)j->g.blocks / gemm;
    }
    const bool some = rate * s->size > SHORT; /* else there is little to search for */
    const double search = s->rules_values > 0 ? s->rules_seconds / s->rules_values *
                                                    fmin(TRIED, s->block) * (double)j->g.blocks
                                              : 0;
    const bool rival = some && isfinite(l[0].predicted) &&
                       extend_local(l, l[0].predicted, l[1].predicted, 0).at < 1.15 * rate;
    const double predict = rival ? l[0].predict_seconds * s->size / l[0].values : 0;
    const double exact = isfinite(l[0].exact) ? l[0].exact_seconds * s->size / l[0].values : 0;
    const double hard = effort >= EFFORT_ALL ? 2 : effort > EFFORT_FAST ? 1.4 : 1;
    double transform = 0, local = 0;
    if (!full) {
        transform = 0.4 * cosines;
    } else {
        const double learning = s->method == LODE_COMPRESS_AUTO ? 0.2 * (s->learning - 1) : 0.2;
        transform = hard * (0.3 + learning) * cosines + growth;
        local += hard * 1.5 * eigen;
    }
    if (s->method == LODE_COMPRESS_PREDICT || s->method == LODE_COMPRESS_LOSSLESS)
        transform = 0;
    transform += (pointwise ? 20 : 10) * s->sums_seconds;
    local += hard * (some ? pointwise ? 0.9 : 0.55 : 0.15) * search + hard * predict +
             (effort > EFFORT_COSINES ? 1.5 : 0.5) * exact;
    *seconds = transform * (0.1 + 0.9 / workers) + local * (0.7 + 0.3 / workers);
    if (j->o->access == LODE_COMPRESS_CHUNK && j->region.blocks > 1) /* coded again as one */
        *seconds *= 1 + (double)j->region.values / s->size;
    return LODE_OK;
}

/* ---- the forecast ---- */

/* Where all is little, it is coded. */
static lode_status code_all(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    lode_status st = LODE_OK;
    job j = { .o = lode_call_opts(c) };
    lode_bundle made = { 0 };
    lode_diff d;
    bool owned = false;
    double bytes = FILE_BYTES;
    LODE_TRY(lode_i_as_source(ctx, c->in[0], &j.source, &owned));
    const double began = lode_i_seconds();
    LODE_TRY(compress_code(ctx, &j, &made, &d));
    for (int64_t i = 0; i < made.count; i++)
        bytes += RECORD_BYTES + (double)lode_array_bytes(lode_bundle_value(&made, i).as.array);
    p->bytes_low = p->bytes_high = bytes;
    p->seconds = p->seconds_low = p->seconds_high = lode_i_seconds() - began;
    snprintf(p->basis, sizeof p->basis, "all of it was coded");
done:
    if (owned)
        LODE_FREE(&j.source);
    LODE_FREE(&made);
    return st;
}

static lode_status forecast(lode_ctx *ctx, int workers, sampler *s, lode_plan *p)
{
    const job *j = &s->j;
    double seconds = 0;
    LODE_FORWARD(compress_look_sums(ctx, s));
    if (s->method != LODE_COMPRESS_LOSSLESS)
        LODE_FORWARD(compress_aim(ctx, &s->j));
    if (j->maxabs > 0x1p53 && lode_dtype_size(j->g.dtype) == 8 &&
        lode_dtype_class(j->g.dtype) != 'f')
        s->method = LODE_COMPRESS_LOSSLESS; /* whole numbers that f64 does not hold */
    s->each = j->goal.sumsq / fmax(1, (double)j->count);
    LODE_FORWARD(compress_look(ctx, s));
    const guess r = all_methods(s);
    LODE_FORWARD(expect_seconds(ctx, s, workers, r.at, &seconds));
    const double file = FILE_BYTES + RECORD_BYTES * (double)j->g.blocks;
    p->bytes_low = fmax(0.97 * file, file + r.low * s->size - LITTLE);
    p->bytes_high = file + r.high * s->size + LITTLE;
    if (p->bytes_high < CLOSE * p->bytes_low)
        p->bytes_low = p->bytes_high = file + r.at * s->size;
    else
        p->bytes_low = fmax(0.97 * file, 0.93 * p->bytes_low), p->bytes_high *= 1.07;
    const double off = j->o->effort > EFFORT_COSINES ? 3 : 2;
    p->seconds = seconds;
    p->seconds_low = seconds / off, p->seconds_high = seconds * off;
    snprintf(p->basis, sizeof p->basis, "from a sample of %.2g %% of the values",
             fmin(100, 100 * s->look[0].values / s->size));
    return LODE_OK;
}

lode_status compress_forecast(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    lode_status st = LODE_OK;
    bool owned = false;
    sampler *s = NULL;
    lode_ctx one = *ctx;
    one.threads = 1; /* small boxes keep no more of them busy */

    p->seconds_low = p->seconds_high = 0;
    LODE_TRY(lode_i_calloc(ctx, sizeof *s, (void **)&s));
    LODE_TRY(lode_i_as_source(ctx, c->in[0], &s->j.source, &owned));
    if (!s->j.source.rewindable) {
        snprintf(p->basis, sizeof p->basis, "none: X can be read but once");
        goto done;
    }
    s->j.o = lode_call_opts(c);
    compress_lay(&s->j);
    s->o = s->j.settled;
    s->o.effort = lode_i_min(s->o.effort,
                             EFFORT_TURNS - 1); /* a few percent longer, at half the work */
    s->method = s->o.method;
    s->learning = 1;
    s->size = s->block = 1;
    for (int k = 0; k < s->j.g.ndim; k++) {
        s->size *= (double)s->j.g.shape[k];
        s->block *= (double)s->j.g.side[k];
        s->axes += s->j.g.side[k] > 2;
    }
    for (int k = 0; s->axes == 0 && k < s->j.g.ndim; k++)
        s->axes += s->j.g.side[k] > 1;
    st = s->size <= TINY ? code_all(&one, c, p) : forecast(&one, lode_ctx_threads(ctx), s, p);
    if (st == LODE_ECANCEL || st == LODE_ENOMEM || st >= 0)
        goto done;
    /* The plan stands; what the run would refuse, it will say. */
    p->bytes_low = p->bytes_high = p->seconds_low = p->seconds_high = 0;
    snprintf(p->basis, sizeof p->basis, "none: %s",
             st == LODE_EBUDGET ? "no memory for a sample" : lode_status_text(st));
    st = LODE_OK;
done:
    if (owned)
        LODE_FREE(&s->j.source);
    lode_i_free(s);
    return st;
}
