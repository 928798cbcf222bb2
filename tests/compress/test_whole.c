/* Whole files: which members a rule reaches, what comes back of each, certificates one by one, the same
 * bits in little memory. */
#include "fixture.h"

#include <math.h>

#include "array/array.h"
#include "lode/lode.h"

enum { N = 40, M = 50 };

typedef struct fix {
    heap heap;
    lode_ctx ctx;
    lode_bundle file, result;
    char folder[256];
} fix;

/* Waves, with phases of their own; in any type. */
static void add(fix *f, const char *name, lode_dtype dtype, int ndim, const int64_t *shape,
                double phase)
{
    lode_array a = { 0 }, b = { 0 };
    assert_ok(&f->ctx, lode_array_new(&f->ctx, LODE_F64, ndim, shape, &a));
    for (int64_t i = 0; i < lode_array_size(&a); i++)
        ((double *)a.data)[i] = 20 + 30 * sin((double)(i % M) / 9 + phase) * cos((double)i / 700) +
                                0.01 * sin((double)(i * i % 1013));
    assert_ok(&f->ctx, lode_array_cast(&f->ctx, &a, dtype, &b));
    assert_ok(&f->ctx, lode_bundle_add_array(&f->ctx, &f->file, name, &b));
    lode_array_free(&a);
}

static void put(fix *f, const char *name, int64_t i, double v)
{
    lode_array *a = (lode_array *)(uintptr_t)lode_bundle_get(&f->file, name).as.array;
    if (a->dtype == LODE_F32)
        ((float *)a->data)[i] = (float)v;
    else if (a->dtype == LODE_F64)
        ((double *)a->data)[i] = v;
    else
        ((int16_t *)a->data)[i] = (int16_t)v;
}

static int setup(void **state)
{
    static fix f;
    static const int64_t two[] = { N, M };
    static const int64_t one[] = { 1000 };
    static const char names[] =
        "{\"variables\":{"
        "\"T\":{\"dims\":[\"y\",\"x\"],\"attributes\":{\"units\":\"K\",\"coordinates\":\"lat2\"}},"
        "\"axis\":{\"dims\":[\"axis\"],\"attributes\":{\"bounds\":\"g/b\"}},"
        "\"q\":{\"dims\":[\"y\",\"x\"],\"attributes\":{\"_FillValue\":-999},"
        "\"types\":{\"_FillValue\":\"i16\"}},"
        "\"p\":{\"dims\":[\"y\",\"x\"],\"attributes\":{\"scale_factor\":0.5,\"add_offset\":3.0},"
        "\"stored\":\"i16\"}},\"attributes\":{\"title\":\"m\"}}";
    memset(&f, 0, sizeof f);
    *state = &f;
    const lode_allocator a = heap_of(&f.heap);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.threads = 2;
    folder_make(f.folder);
    add(&f, "T", LODE_F32, 2, two, 0);
    add(&f, "U", LODE_F64, 2, two, 1);
    add(&f, "lat2", LODE_F64, 2, two, 2); /* T's coordinate */
    add(&f, "axis", LODE_F64, 1, one, 3);
    add(&f, "g/b", LODE_F64, 2, two, 4); /* its bounds */
    add(&f, "q", LODE_I16, 2, two, 5);
    add(&f, "p", LODE_F64, 2, two, 6);
    add(&f, "small", LODE_F64, 1, (const int64_t[]){ 100 }, 7);
    put(&f, "T", 77, (double)NAN), put(&f, "U", 5, (double)INFINITY), put(&f, "q", 9, -999);
    assert_ok(&f.ctx, lode_bundle_add_text(&f.ctx, &f.file, "text", "kept"));
    assert_ok(&f.ctx, lode_bundle_add_i64(&f.ctx, &f.file, "count", 3));
    return lode_i_strdup(&f.ctx, names, &f.file.meta.attributes);
}

static int teardown(void **state)
{
    fix *f = *state;
    lode_bundle_free(&f->file), lode_bundle_free(&f->result);
    folder_remove(f->folder);
    lode_ctx_free(&f->ctx);
    return f->heap.live ? -1 : 0;
}

