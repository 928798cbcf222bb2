/* Contraction of networks against sums over every index, and its order against every order there is. */
#include <math.h>

#include "fixture.h"

#include "linalg/network.h"

enum { MOST = 16 };

typedef struct net {
    int terms, indices;
    int64_t size[MOST];
    lode_array a[MOST];
    lode_i_labelled t[MOST];
    int keys[MOST][MOST]; /* of every axis, those of length 1 too */
} net;

static lode_ctx ctx;

static uint64_t drawn;

static int64_t below(uint64_t seed, int64_t n)
{
    return (int64_t)lode_i_random_below(lode_i_stream(&ctx, "network", seed), drawn++, (uint64_t)n);
}

/* Indices of lengths 1 to 3 between random pairs of terms, or of one term alone. */
static void make(net *g, uint64_t seed, int terms, int indices, lode_dtype dtype)
{
    memset(g, 0, sizeof *g);
    ctx.seed = seed, drawn = 0;
    g->terms = terms, g->indices = indices;
    int count[MOST] = { 0 };
    for (int k = 0; k < indices; k++) {
        const int a = (int)below(1, terms), b = (int)below(2, terms);
        g->size[k] = 1 + below(3, 3);
        g->keys[a][count[a]++] = 100 + 7 * k;
        if (a != b)
            g->keys[b][count[b]++] = 100 + 7 * k;
    }
    for (int i = 0; i < terms; i++) {
        int64_t shape[MOST];
        for (int j = 0; j < count[i]; j++)
            shape[j] = g->size[(g->keys[i][j] - 100) / 7];
        assert_ok(&ctx, lode_array_new(&ctx, dtype, count[i], shape, &g->a[i]));
        const int64_t size = lode_array_size(&g->a[i]);
        lode_array flat = lode_array_wrap(g->a[i].data, dtype, 1, &size);
        for (int64_t e = 0; e < size; e++)
            lode_i_set1(&flat, e,
                        lode_i_random_normal(lode_i_stream(&ctx, "x", (uint64_t)i), (uint64_t)e));
        assert_ok(&ctx, lode_i_label(&ctx, &g->a[i], g->keys[i], &g->t[i]));
    }
}

static void drop(net *g)
{
    for (int i = 0; i < g->terms; i++) {
        lode_array_free(&g->a[i]);
        lode_i_labelled_free(&g->t[i]);
    }
}

/* Keys that one term alone has. */
static int open_keys(const net *g, int *keys, int64_t *shape)
{
    int n = 0;
    for (int k = 0; k < g->indices; k++) {
        int count = 0;
        for (int i = 0; i < g->terms; i++)
            for (int j = 0; j < g->a[i].ndim; j++)
                count += g->keys[i][j] == 100 + 7 * k;
        if (count == 1)
            keys[n] = 100 + 7 * k, shape[n++] = g->size[k];
    }
    return n;
}

/* Sum over all indices of the product of entries. */
static void by_sums(const net *g, int n, const int *keys, const int64_t *shape, double *out)
{
    int64_t at[MOST] = { 0 }, all = 1;
    for (int k = 0; k < g->indices; k++)
        all *= g->size[k];
    for (int64_t e = 0; e < all; e++) {
        int64_t rest = e, place = 0;
        double p = 1;
        for (int k = 0; k < g->indices; k++)
            at[k] = rest % g->size[k], rest /= g->size[k];
        for (int i = 0; i < g->terms; i++) {
            int64_t index[MOST];
            for (int j = 0; j < g->a[i].ndim; j++)
                index[j] = at[(g->keys[i][j] - 100) / 7];
            p *= lode_array_get(&g->a[i], index);
        }
        for (int j = 0; j < n; j++)
            place = place * shape[j] + at[(keys[j] - 100) / 7];
        out[place] += p;
    }
}

