/* ST-HOSVD: one mode after the other is replaced by its leading singular vectors, each from what
 * the modes before have left (Vannieuwenhoven, Vandebril, Meerbergen 2012, Algorithm 1).
 * Departures:
 * - Ranks. A share of the budget for each mode (the paper's eps^2/d) wastes most of it. Here every
 *   mode keeps more than it needs (a generous basis, its tail far below the budget), and the ranks
 *   are chosen afterwards from the energies of the generous core, which give the exact error of
 *   each sub-core (tucker_rank.c).
 * - A noise floor as high as the budget would make every generous basis full. So a basis stops at
 *   twice the rank that the whole budget asks of its mode; what is then lost is measured, and if no
 *   sub-core fits any more the decomposition is made once more without that stop.
 * - The first mode, which costs most, takes its basis from a sketch where that pays: another mode
 *   is multiplied by a few random sign vectors, which leaves the expectation of the Gram matrix
 *   unchanged. What the basis lost is measured; where it is a part of the budget that counts, the
 *   mode gets a new basis from X projected on the others (half a HOOI sweep). Where the mode does
 *   not truncate, the plain Gram matrix is used.
 * Arithmetic is f64 or c128 whatever the type of X, so that Gram matrices serve down to relative
 * errors of GRAM_FLOOR * sqrt(eps) ~ 1e-6; below, triangles of QR give the singular values without
 * squaring. Where nothing truncates, bases and products are had for less (sthosvd_whole.c). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "linop/sthosvd_run.h"

#define GRAM_FLOOR 64.0
#define SINGLE_LOST 3e-3
enum {
    GRAM_MODE = 2048,
    LEADING_MODE = 128,
    SKETCH = 16,
    SKETCH_MODE = 96,
    SKETCH_SIZE = 1 << 21,
    SMALL = 1 << 14
};

static void free_result(sthosvd *r)
{
    for (int k = 0; k < r->d; k++)
        LODE_FREE(&r->U[k], &r->V[k]);
    lode_array_free(&r->core);
}

/* ---- what was asked ---- */

static lode_status read_options(lode_ctx *ctx, sthosvd *r)
{
    const lode_sthosvd_opts *o = r->o;
    if (o->ranks > 1 && o->ranks != r->d)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%d ranks for the %d modes of %s; give one, or one a mode",
                           (int)o->ranks, r->d, r->X.name);
    for (int k = 0; k < r->d; k++) {
        const int64_t n = r->X.shape[k];
        r->cap[k] = o->max_rank > 0 ? lode_i_min(n, o->max_rank) : n;
        r->rank[k] = o->ranks > 1 ? o->rank[k] : o->ranks ? o->rank[0] : 0;
        if (o->ranks && (r->rank[k] < 1 || r->rank[k] > n))
            return lode_i_fail(ctx, r->rank[k] < 1 ? LODE_EPARAM : LODE_ESHAPE,
                               "rank %" PRId64 " for mode %d of %s, which has %" PRId64
                               " values; ranks are 1 to that",
                               r->rank[k], k, r->X.name, n);
        if (o->ranks)
            r->rank[k] = lode_i_min(r->rank[k], r->cap[k]);
    }
    return LODE_OK;
}

/* Modes by what they cost and save, the slab axis last. */
static void order_modes(sthosvd *r)
{
    double score[LODE_MAX_NDIM];
    int count = 0;
    for (int i = 0; i < r->d; i++) {
        const int k = r->d - 1 - i;
        const double n = (double)r->X.shape[k];
        const double s = r->rank[k] ? (double)r->rank[k] : n < 64 ? (n < 8 ? n : 8) : n / 8;
        score[k] = (n + 2 * s) / (1 - s / (n + 1));
        if (k == r->X.axis)
            continue;
        int at = count++;
        for (; at > 0 && score[r->order[at - 1]] > score[k]; at--)
            r->order[at] = r->order[at - 1];
        r->order[at] = k;
    }
    r->order[count] = r->X.axis;
}

/* ---- bases ---- */

