#include "array/oracle.h"
#include "counted.h"

static lode_array vector(lode_dtype t, int64_t n, const void *values)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, t, 1, &n, &a));
    if (n > 0)
        memcpy(a.data, values, (size_t)n * lode_dtype_size(t));
    return a;
}

static void all_65536_read_exactly(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int wide = 0; wide < 2; wide++) {
            lode_array h = { 0 }, y = { 0 };
            assert_ok(&ctx, lode_i_vector_new(&ctx, kind ? LODE_BF16 : LODE_F16, 65536, &h));
            for (int i = 0; i < 65536; i++)
                ((uint16_t *)h.data)[i] = (uint16_t)i;
            assert_ok(&ctx, lode_array_cast(&ctx, &h, wide ? LODE_F64 : LODE_F32, &y));
            for (int i = 0; i < 65536; i++) {
                const number want = { kind ? bf16_value((uint16_t)i) : f16_value((uint16_t)i), 0 };
                assert_true(same_number(oracle_value(&y, i), want));
            }
            /* And back: every value is its own nearest. */
            lode_array b = { 0 };
            assert_ok(&ctx, lode_array_cast(&ctx, &y, h.dtype, &b));
            for (int i = 0; i < 65536; i++)
                if (!isnan(oracle_value(&h, i).re))
                    assert_int_equal(((uint16_t *)b.data)[i], i);
                else
                    assert_true(isnan(oracle_value(&b, i).re));
            LODE_FREE(&h, &y, &b);
        }
}

/* Around every value of the type: the tie with its neighbour, a hair to each side, and the same
 * from f64, where the hair is thinner than an f32 can show. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        double (*const value)(uint16_t) = kind ? bf16_value : f16_value;
        const uint16_t infinity = kind ? 0x7f80 : 0x7c00;
        const lode_dtype t = kind ? LODE_BF16 : LODE_F16;
        enum { EACH = 8 };
        const int64_t n = (int64_t)infinity * EACH;
        lode_array wide = { 0 }, single = { 0 }, y = { 0 };
        assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, n, &wide));
        double *x = wide.data;
        for (int i = 0; i < infinity; i++) {
            const double a = value((uint16_t)i);
            const double b = i + 1 < infinity ? value((uint16_t)(i + 1))
                                              : 2 * a - value((uint16_t)(i - 1));
            const double tie = a / 2 + b / 2, sign = i % 2 ? -1 : 1;
            const double all[EACH] = { a,
                                       tie,
                                       nextafter(tie, a),
                                       nextafter(tie, b),
                                       (double)nextafterf((float)tie, 0),
                                       (double)nextafterf((float)tie, FLT_MAX),
                                       a + (b - a) / 4,
                                       a + (b - a) * 0.8 };
            for (int k = 0; k < EACH; k++)
                x[i * EACH + k] = sign * all[k];
        }
        assert_ok(&ctx, lode_array_cast(&ctx, &wide, t, &y));
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(((uint16_t *)y.data)[i], nearest16(x[i], value, infinity));
        assert_ok(&ctx, lode_array_cast(&ctx, &wide, LODE_F32, &single));
        assert_ok(&ctx, lode_array_cast(&ctx, &single, t, &y));
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(((uint16_t *)y.data)[i],
                             nearest16(((float *)single.data)[i], value, infinity));
        LODE_FREE(&wide, &single, &y);
    }
}

static void integers_saturate_and_round_to_even(void **state)
{
    (void)state;
    const double x[] = { 0,
                         -0.0,
                         0.5,
                         1.5,
                         2.5,
                         -0.5,
                         -1.5,
                         -2.5,
                         126.5,
                         127.5,
                         128.5,
                         -128.5,
                         -129,
                         255.5,
                         256,
                         1e10,
                         -1e10,
                         1e19,
                         -1e19,
                         1e300,
                         -1e300,
                         (double)INFINITY,
                         -(double)INFINITY,
                         (double)NAN,
                         0x1p63,
                         -0x1p63,
                         0x1.fffffffffffffp62,
                         0x1p64,
                         0x1.fffffffffffffp63,
                         4503599627370497.5,
                         2147483647.5,
                         -2147483648.5,
                         4294967295.5,
                         65535.5,
                         32767.5,
                         -32768.5,
                         1e-320 };
    enum { N = sizeof x / sizeof *x };
    lode_array a = vector(LODE_F64, N, x);
    for (int t = LODE_BOOL; t <= LODE_U64; t++) {
        lode_array y = { 0 };
        assert_ok(&ctx, lode_array_cast(&ctx, &a, (lode_dtype)t, &y));
        for (int i = 0; i < N; i++) {
            uint64_t want = 0, got = 0;
            oracle_store((lode_dtype)t, (number){ x[i], 0 }, &want);
            memcpy(&got, oracle_at(&y, i), lode_dtype_size((lode_dtype)t));
            assert_int_equal(got, want);
        }
        lode_array_free(&y);
    }
    lode_array_free(&a);
}

/* Every bit pattern's neighbourhood of 64-bit integers, where going through f64 would round
 * twice. */
