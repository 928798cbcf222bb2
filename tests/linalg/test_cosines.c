/* Cosines against the matrix of their definition, for every way in which a length halves. */
#include "reference.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64 };

static lode_status cosines(lode_ctx *ctx, lode_array *x, int mode, bool forward)
{
    return lode_i_cosines_into(ctx, x, mode, mode < x->ndim ? x->shape[mode] : 0, forward, x);
}

static double tolerance(lode_dtype t)
{
    return t == LODE_F32 ? 2e-6 : 4e-15;
}

/* Row j: order j. */
static lode_array definition(lode_ctx *ctx, int64_t n)
{
    const double pi = 3.14159265358979323846;
    lode_array M = { 0 };
    assert_ok(ctx, lode_i_matrix_new(ctx, LODE_F64, n, n, &M));
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < n; i++)
            lode_i_set2(&M, j, i,
                        sqrt((j ? 2.0 : 1.0) / (double)n) *
                            cos(pi * (double)((2 * i + 1) * j % (4 * n)) / (double)(2 * n)));
    return M;
}

/* x along a mode against the product with the definition, and back. */
static void check(lode_ctx *ctx, lode_dtype t, const int64_t *shape, int mode)
{
    const int64_t n = shape[mode], size = shape[0] * shape[1] * shape[2];
    lode_array flat = matrix(ctx, t, 1, size, BY_ROWS, 5), x = { 0 }, y = { 0 }, z = { 0 };
    lode_array M = definition(ctx, n), whole = { 0 };
    lode_diff d;
    assert_ok(ctx, lode_array_reshape(ctx, &flat, 3, shape, &x));
    assert_ok(ctx, lode_array_cast(ctx, &x, LODE_F64, &whole));
    assert_ok(ctx, lode_i_ttm(ctx, &whole, mode, LODE_N, &M, &z));
    assert_ok(ctx, lode_array_cast(ctx, &x, t, &y));
    assert_ok(ctx, cosines(ctx, &y, mode, true));
    assert_ok(ctx, lode_i_diff(ctx, &z, &y, &d));
    assert_le(d.maxabs, (1 + log2((double)n)) * tolerance(t));
    assert_ok(ctx, cosines(ctx, &y, mode, false));
    assert_ok(ctx, lode_i_diff(ctx, &x, &y, &d));
    assert_le(d.maxabs, (1 + log2((double)n)) * tolerance(t));
    LODE_FREE(&flat, &x, &y, &z, &M, &whole);
}

static void every_short_length_in_every_place(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    for (int t = 0; t < 2; t++)
        for (int64_t n = 1; n <= 80; n++)
            for (int mode = 0; mode < 3; mode++) {
                int64_t shape[3] = { 2, 3, n % 5 ? 2 : 35 };
                shape[mode] = n;
                check(ctx, types[t], shape, mode);
            }
}

/* Powers of two, odd factors with and without BLAS, primes. */
static void long_lengths(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    static const int64_t lengths[] = { 256, 300, 360, 365, 512, 720, 1000 };
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (int mode = 0; mode < 2; mode++) {
                int64_t shape[3] = { 1, 1, 2 };
                shape[mode] = lengths[i];
                check(ctx, types[t], shape, mode);
            }
}

/* More columns than a tile has, in runs that tiles cut. */
static void many_columns(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    static const int64_t shapes[][3] = {
        { 16, 40, 333 }, { 333, 40, 16 }, { 7, 66, 77 }, { 3000, 24, 1 }
    };
    for (int t = 0; t < 2; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int mode = 0; mode < 3; mode++)
                if (shapes[s][mode] <= 400)
                    check(ctx, types[t], shapes[s], mode);
}

/* Few coefficients stand for those and zeros, and back as many come as there is place for. */
static void fewer_entries_than_the_length(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    const int64_t shape[3] = { 5, 48, 37 };
    for (int t = 0; t < 2; t++)
        for (int mode = 0; mode < 3; mode++)
            for (int forward = 0; forward < 2; forward++) {
                const int64_t n = shape[mode], few = n / 3 + 1;
                lode_array flat = matrix(ctx, types[t], 5 * 48, 37, BY_ROWS, 7), x = { 0 };
                lode_array some = { 0 }, given = { 0 }, got = { 0 }, tail = { 0 }, want = { 0 };
                lode_diff d;
                assert_ok(ctx, lode_array_reshape(ctx, &flat, 3, shape, &x));
                assert_ok(ctx, lode_array_slice(ctx, &x, mode, 0, few, 1, &some));
                assert_ok(ctx, lode_array_cast(ctx, &some, types[t], &given));
                assert_ok(ctx, lode_array_new(ctx, types[t], 3, given.shape, &got));
                assert_ok(ctx, lode_i_cosines_into(ctx, &given, mode, n, forward, &got));
                assert_ok(ctx, lode_array_slice(ctx, &x, mode, few, n, 1, &tail));
                assert_ok(ctx, lode_i_scale(ctx, 0, &tail));
                assert_ok(ctx, cosines(ctx, &x, mode, forward));
                assert_ok(ctx, lode_array_slice(ctx, &x, mode, 0, few, 1, &want));
                assert_ok(ctx, lode_i_diff(ctx, &want, &got, &d));
                assert_true(d.maxabs <= 0);
                LODE_FREE(&flat, &x, &some, &given, &got, &tail, &want);
            }
}

