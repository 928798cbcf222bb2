/* TT-SVD (Oseledets 2011, doi:10.1137/090752286, Algorithm 1) of a tensor in memory or by slabs.
 * Departures:
 * - From the last bond to the first: a C-ordered tensor is then a tall matrix whose rows are read in
 *   order, its short side's Gram matrix adds up over slabs, and one more pass leaves what all other
 *   bonds are found from. Where the first mode is much the shorter, the same from its other end.
 * - Ranks. The paper gives every bond eps^2/(d-1) of the budget. Here every bond keeps more than it
 *   needs (its tail far below the budget), and ranks are chosen afterwards from the singular values
 *   of all bonds (tt_fit.c), so that they use the whole budget. As in ST-HOSVD (sthosvd.c) a bond
 *   keeps at most about twice the rank that the whole budget asks of it, else a noise floor would
 *   make every bond full; if no ranks fit then, the decomposition is made once more without that.
 * - Short modes are joined, and parted in memory when little is left.
 * Arithmetic is f64 or c128 whatever the type of X, so that Gram matrices serve down to relative
 * errors of GRAM_FLOOR sqrt(eps) ~ 1e-6; below, triangles of QR give singular values without squaring. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "linop/tt_run.h"

#define GRAM_FLOOR 64.0
#define ROUNDED 0.05 /* rounding to the result's type above this share of the error is measured */
enum { GRAM_MODE = 2048, LEADING_MODE = 128, SMALL = 1 << 14, JOINED = 64 };

typedef struct ttsvd {
    const lode_ttsvd_opts *o;
    lode_i_ttmatrix X;
    lode_i_budget budget;
    bool careful, precise;
    int d;
    /* of modes and bonds in the order in which they are taken: backwards where X is mirrored */
    int64_t n[LODE_MAX_NDIM], rank[LODE_MAX_NDIM], cap[LODE_MAX_NDIM], full[LODE_MAX_NDIM];
    lode_dtype result;
    double lost; /* of scaled values */
    lode_array core[LODE_MAX_NDIM];
    bool met;
    lode_ttsvd_info info;
} ttsvd;

void lode_i_tt_full(int ndim, const int64_t *shape, int64_t *rank)
{
    double left = 1, right = 1, after[LODE_MAX_NDIM] = { 0 };
    for (int k = ndim - 1; k >= 1; k--) {
        right *= (double)lode_i_max(shape[k], 1);
        after[k - 1] = right;
    }
    for (int k = 0; k < ndim - 1; k++) {
        left *= (double)lode_i_max(shape[k], 1);
        rank[k] = (int64_t)fmin(fmin(left, after[k]), 0x1p40);
    }
}

/* ---- what was asked ---- */

static lode_status read_options(lode_ctx *ctx, ttsvd *r)
{
    const lode_ttsvd_opts *o = r->o;
    const int d = r->d;
    if (o->ranks > 1 && o->ranks != d - 1)
        return lode_i_fail(ctx, LODE_ESHAPE,
                           "%d ranks for the %d bonds of %s; give one, or one a bond",
                           (int)o->ranks, d - 1, o->name);
    int64_t full[LODE_MAX_NDIM];
    lode_i_tt_full(d, r->X.shape, full);
    for (int i = 0; i < d - 1; i++) {
        const int k = r->X.mirrored ? d - 2 - i : i;
        int64_t rank = o->ranks > 1 ? o->rank[k] : o->ranks ? o->rank[0] : 0;
        if (o->ranks && (rank < 1 || (o->ranks > 1 && rank > full[k])))
            return lode_i_fail(ctx, rank < 1 ? LODE_EPARAM : LODE_ESHAPE,
                               "rank %" PRId64 " for bond %d of %s; ranks there are 1 to %" PRId64,
                               rank, k + 1, o->name, full[k]);
        r->full[i] = full[k];
        r->cap[i] = o->max_rank > 0 ? lode_i_min(full[k], o->max_rank) : full[k];
        r->rank[i] = lode_i_min(rank, r->cap[i]);
    }
    for (int i = 0; i < d; i++)
        r->n[i] = r->X.shape[r->X.mirrored ? d - 1 - i : i];
    double least = 0;
    for (int i = 0; i < d; i++)
        least += (double)r->n[i];
    if (!o->ranks && o->params > 0 && (double)o->params < least)
        return lode_i_fail(ctx, LODE_EPARAM,
                           "a budget of %" PRId64 " values is less than the %.0f of ranks 1",
                           o->params, least);
    return LODE_OK;
}

