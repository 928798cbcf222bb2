/* Chebyshev polynomials of an operator, by their three-term recurrence. Source: Rivlin, The Chebyshev
 * polynomials, 1974: of all polynomials bounded by 1 on [-1, 1] they grow fastest outside. */
#include "linop/kinds.h"

typedef struct filter {
    lode_linop base;
    lode_linop *a;
    double centre, half;
    int64_t degree;
} filter;

static void filter_free(lode_linop *op)
{
    lode_linop_free(&((filter *)op)->a);
}

/* y_0 = X, y_1 = (A - c) X / h, y_{j+1} = 2 (A - c) y_j / h - y_{j-1} */
static lode_status filter_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    const filter *f = (const filter *)op;
    const double scale = 1 / f->half, shift = -f->centre / f->half;
    lode_array before = { 0 }, now = { 0 };
    (void)adjoint; /* Hermitian, as A is */
    LODE_TRY(lode_i_matrix_new(ctx, op->dtype, op->rows, X->shape[1], &now));
    LODE_TRY(lode_i_linop_recur(ctx, f->a, scale, X, shift, 0, &now));
    if (f->degree > 1) {
        LODE_TRY(lode_array_cast(ctx, X, op->dtype, &before));
        for (int64_t j = 2; j <= f->degree; j++) {
            LODE_TRY(lode_i_linop_recur(ctx, f->a, 2 * scale, &now, 2 * shift, -1, &before));
            lode_array_swap(&before, &now);
        }
    }
    lode_array_swap(Y, &now);
done:
    LODE_FREE(&before, &now);
    return st;
}

lode_status lode_i_linop_chebyshev(lode_ctx *ctx, const lode_linop *A, int64_t degree,
                                   double centre, double half, lode_linop **op)
{
    lode_linop *l = NULL;
    LODE_FORWARD(lode_i_linop_new(ctx, sizeof(filter), "chebyshev", A->rows, A->cols, A->dtype,
                                  filter_free, &l));
    filter *f = (filter *)l;
    f->a = lode_i_linop_ref(A), f->degree = degree, f->centre = centre, f->half = half;
    l->apply = filter_apply, l->nonzeros = A->nonzeros;
    *op = l;
    return LODE_OK;
}
