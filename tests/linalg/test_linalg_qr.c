/* QR and orthonormal bases, by their identities: Q^H Q = I, Q R = A, R upper with nonnegative
 * diagonal. */
#include "linalg/blas.h"
#include "reference.h"

/* Rounding: the analysis gives a small multiple of n eps for Cholesky QR whose last Gram matrix is
 * near I, and for Householder; sums of m terms run in a tree. 20 covers complex values and the
 * multiple. */
static double bound(const lode_array *A)
{
    return 20 * (double)(A->shape[1] + 2) * lode_i_epsilon(A->dtype);
}

static void assert_qr(const lode_array *A, const lode_array *Q, const lode_array *R)
{
    const int64_t m = A->shape[0], n = A->shape[1];
    assert_shape(Q, m, n);
    assert_shape(R, n, n);
    assert_le(not_orthonormal(Q), bound(A));
    for (int64_t i = 0; i < n; i++) {
        assert_true(creal(get(R, i, i)) >= 0 && cimag(get(R, i, i)) == 0);
        for (int64_t j = 0; j < i; j++)
            assert_true(get(R, i, j) == 0);
    }
    for (int64_t j = 0; j < n;
         j++) { /* column by column: no column's error depends on the size of another */
        lode_array a = lode_i_cols(A, j, j + 1), r = lode_i_cols(R, j, j + 1);
        assert_le(residual(&a, Q, NULL, LODE_N, &r), bound(A) * fro(&a) + 1e-320);
        LODE_FREE(&a, &r);
    }
}

static void every_type_layout_and_size(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[][2] = { { 0, 0 }, { 5, 0 }, { 1, 1 },   { 6, 1 },
                                 { 5, 5 }, { 9, 4 }, { 300, 7 }, { 130, 50 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 8; s++)
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                lode_array A = matrix(ctx, kinds[t], sizes[s][0], sizes[s][1], l, 1), Q = { 0 },
                           R = { 0 }, only = { 0 };
                assert_ok(ctx, lode_i_qr(ctx, &A, &Q, &R));
                assert_qr(&A, &Q, &R);
                assert_ok(ctx, lode_i_qr_r(ctx, &A, &only));
                for (int64_t i = 0; i < sizes[s][1] * sizes[s][1]; i++) {
                    const int64_t a = i / sizes[s][1], b = i % sizes[s][1];
                    lode_array col = lode_i_cols(&A, b, b + 1);
                    /* R is unique; its error grows with the condition of these random matrices,
                     * below 1000 */
                    assert_le(cabs(get(&only, a, b) - get(&R, a, b)), 1000 * bound(&A) * fro(&col));
                    lode_array_free(&col);
                }
                LODE_FREE(&A, &Q, &R, &only);
            }
}

static void the_tree_alone_is_right(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[][2] = { { 1, 1 },     { 5, 5 },     { 300, 7 }, { 2000, 3 },
                                 { 1100, 20 }, { 1025, 16 }, { 40, 39 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 7; s++)
            for (layout l = BY_ROWS; l <= STEPPED; l += STEPPED) {
                lode_array A = matrix(ctx, kinds[t], sizes[s][0], sizes[s][1], l, 1), Q = { 0 },
                           R = { 0 }, only = { 0 };
                assert_ok(ctx, lode_i_tsqr(ctx, &A, &Q, &R));
                assert_qr(&A, &Q, &R);
                assert_ok(ctx, lode_i_tsqr(ctx, &A, NULL, &only));
                assert_same_bits(&only, &R);
                LODE_FREE(&A, &Q, &R, &only);
            }
}

/* Columns x^j on [0, 1]: conditions from small to beyond 1/eps, so that every pass and the tree are
 * met. */
static void any_condition(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int64_t n = 2; n <= 26; n += 3) {
            lode_array A = { 0 }, Q = { 0 }, R = { 0 };
            assert_ok(ctx, lode_i_matrix_new(ctx, kinds[t], 400, n, &A));
            for (int64_t i = 0; i < 400; i++)
                for (int64_t j = 0; j < n; j++)
                    put(&A, i, j, cpow((double)(i + 1) / 400 + 0.1 * I, (double)j));
            assert_ok(ctx, lode_i_qr(ctx, &A, &Q, &R));
            assert_qr(&A, &Q, &R);
            LODE_FREE(&A, &Q, &R);
        }
}

