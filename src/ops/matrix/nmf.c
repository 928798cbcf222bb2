/* nmf: nonnegative matrix factorization, X ~ W H^T with W, H >= 0.
 *
 * All entries, least squares: coordinate descent on the products X H and X^T W, several sweeps a product,
 * begun beyond the last point and taken back where the objective does not fall, so that it never rises.
 * Some entries (missing, masked, weighted, held out): the same descent row by row on the entries observed.
 * The divergence: multiplicative updates, of the nonzero entries alone where all are observed.
 *
 * Source: Gillis & Glineur, Neural Computation 24 (2012), doi:10.1162/NECO_a_00256, section 3 (accelerated
 * HALS); Ang & Gillis, Neural Computation 31 (2019), doi:10.1162/neco_a_01157, Algorithm 2 (extrapolation);
 * Lee & Seung, Nature 401 (1999), doi:10.1038/44565 (multiplicative updates). Departures: the share beyond grows by 1.1 and its bound by 1.05, as tried best; points beyond are
 * cut to >= 0 before they are used, so that each is feasible and its objective known without further
 * products; a step that fails is done again without extrapolation instead of being kept; sweeps stop block of
 * rows by block of rows. */
#include <math.h>
#include <string.h>

#include "ops/matrix/nmf.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_nmf_opts, rank), .def_text = "auto", .min = 1, .max = 1e5,
      .help = "components; auto: by held-out entries and stability, several fits a candidate" },
    { LODE_PARAM(lode_nmf_opts, max_rank), .min = 1, .max = 1e5,
      .help = "largest candidate of --rank auto; auto: 10, or the smaller side" },
    { LODE_PARAM(lode_nmf_opts, loss), .def = LODE_NMF_FROBENIUS, .choices = "frobenius|kl",
      .help = "least squares, or the generalized Kullback-Leibler divergence (counts)" },
    { LODE_PARAM(lode_nmf_opts, method), .def = LODE_NMF_AUTO, .choices = "auto|hals|mu",
      .help = "accelerated coordinate descent or multiplicative updates; auto: hals, for kl mu" },
    { LODE_PARAM(lode_nmf_opts, init), .def = LODE_NMF_START_AUTO, .choices = "auto|nndsvd|random",
      .help = "start; auto: nndsvd, or random for restarts and where entries are missing" },
    { LODE_PARAM(lode_nmf_opts, restarts), .def = 1, .min = 1, .max = 10000,
      .help = "fits from random starts: the best, and how far they agree" },
    { LODE_PARAM(lode_nmf_opts, l1), .min = 0, .max = 1e300,
      .help = "penalty on the sums of the factors: both, or codes,basis" },
    { LODE_PARAM(lode_nmf_opts, ridge), .min = 0, .max = 1e300,
      .help = "penalty on half the squares of the factors: both, or codes,basis" },
    { LODE_PARAM(lode_nmf_opts, tol), .def = 1e-5, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the objective, three times in a row" },
    { LODE_PARAM(lode_nmf_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { LODE_PARAM(lode_nmf_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_nmf_opts, mask), .help = LODE_HELP_MASK },
    { LODE_PARAM(lode_nmf_opts, weights), .help = LODE_HELP_WEIGHTS },
    { LODE_PARAM(lode_nmf_opts, holdout), .def = 0, .min = 0, .max = 0.9,
      .help = LODE_HELP_HOLDOUT },
    { LODE_PARAM(lode_nmf_opts, codes), .help = "m x rank values >= 0 to start the codes from" },
    { LODE_PARAM(lode_nmf_opts, basis), .help = "n x rank values >= 0 to start the basis from" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "m,n", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .nonneg = true, .help = "data >= 0, a row an observation" },
    { 0 },
};
static const lode_port out[] = {
    { "s", "k", .help = "weight of each component, descending" },
    { "factor.*", "...", .repeated = true,
      .help = "codes m x k and basis n x k, >= 0, columns of length 1" },
    { "trace", "steps", .help = "relative error before the first and after each iteration" },
    { "entries", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "values that were fitted" },
    { "divergence", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "loss kl: the generalized Kullback-Leibler divergence" },
    { "heldout", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "holdout: relative error of the entries kept back" },
    { "objectives", "restarts", .optional = true, .help = "restarts: the objective of each" },
    { "consensus", "p,p", .optional = true,
      .help = "restarts: share of them in which two rows have the same largest component" },
    { "sampled", "p", .optional = true, .help = "restarts: the rows of consensus" },
    { "cophenetic", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .optional = true,
      .help = "restarts: correlation of consensus with its clustering, 1: all agree" },
    { "cv", "ranks", .optional = true, .help = "rank auto: held-out error of ranks 1, 2, .." },
    { "cv_error", "ranks", .optional = true, .help = "rank auto: their standard errors" },
    { "stability", "ranks", .optional = true,
      .help = "rank auto: mean cosine of matched components between splits" },
    { 0 },
};

LODE_DEFAULTS(nmf)

/* ---- plan ---- */

static bool some_count(const lode_nmf_opts *o)
{
    return o->mask || o->weights || o->holdout > 0;
}

static int64_t candidates(const lode_nmf_opts *o, int64_t side)
{
    return lode_i_min(o->max_rank.given ? o->max_rank.value : 10, side);
}

static uint64_t spectral_memory(const lode_ctx *ctx, const lode_matrix_info *X, lode_value value,
                                int64_t k)
{
    lode_svds_opts s = { .rank = k, .tol = 1e-3, .op = "nmf" };
    lode_i_svds_sizes(&s, X->rows, X->cols, X->kind == LODE_SPARSE);
    return lode_i_svds_memory(ctx, &s, value) +
           2 * lode_i_bytes(X->dtype, X->rows + X->cols, k + 1);
}

/* Entries in their lists, and the splits that a choice of the rank or a holdout takes. */
static uint64_t entries_memory(const lode_nmf_opts *o, const lode_matrix_info *X, int64_t count,
                               bool split)
{
    const int64_t shape[2] = { X->rows, X->cols };
    const bool weighted = o->weights != NULL;
    const uint64_t kept = lode_i_observed_bytes(X->dtype, 2, shape, count, weighted);
    const uint64_t making = lode_i_observed_workspace(X->dtype, 2, shape, count, weighted);
    const uint64_t dense = lode_i_bytes(LODE_F64, X->rows, X->cols);
    return kept + making + 4 * lode_i_bytes(X->dtype, count, 1) + (split ? 2 * kept + making : 0) +
           (o->mask ? dense : 0) + (o->weights ? dense : 0) + (UINT64_C(16) << 20) +
           (X->kind == LODE_SPARSE ? lode_i_bytes(X->dtype, X->rows, X->cols) : 0);
}

static uint64_t workspace(const lode_ctx *ctx, const lode_nmf_opts *o, const lode_matrix_info *X,
                          lode_value value, int64_t k, bool some)
{
    const int64_t m = X->rows, n = X->cols;
    const bool choosing = o->rank.count == 0, voting = o->restarts > 1;
    const int64_t p = lode_i_min(m, LODE_I_NMF_SAMPLE);
    uint64_t bytes = 10 * lode_i_bytes(X->dtype, m + n, k) +
                     8 * lode_i_bytes(LODE_F64, k + 8, k + 8) +
                     4 * lode_i_bytes(LODE_F64, o->max_iter + 8, 1) +
                     (uint64_t)lode_ctx_threads(ctx) * 128 * 8 * (uint64_t)(k + 1) +
                     lode_i_observed_room(ctx, X->dtype, k) + 65536;
    if (choosing)
        bytes += 2 * LODE_I_NMF_SPLITS * lode_i_bytes(X->dtype, m + n, k);
    if (voting)
        bytes += 5 * lode_i_bytes(LODE_F64, p, p);
    if (some || choosing || o->loss == LODE_NMF_KL)
        bytes += entries_memory(o, X, X->nonzeros, o->holdout > 0 || choosing);
    if (!some) {
        const uint64_t start = spectral_memory(ctx, X, value, k);
        const uint64_t products = lode_i_linop_workspace(ctx, value, k);
        bytes += (start > products ? start : products) + lode_i_linop_blocks(ctx, value);
    }
    return bytes + (UINT64_C(9) << 20); /* slabs of f64 in which values are looked at */
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_nmf_opts *o = lode_call_opts(c);
    const lode_matrix_info X = lode_call_matrix(c, 0);
    const int64_t side = lode_i_min(X.rows, X.cols);
    if (side == 0)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "nmf: X is %" PRId64 " x %" PRId64 "; it needs a value", X.rows, X.cols);
    const int64_t k = o->rank.count > 0 ? o->rank.value[0] : candidates(o, side);
    if (o->rank.count > 1 || k > side)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "nmf: rank %" PRId64 " is above min(m, n) = %" PRId64
                           " of X, or several numbers",
                           k, side);
    const bool some = some_count(o), kl = o->loss == LODE_NMF_KL;
    p->number[0] = k;
    p->workspace = workspace(ctx, o, &X, c->in[0], k, some);
    p->output = lode_i_bytes(X.dtype, X.rows + X.cols + 1, k) +
                2 * lode_i_bytes(LODE_F64, o->max_iter + 8, 1) +
                4 * lode_i_bytes(LODE_F64, k + 8, 1) +
                (o->restarts > 1
                     ? lode_i_bytes(LODE_F64, LODE_I_NMF_SAMPLE + 1, LODE_I_NMF_SAMPLE) +
                           lode_i_bytes(LODE_F64, o->restarts, 1)
                     : 0) +
                8192;
    const uint64_t all = lode_i_bytes(X.dtype, X.rows, X.cols);
    if (X.kind == LODE_SOURCE) { /* read once, if it fits: every iteration meets all of it twice */
        if (some || kl || p->workspace + p->output + all <= lode_i_memory_left(ctx))
            p->resident = all;
        else
            p->slab = lode_i_linop_slab(ctx, c->in[0].as.source);
    }
    p->passes = p->resident ? 1 : 2.0 * (double)lode_i_min(o->max_iter, 100);
    p->flops = 4 * (double)lode_i_min(o->max_iter, 100) * (double)X.nonzeros * (double)k *
               (double)o->restarts;
    snprintf(p->algorithm, sizeof p->algorithm, "%s%s",
             kl                         ? "multiplicative updates"
             : some                     ? "coordinate descent over observed values"
             : lode_i_nmf_multiplies(o) ? "multiplicative updates"
                                        : "extrapolated accelerated HALS",
             o->rank.count == 0 ? ", rank by holdout" : "");
    return LODE_OK;
}

