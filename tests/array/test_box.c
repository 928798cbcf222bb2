/* Slice and bin energies and picking, against loops over all entries. */
#include "fixture.h"

#include <complex.h>
#include <math.h>

#include "array/box.h"

static lode_ctx ctx;

static int setup(void **state)
{
    (void)state;
    ctx.threads = 2;
    return lode_ctx_init(&ctx, NULL) < 0;
}

static int teardown(void **state)
{
    (void)state;
    lode_ctx_free(&ctx);
    return 0;
}

static double complex get(const lode_array *a, int64_t i)
{
    switch (a->dtype) {
    case LODE_F32: return (double complex)((const float *)a->data)[i];
    case LODE_F64: return ((const double *)a->data)[i];
    case LODE_C64: return (double complex)((const float complex *)a->data)[i];
    default: return ((const double complex *)a->data)[i];
    }
}

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
static const int64_t shapes[][4] = {
    { 37, 0, 0, 0 }, { 5, 9, 0, 0 }, { 6, 40, 70, 0 }, { 3, 4, 5, 33 }, { 2, 0, 3, 0 }
};
static const int dims[] = { 1, 2, 3, 4, 3 };

static lode_array normal(lode_dtype t, int d, const int64_t *shape)
{
    lode_array flat = { 0 }, a = { 0 };
    int64_t size = 1;
    for (int k = 0; k < d; k++)
        size *= shape[k];
    assert_ok(&ctx, lode_i_randn(&ctx, lode_i_stream(&ctx, "box", 1), t, 1, size, &flat));
    assert_ok(&ctx, lode_array_reshape(&ctx, &flat, d, shape, &a));
    lode_array_free(&flat);
    return a;
}

/* Index i of mode k of flat position p. */
static int64_t digit(const lode_array *a, int64_t p, int k)
{
    for (int j = a->ndim - 1; j > k; j--)
        p /= a->shape[j];
    return p % a->shape[k];
}

/* A selection: every other index backwards, or a run, or all. */
static void selection(const lode_array *a, int how, int64_t *index[4], int64_t count[4],
                      int64_t store[4][80])
{
    for (int k = 0; k < a->ndim; k++) {
        const int64_t n = a->shape[k];
        index[k] = store[k];
        count[k] = how == 0 ? n / 2 : how == 1 ? n - n / 3 : n;
        for (int64_t i = 0; i < count[k]; i++)
            store[k][i] = how == 0 ? n - 1 - 2 * i : how == 1 ? n / 3 + i : i;
    }
}

static void slice_energies_are_sums_over_slices(void **state)
{
    (void)state;
    for (int s = 0; s < 5; s++)
        for (int t = 0; t < 4; t++)
            for (int how = 0; how < 4; how++) {
                lode_array a = normal(types[t], dims[s], shapes[s]);
                int64_t *index[4] = { 0 }, count[4] = { 0 }, store[4][80];
                double got[4][80], want[4][80] = { { 0 } };
                selection(&a, how, index, count, store);
                for (int64_t p = 0; p < lode_array_size(&a); p++) {
                    int64_t at[4];
                    bool in = true;
                    for (int k = 0; k < a.ndim; k++) {
                        at[k] = -1;
                        for (int64_t i = 0; i < count[k]; i++)
                            at[k] = store[k][i] == digit(&a, p, k) ? i : at[k];
                        in = in && at[k] >= 0;
                    }
                    for (int k = 0; in && k < a.ndim; k++)
                        want[k][at[k]] += pow(cabs(get(&a, p)), 2);
                }
                assert_ok(&ctx, lode_i_slice_energies(
                                    &ctx, &a, how < 3 ? (const int64_t *const *)index : NULL, count,
                                    (double *const[]){ got[0], got[1], got[2], got[3] }));
                for (int k = 0; k < a.ndim; k++)
                    for (int64_t i = 0; i < count[k]; i++)
                        assert_near(got[k][i], want[k][i], 1e-12 * (want[k][i] + 1));
                lode_array_free(&a);
            }
}

