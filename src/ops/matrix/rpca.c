/* rpca: robust principal components, X = L + S (+ N): L of low rank, S of few entries however large, N noise.
 *
 * pcp: minimizes |L|_* + lambda |S|_1 subject to L + S = X over the observed entries, lambda = 1 / sqrt(max(m, n))
 * where all are; with noise sigma |X - L - S|^2 / (2 nu) besides, nu = sigma sqrt(2 max(m, n)). Alternating
 * directions on the augmented Lagrangian; the dual matrix bounds how far the objective is from its least.
 * altproj: entries off by more than a threshold are outliers, the rest is cut to the rank in the tangent space at
 * the present L; the threshold falls geometrically.
 *
 * Source: Candes, Li, Ma & Wright 2011, doi:10.1145/1970392.1970395 (pcp, Theorems 1.1 and 1.2); Lin, Chen & Ma
 * 2010, doi:10.48550/arXiv.1009.5055, Algorithm 5 (inexact augmented Lagrangian, rank predicted); Zhou, Li, Wright,
 * Candes & Ma 2010, doi:10.48550/arXiv.1001.2363 (noise); Cai, Cai & Wei, JMLR 20 (2019) 20,
 * doi:10.48550/arXiv.1711.05519, Algorithms 1 and 2 (altproj). Departures: mu does not grow without end, which
 * leaves a point that need not be the least, but follows the larger of the primal and the dual residual;
 * singular values come from subspace iteration begun at the last basis, as exact as the residual asks for; S and N
 * are one block, whose proximal map is closed, so that the iteration has two blocks and converges; altproj's
 * trimming of rows to an incoherence that is not known is left out, its threshold has the constants for that case,
 * missing entries are filled by L, and with noise the threshold stays above 4 sigma. Claim tested: exact recovery. */
#include <math.h>

#include "linop/linop.h"
#include "ops/matrix/rpca.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_rpca_opts, method), .def = LODE_RPCA_PCP, .choices = "pcp|altproj",
      .help = "principal component pursuit, or alternating projections to a rank" },
    { LODE_PARAM(lode_rpca_opts, rank), .def_text = "auto", .min = 1, .max = 1e6,
      .help = "rank of altproj; auto: by the largest fall of a rough pursuit's singular values" },
    { LODE_PARAM(lode_rpca_opts, max_rank), .min = 1, .max = 1e6,
      .help = "largest rank, which bounds the memory; auto: none" },
    { LODE_PARAM(lode_rpca_opts, sparsity), .min = 1e-12, .max = 1e12,
      .help = "weight of the outliers' sum in pcp; auto: 1 over the root of the longer side" },
    { LODE_PARAM(lode_rpca_opts, noise), .def_text = "0", .min = 0, .max = 1e300,
      .help = "standard deviation of noise in every entry; auto: estimated" },
    { LODE_PARAM(lode_rpca_opts, decay), .min = 0.1, .max = 0.99,
      .help = "altproj: factor of the threshold in an iteration; auto: 0.6" },
    { LODE_PARAM(lode_rpca_opts, dual), .def = 0,
      .help = "pcp: keep the dual matrix, so that verify proves the gap again" },
    { LODE_PARAM(lode_rpca_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_rpca_opts, mask), .help = LODE_HELP_MASK },
    { LODE_PARAM(lode_rpca_opts, tol), .min = 1e-16, .max = 1,
      .help = LODE_HELP_TOL ": residual over the norm of X; auto: 1e-7, f32 1e-5" },
    { LODE_PARAM(lode_rpca_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,n", .kinds = LODE_DENSE, .types = LODE_REAL_NUMBERS,
      .help = "data, a row an observation; gross errors and missing values anywhere" },
    { 0 },
};
static const lode_port out[] = {
    { "U", "m,k", .help = "left singular vectors of the part of low rank" },
    { "s", "k", .help = "its singular values, descending" },
    { "V", "n,k", .help = "its right singular vectors" },
    { "sparse", "m,n", .kinds = LODE_KIND_BIT(LODE_SPARSE),
      .help = "the outliers, CSR; `lode invert --part low` (or sparse) gives one term dense" },
    { "trace", "steps", .help = "residual over the norm of X after each iteration, from 1" },
    { "observed", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "entries observed" },
    { "noise", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "deviation of the noise used" },
    { "sparsity", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "pcp: weight of the outliers" },
    { "objective", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "pcp: what is minimized" },
    { "gap", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "pcp: how far above the least that is at most, relative" },
    { "dual", "m,n", .optional = true, .help = "the matrix that proves it" },
    { "threshold", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "altproj: outliers are off by more" },
    { 0 },
};

