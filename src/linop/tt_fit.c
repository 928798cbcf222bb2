/* A train cut to what was asked. Tails of the bonds bound the error but count what several bonds
 * leave out more than once, up to d - 1 times: noise, above all. So ranks are planned for multiples of
 * the budget, up to d - 1 of it, and the largest multiple is taken at which the cut, whose error is
 * known, is still within it. What is then left goes to the singular values the cut itself has found. */
#include "linop/tt_run.h"

#include <math.h>
#include <string.h>

enum { CUTS = 8, POLISH = 4, SMALL_CUTS = 200, SMALL_VALUES = 1 << 12, SMALL_BOTH = 1 << 15 };
#define WORK 4e10

typedef struct fit {
    const lode_i_ttgoal *g;
    int d;
    int64_t n[LODE_MAX_NDIM];
    const lode_array *core; /* centre d - 1 */
    lode_i_bonds bonds;     /* of `core` */
    double *tail[LODE_MAX_NDIM];
    int64_t most[LODE_MAX_NDIM], cap[LODE_MAX_NDIM];
    double allowed; /* energy that cuts of `core` may lose */
    /* the best cut so far: what the bonds' tails were when it was made, and its loss */
    bool any;
    lode_array best[LODE_MAX_NDIM];
    int64_t rank[LODE_MAX_NDIM];
    double *cut_tail[LODE_MAX_NDIM], *try_tail[LODE_MAX_NDIM];
    int64_t cut_most[LODE_MAX_NDIM];
    double lost;
} fit;

static void close_fit(fit *f)
{
    for (int k = 0; k < f->d; k++) {
        lode_i_free(f->tail[k]), lode_i_free(f->cut_tail[k]), lode_i_free(f->try_tail[k]);
        lode_array_free(&f->best[k]);
    }
}

static lode_status room_for_tails(lode_ctx *ctx, fit *f)
{
    for (int k = 0; k < f->d - 1; k++) {
        const int64_t count = f->core[k].shape[2] + 1;
        LODE_FORWARD(LODE_NEW(ctx, count, &f->cut_tail[k]));
        LODE_FORWARD(LODE_NEW(ctx, count, &f->try_tail[k]));
    }
    return LODE_OK;
}

/* Multiplications of one cut at full ranks, singular vectors included. */
static double work_of(const fit *f)
{
    double work = 1;
    for (int k = 1; k < f->d; k++) {
        const double r = (double)f->core[k].shape[0],
                     c = (double)f->n[k] * (double)f->core[k].shape[2];
        work += (r < c ? r : c) * r * c * 6;
    }
    return work;
}

/* Cuts to these ranks and keeps the result if it is within the budget and of fewer values than the
 * best so far (wanted: in any case). */
static lode_status attempt(lode_ctx *ctx, fit *f, const int64_t *rank, bool wanted, bool *within)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    int64_t most[LODE_MAX_NDIM] = { 0 };
    double lost;
    LODE_TRY(lode_i_tt_cut(ctx, f->d, f->core, rank, c, f->try_tail, most, &lost));
    *within = lost <= f->allowed;
    double values = 0, held = 0;
    for (int k = 0; k < f->d; k++)
        values += (double)lode_array_size(&c[k]), held += (double)lode_array_size(&f->best[k]);
    if (!wanted && (!*within || (f->any && values >= held)))
        goto done;
    lode_i_tt_swap(f->d, f->best, c);
    for (int k = 0; k < f->d - 1; k++) {
        double *t = f->cut_tail[k];
        f->cut_tail[k] = f->try_tail[k], f->try_tail[k] = t;
        f->cut_most[k] = most[k];
        f->rank[k] = f->best[k].shape[2];
    }
    f->lost = lost;
    f->any = true;
done:
    lode_i_tt_free(f->d, c);
    return st;
}

static lode_status polish(lode_ctx *ctx, fit *f)
{
    for (int i = 0; i < POLISH; i++) {
        const lode_i_bonds b = { f->d, f->n, f->cut_most, f->cut_tail };
        int64_t r[LODE_MAX_NDIM];
        bool within;
        memcpy(r, f->rank, sizeof r);
        lode_i_tt_lower(&b, f->allowed, r);
        if (memcmp(r, f->rank, (size_t)(f->d - 1) * sizeof *r) == 0)
            break;
        LODE_FORWARD(attempt(ctx, f, r, false, &within));
    }
    return LODE_OK;
}

/* Ranks with one up (or none) and one or two others down, by one or more; false where that cannot be or
 * saves nothing. */
static bool moved(const fit *f, int up, int down, int also, int by, int64_t *r)
{
    memcpy(r, f->rank, (size_t)(f->d - 1) * sizeof *r);
    if (up == down || up == also || (up >= 0 && r[up] >= f->cap[up]))
        return false;
    if (up >= 0)
        r[up]++;
    r[down] -= by;
    if (also != down)
        r[also] -= 1;
    return r[down] >= 1 && r[also] >= 1 &&
           lode_i_tt_values(f->d, f->n, r) < lode_i_tt_values(f->d, f->n, f->rank);
}

