/* Several arrays as one by the majority of their signs: trimming, election, mean of the elected (TIES;
 * Yadav, Tam, Choshen, Raffel & Bansal 2023, doi:10.48550/arXiv.2306.01708). */
#include <math.h>
#include <string.h>

#include "array/array.h"

/* Magnitudes as whole numbers in their order. */
static uint64_t order_of(double v)
{
    uint64_t bits;
    v = fabs(v);
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double value_of(const lode_array *a, int64_t i)
{
    return a->dtype == LODE_F32 ? (double)((const float *)a->data)[i]
                                : ((const double *)a->data)[i];
}

/* The count-th largest magnitude, 16 bits after 16 bits. */
static uint64_t threshold(const lode_array *a, int64_t count, int64_t *bin)
{
    const int64_t n = lode_array_size(a);
    uint64_t head = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        memset(bin, 0, 65536 * sizeof *bin);
        for (int64_t i = 0; i < n; i++) {
            const uint64_t k = order_of(value_of(a, i));
            if (shift == 48 || k >> (shift + 16) == head)
                bin[k >> shift & 65535]++;
        }
        int64_t b = 65535;
        while (b > 0 && bin[b] < count)
            count -= bin[b--];
        head = head << 16 | (uint64_t)b;
    }
    return head;
}

lode_status lode_i_elect(lode_ctx *ctx, const lode_array *a, int count, double density,
                         lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array made = { 0 };
    int64_t *bin = NULL;
    uint64_t *least = NULL;
    const int64_t n = lode_array_size(a);
    LODE_TRY(lode_array_new(ctx, a->dtype, a->ndim, a->shape, &made));
    LODE_TRY(LODE_NEW(ctx, 65536, &bin));
    LODE_TRY(LODE_NEW(ctx, count, &least));
    const int64_t keep = lode_i_max(1, (int64_t)ceil(density * (double)n));
    for (int f = 0; f < count && n > 0; f++) {
        LODE_TRY(lode_i_tick(ctx, f, count));
        least[f] = threshold(&a[f], lode_i_min(keep, n), bin);
    }
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, chosen = 0;
        int64_t votes = 0;
        for (int f = 0; f < count; f++) {
            const double v = value_of(&a[f], i);
            sum += order_of(v) >= least[f] ? v : 0;
        }
        for (int f = 0; f < count; f++) {
            const double v = value_of(&a[f], i);
            const bool with = order_of(v) >= least[f] && ((v > 0 && sum > 0) || (v < 0 && sum < 0));
            chosen += with ? v : 0;
            votes += with;
        }
        const double v = votes > 0 ? chosen / (double)votes : 0;
        if (made.dtype == LODE_F32)
            ((float *)made.data)[i] = (float)v;
        else
            ((double *)made.data)[i] = v;
    }
    lode_array_swap(out, &made);
done:
    lode_i_free(bin);
    lode_i_free(least);
    LODE_FREE(&made);
    return st;
}