LODE_DEFAULTS(rpca)

/* ---- plan ---- */

static lode_status check_request(lode_ctx *ctx, const lode_rpca_opts *o, const lode_matrix_info *X)
{
    lode_status st = LODE_OK;
    const int64_t side = lode_i_min(X->rows, X->cols);
    const bool pcp = o->method == LODE_RPCA_PCP;
    LODE_REQUIRE(side > 0, LODE_ESHAPE, "rpca: X is %" PRId64 " x %" PRId64 "; it needs a value",
                 X->rows, X->cols);
    LODE_REQUIRE(o->rank.count <= 1, LODE_EPARAM, "rpca: a matrix has one rank, not %d",
                 (int)o->rank.count);
    LODE_REQUIRE(o->rank.count == 0 || o->rank.value[0] <= side, LODE_EPARAM,
                 "rpca: rank %" PRId64 " is above min(m, n) = %" PRId64 " of X", o->rank.value[0],
                 side);
    LODE_REQUIRE(!pcp || o->rank.count == 0, LODE_EUSAGE,
                 "rpca: the rank follows from pcp; give --method altproj with --rank, or "
                 "--max-rank");
    LODE_REQUIRE(!pcp || !o->decay.given, LODE_EUSAGE, "rpca: --decay is of --method altproj");
    LODE_REQUIRE(pcp || !o->sparsity.given, LODE_EUSAGE, "rpca: --sparsity is of --method pcp");
    LODE_REQUIRE(pcp || !o->dual, LODE_EUSAGE, "rpca: only pcp has a dual matrix");
done:
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_rpca_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0);
    LODE_FORWARD(check_request(ctx, o, &X));
    const int64_t m = X.rows, n = X.cols, side = lode_i_min(m, n);
    const bool pcp = o->method == LODE_RPCA_PCP, rough = !pcp && o->rank.count == 0;
    int64_t most = o->max_rank.given ? lode_i_min(o->max_rank.value, side) : side;
    if (o->rank.count > 0)
        most = o->rank.value[0];
    const uint64_t mn = lode_i_bytes(X.dtype, m, n);
    const lode_svds_opts top = { .rank = 1, .op = "rpca" };
    lode_svds_opts sized = top;
    lode_i_svds_sizes(&sized, m, n, false);
    p->number[0] = most;
    p->resident = c->in[0].kind == LODE_SOURCE ? mn : 0;
    p->output = lode_i_bytes(X.dtype, m + n + 1, most) + mn + lode_i_bytes(LODE_I64, m, n + 1) +
                lode_i_bytes(LODE_F64, o->max_iter + 8, 1) + (o->dual ? mn : 0) + 16384;
    p->workspace = (pcp || rough ? 4 : 3) * mn +
                   lode_i_shrink_memory(X.dtype, m, n, rough ? side : most) +
                   2 * lode_i_bytes(X.dtype, m + n, most) + lode_i_bytes(LODE_F64, 1 << 17, 3) +
                   (pcp ? 0
                        : 8 * lode_i_bytes(X.dtype, m + n, most) +
                              32 * lode_i_bytes(X.dtype, most, most)) +
                   lode_i_svds_memory(ctx, &sized, c->in[0]) + (o->mask ? 2 * mn : 0) +
                   lode_i_bytes(LODE_F64, o->max_iter + 64, 6) +
                   (uint64_t)lode_ctx_threads(ctx) * lode_i_bytes(LODE_F64, n + (1 << 15), 1) +
                   lode_i_bytes(LODE_F64, m, 4) + (UINT64_C(1) << 20);
    p->passes = 1;
    p->flops = 40 * 6 * (double)m * (double)n * (double)lode_i_min(most, side / 10 + 8);
    p->seconds = p->flops / fmax(lode_i_gemm_rate(ctx, X.dtype), 1);
    snprintf(p->algorithm, sizeof p->algorithm, "%s",
             pcp ? "principal component pursuit" : "accelerated alternating projections");
    return LODE_OK;
}

/* ---- result ---- */

static lode_i_robust_rule rule_of(const lode_i_rpca_fit *f)
{
    return (lode_i_robust_rule){ .lambda = f->lambda, .nu = f->nu, .mu = 1, .next = 1 };
}

