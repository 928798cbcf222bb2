/* How far U diag(s) V^H is from A: the Frobenius norm, and what fresh random probes say of the
 * spectral norm. */
#include <math.h>
#include <string.h>

#include "linop/linop.h"

/* y = A w minus what the factors make of it. */
static lode_status residual(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                            const lode_array *s, const lode_array *V, lode_array *w, lode_array *y)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 };
    if (U && V) { /* U diag(s) (V^H w) */
        LODE_TRY(A->apply(ctx, A, false, w, y));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, V, w, &c));
        if (s)
            LODE_TRY(lode_i_scale_rows(ctx, &c, s));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, U, &c, 1, y));
    } else if (V) { /* A (w - V V^H w) */
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, V, w, &c));
        LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, V, &c, 1, w));
        LODE_TRY(A->apply(ctx, A, false, w, y));
    } else { /* (I - U U^H) A w */
        LODE_TRY(A->apply(ctx, A, false, w, y));
        if (U) {
            LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, U, y, &c));
            LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, U, &c, 1, y));
        }
    }
done:
    lode_array_free(&c);
    return st;
}

/* The idea turned off: probes of what the factors hold already tell nothing of the rest. */
static lode_status captured(lode_ctx *ctx, const lode_array *V, lode_array *w)
{
    lode_status st = LODE_OK;
    lode_array c = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, V, w, &c));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, V, &c, 0, w));
done:
    lode_array_free(&c);
    return st;
}

lode_status lode_i_certify(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                           const lode_array *s, const lode_array *V, int probes,
                           lode_certificate *cert)
{
    lode_status st = LODE_OK;
    lode_array w = { 0 }, y = { 0 }, column = { 0 };
    double most = 0, norm = 0;
    LODE_TRY(lode_i_randn(ctx, lode_i_stream(ctx, "certify", 0), A->dtype, A->cols, probes, &w));
    if (V && lode_i_broken(ctx, "svd-certificate"))
        LODE_TRY(captured(ctx, V, &w));
    LODE_TRY(residual(ctx, A, U, s, V, &w, &y));
    for (int64_t j = 0; j < probes; j++) {
        lode_array_free(&column);
        column = lode_i_cols(&y, j, j + 1);
        LODE_TRY(lode_i_norm_fro(ctx, &column, &norm));
        most = norm > most ? norm : most;
    }
    const double top = s && s->shape[0] > 0 ? lode_i_get1(s, 0) : 0;
    lode_certificate c = { .kind = LODE_CERT_PROBABILISTIC,
                           .norm = LODE_NORM_SPECTRAL,
                           .needs_original = true,
                           .asked = NAN };
    /* a complex w has variance 2: its two parts only help the lemma */
    c.absolute = 2 * sqrt(2 / 3.14159265358979323846) * most;
    c.relative = top > 0;
    c.value = top > 0 ? c.absolute / top : c.absolute;
    c.failure = ldexp(1, -probes);
    snprintf(c.quantity, sizeof c.quantity, "%s",
             U && V ? "||A - U diag(s) V^H||"
             : V    ? "||A - A V V^H||"
                    : "||A - U U^H A||");
    snprintf(c.note, sizeof c.note, "%d fresh Gaussian probes%s", probes,
             top > 0 ? ", relative to s_1" : "");
    *cert = c;
done:
    LODE_FREE(&w, &y, &column);
    return st;
}

lode_status lode_i_svds_measure(lode_ctx *ctx, const lode_linop *A, const lode_array *U,
                                const lode_array *s, const lode_array *V, double *error)
{
    lode_status st = LODE_OK;
    lode_array Us = { 0 };
    LODE_TRY(lode_array_cast(ctx, U, U->dtype, &Us));
    LODE_TRY(lode_i_scale_cols(ctx, &Us, s));
    LODE_TRY(A->norm(ctx, A, &Us, V, error));
done:
    lode_array_free(&Us);
    return st;
}

lode_status lode_i_svds_error(lode_ctx *ctx, const lode_linop *A, double norm, const lode_array *U,
                              const lode_array *s, const lode_array *V, double *error)
{
    double sum = 0;
    const double top = norm > 0 ? norm : 1;
    for (int64_t i = s->shape[0] - 1; i >= 0; i--)
        sum += lode_i_get1(s, i) / top * (lode_i_get1(s, i) / top);
    const double square = 1 - sum, blur = 1e4 * lode_i_epsilon(A->dtype);
    *error = norm * sqrt(fmax(square, 0));
    if (norm > 0 && !(square > blur))
        return lode_i_svds_measure(ctx, A, U, s, V, error);
    return LODE_OK;
}
