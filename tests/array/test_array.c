#include "array/oracle.h"
#include "counted.h"

/* An i64 array whose values are their own flat positions. */
static lode_array counted(int ndim, const int64_t *shape)
{
    lode_array a = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_I64, ndim, shape, &a));
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        ((int64_t *)a.data)[i] = i;
    return a;
}

static void new_arrays_are_contiguous_and_aligned(void **state)
{
    (void)state;
    lode_array a = { 0 };
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_C128, 3, (const int64_t[]){ 2, 3, 4 }, &a));
    assert_int_equal((uintptr_t)a.data % 64, 0);
    assert_int_equal(lode_array_size(&a), 24);
    assert_int_equal(lode_array_bytes(&a), 24 * 16);
    assert_int_equal(a.strides[0], 12);
    assert_int_equal(a.strides[2], 1);
    assert_true(lode_array_is_contiguous(&a));
    for (int i = 0; i < 48; i++)
        assert_true(((double *)a.data)[i] == 0);
    lode_array_free(&a);
    assert_null(a.data);
    lode_array_free(&a);
    lode_array_free(NULL);
    assert_int_equal(lode_array_size(&a), 0);
}

static void empty_arrays_are_not_nothing(void **state)
{
    (void)state;
    lode_array a = { 0 }, s = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 2, (const int64_t[]){ 5, 0 }, &a));
    assert_non_null(a.data);
    assert_int_equal(lode_array_size(&a), 0);
    assert_true(lode_array_is_contiguous(&a));
    assert_ok(&ctx, lode_array_slice(&ctx, &a, 0, 1, 4, 2, &s));
    assert_int_equal(s.shape[0], 2);
    assert_ok(&ctx, lode_array_slice(&ctx, &a, 1, 0, 0, 1, &s));
    assert_ok(&ctx, lode_array_reshape(&ctx, &a, 3, (const int64_t[]){ 0, 7, 9 }, &s));
    assert_int_equal(s.shape[2], 9);
    LODE_FREE(&a, &s);
    assert_ok(&ctx, lode_array_zeros(&ctx, LODE_F64, 0, NULL, &a)); /* 0-d: one value */
    assert_int_equal(lode_array_size(&a), 1);
    assert_true(lode_array_get(&a, NULL) == 0);
    assert_ok(&ctx, lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ 1, 1 }, &s));
    LODE_FREE(&a, &s);
}

static void shapes_that_overflow_are_named(void **state)
{
    (void)state;
    lode_array a = { 0 };
    const int64_t big = INT64_C(1) << 32;
    assert_status(&ctx, lode_array_new(&ctx, LODE_F32, 2, (const int64_t[]){ big, big }, &a),
                  LODE_ESHAPE);
    assert_says(&ctx, "4294967296 x 4294967296");
    assert_status(&ctx,
                  lode_array_new(&ctx, LODE_F64, 1, (const int64_t[]){ INT64_MAX / 8 + 1 }, &a),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_array_new(&ctx, LODE_U8, 1, (const int64_t[]){ INT64_MAX }, &a),
                  LODE_ESHAPE);
    /* An empty array's strides must not overflow either. */
    assert_status(
        &ctx, lode_array_new(&ctx, LODE_U8, 3, (const int64_t[]){ 0, INT64_MAX, INT64_MAX }, &a),
        LODE_ESHAPE);
    assert_status(&ctx, lode_array_new(&ctx, LODE_U8, 2, (const int64_t[]){ 3, -1 }, &a),
                  LODE_ESHAPE);
    assert_says(&ctx, "3 x -1");
    assert_status(&ctx, lode_array_new(&ctx, LODE_U8, 33, (const int64_t[33]){ 0 }, &a),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_array_new(&ctx, LODE_U8, -1, NULL, &a), LODE_ESHAPE);
    assert_status(&ctx, lode_array_new(&ctx, (lode_dtype)-1, 0, NULL, &a), LODE_ETYPE);
    assert_status(&ctx, lode_array_new(&ctx, LODE_DTYPE_COUNT, 0, NULL, &a), LODE_ETYPE);
    assert_null(a.data);
    lode_ctx_set_memory(&ctx, 1 << 20);
    assert_status(&ctx, lode_array_new(&ctx, LODE_U8, 1, (const int64_t[]){ 1 << 20 }, &a),
                  LODE_EBUDGET);
    lode_ctx_set_memory(&ctx, UINT64_C(1) << 33);
    int64_t ones[32];
    for (int i = 0; i < 32; i++)
        ones[i] = i == 30 ? 5 : 1;
    assert_ok(&ctx, lode_array_new(&ctx, LODE_U8, 32, ones, &a));
    assert_int_equal(lode_array_size(&a), 5);
    lode_array_free(&a);
}

