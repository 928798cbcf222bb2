#include "array/oracle.h"
#include "counted.h"

/* ---- sums ---- */

static void sums_do_not_depend_on_cuts(void **state)
{
    (void)state;
    dice d = { 1 };
    enum { N = 5 * LODE_SUM_BLOCK + 777 };
    double *x = malloc(N * sizeof *x);
    long double exact = 0, size = 0;
    for (int i = 0; i < N; i++) {
        x[i] = roll_unit(&d) * ldexp(1, (int)roll_below(&d, 30));
        exact += x[i];
        size += fabs(x[i]);
    }
    lode_sum whole = { 0 };
    lode_i_sum_push(&whole, x, N);
    const double total = lode_i_sum_total(&whole);
    assert_near(total, exact, 40 * DBL_EPSILON * size);
    for (int repeat = 0; repeat < 50; repeat++) {
        lode_sum s = { 0 };
        for (int64_t i = 0; i < N;) {
            const int64_t n = lode_i_min(N - i, roll_below(&d, repeat % 2 ? 9 : 40000));
            lode_i_sum_push(&s, x + i, n);
            i += n;
        }
        assert_true(lode_i_sum_total(&s) == total);
    }
    const lode_sum none = { 0 };
    assert_true(lode_i_sum_total(&none) == 0);
    free(x);
}

/* Pairwise: the error of 2^27 equal terms stays near eps, where a running sum would lose 2^27
 * eps. */
static void long_sums_join_pairwise(void **state)
{
    (void)state;
    lode_sum s = { 0 };
    const int64_t blocks = 1 << 13;
    for (int64_t i = 0; i < blocks; i++)
        lode_i_sum_block(&s, 0.1);
    assert_near(lode_i_sum_total(&s), 0.1 * (double)blocks, 4 * DBL_EPSILON * 0.1 * (double)blocks);
}

/* ---- norms ---- */

static void norms_of_any_view(void **state)
{
    (void)state;
    dice d = { 2 };
    for (int repeat = 0; repeat < 500; repeat++) {
        const lode_dtype t = plain_types[roll_below(&d, PLAIN_TYPES)],
                         u = plain_types[roll_below(&d, PLAIN_TYPES)];
        int64_t shape[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 }, b = { 0 };
        random_view(&ctx, &d, t, ndim, shape, 100, &a);
        random_view(&ctx, &d, u, ndim, shape, 100, &b);
        long double sum = 0, diff = 0;
        for (int64_t i = 0; i < lode_array_size(&a); i++) {
            const number x = oracle_value(&a, i), y = oracle_value(&b, i);
            sum += x.re * x.re + x.im * x.im;
            diff += (x.re - y.re) * (x.re - y.re) + (x.im - y.im) * (x.im - y.im);
        }
        double norm = -1;
        assert_ok(&ctx, lode_i_norm_fro(&ctx, &a, &norm));
        assert_near(norm, sqrtl(sum), 1e-14 * (double)sqrtl(sum));
        assert_ok(&ctx, lode_i_diff_fro(&ctx, &a, &b, &norm));
        assert_near(norm, sqrtl(diff), 1e-14 * (double)sqrtl(diff));
        LODE_FREE(&a, &b);
    }
}

static double norm_of(lode_dtype t, int64_t n, double value)
{
    lode_array a = { 0 };
    double norm = -1;
    assert_ok(&ctx, lode_i_vector_new(&ctx, t, n, &a));
    assert_ok(&ctx, lode_i_fill(&ctx, &a, value));
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &a, &norm));
    lode_array_free(&a);
    return norm;
}

