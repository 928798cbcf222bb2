/* Products cut into tiles of C, and long sums into parts, by shape and type alone; OpenBLAS
 * multiplies each tile on one thread. So the same bits come out for any number of threads. */
#include "linalg/blas.h"

#include <math.h>

/* Columns of op(A) that one BLAS call takes: its own blocking is 384 or less, so that a cut here
 * costs one more read of a tile of C in 2048 / 384 of them. Cutting also bounds what packing needs
 * and lets cancelling in. */
enum { K_STEP = 2048 };

/* A tall C of at most this many columns is computed as its transpose in f64, where OpenBLAS is
 * then 1.2 to 2 times as fast; TURN rows at a time go back. */
enum { NARROW = 512, TURN = 64 };

typedef struct product {
    lode_i_operand A, B;
    double alpha, beta;
    char *c, *parts;
    int64_t ldc;
    int64_t tm, tn, rows, cols; /* tile, tiles down and across */
    int64_t count, step;        /* parts of the sum over k and their length */
    size_t size;                /* bytes of a value */
    bool turned;                /* tiles are computed transposed */
} product;

/* Cuts `length` into pieces of about `want` values, nearly equal and multiples of 16. */
static void pieces(int64_t length, int64_t want, int64_t *size, int64_t *count)
{
    *count = lode_i_max(lode_i_ceil_div(length, want), 1);
    *size = lode_i_min(lode_i_ceil_div(lode_i_ceil_div(length, *count), 16) * 16, length);
    *count = lode_i_ceil_div(length, *size);
}

/* Wanted: 16 tasks of at least 2^23 flops. OpenBLAS is fastest on tiles that are wide in memory
 * (512 x 2048 runs at 98 % of any size, 256 x 1024 at 95 %, 1024 x 256 at 76 %). When C is small
 * beside its operands the sum is cut first, which reads a row-major A^T in whole rows. */
static void cut(product *p, bool whole)
{
    const int64_t m = p->A.rows, n = p->B.cols, k = p->A.cols;
    const double flops = 2.0 * (double)m * (double)n * (double)k *
                         (lode_i_is_complex(p->A.dtype) ? 4 : 1);
    const int64_t want = whole ? 1
                               : (int64_t)(flops < 0x1p23   ? 1
                                           : flops > 0x1p27 ? 16
                                                            : flops / 0x1p23);
    int64_t tm = n <= NARROW ? 2048 : 512, tn = 2048;
    const int64_t tiles = lode_i_ceil_div(m, tm) * lode_i_ceil_div(n, tn);
    const double small = ((double)m + (double)n) * (double)k / (4.0 * (double)m * (double)n);
    p->count = 1;
    if (small >= 2 && k >= 1024 && tiles < want)
        p->count = lode_i_min(lode_i_ceil_div(want, tiles),
                              lode_i_min(k / 512, (int64_t)fmin(small, 64)));
    p->step = lode_i_ceil_div(lode_i_ceil_div(k, p->count), 8) * 8;
    p->count = lode_i_ceil_div(k, p->step);
    for (;;) {
        pieces(m, tm, &p->tm, &p->rows);
        pieces(n, tn, &p->tn, &p->cols);
        if (p->rows * p->cols * p->count >= want)
            break;
        if (p->tn > 1024)
            tn = p->tn / 2;
        else if (p->tm > 256)
            tm = p->tm / 2;
        else if (p->tn > 256)
            tn = p->tn / 2;
        else if (p->tm > 64)
            tm = p->tm / 2;
        else
            break;
    }
    p->turned = p->A.dtype == LODE_F64 && p->cols == 1 && n > 1 && n <= NARROW && p->tm >= 2 * n &&
                k >= 128;
}

/* alpha T^T + beta C of a tile whose transpose T was computed. */
static void turn_back(const product *p, int64_t m, const void *t, double beta, char *c, int64_t ld,
                      void *room)
{
    const int64_t n = p->B.cols;
    for (int64_t i = 0; i < m; i += TURN) {
        const lode_i_operand part = { .p = (const char *)t + (size_t)i * p->size,
                                      .dtype = p->A.dtype,
                                      .rows = lode_i_min(TURN, m - i),
                                      .cols = n,
                                      .rs = 1,
                                      .cs = m,
                                      .kin = n };
        lode_i_operand_pack(&part, part.dtype, room);
        for (int64_t r = 0; r < part.rows; r++)
            lode_i_blend(part.dtype, p->parts ? 1 : p->alpha,
                         (char *)room + (size_t)(r * n) * p->size, beta,
                         c + (size_t)((i + r) * ld) * p->size, n);
    }
}

