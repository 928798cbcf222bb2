/* Sparse operators: compressed rows of A and of A^H, both kept, so that either product walks rows. */
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

static lode_status sparse_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint, const lode_array *X,
                                lode_array *Y)
{
    const sparse *s = (const sparse *)op;
    LODE_FORWARD(lode_i_cancelled(ctx));
    return lode_i_spmm(ctx, LODE_N, adjoint ? &s->ah : &s->a, X, Y);
}

static lode_status sparse_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L, const lode_array *R,
                               double *norm)
{
    const sparse *s = (const sparse *)op;
    (void)R;
    *norm = -1; /* A - L R^H is not sparse: its norm is not cheap */
    return L ? LODE_OK : lode_i_norm_fro(ctx, &s->a.values, norm);
}

lode_status lode_i_linop_sparse(lode_ctx *ctx, const lode_sparse *a, lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    lode_array values = { 0 };
    const lode_dtype dtype = lode_i_arith(a->values.dtype);
    LODE_TRY(lode_sparse_check(ctx, a));
    LODE_TRY(lode_i_linop_new(ctx, sizeof(sparse), "sparse", a->shape[0], a->shape[1], dtype, sparse_free, &l));
    sparse *s = (sparse *)l;
    LODE_TRY(lode_sparse_to_csr(ctx, a, &s->a));
    LODE_TRY(lode_i_as(ctx, &s->a.values, dtype, &values));
    lode_array_swap(&s->a.values, &values);
    LODE_TRY(lode_i_csr_transpose(ctx, LODE_H, &s->a, &s->ah));
    l->apply = sparse_apply, l->norm = sparse_norm;
    l->nonzeros = lode_sparse_nnz(&s->a);
    *op = l, l = NULL;
done:
    lode_linop_free(&l);
    lode_array_free(&values);
    return st;
}
