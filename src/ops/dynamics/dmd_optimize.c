/* Optimized DMD: Z ~ Phi(alpha) B, Phi_ij = exp(alpha_j t_i), for the best B at each alpha (variable projection), so
 * that only alpha is searched. With p_j = (I - Phi Phi^+) dPhi/dalpha_j, b_j row j of B, q_j column j of (Phi^+)^H,
 * c_j = (dPhi/dalpha_j)^H R and R = Z - Phi B, a step changes R by
 *
 *     - sum_j p_j b_j dalpha_j + q_j c_j conj(dalpha_j),
 *
 * the full derivative of Golub & Pereyra in complex alpha. All p are orthogonal to all q, and R to all q, so
 * that its Gram matrix is r x r in dalpha itself: (p_i^H p_j)(b_j b_i^H) + conj((q_i^H q_j)(c_j c_i^H)). */
#include <math.h>

#include "ops/dynamics/dmd.h"

enum { TRIES = 40 };

typedef struct point { /* what belongs to one alpha */
    lode_i_cplx *rate;
    lode_array Phi, P, B, R, D; /* P = Phi^+, D = dPhi/dalpha */
    double error;               /* ||R|| */
} point;

typedef struct search {
    const lode_array *t, *Z;
    int64_t r;
    double t0, t1;
} search;

static void free_point(point *p)
{
    lode_i_free(p->rate);
    LODE_FREE(&p->Phi, &p->P, &p->B, &p->R, &p->D);
    *p = (point){ 0 };
}

/* Exponentials count from the end where they grow: none is above 1. */
static lode_status origins(lode_ctx *ctx, const search *w, const lode_i_cplx *rate, lode_array *o)
{
    lode_array_free(o);
    LODE_FORWARD(lode_i_vector_new(ctx, LODE_F64, w->r, o));
    for (int64_t j = 0; j < w->r; j++)
        lode_i_set1(o, j, creal(rate[j]) > 0 ? w->t1 : w->t0);
    return LODE_OK;
}

static lode_status look(lode_ctx *ctx, const search *w, point *p)
{
    lode_status st = LODE_OK;
    lode_array rate = { 0 }, origin = { 0 };
    LODE_FREE(&p->Phi, &p->P, &p->B, &p->R, &p->D);
    LODE_TRY(lode_i_dmd_vector(ctx, p->rate, w->r, &rate));
    LODE_TRY(origins(ctx, w, p->rate, &origin));
    LODE_TRY(lode_i_exponentials(ctx, w->t, &rate, &origin, 0, &p->Phi));
    LODE_TRY(lode_i_exponentials(ctx, w->t, &rate, &origin, 1, &p->D));
    LODE_TRY(lode_i_pinv(ctx, &p->Phi, 1e-13, &p->P, NULL));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &p->P, w->Z, &p->B));
    LODE_TRY(lode_array_cast(ctx, w->Z, LODE_C128, &p->R));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &p->Phi, &p->B, 1, &p->R));
    LODE_TRY(lode_i_norm_fro(ctx, &p->R, &p->error));
done:
    LODE_FREE(&rate, &origin);
    return st;
}

/* H and h of the step (H + mu diag(H)) dalpha = h. */
static lode_status normal(lode_ctx *ctx, const search *w, const point *p, lode_array *H,
                          lode_array *h)
{
    lode_status st = LODE_OK;
    lode_array PD = { 0 }, y = { 0 }, pp = { 0 }, bb = { 0 }, qq = { 0 }, C = { 0 }, cc = { 0 };
    LODE_FREE(H, h);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &p->P, &p->D, &y));
    LODE_TRY(lode_array_cast(ctx, &p->D, LODE_C128, &PD));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &p->Phi, &y, 1, &PD));
    LODE_TRY(lode_i_gram(ctx, LODE_H, &PD, &pp));
    LODE_TRY(lode_i_gram(ctx, LODE_N, &p->B, &bb));
    LODE_TRY(lode_i_gram(ctx, LODE_N, &p->P, &qq));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &p->D, &p->R, &C));
    LODE_TRY(lode_i_gram(ctx, LODE_N, &C, &cc));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, w->r, w->r, H));
    LODE_TRY(lode_i_matrix_new(ctx, LODE_C128, w->r, 1, h));
    for (int64_t i = 0; i < w->r; i++) {
        lode_i_cplx sum = 0;
        for (int64_t j = 0; j < w->r; j++)
            lode_i_zset(H, i, j,
                        lode_i_zget(&pp, i, j) * conj(lode_i_zget(&bb, i, j)) +
                            conj(lode_i_zget(&qq, i, j)) * lode_i_zget(&cc, i, j));
        for (int64_t k = 0; k < p->B.shape[1]; k++)
            sum += lode_i_zget(&C, i, k) * conj(lode_i_zget(&p->B, i, k));
        lode_i_zset(h, i, 0, sum);
    }