static _Atomic int released;

static void release(void *data)
{
    atomic_fetch_add(&released, 1);
    free(data);
}

static void owners_live_as_long_as_views(void **state)
{
    (void)state;
    double *raw = malloc(6 * sizeof *raw);
    for (int i = 0; i < 6; i++)
        raw[i] = i;
    lode_array view = lode_array_wrap(raw, LODE_F64, 2, (const int64_t[]){ 2, 3 }), a = { 0 },
               s = { 0 };
    assert_status(&ctx, lode_array_adopt(&ctx, &view, NULL, raw, &a), LODE_EUSAGE);
    assert_ok(&ctx, lode_array_adopt(&ctx, &view, release, raw, &a));
    lode_array r = lode_array_ref(&a);
    assert_ok(&ctx, lode_array_slice(&ctx, &a, 1, 1, 3, 1, &s));
    lode_array rows = lode_i_rows(&a, 1, 2), cols = lode_i_cols(&a, 2, 3);
    lode_array_free(&a);
    lode_array_free(&r);
    assert_true(lode_array_get(&s, (const int64_t[]){ 1, 0 }) == 4);
    lode_array_free(&s);
    assert_true(lode_array_get(&rows, (const int64_t[]){ 0, 2 }) == 5);
    lode_array_free(&rows);
    assert_int_equal(released, 0);
    assert_true(lode_array_get(&cols, (const int64_t[]){ 0, 0 }) == 2);
    lode_array_free(&cols);
    assert_int_equal(released, 1);
    lode_array none = lode_array_wrap(NULL, LODE_F64, 1, (const int64_t[]){ 3 });
    assert_null(none.data);
}

static void slices_follow_the_index(void **state)
{
    (void)state;
    dice d = { 2 };
    for (int repeat = 0; repeat < 1000; repeat++) {
        int64_t shape[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        if (ndim == 0)
            continue;
        lode_array a = counted(ndim, shape), s = { 0 };
        const int axis = (int)roll_below(&d, ndim);
        const int64_t n = shape[axis], step = (roll(&d) % 2 ? 1 : -1) * (1 + roll_below(&d, 4));
        const int64_t low = step < 0 ? -1 : 0, start = low + roll_below(&d, n + 1),
                      stop = low + roll_below(&d, n + 1);
        assert_ok(&ctx, lode_array_slice(&ctx, &a, axis, start, stop, step, &s));
        int64_t count = 0, block = 1;
        for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
            count++;
        assert_int_equal(s.shape[axis], count);
        for (int i = axis + 1; i < ndim; i++)
            block *= shape[i];
        for (int64_t flat = 0; flat < lode_array_size(&s); flat++) {
            const int64_t inner = flat % block, i = flat / block % count,
                          outer = flat / block / count;
            assert_true((int64_t)oracle_value(&s, flat).re ==
                        (outer * n + start + i * step) * block + inner);
        }
        LODE_FREE(&a, &s);
    }
    lode_array a = counted(1, (const int64_t[]){ 5 });
    assert_status(&ctx, lode_array_slice(&ctx, &a, 0, 0, 6, 1, &a), LODE_ESHAPE);
    assert_says(&ctx, "0:6:1");
    assert_status(&ctx, lode_array_slice(&ctx, &a, 0, -1, 3, 1, &a), LODE_ESHAPE);
    assert_status(&ctx, lode_array_slice(&ctx, &a, 0, 5, -1, -1, &a), LODE_ESHAPE);
    assert_status(&ctx, lode_array_slice(&ctx, &a, 0, 0, 3, 0, &a), LODE_EPARAM);
    assert_status(&ctx, lode_array_slice(&ctx, &a, 1, 0, 1, 1, &a), LODE_ESHAPE);
    assert_ok(&ctx, lode_array_slice(&ctx, &a, 0, 4, -1, INT64_MIN, &a));
    assert_int_equal(lode_array_size(&a), 1);
    lode_array_free(&a);
}

static void permutations_follow_the_index(void **state)
{
    (void)state;
    lode_array a = counted(3, (const int64_t[]){ 2, 3, 4 }), p = { 0 };
    assert_ok(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 2, 0, 1 }, &p));
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 2; j++)
            for (int64_t k = 0; k < 3; k++)
                assert_true(lode_array_get(&p, (const int64_t[]){ i, j, k }) ==
                            lode_array_get(&a, (const int64_t[]){ j, k, i }));
    assert_status(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 2, 0, 2 }, &p), LODE_ESHAPE);
    assert_status(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 2, 0, 3 }, &p), LODE_ESHAPE);
    assert_status(&ctx, lode_array_permute(&ctx, &a, (const int[]){ 2, 0, -1 }, &p), LODE_ESHAPE);
    lode_array m = { 0 };
    assert_ok(&ctx, lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ 6, -1 }, &m));
    const lode_array t = lode_i_transposed(&m);
    assert_null(t.owner);
    assert_true(lode_array_get(&t, (const int64_t[]){ 3, 5 }) == 23);
    int64_t left, n, right;
    lode_i_split_mode(&a, 1, &left, &n, &right);
    assert_true(left == 2 && n == 3 && right == 4);
    LODE_FREE(&a, &p, &m);
}

