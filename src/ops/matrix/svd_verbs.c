/* Verbs of svd: project, reconstruct, join results of row blocks, check, draw. */
#include <math.h>
#include <string.h>

#include "ops/matrix/svd.h"

lode_status lode_i_svd_read(lode_ctx *ctx, const lode_bundle *b, lode_i_svd_factors *f)
{
    LODE_FORWARD(lode_bundle_array(ctx, b, "U", &f->U));
    LODE_FORWARD(lode_bundle_array(ctx, b, "s", &f->s));
    LODE_FORWARD(lode_bundle_array(ctx, b, "V", &f->V));
    const lode_dtype t = f->U->dtype;
    const bool fits = f->U->ndim == 2 && f->s->ndim == 1 && f->V->ndim == 2 &&
                      f->U->shape[1] == f->s->shape[0] && f->V->shape[1] == f->s->shape[0] &&
                      f->V->dtype == t && lode_i_arith(t) == t && f->s->dtype == lode_i_real_of(t);
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "svd: U, s and V of this result do not fit together; decompose again");
    f->m = f->U->shape[0], f->n = f->V->shape[0], f->k = f->s->shape[0];
    return LODE_OK;
}

/* ---- apply: rows in the coordinates of V ---- */

lode_status lode_i_svd_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_svd_factors f;
    lode_linop *op = NULL;
    lode_array rows = { 0 }, V = { 0 }, codes = { 0 }, y = { 0 };
    LODE_TRY(lode_i_svd_read(ctx, model, &f));
    const bool one = x.kind == LODE_ARRAY && x.as.array->ndim == 1;
    if (one) {
        LODE_TRY(lode_array_reshape(ctx, x.as.array, 2,
                                    (const int64_t[]){ 1, x.as.array->shape[0] }, &rows));
        x = lode_from_array(&rows);
    }
    if (x.kind == LODE_ARRAY && lode_i_is_complex(f.V->dtype) &&
        !lode_i_is_complex(x.as.array->dtype)) {
        /* a real operator takes no complex vectors */
        LODE_TRY(lode_array_cast(ctx, x.as.array, f.V->dtype, &y));
        lode_array_swap(&rows, &y);
        x = lode_from_array(&rows);
    }
    LODE_TRY(lode_linop_from(ctx, x, &op));
    LODE_TRY(lode_i_linop_kept(ctx, "x", &op));
    LODE_REQUIRE(op->cols == f.n, LODE_ESHAPE,
                 "svd: the new rows have %" PRId64 " values, the decomposed matrix had %" PRId64
                 " columns",
                 op->cols, f.n);
    LODE_REQUIRE(lode_i_is_complex(op->dtype) || !lode_i_is_complex(f.V->dtype), LODE_ETYPE,
                 "svd: the result is %s and the new rows %s: convert them first",
                 lode_dtype_name(f.V->dtype), lode_dtype_name(op->dtype));
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(lode_array_cast(ctx, f.V, op->dtype, &V));
    LODE_TRY(op->apply(ctx, op, false, &V, &codes));
    LODE_TRY(
        lode_array_cast(ctx, &codes, lode_i_is_complex(op->dtype) ? op->dtype : f.V->dtype, &y));
    LODE_TRY(lode_i_give_codes(ctx, one, &y, result));
done:
    LODE_FREE(&op, &rows, &V, &codes, &y);
    return st;
}

/* ---- invert: codes V^H, codes being U diag(s) where none are given ---- */

lode_status lode_i_svd_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    lode_i_svd_factors f;
    LODE_FORWARD(lode_i_svd_read(ctx, model, &f));
    const lode_i_coded c = { .left = f.U, .scale = f.s, .right = f.V, .each = "triplets" };
    return lode_i_expand_codes(ctx, "svd", &c, codes, part, out);
}

/* ---- merge: the SVD of [U_1 C_1; U_2 C_2] from that of the small [C_1; C_2] ---- */

/* Rows as basis times core: U and diag(s) V^H of a result. */
typedef struct rows {
    lode_array U, core;
    int64_t count;
    /* Frobenius: error of what the core stands for (negative: unknown), norm of the rows */
    double lost, norm;
} rows;

