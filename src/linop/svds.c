/* Leading singular triplets by block Krylov iteration with thick restart.
 *
 * The basis Q grows by blocks: A^H A applied to the newest block, made orthonormal against all of
 * Q. One-sided, W = A Q is kept as it is and T = Q^H A^H A Q gives squared Ritz values: one pass
 * over A a step and half the orthogonalization, but values below sqrt(eps) s_1 drown. Two-sided
 * (block Golub-Kahan), W is replaced by an orthonormal U with A Q = U T, so that values keep their
 * digits down to eps s_1. The basis keeps its leading Ritz vectors when full (thick restart).
 *
 * Sources: Golub, Luk, Overton 1981, doi:10.1145/355945.355946 (block Lanczos for singular values);
 * Musco, Musco 2015, doi:10.48550/arXiv.1504.05477 (randomized start, gap-independent bounds); Wu,
 * Simon 2000, doi:10.1137/S0895479898334605 (thick restart); Mathias 1998,
 * doi:10.1137/S0895479895292418 (quadratic residual bounds, by which it stops). */
#include <math.h>

#include "linop/krylov.h"

/* ---- the iteration ---- */

/* Work for progress, in operations as products of A with its adjoint in one pass do them. Other products
 * wait for memory, and so do the QR and the factors of a tall result. */
enum { ONE_WAY = 5, BOTH_WAYS = 4, APART = 8, NORM = 60, TALL = 750 };

static double step_work(const krylov *k, int64_t held)
{
    const lode_linop *A = k->A;
    const double b = (double)lode_i_min(k->o.block, k->limit), K = (double)held,
                 ways = A->normal && !k->two ? BOTH_WAYS : APART,
                 norm = isnan(k->norm) && A->norm ? NORM : 0,
                 sides = (double)A->cols + (k->two ? (double)A->rows : 0);
    return (double)A->nonzeros * (ways * b + (held ? 0 : norm)) + 8 * sides * K * b;
}

static double finish_work(const krylov *k, int64_t held)
{
    const lode_linop *A = k->A;
    const bool tail = k->o.tail > 0 || k->o.tail_rel > 0;
    const double wanted = (double)(tail ? held / 4 : k->o.rank);
    if (k->keep)
        return 2 * (double)(A->rows + A->cols) * (double)held * wanted;
    return wanted * (ONE_WAY * (double)A->nonzeros + TALL * (double)A->rows);
}

/* So many more steps from `held` columns on, and what comes after them. */
static double rest_work(const krylov *k, int64_t held, int64_t steps)
{
    double sum = 0;
    for (int64_t i = 0; i < steps; i++, held = lode_i_min(held + k->o.block, k->limit))
        sum += step_work(k, held);
    return sum + finish_work(k, held);
}

/* One or two steps more than the first check is what most spectra take. */
static int64_t steps_expected(const krylov *k)
{
    const bool tail = k->o.tail > 0 || k->o.tail_rel > 0;
    return lode_i_ceil_div(k->next_check, k->o.block) + (tail ? 2 : 3);
}

/* How many more, when so many of the values wanted were right at the last two checks. */
static int64_t steps_left(const krylov *k, int64_t before, int64_t wanted, int64_t foretold)
{
    const int64_t gain = k->converged - before, open = wanted - k->converged;
    if (before <= 0 || gain <= 0 || open <= 0 || k->keep)
        return lode_i_max(foretold, 1);
    return lode_i_min(lode_i_ceil_div(open, gain), k->o.max_iter);
}

/* The first block comes before the first step. */
static lode_status start_nested(lode_ctx *ctx, krylov *k)
{
    const lode_linop *A = k->A;
    const double b = (double)k->o.block, random = 100 * (double)A->cols * b;
    lode_i_work(ctx, "", A->cols > A->rows ? ONE_WAY * (double)A->nonzeros * b : random,
                rest_work(k, 0, steps_expected(k)));
    LODE_FORWARD(lode_i_tick(ctx, 0, 1));
    lode_i_nest(ctx);
    const lode_status st = lode_i_krylov_start(ctx, k);
    lode_i_unnest(ctx);
    return st;
}

static lode_status begin(lode_ctx *ctx, krylov *k, const lode_linop *A, const lode_svds_opts *o)
{
    lode_status st = LODE_OK;
    k->A = A, k->o = *o;
    lode_i_svds_sizes(&k->o, A->rows, A->cols, A->nonzeros < A->rows * A->cols / 4);
    k->two = k->o.two_sided, k->keep = k->two || o->tail > 0 || o->tail_rel > 0;
    k->limit = lode_i_min(A->rows, A->cols), k->cap = k->o.max_basis;
    k->norm = NAN, k->stream = lode_i_stream(ctx, k->o.op, 1);
    k->next_check = o->tail > 0 || o->tail_rel > 0 ? 2 * k->o.block
                                                   : lode_i_max(2 * o->rank, o->rank + k->o.block);
    LODE_TRY(start_nested(ctx, k));
done:
    return st;
}