/* A power of 2 back, in two steps: 2^1024 is no double. */
static lode_status unscale(lode_ctx *ctx, const lode_i_rpca_data *d, lode_array *a)
{
    LODE_FORWARD(lode_i_scale(ctx, ldexp(1, d->exponent / 2), a));
    return lode_i_scale(ctx, ldexp(1, d->exponent - d->exponent / 2), a);
}

static lode_status measure(lode_ctx *ctx, lode_i_rpca_fit *f, bool pcp, const lode_sparse *S,
                           lode_i_rpca_optimum *found, lode_bundle *b)
{
    lode_status st = LODE_OK;
    const lode_i_rpca_data *d = f->d;
    const lode_i_robust x = { &d->X, &f->left, &f->V };
    const lode_i_robust_rule rule = rule_of(f);
    lode_i_robust_sums sums;
    LODE_TRY(lode_i_robust_measure(ctx, &x, S, &rule, &sums));
    if (pcp)
        LODE_TRY(
            lode_i_rpca_certify(ctx, d, &rule, &f->s, f->Y.data ? &f->Y : NULL, sums.b, found));
    lode_certificate cert = { .kind = LODE_CERT_MEASURED,
                              .norm = LODE_NORM_FRO,
                              .relative = true,
                              .needs_original = true,
                              .value = d->norm > 0 ? sqrt(sums.a) / d->norm : 0,
                              .absolute = ldexp(sqrt(sums.a), d->exponent),
                              .asked = NAN };
    snprintf(cert.quantity, sizeof cert.quantity, "||X - L - S||%s",
             d->share < 1 ? ", observed values" : "");
    if (pcp)
        snprintf(cert.note, sizeof cert.note,
                 "bound: |L|_* + %.3g |S|_1 is within a share %.2g of its least", f->lambda,
                 found->gap);
    b->certificate = cert;
done:
    return st;
}

static lode_status add_numbers(lode_ctx *ctx, lode_i_rpca_fit *f, bool pcp,
                               const lode_i_rpca_optimum *found, lode_bundle *b)
{
    const lode_i_rpca_data *d = f->d;
    LODE_FORWARD(lode_bundle_add_i64(ctx, b, "observed", d->observed));
    LODE_FORWARD(lode_bundle_add_f64(ctx, b, "noise", ldexp(f->sigma, d->exponent)));
    if (!pcp)
        return lode_bundle_add_f64(ctx, b, "threshold", ldexp(f->zeta, d->exponent));
    LODE_FORWARD(lode_bundle_add_f64(ctx, b, "sparsity", f->lambda));
    LODE_FORWARD(lode_bundle_add_f64(ctx, b, "objective", ldexp(found->objective, d->exponent)));
    LODE_FORWARD(lode_bundle_add_f64(ctx, b, "gap", found->gap));
    if (f->o->dual && f->Y.data)
        return lode_bundle_add_array(ctx, b, "dual", &f->Y);
    return LODE_OK;
}

static lode_status trace_of(lode_ctx *ctx, const lode_i_rpca_fit *f, lode_array *trace)
{
    const int64_t n = f->trace.data ? f->trace.shape[0] : 0, size = n + 1;
    LODE_FORWARD(lode_array_zeros(ctx, LODE_F64, 1, &size, trace));
    lode_i_set1(trace, 0, 1);
    for (int64_t i = 0; i < n; i++)
        lode_i_set1(trace, i + 1, lode_i_get1(&f->trace, i));
    return LODE_OK;
}

