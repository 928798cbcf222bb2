/* Verbs of qr: coordinates of new rows, rebuild, take in more rows, join results of row blocks, check,
 * draw. */
#include <math.h>

#include "ops/matrix/qr.h"

typedef struct factors {
    const lode_array *Q, *R, *perm;
    int64_t m, n, k;
} factors;

/* perm is a permutation; a file may hold anything. */
static lode_status check_perm(lode_ctx *ctx, const lode_array *perm, lode_array *inverse)
{
    lode_status st = LODE_OK;
    lode_array inv = { 0 };
    const int64_t n = perm->shape[0];
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, n, &inv));
    for (int64_t j = 0; j < n; j++)
        lode_i_set1(&inv, j, -1);
    for (int64_t j = 0; j < n; j++) {
        const int64_t c = (int64_t)lode_i_get1(perm, j);
        LODE_REQUIRE(c >= 0 && c < n && lode_i_get1(&inv, c) < 0, LODE_EFORMAT,
                     "qr: perm of this result is no permutation: perm[%" PRId64 "] = %" PRId64, j,
                     c);
        lode_i_set1(&inv, c, (double)j);
    }
    lode_array_swap(inverse, &inv);
done:
    lode_array_free(&inv);
    return st;
}

/* inverse: where each column of A is in R. */
static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, factors *f, lode_array *inverse)
{
    LODE_FORWARD(lode_bundle_array(ctx, b, "Q", &f->Q));
    LODE_FORWARD(lode_bundle_array(ctx, b, "R", &f->R));
    LODE_FORWARD(lode_bundle_array(ctx, b, "perm", &f->perm));
    const lode_dtype t = f->Q->dtype;
    const bool fits = f->Q->ndim == 2 && f->R->ndim == 2 && f->perm->ndim == 1 &&
                      f->Q->shape[1] == f->R->shape[0] && f->R->shape[1] == f->perm->shape[0] &&
                      f->R->shape[0] <= f->R->shape[1] && f->R->dtype == t &&
                      lode_i_arith(t) == t && f->perm->dtype == LODE_I64 &&
                      lode_array_is_contiguous(f->perm);
    if (!fits)
        return lode_i_fail(ctx, LODE_EFORMAT,
                           "qr: Q, R and perm of this result do not fit together; decompose again");
    f->m = f->Q->shape[0], f->n = f->R->shape[1], f->k = f->R->shape[0];
    return check_perm(ctx, f->perm, inverse);
}

/* ---- apply: rows in the coordinates of R, from their entries in the pivot columns ---- */

static lode_status by_triangle(lode_ctx *ctx, const factors *f, const lode_array *X,
                               lode_array *codes)
{
    lode_status st = LODE_OK;
    lode_array R11 = { 0 }, L = { 0 }, xh = { 0 }, y = { 0 }, turned = { 0 };
    const double floor = lode_i_epsilon(f->R->dtype) *
                         (f->k > 0 ? fabs(lode_i_get2(f->R, 0, 0)) : 0);
    for (int64_t i = 0; i < f->k; i++)
        LODE_REQUIRE(lode_i_get2(f->R, i, i) > floor, LODE_EDOMAIN,
                     "qr: pivot %" PRId64
                     " depends on those before it, so rows have no coordinates: decompose to its "
                     "numerical rank (rank auto)",
                     i);
    R11 = lode_i_cols(f->R, 0, f->k);
    turned = lode_i_transposed(&R11);
    LODE_TRY(lode_array_cast(ctx, &turned, f->R->dtype, &L));
    LODE_TRY(lode_i_conj(ctx, &L));
    turned = lode_i_transposed(X); /* codes R11 = X: R11^H codes^H = X^H */
    LODE_TRY(lode_array_cast(ctx, &turned, f->R->dtype, &xh));
    LODE_TRY(lode_i_conj(ctx, &xh));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, &xh, &y));
    LODE_TRY(lode_i_conj(ctx, &y));
    turned = lode_i_transposed(&y);
    LODE_TRY(lode_array_cast(ctx, &turned, y.dtype, codes));
done:
    LODE_FREE(&R11, &L, &xh, &y);
    return st;
}

