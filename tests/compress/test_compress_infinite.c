/* Infinities keep their places and signs where that is asked for, and are named where it is not;
 * errors that nothing lossy can hold are refused with the way that does. */
#include "compressed.h"

#include <math.h>

#include "array/array.h"
#include "op/op.h"

enum { ROWS = 24, COLUMNS = 30, DEPTH = 2, SIZE = ROWS * COLUMNS * DEPTH };

/* A smooth field with a patch of NaN, edges of infinities and single ones. */
static void make_field(fix *f, lode_dtype dtype, int kind)
{
    const int64_t shape[] = { ROWS, COLUMNS, DEPTH };
    lode_array a = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, 3, shape, &a));
    double *v = a.data;
    for (int i = 0; i < SIZE; i++) {
        const int r = i / (COLUMNS * DEPTH), c = i / DEPTH % COLUMNS;
        v[i] = 10 * sin(0.3 * r) * cos(0.2 * c + i % DEPTH) + 2;
        if (kind & 1 && (r - 10) * (r - 10) + (c - 9) * (c - 9) < 16)
            v[i] = NAN;
        if (kind & 2 && (r == 20 || i == 7))
            v[i] = INFINITY;
        if (kind & 4 && (c > 26 || i == 1134))
            v[i] = -INFINITY;
    }
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &f->x));
    lode_array_free(&a);
}

static void shrink(fix *f)
{
    lode_certificate again;
    assert_ok(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, &f->c));
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), NULL, &f->y));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &again));
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->m, lode_none(), &again));
}

/* What is not finite is the same; the errors of what is. */
static void compare(const fix *f, double *sumsq, double *norm2, double *maxabs)
{
    *sumsq = *norm2 = *maxabs = 0;
    for (int i = 0; i < SIZE; i++) {
        const int64_t at[] = { i / (COLUMNS * DEPTH), i / DEPTH % COLUMNS, i % DEPTH };
        const double v = lode_array_get(&f->x, at), w = lode_array_get(&f->y, at);
        assert_int_equal(isnan(v), isnan(w));
        if (isinf(v))
            assert_true(v == w);
        if (!isfinite(v))
            continue;
        assert_true(isfinite(w));
        *sumsq += (v - w) * (v - w), *norm2 += v * v;
        *maxabs = fmax(*maxabs, fabs(v - w));
    }
}

static void infinities_keep_places_and_signs(void **state)
{
    fix *f = *state;
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_F16, LODE_BF16 };
    double sumsq, norm2, maxabs;
    f->o.missing.kind = LODE_MISSING_INF;
    for (int t = 0; t < 4; t++)
        for (int kind = t % 2; kind < 8; kind += 2) {
            make_field(f, types[t], kind);
            f->o.effort = kind == 7 ? 5 : 1;
            f->o.block = (lode_auto_i64){ kind % 3 == 0, 1024 };
            f->o.error = lode_error_rel(1e-2);
            shrink(f);
            compare(f, &sumsq, &norm2, &maxabs);
            assert_le(sqrt(sumsq), 1e-2 * sqrt(norm2) * (1 + 1e-9));
            assert_near(f->c.absolute, sqrt(sumsq), 1e-6 * sqrt(sumsq));
            f->o.error = lode_error_max(0.2);
            shrink(f);
            compare(f, &sumsq, &norm2, &maxabs);
            assert_le(maxabs, 0.2);
        }
}

