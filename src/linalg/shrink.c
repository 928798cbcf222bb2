/* Subspace iteration with a warm start. */
#include "linalg/shrink.h"

#include <math.h>

enum { STEP = 16, BEYOND = 8, SMALL = 48, ROUNDS = 6, FIRST_ROUNDS = 16, SLACK = 32 };

void lode_i_shrink_free(lode_i_shrink *s)
{
    LODE_FREE(&s->V);
}

/* Columns of the basis for k triplets: products like multiples of 16. */
static int64_t width(int64_t k)
{
    return (k + lode_i_max(BEYOND, k / 8) + STEP - 1) / STEP * STEP;
}

static bool whole(int64_t m, int64_t n, int64_t columns)
{
    const int64_t side = lode_i_min(m, n);
    return side <= SMALL || 2 * columns > side;
}

uint64_t lode_i_shrink_memory(lode_dtype dtype, int64_t m, int64_t n, int64_t most)
{
    const int64_t side = lode_i_min(m, n), l = lode_i_min(width(most), side);
    const bool all = whole(m, n, width(most));
    const uint64_t tall = lode_i_bytes(dtype, m + n, all ? side : l);
    return 8 * tall + 12 * lode_i_bytes(dtype, all ? side : l, all ? side : l) +
           (all ? 3 * lode_i_bytes(dtype, m, n) : lode_i_bytes(dtype, m, n) / 4) + 65536;
}

/* The first columns, new. */
static lode_status first(lode_ctx *ctx, const lode_array *A, int64_t k, lode_array *out)
{
    lode_array view = lode_i_cols(A, 0, k);
    const lode_status st = lode_array_cast(ctx, &view, A->dtype, out);
    LODE_FREE(&view);
    return st;
}

/* More columns, random, orthonormal with those before. */
static lode_status widen(lode_ctx *ctx, lode_dtype dtype, int64_t n, int64_t l, lode_i_shrink *s)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, fresh = { 0 }, left = { 0 }, right = { 0 };
    const int64_t have = s->V.data ? s->V.shape[1] : 0;
    const lode_stream stream = lode_i_stream(ctx, s->op, s->site + (uint64_t)s->draws++);
    LODE_TRY(lode_i_matrix_new(ctx, dtype, n, l, &V));
    LODE_TRY(lode_i_randn(ctx, stream, dtype, n, l - have, &fresh));
    right = lode_i_cols(&V, have, l);
    LODE_TRY(lode_array_copy_into(ctx, &fresh, &right));
    if (have > 0) {
        left = lode_i_cols(&V, 0, have);
        LODE_TRY(lode_array_copy_into(ctx, &s->V, &left));
    }
    LODE_TRY(lode_i_orth(ctx, &V, NULL));
    lode_array_swap(&s->V, &V);
done:
    LODE_FREE(&V, &fresh, &left, &right);
    return st;
}

static int64_t above(const lode_array *s, double threshold, int64_t most)
{
    int64_t k = 0;
    while (k < lode_i_min(s->shape[0], most) && lode_i_get1(s, k) > threshold)
        k++;
    return k;
}

/* How far the leading k of P are from the span of V, each weighed by its value. */
static lode_status turn(lode_ctx *ctx, const lode_array *V, const lode_array *P,
                        const lode_array *s, int64_t k, double *off)
{
    lode_status st = LODE_OK;
    lode_array lead = { 0 }, C = { 0 }, values = { 0 };
    *off = 0;
    if (k == 0)
        goto done;
    LODE_TRY(first(ctx, P, k, &lead));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, V, &lead, &C));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, V, &C, 1, &lead));
    LODE_TRY(lode_array_slice(ctx, s, 0, 0, k, 1, &values));
    LODE_TRY(lode_i_scale_cols(ctx, &lead, &values));
    LODE_TRY(lode_i_norm_fro(ctx, &lead, off));
done:
    LODE_FREE(&lead, &C, &values);
    return st;
}

