/* Verbs of funtucker: predict, check, draw. */
#include <math.h>

#include "ops/tensor/funtucker.h"

#define TWO_SIDED95 1.9599639845400545

/* A result as the fit it came from; members are borrowed but for what is made here. */
typedef struct model {
    funtucker_fit f;
    lode_array grid[FUNTUCKER_MODES];
    const lode_array *trace, *held, *heldout;
    double offset, scale;
    lode_funtucker_opts o;
} model;

static void close_model(model *y)
{
    lode_i_funtucker_free(&y->f);
    for (int k = 0; k < FUNTUCKER_MODES; k++)
        LODE_FREE(&y->grid[k]);
}

/* A member of that type and shape (-1: any length), as a reference. */
static lode_status member(lode_ctx *ctx, const lode_bundle *b, const char *name, int k, int ndim,
                          const int64_t *shape, lode_array *out)
{
    char text[32];
    const lode_array *a;
    snprintf(text, sizeof text, k < 0 ? "%s" : "%s.%d", name, k);
    LODE_FORWARD(lode_bundle_array(ctx, b, text, &a));
    bool fits = a->ndim == ndim && a->dtype == LODE_F64 && lode_array_is_contiguous(a);
    for (int i = 0; fits && i < ndim; i++)
        fits = shape[i] < 0 ? a->shape[i] > 0 : a->shape[i] == shape[i];
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "funtucker: %s does not fit the other members; fit again", text);
    LODE_FORWARD(lode_i_require_finite(ctx, a, text));
    *out = lode_array_ref(a);
    return LODE_OK;
}

static lode_status read_modes(lode_ctx *ctx, const lode_bundle *b, model *y)
{
    lode_status st = LODE_OK;
    lode_array scales[2] = { { 0 } };
    const int d = y->f.m.d;
    const int64_t count = d;
    LODE_TRY(member(ctx, b, "lengthscale", -1, 1, &count, &scales[0]));
    LODE_TRY(member(ctx, b, "amplitude", -1, 1, &count, &scales[1]));
    for (int k = 0; k < d; k++) {
        funtucker_mode *m = &y->f.mode[k];
        const int64_t any = -1, r = y->f.m.r[k];
        LODE_TRY(member(ctx, b, "index", k, 1, &any, &y->grid[k]));
        const int64_t shape[] = { y->grid[k].shape[0], r, r };
        LODE_TRY(member(ctx, b, "factor", k, 2, shape, &y->f.m.mean[k]));
        LODE_TRY(member(ctx, b, "cov", k, 3, shape, &m->cov));
        LODE_TRY(member(ctx, b, "precision", k, 3, shape, &m->precision));
        LODE_TRY(member(ctx, b, "shift", k, 2, shape, &m->shift));
        m->gp = (lode_i_gp){ .kernel = (lode_i_matern)y->o.kernel,
                             .r = r,
                             .lengthscale = lode_i_get1(&scales[0], k),
                             .amplitude = lode_i_get1(&scales[1], k),
                             .white = lode_i_broken(ctx, "funbat") };
        LODE_REQUIRE(m->gp.lengthscale > 0 && m->gp.amplitude > 0, LODE_EFORMAT,
                     "funtucker: mode %d has lengthscale %g and amplitude %g; both must be above 0",
                     k, m->gp.lengthscale, m->gp.amplitude);
        for (int64_t i = 1; i < shape[0]; i++)
            LODE_REQUIRE(lode_i_get1(&y->grid[k], i) > lode_i_get1(&y->grid[k], i - 1),
                         LODE_EFORMAT, "funtucker: index.%d does not ascend at %" PRId64, k, i);
    }
done:
    LODE_FREE(&scales[0], &scales[1]);
    return st;
}

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, model *y)
{
    lode_status st = LODE_OK;
    const lode_array *core;
    lode_array gamma = { 0 };
    int64_t K = 1;
    const int64_t two = 2;
    LODE_TRY(lode_i_options_of(ctx, &lode_op_funtucker, b, &y->o));
    LODE_TRY(lode_bundle_array(ctx, b, "core", &core));
    LODE_REQUIRE(core->ndim >= 1 && core->ndim <= FUNTUCKER_MODES && core->dtype == LODE_F64 &&
                     lode_array_size(core) > 0 && lode_array_size(core) <= FUNTUCKER_CORE,
                 LODE_EFORMAT, "funtucker: the core of this model is none; fit again");
    y->f.m.d = core->ndim;
    for (int k = 0; k < core->ndim; k++)
        K *= y->f.m.r[k] = core->shape[k];
    LODE_TRY(lode_i_require_finite(ctx, core, "core"));
    LODE_TRY(lode_array_reshape(ctx, core, 1, &K, &y->f.m.core));
    LODE_TRY(member(ctx, b, "core_cov", -1, 2, (const int64_t[]){ K, K }, &y->f.core_cov));
    LODE_TRY(member(ctx, b, "gamma", -1, 1, &two, &gamma));
    y->f.a = lode_i_get1(&gamma, 0), y->f.b = lode_i_get1(&gamma, 1);
    LODE_TRY(lode_bundle_f64(ctx, b, "offset", &y->offset));
    LODE_TRY(lode_bundle_f64(ctx, b, "scale", &y->scale));
    LODE_TRY(lode_bundle_array(ctx, b, "trace", &y->trace));
    LODE_REQUIRE(y->f.a > 0 && y->f.b > 0 && y->scale > 0 && isfinite(y->scale) &&
                     isfinite(y->offset) && y->trace->ndim == 1 && y->trace->shape[0] >= 2,
                 LODE_EFORMAT,
                 "funtucker: noise, scale or trace of this model are none; fit again");
    LODE_TRY(read_modes(ctx, b, y));
    if (lode_bundle_get(b, "held").kind == LODE_ARRAY) {
        LODE_TRY(lode_bundle_array(ctx, b, "held", &y->held));
        LODE_TRY(lode_bundle_array(ctx, b, "heldout", &y->heldout));
        LODE_REQUIRE(y->held->ndim == 1 && y->heldout->ndim == 2 && y->heldout->shape[1] == 3 &&
                         y->held->shape[0] == y->heldout->shape[0] && y->held->shape[0] > 0,
                     LODE_EFORMAT, "funtucker: held and heldout do not fit together; fit again");
    }
    LODE_TRY(lode_i_pack_core(ctx, &y->f.core_cov, &y->f.m));
done:
    LODE_FREE(&gamma);
    return st;
}

