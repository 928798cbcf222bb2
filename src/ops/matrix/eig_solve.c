/* The ways of eig: all entries, filtered block Krylov, lobpcg; and what every pair is measured by. */
#include <math.h>

#include "ops/matrix/eig.h"

enum { FEW_FROM = 512, FEW = 8 };

void lode_i_eig_pairs_free(lode_i_eig_pairs *p)
{
    LODE_FREE(&p->values, &p->X, &p->dual, &p->trace, &p->residual, &p->radius);
}

/* ---- entries ---- */

/* A itself as an array; of an operator by products with unit vectors. */
static lode_status entries_of(lode_ctx *ctx, const lode_i_eig_data *d, lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array eye = { 0 };
    if (d->a.data) {
        *a = lode_array_ref(&d->a);
        return LODE_OK;
    }
    LODE_TRY(lode_i_eye(ctx, d->dtype, d->n, &eye));
    LODE_TRY(d->Aop->apply(ctx, d->Aop, false, &eye, a));
    LODE_TRY(lode_i_hermitize(ctx, a));
done:
    LODE_FREE(&eye);
    return st;
}

/* L^-1 A L^-H, of the same eigenvalues. */
static lode_status reduce(lode_ctx *ctx, const lode_array *L, const lode_array *A, lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, L, A, &y));
    LODE_TRY(lode_i_conj(ctx, &y));
    const lode_array turned = lode_i_transposed(&y);
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, L, &turned, C));
    LODE_TRY(lode_i_hermitize(ctx, C));
done:
    LODE_FREE(&y);
    return st;
}

/* What all entries give, kept as a step of a checkpoint. */
static lode_status decompose(lode_ctx *ctx, const lode_array *a, int64_t k, lode_array *w,
                             lode_array *V)
{
    const lode_i_step step = { .site = "eigh", .n = 2, .array = { w, V } };
    bool found = false;
    LODE_FORWARD(lode_i_restore(ctx, &step, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(lode_i_eigh(ctx, a, k, w, V));
    return lode_i_keep(ctx, &step);
}

static lode_status by_entries(lode_ctx *ctx, const lode_eig_opts *o, int64_t k,
                              const lode_i_eig_data *d, lode_i_eig_pairs *p)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, C = { 0 }, w = { 0 }, V = { 0 }, order = { 0 };
    const int64_t n = d->n;
    const bool small = o->which == LODE_EIG_SMALLEST;
    const bool few = (small || o->which == LODE_EIG_LARGEST) && n >= FEW_FROM && FEW * k <= n;
    LODE_TRY(entries_of(ctx, d, &a));
    if (d->L.data) {
        LODE_TRY(reduce(ctx, &d->L, &a, &C));
        lode_array_swap(&a, &C);
        lode_array_free(&C);
    }
    LODE_TRY(lode_i_tick(ctx, 1, 10));
    if (few && small) { /* the leading ones of -A */
        LODE_TRY(lode_array_cast(ctx, &a, d->dtype, &C));
        LODE_TRY(lode_i_scale(ctx, -1, &C));
        lode_array_swap(&a, &C);
        lode_array_free(&C);
    }
    LODE_TRY(decompose(ctx, &a, few ? k : n, &w, &V));
    LODE_TRY(lode_i_tick(ctx, 9, 10));
    if (few && small)
        LODE_TRY(lode_i_scale(ctx, -1, &w));
    LODE_TRY(lode_array_cast(ctx, &w, LODE_F64, &p->values));
    if (few || (k == n && o->which == LODE_EIG_LARGEST)) {
        lode_array_swap(&p->X, &V);
        goto done;
    }
    LODE_TRY(
        lode_i_end_order(ctx, &w, lode_i_eig_end(o->which), o->sigma.value * d->scale, k, &order));
    LODE_TRY(lode_i_take(ctx, &V, 1, &order, &p->X));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &p->values));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&p->values, i, lode_i_get1(&w, (int64_t)lode_i_get1(&order, i)));
done:
    LODE_FREE(&a, &C, &w, &V, &order);
    return st;
}

/* ---- products ---- */

static lode_status by_krylov(lode_ctx *ctx, const lode_eig_opts *o, int64_t k,
                             const lode_i_eig_data *d, lode_i_eig_pairs *p)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    lode_linop *A = NULL;
    if (d->L.data) {
        LODE_TRY(reduce(ctx, &d->L, &d->a, &C));
        LODE_TRY(lode_linop_from(ctx, lode_from_array(&C), &A));
    } else {
        A = lode_i_linop_ref(d->Aop);
    }
    const lode_i_eigs_opts e = lode_i_eig_krylov(o, d->n, k, d->dtype, A->nonzeros);
    LODE_TRY(lode_i_eigs(ctx, A, &e, &p->values, &p->X, NULL, NULL));
