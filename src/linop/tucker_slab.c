/* A tensor by slabs. Every pass over the data cuts it at the same places, whether it lies in memory
 * or in a file, so the same products are made of the same numbers and the bits agree. */
#include "linop/tucker.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SLAB_LEAST = 1 << 18, SLAB_MOST = 1 << 24, SLABS = 32, BATCH = 16, LONG_MODE = 2048 };

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
    wanted = bytes / SLABS < SLAB_LEAST  ? SLAB_LEAST
             : bytes / SLABS > SLAB_MOST ? SLAB_MOST
                                         : bytes / SLABS;
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
    lode_i_print_index(s->ndim, s->shape, flat, where, sizeof where);
    return lode_i_fail(ctx, LODE_EDOMAIN,
                       "%s%s is %s; a Tucker decomposition takes finite values only", s->name,
                       where, nan ? "nan" : "infinite");
}

static void taken(lode_i_seen *seen, double norm, double sumsq)
{
    seen->sumsq += sumsq;
    seen->largest = norm > seen->largest ? norm : seen->largest;
    seen->slabs++;
}

/* The norm is all that most calls need, and NaN and infinity show in it. */
static lode_status look(lode_ctx *ctx, const lode_i_slabs *s, int64_t i, const lode_array *slab,
                        lode_i_seen *seen)
{
    lode_stats all = { 0 };
    double norm;
    LODE_FORWARD(lode_i_norm_fro(ctx, slab, &norm));
    if (seen->extremes || !(norm <= DBL_MAX)) {
        LODE_FORWARD(lode_i_stats(ctx, slab, &all));
        if (all.missing || all.infinite)
            return not_finite(ctx, s, i, slab, &all);
        seen->min = seen->slabs && seen->min < all.min ? seen->min : all.min;
        seen->max = seen->slabs && seen->max > all.max ? seen->max : all.max;
    }
    /* may overflow: `largest` tells, and the values are scaled then */
    taken(seen, norm, norm * norm);
    return LODE_OK;
}

/* Slab i as it lies, in type `dtype`, scaled. */
static lode_status fetch(lode_ctx *ctx, lode_i_slabs *s, int64_t i, lode_dtype dtype,
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
    LODE_TRY(fetch(ctx, s, i, s->work, slab));
    if (seen)
        LODE_TRY(look(ctx, s, i, slab, seen));
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
    s->pending = 0;
    for (int64_t i = 0; i < s->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
    }
done:
    s->pending = pending;
    LODE_FREE(&slab);
    return st;
}

/* sum += x, or sum = x the first time. */
static lode_status join(lode_ctx *ctx, lode_array *x, lode_array *sum)
{
    if (sum->data)
        return lode_i_axpy(ctx, 1, x, sum);
    lode_array_swap(x, sum);
    return LODE_OK;
}

lode_status lode_i_slabs_gram(lode_ctx *ctx, lode_i_slabs *s, int mode, lode_i_seen *seen,
                              lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, g = { 0 }, sum = { 0 };
    for (int64_t i = 0; i < s->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        LODE_TRY(lode_i_mode_gram(ctx, &slab, mode, false, &g));
        LODE_TRY(join(ctx, &g, &sum));
    }
    lode_array_swap(G, &sum);
done:
    LODE_FREE(&slab, &g, &sum);
    return st;
}

lode_status lode_i_slabs_sketch(lode_ctx *ctx, lode_i_slabs *s, int mode, int along,
                                int64_t buckets, lode_stream stream, lode_i_seen *seen,
                                lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, z = { 0 }, part = { 0 }, g = { 0 }, sum = { 0 };
    const lode_dtype stored = s->array ? s->array->dtype : s->source->dtype;
    /* as it lies where it can be read so */
    const lode_dtype dtype = lode_i_arith(stored) == stored ? stored : s->work;
    /* slabs in one z */
    const int64_t total = s->shape[s->axis], group = s->axis == 0 ? s->shape[along] / buckets : 1;
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t start = i * s->rows, first = i / group * group * s->rows;
        double sumsq;
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(fetch(ctx, s, i, dtype, &slab));
        if (i % group == 0) {
            int64_t shape[LODE_MAX_NDIM];
            memcpy(shape, slab.shape, sizeof shape);
            shape[s->axis] = lode_i_min(group * s->rows, total - start), shape[along] = buckets;
            LODE_TRY(lode_array_new(ctx, s->work, s->ndim, shape, &z));
        }
        LODE_TRY(lode_array_slice(ctx, &z, s->axis, start - first,
                                  start - first + slab.shape[s->axis], 1, &part));
        LODE_TRY(lode_i_sign_sums(ctx, &slab, along, stream, &part, &sumsq));
        lode_array_free(&part);
        if (seen && (seen->extremes || !(sumsq > 1e-250 && sumsq < 1e250)))
            LODE_TRY(look(ctx, s, i, &slab, seen));
        else if (seen)
            taken(seen, sqrt(sumsq), sumsq);
        if (i % group < group - 1 && i < s->count - 1)
            continue;
        LODE_TRY(lode_i_mode_gram(ctx, &z, mode, false, &g));
        LODE_TRY(join(ctx, &g, &sum));
    }
    lode_array_swap(G, &sum);
done:
    LODE_FREE(&slab, &z, &part, &g, &sum);
    return st;
}

