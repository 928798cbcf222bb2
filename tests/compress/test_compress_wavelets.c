/* Wavelets in records: taken where edges lie, held to the error, cut, asked and refused. */
#include "compressed.h"

#include <math.h>

#include "ops/compress/compress.h"

/* Steps along the second axis at places that move along the first and third; smooth else. */
static void make_layers(fix *f, lode_dtype dtype, const int64_t shape[3])
{
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, shape, &a));
    double *v = a.data;
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t j = 0; j < shape[1]; j++)
            for (int64_t k = 0; k < shape[2]; k++) {
                const double t = (double)i / (double)shape[0], y = (double)j / (double)shape[1],
                             x = (double)k / (double)shape[2];
                double sum = 0.1;
                for (int s = 0; s < 5; s++)
                    sum += (s % 2 ? -1 : 1) * (1 + 0.2 * s) * (0.5 + x * t) *
                           (y > 0.1 + 0.19 * s + 0.08 * sin(3 * t + s) * cos(4 * x + 2 * s));
                *v++ = 50 * sum;
            }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

static double relative(fix *f)
{
    lode_diff d;
    lode_array x = { 0 }, y = { 0 };
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &f->x, LODE_F64, &x));
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &f->y, LODE_F64, &y));
    assert_ok(&f->ctx, lode_i_diff(&f->ctx, &x, &y, &d));
    lode_stats s;
    assert_ok(&f->ctx, lode_i_stats(&f->ctx, &x, &s));
    LODE_FREE(&x, &y);
    return sqrt(d.sumsq / s.sumsq);
}

static int64_t shrink(fix *f)
{
    lode_ctx *ctx = &f->ctx;
    assert_ok(ctx, lode_compress(ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &f->y));
    return stored(&f->m);
}

static record_info info_of(fix *f)
{
    record_info info;
    const lode_array *coded = lode_bundle_value(&f->m, 0).as.array;
    assert_ok(&f->ctx, compress_info(&f->ctx, coded, f->x.dtype, f->x.ndim, f->x.shape, &info));
    return info;
}

/* Rows that have nothing in common, each of four cubics one after the other, and noise. */
static void make_pieces(fix *f, int64_t rows, int64_t n)
{
    const lode_stream s = lode_i_stream(&f->ctx, "pieces", 0);
    uint64_t at = 0;
    assert_ok(&f->ctx, lode_i_matrix_new(&f->ctx, LODE_F32, rows, n, &f->x));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0, from = 0; p < 4; p++) {
            const int64_t to = p == 3
                                   ? n
                                   : (p + 1) * n / 4 - n / 8 +
                                         (int64_t)(lode_i_random_u64(s, at++) % (uint64_t)(n / 4));
            double c[4];
            for (int d = 0; d < 4; d++)
                c[d] = lode_i_random_normal(s, at++);
            const double middle = 0.5 * (double)(from + to), half = 0.5 * (double)(to - from);
            for (; from < to && from < n; from++) {
                const double x = ((double)from - middle) / half;
                lode_i_set2(&f->x, i, from,
                            c[0] + x * (c[1] + x * (c[2] + x * c[3])) +
                                0.1 * lode_i_random_normal(s, at++));
            }
        }
}

static void edges_take_them_and_waves_do_not(void **state)
{
    fix *f = *state;
    make_pieces(f, 150, 300);
    f->o.error = lode_error_rel(0.1);
    const int64_t best = shrink(f);
    const record_info info = info_of(f);
    assert_le(relative(f), 0.1);
    assert_false(info.exact || info.predicted);
    assert_int_equal(info.kind[0], BASIS_NONE);
    assert_true(basis_moments(info.kind[1]) > 0);
    f->o.method = LODE_COMPRESS_DCT;
    assert_le(best, 0.5 * (double)shrink(f));
    f->o.method = LODE_COMPRESS_PREDICT;
    assert_le(best, 0.9 * (double)shrink(f));
    /* one wave an axis */
    for (int64_t i = 0; i < 150 * 300; i++)
        ((float *)f->x.data)[i] = (float)(sin(0.05 * (double)(i / 300)) *
                                          cos(0.1 * (double)(i % 300)));
    f->o.method = LODE_COMPRESS_AUTO;
    f->o.error = lode_error_rel(1e-4);
    shrink(f);
    const record_info smooth = info_of(f);
    for (int k = 0; k < smooth.modes; k++)
        assert_int_equal(basis_moments(smooth.kind[k]), 0);
}

static void errors_bounds_and_sizes_hold(void **state)
{
    fix *f = *state;
    const int64_t shapes[][3] = { { 5, 60, 9 }, { 1, 200, 1 }, { 3, 2, 2 } };
    const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_I16, LODE_C64, LODE_F16 };
    f->o.method = LODE_COMPRESS_WAVELET;
    for (int s = 0; s < 3; s++)
        for (int t = 0; t < 5; t++)
            for (f->o.effort = 1; f->o.effort <= 9; f->o.effort += 4) {
                make_layers(f, types[t], shapes[s]);
                f->o.error = lode_error_rel(0.02);
                shrink(f);
                if (types[t] != LODE_C64)
                    assert_le(relative(f), 0.02);
                assert_le(f->c.value, 0.02);
                f->o.error = (lode_error_spec){ .kind = LODE_ERROR_MAX, .value = 2 };
                shrink(f);
                assert_le(f->c.value, 2);
            }
    f->o.effort = 5;
    make_layers(f, LODE_F32, (const int64_t[]){ 12, 60, 12 });
    f->o.error = (lode_error_spec){ 0 };
    f->o.budget = (lode_budget_spec){ LODE_BUDGET_BYTES, 5000 };
    assert_le(shrink(f), 5000);
}

