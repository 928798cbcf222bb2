#include "array/oracle.h"
#include "counted.h"

static int64_t flat_of(int ndim, const int64_t *shape, const int64_t *index)
{
    int64_t flat = 0;
    for (int i = 0; i < ndim; i++)
        flat = flat * shape[i] + index[i];
    return flat;
}

/* The k-th index of a rectangle. */
static void nth(int ndim, const int64_t *count, int64_t k, int64_t *index)
{
    for (int i = ndim - 1; i >= 0; i--) {
        index[i] = k % count[i];
        k /= count[i];
    }
}

static void any_rectangle_of_any_view_as_any_type(void **state)
{
    (void)state;
    dice d = { 1 };
    for (int repeat = 0; repeat < 800; repeat++) {
        const lode_dtype t = plain_types[roll_below(&d, PLAIN_TYPES)],
                         u = plain_types[roll_below(&d, PLAIN_TYPES)];
        int64_t shape[LODE_MAX_NDIM], start[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM] = { 0 };
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 }, y = { 0 };
        lode_source s = { 0 };
        random_view(&ctx, &d, t, ndim, shape, 100, &a);
        assert_ok(&ctx, lode_i_source_from_array(&ctx, &a, &s));
        for (int i = 0; i < ndim; i++) {
            start[i] = roll_below(&d, shape[i] + 1);
            count[i] = roll_below(&d, shape[i] - start[i] + 1);
        }
        assert_ok(&ctx, lode_i_source_read(&ctx, &s, start, count, u, &y));
        assert_true(y.dtype == u && lode_array_is_contiguous(&y));
        for (int64_t k = 0; k < lode_array_size(&y); k++) {
            int64_t index[LODE_MAX_NDIM];
            nth(ndim, count, k, index);
            for (int i = 0; i < ndim; i++)
                index[i] += start[i];
            char bytes[16] = { 0 };
            oracle_store(u, oracle_value(&a, flat_of(ndim, shape, index)), bytes);
            assert_true(same_number(oracle_value(&y, k), oracle_load(u, bytes)));
        }
        if (ndim > 0) {
            count[0]++;
            if (start[0] + count[0] > shape[0]) {
                assert_status(&ctx, lode_i_source_read(&ctx, &s, start, count, u, &y), LODE_ESHAPE);
                count[0] = INT64_MAX;
                assert_status(&ctx, lode_i_source_read(&ctx, &s, start, count, u, &y), LODE_ESHAPE);
            }
        }
        LODE_FREE(&a, &y, &s);
    }
}

static void slices_of_sources_are_slices_of_arrays(void **state)
{
    (void)state;
    dice d = { 2 };
    for (int repeat = 0; repeat < 800; repeat++) {
        int64_t shape[LODE_MAX_NDIM], start[LODE_MAX_NDIM], stop[LODE_MAX_NDIM],
            step[LODE_MAX_NDIM];
        bool dropped[LODE_MAX_NDIM] = { false };
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 }, view = { 0 }, y = { 0 };
        lode_source s = { 0 }, part = { 0 };
        random_view(&ctx, &d, LODE_I32, ndim, shape, 1e9, &a);
        assert_ok(&ctx, lode_i_source_from_array(&ctx, &a, &s));
        view = lode_array_ref(&a);
        int64_t kept[LODE_MAX_NDIM];
        int left = 0;
        for (int i = 0; i < ndim; i++) {
            step[i] = (roll(&d) % 3 ? 1 : -1) * (1 + roll_below(&d, 3));
            const int64_t low = step[i] < 0 ? -1 : 0;
            start[i] = low + roll_below(&d, shape[i] + 1);
            stop[i] = low + roll_below(&d, shape[i] + 1);
            if (roll(&d) % 2 && shape[i] > 0) /* long ones */
                start[i] = step[i] < 0 ? shape[i] - 1 : 0, stop[i] = step[i] < 0 ? -1 : shape[i];
            assert_ok(&ctx, lode_array_slice(&ctx, &view, i, start[i], stop[i], step[i], &view));
            dropped[i] = view.shape[i] == 1 && roll(&d) % 2;
            if (!dropped[i])
                kept[left++] = view.shape[i];
        }
        assert_ok(&ctx, lode_i_source_slice(&ctx, &s, ndim, start, stop, step, dropped, &part));
        assert_int_equal(part.ndim, left);
        for (int i = 0; i < left; i++)
            assert_int_equal(part.shape[i], kept[i]);
        assert_ok(&ctx, lode_i_source_load(&ctx, &part, &y));
        for (int64_t k = 0; k < lode_array_size(&view); k++)
            assert_true(same_number(oracle_value(&y, k), oracle_value(&view, k)));
        if (left > 0 && kept[0] > 1) {
            const int64_t half = kept[0] / 2, row = lode_array_size(&y) / kept[0];
            assert_ok(&ctx, lode_i_source_rows(&ctx, &part, half, kept[0], LODE_F64, &y));
            for (int64_t k = 0; k < lode_array_size(&y); k++)
                assert_true(same_number(oracle_value(&y, k), oracle_value(&view, half * row + k)));
        }
        LODE_FREE(&part, &s, &a, &view, &y);
    }
}

