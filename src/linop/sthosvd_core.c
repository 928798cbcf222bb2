/* The part of ST-HOSVD's generous core that is kept. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "linop/coreshape.h"
#include "linop/sthosvd_run.h"

enum { TRIM_SIZE = 1 << 13, TRIM_WORK = 20000000 };

/* |fl(x) - x| <= u |x|: of the core u of its norm; of an orthonormal basis u sqrt(rank), which
 * multiplies the core. What products of these add, and underflow, is covered by the last term. */
double lode_i_sthosvd_rounding(const sthosvd *r, const int64_t *rank)
{
    double u = 0.5 * lode_i_epsilon(r->result), share = 1;
    if (!lode_i_is_single(r->result))
        return 0;
    for (int k = 0; k < r->d; k++)
        share += sqrt((double)rank[k]);
    return u * share * (1 + u * share) + 1e-3 * u;
}

static lode_status ranks_for_budget(lode_ctx *ctx, sthosvd *r, double *const *energy, int64_t *rank)
{
    lode_status st = LODE_OK;
    double *store = NULL, *spectra[LODE_MAX_NDIM];
    int64_t length = 0, most[LODE_MAX_NDIM];
    for (int k = 0; k < r->d; k++) {
        length += r->core.shape[k];
        most[k] = lode_i_min(r->core.shape[k], r->cap[k]);
    }
    LODE_TRY(LODE_NEW(ctx, lode_i_max(length, 1), &store));
    for (int k = 0; k < r->d; k++) {
        spectra[k] = k ? spectra[k - 1] + r->core.shape[k - 1] : store;
        for (int64_t i = 0; i < r->core.shape[k]; i++)
            spectra[k][i] = sqrt(energy[k][i]);
    }
    LODE_TRY(lode_i_core_shape(ctx, r->d, r->X.shape, (const double *const *)spectra, most,
                               (double)r->o->params, rank, NULL, NULL));
    double tails = fmax(r->lost, 0); /* the bases are orthonormal: the losses of the modes add */
    for (int k = 0; k < r->d; k++)
        for (int64_t i = rank[k]; i < r->core.shape[k]; i++)
            tails += energy[k][i];
    r->info.predicted = sqrt(tails) / r->X.scale;
done:
    lode_i_free(store);
    return st;
}

/* The idea turned off: every mode cut by its own share eps^2/d of the budget. */
static void split_evenly(sthosvd *r, double *const *energy, int64_t *rank)
{
    const double share = (r->budget.allowed - r->lost) / r->d;
    for (int k = 0; k < r->d; k++) {
        double tail = 0;
        rank[k] = r->core.shape[k];
        while (rank[k] > 1 && tail + energy[k][rank[k] - 1] <= share)
            tail += energy[k][--rank[k]];
    }
    r->met = share >= 0;
}

static double numbers(const sthosvd *r, const int64_t *rank)
{
    double core = 1, factors = 0;
    for (int k = 0; k < r->d; k++)
        core *= (double)rank[k], factors += (double)rank[k] * (double)r->X.shape[k];
    return core + factors;
}

/* Ranks for what may be lost, less what rounding the result may add if that costs next to no
 * numbers: the error is then known to be met without another pass. */
static lode_status ranks_for_error(lode_ctx *ctx, sthosvd *r, lode_i_choice *c, int64_t *rank)
{
    const double target = fmax(sqrt(fmax(r->budget.allowed, 0)) - r->blur, 0),
                 full = r->blur > 0 ? target * target : r->budget.allowed,
                 rounded = sqrt(r->budget.norm2) * lode_i_sthosvd_rounding(r, r->core.shape);
    int64_t proved[LODE_MAX_NDIM];
    bool met = false;
    c->allowed = full;
    LODE_FORWARD(lode_i_choose_ranks(ctx, c, rank, &r->met));
    if (!r->met || !(rounded > 0) || !(rounded < LODE_I_STHOSVD_ROUNDED * target))
        return LODE_OK;
    c->allowed = (target - rounded) * (target - rounded);
    LODE_FORWARD(lode_i_choose_ranks(ctx, c, proved, &met));
    if (met && numbers(r, proved) <= 1.01 * numbers(r, rank))
        memcpy(rank, proved, (size_t)r->d * sizeof *rank);
    else
        c->allowed = full;
    return LODE_OK;
}

