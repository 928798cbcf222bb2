/* Gram matrices, of matrices and of the unfoldings of tensors, against triple loops in long double.
 */
#include "reference.h"

static void assert_gram(const lode_array *G, lode_trans t, const lode_array *A)
{
    const int64_t n = A->shape[t == LODE_N ? 0 : 1];
    const naive p = { t, t == LODE_N ? LODE_H : LODE_N, A, A };
    assert_shape(G, n, n);
    assert_product(G, &p);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            assert_true(get(G, i, j) == (t == LODE_T ? get(G, j, i) : conj(get(G, j, i))));
}

static void every_type_transpose_and_layout(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t sizes[][2] = { { 7, 5 }, { 5, 7 }, { 1, 6 }, { 6, 1 },
                                 { 0, 3 }, { 3, 0 }, { 1, 1 }, { 70, 66 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 8; s++)
            for (int tr = 0; tr < 3; tr++)
                for (layout l = BY_ROWS; l < LAYOUTS; l++) {
                    lode_array A = matrix(ctx, kinds[t], sizes[s][0], sizes[s][1], l, 1), G = { 0 };
                    assert_ok(ctx, lode_i_gram(ctx, ts[tr], &A, &G));
                    assert_gram(&G, ts[tr], &A);
                    LODE_FREE(&A, &G);
                }
}

/* Several tiles a side, and sums cut into parts. */
static void large_ones_split_rightly(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][2] = { { 700, 40 }, { 24, 12000 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 2; s++)
            for (int tr = 0; tr < 2; tr++)
                for (layout l = BY_ROWS; l <= STEPPED; l++) {
                    if (l == PADDED)
                        continue;
                    const lode_trans how = tr ? LODE_H : LODE_N;
                    lode_array G = { 0 },
                               A = tr ? matrix(ctx, kinds[t], shapes[s][1], shapes[s][0], l, 1)
                                      : matrix(ctx, kinds[t], shapes[s][0], shapes[s][1], l, 1);
                    assert_ok(ctx, lode_i_gram(ctx, how, &A, &G));
                    for (int64_t at = 0; at < 30; at++) {
                        const int64_t n = shapes[s][0], i = at * 311 % n, j = n - 1 - at * 173 % n;
                        double size;
                        const entry want = product(&(naive){ how, tr ? LODE_N : LODE_H, &A, &A }, i,
                                                   j, &size);
                        assert_le(cabs(get(&G, i, j) - want),
                                  rounding(kinds[t], shapes[s][1]) * size);
                        assert_true(get(&G, i, j) == conj(get(&G, j, i)));
                    }
                    LODE_FREE(&A, &G);
                }
}

/* A tensor of left x n x right with the values of matrix(). */
static lode_array tensor(lode_ctx *ctx, lode_dtype t, const int64_t shape[3])
{
    lode_array a = matrix(ctx, t, shape[0] * shape[1], shape[2], BY_ROWS, 9), x = { 0 };
    assert_ok(ctx, lode_array_reshape(ctx, &a, 3, shape, &x));
    lode_array_free(&a);
    return x;
}

static entry at3(const lode_array *x, int64_t i, int64_t j, int64_t k)
{
    lode_array flat = *x;
    flat.ndim = 1, flat.strides[0] = 1;
    return get(&flat, i * x->strides[0] + j * x->strides[1] + k * x->strides[2], 0);
}

/* Entry (a, b) of the Gram matrix of the unfolding along `mode`. */
static entry unfolded(const lode_array *x, int mode, const int64_t ab[2], double *size)
{
    wide sum = 0;
    int64_t count[3] = { x->shape[0], x->shape[1], x->shape[2] };
    count[mode] = 1;
    *size = 0;
    for (int64_t i = 0; i < count[0]; i++)
        for (int64_t j = 0; j < count[1]; j++)
            for (int64_t k = 0; k < count[2]; k++) {
                const entry u = at3(x, mode == 0 ? ab[0] : i, mode == 1 ? ab[0] : j,
                                    mode == 2 ? ab[0] : k);
                const entry v = at3(x, mode == 0 ? ab[1] : i, mode == 1 ? ab[1] : j,
                                    mode == 2 ? ab[1] : k);
                sum += (wide)u * conj(v);
                *size += cabs(u) * cabs(v);
            }
    return (entry)sum;
}

static void unfoldings_need_no_copy(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = { { 4, 5, 6 },   { 3, 1, 7 },   { 1, 4, 3 },    { 9, 6, 1 },
                                  { 3, 5, 200 }, { 500, 4, 3 }, { 2, 3, 2100 }, { 0, 3, 2 },
                                  { 5, 0, 2 },   { 2, 70, 64 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 10; s++)
            for (int mode = 0; mode < 3; mode++)
                for (int widened = 0; widened < 2; widened++) {
                    lode_array x = tensor(ctx, kinds[t], shapes[s]), G = { 0 };
                    const int64_t n = shapes[s][mode];
                    assert_ok(ctx, lode_i_mode_gram(ctx, &x, mode, widened, &G));
                    assert_shape(&G, n, n);
                    assert_int_equal(G.dtype, !widened               ? kinds[t]
                                              : kinds[t] == LODE_F32 ? LODE_F64
                                              : kinds[t] == LODE_C64 ? LODE_C128
                                                                     : kinds[t]);
                    const int64_t length = n ? lode_array_size(&x) / n : 0;
                    for (int64_t e = 0; e < (n ? 12 : 0); e++) {
                        const int64_t ab[2] = { e * 7 % n, n - 1 - e * 5 % n };
                        double size;
                        const entry want = unfolded(&x, mode, ab, &size);
                        /* widened: true f64 products, so f64 rounding */
                        assert_le(cabs(get(&G, ab[0], ab[1]) - want),
                                  rounding(G.dtype, length) * size);
                        assert_true(get(&G, ab[0], ab[1]) == conj(get(&G, ab[1], ab[0])));
                    }
                    LODE_FREE(&x, &G);
                }
}

static void strided_tensors_are_taken(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shape[3] = { 4, 5, 6 };
    lode_array x = tensor(ctx, LODE_C128, shape), turned = { 0 }, G = { 0 }, want = { 0 };
    assert_ok(ctx, lode_array_permute(ctx, &x, (const int[]){ 2, 0, 1 }, &turned));
    assert_ok(ctx, lode_i_mode_gram(ctx, &x, 0, false, &want));
    assert_ok(ctx, lode_i_mode_gram(ctx, &turned, 1, false, &G));
    for (int64_t i = 0; i < 16; i++)
        assert_le(cabs(get(&G, i / 4, i % 4) - get(&want, i / 4, i % 4)),
                  rounding(LODE_C128, 30) * 60);
    LODE_FREE(&x, &turned, &G, &want);
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = {
        { 30, 40, 50 }, { 9000, 24, 1 }, { 1, 24, 9000 }, { 100, 700, 1 }, { 2000, 12, 5 }
    };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++)
            for (int widened = 0; widened < 2; widened++) {
                lode_array x = tensor(ctx, kinds[t], shapes[s]), G[3] = { { 0 } };
                for (int threads = 0; threads < 3; threads++) {
                    ctx->threads = threads + 1;
                    assert_ok(ctx, lode_i_mode_gram(ctx, &x, 1, widened, &G[threads]));
                }
                assert_same_bits(&G[0], &G[1]);
                assert_same_bits(&G[0], &G[2]);
                LODE_FREE(&x, &G[0], &G[1], &G[2]);
            }
}

static void every_failing_allocation_is_survived(void **state)
{
    world *w = *state;
    const int64_t shape[3] = { 300, 24, 20 };
    lode_array x = tensor(&w->ctx, LODE_F32, shape), G = { 0 };
    for (int n = 1;; n++) {
        heap_fail(&w->h, n);
        const lode_status st = lode_i_mode_gram(&w->ctx, &x, 1, true, &G);
        const bool failed = heap_failed(&w->h);
        heap_fail(&w->h, 0);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_null(G.data);
    }
    LODE_FREE(&x, &G);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_type_transpose_and_layout),
        LINALG_TEST(large_ones_split_rightly),
        LINALG_TEST(unfoldings_need_no_copy),
        LINALG_TEST(strided_tensors_are_taken),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
