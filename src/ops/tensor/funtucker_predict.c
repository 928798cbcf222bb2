/* What funtucker predicts, and how that fares against values. */
#include <math.h>

#include "ops/tensor/funtucker.h"

lode_status lode_i_funtucker_predict(lode_ctx *ctx, const lode_array *grid, const funtucker_fit *f,
                                     double offset, double scale, const lode_array *table,
                                     const lode_array *take, lode_array *mean, lode_array *spread,
                                     lode_array *variance)
{
    lode_status st = LODE_OK;
    lode_i_scattered places = { 0 };
    /* E 1/tau, of a Gamma whose shape is far above 1 but where there are next to no observations */
    const double noise = f->b / fmax(f->a - 1, 0.5 * f->a);
    LODE_TRY(lode_i_scattered_from(ctx, table, f->m.d, false, 0, 1, take, &places));
    LODE_TRY(lode_i_funtucker_at(ctx, grid, f, &places, mean, spread));
    LODE_TRY(lode_array_cast(ctx, spread, LODE_F64, variance));
    for (int64_t i = 0; i < places.n; i++) {
        lode_i_set1(mean, i, offset + scale * lode_i_get1(mean, i));
        lode_i_set1(variance, i, scale * scale * (lode_i_get1(spread, i) + noise));
    }
    LODE_TRY(lode_i_scale(ctx, scale * scale, spread));
done:
    lode_i_scattered_free(&places);
    return st;
}

lode_status lode_i_funtucker_heldout(lode_ctx *ctx, const funtucker_data *d, const funtucker_fit *f,
                                     lode_array *table)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 }, spread = { 0 }, variance = { 0 }, y = { 0 };
    const int64_t h = d->held.shape[0];
    LODE_TRY(lode_i_funtucker_predict(ctx, d->s.grid, f, d->offset, d->scale, &d->table, &d->held,
                                      &mean, &spread, &variance));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, h, 3, &y));
    for (int64_t i = 0; i < h; i++) {
        lode_i_set2(&y, i, 0, lode_i_get2(&d->table, (int64_t)lode_i_get1(&d->held, i), d->d));
        lode_i_set2(&y, i, 1, lode_i_get1(&mean, i));
        lode_i_set2(&y, i, 2, lode_i_get1(&variance, i));
    }
    lode_array_swap(table, &y);
done:
    LODE_FREE(&mean, &spread, &variance, &y);
    return st;
}

#define WITHIN90 1.6448536269514722
#define TWO_SIDED95 1.9599639845400545

void lode_i_funtucker_judge(const lode_array *heldout, double offset, funtucker_score *s)
{
    double off = 0, all = 0, fourth = 0, unit = 0;
    int64_t within = 0;
    const int64_t h = heldout->shape[0];
    for (int64_t i = 0; i < h; i++) /* squares of squares stay within f64 */
        unit = fmax(unit, fabs(lode_i_get2(heldout, i, 0) - lode_i_get2(heldout, i, 1)));
    for (int64_t i = 0; i < h && unit > 0; i++) {
        const double y = lode_i_get2(heldout, i, 0), e = (y - lode_i_get2(heldout, i, 1)) / unit;
        off += e * e, fourth += e * e * e * e;
        all += (y - offset) / unit * ((y - offset) / unit);
    }
    for (int64_t i = 0; i < h; i++)
        within += fabs(lode_i_get2(heldout, i, 0) - lode_i_get2(heldout, i, 1)) <=
                  WITHIN90 * sqrt(lode_i_get2(heldout, i, 2));
    const double n = (double)h, mean = off / n;
    const double error = TWO_SIDED95 * sqrt(fmax(fourth / n - mean * mean, 0) / n);
    const double root = all > 0 ? sqrt(all / n) : 1;
    *s = (funtucker_score){ .value = sqrt(mean) / root,
                            .absolute = sqrt(off) * unit,
                            .low = sqrt(fmax(mean - error, 0)) / root,
                            .high = sqrt(mean + error) / root,
                            .coverage = (double)within / n };
}
