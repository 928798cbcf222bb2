/* Parts added to a compressed array: what is there stays byte for byte, what comes back is the row
 * of what each part gives by itself, and the error asked holds over the whole, measured here entry
 * by entry. */
#include "compressed.h"

#include <math.h>

#include "array/array.h"
#include "lode/io.h"

/* Waves that go on along the axis from `from`, and noise. */
static void make_part(fix *f, lode_dtype dtype, int ndim, const int64_t *shape, int64_t from,
                      double scale, lode_array *x)
{
    lode_array a = { 0 };
    int64_t n = 1, index[4] = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    for (int k = 0; k < ndim; k++)
        n *= shape[k];
    double *v = a.data;
    const lode_stream s = lode_i_stream(&f->ctx, "part", (uint64_t)from);
    for (int64_t i = 0; i < n; i++) {
        double wave = 0.5;
        for (int k = 0; k < ndim; k++)
            wave += sin(0.2 * (k + 1) * (double)(index[k] + (k == f->axis ? from : 0)) + k);
        v[i] = scale * (wave + 0.02 * lode_i_random_normal(s, (uint64_t)i));
        for (int k = ndim - 1; k >= 0 && ++index[k] == shape[k]; k--)
            index[k] = 0;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, x));
    lode_array_free(&a);
}

/* *to = *to and *part after it along the axis. */
static void append(fix *f, const lode_array *part, lode_array *to)
{
    lode_array made = { 0 }, view = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    if (!to->data) {
        assert_ok(&f->ctx, lode_array_cast(&f->ctx, part, part->dtype, to));
        return;
    }
    memcpy(shape, to->shape, sizeof shape);
    const int64_t n = shape[f->axis];
    shape[f->axis] += part->shape[f->axis];
    assert_ok(&f->ctx, lode_array_new(&f->ctx, to->dtype, to->ndim, shape, &made));
    assert_ok(&f->ctx, lode_array_slice(&f->ctx, &made, f->axis, 0, n, 1, &view));
    assert_ok(&f->ctx, lode_array_copy_into(&f->ctx, to, &view));
    assert_ok(&f->ctx, lode_array_slice(&f->ctx, &made, f->axis, n, shape[f->axis], 1, &view));
    assert_ok(&f->ctx, lode_array_copy_into(&f->ctx, part, &view));
    lode_array_swap(to, &made);
    LODE_FREE(&made, &view);
}

static lode_status put(fix *f, const lode_array *part)
{
    if (!f->m.count)
        return lode_compress(&f->ctx, &f->o, lode_from_array(part), &f->m, NULL);
    return lode_update(&f->ctx, &f->m, lode_from_array(part), &f->m);
}

static void again(fix *f)
{
    LODE_FREE(&f->x, &f->y, &f->m);
}

static void same_values(const lode_array *a, const lode_array *b)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->ndim, b->ndim);
    for (int k = 0; k < a->ndim; k++)
        assert_int_equal(a->shape[k], b->shape[k]);
    assert_true(lode_array_is_contiguous(a) && lode_array_is_contiguous(b));
    assert_memory_equal(a->data, b->data, lode_array_bytes(a));
}

typedef struct found {
    double sumsq, maxabs, norm2, low, high, count;
} found;

/* Entry by entry, in f64; NaN must be NaN. */
static found measure(fix *f)
{
    found r = { .low = INFINITY, .high = -INFINITY };
    lode_certificate c;
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &c));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_none(), &c));
    assert_int_equal(lode_array_size(&f->x), lode_array_size(&f->y));
    int64_t index[4] = { 0 };
    for (int64_t i = 0; i < lode_array_size(&f->x); i++) {
        const double v = lode_array_get(&f->x, index), w = lode_array_get(&f->y, index);
        assert_int_equal(isnan(v), isnan(w));
        if (!isnan(v)) {
            r.sumsq += (v - w) * (v - w), r.norm2 += v * v, r.count++;
            r.maxabs = fmax(r.maxabs, fabs(v - w));
            r.low = fmin(r.low, v), r.high = fmax(r.high, v);
        }
        for (int k = f->x.ndim - 1; k >= 0 && ++index[k] == f->x.shape[k]; k--)
            index[k] = 0;
    }
    return r;
}

