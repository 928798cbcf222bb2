/* Passes over a tensor by slabs: what each slab gives is added up in their order, so it does not
 * matter how many are in hand at once. */
#include "linop/tucker.h"

#include <math.h>
#include <string.h>

enum { BATCH = 16, GROUP = 1 << 22 }; /* tasks at once; bytes of slabs taken as one */

int64_t lode_i_slabs_together(lode_ctx *ctx, const lode_i_slabs *s, double each)
{
    const int64_t most = lode_i_min(BATCH, 4 * lode_ctx_threads(ctx));
    const double room = 0.5 * (double)lode_i_memory_left(ctx);
    if (!s->array || lode_ctx_threads(ctx) == 1 || !(each * lode_ctx_threads(ctx) < room))
        return 1;
    return lode_i_min(most, (int64_t)(room / fmax(each, 1)));
}

lode_status lode_i_slabs_add(lode_ctx *ctx, lode_array *x, lode_array *sum)
{
    if (sum->data)
        return lode_i_axpy(ctx, 1, x, sum);
    lode_array_swap(x, sum);
    return LODE_OK;
}

/* A pass that adds up what slabs, or groups of them, give. */
typedef struct pass {
    lode_i_slabs *s;
    int mode;
    lode_i_seen *seen;   /* NULL: not wanted */
    int64_t first;       /* slab or group of task 0 */
    lode_array G[BATCH]; /* of each task, and what it has seen */
    lode_i_seen part[BATCH];
    /* of a sketch */
    int along;
    int64_t buckets, group; /* slabs in one group */
    int64_t every;          /* of so many slabs one is taken */
    lode_stream stream;
    lode_array *Z; /* NULL: not wanted */
} pass;

/* Runs the tasks of a pass, `together` at once, and joins them in order. */
static lode_status add_up(lode_ctx *ctx, pass *p, const lode_i_pass_name *name, int64_t count,
                          int64_t together, lode_task task, lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array sum = { 0 }, *const sums[] = { &sum };
    double at = 0;
    lode_i_pass_name part = *name;
    part.what = "part", part.at = &at;
    if (!p->Z) /* which is larger, and filled in place */
        LODE_TRY(lode_i_pass_resume(ctx, p->s, &part, p->seen, sums));
    for (int64_t i = (int64_t)at; i < count; i += together) {
        const int64_t n = lode_i_min(together, count - i);
        LODE_TRY(lode_i_tick(ctx, i, count));
        p->first = i;
        for (int64_t j = 0; j < n; j++)
            p->part[j] = (lode_i_seen){ .extremes = p->seen && p->seen->extremes };
        if (n > 1)
            LODE_TRY(lode_i_parallel(ctx, n, task, p));
        else
            LODE_TRY(task(ctx, 0, p));
        for (int64_t j = 0; j < n; j++) {
            LODE_TRY(lode_i_slabs_add(ctx, &p->G[j], &sum));
            lode_array_free(&p->G[j]);
            if (p->seen)
                lode_i_seen_join(p->seen, &p->part[j]);
        }
        at = (double)(i + n);
        if (!p->Z && i + n < count && lode_i_checkpoint_due(ctx, (double)lode_array_bytes(&sum)))
            LODE_TRY(lode_i_pass_keep(ctx, p->s, &part, p->seen, sums, 1));
    }
    p->s->passes += p->every > 1 ? 1 / (double)p->every : 1;
    lode_array_swap(G, &sum);
done:
    for (int j = 0; j < BATCH; j++)
        lode_array_free(&p->G[j]);
    LODE_FREE(&sum);
    return st;
}

/* Slabs of one Gram matrix: adding it to the others and filling its other half should cost little
 * beside it, eight groups should be left for threads, and a group should fit where a slab does. */