static void empty_and_wrong(void **state)
{
    lode_ctx *ctx = &((world *)*state)->ctx;
    lode_array x = matrix(ctx, LODE_F64, 0, 4, BY_ROWS, 1),
               y = matrix(ctx, LODE_C64, 3, 4, BY_ROWS, 1);
    assert_ok(ctx, cosines(ctx, &x, 0, true));
    assert_ok(ctx, cosines(ctx, &x, 1, false));
    assert_status(ctx, cosines(ctx, &x, 2, true), LODE_EINTERNAL);
    assert_status(ctx, cosines(ctx, &y, 0, true), LODE_EINTERNAL);
    LODE_FREE(&x, &y);
}

static void same_bits_on_any_threads(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    const int64_t shape[3] = { 7, 148, 96 };
    for (int t = 0; t < 2; t++)
        for (int mode = 0; mode < 3; mode++) {
            lode_array y[2] = { { 0 }, { 0 } };
            for (int k = 0; k < 2; k++) {
                lode_array x = matrix(ctx, types[t], 7 * 148, 96, BY_ROWS, 3), cube = { 0 };
                ctx->threads = 1 + 2 * k;
                assert_ok(ctx, lode_array_reshape(ctx, &x, 3, shape, &cube));
                assert_ok(ctx, lode_array_cast(ctx, &cube, types[t], &y[k]));
                assert_ok(ctx, cosines(ctx, &y[k], mode, true));
                LODE_FREE(&x, &cube);
            }
            assert_memory_equal(y[0].data, y[1].data, lode_array_bytes(&y[0]));
            LODE_FREE(&y[0], &y[1]);
        }
}

/* Slabs against one mode after the other: a product of BLAS and halves side by side, so that the rooms of
 * threads at different modes differ, and shapes that shrink. */
static void slabs_are_modes_in_turn(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    static const int64_t shapes[][4] = { { 40, 1, 73, 144 }, { 3, 50, 37, 64 }, { 300, 8, 4, 17 } };
    for (int t = 0; t < 2; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (int how = 0; how < 6;
                 how++) { /* forward or back; alike, fewer given, fewer taken */
                const bool forward = how & 1;
                const int64_t *n = shapes[s];
                int64_t in[4], out[4];
                memcpy(in, n, sizeof in), memcpy(out, n, sizeof out);
                if (how / 2)
                    for (int k = 2; k < 4; k++)
                        *(how / 2 == 1 ? in + k : out + k) = n[k] / 2 + 1;
                lode_array flat = matrix(ctx, types[t], in[0] * in[1], in[2] * in[3], BY_ROWS, 9);
                lode_array x = { 0 }, one = { 0 }, want = { 0 }, got[2] = { { 0 }, { 0 } };
                lode_diff d;
                const int64_t middle[4] = { in[0], in[1], out[2], in[3] };
                assert_ok(ctx, lode_array_reshape(ctx, &flat, 4, in, &x));
                assert_ok(ctx, lode_array_new(ctx, types[t], 4, middle, &one));
                assert_ok(ctx, lode_array_new(ctx, types[t], 4, out, &want));
                ctx->threads = 1;
                assert_ok(ctx, lode_i_cosines_into(ctx, &x, 2, n[2], forward, &one));
                assert_ok(ctx, lode_i_cosines_into(ctx, &one, 3, n[3], forward, &want));
                for (int k = 0; k < 2; k++) {
                    ctx->threads = 1 + 3 * k;
                    assert_ok(ctx, lode_array_new(ctx, types[t], 4, out, &got[k]));
                    assert_true(lode_i_slabs_fit(4, in, out, 2));
                    assert_ok(ctx, lode_i_cosines_slabs(ctx, &x, 2, n, forward, &got[k]));
                }
                assert_memory_equal(got[0].data, got[1].data, lode_array_bytes(&got[0]));
                assert_ok(ctx, lode_i_diff(ctx, &want, &got[0], &d));
                assert_true(sqrt(d.sumsq) <= tolerance(types[t]) * sqrt(d.ref_sumsq));
                LODE_FREE(&flat, &x, &one, &want, &got[0], &got[1]);
            }
}

static void allocations_that_fail(void **state)
{
    world *w = *state;
    lode_ctx *ctx = &w->ctx;
    for (int blas = 0; blas < 2; blas++) {
        lode_array x = matrix(ctx, LODE_F32, blas ? 34 : 32, 5, BY_ROWS, 1);
        for (int n = 1;; n++) {
            heap_fail(&w->h, n);
            const lode_status st = cosines(ctx, &x, 0, true);
            const bool failed = heap_failed(&w->h);
            heap_fail(&w->h, 0);
            if (!failed)
                break;
            assert_int_equal(st, LODE_ENOMEM);
        }
        lode_array_free(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINALG_TEST(every_short_length_in_every_place),
        LINALG_TEST(long_lengths),
        LINALG_TEST(many_columns),
        LINALG_TEST(fewer_entries_than_the_length),
        LINALG_TEST(empty_and_wrong),
        LINALG_TEST(slabs_are_modes_in_turn),
        LINALG_TEST(same_bits_on_any_threads),
        LINALG_TEST(allocations_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
