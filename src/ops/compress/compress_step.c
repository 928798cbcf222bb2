/* The step at which coefficients come to an error: passes over a part of them where there are many, then
 * over all. */
#include <math.h>

#include "ops/compress/compress.h"

enum { SAMPLED = 1 << 20, SHARE = 16 };
/* A part up to which what can be other than 0 is looked at whole. */
#define FEW 0.25

/* What is known of the values beforehand: their sum of squares, a largest magnitude that none passes;
 * and where to look first, with the power of the step that the error grows with there (0: unknown). */
typedef struct start {
    double norm2, most, step, power;
} start;

static lode_status find_step(lode_ctx *ctx, const lode_array *core, const start *from, double sumsq,
                             lode_quantizer *z, double *reached, double *bits, double *power)
{
    lode_status st = LODE_OK;
    double error = 0, low = 0, high = 0, low_error = 0, high_error = 0;
    const double n = (double)lode_array_size(core);

    *z = (lode_quantizer){ .step = 4 * from->most, .zone = COEFFICIENT_ZONE };
    if (!(from->norm2 > 0) || sumsq >= from->norm2) { /* nothing needs coding */
        z->step = from->norm2 > 0 ? z->step : 1;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
        goto done;
    }
    /* Below this, symbols would pass 2^30: what can be reached is reached. */
    const double least = from->most * 0x1p-29;
    double step = fmax(from->step > 0 ? from->step : sqrt(12 * sumsq / n), least);
    for (int i = 0; i < 24; i++) {
        z->step = step;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
        LODE_TRY(lode_i_tick(ctx, i, 24));
        if (error <= sumsq && (error >= 0.99 * sumsq || step >= 4 * from->most))
            break;
        if (error > sumsq)
            high = step, high_error = error;
        else
            low = step, low_error = error;
        if (error > sumsq && step <= least)
            break;
        if (i == 0 && from->power > 0 && error > 0.5 * sumsq && error < 2 * sumsq) {
            step = fmax(least, step * pow(0.995 * sumsq / error, 1 / from->power));
        } else if (low == 0) {
            step = fmax(least, step * fmax(0.1, 0.98 * sqrt(sumsq / error)));
        } else if (high == 0) {
            step *= fmin(8, 1.01 * sqrt(0.998 * sumsq / error));
        } else { /* regula falsi in logarithms, kept inside; towards the end plain halves */
            double share = log(0.995 * sumsq / low_error) / log(high_error / low_error);
            share = i > 12 || !(share > 0.05 && share < 0.95) ? 0.5 : share;
            step = low * pow(high / low, share);
            if (high / low < 1 + 1e-6) {
                z->step = low;
                LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
                break;
            }
        }
    }
    if (power && low > 0 && high > low && low_error > 0 && high_error > low_error)
        *power = fmin(fmax(log(high_error / low_error) / log(high / low), 0.5), 2);
    if (error > sumsq && low > 0) {
        z->step = low;
        LODE_TRY(lode_i_quantizer_fit(ctx, core, z, &error, bits));
    }
done:
    if (reached)
        *reached = error;
    return st;
}

static lode_status start_at(lode_ctx *ctx, const lode_array *x, start *from)
{
    lode_stats s;
    LODE_FORWARD(lode_i_stats(ctx, x, &s));
    from->norm2 = s.sumsq, from->most = s.maxabs;
    return LODE_OK;
}

/* The step as a part of the core gives it: what can be other than 0, where that is little, else a
 * sample. No value errs by more than the dead zone, so that its threshold is at least the mean error. */
static lode_status guess_step(lode_ctx *ctx, const lode_array *core, double sumsq, start *from)
{
    lode_status st = LODE_OK;
    const double n = (double)lode_array_size(core), least = sqrt(sumsq / n);
    lode_array sample = { 0 }, some = { 0 };
    start part = { .step = 0 };
    lode_quantizer z;
    double rest = 0, left = 0;
    LODE_TRY(
        lode_i_quantizer_sample(ctx, core, lode_i_stream(ctx, "compress", 1000), SHARE, &sample));
    LODE_TRY(lode_i_quantizer_sieve(ctx, &sample, least, FEW, &some, &rest));
    if (some.data)
        LODE_TRY(lode_i_quantizer_sieve(ctx, core, least, FEW, &some, &rest));
    left = sumsq - rest;
    if (!some.data) {
        lode_array_swap(&some, &sample);
        left = sumsq * (double)lode_array_size(&some) / n;
    }
    LODE_TRY(start_at(ctx, &some, &part));
    if (left > 0 && left < part.norm2) {
        LODE_TRY(find_step(ctx, &some, &part, left, &z, NULL, NULL, &from->power));
        from->step = z.step;
    }
done:
    LODE_FREE(&sample, &some);
    return st;
}

static lode_status step_from(lode_ctx *ctx, const lode_array *core, double sumsq, start *from,
                             lode_quantizer *z, double *reached, double *bits)
{
    /* Where there is much, passes over a part come first. */
    if (!(from->step > 0) && lode_array_size(core) >= SAMPLED && sumsq < from->norm2)
        LODE_FORWARD(guess_step(ctx, core, sumsq, from));
    return find_step(ctx, core, from, sumsq, z, reached, bits, NULL);
}

lode_status compress_step(lode_ctx *ctx, const lode_array *core, double sumsq, double guess,
                          lode_quantizer *z, double *reached, double *bits)
{
    start from = { .step = guess };
    LODE_FORWARD(start_at(ctx, core, &from));
    return step_from(ctx, core, sumsq, &from, z, reached, bits);
}

/* The norms of slices tell what no magnitude passes, too: loosely, so that fine steps look closer. */
lode_status compress_step_of(lode_ctx *ctx, const choice *c, double sumsq, lode_quantizer *z,
                             double *reached, double *bits)
{
    start from = { .most = INFINITY };
    const double n = (double)lode_array_size(&c->core);
    for (int k = 0; k < c->core.ndim; k++) {
        double most = 0;
        from.norm2 = 0;
        for (int64_t j = 0; j < c->core.shape[k]; j++) {
            from.norm2 += c->energy[k][j] * c->energy[k][j];
            most = fmax(most, c->energy[k][j]);
        }
        from.most = fmin(from.most, most);
    }
    if (n < SAMPLED || !(sqrt(sumsq / n) > 0x1p-27 * from.most))
        LODE_FORWARD(start_at(ctx, &c->core, &from));
    return step_from(ctx, &c->core, sumsq, &from, z, reached, bits);
}
