/* The fast coder: what goes in comes out, as short as its own tables promise and near the entropy, on
 * any number of threads; damage is found, forged chunks too. */
#include "fixture.h"

#include <math.h>

#include "code/fast.h"

static int32_t laplacian(lode_stream s, uint64_t i, double scale)
{
    const double u = lode_i_random_uniform(s, i) - 0.5;
    return (int32_t)lrint(-scale * copysign(log(1 - 2 * fabs(u)), u));
}

static lode_array wrapped(const int32_t *symbol, int ndim, const int64_t *shape)
{
    return lode_array_wrap((int32_t *)(uintptr_t)symbol, LODE_I32, ndim, shape);
}

static int64_t size_of(int ndim, const int64_t *shape)
{
    int64_t n = 1;
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    return n;
}

static int32_t *symbols_new(int64_t n)
{
    int32_t *symbol = calloc((size_t)n + 1, sizeof *symbol);
    assert_non_null(symbol);
    return symbol;
}

/* Bytes of the code of what came back unchanged. */
static int64_t round_trip(lode_ctx *ctx, const int32_t *symbol, int ndim, const int64_t *shape)
{
    const int64_t n = size_of(ndim, shape);
    int32_t *const back = symbols_new(n);
    lode_array coded = { 0 }, to = wrapped(back, ndim, shape);
    const lode_array from = wrapped(symbol, ndim, shape);
    double estimate = 0;
    memset(back, 0x55, (size_t)n * sizeof *back);
    assert_ok(ctx, lode_i_encode_fast(ctx, &from, &coded));
    assert_ok(ctx, lode_i_decode(ctx, &coded, &to));
    assert_int_equal(n ? memcmp(symbol, back, (size_t)n * sizeof *back) : 0, 0);
    /* What the tables say each symbol takes, its plain bits, and about 100 bytes of header. */
    assert_ok(ctx, lode_i_encode_fast_estimate(ctx, &from, &estimate));
    const int64_t bytes = coded.shape[0];
    assert_near(bytes, estimate, 0.01 * estimate + 600);
    lode_array_free(&coded);
    free(back);
    return bytes;
}

static void all_shapes_round_trip(void **state)
{
    static const struct {
        int ndim;
        int64_t shape[8];
    } cases[] = {
        { 0, { 0 } },
        { 1, { 0 } },
        { 1, { 1 } },
        { 1, { 2 } },
        { 1, { 4095 } }, /* below, at and past where a vector becomes rows */
        { 1, { 4096 } },
        { 1, { 4097 } },
        { 1, { 65535 } }, /* about a chunk */
        { 1, { 65536 } },
        { 1, { 65537 } },
        { 2, { 1, 1 } },
        { 2, { 3, 5 } },
        { 2, { 0, 7 } },
        { 2, { 1000, 1 } },
        { 2, { 300, 17 } }, /* a group and one more */
        { 2, { 256, 257 } },
        { 3, { 40, 41, 42 } },
        { 3, { 1, 150, 151 } },
        { 4, { 5, 6, 7, 8 } },
        { 5, { 3, 1, 4, 1, 5 } },
        { 6, { 3, 4, 2, 5, 3, 20 } },
        { 8, { 2, 3, 2, 3, 2, 3, 2, 3 } },
    };
    lode_ctx *ctx = *state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t n = size_of(cases[c].ndim, cases[c].shape);
        int32_t *const symbol = symbols_new(n);
        for (double scale = 0.05; scale < 1e9; scale *= 3000) {
            for (int64_t i = 0; i < n; i++)
                symbol[i] = laplacian(lode_i_stream(ctx, "test", c), (uint64_t)i, scale);
            round_trip(ctx, symbol, cases[c].ndim, cases[c].shape);
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
    assert_le(round_trip(ctx, symbol, 2, shape), 3000 * 5);
    for (int bit = 0; bit < 31; bit++) { /* each magnitude up to 2^30, alone among small ones */
        for (int i = 0; i < 3000; i++)
            symbol[i] = i % 100 == 50 ? (int32_t)(UINT32_C(1) << bit) - (i % 3 == 0) : i % 2;
        round_trip(ctx, symbol, 2, shape);
    }
    for (int i = 0; i < 3000; i++)
        symbol[i] = i == 1234 ? INT32_MIN : 0;
    assert_le(round_trip(ctx, symbol, 2, shape), 250);
    for (int i = 0; i < 3000; i++)
        symbol[i] = 7; /* none is negative */
    round_trip(ctx, symbol, 2, shape);
    memset(symbol, 0, sizeof symbol);
    assert_le(round_trip(ctx, symbol, 2, shape), 60);
}

/* Independent symbols of one distribution, with its entropy for a bound. Classes that differ only by
 * chance cost what their tables take, about 20 bytes each; probabilities in 2^-12 and rounding in the
 * state take under 0.3%. */
static void size_is_near_the_entropy(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 512, 512 }, n = 1 << 18;
    int32_t *const symbol = symbols_new(n);
    for (double scale = 0.3; scale < 3000; scale *= 10) {
        double bits = 0;
        for (int64_t i = 0; i < n; i++) {
            symbol[i] = laplacian(lode_i_stream(ctx, "test", 1), (uint64_t)i, scale);
            /* P(0) = 1 - e^(-1/2s), P(k) = e^(-|k|/s) sinh(1/2s) */
            bits -= symbol[i] ? (-abs(symbol[i]) / scale + log(sinh(0.5 / scale))) / log(2)
                              : log2(1 - exp(-0.5 / scale));
        }
        assert_le(round_trip(ctx, symbol, 2, shape), 1.01 * bits / 8 + 600);
    }
    free(symbol);
}

