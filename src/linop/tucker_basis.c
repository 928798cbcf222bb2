/* Bases of the mode unfoldings: eigenvectors of Gram matrices, singular vectors through QR, block
 * power iteration. */
#include "linop/tucker.h"

#include <math.h>

void lode_i_basis_free(lode_i_basis *b)
{
    lode_array_free(&b->U);
    lode_i_free(b->energy);
    *b = (lode_i_basis){ 0 };
}

double lode_i_basis_tail(const lode_i_basis *b, int64_t r)
{
    double tail = b->rest;
    for (int64_t i = b->count - 1; i >= r; i--)
        tail += b->energy[i];
    return tail;
}

int64_t lode_i_basis_rank(const lode_i_basis *b, double allowed)
{
    double tail = b->rest;
    int64_t r = b->count;
    if (!(tail <= allowed))
        return b->count + 1;
    while (r > 1 && tail + b->energy[r - 1] <= allowed)
        tail += b->energy[--r];
    return lode_i_max(r, 1);
}

/* Takes over U; energies are w, or w^2. */
static lode_status settle(lode_ctx *ctx, lode_array *U, const lode_array *w, bool square,
                          lode_i_basis *b)
{
    lode_i_basis new = { .count = lode_i_min(U->shape[1], w->shape[0]) };
    LODE_FORWARD(LODE_NEW(ctx, lode_i_max(new.count, 1), &new.energy));
    for (int64_t i = 0; i < new.count; i++) {
        const double v = lode_i_get1(w, i);
        /* rounding makes small eigenvalues negative */
        new.energy[i] = square ? v *v : v > 0 ? v : 0;
    }
    lode_array_swap(&new.U, U);
    lode_i_basis_free(b);
    *b = new;
    return LODE_OK;
}

lode_status lode_i_basis_gram(lode_ctx *ctx, const lode_array *G, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, V = { 0 };
    LODE_TRY(lode_i_eigh(ctx, G, G->shape[0], &w, &V));
    LODE_TRY(settle(ctx, &V, &w, false, b));
done:
    LODE_FREE(&w, &V);
    return st;
}

/* Block power iteration on G and Rayleigh-Ritz: what n^2 `columns` flops give in place of n^3 of
 * slower ones. The Ritz values never exceed the eigenvalues, so the tail is never understated. b's
 * columns so far start it. */
lode_status lode_i_basis_leading(lode_ctx *ctx, const lode_array *G, int64_t columns, lode_stream s,
                                 lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, Y = { 0 }, T = { 0 }, part = { 0 };
    const int64_t n = G->shape[0];
    double trace = 0;
    for (int64_t i = 0; i < n; i++)
        trace += lode_i_get2(G, i, i);
    LODE_TRY(lode_i_randn(ctx, s, G->dtype, n, columns, &V));
    if (b->count) {
        part = lode_i_cols(&V, 0, b->count);
        LODE_TRY(lode_array_copy_into(ctx, &b->U, &part));
    }
    for (int q = 0; q < 3; q++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, G, &V, &Y));
        lode_array_swap(&V, &Y);
        LODE_TRY(lode_i_orth(ctx, &V, NULL));
    }
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, G, &V, &Y));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &V, &Y, &T));
    LODE_TRY(lode_i_basis_gram(ctx, &T, b));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &V, &b->U, &Y));
    lode_array_swap(&b->U, &Y);
    b->rest = fmax(trace - lode_i_basis_tail(b, 0), 0);
done:
    LODE_FREE(&V, &Y, &T, &part);
    return st;
}

lode_status lode_i_basis_qr(lode_ctx *ctx, const lode_array *R, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array s = { 0 }, V = { 0 };
    LODE_TRY(lode_i_svd(ctx, R, lode_i_min(R->shape[0], R->shape[1]), NULL, &s, &V));
    LODE_TRY(lode_i_conj(ctx, &V)); /* X_(k) = R^T Q^T = conj(V) S .. */
    LODE_TRY(settle(ctx, &V, &s, true, b));
done:
    LODE_FREE(&s, &V);
    return st;
}

lode_status lode_i_basis_svd(lode_ctx *ctx, const lode_array *T, int mode, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, X = { 0 }, U = { 0 }, s = { 0 };
    LODE_TRY(lode_i_unfold(ctx, T, mode, &A));
    X = lode_i_transposed(&A);
    LODE_TRY(lode_i_svd(ctx, &X, lode_i_min(X.shape[0], X.shape[1]), &U, &s, NULL));
    LODE_TRY(settle(ctx, &U, &s, true, b));
done:
    LODE_FREE(&A, &U, &s); /* X is borrowed from A */
    return st;
}

lode_status lode_i_basis_power(lode_ctx *ctx, lode_i_slabs *s, int mode, int64_t columns,
                               const lode_array *start, double total, lode_stream stream,
                               lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array V = { 0 }, Y = { 0 }, part = { 0 }, G = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    const int at = s->pending;
    lode_i_slabs_shape(s, shape);
    LODE_TRY(lode_i_randn(ctx, stream, s->work, shape[mode], columns, &V));
    if (start) {
        part = lode_i_cols(&V, 0, start->shape[1]);
        LODE_TRY(lode_array_copy_into(ctx, start, &part));
        lode_array_free(&part);
    }
    LODE_TRY(lode_i_orth(ctx, &V, NULL));
    for (int q = 0; q < 2;
         q++) { /* singular values enter to the fourth power: the tail hardly tilts the space */
        LODE_TRY(lode_i_slabs_power(ctx, s, mode, &V, NULL, &Y));
        lode_array_swap(&V, &Y);
        LODE_TRY(lode_i_orth(ctx, &V, NULL));
    }
    s->mode[s->pending] = mode, s->U[s->pending++] = &V;
    st = lode_i_slabs_gram(ctx, s, mode, NULL, &G);
    s->pending = at;
    LODE_TRY(st);
    LODE_TRY(lode_i_basis_gram(ctx, &G, b)); /* Rayleigh-Ritz */
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &V, &b->U, &Y));
    lode_array_swap(&b->U, &Y);
    b->rest = total - lode_i_basis_tail(b, 0);
    b->rest = b->rest > 0 ? b->rest : 0;
done:
    LODE_FREE(&V, &Y, &part, &G);
    return st;
}

lode_status lode_i_basis_columns(lode_ctx *ctx, const lode_i_basis *b, int64_t count, lode_array *U)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, new = { 0 }, to = { 0 };
    const int64_t have = lode_i_min(count, b->count);
    part = lode_i_cols(&b->U, 0, have);
    if (have == count) {
        LODE_TRY(lode_i_as(ctx, &part, b->U.dtype, &new));
    } else {
        LODE_TRY(
            lode_array_zeros(ctx, b->U.dtype, 2, (const int64_t[]){ b->U.shape[0], count }, &new));
        to = lode_i_cols(&new, 0, have);
        LODE_TRY(lode_array_copy_into(ctx, &part, &to));
        lode_array_free(&to);
        LODE_TRY(lode_i_orth(ctx, &new, NULL));
    }
    lode_array_swap(U, &new);
done:
    LODE_FREE(&part, &new, &to);
    return st;
}
