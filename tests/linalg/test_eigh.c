/* Hermitian eigenvalues by their identities, each method alone, on scaled, repeated and defective
 * spectra. */
#include "linalg/blas.h"
#include "reference.h"

/* A modest multiple of n eps ||A||, as LAPACK's analysis has it. */
static double bound(const lode_array *A)
{
    return 20 * (double)(A->shape[0] + 2) * lode_i_epsilon(A->dtype);
}

static lode_array hermitian(lode_ctx *ctx, lode_dtype t, int64_t n, layout l)
{
    lode_array A = matrix(ctx, t, n, n, l, 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            const entry v = i == j ? creal(noise_entry(2, i, i)) : noise_entry(2, i, j);
            put(&A, i, j, v);
            put(&A, j, i, conj(v));
        }
    return A;
}

/* k leading pairs; all of them must also rebuild A. */
static void assert_eigh(const lode_array *A, const lode_array *w, const lode_array *V)
{
    const int64_t n = A->shape[0], k = w->shape[0];
    assert_shape(V, n, k);
    assert_int_equal(w->dtype, lode_i_real_of(A->dtype));
    assert_le(not_orthonormal(V), bound(A));
    for (int64_t j = 0; j < k; j++) {
        double sum = 0;
        assert_true(j == 0 || creal(get(w, j, 0)) <= creal(get(w, j - 1, 0)));
        for (int64_t i = 0; i < n; i++) {
            wide v = -(wide)get(w, j, 0) * (wide)get(V, i, j);
            for (int64_t l = 0; l < n; l++)
                v += (wide)get(A, i, l) * (wide)get(V, l, j);
            sum = hypot(sum, cabs((entry)v));
        }
        assert_le(sum, bound(A) * fro(A));
    }
    if (k == n)
        assert_le(residual(A, V, w, LODE_H, V), bound(A) * fro(A));
}

static void every_type_layout_and_size(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[] = { 0, 1, 2, 3, 17, 40 };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 6; s++)
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                const int64_t n = sizes[s];
                lode_array A = hermitian(ctx, kinds[t], n, l), w = { 0 }, V = { 0 }, alone = { 0 },
                           some = { 0 };
                assert_ok(ctx, lode_i_eigh(ctx, &A, n, &w, &V));
                assert_eigh(&A, &w, &V);
                assert_ok(ctx, lode_i_eigh(ctx, &A, n, &alone, NULL));
                assert_ok(ctx, lode_i_eigh(ctx, &A, n / 2, &some, &V));
                assert_eigh(&A, &some, &V);
                for (int64_t i = 0; i < n; i++) {
                    assert_near(creal(get(&alone, i, 0)), creal(get(&w, i, 0)),
                                bound(&A) * fro(&A));
                    if (i < n / 2)
                        assert_near(creal(get(&some, i, 0)), creal(get(&w, i, 0)),
                                    bound(&A) * fro(&A));
                }
                LODE_FREE(&A, &w, &V, &alone, &some);
            }
}

static void hard(lode_array *A, int how)
{
    const bool single = lode_i_is_single(A->dtype);
    const int64_t n = A->shape[0];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const entry v = i == j  ? creal(noise_entry(2, i, i))
                            : i > j ? noise_entry(2, i, j)
                                    : conj(noise_entry(2, j, i));
            const double g = pow(single ? 1e-3 : 1e-28, (double)(i + j) / 2);
            put(A, i, j,
                how == 0   ? 0
                : how == 1 ? 1
                : how == 2 ? (i == j)
                : how == 3 ? v * (single ? 1e37 : 1e307)
                : how == 4 ? v * (single ? 1e-37 : 1e-307)
                : how == 5 ? v * g
                           : (i == j ? 1 + (i > 4) * lode_i_epsilon(A->dtype)
                                     : 0)); /* nearly one eigenvalue */
        }
}

static void hard_matrices(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int how = 0; how < 7; how++)
            for (int64_t k = 4; k <= 12; k += 8) {
                lode_array A = hermitian(ctx, kinds[t], 12, BY_ROWS), w = { 0 }, V = { 0 };
                hard(&A, how);
                assert_ok(ctx, lode_i_eigh(ctx, &A, k, &w, &V));
                assert_eigh(&A, &w, &V);
                LODE_FREE(&A, &w, &V);
            }
}

static void every_method(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++)
        for (int route = LODE_I_SYEVR; route <= LODE_I_EIG_JACOBI; route++)
            for (int how = 0; how < 8; how++) {
                if (how == 3 || how == 4)
                    continue; /* scaled by the caller */
                lode_array A = hermitian(ctx, kinds[t], 12, BY_ROWS), w = { 0 }, V = { 0 };
                if (how < 7)
                    hard(&A, how);
                for (int64_t k = 5; k <= 12; k += 7) {
                    assert_ok(ctx, lode_i_eigh_routed(ctx, (lode_i_eig_route)route, &A, k, &w, &V));
                    assert_eigh(&A, &w, &V);
                }
                LODE_FREE(&A, &w, &V);
            }
}

/* Second difference: eigenvalues 4 sin^2(pi j / (2 (n + 1))). */
static void closed_form(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t n = 60;
    lode_array A = { 0 }, w = { 0 }, V = { 0 };
    assert_ok(ctx, lode_array_zeros(ctx, LODE_F64, 2, (const int64_t[]){ n, n }, &A));
    for (int64_t i = 0; i < n; i++) {
        put(&A, i, i, 2);
        if (i > 0) {
            put(&A, i, i - 1, -1);
            put(&A, i - 1, i, -1);
        }
    }
    assert_ok(ctx, lode_i_eigh(ctx, &A, 20, &w, &V));
    for (int64_t j = 0; j < 20; j++) {
        const double s = sin(3.14159265358979323846 * (double)(n - j) / (2 * ((double)n + 1)));
        assert_near(creal(get(&w, j, 0)), 4 * s * s, bound(&A) * 4);
    }
    LODE_FREE(&A, &w, &V);
}

static void wrong_input_is_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = hermitian(ctx, LODE_F64, 5, BY_ROWS), w = { 0 }, V = { 0 },
               B = matrix(ctx, LODE_F64, 3, 4, BY_ROWS, 1);
    assert_status(ctx, lode_i_eigh(ctx, &B, 2, &w, &V), LODE_ESHAPE);
    assert_status(ctx, lode_i_eigh(ctx, &A, 6, &w, &V), LODE_ESHAPE);
    put(&A, 2, 3, NAN);
    assert_status(ctx, lode_i_eigh(ctx, &A, 5, &w, &V), LODE_EDOMAIN);
    assert_says(ctx, "A[2,3]");
    assert_true(!w.data && !V.data);
    LODE_FREE(&A, &B);
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    for (int64_t k = 5; k <= 10; k += 5) {
        lode_array A = hermitian(&w->ctx, LODE_C64, 10, STEPPED), s = { 0 }, V = { 0 };
        for (int n = 1;; n++) {
            heap_fail(&w->h, n);
            const lode_status st = lode_i_eigh(&w->ctx, &A, k, &s, &V);
            const bool failed = heap_failed(&w->h);
            heap_fail(&w->h, 0);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
            assert_true(!s.data && !V.data);
        }
        assert_eigh(&A, &s, &V);
        LODE_FREE(&A, &s, &V);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_layout_and_size),
        LINALG_TEST(hard_matrices),
        LINALG_TEST(every_method),
        LINALG_TEST(closed_form),
        LINALG_TEST(wrong_input_is_told),
        LINALG_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