/* ---- bases ---- */

/* Columns to keep at a bond; more than there are in b: b is to get more first. */
static int64_t generous(const ttsvd *r, int bond, int64_t full, const lode_i_basis *b)
{
    full = lode_i_min(full, r->full[bond]);
    if (r->rank[bond])
        return lode_i_min(full, r->rank[bond] + lode_i_max(8, r->rank[bond] / 2));
    int64_t most = r->cap[bond] < r->full[bond]
                       ? lode_i_min(full, r->cap[bond] + lode_i_max(8, r->cap[bond] / 2))
                       : full;
    if (r->o->params > 0)
        return lode_i_max(1, lode_i_min(most, r->o->params / (r->n[bond] + r->n[bond + 1])));
    if (r->X.s.size <= SMALL)
        return most;
    const int64_t least = lode_i_basis_rank(b, r->budget.allowed),
                  enough = lode_i_basis_rank(b, fmin(0.02, 0.1 / (r->d - 1)) * r->budget.allowed);
    if (r->careful)
        most = lode_i_min(most, 2 * least + 8);
    return lode_i_min(most, enough);
}

static lode_stream stream_of(lode_ctx *ctx, const ttsvd *r, uint64_t site)
{
    return lode_i_stream(ctx, r->o->op ? r->o->op : "tt", site);
}

/* Where an error decides, a few leading pairs mostly do, and they tell when not: then more, at last
 * all. */
static lode_status from_gram(lode_ctx *ctx, ttsvd *r, const lode_array *G, int bond, int64_t full,
                             lode_i_basis *b)
{
    const int64_t n = G->shape[0];
    lode_i_basis_free(b);
    for (int64_t l = 32; n >= LEADING_MODE && r->budget.allowed >= 0 && 4 * l <= n; l *= 2) {
        LODE_FORWARD(lode_i_basis_leading(ctx, G, l, stream_of(ctx, r, 64 + (uint64_t)bond), b));
        if (generous(r, bond, full, b) + 4 <= l)
            return LODE_OK;
    }
    return lode_i_basis_gram(ctx, G, b);
}

/* Of a matrix long on both sides, by slabs. */
static lode_status by_power(lode_ctx *ctx, ttsvd *r, lode_i_slabs *s, int mode, int bond,
                            double total, lode_i_basis *b)
{
    const int64_t limit = lode_i_min(s->shape[0], s->shape[1]);
    for (int64_t l = r->rank[bond] ? generous(r, bond, limit, b) : 32;; l *= 2) {
        l = lode_i_min(l, limit);
        LODE_FORWARD(lode_i_basis_power(ctx, s, mode, l, b->count ? &b->U : NULL, total,
                                        stream_of(ctx, r, 16 + (uint64_t)bond), b));
        if (r->rank[bond] || l == limit || generous(r, bond, limit, b) <= l)
            return LODE_OK;
    }
}

