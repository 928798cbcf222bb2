/* Two tables reduced: R of a QR factorization of [X Y], about the means of each fold, has all inner products
 * of columns, and so their angles (Bjorck & Golub work with the same factors of X and Y apart). A table with more columns
 * than rows is turned by an orthogonal transformation of its columns instead. */
#include <math.h>

#include "ops/matrix/cca.h"

void lode_i_cca_pair_free(lode_i_cca_pair *p)
{
    LODE_FREE(&p->M[0], &p->M[1], &p->mean[0], &p->mean[1]);
}

void lode_i_cca_reduced_free(lode_i_cca_reduced *r)
{
    for (int f = 0; r->fold && f < r->folds; f++)
        lode_i_cca_pair_free(&r->fold[f]);
    lode_i_free(r->fold);
    lode_i_cca_pair_free(&r->whole);
    *r = (lode_i_cca_reduced){ 0 };
}

static lode_status rows_of_fold(lode_ctx *ctx, const lode_i_cca_data *d, int f, lode_array *rows)
{
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        n += (int64_t)lode_i_get1(&d->fold, i) == f;
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_I64, n, rows));
    n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if ((int64_t)lode_i_get1(&d->fold, i) == f)
            lode_i_set1(rows, n++, (double)i);
    return LODE_OK;
}

/* (fold's mean - mean) factor, of the columns of one side, as a row. */
static lode_status offset(lode_ctx *ctx, const lode_i_cca_data *d, int f, int side, lode_array *row)
{
    const int64_t skip = side ? d->cols[0] : 0;
    LODE_FORWARD(lode_i_matrix_new(ctx, LODE_F64, 1, d->cols[side], row));
    for (int64_t j = 0; j < d->cols[side]; j++)
        lode_i_set2(row, 0, j,
                    (lode_i_get2(&d->fold_mean, f, skip + j) - lode_i_get1(&d->mean, skip + j)) *
                        lode_i_get1(&d->factor, skip + j));
    return LODE_OK;
}

/* A square root of the Gram matrix; exact: nothing had to be added to it. */
static lode_status root_of(lode_ctx *ctx, const lode_array *G, lode_array *R, bool *exact)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 };
    double shift = 0;
    LODE_TRY(lode_i_cholesky(ctx, G, &L, &shift));
    *exact = *exact && shift <= 0;
    const lode_array t = lode_i_transposed(&L);
    LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, R));
done:
    lode_array_free(&L);
    return st;
}

/* ---- more rows than columns of both: [X Y] = Q R ---- */

static lode_status tall_fold(lode_ctx *ctx, const lode_i_cca_data *d, int f, bool gram,
                             lode_i_cca_pair *out, bool *exact)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array rows = { 0 }, mean = { 0 }, flat = { 0 }, R = { 0 }, G = { 0 }, part = { 0 };
    const int64_t all = d->cols[0] + d->cols[1];
    LODE_TRY(lode_i_cca_operator(ctx, d, 2, true, &b, &s, &op));
    if (d->folds > 1) {
        LODE_TRY(rows_of_fold(ctx, d, f, &rows));
        part = lode_i_rows(&d->fold_mean, f, f + 1);
        LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &mean));
        LODE_TRY(lode_array_reshape(ctx, &mean, 1, &all, &flat));
        b.rows = &rows, b.shift = &flat;
        lode_linop_free(&op);
        LODE_TRY(lode_i_source_beside(ctx, &b, &s));
        LODE_TRY(lode_linop_from(ctx, lode_from_source(&s), &op));
    }
    if (s.shape[0] <= all) {
        LODE_TRY(lode_i_source_load(ctx, &s, &R));
    } else if (gram) {
        LODE_TRY(op->gram(ctx, op, LODE_I_GRAM, 1, &G));
        LODE_TRY(root_of(ctx, &G, &R, exact));
    } else {
        LODE_TRY(op->gram(ctx, op, LODE_I_TRIANGLE, 1, &R));
    }
    for (int k = 0; k < 2; k++) {
        lode_array_free(&part);
        part = lode_i_cols(&R, k ? d->cols[0] : 0, k ? all : d->cols[0]);
        LODE_TRY(lode_array_cast(ctx, &part, LODE_F64, &out->M[k]));
        LODE_TRY(offset(ctx, d, f, k, &out->mean[k]));
    }
    out->mass = d->fold_mass[f];
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &rows, &mean, &flat, &R, &G, &part);
    return st;
}

/* ---- else: X = L Q^T, or X itself ---- */

