/* tt: tensor train, about the fewest values that meet a total error.
 * Source: Oseledets, SIAM J. Sci. Comput. 33 (2011), doi:10.1137/090752286, Algorithms 1 (TT-SVD)
 * and 2 (rounding). Departures: bonds are found from the last to the first; ranks are chosen
 * afterwards from the singular values of all bonds, so that they use the whole budget, not
 * eps^2/(d-1) for each; see src/linop/tt_svd.c, tt_fit.c. Claim tested: Theorem 2.2 and Corollary
 * 2.4. */
#include <math.h>
#include <string.h>

#include "linop/tt.h"
#include "ops/tensor/tt.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_tt_opts, rank), .min = 1, .max = 1e9,
      .help = "rank: R for at most so much everywhere, R1,R2,.. one a bond, or auto" },
    { LODE_PARAM(lode_tt_opts, error), .min = 0, .max = 1e300,
      .help = "error wanted in total: 1e-3 (relative Frobenius; taken where neither rank nor "
              "budget is given), E:fro, P:psnr" },
    { LODE_PARAM(lode_tt_opts, budget), .min = 1, .max = 1e18,
      .help = LODE_HELP_BUDGET "; all cores count" },
    { LODE_PARAM(lode_tt_opts, max_rank), .min = 1, .max = 1e9, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_tt_opts, method), .def = LODE_TT_AUTO, .choices = "auto|gram|qr|random",
      .help = "bonds from Gram matrices (errors down to 1e-6), QR (any error), or from random "
              "vectors first" },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .types = LODE_NUMBERS, .help = "tensor of 1 or more modes" }, { 0 }
};
static const lode_port out[] = {
    { "core.*", NULL, .types = LODE_FLOATING, .repeated = true,
      .help = "one a mode, rank x mode x next rank; rows orthonormal but in the first, which "
              "holds the norm" },
    { 0 },
};

LODE_DEFAULTS(tt)

/* ---- options ---- */

static lode_status read_options(lode_ctx *ctx, const lode_tt_opts *o, const lode_dense_info *X,
                                lode_ttsvd_opts *s)
{
    lode_i_squares asked;
    *s = (lode_ttsvd_opts){ .method = (lode_ttsvd_method)o->method,
                            .kept = true,
                            .op = "tt",
                            .name = "X",
                            .ranks = o->rank.count };
    memcpy(s->rank, o->rank.value, sizeof s->rank);
    s->max_rank = o->max_rank.given ? o->max_rank.value : 0;
    LODE_FORWARD(lode_i_squares_asked(ctx, &lode_op_tt, "a train", &o->error, &o->budget,
                                      o->rank.count > 0, X, &asked));
    s->error = asked.error, s->unit = asked.unit, s->params = asked.params;
    return LODE_OK;
}

/* ---- plan ---- */

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_tt_opts *o = lode_call_opts(c);
    const lode_dense_info X = lode_call_dense(c, 0);
    lode_ttsvd_opts s;
    lode_ttsvd_cost full, least;
    int64_t most[LODE_MAX_NDIM], one[LODE_MAX_NDIM];
    const int workers = X.kind == LODE_ARRAY ? lode_ctx_threads(ctx) : 1;
    LODE_FORWARD(read_options(ctx, o, &X, &s));
    lode_i_tt_full(X.ndim, X.shape, most);
    for (int k = 0; k < X.ndim - 1; k++) {
        int64_t r = o->rank.count > 1 && k < o->rank.count ? o->rank.value[k]
                    : o->rank.count                        ? o->rank.value[0]
                                                           : most[k];
        r = s.max_rank ? lode_i_min(r, s.max_rank) : r;
        most[k] = lode_i_min(most[k], r < most[k] ? r + lode_i_max(8, r / 2) : r);
        one[k] = 1;
    }
    lode_i_tt_cost(X.stored, X.ndim, X.shape, most, &s, workers, &full);
    lode_i_tt_cost(X.stored, X.ndim, X.shape, one, &s, 1, &least);
    lode_i_plan_ranks(ctx, &X,
                      &(lode_i_need){ full.workspace, full.output, full.passes, full.flops },
                      &(lode_i_need){ .workspace = least.workspace, .output = least.output }, p);
    p->slab = X.ndim && X.size && X.kind == LODE_SOURCE
                  ? lode_i_max(1, full.slab / lode_i_max(1, X.size / X.shape[0]))
                  : 0;
    snprintf(p->algorithm, sizeof p->algorithm, "TT-SVD, %s",
             s.method == LODE_TTSVD_AUTO   ? "method by size and error"
             : s.method == LODE_TTSVD_GRAM ? "Gram matrices"
             : s.method == LODE_TTSVD_QR   ? "QR"
                                           : "random vectors first");
    return LODE_OK;
}

