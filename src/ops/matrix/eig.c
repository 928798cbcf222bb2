/* eig: eigenvalues and vectors of symmetric and Hermitian matrices, A x = l x or A x = l B x with B positive
 * definite.
 *
 * dense: tridiagonal form and divide and conquer by LAPACK, few pairs by bisection and inverse iteration; B by
 * its Cholesky factor. krylov: block Lanczos with full reorthogonalization and thick restart, of a Chebyshev
 * polynomial of A where products are cheap (sparse A). lobpcg: conjugate gradients on the Rayleigh quotient of a
 * block, preconditioned, in an orthonormal basis; needs no factor of B.
 *
 * Every pair comes with ||A x - l B x||, measured. By the bound of Krylov and Weinstein the interval of
 * that half width about l (in the norm of B^-1) has an eigenvalue. That the ones found are the first of their end is not
 * proved: a random start finds them but with probability 0 in exact arithmetic.
 *
 * Source: Anderson et al., LAPACK Users' Guide, doi:10.1137/1.9780898719604; Wu & Simon 2000,
 * doi:10.1137/S0895479898334605; Fang & Saad 2012, doi:10.1137/110836535; Knyazev 2001,
 * doi:10.1137/S1064827500366124; Duersch, Shao, Yang & Gu 2018, doi:10.1137/17M1129830; Parlett, The symmetric
 * eigenvalue problem, 1998, doi:10.1137/1.9781611971163, theorem 4.5.1 (the bound). Departures: the filter's
 * interval and degree are chosen from Ritz values and chosen again; blocks; columns join the block where eigenvalues
 * are tied; no shift and invert, as no sparse factorization is at hand, so values around a shift take the dense
 * way. Claims tested: the bound on known spectra; the basis of lobpcg against the naive one. */
#include <math.h>
#include <string.h>

#include "ops/matrix/eig.h"

enum { ALL_UP_TO = 2000, DENSE_UP_TO = 500, SPARSE_UP_TO = 200 };

