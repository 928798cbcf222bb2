/* Addresses "file:member[slice]" and the choice of formats. */
#include "files.h"

/* Python's rule for one axis, by walking: which indices start:stop:step takes. */
static int walk(int64_t n, bool has_start, int64_t start, bool has_stop, int64_t stop, int64_t step,
                int64_t *taken)
{
    int count = 0;
    if (has_start && start < 0)
        start += n;
    if (has_stop && stop < 0)
        stop += n;
    for (int64_t i = step > 0 ? 0 : n - 1; i >= 0 && i<n; i += step> 0 ? 1 : -1) {
        const int64_t from = has_start ? (step > 0 ? (start < 0 ? 0 : start)
                                                   : (start >= n ? n - 1 : start))
                                       : (step > 0 ? 0 : n - 1);
        if (step > 0 ? i < from || (has_stop && i >= stop) : i > from || (has_stop && i <= stop))
            continue;
        if ((i - from) % step == 0)
            taken[count++] = i;
    }
    return count;
}

static void slices_take_what_python_takes(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 6 };
    int64_t taken[8];
    char spec[600];
    lode_bundle b = { 0 };
    assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, "one", 1));
    files_add(f, &b, "x", LODE_I32, 1, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    const int32_t *values = lode_bundle_value(&b, 1).as.array->data;
    for (int64_t start = -9; start <= 9; start++)
        for (int64_t stop = -9; stop <= 9; stop++)
            for (int64_t step = -3; step <= 3; step++) {
                lode_bundle c = { 0 };
                char from[8] = "", to[8] = "";
                if (step == 0 || (start + 2 * stop + 3 * step) % 5 != 0)
                    continue; /* a fifth of them, spread */
                if (start < 9)
                    snprintf(from, sizeof from, "%d", (int)start);
                if (stop < 9)
                    snprintf(to, sizeof to, "%d", (int)stop);
                snprintf(spec, sizeof spec, "%s/x.lode:x[%s:%s:%d]", f->folder, from, to,
                         (int)step);
                assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "y", &c));
                const lode_array *y = lode_bundle_value(&c, 0).as.array;
                const int n = walk(6, start < 9, start, stop < 9, stop, step, taken);
                if (y->shape[0] != n)
                    fail_msg("%s: %d values, not %d", spec, (int)y->shape[0], n);
                for (int i = 0; i < n; i++)
                    assert_int_equal(((const int32_t *)y->data)[i], values[taken[i]]);
                lode_bundle_free(&c);
            }
    lode_bundle_free(&b);
}

static void dots_stand_for_the_axes_between(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3, 4, 5 };
    static const struct {
        const char *slice;
        int64_t first; /* flat index of the first value */
        int ndim;
        int64_t shape[4];
    } cases[] = { { "...", 0, 4, { 2, 3, 4, 5 } },     { "1,...,2", 62, 2, { 3, 4 } },
                  { "...,1:3", 1, 4, { 2, 3, 4, 2 } }, { "0,1,2,...", 30, 1, { 5 } },
                  { "0,1,2,3,...", 33, 0, { 0 } },     { "0,...,1,:,1", 21, 1, { 4 } },
                  { "1", 60, 3, { 3, 4, 5 } },         { ":,2,...,::-1", 44, 3, { 2, 4, 5 } } };
    lode_bundle b = { 0 };
    char spec[600];
    files_add(f, &b, "x", LODE_F64, 4, shape);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.npy"), &b, NULL));
    const double *all = lode_bundle_value(&b, 0).as.array->data;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lode_bundle c = { 0 };
        snprintf(spec, sizeof spec, "%s/x.npy[%s]", f->folder, cases[i].slice);
        assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, "y", &c));
        const lode_array *y = lode_bundle_value(&c, 0).as.array;
        assert_int_equal(y->ndim, cases[i].ndim);
        for (int k = 0; k < y->ndim; k++)
            assert_int_equal(y->shape[k], cases[i].shape[k]);
        assert_memory_equal(y->data, all + cases[i].first, sizeof *all);
        lode_bundle_free(&c);
    }
    lode_bundle_free(&b);
}

static void check_spec(files *f, const char *spec, lode_status status, const char *says)
{
    char whole[700];
    lode_bundle c = { 0 };
    snprintf(whole, sizeof whole, "%s/%s", f->folder, spec);
    assert_status(&f->ctx, lode_read_value(&f->ctx, whole, NULL, true, "y", &c), status);
    if (status == LODE_OK) {
        if (says) { /* the value tells which member or file was read */
            const lode_value v = lode_bundle_value(&c, 0);
            assert_int_equal(v.kind, LODE_SCALAR);
            assert_int_equal(v.as.scalar->i, atoi(says));
        }
    } else {
        assert_int_equal(c.count, 0);
        assert_says(&f->ctx, says);
    }
    lode_bundle_free(&c);
}