static void free_rows(rows *r)
{
    LODE_FREE(&r->U, &r->core);
}

lode_status lode_i_svd_known(lode_ctx *ctx, const lode_bundle *model, const lode_array *s,
                             double *lost, double *norm)
{
    const lode_certificate *c = &model->certificate;
    const bool known = c->kind != LODE_CERT_NONE && c->norm == LODE_NORM_FRO;
    double kept = 0;
    LODE_FORWARD(lode_i_norm_fro(ctx, s, &kept));
    *lost = known ? c->absolute : -1;
    /* the error is orthogonal to the rest only where it is that of the best approximation */
    *norm = known && c->kind == LODE_CERT_MEASURED ? hypot(kept, c->absolute)
            : known && c->relative && c->value > 0 ? c->absolute / c->value
                                                   : kept;
    return LODE_OK;
}

static lode_status rows_of_model(lode_ctx *ctx, const lode_bundle *b, const lode_i_svd_factors *f,
                                 lode_dtype dtype, rows *r)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, Vs = { 0 };
    LODE_TRY(lode_i_as(ctx, f->U, dtype, &r->U));
    LODE_TRY(lode_array_cast(ctx, f->V, dtype, &Vs));
    LODE_TRY(lode_i_scale_cols(ctx, &Vs, f->s));
    LODE_TRY(lode_i_conj(ctx, &Vs));
    V = lode_i_transposed(&Vs);
    LODE_TRY(lode_array_cast(ctx, &V, dtype, &r->core));
    r->count = f->m;
    LODE_TRY(lode_i_svd_known(ctx, b, f->s, &r->lost, &r->norm));
done:
    LODE_FREE(&V, &Vs);
    return st;
}

lode_status lode_i_svd_options(lode_ctx *ctx, const lode_bundle *model, lode_svd_opts *o)
{
    lode_status st = LODE_OK;
    lode_json *all = NULL;
    *o = lode_svd_defaults();
    if (!model->meta.options)
        return LODE_OK;
    LODE_TRY(lode_i_json_parse(ctx, model->meta.options, strlen(model->meta.options), &all));
    static const char *const wanted[] = { "rank", "error", "max_rank" };
    for (int i = 0; i < 3; i++) {
        const char *text = lode_i_json_as_text(lode_i_json_get(all, wanted[i]));
        if (text)
            LODE_TRY(lode_i_param_parse(ctx, &lode_op_svd,
                                        lode_i_param_find(&lode_op_svd, wanted[i]), text, o));
    }
done:
    lode_i_json_free(all);
    return st;
}

int64_t lode_i_svd_keep(const lode_svd_opts *o, const lode_array *s, double lost, double norm,
                        double *tail)
{
    int64_t k = s->shape[0];
    const double target = lode_i_svd_target(o, norm);
    if (target >= 0) /* what was lost before adds up by the triangle inequality */
        k = lode_i_svd_tail_rank(s, 0, fmax(target - fmax(lost, 0), 0));
    if (o->rank.count > 0)
        k = lode_i_min(k, o->rank.value[0]);
    if (o->max_rank.given)
        k = lode_i_min(k, o->max_rank.value);
    *tail = 0;
    for (int64_t i = s->shape[0] - 1; i >= k; i--)
        *tail = hypot(*tail, lode_i_get1(s, i));
    return k;
}

