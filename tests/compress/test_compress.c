/* compress: every error bound holds on what comes back, measured here entry by entry; places of
 * missing values, types and bits are kept; sizes, parts, threads and damage. */
#include "compressed.h"

#include <math.h>

#include "array/array.h"

/* A sum of waves and a little noise, in any type and shape. */
static void make_field(fix *f, lode_dtype dtype, int ndim, const int64_t *shape, double scale,
                       double noise)
{
    lode_array a = { 0 };
    int64_t n = 1, index[8] = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    double *v = a.data;
    const lode_stream s = lode_i_stream(&f->ctx, "field", 1);
    for (int64_t i = 0; i < n; i++) {
        double wave = 0.3;
        for (int k = 0; k < ndim; k++)
            wave += sin((0.9 + 0.31 * k) * (double)index[k] / (1 + 0.1 * (double)shape[k]) + k);
        v[i] = scale * (wave + noise * lode_i_random_normal(s, (uint64_t)i));
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

/* Entry by entry, in f64. */
static found compare(const lode_array *a, const lode_array *b)
{
    found r = { .low = INFINITY, .high = -INFINITY };
    int64_t index[8] = { 0 };
    assert_int_equal(a->ndim, b->ndim);
    assert_int_equal(a->dtype, b->dtype);
    for (int64_t i = 0; i < lode_array_size(a); i++) {
        const double v = lode_array_get(a, index), w = lode_array_get(b, index);
        if (isnan(v) || isnan(w)) {
            r.lost += isnan(v) != isnan(w);
        } else {
            r.sumsq += (v - w) * (v - w);
            r.maxabs = fmax(r.maxabs, fabs(v - w));
            r.norm2 += v * v;
            r.low = fmin(r.low, v), r.high = fmax(r.high, v);
            r.count++;
        }
        for (int k = a->ndim - 1; k >= 0 && ++index[k] == a->shape[k]; k--)
            index[k] = 0;
    }
    return r;
}

static found shrink(fix *f)
{
    lode_ctx *ctx = &f->ctx;
    lode_certificate again;
    assert_ok(ctx, lode_compress(ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &again));
    assert_ok(ctx, lode_verify(ctx, &f->m, lode_none(), &again));
    assert_le(stored(&f->m), (double)lode_array_bytes(&f->x) + 64 * (double)f->m.count);
    return compare(&f->x, &f->y);
}

static const struct {
    int ndim;
    int64_t shape[8];
} shapes[] = {
    { 1, { 1 } },
    { 1, { 2 } },
    { 1, { 257 } },
    { 1, { 5003 } },
    { 2, { 30, 1 } },
    { 2, { 40, 50 } },
    { 2, { 3, 2500 } },
    { 3, { 20, 21, 22 } },
    { 3, { 1, 17, 1 } },
    { 4, { 7, 6, 5, 4 } },
    { 5, { 3, 4, 5, 3, 2 } },
    { 8, { 2, 3, 2, 3, 2, 2, 3, 2 } },
};

static void frobenius_errors_hold_for_all_shapes(void **state)
{
    fix *f = *state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (double e = 1e-1; e > 1e-8; e *= 0.003) {
            make_field(f, s % 2 ? LODE_F64 : LODE_F32, shapes[s].ndim, shapes[s].shape, 3, 0.01);
            f->o.error = lode_error_rel(e);
            const found r = shrink(f);
            assert_le(sqrt(r.sumsq), e * sqrt(r.norm2) * (1 + 1e-9));
            assert_near(f->c.value, sqrt(r.sumsq / r.norm2), 1e-6 * e);
            assert_true(f->c.kind == LODE_CERT_MEASURED && f->c.asked == e);
        }
}

static void pointwise_errors_hold_at_every_entry(void **state)
{
    fix *f = *state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (double e = 1e-1; e > 1e-7; e *= 0.004) {
            make_field(f, s % 2 ? LODE_F32 : LODE_F64, shapes[s].ndim, shapes[s].shape, 100, 0.05);
            f->o.error = lode_error_max(100 * e);
            assert_le(shrink(f).maxabs, 100 * e);
            f->o.error = lode_error_maxrel(e);
            const found r = shrink(f);
            assert_le(r.maxabs, e * (r.high - r.low));
            assert_true(f->c.norm == LODE_NORM_MAX);
        }
}

/* A share of no range is nothing: every value comes back as it was. */
static void constants_keep_their_value_whatever_share_of_the_range(void **state)
{
    fix *f = *state;
    static const lode_dtype types[] = {
        LODE_F32, LODE_F64, LODE_I16, LODE_U8, LODE_C64, LODE_BF16
    };
    const int64_t shape[] = { 50, 60 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (f->o.effort = 1; f->o.effort <= 9; f->o.effort += 4) {
            make_field(f, types[t], 2, shape, 0, 0);
            lode_array seven = { 0 };
            assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_F64, 2, shape, &seven));
            for (int64_t i = 0; i < 3000; i++)
                ((double *)seven.data)[i] = 7;
            assert_ok(&f->ctx, lode_array_cast(&f->ctx, &seven, types[t], &f->x));
            lode_array_free(&seven);
            if (types[t] == LODE_C64)
                for (int64_t i = 0; i < 3000; i++) /* a constant has one value in all its parts */
                    ((float *)f->x.data)[2 * i + 1] = 7;
            f->o.error = lode_error_maxrel(1e-2);
            assert_true(shrink(f).maxabs == 0);
            assert_true(f->c.value == 0 && f->c.absolute == 0);
        }
}

/* Squares of 1e200 pass the largest f64, those of 1e-200 the smallest; f32 has its own ends. */
static void errors_hold_near_the_ends_of_the_types(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 30 };
    static const struct {
        lode_dtype dtype;
        double scale;
    } ends[] = { { LODE_F64, 1e200 },  { LODE_F64, 1e307 },  { LODE_F64, 1e-200 },
                 { LODE_F64, 1e-310 }, { LODE_F32, 5e37 },   { LODE_F32, 1e-30 },
                 { LODE_F32, 1e-42 },  { LODE_BF16, 1e-38 }, { LODE_C64, 1e37 } };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (f->o.effort = 1; f->o.effort <= 9; f->o.effort += 4) {
            make_field(f, ends[i].dtype, 2, shape, ends[i].scale, 0.1);
            const lode_array x = f->x;
            f->o.error = lode_error_maxrel(1e-3);
            const found r = shrink(f);
            assert_int_equal(r.lost, 0);
            assert_le(r.maxabs, f->c.absolute);
            assert_le(f->c.value, 1e-3);
            f->o.error = lode_error_rel(1e-3);
            shrink(f);
            assert_le(f->c.value, 1e-3);
            double sum = 0, norm = 0;
            for (int64_t k = 0; k < 1200 * (1 + (x.dtype == LODE_C64)); k++) {
                const bool complex = x.dtype == LODE_C64;
                const int64_t at[] = { k / 30, k % 30 };
                const double a = complex ? (double)((float *)x.data)[k] : lode_array_get(&x, at);
                const double b = complex ? (double)((float *)f->y.data)[k]
                                         : lode_array_get(&f->y, at);
                sum += pow((a - b) / ends[i].scale, 2), norm += pow(a / ends[i].scale, 2);
            }
            assert_le(sqrt(sum / norm), 1e-3 * (1 + 1e-9));
        }
}