static void any_scale(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 4; how++) {
            const bool single = lode_i_is_single(kinds[t]);
            lode_array A = matrix(ctx, kinds[t], 200, 6, BY_ROWS, 1), Q = { 0 }, R = { 0 };
            for (int64_t i = 0; i < 200; i++)
                for (int64_t j = 0; j < 6; j++) {
                    const double top = single ? 1e36 : 1e300, low = single ? 1e-36 : 1e-290;
                    const double f = how == 0   ? top
                                     : how == 1 ? low
                                     : how == 2 ? pow(single ? 1e-12 : 1e-100, (double)(j - 3))
                                                : (j % 2 ? top : low);
                    put(&A, i, j, f * get(&A, i, j));
                }
            assert_ok(ctx, lode_i_qr(ctx, &A, &Q, &R));
            assert_qr(&A, &Q, &R);
            LODE_FREE(&A, &Q, &R);
        }
}

/* Denormals keep as many digits as they have: the residual is bounded by their spacing. */
static void denormals(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = matrix(ctx, LODE_F64, 100, 5, BY_ROWS, 1), Q = { 0 }, R = { 0 };
    for (int64_t i = 0; i < 500; i++)
        put(&A, i / 5, i % 5, 1e-312 * get(&A, i / 5, i % 5));
    assert_ok(ctx, lode_i_qr(ctx, &A, &Q, &R));
    assert_le(not_orthonormal(&Q), bound(&A));
    assert_le(residual(&A, &Q, NULL, LODE_N, &R), 100 * 5 * 0x1p-1074);
    LODE_FREE(&A, &Q, &R);
}

/* ||(I - Q Q^H) A||_F. */
static double missed(lode_ctx *ctx, const lode_array *A, const lode_array *Q)
{
    lode_array C = { 0 };
    assert_ok(ctx, lode_i_gemm(ctx, LODE_H, LODE_N, Q, A, &C));
    const double r = residual(A, Q, NULL, LODE_N, &C);
    lode_array_free(&C);
    return r;
}

static void dependent_columns_are_replaced(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 5; how++) {
            const int64_t m = how == 3 ? 12 : 500, n = 12;
            lode_array A = matrix(ctx, kinds[t], m, n, BY_ROWS, 1), Q = { 0 }, B = { 0 };
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) {
                    entry v = get(&A, i, j);
                    if (how == 0)
                        v = j % 3 == 2 ? 0 : v; /* zero columns: rank 8 */
                    else if (how == 1)
                        v = j >= 5 ? get(&A, i, j % 5) * (double)(j - 3)
                                   : v; /* multiples: rank 5 */
                    else if (how == 2)
                        v = 0;
                    else if (how == 3)
                        v = j == 7 ? get(&A, i, 2) - get(&A, i, 5) : v;
                    else /* nearly parallel columns, one a multiple of another */
                        v = j == 7 ? 3 * get(&A, i, 2) : 1 + 0.03 * v;
                    put(&A, i, j, v);
                }
            const int64_t want = how == 0 ? 8 : how == 1 ? 5 : how == 2 ? 0 : 11;
            int64_t rank = -1;
            assert_ok(ctx, lode_array_cast(ctx, &A, kinds[t], &Q));
            assert_ok(ctx, lode_i_orth(ctx, &Q, &rank));
            assert_int_equal(rank, want);
            assert_le(not_orthonormal(&Q), bound(&A));
            assert_le(missed(ctx, &A, &Q), bound(&A) * fro(&A));
            if (how == 1) { /* the independent columns come first here, and span A alone */
                B = lode_i_cols(&Q, 0, 5);
                assert_le(missed(ctx, &A, &B), bound(&A) * fro(&A));
            }
            LODE_FREE(&A, &Q, &B);
        }
}