/* ---- data ---- */

static void free_data(lode_i_nmf_data *d)
{
    LODE_FREE(&d->held, &d->A);
    lode_i_observed_free(&d->x);
    lode_i_observed_free(&d->back);
}

static lode_status require_entries(lode_ctx *ctx, const lode_i_observed *x)
{
    lode_stats s;
    int64_t index[LODE_MAX_NDIM];
    LODE_FORWARD(lode_i_stats(ctx, &x->mode[0].value, &s));
    if (!(s.min < 0))
        return lode_i_observed_require(ctx, x, "X");
    int64_t e = 0;
    while (!(lode_i_get1(&x->mode[0].value, e) < 0))
        e++;
    lode_i_observed_index(x, e, index);
    return lode_i_fail(
        ctx, LODE_EDOMAIN,
        "nmf: X[%" PRId64 ",%" PRId64
        "] is %g, but only values >= 0 have nonnegative factors; shift, clip or mask the data",
        index[0], index[1], lode_i_get1(&x->mode[0].value, e));
}

/* X in memory as dense values, where it is not. */
static lode_status hold(lode_ctx *ctx, const lode_matrix_info *info, lode_i_nmf_data *d)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 };
    if (d->X.kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_to_dense(ctx, d->X.as.sparse, &wide));
        LODE_TRY(lode_i_as(ctx, &wide, info->dtype, &d->held));
    } else {
        LODE_TRY(lode_i_as_array(ctx, d->X, info->dtype, &d->held));
    }
    d->X = lode_from_array(&d->held);
