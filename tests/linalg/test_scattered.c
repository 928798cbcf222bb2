/* Sums over scattered places against the same written out over whole cores and Kronecker products. */
#include <math.h>

#include "fixture.h"
#include "linalg/scattered.h"

enum { MOST = 4, CORE = 48 };

typedef struct problem {
    int d;
    int64_t n, r[LODE_I_SCATTERED_MODES], K;
    lode_array table, core_cov, cov[MOST];
    lode_i_scattered s;
    lode_i_multilinear m;
} problem;

static lode_array random_spd(lode_ctx *ctx, uint64_t site, int64_t count, int64_t n)
{
    lode_array B = { 0 }, G = { 0 }, out = { 0 };
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, (const int64_t[]){ count, n, n }, &out));
    for (int64_t i = 0; i < count; i++) {
        assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "spd", site + 97 * (uint64_t)i),
                                    LODE_F64, n + 1, n, &B));
        assert_ok(ctx, lode_i_gram(ctx, LODE_T, &B, &G));
        memcpy((double *)out.data + i * n * n, G.data, (size_t)(n * n) * sizeof(double));
    }
    LODE_FREE(&B, &G);
    return out;
}

/* Indexes repeat: there are 5 in even modes; in odd ones most are distinct. */
static problem make(lode_ctx *ctx, int d, const int64_t *r, int64_t n)
{
    problem q = { .d = d, .n = n, .K = 1 };
    const lode_stream s = lode_i_stream(ctx, "scattered", (uint64_t)d);
    lode_array flat = { 0 };
    assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, n, d + 1, &q.table));
    for (int64_t i = 0; i < n * (d + 1); i++) {
        const double x = lode_i_random_normal(s, (uint64_t)i);
        const int64_t k = i % (d + 1);
        lode_i_set2(&q.table, i / (d + 1), k,
                    k < d && k % 2 == 0 ? fmod(floor(fabs(8 * x)), 5) : x);
    }
    assert_ok(ctx, lode_i_scattered_from(ctx, &q.table, d, true, 0.5, 2, NULL, &q.s));
    q.m.d = d;
    for (int k = 0; k < d; k++) {
        const int64_t g = q.s.grid[k].shape[0];
        q.m.r[k] = q.r[k] = r[k], q.K *= r[k];
        assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "mean", (uint64_t)k), LODE_F64, g, r[k],
                                    &q.m.mean[k]));
        q.cov[k] = random_spd(ctx, (uint64_t)k, g, r[k]);
        assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, g, r[k] * (r[k] + 1) / 2, &q.m.second[k]));
        lode_i_pack_moments(&q.m.mean[k], &q.cov[k], &q.m.second[k]);
    }
    assert_ok(ctx, lode_i_randn(ctx, lode_i_stream(ctx, "core", 0), LODE_F64, 1, q.K, &flat));
    assert_ok(ctx, lode_array_reshape(ctx, &flat, 1, &q.K, &q.m.core));
    lode_array_free(&flat);
    flat = random_spd(ctx, 50, 1, q.K);
    assert_ok(ctx, lode_array_reshape(ctx, &flat, 2, (const int64_t[]){ q.K, q.K }, &q.core_cov));
    lode_array_free(&flat);
    assert_ok(ctx, lode_i_pack_core(ctx, &q.core_cov, &q.m));
    return q;
}

static void problem_free(problem *q)
{
    LODE_FREE(&q->table, &q->core_cov);
    for (int k = 0; k < MOST; k++)
        LODE_FREE(&q->cov[k]);
    lode_i_scattered_free(&q->s);
    lode_i_multilinear_free(&q->m);
}

/* Entry of the mean, or of the second moments, of mode k at place i. */
static double mean(const problem *q, int k, int64_t i, int64_t a)
{
    return lode_i_get2(&q->m.mean[k], ((int64_t *)q->s.row[k].data)[i], a);
}

static double second(const problem *q, int k, int64_t i, int64_t a, int64_t b)
{
    const int64_t j = ((int64_t *)q->s.row[k].data)[i], r = q->r[k];
    return ((double *)q->cov[k].data)[(j * r + a) * r + b] + mean(q, k, i, a) * mean(q, k, i, b);
}

static int64_t digit(const problem *q, int64_t e, int k)
{
    for (int j = q->d - 1; j > k; j--)
        e /= q->r[j];
    return e % q->r[k];
}

static double core_second(const problem *q, int64_t e, int64_t f)
{
    return lode_i_get2(&q->core_cov, e, f) +
           lode_i_get1(&q->m.core, e) * lode_i_get1(&q->m.core, f);
}

/* Product over the modes but one of means, or of second moments. */
static double product(const problem *q, int64_t i, int64_t e, int64_t f, int but)
{
    double x = 1;
    for (int k = 0; k < q->d; k++)
        if (k != but)
            x *= f < 0 ? mean(q, k, i, digit(q, e, k))
                       : second(q, k, i, digit(q, e, k), digit(q, f, k));
    return x;
}

static const int64_t ranks[][MOST] = { { 3 }, { 2, 3 }, { 2, 1, 3 }, { 2, 2, 1, 2 } };

