/* A tensor by slabs against a train: its coefficients in the train's rows, its residual. */
#include "linop/tt_run.h"

#include <math.h>
#include <string.h>

/* The rows of mode k that a slab covers. */
static lode_status cores_over(lode_ctx *ctx, const lode_i_slabs *s, int64_t start,
                              const lode_array *slab, int k, const lode_array *core,
                              lode_array *part)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 };
    const int64_t from = k == s->axis ? start : 0;
    LODE_TRY(lode_array_slice(ctx, core, 1, from, from + slab->shape[k], 1, &view));
    LODE_TRY(lode_i_as(ctx, &view, view.dtype, part));
done:
    LODE_FREE(&view);
    return st;
}

/* One mode after the other, from the last: slab times the conjugate of the train's rows. */
static lode_status contract(lode_ctx *ctx, const lode_i_slabs *s, int64_t start,
                            const lode_array *core, lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array A = { 0 }, C = { 0 }, M = { 0 }, y = { 0 };
    const int d = s->ndim;
    int64_t left = lode_array_size(slab);
    for (int k = 1; k < d; k++)
        left = left / lode_i_max(slab->shape[k], 1);
    A = lode_array_ref(slab);
    for (int k = d - 1; k >= 1; k--) {
        LODE_TRY(cores_over(ctx, s, start, slab, k, &core[k], &C));
        LODE_TRY(lode_i_tt_rows(ctx, &C, &M));
        const int64_t rest = lode_array_size(&A) / lode_i_max(M.shape[1], 1);
        LODE_TRY(lode_array_reshape(ctx, &A, 2, (const int64_t[]){ rest, M.shape[1] }, &A));
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_H, &A, &M, &y));
        lode_array_swap(&A, &y);
        LODE_FREE(&y, &C, &M);
    }
    LODE_TRY(lode_array_reshape(ctx, &A, 2, (const int64_t[]){ left, d > 1 ? core[0].shape[2] : 1 },
                                slab));
done:
    LODE_FREE(&A, &C, &M, &y);
    return st;
}

static lode_status fits(lode_ctx *ctx, const lode_i_slabs *s, int d, const lode_array *core,
                        int from)
{
    LODE_FORWARD(lode_i_tt_check(ctx, d, core, NULL, s->name));
    if (s->ndim != d)
        return lode_i_fail(ctx, LODE_ESHAPE, "%s has %d modes, the train %d", s->name, s->ndim, d);
    for (int k = from; k < d; k++)
        if (s->shape[k] != core[k].shape[1])
            return lode_i_fail(ctx, LODE_ESHAPE,
                               "%s has %" PRId64 " values along mode %d, the train %" PRId64,
                               s->name, s->shape[k], k, core[k].shape[1]);
    return LODE_OK;
}

