/* ST-HOSVD where nothing truncates: products are all the work then, and every basis is whole.
 * - Nothing is lost before the ranks are chosen from the core's energies, so bases from sketches do
 *   as well as exact ones (a core larger by half a percent), and all of them come from X itself, for
 *   whole bases leave Gram matrices what they are: one pass over X hashes two modes, which gives the
 *   Gram matrices of all.
 * - Products are in f32 where the error leaves room for their rounding (room_for_single), those of
 *   a slab one after the other, the slab axis's in place.
 * Whether it is so is told from every EVERY-th slab before anything else is done. */
#include <math.h>

#include "linop/sthosvd_run.h"

enum { KEPT = 24, LEAST = 64, EVERY = 8, LEADING = 32, SIZE = 1 << 21, LONGEST = 2048 };

/* The two modes that are hashed, the longest but the slab axis; enough must be left of each other
 * mode to look at, and a mode too long would have no Gram matrix. */
static bool hashed(const sthosvd *r, int *a, int *b, int64_t *buckets)
{
    *a = *b = -1;
    for (int k = 0; k < r->d; k++) {
        const int64_t n = r->X.shape[k];
        if (n > LONGEST || (double)n * (double)n > (double)r->X.size)
            return false;
        if (k == r->X.axis)
            continue;
        if (*a < 0 || n > r->X.shape[*a])
            *b = *a, *a = k;
        else if (*b < 0 || n > r->X.shape[*b])
            *b = k;
    }
    if (*b < 0 || r->X.shape[*b] < LEAST)
        return false;
    *buckets = lode_i_min(KEPT, r->X.shape[*b] / 4);
    for (int k = 0; k < r->d; k++) {
        const double n = (double)r->X.shape[k], other = (double)r->X.shape[k == *a ? *b : *a];
        if ((double)r->X.size / (n * other) * (double)*buckets < 4 * n)
            return false;
    }
    return true;
}

/* Asked for in a way that a whole decomposition answers, as far as it is known before the values
 * are. */
static bool fits(const sthosvd *r)
{
    const lode_sthosvd_opts *o = r->o;
    return r->careful && o->method == LODE_STHOSVD_AUTO && !o->ranks && !o->params && !o->hosvd &&
           !o->sweeps && r->wide == LODE_F64 && r->X.scale == 1 && r->X.size >= SIZE &&
           r->X.count >= 2 * EVERY && o->error > 0 && (r->budget.seen || o->unit == LODE_UNIT_NORM);
}

/* A sum of n products of a row of X with the columns of an orthonormal U passes through partial
 * sums of at most the row's norm (over all columns together), in any order: (n - 1) u of it at
 * most, the products themselves u sqrt(n). U rounded is off by u sqrt(n), values by u. A sixteenth
 * of the error asked may go for that. */
static bool room_for_single(sthosvd *r)
{
    double share = 0;
    for (int k = 0; k < r->d; k++) {
        const double n = (double)r->X.shape[k];
        share += n + 2 * sqrt(n) + 2;
    }
    const double norm = sqrt(r->budget.norm2), blur = 0.5 * lode_i_epsilon(LODE_F32) * share * norm;
    const bool room = norm > 1e-15 && norm < 1e15 && r->budget.allowed > 0 &&
                      16 * blur <= sqrt(r->budget.allowed);
    r->blur = room ? blur : 0;
    return room;
}

/* Whether a generous basis of mode a (sthosvd.c) would take more than six tenths of its columns, in
 * the sample. */
static lode_status sampled_full(lode_ctx *ctx, sthosvd *r, int a, int b, int64_t buckets,
                                bool *full)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, values = { 0 };
    lode_i_basis some = { 0 };
    const int64_t n = r->X.shape[a];
    double trace = 0, tail = 0, counts = 0; /* beyond so many columns; beyond half of these */
    *full = false;
    LODE_TRY(lode_i_slabs_sample(ctx, &r->X, a, b, buckets, EVERY,
                                 lode_i_sthosvd_stream(ctx, r, 129), &G));
    for (int64_t i = 0; i < n; i++)
        trace += lode_i_get2(&G, i, i);
    if (!(trace > 0 && trace < 1e200)) /* whatever it is, the pass over all values names it */
        goto done;
    const double share = r->budget.seen ? r->budget.allowed / r->budget.norm2
                                        : r->o->error * r->o->error;
    LODE_TRY(lode_i_basis_leading(ctx, &G, LEADING, lode_i_sthosvd_stream(ctx, r, 130), &some));
    if (lode_i_basis_rank(&some, 0.02 * share * trace) <=
        LEADING) /* the common case, told cheaply */
        goto done;
    LODE_TRY(lode_i_eigh(ctx, &G, n, &values, NULL));
    for (int64_t i = n * 3 / 10; i < n; i++) {
        const double energy = fmax(lode_i_get1(&values, i), 0);
        counts += energy;
        tail += i < n * 6 / 10 ? 0 : energy;
    }
    *full = tail > 0.02 * share * trace && counts > share * trace;