/* Small trains: such moves as long as one is within the budget. */
static lode_status exchange(lode_ctx *ctx, fit *f)
{
    int cuts = 0;
    for (bool better = true; better;) {
        better = false;
        for (int up = -1; up < f->d - 1 && !better; up++)
            for (int down = 0; down < f->d - 1 && !better; down++)
                for (int also = down; also < f->d - 1 && !better; also++)
                    for (int by = 1; by <= 3 && !better && cuts < SMALL_CUTS; by++) {
                        int64_t r[LODE_MAX_NDIM];
                        const double held = lode_i_tt_values(f->d, f->n, f->rank);
                        bool within;
                        if (!moved(f, up, down, also, by, r))
                            continue;
                        cuts++;
                        LODE_FORWARD(attempt(ctx, f, r, false, &within));
                        better = within && lode_i_tt_values(f->d, f->n, f->rank) < held;
                    }
    }
    return LODE_OK;
}

static lode_status by_error(lode_ctx *ctx, fit *f, bool *met)
{
    lode_status st = LODE_OK;
    int64_t r[LODE_MAX_NDIM];
    bool within;
    const int cuts = (int)fmax(2, fmin(CUTS, WORK / work_of(f)));
    double low = 1, high = f->d - 1, share = high;
    LODE_TRY(lode_i_tt_plan(ctx, &f->bonds, f->cap, f->allowed, r, met));
    if (!*met) { /* only a cut tells, for tails may add up to more than is lost */
        LODE_TRY(attempt(ctx, f, f->cap, true, met));
        if (!*met)
            goto done;
    } else {
        memcpy(f->rank, r, sizeof r); /* until a cut is better: these are within the budget */
    }
    for (int i = 0; i < cuts; i++) {
        int64_t s[LODE_MAX_NDIM];
        bool planned;
        LODE_TRY(lode_i_tt_plan(ctx, &f->bonds, f->cap, share * f->allowed, s, &planned));
        if (lode_i_broken(ctx, "tt-quasi-optimal")) { /* each bond as if it were alone */
            LODE_TRY(attempt(ctx, f, s, true, &within));
            goto done;
        }
        if (i > 0 && memcmp(s, f->rank, (size_t)(f->d - 1) * sizeof *s) == 0) {
            within = true;
            if (!f->any)
                break;
        } else {
            LODE_TRY(attempt(ctx, f, s, false, &within));
        }
        if (within)
            low = share;
        else
            high = share;
        if (high < 1.02 * low)
            break;
        share = sqrt(low * high);
    }
    if (!f->any)
        LODE_TRY(attempt(ctx, f, r, true, &within));
    LODE_TRY(polish(ctx, f));
    if (!f->g->quick && lode_i_tt_values(f->d, f->n, f->rank) <= SMALL_VALUES)
        LODE_TRY(exchange(ctx, f));
done:
    return st;
}

/* As asked, from the last bond on. */
static lode_status fit_one(lode_ctx *ctx, int d, lode_array *core, const lode_i_ttgoal *g,
                           double *lost, bool *met)
{
    lode_status st = LODE_OK;
    fit f = { .g = g, .d = d, .core = core };
    int64_t r[LODE_MAX_NDIM];
    bool within;
    *met = true, *lost = 0;
    LODE_TRY(lode_i_tt_reveal(ctx, d, core, 4 * 0x1p-104 * g->norm2, f.tail, f.most, NULL, lost));
    LODE_TRY(room_for_tails(ctx, &f));
    for (int k = 0; k < d; k++)
        f.n[k] = core[k].shape[1];
    f.bonds = (lode_i_bonds){ d, f.n, f.most, f.tail };
    for (int k = 0; k < d - 1; k++)
        f.cap[k] = lode_i_max(1, lode_i_min(f.most[k], g->cap[k]));
    f.allowed = g->allowed - *lost;
    if (g->rank) {
        for (int k = 0; k < d - 1; k++)
            r[k] = lode_i_min(f.cap[k], g->rank[k]);
        LODE_TRY(attempt(ctx, &f, r, true, &within));
    } else if (g->values > 0) {
        LODE_TRY(lode_i_tt_within(ctx, &f.bonds, f.cap, g->values, r));
        LODE_TRY(attempt(ctx, &f, r, true, &within));
    } else {
        LODE_TRY(by_error(ctx, &f, met));
    }
    *lost += f.lost;
    lode_i_tt_swap(d, core, f.best);
done:
    close_fit(&f);
    return st;
}

static double values_of(int d, const lode_array *core)
{
    double values = 0;
    for (int k = 0; k < d; k++)
        values += (double)lode_array_size(&core[k]);
    return values;
}

/* The same from the first bond on, where cuts lose other energies: taken where it needs fewer
 * values. before: as it was; centre 0 both. */
