/* complete: what is missing of a matrix or tensor of low rank.
 *
 * Unit of work is the observed entry: nothing of the size of X is formed. The rank is given, or the
 * smallest whose error over entries kept back is within a standard error of the least.
 *
 * Source: Gu, Song, Yin & Zhang 2023, doi:10.48550/arXiv.2302.11068 (alternating minimization with
 * approximate regressions); Jain, Netrapalli & Sanghavi 2013 (its exact form and spectral start);
 * Vandereycken 2013, doi:10.1137/110845768 (Riemannian conjugate gradients); Mazumder, Hastie &
 * Tibshirani, JMLR 11 (2010) 2287, and Hastie, Mazumder, Lee & Zadeh, JMLR 16 (2015) 3367 (soft-impute by
 * alternating least squares). Departures: sketches are sparse embeddings, not subsampled Hadamard
 * transforms, which cost the same and mix entries of rows one by one as they are gathered; the paper's
 * iterative refinement is conjugate gradients from the last sweep's row; fresh halves of the samples for
 * each sweep, which its analysis asks for and nobody uses, are left out. Claim tested: recovery, and cost
 * linear in the rank. */
#include <math.h>
#include <string.h>

#include "ops/matrix/complete.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_complete_opts, rank), .min = 1, .max = 4096,
      .help = "rank; auto: the smallest that predicts entries kept back as well as any" },
    { LODE_PARAM(lode_complete_opts, max_rank), .min = 1, .max = 4096,
      .help = "largest rank that auto tries; auto: 20, or the shorter side" },
    { LODE_PARAM(lode_complete_opts, method), .def = LODE_COMPLETE_ALS,
      .choices = "als|riemannian|soft",
      .help = "alternating least squares; conjugate gradients on matrices of the rank; nuclear "
              "norm" },
    { LODE_PARAM(lode_complete_opts, solver), .def = LODE_COMPLETE_EXACT, .choices = "exact|sketch",
      .help = "regressions of als: normal equations, or preconditioned by a sketch (large ranks)" },
    { LODE_PARAM(lode_complete_opts, ridge), .def = 0, .min = 0, .max = 1e300,
      .help = "weight of half the squares of the factors, unit of X; of method soft the "
              "threshold of the singular values" },
    { LODE_PARAM(lode_complete_opts, nonneg), .def = 0,
      .help = "factors without negative entries" },
    { LODE_PARAM(lode_complete_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_complete_opts, mask), .help = LODE_HELP_MASK },
    { LODE_PARAM(lode_complete_opts, weights), .help = LODE_HELP_WEIGHTS },
    { LODE_PARAM(lode_complete_opts, holdout), .def = 0, .min = 0, .max = 0.9,
      .help = LODE_HELP_HOLDOUT },
    { LODE_PARAM(lode_complete_opts, tol), .def = 1e-4, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the error" },
    { LODE_PARAM(lode_complete_opts, max_iter), .def = 200, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .help = "matrix or tensor with missing values; sparse: what it holds was observed" },
    { 0 },
};
static const lode_port out[] = {
    { "s", "k", .types = LODE_REALS, .help = "weight of each component, descending, unit of X" },
    { "factor.*", NULL, .types = LODE_REALS, .repeated = true,
      .help = "one matrix an axis, unit columns; of a matrix orthonormal" },
    { "trace", NULL,
      .help = "relative error, with its penalty, after each sweep, from 1; last: of the result" },
    { "norm", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "Frobenius norm of the array filled, unit of X" },
    { "observed", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "entries fitted" },
    { "heldout", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "relative error over the entries kept back; nan: none were" },
    { "heldout_low", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "its interval, two standard errors" },
    { "heldout_high", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "the same, upper end" },
    { "flops", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "operations of the regressions" },
    { 0 },
};

LODE_DEFAULTS(complete)

/* ---- plan ---- */

static int64_t shorter_side(int ndim, const int64_t *shape)
{
    int64_t side = INT64_MAX;
    for (int m = 0; m < ndim; m++)
        side = lode_i_min(side, shape[m]);
    return side;
}