/* ---- tests ---- */

static void parts_come_back_as_by_themselves(void **state)
{
    fix *f = *state;
    static const int64_t lengths[] = { 9, 1, 5, 4 };
    for (f->axis = 0; f->axis < 3; f->axis++)
        for (int64_t block = 0; block < 2; block++) {
            int64_t shape[] = { 7, 21, 20 }, from = 0;
            lode_array want = { 0 };
            f->o.axis = block ? f->axis : f->axis - 3;
            f->o.block = (lode_auto_i64){ block > 0, 1024 };
            for (int p = 0; p < 4; p++) {
                lode_array part = { 0 }, back = { 0 };
                lode_bundle alone = { 0 };
                shape[f->axis] = lengths[p];
                make_part(f, LODE_F32, 3, shape, from, 2, &part);
                append(f, &part, &f->x);
                assert_ok(&f->ctx, put(f, &part));
                assert_ok(&f->ctx,
                          lode_compress(&f->ctx, &f->o, lode_from_array(&part), &alone, NULL));
                assert_ok(&f->ctx, lode_invert(&f->ctx, &alone, lode_none(), NULL, &back));
                append(f, &back, &want);
                from += lengths[p];
                LODE_FREE(&part, &back, &alone);
            }
            measure(f);
            same_values(&want, &f->y);
            LODE_FREE(&want);
            again(f);
        }
}

static void records_that_are_there_do_not_change(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 20, 20 }, more[] = { 3, 20, 20 };
    lode_array part = { 0 };
    lode_bundle first = { 0 };
    f->o.block = (lode_auto_i64){ true, 1600 };
    make_part(f, LODE_F64, 3, shape, 0, 1, &f->x);
    assert_ok(&f->ctx, put(f, &f->x));
    assert_ok(&f->ctx, lode_bundle_ref(&f->ctx, &f->m, &first));
    for (int p = 0; p < 3; p++) {
        make_part(f, LODE_F64, 3, more, 12 + 3 * p, 50, &part);
        assert_ok(&f->ctx, put(f, &part));
    }
    for (int64_t i = 0; i < first.count; i++) {
        const char *name = lode_bundle_name(&first, i);
        const lode_value a = lode_bundle_value(&first, i), b = lode_bundle_get(&f->m, name);
        if (strncmp(name, "coded.", 6) == 0)
            same_values(a.as.array, b.as.array);
    }
    assert_int_equal(f->m.meta.shape[0], 21);
    assert_int_equal((int64_t)f->m.meta.input_bytes, 21 * 400 * 8);
    LODE_FREE(&part, &first);
}

/* Parts of growing and of vanishing size: what is asked is asked of the whole. */
static void errors_hold_over_the_whole(void **state)
{
    fix *f = *state;
    static const double scales[] = { 1, 20, 1e-3, 0, 3 };
    static const char *const specs[] = { "rel", "fro", "max", "maxrel", "psnr", "peak" };
    for (size_t kind = 0; kind < sizeof specs / sizeof *specs; kind++) {
        const int64_t shape[] = { 6, 24, 24 };
        found r = { 0 };
        switch (kind) {
        case 0: f->o.error = lode_error_rel(2e-3); break;
        case 1: f->o.error = lode_error_fro(3); break;
        case 2: f->o.error = lode_error_max(0.03); break;
        case 3: f->o.error = lode_error_maxrel(1e-3); break;
        default: f->o.error = (lode_error_spec){ LODE_ERROR_PSNR, 55, kind == 5 ? 4 : 0 };
        }
        for (int p = 0; p < 5; p++) {
            lode_array part = { 0 };
            make_part(f, LODE_F32, 3, shape, 6 * p, scales[p], &part);
            append(f, &part, &f->x);
            assert_ok(&f->ctx, put(f, &part));
            LODE_FREE(&part);
            r = measure(f);
            const double range = r.high - r.low, slack = 1 + 1e-9;
            switch (kind) {
            case 0: assert_le(sqrt(r.sumsq), 2e-3 * sqrt(r.norm2) * slack); break;
            case 1: assert_le(sqrt(r.sumsq), 3 * slack); break;
            case 2: assert_le(r.maxabs, 0.03); break;
            case 3: assert_le(r.maxabs, 1e-3 * range); break;
            default:
                assert_le(55, 20 * log10((kind == 5 ? 4 : range) / sqrt(r.sumsq / r.count)) + 1e-9);
            }
            const lode_certificate *c = &f->m.certificate;
            const double reached = kind == 2 || kind == 3 ? r.maxabs : sqrt(r.sumsq);
            const double unit = kind == 1 || kind == 2 ? 1 : kind == 3 ? range : sqrt(r.norm2);
            assert_near(c->absolute, reached, 1e-6 * reached);
            assert_near(c->value, reached / unit, 1e-6 * c->value);
        }
        again(f);
    }
}