/* Basis of the first bond, with the first look at the values. */
static lode_status first_basis(lode_ctx *ctx, ttsvd *r, int bond, lode_i_basis *b)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    lode_i_slabs *s = &r->X.s;
    const int mode = r->X.mirrored ? 0 : 1;
    const int64_t n = s->shape[mode];
    const bool random = r->o->method == LODE_TTSVD_RANDOM || n > GRAM_MODE;
    if (!r->budget.seen && random) /* power iteration adapts to the budget as it goes */
        LODE_TRY(lode_i_budget_look(ctx, &r->budget, &r->X.s));
    r->precise = r->o->method == LODE_TTSVD_QR ||
                 (r->o->method == LODE_TTSVD_AUTO &&
                  lode_i_budget_relative(&r->budget) < GRAM_FLOOR * sqrt(DBL_EPSILON));
    r->info.method = r->precise ? LODE_TTSVD_QR : random ? LODE_TTSVD_RANDOM : LODE_TTSVD_GRAM;
    do {
        lode_i_seen *look = r->budget.seen ? NULL : &r->budget.look;
        r->budget.again = false;
        if (r->precise)
            LODE_TRY(lode_i_slabs_qr(ctx, s, mode, look, &G));
        else if (!random)
            LODE_TRY(lode_i_slabs_gram(ctx, s, mode, look, &G));
        if (!r->budget.seen)
            lode_i_budget_settle(&r->budget, s);
    } while (r->budget.again);
    if (r->precise)
        LODE_TRY(lode_i_basis_qr(ctx, &G, b));
    else if (!random)
        LODE_TRY(from_gram(ctx, r, &G, bond, n, b));
    else
        LODE_TRY(by_power(ctx, r, s, mode, bond, r->budget.norm2, b));
done:
    LODE_FREE(&G);
    return st;
}

/* Right basis of a matrix in memory with more columns than rows, U of `keep` columns: from the rows'
 * own. */
static lode_status wide_basis(lode_ctx *ctx, ttsvd *r, const lode_array *A, int bond, lode_array *U,
                              double *tail)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 }, W = { 0 }, B = { 0 }, R = { 0 }, t = { 0 };
    lode_i_basis b = { 0 };
    const int64_t rows = A->shape[0];
    if (r->precise || rows > GRAM_MODE) {
        LODE_TRY(lode_i_basis_svd(ctx, A, 1, &b));
        const int64_t keep = lode_i_min(generous(r, bond, rows, &b), b.count);
        LODE_TRY(lode_i_basis_columns(ctx, &b, keep, U));
        *tail = lode_i_basis_tail(&b, keep);
        goto done;
    }
    LODE_TRY(lode_i_mode_gram(ctx, A, 0, false, &G));
    LODE_TRY(from_gram(ctx, r, &G, bond, rows, &b));
    const int64_t keep = lode_i_min(generous(r, bond, rows, &b), b.count);
    LODE_TRY(lode_i_basis_columns(ctx, &b, keep, &W));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &W, A, &B));
    t = lode_i_transposed(&B);
    LODE_TRY(lode_i_qr(ctx, &t, U, &R));
    *tail = lode_i_basis_tail(&b, keep);
done:
    lode_i_basis_free(&b);
    LODE_FREE(&G, &W, &B, &R); /* t is borrowed */
    return st;
}

static lode_status tall_basis(lode_ctx *ctx, ttsvd *r, const lode_array *A, int bond, lode_array *U,
                              double *tail)
{
    lode_status st = LODE_OK;
    lode_array G = { 0 };
    lode_i_basis b = { 0 };
    lode_i_slabs s = { .array = A,
                       .work = A->dtype,
                       .scale = 1,
                       .ndim = 2,
                       .size = lode_array_size(A),
                       .shape = { A->shape[0], A->shape[1] },
                       .name = r->o->name };
    const int64_t n = A->shape[1];
    double norm;
    lode_i_ttmatrix_cut(&s, 1);
    if (r->precise) {
        LODE_TRY(lode_i_slabs_qr(ctx, &s, 1, NULL, &G));
        LODE_TRY(lode_i_basis_qr(ctx, &G, &b));
    } else if (n <= GRAM_MODE) {
        LODE_TRY(lode_i_slabs_gram(ctx, &s, 1, NULL, &G));
        LODE_TRY(from_gram(ctx, r, &G, bond, n, &b));
    } else {
        LODE_TRY(lode_i_norm_fro(ctx, A, &norm));
        LODE_TRY(by_power(ctx, r, &s, 1, bond, norm * norm, &b));
    }
    const int64_t keep = lode_i_min(generous(r, bond, n, &b), b.count);
    LODE_TRY(lode_i_basis_columns(ctx, &b, keep, U));
    *tail = lode_i_basis_tail(&b, keep);
done:
    lode_i_basis_free(&b);
    LODE_FREE(&G);
    return st;
}