static void misuse_is_refused(void **state)
{
    (void)state;
    lode_array a = { 0 }, y = { 0 };
    lode_source s = { 0 }, part = { 0 };
    bool owned = false;
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F32, 2, (const int64_t[]){ 4, 5 }, &a));
    assert_ok(&ctx, lode_i_source_from_array(&ctx, &a, &s));
    const int64_t zero[] = { 0, 0 }, whole[] = { 4, 5 }, one[] = { 1, 1 }, six[] = { 4, 6 };
    const bool drop[] = { true, false };
    assert_status(&ctx, lode_i_source_slice(&ctx, &s, 1, zero, whole, one, NULL, &part),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_i_source_slice(&ctx, &s, 2, zero, six, one, NULL, &part), LODE_ESHAPE);
    assert_status(&ctx, lode_i_source_slice(&ctx, &s, 2, zero, whole, zero, NULL, &part),
                  LODE_EPARAM);
    assert_status(&ctx, lode_i_source_slice(&ctx, &s, 2, zero, whole, one, drop, &part),
                  LODE_ESHAPE);
    assert_says(&ctx, "axis 0 cannot be dropped");
    assert_status(&ctx, lode_i_source_rows(&ctx, &s, 2, 5, LODE_F32, &y), LODE_ESHAPE);
    assert_status(&ctx, lode_i_source_rows(&ctx, &s, 3, 2, LODE_F32, &y), LODE_ESHAPE);
    assert_status(&ctx, lode_i_as_source(&ctx, lode_from_text("x"), &part, &owned), LODE_ETYPE);
    assert_says(&ctx, "text");
    assert_status(&ctx, lode_i_as_array(&ctx, lode_none(), LODE_F32, &y), LODE_ETYPE);
    LODE_FREE(&s, &part, &y, &a);
    lode_source_close(NULL);
}

static void values_become_sources_and_arrays(void **state)
{
    (void)state;
    dice d = { 3 };
    lode_array a = { 0 }, y = { 0 };
    lode_source s = { 0 }, same = { 0 };
    bool owned = false;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 2, (const int64_t[]){ 4, 5 }, &a));
    random_values(&d, &a, 1);
    assert_ok(&ctx, lode_i_as_source(&ctx, lode_from_array(&a), &s, &owned));
    assert_true(owned);
    assert_ok(&ctx, lode_i_as_source(&ctx, lode_from_source(&s), &same, &owned));
    assert_false(owned);
    assert_ok(&ctx, lode_i_as_array(&ctx, lode_from_array(&a), LODE_F32, &y));
    assert_ptr_equal(y.data, a.data);
    assert_ok(&ctx, lode_i_as_array(&ctx, lode_from_array(&a), LODE_F64, &y));
    for (int64_t i = 0; i < 20; i++)
        assert_true(same_number(oracle_value(&y, i), oracle_value(&a, i)));
    assert_ok(&ctx, lode_i_as_array(&ctx, lode_from_source(&same), LODE_C128, &y));
    for (int64_t i = 0; i < 20; i++)
        assert_true(same_number(oracle_value(&y, i), oracle_value(&a, i)));
    LODE_FREE(&a, &s, &y);
}