/* A random shape of the same number of values: axes merged and split at factors. */
static int other_shape(dice *d, int64_t size, int64_t *shape)
{
    int ndim = 0;
    while (size > 1 || ndim == 0) {
        int64_t f = 1 + roll_below(d, size);
        while (size % f)
            f--;
        shape[ndim++] = f;
        size /= f;
        if (roll(d) % 4 == 0)
            shape[ndim++] = 1;
        if (ndim > 20) {
            shape[ndim++] = size;
            break;
        }
    }
    return ndim;
}

static void reshapes_keep_flat_order(void **state)
{
    (void)state;
    dice d = { 4 };
    int views = 0, copies = 0;
    for (int repeat = 0; repeat < 1500; repeat++) {
        int64_t shape[LODE_MAX_NDIM], other[LODE_MAX_NDIM];
        const int ndim = random_shape(&d, shape);
        lode_array a = { 0 }, y = { 0 };
        random_view(&ctx, &d, LODE_I32, ndim, shape, 1e9, &a);
        const int64_t size = lode_array_size(&a);
        if (size == 0) {
            lode_array_free(&a);
            continue;
        }
        const int to = other_shape(&d, size, other);
        if (repeat % 3 == 0)
            other[roll_below(&d, to)] = -1;
        assert_ok(&ctx, lode_array_reshape(&ctx, &a, to, other, &y));
        assert_int_equal(lode_array_size(&y), size);
        for (int64_t i = 0; i < size; i++)
            assert_true(same_number(oracle_value(&a, i), oracle_value(&y, i)));
        y.owner == a.owner ? views++ : copies++;
        /* Splitting one axis, or giving it length-1 neighbours, never needs a copy. */
        lode_array z = { 0 };
        int64_t split[LODE_MAX_NDIM];
        int k = 0;
        for (int i = 0; i < ndim; i++) {
            const bool even = shape[i] % 2 == 0;
            if (even)
                split[k++] = 2;
            split[k++] = even ? shape[i] / 2 : shape[i];
            split[k++] = 1;
        }
        assert_ok(&ctx, lode_array_reshape(&ctx, &a, k, split, &z));
        assert_ptr_equal(z.owner, a.owner);
        LODE_FREE(&a, &y, &z);
    }
    assert_true(views > 50 && copies > 50);
    lode_array a = counted(2, (const int64_t[]){ 4, 6 }), y = { 0 };
    assert_status(&ctx, lode_array_reshape(&ctx, &a, 1, (const int64_t[]){ 23 }, &y), LODE_ESHAPE);
    assert_says(&ctx, "4 x 6");
    assert_status(&ctx, lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ -1, -1 }, &y),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ -1, 7 }, &y),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ -1, 0 }, &y),
                  LODE_ESHAPE);
    assert_status(&ctx, lode_array_reshape(&ctx, &a, 40, (const int64_t[40]){ 0 }, &y),
                  LODE_ESHAPE);
    assert_status(&ctx,
                  lode_array_reshape(&ctx, &a, 2, (const int64_t[]){ INT64_MAX, INT64_MAX }, &y),
                  LODE_ESHAPE);
    LODE_FREE(&a, &y);
}

