/* Tensor times matrix against loops in long double. */
#include "reference.h"

static lode_array tensor(lode_ctx *ctx, lode_dtype t, const int64_t shape[3])
{
    lode_array a = matrix(ctx, t, shape[0] * shape[1], shape[2], BY_ROWS, 9), x = { 0 };
    assert_ok(ctx, lode_array_reshape(ctx, &a, 3, shape, &x));
    lode_array_free(&a);
    return x;
}

static entry at3(const lode_array *x, const int64_t i[3])
{
    lode_array flat = *x;
    flat.ndim = 1, flat.strides[0] = 1;
    return get(&flat, i[0] * x->strides[0] + i[1] * x->strides[1] + i[2] * x->strides[2], 0);
}

static void assert_ttm(const lode_array *Y, const lode_array *X, int mode, lode_trans t,
                       const lode_array *M)
{
    const int64_t n = X->shape[mode], total = lode_array_size(Y), many = total > 400 ? 400 : total;
    for (int64_t e = 0; e < many; e++) {
        int64_t flat = total > 400 ? e * 7919 % total : e, i[3];
        for (int d = 2; d >= 0; d--)
            i[d] = flat % Y->shape[d], flat /= Y->shape[d];
        const entry got = at3(Y, i);
        const int64_t row = i[mode];
        wide sum = 0;
        double size = 0;
        for (i[mode] = 0; i[mode] < n; i[mode]++) {
            const entry u = op(t, M, row, i[mode]), v = at3(X, i);
            sum += (wide)u * (wide)v;
            size += cabs(u) * cabs(v);
        }
        assert_le(cabs(got - (entry)sum), rounding(X->dtype, n) * size);
    }
}

static void every_mode_type_and_transpose(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t shapes[][3] = { { 4, 5, 6 },    { 3, 4, 40 },   { 1, 5, 1 }, { 700, 6, 3 },
                                  { 2, 9, 5000 }, { 60, 50, 30 }, { 0, 4, 3 }, { 4, 0, 3 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 8; s++)
            for (int mode = 0; mode < 3; mode++)
                for (int tr = 0; tr < 3; tr++)
                    for (int64_t r = 0; r < 8; r += 7) {
                        const int64_t n = shapes[s][mode];
                        lode_array x = tensor(ctx, kinds[t], shapes[s]), y = { 0 };
                        const layout l = tr == 1 ? STEPPED : tr == 2 ? BY_COLS : BY_ROWS;
                        lode_array M = ts[tr] == LODE_N ? matrix(ctx, kinds[t], r, n, l, 2)
                                                        : matrix(ctx, kinds[t], n, r, l, 2);
                        assert_ok(ctx, lode_i_ttm(ctx, &x, mode, ts[tr], &M, &y));
                        for (int d = 0; d < 3; d++)
                            assert_int_equal(y.shape[d], d == mode ? r : shapes[s][d]);
                        assert_ttm(&y, &x, mode, ts[tr], &M);
                        LODE_FREE(&x, &M, &y);
                    }
}

static void strided_tensors_are_taken(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array x = tensor(ctx, LODE_F64, (const int64_t[]){ 4, 5, 6 }), turned = { 0 }, y = { 0 };
    lode_array M = matrix(ctx, LODE_F64, 3, 4, BY_ROWS, 2);
    assert_ok(ctx, lode_array_permute(ctx, &x, (const int[]){ 2, 0, 1 }, &turned));
    assert_ok(ctx, lode_i_ttm(ctx, &turned, 1, LODE_N, &M, &y));
    assert_ttm(&y, &turned, 1, LODE_N, &M);
    LODE_FREE(&x, &turned, &M, &y);
}

/* Many slices too narrow for BLAS: several groups of them. */
static void many_narrow_slices(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < KINDS; t++) {
        lode_array x = tensor(ctx, kinds[t], (const int64_t[]){ 9000, 6, 3 }), y = { 0 };
        lode_array M = matrix(ctx, kinds[t], 5, 6, BY_ROWS, 2);
        assert_ok(ctx, lode_i_ttm(ctx, &x, 1, LODE_N, &M, &y));
        assert_ttm(&y, &x, 1, LODE_N, &M);
        LODE_FREE(&x, &M, &y);
    }
}

