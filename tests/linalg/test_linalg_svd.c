/* Singular values and vectors by their identities, on the matrices that break factorizations. */
#include "linalg/blas.h"
#include "reference.h"

/* LAPACK's errors are a modest multiple of max(m, n) eps ||A||; 20 also covers complex values and
 * QR before. */
static double bound(const lode_array *A)
{
    return 20 * (double)(lode_i_max(A->shape[0], A->shape[1]) + 2) * lode_i_epsilon(A->dtype);
}

/* Orthonormal factors and descending values; all of them also rebuild A. */
static void assert_svd(const lode_array *A, const lode_array *U, const lode_array *s,
                       const lode_array *V)
{
    const int64_t k = s->shape[0];
    assert_shape(U, A->shape[0], k);
    assert_shape(V, A->shape[1], k);
    assert_int_equal(s->dtype, lode_i_real_of(A->dtype));
    /* denormal singular values are rounded to the spacing of denormals */
    const double spacing = (double)A->shape[0] * (double)A->shape[1] *
                           (lode_i_is_single(A->dtype) ? 0x1p-149 : 0x1p-1074);
    assert_le(not_orthonormal(U), bound(A));
    assert_le(not_orthonormal(V), bound(A));
    for (int64_t i = 0; i < k; i++)
        assert_true(creal(get(s, i, 0)) >= 0 &&
                    (i == 0 || creal(get(s, i, 0)) <= creal(get(s, i - 1, 0))));
    if (k == lode_i_min(A->shape[0], A->shape[1]))
        assert_le(residual(A, U, s, LODE_H, V), bound(A) * fro(A) + spacing);
}

static void every_type_layout_and_size(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[][2] = { { 0, 3 }, { 3, 0 },   { 1, 1 },  { 1, 9 },  { 9, 1 },
                                 { 8, 8 }, { 20, 19 }, { 60, 7 }, { 7, 60 }, { 19, 20 } };
    for (int t = 0; t < KINDS; t++)
        for (int i = 0; i < 10; i++)
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                const int64_t r = lode_i_min(sizes[i][0], sizes[i][1]);
                lode_array A = matrix(ctx, kinds[t], sizes[i][0], sizes[i][1], l, 1);
                lode_array U = { 0 }, s = { 0 }, V = { 0 }, alone = { 0 };
                assert_ok(ctx, lode_i_svd(ctx, &A, r, &U, &s, &V));
                assert_svd(&A, &U, &s, &V);
                assert_ok(ctx, lode_i_svd(ctx, &A, r, NULL, &alone, NULL));
                for (int64_t j = 0; j < r; j++)
                    assert_near(creal(get(&alone, j, 0)), creal(get(&s, j, 0)),
                                bound(&A) * fro(&A));
                LODE_FREE(&A, &U, &s, &V, &alone);
            }
}

static void leading_ones_are_those_of_all(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int wide_one = 0; wide_one < 2; wide_one++) {
            lode_array A = matrix(ctx, kinds[t], wide_one ? 12 : 50, wide_one ? 50 : 12, BY_ROWS,
                                  1);
            lode_array U = { 0 }, s = { 0 }, V = { 0 }, all = { 0 }, v = { 0 };
            assert_ok(ctx, lode_i_svd(ctx, &A, 12, NULL, &all, NULL));
            assert_ok(ctx, lode_i_svd(ctx, &A, 5, &U, &s, &V));
            assert_svd(&A, &U, &s, &V);
            double tail = 0;
            for (int64_t i = 5; i < 12; i++)
                tail = hypot(tail, creal(get(&all, i, 0)));
            assert_near(residual(&A, &U, &s, LODE_H, &V), tail,
                        bound(&A) * fro(&A)); /* Eckart-Young */
            assert_ok(ctx, lode_i_svd(ctx, &A, 5, NULL, &s, &v));
            assert_le(not_orthonormal(&v), bound(&A));
            assert_status(ctx, lode_i_svd(ctx, &A, 13, &U, &s, &V), LODE_ESHAPE);
            assert_ok(ctx, lode_i_svd(ctx, &A, 0, &U, &s, &V));
            assert_shape(&U, A.shape[0], 0);
            LODE_FREE(&A, &U, &s, &V, &all, &v);
        }
}