static void check(uint64_t seed, int terms, int indices, lode_dtype dtype)
{
    net g;
    int keys[MOST];
    int64_t shape[MOST], size = 1;
    lode_i_labelled y = { 0 };
    lode_array z = { 0 };
    make(&g, seed, terms, indices, dtype);
    const int n = open_keys(&g, keys, shape);
    for (int i = 0; i < n; i++)
        size *= shape[i];
    double *want = calloc((size_t)size, sizeof *want);
    assert_non_null(want);
    by_sums(&g, n, keys, shape, want);
    assert_ok(&ctx, lode_i_network_contract(&ctx, terms, g.t, NULL, &y));
    assert_ok(&ctx, lode_i_arrange(&ctx, &y, n, keys, &z));
    lode_array flat = lode_array_wrap(z.data, dtype, 1, &size);
    double most = 1;
    for (int64_t e = 0; e < size; e++)
        most = fmax(most, fabs(want[e]));
    for (int64_t e = 0; e < size; e++)
        assert_near(lode_i_get1(&flat, e), want[e], (dtype == LODE_F32 ? 1e-4 : 1e-12) * most);
    free(want);
    lode_array_free(&z);
    lode_i_labelled_free(&y);
    drop(&g);
}

static void products_are_sums_over_all_indices(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 120; seed++)
        check(seed, 1 + (int)(seed % 7), 1 + (int)(seed % 10), seed % 3 ? LODE_F64 : LODE_F32);
}

/* More than the exact search takes: joined greedily, the same sums. */
static void many_terms_are_joined_too(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 220; seed++)
        check(seed, 14, 11, LODE_F64);
}

/* Least operations over all ways to join pairs, by trying them. */
static double least(const net *g, int count, uint64_t *set)
{
    double best = INFINITY;
    if (count == 1)
        return 0;
    for (int a = 0; a < count; a++)
        for (int b = a + 1; b < count; b++) {
            uint64_t next[MOST];
            double here = 2;
            int n = 0;
            for (int k = 0; k < g->indices; k++)
                here *= (set[a] | set[b]) >> k & 1 ? (double)g->size[k] : 1;
            for (int i = 0; i < count; i++)
                if (i != a && i != b)
                    next[n++] = set[i];
            next[n++] = set[a] ^ set[b];
            best = fmin(best, here + least(g, n, next));
        }
    return best;
}

static void no_order_takes_fewer_operations(void **state)
{
    (void)state;
    for (uint64_t seed = 300; seed < 340; seed++) {
        net g;
        lode_i_order o;
        uint64_t set[MOST] = { 0 };
        make(&g, seed, 2 + (int)(seed % 4), 8, LODE_F64);
        for (int i = 0; i < g.terms; i++)
            for (int j = 0; j < g.a[i].ndim; j++)
                set[i] |= UINT64_C(1) << (g.keys[i][j] - 100) / 7;
        assert_ok(&ctx, lode_i_network_order(&ctx, g.terms, g.t, &o));
        const double want = least(&g, g.terms, set);
        assert_near(o.flops, want, 1e-9 * want);
        drop(&g);
    }
}

static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    net g;
    lode_i_labelled y = { 0 };
    lode_array a = { 0 };
    const int64_t shape[1] = { 3 };
    make(&g, 1, 3, 1, LODE_F64);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 1, shape, &a));
    for (int i = 0; i < 3; i++) {
        lode_i_labelled_free(&g.t[i]);
        assert_ok(&ctx, lode_i_label(&ctx, &a, (const int[]){ 5 }, &g.t[i]));
    }
    assert_status(&ctx, lode_i_network_contract(&ctx, 3, g.t, NULL, &y), LODE_EUSAGE);
    assert_says(&ctx, "three");
    assert_status(&ctx, lode_i_network_contract(&ctx, 0, g.t, NULL, &y), LODE_EUSAGE);
    lode_array_free(&a);
    drop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_sums_over_all_indices),
        cmocka_unit_test(many_terms_are_joined_too),
        cmocka_unit_test(no_order_takes_fewer_operations),
        cmocka_unit_test(what_is_no_network_is_refused),
    };
    if (lode_ctx_init(&ctx, NULL) < 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lode_ctx_free(&ctx);
    return failed;
}