static void extreme_norms_survive(void **state)
{
    (void)state;
    const double rounding = 2060 * DBL_EPSILON / 2; /* a lane of 2048 terms and the tree above it */
    const double values[] = { 1e300, 1e-300, 1e160, 1e-160, 0x1p-1074, 0x1p-1060, 1e-290, 1e308 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int64_t n = 1; n <= 40000; n *= 200) {
            const double want = values[i] * sqrt((double)n);
            if (isfinite(want))
                assert_near(norm_of(LODE_F64, n, values[i]), want, rounding * want + 0x1p-1074);
        }
    assert_near(norm_of(LODE_C128, 4, 1e300), 2e300, 1e286);
    assert_near(norm_of(LODE_F32, 4, 0x1p-149), 0x1p-148, 0);
    assert_true(norm_of(LODE_F64, 7, 0) == 0);
    assert_true(isinf(norm_of(LODE_F64, 7, (double)INFINITY)));
    assert_true(isnan(norm_of(LODE_F64, 7, (double)NAN)));
    assert_true(isinf(norm_of(LODE_F64, 1000, 1.7e308))); /* the norm itself is out of range */
    /* A large value does not hide that a NaN is there, nor a small one a large. */
    double x[] = { 1e300, 1e-300, (double)NAN, 1 }, norm = 0;
    lode_array a = lode_array_wrap(x, LODE_F64, 1, (const int64_t[]){ 4 });
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &a, &norm));
    assert_true(isnan(norm));
    a.shape[0] = 2;
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &a, &norm));
    assert_near(norm, 1e300, 1e285);
    double y[] = { -1e300, 1e-300 };
    const lode_array b = lode_array_wrap(y, LODE_F64, 1, (const int64_t[]){ 2 });
    assert_ok(&ctx, lode_i_diff_fro(&ctx, &a, &b, &norm));
    assert_near(norm, 2e300, 1e285);
}

/* ---- statistics ---- */

/* Some NaN and infinities into a floating array. */
static void spoil(dice *d, lode_array *a)
{
    static const long double odd[] = { (long double)NAN, (long double)INFINITY,
                                       -(long double)INFINITY };
    for (int64_t i = 0; i < lode_array_size(a); i++)
        if (roll_below(d, 9) == 0) {
            number v = oracle_value(a, i);
            if (roll(d) % 2)
                v.re = odd[roll_below(d, 3)];
            else
                v.im = odd[roll_below(d, 3)];
            oracle_store(a->dtype, v, oracle_at(a, i));
        }
}

static void check_stats(const lode_array *a, const lode_stats *s)
{
    lode_stats w = { .first_nan = -1, .first_infinite = -1 };
    long double sum = 0, sumsq = 0;
    for (int64_t i = 0; i < lode_array_size(a); i++) {
        const number v = oracle_value(a, i);
        const bool complex = lode_i_is_complex(a->dtype);
        const double x = complex ? modulus_of_number(v) : (double)v.re;
        if (isnan(v.re) || isnan(v.im)) {
            w.first_nan = w.missing++ ? w.first_nan : i;
        } else if (isinf(v.re) || isinf(v.im)) {
            w.first_infinite = w.infinite++ ? w.first_infinite : i;
        } else {
            w.min = w.count ? fmin(w.min, x) : x;
            w.max = w.count ? fmax(w.max, x) : x;
            w.maxabs = fmax(w.maxabs, fabs(x));
            sum += x, sumsq += (long double)x * x;
            w.count++;
        }
    }
    assert_int_equal(s->count, w.count);
    assert_int_equal(s->missing, w.missing);
    assert_int_equal(s->infinite, w.infinite);
    assert_int_equal(s->first_nan, w.first_nan);
    assert_int_equal(s->first_infinite, w.first_infinite);
    /* hypot twice */
    const double last = lode_i_is_complex(a->dtype) ? 4 * DBL_EPSILON * w.maxabs : 0;
    assert_near(s->min, w.min, last);
    assert_near(s->max, w.max, last);
    assert_near(s->maxabs, w.maxabs, last);
    assert_near(s->sum, sum, 1e-14 * sqrt((double)sumsq * (double)w.count + 1e-300));
    assert_near(s->sumsq, sumsq, 1e-14 * (double)sumsq);
}

static void statistics_of_any_view(void **state)
{
    (void)state;
    dice d = { 3 };
    for (int repeat = 0; repeat < 500; repeat++) {
        const lode_dtype t = plain_types[roll_below(&d, PLAIN_TYPES)];
        int64_t shape[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 };
        random_view(&ctx, &d, t, ndim, shape, 100, &a);
        const char class = lode_dtype_class(t);
        if ((class == 'f' || class == 'c') && repeat % 2)
            spoil(&d, &a);
        lode_stats s = { 0 };
        assert_ok(&ctx, lode_i_stats(&ctx, &a, &s));
        check_stats(&a, &s);
        lode_array_free(&a);
    }
}

