/* What every result must do: survive a file, keep its certificate, be caught when tampered with,
 * invert to the shape it stands for, whole and in parts. */
#include <math.h>

#include "fixture.h"
#include "lode/io.h"
#include "op/call.h"
#include "probe.h"
#include "sample.h"

typedef struct fix {
    lode_ctx ctx;
    sample s;
    lode_bundle result;
    char folder[256];
} fix;

static fix f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    if (lode_ctx_init(&f.ctx, NULL) < 0)
        return -1;
    lode_i_set_registry(&f.ctx, probe_registry());
    f.ctx.threads = 2;
    folder_make(f.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_free(&f.s);
    lode_bundle_free(&f.result);
    lode_ctx_free(&f.ctx);
    folder_remove(f.folder);
    return 0;
}

#define EACH_OP(op)                                                                                \
    for (int64_t op##_i = 0; op##_i < lode_op_count(&f.ctx); op##_i++)                             \
        for (const lode_op *op = lode_op_at(&f.ctx, op##_i); op; op = NULL)

static void must(const lode_op *op, lode_status st, const char *what)
{
    if (st < 0)
        fail_msg("%s, %s: %s: %s", op->name, what, lode_status_name(st), lode_message(&f.ctx));
}

static void run(const lode_op *op, lode_dtype dtype)
{
    must(op, sample_make(&f.ctx, op, &(sample_spec){ .seed = 21, .dtype = dtype }, &f.s), "sample");
    must(op, lode_call_run(&f.ctx, &f.s.call, &f.result), "run");
}

static void again(void)
{
    sample_free(&f.s);
    lode_bundle_free(&f.result);
}

static lode_value original(void)
{
    const lode_array *a = sample_input(&f.s);
    return a ? lode_from_array(a) : lode_none();
}

static void files_give_the_same_result_back(void **state)
{
    (void)state;
    static const char *const names[] = { "r.lode", "r.npz", "r" };
    EACH_OP(op) for (int d = LODE_F32; d <= LODE_C64; d++)
    {
        if (!sample_takes(op, (lode_dtype)d))
            continue;
        run(op, (lode_dtype)d);
        for (int k = 0; k < 3; k++) {
            char path[512];
            lode_bundle back = { 0 };
            snprintf(path, sizeof path, "%s/%s%s", f.folder, names[k], k == 2 ? "/" : "");
            if (!lode_format_keeps_results(NULL, path))
                continue; /* not in this build */
            must(op, lode_write(&f.ctx, path, &f.result, &(lode_write_opts){ .force = true }),
                 "write");
            must(op, lode_read(&f.ctx, path, NULL, &back), "read");
            if (!sample_same(&f.result, &back))
                fail_msg("%s: %s gave something else back", op->name, names[k]);
            assert_string_equal(back.meta.op, op->name);
            assert_string_equal(back.meta.options, f.result.meta.options);
            const lode_certificate *a = &f.result.certificate, *b = &back.certificate;
            assert_int_equal(a->kind, b->kind);
            if (a->kind != LODE_CERT_NONE) {
                assert_true(a->value == b->value || (isnan(a->value) && isnan(b->value)));
                assert_true(a->asked == b->asked || (isnan(a->asked) && isnan(b->asked)));
                assert_string_equal(a->quantity, b->quantity);
            }
            lode_bundle_free(&back);
            if (k == 2)
                folder_remove(path);
        }
        again();
    }
}

static void results_carry_the_declared_certificate(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        run(op, LODE_F64);
        assert_int_equal(f.result.certificate.kind, op->certificate);
        if (op->certificate != LODE_CERT_NONE) {
            assert_true(f.result.certificate.value >= 0);
            assert_true(*f.result.certificate.quantity);
        }
        again();
    }
}

static void verify_holds_on_what_was_made(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        if (!op->verify)
            continue;
        lode_certificate found = { 0 };
        run(op, LODE_F64);
        must(op, lode_verify(&f.ctx, &f.result, lode_none(), &found), "verify alone");
        must(op, lode_verify(&f.ctx, &f.result, original(), &found), "verify with the original");
        again();
    }
}

/* One value of each member changed by more than rounding: verify with the original must fail. */
static void tampering_is_caught(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        if (!op->verify)
            continue;
        run(op, LODE_F64);
        for (int64_t m = 0; m < f.result.count; m++) {
            const lode_value v = lode_bundle_value(&f.result, m);
            if (v.kind != LODE_ARRAY || lode_array_size(v.as.array) == 0 ||
                lode_dtype_class(v.as.array->dtype) != 'f')
                continue;
            lode_array *a = (lode_array *)(uintptr_t)v.as.array, keep = { 0 };
            lode_certificate found = { 0 };
            lode_stats all;
            const size_t bytes = lode_array_bytes(a);
            must(op, lode_array_cast(&f.ctx, a, a->dtype, &keep), "copy");
            must(op, lode_i_stats(&f.ctx, a, &all), "stats");
            const int64_t size = lode_array_size(a);
            lode_array flat = lode_array_wrap(a->data, a->dtype, 1, &size);
            lode_i_set1(&flat, 0, lode_i_get1(&flat, 0) + 0.5 * (all.maxabs > 0 ? all.maxabs : 1));
            const lode_status st = lode_verify(&f.ctx, &f.result, original(), &found);
            if (st >= 0)
                fail_msg("%s: a changed value of %s passed", op->name,
                         lode_bundle_name(&f.result, m));
            memcpy(a->data, keep.data, bytes);
            lode_array_free(&keep);
        }
        again();
    }
}