static void psnr_and_absolute_errors_hold(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 60, 70 };
    make_field(f, LODE_F32, 2, shape, 10, 0.02);
    for (double p = 20; p < 130; p += 25) {
        f->o.error = (lode_error_spec){ .kind = LODE_ERROR_PSNR, .value = p };
        const found r = shrink(f);
        assert_le(p, 20 * log10((r.high - r.low) / sqrt(r.sumsq / (double)r.count)) + 1e-9);
        f->o.error = lode_error_fro(3000 * pow(10, -p / 20));
        assert_le(sqrt(shrink(f).sumsq), 3000 * pow(10, -p / 20));
    }
}

static void every_type_comes_back_as_it_was(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 24, 25, 3 };
    for (int t = 0; t < LODE_DTYPE_COUNT; t++) {
        if (LODE_PACKED & (UINT32_C(1) << t))
            continue;
        make_field(f, (lode_dtype)t, 3, shape, t == LODE_BOOL ? 0.4 : 30, 0.02);
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

static void missing_entries_keep_their_places(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 40, 50 };
    for (int kind = 0; kind < 3; kind++) {
        make_field(f, LODE_F32, 3, shape, 5, 0.01);
        float *v = f->x.data;
        for (int i = 0; i < 12 * 2000; i++) {
            const int r = i / 50 % 40 - 20, c = i % 50 - 25;
            if (kind == 0 ? r * r + c * c < 200 : kind == 1 ? i % 13 == 0 : i < 4000)
                v[i] = NAN;
        }
        f->o.error = lode_error_rel(1e-2);
        found r = shrink(f);
        assert_int_equal(r.lost, 0);
        assert_le(sqrt(r.sumsq), 1e-2 * sqrt(r.norm2) * (1 + 1e-9));
        assert_le(stored(&f->m), 12 * 2000 * 4 / 8);
        f->o.error = lode_error_max(0.05);
        r = shrink(f);
        assert_int_equal(r.lost, 0);
        assert_le(r.maxabs, 0.05);
    }
    /* all missing */
    for (int i = 0; i < 12 * 2000; i++)
        ((float *)f->x.data)[i] = NAN;
    assert_int_equal(shrink(f).lost, 0);
    assert_le(stored(&f->m), 300);
}