static void varying_scales_are_learned(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 512, 512 }, n = 1 << 18;
    int32_t *const symbol = symbols_new(n);
    double bits = 0;
    for (int64_t i = 0; i < n; i++) {
        const double scale = 200 * exp(-(double)(i / 512) / 60 - (double)(i % 512) / 60);
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 2), (uint64_t)i, scale);
        bits -= symbol[i] ? (-abs(symbol[i]) / scale + log(sinh(0.5 / scale))) / log(2)
                          : log2(1 - exp(-0.5 / scale));
    }
    /* The estimate of each scale is a few percent off, which costs its square, and the tables. */
    assert_le(round_trip(ctx, symbol, 2, shape), 1.04 * bits / 8 + 600);
    free(symbol);
}

/* One in a thousand: in rows that expect nothing, 16 symbols take one flag. */
static void sparse_and_constant_symbols_take_little(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 64, 64, 64 }, n = 1 << 18;
    int32_t *const symbol = symbols_new(n);
    const lode_stream s = lode_i_stream(ctx, "test", 3);
    double some = 0;
    for (int64_t i = 0; i < n; i++) {
        symbol[i] = lode_i_random_below(s, (uint64_t)i, 1000) ? 0 : i % 2 ? 1 : -1;
        some += symbol[i] != 0;
    }
    /* Entropy: log2(1000) + log2(e) + 1 = 12.4 bits each; places inside a group and flags take up to
     * 2 bits more, false alarms beside a nonzero the rest. */
    assert_le(round_trip(ctx, symbol, 3, shape), 1.35 * 12.4 * some / 8 + 400);
    for (int64_t i = 0; i < n; i++)
        symbol[i] = 3; /* from 4 on, the lowest bit counts as noise */
    assert_le(round_trip(ctx, symbol, 3, shape), 1200);
    free(symbol);
}

