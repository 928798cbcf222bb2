/* r = A x - y and z = A^H w(r). What row i weighs depends on row i alone, so that rows go forth and back a
 * strip at a time while the strip lies in cache: half the traffic of two products. */
#include "linop/misfit.h"

enum { STRIP_BYTES = 256 << 10, STRIP_LEAST = 4 };

lode_status lode_i_misfit_block(lode_ctx *ctx, const lode_i_misfit *f, const lode_array *A,
                                const lode_array *x, int64_t i0, lode_array *r, lode_array *z)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 }, off = { 0 }, room = { 0 }, w = { 0 };
    const int64_t rows = A->shape[0],
                  row = lode_i_max(1, A->shape[1]) * (int64_t)lode_dtype_size(A->dtype);
    const int64_t step = lode_i_min(rows, lode_i_max(STRIP_LEAST, STRIP_BYTES / row));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, lode_i_max(1, step), 1, &room));
    for (int64_t i = 0; i < rows; i += step) {
        const int64_t end = lode_i_min(rows, i + step);
        LODE_FREE(&a, &off, &w);
        a = lode_i_rows(A, i, end), off = lode_i_rows(r, i, end),
        w = lode_i_rows(&room, 0, end - i);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &a, x, 0, &off));
        lode_i_misfit_rows(f, i0 + i, &off, &w);
        LODE_TRY(lode_i_gemm_into(ctx, LODE_T, LODE_N, 1, &a, &w, 1, z));
    }
done:
    LODE_FREE(&a, &off, &room, &w);
    return st;
}

lode_status lode_i_linop_misfit(lode_ctx *ctx, const lode_linop *op, const lode_array *x,
                                const lode_i_misfit *f, lode_array *r, lode_array *z)
{
    lode_status st = LODE_OK;
    lode_array off = { 0 }, w = { 0 }, back = { 0 };
    if (op->misfit)
        return op->misfit(ctx, op, x, f, r, z);
    LODE_TRY(op->apply(ctx, op, false, x, &off));
    LODE_TRY(lode_i_matrix_new(ctx, op->dtype, op->rows, 1, &w));
    lode_i_misfit_rows(f, 0, &off, &w);
    LODE_TRY(op->apply(ctx, op, true, &w, &back));
    lode_array_swap(r, &off);
    lode_array_swap(z, &back);
done:
    LODE_FREE(&off, &w, &back);
    return st;
}