/* Fills A with the hard case `how`; returns how many singular values are not rounding, or -1 when
 * not known. */
static int64_t hard(lode_array *A, int how)
{
    const bool single = lode_i_is_single(A->dtype);
    const int64_t m = A->shape[0], n = A->shape[1];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            entry v = noise_entry(3, i, j);
            switch (how) {
            case 0: v = 1; break;
            case 1: v = 0; break;
            case 2: /* null space of dimension 4: columns repeat */
                v = noise_entry(3, i, j % (n - 4));
                break;
            case 3: v *= single ? 1e37 : 1e307; break;
            case 4: v *= single ? 1e-37 : 1e-307; break;
            case 5: /* graded over the whole range of the type */
                v *= pow(single ? 1e-3 : 1e-30, (double)(i % 10) + (double)(j % 10) - 9);
                break;
            case 6: /* Lauchli */ v = i == 0 ? 1 : i == j + 1 ? lode_i_epsilon(A->dtype) : 0; break;
            case 7: /* identity */ v = i == j; break;
            default: /* denormal */ v *= single ? 1e-41 : 1e-311;
            }
            put(A, i, j, v);
        }
    return how == 0 ? 1 : how == 1 ? 0 : how == 2 ? n - 4 : -1;
}

static void hard_matrices(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[][2] = { { 10, 10 }, { 40, 10 } };
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 9; how++)
            for (int i = 0; i < 2; i++) {
                lode_array A = matrix(ctx, kinds[t], sizes[i][0], sizes[i][1], BY_ROWS, 1),
                           U = { 0 }, s = { 0 }, V = { 0 };
                const int64_t rank = hard(&A, how);
                assert_ok(ctx, lode_i_svd(ctx, &A, 10, &U, &s, &V));
                assert_svd(&A, &U, &s, &V);
                for (int64_t j = rank; rank >= 0 && j < 10; j++)
                    assert_le(creal(get(&s, j, 0)), bound(&A) * fro(&A));
                LODE_FREE(&A, &U, &s, &V);
            }
}

static void wide_ones(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = { 0 }, U = { 0 }, s = { 0 }, V = { 0 };
    assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, 51, 6400, &A));
    assert_ok(ctx, lode_i_fill(ctx, &A, 1));
    assert_ok(ctx, lode_i_svd(ctx, &A, 3, &U, &s, &V));
    assert_near(creal(get(&s, 0, 0)), sqrt(51.0 * 6400), 1e-9);
    assert_le(creal(get(&s, 1, 0)), 1e-9);
    assert_le(not_orthonormal(&V), bound(&A));
    assert_le(residual(&A, &U, &s, LODE_H, &V), bound(&A) * fro(&A));
    LODE_FREE(&A, &U, &s, &V);
}

/* Each method alone, so that the ones that wait behind gesdd are known to work. */
static void every_method(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int route = LODE_I_GESDD; route <= LODE_I_JACOBI; route++)
            for (int how = 0; how < 9; how++) {
                if (how == 3 || how == 4 || how == 5)
                    continue; /* scaled by the caller */
                lode_array A = matrix(ctx, kinds[t], 14, 10, BY_ROWS, 1), U = { 0 }, s = { 0 },
                           V = { 0 };
                if (how < 8)
                    hard(&A, how);
                assert_ok(ctx, lode_i_svd_reduced(ctx, (lode_i_svd_route)route, &A, &U, &s, &V));
                assert_svd(&A, &U, &s, &V);
                LODE_FREE(&A, &U, &s, &V);
            }
}

/* Jacobi finds tiny singular values of a graded matrix to relative accuracy (Demmel and Veselic
 * 1992). */
static void jacobi_is_relatively_accurate(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = matrix(ctx, LODE_F64, 6, 6, BY_ROWS, 1), plain = { 0 }, U = { 0 }, s = { 0 },
               V = { 0 };
    for (int64_t i = 0; i < 36; i++) /* A = Q D with orthogonal Q (a reflection) and graded D */
        put(&A, i / 6, i % 6, ((i / 6 == i % 6) - 2.0 / 6) * pow(1e-8, (double)(i % 6)));
    assert_ok(ctx, lode_i_svd_jacobi(ctx, &A, &U, &s, &V));
    for (int64_t i = 0; i < 6; i++)
        assert_near(creal(get(&s, i, 0)) / pow(1e-8, (double)i), 1, 1e-14);
    LODE_FREE(&A, &plain, &U, &s, &V);
}

