/* cp: canonical polyadic decomposition, a tensor as a sum of outer products.
 * Source: Phan, Tichavsky & Cichocki, IEEE Trans. Signal Process. 61 (2013), doi:10.1109/TSP.2013.2269903
 * (all products of a sweep from two reads of the tensor); Cichocki & Phan, IEICE E92-A (2009),
 * doi:10.1587/transfun.E92.A.708 (HALS, nonnegative); Ang, Cohen, Hien & Gillis, Numer. Linear Algebra Appl.
 * (2020), doi:10.1002/nla.2373 (extrapolation with restarts); Bro & Kiers, J. Chemom. 17 (2003),
 * doi:10.1002/cem.801 (core consistency). Departures: partial products follow a binary tree over the
 * modes in place of the fast gradient's recursion; a sweep that would raise the objective is never kept; descent goes row by
 * row. Claim tested: recovery of tensors of exact rank, objective never rising, rank by core consistency. */
#include <math.h>
#include <string.h>

#include "ops/tensor/cp.h"

enum { AUTO_MOST = 8 };

static const lode_param params[] = {
    { LODE_PARAM(lode_cp_opts, rank), .min = 1, .max = 10000,
      .help = "components: R, or auto (by core consistency; with --holdout by the error there)" },
    { LODE_PARAM(lode_cp_opts, max_rank), .min = 1, .max = 64,
      .help = "largest rank that auto tries; auto: 8" },
    { LODE_PARAM(lode_cp_opts, nonneg), .help = "factors >= 0, of data >= 0" },
    { LODE_PARAM(lode_cp_opts, ridge), .def = 0, .min = 0, .max = 1e12,
      .help = "penalty ridge/2 sum of squares of all factors" },
    { LODE_PARAM(lode_cp_opts, l1), .def = 0, .min = 0, .max = 1e12,
      .help = "penalty l1 sum of sizes of all factors' entries" },
    { LODE_PARAM(lode_cp_opts, init), .def = LODE_CP_RANDOM, .choices = "random|svd",
      .help = "start: random, or singular vectors of a sketch of each unfolding" },
    { LODE_PARAM(lode_cp_opts, restarts), .def = 1, .min = 1, .max = 1000,
      .help = "starts, of which the best end is kept; all but the first random" },
    { LODE_PARAM(lode_cp_opts, accelerate), .def = 1,
      .help = "extrapolate between sweeps; the error never rises" },
    { LODE_PARAM(lode_cp_opts, missing), .def_text = "nan", .help = LODE_HELP_MISSING },
    { LODE_PARAM(lode_cp_opts, observed), .def = LODE_CP_ALL, .choices = "all|entries",
      .help = "of a sparse X: all values (those not held are 0), or the entries held" },
    { LODE_PARAM(lode_cp_opts, mask), .help = LODE_HELP_MASK },
    { LODE_PARAM(lode_cp_opts, weights), .help = LODE_HELP_WEIGHTS },
    { LODE_PARAM(lode_cp_opts, holdout), .def = 0, .min = 0, .max = 0.9,
      .help = LODE_HELP_HOLDOUT },
    { LODE_PARAM(lode_cp_opts, affinity), .min = 2, .max = 1e9,
      .help = "X is neuron x time (x animal): decompose affinities neuron x neuron x window (x "
              "animal), of windows of so many steps" },
    { LODE_PARAM(lode_cp_opts, tol), .def = 1e-6, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the error" },
    { LODE_PARAM(lode_cp_opts, max_iter), .def = 1000, .min = 1, .max = 1e6,
      .help = LODE_HELP_MAX_ITER },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .kinds = LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE), .types = LODE_REAL_NUMBERS,
      .help = "tensor of 2 to 8 modes" },
    { 0 },
};
static const lode_port out[] = {
    { "s", "k", .types = LODE_REALS, .help = "weights, descending, unit of X" },
    { "factor.*", "n,k", .types = LODE_REALS, .repeated = true,
      .help = "a mode's factor, columns of length 1" },
    { "trace", "t", .types = LODE_REALS, .help = "relative error after each sweep; begins with 1" },
    { "consistency", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "core consistency in percent; nan: not known" },
    { "heldout", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR),
      .help = "relative error on what was kept back; nan: nothing was" },
    { "observed", NULL, .kinds = LODE_KIND_BIT(LODE_SCALAR), .help = "values fitted" },
    { 0 },
};