static void put_scalars(files *f, const char *file, const char *const *names, int first)
{
    lode_bundle b = { 0 };
    for (int i = 0; names[i]; i++)
        assert_ok(&f->ctx, lode_bundle_add_i64(&f->ctx, &b, names[i], first + i));
    assert_ok(&f->ctx,
              lode_write(&f->ctx, files_path(f, file), &b, &(lode_write_opts){ .format = "lode" }));
    lode_bundle_free(&b);
}

static void what_exists_wins_over_punctuation(void **state)
{
    files *f = *state;
    static const char *const plain[] = { "a", "a[0]", "b:c", "core", NULL }, *const lone[] = {
        "only", NULL
    };
    put_scalars(f, "x.lode", plain, 10);
    put_scalars(f, "x.lode:a", lone, 20);
    put_scalars(f, "y[0].lode", lone, 30);
    put_scalars(f, "y:z.lode", lone, 40);
    check_spec(f, "x.lode:a", LODE_OK, "20"); /* a file, known by its content */
    assert_int_equal(remove(files_path(f, "x.lode:a")), 0);
    check_spec(f, "x.lode:core", LODE_OK, "13");
    check_spec(f, "x.lode:a[0]", LODE_OK, "11");
    check_spec(f, "x.lode:b:c", LODE_OK, "12");
    check_spec(f, "y[0].lode", LODE_OK, "30");
    check_spec(f, "y[0].lode:only", LODE_OK, "30");
    check_spec(f, "y:z.lode", LODE_OK, "40");
    check_spec(f, "y:z.lode:only", LODE_OK, "40");
    check_spec(f, "x.lode:core[0]", LODE_ETYPE, "scalar");
    check_spec(f, "x.lode:cor", LODE_ENOENT, "did you mean core?");
    check_spec(f, "x.lode:somethingelse", LODE_ENOENT, "it holds a, a[0], b:c, core");
    check_spec(f, "x.lode", LODE_EUSAGE, "a, a[0], b:c, core");
    check_spec(f, "nosuch.lode:a", LODE_ENOENT, "nosuch.lode");
    check_spec(f, "nosuch.lode[0]", LODE_ENOENT, "nosuch.lode");
    check_spec(f, "", LODE_ENOENT, "lode.json"); /* the folder itself */
}

static void slices_that_do_not_fit_are_refused(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 4, 64 };
    lode_bundle b = { 0 };
    files_add(f, &b, "x", LODE_F32, 2, shape);
    files_add(f, &b, "q", LODE_Q8, 2, shape);
    files_add_sparse(f, &b, "A", LODE_CSR);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "x.lode"), &b, NULL));
    check_spec(f, "x.lode:x[4]", LODE_ESHAPE, "index 4 is outside axis 0, which has 4 values");
    check_spec(f, "x.lode:x[0,-65]", LODE_ESHAPE, "-65");
    check_spec(f, "x.lode:x[0,0,0]", LODE_ESHAPE, "3 parts");
    check_spec(f, "x.lode:x[::0]", LODE_EUSAGE, "::0");
    check_spec(f, "x.lode:x[a]", LODE_EUSAGE, "'a'");
    check_spec(f, "x.lode:x[1:2:3:4]", LODE_EUSAGE, "1:2:3:4");
    check_spec(f, "x.lode:x[99999999999999999999]", LODE_EUSAGE, "99999999999999999999");
    check_spec(f, "x.lode:x[,]", LODE_EUSAGE, "[,]");
    check_spec(f, "x.lode:A[0]", LODE_ETYPE, "sparse");
    check_spec(f, "x.lode:q[0,3]", LODE_ESHAPE, "32");
    check_spec(f, "x.lode:q[1:3,32:]", LODE_OK, NULL);
    check_spec(f, "x.lode:x[]", LODE_OK, NULL);
    check_spec(f, "x.lode:x[ 1 , : ]", LODE_OK, NULL);
    check_spec(f, "x.lode:x[1 ,:]", LODE_OK, NULL);
    check_spec(f, "x.lode:x[1  ]", LODE_OK, NULL);
    check_spec(f, "x.lode:x[-9223372036854775808:9223372036854775807:9223372036854775807]", LODE_OK,
               NULL);
    check_spec(f, "x.lode:x[9223372036854775807:-9223372036854775808:-9223372036854775808]",
               LODE_OK, NULL);
    check_spec(f, "x.lode:A.values", LODE_OK, NULL); /* a part by its own name */
    lode_bundle_free(&b);
}