static void every_method_keeps_them(void **state)
{
    fix *f = *state;
    double sumsq, norm2, maxabs;
    make_field(f, LODE_F32, 7);
    f->o.missing.kind = LODE_MISSING_INF;
    for (int method = LODE_COMPRESS_AUTO; method <= LODE_COMPRESS_WAVELET; method++) {
        f->o.method = (lode_compress_method)method;
        shrink(f);
        compare(f, &sumsq, &norm2, &maxabs);
        assert_le(sqrt(sumsq), 1e-3 * sqrt(norm2));
    }
    f->o.method = LODE_COMPRESS_AUTO;
    f->o.budget = (lode_budget_spec){ LODE_BUDGET_BITS, 14 };
    shrink(f);
    compare(f, &sumsq, &norm2, &maxabs);
    /* a part with infinities added to one without */
    f->o.budget = (lode_budget_spec){ 0 };
    make_field(f, LODE_F32, 0);
    shrink(f);
    make_field(f, LODE_F32, 7);
    assert_ok(&f->ctx, lode_update(&f->ctx, &f->m, lode_from_array(&f->x), &f->m));
    const lode_part second = { .ndim = 3, .start = { ROWS, 0, 0 }, .count = { -1, -1, -1 } };
    assert_ok(&f->ctx, lode_invert(&f->ctx, &f->m, lode_none(), &second, &f->y));
    compare(f, &sumsq, &norm2, &maxabs);
    assert_le(sqrt(sumsq), 1e-3 * sqrt(norm2));
}

/* The parts of complex values by themselves; an original with another sign is found. */
static void signs_are_part_of_what_is_verified(void **state)
{
    fix *f = *state;
    const int64_t shape[] = { 20, 20 };
    lode_certificate again;
    assert_ok(&f->ctx, lode_array_zeros(&f->ctx, LODE_C64, 2, shape, &f->x));
    float *v = f->x.data;
    for (int i = 0; i < 800; i++)
        v[i] = (float)(sin(0.05 * i) + 1);
    v[17] = INFINITY, v[40] = -INFINITY, v[41] = INFINITY, v[90] = NAN;
    f->o.missing.kind = LODE_MISSING_INF;
    shrink(f);
    const float *w = f->y.data;
    for (int i = 0; i < 800; i++)
        assert_true(isfinite(v[i]) ? fabsf(v[i] - w[i]) < 0.1F
                    : isnan(v[i])  ? isnan(w[i])
                                   : v[i] == w[i]);
    v[40] = INFINITY;
    assert_status(&f->ctx, lode_verify(&f->ctx, &f->m, lode_from_array(&f->x), &again),
                  LODE_EVERIFY);
}

static void nothing_finite_comes_back(void **state)
{
    fix *f = *state;
    double sumsq, norm2, maxabs;
    for (int kind = 0; kind < 3; kind++) {
        make_field(f, LODE_F32, 0);
        for (int i = 0; i < SIZE; i++)
            ((float *)f->x.data)[i] = kind == 0 || i % 3 == 0 ? NAN : kind == 1 ? -INFINITY : 1;
        f->o.missing.kind = kind ? LODE_MISSING_INF : LODE_MISSING_NAN;
        shrink(f);
        compare(f, &sumsq, &norm2, &maxabs);
        assert_true(maxabs == 0 || kind == 2);
        f->o.error = lode_error_maxrel(1e-3);
        shrink(f);
        compare(f, &sumsq, &norm2, &maxabs);
        f->o.error = lode_error_rel(1e-3);
    }
}

static void without_the_option_they_are_named(void **state)
{
    fix *f = *state;
    make_field(f, LODE_F32, 4);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, NULL),
                  LODE_EDOMAIN);
    assert_says(&f->ctx, "X[0,27,0] is -inf");
    assert_says(&f->ctx, "--missing inf");
    assert_says(&f->ctx, "--method lossless");
    make_field(f, LODE_F32, 2);
    assert_status(&f->ctx, lode_compress(&f->ctx, &f->o, lode_from_array(&f->x), &f->m, NULL),
                  LODE_EDOMAIN);
    assert_says(&f->ctx, "X[0,3,1] is inf");
    /* components cannot explain them */
    const int64_t flat[] = { ROWS, COLUMNS * DEPTH };
    lode_array x = { 0 };
    lode_bundle model = { 0 };
    lode_pca_opts p = lode_pca_defaults();
    p.missing.kind = LODE_MISSING_INF;
    assert_ok(&f->ctx, lode_array_reshape(&f->ctx, &f->x, 2, flat, &x));
    assert_status(&f->ctx, lode_pca(&f->ctx, &p, lode_from_array(&x), &model), LODE_EPARAM);
    assert_says(&f->ctx, "missing is inf");
    LODE_FREE(&x, &model);
}

