/* rescal: relations among the same things, X_k ~ A R_k A' for k = 1 .. m, and how many components they have.
 *
 * Nonnegative: A *= (sum X_k A R_k' + X_k' A R_k) / (A sum (R_k A'A R_k' + R_k' A'A R_k)) and
 * R_k *= A' X_k A / (A'A R_k A'A). Unconstrained: A = (sum X_k A R_k' + X_k' A R_k) (sum R_k A'A R_k' +
 * R_k' A'A R_k + l2)^-1, and R_k by least squares in the eigenvectors of A'A. The rank: each candidate is
 * fitted to an ensemble of copies of X with multiplicative noise, the columns of all fits are clustered, one
 * of each fit in a cluster, and silhouettes tell whether they agree.
 *
 * Source: Truong et al., Determination of Latent Dimensionality in
 * International Trade Flow, Mach. Learn.: Sci. Technol. 1 (2020), doi:10.1088/2632-2153/aba9ee (ensemble and
 * silhouettes); Nickel, Tresp & Kriegel, ICML 2011 (RESCAL by alternating least squares). Departures: a step
 * of A that would raise the objective is halved until it does not (both are scaled gradients, no bound holds
 * for them); steps go beyond by what the last one did, where that lowers it; several updates of the cores a
 * step, their cost being small; fits are matched to centres by the best assignment; columns of
 * unconstrained models are made unique as orthonormal ones that diagonalize sum R_k R_k' + R_k' R_k. Claim
 * tested: the rank and the columns of planted relations. */
#include <math.h>

#include "ops/tensor/rescal.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_rescal_opts, rank), .def_text = "auto", .min = 1, .max = 1e5,
      .help = "components: R, or auto (nonnegative: by how far fits to perturbed copies agree)" },
    { LODE_PARAM(lode_rescal_opts, rank_range), .min = 1, .max = 1e5,
      .help = "candidates of auto, FIRST,LAST; none: 1 to 8" },
    { LODE_PARAM(lode_rescal_opts, axis), .min = 0, .max = 2,
      .help = "axis that counts relations; auto: the one that two equal axes leave" },
    { LODE_PARAM(lode_rescal_opts, nonneg), .def = LODE_RESCAL_AUTO, .choices = "auto|true|false",
      .help = "A and R >= 0; auto: where the data are" },
    { LODE_PARAM(lode_rescal_opts, l2), .def = 0, .min = 0, .max = 1e12,
      .help = "penalty l2 times the squares of A and R, beside the squares of the residual" },
    { LODE_PARAM(lode_rescal_opts, init), .def = LODE_RESCAL_START_AUTO,
      .choices = "auto|random|svd",
      .help = "start; svd: leading subspace of the sum of relations; auto: unconstrained svd" },
    { LODE_PARAM(lode_rescal_opts, restarts), .def = 1, .min = 1, .max = 10000,
      .help = "starts, of which the best end is kept; where no ensemble is asked for" },
    { LODE_PARAM(lode_rescal_opts, ensemble), .min = 1, .max = 10000,
      .help = "fits to perturbed copies, for each rank; auto: 10 for rank auto, else none" },
    { LODE_PARAM(lode_rescal_opts, perturb), .def = 0.03, .min = 0, .max = 1,
      .help = "size of their noise: values times 1 + u, u uniform within it" },
    { LODE_PARAM(lode_rescal_opts, accelerate), .def = 1,
      .help = "extrapolate between steps; the objective never rises" },
    { LODE_PARAM(lode_rescal_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_rescal_opts, mask), .help = LODE_HELP_MASK },
    { LODE_PARAM(lode_rescal_opts, tol), .def = 1e-6, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the error, three times in a row" },
    { LODE_PARAM(lode_rescal_opts, max_iter), .def = 2000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "n,n,m|m,n,n|n,m,n", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE),
      .types = LODE_REAL_NUMBERS, .help = "m relations among n things" },
    { 0 },
};
static const lode_port out[] = {
    { "a", "n,k", .types = LODE_REALS,
      .help = "things in components, columns of length 1; unconstrained: orthonormal" },
    { "r", "m,k,k", .types = LODE_REALS, .help = "how components relate, in each relation" },
    { "energy", "k", .types = LODE_REALS,
      .help =
          "of each component, descending: root of half the squares of its rows and columns in r" },
    { "trace", "t", .types = LODE_REALS,
      .help = "relative error: 1 of nothing, at the start, after each step; of an ensemble 1 and "
              "the end" },
    { "values", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "values fitted" },
    { "rank", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "components" },
    { "ranks", "ranks", .optional = true, .help = "ensemble: the ranks tried" },
    { "errors", "ranks", .optional = true,
      .help = "ensemble: relative error of the columns that each rank's fits agree on" },
    { "silhouette_min", "ranks", .optional = true,
      .help = "ensemble: mean silhouette of the worst cluster of columns" },
    { "silhouette_mean", "ranks", .optional = true, .help = "ensemble: of all columns" },
    { "reason", NULL, .kinds = LODE_KIND_BIT(LODE_TEXT), .optional = true,
      .help = "ensemble: why this rank" },
    { 0 },
};