static void a_missing_value_comes_back_exactly(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 50, 60 };
    make_field(f, LODE_I16, 2, shape, 300, 0.01);
    int16_t *v = f->x.data;
    for (int i = 0; i < 3000; i += 7)
        v[i] = -9999;
    f->o.missing = (lode_missing){ LODE_MISSING_VALUE, -9999 };
    f->o.error = lode_error_rel(1e-2);
    lode_certificate again;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &again));
    double sumsq = 0, norm2 = 0;
    for (int i = 0; i < 3000; i++) {
        const int16_t w = ((int16_t *)f->y.data)[i];
        if (i % 7 == 0)
            assert_int_equal(w, -9999);
        else
            sumsq += pow(v[i] - w, 2), norm2 += pow(v[i], 2);
    }
    assert_le(sumsq, 1e-4 * norm2);
}

static void what_cannot_be_coded_is_named(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 50, 6, 7 };
    make_field(f, LODE_F64, 3, shape, 1, 0);
    double *v = f->x.data;
    f->o.block.given = true, f->o.block.value = 1024;
    v[43 * 42 + 2 * 7 + 4] = -INFINITY;
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EDOMAIN);
    assert_says(&f->ctx, "[43,2,4]");
    v[43 * 42 + 2 * 7 + 4] = NAN;
    f->o.missing.kind = LODE_MISSING_NONE;
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EDOMAIN);
    assert_says(&f->ctx, "[43,2,4]");
    assert_int_equal(f->m.count, 0);
    f->o = lode_compress_defaults();
    f->o.method = LODE_COMPRESS_LOSSLESS;
    v[0] = INFINITY;
    shrink(f);
    assert_memory_equal(f->x.data, f->y.data, lode_array_bytes(&f->x));
}

static void nothing_and_constants_take_nothing(void **state)
{
    fix *f = *state;
    static const struct {
        int ndim;
        int64_t shape[3];
    } empty[] = { { 1, { 0 } }, { 3, { 4, 0, 5 } }, { 0, { 0 } } };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_ok(&f->ctx,
                  lode_array_zeros(&f->ctx, LODE_F32, empty[i].ndim, empty[i].shape, &f->x));
        assert_int_equal(shrink(f).lost, 0);
        assert_int_equal(f->y.ndim, empty[i].ndim);
    }
    const int64_t shape[] = { 64, 65, 66 };
    static const double values[] = { 0, 1, -7.3, 1e30, 1e-30 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F32, 3, shape, &f->x));
        assert_ok(&f->ctx, lode_i_fill(&f->ctx, &f->x, values[i]));
        const found r = shrink(f);
        assert_le(sqrt(r.sumsq), 1e-3 * sqrt(r.norm2));
        assert_le(stored(&f->m), 200);
    }
}

static void noise_is_never_larger_than_itself(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 3000 };
    static const lode_dtype types[] = { LODE_U8, LODE_U64, LODE_F32, LODE_F64 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        assert_ok(&f->ctx, lode_array_new(&f->ctx, types[t], 1, shape, &f->x));
        uint8_t *b = f->x.data;
        for (size_t i = 0; i < lode_array_bytes(&f->x); i++)
            b[i] = (uint8_t)lode_i_random_u64(lode_i_stream(&f->ctx, "bytes", 0), i);
        f->o = lode_compress_defaults();
        f->o.method = LODE_COMPRESS_LOSSLESS;
        shrink(f); /* asserts the size */
        assert_memory_equal(f->x.data, f->y.data, lode_array_bytes(&f->x));
    }
}

