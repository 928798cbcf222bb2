/* A result as a page: all of it is there, markup in names is text, failures leave no file. */
#include "fixture.h"

#include "op/call.h"

typedef struct fix {
    lode_ctx ctx;
    heap h;
    lode_array x;
    lode_bundle made;
    char path[200];
} fix;

static int setup(void **state)
{
    static fix f;
    lode_call call = { 0 };
    static const double values[] = { 3, 1, 2, -1, 0, 5, 4, 4, 1, 0, 2, 2 };
    const int64_t shape[] = { 4, 3 };
    memset(&f, 0, sizeof f);
    *state = &f;
    const lode_allocator a = heap_of(&f.h);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.threads = 1;
    assert_ok(&f.ctx, lode_array_new(&f.ctx, LODE_F64, 2, shape, &f.x));
    memcpy(f.x.data, values, sizeof values);
    assert_ok(&f.ctx, lode_call_init(&f.ctx, lode_op_find(&f.ctx, "svd"), &call));
    assert_ok(&f.ctx, lode_call_set(&f.ctx, &call, "rank", "2"));
    assert_ok(&f.ctx, lode_call_input(&f.ctx, &call, NULL, lode_from_array(&f.x)));
    assert_ok(&f.ctx, lode_call_make(&f.ctx, &call, &f.made));
    lode_call_free(&call);
    assert_ok(&f.ctx, lode_bundle_add_text(&f.ctx, &f.made, "<b>&\"", "x"));
    snprintf(f.path, sizeof f.path, "/tmp/lode-report-%d.html", (int)getpid());
    return 0;
}

static int teardown(void **state)
{
    fix *f = *state;
    unlink(f->path);
    lode_bundle_free(&f->made);
    LODE_FREE(&f->x);
    lode_ctx_free(&f->ctx);
    return f->h.live == 0 ? 0 : -1;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        n++;
    return n;
}

static void everything_is_on_the_page(void **state)
{
    fix *f = *state;
    static char text[1 << 20];
    assert_ok(&f->ctx, lode_report(&f->ctx, &f->made, lode_none(), f->path, false));
    FILE *file = fopen(f->path, "rb");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_true(size > 5000 && size < sizeof text - 1);
    assert_int_equal(count(text, "role=\"img\""), 2);
    assert_int_equal(count(text, "<h1>svd</h1>"), 1);
    assert_int_equal(count(text, "lode svd A --rank 2 -o RESULT"), 1);
    assert_int_equal(count(text, f->made.meta.input_hash), 1);
    char proof[512];
    lode_certificate_print(&f->made.certificate, proof, sizeof proof);
    assert_true(count(text, proof) >= 1);
    for (int64_t i = 0; i + 1 < f->made.count; i++) {
        char name[80];
        snprintf(name, sizeof name, "<code>%s</code></th>", lode_bundle_name(&f->made, i));
        assert_int_equal(count(text, name), 1);
    }
    assert_int_equal(count(text, "<b>"), 0);
    assert_int_equal(count(text, "&#60;b&#62;&#38;&#34;"), 1);
    assert_int_equal(count(text, "src="), 0); /* nothing is fetched */
    assert_status(&f->ctx, lode_report(&f->ctx, &f->made, lode_none(), f->path, false),
                  LODE_EEXIST);
}

static void other_bundles_are_refused(void **state)
{
    fix *f = *state;
    const lode_bundle plain = { 0 };
    assert_status(&f->ctx, lode_report(&f->ctx, &plain, lode_none(), f->path, true), LODE_EUSAGE);
    assert_says(&f->ctx, "records no operation");
    lode_i_free(f->made.meta.options);
    assert_ok(&f->ctx, lode_i_strdup(&f->ctx, "no", &f->made.meta.options));
    assert_status(&f->ctx, lode_report(&f->ctx, &f->made, lode_none(), f->path, true),
                  LODE_EFORMAT);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void failed_allocations_are_survived(void **state)
{
    fix *f = *state;
    for (int64_t n = 1;; n++) {
        const int64_t live = f->h.live;
        heap_fail(&f->h, n);
        const lode_status st = lode_report(&f->ctx, &f->made, lode_none(), f->path, true);
        const bool failed = heap_failed(&f->h);
        heap_fail(&f->h, 0);
        assert_int_equal(f->h.live, live);
        if (!failed)
            break;
        assert_int_equal(st, LODE_ENOMEM);
        assert_int_equal(access(f->path, F_OK), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_is_on_the_page, setup, teardown),
        cmocka_unit_test_setup_teardown(other_bundles_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_allocations_are_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
