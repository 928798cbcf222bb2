/* Core shapes: the surrogate's optimum against every rank tuple, planted ranks, budgets too
 * small. */
#include "fixture.h"

#include <math.h>

#include "linop/coreshape.h"

typedef struct problem {
    int ndim;
    int64_t shape[5], count[5];
    double value[5][64];
    const double *spectra[5];
} problem;

static void make(problem *p, lode_stream s, int ndim, int64_t longest)
{
    p->ndim = ndim;
    for (int k = 0; k < ndim; k++) {
        double v = 1 + lode_i_random_uniform(s, (uint64_t)(100 * k));
        const double decay = 0.3 + 0.65 * lode_i_random_uniform(s, (uint64_t)(100 * k + 1));
        p->shape[k] = 2 + (int64_t)lode_i_random_below(s, (uint64_t)(100 * k + 2),
                                                       (uint64_t)longest - 1);
        p->count[k] = p->shape[k];
        for (int64_t r = 0; r < p->shape[k]; r++) {
            p->value[k][r] = v;
            v *= decay + (1 - decay) * lode_i_random_uniform(s, (uint64_t)(100 * k + 3 + r)) * 0.9;
        }
        p->spectra[k] = p->value[k];
    }
}

static double loss_of(const problem *p, const int64_t *rank, double *params)
{
    double loss = 0, product = 1;
    *params = 0;
    for (int k = 0; k < p->ndim; k++) {
        for (int64_t r = rank[k]; r < p->count[k]; r++)
            loss += p->value[k][r] * p->value[k][r];
        product *= (double)rank[k];
        *params += (double)(p->shape[k] * rank[k]);
    }
    *params += product;
    return loss;
}

static void equals_brute_force(void **state)
{
    lode_ctx *ctx = *state;
    for (uint64_t trial = 0; trial < 60; trial++) {
        const int ndim = 1 + (int)(trial % 5);
        problem p = { 0 };
        make(&p, lode_i_stream(ctx, "test", trial), ndim, ndim > 3 ? 5 : 9);
        int64_t ones[5] = { 1, 1, 1, 1, 1 }, rank[5], found[5];
        double least = 0, most = 0;
        loss_of(&p, ones, &least);
        loss_of(&p, p.shape, &most);
        for (double share = 0; share <= 1; share += 0.17) {
            const double budget = least + share * (most - least);
            double best = INFINITY, predicted = 0, params = 0;
            bool proved = false;
            memcpy(rank, ones, sizeof rank);
            for (bool more = true; more;) { /* every tuple */
                const double loss = loss_of(&p, rank, &params);
                best = params <= budget ? fmin(best, loss) : best;
                int k = 0;
                while (k < ndim && ++rank[k] > p.shape[k])
                    rank[k++] = 1;
                more = k < ndim;
            }
            assert_ok(ctx, lode_i_core_shape(ctx, ndim, p.shape, p.spectra, p.count, budget, found,
                                             &predicted, &proved));
            assert_true(proved);
            const double loss = loss_of(&p, found, &params);
            assert_le(params, budget);
            assert_le(loss, best * (1 + 1e-12));
            assert_near(predicted * predicted, best, 1e-12 * (best + 1));
        }
    }
}

static void planted_ranks_are_found_at_their_budget(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t planted[] = { 3, 7, 5, 2 };
    problem p = { .ndim = 4, .shape = { 40, 50, 30, 20 } };
    int64_t found[4];
    double params = 0, predicted = 1;
    for (int k = 0; k < 4; k++) {
        p.count[k] = p.shape[k];
        for (int64_t r = 0; r < p.shape[k]; r++)
            p.value[k][r] = r < planted[k] ? 1 / (double)(r + 1) : 0;
        p.spectra[k] = p.value[k];
    }
    loss_of(&p, planted, &params);
    assert_ok(ctx, lode_i_core_shape(ctx, 4, p.shape, p.spectra, p.count, params, found, &predicted,
                                     NULL));
    assert_memory_equal(found, planted, sizeof planted);
    assert_le(predicted, 0);
    /* a larger budget buys nothing more */
    assert_ok(ctx, lode_i_core_shape(ctx, 4, p.shape, p.spectra, p.count, 10 * params, found,
                                     &predicted, NULL));
    assert_memory_equal(found, planted, sizeof planted);
}

static void large_problems_end(void **state)
{
    lode_ctx *ctx = *state;
    problem p = { 0 };
    int64_t found[4];
    bool proved = false;
    double predicted = 0, params = 0;
    make(&p, lode_i_stream(ctx, "test", 77), 4, 60);
    /* what lies beyond the values given counts as zero */
    for (int k = 0; k < 4; k++)
        p.shape[k] = 60, p.count[k] = 50 + k;
    for (int k = 0; k < 4; k++)
        for (int64_t r = 0; r < 60; r++)
            p.value[k][r] = pow((double)(r + 1), -0.7 - 0.3 * k);
    assert_ok(ctx, lode_i_core_shape(ctx, 4, p.shape, p.spectra, p.count, 50000, found, &predicted,
                                     &proved));
    loss_of(&p, found, &params);
    assert_true(proved);
    assert_le(params, 50000);
}

static void too_small_a_budget_names_the_least(void **state)
{
    lode_ctx *ctx = *state;
    problem p = { 0 };
    int64_t found[3] = { -1, -1, -1 };
    make(&p, lode_i_stream(ctx, "test", 5), 3, 9);
    p.shape[0] = 4, p.shape[1] = 5, p.shape[2] = 6;
    assert_status(ctx,
                  lode_i_core_shape(ctx, 3, p.shape, p.spectra, p.shape, 15, found, NULL, NULL),
                  LODE_EPARAM);
    assert_says(ctx, "16");
    assert_int_equal(found[0], -1);
    assert_ok(ctx, lode_i_core_shape(ctx, 3, p.shape, p.spectra, p.shape, 16, found, NULL, NULL));
    assert_int_equal(found[0] * found[1] * found[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_brute_force),
        cmocka_unit_test(planted_ranks_are_found_at_their_budget),
        cmocka_unit_test(large_problems_end),
        cmocka_unit_test(too_small_a_budget_names_the_least),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