done:
    LODE_FREE(&A, &C);
    return st;
}

static lode_status by_lobpcg(lode_ctx *ctx, const lode_eig_opts *o, int64_t k,
                             const lode_i_eig_data *d, lode_i_eig_pairs *p)
{
    lode_i_lobpcg_opts l = lode_i_eig_lobpcg(o, d->n, k, d->dtype);
    l.norm = d->norm, l.precond = d->weights.data ? &d->weights : NULL;
    l.naive = lode_i_broken(ctx, "eig-lobpcg");
    return lode_i_lobpcg(ctx, d->Aop, d->Bop, &l, &p->values, &p->X, &p->trace, NULL);
}

lode_status lode_i_eig_solve(lode_ctx *ctx, const lode_eig_opts *o, lode_eig_method method,
                             int64_t k, const lode_i_eig_data *d, lode_i_eig_pairs *p)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 };
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    if (method == LODE_EIG_DENSE)
        LODE_TRY(by_entries(ctx, o, k, d, p));
    else if (method == LODE_EIG_KRYLOV)
        LODE_TRY(by_krylov(ctx, o, k, d, p));
    else
        LODE_TRY(by_lobpcg(ctx, o, k, d, p));
    if (d->L.data) { /* back from the coordinates of B's factor */
        LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &d->L, &p->X, &X));
        lode_array_swap(&p->X, &X);
    }
done:
    LODE_FREE(&X);
    return st;
}

/* ---- certificate ---- */

/* Re x^H d of corresponding columns. */
static lode_status inner(lode_ctx *ctx, const lode_array *X, const lode_array *D, int64_t j,
                         double *v)
{
    lode_inner sums;
    lode_array x = lode_i_cols(X, j, j + 1), y = lode_i_cols(D, j, j + 1);
    const lode_status st = lode_i_inner(ctx, &x, &y, &sums);
    LODE_FREE(&x, &y);
    *v = st < 0 ? NAN : sums.re;
    return st;
}

/* (||r|| + blur) / (||x||_B sqrt(least)) bounds ||r|| / ||x||_B in the norm of B^-1. */
lode_status lode_i_eig_radii(lode_ctx *ctx, lode_dtype dtype, double norm, double least,
                             lode_i_eig_pairs *p)
{
    lode_status st = LODE_OK;
    const int64_t n = p->X.shape[0], k = p->X.shape[1];
    const bool guess = lode_i_broken(ctx, "eig-residual"); /* ||r||^2, as if every gap were ||A|| */
    lode_array size = { 0 };
    LODE_TRY(lode_i_column_norms(ctx, &p->X, &size));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &p->radius));
    for (int64_t j = 0; j < k; j++) {
        const double x = lode_i_get1(&size, j);
        double b = x * x;
        if (p->dual.data)
            LODE_TRY(inner(ctx, &p->X, &p->dual, j, &b));
        /* what rounding may hide of r: of a product, and of the value as it is stored */
        const double blur = 4 * lode_i_epsilon(dtype) * sqrt((double)n);
        const double r = lode_i_get1(&p->residual, j);
        const double off = ((guess ? r * r : r) + blur) * norm * x;
        lode_i_set1(&p->radius, j, b > 0 ? off / sqrt(b * least) : INFINITY);
    }
done:
    LODE_FREE(&size);
    return st;
}

lode_status lode_i_eig_residuals(lode_ctx *ctx, const lode_linop *A, double norm, double least,
                                 lode_i_eig_pairs *p)
{
    lode_status st = LODE_OK;
    const lode_array *D = p->dual.data ? &p->dual : &p->X;
    const int64_t k = p->values.shape[0];
    lode_array R = { 0 }, AX = { 0 }, length = { 0 }, size = { 0 };
    LODE_TRY(lode_array_cast(ctx, D, A->dtype, &R));
    LODE_TRY(lode_i_scale_cols(ctx, &R, &p->values));
    LODE_TRY(lode_i_scale(ctx, -1, &R));
    LODE_TRY(A->apply(ctx, A, false, &p->X, &AX));
    LODE_TRY(lode_i_axpy(ctx, 1, &AX, &R));
    LODE_TRY(lode_i_column_norms(ctx, &R, &length));
    LODE_TRY(lode_i_column_norms(ctx, &p->X, &size));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, k, &p->residual));
    for (int64_t j = 0; j < k; j++) {
        const double r = lode_i_get1(&length, j), x = lode_i_get1(&size, j);
        lode_i_set1(&p->residual, j, norm > 0 && x > 0 ? r / (norm * x) : 0);
    }
    LODE_TRY(lode_i_eig_radii(ctx, A->dtype, norm, least, p));
done:
    LODE_FREE(&R, &AX, &length, &size);
    return st;
}
