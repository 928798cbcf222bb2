/* Quantization by error and bits: thresholds against the cheaper of the two magnitudes, one by one;
 * the error told is the one that comes back and stays within what was given; fewer bytes for the same
 * error. */
#include "fixture.h"

#include <math.h>

#include "code/fast.h"

static const uint32_t firsts[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24, 32, 64 };

/* Bits of a magnitude below 16: token, bits within it, sign. */
static double bits_of(const fast_rates *r, int class, int m)
{
    int k = 0;
    while (k + 1 < 16 && (int)firsts[k + 1] <= m)
        k++;
    /* a nonzero among zeros counts one more */
    return r->token[class][k] + log2((double)(firsts[k + 1] - firsts[k])) +
           (m ? r->sign + (class < FAST_QUIET) : 0);
}

static double cost(const fast_rates *r, const double shift[2], int class, double x, int m,
                   double price)
{
    const double back = m ? m + shift[m > 1] : 0;
    return (x - back) * (x - back) + price * bits_of(r, class, m);
}

static void thresholds_find_the_cheaper_magnitude(void **state)
{
    const lode_stream s = lode_i_stream(*state, "test", 1);
    static const double shift[2] = { -0.04, 0.06 };
    static fast_rates r;
    uint64_t at = 0;
    for (int turn = 0; turn < 20; turn++) {
        const double price = 0.02 + 0.2 * lode_i_random_uniform(s, at++);
        for (int c = 0; c < FAST_CLASSES; c++)
            for (int k = 0; k < CODE_TOKENS; k++)
                r.token[c][k] = (float)(0.1 + 10 * lode_i_random_uniform(s, at++));
        r.sign = (float)(turn % 2);
        fast_thresholds(shift, (float)price, &r);
        for (int c = 0; c < 4 * (CODE_UNIT + 1); c++) /* where all bits go through the models */
            for (int i = 0; i < 200; i++) {
                const double x = 14.4 * lode_i_random_uniform(s, at++);
                const int m = (int)(x + 0.5);
                const bool lower = x - m < (double)r.least[c][m];
                const double stay = cost(&r, shift, c, x, m, price);
                const double go = m ? cost(&r, shift, c, x, m - 1, price) : INFINITY;
                if (lower)
                    assert_le(go, stay + 1e-5);
                else
                    assert_le(stay, go + 1e-5);
            }
    }
}

/* Coefficients whose size falls with their distance from the origin, signs at random. */
static void make(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape, double fall,
                 lode_array *x)
{
    const lode_stream s = lode_i_stream(ctx, "test", 2);
    int64_t index[8] = { 0 };
    lode_array made = { 0 };
    assert_ok(ctx, lode_array_new(ctx, LODE_F64, ndim, shape, &made));
    double *v = made.data;
    for (int64_t i = 0, n = lode_array_size(&made); i < n; i++) {
        double far = 1;
        for (int k = 0; k < ndim; k++)
            far += (double)index[k];
        v[i] = lode_i_random_normal(s, (uint64_t)i) * 100 * pow(far, -fall);
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
    assert_ok(ctx, lode_array_cast(ctx, &made, dtype, x));
    lode_array_free(&made);
}

static double error_of(lode_ctx *ctx, const lode_array *x, const lode_array *q,
                       const lode_quantizer *z)
{
    lode_array y = { 0 };
    lode_diff d;
    assert_ok(ctx, lode_i_dequantize(ctx, q, z, x->dtype, &y));
    assert_ok(ctx, lode_i_diff(ctx, x, &y, &d));
    lode_array_free(&y);
    return d.sumsq;
}

static double bytes_of(lode_ctx *ctx, const lode_array *q)
{
    lode_array coded = { 0 };
    assert_ok(ctx, lode_i_encode_fast(ctx, q, &coded));
    const double bytes = (double)coded.shape[0];
    lode_array_free(&coded);
    return bytes;
}

static const struct {
    lode_dtype dtype;
    int ndim;
    int64_t shape[3];
    double fall, step, saves; /* share of the bytes, at least */
} cases[] = {
    { LODE_F32, 3, { 160, 160, 200 }, 1.6, 0.1, 0.03 }, /* many blocks: sample and stages */
    { LODE_F64, 3, { 60, 70, 80 }, 2.2, 0.01, 0.04 },   /* few: all of them at each step */
    { LODE_F32, 2, { 700, 301 }, 1.5, 0.2, 0.02 },
    { LODE_F32, 2, { 3, 1100 }, 1, 1, 0 }, /* rows longer than a piece */
    { LODE_F64, 1, { 3000 }, 1, 0.5, -0.03 },
    { LODE_F32, 3, { 3, 4, 5 }, 1, 10, -0.1 },
};

static void same_error_takes_fewer_bytes(void **state)
{
    lode_ctx *ctx = *state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        lode_array x = { 0 }, q = { 0 }, plain = { 0 };
        lode_quantizer z = { .step = cases[c].step, .zone = 0.6 };
        double before = 0, more = 0;
        make(ctx, cases[c].dtype, cases[c].ndim, cases[c].shape, cases[c].fall, &x);
        assert_ok(ctx, lode_i_quantizer_fit(ctx, &x, &z, &before, NULL));
        assert_ok(ctx, lode_i_quantize(ctx, &x, &z, &plain));
        assert_near(error_of(ctx, &x, &plain, &z), before, 1e-5 * before);
        more = 0.005 * before;
        assert_ok(ctx, lode_i_quantize_rated(ctx, &x, &z, &more, &q));
        if (!q.data) { /* only where no step came near enough */
            assert_true(lode_array_size(&x) < 100);
            LODE_FREE(&x, &plain);
            continue;
        }
        const double error = error_of(ctx, &x, &q, &z);
        assert_near(error, before + more, 1e-5 * before);
        assert_le(error, 1.00501 * before);
        assert_le(bytes_of(ctx, &q), (1 - cases[c].saves) * bytes_of(ctx, &plain));
        /* no magnitude but the nearest, one less, or nothing */
        const int32_t *symbol = q.data;
        for (int64_t i = 0; i < lode_array_size(&x); i++) {
            int64_t index[3], flat = i;
            for (int k = x.ndim - 1; k >= 0; flat /= x.shape[k--])
                index[k] = flat % x.shape[k];
            const double v = lode_array_get(&x, index) / z.step;
            const int near = (int)(fabs(v) + 0.5), m = abs(symbol[i]);
            if (fabs(fabs(v) - floor(fabs(v)) - 0.5) < 1e-4)
                continue;
            assert_true(m == near || m == near - 1 || m == 0);
            assert_true(m == 0 || (symbol[i] < 0) == (v < 0));
        }
        LODE_FREE(&x, &q, &plain);
    }
}

