/* Local prediction: the bound holds at every entry of whatever array, what is decoded is what the
 * encoder had, bit for bit, on any number of threads; damage is found. */
#include "fixture.h"

#include <math.h>

#include "code/code.h"

enum { MOST = 1024 };

typedef struct fix {
    lode_ctx ctx;
    lode_array x, set, back, coded;
    lode_predicted r;
    lode_record record;
    lode_predictor p;
} fix;

static int start(void **state)
{
    static fix f;
    f = (fix){ 0 };
    *state = &f;
    return lode_ctx_init(&f.ctx, NULL);
}

static int end(void **state)
{
    fix *f = *state;
    LODE_FREE(&f->x, &f->set, &f->back, &f->coded);
    lode_i_predicted_free(&f->r);
    lode_i_record_free(&f->record);
    lode_ctx_free(&f->ctx);
    return 0;
}

static uint64_t draw(fix *f, uint64_t *at, uint64_t n)
{
    return lode_i_random_u64(lode_i_stream(&f->ctx, "predict", 3), (*at)++) % n;
}

/* A random shape of at most MOST values, 1 to 8 axes. */
static int random_shape(fix *f, uint64_t *at, int64_t *shape)
{
    const int ndim = 1 + (int)draw(f, at, 8);
    int64_t left = MOST;
    for (int k = 0; k < ndim; k++) {
        const uint64_t most = (uint64_t)(ndim == 1 ? left : left < 4 ? left : left < 40 ? 4 : 40);
        shape[k] = 1 + (int64_t)draw(f, at, most);
        left /= shape[k];
    }
    return ndim;
}

/* Waves, steps, noise, spikes, denormals or huge values, at random. */
static double random_value(fix *f, uint64_t *at, uint64_t kind, int64_t i)
{
    const double u = (double)draw(f, at, 1 << 20) / (1 << 20) - 0.5;
    switch (kind) {
    case 0: return sin(0.05 * (double)i) + 1e-4 * u;
    case 1: return (double)(i / 37 % 3);
    case 2: return u;
    case 3: return draw(f, at, 50) ? 1e-3 * u : 1e30 * u;
    case 4: return 1e-42 * u;
    case 5: return 3e38 * u;
    default: return draw(f, at, 9) ? 0 : 7;
    }
}

static void make(fix *f, uint64_t *at, lode_dtype dtype, uint64_t kind, bool missing)
{
    int64_t shape[8];
    const int ndim = random_shape(f, at, shape);
    assert_ok(&f->ctx, lode_array_new(&f->ctx, dtype, ndim, shape, &f->x));
    assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_BOOL, ndim, shape, &f->set));
    for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
        double v = random_value(f, at, kind, i);
        if (missing && !draw(f, at, 5)) {
            ((uint8_t *)f->set.data)[i] = 1;
            v = NAN;
        }
        if (dtype == LODE_F32)
            ((float *)f->x.data)[i] = (float)v;
        else
            ((double *)f->x.data)[i] = v;
    }
}

static double value(const lode_array *a, int64_t i)
{
    return a->dtype == LODE_F32 ? (double)((const float *)a->data)[i]
                                : ((const double *)a->data)[i];
}

static void random_rules(fix *f, uint64_t *at, double bound)
{
    f->p = (lode_predictor){ .step = 2 * bound };
    f->p.lorenzo = draw(f, at, 3) == 0;
    f->p.finer = (int)draw(f, at, 9), f->p.finest = (int)draw(f, at, 30);
    f->p.apart = draw(f, at, 3) ? 0 : (uint32_t)draw(f, at, 256);
}