static lode_status run(fix *f, const char *error)
{
    lode_call call = { .op = NULL };
    lode_status st = lode_call_init(&f->ctx, &lode_op_compress, &call);
    if (st >= 0)
        st = lode_call_set(&f->ctx, &call, "effort", "1");
    if (st >= 0 && error)
        st = lode_call_set(&f->ctx, &call, "error", error);
    if (st >= 0)
        st = lode_call_input(&f->ctx, &call, NULL, lode_from_bundle(&f->file));
    if (st >= 0)
        st = lode_call_run(&f->ctx, &call, &f->result);
    lode_call_free(&call);
    return st;
}

/* Largest difference of a member of the expanded file from the original; NaN must meet NaN. */
static double worst(fix *f, const lode_bundle *back, const char *name, double *rel)
{
    const lode_value v = lode_bundle_get(back, name);
    const lode_array *a = lode_bundle_get(&f->file, name).as.array;
    lode_array b = { 0 };
    double most = 0, sum = 0, norm = 0;
    if (v.kind == LODE_SOURCE)
        assert_ok(&f->ctx, lode_i_source_load(&f->ctx, v.as.source, &b));
    else
        b = lode_array_ref(v.as.array);
    assert_int_equal(a->dtype, b.dtype);
    for (int64_t i = 0; i < lode_array_size(a); i++) {
        const int64_t at[] = { a->ndim > 1 ? i / M : i, i % M };
        const double x = lode_array_get(a, at), y = lode_array_get(&b, at);
        if (!isfinite(x) || !isfinite(y)) {
            assert_true((isnan(x) && isnan(y)) || x == y);
            continue;
        }
        most = fmax(most, fabs(x - y));
        sum += (x - y) * (x - y), norm += x * x;
    }
    lode_array_free(&b);
    if (rel)
        *rel = sqrt(sum / norm);
    return most;
}

static const char *rule_of(fix *f, const char *name)
{
    static lode_entry e;
    for (int64_t i = 0; i < f->result.count; i++) {
        assert_ok(&f->ctx, lode_entry_of(&f->ctx, &f->result, i, &e));
        if (strcmp(e.name, name) == 0)
            return e.rule;
    }
    return "absent";
}

static void each_member_has_its_own_rule(void **state)
{
    fix *f = *state;
    double rel = 0;
    assert_ok(&f->ctx, run(f, "T=1e-2,q=0.75:max,*=1e-3:max"));
    static const char *const rules[][2] = {
        { "T", "0.01:rel" },    { "U", "0.001:max" },    { "lat2", "as it is" },
        { "axis", "as it is" }, { "g/b", "as it is" },   { "q", "0.75:max" },
        { "p", "0.0005:max" },  { "small", "as it is" }, { "text", "as it is" },
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rule_of(f, rules[i][0]), rules[i][1]) != 0)
            fail_msg("%s: %s, not %s", rules[i][0], rule_of(f, rules[i][0]), rules[i][1]);
    assert_true(lode_holds_results(&f->result));
    lode_certificate c;
    assert_ok(&f->ctx, lode_verify(&f->ctx, &f->result, lode_from_bundle(&f->file), &c));
    assert_ok(&f->ctx, lode_expand(&f->ctx, &f->result));
    assert_int_equal(f->result.count, f->file.count);
    for (int64_t i = 0; i < f->file.count; i++) /* in their order */
        assert_string_equal(lode_bundle_name(&f->result, i), lode_bundle_name(&f->file, i));
    worst(f, &f->result, "T", &rel);
    assert_true(rel > 0);
    assert_le(rel, 1e-2);
    assert_le(worst(f, &f->result, "U", NULL), 1e-3);
    assert_le(worst(f, &f->result, "q", NULL), 0.75);
    assert_true(worst(f, &f->result, "lat2", NULL) == 0 && worst(f, &f->result, "g/b", NULL) == 0);
    assert_string_equal(lode_bundle_get(&f->result, "text").as.text, "kept");
}