static void the_written_form_is_inf(void **state)
{
    fix *f = *state;
    lode_call call = { 0 };
    static const char *const wrong[] = { "-inf", "infinity", "1e999", "" };
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "missing", "inf"));
    assert_int_equal(((const lode_compress_opts *)call.opts)->missing.kind, LODE_MISSING_INF);
    char *text = NULL;
    assert_ok(&f->ctx, lode_i_options_json(&f->ctx, &lode_op_compress, call.opts, &text));
    assert_non_null(strstr(text, "\"missing\":\"inf\""));
    lode_i_free(text);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(&f->ctx, lode_call_set(&f->ctx, &call, "missing", wrong[i]), LODE_EPARAM);
        assert_says(&f->ctx, "nan, inf, none or a number");
    }
    lode_call_free(&call);
}

/* Errors that are no errors, and such as the type cannot hold. */
static void lossless_is_offered(void **state)
{
    fix *f = *state;
    lode_call call = { 0 };
    static const char *const wrong[] = { "0",         "-1e-3",   "nan",     "0:max", "1e-400",
                                         "-1:maxrel", "inf:fro", "nan:max", "0:psnr" };
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(&f->ctx, lode_call_set(&f->ctx, &call, "error", wrong[i]), LODE_EPARAM);
        assert_says(&f->ctx, "--method lossless");
    }
    lode_call_free(&call);
    static const lode_error_spec tiny[] = {
        { LODE_ERROR_REL, 1e-14, 0 },    { LODE_ERROR_REL, 1e-200, 0 },
        { LODE_ERROR_FRO, 1e-300, 0 },   { LODE_ERROR_MAX, 1e-300, 0 },
        { LODE_ERROR_MAXREL, 1e-14, 0 }, { LODE_ERROR_PSNR, 900, 0 }
    };
    make_field(f, LODE_F32, 1);
    for (int i = 0; i < SIZE; i++)
        ((float *)f->x.data)[i] *= 1 + (float)(i * 7919 % 1009) / 1e4F;
    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        f->o.error = tiny[i];
        shrink(f);
        for (int k = 0; k < SIZE; k++) {
            const float v = ((float *)f->x.data)[k], w = ((float *)f->y.data)[k];
            assert_true(v == w || (isnan(v) && isnan(w)));
        }
        assert_non_null(strstr(f->c.note, "--method lossless"));
    }
}

/* Coefficients of so fine a step leave the range of symbols: exact values hold it. */
static void steps_out_of_range_are_no_failure(void **state)
{
    fix *f = *state;
    make_field(f, LODE_F64, 1);
    const lode_stream s = lode_i_stream(&f->ctx, "noise", 0);
    for (int i = 0; i < SIZE; i++)
        ((double *)f->x.data)[i] += 1e3 + 5 * lode_i_random_normal(s, (uint64_t)i);
    for (int method = LODE_COMPRESS_AUTO; method < LODE_COMPRESS_LOSSLESS; method++) {
        double sumsq, norm2, maxabs;
        f->o.method = (lode_compress_method)method;
        f->o.error = lode_error_rel(1e-9);
        shrink(f);
        compare(f, &sumsq, &norm2, &maxabs);
        assert_le(sqrt(sumsq), 1e-9 * sqrt(norm2) * (1 + 1e-9));
        f->o.error = lode_error_max(1e-9);
        shrink(f);
        compare(f, &sumsq, &norm2, &maxabs);
        assert_le(maxabs, 1e-9);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(infinities_keep_places_and_signs),
        TEST(every_method_keeps_them),
        TEST(signs_are_part_of_what_is_verified),
        TEST(nothing_finite_comes_back),
        TEST(without_the_option_they_are_named),
        TEST(the_written_form_is_inf),
        TEST(lossless_is_offered),
        TEST(steps_out_of_range_are_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