static lode_status code(fix *f, const lode_array *set, double bound, double zone)
{
    lode_status st = LODE_OK;
    lode_ctx *ctx = &f->ctx;
    lode_predictor p;
    LODE_TRY(lode_i_predict_fit(ctx, &f->x, NULL, &f->p));
    LODE_TRY(lode_i_predict(ctx, &f->x, set, &f->p, bound, zone, &f->r));
    LODE_TRY(lode_i_predict_write(ctx, &f->x, &f->p, &f->r, &f->record));
    LODE_TRY(lode_i_record_end(ctx, &f->record, &f->coded));
    LODE_TRY(lode_i_record_open(ctx, &f->coded, &f->record));
    LODE_TRY(lode_array_new(ctx, f->x.dtype, f->x.ndim, f->x.shape, &f->back));
    LODE_TRY(lode_i_predict_read(ctx, &f->record, set, &p, &f->back));
    lode_i_record_free(&f->record);
done:
    return st;
}

static void bounds_hold(fix *f, lode_dtype dtype)
{
    uint64_t at = 0;
    for (int round = 0; round < 1000; round++) {
        const uint64_t kind = draw(f, &at, 7);
        const bool missing = draw(f, &at, 3) == 0;
        make(f, &at, dtype, kind, missing);
        const double scale = kind == 4 ? (dtype == LODE_F64 ? 1e-43 : 1e-28) : kind == 5 ? 1e33 : 1;
        const double bound = scale * pow(10, -(double)draw(f, &at, 7));
        random_rules(f, &at, bound);
        assert_ok(&f->ctx, code(f, missing ? &f->set : NULL, bound, 0.5));
        for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
            if (missing && ((uint8_t *)f->set.data)[i])
                continue;
            assert_le(fabs(value(&f->x, i) - value(&f->back, i)), bound);
        }
        assert_memory_equal(f->back.data, f->r.y.data, lode_array_bytes(&f->back));
    }
}

static void bounds_hold_at_every_entry_of_f32(void **state)
{
    bounds_hold(*state, LODE_F32);
}

static void bounds_hold_at_every_entry_of_f64(void **state)
{
    bounds_hold(*state, LODE_F64);
}

static void dead_zones_stay_within_themselves(void **state)
{
    fix *f = *state;
    uint64_t at = 77;
    for (int round = 0; round < 100; round++) {
        make(f, &at, LODE_F64, 2, false);
        random_rules(f, &at, 0.01);
        assert_ok(&f->ctx, code(f, NULL, INFINITY, 0.6));
        for (int64_t i = 0; i < lode_array_size(&f->x); i++)
            assert_le(fabs(value(&f->x, i) - value(&f->back, i)), 0.6 * 0.02 * (1 + 1e-9));
    }
}

/* Cubics give polynomials of degree 3 back from 4 values, Lorenzo's box what is linear in each. */
static void what_the_rules_know_costs_nothing(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 70, 90 };
    for (int lorenzo = 0; lorenzo < 2; lorenzo++) {
        assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 2, shape, &f->x));
        for (int64_t i = 0; i < 6300; i++) {
            const double a = (double)(i / 90) / 70, b = (double)(i % 90) / 90;
            ((double *)f->x.data)[i] = lorenzo ? a + 3 * b : a * a * a - 2 * b * b * b + a * b * b;
        }
        f->p = (lode_predictor){ .step = 2e-6, .lorenzo = lorenzo, .finer = 8, .finest = 40 };
        assert_ok(&f->ctx, code(f, NULL, 1e-6, 0.5));
        assert_le(lode_array_size(&f->coded), lorenzo ? 6300 / 4 : 6300 / 3);
        const int32_t *q = f->r.symbols.data;
        int64_t large = 0;
        for (int64_t i = 0; i < 6300; i++)
            large += abs(q[i]) > 2;
        assert_le(large, lorenzo ? 200 : 900); /* edges and coarse levels */
    }
}

