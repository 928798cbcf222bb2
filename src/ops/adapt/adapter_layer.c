/* One layer of adapter: a matrix read in slabs, and its leading singular triplets. */
#include <math.h>
#include <string.h>

#include "ops/adapt/adapter.h"

enum {
    SLAB = 1 << 21, /* values read at a time */
    SIDE = 512,     /* shorter side up to which all triplets cost no more than a few */
};
/* Of the singular values that an iteration gives: their squares then leave the error of the rank's
 * approximation within 1e-3 of the least. */
#define VALUES_TOL 1e-3

static int64_t slab_rows(int64_t rows, int64_t cols)
{
    return lode_i_min(lode_i_max(1, SLAB / lode_i_max(cols, 1)), lode_i_max(rows, 1));
}

uint64_t lode_i_adapter_slab(lode_dtype dtype, int64_t rows, int64_t cols)
{
    /* as stored, up to 8 bytes a value, and converted */
    return lode_i_bytes(dtype, slab_rows(rows, cols), cols) +
           lode_i_bytes(LODE_F64, slab_rows(rows, cols), cols) + 4096;
}

/* The value as a source of rows by all other axes. */
static lode_status as_matrix(lode_ctx *ctx, lode_value v, lode_source *s, bool *owned,
                             lode_source *m)
{
    LODE_FORWARD(lode_i_as_source(ctx, v, s, owned));
    return lode_i_source_matrix(ctx, s, 1, m);
}

static lode_status each_slab(lode_ctx *ctx, const char *name, bool first, double alpha,
                             lode_value v, lode_array *D, double *norm)
{
    lode_status st = LODE_OK;
    lode_source s = { 0 }, m = { 0 };
    lode_array slab = { 0 }, to = { 0 };
    bool owned = false;
    double sum = 0, one = 0;
    const int64_t rows = D->shape[0], step = slab_rows(rows, D->shape[1]);
    LODE_TRY(as_matrix(ctx, v, &s, &owned, &m));
    for (int64_t r = 0; r < rows; r += step) {
        const int64_t stop = lode_i_min(r + step, rows);
        LODE_TRY(lode_i_source_rows(ctx, &m, r, stop, D->dtype, &slab));
        lode_array_free(&to);
        to = lode_i_rows(D, r, stop);
        LODE_TRY(first ? lode_array_copy_into(ctx, &slab, &to)
                       : lode_i_axpy(ctx, alpha, &slab, &to));
        LODE_TRY(lode_i_norm_fro(ctx, &slab, &one));
        if (!isfinite(one))
            LODE_TRY(lode_i_require_finite(ctx, &slab, name));
        sum = hypot(sum, one);
    }
    if (norm)
        *norm = sum;
done:
    LODE_FREE(&m);
    if (owned)
        LODE_FREE(&s);
    LODE_FREE(&slab, &to);
    return st;
}

lode_status lode_i_adapter_load(lode_ctx *ctx, const char *name, lode_value value, int64_t rows,
                                int64_t cols, lode_dtype dtype, lode_array *D, double *norm)
{
    LODE_FORWARD(lode_i_matrix_new(ctx, dtype, rows, cols, D));
    return each_slab(ctx, name, true, 1, value, D, norm);
}

lode_status lode_i_adapter_add(lode_ctx *ctx, const char *name, double alpha, lode_value value,
                               lode_array *D, double *norm)
{
    return each_slab(ctx, name, false, alpha, value, D, norm);
}

int64_t lode_i_break_even(int64_t rows, int64_t cols)
{
    return (int64_t)((double)rows * (double)cols / (double)(rows + cols));
}

/* ---- singular triplets ---- */

static bool takes_all(int64_t rows, int64_t cols, int64_t most)
{
    const int64_t side = lode_i_min(rows, cols);
    return side <= SIDE || 4 * most >= side;
}