static void check_diff(const lode_array *a, const lode_array *b, const lode_diff *s)
{
    lode_diff w = { .at = -1 };
    long double sumsq = 0, ref = 0;
    const bool complex = lode_i_is_complex(a->dtype) || lode_i_is_complex(b->dtype);
    for (int64_t i = 0; i < lode_array_size(a); i++) {
        const number x = oracle_value(a, i), y = oracle_value(b, i);
        const bool fx = isfinite(x.re) && isfinite(x.im), fy = isfinite(y.re) && isfinite(y.im);
        if (fx && fy) {
            const number e = { (double)x.re - (double)y.re, (double)x.im - (double)y.im };
            const double size = modulus_of_number(e),
                         r = complex ? modulus_of_number(x) : (double)x.re;
            if (size > w.maxabs || w.count == 0)
                w.maxabs = size, w.at = i;
            w.ref_min = w.count ? fmin(w.ref_min, r) : r;
            w.ref_max = w.count ? fmax(w.ref_max, r) : r;
            sumsq += e.re * e.re + e.im * e.im, ref += x.re * x.re + x.im * x.im;
            w.count++;
        } else {
            const bool nx = isnan(x.re) || isnan(x.im), ny = isnan(y.re) || isnan(y.im);
            const bool same = nx || ny ? nx && ny : x.re == y.re && x.im == y.im;
            w.mismatched += !same;
        }
    }
    assert_int_equal(s->count, w.count);
    assert_int_equal(s->mismatched, w.mismatched);
    const double last = complex ? 8 * DBL_EPSILON * 300 : 0;
    assert_near(s->maxabs, w.maxabs, last);
    if (!complex)
        assert_int_equal(s->at, w.at);
    assert_near(s->ref_min, w.ref_min, last);
    assert_near(s->ref_max, w.ref_max, last);
    assert_near(s->sumsq, sumsq, 1e-14 * (double)sumsq);
    assert_near(s->ref_sumsq, ref, 1e-14 * (double)ref);
}

static void differences_of_any_views(void **state)
{
    (void)state;
    dice d = { 4 };
    for (int repeat = 0; repeat < 500; repeat++) {
        const lode_dtype t = plain_types[roll_below(&d, PLAIN_TYPES)],
                         u = plain_types[roll_below(&d, PLAIN_TYPES)];
        int64_t shape[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 }, b = { 0 };
        random_view(&ctx, &d, t, ndim, shape, 100, &a);
        random_view(&ctx, &d, u, ndim, shape, 100, &b);
        if (lode_dtype_class(t) == 'f' || lode_dtype_class(t) == 'c')
            spoil(&d, &a);
        if ((lode_dtype_class(u) == 'f' || lode_dtype_class(u) == 'c') && repeat % 2)
            spoil(&d, &b);
        lode_diff s = { 0 };
        assert_ok(&ctx, lode_i_diff(&ctx, &a, &b, &s));
        check_diff(&a, &b, &s);
        if (lode_array_size(&a) > 0 && t == u) {
            assert_ok(&ctx, lode_i_diff(&ctx, &a, &a, &s)); /* also where it is NaN */
            assert_true(s.maxabs == 0 && s.mismatched == 0 && s.sumsq == 0);
        }
        LODE_FREE(&a, &b);
    }
}

/* Several blocks, spoiled, on 1 to 3 threads, whole and in slabs of any size, contiguous and
 * strided: one result. */