/* ---- the generous train ---- */

/* The rows of a core, or of several in one: U^T. */
static lode_status cores_from(lode_ctx *ctx, ttsvd *r, lode_array *U, int from, int to,
                              int64_t next)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 };
    LODE_TRY(lode_i_tt_turned(ctx, U, &y));
    lode_array_free(U);
    LODE_TRY(lode_i_tt_split(ctx, &y, to - from, r->n + from, next, r->core + from));
done:
    LODE_FREE(&y);
    return st;
}

/* What the first bond leaves, rows in the order of r->n. */
static lode_status first_bond(lode_ctx *ctx, ttsvd *r, lode_array *T)
{
    lode_status st = LODE_OK;
    lode_array U = { 0 }, Y = { 0 }, Z = { 0 };
    lode_i_basis b = { 0 };
    const int mode = r->X.mirrored ? 0 : 1, d = r->d, g = d - r->X.group;
    const lode_array *U_k[2] = { NULL };
    int axes[LODE_MAX_NDIM];
    int64_t shape[LODE_MAX_NDIM];
    lode_i_stage(ctx, "first bond", 0, 0.6);
    LODE_TRY(first_basis(ctx, r, g - 1, &b));
    if (!(r->budget.norm2 > 0))
        goto done;
    const int64_t keep = lode_i_min(generous(r, g - 1, r->X.s.shape[mode], &b), b.count);
    LODE_TRY(lode_i_basis_columns(ctx, &b, keep, &U));
    r->lost += lode_i_basis_tail(&b, keep);
    lode_i_basis_free(&b);
    U_k[mode] = &U;
    lode_i_stage(ctx, "first bond", 0.6, 0.75);
    LODE_TRY(lode_i_slabs_project(ctx, &r->X.s, U_k, NULL, &Y));
    if (r->X.mirrored) { /* the modes' order turned round; the first bond's rank last */
        axes[d - r->X.group] = 0, shape[0] = keep;
        for (int k = r->X.group; k < d; k++) {
            shape[k - r->X.group + 1] = r->X.shape[k];
            axes[d - 1 - k] = k - r->X.group + 1;
        }
        LODE_TRY(lode_array_reshape(ctx, &Y, g + 1, shape, &Y));
        LODE_TRY(lode_array_permute(ctx, &Y, axes, &Z));
        LODE_TRY(lode_i_as(ctx, &Z, Y.dtype, &Y));
        lode_array_free(&Z);
        /* U's rows are the joined modes in their own order: turned round too */
        shape[r->X.group] = keep;
        for (int k = 0; k < r->X.group; k++)
            shape[k] = r->X.shape[k], axes[k] = r->X.group - 1 - k;
        axes[r->X.group] = r->X.group;
        LODE_TRY(lode_array_reshape(ctx, &U, r->X.group + 1, shape, &U));
        LODE_TRY(lode_array_permute(ctx, &U, axes, &Z));
        LODE_TRY(lode_array_reshape(ctx, &Z, 2,
                                    (const int64_t[]){ lode_array_size(&U) / keep, keep }, &U));
        lode_array_free(&Z);
    }
    lode_i_stage(ctx, "bonds", 0.75, 0.8);
    LODE_TRY(cores_from(ctx, r, &U, g, d, 1));
    lode_array_swap(T, &Y);
done:
    lode_i_basis_free(&b);
    LODE_FREE(&U, &Y, &Z);
    return st;
}

