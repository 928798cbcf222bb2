/* Cholesky, triangular solves and least squares by their identities. */
#include "linalg/blas.h"
#include "reference.h"

static double bound(const lode_array *A)
{
    return 20 * (double)(lode_i_max(A->shape[0], A->shape[1]) + 2) * lode_i_epsilon(A->dtype);
}

/* B B^H + d I. */
static lode_array positive(lode_ctx *ctx, lode_dtype t, int64_t n, double d)
{
    lode_array B = matrix(ctx, t, n, n, BY_ROWS, 4), A = { 0 };
    assert_ok(ctx, lode_i_gram(ctx, LODE_N, &B, &A));
    for (int64_t i = 0; i < n; i++)
        put(&A, i, i, get(&A, i, i) + d);
    lode_array_free(&B);
    return A;
}

static void assert_lower(const lode_array *L)
{
    for (int64_t i = 0; i < L->shape[0]; i++) {
        assert_true(creal(get(L, i, i)) > 0 && cimag(get(L, i, i)) == 0);
        for (int64_t j = i + 1; j < L->shape[0]; j++)
            assert_true(get(L, i, j) == 0);
    }
}

static void factors_rebuild_the_matrix(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[] = { 0, 1, 2, 5, 60 };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++)
            for (int scale = 0; scale < 3; scale++) {
                lode_array A = positive(ctx, kinds[t], sizes[s], 0.5), L = { 0 };
                const bool single = lode_i_is_single(kinds[t]);
                const double f = scale == 0   ? 1
                                 : scale == 1 ? (single ? 1e34 : 1e300)
                                              : (single ? 1e-34 : 1e-300);
                double shift = -1;
                assert_ok(ctx, lode_i_scale(ctx, f, &A));
                assert_ok(ctx, lode_i_cholesky(ctx, &A, &L, &shift));
                assert_true(shift == 0);
                assert_lower(&L);
                assert_le(residual(&A, &L, NULL, LODE_H, &L), bound(&A) * fro(&A));
                LODE_FREE(&A, &L);
            }
}

/* Several blocks and tiles; L L^H checked at some entries. */
static void large_ones(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++) {
        const int64_t n = 700;
        lode_array A = positive(ctx, kinds[t], n, 5), L[3] = { { 0 } };
        for (int i = 0; i < 3; i++) {
            ctx->threads = i + 1;
            assert_ok(ctx, lode_i_cholesky(ctx, &A, &L[i], NULL));
            assert_same_bits(&L[0], &L[i]);
        }
        assert_lower(&L[0]);
        for (int64_t e = 0; e < 200; e++) {
            double size;
            const int64_t i = e * 313 % n, j = e * 571 % n;
            const entry got = product(&(naive){ LODE_N, LODE_H, &L[0], &L[0] }, i, j, &size);
            assert_le(cabs(got - get(&A, i, j)),
                      bound(&A) * sqrt(creal(get(&A, i, i)) * creal(get(&A, j, j))));
        }
        LODE_FREE(&A, &L[0], &L[1], &L[2]);
    }
}

static void shifts_are_made_and_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 3; how++) {
            lode_array A = { 0 }, L = { 0 };
            double shift = -1;
            assert_ok(ctx, lode_array_zeros(ctx, kinds[t], 2, (const int64_t[]){ 9, 9 }, &A));
            for (int64_t i = 0; i < 81;
                 i++) /* rank one, zero, indefinite with smallest eigenvalue -3 */
                put(&A, i / 9, i % 9,
                    how == 0   ? 1
                    : how == 1 ? 0
                               : (i / 9 == i % 9 ? (i ? 1 : -3) : 0));
            assert_ok(ctx, lode_i_cholesky(ctx, &A, &L, &shift));
            assert_true(shift > 0 || how == 0);
            assert_le(shift, how == 0 ? 1e4 * lode_i_epsilon(kinds[t]) : how == 1 ? 1e-3 : 31);
            assert_true(how != 2 || shift > 3);
            for (int64_t i = 0; i < 9; i++)
                put(&A, i, i, get(&A, i, i) + shift);
            assert_lower(&L);
            assert_le(residual(&A, &L, NULL, LODE_H, &L), bound(&A) * fro(&A));
            LODE_FREE(&A, &L);
        }
}

static void triangular_solves(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t sizes[][2] = { { 1, 1 }, { 7, 3 }, { 130, 20 }, { 5, 0 }, { 0, 4 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++)
            for (int tr = 0; tr < 3; tr++)
                for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                    const int64_t n = sizes[s][0], k = sizes[s][1];
                    lode_array L = matrix(ctx, kinds[t], n, n, l, 1),
                               B = matrix(ctx, kinds[t], n, k, l, 2), X = { 0 };
                    /* what lies above is not read */
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t j = i; j < n; j++)
                            put(&L, i, j, i == j ? 3 + (double)n / 4 : 77);
                    assert_ok(ctx, lode_i_solve_lower(ctx, ts[tr], &L, &B, &X));
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t j = i + 1; j < n; j++)
                            put(&L, i, j, 0);
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t j = 0; j < k; j++) {
                            double size;
                            const entry b = product(&(naive){ ts[tr], LODE_N, &L, &X }, i, j,
                                                    &size);
                            assert_le(cabs(b - get(&B, i, j)), rounding(kinds[t], n) * (size + 2));
                        }
                    LODE_FREE(&L, &B, &X);
                }
}

