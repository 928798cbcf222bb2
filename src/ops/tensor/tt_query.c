/* Questions about a tensor train: entries and slices multiply the entries of the cores that are asked
 * for, means and sums their sums; the norm of the whole is that of core.0. */
#include "linop/tt.h"
#include "ops/tensor/tt.h"

/* r x 1 x r': the entries asked for, added up in f64. */
static lode_status summed(lode_ctx *ctx, const lode_array *core, const lode_question *q, int k,
                          lode_array *sum)
{
    lode_status st = LODE_OK;
    const lode_dtype wide = lode_i_is_complex(core->dtype) ? LODE_C128 : LODE_F64;
    lode_array some = { 0 }, C = { 0 }, ones = { 0 };
    LODE_TRY(lode_array_slice(ctx, core, 1, q->start[k],
                              q->start[k] + (q->count[k] - 1) * q->step[k] + 1, q->step[k], &some));
    LODE_TRY(lode_i_as(ctx, &some, wide, &C));
    LODE_TRY(lode_i_matrix_new(ctx, wide, 1, q->count[k], &ones));
    LODE_TRY(lode_i_fill(ctx, &ones, 1));
    LODE_TRY(lode_i_ttm(ctx, &C, 1, LODE_N, &ones, sum));
done:
    LODE_FREE(&some, &C, &ones);
    return st;
}

static lode_status expand(lode_ctx *ctx, const void *model, const lode_question *q, bool sums,
                          lode_array *out)
{
    lode_status st = LODE_OK;
    const tt_model *m = model;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    if (!sums)
        return lode_i_tt_expand(ctx, m->d, m->core, q->start, q->count, q->step, out);
    for (int k = 0; k < m->d; k++)
        LODE_TRY(summed(ctx, &m->core[k], q, k, &c[k]));
    LODE_TRY(lode_i_tt_expand(ctx, m->d, c, NULL, NULL, NULL, out));
done:
    for (int k = 0; k < m->d; k++)
        lode_array_free(&c[k]);
    return st;
}

lode_status lode_i_tt_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                            lode_answer *a)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_bundle loaded = { 0 };
    lode_i_expansion e = { .model = &m, .expand = expand, .held = &m.core[0] };
    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_tt_model(ctx, &loaded, &m));
    for (int k = 0; k < m.d; k++) {
        const uint64_t each = lode_i_bytes(m.core[k].dtype, m.core[k].shape[0], m.core[k].shape[2]);
        e.bytes += each * (uint64_t)q->count[k];
        e.all_bytes += each * (uint64_t)m.core[k].shape[1];
    }
    LODE_TRY(lode_i_answer_by_expanding(ctx, &lode_op_tt, &loaded, &e, q, a));
done:
    LODE_FREE(&loaded);
    return st;
}
