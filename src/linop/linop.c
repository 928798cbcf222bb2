/* Linear operators: references, products with checks, and callbacks. */
#include <math.h>
#include <stdatomic.h>

#include "linop/kinds.h"

lode_status lode_i_linop_new(lode_ctx *ctx, size_t bytes, const char *kind, int64_t rows,
                             int64_t cols, lode_dtype dtype, void (*release)(lode_linop *),
                             lode_linop **op)
{
    void *p = NULL;
    LODE_FORWARD(lode_i_calloc(ctx, bytes, &p));
    lode_linop *l = p;
    l->kind = kind, l->rows = rows, l->cols = cols, l->dtype = dtype, l->free = release;
    l->nonzeros = rows > 0 && cols > INT64_MAX / rows ? INT64_MAX : rows * cols;
    atomic_init(&l->count, 1);
    *op = l;
    return LODE_OK;
}

lode_linop *lode_i_linop_ref(const lode_linop *op)
{
    lode_linop *l = (lode_linop *)op;
    atomic_fetch_add(&l->count, 1);
    return l;
}

void lode_linop_free(lode_linop **op)
{
    if (!op || !*op)
        return;
    lode_linop *l = *op;
    *op = NULL;
    if (atomic_fetch_sub(&l->count, 1) == 1) {
        if (l->free)
            l->free(l);
        lode_i_free(l);
    }
}

void lode_i_linop_free_slot(struct lode_linop **op)
{
    lode_linop_free(op);
}

void lode_linop_size(const lode_linop *op, int64_t *rows, int64_t *cols, lode_dtype *dtype)
{
    if (rows)
        *rows = op->rows;
    if (cols)
        *cols = op->cols;
    if (dtype)
        *dtype = op->dtype;
}

/* ---- callbacks ---- */

typedef struct callback {
    lode_linop base;
    lode_callback f;
} callback;

static lode_status callback_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                  const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    const callback *c = (const callback *)op;
    const int64_t rows = adjoint ? op->cols : op->rows, k = X->shape[1];
    lode_array x = { 0 }, y = { 0 };
    double norm = 0;
    LODE_TRY(lode_i_cancelled(ctx));
    LODE_TRY(lode_i_as(ctx, X, op->dtype, &x));
    LODE_TRY(lode_i_matrix_new(ctx, op->dtype, rows, k, &y));
    LODE_TRY(lode_i_fill(ctx, &y, 0));
    if (rows > 0 && k > 0) {
        LODE_TRY(lode_i_callback_multiply(ctx, &c->f, adjoint, &x, &y));
        LODE_TRY(lode_i_norm_fro(ctx, &y, &norm));
    }
    LODE_REQUIRE(!isnan(norm), LODE_EDOMAIN,
                 "the callback gave nan in a product %s: its operator must be finite",
                 adjoint ? "A^H x" : "A x");
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&x, &y);
    return st;
}

static lode_status callback_new(lode_ctx *ctx, const lode_callback *f, lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    const bool arithmetic = f->dtype >= 0 && f->dtype < LODE_DTYPE_COUNT &&
                            lode_i_arith(f->dtype) == f->dtype;
    LODE_REQUIRE(f->fn, LODE_EUSAGE, "the callback has no function");
    LODE_REQUIRE(f->rows >= 0 && f->cols >= 0, LODE_ESHAPE,
                 "the callback is %" PRId64 " x %" PRId64 ": sizes may not be negative", f->rows,
                 f->cols);
    LODE_REQUIRE(arithmetic, LODE_ETYPE, "a callback computes in f32, f64, c64 or c128, not %s",
                 lode_dtype_name(f->dtype));
    LODE_TRY(
        lode_i_linop_new(ctx, sizeof(callback), "callback", f->rows, f->cols, f->dtype, NULL, &l));
    ((callback *)l)->f = *f;
    l->apply = callback_apply;
    *op = l;
done:
    return st;
}

/* ---- from values ---- */

lode_status lode_linop_from(lode_ctx *ctx, lode_value A, lode_linop **op)
{
    lode_linop *l = NULL;
    lode_status st = LODE_OK;
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    LODE_REQUIRE(
        lode_i_value_shape(A, &dtype, &ndim, shape), LODE_ETYPE,
        "a linear operator is made from an array, sparse, source, callback or linop, not from %s",
        lode_kind_name(A.kind));
    LODE_REQUIRE(ndim == 2, LODE_ESHAPE,
                 "a linear operator has 2 dimensions, not %d: reshape the input", ndim);
    switch (A.kind) {
    case LODE_ARRAY: LODE_TRY(lode_i_linop_dense(ctx, A.as.array, &l)); break;
    case LODE_SOURCE: LODE_TRY(lode_i_linop_source(ctx, A.as.source, &l)); break;
    case LODE_SPARSE: LODE_TRY(lode_i_linop_sparse(ctx, A.as.sparse, &l)); break;
    case LODE_CALLBACK: LODE_TRY(callback_new(ctx, A.as.callback, &l)); break;
    default: l = lode_i_linop_ref(A.as.linop);
    }
    lode_linop_free(op);
    *op = l;
done:
    return st;
}

