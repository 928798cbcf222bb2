/* funtucker: Tucker model of values at continuous indexes, f(t_1, .., t_d) = W x_1 u_1(t_1) x_2 .. x_d u_d(t_d),
 * with the posterior of all of it.
 *
 * The r_k functions of mode k are independent Gaussian processes with a Matern covariance, that is solutions of
 * linear stochastic differential equations; W has independent N(0, 1) entries, the noise precision
 * tau ~ Gamma. An observation y = f + noise sends each of them the message that it would give if the others were
 * what they are believed to be, in moments: to u_k at its index exp(h'u - u'L u / 2) with L = E tau E a a',
 * h = E tau y E a, a = W x_j u_j over the other modes, to W the same with a = the product of all u_j, to
 * tau Gamma(1/2, E (y - f)^2 / 2). Messages at one index are added up, and a Kalman filter and a
 * Rauch-Tung-Striebel smoother over the distinct indexes of a mode give its functions: a sweep takes time
 * linear in the observations.
 *
 * Source: Fang, Wang, Wang, Li, Kirby & Zhe, Functional Bayesian Tucker Decomposition for Continuous-indexed Tensor
 * Data, ICLR 2024, arXiv:2311.04829. Departures: modes take their messages in turn, from what the others have
 * become, in place of all at once with damping (which --damping still gives): no step lowers the bound
 * of the evidence, which is the trace and the stopping rule; lengthscale and amplitude follow the evidence too; messages at an
 * index are kept as their sum; second moments are packed, so that an observation costs the product of
 * r (r + 1) / 2 over the modes; square-root filter and smoother; functions and core are scaled and turned against each other between sweeps, and come in a normal form.
 * An op of its own beside tucker: its result stands for no array, so tucker's invert, query, update and merge
 * mean nothing for it, and nothing of its input, outputs, certificate or stopping is tucker's. Claim
 * tested: smoothing is dense Gaussian process regression, error on values kept back against gridded models. */
#include <math.h>
#include <string.h>

#include "ops/tensor/funtucker.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_funtucker_opts, rank), .def_text = "3", .min = 1, .max = 1024,
      .help = "functions of a mode: R, or R1,R2,.." },
    { LODE_PARAM(lode_funtucker_opts, kernel), .def = LODE_FUNTUCKER_MATERN32,
      .choices = "matern12|matern32|matern52",
      .help = "covariance of the functions: rough, once or twice differentiable" },
    { LODE_PARAM(lode_funtucker_opts, lengthscale), .min = 1e-300, .max = 1e300,
      .help = "of the functions, unit of the indexes: one, or one a mode; none: by the evidence" },
    { LODE_PARAM(lode_funtucker_opts, amplitude), .min = 1e-6, .max = 1e6,
      .help = "standard deviation of a function before data; auto: by the evidence" },
    { LODE_PARAM(lode_funtucker_opts, center), .def = 1,
      .help = "take the mean of the values off first: far from data it is what is predicted" },
    { LODE_PARAM(lode_funtucker_opts, init), .def = LODE_FUNTUCKER_COSINES,
      .choices = "cosines|random",
      .help = "functions to begin with: cosines of 0, 1, .. half periods, or of random ones" },
    { LODE_PARAM(lode_funtucker_opts, restarts), .def = 1, .min = 1, .max = 1000,
      .help = "starts, of which the one of most evidence is kept; all but the first random" },
    { LODE_PARAM(lode_funtucker_opts, damping), .def = 0, .min = 0, .max = 0.99,
      .help = "share of each message that stays as it was" },
    { LODE_PARAM(lode_funtucker_opts, holdout), .def = 0.1, .min = 0, .max = 0.9,
      .help = LODE_HELP_HOLDOUT ": a share of 10 rows or more" },
    { LODE_PARAM(lode_funtucker_opts, tol), .def = 1e-4, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": evidence gained, nats an observation, three times in a row" },
    { LODE_PARAM(lode_funtucker_opts, max_iter), .def = 200, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "n,4|n,2|n,3|n,5|n,6|n,7|n,8|n,9", .kinds = LODE_DENSE,
      .types = LODE_REALS | LODE_INTEGERS,
      .help = "observations: a row is the indexes of 1 to 8 modes and a value" },
    { 0 },
};
static const lode_port out[] = {
    { "core", "...", .types = LODE_REALS, .help = "posterior mean of the core, one axis a mode" },
    { "core_cov", "core,core", .types = LODE_REALS, .help = "its covariance, row-major entries" },
    { "index.*", NULL, .types = LODE_REALS, .repeated = true,
      .help = "a mode's distinct indexes, ascending" },
    { "factor.*", NULL, .types = LODE_REALS, .repeated = true,
      .help = "posterior mean of its functions there" },
    { "cov.*", NULL, .types = LODE_REALS, .repeated = true, .help = "their covariance" },
    { "precision.*", NULL, .types = LODE_REALS, .repeated = true,
      .help = "what the observations say of them: precision L of exp(h'u - u'L u / 2)" },
    { "shift.*", NULL, .types = LODE_REALS, .repeated = true, .help = "and h" },
    { "lengthscale", "modes", .types = LODE_REALS, .help = "of a mode's functions" },
    { "amplitude", "modes", .types = LODE_REALS, .help = "their prior standard deviation" },
    { "gamma", "2", .types = LODE_REALS, .help = "shape and rate of the noise precision" },
    { "trace", "t", .types = LODE_REALS,
      .help = "lower bound of the log evidence: of noise alone, after each sweep" },
    { "offset", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "a value is offset + scale f" },
    { "scale", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "unit of the core" },
    { "noise", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "its standard deviation, unit of the values" },
    { "evidence", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "the last of trace" },
    { "fitted", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "observations fitted" },
    { "sweeps", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "sweeps made" },
    { "visits", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "observations met and Kalman steps taken in all sweeps" },
    { "held", "h", .types = LODE_INTEGERS, .optional = true, .help = "rows kept back" },
    { "heldout", "h,3", .types = LODE_REALS, .optional = true,
      .help = "of each: value, mean and variance predicted" },
    { "coverage", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "share of them within their 90 % interval" },
    { 0 },
};