done:
    LODE_FREE(&wide);
    return st;
}

/* The entries that count, less those held back. */
static lode_status read_entries(lode_ctx *ctx, const lode_nmf_opts *o, lode_i_nmf_data *d)
{
    lode_status st = LODE_OK;
    lode_i_observed all = { 0 };
    LODE_TRY(lode_i_observed_from(ctx, d->X, &o->missing, o->mask, o->weights, d->dtype, &all));
    LODE_TRY(require_entries(ctx, &all));
    if (o->holdout > 0) {
        LODE_TRY(lode_i_observed_split(ctx, &all, o->holdout, lode_i_stream(ctx, "nmf", 1), &d->x,
                                       &d->back));
    } else {
        d->x = all;
        all = (lode_i_observed){ 0 };
    }
    d->entries = true, d->count = d->x.count;
    LODE_TRY(lode_i_observed_sumsq(ctx, &d->x, &d->sumsq));
done:
    lode_i_observed_free(&all);
    return st;
}

static lode_status read_data(lode_ctx *ctx, const lode_nmf_opts *o, const lode_matrix_info *info,
                             lode_plan *p, lode_i_nmf_data *d)
{
    lode_status st = LODE_OK;
    int64_t gaps = 0;
    bool some = some_count(o);
    double norm = 0;
    if (p->resident > 0 || (some && d->X.kind == LODE_SPARSE))
        LODE_TRY(hold(ctx, info, d));
    if (!some) {
        LODE_TRY(lode_i_require_nonneg(ctx, d->X, &o->missing, "nmf", &gaps));
        some = gaps > 0;
        if (some) { /* more memory than was planned */
            p->workspace += entries_memory(o, info, info->nonzeros, o->rank.count == 0);
            snprintf(p->algorithm, sizeof p->algorithm, "coordinate descent over observed values");
            LODE_TRY(lode_i_refine(ctx, &lode_op_nmf, p));
        }
    }
    LODE_REQUIRE(
        !some || o->init != LODE_NMF_NNDSVD, LODE_EPARAM,
        "nmf: --init nndsvd needs all entries; take --init random where some are missing, masked, "
        "weighted or held out");
    LODE_REQUIRE(!some || o->loss == LODE_NMF_KL || o->method != LODE_NMF_MU, LODE_EPARAM,
                 "nmf: --method mu with the Frobenius loss needs all entries; leave it to auto");
    if (some) {
        LODE_TRY(read_entries(ctx, o, d));
        goto done;
    }
    LODE_TRY(lode_linop_from(ctx, d->X, &d->A));
    LODE_TRY(lode_i_linop_norm(ctx, d->A, &norm));
    d->sumsq = norm * norm, d->count = d->m * d->n;
    if (o->loss == LODE_NMF_KL) { /* zeros count by the sums of the factors alone */
        const lode_missing zero = { .kind = LODE_MISSING_VALUE };
        LODE_TRY(lode_i_observed_from(ctx, d->X, &zero, NULL, NULL, d->dtype, &d->x));
        d->entries = true;
    }
done:
    return st;
}

