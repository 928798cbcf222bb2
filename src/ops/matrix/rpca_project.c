/* Accelerated alternating projections (Cai, Cai & Wei 2019): entries off by more than a threshold that falls
 * geometrically are outliers; what is left is projected to the tangent space of the matrices of the rank at the
 * present L, where only products with two thin bases are needed, and cut to the rank there. */
#include <math.h>

#include "ops/matrix/rpca.h"

enum { PATIENCE = 4, NUMBERS = 1, SIGMAS = 4, SPREAD = 6 };
#define FALL 0.6     /* of the threshold in an iteration */
#define SETTLED 1e-4 /* relative change of the residual, where noise keeps it from falling */
#define SLOW 0.1     /* of what keeps the threshold up: its fall is over */
#define KEEP_LOW                                                                                   \
    1e-3 /* of the largest singular value: a rough pursuit's smaller ones are no rank */

/* A - Q (Q^T A) in place. */
static lode_status project_out(lode_ctx *ctx, const lode_array *Q, lode_array *A)
{
    lode_status st = LODE_OK;
    lode_array C = { 0 };
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, Q, A, &C));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, Q, &C, 1, A));
done:
    LODE_FREE(&C);
    return st;
}

/* [a b] C, cut to k columns, C (2k x k). */
static lode_status combine(lode_ctx *ctx, const lode_array *a, const lode_array *b,
                           const lode_array *C, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, top = { 0 }, low = { 0 };
    const int64_t k = a->shape[1];
    top = lode_i_rows(C, 0, k), low = lode_i_rows(C, k, C->shape[0]);
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, a, &top, &y));
    LODE_TRY(lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, b, &low, 1, &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&y, &top, &low);
    return st;
}

/* [M, R2^T; R1, 0] */
static lode_status core_of(lode_ctx *ctx, const lode_array *M, const lode_array *R1,
                           const lode_array *R2, lode_array *K)
{
    const int64_t k = M->shape[0];
    LODE_FORWARD(lode_array_zeros(ctx, M->dtype, 2, (const int64_t[]){ 2 * k, 2 * k }, K));
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            lode_i_set2(K, i, j, lode_i_get2(M, i, j));
            lode_i_set2(K, k + i, j, lode_i_get2(R1, i, j));
            lode_i_set2(K, i, k + j, lode_i_get2(R2, j, i));
        }
    return LODE_OK;
}

/* The best of rank k to what W is in the tangent space at U V^T; values: the largest singular value there, and
 * the first beyond the rank. */
static lode_status retract(lode_ctx *ctx, lode_i_rpca_fit *f, double *values)
{
    lode_status st = LODE_OK;
    const int64_t k = f->s.shape[0];
    lode_array WV = { 0 }, WtU = { 0 }, M = { 0 }, Q[2] = { { 0 } }, R[2] = { { 0 } }, K = { 0 },
               C[2] = { { 0 } }, all = { 0 }, head = { 0 };
    LODE_TRY(lode_i_narrow(ctx, &f->W, &f->V, &WV));
    LODE_TRY(lode_i_narrow_adjoint(ctx, &f->W, &f->U, &WtU));
    LODE_TRY(lode_i_gemm(ctx, LODE_T, LODE_N, &f->U, &WV, &M));
    LODE_TRY(project_out(ctx, &f->U, &WV));
    LODE_TRY(project_out(ctx, &f->V, &WtU));
    LODE_TRY(lode_i_qr(ctx, &WV, &Q[0], &R[0]));
    LODE_TRY(lode_i_qr(ctx, &WtU, &Q[1], &R[1]));
    LODE_TRY(core_of(ctx, &M, &R[0], &R[1], &K));
    LODE_TRY(lode_i_svd(ctx, &K, 2 * k, &C[0], &all, &C[1]));
    for (int side = 0; side < 2; side++) {
        lode_array lead = lode_i_cols(&C[side], 0, k);
        lode_array *basis = side == 0 ? &f->U : &f->V;
        const lode_status made = combine(ctx, basis, &Q[side], &lead, basis);
        LODE_FREE(&lead);
        LODE_TRY(made);
    }
    LODE_TRY(lode_array_slice(ctx, &all, 0, 0, k, 1, &head));
    LODE_TRY(lode_array_cast(ctx, &head, all.dtype, &f->s));
    values[0] = lode_i_get1(&all, 0), values[1] = lode_i_get1(&all, k);
done:
    LODE_FREE(&WV, &WtU, &M, &Q[0], &Q[1], &R[0], &R[1], &K, &C[0], &C[1], &all, &head);
    return st;
}

