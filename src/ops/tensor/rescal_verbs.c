/* Verbs of rescal: cores of new relations, relations written out, checks, pictures. */
#include <math.h>
#include <string.h>

#include "ops/tensor/rescal.h"

/* A fitted model, borrowed. */
typedef struct model {
    const lode_array *a, *r, *energy, *trace;
    int64_t n, m, k;
    int axis;
    lode_rescal_opts o;
    bool nonneg;
} model;

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, model *y)
{
    lode_status st = LODE_OK;
    lode_stats s;
    const lode_meta *meta = &b->meta;
    LODE_TRY(lode_bundle_array(ctx, b, "a", &y->a));
    LODE_TRY(lode_bundle_array(ctx, b, "r", &y->r));
    LODE_TRY(lode_bundle_array(ctx, b, "energy", &y->energy));
    LODE_TRY(lode_bundle_array(ctx, b, "trace", &y->trace));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_rescal, b, &y->o));
    y->o.mask = NULL;
    const lode_array *a = y->a, *r = y->r;
    LODE_REQUIRE(a->ndim == 2 && r->ndim == 3 && a->dtype == r->dtype && meta->has_shape &&
                     meta->ndim == 3 && a->dtype == meta->dtype &&
                     (a->dtype == LODE_F32 || a->dtype == LODE_F64) &&
                     lode_array_is_contiguous(a) && lode_array_is_contiguous(r),
                 LODE_EFORMAT, "rescal: a and r of this model are not what a fit gives");
    LODE_TRY(lode_i_rescal_axis(ctx, &y->o, meta->shape, &y->axis));
    y->n = a->shape[0], y->k = a->shape[1], y->m = r->shape[0];
    LODE_REQUIRE(y->n == meta->shape[y->axis == 0] && y->m == meta->shape[y->axis] && y->k > 0 &&
                     r->shape[1] == y->k && r->shape[2] == y->k && y->energy->ndim == 1 &&
                     y->energy->shape[0] == y->k && y->trace->ndim == 1 && y->trace->shape[0] > 1,
                 LODE_EFORMAT, "rescal: a, r, energy and trace of this model do not fit its shape");
    LODE_TRY(lode_i_stats(ctx, a, &s));
    y->nonneg = s.min >= 0;
    LODE_TRY(lode_i_stats(ctx, r, &s));
    y->nonneg = y->nonneg && s.min >= 0 && y->o.nonneg != LODE_RESCAL_ANY;
done:
    return st;
}

/* One relation, or several along the model's axis. */
static lode_status new_relations(lode_ctx *ctx, const model *y, lode_value x, lode_array *held,
                                 lode_value *out)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 };
    int ndim = 0;
    lode_dtype stored;
    int64_t shape[LODE_MAX_NDIM];
    LODE_REQUIRE(lode_i_value_shape(x, &stored, &ndim, shape), LODE_ETYPE,
                 "rescal: new relations are an array");
    *out = x;
    if (ndim == 2 && x.kind != LODE_SPARSE) {
        const int64_t one[3] = { y->axis == 0 ? 1 : shape[0],
                                 y->axis == 1 ? 1 : shape[y->axis == 2],
                                 y->axis == 2 ? 1 : shape[1] };
        LODE_TRY(lode_i_as_array(ctx, x, lode_i_arith(stored), &flat));
        LODE_TRY(lode_array_reshape(ctx, &flat, 3, one, held));
        *out = lode_from_array(held);
        LODE_REQUIRE(shape[0] == y->n && shape[1] == y->n, LODE_ESHAPE,
                     "rescal: the new relation is %" PRId64 " x %" PRId64
                     "; the model is of %" PRId64 " x %" PRId64,
                     shape[0], shape[1], y->n, y->n);
        goto done;
    }
    LODE_REQUIRE(ndim == 3 && shape[y->axis == 0] == y->n && shape[y->axis == 2 ? 1 : 2] == y->n,
                 LODE_ESHAPE,
                 "rescal: new relations must be %" PRId64 " x %" PRId64
                 " each, along axis %d as those of the model",
                 y->n, y->n, y->axis);
done:
    LODE_FREE(&flat);
    return st;
}