/* Columns to keep of a mode while the others are still whole. */
static int64_t generous(const sthosvd *r, int mode, const lode_i_basis *b)
{
    const int64_t n = r->X.shape[mode], extra = r->o->oversampling;
    if (r->rank[mode])
        return lode_i_min(n, r->rank[mode] + (extra ? extra : lode_i_max(8, r->rank[mode] / 2)));
    int64_t most = r->cap[mode] < n
                       ? lode_i_min(n, r->cap[mode] +
                                           (extra ? extra : lode_i_max(8, r->cap[mode] / 2)))
                       : n;
    if (r->o->params > 0) /* a factor with more columns would be all of the budget */
        return lode_i_max(1, lode_i_min(most, r->o->params / n));
    if (r->o->hosvd)
        return lode_i_min(most, lode_i_basis_rank(b, 0.25 * r->budget.allowed / r->d));
    if (r->X.size <= SMALL)
        return most;
    const int64_t least = lode_i_basis_rank(b, r->budget.allowed),
                  enough = lode_i_basis_rank(b, 0.02 * r->budget.allowed);
    if (r->careful)
        most = lode_i_min(most, 2 * least + (extra ? extra : 8));
    return lode_i_min(most, enough);
}

/* The other mode that a sketch of `mode` multiplies by signs: long enough to gain, and enough left
 * to look at. */
static int sketch_along(const sthosvd *r, int mode)
{
    const bool wanted = r->o->method == LODE_STHOSVD_RANDOM;
    int best = -1;
    for (int k = 0; k < r->d; k++)
        if (k != mode && k != r->X.axis && r->X.shape[k] >= 4 * SKETCH &&
            (best < 0 || r->X.shape[k] > r->X.shape[best]))
            best = k;
    if (best < 0 || (r->o->method != LODE_STHOSVD_AUTO && !wanted))
        return -1;
    const double left = (double)r->X.size / ((double)r->X.shape[mode] * (double)r->X.shape[best]) *
                        SKETCH;
    if (left < 4.0 * (double)r->X.shape[mode] || r->X.shape[mode] > GRAM_MODE)
        return -1;
    return wanted || (r->X.size >= SKETCH_SIZE && r->X.shape[mode] >= SKETCH_MODE) ? best : -1;
}

lode_stream lode_i_sthosvd_stream(lode_ctx *ctx, const sthosvd *r, uint64_t site)
{
    return lode_i_stream(ctx, r->o->op ? r->o->op : "sthosvd", site);
}

static lode_status by_power(lode_ctx *ctx, sthosvd *r, lode_i_slabs *s, int mode, double total,
                            lode_i_basis *b)
{
    int64_t shape[LODE_MAX_NDIM], others = 1;
    lode_i_slabs_shape(s, shape);
    for (int k = 0; k < r->d; k++)
        others *= k == mode ? 1 : shape[k];
    const int64_t n = shape[mode], limit = lode_i_min(n, others);
    for (int64_t l = r->rank[mode] ? generous(r, mode, b) : 32;; l *= 2) {
        l = lode_i_min(l, limit);
        LODE_FORWARD(lode_i_basis_power(ctx, s, mode, l, b->count ? &b->U : NULL, total,
                                        lode_i_sthosvd_stream(ctx, r, 16 + (uint64_t)mode), b));
        if (r->rank[mode] || l == limit || generous(r, mode, b) <= l)
            return LODE_OK;
    }
}

/* Where an error decides, a few leading pairs mostly do, and they tell when not: then more, at last
 * all. */
static lode_status from_gram(lode_ctx *ctx, sthosvd *r, const lode_array *G, int mode,
                             lode_i_basis *b)
{
    const int64_t n = G->shape[0];
    lode_i_basis_free(b);
    for (int64_t l = 32; n >= LEADING_MODE && r->budget.allowed >= 0 && 4 * l <= n; l *= 2) {
        LODE_FORWARD(
            lode_i_basis_leading(ctx, G, l, lode_i_sthosvd_stream(ctx, r, 64 + (uint64_t)mode), b));
        if (generous(r, mode, b) + 4 <= l)
            return LODE_OK;
    }
    return lode_i_basis_gram(ctx, G, b);
}

/* The tensor that the slabs give, whole: the slab axis can only be decomposed so. */
static lode_status whole(lode_ctx *ctx, lode_i_slabs *s, lode_i_seen *look, lode_array *T)
{
    const lode_array *none[LODE_MAX_NDIM] = { NULL };
    return lode_i_slabs_project(ctx, s, none, look, T);
}

/* Basis of a mode of what the slabs give. look: at the first look at the data, else NULL. total:
 * their energy. */
