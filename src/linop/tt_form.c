/* Orthogonal forms of a train, singular values of its bonds, cuts. */
#include "linop/tt_run.h"

#include <math.h>

/* M = L Q, rows of Q orthonormal, as many as M has or as are possible; by QR of M^T. */
static lode_status rows_orthonormal(lode_ctx *ctx, lode_array *M, lode_array *L)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, R = { 0 };
    if (M->shape[0] > M->shape[1]) {
        LODE_TRY(lode_i_eye(ctx, M->dtype, M->shape[1], &Q));
        lode_array_swap(L, M);
        lode_array_swap(M, &Q);
        goto done;
    }
    const lode_array t = lode_i_transposed(M);
    LODE_TRY(lode_i_qr(ctx, &t, &Q, &R));
    LODE_TRY(lode_i_tt_turned(ctx, &Q, M));
    LODE_TRY(lode_i_tt_turned(ctx, &R, L));
done:
    LODE_FREE(&Q, &R);
    return st;
}

/* M = Q R, the same for columns. */
static lode_status cols_orthonormal(lode_ctx *ctx, lode_array *M, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, r = { 0 };
    if (M->shape[0] < M->shape[1]) {
        LODE_TRY(lode_i_eye(ctx, M->dtype, M->shape[0], &Q));
        LODE_TRY(lode_i_as(ctx, M, M->dtype, R));
    } else {
        LODE_TRY(lode_i_qr(ctx, M, &Q, &r));
        lode_array_swap(R, &r);
    }
    lode_array_swap(M, &Q);
done:
    LODE_FREE(&Q, &r);
    return st;
}

lode_status lode_i_tt_orthogonal(lode_ctx *ctx, int d, lode_array *core, bool centre_last)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, C = { 0 };
    for (int i = 0; i < d - 1; i++) {
        const int k = centre_last ? i : d - 1 - i;
        const int64_t r = core[k].shape[0], n = core[k].shape[1], next = core[k].shape[2];
        LODE_TRY(lode_i_tick(ctx, i, d));
        if (centre_last) {
            LODE_TRY(lode_i_tt_cols(ctx, &core[k], &M));
            LODE_TRY(cols_orthonormal(ctx, &M, &C));
            const int64_t s = M.shape[1];
            LODE_TRY(lode_i_tt_core(ctx, &M, r, n, s, &core[k]));
            LODE_TRY(lode_i_tt_before(ctx, &C, &core[k + 1]));
        } else {
            LODE_TRY(lode_i_tt_rows(ctx, &core[k], &M));
            LODE_TRY(rows_orthonormal(ctx, &M, &C));
            const int64_t s = M.shape[0];
            LODE_TRY(lode_i_tt_core(ctx, &M, s, n, next, &core[k]));
            LODE_TRY(lode_i_tt_times(ctx, &core[k - 1], &C));
        }
        LODE_FREE(&M, &C);
    }
done:
    LODE_FREE(&M, &C);
    return st;
}

/* Splits M (r x (n ..) next), of which the rows may be orthonormal, into a core for each of its modes
 * from the last; the first of them takes what is left. */
lode_status lode_i_tt_split(lode_ctx *ctx, lode_array *M, int count, const int64_t *n, int64_t next,
                            lode_array *core)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, C = { 0 };
    for (int k = count - 1; k >= 0; k--) {
        const int64_t size = lode_array_size(M), cols = n[k] * next;
        LODE_TRY(lode_array_reshape(ctx, M, 2, (const int64_t[]){ size / cols, cols }, &A));
        lode_array_free(M);
        if (k > 0)
            LODE_TRY(rows_orthonormal(ctx, &A, &C));
        const int64_t r = A.shape[0];
        LODE_TRY(lode_i_tt_core(ctx, &A, r, n[k], next, &core[k]));
        lode_array_swap(M, &C);
        next = r;
    }
done:
    LODE_FREE(&A, &C);
    return st;
}

/* Tails from singular values: tail[r] the energy beyond the first r. */
static void tails_of(const lode_array *s, double *tail)
{
    const int64_t count = s->shape[0];
    tail[count] = 0;
    for (int64_t i = count - 1; i >= 0; i--)
        tail[i] = tail[i + 1] + pow(lode_i_get1(s, i), 2);
}

