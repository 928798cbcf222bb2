/* Cores smaller than any part of the generous one. Sub-cores of the HOSVD are chosen among fixed
 * directions; truncated one mode after the other, each mode takes new directions from what those
 * before have left, and small errors of large cores aside a smaller core often does. The singular
 * values of a mode give the error of all its ranks at once, so the search goes down the modes in an
 * order and finds the last one's rank without trying: exhaustively where the core is small, from
 * the ranks that sub-cores gave outwards where the work allowed runs out before. */
#include <math.h>
#include <string.h>

#include "linop/tucker.h"

#define NEAR 1.25 /* errors that orthogonal iteration may bring down to what is allowed, squared */

typedef struct trim {
    const lode_array *whole; /* the generous core, and its energy */
    double energy;
    int d, order[LODE_MAX_NDIM];
    const int64_t *cap;
    int64_t start[LODE_MAX_NDIM];
    double allowed;             /* energy that may be left out of the generous core */
    double rest[LODE_MAX_NDIM]; /* entries that the modes of order[k..] have at least */
    double work;                /* multiplications left */
    double least;               /* entries of the smallest core so far */
    lode_array W[LODE_MAX_NDIM], best[LODE_MAX_NDIM], core;
} trim;

/* Leading directions of a mode of T. */
static lode_status look(lode_ctx *ctx, trim *t, const lode_array *T, int mode, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    const double n = (double)T->shape[mode];
    t->work -= (double)lode_array_size(T) * n + 8 * n * n * n + 1e4;
    LODE_TRY(lode_i_mode_gram(ctx, T, mode, false, &G));
    LODE_TRY(lode_i_basis_gram(ctx, &G, b));
done:
    LODE_FREE(&G);
    return st;
}

static lode_status cut(lode_ctx *ctx, const lode_array *T, int mode, const lode_i_basis *b,
                       int64_t rank, lode_array *W, lode_array *Y)
{
    LODE_FORWARD(lode_i_basis_columns(ctx, b, rank, W));
    return lode_i_ttm(ctx, T, mode, LODE_H, W, Y);
}

static void keep(trim *t, lode_array *core, double entries)
{
    t->least = entries;
    lode_array_swap(&t->core, core);
    for (int k = 0; k < t->d; k++) {
        lode_array_free(&t->best[k]);
        t->best[k] = lode_array_ref(&t->W[k]);
    }
}

/* Orthogonal iteration at the ranks of W, as far as it nears the error allowed. */
static lode_status iterate(lode_ctx *ctx, trim *t, double entries)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 }, Z = { 0 };
    lode_i_basis b = { 0 };
    double before = INFINITY;
    for (int i = 0; t->work > 0; i++) {
        const int k = t->order[i % t->d];
        const int64_t r = t->W[k].shape[1];
        Y = lode_array_ref(t->whole);
        for (int j = 0; j < t->d; j++)
            if (j != k) {
                t->work -= (double)lode_array_size(&Y) * (double)t->W[j].shape[1];
                LODE_TRY(lode_i_ttm(ctx, &Y, j, LODE_H, &t->W[j], &Z));
                lode_array_swap(&Y, &Z);
                lode_array_free(&Z);
            }
        LODE_TRY(look(ctx, t, &Y, k, &b));
        LODE_TRY(cut(ctx, &Y, k, &b, r, &t->W[k], &Z));
        const double left = t->energy - lode_i_basis_tail(&b, 0) + lode_i_basis_tail(&b, r);
        if (left <= t->allowed) {
            keep(t, &Z, entries);
            break;
        }
        if (i % t->d == t->d - 1) { /* a sweep: is it far away for its pace? */
            if (left - t->allowed > 10 * (before - left))
                break;
            before = left;
        }
        lode_i_basis_free(&b);
        LODE_FREE(&Y, &Z);
    }
done:
    lode_i_basis_free(&b);
    LODE_FREE(&Y, &Z);
    return st;
}

/* The same from rank r of the last mode; W is left as it was. */
static lode_status try_near(lode_ctx *ctx, trim *t, const lode_array *T, int mode,
                            const lode_i_basis *b, int64_t r, double entries)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 }, before[LODE_MAX_NDIM];
    for (int k = 0; k < t->d; k++)
        before[k] = lode_array_ref(&t->W[k]);
    LODE_TRY(cut(ctx, T, mode, b, r, &t->W[mode], &Y));
    LODE_TRY(iterate(ctx, t, entries));
done:
    for (int k = 0; k < t->d; k++) {
        lode_array_swap(&t->W[k], &before[k]);
        lode_array_free(&before[k]);
    }
    LODE_FREE(&Y);
    return st;
}

