/* The check of a result of cca: what its members say about each other, and, with X (or X and Y side by side), scores,
 * loadings and the equations of the weights on the data. */
#include <math.h>

#include "linalg/masked.h"
#include "ops/matrix/cca.h"

#define EACH(i, n) for (int64_t i = 0; i < (n); i++)

lode_status lode_i_cca_inner(lode_ctx *ctx, const lode_array *A, const lode_array *B,
                             const lode_array *weights, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 }, w = { 0 };
    LODE_TRY(lode_array_cast(ctx, A, LODE_F64, &a));
    LODE_TRY(lode_array_cast(ctx, B, LODE_F64, &b));
    if (weights) {
        LODE_TRY(lode_array_cast(ctx, weights, LODE_F64, &w));
        LODE_TRY(lode_i_scale_rows(ctx, &b, &w));
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &a, &b, out));
done:
    LODE_FREE(&a, &b, &w);
    return st;
}

/* A^T B and its size, sum |a||b|, by which rounding is told: both new, f64. */
static lode_status product(lode_ctx *ctx, lode_trans side, const lode_array *A, const lode_array *B,
                           lode_array *out, lode_array *size)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, b = { 0 };
    LODE_TRY(lode_array_cast(ctx, A, LODE_F64, &a));
    LODE_TRY(lode_array_cast(ctx, B, LODE_F64, &b));
    LODE_TRY(lode_i_gemm(ctx, side, LODE_N, &a, &b, out));
    EACH(i, a.shape[0]) EACH(j, a.shape[1]) lode_i_set2(&a, i, j, fabs(lode_i_get2(&a, i, j)));
    EACH(i, b.shape[0]) EACH(j, b.shape[1]) lode_i_set2(&b, i, j, fabs(lode_i_get2(&b, i, j)));
    LODE_TRY(lode_i_gemm(ctx, side, LODE_N, &a, &b, size));
done:
    LODE_FREE(&a, &b);
    return st;
}

/* found = said to within slack times size; said NULL: the identity. */
static lode_status same(lode_ctx *ctx, const char *what, const lode_array *found,
                        const lode_array *said, const lode_array *size, double slack)
{
    EACH(i, found->shape[0])
    EACH(j, found->shape[1])
    {
        const double a = lode_i_get2(found, i, j), b = said ? lode_i_get2(said, i, j) : i == j;
        if (!(fabs(a - b) <= slack * (lode_i_get2(size, i, j) + fabs(b) + (said ? 0 : 1))))
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "cca: %s [%" PRId64 ",%" PRId64 "] is %.9g, not %.9g", what, i, j, a,
                               b);
    }
    return LODE_OK;
}

static lode_status equal(lode_ctx *ctx, const char *what, int64_t i, double said, double found,
                         double slack)
{
    if (fabs(said - found) <= slack)
        return LODE_OK;
    return lode_i_fail(ctx, LODE_EVERIFY, "cca: %s[%" PRId64 "] is %.9g, it should be %.9g", what,
                       i, said, found);
}

/* ---- members among each other ---- */

static bool is_regression(const lode_i_cca_result *r)
{
    return r->method == LODE_CCA_PLS || r->method == LODE_CCA_NIPALS;
}

static double largest(const lode_i_cca_result *r)
{
    return fmax(r->ridge[0], r->ridge[1]);
}

static lode_status check_values(lode_ctx *ctx, const lode_i_cca_result *r, const lode_array *tt,
                                const lode_array *uu, const lode_array *tu, double freedom,
                                double slack)
{
    EACH(a, r->k)
    {
        const double t = lode_i_get2(tt, a, a), u = lode_i_get2(uu, a, a);
        const double x = lode_i_get2(tu, a, a), said = lode_i_get1(r->correlations, a);
        const double found = t > 0 && u > 0 ? x / sqrt(t) / sqrt(u) : 0;
        LODE_FORWARD(equal(ctx, "correlations", a, said, found, slack));
        const double value = lode_i_get1(r->values, a);
        if (r->method != LODE_CCA_CANONICAL)
            LODE_FORWARD(equal(ctx, "values", a, value, x / freedom,
                               slack * (fabs(value) + sqrt(t) * sqrt(u) / freedom)));
        else if (!(largest(r) > 0))
            LODE_FORWARD(equal(ctx, "values", a, value, found, slack));
    }
    for (int64_t a = 1; r->method == LODE_CCA_CANONICAL && a < r->values->shape[0]; a++)
        if (lode_i_get1(r->values, a) > lode_i_get1(r->values, a - 1) * (1 + slack) + slack)
            return lode_i_fail(ctx, LODE_EVERIFY,
                               "cca: values[%" PRId64 "] is above the one before it", a);
    return LODE_OK;
}

