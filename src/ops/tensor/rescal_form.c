/* Of rescal: cores for columns that stay, what is left of the data, and the normal form of a model. */
#include <math.h>

#include "ops/tensor/rescal.h"

enum { SETTLE_STEPS = 300 };

lode_status lode_i_rescal_flat(lode_ctx *ctx, const lode_array *R, lode_array *flat)
{
    const int64_t k = R->shape[2];
    return lode_array_reshape(ctx, R, 2, (const int64_t[]){ R->shape[0] * k, k }, flat);
}

lode_status lode_i_rescal_cores(lode_ctx *ctx, const rescal_data *d, double l2, const lode_array *A,
                                lode_array *R, double *sumsq)
{
    lode_status st = LODE_OK;
    const int64_t k = A->shape[1];
    lode_i_relations_pass p = { .l2 = l2, .direct = true };
    LODE_TRY(d->x.known.data
                 ? lode_i_rescal_random_cores(ctx, &d->x, k, 0, R)
                 : lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ d->x.m, k, k }, R));
    p.rule = !d->nonneg        ? LODE_I_CORES_SOLVE
             : d->x.known.data ? LODE_I_CORES_MULTIPLY
                               : LODE_I_CORES_DESCEND;
    p.steps = SETTLE_STEPS;
    double last = INFINITY;
    for (int i = 0; i < (d->x.known.data ? SETTLE_STEPS : 1); i++) {
        LODE_TRY(lode_i_relations_sweep(ctx, &d->x, A, R, &p));
        if (!(p.after < last * (1 - 1e-7)))
            break;
        last = p.after;
    }
    *sumsq = p.after;
done:
    lode_i_relations_pass_free(&p);
    return st;
}

lode_status lode_i_rescal_residual(lode_ctx *ctx, const rescal_data *d, const lode_array *A,
                                   const lode_array *R, double *sumsq)
{
    lode_status st = LODE_OK;
    lode_array own = { 0 };
    lode_i_relations_pass p = { .rule = LODE_I_CORES_KEEP, .direct = true };
    LODE_TRY(lode_array_cast(ctx, R, LODE_F64, &own));
    LODE_TRY(lode_i_relations_sweep(ctx, &d->x, A, &own, &p));
    *sumsq = p.after;
done:
    lode_i_relations_pass_free(&p);
    LODE_FREE(&own);
    return st;
}

lode_status lode_i_rescal_energy(lode_ctx *ctx, const lode_array *R, lode_array *energy)
{
    lode_status st = LODE_OK;
    const int64_t m = R->shape[0], k = R->shape[1];
    lode_array flat = { 0 };
    LODE_TRY(lode_i_rescal_flat(ctx, R, &flat));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, &k, energy));
    for (int64_t i = 0; i < m * k; i++)
        for (int64_t c = 0; c < k; c++) {
            const double v = lode_i_get2(&flat, i, c), half = v * v / 2;
            lode_i_set1(energy, i % k, lode_i_get1(energy, i % k) + half);
            lode_i_set1(energy, c, lode_i_get1(energy, c) + half);
        }
    for (int64_t c = 0; c < k; c++)
        lode_i_set1(energy, c, sqrt(lode_i_get1(energy, c)));
done:
    LODE_FREE(&flat);
    return st;
}

lode_status lode_i_rescal_orthonormalize(lode_ctx *ctx, lode_array *A, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array Q = { 0 }, T = { 0 }, wide = { 0 }, one = { 0 }, both = { 0 };
    LODE_TRY(lode_i_qr(ctx, A, &Q, &T));
    LODE_TRY(lode_array_cast(ctx, &T, LODE_F64, &wide));
    LODE_TRY(lode_i_ttm(ctx, R, 1, LODE_N, &wide, &one));
    LODE_TRY(lode_i_ttm(ctx, &one, 2, LODE_N, &wide, &both));
    lode_array_swap(A, &Q);
    lode_array_swap(R, &both);
done:
    LODE_FREE(&Q, &T, &wide, &one, &both);
    return st;
}

