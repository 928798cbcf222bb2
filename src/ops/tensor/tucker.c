/* tucker: Tucker decomposition, the smallest core that meets a total error.
 * Source: Vannieuwenhoven, Vandebril & Meerbergen, SIAM J. Sci. Comput. 34 (2012),
 * doi:10.1137/110836067, Algorithm 1 (sequentially truncated HOSVD); sweeps: De Lathauwer, De Moor
 * & Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000), doi:10.1137/S0895479898346995 (HOOI);
 * budgets: Ghadiri, Fahrbach, Fu & Mirrokni, ICML 2023 (core shapes). Departures: ranks are chosen
 * after the decomposition, from the energies of a core larger than needed, so that they use the
 * whole budget, not a share for each mode; see src/linop/sthosvd.c. Claim tested: error bound of
 * Section 5. */
#include <math.h>
#include <string.h>

#include "lode/tensor.h"

#include "array/box.h"
#include "linop/sthosvd.h"
#include "op/op.h"
#include "ops/tensor/tucker.h"

static const lode_param params[] = {
    { LODE_PARAM(lode_tucker_opts, rank), .min = 1, .max = 1e9,
      .help = LODE_HELP_RANK ", one a mode" },
    { LODE_PARAM(lode_tucker_opts, error), .min = 0, .max = 1e300,
      .help = "error wanted in total: 1e-3 (relative Frobenius; taken where neither rank nor "
              "budget is given), E:fro, P:psnr" },
    { LODE_PARAM(lode_tucker_opts, budget), .min = 1, .max = 1e18,
      .help = LODE_HELP_BUDGET "; core and factors count" },
    { LODE_PARAM(lode_tucker_opts, max_rank), .min = 1, .max = 1e9, .help = LODE_HELP_MAX_RANK },
    { LODE_PARAM(lode_tucker_opts, method), .def = LODE_TUCKER_AUTO,
      .choices = "auto|gram|qr|random",
      .help = "bases from Gram matrices (errors down to 1e-6), QR (any error), or a random sketch "
              "first" },
    { LODE_PARAM(lode_tucker_opts, max_iter), .def = 0, .min = 0, .max = 1000,
      .help = "HOOI sweeps at most, at the ranks chosen; each costs a pass a mode" },
    { LODE_PARAM(lode_tucker_opts, tol), .def = 1e-4, .min = 0, .max = 1,
      .help = LODE_HELP_TOL ": relative change of the error" },
    { LODE_PARAM(lode_tucker_opts, oversampling), .min = 1, .max = 1e6,
      .help = LODE_HELP_OVERSAMPLING },
    { 0 },
};
static const lode_port in[] = {
    { "X", "...", .types = LODE_NUMBERS, .help = "tensor of 1 or more modes" }, { 0 }
};
static const lode_port out[] = {
    { "core", "...", .types = LODE_FLOATING, .help = "core tensor, one axis a mode" },
    { "factor.*", NULL, .types = LODE_FLOATING, .repeated = true,
      .help = "basis of each mode, orthonormal columns" },
    { 0 },
};

LODE_DEFAULTS(tucker)

/* ---- options ---- */

static lode_status read_options(lode_ctx *ctx, const lode_tucker_opts *o, const lode_dense_info *X,
                                lode_sthosvd_opts *s)
{
    lode_i_squares asked;
    *s = (lode_sthosvd_opts){ .method = (lode_sthosvd_method)o->method,
                              .sweeps = o->max_iter,
                              .tol = o->tol,
                              .kept = true,
                              .op = "tucker",
                              .name = "X",
                              .ranks = o->rank.count };
    memcpy(s->rank, o->rank.value, sizeof s->rank);
    s->max_rank = o->max_rank.given ? o->max_rank.value : 0;
    s->oversampling = o->oversampling.given ? o->oversampling.value : 0;
    LODE_FORWARD(lode_i_squares_asked(ctx, &lode_op_tucker, "a Tucker core", &o->error, &o->budget,
                                      o->rank.count > 0, X, &asked));
    s->error = asked.error, s->unit = asked.unit, s->params = asked.params;
    return LODE_OK;
}

/* ---- plan ---- */