lode_status lode_i_qr_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                            lode_bundle *result)
{
    lode_status st = LODE_OK;
    factors f;
    lode_linop *op = NULL;
    lode_array rows = { 0 }, X = { 0 }, J = { 0 }, codes = { 0 }, inverse = { 0 };
    LODE_TRY(read_model(ctx, model, &f, &inverse));
    const bool one = x.kind == LODE_ARRAY && x.as.array->ndim == 1;
    if (one) {
        const int64_t shape[2] = { 1, x.as.array->shape[0] };
        LODE_TRY(lode_array_reshape(ctx, x.as.array, 2, shape, &rows));
        x = lode_from_array(&rows);
    }
    LODE_TRY(lode_linop_from(ctx, x, &op));
    LODE_REQUIRE(op->cols == f.n, LODE_ESHAPE,
                 "qr: the new rows have %" PRId64 " values, the decomposed matrix had %" PRId64
                 " columns",
                 op->cols, f.n);
    LODE_REQUIRE(!lode_i_is_complex(op->dtype) || lode_i_is_complex(f.R->dtype), LODE_ETYPE,
                 "qr: the result is %s and the new rows %s: convert them first",
                 lode_dtype_name(f.R->dtype), lode_dtype_name(op->dtype));
    LODE_TRY(lode_array_slice(ctx, f.perm, 0, 0, f.k, 1, &J));
    LODE_TRY(lode_i_linop_columns(ctx, op, &J, &X));
    LODE_TRY(by_triangle(ctx, &f, &X, &codes));
    LODE_TRY(lode_i_give_codes(ctx, one, &codes, result));
done:
    LODE_FREE(&op, &rows, &X, &J, &codes, &inverse);
    return st;
}

/* ---- invert: codes R with columns in their places, codes being Q where none are given ---- */

lode_status lode_i_qr_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                             const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    factors f;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    lode_array given = { 0 }, left = { 0 }, right = { 0 }, inverse = { 0 }, some = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, model, &f, &inverse));
    if (codes.kind == LODE_NONE)
        given = lode_array_ref(f.Q);
    else
        LODE_TRY(lode_i_as_array(ctx, codes, f.Q->dtype, &given));
    LODE_REQUIRE(given.ndim == 2 && given.shape[1] == f.k, LODE_ESHAPE,
                 "qr: codes have one column for each of the %" PRId64 " pivots", f.k);
    const int64_t shape[2] = { given.shape[0], f.n };
    LODE_TRY(lode_i_part_resolve(ctx, part, 2, shape, start, count));
    left = lode_i_rows(&given, start[0], start[0] + count[0]);
    LODE_TRY(lode_array_slice(ctx, &inverse, 0, start[1], start[1] + count[1], 1, &some));
    LODE_TRY(lode_i_take(ctx, f.R, 1, &some, &right));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &left, &right, &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&given, &left, &right, &inverse, &some, &y);
    return st;
}

/* ---- update and merge: [Q_1 C_1; Q_2 C_2] from the decomposition of the small [C_1; C_2] ---- */

/* Rows as basis times core; basis empty: the identity. */
typedef struct rows {
    lode_array Q, core;
    int64_t count;
    double lost, norm; /* error of what the core stands for, norm of the rows */
} rows;

static void free_rows(rows *r)
{
    LODE_FREE(&r->Q, &r->core);
}

static lode_status rows_of_model(lode_ctx *ctx, const lode_bundle *b, rows *r)
{
    lode_status st = LODE_OK;
    factors f;
    lode_array inverse = { 0 };
    double kept = 0;
    LODE_TRY(read_model(ctx, b, &f, &inverse));
    r->Q = lode_array_ref(f.Q);
    LODE_TRY(lode_i_take(ctx, f.R, 1, &inverse, &r->core));
    LODE_TRY(lode_i_norm_fro(ctx, f.R, &kept));
    r->count = f.m, r->lost = b->certificate.absolute, r->norm = hypot(kept, r->lost);
done:
    lode_array_free(&inverse);
    return st;
}