/* Cores of new relations among the same things, the columns as they are. */
lode_status lode_i_rescal_apply(lode_ctx *ctx, const lode_bundle *fitted, lode_value x,
                                lode_bundle *result)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    rescal_data d = { 0 };
    lode_array held = { 0 }, A = { 0 }, R = { 0 }, r = { 0 };
    lode_value relations;
    double sumsq;
    LODE_TRY(read_model(ctx, fitted, &y));
    LODE_TRY(new_relations(ctx, &y, x, &held, &relations));
    y.o.axis.given = true, y.o.axis.value = y.axis;
    y.o.nonneg = y.nonneg ? LODE_RESCAL_NONNEG : LODE_RESCAL_ANY;
    LODE_TRY(lode_i_rescal_open(ctx, &y.o, relations, NULL, NULL, &d));
    LODE_TRY(lode_array_cast(ctx, y.a, d.x.dtype, &A));
    LODE_TRY(lode_i_rescal_cores(ctx, &d, 0, &A, &R, &sumsq));
    LODE_TRY(lode_array_cast(ctx, &R, y.a->dtype, &r));
    LODE_TRY(lode_i_scale(ctx, d.unit, &r));
    LODE_TRY(lode_bundle_add_array(ctx, result, "r", &r));
    result->certificate = lode_i_squares_certificate(sqrt(sumsq) * d.unit, sqrt(d.x.sumsq) * d.unit,
                                                     (double)NAN,
                                                     "||X_k - A R_k A'||, new relations");
done:
    lode_i_rescal_close(&d);
    LODE_FREE(&held, &A, &R, &r);
    return st;
}

lode_status lode_i_rescal_invert(lode_ctx *ctx, const lode_bundle *fitted, lode_value codes,
                                 const lode_part *part, lode_array *out)
{
    static const int back[3][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 } };
    lode_status st = LODE_OK;
    model y = { 0 };
    lode_array given = { 0 }, some = { 0 }, wide = { 0 }, Ai = { 0 }, Aj = { 0 }, Y = { 0 };
    lode_array view = { 0 }, made = { 0 };
    int64_t shape[3], start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    LODE_TRY(read_model(ctx, fitted, &y));
    const lode_array *r = y.r;
    if (codes.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, codes, y.a->dtype, &given));
        LODE_REQUIRE(given.ndim == 3 && given.shape[1] == y.k && given.shape[2] == y.k, LODE_ESHAPE,
                     "rescal: codes must be cores, p x %" PRId64 " x %" PRId64, y.k, y.k);
        r = &given;
    }
    for (int i = 0; i < 3; i++)
        shape[i] = i == y.axis ? r->shape[0] : y.n;
    LODE_TRY(lode_i_part_resolve(ctx, part, 3, shape, start, count));
    const int i0 = y.axis == 0, j0 = y.axis == 2 ? 1 : 2;
    LODE_TRY(lode_array_slice(ctx, r, 0, start[y.axis], start[y.axis] + count[y.axis], 1, &some));
    LODE_TRY(lode_array_cast(ctx, &some, LODE_F64, &wide));
    Ai = lode_i_rows(y.a, start[i0], start[i0] + count[i0]);
    Aj = lode_i_rows(y.a, start[j0], start[j0] + count[j0]);
    LODE_TRY(lode_i_relations_expand(ctx, &Ai, &Aj, &wide, &Y));
    LODE_TRY(lode_array_permute(ctx, &Y, back[y.axis], &view));
    LODE_TRY(lode_array_cast(ctx, &view, y.a->dtype, &made));
    lode_array_swap(out, &made);
done:
    LODE_FREE(&given, &some, &wide, &Ai, &Aj, &Y, &view, &made);
    return st;
}

/* ---- verify ---- */

static lode_status check_form(lode_ctx *ctx, const lode_bundle *b, const model *y)
{
    lode_status st = LODE_OK;
    lode_array energy = { 0 };
    int64_t rank;
    const double slack = 1e3 * lode_i_epsilon(y->a->dtype);
    LODE_TRY(lode_bundle_i64(ctx, b, "rank", &rank));
    LODE_REQUIRE(rank == y->k, LODE_EVERIFY,
                 "rescal: the model says rank %" PRId64 ", but a has %" PRId64 " columns", rank,
                 y->k);
    LODE_TRY(lode_i_rescal_energy(ctx, y->r, &energy));
    const double most = lode_i_get1(y->energy, 0);
    for (int64_t c = 0; c < y->k; c++) {
        const double length = lode_i_column_length(y->a, c), e = lode_i_get1(y->energy, c);
        LODE_REQUIRE(fabs(length - 1) <= slack || !(length > 0), LODE_EVERIFY,
                     "rescal: column %" PRId64 " of a has length %.9g, not 1", c, length);
        LODE_REQUIRE(fabs(lode_i_get1(&energy, c) - e) <= slack * (most + e), LODE_EVERIFY,
                     "rescal: r gives component %" PRId64 " the energy %.9g, the model says %.9g",
                     c, lode_i_get1(&energy, c), e);
        LODE_REQUIRE(c == 0 || e <= lode_i_get1(y->energy, c - 1) + slack * most, LODE_EVERIFY,
                     "rescal: energies do not descend at component %" PRId64, c);
    }
    const double last = lode_i_get1(y->trace, y->trace->shape[0] - 1);
    LODE_REQUIRE(fabs(last - b->certificate.value) <= 1e-3 * b->certificate.value + slack,
                 LODE_EVERIFY, "rescal: the trace ends at %.9g, the certificate says %.9g", last,
                 b->certificate.value);
    LODE_REQUIRE(fabs(lode_i_get1(y->trace, 0) - 1) <= 1e-12, LODE_EVERIFY,
                 "rescal: the trace begins with %.9g, not with 1, the error of nothing",
                 lode_i_get1(y->trace, 0));
    for (int64_t i = 2; i < y->trace->shape[0] && !(y->o.l2 > 0); i++)
        LODE_REQUIRE(lode_i_get1(y->trace, i) <=
                         lode_i_get1(y->trace, i - 1) + 1e-3 * b->certificate.value + slack,
                     LODE_EVERIFY, "rescal: the trace rises at step %" PRId64, i - 1);
done:
    LODE_FREE(&energy);
    return st;
}