static lode_status from_other_end(lode_ctx *ctx, int d, const lode_array *before, lode_array *core,
                                  const lode_i_ttgoal *g, double *lost)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    int64_t cap[LODE_MAX_NDIM], rank[LODE_MAX_NDIM];
    lode_i_ttgoal turned = *g;
    double other = 0, none;
    bool met;
    for (int k = 0; k < d - 1; k++)
        cap[k] = g->cap[d - 2 - k];
    turned.cap = cap;
    for (int k = 0; k < d; k++)
        c[k] = lode_array_ref(&before[k]);
    LODE_TRY(lode_i_tt_mirror(ctx, d, c));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, c, false));
    LODE_TRY(fit_one(ctx, d, c, &turned, &other, &met));
    if (!met || values_of(d, c) >= values_of(d, core))
        goto done;
    LODE_TRY(lode_i_tt_mirror(ctx, d, c)); /* centre d - 1 now */
    for (int k = 0; k < d - 1; k++)
        rank[k] = c[k].shape[2];
    LODE_TRY(lode_i_tt_cut(ctx, d, c, rank, core, NULL, NULL, &none));
    *lost = other;
done:
    lode_i_tt_free(d, c);
    return st;
}

lode_status lode_i_tt_fit(lode_ctx *ctx, int d, lode_array *core, bool loose,
                          const lode_i_ttgoal *g, double *lost, bool *met)
{
    lode_status st = LODE_OK;
    lode_array before[LODE_MAX_NDIM] = { { 0 } };
    *met = true, *lost = 0;
    if (d == 1)
        goto done;
    if (loose)
        LODE_TRY(lode_i_tt_orthogonal(ctx, d, core, false));
    const bool both = !g->quick && !g->rank && !(g->values > 0) && d > 2 &&
                      values_of(d, core) <= SMALL_BOTH;
    for (int k = 0; both && k < d; k++)
        before[k] = lode_array_ref(&core[k]);
    LODE_TRY(fit_one(ctx, d, core, g, lost, met));
    if (both && *met)
        LODE_TRY(from_other_end(ctx, d, before, core, g, lost));
done:
    lode_i_tt_free(d, before);
    return st;
}

lode_status lode_i_tt_round(lode_ctx *ctx, int d, const lode_array *core, const lode_ttsvd_opts *o,
                            lode_array *out, lode_ttsvd_info *info)
{
    lode_status st = LODE_OK;
    lode_array c[LODE_MAX_NDIM] = { { 0 } };
    int64_t full[LODE_MAX_NDIM], cap[LODE_MAX_NDIM], n[LODE_MAX_NDIM];
    lode_ttsvd_info i = { .target = (double)NAN };
    double lost;
    bool met;
    const lode_dtype type = core[0].dtype;
    LODE_TRY(lode_i_tt_check(ctx, d, core, NULL, o->name ? o->name : "the train"));
    LODE_REQUIRE(o->unit != LODE_UNIT_RANGE, LODE_EPARAM,
                 "rounding a train knows its norm, not its range");
    LODE_TRY(lode_i_tt_as(ctx, d, core, lode_i_is_complex(type) ? LODE_C128 : LODE_F64, c));
    LODE_TRY(lode_i_tt_orthogonal(ctx, d, c, false));
    LODE_TRY(lode_i_norm_fro(ctx, &c[0], &i.norm));
    for (int k = 0; k < d; k++)
        n[k] = c[k].shape[1];
    lode_i_tt_full(d, n, full);
    for (int k = 0; k < d - 1; k++)
        cap[k] = o->max_rank > 0 ? lode_i_min(full[k], o->max_rank) : full[k];
    int64_t rank[LODE_MAX_NDIM];
    for (int k = 0; k < d - 1; k++)
        rank[k] = o->ranks > 1 ? o->rank[k] : o->rank[0];
    const double wanted = o->error * (o->unit == LODE_UNIT_NORM ? i.norm : 1),
                 allowed = fmax(wanted * wanted, pow(0x1p-50 * i.norm, 2));
    const lode_i_ttgoal g = { .allowed = allowed,
                              .norm2 = i.norm * i.norm,
                              .rank = o->ranks ? rank : NULL,
                              .cap = cap,
                              .values = (double)o->params };
    LODE_TRY(lode_i_tt_fit(ctx, d, c, false, &g, &lost, &met));
    i.error = sqrt(lost);
    i.bound = o->ranks        ? LODE_BY_RANK
              : o->params > 0 ? LODE_BY_BUDGET
              : met           ? LODE_BY_ERROR
                              : LODE_BY_MAX_RANK;
    i.target = o->error > 0 ? wanted : (double)NAN;
    LODE_TRY(lode_i_tt_as(ctx, d, c, type, c));
    if (i.error > i.target)
        st = lode_i_fail(ctx, LODE_MISSED, "the error reached is %.3g, not the %.3g asked for",
                         i.error, i.target);
    lode_i_tt_swap(d, out, c);
    if (info)
        *info = i;
done:
    lode_i_tt_free(d, c);
    return st;
}
