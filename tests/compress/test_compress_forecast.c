/* The forecast of compress against what a run gives: its size lies in the range, which is one number
 * where the data is regular; where nothing can be told, that is said. */
#include "compressed.h"

#include <math.h>

#include "op/op.h"

/* Bytes of a file beside its members: header, names, padding. */
#define FILE_BYTES 1200.0

typedef double (*field)(const int64_t *at);

static double hash(const int64_t *at)
{
    uint64_t h = 7;
    for (int k = 0; k < 3; k++)
        h = (h ^ (uint64_t)at[k]) * UINT64_C(0x9E3779B97F4A7C15), h ^= h >> 29;
    return (double)(h >> 11) * 0x1p-53;
}

static double noise(const int64_t *at)
{
    double sum = -6;
    for (int64_t i = 0; i < 12; i++)
        sum += hash((const int64_t[]){ at[0] + 1000 * i, at[1], at[2] });
    return sum;
}

static double waves(const int64_t *at)
{
    const double x = (double)at[0], y = (double)at[1], z = (double)at[2];
    return sin(0.11 * x) * cos(0.07 * y) + sin(0.23 * y + 0.05 * z) + 0.02 * noise(at);
}

static double masked(const int64_t *at)
{
    const int64_t r = (at[0] - 30) * (at[0] - 30) + (at[1] - 20) * (at[1] - 20);
    return r < 150 || at[1] > 40 ? NAN : waves(at);
}

static double low_rank(const int64_t *at)
{
    double v = 0;
    for (int64_t i = 0; i < 3; i++)
        v += noise((const int64_t[]){ i, at[0], 3000 }) *
             noise((const int64_t[]){ i, 4000, at[1] }) *
             noise((const int64_t[]){ i + 5000, at[2], 0 });
    return v;
}

static double steps(const int64_t *at)
{
    return (at[0] > 20 && at[1] < 33 ? 3 : 0) - (at[2] > 11 && at[2] < 40 ? 1 : 0);
}

static double spikes(const int64_t *at)
{
    return hash(at) < 0.001 ? 10 * noise(at) : 0;
}

static double constant(const int64_t *at)
{
    (void)at;
    return 3.5;
}

static void make(fix *f, field of, lode_dtype dtype, int ndim, const int64_t *shape)
{
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    double *v = a.data;
    const int64_t size = lode_array_size(&a);
    for (int64_t i = 0; i < size; i++) {
        int64_t at[3] = { 0 }, rest = i;
        for (int k = ndim - 1; k >= 0; rest /= shape[k--])
            at[k % 3] = 64 * at[k % 3] + rest % shape[k];
        v[i] = of(at);
        if (lode_dtype_class(dtype) == 'i')
            v[i] = rint(100 * v[i]);
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

static lode_plan forecast(fix *f, lode_value x, const char *const *options)
{
    lode_call call;
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    for (; options && *options; options += 2)
        assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, options[0], options[1]));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, x));
    assert_ok(&f->ctx, lode_call_forecast(&f->ctx, &call));
    const lode_plan p = *lode_call_planned(&call);
    const lode_status st = lode_call_run(&f->ctx, &call, &f->m);
    if (st < 0)
        fail_msg("%s", lode_message(&f->ctx));
    lode_call_free(&call);
    return p;
}

/* point: within a fifth; else in the range, whose ends are apart by a factor of `wide` at most. */
static void holds(fix *f, const char *const *options, bool point, double wide)
{
    const lode_plan p = forecast(f, lode_from_array(&f->x), options);
    const double bytes = FILE_BYTES + (double)stored(&f->m);
    if (p.bytes_low == p.bytes_high ? fabs(p.bytes_low - bytes) > 0.2 * bytes
                                    : bytes < p.bytes_low || bytes > p.bytes_high)
        fail_msg("%.0f bytes; forecast %.0f to %.0f", bytes, p.bytes_low, p.bytes_high);
    if (point && p.bytes_low < p.bytes_high)
        fail_msg("a range: %.0f to %.0f; %.0f bytes", p.bytes_low, p.bytes_high, bytes);
    assert_le(p.bytes_high, wide * p.bytes_low);
    assert_true(p.seconds_low > 0 && p.seconds_low <= p.seconds_high && p.basis[0]);
    LODE_FREE(&f->x, &f->m);
}

#define OPTIONS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void noise_is_a_point(void **state)
{
    fix *f = *state;
    const char *const error[] = { "1e-1", "1e-3", "1e-3:maxrel" };
    for (int i = 0; i < 3; i++) {
        make(f, noise, LODE_F32, 3, (const int64_t[]){ 48, 50, 44 });
        holds(f, OPTIONS("error", error[i], "effort", i == 1 ? "3" : "1"), true, 1);
    }
}

