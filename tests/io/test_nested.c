/* Results beside other values in one .lode: they come back as they were, are read alone and in part, and
 * nothing that lies about them passes. */
#include "files.h"

/* x, a result T with one of everything, y. */
static void model(files *f, lode_bundle *b)
{
    static const int64_t shape[] = { 4, 6 };
    lode_bundle inner = { 0 };
    files_everything(f, &inner);
    files_add(f, b, "x", LODE_F64, 2, shape);
    assert_ok(&f->ctx, lode_bundle_add_bundle(&f->ctx, b, "g/T", &inner));
    assert_int_equal(inner.count, 0); /* taken over */
    files_add(f, b, "y", LODE_I64, 1, shape);
    b->meta.attributes = files_text(f, "{\"attributes\":{\"title\":\"m\"}}");
}

static void results_come_back_as_members(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 }, d = { 0 };
    size_t n = 0, m = 0;
    model(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &c));
    files_same_bundle(&b, &c);
    unsigned char *first = files_get(f, "x.lode", &n);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "y.lode"), &c, NULL));
    unsigned char *second = files_get(f, "y.lode", &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    free(first), free(second);
    /* a reference is as good */
    assert_ok(&f->ctx, lode_bundle_ref(&f->ctx, &c, &d));
    files_same_bundle(&b, &d);
    lode_bundle_free(&b), lode_bundle_free(&c), lode_bundle_free(&d);
}

static void a_result_is_read_by_its_name(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    lode_i_model m = { .found = false };
    lode_file *file = NULL;
    lode_kind kind = LODE_NONE;
    int ndim = 0;
    char spec[600];
    model(f, &b);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    assert_ok(&f->ctx, lode_file_open(&f->ctx, files_path(f, "x.lode"), NULL, &file));
    assert_int_equal(lode_file_count(file), 3); /* its parts are not shown */
    assert_string_equal(lode_file_name(file, 1), "g/T");
    assert_ok(&f->ctx, lode_file_info(&f->ctx, file, 1, &kind, NULL, &ndim, NULL));
    assert_int_equal(kind, LODE_BUNDLE);
    assert_int_equal(ndim, 2); /* of what it gives */
    lode_file_close(&file);
    snprintf(spec, sizeof spec, "%s/x.lode:g/T", f->folder);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &c));
    files_same_value(lode_bundle_get(&b, "g/T"), lode_bundle_value(&c, 0));
    lode_bundle_free(&c);
    assert_ok(&f->ctx, lode_i_address_model(&f->ctx, spec, NULL, true, &m));
    assert_true(m.found && m.member && !m.slice);
    files_same_bundle(lode_bundle_get(&b, "g/T").as.bundle, &m.model);
    snprintf(spec, sizeof spec, "%s/x.lode:g/T[3:9,:]", f->folder);
    assert_ok(&f->ctx, lode_i_address_model(&f->ctx, spec, NULL, false, &m));
    assert_string_equal(m.slice, "3:9,:");
    snprintf(spec, sizeof spec, "%s/x.lode:g/T[3:9,:,5]", f->folder);
    assert_status(&f->ctx, lode_i_address_model(&f->ctx, spec, NULL, false, &m), LODE_ESHAPE);
    lode_i_model_free(&m);
    /* no name: the only result is meant; a part, by the name that it is stored under */
    snprintf(spec, sizeof spec, "%s/x.lode", f->folder);
    assert_ok(&f->ctx, lode_i_address_model(&f->ctx, spec, NULL, false, &m));
    assert_true(m.found && strcmp(m.name, "g/T") == 0);
    lode_i_model_free(&m);
    snprintf(spec, sizeof spec, "%s/x.lode:g/T.mask", f->folder);
    assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &c));
    files_same_value(lode_bundle_get(lode_bundle_get(&b, "g/T").as.bundle, "mask"),
                     lode_bundle_value(&c, 0));
    snprintf(spec, sizeof spec, "%s/x.lode:x", f->folder);
    assert_ok(&f->ctx, lode_i_address_model(&f->ctx, spec, NULL, false, &m));
    assert_false(m.found);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void what_cannot_be_stored_is_refused(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 3 };
    lode_bundle b = { 0 }, inner = { 0 }, deep = { 0 };
    model(f, &b);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npz"), &b, NULL), LODE_ETYPE);
    assert_says(&f->ctx, "g/T is a result of svd; only a .lode file holds such");
    files_add(f, &b, "g/T.core", LODE_U8, 1, shape);
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL), LODE_EUSAGE);
    assert_says(&f->ctx, "two members would be stored as g/T.core");
    lode_bundle_free(&b);
    files_add(f, &deep, "u", LODE_U8, 1, shape);
    assert_ok(&f->ctx, lode_bundle_add_bundle(&f->ctx, &inner, "v", &deep));
    assert_ok(&f->ctx, lode_bundle_add_bundle(&f->ctx, &b, "w", &inner));
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL), LODE_ETYPE);
    assert_status(&f->ctx, lode_bundle_add_bundle(&f->ctx, &b, "w", &deep), LODE_EUSAGE);
    assert_true(!lode_format_keeps_members(NULL, "x.npz") &&
                lode_format_keeps_members(NULL, "x.lode"));
    lode_bundle_free(&b);
}

