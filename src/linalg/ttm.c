/* Tensor times matrix along one mode, without unfolding the tensor: as left x n x right, it is one
 * product when left or right is 1, else one for each of the left slices; slices too narrow for BLAS
 * are gathered first. */
#include <string.h>

#include "linalg/blas.h"

enum { NARROW = 24, GATHER = 1 << 15, ROWS = 1024, OVER = 1 << 18 };

typedef struct ttm {
    lode_i_operand M; /* r x n */
    const char *x;
    char *y;
    int64_t left, n, r, right, group, piece, pieces;
    size_t size;
} ttm;

/* Some left slices, or a piece of one: Y_l = op(M) X_l. */
static lode_status slices(lode_ctx *ctx, int64_t at, void *data)
{
    const ttm *w = data;
    const int64_t l0 = at / w->pieces * w->group, l1 = lode_i_min(l0 + w->group, w->left);
    const int64_t c0 = at % w->pieces * w->piece, width = lode_i_min(w->piece, w->right - c0);
    for (int64_t l = l0; l < l1; l++) {
        lode_i_operand X = { .p = w->x + (size_t)(l * w->n * w->right + c0) * w->size,
                             .dtype = w->M.dtype,
                             .rows = w->n,
                             .cols = width,
                             .rs = w->right,
                             .cs = 1,
                             .kin = width };
        LODE_FORWARD(lode_i_gemm_whole(
            ctx, &w->M, &X, w->y + (size_t)(l * w->r * w->right + c0) * w->size, w->right));
    }
    return LODE_OK;
}

/* Some rows of Y = X op(M)^T: whole, so that the product may be computed as its transpose. */
static lode_status rows(lode_ctx *ctx, int64_t at, void *data)
{
    const ttm *w = data;
    const int64_t l0 = at * ROWS, m = lode_i_min(ROWS, w->left - l0);
    const lode_i_operand a = lode_i_operand_within(w->x + (size_t)(l0 * w->n) * w->size, w->M.dtype,
                                                   m, w->n, w->n),
                         b = lode_i_operand_transposed(&w->M);
    return lode_i_gemm_whole(ctx, &a, &b, w->y + (size_t)(l0 * w->r) * w->size, w->r);
}

/* Narrow slices: gathered as (l, c) x n, multiplied at once, scattered. */
static lode_status gathered(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    void *in = NULL, *out = NULL;
    const ttm *w = data;
    const int64_t l0 = at * w->group, l1 = lode_i_min(l0 + w->group, w->left),
                  rows = (l1 - l0) * w->right;
    LODE_TRY(lode_i_new(ctx, rows * w->n, w->size, &in));
    LODE_TRY(lode_i_new(ctx, rows * w->r, w->size, &out));
    /* n x (l, c): runs of `right` columns; packed by rows, it is the left factor's transpose */
    lode_i_operand X = { .p = w->x + (size_t)(l0 * w->n * w->right) * w->size,
                         .dtype = w->M.dtype,
                         .rows = w->n,
                         .cols = rows,
                         .rs = w->right,
                         .cs = 1,
                         .kin = w->right,
                         .ks = w->n * w->right };
    lode_i_operand_pack(&X, X.dtype, in);
    X = lode_i_operand_packed(in, X.dtype, w->n, rows);
    LODE_TRY(lode_i_gemm_whole(ctx, &w->M, &X, out, rows));
    /* r x (l, c) back to l x r x right: the rows of slice l are `right` long */
    for (int64_t l = l0; l < l1; l++) {
        const lode_i_operand Y = { .p = (const char *)out + (size_t)((l - l0) * w->right) * w->size,
                                   .dtype = X.dtype,
                                   .rows = w->r,
                                   .cols = w->right,
                                   .rs = rows,
                                   .cs = 1,
                                   .kin = w->right };
        lode_i_operand_pack(&Y, Y.dtype, w->y + (size_t)(l * w->r * w->right) * w->size);
    }
done:
    lode_i_free(in), lode_i_free(out);
    return st;
}

/* A piece of a left slice, X_l = op(M) X_l through a buffer; where right is 1, some rows. w->y is
 * w->x. */
static lode_status over(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    void *out = NULL;
    const ttm *w = data;
    const bool turned = w->right == 1;
    const int64_t l = at / w->pieces, c0 = at % w->pieces * w->piece,
                  width = lode_i_min(w->piece, (turned ? w->left : w->right) - c0);
    char *x = w->y + (size_t)(turned ? c0 * w->n : l * w->n * w->right + c0) * w->size;
    lode_i_operand X = { .p = x,
                         .dtype = w->M.dtype,
                         .rows = turned ? width : w->n,
                         .cols = turned ? w->n : width,
                         .rs = turned ? w->n : w->right,
                         .cs = 1,
                         .kin = turned ? w->n : width };
    LODE_TRY(lode_i_new(ctx, w->n * width, w->size, &out));
    if (turned) {
        const lode_i_operand M = lode_i_operand_transposed(&w->M);
        LODE_TRY(lode_i_gemm_whole(ctx, &X, &M, out, w->n));
        memcpy(x, out, (size_t)(width * w->n) * w->size);
    } else {
        LODE_TRY(lode_i_gemm_whole(ctx, &w->M, &X, out, width));
        for (int64_t i = 0; i < w->n; i++)
            memcpy(x + (size_t)(i * w->right) * w->size,
                   (const char *)out + (size_t)(i * width) * w->size, (size_t)width * w->size);
    }
done:
    lode_i_free(out);
    return st;
}

