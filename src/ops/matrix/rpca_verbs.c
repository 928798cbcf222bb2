/* Verbs of rpca: new rows or columns, the parts back, checks, pictures. */
#include <math.h>
#include <string.h>

#include "ops/matrix/rpca.h"

enum { DRAWN = 1 << 21 };
#define BEND 1.4142135623730951 /* of the noise: where least squares end, as of pcp's outliers */
#define BEYOND 4                /* of the noise: an outlier of a new row */

static double number(lode_ctx *ctx, const lode_bundle *b, const char *name)
{
    double v = NAN;
    if (lode_bundle_get(b, name).kind == LODE_SCALAR && lode_bundle_f64(ctx, b, name, &v) < 0)
        v = NAN;
    return v;
}

lode_status lode_i_rpca_model_of(lode_ctx *ctx, const lode_bundle *b, lode_i_rpca_model *r)
{
    const lode_value S = lode_bundle_get(b, "sparse"), dual = lode_bundle_get(b, "dual");
    *r = (lode_i_rpca_model){ .sigma = number(ctx, b, "noise") };
    LODE_FORWARD(lode_bundle_array(ctx, b, "U", &r->U));
    LODE_FORWARD(lode_bundle_array(ctx, b, "s", &r->s));
    LODE_FORWARD(lode_bundle_array(ctx, b, "V", &r->V));
    LODE_FORWARD(lode_bundle_array(ctx, b, "trace", &r->trace));
    LODE_FORWARD(lode_bundle_i64(ctx, b, "observed", &r->observed));
    r->lambda = number(ctx, b, "sparsity"), r->objective = number(ctx, b, "objective");
    r->gap = number(ctx, b, "gap"), r->threshold = number(ctx, b, "threshold");
    r->S = S.kind == LODE_SPARSE ? S.as.sparse : NULL;
    r->dual = dual.kind == LODE_ARRAY ? dual.as.array : NULL;
    const lode_dtype t = r->U->dtype;
    bool fits = r->U->ndim == 2 && r->s->ndim == 1 && r->V->ndim == 2 && r->S && r->S->ndim == 2 &&
                r->S->layout == LODE_CSR && r->sigma >= 0 && (r->lambda > 0 || r->threshold >= 0) &&
                r->trace->ndim == 1;
    if (fits) {
        r->m = r->U->shape[0], r->n = r->V->shape[0], r->k = r->s->shape[0];
        fits = r->U->shape[1] == r->k && r->V->shape[1] == r->k && r->S->shape[0] == r->m &&
               r->S->shape[1] == r->n && r->V->dtype == t && r->s->dtype == t &&
               r->S->values.dtype == t && lode_array_is_contiguous(&r->S->indptr) &&
               lode_array_is_contiguous(&r->S->indices) &&
               lode_array_is_contiguous(&r->S->values) && (t == LODE_F32 || t == LODE_F64) &&
               (!r->dual || (r->dual->ndim == 2 && r->dual->shape[0] == r->m &&
                             r->dual->shape[1] == r->n && r->dual->dtype == t));
    }
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "rpca: the parts of this result do not fit together; run rpca again");
    LODE_FORWARD(lode_sparse_check(ctx, r->S));
    return LODE_OK;
}

/* ---- apply ---- */

/* Rows of the width of X, or columns of its height, as rows. */
static lode_status read_new(lode_ctx *ctx, const lode_i_rpca_model *r, lode_value x, lode_array *X,
                            bool *one, bool *columns)
{
    lode_status st = LODE_OK;
    lode_array wide = { 0 }, rows = { 0 };
    char have[96];
    LODE_TRY(lode_i_as_array(ctx, x, LODE_F64, &wide));
    *one = wide.ndim == 1;
    if (*one)
        LODE_TRY(lode_array_reshape(ctx, &wide, 2, (const int64_t[]){ 1, wide.shape[0] }, &rows));
    else
        rows = lode_array_ref(&wide);
    *columns = false;
    if (rows.ndim == 2 && rows.shape[1] != r->n && rows.shape[*one ? 1 : 0] == r->m) {
        *columns = true;
        const lode_array turned = *one ? rows : lode_i_transposed(&rows);
        LODE_TRY(lode_array_cast(ctx, &turned, LODE_F64, X));
    } else {
        lode_i_print_shape(wide.ndim, wide.shape, have, sizeof have);
        LODE_REQUIRE(rows.ndim == 2 && rows.shape[1] == r->n, LODE_ESHAPE,
                     "rpca: the new data are %s; rows of X have %" PRId64
                     " values, its columns %" PRId64,
                     have, r->n, r->m);
        LODE_TRY(lode_array_cast(ctx, &rows, LODE_F64, X));
    }
done:
    LODE_FREE(&wide, &rows);
    return st;
}

