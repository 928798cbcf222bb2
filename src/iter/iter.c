/* Stopping, trace and checkpoint of an iteration. Progress is the share of the decades that the change
 * has to fall: for linear convergence, which most iterations end in, that is the share of the time. */
#include "iter/iter.h"

#include <math.h>

enum { FIRST_ROOM = 64, NEAR = 64 };
#define STALL 0.01

void lode_i_iter_free(lode_i_iter *it)
{
    LODE_FREE(&it->trace);
}

/* Numbers of a step in the checkpoint, beside the state and the trace. */
enum { NUMBERS = 7 };

static lode_i_step step_of(const lode_i_iter *it, double *number)
{
    lode_i_step s = { .site = it->site, .key = it->key, .number = number, .count = NUMBERS };
    for (int i = 0; i < it->n; i++)
        s.array[s.n++] = it->state[i];
    return s;
}

/* The trace travels with the last array that is free, so a state of four has none. */
static bool keeps_trace(const lode_i_iter *it)
{
    return it->n < LODE_I_STEP_ARRAYS;
}

static lode_status resume(lode_ctx *ctx, lode_i_iter *it)
{
    bool found = true;
    while (found) {
        double number[NUMBERS] = { 0 };
        lode_i_step s = step_of(it, number);
        if (keeps_trace(it))
            s.array[s.n++] = &it->trace;
        LODE_FORWARD(lode_i_restore(ctx, &s, &found));
        if (!found)
            break;
        it->i = (int64_t)number[0];
        it->objective = number[1], it->change = number[2], it->first_change = number[3];
        it->calm = (int)number[4];
        it->rose = number[5] > 0;
        if (it->tally)
            *it->tally = number[6];
    }
    return LODE_OK;
}

lode_status lode_i_iter_begin(lode_ctx *ctx, lode_i_iter *it)
{
    it->i = 0, it->calm = 0;
    it->objective = NAN, it->change = NAN, it->first_change = NAN;
    it->done = it->settled = it->rose = it->enough = false;
    if (it->site)
        LODE_FORWARD(resume(ctx, it));
    return lode_i_tick(ctx, it->i, it->max_iter);
}

static lode_status record(lode_ctx *ctx, lode_i_iter *it, double objective)
{
    lode_status st = LODE_OK;
    const int64_t room = it->trace.data ? it->trace.shape[0] : 0;
    lode_array longer = { 0 }, head = { 0 };
    if (it->i >= room) {
        const int64_t size = lode_i_min(lode_i_max(2 * room, FIRST_ROOM), it->max_iter);
        LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1,
                                  (const int64_t[]){ lode_i_max(size, it->i + 1) }, &longer));
        if (room > 0) {
            LODE_TRY(lode_array_slice(ctx, &longer, 0, 0, room, 1, &head));
            LODE_TRY(lode_array_copy_into(ctx, &it->trace, &head));
        }
        lode_array_swap(&it->trace, &longer);
    }
    lode_i_set1(&it->trace, it->i, objective);
done:
    LODE_FREE(&longer, &head);
    return st;
}

/* Share of the way from the first change to the tolerance, in decades, or of the steps. */
static double progress(const lode_i_iter *it)
{
    const double steps = (double)it->i / (double)it->max_iter;
    if (!(it->change > 0 && it->first_change > it->tol && it->tol > 0))
        return steps;
    const double decades = log(it->first_change / fmax(it->change, it->tol)) /
                           log(it->first_change / it->tol);
    return fmin(fmax(decades, steps), 1);
}

lode_status lode_i_iter_step(lode_ctx *ctx, lode_i_iter *it, double objective)
{
    if (!isfinite(objective))
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "%s: the %s is %g after %" PRId64
                           " iterations; scale the data, or regularize more",
                           it->op, it->what, objective, it->i + 1);
    LODE_FORWARD(record(ctx, it, objective));
    const double before = it->objective;
    it->objective = objective;
    it->i++;
    if (it->i > 1) {
        const double size = fmax(fabs(before), 1e-300);
        it->change = (before - objective) / size;
        it->rose = it->rose || it->change < -1e-9;
        if (!(it->first_change > 0))
            it->first_change = it->change;
        it->calm = fabs(it->change) <= it->tol ? it->calm + 1 : 0;
    }
    /* near the floor, what does not fall any more is rounding */
    const bool stalled = it->i > 1 && objective <= NEAR * it->floor && !(it->change > STALL);
    it->settled = it->enough || objective <= it->floor || stalled || it->calm > it->patience;
    it->done = it->settled || it->i >= it->max_iter;
    double bytes = 0;
    for (int i = 0; i < it->n; i++)
        bytes += (double)lode_array_bytes(it->state[i]);
    if (it->site && !it->done && lode_i_checkpoint_due(ctx, bytes)) {
        double number[NUMBERS] = { (double)it->i,
                                   it->objective,
                                   it->change,
                                   it->first_change,
                                   (double)it->calm,
                                   it->rose,
                                   it->tally ? *it->tally : 0 };
        lode_i_step s = step_of(it, number);
        if (keeps_trace(it))
            s.array[s.n++] = &it->trace;
        LODE_FORWARD(lode_i_keep(ctx, &s));
    }
    return lode_i_tick(ctx, (int64_t)(progress(it) * 1e6), 1000000);
}

lode_status lode_i_iter_end(lode_ctx *ctx, lode_i_iter *it, lode_array *trace)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    if (trace) {
        LODE_TRY(lode_array_slice(ctx, &it->trace, 0, 0, it->i, 1, &made));
        LODE_TRY(lode_array_cast(ctx, &made, LODE_F64, trace));
    }
    if (!it->settled)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "%s: %" PRId64
                         " iterations did not settle the %s to %g (the last changed it "
                         "by %.2g); raise --max-iter or --tol",
                         it->op, it->i, it->what, it->tol, fabs(it->change));
done:
    LODE_FREE(&made);
    return st;
}
