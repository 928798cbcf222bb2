#include "array/oracle.h"
#include "counted.h"
#include "linop/linop.h"

#define SAME_PLACE(member)                                                                         \
    (offsetof(struct lode_linop, member) == offsetof(lode_linop_head, member))
_Static_assert(SAME_PLACE(rows) && SAME_PLACE(cols) && SAME_PLACE(dtype),
               "an operator begins with its head");

static int closed;

static void count_close(void *data)
{
    (void)data;
    closed++;
}

/* One member of each kind. */
static lode_status fill(lode_ctx *c, lode_bundle *b)
{
    lode_status st = LODE_OK;
    lode_array a = { 0 };
    lode_sparse s = { .layout = LODE_COO, .ndim = 1, .shape = { 3 } };
    lode_source src = { .dtype = LODE_F32, .ndim = 1, .shape = { 5 }, .close = count_close };
    LODE_TRY(lode_array_zeros(c, LODE_F64, 1, (const int64_t[]){ 3 }, &a));
    LODE_TRY(lode_bundle_add_array(c, b, "a", &a));
    LODE_TRY(lode_array_zeros(c, LODE_I64, 2, (const int64_t[]){ 1, 1 }, &s.indices));
    LODE_TRY(lode_array_zeros(c, LODE_F64, 1, (const int64_t[]){ 1 }, &s.values));
    LODE_TRY(lode_bundle_add_sparse(c, b, "s", &s));
    LODE_TRY(lode_bundle_add_source(c, b, "src", &src));
    LODE_TRY(lode_bundle_add_text(c, b, "note", "hello"));
    LODE_TRY(lode_bundle_add_i64(c, b, "n", INT64_MAX));
    LODE_TRY(lode_bundle_add_f64(c, b, "x", 0.25));
    LODE_TRY(lode_i_strdup(c, "{}", &b->meta.options));
    LODE_TRY(lode_i_strdup(c, "{\"unit\":1}", &b->meta.attributes));
    strcpy(b->meta.op, "svd");
    b->certificate.value = 3;
done:
    LODE_FREE(&a, &s, &src);
    return st;
}

static void members_keep_order_and_names(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "s", "src", "note", "n", "x" };
    static const lode_kind kinds[] = { LODE_ARRAY, LODE_SPARSE, LODE_SOURCE,
                                       LODE_TEXT,  LODE_SCALAR, LODE_SCALAR };
    lode_bundle b = { 0 };
    closed = 0;
    assert_ok(&ctx, fill(&ctx, &b));
    assert_int_equal(closed, 0);
    assert_int_equal(b.count, 6);
    for (int64_t i = 0; i < 6; i++) {
        assert_string_equal(lode_bundle_name(&b, i), names[i]);
        assert_int_equal(lode_bundle_value(&b, i).kind, kinds[i]);
        assert_int_equal(lode_bundle_get(&b, names[i]).kind, kinds[i]);
    }
    assert_null(lode_bundle_name(&b, 6));
    assert_null(lode_bundle_name(&b, -1));
    assert_int_equal(lode_bundle_value(&b, 6).kind, LODE_NONE);
    assert_int_equal(lode_bundle_get(&b, "b").kind, LODE_NONE);
    assert_string_equal(lode_bundle_get(&b, "note").as.text, "hello");
    const lode_array *a = NULL;
    int64_t n = 0;
    double x = 0;
    assert_ok(&ctx, lode_bundle_array(&ctx, &b, "a", &a));
    assert_int_equal(a->shape[0], 3);
    assert_ok(&ctx, lode_bundle_i64(&ctx, &b, "n", &n));
    assert_true(n == INT64_MAX);
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "x", &x));
    assert_true(x == 0.25);
    assert_ok(&ctx, lode_bundle_f64(&ctx, &b, "n", &x));
    assert_true(x == 0x1p63);
    assert_status(&ctx, lode_bundle_i64(&ctx, &b, "x", &n), LODE_ETYPE);
    assert_status(&ctx, lode_bundle_array(&ctx, &b, "note", &a), LODE_ETYPE);
    assert_says(&ctx, "'note' is of kind text, not array");
    assert_status(&ctx, lode_bundle_array(&ctx, &b, "U", &a), LODE_ENOENT);
    assert_says(&ctx, "a, s, src, note, n, x");
    lode_bundle_free(&b);
    assert_int_equal(closed, 1);
    lode_bundle_free(&b);
    lode_bundle_free(NULL);
    assert_status(&ctx, lode_bundle_i64(&ctx, &b, "n", &n), LODE_ENOENT);
}

