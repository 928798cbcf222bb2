/* Coded tensors: what goes in comes out, close to the entropy, on any number of threads, and damage
 * is found. */
#include "fixture.h"

#include <math.h>

#include "code/code.h"

static int32_t laplacian(lode_stream s, uint64_t i, double scale)
{
    const double u = lode_i_random_uniform(s, i) - 0.5;
    return (int32_t)lrint(-scale * copysign(log(1 - 2 * fabs(u)), u));
}

static lode_array wrapped(const int32_t *symbol, int ndim, const int64_t *shape)
{
    return lode_array_wrap((int32_t *)(uintptr_t)symbol, LODE_I32, ndim, shape);
}

static lode_status encode(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                          lode_array *out)
{
    const lode_array a = wrapped(symbol, ndim, shape);
    return lode_i_encode(ctx, &a, out);
}

static lode_status decode(lode_ctx *ctx, const lode_array *coded, int ndim, const int64_t *shape,
                          int32_t *symbol)
{
    lode_array a = wrapped(symbol, ndim, shape);
    return lode_i_decode(ctx, coded, &a);
}

static void round_trip(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape,
                       int64_t *bytes)
{
    lode_array coded = { 0 };
    int64_t n = 1;
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    int32_t *back = malloc((size_t)(n + 1) * sizeof *back);
    assert_non_null(back);
    memset(back, 0x55, (size_t)(n + 1) * sizeof *back);
    assert_ok(ctx, encode(ctx, symbol, ndim, shape, &coded));
    assert_ok(ctx, decode(ctx, &coded, ndim, shape, back));
    assert_int_equal(n ? memcmp(symbol, back, (size_t)n * sizeof *back) : 0, 0);
    if (bytes)
        *bytes = coded.shape[0];
    lode_array_free(&coded);
    free(back);
}

static void all_shapes_round_trip(void **state)
{
    static const struct {
        int ndim;
        int64_t shape[18];
    } cases[] = {
        { 0, { 0 } },
        { 1, { 0 } },
        { 1, { 1 } },
        { 1, { 2 } },
        { 1, { 70000 } },
        { 2, { 1, 1 } },
        { 2, { 3, 5 } },
        { 2, { 0, 7 } },
        { 2, { 1000, 1 } },
        { 2, { 2, 70000 } },
        { 3, { 40, 41, 42 } },
        { 3, { 1, 300, 301 } },
        { 4, { 5, 6, 7, 8 } },
        { 5, { 3, 1, 4, 1, 5 } },
        { 8, { 2, 3, 2, 3, 2, 3, 2, 3 } },
        { 18, { 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 } },
    };
    lode_ctx *ctx = *state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t n = 1;
        for (int k = 0; k < cases[c].ndim; k++)
            n *= cases[c].shape[k];
        int32_t *symbol = malloc((size_t)(n + 1) * sizeof *symbol);
        assert_non_null(symbol);
        for (double scale = 0.05; scale < 1e6; scale *= 300) {
            for (int64_t i = 0; i < n; i++)
                symbol[i] = laplacian(lode_i_stream(ctx, "test", c), (uint64_t)i, scale);
            round_trip(ctx, symbol, cases[c].ndim, cases[c].shape, NULL);
        }
        free(symbol);
    }
}

static void extreme_symbols_round_trip(void **state)
{
    const int64_t shape[] = { 50, 60 };
    lode_ctx *ctx = *state;
    int32_t symbol[3000];
    const lode_stream s = lode_i_stream(ctx, "test", 0);
    for (int i = 0; i < 3000; i++) /* every bit random, and the two ends of the type */
        symbol[i] = i % 7 == 0    ? INT32_MIN
                    : i % 11 == 0 ? INT32_MAX
                                  : (int32_t)(uint32_t)lode_i_random_u64(s, (uint64_t)i);
    int64_t bytes = 0;
    round_trip(ctx, symbol, 2, shape, &bytes);
    assert_le(bytes, 3000 * 5);
    for (int i = 0; i < 3000; i++)
        symbol[i] = i == 1234 ? INT32_MIN : 0; /* one among zeros */
    round_trip(ctx, symbol, 2, shape, &bytes);
    assert_le(bytes, 150);
}