/* LODE_OK: done. *floor: the wanted values drown in what one side can hold. */
static lode_status iterate(lode_ctx *ctx, krylov *k, int64_t *wanted, bool *floor)
{
    lode_status st = LODE_OK;
    int64_t left = steps_expected(k), before = 0;
    *floor = false;
    for (int64_t i = 0; i < k->o.max_iter; i++) {
        bool enough = false;
        lode_i_work(ctx, "", step_work(k, k->done),
                    rest_work(k, k->done + k->o.block, left > 1 ? left - 1 : i / 4));
        left--;
        LODE_TRY(lode_i_tick(ctx, 0, 1));
        lode_i_nest(ctx);
        const lode_status stepped = lode_i_krylov_step(ctx, k);
        lode_i_unnest(ctx);
        LODE_TRY(stepped);
        k->steps++;
        const bool full = k->fresh == 0, turn = k->pending.data;
        if (full || turn || (k->done >= k->next_check && k->coupled)) {
            LODE_TRY(lode_i_krylov_solve(ctx, k));
            LODE_TRY(lode_i_krylov_enough(ctx, k, wanted, &enough, floor));
            left = steps_left(k, before, *wanted, left);
            before = k->converged;
            k->next_check = lode_i_max(k->done + k->fresh, k->done + k->done / 8);
        }
        if (enough) {
            bool widened = false;
            LODE_TRY(lode_i_krylov_widen(ctx, k, *wanted, &widened));
            enough = !widened;
        }
        if (enough || *floor || full)
            return st;
        if (k->pending.data)
            LODE_TRY(lode_i_krylov_restart(ctx, k, *wanted));
    }
    LODE_TRY(lode_i_krylov_solve(ctx, k));
    LODE_TRY(lode_i_krylov_enough(ctx, k, wanted, &(bool){ false }, floor));
    *floor = false;
    st = lode_i_fail(ctx, LODE_NOCONV,
                     "%" PRId64 " of %" PRId64
                     " singular triplets reached tolerance %.1e in %" PRId64
                     " steps; the best are kept: allow more with max_iter, or loosen tol",
                     k->converged, *wanted, k->o.tol, k->o.max_iter);
done:
    return st;
}

/* One side, and where that drowns what is wanted, both. */
static lode_status both_ways(lode_ctx *ctx, const lode_linop *A, const lode_svds_opts *o,
                             lode_array *U, lode_array *s, lode_array *V, lode_svds_info *info)
{
    lode_status st = LODE_OK;
    krylov k = { 0 };
    lode_svds_opts again = *o;
    int64_t wanted = 0, products = 0, steps = 0;
    bool floor = false;
    LODE_TRY(begin(ctx, &k, A, &again));
    LODE_TRY(iterate(ctx, &k, &wanted, &floor));
    if (floor && o->one_sided) {
        *info = (lode_svds_info){ .drowned = true };
        goto done;
    }
    if (floor) {
        products = k.products, steps = k.steps;
        lode_i_krylov_free(&k);
        k = (krylov){ 0 };
        again.two_sided = true;
        LODE_TRY(begin(ctx, &k, A, &again));
        LODE_TRY(iterate(ctx, &k, &wanted, &floor));
    }
    k.products += products, k.steps += steps;
    lode_i_work(ctx, "", finish_work(&k, k.done), 0);
    LODE_TRY(lode_i_tick(ctx, 0, 1));
    LODE_TRY(lode_i_krylov_finish(ctx, &k, wanted, U, s, V, info));
done:
    lode_i_krylov_free(&k);
    return st;
}

lode_status lode_i_svds(lode_ctx *ctx, const lode_linop *A, const lode_svds_opts *o, lode_array *U,
                        lode_array *s, lode_array *V, lode_svds_info *info)
{
    lode_status st = LODE_OK;
    lode_linop *turned = NULL;
    lode_array u = { 0 }, sigma = { 0 }, v = { 0 };
    lode_svds_info found = { 0 };
    const int64_t r = lode_i_min(A->rows, A->cols);
    const bool tail = o->tail > 0 || o->tail_rel > 0;
    bool nested = false;
    LODE_REQUIRE(o->rank >= 0 && o->rank <= r, LODE_ESHAPE,
                 "rank %" PRId64 " does not fit %" PRId64 " x %" PRId64, o->rank, A->rows, A->cols);
    LODE_REQUIRE(!tail || A->norm, LODE_EUSAGE,
                 "an error rule needs ||A||_F, which products alone do not give: give the rank");
    if (o->rank == 0)
        return lode_i_krylov_none(ctx, A, U, s, V, info);
    lode_i_nest(ctx); /* stages of its own, within the caller's */
    nested = true;
    if (o->gram && A->gram) {
        LODE_TRY(lode_i_svds_by_gram(ctx, A, o, U, s, V, info));
        goto done;
    }
    if (!lode_i_svds_turned(A->rows, A->cols)) {
        LODE_TRY(both_ways(ctx, A, o, &u, &sigma, &v, &found));
    } else {
        LODE_TRY(lode_i_linop_adjoint(ctx, A, &turned));
        LODE_TRY(both_ways(ctx, turned, o, &v, &sigma, &u, &found));
        if (!found.drowned)
            LODE_TRY(lode_i_canonical_signs(ctx, &u, &v));
    }
    if (info)
        *info = found;
    if (!found.drowned)
        lode_array_swap(U, &u), lode_array_swap(s, &sigma), lode_array_swap(V, &v);
done:
    if (nested)
        lode_i_unnest(ctx);
    lode_linop_free(&turned);
    LODE_FREE(&u, &sigma, &v);
    return st;
}
