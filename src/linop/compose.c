/* Operators made of operators: centred, scaled, stacked, times a number. */
#include <math.h>

#include "linop/kinds.h"

/* ---- centred: A - 1 m^T ---- */

typedef struct centred {
    lode_linop base;
    lode_linop *a;
    lode_array m, ones; /* cols x 1 (conjugated), rows x 1 */
} centred;

static void centred_free(lode_linop *op)
{
    centred *c = (centred *)op;
    LODE_FREE(&c->a, &c->m, &c->ones);
}

/* (A - 1 m^T) X = A X - 1 (m^T X), and its adjoint A^H X - conj(m) (1^T X). */
static lode_status centred_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                 const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    const centred *c = (const centred *)op;
    lode_array y = { 0 }, row = { 0 };
    LODE_TRY(c->a->apply(ctx, c->a, adjoint, X, &y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, adjoint ? &c->ones : &c->m, X, &row));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, adjoint ? &c->m : &c->ones, &row, 1, &y));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y, &row);
    return st;
}

/* ||A - 1 m^T - L R^H|| = ||A - [1 L] [conj(m) R]^H||. */
static lode_status beside(lode_ctx *ctx, const lode_array *column, const lode_array *more,
                          lode_array *both)
{
    lode_status st = LODE_OK;
    lode_array left = { 0 }, right = { 0 }, out = { 0 };
    const int64_t k = more ? more->shape[1] : 0;
    LODE_TRY(lode_i_matrix_new(ctx, column->dtype, column->shape[0], 1 + k, &out));
    left = lode_i_cols(&out, 0, 1), right = lode_i_cols(&out, 1, 1 + k);
    LODE_TRY(lode_array_copy_into(ctx, column, &left));
    if (more)
        LODE_TRY(lode_array_copy_into(ctx, more, &right));
    lode_array_swap(both, &out);
done:
    LODE_FREE(&left, &right, &out);
    return st;
}

static lode_status centred_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                                const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    const centred *c = (const centred *)op;
    lode_array l = { 0 }, r = { 0 };
    LODE_TRY(beside(ctx, &c->ones, L, &l));
    LODE_TRY(beside(ctx, &c->m, R, &r));
    LODE_TRY(c->a->norm(ctx, c->a, &l, &r, norm));
done:
    LODE_FREE(&l, &r);
    return st;
}

static lode_status centred_generic(lode_ctx *ctx, const lode_linop *A, const lode_array *m,
                                   lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    lode_array copy = { 0 };
    const int64_t column[2] = { A->cols, 1 };
    LODE_TRY(lode_i_linop_new(ctx, sizeof(centred), "centred", A->rows, A->cols, A->dtype,
                              centred_free, &l));
    centred *c = (centred *)l;
    LODE_TRY(lode_array_cast(ctx, m, A->dtype, &copy));
    LODE_TRY(lode_array_reshape(ctx, &copy, 2, column, &c->m));
    LODE_TRY(lode_i_conj(ctx, &c->m));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, A->rows, 1, &c->ones));
    LODE_TRY(lode_i_fill(ctx, &c->ones, 1));
    c->a = lode_i_linop_ref(A);
    l->apply = centred_apply;
    l->norm = A->norm ? centred_norm : NULL;
    l->nonzeros = A->nonzeros;
    *op = l, l = NULL;
done:
    lode_linop_free(&l);
    lode_array_free(&copy);
    return st;
}

lode_status lode_linop_centred(lode_ctx *ctx, const lode_linop *A, const lode_array *m,
                               lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    LODE_REQUIRE(m->ndim == 1 && m->shape[0] == A->cols, LODE_ESHAPE,
                 "the means of a %" PRId64 " x %" PRId64 " operator are a vector of %" PRId64
                 " values, not %d-dimensional with %" PRId64,
                 A->rows, A->cols, A->cols, (int)m->ndim, lode_array_size(m));
    LODE_REQUIRE(lode_i_is_complex(A->dtype) || !lode_i_is_complex(m->dtype), LODE_ETYPE,
                 "the means are %s and the operator %s: complex means take a complex operator",
                 lode_dtype_name(m->dtype), lode_dtype_name(A->dtype));
    LODE_TRY(lode_i_linop_dense_centred(ctx, A, m, &l));
    if (!l)
        LODE_TRY(centred_generic(ctx, A, m, &l));
    lode_linop_free(op);
    *op = l;
done:
    return st;
}