lode_status lode_i_funtucker_apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                                   lode_bundle *result)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    lode_dtype dtype;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_array table = { 0 }, mean = { 0 }, spread = { 0 }, variance = { 0 };
    LODE_TRY(read_model(ctx, fitted, &y));
    const int64_t d = y.f.m.d;
    const bool read = (x.kind == LODE_ARRAY || x.kind == LODE_SOURCE) &&
                      lode_i_value_shape(x, &dtype, &ndim, shape);
    const bool valued = read && ndim == 2 && shape[1] == d + 1;
    LODE_REQUIRE(read && ndim == 2 && (shape[1] == d || valued), LODE_ESHAPE,
                 "funtucker: a result of %" PRId64 " modes applies to a table of %" PRId64
                 " columns, the indexes, or %" PRId64
                 " with values to compare; this one has %" PRId64 " axes and %" PRId64 " columns",
                 d, d, d + 1, (int64_t)ndim, ndim == 2 ? shape[1] : 0);
    LODE_TRY(lode_i_funtucker_table(ctx, x, "the queries", &table));
    LODE_TRY(lode_i_funtucker_predict(ctx, y.grid, &y.f, y.offset, y.scale, &table, NULL, &mean,
                                      &spread, &variance));
    if (valued && shape[0] > 0) {
        funtucker_score s;
        lode_array both = { 0 };
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, shape[0], 3, &both));
        for (int64_t i = 0; i < shape[0]; i++) {
            lode_i_set2(&both, i, 0, lode_i_get2(&table, i, d));
            lode_i_set2(&both, i, 1, lode_i_get1(&mean, i));
            lode_i_set2(&both, i, 2, lode_i_get1(&variance, i));
        }
        lode_i_funtucker_judge(&both, y.offset, &s);
        lode_array_free(&both);
        LODE_TRY(lode_bundle_add_f64(ctx, result, "rmse", s.absolute / sqrt((double)shape[0])));
        LODE_TRY(lode_bundle_add_f64(ctx, result, "coverage", s.coverage));
    }
    LODE_TRY(lode_bundle_add_array(ctx, result, "mean", &mean));
    LODE_TRY(lode_bundle_add_array(ctx, result, "variance", &variance));
    LODE_TRY(lode_bundle_add_array(ctx, result, "function_variance", &spread));