static lode_status exact_basis(lode_ctx *ctx, sthosvd *r, lode_i_slabs *given, int mode,
                               lode_i_seen *look, double total, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, T = { 0 };
    lode_i_slabs all, *s = given;
    int64_t shape[LODE_MAX_NDIM];
    double others = 1;
    lode_i_slabs_shape(s, shape);
    for (int k = 0; k < r->d; k++)
        others *= k == mode ? 1 : (double)shape[k];
    const bool tall = (double)shape[mode] > others && others <= GRAM_MODE;
    if (tall || (mode == s->axis && s->count > 1)) {
        LODE_TRY(whole(ctx, s, look, &T));
        lode_i_slabs_over(s, &T, &all);
        all.rows = shape[s->axis], all.count = 1;
        s = &all, look = NULL;
    }
    r->method = r->precise || tall        ? LODE_STHOSVD_QR
                : shape[mode] > GRAM_MODE ? LODE_STHOSVD_RANDOM
                                          : LODE_STHOSVD_GRAM;
    if (!tall && r->method == LODE_STHOSVD_QR)
        LODE_TRY(lode_i_slabs_qr(ctx, s, mode, look, &G));
    else if (r->method == LODE_STHOSVD_GRAM)
        LODE_TRY(lode_i_slabs_gram(ctx, s, mode, look, &G));
    if (!r->budget.seen)
        lode_i_budget_settle(&r->budget, &r->X);
    if (r->budget.again)
        goto done;
    if (tall)
        LODE_TRY(lode_i_basis_svd(ctx, &T, mode, b));
    else if (r->method == LODE_STHOSVD_QR)
        LODE_TRY(lode_i_basis_qr(ctx, &G, b));
    else if (r->method == LODE_STHOSVD_GRAM)
        LODE_TRY(from_gram(ctx, r, &G, mode, b));
    else
        LODE_TRY(by_power(ctx, r, s, mode, total, b));
done:
    LODE_FREE(&G, &T);
    return st;
}

static lode_status sketched_basis(lode_ctx *ctx, sthosvd *r, int mode, int along, lode_i_seen *look,
                                  lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    LODE_TRY(lode_i_slabs_sketch(ctx, &r->X, mode, along, SKETCH, lode_i_sthosvd_stream(ctx, r, 0),
                                 look, NULL, &G));
    if (!r->budget.seen)
        lode_i_budget_settle(&r->budget, &r->X);
    if (r->budget.again)
        goto done;
    /* the trace is exact in expectation only */
    double trace = 0;
    for (int64_t i = 0; i < G.shape[0]; i++)
        trace += lode_i_get2(&G, i, i);
    if (trace > 0)
        LODE_TRY(lode_i_scale(ctx, r->budget.norm2 / trace, &G));
    LODE_TRY(from_gram(ctx, r, &G, mode, b));
    r->method = LODE_STHOSVD_RANDOM;
done:
    LODE_FREE(&G);
    return st;
}

/* A pass of its own for the values' norm and range. */
static lode_status look_first(lode_ctx *ctx, sthosvd *r)
{
    const double size = (double)r->X.size;
    lode_i_work(ctx, "first look", 100 * size, lode_i_sthosvd_rest(r, -1, 0, size, true));
    return lode_i_budget_look(ctx, &r->budget, &r->X);
}

/* Basis of the first mode, with the first look at the values. along: where it was sketched, else
 * -1. */