static void slabs_fit_and_keep_chunks(void **state)
{
    (void)state;
    lode_source s = { .dtype = LODE_F64, .ndim = 2, .shape = { 100, 10 } };
    assert_int_equal(lode_i_source_slab(&s, 0), 1);
    assert_int_equal(lode_i_source_slab(&s, 80 * 7 + 79), 7);
    assert_int_equal(lode_i_source_slab(&s, 80 * 100), 100);
    assert_int_equal(lode_i_source_slab(&s, UINT64_MAX), 100);
    s.chunk[0] = 4;
    assert_int_equal(lode_i_source_slab(&s, 80 * 7), 4);
    assert_int_equal(lode_i_source_slab(&s, 80 * 3), 3);
    assert_int_equal(lode_i_source_slab(&s, 80 * 99), 96);
    s.chunk[0] = 3;
    assert_int_equal(lode_i_source_slab(&s, 80 * 100), 100); /* the last chunk is short */
    assert_int_equal(lode_i_source_slab(&s, 80 * 99), 99);
    s.shape[0] = 2;
    assert_int_equal(lode_i_source_slab(&s, 80 * 2), 2);
    s.shape[0] = 100, s.shape[1] = 0;
    assert_int_equal(lode_i_source_slab(&s, 0), 100);
    s.shape[1] = INT64_MAX;
    assert_int_equal(lode_i_source_slab(&s, UINT64_MAX), 1);
    s.shape[0] = 0;
    assert_int_equal(lode_i_source_slab(&s, 10), 1);
    s.ndim = 0;
    assert_int_equal(lode_i_source_slab(&s, 10), 1);
    s = (lode_source){ .dtype = LODE_Q8, .ndim = 1, .shape = { 3200 } };
    assert_int_equal(lode_i_source_slab(&s, 34 * 5 + 3), 160);
}

/* A source far larger than the budget: each value is its flat position. */
static int64_t largest;

static lode_status read_positions(lode_ctx *c, const lode_source *s, const int64_t *start,
                                  const int64_t *count, void *dst)
{
    (void)c;
    int64_t index[LODE_MAX_NDIM], n = 1;
    for (int i = 0; i < s->ndim; i++)
        n *= count[i];
    largest = lode_i_max(largest, n);
    for (int64_t k = 0; k < n; k++) {
        nth(s->ndim, count, k, index);
        for (int i = 0; i < s->ndim; i++)
            index[i] += start[i];
        ((double *)dst)[k] = (double)flat_of(s->ndim, s->shape, index);
    }
    return LODE_OK;
}

static void the_budget_is_kept(void **state)
{
    (void)state;
    lode_source s = {
        .dtype = LODE_F64, .ndim = 2, .shape = { INT64_C(1) << 30, 1 << 10 }, .read = read_positions
    };
    lode_array y = { 0 };
    lode_ctx_set_memory(&ctx, 1 << 24);
    assert_status(&ctx, lode_i_source_load(&ctx, &s, &y), LODE_EBUDGET);
    assert_says(&ctx, "8796093022208 bytes");
    assert_says(&ctx, "--memory");
    assert_status(&ctx, lode_i_as_array(&ctx, lode_from_source(&s), LODE_F32, &y), LODE_EBUDGET);
    assert_ok(&ctx, lode_i_source_rows(&ctx, &s, 1 << 29, (1 << 29) + 2, LODE_F64, &y));
    assert_true(lode_i_get2(&y, 1, 5) == 0x1p39 + 1024 + 5);
    /* A conversion goes by pieces: the stored form of 2^21 values (16 MiB) never exists whole. */
    lode_source t = {
        .dtype = LODE_F64, .ndim = 2, .shape = { 1 << 11, 1 << 10 }, .read = read_positions
    };
    largest = 0;
    lode_array_free(&y);
    lode_ctx_set_memory(&ctx, 18 << 20);
    assert_ok(&ctx, lode_i_as_array(&ctx, lode_from_source(&t), LODE_F32, &y));
    assert_true(largest <= 1 << 20);
    assert_true(lode_i_get2(&y, 2047, 1023) == (double)(float)((1 << 21) - 1));
    lode_array_free(&y);
    s.shape[0] = s.shape[1] = INT64_MAX;
    assert_true(lode_i_source_load(&ctx, &s, &y) < 0);
    lode_ctx_set_memory(&ctx, UINT64_C(1) << 33);
}