static void wide_integers_round_once(void **state)
{
    (void)state;
    dice d = { 7 };
    enum { N = 4096 };
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        uint64_t x[N];
        for (int i = 0; i < N; i++) {
            const int top = (int)roll_below(&d, 64), half = (int)roll_below(&d, 3) * 8 + 8;
            x[i] = UINT64_C(1) << top;
            /* the tie of an 8, 16, 24-bit fraction */
            x[i] |= top >= half ? UINT64_C(1) << (top - half) : 0;
            x[i] += (uint64_t)roll_below(&d, 3) - 1;
            if (i % 5 == 0)
                x[i] = roll(&d) >> top;
        }
        lode_array a = vector(is_signed ? LODE_I64 : LODE_U64, N, x);
        for (int k = 0; k < PLAIN_TYPES; k++) {
            lode_array y = { 0 };
            assert_ok(&ctx, lode_array_cast(&ctx, &a, plain_types[k], &y));
            for (int i = 0; i < N; i++) {
                char want[16] = { 0 };
                oracle_store(plain_types[k], oracle_value(&a, i), want);
                assert_memory_equal(oracle_at(&y, i), want, lode_dtype_size(plain_types[k]));
            }
            lode_array_free(&y);
        }
        lode_array_free(&a);
    }
}

static void every_pair_of_types_on_any_view(void **state)
{
    (void)state;
    dice d = { 1 };
    for (int s = 0; s < PLAIN_TYPES; s++)
        for (int t = 0; t < PLAIN_TYPES; t++)
            for (int repeat = 0; repeat < 3; repeat++) {
                int64_t shape[LODE_MAX_NDIM];
                const int ndim = random_shape(&d, shape);
                lode_array a = { 0 }, y = { 0 }, z = { 0 };
                random_view(&ctx, &d, plain_types[s], ndim, shape,
                            repeat == 0   ? 2
                            : repeat == 1 ? 300
                                          : 1e12,
                            &a);
                assert_ok(&ctx, lode_array_cast(&ctx, &a, plain_types[t], &y));
                random_view(&ctx, &d, plain_types[t], ndim, shape, 1, &z);
                assert_ok(&ctx, lode_array_copy_into(&ctx, &a, &z));
                assert_true(lode_array_is_contiguous(&y));
                for (int64_t i = 0; i < lode_array_size(&a); i++) {
                    char bytes[16] = { 0 };
                    oracle_store(plain_types[t], oracle_value(&a, i), bytes);
                    const number want = oracle_load(plain_types[t], bytes);
                    assert_true(same_number(oracle_value(&y, i), want));
                    assert_true(same_number(oracle_value(&z, i), want));
                }
                LODE_FREE(&a, &y, &z);
            }
}

/* Long enough for tiles and threads, with sides that are no multiple of a tile. */
static void transposes_copy_by_tiles(void **state)
{
    (void)state;
    dice d = { 3 };
    for (int threads = 1; threads <= 3; threads++) {
        ctx.threads = threads;
        lode_array a = { 0 }, t = { 0 }, y = { 0 };
        assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 3, (const int64_t[]){ 5, 77, 203 }, &a));
        random_values(&d, &a, 1);
        assert_ok(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 2, 0, 1 }, &t));
        for (int k = 0; k < 2; k++) {
            assert_ok(&ctx, lode_array_cast(&ctx, &t, k ? LODE_C64 : LODE_F32, &y));
            for (int64_t i = 0; i < lode_array_size(&t); i++)
                assert_true(same_number(oracle_value(&t, i), oracle_value(&y, i)));
        }
        LODE_FREE(&a, &t, &y);
    }
    ctx.threads = 0;
}