static lode_status plan(lode_ctx *ctx, const lode_call *c, lode_plan *p)
{
    const lode_tucker_opts *o = lode_call_opts(c);
    const lode_dense_info X = lode_call_dense(c, 0);
    lode_sthosvd_opts s;
    lode_sthosvd_cost full, least;
    int64_t most[LODE_MAX_NDIM], one[LODE_MAX_NDIM];
    const int workers = X.kind == LODE_ARRAY ? lode_ctx_threads(ctx) : 1;
    LODE_FORWARD(read_options(ctx, o, &X, &s));
    for (int k = 0; k < X.ndim; k++) {
        const int64_t r = o->rank.count > 1 && k < o->rank.count ? o->rank.value[k]
                          : o->rank.count                        ? o->rank.value[0]
                                                                 : X.shape[k];
        most[k] = lode_i_min(X.shape[k], s.max_rank ? lode_i_min(r, s.max_rank) : r);
        one[k] = lode_i_min(1, X.shape[k]);
    }
    lode_i_sthosvd_cost(X.stored, X.ndim, X.shape, most, &s, workers, &full);
    lode_i_sthosvd_cost(X.stored, X.ndim, X.shape, one, &s, 1, &least);
    lode_i_plan_ranks(ctx, &X,
                      &(lode_i_need){ full.workspace, full.output, full.passes, full.flops },
                      &(lode_i_need){ .workspace = least.least, .output = least.output }, p);
    p->slab = full.slab_axis == 0 ? full.slab : 0;
    snprintf(p->algorithm, sizeof p->algorithm, "ST-HOSVD, %s%s",
             s.method == LODE_STHOSVD_AUTO   ? "method by size and error"
             : s.method == LODE_STHOSVD_GRAM ? "Gram matrices"
             : s.method == LODE_STHOSVD_QR   ? "QR"
                                             : "random sketch",
             o->max_iter ? ", HOOI" : "");
    return LODE_OK;
}

/* ---- the typed function ---- */

static void certify(const lode_sthosvd_info *i, lode_certificate *c)
{
    *c = lode_i_squares_certificate(i->error, i->norm, i->target, "||X - core x_k U_k||");
    const char *measured = i->residual ? "the residual itself"
                                       : "from ||X||^2 - ||core||^2, rounding added";
    if (i->bound == LODE_BY_BUDGET)
        snprintf(c->note, sizeof c->note, "ranks by the budget, error predicted at most %.6g; %s",
                 i->norm > 0 ? i->predicted / i->norm : 0, measured);
    else
        snprintf(c->note, sizeof c->note, "ranks by the %s; %s",
                 i->bound == LODE_BY_ERROR  ? "error asked"
                 : i->bound == LODE_BY_RANK ? "ranks given"
                                            : "cap max_rank, which the error would have passed",
                 measured);
}

lode_status lode_tucker(lode_ctx *ctx, const lode_tucker_opts *o, lode_value X, lode_array *core,
                        lode_bundle *factors, lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_plan p = { 0 };
    lode_array G = { 0 }, U[LODE_MAX_NDIM] = { { 0 } };
    lode_bundle b = { 0 };
    lode_sthosvd_opts s;
    lode_sthosvd_info info;
    lode_dense_info x = { 0 };
    lode_sthosvd_cost cost;

    LODE_ENTER(&lode_op_tucker, o, &p, X);
    const lode_call call = { .op = &lode_op_tucker, .in = { X } };
    x = lode_call_dense(&call, 0);
    LODE_TRY(read_options(ctx, o, &x, &s));
    LODE_TRY(lode_i_sthosvd(ctx, X, &s, &G, U, &info));
    lode_i_sthosvd_cost(x.stored, x.ndim, x.shape, info.kept, &s,
                        X.kind == LODE_ARRAY ? lode_ctx_threads(ctx) : 1, &cost);
    p.workspace = cost.workspace;
    p.output = lode_array_bytes(&G);
    for (int k = 0; k < x.ndim; k++)
        p.output += lode_array_bytes(&U[k]);
    p.passes = info.passes;
    LODE_TRY(lode_i_refine(ctx, &lode_op_tucker, &p));
    LODE_TRY(lode_i_add_numbered(ctx, "factor", U, x.ndim, &b));
    if (cert)
        certify(&info, cert);
    lode_array_swap(core, &G);
    lode_bundle_swap(factors, &b);
done:
    LODE_LEAVE();
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&U[k]);
    LODE_FREE(&G, &b);
    return st;
}