lode_status lode_i_unfold(lode_ctx *ctx, const lode_array *T, int mode, lode_array *A)
{
    lode_status st = LODE_OK;
    lode_array view = { 0 };
    int axes[LODE_MAX_NDIM], n = 0;
    for (int k = 0; k < T->ndim; k++)
        if (k != mode)
            axes[n++] = k;
    axes[n] = mode;
    int64_t others = 1;
    for (int k = 0; k < n; k++)
        others *= T->shape[axes[k]];
    LODE_TRY(lode_array_permute(ctx, T, axes, &view));
    LODE_TRY(lode_array_reshape(ctx, &view, 2, (const int64_t[]){ others, T->shape[mode] }, A));
done:
    LODE_FREE(&view);
    return st;
}

/* R of [R; A] where R (possibly empty) has A's columns; kept as it is while it has fewer rows than
 * columns. */
static lode_status stack(lode_ctx *ctx, const lode_array *A, lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array all = { 0 }, part = { 0 };
    const int64_t top = R->data ? R->shape[0] : 0, rows = top + A->shape[0], cols = A->shape[1];
    LODE_TRY(lode_i_matrix_new(ctx, A->dtype, rows, cols, &all));
    if (top) {
        part = lode_i_rows(&all, 0, top);
        LODE_TRY(lode_array_copy_into(ctx, R, &part));
        lode_array_free(&part);
    }
    part = lode_i_rows(&all, top, rows);
    LODE_TRY(lode_array_copy_into(ctx, A, &part));
    lode_array_free(&part);
    if (rows >= cols)
        LODE_TRY(lode_i_qr_r(ctx, &all, R));
    else
        lode_array_swap(R, &all);
done:
    LODE_FREE(&all, &part);
    return st;
}

lode_status lode_i_slabs_qr(lode_ctx *ctx, lode_i_slabs *s, int mode, lode_i_seen *seen,
                            lode_array *R)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, A = { 0 }, r = { 0 }, sum = { 0 };
    for (int64_t i = 0; i < s->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        LODE_TRY(lode_i_unfold(ctx, &slab, mode, &A));
        if (A.shape[0] >= A.shape[1]) {
            LODE_TRY(lode_i_qr_r(ctx, &A, &r));
            LODE_TRY(stack(ctx, &r, &sum));
        } else {
            LODE_TRY(stack(ctx, &A, &sum));
        }
    }
    lode_array_swap(R, &sum);
done:
    LODE_FREE(&slab, &A, &r, &sum);
    return st;
}

lode_status lode_i_slabs_power(lode_ctx *ctx, lode_i_slabs *s, int mode, const lode_array *V,
                               lode_i_seen *seen, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, z = { 0 }, A = { 0 }, B = { 0 }, y = { 0 }, sum = { 0 };
    for (int64_t i = 0; i < s->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        LODE_TRY(lode_i_ttm(ctx, &slab, mode, LODE_H, V, &z));
        LODE_TRY(lode_i_unfold(ctx, &slab, mode, &A));
        LODE_TRY(lode_i_unfold(ctx, &z, mode, &B));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &A, &B, &y)); /* the conjugate of X X^H V */
        LODE_TRY(join(ctx, &y, &sum));
    }
    LODE_TRY(lode_i_conj(ctx, &sum));
    lode_array_swap(Y, &sum);
done:
    LODE_FREE(&slab, &z, &A, &B, &y, &sum);
    return st;
}

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
    const int64_t start = i * s->rows;
    LODE_TRY(lode_array_slice(ctx, p->out, s->axis, start, start + slab->shape[s->axis], 1, &part));
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
    LODE_TRY(join(ctx, &z, p->out));
done:
    LODE_FREE(&z, &rows);
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
    lode_array slab = { 0 }, sum = { 0 };
    int64_t shape[LODE_MAX_NDIM], r[LODE_MAX_NDIM] = { 0 };
    projection p = { .s = s, .U = U, .out = &sum, .last = -1 };
    lode_i_slabs_shape(s, shape);
    for (int k = 0; k < s->ndim; k++)
        r[k] = U[k] ? U[k]->shape[1] : shape[k];
    lode_i_tucker_order(s->ndim, shape, r, false, p.order);
    for (int j = 0; j < s->ndim; j++)
        if (U[p.order[j]])
            p.last = j;
    if (!U[s->axis])
        LODE_TRY(lode_array_new(ctx, s->work, s->ndim, r, &sum));
    /* Slabs of a tensor in memory are independent work, one a task; each takes room for its
     * conversion and products. */
    const double room = 4.0 * (double)s->size / (double)lode_i_max(s->count, 1) *
                        (double)lode_dtype_size(s->work);
    const int64_t together = s->array && !seen && !U[s->axis] &&
                                     room * lode_ctx_threads(ctx) <
                                         0.5 * (double)lode_i_memory_left(ctx)
                                 ? BATCH
                                 : 1;
    for (int64_t i = 0; i < s->count; i += together) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        p.first = i;
        if (together > 1) {
            const int64_t count = lode_i_min(together, s->count - i);
            LODE_TRY(lode_i_parallel(ctx, count, place_task, &p));
            s->passes += (double)count / (double)s->count;
            continue;
        }
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        if (U[s->axis])
            LODE_TRY(fold(ctx, &p, i, &slab));
        else
            LODE_TRY(place(ctx, &p, i, &slab));
    }
    lode_array_swap(out, &sum);
done:
    LODE_FREE(&slab, &sum);
    return st;
}
