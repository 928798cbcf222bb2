/* Arithmetic of trains, their forms, expansion, projection and stacking, against naive loops over all
 * entries. */
#include "linop/trains.h"

#include "linop/tt_run.h"

#include "counted.h"

static const lode_dtype types[] = { LODE_F32, LODE_F64, LODE_C64, LODE_C128 };
static const int64_t n4[] = { 4, 3, 5, 2 }, ra[] = { 2, 4, 2 }, rb[] = { 3, 2, 1 };

static double size_of(const entry *x, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, cabs(x[i]));
    return most;
}

static void sums_and_products_are_those_of_the_entries(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int d = 1; d <= 4; d++) {
            lode_array a[4] = { { 0 } }, b[4] = { { 0 } }, c[4] = { { 0 } };
            int64_t count = 1;
            for (int k = 0; k < d; k++)
                count *= n4[k];
            train_normal(&ctx, types[t], d, n4, ra, 1, a);
            train_normal(&ctx, types[t], d, n4, rb, 2, b);
            entry *x = train_naive(d, a), *y = train_naive(d, b), *z;
            const double eps = 50 * lode_i_epsilon(types[t]),
                         most = size_of(x, count) * size_of(y, count) + size_of(x, count) +
                                size_of(y, count);
            entry dot = 0;
            double norm = 0, re, im, found;
            for (int64_t i = 0; i < count; i++)
                dot += x[i] * conj(y[i]), norm += pow(cabs(x[i]), 2);
            assert_ok(&ctx, lode_i_tt_add(&ctx, d, a, b, c));
            z = train_naive(d, c);
            for (int64_t i = 0; i < count; i++)
                assert_le(cabs(z[i] - x[i] - y[i]), eps * most);
            free(z);
            assert_ok(&ctx, lode_i_tt_hadamard(&ctx, d, a, b, c));
            assert_int_equal(c[d - 1].shape[0], d > 1 ? ra[d - 2] * rb[d - 2] : 1);
            z = train_naive(d, c);
            for (int64_t i = 0; i < count; i++)
                assert_le(cabs(z[i] - x[i] * y[i]), eps * most);
            free(z);
            assert_ok(&ctx, lode_i_tt_scale(&ctx, d, a, -2.5, c));
            z = train_naive(d, c);
            for (int64_t i = 0; i < count; i++)
                assert_le(cabs(z[i] + 2.5 * x[i]), eps * most);
            free(z);
            assert_ok(&ctx, lode_i_tt_dot(&ctx, d, a, b, &re, &im));
            assert_le(cabs(dot - re - I * im), 1e-12 * (double)count * most);
            assert_ok(&ctx, lode_i_tt_norm(&ctx, d, a, &found));
            assert_near(found, sqrt(norm), 1e-12 * sqrt(norm));
            free(x), free(y);
            train_free(d, a), train_free(d, b), train_free(d, c);
        }
}

static void unlike_trains_are_refused(void **state)
{
    (void)state;
    lode_array a[4] = { { 0 } }, b[4] = { { 0 } };
    static const int64_t other[] = { 4, 3, 6, 2 };
    double re, im;
    train_normal(&ctx, LODE_F64, 4, n4, ra, 1, a);
    train_normal(&ctx, LODE_F64, 4, other, rb, 2, b);
    assert_status(&ctx, lode_i_tt_add(&ctx, 4, a, b, a), LODE_ESHAPE);
    assert_says(&ctx, "mode 2");
    assert_status(&ctx, lode_i_tt_hadamard(&ctx, 4, a, b, a), LODE_ESHAPE);
    assert_status(&ctx, lode_i_tt_dot(&ctx, 4, a, b, &re, &im), LODE_ESHAPE);
    train_free(4, a), train_free(4, b);
}