/* Only one wanted row at a time is in memory when rows are far apart. */
static void a_long_step_takes_little_room(void **state)
{
    (void)state;
    lode_source s = { .dtype = LODE_F64,
                      .ndim = 2,
                      .shape = { 100000, 100 },
                      .read = read_positions },
                part = { 0 };
    lode_array y = { 0 };
    largest = 0;
    assert_ok(&ctx, lode_i_source_slice(&ctx, &s, 2, (const int64_t[]){ 5, 0 },
                                        (const int64_t[]){ 100000, 100 },
                                        (const int64_t[]){ 1000, 1 }, NULL, &part));
    assert_ok(&ctx, lode_i_source_load(&ctx, &part, &y));
    assert_int_equal(y.shape[0], 100);
    assert_true(lode_i_get2(&y, 99, 7) == (99000 + 5) * 100 + 7);
    assert_true(largest <= 100);
    LODE_FREE(&y, &part);
}

static lode_status read_badly(lode_ctx *c, const lode_source *s, const int64_t *start,
                              const int64_t *count, void *dst)
{
    (void)s, (void)start, (void)count, (void)dst;
    return lode_i_fail(c, LODE_EIO, "the disk is gone");
}

static void failures_are_forwarded(void **state)
{
    (void)state;
    const lode_source s = { .dtype = LODE_F64, .ndim = 2, .shape = { 10, 10 }, .read = read_badly };
    lode_array y = { 0 };
    lode_source part = { 0 };
    assert_status(&ctx, lode_i_source_load(&ctx, &s, &y), LODE_EIO);
    assert_says(&ctx, "the disk is gone");
    assert_status(&ctx, lode_i_source_rows(&ctx, &s, 1, 3, LODE_F32, &y), LODE_EIO);
    assert_ok(&ctx, lode_i_source_slice(&ctx, &s, 2, (const int64_t[]){ 0, 0 },
                                        (const int64_t[]){ 10, 10 }, (const int64_t[]){ 2, 2 },
                                        NULL, &part));
    assert_status(&ctx, lode_i_source_load(&ctx, &part, &y), LODE_EIO);
    assert_null(y.data);
    lode_source_close(&part);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator hooks = heap_of(&h);
    lode_ctx c;
    assert_int_equal(lode_ctx_init(&c, &hooks), LODE_OK);
    c.threads = 1;
    lode_array a = { 0 }, y = { 0 };
    lode_source s = { 0 }, part = { 0 };
    assert_ok(&c, lode_array_zeros(&c, LODE_F32, 2, (const int64_t[]){ 4, 5 }, &a));
    assert_ok(&c, lode_i_source_from_array(&c, &a, &s));
    const int64_t start[] = { 0, 0 }, stop[] = { 4, 5 }, step[] = { 2, 2 };
    const int64_t live = h.live;
    for (int call = 0; call < 4; call++)
        for (int64_t n = 1;; n++) {
            lode_source fresh = { 0 };
            heap_fail(&h, n);
            lode_status st = LODE_OK;
            switch (call) {
            case 0: st = lode_i_source_from_array(&c, &a, &fresh); break;
            case 1: st = lode_i_source_read(&c, &s, start, stop, LODE_F64, &y); break;
            case 2: st = lode_i_source_slice(&c, &s, 2, start, stop, step, NULL, &fresh); break;
            default:
                st = lode_i_source_slice(&c, &s, 2, start, stop, step, NULL, &part);
                if (st == LODE_OK)
                    st = lode_i_source_load(&c, &part, &y);
            }
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            assert_int_equal(st, failed ? LODE_ENOMEM : LODE_OK);
            LODE_FREE(&fresh, &part);
            if (failed)
                assert_null(y.data);
            lode_array_free(&y);
            assert_int_equal(h.live, live);
            if (!failed)
                break;
        }
    LODE_FREE(&a, &s);
    lode_ctx_free(&c);
    assert_int_equal(h.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rectangle_of_any_view_as_any_type),
        cmocka_unit_test(slices_of_sources_are_slices_of_arrays),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(values_become_sources_and_arrays),
        cmocka_unit_test(slabs_fit_and_keep_chunks),
        cmocka_unit_test(the_budget_is_kept),
        cmocka_unit_test(a_long_step_takes_little_room),
        cmocka_unit_test(failures_are_forwarded),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