/* ---- fits ---- */

typedef struct outcome {
    lode_i_nmf_fit best;
    lode_i_nmf_votes votes;
    lode_i_nmf_ranks ranks;
    lode_array objectives;
    double cophenetic, residual, norm, heldout;
} outcome;

static void free_outcome(outcome *r)
{
    lode_i_nmf_free(&r->best);
    lode_i_nmf_votes_free(&r->votes);
    LODE_FREE(&r->ranks.cv, &r->ranks.cv_error, &r->ranks.stability, &r->objectives);
}

static lode_status choose_rank(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                               int64_t most, outcome *r, int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_i_nmf_data some = *d; /* borrowed but for the entries */
    lode_nmf_opts all = *o;
    const lode_missing none = { .kind = LODE_MISSING_NONE };
    lode_array dense = { 0 };
    if (!d->A) {
        return lode_i_nmf_choose(ctx, o, d, most, &r->ranks, rank);
    }
    some.A = NULL, some.x = (lode_i_observed){ 0 };
    if (d->X.kind == LODE_SPARSE) {
        LODE_TRY(lode_sparse_to_dense(ctx, d->X.as.sparse, &dense));
        some.X = lode_from_array(&dense);
    }
    all.mask = all.weights = NULL;
    LODE_TRY(lode_i_observed_from(ctx, some.X, &none, NULL, NULL, d->dtype, &some.x));
    LODE_TRY(lode_i_nmf_choose(ctx, &all, &some, most, &r->ranks, rank));
done:
    lode_i_observed_free(&some.x);
    LODE_FREE(&dense);
    return st;
}