/* Of a rough pursuit, the singular values before the largest fall from one to the next. */
static lode_status choose_rank(lode_ctx *ctx, lode_i_rpca_fit *f, int64_t most, int64_t *rank)
{
    lode_status st = LODE_OK;
    lode_rpca_opts rough = *f->o;
    lode_i_rpca_fit p = { .o = &rough, .d = f->d, .lambda = f->lambda, .tol = 1e-3 };
    double fall = 0;
    rough.max_iter = 100;
    p.most = lode_i_min(f->d->m, f->d->n);
    p.basis = (lode_i_shrink){ .most = p.most, .op = "rpca", .site = 1 << 20 };
    if (rough.noise.given)
        lode_i_rpca_noise(&p, f->sigma);
    const lode_status fitted = lode_i_rpca_pursue(ctx, &p);
    if (fitted < 0)
        LODE_TRY(fitted);
    const int64_t k = p.s.shape[0];
    *rank = 1;
    for (int64_t i = 0; i < k && i < most; i++) {
        const double s = lode_i_get1(&p.s, i), top = lode_i_get1(&p.s, 0);
        const double next = fmax(i + 1 < k ? lode_i_get1(&p.s, i + 1) : 0, KEEP_LOW * top);
        if (s > KEEP_LOW * top && s / next > fall)
            fall = s / next, *rank = i + 1;
    }
    lode_i_rpca_noise(f, p.sigma);
done:
    lode_i_rpca_fit_free(&p);
    return st;
}

/* beta of the paper's experiments, where the incoherence is not known. */
static double beta(const lode_i_rpca_data *d)
{
    return 1 / (2 * sqrt(sqrt((double)d->m * (double)d->n)));
}

static lode_status begin(lode_ctx *ctx, lode_i_rpca_fit *f, int64_t k)
{
    lode_status st = LODE_OK;
    const lode_i_rpca_data *d = f->d;
    lode_array U = { 0 }, s = { 0 }, V = { 0 };
    lode_i_robust_sums sums;
    double spread = 0;
    lode_i_shrink_free(&f->basis);
    f->basis = (lode_i_shrink){ .most = k, .op = "rpca", .site = 2 << 20 };
    LODE_TRY(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->m, 0 }, &f->left));
    LODE_TRY(lode_array_zeros(ctx, d->dtype, 2, (const int64_t[]){ d->n, 0 }, &f->V));
    LODE_TRY(lode_i_matrix_new(ctx, d->dtype, d->m, d->n, &f->W));
    const lode_i_robust x = { &d->X, &f->left, &f->V };
    LODE_TRY(lode_i_robust_replace(ctx, &x, INFINITY, &f->W, &sums));
    LODE_TRY(lode_i_shrink_step(ctx, &f->W, INFINITY, 0, &f->basis, &U, &s, &V));
    /* at least the largest entry of L, which the spectrum of X does not tell where errors fill it */
    LODE_TRY(lode_i_rpca_deviation(ctx, f, &spread));
    f->zeta = fmin(4 * beta(d) * f->basis.top, SPREAD * spread);
    if (d->overlooked || !(f->zeta > 0))
        f->zeta = INFINITY;
    LODE_TRY(lode_i_robust_replace(ctx, &x, f->zeta, &f->W, &sums));
    LODE_TRY(lode_i_shrink_step(ctx, &f->W, 0, 1e-6 * d->norm, &f->basis, &U, &s, &V));
    lode_array_swap(&f->U, &U);
    lode_array_swap(&f->s, &s);
    lode_array_swap(&f->V, &V);
    LODE_TRY(lode_i_rpca_left(ctx, f));
    if (!d->overlooked)
        f->zeta = beta(d) * f->basis.top;
