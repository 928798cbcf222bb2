/* Observations of funtucker: a row is the indexes and a value. */
#include <math.h>

#include "ops/tensor/funtucker.h"

#define FAR 1e150 /* squares of values stay within f64 */

void lode_i_funtucker_close(funtucker_data *d)
{
    lode_i_scattered_free(&d->s);
    LODE_FREE(&d->table, &d->fitted, &d->held);
}

lode_status lode_i_funtucker_table(lode_ctx *ctx, lode_value X, const char *what, lode_array *table)
{
    lode_status st = LODE_OK;
    lode_stats s;
    lode_array x = { 0 };
    LODE_TRY(lode_i_as_array(ctx, X, LODE_F64, &x));
    LODE_TRY(lode_i_stats(ctx, &x, &s));
    if (s.missing > 0 || s.infinite > 0) {
        const int64_t at = s.missing > 0 ? s.first_nan : s.first_infinite, n = x.shape[1];
        char number[32];
        lode_i_print_f64(lode_i_get2(&x, at / n, at % n), number);
        LODE_REQUIRE(false, LODE_EDOMAIN,
                     "funtucker: row %" PRId64 " of %s has %s in column %" PRId64
                     " (rows and columns from 0); leave such rows out",
                     at / n, what, number, at % n);
    }
    lode_array_swap(table, &x);
done:
    LODE_FREE(&x);
    return st;
}

int64_t lode_i_funtucker_back(double holdout, int64_t rows)
{
    return rows < 10 ? 0 : (int64_t)(holdout * (double)rows);
}

/* The first `count` of a random order of all rows are kept back. */
static lode_status draw(lode_ctx *ctx, int64_t rows, int64_t count, bool *back)
{
    lode_status st = LODE_OK;
    int64_t *order = NULL;
    const lode_stream s = lode_i_stream(ctx, "funtucker", 1);
    LODE_TRY(LODE_NEW(ctx, rows, &order));
    for (int64_t i = 0; i < rows; i++)
        order[i] = i;
    for (int64_t i = 0; i < count; i++) {
        const int64_t j = i + (int64_t)lode_i_random_below(s, (uint64_t)i, (uint64_t)(rows - i));
        const int64_t t = order[i];
        order[i] = order[j], order[j] = t;
        back[order[i]] = true;
    }
done:
    lode_i_free(order);
    return st;
}

static lode_status split(lode_ctx *ctx, const lode_funtucker_opts *o, const lode_array *held,
                         funtucker_data *d)
{
    lode_status st = LODE_OK;
    bool *back = NULL;
    int64_t at[2] = { 0 };
    const int64_t count = held ? held->shape[0] : lode_i_funtucker_back(o->holdout, d->rows);
    LODE_TRY(LODE_NEW(ctx, d->rows, &back));
    for (int64_t i = 0; i < d->rows; i++)
        back[i] = false;
    for (int64_t i = 0; held && i < count; i++) {
        const double row = lode_i_get1(held, i);
        LODE_REQUIRE(row >= 0 && row < (double)d->rows && !back[(int64_t)row], LODE_ESHAPE,
                     "funtucker: the model keeps back row %g, but X has %" PRId64 " rows", row,
                     d->rows);
        back[(int64_t)row] = true;
    }
    if (!held)
        LODE_TRY(draw(ctx, d->rows, count, back));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count, &d->held));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, d->rows - count, &d->fitted));
    for (int64_t i = 0; i < d->rows; i++)
        lode_i_set1(back[i] ? &d->held : &d->fitted, at[back[i]]++, (double)i);
done:
    lode_i_free(back);
    return st;
}

/* offset and scale of the values fitted; where they differ by rounding alone they count as equal. */
static lode_status standardize(lode_ctx *ctx, bool center, funtucker_data *d)
{
    lode_status st = LODE_OK;
    lode_sum sum = { 0 }, squares = { 0 };
    double most = 0;
    const int64_t n = d->fitted.shape[0];
    for (int64_t i = 0; i < n; i++) {
        const double y = lode_i_get2(&d->table, (int64_t)lode_i_get1(&d->fitted, i), d->d);
        most = fmax(most, fabs(y));
        lode_i_sum_push(&sum, &y, 1);
    }
    LODE_REQUIRE(most <= FAR && (most == 0 || most >= 1 / FAR), LODE_EDOMAIN,
                 "funtucker: values are up to %g in size; scale them to between %g and %g", most,
                 1 / FAR, FAR);
    d->offset = center ? lode_i_sum_total(&sum) / (double)n : 0;
    for (int64_t i = 0; i < n; i++) {
        const double y = lode_i_get2(&d->table, (int64_t)lode_i_get1(&d->fitted, i), d->d) -
                         d->offset,
                     square = y / most * (y / most);
        if (most > 0)
            lode_i_sum_push(&squares, &square, 1);
    }
    const double rms = sqrt(lode_i_sum_total(&squares) / (double)n);
    d->scale = !(most > 0) ? 1 : rms > 64 * lode_i_epsilon(LODE_F64) ? rms * most : most;
done:
    return st;
}

lode_status lode_i_funtucker_open(lode_ctx *ctx, const lode_funtucker_opts *o, lode_value X,
                                  const lode_array *held, funtucker_data *out)
{
    lode_status st = LODE_OK;
    funtucker_data d = { 0 };
    LODE_TRY(lode_i_funtucker_table(ctx, X, "X", &d.table));
    d.rows = d.table.shape[0], d.d = (int)d.table.shape[1] - 1;
    for (int k = 0; k < d.d; k++) { /* differences of indexes must be numbers too */
        double low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < d.rows; i++) {
            const double t = lode_i_get2(&d.table, i, k);
            low = fmin(low, t), high = fmax(high, t);
        }
        LODE_REQUIRE(isfinite(high - low), LODE_EDOMAIN,
                     "funtucker: indexes of mode %d go from %g to %g; scale them", k, low, high);
    }
    LODE_TRY(split(ctx, o, held, &d));
    LODE_REQUIRE(d.fitted.shape[0] > 0, LODE_ESHAPE, "funtucker: X has no observations to fit");
    LODE_TRY(standardize(ctx, o->center, &d));
    LODE_TRY(lode_i_scattered_from(ctx, &d.table, d.d, true, d.offset, d.scale, &d.fitted, &d.s));
    lode_i_funtucker_close(out);
    *out = d, d = (funtucker_data){ 0 };
done:
    lode_i_funtucker_close(&d);
    return st;
}