static const lode_param params[] = {
    { LODE_PARAM(lode_eig_opts, rank), .min = 1, .max = 1e9,
      .help = "eigenpairs: R, or auto (all of them, up to 2000)" },
    { LODE_PARAM(lode_eig_opts, which), .def = LODE_EIG_LARGEST,
      .choices = "largest|smallest|magnitude|around",
      .help = "which end of the spectrum, or the values nearest to --sigma" },
    { LODE_PARAM(lode_eig_opts, sigma), .min = -1e300, .max = 1e300,
      .help = "which around: the eigenvalues nearest to it, unit of the values" },
    { LODE_PARAM(lode_eig_opts, method), .def = LODE_EIG_AUTO,
      .choices = "auto|dense|krylov|lobpcg",
      .help = "LAPACK on all entries, filtered block Krylov, or preconditioned conjugate "
              "gradients; auto by size, kind and rank" },
    { LODE_PARAM(lode_eig_opts, tol), .min = 1e-16, .max = 1,
      .help = LODE_HELP_TOL
      ": ||A x - l B x|| against ||A|| ||x||; auto: 1e-10, or 1e-5 in single precision" },
    { LODE_PARAM(lode_eig_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER ": block steps of krylov, iterations of lobpcg" },
    { LODE_PARAM(lode_eig_opts, block), .min = 1, .max = 1e5,
      .help = "columns multiplied at a time; auto: 4 or 8, lobpcg a quarter more than the rank" },
    { LODE_PARAM(lode_eig_opts, vectors), .def = 1,
      .help = "keep the eigenvectors (they are computed in any case, for the residuals)" },
    { LODE_PARAM(lode_eig_opts, precond),
      .help = "lobpcg: n values > 0 that residuals are divided by; without: the diagonal of a "
              "sparse A, for the smallest" },
    { 0 },
};
#define MATRIX_TYPES (LODE_REALS | LODE_INTEGERS | LODE_COMPLEXES)
static const lode_port in[] = {
    { "A", "n,n", .kinds = LODE_ANY_MATRIX, .types = MATRIX_TYPES, .hermitian = true,
      .help = "symmetric or Hermitian matrix" },
    { "b", "n,n", .kinds = LODE_ANY_MATRIX, .types = MATRIX_TYPES, .hermitian = true,
      .definite = true, .optional = true,
      .help =
          "B of A x = l B x, symmetric or Hermitian, positive definite; without: the identity" },
    { 0 },
};
static const lode_port out[] = {
    { "values", "k", .help = "eigenvalues, in the order of --which" },
    { "vectors", "n,k", .optional = true,
      .help = "eigenvectors, orthonormal columns (in the inner product of B)" },
    { "residual", "k", .help = "||A x - l B x|| / (||A|| ||x||)" },
    { "radius", "k", .help = "an eigenvalue is no farther from each value" },
    { "dual", "n,k", .optional = true, .help = "with b: B times the eigenvectors" },
    { "b_smallest", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "with b: the smallest eigenvalue of B, from below" },
    { "trace", "steps", .optional = true,
      .help = "lobpcg: the largest residual after each iteration" },
    { 0 },
};

LODE_DEFAULTS(eig)

/* ---- what will be done, from shape, type and options alone ---- */

lode_i_eigs_opts lode_i_eig_krylov(const lode_eig_opts *o, int64_t n, int64_t k, lode_dtype dtype,
                                   int64_t nonzeros)
{
    lode_i_eigs_opts e = { .rank = k, .max_iter = o->max_iter, .op = "eig" };
    e.end = lode_i_eig_end(o->which);
    e.block = o->block.given ? o->block.value : 0;
    e.tol = o->tol.given ? o->tol.value : lode_i_is_single(dtype) ? 1e-5 : 1e-10;
    lode_i_eigs_sizes(&e, n, nonzeros);
    return e;
}

lode_i_lobpcg_opts lode_i_eig_lobpcg(const lode_eig_opts *o, int64_t n, int64_t k, lode_dtype dtype)
{
    lode_i_lobpcg_opts l = { .rank = k, .max_iter = o->max_iter, .op = "eig" };
    l.end = lode_i_eig_end(o->which);
    l.block = o->block.given ? o->block.value : 0;
    l.tol = o->tol.given ? o->tol.value : lode_i_is_single(dtype) ? 1e-5 : 1e-10;
    lode_i_lobpcg_sizes(&l, n);
    return l;
}

static bool dense_kind(lode_kind kind)
{
    return kind == LODE_ARRAY || kind == LODE_SOURCE;
}

static lode_eig_method choose(const lode_eig_opts *o, const lode_matrix_info *A, lode_kind B,
                              int64_t k)
{
    const int64_t n = A->rows;
    const bool entries = dense_kind(A->kind) && (B == LODE_NONE || dense_kind(B));
    if (o->method != LODE_EIG_AUTO)
        return o->method;
    if (o->precond)
        return LODE_EIG_LOBPCG;
    if (o->which == LODE_EIG_AROUND || k == n || n <= (entries ? DENSE_UP_TO : SPARSE_UP_TO) ||
        4 * k > n)
        return LODE_EIG_DENSE;
    if (B != LODE_NONE && !entries && o->which != LODE_EIG_MAGNITUDE)
        return LODE_EIG_LOBPCG;
    return B != LODE_NONE && !entries ? LODE_EIG_DENSE : LODE_EIG_KRYLOV;
}

static lode_status check_request(lode_ctx *ctx, const lode_eig_opts *o, const lode_matrix_info *A,
                                 lode_kind B)
{
    lode_status st = LODE_OK;
    const int64_t n = A->rows;
    const bool entries = dense_kind(A->kind) && (B == LODE_NONE || dense_kind(B));
    LODE_REQUIRE(n > 0, LODE_ESHAPE, "eig: A is 0 x 0; it needs a value");
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "eig: a matrix has one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(o->rank.count == 0 || o->rank.value[0] <= n, LODE_ESHAPE,
                 "eig: rank %" PRId64 " > n = %" PRId64 " of A, which is %" PRId64 " x %" PRId64,
                 o->rank.value[0], n, n, n);
    LODE_REQUIRE(o->rank.count > 0 || n <= ALL_UP_TO, LODE_EUSAGE,
                 "eig: A is %" PRId64 " x %" PRId64 " and all %" PRId64
                 " pairs are seldom wanted: give rank R (rank %" PRId64 " for all)",
                 n, n, n, n);
    LODE_REQUIRE(o->which != LODE_EIG_AROUND || o->sigma.given, LODE_EUSAGE,
                 "eig: --which around takes --sigma, the value to be near to");
    LODE_REQUIRE(o->which == LODE_EIG_AROUND || !o->sigma.given, LODE_EUSAGE,
                 "eig: --sigma is for --which around");
    const bool iterates = o->method == LODE_EIG_KRYLOV || o->method == LODE_EIG_LOBPCG;
    LODE_REQUIRE(o->which != LODE_EIG_AROUND || (!iterates && !o->precond), LODE_EUSAGE,
                 "eig: values around a sigma inside the spectrum take --method dense");
    LODE_REQUIRE(o->which != LODE_EIG_MAGNITUDE || (o->method != LODE_EIG_LOBPCG && !o->precond),
                 LODE_EUSAGE,
                 "eig: lobpcg finds one end of the spectrum: take largest, smallest, or "
                 "--method krylov for magnitude");
    LODE_REQUIRE(!o->precond || o->method == LODE_EIG_LOBPCG || o->method == LODE_EIG_AUTO,
                 LODE_EUSAGE, "eig: a preconditioner is for --method lobpcg");
    LODE_REQUIRE(o->method != LODE_EIG_KRYLOV || B == LODE_NONE || entries, LODE_EUSAGE,
                 "eig: krylov takes the Cholesky factor of B, so A and b must be dense: take "
                 "--method lobpcg, which needs none");
    LODE_REQUIRE(!o->precond || (o->precond->ndim == 1 && o->precond->shape[0] == n), LODE_ESHAPE,
                 "eig: precond must have one value for each of the %" PRId64 " rows of A", n);
done:
    return st;
}