static void parts_are_slices_of_the_whole(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 21, 22, 23 };
    make_field(f, LODE_F32, 3, shape, 1, 0.05);
    for (int64_t block = 0; block <= 5000; block += 2500) {
        static const lode_part parts[] = {
            { .ndim = 3, .start = { 0, 0, 0 }, .count = { -1, -1, -1 } },
            { .ndim = 3, .start = { 4, 5, 6 }, .count = { 10, 1, 9 } },
            { .ndim = 3, .start = { 20, 0, 22 }, .count = { 1, 22, 1 } },
            { .ndim = 3, .start = { 3, 3, 3 }, .count = { 0, 2, 2 } }
        };
        lode_array part = { 0 };
        f->o.block.given = block > 0, f->o.block.value = block;
        const found r = shrink(f);
        assert_le(sqrt(r.sumsq), 1e-3 * sqrt(r.norm2));
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &parts[p], &part));
            for (int64_t i = 0; i < lode_array_size(&part); i++) {
                const int64_t at[] = { i / part.shape[2] / part.shape[1],
                                       i / part.shape[2] % part.shape[1], i % part.shape[2] };
                const int64_t there[] = { at[0] + parts[p].start[0], at[1] + parts[p].start[1],
                                          at[2] + parts[p].start[2] };
                assert_true(lode_array_get(&part, at) == lode_array_get(&f->y, there));
            }
        }
        const lode_part beyond = { .ndim = 3, .start = { 20, 0, 0 }, .count = { 2, 1, 1 } };
        assert_status(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &beyond, &part),
                      LODE_ESHAPE);
        lode_array_free(&part);
    }
}

static void same_bytes(const lode_bundle *a, const lode_bundle *b)
{
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        const lode_array *p = lode_bundle_value(a, i).as.array,
                         *q = lode_bundle_value(b, i).as.array;
        assert_int_equal(p->shape[0], q->shape[0]);
        assert_memory_equal(p->data, q->data, (size_t)p->shape[0]);
    }
}

static void bits_depend_on_nothing_but_the_call(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 41, 42 };
    lode_bundle other = { 0 };
    lode_source source = { 0 };
    make_field(f, LODE_F32, 3, shape, 1, 0.1);
    f->o.block.given = true, f->o.block.value = 30000;
    f->ctx.threads = 1;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, NULL));
    f->ctx.threads = 4;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &other, NULL));
    same_bytes(&f->m, &other);
    assert_ok(&f->ctx, lode_i_source_from_array(&f->ctx, &f->x, &source));
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_source(&source), &other, NULL));
    same_bytes(&f->m, &other);
    /* and what comes back does not depend on the seed of who reads it */
    lode_array y = { 0 };
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    f->ctx.seed = 77, f->ctx.threads = 1;
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &y));
    assert_memory_equal(f->y.data, y.data, lode_array_bytes(&y));
    LODE_FREE(&y, &other, &source);
}

static void budgets_in_bytes_are_kept_and_used(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 30, 25 };
    double last = INFINITY;
    make_field(f, LODE_F32, 3, shape, 1, 0.05);
    for (double bytes = 3500; bytes < 16000; bytes *= 2) {
        f->o.budget = (lode_budget_spec){ LODE_BUDGET_BYTES, bytes };
        const found r = shrink(f);
        assert_le(stored(&f->m), bytes);
        assert_le(sqrt(r.sumsq), 0.9 * last); /* more room, less error */
        last = sqrt(r.sumsq);
        assert_true(isnan(f->c.asked));
    }
    f->o.budget = (lode_budget_spec){ LODE_BUDGET_BITS, 2 };
    shrink(f);
    assert_le(stored(&f->m), 15000 * 2 / 8);
    f->o.error = lode_error_rel(1e-6); /* does not fit: the budget decides, and it says so */
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_MISSED);
    assert_true(f->c.value > 1e-6 && f->c.asked == 1e-6);
    f->o.error = lode_error_rel(0.5); /* fits easily: the error decides */
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_le(stored(&f->m), 2000);
    f->o.budget.value = 1e-3;
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EPARAM);
}

