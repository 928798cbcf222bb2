/* Projections: slabs multiplied in the cheapest order. */
#include "linop/tucker.h"

#include <string.h>

/* Cost of multiplying mode j, then k, in units of the size so far: r_j + r_j r_k / n_j against r_k
 * + r_j r_k / n_k: j first where 1/r_j - 1/n_j is the larger. Expanding is the same walk
 * backwards. */
void lode_i_tucker_order(int ndim, const int64_t *n, const int64_t *r, bool expand, int *order)
{
    double gain[LODE_MAX_NDIM];
    for (int k = ndim - 1; k >= 0; k--) { /* ties go to the last axis, which is one large product */
        gain[k] = 1 / (double)lode_i_max(r[k], 1) - 1 / (double)lode_i_max(n[k], 1);
        int at = ndim - 1 - k;
        for (; at > 0 && gain[order[at - 1]] < gain[k]; at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
    if (expand)
        for (int i = 0; i < ndim / 2; i++) {
            const int k = order[i];
            order[i] = order[ndim - 1 - i];
            order[ndim - 1 - i] = k;
        }
}

/* A projection: slabs multiplied in the cheapest order; the last product goes to its place at
 * once. */
typedef struct projection {
    lode_i_slabs *s;
    const lode_array *const *U;
    lode_array *out;
    int64_t first; /* slab of task 0 */
    int order[LODE_MAX_NDIM], last;
} projection;

/* Slab i into its rows of the result. */
static lode_status place(lode_ctx *ctx, const projection *p, int64_t i, lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 }, part = { 0 };
    const lode_i_slabs *s = p->s;
    const int64_t start = i * s->rows, rows = p->out->shape[s->axis];
    if (p->U[s->axis]) /* of a single slab */
        part = lode_array_ref(p->out);
    else
        LODE_TRY(lode_array_slice(ctx, p->out, s->axis, start, lode_i_min(start + s->rows, rows), 1,
                                  &part));
    const int direct = lode_array_is_contiguous(&part) ? p->last : -1;
    for (int j = 0; j < s->ndim; j++) {
        const int k = p->order[j];
        if (!p->U[k] || j == direct)
            continue;
        LODE_TRY(lode_i_ttm(ctx, slab, k, LODE_H, p->U[k], &z));
        lode_array_swap(slab, &z);
        lode_array_free(&z);
    }
    if (direct >= 0)
        LODE_TRY(
            lode_i_ttm_into(ctx, slab, p->order[direct], LODE_H, p->U[p->order[direct]], &part));
    else
        LODE_TRY(lode_array_copy_into(ctx, slab, &part));
done:
    LODE_FREE(&z, &part);
    return st;
}

/* Slab i's share of a result that takes in the slab axis, last because it makes a slab longer: sum
 * += slab x_axis U[rows]^H. */
static lode_status fold(lode_ctx *ctx, const projection *p, int64_t i, lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 }, rows = { 0 };
    const lode_i_slabs *s = p->s;
    const int64_t start = i * s->rows;
    for (int j = 0; j < s->ndim; j++) {
        const int k = p->order[j];
        if (!p->U[k] || k == s->axis)
            continue;
        LODE_TRY(lode_i_ttm(ctx, slab, k, LODE_H, p->U[k], &z));
        lode_array_swap(slab, &z);
        lode_array_free(&z);
    }
    rows = lode_i_rows(p->U[s->axis], start, start + slab->shape[s->axis]);
    LODE_TRY(lode_i_ttm(ctx, slab, s->axis, LODE_H, &rows, &z));
    LODE_TRY(lode_i_slabs_add(ctx, &z, p->out));
done:
    LODE_FREE(&z, &rows);
    return st;
}

/* A new array, in the memory of `old` where that is large enough and held by nobody else. */
static lode_status reuse(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                         lode_array *old, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array flat = { 0 }, part = { 0 };
    int64_t size = 1, held = old->data ? lode_array_size(old) : 0;
    for (int k = 0; k < ndim; k++)
        size *= shape[k];
    if (size == 0 || held < size || old->dtype != dtype || !lode_array_is_contiguous(old)) {
        lode_array_free(old);
        return lode_array_new(ctx, dtype, ndim, shape, out);
    }
    LODE_TRY(lode_array_reshape(ctx, old, 1, &held, &flat));
    LODE_TRY(lode_array_slice(ctx, &flat, 0, 0, size, 1, &part));
    LODE_TRY(lode_array_reshape(ctx, &part, ndim, shape, out));
done:
    LODE_FREE(&flat, &part);
    return st;
}

static lode_status place_task(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    const projection *p = data;
    lode_array slab = { 0 };
    lode_i_slabs own = *p->s; /* counts passes for itself */
    LODE_TRY(lode_i_slab(ctx, &own, p->first + at, NULL, &slab));
    LODE_TRY(place(ctx, p, p->first + at, &slab));
done:
    LODE_FREE(&slab);
    return st;
}

lode_status lode_i_slabs_project(lode_ctx *ctx, lode_i_slabs *s, const lode_array *const *U,
                                 lode_i_seen *seen, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, sum = { 0 }, *const sums[] = { &sum };
    double at = 0;
    int64_t shape[LODE_MAX_NDIM], r[LODE_MAX_NDIM] = { 0 };
    projection p = { .s = s, .U = U, .out = &sum, .last = -1 };
    const lode_i_pass_name name = { .what = "projection", .U = U };
    bool found = false;
    LODE_TRY(lode_i_pass_restore(ctx, s, &name, seen, &out, 1, &found));
    if (found)
        goto done;
    lode_i_slabs_shape(s, shape);
    for (int k = 0; k < s->ndim; k++)
        r[k] = U[k] ? U[k]->shape[1] : shape[k];
    lode_i_tucker_order(s->ndim, shape, r, false, p.order);
    for (int j = 0; j < s->ndim; j++)
        if (U[p.order[j]])
            p.last = j;
    const bool folds = U[s->axis] && s->count > 1;
    if (!folds)
        LODE_TRY(reuse(ctx, s->work, s->ndim, r, out, &sum));
    /* Slabs of a tensor in memory are independent work, one a task; each takes room for its
     * conversion and products. */
    const double room = 4.0 * (double)s->size / (double)lode_i_max(s->count, 1) *
                        (double)lode_dtype_size(s->work);
    const int64_t together = seen || folds ? 1 : lode_i_slabs_together(ctx, s, room);
    lode_i_pass_name part = name;
    part.what = "part of a projection", part.at = &at;
    LODE_TRY(lode_i_pass_resume(ctx, s, &part, seen, sums));
    for (int64_t i = (int64_t)at; i < s->count; i += together) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        at = (double)i, p.first = i;
        if (i > 0 && lode_i_checkpoint_due(ctx, (double)lode_array_bytes(&sum)))
            LODE_TRY(lode_i_pass_keep(ctx, s, &part, seen, sums, 1));
        if (together > 1) {
            const int64_t count = lode_i_min(together, s->count - i);
            LODE_TRY(lode_i_parallel(ctx, count, place_task, &p));
            s->passes += (double)count / (double)s->count;
            continue;
        }
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        if (folds)
            LODE_TRY(fold(ctx, &p, i, &slab));
        else
            LODE_TRY(place(ctx, &p, i, &slab));
    }
    lode_array_swap(out, &sum);
    LODE_TRY(lode_i_pass_keep(ctx, s, &name, seen, &out, 1));
done:
    LODE_FREE(&slab, &sum);
    return st;
}