/* 1 + 2^-60 rounds to 1: only exact arithmetic tells it from 1. */
static void differences_that_round_to_the_bound(void **state)
{
    (void)state;
    const double tiny = 0x1p-60;
    double x[] = { 1, 1, -1, 1, 3, (double)NAN, 1, 0.25 };
    double y[] = { 0, -tiny, tiny, tiny, 1, 0, 2 + 0x1p-51, (double)NAN };
    const int64_t n = 8;
    int64_t count = -1;
    const lode_array a = lode_array_wrap(x, LODE_F64, 1, &n),
                     b = lode_array_wrap(y, LODE_F64, 1, &n);
    lode_diff d;
    assert_ok(&ctx, lode_i_diff_beyond(&ctx, &a, &b, 1, &count));
    assert_int_equal(count, 4); /* 1 + tiny, -1 - tiny, 2 and 1 - (2 + 4 eps) */
    assert_ok(&ctx, lode_i_diff_beyond(&ctx, &b, &a, 1, &count));
    assert_int_equal(count, 4);
    assert_ok(&ctx, lode_i_diff_beyond(&ctx, &a, &b, 2, &count));
    assert_int_equal(count, 0);
    const lode_array two = lode_array_wrap(x, LODE_F64, 1, (const int64_t[]){ 2 });
    const lode_array three = lode_array_wrap(y, LODE_F64, 1, (const int64_t[]){ 2 });
    assert_ok(&ctx, lode_i_diff(&ctx, &two, &three, &d));
    assert_true(d.maxabs == 1);
    assert_status(&ctx, lode_i_diff_beyond(&ctx, &a, &two, 1, &count), LODE_ESHAPE);
}

static void slabs_and_threads_give_the_same_bits(void **state)
{
    (void)state;
    dice d = { 5 };
    static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_U16 };
    for (int k = 0; k < 4; k++) {
        lode_array a = { 0 }, b = { 0 }, t = { 0 }, strided = { 0 };
        assert_ok(&ctx, lode_i_matrix_new(&ctx, types[k], 557, 130, &a));
        assert_ok(&ctx, lode_i_matrix_new(&ctx, types[k], 557, 130, &b));
        random_values(&d, &a, 1000);
        random_values(&d, &b, 1000);
        if (k < 3)
            spoil(&d, &a);
        assert_ok(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 1, 0 }, &t));
        assert_ok(&ctx, lode_array_cast(&ctx, &t, types[k], &t));
        /* a, columns first */
        assert_ok(&ctx, lode_array_permute(&ctx, &t, (const int[]){ 1, 0 }, &strided));
        lode_stats s = { 0 }, s1 = { 0 };
        lode_diff e = { 0 }, e1 = { 0 };
        double n1 = 0;
        for (int threads = 1; threads <= 3; threads++) {
            ctx.threads = threads;
            double n = 0;
            assert_ok(&ctx, lode_i_stats(&ctx, threads == 2 ? &strided : &a, &s));
            assert_ok(&ctx, lode_i_diff(&ctx, threads == 2 ? &strided : &a, &b, &e));
            assert_ok(&ctx, lode_i_diff_fro(&ctx, &b, threads == 2 ? &strided : &b, &n));
            assert_ok(&ctx, lode_i_norm_fro(&ctx, &b, &n));
            if (threads == 1)
                s1 = s, e1 = e, n1 = n;
            assert_memory_equal(&s, &s1, sizeof s);
            assert_memory_equal(&e, &e1, sizeof e);
            assert_true(n == n1);
        }
        for (int repeat = 0; repeat < 10; repeat++) {
            lode_stats_run rs = { 0 };
            lode_diff_run re = { 0 };
            for (int64_t i = 0; i < 557;) {
                const int64_t stop = lode_i_min(557, i + roll_below(&d, repeat < 3 ? 4 : 400));
                lode_array x = lode_i_rows(repeat % 2 ? &strided : &a, i, stop),
                           y = lode_i_rows(&b, i, stop);
                assert_ok(&ctx, lode_i_stats_push(&ctx, &rs, &x));
                assert_ok(&ctx, lode_i_diff_push(&ctx, &re, &x, &y));
                LODE_FREE(&x, &y);
                i = stop;
            }
            s = lode_i_stats_result(&rs);
            e = lode_i_diff_result(&re);
            assert_memory_equal(&s, &s1, sizeof s);
            assert_memory_equal(&e, &e1, sizeof e);
        }
        ctx.threads = 0;
        LODE_FREE(&a, &b, &t, &strided);
    }
}