static void same_bits_on_any_threads(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shapes[][3] = {
        { 50, 40, 60 }, { 3000, 20, 4 }, { 1, 60, 4000 }, { 4000, 60, 1 }, { 2, 30, 9000 }
    };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 5; s++) {
            lode_array x = tensor(ctx, kinds[t], shapes[s]), y[3] = { { 0 } };
            lode_array M = matrix(ctx, kinds[t], 13, shapes[s][1], BY_ROWS, 2);
            for (int threads = 0; threads < 3; threads++) {
                ctx->threads = threads + 1;
                assert_ok(ctx, lode_i_ttm(ctx, &x, 1, LODE_N, &M, &y[threads]));
            }
            assert_same_bits(&y[0], &y[1]);
            assert_same_bits(&y[0], &y[2]);
            LODE_FREE(&x, &M, &y[0], &y[1], &y[2]);
        }
}

static void in_place_of_the_tensor(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const lode_trans ts[] = { LODE_N, LODE_T, LODE_H };
    const int64_t shapes[][3] = { { 4, 5, 6 },     { 9000, 6, 3 },  { 1, 60, 9000 },
                                  { 9000, 60, 1 }, { 3, 70, 4000 }, { 0, 4, 3 } };
    for (int t = 0; t < KINDS; t++)
        for (int s = 0; s < 6; s++)
            for (int mode = 0; mode < 3; mode++)
                for (int64_t r = shapes[s][mode] < 100 ? shapes[s][mode] : 3, i = 0; i < 2;
                     r = 3, i++) {
                    const int64_t n = shapes[s][mode];
                    lode_array x = tensor(ctx, kinds[t], shapes[s]), y = { 0 }, z = { 0 };
                    lode_array M = ts[mode] == LODE_N ? matrix(ctx, kinds[t], r, n, BY_ROWS, 2)
                                                      : matrix(ctx, kinds[t], n, r, BY_ROWS, 2);
                    for (int threads = 1; threads < 4; threads += 2) {
                        ctx->threads = threads;
                        lode_array *const a = threads == 1 ? &y : &z;
                        assert_ok(ctx, lode_array_cast(ctx, &x, kinds[t], a));
                        assert_ok(ctx, lode_i_ttm_over(ctx, a, mode, ts[mode], &M));
                    }
                    assert_ttm(&y, &x, mode, ts[mode], &M);
                    assert_same_bits(&y, &z);
                    LODE_FREE(&x, &M, &y, &z);
                }
}

static void wrong_requests_are_told(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    lode_array x = tensor(ctx, LODE_F64, (const int64_t[]){ 40, 50, 6 }),
               M = matrix(ctx, LODE_F64, 3, 4, BY_ROWS, 2), y = { 0 };
    assert_status(ctx, lode_i_ttm(ctx, &x, 3, LODE_N, &M, &y), LODE_EPARAM);
    assert_status(ctx, lode_i_ttm(ctx, &x, 1, LODE_N, &M, &y), LODE_ESHAPE);
    assert_says(ctx, "mode 1 of the tensor has 50");
    lode_array_free(&M);
    M = matrix(ctx, LODE_F64, 50, 4, BY_ROWS, 2);
    for (int n = 1;; n++) {
        heap_fail(&w->h, n);
        const lode_status st = lode_i_ttm(ctx, &x, 1, LODE_T, &M, &y);
        const bool failed = heap_failed(&w->h);
        heap_fail(&w->h, 0);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_null(y.data);
    }
    LODE_FREE(&x, &M, &y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_mode_type_and_transpose),
        LINALG_TEST(strided_tensors_are_taken),
        LINALG_TEST(many_narrow_slices),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(in_place_of_the_tensor),
        LINALG_TEST(wrong_requests_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
