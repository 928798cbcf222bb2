/* Products against triple loops in long double. */
#include "reference.h"

static void every_type_transpose_and_layout(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t m = 7, k = 5, n = 6;
    for (int t = 0; t < KINDS; t++)
        for (int ta = 0; ta < 3; ta++)
            for (int tb = 0; tb < 3; tb++)
                for (layout la = BY_ROWS; la < LAYOUTS; la++)
                    for (layout lb = BY_ROWS; lb < LAYOUTS; lb++) {
                        lode_array C = { 0 };
                        lode_array A = ts[ta] == LODE_N ? matrix(ctx, kinds[t], m, k, la, 1)
                                                        : matrix(ctx, kinds[t], k, m, la, 1);
                        lode_array B = ts[tb] == LODE_N ? matrix(ctx, kinds[t], k, n, lb, 2)
                                                        : matrix(ctx, kinds[t], n, k, lb, 2);
                        assert_ok(ctx, lode_i_gemm(ctx, ts[ta], ts[tb], &A, &B, &C));
                        assert_shape(&C, m, n);
                        assert_product(&C, &(naive){ ts[ta], ts[tb], &A, &B });
                        LODE_FREE(&A, &B, &C);
                    }
}

static void sizes_zero_one_and_odd(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t sizes[] = { 0, 1, 2, 33 };
    for (int t = 0; t < KINDS; t++)
        for (int i = 0; i < 64; i++) {
            const int64_t m = sizes[i % 4], k = sizes[i / 4 % 4], n = sizes[i / 16];
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                lode_array C = { 0 }, A = matrix(ctx, kinds[t], k, m, l, 3),
                           B = matrix(ctx, kinds[t], k, n, l, 4);
                assert_ok(ctx, lode_i_gemm(ctx, LODE_H, LODE_N, &A, &B, &C));
                assert_shape(&C, m, n);
                assert_product(&C, &(naive){ LODE_H, LODE_N, &A, &B });
                LODE_FREE(&A, &B, &C);
            }
        }
}

static void into_scales_and_adds_in_either_order(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t m = 9, k = 4, n = 5;
    for (int t = 0; t < KINDS; t++)
        for (layout l = BY_ROWS; l <= PADDED; l++)
            for (int zero = 0; zero < 2; zero++) {
                lode_array A = matrix(ctx, kinds[t], m, zero ? 0 : k, BY_ROWS, 5);
                lode_array B = matrix(ctx, kinds[t], n, zero ? 0 : k, BY_COLS, 6);
                lode_array C = matrix(ctx, kinds[t], m, n, l, 7),
                           before = matrix(ctx, kinds[t], m, n, l, 7);
                assert_ok(ctx, lode_i_gemm_into(ctx, LODE_N, LODE_H, -0.5, &A, &B, 2, &C));
                for (int64_t i = 0; i < m; i++)
                    for (int64_t j = 0; j < n; j++) {
                        double size;
                        const entry p = product(&(naive){ LODE_N, LODE_H, &A, &B }, i, j, &size);
                        assert_le(cabs(get(&C, i, j) - (2 * get(&before, i, j) - 0.5 * p)),
                                  rounding(kinds[t], k) * (size + 4));
                    }
                LODE_FREE(&A, &B, &C, &before);
            }
}

static void beta_zero_does_not_read_the_result(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int64_t k = 0; k < 9000; k += 3000) {
        lode_array A = matrix(ctx, LODE_F64, 3, k, BY_ROWS, 1),
                   B = matrix(ctx, LODE_F64, k, 2, BY_ROWS, 2);
        lode_array C = matrix(ctx, LODE_F64, 3, 2, BY_ROWS, 3);
        for (int64_t i = 0; i < 6; i++)
            put(&C, i / 2, i % 2, NAN);
        assert_ok(ctx, lode_i_gemm_into(ctx, LODE_N, LODE_N, 1, &A, &B, 0, &C));
        assert_product(&C, &(naive){ LODE_N, LODE_N, &A, &B });
        LODE_FREE(&A, &B, &C);
    }
}