static lode_status tile(lode_ctx *ctx, int64_t i, void *data)
{
    lode_status st = LODE_OK;
    void *room = NULL;
    const product *p = data;
    const int64_t part = i / (p->rows * p->cols), at = i % (p->rows * p->cols);
    const int64_t i0 = at / p->cols * p->tm, m = lode_i_min(p->tm, p->A.rows - i0);
    const int64_t j0 = at % p->cols * p->tn, n = lode_i_min(p->tn, p->B.cols - j0);
    const int64_t k0 = part * p->step, k1 = lode_i_min(k0 + p->step, p->A.cols);
    const int64_t ld = p->parts ? p->B.cols : p->ldc, depth = lode_i_min(k1 - k0, K_STEP);
    const lode_i_operand a0 = lode_i_operand_part(&p->A, i0, m, k0, depth);
    const lode_i_operand b0 = lode_i_operand_part(&p->B, k0, depth, j0, n);
    const bool pack_a = !lode_i_operand_direct(&a0), pack_b = !lode_i_operand_direct(&b0);
    char *c = p->parts ? p->parts + (size_t)(part * p->A.rows * ld) * p->size : p->c;
    c += (size_t)(i0 * ld + j0) * p->size;
    double beta = p->parts ? 0 : p->beta;

    const int64_t packed = ((pack_a ? m : 0) + (pack_b ? n : 0)) * depth;
    if (packed > 0 || p->turned)
        LODE_TRY(lode_i_new(ctx, packed + (p->turned ? (m + TURN) * n : 0), p->size, &room));
    char *const t = p->turned ? (char *)room + (size_t)packed * p->size : NULL;
    for (int64_t k = k0; k < k1; k += K_STEP) {
        const int64_t d = lode_i_min(K_STEP, k1 - k);
        lode_i_operand a = lode_i_operand_part(&p->A, i0, m, k, d),
                       b = lode_i_operand_part(&p->B, k, d, j0, n);
        if (pack_a) {
            lode_i_operand_pack(&a, a.dtype, room);
            a = lode_i_operand_packed(room, a.dtype, m, d);
        }
        if (pack_b) {
            char *to = (char *)room + (pack_a ? (size_t)(m * depth) * p->size : 0);
            lode_i_operand_pack(&b, b.dtype, to);
            b = lode_i_operand_packed(to, b.dtype, d, n);
        }
        LODE_TRY(lode_i_cancelled(ctx));
        if (p->turned) {
            a = lode_i_operand_transposed(&a), b = lode_i_operand_transposed(&b);
            lode_i_blas_gemm(1, &b, &a, k > k0, t, m);
        } else {
            lode_i_blas_gemm(p->parts ? 1 : p->alpha, &a, &b, beta, c, ld);
            beta = 1;
        }
    }
    if (p->turned)
        turn_back(p, m, t, beta, c, ld, t + (size_t)(m * n) * p->size);
done:
    lode_i_free(room);
    return st;
}

/* The parts of some rows joined, and blended into C. */
static lode_status finish(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const product *p = data;
    const int64_t r0 = i * p->tm, r1 = lode_i_min(r0 + p->tm, p->A.rows), n = p->B.cols;
    for (int64_t r = r0; r < r1; r++) {
        char *row = p->parts + (size_t)(r * n) * p->size;
        lode_i_join(p->A.dtype, row, p->count, p->A.rows * n, n);
        lode_i_blend(p->A.dtype, p->alpha, row, p->beta, p->c + (size_t)(r * p->ldc) * p->size, n);
    }
    return LODE_OK;
}

static lode_status multiply(lode_ctx *ctx, product *p, bool whole)
{
    lode_status st = LODE_OK;
    void *parts = NULL;
    const int64_t m = p->A.rows, n = p->B.cols;
    if (m == 0 || n == 0)
        return LODE_OK;
    p->size = lode_dtype_size(p->A.dtype);
    if (p->A.cols == 0 || p->alpha == 0) {
        for (int64_t r = 0; r < m; r++) /* nothing to add: C = beta C */
            lode_i_blend(p->A.dtype, 0, NULL, p->beta, p->c + (size_t)(r * p->ldc) * p->size, n);
        return LODE_OK;
    }
    cut(p, whole);
    if (p->count > 1)
        LODE_TRY(lode_i_new(ctx, p->count * m * n, p->size, &parts));
    p->parts = parts;
    LODE_TRY(lode_i_parallel(ctx, p->rows * p->cols * p->count, tile, p));
    if (parts)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(m, p->tm), finish, p));
done:
    lode_i_free(parts);
    return st;
}

