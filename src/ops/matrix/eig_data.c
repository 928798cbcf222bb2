/* What eig works on: the matrices in one type, checked to be their own adjoints, scaled; whether B is positive
 * definite; the preconditioner. */
#include <math.h>

#include "ops/matrix/eig.h"

enum { LEAST_BY_ALL = 500, PROBES = 4, POWERS = 12 };
#define SLACK 100.0 /* of a_ij - conj a_ji, in eps times the root mean square of a row */

void lode_i_eig_free(lode_i_eig_data *d)
{
    LODE_FREE(&d->a, &d->b, &d->sa, &d->sb, &d->Aop, &d->Bop, &d->L, &d->weights);
}

/* ---- values ---- */

/* v in the type of the problem: as it is, or held. */
static lode_status convert(lode_ctx *ctx, const char *name, bool hold, lode_dtype dtype,
                           lode_value *v, lode_array *a, lode_sparse *s)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 };
    lode_dtype own = LODE_F64;
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    lode_i_value_shape(*v, &own, &ndim, shape);
    own = lode_i_arith(own);
    if (v->kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_check(ctx, v->as.sparse));
        LODE_TRY(lode_sparse_to_csr(ctx, v->as.sparse, s));
        LODE_TRY(lode_i_as(ctx, &s->values, dtype, &values));
        lode_array_swap(&s->values, &values);
        *v = lode_from_sparse(s);
        if (hold) {
            LODE_TRY(lode_sparse_to_dense(ctx, s, a));
            *v = lode_from_array(a);
        }
    } else if (v->kind == LODE_ARRAY || (v->kind == LODE_SOURCE && (hold || own != dtype))) {
        LODE_TRY(lode_i_as_array(ctx, *v, dtype, a));
        LODE_TRY(lode_i_require_finite(ctx, a, name));
        *v = lode_from_array(a);
    } else if (v->kind != LODE_SOURCE) {
        LODE_REQUIRE(own == dtype, LODE_ETYPE,
                     "eig: %s multiplies in %s, the problem is in %s: use one type", name,
                     lode_dtype_name(own), lode_dtype_name(dtype));
    }
done:
    LODE_FREE(&values);
    return st;
}

static void print_value(const double *z, char text[64])
{
    if (z[1] < 0 || z[1] > 0)
        snprintf(text, 64, "%.9g%+.9gi", z[0], z[1]);
    else
        snprintf(text, 64, "%.9g", z[0]);
}

/* Products alone tell by X^H A X, which must be its own adjoint. */
static lode_status probe_symmetry(lode_ctx *ctx, const char *name, const lode_linop *A)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 }, G = { 0 }, own = { 0 };
    double size = 0, off = 0;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "eig", 50), A->dtype, A->rows, PROBES, &X));
    LODE_TRY(A->apply(ctx, A, false, &X, &Y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &X, &Y, &G));
    LODE_TRY(lode_array_cast(ctx, &G, G.dtype, &own));
    LODE_TRY(lode_i_hermitize(ctx, &own));
    LODE_TRY(lode_i_norm_fro(ctx, &Y, &size));
    LODE_TRY(lode_i_diff_fro(ctx, &G, &own, &off));
    const double slack = SLACK * lode_i_epsilon(A->dtype) * size * sqrt((double)A->rows);
    LODE_REQUIRE(off <= slack, LODE_EDOMAIN,
                 "eig: %s is not its own adjoint: x^H %s y and conj(y^H %s x) of random vectors "
                 "differ by %.3g, more than %.3g; give a symmetric operator",
                 name, name, name, 2 * off, 2 * slack);
done:
    LODE_FREE(&X, &Y, &G, &own);
    return st;
}

static lode_status check_symmetry(lode_ctx *ctx, const char *name, lode_value v,
                                  const lode_linop *A, double norm_fro)
{
    lode_i_mismatch m;
    char upper[64], lower[64];
    if (v.kind != LODE_ARRAY && v.kind != LODE_SOURCE && v.kind != LODE_SPARSE)
        return probe_symmetry(ctx, name, A);
    const double slack = SLACK * lode_i_epsilon(A->dtype) * norm_fro / sqrt((double)A->rows);
    LODE_FORWARD(lode_i_hermitian(ctx, v, slack, &m));
    if (!m.found)
        return LODE_OK;
    print_value(m.upper, upper), print_value(m.lower, lower);
    if (m.i == m.j)
        return lode_i_fail(ctx, LODE_EDOMAIN,
                           "eig: %s is not Hermitian: %s[%" PRId64 ",%" PRId64
                           "] is %s, and a diagonal must be real",
                           name, name, m.i, m.i, upper);
    return lode_i_fail(ctx, LODE_EDOMAIN,
                       "eig: %s is not %s: %s[%" PRId64 ",%" PRId64 "] is %s and %s[%" PRId64
                       ",%" PRId64 "] is %s, %.3g apart, more than rounding (%.3g); give (%s + "
                       "%s^%c) / 2 if that is meant",
                       name, lode_i_is_complex(A->dtype) ? "Hermitian" : "symmetric", name, m.i,
                       m.j, upper, name, m.j, m.i, lower, m.off, slack, name, name,
                       lode_i_is_complex(A->dtype) ? 'H' : 'T');
}