static void waves_are_a_point_or_a_narrow_range(void **state)
{
    fix *f = *state;
    make(f, waves, LODE_F32, 3, (const int64_t[]){ 48, 50, 44 });
    holds(f, OPTIONS("error", "1e-3", "effort", "3"), true, 1);
    make(f, waves, LODE_F64, 2, (const int64_t[]){ 300, 320 });
    holds(f, OPTIONS("error", "1e-3", "effort", "1"), true, 1);
    make(f, waves, LODE_I16, 2, (const int64_t[]){ 300, 320 });
    holds(f, OPTIONS("error", "1e-2:maxrel", "effort", "3"), false, 5);
}

static void masks_count(void **state)
{
    fix *f = *state;
    make(f, masked, LODE_F32, 3, (const int64_t[]){ 60, 50, 40 });
    holds(f, OPTIONS("error", "1e-3", "effort", "3"), false, 3);
}

static void structure_is_in_the_range(void **state)
{
    fix *f = *state;
    const field of[] = { low_rank, steps, spikes, constant };
    for (int i = 0; i < 4; i++) {
        make(f, of[i], LODE_F32, 3, (const int64_t[]){ 50, 48, 44 });
        holds(f, OPTIONS("error", "1e-2", "effort", "3"), false, 40);
    }
}

static void budgets_are_the_size(void **state)
{
    fix *f = *state;
    make(f, noise, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("budget", "20K", "effort", "1"), true, 1);
    make(f, noise, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("budget", "20K", "error", "1e-3", "effort", "1"), true, 1);
    make(f, low_rank, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("rank", "3"), false, 100);
}

static void every_bit_and_small_blocks(void **state)
{
    fix *f = *state;
    make(f, noise, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("method", "lossless"), true, 1);
    make(f, noise, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("error", "1e-2", "block", "10000", "effort", "1"), true, 1);
    make(f, noise, LODE_F32, 3, (const int64_t[]){ 44, 30, 40 });
    holds(f, OPTIONS("error", "1e-2", "access", "chunk", "block", "8192", "effort", "1"), true, 1);
}

static void one_to_eight_axes(void **state)
{
    fix *f = *state;
    const int64_t shape[][8] = { { 60000 },
                                 { 240, 250 },
                                 { 40, 50, 30 },
                                 { 16, 15, 14, 18 },
                                 { 9, 8, 10, 9, 9 },
                                 { 6, 7, 6, 6, 6, 7 },
                                 { 5, 4, 5, 5, 5, 5, 5 },
                                 { 4, 4, 4, 4, 4, 4, 4, 4 } };
    for (int d = 1; d <= 8; d++) {
        make(f, noise, LODE_F32, d, shape[d - 1]);
        holds(f, OPTIONS("error", "1e-2", "effort", "1"), false, 4);
    }
}

static void little_is_coded(void **state)
{
    fix *f = *state;
    const int64_t shape[][2] = { { 7, 5 }, { 0, 4 }, { 1, 1 }, { 100, 120 } };
    for (int i = 0; i < 4; i++) {
        make(f, waves, LODE_C64, 2, shape[i]);
        const lode_plan p = forecast(f, lode_from_array(&f->x), NULL);
        assert_true(p.bytes_low == p.bytes_high);
        assert_near(p.bytes_low, FILE_BYTES + (double)stored(&f->m),
                    500); /* other names, padding */
        assert_non_null(strstr(p.basis, "coded"));
        LODE_FREE(&f->x, &f->m);
    }
}

/* ---- where nothing can be told ---- */

static lode_status read_once(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                             const int64_t *count, void *dst)
{
    const lode_source *whole = s->data;
    return whole->read(ctx, whole, start, count, dst);
}

static void streams_are_left_alone(void **state)
{
    fix *f = *state;
    lode_source whole = { 0 };
    make(f, noise, LODE_F32, 2, (const int64_t[]){ 200, 250 });
    assert_ok(&f->ctx, lode_i_source_from_array(&f->ctx, &f->x, &whole));
    lode_source once = whole;
    once.rewindable = false, once.read = read_once, once.data = &whole, once.close = NULL;
    const lode_plan p = forecast(f, lode_from_source(&once), OPTIONS("effort", "1"));
    assert_true(p.bytes_high == 0 && p.seconds_high == 0);
    assert_non_null(strstr(p.basis, "once"));
    lode_source_close(&whole);
}