static lode_status wide_side(lode_ctx *ctx, const lode_i_cca_data *d, int side, bool *wide,
                             lode_array *out)
{
    lode_status st = LODE_OK;
    lode_i_beside b;
    lode_source s = { 0 };
    lode_linop *op = NULL;
    lode_array R = { 0 };
    LODE_TRY(lode_i_cca_operator(ctx, d, side, true, &b, &s, &op));
    *wide = d->cols[side] > d->n;
    if (!*wide) {
        LODE_TRY(lode_i_source_load(ctx, &s, out));
        goto done;
    }
    LODE_TRY(op->gram(ctx, op, LODE_I_TRIANGLE, 1, &R)); /* of the adjoint */
    const lode_array t = lode_i_transposed(&R);
    LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, out));
done:
    lode_linop_free(&op);
    LODE_FREE(&s, &R);
    return st;
}

/* Rows of a fold about their mean, and it. Rows are weighted: sums of root times row are weighted sums. */
static lode_status cut(lode_ctx *ctx, const lode_i_cca_data *d, const lode_array *all, int f,
                       lode_array *M, lode_array *mean)
{
    lode_status st = LODE_OK;
    lode_array rows = { 0 }, root = { 0 };
    LODE_TRY(rows_of_fold(ctx, d, f, &rows));
    const int64_t n = rows.shape[0];
    LODE_TRY(lode_i_take(ctx, all, 0, &rows, M));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, n, 1, &root));
    for (int64_t i = 0; i < n; i++)
        lode_i_set2(&root, i, 0,
                    d->root.data ? lode_i_get1(&d->root, (int64_t)lode_i_get1(&rows, i)) : 1);
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &root, M, mean));
    LODE_TRY(lode_i_scale(ctx, d->fold_mass[f] > 0 ? 1 / d->fold_mass[f] : 0, mean));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &root, mean, 1, M));
done:
    LODE_FREE(&rows, &root);
    return st;
}

/* Rows are those of the data, so all of them are about their common mean already. */
static lode_status wide_folds(lode_ctx *ctx, const lode_i_cca_data *d, lode_i_cca_reduced *r)
{
    lode_status st = LODE_OK;
    r->whole.mass = d->mass;
    for (int k = 0; k < 2; k++) {
        lode_array *all = &r->whole.M[k], *mean = &r->whole.mean[k];
        LODE_TRY(wide_side(ctx, d, k, &r->wide[k], all));
        LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, 1, all->shape[1], mean));
        LODE_TRY(lode_i_fill(ctx, mean, 0));
        for (int f = 0; f < d->folds && d->folds > 1; f++) {
            r->fold[f].mass = d->fold_mass[f];
            LODE_TRY(cut(ctx, d, all, f, &r->fold[f].M[k], &r->fold[f].mean[k]));
        }
    }
done:
    return st;
}

/* ---- together ---- */

lode_status lode_i_cca_reduce(lode_ctx *ctx, const lode_i_cca_data *d, bool gram,
                              lode_i_cca_reduced *r, bool *exact)
{
    lode_status st = LODE_OK;
    lode_i_cca_reduced local = { .folds = d->folds };
    const bool tall = lode_i_cca_tall(d->n, d->cols[0], d->cols[1]);
    *exact = true;
    local.by_gram = gram && tall;
    LODE_TRY(LODE_NEW(ctx, d->folds, &local.fold));
    memset(local.fold, 0, (size_t)d->folds * sizeof *local.fold);
    for (int f = 0; tall && f < d->folds; f++) {
        LODE_TRY(lode_i_tick(ctx, f, d->folds));
        LODE_TRY(tall_fold(ctx, d, f, gram, &local.fold[f], exact));
    }
    LODE_TRY(tall ? lode_i_cca_merge(ctx, &local, -1, &local.whole) : wide_folds(ctx, d, &local));
    lode_i_cca_reduced_free(r);
    *r = local, local = (lode_i_cca_reduced){ 0 };
done:
    lode_i_cca_reduced_free(&local);
    return st;
}

