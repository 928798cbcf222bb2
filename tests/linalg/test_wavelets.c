/* Wavelets against the explicit matrix that they give of the identity: orthonormal, inverse by its
 * transpose, blind to polynomials, the filters of Daubechies inside. */
#include "reference.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64 };

static lode_status wavelets(lode_ctx *ctx, lode_array *x, int mode, bool forward, int moments)
{
    return lode_i_wavelets_into(ctx, x, mode, mode < x->ndim ? x->shape[mode] : 0, forward, moments,
                                x);
}

static double tolerance(lode_dtype t)
{
    return t == LODE_F32 ? 1e-6 : 1e-13;
}

/* Column j of the n x n result: coefficients of unit vector j. */
static lode_array transform_of(lode_ctx *ctx, lode_dtype t, int64_t n, int moments)
{
    lode_array M = { 0 };
    assert_ok(ctx, lode_array_zeros(ctx, t, 2, (const int64_t[]){ n, n }, &M));
    for (int64_t i = 0; i < n; i++)
        lode_i_set2(&M, i, i, 1);
    assert_ok(ctx, wavelets(ctx, &M, 0, true, moments));
    return M;
}

static void orthonormal_for_every_length(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < 2; t++)
        for (int p = LODE_WAVELETS_LEAST; p <= LODE_WAVELETS_MOST; p++)
            for (int64_t n = 1; n <= 200; n += n < 50 ? 1 : 1 + 9 * t) {
                lode_array M = transform_of(ctx, types[t], n, p), G = { 0 };
                assert_ok(ctx, lode_i_gram(ctx, LODE_T, &M, &G));
                double worst = 0;
                for (int64_t i = 0; i < n; i++)
                    for (int64_t j = 0; j < n; j++)
                        worst = fmax(worst, fabs(lode_i_get2(&G, i, j) - (i == j)));
                assert_le(worst, tolerance(types[t]));
                LODE_FREE(&M, &G);
            }
}

/* Lengths 1 to 200 in each place of a tensor, against the matrix, and back. */
static void products_and_back(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < 2; t++)
        for (int64_t n = 1; n <= 200; n++)
            for (int mode = 0; mode < 3; mode++) {
                const int p = LODE_WAVELETS_LEAST + (int)(n + mode) % 3;
                const int64_t shape[3] = { mode == 0 ? n : 2, mode == 1 ? n : 3,
                                           mode == 2   ? n
                                           : mode == 1 ? 1
                                                       : 2 };
                const int64_t size = shape[0] * shape[1] * shape[2];
                lode_array x = matrix(ctx, types[t], 1, size, BY_ROWS, 5), y = { 0 }, z = { 0 };
                assert_ok(ctx, lode_array_reshape(ctx, &x, 3, shape, &y));
                lode_array M = transform_of(ctx, types[t], n, p);
                assert_ok(ctx, lode_i_ttm(ctx, &y, mode, LODE_N, &M, &z));
                assert_ok(ctx, lode_array_cast(ctx, &y, types[t], &x));
                assert_ok(ctx, wavelets(ctx, &x, mode, true, p));
                lode_diff d;
                assert_ok(ctx, lode_i_diff(ctx, &z, &x, &d));
                assert_le(d.maxabs, 5 * tolerance(types[t]));
                assert_ok(ctx, wavelets(ctx, &x, mode, false, p));
                assert_ok(ctx, lode_i_diff(ctx, &y, &x, &d));
                assert_le(d.maxabs, 5 * tolerance(types[t]));
                LODE_FREE(&x, &y, &z, &M);
            }
}