LODE_DEFAULTS(cp)

/* ---- plan ---- */

static int64_t largest_rank(const lode_cp_opts *o)
{
    return o->rank.count > 0 ? o->rank.value[0] : o->max_rank.given ? o->max_rank.value : AUTO_MOST;
}

static uint64_t fit_bytes(const lode_dense_info *X, int64_t k, int64_t max_iter)
{
    int64_t rows = 0, left = 1, right = 1, split = 1;
    double least = INFINITY;
    for (int m = 0; m < X->ndim; m++)
        rows += X->shape[m];
    for (int s = 1; s < X->ndim; s++) {
        double a = 1, b = 1;
        for (int m = 0; m < X->ndim; m++)
            *(m < s ? &a : &b) *= (double)X->shape[m];
        if (a + 8 * b < least)
            least = a + 8 * b, split = s;
    }
    for (int m = 0; m < X->ndim; m++) {
        int64_t *side = m < split ? &left : &right;
        if (!lode_i_mul(*side, X->shape[m], side))
            return UINT64_MAX / 8;
    }
    const int64_t ld = lode_i_ceil_div(lode_i_max(k, 2 * k + 10), CP_LANES) * CP_LANES;
    return 12 * lode_i_bytes(LODE_F64, rows + k, ld) +
           3 * lode_i_bytes(LODE_F64, left + right, ld) +
           lode_i_narrow_room(LODE_F64, left, right, ld) +
           6 * lode_i_bytes(LODE_F64, lode_i_max(X->size / X->shape[0], 1 << 19), 1) +
           lode_i_bytes(LODE_F64, max_iter + 1, 6) + (UINT64_C(4) << 20);
}

