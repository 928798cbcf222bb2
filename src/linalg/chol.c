/* Cholesky by blocks of columns, its updates cut into tiles; triangular solves by columns of the
 * right-hand side. */
#include "linalg/blas.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 192, TILE = 384, STEP = 96 };

typedef struct chol {
    lode_dtype dtype;
    size_t size;
    int64_t n, at, width, rows; /* the block column, rows below it in tiles of TILE */
    char *l;
    lode_i_rows_solver solver; /* by the diagonal block's adjoint */
} chol;

static char *entry(const chol *w, int64_t i, int64_t j)
{
    return w->l + (size_t)(i * w->n + j) * w->size;
}

/* Rows below the diagonal block: A_ij L_jj^-H. */
static lode_status panel(lode_ctx *ctx, int64_t i, void *data)
{
    lode_status st = LODE_OK;
    void *room = NULL;
    const chol *w = data;
    const int64_t r0 = w->at + w->width + i * BLOCK, m = lode_i_min(BLOCK, w->n - r0);
    lode_i_operand rows = lode_i_operand_within(entry(w, r0, w->at), w->dtype, m, w->width, w->n);
    LODE_TRY(lode_i_new(ctx, m * (w->width + w->solver.block), w->size, &room));
    lode_i_operand_pack(&rows, w->dtype, room);
    lode_i_rows_solve(&w->solver, m, room, (char *)room + (size_t)(m * w->width) * w->size);
    for (int64_t r = 0; r < m; r++)
        memcpy(entry(w, r0 + r, w->at), (char *)room + (size_t)(r * w->width) * w->size,
               (size_t)w->width * w->size);
done:
    lode_i_free(room);
    return st;
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
    const lode_i_operand a = lode_i_operand_within(entry(w, r0, w->at), w->dtype, m, w->width,
                                                   w->n);
    lode_i_operand b = lode_i_operand_within(entry(w, c0, w->at), w->dtype, n, w->width, w->n);
    b = lode_i_operand_transposed(&b);
    b.conj = lode_i_is_complex(w->dtype);
    lode_i_blas_gemm(-1, &a, &b, 1, entry(w, r0, c0), w->n);
    return LODE_OK;
}

/* What makes the rows below a diagonal block: its adjoint, with zeros below, and the solver by it.
 */
static lode_status prepare(lode_ctx *ctx, chol *w, void *r)
{
    const lode_i_operand block = lode_i_operand_within(entry(w, w->at, w->at), w->dtype, w->width,
                                                       w->width, w->n);
    lode_i_operand adjoint = lode_i_operand_transposed(&block);
    adjoint.conj = lode_i_is_complex(w->dtype);
    lode_i_operand_pack(&adjoint, w->dtype, r);
    for (int64_t i = 1; i < w->width; i++)
        memset((char *)r + (size_t)(i * w->width) * w->size, 0, (size_t)i * w->size);
    return lode_i_rows_prepare(ctx, w->dtype, w->width, r, &w->solver);
}

static lode_status factor(lode_ctx *ctx, chol *w, bool *positive)
{
    lode_status st = LODE_OK;
    void *r = NULL;
    *positive = true;
    LODE_TRY(lode_i_new(ctx, BLOCK * BLOCK, w->size, &r));
    for (w->at = 0; w->at < w->n && *positive; w->at += w->width) {
        w->width = lode_i_min(BLOCK, w->n - w->at);
        /* by columns the memory is conj(A), whose upper factor U has conj(A) = U^H U, so L = U^T:
         * this memory */
        *positive = lode_i_lapack_potrf(w->dtype, true, w->width, entry(w, w->at, w->at), w->n) ==
                    0;
        const int64_t left = w->n - w->at - w->width, tiles = lode_i_ceil_div(left, TILE);
        if (!*positive || left == 0)
            continue;
        lode_i_rows_free(&w->solver);
        LODE_TRY(prepare(ctx, w, r));
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(left, BLOCK), panel, w));
        LODE_TRY(lode_i_parallel(ctx, tiles * (tiles + 1) / 2, update, w));
    }
done:
    lode_i_rows_free(&w->solver);
    lode_i_free(r);
    return st;
}