static void bits_do_not_depend_on_threads(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t n = 5 << 16, shape[] = { 5 << 6, 1 << 10 };
    int32_t *const symbol = symbols_new(n), *const back = symbols_new(n);
    lode_array one = { 0 }, more = { 0 }, to = wrapped(back, 2, shape);
    for (int64_t i = 0; i < n; i++)
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 4), (uint64_t)i, 2 + (double)(i % 100));
    const lode_array from = wrapped(symbol, 2, shape);
    ctx->threads = 1;
    assert_ok(ctx, lode_i_encode_fast(ctx, &from, &one));
    for (ctx->threads = 2; ctx->threads <= 3; ctx->threads++) {
        assert_ok(ctx, lode_i_encode_fast(ctx, &from, &more));
        assert_int_equal(one.shape[0], more.shape[0]);
        assert_memory_equal(one.data, more.data, (size_t)one.shape[0]);
        assert_ok(ctx, lode_i_decode(ctx, &more, &to));
        assert_memory_equal(symbol, back, (size_t)n * sizeof *back);
    }
    ctx->threads = 0;
    LODE_FREE(&one, &more);
    free(symbol), free(back);
}

static void damage_is_found(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 30, 40 }, other[] = { 40, 30 };
    int32_t symbol[1200], back[1200];
    lode_array coded = { 0 }, to = wrapped(back, 2, shape), turned = wrapped(back, 2, other);
    for (int i = 0; i < 1200; i++)
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 5), (uint64_t)i, i < 400 ? 9 : 0.2);
    const lode_array from = wrapped(symbol, 2, shape);
    assert_ok(ctx, lode_i_encode_fast(ctx, &from, &coded));
    const int64_t size = coded.shape[0];
    uint8_t *const byte = coded.data;
    for (int64_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            byte[i] ^= (uint8_t)(1 << bit);
            assert_status(ctx, lode_i_decode(ctx, &coded, &to), LODE_EFORMAT);
            byte[i] ^= (uint8_t)(1 << bit);
        }
    for (coded.shape[0] = 0; coded.shape[0] < size; coded.shape[0]++)
        assert_status(ctx, lode_i_decode(ctx, &coded, &to), LODE_EFORMAT);
    assert_status(ctx, lode_i_decode(ctx, &coded, &turned), LODE_EFORMAT);
    assert_ok(ctx, lode_i_decode(ctx, &coded, &to));
    assert_memory_equal(symbol, back, sizeof back);
    lode_array_free(&coded);
}

/* Behind right checksums anything may stand: it is refused or gives some symbols, and nothing outside
 * of the arrays is touched, which sanitizers watch. */
static void forged_chunks_stay_in_bounds(void **state)
{
    lode_ctx *ctx = *state;
    const int64_t shape[] = { 20, 30, 50 }, n = 30000;
    int32_t *const symbol = symbols_new(n), *const back = symbols_new(n);
    code_grid g;
    code_hints hints = { .fast = true, .signs = true, .base = 10 };
    const code_weights weights = { .weight = { 60, 0, 0, 60, 20, 60, 10, 0 } };
    fast_tables *const t = calloc(1, sizeof *t);
    uint8_t *const forged = malloc(1 << 20);
    fast_bench *bench = NULL;
    fast_scan s;
    double bits = 0;
    assert_true(t && forged);
    for (int64_t i = 0; i < n; i++)
        symbol[i] = laplacian(lode_i_stream(ctx, "test", 6), (uint64_t)i, i < n / 2 ? 30 : 0.05);
    code_grid_make(3, shape, &g);
    assert_ok(ctx, fast_bench_new(ctx, &g, &bench));
    fast_levels(0, t);
    fast_chunk_scan(&g, 0, symbol, &hints, &weights, t, bench, &s);
    fast_frequencies(bench->counts, t->frequency, &bits);
    assert_true(fast_prepare(t, false) && fast_prepare(t, true));
    uint8_t *const plain = malloc((size_t)(s.bits + s.signs + 1));
    assert_non_null(plain);
    memcpy(plain, bench->bits, (size_t)s.bits);
    memcpy(plain + s.bits, bench->signs, (size_t)s.signs);
    s.plain = plain;
    const int64_t size = fast_chunk_encode(&g, &s, t, bench);
    assert_true(size < 1 << 20);
    memcpy(forged, bench->bytes, (size_t)size);
    assert_true(fast_chunk_decode(&g, 0, forged, size, &hints, &weights, t, bench, back));
    assert_memory_equal(symbol, back, (size_t)n * sizeof *back);
    const lode_stream r = lode_i_stream(ctx, "test", 7);
    int refused = 0;
    for (uint64_t i = 0; i < 400; i++) { /* the head more often than the rest */
        const int64_t span = i % 2 ? size : 60;
        uint8_t *const at = forged + lode_i_random_below(r, 4 * i, (uint64_t)span);
        const uint8_t before = *at;
        *at = (uint8_t)lode_i_random_u64(r, 4 * i + 1);
        const int64_t cut = i % 5 ? size
                                  : (int64_t)lode_i_random_below(r, 4 * i + 2, (uint64_t)size);
        refused += !fast_chunk_decode(&g, 0, forged, cut, &hints, &weights, t, bench, back);
        *at = before;
    }
    for (uint64_t i = 0; i < 50; i++) { /* all of it noise behind a fair beginning */
        for (int64_t k = 40; k < size; k++)
            forged[k] = (uint8_t)lode_i_random_u64(r, (i << 20) + (uint64_t)k);
        refused += !fast_chunk_decode(&g, 0, forged, size, &hints, &weights, t, bench, back);
    }
    assert_le(300, refused);
    fast_bench_free(bench);
    free(symbol), free(back), free(t), free(forged), free(plain);
}