done:
    LODE_FREE(&PD, &y, &pp, &bb, &qq, &C, &cc);
    return st;
}

static lode_status step_to(lode_ctx *ctx, const search *w, const point *p, const lode_array *H,
                           const lode_array *h, double damping, point *next)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, L = { 0 }, y = { 0 }, x = { 0 };
    double most = 0;
    LODE_TRY(lode_array_cast(ctx, H, LODE_C128, &A));
    for (int64_t i = 0; i < w->r; i++)
        most = fmax(most, creal(lode_i_zget(H, i, i)));
    for (int64_t i = 0; i < w->r; i++) {
        const double d = creal(lode_i_zget(H, i, i));
        lode_i_zset(&A, i, i, d * (1 + damping) + 1e-15 * most + 1e-300);
    }
    LODE_TRY(lode_i_cholesky(ctx, &A, &L, NULL));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_N, &L, h, &y));
    LODE_TRY(lode_i_solve_lower(ctx, LODE_H, &L, &y, &x));
    for (int64_t j = 0; j < w->r; j++)
        next->rate[j] = p->rate[j] + lode_i_zget(&x, j, 0);
done:
    LODE_FREE(&A, &L, &y, &x);
    return st;
}

/* Whether exponentials stay in range over the times. */
static bool in_range(const search *w, const point *p)
{
    for (int64_t j = 0; j < w->r; j++)
        if (!(cabs(p->rate[j]) * (w->t1 - w->t0) < 1e6))
            return false;
    return true;
}

static lode_status improve(lode_ctx *ctx, const search *w, double *damping, point *p, point *next)
{
    lode_status st = LODE_OK;
    lode_array H = { 0 }, h = { 0 };
    LODE_TRY(normal(ctx, w, p, &H, &h));
    for (int k = 0; k < TRIES; k++) {
        LODE_TRY(step_to(ctx, w, p, &H, &h, *damping, next));
        if (in_range(w, next)) {
            LODE_TRY(look(ctx, w, next));
            if (next->error < p->error) {
                const point t = *p;
                *p = *next, *next = t;
                *damping = fmax(*damping / 5, 1e-12);
                goto done;
            }
        }
        *damping *= 4;
    }
done:
    LODE_FREE(&H, &h);
    return st;
}

lode_status lode_i_dmd_optimize(lode_ctx *ctx, const lode_dmd_opts *o, const lode_array *times,
                                const lode_array *Z, double rest2, lode_i_cplx *rate, int64_t r,
                                lode_array *B, lode_array *trace)
{
    lode_status st = LODE_OK;
    point p = { 0 }, next = { 0 };
    lode_array made = { 0 };
    double norm = 0, damping = 1e-3;
    const int64_t m = times->shape[0];
    const search w = { times, Z, r, lode_i_get1(times, 0), lode_i_get1(times, m - 1) };
    lode_i_iter it = { .op = "dmd",
                       .what = "error",
                       .tol = o->tol,
                       .patience = 1,
                       .floor = 64 * 0x1p-52,
                       .max_iter = o->max_iter };
    LODE_TRY(lode_i_norm_fro(ctx, Z, &norm));
    norm = hypot(norm, sqrt(rest2));
    LODE_TRY(LODE_NEW(ctx, r, &p.rate));
    LODE_TRY(LODE_NEW(ctx, r, &next.rate));
    for (int64_t j = 0; j < r; j++)
        p.rate[j] = rate[j];
    LODE_TRY(look(ctx, &w, &p));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    const double start = norm > 0 ? hypot(p.error, sqrt(rest2)) / norm : 0;
    while (!it.done) {
        LODE_TRY(improve(ctx, &w, &damping, &p, &next));
        LODE_TRY(lode_i_iter_step(ctx, &it, norm > 0 ? hypot(p.error, sqrt(rest2)) / norm : 0));
    }
    LODE_TRY(lode_i_iter_end(ctx, &it, &made));
    LODE_TRY(lode_i_vector_new(ctx, LODE_F64, made.shape[0] + 2, trace));
    lode_i_set1(trace, 0, 1);
    lode_i_set1(trace, 1, start);
    for (int64_t i = 0; i < made.shape[0]; i++)
        lode_i_set1(trace, i + 2, lode_i_get1(&made, i));
    for (int64_t j = 0; j < r; j++) {
        rate[j] = p.rate[j];
        const double origin = creal(p.rate[j]) > 0 ? w.t1 : w.t0;
        const lode_i_cplx back = cexp(p.rate[j] * (w.t0 - origin));
        for (int64_t k = 0; k < p.B.shape[1]; k++)
            lode_i_zset(&p.B, j, k, back * lode_i_zget(&p.B, j, k));
    }
    lode_array_swap(B, &p.B);
done:
    lode_i_iter_free(&it);
    free_point(&p);
    free_point(&next);
    lode_array_free(&made);
    return st;
}