static lode_status give(lode_ctx *ctx, lode_i_rpca_fit *f, lode_bundle *b)
{
    lode_status st = LODE_OK;
    const lode_i_rpca_data *d = f->d;
    const bool pcp = f->o->method == LODE_RPCA_PCP;
    lode_sparse S = { .layout = LODE_CSR };
    lode_i_rpca_optimum found = { 0 };
    lode_array trace = { 0 };
    LODE_TRY(lode_i_canonical_signs(ctx, &f->U, &f->V));
    LODE_TRY(lode_i_rpca_left(ctx, f));
    const lode_i_robust x = { &d->X, &f->left, &f->V };
    const lode_i_robust_rule rule = rule_of(f);
    LODE_TRY(lode_i_robust_outliers(ctx, &x, &rule, pcp && f->Y.data ? &f->Y : NULL,
                                    pcp ? INFINITY : f->zeta, &f->W));
    LODE_TRY(lode_i_robust_compress(ctx, &f->W, &S));
    LODE_FREE(&f->W);
    LODE_TRY(measure(ctx, f, pcp, &S, &found, b));
    LODE_TRY(unscale(ctx, d, &f->s));
    LODE_TRY(unscale(ctx, d, &S.values));
    LODE_REQUIRE(f->s.shape[0] == 0 || isfinite(lode_i_get1(&f->s, 0)), LODE_EDOMAIN,
                 "rpca: the largest singular value exceeds the range of %s; scale X",
                 lode_dtype_name(d->dtype));
    LODE_TRY(trace_of(ctx, f, &trace));
    LODE_TRY(lode_bundle_add_array(ctx, b, "U", &f->U));
    LODE_TRY(lode_bundle_add_array(ctx, b, "s", &f->s));
    LODE_TRY(lode_bundle_add_array(ctx, b, "V", &f->V));
    LODE_TRY(lode_bundle_add_sparse(ctx, b, "sparse", &S));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &trace));
    LODE_TRY(add_numbers(ctx, f, pcp, &found, b));
    b->meta.has_shape = true;
    b->meta.dtype = d->dtype, b->meta.ndim = 2;
    b->meta.shape[0] = d->m, b->meta.shape[1] = d->n;
done:
    LODE_FREE(&S, &trace);
    return st;
}

/* Of zeros alone. */
static lode_status nothing(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    const lode_i_rpca_data *d = f->d;
    LODE_FORWARD(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->m, 0 }, &f->U));
    LODE_FORWARD(lode_array_zeros(ctx, d->dtype, 1, (const int64_t[]){ 0 }, &f->s));
    LODE_FORWARD(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->n, 0 }, &f->V));
    LODE_FORWARD(lode_array_zeros(ctx, d->dtype, 2, d->X.shape, &f->W));
    return lode_array_zeros(ctx, d->dtype, 2, d->X.shape, &f->Y);
}

static lode_status fit(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    const lode_rpca_opts *o = f->o;
    const lode_i_rpca_data *d = f->d;
    const double share = d->share * (double)lode_i_max(d->m, d->n);
    f->lambda = d->overlooked       ? 1e30 /* no entry is worth it */
                : o->sparsity.given ? o->sparsity.value
                                    : 1 / sqrt(share);
    f->tol = o->tol.given ? o->tol.value : lode_i_is_single(d->dtype) ? 1e-5 : 1e-7;
    f->basis = (lode_i_shrink){ .most = f->most, .op = "rpca" };
    if (o->noise.given)
        lode_i_rpca_noise(f, ldexp(o->noise.value, -d->exponent));
    if (!(d->norm > 0))
        return nothing(ctx, f);
    if (o->method == LODE_RPCA_PCP)
        return lode_i_rpca_pursue(ctx, f);
    return lode_i_rpca_project(ctx, f, o->rank.count > 0 ? o->rank.value[0] : 0);
}

lode_status lode_rpca(lode_ctx *ctx, const lode_rpca_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_i_rpca_data d = { 0 };
    lode_i_rpca_fit f = { .o = o, .d = &d };
    lode_bundle made = { 0 };

    LODE_ENTER(&lode_op_rpca, o, &p, X);
    f.most = p.number[0];
    d.overlooked = lode_i_broken(ctx, "rpca-recovery");
    lode_i_stage(ctx, "reading", 0, 0.05);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(lode_i_rpca_read(ctx, X, &o->missing, o->mask, &d));
    LODE_TRY(fit(ctx, &f));
    lode_i_stage(ctx, "certificate", 0.95, 1);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(give(ctx, &f, &made));
    lode_bundle_swap(model, &made);
done:
    lode_i_rpca_fit_free(&f);
    lode_i_rpca_data_free(&d);
    LODE_FREE(&made);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_rpca(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_rpca = {
    .name = "rpca",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "low rank plus outliers: robust principal components",
    .doi = "10.1145/1970392.1970395 10.48550/arXiv.1009.5055 10.48550/arXiv.1001.2363 "
           "10.48550/arXiv.1711.05519",
    .example = "lode rpca outliers.npy -o parts.lode",
    .words = "robust pca principal component pursuit low rank sparse decomposition outliers gross "
             "errors corruption background subtraction foreground video anomaly detection "
             "alternating projections missing",
    .params = params,
    .opts_size = sizeof(lode_rpca_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_rpca_apply,
    .invert = lode_i_rpca_invert,
    .components = "low|sparse",
    .verify = lode_i_rpca_verify,
    .plot = lode_i_rpca_plot,
};