static lode_status fit_all(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d,
                           int64_t k, outcome *r)
{
    lode_status st = LODE_OK;
    lode_i_nmf_fit f = { 0 };
    if (o->restarts > 1) {
        LODE_TRY(lode_i_nmf_votes_new(ctx, d->m, &r->votes));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, o->restarts, &r->objectives));
    }
    for (int64_t t = 0; t < o->restarts; t++) {
        LODE_TRY(lode_i_tick(ctx, t, o->restarts));
        lode_i_nest(ctx);
        st = lode_i_nmf_start(ctx, o, d, k, t, &f);
        if (st >= 0)
            st = lode_i_nmf_fit_from(ctx, o, d, "nmf", (uint64_t)(t + 1), &f);
        lode_i_unnest(ctx);
        LODE_TRY(st);
        st = LODE_OK;
        if (o->restarts > 1) {
            LODE_TRY(lode_i_nmf_vote(ctx, &f, &r->votes));
            lode_i_set1(&r->objectives, t, f.objective);
        }
        if (t == 0 || f.objective < r->best.objective) {
            const lode_i_nmf_fit best = f;
            f = r->best, r->best = best;
        }
        lode_i_nmf_free(&f);
    }
    if (o->restarts > 1)
        LODE_TRY(lode_i_nmf_cophenetic(ctx, &r->votes, &r->cophenetic));
done:
    lode_i_nmf_free(&f);
    return st;
}

/* ---- result ---- */

/* The residual on the entries themselves, of the factors as they are given. */
static lode_status measure(lode_ctx *ctx, const lode_i_nmf_data *d, const lode_i_kruskal *m,
                           outcome *r)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 };
    double sumsq = 0, back = 0;
    r->norm = sqrt(d->sumsq);
    if (d->A) {
        LODE_TRY(lode_array_cast(ctx, &m->factor[0], d->dtype, &L));
        LODE_TRY(lode_i_scale_cols(ctx, &L, &m->scale));
        LODE_TRY(d->A->norm(ctx, d->A, &L, &m->factor[1], &r->residual));
    } else {
        LODE_TRY(lode_i_observed_residual(ctx, &d->x, 0, m->factor, &m->scale, NULL, &sumsq));
        r->residual = sqrt(sumsq);
    }
    if (d->back.count > 0) {
        LODE_TRY(lode_i_observed_residual(ctx, &d->back, 0, m->factor, &m->scale, NULL, &sumsq));
        LODE_TRY(lode_i_observed_sumsq(ctx, &d->back, &back));
        r->heldout = back > 0 ? sqrt(sumsq / back) : 0;
    }
done:
    LODE_FREE(&L);
    return st;
}

static lode_status add_agreement(lode_ctx *ctx, outcome *r, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array sampled = { 0 };
    LODE_TRY(lode_array_new(ctx, LODE_I64, 1, &r->votes.p, &sampled));
    for (int64_t i = 0; i < r->votes.p; i++)
        lode_i_set1(&sampled, i, (double)lode_i_nmf_sampled(&r->votes, i));
    LODE_TRY(lode_bundle_add_array(ctx, b, "objectives", &r->objectives));
    LODE_TRY(lode_bundle_add_array(ctx, b, "consensus", &r->votes.together));
    LODE_TRY(lode_bundle_add_array(ctx, b, "sampled", &sampled));
    LODE_TRY(lode_bundle_add_f64(ctx, b, "cophenetic", r->cophenetic));
done:
    LODE_FREE(&sampled);
    return st;
}

static lode_status pack(lode_ctx *ctx, const lode_nmf_opts *o, const lode_i_nmf_data *d, outcome *r,
                        lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m = { .ndim = 2, .k = r->best.W.shape[1] };
    const bool plain = !o->mask && !o->weights && !(o->holdout > 0) &&
                       o->missing.kind != LODE_MISSING_VALUE;
    lode_array_swap(&m.factor[0], &r->best.W);
    lode_array_swap(&m.factor[1], &r->best.H);
    LODE_TRY(lode_i_kruskal_normalize(ctx, &m));
    LODE_TRY(measure(ctx, d, &m, r));
    const double error = r->norm > 0 ? r->residual / r->norm : 0;
    lode_i_set1(&r->best.errors, r->best.steps, error);
    LODE_TRY(lode_i_kruskal_give(ctx, &m, b));
    LODE_TRY(lode_bundle_add_array(ctx, b, "trace", &r->best.errors));
    LODE_TRY(lode_bundle_add_i64(ctx, b, "entries", d->count));
    if (o->loss == LODE_NMF_KL)
        LODE_TRY(lode_bundle_add_f64(ctx, b, "divergence", r->best.divergence));
    if (o->holdout > 0)
        LODE_TRY(lode_bundle_add_f64(ctx, b, "heldout", r->heldout));
    if (o->restarts > 1)
        LODE_TRY(add_agreement(ctx, r, b));
    if (o->rank.count == 0) {
        LODE_TRY(lode_bundle_add_array(ctx, b, "cv", &r->ranks.cv));
        LODE_TRY(lode_bundle_add_array(ctx, b, "cv_error", &r->ranks.cv_error));
        LODE_TRY(lode_bundle_add_array(ctx, b, "stability", &r->ranks.stability));
    }
    b->certificate = (lode_certificate){ .kind = LODE_CERT_MEASURED,
                                         .norm = LODE_NORM_FRO,
                                         .relative = true,
                                         .needs_original = plain,
                                         .value = error,
                                         .absolute = r->residual,
                                         .asked = NAN };
    snprintf(b->certificate.quantity, sizeof b->certificate.quantity, "||X - W diag(s) H'||%s",
             d->A         ? ""
             : o->weights ? ", weighted observed values"
                          : ", observed values");
    if (r->best.status != LODE_OK)
        st = lode_i_fail(
            ctx, LODE_NOCONV,
            "nmf: %" PRId64
            " iterations did not settle the objective to %g; raise --max-iter or --tol",
            r->best.steps, o->tol);
done:
    lode_i_kruskal_free(&m);
    return st;
}