static uint64_t entries_bytes(const lode_ctx *ctx, const lode_cp_opts *o, const lode_dense_info *X,
                              lode_value value, int64_t k)
{
    const int64_t count = lode_i_observed_most(value);
    const uint64_t kept = lode_i_observed_bytes(X->dtype, X->ndim, X->shape, count, true);
    return (o->holdout > 0 ? 3 : 1) * kept +
           lode_i_observed_workspace(X->dtype, X->ndim, X->shape, count, true) +
           lode_i_observed_room(ctx, X->dtype, 2 * k + 10) + lode_i_bytes(LODE_F64, X->size, 2) +
           lode_i_bytes(LODE_F64, count, 3) + (UINT64_C(16) << 20);
}

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_cp_opts *o = lode_call_opts(c);
    lode_dense_info X = lode_call_dense(c, 0);
    const int64_t k = largest_rank(o);
    int64_t rows = 0, size = 1;
    uint64_t made = 0;
    if (o->affinity.given) {
        int64_t shape[LODE_MAX_NDIM];
        if (X.kind == LODE_SPARSE || !lode_i_cp_affinity_shape(o, X.ndim, X.shape, shape))
            return lode_i_fail(
                ctx, LODE_ESHAPE,
                "cp: option affinity takes a dense neuron x time (x animal) array of "
                "at least one window of %" PRId64 " steps",
                o->affinity.value);
        made = 3 * lode_i_bytes(LODE_F64, X.size, 1) +
               8 * lode_i_bytes(LODE_F64, X.shape[0], X.shape[0]);
        X.ndim++, X.size = 1;
        memcpy(X.shape, shape, (size_t)X.ndim * sizeof *shape);
        for (int m = 0; m < X.ndim; m++)
            if (!lode_i_mul(X.size, X.shape[m], &X.size))
                X.size = INT64_MAX / 64;
        made += 2 * lode_i_bytes(X.dtype, X.size, 1);
    }
    if (o->rank.count > 1)
        return lode_i_fail(ctx, LODE_EPARAM, "cp: a sum of outer products has one rank, not %d",
                           (int)o->rank.count);
    LODE_FORWARD(lode_i_check_tensor(ctx, "cp", X.ndim, X.shape, CP_MODES));
    for (int m = 0; m < X.ndim; m++) {
        rows += X.shape[m];
        if (!lode_i_mul(size, X.shape[m], &size))
            size = INT64_MAX / 64;
    }
    if (o->observed == LODE_CP_ENTRIES && X.kind != LODE_SPARSE)
        return lode_i_fail(
            ctx, LODE_EUSAGE,
            "cp: option observed is entries, but X is dense; mark what is unknown by "
            "missing or mask");
    const bool partial = lode_i_cp_partial(o, X.kind);
    p->output = lode_i_bytes(X.dtype, rows + 1, k) + lode_i_bytes(LODE_F64, o->max_iter + 1, 1) +
                8192;
    if (X.kind == LODE_SPARSE) {
        lode_dense_info entries = X;
        entries.size = o->mask || o->weights ? size : 0;
        X.size = lode_i_observed_most(c->in[0]);
        p->workspace = entries_bytes(ctx, o, &entries, c->in[0], k) +
                       12 * lode_i_bytes(LODE_F64, rows + k, 2 * k + 26) +
                       lode_i_bytes(LODE_F64, o->max_iter + 1, 6);
        p->flops = 100.0 * 4 * X.ndim * (double)X.size * (double)k;
    } else {
        p->workspace = fit_bytes(&X, k, o->max_iter) + made;
        /* the values in their arithmetic type, and once more where they are far from 1 */
        p->workspace += 2 * lode_i_bytes(X.dtype, X.size, 1);
        if (partial)
            p->workspace += entries_bytes(ctx, o, &X, c->in[0], k);
        p->flops = 100.0 * 4 * (double)X.size * (double)k;
    }
    p->passes = 1;
    p->seconds = p->flops / lode_i_gemm_rate(ctx, X.dtype);
    snprintf(p->algorithm, sizeof p->algorithm, "%s, %s",
             o->nonneg || o->l1 > 0 ? "coordinate descent" : "least squares",
             partial                 ? "values observed"
             : X.kind == LODE_SPARSE ? "sparse fibres"
                                     : "dimension tree");
    return LODE_OK;
}

/* ---- choosing the rank ---- */

/* Of several starts, the best end. */
static lode_status best_of(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, int64_t k,
                           cp_fit *best)
{
    lode_status st = LODE_OK;
    cp_fit one = { 0 };
    for (int64_t r = 0; r < o->restarts; r++) {
        const lode_status fitted = lode_i_cp_fit(ctx, o, d, k, (uint64_t)r, &one);
        if (fitted < 0) {
            st = fitted;
            goto done;
        }
        if (r == 0 || one.objective < best->objective) {
            const cp_fit t = *best;
            *best = one, one = t;
        }
    }
    st = best->status;
done:
    lode_i_cp_fit_free(&one);
    return st;
}

static lode_status heldout_error(lode_ctx *ctx, const cp_data *d, const cp_fit *f, double *error)
{
    double left, all;
    *error = (double)NAN;
    if (d->held.count == 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_observed_residual(ctx, &d->held, 0, f->model.factor, NULL, NULL, &left));
    LODE_FORWARD(lode_i_observed_sumsq(ctx, &d->held, &all));
    *error = all > 0 ? sqrt(left / all) : 0;
    return LODE_OK;
}

enum { CONSISTENT = 80 }; /* percent; Bro and Kiers: above 90 is trilinear, below 50 is not */