static void ones_have_rank_one(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < 2; t++) {
        lode_array A = { 0 };
        int64_t rank;
        assert_ok(ctx, lode_i_matrix_new(ctx, kinds[t], 6400, 51, &A));
        assert_ok(ctx, lode_i_fill(ctx, &A, 1));
        assert_ok(ctx, lode_i_orth(ctx, &A, &rank));
        assert_int_equal(rank, 1);
        for (int64_t i = 0; i < 6400; i += 100)
            assert_near(creal(get(&A, i, 0)), 1.0 / 80, 100 * lode_i_epsilon(kinds[t]) / 80);
        lode_array G = { 0 };
        assert_ok(ctx, lode_i_gram(ctx, LODE_H, &A, &G));
        for (int64_t i = 0; i < 51 * 51; i++)
            assert_le(cabs(get(&G, i / 51, i % 51) - (i / 51 == i % 51)),
                      20 * 53 * lode_i_epsilon(kinds[t]));
        LODE_FREE(&A, &G);
    }
}

static void not_finite_or_wide_is_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 2; how++) {
            lode_array A = matrix(ctx, kinds[t], 300, 8, BY_ROWS, 1), Q = { 0 }, R = { 0 };
            put(&A, 123, 4, how ? INFINITY : NAN);
            assert_status(ctx, lode_i_orth(ctx, &A, NULL), LODE_EDOMAIN);
            assert_says(ctx, "123,4");
            assert_status(ctx, lode_i_qr(ctx, &A, &Q, &R), LODE_EDOMAIN);
            assert_status(ctx, lode_i_qr_r(ctx, &A, &R), LODE_EDOMAIN);
            assert_true(isfinite(creal(get(&A, 0, 0))) && !Q.data && !R.data);
            lode_array_free(&A);
        }
    lode_array A = matrix(ctx, LODE_F64, 3, 4, BY_ROWS, 1), Q = { 0 }, R = { 0 };
    assert_status(ctx, lode_i_qr(ctx, &A, &Q, &R), LODE_ESHAPE);
    lode_array_free(&A);
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 3; how++) {
            lode_array A = matrix(ctx, kinds[t], how == 2 ? 300 : 6000, how == 2 ? 200 : 30,
                                  BY_ROWS, 1);
            lode_array Q[3] = { { 0 } }, R[3] = { { 0 } };
            for (int threads = 0; threads < 3; threads++) {
                ctx->threads = threads + 1;
                if (how == 1)
                    assert_ok(ctx, lode_i_tsqr(ctx, &A, &Q[threads], &R[threads]));
                else
                    assert_ok(ctx, lode_i_qr(ctx, &A, &Q[threads], &R[threads]));
            }
            for (int i = 1; i < 3; i++) {
                assert_same_bits(&Q[0], &Q[i]);
                assert_same_bits(&R[0], &R[i]);
                LODE_FREE(&Q[i], &R[i]);
            }
            LODE_FREE(&A, &Q[0], &R[0]);
        }
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    lode_array A = matrix(&w->ctx, LODE_F32, 2000, 9, STEPPED, 1), before = { 0 };
    for (int64_t i = 0; i < 2000; i++)
        put(&A, i, 8, get(&A, i, 3)); /* all the way: tree, replaced columns */
    assert_ok(&w->ctx, lode_array_cast(&w->ctx, &A, LODE_F32, &before));
    for (int n = 1;; n++) {
        heap_fail(&w->h, n);
        const lode_status st = lode_i_orth(&w->ctx, &A, NULL);
        const bool failed = heap_failed(&w->h);
        heap_fail(&w->h, 0);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_true(get(&A, 7, 3) == get(&before, 7, 3));
    }
    assert_le(not_orthonormal(&A), bound(&A));
    LODE_FREE(&A, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_layout_and_size),
        LINALG_TEST(the_tree_alone_is_right),
        LINALG_TEST(any_condition),
        LINALG_TEST(any_scale),
        LINALG_TEST(denormals),
        LINALG_TEST(dependent_columns_are_replaced),
        LINALG_TEST(ones_have_rank_one),
        LINALG_TEST(not_finite_or_wide_is_told),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
