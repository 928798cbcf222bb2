/* Checksums and digests: against the formula written out, avalanche, collisions, and every byte
 * counted. */
#include "fixture.h"

#include "base/base.h"

/* The definition in hash.c once more, as slowly and plainly as it reads. */
static uint64_t constant(int n)
{
    uint64_t s = 0, z = 0;
    for (int i = 0; i <= n; i++) {
        s += UINT64_C(0x9E3779B97F4A7C15);
        z = s;
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
    }
    return z | 1;
}

static uint64_t mum(uint64_t a, uint64_t b)
{
    uint64_t low = 0, high = 0; /* the product bit by bit */
    for (int i = 0; i < 64; i++)
        if (b >> i & 1) {
            const uint64_t add = a << i, sum = low + add;
            high += (i ? a >> (64 - i) : 0) + (sum < low);
            low = sum;
        }
    return low ^ high;
}

static uint64_t plain(const unsigned char *p, size_t size, uint64_t seed, int j)
{
    uint64_t a[8], h = (uint64_t)size ^ constant(8 * j);
    for (int l = 0; l < 8; l++)
        a[l] = constant(8 * j + l) + seed;
    for (size_t s = 0; s < size; s += 64)
        for (int l = 0; l < 8; l++) {
            uint64_t w = 0;
            for (size_t b = 0; b < 8; b++) {
                const size_t at = s + 8 * (size_t)l + b;
                w |= (uint64_t)(at < size ? p[at] : 0) << 8 * b;
            }
            a[l] = mum(a[l] ^ w, constant(8 * j + l));
        }
    for (int l = 0; l < 8; l++)
        h = mum(h ^ a[l], constant(8 * ((j + 1) % 5) + l));
    h ^= h >> 32;
    h *= constant(8 * j);
    return h ^ h >> 29;
}

static uint64_t plain_digest(const unsigned char *p, size_t size, uint64_t leaf, int j)
{
    uint64_t a[8], h = (uint64_t)size ^ constant(8 * j);
    for (int l = 0; l < 8; l++)
        a[l] = constant(l) + leaf;
    for (size_t s = 0; 64 * s < size; s++) {
        uint64_t w[8] = { 0 };
        for (size_t at = 64 * s; at < 64 * s + 64 && at < size; at++)
            w[at % 64 / 8] |= (uint64_t)p[at] << 8 * (at % 8);
        for (int l = 0; l < 8; l++) {
            const uint64_t x = w[l] ^ constant(8 + (int)(s % 16) + l);
            a[l] = a[l] + (x & 0xFFFFFFFF) * (x >> 32) + w[l ^ 1];
        }
        for (int l = 0; l < 8 && s % 16 == 15; l++)
            a[l] = (a[l] ^ a[l] >> 47 ^ constant(31 + l)) * UINT64_C(0x9E3779B1);
    }
    for (int l = 0; l < 8; l++)
        h = mum(h ^ a[l], constant(8 * ((j + 1) % 5) + l));
    h ^= h >> 32;
    h *= constant(8 * j);
    return h ^ h >> 29;
}

static void fill(unsigned char *p, size_t size, uint64_t seed)
{
    const lode_ctx ctx = { .seed = seed };
    const lode_stream s = lode_i_stream(&ctx, "hash", 0);
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)lode_i_random_u64(s, i);
}

static void both_follow_the_formula(void **state)
{
    (void)state;
    static unsigned char p[9000];
    fill(p, sizeof p, 1);
    const size_t sizes[] = { 0,   1,    7,    8,    9,    63,   64,   65,   127, 128,
                             200, 1023, 1024, 1025, 1984, 4095, 4096, 4097, 8999 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const uint64_t seed = i * UINT64_C(0x123456789ABCDEF);
        const unsigned char *at = p + (i % 2 ? 1 : 0); /* aligned or not */
        lode_digest d;
        assert_true(lode_i_checksum(at, sizes[i], seed) == plain(at, sizes[i], seed, 0));
        lode_i_digest(at, sizes[i], seed, &d);
        for (int j = 0; j < 4; j++)
            assert_true(d.word[j] == plain_digest(at, sizes[i], seed, j + 1));
    }
    assert_true(lode_i_checksum(NULL, 0, 0) == plain(p, 0, 0, 0));
}

