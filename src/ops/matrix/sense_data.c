/* Measurements that count, those kept back, and how well a result does on either. */
#include <math.h>

#include "ops/matrix/sense.h"

/* A quarter of the absolute values of a normal variable lies below this, in deviations. The median would be
 * lost to gross errors in half of y. */
#define NORMAL_QUARTILE 0.3186393639643752

lode_status lode_i_sense_hold(lode_ctx *ctx, int64_t m, double share, lode_stream s,
                              lode_array *held)
{
    lode_status st = LODE_OK;
    int64_t count = (int64_t)llround(share * (double)m), left = m, at = 0;
    if (share > 0 && m > 1)
        count = lode_i_max(1, lode_i_min(count, m - 1));
    else
        count = 0;
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, count, held));
    for (int64_t i = 0, want = count; i < m && want > 0; i++, left--) /* each set as likely */
        if (lode_i_random_below(s, (uint64_t)i, (uint64_t)left) < (uint64_t)want) {
            lode_i_set1(held, at++, (double)i);
            want--;
        }
done:
    return st;
}

void lode_i_sense_data_free(lode_i_sense_data *d)
{
    LODE_FREE(&d->y, &d->keep, &d->at[0], &d->at[1]);
}

/* The two sets of rows, and 1 for each that is fitted. */
static lode_status split(lode_ctx *ctx, int64_t m, const lode_array *held, lode_dtype dtype,
                         lode_i_sense_data *d)
{
    lode_status st = LODE_OK;
    const int64_t back = held ? held->shape[0] : 0;
    LODE_TRY(lode_i_matrix_new(ctx, dtype, m, 1, &d->keep));
    LODE_TRY(lode_i_fill(ctx, &d->keep, 1));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, back, &d->at[1]));
    LODE_REQUIRE(back < m, LODE_EFORMAT, "sense: %" PRId64 " measurements kept back of %" PRId64,
                 back, m);
    for (int64_t i = 0; i < back; i++) {
        const double row = lode_i_get1(held, i);
        LODE_REQUIRE(
            row >= 0 && row < (double)m && lode_i_get2(&d->keep, (int64_t)row, 0) > 0, LODE_EFORMAT,
            "sense: held[%" PRId64 "] is %.0f, twice or beyond the %" PRId64 " measurements", i,
            row, m);
        lode_i_set2(&d->keep, (int64_t)row, 0, 0);
        lode_i_set1(&d->at[1], i, row);
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, m - back, &d->at[0]));
    for (int64_t i = 0, at = 0; i < m; i++)
        if (lode_i_get2(&d->keep, i, 0) > 0)
            lode_i_set1(&d->at[0], at++, (double)i);
done:
    return st;
}

/* Absolute values of some rows, ascending. */
static lode_status sorted(lode_ctx *ctx, const lode_array *v, const lode_array *rows,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 };
    LODE_TRY(lode_i_take(ctx, v, 0, rows, &some));
    LODE_TRY(lode_i_sort_abs(ctx, &some, out));
done:
    LODE_FREE(&some);
    return st;
}

lode_status lode_i_sense_deviation(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *v,
                                   double *size)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 };
    double quartile = 0;
    LODE_TRY(lode_i_take(ctx, v, 0, &d->at[0], &some));
    LODE_TRY(lode_i_quantile_abs(ctx, &some, 0.25, &quartile));
    *size = quartile / NORMAL_QUARTILE * sqrt((double)v->shape[0]);
done:
    LODE_FREE(&some);
    return st;
}

static double quantile(const lode_array *sorted, double at) /* nearest order statistic */
{
    const int64_t n = sorted->shape[0];
    const double i = fmin(fmax(at, 0), (double)(n - 1));
    return lode_i_get1(sorted, (int64_t)i);
}