lode_dtype lode_i_eig_dtype(lode_value A, lode_value B)
{
    lode_dtype t[2] = { LODE_F32, LODE_F32 };
    int ndim;
    int64_t shape[LODE_MAX_NDIM];
    lode_i_value_shape(A, &t[0], &ndim, shape);
    if (B.kind != LODE_NONE)
        lode_i_value_shape(B, &t[1], &ndim, shape);
    const lode_dtype a = lode_i_arith(t[0]), b = lode_i_arith(t[1]);
    const bool complex_type = lode_i_is_complex(a) || lode_i_is_complex(b);
    const bool single = lode_i_is_single(a) && lode_i_is_single(b);
    return complex_type ? single ? LODE_C64 : LODE_C128 : single ? LODE_F32 : LODE_F64;
}

static uint64_t held(const lode_value v, lode_dtype dtype, int64_t n)
{
    if (v.kind == LODE_SPARSE) /* values of another type */
        return 2 * lode_i_bytes(dtype, lode_sparse_nnz(v.as.sparse), 1) +
               3 * 8 * (uint64_t)(lode_sparse_nnz(v.as.sparse) + n);
    return v.kind == LODE_NONE ? 0 : lode_i_bytes(dtype, n, n);
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_eig_opts *o = lode_call_opts(c);
    lode_matrix_info A = lode_call_matrix(c, 0);
    const lode_value B = c->in[1];
    LODE_FORWARD(check_request(ctx, o, &A, B.kind));
    const int64_t n = A.rows, k = o->rank.count > 0 ? o->rank.value[0] : n;
    const lode_dtype dtype = lode_i_eig_dtype(c->in[0], B);
    const lode_eig_method method = choose(o, &A, B.kind, k);
    const bool general = B.kind != LODE_NONE;
    const uint64_t nn = lode_i_bytes(dtype, n, n);
    const double work = lode_i_is_complex(dtype) ? 4 : 1, cube = pow((double)n, 3) * work;
    p->number[LODE_I_EIG_RANK] = k, p->number[LODE_I_EIG_METHOD] = method;
    p->output = (general ? 2 : 1) * lode_i_bytes(dtype, n, k) +
                4 * lode_i_bytes(LODE_F64, k + 1, 1) +
                (method == LODE_EIG_LOBPCG ? lode_i_bytes(LODE_F64, o->max_iter + 64, 1) : 0) +
                8192;
    p->workspace = lode_i_linop_workspace(ctx, c->in[0], lode_i_max(k, 8)) +
                   (general ? lode_i_linop_workspace(ctx, B, lode_i_max(k, 8)) : 0) +
                   held(c->in[0], dtype, n) + held(B, dtype, n) +
                   6 * lode_i_bytes(dtype, n, k + 8) + (UINT64_C(4) << 20);
    const bool factored = general && method != LODE_EIG_LOBPCG;
    p->workspace += factored ? 5 * nn : 0;
    if (general) { /* its smallest eigenvalue */
        lode_i_eigs_opts e = { .rank = 1, .end = LODE_I_SMALLEST };
        lode_i_eigs_sizes(&e, n, B.kind == LODE_SPARSE ? lode_sparse_nnz(B.as.sparse) : n * n);
        p->workspace += lode_i_eigs_memory(&e, n, dtype) + (n <= DENSE_UP_TO ? 6 * nn : 0);
    }
    if (method == LODE_EIG_DENSE) {
        p->workspace += 9 * nn + lode_i_bytes(LODE_F64, 64, n);
        p->flops = cube * (4.0 / 3 + 4 * (double)k / (double)n + (general ? 3 : 0));
        p->passes = 3;
        snprintf(p->algorithm, sizeof p->algorithm, "%s by LAPACK%s",
                 k == n ? "all pairs" : "pairs", A.kind == LODE_SPARSE ? ", A made dense" : "");
    } else if (method == LODE_EIG_KRYLOV) {
        const lode_i_eigs_opts e = lode_i_eig_krylov(o, n, k, dtype, factored ? n * n : A.nonzeros);
        p->block = e.block;
        p->workspace += lode_i_eigs_memory(&e, n, dtype) +
                        (factored ? lode_i_linop_workspace(ctx, c->in[0], e.block) : 0);
        p->passes = 30 + (double)k;
        p->flops = 2 * work * (double)A.nonzeros * p->passes * (double)e.block;
        snprintf(p->algorithm, sizeof p->algorithm, "%s block Krylov, %" PRId64 " columns a step",
                 e.cheap ? "filtered" : "thick-restart", e.block);
    } else {
        const lode_i_lobpcg_opts l = lode_i_eig_lobpcg(o, n, k, dtype);
        p->block = l.block;
        p->workspace += lode_i_lobpcg_memory(&l, n, dtype, general) +
                        2 * lode_i_linop_workspace(ctx, c->in[0], l.block);
        p->passes = 100;
        p->flops = 2 * work * (double)A.nonzeros * p->passes * (double)l.block;
        snprintf(p->algorithm, sizeof p->algorithm, "lobpcg, %" PRId64 " columns", l.block);
    }
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, dtype), 1);
    return LODE_OK;
}

