/* Sums of outer products: against entries multiplied out, and the normal forms against themselves. */
#include <math.h>

#include "counted.h"
#include "linop/kruskal.h"
#include "lode/lode.h"

enum { MODES = 4, K = 3 };
static const int64_t shape[MODES] = { 7, 5, 6, 4 };

static double noise(uint64_t site, int64_t i)
{
    const lode_ctx key = { .seed = 9 };
    return lode_i_random_normal(lode_i_stream(&key, "kruskal", site), (uint64_t)i);
}

static lode_i_kruskal model(int ndim, bool scaled)
{
    lode_i_kruskal m = { .ndim = ndim, .k = K };
    for (int i = 0; i < ndim; i++) {
        assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F64, shape[i], K, &m.factor[i]));
        for (int64_t e = 0; e < shape[i] * K; e++)
            lode_i_set2(&m.factor[i], e / K, e % K, noise((uint64_t)i, e));
    }
    if (scaled) {
        assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, K, &m.scale));
        for (int64_t c = 0; c < K; c++)
            lode_i_set1(&m.scale, c, c == 1 ? -2 : 1 + (double)c);
    }
    return m;
}

static double entry(const lode_i_kruskal *m, const int64_t *index)
{
    double sum = 0;
    for (int64_t c = 0; c < m->k; c++) {
        double v = m->scale.data ? lode_i_get1(&m->scale, c) : 1;
        for (int i = 0; i < m->ndim; i++)
            v *= lode_i_get2(&m->factor[i], index[i], c);
        sum += v;
    }
    return sum;
}

static void boxes_are_sums_of_products(void **state)
{
    (void)state;
    for (int ndim = 2; ndim <= MODES; ndim++) {
        lode_i_kruskal m = model(ndim, ndim % 2 == 0);
        const int64_t start[] = { 2, 1, 0, 3 }, count[] = { 4, 3, 6, 1 };
        lode_array X = { 0 };
        int64_t index[MODES], at[MODES];
        double norm = 0, squares = 0;
        assert_ok(&ctx, lode_i_kruskal_expand(&ctx, &m, start, count, &X));
        for (int64_t e = 0, n = lode_array_size(&X); e < n; e++) {
            int64_t rest = e;
            for (int i = ndim - 1; i >= 0; i--) {
                at[i] = rest % count[i], rest /= count[i];
                index[i] = start[i] + at[i];
            }
            assert_near(lode_array_get(&X, at), entry(&m, index), 1e-12);
        }
        assert_ok(&ctx, lode_i_kruskal_expand(&ctx, &m, NULL, NULL, &X));
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &X, &squares));
        assert_ok(&ctx, lode_i_kruskal_norm(&ctx, &m, &norm));
        assert_near(norm, squares, 1e-12 * squares);
        lode_array_free(&X);
        lode_i_kruskal_free(&m);
    }
}

static void normal_forms_stand_for_the_same(void **state)
{
    (void)state;
    for (int ndim = 2; ndim <= MODES; ndim++)
        for (int form = 0; form < (ndim == 2 ? 2 : 1); form++) {
            lode_i_kruskal m = model(ndim, true);
            lode_array before = { 0 }, after = { 0 };
            double off = 0, G = 0;
            assert_ok(&ctx, lode_i_kruskal_expand(&ctx, &m, NULL, NULL, &before));
            assert_ok(&ctx, form ? lode_i_kruskal_orthogonalize(&ctx, &m)
                                 : lode_i_kruskal_normalize(&ctx, &m));
            assert_ok(&ctx, lode_i_kruskal_check(&ctx, "op", &m));
            assert_ok(&ctx, lode_i_kruskal_expand(&ctx, &m, NULL, NULL, &after));
            assert_ok(&ctx, lode_i_diff_fro(&ctx, &before, &after, &off));
            assert_le(off, 1e-12);
            for (int64_t i = 0; form && i < shape[0]; i++)
                G += lode_i_get2(&m.factor[0], i, 0) * lode_i_get2(&m.factor[0], i, 1);
            assert_near(G, 0, 1e-14);
            lode_array_free(&before);
            lode_array_free(&after);
            lode_i_kruskal_free(&m);
        }
}

static void what_is_no_normal_form_is_named(void **state)
{
    (void)state;
    lode_i_kruskal m = model(3, true);
    assert_ok(&ctx, lode_i_kruskal_normalize(&ctx, &m));
    lode_i_set2(&m.factor[1], 2, 1, 3);
    assert_status(&ctx, lode_i_kruskal_check(&ctx, "op", &m), LODE_EVERIFY);
    assert_says(&ctx, "column 1 of factor.1 has length");
    assert_ok(&ctx, lode_i_kruskal_normalize(&ctx, &m));
    lode_i_set1(&m.scale, 2, lode_i_get1(&m.scale, 1) * 2);
    assert_status(&ctx, lode_i_kruskal_check(&ctx, "op", &m), LODE_EVERIFY);
    assert_says(&ctx, "s[2] is");
    lode_i_kruskal_free(&m);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(boxes_are_sums_of_products),
        T(normal_forms_stand_for_the_same),
        T(what_is_no_normal_form_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
