/* Cholesky by blocks of columns, its updates cut into tiles; triangular solves by columns of the right-hand side. */
#include "linalg/blas.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 192, TILE = 384 };

typedef struct chol {
    lode_dtype dtype;
    size_t size;
    int64_t n, at, width, rows; /* the block column, rows below it in tiles of TILE */
    char *l;
} chol;

static char *entry(const chol *w, int64_t i, int64_t j)
{
    return w->l + (size_t)(i * w->n + j) * w->size;
}

/* Rows below the diagonal block: A_ij L_jj^-H. */
static lode_status panel(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const chol *w = data;
    const int64_t r0 = w->at + w->width + i * BLOCK, m = lode_i_min(BLOCK, w->n - r0);
    const lode_i_tri t = { .dtype = w->dtype, .right = true, .upper = false, .trans = LODE_H,
                           .t = entry(w, w->at, w->at), .ldt = w->n };
    lode_i_blas_trsm(&t, m, w->width, entry(w, r0, w->at), w->n);
    return LODE_OK;
}

/* Tile (i, j), j <= i, of what is left: minus the panel's rows times their adjoint. */
static lode_status update(lode_ctx *ctx, int64_t tile, void *data)
{
    (void)ctx;
    const chol *w = data;
    int64_t i = 0, j = tile;
    while (j > i)
        j -= ++i;
    const int64_t first = w->at + w->width, r0 = first + i * TILE, c0 = first + j * TILE;
    const int64_t m = lode_i_min(TILE, w->n - r0), n = lode_i_min(TILE, w->n - c0);
    lode_i_operand a = { .p = entry(w, r0, w->at), .dtype = w->dtype, .rows = m, .cols = w->width, .rs = w->n, .cs = 1,
                         .kin = w->width };
    lode_i_operand b = a;
    b.p = entry(w, c0, w->at), b.rows = n;
    b = lode_i_operand_transposed(&b);
    b.conj = lode_i_is_complex(w->dtype);
    lode_i_blas_gemm(-1, &a, &b, 1, entry(w, r0, c0), w->n);
    return LODE_OK;
}

static lode_status factor(lode_ctx *ctx, chol *w, bool *positive)
{
    *positive = true;
    for (w->at = 0; w->at < w->n && *positive; w->at += w->width) {
        w->width = lode_i_min(BLOCK, w->n - w->at);
        /* by columns the memory is conj(A), whose upper factor U has conj(A) = U^H U, so L = U^T: this memory */
        *positive = lode_i_lapack_potrf(w->dtype, true, w->width, entry(w, w->at, w->at), w->n) == 0;
        const int64_t left = w->n - w->at - w->width, tiles = lode_i_ceil_div(left, TILE);
        if (!*positive || left == 0)
            continue;
        LODE_FORWARD(lode_i_parallel(ctx, lode_i_ceil_div(left, BLOCK), panel, w));
        LODE_FORWARD(lode_i_parallel(ctx, tiles * (tiles + 1) / 2, update, w));
    }
    return LODE_OK;
}

/* Zeros above the diagonal of L; NaN on the diagonal would be a factorization that went wrong unseen. */
static bool clean(lode_array *L)
{
    const int64_t n = L->shape[0];
    const size_t size = lode_dtype_size(L->dtype);
    bool good = true;
    for (int64_t i = 0; i < n; i++) {
        memset((char *)L->data + (size_t)(i * n + i + 1) * size, 0, (size_t)(n - i - 1) * size);
        const double d = lode_i_get2(L, i, i);
        good = good && isfinite(d) && d > 0;
    }
    return good;
}

