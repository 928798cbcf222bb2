/* Verbs of nmf: codes of new rows, what the factors stand for, checks, pictures. */
#include <math.h>

#include "ops/matrix/nmf.h"

enum { CODE_SWEEPS = 1000 };

/* Rows x (dense or sparse) and the basis with its scales. */
static lode_status read_rows(lode_ctx *ctx, const lode_i_kruskal *m, lode_value x, lode_array *rows)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    const int64_t n = m->factor[1].shape[0];
    if (x.kind == LODE_SPARSE)
        LODE_TRY(lode_sparse_to_dense(ctx, x.as.sparse, &a));
    else
        LODE_TRY(lode_i_as_array(ctx, x, m->scale.dtype, &a));
    if (a.ndim == 1 && a.shape[0] == n)
        LODE_TRY(lode_array_reshape(ctx, &a, 2, (const int64_t[]){ 1, n }, rows));
    else
        *rows = lode_array_ref(&a);
    LODE_REQUIRE(rows->ndim == 2 && rows->shape[1] == n, LODE_ESHAPE,
                 "nmf: the new rows must have %" PRId64 " columns, as the data of the model", n);
done:
    LODE_FREE(&a);
    return st;
}

/* c >= 0 minimizing |x - B c| over the observed entries of each row, B = factor.1 diag(s). */
static lode_status solve_codes(lode_ctx *ctx, const lode_array *rows, const lode_array *B,
                               lode_array *C)
{
    lode_status st = LODE_OK;
    lode_stats stats;
    lode_array P = { 0 }, G = { 0 }, x = { 0 };
    lode_i_observed some = { 0 };
    const lode_missing nan = { .kind = LODE_MISSING_NAN };
    LODE_TRY(lode_i_stats(ctx, rows, &stats));
    if (stats.infinite > 0)
        LODE_TRY(lode_i_require_nonneg(ctx, lode_from_array(rows), &nan, "nmf", NULL));
    LODE_TRY(
        lode_array_zeros(ctx, B->dtype, 2, (const int64_t[]){ rows->shape[0], B->shape[1] }, C));
    if (stats.missing > 0) {
        const lode_i_row_rule rule = { .nonneg = true, .steps = CODE_SWEEPS };
        lode_array factor[2] = { *C, *B }; /* borrowed */
        LODE_TRY(
            lode_i_observed_from(ctx, lode_from_array(rows), &nan, NULL, NULL, B->dtype, &some));
        LODE_TRY(lode_i_observed_rows(ctx, &some, 0, factor, &rule, NULL, NULL));
        goto done;
    }
    const lode_i_nonneg_rule rule = { .sweeps = CODE_SWEEPS, .enough = 1e-7 };
    LODE_TRY(lode_i_as(ctx, rows, B->dtype, &x));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &x, B, &P));
    LODE_TRY(lode_i_gram(ctx, LODE_T, B, &G));
    LODE_TRY(lode_i_nonneg_rows(ctx, &P, &G, &rule, C));
done:
    LODE_FREE(&P, &G, &x);
    lode_i_observed_free(&some);
    return st;
}

lode_status lode_i_nmf_apply(lode_ctx *ctx, const lode_bundle *model, lode_value x,
                             lode_bundle *result)
{
    lode_status st = LODE_OK;
    lode_i_kruskal m;
    lode_array rows = { 0 }, B = { 0 }, C = { 0 }, codes = { 0 };
    LODE_TRY(lode_i_kruskal_read(ctx, "nmf", model, &m));
    LODE_TRY(read_rows(ctx, &m, x, &rows));
    LODE_TRY(lode_array_cast(ctx, &m.factor[1], LODE_F64, &B)); /* unit columns: well scaled */
    LODE_TRY(solve_codes(ctx, &rows, &B, &C));
    for (int64_t c = 0; c < m.k; c++) { /* X ~ codes diag(s) factor.1^T, as factor.0 has it */
        const double s = lode_i_get1(&m.scale, c);
        for (int64_t i = 0; i < C.shape[0]; i++)
            lode_i_set2(&C, i, c, s > 0 ? lode_i_get2(&C, i, c) / s : 0);
    }
    LODE_TRY(lode_array_cast(ctx, &C, m.scale.dtype, &codes));
    LODE_TRY(lode_bundle_add_array(ctx, result, "codes", &codes));
done:
    LODE_FREE(&rows, &B, &C, &codes);
    return st;
}