/* Coordinates by least absolute values, and what is off. */
lode_status lode_i_rpca_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                              lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_rpca_model r;
    lode_rpca_opts o;
    lode_array X = { 0 }, basis = { 0 }, Z = { 0 }, R = { 0 }, codes = { 0 }, rest = { 0 };
    lode_sparse S = { .layout = LODE_CSR };
    lode_stats s;
    bool one = false, columns = false;
    LODE_TRY(lode_i_rpca_model_of(ctx, model, &r));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_rpca, model, &o));
    LODE_TRY(read_new(ctx, &r, x, &X, &one, &columns));
    if (o.missing.kind == LODE_MISSING_NONE)
        LODE_TRY(lode_i_require_finite(ctx, &X, "x"));
    if (o.missing.kind == LODE_MISSING_VALUE)
        LODE_TRY(lode_i_robust_hide(ctx, NULL, o.missing.value, &X));
    LODE_TRY(lode_i_stats(ctx, &X, &s));
    LODE_REQUIRE(s.infinite == 0, LODE_EDOMAIN,
                 "rpca: the new data hold an infinity, at place %" PRId64
                 "; give it as NaN, which is missing",
                 s.first_infinite);
    LODE_TRY(lode_array_cast(ctx, columns ? r.U : r.V, LODE_F64, &basis));
    LODE_TRY(lode_i_robust_rows(ctx, &X, &basis, BEND * r.sigma, BEYOND * r.sigma, &Z, &R));
    LODE_TRY(lode_array_cast(ctx, &Z, r.U->dtype, &codes));
    LODE_TRY(lode_array_cast(ctx, &R, r.U->dtype, &rest));
    LODE_TRY(lode_i_robust_compress(ctx, &rest, &S));
    if (columns)
        LODE_TRY(lode_bundle_add_array(ctx, result, "columns", &codes));
    else
        LODE_TRY(lode_i_give_codes(ctx, one, &codes, result));
    LODE_TRY(lode_bundle_add_sparse(ctx, result, "sparse", &S));
done:
    LODE_FREE(&X, &basis, &Z, &R, &codes, &rest, &S);
    return st;
}

/* ---- invert ---- */

lode_status lode_i_rpca_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                               const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_rpca_model r;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    lode_array y = { 0 };
    const bool sparse = strcmp(part->component, "sparse") == 0,
               low = strcmp(part->component, "low") == 0 || codes.kind != LODE_NONE;
    LODE_TRY(lode_i_rpca_model_of(ctx, model, &r));
    LODE_REQUIRE(!sparse || codes.kind == LODE_NONE, LODE_EUSAGE,
                 "rpca: codes are of the part of low rank; give them without the part sparse");
    const lode_i_coded c = { .left = r.U, .scale = r.s, .right = r.V, .each = "components" };
    if (!sparse)
        LODE_TRY(lode_i_expand_codes(ctx, "rpca", &c, codes, part, &y));
    if (!low) {
        LODE_TRY(lode_i_part_resolve(ctx, part, 2, (const int64_t[]){ r.m, r.n }, start, count));
        if (sparse)
            LODE_TRY(lode_array_zeros(ctx, r.U->dtype, 2, count, &y));
        LODE_TRY(lode_i_robust_add(ctx, r.S, start, &y));
    }
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y);
    return st;
}

/* ---- verify ---- */