static int64_t largest_rank(const lode_complete_opts *o, int ndim, const int64_t *shape)
{
    const int64_t side = shorter_side(ndim, shape);
    if (o->rank.count > 0)
        return o->rank.value[0];
    return lode_i_min(o->max_rank.given ? o->max_rank.value : 20, side);
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_complete_opts *o = lode_call_opts(c);
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM], sides = 0;
    char text[256];
    lode_i_value_shape(c->in[0], &dtype, &ndim, shape);
    dtype = lode_i_arith(dtype);
    lode_i_print_shape(ndim, shape, text, sizeof text);
    if (ndim < 2 || shorter_side(ndim, shape) < 1)
        return lode_i_fail(ctx, LODE_ESHAPE, "complete: X is %s; it needs 2 axes and a value",
                           ndim > 0 ? text : "one number");
    const int64_t k = largest_rank(o, ndim, shape), side = shorter_side(ndim, shape);
    if (o->rank.count > 1 || (ndim == 2 && k > side))
        return lode_i_fail(ctx, LODE_EPARAM,
                           "complete: rank %" PRId64 " is above the shorter side %" PRId64
                           " of X, or several numbers",
                           k, side);
    if (o->method != LODE_COMPLETE_ALS && (ndim != 2 || o->nonneg))
        return lode_i_fail(ctx, LODE_EUSAGE, "complete: method %s is for matrices%s; use als",
                           o->method == LODE_COMPLETE_SOFT ? "soft" : "riemannian",
                           o->nonneg ? " without bounds on factors" : "");
    if (o->method == LODE_COMPLETE_RIEMANNIAN && o->ridge > 0)
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "complete: method riemannian has no penalty; use als or soft with --ridge");
    for (int m = 0; m < ndim; m++)
        sides += shape[m];
    const int64_t most = lode_i_observed_most(c->in[0]);
    const bool splits = o->holdout > 0 || o->rank.count == 0, weighted = o->weights != NULL;
    const uint64_t held = lode_i_observed_bytes(dtype, ndim, shape, most, weighted);
    const uint64_t factors = lode_i_bytes(dtype, sides, k);
    const int64_t wide = o->method == LODE_COMPLETE_ALS ? k : 2 * k;
    p->number[0] = k;
    p->output = factors + 65536 + lode_i_bytes(LODE_F64, o->max_iter + 2, 1);
    p->workspace = held * (splits ? 3 : 1) +
                   lode_i_observed_workspace(dtype, ndim, shape, most, weighted) +
                   (splits ? (uint64_t)most : 0) + lode_i_bytes(LODE_I64, sides, 1) +
                   (o->mask ? lode_i_bytes(LODE_F64, most, 1) : 0) +
                   (o->weights ? lode_i_bytes(LODE_F64, most, 1) : 0) +
                   lode_i_bytes(dtype, most, 2) + 24 * lode_i_bytes(dtype, sides + 64, wide) +
                   lode_i_bytes(LODE_F64, 16 * wide, wide) +
                   2 * lode_i_observed_room(ctx, dtype, wide) + (32 << 20);
    p->flops = (double)o->max_iter * (double)most * ndim * (double)(k * (k + 6));
    snprintf(p->algorithm, sizeof p->algorithm, "%s over observed entries",
             o->method == LODE_COMPLETE_ALS          ? "alternating least squares"
             : o->method == LODE_COMPLETE_RIEMANNIAN ? "Riemannian conjugate gradients"
                                                     : "soft-impute");
    return LODE_OK;
}

/* ---- data ---- */

/* Values by a power of two, exactly, so that no product of them overflows: of the largest to about 1. */
static lode_status scale_values(lode_ctx *ctx, lode_i_observed *x, int *exponent)
{
    lode_stats s;
    *exponent = 0;
    LODE_FORWARD(lode_i_stats(ctx, &x->mode[0].value, &s));
    if (s.maxabs > 0)
        frexp(s.maxabs, exponent);
    for (int m = 0; m < x->ndim && *exponent != 0; m++) { /* in two steps: 2^1074 is no double */
        LODE_FORWARD(lode_i_scale(ctx, ldexp(1, -*exponent / 2), &x->mode[m].value));
        LODE_FORWARD(lode_i_scale(ctx, ldexp(1, -*exponent + *exponent / 2), &x->mode[m].value));
    }
    return LODE_OK;
}

/* ---- fits ---- */

typedef struct heldout {
    double error, low, high; /* relative; NaN: nothing was kept back */
    double mean, deviation;  /* of the weighted squares, and of their mean */
} heldout;