/* Every byte of a small file in turn: reading fails, or what was read is the same. */
static void damaged_files_are_caught(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        char path[512], bad[512];
        run(op, LODE_F32);
        snprintf(path, sizeof path, "%s/whole.lode", f.folder);
        snprintf(bad, sizeof bad, "%s/bad.lode", f.folder);
        must(op, lode_write(&f.ctx, path, &f.result, &(lode_write_opts){ .force = true }), "write");
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        static unsigned char bytes[1 << 20];
        const size_t n = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        for (size_t i = 0; i < n; i += 1 + n / 150) {
            lode_bundle back = { 0 };
            bytes[i] ^= 0x10;
            FILE *out = fopen(bad, "wb");
            assert_non_null(out);
            assert_int_equal(fwrite(bytes, 1, n, out), n);
            fclose(out);
            bytes[i] ^= 0x10;
            const lode_status st = lode_read(&f.ctx, bad, NULL, &back);
            if (st >= 0 && !sample_same(&f.result, &back))
                fail_msg("%s: byte %zu changed and not noticed", op->name, i);
            if (st < 0 && lode_status_exit(st) != 2)
                fail_msg("%s: byte %zu changed: %s: %s", op->name, i, lode_status_name(st),
                         lode_message(&f.ctx));
            lode_bundle_free(&back);
        }
        again();
    }
}

static void parts_agree_with_the_whole(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        if (!op->invert)
            continue;
        run(op, LODE_F64);
        const lode_meta *m = &f.result.meta;
        lode_array whole = { 0 }, piece = { 0 };
        assert_true(m->has_shape);
        must(op, lode_invert(&f.ctx, &f.result, lode_none(), NULL, &whole), "invert");
        assert_int_equal(whole.ndim, m->ndim);
        assert_int_equal(whole.dtype, m->dtype);
        lode_part part = { .ndim = m->ndim };
        for (int i = 0; i < m->ndim; i++) {
            assert_int_equal(whole.shape[i], m->shape[i]);
            part.start[i] = m->shape[i] / 3;
            part.count[i] = m->shape[i] / 3 + (m->shape[i] > 1);
            if (part.start[i] + part.count[i] > m->shape[i])
                part.count[i] = m->shape[i] - part.start[i];
        }
        must(op, lode_invert(&f.ctx, &f.result, lode_none(), &part, &piece), "part");
        lode_stats all;
        must(op, lode_i_stats(&f.ctx, &whole, &all), "stats");
        /* Products of parts may round otherwise than products of the whole. */
        const double slack = 1e4 * lode_i_epsilon(m->dtype) * (all.maxabs > 0 ? all.maxabs : 1);
        int64_t at[LODE_MAX_NDIM] = { 0 }, in_whole[LODE_MAX_NDIM];
        for (int64_t k = 0, n = lode_array_size(&piece); k < n; k++) {
            int64_t rest = k;
            for (int i = m->ndim - 1; i >= 0; i--) {
                at[i] = rest % piece.shape[i];
                rest /= piece.shape[i];
                in_whole[i] = at[i] + part.start[i];
            }
            assert_near(lode_array_get(&piece, at), lode_array_get(&whole, in_whole), slack);
        }
        lode_array_free(&whole);
        lode_array_free(&piece);
        again();
    }
}