static void what_is_refused_has_none(void **state)
{
    fix *f = *state;
    lode_call call;
    make(f, masked, LODE_F32, 3, (const int64_t[]){ 60, 50, 40 });
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "missing", "none"));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, lode_from_array(&f->x)));
    assert_ok(&f->ctx, lode_call_forecast(&f->ctx, &call));
    const lode_plan *p = lode_call_planned(&call);
    assert_true(p->bytes_high == 0 && p->seconds_high == 0 && p->workspace > 0);
    assert_non_null(strstr(p->basis, "none: "));
    lode_call_free(&call);
}

static void other_operations_keep_their_seconds(void **state)
{
    fix *f = *state;
    lode_call call;
    make(f, noise, LODE_F32, 2, (const int64_t[]){ 60, 50 });
    assert_ok(&f->ctx, lode_call_init(&f->ctx, lode_op_find(&f->ctx, "svd"), &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "rank", "3"));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, lode_from_array(&f->x)));
    assert_ok(&f->ctx, lode_call_forecast(&f->ctx, &call));
    const lode_plan *p = lode_call_planned(&call);
    assert_true(p->seconds_low == p->seconds && p->seconds_high == p->seconds);
    assert_true(p->bytes_high == 0 && !p->basis[0]);
    lode_call_free(&call);
}

/* ---- the rest of the contract ---- */

static void run_with(fix *f, int threads, bool foresee, lode_plan *p)
{
    lode_call call;
    f->ctx.threads = threads;
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "effort", "2"));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, lode_from_array(&f->x)));
    const uint64_t before = lode_ctx_memory_used(&f->ctx);
    lode_ctx_memory_reset_peak(&f->ctx);
    if (foresee)
        assert_ok(&f->ctx, lode_call_forecast(&f->ctx, &call));
    const uint64_t peak = lode_ctx_memory_peak(&f->ctx) - before;
    if (foresee) {
        *p = *lode_call_planned(&call);
        assert_le(peak, p->workspace + p->output + p->resident + 65536);
    }
    assert_ok(&f->ctx, lode_call_run(&f->ctx, &call, &f->m));
    lode_call_free(&call);
}

static void forecasts_repeat_and_change_nothing(void **state)
{
    fix *f = *state;
    lode_plan p[2] = { 0 };
    lode_bundle plain = { 0 };
    make(f, waves, LODE_F64, 3, (const int64_t[]){ 40, 38, 30 });
    run_with(f, 1, false, NULL);
    lode_bundle_swap(&plain, &f->m);
    for (int i = 0; i < 2; i++) {
        run_with(f, i ? 3 : 1, true, &p[i]);
        const lode_array *a = lode_bundle_value(&plain, 0).as.array,
                         *b = lode_bundle_value(&f->m, 0).as.array;
        assert_true(a->shape[0] == b->shape[0]);
        assert_memory_equal(a->data, b->data, (size_t)a->shape[0]);
    }
    assert_true(p[0].bytes_low == p[1].bytes_low && p[0].bytes_high == p[1].bytes_high);
    lode_bundle_free(&plain);
}

static void failed_allocations_are_survived(void **state)
{
    fix *f = *state;
    heap h = { 0 };
    lode_allocator a = heap_of(&h);
    lode_ctx ctx;
    lode_call call;
    make(f, noise, LODE_F32, 2, (const int64_t[]){ 190, 180 });
    assert_int_equal(lode_ctx_init(&ctx, &a), LODE_OK);
    ctx.threads = 1;
    assert_ok(&ctx, lode_call_init(&ctx, &lode_op_compress, &call));
    assert_ok(&ctx, lode_call_set(&ctx, &call, "effort", "2"));
    assert_ok(&ctx, lode_call_input(&ctx, &call, NULL, lode_from_array(&f->x)));
    assert_ok(&ctx, lode_call_forecast(&ctx, &call)); /* caches are up now */
    for (int64_t n = 1, step = 1;; n += step) {
        const int64_t live = atomic_load(&h.live);
        heap_fail(&h, n);
        const lode_status st = lode_call_forecast(&ctx, &call);
        const bool failed = heap_failed(&h);
        heap_fail(&h, 0);
        assert_true(st == LODE_OK || st == LODE_ENOMEM);
        assert_le(atomic_load(&h.live), live);
        if (!failed)
            break;
        step = 1 + n / 8;
    }
    lode_call_free(&call);
    lode_ctx_free(&ctx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(noise_is_a_point),
        TEST(waves_are_a_point_or_a_narrow_range),
        TEST(masks_count),
        TEST(structure_is_in_the_range),
        TEST(budgets_are_the_size),
        TEST(every_bit_and_small_blocks),
        TEST(one_to_eight_axes),
        TEST(little_is_coded),
        TEST(streams_are_left_alone),
        TEST(what_is_refused_has_none),
        TEST(other_operations_keep_their_seconds),
        TEST(forecasts_repeat_and_change_nothing),
        TEST(failed_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