/* Tall results of few columns, which f64 computes as their transposes, in parts too. */
static void tall_results(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = { { 900, 150, 30 }, { 150, 3000, 12 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 2; s++)
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                const int64_t m = shapes[s][0], k = shapes[s][1], n = shapes[s][2];
                const layout out = l > PADDED ? PADDED : l;
                lode_array A = matrix(ctx, kinds[t], m, k, l, 1);
                lode_array B = matrix(ctx, kinds[t], n, k, l, 2);
                lode_array C = matrix(ctx, kinds[t], m, n, out, 3);
                assert_ok(ctx, lode_i_gemm_into(ctx, LODE_N, LODE_H, 2, &A, &B, -1, &C));
                for (int64_t e = 0; e < 60; e++) {
                    double size;
                    const int64_t i = e * 163 % m, j = e * 7 % n;
                    const entry want = 2 * product(&(naive){ LODE_N, LODE_H, &A, &B }, i, j, &size);
                    assert_le(cabs(get(&C, i, j) - (want - noise_at(&C, 3, i, j))),
                              rounding(kinds[t], k) * (2 * size + 1));
                }
                LODE_FREE(&A, &B, &C);
            }
}

/* Sizes where tiles, parts of the sum and their joining all happen; the corners of C are checked.
 */
static void large_and_long_products_split_rightly(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = {
        { 1100, 40, 600 }, { 40, 5000, 50 }, { 3, 30000, 1 }, { 1, 9000, 40 }, { 700, 300, 1 }
    };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++)
            for (layout l = BY_ROWS; l <= STEPPED; l += STEPPED) {
                const int64_t m = shapes[s][0], k = shapes[s][1], n = shapes[s][2];
                lode_array A = matrix(ctx, kinds[t], m, k, l, 1),
                           B = matrix(ctx, kinds[t], k, n, BY_ROWS, 2), C = { 0 };
                assert_ok(ctx, lode_i_gemm(ctx, LODE_N, LODE_N, &A, &B, &C));
                for (int64_t at = 0; at < 40; at++) {
                    const int64_t i = at % 2 ? m - 1 - at * 7 % m : at * 31 % m,
                                  j = at % 3 ? n - 1 - at * 5 % n : at * 17 % n;
                    double size;
                    const entry want = product(&(naive){ LODE_N, LODE_N, &A, &B }, i, j, &size);
                    assert_le(cabs(get(&C, i, j) - want), rounding(kinds[t], k) * size);
                }
                LODE_FREE(&A, &B, &C);
            }
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = {
        { 700, 300, 500 }, { 64, 20000, 48 }, { 2000, 600, 16 }, { 5000, 64, 1 }, { 1, 9000, 33 }
    };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++) {
            lode_array A = matrix(ctx, kinds[t], shapes[s][0], shapes[s][1], BY_ROWS, 1),
                       C[3] = { { 0 } };
            lode_array B = matrix(ctx, kinds[t], shapes[s][1], shapes[s][2], BY_ROWS, 2);
            for (int threads = 0; threads < 3; threads++) {
                ctx->threads = threads + 1;
                assert_ok(ctx, lode_i_gemm(ctx, LODE_N, LODE_N, &A, &B, &C[threads]));
            }
            assert_same_bits(&C[0], &C[1]);
            assert_same_bits(&C[0], &C[2]);
            LODE_FREE(&A, &B, &C[0], &C[1], &C[2]);
        }
}