static void missing_values_and_types_go_on(void **state)
{
    fix *f = *state;
    static const lode_dtype types[] = { LODE_I16, LODE_U8, LODE_F16, LODE_F64, LODE_C64 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int p = 0; p < 3; p++) {
            const int64_t shape[] = { p + 1, 17, 18 };
            lode_array part = { 0 };
            make_part(f, types[t], 3, shape, 6 * p, 40, &part);
            if (types[t] == LODE_F64 && p != 1)
                for (int64_t i = p; i < lode_array_size(&part); i += 7)
                    ((double *)part.data)[i] = NAN;
            append(f, &part, &f->x);
            assert_ok(&f->ctx, put(f, &part));
            LODE_FREE(&part);
            const found r = measure(f); /* complex: through verify alone */
            if (types[t] != LODE_C64)
                assert_le(sqrt(r.sumsq), 1e-3 * sqrt(r.norm2) * (1 + 1e-9));
            if (p == 2)
                again(f);
        }
    /* nothing but missing values at first, then in the middle */
    for (int p = 0; p < 3; p++) {
        const int64_t shape[] = { 2, 9, 9 };
        lode_array part = { 0 };
        make_part(f, LODE_F32, 3, shape, 2 * p, 1, &part);
        if (p != 1)
            for (int i = 0; i < 162; i++)
                ((float *)part.data)[i] = NAN;
        append(f, &part, &f->x);
        assert_ok(&f->ctx, put(f, &part));
        LODE_FREE(&part);
        measure(f);
    }
    again(f);
    f->o.method = LODE_COMPRESS_LOSSLESS;
    for (int p = 0; p < 3; p++) {
        const int64_t shape[] = { 2, 9, 9 };
        lode_array part = { 0 };
        make_part(f, LODE_F64, 3, shape, 2 * p, 1, &part);
        append(f, &part, &f->x);
        assert_ok(&f->ctx, put(f, &part));
        LODE_FREE(&part);
        measure(f);
        same_values(&f->x, &f->y);
    }
}

/* As many bytes, bits or numbers a value as before. */
static void sizes_go_on_at_the_same_rate(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 30, 30 }, more[] = { 6, 30, 30 };
    static const lode_budget_spec budgets[] = { { LODE_BUDGET_BYTES, 6000 },
                                                { LODE_BUDGET_BITS, 3 },
                                                { LODE_BUDGET_PARAMS, 600 } };
    for (int b = 0; b < 4; b++) {
        lode_array part = { 0 };
        f->o.budget = b < 3 ? budgets[b] : (lode_budget_spec){ 0 };
        if (b == 3)
            f->o.rank = lode_rank(3);
        make_part(f, LODE_F32, 3, shape, 0, 1, &f->x);
        assert_ok(&f->ctx, put(f, &f->x));
        int64_t before = stored(&f->m);
        const int64_t first = before;
        for (int p = 0; p < 2; p++) {
            make_part(f, LODE_F32, 3, more, 12 + 6 * p, 1, &part);
            append(f, &part, &f->x);
            assert_ok(&f->ctx, put(f, &part));
            const int64_t added = stored(&f->m) - before;
            before = stored(&f->m);
            if (b < 2) {
                assert_le(added, 0.5 * (b ? 12 * 900 * 3 / 8 : 6000));
                assert_le(0.3 * (double)first, added);
            } else {
                assert_le(added, 1.1 * (double)first);
            }
        }
        measure(f);
        LODE_FREE(&part);
        again(f);
    }
    /* what holds nothing is said; with few numbers the part gets ranks of 1 */
    f->o = lode_compress_defaults();
    f->o.budget = (lode_budget_spec){ LODE_BUDGET_BITS, 2 };
    lode_array part = { 0 };
    const int64_t small[] = { 1, 30, 30 };
    make_part(f, LODE_F32, 3, shape, 0, 1, &part);
    assert_ok(&f->ctx, put(f, &part));
    make_part(f, LODE_F32, 3, small, 0, 1, &part);
    assert_status(&f->ctx, put(f, &part), LODE_EPARAM);
    assert_says(&f->ctx, "part");
    again(f);
    f->o.budget = (lode_budget_spec){ LODE_BUDGET_PARAMS, 600 };
    make_part(f, LODE_F32, 3, shape, 0, 1, &part);
    assert_ok(&f->ctx, put(f, &part));
    make_part(f, LODE_F32, 3, small, 0, 1, &part);
    assert_ok(&f->ctx, put(f, &part));
    LODE_FREE(&part);
}

