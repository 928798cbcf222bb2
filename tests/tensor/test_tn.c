/* tn against hidden networks, naive sums, fixed structures, and what it must refuse. */
#define OP lode_op_tn
#include "fitted.h"

#include "linop/net.h"
#include "lode/make.h"

static int setup(void **state)
{
    (void)state;
    return start();
}

/* A network of these edges (triples i, j, rank; ended by -1) as a tensor; its parameters. */
static lode_array hidden(lode_dtype t, int modes, int nodes, const int64_t *shape, const int *edges,
                         uint64_t seed, double *params)
{
    lode_array x = { 0 };
    lode_i_net net = lode_i_net_new(modes, nodes, shape);
    for (; edges[0] >= 0; edges += 3)
        lode_i_net_connect(&net, edges[0], edges[1], edges[2]);
    assert_ok(&f.ctx, lode_i_net_random(&f.ctx, "hidden", 77 + seed, &net));
    assert_ok(&f.ctx, lode_i_net_expand(&f.ctx, &net, NULL, NULL, t, &x));
    *params = lode_i_net_params(&net);
    lode_i_net_free(&net);
    return x;
}

static const lode_array *member(const char *name)
{
    const lode_array *a = NULL;
    assert_ok(&f.ctx, lode_bundle_array(&f.ctx, &f.model, name, &a));
    return a;
}

static double values(void)
{
    double sum = 0;
    const int64_t nodes = member("ranks")->shape[0];
    for (int64_t k = 0; k < nodes; k++) {
        char name[24];
        snprintf(name, sizeof name, "core.%" PRId64, k);
        sum += (double)lode_array_size(member(name));
    }
    return sum;
}

/* Sum over all edges of the products of entries, from the members alone. */
static double naive_entry(const int64_t *index)
{
    const lode_array *ranks = member("ranks");
    const int64_t n = ranks->shape[0];
    const lode_array *core[16];
    int64_t edge[16][16] = { { 0 } }, all = 1;
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        char name[24];
        snprintf(name, sizeof name, "core.%" PRId64, k);
        core[k] = member(name);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            all *= (int64_t)lode_i_get2(ranks, i, j);
    for (int64_t e = 0; e < all; e++) {
        int64_t rest = e;
        double p = 1;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i + 1; j < n; j++) {
                const int64_t r = (int64_t)lode_i_get2(ranks, i, j);
                edge[i][j] = edge[j][i] = rest % r;
                rest /= r;
            }
        for (int64_t k = 0; k < n; k++) {
            edge[k][k] = k < f.model.meta.ndim ? index[k] : 0;
            p *= lode_array_get(core[k], edge[k]);
        }
        sum += p;
    }
    return sum;
}

static void check_entries(double slack)
{
    lode_array y = { 0 }, part = { 0 };
    const int64_t at[] = { 1, 2, 3, 1 };
    const lode_part some = { .ndim = 4, .start = { 1, 2, 3, 1 }, .count = { 1, 1, 1, 2 } };
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y));
    assert_near(lode_array_get(&y, at), naive_entry(at), slack);
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), &some, &part));
    assert_near(lode_array_get(&part, (const int64_t[]){ 0, 0, 0, 0 }), lode_array_get(&y, at),
                slack);
    double error, norm;
    assert_ok(&f.ctx, lode_i_diff_fro(&f.ctx, &f.X, &y, &error));
    assert_ok(&f.ctx, lode_i_norm_fro(&f.ctx, &f.X, &norm));
    assert_near(error / norm, f.model.certificate.value, slack);
    LODE_FREE(&y, &part);
}

/* A change of any core, of the trace, or a promise too good, shows. */
static void check_changes(void)
{
    lode_certificate found;
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found));
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    for (int64_t m = 0; m < f.model.count; m++) {
        const lode_value v = lode_bundle_value(&f.model, m);
        if (v.kind != LODE_ARRAY || strncmp(lode_bundle_name(&f.model, m), "core", 4) != 0)
            continue;
        lode_array *a = (lode_array *)(uintptr_t)v.as.array;
        const entry old = tensor_get(a, 1);
        tensor_set(a, 1, old + 0.01 * tensor_norm(a));
        assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found), LODE_EVERIFY);
        tensor_set(a, 1, old);
    }
    if (f.model.certificate.value < 1e-9)
        return;
    f.model.certificate.value /= 2;
    assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found),
                  LODE_EVERIFY);
}

static const int train[] = { 0, 1, 2, 1, 2, 3, 2, 3, 2, -1 },
                 ring[] = { 0, 1, 2, 1, 2, 2, 2, 3, 2, 0, 3, 2, -1 },
                 tucker[] = { 0, 4, 2, 1, 4, 2, 2, 4, 2, 3, 4, 2, -1 },
                 other[] = { 0, 2, 2, 2, 1, 3, 1, 3, 2, 0, 1, 2, -1 };