LODE_DEFAULTS(funtucker)

/* ---- plan ---- */

static lode_status read_ranks(lode_ctx *ctx, const lode_funtucker_opts *o, int d, int64_t *rank)
{
    lode_status st = LODE_OK;
    double size = 1;
    LODE_REQUIRE(o->rank.count == 1 || o->rank.count == d, LODE_EPARAM,
                 "funtucker: %d ranks for %d modes (X has %d columns); give one, or one a mode",
                 (int)o->rank.count, d, d + 1);
    LODE_REQUIRE(o->lengthscale.count <= 1 || o->lengthscale.count == d, LODE_EPARAM,
                 "funtucker: %d lengthscales for %d modes (X has %d columns); give one, or one a "
                 "mode",
                 (int)o->lengthscale.count, d, d + 1);
    for (int k = 0; k < d; k++) {
        rank[k] = o->rank.value[o->rank.count > 1 ? k : 0];
        size *= (double)rank[k];
    }
    LODE_REQUIRE(size <= FUNTUCKER_CORE, LODE_EPARAM,
                 "funtucker: a core of %.0f values, %d at most: lower the ranks", size,
                 FUNTUCKER_CORE);
done:
    return st;
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_funtucker_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0);
    const lode_dense_info stored = lode_call_dense(c, 0);
    int64_t rank[FUNTUCKER_MODES], row = 0, K = 1;
    uint64_t smoothing = 0;
    const int d = (int)X.cols - 1;
    const int workers = lode_ctx_threads(ctx);
    LODE_FORWARD(read_ranks(ctx, o, d, rank));
    if (X.rows == 0)
        return lode_i_fail(ctx, LODE_ESHAPE, "funtucker: X has no rows, so nothing to fit");
    for (int k = 0; k < d; k++) {
        const lode_i_gp g = { .kernel = (lode_i_matern)o->kernel, .r = rank[k] };
        const uint64_t room = lode_i_gp_room(&g, X.rows + 1);
        const double S = (double)(rank[k] * lode_i_gp_order(g.kernel));
        smoothing = room > smoothing ? room : smoothing;
        /* means, packed moments, covariance, precision, shift, index */
        row += rank[k] * 2 + rank[k] * (rank[k] + 1) / 2 + 2 * rank[k] * rank[k] + 1;
        K *= rank[k];
        p->flops += 100 * 30 * S * S * S * (double)X.rows;
    }
    const int64_t P = lode_i_packed_size(d, rank);
    const uint64_t fit = lode_i_bytes(LODE_F64, X.rows + 1, row) +
                         lode_i_bytes(LODE_F64, K, 4 * K) + lode_i_bytes(LODE_F64, P, 8) +
                         lode_i_bytes(LODE_F64, o->max_iter, 4);
    const uint64_t table = lode_i_bytes(LODE_F64, X.rows + 1, X.cols + 3);
    const uint64_t sums = lode_i_scattered_room(d, rank, X.rows, workers) +
                          lode_i_bytes(LODE_F64, K + 64, 6 * K);
    p->workspace = 2 * table + lode_i_scattered_bytes(d, X.rows) + (o->restarts > 1 ? 3 : 2) * fit +
                   (ctx->checkpoint ? 2 : 0) * fit + 2 * smoothing + sums + (UINT64_C(1) << 20);
    p->output = fit + lode_i_bytes(LODE_F64, X.rows, 4) + 65536;
    p->resident = X.kind == LODE_SOURCE ? lode_i_bytes(stored.stored, X.rows, X.cols) : 0;
    p->passes = 1;
    p->flops += 100 * 4 * (double)(d + 1) * (double)P * (double)X.rows;
    p->flops *= (double)o->restarts;
    p->seconds = p->flops / 2e9; /* short loops on one thread */
    snprintf(p->algorithm, sizeof p->algorithm, "message passing, Kalman smoothing of %d mode%s", d,
             d > 1 ? "s" : "");
    return LODE_OK;
}