/* ---- the typed function ---- */

static lode_status certify(lode_ctx *ctx, const lode_eig_opts *o, const lode_i_eig_data *d,
                           const lode_i_eig_pairs *p, lode_certificate *c)
{
    double far = 0;
    *c = (lode_certificate){ .kind = LODE_CERT_GAP,
                             .norm = LODE_NORM_SPECTRAL,
                             .relative = true,
                             .needs_original = o->vectors,
                             .asked = o->tol.given ? o->tol.value : NAN };
    (void)ctx;
    for (int64_t i = 0; i < p->values.shape[0]; i++) {
        c->value = fmax(c->value, lode_i_get1(&p->residual, i));
        far = fmax(far, lode_i_get1(&p->radius, i));
    }
    c->absolute = c->value * d->norm / d->scale;
    snprintf(c->quantity, sizeof c->quantity, "max ||A x - l %sx|| / (||A|| ||x||)",
             d->B.kind == LODE_NONE ? "" : "B ");
    snprintf(c->note, sizeof c->note,
             "bound: an eigenvalue lies within its radius, %.3g at most, of each value", far);
    return LODE_OK;
}

static lode_status give(lode_ctx *ctx, const lode_eig_opts *o, const lode_i_eig_data *d,
                        lode_i_eig_pairs *p, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_array values = { 0 };
    double top = 0;
    for (int64_t i = 0; i < p->values.shape[0]; i++)
        top = fmax(top, fabs(lode_i_get1(&p->values, i)));
    const double limit = lode_i_is_single(d->dtype) ? 3.4028234e38 : 1.7976931e308;
    LODE_REQUIRE(top <= limit * fmin(d->scale, 1), LODE_EDOMAIN,
                 "eig: the largest eigenvalue exceeds the range of %s; scale A",
                 lode_dtype_name(d->dtype));
    LODE_TRY(lode_i_scale(ctx, 1 / d->scale, &p->values));
    LODE_TRY(lode_array_cast(ctx, &p->values, lode_i_real_of(d->dtype), &values));
    LODE_TRY(certify(ctx, o, d, p, &model->certificate));
    LODE_TRY(lode_bundle_add_array(ctx, model, "values", &values));
    if (o->vectors)
        LODE_TRY(lode_bundle_add_array(ctx, model, "vectors", &p->X));
    LODE_TRY(lode_bundle_add_array(ctx, model, "residual", &p->residual));
    LODE_TRY(lode_bundle_add_array(ctx, model, "radius", &p->radius));
    if (p->dual.data && o->vectors)
        LODE_TRY(lode_bundle_add_array(ctx, model, "dual", &p->dual));
    if (d->B.kind != LODE_NONE)
        LODE_TRY(lode_bundle_add_f64(ctx, model, "b_smallest", d->least));
    if (p->trace.data)
        LODE_TRY(lode_bundle_add_array(ctx, model, "trace", &p->trace));
    model->meta.has_shape = true;
    model->meta.dtype = d->dtype, model->meta.ndim = 2;
    model->meta.shape[0] = model->meta.shape[1] = d->n;
done:
    LODE_FREE(&values);
    return st;
}