lode_status lode_i_cholesky(lode_ctx *ctx, const lode_array *A, lode_array *L, double *shift)
{
    lode_status st = LODE_OK;
    lode_array l = { 0 }, scaled = { 0 };
    double add = 0, largest = 0, factor_out;
    bool positive = false;
    LODE_TRY(lode_i_check_matrix(ctx, "cholesky", "A", A));
    const int64_t n = A->shape[0];
    LODE_REQUIRE(A->shape[1] == n, LODE_ESHAPE, "cholesky: A is %" PRId64 " x %" PRId64 ", not square", n, A->shape[1]);
    LODE_TRY(lode_i_moderate(ctx, "A", A, &scaled, &factor_out));
    const lode_array *from = factor_out == 1 ? A : &scaled;
    for (int tries = 0; !positive; tries++) {
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, from, &l));
        if (tries == 1) {
            lode_stats s;
            LODE_TRY(lode_i_stats(ctx, from, &s));
            largest = s.maxabs > 0 ? s.maxabs : 1;
            add = lode_i_epsilon(A->dtype) * largest;
        } else if (tries > 1) {
            add *= 10;
        }
        /* n max|a| bounds every eigenvalue, so that the shifts above end before this */
        LODE_REQUIRE(add <= 100 * largest * (double)n, LODE_EINTERNAL, "cholesky: failed with a shift of %.3g", add);
        for (int64_t i = 0; i < n && add > 0; i++)
            lode_i_set2(&l, i, i, lode_i_get2(&l, i, i) + add);
        chol w = { .dtype = A->dtype, .size = lode_dtype_size(A->dtype), .n = n, .l = l.data };
        LODE_TRY(factor(ctx, &w, &positive));
        positive = positive && clean(&l);
    }
    if (factor_out != 1)
        LODE_TRY(lode_i_scale(ctx, sqrt(factor_out), &l));
    if (shift)
        *shift = add * factor_out;
    lode_array_swap(L, &l);
done:
    LODE_FREE(&l, &scaled);
    return st;
}

/* ---- triangular solves ---- */

typedef struct solve {
    lode_i_tri t;
    int64_t n, columns, width;
    char *x;
    size_t size;
} solve;

static lode_status solve_columns(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const solve *w = data;
    const int64_t c0 = i * w->width, n = lode_i_min(w->width, w->columns - c0);
    lode_i_blas_trsm(&w->t, w->n, n, w->x + (size_t)c0 * w->size, w->columns);
    return LODE_OK;
}

lode_status lode_i_solve_lower(lode_ctx *ctx, lode_trans t, const lode_array *L, const lode_array *B, lode_array *X)
{
    lode_status st = LODE_OK;
    lode_array l = { 0 }, x = { 0 };
    LODE_TRY(lode_i_check_matrix(ctx, "solve", "L", L));
    LODE_TRY(lode_i_check_matrix(ctx, "solve", "B", B));
    const int64_t n = L->shape[0];
    LODE_REQUIRE(L->shape[1] == n && B->shape[0] == n && B->dtype == L->dtype, LODE_ESHAPE,
                 "solve: L is %" PRId64 " x %" PRId64 " %s, B %" PRId64 " x %" PRId64 " %s; they do not fit", n,
                 L->shape[1], lode_dtype_name(L->dtype), B->shape[0], B->shape[1], lode_dtype_name(B->dtype));
    LODE_TRY(lode_i_copy_op(ctx, LODE_N, B, &x));
    int64_t ld;
    const lode_i_operand whole = lode_i_operand_of(LODE_N, L);
    const bool direct = lode_i_operand_by_rows(&whole, &ld);
    if (!direct) {
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, L, &l));
        ld = lode_i_max(n, 1);
    }
    solve w = { .t = { .dtype = L->dtype, .upper = false, .trans = t, .t = direct ? L->data : l.data, .ldt = ld },
                .n = n, .columns = B->shape[1], .x = x.data, .size = lode_dtype_size(L->dtype) };
    w.width = lode_i_max(32, lode_i_ceil_div(lode_i_ceil_div(w.columns, 16), 16) * 16);
    if (n > 0 && w.columns > 0)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.columns, w.width), solve_columns, &w));
    lode_array_swap(X, &x);
done:
    LODE_FREE(&l, &x);
    return st;
}