/* Error of a model over entries that it has not seen. */
static lode_status judge(lode_ctx *ctx, const lode_i_observed *held, const lode_i_kruskal *model,
                         heldout *h)
{
    lode_status st = LODE_OK;
    lode_array r = { 0 };
    double sumsq = 0, norm = 0, squares = 0;
    const lode_array *weight = &held->mode[0].weight;
    *h = (heldout){ NAN, NAN, NAN, NAN, NAN };
    if (held->count < 1)
        goto done;
    LODE_TRY(lode_i_observed_residual(ctx, held, 0, model->factor, &model->scale, &r, &sumsq));
    LODE_TRY(lode_i_observed_sumsq(ctx, held, &norm));
    const double n = (double)held->count;
    h->mean = sumsq / n;
    for (int64_t e = 0; e < held->count; e++) {
        const double v = lode_i_get1(&r, e), w = weight->data ? lode_i_get1(weight, e) : 1;
        squares += pow(w * v * v - h->mean, 2);
    }
    h->deviation = n > 1 ? sqrt(squares / (n - 1) / n) : h->mean;
    h->error = sqrt(sumsq / norm);
    h->low = sqrt(fmax(h->mean - 2 * h->deviation, 0) * n / norm);
    h->high = sqrt((h->mean + 2 * h->deviation) * n / norm);
done:
    LODE_FREE(&r);
    return st;
}

static void free_fit(lode_i_completion *c)
{
    lode_i_kruskal_free(&c->model);
    LODE_FREE(&c->trace);
}

static lode_status fit(lode_ctx *ctx, const lode_i_observed *x, int64_t k, lode_i_completion *c)
{
    double sumsq = 0;
    LODE_FORWARD(lode_i_observed_sumsq(ctx, x, &sumsq));
    c->x = x, c->k = k, c->norm = sqrt(sumsq);
    switch (c->o->method) {
    case LODE_COMPLETE_RIEMANNIAN: return lode_i_complete_riemannian(ctx, c);
    case LODE_COMPLETE_SOFT: return lode_i_complete_soft(ctx, c);
    default: return lode_i_complete_als(ctx, c);
    }
}

enum { ROUGH_ITER = 50 };
#define ROUGH_TOL 1e-3

/* The smallest rank whose error over entries kept back is within a standard error of the least; two ranks in
 * a row that predict worse end the search. */
static lode_status choose_rank(lode_ctx *ctx, const lode_i_observed *kept,
                               const lode_i_observed *held, int64_t most,
                               const lode_i_completion *as, int64_t *rank)
{
    lode_status st = LODE_OK;
    double *mean = NULL, *deviation = NULL;
    int64_t best = 0, tried = 0;
    lode_i_completion c = { 0 };
    lode_complete_opts rough =
        *as->o; /* ranks differ by more than the last digits of their errors */
    rough.tol = fmax(rough.tol, ROUGH_TOL);
    rough.max_iter = lode_i_min(rough.max_iter, ROUGH_ITER);
    LODE_TRY(LODE_NEW(ctx, most, &mean));
    LODE_TRY(LODE_NEW(ctx, most, &deviation));
    for (; tried < most && tried < best + 3; tried++) {
        heldout h;
        LODE_TRY(lode_i_tick(ctx, tried, most));
        c = *as;
        c.o = &rough;
        lode_i_nest(ctx);
        const lode_status fitted = fit(ctx, kept, tried + 1, &c);
        lode_i_unnest(ctx);
        if (fitted < 0)
            LODE_TRY(fitted); /* one that has not settled is judged as it is */
        LODE_TRY(judge(ctx, held, &c.model, &h));
        mean[tried] = h.mean, deviation[tried] = h.deviation;
        best = tried > 0 && !(h.mean < mean[best]) ? best : tried;
        free_fit(&c);
        c = (lode_i_completion){ 0 };
    }
    *rank = best + 1;
    for (int64_t r = best; r > 0; r--)
        if (mean[r - 1] <= mean[best] + deviation[best])
            *rank = r;
done:
    lode_i_free(mean);
    lode_i_free(deviation);
    free_fit(&c);
    return st;
}

/* ---- result ---- */