static void threads_change_nothing(void **state)
{
    fix *f = *state;
    static const int64_t shapes[][3] = { { 90, 120, 130 }, { 3, 7, 9000 } };
    for (int s = 0; s < 2; s++)
        for (int lorenzo = 0; lorenzo < 2; lorenzo++) {
            lode_array first = { 0 }, y = { 0 };
            assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 3, shapes[s], &f->x));
            for (int64_t i = 0; i < lode_array_size(&f->x); i++)
                ((float *)f->x.data)[i] = (float)(i * 7919 % 1000) + (i % 997 ? 0 : 1e20F);
            for (int threads = 1; threads <= 3; threads++) {
                f->ctx.threads = threads;
                f->p = (lode_predictor){ .step = 400, .lorenzo = lorenzo };
                assert_ok(&f->ctx, code(f, NULL, 200, 0.5));
                if (threads == 1) {
                    lode_array_swap(&first, &f->coded);
                    lode_array_swap(&y, &f->back);
                    assert_true(lode_array_size(&f->r.escapes) > 100);
                    continue;
                }
                assert_int_equal(first.shape[0], f->coded.shape[0]);
                assert_memory_equal(first.data, f->coded.data, lode_array_bytes(&first));
                assert_memory_equal(y.data, f->back.data, lode_array_bytes(&y));
            }
            f->ctx.threads = 0;
            LODE_FREE(&first, &y);
        }
}

static void steps_out_of_range_are_refused(void **state)
{
    fix *f = *state;
    static const double steps[] = { 0, -1, NAN, INFINITY, 1e-40 };
    const int64_t n = 3;
    assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_F32, 1, &n, &f->x));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        f->p.step = steps[i];
        assert_status(&f->ctx, lode_i_predict(&f->ctx, &f->x, NULL, &f->p, 1, 0.5, &f->r),
                      LODE_EDOMAIN);
    }
}

/* Numbers in a record may be anything: it is closed again with a checksum that fits. */
static void damaged_records_are_refused_or_read(void **state)
{
    fix *f = *state;
    uint64_t at = 5;
    int64_t refused = 0;
    for (int round = 0; round < 3; round++) {
        make(f, &at, LODE_F32, (uint64_t)round, false);
        random_rules(f, &at, 0.01);
        f->p.lorenzo = round == 2;
        assert_ok(&f->ctx, code(f, NULL, 0.01, 0.5));
        const int64_t size = f->coded.shape[0] - 8;
        for (int i = 0; i < 600; i++) {
            lode_array bad = { 0 };
            lode_record w = { 0 };
            lode_predictor p;
            int64_t bytes = 0;
            const int64_t place = (int64_t)draw(f, &at, i % 2 ? (uint64_t)size : 40) % size;
            assert_ok(&f->ctx, lode_i_vector_new(&f->ctx, LODE_U8, size, &w.bytes));
            memcpy(w.bytes.data, f->coded.data, (size_t)size);
            ((uint8_t *)w.bytes.data)[place] ^= (uint8_t)(1 + draw(f, &at, 255));
            w.size = i % 5 ? size : place;
            assert_ok(&f->ctx, lode_i_record_end(&f->ctx, &w, &bad));
            assert_ok(&f->ctx, lode_i_record_open(&f->ctx, &bad, &w));
            const lode_status st = lode_i_predict_read(&f->ctx, &w, NULL, &p, &f->back);
            assert_true(st == LODE_OK || st == LODE_EFORMAT);
            refused += st != LODE_OK;
            assert_ok(&f->ctx, lode_i_record_open(&f->ctx, &bad, &w));
            const lode_status skip = lode_i_predict_skip(&f->ctx, &w, f->x.ndim, f->x.shape, &p,
                                                         &bytes);
            assert_true(skip == LODE_OK || skip == LODE_EFORMAT);
            lode_i_record_free(&w);
            lode_array_free(&bad);
        }
    }
    assert_true(refused > 900);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    fix f = { 0 };
    const lode_allocator a = heap_of(&h);
    const int64_t shape[] = { 19, 28, 37 };
    assert_int_equal(lode_ctx_init(&f.ctx, &a), LODE_OK);
    f.ctx.threads = 1;
    assert_ok(&f.ctx, lode_array_new(&f.ctx, LODE_F32, 3, shape, &f.x));
    for (int64_t i = 0; i < lode_array_size(&f.x); i++)
        ((float *)f.x.data)[i] = (float)(i % 17) + (i % 999 ? 0 : 1e30F);
    const int64_t live = atomic_load(&h.live);
    for (int lorenzo = 0; lorenzo < 2; lorenzo++)
        for (int64_t n = 1;; n += 1 + n / 40) {
            f.p = (lode_predictor){ .step = 0.2, .lorenzo = lorenzo };
            heap_fail(&h, n);
            const lode_status st = code(&f, NULL, 0.1, 0.5);
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            LODE_FREE(&f.back, &f.coded);
            lode_i_predicted_free(&f.r);
            lode_i_record_free(&f.record);
            assert_int_equal(atomic_load(&h.live), live);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
        }
    LODE_FREE(&f.x);
    lode_ctx_free(&f.ctx);
}

