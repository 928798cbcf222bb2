/* Every result that stands for an array answers questions: as its reconstruction says, within error
 * bars that hold of the original, the same for any number of threads, whatever allocation fails. */
#include <math.h>

#include "fixture.h"
#include "probe.h"
#include "sample.h"

typedef struct fix {
    lode_ctx ctx;
    heap memory;
    sample s;
    lode_bundle result;
    lode_array back, was, other; /* C128 */
    lode_answer a;
} fix;

static fix f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    const lode_allocator a = heap_of(&f.memory);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    lode_i_set_registry(&f.ctx, probe_registry());
    f.ctx.threads = 2;
    return 0;
}

static void again(void)
{
    sample_free(&f.s);
    LODE_FREE(&f.result, &f.back, &f.was, &f.other);
    lode_answer_free(&f.a);
}

static int teardown(void **state)
{
    (void)state;
    again();
    lode_ctx_free(&f.ctx);
    if (f.memory.live != 0)
        print_error("%" PRId64 " blocks leaked\n", (int64_t)f.memory.live);
    return f.memory.live == 0 ? 0 : -1;
}

static void must(const lode_op *op, lode_status st, const char *what)
{
    if (st < 0)
        fail_msg("%s, %s: %s: %s", op->name, what, lode_status_name(st), lode_message(&f.ctx));
}