static lode_svds_opts iteration(const lode_i_want *w, double scale, int64_t rows, int64_t cols)
{
    lode_svds_opts o = { .rank = w->most, .fused = true, .tol = VALUES_TOL, .op = "adapter" };
    if (w->tail >= 0)
        o.tail = fmax(w->tail * scale, 1e-300);
    lode_i_svds_sizes(&o, rows, cols, false);
    return o;
}

uint64_t lode_i_adapter_svd_room(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols,
                                 int64_t most, bool open)
{
    const int64_t side = lode_i_min(rows, cols);
    const uint64_t mn = lode_i_bytes(dtype, rows, cols), rr = lode_i_bytes(dtype, side, side);
    const lode_i_want w = { .most = most, .tail = open ? 0 : -1 };
    const lode_array like = { .dtype = dtype, .ndim = 2, .shape = { rows, cols } };
    const uint64_t triplets = 2 * lode_i_bytes(dtype, rows + cols + 1, lode_i_min(most, side));
    if (takes_all(rows, cols, most))
        return 6 * mn + 14 * rr + 3 * lode_i_bytes(dtype, rows + cols, side) + triplets + 65536;
    const lode_svds_opts o = iteration(&w, 1, rows, cols);
    return mn + lode_i_svds_memory(ctx, &o, lode_from_array(&like)) + triplets;
}

/* The smallest rank whose tail is within the error; s has all values that are not zero, or rest. */
static int64_t tail_rank(const lode_array *s, double rest, double tail)
{
    int64_t k = s->shape[0];
    for (; k > 1; k--) {
        rest = hypot(rest, lode_i_get1(s, k - 1));
        if (rest > tail)
            break;
    }
    return k;
}

static lode_status cut(lode_ctx *ctx, int64_t k, lode_array *U, lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, copy = { 0 };
    for (int i = 0; i < 3; i++) {
        lode_array *x = i == 0 ? U : i == 1 ? s : V;
        if (!x || x->shape[x->ndim - 1] <= k)
            continue;
        LODE_TRY(lode_array_slice(ctx, x, x->ndim - 1, 0, k, 1, &part));
        LODE_TRY(lode_array_cast(ctx, &part, x->dtype, &copy));
        lode_array_swap(x, &copy);
        LODE_FREE(&part, &copy);
    }
done:
    LODE_FREE(&part, &copy);
    return st;
}

lode_status lode_i_adapter_svd(lode_ctx *ctx, const lode_array *D, double norm,
                               const lode_i_want *w, lode_array *U, lode_array *s, lode_array *V)
{
    lode_status st = LODE_OK;
    lode_linop *op = NULL;
    lode_array scaled = { 0 };
    const int64_t rows = D->shape[0], cols = D->shape[1];
    const int64_t side = lode_i_min(rows, cols), most = lode_i_min(w->most, side);
    const double scale = lode_i_safe_scale(D->dtype, norm);
    lode_i_want want = { .most = most, .tail = w->relative ? w->tail * norm : w->tail };
    if (scale > 1 || scale < 1) {
        LODE_TRY(lode_array_cast(ctx, D, D->dtype, &scaled));
        LODE_TRY(lode_i_scale(ctx, scale, &scaled));
        D = &scaled;
    }
    if (takes_all(rows, cols, w->most)) {
        LODE_TRY(lode_i_svd(ctx, D, want.tail >= 0 ? side : most, U, s, V));
        const int64_t k = want.tail >= 0 ? tail_rank(s, 0, want.tail * scale) : most;
        LODE_TRY(cut(ctx, lode_i_min(k, most), U, s, V));
        if (U)
            LODE_TRY(lode_i_canonical_signs(ctx, U, V));
    } else {
        const lode_svds_opts o = iteration(&want, scale, rows, cols);
        lode_svds_info info;
        LODE_TRY(lode_linop_from(ctx, lode_from_array(D), &op));
        LODE_TRY(lode_i_svds(ctx, op, &o, U, s, V, &info));
    }
    if (scale > 1 || scale < 1)
        LODE_TRY(lode_i_scale(ctx, 1 / scale, s));
done:
    LODE_FREE(&op, &scaled);
    return st;
}