done:
    LODE_FREE(&U, &s, &V);
    return st;
}

/* Noise is no outlier. */
static lode_status floor_of(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    double sigma = f->sigma;
    if (!f->o->noise.given)
        LODE_FORWARD(lode_i_rpca_deviation(ctx, f, &sigma));
    f->sigma = sigma;
    f->zeta = fmax(f->zeta, SIGMAS * sigma);
    return LODE_OK;
}

lode_status lode_i_rpca_project(lode_ctx *ctx, lode_i_rpca_fit *f, int64_t k)
{
    lode_status st = LODE_OK;
    const lode_i_rpca_data *d = f->d;
    const double gamma = f->o->decay.given ? f->o->decay.value : FALL;
    lode_i_robust_sums sums;
    lode_array line = { 0 }, head = { 0 };
    double values[2] = { 0 };
    lode_i_iter it = { .op = "rpca",
                       .what = "residual",
                       .tol = SETTLED,
                       .patience = PATIENCE,
                       .floor = f->tol,
                       .max_iter = f->o->max_iter,
                       .site = "rpca projections",
                       .n = 4,
                       .state = { &f->U, &f->s, &f->V, &line } };
    if (k == 0) {
        lode_i_stage(ctx, "rank", 0.05, 0.4);
        LODE_TRY(lode_i_tick(ctx, 0, 1));
        lode_i_nest(ctx);
        const lode_status chosen = choose_rank(ctx, f, f->most, &k);
        lode_i_unnest(ctx);
        LODE_TRY(chosen);
    }
    lode_i_stage(ctx, "projections", 0.4, 0.95);
    LODE_TRY(begin(ctx, f, k));
    LODE_TRY(
        lode_array_zeros(ctx, LODE_F64, 1, (const int64_t[]){ NUMBERS + f->o->max_iter }, &line));
    lode_i_set1(&line, 0, f->zeta);
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    f->zeta = lode_i_get1(&line, 0);
    while (!it.done && f->s.shape[0] > 0) {
        LODE_TRY(lode_i_rpca_left(ctx, f));
        LODE_TRY(floor_of(ctx, f));
        const lode_i_robust x = { &d->X, &f->left, &f->V };
        LODE_TRY(lode_i_robust_replace(ctx, &x, f->zeta, &f->W, &sums));
        const double error = sqrt(sums.a) / d->norm;
        it.enough = error <= f->tol;
        if (!it.enough && it.i + 1 < it.max_iter) {
            LODE_TRY(retract(ctx, f, values));
            const double fall = pow(gamma, (double)(it.i + 1)) * values[0];
            if (!d->overlooked)
                f->zeta = beta(d) * (values[1] + fall);
            if (fall > SLOW * values[1] && f->zeta > SIGMAS * f->sigma)
                it.calm = 0; /* the threshold is on its way: no matter that the residual stays */
        }
        lode_i_set1(&line, 0, f->zeta);
        lode_i_set1(&line, NUMBERS + it.i, error);
        LODE_TRY(lode_i_iter_step(ctx, &it, error));
    }
    LODE_TRY(lode_i_rpca_left(ctx, f)); /* the last L, and what is an outlier beside it */
    LODE_TRY(floor_of(ctx, f));
    f->steps = it.i;
    LODE_TRY(lode_array_slice(ctx, &line, 0, NUMBERS, NUMBERS + it.i, 1, &head));
    LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &f->trace));
    LODE_TRY(lode_i_iter_end(ctx, &it, NULL));
done:
    lode_i_iter_free(&it);
    LODE_FREE(&line, &head);
    return st;
}