static void an_error_that_is_used_up_is_said(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 8, 20, 20 };
    lode_array part = { 0 };
    f->o.rank = lode_rank(2); /* which decides: the error asked is missed */
    f->o.error = lode_error_rel(1e-6);
    make_part(f, LODE_F32, 3, shape, 0, 1, &part);
    assert_status(&f->ctx, put(f, &part), LODE_MISSED);
    assert_status(&f->ctx, put(f, &part), LODE_MISSED);
    assert_says(&f->ctx, "the rank decided");
    assert_int_equal(f->m.meta.shape[0], 16);
    LODE_FREE(&part);
}

static void what_does_not_fit_is_named(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 4, 10, 11 }, wrong[] = { 4, 10, 12 }, flat[] = { 10, 11 },
                  none[] = { 0, 10, 11 };
    lode_array part = { 0 };
    lode_bundle old = { 0 };
    make_part(f, LODE_F32, 3, shape, 0, 1, &f->x);
    assert_ok(ctx, put(f, &f->x));
    const int64_t members = f->m.count;
    make_part(f, LODE_F32, 3, wrong, 0, 1, &part);
    assert_status(ctx, put(f, &part), LODE_ESHAPE);
    assert_says(ctx, "axis 2 must have 11");
    make_part(f, LODE_F64, 3, shape, 0, 1, &part);
    assert_status(ctx, put(f, &part), LODE_ETYPE);
    assert_says(ctx, "f64");
    make_part(f, LODE_F32, 1, shape, 0, 1, &part);
    assert_status(ctx, put(f, &part), LODE_ESHAPE);
    assert_says(ctx, "1 axes");
    make_part(f, LODE_F32, 3, shape, 0, 1, &part);
    ((float *)part.data)[2 * 110 + 3 * 11 + 7] = -INFINITY;
    assert_status(ctx, put(f, &part), LODE_EDOMAIN);
    assert_says(ctx, "[2,3,7]");
    assert_status(ctx, lode_update(ctx, &f->m, lode_from_text("x"), &f->m), LODE_ETYPE);
    assert_int_equal(f->m.count, members);
    /* a single step may lack its axis; nothing adds nothing */
    make_part(f, LODE_F32, 2, flat, 0, 1, &part);
    assert_ok(ctx, put(f, &part));
    assert_int_equal(f->m.meta.shape[0], 5);
    make_part(f, LODE_F32, 3, none, 0, 1, &part);
    assert_ok(ctx, put(f, &part));
    assert_int_equal(f->m.meta.shape[0], 5);
    /* a file without sums, as older ones */
    lode_array coded = lode_array_ref(lode_bundle_get(&f->m, "coded.0").as.array);
    assert_ok(ctx, lode_bundle_add_array(ctx, &old, "coded.0", &coded));
    memcpy(&old.meta, &f->m.meta, sizeof old.meta);
    old.meta.options = old.meta.made = NULL;
    old.meta.shape[0] = 4;
    assert_ok(ctx, lode_invert(ctx, &old, lode_none(), NULL, &f->y));
    assert_status(ctx, lode_update(ctx, &old, lode_from_array(&part), &old), LODE_EUNSUPPORTED);
    assert_says(ctx, "sums");
    /* an axis that is none */
    f->o.axis = 3;
    assert_status(ctx, lode_compress(ctx, &f->o, lode_from_array(&f->x), &old, NULL), LODE_EPARAM);
    assert_says(ctx, "axis is 3");
    LODE_FREE(&part, &old, &coded);
}