static lode_status stack(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_array *both)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, view = { 0 };
    const int64_t m = a->shape[0];
    LODE_TRY(lode_i_matrix_new(ctx, a->dtype, m + b->shape[0], a->shape[1], &y));
    view = lode_i_rows(&y, 0, m);
    LODE_TRY(lode_array_copy_into(ctx, a, &view));
    lode_array_free(&view);
    view = lode_i_rows(&y, m, m + b->shape[0]);
    LODE_TRY(lode_array_copy_into(ctx, b, &view));
    lode_array_swap(both, &y);
done:
    LODE_FREE(&y, &view);
    return st;
}

/* Rows [from, to) of a small Q become rows of the whole. */
static lode_status turn(lode_ctx *ctx, const rows *r, const lode_array *P, lode_array *to)
{
    return r->Q.data ? lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &r->Q, P, 0, to)
                     : lode_array_copy_into(ctx, P, to);
}

static lode_status join(lode_ctx *ctx, const lode_qr_opts *o, const rows *a, const rows *b,
                        lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array both = { 0 }, P = { 0 }, R = { 0 }, perm = { 0 }, Q = { 0 }, from = { 0 },
               to = { 0 };
    lode_pqr_info info = { 0 };
    const int64_t n = a->core.shape[1], pa = a->core.shape[0], rows_in_all = a->count + b->count;
    const double lost = hypot(a->lost, b->lost), norm = hypot(a->norm, b->norm);
    LODE_TRY(stack(ctx, &a->core, &b->core, &both));
    LODE_TRY(lode_linop_from(ctx, lode_from_array(&both), &op));
    lode_pqr_opts q = lode_i_qr_request(o, op->rows, n, true);
    /* what the parts lost is orthogonal to all of this: squares add */
    const double target = o->error.kind == LODE_ERROR_REL ? o->error.value * norm : o->error.value;
    q.tail_rel = 0;
    if (o->error.kind != LODE_ERROR_NONE)
        q.tail = fmax(sqrt(fmax(target * target - lost * lost, 0)), 1e-300);
    LODE_TRY(lode_i_pqr(ctx, op, &q, &P, &R, &perm, &info));
    const int64_t k = P.shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, P.dtype, rows_in_all, k, &Q));
    for (int i = 0; i < 2; i++) {
        LODE_FREE(&from, &to);
        from = lode_i_rows(&P, i == 0 ? 0 : pa, i == 0 ? pa : both.shape[0]);
        to = lode_i_rows(&Q, i == 0 ? 0 : a->count, i == 0 ? a->count : rows_in_all);
        LODE_TRY(turn(ctx, i == 0 ? a : b, &from, &to));
    }
    lode_certificate c = { .kind = LODE_CERT_BOUND,
                           .norm = LODE_NORM_FRO,
                           .needs_original = true,
                           .relative = o->error.kind != LODE_ERROR_FRO,
                           .quantity = "||A[:, perm] - Q R||",
                           .asked = o->error.kind != LODE_ERROR_NONE ? o->error.value : NAN };
    c.absolute = hypot(lost, info.error);
    c.value = !c.relative ? c.absolute : norm > 0 ? c.absolute / norm : 0;
    snprintf(c.note, sizeof c.note,
             "%" PRId64 " pivots; errors of the parts and of this cut added in "
             "squares",
             k);
    result->meta.has_shape = true, result->meta.dtype = Q.dtype, result->meta.ndim = 2;
    result->meta.shape[0] = rows_in_all, result->meta.shape[1] = n;
    LODE_TRY(lode_bundle_add_array(ctx, result, "Q", &Q));
    LODE_TRY(lode_bundle_add_array(ctx, result, "R", &R));
    LODE_TRY(lode_bundle_add_array(ctx, result, "perm", &perm));
    result->certificate = c;
done:
    LODE_FREE(&op, &both, &P, &R, &perm, &Q, &from, &to);
    return st;
}

