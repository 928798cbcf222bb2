/* The part of ST-HOSVD's generous core that is kept. */
#include <math.h>
#include <string.h>

#include "array/box.h"
#include "linop/coreshape.h"
#include "linop/sthosvd_run.h"

enum { TRIM_SIZE = 1 << 13, TRIM_WORK = 20000000 };

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
    const double share = (r->allowed - r->lost) / r->d;
    for (int k = 0; k < r->d; k++) {
        double tail = 0;
        rank[k] = r->core.shape[k];
        while (rank[k] > 1 && tail + energy[k][rank[k] - 1] <= share)
            tail += energy[k][--rank[k]];
    }
    r->met = share >= 0;
}

lode_status lode_i_sthosvd_choose(lode_ctx *ctx, sthosvd *r)
{
    lode_status st = LODE_OK;
    double *energies = NULL, *energy[LODE_MAX_NDIM];
    int64_t *indices = NULL, *index[LODE_MAX_NDIM], rank[LODE_MAX_NDIM], length = 0, longest = 1;
    bool trimmed = false;
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
    if (!r->precise) /* tails of sketched bases are estimates; this is what is */
        r->lost = fmax(r->norm2 - r->held, 0);
    for (int k = 0; k < r->d; k++) {
        double *sorted = energies + length;
        lode_i_tucker_sort(energy[k], shape[k], index[k], indices + length);
        for (int64_t i = 0; i < shape[k]; i++)
            sorted[i] = energy[k][index[k][i]];
        memcpy(energy[k], sorted, (size_t)shape[k] * sizeof *sorted);
        rank[k] = lode_i_min(r->rank[k], shape[k]);
    }
    r->met = true;
    r->info.bound = LODE_STHOSVD_BY_RANK;
    if (!r->o->ranks && r->o->params > 0) {
        r->info.bound = LODE_STHOSVD_BY_BUDGET;
        LODE_TRY(ranks_for_budget(ctx, r, energy, rank));
    } else if (!r->o->ranks) {
        int64_t cap[LODE_MAX_NDIM];
        for (int k = 0; k < r->d; k++)
            cap[k] = lode_i_min(shape[k], r->cap[k]);
        const lode_i_choice c = { .core = &r->core,
                                  .order = (const int64_t *const *)index,
                                  .energy = energy,
                                  .lost = r->lost,
                                  .allowed = r->allowed,
                                  .shape = r->X.shape,
                                  .cap = cap };
        r->info.bound = LODE_STHOSVD_BY_ERROR;
        if (r->o->hosvd)
            memcpy(rank, cap, sizeof rank);
        else if (lode_i_broken(ctx, "tucker-quasi-optimal"))
            split_evenly(r, energy, rank);
        else
            LODE_TRY(lode_i_choose_ranks(ctx, &c, rank, &r->met));
        for (int k = 0; k < r->d && !r->met; k++)
            if (rank[k] == r->cap[k] && r->cap[k] < r->X.shape[k])
                r->info.bound = LODE_STHOSVD_BY_MAX_RANK;
    }
    if (r->info.bound == LODE_STHOSVD_BY_ERROR && r->met && !r->precise && !r->o->hosvd &&
        lode_array_size(&r->core) <= TRIM_SIZE)
        LODE_TRY(lode_i_tucker_trim(ctx, r->allowed - r->lost, r->cap, rank, TRIM_WORK, &r->core,
                                    r->U, &trimmed));
    for (int k = 0; k < r->d && trimmed; k++) {
        rank[k] = r->core.shape[k];
        for (int64_t i = 0; i < rank[k]; i++)
            index[k][i] = i;
    }
    LODE_TRY(lode_i_tucker_select(ctx, &r->core, r->U, index, rank, &r->held));
done:
    lode_i_free(energies), lode_i_free(indices);
    return st;
}