static void formats_are_found(void **state)
{
    files *f = *state;
    const char *suffixes = NULL;
    bool reads = false, writes = false;
    int count = 0, written = 0;
    while (lode_format_name(count, &suffixes, &reads, &writes)) {
        assert_true(reads && suffixes[0]);
        written += writes;
        count++;
    }
#ifdef LODE_CORE
    assert_true(count >= 5 && written >= 5); /* lode, npy, safetensors, raw values, folders */
#else
    assert_true(count >= 20 && written >= 17);
    assert_null(lode_format_name(-1, NULL, NULL, NULL));
    static const char *const kept[] = { "x.lode", "x.NPZ", "x.h5", "folder/" };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(lode_format_keeps_results(NULL, kept[i]) &&
                    lode_format_holds_many(NULL, kept[i]));
    assert_true(lode_format_keeps_results("npz", "x.npy") &&
                !lode_format_keeps_results("npy", "x.npz"));
#endif
    assert_true(lode_format_holds_many(NULL, "x.safetensors") &&
                !lode_format_keeps_results(NULL, "x.safetensors"));
    assert_false(lode_format_holds_many(NULL, "x.npy") || lode_format_holds_many(NULL, "folder"));
    const int64_t shape[] = { 4 };
    lode_bundle b = { 0 }, c = { 0 };
    files_add(f, &b, "array", LODE_F32, 1, shape);
    lode_write_opts o = { .format = "npz", .force = true };
    /* Found by content where the suffix says nothing. */
    static const char *const names[] = { "npy", "safetensors", "npz" };
    for (int k = 0; k < 2 + files_known(f, "x.npz"); k++) {
        o.format = names[k];
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "thing"), &b, &o));
        assert_ok(&f->ctx, lode_read(&f->ctx, files_path(f, "thing"), NULL, &c));
        files_same_value(lode_bundle_value(&b, 0), lode_bundle_value(&c, 0));
    }
    o.format = "np";
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "thing"), &b, &o), LODE_EUSAGE);
    assert_says(&f->ctx, "did you mean np");
    o.format = NULL;
    assert_status(&f->ctx, lode_write(&f->ctx, files_path(f, "thing.xyz"), &b, &o), LODE_EUSAGE);
    files_put(f, "odd", "what is this", 12);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "odd"), NULL, &c), LODE_EFORMAT);
    files_put(f, "odd", "", 0);
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "odd"), NULL, &c), LODE_EFORMAT);
    files_same_value(lode_bundle_value(&b, 0),
                     lode_bundle_value(&c, 0)); /* failures left it alone */
    lode_bundle_free(&b), lode_bundle_free(&c);
}