done:
    close_model(&y);
    LODE_FREE(&table, &mean, &spread, &variance);
    return st;
}

/* ---- verify ---- */

static lode_status same_array(lode_ctx *ctx, const char *name, int k, const lode_array *found,
                              const lode_array *said)
{
    lode_diff d;
    lode_stats s;
    char text[32];
    LODE_FORWARD(lode_i_stats(ctx, found, &s));
    LODE_FORWARD(lode_i_diff(ctx, said, found, &d));
    if (d.mismatched == 0 && d.maxabs <= 1e-6 * s.maxabs)
        return LODE_OK;
    snprintf(text, sizeof text, k < 0 ? "%s" : "%s.%d", name, k);
    return lode_i_fail(ctx, LODE_EVERIFY,
                       "funtucker: %s is off by %.3g from what the other members give", text,
                       d.maxabs);
}

static lode_status same(lode_ctx *ctx, const char *what, double found, double said, double slack)
{
    if (fabs(found - said) <= slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY, "funtucker: %s is %.9g, the model says %.9g", what, found,
                       said);
}

/* The functions again from the sites, in place of those that the model says. */
static lode_status smooth_again(lode_ctx *ctx, model *y, int k)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 }, cov = { 0 };
    lode_array *said = &y->f.m.mean[k], *said_cov = &y->f.mode[k].cov;
    const int64_t g = said->shape[0], r = said->shape[1], shape[] = { g, r, r };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, shape, &mean));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 3, shape, &cov));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, g, r * (r + 1) / 2, &y->f.m.second[k]));
    lode_array_swap(said, &mean);
    lode_array_swap(said_cov, &cov);
    LODE_TRY(lode_i_funtucker_smooth(ctx, &y->grid[k], k, &y->f));
    LODE_TRY(same_array(ctx, "factor", k, said, &mean));
    LODE_TRY(same_array(ctx, "cov", k, said_cov, &cov));
done:
    LODE_FREE(&mean, &cov);
    return st;
}

static lode_status check_alone(lode_ctx *ctx, const lode_bundle *b, model *y)
{
    lode_status st = LODE_OK;
    double evidence = 0, noise = 0, coverage = 0;
    funtucker_score score;
    const int64_t steps = y->trace->shape[0];
    LODE_TRY(lode_bundle_f64(ctx, b, "evidence", &evidence));
    LODE_TRY(lode_bundle_f64(ctx, b, "noise", &noise));
    const double slack = 1e-7 * (fabs(evidence) + 2 * y->f.a);
    LODE_TRY(same(ctx, "the end of the trace", lode_i_get1(y->trace, steps - 1), evidence, slack));
    for (int64_t i = 2; i < steps && !(y->o.damping > 0); i++)
        LODE_REQUIRE(lode_i_get1(y->trace, i) >= lode_i_get1(y->trace, i - 1) - slack, LODE_EVERIFY,
                     "funtucker: the evidence falls at sweep %" PRId64, i);
    const double expected = y->scale * sqrt(y->f.b / y->f.a);
    LODE_TRY(same(ctx, "the noise by gamma", expected, noise, 1e-9 * expected));
    for (int k = 0; k < y->f.m.d; k++)
        LODE_TRY(smooth_again(ctx, y, k));
    if (y->held) {
        LODE_TRY(lode_bundle_f64(ctx, b, "coverage", &coverage));
        lode_i_funtucker_judge(y->heldout, y->offset, &score);
        LODE_TRY(same(ctx, "the coverage of heldout", score.coverage, coverage, 1e-9));
        LODE_TRY(same(ctx, "the error of heldout", score.value, b->certificate.value,
                      1e-9 * score.value));
    }
done:
    return st;
}