/* The table must speak for the rank that was chosen. */
static lode_status check_table(lode_ctx *ctx, const lode_bundle *b, const model *y)
{
    lode_status st = LODE_OK;
    const lode_array *ranks, *error, *least, *mean;
    rescal_ranks r = { 0 };
    char reason[256];
    if (lode_bundle_get(b, "ranks").kind != LODE_ARRAY)
        return LODE_OK;
    LODE_TRY(lode_bundle_array(ctx, b, "ranks", &ranks));
    LODE_TRY(lode_bundle_array(ctx, b, "errors", &error));
    LODE_TRY(lode_bundle_array(ctx, b, "silhouette_min", &least));
    LODE_TRY(lode_bundle_array(ctx, b, "silhouette_mean", &mean));
    r.count = ranks->ndim == 1 ? ranks->shape[0] : 0;
    LODE_REQUIRE(r.count > 0 && error->ndim == 1 && least->ndim == 1 && mean->ndim == 1 &&
                     error->shape[0] == r.count && least->shape[0] == r.count &&
                     mean->shape[0] == r.count,
                 LODE_EFORMAT, "rescal: the table of ranks does not fit together");
    r.first = (int64_t)lode_i_get1(ranks, 0);
    r.error = *error, r.least = *least, r.mean = *mean;
    for (int64_t i = 0; i < r.count; i++) {
        const double e = lode_i_get1(error, i), low = lode_i_get1(least, i),
                     m = lode_i_get1(mean, i);
        LODE_REQUIRE(e >= 0 && e <= 1 + 1e-6 && low >= -1 && low <= m + 1e-9 && m <= 1 + 1e-9,
                     LODE_EVERIFY,
                     "rescal: rank %" PRId64 " of the table has error %g, silhouettes %g and %g",
                     r.first + i, e, low, m);
        LODE_REQUIRE(r.first + i != y->k || fabs(e - b->certificate.value) <= 1e-3 * e + 1e-6,
                     LODE_EVERIFY, "rescal: the table gives rank %" PRId64 " the error %g, not %g",
                     y->k, e, b->certificate.value);
    }
    const int64_t chosen = lode_i_rescal_decide(&r, reason, sizeof reason);
    const lode_value said = lode_bundle_get(b, "reason");
    LODE_REQUIRE(chosen == y->k && said.kind == LODE_TEXT && strcmp(said.as.text, reason) == 0,
                 LODE_EVERIFY, "rescal: the table speaks for rank %" PRId64 ": %s", chosen, reason);
done:
    return st;
}