static void joining_is_the_digest_of_the_parts(void **state)
{
    (void)state;
    lode_digest part[70], joined;
    unsigned char bytes[70 * 32];
    for (int64_t count = 0; count <= 70; count += count < 9 || count > 60 ? 1 : 23) {
        for (int64_t i = 0; i < count; i++)
            lode_i_digest("leaf", 4, (uint64_t)i, &part[i]);
        for (int64_t i = 0; i < 32 * count; i++)
            bytes[i] = (unsigned char)(part[i / 32].word[i / 8 % 4] >> 8 * (i % 8));
        lode_i_digest_join(part, count, &joined);
        for (int j = 0; j < 4; j++)
            assert_true(joined.word[j] ==
                        plain_digest(bytes, (size_t)count * 32, UINT64_MAX, j + 1));
    }
    lode_i_digest_join(part, 1, &part[0]); /* in place */
    char hex[72];
    lode_i_digest_hex(&(lode_digest){ { 1, 0xABC, UINT64_MAX, 0 } }, hex);
    assert_string_equal(hex, "0000000000000001"
                             "0000000000000abc"
                             "ffffffffffffffff"
                             "0000000000000000");
}

/* Each flipped bit of the input flips each bit of the output half the time: over `trials` random
 * inputs the count of flips is binomial, and 5 deviations are exceeded by none of the 64 x 8 size
 * pairs but once in a thousand runs. */