/* Whether a component more takes away more than the largest that noise has: (sum of the roots of the
 * dimensions)^2 of its variance, which doubled leaves room for one that is not the first. */
static bool worth(const cp_data *d, int64_t k, double before, double after)
{
    double values = 1, roots = 0, rows = 0;
    for (int m = 0; m < d->ndim; m++) {
        values *= (double)d->shape[m], rows += (double)d->shape[m];
        roots += sqrt((double)d->shape[m]);
    }
    const double used = (double)k * (rows - d->ndim + 1);
    const double variance = after * after / fmax(values - used, 1);
    const double gain = before * before - after * after;
    return gain > fmax(2 * roots * roots * variance, 1e3 * lode_i_epsilon(d->dtype));
}

/* The largest rank whose core is that of outer products and whose last component is more than noise, or the one with the least error on what was kept
 * back; two in a row that are worse end the search. */
static lode_status choose(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, cp_fit *best,
                          double *consistency)
{
    lode_status st = LODE_OK;
    cp_fit one = { 0 };
    const int64_t most = largest_rank(o);
    double least = INFINITY, before = 1;
    lode_cp_opts several = *o;
    several.restarts = lode_i_max(o->restarts, 3);
    int worse = 0;
    LODE_REQUIRE(d->kind != CP_OBSERVED || d->held.count > 0, LODE_EUSAGE,
                 "cp: rank auto with values missing compares errors on values kept back; give "
                 "holdout, 0.1 say, or a rank");
    for (int64_t k = 1; k <= most && worse < 2; k++) {
        double percent, held, score;
        lode_i_stage(ctx, "ranks", (double)(k - 1) / (double)most, (double)k / (double)most);
        const lode_status fitted = best_of(ctx, &several, d, k, &one);
        if (fitted < 0) {
            st = fitted;
            goto done;
        }
        LODE_TRY(lode_i_cp_consistency(ctx, d, one.model.factor, &percent));
        LODE_TRY(heldout_error(ctx, d, &one, &held));
        const bool holds = percent >= CONSISTENT && worth(d, k, before, one.error);
        score = d->held.count > 0 ? held : holds || k == 1 ? -(double)k : INFINITY;
        before = one.error;
        if (score < least) {
            const cp_fit t = *best;
            *best = one, one = t;
            least = score, *consistency = percent;
            worse = 0;
        } else {
            worse++;
        }
    }
    st = best->status;
done:
    lode_i_cp_fit_free(&one);
    return st;
}

/* ---- the typed function ---- */

/* Kruskal's condition, which is sufficient, at the ranks that factors can have. */
static bool identifiable(const cp_data *d, int64_t k)
{
    int64_t sum = 0;
    for (int m = 0; m < d->ndim; m++)
        sum += lode_i_min(d->shape[m], k);
    return k == 1 || sum >= 2 * k + d->ndim - 1;
}

static void certify(const cp_data *d, const lode_cp_opts *o, const cp_fit *f, double sumsq,
                    bool exact, lode_certificate *c)
{
    double all = 1; /* of all values where none was missing and each counts as much */
    for (int m = 0; m < d->ndim; m++)
        all *= (double)d->shape[m];
    *c = lode_i_squares_certificate(sqrt(sumsq) * d->unit, sqrt(d->sumsq) * d->unit, NAN,
                                    d->kind == CP_OBSERVED && ((double)d->count < all || o->weights)
                                        ? "||X - sum_r s_r a_r o b_r o ..||, observed values"
                                        : "||X - sum_r s_r a_r o b_r o ..||");
    c->absolute = d->sumsq > 0 ? c->absolute : 0;
    snprintf(c->note, sizeof c->note, "rank %" PRId64 " %s; %s%s", f->model.k,
             o->rank.count > 0 ? "given" : "chosen",
             exact ? "the residual itself" : "from norms: rounding below 1e-7 (f32: 2e-3)",
             identifiable(d, f->model.k) ? "" : "; other factors may fit as well (Kruskal)");
}

