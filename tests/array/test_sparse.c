#include "array/oracle.h"
#include "counted.h"

/* COO of every entry of `dense` that is not 0, shuffled. */
static lode_sparse shuffled(dice *d, const lode_array *dense)
{
    const int64_t size = lode_array_size(dense);
    int64_t *at = malloc((size_t)lode_i_max(size, 1) * sizeof *at), nnz = 0;
    for (int64_t i = 0; i < size; i++) {
        const number v = oracle_value(dense, i);
        if (v.re != 0 || v.im != 0)
            at[nnz++] = i;
    }
    for (int64_t i = nnz - 1; i > 0; i--) {
        const int64_t j = roll_below(d, i + 1), t = at[i];
        at[i] = at[j], at[j] = t;
    }
    lode_sparse s = { .layout = LODE_COO, .ndim = dense->ndim };
    memcpy(s.shape, dense->shape, sizeof s.shape);
    assert_ok(&ctx, lode_i_matrix_new(&ctx, LODE_I64, nnz, dense->ndim, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, dense->dtype, nnz, &s.values));
    for (int64_t k = 0; k < nnz; k++) {
        int64_t flat = at[k];
        for (int axis = dense->ndim - 1; axis >= 0; axis--) {
            ((int64_t *)s.indices.data)[k * dense->ndim + axis] = flat % dense->shape[axis];
            flat /= dense->shape[axis];
        }
        memcpy(lode_i_at(&s.values, k), oracle_at(dense, at[k]), lode_dtype_size(dense->dtype));
    }
    free(at);
    return s;
}

static void assert_same_dense(const lode_array *a, const lode_array *b)
{
    assert_int_equal(a->ndim, b->ndim);
    for (int i = 0; i < a->ndim; i++)
        assert_int_equal(a->shape[i], b->shape[i]);
    for (int64_t i = 0; i < lode_array_size(a); i++)
        assert_true(same_number(oracle_value(a, i), oracle_value(b, i)));
}

static void there_and_back(void **state)
{
    (void)state;
    dice d = { 1 };
    for (int repeat = 0; repeat < 300; repeat++) {
        int64_t shape[LODE_MAX_NDIM];
        int ndim = random_shape(&d, shape);
        if (ndim == 0)
            shape[ndim++] = 3;
        const lode_dtype t = plain_types[repeat % PLAIN_TYPES];
        lode_array dense = { 0 }, back = { 0 };
        assert_ok(&ctx, lode_array_zeros(&ctx, t, ndim, shape, &dense));
        for (int64_t i = 0; i < lode_array_size(&dense); i++)
            if (roll(&d) % 3 == 0)
                oracle_store(t, (number){ (long double)roll_below(&d, 200) - 100, 1 },
                             oracle_at(&dense, i));
        lode_sparse s = shuffled(&d, &dense), csr = { 0 }, again = { 0 };
        assert_ok(&ctx, lode_sparse_check(&ctx, &s));
        assert_ok(&ctx, lode_sparse_to_dense(&ctx, &s, &back));
        assert_same_dense(&dense, &back);
        if (ndim == 2) {
            assert_ok(&ctx, lode_sparse_to_csr(&ctx, &s, &csr));
            assert_int_equal(csr.layout, LODE_CSR);
            assert_ok(&ctx, lode_sparse_check(&ctx, &csr)); /* columns ascend, pointers fit */
            assert_int_equal(lode_sparse_nnz(&csr), lode_sparse_nnz(&s));
            assert_ok(&ctx, lode_sparse_to_dense(&ctx, &csr, &back));
            assert_same_dense(&dense, &back);
            assert_ok(&ctx, lode_sparse_to_csr(&ctx, &csr, &again));
            assert_ok(&ctx, lode_sparse_to_dense(&ctx, &again, &back));
            assert_same_dense(&dense, &back);
        } else {
            assert_status(&ctx, lode_sparse_to_csr(&ctx, &s, &csr), LODE_ESHAPE);
        }
        LODE_FREE(&dense, &back, &s, &csr, &again);
    }
}

/* 3 x 4: (0,1) = 1, (2,0) = 2, (2,3) = 3 as CSR; the test then damages one thing at a time. */
static lode_sparse sample(void)
{
    lode_sparse s = { .layout = LODE_CSR, .ndim = 2, .shape = { 3, 4 } };
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 4, &s.indptr));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_I64, 3, &s.indices));
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F64, 3, &s.values));
    const int64_t pointers[] = { 0, 1, 1, 3 }, columns[] = { 1, 0, 3 };
    const double values[] = { 1, 2, 3 };
    memcpy(s.indptr.data, pointers, sizeof pointers);
    memcpy(s.indices.data, columns, sizeof columns);
    memcpy(s.values.data, values, sizeof values);
    return s;
}

