/* compress by local prediction: every goal holds on what comes back, for every type and shape; the
 * choice between prediction and transform gives the shorter; parts, threads, damage. */
#include "compressed.h"

#include <math.h>

#include "array/array.h"
#include "ops/compress/compress.h"

static int begin(void **state)
{
    const int failed = start(state);
    ((fix *)*state)->o.method = LODE_COMPRESS_PREDICT;
    return failed;
}

/* Ridges, steps and a little noise, in any type. */
static void make_field(fix *f, lode_dtype dtype, int ndim, const int64_t *shape, double scale)
{
    lode_array a = { 0 };
    int64_t index[8] = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    double *v = a.data;
    const lode_stream s = lode_i_stream(&f->ctx, "field", 1);
    for (int64_t i = 0; i < lode_array_size(&a); i++) {
        double sum = 0.3;
        for (int k = 0; k < ndim; k++)
            sum += fabs(sin((0.3 + 0.11 * k) * (double)index[k] + k)) + (double)(index[k] / 9 % 2);
        v[i] = scale * (sum + 1e-3 * lode_i_random_normal(s, (uint64_t)i));
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

typedef struct found {
    double sumsq, maxabs, norm2, low, high;
    int64_t count, lost; /* NaN in one only */
} found;

static found shrink(fix *f)
{
    lode_ctx *ctx = &f->ctx;
    lode_certificate again;
    found r = { .low = INFINITY, .high = -INFINITY };
    int64_t index[8] = { 0 };
    assert_ok(ctx, lode_compress(ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &again));
    assert_int_equal(f->x.dtype, f->y.dtype);
    for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
        const double v = lode_array_get(&f->x, index), w = lode_array_get(&f->y, index);
        if (isnan(v) || isnan(w)) {
            r.lost += isnan(v) != isnan(w);
        } else {
            r.sumsq += (v - w) * (v - w);
            r.maxabs = fmax(r.maxabs, fabs(v - w));
            r.norm2 += v * v;
            r.low = fmin(r.low, v), r.high = fmax(r.high, v);
            r.count++;
        }
        for (int k = f->x.ndim - 1; k >= 0 && ++index[k] == f->x.shape[k]; k--)
            index[k] = 0;
    }
    return r;
}

static record_info first_record(fix *f)
{
    record_info info = { 0 };
    const lode_array *coded = NULL;
    grid g;
    int64_t first[LODE_MAX_NDIM], count[LODE_MAX_NDIM];
    const lode_meta *m = &f->m.meta;
    assert_ok(&f->ctx, compress_open(&f->ctx, &f->m, &g));
    compress_block(&g, 0, first, count);
    assert_ok(&f->ctx, compress_record(&f->ctx, &f->m, 0, &coded));
    assert_ok(&f->ctx, compress_info(&f->ctx, coded, m->dtype, m->ndim, count, &info));
    return info;
}

static const struct {
    int ndim;
    int64_t shape[8];
} shapes[] = {
    { 1, { 1 } },
    { 1, { 2 } },
    { 1, { 5003 } },
    { 2, { 30, 1 } },
    { 2, { 3, 1500 } },
    { 3, { 20, 21, 12 } },
    { 4, { 7, 6, 5, 4 } },
    { 5, { 3, 4, 5, 3, 2 } },
    { 8, { 2, 3, 2, 3, 2, 2, 3, 2 } },
};

static void every_error_holds_for_all_shapes(void **state)
{
    fix *f = *state;
    int predicted = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        make_field(f, s % 2 ? LODE_F32 : LODE_F64, shapes[s].ndim, shapes[s].shape, 10);
        for (double e = 1e-1; e > 1e-6; e *= 0.01) {
            f->o.error = lode_error_rel(e);
            found r = shrink(f);
            assert_le(sqrt(r.sumsq), e * sqrt(r.norm2) * (1 + 1e-9));
            f->o.error = lode_error_max(10 * e);
            assert_le(shrink(f).maxabs, 10 * e);
            predicted += first_record(f).predicted;
            f->o.error = lode_error_maxrel(e);
            r = shrink(f);
            assert_le(r.maxabs, e * (r.high - r.low));
            f->o.error = (lode_error_spec){ .kind = LODE_ERROR_PSNR, .value = -20 * log10(e) };
            r = shrink(f);
            if (r.sumsq > 0)
                assert_le(-20 * log10(e),
                          1e-9 + 20 * log10((r.high - r.low) / sqrt(r.sumsq / (double)r.count)));
        }
    }
    assert_true(predicted > 8);
}

