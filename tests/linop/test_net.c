/* Tensor networks: changes of form keep the tensor, least squares against a dense solver. */
#include <math.h>

#include "fixture.h"

#include "linop/net.h"

static lode_ctx ctx;

/* Five modes, two nodes without: a loop, a tree, an edge of rank 1. */
static lode_i_net sample(uint64_t seed)
{
    static const int64_t shape[] = { 4, 3, 5, 2, 3 };
    static const int edges[][3] = { { 0, 1, 2 }, { 1, 5, 3 }, { 2, 5, 2 }, { 5, 6, 3 },
                                    { 6, 3, 2 }, { 6, 4, 3 }, { 0, 6, 2 } };
    lode_i_net net = lode_i_net_new(5, 7, shape);
    ctx.seed = seed;
    for (int e = 0; e < 7; e++)
        lode_i_net_connect(&net, edges[e][0], edges[e][1], edges[e][2]);
    assert_ok(&ctx, lode_i_net_random(&ctx, "net", seed, &net));
    return net;
}

static double distance(const lode_i_net *net, const lode_array *X)
{
    lode_array y = { 0 };
    double norm = 0, all = 0;
    assert_ok(&ctx, lode_i_net_expand(&ctx, net, NULL, NULL, LODE_F64, &y));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, X, &y, &norm));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, X, &all));
    lode_array_free(&y);
    return norm / all;
}

static void changes_of_form_keep_the_tensor(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        lode_i_net net = sample(seed);
        lode_array X = { 0 };
        double norm, want;
        bool done;
        assert_ok(&ctx, lode_i_net_expand(&ctx, &net, NULL, NULL, LODE_F64, &X));
        assert_ok(&ctx, lode_i_net_balance(&ctx, &net, 0));
        assert_le(distance(&net, &X), 1e-13);
        assert_ok(&ctx, lode_i_net_normalize(&ctx, &net));
        assert_le(distance(&net, &X), 1e-13);
        assert_ok(&ctx, lode_i_net_norm(&ctx, &net, &norm));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &want));
        assert_near(norm, want, 1e-12 * want);
        assert_ok(&ctx, lode_i_net_widen(&ctx, &net, 1, 3, "net", 7));
        assert_int_equal(net.rank[3][1], 2);
        assert_le(distance(&net, &X), 1e-13);
        assert_ok(&ctx, lode_i_net_detach(&ctx, &net, 1, 1e-12));
        assert_int_equal(net.nodes, 8);
        assert_le(distance(&net, &X), 1e-13);
        assert_ok(&ctx, lode_i_net_absorb(&ctx, &net, 7, 1)); /* back */
        assert_ok(&ctx, lode_i_net_absorb(&ctx, &net, 5, 6)); /* neighbours */
        assert_ok(&ctx, lode_i_net_absorb(&ctx, &net, 5, 0)); /* a common neighbour */
        assert_int_equal(net.nodes, 5);
        assert_le(distance(&net, &X), 1e-12);
        assert_ok(&ctx, lode_i_net_balance(&ctx, &net, 1e-12));
        assert_ok(&ctx, lode_i_net_split(&ctx, &net, 1e-11, 1000, &done));
        assert_le(distance(&net, &X), 1e-9);
        const double before = lode_i_net_params(&net);
        assert_ok(&ctx, lode_i_net_merge(&ctx, &net, 1000, &done));
        assert_true(lode_i_net_params(&net) <= before);
        assert_le(distance(&net, &X), 1e-9);
        lode_array_free(&X);
        lode_i_net_free(&net);
    }
}

/* A core with a mode that hangs on a product of two: the split is found, and the last slices narrowed away again. */
static void products_come_apart(void **state)
{
    (void)state;
    static const int64_t shape[] = { 6, 5, 5, 5 };
    lode_i_net net = lode_i_net_new(4, 5, shape);
    lode_array X = { 0 };
    bool split;
    for (int m = 0; m < 4; m++)
        lode_i_net_connect(&net, m, 4, 2);
    assert_ok(&ctx, lode_i_net_random(&ctx, "net", 3, &net));
    assert_ok(&ctx, lode_i_net_expand(&ctx, &net, NULL, NULL, LODE_F64, &X));
    const double least = lode_i_net_params(&net);
    assert_ok(&ctx, lode_i_net_absorb(&ctx, &net, 4, 0));
    assert_true(lode_i_net_params(&net) > least);
    assert_ok(&ctx, lode_i_net_balance(&ctx, &net, 0));
    assert_ok(&ctx, lode_i_net_split(&ctx, &net, 1e-10, 1000, &split));
    assert_true(split && lode_i_net_params(&net) <= least);
    assert_le(distance(&net, &X), 1e-12);
    assert_ok(&ctx, lode_i_net_widen(&ctx, &net, 0, 2, "net", 9));
    assert_ok(&ctx, lode_i_net_narrow(&ctx, &net, 0, 2)); /* the slice of zeros */
    assert_le(distance(&net, &X), 1e-12);
    lode_array_free(&X);
    lode_i_net_free(&net);
}