/* Core, noise, evidence and predictions again from the observations. */
static lode_status check_with(lode_ctx *ctx, const lode_bundle *b, model *y, lode_value original)
{
    lode_status st = LODE_OK;
    lode_array heldout = { 0 }, core = { 0 }, cov = { 0 };
    funtucker_data d = { 0 };
    funtucker_fit *f = &y->f;
    lode_funtucker_opts o = y->o;
    if (!y->held)
        o.holdout = 0;
    LODE_TRY(lode_i_funtucker_open(ctx, &o, original, y->held, &d));
    LODE_REQUIRE(d.d == f->m.d, LODE_ESHAPE,
                 "funtucker: the model has %d modes, the original %d columns", f->m.d, d.d + 1);
    for (int k = 0; k < d.d; k++) {
        LODE_REQUIRE(d.s.grid[k].shape[0] == y->grid[k].shape[0], LODE_EVERIFY,
                     "funtucker: mode %d of the original has %" PRId64
                     " distinct indexes, the model %" PRId64,
                     k, d.s.grid[k].shape[0], y->grid[k].shape[0]);
        LODE_TRY(same_array(ctx, "index", k, &d.s.grid[k], &y->grid[k]));
    }
    LODE_TRY(same(ctx, "the offset", d.offset, y->offset, 1e-9 * d.scale));
    LODE_TRY(same(ctx, "the scale", d.scale, y->scale, 1e-9 * d.scale));
    const double n = (double)d.s.n;
    const double evidence = lode_i_get1(y->trace, y->trace->shape[0] - 1);
    LODE_TRY(same(ctx, "the evidence of noise alone", lode_i_funtucker_nothing(&d.s),
                  lode_i_get1(y->trace, 0), 1e-7 * (n + 1)));
    const double a = f->a, rate = f->b;
    lode_array_swap(&core, &f->m.core);
    lode_array_swap(&cov, &f->core_cov);
    LODE_TRY(lode_i_funtucker_sums(ctx, &d.s, f));
    LODE_TRY(lode_i_funtucker_core(ctx, f));
    LODE_TRY(same_array(ctx, "core", -1, &f->m.core, &core));
    LODE_TRY(same_array(ctx, "core_cov", -1, &f->core_cov, &cov));
    lode_i_funtucker_noise(&d.s, f);
    LODE_TRY(same(ctx, "the shape of the noise", f->a, a, 1e-9 * f->a));
    LODE_TRY(same(ctx, "the rate of the noise", f->b, rate, 1e-6 * f->b + 1e-9 * n));
    LODE_TRY(same(ctx, "the evidence", lode_i_funtucker_evidence(&d.s, f), evidence,
                  1e-6 * (fabs(evidence) + n)));
    f->b = rate;
    if (y->held) {
        LODE_TRY(lode_i_funtucker_heldout(ctx, &d, f, &heldout));
        LODE_TRY(same_array(ctx, "heldout", -1, &heldout, y->heldout));
    } else {
        const double left = 2 * fmax(f->b - 1e-3, 0);
        LODE_TRY(same(ctx, "the error over what was fitted",
                      d.s.sumsq > 0 ? sqrt(left / d.s.sumsq) : 0, b->certificate.value, 1e-6));
    }
done:
    LODE_FREE(&heldout, &core, &cov);
    lode_i_funtucker_close(&d);
    return st;
}

lode_status lode_i_funtucker_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                                    lode_certificate *found)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    LODE_TRY(read_model(ctx, fitted, &y));
    LODE_TRY(check_alone(ctx, fitted, &y));
    *found = fitted->certificate;
    if (original.kind == LODE_NONE)
        snprintf(found->note, sizeof found->note,
                 "functions follow from what is kept of the observations; give the original to "
                 "check these");
    else
        LODE_TRY(check_with(ctx, fitted, &y, original));
done:
    close_model(&y);
    return st;
}

/* ---- plot ---- */

enum { DRAWN = 600, FUNCTIONS = 3, MODES_DRAWN = 4 };