static lode_status first_basis(lode_ctx *ctx, sthosvd *r, int mode, int *along, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    /* power iteration adapts to the budget as it goes */
    if (!r->budget.seen && r->X.shape[mode] > GRAM_MODE)
        LODE_TRY(look_first(ctx, r));
    r->precise = r->o->method == LODE_STHOSVD_QR ||
                 (r->o->method == LODE_STHOSVD_AUTO &&
                  lode_i_budget_relative(&r->budget) < GRAM_FLOOR * sqrt(DBL_EPSILON));
    /* what a sketch lost shows in a difference of norms, which f32 rounds */
    r->told = !lode_i_is_single(r->wide) || lode_i_budget_relative(&r->budget) > SINGLE_LOST;
    *along = r->careful && !r->precise && r->told ? sketch_along(r, mode) : -1;
    const double size = (double)r->X.size;
    do {
        lode_i_seen *look = r->budget.seen ? NULL : &r->budget.look;
        lode_i_work(ctx, "first mode",
                    *along >= 0 ? lode_i_sthosvd_sketch_work(r, mode)
                                : lode_i_sthosvd_basis_work(r, mode, size),
                    lode_i_sthosvd_rest(r, -1, 0, size, *along >= 0));
        r->budget.again = false;
        if (*along >= 0)
            LODE_TRY(sketched_basis(ctx, r, mode, *along, look, b));
        else
            LODE_TRY(exact_basis(ctx, r, &r->X, mode, look, r->budget.norm2, b));
    } while (r->budget.again);
    if (*along >= 0 && !r->rank[mode] && r->budget.norm2 > 0 &&
        generous(r, mode, b) * 10 > r->X.shape[mode] * 6) {
        *along = -1; /* no truncation worth a sketch */
        r->info.kept[mode] = generous(r, mode, b);
        lode_i_work(ctx, "first mode", lode_i_sthosvd_basis_work(r, mode, size),
                    lode_i_sthosvd_rest(r, 0, 0, size, false));
        lode_i_basis_free(b);
        LODE_TRY(exact_basis(ctx, r, &r->X, mode, NULL, r->budget.norm2, b));
    }
done:
    return st;
}

/* ---- the generous decomposition ---- */

/* A basis as products take it. */
static lode_status ready(lode_ctx *ctx, sthosvd *r, int k)
{
    lode_array_free(&r->V[k]);
    return lode_i_as(ctx, &r->U[k], r->wide, &r->V[k]);
}

/* X projected on all bases but that of `mode`, and a new basis for it. */
static lode_status renew(lode_ctx *ctx, sthosvd *r, int mode, int64_t columns)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 }, G = { 0 }, U = { 0 };
    lode_i_basis b = { 0 };
    const lode_array *U_k[LODE_MAX_NDIM];
    for (int k = 0; k < r->d; k++)
        U_k[k] = k == mode ? NULL : &r->V[k];
    LODE_TRY(lode_i_slabs_project(ctx, &r->X, U_k, NULL, &Y));
    const int64_t n = Y.shape[mode], others = lode_array_size(&Y) / n;
    if (n > others) {
        LODE_TRY(lode_i_basis_svd(ctx, &Y, mode, &b));
    } else {
        LODE_TRY(lode_i_mode_gram(ctx, &Y, mode, true, &G));
        if (columns)
            LODE_TRY(lode_i_basis_gram(ctx, &G, &b));
        else
            LODE_TRY(from_gram(ctx, r, &G, mode, &b));
    }
    LODE_TRY(lode_i_basis_columns(ctx, &b, columns ? columns : generous(r, mode, &b), &U));
    lode_array_swap(&r->U[mode], &U);
    LODE_TRY(ready(ctx, r, mode));
    LODE_TRY(lode_i_ttm(ctx, &Y, mode, LODE_H, &r->V[mode], &r->core));
done:
    LODE_FREE(&Y, &G, &U);
    lode_i_basis_free(&b);
    return st;
}

/* A sketched basis spans the right space in the wrong order: rotated to the eigenvectors of the
 * core. */
static lode_status rotate(lode_ctx *ctx, sthosvd *r, int mode)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, U = { 0 }, turn = { 0 }, core = { 0 };
    lode_i_basis b = { 0 };
    LODE_TRY(lode_i_mode_gram(ctx, &r->core, mode, true, &G));
    LODE_TRY(lode_i_basis_gram(ctx, &G, &b));
    LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &r->U[mode], &b.U, &U));
    LODE_TRY(lode_i_as(ctx, &b.U, r->wide, &turn));
    LODE_TRY(lode_i_ttm(ctx, &r->core, mode, LODE_H, &turn, &core));
    lode_array_swap(&r->U[mode], &U);
    lode_array_swap(&r->core, &core);
    LODE_TRY(ready(ctx, r, mode));
done:
    LODE_FREE(&G, &U, &turn, &core);
    lode_i_basis_free(&b);
    return st;
}

/* Whether the tensor with `columns` left of a mode may be stored beside what is held: else the
 * basis stays pending and the slabs are read again. The results have the same bits either way. */