static lode_status pack(lode_ctx *ctx, const lode_cp_opts *o, const cp_data *d, cp_fit *f,
                        double consistency, lode_bundle *model)
{
    lode_status st = LODE_OK;
    double sumsq, heldout;
    bool exact;
    lode_i_kruskal *m = &f->model;
    LODE_TRY(heldout_error(ctx, d, f, &heldout));
    LODE_TRY(lode_i_kruskal_normalize(ctx, m));
    LODE_TRY(lode_i_cp_residual(ctx, d, m, &sumsq, &exact));
    certify(d, o, f, sumsq, exact, &model->certificate);
    lode_i_set1(&f->trace, f->trace.shape[0] - 1, model->certificate.value);
    LODE_TRY(lode_i_scale(ctx, d->unit, &m->scale));
    LODE_TRY(lode_i_require_finite(ctx, &m->scale, "s"));
    LODE_TRY(lode_i_kruskal_give(ctx, m, model));
    LODE_TRY(lode_bundle_add_array(ctx, model, "trace", &f->trace));
    LODE_TRY(lode_bundle_add_f64(ctx, model, "consistency", consistency));
    LODE_TRY(lode_bundle_add_f64(ctx, model, "heldout", heldout));
    LODE_TRY(lode_bundle_add_i64(ctx, model, "observed", d->count));
done:
    return st;
}

lode_status lode_cp(lode_ctx *ctx, const lode_cp_opts *o, lode_value X, lode_bundle *model)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    cp_data d = { 0 };
    cp_fit f = { 0 };
    lode_bundle local = { 0 };
    double consistency = (double)NAN;
    LODE_ENTER(&lode_op_cp, o, &p, X);
    const bool whole = X.kind != LODE_SPARSE && !lode_i_cp_partial(o, X.kind);
    const lode_call call = { .op = &lode_op_cp, .in = { X } };
    const lode_dense_info info = lode_call_dense(&call, 0);
    LODE_TRY(lode_i_cp_open(ctx, o, X, &d));
    if (whole && d.kind == CP_OBSERVED) { /* values are missing: known now, and not in affinities */
        p.workspace += entries_bytes(ctx, o, &info, X, largest_rank(o));
        LODE_TRY(lode_i_refine(ctx, &lode_op_cp, &p));
    }
    if (o->rank.count > 0) {
        LODE_TRY(best_of(ctx, o, &d, o->rank.value[0], &f));
        LODE_TRY(lode_i_cp_consistency(ctx, &d, f.model.factor, &consistency));
    } else {
        LODE_TRY(choose(ctx, o, &d, &f, &consistency));
    }
    LODE_TRY(pack(ctx, o, &d, &f, consistency, &local));
    lode_bundle_swap(model, &local);
done:
    LODE_LEAVE();
    lode_i_cp_close(&d);
    lode_i_cp_fit_free(&f);
    LODE_FREE(&local);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    return lode_cp(ctx, lode_call_opts(c), c->in[0], result);
}

const lode_op lode_op_cp = {
    .name = "cp",
    .family = "tensor",
    .job = LODE_EXPLAIN,
    .brief = "canonical polyadic decomposition: a tensor as a sum of outer products",
    .doi = "10.1109/TSP.2013.2269903 10.1587/transfun.E92.A.708 10.1002/nla.2373 10.1002/cem.801",
    .example = "lode cp data/winds_u.npy --rank 3 --max-iter 200 --tol 1e-4 -o cp.lode",
    .words = "candecomp parafac trilinear kruskal tensor rank factors nonnegative ntf hals als "
             "missing values sparse components corcondia",
    .params = params,
    .opts_size = sizeof(lode_cp_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .plan = plan,
    .run = run,
    .apply = lode_i_cp_apply,
    .invert = lode_i_cp_invert,
    .query = lode_i_cp_query,
    .verify = lode_i_cp_verify,
    .plot = lode_i_cp_plot,
};