static void nothing_has_statistics_too(void **state)
{
    (void)state;
    lode_array a = { 0 };
    lode_stats s = { 0 };
    lode_diff e = { 0 };
    double norm = -1;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 2, (const int64_t[]){ 0, 4 }, &a));
    assert_ok(&ctx, lode_i_stats(&ctx, &a, &s));
    assert_true(s.count == 0 && s.first_nan == -1 && s.first_infinite == -1 && s.sum == 0);
    assert_ok(&ctx, lode_i_diff(&ctx, &a, &a, &e));
    assert_true(e.count == 0 && e.at == -1);
    assert_ok(&ctx, lode_i_norm_fro(&ctx, &a, &norm));
    assert_true(norm == 0);
    assert_ok(&ctx, lode_i_require_finite(&ctx, &a, "A"));
    lode_array b = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 2, (const int64_t[]){ 4, 0 }, &b));
    assert_status(&ctx, lode_i_diff(&ctx, &a, &b, &e), LODE_ESHAPE);
    assert_status(&ctx, lode_i_diff_fro(&ctx, &a, &b, &norm), LODE_ESHAPE);
    LODE_FREE(&a, &b);
}

static void packed_values_are_measured(void **state)
{
    (void)state;
    dice d = { 8 };
    lode_array a = { 0 }, q = { 0 }, y = { 0 };
    lode_stats s = { 0 };
    lode_diff e = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 37, 1056, &a));
    random_values(&d, &a, 1);
    assert_ok(&ctx, lode_array_cast(&ctx, &a, LODE_Q4, &q));
    assert_ok(&ctx, lode_array_cast(&ctx, &q, LODE_F64, &y));
    assert_ok(&ctx, lode_i_stats(&ctx, &q, &s));
    check_stats(&y, &s);
    assert_ok(&ctx, lode_i_diff(&ctx, &q, &y, &e));
    assert_true(e.maxabs == 0 && e.count == 37 * 1056);
    LODE_FREE(&a, &q, &y);
}

/* ---- NaN ---- */

static void the_first_nan_is_named(void **state)
{
    (void)state;
    lode_array a = { 0 }, t = { 0 };
    for (int threads = 1; threads <= 3; threads++) {
        ctx.threads = threads;
        assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F32, 2, (const int64_t[]){ 400, 301 }, &a));
        assert_ok(&ctx, lode_i_require_finite(&ctx, &a, "A"));
        lode_i_set2(&a, 399, 300, (double)INFINITY);
        assert_status(&ctx, lode_i_require_finite(&ctx, &a, "A"), LODE_EDOMAIN);
        assert_says(&ctx, "A[399,300] is inf");
        lode_i_set2(&a, 203, 17, (double)NAN);
        lode_i_set2(&a, 203, 18, -(double)INFINITY);
        assert_status(&ctx, lode_i_require_finite(&ctx, &a, "A"), LODE_EDOMAIN);
        assert_says(&ctx, "A[203,17] is nan");
        t = lode_i_transposed(&a);
        assert_status(&ctx, lode_i_require_finite(&ctx, &t, "B"), LODE_EDOMAIN);
        assert_says(&ctx, "B[17,203] is nan");
    }
    ctx.threads = 0;
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_C128, 1, (const int64_t[]){ 4 }, &a));
    ((double *)a.data)[5] = (double)NAN;
    assert_status(&ctx, lode_i_require_finite(&ctx, &a, "z"), LODE_EDOMAIN);
    assert_says(&ctx, "z[2]");
    assert_says(&ctx, "imaginary");
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F16, 0, NULL, &a));
    *(uint16_t *)a.data = 0x7c01;
    assert_status(&ctx, lode_i_require_finite(&ctx, &a, "h"), LODE_EDOMAIN);
    assert_says(&ctx, "h[] is nan");
    lode_array_free(&a);
}

/* ---- column means ---- */

