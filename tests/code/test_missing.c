/* Missing values and corrections, records: fills are smooth, bounds hold, what was written is
 * read. */
#include "fixture.h"

#include <math.h>

#include "code/code.h"

static void holes_are_filled_smoothly(void **state)
{
    lode_ctx *ctx = *state;
    static const lode_dtype types[] = { LODE_F32, LODE_F64 };
    const int64_t shape[] = { 40, 50 };
    for (int t = 0; t < 2; t++) {
        lode_array x = { 0 }, set = { 0 };
        int64_t count = 0, holes = 0;
        assert_ok(ctx, lode_i_matrix_new(ctx, types[t], 40, 50, &x));
        for (int64_t i = 0; i < 40; i++)
            for (int64_t j = 0; j < 50;
                 j++) { /* a plane with a disc, a strip and a corner missing */
                const bool hole = (i - 20) * (i - 20) + (j - 25) * (j - 25) < 64 || j == 7 ||
                                  i + j < 5;
                lode_i_set2(&x, i, j, hole ? (double)NAN : 3 + 0.5 * (double)i - 0.25 * (double)j);
                holes += hole;
            }
        assert_ok(ctx, lode_i_missing_find(ctx, &x, true, 0, &set, &count));
        assert_int_equal(count, holes);
        assert_ok(ctx, lode_i_missing_fill(ctx, &x, &set));
        for (int64_t i = 0; i < 40; i++)
            for (int64_t j = 0; j < 50; j++) {
                const double want = 3 + 0.5 * (double)i - 0.25 * (double)j,
                             got = lode_i_get2(&x, i, j);
                /* harmonic filling would give the plane back inside; 10% of its range is allowed */
                assert_near(got, want, (*(const uint8_t *)lode_i_at(&set, i * 50 + j)) ? 3 : 1e-5);
            }
        assert_ok(ctx, lode_i_missing_put(ctx, &x, &set, -9999));
        assert_ok(ctx, lode_i_missing_find(ctx, &x, false, -9999, &set, &count));
        assert_int_equal(count, holes);
        LODE_FREE(&x, &set);
    }
    (void)shape;
}

static void all_or_nothing_missing(void **state)
{
    lode_ctx *ctx = *state;
    double v[6];
    const int64_t shapes[][3] = { { 6 }, { 2, 3 }, { 1, 6, 1 } };
    for (int d = 1; d <= 3; d++) {
        lode_array x = lode_array_wrap(v, LODE_F64, d, shapes[d - 1]), set = { 0 };
        int64_t count = 0;
        for (int i = 0; i < 6; i++)
            v[i] = NAN;
        assert_ok(ctx, lode_i_missing_find(ctx, &x, true, 0, &set, &count));
        assert_int_equal(count, 6);
        assert_ok(ctx, lode_i_missing_fill(ctx, &x, &set));
        for (int i = 0; i < 6; i++)
            assert_true(isfinite(v[i]));
        v[2] = 5;
        assert_ok(ctx, lode_i_missing_find(ctx, &x, true, 0, &set, &count));
        assert_int_equal(count, 0);
        lode_array_free(&set);
    }
}

