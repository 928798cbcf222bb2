/* Order statistics. */
#include <math.h>

#include "array/array.h"

/* A heap sort: qsort of the C library may take memory that no budget sees. */
static void sift(double *v, int64_t root, int64_t end)
{
    const double x = v[root];
    for (int64_t child; (child = 2 * root + 1) < end; root = child) {
        child += child + 1 < end && v[child + 1] > v[child];
        if (!(v[child] > x))
            break;
        v[root] = v[child];
        v[child] = x;
    }
}

lode_status lode_i_sort_abs(lode_ctx *ctx, const lode_array *a, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    const int64_t n = lode_array_size(a);
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &wide));
    double *v = wide.data;
    for (int64_t i = 0; i < n; i++)
        v[i] = fabs(v[i]);
    for (int64_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (int64_t end = n; end-- > 1;) {
        const double most = v[0];
        v[0] = v[end], v[end] = most;
        sift(v, 0, end);
    }
    LODE_TRY(lode_array_reshape(ctx, &wide, 1, &n, out));
done:
    LODE_FREE(&wide);
    return st;
}

/* The k-th smallest, Hoare's selection with the median of three as its pivot. */
static double select_kth(double *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const double a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi];
        const double pivot = fmax(fmin(a, b), fmin(fmax(a, b), c));
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                const double swap = v[i];
                v[i++] = v[j], v[j--] = swap;
            }
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}

lode_status lode_i_quantile_abs(lode_ctx *ctx, const lode_array *a, double share, double *value)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    const int64_t n = lode_array_size(a);
    *value = 0;
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &wide));
    double *v = wide.data;
    bool ordered = true; /* NaN has no place */
    for (int64_t i = 0; i < n; i++) {
        v[i] = fabs(v[i]);
        ordered = ordered && v[i] == v[i];
    }
    const int64_t k = lode_i_min(n - 1, (int64_t)(share * (double)n));
    *value = !ordered ? NAN : n > 0 ? select_kth(v, n, k) : 0;
done:
    LODE_FREE(&wide);
    return st;
}
