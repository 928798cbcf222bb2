/* Random numbers: Philox's published answers, distributions, independence of streams. */
#include "fixture.h"

#include <math.h>

#include "base/base.h"

/* Known answers of Philox 4x32-10 that its authors publish (Random123, kat_vectors). */
static void the_published_answers(void **state)
{
    (void)state;
    const struct {
        uint32_t counter[4], key[2], want[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (int i = 0; i < 3; i++) {
        uint32_t w[4];
        const lode_stream s = { { known[i].key[0], known[i].key[1] },
                                { known[i].counter[2], known[i].counter[3] } };
        lode_i_random_block(s, known[i].counter[0] | (uint64_t)known[i].counter[1] << 32, w);
        for (int k = 0; k < 4; k++)
            assert_int_equal(w[k], known[i].want[k]);
    }
}

static lode_stream stream(uint64_t seed, const char *op, uint64_t site)
{
    const lode_ctx ctx = { .seed = seed };
    return lode_i_stream(&ctx, op, site);
}

static void numbers_are_halves_of_blocks(void **state)
{
    (void)state;
    const lode_stream s = stream(3, "svd", 1);
    for (uint64_t b = 0; b < 100; b++) {
        uint32_t w[4];
        lode_i_random_block(s, b, w);
        assert_int_equal(lode_i_random_u64(s, 2 * b), w[0] + ((uint64_t)w[1] << 32));
        assert_int_equal(lode_i_random_u64(s, 2 * b + 1), w[2] + ((uint64_t)w[3] << 32));
    }
}

static void streams_differ_in_seed_op_and_site(void **state)
{
    (void)state;
    const lode_stream s[] = {
        stream(0, "svd", 0), stream(1, "svd", 0), stream(UINT64_C(1) << 40, "svd", 0),
        stream(0, "svd", 1), stream(0, "svx", 0), stream(0, "", 0)
    };
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            assert_true(lode_i_random_u64(s[i], 0) != lode_i_random_u64(s[k], 0));
    const lode_stream again = stream(0, "svd", 0);
    assert_memory_equal(&s[0], &again, sizeof again);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov: sqrt(n) D exceeds 1.95 once in a thousand seeds. */
static double kolmogorov(double *x, int n, double (*cdf)(double))
{
    double d = 0;
    qsort(x, (size_t)n, sizeof *x, ascending);
    for (int i = 0; i < n; i++) {
        const double f = cdf(x[i]);
        /* one fmax in another is too much for gcc 12 on Arm, which breaks down over it */
        const double gap = fmax(f - (double)i / n, (double)(i + 1) / n - f);
        d = gap > d ? gap : d;
    }
    return d * sqrt(n);
}

static double uniform_cdf(double x)
{
    return x;
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

enum { N = 100000 };
static double sample[N];

static void uniform_is_uniform(void **state)
{
    (void)state;
    const lode_stream s = stream(11, "test", 0);
    double serial = 0;
    for (int i = 0; i < N; i++) {
        sample[i] = lode_i_random_uniform(s, (uint64_t)i);
        assert_true(sample[i] >= 0 && sample[i] < 1);
        serial += i > 0 ? (sample[i] - 0.5) * (sample[i - 1] - 0.5) * 12 / sqrt(N) : 0;
    }
    assert_le(fabs(serial), 3.3); /* a standard normal when neighbours are independent */
    assert_le(kolmogorov(sample, N, uniform_cdf), 1.95);
}

static void normal_is_normal(void **state)
{
    (void)state;
    const lode_stream s = stream(12, "test", 0);
    double m[5] = { 0 };
    for (int i = 0; i < N; i++) {
        sample[i] = lode_i_random_normal(s, (uint64_t)i);
        for (int k = 1; k <= 4; k++)
            m[k] += pow(sample[i], k) / N;
    }
    /* 3.3 deviations of each moment's own estimate: variances 1, 2, 15, 96 over n */
    assert_le(fabs(m[1]), 3.3 / sqrt(N));
    assert_le(fabs(m[2] - 1), 3.3 * sqrt(2.0 / N));
    assert_le(fabs(m[3]), 3.3 * sqrt(15.0 / N));
    assert_le(fabs(m[4] - 3), 3.3 * sqrt(96.0 / N));
    assert_le(kolmogorov(sample, N, normal_cdf), 1.95);
}

/* A stream whose number of the given index is u: Philox backwards, its rounds being invertible.
 * `free` are the bits of the block that u leaves open. */
static uint64_t index_of(uint64_t u, uint64_t free, lode_stream *s)
{
    /* of the multipliers, by Newton's steps */
    uint32_t inverse0 = 0xD2511F53, inverse1 = 0xCD9E8D57;
    for (int i = 0; i < 5; i++) {
        inverse0 *= 2 - UINT32_C(0xD2511F53) * inverse0;
        inverse1 *= 2 - UINT32_C(0xCD9E8D57) * inverse1;
    }
    uint32_t c[4] = { (uint32_t)u, (uint32_t)(u >> 32), (uint32_t)free, (uint32_t)(free >> 32) };
    for (uint32_t round = 10; round-- > 0;) {
        const uint32_t k0 = s->key[0] + round * UINT32_C(0x9E3779B9),
                       k1 = s->key[1] + round * UINT32_C(0xBB67AE85);
        const uint32_t c0 = c[3] * inverse0, c2 = c[1] * inverse1;
        c[1] = c[0] ^ (uint32_t)(UINT64_C(0xCD9E8D57) * c2 >> 32) ^ k0;
        c[3] = c[2] ^ (uint32_t)(UINT64_C(0xD2511F53) * c0 >> 32) ^ k1;
        c[0] = c0;
        c[2] = c2;
    }
    s->salt[0] = c[2], s->salt[1] = c[3];
    return c[0] | (uint64_t)c[1] << 32;
}

/* Phi of the number must be the probability it was made from: the quantile is checked point by
 * point, evenly in probability and evenly in its logarithm, so that a wrong digit in any of its
 *   coefficients shows. */
static void the_quantile_inverts_the_distribution(void **state)
{
    (void)state;
    double farthest = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        lode_stream s = stream(i, "quantile", 0);
        uint64_t u = lode_i_random_u64(s, i), block = UINT64_MAX;
        if (i % 2)
            u = (u & UINT64_C(1) << 63) | (u & (UINT64_MAX >> 1)) >> i / 2 % 63;
        for (uint64_t free = 0; block >> 63; free++)
            block = index_of(u, free, &s);
        assert_true(lode_i_random_u64(s, 2 * block) == u);
        const double p = ((double)(u & (UINT64_MAX >> 1)) + 0.5) * 0x1p-64;
        const double x = lode_i_random_normal(s, 2 * block);
        assert_true(u >> 63 ? x <= 0 : x >= 0);
        /* relative error of p is x times the error of x, of a few units in the last place each */
        const double back = 0.5 * erfc(fabs(x) / sqrt(2));
        assert_le(fabs(back - p), (8 + 4 * x * x) * 0x1p-52 * p);
        farthest = fmax(farthest, fabs(x));
    }
    assert_le(9, farthest);
}

static void below_is_uniform_and_in_range(void **state)
{
    (void)state;
    const lode_stream s = stream(6, "below", 0);
    int64_t count[7] = { 0 };
    for (uint64_t i = 0; i < 70000; i++)
        count[lode_i_random_below(s, i, 7)]++;
    double chi2 = 0;
    for (int k = 0; k < 7; k++)
        chi2 += pow((double)count[k] - 10000, 2) / 10000;
    assert_le(chi2, 22.5); /* 6 degrees of freedom, once in a thousand */
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(lode_i_random_below(s, i, 1), 0);
        const uint64_t big = lode_i_random_below(s, i, UINT64_MAX);
        /* floor(u (2^64 - 1) / 2^64) is u - 1, and 0 for 0 */
        const uint64_t u = lode_i_random_u64(s, i);
        assert_true(big == (u ? u - 1 : 0));
        const uint64_t half = lode_i_random_below(s, i, UINT64_C(1) << 63);
        assert_true(half == u >> 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_answers),
        cmocka_unit_test(numbers_are_halves_of_blocks),
        cmocka_unit_test(streams_differ_in_seed_op_and_site),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(normal_is_normal),
        cmocka_unit_test(the_quantile_inverts_the_distribution),
        cmocka_unit_test(below_is_uniform_and_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