static lode_status run(lode_ctx *ctx, const lode_call *c, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle factors = { 0 };
    lode_array *core;
    const lode_dense_info X = lode_call_dense(c, 0);
    LODE_TRY(lode_bundle_reserve(ctx, result, out, &core));
    LODE_TRY(lode_tucker(ctx, lode_call_opts(c), c->in[0], core, &factors, &result->certificate));
    LODE_TRY(lode_i_give(ctx, &factors, &X, result));
done:
    LODE_FREE(&factors);
    return st;
}

/* ---- a fitted bundle ---- */

typedef tucker_model model;

lode_status lode_i_tucker_model(lode_ctx *ctx, const lode_bundle *b, model *m)
{
    char name[24];
    *m = (model){ 0 };
    LODE_FORWARD(lode_bundle_array(ctx, b, "core", &m->core));
    const int d = m->core->ndim;
    const uint32_t type = UINT32_C(1) << m->core->dtype;
    if (!b->meta.has_shape || b->meta.ndim != d || d < 1 || !(type & LODE_FLOATING) ||
        lode_i_arith(m->core->dtype) != m->core->dtype)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "tucker: the core (%d axes, %s) does not fit a tensor of %d modes", d,
                           lode_dtype_name(m->core->dtype), (int)b->meta.ndim);
    for (int k = 0; k < d; k++) {
        const lode_array *U;
        snprintf(name, sizeof name, "factor.%d", k);
        LODE_FORWARD(lode_bundle_array(ctx, b, name, &U));
        if (U->ndim != 2 || U->shape[0] != b->meta.shape[k] || U->shape[1] != m->core->shape[k] ||
            U->dtype != m->core->dtype)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "tucker: %s does not fit: %" PRId64 " x %" PRId64 " %s is wanted",
                               name, b->meta.shape[k], m->core->shape[k],
                               lode_dtype_name(m->core->dtype));
        m->U[k] = *U;
        m->U[k].owner = NULL; /* borrowed: the bundle outlives the verb */
    }
    m->d = d;
    return LODE_OK;
}

/* core = X x_k U_k^H of another tensor of the same shape: its coefficients in the same bases. */
static lode_status apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                         lode_bundle *result)
{
    lode_status st = LODE_OK;
    model m;
    lode_array core = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    LODE_TRY(lode_i_tucker_model(ctx, fitted, &m));
    LODE_TRY(lode_i_check_modes(ctx, &lode_op_tucker, false, x, m.d, m.core->dtype, shape));
    LODE_TRY(lode_i_tucker_project(ctx, x, m.U, "X", &core, NULL));
    LODE_TRY(lode_bundle_add_array(ctx, result, "core", &core));
done:
    LODE_FREE(&core);
    return st;
}

/* Only the rows of the factors that the part asks for are multiplied. codes: a core to expand
 * instead. */
static lode_status invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                          const lode_part *part, lode_array *x)
{
    lode_status st = LODE_OK;
    model m;
    lode_array core = { 0 };
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    LODE_TRY(lode_i_tucker_model(ctx, fitted, &m));
    LODE_TRY(lode_i_part_resolve(ctx, part, m.d, fitted->meta.shape, start, count));
    if (codes.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, codes, m.core->dtype, &core));
        bool same = core.ndim == m.d;
        for (int k = 0; same && k < m.d; k++)
            same = core.shape[k] == m.core->shape[k];
        LODE_REQUIRE(same, LODE_ESHAPE,
                     "tucker: the codes have another shape than the core of the model");
    } else {
        core = lode_array_ref(m.core);
    }
    LODE_TRY(lode_i_tucker_expand(ctx, &core, m.U, start, count, x));
done:
    LODE_FREE(&core);
    return st;
}

/* ||U^H U - I||, largest entry. */
static lode_status orthonormality(lode_ctx *ctx, const lode_array *U, double *worst)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, I = { 0 };
    lode_diff d;
    LODE_TRY(lode_i_gram(ctx, LODE_H, U, &G));
    LODE_TRY(lode_i_eye(ctx, U->dtype, U->shape[1], &I));
    LODE_TRY(lode_i_diff(ctx, &I, &G, &d));
    *worst = d.mismatched ? INFINITY : d.maxabs;