lode_status lode_i_svd_small(lode_ctx *ctx, const char *site, const lode_array *A, lode_array *U,
                             lode_array *s, lode_array *V)
{
    const lode_i_step step = { .site = site, .n = 3, .array = { U, s, V } };
    bool found = false;
    LODE_FORWARD(lode_i_restore(ctx, &step, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(lode_i_svd(ctx, A, lode_i_min(A->shape[0], A->shape[1]), U, s, V));
    return lode_i_keep(ctx, &step);
}

lode_certificate lode_i_svd_bound(const lode_svd_opts *o, double lost, double floor)
{
    lode_certificate c = { .kind = lost < 0 ? LODE_CERT_NONE : LODE_CERT_BOUND,
                           .norm = LODE_NORM_FRO,
                           .relative = true,
                           .needs_original = true,
                           .asked = NAN };
    snprintf(c.quantity, sizeof c.quantity, "||A - U diag(s) V^H||");
    if (lost < 0) {
        snprintf(c.note, sizeof c.note, "the error of a part is not known in the Frobenius norm");
        return c;
    }
    c.absolute = lost;
    c.relative = o->error.kind != LODE_ERROR_FRO && (floor > 0 || !(lost > 0));
    c.value = !c.relative ? c.absolute : floor > 0 ? c.absolute / floor : 0;
    c.asked = o->error.kind != LODE_ERROR_NONE ? o->error.value : NAN;
    snprintf(c.note, sizeof c.note, "errors of the parts and of this cut added up");
    return c;
}

static lode_status join(lode_ctx *ctx, const lode_svd_opts *o, const rows *a, const rows *b,
                        lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_array stack = { 0 }, view = { 0 }, P = { 0 }, s = { 0 }, V = { 0 }, U = { 0 }, Uk = { 0 },
               sk = { 0 }, Vk = { 0 };
    const int64_t n = a->core.shape[1], pa = a->core.shape[0], pb = b->core.shape[0];
    double tail = 0;
    LODE_TRY(lode_i_matrix_new(ctx, a->core.dtype, pa + pb, n, &stack));
    view = lode_i_rows(&stack, 0, pa);
    LODE_TRY(lode_array_copy_into(ctx, &a->core, &view));
    lode_array_free(&view);
    view = lode_i_rows(&stack, pa, pa + pb);
    LODE_TRY(lode_array_copy_into(ctx, &b->core, &view));
    LODE_TRY(lode_i_tick(ctx, 1, 3));
    LODE_TRY(lode_i_svd_small(ctx, "stack", &stack, &P, &s, &V));
    LODE_TRY(lode_i_tick(ctx, 2, 3));
    const double lost = a->lost < 0 || b->lost < 0 ? -1 : hypot(a->lost, b->lost),
                 norm = hypot(a->norm, b->norm);
    const int64_t k = lode_i_svd_keep(o, &s, lost, norm, &tail);

    LODE_TRY(lode_i_matrix_new(ctx, P.dtype, a->count + b->count, k, &U));
    for (int i = 0; i < 2; i++) {
        const rows *r = i == 0 ? a : b;
        lode_array_free(&view);
        view = lode_i_rows(&P, i == 0 ? 0 : pa, i == 0 ? pa : pa + pb);
        LODE_FREE(&Uk, &Vk);
        Uk = lode_i_cols(&view, 0, k);
        Vk = lode_i_rows(&U, i == 0 ? 0 : a->count, i == 0 ? a->count : a->count + b->count);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &r->U, &Uk, 0, &Vk)); /* U_i P_i */
    }
    LODE_FREE(&Uk, &Vk, &view);
    view = lode_i_cols(&V, 0, k);
    LODE_TRY(lode_array_cast(ctx, &view, V.dtype, &Vk));
    LODE_TRY(lode_array_slice(ctx, &s, 0, 0, k, 1, &Uk));
    LODE_TRY(lode_array_cast(ctx, &Uk, s.dtype, &sk));
    LODE_TRY(lode_i_canonical_signs(ctx, &U, &Vk));
    LODE_TRY(lode_bundle_add_array(ctx, result, "U", &U));
    LODE_TRY(lode_bundle_add_array(ctx, result, "s", &sk));
    LODE_TRY(lode_bundle_add_array(ctx, result, "V", &Vk));
    lode_i_svd_meta(result, P.dtype, a->count + b->count, n);
    result->certificate = lode_i_svd_bound(o, lost < 0 ? -1 : lost + tail, norm);
done:
    LODE_FREE(&stack, &view, &P, &s, &V, &U, &Uk, &sk, &Vk);
    return st;
}