static void bin_energies_are_sums_over_boxes(void **state)
{
    (void)state;
    for (int s = 0; s < 5; s++)
        for (int t = 0; t < 4; t++)
            for (int how = 0; how < 3; how++) { /* short runs, long runs, mixed up */
                lode_array a = normal(types[t], dims[s], shapes[s]);
                int32_t store[4][80], *bin[4] = { store[0], store[1], store[2], store[3] };
                int64_t bins[4] = { 1, 1, 1, 1 };
                double got[10 * 10 * 10 * 10], want[10 * 10 * 10 * 10] = { 0 };
                int64_t total = 1;
                for (int k = 0; k < a.ndim; k++) {
                    bins[k] = how == 1 ? 3 : 7;
                    total *= bins[k];
                    for (int64_t i = 0; i < a.shape[k]; i++)
                        store[k][i] = (int32_t)(how == 0   ? i / 3 % 7
                                                : how == 1 ? lode_i_min(i / 9, 2)
                                                           : i * i * 5 % 7);
                }
                for (int64_t p = 0; p < lode_array_size(&a); p++) {
                    int64_t at = 0;
                    for (int k = 0; k < a.ndim; k++)
                        at = at * bins[k] + store[k][digit(&a, p, k)];
                    want[at] += pow(cabs(get(&a, p)), 2);
                }
                assert_ok(&ctx,
                          lode_i_bin_energies(&ctx, &a, (const int32_t *const *)bin, bins, got));
                for (int64_t i = 0; i < total; i++)
                    assert_near(got[i], want[i], 1e-12 * (want[i] + 1));
                lode_array_free(&a);
            }
}

static void picking_follows_the_indices_and_phases(void **state)
{
    (void)state;
    for (int s = 0; s < 5; s++)
        for (int t = 0; t < 4; t++)
            for (int how = 0; how < 6; how++) {
                lode_array a = normal(types[t], dims[s], shapes[s]), y = { 0 },
                           phase[4] = { { 0 } };
                const lode_array *phases[4];
                int64_t *index[4] = { 0 }, count[4] = { 0 }, store[4][80];
                selection(&a, how % 3, index, count, store);
                for (int k = 0; k < a.ndim; k++) {
                    lode_array flat = normal(types[t], 1, &count[k]);
                    lode_array_swap(&phase[k], &flat);
                    phases[k] = &phase[k];
                }
                const lode_dtype wide = lode_i_is_complex(types[t]) ? LODE_C128 : LODE_F64;
                assert_ok(&ctx,
                          lode_i_pick(&ctx, &a, (const int64_t *const *)index, count,
                                      how < 3 ? NULL : phases, how % 2 ? types[t] : wide, &y));
                for (int64_t p = 0; p < lode_array_size(&y); p++) {
                    int64_t from = 0;
                    double complex want = 1;
                    for (int k = 0; k < a.ndim; k++) {
                        from = from * a.shape[k] + store[k][digit(&y, p, k)];
                        want *= how < 3 ? 1 : get(&phase[k], digit(&y, p, k));
                    }
                    want *= get(&a, from);
                    assert_le(cabs(get(&y, p) - want),
                              20 * lode_i_epsilon(types[t]) * (cabs(want) + 1e-30));
                }
                for (int k = 0; k < 4; k++)
                    lode_array_free(&phase[k]);
                LODE_FREE(&a, &y);
            }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static const int64_t shape[] = { 40, 50, 60 };
    lode_array a = normal(LODE_F64, 3, shape);
    double first[150], again[150];
    for (int threads = 1; threads <= 3; threads++) {
        double *to = threads == 1 ? first : again;
        ctx.threads = threads;
        assert_ok(&ctx, lode_i_slice_energies(&ctx, &a, NULL, NULL,
                                              (double *const[]){ to, to + 40, to + 90 }));
        if (threads > 1)
            assert_memory_equal(first, again, sizeof first);
    }
    lode_array_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slice_energies_are_sums_over_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(bin_energies_are_sums_over_boxes, setup, teardown),
        cmocka_unit_test_setup_teardown(picking_follows_the_indices_and_phases, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_change_a_bit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