lode_status lode_i_sense_data_of(lode_ctx *ctx, const lode_array *y, lode_dtype dtype,
                                 const lode_array *held, lode_sense_loss loss, lode_i_sense_data *d)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, flat = { 0 };
    const int64_t m = y->shape[0];
    double sum[2];
    LODE_TRY(lode_i_require_finite(ctx, y, "sense: y"));
    LODE_TRY(split(ctx, m, held, dtype, d));
    LODE_TRY(lode_array_cast(ctx, y, LODE_F64, &wide));
    LODE_TRY(lode_array_reshape(ctx, &wide, 2, (const int64_t[]){ m, 1 }, &flat));
    LODE_TRY(lode_i_norm_fro(ctx, &flat, &d->scale));
    if (loss == LODE_SENSE_L1) { /* gross errors do not move it */
        double size = 0;
        LODE_TRY(lode_i_sense_deviation(ctx, d, &flat, &size));
        if (size > 0)
            d->scale = size;
    }
    if (d->scale > 0)
        LODE_TRY(lode_i_scale(ctx, 1 / d->scale, &flat));
    LODE_TRY(lode_array_cast(ctx, &flat, dtype, &d->y));
    d->misfit = (lode_i_misfit){ .y = &d->y, .keep = &d->keep, .sign = loss == LODE_SENSE_L1 };
    lode_i_misfit_sums(&d->misfit, d->misfit.sign ? 1 : 2, &d->y, &sum[0], &sum[1]);
    for (int i = 0; i < 2; i++)
        d->size[i] = d->misfit.sign ? sum[i] : sqrt(sum[i]);
done:
    LODE_FREE(&wide, &flat);
    return st;
}

/* Root of the squares against that of y, between two standard errors of their mean. */
static lode_status judge_squares(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *r,
                                 int part, lode_i_sense_score *s)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 };
    const int64_t n = d->at[part].shape[0];
    double mean = 0, squares = 0;
    LODE_TRY(lode_i_take(ctx, r, 0, &d->at[part], &some));
    for (int64_t i = 0; i < n; i++)
        mean += pow(lode_i_get2(&some, i, 0), 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += pow(pow(lode_i_get2(&some, i, 0), 2) - mean, 2);
    const double deviation = n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : mean;
    const double size = d->size[part] > 0 ? d->size[part] : 1;
    s->value = sqrt(mean * (double)n) / size;
    s->low = sqrt(fmax(mean - 2 * deviation, 0) * (double)n) / size;
    s->high = sqrt((mean + 2 * deviation) * (double)n) / size;
    s->absolute = sqrt(mean * (double)n) * d->scale;
done:
    LODE_FREE(&some);
    return st;
}

/* Median of the absolute residuals against that of |y|, between order statistics two standard deviations of a
 * binomial count away. */
static lode_status judge_median(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *r,
                                int part, lode_i_sense_score *s)
{
    lode_status st = LODE_OK;
    lode_array off = { 0 }, y = { 0 };
    const double n = (double)d->at[part].shape[0];
    LODE_TRY(sorted(ctx, r, &d->at[part], &off));
    LODE_TRY(sorted(ctx, &d->y, &d->at[part], &y));
    const double whole = quantile(&y, 0.5 * n), size = whole > 0 ? whole : 1;
    s->value = quantile(&off, 0.5 * n) / size;
    s->low = quantile(&off, 0.5 * n - sqrt(n)) / size;
    s->high = quantile(&off, 0.5 * n + sqrt(n)) / size;
    s->absolute = s->value * size * d->scale;
done:
    LODE_FREE(&off, &y);
    return st;
}

lode_status lode_i_sense_judge(lode_ctx *ctx, const lode_i_sense_data *d, const lode_array *r,
                               int part, lode_i_sense_score *s)
{
    *s = (lode_i_sense_score){ NAN, NAN, NAN, NAN };
    if (d->at[part].shape[0] < 1)
        return LODE_OK;
    return d->misfit.sign ? judge_median(ctx, d, r, part, s) : judge_squares(ctx, d, r, part, s);
}