lode_status lode_i_tt_reveal(lode_ctx *ctx, int d, lode_array *core, double noise, double **tail,
                             int64_t *most, lode_array *values, double *lost)
{
    lode_status st = LODE_OK;
    lode_array M = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, C = { 0 }, t = { 0 };
    for (int k = 0; k < d - 1; k++) {
        const int64_t r = core[k].shape[0], n = core[k].shape[1];
        LODE_TRY(lode_i_tick(ctx, k, 2 * d));
        LODE_TRY(lode_i_tt_cols(ctx, &core[k], &M));
        const int64_t full = lode_i_min(M.shape[0], M.shape[1]);
        LODE_TRY(lode_i_svd(ctx, &M, full, &U, &s, &V));
        int64_t keep = full;
        double rest = 0;
        while (keep > 1 && rest + pow(lode_i_get1(&s, keep - 1), 2) <= noise)
            rest += pow(lode_i_get1(&s, --keep), 2);
        if (lost)
            *lost += rest;
        if (tail) {
            LODE_TRY(lode_array_slice(ctx, &s, 0, 0, keep, 1, &t));
            LODE_TRY(LODE_NEW(ctx, keep + 1, &tail[k]));
            tails_of(&t, tail[k]);
            most[k] = keep;
            lode_array_free(&t);
        }
        t = lode_i_cols(&V, 0, keep);
        LODE_TRY(lode_array_cast(ctx, &t, t.dtype, &C));
        lode_array_free(&t);
        t = lode_i_cols(&U, 0, keep);
        lode_array_free(&M);
        LODE_TRY(lode_i_as(ctx, &t, t.dtype, &M));
        lode_array_free(&t);
        LODE_TRY(lode_array_slice(ctx, &s, 0, 0, keep, 1, &t));
        LODE_TRY(lode_i_scale_cols(ctx, &C, &t));
        if (values)
            LODE_TRY(lode_array_cast(ctx, &t, LODE_F64, &values[k]));
        lode_array_free(&t);
        LODE_TRY(lode_i_tt_core(ctx, &M, r, n, keep, &core[k]));
        LODE_TRY(lode_i_tt_turned(ctx, &C, &M));
        LODE_TRY(lode_i_conj(ctx, &M));
        LODE_TRY(lode_i_tt_before(ctx, &M, &core[k + 1]));
        LODE_FREE(&M, &U, &s, &V, &C, &t);
    }
done:
    LODE_FREE(&M, &U, &s, &V, &C, &t);
    return st;
}

lode_status lode_i_tt_spectra(lode_ctx *ctx, int d, const lode_array *core, lode_array *values)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, v[LODE_MAX_NDIM] = { { 0 } };
    LODE_TRY(
        lode_i_tt_as(ctx, d, core, lode_i_is_complex(core[0].dtype) ? LODE_C128 : LODE_F64, c));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, c, false));
    LODE_TRY(lode_i_tt_reveal(ctx, d, c, 0, NULL, NULL, v, NULL));
    lode_i_tt_swap(d - 1, values, v);
done:
    lode_i_tt_free(d, c);
    lode_i_tt_free(d, v);
    return st;
}

lode_status lode_i_tt_cut(lode_ctx *ctx, int d, const lode_array *core, const int64_t *rank,
                          lode_array *out, double **tail, int64_t *most, double *lost)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, M = { 0 }, U = { 0 }, s = { 0 }, V = { 0 }, u = { 0 },
               v = { 0 }, t = { 0 };
    *lost = 0;
    for (int k = 0; k < d; k++)
        c[k] = lode_array_ref(&core[k]);
    for (int k = d - 1; k >= 1; k--) {
        const int64_t n = c[k].shape[1], next = c[k].shape[2];
        LODE_TRY(lode_i_tick(ctx, d + d - 1 - k, 2 * d));
        LODE_TRY(lode_i_tt_rows(ctx, &c[k], &M));
        const int64_t full = lode_i_min(M.shape[0], M.shape[1]), r = lode_i_min(rank[k - 1], full);
        LODE_TRY(lode_i_svd(ctx, &M, full, &U, &s, &V));
        for (int64_t i = full - 1; i >= r; i--)
            *lost += pow(lode_i_get1(&s, i), 2);
        if (tail) {
            tails_of(&s, tail[k - 1]);
            most[k - 1] = full;
        }
        LODE_FREE(&M);
        u = lode_i_cols(&U, 0, r), v = lode_i_cols(&V, 0, r);
        LODE_TRY(lode_i_canonical_signs(ctx, &v, &u));
        LODE_TRY(lode_i_tt_turned(ctx, &v, &M));
        LODE_TRY(lode_i_conj(ctx, &M));
        LODE_TRY(lode_i_tt_core(ctx, &M, r, n, next, &c[k]));
        LODE_TRY(lode_array_slice(ctx, &s, 0, 0, r, 1, &t));
        LODE_TRY(lode_array_cast(ctx, &u, u.dtype, &M));
        LODE_TRY(lode_i_scale_cols(ctx, &M, &t));
        LODE_TRY(lode_i_tt_times(ctx, &c[k - 1], &M));
        LODE_FREE(&M, &U, &s, &V, &u, &v, &t);
    }
    lode_i_tt_swap(d, out, c);
done:
    lode_i_tt_free(d, c);
    LODE_FREE(&M, &U, &s, &V, &u, &v, &t);
    return st;
}

lode_status lode_i_tt_singular(lode_ctx *ctx, int d, lode_array *core, double **sigma)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    double *tail[LODE_MAX_NDIM] = { NULL }, lost;
    int64_t rank[LODE_MAX_NDIM] = { 0 }, most[LODE_MAX_NDIM] = { 0 };
    LODE_TRY(lode_i_tt_as(ctx, d, core, core[0].dtype, c));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, c, true));
    for (int k = 0; k < d - 1; k++) {
        rank[k] = c[k].shape[2];
        LODE_TRY(LODE_NEW(ctx, rank[k] + 1, &tail[k]));
    }
    LODE_TRY(lode_i_tt_cut(ctx, d, c, rank, c, tail, most, &lost));
    for (int k = 0; k < d - 1; k++) {
        for (int64_t a = 0; a < most[k]; a++)
            tail[k][a] = sqrt(fmax(tail[k][a] - tail[k][a + 1], 0));
        sigma[k + 1] = tail[k];
        tail[k] = NULL;
    }
    lode_i_tt_swap(d, core, c);
done:
    lode_i_tt_free(d, c);
    for (int k = 0; k < d; k++)
        lode_i_free(tail[k]);
    return st;
}