static lode_status check_p_values(lode_ctx *ctx, const lode_i_cca_result *r)
{
    lode_status st = LODE_OK;
    lode_array P = { 0 };
    int64_t counted = r->n;
    EACH(i, r->weights ? r->n : 0) counted -= !(lode_i_get1(r->weights, i) > 0);
    LODE_TRY(lode_i_cca_p_values(ctx, r->values, counted, r->rank[0], r->rank[1], &P));
    EACH(i, P.shape[0])
    LODE_TRY(equal(ctx, "p_values", i, lode_i_get1(r->p_values, i), lode_i_get1(&P, i), 1e-9));
done:
    lode_array_free(&P);
    return st;
}

static lode_status check_held(lode_ctx *ctx, const lode_i_cca_result *r)
{
    lode_status st = LODE_OK;
    lode_array mean = { 0 };
    const lode_array *const each[] = { r->held_each, r->press_each };
    const lode_array *const said[] = { r->held, r->press };
    for (int k = 0; k < 2; k++) {
        if (!said[k])
            continue;
        LODE_TRY(lode_i_cca_held_means(ctx, each[k], k == 1, &mean));
        EACH(i, mean.shape[0])
        LODE_TRY(equal(ctx, k ? "press" : "held", i, lode_i_get1(said[k], i), lode_i_get1(&mean, i),
                       1e-9 * (1 + fabs(lode_i_get1(&mean, i)))));
    }
done:
    lode_array_free(&mean);
    return st;
}

/* Loadings^T weights is the identity, or, of a regression's Y, the slope of its scores on X's; coefficients are
 * weights times a slope; intercepts take means to means. */
static lode_status check_slopes(lode_ctx *ctx, const lode_i_cca_result *r, const lode_array *tt,
                                const lode_array *tu, double slack)
{
    lode_status st = LODE_OK;
    lode_array found = { 0 }, size = { 0 }, P = { 0 }, slope = { 0 }, again = { 0 }, row = { 0 },
               part = { 0 };
    LODE_TRY(lode_i_pinv(ctx, tt, 1e-14, &P, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &P, tu, &slope));
    if (!r->missing) {
        LODE_TRY(product(ctx, LODE_T, r->load[0], r->W[0], &found, &size));
        LODE_TRY(same(ctx, "x_loadings' x_weights", &found, NULL, &size, slack));
        LODE_TRY(product(ctx, LODE_T, r->load[1], r->W[1], &found, &size));
        LODE_TRY(same(ctx, "y_loadings' y_weights", &found, is_regression(r) ? &slope : NULL, &size,
                      slack));
    }
    if (!r->missing) {
        LODE_TRY(product(ctx, LODE_T, r->load[0], r->coef, &part, &size));
        LODE_TRY(product(ctx, LODE_N, &part, r->W[1], &found, &again));
        LODE_TRY(lode_array_cast(ctx, r->W[1], LODE_F64, &row));
        EACH(i, row.shape[0])
        EACH(j, row.shape[1]) lode_i_set2(&row, i, j, fabs(lode_i_get2(&row, i, j)));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &size, &row, &again));
        LODE_TRY(same(ctx, "slopes of y_scores on x_scores", &found, &slope, &again, slack));
    } else {
        LODE_TRY(lode_array_cast(ctx, r->load[1], LODE_F64, &found));
        const lode_array t = lode_i_transposed(&found);
        LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, &part));
    }
    LODE_TRY(product(ctx, LODE_N, r->W[0], &part, &found, &size));
    LODE_TRY(same(ctx, "coef", &found, r->coef, &size, slack));
    LODE_TRY(lode_array_reshape(ctx, r->mean[0], 2, (const int64_t[]){ 1, r->p }, &row));
    LODE_TRY(product(ctx, LODE_N, &row, r->coef, &found, &size));
    EACH(j, r->q)
    LODE_TRY(equal(ctx, "intercept", j, lode_i_get1(r->intercept, j),
                   lode_i_get1(r->mean[1], j) - lode_i_get2(&found, 0, j),
                   slack * (lode_i_get2(&size, 0, j) + fabs(lode_i_get1(r->mean[1], j)))));
done:
    LODE_FREE(&found, &size, &P, &slope, &again, &row, &part);
    return st;
}