static void a_bool_is_any_byte_but_0(void **state)
{
    (void)state;
    const uint8_t x[] = { 0, 1, 2, 255 };
    lode_array a = vector(LODE_BOOL, 4, x), y = { 0 };
    assert_ok(&ctx, lode_array_cast(&ctx, &a, LODE_BOOL, &y));
    for (int i = 0; i < 4; i++)
        assert_int_equal(((uint8_t *)y.data)[i], i > 0);
    LODE_FREE(&a, &y);
}

/* ---- packed ---- */

static void packed_is_within_half_a_step(void **state)
{
    (void)state;
    dice d = { 5 };
    for (int kind = 0; kind < 2; kind++) {
        const lode_dtype t = kind ? LODE_Q4 : LODE_Q8;
        lode_array a = { 0 }, q = { 0 }, y = { 0 }, again = { 0 };
        assert_ok(&ctx, lode_array_new(&ctx, LODE_F64, 2, (const int64_t[]){ 7, 96 }, &a));
        for (int64_t i = 0; i < 7 * 96; i++)
            ((double *)a.data)[i] = roll_unit(&d) * pow(10, (double)(i / 96) - 3);
        assert_ok(&ctx, lode_array_cast(&ctx, &a, t, &q));
        assert_int_equal(lode_array_bytes(&q), 7 * 3 * lode_dtype_size(t));
        assert_ok(&ctx, lode_array_cast(&ctx, &q, LODE_F64, &y));
        for (int64_t b = 0; b < 7 * 3; b++) {
            const double *x = (double *)a.data + 32 * b, *z = (double *)y.data + 32 * b;
            const double step = fabs(f16_value(
                (uint16_t)(((uint8_t *)q.data)[b * (int64_t)lode_dtype_size(t)] |
                           ((uint8_t *)q.data)[b * (int64_t)lode_dtype_size(t) + 1] << 8)));
            double most = 0;
            for (int i = 0; i < 32; i++)
                most = fmax(most, fabs(x[i]));
            /* The scale is rounded to f16 (2^-11, or 2^-25 where subnormal), and -8..7 is lopsided:
             * the far end may miss by a step. */
            assert_le(step, most / (kind ? 8 : 127) * (1 + 0x1p-10) + 0x1p-24);
            for (int i = 0; i < 32; i++) {
                assert_le(fabs(z[i] - x[i]), step * (kind ? 1.01 : 0.5001) + most * 0x1p-10 + 1e-9);
                if (kind && fabs(x[i]) < 0.85 * most)
                    assert_le(fabs(z[i] - x[i]), step * 0.5001 + most * 0x1p-10);
            }
        }
        /* What is on the grid stays there, read value by value too. */
        assert_ok(&ctx, lode_array_cast(&ctx, &y, t, &again));
        assert_ok(&ctx, lode_array_cast(&ctx, &again, LODE_F64, &a));
        for (int64_t i = 0; i < 7 * 96; i++) {
            assert_near(((double *)a.data)[i], ((double *)y.data)[i],
                        fabs(((double *)y.data)[i]) * 0x1p-9);
            assert_true(lode_array_get(&q, (const int64_t[]){ i / 96, i % 96 }) ==
                        ((double *)y.data)[i]);
        }
        LODE_FREE(&a, &q, &y, &again);
    }
}

static void packed_extremes(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        float x[96];
        for (int i = 0; i < 96; i++)
            x[i] = i < 32 ? 0 : i < 64 ? 3e38f * (i % 2 ? -1 : 1) : (float)NAN;
        lode_array a = vector(LODE_F32, 96, x), q = { 0 }, y = { 0 };
        assert_ok(&ctx, lode_array_cast(&ctx, &a, kind ? LODE_Q4 : LODE_Q8, &q));
        assert_ok(&ctx, lode_array_cast(&ctx, &q, LODE_F32, &y));
        const float *z = y.data;
        for (int i = 0; i < 32; i++) {
            assert_true(z[i] == 0);
            assert_true(isfinite(z[32 + i]) && (z[32 + i] > 0) == (x[32 + i] > 0)); /* saturated */
            assert_true(isnan(z[64 + i]));
        }
        LODE_FREE(&a, &q, &y);
    }
}

