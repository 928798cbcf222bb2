/* Verbs of eig: coordinates of new rows, the matrix from its pairs, checks, pictures. */
#include <math.h>

#include "ops/matrix/eig.h"

/* A result, borrowed from its bundle. D is B X, or X. */
typedef struct factors {
    const lode_array *values, *X, *D, *residual, *radius;
    double least;
    int64_t n, k;
} factors;

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, bool vectors, factors *f)
{
    const lode_value dual = lode_bundle_get(b, "dual");
    *f = (factors){ .least = 1 };
    LODE_FORWARD(lode_bundle_array(ctx, b, "values", &f->values));
    LODE_FORWARD(lode_bundle_array(ctx, b, "residual", &f->residual));
    LODE_FORWARD(lode_bundle_array(ctx, b, "radius", &f->radius));
    if (lode_bundle_get(b, "b_smallest").kind == LODE_SCALAR)
        LODE_FORWARD(lode_bundle_f64(ctx, b, "b_smallest", &f->least));
    const bool have = lode_bundle_get(b, "vectors").kind == LODE_ARRAY;
    if (vectors && !have)
        return lode_i_fail(ctx, LODE_EUSAGE,
                           "eig: this result has no eigenvectors: run eig with --vectors true");
    bool fits = f->values->ndim == 1 && f->residual->ndim == 1 && f->radius->ndim == 1;
    f->k = fits ? f->values->shape[0] : 0;
    fits = fits && f->residual->shape[0] == f->k && f->radius->shape[0] == f->k;
    if (have) {
        LODE_FORWARD(lode_bundle_array(ctx, b, "vectors", &f->X));
        f->D = dual.kind == LODE_ARRAY ? dual.as.array : f->X;
        fits = fits && f->X->ndim == 2 && f->X->shape[1] == f->k && f->D->ndim == 2 &&
               f->D->shape[0] == f->X->shape[0] && f->D->shape[1] == f->k &&
               f->D->dtype == f->X->dtype && lode_i_arith(f->X->dtype) == f->X->dtype &&
               f->values->dtype == lode_i_real_of(f->X->dtype);
        f->n = fits ? f->X->shape[0] : 0;
    }
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "eig: values and vectors of this result do not fit together; run eig "
                           "again");
    return LODE_OK;
}

/* ---- apply: rows in the coordinates of the eigenvectors ---- */

lode_status lode_i_eig_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    factors f;
    lode_linop *op = NULL;
    lode_array given = { 0 }, rows = { 0 }, V = { 0 }, codes = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, model, true, &f));
    const bool wide = lode_i_is_complex(f.X->dtype);
    if (x.kind == LODE_ARRAY) {
        const lode_dtype t = lode_i_arith(x.as.array->dtype);
        LODE_TRY(lode_i_as(ctx, x.as.array, wide && !lode_i_is_complex(t) ? f.X->dtype : t, &rows));
        x = lode_from_array(&rows);
    }
    const bool one = x.kind == LODE_ARRAY && rows.ndim == 1;
    if (one) {
        LODE_TRY(lode_array_reshape(ctx, &rows, 2, (const int64_t[]){ 1, rows.shape[0] }, &given));
        x = lode_from_array(&given);
    }
    LODE_TRY(lode_linop_from(ctx, x, &op));
    LODE_TRY(lode_i_linop_kept(ctx, "x", &op));
    LODE_REQUIRE(op->cols == f.n, LODE_ESHAPE,
                 "eig: the new rows have %" PRId64 " values, the matrix was %" PRId64 " x %" PRId64,
                 op->cols, f.n, f.n);
    LODE_REQUIRE(lode_i_is_complex(op->dtype) || !wide, LODE_ETYPE,
                 "eig: the eigenvectors are %s and the new rows %s: convert them first",
                 lode_dtype_name(f.X->dtype), lode_dtype_name(op->dtype));
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(lode_array_cast(ctx, f.X, op->dtype, &V));
    LODE_TRY(op->apply(ctx, op, false, &V, &codes));
    LODE_TRY(
        lode_array_cast(ctx, &codes, lode_i_is_complex(op->dtype) ? op->dtype : f.X->dtype, &y));
    LODE_TRY(lode_i_give_codes(ctx, one, &y, result));