static void every_type_comes_back_as_it_was(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 24, 25, 3 };
    for (int t = 0; t < LODE_DTYPE_COUNT; t++) {
        if (LODE_PACKED & (UINT32_C(1) << t))
            continue;
        make_field(f, (lode_dtype)t, 3, shape, t == LODE_BOOL ? 0.4 : 15);
        f->o.error = lode_error_rel(2e-2);
        const found r = shrink(f);
        assert_le(sqrt(r.sumsq), 2e-2 * sqrt(r.norm2) * (1 + 1e-9));
        f->o.error = lode_error_max(1);
        assert_le(shrink(f).maxabs, 1);
        f->o.error = lode_error_max(0.2); /* whole numbers: exactly */
        const double worst = shrink(f).maxabs;
        assert_le(worst, strchr("biu", lode_dtype_class((lode_dtype)t)) ? 0 : 0.2);
    }
}

/* The imaginary parts are not taken for neighbours of the real ones. */
static void pairs_are_predicted_apart(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 60, 50 };
    lode_array both = { 0 };
    int64_t bytes = 0;
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_C64, 2, shape, &both));
    for (int part = 0; part < 3; part++) {
        make_field(f, LODE_F32, 2, shape, part ? 1 : 100);
        for (int64_t i = 0; i < 3000; i++)
            if (part < 2)
                ((float *)both.data)[2 * i + part] = ((float *)f->x.data)[i];
        if (part == 2)
            lode_array_swap(&f->x, &both);
        f->o.error = lode_error_max(0.01);
        assert_le(shrink(f).maxabs, 0.0142);
        bytes += part < 2 ? stored(&f->m) : -stored(&f->m);
    }
    assert_le(fabs((double)bytes), 0.15 * (double)stored(&f->m));
    lode_array_free(&both);
}

static void missing_entries_keep_their_places(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 40, 50 };
    for (int kind = 0; kind < 3; kind++) {
        make_field(f, LODE_F32, 3, shape, 5);
        float *v = f->x.data;
        for (int i = 0; i < 12 * 2000; i++) {
            const int r = i / 50 % 40 - 20, c = i % 50 - 25;
            if (kind == 0 ? r * r + c * c < 200 : kind == 1 ? i % 13 == 0 : i < 4000)
                v[i] = kind == 1 ? -99 : NAN;
        }
        f->o.missing = kind == 1 ? (lode_missing){ LODE_MISSING_VALUE, -99 }
                                 : (lode_missing){ LODE_MISSING_NAN, 0 };
        f->o.error = lode_error_max(0.05);
        const found r = shrink(f);
        assert_true(first_record(f).predicted && first_record(f).mask_bytes > 0);
        assert_int_equal(r.lost, 0);
        assert_le(r.maxabs, 0.05);
        assert_le(stored(&f->m), 12 * 2000 * 4 / 5);
        for (int i = 0; kind == 1 && i < 12 * 2000; i += 13)
            assert_true(((float *)f->y.data)[i] == -99);
    }
}

static void budgets_in_bytes_are_kept_and_used(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 30, 25 };
    double last = INFINITY;
    make_field(f, LODE_F32, 3, shape, 1);
    for (double bytes = 4000; bytes < 20000; bytes *= 2) {
        f->o.budget = (lode_budget_spec){ LODE_BUDGET_BYTES, bytes };
        const found r = shrink(f);
        assert_le(stored(&f->m), bytes);
        assert_le(0.9 * (bytes - 1800), stored(&f->m));
        assert_le(sqrt(r.sumsq), 0.8 * last);
        last = sqrt(r.sumsq);
    }
}

static void the_shorter_of_the_ways_is_taken(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 30, 35 };
    int predicted = 0, transformed = 0;
    for (int smooth = 0; smooth < 2; smooth++) {
        assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 3, shape, &f->x));
        for (int i = 0; i < 20 * 30 * 35; i++) {
            const double a = 0.1 * (i / 1050), b = 0.1 * (i / 35 % 30), c = 0.1 * (i % 35);
            ((float *)f->x.data)[i] = (float)(smooth ? sin(a) * cos(b) + sin(c)
                                                     : fabs(sin(a + 1.3 * b - c)) +
                                                           (a * b + b * c < 3));
        }
        for (int e = 0; e < 4; e++) {
            int64_t size[3];
            for (int method = 0; method < 3; method++) {
                f->o.method = method == 0   ? LODE_COMPRESS_DCT
                              : method == 1 ? LODE_COMPRESS_PREDICT
                                            : LODE_COMPRESS_AUTO;
                f->o.error = e % 2 ? lode_error_rel(pow(10, -1 - e))
                                   : lode_error_max(pow(10, -2 - e));
                shrink(f);
                size[method] = stored(&f->m);
            }
            assert_le(size[2], size[1]);
            assert_le(size[2], 1.05 * (double)size[0]);
            predicted += first_record(f).predicted, transformed += first_record(f).modes > 0;
        }
    }
    assert_true(predicted > 0 && transformed > 0);
}