static lode_status check_options(lode_ctx *ctx, const lode_nmf_opts *o)
{
    LODE_FORWARD(lode_i_refuse_infinities(ctx, "nmf", &o->missing, "component"));
    if (o->loss == LODE_NMF_KL && o->method == LODE_NMF_HALS)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "nmf: --method hals is for the Frobenius loss; take mu or auto with kl");
    if (o->l1.count > 2 || o->ridge.count > 2)
        return lode_i_fail(
            ctx, LODE_EPARAM,
            "nmf: a penalty is one number, or one for the codes and one for the basis");
    if (o->restarts > 1 && (o->init == LODE_NMF_NNDSVD || (o->codes && o->basis)))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "nmf: --restarts %" PRId64
                           " from one and the same start; take --init random, or one restart",
                           o->restarts);
    if (o->rank.count == 0 && (o->codes || o->basis))
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "nmf: a start has its rank; give --rank with --codes or --basis");
    return LODE_OK;
}

lode_status lode_nmf(lode_ctx *ctx, const lode_nmf_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_bundle local = { 0 };
    lode_i_nmf_data d = { .X = X };
    outcome r = { 0 };
    LODE_ENTER(&lode_op_nmf, o, &p, X);
    LODE_TRY(check_options(ctx, o));
    const lode_call call = { .op = &lode_op_nmf, .in = { X } };
    const lode_matrix_info info = lode_call_matrix(&call, 0);
    d.dtype = info.dtype, d.m = info.rows, d.n = info.cols;
    int64_t k = p.number[0];
    lode_i_stage(ctx, "reading", 0, 0.05);
    LODE_TRY(read_data(ctx, o, &info, &p, &d));
    if (o->rank.count == 0) {
        lode_i_stage(ctx, "ranks", 0.05, 0.7);
        LODE_TRY(choose_rank(ctx, o, &d, k, &r, &k));
    }
    lode_i_stage(ctx, "factors", o->rank.count == 0 ? 0.7 : 0.05, 0.97);
    LODE_TRY(fit_all(ctx, o, &d, k, &r));
    lode_i_stage(ctx, "error", 0.97, 1);
    LODE_TRY(pack(ctx, o, &d, &r, &local));
    lode_bundle_swap(model, &local);
done:
    free_data(&d);
    free_outcome(&r);
    LODE_FREE(&local);
    LODE_LEAVE();
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_nmf(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_nmf = {
    .name = "nmf",
    .family = "matrix",
    .job = LODE_EXPLAIN,
    .brief = "nonnegative matrix factorization: parts that add up",
    .doi = "10.1162/NECO_a_00256 10.1162/neco_a_01157 10.1038/44565",
    .example = "lode nmf P.npy --rank 5 -o nmf.lode",
    .words =
        "nonnegative non-negative nmf hals topics parts spectra unmixing counts kullback leibler "
        "sparse missing weights consensus cophenetic",
    .params = params,
    .opts_size = sizeof(lode_nmf_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = lode_i_nmf_apply,
    .invert = lode_i_nmf_invert,
    .query = lode_i_nmf_query,
    .verify = lode_i_nmf_verify,
    .plot = lode_i_nmf_plot,
};
