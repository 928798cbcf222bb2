/* Questions about a Tucker decomposition: entries and slices multiply the core by the rows of the
 * factors that are asked for, means and sums by the sum of those rows; the norm of the whole is the
 * core's. */
#include <math.h>

#include "linop/sthosvd.h"
#include "ops/tensor/tucker.h"

/* Rounding in units in the last place of the root mean square and of what comes out. */
#define UNITS 64

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
static lode_status expand(lode_ctx *ctx, const tucker_model *m, const lode_question *q, bool sums,
                          lode_array *out)
{
    lode_status st = LODE_OK;
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

/* Bytes of the core and of the factors' rows. */
static void count_bytes(const tucker_model *m, const lode_question *q, lode_answer *a)
{
    a->bytes = a->all_bytes = lode_array_bytes(m->core);
    for (int k = 0; k < m->d; k++) {
        const uint64_t row = lode_i_bytes(m->U[k].dtype, m->U[k].shape[1], 1);
        a->bytes += row * (uint64_t)q->count[k];
        a->all_bytes += row * (uint64_t)m->U[k].shape[0];
    }
}

lode_status lode_i_tucker_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                                lode_answer *a)
{
    lode_status st = LODE_OK;
    tucker_model m;
    lode_bundle loaded = { 0 };
    lode_array y = { 0 };
    lode_tally t = { .count = 0 };
    lode_inner sums = { .count = 1 };
    lode_stats s;
    double norm = 0, all = 1, asked = 1;

    LODE_TRY(lode_i_load_members(ctx, model, &loaded));
    LODE_TRY(lode_i_tucker_model(ctx, &loaded, &m));
    for (int k = 0; k < m.d; k++)
        all *= (double)model->meta.shape[k], asked *= (double)q->count[k];
    const bool whole = asked >= all;
    const bool direct = q->kind == LODE_QUERY_NORM  ? whole
                        : q->kind == LODE_QUERY_DOT ? false
                                                    : true;
    if (!direct || !(asked > 0)) {
        LODE_TRY(lode_i_answer_by_invert(ctx, &lode_op_tucker, &loaded, q, a));
        goto done;
    }
    LODE_TRY(lode_i_norm_fro(ctx, m.core, &norm));
    const double unit = UNITS * lode_i_epsilon(m.core->dtype), rms = norm / sqrt(all);
    count_bytes(&m, q, a);
    if (q->kind == LODE_QUERY_VALUES) {
        LODE_TRY(expand(ctx, &m, q, false, &y));
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
        LODE_TRY(expand(ctx, &m, q, true, &y));
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