/* Boxes with gaps, single entries, empty ones. */
static void parts_are_those_of_the_whole(void **state)
{
    (void)state;
    static const int64_t starts[][4] = { { 0, 0, 0, 0 }, { 1, 0, 2, 1 }, { 3, 2, 4, 0 } },
                         counts[][4] = { { 4, 3, 5, 2 }, { 2, 2, 2, 1 }, { 1, 1, 1, 1 } },
                         steps[][4] = { { 1, 1, 1, 1 }, { 2, 2, 2, 1 }, { 1, 1, 1, 1 } };
    lode_array a[4] = { { 0 } }, y = { 0 };
    train_normal(&ctx, LODE_C128, 4, n4, ra, 3, a);
    entry *x = train_naive(4, a);
    for (int t = 0; t < 3; t++) {
        assert_ok(&ctx, lode_i_tt_expand(&ctx, 4, a, starts[t], counts[t], steps[t], &y));
        for (int64_t i = 0; i < lode_array_size(&y); i++) {
            int64_t at = 0, rest = i, index[4];
            for (int k = 3; k >= 0; k--)
                index[k] = starts[t][k] + rest % counts[t][k] * steps[t][k], rest /= counts[t][k];
            for (int k = 0; k < 4; k++)
                at = at * n4[k] + index[k];
            assert_le(cabs(tensor_get(&y, i) - x[at]), 1e-13 * size_of(x, 120));
        }
    }
    assert_ok(&ctx, lode_i_tt_expand(&ctx, 4, a, NULL, (const int64_t[]){ 4, 0, 5, 2 }, NULL, &y));
    assert_int_equal(y.shape[1], 0);
    free(x);
    train_free(4, a);
    LODE_FREE(&y);
}

static void forms_keep_the_tensor(void **state)
{
    (void)state;
    static const int64_t wide[] = { 9, 4, 3 }; /* more than bonds can have */
    for (int t = 0; t < 4; t++)
        for (int last = 0; last < 2; last++) {
            lode_array a[4] = { { 0 } };
            train_normal(&ctx, types[t], 4, n4, wide, 5, a);
            lode_array x = train_tensor(&ctx, 4, a);
            assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, 4, a, last));
            for (int k = 0; k < 4; k++)
                if (k != (last ? 3 : 0))
                    assert_le(core_off(&a[k], last), 50 * lode_i_epsilon(types[t]));
            assert_le(train_error(&x, 4, a), 100 * lode_i_epsilon(types[t]) * tensor_norm(&x));
            assert_true(a[0].shape[2] <= 4 || !last);
            assert_true(a[3].shape[0] <= 2 || last);
            lode_array_free(&x);
            train_free(4, a);
        }
}

static void spectra_are_those_of_the_unfoldings(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array a[4] = { { 0 } }, v[3] = { { 0 } };
        train_normal(&ctx, types[t], 4, n4, ra, 6, a);
        lode_array x = train_tensor(&ctx, 4, a);
        assert_ok(&ctx, lode_i_tt_spectra(&ctx, 4, a, v));
        for (int k = 1; k < 4; k++) {
            lode_array s = bond_values(&ctx, &x, k);
            for (int64_t i = 0; i < v[k - 1].shape[0]; i++)
                assert_near(lode_i_get1(&v[k - 1], i), lode_i_get1(&s, i),
                            20 * lode_i_epsilon(types[t]) * tensor_norm(&x));
            lode_array_free(&s);
        }
        lode_array_free(&x);
        train_free(4, a), train_free(3, v);
    }
}