static bool may_store(lode_ctx *ctx, const lode_i_slabs *s, int mode, int64_t columns)
{
    int64_t shape[LODE_MAX_NDIM];
    double bytes = (double)lode_dtype_size(s->work);
    lode_i_slabs_shape(s, shape);
    shape[mode] = columns;
    for (int k = 0; k < s->ndim; k++)
        bytes *= (double)shape[k];
    const double slab = (double)s->size * (double)lode_dtype_size(s->work) /
                        (double)lode_i_max(s->count, 1);
    return bytes + 4 * slab < 0.6 * (double)lode_i_memory_left(ctx);
}

static lode_status decompose(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    lode_i_slabs stored, *s = &r->X;
    lode_i_basis b = { 0 };
    lode_array Y = { 0 }, Z = { 0 };
    const lode_array *U_k[LODE_MAX_NDIM] = { NULL };
    int along = -1;
    double tails = 0, sketch_lost = 0, matters = 0;
    r->X.pending = 0, r->X.work = r->wide, r->blur = 0;
    r->told = true;
    LODE_TRY(lode_i_sthosvd_whole(ctx, r));
    if (r->single)
        goto done;
    for (int i = 0; i < r->d; i++) {
        const int k = r->order[i];
        const double size = (double)(s == &stored ? s->size : r->X.size);
        if (i > 0)
            lode_i_work(ctx, "modes", lode_i_sthosvd_basis_work(r, k, size),
                        lode_i_sthosvd_product_work(r, k, size, r->info.kept[r->order[i - 1]]) +
                            lode_i_sthosvd_rest(r, i - 1, i + 1, size, along >= 0));
        if (i > 0 && i == r->d - 1) { /* the slab axis: it takes the tensor whole */
            if (s != &stored || s->pending) {
                LODE_TRY(whole(ctx, s, NULL, &Z));
                lode_array_swap(&Y, &Z);
                lode_i_slabs_over(&r->X, &Y, &stored);
                r->X.pending = 0;
                s = &stored;
            }
            stored.rows = stored.shape[stored.axis], stored.count = 1;
        }
        if (i == 0) {
            LODE_TRY(first_basis(ctx, r, k, &along, &b));
            if (r->budget.norm2 == 0)
                goto done;
            matters = r->rank[k] ? lode_i_basis_tail(&b, r->rank[k]) : r->budget.allowed;
            r->info.method = r->method;
        } else {
            LODE_TRY(exact_basis(ctx, r, s, k, NULL, r->budget.norm2 - tails, &b));
        }
        const int64_t columns = r->info.kept[k] = generous(r, k, &b);
        LODE_TRY(lode_i_basis_columns(ctx, &b, columns, &r->U[k]));
        LODE_TRY(ready(ctx, r, k));
        const lode_array *const U = &r->V[k];
        r->uncut = (i == 0 || r->uncut) && columns == r->X.shape[k] &&
                   lode_i_basis_rank(&b, 0.25 * r->budget.allowed) >= columns;
        if (i == 1 && along >= 0) /* what the sketched basis of the first mode lost */
            tails = sketch_lost = r->method == LODE_STHOSVD_GRAM
                                      ? r->budget.norm2 - lode_i_basis_tail(&b, 0)
                                      : r->budget.norm2;
        if (i > 0 || along < 0)
            tails += lode_i_basis_tail(&b, columns);
        lode_i_basis_free(&b);
        if (i < r->d - 1 && !may_store(ctx, s, k, columns)) {
            s->mode[s->pending] = k, s->U[s->pending++] = U;
            continue;
        }
        if (lode_i_is_single(r->wide) && s == &stored && columns == stored.shape[k]) {
            LODE_TRY(lode_i_ttm_over(ctx, &Y, k, LODE_H, U)); /* memory is what `single` is for */
            continue;
        }
        U_k[k] = U;
        lode_i_work(ctx, i ? "modes" : "first mode",
                    lode_i_sthosvd_product_work(r, k, size, columns),
                    lode_i_sthosvd_rest(r, i, i + 1, size * (double)columns / (double)r->X.shape[k],
                                        along >= 0));
        LODE_TRY(lode_i_slabs_project(ctx, s, U_k, NULL, &Z));
        U_k[k] = NULL;
        r->X.pending = 0;
        lode_array_swap(&Y, &Z); /* the next product goes where the last but one was */
        if ((double)lode_array_bytes(&Z) > 0.25 * (double)lode_i_memory_left(ctx))
            lode_array_free(&Z);
        lode_i_slabs_over(&r->X, &Y, &stored);
        s = &stored;
    }
    lode_array_swap(&r->core, &Y);
    LODE_FREE(&Y, &Z);
    const double core = (double)lode_array_size(&r->core);
    if (along >= 0 && sketch_lost > 0.1 * matters)
        lode_i_work(ctx, "first mode again", lode_i_sthosvd_renew_work(r, r->d - 1),
                    lode_i_sthosvd_end_work(r, r->d - 1, core));
    if (along >= 0 && sketch_lost > 0.1 * matters)
        LODE_TRY(renew(ctx, r, r->order[0], 0));
    else if (along >= 0)
        LODE_TRY(rotate(ctx, r, r->order[0]));
    r->lost = tails;
done:
    r->X.pending = 0;
    lode_i_basis_free(&b);
    LODE_FREE(&Y, &Z);
    return st;
}

