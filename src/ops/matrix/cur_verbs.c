/* Verbs of cur: coordinates of new rows, rebuild, check, draw. */
#include <math.h>

#include "ops/matrix/cur.h"

/* A result, borrowed from its bundle; F and H may be sparse. */
typedef struct model {
    lode_value F, H;
    const lode_array *G, *cols, *rows; /* cols, rows: NULL where F and H are not those of A */
    lode_dtype dtype;
    int64_t m, n, k, l;
} model;

static lode_status check_index(lode_ctx *ctx, const lode_array *index, const char *name,
                               int64_t count, int64_t n)
{
    lode_status st = LODE_OK;
    LODE_REQUIRE(index->dtype == LODE_I64 && index->ndim == 1 && index->shape[0] == count &&
                     lode_array_is_contiguous(index),
                 LODE_EFORMAT, "cur: %s of this result is not %" PRId64 " numbers (i64)", name,
                 count);
    for (int64_t i = 0; i < count; i++)
        LODE_REQUIRE(lode_i_get1(index, i) >= 0 && lode_i_get1(index, i) < (double)n, LODE_EFORMAT,
                     "cur: %s[%" PRId64 "] of this result is outside of 0 to %" PRId64, name, i,
                     n - 1);
done:
    return st;
}

static lode_status read_model(lode_ctx *ctx, const lode_bundle *b, model *f)
{
    lode_status st = LODE_OK;
    lode_dtype F = LODE_F64, H = LODE_F64;
    int nf = 0, nh = 0;
    lode_cur_opts o;
    int64_t fs[LODE_MAX_NDIM], hs[LODE_MAX_NDIM];
    f->F = lode_bundle_get(b, "F"), f->H = lode_bundle_get(b, "H");
    LODE_TRY(lode_bundle_array(ctx, b, "G", &f->G));
    LODE_TRY(lode_i_bundle_optional(ctx, b, "cols", &f->cols));
    LODE_TRY(lode_i_bundle_optional(ctx, b, "rows", &f->rows));
    const bool kinds = (f->F.kind == LODE_ARRAY || f->F.kind == LODE_SPARSE) &&
                       (f->H.kind == LODE_ARRAY || f->H.kind == LODE_SPARSE);
    LODE_REQUIRE(kinds && lode_i_value_shape(f->F, &F, &nf, fs) &&
                     lode_i_value_shape(f->H, &H, &nh, hs) && nf == 2 && nh == 2 &&
                     f->G->ndim == 2 && f->G->shape[0] == fs[1] && f->G->shape[1] == hs[0] &&
                     F == f->G->dtype && H == F && lode_i_arith(F) == F,
                 LODE_EFORMAT, "cur: F, G and H of this result do not fit together; make it again");
    f->m = fs[0], f->k = fs[1], f->l = hs[0], f->n = hs[1], f->dtype = F;
    if (f->cols)
        LODE_TRY(check_index(ctx, f->cols, "cols", f->k, f->n));
    if (f->rows)
        LODE_TRY(check_index(ctx, f->rows, "rows", f->l, f->m));
    LODE_TRY(lode_i_options_of(ctx, &lode_op_cur, b, &o));
    if (o.core == LODE_CUR_INTERPOLATE) /* F and H interpolate between what G holds */
        f->cols = f->rows = NULL;
done:
    return st;
}

/* Rows (axis 0) or columns [from, to) of F or H, dense. */
static lode_status piece(lode_ctx *ctx, lode_value v, int axis, int64_t from, int64_t to,
                         lode_array *out)
{
    lode_status st = LODE_OK;
    lode_sparse part = { 0 };
    lode_array index = { 0 }, view = { 0 };
    if (v.kind == LODE_ARRAY) {
        view = axis == 0 ? lode_i_rows(v.as.array, from, to) : lode_i_cols(v.as.array, from, to);
        lode_array_swap(out, &view);
        goto done;
    }
    LODE_TRY(lode_i_vector_new(ctx, LODE_I64, to - from, &index));
    for (int64_t i = from; i < to; i++)
        lode_i_set1(&index, i - from, (double)i);
    LODE_TRY(lode_i_take_csr(ctx, v.as.sparse, axis, &index, &part));
    LODE_TRY(lode_sparse_to_dense(ctx, &part, out));
done:
    LODE_FREE(&part, &index, &view);
    return st;
}

/* B = G H, k x n, or its columns [from, to): what the columns of F, or codes in their place, are
 * coordinates of. */
static lode_status right(lode_ctx *ctx, const model *f, int64_t from, int64_t to, lode_array *B)
{
    lode_status st = LODE_OK;
    lode_array H = { 0 };
    LODE_TRY(piece(ctx, f->H, 1, from, to, &H));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, f->G, &H, B));
done:
    lode_array_free(&H);
    return st;
}

/* ---- apply: new rows in the coordinates of F ---- */