static void means_of_any_matrix(void **state)
{
    (void)state;
    dice d = { 9 };
    for (int repeat = 0; repeat < 200; repeat++) {
        const lode_dtype t = plain_types[roll_below(&d, PLAIN_TYPES)];
        const int64_t shape[2] = { 1 + roll_below(&d, repeat % 10 ? 40 : 3000),
                                   roll_below(&d, 30) };
        lode_array a = { 0 }, mean = { 0 };
        random_view(&ctx, &d, t, 2, shape, 100, &a);
        assert_ok(&ctx, lode_i_col_means(&ctx, &a, &mean));
        assert_int_equal(mean.dtype, lode_i_is_complex(t) ? LODE_C128 : LODE_F64);
        for (int64_t j = 0; j < shape[1]; j++) {
            number sum = { 0, 0 };
            for (int64_t i = 0; i < shape[0]; i++) {
                const number v = oracle_value(&a, i * shape[1] + j);
                sum.re += v.re, sum.im += v.im;
            }
            const number got = oracle_value(&mean, j);
            assert_near(got.re, sum.re / (long double)shape[0], 1e-12);
            assert_near(got.im, sum.im / (long double)shape[0], 1e-12);
        }
        LODE_FREE(&a, &mean);
    }
    lode_array a = { 0 }, mean = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 0, 3, &a));
    assert_status(&ctx, lode_i_col_means(&ctx, &a, &mean), LODE_ESHAPE);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F32, 3, &a));
    assert_status(&ctx, lode_i_col_means(&ctx, &a, &mean), LODE_ESHAPE);
    lode_array_free(&a);
}

static void means_are_the_same_on_any_threads_and_layout(void **state)
{
    (void)state;
    dice d = { 10 };
    lode_array a = { 0 }, t = { 0 }, strided = { 0 }, first = { 0 }, mean = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 40000, 5, &a));
    random_values(&d, &a, 1);
    assert_ok(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 1, 0 }, &t));
    assert_ok(&ctx, lode_array_cast(&ctx, &t, LODE_F64, &t));
    assert_ok(&ctx, lode_array_permute(&ctx, &t, (const int[]){ 1, 0 }, &strided));
    assert_ok(&ctx, lode_i_col_means(&ctx, &a, &first));
    for (int threads = 1; threads <= 3; threads++) {
        ctx.threads = threads;
        assert_ok(&ctx, lode_i_col_means(&ctx, threads == 2 ? &strided : &a, &mean));
        assert_memory_equal(mean.data, first.data, 5 * sizeof(double));
    }
    ctx.threads = 0;
    LODE_FREE(&a, &t, &strided, &first, &mean);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator hooks = heap_of(&h);
    lode_ctx c;
    assert_int_equal(lode_ctx_init(&c, &hooks), LODE_OK);
    c.threads = 2;
    lode_array a = { 0 }, mean = { 0 };
    assert_ok(&c, lode_array_zeros(&c, LODE_F32, 2, (const int64_t[]){ 9000, 10 }, &a));
    assert_ok(&c, lode_i_fill(&c, &a, 1)); /* the pool exists now */
    const int64_t live = h.live;
    for (int call = 0; call < 5; call++)
        for (int64_t n = 1;; n++) {
            double norm = -1;
            lode_stats s = { .count = -1 };
            lode_diff e = { .count = -1 };
            heap_fail(&h, n);
            lode_status st = LODE_OK;
            switch (call) {
            case 0: st = lode_i_norm_fro(&c, &a, &norm); break;
            case 1: st = lode_i_stats(&c, &a, &s); break;
            case 2: st = lode_i_diff(&c, &a, &a, &e); break;
            case 3: st = lode_i_require_finite(&c, &a, "A"); break;
            default: st = lode_i_col_means(&c, &a, &mean);
            }
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            if (!failed) {
                assert_ok(&c, st);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_true(norm == -1 && s.count == -1 && e.count == -1 && !mean.data);
            assert_int_equal(h.live, live);
        }
    LODE_FREE(&a, &mean);
    lode_ctx_free(&c);
    assert_int_equal(h.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_do_not_depend_on_cuts),
        cmocka_unit_test(long_sums_join_pairwise),
        cmocka_unit_test(norms_of_any_view),
        cmocka_unit_test(extreme_norms_survive),
        cmocka_unit_test(statistics_of_any_view),
        cmocka_unit_test(differences_of_any_views),
        cmocka_unit_test(differences_that_round_to_the_bound),
        cmocka_unit_test(slabs_and_threads_give_the_same_bits),
        cmocka_unit_test(nothing_has_statistics_too),
        cmocka_unit_test(packed_values_are_measured),
        cmocka_unit_test(the_first_nan_is_named),
        cmocka_unit_test(means_of_any_matrix),
        cmocka_unit_test(means_are_the_same_on_any_threads_and_layout),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