/* Higher-order orthogonal iteration (De Lathauwer, De Moor, Vandewalle 2000): each mode anew from X
 * projected on the others, at the ranks chosen; the error never grows. */
static lode_status sweep(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    double held, before = sqrt(r->held);
    for (int64_t i = 0; i < r->o->sweeps && r->d > 1; i++) {
        for (int k = 0; k < r->d; k++) {
            const double one = lode_i_sthosvd_renew_work(r, r->d - 1);
            lode_i_work(ctx, "sweeps", one,
                        one * (double)((r->o->sweeps - i) * r->d - k - 1) +
                            lode_i_sthosvd_end_work(r, r->d - 1, 0));
            LODE_TRY(renew(ctx, r, r->order[k], r->U[r->order[k]].shape[1]));
        }
        LODE_TRY(lode_i_norm_fro(ctx, &r->core, &held));
        r->info.sweeps = i + 1;
        const double error2 = r->budget.norm2 - before * before,
                     gain = held * held - before * before;
        before = held;
        if (gain <= 2 * r->o->tol * error2) /* d(e^2) = 2 e de */
            break;
    }
    if (r->info.sweeps) {
        r->held = before * before;
        LODE_TRY(lode_i_tucker_canonical(ctx, &r->core, r->U));
    }
done:
    return st;
}

/* ---- results ---- */

/* Columns of the identity and a core of zeros: all of an empty or a zero tensor. */
static lode_status nothing(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    lode_array eye = { 0 };
    int64_t rank[LODE_MAX_NDIM];
    for (int k = 0; k < r->d; k++) {
        const int64_t n = r->X.shape[k];
        rank[k] = r->X.size == 0 ? 0 : r->rank[k] ? r->rank[k] : 1;
        LODE_TRY(lode_array_zeros(ctx, r->X.work, 2, (const int64_t[]){ n, rank[k] }, &eye));
        for (int64_t i = 0; i < rank[k]; i++)
            lode_i_set2(&eye, i, i, 1);
        lode_array_swap(&r->U[k], &eye);
    }
    LODE_TRY(lode_array_zeros(ctx, r->X.work, r->d, rank, &r->core));
    r->met = true, r->held = 0;
    r->info.bound = r->o->ranks ? LODE_BY_RANK : LODE_BY_ERROR;
done:
    LODE_FREE(&eye);
    return st;
}

/* To the type of the result, and the error of that result: what the core leaves out of ||X||^2, and
 * the rounding. Where that difference cancels, or the rounding matters, the residual. */
static lode_status finish(lode_ctx *ctx, sthosvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    double norm;
    const double error2 = r->told ? r->whole - r->held : r->lost,
                 safe = 100 * sqrt(lode_i_epsilon(r->wide)),
                 rounded = sqrt(r->held) * lode_i_sthosvd_rounding(r, r->core.shape),
                 error = sqrt(fmax(error2, 0));
    if (r->X.scale != 1)
        LODE_TRY(lode_i_scale(ctx, 1 / r->X.scale, &r->core));
    for (int k = -1; k < r->d; k++) {
        lode_array *a = k < 0 ? &r->core : &r->U[k];
        LODE_TRY(lode_i_as(ctx, a, r->result, &y));
        lode_array_swap(a, &y);
        lode_array_free(&y);
    }
    r->info.norm = sqrt(r->budget.norm2) / r->X.scale;
    r->info.rounding = (rounded + r->blur) / r->X.scale;
    r->info.error = error / r->X.scale + r->info.rounding;
    const bool cancels = !(error2 > safe * safe * r->budget.norm2) ||
                         !(rounded < LODE_I_STHOSVD_ROUNDED * error),
               misses = error2 <= r->budget.allowed && r->info.error > r->budget.target;
    r->info.residual = r->budget.norm2 > 0 && !lode_i_is_single(r->wide) &&
                       ((cancels && !r->single) || misses);
    if (r->info.residual) {
        lode_i_work(ctx, "residual", lode_i_sthosvd_residual_work(r), 0);
        r->info.rounding = 0;
        LODE_TRY(lode_i_tucker_residual(ctx, X, &r->core, r->U, r->X.name, &r->info.error, &norm));
        r->X.passes += 1;
    }
    r->info.passes = r->X.passes;
done:
    LODE_FREE(&y);
    return st;
}