static void vectors(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    for (int t = 0; t < KINDS; t++)
        for (int ta = 0; ta < 3; ta++)
            for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                lode_array A = matrix(ctx, kinds[t], 11, 8, l, 1), y = { 0 }, x = { 0 };
                lode_array all = matrix(ctx, kinds[t], ts[ta] == LODE_N ? 8 : 11, 2, BY_ROWS, 2);
                x = all; /* a column of a matrix: a stride of 2 */
                x.owner = NULL, x.ndim = 1;
                assert_ok(ctx, lode_i_gemv(ctx, ts[ta], &A, &x, &y));
                assert_int_equal(y.ndim, 1);
                assert_int_equal(y.shape[0], ts[ta] == LODE_N ? 11 : 8);
                for (int64_t i = 0; i < y.shape[0]; i++) {
                    double size;
                    const entry want = product(&(naive){ ts[ta], LODE_N, &A, &all }, i, 0, &size);
                    assert_le(cabs(get(&y, i, 0) - want), rounding(kinds[t], 11) * size);
                }
                LODE_FREE(&A, &all, &y);
            }
}

static void wrong_shapes_and_types_are_told(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array A = matrix(ctx, LODE_F64, 3, 4, BY_ROWS, 1),
               B = matrix(ctx, LODE_F32, 4, 2, BY_ROWS, 1);
    lode_array C = { 0 }, I8 = { 0 }, S = matrix(ctx, LODE_F64, 3, 3, STEPPED, 1);
    assert_ok(ctx, lode_array_zeros(ctx, LODE_I8, 2, (const int64_t[]){ 4, 4 }, &I8));
    assert_status(ctx, lode_i_gemm(ctx, LODE_N, LODE_N, &A, &A, &C), LODE_ESHAPE);
    assert_says(ctx, "3 x 4 times 3 x 4");
    assert_status(ctx, lode_i_gemm(ctx, LODE_N, LODE_N, &A, &B, &C), LODE_ETYPE);
    assert_status(ctx, lode_i_gemm(ctx, LODE_N, LODE_N, &A, &I8, &C), LODE_ETYPE);
    assert_says(ctx, "i8");
    assert_status(ctx, lode_i_gemm_into(ctx, LODE_N, LODE_T, 1, &A, &A, 0, &S), LODE_ESHAPE);
    assert_null(C.data);
    LODE_FREE(&A, &B, &I8, &S);
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    lode_array A = matrix(&w->ctx, LODE_C64, 60, 5000, STEPPED, 1),
               B = matrix(&w->ctx, LODE_C64, 5000, 40, STEPPED, 2);
    lode_array C = { 0 }, want = { 0 };
    assert_ok(&w->ctx, lode_i_gemm(&w->ctx, LODE_N, LODE_N, &A, &B, &want));
    int failures = 0;
    for (int n = 1;; n++, failures++) {
        heap_fail(&w->h, n);
        const lode_status st = lode_i_gemm(&w->ctx, LODE_N, LODE_N, &A, &B, &C);
        const bool failed = heap_failed(&w->h);
        heap_fail(&w->h, 0);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_null(C.data);
    }
    assert_true(failures > 1);
    assert_same_bits(&C, &want);
    LODE_FREE(&A, &B, &C, &want);
}

static void the_blas_tells_its_name_and_rate(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    bool same = false;
    const char *name = lode_i_blas_name(&same);
    assert_true(*name);
    if (strstr(name, "OpenBLAS") && strstr(name, "SINGLE_THREADED"))
        assert_true(same);
    ctx->threads = 1;
    const double one = lode_i_gemm_rate(ctx, LODE_F64);
    ctx->threads = 2;
    assert_true(one > 1e8);
    assert_true(lode_i_gemm_rate(ctx, LODE_F64) == 2 * one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_transpose_and_layout),
        LINALG_TEST(sizes_zero_one_and_odd),
        LINALG_TEST(into_scales_and_adds_in_either_order),
        LINALG_TEST(beta_zero_does_not_read_the_result),
        LINALG_TEST(tall_results),
        LINALG_TEST(large_and_long_products_split_rightly),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(vectors),
        LINALG_TEST(wrong_shapes_and_types_are_told),
        LINALG_TEST(every_failing_allocation_is_survived),
        LINALG_TEST(the_blas_tells_its_name_and_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