/* The normal equations hold for the residual; the norm is the smallest: x lies in the range of A^H.
 */
static void least_squares(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[][3] = { { 20, 6, 6 }, { 6, 20, 6 },  { 9, 9, 9 },  { 30, 8, 5 },
                                 { 8, 30, 5 }, { 12, 12, 7 }, { 200, 1, 1 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 7; s++)
            for (layout l = BY_ROWS; l <= STEPPED; l += STEPPED) {
                const int64_t m = sizes[s][0], n = sizes[s][1], r = sizes[s][2];
                lode_array F = matrix(ctx, kinds[t], m, r, BY_ROWS, 1),
                           H = matrix(ctx, kinds[t], r, n, BY_ROWS, 2);
                lode_array A = matrix(ctx, kinds[t], m, n, l, 9),
                           B = matrix(ctx, kinds[t], m, 3, l, 3), X = { 0 };
                lode_array R = { 0 }, N = { 0 }, P = { 0 }, Q = { 0 };
                int64_t rank = -1;
                for (int64_t i = 0; i < m; i++)
                    for (int64_t j = 0; j < n; j++) {
                        double size;
                        put(&A, i, j, product(&(naive){ LODE_N, LODE_N, &F, &H }, i, j, &size));
                    }
                assert_ok(ctx, lode_i_lstsq(ctx, &A, &B, &X, &rank));
                assert_int_equal(rank, r);
                assert_shape(&X, n, 3);
                assert_ok(ctx, lode_array_cast(ctx, &B, kinds[t], &R));
                assert_ok(ctx, lode_i_gemm_into(ctx, LODE_N, LODE_N, -1, &A, &X, 1, &R));
                assert_ok(ctx, lode_i_gemm(ctx, LODE_H, LODE_N, &A, &R, &N));
                assert_le(fro(&N), bound(&A) * fro(&A) * (fro(&A) * fro(&X) + fro(&B)));
                /* conditions of these matrices stay below 1000 */
                assert_ok(ctx, lode_array_cast(ctx, &H, kinds[t], &P));
                assert_ok(ctx, lode_i_svd(ctx, &P, r, NULL, &Q, &N));
                lode_array C = { 0 };
                assert_ok(ctx, lode_i_gemm(ctx, LODE_H, LODE_N, &N, &X, &C));
                assert_le(residual(&X, &N, NULL, LODE_N, &C), 1000 * bound(&A) * fro(&X));
                LODE_FREE(&F, &H, &A, &B, &X, &R, &N, &P, &Q, &C);
            }
}

static void wrong_input_is_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = positive(ctx, LODE_F64, 5, 1), B = matrix(ctx, LODE_F64, 4, 2, BY_ROWS, 1),
               X = { 0 };
    assert_status(ctx, lode_i_cholesky(ctx, &B, &X, NULL), LODE_ESHAPE);
    assert_status(ctx, lode_i_solve_lower(ctx, LODE_N, &A, &B, &X), LODE_ESHAPE);
    assert_status(ctx, lode_i_lstsq(ctx, &A, &B, &X, NULL), LODE_ESHAPE);
    put(&A, 1, 2, NAN);
    assert_status(ctx, lode_i_cholesky(ctx, &A, &X, NULL), LODE_EDOMAIN);
    put(&B, 1, 1, INFINITY);
    lode_array S = matrix(ctx, LODE_F64, 4, 2, BY_ROWS, 1);
    assert_status(ctx, lode_i_lstsq(ctx, &S, &B, &X, NULL), LODE_EDOMAIN);
    assert_null(X.data);
    LODE_FREE(&A, &B, &S);
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    lode_array A = positive(ctx, LODE_C64, 20, 1), T = lode_i_transposed(&A),
               B = matrix(ctx, LODE_C64, 20, 2, STEPPED, 1), X = { 0 };
    for (int which = 0; which < 3; which++) {
        for (int n = 1;; n++) {
            heap_fail(&w->h, n);
            const lode_status st = which == 0   ? lode_i_cholesky(ctx, &A, &X, NULL)
                                   : which == 1 ? lode_i_solve_lower(ctx, LODE_N, &T, &B, &X)
                                                : lode_i_lstsq(ctx, &A, &B, &X, NULL);
            const bool failed = heap_failed(&w->h);
            heap_fail(&w->h, 0);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
            assert_null(X.data);
        }
        assert_non_null(X.data);
        lode_array_free(&X);
    }
    LODE_FREE(&A, &B);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(factors_rebuild_the_matrix),
        LINALG_TEST(large_ones),
        LINALG_TEST(shifts_are_made_and_told),
        LINALG_TEST(triangular_solves),
        LINALG_TEST(least_squares),
        LINALG_TEST(wrong_input_is_told),
        LINALG_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