/* Zeros above the diagonal of L; NaN on the diagonal would be a factorization that went wrong
 * unseen. */
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
    LODE_REQUIRE(A->shape[1] == n, LODE_ESHAPE,
                 "cholesky: A is %" PRId64 " x %" PRId64 ", not square", n, A->shape[1]);
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
        LODE_REQUIRE(add <= 100 * largest * (double)n, LODE_EINTERNAL,
                     "cholesky: failed with a shift of %.3g", add);
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
    lode_i_tri t; /* left, lower */
    int64_t n, columns, width;
    char *x;
    size_t size;
} solve;

/* Rows [at, at + m) of op(L), columns [from, from + n). */
static lode_i_operand part(const solve *w, int64_t at, int64_t m, int64_t from, int64_t n)
{
    const bool turned = w->t.trans != LODE_N;
    const int64_t i = turned ? from : at, j = turned ? at : from;
    lode_i_operand l = lode_i_operand_within((const char *)w->t.t +
                                                 (size_t)(i * w->t.ldt + j) * w->size,
                                             w->t.dtype, turned ? n : m, turned ? m : n, w->t.ldt);
    if (turned)
        l = lode_i_operand_transposed(&l);
    l.conj = w->t.trans == LODE_H && lode_i_is_complex(w->t.dtype);
    return l;
}

/* Block rows in the order of op(L), each by a product with those solved and a small solve, at which
 * BLAS is slow. */
static lode_status solve_columns(lode_ctx *ctx, int64_t i, void *data)
{
    const solve *w = data;
    const int64_t c0 = i * w->width, k = lode_i_min(w->width, w->columns - c0);
    const int64_t blocks = lode_i_ceil_div(w->n, STEP);
    for (int64_t b = 0; b < blocks; b++) {
        const bool up = w->t.trans != LODE_N;
        const int64_t at = (up ? blocks - 1 - b : b) * STEP, m = lode_i_min(STEP, w->n - at);
        const int64_t from = up ? at + m : 0, count = up ? w->n - from : at;
        char *x = w->x + (size_t)(at * w->columns + c0) * w->size;
        if (count > 0) {
            const lode_i_operand l = part(w, at, m, from, count);
            const lode_i_operand known = lode_i_operand_within(
                w->x + (size_t)(from * w->columns + c0) * w->size, w->t.dtype, count, k,
                w->columns);
            lode_i_blas_gemm(-1, &l, &known, 1, x, w->columns);
        }
        lode_i_tri t = w->t;
        t.t = (const char *)w->t.t + (size_t)(at * w->t.ldt + at) * w->size;
        lode_i_blas_trsm(&t, m, k, x, w->columns);
        LODE_FORWARD(lode_i_cancelled(ctx));
    }
    return LODE_OK;
}

lode_status lode_i_solve_lower(lode_ctx *ctx, lode_trans t, const lode_array *L,
                               const lode_array *B, lode_array *X)
{
    lode_status st = LODE_OK;
    lode_array l = { 0 }, x = { 0 };
    LODE_TRY(lode_i_check_matrix(ctx, "solve", "L", L));
    LODE_TRY(lode_i_check_matrix(ctx, "solve", "B", B));
    const int64_t n = L->shape[0];
    LODE_REQUIRE(L->shape[1] == n && B->shape[0] == n && B->dtype == L->dtype, LODE_ESHAPE,
                 "solve: L is %" PRId64 " x %" PRId64 " %s, B %" PRId64 " x %" PRId64
                 " %s; they do not fit",
                 n, L->shape[1], lode_dtype_name(L->dtype), B->shape[0], B->shape[1],
                 lode_dtype_name(B->dtype));
    LODE_TRY(lode_i_copy_op(ctx, LODE_N, B, &x));
    int64_t ld;
    const lode_i_operand whole = lode_i_operand_of(LODE_N, L);
    const bool direct = lode_i_operand_by_rows(&whole, &ld);
    if (!direct) {
        LODE_TRY(lode_i_copy_op(ctx, LODE_N, L, &l));
        ld = lode_i_max(n, 1);
    }
    solve w = { .t = { .dtype = L->dtype,
                       .upper = false,
                       .trans = t,
                       .t = direct ? L->data : l.data,
                       .ldt = ld },
                .n = n,
                .columns = B->shape[1],
                .x = x.data,
                .size = lode_dtype_size(L->dtype) };
    w.width = lode_i_max(256, lode_i_ceil_div(lode_i_ceil_div(w.columns, 16), 16) * 16);
    if (n > 0 && w.columns > 0)
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(w.columns, w.width), solve_columns, &w));
    lode_array_swap(X, &x);
done:
    LODE_FREE(&l, &x);
    return st;
}