lode_status lode_i_rescal_verify(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                                 lode_certificate *found)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    rescal_data d = { 0 };
    lode_array A = { 0 }, R = { 0 };
    int64_t values;
    double sumsq;
    const lode_certificate *c = &fitted->certificate;
    LODE_TRY(read_model(ctx, fitted, &y));
    LODE_TRY(check_form(ctx, fitted, &y));
    LODE_TRY(check_table(ctx, fitted, &y));
    *found = *c;
    if (original.kind == LODE_NONE)
        goto done;
    LODE_TRY(lode_bundle_i64(ctx, fitted, "values", &values));
    LODE_TRY(lode_i_rescal_open(ctx, &y.o, original, NULL, NULL, &d));
    for (int i = 0; i < 3; i++)
        LODE_REQUIRE(d.shape[i] == fitted->meta.shape[i], LODE_ESHAPE,
                     "rescal: the original has %" PRId64
                     " places along axis %d, the model %" PRId64,
                     d.shape[i], i, fitted->meta.shape[i]);
    if (d.known != values) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; the error is over what a mask left, which is not kept");
        goto done;
    }
    LODE_TRY(lode_array_cast(ctx, y.a, d.x.dtype, &A));
    LODE_TRY(lode_array_cast(ctx, y.r, LODE_F64, &R));
    LODE_TRY(lode_i_scale(ctx, 1 / d.unit, &R));
    LODE_TRY(lode_i_rescal_residual(ctx, &d, &A, &R, &sumsq));
    const double eps = lode_i_epsilon(d.x.dtype);
    LODE_TRY(lode_i_squares_verify(ctx, &lode_op_rescal, c, sqrt(sumsq) * d.unit,
                                   sqrt(d.x.sumsq) * d.unit,
                                   d.x.X.data ? 1000 * eps : sqrt(256 * eps), found));
done:
    lode_i_rescal_close(&d);
    LODE_FREE(&A, &R);
    return st;
}

/* ---- plot ---- */

enum { PICTURES = 6 };

static lode_status plot_cores(lode_ctx *ctx, const model *y, lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_panel *p = NULL;
    lode_array flat = { 0 }, core = { 0 };
    lode_stats s;
    LODE_TRY(lode_i_rescal_flat(ctx, y->r, &flat));
    LODE_TRY(lode_i_stats(ctx, y->r, &s));
    const int64_t shown = lode_i_min(y->m, PICTURES);
    for (int64_t i = 0; i < shown; i++) { /* evenly over the relations, on one scale */
        char title[64];
        const int64_t k = i * y->m / shown;
        snprintf(title, sizeof title, "R of relation %" PRId64, k);
        core = lode_i_rows(&flat, k * y->k, (k + 1) * y->k);
        LODE_TRY(lode_i_panel(ctx, figure, title, "component", "component", &p));
        LODE_TRY(
            lode_i_panel_image(ctx, p, &core, y->nonneg ? 0 : -s.maxabs, s.maxabs, !y->nonneg));
        LODE_FREE(&core);
    }
done:
    LODE_FREE(&flat, &core);
    return st;
}

lode_status lode_i_rescal_plot(lode_ctx *ctx, const lode_bundle *fitted, lode_value original,
                               lode_figure *figure)
{
    lode_status st = LODE_OK;
    model y = { 0 };
    lode_panel *p = NULL;
    char title[160], caption[256];
    const lode_value ranks = lode_bundle_get(fitted, "ranks"),
                     error = lode_bundle_get(fitted, "errors"),
                     least = lode_bundle_get(fitted, "silhouette_min"),
                     mean = lode_bundle_get(fitted, "silhouette_mean");
    (void)original;
    LODE_TRY(read_model(ctx, fitted, &y));
    snprintf(title, sizeof title,
             "%" PRId64 " relations among %" PRId64 " things, %" PRId64 " components", y.m, y.n,
             y.k);
    lode_certificate_print(&fitted->certificate, caption, sizeof caption);
    LODE_TRY(lode_figure_caption(ctx, figure, title, caption));
    if (ranks.kind == LODE_ARRAY && error.kind == LODE_ARRAY && least.kind == LODE_ARRAY &&
        mean.kind == LODE_ARRAY) {
        LODE_TRY(lode_i_panel(ctx, figure, "do fits agree", "rank", "silhouette; error", &p));
        LODE_TRY(lode_i_panel_line(ctx, p, "least silhouette", ranks.as.array, least.as.array));
        LODE_TRY(lode_i_panel_line(ctx, p, "mean silhouette", ranks.as.array, mean.as.array));
        LODE_TRY(lode_i_panel_line(ctx, p, "relative error", ranks.as.array, error.as.array));
    }
    LODE_TRY(lode_i_panel(ctx, figure, "energy", "component", "energy", &p));
    LODE_TRY(lode_i_panel_bars(ctx, p, NULL, y.energy));
    if (y.trace->shape[0] > 2) {
        LODE_TRY(lode_i_panel(ctx, figure, "convergence", "step", "relative error", &p));
        lode_i_panel_log(p, false, true);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, y.trace));
    }
    LODE_TRY(lode_i_panel(ctx, figure, "A", "component", "thing", &p));
    LODE_TRY(lode_i_panel_image(ctx, p, y.a, 0, 0, !y.nonneg));
    LODE_TRY(plot_cores(ctx, &y, figure));
done:
    return st;
}