/* The sum of a train and itself needs no more ranks than itself; an error given is met and told. */
static void rounding_meets_its_error(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++) {
        lode_array a[4] = { { 0 } }, b[4] = { { 0 } }, c[4] = { { 0 } };
        lode_ttsvd_info info;
        const double eps = lode_i_epsilon(types[t]);
        train_normal(&ctx, types[t], 4, n4, ra, 7, a);
        train_normal(&ctx, types[t], 4, n4, rb, 8, b);
        lode_array x = train_tensor(&ctx, 4, a);
        assert_ok(&ctx, lode_i_tt_add(&ctx, 4, a, a, c));
        assert_ok(&ctx,
                  lode_i_tt_round(&ctx, 4, c,
                                  &(lode_ttsvd_opts){ .error = 4 * eps, .unit = LODE_UNIT_NORM }, c,
                                  &info));
        for (int k = 0; k < 3; k++)
            assert_int_equal(c[k].shape[2], ra[k]);
        assert_ok(&ctx, lode_i_tt_scale(&ctx, 4, c, 0.5, c));
        assert_le(train_error(&x, 4, c), 100 * eps * tensor_norm(&x));
        lode_array_free(&x);
        assert_ok(&ctx, lode_i_tt_add(&ctx, 4, a, b, c));
        x = train_tensor(&ctx, 4, c);
        const double norm = tensor_norm(&x);
        double values = train_values(4, c);
        for (double e = 0.05; e < 1; e *= 3) {
            lode_array y[4] = { { 0 } };
            assert_ok(&ctx,
                      lode_i_tt_round(&ctx, 4, c, &(lode_ttsvd_opts){ .error = e }, y, &info));
            const double error = train_error(&x, 4, y);
            assert_le(error, e * norm * (1 + 1e-6));
            assert_near(error, info.error, 100 * eps * norm);
            assert_near(info.norm, norm, 100 * eps * norm);
            assert_true(train_values(4, y) <= values);
            values = train_values(4, y);
            train_free(4, y);
        }
        assert_ok(&ctx, lode_i_tt_round(&ctx, 4, c, &(lode_ttsvd_opts){ .ranks = 1, .rank = { 2 } },
                                        c, &info));
        for (int k = 0; k < 3; k++)
            assert_true(c[k].shape[2] <= 2);
        assert_near(train_error(&x, 4, c), info.error, 100 * eps * norm);
        lode_array_free(&x);
        train_free(4, a), train_free(4, b), train_free(4, c);
    }
}

/* <X, rows of cores 1 ..> by loops over all entries; rows of another number of mode 0 too. */
static void coefficients_are_inner_products(void **state)
{
    (void)state;
    for (int t = 0; t < 4; t++)
        for (int d = 1; d <= 3; d++) {
            lode_array a[3] = { { 0 } }, z = { 0 };
            double norm;
            const int64_t shape[] = { 7, 3, 5 };
            train_normal(&ctx, types[t], d, n4, ra, 9, a);
            assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, d, a, false));
            lode_array x = tensor_normal(&ctx, types[t], d, shape, 10);
            assert_ok(&ctx, lode_i_tt_project(&ctx, lode_from_array(&x), d, a, "X", &z, &norm));
            assert_near(norm, tensor_norm(&x), 1e-10 * norm);
            assert_int_equal(z.shape[1], 7);
            const int64_t rest = lode_array_size(&x) / 7, r = z.shape[2];
            for (int64_t c = 0; c < r; c++) {
                /* the c-th row: the train with a unit vector for core 0 */
                lode_array unit[3] = { { 0 } };
                const int64_t one[] = { 1, 1, r };
                assert_ok(&ctx, lode_array_zeros(&ctx, types[t], 3, one, &unit[0]));
                tensor_set(&unit[0], c, 1);
                for (int k = 1; k < d; k++)
                    unit[k] = lode_array_ref(&a[k]);
                entry *row = train_naive(d, unit);
                for (int64_t i = 0; i < 7; i++) {
                    entry sum = 0;
                    for (int64_t j = 0; j < rest; j++)
                        sum += tensor_get(&x, i * rest + j) * conj(row[j]);
                    assert_le(cabs(sum - tensor_get(&z, i * r + c)),
                              20 * lode_i_epsilon(types[t]) * norm);
                }
                free(row);
                train_free(d, unit);
            }
            LODE_FREE(&x, &z);
            train_free(d, a);
        }
}