static lode_status decompose(lode_ctx *ctx, ttsvd *r)
{
    lode_status st = LODE_OK;
    lode_array T = { 0 }, A = { 0 }, U = { 0 };
    int g = r->d - r->X.group;
    r->lost = 0;
    LODE_TRY(first_bond(ctx, r, &T));
    if (!(r->budget.norm2 > 0))
        goto done;
    while (g > 0) {
        const int64_t size = lode_array_size(&T), next = r->core[g].shape[0];
        double tail = 0;
        int h = g - 1;
        int64_t cols = r->n[h] * next;
        LODE_TRY(lode_i_tick(ctx, r->d - g, r->d));
        while (h > 0 && cols < JOINED && cols * r->n[h - 1] <= size / (cols * r->n[h - 1]))
            cols *= r->n[--h];
        LODE_TRY(lode_array_reshape(ctx, &T, 2, (const int64_t[]){ size / cols, cols }, &A));
        lode_array_free(&T);
        if (h == 0) {
            LODE_TRY(lode_i_tt_split(ctx, &A, g, r->n, next, r->core));
            break;
        }
        if (A.shape[0] < A.shape[1])
            LODE_TRY(wide_basis(ctx, r, &A, h - 1, &U, &tail));
        else
            LODE_TRY(tall_basis(ctx, r, &A, h - 1, &U, &tail));
        r->lost += tail;
        LODE_TRY(lode_i_ttm(ctx, &A, 1, LODE_H, &U, &T));
        lode_array_free(&A);
        LODE_TRY(cores_from(ctx, r, &U, h, g, next));
        g = h;
    }
    if (!r->precise) { /* tails of Gram matrices are rounded; this is what is */
        double held;
        LODE_TRY(lode_i_norm_fro(ctx, &r->core[0], &held));
        r->lost = fmax(r->budget.norm2 - held * held, 0);
    }
done:
    LODE_FREE(&T, &A, &U);
    return st;
}

/* ---- results ---- */

/* The tensor of one mode, or an empty one. */
static lode_status plain(lode_ctx *ctx, ttsvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, x = { 0 };
    if (r->d == 1 && r->X.s.size > 0) {
        LODE_TRY(lode_i_budget_look(ctx, &r->budget, &r->X.s));
        LODE_TRY(lode_i_as_array(ctx, X, r->X.s.work, &x));
        LODE_TRY(lode_array_cast(ctx, &x, x.dtype, &y));
        LODE_TRY(lode_i_scale(ctx, r->X.s.scale, &y));
        LODE_TRY(lode_i_tt_core(ctx, &y, 1, r->n[0], 1, &r->core[0]));
    }
done:
    LODE_FREE(&y, &x);
    return st;
}

/* First unit vectors and a core 0 of zeros: all of an empty or a zero tensor. */
static lode_status nothing(lode_ctx *ctx, ttsvd *r)
{
    lode_status st = LODE_OK;
    lode_array y = { 0 }, M = { 0 };
    for (int k = 0; k < r->d; k++) {
        const int64_t n = r->X.shape[k];
        LODE_TRY(lode_array_zeros(ctx, r->X.s.work, 2, (const int64_t[]){ 1, n }, &M));
        if (k > 0 && n > 0)
            lode_i_set2(&M, 0, 0, 1);
        LODE_TRY(lode_i_tt_core(ctx, &M, 1, n, 1, &r->core[k]));
    }
    r->met = true, r->lost = 0;
    r->info.bound = r->o->ranks ? LODE_BY_RANK : LODE_BY_ERROR;
done:
    LODE_FREE(&y, &M);
    return st;
}

static lode_status choose(lode_ctx *ctx, ttsvd *r)
{
    lode_status st = LODE_OK;
    int64_t rank[LODE_MAX_NDIM], cap[LODE_MAX_NDIM];
    const bool mirrored = r->X.mirrored;
    double lost;
    for (int k = 0; k < r->d - 1; k++) {
        const int i = mirrored ? r->d - 2 - k : k;
        rank[k] = r->rank[i], cap[k] = r->cap[i];
        r->info.kept[k] = r->core[i].shape[2];
    }
    if (mirrored)
        LODE_TRY(lode_i_tt_mirror(ctx, r->d, r->core));
    const lode_i_ttgoal g = { .allowed = r->budget.allowed - r->lost,
                              .norm2 = r->budget.norm2,
                              .rank = r->o->ranks ? rank : NULL,
                              .cap = cap,
                              .values = (double)r->o->params,
                              .quick = r->o->quick };
    LODE_TRY(lode_i_tt_fit(ctx, r->d, r->core, mirrored, &g, &lost, &r->met));
    r->lost += lost;
    r->info.bound = r->o->ranks ? LODE_BY_RANK : r->o->params > 0 ? LODE_BY_BUDGET : LODE_BY_ERROR;
    for (int k = 0; k < r->d - 1 && !r->met; k++)
        if (r->core[k].shape[2] == cap[k] && r->o->max_rank == cap[k])
            r->info.bound = LODE_BY_MAX_RANK;
done:
    return st;
}

