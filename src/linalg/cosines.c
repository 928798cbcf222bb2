/* The cosine transform along one mode, in place. Cosines of even order are symmetric about the
 * middle and those of odd order antisymmetric, so sums and differences of opposite entries each
 * take a matrix of half the order: half the flops of the product with all cosines. */
#include <string.h>

#include "linalg/blas.h"

enum { PIECE = 1 << 18, NARROW = 24 };

typedef struct transform {
    bool forward;
    lode_dtype dtype;
    size_t size;
    char *x;
    int64_t left, n, right, even, odd, piece, pieces;
    lode_i_operand E, O; /* even x even, odd x odd: rows the first entries, columns the orders */
} transform;

#define T float
#define NAME(x) x##_f32
#include "linalg/cosines_kernel.inc"
#undef T
#undef NAME
#define T double
#define NAME(x) x##_f64
#include "linalg/cosines_kernel.inc"
#undef T
#undef NAME

/* Both halves of a piece multiplied: the first rows (of each line, where `lines`) of `in` by E, the
 * others by O. */
static lode_status multiply(lode_ctx *ctx, const transform *w, bool lines, int64_t width, char *in,
                            char *out)
{
    const int64_t orders[2] = { w->even, w->odd };
    for (int k = 0; k < 2; k++) {
        const size_t at = (size_t)(k ? w->even : 0) * w->size * (size_t)width;
        const int64_t m = orders[k];
        const lode_i_operand M = k ? w->O : w->E, Mt = lode_i_operand_transposed(&M);
        const lode_i_operand X = lode_i_operand_within(in + at, w->dtype, lines ? width : m,
                                                       lines ? m : width, lines ? m : width);
        if (m == 0)
            continue;
        if (lines)
            LODE_FORWARD(lode_i_gemm_whole(ctx, &X, w->forward ? &M : &Mt, out + at, m));
        else
            LODE_FORWARD(lode_i_gemm_whole(ctx, w->forward ? &Mt : &M, &X, out + at, width));
    }
    return LODE_OK;
}

static lode_status task(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    const transform *w = data;
    void *in = NULL, *out = NULL;
    const bool lines = w->right == 1;
    const int64_t l = at / w->pieces, c0 = at % w->pieces * w->piece,
                  width = lode_i_min(w->piece, (lines ? w->left : w->right) - c0);
    char *x = w->x + (size_t)(lines ? c0 * w->n : l * w->n * w->right + c0) * w->size;
    LODE_TRY(lode_i_new(ctx, w->n * width, w->size, &in));
    LODE_TRY(lode_i_new(ctx, w->n * width, w->size, &out));
    if (w->dtype == LODE_F32)
        (lines ? take_lines_f32 : take_rows_f32)(w, x, width, in);
    else
        (lines ? take_lines_f64 : take_rows_f64)(w, x, width, in);
    LODE_TRY(multiply(ctx, w, lines, width, in, out));
    if (w->dtype == LODE_F32)
        (lines ? give_lines_f32 : give_rows_f32)(w, out, width, x);
    else
        (lines ? give_lines_f64 : give_rows_f64)(w, out, width, x);
done:
    lode_i_free(in), lode_i_free(out);
    return st;
}

lode_status lode_i_cosines_over(lode_ctx *ctx, lode_array *X, int mode, bool forward,
                                const lode_array *B)
{
    lode_status st = LODE_OK;
    lode_array E = { 0 }, O = { 0 }, rows = { 0 }, part = { 0 };
    transform w = { .forward = forward, .dtype = X->dtype, .size = lode_dtype_size(X->dtype) };
    lode_i_split_mode(X, mode, &w.left, &w.n, &w.right);
    if ((X->dtype != LODE_F32 && X->dtype != LODE_F64) || !lode_array_is_contiguous(X) ||
        w.n < NARROW || (w.right > 1 && w.right < NARROW) || w.left == 0 || w.right == 0)
        return lode_i_ttm_over(ctx, X, mode, forward ? LODE_T : LODE_N, B);
    LODE_REQUIRE(B->dtype == X->dtype && B->ndim == 2 && B->shape[0] == w.n && B->shape[1] == w.n,
                 LODE_EINTERNAL, "cosines: %" PRId64 " entries do not take these", w.n);
    w.odd = w.n / 2, w.even = w.n - w.odd;
    for (int k = 0; k < 2; k++) {
        LODE_TRY(lode_array_slice(ctx, B, 0, 0, k ? w.odd : w.even, 1, &rows));
        LODE_TRY(lode_array_slice(ctx, &rows, 1, k, w.n, 2, &part));
        LODE_TRY(lode_array_cast(ctx, &part, X->dtype, k ? &O : &E));
        LODE_FREE(&rows, &part);
    }
    w.E = lode_i_operand_of(LODE_N, &E), w.O = lode_i_operand_of(LODE_N, &O);
    w.x = X->data;
    const int64_t length = w.right == 1 ? w.left : w.right;
    w.piece = lode_i_min(length, lode_i_max(NARROW, PIECE / w.n));
    w.pieces = lode_i_ceil_div(length, w.piece);
    LODE_TRY(lode_i_parallel(ctx, w.right == 1 ? w.pieces : w.left * w.pieces, task, &w));
done:
    LODE_FREE(&E, &O, &rows, &part);
    return st;
}