/* Independent symbols of one distribution: nothing can be learned but the distribution itself. What
 * the
 * 16 letters of a context cost to learn is about 10 bits each (half a logarithm of the count); with
 * some
 * 10 contexts met in each of 4 chunks that is under 1% of these streams, and 3% is allowed. */
static void size_is_near_the_entropy(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t n = 4 << 16, shape[] = { 512, 512 };
    int32_t *symbol = malloc((size_t)n * sizeof *symbol);
    assert_non_null(symbol);
    for (double scale = 0.3; scale < 3000; scale *= 10) {
        double bits = 0;
        for (int64_t i = 0; i < n; i++) {
            symbol[i] = laplacian(lode_i_stream(ctx, "test", 1), (uint64_t)i, scale);
            /* P(0) = 1 - e^(-1/2s), P(k) = e^(-|k|/s) sinh(1/2s) */
            bits -= symbol[i] ? (-abs(symbol[i]) / scale + log(sinh(0.5 / scale))) / log(2)
                              : log2(1 - exp(-0.5 / scale));
        }
        int64_t bytes = 0;
        round_trip(ctx, symbol, 2, shape, &bytes);
        assert_le((double)bytes, 1.03 * bits / 8);
    }
    free(symbol);
}

/* Scales that vary along both axes are what hints and neighbours are for: the size stays near the
 * entropy of each symbol under its own scale. */
static void varying_scales_are_learned(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t n = 4 << 16, shape[] = { 512, 512 };
    int32_t *symbol = malloc((size_t)n * sizeof *symbol);
    assert_non_null(symbol);
    double bits = 0, flat = 0, mean = 0;
    for (int64_t i = 0; i < n; i++) {
        const double scale = 200 * exp(-(double)(i / 512) / 60 - (double)(i % 512) / 60);
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 2), (uint64_t)i, scale);
        bits -= symbol[i] ? (-abs(symbol[i]) / scale + log(sinh(0.5 / scale))) / log(2)
                          : log2(1 - exp(-0.5 / scale));
        mean += abs(symbol[i]) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) /* the same with one scale for all */
        flat -= symbol[i] ? (-abs(symbol[i]) / mean + log(sinh(0.5 / mean))) / log(2)
                          : log2(1 - exp(-0.5 / mean));
    int64_t bytes = 0;
    round_trip(ctx, symbol, 2, shape, &bytes);
    assert_le((double)bytes, 1.05 * bits / 8);
    assert_le(3 * (double)bytes, flat / 8);
    free(symbol);
}

static void bits_do_not_depend_on_threads(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t n = 5 << 16, shape[] = { 5 << 6, 1 << 10 };
    int32_t *symbol = malloc((size_t)n * sizeof *symbol);
    lode_array one = { 0 }, four = { 0 };
    assert_non_null(symbol);
    for (int64_t i = 0; i < n; i++)
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 3), (uint64_t)i, 2 + (double)(i % 100));
    ctx->threads = 1;
    assert_ok(ctx, encode(ctx, symbol, 2, shape, &one));
    ctx->threads = 4;
    assert_ok(ctx, encode(ctx, symbol, 2, shape, &four));
    ctx->threads = 0;
    assert_int_equal(one.shape[0], four.shape[0]);
    assert_memory_equal(one.data, four.data, (size_t)one.shape[0]);
    LODE_FREE(&one, &four);
    free(symbol);
}