static void reading_finds_the_places(void **state)
{
    lode_ctx *ctx = *state;
    problem q = make(ctx, 3, ranks[2], 60);
    for (int k = 0; k < 3; k++) {
        const int64_t *row = q.s.row[k].data, *first = q.s.first[k].data,
                      *order = q.s.order[k].data;
        const int64_t g = q.s.grid[k].shape[0];
        assert_true(k % 2 ? g > 50 : g <= 5);
        for (int64_t i = 0; i < 60; i++)
            assert_true(lode_i_get1(&q.s.grid[k], row[i]) == lode_i_get2(&q.table, i, k));
        assert_int_equal(first[g], 60);
        for (int64_t j = 0; j < g; j++)
            for (int64_t e = first[j]; e < first[j + 1]; e++)
                assert_true(row[order[e]] == j && (e == first[j] || order[e] > order[e - 1]));
    }
    for (int64_t i = 0; i < 60; i++)
        assert_near(lode_i_get1(&q.s.value, i), (lode_i_get2(&q.table, i, 3) - 0.5) / 2, 1e-15);
    problem_free(&q);
}

static void messages_are_the_moments_written_out(void **state)
{
    lode_ctx *ctx = *state;
    for (int d = 1; d <= MOST; d++) {
        problem q = make(ctx, d, ranks[d - 1], 40);
        for (int k = 0; k < d; k++) {
            const int64_t g = q.s.grid[k].shape[0], r = q.r[k], shape[] = { g, r, r };
            lode_array L = { 0 }, h = { 0 };
            assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 3, shape, &L));
            assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, shape, &h));
            assert_ok(ctx, lode_i_fill(ctx, &h, 5));
            assert_ok(ctx, lode_i_scattered_messages(ctx, &q.s, &q.m, k, 1.5, 0.8, &L, &h));
            for (int64_t j = 0; j < g; j++)
                for (int64_t a = 0; a < r; a++) {
                    double shift = 0, precision[8] = { 0 };
                    for (int64_t i = 0; i < q.n; i++) {
                        if (((int64_t *)q.s.row[k].data)[i] != j)
                            continue;
                        for (int64_t e = 0; e < q.K; e++) {
                            if (digit(&q, e, k) != a)
                                continue;
                            shift += lode_i_get1(&q.s.value, i) * lode_i_get1(&q.m.core, e) *
                                     product(&q, i, e, -1, k);
                            for (int64_t f = 0; f < q.K; f++)
                                precision[digit(&q, f, k)] += core_second(&q, e, f) *
                                                              product(&q, i, e, f, k);
                        }
                    }
                    assert_near(lode_i_get2(&h, j, a), 0.2 * 5 + 0.8 * 1.5 * shift,
                                1e-10 * (1 + fabs(shift)));
                    for (int64_t b = 0; b < r; b++)
                        assert_near(((double *)L.data)[(j * r + a) * r + b],
                                    0.8 * 1.5 * precision[b],
                                    1e-10 * (1 + fabs(precision[b])) * 100);
                }
            LODE_FREE(&L, &h);
        }
        problem_free(&q);
    }
}

static void sums_and_values_are_the_moments_written_out(void **state)
{
    lode_ctx *ctx = *state;
    for (int d = 1; d <= MOST; d++) {
        problem q = make(ctx, d, ranks[d - 1], 40);
        lode_array seconds = { 0 }, firsts = { 0 }, A = { 0 }, f = { 0 }, V = { 0 };
        assert_ok(ctx, lode_i_scattered_sums(ctx, &q.s, &q.m, &seconds, &firsts));
        assert_ok(ctx, lode_i_unpack_core(ctx, d, q.r, &seconds, 3, &A));
        assert_ok(ctx, lode_i_scattered_values(ctx, &q.s, &q.m, &f, &V));
        for (int64_t e = 0; e < q.K; e++) {
            double first = 0;
            for (int64_t i = 0; i < q.n; i++)
                first += lode_i_get1(&q.s.value, i) * product(&q, i, e, -1, -1);
            assert_near(lode_i_get1(&firsts, e), first, 1e-10 * (1 + fabs(first)));
            for (int64_t g = 0; g < q.K; g++) {
                double all = e == g;
                for (int64_t i = 0; i < q.n; i++)
                    all += 3 * product(&q, i, e, g, -1);
                assert_near(lode_i_get2(&A, e, g), all, 1e-9 * (1 + fabs(all)));
            }
        }
        for (int64_t i = 0; i < q.n; i++) {
            double value = 0, squares = 0;
            for (int64_t e = 0; e < q.K; e++) {
                value += lode_i_get1(&q.m.core, e) * product(&q, i, e, -1, -1);
                for (int64_t g = 0; g < q.K; g++)
                    squares += core_second(&q, e, g) * product(&q, i, e, g, -1);
            }
            assert_near(lode_i_get1(&f, i), value, 1e-11 * (1 + fabs(value)));
            assert_near(lode_i_get1(&V, i), squares - value * value, 1e-10 * (1 + squares));
        }
        LODE_FREE(&seconds, &firsts, &A, &f, &V);
        problem_free(&q);
    }
}

static void threads_give_the_same_bits(void **state)
{
    lode_ctx *ctx = *state;
    problem q = make(ctx, 3, ranks[2], 9000);
    lode_array seconds[2] = { { 0 } }, firsts[2] = { { 0 } };
    for (int i = 0; i < 2; i++) {
        ctx->threads = 1 + 2 * i;
        assert_ok(ctx, lode_i_scattered_sums(ctx, &q.s, &q.m, &seconds[i], &firsts[i]));
    }
    assert_memory_equal(seconds[0].data, seconds[1].data, lode_array_bytes(&seconds[0]));
    assert_memory_equal(firsts[0].data, firsts[1].data, lode_array_bytes(&firsts[0]));
    LODE_FREE(&seconds[0], &seconds[1], &firsts[0], &firsts[1]);
    problem_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_finds_the_places),
        cmocka_unit_test(messages_are_the_moments_written_out),
        cmocka_unit_test(sums_and_values_are_the_moments_written_out),
        cmocka_unit_test(threads_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
