/* A tensor by slabs. Every pass over the data cuts it at the same places, whether it lies in memory
 * or in a file, so the same products are made of the same numbers and the bits agree. */
#include "linop/tucker.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SLAB_LEAST = 1 << 18, SLAB_MOST = 1 << 22, SLABS = 32, LONG_MODE = 2048 };

/* Axis 0, which files store slowest. Another one where a row of axis 0 is too large or where a mode
 * is too long for a Gram matrix: the slab axis is decomposed last, when the others are short. */
void lode_i_slab_cut(lode_dtype work, int ndim, const int64_t *shape, int *axis, int64_t *rows)
{
    double bytes = (double)lode_dtype_size(work), wanted;
    int longest = 0;
    for (int k = 0; k < ndim; k++) {
        bytes *= (double)shape[k];
        if (shape[k] > shape[longest])
            longest = k;
    }
    /* half as large as the Gram matrix of the longest mode: adding up the slabs' own costs little */
    const double n = ndim ? (double)lode_i_min(shape[longest], LONG_MODE) : 0,
                 most = fmax(SLAB_MOST, 0.5 * n * n * (double)lode_dtype_size(work));
    wanted = bytes / SLABS < SLAB_LEAST ? SLAB_LEAST : fmin(bytes / SLABS, most);
    *axis = 0;
    if (ndim > 1 && shape[0] <= LONG_MODE &&
        (shape[longest] > LONG_MODE || bytes / (double)lode_i_max(shape[0], 1) > wanted))
        *axis = longest;
    const double row = bytes / (double)lode_i_max(shape[*axis], 1);
    const int64_t fit = row > 0 ? (int64_t)(wanted / row) : shape[*axis];
    const int64_t slabs = lode_i_ceil_div(lode_i_max(shape[*axis], 1), lode_i_max(fit, 1));
    *rows = lode_i_ceil_div(lode_i_max(shape[*axis], 1), slabs); /* slabs of about equal size */
}

lode_status lode_i_slabs_open(lode_ctx *ctx, lode_value X, const char *name, lode_i_slabs *s)
{
    lode_status st = LODE_OK;
    lode_dtype dtype;
    *s = (lode_i_slabs){ .scale = 1, .name = name ? name : "X" };
    LODE_REQUIRE(lode_i_value_shape(X, &dtype, &s->ndim, s->shape) &&
                     (X.kind == LODE_ARRAY || X.kind == LODE_SOURCE),
                 LODE_ETYPE, "%s is a %s; a dense array or source is wanted", s->name,
                 lode_kind_name(X.kind));
    LODE_REQUIRE(s->ndim >= 1, LODE_ESHAPE, "%s has no axes; a tensor of 1 or more modes is wanted",
                 s->name);
    s->work = lode_i_is_complex(lode_i_arith(dtype)) ? LODE_C128 : LODE_F64;
    s->size = 1;
    for (int k = 0; k < s->ndim; k++)
        s->size *= s->shape[k];
    lode_i_slab_cut(s->work, s->ndim, s->shape, &s->axis, &s->rows);
    s->count = s->size ? lode_i_ceil_div(s->shape[s->axis], s->rows) : 0;
    if (X.kind == LODE_ARRAY) {
        s->array = X.as.array;
    } else if (X.as.source->rewindable || s->count <= 1) {
        s->source = X.as.source;
    } else {
        LODE_TRY(lode_i_source_load(ctx, X.as.source, &s->loaded));
        s->array = &s->loaded;
    }
done:
    return st;
}

void lode_i_slabs_over(const lode_i_slabs *cut, const lode_array *stored, lode_i_slabs *s)
{
    const int64_t rows = cut->rows, count = cut->count;
    *s = (lode_i_slabs){ .array = stored,
                         .work = stored->dtype,
                         .scale = 1,
                         .ndim = stored->ndim,
                         .axis = cut->axis,
                         .rows = rows,
                         .count = count,
                         .name = cut->name };
    s->size = lode_array_size(stored);
    memcpy(s->shape, stored->shape, sizeof s->shape);
}

void lode_i_slabs_close(lode_i_slabs *s)
{
    lode_array_free(&s->loaded);
    *s = (lode_i_slabs){ 0 };
}

void lode_i_slabs_shape(const lode_i_slabs *s, int64_t *shape)
{
    memcpy(shape, s->shape, sizeof s->shape);
    for (int i = 0; i < s->pending; i++)
        shape[s->mode[i]] = s->U[i]->shape[1];
}