static void bits_do_not_depend_on_threads(void **state)
{
    lode_ctx *ctx = *state;
    for (size_t c = 0; c < 2; c++) {
        lode_array x = { 0 }, one = { 0 }, q = { 0 };
        double more[2];
        lode_quantizer z[2];
        make(ctx, cases[c].dtype, cases[c].ndim, cases[c].shape, cases[c].fall, &x);
        for (ctx->threads = 1; ctx->threads <= 3; ctx->threads++) {
            const int at = ctx->threads > 1;
            z[at] = (lode_quantizer){ .step = cases[c].step, .zone = 0.6 };
            more[at] = 0;
            assert_ok(ctx, lode_i_quantizer_fit(ctx, &x, &z[at], NULL, NULL));
            assert_ok(ctx, lode_i_quantize_rated(ctx, &x, &z[at], &more[at], at ? &q : &one));
            assert_non_null(at ? q.data : one.data);
            if (!at)
                continue;
            assert_memory_equal(&z[0], &z[1], sizeof *z);
            assert_true(more[0] == more[1]);
            assert_memory_equal(one.data, q.data, lode_array_bytes(&q));
        }
        ctx->threads = 0;
        LODE_FREE(&x, &one, &q);
    }
}

static void nothing_to_choose_changes_nothing(void **state)
{
    lode_ctx *ctx = *state;
    static const int64_t shapes[][2] = { { 0, 4 }, { 5, 7 } };
    for (int i = 0; i < 2; i++) {
        lode_array x = { 0 }, q = { 0 };
        double more = 0;
        lode_quantizer z = { .step = 1, .zone = 0.6 };
        assert_ok(ctx, lode_array_new(ctx, LODE_F32, 2, shapes[i], &x)); /* zeros */
        assert_ok(ctx, lode_i_quantize_rated(ctx, &x, &z, &more, &q));
        assert_null(q.data);
        assert_true(z.step == 1 && more == 0);
        LODE_FREE(&x);
    }
    double huge[] = { 1e30, 1, -2, 3 };
    const int64_t four[] = { 2, 2 };
    const lode_array x = lode_array_wrap(huge, LODE_F64, 2, four);
    lode_array q = { 0 };
    double more = 1;
    lode_quantizer z = { .step = 1, .zone = 0.6 };
    assert_status(ctx, lode_i_quantize_rated(ctx, &x, &z, &more, &q), LODE_EDOMAIN);
    huge[0] = NAN;
    assert_status(ctx, lode_i_quantize_rated(ctx, &x, &z, &more, &q), LODE_EDOMAIN);
    assert_null(q.data);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    lode_ctx ctx;
    const lode_allocator a = heap_of(&h);
    static const int64_t shape[] = { 40, 50 };
    lode_array x = { 0 };
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    ctx.threads = 1;
    make(&ctx, LODE_F32, 2, shape, 1.5, &x);
    for (int64_t at = 1;; at++) {
        const int64_t live = atomic_load(&h.live);
        lode_array q = { 0 };
        lode_quantizer z = { .step = 0.5, .zone = 0.6 };
        double more = 0;
        heap_fail(&h, at);
        const lode_status st = lode_i_quantize_rated(&ctx, &x, &z, &more, &q);
        heap_fail(&h, 0);
        if (st != LODE_OK)
            assert_true(!q.data && z.step == 0.5 && more == 0);
        lode_array_free(&q);
        assert_int_equal(atomic_load(&h.live), live);
        if (st == LODE_OK)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_true(at < 200);
    }
    lode_array_free(&x);
    lode_ctx_free(&ctx);
    assert_int_equal(atomic_load(&h.live), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_find_the_cheaper_magnitude),
        cmocka_unit_test(same_error_takes_fewer_bytes),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(nothing_to_choose_changes_nothing),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
