/* Operands: op(A) with any strides, cut into tiles, handed to BLAS as it lies or packed. */
#include "linalg/blas.h"

#include <limits.h>

#define NAME pack_f32
#define FROM float
#define TO float
#define WIDTH 1
#include "linalg/pack_kernel.inc"
#define NAME pack_f64
#define FROM double
#define TO double
#define WIDTH 1
#include "linalg/pack_kernel.inc"
#define NAME pack_c64
#define FROM float
#define TO float
#define WIDTH 2
#include "linalg/pack_kernel.inc"
#define NAME pack_c128
#define FROM double
#define TO double
#define WIDTH 2
#include "linalg/pack_kernel.inc"
#define NAME widen_f32
#define FROM float
#define TO double
#define WIDTH 1
#include "linalg/pack_kernel.inc"
#define NAME widen_c64
#define FROM float
#define TO double
#define WIDTH 2
#include "linalg/pack_kernel.inc"

lode_i_operand lode_i_operand_of(lode_trans t, const lode_array *A)
{
    const bool vector = A->ndim == 1;
    lode_i_operand a = { .p = A->data,
                         .dtype = A->dtype,
                         .rows = A->shape[0],
                         .cols = vector ? 1 : A->shape[1],
                         .rs = A->strides[0],
                         .cs = vector ? 1 : A->strides[1] };
    a.kin = lode_i_max(a.cols, 1);
    if (t != LODE_N)
        a = lode_i_operand_transposed(&a);
    a.conj = t == LODE_H && lode_i_is_complex(A->dtype);
    return a;
}

lode_i_operand lode_i_operand_transposed(const lode_i_operand *a)
{
    lode_i_operand t = *a;
    t.rows = a->cols, t.cols = a->rows, t.rs = a->cs, t.cs = a->rs;
    t.kin = lode_i_max(t.cols, 1), t.ks = 0;
    return t;
}

lode_i_operand lode_i_operand_part(const lode_i_operand *a, int64_t i, int64_t m, int64_t k,
                                   int64_t n)
{
    lode_i_operand part = *a;
    const int64_t offset = i * a->rs + (k / a->kin) * a->ks + (k % a->kin) * a->cs;
    /* an empty operand has no address to move */
    if (a->p)
        part.p = a->p + offset * (int64_t)lode_dtype_size(a->dtype);
    part.rows = m, part.cols = n;
    if (k % a->kin + n <= a->kin)
        part.kin = lode_i_max(n, 1), part.ks = 0;
    return part;
}

bool lode_i_operand_by_rows(const lode_i_operand *a, int64_t *ld)
{
    *ld = a->rows <= 1 ? lode_i_max(a->cols, 1) : a->rs;
    return (a->cs == 1 || a->cols <= 1) && !a->conj && *ld >= lode_i_max(a->cols, 1) &&
           *ld <= INT_MAX && a->cols <= a->kin;
}

bool lode_i_operand_by_cols(const lode_i_operand *a, int64_t *ld)
{
    *ld = a->cols <= 1 ? lode_i_max(a->rows, 1) : a->cs;
    return (a->rs == 1 || a->rows <= 1) && *ld >= lode_i_max(a->rows, 1) && *ld <= INT_MAX &&
           a->cols <= a->kin;
}

bool lode_i_operand_direct(const lode_i_operand *a)
{
    int64_t ld;
    return lode_i_operand_by_rows(a, &ld) || lode_i_operand_by_cols(a, &ld);
}

void lode_i_operand_pack(const lode_i_operand *a, lode_dtype dtype, void *to)
{
    switch (a->dtype) {
    case LODE_F32:
        if (dtype == LODE_F64)
            widen_f32(a, to);
        else
            pack_f32(a, to);
        break;
    case LODE_F64: pack_f64(a, to); break;
    case LODE_C64:
        if (dtype == LODE_C128)
            widen_c64(a, to);
        else
            pack_c64(a, to);
        break;
    default: pack_c128(a, to);
    }
}

lode_i_operand lode_i_operand_within(const void *p, lode_dtype dtype, int64_t rows, int64_t cols,
                                     int64_t ld)
{
    return (lode_i_operand){ .p = p,
                             .dtype = dtype,
                             .rows = rows,
                             .cols = cols,
                             .rs = ld,
                             .cs = 1,
                             .kin = lode_i_max(cols, 1) };
}

lode_i_operand lode_i_operand_packed(const void *p, lode_dtype dtype, int64_t rows, int64_t cols)
{
    return lode_i_operand_within(p, dtype, rows, cols, cols);
}

lode_status lode_i_check_matrix(lode_ctx *ctx, const char *who, const char *name,
                                const lode_array *A)
{
    const lode_dtype t = A->dtype;
    if (t != LODE_F32 && t != LODE_F64 && t != LODE_C64 && t != LODE_C128)
        return lode_i_fail(
            ctx, LODE_ETYPE,
            "%s: %s is %s, which is no arithmetic type; convert to f32, f64, c64 or c128", who,
            name, lode_dtype_name(t));
    if (A->ndim != 2)
        return lode_i_fail(ctx, LODE_ESHAPE, "%s: %s has %d dimensions, a matrix has 2", who, name,
                           (int)A->ndim);
    return LODE_OK;
}

typedef struct copy_job {
    lode_i_operand from;
    char *to;
    int64_t rows;
} copy_job;

static lode_status copy_rows(lode_ctx *ctx, int64_t i, void *data)
{
    (void)ctx;
    const copy_job *j = data;
    const int64_t r0 = i * j->rows, r1 = lode_i_min(r0 + j->rows, j->from.rows);
    const lode_i_operand part = lode_i_operand_part(&j->from, r0, r1 - r0, 0, j->from.cols);
    lode_i_operand_pack(&part, part.dtype,
                        j->to + (size_t)(r0 * part.cols) * lode_dtype_size(part.dtype));
    return LODE_OK;
}

lode_status lode_i_copy_op(lode_ctx *ctx, lode_trans t, const lode_array *A, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array copy = { 0 };
    copy_job j = { .from = lode_i_operand_of(t, A) };
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, j.from.rows, j.from.cols, &copy));
    if (j.from.rows > 0 && j.from.cols > 0) {
        j.to = copy.data;
        j.rows = lode_i_max(32, (1 << 16) / j.from.cols);
        LODE_TRY(lode_i_parallel(ctx, lode_i_ceil_div(j.from.rows, j.rows), copy_rows, &j));
    }
    lode_array_swap(out, &copy);
done:
    lode_array_free(&copy);
    return st;
}

int64_t lode_i_lapack_spare(lode_dtype t)
{
    return lode_i_is_complex(t) ? 1 : 0;
}

lode_status lode_i_lapack_matrix(lode_ctx *ctx, lode_dtype t, int64_t rows, int64_t cols,
                                 lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array whole = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, t, rows + lode_i_lapack_spare(t), cols, &whole));
    LODE_TRY(lode_array_slice(ctx, &whole, 0, 0, rows, 1, out));
done:
    lode_array_free(&whole);
    return st;
}
