/* Gross errors at random places of a matrix. */
#include "linalg/robust.h"
#include "ops/make/make.h"

enum { SITE_WHERE = 80, SITE_SIZE };

lode_status lode_i_make_outliers(lode_ctx *ctx, double share, lode_array *x, lode_sparse *errors)
{
    lode_status st = LODE_OK;
    lode_array dense = { 0 }, flat = { 0 };
    const lode_stream where = lode_i_stream(ctx, "make", SITE_WHERE),
                      size = lode_i_stream(ctx, "make", SITE_SIZE);
    const int64_t n = lode_array_size(x);
    LODE_TRY(lode_array_zeros(ctx, x->dtype, 2, x->shape, &dense));
    LODE_TRY(lode_array_reshape(ctx, &dense, 1, &n, &flat)); /* contiguous: a view */
    for (int64_t i = 0; i < n; i++) {
        if (i % (1 << 20) == 0)
            LODE_TRY(lode_i_tick(ctx, i, n));
        if (lode_i_random_uniform(where, (uint64_t)i) < share) {
            const double u = 18 * lode_i_random_uniform(size, (uint64_t)i);
            lode_i_set1(&flat, i, u < 9 ? 1 + u : 8 - u);
        }
    }
    LODE_TRY(lode_i_axpy(ctx, 1, &dense, x));
    LODE_TRY(lode_i_robust_compress(ctx, &dense, errors));
done:
    LODE_FREE(&dense, &flat);
    return st;
}