lode_status lode_i_svd_merge(lode_ctx *ctx, const lode_bundle *first, const lode_bundle *second,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_svd_factors f, g;
    rows a = { 0 }, b = { 0 };
    lode_svd_opts o;
    LODE_TRY(lode_i_svd_read(ctx, first, &f));
    LODE_TRY(lode_i_svd_read(ctx, second, &g));
    LODE_TRY(lode_i_svd_options(ctx, first, &o));
    LODE_REQUIRE(f.n == g.n, LODE_ESHAPE,
                 "svd: the results have %" PRId64 " and %" PRId64
                 " columns; merge results of row blocks of one matrix",
                 f.n, g.n);
    LODE_REQUIRE(f.U->dtype == g.U->dtype, LODE_ETYPE,
                 "svd: the results are %s and %s; convert one of them", lode_dtype_name(f.U->dtype),
                 lode_dtype_name(g.U->dtype));
    LODE_TRY(rows_of_model(ctx, first, &f, f.U->dtype, &a));
    LODE_TRY(rows_of_model(ctx, second, &g, f.U->dtype, &b));
    LODE_TRY(join(ctx, &o, &a, &b, result));
done:
    free_rows(&a);
    free_rows(&b);
    return st;
}

/* ---- verify ---- */

/* Orthonormal columns; k n eps bounds what rounding of a product of n terms leaves. */
static lode_status check_orthonormal(lode_ctx *ctx, const lode_array *Q, const char *name,
                                     double slack)
{
    lode_status st = LODE_OK;
    double off = 0;
    LODE_TRY(lode_i_require_finite(ctx, Q, name));
    LODE_TRY(lode_i_off_orthonormal(ctx, Q, &off));
    LODE_REQUIRE(off <= slack * sqrt((double)Q->shape[1]), LODE_EVERIFY,
                 "svd: the columns of %s are not orthonormal: ||%s^H %s - I|| = %.3g", name, name,
                 name, off);
done:
    return st;
}

static lode_status check_structure(lode_ctx *ctx, const lode_bundle *b, const lode_i_svd_factors *f,
                                   double slack)
{
    lode_status st = LODE_OK;
    double kept = 0;
    LODE_TRY(check_orthonormal(ctx, f->U, "U", slack));
    LODE_TRY(check_orthonormal(ctx, f->V, "V", slack));
    LODE_TRY(lode_i_require_finite(ctx, f->s, "s"));
    for (int64_t i = 0; i < f->k; i++) {
        const double s = lode_i_get1(f->s, i), before = i > 0 ? lode_i_get1(f->s, i - 1) : s;
        LODE_REQUIRE(s >= 0 && s <= before, LODE_EVERIFY, "svd: s[%" PRId64 "] = %.6g is %s", i, s,
                     s < 0 ? "negative" : "above the one before it");
    }
    const lode_certificate *c = &b->certificate;
    if (c->kind == LODE_CERT_MEASURED && c->norm == LODE_NORM_FRO && c->relative && c->value > 0) {
        LODE_TRY(lode_i_norm_fro(ctx, f->s, &kept)); /* ||s||^2 + error^2 = ||A||^2 */
        const double norm = c->absolute / c->value;
        LODE_REQUIRE(
            fabs(hypot(kept, c->absolute) - norm) <= slack * norm, LODE_EVERIFY,
            "svd: s has norm %.9g, which with the error %.3g does not make up the norm %.9g of A",
            kept, c->absolute, norm);
    }
done:
    return st;
}

/* A V = U diag(s): true of what svd gives, to rounding, whatever was cut. */
static lode_status check_products(lode_ctx *ctx, const lode_linop *A, const lode_i_svd_factors *f,
                                  double slack)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, W = { 0 }, Us = { 0 }, wide = { 0 };
    double off = 0;
    const double top = f->k > 0 ? lode_i_get1(f->s, 0) : 0;
    LODE_TRY(lode_array_cast(ctx, f->V, A->dtype, &V));
    LODE_TRY(A->apply(ctx, A, false, &V, &W));
    LODE_TRY(lode_array_cast(ctx, f->U, f->U->dtype, &Us));
    LODE_TRY(lode_i_scale_cols(ctx, &Us, f->s));
    LODE_TRY(lode_array_cast(ctx, &W, Us.dtype, &wide));
    LODE_TRY(lode_i_diff_fro(ctx, &wide, &Us, &off));
    LODE_REQUIRE(off <= slack * top * sqrt((double)f->k), LODE_EVERIFY,
                 "svd: A V and U diag(s) differ by %.3g, against s_1 = %.6g", off, top);