/* Where F is columns, a new row's entries there; else what comes closest to the row. */
static lode_status coordinates(lode_ctx *ctx, const model *f, const lode_linop *op,
                               lode_array *codes)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 }, P = { 0 };
    if (f->cols)
        return lode_i_linop_columns(ctx, op, f->cols, codes);
    LODE_TRY(right(ctx, f, 0, f->n, &B));
    LODE_TRY(
        lode_i_pinv(ctx, &B, 16 * lode_i_epsilon(f->dtype) * sqrt((double)f->k + 1), &P, NULL));
    LODE_TRY(op->apply(ctx, op, false, &P, codes));
done:
    LODE_FREE(&B, &P);
    return st;
}

lode_status lode_i_cur_apply(lode_ctx *ctx, const lode_bundle *b, lode_value x, lode_bundle *result)
{
    lode_status st = LODE_OK;
    model f;
    lode_linop *op = NULL;
    lode_array rows = { 0 }, wide = { 0 }, codes = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, b, &f));
    const bool one = x.kind == LODE_ARRAY && x.as.array->ndim == 1;
    if (one) {
        const int64_t shape[2] = { 1, x.as.array->shape[0] };
        LODE_TRY(lode_array_reshape(ctx, x.as.array, 2, shape, &rows));
        x = lode_from_array(&rows);
    }
    if (x.kind == LODE_ARRAY && x.as.array->dtype != f.dtype &&
        (lode_i_is_complex(f.dtype) || !lode_i_is_complex(x.as.array->dtype))) {
        LODE_TRY(lode_array_cast(ctx, x.as.array, f.dtype, &wide));
        x = lode_from_array(&wide);
    }
    LODE_TRY(lode_linop_from(ctx, x, &op));
    LODE_REQUIRE(op->cols == f.n, LODE_ESHAPE,
                 "cur: the new rows have %" PRId64 " values, the decomposed matrix had %" PRId64
                 " columns",
                 op->cols, f.n);
    LODE_REQUIRE(lode_i_is_complex(op->dtype) == lode_i_is_complex(f.dtype), LODE_ETYPE,
                 "cur: the result is %s and the new rows %s: convert them first",
                 lode_dtype_name(f.dtype), lode_dtype_name(op->dtype));
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(coordinates(ctx, &f, op, &codes));
    LODE_TRY(lode_i_as(ctx, &codes, f.dtype, &y));
    LODE_TRY(lode_i_give_codes(ctx, one, &y, result));
done:
    LODE_FREE(&op, &rows, &wide, &codes, &y);
    return st;
}

/* ---- invert: codes G H, codes being F where none are given ---- */

lode_status lode_i_cur_invert(lode_ctx *ctx, const lode_bundle *b, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    lode_status st = LODE_OK;
    model f;
    int64_t start[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    lode_array given = { 0 }, left = { 0 }, B = { 0 }, y = { 0 };
    LODE_TRY(read_model(ctx, b, &f));
    int64_t shape[2] = { f.m, f.n };
    if (codes.kind != LODE_NONE) {
        LODE_TRY(lode_i_as_array(ctx, codes, f.dtype, &given));
        LODE_REQUIRE(given.ndim == 2 && given.shape[1] == f.k, LODE_ESHAPE,
                     "cur: codes have one column for each of the %" PRId64 " of F", f.k);
        shape[0] = given.shape[0];
    }
    LODE_TRY(lode_i_part_resolve(ctx, part, 2, shape, start, count));
    LODE_TRY(piece(ctx, codes.kind != LODE_NONE ? lode_from_array(&given) : f.F, 0, start[0],
                   start[0] + count[0], &left));
    LODE_TRY(right(ctx, &f, start[1], start[1] + count[1], &B));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &left, &B, &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&given, &left, &B, &y);
    return st;
}

/* ---- verify ---- */

static lode_status require_finite(lode_ctx *ctx, lode_value v, const char *name)
{
    return v.kind == LODE_ARRAY ? lode_i_require_finite(ctx, v.as.array, name)
                                : lode_sparse_check(ctx, v.as.sparse);
}

/* F (H: rows) is what it says it is: columns of the original, entry for entry. */
static lode_status check_chosen(lode_ctx *ctx, const lode_linop *A, const lode_array *index,
                                const lode_array *F, bool rows)
{
    lode_status st = LODE_OK;
    lode_linop *adjoint = NULL;
    lode_array want = { 0 }, turned = { 0 }, wide = { 0 };
    double off = 0, norm = 0;
    if (rows) {
        LODE_TRY(lode_i_linop_adjoint(ctx, A, &adjoint));
        LODE_TRY(lode_i_linop_columns(ctx, adjoint, index, &want));
        LODE_TRY(lode_i_conj(ctx, &want));
        turned = lode_i_transposed(&want);
    } else {
        LODE_TRY(lode_i_linop_columns(ctx, A, index, &want));
        turned = want, turned.owner = NULL;
    }
    LODE_TRY(lode_array_cast(ctx, &turned, F->dtype, &wide));
    LODE_TRY(lode_i_diff_fro(ctx, &wide, F, &off));
    LODE_TRY(lode_i_norm_fro(ctx, &wide, &norm));
    LODE_REQUIRE(off <= 4 * lode_i_epsilon(F->dtype) * norm, LODE_EVERIFY,
                 "cur: %s of this result are not those of the original: they differ by %.3g",
                 rows ? "the rows in H" : "the columns in F", off);
done:
    LODE_FREE(&adjoint, &want, &wide);
    return st;
}