static lode_status check_members(lode_ctx *ctx, const lode_i_cca_result *r, double slack)
{
    lode_status st = LODE_OK;
    lode_array tt = { 0 }, uu = { 0 }, tu = { 0 };
    double mass = r->weights ? 0 : (double)r->n;
    EACH(i, r->weights ? r->n : 0) mass += lode_i_get1(r->weights, i);
    const double freedom = fmax(mass - 1, 1);
    LODE_TRY(lode_i_cca_inner(ctx, r->score[0], r->score[0], r->weights, &tt));
    LODE_TRY(lode_i_cca_inner(ctx, r->score[1], r->score[1], r->weights, &uu));
    LODE_TRY(lode_i_cca_inner(ctx, r->score[0], r->score[1], r->weights, &tu));
    slack *= r->condition; /* what rounding may be multiplied by */
    LODE_TRY(check_values(ctx, r, &tt, &uu, &tu, freedom, slack));
    LODE_TRY(check_slopes(ctx, r, &tt, &tu, slack));
    if (r->p_values)
        LODE_TRY(check_p_values(ctx, r));
    LODE_TRY(check_held(ctx, r));
done:
    LODE_FREE(&tt, &uu, &tu);
    return st;
}

/* ---- with the data ---- */

/* Rows of a side, scaled back: weights over factor, loadings times it. */
static lode_status in_unit(lode_ctx *ctx, const lode_i_cca_data *d, int side, bool up,
                           const lode_array *a, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array f = { 0 };
    const int64_t skip = side ? d->cols[0] : 0;
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, out));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, d->cols[side], &f));
    EACH(j, d->cols[side])
    {
        const double v = lode_i_get1(&d->factor, skip + j);
        lode_i_set1(&f, j, up ? v : 1 / v);
    }
    LODE_TRY(lode_i_scale_rows(ctx, out, &f));
done:
    lode_array_free(&f);
    return st;
}

static lode_status check_side(lode_ctx *ctx, const lode_i_cca_result *r, int side, lode_value v,
                              double slack, double *residual)
{
    lode_status st = LODE_OK;
    lode_i_cca_data d = { .n = 0 };
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array W = { 0 }, T = { 0 }, said = { 0 }, U = { 0 }, own = { 0 }, other = { 0 },
               inner = { 0 }, tu = { 0 }, load = { 0 }, P = { 0 }, found = { 0 };
    double norm = 0, size = 0, off = 0, wide = 0;
    LODE_TRY(lode_i_cca_again(ctx, r, side, v, &d));
    LODE_TRY(lode_i_cca_operator(ctx, &d, side, false, &b, &s, &op));
    LODE_TRY(in_unit(ctx, &d, side, false, r->W[side], &W));
    LODE_TRY(op->apply(ctx, op, false, &W, &T));
    LODE_TRY(lode_array_cast(ctx, r->score[side], LODE_F64, &said));
    LODE_TRY(lode_i_diff_fro(ctx, &T, &said, &off));
    LODE_TRY(lode_i_norm_fro(ctx, &T, &size));
    LODE_TRY(lode_i_norm_fro(ctx, &W, &wide));
    LODE_TRY(lode_i_linop_norm(ctx, op, &norm));
    LODE_REQUIRE(off <= slack * (size + norm * wide), LODE_EVERIFY,
                 "cca: %c_scores are not %c about its means times the weights: off by %g of %g",
                 side ? 'y' : 'x', side ? 'Y' : 'X', off, size);
    LODE_TRY(lode_array_cast(ctx, r->score[1 - side], LODE_F64, &U));
    if (d.weight.data) {
        LODE_TRY(lode_i_scale_rows(ctx, &said, &d.weight));
        LODE_TRY(lode_i_scale_rows(ctx, &U, &d.weight));
    }
    LODE_TRY(op->apply(ctx, op, true, &said, &own));
    LODE_TRY(op->apply(ctx, op, true, &U, &other));
    const bool on_other = side == 1 && is_regression(r);
    const int from = on_other ? 0 : side;
    LODE_TRY(lode_i_cca_inner(ctx, r->score[from], r->score[from], r->weights, &inner));
    LODE_TRY(lode_i_cca_inner(ctx, r->score[side], r->score[1 - side], r->weights, &tu));
    LODE_TRY(lode_i_pinv(ctx, &inner, 1e-14, &P, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, on_other ? &other : &own, &P, &found));
    LODE_TRY(in_unit(ctx, &d, side, true, r->load[side], &load));
    LODE_TRY(lode_i_diff_fro(ctx, &found, &load, &off));
    LODE_TRY(lode_i_norm_fro(ctx, &found, &size));
    LODE_REQUIRE(off <= slack * size, LODE_EVERIFY,
                 "cca: %c_loadings are not the slopes of %c on scores: off by %g of %g",
                 side ? 'y' : 'x', side ? 'Y' : 'X', off, size);
    lode_linop_free(&op);
    LODE_TRY(lode_i_cca_operator(ctx, &d, side, true, &b, &s, &op));
    LODE_TRY(lode_i_linop_norm(ctx, op, &norm));
    const double ridge = r->ridge[side];
    const lode_i_cca_equations e = { .method = r->method,
                                     .predicted = side == 1,
                                     .W = &W,
                                     .load = &load,
                                     .own = &own,
                                     .other = &other,
                                     .inner = &tu,
                                     .values = r->values,
                                     .ridge = ridge * norm * norm / (double)d.cols[side],
                                     .freedom = fmax(d.mass - 1, 1) };
    LODE_TRY(lode_i_cca_residual(ctx, &e, residual));
done:
    lode_linop_free(&op);
    lode_i_cca_close(&d);
    LODE_FREE(&s, &W, &T, &said, &U, &own, &other, &inner, &tu, &load, &P, &found);
    return st;
}