static void damage_is_found(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 30, 40 }, other[] = { 40, 30 };
    int32_t symbol[1200], back[1200];
    lode_array coded = { 0 };
    for (int i = 0; i < 1200; i++)
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 4), (uint64_t)i, 3);
    assert_ok(ctx, encode(ctx, symbol, 2, shape, &coded));
    const int64_t size = coded.shape[0];
    uint8_t *byte = coded.data;
    for (int64_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit += 3) {
            byte[i] ^= (uint8_t)(1 << bit);
            assert_status(ctx, decode(ctx, &coded, 2, shape, back), LODE_EFORMAT);
            byte[i] ^= (uint8_t)(1 << bit);
        }
    for (coded.shape[0] = 0; coded.shape[0] < size; coded.shape[0]++)
        assert_status(ctx, decode(ctx, &coded, 2, shape, back), LODE_EFORMAT);
    assert_status(ctx, decode(ctx, &coded, 2, other, back), LODE_EFORMAT);
    assert_ok(ctx, decode(ctx, &coded, 2, shape, back));
    lode_array_free(&coded);
}

/* Entries whose scale falls with the distance from the corner, as k^-power, and with the first axis alone. */
static void estimates_are_near(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 256, 96, 128 }, n = 256 * 96 * 128;
    static const double power[] = { 0, 1, 11.0 / 6, 3 };
    int32_t *symbol = malloc((size_t)n * sizeof *symbol);
    assert_non_null(symbol);
    for (size_t p = 0; p < sizeof power / sizeof *power; p++) {
        lode_array coded = { 0 };
        double estimate = 0;
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)(i / (96 * 128)), y = (double)(i / 128 % 96),
                         z = (double)(i % 128);
            const double scale = power[p] > 0
                                     ? 1e3 * pow(1 + sqrt(x * x + y * y + z * z), -power[p])
                                     : 5 * exp(-x / 20); /* most blocks nearly empty */
            symbol[i] = laplacian(lode_i_stream(ctx, "test", 6), (uint64_t)i, scale);
        }
        const lode_array a = wrapped(symbol, 3, shape);
        assert_ok(ctx, lode_i_encode(ctx, &a, &coded));
        assert_ok(ctx, lode_i_encode_estimate(ctx, &a, &estimate));
        assert_near(estimate, coded.shape[0], 0.02 * (double)coded.shape[0] + 200);
        lode_array_free(&coded);
    }
    free(symbol);
}

static void the_box_holds_all_nonzeros(void **state)
{
    const int64_t shape[] = { 4, 5, 6 };
    int32_t symbol[120] = { 0 };
    int64_t box[3];
    (void)state;
    const lode_array a = wrapped(symbol, 3, shape);
    lode_i_symbols_box(&a, box);
    assert_true(box[0] == 0 && box[1] == 0 && box[2] == 0);
    symbol[1 * 30 + 3 * 6 + 2] = 1, symbol[2 * 30 + 0 * 6 + 4] = -1;
    lode_i_symbols_box(&a, box);
    assert_true(box[0] == 3 && box[1] == 4 && box[2] == 5);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    lode_ctx ctx;
    const lode_allocator a = heap_of(&h);
    int32_t symbol[600], back[600];
    const int64_t shape[] = { 20, 30 };
    for (int i = 0; i < 600; i++)
        symbol[i] = 30 - i % 50;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    ctx.threads = 1;
    for (int64_t at = 1;; at++) {
        const int64_t live = atomic_load(&h.live);
        lode_array coded = { 0 };
        heap_fail(&h, at);
        lode_status st = encode(&ctx, symbol, 2, shape, &coded);
        if (st == LODE_OK)
            st = decode(&ctx, &coded, 2, shape, back);
        heap_fail(&h, 0);
        lode_array_free(&coded);
        assert_int_equal(atomic_load(&h.live), live);
        if (st == LODE_OK)
            break;
        assert_int_equal(st, LODE_ENOMEM);
    }
    assert_memory_equal(symbol, back, sizeof symbol);
    lode_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes_round_trip),
        cmocka_unit_test(extreme_symbols_round_trip),
        cmocka_unit_test(size_is_near_the_entropy),
        cmocka_unit_test(varying_scales_are_learned),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(estimates_are_near),
        cmocka_unit_test(the_box_holds_all_nonzeros),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