lode_status lode_i_sthosvd_choose(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    double *energies = NULL, *energy[LODE_MAX_NDIM];
    int64_t *indices = NULL, *index[LODE_MAX_NDIM], rank[LODE_MAX_NDIM], length = 0, longest = 1;
    bool trimmed = false;
    double allowed = r->budget.allowed;
    const int64_t *shape = r->core.shape;
    for (int k = 0; k < r->d; k++)
        length += shape[k], longest = lode_i_max(longest, shape[k]);
    LODE_TRY(LODE_NEW(ctx, length + longest, &energies));
    LODE_TRY(LODE_NEW(ctx, length + longest, &indices));
    for (int k = 0; k < r->d; k++) {
        energy[k] = k ? energy[k - 1] + shape[k - 1] : energies;
        index[k] = k ? index[k - 1] + shape[k - 1] : indices;
        for (int64_t i = 0; i < shape[k]; i++)
            index[k][i] = i;
    }
    LODE_TRY(lode_i_slice_energies(ctx, &r->core, NULL, NULL, energy));
    r->held = 0;
    for (int64_t i = 0; i < shape[0]; i++)
        r->held += energy[0][i];
    r->whole = r->single ? r->held : r->budget.norm2;
    /* tails of sketched bases are estimates; this is what is */
    if (!r->precise && r->told)
        r->lost = fmax(r->whole - r->held, 0);
    for (int k = 0; k < r->d; k++) {
        double *sorted = energies + length;
        lode_i_tucker_sort(energy[k], shape[k], index[k], indices + length);
        for (int64_t i = 0; i < shape[k]; i++)
            sorted[i] = energy[k][index[k][i]];
        memcpy(energy[k], sorted, (size_t)shape[k] * sizeof *sorted);
        rank[k] = lode_i_min(r->rank[k], shape[k]);
    }
    r->met = true;
    r->info.bound = LODE_BY_RANK;
    if (!r->o->ranks && r->o->params > 0) {
        r->info.bound = LODE_BY_BUDGET;
        LODE_TRY(ranks_for_budget(ctx, r, energy, rank));
    } else if (!r->o->ranks) {
        int64_t cap[LODE_MAX_NDIM];
        for (int k = 0; k < r->d; k++)
            cap[k] = lode_i_min(shape[k], r->cap[k]);
        lode_i_choice c = { .core = &r->core,
                            .order = (const int64_t *const *)index,
                            .energy = energy,
                            .lost = r->lost,
                            .allowed = r->budget.allowed,
                            .shape = r->X.shape,
                            .cap = cap };
        r->info.bound = LODE_BY_ERROR;
        if (r->o->hosvd)
            memcpy(rank, cap, sizeof rank);
        else if (lode_i_broken(ctx, "tucker-quasi-optimal"))
            split_evenly(r, energy, rank);
        else
            LODE_TRY(ranks_for_error(ctx, r, &c, rank));
        allowed = c.allowed;
        for (int k = 0; k < r->d && !r->met; k++)
            if (rank[k] == r->cap[k] && r->cap[k] < r->X.shape[k])
                r->info.bound = LODE_BY_MAX_RANK;
    }
    if (r->info.bound == LODE_BY_ERROR && r->met && !r->precise && !r->o->hosvd &&
        lode_array_size(&r->core) <= TRIM_SIZE)
        LODE_TRY(lode_i_tucker_trim(ctx, allowed - r->lost, r->cap, rank, TRIM_WORK, &r->core, r->U,
                                    &trimmed));
    for (int k = 0; k < r->d && trimmed; k++) {
        rank[k] = r->core.shape[k];
        for (int64_t i = 0; i < rank[k]; i++)
            index[k][i] = i;
    }
    const bool last = r->o->sweeps == 0 && r->X.scale == 1; /* nothing more is computed with it */
    LODE_TRY(lode_i_tucker_select(ctx, &r->core, r->U, index, rank,
                                  last ? r->result : r->core.dtype, &r->held));
done:
    lode_i_free(energies), lode_i_free(indices);
    return st;
}