LODE_DEFAULTS(rescal)

/* ---- plan ---- */

static uint64_t masked_bytes(const lode_dense_info *X)
{
    return 4 * lode_i_bytes(X->dtype, X->size, 1); /* own values, known, mask, both in a copy */
}

static uint64_t workspace(const lode_ctx *ctx, const lode_rescal_opts *o, const lode_dense_info *X,
                          int64_t n, int64_t m, int64_t first, int64_t last, int64_t nonzeros)
{
    const bool dense = X->kind != LODE_SPARSE;
    const int64_t runs = lode_i_rescal_runs(o), k = last;
    const bool several = o->rank.count == 0 || runs > 1;
    const lode_dtype t = dense ? X->dtype : LODE_F64;
    const uint64_t data = dense ? lode_i_bytes(t, X->size, 1)
                                : lode_i_bytes(LODE_F64, nonzeros, 3) +
                                      lode_i_bytes(LODE_F64, n + 24, m);
    const uint64_t fit = lode_i_relations_room(ctx, t, n, m, k, dense, true) +
                         16 * lode_i_bytes(t, n, k) + 8 * lode_i_bytes(LODE_F64, m * k, k) +
                         12 * lode_i_bytes(LODE_F64, k + 8, k + 8) +
                         4 * lode_i_bytes(LODE_F64, o->max_iter + 16, 1) + 65536;
    const double size = (double)n * (double)n * (double)m;
    const int64_t beside = several && size <= RESCAL_SMALL ? lode_i_min(lode_ctx_threads(ctx), runs)
                                                           : 1;
    const uint64_t copy = dense ? data : lode_i_bytes(LODE_F64, nonzeros, 1) + 512 * (uint64_t)m;
    uint64_t bytes = (dense ? 3 : 4) * data + (uint64_t)beside * (fit + (several ? copy : 0));
    if (several)
        bytes += lode_i_bytes(LODE_F64, n, (last - first + 1) * k + 6 * runs * k) +
                 lode_i_bytes(LODE_F64, runs * k + 64, 2 * runs * k) + lode_i_bytes(t, n, 4 * k);
    if (o->mask || o->missing.kind == LODE_MISSING_VALUE)
        bytes += masked_bytes(X);
    return bytes + (UINT64_C(5) << 20);
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_rescal_opts *o = lode_call_opts(c);
    lode_dense_info X = lode_call_dense(c, 0);
    int64_t first = 1, last = 1, nonzeros = 0;
    int axis;
    LODE_FORWARD(lode_i_rescal_axis(ctx, o, X.shape, &axis));
    const int64_t n = X.shape[axis == 0], m = X.shape[axis];
    if (n == 0 || m == 0)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "rescal: X is %" PRId64 " x %" PRId64 " x %" PRId64 "; it needs a value",
                           X.shape[0], X.shape[1], X.shape[2]);
    if (o->rank.count > 1)
        return lode_i_fail(ctx, LODE_EPARAM, "rescal: one rank serves all modes, not %d",
                           (int)o->rank.count);
    if (!lode_i_rescal_range(o, n, &first, &last))
        return o->rank.count == 1
                   ? lode_i_fail(ctx, LODE_EPARAM,
                                 "rescal: rank %" PRId64 " is above %" PRId64
                                 ", the number of things that X relates",
                                 o->rank.value[0], n)
                   : lode_i_fail(ctx, LODE_EPARAM,
                                 "rescal: option rank-range must be FIRST,LAST with 1 <= FIRST <= "
                                 "LAST <= %" PRId64 ", the number of things that X relates",
                                 n);
    const int64_t runs = lode_i_rescal_runs(o);
    if (X.kind == LODE_SPARSE)
        nonzeros = lode_sparse_nnz(c->in[0].as.sparse);
    else if (!lode_i_mul(n * n, m, &X.size))
        X.size = INT64_MAX / 64;
    p->workspace = workspace(ctx, o, &X, n, m, first, last, nonzeros);
    p->output = lode_i_bytes(LODE_F64, n + 2, last) + lode_i_bytes(LODE_F64, m * last, last) +
                lode_i_bytes(LODE_F64, o->max_iter + 8, 1) +
                lode_i_bytes(LODE_F64, last - first + 8, 5) + 16384;
    p->resident = X.kind == LODE_SOURCE ? lode_i_bytes(X.stored, X.size, 1) : 0;
    p->passes = X.kind == LODE_SOURCE ? 1 : 200.0 * (double)runs * (double)(last - first + 1);
    p->flops = 200.0 * 4 * (double)runs * (double)(last - first + 1) * (double)last *
               (X.kind == LODE_SPARSE ? (double)nonzeros : (double)n * (double)n * (double)m);
    p->seconds = p->flops / lode_i_gemm_rate(ctx, X.dtype);
    p->number[0] = first, p->number[1] = last;
    snprintf(p->algorithm, sizeof p->algorithm, "%s%s",
             o->nonneg == LODE_RESCAL_ANY ? "alternating least squares" : "multiplicative updates",
             o->rank.count == 0 ? ", ensembles"
             : runs > 1         ? ", an ensemble"
                                : "");
    return LODE_OK;
}