/* The best core between the others, by a dense solver. */
static double dense_best(const lode_i_net *net, int k, const lode_array *X)
{
    lode_array E = { 0 }, moved = { 0 }, B = { 0 }, flat = { 0 }, Y = { 0 };
    int axes[8], n = 0;
    double left = 0;
    for (int m = 0; m < net->modes; m++)
        if (m != k)
            axes[n++] = m;
    if (k < net->modes)
        axes[n++] = k;
    assert_ok(&ctx, lode_i_net_derivative(&ctx, net, k, &E));
    assert_ok(&ctx, lode_array_permute(&ctx, X, axes, &moved));
    assert_ok(&ctx, lode_array_reshape(&ctx, &moved, 2,
                                       (const int64_t[]){ E.shape[0], net->rank[k][k] }, &flat));
    assert_ok(&ctx, lode_i_lstsq(&ctx, &E, &flat, &Y, NULL));
    assert_ok(&ctx, lode_i_gemm(&ctx, LODE_N, LODE_N, &E, &Y, &B));
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &flat, &B, &left));
    LODE_FREE(&E, &moved, &B, &flat, &Y);
    return left * left;
}

static void steps_are_least_squares(void **state)
{
    (void)state;
    for (int some = 0; some < 2; some++) {
        lode_i_net net = sample(11), truth = sample(12);
        lode_array X = { 0 }, noise = { 0 };
        double norm, left, last = INFINITY;
        assert_ok(&ctx, lode_i_net_expand(&ctx, &truth, NULL, NULL, LODE_F64, &X));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &norm));
        for (int round = 0; round < 3; round++)
            for (int k = 0; k < net.nodes; k++) {
                const double best = dense_best(&net, k, &X);
                lode_i_net_env all = { .open = 127 }, one = { 0 };
                assert_ok(&ctx, lode_i_net_whole(&ctx, &X, &all));
                assert_ok(&ctx, lode_i_net_descend(&ctx, &net, &all, 127 & ~(1u << k), NULL, &one));
                if (some)
                    assert_ok(&ctx, lode_i_net_sweep_some(&ctx, &net, &X, 1u << k, &left));
                else
                    assert_ok(&ctx, lode_i_net_sweep(&ctx, &net, &one, norm * norm, &left));
                assert_near(left, best, 1e-9 * norm * norm);
                assert_near(pow(distance(&net, &X) * norm, 2), best, 1e-9 * norm * norm);
                assert_true(left <= last + 1e-10 * norm * norm);
                last = left;
                lode_i_net_env_free(&all);
                lode_i_net_env_free(&one);
            }
        LODE_FREE(&X, &noise);
        lode_i_net_free(&net);
        lode_i_net_free(&truth);
    }
}

/* Every pair comes once, and what is left with both cores open is what it is. */
static lode_status count_pair(lode_ctx *c, void *data, const lode_i_net_env *e, int i, int j)
{
    int *seen = data;
    (void)c;
    assert_int_equal(e->open, 1u << i | 1u << j);
    seen[i * 8 + j]++;
    return LODE_OK;
}

static void each_pair_comes_once(void **state)
{
    (void)state;
    lode_i_net net = sample(5);
    lode_array X = { 0 };
    int seen[64] = { 0 };
    lode_i_net_env all = { .open = 127 };
    assert_ok(&ctx, lode_i_net_expand(&ctx, &net, NULL, NULL, LODE_F64, &X));
    assert_ok(&ctx, lode_i_net_whole(&ctx, &X, &all));
    assert_ok(&ctx, lode_i_net_pairs(&ctx, &net, &all, NULL, count_pair, seen));
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++)
            assert_int_equal(seen[i * 8 + j], i < j);
    lode_i_net_env_free(&all);
    lode_array_free(&X);
    lode_i_net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_form_keep_the_tensor),
        cmocka_unit_test(products_come_apart),
        cmocka_unit_test(steps_are_least_squares),
        cmocka_unit_test(each_pair_comes_once),
    };
    if (lode_ctx_init(&ctx, NULL) < 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lode_ctx_free(&ctx);
    return failed;
}