done:
    LODE_FREE(&G, &I);
    return st;
}

/* Without the original: the bases are orthonormal, and ||core||^2 = ||X||^2 - error^2 with the
 * certificate's numbers. With it: the residual is measured and must not exceed what the certificate
 * says. */
static lode_status verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                          lode_certificate *found)
{
    lode_status st = LODE_OK;
    model m;
    const lode_certificate *c = &fitted->certificate;
    double worst, held, norm, error;
    LODE_TRY(lode_i_tucker_model(ctx, fitted, &m));
    const double eps = lode_i_epsilon(m.core->dtype);
    for (int k = 0; k < m.d; k++) {
        LODE_TRY(orthonormality(ctx, &m.U[k], &worst));
        LODE_REQUIRE(worst <= 100 * eps * sqrt((double)lode_i_max(m.U[k].shape[0], 1)),
                     LODE_EVERIFY, "tucker: factor.%d is off orthonormal by %.3g", k, worst);
    }
    LODE_TRY(lode_i_norm_fro(ctx, m.core, &held));
    const double slack = 20 * m.d * eps; /* rounding of core and factors, relative to the norm */
    *found = *c;
    if (original.kind == LODE_NONE) {
        norm = c->value > 0 ? c->absolute / c->value : held;
        const double expect = sqrt(fmax(norm * norm - c->absolute * c->absolute, 0));
        LODE_REQUIRE(fabs(held - expect) <= (slack + 1e-6 * c->value) * norm, LODE_EVERIFY,
                     "tucker: ||core|| is %.9g, the certificate says %.9g", held, expect);
        goto done;
    }
    LODE_TRY(lode_i_tucker_residual(ctx, original, m.core, m.U, "the original", &error, &norm));
    LODE_TRY(lode_i_squares_verify(ctx, &lode_op_tucker, c, error, norm, slack, found));
done:
    return st;
}

/* ---- more data ---- */

static lode_status add_result(lode_ctx *ctx, const lode_bundle *a, int64_t rows, lode_array *core,
                              lode_array *U, lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_bundle b = { 0 };
    const int d = core->ndim;
    LODE_TRY(lode_bundle_add_array(ctx, &b, "core", core));
    LODE_TRY(lode_i_add_numbered(ctx, "factor", U, d, &b));
    lode_i_lengthen(&a->meta, rows, &b);
    lode_bundle_swap(result, &b);
done:
    LODE_FREE(&b);
    return st;
}

static lode_status merge(lode_ctx *ctx, const lode_bundle *a, const lode_bundle *b,
                         lode_bundle *result)
{
    lode_status st = LODE_OK;
    model m, n;
    lode_array core = { 0 }, U[LODE_MAX_NDIM] = { { 0 } };
    double norm_a, norm_b;
    LODE_TRY(lode_i_tucker_model(ctx, a, &m));
    LODE_TRY(lode_i_tucker_model(ctx, b, &n));
    LODE_REQUIRE(m.d == n.d && m.core->dtype == n.core->dtype, LODE_ESHAPE,
                 "tucker: models of %d modes in %s and %d modes in %s do not stack", m.d,
                 lode_dtype_name(m.core->dtype), n.d, lode_dtype_name(n.core->dtype));
    for (int k = 1; k < m.d; k++)
        LODE_REQUIRE(a->meta.shape[k] == b->meta.shape[k], LODE_ESHAPE,
                     "tucker: models stack along mode 0; mode %d has %" PRId64 " and %" PRId64
                     " values",
                     k, a->meta.shape[k], b->meta.shape[k]);
    LODE_TRY(lode_i_fitted_norm(ctx, a, m.core, &norm_a));
    LODE_TRY(lode_i_fitted_norm(ctx, b, n.core, &norm_b));
    LODE_TRY(lode_i_tucker_stack(ctx, m.core, m.U, n.core, n.U, &core, U));
    LODE_TRY(add_result(ctx, a, b->meta.shape[0], &core, U, result));
    LODE_TRY(lode_i_stack_certificates(ctx, &lode_op_tucker, &a->certificate, norm_a,
                                       b->certificate.absolute, norm_b, &result->certificate));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        lode_array_free(&U[k]);
    LODE_FREE(&core);
    return st;
}