static void any_threads_give_the_same(void **state)
{
    fix *f = *state;
    lode_array bytes = { 0 }, y = { 0 };
    make_layers(f, LODE_F32, (const int64_t[]){ 12, 60, 17 });
    f->o.error = lode_error_rel(0.03);
    f->ctx.threads = 1;
    shrink(f);
    assert_ok(&f->ctx,
              lode_array_cast(&f->ctx, lode_bundle_value(&f->m, 0).as.array, LODE_U8, &bytes));
    lode_array_swap(&y, &f->y);
    f->ctx.threads = 4;
    shrink(f);
    const lode_array *again = lode_bundle_value(&f->m, 0).as.array;
    assert_int_equal(again->shape[0], bytes.shape[0]);
    assert_memory_equal(again->data, bytes.data, (size_t)bytes.shape[0]);
    assert_memory_equal(f->y.data, y.data, lode_array_bytes(&y));
    LODE_FREE(&bytes, &y);
}

/* A record of one mode, by hand: of a kind, a length, columns. */
static lode_status read_by_hand(fix *f, int64_t kind, int64_t n, int64_t columns)
{
    lode_ctx *ctx = &f->ctx;
    lode_record r = { 0 };
    lode_array q = { 0 }, stream = { 0 }, coded = { 0 }, back = { 0 };
    const int64_t head[] = { RECORD_VERSION, 0, RECORD_TRANSFORM, 0, 0, 0 };
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        assert_ok(ctx, lode_i_record_i64(ctx, &r, head[i]));
    assert_ok(ctx, lode_i_record_f64(ctx, &r, 1));
    const int64_t mode[] = { 0, 0, kind, columns };
    for (size_t i = 0; i < sizeof mode / sizeof *mode; i++)
        assert_ok(ctx, lode_i_record_i64(ctx, &r, mode[i]));
    assert_ok(ctx, lode_array_zeros(ctx, LODE_I32, 1, &columns, &q));
    ((int32_t *)q.data)[0] = 3;
    assert_ok(ctx, lode_i_encode(ctx, &q, &stream));
    assert_ok(ctx, lode_i_record_bytes(ctx, &r, &stream));
    assert_ok(ctx, lode_i_record_i64(ctx, &r, 0));
    assert_ok(ctx, lode_i_record_end(ctx, &r, &coded));
    const lode_status st = compress_decode(ctx, &coded, LODE_F32, 1, &n, &back);
    expansion e = { 0 };
    assert_int_equal(compress_expansion(ctx, &coded, LODE_F32, 1, &n, &e), st);
    for (int64_t i = 0; i < n && st == LODE_OK && kind; i++) /* the first column is constant */
        assert_true(fabs(((float *)back.data)[i] - 3 / sqrt((double)n)) < 1e-5);
    expansion_free(&e);
    lode_i_record_free(&r);
    LODE_FREE(&q, &stream, &coded, &back);
    return st;
}

static void records_are_checked(void **state)
{
    fix *f = *state;
    for (int64_t kind = BASIS_WAVELETS2; kind < BASIS_KINDS; kind++) {
        assert_ok(&f->ctx, read_by_hand(f, kind, 100, 1));
        assert_ok(&f->ctx, read_by_hand(f, kind, 4096, 7));
        assert_ok(&f->ctx, read_by_hand(f, kind, 1, 1));
        assert_status(&f->ctx, read_by_hand(f, kind, 4097, 1), LODE_EFORMAT);
        assert_status(&f->ctx, read_by_hand(f, kind, 10, 11), LODE_EFORMAT);
    }
    assert_status(&f->ctx, read_by_hand(f, BASIS_KINDS, 100, 1), LODE_EFORMAT);
    assert_status(&f->ctx, read_by_hand(f, BASIS_DCT, 5000, 1), LODE_EFORMAT);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    fix f = { .o = lode_compress_defaults() };
    const lode_allocator a = heap_of(&h);
    int64_t failures = 0;
    assert_int_equal(lode_ctx_init(&f.ctx, &a), LODE_OK);
    f.ctx.threads = 1;
    make_layers(&f, LODE_F32, (const int64_t[]){ 4, 40, 5 });
    f.o.error = lode_error_rel(0.1);
    const int64_t live = atomic_load(&h.live);
    for (int64_t n = 1;; n += 1 + n / 30) {
        heap_fail(&h, n);
        lode_status st = lode_compress(&f.ctx, &f.o, lode_from_array(&f.x), &f.m, &f.c);
        if (st == LODE_OK)
            st = lode_invert(&f.ctx, &f.m, lode_none(), NULL, &f.y);
        const bool failed = heap_failed(&h);
        heap_fail(&h, 0);
        LODE_FREE(&f.m, &f.y);
        assert_int_equal(atomic_load(&h.live), live);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        failures++;
    }
    assert_true(failures > 50);
    LODE_FREE(&f.x);
    lode_ctx_free(&f.ctx);
}

#define COMPRESS_TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPRESS_TEST(edges_take_them_and_waves_do_not),
        COMPRESS_TEST(errors_bounds_and_sizes_hold),
        COMPRESS_TEST(any_threads_give_the_same),
        COMPRESS_TEST(records_are_checked),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