static void damage_is_named(void **state)
{
    (void)state;
    lode_sparse s = sample(), out = { 0 };
    lode_array dense = { 0 };
    int64_t *pointers = s.indptr.data, *columns = s.indices.data;
    assert_ok(&ctx, lode_sparse_check(&ctx, &s));
    assert_ok(&ctx, lode_sparse_to_dense(&ctx, &s, &dense));
    assert_true(lode_array_get(&dense, (const int64_t[]){ 2, 3 }) == 3);
    static const struct {
        int64_t *at;
        int which;
        int64_t value;
        const char *says;
    } cases[] = { { NULL, 0, 1, "begin with 1" },    { NULL, 1, 9, "row pointer 1" },
                  { NULL, 2, 0, "row pointer 2" },   { NULL, 3, 2, "end with 2" },
                  { NULL, 4, 4, "index 4 on axis" }, { NULL, 4, -1, "index -1" },
                  { NULL, 5, 3, "[2,3]" },           { NULL, 6, 0, "[2,0]" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t *at = cases[i].which < 4 ? &pointers[cases[i].which] : &columns[cases[i].which - 4];
        const int64_t kept = *at;
        *at = cases[i].value;
        assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_EDOMAIN);
        assert_says(&ctx, cases[i].says);
        assert_status(&ctx, lode_sparse_to_dense(&ctx, &s, &dense), LODE_EDOMAIN);
        assert_status(&ctx, lode_sparse_to_csr(&ctx, &s, &out), LODE_EDOMAIN);
        *at = kept;
    }
    columns[1] = 3, columns[2] = 0;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_EDOMAIN);
    assert_says(&ctx, "column 0 after column 3");
    columns[1] = 0, columns[2] = 3;
    ((double *)s.values.data)[1] = (double)NAN;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_EDOMAIN);
    assert_says(&ctx, "value [1] is nan");
    s.shape[0] = 4;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.shape[0] = INT64_MAX;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.shape[0] = 3, s.shape[1] = -4;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.shape[1] = 4, s.ndim = 3;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.ndim = 2, s.layout = LODE_COO;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.layout = LODE_CSR, s.indices.dtype = LODE_F64;
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    s.indices.dtype = LODE_I64;
    lode_array_free(&s.values);
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_ESHAPE);
    LODE_FREE(&s, &out, &dense);
    lode_sparse_free(NULL);
    assert_int_equal(lode_sparse_nnz(&s), 0);
}

static void duplicates_are_named(void **state)
{
    (void)state;
    int64_t index[] = { 2, 1, 0, 3, 1, 1, 2, 1, 0, 3 };
    double value[] = { 1, 2, 3, 4, 5 };
    lode_sparse s = { .layout = LODE_COO,
                      .ndim = 2,
                      .shape = { 3, 4 },
                      .indices = lode_array_wrap(index, LODE_I64, 2, (const int64_t[]){ 5, 2 }),
                      .values = lode_array_wrap(value, LODE_F64, 1, (const int64_t[]){ 5 }) };
    lode_sparse out = { 0 };
    lode_array dense = { 0 };
    assert_status(&ctx, lode_sparse_to_csr(&ctx, &s, &out), LODE_EDOMAIN);
    assert_says(&ctx, "[0,3]");
    assert_says(&ctx, "entries 1 and 4");
    assert_status(&ctx, lode_sparse_check(&ctx, &s), LODE_EDOMAIN);
    assert_status(&ctx, lode_sparse_to_dense(&ctx, &s, &dense), LODE_EDOMAIN);
    index[9] = 7;
    assert_status(&ctx, lode_sparse_to_csr(&ctx, &s, &out), LODE_EDOMAIN);
    assert_says(&ctx, "entry 4");
    assert_null(out.values.data);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator hooks = heap_of(&h);
    lode_ctx c;
    assert_int_equal(lode_ctx_init(&c, &hooks), LODE_OK);
    c.threads = 1;
    int64_t index[] = { 2, 1, 0, 3, 1, 1 };
    double value[] = { 1, 2, 3 };
    const lode_sparse s = { .layout = LODE_COO,
                            .ndim = 2,
                            .shape = { 3, 4 },
                            .indices = lode_array_wrap(index, LODE_I64, 2,
                                                       (const int64_t[]){ 3, 2 }),
                            .values = lode_array_wrap(value, LODE_F64, 1, (const int64_t[]){ 3 }) };
    const int64_t live = h.live;
    for (int call = 0; call < 3; call++)
        for (int64_t n = 1;; n++) {
            lode_sparse csr = { 0 };
            lode_array dense = { 0 };
            heap_fail(&h, n);
            const lode_status st = call == 0   ? lode_sparse_to_csr(&c, &s, &csr)
                                   : call == 1 ? lode_sparse_to_dense(&c, &s, &dense)
                                               : lode_sparse_check(&c, &s);
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            assert_int_equal(st, failed ? LODE_ENOMEM : LODE_OK);
            if (failed)
                assert_true(!csr.values.data && !dense.data && h.live == live);
            LODE_FREE(&csr, &dense);
            assert_int_equal(h.live, live);
            if (!failed)
                break;
        }
    lode_ctx_free(&c);
    assert_int_equal(h.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(duplicates_are_named),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