static void adding_takes_over_or_leaves_alone(void **state)
{
    (void)state;
    lode_bundle b = { 0 };
    lode_array a = { 0 };
    assert_status(&ctx, lode_bundle_add_array(&ctx, &b, "a", &a), LODE_EUSAGE);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F32, 3, &a));
    assert_ok(&ctx, lode_bundle_add_array(&ctx, &b, "a", &a));
    assert_null(a.data);
    assert_ok(&ctx, lode_i_vector_new(&ctx, LODE_F32, 3, &a));
    assert_status(&ctx, lode_bundle_add_array(&ctx, &b, "a", &a), LODE_EUSAGE);
    assert_says(&ctx, "already a member 'a'");
    assert_status(&ctx, lode_bundle_add_array(&ctx, &b, "", &a), LODE_EUSAGE);
    assert_status(&ctx, lode_bundle_add_text(&ctx, &b, "a", "x"), LODE_EUSAGE);
    assert_non_null(a.data);
    assert_int_equal(b.count, 1);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        assert_ok(&ctx, lode_bundle_add_i64(&ctx, &b, name, i));
    }
    int64_t v = 0;
    assert_ok(&ctx, lode_bundle_i64(&ctx, &b, "m99", &v));
    assert_int_equal(v, 99);
    lode_array_free(&a);
    lode_bundle_free(&b);
}

static void references_share_arrays(void **state)
{
    (void)state;
    lode_bundle b = { 0 }, r = { 0 };
    assert_ok(&ctx, fill(&ctx, &b));
    assert_ok(&ctx, lode_bundle_ref(&ctx, &b, &r));
    assert_int_equal(r.count, 5); /* all but the source */
    assert_int_equal(lode_bundle_get(&r, "src").kind, LODE_NONE);
    assert_ptr_equal(lode_bundle_get(&r, "a").as.array->data,
                     lode_bundle_get(&b, "a").as.array->data);
    assert_ptr_not_equal(lode_bundle_get(&r, "note").as.text, lode_bundle_get(&b, "note").as.text);
    lode_bundle_free(&b);
    assert_true(lode_i_get1(lode_bundle_get(&r, "a").as.array, 2) == 0);
    assert_ok(&ctx, lode_sparse_check(&ctx, lode_bundle_get(&r, "s").as.sparse));
    assert_string_equal(r.meta.op, "svd");
    assert_string_equal(r.meta.attributes, "{\"unit\":1}");
    assert_true(r.certificate.value == 3);
    lode_bundle_free(&r);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    heap h = { 0 };
    const lode_allocator hooks = heap_of(&h);
    lode_ctx c;
    assert_int_equal(lode_ctx_init(&c, &hooks), LODE_OK);
    c.threads = 1;
    lode_bundle b = { 0 };
    const int64_t empty = h.live;
    for (int call = 0; call < 2; call++) {
        const int64_t live = h.live;
        for (int64_t n = 1;; n++) {
            lode_bundle r = { 0 };
            heap_fail(&h, n);
            const lode_status st = call ? lode_bundle_ref(&c, &b, &r) : fill(&c, &r);
            const bool failed = heap_failed(&h);
            heap_fail(&h, 0);
            assert_int_equal(st, failed ? LODE_ENOMEM : LODE_OK);
            if (!failed && !call)
                lode_bundle_swap(&b, &r);
            lode_bundle_free(&r);
            if (!failed)
                break;
            assert_int_equal(h.live, live);
        }
    }
    lode_bundle_free(&b);
    assert_int_equal(h.live, empty);
    lode_ctx_free(&c);
    assert_int_equal(h.live, 0);
}

/* ---- values and certificates ---- */

static void values_borrow(void **state)
{
    (void)state;
    const lode_array a = { 0 };
    const lode_scalar s = { .dtype = LODE_F64, .re = 2 };
    const lode_callback f = { .dtype = LODE_F32, .rows = 3, .cols = 4 };
    const lode_bundle b = { 0 };
    assert_int_equal(lode_none().kind, LODE_NONE);
    assert_true(lode_from_array(&a).kind == LODE_ARRAY && lode_from_array(&a).as.array == &a);
    assert_true(lode_from_scalar(&s).kind == LODE_SCALAR && lode_from_scalar(&s).as.scalar == &s);
    assert_true(lode_from_bundle(&b).kind == LODE_BUNDLE && lode_from_bundle(&b).as.bundle == &b);
    assert_true(lode_from_callback(&f).kind == LODE_CALLBACK &&
                lode_from_callback(&f).as.callback == &f);
    assert_string_equal(lode_from_text("x").as.text, "x");
    for (int k = LODE_NONE; k <= LODE_SCALAR; k++)
        assert_string_not_equal(lode_kind_name((lode_kind)k), "unknown");
    assert_string_equal(lode_kind_name(LODE_ARRAY), "array");
    assert_string_equal(lode_kind_name((lode_kind)77), "unknown");
}