static void hidden_networks_are_found(void **state)
{
    (void)state;
    static const int *const kind[] = { train, ring, tucker, other };
    static const int64_t shape[] = { 6, 7, 6, 7 };
    for (int k = 0; k < 4; k++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            double params;
            take(hidden(LODE_F64, 4, k == 2 ? 5 : 4, shape, kind[k], seed, &params));
            assert_ok(&f.ctx, RUN("error", "1e-6"));
            assert_le(f.model.certificate.value, 1e-6);
            assert_le(values(), 1.5 * params);
            check_entries(1e-9);
            check_changes();
            lode_bundle_free(&f.model);
        }
}

/* Each of these structures by name represents what it is, to rounding. */
static void named_structures_fit_their_own(void **state)
{
    (void)state;
    static const char *const name[] = { "tt", "ring", "tucker" };
    static const char *const ranks[] = { "2,3,2", "2", "2,2,2,2" };
    static const int *const kind[] = { train, ring, tucker };
    static const int64_t shape[] = { 5, 6, 5, 6 };
    for (int k = 0; k < 3; k++) {
        double params;
        take(hidden(LODE_F64, 4, k == 2 ? 5 : 4, shape, kind[k], 3, &params));
        const lode_status st = RUN("structure", name[k], "rank", ranks[k], "restarts", "4",
                                   "max-iter", "400", "tol", "1e-9");
        assert_true(st >= 0);
        assert_le(f.model.certificate.value, k == 1 ? 1e-5 : 1e-12);
        assert_near(values(), params, 0.1);
        check_entries(1e-9);
        lode_bundle_free(&f.model);
    }
}

static void graphs_come_from_arrays(void **state)
{
    (void)state;
    static const int64_t shape[] = { 5, 6, 5, 6 };
    double params, g[16];
    const int64_t square[] = { 4, 4 };
    lode_array graph = lode_array_wrap(g, LODE_F64, 2, square);
    lode_tn_opts o = lode_tn_defaults();
    take(hidden(LODE_F64, 4, 4, shape, other, 1, &params));
    for (int e = 0; e < 16; e++)
        g[e] = 1;
    for (const int *e = other; e[0] >= 0; e += 3)
        g[e[0] * 4 + e[1]] = g[e[1] * 4 + e[0]] = e[2];
    o.structure = LODE_TN_GRAPH, o.graph = &graph, o.restarts = 3;
    const lode_status st = lode_tn(&f.ctx, &o, lode_from_array(&f.X), &f.model);
    assert_true(st >= 0);
    assert_le(f.model.certificate.value, 1e-5);
    assert_near(values(), params, 0.1);
    lode_bundle_free(&f.model);
    /* as a start: the search has nothing left to add */
    o = lode_tn_defaults();
    o.graph = &graph, o.error = lode_error_rel(1e-4);
    assert_true(lode_tn(&f.ctx, &o, lode_from_array(&f.X), &f.model) >= 0);
    assert_le(values(), 1.6 * params);
    lode_bundle_free(&f.model);
    g[1] = 3;
    assert_status(&f.ctx, lode_tn(&f.ctx, &o, lode_from_array(&f.X), &f.model), LODE_EPARAM);
    assert_says(&f.ctx, "[0,1]");
    g[1] = g[4] = 90;
    assert_status(&f.ctx, lode_tn(&f.ctx, &o, lode_from_array(&f.X), &f.model), LODE_ESHAPE);
    assert_says(&f.ctx, "rank 90");
}

/* Two fifths of the values: the others come back. Kept-back values end the search under noise. */
static void what_is_missing_is_filled(void **state)
{
    (void)state;
    static const int64_t shape[] = { 8, 9, 8, 7 };
    lode_array whole = { 0 }, made = { 0 };
    double params, error, norm, held;
    lode_certificate found;
    whole = hidden(LODE_F64, 4, 4, shape, train, 2, &params);
    assert_ok(&f.ctx, lode_array_cast(&f.ctx, &whole, LODE_F64, &f.X));
    const lode_stream s = lode_i_stream(&f.ctx, "holes", 0);
    for (int64_t e = 0; e < lode_array_size(&whole); e++)
        if (lode_i_random_uniform(s, (uint64_t)e) < 0.6)
            tensor_set(&f.X, e, NAN);
    assert_ok(&f.ctx, RUN("error", "1e-6", "tol", "1e-4"));
    assert_ok(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &made));
    assert_ok(&f.ctx, lode_i_diff_fro(&f.ctx, &whole, &made, &error));
    assert_ok(&f.ctx, lode_i_norm_fro(&f.ctx, &whole, &norm));
    assert_le(error, 1e-4 * norm);
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    lode_bundle_free(&f.model);
    for (int64_t e = 0; e < lode_array_size(&whole); e++) /* noise of a tenth */
        tensor_set(&f.X, e,
                   creal(tensor_get(&f.X, e)) + 0.1 * norm / sqrt((double)lode_array_size(&whole)) *
                                                    lode_i_random_normal(s, 100000 + (uint64_t)e));
    assert_ok(&f.ctx, RUN("holdout", "0.1"));
    assert_ok(&f.ctx, lode_bundle_f64(&f.ctx, &f.model, "heldout", &held));
    assert_le(held, 0.3);
    assert_le(values(), 3 * params);
    for (int64_t e = 0; e < 9 * 8 * 7; e++) /* a slice of nothing */
        tensor_set(&f.X, 3 * 9 * 8 * 7 + e, NAN);
    lode_bundle_free(&f.model);
    assert_status(&f.ctx, RUN("holdout", "0.1"), LODE_EDOMAIN);
    assert_says(&f.ctx, "slice 3 of axis 0");
    LODE_FREE(&whole, &made);
}