/* Powers below p leave nothing but p coefficients; and power p does leave something. */
static void polynomials_vanish(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int p = LODE_WAVELETS_LEAST; p <= LODE_WAVELETS_MOST; p++)
        for (int64_t n = p + 1; n <= 4096; n += n < 100 ? 1 : n / 3)
            for (int degree = 0; degree <= p; degree++) {
                lode_array x = { 0 };
                double most = 0;
                assert_ok(ctx, lode_i_vector_new(ctx, LODE_F64, n, &x));
                for (int64_t i = 0; i < n; i++)
                    lode_i_set1(&x, i, pow((double)i / (double)n, degree));
                assert_ok(ctx, wavelets(ctx, &x, 0, true, p));
                for (int64_t i = p; i < n; i++)
                    most = fmax(most, fabs(lode_i_get1(&x, i)));
                if (degree < p)
                    assert_le(most, 1e-12 * sqrt((double)n));
                else
                    assert_true(most > 1e-7);
                LODE_FREE(&x);
            }
}

/* The finest differences inside are the filter of 2 moments, whose closed form is known. */
static void filters_inside(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t n = 64, first = n / 2 + 1; /* averages before */
    const double r = sqrt(3), h[4] = { 1 + r, 3 + r, 3 - r, 1 - r };
    lode_array M = transform_of(ctx, LODE_F64, n, 2);
    for (int64_t k = 0; k < (n - 8) / 2 + 1; k++)
        for (int64_t j = 0; j < n; j++) {
            const int64_t tap = j - 2 - 2 * k;
            const double want = tap < 0 || tap > 3
                                    ? 0
                                    : (tap % 2 ? -1 : 1) * h[3 - tap] / (4 * sqrt(2));
            assert_le(fabs(lode_i_get2(&M, first + 1 + k, j) - want), 1e-15);
        }
    LODE_FREE(&M);
}

static void same_bits_on_any_threads(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    const int64_t shape[3] = { 7, 150, 90 };
    for (int t = 0; t < 2; t++)
        for (int mode = 0; mode < 3; mode++) {
            lode_array x = matrix(ctx, types[t], 7 * 150, 90, BY_ROWS, 3), y[2] = { { 0 }, { 0 } };
            lode_array cube = { 0 };
            assert_ok(ctx, lode_array_reshape(ctx, &x, 3, shape, &cube));
            for (int k = 0; k < 2; k++) {
                ctx->threads = k ? 4 : 1;
                assert_ok(ctx, lode_array_cast(ctx, &cube, types[t], &y[k]));
                assert_ok(ctx, wavelets(ctx, &y[k], mode, true, 3));
                assert_ok(ctx, wavelets(ctx, &y[k], mode, false, 4));
            }
            ctx->threads = 1;
            assert_same_bits(&y[0], &y[1]);
            LODE_FREE(&x, &cube, &y[0], &y[1]);
        }
}

static void wrong_requests_and_full_memory(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    lode_array x = matrix(ctx, LODE_F64, 40, 50, BY_ROWS, 2), none = { 0 },
               c = matrix(ctx, LODE_C64, 4, 5, BY_ROWS, 2);
    assert_status(ctx, wavelets(ctx, &x, 2, true, 3), LODE_EINTERNAL);
    assert_status(ctx, wavelets(ctx, &x, 0, true, 5), LODE_EINTERNAL);
    assert_status(ctx, wavelets(ctx, &c, 0, true, 3), LODE_EINTERNAL);
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F32, 2, (const int64_t[]){ 0, 5 }, &none));
    assert_ok(ctx, wavelets(ctx, &none, 1, true, 3));
    for (int n = 1;; n++) {
        heap_fail(&w->h, n);
        const lode_status st = wavelets(ctx, &x, 1, true, 3);
        const bool failed = heap_failed(&w->h);
        heap_fail(&w->h, 0);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
    }
    LODE_FREE(&x, &none, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(orthonormal_for_every_length), LINALG_TEST(products_and_back),
        LINALG_TEST(polynomials_vanish),           LINALG_TEST(filters_inside),
        LINALG_TEST(same_bits_on_any_threads),     LINALG_TEST(wrong_requests_and_full_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