static int64_t group_of(const lode_i_slabs *s, double n, double slab)
{
    const double wanted = fmin(ceil(4 * n * n / fmax(slab, 1)), (double)(s->count / 8)),
                 room = GROUP / (double)lode_dtype_size(s->work) / fmax(slab, 1);
    return s->axis == 0 ? (int64_t)fmax(1, fmin(wanted, floor(room))) : 1;
}

/* Slabs from..to as one, pending bases multiplied in. */
static lode_status together(lode_ctx *ctx, lode_i_slabs *s, int64_t from, int64_t to,
                            lode_i_seen *seen, lode_array *all)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, part = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    const int64_t first = from * s->rows, end = lode_i_min(to * s->rows, s->shape[s->axis]);
    if (to - from == 1)
        return lode_i_slab(ctx, s, from, seen, all);
    if (s->array && !s->pending && !seen && s->scale == 1) {
        LODE_TRY(lode_array_slice(ctx, s->array, s->axis, first, end, 1, &part));
        LODE_TRY(lode_i_as(ctx, &part, s->work, all)); /* as they lie, where that is as they come */
        goto done;
    }
    lode_i_slabs_shape(s, shape);
    shape[s->axis] = end - first;
    LODE_TRY(lode_array_new(ctx, s->work, s->ndim, shape, all));
    for (int64_t i = from; i < to; i++) {
        const int64_t row = i * s->rows - first;
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        LODE_TRY(lode_array_slice(ctx, all, s->axis, row, row + slab.shape[s->axis], 1, &part));
        LODE_TRY(lode_array_copy_into(ctx, &slab, &part));
        lode_array_free(&part);
    }
done:
    LODE_FREE(&slab, &part);
    return st;
}

static lode_status gram_task(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    pass *p = data;
    lode_array slab = { 0 }, part = { 0 };
    lode_i_slabs own = *p->s; /* counts passes for itself */
    const int64_t from = (p->first + at) * p->group, to = lode_i_min(from + p->group, own.count);
    LODE_TRY(together(ctx, &own, from, to, p->seen ? &p->part[at] : NULL, &slab));
    LODE_TRY(lode_i_mode_gram(ctx, &slab, p->mode, true, &part));
    LODE_TRY(lode_i_as(ctx, &part, lode_i_is_complex(own.work) ? LODE_C128 : LODE_F64, &p->G[at]));
done:
    LODE_FREE(&slab, &part);
    return st;
}

lode_status lode_i_slabs_gram(lode_ctx *ctx, lode_i_slabs *s, int mode, lode_i_seen *seen,
                              lode_array *G)
{
    int64_t shape[LODE_MAX_NDIM];
    pass p = { .s = s, .mode = mode, .seen = seen };
    double slab = (double)s->rows;
    lode_i_slabs_shape(s, shape);
    for (int k = 0; k < s->ndim; k++)
        slab *= k == s->axis ? 1 : (double)shape[k];
    const double w = (double)lode_dtype_size(s->work), n = (double)shape[mode];
    p.group = group_of(s, n, slab);
    const double read = (double)s->size / (double)lode_i_max(s->count, 1);
    const lode_i_pass_name name = { .what = "gram", .number = { mode } };
    bool found = false;
    LODE_FORWARD(lode_i_pass_restore(ctx, s, &name, seen, &G, 1, &found));
    if (found)
        return LODE_OK;
    LODE_FORWARD(
        add_up(ctx, &p, &name, lode_i_ceil_div(s->count, p.group),
               lode_i_slabs_together(ctx, s, w * (3 * read + (double)p.group * slab + n * n)),
               gram_task, G));
    return lode_i_pass_keep(ctx, s, &name, seen, &G, 1);
}