/* The modes of order[depth..] of T, of which `lost` has been left out and whose other modes have
 * `entries`. */
static lode_status descend(lode_ctx *ctx, trim *t, int depth, const lode_array *T, double lost,
                           double entries)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 };
    lode_i_basis b = { 0 };
    const int k = t->order[depth];
    LODE_TRY(lode_i_tick(ctx, depth, t->d));
    LODE_TRY(look(ctx, t, T, k, &b));
    const int64_t lowest = lode_i_basis_rank(&b, t->allowed - lost),
                  highest = lode_i_min(b.count, t->cap[k]);
    if (depth == t->d - 1) {
        if (lowest <= highest && entries * (double)lowest < t->least) {
            LODE_TRY(cut(ctx, T, k, &b, lowest, &t->W[k], &Y));
            keep(t, &Y, entries * (double)lowest);
            lode_array_free(&Y);
        }
        for (int64_t r = lode_i_min(lowest, highest + 1) - 1; r >= 1 && t->work > 0; r--) {
            if (lost + lode_i_basis_tail(&b, r) > NEAR * t->allowed)
                break;
            if (entries * (double)r < t->least)
                LODE_TRY(try_near(ctx, t, T, k, &b, r, entries * (double)r));
        }
        goto done;
    }
    const int64_t from = lode_i_max(lowest, lode_i_min(t->start[k], highest));
    for (int64_t i = 0; i <= 2 * (highest - lowest) + 1 && t->work > 0;
         i++) { /* from, from - 1, from + 1, ... */
        const int64_t r = from + (i % 2 ? -(i / 2) - 1 : i / 2);
        const double so_far = entries * (double)r;
        if (r < lowest || r > highest || so_far * t->rest[depth + 1] >= t->least)
            continue;
        t->work -= (double)lode_array_size(T) * (double)r;
        LODE_TRY(cut(ctx, T, k, &b, r, &t->W[k], &Y));
        LODE_TRY(descend(ctx, t, depth + 1, &Y, lost + lode_i_basis_tail(&b, r), so_far));
        lode_array_free(&Y);
    }
done:
    lode_i_basis_free(&b);
    LODE_FREE(&Y);
    return st;
}

lode_status lode_i_tucker_trim(lode_ctx *ctx, double allowed, const int64_t *cap,
                               const int64_t *rank, double work, lode_array *core, lode_array *U,
                               bool *trimmed)
{
    lode_status st = LODE_OK;
    lode_i_basis b = { 0 };
    lode_array turned = { 0 };
    trim t = {
        .whole = core, .d = core->ndim, .cap = cap, .allowed = allowed, .work = work, .least = 1
    };
    double lowest[LODE_MAX_NDIM] = { 0 };
    *trimmed = false;
    for (int k = 0; k < t.d; k++) {
        t.start[k] = rank[k], t.least *= (double)rank[k];
        t.work -= (double)lode_array_size(core) * (double)core->shape[k];
    }
    if (!(t.work > 0))
        goto done;
    for (int k = 0; k < t.d; k++) { /* no truncation leaves less than a mode's own tail */
        LODE_TRY(look(ctx, &t, core, k, &b));
        lowest[k] = (double)lode_i_basis_rank(&b, allowed);
        t.energy = lode_i_basis_tail(&b, 0);
        lode_i_basis_free(&b);
    }
    for (int shift = 0; shift < t.d && t.work > 0; shift++) {
        double rest = 1;
        for (int i = t.d - 1; i >= 0; i--) {
            t.order[i] = (i + shift) % t.d;
            t.rest[i] = rest *= lowest[t.order[i]];
        }
        if (rest >= t.least)
            break; /* nothing smaller is possible */
        LODE_TRY(descend(ctx, &t, 0, core, 0, 1));
    }
    if (!t.core.data)
        goto done;
    for (int k = 0; k < t.d; k++) {
        LODE_TRY(lode_i_gemm(ctx, LODE_N, LODE_N, &U[k], &t.best[k], &turned));
        lode_array_swap(&t.best[k], &turned);
        lode_array_free(&turned);
    }
    for (int k = 0; k < t.d; k++)
        lode_array_swap(&U[k], &t.best[k]);
    lode_array_swap(core, &t.core);
    *trimmed = true;
done:
    lode_i_basis_free(&b);
    for (int k = 0; k < t.d; k++)
        LODE_FREE(&t.W[k], &t.best[k]);
    LODE_FREE(&t.core, &turned);
    return st;
}