lode_status lode_eig(lode_ctx *ctx, const lode_eig_opts *o, lode_value A, lode_value B,
                     lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_i_eig_data d = { .A = A, .B = B, .scale = 1, .least = 1 };
    lode_i_eig_pairs p = { 0 };
    lode_bundle made = { 0 };
    lode_plan plan_ = { 0 };

    LODE_ENTER(&lode_op_eig, o, &plan_, A, B);
    const int64_t k = plan_.number[LODE_I_EIG_RANK];
    const lode_eig_method method = (lode_eig_method)plan_.number[LODE_I_EIG_METHOD];
    lode_i_stage(ctx, "reading", 0, 0.05);
    LODE_TRY(lode_i_eig_read(ctx, o, method, &d));
    lode_i_stage(ctx, "eigenpairs", 0.05, 0.97);
    LODE_TRY(lode_i_eig_solve(ctx, o, method, k, &d, &p));
    lode_i_stage(ctx, "certificate", 0.97, 1);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    if (B.kind != LODE_NONE)
        LODE_TRY(d.Bop->apply(ctx, d.Bop, false, &p.X, &p.dual));
    LODE_TRY(lode_i_canonical_signs(ctx, &p.X, p.dual.data ? &p.dual : NULL));
    LODE_TRY(lode_i_eig_residuals(ctx, d.Aop, d.norm, d.least, &p));
    LODE_TRY(lode_i_scale(ctx, 1 / d.scale, &p.radius));
    LODE_TRY(give(ctx, o, &d, &p, &made));
    lode_bundle_swap(model, &made);
done:
    LODE_LEAVE();
    lode_i_eig_free(&d);
    lode_i_eig_pairs_free(&p);
    lode_bundle_free(&made);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_eig(ctx, lode_call_opts(c), c->in[0], c->in[1], result);
}

const lode_op lode_op_eig = {
    .name = "eig",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "eigenvalues and vectors of symmetric matrices, dense or sparse",
    .doi = "10.1137/S0895479898334605 10.1137/110836535 10.1137/17M1129830",
    .example = "lode eig S.npy --rank 6 --which smallest -o modes.lode",
    .words = "eigenvalue eigenvector symmetric hermitian generalized lanczos krylov lobpcg "
             "chebyshev spectrum modes vibration laplacian spectral",
    .params = params,
    .opts_size = sizeof(lode_eig_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_GAP,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_eig_apply,
    .invert = lode_i_eig_invert,
    .verify = lode_i_eig_verify,
    .plot = lode_i_eig_plot,
};