static void packed_views_and_refusals(void **state)
{
    (void)state;
    dice d = { 9 };
    lode_array a = { 0 }, q = { 0 }, s = { 0 }, y = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 3, (const int64_t[]){ 4, 3, 64 }, &a));
    random_values(&d, &a, 1);
    assert_ok(&ctx, lode_array_cast(&ctx, &a, LODE_Q8, &q));
    assert_ok(&ctx, lode_array_slice(&ctx, &q, 2, 32, 64, 1, &s));
    assert_ok(&ctx, lode_array_slice(&ctx, &s, 0, 3, -1, -2, &s));
    assert_ok(&ctx, lode_array_permute(&ctx, &s, (const int[]){ 1, 0, 2 }, &s));
    assert_ok(&ctx, lode_array_cast(&ctx, &s, LODE_F32, &y));
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 2; j++)
            for (int64_t k = 0; k < 32; k++)
                assert_true(lode_array_get(&y, (const int64_t[]){ i, j, k }) ==
                            lode_array_get(&q, (const int64_t[]){ 3 - 2 * j, i, 32 + k }));
    /* Strided packed to packed keeps the blocks' bytes. */
    assert_ok(&ctx, lode_array_cast(&ctx, &s, LODE_Q8, &y));
    assert_memory_equal(y.data, (char *)q.data + (3 * 3 * 2 + 1) * 34, 34);
    assert_status(&ctx, lode_array_slice(&ctx, &q, 2, 1, 33, 1, &s), LODE_ESHAPE);
    assert_status(&ctx, lode_array_slice(&ctx, &q, 2, 0, 64, 2, &s), LODE_ESHAPE);
    assert_status(&ctx, lode_array_permute(&ctx, &q, (const int[]){ 2, 0, 1 }, &s), LODE_ESHAPE);
    assert_status(&ctx, lode_array_new(&ctx, LODE_Q4, 2, (const int64_t[]){ 32, 31 }, &y),
                  LODE_ESHAPE);
    assert_says(&ctx, "32 x 31");
    assert_status(&ctx, lode_array_new(&ctx, LODE_Q4, 0, NULL, &y), LODE_ESHAPE);
    assert_status(&ctx, lode_array_reshape(&ctx, &q, 1, (const int64_t[]){ 768 }, &s), LODE_OK);
    assert_status(&ctx, lode_array_reshape(&ctx, &q, 2, (const int64_t[]){ 32, 24 }, &s),
                  LODE_ESHAPE);
    LODE_FREE(&a, &q, &s, &y);
}

static void small_access(void **state)
{
    (void)state;
    for (int t = 0; t < PLAIN_TYPES; t++) {
        lode_array v = { 0 }, m = { 0 };
        assert_ok(&ctx, lode_i_vector_new(&ctx, plain_types[t], 3, &v));
        assert_ok(&ctx, lode_i_matrix_new(&ctx, plain_types[t], 2, 3, &m));
        assert_ok(&ctx, lode_i_fill(&ctx, &v, 0));
        assert_ok(&ctx, lode_i_fill(&ctx, &m, 0));
        lode_i_set1(&v, 2, 1);
        lode_i_set2(&m, 1, 0, 1);
        for (int64_t j = 0; j < 3; j++) {
            assert_true(lode_i_get1(&v, j) == (j == 2));
            assert_true(lode_i_get2(&m, 1, j) == (j == 0) && lode_i_get2(&m, 0, j) == 0);
        }
        LODE_FREE(&v, &m);
    }
}

static void shapes_that_differ_are_refused(void **state)
{
    (void)state;
    lode_array a = { 0 }, b = { 0 }, none = { 0 };
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 2, 3, &a));
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_F32, 3, 2, &b));
    assert_status(&ctx, lode_array_copy_into(&ctx, &a, &b), LODE_ESHAPE);
    assert_says(&ctx, "2 x 3 and 3 x 2");
    assert_status(&ctx, lode_array_cast(&ctx, &none, LODE_F32, &b), LODE_EUSAGE);
    assert_status(&ctx, lode_array_cast(&ctx, &a, (lode_dtype)40, &b), LODE_ETYPE);
    b.strides[0] = 0;
    assert_ok(&ctx, lode_array_cast(&ctx, &b, LODE_F64, &a));
    assert_status(&ctx, lode_array_copy_into(&ctx, &a, &b), LODE_EUSAGE);
    LODE_FREE(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_65536_read_exactly),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(integers_saturate_and_round_to_even),
        cmocka_unit_test(wide_integers_round_once),
        cmocka_unit_test(every_pair_of_types_on_any_view),
        cmocka_unit_test(transposes_copy_by_tiles),
        cmocka_unit_test(a_bool_is_any_byte_but_0),
        cmocka_unit_test(packed_is_within_half_a_step),
        cmocka_unit_test(packed_extremes),
        cmocka_unit_test(packed_views_and_refusals),
        cmocka_unit_test(small_access),
        cmocka_unit_test(shapes_that_differ_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