done:
    LODE_FREE(&op, &given, &rows, &V, &codes, &y);
    return st;
}

/* ---- invert: codes D^H, codes being D diag(values) where none are given ---- */

lode_status lode_i_eig_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    factors f;
    LODE_FORWARD(read_model(ctx, model, true, &f));
    const lode_i_coded c = { .left = f.D, .scale = f.values, .right = f.D, .each = "pairs" };
    return lode_i_expand_codes(ctx, "eig", &c, codes, part, out);
}

/* ---- verify ---- */

/* X^H D = I. */
static lode_status check_orthonormal(lode_ctx *ctx, const factors *f, double slack)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, eye = { 0 };
    double off = 0, size = 0, dual = 0;
    LODE_TRY(lode_i_require_finite(ctx, f->X, "vectors"));
    LODE_TRY(lode_i_require_finite(ctx, f->D, "dual"));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, f->X, f->D, &G));
    LODE_TRY(lode_i_eye(ctx, f->X->dtype, f->k, &eye));
    LODE_TRY(lode_i_diff_fro(ctx, &G, &eye, &off));
    LODE_TRY(lode_i_norm_fro(ctx, f->X, &size));
    LODE_TRY(lode_i_norm_fro(ctx, f->D, &dual));
    LODE_REQUIRE(off <= slack * fmax(size * dual, 1), LODE_EVERIFY,
                 "eig: the vectors are not orthonormal: their inner products are %.3g from the "
                 "identity",
                 off);
done:
    LODE_FREE(&G, &eye);
    return st;
}

/* Finite, and what the certificate says of the largest. */
static lode_status check_numbers(lode_ctx *ctx, const lode_bundle *b, const factors *f)
{
    lode_status st = LODE_OK;
    double most = 0;
    LODE_TRY(lode_i_require_finite(ctx, f->values, "values"));
    for (int64_t i = 0; i < f->k; i++) {
        const double r = lode_i_get1(f->residual, i), d = lode_i_get1(f->radius, i);
        LODE_REQUIRE(r >= 0 && d >= 0, LODE_EVERIFY,
                     "eig: residual[%" PRId64 "] is %.3g and radius[%" PRId64
                     "] %.3g; neither is below 0",
                     i, r, i, d);
        most = fmax(most, r);
    }
    LODE_REQUIRE(fabs(most - b->certificate.value) <= 1e-9 * most, LODE_EVERIFY,
                 "eig: the largest residual is %.6g, the certificate says %.6g", most,
                 b->certificate.value);
done:
    return st;
}

/* The residuals again; and that each radius is what follows from its residual, for the norm of A. */
static lode_status measure_again(lode_ctx *ctx, const factors *f, lode_linop *A, double slack,
                                 lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_eig_pairs p = { 0 };
    double norm = 0;
    LODE_TRY(lode_i_eig_norm(ctx, A, &norm));
    LODE_TRY(lode_array_cast(ctx, f->values, LODE_F64, &p.values));
    LODE_TRY(lode_i_as(ctx, f->X, A->dtype, &p.X));
    if (f->D != f->X)
        LODE_TRY(lode_i_as(ctx, f->D, A->dtype, &p.dual));
    LODE_TRY(lode_i_eig_residuals(ctx, A, norm, f->least, &p));
    found->value = 0;
    for (int64_t i = 0; i < f->k; i++) {
        const double r = lode_i_get1(&p.residual, i), said = lode_i_get1(f->residual, i);
        LODE_REQUIRE(fabs(r - said) <= 1e-2 * said + slack, LODE_EVERIFY,
                     "eig: the residual of pair %" PRId64 " is %.6g, the result says %.6g", i, r,
                     said);
        found->value = fmax(found->value, r);
        lode_i_set1(&p.residual, i, said); /* radius = (residual + blur) unit */
    }
    LODE_TRY(lode_i_eig_radii(ctx, f->X->dtype, norm, f->least, &p));
    for (int64_t i = 0; i < f->k; i++) {
        const double d = lode_i_get1(&p.radius, i), said = lode_i_get1(f->radius, i);
        LODE_REQUIRE(fabs(d - said) <= 1e-3 * d, LODE_EVERIFY,
                     "eig: by its residual the radius of value %" PRId64
                     " is %.6g, the result says %.6g",
                     i, d, said);
    }
    found->absolute = found->value * norm;
done:
    lode_i_eig_pairs_free(&p);
    return st;
}

