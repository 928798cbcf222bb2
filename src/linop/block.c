/* Blocks of vectors: orthonormal against a basis, the randomized range finder. */
#include <math.h>

#include "linop/linop.h"

/* Q -= B C with C = B^H Q; sum += C R where R is given, else sum += C. C itself into *c. */
static lode_status project(lode_ctx *ctx, const lode_array *B, lode_array *Q, const lode_array *R,
                           lode_array *sum, lode_array *c)
{
    if (B->shape[1] == 0)
        return LODE_OK;
    LODE_FORWARD(lode_i_gemm(ctx, LODE_H, LODE_N, B, Q, c));
    LODE_FORWARD(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, B, c, 1, Q));
    return R ? lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, c, R, 1, sum) : lode_i_axpy(ctx, 1, c, sum);
}

/* The newest columns of the basis first: in a Krylov iteration they hold nearly all there is to
 * take out, and what is left then needs one projection where it would need two. */
static lode_status project_newest(lode_ctx *ctx, const lode_array *B, int64_t count, lode_array *Z,
                                  lode_array *sum)
{
    lode_status st = LODE_OK;
    const int64_t K = B->shape[1], first = K - count;
    lode_array newest = { 0 }, rows = { 0 }, c = { 0 };
    if (first <= count)
        return LODE_OK;
    newest = lode_i_cols(B, first, K), rows = lode_i_rows(sum, first, K);
    LODE_TRY(project(ctx, &newest, Z, NULL, &rows, &c));
done:
    LODE_FREE(&newest, &rows, &c);
    return st;
}

/* Whether one projection left Q orthogonal to B to a few eps: it took out little (C) and no column
 * shrank much in R. */
static bool once_was_enough(lode_ctx *ctx, const lode_array *C, const lode_array *R)
{
    bool enough = C->data != NULL;
    for (int64_t j = 0; enough && j < R->shape[1]; j++) {
        lode_array c = lode_i_cols(C, j, j + 1), r = lode_i_cols(R, j, j + 1);
        double out = 0, left = 0;
        const double pivot = lode_i_get2(R, j, j);
        enough = lode_i_norm_fro(ctx, &c, &out) >= 0 && lode_i_norm_fro(ctx, &r, &left) >= 0 &&
                 pivot > 0 && out <= 0.5 * pivot && left <= 16 * pivot;
        LODE_FREE(&c, &r);
    }
    return enough;
}

/* Columns whose pivot says that nothing of them was left become random; how many. */
static lode_status replace_lost(lode_ctx *ctx, const lode_array *pivots, lode_stream s,
                                lode_array *Q, int64_t *lost)
{
    lode_status st = LODE_OK;
    lode_array fresh = { 0 }, from = { 0 }, to = { 0 };
    *lost = 0;
    for (int64_t j = 0; j < Q->shape[1]; j++) {
        const double pivot = lode_i_get2(pivots, j, j);
        if (pivot >= 0.5)
            continue;
        ++*lost;
        if (pivot > 1e-3) /* another projection will do */
            continue;
        if (!fresh.data) {
            LODE_TRY(lode_i_randn(ctx, s, Q->dtype, Q->shape[0], Q->shape[1], &fresh));
            LODE_TRY(lode_i_scale(ctx, 1 / sqrt((double)Q->shape[0]), &fresh));
        }
        LODE_FREE(&from, &to);
        from = lode_i_cols(&fresh, j, j + 1), to = lode_i_cols(Q, j, j + 1);
        LODE_TRY(lode_array_copy_into(ctx, &from, &to));
    }
done:
    LODE_FREE(&fresh, &from, &to);
    return st;
}

lode_status lode_i_orth_block(lode_ctx *ctx, const lode_array *B, int64_t newest, lode_array *Z,
                              lode_stream s, lode_array *C, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 }, q = { 0 }, r = { 0 }, pivots = { 0 }, next = { 0 };
    const int64_t shape[2] = { B->shape[1], Z->shape[1] };
    LODE_TRY(lode_array_zeros(ctx, Z->dtype, 2, shape, &c));
    LODE_TRY(project_newest(ctx, B, newest, Z, &c));
    LODE_TRY(project(ctx, B, Z, NULL, &c, &next));
    LODE_TRY(lode_i_qr(ctx, Z, &q, &r));
    int64_t lost = newest > 0 && once_was_enough(ctx, &next, &r) ? 0 : 1;
    /* Twice is enough, unless a column lay in the span of the others: then what is left of it is
     * rounding, or is replaced, and has to be projected again. */
    for (int pass = 0; pass < 8 && lost > 0; pass++) {
        LODE_TRY(project(ctx, B, &q, &r, &c, &next));
        LODE_TRY(lode_i_qr(ctx, &q, &next, &pivots));
        lode_array_swap(&q, &next);
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &pivots, &r, &next));
        lode_array_swap(&r, &next);
        s.salt[1] += 0x9e3779b9u;
        LODE_TRY(replace_lost(ctx, &pivots, s, &q, &lost));
    }
    LODE_REQUIRE(lost == 0, LODE_EINTERNAL,
                 "no %" PRId64 " directions orthogonal to a basis of %" PRId64
                 " in dimension %" PRId64,
                 Z->shape[1], B->shape[1], Z->shape[0]);
    lode_array_swap(Z, &q);
    lode_array_swap(C, &c);
    lode_array_swap(R, &r);
done:
    LODE_FREE(&c, &q, &r, &pivots, &next);
    return st;
}

lode_status lode_i_range(lode_ctx *ctx, const lode_linop *A, int64_t l, int64_t q, lode_stream s,
                         lode_array *Q)
{
    lode_status st = LODE_OK;
    lode_array x = { 0 }, y = { 0 };
    LODE_REQUIRE(l >= 0 && l <= lode_i_min(A->rows, A->cols), LODE_ESHAPE,
                 "a range of %" PRId64 " directions does not fit %" PRId64 " x %" PRId64, l,
                 A->rows, A->cols);
    LODE_TRY(lode_i_randn(ctx, s, A->dtype, A->cols, l, &x));
    LODE_TRY(A->apply(ctx, A, false, &x, &y));
    LODE_TRY(lode_i_orth(ctx, &y, NULL));
    for (int64_t i = 0; i < q; i++) {
        LODE_TRY(lode_i_tick(ctx, i, q));
        LODE_TRY(A->apply(ctx, A, true, &y, &x));
        /* else modes below eps^(1/(2q+1)) drown (Remark 4.3) */
        LODE_TRY(lode_i_orth(ctx, &x, NULL));
        LODE_TRY(A->apply(ctx, A, false, &x, &y));
        LODE_TRY(lode_i_orth(ctx, &y, NULL));
    }
    lode_array_swap(Q, &y);
done:
    LODE_FREE(&x, &y);
    return st;
}