/* ---- sizes ---- */

lode_status lode_i_eig_norm(lode_ctx *ctx, const lode_linop *A, double *norm)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 }, length = { 0 };
    *norm = 0;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "eig", 51), A->dtype, A->rows, PROBES, &X));
    for (int i = 0; i <= POWERS; i++) {
        double most = 0;
        LODE_TRY(lode_i_column_norms(ctx, &X, &length));
        for (int64_t j = 0; j < PROBES; j++) {
            const double v = lode_i_get1(&length, j);
            most = fmax(most, v);
            lode_i_set1(&length, j, v > 0 ? 1 / v : 0);
        }
        if (i > 0)
            *norm = fmax(*norm, most);
        if (i == POWERS)
            break;
        LODE_TRY(lode_i_tick(ctx, i, POWERS));
        LODE_TRY(lode_i_scale_cols(ctx, &X, &length));
        LODE_TRY(A->apply(ctx, A, false, &X, &Y));
        lode_array_swap(&X, &Y);
    }
done:
    LODE_FREE(&X, &Y, &length);
    return st;
}

/* ||A||_F, or of products what stands for it. */
static lode_status size_of(lode_ctx *ctx, const lode_linop *A, double *norm)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, Y = { 0 };
    LODE_TRY(lode_i_linop_norm(ctx, A, norm));
    if (*norm < 0) {
        LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "eig", 52), A->dtype, A->rows, 1, &X));
        LODE_TRY(A->apply(ctx, A, false, &X, &Y));
        LODE_TRY(lode_i_norm_fro(ctx, &Y, norm));
    }
done:
    LODE_FREE(&X, &Y);
    return st;
}

static lode_status scale(lode_ctx *ctx, double norm, lode_i_eig_data *d)
{
    lode_status st = LODE_OK;
    lode_linop *scaled = NULL;
    lode_array own = { 0 };
    d->scale = lode_i_safe_scale(d->dtype, norm);
    if (!(d->scale > 1 || d->scale < 1))
        return LODE_OK;
    if (d->a.data) {
        LODE_TRY(lode_array_cast(ctx, &d->a, d->dtype, &own));
        LODE_TRY(lode_i_scale(ctx, d->scale, &own));
        lode_array_swap(&d->a, &own);
        lode_linop_free(&d->Aop);
        LODE_TRY(lode_linop_from(ctx, lode_from_array(&d->a), &d->Aop));
    } else {
        LODE_TRY(lode_i_linop_times(ctx, d->Aop, d->scale, &scaled));
        lode_linop_free(&d->Aop);
        d->Aop = scaled;
    }
done:
    LODE_FREE(&own);
    return st;
}

/* ---- B ---- */

/* Its smallest eigenvalue, refused where that is not above 0. */
static lode_status measure_b(lode_ctx *ctx, lode_i_eig_data *d)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, X = { 0 }, r = { 0 };
    lode_i_eigs_opts e = { .rank = 1, .end = LODE_I_SMALLEST, .tol = 1e-8, .op = "eig b" };
    double found = 0, off = 0, top = 0;
    if (d->b.data && d->n <= LEAST_BY_ALL) {
        LODE_TRY(lode_i_eigh(ctx, &d->b, d->n, &w, NULL));
        found = lode_i_get1(&w, d->n - 1), top = lode_i_get1(&w, 0);
        off = lode_i_epsilon(d->dtype) * (double)(d->n + 8) * top;
    } else {
        LODE_TRY(lode_i_eig_norm(ctx, d->Bop, &top));
        LODE_TRY(lode_i_eigs(ctx, d->Bop, &e, &w, &X, &r, NULL));
        found = lode_i_get1(&w, 0), off = lode_i_get1(&r, 0);
        st = LODE_OK; /* not quite converged is enough: off says by how much */
    }
    LODE_REQUIRE(found > 0, LODE_EDOMAIN,
                 "eig: B is not positive definite: its smallest eigenvalue is %.6g, its largest "
                 "%.3g; give a B that is, or exchange A and B",
                 found, top);
    d->least = found - off;
    LODE_REQUIRE(
        d->least > 0, LODE_EDOMAIN,
        "eig: B is singular to rounding: its smallest eigenvalue is %.3g, known to %.1g, its "
        "largest %.3g",
        found, off, top);
done:
    LODE_FREE(&w, &X, &r);
    return st;
}