/* To begin with nothing, or with an axis of length 0. */
static void empty_arrays_grow(void **state)
{
    fix *f = *state;
    const int64_t none[] = { 0, 5, 6 }, some[] = { 3, 5, 6 };
    lode_array part = { 0 };
    make_part(f, LODE_F32, 3, none, 0, 1, &f->x);
    assert_ok(&f->ctx, put(f, &f->x));
    for (int p = 0; p < 2; p++) {
        make_part(f, LODE_F32, 3, some, 3 * p, 1, &part);
        append(f, &part, &f->x);
        assert_ok(&f->ctx, put(f, &part));
        measure(f);
    }
    LODE_FREE(&part);
    again(f);
    const double one = 3;
    const lode_array scalar = lode_array_wrap((void *)(uintptr_t)&one, LODE_F64, 0, NULL);
    assert_ok(&f->ctx, put(f, &scalar));
    assert_status(&f->ctx, put(f, &scalar), LODE_ESHAPE);
}

static void same_models(const lode_bundle *a, const lode_bundle *b)
{
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        assert_string_equal(lode_bundle_name(a, i), lode_bundle_name(b, i));
        same_values(lode_bundle_value(a, i).as.array, lode_bundle_value(b, i).as.array);
    }
    assert_true(a->certificate.value == b->certificate.value);
}

static void bits_depend_on_nothing_but_the_call(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 12, 20, 25 };
    lode_array part = { 0 };
    lode_bundle want = { 0 };
    lode_source source = { 0 };
    make_part(f, LODE_F32, 3, shape, 0, 1, &f->x);
    make_part(f, LODE_F32, 3, shape, 12, 1, &part);
    f->o.block = (lode_auto_i64){ true, 2000 };
    for (f->ctx.threads = 1; f->ctx.threads <= 3; f->ctx.threads++) {
        LODE_FREE(&f->m);
        f->ctx.seed = (uint64_t)f->ctx.threads; /* the model's counts */
        assert_ok(&f->ctx, put(f, &f->x));
        assert_ok(&f->ctx, put(f, &part));
        if (f->ctx.threads == 1)
            lode_bundle_swap(&want, &f->m);
        else
            same_models(&want, &f->m);
    }
    LODE_FREE(&f->m);
    assert_ok(&f->ctx, put(f, &f->x));
    assert_ok(&f->ctx, lode_i_source_from_array(&f->ctx, &part, &source));
    assert_ok(&f->ctx, lode_update(&f->ctx, &f->m, lode_from_source(&source), &f->m));
    same_models(&want, &f->m);
    LODE_FREE(&part, &want, &source);
}

/* Any part of many small ones; the source's chunks; a figure. */
static void many_small_parts_read_as_one(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 1, 12, 13 };
    lode_source s = { 0 };
    lode_array part = { 0 }, got = { 0 };
    lode_figure *figure = NULL;
    for (int p = 0; p < 60; p++) {
        make_part(f, LODE_F32, 3, shape, p, 1, &part);
        append(f, &part, &f->x);
        assert_ok(&f->ctx, put(f, &part));
    }
    measure(f);
    static const lode_part parts[] = {
        { .ndim = 3, .start = { 17, 2, 3 }, .count = { 30, 5, 1 } },
        { .ndim = 3, .start = { 59, 0, 0 }, .count = { 1, 12, 13 } },
        { .ndim = 3, .start = { 0, 11, 0 }, .count = { 60, 1, 13 } },
        { .ndim = 3, .start = { 5, 0, 0 }, .count = { 0, 12, 13 } }
    };
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &parts[p], &got));
        for (int64_t i = 0; i < lode_array_size(&got); i++) {
            const int64_t at[] = { i / got.shape[2] / got.shape[1], i / got.shape[2] % got.shape[1],
                                   i % got.shape[2] };
            const int64_t there[] = { at[0] + parts[p].start[0], at[1] + parts[p].start[1],
                                      at[2] + parts[p].start[2] };
            assert_true(lode_array_get(&got, at) == lode_array_get(&f->y, there));
        }
    }
    assert_ok(&f->ctx, lode_invert_source(&f->ctx, &f->m, &s));
    assert_true(s.chunk[0] == 1 && s.chunk[1] == 12 && s.chunk[2] == 13);
    assert_ok(&f->ctx, lode_i_source_load(&f->ctx, &s, &got));
    same_values(&f->y, &got);
    assert_ok(&f->ctx, lode_figure_new(&f->ctx, &figure));
    assert_ok(&f->ctx, lode_plot(&f->ctx, &f->m, lode_from_array(&f->x), figure));
    lode_figure_free(&figure);
    LODE_FREE(&part, &got, &s);
}