/* ---- scaled: diag(l) A diag(r), or alpha A ---- */

typedef struct scaled {
    lode_linop base;
    lode_linop *a;
    lode_array l, r, lc, rc; /* empty: identity; lc, rc conjugated */
    double alpha;
} scaled;

static void scaled_free(lode_linop *op)
{
    scaled *s = (scaled *)op;
    LODE_FREE(&s->a, &s->l, &s->r, &s->lc, &s->rc);
}

static lode_status scaled_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    const scaled *s = (const scaled *)op;
    const lode_array *first = adjoint ? &s->lc : &s->r, *last = adjoint ? &s->rc : &s->l;
    lode_array x = { 0 }, y = { 0 };
    LODE_TRY(lode_array_cast(ctx, X, op->dtype, &x));
    if (s->alpha != 1) /* before the product: alpha brings A's entries into range */
        LODE_TRY(lode_i_scale(ctx, s->alpha, &x));
    if (first->data)
        LODE_TRY(lode_i_scale_rows(ctx, &x, first));
    LODE_TRY(s->a->apply(ctx, s->a, adjoint, &x, &y));
    if (last->data)
        LODE_TRY(lode_i_scale_rows(ctx, &y, last));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&x, &y);
    return st;
}

/* alpha A only: W = A (alpha X), Z = alpha A^H W in one pass, where A has it. */
static lode_status scaled_normal(lode_ctx *ctx, const lode_linop *op, const lode_array *X,
                                 lode_array *W, lode_array *Z, double *norm)
{
    lode_status st = LODE_OK;
    const scaled *s = (const scaled *)op;
    lode_array x = { 0 }, w = { 0 }, z = { 0 };
    LODE_TRY(lode_array_cast(ctx, X, op->dtype, &x));
    LODE_TRY(lode_i_scale(ctx, s->alpha, &x));
    LODE_TRY(s->a->apply(ctx, s->a, false, &x, &w));
    LODE_TRY(lode_array_cast(ctx, &w, op->dtype, &x));
    LODE_TRY(lode_i_scale(ctx, s->alpha, &x));
    LODE_TRY(s->a->apply(ctx, s->a, true, &x, &z));
    if (norm)
        LODE_TRY(lode_i_linop_norm(ctx, op, norm));
    if (W)
        lode_array_swap(W, &w);
    lode_array_swap(Z, &z);
done:
    LODE_FREE(&x, &w, &z);
    return st;
}

static lode_status scaled_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                               const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    const scaled *s = (const scaled *)op;
    lode_array rest = { 0 };
    if (L) { /* ||alpha A - L R^H|| = |alpha| ||A - (L / alpha) R^H|| */
        LODE_TRY(lode_array_cast(ctx, L, op->dtype, &rest));
        LODE_TRY(lode_i_scale(ctx, 1 / s->alpha, &rest));
    }
    LODE_TRY(s->a->norm(ctx, s->a, L ? &rest : NULL, R, norm));
    *norm *= fabs(s->alpha);
done:
    lode_array_free(&rest);
    return st;
}

static lode_status diagonal(lode_ctx *ctx, const lode_linop *A, const char *name, int64_t n,
                            const lode_array *d, lode_array *plain, lode_array *conjugated)
{
    lode_status st = LODE_OK;
    LODE_REQUIRE(d->ndim == 1 && d->shape[0] == n, LODE_ESHAPE,
                 "%s of a %" PRId64 " x %" PRId64 " operator is a vector of %" PRId64
                 " values, not %d-dimensional with %" PRId64,
                 name, A->rows, A->cols, n, (int)d->ndim, lode_array_size(d));
    LODE_REQUIRE(lode_i_is_complex(A->dtype) || !lode_i_is_complex(d->dtype), LODE_ETYPE,
                 "%s is %s and the operator %s: a complex scale takes a complex operator", name,
                 lode_dtype_name(d->dtype), lode_dtype_name(A->dtype));
    LODE_TRY(lode_array_cast(ctx, d, A->dtype, plain));
    LODE_TRY(lode_array_cast(ctx, d, A->dtype, conjugated));
    LODE_TRY(lode_i_conj(ctx, conjugated));
done:
    return st;
}