static lode_status read_b(lode_ctx *ctx, lode_eig_method method, lode_i_eig_data *d)
{
    lode_status st = LODE_OK;
    double norm = 0, shift = 0;
    const bool factored = method != LODE_EIG_LOBPCG;
    LODE_TRY(convert(ctx, "B", factored, d->dtype, &d->B, &d->b, &d->sb));
    LODE_TRY(lode_linop_from(ctx, d->B, &d->Bop));
    LODE_TRY(lode_i_linop_kept(ctx, "B", &d->Bop));
    LODE_REQUIRE(d->Bop->rows == d->n && d->Bop->cols == d->n, LODE_ESHAPE,
                 "eig: A is %" PRId64 " x %" PRId64 " and B %" PRId64 " x %" PRId64, d->n, d->n,
                 d->Bop->rows, d->Bop->cols);
    LODE_TRY(size_of(ctx, d->Bop, &norm));
    LODE_REQUIRE(norm > 0, LODE_EDOMAIN,
                 "eig: B is not positive definite: all of it is 0, and so its eigenvalues");
    LODE_REQUIRE(lode_i_safe_scale(d->dtype, norm) * norm >= norm &&
                     lode_i_safe_scale(d->dtype, norm) * norm <= norm,
                 LODE_EDOMAIN, "eig: the norm of B is %.3g, too far from 1 for %s; scale B", norm,
                 lode_dtype_name(d->dtype));
    LODE_TRY(check_symmetry(ctx, "B", d->B, d->Bop, norm));
    LODE_TRY(measure_b(ctx, d));
    if (factored) {
        LODE_TRY(lode_i_cholesky(ctx, &d->b, &d->L, &shift));
        LODE_REQUIRE(!(shift > 0), LODE_EDOMAIN,
                     "eig: B is singular to rounding: its smallest eigenvalue is about %.3g",
                     d->least);
    }
done:
    return st;
}

/* ---- preconditioner ---- */

/* 1 / precond, or 1 / diagonal where all of that is above 0. */
static lode_status read_weights(lode_ctx *ctx, const lode_eig_opts *o, lode_i_eig_data *d)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, diagonal = { 0 };
    lode_stats stats;
    if (o->precond) {
        LODE_TRY(lode_i_require_finite(ctx, o->precond, "precond"));
        LODE_TRY(lode_array_cast(ctx, o->precond, LODE_F64, &w));
        for (int64_t i = 0; i < d->n; i++)
            LODE_REQUIRE(lode_i_get1(&w, i) > 0, LODE_EPARAM,
                         "eig: precond[%" PRId64 "] is %g; a preconditioner has values > 0", i,
                         lode_i_get1(&w, i));
    } else if (o->which == LODE_EIG_SMALLEST && d->A.kind == LODE_SPARSE) {
        LODE_TRY(lode_i_csr_diagonal(ctx, d->A.as.sparse, &w));
        LODE_TRY(lode_i_stats(ctx, &w, &stats));
        if (!(stats.min > 0))
            goto done;
    } else {
        goto done;
    }
    for (int64_t i = 0; i < d->n; i++)
        lode_i_set1(&w, i, 1 / lode_i_get1(&w, i));
    lode_array_swap(&d->weights, &w);
done:
    LODE_FREE(&w, &diagonal);
    return st;
}

lode_status lode_i_eig_read(lode_ctx *ctx, const lode_eig_opts *o, lode_eig_method method,
                            lode_i_eig_data *d)
{
    lode_status st = LODE_OK;
    double norm = 0;
    const bool held = method == LODE_EIG_DENSE ||
                      (method == LODE_EIG_KRYLOV && d->B.kind != LODE_NONE);
    d->dtype = lode_i_eig_dtype(d->A, d->B);
    LODE_TRY(convert(ctx, "A", held, d->dtype, &d->A, &d->a, &d->sa));
    LODE_TRY(lode_linop_from(ctx, d->A, &d->Aop));
    LODE_TRY(lode_i_linop_kept(ctx, "A", &d->Aop));
    d->n = d->Aop->rows;
    LODE_REQUIRE(d->Aop->cols == d->n, LODE_ESHAPE,
                 "eig: A is %" PRId64 " x %" PRId64 ", not square", d->n, d->Aop->cols);
    LODE_TRY(size_of(ctx, d->Aop, &norm));
    LODE_REQUIRE(isfinite(norm), LODE_EDOMAIN,
                 "eig: products with A leave the range of %s: scale A", lode_dtype_name(d->dtype));
    LODE_TRY(check_symmetry(ctx, "A", d->A, d->Aop, norm));
    LODE_TRY(scale(ctx, norm, d));
    LODE_TRY(lode_i_eig_norm(ctx, d->Aop, &d->norm));
    if (d->B.kind != LODE_NONE)
        LODE_TRY(read_b(ctx, method, d));
    if (method == LODE_EIG_LOBPCG)
        LODE_TRY(read_weights(ctx, o, d));
done:
    return st;
}