/* Along the ninth axis the eighth's rule holds: a cubic is foretold where four values are known. */
static void axes_beyond_8_share_the_last_rule(void **state)
{
    fix *f = *state;
    const int64_t shape[9] = { 2, 2, 2, 2, 2, 2, 2, 2, 7 };
    f->p = (lode_predictor){ .step = 1 };
    for (int l = 0; l < 3; l++)
        f->p.rule[l][7] = 2 * 15 + 1;
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 9, shape, &f->x));
    for (int64_t i = 0; i < lode_array_size(&f->x); i++)
        ((double *)f->x.data)[i] = (double)((i % 7) * (i % 7) * (i % 7));
    assert_ok(&f->ctx, lode_i_predict(&f->ctx, &f->x, NULL, &f->p, INFINITY, 0.5, &f->r));
    /* after 1 + 1 + 2 of coarser levels and 4 for each other axis: places 1, 3 and 5 of this one */
    const int32_t *q = (const int32_t *)f->r.symbols.data + 36;
    assert_int_equal(q[1], 0);
    assert_int_not_equal(q[0], 0);
    assert_int_not_equal(q[2], 0);
}

/* A front that crosses one axis at nearly every row and another rarely: what the first says is far off
 * there, and what both say together is off in more places. */
static void fronts_are_predicted_along_them(void **state)
{
    fix *f = *state;
    lode_ctx *const ctx = &f->ctx;
    const int64_t shape[] = { 60, 70, 50 };
    lode_array x = { 0 };
    double bytes[2] = { 0 };
    const lode_stream s = lode_i_stream(ctx, "front", 0);
    assert_ok(ctx, lode_array_new(ctx, LODE_F32, 3, shape, &x));
    for (int64_t i = 0; i < 60 * 70 * 50; i++) {
        const double a = (double)(i / 3500) / 29.5 - 1, b = (double)(i / 50 % 70) / 34.5 - 1,
                     c = (double)(i % 50) / 24.5 - 1;
        const bool far = a + 0.3 * sin(3 * b) + 0.2 * c > 0.1;
        ((float *)x.data)[i] = (float)((far ? 1 + 0.3 * cos(4 * a * b) : 0.2 + 0.1 * a * c) +
                                       0.002 * lode_i_random_normal(s, (uint64_t)i));
    }
    for (int alone = 0; alone < 2; alone++) {
        lode_predictor p = { .step = 0.1, .finer = 2, .finest = 8, .alone = alone };
        lode_predicted r = { 0 };
        assert_ok(ctx, lode_i_predict_fit(ctx, &x, NULL, &p));
        assert_ok(ctx, lode_i_predict(ctx, &x, NULL, &p, 0.05, 0.5, &r));
        assert_ok(ctx, lode_i_predict_estimate(ctx, &x, &p, &r, false, &bytes[alone]));
        lode_i_predicted_free(&r);
    }
    assert_le(bytes[1], 0.95 * bytes[0]);
    lode_array_free(&x);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(bounds_hold_at_every_entry_of_f32),
        TEST(bounds_hold_at_every_entry_of_f64),
        TEST(dead_zones_stay_within_themselves),
        TEST(what_the_rules_know_costs_nothing),
        TEST(threads_change_nothing),
        TEST(steps_out_of_range_are_refused),
        TEST(damaged_records_are_refused_or_read),
        TEST(axes_beyond_8_share_the_last_rule),
        TEST(fronts_are_predicted_along_them),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