/* X, or X and Y side by side, as one value a table. */
static lode_status part_of(lode_ctx *ctx, const lode_i_cca_result *r, lode_value original, int side,
                           lode_array *array, lode_source *source, lode_value *v)
{
    lode_status st = LODE_OK;
    lode_dtype dtype = LODE_F64;
    int ndim = 0;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_i_value_shape(original, &dtype, &ndim, shape);
    const bool both = ndim == 2 && shape[1] == r->p + r->q && r->q > 0;
    LODE_REQUIRE(ndim == 2 && shape[0] == r->n && (shape[1] == r->p || both), LODE_ESHAPE,
                 "cca: the original is X, %" PRId64 " x %" PRId64
                 ", or X and Y side by side, with %" PRId64 " columns",
                 r->n, r->p, r->p + r->q);
    *v = lode_none();
    const int64_t from[2] = { 0, side ? r->p : 0 }, to[2] = { r->n, side ? r->p + r->q : r->p };
    const int64_t step[2] = { 1, 1 };
    if (!both) {
        *v = side ? lode_none() : original;
        goto done;
    }
    LODE_REQUIRE(original.kind == LODE_ARRAY || original.kind == LODE_SOURCE, LODE_ETYPE,
                 "cca: X and Y side by side must be dense; give X alone");
    if (original.kind == LODE_ARRAY) {
        *array = lode_i_cols(original.as.array, from[1], to[1]);
        *v = lode_from_array(array);
    } else {
        LODE_TRY(lode_i_source_slice(ctx, original.as.source, 2, from, to, step, NULL, source));
        *v = lode_from_source(source);
    }
done:
    return st;
}

static lode_status check_missing(lode_ctx *ctx, const lode_i_cca_result *r, int side, lode_value v,
                                 double slack)
{
    lode_status st = LODE_OK;
    lode_array given = { 0 }, X = { 0 }, weight = { 0 };
    double off = 0;
    LODE_TRY(lode_i_as_array(ctx, v, LODE_F64, &given));
    LODE_TRY(lode_i_masked_from(ctx, &given, r->gap.kind == LODE_MISSING_VALUE ? r->gap.value : NAN,
                                &X));
    if (r->weights)
        LODE_TRY(lode_array_cast(ctx, r->weights, LODE_F64, &weight));
    LODE_TRY(lode_i_cca_missing_off(ctx, &X, r->mean[side], r->scaled, r->weights ? &weight : NULL,
                                    r->score[0], r->load[side], &off));
    LODE_REQUIRE(off <= slack, LODE_EVERIFY,
                 "cca: means and loadings of %c are off those of its observed values by %g",
                 side ? 'Y' : 'X', off);
done:
    LODE_FREE(&given, &X, &weight);
    return st;
}

lode_status lode_i_cca_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_cca_result r;
    lode_array array = { 0 };
    lode_source source = { 0 };
    lode_value v;
    double worst = 0;
    LODE_TRY(lode_i_cca_read(ctx, model, &r));
    const double slack = 256 * lode_i_epsilon(r.W[0]->dtype) * sqrt((double)(r.n + r.p + r.q));
    LODE_TRY(check_members(ctx, &r, slack));
    *found = model->certificate;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "members checked; give X, or X and Y side by side, to measure again");
        goto done;
    }
    for (int side = 0; side < 2; side++) {
        double residual = 0;
        LODE_FREE(&array, &source);
        LODE_TRY(part_of(ctx, &r, original, side, &array, &source, &v));
        if (v.kind == LODE_NONE)
            continue;
        if (r.missing)
            LODE_TRY(check_missing(ctx, &r, side, v, slack));
        else
            LODE_TRY(check_side(ctx, &r, side, v, slack, &residual));
        worst = fmax(worst, residual);
    }
    LODE_REQUIRE(worst <= model->certificate.value * 4 + slack, LODE_EVERIFY,
                 "cca: the weights miss their equations by %g, the certificate says %g", worst,
                 model->certificate.value);
    if (!r.missing)
        found->value = found->absolute = worst;
done:
    LODE_FREE(&array, &source);
    return st;
}