/* Function c of mode k with its 95 % interval, at up to DRAWN of the distinct indexes. */
static lode_status plot_function(lode_ctx *ctx, const model *y, int k, int64_t c,
                                 lode_figure *figure)
{
    lode_status st = LODE_OK;
    static const char *const label[] = { "mean", "95 % low", "95 % high" };
    lode_array x = { 0 }, line[3] = { { 0 } };
    lode_panel *p = NULL;
    char title[64], axis[32];
    const int64_t g = y->grid[k].shape[0], r = y->f.m.r[k], n = lode_i_min(g, DRAWN);
    const int64_t flat_size = g * r * r;
    lode_array flat = { 0 };
    LODE_TRY(lode_array_reshape(ctx, &y->f.mode[k].cov, 1, &flat_size, &flat));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &x));
    for (int i = 0; i < 3; i++)
        LODE_TRY(lode_i_vector_new(ctx, LODE_F64, n, &line[i]));
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = n > 1 ? i * (g - 1) / (n - 1) : 0;
        const double u = lode_i_get2(&y->f.m.mean[k], j, c),
                     s = sqrt(fmax(lode_i_get1(&flat, (j * r + c) * r + c), 0));
        lode_i_set1(&x, i, lode_i_get1(&y->grid[k], j));
        for (int e = 0; e < 3; e++)
            lode_i_set1(&line[e], i, u + (e == 0 ? 0 : e == 1 ? -1 : 1) * TWO_SIDED95 * s);
    }
    snprintf(title, sizeof title, "mode %d, function %" PRId64, k, c);
    snprintf(axis, sizeof axis, "index of mode %d", k);
    LODE_TRY(lode_i_panel(ctx, figure, title, axis, "function", &p));
    for (int e = 0; e < 3; e++)
        LODE_TRY(lode_i_panel_line(ctx, p, label[e], &x, &line[e]));
done:
    LODE_FREE(&x, &flat, &line[0], &line[1], &line[2]);
    return st;
}

static lode_status plot_heldout(lode_ctx *ctx, const model *y, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    lode_array value = { 0 }, mean = { 0 }, ends = { 0 };
    const int64_t h = y->heldout->shape[0];
    double low = INFINITY, high = -INFINITY;
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, h, &value));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, h, &mean));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, 2, &ends));
    for (int64_t i = 0; i < h; i++) {
        lode_i_set1(&value, i, lode_i_get2(y->heldout, i, 0));
        lode_i_set1(&mean, i, lode_i_get2(y->heldout, i, 1));
        low = fmin(low, lode_i_get1(&value, i)), high = fmax(high, lode_i_get1(&value, i));
    }
    lode_i_set1(&ends, 0, low), lode_i_set1(&ends, 1, high);
    LODE_TRY(lode_i_panel(ctx, figure, "observations kept back", "value", "predicted", &p));
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, &value, &mean, NULL));
    LODE_TRY(lode_i_panel_line(ctx, p, "equal", &ends, &ends));
done:
    LODE_FREE(&value, &mean, &ends);
    return st;
}

lode_status lode_i_funtucker_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                                  lode_figure *figure)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    lode_panel *p = NULL;
    lode_array steps = { 0 };
    char title[160], caption[256], ranks[64];
    (void)original;
    LODE_TRY(read_model(ctx, fitted, &y));
    lode_i_print_shape(y.f.m.d, y.f.m.r, ranks, sizeof ranks);
    snprintf(title, sizeof title, "Functions of %d continuous mode%s, core %s", y.f.m.d,
             y.f.m.d > 1 ? "s" : "", ranks);
    lode_certificate_print(&fitted->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, figure, title, caption));
    for (int k = 0; k < y.f.m.d && k < MODES_DRAWN; k++)
        for (int64_t c = 0; c < y.f.m.r[k] && c < FUNCTIONS; c++)
            LODE_TRY(plot_function(ctx, &y, k, c, figure));
    if (y.held)
        LODE_TRY(plot_heldout(ctx, &y, figure));
    LODE_TRY(lode_i_panel(ctx, figure, "convergence", "sweep", "evidence (nats)", &p));
    LODE_TRY(lode_array_slice(ctx, y.trace, 0, 1, y.trace->shape[0], 1, &steps));
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, &steps));
done:
    close_model(&y);
    LODE_FREE(&steps);
    return st;
}