/* Slab i with the sketched mode itself hashed, into its rows of Z. */
static lode_status hash_mode(lode_ctx *ctx, const pass *p, int64_t i, const lode_array *slab)
{
    lode_status st = LODE_OK;
    lode_array part = { 0 }, z = { 0 };
    const int axis = p->s->axis;
    const int64_t row = i * p->s->rows;
    double sumsq;
    LODE_TRY(lode_array_slice(ctx, p->Z, axis, row, row + slab->shape[axis], 1, &part));
    if (lode_array_is_contiguous(&part))
        LODE_TRY(lode_i_sign_sums(ctx, slab, p->mode, p->stream, &part, &sumsq));
    else {
        LODE_TRY(lode_array_new(ctx, part.dtype, part.ndim, part.shape, &z));
        LODE_TRY(lode_i_sign_sums(ctx, slab, p->mode, p->stream, &z, &sumsq));
        LODE_TRY(lode_array_copy_into(ctx, &z, &part));
    }
done:
    LODE_FREE(&part, &z);
    return st;
}

static lode_status sketch_task(lode_ctx *ctx, int64_t at, void *data)
{
    lode_status st = LODE_OK;
    pass *p = data;
    lode_array slab = { 0 }, z = { 0 }, part = { 0 };
    lode_i_slabs own = *p->s;
    const lode_dtype stored = own.array ? own.array->dtype : own.source->dtype;
    /* as it lies where it can be read so */
    const lode_dtype dtype = lode_i_arith(stored) == stored ? stored : own.work;
    const int64_t from = (p->first + at) * p->group,
                  to = lode_i_min(from + p->group, own.count / p->every);
    int64_t shape[LODE_MAX_NDIM];
    memcpy(shape, own.shape, sizeof shape);
    shape[own.axis] = lode_i_min(to * own.rows, own.shape[own.axis]) - from * own.rows;
    shape[p->along] = p->buckets;
    LODE_TRY(lode_array_new(ctx, lode_i_is_complex(own.work) ? LODE_C128 : LODE_F64, own.ndim,
                            shape, &z));
    for (int64_t i = from; i < to; i++) {
        const int64_t row = (i - from) * own.rows;
        double sumsq;
        LODE_TRY(lode_i_slab_fetch(ctx, &own, i * p->every, dtype, &slab));
        LODE_TRY(lode_array_slice(ctx, &z, own.axis, row, row + slab.shape[own.axis], 1, &part));
        LODE_TRY(lode_i_sign_sums(ctx, &slab, p->along, p->stream, &part, &sumsq));
        lode_array_free(&part);
        if (p->Z)
            LODE_TRY(hash_mode(ctx, p, i, &slab));
        if (p->seen)
            LODE_TRY(lode_i_slab_look(ctx, &own, i, &slab, sumsq, &p->part[at]));
    }
    LODE_TRY(lode_i_mode_gram(ctx, &z, p->mode, false, &p->G[at]));
done:
    LODE_FREE(&slab, &z, &part);
    return st;
}

/* Slabs together, `every` 1, or one of so many; Z as in tucker.h. */
static lode_status sketch(lode_ctx *ctx, lode_i_slabs *s, int mode, int along, int64_t buckets,
                          int64_t every, lode_stream stream, lode_i_seen *seen, lode_array *Z,
                          lode_array *G)
{
    lode_status st = LODE_OK;
    lode_array z = { 0 };
    int64_t shape[LODE_MAX_NDIM];
    const double slab = (double)s->size / (double)lode_i_max(s->count, 1),
                 n = (double)s->shape[mode], w = (double)lode_dtype_size(s->work);
    pass p = { .s = s,
               .mode = mode,
               .seen = seen,
               .along = along,
               .buckets = buckets,
               .group = group_of(s, n, slab / (double)s->shape[along] * (double)buckets),
               .every = every,
               .stream = stream,
               .Z = Z ? &z : NULL };
    const lode_i_pass_name name = {
        .what = "sketch",
        .number = { mode, along, buckets, every,
                    (int64_t)((uint64_t)stream.key[0] << 32 | stream.key[1]),
                    (int64_t)((uint64_t)stream.salt[0] << 32 | stream.salt[1]) }
    };
    lode_array *const out[] = { G, Z };
    bool found = false;
    LODE_TRY(lode_i_pass_restore(ctx, s, &name, seen, out, Z ? 2 : 1, &found));
    if (found)
        goto done;
    memcpy(shape, s->shape, sizeof shape);
    shape[mode] = buckets;
    if (Z)
        LODE_TRY(lode_array_new(ctx, lode_i_is_complex(s->work) ? LODE_C128 : LODE_F64, s->ndim,
                                shape, &z));
    if (every > 1) /* whole slabs */
        p.group = lode_i_max(1, p.group / every);
    const int64_t count = every > 1 ? s->count / every : s->count;
    LODE_TRY(add_up(ctx, &p, &name, lode_i_ceil_div(count, p.group),
                    lode_i_slabs_together(ctx, s, w * (3 * slab + n * n)), sketch_task, G));
    if (Z)
        lode_array_swap(Z, &z);
    LODE_TRY(lode_i_pass_keep(ctx, s, &name, seen, out, Z ? 2 : 1));
done:
    LODE_FREE(&z);
    return st;
}