static void raw_files_need_words(void **state)
{
    files *f = *state;
    lode_bundle b = { 0 };
    files_put(f, "x.raw", "0123456789abcdefghijklmn", 24);
    lode_read_opts o = { 0 };
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.raw"), &o, &b), LODE_EUSAGE);
    o.dtype = "f3";
    assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.raw"), &o, &b), LODE_EUSAGE);
    o.dtype = "float32";
    static const struct {
        int ndim;
        int64_t shape[2];
        lode_status status;
        int64_t rows;
    } cases[] = {
        { 0, { 0 }, LODE_OK, 6 },          { 2, { 2, 3 }, LODE_OK, 2 },
        { 2, { -1, 3 }, LODE_OK, 2 },      { 2, { 2, -1 }, LODE_OK, 2 },
        { 2, { -1, -1 }, LODE_EUSAGE, 0 }, { 2, { 2, 4 }, LODE_EFORMAT, 0 },
        { 2, { -1, 4 }, LODE_EFORMAT, 0 }, { 2, { -1, 0 }, LODE_EFORMAT, 0 },
        { 1, { -2 }, LODE_EFORMAT, 0 },    { 2, { INT64_MAX, INT64_MAX }, LODE_EFORMAT, 0 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o.ndim = cases[i].ndim;
        memcpy(o.shape, cases[i].shape, sizeof cases[i].shape);
        assert_status(&f->ctx, lode_read(&f->ctx, files_path(f, "x.raw"), &o, &b), cases[i].status);
        if (cases[i].status == LODE_OK) {
            assert_int_equal(lode_bundle_value(&b, 0).as.array->shape[0], cases[i].rows);
            files_little(LODE_F32, lode_bundle_value(&b, 0).as.array->data, 24);
            assert_memory_equal(lode_bundle_value(&b, 0).as.array->data, "0123456789abcdefghijklmn",
                                24);
        }
    }
    lode_bundle_free(&b);
}

/* Files 0 to 11, each of 2 x 3 values 10 i .. 10 i + 5. */
static void several_files_are_one_array(void **state)
{
    files *f = *state;
    const int64_t shape[] = { 2, 3 };
    char list[4000] = "# all of them\n\n", spec[700], name[32];
    for (int i = 0; i < 12; i++) {
        lode_bundle b = { 0 };
        files_add(f, &b, "x", LODE_F64, 2, shape);
        for (int k = 0; k < 6; k++)
            ((double *)lode_bundle_value(&b, 0).as.array->data)[k] = 10 * i + k;
        snprintf(name, sizeof name, "r%02d.%s", i, i % 2 ? "safetensors" : "npy");
        assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, name), &b, NULL));
        snprintf(spec, sizeof spec, "%s%s\r\n", f->path, i % 2 ? ":x[::-1]" : "[1:,:] ");
        if (i % 2 == 0)
            strcat(list, spec);
        lode_bundle_free(&b);
    }
    files_put(f, "list.txt", list, strlen(list));
    static const struct {
        const char *spec;
        int64_t shape[3];
        int ndim;
        double first, last;
    } cases[] = {
        { "%s/r*.npy", { 6, 2, 3 }, 3, 0, 105 },
        { "%s/r*.safetensors:x", { 6, 2, 3 }, 3, 10, 115 },
        { "%s/r*.safetensors:x[1,::-1]", { 6, 3 }, 2, 15, 113 },
        { "%s/r?0.npy[0]", { 2, 3 }, 2, 0, 102 },
        { "@%s/list.txt", { 6, 1, 3 }, 3, 3, 105 },
        { "@%s/list.txt[2:4,0]", { 2, 3 }, 2, 43, 65 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int load = 0; load < 2; load++) {
            lode_bundle b = { 0 };
            lode_array a = { 0 };
            lode_source s = { 0 };
            bool owned = false;
            snprintf(spec, sizeof spec, cases[i].spec, f->folder);
            assert_ok(&f->ctx, lode_read_value(&f->ctx, spec, NULL, load, NULL, &b));
            assert_string_equal(lode_bundle_name(&b, 0), "stack");
            assert_ok(&f->ctx, lode_i_as_source(&f->ctx, lode_bundle_value(&b, 0), &s, &owned));
            assert_ok(&f->ctx, lode_i_source_load(&f->ctx, &s, &a));
            assert_int_equal(a.ndim, cases[i].ndim);
            for (int k = 0; k < a.ndim; k++)
                assert_int_equal(a.shape[k], cases[i].shape[k]);
            assert_true(((double *)a.data)[0] == cases[i].first);
            assert_true(((double *)a.data)[lode_array_size(&a) - 1] == cases[i].last);
            if (owned)
                lode_source_close(&s);
            LODE_FREE(&a, &b);
        }
    lode_bundle b = { 0 };
    snprintf(spec, sizeof spec, "%s/q*.npy", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_ENOENT);
    assert_says(&f->ctx, "no file matches");
    const int64_t other[] = { 3, 2 };
    files_add(f, &b, "x", LODE_F64, 2, other);
    assert_ok(&f->ctx, lode_write(&f->ctx, files_path(f, "r99.npy"), &b, NULL));
    snprintf(spec, sizeof spec, "%s/r*.npy", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_ESHAPE);
    assert_says(&f->ctx, "r99.npy is 3 x 2 f64, and ");
    assert_says(&f->ctx, "r00.npy is 2 x 3 f64");
    strcat(list, files_path(f, "r99.npy"));
    files_put(f, "odd.txt", list, strlen(list));
    snprintf(spec, sizeof spec, "@%s/odd.txt", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_ESHAPE);
    assert_says(&f->ctx, "r99.npy is 3 x 2 f64, and ");
    assert_says(&f->ctx, "r00.npy[1:,:] is 1 x 3 f64");
    files_put(f, "lost.txt", "nowhere.npy\n", 12);
    snprintf(spec, sizeof spec, "@%s/lost.txt", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_ENOENT);
    assert_says(&f->ctx, "lost.txt, file 1 of it: no file nowhere.npy");
    files_put(f, "none.txt", "# nothing\n", 10);
    snprintf(spec, sizeof spec, "@%s/none.txt", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_EFORMAT);
    snprintf(spec, sizeof spec, "@%s/nosuch.txt", f->folder);
    assert_status(&f->ctx, lode_read_value(&f->ctx, spec, NULL, true, NULL, &b), LODE_ENOENT);
    assert_int_equal(b.count, 1);
    lode_bundle_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slices_take_what_python_takes, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(dots_stand_for_the_axes_between, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(what_exists_wins_over_punctuation, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(slices_that_do_not_fit_are_refused, files_setup,
                                        files_teardown),
        cmocka_unit_test_setup_teardown(several_files_are_one_array, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(formats_are_found, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(raw_files_need_words, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