/* ---- products ---- */

static lode_status check_operand(lode_ctx *ctx, const lode_linop *A, bool adjoint,
                                 const lode_array *X)
{
    const int64_t need = adjoint ? A->rows : A->cols;
    if (X->ndim != 2 || X->shape[0] != need) {
        char text[200];
        lode_i_print_shape(X->ndim, X->shape, text, sizeof text);
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%s of a %" PRId64 " x %" PRId64 " operator takes %" PRId64
                           " rows, X is %s",
                           adjoint ? "A^H X" : "A X", A->rows, A->cols, need, text);
    }
    return LODE_OK;
}

lode_status lode_linop_apply(lode_ctx *ctx, const lode_linop *A, bool adjoint, const lode_array *X,
                             lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    double norm = 0;
    lode_i_begin(ctx, "linop");
    LODE_TRY(check_operand(ctx, A, adjoint, X));
    LODE_REQUIRE(lode_i_is_complex(A->dtype) || !lode_i_is_complex(X->dtype), LODE_ETYPE,
                 "X is %s and the operator %s: a complex X takes a complex operator",
                 lode_dtype_name(X->dtype), lode_dtype_name(A->dtype));
    LODE_TRY(lode_i_as(ctx, X, A->dtype, &x));
    LODE_TRY(lode_i_require_finite(ctx, &x, "X"));
    LODE_TRY(A->apply(ctx, A, adjoint, &x, &y));
    LODE_TRY(lode_i_norm_fro(ctx, &y, &norm));
    LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN,
                 "the product of A and X leaves the range of %s: scale A or X",
                 lode_dtype_name(A->dtype));
    lode_array_swap(Y, &y);
done:
    lode_i_end(ctx);
    LODE_FREE(&x, &y);
    return st;
}

/* A X and A^H A X, half of the step under way each. */
static lode_status by_turns(lode_ctx *ctx, const lode_linop *op, const lode_array *X, lode_array *W,
                            lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_i_nest(ctx);
    for (int i = 0; i < 2 && st >= 0; i++) {
        lode_i_work(ctx, "", 1, 1 - i);
        lode_i_nest(ctx);
        st = i ? op->apply(ctx, op, true, W, Z) : op->apply(ctx, op, false, X, W);
        lode_i_unnest(ctx);
    }
    lode_i_unnest(ctx);
    return st;
}

lode_status lode_i_linop_normal(lode_ctx *ctx, const lode_linop *op, const lode_array *X,
                                lode_array *W, lode_array *Z, double *norm)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, z = { 0 };
    if (op->normal) {
        LODE_TRY(op->normal(ctx, op, X, W ? &w : NULL, &z, norm));
    } else {
        LODE_TRY(by_turns(ctx, op, X, &w, &z));
        if (norm)
            LODE_TRY(lode_i_linop_norm(ctx, op, norm));
    }
    if (W)
        lode_array_swap(W, &w);
    lode_array_swap(Z, &z);
done:
    LODE_FREE(&w, &z);
    return st;
}

lode_status lode_i_linop_recur(lode_ctx *ctx, const lode_linop *op, double alpha,
                               const lode_array *X, double beta, double gamma, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 };
    if (op->recur)
        return op->recur(ctx, op, alpha, X, beta, gamma, Y);
    LODE_TRY(op->apply(ctx, op, false, X, &z));
    LODE_TRY(lode_i_scale(ctx, alpha, &z));
    if (beta < 0 || beta > 0)
        LODE_TRY(lode_i_axpy(ctx, beta, X, &z));
    if (gamma < 0 || gamma > 0)
        LODE_TRY(lode_i_axpy(ctx, gamma, Y, &z));
    LODE_TRY(lode_array_copy_into(ctx, &z, Y));
done:
    LODE_FREE(&z);
    return st;
}

lode_status lode_i_linop_norm(lode_ctx *ctx, const lode_linop *op, double *norm)
{
    if (op->norm)
        return op->norm(ctx, op, NULL, NULL, norm);
    *norm = -1;
    return LODE_OK;
}
