/* Values of a smooth function at random places of the unit cube: a sum of products of cosines. */
#include <math.h>

#include "ops/make/make.h"

enum { SITE_PLACE = 96, SITE_WAVE };

lode_status lode_i_make_observations(lode_ctx *ctx, const int64_t *shape, int64_t terms,
                                     lode_array *x)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    const double turn = 2 * acos(-1.0);
    const lode_stream place = lode_i_stream(ctx, "make", SITE_PLACE),
                      wave = lode_i_stream(ctx, "make", SITE_WAVE);
    const int64_t n = shape[0], d = shape[1] - 1;
    LODE_TRY(lode_array_new(ctx, LODE_F64, 2, shape, &y));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < d; k++)
            lode_i_set2(&y, i, k, lode_i_random_uniform(place, (uint64_t)(i * d + k)));
        for (int64_t c = 0; c < terms; c++) {
            double product = 1;
            for (int64_t k = 0; k < d; k++) {
                const uint64_t at = 2 * (uint64_t)(c * d + k);
                product *= cos(turn *
                               (1.5 * lode_i_random_uniform(wave, at) * lode_i_get2(&y, i, k) +
                                lode_i_random_uniform(wave, at + 1)));
            }
            sum += product;
        }
        lode_i_set2(&y, i, d, sum);
        if (i % 4096 == 0)
            LODE_TRY(lode_i_tick(ctx, i, n));
    }
    lode_array_swap(x, &y);
done:
    LODE_FREE(&y);
    return st;
}
