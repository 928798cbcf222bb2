/* Principal component pursuit by alternating directions: inexact augmented Lagrangian, one thresholding of
 * singular values and one of entries an iteration.
 *
 * With T = S + N, N the noise: min |L|_* + g(T) subject to L + T = X over observed entries, g(T) = lambda |T|_1, or
 * with noise its Moreau envelope (Huber's function), which is what min over S of lambda |S|_1 + |T - S|^2 /
 * (2 nu) leaves. Y stays within +-lambda, and within a spectral norm of 1 up to what T last moved times mu. */
#include <math.h>

#include "ops/matrix/rpca.h"

enum { NOISE_ROUNDS = 14, ROUGH_ITER = 100, NUMBERS = 6, NEVER = 1 << 30 };
#define ROUGH_TOL 1e-3
#define ROUGH_SHARE 0.05 /* of the noise: what a fit may be off by beside it */
#define GROWTH 0.5 /* of mu, where one residual outweighs the other; less with every turn back */
#define APART 3
#define DUAL_WEIGHT 0.03 /* of the dual residual: so much of it gives as many digits of L */
#define EXACT_SHARE 0.1  /* of the residual: how exact thresholding of singular values is */
#define NO_NOISE 1e-4    /* of the median of X: below it there is none */

/* line: the numbers below, the draws of the basis and mu, which a checkpoint keeps, then the residual of each
 * iteration. */
typedef struct state {
    lode_array line;
    double primal, dual; /* residuals of the last iteration */
    double way, turns;   /* which way mu went last, how often it turned back */
} state;

/* Y = X / max(|X|_2, |X|_max / lambda), which is feasible, and mu as Lin, Chen & Ma begin. */
static lode_status begin(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    const lode_i_rpca_data *d = f->d;
    lode_i_robust_rule rule = { .lambda = f->lambda, .nu = f->nu, .mu = 1, .next = 1 };
    LODE_FORWARD(lode_i_matrix_new(ctx, d->dtype, d->m, d->n, &f->Y));
    LODE_FORWARD(lode_i_matrix_new(ctx, d->dtype, d->m, d->n, &f->W));
    LODE_FORWARD(lode_i_robust_begin(ctx, &d->X, 0, &rule, &f->Y, &f->W));
    LODE_FORWARD(lode_i_shrink_step(ctx, &f->W, INFINITY, 0, &f->basis, &f->U, &f->s, &f->V));
    const double top = fmax(f->basis.top, 1e-300);
    rule.mu = f->mu = 1.25 / top;
    return lode_i_robust_begin(ctx, &d->X, 1 / fmax(top, d->most / f->lambda), &rule, &f->Y, &f->W);
}

/* Residual balancing: mu follows whichever of the two is behind, in ever smaller steps once it has to turn back,
 * lest it go round and round. */
static double next_mu(double mu, state *z)
{
    if (!(z->primal > 0 && z->dual > 0))
        return mu;
    const double ratio = z->primal / (DUAL_WEIGHT * z->dual);
    const double way = ratio > APART ? 1 : ratio < 1.0 / APART ? -1 : 0;
    z->turns += way * z->way < 0;
    z->way = way > 0 || way < 0 ? way : z->way;
    return mu * pow(1 + GROWTH / (1 + z->turns), way);
}

static void keep(const lode_i_rpca_fit *f, state *z)
{
    const double number[NUMBERS] = { f->mu,  z->primal, z->dual,
                                     z->way, z->turns,  (double)f->basis.draws };
    for (int i = 0; i < NUMBERS; i++)
        lode_i_set1(&z->line, i, number[i]);
}

static void recall(lode_i_rpca_fit *f, state *z)
{
    double *const number[] = { &f->mu, &z->primal, &z->dual, &z->way, &z->turns };
    for (int i = 0; i < NUMBERS - 1; i++)
        *number[i] = lode_i_get1(&z->line, i);
    f->basis.draws = (int64_t)lode_i_get1(&z->line, NUMBERS - 1);
}