lode_status lode_i_gemm_of(lode_ctx *ctx, double alpha, const lode_i_operand *A,
                           const lode_i_operand *B, double beta, void *c, int64_t ldc)
{
    product p = { .A = *A, .B = *B, .alpha = alpha, .beta = beta, .c = c, .ldc = ldc };
    return multiply(ctx, &p, false);
}

lode_status lode_i_gemm_whole(lode_ctx *ctx, const lode_i_operand *A, const lode_i_operand *B,
                              void *c, int64_t ldc)
{
    product p = { .A = *A, .B = *B, .alpha = 1, .c = c, .ldc = ldc };
    return multiply(ctx, &p, true);
}

/* ---- the calls on arrays ---- */

static lode_status check_product(lode_ctx *ctx, const lode_i_operand *a, const lode_i_operand *b)
{
    if (a->dtype != b->dtype)
        return lode_i_fail(ctx, LODE_ETYPE, "product: operands are %s and %s; convert one of them",
                           lode_dtype_name(a->dtype), lode_dtype_name(b->dtype));
    if (a->cols != b->rows)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "product: %" PRId64 " x %" PRId64 " times %" PRId64 " x %" PRId64
                           " do not fit",
                           a->rows, a->cols, b->rows, b->cols);
    return LODE_OK;
}

lode_status lode_i_gemm_into(lode_ctx *ctx, lode_trans ta, lode_trans tb, double alpha,
                             const lode_array *A, const lode_array *B, double beta, lode_array *C)
{
    LODE_FORWARD(lode_i_check_matrix(ctx, "product", "the left factor", A));
    LODE_FORWARD(lode_i_check_matrix(ctx, "product", "the right factor", B));
    LODE_FORWARD(lode_i_check_matrix(ctx, "product", "the result", C));
    const lode_i_operand a = lode_i_operand_of(ta, A), b = lode_i_operand_of(tb, B);
    LODE_FORWARD(check_product(ctx, &a, &b));
    if (C->dtype != A->dtype || C->shape[0] != a.rows || C->shape[1] != b.cols)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "product: the result is %" PRId64 " x %" PRId64
                           " %s, it must be %" PRId64 " x %" PRId64 " %s",
                           C->shape[0], C->shape[1], lode_dtype_name(C->dtype), a.rows, b.cols,
                           lode_dtype_name(A->dtype));
    const lode_i_operand c = lode_i_operand_of(LODE_N, C);
    int64_t ld;
    if (lode_i_operand_by_rows(&c, &ld))
        return lode_i_gemm_of(ctx, alpha, &a, &b, beta, C->data, ld);
    if (!lode_i_operand_by_cols(&c, &ld))
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "product: the result must have unit stride on one axis");
    /* C^T = op(B)^T op(A)^T, conjugation staying where it is */
    const lode_i_operand at = lode_i_operand_transposed(&a), bt = lode_i_operand_transposed(&b);
    return lode_i_gemm_of(ctx, alpha, &bt, &at, beta, C->data, ld);
}

lode_status lode_i_gemm(lode_ctx *ctx, lode_trans ta, lode_trans tb, const lode_array *A,
                        const lode_array *B, lode_array *C)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 };
    LODE_TRY(lode_i_check_matrix(ctx, "product", "the left factor", A));
    LODE_TRY(lode_i_check_matrix(ctx, "product", "the right factor", B));
    const lode_i_operand a = lode_i_operand_of(ta, A), b = lode_i_operand_of(tb, B);
    LODE_TRY(check_product(ctx, &a, &b));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, a.rows, b.cols, &c));
    LODE_TRY(lode_i_gemm_of(ctx, 1, &a, &b, 0, c.data, lode_i_max(b.cols, 1)));
    lode_array_swap(C, &c);
done:
    lode_array_free(&c);
    return st;
}

lode_status lode_i_gemv(lode_ctx *ctx, lode_trans t, const lode_array *A, const lode_array *x,
                        lode_array *y)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 };
    LODE_TRY(lode_i_check_matrix(ctx, "product", "the matrix", A));
    LODE_REQUIRE(x->ndim == 1, LODE_ESHAPE, "product: the vector has %d dimensions, not 1",
                 (int)x->ndim);
    const lode_i_operand a = lode_i_operand_of(t, A), b = lode_i_operand_of(LODE_N, x);
    LODE_TRY(check_product(ctx, &a, &b));
    LODE_TRY(lode_i_vector_new(ctx, A->dtype, a.rows, &c));
    LODE_TRY(lode_i_gemm_of(ctx, 1, &a, &b, 0, c.data, 1));
    lode_array_swap(y, &c);
done:
    lode_array_free(&c);
    return st;
}