lode_status lode_i_eig_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    factors f;
    lode_linop *A = NULL;
    *found = model->certificate;
    LODE_TRY(read_model(ctx, model, false, &f));
    LODE_TRY(check_numbers(ctx, model, &f));
    if (!f.X) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; residuals can be measured again only with the eigenvectors");
        goto done;
    }
    const double slack = 64 * lode_i_epsilon(f.X->dtype) * sqrt((double)(f.n + 64));
    LODE_TRY(check_orthonormal(ctx, &f, slack));
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the residuals again");
        goto done;
    }
    LODE_TRY(lode_linop_from(ctx, original, &A));
    LODE_TRY(lode_i_linop_kept(ctx, "original", &A));
    LODE_REQUIRE(A->rows == f.n && A->cols == f.n, LODE_ESHAPE,
                 "eig: the original is %" PRId64 " x %" PRId64
                 ", the pairs are of a matrix of order %" PRId64,
                 A->rows, A->cols, f.n);
    LODE_REQUIRE(lode_i_is_complex(A->dtype) || !lode_i_is_complex(f.X->dtype), LODE_ETYPE,
                 "eig: the original is %s, the vectors %s: convert it first",
                 lode_dtype_name(A->dtype), lode_dtype_name(f.X->dtype));
    LODE_TRY(measure_again(ctx, &f, A, slack, found));
done:
    LODE_FREE(&A);
    return st;
}

/* ---- plot ---- */

static lode_status modes(lode_ctx *ctx, const factors *f, lode_panel *p)
{
    lode_status st = LODE_OK;
    lode_array real = { 0 };
    for (int64_t j = 0; j < lode_i_min(f->k, 4); j++) {
        char name[32];
        snprintf(name, sizeof name, "%" PRId64, j + 1);
        const lode_array column = lode_i_column(f->X, j);
        LODE_TRY(lode_array_cast(ctx, &column, lode_i_real_of(f->X->dtype), &real));
        LODE_TRY(lode_i_panel_line(ctx, p, name, NULL, &real));
    }
done:
    LODE_FREE(&real);
    return st;
}

lode_status lode_i_eig_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    factors f;
    lode_panel *p = NULL;
    char text[512], title[96];
    const lode_value trace = lode_bundle_get(model, "trace");
    (void)original;
    LODE_TRY(read_model(ctx, model, false, &f));
    lode_certificate_print(&model->certificate, text, sizeof text);
    snprintf(title, sizeof title, "%" PRId64 " eigenvalues of a matrix of order %" PRId64, f.k,
             model->meta.shape[0]);
    LODE_TRY(lode_figure_caption(ctx, figure, title, text));
    LODE_TRY(lode_i_panel(ctx, figure, "spectrum", "number", "eigenvalue", &p));
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, f.values, NULL));
    LODE_TRY(lode_i_panel(ctx, figure, "residuals", "number", "||A x - l x|| / (||A|| ||x||)", &p));
    lode_i_panel_log(p, false, model->certificate.value > 0);
    LODE_TRY(lode_i_panel_points(ctx, p, NULL, NULL, f.residual, NULL));
    if (trace.kind == LODE_ARRAY) {
        LODE_TRY(lode_i_panel(ctx, figure, "convergence", "iteration", "largest residual", &p));
        lode_i_panel_log(p, false, true);
        LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, trace.as.array));
    }
    if (f.X && f.n > 1) {
        LODE_TRY(lode_i_panel(ctx, figure, "first eigenvectors", "index",
                              lode_i_is_complex(f.X->dtype) ? "real part" : "entry", &p));
        LODE_TRY(modes(ctx, &f, p));
    }
done:
    return st;
}