static void stacks_hold_both_parts(void **state)
{
    (void)state;
    static const int64_t nb[] = { 6, 3, 5, 2 };
    for (int t = 0; t < 4; t++)
        for (int d = 1; d <= 4; d++) {
            lode_array a[4] = { { 0 } }, b[4] = { { 0 } }, c[4] = { { 0 } }, part = { 0 };
            const double eps = lode_i_epsilon(types[t]);
            double dropped;
            train_normal(&ctx, types[t], d, n4, ra, 11, a);
            train_normal(&ctx, types[t], d, nb, rb, 12, b);
            assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, d, a, false));
            assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, d, b, false));
            lode_array x = train_tensor(&ctx, d, a), y = train_tensor(&ctx, d, b);
            for (double drop = 0; drop < 1; drop += 0.3) {
                const double budget = pow(drop * tensor_norm(&y), 2);
                assert_ok(&ctx, lode_i_tt_stack(&ctx, d, a, b, budget, c, &dropped));
                assert_int_equal(c[0].shape[1], 10);
                assert_le(dropped, budget + 1e-20);
                for (int k = 1; k < d; k++)
                    assert_le(core_off(&c[k], false), 100 * eps);
                lode_array z = train_tensor(&ctx, d, c);
                const int64_t rest = lode_array_size(&z) / 10;
                double off_a = 0, off_b = 0;
                for (int64_t i = 0; i < 4 * rest; i++)
                    off_a += pow(cabs(tensor_get(&z, i) - tensor_get(&x, i)), 2);
                for (int64_t i = 0; i < 6 * rest; i++)
                    off_b += pow(cabs(tensor_get(&z, 4 * rest + i) - tensor_get(&y, i)), 2);
                assert_le(sqrt(off_a), 100 * eps * tensor_norm(&x));
                assert_near(sqrt(off_b), sqrt(dropped), 100 * eps * tensor_norm(&y));
                lode_array_free(&z);
            }
            /* of itself: no direction is new */
            assert_ok(&ctx, lode_i_tt_stack(&ctx, d, a, a, pow(1e3 * eps * tensor_norm(&x), 2), c,
                                            &dropped));
            for (int k = 0; k < d - 1; k++)
                assert_int_equal(c[k].shape[2], a[k].shape[2]);
            LODE_FREE(&x, &y, &part);
            train_free(d, a), train_free(d, b), train_free(d, c);
        }
}

static void failed_allocations_leave_outputs_alone(void **state)
{
    (void)state;
    lode_array a[4] = { { 0 } }, b[4] = { { 0 } }, c[4] = { { 0 } }, z = { 0 };
    train_normal(&ctx, LODE_F64, 4, n4, ra, 13, a);
    train_normal(&ctx, LODE_F64, 4, n4, rb, 14, b);
    assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, 4, a, false));
    assert_ok(&ctx, lode_i_tt_orthogonal(&ctx, 4, b, false));
    ctx.threads = 1;
    for (int what = 0; what < 6; what++)
        for (int64_t n = 1;; n++) {
            double re = 0, im = 0;
            heap_fail(&memory, n);
            const lode_status st = what == 0   ? lode_i_tt_add(&ctx, 4, a, b, c)
                                   : what == 1 ? lode_i_tt_hadamard(&ctx, 4, a, b, c)
                                   : what == 2 ? lode_i_tt_dot(&ctx, 4, a, b, &re, &im)
                                   : what == 3 ? lode_i_tt_round(&ctx, 4, a,
                                                                 &(lode_ttsvd_opts){ .error = 0.3 },
                                                                 c, NULL)
                                   : what == 4 ? lode_i_tt_stack(&ctx, 4, a, b, 0, c, &re)
                                               : lode_i_tt_expand(&ctx, 4, a, NULL, NULL, NULL, &z);
            const bool failed = heap_failed(&memory);
            heap_fail(&memory, 0);
            assert_true(st == LODE_OK || (st == LODE_ENOMEM && !c[0].data && !z.data));
            train_free(4, c);
            lode_array_free(&z);
            if (!failed)
                break;
        }
    ctx.threads = 2;
    train_free(4, a), train_free(4, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_and_products_are_those_of_the_entries, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(unlike_trains_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_are_those_of_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(forms_keep_the_tensor, setup, teardown),
        cmocka_unit_test_setup_teardown(spectra_are_those_of_the_unfoldings, setup, teardown),
        cmocka_unit_test_setup_teardown(rounding_meets_its_error, setup, teardown),
        cmocka_unit_test_setup_teardown(coefficients_are_inner_products, setup, teardown),
        cmocka_unit_test_setup_teardown(stacks_hold_both_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_leave_outputs_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
