/* Affinities of time series: neuron x time (x animal) to neuron x neuron x window (x animal), the squared
 * positive correlation of each pair within each window, 0 on the diagonal, which says nothing. */
#include <math.h>

#include "ops/tensor/cp.h"

bool lode_i_cp_affinity_shape(const lode_cp_opts *o, int ndim, const int64_t *from, int64_t *to)
{
    if ((ndim != 2 && ndim != 3) || o->affinity.value > from[1] || from[0] < 1)
        return false;
    to[0] = to[1] = from[0];
    to[2] = from[1] / o->affinity.value; /* what is left at the end is no window */
    if (ndim == 3)
        to[3] = from[2];
    return true;
}

/* Rows to mean 0 and length 1; those that do not vary to 0. */
static void standardize(lode_array *Z)
{
    const int64_t n = Z->shape[1];
    for (int64_t i = 0; i < Z->shape[0]; i++) {
        double mean = 0, sum = 0;
        for (int64_t t = 0; t < n; t++)
            mean += lode_i_get2(Z, i, t) / (double)n;
        for (int64_t t = 0; t < n; t++)
            sum += pow(lode_i_get2(Z, i, t) - mean, 2);
        const double by = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t t = 0; t < n; t++)
            lode_i_set2(Z, i, t, (lode_i_get2(Z, i, t) - mean) * by);
    }
}

/* Time steps from .. to - 1 of one animal: n x n. */
static lode_status window(lode_ctx *ctx, const lode_array *X, int64_t from, int64_t to,
                          int64_t animal, lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array some = { 0 }, one = { 0 }, flat = { 0 }, Z = { 0 };
    LODE_TRY(lode_array_slice(ctx, X, 1, from, to, 1, &some));
    if (X->ndim == 3)
        LODE_TRY(lode_array_slice(ctx, &some, 2, animal, animal + 1, 1, &one));
    else
        one = lode_array_ref(&some);
    LODE_TRY(lode_array_cast(ctx, &one, X->dtype, &Z));
    LODE_TRY(lode_array_reshape(ctx, &Z, 2, (const int64_t[]){ X->shape[0], to - from }, &flat));
    standardize(&flat);
    LODE_TRY(lode_i_gram(ctx, LODE_N, &flat, C));
    for (int64_t i = 0; i < C->shape[0]; i++)
        for (int64_t j = 0; j < C->shape[1]; j++)
            lode_i_set2(C, i, j, i == j ? 0 : pow(fmax(lode_i_get2(C, i, j), 0), 2));
done:
    LODE_FREE(&some, &one, &flat, &Z);
    return st;
}

lode_status lode_i_cp_affinity(lode_ctx *ctx, const lode_cp_opts *o, lode_value value,
                               lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, A = { 0 }, C = { 0 }, cell = { 0 }, inner = { 0 }, shaped = { 0 };
    lode_dtype stored;
    int ndim = 0;
    int64_t from[LODE_MAX_NDIM], shape[LODE_MAX_NDIM];
    /* the same for every window: a connectome that does not change */
    const bool still = lode_i_broken(ctx, "connectome-ntf");
    LODE_REQUIRE(value.kind != LODE_SPARSE && lode_i_value_shape(value, &stored, &ndim, from) &&
                     lode_i_cp_affinity_shape(o, ndim, from, shape),
                 LODE_ESHAPE,
                 "cp: option affinity takes a dense neuron x time (x animal) array of at least one "
                 "window of %" PRId64 " steps",
                 o->affinity.value);
    LODE_TRY(lode_i_as_array(ctx, value, lode_i_arith(stored), &X));
    LODE_TRY(lode_i_require_finite(ctx, &X, "X"));
    LODE_TRY(lode_array_new(ctx, X.dtype, ndim + 1, shape, &A));
    for (int64_t w = 0; w < shape[2]; w++) {
        LODE_TRY(lode_i_tick(ctx, w, shape[2]));
        for (int64_t a = 0; a < (ndim == 3 ? shape[3] : 1); a++) {
            LODE_TRY(window(ctx, &X, still ? 0 : w * o->affinity.value,
                            still ? from[1] : (w + 1) * o->affinity.value, a, &C));
            LODE_TRY(lode_array_slice(ctx, &A, 2, w, w + 1, 1, &inner));
            if (ndim == 3)
                LODE_TRY(lode_array_slice(ctx, &inner, 3, a, a + 1, 1, &cell));
            else
                cell = lode_array_ref(&inner);
            LODE_TRY(lode_array_reshape(ctx, &C, ndim + 1,
                                        (const int64_t[]){ shape[0], shape[1], 1, 1 }, &shaped));
            LODE_TRY(lode_array_copy_into(ctx, &shaped, &cell));
            LODE_FREE(&C, &cell, &inner, &shaped);
        }
    }
    lode_array_swap(out, &A);
done:
    LODE_FREE(&X, &A, &C, &cell, &inner, &shaped);
    return st;
}