static void files_are_joined(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 8, 15, 16 };
    lode_array part[3] = { { 0 } };
    lode_bundle one[3] = { { 0 } }, all = { 0 };
    for (int p = 0; p < 3; p++) {
        make_part(f, LODE_F32, 3, shape, 8 * p, p + 1, &part[p]);
        append(f, &part[p], &f->x);
        assert_ok(&f->ctx, put(f, &part[p]));
        assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&part[p]), &one[p], NULL));
    }
    const lode_bundle *models[] = { &one[0], &one[1], &one[2] };
    assert_ok(&f->ctx, lode_merge(&f->ctx, models, 3, &all));
    same_models(&f->m, &all);
    /* the second one added to as well */
    assert_ok(&f->ctx, lode_update(&f->ctx, &one[1], lode_from_array(&part[2]), &one[1]));
    assert_ok(&f->ctx, lode_merge(&f->ctx, models, 2, &all));
    for (int64_t i = 0; i < all.count; i++) /* sums may round otherwise */
        if (strcmp(lode_bundle_name(&all, i), "sums") != 0)
            same_values(lode_bundle_value(&f->m, i).as.array, lode_bundle_value(&all, i).as.array);
    lode_bundle_swap(&f->m, &all);
    measure(f);
    f->o.error = lode_error_rel(0.1);
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&part[1]), &one[1], NULL));
    assert_status(&f->ctx, lode_merge(&f->ctx, models, 2, &all), LODE_EUSAGE);
    assert_says(&f->ctx, "other options");
    LODE_FREE(&part[0], &part[1], &part[2], &one[0], &one[1], &one[2], &all);
}

/* Through files of every kind that keeps a result; the hash is that of the row of parts. */
static void files_keep_what_update_needs(void **state)
{
    fix *f = *state;
    static const char *const names[] = { "m.lode", "m.npz", "m/" };
    char folder[256], path[512];
    const int64_t shape[] = { 4, 15, 16 };
    lode_certificate c;
    lode_array part = { 0 };
    folder_make(folder);
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[n]);
        if (!lode_format_keeps_results(NULL, path))
            continue; /* not in this build */
        for (int p = 0; p < 3; p++) {
            make_part(f, LODE_F32, 3, shape, 4 * p, 1, &part);
            append(f, &part, &f->x);
            assert_ok(&f->ctx, put(f, &part));
            if (p == 0)
                assert_ok(&f->ctx,
                          lode_hash(&f->ctx, lode_from_array(&part), f->m.meta.input_hash));
            assert_ok(&f->ctx,
                      lode_write(&f->ctx, path, &f->m, &(lode_write_opts){ .force = true }));
            LODE_FREE(&f->m);
            assert_ok(&f->ctx, lode_read(&f->ctx, path, NULL, &f->m));
            measure(f);
        }
        assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &c));
        assert_non_null(strstr(c.note, "every bit"));
        ((float *)f->x.data)[700] *= 1 + 0x1p-22F;
        assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &c));
        assert_non_null(strstr(c.note, "other bits"));
        again(f);
    }
    LODE_FREE(&part);
    folder_remove(folder);
}