static lode_status check(lode_ctx *ctx, const lode_array *X, int mode, const lode_array *M,
                         const lode_i_operand *op)
{
    lode_status st = LODE_OK;
    LODE_TRY(lode_i_check_matrix(ctx, "ttm", "M", M));
    LODE_REQUIRE(mode >= 0 && mode < X->ndim, LODE_EPARAM,
                 "ttm: mode %d of a tensor with %d dimensions", mode, (int)X->ndim);
    LODE_REQUIRE(X->dtype == M->dtype, LODE_ETYPE,
                 "ttm: the tensor is %s and the matrix %s; convert one of them",
                 lode_dtype_name(X->dtype), lode_dtype_name(M->dtype));
    LODE_REQUIRE(op->cols == X->shape[mode], LODE_ESHAPE,
                 "ttm: the matrix is %" PRId64 " x %" PRId64 ", mode %d of the tensor has %" PRId64,
                 op->rows, op->cols, mode, X->shape[mode]);
done:
    return st;
}

lode_status lode_i_ttm_into(lode_ctx *ctx, const lode_array *X, int mode, lode_trans t,
                            const lode_array *M, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 };
    ttm w = { .M = lode_i_operand_of(t, M), .size = lode_dtype_size(M->dtype) };
    LODE_TRY(check(ctx, X, mode, M, &w.M));
    LODE_REQUIRE(Y->dtype == X->dtype && Y->ndim == X->ndim && lode_array_is_contiguous(Y) &&
                     Y->shape[mode] == w.M.rows &&
                     lode_array_size(Y) * X->shape[mode] == lode_array_size(X) * w.M.rows,
                 LODE_EINTERNAL, "ttm: the result does not fit where it should go");
    LODE_TRY(lode_i_as(ctx, X, X->dtype, &x));
    lode_i_split_mode(&x, mode, &w.left, &w.n, &w.right);
    w.r = w.M.rows, w.x = x.data, w.y = Y->data;
    if (w.right == 1 && w.left >= 2 * ROWS && w.n > 0 && w.r > 0 && w.r <= ROWS) {
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.left, ROWS), rows, &w));
    } else if (w.right == 1) { /* Y = X op(M)^T */
        const lode_i_operand a = { .p = w.x,
                                   .dtype = X->dtype,
                                   .rows = w.left,
                                   .cols = w.n,
                                   .rs = w.n,
                                   .cs = 1,
                                   .kin = lode_i_max(w.n, 1) };
        const lode_i_operand b = lode_i_operand_transposed(&w.M);
        LODE_TRY(lode_i_gemm_of(ctx, 1, &a, &b, 0, w.y, lode_i_max(w.r, 1)));
    } else if (w.left == 1) {
        const lode_i_operand b = { .p = w.x,
                                   .dtype = X->dtype,
                                   .rows = w.n,
                                   .cols = w.right,
                                   .rs = w.right,
                                   .cs = 1,
                                   .kin = lode_i_max(w.right, 1) };
        LODE_TRY(lode_i_gemm_of(ctx, 1, &w.M, &b, 0, w.y, lode_i_max(w.right, 1)));
    } else if (w.left > 0 && w.right > 0 && w.r > 0) {
        const bool gather = w.right < NARROW && w.n > 0;
        w.piece = lode_i_min(w.right, 4096), w.pieces = lode_i_ceil_div(w.right, w.piece);
        w.group = lode_i_max(1, gather ? GATHER / lode_i_max(w.right * lode_i_max(w.n, w.r), 1) * 4
                                       : (1 << 18) / (lode_i_max(w.n, 1) * w.piece));
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.left, w.group) * (gather ? 1 : w.pieces),
                                 gather ? gathered : slices, &w));
    }
done:
    LODE_FREE(&x);
    return st;
}

lode_status lode_i_ttm(lode_ctx *ctx, const lode_array *X, int mode, lode_trans t,
                       const lode_array *M, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    const lode_i_operand op = lode_i_operand_of(t, M);
    LODE_TRY(check(ctx, X, mode, M, &op));
    for (int i = 0; i < X->ndim; i++)
        shape[i] = i == mode ? op.rows : X->shape[i];
    LODE_TRY(lode_array_new(ctx, X->dtype, X->ndim, shape, &y));
    LODE_TRY(lode_i_ttm_into(ctx, X, mode, t, M, &y));
    lode_array_swap(Y, &y);
done:
    LODE_FREE(&y);
    return st;
}

lode_status lode_i_ttm_over(lode_ctx *ctx, lode_array *X, int mode, lode_trans t,
                            const lode_array *M)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    ttm w = { .M = lode_i_operand_of(t, M), .size = lode_dtype_size(M->dtype) };
    LODE_TRY(check(ctx, X, mode, M, &w.M));
    if (w.M.rows != w.M.cols || !lode_array_is_contiguous(X)) {
        LODE_TRY(lode_i_ttm(ctx, X, mode, t, M, &y));
        lode_array_swap(X, &y);
        goto done;
    }
    lode_i_split_mode(X, mode, &w.left, &w.n, &w.right);
    w.r = w.n, w.x = w.y = X->data;
    if (w.left == 0 || w.n == 0 || w.right == 0)
        goto done;
    if (w.right > 1 && w.right < NARROW) { /* goes through buffers anyway */
        w.pieces = 1, w.group = lode_i_max(1, GATHER / (w.right * w.n) * 4);
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.left, w.group), gathered, &w));
        goto done;
    }
    const int64_t length = w.right == 1 ? w.left : w.right;
    w.piece = lode_i_min(length, lode_i_max(NARROW, OVER / w.n));
    w.pieces = lode_i_ceil_div(length, w.piece);
    LODE_TRY(lode_i_parallel(ctx, w.right == 1 ? w.pieces : w.left * w.pieces, over, &w));
done:
    LODE_FREE(&y);
    return st;
}