static void bad_factors_are_not_believed(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++) {
        lode_array A = matrix(ctx, kinds[t], 12, 12, BY_ROWS, 1), U = { 0 }, s = { 0 }, V = { 0 };
        bool good = false;
        assert_ok(ctx, lode_i_svd(ctx, &A, 12, &U, &s, &V));
        assert_ok(ctx, lode_i_check_factors(ctx, &A, &U, &s, &V, &good));
        assert_true(good);
        const entry kept = get(&s, 5, 0);
        put(&s, 5, 0, kept * 1.01);
        assert_ok(ctx, lode_i_check_factors(ctx, &A, &U, &s, &V, &good));
        assert_false(good);
        put(&s, 5, 0, NAN);
        assert_ok(ctx, lode_i_check_factors(ctx, &A, &U, &s, &V, &good));
        assert_false(good);
        put(&s, 5, 0, kept);
        for (int64_t i = 0; i < 12; i++) { /* U longer, s shorter: the product stays */
            put(&U, i, 2, get(&U, i, 2) * 2);
            put(&s, 2, 0, get(&s, 2, 0) * (i ? 1 : 0.5));
        }
        assert_ok(ctx, lode_i_check_factors(ctx, &A, &U, &s, &V, &good));
        assert_false(good);
        LODE_FREE(&A, &U, &s, &V);
    }
}

static void not_finite_is_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++) {
        lode_array A = matrix(ctx, kinds[t], 20, 8, BY_ROWS, 1), U = { 0 }, s = { 0 }, V = { 0 };
        put(&A, 3, 5, t % 2 ? NAN : INFINITY);
        assert_status(ctx, lode_i_svd(ctx, &A, 8, &U, &s, &V), LODE_EDOMAIN);
        assert_says(ctx, "A[3,5]");
        assert_null(s.data);
        lode_array_free(&A);
    }
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++) {
        lode_array A = matrix(ctx, kinds[t], 3000, 40, BY_ROWS, 1), U[3] = { { 0 } },
                   s[3] = { { 0 } }, V[3] = { { 0 } };
        for (int i = 0; i < 3; i++) {
            ctx->threads = i + 1;
            assert_ok(ctx, lode_i_svd(ctx, &A, 30, &U[i], &s[i], &V[i]));
        }
        for (int i = 1; i < 3; i++) {
            assert_same_bits(&U[0], &U[i]);
            assert_same_bits(&s[0], &s[i]);
            assert_same_bits(&V[0], &V[i]);
            LODE_FREE(&U[i], &s[i], &V[i]);
        }
        LODE_FREE(&A, &U[0], &s[0], &V[0]);
    }
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    for (int jacobi = 0; jacobi < 2; jacobi++) {
        lode_array A = matrix(&w->ctx, LODE_C64, 14, 10, BY_ROWS, 1), U = { 0 }, s = { 0 },
                   V = { 0 };
        hard(&A, 2);
        for (int n = 1;; n++) {
            heap_fail(&w->h, n);
            const lode_status st = jacobi ? lode_i_svd_jacobi(&w->ctx, &A, &U, &s, &V)
                                          : lode_i_svd(&w->ctx, &A, 4, &U, &s, &V);
            const bool failed = heap_failed(&w->h);
            heap_fail(&w->h, 0);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
            assert_true(!U.data && !s.data && !V.data);
        }
        assert_svd(&A, &U, &s, &V);
        LODE_FREE(&A, &U, &s, &V);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_layout_and_size),
        LINALG_TEST(leading_ones_are_those_of_all),
        LINALG_TEST(hard_matrices),
        LINALG_TEST(wide_ones),
        LINALG_TEST(every_method),
        LINALG_TEST(jacobi_is_relatively_accurate),
        LINALG_TEST(bad_factors_are_not_believed),
        LINALG_TEST(not_finite_is_told),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