static void one_bit_changes_half_of_the_others(void **state)
{
    (void)state;
    enum { TRIALS = 1024 };
    const size_t sizes[] = { 1, 4, 8, 40, 72 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned char p[72];
        for (size_t bit = 0; bit<8 * sizes[k]; bit += sizes[k]> 8 ? 13 : 1) {
            int flips[64] = { 0 };
            for (uint64_t trial = 0; trial < TRIALS; trial++) {
                fill(p, sizes[k], trial);
                const uint64_t before = lode_i_checksum(p, sizes[k], trial);
                p[bit / 8] = (unsigned char)(p[bit / 8] ^ 1 << bit % 8);
                const uint64_t change = before ^ lode_i_checksum(p, sizes[k], trial);
                for (int b = 0; b < 64; b++)
                    flips[b] += (int)(change >> b & 1);
            }
            /* deviation 16 */
            for (int b = 0; b < 64; b++)
                assert_in_range(flips[b], TRIALS / 2 - 5 * 16, TRIALS / 2 + 5 * 16);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void small_inputs_do_not_collide(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    static uint64_t h[MANY];
    size_t n = 0;
    unsigned char zero[400] = { 0 };
    for (uint64_t i = 0; i < 65536 + 256; i++) /* all inputs of one and of two bytes */
        h[n++] = lode_i_checksum((unsigned char[]){ (unsigned char)i, (unsigned char)(i >> 8) },
                                 i < 65536 ? 2 : 1, 0);
    for (size_t size = 0; size < 400; size++) /* zeros of every length: only the size differs */
        if (size != 1 && size != 2)
            h[n++] = lode_i_checksum(zero, size, 0);
    for (size_t a = 0; a < 8 * 48; a++) /* all pairs of bits: what linear mixes lose */
        for (size_t b = 0; b < a; b++) {
            zero[200 + a / 8] = (unsigned char)(zero[200 + a / 8] ^ 1 << a % 8);
            zero[200 + b / 8] = (unsigned char)(zero[200 + b / 8] ^ 1 << b % 8);
            h[n++] = lode_i_checksum(zero + 200, 96, 0);
            memset(zero, 0, sizeof zero);
        }
    for (uint64_t seed = 1; seed < 10000; seed++)
        h[n++] = lode_i_checksum(zero, 8, seed);
    assert_true(n <= MANY);
    qsort(h, n, sizeof *h, ascending);
    for (size_t i = 1; i < n; i++)
        assert_true(h[i] != h[i - 1]);
}

/* What one product a word could lose: pairs of bits, words and stripes exchanged, runs of one value. */
static void digests_of_small_changes_differ(void **state)
{
    (void)state;
    enum {
        SIZE = 2048,
        WORDS = SIZE / 8,
        BITS = 8 * 48,
        MANY = WORDS * WORDS / 2 + BITS * BITS / 2 + SIZE
    };
    static uint64_t h[MANY];
    static unsigned char p[SIZE], q[SIZE];
    lode_digest d;
    size_t n = 0;
    fill(p, sizeof p, 5);
    for (size_t a = 0; a < WORDS; a++)
        for (size_t b = 0; b < a; b++) {
            memcpy(q, p, sizeof p);
            memcpy(q + 8 * a, p + 8 * b, 8);
            memcpy(q + 8 * b, p + 8 * a, 8);
            lode_i_digest(q, sizeof q, 0, &d);
            h[n++] = d.word[0];
        }
    memset(q, 0, sizeof q);
    for (size_t size = 0; size < SIZE; size++) {
        lode_i_digest(q, size, 0, &d);
        h[n++] = d.word[0];
    }
    for (size_t a = 0; a < BITS; a++)
        for (size_t b = 0; b < a; b++) {
            q[1000 + a / 8] = (unsigned char)(q[1000 + a / 8] ^ 1 << a % 8);
            q[1000 + b / 8] = (unsigned char)(q[1000 + b / 8] ^ 1 << b % 8);
            lode_i_digest(q, sizeof q, 0, &d);
            h[n++] = d.word[0];
            memset(q + 1000, 0, BITS / 8);
        }
    qsort(h, n, sizeof *h, ascending);
    for (size_t i = 1; i < n; i++)
        assert_true(h[i] != h[i - 1]);
}

static void lanes_and_stripes_are_not_exchangeable(void **state)
{
    (void)state;
    unsigned char p[256], q[256];
    fill(p, sizeof p, 3);
    const uint64_t h = lode_i_checksum(p, sizeof p, 0);
    for (size_t a = 0; a < 32; a++)
        for (size_t b = 0; b < a; b++) {
            memcpy(q, p, sizeof p);
            memcpy(q + 8 * a, p + 8 * b, 8);
            memcpy(q + 8 * b, p + 8 * a, 8);
            assert_true(lode_i_checksum(q, sizeof q, 0) != h);
        }
}

static void each_bit_reaches_each_word_of_a_digest(void **state)
{
    (void)state;
    unsigned char p[1500];
    lode_digest before, after;
    fill(p, sizeof p, 4);
    lode_i_digest(p, sizeof p, 0, &before);
    for (size_t bit = 0; bit < 8 * sizeof p; bit++) {
        p[bit / 8] = (unsigned char)(p[bit / 8] ^ 1 << bit % 8);
        lode_i_digest(p, sizeof p, 0, &after);
        p[bit / 8] = (unsigned char)(p[bit / 8] ^ 1 << bit % 8);
        for (int j = 0; j < 4; j++)
            assert_true(after.word[j] != before.word[j]);
    }
    lode_i_digest(p, sizeof p, 1, &after);
    for (int j = 0; j < 4; j++)
        assert_true(after.word[j] != before.word[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_follow_the_formula),
        cmocka_unit_test(joining_is_the_digest_of_the_parts),
        cmocka_unit_test(one_bit_changes_half_of_the_others),
        cmocka_unit_test(small_inputs_do_not_collide),
        cmocka_unit_test(digests_of_small_changes_differ),
        cmocka_unit_test(lanes_and_stripes_are_not_exchangeable),
        cmocka_unit_test(each_bit_reaches_each_word_of_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
