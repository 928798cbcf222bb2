/* Many rows times the inverse of one triangle, X = B R^-1, as products: OpenBLAS's triangular solve
 * runs at a sixth of its products on the shapes that QR needs. Diagonal blocks are inverted once.
 * Multiplying by an inverse leaves a residual of cond eps instead of eps, so blocks that are not
 * near a multiple of the identity get one step of refinement, and badly conditioned ones the solve
 * itself. Condition is measured with columns of unit length. Source: Higham, Accuracy and Stability
 * of Numerical Algorithms, 2nd ed. (2002), sections 8.2, 12.1, 14.2. */
#include "linalg/blas.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 128 };

#define REAL float
#define NAME(x) x##_f32
#define WIDTH 1
#include "linalg/condition_kernel.inc"
#define REAL double
#define NAME(x) x##_f64
#define WIDTH 1
#include "linalg/condition_kernel.inc"
#define REAL float
#define NAME(x) x##_c64
#define WIDTH 2
#include "linalg/condition_kernel.inc"
#define REAL double
#define NAME(x) x##_c128
#define WIDTH 2
#include "linalg/condition_kernel.inc"

enum { PLAIN, REFINED, SOLVED };

static double condition(lode_dtype t, int64_t n, const void *r, int64_t ld, const void *inverse)
{
    switch (t) {
    case LODE_F32: return condition_f32(n, r, ld, inverse);
    case LODE_F64: return condition_f64(n, r, ld, inverse);
    case LODE_C64: return condition_c64(n, r, ld, inverse);
    default: return condition_c128(n, r, ld, inverse);
    }
}

static const void *at(const lode_i_rows_solver *w, int64_t i, int64_t j)
{
    return (const char *)w->r + (size_t)(i * w->n + j) * lode_dtype_size(w->dtype);
}

static lode_i_tri diagonal(const lode_i_rows_solver *w, int64_t j)
{
    return (lode_i_tri){
        .dtype = w->dtype, .right = true, .upper = true, .t = at(w, j, j), .ldt = w->n
    };
}

lode_status lode_i_rows_prepare(lode_ctx *ctx, lode_dtype t, int64_t n, const void *r,
                                lode_i_rows_solver *solver)
{
    lode_status st = LODE_OK;
    lode_array eye = { 0 };
    lode_i_rows_solver w = {
        .dtype = t, .n = n, .r = r, .block = lode_i_ceil_div(n, lode_i_ceil_div(n, BLOCK))
    };
    const double eps = lode_i_epsilon(t);
    w.blocks = lode_i_ceil_div(n, w.block);
    LODE_TRY(lode_i_new(ctx, n * w.block, lode_dtype_size(t), &w.inverse));
    LODE_TRY(LODE_NEW(ctx, w.blocks, &w.how));
    for (int64_t b = 0; b < w.blocks; b++) {
        const int64_t j = b * w.block, m = lode_i_min(w.block, n - j);
        char *inverse = (char *)w.inverse + (size_t)(j * w.block) * lode_dtype_size(t);
        const lode_i_tri solve = diagonal(&w, j);
        LODE_TRY(lode_i_eye(ctx, t, m, &eye));
        memcpy(inverse, eye.data, lode_array_bytes(&eye));
        lode_i_blas_trsm(&solve, m, m, inverse, m);
        const double c = condition(t, m, at(&w, j, j), n, inverse);
        w.how[b] = c <= 4 ? PLAIN : c <= 1 / (32 * sqrt(eps)) ? REFINED : SOLVED; /* NaN: solved */
    }
    *solver = w;
    w = (lode_i_rows_solver){ 0 };
done:
    lode_array_free(&eye);
    lode_i_rows_free(&w);
    return st;
}

void lode_i_rows_free(lode_i_rows_solver *w)
{
    lode_i_free(w->inverse), lode_i_free(w->how);
    *w = (lode_i_rows_solver){ 0 };
}

void lode_i_rows_solve(const lode_i_rows_solver *w, int64_t m, void *rows, void *room)
{
    const lode_dtype t = w->dtype;
    const size_t size = lode_dtype_size(t);
    for (int64_t b = 0; b < w->blocks; b++) {
        const int64_t j = b * w->block, n = lode_i_min(w->block, w->n - j);
        char *x = (char *)rows + (size_t)j * size;
        if (j > 0) { /* what the columns before take away */
            const lode_i_operand before = lode_i_operand_within(rows, t, m, j, w->n);
            const lode_i_operand r = lode_i_operand_within(at(w, 0, j), t, j, n, w->n);
            lode_i_blas_gemm(-1, &before, &r, 1, x, w->n);
        }
        if (w->how[b] == SOLVED) {
            const lode_i_tri solve = diagonal(w, j);
            lode_i_blas_trsm(&solve, m, n, x, w->n);
            continue;
        }
        const lode_i_operand mine = lode_i_operand_within(x, t, m, n, w->n),
                             saved = lode_i_operand_packed(room, t, m, n);
        const lode_i_operand inverse = lode_i_operand_packed(
            (const char *)w->inverse + (size_t)(j * w->block) * size, t, n, n);
        lode_i_operand_pack(&mine, t, room);
        lode_i_blas_gemm(1, &saved, &inverse, 0, x, w->n);
        if (w->how[b] == REFINED) {
            const lode_i_operand r = lode_i_operand_within(at(w, j, j), t, n, n, w->n);
            lode_i_blas_gemm(-1, &mine, &r, 1, room, n);
            lode_i_blas_gemm(1, &saved, &inverse, 1, x, w->n);
        }
    }
}