static lode_status give(lode_ctx *ctx, lode_i_completion *c, int exponent, const heldout *h,
                        lode_bundle *b)
{
    lode_status st = LODE_OK;
    double sumsq = 0, norm = 0;
    LODE_TRY(
        lode_i_observed_residual(ctx, c->x, 0, c->model.factor, &c->model.scale, NULL, &sumsq));
    LODE_TRY(lode_i_scale(ctx, ldexp(1, exponent / 2), &c->model.scale));
    LODE_TRY(lode_i_scale(ctx, ldexp(1, exponent - exponent / 2), &c->model.scale));
    lode_certificate cert = { .kind = LODE_CERT_MEASURED,
                              .norm = LODE_NORM_FRO,
                              .relative = true,
                              .needs_original = true,
                              .value = lode_i_complete_relative(c, sumsq),
                              .absolute = ldexp(sqrt(sumsq), exponent),
                              .asked = NAN,
                              .quantity = "||X - sum s_r a_r o b_r o ..||" };
    double all = 1;
    for (int m = 0; m < c->x->ndim; m++)
        all *= (double)c->x->shape[m];
    if ((double)c->x->count < all)
        snprintf(cert.quantity, sizeof cert.quantity,
                 "||X - sum s_r a_r o b_r o ..||, observed values");
    if (h->error == h->error)
        snprintf(cert.note, sizeof cert.note,
                 "relative error over the entries kept back %.3g (%.3g to %.3g)", h->error, h->low,
                 h->high);
    lode_i_set1(&c->trace, c->trace.shape[0] - 1, cert.value); /* as rounded to the result */
    const int64_t entries = c->x->count;
    LODE_TRY(lode_i_kruskal_norm(ctx, &c->model, &norm));
    LODE_TRY(lode_i_kruskal_give(ctx, &c->model, b));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &c->trace));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "norm", norm));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "observed", entries));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "heldout", h->error));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "heldout_low", h->low));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "heldout_high", h->high));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "flops", c->flops));
    b->certificate = cert;
done:
    return st;
}

lode_status lode_complete(lode_ctx *ctx, const lode_complete_opts *o, lode_value X,
                          lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_dtype dtype = LODE_F64;
    int ndim = 0, exponent = 0;
    int64_t shape[LODE_MAX_NDIM], k = 0;
    lode_i_observed x = { 0 }, kept = { 0 }, held = { 0 };
    lode_i_completion c = { .o = o };
    lode_bundle local = { 0 };
    heldout h = { NAN, NAN, NAN, NAN, NAN };

    LODE_ENTER(&lode_op_complete, o, &p, X);
    lode_i_value_shape(X, &dtype, &ndim, shape);
    const bool choose = o->rank.count == 0;
    c.start = lode_i_stream(ctx, "complete", 0), c.sketch = lode_i_stream(ctx, "complete", 1);
    k = p.number[0];
    lode_i_stage(ctx, "observed entries", 0, 0.1);
    LODE_TRY(
        lode_i_observed_from(ctx, X, &o->missing, o->mask, o->weights, lode_i_arith(dtype), &x));
    LODE_TRY(lode_i_observed_require(ctx, &x, "X"));
    LODE_TRY(scale_values(ctx, &x, &exponent));
    c.ridge = ldexp(o->ridge, -exponent);
    if (choose || o->holdout > 0)
        LODE_TRY(lode_i_observed_split(ctx, &x, o->holdout > 0 ? o->holdout : 0.1,
                                       lode_i_stream(ctx, "complete", 2), &kept, &held));
    if (choose) {
        lode_i_stage(ctx, "rank", 0.1, 0.8);
        LODE_TRY(choose_rank(ctx, &kept, &held, k, &c, &k));
    }
    lode_i_stage(ctx, "fit", choose ? 0.8 : 0.1, 1);
    LODE_TRY(fit(ctx, o->holdout > 0 ? &kept : &x, k, &c));
    if (o->holdout > 0)
        LODE_TRY(judge(ctx, &held, &c.model, &h));
    LODE_TRY(give(ctx, &c, exponent, &h, &local));
    lode_bundle_swap(model, &local);
done:
    lode_i_observed_free(&x);
    lode_i_observed_free(&kept);
    lode_i_observed_free(&held);
    free_fit(&c);
    LODE_FREE(&local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_complete(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_complete = {
    .name = "complete",
    .family = "matrix",
    .job = LODE_COMPLETE,
    .brief = "what is missing of a matrix or tensor of low rank",
    .doi = "10.48550/arXiv.2302.11068 10.1137/110845768",
    .example = "lode complete A.npy --rank 5 --holdout 0.1 -o filled.lode",
    .words = "matrix completion recommender ratings impute missing values collaborative filtering "
             "soft impute altmin als low rank tensor",
    .params = params,
    .opts_size = sizeof(lode_complete_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_complete_apply,
    .invert = lode_i_complete_invert,
    .query = lode_i_complete_query,
    .verify = lode_i_complete_verify,
    .plot = lode_i_complete_plot,
};
