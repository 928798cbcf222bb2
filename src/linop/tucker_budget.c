/* What an error asked leaves to lose. It may be a multiple of the norm or the range, so the first look
 * at the values settles it. */
#include "linop/tucker.h"

#include <float.h>
#include <math.h>

lode_i_budget lode_i_budget_of(double error, lode_rank_unit unit, bool counted)
{
    return (lode_i_budget){ .error = error,
                            .unit = unit,
                            .counted = counted,
                            .look.extremes = unit == LODE_UNIT_RANGE,
                            .target = (double)NAN };
}

void lode_i_budget_settle(lode_i_budget *b, lode_i_slabs *s)
{
    const lode_i_seen look = b->look;
    /* squares of such values leave the range of f64 */
    b->again = s->scale == 1 && look.largest > 0 && (look.largest > 1e100 || look.largest < 1e-100);
    if (b->again) {
        int e = 0;
        frexp(look.largest, &e);
        s->scale = ldexp(1, look.largest > DBL_MAX ? -1060 : e < -1000 ? 1000 : -e);
        b->look = (lode_i_seen){ .extremes = look.extremes };
        return;
    }
    b->seen = true;
    b->norm2 = look.sumsq;
    const double norm = sqrt(look.sumsq), unit = b->unit == LODE_UNIT_ONE     ? s->scale
                                                 : b->unit == LODE_UNIT_RANGE ? look.max - look.min
                                                                              : norm;
    b->target = b->error > 0 ? b->error * unit / s->scale : (double)NAN;
    b->allowed = -1;
    if (!b->counted) { /* with nothing asked: all above rounding */
        b->allowed = pow(b->error > 0 ? b->error * unit : 4 * DBL_EPSILON * norm, 2);
        /* what the difference of the squares of two norms may be wrong by */
        if (b->allowed > 1e-12 * look.sumsq)
            b->allowed -= 16 * DBL_EPSILON * look.sumsq;
    }
}

lode_status lode_i_budget_look(lode_ctx *ctx, lode_i_budget *b, lode_i_slabs *s)
{
    do {
        LODE_FORWARD(lode_i_slabs_look(ctx, s, &b->look));
        lode_i_budget_settle(b, s);
    } while (b->again);
    return LODE_OK;
}

double lode_i_budget_relative(const lode_i_budget *b)
{
    if (b->allowed >= 0 && b->norm2 > 0)
        return sqrt(b->allowed / b->norm2);
    if (b->counted)
        return 1;
    return b->error > 0 && b->unit == LODE_UNIT_NORM ? b->error : 0;
}

bool lode_i_budget_tighten(lode_i_budget *b, double error, double scale)
{
    const double over = (error * error - b->target * b->target) * scale * scale;
    if (!(over < 0.5 * b->allowed))
        return false;
    b->allowed -= 1.5 * over + 1e-6 * b->allowed;
    return true;
}
