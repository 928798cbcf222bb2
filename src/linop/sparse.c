/* Sparse operators: compressed rows of A and of A^H, both kept, so that either product walks
 * rows. */
#include <math.h>

#include "linop/kinds.h"

typedef struct sparse {
    lode_linop base;
    lode_sparse a, ah;
} sparse;

static void sparse_free(lode_linop *op)
{
    sparse *s = (sparse *)op;
    LODE_FREE(&s->a, &s->ah);
}

static lode_status sparse_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                const lode_array *X, lode_array *Y)
{
    const sparse *s = (const sparse *)op;
    LODE_FORWARD(lode_i_cancelled(ctx));
    return lode_i_spmm(ctx, LODE_N, adjoint ? &s->ah : &s->a, X, Y);
}

static lode_status sparse_recur(lode_ctx *ctx, const lode_linop *op, double alpha,
                                const lode_array *X, double beta, double gamma, lode_array *Y)
{
    LODE_FORWARD(lode_i_cancelled(ctx));
    return lode_i_spmm_into(ctx, alpha, &((const sparse *)op)->a, X, beta, gamma, Y);
}

/* Re sum conj(a) b over two matrices, a and b m x k: the trace of a small product. */
static lode_status inner(lode_ctx *ctx, const lode_array *a, const lode_array *b, double *sum)
{
    lode_status st = LODE_OK;
    lode_array g = { 0 }, wide = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, a, b, &g));
    LODE_TRY(lode_array_cast(ctx, &g, LODE_F64, &wide));
    *sum = 0;
    for (int64_t i = 0; i < wide.shape[0]; i++)
        *sum += lode_i_get2(&wide, i, i);
done:
    LODE_FREE(&g, &wide);
    return st;
}

/* ||A - L R^H||_F on the entries, 64 columns at a time. */
static lode_status norm_by_columns(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                                   const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    lode_array e = { 0 }, rows = { 0 }, columns = { 0 };
    double sum = 0;
    for (int64_t j = 0; j < op->cols; j += 64) {
        const int64_t c = lode_i_min(64, op->cols - j), shape[2] = { op->cols, c };
        LODE_FREE(&e, &rows);
        LODE_TRY(lode_array_zeros(ctx, op->dtype, 2, shape, &e));
        for (int64_t i = 0; i < c; i++)
            lode_i_set2(&e, j + i, i, 1);
        LODE_TRY(sparse_apply(ctx, op, false, &e, &columns));
        rows = lode_i_rows(R, j, j + c);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_H, -1, L, &rows, 1, &columns));
        double part = 0;
        LODE_TRY(lode_i_norm_fro(ctx, &columns, &part));
        sum = hypot(sum, part);
    }
    *norm = sum;
done:
    LODE_FREE(&e, &rows, &columns);
    return st;
}

/* ||A - L R^H||^2 = ||A||^2 - 2 Re <A R, L> + <L^H L, R^H R>; where that cancels, on the entries,
 * unless they are too many: then the level of rounding is what can be said. */
static lode_status sparse_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                               const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    const sparse *s = (const sparse *)op;
    lode_array AR = { 0 }, g = { 0 }, h = { 0 };
    double whole = 0, cross = 0, model = 0;
    LODE_TRY(lode_i_norm_fro(ctx, &s->a.values, &whole));
    *norm = whole;
    if (!L)
        goto done;
    LODE_TRY(sparse_apply(ctx, op, false, R, &AR));
    LODE_TRY(inner(ctx, L, &AR, &cross));
    LODE_TRY(lode_i_gram(ctx, LODE_H, L, &g));
    LODE_TRY(lode_i_gram(ctx, LODE_H, R, &h));
    LODE_TRY(inner(ctx, &g, &h, &model));
    const double square = whole * whole - 2 * cross + model;
    const double blur = 256 * lode_i_epsilon(op->dtype) * (whole * whole + fabs(model));
    *norm = sqrt(fmax(square, blur));
    if (!(square > 100 * blur) && (double)op->rows * (double)op->cols * (double)L->shape[1] < 1e11)
        LODE_TRY(norm_by_columns(ctx, op, L, R, norm));
done:
    LODE_FREE(&AR, &g, &h);
    return st;
}

lode_status lode_i_linop_sparse(lode_ctx *ctx, const lode_sparse *a, lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    lode_array values = { 0 };
    const lode_dtype dtype = lode_i_arith(a->values.dtype);
    LODE_TRY(lode_sparse_check(ctx, a));
    LODE_TRY(lode_i_linop_new(ctx, sizeof(sparse), "sparse", a->shape[0], a->shape[1], dtype,
                              sparse_free, &l));
    sparse *s = (sparse *)l;
    LODE_TRY(lode_sparse_to_csr(ctx, a, &s->a));
    LODE_TRY(lode_i_as(ctx, &s->a.values, dtype, &values));
    lode_array_swap(&s->a.values, &values);
    LODE_TRY(lode_i_csr_transpose(ctx, LODE_H, &s->a, &s->ah));
    l->apply = sparse_apply, l->norm = sparse_norm, l->recur = sparse_recur;
    l->nonzeros = lode_sparse_nnz(&s->a);
    *op = l, l = NULL;
done:
    lode_linop_free(&l);
    lode_array_free(&values);
    return st;
}
