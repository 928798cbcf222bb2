/* What tests of tensor decompositions share; OP, defined before, is the operation. */
#ifndef LODE_TESTS_FITTED_H
#define LODE_TESTS_FITTED_H

#include "linop/tensors.h"

#include "lode/lode.h"
#include "op/op.h"

typedef struct fix {
    lode_ctx ctx;
    heap memory;
    lode_array X, core;
    lode_bundle members, model; /* of the typed function; by name */
    lode_certificate cert;
} fix;

static fix f;

static int start(void)
{
    memset(&f, 0, sizeof f);
    const lode_allocator a = heap_of(&f.memory);
    if (lode_ctx_init(&f.ctx, &a) < 0)
        return -1;
    f.ctx.threads = 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    LODE_FREE(&f.X, &f.core, &f.members, &f.model);
    lode_ctx_free(&f.ctx);
    if (f.memory.live)
        print_error("%" PRId64 " blocks leaked\n", (int64_t)f.memory.live);
    return f.memory.live ? -1 : 0;
}

static void take(lode_array a)
{
    lode_array_swap(&f.X, &a);
    lode_array_free(&a);
}

/* Runs by name: options in pairs, ended by NULL. */
static lode_status by_name(const lode_array *X, const char *const *options, lode_bundle *model)
{
    lode_call call = { 0 };
    lode_status st = lode_call_init(&f.ctx, &OP, &call);
    for (int i = 0; st >= 0 && options[i]; i += 2)
        st = lode_call_set(&f.ctx, &call, options[i], options[i + 1]);
    if (st >= 0)
        st = lode_call_input(&f.ctx, &call, NULL, lode_from_array(X));
    if (st >= 0)
        st = lode_call_run(&f.ctx, &call, model);
    lode_call_free(&call);
    return st;
}
#define RUN(...) by_name(&f.X, (const char *const[]){ __VA_ARGS__, NULL }, &f.model)

/* One larger than the memory in f64, as a source: run() decomposes it within the budget, and checks
 * the ranks; then not even slabs fit, and the number that would do is named. */
static inline void check_out_of_core(lode_status (*run)(lode_value X),
                                     void (*check)(const int64_t *rank))
{
    static const int64_t shape[] = { 150, 250, 200 }, rank[] = { 3, 4, 5 }; /* 60 MB in f64 */
    lode_ctx outside;
    lode_array x = { 0 };
    lode_source s = { 0 };
    assert_ok(&outside, lode_ctx_init(&outside, NULL));
    x = tensor_planted(&outside, LODE_F32, 3, shape, rank, 0.01, 3);
    assert_ok(&outside, lode_i_source_from_array(&outside, &x, &s));
    s.concurrent = false;
    lode_ctx_set_memory(&f.ctx, UINT64_C(56) << 20);
    lode_ctx_memory_reset_peak(&f.ctx);
    assert_ok(&f.ctx, run(lode_from_source(&s)));
    assert_true(lode_ctx_memory_peak(&f.ctx) <= UINT64_C(56) << 20);
    check(rank);
    lode_ctx_set_memory(&f.ctx, UINT64_C(4) << 20);
    assert_status(&f.ctx, run(lode_from_source(&s)), LODE_EBUDGET);
    assert_says(&f.ctx, "would do");
    lode_source_close(&s);
    lode_array_free(&x);
    lode_ctx_free(&outside);
}

/* A change shows without the original too; flips: but not that of a sign in the first member. */
static inline void check_tampering(bool flips)
{
    lode_certificate found;
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found));
    assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found));
    assert_near(found.value, f.model.certificate.value, 1e-9);
    for (int64_t m = 0; m < f.model.count; m++) {
        lode_array *a = (lode_array *)(uintptr_t)lode_bundle_value(&f.model, m).as.array;
        const entry v = tensor_get(a, 1);
        /* in products of what is orthonormal, or in the norm */
        tensor_set(a, 1, v + 0.01 * tensor_norm(a));
        assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found), LODE_EVERIFY);
        assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found),
                      LODE_EVERIFY);
        if (flips) {
            tensor_set(a, 1, -v); /* a sign keeps the norm: only the original tells */
            if (m == 0)
                assert_ok(&f.ctx, lode_verify(&f.ctx, &f.model, lode_none(), &found));
            assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found),
                          LODE_EVERIFY);
        }
        tensor_set(a, 1, v);
    }
    f.model.certificate.value /= 2, f.model.certificate.absolute /= 2; /* a promise too good */
    assert_status(&f.ctx, lode_verify(&f.ctx, &f.model, lode_from_array(&f.X), &found),
                  LODE_EVERIFY);
}

static inline void figures_are_drawn(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {
        { 12, 0, 0, 0 }, { 12, 10, 0, 0 }, { 12, 10, 9, 0 }, { 5, 6, 4, 7 }, { 3, 1, 1, 0 }
    };
    for (int i = 0; i < 5; i++) {
        int d = 0;
        while (d < 4 && shapes[i][d])
            d++;
        lode_figure *figure = NULL;
        take(tensor_smooth(&f.ctx, i % 2 ? LODE_C64 : LODE_F64, d, shapes[i], 5));
        assert_ok(&f.ctx, RUN("error", "1e-2"));
        assert_ok(&f.ctx, lode_figure_new(&f.ctx, &figure));
        assert_ok(&f.ctx, lode_plot(&f.ctx, &f.model, lode_none(), figure));
        lode_figure_free(&figure);
        lode_bundle_free(&f.model);
    }
}

/* A shape and a number of modes that the members do not have. */
static inline void check_damaged(void)
{
    static const int64_t shape[] = { 5, 6, 7 };
    lode_array y = { 0 };
    take(tensor_normal(&f.ctx, LODE_F64, 3, shape, 1));
    assert_ok(&f.ctx, RUN("error", "0.3"));
    f.model.meta.shape[1] = 60;
    assert_status(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y), LODE_EFORMAT);
    f.model.meta.shape[1] = 6, f.model.meta.ndim = 2;
    assert_status(&f.ctx, lode_invert(&f.ctx, &f.model, lode_none(), NULL, &y), LODE_EFORMAT);
    lode_bundle_free(&f.model);
    snprintf(f.model.meta.op, sizeof f.model.meta.op, "%s", OP.name);
}

#endif