/* Every byte of the header in turn, its checksum made right again: refused, or read without harm. */
static void no_lie_does_harm(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 3 };
    lode_bundle b = { 0 }, inner = { 0 }, c = { 0 };
    size_t n = 0;
    files_add(f, &inner, "u", LODE_F32, 1, shape);
    snprintf(inner.meta.op, sizeof inner.meta.op, "svd");
    assert_ok(&f->ctx, lode_bundle_add_bundle(&f->ctx, &b, "T", &inner));
    files_add(f, &b, "v", LODE_U8, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    unsigned char *file = files_get(f, "x.lode", &n);
    FILE *changed = fopen(files_path(f, "x.lode"), "r+b"); /* in place: no file is made anew */
    assert_non_null(changed);
    const size_t head = file[0] + 256U * file[1];
    static const char others[] = "\"{}[]:,0Tuv";
#ifdef LODE_SANITIZED
    const size_t step = 5;
#else
    const size_t step = 1;
#endif
    for (size_t at = 8 + 34 + 16; at < 8 + head; at += step)
        for (size_t k = 0; k < sizeof others - 1; k += 3) {
            char digits[17];
            const unsigned char was = file[at];
            file[at] = (unsigned char)others[(at + k) % (sizeof others - 1)];
            memcpy(file + 8 + 34, "0000000000000000", 16);
            snprintf(digits, sizeof digits, "%016" PRIx64, lode_i_checksum(file + 8, head, head));
            memcpy(file + 8 + 34, digits, 16);
            rewind(changed);
            assert_int_equal(fwrite(file, 1, n, changed), n);
            assert_int_equal(fflush(changed), 0);
            file[at] = was;
            const lode_status st = lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &c);
            assert_true(st == LODE_OK || *lode_message(&f->ctx));
            lode_bundle_free(&c);
        }
    fclose(changed);
    free(file);
    lode_bundle_free(&b);
}

static void failing_allocations_are_survived(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 }, c = { 0 };
    model(f, &b);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t n = 1;; n++) {
            heap_fail(&f->heap, n);
            const lode_status st = pass ? lode_read(&f->ctx, files_path(f, "x.lode"), NULL, &c)
                                        : lode_write(&f->ctx, files_path(f, "x.lode"), &b,
                                                     &(lode_write_opts){ .force = true });
            const bool failed = heap_failed(&f->heap);
            heap_fail(&f->heap, 0);
            if (st != LODE_OK)
                assert_status(&f->ctx, st, LODE_ENOMEM);
            if (!failed)
                break;
        }
    files_same_bundle(&b, &c);
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void spilled_values_are_the_same(void **state)
{
    files *f = *state;
    static const int64_t shape[] = { 40, 50, 7 };
    lode_array a = files_array(f, LODE_F32, 3, shape, 3), b = { 0 }, part = { 0 };
    lode_source s = { 0 };
    const int64_t start[] = { 3, 10, 2 }, count[] = { 5, 11, 4 };
    assert_status(&f->ctx, lode_i_spill(&f->ctx, lode_from_array(&a), &s), LODE_EBUDGET);
    f->ctx.scratch = f->folder;
    assert_ok(&f->ctx, lode_i_spill(&f->ctx, lode_from_array(&a), &s));
    assert_ok(&f->ctx, lode_i_source_load(&f->ctx, &s, &b));
    files_same_array(&a, &b);
    assert_ok(&f->ctx, lode_i_source_read(&f->ctx, &s, start, count, LODE_F32, &part));
    for (int64_t i = 0; i < 5; i++)
        assert_memory_equal((float *)part.data + i * 44,
                            (float *)a.data + ((3 + i) * 50 + 10) * 7 + 2, 4 * sizeof(float));
    lode_source_close(&s);
    lode_array_free(&a), lode_array_free(&b), lode_array_free(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_come_back_as_members, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(a_result_is_read_by_its_name, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_stored_is_refused, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(no_lie_does_harm, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(spilled_values_are_the_same, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