lode_status lode_i_qr_update(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    rows a = { 0 }, b = { 0 };
    lode_array more = { 0 }, flat = { 0 };
    lode_qr_opts o;
    LODE_TRY(rows_of_model(ctx, model, &a));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_qr, model, &o));
    const lode_dtype t = a.Q.dtype;
    if (x.kind == LODE_SPARSE)
        LODE_TRY(lode_sparse_to_dense(ctx, x.as.sparse, &more));
    else
        LODE_TRY(lode_i_as_array(ctx, x, lode_i_is_complex(t) ? t : LODE_F64, &more));
    LODE_REQUIRE(lode_i_is_complex(t) || !lode_i_is_complex(more.dtype), LODE_ETYPE,
                 "qr: the result is %s and the new rows %s: convert them first", lode_dtype_name(t),
                 lode_dtype_name(more.dtype));
    if (more.ndim == 1) {
        const int64_t shape[2] = { 1, more.shape[0] };
        LODE_TRY(lode_array_reshape(ctx, &more, 2, shape, &flat));
        lode_array_swap(&more, &flat);
    }
    LODE_REQUIRE(more.ndim == 2 && more.shape[1] == a.core.shape[1], LODE_ESHAPE,
                 "qr: the new rows must have %" PRId64 " columns, as the matrix decomposed before",
                 a.core.shape[1]);
    LODE_TRY(lode_i_as(ctx, &more, t, &b.core));
    LODE_TRY(lode_i_require_finite(ctx, &b.core, "the new rows"));
    LODE_TRY(lode_i_norm_fro(ctx, &b.core, &b.norm));
    b.count = b.core.shape[0];
    LODE_TRY(join(ctx, &o, &a, &b, result));
done:
    free_rows(&a);
    free_rows(&b);
    LODE_FREE(&more, &flat);
    return st;
}

lode_status lode_i_qr_merge(lode_ctx *ctx, const lode_bundle *first, const lode_bundle *second,
                            lode_bundle *result)
{
    lode_status st = LODE_OK;
    rows a = { 0 }, b = { 0 };
    lode_qr_opts o;
    LODE_TRY(rows_of_model(ctx, first, &a));
    LODE_TRY(rows_of_model(ctx, second, &b));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_qr, first, &o));
    LODE_REQUIRE(a.core.shape[1] == b.core.shape[1], LODE_ESHAPE,
                 "qr: the results have %" PRId64 " and %" PRId64
                 " columns; merge results of row blocks of one matrix",
                 a.core.shape[1], b.core.shape[1]);
    LODE_REQUIRE(a.Q.dtype == b.Q.dtype, LODE_ETYPE,
                 "qr: the results are %s and %s; convert one of them", lode_dtype_name(a.Q.dtype),
                 lode_dtype_name(b.Q.dtype));
    LODE_TRY(join(ctx, &o, &a, &b, result));
done:
    free_rows(&a);
    free_rows(&b);
    return st;
}

/* ---- verify ---- */

static lode_status check_structure(lode_ctx *ctx, const lode_bundle *b, const factors *f,
                                   double slack)
{
    lode_status st = LODE_OK;
    lode_array below = { 0 }, column = { 0 };
    double off = 0, kept = 0;
    LODE_TRY(lode_i_require_finite(ctx, f->Q, "Q"));
    LODE_TRY(lode_i_require_finite(ctx, f->R, "R"));
    LODE_TRY(lode_i_off_orthonormal(ctx, f->Q, &off));
    LODE_REQUIRE(off <= slack * sqrt((double)f->k), LODE_EVERIFY,
                 "qr: the columns of Q are not orthonormal: ||Q^H Q - I|| = %.3g", off);
    for (int64_t j = 0; j < f->k; j++) {
        LODE_FREE(&below, &column);
        column = lode_i_cols(f->R, j, j + 1);
        below = lode_i_rows(&column, j + 1, f->k);
        LODE_TRY(lode_i_norm_fro(ctx, &below, &off));
        LODE_REQUIRE(!(off > 0) && lode_i_get2(f->R, j, j) >= 0, LODE_EVERIFY,
                     "qr: R is not upper triangular with a diagonal >= 0 in column %" PRId64, j);
    }
    const lode_certificate *c = &b->certificate;
    if (c->relative && c->value > 0) { /* ||R||^2 + error^2 = ||A||^2 */
        LODE_TRY(lode_i_norm_fro(ctx, f->R, &kept));
        const double norm = c->absolute / c->value;
        LODE_REQUIRE(
            fabs(hypot(kept, c->absolute) - norm) <= slack * norm + 1e-6 * c->absolute,
            LODE_EVERIFY,
            "qr: R has norm %.9g, which with the error %.3g does not make up the norm %.9g "
            "of A",
            kept, c->absolute, norm);
    }
done:
    LODE_FREE(&below, &column);
    return st;
}