static lode_status scaled_new(lode_ctx *ctx, const lode_linop *A, double alpha, lode_linop **op)
{
    LODE_FORWARD(lode_i_linop_new(ctx, sizeof(scaled), "scaled", A->rows, A->cols, A->dtype,
                                  scaled_free, op));
    scaled *s = (scaled *)*op;
    s->alpha = alpha;
    s->a = lode_i_linop_ref(A);
    s->base.apply = scaled_apply;
    s->base.nonzeros = A->nonzeros;
    return LODE_OK;
}

lode_status lode_linop_scaled(lode_ctx *ctx, const lode_linop *A, const lode_array *l,
                              const lode_array *r, lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *o = NULL;
    LODE_TRY(scaled_new(ctx, A, 1, &o));
    scaled *s = (scaled *)o;
    if (l)
        LODE_TRY(diagonal(ctx, A, "the scale of rows", A->rows, l, &s->l, &s->lc));
    if (r)
        LODE_TRY(diagonal(ctx, A, "the scale of columns", A->cols, r, &s->r, &s->rc));
    lode_linop_free(op);
    *op = o, o = NULL;
done:
    lode_linop_free(&o);
    return st;
}

lode_status lode_i_linop_times(lode_ctx *ctx, const lode_linop *A, double alpha, lode_linop **op)
{
    lode_linop *o = NULL;
    LODE_FORWARD(scaled_new(ctx, A, alpha, &o));
    o->normal = scaled_normal;
    o->norm = A->norm ? scaled_norm : NULL;
    lode_linop_free(op);
    *op = o;
    return LODE_OK;
}

/* ---- adjoint: A^H ---- */

typedef struct flipped {
    lode_linop base;
    lode_linop *a;
} flipped;

static void adjoint_free(lode_linop *op)
{
    lode_linop_free(&((flipped *)op)->a);
}

static lode_status adjoint_apply(lode_ctx *ctx, const lode_linop *op, bool back,
                                 const lode_array *X, lode_array *Y)
{
    const lode_linop *a = ((const flipped *)op)->a;
    return a->apply(ctx, a, !back, X, Y);
}

/* ||A^H - L R^H|| = ||A - R L^H||. */
static lode_status adjoint_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                                const lode_array *R, double *norm)
{
    const lode_linop *a = ((const flipped *)op)->a;
    return a->norm(ctx, a, R, L, norm);
}

lode_status lode_i_linop_adjoint(lode_ctx *ctx, const lode_linop *A, lode_linop **op)
{
    lode_linop *l = NULL;
    LODE_FORWARD(lode_i_linop_new(ctx, sizeof(flipped), "adjoint", A->cols, A->rows, A->dtype,
                                  adjoint_free, &l));
    ((flipped *)l)->a = lode_i_linop_ref(A);
    l->apply = adjoint_apply;
    l->norm = A->norm ? adjoint_norm : NULL;
    l->nonzeros = A->nonzeros;
    lode_linop_free(op);
    *op = l;
    return LODE_OK;
}

/* ---- stacked: [A; B] or [A B] ---- */

typedef struct stacked {
    lode_linop base;
    lode_linop **part;
    int count, axis;
} stacked;

static void stacked_free(lode_linop *op)
{
    stacked *s = (stacked *)op;
    for (int i = 0; i < s->count; i++)
        lode_linop_free(&s->part[i]);
    lode_i_free(s->part);
}

