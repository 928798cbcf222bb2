/* Where the search for optimized rates begins, and which of its ends is taken. */
#include <math.h>
#include <string.h>

#include "ops/dynamics/dmd.h"

/* Rates to begin with where times are not even: eigenvalues of the map from means of neighbours times the
 * time between them to their differences, the trapezoidal rule for z' = z A; nothing is divided by small gaps. */
static lode_status slopes(lode_ctx *ctx, const lode_array *times, const lode_array *Z,
                          lode_i_cplx *rate)
{
    lode_status st = LODE_OK;
    lode_array first = { 0 }, second = { 0 }, mean = { 0 }, slope = { 0 }, gaps = { 0 },
               plus = { 0 }, F = { 0 }, A = { 0 }, w = { 0 }, W = { 0 }, values = { 0 };
    const int64_t m = Z->shape[0];
    first = lode_i_rows(Z, 0, m - 1), second = lode_i_rows(Z, 1, m);
    LODE_TRY(lode_array_cast(ctx, &first, Z->dtype, &mean));
    LODE_TRY(lode_array_cast(ctx, &second, Z->dtype, &slope));
    LODE_TRY(lode_i_axpy(ctx, 1, &second, &mean));
    LODE_TRY(lode_i_scale(ctx, 0.5, &mean));
    LODE_TRY(lode_i_axpy(ctx, -1, &first, &slope));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, m - 1, &gaps));
    for (int64_t i = 0; i + 1 < m; i++)
        lode_i_set1(&gaps, i, lode_i_get1(times, i + 1) - lode_i_get1(times, i));
    LODE_TRY(lode_i_scale_rows(ctx, &mean, &gaps));
    LODE_TRY(lode_i_dmd_map(ctx, &mean, &slope, &plus, &F));
    LODE_TRY(lode_i_dmd_transposed(ctx, &F, &A));
    LODE_TRY(lode_i_eig(ctx, &A, &w, &W));
    LODE_TRY(lode_array_reshape(ctx, &w, 2, (const int64_t[]){ w.shape[0], 1 }, &values));
    for (int64_t j = 0; j < w.shape[0]; j++)
        rate[j] = lode_i_zget(&values, j, 0);
done:
    LODE_FREE(&first, &second, &mean, &slope, &gaps, &plus, &F, &A, &w, &W, &values);
    return st;
}

/* The same from coordinates interpolated to even times: eigenvalues of the map from each to the next. */
static lode_status interpolated(lode_ctx *ctx, const lode_i_dmd_data *d, const lode_array *Z,
                                lode_i_cplx *rate)
{
    lode_status st = LODE_OK;
    lode_array even = { 0 }, to = { 0 }, from = { 0 }, first = { 0 }, second = { 0 }, plus = { 0 },
               F = { 0 }, A = { 0 }, w = { 0 }, W = { 0 }, values = { 0 };
    const int64_t m = Z->shape[0];
    LODE_TRY(lode_array_zeros(ctx, Z->dtype, 2, Z->shape, &even));
    for (int64_t k = 0, i = 0; k < m; k++) {
        const double t = lode_i_get1(&d->some, 0) + (double)k * d->dt;
        while (i + 2 < m && lode_i_get1(&d->some, i + 1) <= t)
            i++;
        const double before = lode_i_get1(&d->some, i),
                     share = (t - before) / (lode_i_get1(&d->some, i + 1) - before);
        LODE_FREE(&to);
        to = lode_i_rows(&even, k, k + 1);
        for (int64_t j = 0; j < 2; j++) {
            LODE_FREE(&from);
            from = lode_i_rows(Z, i + j, i + j + 1);
            LODE_TRY(lode_i_axpy(ctx, j == 0 ? 1 - share : share, &from, &to));
        }
    }
    first = lode_i_rows(&even, 0, m - 1), second = lode_i_rows(&even, 1, m);
    LODE_TRY(lode_i_dmd_map(ctx, &first, &second, &plus, &F));
    LODE_TRY(lode_i_dmd_transposed(ctx, &F, &A));
    LODE_TRY(lode_i_eig(ctx, &A, &w, &W));
    LODE_TRY(lode_array_reshape(ctx, &w, 2, (const int64_t[]){ w.shape[0], 1 }, &values));
    for (int64_t j = 0; j < w.shape[0]; j++) {
        const lode_i_cplx v = lode_i_zget(&values, j, 0);
        rate[j] = clog(cabs(v) > 1e-6 ? v : 1e-6) / d->dt;
    }
done:
    LODE_FREE(&even, &to, &from, &first, &second, &plus, &F, &A, &w, &W, &values);
    return st;
}

/* Of searches from several rates to begin with, the one that ends lowest. */
lode_status lode_i_dmd_search(lode_ctx *ctx, const lode_dmd_opts *o, const lode_i_dmd_data *d,
                              const lode_array *Z, const lode_array *wide, double rest2,
                              lode_i_dmd_fit *f, lode_array *B)
{
    lode_status st = LODE_OK, best = LODE_OK;
    lode_array b = { 0 }, trace = { 0 };
    lode_i_cplx *rate = NULL;
    const int starts = o->times && f->r == Z->shape[1] ? 2 : 1;
    double least = INFINITY;
    LODE_TRY(LODE_NEW(ctx, lode_i_max(f->r, 1), &rate));
    for (int k = 0; k < starts; k++) {
        if (starts == 1)
            memcpy(rate, f->rate, (size_t)f->r * sizeof *rate);
        else
            LODE_TRY(k == 0 ? slopes(ctx, &d->some, Z, rate) : interpolated(ctx, d, Z, rate));
        LODE_FREE(&b, &trace);
        const lode_status ended = lode_i_dmd_optimize(ctx, o, &d->some, wide, rest2, rate, f->r, &b,
                                                      &trace);
        if (ended < 0)
            LODE_TRY(ended);
        const double error = lode_i_get1(&trace, trace.shape[0] - 1);
        if (k > 0 && !(error < least))
            continue;
        least = error, best = ended;
        memcpy(f->rate, rate, (size_t)f->r * sizeof *rate);
        lode_array_swap(B, &b), lode_array_swap(&f->trace, &trace);
    }
    st = lode_i_worse(st, best);
done:
    lode_i_free(rate);
    LODE_FREE(&b, &trace);
    return st;
}