/* Of the new slices' own bases V, the directions that the model's lack are added, all but an energy
 * `drop` a mode; the slices are then projected on the wider bases. */
static lode_status widen(lode_ctx *ctx, const model *m, lode_value x, const lode_array *own,
                         const lode_array *V, double drop, lode_array *core, lode_array *Q,
                         double *error, double *norm)
{
    lode_status st = LODE_OK;
    lode_array U0 = lode_array_ref(&V[0]);
    lode_array_swap(&Q[0], &U0);
    for (int k = 1; k < m->d; k++)
        LODE_TRY(lode_i_tucker_extend(ctx, &m->U[k], own, k, &V[k], drop, &Q[k]));
    LODE_TRY(lode_i_tucker_project(ctx, x, Q, "X", core, NULL));
    LODE_TRY(lode_i_tucker_residual(ctx, x, core, Q, "X", error, norm));
done:
    LODE_FREE(&U0);
    return st;
}

/* New slices along mode 0. They are approximated to the relative error that was asked of the model,
 * in its bases as far as those serve; the old part stays as it is, so that the errors add in
 * squares and nothing is lost twice. */
static lode_status update(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                          lode_bundle *result)
{
    lode_status st = LODE_OK;
    model m;
    lode_sthosvd_info info;
    lode_array own = { 0 }, V[LODE_MAX_NDIM] = { { 0 } }, Q[LODE_MAX_NDIM] = { { 0 } },
               U[LODE_MAX_NDIM] = { { 0 } }, core_b = { 0 }, core = { 0 };
    int64_t rows;
    double norm_a, error = 0, norm = 0;
    const lode_certificate *c = &fitted->certificate;
    LODE_TRY(lode_i_tucker_model(ctx, fitted, &m));
    LODE_TRY(lode_i_check_slices(ctx, &lode_op_tucker, x, &fitted->meta, m.core->dtype, &rows));
    LODE_TRY(lode_i_fitted_norm(ctx, fitted, m.core, &norm_a));
    const double wanted = c->asked > 0 ? c->asked : c->value; /* NaN: none was asked */
    const lode_sthosvd_opts o = { .error = 0.9 * wanted, .op = "tucker", .name = "X" };
    LODE_TRY(lode_i_sthosvd(ctx, x, &o, &own, V, &info));
    for (int k = -1; k < m.d; k++) {
        lode_array *a = k < 0 ? &own : &V[k], y = { 0 };
        LODE_TRY(lode_i_as(ctx, a, m.core->dtype, &y));
        lode_array_swap(a, &y);
        lode_array_free(&y);
    }
    const double spare = pow(wanted * info.norm, 2) - info.error * info.error;
    LODE_TRY(
        widen(ctx, &m, x, &own, V, spare > 0 ? 0.5 * spare / m.d : 0, &core_b, Q, &error, &norm));
    if (error > wanted * norm) /* what was dropped of several modes together was too much */
        LODE_TRY(widen(ctx, &m, x, &own, V, 0, &core_b, Q, &error, &norm));
    LODE_TRY(lode_i_tucker_stack(ctx, m.core, m.U, &core_b, Q, &core, U));
    LODE_TRY(add_result(ctx, fitted, rows, &core, U, result));
    LODE_TRY(lode_i_stack_certificates(ctx, &lode_op_tucker, c, norm_a, error, norm,
                                       &result->certificate));
done:
    for (int k = 0; k < LODE_MAX_NDIM; k++)
        LODE_FREE(&V[k], &Q[k], &U[k]);
    LODE_FREE(&own, &core_b, &core);
    return st;
}

/* ---- figure ---- */

enum { IMAGE = 200 };