static void ranks_and_numbers_bound_learned_bases(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 30, 40, 20 };
    lode_array core = { 0 };
    lode_bundle factors = { 0 };
    lode_certificate c;
    make_field(f, LODE_F64, 3, shape, 1, 0.2);
    lode_tucker_opts t = lode_tucker_defaults();
    t.budget = f->o.budget = (lode_budget_spec){ LODE_BUDGET_PARAMS, 900 };
    found r = shrink(f);
    assert_ok(&f->ctx, lode_tucker(&f->ctx, &t, lode_from_array(&f->x), &core, &factors, &c));
    assert_le(sqrt(r.sumsq), 1.03 * c.absolute); /* coding may add 5% to the square */
    assert_le(stored(&f->m), 900 * 4);
    t.budget = f->o.budget = (lode_budget_spec){ 0 };
    t.rank = f->o.rank = lode_rank(4);
    r = shrink(f);
    assert_ok(&f->ctx, lode_tucker(&f->ctx, &t, lode_from_array(&f->x), &core, &factors, &c));
    assert_le(sqrt(r.sumsq), 1.03 * c.absolute);
    f->o.error = lode_error_rel(1e-9);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_MISSED);
    f->o.error = lode_error_max(1);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EUSAGE);
    LODE_FREE(&core, &factors);
}

static void every_method_holds_the_error(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 30, 40, 20 };
    make_field(f, LODE_F32, 3, shape, 1, 0.1);
    for (int method = LODE_COMPRESS_AUTO; method <= LODE_COMPRESS_WAVELET; method++) {
        f->o.method = (lode_compress_method)method;
        const found r = shrink(f);
        assert_le(sqrt(r.sumsq), 1e-3 * sqrt(r.norm2));
    }
}

static void damage_and_lies_are_found(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 30, 20 };
    lode_certificate again;
    lode_array y = { 0 };
    make_field(f, LODE_F32, 2, shape, 1, 0.1);
    f->o.error = lode_error_rel(1e-2);
    shrink(f);
    uint8_t *b = ((lode_array *)(uintptr_t)lode_bundle_value(&f->m, 0).as.array)->data;
    const int64_t size = lode_bundle_value(&f->m, 0).as.array->shape[0];
    for (int64_t i = 0; i < size; i++) {
        b[i] ^= 1;
        assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &y), LODE_EFORMAT);
        b[i] ^= 1;
    }
    b[size / 2] ^= 1;
    assert_true(lode_verify(ctx, &f->m, lode_none(), &again) < 0);
    b[size / 2] ^= 1;
    ((float *)f->x.data)[7] += 1; /* not what was compressed */
    assert_status(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &again), LODE_EVERIFY);
    ((float *)f->x.data)[7] -= 1;
    f->m.certificate.value *= 0.9; /* a certificate that promises more */
    assert_status(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &again), LODE_EVERIFY);
    f->m.certificate.value /= 0.9;
    f->m.meta.shape[0] = 20, f->m.meta.shape[1] = 30; /* the shape belongs to the code */
    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &y), LODE_EFORMAT);
    LODE_FREE(&y);
}

static void figures_are_drawn(void **state)
{
    fix *f = *state;
    static const struct {
        int ndim;
        int64_t shape[4];
    } cases[] = { { 1, { 50 } }, { 2, { 30, 40 } }, { 4, { 3, 4, 20, 30 } } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_figure *figure = NULL;
        make_field(f, LODE_F32, cases[i].ndim, cases[i].shape, 1, 0.1);
        shrink(f);
        assert_ok(&f->ctx, lode_figure_new(&f->ctx, &figure));
        assert_ok(&f->ctx, lode_plot(&f->ctx, &f->m, lode_from_array(&f->x), figure));
        lode_figure_free(&figure);
        assert_ok(&f->ctx, lode_figure_new(&f->ctx, &figure));
        assert_ok(&f->ctx, lode_plot(&f->ctx, &f->m, lode_none(), figure));
        lode_figure_free(&figure);
    }
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
    make_field(&f, LODE_F32, 3, shape, 1, 0.05);
    for (int i = 0; i < 504; i += 11)
        ((float *)f.x.data)[i] = NAN;
    const int64_t live = atomic_load(&h.live);
    /* every allocation of the first stretch, then ever fewer, to stay within a second */
    for (int64_t n = 1;; n += 1 + n / 40) {
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

/* Effort changes time and size, never a promise; the fast coder's streams are a few percent longer,
 * more tries never make them so. */
static void every_effort_holds_the_bounds(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 15, 32 };
    int64_t size[10] = { 0 };
    make_field(f, LODE_F32, 3, shape, 2, 0.01);
    for (f->o.effort = 1; f->o.effort <= 9; f->o.effort++) {
        f->o.error = lode_error_rel(1e-3);
        const found relative = shrink(f);
        size[f->o.effort] = stored(&f->m);
        assert_le(relative.sumsq, 1e-6 * relative.norm2);
        f->o.error = (lode_error_spec){ .kind = LODE_ERROR_MAX, .value = 0.05 };
        assert_le(shrink(f).maxabs, 0.05);
    }
    assert_le(size[2], 1.1 * (double)size[5]);
    assert_true(size[2] == size[3] && size[4] == size[5] && size[6] == size[8]);
    assert_le(size[9], size[8]);
    f->o.effort = 0;
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c),
                  LODE_EPARAM);
}