done:
    LODE_FREE(&V, &W, &Us, &wide);
    return st;
}

static lode_status measure(lode_ctx *ctx, const lode_linop *A, const lode_i_svd_factors *f,
                           lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 }, Us = { 0 };
    double norm = 0;
    LODE_TRY(lode_array_cast(ctx, f->U, f->U->dtype, &Us));
    LODE_TRY(lode_i_scale_cols(ctx, &Us, f->s));
    LODE_TRY(lode_array_cast(ctx, &Us, A->dtype, &L));
    LODE_TRY(lode_array_cast(ctx, f->V, A->dtype, &R));
    LODE_TRY(A->norm(ctx, A, &L, &R, &found->absolute));
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    found->value = !found->relative ? found->absolute : norm > 0 ? found->absolute / norm : 0;
done:
    LODE_FREE(&L, &R, &Us);
    return st;
}

lode_status lode_i_svd_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_i_svd_factors f;
    lode_linop *A = NULL;
    lode_array u = { 0 }, v = { 0 };
    lode_certificate probes = { 0 };
    const lode_certificate *c = &model->certificate;
    LODE_TRY(lode_i_svd_read(ctx, model, &f));
    const double eps = lode_i_epsilon(f.U->dtype),
                 slack = 64 * eps * sqrt((double)(f.m + f.n + 64));
    LODE_TRY(check_structure(ctx, model, &f, slack));
    *found = *c;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(lode_linop_from(ctx, original, &A));
    LODE_TRY(lode_i_linop_kept(ctx, "original", &A));
    LODE_REQUIRE(A->rows == f.m && A->cols == f.n, LODE_ESHAPE,
                 "svd: the original is %" PRId64 " x %" PRId64 ", the result stands for %" PRId64
                 " x %" PRId64,
                 A->rows, A->cols, f.m, f.n);
    LODE_REQUIRE(lode_i_is_complex(A->dtype) == lode_i_is_complex(f.U->dtype), LODE_ETYPE,
                 "svd: the original is %s, the result %s", lode_dtype_name(A->dtype),
                 lode_dtype_name(f.U->dtype));
    LODE_TRY(lode_i_tick(ctx, 0, 3));
    if (c->kind == LODE_CERT_MEASURED)
        LODE_TRY(check_products(ctx, A, &f, slack));
    LODE_TRY(lode_i_tick(ctx, 1, 3));
    if (c->kind != LODE_CERT_NONE && c->norm == LODE_NORM_FRO && A->norm) {
        LODE_TRY(measure(ctx, A, &f, found));
        const double room = 1e-3 * c->value + slack * sqrt((double)f.k + 1);
        LODE_REQUIRE(found->value <= c->value + room &&
                         (c->kind == LODE_CERT_BOUND || found->value >= c->value - room),
                     LODE_EVERIFY, "svd: the error is %.6g, the certificate says %.6g",
                     found->value, c->value);
    }
    LODE_TRY(lode_i_tick(ctx, 2, 3));
    LODE_TRY(lode_i_as(ctx, f.U, A->dtype, &u));
    LODE_TRY(lode_i_as(ctx, f.V, A->dtype, &v));
    LODE_TRY(lode_i_certify(ctx, A, &u, f.s, &v, 20, &probes));
    snprintf(found->note, sizeof found->note,
             "spectral norm of the error at most %.3g but with probability %.0e", probes.absolute,
             probes.failure);
done:
    LODE_FREE(&A, &u, &v);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_svd_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    lode_i_svd_factors f;
    char text[512];
    (void)original;
    LODE_FORWARD(lode_i_svd_read(ctx, model, &f));
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_FORWARD(lode_figure_caption(ctx, figure, "Singular value decomposition", text));
    return lode_i_plot_scree(ctx, figure, "singular values", f.s);
}