static lode_status spectra(lode_ctx *ctx, const lode_array *core, lode_panel *spectrum,
                           lode_panel *left)
{
    lode_status st = LODE_OK;
    double *store = NULL, *energy[LODE_MAX_NDIM];
    lode_array norms = { 0 }, tail = { 0 };
    int64_t length = 0;
    for (int k = 0; k < core->ndim; k++)
        length += core->shape[k];
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &store));
    for (int k = 0; k < core->ndim; k++)
        energy[k] = k ? energy[k - 1] + core->shape[k - 1] : store;
    LODE_TRY(lode_i_slice_energies(ctx, core, NULL, NULL, energy));
    for (int k = 0; k < core->ndim; k++) {
        char label[24];
        const int64_t r = core->shape[k];
        double sum = 0, total = 0;
        snprintf(label, sizeof label, "mode %d", k);
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &norms));
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, r, &tail));
        for (int64_t i = 0; i < r; i++)
            total += energy[k][i];
        for (int64_t i = r - 1; i >= 0; i--) { /* what dropping the slices from i on would cost */
            sum += energy[k][i];
            lode_i_set1(&norms, i, sqrt(energy[k][i]));
            lode_i_set1(&tail, i, total > 0 ? sqrt(sum / total) : 0);
        }
        LODE_TRY(lode_i_panel_line(ctx, spectrum, label, NULL, &norms));
        LODE_TRY(lode_i_panel_line(ctx, left, label, NULL, &tail));
    }
done:
    lode_i_free(store);
    LODE_FREE(&norms, &tail);
    return st;
}

/* The first slice of the core over its last two modes. */
static lode_status core_image(lode_ctx *ctx, const lode_array *core, lode_panel *p)
{
    lode_status st = LODE_OK;
    lode_array a = lode_array_ref(core), b = { 0 }, real = { 0 };
    for (int k = 0; k < core->ndim; k++) {
        const int64_t n = k < core->ndim - 2 ? 1 : lode_i_min(core->shape[k], IMAGE);
        LODE_TRY(lode_array_slice(ctx, &a, k, 0, n, 1, &b));
        lode_array_swap(&a, &b);
    }
    LODE_TRY(lode_array_cast(ctx, &a, LODE_F64, &real));
    LODE_TRY(lode_array_reshape(
        ctx, &real, 2, (const int64_t[]){ a.shape[core->ndim - 2], a.shape[core->ndim - 1] }, &b));
    LODE_TRY(lode_i_panel_image(ctx, p, &b, 0, 0, true));
done:
    LODE_FREE(&a, &b, &real);
    return st;
}

static lode_status plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                        lode_figure *f)
{
    lode_status st = LODE_OK;
    model m;
    lode_panel *spectrum, *left, *image;
    char caption[256], title[160], shape[64], ranks[64];
    (void)original;
    LODE_TRY(lode_i_tucker_model(ctx, fitted, &m));
    lode_i_print_shape(m.d, fitted->meta.shape, shape, sizeof shape);
    lode_i_print_shape(m.d, m.core->shape, ranks, sizeof ranks);
    snprintf(title, sizeof title, "Tucker, %s to %s", shape, ranks);
    lode_certificate_print(&fitted->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, f, title, caption));
    if (lode_array_size(m.core) == 0)
        goto done;
    LODE_TRY(lode_i_panel(ctx, f, "Mode spectra", "slice of the core", "norm", &spectrum));
    lode_i_panel_log(spectrum, false, true);
    LODE_TRY(lode_i_panel(ctx, f, "Left out by a lower rank", "first slice left out",
                          "share of the norm", &left));
    lode_i_panel_log(left, false, true);
    LODE_TRY(spectra(ctx, m.core, spectrum, left));
    if (m.d > 1) {
        char name[64];
        snprintf(name, sizeof name, "Core over modes %d and %d", m.d - 2, m.d - 1);
        LODE_TRY(lode_i_panel(ctx, f, name, "column", "row", &image));
        LODE_TRY(core_image(ctx, m.core, image));
    }
done:
    return st;
}

const lode_op lode_op_tucker = {
    .name = "tucker",
    .family = "tensor",
    .job = LODE_EXPLAIN,
    .brief = "Tucker decomposition: the smallest core that meets an error",
    .doi = "10.1137/110836067 10.1137/S0895479898346995",
    .example = "lode tucker data/winds_u.npy --error 0.1 -o winds.lode",
    .words = "hosvd st-hosvd hooi multilinear rank tensor compression core higher-order svd "
             "principal components of arrays",
    .params = params,
    .opts_size = sizeof(lode_tucker_opts),
    .in = in,
    .out = out,
    .certificate = LODE_CERT_MEASURED,
    .checkpoint = true,
    .plan = plan,
    .run = run,
    .apply = apply,
    .invert = invert,
    .query = lode_i_tucker_query,
    .update = update,
    .merge = merge,
    .verify = verify,
    .plot = plot,
};