done:
    LODE_FREE(&G, &values);
    lode_i_basis_free(&some);
    return st;
}

typedef struct bases {
    sthosvd *r;
    lode_array G[LODE_MAX_NDIM], V[LODE_MAX_NDIM]; /* Gram matrices; bases in single precision */
} bases;

static lode_status basis_task(lode_ctx *ctx, int64_t k, void *data)
{
    lode_status st = LODE_OK;
    bases *w = data;
    lode_i_basis b = { 0 };
    LODE_TRY(lode_i_basis_gram(ctx, &w->G[k], &b));
    LODE_TRY(lode_i_basis_columns(ctx, &b, w->G[k].shape[0], &w->r->U[k]));
    LODE_TRY(lode_array_cast(ctx, &w->r->U[k], LODE_F32, &w->V[k]));
done:
    lode_i_basis_free(&b);
    return st;
}

static lode_status core_of(lode_ctx *ctx, sthosvd *r, const lode_array *V)
{
    lode_status st = LODE_OK;
    lode_array Y = { 0 };
    const lode_array *U_k[LODE_MAX_NDIM];
    const double size = (double)r->X.size;
    for (int k = 0; k < r->d; k++)
        U_k[k] = k == r->X.axis ? NULL : &V[k];
    lode_i_work(ctx, "products", lode_i_sthosvd_single_work(r, true),
                lode_i_sthosvd_single_work(r, false) + lode_i_sthosvd_end_work(r, -1, size));
    r->X.work = LODE_F32;
    LODE_TRY(lode_i_slabs_project(ctx, &r->X, U_k, NULL, &Y));
    lode_i_work(ctx, "products", lode_i_sthosvd_single_work(r, false),
                lode_i_sthosvd_end_work(r, -1, size));
    LODE_TRY(lode_i_ttm_over(ctx, &Y, r->X.axis, LODE_H, &V[r->X.axis]));
    lode_array_swap(&r->core, &Y);
done:
    lode_array_free(&Y);
    return st;
}

lode_status lode_i_sthosvd_whole(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    lode_array Z = { 0 };
    bases w = { .r = r };
    int a, b;
    int64_t buckets;
    bool full;
    r->single = false;
    if (!fits(r) || !hashed(r, &a, &b, &buckets))
        return LODE_OK;
    const double size = (double)r->X.size, n = (double)r->X.shape[a],
                 bases_work = 50 * n * n * n + 50 * size,
                 products = lode_i_sthosvd_single_work(r, true) +
                            lode_i_sthosvd_single_work(r, false) +
                            lode_i_sthosvd_end_work(r, -1, size);
    lode_i_work(ctx, "sample", 10 * size + 15 * n * n * n,
                lode_i_sthosvd_rest(r, -1, 0, size, true));
    LODE_TRY(sampled_full(ctx, r, a, b, buckets, &full));
    if (!full)
        goto done;
    lode_i_work(ctx, "bases", 120 * size, bases_work + products);
    LODE_TRY(lode_i_slabs_sketch(ctx, &r->X, a, b, buckets, lode_i_sthosvd_stream(ctx, r, 128),
                                 r->budget.seen ? NULL : &r->budget.look, &Z, &w.G[a]));
    if (!r->budget.seen)
        lode_i_budget_settle(&r->budget, &r->X);
    if (r->budget.again || !room_for_single(r))
        goto done;
    lode_i_work(ctx, "bases", bases_work, products);
    for (int k = 0; k < r->d; k++)
        if (k != a)
            LODE_TRY(lode_i_mode_gram(ctx, &Z, k, false, &w.G[k]));
    lode_array_free(&Z);
    LODE_TRY(lode_i_parallel(ctx, r->d, basis_task, &w));
    LODE_TRY(core_of(ctx, r, w.V));
    r->single = true;
    r->precise = false, r->lost = 0;
    r->method = r->info.method = LODE_STHOSVD_RANDOM;
    for (int k = 0; k < r->d; k++)
        r->info.kept[k] = r->X.shape[k];
done:
    LODE_FREE(&Z);
    for (int k = 0; k < r->d; k++)
        LODE_FREE(&w.G[k], &w.V[k]);
    return st;
}