static lode_status stacked_apply(lode_ctx *ctx, const lode_linop *op, bool adjoint,
                                 const lode_array *X, lode_array *Y)
{
    lode_status st = LODE_OK;
    const stacked *s = (const stacked *)op;
    /* the parts give rows of Y; else Y sums over the parts */
    const bool spread = adjoint == (s->axis == 1);
    const int64_t shape[2] = { adjoint ? op->cols : op->rows, X->shape[1] };
    lode_array y = { 0 }, part = { 0 }, x = { 0 }, into = { 0 };
    LODE_TRY(lode_array_zeros(ctx, op->dtype, 2, shape, &y));
    for (int64_t i = 0, at = 0; i < s->count; i++) {
        const lode_linop *p = s->part[i];
        const int64_t size = s->axis == 0 ? p->rows : p->cols;
        LODE_FREE(&x, &into);
        x = spread ? lode_array_ref(X) : lode_i_rows(X, at, at + size);
        into = spread ? lode_i_rows(&y, at, at + size) : lode_array_ref(&y);
        LODE_TRY(p->apply(ctx, p, adjoint, &x, &part));
        LODE_TRY(lode_i_axpy(ctx, 1, &part, &into));
        at += size;
    }
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y, &part, &x, &into);
    return st;
}

static lode_status stacked_norm(lode_ctx *ctx, const lode_linop *op, const lode_array *L,
                                const lode_array *R, double *norm)
{
    lode_status st = LODE_OK;
    const stacked *s = (const stacked *)op;
    lode_array part = { 0 };
    *norm = 0;
    for (int64_t i = 0, at = 0; i < s->count; i++) {
        const lode_linop *p = s->part[i];
        const int64_t size = s->axis == 0 ? p->rows : p->cols;
        double one = 0;
        lode_array_free(&part);
        if (L)
            part = lode_i_rows(s->axis == 0 ? L : R, at, at + size);
        LODE_TRY(
            p->norm(ctx, p, L && s->axis == 0 ? &part : L, L && s->axis == 1 ? &part : R, &one));
        *norm = hypot(*norm, one);
        at += size;
    }
done:
    lode_array_free(&part);
    return st;
}

lode_status lode_linop_stacked(lode_ctx *ctx, const lode_linop *const *parts, int count, int axis,
                               lode_linop **op)
{
    lode_status st = LODE_OK;
    lode_linop *l = NULL;
    int64_t rows = 0, cols = 0, nonzeros = 0;
    LODE_REQUIRE(count > 0, LODE_EUSAGE, "a stack needs at least one operator");
    LODE_REQUIRE(axis == 0 || axis == 1, LODE_EPARAM,
                 "axis %d: operators stack along 0 (rows) or 1 (columns)", axis);
    for (int i = 0; i < count; i++) {
        const lode_linop *p = parts[i];
        LODE_REQUIRE(p->dtype == parts[0]->dtype, LODE_ETYPE,
                     "operator %d of the stack is %s, the first is %s", i,
                     lode_dtype_name(p->dtype), lode_dtype_name(parts[0]->dtype));
        LODE_REQUIRE(axis == 0 ? p->cols == parts[0]->cols : p->rows == parts[0]->rows, LODE_ESHAPE,
                     "operator %d of the stack is %" PRId64 " x %" PRId64 ", the first %" PRId64
                     " x %" PRId64 ": along axis %d the other sizes must agree",
                     i, p->rows, p->cols, parts[0]->rows, parts[0]->cols, axis);
        LODE_REQUIRE(axis == 0 ? lode_i_add(rows, p->rows, &rows)
                               : lode_i_add(cols, p->cols, &cols),
                     LODE_ESHAPE, "the stack is larger than 2^63");
        if (!lode_i_add(nonzeros, p->nonzeros, &nonzeros))
            nonzeros = INT64_MAX;
    }
    LODE_TRY(lode_i_linop_new(ctx, sizeof(stacked), "stacked", axis == 0 ? rows : parts[0]->rows,
                              axis == 0 ? parts[0]->cols : cols, parts[0]->dtype, stacked_free,
                              &l));
    stacked *s = (stacked *)l;
    LODE_TRY(LODE_NEW(ctx, count, &s->part));
    bool norms = true;
    for (int i = 0; i < count; i++) {
        s->part[i] = lode_i_linop_ref(parts[i]);
        norms = norms && parts[i]->norm;
    }
    s->count = count, s->axis = axis;
    l->apply = stacked_apply, l->nonzeros = nonzeros;
    l->norm = norms ? stacked_norm : NULL;
    lode_linop_free(op);
    *op = l, l = NULL;
done:
    lode_linop_free(&l);
    return st;
}