/* Core 0 anew from X itself in the rows of the others. Each step of the generous train and each cut of
 * it is a projection, but not all of them are nested: what was left out before is only nearly
 * orthogonal to what the cuts change. With this the train is a projection of X, so that the squares of
 * its norm and of its error add up to that of X, and the error is the least for these rows. Then the
 * order and signs of the first bond's singular vectors. */
static lode_status renew(lode_ctx *ctx, ttsvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    lode_array codes = { 0 }, A = { 0 }, U = { 0 }, s = { 0 }, W = { 0 }, rows = { 0 }, V = { 0 };
    const int64_t n = r->core[0].shape[1], rank = r->core[0].shape[2], m = r->core[1].shape[1],
                  next = r->core[1].shape[2];
    LODE_TRY(lode_i_tt_project(ctx, X, r->d, r->core, r->o->name, &codes, NULL));
    r->X.s.passes += 1;
    LODE_TRY(lode_i_tt_cols(ctx, &codes, &A));
    LODE_TRY(lode_i_svd(ctx, &A, lode_i_min(n, rank), &U, &s, &W));
    LODE_TRY(lode_i_scale_cols(ctx, &U, &s));
    LODE_TRY(lode_i_tt_rows(ctx, &r->core[1], &rows));
    LODE_TRY(lode_i_gemm(ctx, LODE_H, LODE_N, &W, &rows, &A));
    LODE_TRY(lode_i_tt_turned(ctx, &A, &V));
    LODE_TRY(lode_i_conj(ctx, &V));
    LODE_TRY(lode_i_canonical_signs(ctx, &V, &U));
    LODE_TRY(lode_i_tt_turned(ctx, &V, &A));
    LODE_TRY(lode_i_conj(ctx, &A));
    const int64_t kept = U.shape[1];
    LODE_TRY(lode_i_tt_core(ctx, &U, 1, n, kept, &r->core[0]));
    LODE_TRY(lode_i_tt_core(ctx, &A, kept, m, next, &r->core[1]));
done:
    LODE_FREE(&codes, &A, &U, &s, &W, &rows, &V);
    return st;
}

/* To the type of the result, and the error of that result: what the train leaves out of ||X||^2, and
 * the rounding at most. Where that difference cancels, or the rounding matters, the residual. */
static lode_status finish(lode_ctx *ctx, ttsvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    const double unit = 0.5 * lode_i_epsilon(r->result), safe = 1e-4;
    double held, norm = 0, rounding = unit;
    const bool scaled = r->X.s.scale < 1 || r->X.s.scale > 1;
    if (r->d > 1 && r->budget.norm2 > 0 && !scaled) {
        lode_i_stage(ctx, "core 0", 0.8, 0.9);
        LODE_TRY(renew(ctx, r, X));
    }
    LODE_TRY(lode_i_norm_fro(ctx, &r->core[0], &held));
    if (scaled)
        LODE_TRY(lode_i_scale(ctx, 1 / r->X.s.scale, &r->core[0]));
    LODE_TRY(lode_i_tt_as(ctx, r->d, r->core, r->result, r->core));
    for (int k = 1; k < r->d; k++)
        rounding += unit * sqrt((double)r->core[k].shape[0]);
    const double error2 = r->budget.norm2 - held * held + 16 * DBL_EPSILON * r->budget.norm2,
                 error = sqrt(fmax(error2, 0)), rounded = held * rounding;
    r->info.norm = sqrt(r->budget.norm2) / r->X.s.scale;
    r->info.error = (error + rounded) / r->X.s.scale;
    const bool cancels = !(error2 > safe * safe * r->budget.norm2) || !(rounded < ROUNDED * error),
               misses = error2 <= r->budget.allowed && r->info.error > r->budget.target;
    r->info.residual = r->budget.norm2 > 0 && (cancels || misses || scaled);
    if (r->info.residual) {
        lode_i_stage(ctx, "residual", 0.9, 1);
        LODE_TRY(lode_i_tt_residual(ctx, X, r->d, r->core, r->o->name, &r->info.error, &norm));
        r->X.s.passes += 1;
    }
    r->info.passes = r->X.s.passes;
done:
    return st;
}