static void without_a_rule_all_is_exact(void **state)
{
    fix *f = *state;
    assert_ok(&f->ctx, run(f, "T=exact"));
    assert_ok(&f->ctx, lode_expand(&f->ctx, &f->result));
    for (int64_t i = 0; i < 8; i++)
        assert_true(worst(f, &f->result, lode_bundle_name(&f->file, i), NULL) == 0);
}

static void one_error_is_for_all(void **state)
{
    fix *f = *state;
    assert_ok(&f->ctx, run(f, "1e-2"));
    assert_string_equal(rule_of(f, "T"), "0.01:rel");
    assert_string_equal(rule_of(f, "q"), "as it is"); /* whole numbers only by name */
    assert_ok(&f->ctx, run(f, NULL));
    assert_string_equal(rule_of(f, "U"), "default");
}

static void wrong_requests_name_what_is_wrong(void **state)
{
    fix *f = *state;
    lode_call call = { .op = NULL };
    assert_status(&f->ctx, run(f, "text=1e-3"), LODE_ETYPE);
    assert_says(&f->ctx, "text is a text");
    assert_status(&f->ctx, run(f, "V=1e-3"), LODE_EUSAGE);
    assert_int_equal(f->result.count, 0);
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "missing", "nan"));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "budget", "64K"));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, lode_from_bundle(&f->file)));
    assert_status(&f->ctx, lode_call_run(&f->ctx, &call, &f->result), LODE_EUSAGE);
    assert_says(&f->ctx, "size for one array");
    lode_call_free(&call);
    assert_ok(&f->ctx, lode_call_init(&f->ctx, &lode_op_compress, &call));
    assert_ok(&f->ctx, lode_call_set(&f->ctx, &call, "error", "T=1"));
    assert_ok(&f->ctx, lode_call_input(&f->ctx, &call, NULL, lode_bundle_get(&f->file, "T")));
    assert_status(&f->ctx, lode_call_run(&f->ctx, &call, &f->result), LODE_EUSAGE);
    assert_says(&f->ctx, "the input is one array");
    lode_call_free(&call);
    assert_true(lode_op_takes_files(&lode_op_tucker) && !lode_op_takes_files(&lode_op_svd) &&
                !lode_op_takes_files(&lode_op_compare));
}

static void a_false_certificate_is_named(void **state)
{
    fix *f = *state;
    lode_certificate c;
    assert_ok(&f->ctx, run(f, "1e-2"));
    for (int64_t i = 0; i < f->result.count; i++) {
        const lode_value v = lode_bundle_value(&f->result, i);
        if (v.kind == LODE_BUNDLE && strcmp(lode_bundle_name(&f->result, i), "U") == 0)
            ((lode_bundle *)(uintptr_t)v.as.bundle)->certificate.absolute /= 2;
    }
    assert_status(&f->ctx, lode_verify(&f->ctx, &f->result, lode_none(), &c), LODE_EVERIFY);
    assert_says(&f->ctx, "U: compress: the certificate says");
    assert_ok(&f->ctx, lode_verify_entry(&f->ctx, &f->result, 0, lode_none(), &c));
    /* an original that has changed, in what was kept and in what was not */
    assert_ok(&f->ctx, run(f, "1e-2"));
    put(f, "small", 3, 1e6);
    assert_status(&f->ctx, lode_verify(&f->ctx, &f->result, lode_from_bundle(&f->file), &c),
                  LODE_EVERIFY);
    assert_says(&f->ctx, "small was kept as it is");
    put(f, "T", 3, 1e6);
    assert_status(&f->ctx, lode_verify(&f->ctx, &f->result, lode_from_bundle(&f->file), &c),
                  LODE_EVERIFY);
    assert_says(&f->ctx, "T: compress: ");
}

static void little_memory_gives_the_same_file(void **state)
{
    fix *f = *state;
    char path[2][300];
    unsigned char *bytes[2];
    size_t size[2];
    for (int k = 0; k < 2; k++) {
        snprintf(path[k], sizeof path[k], "%s/%d.lode", f->folder, k);
        if (k) {
            f->ctx.scratch = f->folder;
            f->ctx.threads = 1;
            lode_ctx_set_memory(&f->ctx, lode_ctx_memory_used(&f->ctx) + (12 << 20));
        }
        assert_ok(&f->ctx, run(f, "T=1e-5,*=1e-3:max"));
        assert_ok(&f->ctx, lode_write(&f->ctx, path[k], &f->result, NULL));
        FILE *file = fopen(path[k], "rb");
        bytes[k] = malloc(1 << 20);
        assert_non_null(file);
        assert_non_null(bytes[k]);
        size[k] = fread(bytes[k], 1, 1 << 20, file);
        fclose(file);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]), free(bytes[1]);
}

