/* Questions about a tensor train: entries and slices multiply the entries of the cores that are asked
 * for, means and sums their sums; the norm of the whole is that of core.0. */
#include <math.h>

#include "linop/tt.h"
#include "ops/tensor/tt.h"

/* Rounding in units in the last place of the root mean square and of what comes out. */
#define UNITS 64

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

static lode_status sum_of(lode_ctx *ctx, const tt_model *m, const lode_question *q, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    for (int k = 0; k < m->d; k++)
        LODE_TRY(summed(ctx, &m->core[k], q, k, &c[k]));
    LODE_TRY(lode_i_tt_expand(ctx, m->d, c, NULL, NULL, NULL, out));
done:
    for (int k = 0; k < m->d; k++)
        lode_array_free(&c[k]);
    return st;
}

static void count_bytes(const tt_model *m, const lode_question *q, lode_answer *a)
{
    a->bytes = a->all_bytes = 0;
    for (int k = 0; k < m->d; k++) {
        const uint64_t each = lode_i_bytes(m->core[k].dtype, m->core[k].shape[0],
                                           m->core[k].shape[2]);
        a->bytes += each * (uint64_t)q->count[k];
        a->all_bytes += each * (uint64_t)m->core[k].shape[1];
    }
}

lode_status lode_i_tt_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                            lode_answer *a)
{
    lode_status st = LODE_OK;
    tt_model m;
    lode_bundle loaded = { 0 };
    lode_array y = { 0 };
    lode_tally t = { .count = 0 };
    lode_inner sums = { .count = 1 };
    lode_stats s;
    double norm = 0, all = 1, asked = 1;

    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_tt_model(ctx, &loaded, &m));
    for (int k = 0; k < m.d; k++)
        all *= (double)model->meta.shape[k], asked *= (double)q->count[k];
    const bool whole = asked >= all;
    const bool direct = q->kind == LODE_QUERY_NORM  ? whole
                        : q->kind == LODE_QUERY_DOT ? false
                                                    : true;
    if (!direct || !(asked > 0)) {
        LODE_TRY(lode_i_answer_by_invert(ctx, &lode_op_tt, &loaded, q, a));
        goto done;
    }
    LODE_TRY(lode_i_norm_fro(ctx, &m.core[0], &norm));
    const double unit = UNITS * lode_i_epsilon(m.core[0].dtype), rms = norm / sqrt(all);
    count_bytes(&m, q, a);
    if (q->kind == LODE_QUERY_VALUES) {
        LODE_TRY(lode_i_tt_expand(ctx, m.d, m.core, q->start, q->count, q->step, &y));
        LODE_TRY(lode_i_stats(ctx, &y, &s));
        a->error = unit * (rms + s.maxabs);
        a->entries = lode_array_size(&y);
        lode_array_swap(&a->values, &y);
        goto done;
    }
    if (q->kind == LODE_QUERY_NORM) {
        sums.sumsq = norm * norm;
        a->error = unit * norm;
    } else {
        LODE_TRY(sum_of(ctx, &m, q, &y));
        LODE_TRY(lode_i_inner(ctx, &y, NULL, &sums));
        a->error = unit * (q->kind == LODE_QUERY_SUM ? asked : 1) *
                   (rms + hypot(sums.re, sums.im) / asked);
        sums.sumsq = 0;
    }
    sums.count = (int64_t)asked;
    lode_i_tally_add(&t, &sums);
    LODE_TRY(lode_i_tally_answer(ctx, q, &t, a));
done:
    LODE_FREE(&loaded, &y);
    return st;
}