/* ---- result ---- */

static lode_certificate certificate(const funtucker_data *d, const funtucker_fit *f,
                                    const lode_array *heldout)
{
    lode_certificate c = { .kind = LODE_CERT_HELDOUT,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .asked = NAN };
    if (heldout->data) {
        funtucker_score s;
        lode_i_funtucker_judge(heldout, d->offset, &s);
        c.value = s.value, c.absolute = s.absolute, c.low = s.low, c.high = s.high;
        snprintf(c.quantity, sizeof c.quantity, "||y - predicted||, observations kept back");
        snprintf(c.note, sizeof c.note,
                 "relative to their distance from %s; 90 %% intervals hold %.3g %%",
                 d->offset != 0 ? "the mean" : "0", 100 * s.coverage);
    } else { /* E |y - f|^2 over what was fitted: what remains of it in the noise's rate */
        const double left = 2 * (f->b - (f->a > 0 ? 1e-3 : 0));
        c.kind = LODE_CERT_MEASURED;
        c.value = d->s.sumsq > 0 ? sqrt(fmax(left, 0) / d->s.sumsq) : 0;
        c.absolute = sqrt(fmax(left, 0)) * d->scale;
        snprintf(c.quantity, sizeof c.quantity, "sqrt E||y - f||^2, observations fitted");
        snprintf(c.note, sizeof c.note, "nothing kept back: --holdout says how new ones fare");
    }
    return c;
}

static lode_status add_numbered(lode_ctx *ctx, const char *name, int k, lode_array *a,
                                lode_bundle *b)
{
    char text[24];
    snprintf(text, sizeof text, "%s.%d", name, k);
    return lode_bundle_add_array(ctx, b, text, a);
}

static lode_status add_modes(lode_ctx *ctx, funtucker_data *d, funtucker_fit *f, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array both[2] = { { 0 } };
    for (int k = 0; k < d->d; k++)
        LODE_TRY(add_numbered(ctx, "index", k, &d->s.grid[k], b));
    for (int k = 0; k < d->d; k++)
        LODE_TRY(add_numbered(ctx, "factor", k, &f->m.mean[k], b));
    for (int k = 0; k < d->d; k++)
        LODE_TRY(add_numbered(ctx, "cov", k, &f->mode[k].cov, b));
    for (int k = 0; k < d->d; k++)
        LODE_TRY(add_numbered(ctx, "precision", k, &f->mode[k].precision, b));
    for (int k = 0; k < d->d; k++)
        LODE_TRY(add_numbered(ctx, "shift", k, &f->mode[k].shift, b));
    for (int i = 0; i < 2; i++)
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, d->d, &both[i]));
    for (int k = 0; k < d->d; k++) {
        lode_i_set1(&both[0], k, f->mode[k].gp.lengthscale);
        lode_i_set1(&both[1], k, f->mode[k].gp.amplitude);
    }
    LODE_TRY(lode_bundle_add_array(ctx, b, "lengthscale", &both[0]));
    LODE_TRY(lode_bundle_add_array(ctx, b, "amplitude", &both[1]));
