/* Which vectors stand on their own, told from their Gram matrix: Cholesky, column after column. */
#include "linalg/linalg.h"

#include <complex.h>
#include <math.h>

/* sum_t conj(a_t) b_t */
static double complex inner(int64_t n, const double complex *a, const double complex *b)
{
    double re = 0, im = 0; /* by parts: the product of C17 looks for infinities in every term */
    for (int64_t t = 0; t < n; t++) {
        re += creal(a[t]) * creal(b[t]) + cimag(a[t]) * cimag(b[t]);
        im += creal(a[t]) * cimag(b[t]) - cimag(a[t]) * creal(b[t]);
    }
    return re + im * I;
}

lode_status lode_i_chol_aside(lode_ctx *ctx, const lode_array *G, const lode_array *least,
                              lode_array *order, int64_t *count)
{
    lode_status st = LODE_OK;
    const int64_t n = G->shape[0];
    lode_array wide = { 0 }, found = { 0 };
    double complex *row = NULL; /* row j: the coefficients of vector j on the kept ones */
    int64_t kept = 0, last = n;
    LODE_REQUIRE(G->ndim == 2 && G->shape[1] == n && least->shape[0] == n &&
                     least->dtype == LODE_F64 && lode_array_is_contiguous(least),
                 LODE_ESHAPE, "a Gram matrix is square, with a bound for each pivot");
    LODE_TRY(lode_array_cast(ctx, G, LODE_C128, &wide));
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, n, &found));
    LODE_TRY(LODE_NEW(ctx, lode_i_max(1, n * n), &row));
    const double complex *g = wide.data;
    const double *bound = least->data;
    int64_t *at = found.data;
    for (int64_t j = 0; j < n; j++) {
        double complex *mine = row + j * n;
        double left = creal(g[j * n + j]);
        for (int64_t t = 0; t < kept; t++) {
            const double complex *other = row + at[t] * n;
            const double complex v = g[at[t] * n + j] - inner(t, other, mine);
            mine[t] = creal(v) / creal(other[t]) + cimag(v) / creal(other[t]) * I;
            left -= creal(mine[t]) * creal(mine[t]) + cimag(mine[t]) * cimag(mine[t]);
        }
        if (left > bound[j]) {
            mine[kept] = sqrt(left);
            at[kept++] = j;
        } else {
            at[--last] = j;
        }
        LODE_TRY(lode_i_cancelled(ctx));
    }
    *count = kept;
    lode_array_swap(order, &found);
done:
    lode_i_free(row);
    LODE_FREE(&wide, &found);
    return st;
}