#define EACH_OP(op)                                                                                \
    for (int64_t op##_i = 0; op##_i < lode_op_count(&f.ctx); op##_i++)                             \
        for (const lode_op *op = lode_op_at(&f.ctx, op##_i); op && op->invert; op = NULL)

/* A result, its reconstruction, and the original where it has the same shape. */
static void run(const lode_op *op, lode_dtype dtype)
{
    lode_array y = { 0 };
    must(op, sample_make(&f.ctx, op, &(sample_spec){ .seed = 33, .dtype = dtype }, &f.s), "sample");
    must(op, lode_call_run(&f.ctx, &f.s.call, &f.result), "run");
    must(op, lode_invert(&f.ctx, &f.result, lode_none(), NULL, &y), "invert");
    must(op, lode_array_cast(&f.ctx, &y, LODE_C128, &f.back), "cast");
    const lode_array *x = sample_input(&f.s);
    bool same = x && x->ndim == y.ndim && strcmp(op->name, "probe") != 0;
    for (int k = 0; same && k < y.ndim; k++)
        same = x->shape[k] == y.shape[k];
    if (same)
        must(op, lode_array_cast(&f.ctx, x, LODE_C128, &f.was), "cast");
    lode_array_free(&y);
}

/* Every third entry of the first axis, all but the first of the others. */
static lode_question some(lode_query_kind kind)
{
    lode_question q = { .kind = kind, .ndim = f.back.ndim };
    for (int k = 0; k < q.ndim; k++) {
        q.start[k] = f.back.shape[k] > 1, q.step[k] = k ? 1 : 3;
        q.count[k] = (f.back.shape[k] - 1 - q.start[k]) / q.step[k] + 1;
    }
    return q;
}

/* i-th entry of the question's ranges. */
static const double *at(const lode_array *a, const lode_question *q, int64_t i)
{
    int64_t place = 0, stride = 1;
    for (int k = q->ndim - 1; k >= 0; k--) {
        place += (q->start[k] + i % q->count[k] * q->step[k]) * stride;
        i /= q->count[k];
        stride *= a->shape[k];
    }
    return (const double *)a->data + 2 * place;
}

typedef struct number {
    double re, im;
} number;

static number brute(const lode_array *a, const lode_question *q, int64_t n, double *norm)
{
    number r = { 0, 0 };
    double sumsq = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *z = at(a, q, i);
        const double *w = f.other.data ? (const double *)f.other.data + 2 * i : NULL;
        const bool dot = q->kind == LODE_QUERY_DOT;
        r.re += dot ? z[0] * w[0] + z[1] * w[1] : z[0];
        r.im += dot ? z[1] * w[0] - z[0] * w[1] : z[1];
        sumsq += z[0] * z[0] + z[1] * z[1];
    }
    *norm = sqrt(sumsq);
    if (q->kind == LODE_QUERY_MEAN)
        r.re /= (double)n, r.im /= (double)n;
    if (q->kind == LODE_QUERY_NORM)
        r = (number){ *norm, 0 };
    return r;
}

static void answers_agree_with_the_reconstruction(void **state)
{
    (void)state;
    EACH_OP(op) for (int d = LODE_F32; d <= LODE_C64; d++)
    {
        if (!sample_takes(op, (lode_dtype)d))
            continue;
        run(op, (lode_dtype)d);
        const double eps = 1e3 * lode_i_epsilon(lode_i_arith(f.result.meta.dtype));
        for (int kind = 0; kind <= LODE_QUERY_DOT; kind++) {
            lode_question q = some((lode_query_kind)kind);
            int64_t n = 1;
            double norm = 0, norm_was = 0, whole = 0;
            for (int k = 0; k < q.ndim; k++)
                n *= q.count[k];
            must(op, lode_i_norm_fro(&f.ctx, &f.back, &whole), "norm");
            must(op,
                 lode_i_randn(&f.ctx, lode_i_stream(&f.ctx, "other", 3), LODE_C128, n, 1, &f.other),
                 "other");
            lode_array shaped = { 0 };
            must(op, lode_array_reshape(&f.ctx, &f.other, q.ndim, q.count, &shaped), "reshape");
            q.other = lode_from_array(&shaped);
            must(op, lode_query(&f.ctx, &f.result, &q, &f.a), "query");
            assert_true(*f.a.meaning);
            assert_int_equal(f.a.all_entries, lode_array_size(&f.back));
            assert_true(f.a.bytes <= f.a.all_bytes && f.a.all_bytes > 0);
            const bool bars = f.was.data && !isnan(f.a.error);
            if (kind == LODE_QUERY_VALUES) {
                lode_array wide = { 0 };
                must(op, lode_array_cast(&f.ctx, &f.a.values, LODE_C128, &wide), "cast");
                assert_int_equal(lode_array_size(&wide), n);
                for (int64_t i = 0; i < n; i++) {
                    const double *got = (const double *)wide.data + 2 * i, *y = at(&f.back, &q, i);
                    assert_near(got[0], y[0], eps * whole);
                    assert_near(got[1], y[1], eps * whole);
                    if (bars)
                        assert_le(
                            hypot(got[0] - at(&f.was, &q, i)[0], got[1] - at(&f.was, &q, i)[1]),
                            f.a.error);
                }
                lode_array_free(&wide);
            } else {
                const number y = brute(&f.back, &q, n, &norm);
                const double unit = kind == LODE_QUERY_SUM   ? (double)n
                                    : kind == LODE_QUERY_DOT ? f.a.other
                                                             : 1;
                assert_near(f.a.re, y.re, eps * unit * whole);
                assert_near(f.a.im, y.im, eps * unit * whole);
                if (bars) {
                    const number x = brute(&f.was, &q, n, &norm_was);
                    assert_le(hypot(f.a.re - x.re, f.a.im - x.im), f.a.error);
                }
            }
            lode_array_free(&shaped);
        }
        again();
    }
}

/* Exactly what the whole gives, and nothing outside. */
static void the_whole_is_asked_without_ranges(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        run(op, LODE_F64);
        lode_question q = { .kind = LODE_QUERY_NORM };
        double whole = 0;
        must(op, lode_query(&f.ctx, &f.result, &q, &f.a), "query");
        must(op, lode_i_norm_fro(&f.ctx, &f.back, &whole), "norm");
        assert_near(f.a.re, whole, 1e-9 * whole);
        assert_int_equal(f.a.count, lode_array_size(&f.back));
        q = (lode_question){ .ndim = f.back.ndim, .start = { f.back.shape[0] } };
        q.count[0] = 1;
        assert_status(&f.ctx, lode_query(&f.ctx, &f.result, &q, &f.a), LODE_EUSAGE);
        again();
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    EACH_OP(op)
    {
        run(op, LODE_F32);
        for (int kind = 0; kind < LODE_QUERY_DOT; kind++) {
            lode_answer one = { 0 };
            const lode_question q = some((lode_query_kind)kind);
            f.ctx.threads = 1;
            must(op, lode_query(&f.ctx, &f.result, &q, &one), "query");
            f.ctx.threads = 3;
            must(op, lode_query(&f.ctx, &f.result, &q, &f.a), "query");
            assert_memory_equal(&one.re, &f.a.re, sizeof one.re);
            assert_memory_equal(&one.error, &f.a.error, sizeof one.error);
            if (kind == LODE_QUERY_VALUES)
                assert_memory_equal(one.values.data, f.a.values.data,
                                    lode_array_bytes(&one.values));
            lode_answer_free(&one);
        }
        again();
    }
}

static void each_failed_allocation_is_survived(void **state)
{
    (void)state;
    EACH_OP(op) for (int kind = 0; kind <= LODE_QUERY_DOT; kind++)
    {
        run(op, LODE_F32);
        lode_question q = some((lode_query_kind)kind);
        must(op, lode_array_zeros(&f.ctx, LODE_F32, q.ndim, q.count, &f.other), "other");
        q.other = lode_from_array(&f.other);
        must(op, lode_query(&f.ctx, &f.result, &q, &f.a), "query"); /* threads and caches are up */
        int64_t step = 1;
        for (int64_t n = 1;; n += step) {
            lode_answer_free(&f.a);
            const int64_t live = f.memory.live;
            heap_fail(&f.memory, n);
            const lode_status st = lode_query(&f.ctx, &f.result, &q, &f.a);
            const bool failed = heap_failed(&f.memory);
            heap_fail(&f.memory, 0);
            if (!failed)
                break;
            if (st != LODE_ENOMEM || f.a.values.data || !*lode_message(&f.ctx))
                fail_msg("%s: allocation %" PRId64 " failed: %s: %s", op->name, n,
                         lode_status_name(st), lode_message(&f.ctx));
            if (f.memory.live > live)
                fail_msg("%s: allocation %" PRId64 " failed and leaked %" PRId64 " blocks",
                         op->name, n, (int64_t)f.memory.live - live);
            step = n < 200 ? 1 : 1 + n / 50;
        }
        again();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_agree_with_the_reconstruction, setup, teardown),
        cmocka_unit_test_setup_teardown(the_whole_is_asked_without_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failed_allocation_is_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