/* ---- the typed function ---- */

typedef struct call_state {
    lode_plan *plan;
    const lode_dense_info *X;
} call_state;

/* Values are missing: known now. */
static lode_status more_memory(lode_ctx *ctx, void *state)
{
    call_state *s = state;
    s->plan->workspace += masked_bytes(s->X);
    return lode_i_refine(ctx, &lode_op_rescal, s->plan);
}

static lode_status best_of(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                           rescal_fit *best)
{
    lode_status st = LODE_OK;
    rescal_fit one = { 0 };
    for (int64_t t = 0; t < o->restarts; t++) {
        LODE_TRY(lode_i_tick(ctx, t, o->restarts));
        lode_i_nest(ctx);
        st = lode_i_rescal_fit_to(ctx, o, d, &d->x, o->rank.value[0], (uint64_t)t, "rescal", &one);
        lode_i_unnest(ctx);
        LODE_TRY(st);
        if (t == 0 || one.objective < best->objective) {
            const rescal_fit better = one;
            one = *best, *best = better;
        }
    }
done:
    lode_i_rescal_fit_free(&one);
    return st;
}

static lode_status add_table(lode_ctx *ctx, rescal_ranks *r, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array ranks = { 0 };
    LODE_TRY(lode_array_new(ctx, LODE_I64, 1, &r->count, &ranks));
    for (int64_t i = 0; i < r->count; i++)
        lode_i_set1(&ranks, i, (double)(r->first + i));
    LODE_TRY(lode_bundle_add_array(ctx, b, "ranks", &ranks));
    LODE_TRY(lode_bundle_add_array(ctx, b, "errors", &r->error));
    LODE_TRY(lode_bundle_add_array(ctx, b, "silhouette_min", &r->least));
    LODE_TRY(lode_bundle_add_array(ctx, b, "silhouette_mean", &r->mean));
    LODE_TRY(lode_bundle_add_text(ctx, b, "reason", r->reason));
done:
    LODE_FREE(&ranks);
    return st;
}