static lode_status attempt(lode_ctx *ctx, ttsvd *r, lode_value X)
{
    lode_status st = LODE_OK;
    lode_i_stage(ctx, "bonds", 0, 0.8);
    if (r->d == 1)
        LODE_TRY(plain(ctx, r, X));
    r->met = true;
    r->info.bound = r->o->ranks ? LODE_BY_RANK : LODE_BY_ERROR;
    for (r->careful = true; r->X.s.size && r->d > 1;) {
        LODE_TRY(decompose(ctx, r));
        if (!(r->budget.norm2 > 0))
            break;
        LODE_TRY(choose(ctx, r));
        if (r->met || !r->careful || r->info.bound != LODE_BY_ERROR)
            break;
        r->careful = false; /* the stop at the noise floor lost too much */
        lode_i_tt_free(r->d, r->core);
    }
    if (!(r->budget.norm2 > 0))
        LODE_TRY(nothing(ctx, r));
    LODE_TRY(finish(ctx, r, X));
done:
    return st;
}

lode_status lode_i_tt_svd(lode_ctx *ctx, lode_value X, const lode_ttsvd_opts *o, lode_array *core,
                          lode_ttsvd_info *info)
{
    lode_status st = LODE_OK;
    lode_dtype dtype;
    int64_t shape[LODE_MAX_NDIM];
    bool mirrored = false;
    ttsvd r = { .o = o };
    LODE_REQUIRE((X.kind == LODE_ARRAY || X.kind == LODE_SOURCE) &&
                     lode_i_value_shape(X, &dtype, &r.d, shape),
                 LODE_ETYPE, "%s is a %s; a dense array or source is wanted", o->name,
                 lode_kind_name(X.kind));
    LODE_REQUIRE(r.d >= 1, LODE_ESHAPE, "%s has no axes; a tensor of 1 or more modes is wanted",
                 o->name);
    const int group = lode_i_tt_group(r.d, shape, &mirrored);
    mirrored = mirrored && lode_dtype_block(dtype) == 1; /* packed: columns are not cut */
    LODE_TRY(lode_i_ttmatrix_open(ctx, X, group, mirrored, o->name, &r.X));
    r.X.s.kept = o->kept;
    r.result = lode_i_arith(dtype);
    r.budget = lode_i_budget_of(o->error, o->unit, o->ranks || o->params > 0);
    LODE_TRY(read_options(ctx, &r));
    /* the method depends on the relative error */
    if (r.X.s.size && o->error > 0 && o->unit != LODE_UNIT_NORM)
        LODE_TRY(lode_i_budget_look(ctx, &r.budget, &r.X.s));
    LODE_TRY(attempt(ctx, &r, X));
    for (int i = 0; i < 2 && r.info.bound == LODE_BY_ERROR && r.met &&
                    r.info.error > r.budget.target && r.d > 1;
         i++) {
        if (!lode_i_budget_tighten(&r.budget, r.info.error, r.X.s.scale))
            break;
        lode_i_tt_free(r.d, r.core);
        LODE_TRY(attempt(ctx, &r, X));
    }
    if (r.info.error > r.budget.target) /* false without a target */
        st = lode_i_fail(ctx, LODE_MISSED, "the error reached is %.3g, not the %.3g asked for%s",
                         r.info.error, r.budget.target,
                         r.info.bound == LODE_BY_MAX_RANK ? ": max_rank bound it" : "");
    r.info.target = r.budget.target;
    if (info)
        *info = r.info;
    lode_i_tt_swap(r.d, core, r.core);
done:
    lode_i_tt_free(LODE_MAX_NDIM, r.core);
    lode_i_ttmatrix_close(&r.X);
    return st;
}