/* ---- the typed function ---- */

static void certify(const lode_ttsvd_info *i, lode_certificate *c)
{
    *c = lode_i_squares_certificate(i->error, i->norm, i->target, "||X - core.0 core.1 ..||");
    snprintf(c->note, sizeof c->note, "ranks by the %s; %s",
             i->bound == LODE_BY_ERROR    ? "error asked"
             : i->bound == LODE_BY_RANK   ? "ranks given"
             : i->bound == LODE_BY_BUDGET ? "budget"
                                          : "cap max_rank, which the error would have passed",
             i->residual ? "the residual itself"
                         : "from the norms of X and the train, rounding added");
}

lode_status lode_tt(lode_ctx *ctx, const lode_tt_opts *o, lode_value X, lode_bundle *cores,
                    lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_array core[LODE_MAX_NDIM] = { { 0 } };
    lode_bundle b = { 0 };
    lode_ttsvd_opts s;
    lode_ttsvd_info info;
    lode_dense_info x = { 0 };
    lode_ttsvd_cost cost;

    LODE_ENTER(&lode_op_tt, o, &p, X);
    const lode_call call = { .op = &lode_op_tt, .in = { X } };
    x = lode_call_dense(&call, 0);
    LODE_TRY(read_options(ctx, o, &x, &s));
    LODE_TRY(lode_i_tt_svd(ctx, X, &s, core, &info));
    lode_i_tt_cost(x.stored, x.ndim, x.shape, info.kept, &s,
                   X.kind == LODE_ARRAY ? lode_ctx_threads(ctx) : 1, &cost);
    p.workspace = cost.workspace;
    p.output = 0;
    for (int k = 0; k < x.ndim; k++)
        p.output += lode_array_bytes(&core[k]);
    p.passes = info.passes;
    LODE_TRY(lode_i_refine(ctx, &lode_op_tt, &p));
    LODE_TRY(lode_i_add_numbered(ctx, "core", core, x.ndim, &b));
    if (cert)
        certify(&info, cert);
    lode_bundle_swap(cores, &b);
done:
    LODE_LEAVE();
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&core[k]);
    LODE_FREE(&b);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle cores = { 0 };
    const lode_dense_info X = lode_call_dense(c, 0);
    LODE_TRY(lode_tt(ctx, lode_call_opts(c), c->in[0], &cores, &result->certificate));
    LODE_TRY(lode_i_give(ctx, &cores, &X, result));
done:
    LODE_FREE(&cores);
    return st;
}

/* ---- a fitted bundle ---- */

lode_status lode_i_tt_model(lode_ctx *ctx, const lode_bundle *b, tt_model *m)
{
    char name[24];
    const int d = b->meta.ndim;
    *m = (tt_model){ .d = d };
    if (!b->meta.has_shape || d < 1)
        return lode_i_fail(ctx, LODE_EFORMAT, "tt: the model has no shape of 1 or more modes");
    for (int k = 0; k < d; k++) {
        const lode_array *c;
        snprintf(name, sizeof name, "core.%d", k);
        LODE_FORWARD(lode_bundle_array(ctx, b, name, &c));
        const uint32_t type = UINT32_C(1) << c->dtype;
        if (c->ndim != 3 || c->shape[0] != (k ? m->core[k - 1].shape[2] : 1) ||
            c->shape[1] != b->meta.shape[k] || (k == d - 1 && c->shape[2] != 1) ||
            !(type & LODE_FLOATING) || lode_i_arith(c->dtype) != c->dtype ||
            (k && c->dtype != m->core[0].dtype))
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "tt: %s does not fit: %" PRId64 " x %" PRId64 " x .. is wanted",
                               name, k ? m->core[k - 1].shape[2] : 1, b->meta.shape[k]);
        m->core[k] = *c;
        m->core[k].owner = NULL; /* borrowed: the bundle outlives the verb */
    }
    return LODE_OK;
}

/* Mode 0 of another tensor in the rows of the other modes' cores: a core.0 for it, the nearest
 * tensor that the model's other cores can give. It may have any length along mode 0. */
static lode_status apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                         lode_bundle *result)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_array core = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_tt_model(ctx, fitted, &m));
    LODE_TRY(lode_i_check_modes(ctx, &lode_op_tt, false, x, m.d, m.core[0].dtype, shape));
    LODE_TRY(lode_i_tt_project(ctx, x, m.d, m.core, "X", &core, NULL));
    LODE_TRY(lode_bundle_add_array(ctx, result, "core.0", &core));
done:
    LODE_FREE(&core);
    return st;
}