lode_status lode_i_slabs_sketch(lode_ctx *ctx, lode_i_slabs *s, int mode, int along,
                                int64_t buckets, lode_stream stream, lode_i_seen *seen,
                                lode_array *Z, lode_array *G)
{
    return sketch(ctx, s, mode, along, buckets, 1, stream, seen, Z, G);
}

lode_status lode_i_slabs_sample(lode_ctx *ctx, lode_i_slabs *s, int mode, int along,
                                int64_t buckets, int64_t every, lode_stream stream, lode_array *G)
{
    return sketch(ctx, s, mode, along, buckets, every, stream, NULL, NULL, G);
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
    const lode_i_pass_name name = { .what = "triangle", .number = { mode } };
    bool found = false;
    LODE_TRY(lode_i_pass_restore(ctx, s, &name, seen, &R, 1, &found));
    for (int64_t i = 0; i < s->count && !found; i++) {
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
    if (found)
        goto done;
    lode_array_swap(R, &sum);
    LODE_TRY(lode_i_pass_keep(ctx, s, &name, seen, &R, 1));
done:
    LODE_FREE(&slab, &A, &r, &sum);
    return st;
}

lode_status lode_i_slabs_power(lode_ctx *ctx, lode_i_slabs *s, int mode, const lode_array *V,
                               lode_i_seen *seen, lode_array *Y)
{
    lode_status st = LODE_OK;
    lode_array slab = { 0 }, z = { 0 }, A = { 0 }, B = { 0 }, y = { 0 }, sum = { 0 };
    const lode_array *U[LODE_MAX_NDIM] = { NULL };
    const lode_i_pass_name name = { .what = "power", .number = { mode }, .U = U };
    bool found = false;
    U[mode] = V;
    LODE_TRY(lode_i_pass_restore(ctx, s, &name, seen, &Y, 1, &found));
    if (found)
        goto done;
    for (int64_t i = 0; i < s->count; i++) {
        LODE_TRY(lode_i_tick(ctx, i, s->count));
        LODE_TRY(lode_i_slab(ctx, s, i, seen, &slab));
        LODE_TRY(lode_i_ttm(ctx, &slab, mode, LODE_H, V, &z));
        LODE_TRY(lode_i_unfold(ctx, &slab, mode, &A));
        LODE_TRY(lode_i_unfold(ctx, &z, mode, &B));
        LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &A, &B, &y)); /* the conjugate of X X^H V */
        LODE_TRY(lode_i_slabs_add(ctx, &y, &sum));
    }
    LODE_TRY(lode_i_conj(ctx, &sum));
    lode_array_swap(Y, &sum);
    LODE_TRY(lode_i_pass_keep(ctx, s, &name, seen, &Y, 1));
done:
    LODE_FREE(&slab, &z, &A, &B, &y, &sum);
    return st;
}