static void parts_are_slices_of_the_whole(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 21, 22, 23 };
    make_field(f, LODE_F32, 3, shape, 1);
    f->o.error = lode_error_max(0.01);
    for (int64_t block = 0; block <= 5000; block += 2500) {
        static const lode_part p = { .ndim = 3, .start = { 4, 5, 6 }, .count = { 10, 1, 9 } };
        lode_array part = { 0 };
        f->o.block.given = block > 0, f->o.block.value = block;
        assert_le(shrink(f).maxabs, 0.01);
        assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &p, &part));
        for (int64_t i = 0; i < 90; i++) {
            const int64_t at[] = { i / 9, 0, i % 9 }, there[] = { i / 9 + 4, 5, i % 9 + 6 };
            assert_true(lode_array_get(&part, at) == lode_array_get(&f->y, there));
        }
        lode_array_free(&part);
    }
}

static void threads_change_nothing(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 41, 42 };
    lode_array first = { 0 };
    make_field(f, LODE_F32, 3, shape, 1);
    for (int method = LODE_COMPRESS_AUTO; method <= LODE_COMPRESS_PREDICT;
         method += LODE_COMPRESS_PREDICT)
        for (int threads = 1; threads <= 3; threads++) {
            f->o.method = (lode_compress_method)method;
            f->ctx.threads = threads;
            assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, NULL));
            const lode_array *coded = lode_bundle_value(&f->m, 0).as.array;
            if (threads == 1) {
                assert_ok(&f->ctx, lode_array_cast(&f->ctx, coded, LODE_U8, &first));
                continue;
            }
            assert_int_equal(first.shape[0], coded->shape[0]);
            assert_memory_equal(first.data, coded->data, (size_t)first.shape[0]);
        }
    lode_array_free(&first);
}

static void damage_is_found(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 30, 20 };
    lode_array y = { 0 };
    make_field(f, LODE_F32, 2, shape, 1);
    f->o.error = lode_error_max(0.05);
    shrink(f);
    assert_true(first_record(f).predicted);
    uint8_t *b = ((lode_array *)(uintptr_t)lode_bundle_value(&f->m, 0).as.array)->data;
    const int64_t size = lode_bundle_value(&f->m, 0).as.array->shape[0];
    for (int64_t i = 0; i < size; i++) {
        b[i] ^= 1;
        assert_status(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &y), LODE_EFORMAT);
        b[i] ^= 1;
    }
    f->m.meta.shape[0] = 20, f->m.meta.shape[1] = 30; /* the shape belongs to the code */
    assert_status(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &y), LODE_EFORMAT);
    lode_array_free(&y);
}

static void ranks_are_refused_and_figures_drawn(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 30, 40 };
    lode_figure *figure = NULL;
    make_field(f, LODE_F32, 2, shape, 1);
    shrink(f);
    assert_ok(&f->ctx, lode_figure_new(&f->ctx, &figure));
    assert_ok(&f->ctx, lode_plot(&f->ctx, &f->m, lode_from_array(&f->x), figure));
    lode_figure_free(&figure);
    f->o.rank = lode_rank(3);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EUSAGE);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    fix f = { .o = lode_compress_defaults() };
    const lode_allocator a = heap_of(&h);
    const int64_t shape[] = { 9, 8, 7 };
    int64_t failures = 0;
    assert_int_equal(lode_ctx_init(&f.ctx, &a), LODE_OK);
    f.ctx.threads = 1;
    f.o.method = LODE_COMPRESS_PREDICT;
    make_field(&f, LODE_F32, 3, shape, 1);
    for (int i = 0; i < 504; i += 11)
        ((float *)f.x.data)[i] = NAN;
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(every_error_holds_for_all_shapes),
        TEST(every_type_comes_back_as_it_was),
        TEST(pairs_are_predicted_apart),
        TEST(missing_entries_keep_their_places),
        TEST(budgets_in_bytes_are_kept_and_used),
        TEST(the_shorter_of_the_ways_is_taken),
        TEST(parts_are_slices_of_the_whole),
        TEST(threads_change_nothing),
        TEST(damage_is_found),
        TEST(ranks_are_refused_and_figures_drawn),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