/* A reader that goes by the source's chunks decodes each block once. */
static void a_source_names_its_blocks(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 40, 30, 64 };
    lode_source s = { 0 };
    make_field(f, LODE_F32, 3, shape, 2, 0.01);
    f->o.block = (lode_auto_i64){ .given = true, .value = 10 * 30 * 64 };
    shrink(f);
    assert_int_equal(f->m.count, 5); /* and the sums */
    assert_ok(&f->ctx, lode_invert_source(&f->ctx, &f->m, &s));
    assert_true(s.chunk[0] == 10 && s.chunk[1] == 30 && s.chunk[2] == 64);
    lode_source_close(&s);
}

/* Noise with memory along every axis, so that its energy falls slowly over the cosines. */
static void make_clouds(fix *f, lode_dtype dtype, const int64_t *shape)
{
    lode_array a = { 0 };
    const int64_t n = shape[0] * shape[1] * shape[2];
    const int64_t stride[] = { shape[1] * shape[2], shape[2], 1 };
    assert_ok(&f->ctx,
              lode_i_randn(&f->ctx, lode_i_stream(&f->ctx, "clouds", 1), LODE_F64, n, 1, &a));
    double *v = a.data;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < n; i++)
            if (i / stride[k] % shape[k] > 0)
                v[i] += 0.9 * v[i - stride[k]];
    const lode_array field = lode_array_wrap(v, LODE_F64, 3, shape);
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &field, dtype, &f->x));
    lode_array_free(&a);
}

/* Effort 1 rounds plainly; from 2 on symbols are chosen by their bits. */
static void symbols_chosen_by_bits_are_shorter_at_the_same_error(void **state)
{
    fix *f = *state;
    static const struct {
        lode_dtype dtype;
        int64_t shape[3];
        double error, saves;
    } cases[] = { { LODE_F32, { 64, 60, 72 }, 0.3, 0.03 },
                  { LODE_F64, { 64, 60, 72 }, 0.4, 0.03 },
                  { LODE_C64, { 30, 40, 40 }, 0.3, 0.02 },
                  { LODE_F32, { 5, 4, 6 }, 0.3, 0 } };
    f->o.method = LODE_COMPRESS_DCT;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double bytes[2];
        make_clouds(f, cases[k].dtype, cases[k].shape);
        f->o.error = lode_error_rel(cases[k].error);
        for (int i = 0; i < 2; i++) {
            f->o.effort = i ? 5 : 1;
            const found r = shrink(f);
            assert_le(sqrt(r.sumsq), cases[k].error * sqrt(r.norm2));
            bytes[i] = (double)stored(&f->m);
        }
        assert_le(bytes[1], (1 - cases[k].saves) * bytes[0]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(frobenius_errors_hold_for_all_shapes),
        TEST(pointwise_errors_hold_at_every_entry),
        TEST(constants_keep_their_value_whatever_share_of_the_range),
        TEST(errors_hold_near_the_ends_of_the_types),
        TEST(psnr_and_absolute_errors_hold),
        TEST(every_type_comes_back_as_it_was),
        TEST(missing_entries_keep_their_places),
        TEST(a_missing_value_comes_back_exactly),
        TEST(what_cannot_be_coded_is_named),
        TEST(nothing_and_constants_take_nothing),
        TEST(noise_is_never_larger_than_itself),
        TEST(parts_are_slices_of_the_whole),
        TEST(bits_depend_on_nothing_but_the_call),
        TEST(budgets_in_bytes_are_kept_and_used),
        TEST(ranks_and_numbers_bound_learned_bases),
        TEST(every_method_holds_the_error),
        TEST(symbols_chosen_by_bits_are_shorter_at_the_same_error),
        TEST(damage_and_lies_are_found),
        TEST(figures_are_drawn),
        TEST(every_effort_holds_the_bounds),
        TEST(a_source_names_its_blocks),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