/* Asked for, and squares of values keep within f32's range, as do all methods. */
static bool may_stay_single(const sthosvd *r)
{
    bool can = r->o->single && r->result == LODE_F32 && r->X.work == LODE_F64 &&
               r->o->method == LODE_STHOSVD_AUTO && r->o->error > 0;
    for (int k = 0; k < r->d; k++) {
        const double n = (double)r->X.shape[k];
        can = can && n <= GRAM_MODE && n * n <= (double)r->X.size;
    }
    return can;
}

static lode_status attempt(lode_ctx *ctx, sthosvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    for (r->careful = true; r->X.size;) {
        LODE_TRY(decompose(ctx, r));
        if (r->budget.norm2 == 0)
            break;
        const double rest = lode_i_sthosvd_end_work(r, r->d - 1, 0),
                     all = lode_i_sthosvd_end_work(r, r->d - 1, (double)lode_array_size(&r->core));
        lode_i_work(ctx, "ranks", all - rest, rest);
        LODE_TRY(lode_i_sthosvd_choose(ctx, r));
        if (r->met || !r->careful || r->info.bound != LODE_BY_ERROR)
            break;
        r->careful = false; /* the stop at the noise floor lost too much */
        free_result(r);
    }
    if (r->budget.norm2 == 0)
        LODE_TRY(nothing(ctx, r));
    else
        LODE_TRY(sweep(ctx, r));
    LODE_TRY(finish(ctx, r, X));
done:
    return st;
}

lode_status lode_i_sthosvd(lode_ctx *ctx, lode_value X, const lode_sthosvd_opts *o,
                           lode_array *core, lode_array *factors, lode_sthosvd_info *info)
{
    lode_status st = LODE_OK;
    lode_dtype dtype;
    int64_t shape[LODE_MAX_NDIM];
    sthosvd r = { .o = o };
    LODE_TRY(lode_i_slabs_open(ctx, X, o->name, &r.X));
    lode_i_value_shape(X, &dtype, &r.d, shape);
    r.X.kept = o->kept;
    r.result = lode_i_arith(dtype);
    if (may_stay_single(&r))
        r.X.work = LODE_F32;
    r.wide = r.X.work;
    r.budget = lode_i_budget_of(o->error, o->unit, o->ranks || o->params > 0);
    LODE_TRY(read_options(ctx, &r));
    order_modes(&r);
    /* the method depends on the relative error */
    if (r.X.size && o->error > 0 && o->unit != LODE_UNIT_NORM)
        LODE_TRY(look_first(ctx, &r));
    LODE_TRY(attempt(ctx, &r, X));
    for (int i = 0;
         i < 2 && r.info.bound == LODE_BY_ERROR && r.met && r.info.error > r.budget.target; i++) {
        if (!lode_i_budget_tighten(&r.budget, r.info.error, r.X.scale))
            break;
        free_result(&r);
        LODE_TRY(attempt(ctx, &r, X));
    }
    if (r.info.error > r.budget.target) /* false without a target */
        st = lode_i_fail(ctx, LODE_MISSED, "the error reached is %.3g, not the %.3g asked for%s",
                         r.info.error, r.budget.target,
                         r.info.bound == LODE_BY_MAX_RANK ? ": max_rank bound it" : "");
    r.info.target = r.budget.target;
    r.info.min = r.budget.look.min / r.X.scale, r.info.max = r.budget.look.max / r.X.scale;
    if (info)
        *info = r.info;
    lode_array_swap(core, &r.core);
    for (int k = 0; k < r.d; k++)
        lode_array_swap(&factors[k], &r.U[k]);
done:
    free_result(&r);
    lode_i_slabs_close(&r.X);
    return st;
}