lode_status lode_i_qr_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                             lode_certificate *found)
{
    lode_status st = LODE_OK;
    factors f;
    lode_linop *A = NULL;
    lode_array inverse = { 0 }, z = { 0 }, turned = { 0 }, q = { 0 }, zt = { 0 };
    const lode_certificate *c = &model->certificate;
    double norm = 0;
    LODE_TRY(read_model(ctx, model, &f, &inverse));
    const double eps = lode_i_epsilon(f.Q->dtype),
                 slack = 64 * eps * sqrt((double)(f.m + f.n + 64));
    LODE_TRY(check_structure(ctx, model, &f, slack));
    *found = *c;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(lode_linop_from(ctx, original, &A));
    LODE_REQUIRE(A->rows == f.m && A->cols == f.n, LODE_ESHAPE,
                 "qr: the original is %" PRId64 " x %" PRId64 ", the result stands for %" PRId64
                 " x %" PRId64,
                 A->rows, A->cols, f.m, f.n);
    LODE_REQUIRE(lode_i_is_complex(A->dtype) == lode_i_is_complex(f.Q->dtype) && A->norm,
                 LODE_ETYPE, "qr: the original is %s, the result %s", lode_dtype_name(A->dtype),
                 lode_dtype_name(f.Q->dtype));
    LODE_TRY(lode_i_take(ctx, f.R, 1, &inverse, &z));
    LODE_TRY(lode_i_conj(ctx, &z));
    turned = lode_i_transposed(&z);
    LODE_TRY(lode_array_cast(ctx, &turned, A->dtype, &zt));
    LODE_TRY(lode_i_as(ctx, f.Q, A->dtype, &q));
    LODE_TRY(lode_i_tick(ctx, 1, 2));
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    LODE_TRY(A->norm(ctx, A, &q, &zt, &found->absolute));
    found->value = !found->relative ? found->absolute : norm > 0 ? found->absolute / norm : 0;
    const double room = 1e-3 * c->absolute + slack * norm * sqrt((double)f.k + 1);
    LODE_REQUIRE(found->absolute <= c->absolute + room &&
                     (c->kind == LODE_CERT_BOUND || found->absolute >= c->absolute - room),
                 LODE_EVERIFY, "qr: the error is %.6g, the certificate says %.6g", found->absolute,
                 c->absolute);
done:
    LODE_FREE(&A, &inverse, &z, &q, &zt);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_qr_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                           lode_figure *figure)
{
    lode_status st = LODE_OK;
    factors f;
    lode_array inverse = { 0 }, d = { 0 }, row = { 0 }, norms = { 0 }, left = { 0 };
    lode_panel *p = NULL;
    char text[512];
    double error = model->certificate.absolute;
    (void)original;
    LODE_TRY(read_model(ctx, model, &f, &inverse));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f.k, &d));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f.k, &norms));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, f.k, &left));
    for (int64_t i = f.k - 1; i >= 0; i--) { /* rows of Q R are orthogonal: squares add */
        double norm = 0;
        lode_array_free(&row);
        row = lode_i_rows(f.R, i, i + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &row, &norm));
        lode_i_set1(&norms, i, norm);
        lode_i_set1(&d, i, lode_i_get2(f.R, i, i));
        lode_i_set1(&left, i, error);
        error = hypot(error, norm);
    }
    lode_certificate_print(&model->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "QR with column pivoting", text));
    LODE_TRY(lode_i_panel(ctx, figure, "what each pivot adds", "pivot", "norm, unit of A", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_line(ctx, p, "row of R", NULL, &norms));
    LODE_TRY(lode_i_panel_line(ctx, p, "diagonal of R", NULL, &d));
    LODE_TRY(lode_i_panel(ctx, figure, "what is left", "pivots", "Frobenius error, unit of A", &p));
    lode_i_panel_log(p, false, true);
    LODE_TRY(lode_i_panel_line(ctx, p, NULL, NULL, &left));
done:
    LODE_FREE(&inverse, &d, &row, &norms, &left);
    return st;
}