/* Division by multiplication, where it is nearest to failing: multiples of the frequency, and one less. */
static void steps_divide_exactly(void **state)
{
    fast_tables *const t = calloc(1, sizeof *t);
    (void)state;
    assert_non_null(t);
    for (uint32_t f = 1; f < FAST_SLOTS; f++) {
        fast_defaults(t->frequency);
        memset(t->frequency, 0, CODE_TOKENS * sizeof *t->frequency);
        t->frequency[0] = (uint16_t)f, t->frequency[1] = (uint16_t)(FAST_SLOTS - f);
        if (f % 64 == 1)
            assert_true(fast_prepare(t, false));
        else
            continue;
        const fast_step *const s = &t->step[0];
        for (uint64_t q = 1; q * f < UINT64_C(1) << 31; q += 1 + q / 3)
            for (uint64_t x = q * f - 1; x <= q * f; x++)
                assert_int_equal(x * s->reciprocal >> s->shift, x / f);
    }
    t->frequency[0]++;
    assert_false(fast_prepare(t, false));
    free(t);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    lode_ctx ctx;
    const lode_allocator a = heap_of(&h);
    static const struct {
        int ndim;
        int64_t shape[2];
    } cases[] = { { 2, { 20, 30 } }, { 1, { 5000 } } };
    int32_t symbol[5000], back[5000];
    for (int i = 0; i < 5000; i++)
        symbol[i] = 30 - i % 50;
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    ctx.threads = 1;
    for (int c = 0; c < 2; c++)
        for (int64_t at = 1;; at++) {
            const int64_t live = atomic_load(&h.live);
            const lode_array from = wrapped(symbol, cases[c].ndim, cases[c].shape);
            lode_array coded = { 0 }, to = wrapped(back, cases[c].ndim, cases[c].shape);
            double bytes = 0;
            heap_fail(&h, at);
            lode_status st = lode_i_encode_fast(&ctx, &from, &coded);
            if (st == LODE_OK)
                st = lode_i_encode_fast_estimate(&ctx, &from, &bytes);
            if (st == LODE_OK)
                st = lode_i_decode(&ctx, &coded, &to);
            heap_fail(&h, 0);
            lode_array_free(&coded);
            assert_int_equal(atomic_load(&h.live), live);
            if (st == LODE_OK)
                break;
            assert_int_equal(st, LODE_ENOMEM);
            assert_true(at < 200);
        }
    lode_ctx_free(&ctx);
    assert_int_equal(atomic_load(&h.live), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes_round_trip),
        cmocka_unit_test(extreme_symbols_round_trip),
        cmocka_unit_test(size_is_near_the_entropy),
        cmocka_unit_test(varying_scales_are_learned),
        cmocka_unit_test(sparse_and_constant_symbols_take_little),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(forged_chunks_stay_in_bounds),
        cmocka_unit_test(steps_divide_exactly),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
