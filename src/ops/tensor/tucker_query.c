/* Questions about a Tucker decomposition: entries and slices multiply the core by the rows of the
 * factors that are asked for, means and sums by the sum of those rows; the norm of the whole is the
 * core's. */
#include "linop/sthosvd.h"
#include "ops/tensor/tucker.h"

static lode_status rows_of(lode_ctx *ctx, const lode_array *U, const lode_question *q, int k,
                           lode_array *rows)
{
    return lode_array_slice(ctx, U, 0, q->start[k],
                            q->start[k] + (q->count[k] - 1) * q->step[k] + 1, q->step[k], rows);
}

/* 1 x r, added up in f64. */
static lode_status sum_of_rows(lode_ctx *ctx, const lode_array *rows, lode_array *sum)
{
    lode_status st = LODE_OK;
    const lode_dtype wide = lode_i_is_complex(rows->dtype) ? LODE_C128 : LODE_F64;
    lode_array ones = { 0 }, R = { 0 }, s = { 0 };
    LODE_TRY(lode_i_matrix_new(ctx, wide, 1, rows->shape[0], &ones));
    LODE_TRY(lode_i_fill(ctx, &ones, 1));
    LODE_TRY(lode_i_as(ctx, rows, wide, &R));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &ones, &R, &s));
    LODE_TRY(lode_i_as(ctx, &s, rows->dtype, sum));
done:
    LODE_FREE(&ones, &R, &s);
    return st;
}

/* The core with the rows asked for, or with their sums. */
static lode_status expand(lode_ctx *ctx, const void *model, const lode_question *q, bool sums,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    const tucker_model *m = model;
    lode_array rows = { 0 }, V[LODE_MAX_NDIM] = { { 0 } };
    for (int k = 0; k < m->d; k++) {
        LODE_TRY(rows_of(ctx, &m->U[k], q, k, &rows));
        if (sums)
            LODE_TRY(sum_of_rows(ctx, &rows, &V[k]));
        else
            lode_array_swap(&V[k], &rows);
        lode_array_free(&rows);
    }
    LODE_TRY(lode_i_tucker_expand(ctx, m->core, V, NULL, NULL, out));
done:
    for (int k = 0; k < m->d; k++)
        lode_array_free(&V[k]);
    LODE_FREE(&rows);
    return st;
}

lode_status lode_i_tucker_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                lode_answer *a)
{
    lode_status st = LODE_OK;
    tucker_model m;
    lode_bundle loaded = { 0 };
    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_tucker_model(ctx, &loaded, &m));
    lode_i_expansion e = { .model = &m, .expand = expand, .held = m.core };
    e.bytes = e.all_bytes = lode_array_bytes(m.core); /* and of the factors' rows */
    for (int k = 0; k < m.d; k++) {
        const uint64_t row = lode_i_bytes(m.U[k].dtype, m.U[k].shape[1], 1);
        e.bytes += row * (uint64_t)q->count[k];
        e.all_bytes += row * (uint64_t)m.U[k].shape[0];
    }
    LODE_TRY(lode_i_answer_by_expanding(ctx, &lode_op_tucker, &loaded, &e, q, a));
done:
    LODE_FREE(&loaded);
    return st;
}