/* Names the first value of slab i that is not finite. */
static lode_status not_finite(lode_ctx *ctx, const lode_i_slabs *s, int64_t i,
                              const lode_array *slab, const lode_stats *found)
{
    const bool nan = found->first_nan >= 0 &&
                     (found->first_infinite < 0 || found->first_nan < found->first_infinite);
    int64_t flat = nan ? found->first_nan : found->first_infinite, at[LODE_MAX_NDIM];
    for (int k = s->ndim - 1; k >= 0; k--)
        at[k] = flat % slab->shape[k], flat /= slab->shape[k];
    at[s->axis] += i * s->rows;
    flat = 0;
    for (int k = 0; k < s->ndim; k++)
        flat = flat * s->shape[k] + at[k];
    char where[LODE_MAX_NDIM * 20 + 3];
    lode_i_print_index(s->named ? s->named : s->ndim, s->named ? s->names : s->shape, flat, where,
                       sizeof where);
    return lode_i_fail(ctx, LODE_EDOMAIN, "%s%s is %s; decompositions take finite values only",
                       s->name, where, nan ? "nan" : "infinite");
}

void lode_i_seen_join(lode_i_seen *seen, const lode_i_seen *more)
{
    if (more->slabs == 0)
        return;
    seen->min = seen->slabs && seen->min < more->min ? seen->min : more->min;
    seen->max = seen->slabs && seen->max > more->max ? seen->max : more->max;
    seen->sumsq += more->sumsq;
    seen->largest = more->largest > seen->largest ? more->largest : seen->largest;
    seen->slabs += more->slabs;
}

/* The norm is all that most calls need, and NaN and infinity show in it. */
lode_status lode_i_slab_look(lode_ctx *ctx, const lode_i_slabs *s, int64_t i,
                             const lode_array *slab, double sumsq, lode_i_seen *seen)
{
    lode_stats all = { 0 };
    lode_i_seen here = { .sumsq = sumsq, .largest = sqrt(sumsq), .slabs = 1 };
    if (!(sumsq > 1e-250 && sumsq < 1e250)) { /* the square may have left the range */
        LODE_FORWARD(lode_i_norm_fro(ctx, slab, &here.largest));
        /* may overflow: `largest` tells, and the values are scaled then */
        here.sumsq = here.largest * here.largest;
    }
    if (seen->extremes || !(here.largest <= DBL_MAX)) {
        LODE_FORWARD(lode_i_stats(ctx, slab, &all));
        if (all.missing || all.infinite)
            return not_finite(ctx, s, i, slab, &all);
        here.min = all.min, here.max = all.max;
    }
    lode_i_seen_join(seen, &here);
    return LODE_OK;
}

lode_status lode_i_slab_fetch(lode_ctx *ctx, lode_i_slabs *s, int64_t i, lode_dtype dtype,
                              lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, view = { 0 };
    const int64_t start = i * s->rows, rows = lode_i_min(s->rows, s->shape[s->axis] - start);
    if (s->array) {
        LODE_TRY(lode_array_slice(ctx, s->array, s->axis, start, start + rows, 1, &view));
        /* scaled below: never the caller's memory */
        if (s->scale != 1)
            LODE_TRY(lode_array_cast(ctx, &view, dtype, &y));
        else
            LODE_TRY(lode_i_as(ctx, &view, dtype, &y));
    } else {
        int64_t from[LODE_MAX_NDIM] = { 0 }, count[LODE_MAX_NDIM];
        memcpy(count, s->shape, sizeof count);
        from[s->axis] = start, count[s->axis] = rows;
        lode_array_free(slab); /* before the next is read */
        LODE_TRY(lode_i_source_read(ctx, s->source, from, count, dtype, &y));
    }
    s->passes += (double)rows / (double)s->shape[s->axis];
    if (s->scale != 1)
        LODE_TRY(lode_i_scale(ctx, s->scale, &y));
    lode_array_swap(slab, &y);
done:
    LODE_FREE(&y, &view);
    return st;
}

lode_status lode_i_slab(lode_ctx *ctx, lode_i_slabs *s, int64_t i, lode_i_seen *seen,
                        lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 };
    LODE_TRY(lode_i_slab_fetch(ctx, s, i, s->work, slab));
    if (seen)
        LODE_TRY(lode_i_slab_look(ctx, s, i, slab, 0, seen));
    for (int p = 0; p < s->pending; p++) {
        LODE_TRY(lode_i_ttm(ctx, slab, s->mode[p], LODE_H, s->U[p], &z));
        lode_array_swap(slab, &z);
        lode_array_free(&z);
    }
done:
    LODE_FREE(&z);
    return st;
}

lode_status lode_i_slabs_look(lode_ctx *ctx, lode_i_slabs *s, lode_i_seen *seen)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 };
    const int pending = s->pending;
    const lode_i_pass_name name = { .what = "look" };
    bool found = false;
    s->pending = 0;
    LODE_TRY(lode_i_pass_restore(ctx, s, &name, seen, NULL, 0, &found));
    for (int64_t i = 0; i < s->count && !found; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
    }
    if (!found)
        LODE_TRY(lode_i_pass_keep(ctx, s, &name, seen, NULL, 0));
done:
    s->pending = pending;
    LODE_FREE(&slab);
    return st;
}