/* Only the entries of the cores that the part asks for are multiplied. codes: a core.0 to expand
 * instead. */
static lode_status invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                          const lode_part *part, lode_array *x)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_array core = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM], shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_tt_model(ctx, fitted, &m));
    memcpy(shape, fitted->meta.shape, sizeof shape);
    if (codes.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, codes, m.core[0].dtype, &core));
        LODE_REQUIRE(core.ndim == 3 && core.shape[0] == 1 && core.shape[2] == m.core[0].shape[2],
                     LODE_ESHAPE, "tt: the codes are no core.0 of the model: 1 x any x %" PRId64,
                     m.core[0].shape[2]);
        m.core[0] = core;
        m.core[0].owner = NULL;
        shape[0] = core.shape[1];
    }
    LODE_TRY(lode_i_part_resolve(ctx, part, m.d, shape, start, count));
    LODE_TRY(lode_i_tt_expand(ctx, m.d, m.core, start, count, NULL, x));
done:
    LODE_FREE(&core);
    return st;
}

/* ||Q Q^H - I||, largest entry, of a core as the matrix of its rows. */
static lode_status orthonormality(lode_ctx *ctx, const lode_array *core, double *worst)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, G = { 0 }, I = { 0 };
    lode_diff d;
    LODE_TRY(lode_array_reshape(
        ctx, core, 2, (const int64_t[]){ core->shape[0], core->shape[1] * core->shape[2] }, &Q));
    LODE_TRY(lode_i_gram(ctx, LODE_N, &Q, &G));
    LODE_TRY(lode_i_eye(ctx, core->dtype, core->shape[0], &I));
    LODE_TRY(lode_i_diff(ctx, &I, &G, &d));
    *worst = d.mismatched ? INFINITY : d.maxabs;
done:
    LODE_FREE(&Q, &G, &I);
    return st;
}

/* Without the original: rows are orthonormal, and ||core.0||^2 = ||X||^2 - error^2 with the
 * certificate's numbers. With it: the residual is measured and must not exceed what the certificate
 * says. */
static lode_status verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                          lode_certificate *found)
{
    lode_status st = LODE_OK;
    tt_model m;
    const lode_certificate *c = &fitted->certificate;
    double worst, held, norm, error;
    int64_t size = 1;
    LODE_TRY(lode_i_tt_model(ctx, fitted, &m));
    const double eps = lode_i_epsilon(m.core[0].dtype);
    for (int k = 0; k < m.d; k++)
        size *= m.core[k].shape[1];
    for (int k = 1; k < m.d && size; k++) {
        const double n = (double)(m.core[k].shape[1] * m.core[k].shape[2]);
        LODE_TRY(orthonormality(ctx, &m.core[k], &worst));
        LODE_REQUIRE(worst <= 100 * eps * sqrt(n), LODE_EVERIFY,
                     "tt: the rows of core.%d are off orthonormal by %.3g", k, worst);
    }
    LODE_TRY(lode_i_norm_fro(ctx, &m.core[0], &held));
    double slack = 0; /* rounding of the cores, relative to the norm */
    for (int k = 0; k < m.d; k++)
        slack += 4 * eps * sqrt((double)m.core[k].shape[0]) + 16 * eps;
    *found = *c;
    if (original.kind == LODE_NONE) {
        norm = c->value > 0 ? c->absolute / c->value : held;
        const double expect = norm * sqrt(fmax(1 - c->value * c->value, 0));
        LODE_REQUIRE(fabs(held - expect) <= (slack + 1e-6 * c->value) * norm, LODE_EVERIFY,
                     "tt: ||core.0|| is %.9g, the certificate says %.9g", held, expect);
        goto done;
    }
    LODE_TRY(lode_i_tt_residual(ctx, original, m.d, m.core, "the original", &error, &norm));
    LODE_TRY(lode_i_squares_verify(ctx, &lode_op_tt, c, error, norm, slack, found));
done:
    return st;
}

const lode_op lode_op_tt = {
    .name = "tt",
    .family = "tensor",
    .job = LODE_EXPLAIN,
    .brief = "tensor train: about the fewest values that meet an error",
    .doi = "10.1137/090752286",
    .example = "lode tt data/winds_u.npy --error 0.1 -o winds.lode",
    .words = "tensor train tt-svd matrix product state mps many dimensions bond rank rounding "
             "high-order decomposition compression",
    .params = params,
    .opts_size = sizeof(lode_tt_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = apply,
    .invert = invert,
    .query = lode_i_tt_query,
    .update = lode_i_tt_update,
    .merge = lode_i_tt_merge,
    .verify = verify,
    .plot = lode_i_tt_plot,
};