lode_status lode_i_nmf_invert(lode_ctx *ctx, const lode_bundle *model, lode_value codes,
                              const lode_part *part, lode_array *out)
{
    return lode_i_kruskal_invert(ctx, &lode_op_nmf, model, codes, part, out);
}

lode_status lode_i_nmf_query(lode_ctx *ctx, const lode_bundle *model, const lode_question *q,
                             lode_answer *a)
{
    return lode_i_kruskal_query(ctx, &lode_op_nmf, model, q, a);
}

/* The error on the original; of a sparse one by what it holds. */
static lode_status measure_again(lode_ctx *ctx, const lode_bundle *model, const lode_i_kruskal *m,
                                 lode_value original, lode_certificate *found)
{
    lode_status st = LODE_OK;
    lode_array L = { 0 }, R = { 0 };
    lode_linop *A = NULL;
    lode_diff d = { 0 };
    double norm = 0;
    if (original.kind == LODE_SPARSE) {
        LODE_TRY(lode_linop_from(ctx, original, &A));
        LODE_REQUIRE(A->rows == m->factor[0].shape[0] && A->cols == m->factor[1].shape[0],
                     LODE_ESHAPE,
                     "nmf: the original is %" PRId64 " x %" PRId64
                     ", which is not what the model stands for",
                     A->rows, A->cols);
        LODE_TRY(lode_array_cast(ctx, &m->factor[0], A->dtype, &L));
        LODE_TRY(lode_array_cast(ctx, &m->factor[1], A->dtype, &R));
        LODE_TRY(lode_i_scale_cols(ctx, &L, &m->scale));
        LODE_TRY(lode_i_linop_norm(ctx, A, &norm));
        LODE_TRY(A->norm(ctx, A, &L, &R, &found->absolute));
    } else {
        LODE_TRY(lode_i_measure(ctx, &lode_op_nmf, model, original, &d));
        norm = sqrt(d.ref_sumsq), found->absolute = sqrt(d.sumsq);
    }
    found->value = norm > 0 ? found->absolute / norm : 0;
done:
    LODE_FREE(&L, &R, &A);
    return st;
}

lode_status lode_i_nmf_verify(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                              lode_certificate *found)
{
    lode_i_kruskal m;
    lode_stats stats;
    LODE_FORWARD(lode_i_kruskal_verify(ctx, &lode_op_nmf, model));
    LODE_FORWARD(lode_i_kruskal_read(ctx, "nmf", model, &m));
    for (int i = 0; i < 2; i++) {
        LODE_FORWARD(lode_i_stats(ctx, &m.factor[i], &stats));
        if (stats.min < 0)
            return lode_i_fail(ctx, LODE_EVERIFY, "nmf: factor.%d has a negative entry (%g)", i,
                               stats.min);
    }
    *found = model->certificate;
    if (original.kind == LODE_NONE || !model->certificate.needs_original) {
        snprintf(found->note, sizeof found->note,
                 original.kind == LODE_NONE
                     ? "structure checked; give the original to measure the error again"
                     : "structure checked; the error is over the entries that a mask, weights or "
                       "holdout left");
        return LODE_OK;
    }
    LODE_FORWARD(measure_again(ctx, model, &m, original, found));
    const double claimed = model->certificate.value;
    const double slack = 1e-3 * claimed +
                         16 * lode_i_epsilon(m.scale.dtype) * sqrt((double)(m.k + 4));
    if (!(fabs(found->value - claimed) <= slack))
        return lode_i_fail(ctx, LODE_EVERIFY,
                           "nmf: the relative error is %g, the certificate says %g", found->value,
                           claimed);
    return LODE_OK;
}

lode_status lode_i_nmf_plot(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                            lode_figure *figure)
{
    (void)original;
    return lode_i_kruskal_plot(ctx, &lode_op_nmf, model, "Nonnegative factors", figure);
}