static void text_of_shapes_and_indices(void **state)
{
    (void)state;
    char text[32], small[6];
    lode_i_print_shape(3, (const int64_t[]){ 3, 4, 5 }, text, sizeof text);
    assert_string_equal(text, "3 x 4 x 5");
    lode_i_print_shape(0, NULL, text, sizeof text);
    assert_string_equal(text, "()");
    lode_i_print_index(2, (const int64_t[]){ 4, 20 }, 77, text, sizeof text);
    assert_string_equal(text, "[3,17]");
    lode_i_print_index(0, NULL, 0, text, sizeof text);
    assert_string_equal(text, "[]");
    lode_i_print_index(3, (const int64_t[]){ 100, 100, 100 }, 999999, small, sizeof small);
    assert_string_equal(small, "[99,9");
    lode_i_print_shape(3, (const int64_t[]){ 100, 100, 100 }, small, sizeof small);
    assert_string_equal(small, "100 x");
}

static void contiguity_ignores_axes_of_length_1(void **state)
{
    (void)state;
    lode_array a = counted(3, (const int64_t[]){ 4, 1, 6 });
    a.strides[1] = 12345;
    assert_true(lode_array_is_contiguous(&a));
    a.strides[2] = -1;
    assert_false(lode_array_is_contiguous(&a));
    lode_array_free(&a);
}

static void identity_and_fill(void **state)
{
    (void)state;
    for (int t = 0; t < PLAIN_TYPES; t++) {
        lode_array e = { 0 };
        assert_ok(&ctx, lode_i_eye(&ctx, plain_types[t], 5, &e));
        for (int64_t i = 0; i < 25; i++)
            assert_true(same_number(oracle_value(&e, i), (number){ i % 6 == 0, 0 }));
        lode_array_free(&e);
    }
    lode_array e = { 0 };
    assert_ok(&ctx, lode_i_eye(&ctx, LODE_F32, 0, &e));
    assert_status(&ctx, lode_i_eye(&ctx, LODE_Q8, 32, &e), LODE_ETYPE);
    lode_array_free(&e);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator hooks = heap_of(&h);
    lode_ctx c;
    assert_int_equal(lode_ctx_init(&c, &hooks), LODE_OK);
    c.threads = 2;
    lode_array a = { 0 }, p = { 0 }, y = { 0 };
    assert_ok(&c, lode_array_zeros(&c, LODE_F32, 2, (const int64_t[]){ 300, 300 }, &a));
    assert_ok(&c, lode_array_permute(&c, &a, (const int[]){ 1, 0 }, &p));
    assert_ok(&c, lode_array_cast(&c, &a, LODE_U8, &y)); /* the pool exists now */
    lode_array_free(&y);
    const int64_t live = h.live;
    for (int call = 0; call < 6; call++)
        for (int64_t n = 1;; n++) {
            heap_fail(&h, n);
            lode_status st = LODE_OK;
            switch (call) {
            case 0: st = lode_array_new(&c, LODE_F64, 1, (const int64_t[]){ 9 }, &y); break;
            case 1: st = lode_array_cast(&c, &p, LODE_F64, &y); break;
            case 2: st = lode_array_reshape(&c, &p, 1, (const int64_t[]){ 90000 }, &y); break;
            case 3: st = lode_array_adopt(&c, &a, free, NULL, &y); break;
            case 4: st = lode_i_eye(&c, LODE_F64, 4, &y); break;
            default: st = lode_i_as(&c, &p, LODE_F32, &y);
            }
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            if (!failed) {
                assert_ok(&c, st);
                lode_array_free(&y);
                break;
            }
            assert_int_equal(st, LODE_ENOMEM);
            assert_null(y.data);
            assert_int_equal(h.live, live);
        }
    heap_fail(&h, 0);
    LODE_FREE(&a, &p, &y);
    lode_ctx_free(&c);
    assert_int_equal(h.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_arrays_are_contiguous_and_aligned),
        cmocka_unit_test(empty_arrays_are_not_nothing),
        cmocka_unit_test(shapes_that_overflow_are_named),
        cmocka_unit_test(owners_live_as_long_as_views),
        cmocka_unit_test(slices_follow_the_index),
        cmocka_unit_test(permutations_follow_the_index),
        cmocka_unit_test(reshapes_keep_flat_order),
        cmocka_unit_test(text_of_shapes_and_indices),
        cmocka_unit_test(contiguity_ignores_axes_of_length_1),
        cmocka_unit_test(identity_and_fill),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