static void corrections_make_the_bound_hold(void **state)
{
    lode_ctx *ctx = *state;
    static const lode_dtype types[] = { LODE_F64, LODE_F32 };
    for (int t = 0; t < 2; t++)
        for (int wide = 0; wide < 2; wide++) { /* one correction that fits no byte */
            lode_array x = { 0 }, noise = { 0 }, y = { 0 }, c = { 0 }, used = { 0 };
            int64_t count = 0, beyond = 0;
            const double bound = 0.3, slack = t ? 1e-5 : 1e-12;
            assert_ok(ctx,
                      lode_i_randn(ctx, lode_i_stream(ctx, "test", 0), types[t], 1000, 70, &x));
            assert_ok(ctx,
                      lode_i_randn(ctx, lode_i_stream(ctx, "test", 1), types[t], 1000, 70, &noise));
            assert_ok(ctx, lode_array_cast(ctx, &x, types[t], &y));
            assert_ok(ctx, lode_i_axpy(ctx, 0.4, &noise, &y));
            for (int64_t i = 0; i < 70000; i++)
                beyond += 0.4 * fabs(lode_i_get2(&noise, i / 70, i % 70)) > bound;
            lode_i_set2(&x, 0, 5, (double)NAN);
            beyond -= 0.4 * fabs(lode_i_get2(&noise, 0, 5)) > bound;
            if (wide) {
                beyond += !(0.4 * fabs(lode_i_get2(&noise, 0, 6)) > bound);
                lode_i_set2(&y, 0, 6, lode_i_get2(&x, 0, 6) + 900 * bound);
            }
            assert_ok(ctx, lode_array_cast(ctx, &y, types[t], &used));
            assert_ok(ctx, lode_i_correct_find(ctx, &x, &used, bound, &c, &count));
            assert_near(count, beyond, 2); /* y was rounded */
            assert_int_equal(c.dtype, LODE_I32);
            assert_null(used.data);
            assert_ok(ctx, lode_i_correct_narrow(ctx, &c));
            assert_int_equal(c.dtype, wide ? LODE_I32 : LODE_I8);
            assert_ok(ctx, lode_array_cast(ctx, &y, types[t], &used));
            assert_ok(ctx, lode_i_correct_apply(ctx, &used, &c, bound));
            for (int64_t i = 0; i < 70000; i++)
                if (i != 5)
                    assert_near(lode_i_get2(&x, i / 70, i % 70), lode_i_get2(&used, i / 70, i % 70),
                                bound * (1 + slack));
            assert_status(ctx, lode_i_correct_find(ctx, &x, &used, 0, &c, &count), LODE_EPARAM);
            assert_status(ctx, lode_i_correct_find(ctx, &x, &y, 1e-12, &c, &count), LODE_EDOMAIN);
            LODE_FREE(&x, &noise, &y, &c, &used);
        }
}

static void records_read_as_written(void **state)
{
    lode_ctx *ctx = *state;
    static const int64_t whole[] = { 0, 1, -1, 63, -64, 64, 300, INT64_MAX, INT64_MIN };
    static const int64_t three[] = { 3 };
    uint8_t abc[] = { 'a', 'b', 'c' };
    const lode_array stream = lode_array_wrap(abc, LODE_U8, 1, three);
    lode_record w = { 0 }, r = { 0 };
    lode_array bytes = { 0 }, view = { 0 };
    int64_t v = 0;
    double f = 0;
    for (int i = 0; i < 9; i++)
        assert_ok(ctx, lode_i_record_i64(ctx, &w, whole[i]));
    assert_ok(ctx, lode_i_record_f64(ctx, &w, 0.1));
    assert_ok(ctx, lode_i_record_bytes(ctx, &w, &stream));
    assert_ok(ctx, lode_i_record_end(ctx, &w, &bytes));
    assert_ok(ctx, lode_i_record_open(ctx, &bytes, &r));
    for (int i = 0; i < 9; i++) {
        assert_ok(ctx, lode_i_record_read_i64(ctx, &r, INT64_MIN, INT64_MAX, &v));
        assert_true(v == whole[i]);
    }
    assert_ok(ctx, lode_i_record_read_f64(ctx, &r, &f));
    assert_true(f == 0.1);
    assert_ok(ctx, lode_i_record_read_bytes(ctx, &r, &view));
    assert_int_equal(view.shape[0], 3);
    assert_memory_equal(view.data, abc, 3);
    assert_status(ctx, lode_i_record_read_i64(ctx, &r, 0, 1, &v), LODE_EFORMAT);
    assert_status(ctx, lode_i_record_read_f64(ctx, &r, &f), LODE_EFORMAT);
    for (int64_t i = 0; i < bytes.shape[0]; i++) {
        ((uint8_t *)bytes.data)[i] ^= 4;
        assert_status(ctx, lode_i_record_open(ctx, &bytes, &r), LODE_EFORMAT);
        ((uint8_t *)bytes.data)[i] ^= 4;
    }
    lode_i_record_free(&r);
    LODE_FREE(&bytes, &view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_are_filled_smoothly),
        cmocka_unit_test(all_or_nothing_missing),
        cmocka_unit_test(corrections_make_the_bound_hold),
        cmocka_unit_test(records_read_as_written),
    };
    return cmocka_run_group_tests(tests, context_start, context_end);
}