#ifndef LODE_CORE /* which has no PNG to put in them */
static void pictures_are_drawn(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        if (!op->plot)
            continue;
        run(op, LODE_F64);
        for (int with = 0; with < 2; with++) {
            char path[512];
            lode_figure *figure = NULL;
            snprintf(path, sizeof path, "%s/figure.svg", f.folder);
            must(op, lode_figure_new(&f.ctx, &figure), "figure");
            must(op, lode_plot(&f.ctx, &f.result, with ? original() : lode_none(), figure), "plot");
            must(op, lode_figure_write(&f.ctx, figure, path, 400, with != 0, true), "write");
            lode_figure_free(&figure);
            snprintf(path, sizeof path, "%s/page.html", f.folder);
            must(op, lode_report(&f.ctx, &f.result, with ? original() : lode_none(), path, true),
                 "report");
            assert_status(&f.ctx, lode_report(&f.ctx, &f.result, lode_none(), path, false),
                          LODE_EEXIST);
        }
        again();
    }
}
#endif

/* Ports and array options of the sample's call. */
static int inputs_of(lode_input *in)
{
    int n = 0;
    while (lode_i_call_given(&f.s.call, n, &in[n].name, &in[n].value))
        n++;
    return n;
}

static void rerun_gives(const lode_op *op, const lode_bundle *made, const lode_input *in, int n,
                        lode_status want, const char *says)
{
    lode_bundle again = { 0 };
    const lode_status st = lode_rerun(&f.ctx, made, in, n, &again);
    if (st != want)
        fail_msg("%s: rerun gave %s: %s", op->name, lode_status_name(st), lode_message(&f.ctx));
    if (*says)
        assert_says(&f.ctx, says);
    lode_bundle_free(&again);
}

/* From its file, with 1 and 2 threads, from arrays and from sources. */
static void results_are_made_again_to_the_same_bits(void **state)
{
    (void)state;
    EACH_OP(op) for (int k = 0; k < 4; k++)
    {
        char path[512];
        lode_bundle made = { 0 };
        lode_input in[2 * LODE_MAX_PORTS];
        run(op, LODE_F64);
        must(op, lode_call_record(&f.ctx, &f.s.call, &f.result), "record");
        snprintf(path, sizeof path, "%s/made.lode", f.folder);
        must(op, lode_write(&f.ctx, path, &f.result, &(lode_write_opts){ .force = true }), "write");
        again();
        must(op,
             sample_make(&f.ctx, op,
                         &(sample_spec){ .seed = 21, .dtype = LODE_F64, .source = k % 2 != 0 },
                         &f.s),
             "sample");
        must(op, lode_open(&f.ctx, path, NULL, &made), "open");
        f.ctx.threads = 1 + k / 2;
        f.ctx.seed = 77; /* the file's own counts */
        const int n = inputs_of(in);
        rerun_gives(op, &made, in, n, LODE_OK, "");
        assert_int_equal(f.ctx.seed, 77);
        f.ctx.seed = 0;
        lode_bundle_free(&made);
        again();
    }
}

static void other_inputs_are_refused_and_changes_named(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        lode_input in[2 * LODE_MAX_PORTS];
        run(op, LODE_F64);
        must(op, lode_call_record(&f.ctx, &f.s.call, &f.result), "record");
        const int n = inputs_of(in);
        for (int64_t m = 0; m < f.result.count; m++) {
            const lode_value v = lode_bundle_value(&f.result, m);
            if (v.kind != LODE_ARRAY || lode_array_size(v.as.array) == 0)
                continue;
            lode_array *a = (lode_array *)(uintptr_t)v.as.array;
            unsigned char *byte = a->data;
            *byte ^= 1;
            rerun_gives(op, &f.result, in, n, LODE_DIFFERS, lode_bundle_name(&f.result, m));
            *byte ^= 1;
        }
        lode_array *x = (lode_array *)(uintptr_t)sample_input(&f.s);
        if (x && lode_dtype_class(x->dtype) == 'f') {
            ((unsigned char *)x->data)[0] ^= 1;
            rerun_gives(op, &f.result, in, n, LODE_EUSAGE, op->in[0].name);
        }
        again();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_give_the_same_result_back, setup, teardown),
        cmocka_unit_test_setup_teardown(results_carry_the_declared_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(verify_holds_on_what_was_made, setup, teardown),
        cmocka_unit_test_setup_teardown(tampering_is_caught, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_files_are_caught, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_agree_with_the_whole, setup, teardown),
#ifndef LODE_CORE
        cmocka_unit_test_setup_teardown(pictures_are_drawn, setup, teardown),
#endif
        cmocka_unit_test_setup_teardown(results_are_made_again_to_the_same_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(other_inputs_are_refused_and_changes_named, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