/* One round: Q spans W V, and W = Q B^T = (Q Z) diag(s) P^T there. */
static lode_status advance(lode_ctx *ctx, const lode_array *W, const lode_array *V, lode_array *Q,
                           lode_array *P, lode_array *s, lode_array *Z)
{
    lode_status st = LODE_OK;
    lode_array B = { 0 };
    LODE_TRY(lode_i_narrow(ctx, W, V, Q));
    LODE_TRY(lode_i_orth(ctx, Q, NULL));
    LODE_TRY(lode_i_narrow_adjoint(ctx, W, Q, &B));
    LODE_TRY(lode_i_svd(ctx, &B, V->shape[1], P, s, Z));
done:
    LODE_FREE(&B);
    return st;
}

static lode_status give(lode_ctx *ctx, const lode_array *P, const lode_array *s, int64_t k,
                        double threshold, lode_array *values, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 };
    LODE_TRY(first(ctx, P, k, V));
    LODE_TRY(lode_array_slice(ctx, s, 0, 0, k, 1, &view));
    LODE_TRY(lode_array_cast(ctx, &view, s->dtype, values));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(values, i, lode_i_get1(values, i) - threshold);
done:
    LODE_FREE(&view);
    return st;
}

static lode_status all(lode_ctx *ctx, const lode_array *W, double threshold, lode_i_shrink *state,
                       lode_array *U, lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array u = { 0 }, d = { 0 }, v = { 0 };
    const int64_t side = lode_i_min(W->shape[0], W->shape[1]);
    LODE_TRY(lode_i_svd(ctx, W, side, &u, &d, &v));
    const int64_t k = above(&d, threshold, state->most);
    state->top = side > 0 ? lode_i_get1(&d, 0) : 0;
    state->full++;
    LODE_TRY(first(ctx, &u, k, U));
    LODE_TRY(give(ctx, &v, &d, k, threshold, s, V));
    LODE_TRY(first(ctx, &v, lode_i_min(width(k), side), &state->V));
done:
    LODE_FREE(&u, &d, &v);
    return st;
}

lode_status lode_i_shrink_step(lode_ctx *ctx, const lode_array *W, double threshold, double off,
                               lode_i_shrink *state, lode_array *U, lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, P = { 0 }, d = { 0 }, Z = { 0 }, lead = { 0 };
    const int64_t m = W->shape[0], n = W->shape[1];
    const bool cold = !state->V.data;
    int64_t l = cold ? STEP : state->V.shape[1], k = 0;
    bool fresh = cold;
    if (cold && !whole(m, n, l))
        LODE_TRY(widen(ctx, W->dtype, n, l, state));
    for (int round = 0;; round++) {
        double moved = 0;
        const double before = state->top;
        if (whole(m, n, l)) {
            LODE_TRY(all(ctx, W, threshold, state, U, s, V));
            goto done;
        }
        LODE_TRY(advance(ctx, W, &state->V, &Q, &P, &d, &Z));
        state->rounds++;
        state->top = lode_i_get1(&d, 0);
        k = above(&d, threshold, state->most);
        LODE_TRY(turn(ctx, &state->V, &P, &d, k, &moved));
        lode_array_swap(&state->V, &P);
        if (k + BEYOND > l && k < state->most) {
            l = width(lode_i_min(k + k / 2, state->most));
            if (!whole(m, n, l))
                LODE_TRY(widen(ctx, W->dtype, n, l, state));
            fresh = true;
            continue;
        }
        const double least = 32 * lode_i_epsilon(W->dtype) * state->top * sqrt((double)l);
        const bool still = k > 0 ? moved <= fmax(off, least)
                                 : fabs(state->top - before) <= 0.01 * state->top;
        if ((still && !(fresh && round == 0)) || round >= (fresh ? FIRST_ROUNDS : ROUNDS))
            break;
    }
    LODE_TRY(first(ctx, &Z, k, &lead));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &Q, &lead, U));
    LODE_TRY(give(ctx, &state->V, &d, k, threshold, s, V));
    if (l > width(k) + SLACK) {
        LODE_TRY(first(ctx, &state->V, width(k), &P));
        lode_array_swap(&state->V, &P);
    }
done:
    LODE_FREE(&Q, &P, &d, &Z, &lead);
    return st;
}