done:
    LODE_FREE(&both[0], &both[1]);
    return st;
}

static lode_status pack(lode_ctx *ctx, const lode_funtucker_opts *o, funtucker_data *d,
                        funtucker_fit *f, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array core = { 0 }, gamma = { 0 }, heldout = { 0 };
    const int64_t fitted = d->s.n;
    funtucker_score score = { 0 };
    if (d->held.shape[0] > 0) {
        LODE_TRY(lode_i_funtucker_heldout(ctx, d, f, &heldout));
        lode_i_funtucker_judge(&heldout, d->offset, &score);
    }
    b->certificate = certificate(d, f, &heldout);
    LODE_TRY(lode_array_reshape(ctx, &f->m.core, d->d, f->m.r, &core));
    LODE_TRY(lode_bundle_add_array(ctx, b, "core", &core));
    LODE_TRY(lode_bundle_add_array(ctx, b, "core_cov", &f->core_cov));
    LODE_TRY(add_modes(ctx, d, f, b));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &gamma));
    lode_i_set1(&gamma, 0, f->a), lode_i_set1(&gamma, 1, f->b);
    LODE_TRY(lode_bundle_add_array(ctx, b, "gamma", &gamma));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &f->trace));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "offset", d->offset));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "scale", d->scale));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "noise", d->scale * sqrt(f->b / f->a)));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "evidence", f->evidence));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "fitted", fitted));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "sweeps", f->sweeps));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "visits", f->visits));
    if (heldout.data) {
        LODE_TRY(lode_bundle_add_array(ctx, b, "held", &d->held));
        LODE_TRY(lode_bundle_add_array(ctx, b, "heldout", &heldout));
        LODE_TRY(lode_bundle_add_f64(ctx, b, "coverage", score.coverage));
    }
    if (f->status > 0)
        st = lode_i_fail(ctx, LODE_NOCONV,
                         "funtucker: %" PRId64
                         " sweeps did not settle the evidence to %g nats an observation; raise "
                         "--max-iter or --tol",
                         f->sweeps, o->tol);
done:
    LODE_FREE(&core, &gamma, &heldout);
    return st;
}

lode_status lode_funtucker(lode_ctx *ctx, const lode_funtucker_opts *o, lode_value X,
                           lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    funtucker_data d = { 0 };
    funtucker_fit best = { 0 }, one = { 0 };
    lode_bundle local = { 0 };
    int64_t rank[FUNTUCKER_MODES];
    LODE_ENTER(&lode_op_funtucker, o, &p, X);
    lode_i_stage(ctx, "reading", 0, 0.02);
    LODE_TRY(lode_i_funtucker_open(ctx, o, X, NULL, &d));
    LODE_TRY(read_ranks(ctx, o, d.d, rank));
    for (int64_t t = 0; t < o->restarts; t++) {
        const double each = 0.93 / (double)o->restarts;
        lode_i_stage(ctx, "sweeps", 0.02 + (double)t * each, 0.02 + (double)(t + 1) * each);
        LODE_TRY(lode_i_funtucker_fit_to(ctx, o, &d, rank, (uint64_t)t, &one));
        if (t == 0 || one.evidence > best.evidence) {
            const funtucker_fit better = one;
            one = best, best = better;
        }
    }
    lode_i_funtucker_free(&one);
    lode_i_stage(ctx, "values kept back", 0.95, 1);
    LODE_TRY(pack(ctx, o, &d, &best, &local));
    lode_bundle_swap(model, &local);
done:
    LODE_LEAVE();
    lode_i_funtucker_close(&d);
    lode_i_funtucker_free(&best);
    lode_i_funtucker_free(&one);
    LODE_FREE(&local);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_funtucker(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_funtucker = {
    .name = "funtucker",
    .family = "tensor",
    .job = LODE_PREDICT,
    .brief = "Tucker model of values at continuous indexes, with their uncertainty",
    .doi = "10.48550/arXiv.2311.04829",
    .example = "lode funtucker observations.npy --rank 2 --max-iter 40 -o functions.lode",
    .words =
        "functional bayesian tucker funbat gaussian process matern kalman smoother state space "
        "continuous indexes coordinates scattered spatiotemporal interpolation credible "
        "intervals missing values",
    .params = params,
    .opts_size = sizeof(lode_funtucker_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_HELDOUT,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_funtucker_apply,
    .verify = lode_i_funtucker_verify,
    .plot = lode_i_funtucker_plot,
};