lode_status lode_i_cur_verify(lode_ctx *ctx, const lode_bundle *b, lode_value original,
                              lode_certificate *found)
{
    lode_status st = LODE_OK;
    model f;
    lode_linop *A = NULL;
    lode_array F = { 0 }, H = { 0 }, L = { 0 }, Hh = { 0 }, turned = { 0 }, wide = { 0 };
    const lode_certificate *c = &b->certificate;
    double norm = 0;
    LODE_TRY(read_model(ctx, b, &f));
    LODE_TRY(require_finite(ctx, f.F, "F"));
    LODE_TRY(require_finite(ctx, f.H, "H"));
    LODE_TRY(lode_i_require_finite(ctx, f.G, "G"));
    *found = *c;
    if (original.kind == LODE_NONE) {
        snprintf(found->note, sizeof found->note,
                 "structure checked; give the original to measure the error again");
        goto done;
    }
    LODE_TRY(lode_linop_from(ctx, original, &A));
    LODE_REQUIRE(A->rows == f.m && A->cols == f.n, LODE_ESHAPE,
                 "cur: the original is %" PRId64 " x %" PRId64 ", the result stands for %" PRId64
                 " x %" PRId64,
                 A->rows, A->cols, f.m, f.n);
    LODE_REQUIRE(lode_i_is_complex(A->dtype) == lode_i_is_complex(f.dtype) && A->norm, LODE_ETYPE,
                 "cur: the original is %s, the result %s", lode_dtype_name(A->dtype),
                 lode_dtype_name(f.dtype));
    LODE_TRY(piece(ctx, f.F, 0, 0, f.m, &F));
    LODE_TRY(piece(ctx, f.H, 0, 0, f.l, &H));
    if (f.cols)
        LODE_TRY(check_chosen(ctx, A, f.cols, &F, false));
    if (f.rows)
        LODE_TRY(check_chosen(ctx, A, f.rows, &H, true));
    LODE_TRY(lode_i_tick(ctx, 1, 2));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &F, f.G, &wide));
    LODE_TRY(lode_array_cast(ctx, &wide, A->dtype, &L));
    turned = lode_i_transposed(&H);
    LODE_TRY(lode_array_cast(ctx, &turned, A->dtype, &Hh));
    LODE_TRY(lode_i_conj(ctx, &Hh));
    LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
    LODE_TRY(A->norm(ctx, A, &L, &Hh, &found->absolute));
    found->value = !found->relative ? found->absolute : norm > 0 ? found->absolute / norm : 0;
    /* rounding in products of factors that may be large where the core is ill conditioned */
    double left = 0, right_norm = 0;
    LODE_TRY(lode_i_norm_fro(ctx, &L, &left));
    LODE_TRY(lode_i_norm_fro(ctx, &Hh, &right_norm));
    const double room = 1e-3 * c->absolute +
                        64 * lode_i_epsilon(f.dtype) * (norm + fmin(left * right_norm, 1e6 * norm));
    LODE_REQUIRE(fabs(found->absolute - c->absolute) <= room, LODE_EVERIFY,
                 "cur: the error is %.6g, the certificate says %.6g", found->absolute, c->absolute);
done:
    LODE_FREE(&A, &F, &H, &L, &Hh, &wide);
    return st;
}

/* ---- plot ---- */

lode_status lode_i_cur_plot(lode_ctx *ctx, const lode_bundle *b, lode_value original,
                            lode_figure *figure)
{
    lode_status st = LODE_OK;
    model f;
    lode_array F = { 0 }, H = { 0 }, R = { 0 }, S = { 0 }, T = { 0 }, M = { 0 }, s = { 0 },
               turned = { 0 };
    char text[512];
    (void)original;
    LODE_TRY(read_model(ctx, b, &f));
    LODE_TRY(piece(ctx, f.F, 0, 0, f.m, &F));
    LODE_TRY(piece(ctx, f.H, 0, 0, f.l, &H));
    /* singular values of F G H = Q (R G S^T) P^T */
    turned = lode_i_transposed(&H);
    LODE_TRY(lode_i_qr_r(ctx, &F, &R));
    LODE_TRY(lode_i_qr_r(ctx, &turned, &S));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &R, f.G, &T));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_T, &T, &S, &M));
    LODE_TRY(lode_i_svd(ctx, &M, lode_i_min(f.k, f.l), NULL, &s, NULL));
    lode_certificate_print(&b->certificate, text, sizeof text);
    LODE_TRY(lode_figure_caption(ctx, figure, "Range, core and corange", text));
    LODE_TRY(lode_i_plot_scree(ctx, figure, "singular values of F G H", &s));
done:
    LODE_FREE(&F, &H, &R, &S, &T, &M, &s);
    return st;
}