static void lies_are_found(void **state)
{
    fix *f = *state;
    lode_ctx *ctx = &f->ctx;
    const int64_t shape[] = { 8, 9, 10 };
    static const double values[] = { -1, 0, 1, 2, 7, 9, 16, 17, 1e6, 9e15, 9.3e18 };
    lode_array part = { 0 };
    lode_certificate c;
    for (int p = 0; p < 2; p++) {
        make_part(f, LODE_F32, 3, shape, 8 * p, 1, &part);
        append(f, &part, &f->x);
        assert_ok(ctx, put(f, &part));
    }
    measure(f);
    lode_array *table = (lode_array *)(uintptr_t)lode_bundle_get(&f->m, "segments").as.array;
    for (int64_t r = 0; r < 2; r++)
        for (int64_t k = 0; k < 3; k++)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                const double true_one = lode_i_get2(table, r, k);
                lode_i_set2(table, r, k, values[v] < 9e18 ? values[v] : (double)INT64_MAX);
                /* the first part may end anywhere, as far as the table tells */
                const bool fits = r == 0 && k == 1 && values[v] >= 0 && values[v] < 16;
                if (lode_i_get2(table, r, k) != true_one && !fits)
                    assert_status(ctx, lode_invert(ctx, &f->m, lode_none(), NULL, &f->y),
                                  LODE_EFORMAT);
                lode_i_set2(table, r, k, true_one);
            }
    lode_array *sums = (lode_array *)(uintptr_t)lode_bundle_get(&f->m, "sums").as.array;
    for (int64_t i = 0; i < 6; i++) {
        const double true_one = lode_i_get1(sums, i);
        for (int k = 0; k < 3; k++) {
            lode_i_set1(sums, i,
                        k == 0   ? true_one + 0.5
                        : k == 1 ? -true_one - 1
                                 : 1.01 * true_one);
            assert_true(lode_verify(ctx, &f->m, lode_from_array(&f->x), &c) < 0);
        }
        lode_i_set1(sums, i, true_one);
    }
    assert_ok(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &c));
    ((float *)f->x.data)[1000] += 0.01F; /* in the second part */
    assert_status(ctx, lode_verify(ctx, &f->m, lode_from_array(&f->x), &c), LODE_EVERIFY);
    LODE_FREE(&part);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    heap h = { 0 };
    fix f = { .o = lode_compress_defaults() };
    const lode_allocator a = heap_of(&h);
    const int64_t shape[] = { 4, 8, 7 };
    lode_array part = { 0 };
    lode_bundle more = { 0 };
    int64_t failures = 0;
    assert_int_equal(lode_ctx_init(&f.ctx, &a), LODE_OK);
    f.ctx.threads = 1;
    make_part(&f, LODE_F32, 3, shape, 0, 1, &part);
    assert_ok(&f.ctx, put(&f, &part));
    assert_ok(&f.ctx, put(&f, &part));
    assert_ok(&f.ctx, lode_hash(&f.ctx, lode_from_array(&part), f.m.meta.input_hash));
    const int64_t live = atomic_load(&h.live);
    for (int64_t n = 1;; n += 1 + n / 60) {
        heap_fail(&h, n);
        lode_status st = lode_update(&f.ctx, &f.m, lode_from_array(&part), &more);
        if (st == LODE_OK)
            st = lode_merge(&f.ctx, (const lode_bundle *[]){ &f.m, &f.m }, 2, &more);
        const bool failed = heap_failed(&h);
        heap_fail(&h, 0);
        LODE_FREE(&more);
        if (atomic_load(&h.live) != live)
            fail_msg("allocation %" PRId64 " failed and leaked", n);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        failures++;
    }
    assert_true(failures > 50);
    LODE_FREE(&f.m, &part);
    lode_ctx_free(&f.ctx);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(parts_come_back_as_by_themselves),
        TEST(records_that_are_there_do_not_change),
        TEST(errors_hold_over_the_whole),
        TEST(missing_values_and_types_go_on),
        TEST(sizes_go_on_at_the_same_rate),
        TEST(an_error_that_is_used_up_is_said),
        TEST(what_does_not_fit_is_named),
        TEST(empty_arrays_grow),
        TEST(bits_depend_on_nothing_but_the_call),
        TEST(many_small_parts_read_as_one),
        TEST(files_are_joined),
        TEST(files_keep_what_update_needs),
        TEST(lies_are_found),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