static lode_status check_structure(lode_ctx *ctx, const lode_i_rpca_model *r, double slack)
{
    lode_status st = LODE_OK;
    const lode_array *basis[2] = { r->U, r->V };
    double off = 0;
    for (int i = 0; i < 2; i++) {
        LODE_TRY(lode_i_require_finite(ctx, basis[i], i ? "V" : "U"));
        LODE_TRY(lode_i_off_orthonormal(ctx, basis[i], &off));
        LODE_REQUIRE(off <= slack * (double)(r->k + 4), LODE_EVERIFY,
                     "rpca: the columns of %s are not orthonormal: their inner products are %.3g "
                     "from the identity",
                     i ? "V" : "U", off);
    }
    for (int64_t i = 0; i < r->k; i++) {
        const double s = lode_i_get1(r->s, i), before = i > 0 ? lode_i_get1(r->s, i - 1) : INFINITY;
        LODE_REQUIRE(s >= 0 && isfinite(s) && s <= before, LODE_EVERIFY,
                     "rpca: s[%" PRId64 "] is %.6g after %.6g; they descend and are not negative",
                     i, s, before);
    }
    const int64_t n = r->trace->shape[0];
    LODE_REQUIRE(n >= 1 && fabs(lode_i_get1(r->trace, 0) - 1) <= 1e-12, LODE_EVERIFY,
                 "rpca: the trace does not begin with 1, the residual of nothing");
    LODE_TRY(lode_i_require_finite(ctx, r->trace, "trace"));
    LODE_REQUIRE(!(r->threshold > 0) || lode_sparse_nnz(r->S) == 0 || r->threshold < INFINITY,
                 LODE_EVERIFY, "rpca: outliers beyond an infinite threshold");
done:
    return st;
}

static lode_status near(lode_ctx *ctx, const char *what, double found, double said, double slack)
{
    if (fabs(found - said) <= slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY, "rpca: the %s is %.9g, the result says %.9g", what, found,
                       said);
}

/* What the dual matrix proves, again. */
static lode_status check_dual(lode_ctx *ctx, const lode_i_rpca_model *r,
                              const lode_i_rpca_optimum *found)
{
    lode_status st = LODE_OK;
    lode_stats s;
    LODE_TRY(lode_i_stats(ctx, r->dual, &s));
    LODE_REQUIRE(s.count == r->m * r->n && s.maxabs <= r->lambda * (1 + 4e-7), LODE_EVERIFY,
                 "rpca: the dual matrix has an entry of %.9g, above the sparsity %.9g", s.maxabs,
                 r->lambda);
    LODE_TRY(near(ctx, "gap", found->gap, r->gap,
                  1e-2 * fabs(r->gap) + 1e3 * lode_i_epsilon(r->U->dtype)));
done:
    return st;
}

static lode_status measure_again(lode_ctx *ctx, const lode_i_rpca_model *r,
                                 const lode_i_rpca_data *d, double slack, lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_array left = { 0 }, s = { 0 };
    lode_sparse S = *r->S; /* borrowed, but for its values */
    lode_i_robust_sums sums;
    lode_i_rpca_optimum optimum = { 0 };
    const bool pcp = r->lambda > 0;
    S.values = (lode_array){ 0 };
    LODE_TRY(lode_array_cast(ctx, &r->S->values, d->dtype, &S.values));
    LODE_TRY(lode_array_cast(ctx, r->s, d->dtype, &s));
    for (int i = 0; i < 2; i++) { /* in two steps: 2^1074 is no double */
        const double by = ldexp(1, i ? -d->exponent + d->exponent / 2 : -d->exponent / 2);
        LODE_TRY(lode_i_scale(ctx, by, &S.values));
        LODE_TRY(lode_i_scale(ctx, by, &s));
    }
    LODE_TRY(lode_array_cast(ctx, r->U, d->dtype, &left));
    LODE_TRY(lode_i_scale_cols(ctx, &left, &s));
    const lode_i_robust x = { &d->X, &left, r->V };
    const lode_i_robust_rule rule = {
        .lambda = pcp ? r->lambda : 1,
        .nu = lode_i_rpca_nu(d, ldexp(r->sigma, -d->exponent)),
        .mu = 1,
        .next = 1,
    };
    LODE_TRY(lode_i_robust_measure(ctx, &x, &S, &rule, &sums));
    const double said = found->value;
    found->value = d->norm > 0 ? sqrt(sums.a) / d->norm : 0;
    found->absolute = ldexp(sqrt(sums.a), d->exponent);
    LODE_TRY(near(ctx, "relative residual", found->value, said, 1e-3 * said + slack));
    if (pcp) {
        LODE_TRY(lode_i_rpca_certify(ctx, d, &rule, &s, r->dual, sums.b, &optimum));
        const double objective = ldexp(r->objective, -d->exponent);
        LODE_TRY(near(ctx, "objective", optimum.objective, objective, 1e2 * slack * objective));
    }
    if (r->dual)
        LODE_TRY(check_dual(ctx, r, &optimum));
done:
    LODE_FREE(&left, &s, &S.values);
    return st;
}