/* A T^-1 and T R_k T' for a T of k x k: R alone, T as given. */
static lode_status turn_cores(lode_ctx *ctx, const lode_array *T, lode_trans t, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array one = { 0 }, both = { 0 };
    LODE_TRY(lode_i_ttm(ctx, R, 1, t, T, &one));
    LODE_TRY(lode_i_ttm(ctx, &one, 2, t, T, &both));
    lode_array_swap(R, &both);
done:
    LODE_FREE(&one, &both);
    return st;
}

/* Orthonormal columns in which the sum of R_k R_k' + R_k' R_k is diagonal. */
static lode_status diagonalize(lode_ctx *ctx, lode_array *A, lode_array *R)
{
    lode_status st = LODE_OK;
    static const int turned[3] = { 0, 2, 1 };
    lode_array flat = { 0 }, view = { 0 }, other = { 0 }, flat2 = { 0 }, E = { 0 }, F = { 0 };
    lode_array w = { 0 }, V = { 0 }, narrow = { 0 }, B = { 0 };
    LODE_TRY(lode_i_rescal_orthonormalize(ctx, A, R));
    LODE_TRY(lode_i_rescal_flat(ctx, R, &flat));
    LODE_TRY(lode_array_permute(ctx, R, turned, &view));
    LODE_TRY(lode_array_cast(ctx, &view, LODE_F64, &other));
    LODE_TRY(lode_i_rescal_flat(ctx, &other, &flat2));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &flat, &E));
    LODE_TRY(lode_i_gram(ctx, LODE_T, &flat2, &F));
    LODE_TRY(lode_i_axpy(ctx, 1, &F, &E));
    LODE_TRY(lode_i_eigh(ctx, &E, E.shape[0], &w, &V));
    LODE_TRY(lode_array_cast(ctx, &V, A->dtype, &narrow));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, A, &narrow, &B));
    LODE_TRY(turn_cores(ctx, &V, LODE_T, R));
    lode_array_swap(A, &B);
done:
    LODE_FREE(&flat, &view, &other, &flat2, &E, &F, &w, &V, &narrow, &B);
    return st;
}

lode_status lode_i_rescal_canonical(lode_ctx *ctx, bool nonneg, lode_array *A, lode_array *R,
                                    lode_array *energy)
{
    lode_status st = LODE_OK;
    const int64_t k = A->shape[1], n = A->shape[0];
    lode_array T = { 0 }, B = { 0 };
    int64_t *order = NULL;
    LODE_TRY(LODE_NEW(ctx, k, &order));
    if (!nonneg)
        LODE_TRY(diagonalize(ctx, A, R));
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ k, k }, &T));
    for (int64_t c = 0; c < k; c++) { /* lengths into the cores; the largest entry positive */
        const double length = lode_i_column_length(A, c);
        double most = 0;
        for (int64_t i = 0; i < n; i++)
            most = fabs(lode_i_get2(A, i, c)) > fabs(most) ? lode_i_get2(A, i, c) : most;
        const double by = most < 0 ? -length : length;
        for (int64_t i = 0; i < n; i++)
            lode_i_set2(A, i, c, length > 0 ? lode_i_get2(A, i, c) / by : 0);
        lode_i_set2(&T, c, c, by);
    }
    LODE_TRY(turn_cores(ctx, &T, LODE_N, R));
    LODE_TRY(lode_i_rescal_energy(ctx, R, energy));
    for (int64_t c = 0; c < k; c++) {
        int64_t at = c;
        for (; at > 0 && lode_i_get1(energy, c) > lode_i_get1(energy, order[at - 1]); at--)
            order[at] = order[at - 1];
        order[at] = c;
    }
    LODE_TRY(lode_i_fill(ctx, &T, 0));
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, n, k, &B));
    for (int64_t c = 0; c < k; c++) {
        lode_i_set2(&T, c, order[c], 1);
        for (int64_t i = 0; i < n; i++)
            lode_i_set2(&B, i, c, lode_i_get2(A, i, order[c]));
    }
    lode_array_swap(A, &B);
    LODE_TRY(turn_cores(ctx, &T, LODE_N, R));
    LODE_TRY(lode_i_rescal_energy(ctx, R, energy));
done:
    lode_i_free(order);
    LODE_FREE(&T, &B);
    return st;
}