static void shapes_of_values(void **state)
{
    (void)state;
    lode_dtype t = LODE_BOOL;
    int ndim = -1;
    int64_t shape[LODE_MAX_NDIM] = { 0 };
    lode_array a = { 0 };
    assert_ok(&ctx, lode_array_new(&ctx, LODE_F32, 3, (const int64_t[]){ 2, 3, 4 }, &a));
    assert_true(lode_i_value_shape(lode_from_array(&a), &t, &ndim, shape));
    assert_true(t == LODE_F32 && ndim == 3 && shape[2] == 4);
    const lode_callback f = { .dtype = LODE_C64, .rows = 30, .cols = 40 };
    assert_true(lode_i_value_shape(lode_from_callback(&f), &t, &ndim, shape));
    assert_true(t == LODE_C64 && ndim == 2 && shape[0] == 30 && shape[1] == 40);
    const lode_linop_head head = { 5, 6, LODE_F64 };
    assert_true(lode_i_value_shape(lode_from_linop((const struct lode_linop *)(const void *)&head),
                                   &t, &ndim, shape));
    assert_true(t == LODE_F64 && ndim == 2 && shape[0] == 5 && shape[1] == 6);
    lode_sparse s = {
        .layout = LODE_COO, .ndim = 1, .shape = { 9 }, .values = { .dtype = LODE_I8 }
    };
    assert_true(lode_i_value_shape(lode_from_sparse(&s), &t, &ndim, shape));
    assert_true(t == LODE_I8 && ndim == 1 && shape[0] == 9);
    assert_false(lode_i_value_shape(lode_none(), &t, &ndim, shape));
    assert_false(lode_i_value_shape(lode_from_text("x"), &t, &ndim, shape));
    lode_array_free(&a);
}

static void certificates_read_as_one_line(void **state)
{
    (void)state;
    char text[256], cut[10];
    lode_certificate c = {
        .kind = LODE_CERT_MEASURED, .relative = true, .value = 9.7e-4, .asked = 1e-3
    };
    lode_certificate_print(&c, text, sizeof text);
    assert_string_equal(text, "relative Frobenius error 9.7e-04 (measured; asked 1e-03)");
    c.asked = 1.5e-3;
    lode_certificate_print(&c, text, sizeof text);
    assert_string_equal(text, "relative Frobenius error 9.7e-04 (measured; asked 1.5e-03)");
    lode_certificate_print(&c, cut, sizeof cut);
    assert_string_equal(cut, "relative ");
    c.asked = (double)NAN;
    strcpy(c.note, "rank 20 reached first");
    lode_certificate_print(&c, text, sizeof text);
    assert_string_equal(text, "relative Frobenius error 9.7e-04 (measured; rank 20 reached first)");
    c = (lode_certificate){ .kind = LODE_CERT_PROBABILISTIC,
                            .norm = LODE_NORM_SPECTRAL,
                            .value = 0.5,
                            .failure = 1e-10,
                            .asked = (double)NAN };
    lode_certificate_print(&c, text, sizeof text);
    assert_string_equal(text, "spectral error <= 5.0e-01 (holds but with probability 1.0e-10)");
    c = (lode_certificate){
        .kind = LODE_CERT_HELDOUT, .value = 0.5, .low = 0.4, .high = 0.6, .asked = (double)NAN
    };
    lode_certificate_print(&c, text, sizeof text);
    assert_non_null(strstr(text, "4.0e-01 to 6.0e-01"));
    c = (lode_certificate){ .note = "nothing to compare with" };
    lode_certificate_print(&c, text, sizeof text);
    assert_string_equal(text, "no certificate: nothing to compare with");
    for (int k = LODE_CERT_NONE; k <= LODE_CERT_INVARIANCE; k++)
        assert_string_not_equal(lode_cert_kind_name((lode_cert_kind)k), "unknown");
    for (int k = LODE_NORM_FRO; k <= LODE_NORM_MAX; k++)
        assert_string_not_equal(lode_norm_name((lode_norm)k), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_order_and_names),
        cmocka_unit_test(adding_takes_over_or_leaves_alone),
        cmocka_unit_test(references_share_arrays),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(values_borrow),
        cmocka_unit_test(shapes_of_values),
        cmocka_unit_test(certificates_read_as_one_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
