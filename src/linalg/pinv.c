/* The pseudoinverse of a small matrix, by its singular values. */
#include "linalg/linalg.h"

lode_status lode_i_pinv(lode_ctx *ctx, const lode_array *A, double cutoff, lode_array *P,
                        int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, s = { 0 }, V = { 0 }, u = { 0 }, v = { 0 }, w = { 0 }, p = { 0 },
               inverse = { 0 };
    const int64_t r = lode_i_min(A->shape[0], A->shape[1]);
    int64_t k = 0;
    LODE_TRY(lode_i_svd(ctx, A, r, &U, &s, &V));
    while (k < r && lode_i_get1(&s, k) > cutoff * lode_i_get1(&s, 0))
        k++;
    LODE_TRY(lode_i_vector_new(ctx, s.dtype, k, &inverse));
    for (int64_t i = 0; i < k; i++)
        lode_i_set1(&inverse, i, 1 / lode_i_get1(&s, i));
    u = lode_i_cols(&U, 0, k), v = lode_i_cols(&V, 0, k);
    LODE_TRY(lode_array_cast(ctx, &v, v.dtype, &w));
    LODE_TRY(lode_i_scale_cols(ctx, &w, &inverse));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &w, &u, &p));
    lode_array_swap(P, &p);
    if (rank)
        *rank = k;
done:
    LODE_FREE(&U, &s, &V, &u, &v, &w, &p, &inverse);
    return st;
}