static lode_status step(lode_ctx *ctx, lode_i_rpca_fit *f, state *z)
{
    const lode_i_rpca_data *d = f->d;
    const double off = EXACT_SHARE * (z->primal > 0 ? z->primal : 1) * d->norm;
    lode_i_robust_sums sums;
    LODE_FORWARD(lode_i_shrink_step(ctx, &f->W, 1 / f->mu, off, &f->basis, &f->U, &f->s, &f->V));
    LODE_FORWARD(lode_i_rpca_left(ctx, f));
    const lode_i_robust x = { &d->X, &f->left, &f->V };
    const lode_i_robust_rule rule = {
        .lambda = f->lambda, .nu = f->nu, .mu = f->mu, .next = next_mu(f->mu, z)
    };
    LODE_FORWARD(lode_i_robust_step(ctx, &x, &rule, &f->Y, &f->W, &sums));
    z->primal = sqrt(sums.a) / f->mu / d->norm;
    z->dual = sums.c > 0 ? f->mu * sqrt(sums.b / sums.c) : 0;
    f->mu = rule.next;
    return LODE_OK;
}

static lode_status iterate(lode_ctx *ctx, lode_i_rpca_fit *f, double tol, int64_t most,
                           const char *site)
{
    lode_status st = LODE_OK;
    state z = { 0 };
    lode_array head = { 0 };
    lode_i_iter it = { .op = "rpca",
                       .what = "residual",
                       .tol = tol,
                       .patience = NEVER, /* residuals go up and down: only tol ends it */
                       .max_iter = most,
                       .n = 4,
                       .site = site,
                       .state = { &f->Y, &f->W, &f->basis.V, &z.line } };
    LODE_TRY(lode_array_zeros(ctx, LODE_F64, 1, (const int64_t[]){ NUMBERS + most }, &z.line));
    LODE_TRY(begin(ctx, f));
    keep(f, &z);
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    recall(f, &z);
    while (!it.done) {
        LODE_TRY(step(ctx, f, &z));
        const double error = fmax(z.primal, DUAL_WEIGHT * z.dual);
        keep(f, &z);
        lode_i_set1(&z.line, NUMBERS + it.i, error);
        it.enough = error <= tol;
        LODE_TRY(lode_i_iter_step(ctx, &it, error));
    }
    f->steps = it.i;
    LODE_TRY(lode_array_slice(ctx, &z.line, 0, NUMBERS, NUMBERS + it.i, 1, &head));
    LODE_TRY(lode_array_cast(ctx, &head, LODE_F64, &f->trace));
    LODE_TRY(lode_i_iter_end(ctx, &it, NULL));
done:
    lode_i_iter_free(&it);
    LODE_FREE(&z.line, &head);
    return st;
}

/* sigma = 1.4826 median |X - L(sigma)|, from above: what shrinkage adds to the residual is small, so that a few
 * rough fits settle it, and where there is no noise it falls to 0. */
static lode_status estimate_noise(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    lode_status st = LODE_OK;
    double sigma = 0, first = 0, before = 0;
    LODE_TRY(begin(ctx, f));
    LODE_TRY(lode_i_rpca_left(ctx, f)); /* L = 0 */
    LODE_TRY(lode_i_rpca_deviation(ctx, f, &sigma));
    first = sigma;
    for (int round = 0; round < NOISE_ROUNDS; round++) {
        LODE_TRY(lode_i_tick(ctx, round, NOISE_ROUNDS));
        before = sigma;
        lode_i_rpca_noise(f, sigma);
        const double all = sigma * sqrt((double)f->d->observed) / f->d->norm;
        lode_i_nest(ctx);
        const lode_status fitted = iterate(ctx, f, fmax(fmin(ROUGH_TOL, ROUGH_SHARE * all), f->tol),
                                           ROUGH_ITER, NULL);
        lode_i_unnest(ctx);
        if (fitted < 0)
            LODE_TRY(fitted); /* one that has not settled tells enough */
        LODE_TRY(lode_i_rpca_deviation(ctx, f, &sigma));
        if (sigma <= NO_NOISE * first) {
            sigma = 0;
            break;
        }
        if (fabs(sigma - before) <= 0.02 * before)
            break;
    }
    lode_i_rpca_noise(f, sigma);
done:
    return st;
}

lode_status lode_i_rpca_pursue(lode_ctx *ctx, lode_i_rpca_fit *f)
{
    const lode_auto_f64 *noise = &f->o->noise;
    if (!noise->given) {
        lode_i_stage(ctx, "noise", 0.05, 0.4);
        LODE_FORWARD(estimate_noise(ctx, f));
    }
    lode_i_stage(ctx, "pursuit", noise->given ? 0.05 : 0.4, 0.95);
    return iterate(ctx, f, f->tol, f->o->max_iter, "rpca");
}