lode_status lode_i_tt_project(lode_ctx *ctx, lode_value X, int d, const lode_array *core,
                              const char *name, lode_array *codes, double *norm)
{
    lode_status st = LODE_OK;
    lode_i_slabs s = { 0 };
    lode_i_seen seen = { 0 };
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, slab = { 0 }, all = { 0 }, part = { 0 };
    double next = 0; /* slab */
    lode_i_step step = {
        .site = "train's codes", .number = &next, .count = 1, .n = 1, .array = { &all }
    };
    bool found = false;
    LODE_TRY(lode_i_slabs_open(ctx, X, name, &s));
    LODE_TRY(fits(ctx, &s, d, core, 1));
    LODE_TRY(lode_i_tt_as(ctx, d, core, s.work, c));
    const int64_t m = s.shape[0];
    LODE_TRY(lode_array_zeros(ctx, s.work, 2, (const int64_t[]){ m, d > 1 ? core[0].shape[2] : 1 },
                              &all));
    LODE_TRY(lode_i_restore(ctx, &step, &found));
    step.middle = true;
    for (bool more = !found; more;)
        LODE_TRY(lode_i_restore(ctx, &step, &more));
    for (int64_t i = (int64_t)next; i < s.count; i++) {
        const int64_t start = i * s.rows;
        LODE_TRY(lode_i_tick(ctx, i, s.count));
        next = (double)i;
        if (i > 0 && lode_i_checkpoint_due(ctx, (double)lode_array_bytes(&all)))
            LODE_TRY(lode_i_keep(ctx, &step));
        LODE_TRY(lode_i_slab(ctx, &s, i, &seen, &slab));
        LODE_TRY(contract(ctx, &s, start, c, &slab));
        if (s.axis == 0) {
            part = lode_i_rows(&all, start, start + slab.shape[0]);
            LODE_TRY(lode_array_copy_into(ctx, &slab, &part));
            lode_array_free(&part);
        } else {
            LODE_TRY(lode_i_axpy(ctx, 1, &slab, &all));
        }
    }
    step.middle = false, next = (double)s.count;
    if (!found)
        LODE_TRY(lode_i_keep(ctx, &step));
    LODE_TRY(lode_i_as(ctx, &all, core[0].dtype, &slab));
    LODE_TRY(lode_i_tt_core(ctx, &slab, 1, m, all.shape[1], codes));
    if (norm)
        *norm = sqrt(seen.sumsq);
done:
    lode_i_tt_free(LODE_MAX_NDIM, c);
    LODE_FREE(&slab, &all, &part);
    lode_i_slabs_close(&s);
    return st;
}

lode_status lode_i_tt_residual(lode_ctx *ctx, lode_value X, int d, const lode_array *core,
                               const char *name, double *error, double *norm)
{
    lode_status st = LODE_OK;
    lode_i_slabs s = { 0 };
    lode_i_seen seen = { 0 };
    struct {
        lode_diff_run differences;
        int64_t next; /* slab */
    } at = { .next = 0 };
    bool done = false;
    lode_array c[LODE_MAX_NDIM] = { { 0 } }, slab = { 0 }, y = { 0 };
    double held;
    LODE_TRY(lode_i_slabs_open(ctx, X, name, &s));
    LODE_TRY(fits(ctx, &s, d, core, 0));
    LODE_TRY(lode_i_tt_as(ctx, d, core, s.work, c));
    LODE_TRY(lode_i_norm_fro(ctx, &c[0], &held));
    if (held > 1e100 || (held > 0 && held < 1e-100)) { /* squares that leave the range of f64 */
        int e = 0;
        frexp(held, &e);
        s.scale = ldexp(1, e > 1000 ? -1000 : e < -1000 ? 1000 : -e);
        LODE_TRY(lode_array_cast(ctx, &c[0], s.work, &y)); /* never the caller's */
        lode_array_swap(&c[0], &y);
        LODE_TRY(lode_i_scale(ctx, s.scale, &c[0]));
    }
    LODE_TRY(lode_i_restore_pass(ctx, "residual of a train", &at, sizeof at, &done));
    for (int64_t i = at.next; i < s.count; i++) {
        int64_t start[LODE_MAX_NDIM] = { 0 };
        LODE_TRY(lode_i_tick(ctx, i, s.count));
        LODE_TRY(lode_i_slab(ctx, &s, i, &seen, &slab));
        start[s.axis] = i * s.rows;
        LODE_TRY(lode_i_tt_expand(ctx, d, c, start, slab.shape, NULL, &y));
        LODE_TRY(lode_i_diff_push(ctx, &at.differences, &slab, &y));
        at.next = i + 1;
        LODE_TRY(lode_i_keep_pass(ctx, "residual of a train", &at, sizeof at, at.next == s.count));
    }
    *error = sqrt(lode_i_diff_result(&at.differences).sumsq) / s.scale;
    *norm = sqrt(lode_i_diff_result(&at.differences).ref_sumsq) / s.scale;
done:
    lode_i_tt_free(LODE_MAX_NDIM, c);
    LODE_FREE(&slab, &y);
    lode_i_slabs_close(&s);
    return st;
}