static lode_status pack(lode_ctx *ctx, const lode_rescal_opts *o, const rescal_data *d,
                        rescal_ranks *r, rescal_fit *f, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array energy = { 0 }, R = { 0 };
    double sumsq;
    const int64_t k = f->A.shape[1];
    const bool some = d->x.known.data != NULL;
    LODE_TRY(lode_i_rescal_canonical(ctx, d->nonneg, &f->A, &f->R, &energy));
    LODE_TRY(lode_array_cast(ctx, &f->R, d->dtype, &R));
    LODE_TRY(lode_i_rescal_residual(ctx, d, &f->A, &R, &sumsq));
    b->certificate = lode_i_squares_certificate(
        sqrt(sumsq) * d->unit, sqrt(d->x.sumsq) * d->unit, (double)NAN,
        some ? "||X_k - A R_k A'||, observed values" : "||X_k - A R_k A'||, all k");
    b->certificate.absolute = d->x.sumsq > 0 ? b->certificate.absolute : 0;
    b->certificate.needs_original = true;
    snprintf(b->certificate.note, sizeof b->certificate.note, "rank %" PRId64 " %s; %s, %s", k,
             o->rank.count > 0 ? "given" : "chosen", d->nonneg ? "nonnegative" : "unconstrained",
             d->x.X.data ? "the residual itself" : "from norms: rounding below 1e-7");
    lode_i_set1(&f->errors, f->errors.shape[0] - 1, b->certificate.value);
    LODE_TRY(lode_i_scale(ctx, d->unit, &R));
    LODE_TRY(lode_i_require_finite(ctx, &R, "r"));
    LODE_FREE(&energy);
    LODE_TRY(lode_i_rescal_energy(ctx, &R, &energy));
    b->meta.has_shape = true, b->meta.dtype = d->dtype, b->meta.ndim = 3;
    for (int i = 0; i < 3; i++)
        b->meta.shape[i] = d->shape[i];
    LODE_TRY(lode_bundle_add_array(ctx, b, "a", &f->A));
    LODE_TRY(lode_bundle_add_array(ctx, b, "r", &R));
    LODE_TRY(lode_bundle_add_array(ctx, b, "energy", &energy));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &f->errors));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "values", d->known));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "rank", k));
    if (r->count > 0)
        LODE_TRY(add_table(ctx, r, b));
    if (!f->settled)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "rescal: %" PRId64
                         " iterations did not settle the relative error to %g; raise --max-iter or "
                         "--tol",
                         f->steps, o->tol);
done:
    LODE_FREE(&energy, &R);
    return st;
}

lode_status lode_rescal(lode_ctx *ctx, const lode_rescal_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    rescal_data d = { 0 };
    rescal_fit f = { 0 };
    rescal_ranks r = { 0 };
    lode_bundle local = { 0 };
    LODE_ENTER(&lode_op_rescal, o, &p, X);
    const lode_call call = { .op = &lode_op_rescal, .in = { X } };
    const lode_dense_info info = lode_call_dense(&call, 0);
    call_state state = { &p, &info };
    lode_i_stage(ctx, "reading", 0, 0.05);
    LODE_TRY(lode_i_rescal_open(ctx, o, X, more_memory, &state, &d));
    if (!d.nonneg && o->nonneg == LODE_RESCAL_AUTO) { /* told by the values */
        snprintf(p.algorithm, sizeof p.algorithm, "alternating least squares");
        LODE_TRY(lode_i_refine(ctx, &lode_op_rescal, &p));
    }
    lode_i_stage(ctx, o->rank.count == 0 ? "ranks" : "factors", 0.05, 0.97);
    if (o->rank.count == 0 || lode_i_rescal_runs(o) > 1) {
        LODE_REQUIRE(d.nonneg, LODE_EUSAGE,
                     "rescal: fits without --nonneg agree at every rank, so %s; give --rank%s",
                     o->rank.count == 0 ? "none is told by that" : "an ensemble says nothing",
                     o->rank.count == 0 ? "" : " alone");
        LODE_TRY(lode_i_rescal_ensemble(ctx, o, &d, &r, &f));
    } else {
        LODE_TRY(best_of(ctx, o, &d, &f));
    }
    lode_i_stage(ctx, "error", 0.97, 1);
    LODE_TRY(pack(ctx, o, &d, &r, &f, &local));
    lode_bundle_swap(model, &local);
done:
    lode_i_rescal_close(&d);
    lode_i_rescal_fit_free(&f);
    lode_i_rescal_ranks_free(&r);
    LODE_FREE(&local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_rescal(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_rescal = {
    .name = "rescal",
    .family = "tensor",
    .job = LODE_EXPLAIN,
    .brief = "relations among the same things, A R_k A', and how many components they have",
    .doi = "10.1088/2632-2153/aba9ee",
    .example = "lode rescal T.npy --rank 3 --tol 1e-4 -o rescal.lode",
    .words = "relational learning knowledge graph network trade flows multigraph adjacency "
             "nonnegative latent communities dedicom rank silhouette ensemble stability rescalk",
    .params = params,
    .opts_size = sizeof(lode_rescal_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_rescal_apply,
    .invert = lode_i_rescal_invert,
    .verify = lode_i_rescal_verify,
    .plot = lode_i_rescal_plot,
};