lode_status lode_i_rpca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                               lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_rpca_model r;
    lode_rpca_opts o;
    lode_i_rpca_data d = { 0 };
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM];
    lode_dtype own;
    *found = model->certificate;
    LODE_TRY(lode_i_rpca_model_of(ctx, model, &r));
    const double slack = 64 * lode_i_epsilon(r.U->dtype) * sqrt((double)(r.k + 4));
    LODE_TRY(check_structure(ctx, &r, slack));
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the residual again");
        goto done;
    }
    LODE_REQUIRE(lode_i_value_shape(original, &own, &ndim, shape) && ndim == 2 && shape[0] == r.m &&
                     shape[1] == r.n,
                 LODE_ESHAPE,
                 "rpca: the original has another shape than the result, %" PRId64 " x %" PRId64,
                 r.m, r.n);
    LODE_TRY(lode_i_options_of(ctx, &lode_op_rpca, model, &o));
    LODE_TRY(lode_i_rpca_read(ctx, original, &o.missing, NULL, &d));
    if (d.observed != r.observed) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; %" PRId64 " entries were fitted of the %" PRId64 " observed",
                 r.observed, d.observed);
        goto done;
    }
    LODE_TRY(measure_again(ctx, &r, &d, slack, found));
    if (!r.dual && r.lambda > 0)
        snprintf(found->note, sizeof found->note,
                 "residual and objective measured; run rpca with --dual true to prove the gap "
                 "again");
done:
    lode_i_rpca_data_free(&d);
    return st;
}

/* ---- plot ---- */

static lode_status pictures(lode_ctx *ctx, const lode_bundle *model, const lode_i_rpca_model *r,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    const int64_t rows = lode_i_min(r->m, lode_i_max(1, DRAWN / lode_i_max(r->n, 1)));
    const int64_t start[2] = { 0, 0 }, shape[2] = { rows, r->n };
    lode_part part = { .ndim = 2, .count = { rows, r->n } };
    lode_array L = { 0 }, S = { 0 };
    lode_panel *p = NULL;
    char title[64] = "", of[48] = "";
    const lode_i_coded c = { .left = r->U, .scale = r->s, .right = r->V, .each = "components" };
    (void)model;
    if (rows < r->m)
        snprintf(of, sizeof of, ", first %" PRId64 " rows", rows);
    LODE_TRY(lode_i_expand_codes(ctx, "rpca", &c, lode_none(), &part, &L));
    snprintf(title, sizeof title, "low rank%s", of);
    LODE_TRY(lode_i_panel(ctx, figure, title, "column", "row", &p));
    LODE_TRY(lode_i_panel_image(ctx, p, &L, 0, 0, false));
    LODE_TRY(lode_array_zeros(ctx, r->S->values.dtype, 2, shape, &S));
    LODE_TRY(lode_i_robust_add(ctx, r->S, start, &S));
    snprintf(title, sizeof title, "outliers%s", of);
    LODE_TRY(lode_i_panel(ctx, figure, title, "column", "row", &p));
    LODE_TRY(lode_i_panel_image(ctx, p, &S, 0, 0, true));
done:
    LODE_FREE(&L, &S);
    return st;
}

lode_status lode_i_rpca_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_figure *figure)
{
    lode_status st = LODE_OK;
    lode_i_rpca_model r;
    lode_panel *p = NULL;
    char caption[512], title[160];
    (void)original;
    LODE_TRY(lode_i_rpca_model_of(ctx, model, &r));
    lode_certificate_print(&model->certificate, caption, sizeof caption);
    snprintf(title, sizeof title,
             "%" PRId64 " x %" PRId64 ": rank %" PRId64 " and %" PRId64 " outliers (%.3g %%)", r.m,
             r.n, r.k, lode_sparse_nnz(r.S),
             100 * (double)lode_sparse_nnz(r.S) / fmax((double)r.m * (double)r.n, 1));
    LODE_TRY(lode_figure_caption(ctx, figure, title, caption));
    LODE_TRY(pictures(ctx, model, &r, figure));
    if (r.k > 0) {
        LODE_TRY(lode_i_panel(ctx, figure, "low rank", "number", "singular value", &p));
        lode_i_panel_log(p, false, true);
        LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, r.s, NULL));
    }
    LODE_TRY(lode_i_panel(ctx, figure, "convergence", "iteration", "residual over |X|", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, r.trace));
done:
    return st;
}