static void addresses_decode_what_they_name(void **state)
{
    fix *f = *state;
    char path[300], spec[400];
    lode_bundle b = { 0 }, whole = { 0 };
    lode_array part = { 0 };
    snprintf(path, sizeof path, "%s/m.lode", f->folder);
    assert_ok(&f->ctx, run(f, "*=1e-3:max"));
    assert_ok(&f->ctx, lode_write(&f->ctx, path, &f->result, NULL));
    snprintf(spec, sizeof spec, "%s:T[3:9,::7]", path);
    assert_ok(&f->ctx, lode_open_value(&f->ctx, spec, NULL, false, NULL, &b));
    const lode_value v = lode_bundle_get(&b, "T");
    assert_int_equal(v.kind, LODE_SOURCE);
    assert_ok(&f->ctx, lode_i_source_load(&f->ctx, v.as.source, &part));
    const lode_array *a = lode_bundle_get(&f->file, "T").as.array;
    for (int64_t i = 0; i < 6; i++)
        for (int64_t k = 0; k < 8; k++) {
            const double x = lode_array_get(a, (const int64_t[]){ 3 + i, 7 * k });
            const double y = lode_array_get(&part, (const int64_t[]){ i, k });
            if (!isnan(x))
                assert_near(x, y, 1e-3);
        }
    assert_non_null(strstr(b.meta.attributes, "\"units\":\"K\""));
    lode_array_free(&part), lode_bundle_free(&b);
    assert_ok(&f->ctx, lode_open_value(&f->ctx, path, NULL, true, "file", &b));
    assert_int_equal(lode_bundle_value(&b, 0).kind, LODE_BUNDLE);
    assert_int_equal(lode_bundle_value(&b, 0).as.bundle->count, f->file.count);
    lode_bundle_free(&b);
    snprintf(spec, sizeof spec, "%s:U", path);
    assert_ok(&f->ctx, lode_read_model(&f->ctx, spec, NULL, true, &b));
    assert_string_equal(b.meta.op, "compress");
    snprintf(spec, sizeof spec, "%s:U[0]", path);
    assert_status(&f->ctx, lode_read_model(&f->ctx, spec, NULL, true, &b), LODE_EUSAGE);
    snprintf(spec, sizeof spec, "%s:small", path);
    assert_status(&f->ctx, lode_read_model(&f->ctx, spec, NULL, true, &b), LODE_EUSAGE);
    /* once more over what is compressed already: nothing is lost a second time */
    assert_ok(&f->ctx, lode_open(&f->ctx, path, NULL, &whole));
    lode_bundle_swap(&f->file, &whole);
    assert_ok(&f->ctx, run(f, "*=10"));
    assert_string_equal(rule_of(f, "T"), "0.001:max");
    lode_bundle_swap(&f->file, &whole);
    lode_bundle_free(&b), lode_bundle_free(&whole);
}

static void failing_allocations_are_survived(void **state)
{
    fix *f = *state;
    f->ctx.threads = 1;
    for (int64_t n = 1, step = 1;; n += step, step += n / 40) { /* the first ones all, then some */
        heap_fail(&f->heap, n);
        const lode_status st = run(f, "T=1e-2,axis=1:max");
        const bool failed = heap_failed(&f->heap);
        heap_fail(&f->heap, 0);
        if (!failed) {
            assert_int_equal(st, LODE_OK);
            break;
        }
        if (st != LODE_OK)
            assert_status(&f->ctx, st, LODE_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_member_has_its_own_rule, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_rule_all_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(one_error_is_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_requests_name_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(a_false_certificate_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(little_memory_gives_the_same_file, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_decode_what_they_name, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