/* One side of the folds stacked: the scatter about the common mean is that within folds and that of their means. */
static lode_status stack(lode_ctx *ctx, const lode_i_cca_reduced *r, int without, int side,
                         double mass, lode_array *M, lode_array *mean)
{
    lode_status st = LODE_OK;
    lode_array to = { 0 }, row = { 0 };
    const int64_t cols = r->fold[0].M[side].shape[1];
    int64_t rows = 0, at = 0;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, 1, cols, mean));
    LODE_TRY(lode_i_fill(ctx, mean, 0));
    for (int f = 0; f < r->folds; f++)
        if (f != without) {
            rows += r->fold[f].M[side].shape[0] + 1;
            LODE_TRY(lode_i_axpy(ctx, mass > 0 ? r->fold[f].mass / mass : 0, &r->fold[f].mean[side],
                                 mean));
        }
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, rows, cols, M));
    for (int f = 0; f < r->folds; f++)
        if (f != without) {
            const lode_array *part = &r->fold[f].M[side];
            lode_array_free(&to);
            to = lode_i_rows(M, at, at + part->shape[0]);
            LODE_TRY(lode_array_copy_into(ctx, part, &to));
            at += part->shape[0];
            LODE_TRY(lode_array_cast(ctx, &r->fold[f].mean[side], LODE_F64, &row));
            LODE_TRY(lode_i_axpy(ctx, -1, mean, &row));
            LODE_TRY(lode_i_scale(ctx, sqrt(r->fold[f].mass), &row));
            lode_array_free(&to);
            to = lode_i_rows(M, at, at + 1);
            LODE_TRY(lode_array_copy_into(ctx, &row, &to));
            at++;
        }
done:
    LODE_FREE(&to, &row);
    return st;
}

/* Fewer rows again, by QR of both sides together. */
static lode_status compress(lode_ctx *ctx, lode_i_cca_pair *p)
{
    lode_status st = LODE_OK;
    lode_array all = { 0 }, to = { 0 }, R = { 0 };
    const int64_t a = p->M[0].shape[1], b = p->M[1].shape[1], rows = p->M[0].shape[0];
    if (rows <= a + b)
        return LODE_OK;
    LODE_TRY(lode_i_matrix_new(ctx, LODE_F64, rows, a + b, &all));
    for (int k = 0; k < 2; k++) {
        lode_array_free(&to);
        to = lode_i_cols(&all, k ? a : 0, k ? a + b : a);
        LODE_TRY(lode_array_copy_into(ctx, &p->M[k], &to));
    }
    LODE_TRY(lode_i_qr_r(ctx, &all, &R));
    for (int k = 0; k < 2; k++) {
        lode_array_free(&to);
        to = lode_i_cols(&R, k ? a : 0, k ? a + b : a);
        LODE_TRY(lode_array_cast(ctx, &to, LODE_F64, &p->M[k]));
    }
done:
    LODE_FREE(&all, &to, &R);
    return st;
}

lode_status lode_i_cca_merge(lode_ctx *ctx, const lode_i_cca_reduced *r, int without,
                             lode_i_cca_pair *out)
{
    lode_status st = LODE_OK;
    lode_i_cca_pair local = { 0 };
    for (int f = 0; f < r->folds; f++)
        local.mass += f == without ? 0 : r->fold[f].mass;
    for (int k = 0; k < 2; k++)
        if (r->folds == 1) {
            LODE_TRY(lode_array_cast(ctx, &r->fold[0].M[k], LODE_F64, &local.M[k]));
            LODE_TRY(lode_array_cast(ctx, &r->fold[0].mean[k], LODE_F64, &local.mean[k]));
        } else {
            LODE_TRY(stack(ctx, r, without, k, local.mass, &local.M[k], &local.mean[k]));
        }
    LODE_TRY(compress(ctx, &local));
    lode_i_cca_pair_free(out);
    *out = local, local = (lode_i_cca_pair){ 0 };
done:
    lode_i_cca_pair_free(&local);
    return st;
}

uint64_t lode_i_cca_reduce_memory(const lode_ctx *ctx, int64_t n, int64_t p, int64_t q, int folds)
{
    const bool tall = lode_i_cca_tall(n, p, q);
    const int64_t all = p + q, a = tall ? all : lode_i_min(p, n), b = tall ? all : lode_i_min(q, n);
    const int64_t rows = tall ? all : n;
    uint64_t bytes = 0;
    for (int k = 0; k < 3; k++) { /* an operator over both, over X, over Y */
        lode_source s = { .dtype = LODE_F64, .ndim = 2 };
        s.shape[0] = n, s.shape[1] = k == 0 ? all : k == 1 ? p : q;
        const lode_value v = lode_from_source(&s);
        const uint64_t own = lode_i_linop_gram_workspace(ctx, v) + lode_i_linop_blocks(ctx, v) +
                             lode_i_linop_workspace(ctx, v, folds);
        bytes = own > bytes ? own : bytes;
    }
    /* folds, their whole; one more beside it, stacked and factored */
    bytes += (uint64_t)(tall ? folds : 2) * lode_i_bytes(LODE_F64, rows, a + b) +
             6 * lode_i_bytes(LODE_F64, rows + 2 * folds, a + b) +
             3 * lode_i_bytes(LODE_F64, tall && folds > 1 ? folds * (all + 1) : 1, all) +
             lode_i_bytes(LODE_F64, 2 * folds + 8, all) + lode_i_bytes(LODE_F64, n, folds + 8);
    return bytes;
}
