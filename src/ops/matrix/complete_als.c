/* Alternating least squares over observed entries: rows of one factor given the others, mode after mode. By
 * sketches, a regression is preconditioned by the triangular factor of a few random sums of its rows and
 * refined by conjugate gradients from the row of the sweep before: its cost is linear in the rank. Errors
 * of the inexact solutions are small against the distance still to go (Gu, Song, Yin & Zhang 2023, section
 * 4), so that a few refinements do. */
#include <math.h>

#include "ops/matrix/complete.h"

/* Steps of subspace iteration to begin with; of conjugate gradients in a regression. */
enum { STARTS = 3, REFINEMENTS = 3 };
/* Random starts, and sweeps that each is given. */
enum { TRIES = 5, TRIED = 6 };

lode_status lode_i_complete_spectral(lode_ctx *ctx, const lode_i_completion *c, lode_array *U,
                                     lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array A[2] = { { 0 } }, next = { 0 };
    LODE_TRY(lode_i_randn(ctx, c->start, c->x->dtype, c->x->shape[1], c->k, &A[1]));
    for (int i = 0; i < STARTS; i++)
        for (int m = 0; m < 2; m++) {
            lode_array other[2] = { A[0], A[1] };
            other[m] = A[1 - m]; /* not read; its columns are counted */
            LODE_TRY(lode_i_observed_mttkrp(ctx, c->x, m, NULL, other, &next));
            LODE_TRY(lode_i_orth(ctx, &next, NULL));
            lode_array_swap(&A[m], &next);
            LODE_FREE(&next);
        }
    lode_array_swap(U, &A[0]);
    lode_array_swap(V, &A[1]);
done:
    LODE_FREE(&A[0], &A[1], &next);
    return st;
}

double lode_i_complete_relative(const lode_i_completion *c, double sumsq)
{
    return c->norm > 0 ? sqrt(sumsq) / c->norm : 0;
}

double lode_i_complete_floor(const lode_i_completion *c)
{
    return 4 * lode_i_epsilon(c->x->dtype);
}

/* Normal factors, or their absolute values where none may be negative. */
static lode_status random_factors(lode_ctx *ctx, const lode_i_completion *c, uint32_t site,
                                  lode_array *A)
{
    for (int m = 0; m < c->x->ndim; m++) {
        lode_stream s = c->start;
        s.salt[1] += 1 + site * (uint32_t)c->x->ndim + (uint32_t)m;
        LODE_FORWARD(lode_i_randn(ctx, s, c->x->dtype, c->x->shape[m], c->k, &A[m]));
        for (int64_t i = 0; c->o->nonneg && i < c->x->shape[m]; i++)
            for (int64_t r = 0; r < c->k; r++)
                lode_i_set2(&A[m], i, r, fabs(lode_i_get2(&A[m], i, r)));
    }
    return LODE_OK;
}

/* Of some random starts the one that a few sweeps bring nearest: one alone may end in a valley where the
 * terms of a tensor cancel each other. */
static lode_status random_start(lode_ctx *ctx, lode_i_completion *c, const lode_i_row_rule *rule,
                                lode_i_row_cost *cost)
{
    lode_status st = LODE_OK;
    const int d = c->x->ndim;
    lode_array A[LODE_MAX_NDIM] = { { 0 } };
    double best = INFINITY;
    for (uint32_t site = 0; site < TRIES; site++) {
        double sumsq = INFINITY;
        LODE_TRY(lode_i_cancelled(ctx));
        LODE_TRY(random_factors(ctx, c, site, A));
        for (int sweep = 0; sweep < TRIED; sweep++)
            for (int m = 0; m < d; m++)
                LODE_TRY(lode_i_observed_rows(ctx, c->x, m, A, rule, &sumsq, cost));
        for (int m = 0; m < d && sumsq < best; m++)
            lode_array_swap(&A[m], &c->model.factor[m]);
        best = fmin(best, sumsq);
    }
done:
    for (int m = 0; m < d; m++)
        LODE_FREE(&A[m]);
    return st;
}

static lode_status penalty(lode_ctx *ctx, const lode_i_completion *c, double *sum)
{
    *sum = 0;
    for (int m = 0; m < c->x->ndim && c->ridge > 0; m++) {
        double norm;
        LODE_FORWARD(lode_i_norm_fro(ctx, &c->model.factor[m], &norm));
        *sum += c->ridge * norm * norm;
    }
    return LODE_OK;
}

lode_status lode_i_complete_als(lode_ctx *ctx, lode_i_completion *c)
{
    lode_status st = LODE_OK;
    const int d = c->x->ndim;
    lode_array *A = c->model.factor;
    const bool sketched = c->o->solver == LODE_COMPLETE_SKETCH &&
                          !lode_i_broken(ctx, "robust-altmin");
    lode_i_row_rule rule = { .ridge = c->ridge,
                             .nonneg = c->o->nonneg,
                             .steps = 10,
                             .refinements = sketched ? REFINEMENTS : 0,
                             .stream = c->sketch };
    lode_i_row_cost cost = { 0 };
    lode_i_iter it = { .op = "complete",
                       .what = "error over observed entries",
                       .tol = c->o->tol,
                       .floor = lode_i_complete_floor(c),
                       .max_iter = c->o->max_iter + 1,
                       .n = d <= LODE_I_ITER_STATE ? d : 0,
                       .site = d <= LODE_I_ITER_STATE ? "sweeps" : NULL,
                       .key = (uint64_t)c->k,
                       .tally = &cost.flops };
    for (int m = 0; m < it.n; m++)
        it.state[m] = &A[m];
    c->model.ndim = d, c->model.k = c->k;
    if (d == 2 && !c->o->nonneg)
        LODE_TRY(lode_i_complete_spectral(ctx, c, &A[0], &A[1]));
    else
        LODE_TRY(random_start(ctx, c, &rule, &cost));
    LODE_TRY(lode_i_iter_begin(ctx, &it));
    if (it.i == 0)
        LODE_TRY(lode_i_iter_step(ctx, &it, 1));
    while (!it.done) {
        double sumsq = 0, more = 0;
        for (int m = 0; m < d; m++) {
            rule.stream.salt[1] = c->sketch.salt[1] + (uint32_t)(it.i * d + m);
            LODE_TRY(
                lode_i_observed_rows(ctx, c->x, m, A, &rule, m == d - 1 ? &sumsq : NULL, &cost));
        }
        LODE_TRY(penalty(ctx, c, &more));
        LODE_TRY(lode_i_iter_step(ctx, &it, lode_i_complete_relative(c, sumsq + more)));
    }
    c->flops += cost.flops;
    LODE_TRY(lode_i_iter_end(ctx, &it, &c->trace));
    LODE_TRY(d == 2 && !c->o->nonneg ? lode_i_kruskal_orthogonalize(ctx, &c->model)
                                     : lode_i_kruskal_normalize(ctx, &c->model));
done:
    lode_i_iter_free(&it);
    return st;
}
