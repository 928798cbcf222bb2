/* Questions about a Tucker decomposition: entries and slices multiply the core by the rows of the
 * factors that are asked for, means and sums by the sum of those rows; the norm of the whole is the
 * core's. */
#include "linop/sthosvd.h"
#include "ops/tensor/tucker.h"

/* The core with the rows asked for, or with their sums. */
static lode_status expand(lode_ctx *ctx, const void *model, const lode_question *q, bool sums,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    const tucker_model *m = model;
    lode_array V[LODE_MAX_NDIM] = { { 0 } };
    for (int k = 0; k < m->d; k++)
        LODE_TRY(lode_i_question_rows(ctx, &m->U[k], q, k, sums, &V[k]));
    LODE_TRY(lode_i_tucker_expand(ctx, m->core, V, NULL, NULL, out));
done:
    for (int k = 0; k < m->d; k++)
        lode_array_free(&V[k]);
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