static void budgets_hold_and_curves_fall(void **state)
{
    (void)state;
    static const int64_t shape[] = { 9, 8, 7 };
    take(tensor_normal(&f.ctx, LODE_F32, 3, shape, 4));
    assert_ok(&f.ctx, RUN("budget", "params=150"));
    assert_le(values(), 150);
    const lode_array *curve = member("curve"), *trace = member("trace");
    assert_near(lode_i_get1(trace, 0), 1, 0);
    for (int64_t i = 1; i < curve->shape[0]; i++)
        assert_le(lode_i_get2(curve, i, 1), lode_i_get2(curve, i - 1, 1) * 1.05);
    assert_near(lode_i_get2(curve, 0, 0), 24, 0);
    lode_bundle_free(&f.model);
    assert_status(&f.ctx, RUN("budget", "params=20"), LODE_EPARAM);
    assert_says(&f.ctx, "24");
    assert_status(&f.ctx, RUN("error", "1e-3", "max-rank", "2"), LODE_MISSED);
    assert_says(&f.ctx, "no edge may grow");
}

static void degenerate_shapes_work(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {
        { 1, 1 }, { 1, 6 }, { 5, 1, 1, 4 }, { 6, 5 }, { 3, 4, 2 }
    };
    for (int i = 0; i < 5; i++)
        for (int zero = 0; zero < 2; zero++) {
            int d = 0;
            while (d < 4 && shapes[i][d])
                d++;
            lode_certificate found;
            take(tensor_normal(&f.ctx, i % 2 ? LODE_F32 : LODE_F64, d, shapes[i], 5));
            if (zero)
                assert_ok(&f.ctx, lode_i_fill(&f.ctx, &f.X, 0));
            assert_ok(&f.ctx, RUN("error", "1e-4"));
            assert_le(f.model.certificate.value, 1e-4);
            assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
            lode_bundle_free(&f.model);
        }
}

static void figures_show_the_graph(void **state)
{
    (void)state;
    static const int64_t shape[] = { 6, 7, 6, 7 };
    lode_figure *figure = NULL;
    double params;
    take(hidden(LODE_F64, 4, 5, shape, tucker, 1, &params));
    assert_ok(&f.ctx, RUN("error", "1e-5"));
    assert_ok(&f.ctx, lode_figure_new(&f.ctx, &figure));
    assert_ok(&f.ctx, lode_plot(&f.ctx, &f.model, lode_none(), figure));
    lode_figure_free(&figure);
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const int64_t shape[] = { 5, 6, 7 }, empty[] = { 5, 0, 7 };
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 1));
    assert_status(&f.ctx, RUN("structure", "tt"), LODE_EUSAGE);
    assert_says(&f.ctx, "--rank");
    assert_status(&f.ctx, RUN("structure", "tt", "rank", "2,2,2"), LODE_ESHAPE);
    assert_says(&f.ctx, "2 edges");
    assert_status(&f.ctx, RUN("structure", "tt", "rank", "9,2"), LODE_ESHAPE);
    assert_says(&f.ctx, "rank 9");
    assert_status(&f.ctx, RUN("rank", "3"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("structure", "graph"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("error", "1e-3:max"), LODE_EUSAGE);
    assert_status(&f.ctx, RUN("missing", "inf"), LODE_EPARAM);
    tensor_set(&f.X, 2 * 42 + 3 * 7 + 4, INFINITY);
    assert_status(&f.ctx, RUN("error", "1e-1"), LODE_EDOMAIN);
    assert_says(&f.ctx, "X[2,3,4]");
    tensor_set(&f.X, 2 * 42 + 3 * 7 + 4, NAN);
    assert_status(&f.ctx, RUN("error", "1e-1", "missing", "none"), LODE_EDOMAIN);
    take(tensor_normal(&f.ctx, LODE_F64, 1, shape, 1));
    assert_status(&f.ctx, RUN("error", "1e-1"), LODE_ESHAPE);
    take(tensor_normal(&f.ctx, LODE_F64, 3, empty, 1));
    assert_status(&f.ctx, RUN("error", "1e-1"), LODE_ESHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hidden_networks_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(named_structures_fit_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(graphs_come_from_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_missing_is_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(budgets_hold_and_curves_fall, setup, teardown),
        cmocka_unit_test_setup_teardown(degenerate_shapes_work, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_show_the_graph, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_make_no_sense_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
